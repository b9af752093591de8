//! Answers of a tenant's idempotency keys that are too long to be kept with their key: each
//! distinct one once.
//!
//! Invariants
//! - An answer is here as long as a key has it, or until it is let go to keep a bound.
//! - What is let go is the answer that no key was given for the longest time, and all of its keys
//!   with it. So what is answered every second stays, however old it is.
//!
//! Answers that list rejects differ and may be long. Ordinary and long ones have bounds of their
//! own, so that a sender whose records are refused does not push out its other keys. Which tenant
//! has to let go is decided by [`super::tenants`].
use crate::encoding::{Input, Malformed, put_bytes, unpack_lz4};
use hashbrown::{HashMap, HashTable, hash_table};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

/// Bytes of an answer up to which it is kept as it is, and is an ordinary one.
const ORDINARY_BYTES_MAX: usize = 256;
/// What an answer costs beside its bytes: entries of three tables, which may be half empty, and the
/// allocation.
const OVERHEAD_BYTES: usize = 128;

/// An answer as it is kept and written: a byte 0 and the answer, or a byte 1, its length (4) and
/// one lz4 block. Rejects repeat themselves, so that a list of them shrinks about eightfold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PackedAnswer(Arc<[u8]>);

impl PackedAnswer {
    pub(crate) fn new(answer: &[u8]) -> PackedAnswer {
        if answer.len() <= ORDINARY_BYTES_MAX {
            return PackedAnswer([&[0], answer].concat().into());
        }
        let packed = lz4_flex::block::compress_prepend_size(answer);
        PackedAnswer([&[1], &packed[..]].concat().into())
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.0);
    }

    /// Reads an answer and makes sure that it can be unpacked.
    pub(crate) fn decode(input: &mut Input<'_>) -> Result<PackedAnswer, Malformed> {
        let bytes = input.bytes()?;
        unpack(bytes)?;
        Ok(PackedAnswer(bytes.into()))
    }

    /// The answer.
    pub(crate) fn unpack(&self) -> Vec<u8> {
        unpack(&self.0).unwrap_or_else(|_| unreachable!("it was packed here or read with success"))
    }

    /// The answer, if it is kept as it is.
    pub(super) fn as_plain(&self) -> Option<&[u8]> {
        self.0.strip_prefix(&[0])
    }

    fn length(&self) -> Length {
        match self.0.first() {
            Some(0) => Length::Ordinary,
            _ => Length::Long,
        }
    }

    fn memory_bytes(&self) -> usize {
        self.0.len() + OVERHEAD_BYTES
    }
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut input = Input::new(packed);
    match input.u8()? {
        0 => Ok(input.rest().to_vec()),
        1 => unpack_lz4(&mut input),
        _ => Err(input.malformed("a known form of an answer")),
    }
}

/// The kinds of answers that have bounds of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// Kept as it is.
    Ordinary,
    /// Packed.
    Long,
}

/// Both kinds, in the order of every pair that has a value for each.
pub(super) const LENGTHS: [Length; 2] = [Length::Ordinary, Length::Long];

/// Both kinds of answers.
pub(super) struct Answers {
    pools: [Pool; 2],
}

impl Answers {
    pub(super) fn new() -> Answers {
        Answers {
            pools: [Pool::new(0), Pool::new(1)],
        }
    }

    /// Gives an answer to one more key; the number of the answer.
    pub(super) fn give(&mut self, answer: PackedAnswer) -> u32 {
        self.pools[answer.length() as usize].give(answer)
    }

    pub(super) fn get(&self, number: u32) -> Option<&PackedAnswer> {
        let kept = self.pools[number as usize & 1].kept.get(&number);
        kept.map(|kept| &kept.answer)
    }

    /// Takes an answer from one key; whether it was still there.
    pub(super) fn release(&mut self, number: u32) -> bool {
        self.pools[number as usize & 1].release(number)
    }

    /// Bytes of the answers of a kind.
    pub(super) fn bytes(&self, length: Length) -> usize {
        self.pools[length as usize].bytes
    }

    /// How many answers of a kind there are.
    pub(super) fn count(&self, length: Length) -> usize {
        self.pools[length as usize].kept.len()
    }

    /// Lets the answer of a kind go that was given least recently; how many keys had it.
    pub(super) fn let_go(&mut self, length: Length) -> usize {
        self.pools[length as usize].let_go()
    }

    /// All answers by number.
    pub(super) fn all(&self) -> Vec<(u32, PackedAnswer)> {
        let kept = self.pools.iter().flat_map(|pool| pool.kept.iter());
        kept.map(|(number, kept)| (*number, kept.answer.clone()))
            .collect()
    }
}

struct Kept {
    answer: PackedAnswer,
    keys: u32,
    /// When it was given last.
    given: u64,
}

/// Answers of one kind.
struct Pool {
    kept: HashMap<u32, Kept>,
    by_content: HashTable<u32>,
    hasher: RandomState,
    /// Answers by when they were given last.
    by_given: BTreeMap<u64, u32>,
    /// How many were given.
    given: u64,
    next: u32,
    bytes: usize,
}

impl Pool {
    /// Numbers of this pool are `first` and every second one after it.
    fn new(first: u32) -> Pool {
        Pool {
            kept: HashMap::new(),
            by_content: HashTable::new(),
            hasher: RandomState::new(),
            by_given: BTreeMap::new(),
            given: 0,
            next: first,
            bytes: 0,
        }
    }

