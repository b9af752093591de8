//! Idempotency keys: a request that is repeated is stored once and answered as the first time.
//!
//! Invariants
//! - A key is either free, in flight or done; two requests never have it in flight together.
//! - A done key was made durable with the rows of its request, in the same frame.
//! - Time, number and bytes are bounded; the oldest key goes first.
use crate::wal::IdempotencyRecord;
use parking_lot::{Condvar, Mutex};
use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::Arc,
    time::Duration,
};
use taffrail_model::{
    limits::{IDEMPOTENCY_KEPT_S, IDEMPOTENCY_KEYS_MAX},
    time::{NS_PER_S, Timestamp},
};

/// Bytes of all keys and answers together: an answer lists rejected records, so a number of keys
/// alone bounds nothing.
pub const IDEMPOTENCY_BYTES_MAX: usize = 64 << 20;

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

type Key = (Arc<str>, Arc<str>);

#[derive(Default)]
struct Table {
    done: HashMap<Key, Arc<IdempotencyRecord>>,
    /// Oldest first.
    order: VecDeque<Arc<IdempotencyRecord>>,
    bytes: usize,
    in_flight: HashMap<Key, ([u8; 32], Waiter)>,
}

/// All keys.
pub(crate) struct Idempotency {
    table: Mutex<Table>,
    keys_max: usize,
    bytes_max: usize,
}

impl Default for Idempotency {
    fn default() -> Idempotency {
        Idempotency::bounded(IDEMPOTENCY_KEYS_MAX, IDEMPOTENCY_BYTES_MAX)
    }
}

impl Idempotency {
    fn bounded(keys_max: usize, bytes_max: usize) -> Idempotency {
        Idempotency {
            table: Mutex::default(),
            keys_max,
            bytes_max,
        }
    }

    pub(crate) fn recall(
        &self,
        scope: &str,
        key: &str,
        body_hash: &[u8; 32],
        now: Timestamp,
    ) -> Recall {
        let mut table = self.table.lock();
        let key: Key = (scope.into(), key.into());
        if let Some(record) = table.done.get(&key)
            && !is_expired(record, now)
        {
            return if record.body_hash == *body_hash {
                Recall::Answer(record.answer.to_vec())
            } else {
                Recall::Conflict
            };
        }
        match table.in_flight.entry(key) {
            Entry::Vacant(free) => {
                free.insert((*body_hash, Waiter::new()));
                Recall::New
            }
            Entry::Occupied(taken) if taken.get().0 == *body_hash => {
                Recall::InFlight(taken.get().1.clone())
            }
            Entry::Occupied(_) => Recall::Conflict,
        }
    }

    /// Frees a key whose request was not stored.
    pub(crate) fn forget(&self, scope: &str, key: &str) {
        let waiter = self
            .table
            .lock()
            .in_flight
            .remove(&(scope.into(), key.into()));
        if let Some((_, waiter)) = waiter {
            waiter.give();
        }
    }

    /// Frees every key in flight.
    pub(crate) fn forget_all(&self) {
        let in_flight = std::mem::take(&mut self.table.lock().in_flight);
        for (_, waiter) in in_flight.into_values() {
            waiter.give();
        }
    }

    /// Keeps the answer of a request that is durable.
    pub(crate) fn settle(&self, record: IdempotencyRecord, now: Timestamp) {
        let key: Key = (record.scope.clone(), record.key.clone());
        let waiter = {
            let mut table = self.table.lock();
            table.put(Arc::new(record));
            table.shrink(now, self.keys_max, self.bytes_max);
            table.in_flight.remove(&key)
        };
        if let Some((_, waiter)) = waiter {
            waiter.give();
        }
    }

    /// All records, oldest first, for a manifest snapshot.
    pub(crate) fn records(&self) -> Vec<Arc<IdempotencyRecord>> {
        self.table.lock().order.iter().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.table.lock().done.len()
    }
}

