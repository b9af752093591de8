//! Whether and when the program is started again.
use super::RestartArgument;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use taffrail_ingest::listen::process::ended::Ended;

/// First and longest wait before a start.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// See [`BACKOFF_FIRST`].
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A program that ran so long was well: the next wait is the first again.
pub const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// Restarts in [`RESTART_WINDOW`] after which it is given up, unless another number is asked for: a
/// program that never comes up has had some three minutes.
pub const RESTARTS_MAX: u16 = 10;
/// The most that can be asked for. Waits leave room for 25 in the window: from there on it is never
/// given up.
pub const RESTARTS_MOST: i64 = 1_000;
/// See [`RESTARTS_MAX`].
pub const RESTART_WINDOW: Duration = Duration::from_secs(600);

/// What to do after an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// End as it ended.
    End,
    /// As often as it may be in [`RESTART_WINDOW`] it was started again: end as it ended.
    GiveUp,
    /// Start it again after this wait.
    Again(Duration),
}

/// Decides.
#[derive(Debug)]
pub struct RestartPolicy {
    when: RestartArgument,
    restarts_max: usize,
    backoff: Duration,
    restarts: VecDeque<Instant>,
}

impl RestartPolicy {
    /// A policy for a program that was not started yet, and is given up after so many restarts in
    /// [`RESTART_WINDOW`].
    #[must_use]
    pub fn new(when: RestartArgument, restarts_max: usize) -> RestartPolicy {
        RestartPolicy {
            when,
            restarts_max,
            backoff: BACKOFF_FIRST,
            restarts: VecDeque::new(),
        }
    }

    /// What to do, now that it ended after it `ran` so long.
    pub fn after(&mut self, ended: Ended, ran: Duration, now: Instant) -> Verdict {
        let is_wanted = match self.when {
            RestartArgument::Never => false,
            RestartArgument::OnFailure => !ended.is_success(),
            RestartArgument::Always => true,
        };
        if !is_wanted {
            return Verdict::End;
        }
        let is_old = |at: &Instant| now.saturating_duration_since(*at) > RESTART_WINDOW;
        while self.restarts.front().is_some_and(is_old) {
            self.restarts.pop_front();
        }
        if self.restarts.len() >= self.restarts_max {
            return Verdict::GiveUp;
        }
        self.restarts.push_back(now);
        if ran >= HEALTHY_AFTER {
            self.backoff = BACKOFF_FIRST;
        }
        let wait = self.backoff;
        self.backoff = (wait * 2).min(BACKOFF_MAX);
        Verdict::Again(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(5);

    fn policy(when: RestartArgument) -> RestartPolicy {
        RestartPolicy::new(when, RESTARTS_MAX.into())
    }

    #[test]
    fn when() {
        use RestartArgument::{Always, Never, OnFailure};
        let cases = [
            (Never, Ended::Code(1), false),
            (Never, Ended::Signal(9), false),
            (OnFailure, Ended::Code(0), false),
            (OnFailure, Ended::Code(1), true),
            (OnFailure, Ended::Signal(15), true),
            (Always, Ended::Code(0), true),
        ];
        for (when, ended, is_again) in cases {
            let verdict = policy(when).after(ended, SOON, Instant::now());
            assert_eq!(
                matches!(verdict, Verdict::Again(_)),
                is_again,
                "{when:?} {ended:?}"
            );
        }
    }

    #[test]
    fn waits_double_until_it_was_well() {
        let mut policy = policy(RestartArgument::Always);
        let now = Instant::now();
        let mut wait = |ran| match policy.after(Ended::Code(1), ran, now) {
            Verdict::Again(wait) => wait.as_secs(),
            other => panic!("{other:?}"),
        };
        let waits: Vec<u64> = (0..7).map(|_| wait(SOON)).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!([wait(HEALTHY_AFTER), wait(SOON)], [1, 2]);
    }

    #[test]
    fn it_is_given_up_after_so_many_in_the_window() {
        for restarts_max in [1, 10, 40] {
            let mut policy = RestartPolicy::new(RestartArgument::OnFailure, restarts_max);
            let begun = Instant::now();
            let mut after = |now| policy.after(Ended::Code(1), SOON, now);
            for _ in 0..restarts_max {
                assert_ne!(after(begun), Verdict::GiveUp, "{restarts_max}");
            }
            assert_eq!(after(begun), Verdict::GiveUp, "{restarts_max}");
            let later = begun + RESTART_WINDOW + SOON;
            assert_ne!(after(later), Verdict::GiveUp, "{restarts_max}");
        }
    }
}
