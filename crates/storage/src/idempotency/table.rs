//! The table of keys that are done: hashes in a queue, an index into it, answers beside it.
//!
//! Invariants
//! - The index has a key at most once, with the number of its newest entry.
//! - A key counts as held as long as the index has it and its answer is here.
//!
//! A million keys with ordinary answers take about 60 MB: 48 bytes of an entry, and 5 bytes for
//! each place of the index. The index is cut into parts that grow one by one, so that no commit
//! waits until all of it was moved.
use super::{
    IdempotencyRecord, RequestKey,
    answers::{Answers, PackedAnswer},
    queue::{Entry, Queue},
};
use hashbrown::{HashMap, HashTable, hash_table};
use std::hash::{BuildHasher, RandomState};
use taffrail_model::{
    limits::IDEMPOTENCY_KEPT_S,
    time::{NS_PER_S, Timestamp},
};

/// Parts of the index: each has 4,000 of a million keys and grows within 1 ms.
const INDEX_PARTS: usize = 256;

/// Everything that is bounded, so that a test can do with less.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) keys_max: usize,
    pub(super) ordinary_bytes_max: usize,
    pub(super) long_bytes_max: usize,
}

pub(super) struct Table {
    queue: Queue,
    index: Index,
    answers: Answers,
    keys_max: usize,
    held: usize,
    /// Keys that were forgotten before their time.
    evicted: u64,
}

/// What is known of a key that is done.
pub(super) struct Done<'a> {
    pub(super) body: [u8; 16],
    pub(super) answer: &'a PackedAnswer,
}

impl Table {
    pub(super) fn bounded(bounds: Bounds) -> Table {
        Table {
            queue: Queue::default(),
            index: Index::new(),
            answers: Answers::bounded(bounds.ordinary_bytes_max, bounds.long_bytes_max),
            keys_max: bounds.keys_max,
            held: 0,
            evicted: 0,
        }
    }

    pub(super) fn get(&self, key: RequestKey, now: Timestamp) -> Option<Done<'_>> {
        let entry = self.queue.get(self.index.find(&self.queue, key.0)?)?;
        if is_expired(entry.time, now) {
            return None;
        }
        Some(Done {
            body: entry.body,
            answer: self.answers.get(entry.answer)?,
        })
    }

    /// Keeps a record, and lets go what is too old or too much.
    pub(super) fn put(&mut self, record: IdempotencyRecord, now: Timestamp) {
        let number = self.queue.next();
        let entry = Entry {
            key: record.key.0,
            body: record.body,
            time: record.time,
            answer: self.answers.give(record.answer),
        };
        self.queue.push(entry);
        let replaced = self.index.put(&self.queue, entry.key, number);
        let replaced = replaced.and_then(|number| self.queue.get(number));
        if let Some(answer) = replaced.map(|entry| entry.answer)
            && self.answers.release(answer)
        {
            self.held -= 1;
        }
        self.held += 1;
        self.shrink(now);
    }

    fn shrink(&mut self, now: Timestamp) {
        while let Some(oldest) = self.queue.front() {
            let is_expired = is_expired(oldest.time, now);
            if self.queue.len() <= self.keys_max && !is_expired {
                break;
            }
            let Some((number, oldest)) = self.queue.pop() else {
                break;
            };
            // The key may have been stored again since.
            let was_newest = self.index.remove(oldest.key, number);
            if was_newest && self.answers.release(oldest.answer) {
                self.held -= 1;
                self.evicted += u64::from(!is_expired);
            }
        }
        let dropped = self.answers.shrink();
        self.held -= dropped;
        self.evicted += dropped as u64;
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Everything that is held, without a copy of the keys.
    pub(super) fn cut(&self) -> Records {
        Records {
            queue: self.queue.clone(),
            answers: self.answers.all().into_iter().collect(),
        }
    }
}

fn is_expired(time: Timestamp, now: Timestamp) -> bool {
    now.0.saturating_sub(time.0) >= IDEMPOTENCY_KEPT_S * NS_PER_S
}

/// Numbers in the queue by key.
struct Index {
    parts: Vec<HashTable<u32>>,
    /// Clients choose keys: they must not know which of them fall together.
    hasher: RandomState,
}

