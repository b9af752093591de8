//! Terms: what the index of a prose column knows of a text.
//!
//! The encoder first makes a text *plain*: every byte of a character that is not of a token becomes
//! zero. So a token is a run of bytes without a zero, found and hashed eight bytes at a time where
//! it stands. Texts with characters that are tokens by themselves are cut by the token rule itself.
//!
//! A token is its own term unless it is very long, or the column has much encoded data: its
//! identifiers would make the index as large as the column. Such tokens have a *cut* term, their
//! first bytes and [`CUT`], which many tokens may share; values with it are candidates only. No token
//! holds [`CUT`] or [`NUMBER`], so that all terms can stand in one dictionary.
use taffrail_model::token::{is_single, is_token_char, tokens};

/// Ends a term that stands for all tokens that begin like it.
pub(in crate::segment) const CUT: u8 = 0xff;
/// The term of values that read as a number as a whole. No token has a zero byte.
pub(in crate::segment) const NUMBER: &[u8] = &[0];
/// Begins the term of two common words that follow one another, and stands between them.
pub(in crate::segment) const PAIR: u8 = b' ';
/// Longest token that is its own term in prose: words of every language, names of code, keys. What
/// is longer is encoded data, and its values are candidates of every search for part of a word.
const TOKEN_BYTES_WHOLE: usize = 512;
/// The same in a column with much encoded data, for tokens with a digit.
const DATA_BYTES_WHOLE: usize = 16;
/// What is kept of a token that is cut, if it has a digit: 40 bits of a hexadecimal hash tell a
/// section's values apart.
const DATA_BYTES_KEPT: usize = 10;
/// What is kept of any other.
const WORD_BYTES_KEPT: usize = 32;
/// Bytes of the longest term.
pub(in crate::segment) const TERM_BYTES_MAX: usize = TOKEN_BYTES_WHOLE;
/// Bytes of a word that may be common: those that are, are short.
pub(in crate::segment) const COMMON_BYTES_MAX: usize = 24;
const _: () = assert!(TERM_BYTES_MAX >= 2 * COMMON_BYTES_MAX + 2);
const _: () = assert!(TERM_BYTES_MAX >= CUT_BYTES_MAX);
/// Bytes of a cut term at the most.
pub(in crate::segment) const CUT_BYTES_MAX: usize = WORD_BYTES_KEPT + 1;
/// Zero bytes after a plain text, so that eight bytes can be read from each of its places.
const PADDING: usize = 8;
const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// A text made plain. Kept from text to text for its memory.
#[derive(Default)]
pub(in crate::segment) struct Plain {
    bytes: Vec<u8>,
    has_single: bool,
}

/// A token where it stands in its text, or a separator or term from elsewhere.
#[derive(Clone, Copy)]
pub(in crate::segment) struct Token<'a> {
    /// Its bytes.
    pub text: &'a [u8],
    /// Its first sixteen bytes, lowest first, zeros past its end.
    pub head: [u64; 2],
    /// A hash of all its bytes.
    pub hash: u64,
}

impl Plain {
    /// Makes another text plain.
    pub(in crate::segment) fn set(&mut self, text: &str) {
        self.bytes.clear();
        self.has_single = false;
        self.bytes.reserve(text.len() + PADDING);
        if text.is_ascii() {
            self.bytes.extend(text.bytes().map(plain_byte));
        } else {
            self.push_mixed(text);
        }
        self.bytes.extend_from_slice(&[0; PADDING]);
    }

    fn push_mixed(&mut self, text: &str) {
        let mut rest = text;
        while let Some(wide_at) = rest.bytes().position(|byte| byte >= 0x80) {
            let (narrow, wide) = rest.split_at(wide_at);
            self.bytes.extend(narrow.bytes().map(plain_byte));
            let mut wide = wide.chars();
            if let Some(c) = wide.next() {
                self.push_wide(c);
            }
            rest = wide.as_str();
        }
        self.bytes.extend(rest.bytes().map(plain_byte));
    }

    fn push_wide(&mut self, c: char) {
        let mut buffer = [0; 4];
        let bytes = c.encode_utf8(&mut buffer).as_bytes();
        match is_token_char(c) {
            true => self.bytes.extend_from_slice(bytes),
            false => self.bytes.extend(bytes.iter().map(|_| 0)),
        }
        self.has_single |= is_single(c);
    }

    /// Places of the tokens of the text that was made plain, in order, each with its token.
    pub(in crate::segment) fn for_each_token<'a>(
        &self,
        text: &'a str,
        mut each: impl FnMut(usize, Token<'a>),
    ) {
        let bytes = text.as_bytes();
        if self.has_single {
            for (start, end) in tokens(text) {
                let token = bytes.get(start..end).unwrap_or_default();
                each(start, Token::of_term(token));
            }
            return;
        }
        let places = Places {
            bytes: &self.bytes,
            at: 0,
        };
        for place in places {
            let token = Token {
                text: bytes.get(place.start..place.end).unwrap_or_default(),
                head: place.head,
                hash: place.hash,
            };
            each(place.start, token);
        }
    }
}

