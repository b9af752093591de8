//! Which sections of a partition are merged.
//!
//! Sections are merged where the result is of a greater size class than each of them. So a row is
//! rewritten at most once for each class, of which there are ten, however many flushes a day has,
//! and a partition keeps at most three sections of a class.
use crate::manifest::SectionId;
use taffrail_model::limits::SEGMENT_ROWS_MAX;

/// Sections that are merged at once: each is open, with some 100 KiB of directories.
const MERGE_SECTIONS_MAX: usize = 64;
/// Sealed bytes that are merged at once. A column of logs unpacks to some five times its share of
/// them, so the largest stays below [`super::merge::COLUMN_BYTES_MAX`].
const MERGE_BYTES_MAX: u64 = 24 << 20;
/// Sections for which a merge is worth a file and an edit while more come.
const MERGE_SECTIONS_MIN: usize = 4;
/// Rows of a section that is not worth being merged with small ones that still grow.
const FULL_ROWS: u64 = SEGMENT_ROWS_MAX as u64 / 2;

/// A section that may be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) rows: u32,
    pub(super) bytes: u64,
    pub(super) id: SectionId,
}

/// 0 for up to 3 rows, 1 for up to 15, and so on by four.
fn class(rows: u64) -> u32 {
    rows.max(1).ilog2() / 2
}

/// The sections to merge, none if it is not worth it. `is_closed`: nothing comes to the partition
/// any more but late records, so two are enough.
pub(super) fn choose(mut candidates: Vec<Candidate>, is_closed: bool) -> Vec<SectionId> {
    // One of few and long rows would stand before all others and leave no room for them.
    candidates.retain(|one| one.bytes <= MERGE_BYTES_MAX / 4);
    candidates.sort_unstable();
    let sections_min = if is_closed { 2 } else { MERGE_SECTIONS_MIN };
    let (mut rows, mut bytes, mut taken) = (0, 0, 0);
    for (index, candidate) in candidates.iter().take(MERGE_SECTIONS_MAX).enumerate() {
        rows += u64::from(candidate.rows);
        bytes += candidate.bytes;
        if rows > SEGMENT_ROWS_MAX as u64 || bytes > MERGE_BYTES_MAX {
            break;
        }
        let count = index + 1;
        let is_many = count >= sections_min || (count > 1 && rows >= FULL_ROWS);
        if is_many && class(rows) > class(u64::from(candidate.rows)) {
            taken = count;
        }
    }
    candidates[..taken].iter().map(|one| one.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn candidates(rows: &[u32]) -> Vec<Candidate> {
        let numbered = (1u64..).zip(rows);
        numbered
            .map(|(number, rows)| Candidate {
                rows: *rows,
                bytes: u64::from(*rows) * 30,
                id: (number, 0),
            })
            .collect()
    }

    #[test]
    fn long_rows_keep_no_other_section_from_being_merged() {
        for bytes in [MERGE_BYTES_MAX / 4, MERGE_BYTES_MAX / 4 + 1] {
            let mut all = candidates(&[100, 100, 100, 100]);
            let long = Candidate {
                rows: 40,
                bytes,
                id: (9, 0),
            };
            all.push(long);
            let chosen = choose(all, false);
            let is_small = bytes <= MERGE_BYTES_MAX / 4;
            assert_eq!(chosen.contains(&(9, 0)), is_small);
            assert_eq!(chosen.len(), 4 + usize::from(is_small));
        }
    }

    #[track_caller]
    fn check(rows: &[u32], is_closed: bool, expected: &[u64]) {
        let chosen = choose(candidates(rows), is_closed);
        let mut chosen: Vec<u64> = chosen.into_iter().map(|(number, _)| number).collect();
        chosen.sort_unstable();
        assert_eq!(chosen, expected, "{rows:?}");
    }

    #[test]
    fn sections_are_merged_where_each_becomes_larger() {
        check(&[], false, &[]);
        check(&[5], true, &[]);
        check(&[5, 5, 5], false, &[]);
        check(&[5, 5, 5, 5], false, &[1, 2, 3, 4]);
        check(&[5, 12], true, &[1, 2]);
        check(&[5, 9], true, &[]);
        check(&[5, 500], true, &[]);
        check(&[1_000, 1, 2, 3, 3], false, &[2, 3, 4, 5]);
        // Two of a quarter of the limit each, and a third that does not fit.
        check(&[200_000, 200_000, 200_000], false, &[1, 2]);
        check(&[131_072; 4], false, &[1, 2, 3, 4]);
        check(&[262_144, 262_144], true, &[]);
        check(&[262_144, 262_145], true, &[]);
        check(&[400_000, 500_000], true, &[]);
    }

    #[test]
    fn a_merge_is_within_its_bounds() {
        let many = candidates(&[1; 1_000]);
        assert_eq!(choose(many, false).len(), MERGE_SECTIONS_MAX);
        let large = (1..=8).map(|number| Candidate {
            rows: 1_000,
            bytes: MERGE_BYTES_MAX / 5,
            id: (number, 0),
        });
        assert_eq!(choose(large.collect(), false).len(), 5);
        let huge = (1..=8).map(|number| Candidate {
            rows: 1_000,
            bytes: MERGE_BYTES_MAX + 1,
            id: (number, 0),
        });
        assert_eq!(choose(huge.collect(), true), []);
    }

    #[test]
    fn a_row_is_rewritten_ten_times_at_the_most() {
        for flush_rows in [1, 3, 100, 20_000, 131_072] {
            let mut sections: HashMap<SectionId, (u32, u32)> = HashMap::new();
            let mut next = 0;
            for _ in 0..3_000 {
                next += 1;
                sections.insert((next, 0), (flush_rows, 0));
                loop {
                    let all = sections.iter().map(|(id, (rows, _))| Candidate {
                        rows: *rows,
                        bytes: u64::from(*rows),
                        id: *id,
                    });
                    let chosen = choose(all.collect(), false);
                    if chosen.is_empty() {
                        break;
                    }
                    let merged = chosen.iter().filter_map(|id| sections.remove(id));
                    let merged = merged.fold((0, 0), |(rows, rewritten), one| {
                        (rows + one.0, rewritten.max(one.1 + 1))
                    });
                    assert!(merged.0 as usize <= SEGMENT_ROWS_MAX);
                    assert!(merged.1 <= 10, "{flush_rows}: {merged:?}");
                    next += 1;
                    sections.insert((next, 0), merged);
                }
            }
            let small = sections
                .values()
                .filter(|(rows, _)| u64::from(*rows) < FULL_ROWS);
            assert!(small.count() <= 30, "{flush_rows}");
        }
    }
}
