//! Steps through JSON text without building a tree. The text was checked by whoever made it;
//! malformed text gives some steps and ends, it never fails.
use std::borrow::Cow;
use taffrail_model::column::Kind;

/// A string (with its quotes), number or literal, as a byte range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) is_string: bool,
}

/// The first scalar at or after `at`; keys are scalars too.
pub(crate) fn next_scalar(text: &str, at: usize) -> Option<Scalar> {
    let bytes = text.as_bytes();
    let start = at
        + bytes
            .get(at..)?
            .iter()
            .position(|b| !b.is_ascii_whitespace() && !b"{}[],:".contains(b))?;
    let is_string = bytes[start] == b'"';
    Some(Scalar {
        start,
        end: value_end(text, start),
        is_string,
    })
}

/// Where the value begins if the string that ends at `end` is a key.
pub(crate) fn value_after_key(text: &str, end: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let colon = skip_blanks(bytes, end);
    (bytes.get(colon) == Some(&b':')).then(|| skip_blanks(bytes, colon + 1))
}

/// End of the value (scalar, array or object) that begins at `start`.
pub(crate) fn value_end(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    match bytes.get(start) {
        Some(b'"') => string_end(bytes, start),
        Some(b'{' | b'[') => nested_end(bytes, start),
        Some(_) => {
            start
                + bytes[start..]
                    .iter()
                    .take_while(|b| !b.is_ascii_whitespace() && !b"{}[],:\"".contains(b))
                    .count()
        }
        None => bytes.len(),
    }
}

/// The text of a string with its quotes. One that JSON cannot unescape stands for itself.
pub(crate) fn unescape(raw: &str) -> Cow<'_, str> {
    let inner = raw.strip_prefix('"').unwrap_or(raw);
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    match serde_json::from_str::<String>(raw) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(inner),
    }
}

/// A text as a JSON string, with its quotes.
pub(crate) fn escape(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn skip_blanks(bytes: &[u8], at: usize) -> usize {
    at + bytes
        .get(at..)
        .unwrap_or_default()
        .iter()
        .take_while(|b| b.is_ascii_whitespace())
        .count()
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = bytes
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += found + 1;
        if bytes[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

fn nested_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0usize;
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b'"' => {
                at = string_end(bytes, at);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// JSON text without the blanks between its tokens.
pub(crate) fn compact(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut kept = 0;
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at),
            byte if byte.is_ascii_whitespace() => {
                out.push_str(&text[kept..at]);
                at += 1;
                kept = at;
            }
            _ => at += 1,
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[kept..]);
    Cow::Owned(out)
}

/// The kind of a JSON number.
pub(crate) fn number_kind(text: &str) -> Kind {
    match text.contains(['.', 'e', 'E']) {
        true => Kind::Float,
        false => Kind::Integer,
    }
}

/// Whether a text is a number as JSON writes it.
pub(crate) fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}
