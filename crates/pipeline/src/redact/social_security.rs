//! Social security numbers of the United States, written with dashes: `123-45-6789`.
//!
//! Areas 000, 666 and 900-999, group 00 and serial 0000 were never given out. Without dashes
//! nine digits are an ordinary number, masked only in a field of that name.
use super::digits::{Group, is_free_after, is_free_before};

/// The last group of the number that begins with group `first`.
pub(super) fn starting_at(
    bytes: &[u8],
    groups: &[Group],
    first: usize,
    is_after_mask: bool,
) -> Option<usize> {
    let [area, group, serial] = groups.get(first..first + 3)? else {
        return None;
    };
    let text = |group: &Group| &bytes[group.start..group.end];
    let has_shape = (area.len(), group.len(), serial.len()) == (3, 2, 4)
        && bytes[area.end] == b'-'
        && bytes[group.end] == b'-';
    let is_given = !matches!(text(area), b"000" | b"666" | [b'9', ..])
        && text(group) != b"00"
        && text(serial) != b"0000";
    let is_free_left = match first {
        0 => is_free_before(bytes, area.start),
        _ => is_after_mask || !matches!(bytes[area.start - 1], b'-' | b'.'),
    };
    let is_free_right = match groups.get(first + 3) {
        Some(_) => !matches!(bytes[serial.end], b'-' | b'.'),
        None => is_free_after(bytes, serial.end),
    };
    (has_shape && is_given && is_free_left && is_free_right).then_some(first + 2)
}
