//! The keys that were stored, oldest first, in segments that a snapshot shares.
//!
//! Invariants
//! - An entry never changes; only the last segment grows, and only while nobody shares it.
//! - Every segment but the last is full, so an entry is found by its number.
//!
//! A copy costs a pointer for each segment, whatever it holds. What it shares stays in
//! memory until the copy goes; the first entry after it copies at most one segment.
use super::place::Place;
use std::{collections::VecDeque, sync::Arc};
use taffrail_model::time::Timestamp;

/// Entries of a segment: 12 KiB. Each tenant has a queue whose first and last segments may be nearly
/// empty, so that it is this that a tenant of few keys costs.
const SEGMENT_ENTRIES: usize = 256;

/// What is kept of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) key: [u8; 16],
    pub(super) body: [u8; 16],
    pub(super) time: Timestamp,
    /// Its answer, or the number of it in [`super::answers::Answers`], where it may be gone.
    pub(super) answer: Place,
}

/// Entries by number; numbers ascend by one and wrap around.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    segments: VecDeque<Arc<Vec<Entry>>>,
    /// Entries of the first segment that are gone.
    skipped: usize,
    /// Number of the oldest entry.
    first: u32,
    len: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The number that the next entry gets.
    pub(super) fn next(&self) -> u32 {
        self.first.wrapping_add(self.len as u32)
    }

    pub(super) fn push(&mut self, entry: Entry) {
        let is_full = |segment: &Arc<Vec<Entry>>| segment.len() == SEGMENT_ENTRIES;
        match self.segments.back_mut().filter(|last| !is_full(last)) {
            Some(last) => match Arc::get_mut(last) {
                Some(unshared) => unshared.push(entry),
                None => {
                    let mut copy = Vec::with_capacity(SEGMENT_ENTRIES);
                    copy.extend_from_slice(last);
                    copy.push(entry);
                    *last = Arc::new(copy);
                }
            },
            None => {
                let mut segment = Vec::new();
                // A store of few keys has one segment that is as long as needed.
                if !self.segments.is_empty() {
                    segment.reserve_exact(SEGMENT_ENTRIES);
                }
                segment.push(entry);
                self.segments.push_back(Arc::new(segment));
            }
        }
        self.len += 1;
    }

    pub(super) fn get(&self, number: u32) -> Option<&Entry> {
        let offset = number.wrapping_sub(self.first) as usize;
        if offset >= self.len {
            return None;
        }
        let at = self.skipped + offset;
        self.segments
            .get(at / SEGMENT_ENTRIES)?
            .get(at % SEGMENT_ENTRIES)
    }

    /// The oldest entry.
    pub(super) fn front(&self) -> Option<&Entry> {
        self.get(self.first)
    }

    /// Removes the oldest entry; it and its number.
    pub(super) fn pop(&mut self) -> Option<(u32, Entry)> {
        let entry = *self.front()?;
        let number = self.first;
        self.first = self.first.wrapping_add(1);
        self.len -= 1;
        self.skipped += 1;
        let first_len = self.segments.front().map_or(0, |first| first.len());
        if self.skipped == first_len {
            self.segments.pop_front();
            self.skipped = 0;
        }
        Some((number, entry))
    }

    /// Entries, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> + '_ {
        let all = self.segments.iter().flat_map(|segment| segment.iter());
        all.skip(self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(value: u32) -> Entry {
        Entry {
            key: [0; 16],
            body: [0; 16],
            time: Timestamp(0),
            answer: Place::in_table(value),
        }
    }

    fn values(queue: &Queue) -> Vec<u32> {
        queue
            .iter()
            .filter_map(|entry| entry.answer.number())
            .collect()
    }

    #[test]
    fn an_entry_has_48_bytes() {
        assert_eq!(size_of::<Entry>(), 48);
    }

    proptest! {
        /// Against a queue of numbers; copies that were taken on the way keep what they had.
        #[test]
        fn it_is_a_queue(
            first in prop_oneof![Just(0), Just(u32::MAX - 5_000)],
            steps in prop::collection::vec((0usize..6_000, 0usize..6_000, any::<bool>()), 1..8),
        ) {
            let mut queue = Queue { first, ..Queue::default() };
            let mut model = VecDeque::new();
            let mut copies = Vec::new();
            let mut count = 0;
            for (pushes, pops, is_copied) in steps {
                for _ in 0..pushes {
                    prop_assert_eq!(queue.next(), first.wrapping_add(count));
                    queue.push(entry(count));
                    model.push_back(count);
                    count += 1;
                }
                if is_copied {
                    copies.push((queue.clone(), Vec::from(model.clone())));
                }
                for _ in 0..pops {
                    let popped = queue.pop().and_then(|(number, entry)| Some((number, entry.answer.number()?)));
                    let value = model.pop_front();
                    prop_assert_eq!(popped, value.map(|value| (first.wrapping_add(value), value)));
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(values(&queue), Vec::from(model.clone()));
                for value in [model.front(), model.back()].into_iter().flatten() {
                    let found = queue.get(first.wrapping_add(*value)).unwrap();
                    prop_assert_eq!(found.answer.number(), Some(*value));
                }
                prop_assert!(queue.get(queue.next()).is_none());
            }
            for (copy, had) in copies {
                prop_assert_eq!(values(&copy), had);
            }
        }
    }
}
