//! Which rows of a block are still in question: a bit for each.
use taffrail_storage::read::ReadError;

/// A set of rows of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selection {
    words: Vec<u64>,
    rows: u32,
}

impl Selection {
    pub(super) fn none(rows: u32) -> Selection {
        Selection {
            words: vec![0; (rows as usize).div_ceil(64)],
            rows,
        }
    }

    pub(super) fn all(rows: u32) -> Selection {
        let mut words = vec![u64::MAX; (rows as usize).div_ceil(64)];
        if let (Some(last), 1..) = (words.last_mut(), rows % 64) {
            *last = (1 << (rows % 64)) - 1;
        }
        Selection { words, rows }
    }

    /// Whether the row is in the set; a row that the block does not have never is.
    pub(super) fn has(&self, row: u32) -> bool {
        self.words
            .get(row as usize / 64)
            .is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Adds a row, unless the block does not have it.
    pub(super) fn add(&mut self, row: u32) {
        if row < self.rows {
            self.words[row as usize / 64] |= 1 << (row % 64);
        }
    }

    /// Rows of the block, in the set or not.
    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    /// A bit for each row, the lowest of a word first.
    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Adds the rows whose bits `set` sets; it may set none past the last row.
    pub(super) fn add_by(
        &mut self,
        set: impl FnOnce(&mut [u64]) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        set(&mut self.words)
    }

    /// Whether every row of the block is in the set.
    pub(super) fn is_all(&self) -> bool {
        self.count() == self.rows as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(super) fn count(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    pub(super) fn unite(&mut self, other: &Selection) {
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    pub(super) fn intersect(&mut self, other: &Selection) {
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word &= more;
        }
    }

    /// The rows of the set of which `keep` says so, given something for each row of the block.
    /// Rows past the end of `each` are dropped.
    pub(super) fn keep_by<T>(&self, each: &[T], keep: impl Fn(&T) -> bool) -> Selection {
        self.keep_bits(each.chunks(64).map(|chunk| {
            let bits = chunk.iter().enumerate();
            bits.fold(0u64, |word, (bit, one)| word | u64::from(keep(one)) << bit)
        }))
    }

    /// The rows of the set whose bits are set in `kept`, which gives a word for each 64 rows, the
    /// lowest bit first. Words that are missing have none.
    pub(super) fn keep_bits(&self, kept: impl Iterator<Item = u64>) -> Selection {
        let kept = kept.chain(std::iter::repeat(0));
        let words = self.words.iter().zip(kept).map(|(word, kept)| word & kept);
        Selection {
            words: words.collect(),
            rows: self.rows,
        }
    }

    pub(super) fn subtract(&mut self, other: &Selection) {
        for (word, less) in self.words.iter_mut().zip(&other.words) {
            *word &= !less;
        }
    }

    /// Keeps the rows of which `keep` says so.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(u32) -> bool) {
        for (index, word) in self.words.iter_mut().enumerate() {
            let mut left = *word;
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                if !keep(index as u32 * 64 + bit) {
                    *word &= !(1 << bit);
                }
            }
        }
    }

    /// The rows as runs of neighbours, ascending: the first of a run, and the one behind its last.
    pub(super) fn runs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = self.next(at, 0)?;
            let end = self.next(start, u64::MAX);
            at = end.map_or(self.rows as usize, |end| end.min(self.rows as usize));
            Some((start, at))
        })
    }

    /// The first row from `at` on whose bit is set after `flip`.
    fn next(&self, at: usize, flip: u64) -> Option<usize> {
        let first = at / 64;
        let mut words = self.words.iter().skip(first).map(|word| word ^ flip);
        let word = words.next()? & u64::MAX << (at % 64);
        let words = std::iter::once(word).chain(words);
        let (index, word) = (first..).zip(words).find(|(_, word)| *word != 0)?;
        Some(index * 64 + word.trailing_zeros() as usize)
    }

    /// The rows, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                if left == 0 {
                    return None;
                }
                let bit = left.trailing_zeros();
                left &= left - 1;
                Some(index as u32 * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_rows() {
        for rows in [0, 1, 63, 64, 65, 200] {
            let all = Selection::all(rows);
            assert_eq!(all.count(), rows as usize);
            let mut odd = Selection::none(rows);
            (0..rows + 70)
                .filter(|row| row % 2 == 1)
                .for_each(|row| odd.add(row));
            assert_eq!(odd.count(), rows as usize / 2);
            let mut even = all.clone();
            even.subtract(&odd);
            assert!(even.iter().eq((0..rows).filter(|row| row % 2 == 0)));
            assert!(!odd.has(rows) && !odd.has(rows + 1_000));
            even.retain(|row| row % 3 == 0);
            assert!(even.iter().eq((0..rows).filter(|row| row % 6 == 0)));
            let remainders: Vec<u32> = (0..rows).map(|row| row % 3).collect();
            let kept = odd.keep_by(&remainders, |remainder| *remainder == 0);
            assert!(kept.iter().eq((0..rows).filter(|row| row % 6 == 3)));
            assert!(kept.keep_by(&remainders[..0], |_| true).is_empty());
            let mut both = all.clone();
            both.intersect(&kept);
            assert_eq!(both, kept);
            for set in [&all, &odd, &kept, &Selection::none(rows)] {
                let runs: Vec<_> = set.runs().collect();
                let of_runs = runs.iter().flat_map(|(start, end)| *start..*end);
                assert!(of_runs.eq(set.iter().map(|row| row as usize)));
                assert!(runs.windows(2).all(|pair| pair[0].1 < pair[1].0));
            }
            assert!(all.is_all() && (rows == 0 || !kept.is_all()));
            even.unite(&all);
            assert_eq!(even, all);
        }
    }
}
