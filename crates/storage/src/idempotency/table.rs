//! The table of a tenant's keys that are done: hashes in a queue, an index into it, answers beside
//! it.
//!
//! Invariants
//! - The index has a key at most once, with the number of its newest entry.
//! - A key counts as held as long as the index has it and its answer is here.
//!
//! A million keys take about 60 MB: 48 bytes of an entry, and 5 bytes for each place of the index.
//! A large index is cut into parts that grow one by one, so that no commit waits until all of it
//! was moved.
use super::{
    IdempotencyRecord,
    answers::{Answers, LENGTHS, Length, PackedAnswer},
    place::Place,
    queue::{Entry, Queue},
    records::TenantRecords,
};
use hashbrown::{HashTable, hash_table};
use std::hash::{BuildHasher, RandomState};
use taffrail_model::{
    limits::IDEMPOTENCY_KEPT_S,
    tenant::TenantNumber,
    time::{NS_PER_S, Timestamp},
};

/// Keys up to which the index is one part, which grows within 1 ms.
const PART_KEYS_MAX: usize = 4_096;
/// Parts of a larger index: each has 4,000 of a million keys.
const INDEX_PARTS: usize = 256;

/// How much a table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// Entries of the queue.
    pub(super) entries: usize,
    /// Keys that are held: some entries may be of keys that were stored again or let go.
    pub(super) held: usize,
    /// Answers, by [`Length`].
    pub(super) answers: [usize; 2],
    /// Bytes of them.
    pub(super) answers_bytes: [usize; 2],
    /// Time of the oldest entry; of a sum, none.
    pub(super) oldest: Option<Timestamp>,
}

impl Load {
    /// Puts one part of a sum in another's place.
    pub(super) fn replace(&mut self, before: &Load, after: &Load) {
        let put = |sum: &mut usize, before: usize, after: usize| *sum = *sum - before + after;
        put(&mut self.entries, before.entries, after.entries);
        put(&mut self.held, before.held, after.held);
        for kind in 0..2 {
            let (before, after) = (before, after);
            put(
                &mut self.answers[kind],
                before.answers[kind],
                after.answers[kind],
            );
            put(
                &mut self.answers_bytes[kind],
                before.answers_bytes[kind],
                after.answers_bytes[kind],
            );
        }
    }
}

pub(super) struct Table {
    queue: Queue,
    index: Index,
    answers: Answers,
    held: usize,
}

/// What is known of a key that is done.
pub(super) struct Done {
    pub(super) body: [u8; 16],
    pub(super) answer: PackedAnswer,
}

impl Default for Table {
    fn default() -> Table {
        Table {
            queue: Queue::default(),
            index: Index::new(),
            answers: Answers::new(),
            held: 0,
        }
    }
}

impl Table {
    pub(super) fn get(&self, key: [u8; 16], now: Timestamp) -> Option<Done> {
        let entry = self.queue.get(self.index.find(&self.queue, key)?)?;
        if is_expired(entry.time, now) {
            return None;
        }
        let answer = match entry.answer.number() {
            None => entry.answer.answer()?,
            Some(number) => self.answers.get(number)?.clone(),
        };
        Some(Done {
            body: entry.body,
            answer,
        })
    }

    /// Keeps a record.
    pub(super) fn put(&mut self, record: IdempotencyRecord) {
        let number = self.queue.next();
        let answer = Place::inline(&record.answer)
            .unwrap_or_else(|| Place::in_table(self.answers.give(record.answer)));
        let entry = Entry {
            key: record.key.hash,
            body: record.body,
            time: record.time,
            answer,
        };
        self.queue.push(entry);
        let replaced = self.index.put(&self.queue, entry.key, number);
        let replaced = replaced.and_then(|number| self.queue.get(number));
        if let Some(answer) = replaced.map(|entry| entry.answer) {
            self.release(answer);
        }
        self.held += 1;
    }

    /// Takes an answer from a key that is held no longer; whether it still was.
    fn release(&mut self, answer: Place) -> bool {
        let number = answer.number();
        let was_held = number.is_none_or(|number| self.answers.release(number));
        self.held -= usize::from(was_held);
        was_held
    }

    /// Lets go what is too old.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while self
            .queue
            .front()
            .is_some_and(|oldest| is_expired(oldest.time, now))
        {
            self.let_oldest_go();
        }
    }

    /// Lets the oldest entry go; how many keys went with it.
    pub(super) fn let_oldest_go(&mut self) -> u64 {
        let Some((number, oldest)) = self.queue.pop() else {
            return 0;
        };
        // The key may have been stored again since.
        let was_newest = self.index.remove(oldest.key, number);
        u64::from(was_newest && self.release(oldest.answer))
    }

    /// Lets the answer go that was given least recently; how many keys went with it.
    pub(super) fn let_answer_go(&mut self, length: Length) -> u64 {
        let keys = self.answers.let_go(length);
        self.held -= keys;
        keys as u64
    }

    pub(super) fn load(&self) -> Load {
        Load {
            entries: self.queue.len(),
            held: self.held,
            answers: LENGTHS.map(|length| self.answers.count(length)),
            answers_bytes: LENGTHS.map(|length| self.answers.bytes(length)),
            oldest: self.queue.front().map(|oldest| oldest.time),
        }
    }

    /// Everything that is held, without a copy of the keys.
    pub(super) fn cut(&self, tenant: TenantNumber) -> TenantRecords {
        let answers = self.answers.all().into_iter().collect();
        TenantRecords::cut(tenant, self.queue.clone(), answers)
    }
}

pub(super) fn is_expired(time: Timestamp, now: Timestamp) -> bool {
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
            parts: vec![HashTable::new()],
            hasher: RandomState::new(),
        }
    }

    /// Cuts an index of one part that has become large.
    fn cut(&mut self, queue: &Queue) {
        let numbers = self.parts.pop().unwrap_or_default();
        self.parts.resize_with(INDEX_PARTS, HashTable::new);
        for number in numbers {
            let key = queue.get(number).map_or([0; 16], |entry| entry.key);
            self.put(queue, key, number);
        }
    }

    fn hash(&self, key: [u8; 16]) -> (u64, usize) {
        let hash = self.hasher.hash_one(u128::from_le_bytes(key));
        // Bits that the parts do not look at themselves.
        (hash, (hash >> 40) as usize % self.parts.len())
    }

    fn find(&self, queue: &Queue, key: [u8; 16]) -> Option<u32> {
        let (hash, part) = self.hash(key);
        let is_it = |number: &u32| has_key(queue, *number, key);
        self.parts[part].find(hash, is_it).copied()
    }

    /// Points the key to a number; the one that it had.
    fn put(&mut self, queue: &Queue, key: [u8; 16], number: u32) -> Option<u32> {
        if self.parts.len() == 1 && self.parts[0].len() == PART_KEYS_MAX {
            self.cut(queue);
        }
        let (hash, part) = self.hash(key);
        let Index { parts, hasher, .. } = self;
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
