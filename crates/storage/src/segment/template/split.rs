//! How a text is cut into literal parts and variables.
//!
//! No token of `taffrail_model::token` lies across the begin or the end of a variable. It is a token of ASCII
//! letters and digits with a digit in it, or a UUID or an address as a whole. What is left between
//! variables is the literal part, byte for byte. The rule is part of what a template's hash means,
//! so it never changes.
use crate::read::VariableKind;
use std::net::{Ipv4Addr, Ipv6Addr};
use taffrail_model::token::{is_single, is_token_char};

/// Variables of one text: beyond it, it is no line of a log but a list or a dump.
pub(in crate::segment) const VARIABLES_MAX: usize = 64;
/// Bytes of a text that is split: longer ones are documents, which templates do not shorten.
pub(in crate::segment) const SPLIT_BYTES_MAX: usize = 8 << 10;
/// Characters of the longest IPv6 address, with an IPv4 address in it.
const IPV6_BYTES_MAX: usize = 45;

impl VariableKind {
    /// The kind of a stored tag.
    pub(in crate::segment) fn from_tag(tag: u8) -> Option<VariableKind> {
        match tag {
            1 => Some(VariableKind::Token),
            2 => Some(VariableKind::Uuid),
            3 => Some(VariableKind::Ipv4),
            4 => Some(VariableKind::Ipv6),
            5 => Some(VariableKind::Word),
            _ => None,
        }
    }
}

/// A variable of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::segment) struct Span {
    pub start: u32,
    pub end: u32,
    pub kind: VariableKind,
}

/// What a byte is to the rule of tokens.
const SEPARATOR: u8 = 0;
const LETTER: u8 = 1;
const DIGIT: u8 = 2;
const WIDE: u8 = 4;

const CLASSES: [u8; 256] = {
    let mut classes = [SEPARATOR; 256];
    let mut byte = 0;
    while byte < 256 {
        let ascii = byte as u8;
        if ascii >= 0x80 {
            classes[byte] = WIDE;
        } else if ascii.is_ascii_digit() {
            classes[byte] = DIGIT;
        } else if ascii.is_ascii_alphabetic() {
            classes[byte] = LETTER;
        }
        byte += 1;
    }
    classes
};

fn class(bytes: &[u8], at: usize) -> u8 {
    bytes
        .get(at)
        .map_or(SEPARATOR, |byte| CLASSES[usize::from(*byte)])
}

/// Appends the variables of a text, ascending; false if there are too many or the text is too
/// long, and then nothing is appended.
pub(in crate::segment) fn split(text: &str, spans: &mut Vec<Span>) -> bool {
    let before = spans.len();
    if text.len() > SPLIT_BYTES_MAX {
        return false;
    }
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if class(bytes, at) == SEPARATOR {
            at += 1;
            continue;
        }
        let (end, classes) = token_end(text, at);
        let found = match classes & WIDE {
            0 => variable(text, at, end, classes & DIGIT != 0),
            _ => None,
        };
        match found {
            Some((end, kind)) => {
                if spans.len() - before == VARIABLES_MAX {
                    spans.truncate(before);
                    return false;
                }
                spans.push(Span {
                    start: at as u32,
                    end: end as u32,
                    kind,
                });
                at = end;
            }
            None => at = end,
        }
    }
    true
}

/// End of the token that begins at `start`, where no separating ASCII stands, and the classes of
/// its bytes. A wide character that is no token by the rule is passed over as one.
fn token_end(text: &str, start: usize) -> (usize, u8) {
    let (mut at, mut classes) = (start, 0);
    loop {
        // Nearly all tokens are ASCII and end here.
        let rest = &text.as_bytes()[at..];
        let mut run = rest.iter().map(|byte| CLASSES[usize::from(*byte)]);
        let ascii = run.position(|class| {
            classes |= class & (LETTER | DIGIT);
            class & (LETTER | DIGIT) == 0
        });
        at += ascii.unwrap_or(rest.len());
        if class(text.as_bytes(), at) != WIDE {
            return (at, classes);
        }
        let c = text[at..].chars().next().unwrap_or(char::MAX);
        if !is_token_char(c) || is_single(c) {
            return match at == start {
                true => (at + c.len_utf8(), WIDE),
                false => (at, classes),
            };
        }
        classes |= WIDE;
        at += c.len_utf8();
    }
}

/// The variable that begins with the ASCII token `start..end`.
fn variable(
    text: &str,
    start: usize,
    end: usize,
    has_digit: bool,
) -> Option<(usize, VariableKind)> {
    let bytes = text.as_bytes();
    let next = bytes.get(end).copied().unwrap_or(b' ');
    match (next, end - start) {
        (b'-', 8) => {
            if let Some(end) = uuid_end(text, start) {
                return Some((end, VariableKind::Uuid));
            }
        }
        // After a dot it is a part of a longer run, which is no address.
        (b'.', 1..=3) if has_digit && (start == 0 || bytes[start - 1] != b'.') => {
            if let Some(end) = ipv4_end(text, start) {
                return Some((end, VariableKind::Ipv4));
            }
        }
        (b':', 1..=4) => {
            if let Some(end) = ipv6_end(text, start) {
                return Some((end, VariableKind::Ipv6));
            }
        }
        _ => {}
    }
    has_digit.then_some((end, VariableKind::Token))
}

