//! Idempotency keys: a request that is repeated is stored once and answered as the first time.
//!
//! Invariants
//! - A key is either free, in flight or done; two requests never have it in flight together.
//! - A done key was made durable with the rows of its request, in the same frame.
//! - Time, number and bytes are bounded; the oldest key goes first. One that goes before its time
//!   is counted.
mod answers;
mod queue;
mod table;

pub(crate) use answers::PackedAnswer;
pub(crate) use table::Records;

use crate::encoding::{Input, Malformed, put_signed};
use parking_lot::{Condvar, Mutex};
use ring::digest;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};
use table::{Bounds, Table};
use taffrail_model::{limits::IDEMPOTENCY_KEYS_MAX, time::Timestamp};

/// Bytes of distinct answers without rejects: some 40,000, where senders give a few thousand.
pub const ORDINARY_ANSWERS_BYTES_MAX: usize = 8 << 20;
/// Bytes of distinct long answers, packed: some thousand that each list hundreds of rejects. A
/// number of keys alone bounds nothing.
pub const LONG_ANSWERS_BYTES_MAX: usize = 16 << 20;

/// What is known of an idempotency key.
pub enum Recall {
    /// Nothing: it is reserved for the caller until commit or [`crate::store::Store::forget`].
    New,
    /// The request was stored and answered with these bytes.
    Answer(Vec<u8>),
    /// The key belongs to another body.
    Conflict,
    /// The same request is being stored.
    InFlight(Waiter),
}

impl std::fmt::Debug for Recall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Recall::New => "New",
            Recall::Answer(_) => "Answer",
            Recall::Conflict => "Conflict",
            Recall::InFlight(_) => "InFlight",
        })
    }
}

type Callback = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Signal {
    /// `None`: given.
    waiting: Mutex<Option<Vec<Callback>>>,
    given: Condvar,
}

/// Waits until the request that has the key is stored or failed; then recall again.
#[derive(Clone)]
pub struct Waiter {
    signal: Arc<Signal>,
}

impl Waiter {
    fn new() -> Waiter {
        let signal = Signal {
            waiting: Mutex::new(Some(Vec::new())),
            given: Condvar::new(),
        };
        Waiter {
            signal: Arc::new(signal),
        }
    }

    /// Blocks; `false` if the time was over first.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let mut waiting = self.signal.waiting.lock();
        let is_waiting = |waiting: &mut Option<Vec<Callback>>| waiting.is_some();
        let result = self
            .signal
            .given
            .wait_while_for(&mut waiting, is_waiting, timeout);
        !result.timed_out()
    }

    /// Calls `callback` once, at once if it is settled already. It must not block.
    pub fn notify(&self, callback: Box<dyn FnOnce() + Send>) {
        if let Some(waiting) = &mut *self.signal.waiting.lock() {
            waiting.push(callback);
            return;
        }
        callback();
    }

    fn give(&self) {
        let callbacks = self.signal.waiting.lock().take();
        self.signal.given.notify_all();
        for callback in callbacks.into_iter().flatten() {
            callback();
        }
    }
}

/// Scope and key of a request: the first 128 bits of SHA-256 of the scope's length (8 bytes,
/// little-endian), the scope and the key. Clients choose keys, so two that have the same hash must
/// not be found by anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RequestKey(pub(crate) [u8; 16]);

impl RequestKey {
    pub(crate) fn new(scope: &str, key: &str) -> RequestKey {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&(scope.len() as u64).to_le_bytes());
        hash.update(scope.as_bytes());
        hash.update(key.as_bytes());
        let mut first = [0; 16];
        first.copy_from_slice(&hash.finish().as_ref()[..16]);
        RequestKey(first)
    }
}

/// The first 128 bits of a body's SHA-256: only who has the key could gain from two bodies alike.
pub(crate) fn short_hash(body_hash: &[u8; 32]) -> [u8; 16] {
    let mut first = [0; 16];
    first.copy_from_slice(&body_hash[..16]);
    first
}

/// A key that a request came with, and what it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdempotencyRecord {
    pub(crate) key: RequestKey,
    pub(crate) body: [u8; 16],
    pub(crate) answer: PackedAnswer,
    pub(crate) time: Timestamp,
}

impl IdempotencyRecord {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.0);
        out.extend_from_slice(&self.body);
        self.answer.encode(out);
        put_signed(out, self.time.0);
    }

    pub(crate) fn decode(input: &mut Input<'_>) -> Result<IdempotencyRecord, Malformed> {
        Ok(IdempotencyRecord {
            key: RequestKey(input.fixed()?),
            body: input.fixed()?,
            answer: PackedAnswer::decode(input)?,
            time: Timestamp(input.signed()?),
        })
    }
}

type InFlight = HashMap<RequestKey, ([u8; 16], Waiter)>;

/// All keys.
pub(crate) struct Idempotency {
    keys: Mutex<Keys>,
}

struct Keys {
    done: Table,
    in_flight: InFlight,
}

