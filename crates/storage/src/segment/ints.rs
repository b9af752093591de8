//! Runs of integers: frame of reference or delta, the common divisor taken out, bit-packed.
//!
//! The number of values is known from outside. All arithmetic wraps, so that any `i64` comes back.
use super::{
    bits::{Packer, each_equal, get, mask, packed_bytes, unpack, unpack_bytes, width_of},
    wire::{Cursor, Flaw, put_varint, put_zigzag},
};

/// Set in the first byte if differences are stored.
const DELTA: u8 = 0x80;

/// How values are cut down before they are packed.
struct Frame {
    base: i64,
    divisor: u64,
    width: u32,
}

impl Frame {
    fn of(values: impl Iterator<Item = i64> + Clone) -> Frame {
        let base = values.clone().min().unwrap_or_default();
        let mut divisor = 0;
        let mut greatest = 0;
        for value in values {
            let offset = value.wrapping_sub(base) as u64;
            greatest = greatest.max(offset);
            if divisor != 1 && offset != 0 {
                divisor = common_divisor(divisor, offset);
            }
        }
        let divisor = divisor.max(1);
        Frame {
            base,
            divisor,
            width: width_of(greatest / divisor),
        }
    }

    /// Writes the frame; `first` is the value that differences start from.
    fn write(&self, first: Option<i64>, values: impl Iterator<Item = i64>, out: &mut Vec<u8>) {
        out.push(self.width as u8 | if first.is_some() { DELTA } else { 0 });
        put_zigzag(out, self.base);
        if let Some(first) = first {
            put_zigzag(out, first);
        }
        if self.width == 0 {
            return;
        }
        put_varint(out, self.divisor);
        let mut packer = Packer::new(out);
        for value in values {
            let offset = value.wrapping_sub(self.base) as u64;
            packer.push(offset / self.divisor, self.width);
        }
        packer.finish();
    }
}

fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Appends the values, in the form that takes fewer bits.
pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    let plain = Frame::of(values.iter().copied());
    if let [first, _, _, ..] = values
        && plain.width > 1
    {
        let deltas = values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
        let delta = Frame::of(deltas.clone());
        if delta.width < plain.width {
            return delta.write(Some(*first), deltas, out);
        }
    }
    plain.write(None, values.iter().copied(), out);
}

/// Appends numbers that stand for lengths or counts.
pub(super) fn encode_lengths(values: &[usize], out: &mut Vec<u8>) {
    let values: Vec<i64> = values.iter().map(|value| *value as i64).collect();
    encode(&values, out);
}

/// Reads `count` values. The caller bounds `count`: a run of equal values takes a few bytes only.
pub(super) fn decode(cursor: &mut Cursor<'_>, count: usize) -> Result<Vec<i64>, Flaw> {
    let mut out = Vec::new();
    decode_into(cursor, count, &mut out)?;
    Ok(out)
}

/// As [`decode`], into a buffer that is overwritten.
pub(super) fn decode_into(
    cursor: &mut Cursor<'_>,
    count: usize,
    out: &mut Vec<i64>,
) -> Result<(), Flaw> {
    out.clear();
    let packed = Packed::read(cursor, count)?;
    packed.extend(out, |value| value);
    Ok(())
}

/// Passes over `count` values.
pub(super) fn skip(cursor: &mut Cursor<'_>, count: usize) -> Result<(), Flaw> {
    Packed::read(cursor, count).map(|_| ())
}

/// Reads those of `count` values that have the numbers `picked`.
pub(super) fn decode_picked(
    cursor: &mut Cursor<'_>,
    count: usize,
    picked: &[usize],
) -> Result<Vec<i64>, Flaw> {
    let packed = Packed::read(cursor, count)?;
    if picked.iter().any(|index| *index >= count) {
        return Err(Flaw("a page has fewer values than rows"));
    }
    if packed.first.is_none() {
        let picked = picked.iter();
        return Ok(picked.map(|index| packed.get(*index)).collect());
    }
    // Each value is the one before it and a step.
    let mut all = Vec::new();
    packed.extend(&mut all, |value| value);
    Ok(picked
        .iter()
        .filter_map(|index| all.get(*index).copied())
        .collect())
}