/// Whether a token may end before the byte at `at`.
fn is_end(text: &str, at: usize) -> bool {
    match class(text.as_bytes(), at) {
        SEPARATOR => true,
        WIDE => {
            let c = text[at..].chars().next().unwrap_or(' ');
            !is_token_char(c) || is_single(c)
        }
        _ => false,
    }
}

fn uuid_end(text: &str, start: usize) -> Option<usize> {
    let end = start + 36;
    let bytes = text.as_bytes().get(start..end)?;
    let is_fit = bytes.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    (is_fit && is_end(text, end)).then_some(end)
}

fn ipv4_end(text: &str, start: usize) -> Option<usize> {
    let rest = &text.as_bytes()[start..];
    let is_part = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let mut length = rest
        .iter()
        .take(16)
        .take_while(|byte| is_part(byte))
        .count();
    // A full stop may follow an address.
    if length > 0 && rest[length - 1] == b'.' {
        length -= 1;
    }
    let end = start + length;
    let address = text.get(start..end)?;
    (address.parse::<Ipv4Addr>().is_ok() && is_end(text, end)).then_some(end)
}

fn ipv6_end(text: &str, start: usize) -> Option<usize> {
    let rest = &text.as_bytes()[start..];
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(*byte, b':' | b'.');
    let run = rest.iter().take(IPV6_BYTES_MAX + 1);
    let length = run.take_while(|byte| is_part(byte)).count();
    let end = start + length;
    let address = text.get(start..end)?;
    let colons = address.bytes().filter(|byte| *byte == b':').count();
    if colons < 2 || (colons != 7 && !address.contains("::")) || !is_end(text, end) {
        return None;
    }
    let parsed: Ipv6Addr = address.parse().ok()?;
    (parsed.to_string() == address).then_some(end)
}

/// The hash of a template: of its literal parts and the kinds of its variables, in order.
///
/// Part of the format, never to change: counts by template are joined over segments by it.
pub(in crate::segment) struct TemplateHasher(u64);

impl TemplateHasher {
    pub(in crate::segment) fn new() -> TemplateHasher {
        TemplateHasher(0x243f_6a88_85a3_08d3)
    }

    fn mix(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }

    pub(in crate::segment) fn literal(&mut self, literal: &[u8]) {
        let (words, rest) = literal.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        self.mix(last_word(literal, rest));
        self.mix(literal.len() as u64);
    }

    pub(in crate::segment) fn slot(&mut self, kind: VariableKind) {
        self.mix(1 << 32 | kind as u64);
    }

    pub(in crate::segment) fn finish(&self) -> u64 {
        let mut hash = self.0;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    }
}

/// The bytes behind the last whole word, filled up with zeros. Literal parts are hashed by the
/// million, so they are loaded as words, too.
fn last_word(literal: &[u8], rest: &[u8]) -> u64 {
    let bits = 8 * rest.len() as u32;
    if let (Some(last), 1..) = (literal.last_chunk::<8>(), bits) {
        return u64::from_le_bytes(*last) >> (64 - bits);
    }
    match (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        // They overlap where there are fewer than eight.
        (Some(first), Some(last)) => {
            let last = u64::from(u32::from_le_bytes(*last));
            u64::from(u32::from_le_bytes(*first)) | last << (bits - 32)
        }
        _ => {
            let bytes = rest.iter().rev();
            bytes.fold(0, |word, byte| word << 8 | u64::from(*byte))
        }
    }
}

