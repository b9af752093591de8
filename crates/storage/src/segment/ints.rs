//! Runs of integers: frame of reference or delta, the common divisor taken out, bit-packed.
//!
//! The number of values is known from outside. All arithmetic wraps, so that any `i64` comes back.
use super::{
    bits::{Packer, packed_bytes, unpack, width_of},
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
    let packed = match first {
        Some(_) => count.saturating_sub(1),
        None => count,
    };
    let bytes = cursor.take(packed_bytes(packed, width))?;
    out.reserve(count);
    let value = |number: u64| base.wrapping_add(number.wrapping_mul(divisor) as i64);
    match first {
        None => unpack(bytes, width, count, |numbers| {
            out.extend(numbers.iter().map(|number| value(*number)));
        }),
        Some(_) if count == 0 => {}
        Some(mut last) => {
            out.push(last);
            unpack(bytes, width, packed, |numbers| {
                out.extend(numbers.iter().map(|number| {
                    last = last.wrapping_add(value(*number));
                    last
                }));
            });
        }
    }
    Ok(())
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

    proptest! {
        #[test]
        fn any_values_come_back(values: Vec<i64>) {
            check(&values);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, count in 0usize..2_000) {
            if let Ok(values) = decode(&mut Cursor::new(&bytes), count) {
                prop_assert_eq!(values.len(), count);
            }
        }
    }
}
