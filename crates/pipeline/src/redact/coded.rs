//! Characters as other formats write them: `%22` and `%2522` in URLs, `&quot;` and `&amp;quot;`
//! in markup, `\u0022` in JSON, however often one is wrapped in the other of its kind.

use std::borrow::Cow;

/// How often an escape may be escaped itself.
const WRAPPED_MAX: usize = 8;
/// Bytes of the longest written form.
const BYTES_MAX: usize = 4 * WRAPPED_MAX + 8;

/// Entities that stand for what matters around a secret.
const ENTITIES: &[(&[u8], u8)] = &[
    (b"quot;", b'"'),
    (b"#34;", b'"'),
    (b"#x22;", b'"'),
    (b"apos;", b'\''),
    (b"#39;", b'\''),
    (b"#x27;", b'\''),
    (b"lt;", b'<'),
    (b"#60;", b'<'),
    (b"#x3c;", b'<'),
    (b"gt;", b'>'),
    (b"#62;", b'>'),
    (b"#x3e;", b'>'),
    (b"#61;", b'='),
    (b"#x3d;", b'='),
    (b"equals;", b'='),
    (b"#58;", b':'),
    (b"#x3a;", b':'),
    (b"colon;", b':'),
    (b"nbsp;", b' '),
    (b"#32;", b' '),
];

/// The ASCII character that an escape at `at` means, and the bytes of the escape.
pub(super) fn at(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let rest = bytes.get(at..)?;
    match rest.first()? {
        b'%' => percent(rest),
        b'&' => entity(rest),
        b'\\' => unicode(rest),
        _ => None,
    }
}

/// The character whose escape ends at `end`, and where the escape begins.
pub(super) fn before(bytes: &[u8], end: usize) -> Option<(u8, usize)> {
    let lowest = end.saturating_sub(BYTES_MAX);
    // From the left, since the inside of a wrapped escape is one, too.
    (lowest..end)
        .filter(|start| matches!(bytes[*start], b'%' | b'&' | b'\\'))
        .find_map(|start| {
            let (byte, length) = at(bytes, start)?;
            (start + length == end).then_some((byte, start))
        })
}

/// The text with every escape as the character that it means.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '&', '\\']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (c, length) = match at(rest.as_bytes(), 0) {
            Some((byte, length)) => (char::from(byte), length),
            None => (c, c.len_utf8()),
        };
        out.push(c);
        rest = &rest[length..];
    }
    Cow::Owned(out)
}

/// Whether the escape at `start` is that of an `&`, the end of a value in a URL.
pub(super) fn is_ampersand(bytes: &[u8], start: usize) -> bool {
    matches!(at(bytes, start), Some((b'&', _)))
}

fn percent(rest: &[u8]) -> Option<(u8, usize)> {
    let mut digits = 1;
    for _ in 0..WRAPPED_MAX {
        let is_wrapped = rest.get(digits..digits + 2) == Some(b"25")
            && hex(rest.get(digits + 2..digits + 4)).is_some();
        if !is_wrapped {
            break;
        }
        digits += 2;
    }
    hex(rest.get(digits..digits + 2)).map(|byte| (byte, digits + 2))
}

fn entity(rest: &[u8]) -> Option<(u8, usize)> {
    let mut name = 1;
    for _ in 0..WRAPPED_MAX {
        if !rest[name..].starts_with(b"amp;") {
            break;
        }
        name += 4;
    }
    let found = ENTITIES.iter().find_map(|(entity, byte)| {
        let have = rest.get(name..name + entity.len())?;
        have.eq_ignore_ascii_case(entity)
            .then_some((*byte, name + entity.len()))
    });
    // `&amp;` alone.
    found.or((name > 1).then_some((b'&', name)))
}

fn unicode(rest: &[u8]) -> Option<(u8, usize)> {
    let backslashes = rest
        .iter()
        .take(BYTES_MAX)
        .take_while(|byte| **byte == b'\\')
        .count();
    let escape = rest.get(backslashes..backslashes + 5)?;
    let is_ascii = matches!(escape, [b'u' | b'U', b'0', b'0', ..]);
    let byte = hex(escape.get(3..5)).filter(|_| is_ascii)?;
    Some((byte, backslashes + 5))
}

fn hex(digits: Option<&[u8]>) -> Option<u8> {
    let [high, low] = digits? else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        let check = |text: &str, expected: Option<u8>| {
            let found = at(text.as_bytes(), 0);
            assert_eq!(found, expected.map(|byte| (byte, text.len())), "{text}");
            if let Some(byte) = expected {
                let within = format!("a{text}");
                assert_eq!(before(within.as_bytes(), within.len()), Some((byte, 1)));
            }
        };
        check("%22", Some(b'"'));
        check("%3d", Some(b'='));
        check("%253D", Some(b'='));
        check("%25253A", Some(b':'));
        check("%25", Some(b'%'));
        check("&quot;", Some(b'"'));
        check("&QUOT;", Some(b'"'));
        check("&amp;quot;", Some(b'"'));
        check("&amp;amp;#39;", Some(b'\''));
        check("&amp;", Some(b'&'));
        check("\\u003c", Some(b'<'));
        check("\\\\u003E", Some(b'>'));
        for text in [
            "", "%", "%2", "%zz", "&", "&lt", "&x;", "\\", "\\u00", "\\n", "\\u1234", "a",
        ] {
            check(text, None);
        }
    }
}