impl Default for Idempotency {
    fn default() -> Idempotency {
        Idempotency::bounded(Bounds {
            keys_max: IDEMPOTENCY_KEYS_MAX,
            ordinary_bytes_max: ORDINARY_ANSWERS_BYTES_MAX,
            long_bytes_max: LONG_ANSWERS_BYTES_MAX,
        })
    }
}

impl Idempotency {
    fn bounded(bounds: Bounds) -> Idempotency {
        Idempotency {
            keys: Mutex::new(Keys {
                done: Table::bounded(bounds),
                in_flight: InFlight::new(),
            }),
        }
    }

    pub(crate) fn recall(&self, key: RequestKey, body_hash: &[u8; 32], now: Timestamp) -> Recall {
        let body = short_hash(body_hash);
        let mut keys = self.keys.lock();
        if let Some(done) = keys.done.get(key, now) {
            if done.body != body {
                return Recall::Conflict;
            }
            let answer = done.answer.clone();
            drop(keys);
            return Recall::Answer(answer.unpack());
        }
        match keys.in_flight.entry(key) {
            Entry::Vacant(free) => {
                free.insert((body, Waiter::new()));
                Recall::New
            }
            Entry::Occupied(taken) if taken.get().0 == body => {
                Recall::InFlight(taken.get().1.clone())
            }
            Entry::Occupied(_) => Recall::Conflict,
        }
    }

    /// Frees a key whose request was not stored.
    pub(crate) fn forget(&self, key: RequestKey) {
        let waiter = self.keys.lock().in_flight.remove(&key);
        if let Some((_, waiter)) = waiter {
            waiter.give();
        }
    }

    /// Frees every key in flight.
    pub(crate) fn forget_all(&self) {
        let in_flight = std::mem::take(&mut self.keys.lock().in_flight);
        for (_, waiter) in in_flight.into_values() {
            waiter.give();
        }
    }

    /// Keeps the answer of a request that is durable.
    pub(crate) fn settle(&self, record: IdempotencyRecord, now: Timestamp) {
        let key = record.key;
        let waiter = {
            let mut keys = self.keys.lock();
            keys.done.put(record, now);
            keys.in_flight.remove(&key)
        };
        if let Some((_, waiter)) = waiter {
            waiter.give();
        }
    }

    /// Takes in what a manifest snapshot has.
    pub(crate) fn restore(&self, records: Records, now: Timestamp) {
        let mut keys = self.keys.lock();
        for record in records.into_records() {
            keys.done.put(record, now);
        }
    }

    /// All keys at this moment, for a manifest snapshot.
    pub(crate) fn cut(&self) -> Records {
        self.keys.lock().done.cut()
    }

