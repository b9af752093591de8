//! Delivers what a spool holds to a server: sends, waits, sends again.
//!
//! `taffrail ship` and `taffrail run` fill their spools each in their own way; what becomes of a
//! batch from there on is the same, and is here.
//!
//! Invariants
//! - Sending is on a thread of its own ([`Courier`]); [`Delivery::proceed`] blocks for its
//!   patience at the most, and for the sync of the state file when a batch is acknowledged.
//! - One part is under way at the most. It is sent again until the server takes or refuses it for
//!   good: first after 200 ms, then later and later up to every 30 s, or when the server says.
//! - Nothing is said here: what a person should know are [`Event`]s, each once until it is over.
mod courier;
mod send;

pub use send::HttpSender;

use anyhow::Result;
use courier::Courier;
use std::time::{Duration, Instant};
use taffrail_engine::spool::{Delivered, Lost, Next, Outcome, Sender, Spool, SpoolError};

/// First and longest wait before a batch is sent again.
pub const RETRY_FIRST: Duration = Duration::from_millis(200);
/// See [`RETRY_FIRST`].
pub const RETRY_MAX: Duration = Duration::from_secs(30);

/// What a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The server does not take the oldest batch now; told once until it [does](Event::Recovered).
    Failing {
        /// What was said.
        reason: String,
    },
    /// It takes records again.
    Recovered,
    /// A batch is acknowledged and gone.
    Delivered(Delivered),
    /// Batches cannot be read any more, and are never sent.
    Lost(Lost),
    /// A person must change the address, the credential or the stream. Whoever goes on sends
    /// again after [`RETRY_MAX`].
    Stopped {
        /// What the server said.
        reason: String,
        /// Whether the credential is at fault.
        is_not_allowed: bool,
    },
    /// There is no space to note that a batch was acknowledged: it is sent again, and the server
    /// knows it.
    NoSpace,
}

/// What one step did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether there was an answer that got things on.
    pub has_worked: bool,
    /// What happened, in its order.
    pub events: Vec<Event>,
}

/// When the oldest batch is sent again.
#[derive(Debug, Default)]
pub struct Retry {
    /// Not before; `None`: at once.
    pub at: Option<Instant>,
    wait: Duration,
    /// Since when nothing was delivered, and what the server said last.
    pub failing: Option<(Instant, String)>,
}

impl Retry {
    /// Notes a failure: the wait doubles, and is at least what the server asks for.
    pub fn after(&mut self, now: Instant, asked: Option<Duration>, reason: &str) {
        self.wait = (self.wait * 2).clamp(RETRY_FIRST, RETRY_MAX);
        self.at = Some(now + self.wait.max(asked.unwrap_or_default()));
        let since = self.failing.as_ref().map_or(now, |(since, _)| *since);
        self.failing = Some((since, reason.to_string()));
    }
}

/// A spool and the thread that empties it.
pub struct Delivery {
    spool: Spool,
    courier: Courier,
    retry: Retry,
}

impl Delivery {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(spool: Spool, sender: Box<dyn Sender + Send>) -> Result<Delivery> {
        Ok(Delivery {
            spool,
            courier: Courier::start(sender)?,
            retry: Retry::default(),
        })
    }

    /// The spool.
    #[must_use]
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// The spool, to persist what is new.
    pub fn spool_mut(&mut self) -> &mut Spool {
        &mut self.spool
    }

    /// Whether a part is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.courier.is_busy()
    }

    /// When the oldest batch is sent again, and since when it fails.
    #[must_use]
    pub fn retry(&self) -> &Retry {
        &self.retry
    }

    /// Ends without waiting for the request that is under way: whoever opens the spool next sends
    /// it again, under its key.
    pub fn abandon(mut self) {
        self.courier.detach();
    }

    /// Sends the oldest batches, as far as they are due, and waits for each answer as long as
    /// `patience` is.
    ///
    /// # Errors
    /// The spool cannot go on. That it has no space is an [`Event`].
    pub fn proceed(&mut self, now: Instant, patience: Duration) -> Result<Progress> {
        let mut progress = Progress::default();
        loop {
            if self.courier.is_busy() {
                let Some(outcome) = self.courier.outcome(patience)? else {
                    return Ok(progress);
                };
                if self.settle(now, outcome, &mut progress) {
                    return Ok(progress);
                }
            }
            if self.retry.at.is_some_and(|at| now < at) {
                return Ok(progress);
            }
            match self.spool.proceed() {
                Ok(Next::Nothing) => return Ok(progress),
                Ok(Next::Send(stream, part)) => self.courier.give(stream, part)?,
                Ok(Next::Delivered(delivered)) => {
                    // A disk that was full is not any more.
                    self.retry = Retry::default();
                    progress.has_worked = true;
                    progress.events.push(Event::Delivered(delivered));
                }
                Ok(Next::Lost(lost)) => {
                    progress.has_worked = true;
                    progress.events.push(Event::Lost(lost));
                }
                Err(error) => {
                    self.wait_for_space(now, error)?;
                    progress.events.push(Event::NoSpace);
                    return Ok(progress);
                }
            }
        }
    }

    fn wait_for_space(&mut self, now: Instant, error: SpoolError) -> Result<()> {
        self.retry.after(now, None, &error.to_string());
        match error.is_no_space() {
            true => Ok(()),
            false => Err(error.into()),
        }
    }

    /// What an answer means; whether a person must act before anything else is sent.
    fn settle(&mut self, now: Instant, outcome: Outcome, progress: &mut Progress) -> bool {
        self.spool.settle(&outcome);
        match outcome {
            Outcome::Taken { .. } | Outcome::Refused { .. } => {
                if self.retry.failing.is_some() {
                    progress.events.push(Event::Recovered);
                }
                self.retry = Retry::default();
                progress.has_worked = true;
                false
            }
            Outcome::Later { after, reason } => {
                if self.retry.failing.is_none() {
                    let reason = reason.clone();
                    progress.events.push(Event::Failing { reason });
                }
                self.retry.after(now, after, &reason);
                false
            }
            Outcome::Stopped {
                reason,
                is_not_allowed,
            } => {
                self.retry.after(now, Some(RETRY_MAX), &reason);
                progress.events.push(Event::Stopped {
                    reason,
                    is_not_allowed,
                });
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_obey_the_server() {
        let now = Instant::now();
        let mut retry = Retry::default();
        let mut waits = Vec::new();
        for _ in 0..12 {
            retry.after(now, None, "x");
            waits.push(retry.at.unwrap() - now);
        }
        assert_eq!(waits[..3], [200, 400, 800].map(Duration::from_millis));
        assert_eq!(waits[11], RETRY_MAX);
        let mut retry = Retry::default();
        retry.after(now, Some(Duration::from_secs(7)), "x");
        assert_eq!(retry.at, Some(now + Duration::from_secs(7)));
    }
}
