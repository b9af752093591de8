//! Texts of one form whose content is a number of fixed width: UUIDs, hexadecimal digits of one
//! length, IP addresses.
//!
//! A value is the number as `u128`; bits that are the same in every value of the column (the
//! version of a UUID, the network of an address) are kept once, the others are squeezed together,
//! which keeps their order. Hexadecimal texts longer than 32 digits are kept as nibbles.
use super::wire::Flaw;
use std::{
    fmt::Write,
    net::{Ipv4Addr, Ipv6Addr},
};

/// Digits of the longest hexadecimal text that is packed: a SHA-512 with room.
const HEX_DIGITS_MAX: usize = 256;
/// Shorter hexadecimal texts gain nothing against a dictionary.
const HEX_DIGITS_MIN: usize = 4;
/// Runs of varying bits that are told apart: a UUID needs three; more would cost time, not space.
const RUNS_MAX: usize = 6;

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `8-4-4-4-12` lower-case hexadecimal digits.
    Uuid,
    /// Lower-case hexadecimal digits.
    HexLower(usize),
    /// Upper-case hexadecimal digits.
    HexUpper(usize),
    /// Dotted decimal.
    Ipv4,
    /// RFC 5952.
    Ipv6,
}

impl Form {
    /// Tag and number of digits, as stored.
    pub(super) fn tag(self) -> (u8, usize) {
        match self {
            Form::Uuid => (1, 32),
            Form::HexLower(digits) => (2, digits),
            Form::HexUpper(digits) => (3, digits),
            Form::Ipv4 => (4, 0),
            Form::Ipv6 => (5, 0),
        }
    }

    pub(super) fn from_tag(tag: u8, digits: usize) -> Result<Form, Flaw> {
        let is_fit = (HEX_DIGITS_MIN..=HEX_DIGITS_MAX).contains(&digits);
        match tag {
            1 => Ok(Form::Uuid),
            2 if is_fit => Ok(Form::HexLower(digits)),
            3 if is_fit => Ok(Form::HexUpper(digits)),
            4 => Ok(Form::Ipv4),
            5 => Ok(Form::Ipv6),
            _ => Err(Flaw("a form of fixed width is unknown")),
        }
    }

    /// Forms that a text could have.
    pub(super) fn candidates(text: &str) -> impl Iterator<Item = Form> {
        let digits = text.len();
        let is_hex = (HEX_DIGITS_MIN..=HEX_DIGITS_MAX).contains(&digits);
        [
            (digits == 36).then_some(Form::Uuid),
            is_hex.then_some(Form::HexLower(digits)),
            is_hex.then_some(Form::HexUpper(digits)),
            text.contains('.').then_some(Form::Ipv4),
            text.contains(':').then_some(Form::Ipv6),
        ]
        .into_iter()
        .flatten()
    }

    /// Bits of the number; more than 128 are not told apart.
    pub(super) fn bits(self) -> u32 {
        match self {
            Form::Uuid | Form::Ipv6 => 128,
            Form::HexLower(digits) | Form::HexUpper(digits) => digits.min(32) as u32 * 4,
            Form::Ipv4 => 32,
        }
    }

    /// Whether a value is wider than 128 bits.
    pub(super) fn is_long(self) -> bool {
        matches!(self, Form::HexLower(digits) | Form::HexUpper(digits) if digits > 32)
    }

    /// The number of a text of this form that [`Form::write`] writes the same.
    pub(super) fn parse(self, text: &str) -> Option<u128> {
        match self {
            Form::Uuid => parse_uuid(text.as_bytes()),
            Form::HexLower(digits) | Form::HexUpper(digits) => {
                let is_fit = text.len() == digits && digits <= 32;
                is_fit.then(|| self.parse_hex(text.as_bytes()))?
            }
            Form::Ipv4 => {
                let address: Ipv4Addr = text.parse().ok()?;
                Some(u128::from(address.to_bits()))
            }
            Form::Ipv6 => {
                let address: Ipv6Addr = text.parse().ok()?;
                (address.to_string() == text).then_some(address.to_bits())
            }
        }
    }

