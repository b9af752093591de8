//! Numbers as they stand in records and queries: exact where both are whole, else as `f64`.
use std::cmp::Ordering;

/// Below it every whole number is a float of its own.
const EXACT_FLOATS: u64 = 1 << 53;

/// A finite number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    /// Without fraction and exponent, and not past 128 bits.
    Whole(i128),
    /// Any other.
    Float(f64),
}

impl Number {
    /// Reads decimal text with optional sign, fraction and exponent; `None` for anything else,
    /// infinities and text with blanks included.
    pub(crate) fn parse(text: &str) -> Option<Number> {
        let first = text.bytes().find(|b| !matches!(b, b'+' | b'-'))?;
        if !(first.is_ascii_digit() || first == b'.') {
            return None;
        }
        if let Ok(whole) = text.parse::<i128>() {
            return Some(Number::Whole(whole));
        }
        let float: f64 = text.parse().ok()?;
        float.is_finite().then_some(Number::Float(float))
    }

    /// As `f64`, rounded.
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Number::Whole(whole) => whole as f64,
            Number::Float(float) => float,
        }
    }

    /// `scaled` / `unit`, a power of ten, by value.
    #[inline]
    pub(crate) fn scaled(scaled: i64, unit: i64) -> Number {
        match scaled.unsigned_abs() < EXACT_FLOATS {
            true => Number::Float(scaled as f64 / unit as f64).by_value(),
            false => Number::scaled_past_floats(scaled, unit),
        }
    }

    /// As [`Number::scaled`] as a float: the one nearest to the quotient.
    #[inline]
    pub(crate) fn scaled_float(scaled: i64, unit: i64) -> f64 {
        match scaled.unsigned_abs() < EXACT_FLOATS {
            true => scaled as f64 / unit as f64,
            false => Number::scaled_past_floats(scaled, unit).as_f64(),
        }
    }

    /// Where dividing floats would round twice.
    #[cold]
    #[inline(never)]
    fn scaled_past_floats(scaled: i64, unit: i64) -> Number {
        if scaled % unit == 0 {
            return Number::Whole((scaled / unit).into());
        }
        let text = format!("{scaled}e-{}", unit.ilog10());
        let quotient = text.parse();
        Number::Float(quotient.unwrap_or(scaled as f64 / unit as f64))
    }

    /// The same number, whole if its value is: `7.00` is 7. Floats at 2^53 and beyond stay, since
    /// their last digits are not those of what was written.
    #[inline]
    pub(crate) fn by_value(self) -> Number {
        match self {
            Number::Float(float) if float.abs() < EXACT_FLOATS as f64 => {
                let whole = float as i64;
                match whole as f64 == float {
                    true => Number::Whole(whole.into()),
                    false => self,
                }
            }
            _ => self,
        }
    }

    /// Place among all numbers, by exact value: a total order, which [`Number::compare`] is not,
    /// since it takes a float for equal to every whole number that rounds to it.
    pub(crate) fn order(self, other: Number) -> Ordering {
        let exact = |number: Number| match number {
            Number::Whole(whole) => whole,
            // Asked only where the floats are equal: then this is exact, or both are past it.
            Number::Float(float) => float as i128,
        };
        // Adding 0 makes -0 a 0.
        let (a, b) = (self.as_f64() + 0.0, other.as_f64() + 0.0);
        a.total_cmp(&b).then_with(|| exact(self).cmp(&exact(other)))
    }

    /// Compares; exact between whole numbers.
    pub(crate) fn compare(self, other: Number) -> Ordering {
        match (self, other) {
            (Number::Whole(a), Number::Whole(b)) => a.cmp(&b),
            // Both are finite, so there is always an order.
            (a, b) => a
                .as_f64()
                .partial_cmp(&b.as_f64())
                .unwrap_or(Ordering::Equal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_place() {
        let number = |text| Number::parse(text).unwrap();
        let ascending = [
            "-1e40",
            "-9007199254740993",
            "-9007199254740992.0",
            "-0.5",
            "0",
            "0.5",
            "1",
            "1.5",
            "9007199254740991",
            "9007199254740992.0",
            "9007199254740993",
            "9007199254740994.0",
            "170141183460469231731687303715884105727",
            "1e40",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(number(a).order(number(b)), i.cmp(&j), "{a} {b}");
            }
        }
        for (a, b) in [
            ("-0.0", "0"),
            ("0.0", "-0.0"),
            ("9007199254740992.0", "9007199254740992"),
        ] {
            assert_eq!(number(a).order(number(b)), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn quotients_are_those_of_their_text() {
        let check = |scaled: i64, decimals: u32, text: &str| {
            let (found, wanted) = (
                Number::scaled_float(scaled, 10i64.pow(decimals)),
                text.parse::<f64>().unwrap(),
            );
            assert_eq!(found, wanted, "{text}");
            let found = Number::scaled(scaled, 10i64.pow(decimals));
            assert_eq!(found.as_f64(), wanted, "{text}");
        };
        check(-1_250, 3, "-1.250");
        check(9_007_199_254_740_991, 1, "900719925474099.1");
        check(9_007_199_254_740_993, 1, "900719925474099.3");
        check(90_071_992_547_409_930, 1, "9007199254740993.0");
        check(-90_071_992_547_409_937, 1, "-9007199254740993.7");
        check(i64::MAX, 18, "9.223372036854775807");
        check(i64::MIN, 1, "-922337203685477580.8");
    }

    #[test]
    fn whole_numbers_compare_exactly_and_floats_by_value() {
        let number = |text| Number::parse(text).unwrap();
        let check = |a, b, expected| assert_eq!(number(a).compare(number(b)), expected, "{a} {b}");
        check("200", "200.0", Ordering::Equal);
        check("2e2", "200", Ordering::Equal);
        check("9007199254740993", "9007199254740992", Ordering::Greater);
        check("-1", "1", Ordering::Less);
        check(".5", "0.5", Ordering::Equal);
        for bad in ["", "-", "x", "inf", "NaN", "1e400", " 1", "1_0", "0x1"] {
            assert_eq!(Number::parse(bad), None, "{bad}");
        }
    }
}
