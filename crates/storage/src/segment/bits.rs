//! Numbers of a fixed width in bits, packed back to back, lowest bit first.

/// Bits that `value` needs.
pub(super) fn width_of(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// Bits that a wide `value` needs.
pub(super) fn width_of_wide(value: u128) -> u32 {
    128 - value.leading_zeros()
}

/// Bytes that `count` numbers of `width` bits take.
pub(super) fn packed_bytes(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends packed numbers to a buffer.
pub(super) struct Packer<'a> {
    out: &'a mut Vec<u8>,
    /// Fewer than 64 bits.
    waiting: u64,
    waiting_bits: u32,
}

impl<'a> Packer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Packer<'a> {
        Packer {
            out,
            waiting: 0,
            waiting_bits: 0,
        }
    }

    /// Appends the lowest `width` (≤ 64) bits; the others must be zero.
    pub(super) fn push(&mut self, value: u64, width: u32) {
        debug_assert!(width_of(value) <= width);
        self.waiting |= value << self.waiting_bits;
        let bits = self.waiting_bits + width;
        if bits < 64 {
            self.waiting_bits = bits;
            return;
        }
        self.out.extend_from_slice(&self.waiting.to_le_bytes());
        // What did not fit; all 64 bits of a value did if there is none.
        self.waiting_bits = bits - 64;
        self.waiting = value
            .checked_shr(width - self.waiting_bits)
            .unwrap_or_default();
    }

    /// Appends the lowest `width` (≤ 128) bits; the others must be zero.
    pub(super) fn push_wide(&mut self, value: u128, width: u32) {
        if width > 64 {
            self.push(value as u64, 64);
            self.push((value >> 64) as u64, width - 64);
        } else {
            self.push(value as u64, width);
        }
    }

    /// Fills the last byte with zeros.
    pub(super) fn finish(self) {
        let bytes = self.waiting_bits.div_ceil(8) as usize;
        self.out
            .extend_from_slice(&self.waiting.to_le_bytes()[..bytes]);
    }
}

/// The 64 bits from bit `at` on; zeros past the end.
pub(super) fn window(bytes: &[u8], at: usize) -> u64 {
    let (byte, shift) = (at / 8, (at % 8) as u32);
    let nine = match bytes.get(byte..).and_then(|rest| rest.first_chunk::<9>()) {
        Some(nine) => *nine,
        None => {
            let mut nine = [0; 9];
            for (to, from) in nine.iter_mut().zip(bytes.get(byte..).unwrap_or_default()) {
                *to = *from;
            }
            nine
        }
    };
    let [a, b, c, d, e, f, g, h, high] = nine;
    let low = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    if shift == 0 {
        low
    } else {
        low >> shift | u64::from(high) << (64 - shift)
    }
}

/// The lowest `width` (≤ 64) bits set.
pub(super) const fn mask(width: u32) -> u64 {
    if width >= 64 {
        u64::MAX
    } else {
        (1 << width) - 1
    }
}

/// The `index`-th number of `width` (≤ 64) bits; zero past the end.
pub(super) fn get(bytes: &[u8], width: u32, index: usize) -> u64 {
    window(bytes, index * width as usize) & mask(width)
}

/// The `index`-th number of `width` (≤ 128) bits; zero past the end.
pub(super) fn get_wide(bytes: &[u8], width: u32, index: usize) -> u128 {
    let at = index * width as usize;
    // Seven bits before the number may be in its first byte.
    if (1..=120).contains(&width)
        && let Some(window) = bytes.get(at / 8..).and_then(|rest| rest.first_chunk())
    {
        return u128::from_le_bytes(*window) >> (at % 8) & (u128::MAX >> (128 - width));
    }
    if width > 64 {
        let high = window(bytes, at + 64) & mask(width - 64);
        u128::from(window(bytes, at)) | u128::from(high) << 64
    } else {
        u128::from(window(bytes, at) & mask(width))
    }
}

