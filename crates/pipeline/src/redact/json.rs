//! Secrets inside values that are kept as JSON text (arrays, and the object of `_overflow`).
//!
//! The text stays valid JSON, and what is not masked stays as it was, byte for byte.
use super::{
    BatchCounts, Edit, Looks, MASK_START, Redactor, Scratch, apply, assignment::VALUE_KEYS, count,
    name::Secret,
};
use crate::json;
use std::collections::{HashMap, HashSet};

impl Redactor {
    /// The JSON text with every secret masked, if there is one.
    pub(super) fn redact_json(
        &self,
        text: &str,
        looks: Looks,
        scratch: &mut Scratch,
        counts: &mut BatchCounts,
    ) -> Option<String> {
        let pairs = self.pairs(text);
        let mut edits = Vec::new();
        let mut keys: Vec<Keys> = Vec::new();
        // The mask of the flag before, if one was: `["--password", "…"]`.
        let mut flag: Option<Secret<'_>> = None;
        let mut at = 0;
        while let Some(scalar) = json::next_scalar(text, at) {
            for byte in text[at..scalar.start].bytes() {
                match byte {
                    b'{' | b'[' => keys.push(Keys::default()),
                    b'}' | b']' => {
                        keys.pop();
                    }
                    _ => continue,
                }
                flag = None;
            }
            at = scalar.end;
            let raw = &text[scalar.start..scalar.end];
            if scalar.is_string
                && let Some(value_start) = json::value_after_key(text, scalar.end)
            {
                let key = json::unescape(raw);
                let masked = self.redact_name(&key, scratch, counts);
                let written = keys.last_mut().and_then(|keys| keys.written(&key, masked));
                if let Some(written) = &written {
                    edits.push(Edit {
                        start: scalar.start,
                        end: scalar.end,
                        text: json::escape(written),
                    });
                }
                let key = written.as_deref().unwrap_or(&key);
                let of_pair = pairs.get(&value_start).copied();
                let Some(secret) = of_pair.or_else(|| self.names.secret_of_path(key)) else {
                    continue;
                };
                let value_end = json::value_end(text, value_start);
                if secret.is_text_only && !text[value_start..].starts_with('"') {
                    continue;
                }
                at = value_end;
                if let Some(edit) = self.masked(text, value_start, value_end, secret) {
                    count(counts, secret.mask);
                    edits.push(edit);
                }
                continue;
            }
            if let Some(secret) = flag.take() {
                if let Some(edit) = self.masked(text, scalar.start, scalar.end, secret) {
                    count(counts, secret.mask);
                    edits.push(edit);
                }
                continue;
            }
            let leaf = match scalar.is_string {
                true => json::unescape(raw),
                false => raw.into(),
            };
            if scalar.is_string && leaf.starts_with('-') {
                flag = self.names.secret_of_path(&leaf);
            }
            let masked = match scalar.is_string {
                true => self.redact_text(&leaf, looks, scratch, counts),
                false => self.redact_number(&leaf, looks, scratch, counts),
            };
            if let Some(masked) = masked {
                edits.push(Edit {
                    start: scalar.start,
                    end: scalar.end,
                    text: json::escape(&masked),
                });
            }
        }
        apply(text, edits)
    }

    /// The edit that masks a value, unless it says nothing or is a mask.
    fn masked(&self, text: &str, start: usize, end: usize, secret: Secret<'_>) -> Option<Edit> {
        let value = &text[start..end];
        let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
        let is_open = inner
            .is_none_or(|inner| self.mask_at(inner) != Some(inner.len()) && !secret.admits(inner));
        (is_open && !matches!(value, "" | "\"\"" | "true" | "false" | "null")).then(|| Edit {
            start,
            end,
            text: format!("\"{}\"", secret.mask.text),
        })
    }

    /// Where values begin whose name is the value of another key of the same object:
    /// `{"name": "password", "value": "…"}`.
    fn pairs(&self, text: &str) -> HashMap<usize, Secret<'_>> {
        let mut found = HashMap::new();
        let mut open: Vec<(Option<Secret<'_>>, Option<usize>)> = Vec::new();
        let mut at = 0;
        loop {
            let scalar = json::next_scalar(text, at);
            let between = scalar.map_or(text.len(), |scalar| scalar.start);
            for byte in text[at..between].bytes() {
                match byte {
                    b'{' | b'[' => open.push((None, None)),
                    b'}' | b']' => {
                        if let Some((Some(secret), Some(value_start))) = open.pop() {
                            found.insert(value_start, secret);
                        }
                    }
                    _ => {}
                }
            }
            let Some(scalar) = scalar else {
                return found;
            };
            at = scalar.end;
            if !scalar.is_string {
                continue;
            }
            let Some(value_start) = json::value_after_key(text, scalar.end) else {
                continue;
            };
            let Some(object) = open.last_mut() else {
                continue;
            };
            let key = json::unescape(&text[scalar.start..scalar.end]).to_ascii_lowercase();
            if VALUE_KEYS.contains(&key.as_str()) {
                object.1 = Some(value_start);
            } else if NAME_KEYS.contains(&key.as_str()) && text[value_start..].starts_with('"') {
                let name = json::unescape(&text[value_start..json::value_end(text, value_start)]);
                if let Some(secret) = self.names.secret_of_path(&name) {
                    object.0 = Some(secret);
                }
            }
        }
    }
}

/// Keys whose value is the name of something that another key holds.
const NAME_KEYS: &[&str] = &["name", "key", "k", "field", "header", "param", "variable"];

/// The keys of one open object that have masks in them.
#[derive(Default)]
struct Keys {
    used: HashSet<String>,
    numbers: HashMap<String, u32>,
}

impl Keys {
    /// How a key is to be written, if not as it is: masked, and with a number where the object
    /// has that key already, so that no value hides another.
    fn written(&mut self, key: &str, masked: Option<String>) -> Option<String> {
        if masked.is_none() && !key.contains(MASK_START) {
            return None;
        }
        let name = masked.as_deref().unwrap_or(key);
        if self.used.insert(name.to_owned()) {
            return masked;
        }
        let number = self.numbers.entry(name.to_owned()).or_insert(2);
        loop {
            let numbered = format!("{name}_{number}");
            *number += 1;
            if self.used.insert(numbered.clone()) {
                return Some(numbered);
            }
        }
    }
}
