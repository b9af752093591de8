//! What the recorder is given, in the one order in which it happened.
//!
//! Invariants
//! - There is one queue, that of the tap. Whoever tells something leaves a mark there, and what was
//!   told is handed over in the place of its mark: nothing that passed before it comes after it.
//!   A program's last answer is never taken for that of a program that has not been started yet.
//! - What is told of something that makes bytes pass, a start, has its place before them.
//! - Only when the end is to be is known before its place is reached, so that a backlog can be cut
//!   short.
use std::{
    collections::VecDeque,
    sync::mpsc,
    time::{Duration, Instant},
};
use taffrail_ingest::listen::process::{
    ended::Ended,
    tap::{Chunk, Content, Direction, Empty, Tap, Tapped},
};
use taffrail_model::time::Timestamp;

/// What the supervisor tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The program was started.
    Started {
        /// Its process.
        process: u32,
        /// How many starts there were before.
        restart: u32,
    },
    /// It ended.
    Ended {
        /// How.
        ended: Ended,
        /// After how long.
        ran: Duration,
        /// Whether a signal had asked it to.
        is_asked: bool,
        /// Whether it is to be started again: another one reads what it has not.
        is_followed: bool,
    },
    /// It will be started again.
    Restarting {
        /// How many restarts there are with this one.
        restart: u32,
        /// After this wait.
        wait: Duration,
    },
    /// It will not be started again, as often as it was.
    GivenUp,
    /// It could not be started again.
    NotRestarted {
        /// Why.
        reason: String,
    },
    /// Others hold its outputs; what they say passes, unrecorded.
    Relayed {
        /// How many outputs.
        outputs: usize,
    },
    /// Others hold its outputs, and what they say does not pass.
    NotRelayed {
        /// Why.
        reason: String,
    },
    /// Everything was told: to be done until then.
    Finish {
        /// When nobody waits any more.
        until: Instant,
    },
}

/// Something that happened.
#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    /// Something passed.
    Passed(Chunk),
    /// Something was told, then.
    Told(Timestamp, Told),
}

/// Where the supervisor tells.
#[derive(Debug)]
pub struct Teller {
    /// What was told for each mark, in their order; `None` for a place that was taken in vain.
    told: mpsc::Sender<Option<Told>>,
    tap: Tap,
}

/// Where the recorder takes.
#[derive(Debug)]
pub struct Inbox {
    tapped: Tapped,
    told: mpsc::Receiver<Option<Told>>,
    /// What was told and whose mark is not reached.
    ahead: VecDeque<Option<Told>>,
    finish_until: Option<Instant>,
}

/// An inbox for what is left at a tap, and for what is told.
#[must_use]
pub fn inbox(tap: Tap, tapped: Tapped) -> (Teller, Inbox) {
    let (sender, told) = mpsc::channel();
    let inbox = Inbox {
        tapped,
        told,
        ahead: VecDeque::new(),
        finish_until: None,
    };
    (Teller { told: sender, tap }, inbox)
}

impl Teller {
    /// Tells something, which is after all that was left so far.
    pub fn tell(&self, told: Told) {
        // A recorder that has panicked has said so; the program goes on.
        let _ = self.told.send(Some(told));
        // After it, so that whoever finds the mark finds it.
        self.tap.mark();
    }

    /// Does something and tells it, in a place before all that passes because of it. Whoever
    /// takes what passes waits there meanwhile, so it must not take long, and tell nothing itself.
    ///
    /// # Errors
    /// It could not be done; nothing is told.
    pub fn tell_before<E>(&self, act: impl FnOnce() -> Result<Told, E>) -> Result<(), E> {
        self.tap.mark();
        let (told, result) = match act() {
            Ok(told) => (Some(told), Ok(())),
            Err(error) => (None, Err(error)),
        };
        // As above.
        let _ = self.told.send(told);
        result
    }

    /// Bytes of each direction of which there was no copy.
    #[must_use]
    pub fn lost(&self) -> [u64; 3] {
        Direction::ALL.map(|direction| self.tap.lost(direction))
    }
}

impl Inbox {
    /// What happened next, waiting so long for it.
    ///
    /// # Errors
    /// [`Empty`].
    pub fn next(&mut self, patience: Duration) -> Result<Item, Empty> {
        let chunk = self.tapped.next(patience)?;
        if chunk.content != Content::Mark {
            return Ok(Item::Passed(chunk));
        }
        self.listen();
        let told = match self.ahead.pop_front() {
            Some(told) => told,
            // It is being done. If nobody tells any more, that says so too.
            None => self.told.recv().ok().flatten(),
        };
        match told {
            Some(told) => Ok(Item::Told(chunk.at, told)),
            None => Err(Empty::Yet),
        }
    }

    /// When everything is to be done, once that was told: what was left before may still wait.
    pub fn finish_until(&mut self) -> Option<Instant> {
        self.listen();
        self.finish_until
    }