impl Index {
    fn new() -> Index {
        Index {
            parts: (0..INDEX_PARTS).map(|_| HashTable::new()).collect(),
            hasher: RandomState::new(),
        }
    }

    fn hash(&self, key: [u8; 16]) -> (u64, usize) {
        let hash = self.hasher.hash_one(u128::from_le_bytes(key));
        // Bits that the parts do not look at themselves.
        (hash, (hash >> 40) as usize % INDEX_PARTS)
    }

    fn find(&self, queue: &Queue, key: [u8; 16]) -> Option<u32> {
        let (hash, part) = self.hash(key);
        let is_it = |number: &u32| has_key(queue, *number, key);
        self.parts[part].find(hash, is_it).copied()
    }

    /// Points the key to a number; the one that it had.
    fn put(&mut self, queue: &Queue, key: [u8; 16], number: u32) -> Option<u32> {
        let (hash, part) = self.hash(key);
        let Index { parts, hasher } = self;
        let is_it = |number: &u32| has_key(queue, *number, key);
        let hash_of = |number: &u32| {
            let key = queue.get(*number).map_or(0, |e| u128::from_le_bytes(e.key));
            hasher.hash_one(key)
        };
        match parts[part].entry(hash, is_it, hash_of) {
            hash_table::Entry::Occupied(mut known) => {
                Some(std::mem::replace(known.get_mut(), number))
            }
            hash_table::Entry::Vacant(free) => {
                free.insert(number);
                None
            }
        }
    }

    /// Removes the key if it has this number; whether it had.
    fn remove(&mut self, key: [u8; 16], number: u32) -> bool {
        let (hash, part) = self.hash(key);
        let found = self.parts[part].find_entry(hash, |other| *other == number);
        found.map(hash_table::OccupiedEntry::remove).is_ok()
    }
}

fn has_key(queue: &Queue, number: u32, key: [u8; 16]) -> bool {
    queue.get(number).is_some_and(|entry| entry.key == key)
}

/// Keys at a moment, oldest first: what a manifest snapshot has. It shares the keys with the table
/// that it was cut from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    queue: Queue,
    /// By the number that entries have. A number that is not here is of a key that was let go.
    answers: HashMap<u32, PackedAnswer>,
}

impl Records {
    /// Answers with their numbers.
    pub(crate) fn answers(&self) -> impl ExactSizeIterator<Item = (u32, &PackedAnswer)> + '_ {
        self.answers
            .iter()
            .map(|(number, answer)| (*number, answer))
    }

    /// Keeps an answer under a number, for the entries that name it.
    pub(crate) fn add_answer(&mut self, number: u32, answer: PackedAnswer) {
        self.answers.insert(number, answer);
    }

    /// Appends a key; the number must be that of an answer.
    pub(crate) fn push(&mut self, key: RequestKey, body: [u8; 16], time: Timestamp, answer: u32) {
        self.queue.push(Entry {
            key: key.0,
            body,
            time,
            answer,
        });
    }

    /// Keys, hashes of the body, times and numbers of the answers, oldest first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (RequestKey, [u8; 16], Timestamp, u32)> + '_ {
        let entries = self.queue.iter();
        let held = entries.filter(|entry| self.answers.contains_key(&entry.answer));
        held.map(|entry| (RequestKey(entry.key), entry.body, entry.time, entry.answer))
    }

    /// The same with the answers. What was given out is freed on the way.
    pub(super) fn into_records(mut self) -> impl Iterator<Item = IdempotencyRecord> {
        std::iter::from_fn(move || {
            loop {
                let (_, entry) = self.queue.pop()?;
                if let Some(answer) = self.answers.get(&entry.answer) {
                    return Some(IdempotencyRecord {
                        key: RequestKey(entry.key),
                        body: entry.body,
                        answer: answer.clone(),
                        time: entry.time,
                    });
                }
            }
        })
    }
}

#[cfg(test)]
impl PartialEq for Records {
    fn eq(&self, other: &Records) -> bool {
        self.clone().into_records().eq(other.clone().into_records())
    }
}
