//! Values that stand beside the name of a secret, in its object or tag:
//! `{"value": "…", "name": "password"}`, `<add key="password" value="…"/>`.
use super::{
    assignment::{KEY_BYTES_MAX, after_escape, is_key_byte, quote_at, skip_blanks},
    coded, pair,
};

/// How far a tag or object is followed to find the value that a name in it speaks of, in bytes:
/// bounds the work for each name.
pub(super) const BESIDE_BYTES_MAX: usize = 256;

/// Where the key begins whose value is the quoted name at `start`, if it is one of those that
/// name what another holds: `"name": "…`, `key="…`.
pub(super) fn name_key_before(bytes: &[u8], start: usize) -> Option<usize> {
    let before = before_quote(bytes, start)?;
    let before = before_blanks(bytes, before);
    let before = match bytes.get(before.checked_sub(1)?)? {
        b'=' | b':' => before - 1,
        _ => match coded::before(bytes, before)? {
            (b'=' | b':', start) => start,
            _ => return None,
        },
    };
    let before = before_blanks(bytes, before);
    let key_end = before_quote(bytes, before).unwrap_or(before);
    let lowest = key_end.saturating_sub(KEY_BYTES_MAX);
    let key_start = (lowest..key_end)
        .rev()
        .take_while(|at| is_key_byte(bytes[*at]))
        .last()?;
    let key_start = after_escape(bytes, key_start, key_end);
    let key = std::str::from_utf8(&bytes[key_start..key_end]).ok()?;
    matches!(pair::half(key), Some((pair::Half::Name, _))).then_some(key_start)
}

/// Where the quote begins that ends at `end`.
pub(super) fn before_quote(bytes: &[u8], end: usize) -> Option<usize> {
    if let Some((b'"' | b'\'', start)) = coded::before(bytes, end) {
        return Some(start);
    }
    let place = end.checked_sub(1)?;
    matches!(bytes[place], b'"' | b'\'').then(|| {
        let backslashes = bytes[..place]
            .iter()
            .rev()
            .take(KEY_BYTES_MAX)
            .take_while(|byte| **byte == b'\\')
            .count();
        place - backslashes
    })
}

fn before_blanks(bytes: &[u8], end: usize) -> usize {
    end - bytes[..end]
        .iter()
        .rev()
        .take(KEY_BYTES_MAX)
        .take_while(|byte| byte.is_ascii_whitespace())
        .count()
}

/// In which direction from a name its value is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Ahead,
    Back,
}

/// Where the value of a key such as `value` begins, between `from` and `to`, in the object or tag
/// that the name stands in.
pub(super) fn beside(bytes: &[u8], from: usize, to: usize, look: Look) -> Option<usize> {
    let mut depth = 0usize;
    let mut found = None;
    let mut at = from;
    // Nothing of a word stands before the place.
    let mut is_start = from == 0 || !is_key_byte(bytes[from - 1]);
    while at < to {
        let (byte, length) = coded::at(bytes, at).unwrap_or((bytes[at], 1));
        match (byte, look) {
            // Another object ends what stands beside the name, or begins anew.
            (b'{' | b'<', Look::Back) => found = None,
            (b'{' | b'[', Look::Ahead) => depth += 1,
            (b'}' | b']' | b'>', Look::Ahead) if depth == 0 => return None,
            (b'}' | b']', Look::Ahead) => depth -= 1,
            _ if depth == 0 && is_start && length == 1 => {
                if let Some(start) = after_key(bytes, at) {
                    if look == Look::Ahead {
                        return Some(start);
                    }
                    found = Some(start);
                }
            }
            _ => {}
        }
        is_start = length > 1 || !is_key_byte(byte);
        at += length;
    }
    found
}

/// Where the value of the key at `at` begins, if it is one that holds a named value.
pub(super) fn after_key(bytes: &[u8], at: usize) -> Option<usize> {
    pair::value_key_at(&bytes[at..]).find_map(|length| {
        let end = at + length;
        let quoted = skip_blanks(bytes, end + quote_at(bytes, end).len);
        let width = match bytes.get(quoted)? {
            b'=' | b':' => 1,
            _ => match coded::at(bytes, quoted)? {
                (b'=' | b':', length) => length,
                _ => return None,
            },
        };
        Some(skip_blanks(bytes, quoted + width))
    })
}
