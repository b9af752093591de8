//! Idempotency keys: a request that is repeated is stored once and answered as the first time.
//!
//! Invariants
//! - A key is either free, in flight or done; two requests never have it in flight together.
//! - A done key was made durable with the rows of its request, in the same frame.
//! - Time, number and bytes are bounded. Past a bound the tenant that has the most loses its oldest
//!   keys first, so that none pushes out another's. A key that goes before its time is counted.
mod answers;
mod place;
mod queue;
mod records;
mod table;
mod tenants;

pub(crate) use answers::PackedAnswer;
pub(crate) use place::Place;
pub(crate) use records::{KeyRecord, Records, TenantRecords};
pub use tenants::Evicted;

use crate::encoding::{Input, Malformed, put_signed};
use parking_lot::{Condvar, Mutex};
use ring::digest;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};
use taffrail_model::{limits::IDEMPOTENCY_KEYS_MAX, tenant::TenantNumber, time::Timestamp};
use tenants::{Bounds, Tenants};

/// Bytes of distinct answers of all tenants that have a few rejects: some 40,000. Answers without
/// rejects take none.
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

/// Tenant, scope and key of a request. The hash is the first 128 bits of SHA-256 of the scope's
/// length (8 bytes, little-endian), the scope and the key. Clients choose keys, so two that have the
/// same hash must not be found by anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RequestKey {
    /// Whose records they are: keys are bounded by it.
    pub(crate) tenant: TenantNumber,
    pub(crate) hash: [u8; 16],
}

impl RequestKey {
    pub(crate) fn new(tenant: TenantNumber, scope: &str, key: &str) -> RequestKey {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&(scope.len() as u64).to_le_bytes());
        hash.update(scope.as_bytes());
        hash.update(key.as_bytes());
        let mut first = [0; 16];
        first.copy_from_slice(&hash.finish().as_ref()[..16]);
        RequestKey {
            tenant,
            hash: first,
        }
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
        out.extend_from_slice(&self.key.tenant.0.to_le_bytes());
        out.extend_from_slice(&self.key.hash);
        out.extend_from_slice(&self.body);
        self.answer.encode(out);
        put_signed(out, self.time.0);
    }

    pub(crate) fn decode(input: &mut Input<'_>) -> Result<IdempotencyRecord, Malformed> {
        Ok(IdempotencyRecord {
            key: RequestKey {
                tenant: TenantNumber(input.u32()?),
                hash: input.fixed()?,
            },
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
    done: Tenants,
    in_flight: InFlight,
}

impl Default for Idempotency {
    fn default() -> Idempotency {
        Idempotency::bounded(Bounds {
            keys_max: IDEMPOTENCY_KEYS_MAX,
            answers_bytes_max: [ORDINARY_ANSWERS_BYTES_MAX, LONG_ANSWERS_BYTES_MAX],
        })
    }
}

impl Idempotency {
    fn bounded(bounds: Bounds) -> Idempotency {
        Idempotency {
            keys: Mutex::new(Keys {
                done: Tenants::bounded(bounds),
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
            drop(keys);
            return Recall::Answer(done.answer.unpack());
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
    pub(crate) fn figures(&self) -> (usize, Evicted) {
        let keys = self.keys.lock();
        (keys.done.held(), keys.done.evicted())
    }
}

#[cfg(test)]
mod tests;
