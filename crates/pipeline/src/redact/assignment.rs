//! Secrets inside text: `password=…`, `"token": "…"`, `--api-key …`, `Bearer …`.
//!
//! The text may be anything: a message, JSON inside a message, JSON inside JSON (its quotes then
//! have backslashes before them). The value of a secret key is masked to its end; where the end
//! is in doubt, to the latest of the candidates: losing a word of a message is better than
//! keeping a secret.
use super::{
    Edit, Mask, Redactor,
    beside::{BESIDE_BYTES_MAX, Look, after_key, before_quote, beside, name_key_before},
    coded, count,
    name::Secret,
    tag::{is_in_tag, tag_end, tag_text},
};
use crate::clean::BatchCounts;

/// Schemes of the HTTP header `Authorization`, in lower case.
const SCHEMES: &[&str] = &["bearer", "basic"];
/// What introduces the name and password of a URL.
const URL: &str = "://";
/// What may hide a letter of a key, in JSON inside a text.
const ESCAPE: &str = "\\u00";
/// What is looked for beside the words of secret names.
pub(super) const WORDS: &[&str] = &[SCHEMES[0], SCHEMES[1], URL, ESCAPE];
/// Bytes that a credential after a scheme has at least; shorter ones are prose.
const CREDENTIAL_BYTES_MIN: usize = 16;
/// How far the name and password of a URL are followed, in bytes: bounds the work for each URL.
const URL_USER_BYTES_MAX: usize = 1_024;
/// How far a key is followed to the left of the word that was found, in bytes.
pub(super) const KEY_BYTES_MAX: usize = 64;

impl Redactor {
    /// Values of secret keys in a text.
    pub(super) fn find_assignments(&self, text: &str, counts: &mut BatchCounts) -> Vec<Edit> {
        let lower = text.to_ascii_lowercase();
        let bytes = text.as_bytes();
        let mut edits = Vec::new();
        // Where the search goes on, and where the last edit ends.
        let (mut floor, mut edited) = (0, 0);
        while let Some((start, end)) = self.words.next(&lower, floor) {
            let (edit, next) = match &lower[start..end] {
                URL => self.url_password(text, end),
                ESCAPE => self.escaped_key(text, start, end),
                word if SCHEMES.contains(&word) => self.credential(bytes, end),
                _ => self.assignment(text, start, end, [floor, edited]),
            };
            floor = next;
            if let Some((mask, start, end, quote)) = edit {
                count(counts, mask);
                edited = end;
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
        [floor, edited]: [usize; 2],
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
        let key_start = after_escape(bytes, key_start, word_start);
        let key = &text[key_start..key_end];
        let name = coded::decoded(key);
        let Some(secret) = self.names.secret_of_path(name.trim_end_matches(['.', '-'])) else {
            return (None, key_end);
        };
        let found = self
            .value_of_key(text, key_start, key_end, secret)
            .or_else(|| self.value_before(text, key_start, edited, secret));
        let next = found_end(&found, key_end).max(key_end);
        (found, next)
    }

    /// The value that stands before the name in that place: `{"value": "…", "name": "password"}`.
    fn value_before<'a>(
        &'a self,
        text: &str,
        key_start: usize,
        edited: usize,
        secret: Secret<'a>,
    ) -> Option<Found<'a>> {
        let bytes = text.as_bytes();
        let named_at = name_key_before(bytes, key_start)?;
        let lowest = edited.max(named_at.saturating_sub(BESIDE_BYTES_MAX));
        let start = beside(bytes, lowest, named_at, Look::Back).filter(|at| *at < named_at)?;
        // A value that goes on to the name is none of its own.
        let (start, end, is_bare) = self.value(&text[..named_at], start, &secret.mask.rule, true);
        let is_apart = end < named_at;
        (is_apart && self.is_said(&text[start..end], secret, is_bare))
            .then(|| (secret.mask, start, end, String::new()))
    }

