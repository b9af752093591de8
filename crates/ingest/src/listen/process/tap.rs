//! A copy of what passes, for whoever records it.
//!
//! Invariants
//! - Leaving a copy never waits: past [`TAP_BYTES_MAX`] it is not kept, but counted, and the next
//!   copy of that direction is behind a [`Content::Gap`] that says how much is missing.
//! - Copies are in the order in which they were left: a request before its answer, since a pump
//!   leaves the copy before it passes the bytes on.
//! - Times never go back: they are those of a monotonic clock that was set by the wall clock once.
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use taffrail_model::{
    clock::{Clock, SystemClock},
    time::Timestamp,
};

/// Bytes of copies that wait to be recorded: a third of a second at 50 MB/s, and what a server
/// says in hours. More would be memory that the program may need itself.
pub const TAP_BYTES_MAX: usize = 16 << 20;
/// What a copy costs beyond its bytes: many small ones count too.
const CHUNK_BYTES: usize = 96;

/// Which way bytes pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the client to the program.
    Stdin,
    /// From the program's standard output.
    Stdout,
    /// From the program's standard error.
    Stderr,
}

impl Direction {
    /// All, in order.
    pub const ALL: [Direction; 3] = [Direction::Stdin, Direction::Stdout, Direction::Stderr];

    /// The usual name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Direction::Stdin => "stdin",
            Direction::Stdout => "stdout",
            Direction::Stderr => "stderr",
        }
    }
}

/// Something that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Which way.
    pub direction: Direction,
    /// When it was read.
    pub at: Timestamp,
    /// What.
    pub content: Content,
    /// Whether bytes of stdin or stdout were lost before it. That is known here before the gap is
    /// said, which is with the next copy of its own direction and may be long after this.
    pub is_after_loss: bool,
}

/// What passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// These bytes, cut anywhere.
    Bytes(Vec<u8>),
    /// Bytes that are not recorded: there was no room for their copy.
    Gap {
        /// How many.
        bytes: u64,
    },
    /// Nothing more will come this way.
    Closed,
    /// Nothing passed: whoever takes the copies was told something another way, and this is when.
    Mark,
}

/// A clock that was set once and never goes back.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    set_to: Timestamp,
    set_at: Instant,
}

impl SteadyClock {
    /// Sets one, now.
    #[must_use]
    pub fn set() -> SteadyClock {
        SteadyClock {
            set_to: SystemClock.now(),
            set_at: Instant::now(),
        }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let passed_ns = i64::try_from(self.set_at.elapsed().as_nanos()).unwrap_or(i64::MAX);
        Timestamp(self.set_to.0.saturating_add(passed_ns))
    }
}

#[derive(Debug, Default)]
struct Shared {
    bytes: AtomicUsize,
    /// Not said yet.
    lost: [AtomicU64; 3],
    lost_ever: [AtomicU64; 3],
}

/// Where copies are left.
#[derive(Clone, Debug)]
pub struct Tap {
    shared: Arc<Shared>,
    chunks: Sender<Chunk>,
    clock: SteadyClock,
    bytes_max: usize,
}

/// Where they are taken.
#[derive(Debug)]
pub struct Tapped {
    shared: Arc<Shared>,
    chunks: Receiver<Chunk>,
}

/// A tap that keeps so many bytes.
#[must_use]
pub fn tap(bytes_max: usize) -> (Tap, Tapped) {
    let (sender, chunks) = crossbeam_channel::unbounded();
    let shared = Arc::new(Shared::default());
    let tap = Tap {
        shared: shared.clone(),
        chunks: sender,
        clock: SteadyClock::set(),
        bytes_max,
    };
    (tap, Tapped { shared, chunks })
}

impl Tap {
    /// Leaves a copy. One thread leaves those of one direction.
    pub fn leave(&self, direction: Direction, bytes: &[u8]) {
        let cost = bytes.len() + CHUNK_BYTES;
        let lost = &self.shared.lost[direction as usize];
        let used = self.shared.bytes.fetch_add(cost, Ordering::Relaxed);
        if used.saturating_add(cost) > self.bytes_max {
            self.shared.bytes.fetch_sub(cost, Ordering::Relaxed);
            lost.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            let ever = &self.shared.lost_ever[direction as usize];
            ever.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            return;
        }
        self.say_gap(direction);
        self.send(direction, Content::Bytes(bytes.to_vec()));
    }

    /// Says that nothing more comes this way.
    pub fn close(&self, direction: Direction) {
        self.say_gap(direction);
        self.shared.bytes.fetch_add(CHUNK_BYTES, Ordering::Relaxed);
        self.send(direction, Content::Closed);
    }

    /// Marks a place among the copies, and wakes whoever waits for them.
    pub fn mark(&self) {
        self.shared.bytes.fetch_add(CHUNK_BYTES, Ordering::Relaxed);
        self.send(Direction::Stdin, Content::Mark);
    }

    /// Bytes of a direction of which there was no copy, for whoever cannot wait until all copies
    /// are taken.
    #[must_use]
    pub fn lost(&self, direction: Direction) -> u64 {
        self.shared.lost_ever[direction as usize].load(Ordering::Relaxed)
    }

    /// The clock of the copies.
    #[must_use]
    pub fn clock(&self) -> SteadyClock {
        self.clock
    }

