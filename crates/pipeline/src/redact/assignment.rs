//! Secrets inside text: `password=…`, `"token": "…"`, `--api-key …`, `Bearer …`.
//!
//! The text may be anything: a message, JSON inside a message, JSON inside JSON (its quotes then
//! have backslashes before them). The value of a secret key is masked to its end; where the end
//! is in doubt, to the latest of the candidates: losing a word of a message is better than
//! keeping a secret.
use super::{Edit, Mask, Redactor, count};
use crate::clean::BatchCounts;

/// Schemes of the HTTP header `Authorization`, in lower case with a blank.
pub(super) const SCHEMES: &[&str] = &["bearer ", "basic "];
/// Bytes that a credential after a scheme has at least; shorter ones are prose.
const CREDENTIAL_BYTES_MIN: usize = 16;
/// How far a key is followed to the left of the word that was found, in bytes.
const KEY_BYTES_MAX: usize = 64;

impl Redactor {
    /// Values of secret keys in a text.
    pub(super) fn find_assignments(&self, text: &str, counts: &mut BatchCounts) -> Vec<Edit> {
        let lower = text.to_ascii_lowercase();
        let bytes = text.as_bytes();
        let mut edits = Vec::new();
        let mut floor = 0;
        while let Some((start, end)) = self.words.next(&lower, floor) {
            let (edit, next) = match SCHEMES.contains(&&lower[start..end]) {
                true => self.credential(bytes, end),
                false => self.assignment(text, start, end, floor),
            };
            floor = next;
            if let Some((mask, start, end, quote)) = edit {
                count(counts, mask);
                edits.push(Edit {
                    start,
                    end,
                    text: format!("{quote}{}{quote}", mask.text),
                });
            }
        }
        edits
    }

    /// The credential after a scheme, and where to go on.
    fn credential<'a>(&'a self, bytes: &[u8], at: usize) -> (Option<Found<'a>>, usize) {
        let start = skip_blanks(bytes, at);
        let end = start
            + bytes[start..]
                .iter()
                .take_while(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(b))
                .count();
        let credential = &bytes[start..end];
        let is_credential =
            credential.len() >= CREDENTIAL_BYTES_MIN && credential.iter().any(u8::is_ascii_digit);
        match self.names.mask_of_path("token") {
            Some(mask) if is_credential => (Some((mask, start, end, String::new())), end),
            // The words after it may be keys themselves.
            _ => (None, at),
        }
    }

    /// The value that is assigned to the key around a word, and where to go on.
    fn assignment<'a>(
        &'a self,
        text: &str,
        word_start: usize,
        word_end: usize,
        floor: usize,
    ) -> (Option<Found<'a>>, usize) {
        let bytes = text.as_bytes();
        let lowest = floor.max(word_start.saturating_sub(KEY_BYTES_MAX));
        let key_start = (lowest..word_start)
            .rev()
            .take_while(|at| is_key_byte(bytes[*at]))
            .last()
            .unwrap_or(word_start);
        let key_end = word_end
            + bytes[word_end..]
                .iter()
                .take_while(|b| is_key_byte(**b))
                .count();
        let key = &text[key_start..key_end];
        let Some(mask) = self.names.mask_of_path(key.trim_end_matches(['.', '-'])) else {
            return (None, key_end);
        };
        let key_quote = quote_at(bytes, key_end);
        let Some(value_start) = after_separator(bytes, key_end + key_quote.len, key) else {
            return (None, key_end);
        };
        let (start, end, is_bare) = self.value(text, value_start, &mask.rule);
        let value = &text[start..end];
        let says_nothing = value.is_empty()
            || self.mask_at(value) == Some(value.len())
            || (is_bare
                && ["true", "false", "null", "none", "nil", "undefined"]
                    .iter()
                    .any(|word| value.eq_ignore_ascii_case(word)));
        if says_nothing {
            return (None, end);
        }
        let quote = match is_bare && key_quote.len > 0 {
            true => text[key_end..key_end + key_quote.len].to_owned(),
            false => String::new(),
        };
        (Some((mask, start, end, quote)), end)
    }

    /// Range of the value that begins at `at`, and whether it stands without quotes.
    fn value(&self, text: &str, at: usize, rule: &str) -> (usize, usize, bool) {
        let bytes = text.as_bytes();
        let quote = quote_at(bytes, at);
        if quote.len > 0 {
            let start = at + quote.len;
            return (start, string_end(bytes, start, quote).0, false);
        }
        if let Some(mask_bytes) = self.mask_at(&text[at..]) {
            // A mask stays; what follows it without a break belongs to the value.
            let after = at + mask_bytes;
            return (at, bare_end(bytes, after), true);
        }
        if matches!(bytes.get(at), Some(b'{' | b'[')) {
            return (at, bare_end(bytes, nested_end(bytes, at)), true);
        }
        let mut end = bare_end(bytes, at);
        let first = &text[at..end];
        let is_scheme = ["bearer", "basic", "digest", "token", "apikey"]
            .iter()
            .any(|scheme| first.eq_ignore_ascii_case(scheme));
        if is_scheme {
            end = bare_end(bytes, skip_blanks(bytes, end));
        } else if rule == "ssn" {
            while bytes.get(end) == Some(&b' ')
                && bytes.get(end + 1).is_some_and(u8::is_ascii_digit)
            {
                end = bare_end(bytes, end + 1);
            }
        }
        (at, end, true)
    }
}