    fn give(&mut self, answer: PackedAnswer) -> u32 {
        self.given += 1;
        let Pool { kept, hasher, .. } = self;
        let is_it = |number: &u32| kept.get(number).is_some_and(|kept| kept.answer == answer);
        let known = self.by_content.find(hasher.hash_one(&answer), is_it);
        let number = match known.copied() {
            Some(number) => number,
            None => self.add(answer),
        };
        if let Some(kept) = self.kept.get_mut(&number) {
            self.by_given.remove(&kept.given);
            self.by_given.insert(self.given, number);
            kept.given = self.given;
            kept.keys += 1;
        }
        number
    }

    fn add(&mut self, answer: PackedAnswer) -> u32 {
        // Numbers wrap around after two thousand million answers; one may be in use since then.
        while self.kept.contains_key(&self.next) {
            self.next = self.next.wrapping_add(2);
        }
        let number = self.next;
        self.next = self.next.wrapping_add(2);
        self.bytes += answer.memory_bytes();
        let hash = self.hasher.hash_one(&answer);
        let new = Kept {
            answer,
            keys: 0,
            given: self.given,
        };
        self.kept.insert(number, new);
        let Pool { kept, hasher, .. } = self;
        self.by_content.insert_unique(hash, number, |number| {
            kept.get(number)
                .map_or(0, |kept| hasher.hash_one(&kept.answer))
        });
        number
    }

    fn release(&mut self, number: u32) -> bool {
        let Some(kept) = self.kept.get_mut(&number) else {
            return false;
        };
        kept.keys -= 1;
        if kept.keys == 0 {
            self.remove(number);
        }
        true
    }

    fn remove(&mut self, number: u32) -> Option<Kept> {
        let kept = self.kept.remove(&number)?;
        self.bytes -= kept.answer.memory_bytes();
        self.by_given.remove(&kept.given);
        let hash = self.hasher.hash_one(&kept.answer);
        let found = self.by_content.find_entry(hash, |other| *other == number);
        found.ok().map(hash_table::OccupiedEntry::remove);
        Some(kept)
    }

    fn let_go(&mut self) -> usize {
        let oldest = self.by_given.first_key_value().map(|(_, number)| *number);
        let gone = oldest.and_then(|number| self.remove(number));
        gone.map_or(0, |kept| kept.keys as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn answers_are_packed_and_unpacked(answer: Vec<u8>, times in 1usize..50) {
            let answer = answer.repeat(times);
            let packed = PackedAnswer::new(&answer);
            prop_assert_eq!(packed.unpack(), answer);
            let mut bytes = Vec::new();
            packed.encode(&mut bytes);
            prop_assert_eq!(PackedAnswer::decode(&mut Input::new(&bytes)), Ok(packed));
        }

        #[test]
        fn other_bytes_are_unpacked_or_refused(bytes: Vec<u8>) {
            let _ = PackedAnswer::decode(&mut Input::new(&bytes));
        }
    }

    #[test]
    fn rejects_shrink() {
        let reject = |index| {
            format!(r#"{{"index":{index},"code":"timestamp-unreadable","detail":"no time"}}"#)
        };
        let rejects: Vec<_> = (0..500).map(reject).collect();
        let answer = format!(r#"{{"accepted":1,"rejected":[{}]}}"#, rejects.join(","));
        let packed = PackedAnswer::new(answer.as_bytes());
        assert!(packed.0.len() * 5 < answer.len(), "{}", packed.0.len());
    }

    fn answer(name: &str) -> PackedAnswer {
        PackedAnswer::new(name.as_bytes())
    }

    fn names(answers: &Answers) -> String {
        let mut all: Vec<_> = answers
            .all()
            .into_iter()
            .map(|(_, answer)| String::from_utf8(answer.unpack()).unwrap())
            .map(|name| name[..1].to_owned())
            .collect();
        all.sort();
        all.concat()
    }

    #[test]
    fn equal_answers_are_one_until_the_last_key_goes() {
        let mut answers = Answers::new();
        let first = answers.give(answer("a"));
        assert_eq!(answers.give(answer("a")), first);
        assert_ne!(answers.give(answer("b")), first);
        assert_eq!(names(&answers), "ab");
        assert!(answers.release(first));
        assert_eq!(names(&answers), "ab");
        assert!(answers.release(first));
        assert_eq!(names(&answers), "b");
        assert!(!answers.release(first));
        assert_ne!(answers.give(answer("a")), first);
    }

    #[test]
    fn the_answer_that_was_given_least_recently_goes_with_its_keys() {
        let long = |name: &str| answer(&name.repeat(300));
        let mut answers = Answers::new();
        for name in ["a", "b", "b", "c", "a"] {
            answers.give(answer(name));
        }
        let x = answers.give(long("x"));
        answers.give(long("y"));
        assert_eq!(
            answers.bytes(Length::Ordinary),
            3 * answer("a").memory_bytes()
        );
        assert_eq!(answers.let_go(Length::Ordinary), 2);
        assert_eq!(names(&answers), "acxy");
        // Each kind is let go by itself.
        assert_eq!(answers.let_go(Length::Long), 1);
        assert_eq!(names(&answers), "acy");
        assert!(answers.get(x).is_none());
        assert!(!answers.release(x));
        assert_eq!(answers.count(Length::Long), 1);
        assert_eq!(answers.let_go(Length::Long), 1);
        assert_eq!(answers.let_go(Length::Long), 0);
        assert_eq!(answers.bytes(Length::Long), 0);
    }

    #[test]
    fn what_goes_leaves_nothing() {
        let mut answers = Answers::new();
        answers.give(answer("always"));
        for number in 1..1_000 {
            answers.give(answer("always"));
            let own = answers.give(answer(&number.to_string()));
            answers.release(own);
        }
        assert_eq!(answers.pools[0].by_given.len(), 1);
        assert_eq!(answers.pools[0].by_content.len(), 1);
        assert_eq!(answers.pools[0].bytes, answer("always").memory_bytes());
    }
}
