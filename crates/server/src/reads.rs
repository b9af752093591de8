//! Reads run on blocking threads, a bounded number at a time.
//!
//! Invariants
//! - A read whose client has gone is told to end.
//! - More readers than turns wait, but not for ever: then 503.
use crate::problem::{Kind, Problem};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a read waits for its turn.
const TURN_WAIT: Duration = Duration::from_secs(10);
/// Reads that wait for a turn at the most.
const WAITING_MAX: usize = 256;

/// Turns for work that takes a thread.
pub(crate) struct Reads {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Default for Reads {
    /// As many turns as cores, and one more, so that a slow read does not stop the others.
    fn default() -> Reads {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Reads::with_turns(cores + 1)
    }
}

impl Reads {
    fn with_turns(turns: usize) -> Reads {
        Reads {
            turns: Arc::new(Semaphore::new(turns)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Runs `read` on a blocking thread. Dropping the future sets the flag that it gets.
    pub(crate) async fn run<T, E>(
        &self,
        read: impl FnOnce(Arc<AtomicBool>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
    {
        let permit = {
            let _waiting = Waiting::begin(&self.waiting)?;
            let turn = self.turns.clone().acquire_owned();
            match tokio::time::timeout(TURN_WAIT, turn).await {
                Ok(Ok(permit)) => permit,
                _ => {
                    return Err(Problem::new(
                        Kind::Overloaded,
                        "too many queries are running",
                    ));
                }
            }
        };
        let cancelled = Arc::new(AtomicBool::new(false));
        let _cancel = CancelOnDrop(cancelled.clone());
        let work = tokio::task::spawn_blocking(move || {
            // The turn is over when the work is, even if nobody waits for it.
            let _permit = permit;
            read(cancelled)
        });
        match work.await {
            Ok(outcome) => outcome.map_err(Into::into),
            Err(fault) => Err(Problem::internal(&fault)),
        }
    }

    /// A turn, if there is one: the first of a request while any is free, others of the same request
    /// only while a core is that no turn uses. It never waits.
    pub(crate) fn try_turn(&self, has_turn: bool) -> Option<OwnedSemaphorePermit> {
        let kept_free = usize::from(has_turn);
        if self.turns.available_permits() <= kept_free {
            return None;
        }
        self.turns.clone().try_acquire_owned().ok()
    }

    /// Turns that are free.
    pub(crate) fn free(&self) -> usize {
        self.turns.available_permits()
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl Waiting<'_> {
    fn begin(waiting: &AtomicUsize) -> Result<Waiting<'_>, Problem> {
        let guard = Waiting(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            return Err(Problem::new(
                Kind::Overloaded,
                "too many queries are waiting",
            ));
        }
        Ok(guard)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_read_that_nobody_waits_for_is_told_to_end() {
        let reads = Arc::new(Reads::with_turns(1));
        let (started_in, started) = tokio::sync::oneshot::channel();
        let (ended_in, ended) = tokio::sync::oneshot::channel();
        let reader = tokio::spawn({
            let reads = reads.clone();
            async move {
                reads
                    .run(move |cancelled| {
                        started_in.send(()).unwrap();
                        while !cancelled.load(Ordering::Relaxed) {
                            std::thread::yield_now();
                        }
                        ended_in.send(()).unwrap();
                        Ok::<(), Problem>(())
                    })
                    .await
            }
        });
        started.await.unwrap();
        reader.abort();
        ended.await.unwrap();
        // Its turn is free again.
        assert!(reads.run(|_| Ok::<_, Problem>(7)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_sent_away() {
        let reads = Reads::with_turns(1);
        let turn = reads.turns.clone().acquire_owned().await.unwrap();
        let outcome = reads.run(|_| Ok::<_, Problem>(())).await;
        assert_eq!(outcome.unwrap_err().kind(), Kind::Overloaded);
        drop(turn);
        assert_eq!(reads.free(), 1);
    }

    #[test]
    fn more_turns_are_for_idle_cores() {
        // Two cores.
        let reads = Reads::with_turns(3);
        let first = reads.try_turn(false);
        let second = reads.try_turn(true);
        assert!(first.is_some() && second.is_some());
        // Whoever comes still has a turn at once.
        assert!(reads.try_turn(true).is_none());
        let third = reads.try_turn(false);
        assert!(third.is_some() && reads.try_turn(false).is_none());
        drop((first, second, third));
        assert_eq!(reads.free(), 3);
    }

    #[test]
    fn the_queue_is_bounded() {
        let count = AtomicUsize::new(0);
        let waiting: Vec<_> = (0..WAITING_MAX)
            .map(|_| Waiting::begin(&count).ok().unwrap())
            .collect();
        assert!(Waiting::begin(&count).is_err());
        drop(waiting);
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }
}
