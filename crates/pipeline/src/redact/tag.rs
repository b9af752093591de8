//! Tags around a secret: `<password type="x">…</password>`, and as escapes.
use super::{
    assignment::{KEY_BYTES_MAX, is_key_byte},
    beside::BESIDE_BYTES_MAX,
    coded,
};

/// Whether a tag has its name at `key_start`, with its prefix or without.
pub(super) fn is_in_tag(bytes: &[u8], key_start: usize) -> bool {
    let Some(place) = key_start.checked_sub(1) else {
        return false;
    };
    match (bytes[place], coded::before(bytes, key_start)) {
        (b'<', _) | (_, Some((b'<', _))) => true,
        (b':', _) => is_prefixed_tag(bytes, place),
        (_, Some((b':', place))) => is_prefixed_tag(bytes, place),
        _ => false,
    }
}

/// `<ns:`, up to the colon.
fn is_prefixed_tag(bytes: &[u8], colon: usize) -> bool {
    let lowest = colon.saturating_sub(KEY_BYTES_MAX);
    let start = (lowest..colon)
        .rev()
        .take_while(|at| is_key_byte(bytes[*at]))
        .last()
        .unwrap_or(colon);
    start > 0
        && (bytes[start - 1] == b'<'
            // The letters of an escape look like a part of the prefix.
            || (start..=colon).any(|at| matches!(coded::before(bytes, at), Some((b'<', _)))))
}

/// Where the text behind a tag begins, whose name ends at `name_end`.
pub(super) fn tag_end(bytes: &[u8], name_end: usize) -> Option<usize> {
    let highest = bytes.len().min(name_end + BESIDE_BYTES_MAX);
    let mut at = name_end;
    let mut quote: Option<u8> = None;
    // Words without a value behind a name are prose: `unexpected <token of b>`.
    let (mut has_words, mut has_value) = (false, false);
    while at < highest {
        let (byte, length) = match bytes[at] {
            b'%' | b'&' | b'\\' => coded::at(bytes, at).unwrap_or((0, 1)),
            byte => (byte, 1),
        };
        // The name ends with the tag or with a blank.
        if at == name_end && !(byte == b'>' || byte == b'/' || byte.is_ascii_whitespace()) {
            return None;
        }
        at += length;
        match (byte, quote) {
            (b'>', None) => return (has_value || !has_words).then_some(at),
            (b'<', None) => return None,
            (b'=', None) => has_value = true,
            (b'"' | b'\'', None) => quote = Some(byte),
            (byte, Some(open)) if byte == open => quote = None,
            (byte, None) => has_words |= byte.is_ascii_alphanumeric(),
            _ => {}
        }
    }
    None
}

/// Range of the text between tags.
pub(super) fn tag_text(text: &str, at: usize) -> (usize, usize) {
    const LITERAL: &str = "<![CDATA[";
    let rest = &text[at..];
    if let Some(literal) = rest.strip_prefix(LITERAL) {
        let start = at + LITERAL.len();
        return (start, start + literal.find("]]>").unwrap_or(literal.len()));
    }
    let bytes = rest.as_bytes();
    let is_tag = |place: &usize| match bytes[*place] {
        b'<' => true,
        b'%' | b'&' | b'\\' => matches!(coded::at(bytes, *place), Some((b'<', _))),
        _ => false,
    };
    let end = (0..bytes.len()).find(is_tag).unwrap_or(bytes.len());
    (at, at + end)
}
