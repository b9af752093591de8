//! Reads JSON tokens from bytes, strictly by RFC 8259.
//!
//! Invariants
//! - The position never passes the end, and every step of a loop moves it: time is linear.
//! - No recursion: nesting costs one byte of a stack on the heap, so depth cannot overflow.
//! - Offsets that are returned lie on ASCII bytes, so they are character boundaries of the text
//!   that the bytes come from.
//!
//! Strings are scanned eight bytes at a time within a register, which at the length of log
//! texts is as fast as wider instructions and needs no unsafe code.
use std::ops::Range;
use taffrail_model::column::Kind;

/// What is wrong with a text, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    /// Byte offset in the cursor's bytes.
    pub(super) at: usize,
    /// What would be right.
    pub(super) expected: &'static str,
}

/// Kinds of faults; all but `Syntax` leave the text well-formed, so that what follows the record
/// can still be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// Not JSON.
    Syntax,
    /// An escape that names half of a surrogate pair: well-formed, but no character.
    LoneSurrogate,
    /// Past the limit of nesting.
    TooDeep,
    /// A field name past its limit.
    NameTooLong,
    /// Past the limit of a record.
    TooLarge,
    /// JSON, but no object.
    NotAnObject,
}

/// Whether half surrogate pairs are faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surrogates {
    Paired,
    Any,
}

/// A position in bytes of JSON.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

const EXPECTED_VALUE: &str =
    "a value is expected: a string, number, object, array, true, false or null";
