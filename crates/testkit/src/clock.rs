//! A clock that only a test moves.
use std::sync::atomic::{AtomicI64, Ordering};
use taffrail_model::{
    clock::Clock,
    time::{NS_PER_DAY, Timestamp},
};

/// A clock that stands still until it is set.
#[derive(Debug)]
pub struct SimulatedClock {
    now_ns: AtomicI64,
}

impl SimulatedClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> SimulatedClock {
        SimulatedClock {
            now_ns: AtomicI64::new(now.0),
        }
    }

    /// Sets the time, backwards too.
    pub fn set(&self, now: Timestamp) {
        self.now_ns.store(now.0, Ordering::SeqCst);
    }

    /// Moves the time on by nanoseconds.
    pub fn advance_ns(&self, ns: i64) {
        self.now_ns.fetch_add(ns, Ordering::SeqCst);
    }

    /// Moves the time on by days.
    pub fn advance_days(&self, days: i64) {
        self.advance_ns(days * NS_PER_DAY);
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now_ns.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_only_by_hand() {
        let clock = SimulatedClock::new(Timestamp(5));
        assert_eq!(clock.now(), clock.now());
        clock.advance_days(1);
        assert_eq!(clock.now(), Timestamp(NS_PER_DAY + 5));
        clock.set(Timestamp(1));
        assert_eq!(clock.now(), Timestamp(1));
    }
}
