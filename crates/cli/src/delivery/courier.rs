//! Sends parts on a thread of its own, so that the files are read meanwhile.
//!
//! Invariants
//! - One part is under way at the most, and its outcome is taken before the next is given: parts
//!   arrive in the order of the spool.
//! - The thread ends with the courier, after the request that is under way; the courier waits for
//!   it unless it was [detached](Courier::detach).
use anyhow::{Context, Result, bail};
use std::{
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread::JoinHandle,
    time::Duration,
};
use taffrail_engine::spool::{Outcome, Part, Sender};

type Errand = (Arc<str>, Part);

/// A sender on a thread.
pub(super) struct Courier {
    /// Taken when the thread is to end.
    errands: Option<mpsc::Sender<Errand>>,
    outcomes: mpsc::Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
    is_busy: bool,
}

impl Courier {
    /// Starts the thread.
    pub(super) fn start(mut sender: Box<dyn Sender + Send>) -> Result<Courier> {
        let (errands, given) = mpsc::channel::<Errand>();
        let (done, outcomes) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("deliver".into())
            .spawn(move || {
                for (stream, part) in given {
                    if done.send(sender.send(&stream, &part)).is_err() {
                        return;
                    }
                }
            })
            .context("starting the thread that sends")?;
        Ok(Courier {
            errands: Some(errands),
            outcomes,
            thread: Some(thread),
            is_busy: false,
        })
    }

    /// Whether a part is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Gives the next part, if none is under way.
    pub(super) fn give(&mut self, stream: Arc<str>, part: Part) -> Result<()> {
        let errands = self.errands.as_ref().filter(|_| !self.is_busy);
        let errands = errands.context("a part is under way already")?;
        errands
            .send((stream, part))
            .context("the thread that sends has ended")?;
        self.is_busy = true;
        Ok(())
    }

    /// What became of the part that is under way; `None` if that is not known in this time.
    pub(super) fn outcome(&mut self, patience: Duration) -> Result<Option<Outcome>> {
        match self.outcomes.recv_timeout(patience) {
            Ok(outcome) => {
                self.is_busy = false;
                Ok(Some(outcome))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("the thread that sends has ended"),
        }
    }

    /// The thread ends by itself, after the request that is under way.
    pub(super) fn detach(&mut self) {
        self.thread = None;
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.errands = None;
        if let Some(thread) = self.thread.take() {
            // If it has panicked, that has been said.
            let _ = thread.join();
        }
    }
}
