//! A copy of the exchanges that pass, for whoever records them.
//!
//! Invariants
//! - Leaving a copy never waits: past [`TAP_BYTES_MAX`] bytes are not kept but counted, and the
//!   next copy of that body is behind a gap that says how many are missing. An exchange for whose
//!   head there is no room passes unrecorded, and is counted.
//! - Copies of one exchange are in the order in which they were left, and its end is always told.
use hyper::body::Bytes;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};
use taffrail_ingest::{
    listen::process::tap::{SteadyClock, TAP_BYTES_MAX},
    mcp::http::{AnswerHead, End, ExchangeId, RequestHead},
};
use taffrail_model::time::Timestamp;

/// What a copy costs beyond its bytes.
const COPY_BYTES: usize = 128;
/// What a head costs: its texts are bounded by what a connection reads of one.
const HEAD_BYTES: usize = 1_024;
/// Bytes of a piece that is copied; of a longer one the memory is shared with whoever passes it.
/// A short one may be a small part of a large buffer.
const COPIED_BYTES_MAX: usize = 4_096;

/// Which body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The request's.
    Request,
    /// The answer's.
    Answer,
}

/// Something that passed.
#[derive(Debug)]
pub struct Passed {
    /// Of which exchange.
    pub exchange: ExchangeId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What passed.
#[derive(Debug)]
pub enum What {
    Begin(Box<RequestHead>),
    Answer(Box<AnswerHead>),
    Bytes(Side, Bytes),
    Gap(Side, u64),
    RequestEnd { is_whole: bool },
    End(End),
}

/// Where copies are left.
#[derive(Debug)]
pub struct Tap {
    passed: mpsc::Sender<(Passed, usize)>,
    bytes: Arc<AtomicUsize>,
    bytes_max: usize,
    clock: SteadyClock,
    next: AtomicU64,
    /// Exchanges that were not recorded at all.
    lost: Arc<AtomicU64>,
}

/// Where they are taken.
#[derive(Debug)]
pub struct Tapped {
    passed: mpsc::Receiver<(Passed, usize)>,
    bytes: Arc<AtomicUsize>,
    lost: Arc<AtomicU64>,
    clock: SteadyClock,
}

/// Why there is no copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// None came in this time.
    Yet,
    /// None will come.
    ForEver,
}

/// A tap of the usual size.
#[must_use]
pub fn tap() -> (Tap, Tapped) {
    sized(TAP_BYTES_MAX)
}

fn sized(bytes_max: usize) -> (Tap, Tapped) {
    let (sender, passed) = mpsc::channel();
    let clock = SteadyClock::set();
    let tap = Tap {
        passed: sender,
        bytes: Arc::default(),
        bytes_max,
        clock,
        next: AtomicU64::new(0),
        lost: Arc::default(),
    };
    let tapped = Tapped {
        passed,
        bytes: tap.bytes.clone(),
        lost: tap.lost.clone(),
        clock,
    };
    (tap, tapped)
}