/// Whether two literal parts are the same.
pub(super) fn is_same_literal(a: &[u8], b: &[u8]) -> bool {
    let ((a_words, a_rest), (b_words, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    a.len() == b.len()
        && a_words
            .iter()
            .zip(b_words)
            .all(|(a, b)| u64::from_le_bytes(*a) == u64::from_le_bytes(*b))
        && last_word(a, a_rest) == last_word(b, b_rest)
}

/// The hash of the template of a text.
pub(in crate::segment) fn hash_of(text: &str, spans: &[Span]) -> u64 {
    let bytes = text.as_bytes();
    let mut hasher = TemplateHasher::new();
    let mut at = 0;
    for span in spans {
        hasher.literal(&bytes[at..span.start as usize]);
        hasher.slot(span.kind);
        at = span.end as usize;
    }
    hasher.literal(&bytes[at..]);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use taffrail_model::token::tokens;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, VariableKind)]) {
        let mut spans = Vec::new();
        assert!(split(text, &mut spans));
        let found: Vec<_> = spans
            .iter()
            .map(|span| (&text[span.start as usize..span.end as usize], span.kind))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn tokens_with_a_digit_are_variables() {
        use VariableKind::{Ipv4, Ipv6, Token, Uuid};
        check("", &[]);
        check("no variable here", &[]);
        check("took 15 ms", &[("15", Token)]);
        check("blk_-1608 of 7b", &[("1608", Token), ("7b", Token)]);
        check("12.5% a1b", &[("12", Token), ("5", Token), ("a1b", Token)]);
        check("from 10.0.0.7:80.", &[("10.0.0.7", Ipv4), ("80", Token)]);
        check("at 10.0.0.7.", &[("10.0.0.7", Ipv4)]);
        check(
            "1.2.3.4.5",
            &[
                ("1", Token),
                ("2", Token),
                ("3", Token),
                ("4", Token),
                ("5", Token),
            ],
        );
        check(
            "1.2.3.256",
            &[("1", Token), ("2", Token), ("3", Token), ("256", Token)],
        );
        check(
            "5fe9c0f0-4bec-4902-8f49-db78cd1d06df!",
            &[("5fe9c0f0-4bec-4902-8f49-db78cd1d06df", Uuid)],
        );
        check(
            "5fe9c0f0-4bec-4902-8f49-db78cd1d06df0",
            &[
                ("5fe9c0f0", Token),
                ("4bec", Token),
                ("4902", Token),
                ("8f49", Token),
                ("db78cd1d06df0", Token),
            ],
        );
        check("[fe80::1]:9", &[("fe80::1", Ipv6), ("9", Token)]);
        check("1:: 7", &[("1::", Ipv6), ("7", Token)]);
        check("12:34:56", &[("12", Token), ("34", Token), ("56", Token)]);
        check("a::b std::dec", &[("a::b", Ipv6)]);
    }

    #[test]
    fn what_is_wide_is_literal_unless_the_rule_separates() {
        use VariableKind::Token;
        check("日5日", &[("5", Token)]);
        check("é5 5é 5\u{301} ٣4", &[]);
        check("5😀6", &[("5", Token), ("6", Token)]);
    }

    #[test]
    fn texts_at_the_limits_are_split_and_past_them_are_not() {
        let mut spans = vec![];
        assert!(split(&"7 ".repeat(VARIABLES_MAX), &mut spans));
        assert_eq!(spans.len(), VARIABLES_MAX);
        assert!(!split(&"7 ".repeat(VARIABLES_MAX + 1), &mut spans));
        assert_eq!(spans.len(), VARIABLES_MAX);
        assert!(split(&"x".repeat(SPLIT_BYTES_MAX), &mut spans));
        assert!(!split(&"x".repeat(SPLIT_BYTES_MAX + 1), &mut spans));
    }

    proptest! {
        #[test]
        fn literal_parts_are_hashed_as_the_format_says(literal: Vec<u8>) {
            let mut hasher = TemplateHasher::new();
            hasher.literal(&literal);
            let mut expected = TemplateHasher::new();
            let mut padded = literal.clone();
            padded.resize(literal.len() / 8 * 8 + 8, 0);
            for word in padded.chunks(8) {
                expected.mix(u64::from_le_bytes(word.try_into().unwrap()));
            }
            expected.mix(literal.len() as u64);
            prop_assert_eq!(hasher.finish(), expected.finish());
        }

        #[test]
        fn literal_parts_are_the_same_if_their_bytes_are(
            a in prop::collection::vec(0u8..3, 0..20),
            b in prop::collection::vec(0u8..3, 0..20),
            at: prop::sample::Index,
        ) {
            prop_assert_eq!(is_same_literal(&a, &b), a == b);
            let mut other = a.clone();
            prop_assert!(is_same_literal(&a, &other));
            if !a.is_empty() {
                other[at.index(a.len())] ^= 0x80;
                prop_assert!(!is_same_literal(&a, &other));
            }
        }

        #[test]
        fn variables_begin_and_end_where_tokens_do(text in "([a-f0-9:.\\- ]|\\PC){0,60}") {
            let mut spans = Vec::new();
            prop_assert!(split(&text, &mut spans));
            let tokens: Vec<_> = tokens(&text).collect();
            let mut at = 0;
            for span in spans {
                let (start, end) = (span.start as usize, span.end as usize);
                prop_assert!(at <= start && start < end);
                prop_assert!(tokens.iter().any(|token| token.0 == start));
                // An IPv6 address may end with colons, which are in no token.
                let is_across = |token: &(usize, usize)| token.0 < end && end < token.1;
                prop_assert!(!tokens.iter().any(is_across));
                if span.kind != VariableKind::Ipv6 {
                    prop_assert!(tokens.iter().any(|token| token.1 == end));
                }
                if span.kind == VariableKind::Token {
                    prop_assert!(tokens.contains(&(start, end)));
                }
                at = end;
            }
        }
    }
}