/// Appends the `count` numbers of `width` (≤ 8) bits; zeros past the end.
///
/// Eight numbers are one word. They are spread to its eight bytes in three steps, each of which
/// moves the upper half of every part to where the part is twice as wide.
pub(super) fn unpack_bytes(bytes: &[u8], width: u32, count: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + count.next_multiple_of(8), 0);
    let eights = out[start..].as_chunks_mut::<8>().0;
    macro_rules! widths {
        ($($width:literal)*) => {
            match width {
                $($width => spread_eights::<$width>(bytes, eights),)*
                _ => {}
            }
        };
    }
    widths!(1 2 3 4 5 6 7 8);
    out.truncate(start + count);
}

fn spread_eights<const WIDTH: u32>(bytes: &[u8], eights: &mut [[u8; 8]]) {
    let mut at = 0;
    for eight in eights {
        let rest = bytes.get(at..).unwrap_or_default();
        let word = match rest.first_chunk::<8>() {
            Some(word) => *word,
            None => {
                let mut word = [0; 8];
                word[..rest.len()].copy_from_slice(rest);
                word
            }
        };
        *eight = spread::<WIDTH>(u64::from_le_bytes(word)).to_le_bytes();
        at += WIDTH as usize;
    }
}

/// The lowest eight numbers of `WIDTH` bits, each in a byte.
fn spread<const WIDTH: u32>(word: u64) -> u64 {
    let (four, two, one) = (mask(4 * WIDTH), mask(2 * WIDTH), mask(WIDTH));
    let (two, one) = (two * 0x1_0000_0001, one * 0x1_0001_0001_0001);
    let word = (word & four) | (word >> (4 * WIDTH) & four) << 32;
    let word = (word & two) | (word >> (2 * WIDTH) & two) << 16;
    (word & one) | (word >> WIDTH & one) << 8
}

/// Numbers that are unpacked at once.
const CHUNK: usize = 64;
/// Widths that are unpacked by code of their own; wider numbers are few.
const NARROW_MAX: u32 = 32;
/// Bytes that a reader of eight narrow numbers looks at: a word from the last one's first byte on.
const WINDOW: usize = 40;
/// Bytes that a chunk of narrow numbers looks at.
const CHUNK_BYTES: usize = CHUNK / 8 * NARROW_MAX as usize + WINDOW;

/// Gives `take` the `count` numbers of `width` (≤ 64) bits, some at a time; zeros past the end.
pub(super) fn unpack(bytes: &[u8], width: u32, count: usize, mut take: impl FnMut(&[u64])) {
    let mut numbers = [0; CHUNK];
    for first in (0..count).step_by(CHUNK) {
        let left = (count - first).min(CHUNK);
        match width {
            0 => {}
            1..=NARROW_MAX => unpack_chunk(bytes, width, first / 8 * width as usize, &mut numbers),
            _ => {
                for (index, number) in numbers.iter_mut().enumerate().take(left) {
                    *number = get_broad(bytes, width, first + index);
                }
            }
        }
        take(numbers.get(..left).unwrap_or_default());
    }
}

/// As [`get`], for most numbers with one load.
fn get_broad(bytes: &[u8], width: u32, index: usize) -> u64 {
    let at = index * width as usize;
    let window = bytes.get(at / 8..).and_then(|rest| rest.first_chunk());
    match window {
        Some(window) => (u128::from_le_bytes(*window) >> (at % 8)) as u64 & mask(width),
        None => get(bytes, width, index),
    }
}

/// Gives `take` a word of bits for each 64 of the `count` numbers, in order: which of them are
/// `wanted`.
pub(super) fn each_equal(
    bytes: &[u8],
    width: u32,
    count: usize,
    wanted: u64,
    mut take: impl FnMut(u64),
) {
    unpack(bytes, width, count, |numbers| {
        let equal = numbers.iter().map(|number| u64::from(*number == wanted));
        take(
            (0..)
                .zip(equal)
                .fold(0, |word, (index, bit)| word | bit << index),
        );
    });
}