impl Tap {
    /// Begins an exchange.
    pub fn begin(self: &Arc<Tap>, head: RequestHead) -> Exchange {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let is_recorded = self.has_room(HEAD_BYTES);
        if is_recorded {
            self.send(id, What::Begin(Box::new(head)), HEAD_BYTES);
        } else {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Exchange(Arc::new(Shared {
            tap: self.clone(),
            id,
            is_recorded,
            is_over: AtomicBool::new(false),
            lost: [AtomicU64::new(0), AtomicU64::new(0)],
        }))
    }

    /// Takes room, if there is some.
    fn has_room(&self, bytes: usize) -> bool {
        let used = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let has_room = used.saturating_add(bytes) <= self.bytes_max;
        if !has_room {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        has_room
    }

    fn send(&self, exchange: ExchangeId, what: What, cost: usize) {
        let at = self.clock.now();
        // Without a recorder nobody misses it.
        let _ = self.passed.send((Passed { exchange, at, what }, cost));
    }
}

/// One exchange that passes.
#[derive(Clone, Debug)]
pub struct Exchange(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tap: Arc<Tap>,
    id: ExchangeId,
    is_recorded: bool,
    is_over: AtomicBool,
    lost: [AtomicU64; 2],
}

impl Exchange {
    /// Leaves a copy of a piece of a body.
    pub fn bytes(&self, side: Side, bytes: &Bytes) {
        let shared = &self.0;
        if !shared.is_recorded || bytes.is_empty() {
            return;
        }
        let cost = bytes.len() + COPY_BYTES;
        if !shared.tap.has_room(cost) {
            shared.lost[side as usize].fetch_add(bytes.len() as u64, Ordering::Relaxed);
            return;
        }
        self.say_gap(side);
        let copy = match bytes.len() {
            ..=COPIED_BYTES_MAX => Bytes::copy_from_slice(bytes),
            _ => bytes.clone(),
        };
        shared.tap.send(shared.id, What::Bytes(side, copy), cost);
    }

    /// The request's body is whole, or nothing more comes of it.
    pub fn request_end(&self, is_whole: bool) {
        self.say_gap(Side::Request);
        self.tell(What::RequestEnd { is_whole });
    }

    /// The head of the answer.
    pub fn answer(&self, head: AnswerHead) {
        self.tell(What::Answer(Box::new(head)));
    }

    /// The exchange is over; only the first end counts.
    pub fn end(&self, end: End) {
        if !self.0.is_over.swap(true, Ordering::Relaxed) {
            self.say_gap(Side::Answer);
            self.tell(What::End(end));
        }
    }

    fn say_gap(&self, side: Side) {
        let bytes = self.0.lost[side as usize].swap(0, Ordering::Relaxed);
        if bytes > 0 {
            self.tell(What::Gap(side, bytes));
        }
    }

    /// Tells what must not be missing; there are few of these in an exchange.
    fn tell(&self, what: What) {
        let shared = &self.0;
        if shared.is_recorded {
            shared.tap.bytes.fetch_add(COPY_BYTES, Ordering::Relaxed);
            shared.tap.send(shared.id, what, COPY_BYTES);
        }
    }
}

impl Tapped {
    /// The oldest copy, waiting so long for one.
    ///
    /// # Errors
    /// [`Empty`].
    pub fn next(&self, patience: Duration) -> Result<Passed, Empty> {
        let (passed, cost) = match self.passed.recv_timeout(patience) {
            Ok(found) => found,
            Err(mpsc::RecvTimeoutError::Timeout) => return Err(Empty::Yet),
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(Empty::ForEver),
        };
        self.bytes.fetch_sub(cost, Ordering::Relaxed);
        Ok(passed)
    }

    /// Exchanges that were not recorded since the last call.
    pub fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// The clock of the copies.
    #[must_use]
    pub fn clock(&self) -> SteadyClock {
        self.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tapped: &Tapped) -> Vec<String> {
        std::iter::from_fn(|| tapped.next(Duration::ZERO).ok())
            .map(|passed| match passed.what {
                What::Begin(_) => format!("{} begins", passed.exchange),
                What::Answer(_) => "answer".to_string(),
                What::Bytes(side, bytes) => format!("{side:?} {}", bytes.len()),
                What::Gap(side, bytes) => format!("{side:?} lost {bytes}"),
                What::RequestEnd { is_whole } => format!("request ends {is_whole}"),
                What::End(end) => format!("{end:?}"),
            })
            .collect()
    }

    #[test]
    fn what_has_no_room_is_counted_in_its_place() {
        let (tap, tapped) = sized(HEAD_BYTES + 2 * COPY_BYTES + 100);
        let tap = Arc::new(tap);
        let exchange = tap.begin(RequestHead::default());
        exchange.bytes(Side::Request, &Bytes::from(vec![1; 100]));
        exchange.bytes(Side::Request, &Bytes::from(vec![2; 129]));
        let unrecorded = tap.begin(RequestHead::default());
        unrecorded.bytes(Side::Request, &Bytes::from_static(b"x"));
        unrecorded.end(End::Complete);
        exchange.request_end(true);
        assert_eq!(tapped.take_lost(), 1);
        assert_eq!(tapped.take_lost(), 0);
        assert_eq!(
            shown(&tapped),
            [
                "0 begins",
                "Request 100",
                "Request lost 129",
                "request ends true"
            ]
        );
        exchange.bytes(Side::Answer, &Bytes::from(vec![3; 10_000]));
        exchange.bytes(Side::Answer, &Bytes::from(vec![3; 10]));
        exchange.end(End::Complete);
        exchange.end(End::ClientClosed);
        assert_eq!(
            shown(&tapped),
            ["Answer lost 10000", "Answer 10", "Complete"]
        );
        assert_eq!(tapped.bytes.load(Ordering::Relaxed), 0);
        drop((exchange, unrecorded, tap));
        assert_eq!(tapped.next(Duration::ZERO).err(), Some(Empty::ForEver));
    }
}