    /// How much waits to be taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.tapped.waiting()
    }

    /// See [`Tapped::unsaid`].
    #[must_use]
    pub fn unsaid(&self, direction: Direction) -> u64 {
        self.tapped.unsaid(direction)
    }

    fn listen(&mut self) {
        for told in self.told.try_iter() {
            if let Some(Told::Finish { until }) = told {
                self.finish_until = Some(until);
            }
            self.ahead.push_back(told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_ingest::listen::process::tap::tap;
    use taffrail_testkit::Random;

    const NOW: Duration = Duration::ZERO;

    /// What is done, by whoever.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Leave(Direction),
        Tell,
        /// The recorder looks whether the end is near.
        Look,
        /// The recorder takes.
        Take,
    }

    const STEPS: [Step; 6] = [
        Step::Leave(Direction::Stdin),
        Step::Leave(Direction::Stdout),
        Step::Leave(Direction::Stderr),
        Step::Tell,
        Step::Look,
        Step::Take,
    ];

    /// The number that a thing was given.
    fn number(item: &Item) -> u32 {
        match item {
            Item::Passed(chunk) => match &chunk.content {
                Content::Bytes(bytes) => u32::from_le_bytes(bytes[..].try_into().unwrap()),
                other => panic!("{other:?}"),
            },
            Item::Told(_, Told::Started { process, .. }) => *process,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn things_come_in_the_order_in_which_they_happened() {
        for seed in 0..2_000 {
            let mut random = Random::new(seed);
            let (tap, tapped) = tap(1 << 20);
            let (teller, mut inbox) = inbox(tap.clone(), tapped);
            let (mut done, mut taken) = (0, Vec::new());
            for _ in 0..random.below(60) {
                let step = random.pick(&STEPS);
                let restart = 0;
                match step {
                    Step::Leave(direction) => tap.leave(direction, &u32::to_le_bytes(done)),
                    Step::Tell => teller.tell(Told::Started {
                        process: done,
                        restart,
                    }),
                    Step::Look => assert_eq!(inbox.finish_until(), None),
                    Step::Take => taken.extend(inbox.next(NOW).ok().map(|item| number(&item))),
                }
                done += u32::from(matches!(step, Step::Leave(_) | Step::Tell));
            }
            taken.extend(std::iter::from_fn(|| inbox.next(NOW).ok()).map(|item| number(&item)));
            assert_eq!(taken, (0..done).collect::<Vec<_>>(), "seed {seed}");
        }
    }

    #[test]
    fn a_start_is_before_what_passes_because_of_it() {
        let (tap, tapped) = tap(1 << 10);
        let (teller, mut inbox) = inbox(tap.clone(), tapped);
        let start = Told::Started {
            process: 1,
            restart: 0,
        };
        tap.leave(Direction::Stdout, b"before");
        let (begun, has_begun) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let told = teller.tell_before(|| {
                    tap.leave(Direction::Stdout, b"after");
                    begun.send(()).unwrap();
                    Ok::<_, ()>(start.clone())
                });
                assert_eq!(told, Ok(()));
            });
            has_begun.recv().unwrap();
            // It may not be told yet: whoever takes waits for it.
            let taken: Vec<Item> = (0..3).map(|_| inbox.next(NOW).unwrap()).collect();
            let shown = taken.into_iter().map(|item| match item {
                Item::Passed(chunk) => format!("{:?}", chunk.content),
                Item::Told(_, told) => format!("{told:?}"),
            });
            let bytes = |text: &[u8]| format!("{:?}", Content::Bytes(text.to_vec()));
            let expected = [bytes(b"before"), format!("{start:?}"), bytes(b"after")];
            assert_eq!(shown.collect::<Vec<_>>(), expected);
        });
        assert_eq!(teller.tell_before(|| Err::<Told, _>("no")), Err("no"));
        teller.tell(Told::GivenUp);
        assert_eq!(inbox.next(NOW), Err(Empty::Yet));
        assert!(matches!(inbox.next(NOW), Ok(Item::Told(_, Told::GivenUp))));
        // Nobody tells any more, in the middle of it.
        tap.mark();
        drop(teller);
        assert_eq!(inbox.next(NOW), Err(Empty::Yet));
    }

    #[test]
    fn the_end_is_known_before_its_place() {
        let (tap, tapped) = tap(1 << 10);
        let (teller, mut inbox) = inbox(tap.clone(), tapped);
        tap.leave(Direction::Stdout, b"last");
        let until = Instant::now();
        teller.tell(Told::GivenUp);
        teller.tell(Told::Finish { until });
        assert_eq!((inbox.finish_until(), inbox.waiting()), (Some(until), 3));
        let Ok(Item::Passed(chunk)) = inbox.next(NOW) else {
            panic!("what was left first is first");
        };
        assert_eq!(chunk.content, Content::Bytes(b"last".to_vec()));
        for expected in [Told::GivenUp, Told::Finish { until }] {
            let Ok(Item::Told(at, told)) = inbox.next(NOW) else {
                panic!("{expected:?} is next");
            };
            assert_eq!(told, expected);
            assert!(at >= chunk.at);
        }
        assert_eq!(inbox.next(NOW), Err(Empty::Yet));
    }
}