/// What an ASCII byte becomes. Without a branch or a table, so that it is done for many at once.
fn plain_byte(byte: u8) -> u8 {
    let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let is_digit = byte.wrapping_sub(b'0') < 10;
    if is_letter | is_digit { byte } else { 0 }
}

/// The runs without a zero of a plain text.
struct Places<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// One of them.
struct Place {
    start: usize,
    end: usize,
    head: [u64; 2],
    hash: u64,
}

/// The eight bytes from `at` on, lowest first; `None` past the end.
fn eight(bytes: &[u8], at: usize) -> Option<u64> {
    let rest = bytes.get(at..)?;
    rest.first_chunk::<8>().copied().map(u64::from_le_bytes)
}

/// How many of eight bytes come before the first zero: eight if there is none.
fn before_zero(eight: u64) -> usize {
    let zeros = eight.wrapping_sub(LOW) & !eight & HIGH;
    (zeros.trailing_zeros() / 8) as usize
}

impl Iterator for Places<'_> {
    type Item = Place;

    #[inline]
    fn next(&mut self) -> Option<Place> {
        let mut start = self.at;
        let first = loop {
            // Fewer than eight bytes are left of the padding only.
            let eight = eight(self.bytes, start)?;
            if eight & 0xff != 0 {
                break eight;
            }
            start += (eight.trailing_zeros() / 8) as usize;
        };
        let width = before_zero(first);
        if width < 8 {
            let head = first & ((1 << (8 * width)) - 1);
            let end = start + width;
            self.at = end + 1;
            return Some(Place {
                start,
                end,
                head: [head, 0],
                hash: mix(head, width as u64),
            });
        }
        let mut end = start + 8;
        let mut hash = first;
        let mut second = None;
        loop {
            let mut next = eight(self.bytes, end).unwrap_or_default();
            let width = before_zero(next);
            if width < 8 {
                next &= (1 << (8 * width)) - 1;
            }
            end += width;
            hash = mix(hash, next);
            second.get_or_insert(next);
            if width < 8 {
                break;
            }
        }
        self.at = end + 1;
        Some(Place {
            start,
            end,
            head: [first, second.unwrap_or_default()],
            hash: mix(hash, (end - start) as u64),
        })
    }
}

/// Two words to one, every bit of it depending on every bit of both (the multiplication of wyhash).
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xd6e8_feb8_6659_fd93);
    (product as u64) ^ (product >> 64) as u64
}

impl<'a> Token<'a> {
    /// A token or term that comes from elsewhere.
    pub(in crate::segment) fn of_term(text: &'a [u8]) -> Token<'a> {
        let word = |at: usize| {
            let mut eight = [0; 8];
            for (to, from) in eight.iter_mut().zip(text.iter().skip(at)) {
                *to = *from;
            }
            u64::from_le_bytes(eight)
        };
        let head = word(0);
        // The word in which the text ends counts even if nothing of the text is in it.
        let rest = (8..text.len() + 1).step_by(8).map(word);
        Token {
            text,
            head: [head, word(8)],
            hash: mix(rest.fold(head, mix), text.len() as u64),
        }
    }
}

/// Which tokens of a column are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::segment) enum Cutting {
    /// Those that are longer than any word.
    Longest,
    /// Identifiers and encoded data too.
    Data,
}

/// How many bytes the term of a token keeps that is longer than [`DATA_BYTES_WHOLE`]; `None` if the
/// token is its own term.
fn kept_of_long(token: &[u8], cutting: Cutting) -> Option<usize> {
    let is_data = token.iter().any(u8::is_ascii_digit);
    if token.len() <= TOKEN_BYTES_WHOLE && !(is_data && cutting == Cutting::Data) {
        return None;
    }
    let kept = match is_data {
        true => DATA_BYTES_KEPT,
        false => WORD_BYTES_KEPT,
    };
    // Not within a character.
    let is_inside = |at: &usize| token.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (0..=kept).rev().find(|at| !is_inside(at))
}

/// The term of a folded token, and whether it is cut.
pub(in crate::segment) fn term_of(token: &str, cutting: Cutting) -> (Vec<u8>, bool) {
    let bytes = token.as_bytes();
    let kept = match bytes.len() > DATA_BYTES_WHOLE {
        true => kept_of_long(bytes, cutting),
        false => None,
    };
    match kept {
        Some(kept) => {
            let mut term = bytes.get(..kept).unwrap_or_default().to_vec();
            term.push(CUT);
            (term, true)
        }
        None => (bytes.to_vec(), false),
    }
}

/// The term of two common words.
pub(in crate::segment) fn pair_of(first: &[u8], second: &[u8]) -> Vec<u8> {
    [&[PAIR], first, &[PAIR], second].concat()
}

/// Whether a text reads as a number as a whole, of which a search for a number may mean the value.
pub(in crate::segment) fn reads_as_number(text: &str) -> bool {
    let first = text.bytes().find(|byte| !matches!(byte, b'+' | b'-'));
    first.is_some_and(|first| first.is_ascii_digit() || first == b'.')
        && text.parse::<f64>().is_ok()
}
