//! Secrets inside text: `password=…`, `"token": "…"`, `--api-key …`, `Bearer …`.
//!
//! The text may be anything: a message, JSON inside a message, JSON inside JSON (its quotes then
//! have backslashes before them). The value of a secret key is masked to its end; where the end
//! is in doubt, to the latest of the candidates: losing a word of a message is better than
//! keeping a secret.
use super::{Edit, Mask, Redactor, count, name::Secret};
use crate::clean::BatchCounts;

/// Schemes of the HTTP header `Authorization`, in lower case.
const SCHEMES: &[&str] = &["bearer", "basic"];
/// What introduces the name and password of a URL.
const URL: &str = "://";
/// What may hide a letter of a key, in JSON inside a text.
const ESCAPE: &str = "\\u00";
/// What is looked for beside the words of secret names.
pub(super) const WORDS: &[&str] = &[SCHEMES[0], SCHEMES[1], URL, ESCAPE];
/// Keys that hold the value whose name another key says: `{"name": "password", "value": "…"}`.
pub(super) const VALUE_KEYS: &[&str] = &["value", "val", "v"];
/// Bytes that a credential after a scheme has at least; shorter ones are prose.
const CREDENTIAL_BYTES_MIN: usize = 16;
/// How far the name and password of a URL are followed, in bytes: bounds the work for each URL.
const URL_USER_BYTES_MAX: usize = 1_024;
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
            let (edit, next) = match &lower[start..end] {
                URL => self.url_password(text, end),
                ESCAPE => self.escaped_key(text, start, end),
                word if SCHEMES.contains(&word) => self.credential(bytes, end),
                _ => self.assignment(text, start, end, floor),
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
        if start == at {
            return (None, at);
        }
        let end = start
            + bytes[start..]
                .iter()
                .take_while(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(b))
                .count();
        let credential = &bytes[start..end];
        let is_credential =
            credential.len() >= CREDENTIAL_BYTES_MIN && credential.iter().any(u8::is_ascii_digit);
        match self.names.secret_of_path("token").map(|secret| secret.mask) {
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
        // The mark after a word (`pass=`) is no part of the key.
        let is_mark = !bytes[word_end - 1].is_ascii_alphanumeric();
        let word_end = word_end - usize::from(is_mark);
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
        // `%26password%3D`: the digits of an escape are no part of the key.
        let is_escape = key_start > 0
            && bytes[key_start - 1] == b'%'
            && word_start - key_start >= 2
            && bytes[key_start..key_start + 2]
                .iter()
                .all(u8::is_ascii_hexdigit);
        let key_start = if is_escape { key_start + 2 } else { key_start };
        let key = &text[key_start..key_end];
        let Some(secret) = self.names.secret_of_path(key.trim_end_matches(['.', '-'])) else {
            return (None, key_end);
        };
        let found = self.value_of_key(text, key_start, key_end, secret);
        let next = found_end(&found, key_end);
        (found, next)
    }

    /// The value of the secret key in that range.
    fn value_of_key<'a>(
        &'a self,
        text: &str,
        key_start: usize,
        key_end: usize,
        secret: Secret<'a>,
    ) -> Option<Found<'a>> {
        let bytes = text.as_bytes();
        let key = &text[key_start..key_end];
        let key_quote = quote_at(bytes, key_end);
        let separated = after_separator(bytes, key_start, key_end, key_quote, key)?;
        // A word such as `PASS: …` begins a sentence; quoted, or before `=`, it is a key.
        let is_sentence = secret.is_text_only
            && key_quote.len == 0
            && bytes[key_end..separated.value_start].contains(&b':');
        // The working directory, as sudo and shells write it.
        let is_directory = key == "PWD" && bytes.get(separated.value_start) == Some(&b'/');
        if is_sentence || is_directory {
            return None;
        }
        let (start, end, is_bare) = match separated.ends {
            Ends::Tag => {
                let (start, end) = tag_text(text, separated.value_start);
                (start, end, false)
            }
            Ends::Escape => {
                let (start, end, is_bare) =
                    self.value(text, separated.value_start, &secret.mask.rule);
                let next = memchr::memmem::find(&bytes[start..end], b"%26");
                (start, next.map_or(end, |next| start + next), is_bare)
            }
            Ends::Value if secret.fills_line && quote_at(bytes, separated.value_start).len == 0 => {
                let start = separated.value_start;
                (start, line_end(bytes, key_start, start), true)
            }
            Ends::Value => self.value(text, separated.value_start, &secret.mask.rule),
        };
        let value = &text[start..end];
        let says_nothing = value.is_empty()
            || secret.admits(value)
            || self.mask_at(value) == Some(value.len())
            || (is_bare
                && ["true", "false", "null", "none", "nil", "undefined"]
                    .iter()
                    .any(|word| value.eq_ignore_ascii_case(word)));
        if says_nothing {
            return None;
        }
        let quote = match is_bare && key_quote.len > 0 {
            true => text[key_end..key_end + key_quote.len].to_owned(),
            false => String::new(),
        };
        Some((secret.mask, start, end, quote))
    }

    /// The password of a URL whose host begins at `at`, or before which a user stands there.
    fn url_password<'a>(&'a self, text: &str, at: usize) -> (Option<Found<'a>>, usize) {
        let bytes = text.as_bytes();
        let limit = at
            + bytes[at..]
                .iter()
                .take(URL_USER_BYTES_MAX)
                .take_while(|b| !b.is_ascii_whitespace() && !b"\"'`<>\\".contains(b))
                .count();
        let rest = &bytes[at..limit];
        let authority = rest
            .iter()
            .position(|b| b"/?#".contains(b))
            .unwrap_or(rest.len());
        let Some(colon) = memchr::memchr(b':', &rest[..authority]) else {
            return (None, at);
        };
        let start = at + colon + 1;
        let is_port = rest[colon + 1..authority].iter().all(u8::is_ascii_digit);
        let found = memchr::memrchr(b'@', &rest[..authority]).or_else(|| {
            // A password may hold a slash that nobody escaped.
            memchr::memrchr(b'@', rest).filter(|_| !is_port)
        });
        let Some(end) = found.map(|found| at + found).filter(|end| *end > start) else {
            return (None, at);
        };
        if self.mask_at(&text[start..end]) == Some(end - start) {
            return (None, end);
        }
        match self.names.secret_of_path("password") {
            Some(secret) => (Some((secret.mask, start, end, String::new())), end),
            None => (None, at),
        }
    }

    /// The value of a quoted key around an escape: `{"pass\u0077ord": "…"}`.
    fn escaped_key<'a>(
        &'a self,
        text: &str,
        escape_start: usize,
        escape_end: usize,
    ) -> (Option<Found<'a>>, usize) {
        let bytes = text.as_bytes();
        let is_escaped_key_byte =
            |at: &usize| is_key_byte(bytes[*at]) || matches!(bytes[*at], b'\\' | b' ');
        let lowest = escape_start.saturating_sub(KEY_BYTES_MAX);
        let start = (lowest..escape_start)
            .rev()
            .take_while(is_escaped_key_byte)
            .last()
            .unwrap_or(escape_start);
        let highest = bytes.len().min(escape_end + KEY_BYTES_MAX);
        let mut end = (escape_end..highest)
            .take_while(is_escaped_key_byte)
            .last()
            .map_or(escape_end, |at| at + 1);
        // Backslashes before the quote belong to the quote.
        while end > escape_end && bytes[end - 1] == b'\\' {
            end -= 1;
        }
        let secret = self
            .names
            .secret_of_path(&without_escapes(&text[start..end]));
        let found = secret.and_then(|secret| self.value_of_key(text, start, end, secret));
        let next = found_end(&found, escape_end);
        (found, next)
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

fn found_end(found: &Option<Found<'_>>, otherwise: usize) -> usize {
    found.as_ref().map_or(otherwise, |(_, _, end, _)| *end)
}

/// What ends a value.
enum Ends {
    /// What ends values everywhere.
    Value,
    /// The next tag: `<password>…</password>`.
    Tag,
    /// Also an escaped `&`.
    Escape,
}

struct Separated {
    value_start: usize,
    ends: Ends,
}

/// Where the value begins, if a separator follows the key. A flag (`--password x`,
/// `["--password", "x"]`) needs a blank or comma only; a key that is itself the value of a key
/// has its value in the next (`"name": "password", "value": "…"`).
fn after_separator(
    bytes: &[u8],
    key_start: usize,
    key_end: usize,
    key_quote: Quote,
    key: &str,
) -> Option<Separated> {
    let quoted_end = key_end + key_quote.len;
    let at = skip_blanks(bytes, quoted_end);
    let rest = &bytes[at..];
    let (width, ends) = match rest {
        [b'=', b'>' | b'=', ..] | [b':', b'=', ..] => (2, Ends::Value),
        [b'=' | b':', ..] => (1, Ends::Value),
        [b'%', b'3', b'd' | b'D' | b'a' | b'A', ..] => (3, Ends::Escape),
        [b'>', ..] if key_start > 0 && matches!(bytes[key_start - 1], b'<' | b':') => {
            return Some(Separated {
                value_start: at + 1,
                ends: Ends::Tag,
            });
        }
        [b',', ..] if key_quote.len > 0 => {
            let next = skip_blanks(bytes, at + 1);
            let next_quote = quote_at(bytes, next);
            let value_start = match key.starts_with('-') {
                true if next_quote.len > 0 => next,
                _ => after_value_key(bytes, next, next_quote)?,
            };
            return Some(Separated {
                value_start,
                ends: Ends::Value,
            });
        }
        _ if key.starts_with("--") && at > quoted_end && key_quote.len == 0 => (0, Ends::Value),
        _ => return None,
    };
    Some(Separated {
        value_start: skip_blanks(bytes, at + width),
        ends,
    })
}

/// Where the value begins if a quoted key of [`VALUE_KEYS`] stands at `at`.
fn after_value_key(bytes: &[u8], at: usize, quote: Quote) -> Option<usize> {
    if quote.len == 0 {
        return None;
    }
    let start = at + quote.len;
    let key = VALUE_KEYS
        .iter()
        .find(|key| {
            bytes[start..]
                .get(..key.len())
                .is_some_and(|have| have.eq_ignore_ascii_case(key.as_bytes()))
                && quote_at(bytes, start + key.len()).len > 0
        })?
        .len();
    let end = start + key;
    let colon = skip_blanks(bytes, end + quote_at(bytes, end).len);
    (bytes.get(colon) == Some(&b':')).then(|| skip_blanks(bytes, colon + 1))
}

/// Range of the text between tags.
fn tag_text(text: &str, at: usize) -> (usize, usize) {
    const LITERAL: &str = "<![CDATA[";
    let rest = &text[at..];
    if let Some(literal) = rest.strip_prefix(LITERAL) {
        let start = at + LITERAL.len();
        return (start, start + literal.find("]]>").unwrap_or(literal.len()));
    }
    (at, at + rest.find('<').unwrap_or(rest.len()))
}

/// End of a header's value: the end of the line, as a line break or its escape, or the quote that
/// was opened right before the header's name.
fn line_end(bytes: &[u8], key_start: usize, value_start: usize) -> usize {
    let opened = match key_start.checked_sub(1).map(|at| bytes[at]) {
        Some(byte @ (b'"' | b'\'' | b'`')) => Some(byte),
        _ => None,
    };
    let mut end = value_start;
    while let Some(byte) = bytes.get(end) {
        let is_over = match byte {
            b'\r' | b'\n' => true,
            b'\\' => {
                let run = bytes[end..].iter().take_while(|b| **b == b'\\').count();
                match bytes.get(end + run) {
                    Some(b'r' | b'n') => true,
                    Some(next) if Some(*next) == opened => true,
                    _ => {
                        end += run;
                        continue;
                    }
                }
            }
            byte => Some(*byte) == opened,
        };
        if is_over {
            break;
        }
        end += 1;
    }
    end
}

/// The text with `\u0077` (however often its backslash is escaped) as the letter that it means.
fn without_escapes(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut rest = key;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = rest[at..].trim_start_matches('\\');
        let letter = escape
            .strip_prefix(['u', 'U'])
            .and_then(|digits| digits.get(..4))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .and_then(char::from_u32);
        rest = match letter {
            Some(letter) => {
                out.push(letter);
                &escape[5..]
            }
            None => escape,
        };
    }
    out.push_str(rest);
    out
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
