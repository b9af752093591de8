//! How often each code is there among some rows: the inner loop of counts by value.
//!
//! Neighbouring rows often have the same code, and a counter that was just written is slow to read
//! again, so that each code has four of them, which are used in turn.
use super::super::selection::Selection;

/// Counters of one code.
const LANES: usize = 4;
/// Codes that a byte can be.
const CODES: usize = 256;

/// Counters of all codes; zero between two uses.
pub(super) struct Tally(Box<[[u32; LANES]; CODES]>);

impl Default for Tally {
    fn default() -> Tally {
        Tally(Box::new([[0; LANES]; CODES]))
    }
}

impl Tally {
    /// Counts the codes of neighbouring rows.
    pub(super) fn add_all(&mut self, codes: &[u8]) {
        let counts = &mut *self.0;
        let (fours, rest) = codes.as_chunks::<LANES>();
        for [a, b, c, d] in fours {
            counts[usize::from(*a)][0] += 1;
            counts[usize::from(*b)][1] += 1;
            counts[usize::from(*c)][2] += 1;
            counts[usize::from(*d)][3] += 1;
        }
        for code in rest {
            counts[usize::from(*code)][0] += 1;
        }
    }

    /// Counts the codes of the rows selected, given those of all rows.
    pub(super) fn add_selected(&mut self, codes: &[u8], selection: &Selection) {
        for (codes, word) in codes.chunks(64).zip(selection.words()) {
            if *word == u64::MAX {
                self.add_all(codes);
                continue;
            }
            let mut left = *word;
            while left != 0 {
                let row = left.trailing_zeros() as usize;
                left &= left - 1;
                if let Some(code) = codes.get(row) {
                    self.0[usize::from(*code)][row % LANES] += 1;
                }
            }
        }
    }

    /// The codes that were counted, up to `last`, with their rows, ascending.
    pub(super) fn drain(&mut self, last: u8) -> Vec<(u8, u32)> {
        let mut found = Vec::new();
        for (code, lanes) in (0..=last).zip(self.0.iter_mut()) {
            let rows = lanes.iter().sum();
            if rows > 0 {
                *lanes = [0; LANES];
                found.push((code, rows));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn all_rows_of_one_code_are_counted() {
        let mut tally = Tally::default();
        for rows in [0usize, 1, 3, 4, 63, 64, 65, 1_024, 65_536] {
            tally.add_all(&vec![255; rows]);
            let wanted = if rows == 0 {
                vec![]
            } else {
                vec![(255, rows as u32)]
            };
            assert_eq!(tally.drain(255), wanted);
            assert_eq!(tally.drain(255), vec![]);
        }
    }

    proptest! {
        #[test]
        fn codes_of_any_rows_are_counted(
            rows in proptest::collection::vec((0u8..6, any::<bool>()), 0..300),
            is_all: bool,
        ) {
            let mut selection = Selection::none(rows.len() as u32);
            let mut wanted = BTreeMap::new();
            for (row, (code, is_in)) in (0..).zip(&rows) {
                if is_all || *is_in {
                    selection.add(row);
                    *wanted.entry(*code).or_insert(0) += 1;
                }
            }
            let codes: Vec<u8> = rows.iter().map(|(code, _)| *code).collect();
            let mut tally = Tally::default();
            tally.add_selected(&codes, &selection);
            prop_assert_eq!(tally.drain(5), wanted.into_iter().collect::<Vec<_>>());
        }
    }
}
