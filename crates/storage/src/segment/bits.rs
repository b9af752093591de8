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
    waiting: u128,
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
        self.waiting |= u128::from(value) << self.waiting_bits;
        self.waiting_bits += width;
        if self.waiting_bits >= 64 {
            self.out
                .extend_from_slice(&(self.waiting as u64).to_le_bytes());
            self.waiting >>= 64;
            self.waiting_bits -= 64;
        }
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
pub(super) fn mask(width: u32) -> u64 {
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
    if width > 64 {
        let high = window(bytes, at + 64) & mask(width - 64);
        u128::from(window(bytes, at)) | u128::from(high) << 64
    } else {
        u128::from(window(bytes, at) & mask(width))
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
