//! Which sections of a partition are merged.
//!
//! Sections are merged where the result is of a greater size class than each of them. So a row is
//! rewritten at most once for each class, of which there are ten, however many flushes a day has,
//! and a partition keeps at most three sections of a class.
//!
//! Large sections wait for that until records stop coming to the partition, or until they are very
//! many: merging one costs as much as flushing it did, gains some 5% of its size, and would take its
//! time from the records that come.
use crate::manifest::SectionId;
use taffrail_model::limits::{SEGMENT_ROWS_MAX, TAIL_ROWS_MAX};

/// Sections that are merged at once: each is open, with some 100 KiB of directories.
const MERGE_SECTIONS_MAX: usize = 64;
/// Sealed bytes that are merged at once. A column of logs unpacks to some five times its share of
/// them, so the largest stays below [`super::merge::COLUMN_BYTES_MAX`].
const MERGE_BYTES_MAX: u64 = 24 << 20;
/// Sections for which a merge is worth a file and an edit while more come.
const MERGE_SECTIONS_MIN: usize = 4;
/// Rows of a section that is not worth being merged with small ones that still grow.
const FULL_ROWS: u64 = SEGMENT_ROWS_MAX as u64 / 2;
/// Rows of a large section: half of what a full tail makes.
const LARGE_ROWS: u32 = TAIL_ROWS_MAX as u32 / 2;
/// Sealed bytes of a large section: some half of what tails full of machine logs make.
const LARGE_BYTES: u64 = 2 << 20;
/// Large sections of a partition, not full yet, that wait for records to stop coming. A question
/// that looks into each takes some milliseconds for them.
const LARGE_SECTIONS_MAX: usize = 64;

/// A section that may be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) rows: u32,
    pub(super) bytes: u64,
    pub(super) id: SectionId,
}

impl Candidate {
    fn is_large(&self) -> bool {
        self.rows >= LARGE_ROWS || self.bytes >= LARGE_BYTES
    }
}

/// Whether records come to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inflow {
    /// They did until a moment ago.
    pub(super) is_busy: bool,
    /// Its day is over: nothing comes but late records, so two sections are enough for a merge.
    pub(super) is_closed: bool,
}

/// 0 for up to 3 rows, 1 for up to 15, and so on by four.
fn class(rows: u64) -> u32 {
    rows.max(1).ilog2() / 2
}

/// The sections to merge, none if it is not worth it.
pub(super) fn choose(mut candidates: Vec<Candidate>, inflow: Inflow) -> Vec<SectionId> {
    // One of few and long rows would stand before all others and leave no room for them.
    candidates.retain(|one| one.bytes <= MERGE_BYTES_MAX / 4);
    let grows = |one: &&Candidate| one.is_large() && u64::from(one.rows) < FULL_ROWS;
    if inflow.is_busy && candidates.iter().filter(grows).count() <= LARGE_SECTIONS_MAX {
        candidates.retain(|one| !one.is_large());
    }
    candidates.sort_unstable();
    let sections_min = if inflow.is_closed {
        2
    } else {
        MERGE_SECTIONS_MIN
    };
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

    const QUIET: Inflow = Inflow {
        is_busy: false,
        is_closed: false,
    };
    const BUSY: Inflow = Inflow {
        is_busy: true,
        ..QUIET
    };
    const CLOSED: Inflow = Inflow {
        is_closed: true,
        ..QUIET
    };

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
            let chosen = choose(all, QUIET);
            let is_small = bytes <= MERGE_BYTES_MAX / 4;
            assert_eq!(chosen.contains(&(9, 0)), is_small);
            assert_eq!(chosen.len(), 4 + usize::from(is_small));
        }
    }

    #[track_caller]
    fn check(rows: &[u32], inflow: Inflow, expected: &[u64]) {
        let chosen = choose(candidates(rows), inflow);
        let mut chosen: Vec<u64> = chosen.into_iter().map(|(number, _)| number).collect();
        chosen.sort_unstable();
        assert_eq!(chosen, expected, "{rows:?}");
    }

    #[test]
    fn sections_are_merged_where_each_becomes_larger() {
        check(&[], QUIET, &[]);
        check(&[5], CLOSED, &[]);
        check(&[5, 5, 5], QUIET, &[]);
        check(&[5, 5, 5, 5], QUIET, &[1, 2, 3, 4]);
        check(&[5, 12], CLOSED, &[1, 2]);
        check(&[5, 9], CLOSED, &[]);
        check(&[5, 500], CLOSED, &[]);
        check(&[1_000, 1, 2, 3, 3], QUIET, &[2, 3, 4, 5]);
        // Two of a quarter of the limit each, and a third that does not fit.
        check(&[200_000, 200_000, 200_000], QUIET, &[1, 2]);
        check(&[131_072; 4], QUIET, &[1, 2, 3, 4]);
        check(&[262_144, 262_144], CLOSED, &[]);
        check(&[262_144, 262_145], CLOSED, &[]);
        check(&[400_000, 500_000], CLOSED, &[]);
    }

    #[test]
    fn large_sections_wait_while_records_come() {
        check(&[131_072; 4], BUSY, &[]);
        check(&[131_072; 4], QUIET, &[1, 2, 3, 4]);
        check(&[LARGE_ROWS; 8], BUSY, &[]);
        check(&[LARGE_ROWS - 1; 8], BUSY, &[1, 2, 3, 4, 5, 6, 7, 8]);
        check(&[5, 5, 5, 5, 131_072], BUSY, &[1, 2, 3, 4]);
        let late = Inflow {
            is_closed: true,
            ..BUSY
        };
        check(&[5, 12, 131_072, 131_072], late, &[1, 2]);
        let heavy = |bytes| {
            let ids = 1..=4;
            let heavy = ids.map(|number| Candidate {
                rows: 1_000,
                bytes,
                id: (number, 0),
            });
            choose(heavy.collect(), BUSY).len()
        };
        assert_eq!(heavy(LARGE_BYTES - 1), 4);
        assert_eq!(heavy(LARGE_BYTES), 0);
        // Very many do not wait; those that are full do not count.
        check(&[131_072; LARGE_SECTIONS_MAX], BUSY, &[]);
        check(&[131_072; LARGE_SECTIONS_MAX + 1], BUSY, &[1, 2, 3, 4]);
        check(&[FULL_ROWS as u32; LARGE_SECTIONS_MAX + 1], BUSY, &[]);
    }

    #[test]
    fn a_merge_is_within_its_bounds() {
        let many = candidates(&[1; 1_000]);
        assert_eq!(choose(many, BUSY).len(), MERGE_SECTIONS_MAX);
        let large = (1..=8).map(|number| Candidate {
            rows: 1_000,
            bytes: MERGE_BYTES_MAX / 5,
            id: (number, 0),
        });
        assert_eq!(choose(large.collect(), QUIET).len(), 5);
        let huge = (1..=8).map(|number| Candidate {
            rows: 1_000,
            bytes: MERGE_BYTES_MAX + 1,
            id: (number, 0),
        });
        assert_eq!(choose(huge.collect(), CLOSED), []);
    }

    #[test]
    fn a_row_is_rewritten_ten_times_at_the_most() {
        for (flush_rows, inflow) in [1, 3, 100, 20_000, 131_072]
            .into_iter()
            .flat_map(|rows| [(rows, QUIET), (rows, BUSY)])
        {
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
                    let chosen = choose(all.collect(), inflow);
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
            let waiting = if inflow.is_busy {
                LARGE_SECTIONS_MAX
            } else {
                0
            };
            assert!(small.count() <= 30 + waiting, "{flush_rows}, {inflow:?}");
        }
    }
}