const CONTROL_CHARACTER: &str =
    "a control character in a string must be written as an escape such as \\n or \\u0000";

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[cold]
    pub(super) fn fault<T>(&self, expected: &'static str) -> Result<T, Fault> {
        Err(Fault {
            kind: FaultKind::Syntax,
            at: self.at,
            expected,
        })
    }

    /// Moves past blanks (space, tab, line feed, carriage return).
    #[inline]
    pub(super) fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Moves past one expected byte.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Fault> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        self.fault(expected)
    }

    /// A string whose opening quote is behind the position: moves past its closing quote and
    /// returns where its text stands and whether it has escapes. Escapes are checked.
    #[inline]
    pub(super) fn string(&mut self, surrogates: Surrogates) -> Result<(Range<usize>, bool), Fault> {
        let start = self.at;
        self.at = plain_end(self.bytes, start);
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok((start..self.at - 1, false));
        }
        self.string_with_escapes(start, surrogates)
    }

    fn string_with_escapes(
        &mut self,
        start: usize,
        surrogates: Surrogates,
    ) -> Result<(Range<usize>, bool), Fault> {
        let mut has_escape = false;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((start..self.at - 1, has_escape));
                }
                Some(b'\\') => {
                    has_escape = true;
                    self.escape(surrogates)?;
                }
                Some(_) => return self.fault(CONTROL_CHARACTER),
                None => return self.fault("the string is not closed: `\"` is expected"),
            }
            self.at = plain_end(self.bytes, self.at);
        }
    }

    /// Moves past one escape (two for a surrogate pair) and returns its character; an unpaired
    /// surrogate, if allowed, is U+FFFD.
    fn escape(&mut self, surrogates: Surrogates) -> Result<char, Fault> {
        let start = self.at;
        let c = match self.bytes.get(start + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(start, surrogates),
            _ => {
                return self
                    .fault("an escape is one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX");
            }
        };
        self.at = start + 2;
        Ok(c)
    }

    fn unicode_escape(&mut self, start: usize, surrogates: Surrogates) -> Result<char, Fault> {
        let high = self.four_digits(start)?;
        self.at = start + 6;
        if let Some(c) = char::from_u32(high) {
            return Ok(c);
        }
        let is_high = high < 0xdc00;
        if is_high && self.bytes.get(self.at..self.at + 2) == Some(b"\\u") {
            let low = self.four_digits(self.at)?;
            if (0xdc00..0xe000).contains(&low) {
                self.at += 6;
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        }
        if surrogates == Surrogates::Any {
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        Err(Fault {
            kind: FaultKind::LoneSurrogate,
            at: start,
            expected: "an escape of a surrogate must be one of a pair, such as \\ud83d\\ude00",
        })
    }

    fn four_digits(&self, escape: usize) -> Result<u32, Fault> {
        let mut code = 0;
        for at in escape + 2..escape + 6 {
            let digit = self
                .bytes
                .get(at)
                .and_then(|byte| char::from(*byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(Fault {
                    kind: FaultKind::Syntax,
                    at: escape,
                    expected: "\\u must be followed by four hexadecimal digits",
                });
            };
            code = code << 4 | digit;
        }
        Ok(code)
    }

    /// A number: moves past it and returns its kind and place.
    #[inline]
    pub(super) fn number(&mut self) -> Result<(Kind, Range<usize>), Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if let Some(b'0'..=b'9') = self.peek() {
                return self.fault("a number must not begin with 0 unless it is 0 or 0.x");
            }
        } else {
            self.digits("a digit is expected")?;
        }
        let mut kind = Kind::Integer;
        if self.peek() == Some(b'.') {
            kind = Kind::Float;
            self.at += 1;
            self.digits("a digit is expected after the decimal point")?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            kind = Kind::Float;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits("a digit is expected in the exponent")?;
        }
        Ok((kind, start..self.at))
    }

    #[inline]
    fn digits(&mut self, expected: &'static str) -> Result<(), Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            return self.fault(expected);
        }
        Ok(())
    }

    /// `true`, `false` or `null`: moves past it.
    #[inline]
    pub(super) fn word(&mut self, word: &'static str) -> Result<(), Fault> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        self.fault(EXPECTED_VALUE)
    }

    /// One value of any kind: moves past it and hands the places of all that counts (not the
    /// blanks between tokens) to `emit`, in order. `levels` is how deep it may nest.
    pub(super) fn value(
        &mut self,
        levels: usize,
        surrogates: Surrogates,
        emit: &mut impl FnMut(Range<usize>),
    ) -> Result<(), Fault> {
        // One closing bracket for each open object or array.
        let mut open: Vec<u8> = Vec::new();
        loop {
            self.skip_blanks();
            let start = self.at;
            match self.peek() {
                Some(opening @ (b'{' | b'[')) => {
                    if open.len() == levels {
                        return Err(Fault {
                            kind: FaultKind::TooDeep,
                            at: start,
                            expected: "",
                        });
                    }
                    // The closing brackets follow the opening ones by 2 in ASCII.
                    let closing = opening + 2;
                    self.at += 1;
                    emit(start..self.at);
                    self.skip_blanks();
                    if self.peek() != Some(closing) {
                        open.push(closing);
                        if opening == b'{' {
                            self.name(surrogates, emit)?;
                        }
                        continue;
                    }
                    emit(self.at..self.at + 1);
                    self.at += 1;
                }
                Some(b'"') => {
                    self.at += 1;
                    self.string(surrogates)?;
                    emit(start..self.at);
                }
                Some(b'-' | b'0'..=b'9') => {
                    let (_, place) = self.number()?;
                    emit(place);
                }
                first => {
                    self.word(match first {
                        Some(b't') => "true",
                        Some(b'f') => "false",
                        _ => "null",
                    })?;
                    emit(start..self.at);
                }
            }
            if self.after_value(&mut open, surrogates, emit)? {
                return Ok(());
            }
        }
    }

    /// What follows a value: closing brackets, then a comma and, in an object, the next name.
    /// Whether the outermost value is complete.
    fn after_value(
        &mut self,
        open: &mut Vec<u8>,
        surrogates: Surrogates,
        emit: &mut impl FnMut(Range<usize>),
    ) -> Result<bool, Fault> {
        while let Some(closing) = open.last().copied() {
            self.skip_blanks();
            let found = self.peek();
            if found != Some(closing) && found != Some(b',') {
                return self.fault(if closing == b'}' {
                    "`,` or `}` is expected after a value"
                } else {
                    "`,` or `]` is expected after a value"
                });
            }
            emit(self.at..self.at + 1);
            self.at += 1;
            if found == Some(b',') {
                if closing == b'}' {
                    self.name(surrogates, emit)?;
                }
                return Ok(false);
            }
            open.pop();
        }
        Ok(true)
    }

    /// A name and its colon.
    fn name(
        &mut self,
        surrogates: Surrogates,
        emit: &mut impl FnMut(Range<usize>),
    ) -> Result<(), Fault> {
        self.skip_blanks();
        let start = self.at;
        self.expect(b'"', EXPECTED_NAME)?;
        self.string(surrogates)?;
        emit(start..self.at);
        self.skip_blanks();
        self.expect(b':', EXPECTED_COLON)?;
        emit(self.at - 1..self.at);
        Ok(())
    }
}