    /// Whether a value says something that is to be masked.
    fn is_said(&self, value: &str, secret: Secret<'_>, is_bare: bool) -> bool {
        !(value.is_empty()
            || secret.admits(value)
            || self.mask_at(value) == Some(value.len())
            || (is_bare
                && ["true", "false", "null", "none", "nil", "undefined"]
                    .iter()
                    .any(|word| value.eq_ignore_ascii_case(word))))
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
        let separated = self.separated(text, key_start, key_end, key_quote)?;
        // A word such as `PASS: …` begins a sentence; quoted, or before `=`, it is a key.
        let is_list = matches!(bytes.get(separated.value_start), Some(b'[' | b'{'));
        let is_sentence = secret.is_text_only
            && key_quote.len == 0
            && !is_list
            && bytes
                .get(key_end..separated.value_start)
                .is_some_and(|between| between.contains(&b':'));
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
            Ends::Escape => self.value(text, separated.value_start, &secret.mask.rule, true),
            Ends::Value
                if secret.fills_line
                    && quote_at(bytes, separated.value_start).len == 0
                    && !(is_list && key_quote.len > 0) =>
            {
                let start = separated.value_start;
                (start, line_end(bytes, key_start, start), true)
            }
            Ends::Value => self.value(text, separated.value_start, &secret.mask.rule, false),
        };
        let value = &text[start..end];
        if !self.is_said(value, secret, is_bare) {
            return None;
        }
        let quote = match is_bare && key_quote.len > 0 {
            true => text[key_end..key_end + key_quote.len].to_owned(),
            false => String::new(),
        };
        Some((secret.mask, start, end, quote))
    }

    /// Where the value of the key in that range begins, if something separates them.
    fn separated(
        &self,
        text: &str,
        key_start: usize,
        key_end: usize,
        key_quote: Quote,
    ) -> Option<Separated> {
        let bytes = text.as_bytes();
        let key = &text[key_start..key_end];
        if is_in_tag(bytes, key_start)
            && let Some(after) = tag_end(bytes, key_end)
        {
            // `<password value="…"/>`: the attribute first; the text is found in the next round.
            let attribute = beside(bytes, key_end, after, Look::Ahead).filter(|start| {
                let (start, end, _) = self.value(text, *start, "", true);
                end > start && self.mask_at(&text[start..end]).is_none()
            });
            return Some(match attribute {
                Some(value_start) => Separated {
                    value_start,
                    ends: Ends::Value,
                },
                None => Separated {
                    value_start: after,
                    ends: Ends::Tag,
                },
            });
        }
        after_separator(bytes, key_start, key_end, key_quote, key).or_else(|| {
            let named_at = name_key_before(bytes, key_start)?;
            let from = key_end + key_quote.len;
            let highest = bytes.len().min(from + BESIDE_BYTES_MAX);
            let value_start = beside(bytes, from, highest, Look::Ahead)?;
            (named_at < key_start).then_some(Separated {
                value_start,
                ends: Ends::Value,
            })
        })
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
        let is_letter = coded::at(bytes, escape_start)
            .is_some_and(|(letter, _)| is_key_byte(letter) || letter == b' ');
        if !is_letter {
            // A quote or tag, beside which the key stands.
            let length = coded::at(bytes, escape_start)
                .map_or(escape_end, |(_, length)| escape_start + length);
            return (None, length);
        }
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

    /// Range of the value that begins at `at`, and whether it stands without quotes; an escape of
    /// `&` ends it if `is_coded`.
    fn value(&self, text: &str, at: usize, rule: &str, is_coded: bool) -> (usize, usize, bool) {
        let bytes = text.as_bytes();
        let bare_end = |bytes, start| bare_end(bytes, start, is_coded);
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

/// A quote with the backslashes before it, or an escape of one; `len` 0: none.
#[derive(Clone, Copy)]
pub(super) struct Quote {
    byte: u8,
    backslashes: usize,
    pub(super) len: usize,
    is_coded: bool,
}

pub(super) fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

pub(super) fn skip_blanks(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..]
        .iter()
        .take_while(|b| b.is_ascii_whitespace())
        .count()
}

pub(super) fn quote_at(bytes: &[u8], at: usize) -> Quote {
    let backslashes = bytes[at..].iter().take_while(|b| **b == b'\\').count();
    match bytes.get(at + backslashes) {
        Some(byte @ (b'"' | b'\'' | b'`')) => Quote {
            byte: *byte,
            backslashes,
            len: backslashes + 1,
            is_coded: false,
        },
        _ => match coded::at(bytes, at) {
            Some((byte @ (b'"' | b'\'' | b'`'), len)) => Quote {
                byte,
                backslashes: 0,
                len,
                is_coded: true,
            },
            _ => Quote {
                byte: 0,
                backslashes: 0,
                len: 0,
                is_coded: false,
            },
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
    let mut at = skip_blanks(bytes, quoted_end);
    while let Some((b' ', length)) = coded::at(bytes, at) {
        at += length;
    }
    let rest = &bytes[at..];
    let comma = match (rest.first(), coded::at(bytes, at)) {
        (Some(b','), _) => 1,
        (_, Some((b',', length))) => length,
        _ => 0,
    };
    let coded_separator = match coded::at(bytes, at) {
        Some((b'=' | b':', length)) => length,
        _ => 0,
    };
    let (width, ends) = match rest {
        [b'=', b'>' | b'=', ..] | [b':', b'=', ..] => (2, Ends::Value),
        [b'=' | b':', ..] => (1, Ends::Value),
        _ if coded_separator > 0 => (coded_separator, Ends::Escape),
        _ if comma > 0 && key_quote.len > 0 => {
            let next = skip_coded_blanks(bytes, at + comma);
            let next_quote = quote_at(bytes, next);
            let value_start = match key.starts_with('-') || is_tuple(bytes, key_start) {
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
    let value_start = match ends {
        Ends::Escape => skip_coded_blanks(bytes, at + width),
        _ => skip_blanks(bytes, at + width),
    };
    Some(Separated { value_start, ends })
}

/// Where blanks end that may be written as in a URL.
fn skip_coded_blanks(bytes: &[u8], at: usize) -> usize {
    let mut end = skip_blanks(bytes, at);
    while let Some((b' ', length)) = coded_blank(bytes, end) {
        end += length;
    }
    end
}

/// A blank as URLs write it.
fn coded_blank(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    match bytes.get(at)? {
        b'+' => Some((b' ', 1)),
        _ => coded::at(bytes, at),
    }
}

/// Where a key begins that an escape stands before, whose digits look like a part of it:
/// `%26password`, `%2526password`.
pub(super) fn after_escape(bytes: &[u8], key_start: usize, word_start: usize) -> usize {
    let Some(before) = key_start.checked_sub(1) else {
        return key_start;
    };
    match coded::at(bytes, before) {
        Some((_, length)) if before + length <= word_start => before + length,
        _ => key_start,
    }
}

/// Whether a quoted key is the first of a tuple: `('x-api-key', 'abc')`.
fn is_tuple(bytes: &[u8], key_start: usize) -> bool {
    let Some(quote) = before_quote(bytes, key_start) else {
        return false;
    };
    let before = bytes[..quote].strip_suffix(b"b").unwrap_or(&bytes[..quote]);
    before.ends_with(b"(") || matches!(coded::before(bytes, before.len()), Some((b'(', _)))
}

/// Where the value begins if a quoted key that holds a named value stands at `at`.
fn after_value_key(bytes: &[u8], at: usize, quote: Quote) -> Option<usize> {
    match quote.len {
        0 => None,
        length => after_key(bytes, at + length),
    }
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
    if quote.is_coded {
        // The same escape closes.
        let written = &bytes[start - quote.len..start];
        return match memchr::memmem::find(&bytes[start..], written) {
            Some(found) => (start + found, start + found + quote.len),
            None => (bytes.len(), bytes.len()),
        };
    }
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
fn bare_end(bytes: &[u8], start: usize, is_coded: bool) -> usize {
    let mut end = start;
    while let Some(byte) = bytes.get(end) {
        let is_over = match byte {
            b'"' | b'\'' | b'`' | b'&' | b'<' | b'>' => true,
            b',' | b';' | b')' | b']' | b'}' | b'|' => is_break(&bytes[end + 1..]),
            b'%' | b'\\' if is_coded => coded::is_ampersand(bytes, end),
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
