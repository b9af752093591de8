//! Secrets inside values that are kept as JSON text (arrays, and the object of `_overflow`).
//!
//! The text stays valid JSON, and what is not masked stays as it was, byte for byte.
use super::{BatchCounts, Edit, Looks, Redactor, Scratch, apply, count};
use crate::json;

impl Redactor {
    /// The JSON text with every secret masked, if there is one.
    pub(super) fn redact_json(
        &self,
        text: &str,
        looks: Looks,
        scratch: &mut Scratch,
        counts: &mut BatchCounts,
    ) -> Option<String> {
        let mut edits = Vec::new();
        let mut at = 0;
        while let Some(scalar) = json::next_scalar(text, at) {
            at = scalar.end;
            let raw = &text[scalar.start..scalar.end];
            if scalar.is_string
                && let Some(value_start) = json::value_after_key(text, scalar.end)
            {
                let mask = match looks.words {
                    true => self.names.mask_of_path(&json::unescape(raw)),
                    false => None,
                };
                let Some(mask) = mask else {
                    continue;
                };
                let value_end = json::value_end(text, value_start);
                at = value_end;
                let value = &text[value_start..value_end];
                let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
                let is_mask = inner.is_some_and(|v| self.mask_at(v) == Some(v.len()));
                if is_mask || matches!(value, "" | "\"\"" | "true" | "false" | "null") {
                    continue;
                }
                count(counts, mask);
                edits.push(Edit {
                    start: value_start,
                    end: value_end,
                    text: format!("\"{}\"", mask.text),
                });
                continue;
            }
            let leaf = match scalar.is_string {
                true => json::unescape(raw),
                false => raw.into(),
            };
            if let Some(masked) = self.redact_text(&leaf, looks, scratch, counts) {
                edits.push(Edit {
                    start: scalar.start,
                    end: scalar.end,
                    text: json::escape(&masked),
                });
            }
        }
        apply(text, edits)
    }
}