/// Reads `count` values; how many of them are this one.
pub(super) fn count_equal(
    cursor: &mut Cursor<'_>,
    count: usize,
    wanted: i64,
) -> Result<usize, Flaw> {
    let packed = Packed::read(cursor, count)?;
    let mut found = 0;
    match packed.number_of(wanted) {
        Some(_) if packed.width == 0 => found = count,
        Some(number) if !packed.may_wrap() => {
            each_equal(packed.bytes, packed.width, count, number, |word| {
                found += word.count_ones() as usize;
            });
        }
        None if packed.first.is_none() && !packed.may_wrap() => {}
        _ => {
            let mut all = Vec::new();
            packed.extend(&mut all, |value| value == wanted);
            found = all.into_iter().filter(|is_wanted| *is_wanted).count();
        }
    }
    Ok(found)
}

/// What [`decode_codes`] reads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Codes {
    /// All are this one.
    One(u32),
    /// One for each value, where all codes below the end fit.
    Narrow(Vec<u8>),
    Wide(Vec<u32>),
}

/// Reads `count` values, each of which must be from 0 to below `end`. They are narrow if all below
/// `end` are, and not all the same.
pub(super) fn decode_codes(cursor: &mut Cursor<'_>, count: usize, end: u32) -> Result<Codes, Flaw> {
    let packed = Packed::read(cursor, count)?;
    // A dictionary without an entry has no code.
    let last = end.checked_sub(1).ok_or(NO_CODE)?;
    let codes = match (packed.constant(), u8::try_from(last)) {
        (Some(code), _) => Codes::One(below(code, end)?),
        (None, Ok(last)) => Codes::Narrow(packed.narrow_codes(last)?),
        (None, Err(_)) => Codes::Wide(packed.wide_codes(end)?),
    };
    Ok(codes)
}

const NO_CODE: Flaw = Flaw("a code is not in the dictionary");

fn below(code: i64, end: u32) -> Result<u32, Flaw> {
    let code = u32::try_from(code).ok();
    code.filter(|code| *code < end).ok_or(NO_CODE)
}

/// A run of integers that is not unpacked yet.
struct Packed<'a> {
    base: i64,
    /// The value that differences start from.
    first: Option<i64>,
    divisor: u64,
    width: u32,
    bytes: &'a [u8],
    count: usize,
}