/// Mask, range, and what the mask is quoted with.
type Found<'a> = (&'a Mask, usize, usize, String);

/// A quote with the backslashes before it; `len` 0: none.
#[derive(Clone, Copy)]
struct Quote {
    byte: u8,
    backslashes: usize,
    len: usize,
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn skip_blanks(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..]
        .iter()
        .take_while(|b| b.is_ascii_whitespace())
        .count()
}

fn quote_at(bytes: &[u8], at: usize) -> Quote {
    let backslashes = bytes[at..].iter().take_while(|b| **b == b'\\').count();
    match bytes.get(at + backslashes) {
        Some(byte @ (b'"' | b'\'' | b'`')) => Quote {
            byte: *byte,
            backslashes,
            len: backslashes + 1,
        },
        _ => Quote {
            byte: 0,
            backslashes: 0,
            len: 0,
        },
    }
}

/// Where the value begins, if a separator follows the key. A flag (`--password x`) needs a blank
/// only.
fn after_separator(bytes: &[u8], key_end: usize, key: &str) -> Option<usize> {
    let at = skip_blanks(bytes, key_end);
    let width = match &bytes[at..] {
        [b'=', b'>' | b'=', ..] | [b':', b'=', ..] => 2,
        [b'=' | b':', ..] => 1,
        _ if key.starts_with("--") && at > key_end => 0,
        _ => return None,
    };
    Some(skip_blanks(bytes, at + width))
}

/// End of the text of a string that was opened with `quote`, and the end with its closing quote.
/// A quote with as many backslashes before it, or fewer, closes; without backslashes, one that
/// an odd number of them escapes does not. Unclosed: the end of the text.
fn string_end(bytes: &[u8], start: usize, quote: Quote) -> (usize, usize) {
    let mut at = start;
    while let Some(found) = memchr::memchr(quote.byte, &bytes[at..]) {
        let place = at + found;
        let backslashes = bytes[start..place]
            .iter()
            .rev()
            .take_while(|b| **b == b'\\')
            .count();
        let (closes, end) = match quote.backslashes {
            0 => (backslashes % 2 == 0, place),
            most => (backslashes <= most, place - backslashes),
        };
        if closes {
            return (end, place + 1);
        }
        at = place + 1;
    }
    (bytes.len(), bytes.len())
}

/// End of an object or array that begins at `at`. Unclosed: the end of the text.
fn nested_end(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0usize;
    let mut place = at;
    while let Some(byte) = bytes.get(place) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return place + 1;
                }
            }
            b'"' | b'\\' => {
                let quote = quote_at(bytes, place);
                place = match quote.byte {
                    b'"' => string_end(bytes, place + quote.len, quote).1,
                    // Other quotes are apostrophes; a run of backslashes is passed as a whole,
                    // or it would be counted again at each of its bytes.
                    _ => {
                        let run = bytes[place..].iter().take_while(|b| **b == b'\\').count();
                        place + run.max(1)
                    }
                };
                continue;
            }
            _ => {}
        }
        place += 1;
    }
    bytes.len()
}

/// End of a value without quotes. Blanks, quotes, `&`, `<` and `>` end it; commas, semicolons and
/// closing brackets only where nothing of the value can follow, since a password may hold them.
fn bare_end(bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    while let Some(byte) = bytes.get(end) {
        let is_over = match byte {
            b'"' | b'\'' | b'`' | b'&' | b'<' | b'>' => true,
            b',' | b';' | b')' | b']' | b'}' | b'|' => is_break(&bytes[end + 1..]),
            byte => byte.is_ascii_whitespace(),
        };
        if is_over {
            break;
        }
        end += 1;
    }
    // Backslashes before a quote belong to the quote.
    while end > start
        && bytes[end - 1] == b'\\'
        && bytes.get(end).is_some_and(|b| b"\"'`".contains(b))
    {
        end -= 1;
    }
    end
}

/// Whether what follows a comma, semicolon or closing bracket can no longer be part of a value:
/// the end, a blank, more punctuation, or the next `key=`.
fn is_break(rest: &[u8]) -> bool {
    match rest.first() {
        None => true,
        Some(byte) if byte.is_ascii_whitespace() || b",;)]}|\"'`\\".contains(byte) => true,
        Some(_) => {
            let key = rest
                .iter()
                .take(KEY_BYTES_MAX)
                .take_while(|b| is_key_byte(**b))
                .count();
            key > 0 && matches!(rest.get(key), Some(b'=' | b':'))
        }
    }
}