pub(super) const EXPECTED_NAME: &str = "a field name in double quotes is expected";
pub(super) const EXPECTED_COLON: &str = "`:` is expected after a field name";

/// The text of a string with escapes that [`Cursor::string`] has accepted, appended to `out`.
pub(super) fn unescape_into(text: &str, out: &mut String) {
    let mut cursor = Cursor::new(text.as_bytes());
    while cursor.at < text.len() {
        let start = cursor.at;
        cursor.at = memchr::memchr(b'\\', &cursor.bytes[start..]).map_or(text.len(), |n| start + n);
        out.push_str(&text[start..cursor.at]);
        if cursor.at < text.len() {
            match cursor.escape(Surrogates::Any) {
                Ok(c) => out.push(c),
                // Not reachable for an accepted string; the loop ends in any case.
                Err(_) => cursor.at += 1,
            }
        }
    }
}

/// `text` as a JSON string, appended to `out`.
pub(crate) fn escape_into(text: &str, out: &mut String) {
    use std::fmt::Write;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing to a string does not fail.
            c if c < ' ' => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The first byte from `from` on that ends plain text of a string: a quote, a backslash or a
/// control character; the length if there is none.
#[inline]
fn plain_end(bytes: &[u8], from: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = from;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        // The high bit of the lowest byte that matches is right in each term; those above it may
        // not be, which is why only the lowest is used.
        let found = (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let found = found & HIGH;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if *byte < 0x20 || *byte == b'"' || *byte == b'\\' {
            break;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_ends_at_the_first_special_byte() {
        for length in 0..40 {
            for at in 0..=length {
                for special in [b'"', b'\\', 0x1f, 0, b'\n'] {
                    let mut bytes = vec![b'x'; length];
                    let mut expected = length;
                    if at < length {
                        bytes[at] = special;
                        expected = at;
                    }
                    assert_eq!(plain_end(&bytes, 0), expected);
                }
            }
        }
        // Neighbours of the special bytes, and bytes above ASCII, are plain.
        let plain: Vec<u8> = (0x20..=0xff)
            .filter(|b| *b != b'"' && *b != b'\\')
            .collect();
        assert_eq!(plain_end(&plain, 0), plain.len());
    }

    #[test]
    fn escapes_round_trip() {
        let text = "a\"\\\n\r\t\u{1}é😀\u{7f}";
        let mut json = String::new();
        escape_into(text, &mut json);
        let mut back = String::new();
        unescape_into(&json[1..json.len() - 1], &mut back);
        assert_eq!(back, text);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn a_deep_value_needs_no_deep_stack() {
        let text = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        let mut cursor = Cursor::new(text.as_bytes());
        cursor
            .value(usize::MAX, Surrogates::Any, &mut |_| {})
            .unwrap();
        assert_eq!(cursor.at, text.len());
        let mut cursor = Cursor::new(text.as_bytes());
        let fault = cursor.value(31, Surrogates::Any, &mut |_| {}).unwrap_err();
        assert_eq!((fault.kind, fault.at), (FaultKind::TooDeep, 31));
    }
}
