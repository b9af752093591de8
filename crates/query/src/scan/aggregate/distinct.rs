//! How many different values there are: exactly up to some thousands, then estimated.
//!
//! Values are told apart by a 64-bit hash of their text. Up to [`EXACT_MAX`] hashes are kept; past
//! it they become 4,096 registers (HyperLogLog), whose estimate (by Ertl, arXiv 1702.01284) is off
//! by 1.6% of the number in the usual case and by 5% hardly ever. Which of the two it is depends on
//! the values alone, so that any order of merging gives the same number.
use std::{
    collections::HashSet,
    hash::{BuildHasherDefault, Hasher},
};

/// Different values that are counted exactly.
pub(super) const EXACT_MAX: usize = 4_096;
/// Bits of a hash that choose a register.
const REGISTER_BITS: u32 = 12;
const REGISTERS: usize = 1 << REGISTER_BITS;
/// Bits of a hash whose zeros are counted.
const RANK_BITS: u32 = 64 - REGISTER_BITS;
/// Bytes that a hash costs in its set.
const HASH_BYTES: usize = 18;

/// Hashes are hashes already.
#[derive(Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = self.0.rotate_left(8) ^ hash;
    }
}

type Hashes = HashSet<u64, BuildHasherDefault<AsIs>>;

/// The different values of a group.
pub(super) enum Distinct {
    Few(Hashes),
    Many(Box<[u8]>),
}

impl Default for Distinct {
    fn default() -> Distinct {
        Distinct::Few(Hashes::default())
    }
}

impl Distinct {
    /// Adds the hash of a value; the bytes that this took.
    pub(super) fn add(&mut self, hash: u64) -> usize {
        match self {
            Distinct::Few(hashes) => {
                let is_new = hashes.insert(hash);
                if hashes.len() > EXACT_MAX {
                    let mut registers = vec![0; REGISTERS].into_boxed_slice();
                    hashes.iter().for_each(|hash| raise(&mut registers, *hash));
                    *self = Distinct::Many(registers);
                }
                if is_new { HASH_BYTES } else { 0 }
            }
            Distinct::Many(registers) => {
                raise(registers, hash);
                0
            }
        }
    }

    /// Takes over the values of another; the bytes that this took.
    pub(super) fn merge(&mut self, other: &Distinct) -> usize {
        match other {
            Distinct::Few(hashes) => hashes.iter().map(|hash| self.add(*hash)).sum(),
            Distinct::Many(theirs) => {
                let mut merged = theirs.clone();
                match self {
                    Distinct::Few(hashes) => {
                        hashes.iter().for_each(|hash| raise(&mut merged, *hash));
                    }
                    Distinct::Many(mine) => {
                        for (register, have) in merged.iter_mut().zip(mine.iter()) {
                            *register = (*register).max(*have);
                        }
                    }
                }
                *self = Distinct::Many(merged);
                REGISTERS
            }
        }
    }

    /// Whether the number is an estimate.
    pub(super) fn is_estimate(&self) -> bool {
        matches!(self, Distinct::Many(_))
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        match self {
            Distinct::Few(hashes) => hashes.len() as u64,
            Distinct::Many(registers) => estimate(registers),
        }
    }
}

fn raise(registers: &mut [u8], hash: u64) {
    let rank = ((hash << REGISTER_BITS) | 1 << (REGISTER_BITS - 1)).leading_zeros() + 1;
    if let Some(register) = registers.get_mut((hash >> RANK_BITS) as usize) {
        *register = (*register).max(rank as u8);
    }
}

fn estimate(registers: &[u8]) -> u64 {
    let mut counts = [0u32; RANK_BITS as usize + 2];
    for register in registers {
        if let Some(count) = counts.get_mut(usize::from(*register)) {
            *count += 1;
        }
    }
    let all = REGISTERS as f64;
    let [none, between @ .., full] = &counts;
    let mut z = all * tau(1.0 - f64::from(*full) / all);
    for count in between.iter().rev() {
        z = 0.5 * (z + f64::from(*count));
    }
    z += all * sigma(f64::from(*none) / all);
    (all * all / (2.0 * std::f64::consts::LN_2 * z)).round() as u64
}

/// What registers that are still 0 add.
fn sigma(share: f64) -> f64 {
    let (mut x, mut y, mut z) = (share, 1.0, share);
    if share >= 1.0 {
        return f64::INFINITY;
    }
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// What registers that are full take.
fn tau(share: f64) -> f64 {
    let (mut x, mut y, mut z) = (share, 1.0, 1.0 - share);
    if share <= 0.0 || share >= 1.0 {
        return 0.0;
    }
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_storage::read::token_hash;

    fn of(range: std::ops::Range<usize>) -> Distinct {
        let mut distinct = Distinct::default();
        for number in range {
            distinct.add(token_hash(&format!("value-{number}")));
        }
        distinct
    }

    #[test]
    fn some_thousands_are_exact_and_the_next_is_not() {
        for count in [0, 1, 100, EXACT_MAX] {
            let distinct = of(0..count);
            assert_eq!(
                (distinct.count(), distinct.is_estimate()),
                (count as u64, false)
            );
        }
        assert!(of(0..EXACT_MAX + 1).is_estimate());
    }

    #[test]
    fn estimates_are_near_at_every_size() {
        for count in [EXACT_MAX + 1, 10_000, 20_000, 50_000, 200_000, 1_000_000] {
            let estimate = of(0..count).count() as f64;
            let error = (estimate / count as f64 - 1.0).abs();
            assert!(error < 0.05, "{count}: {estimate}");
        }
    }

    #[test]
    fn any_order_of_merging_gives_the_same() {
        for (a, b) in [
            (0..100, 50..150),
            (0..4_000, 3_000..6_000),
            (0..9_000, 0..50_000),
        ] {
            let (mut one, mut other) = (of(a.clone()), of(b.clone()));
            one.merge(&of(b.clone()));
            other.merge(&of(a.clone()));
            let all = of(a.start..b.end);
            assert_eq!(one.count(), all.count());
            assert_eq!(other.count(), all.count());
            assert_eq!(one.is_estimate(), all.is_estimate());
        }
    }
}