/// Bits of a number that one load of eight bytes has, wherever it begins in the first of them.
const LOADED_BITS: u32 = 57;

/// Gives `take` a word of bits for each 64 of the `count` numbers of `width` (≤ 128) bits, in order:
/// which of them have the bits `value` under `mask`, which has all that `value` has.
///
/// Some bits of each number are compared with one load; where these are equal, the others are.
pub(super) fn each_with_bits(
    bytes: &[u8],
    width: u32,
    count: usize,
    (mask, value): (u128, u128),
    mut take: impl FnMut(u64),
) {
    let all = u128::MAX.checked_shr(128 - width).unwrap_or_default();
    let is_possible = value & !all == 0;
    let mask = mask & all;
    let from = mask.trailing_zeros() % 128;
    let loaded = |bits: u128| (bits >> from) as u64 & (u64::MAX >> (64 - LOADED_BITS));
    let (part_mask, part) = (loaded(mask), loaded(value));
    let is_all_loaded = u128::from(part_mask) == mask >> from;
    let has_bits = |index: usize| get_wide(bytes, width, index) & mask == value;
    let may_have_bits = |index: usize| {
        let at = index * width as usize + from as usize;
        let eight = bytes.get(at / 8..).and_then(|rest| rest.first_chunk());
        match eight {
            Some(eight) => u64::from_le_bytes(*eight) >> (at % 8) & part_mask == part,
            None => has_bits(index),
        }
    };
    for first in (0..count).step_by(64) {
        let left = (count - first).min(64);
        let mut word = 0;
        if is_possible {
            for bit in 0..left {
                word |= u64::from(may_have_bits(first + bit)) << bit;
            }
        }
        let mut unclear = if is_all_loaded { 0 } else { word };
        while unclear != 0 {
            let bit = unclear.trailing_zeros();
            unclear &= unclear - 1;
            if !has_bits(first + bit as usize) {
                word &= !(1 << bit);
            }
        }
        take(word);
    }
}

/// Unpacks narrow numbers from byte `at` on.
fn unpack_chunk(bytes: &[u8], width: u32, at: usize, numbers: &mut [u64; CHUNK]) {
    let rest = bytes.get(at..).unwrap_or_default();
    if rest.len() >= CHUNK_BYTES {
        return unpack_by_width(rest, width, numbers);
    }
    let mut padded = [0; CHUNK_BYTES];
    let kept = rest.len().min(CHUNK_BYTES);
    padded[..kept].copy_from_slice(&rest[..kept]);
    unpack_by_width(&padded, width, numbers);
}

/// With the width known to the compiler, offsets and shifts are constants.
fn unpack_by_width(bytes: &[u8], width: u32, numbers: &mut [u64; CHUNK]) {
    macro_rules! widths {
        ($($width:literal)*) => {
            match width {
                $($width => unpack_width::<$width>(bytes, numbers),)*
                _ => {}
            }
        };
    }
    widths!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
}