impl<'a> Packed<'a> {
    fn read(cursor: &mut Cursor<'a>, count: usize) -> Result<Packed<'a>, Flaw> {
        let head = cursor.byte()?;
        let width = u32::from(head & !DELTA);
        if width > 64 {
            return Err(Flaw("a width is above 64 bits"));
        }
        let base = cursor.zigzag()?;
        let first = match head & DELTA {
            0 => None,
            _ => Some(cursor.zigzag()?),
        };
        let divisor = if width == 0 { 0 } else { cursor.varint()? };
        if width > 0 && divisor == 0 {
            return Err(Flaw("a run of different numbers has no step"));
        }
        let packed = match first {
            Some(_) => count.saturating_sub(1),
            None => count,
        };
        Ok(Packed {
            base,
            first,
            divisor,
            width,
            bytes: cursor.take(packed_bytes(packed, width))?,
            count,
        })
    }

    /// The value, if all are known to be the same.
    fn constant(&self) -> Option<i64> {
        (self.first.is_none() && self.width == 0).then_some(self.base)
    }

    /// The value that this number stands for, or the step.
    fn value(&self, number: u64) -> i64 {
        let offset = number.wrapping_mul(self.divisor);
        self.base.wrapping_add(offset as i64)
    }

    /// Whether several numbers could stand for one value, since their offsets pass 64 bits.
    fn may_wrap(&self) -> bool {
        mask(self.width).checked_mul(self.divisor).is_none()
    }

    /// What stands for a value in a run without differences, if it has the value; the least such
    /// number.
    fn number_of(&self, value: i64) -> Option<u64> {
        let offset = value.wrapping_sub(self.base) as u64;
        let is_fit = self.first.is_none()
            && match self.width {
                0 => offset == 0,
                _ => offset.is_multiple_of(self.divisor),
            };
        let number = offset.checked_div(self.divisor).unwrap_or(0);
        (is_fit && number <= mask(self.width)).then_some(number)
    }

    /// A value of a run without differences.
    fn get(&self, index: usize) -> i64 {
        self.value(get(self.bytes, self.width, index))
    }

    /// Appends what `make` makes of each value.
    fn extend<T>(&self, out: &mut Vec<T>, mut make: impl FnMut(i64) -> T) {
        out.reserve(self.count);
        let value = |number: u64| self.value(number);
        let Some(mut last) = self.first else {
            return unpack(self.bytes, self.width, self.count, |numbers| {
                out.extend(numbers.iter().map(|number| make(value(*number))));
            });
        };
        let Some(steps) = self.count.checked_sub(1) else {
            return;
        };
        out.push(make(last));
        unpack(self.bytes, self.width, steps, |numbers| {
            out.extend(numbers.iter().map(|number| {
                last = last.wrapping_add(value(*number));
                make(last)
            }));
        });
    }

    /// The values, none of which may be above `last`.
    fn narrow_codes(&self, last: u8) -> Result<Vec<u8>, Flaw> {
        let mut codes = Vec::new();
        let base = u8::try_from(self.base).ok();
        // Whatever the numbers of this width are, a byte holds their sum with the base.
        let base = base.filter(|base| {
            self.first.is_none()
                && self.divisor == 1
                && self.width <= 8
                && u64::from(*base) + mask(self.width) <= u8::MAX.into()
        });
        match base {
            Some(base) => {
                unpack_bytes(self.bytes, self.width, self.count, &mut codes);
                codes.iter_mut().for_each(|code| *code += base);
            }
            None => {
                // No value has a bit that all of them together do not have.
                let mut bits = 0;
                self.extend(&mut codes, |value| {
                    bits |= value;
                    value as u8
                });
                if !(0..=u8::MAX.into()).contains(&bits) {
                    return Err(NO_CODE);
                }
            }
        }
        let greatest = codes.iter().fold(0, |greatest, code| *code.max(&greatest));
        match greatest <= last {
            true => Ok(codes),
            false => Err(NO_CODE),
        }
    }

    /// The values, each of which must be below `end`.
    fn wide_codes(&self, end: u32) -> Result<Vec<u32>, Flaw> {
        let mut codes = Vec::new();
        let mut greatest = 0;
        self.extend(&mut codes, |value| {
            greatest = greatest.max(value as u64);
            value as u32
        });
        match greatest < u64::from(end) || codes.is_empty() {
            true => Ok(codes),
            false => Err(NO_CODE),
        }
    }
}

/// Reads `count` numbers that may be at most `max` each.
pub(super) fn decode_lengths(
    cursor: &mut Cursor<'_>,
    count: usize,
    max: usize,
) -> Result<Vec<usize>, Flaw> {
    decode(cursor, count)?
        .into_iter()
        .map(|value| {
            usize::try_from(value)
                .ok()
                .filter(|value| *value <= max)
                .ok_or(Flaw("a length is out of bounds"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(values: &[i64]) -> usize {
        let mut out = Vec::new();
        encode(values, &mut out);
        let mut cursor = Cursor::new(&out);
        assert_eq!(decode(&mut cursor, values.len()).as_deref(), Ok(values));
        assert_eq!(cursor.finish(), Ok(()));
        let picked: Vec<usize> = (0..values.len()).rev().step_by(2).collect();
        let mut cursor = Cursor::new(&out);
        let found = decode_picked(&mut cursor, values.len(), &picked).unwrap();
        assert!(found.iter().eq(picked.iter().map(|index| &values[*index])));
        assert_eq!(cursor.finish(), Ok(()));
        let mut cursor = Cursor::new(&out);
        assert!(decode_picked(&mut cursor, values.len(), &[values.len()]).is_err());
        for wanted in values.iter().take(9).copied().chain([7, i64::MIN]) {
            let mut cursor = Cursor::new(&out);
            let found = count_equal(&mut cursor, values.len(), wanted);
            let expected = values.iter().filter(|value| **value == wanted).count();
            assert_eq!(found, Ok(expected), "{wanted}");
        }
        let mut cursor = Cursor::new(&out);
        assert_eq!(skip(&mut cursor, values.len()), Ok(()));
        assert_eq!(cursor.finish(), Ok(()));
        out.len()
    }

    #[test]
    fn extremes_come_back() {
        check(&[]);
        check(&[0]);
        check(&[i64::MIN, i64::MAX, 0, -1]);
        check(&[i64::MAX, i64::MIN, i64::MAX, i64::MIN]);
        check(&[5, 5, 5]);
    }

    #[test]
    fn steps_and_common_divisors_cost_nothing() {
        let steps: Vec<i64> = (0..1_024).map(|n| 1_700_000_000_000 + n * 250).collect();
        assert!(check(&steps) < 20);
        let microseconds: Vec<i64> = (0..1_024).map(|n| (n * 7_919 % 1_000) * 1_000).collect();
        assert!(check(&microseconds) <= 10 * 1_024 / 8 + 8);
    }

    /// What codes below `end` are, value by value.
    fn codes_of(values: &[i64], end: u32) -> Result<Vec<u32>, Flaw> {
        let codes = values.iter().map(|value| u32::try_from(*value).ok());
        let codes: Option<Vec<u32>> = codes.map(|code| code.filter(|code| *code < end)).collect();
        codes.ok_or(NO_CODE)
    }

    /// The code of each of `count` values.
    fn all(codes: Codes, count: usize) -> Vec<u32> {
        match codes {
            Codes::One(code) => vec![code; count],
            Codes::Narrow(codes) => codes.into_iter().map(u32::from).collect(),
            Codes::Wide(codes) => codes,
        }
    }

    #[track_caller]
    fn check_codes(values: &[i64], end: u32) {
        let mut out = Vec::new();
        encode(values, &mut out);
        let found = decode_codes(&mut Cursor::new(&out), values.len(), end);
        let found = found.map(|codes| all(codes, values.len()));
        assert_eq!(found, codes_of(values, end), "{end}");
    }

    #[test]
    fn codes_are_those_of_the_dictionary() {
        for end in [1, 2, 5, 255, 256, 257, 70_000, u32::MAX] {
            let last = i64::from(end) - 1;
            check_codes(&[last; 20], end);
            check_codes(&[last + 1; 20], end);
            check_codes(&[0, last, 0, 0, last / 2], end);
            check_codes(&[0, last + 1, 0, 0, last / 2], end);
            check_codes(&[0, last, -1, 0], end);
            check_codes(&[-1, -1, -1], end);
            check_codes(&[0, last, i64::from(u32::MAX) + 1, 0], end);
            check_codes(&[0, i64::MIN, i64::MAX], end);
            // Differences that take fewer bits, and steps of a common divisor.
            let ascending: Vec<i64> = (0..100).map(|n| n * last / 99).collect();
            check_codes(&ascending, end);
            let steps: Vec<i64> = (0..100).map(|n| n * 7 % 10 * (last / 9)).collect();
            check_codes(&steps, end);
        }
    }

    /// The number that begins some bytes in LEB128, as docs/formats/segment.md has it, and the rest.
    fn leb128(bytes: &[u8]) -> Option<(u64, &[u8])> {
        let last = bytes.iter().position(|byte| *byte < 0x80)?;
        let mut parts = bytes[..=last].iter().rev();
        let number = parts.try_fold(0u128, |number, byte| {
            let number = number.checked_mul(128)?;
            number.checked_add(u128::from(byte & 0x7f))
        });
        let number = u64::try_from(number?).ok().filter(|_| last < 10)?;
        Some((number, &bytes[last + 1..]))
    }

    /// What a run of `count` integers is, bit by bit.
    fn oracle(bytes: &[u8], count: usize) -> Option<Vec<i64>> {
        let signed = |(raw, rest): (u64, _)| {
            let half = i128::from(raw / 2);
            let number = if raw % 2 == 0 { half } else { -1 - half };
            (number as u64, rest)
        };
        let (head, rest) = bytes.split_first()?;
        let (width, has_first) = (usize::from(*head % 128), *head >= 128);
        let (base, mut rest) = signed(leb128(rest)?);
        let mut values = Vec::new();
        if has_first {
            let (first, after) = signed(leb128(rest)?);
            values.push(first);
            rest = after;
        }
        let mut divisor = 0;
        if width > 0 {
            (divisor, rest) = leb128(rest)?;
        }
        let packed = count.saturating_sub(values.len());
        if width > 0 && divisor == 0 {
            return None;
        }
        if width > 64 || rest.len() * 8 < packed * width {
            return None;
        }
        for number in 0..packed {
            let bit = |at: usize| u64::from(rest[at / 8] >> (at % 8) & 1);
            let bits = (0..width).map(|place| bit(number * width + place) << place);
            let step = base.wrapping_add(divisor.wrapping_mul(bits.sum()));
            let before = values.last().filter(|_| has_first);
            values.push(step.wrapping_add(before.copied().unwrap_or_default()));
        }
        values.truncate(count);
        Some(values.into_iter().map(|value| value as i64).collect())
    }

    /// Runs of integers that might be some: most of the parts are small, and some are cut short.
    fn any_run() -> impl Strategy<Value = Vec<u8>> {
        let number = || prop_oneof![6 => 0u64..40, 1 => 0u64..1_000, 1 => any::<u64>()];
        let head = prop_oneof![6 => 0u8..10, 1 => 0u8..=66]
            .prop_flat_map(|width| prop_oneof![Just(width), Just(width | DELTA)]);
        let packed = proptest::collection::vec(any::<u8>(), 0..400);
        (
            head,
            number(),
            number(),
            prop_oneof![4 => Just(1), 1 => number()],
            packed,
        )
            .prop_map(|(head, base, first, divisor, packed)| {
                let mut run = vec![head];
                put_varint(&mut run, base);
                if head & DELTA != 0 {
                    put_varint(&mut run, first);
                }
                if head & !DELTA != 0 {
                    put_varint(&mut run, divisor);
                }
                run.extend(packed);
                run
            })
    }

    proptest! {
        #[test]
        fn any_codes_come_back(
            values in proptest::collection::vec(0i64..300, 2..200),
            first in 0i64..3,
            end in 1u32..500,
        ) {
            let values: Vec<i64> = values.iter().map(|value| value + first * 100).collect();
            check_codes(&values, end);
        }

        #[test]
        fn any_bytes_are_codes_below_the_end_or_none(
            bytes in any_run(), count in 1usize..300, end in prop_oneof![1u32..1_000, any::<u32>()],
        ) {
            let wanted = oracle(&bytes, count);
            let decoded = decode(&mut Cursor::new(&bytes), count);
            prop_assert_eq!(decoded.as_ref().ok(), wanted.as_ref());
            let codes = wanted.and_then(|values| codes_of(&values, end).ok());
            let found = decode_codes(&mut Cursor::new(&bytes), count, end);
            prop_assert_eq!(found.ok().map(|found| all(found, count)), codes);
        }

        #[test]
        fn any_values_come_back(values: Vec<i64>) {
            check(&values);
        }

        #[test]
        fn any_bytes_are_read_as_by_the_oracle(bytes: Vec<u8>, count in 0usize..2_000) {
            let found = decode(&mut Cursor::new(&bytes), count);
            prop_assert_eq!(found.ok(), oracle(&bytes, count));
        }

        #[test]
        fn equal_values_are_counted_as_by_the_oracle(
            bytes in any_run(), count in 1usize..300, pick: proptest::sample::Index, other: i64,
        ) {
            let values = oracle(&bytes, count);
            let wanted = values.as_ref().map_or(other, |values| values[pick.index(count)]);
            for wanted in [wanted, other] {
                let found = count_equal(&mut Cursor::new(&bytes), count, wanted);
                let equal = |values: &Vec<i64>| values.iter().filter(|value| **value == wanted).count();
                prop_assert_eq!(found.ok(), values.as_ref().map(equal));
            }
        }
    }
}
