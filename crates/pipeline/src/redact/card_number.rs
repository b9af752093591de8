//! Payment card numbers: prefix of an issuer, the length that goes with it, and the check digit.
//!
//! The check digit alone would mask a tenth of all long ids. Groups of a written number have
//! three digits and more (but the last), so a list of small numbers is no card.
use super::digits::{Group, is_free_after, is_free_before};

/// Most digits of a card number.
const DIGITS_MAX: usize = 19;
/// Fewest digits of a card number.
const DIGITS_MIN: usize = 13;
/// Fewest digits of a group that is not the last.
const GROUP_DIGITS_MIN: usize = 3;
/// Most digits of a group beside a dot: a longer one is a number with decimals.
const DOTTED_DIGITS_MAX: usize = 6;

/// First and last prefix (of the same number of digits) and the lengths that go with it.
const ISSUERS: &[(u32, u32, &[usize])] = &[
    (4, 4, &[13, 16, 19]),               // Visa
    (51, 55, &[16]),                     // Mastercard
    (2221, 2720, &[16]),                 // Mastercard
    (34, 34, &[15]),                     // American Express
    (37, 37, &[15]),                     // American Express
    (6011, 6011, &[16, 19]),             // Discover
    (644, 649, &[16, 19]),               // Discover
    (65, 65, &[16, 19]),                 // Discover
    (300, 305, &[14, 16]),               // Diners Club
    (36, 36, &[14]),                     // Diners Club
    (38, 39, &[14, 16]),                 // Diners Club
    (3528, 3589, &[16, 19]),             // JCB
    (62, 62, &[16, 17, 18, 19]),         // UnionPay
    (2200, 2204, &[16]),                 // Mir
    (5018, 5018, &[13, 15, 16, 18, 19]), // Maestro
    (5020, 5020, &[13, 15, 16, 18, 19]), // Maestro
    (5038, 5038, &[13, 15, 16, 18, 19]), // Maestro
    (6304, 6304, &[13, 15, 16, 18, 19]), // Maestro
    (6759, 6759, &[13, 15, 16, 18, 19]), // Maestro
    (6761, 6763, &[13, 15, 16, 18, 19]), // Maestro
];

/// The last group of the longest card number that begins with group `first`.
pub(super) fn starting_at(
    bytes: &[u8],
    groups: &[Group],
    first: usize,
    is_after_mask: bool,
) -> Option<usize> {
    if !is_after_mask && !is_free_before(bytes, groups[first].start) {
        return None;
    }
    let mut digits = [0u8; DIGITS_MAX];
    let mut count = 0;
    let mut found = None;
    for (index, group) in groups.iter().enumerate().skip(first) {
        if count + group.len() > DIGITS_MAX {
            break;
        }
        let follows_dot = index > first && bytes[group.start - 1] == b'.';
        if follows_dot
            && (groups[index - 1].len() > DOTTED_DIGITS_MAX || group.len() > DOTTED_DIGITS_MAX)
        {
            break;
        }
        for byte in &bytes[group.start..group.end] {
            digits[count] = byte - b'0';
            count += 1;
        }
        let is_free = is_free_after(bytes, group.end);
        if is_free
            && is_card(&digits[..count])
            && !is_in_uuid(bytes, groups[first].start, group.end)
        {
            found = Some(index);
        }
        if group.len() < GROUP_DIGITS_MIN {
            break;
        }
    }
    found
}

fn is_card(digits: &[u8]) -> bool {
    digits.len() >= DIGITS_MIN && is_issued(digits) && passes_luhn(digits)
}

fn is_issued(digits: &[u8]) -> bool {
    ISSUERS.iter().any(|(low, high, lengths)| {
        let width = low.checked_ilog10().map_or(1, |log| log as usize + 1);
        let prefix = digits[..width]
            .iter()
            .fold(0u32, |sum, digit| sum * 10 + u32::from(*digit));
        (*low..=*high).contains(&prefix) && lengths.contains(&digits.len())
    })
}

fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => u32::from(*digit),
            _ => match u32::from(*digit) * 2 {
                double @ 0..=9 => double,
                double => double - 9,
            },
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether the range is part of a UUID whose neighbouring digits look like a card number.
fn is_in_uuid(bytes: &[u8], start: usize, end: usize) -> bool {
    let lowest = start.saturating_sub(36);
    (lowest..=start).any(|at| {
        at + 36 >= end
            && bytes.get(at..at + 36).is_some_and(|window| {
                window.iter().enumerate().all(|(place, byte)| match place {
                    8 | 13 | 18 | 23 => *byte == b'-',
                    _ => byte.is_ascii_hexdigit(),
                })
            })
    })
}
