//! Postings: which values have a term.
//!
//! The gaps between the values, each less one, are written in Rice's code with the parameter that
//! the count of the values implies: the low bits of all gaps, packed, then the rest of each as so
//! many zero bits and a one. That is within a few percent of the least for words that are spread
//! evenly, and never more than two bits a posting above it. For a word in more than about two
//! fifths of the values the parameter is zero, and the code is the bitmap of its values. A term of
//! all values needs no bytes.
use super::super::{
    bits::{Packer, mask, packed_bytes, window},
    wire::Flaw,
};

/// Low bits of a gap, for `count` of `values` values. Part of the format.
fn low_bits(count: usize, values: usize) -> u32 {
    // The best parameter is near log2(0.69 * mean gap).
    let spread = values.saturating_sub(count) as u64 * 69 / 100;
    (spread / (count as u64).max(1))
        .checked_ilog2()
        .unwrap_or(0)
}

/// Appends the postings of a term; `list` ascends strictly and is below `values`.
pub(super) fn encode(list: &[u32], values: usize, out: &mut Vec<u8>) {
    if list.len() == values {
        return;
    }
    let low = low_bits(list.len(), values);
    let gaps = list.iter().scan(0, |next, value| {
        let gap = value - *next;
        *next = value + 1;
        Some(gap)
    });
    if low > 0 {
        let mut packer = Packer::new(out);
        for gap in gaps.clone() {
            packer.push(u64::from(gap) & mask(low), low);
        }
        packer.finish();
    }
    let mut packer = Packer::new(out);
    for gap in gaps {
        let mut zeros = gap >> low;
        while zeros >= 63 {
            packer.push(0, 63);
            zeros -= 63;
        }
        packer.push(1 << zeros, zeros + 1);
    }
    packer.finish();
}

/// Adds the values of `count` postings to a set of `values` values.
pub(super) fn decode(
    bytes: &[u8],
    count: usize,
    values: usize,
    out: &mut ValueSet,
) -> Result<(), Flaw> {
    if count >= values {
        out.fill();
        return Ok(());
    }
    let low = low_bits(count, values);
    let (lows, zeros) = bytes
        .split_at_checked(packed_bytes(count, low))
        .ok_or(Flaw("postings are cut short"))?;
    let mut found = 0;
    let mut value = 0u64;
    // Bits of `zeros` up to the last one that was seen.
    let mut passed = 0u64;
    for at in (0..zeros.len()).step_by(8) {
        let mut eight = window(zeros, at * 8);
        while eight != 0 && found < count {
            let one = at as u64 * 8 + u64::from(eight.trailing_zeros());
            eight &= eight - 1;
            let high = one - passed;
            passed = one + 1;
            let rest = window(lows, found * low as usize) & mask(low);
            value += high << low | rest;
            if value >= values as u64 {
                return Err(Flaw("a posting is past the last value"));
            }
            out.insert(value as usize);
            value += 1;
            found += 1;
        }
    }
    if found == count {
        Ok(())
    } else {
        Err(Flaw("there are fewer postings than declared"))
    }
}

/// A set of values of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ValueSet {
    words: Vec<u64>,
    values: usize,
}

impl ValueSet {
    /// No value of `values`.
    pub(super) fn none(values: usize) -> ValueSet {
        ValueSet {
            words: vec![0; values.div_ceil(64)],
            values,
        }
    }

    /// Adds every value.
    pub(super) fn fill(&mut self) {
        self.words.fill(u64::MAX);
        let past = self.words.len() * 64 - self.values;
        if let Some(last) = self.words.last_mut() {
            *last >>= past;
        }
    }

    pub(super) fn insert(&mut self, value: usize) {
        if let Some(word) = self.words.get_mut(value / 64) {
            *word |= 1 << (value % 64);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(super) fn add(&mut self, other: &ValueSet) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    pub(super) fn keep(&mut self, other: &ValueSet) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    pub(super) fn subtract(&mut self, other: &ValueSet) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
    }

    /// Whether a value from `start` to before `end` is in it.
    pub(super) fn has_any(&self, start: usize, end: usize) -> bool {
        self.from(start).next().is_some_and(|value| value < end)
    }

    /// The values from `start` on, ascending.
    pub(super) fn from(&self, start: usize) -> impl Iterator<Item = usize> + '_ {
        let first = start / 64;
        let words = self.words.get(first..).unwrap_or_default();
        (first..).zip(words).flat_map(move |(at, word)| {
            let mut left = match at == first {
                true => word & (u64::MAX << (start % 64)),
                false => *word,
            };
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(at * 64 + bit)
            })
        })
    }
}
