//! Runs of digits in text, in which card and social security numbers are looked for.
//!
//! A run is digits with one of [`SEPARATORS`] between them; a group is what stands between two of
//! these. No number that is looked for is shorter than [`RUN_BYTES_MIN`], so one byte of each
//! so many is enough to find every run that is long enough.
use super::{Edit, Redactor, Scratch, card_number, count, social_security};
use crate::clean::BatchCounts;

/// Bytes of the shortest number that is looked for: `123-45-6789`.
pub(super) const RUN_BYTES_MIN: usize = 11;

/// What people and programs write between the groups of a number.
const SEPARATORS: &[&str] = &[
    " ", "-", ".", "\t", "  ", "\u{a0}", "\u{2009}", "\u{202f}", "\u{2010}", "\u{2011}", "\u{2013}",
];
/// Bytes of the longest of them.
const SEPARATOR_BYTES_MAX: usize = 3;

/// Digits without a separator, as a byte range of the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Group {
    pub(super) fn len(self) -> usize {
        self.end - self.start
    }
}

impl Redactor {
    /// Card and social security numbers of a text.
    pub(super) fn find_numbers(
        &self,
        text: &str,
        scratch: &mut Scratch,
        counts: &mut BatchCounts,
    ) -> Vec<Edit> {
        let bytes = text.as_bytes();
        let mut edits = Vec::new();
        let mut floor = 0;
        let mut at = RUN_BYTES_MIN - 1;
        while at < bytes.len() {
            if !is_in_run(bytes, at) {
                at += RUN_BYTES_MIN;
                continue;
            }
            let (start, end) = run_around(bytes, at, floor);
            if end - start >= RUN_BYTES_MIN {
                self.find_in_run(bytes, start, end, &mut scratch.groups, &mut edits, counts);
            }
            floor = end;
            at = end + RUN_BYTES_MIN - 1;
        }
        edits
    }

    fn find_in_run(
        &self,
        bytes: &[u8],
        start: usize,
        end: usize,
        groups: &mut Vec<Group>,
        edits: &mut Vec<Edit>,
        counts: &mut BatchCounts,
    ) {
        split(bytes, start, end, groups);
        let mut first = 0;
        // Whether the group before was masked: then it is no neighbour.
        let mut is_after_mask = false;
        while first < groups.len() {
            let found = card_number::starting_at(bytes, groups, first, is_after_mask)
                .map(|last| (last, &self.card))
                .or_else(|| {
                    social_security::starting_at(bytes, groups, first, is_after_mask)
                        .map(|last| (last, &self.social_security))
                });
            let Some((last, mask)) = found else {
                first += 1;
                is_after_mask = false;
                continue;
            };
            count(counts, mask);
            edits.push(Edit {
                start: groups[first].start,
                end: groups[last].end,
                text: mask.text.to_string(),
            });
            first = last + 1;
            is_after_mask = true;
        }
    }
}

fn is_digit(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(u8::is_ascii_digit)
}

fn is_in_run(bytes: &[u8], at: usize) -> bool {
    match bytes[at] {
        b'0'..=b'9' => true,
        b' ' | b'-' | b'.' | b'\t' | 0x80.. => is_in_separator(bytes, at),
        _ => false,
    }
}

/// Whether the byte belongs to a separator with a digit on each side.
fn is_in_separator(bytes: &[u8], at: usize) -> bool {
    let lowest = at.saturating_sub(SEPARATOR_BYTES_MAX);
    let Some(before) = (lowest..at).rev().find(|at| is_digit(bytes, *at)) else {
        return false;
    };
    let highest = before + SEPARATOR_BYTES_MAX + 1;
    let Some(after) = (at + 1..=highest).find(|at| is_digit(bytes, *at)) else {
        return false;
    };
    SEPARATORS
        .iter()
        .any(|separator| separator.as_bytes() == &bytes[before + 1..after])
}

/// The run that the byte belongs to, not reaching below `floor`.
fn run_around(bytes: &[u8], at: usize, floor: usize) -> (usize, usize) {
    let mut start = at;
    while start > floor && is_in_run(bytes, start - 1) {
        start -= 1;
    }
    let mut end = at + 1;
    while end < bytes.len() && is_in_run(bytes, end) {
        end += 1;
    }
    (start, end)
}

fn split(bytes: &[u8], start: usize, end: usize, groups: &mut Vec<Group>) {
    groups.clear();
    let mut at = start;
    for piece in bytes[start..end].split(|byte| !byte.is_ascii_digit()) {
        if !piece.is_empty() {
            groups.push(Group {
                start: at,
                end: at + piece.len(),
            });
        }
        at += piece.len() + 1;
    }
}

/// Whether a number may begin here: no letter, digit, underscore or decimal point stands before
/// it, nor an underscore and a sign (`blk_-4…` is one identifier). Other scripts write without
/// blanks, so only ASCII counts.
pub(super) fn is_free_before(bytes: &[u8], start: usize) -> bool {
    match bytes[..start] {
        [.., before, b'.'] => !before.is_ascii_digit(),
        [.., b'_', b'-'] => false,
        [.., before] => !is_word_byte(before),
        [] => true,
    }
}

/// Whether a number may end here: no letter, digit, underscore or decimal fraction follows.
pub(super) fn is_free_after(bytes: &[u8], end: usize) -> bool {
    match bytes.get(end) {
        Some(b'.') => !is_digit(bytes, end + 1),
        Some(byte) => !is_word_byte(*byte),
        None => true,
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
