//! Numbers whose text can be made again, byte for byte, from a binary value.

/// Decimals that a scaled value may have: 10^18 is the greatest power of ten in an `i64`.
pub(super) const DECIMALS_MAX: u8 = 18;

/// The value of an integer in its shortest text (`-7`, not `-0`, `+7` or `07`).
pub(super) fn parse_integer(text: &str) -> Option<i64> {
    parse_decimal(text).and_then(|number| (number.decimals == 0).then_some(number.scaled))
}

/// A decimal number: `scaled` / 10^`decimals`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub scaled: i64,
    pub decimals: u8,
}

/// The value of a number in plain notation that [`write_decimal`] writes the same: no exponent,
/// no superfluous zero in front, no minus before zero; any zeros at the end.
pub(crate) fn parse_decimal(text: &str) -> Option<Decimal> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits.as_bytes()),
        None => (false, text.as_bytes()),
    };
    let mut scaled = 0i64;
    let mut dot = None;
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                scaled = scaled
                    .checked_mul(10)?
                    .checked_sub(i64::from(byte - b'0'))?;
            }
            b'.' if dot.is_none() && at > 0 => dot = Some(at),
            _ => return None,
        }
    }
    let whole = &digits[..dot.unwrap_or(digits.len())];
    let decimals = match dot {
        Some(dot) => u8::try_from(digits.len() - dot - 1).ok()?,
        None => 0,
    };
    let is_plain = !whole.is_empty()
        && (whole.len() == 1 || whole[0] != b'0')
        && (dot.is_none() || (1..=DECIMALS_MAX).contains(&decimals))
        && !(negative && scaled == 0);
    // Gathered below zero, where `i64` reaches further.
    let scaled = if negative {
        scaled
    } else {
        scaled.checked_neg()?
    };
    is_plain.then_some(Decimal { scaled, decimals })
}

/// The same number with more decimals.
pub(crate) fn rescale(number: Decimal, decimals: u8) -> Option<i64> {
    let more = decimals.checked_sub(number.decimals)?;
    number.scaled.checked_mul(10i64.checked_pow(more.into())?)
}

/// Decimals that `scaled` / 10^`decimals` needs, zeros at the end cut, but at least `least`.
pub(super) fn trimmed_decimals(scaled: i64, decimals: u8, least: u8) -> u8 {
    let (mut scaled, mut needed) = (scaled, decimals);
    while needed > least && scaled % 10 == 0 {
        scaled /= 10;
        needed -= 1;
    }
    needed
}

/// Appends `scaled` / 10^`scale` with `decimals` (≤ `scale`) decimals; the others are cut.
pub(super) fn write_decimal(scaled: i64, scale: u8, decimals: u8, out: &mut String) {
    let cut = u32::from(scale.saturating_sub(decimals));
    let shown = scaled.unsigned_abs() / 10u64.checked_pow(cut).unwrap_or(u64::MAX);
    if scaled < 0 {
        out.push('-');
    }
    let unit = 10u64.checked_pow(decimals.into()).unwrap_or(u64::MAX);
    let mut buffer = itoa::Buffer::new();
    out.push_str(buffer.format(shown / unit));
    if decimals > 0 {
        let fraction = buffer.format(shown % unit);
        out.push('.');
        for _ in fraction.len()..usize::from(decimals) {
            out.push('0');
        }
        out.push_str(fraction);
    }
}

/// The number that a text stands for in comparisons, if it is one and finite.
pub(super) fn number_of(text: &str) -> Option<f64> {
    let first = text.bytes().next()?;
    if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(i64, u8)>) {
        let found = parse_decimal(text).map(|number| (number.scaled, number.decimals));
        assert_eq!(found, expected, "{text}");
        if let Some((scaled, decimals)) = found {
            let mut again = String::new();
            write_decimal(scaled, decimals, decimals, &mut again);
            assert_eq!(again, text);
        }
    }

    #[test]
    fn only_texts_that_can_be_made_again_are_numbers() {
        check("0", Some((0, 0)));
        check("-7", Some((-7, 0)));
        check("9223372036854775807", Some((i64::MAX, 0)));
        check("-9223372036854775808", Some((i64::MIN, 0)));
        check("9223372036854775808", None);
        check("12.345", Some((12_345, 3)));
        check("-0.50", Some((-50, 2)));
        check("0.0", Some((0, 1)));
        check("0.000000000000000001", Some((1, 18)));
        for not in [
            "",
            "-",
            "+1",
            "01",
            "-0",
            "-0.0",
            "1.",
            ".5",
            "1e3",
            "1.2.3",
            "00.1",
            "1_0",
            " 1",
            "0.0000000000000000001",
            "٣",
        ] {
            check(not, None);
        }
    }

    #[test]
    fn zeros_at_the_end_are_cut() {
        assert_eq!(trimmed_decimals(25_900, 3, 0), 1);
        assert_eq!(trimmed_decimals(25_000, 3, 1), 1);
        assert_eq!(trimmed_decimals(25_000, 3, 0), 0);
        assert_eq!(trimmed_decimals(0, 3, 0), 0);
    }

    proptest! {
        #[test]
        fn decimals_come_back(scaled: i64, decimals in 0u8..=DECIMALS_MAX) {
            let mut text = String::new();
            write_decimal(scaled, decimals, decimals, &mut text);
            prop_assert_eq!(parse_decimal(&text), Some(Decimal { scaled, decimals }));
        }

        #[test]
        fn hostile_scales_do_not_panic(scaled: i64, scale: u8, decimals: u8) {
            write_decimal(scaled, scale, decimals, &mut String::new());
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "-?[0-9]{1,12}(\\.[0-9]{0,6})?") {
            if let Some(number) = parse_decimal(&text) {
                let mut again = String::new();
                write_decimal(number.scaled, number.decimals, number.decimals, &mut again);
                prop_assert_eq!(again, text);
            }
        }
    }
}