    fn say_gap(&self, direction: Direction) {
        let lost = &self.shared.lost[direction as usize];
        let bytes = lost.swap(0, Ordering::Relaxed);
        if bytes > 0 {
            self.shared.bytes.fetch_add(CHUNK_BYTES, Ordering::Relaxed);
            self.send(direction, Content::Gap { bytes });
        }
    }

    fn send(&self, direction: Direction, content: Content) {
        let is_lost = |direction| self.lost(direction) > 0;
        let chunk = Chunk {
            direction,
            at: self.clock.now(),
            content,
            is_after_loss: is_lost(Direction::Stdin) || is_lost(Direction::Stdout),
        };
        // Without a recorder nobody misses it.
        let _ = self.chunks.send(chunk);
    }
}

/// Why there is no copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// None came in this time.
    Yet,
    /// None will come: every tap is gone.
    ForEver,
}

impl Tapped {
    /// The oldest copy, waiting so long for one.
    ///
    /// # Errors
    /// [`Empty`].
    pub fn next(&self, patience: Duration) -> Result<Chunk, Empty> {
        let chunk = match self.chunks.try_recv() {
            Ok(chunk) => chunk,
            Err(TryRecvError::Disconnected) => return Err(Empty::ForEver),
            Err(TryRecvError::Empty) if patience.is_zero() => return Err(Empty::Yet),
            Err(TryRecvError::Empty) => match self.chunks.recv_timeout(patience) {
                Ok(chunk) => chunk,
                Err(RecvTimeoutError::Timeout) => return Err(Empty::Yet),
                Err(RecvTimeoutError::Disconnected) => return Err(Empty::ForEver),
            },
        };
        let bytes = match &chunk.content {
            Content::Bytes(bytes) => bytes.len(),
            Content::Gap { .. } | Content::Closed | Content::Mark => 0,
        };
        let cost = bytes + CHUNK_BYTES;
        self.shared.bytes.fetch_sub(cost, Ordering::Relaxed);
        Ok(chunk)
    }

    /// Number of copies that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.chunks.len()
    }

    /// Bytes of a direction that were lost and not said yet.
    #[must_use]
    pub fn unsaid(&self, direction: Direction) -> u64 {
        self.shared.lost[direction as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn contents(tapped: &Tapped) -> Vec<(Direction, Content)> {
        std::iter::from_fn(|| tapped.next(NOW).ok())
            .map(|chunk| (chunk.direction, chunk.content))
            .collect()
    }

    #[test]
    fn copies_keep_their_order() {
        let (tap, tapped) = tap(1 << 10);
        tap.leave(Direction::Stdin, b"ask");
        tap.leave(Direction::Stdout, b"answer");
        tap.close(Direction::Stdin);
        let expected = [
            (Direction::Stdin, Content::Bytes(b"ask".to_vec())),
            (Direction::Stdout, Content::Bytes(b"answer".to_vec())),
            (Direction::Stdin, Content::Closed),
        ];
        assert_eq!(contents(&tapped), expected);
        assert_eq!(tapped.next(NOW), Err(Empty::Yet));
        drop(tap);
        assert_eq!(tapped.next(NOW), Err(Empty::ForEver));
    }

    #[test]
    fn a_copy_says_whether_something_was_lost_before_it() {
        let (tap, tapped) = tap(3 * CHUNK_BYTES + 3);
        let large = [0; 1 << 10];
        tap.leave(Direction::Stdout, b"1");
        tap.leave(Direction::Stderr, &large);
        tap.leave(Direction::Stdout, b"2");
        tap.leave(Direction::Stdin, &large);
        tap.leave(Direction::Stdout, b"3");
        let chunks = std::iter::from_fn(|| tapped.next(NOW).ok());
        let found: Vec<bool> = chunks.map(|chunk| chunk.is_after_loss).collect();
        assert_eq!(found, [false, false, true]);
    }

    #[test]
    fn what_has_no_room_is_counted_in_its_place() {
        let (tap, tapped) = tap(2 * CHUNK_BYTES + 20);
        tap.leave(Direction::Stdout, &[1; 10]);
        tap.leave(Direction::Stdout, &[2; 11]);
        tap.leave(Direction::Stdout, &[3; 12]);
        tap.leave(Direction::Stdin, &[4; 10]);
        assert_eq!(tapped.unsaid(Direction::Stdout), 23);
        let expected = [
            (Direction::Stdout, Content::Bytes(vec![1; 10])),
            (Direction::Stdin, Content::Bytes(vec![4; 10])),
        ];
        assert_eq!(contents(&tapped), expected);
        tap.leave(Direction::Stdout, &[5; 1]);
        let expected = [
            (Direction::Stdout, Content::Gap { bytes: 23 }),
            (Direction::Stdout, Content::Bytes(vec![5; 1])),
        ];
        assert_eq!(contents(&tapped), expected);
        tap.leave(Direction::Stderr, &[6; 1 << 10]);
        tap.close(Direction::Stderr);
        let expected = [
            (Direction::Stderr, Content::Gap { bytes: 1 << 10 }),
            (Direction::Stderr, Content::Closed),
        ];
        assert_eq!(contents(&tapped), expected);
        assert_eq!(tapped.shared.bytes.load(Ordering::Relaxed), 0);
        // Said or not.
        let lost = Direction::ALL.map(|direction| tap.lost(direction));
        assert_eq!(lost, [0, 23, 1 << 10]);
    }
}