    /// How many keys are held, and how many were forgotten before their time.
    pub(crate) fn figures(&self) -> (usize, u64) {
        let keys = self.keys.lock();
        (keys.done.held(), keys.done.evicted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use taffrail_model::{limits::IDEMPOTENCY_KEPT_S, time::NS_PER_S};

    fn record(key: &str, time_s: i64) -> IdempotencyRecord {
        IdempotencyRecord {
            key: RequestKey::new("s", key),
            body: [1; 16],
            answer: PackedAnswer::new(key.as_bytes()),
            time: Timestamp(time_s * NS_PER_S),
        }
    }

    fn recall(table: &Idempotency, key: &str, hash: u8, now_s: i64) -> String {
        let now = Timestamp(now_s * NS_PER_S);
        match table.recall(RequestKey::new("s", key), &[hash; 32], now) {
            Recall::Answer(answer) => String::from_utf8(answer).unwrap(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_key_is_new_in_flight_and_answered() {
        let table = Idempotency::default();
        assert_eq!(recall(&table, "a", 1, 0), "New");
        assert_eq!(recall(&table, "a", 1, 0), "InFlight");
        assert_eq!(recall(&table, "a", 2, 0), "Conflict");
        table.settle(record("a", 0), Timestamp(0));
        assert_eq!(recall(&table, "a", 1, 1), "a");
        assert_eq!(recall(&table, "a", 2, 1), "Conflict");
        assert_eq!(recall(&table, "b", 2, 1), "New");
        table.forget(RequestKey::new("s", "b"));
        assert_eq!(recall(&table, "b", 3, 1), "New");
        assert_eq!(recall(&table, "a", 1, IDEMPOTENCY_KEPT_S - 1), "a");
        assert_eq!(recall(&table, "a", 2, IDEMPOTENCY_KEPT_S), "New");
    }

    #[test]
    fn waiters_are_told_of_success_and_failure() {
        for is_stored in [true, false] {
            let table = Idempotency::default();
            assert_eq!(recall(&table, "a", 1, 0), "New");
            let Recall::InFlight(waiter) =
                table.recall(RequestKey::new("s", "a"), &[1; 32], Timestamp(0))
            else {
                panic!("in flight");
            };
            assert!(!waiter.wait(Duration::ZERO));
            let told = Arc::new(AtomicUsize::new(0));
            let count = || {
                let told = told.clone();
                Box::new(move || {
                    told.fetch_add(1, Ordering::SeqCst);
                })
            };
            waiter.notify(count());
            if is_stored {
                table.settle(record("a", 0), Timestamp(0));
            } else {
                table.forget(RequestKey::new("s", "a"));
            }
            assert!(waiter.wait(Duration::from_secs(60)));
            waiter.notify(count());
            assert_eq!(told.load(Ordering::SeqCst), 2);
        }
    }

    fn bounded(keys_max: usize, ordinary_bytes_max: usize) -> Idempotency {
        Idempotency::bounded(Bounds {
            keys_max,
            ordinary_bytes_max,
            long_bytes_max: 1 << 20,
        })
    }

    fn settle(table: &Idempotency, keys: &[&str], time_s: i64) {
        for key in keys {
            table.settle(record(key, time_s), Timestamp(time_s * NS_PER_S));
        }
    }

    #[test]
    fn the_oldest_keys_go_first() {
        let table = bounded(3, 1 << 20);
        settle(&table, &["a", "b", "c"], 0);
        assert_eq!(table.figures(), (3, 0), "at the limit");
        settle(&table, &["d"], 0);
        assert_eq!(table.figures(), (3, 1), "one past it");
        assert_eq!(recall(&table, "b", 1, 0), "b");
        assert_eq!(recall(&table, "a", 1, 0), "New");
        // What goes in its time is not counted.
        settle(&table, &["e"], IDEMPOTENCY_KEPT_S);
        assert_eq!(table.figures(), (1, 1));
        assert_eq!(table.cut().keys().count(), 1);
    }

    #[test]
    fn keys_go_with_their_answers() {
        // Each has an answer of its own.
        let table = bounded(100, 300);
        settle(&table, &["a", "b"], 0);
        assert_eq!(table.figures(), (2, 0));
        settle(&table, &["c"], 0);
        assert_eq!(table.figures(), (2, 1));
        assert_eq!(recall(&table, "a", 1, 0), "New");
        settle(&table, &["a"], 1);
        assert_eq!(recall(&table, "a", 1, 1), "a");
        assert_eq!(table.figures(), (2, 2));
        let restored = bounded(100, 300);
        restored.restore(table.cut(), Timestamp(0));
        assert_eq!(restored.figures(), (2, 0));
        assert_eq!(recall(&restored, "a", 1, 1), "a");
        assert_eq!(recall(&restored, "c", 1, 1), "c");
        // The queue still has what went with its answer: it goes without being counted again.
        settle(&table, &["z"], 1 + IDEMPOTENCY_KEPT_S);
        assert_eq!(table.figures(), (1, 2));
    }

    #[test]
    fn a_key_that_is_stored_again_stays_when_its_first_record_goes() {
        let table = bounded(2, 1 << 20);
        settle(&table, &["a"], 0);
        settle(&table, &["a", "b"], 1);
        assert_eq!(recall(&table, "a", 1, 1), "a");
        assert_eq!(table.figures(), (2, 0));
    }

    #[test]
    fn a_key_is_of_its_scope() {
        let keys = [
            ("ab", "c"),
            ("a", "bc"),
            ("", "abc"),
            ("abc", ""),
            ("b", "c"),
        ];
        let distinct: std::collections::HashSet<_> = keys
            .iter()
            .map(|(scope, key)| RequestKey::new(scope, key))
            .collect();
        assert_eq!(distinct.len(), keys.len());
    }

    fn numbered(number: u64) -> IdempotencyRecord {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&number.to_le_bytes());
        IdempotencyRecord {
            key: RequestKey(key),
            body: [1; 16],
            answer: PackedAnswer::new(format!(r#"{{"accepted":{}}}"#, number % 500).as_bytes()),
            time: Timestamp(number as i64),
        }
    }

    #[test]
    fn a_million_keys_are_held() {
        let table = Idempotency::default();
        let millions = IDEMPOTENCY_KEYS_MAX as u64;
        let mut cut = None;
        for number in 0..=millions {
            if number == millions {
                assert_eq!(table.figures(), (IDEMPOTENCY_KEYS_MAX, 0));
                cut = Some(table.cut());
            }
            table.settle(numbered(number), Timestamp(0));
        }
        assert_eq!(table.figures(), (IDEMPOTENCY_KEYS_MAX, 1));
        let is_held = |number| {
            let known = table.recall(numbered(number).key, &[1; 32], Timestamp(0));
            matches!(known, Recall::Answer(_))
        };
        assert!(!is_held(0) && is_held(1) && is_held(millions));
        // What was cut before the last key is as it was.
        let cut = cut.unwrap();
        assert_eq!(cut.keys().next().unwrap().0, numbered(0).key);
        assert_eq!(cut.keys().last().unwrap().0, numbered(millions - 1).key);
    }
}