    /// The values of the digits that [`Form::write`] writes.
    fn digits(self) -> &'static Digits {
        match self {
            Form::HexUpper(_) => &UPPER_DIGITS,
            _ => &LOWER_DIGITS,
        }
    }

    /// The number of up to 32 digits.
    fn parse_hex(self, digits: &[u8]) -> Option<u128> {
        let (high, low) = digits.split_at(digits.len().saturating_sub(16));
        let high = parse_digits(self.digits(), high)?;
        Some(u128::from(high) << 64 | u128::from(parse_digits(self.digits(), low)?))
    }

    /// Appends the text of a number.
    pub(super) fn write(self, value: u128, out: &mut String) {
        match self {
            Form::Uuid => write_uuid(value, out),
            Form::HexLower(digits) | Form::HexUpper(digits) => {
                self.write_hex(value, digits.min(32), out);
            }
            Form::Ipv4 => {
                let mut buffer = itoa::Buffer::new();
                for (at, octet) in (value as u32).to_be_bytes().into_iter().enumerate() {
                    if at > 0 {
                        out.push('.');
                    }
                    out.push_str(buffer.format(octet));
                }
            }
            // Writing to a String cannot fail.
            Form::Ipv6 => write!(out, "{}", Ipv6Addr::from_bits(value)).unwrap_or_default(),
        }
    }

    fn write_hex(self, value: u128, digits: usize, out: &mut String) {
        let alphabet = match self {
            Form::HexUpper(_) => b"0123456789ABCDEF",
            _ => b"0123456789abcdef",
        };
        let letters = (0..digits)
            .rev()
            .map(|digit| char::from(alphabet[(value >> (4 * digit)) as usize & 15]));
        out.extend(letters);
    }

    /// Bytes of a long text's nibbles.
    pub(super) fn long_bytes(self) -> usize {
        match self {
            Form::HexLower(digits) | Form::HexUpper(digits) => digits.div_ceil(2),
            _ => 16,
        }
    }

    /// Appends the nibbles of a long text; false if it does not have this form.
    pub(super) fn push_long(self, text: &str, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let is_fit = text.len() == self.tag().1
            && text.as_bytes().chunks(2).all(|pair| {
                let Some(byte) = parse_digits(self.digits(), pair) else {
                    return false;
                };
                out.push(byte as u8);
                true
            });
        if !is_fit {
            out.truncate(start);
        }
        is_fit
    }

    /// Appends the text of a long value's nibbles.
    pub(super) fn write_long(self, bytes: &[u8], out: &mut String) {
        let mut digits = self.tag().1;
        for byte in bytes {
            self.write_hex(u128::from(*byte), digits.min(2), out);
            digits = digits.saturating_sub(2);
        }
    }
}

fn parse_uuid(text: &[u8]) -> Option<u128> {
    let dashes = [8, 13, 18, 23];
    if text.len() != 36 || dashes.iter().any(|at| text[*at] != b'-') {
        return None;
    }
    // Two words of 16 digits: the first has the groups of eight, four and four.
    let (mut first, mut second) = ([0; 16], [0; 16]);
    first[..8].copy_from_slice(&text[..8]);
    first[8..12].copy_from_slice(&text[9..13]);
    first[12..].copy_from_slice(&text[14..18]);
    second[..4].copy_from_slice(&text[19..23]);
    second[4..].copy_from_slice(&text[24..]);
    let high = parse_digits(&LOWER_DIGITS, &first)?;
    Some(u128::from(high) << 64 | u128::from(parse_digits(&LOWER_DIGITS, &second)?))
}

/// For each byte the digit that it is.
type Digits = [u8; 256];

/// No digit.
const NO_DIGIT: u8 = 0xff;
const LOWER_DIGITS: Digits = digits(b"0123456789abcdef");
const UPPER_DIGITS: Digits = digits(b"0123456789ABCDEF");

const fn digits(alphabet: &[u8; 16]) -> Digits {
    let mut digits = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < 16 {
        digits[alphabet[digit] as usize] = digit as u8;
        digit += 1;
    }
    digits
}

/// The number of up to 16 hexadecimal digits in lower case, or in upper case.
pub(super) fn parse_hex_digits(text: &[u8], is_upper: bool) -> Option<u64> {
    parse_digits(
        if is_upper {
            &UPPER_DIGITS
        } else {
            &LOWER_DIGITS
        },
        text,
    )
}

/// The number of up to 16 digits. Whether each is one is looked at once, at the end.
fn parse_digits(digits: &Digits, text: &[u8]) -> Option<u64> {
    let (mut number, mut seen) = (0u64, 0u8);
    for byte in text {
        let digit = digits[usize::from(*byte)];
        seen |= digit;
        number = number << 4 | u64::from(digit & 15);
    }
    (seen != NO_DIGIT).then_some(number)
}

fn write_uuid(value: u128, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut shift = 128;
    for (at, byte) in text.iter_mut().enumerate() {
        if !matches!(at, 8 | 13 | 18 | 23) {
            shift -= 4;
            *byte = DIGITS[(value >> shift) as usize & 15];
        }
    }
    // Always: the digits are ASCII.
    out.push_str(std::str::from_utf8(&text).unwrap_or_default());
}

/// Which bits vary in a column, and what the others are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Squeeze {
    /// Bits that are kept for each value.
    pub varying: u128,
    /// The other bits.
    pub constant: u128,
    /// Runs of varying bits from the lowest: (first bit in the value, bits).
    runs: Vec<(u32, u32)>,
}