fn unpack_width<const WIDTH: usize>(bytes: &[u8], numbers: &mut [u64; CHUNK]) {
    for (eight, numbers) in numbers.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let start = eight * WIDTH;
        let window = bytes.get(start..start + WINDOW);
        let Some(window) = window.and_then(|window| window.first_chunk::<WINDOW>()) else {
            return;
        };
        for (index, number) in numbers.iter_mut().enumerate() {
            let bit = index * WIDTH;
            let word = window[bit / 8..].first_chunk::<8>();
            let word = word.map_or(0, |word| u64::from_le_bytes(*word));
            *number = word >> (bit % 8) & ((1 << WIDTH) - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packed_numbers_come_back(values: Vec<u64>, width in 0u32..=64) {
            let values: Vec<u64> = values.into_iter().map(|value| value & mask(width)).collect();
            let mut out = Vec::new();
            let mut packer = Packer::new(&mut out);
            values.iter().for_each(|value| packer.push(*value, width));
            packer.finish();
            prop_assert_eq!(out.len(), packed_bytes(values.len(), width));
            for (index, value) in values.iter().enumerate() {
                prop_assert_eq!(get(&out, width, index), *value);
            }
            let mut unpacked = Vec::new();
            unpack(&out, width, values.len(), |numbers| unpacked.extend_from_slice(numbers));
            prop_assert_eq!(unpacked, values);
        }

        #[test]
        fn long_runs_are_unpacked_as_they_are_looked_up(bytes: Vec<u8>, width in 0u32..=64, count in 0usize..500) {
            let mut unpacked = Vec::new();
            unpack(&bytes, width, count, |numbers| unpacked.extend_from_slice(numbers));
            let wanted: Vec<u64> = (0..count).map(|index| get(&bytes, width, index)).collect();
            prop_assert_eq!(unpacked, wanted);
        }

        #[test]
        fn bytes_are_unpacked_as_they_are_looked_up(bytes: Vec<u8>, width in 0u32..=8, count in 0usize..500) {
            let mut unpacked = vec![9];
            unpack_bytes(&bytes, width, count, &mut unpacked);
            let wanted = (0..count).map(|index| get(&bytes, width, index) as u8);
            prop_assert_eq!(unpacked, [9].into_iter().chain(wanted).collect::<Vec<_>>());
        }

        #[test]
        fn equal_numbers_are_found(values in proptest::collection::vec(0u64..5, 0..300), width in 3u32..=64) {
            let mut out = Vec::new();
            let mut packer = Packer::new(&mut out);
            values.iter().for_each(|value| packer.push(*value, width));
            packer.finish();
            let mut found = Vec::new();
            each_equal(&out, width, values.len(), 3, |word| found.push(word));
            let bit = |index: usize| found[index / 64] >> (index % 64) & 1 == 1;
            for (index, value) in values.iter().enumerate() {
                prop_assert_eq!(bit(index), *value == 3);
            }
            let ones: u32 = found.iter().map(|word| word.count_ones()).sum();
            prop_assert_eq!(ones as usize, values.iter().filter(|value| **value == 3).count());
        }

        #[test]
        fn numbers_with_some_bits_are_found(
            values in proptest::collection::vec(any::<u128>(), 0..200),
            of in 0usize..200,
            mask: u128,
            fields in 0u32..6,
            other: u128,
            width in 0u32..=128,
        ) {
            let keep = u128::MAX.checked_shr(128 - width).unwrap_or_default();
            let masks = [u128::MAX, keep, 0xffff << 40, u128::MAX << 70, mask, 0];
            let mask = masks[fields as usize];
            let mut out = Vec::new();
            let mut packer = Packer::new(&mut out);
            values.iter().for_each(|value| packer.push_wide(value & keep, width));
            packer.finish();
            for value in [values.get(of).copied().unwrap_or(other) & keep, other] {
                let bits = (mask, value & mask);
                let mut found = Vec::new();
                each_with_bits(&out, width, values.len(), bits, |word| found.push(word));
                prop_assert_eq!(found.len(), values.len().div_ceil(64));
                for (index, value) in values.iter().enumerate() {
                    let is_found = found[index / 64] >> (index % 64) & 1 == 1;
                    prop_assert_eq!(is_found, value & keep & bits.0 == bits.1);
                }
            }
        }

        #[test]
        fn wide_numbers_come_back(values: Vec<u128>, width in 1u32..=128) {
            let keep = u128::MAX >> (128 - width);
            let mut out = Vec::new();
            let mut packer = Packer::new(&mut out);
            values.iter().for_each(|value| packer.push_wide(*value & keep, width));
            packer.finish();
            for (index, value) in values.iter().enumerate() {
                prop_assert_eq!(get_wide(&out, width, index), *value & keep);
            }
        }
    }
}