impl Table {
    fn put(&mut self, record: Arc<IdempotencyRecord>) {
        let key: Key = (record.scope.clone(), record.key.clone());
        self.bytes += memory_bytes(&record);
        self.order.push_back(record.clone());
        self.done.insert(key, record);
    }

    fn shrink(&mut self, now: Timestamp, keys_max: usize, bytes_max: usize) {
        while let Some(oldest) = self.order.front() {
            let is_over = self.order.len() > keys_max || self.bytes > bytes_max;
            if !is_over && !is_expired(oldest, now) {
                break;
            }
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.bytes -= memory_bytes(&oldest);
            // The key may have been stored again since.
            let key: Key = (oldest.scope.clone(), oldest.key.clone());
            if let Entry::Occupied(done) = self.done.entry(key)
                && Arc::ptr_eq(done.get(), &oldest)
            {
                done.remove();
            }
        }
    }
}

fn is_expired(record: &IdempotencyRecord, now: Timestamp) -> bool {
    now.0.saturating_sub(record.time.0) >= IDEMPOTENCY_KEPT_S * NS_PER_S
}

fn memory_bytes(record: &IdempotencyRecord) -> usize {
    // What a table entry, two counted texts and the record cost beside their bytes.
    record.key.len() + record.answer.len() + 240
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn record(key: &str, time_s: i64) -> IdempotencyRecord {
        IdempotencyRecord {
            scope: "s".into(),
            key: key.into(),
            body_hash: [1; 32],
            answer: key.as_bytes().into(),
            time: Timestamp(time_s * NS_PER_S),
        }
    }

    fn recall(table: &Idempotency, key: &str, hash: u8, now_s: i64) -> String {
        let now = Timestamp(now_s * NS_PER_S);
        match table.recall("s", key, &[hash; 32], now) {
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
        table.forget("s", "b");
        assert_eq!(recall(&table, "b", 3, 1), "New");
        assert_eq!(recall(&table, "a", 1, IDEMPOTENCY_KEPT_S - 1), "a");
        assert_eq!(recall(&table, "a", 2, IDEMPOTENCY_KEPT_S), "New");
    }

    #[test]
    fn waiters_are_told_of_success_and_failure() {
        for is_stored in [true, false] {
            let table = Idempotency::default();
            assert_eq!(recall(&table, "a", 1, 0), "New");
            let Recall::InFlight(waiter) = table.recall("s", "a", &[1; 32], Timestamp(0)) else {
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
                table.forget("s", "a");
            }
            assert!(waiter.wait(Duration::from_secs(60)));
            waiter.notify(count());
            assert_eq!(told.load(Ordering::SeqCst), 2);
        }
    }

    #[test]
    fn the_oldest_keys_go_first() {
        let table = Idempotency::bounded(3, 1 << 20);
        for key in ["a", "b", "c", "d"] {
            table.settle(record(key, 0), Timestamp(0));
        }
        assert_eq!(recall(&table, "b", 1, 0), "b");
        assert_eq!(recall(&table, "a", 1, 0), "New");
        let table = Idempotency::bounded(100, 600);
        for key in ["a", "b", "c"] {
            table.settle(record(key, 0), Timestamp(0));
        }
        assert_eq!(table.len(), 2);
        let old = record("old", -IDEMPOTENCY_KEPT_S);
        let table = Idempotency::default();
        table.settle(old, Timestamp(-1));
        table.settle(record("a", 0), Timestamp(0));
        assert_eq!(table.len(), 1);
        assert_eq!(table.records().len(), 1);
    }

    #[test]
    fn a_key_that_is_stored_again_stays_when_its_first_record_goes() {
        let table = Idempotency::bounded(2, 1 << 20);
        table.settle(record("a", 0), Timestamp(0));
        table.settle(record("a", 1), Timestamp(0));
        table.settle(record("b", 1), Timestamp(0));
        assert_eq!(recall(&table, "a", 1, 1), "a");
    }
}