impl Squeeze {
    /// What the values need.
    pub(super) fn of(values: &[u128]) -> Squeeze {
        let all = values.iter().fold(u128::MAX, |all, value| all & value);
        let any = values.iter().fold(0, |any, value| any | value);
        let mut varying = any & !all;
        loop {
            let runs = runs_of(varying);
            if runs.len() <= RUNS_MAX {
                return Squeeze::new(varying, all & !varying);
            }
            // Fills the narrowest gap.
            let narrowest = runs
                .windows(2)
                .map(|pair| (pair[0].0 + pair[0].1, pair[1].0))
                .min_by_key(|(start, end)| end - start);
            if let Some((start, end)) = narrowest {
                varying |= (u128::MAX >> (128 - (end - start))) << start;
            }
        }
    }

    pub(super) fn new(varying: u128, constant: u128) -> Squeeze {
        Squeeze {
            varying,
            constant: constant & !varying,
            runs: runs_of(varying),
        }
    }

    /// Bits of a squeezed value.
    pub(super) fn width(&self) -> u32 {
        self.varying.count_ones()
    }

    /// The varying bits of a value, together. Order is kept.
    pub(super) fn squeeze(&self, value: u128) -> u128 {
        let mut out = 0;
        let mut at = 0;
        for (start, bits) in &self.runs {
            out |= (value >> start & (u128::MAX >> (128 - bits))) << at;
            at += bits;
        }
        out
    }

    /// The value of its varying bits.
    pub(super) fn expand(&self, squeezed: u128) -> u128 {
        let mut out = self.constant;
        let mut rest = squeezed;
        for (start, bits) in &self.runs {
            out |= (rest & (u128::MAX >> (128 - bits))) << start;
            rest = rest.checked_shr(*bits).unwrap_or(0);
        }
        out
    }
}

fn runs_of(mut mask: u128) -> Vec<(u32, u32)> {
    let mut runs = Vec::new();
    while mask != 0 {
        let start = mask.trailing_zeros();
        let bits = (mask >> start).trailing_ones();
        runs.push((start, bits));
        mask &= u128::MAX.checked_shl(start + bits).unwrap_or(0);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, form: Option<Form>) {
        let found = Form::candidates(text).find(|form| form.parse(text).is_some());
        assert_eq!(found, form, "{text}");
        if let Some(form) = form {
            let mut again = String::new();
            form.write(form.parse(text).unwrap(), &mut again);
            assert_eq!(again, text);
        }
    }

    #[test]
    fn forms_are_recognised_exactly() {
        check("5fe9c0f0-4bec-4902-8f49-db78cd1d06df", Some(Form::Uuid));
        check("5FE9C0F0-4bec-4902-8f49-db78cd1d06df", None);
        check("5fe9c0f04bec49028f49db78cd1d06df", Some(Form::HexLower(32)));
        check("00F067AA0BA902B7", Some(Form::HexUpper(16)));
        check("00F067aa0BA902B7", None);
        check("10.0.0.255", Some(Form::Ipv4));
        check("10.0.0.256", None);
        check("10.00.0.1", None);
        check("2001:db8::1", Some(Form::Ipv6));
        check("2001:DB8::1", None);
        check("2001:db8:0::1", None);
        check("", None);
        check("abc", None);
        check("äbcd", None);
    }

    #[test]
    fn long_hexadecimal_texts_come_back() {
        for text in ["a".repeat(40), format!("{}f", "0123456789".repeat(6))] {
            let form = Form::HexLower(text.len());
            let mut bytes = Vec::new();
            assert!(form.push_long(&text, &mut bytes));
            assert_eq!(bytes.len(), form.long_bytes());
            let mut again = String::new();
            form.write_long(&bytes, &mut again);
            assert_eq!(again, text);
            assert!(!form.push_long(&text.to_uppercase(), &mut bytes));
        }
    }

    proptest! {
        #[test]
        fn numbers_are_written_and_read(value: u128) {
            for form in [Form::Uuid, Form::HexLower(32), Form::HexUpper(32), Form::Ipv6] {
                let mut text = String::new();
                form.write(value, &mut text);
                prop_assert_eq!(form.parse(&text), Some(value));
            }
        }

        #[test]
        fn squeezing_keeps_value_and_order(a: u128, b: u128, keep: u128, constant: u128) {
            let values = [a & keep | constant & !keep, b & keep | constant & !keep];
            let squeeze = Squeeze::of(&values);
            for value in values {
                prop_assert_eq!(squeeze.expand(squeeze.squeeze(value)), value);
            }
            prop_assert_eq!(
                squeeze.squeeze(values[0]).cmp(&squeeze.squeeze(values[1])),
                values[0].cmp(&values[1])
            );
        }
    }
}
