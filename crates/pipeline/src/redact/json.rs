//! Secrets inside values that are kept as JSON text (arrays, and the object of `_overflow`).
//!
//! The text stays valid JSON, and what is not masked stays as it was, byte for byte.
use super::{
    BatchCounts, Edit, Looks, MASK_START, Redactor, Scratch, apply, count,
    name::{Secret, words_of},
    pair::{self, Half},
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
                if secret.admits(&text[value_start..value_end]) {
                    continue;
                }
                at = value_end;
                if let Some(edit) = self.masked(text, value_start, value_end, secret) {
                    count(counts, secret.mask);
                    edits.push(edit);
                }
                continue;
            }
            let of_element = pairs.get(&scalar.start).copied();
            if let Some(secret) = flag.take().or(of_element) {
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

    /// Where values begin that something beside them names: the value of another key of the same
    /// object (`{"name": "password", "value": "…"}`), the first of two (`[["cookie", "…"]]`), or
    /// the one before in a list of headers (`"rawHeaders": ["Cookie", "…"]`).
    fn pairs(&self, text: &str) -> HashMap<usize, Secret<'_>> {
        let mut found = HashMap::new();
        let mut open: Vec<Open<'_>> = Vec::new();
        let mut is_headers = false;
        let mut at = 0;
        loop {
            let scalar = json::next_scalar(text, at);
            let between = scalar.map_or(text.len(), |scalar| scalar.start);
            for byte in text[at..between].bytes() {
                match byte {
                    b'{' | b'[' => {
                        let is_in_array = open.last().is_some_and(|outer| outer.is_array);
                        if let Some(outer) = open.last_mut() {
                            outer.is_flat = false;
                        }
                        open.push(Open {
                            is_array: byte == b'[',
                            is_in_array,
                            is_headers: std::mem::take(&mut is_headers),
                            is_flat: true,
                            ..Open::default()
                        });
                    }
                    b'}' | b']' => {
                        if let Some(open) = open.pop() {
                            self.close(text, open, &mut found);
                        }
                    }
                    _ => {}
                }
            }
            let Some(scalar) = scalar else {
                return found;
            };
            at = scalar.end;
            let Some(open) = open.last_mut() else {
                continue;
            };
            let raw = &text[scalar.start..scalar.end];
            let value_start = json::value_after_key(text, scalar.end).filter(|_| scalar.is_string);
            if open.is_array {
                if open.is_in_array || open.is_headers {
                    open.elements.push(scalar);
                }
                continue;
            }
            let Some(value_start) = value_start else {
                continue;
            };
            let key = json::unescape(raw);
            let value = &text[value_start..];
            is_headers = value.starts_with('[')
                && words_of(&key).last().is_some_and(|word| word == "headers");
            match pair::half(&key) {
                Some((Half::Value, of)) => open.values.push((of, value_start)),
                Some((Half::Name, of)) if value.starts_with('"') => {
                    let name = &text[value_start..json::value_end(text, value_start)];
                    if let Some(secret) = self.names.secret_of_path(&json::unescape(name)) {
                        open.names.insert(of, secret);
                    }
                }
                _ => {}
            }
        }
    }

    /// What an object or array says of its values, now that it is known whole.
    fn close<'a>(&'a self, text: &str, open: Open<'a>, found: &mut HashMap<usize, Secret<'a>>) {
        for (of, value_start) in open.values {
            if let Some(secret) = open.names.get(&of) {
                found.insert(value_start, *secret);
            }
        }
        let is_pair = open.is_in_array && open.elements.len() == 2;
        if !(open.is_flat && (is_pair || open.is_headers)) {
            return;
        }
        for pair in open.elements.chunks_exact(2) {
            if let [name, value] = pair
                && name.is_string
                && let Some(secret) = self
                    .names
                    .secret_of_path(&json::unescape(&text[name.start..name.end]))
            {
                found.insert(value.start, secret);
            }
        }
    }
}

/// What is known of one open object or array.
#[derive(Default)]
struct Open<'a> {
    is_array: bool,
    /// Whether it stands in an array itself.
    is_in_array: bool,
    /// Whether its key says that it holds headers.
    is_headers: bool,
    /// Whether it holds no other object or array.
    is_flat: bool,
    /// Secrets that keys of the object name, by what names and values have in common.
    names: HashMap<String, Secret<'a>>,
    /// Where values begin that a key may name.
    values: Vec<(String, usize)>,
    /// The elements of the array, if they may name each other.
    elements: Vec<json::Scalar>,
}

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
