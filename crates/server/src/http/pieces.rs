//! A large body is decoded and prepared in pieces, while it comes and on the cores that are idle.
//!
//! Invariants
//! - Each piece is prepared once, by the worker that comes to it first; they are put together in the
//!   order of the body. Whether there were pieces shows nowhere but in the time that it took.
//! - A worker has a turn of [`Reads`](crate::reads::Reads) and gives it back when there is nothing to
//!   do: who sends slowly holds none.
//! - All bytes are kept until the pieces are put together: where they cannot tell what the whole
//!   body gives, it is prepared as a whole.
use super::ingest::decode_problem;
use crate::{problem::Problem, state::App};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use taffrail_engine::{
    admission::Permit,
    ingest::{IngestError, Prepared},
};
use taffrail_ingest::decode::ndjson::{self, Cutter};
use taffrail_model::{access::Principal, time::Timestamp};
use tokio::sync::Notify;

/// A thread that worked for a request ended within it.
#[derive(Debug, thiserror::Error)]
#[error("a thread that prepared a piece of a body has ended")]
struct WorkerEnded;

/// The body of a request on its way in.
pub(super) struct Pieces {
    work: Arc<Work>,
    cutter: Cutter,
    pieces: Vec<Arc<Vec<u8>>>,
    /// One time for all pieces: that of the first.
    received: Option<Timestamp>,
}

/// What the workers of a request share.
pub(super) struct Work {
    app: App,
    principal: Principal,
    stream: String,
    /// Held until the last worker has ended.
    pub permit: Mutex<Permit>,
    queue: Mutex<Queue>,
    /// A piece is done, or a worker has ended.
    progress: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Piece>,
    /// By number; `None` could not be decoded.
    done: BTreeMap<usize, Result<Option<Prepared>, IngestError>>,
    workers: usize,
    has_failed: bool,
}

struct Piece {
    number: usize,
    bytes: Arc<Vec<u8>>,
    received: Timestamp,
}

impl Pieces {
    pub fn new(work: Arc<Work>) -> Pieces {
        Pieces {
            work,
            cutter: Cutter::default(),
            pieces: Vec::new(),
            received: None,
        }
    }

    /// Takes the bytes that follow.
    pub fn take(&mut self, bytes: &[u8]) {
        if let Some(piece) = self.cutter.take(bytes) {
            self.push(piece);
        }
    }

    fn push(&mut self, bytes: Vec<u8>) {
        let work = &self.work;
        let received = *self.received.get_or_insert_with(|| work.app.engine.now());
        let piece = Piece {
            number: self.pieces.len(),
            bytes: Arc::new(bytes),
            received,
        };
        self.pieces.push(piece.bytes.clone());
        work.queue.lock().waiting.push_back(piece);
        work.call_worker();
    }

    /// The body, once all of it has come.
    ///
    /// # Errors
    /// What is wrong with the body as a whole, [`IngestError`], or that no turn becomes free.
    pub async fn prepared(mut self) -> Result<Prepared, Problem> {
        let rest = std::mem::take(&mut self.cutter).into_rest();
        if self.pieces.is_empty() {
            return self.work.whole(rest).await;
        }
        self.push(rest);
        let done = self.work.all_done(self.pieces.len()).await?;
        match put_together(done)? {
            Some(prepared) => Ok(prepared),
            None => {
                let pieces: Vec<&[u8]> = self.pieces.iter().map(|piece| &piece[..]).collect();
                self.work.whole(pieces.concat()).await
            }
        }
    }
}

/// Nobody waits for what has not begun.
impl Drop for Pieces {
    fn drop(&mut self) {
        self.work.queue.lock().waiting.clear();
    }
}

/// `None`: the pieces cannot tell.
fn put_together(
    done: impl IntoIterator<Item = Result<Option<Prepared>, IngestError>>,
) -> Result<Option<Prepared>, IngestError> {
    let mut whole: Option<Prepared> = None;
    for piece in done {
        let Some(piece) = piece? else {
            return Ok(None);
        };
        match &mut whole {
            None => whole = Some(piece),
            Some(whole) => whole.append(piece),
        }
    }
    Ok(whole.filter(Prepared::is_within_limits))
}

impl Work {
    pub fn new(app: App, principal: Principal, stream: String, permit: Permit) -> Arc<Work> {
        Arc::new(Work {
            app,
            principal,
            stream,
            permit: Mutex::new(permit),
            queue: Mutex::default(),
            progress: Notify::new(),
        })
    }

    /// Has one more thread work, if there is something to do and a turn to be had.
    fn call_worker(self: &Arc<Work>) {
        let mut queue = self.queue.lock();
        if queue.waiting.is_empty() {
            return;
        }
        let Some(turn) = self.app.decodes.try_turn(queue.workers > 0) else {
            return;
        };
        queue.workers += 1;
        drop(queue);
        let work = self.clone();
        tokio::task::spawn_blocking(move || {
            work.run();
            drop(turn);
        });
    }

    /// Prepares pieces until none waits. The caller has counted itself as a worker.
    fn run(&self) {
        let _at_exit = WorkerExit(self);
        while let Some(piece) = self.next() {
            let prepared = self.piece(&piece);
            self.queue.lock().done.insert(piece.number, prepared);
            self.progress.notify_one();
        }
    }

    /// The next piece. Without one, the worker has ended: who pushes a piece later sees that.
    fn next(&self) -> Option<Piece> {
        let mut queue = self.queue.lock();
        let next = queue.waiting.pop_front();
        if next.is_none() {
            queue.workers -= 1;
        }
        next
    }

    fn piece(&self, piece: &Piece) -> Result<Option<Prepared>, IngestError> {
        let Ok(raw) = ndjson::decode_lines(&piece.bytes) else {
            return Ok(None);
        };
        let engine = &self.app.engine;
        engine
            .prepare_received(&self.principal, &self.stream, raw, piece.received)
            .map(Some)
    }

    /// Waits until all pieces are done.
    async fn all_done(
        self: &Arc<Work>,
        count: usize,
    ) -> Result<impl Iterator<Item = Result<Option<Prepared>, IngestError>> + use<>, Problem> {
        loop {
            let is_left_alone = {
                let mut queue = self.queue.lock();
                if queue.has_failed {
                    return Err(Problem::internal(&WorkerEnded));
                }
                if queue.done.len() == count {
                    return Ok(std::mem::take(&mut queue.done).into_values());
                }
                queue.workers == 0
            };
            if is_left_alone {
                // There was no turn for it while it came.
                let work = self.clone();
                let run = move |_| {
                    work.queue.lock().workers += 1;
                    work.run();
                    Ok::<_, Problem>(())
                };
                self.app.decodes.run(run).await?;
            } else {
                self.progress.notified().await;
            }
        }
    }

    /// Prepares a body as a whole.
    async fn whole(self: &Arc<Work>, body: Vec<u8>) -> Result<Prepared, Problem> {
        let work = self.clone();
        let prepare = move |_| {
            let raw = ndjson::decode(&body).map_err(|fault| decode_problem(&fault))?;
            let prepared = work.app.engine.prepare(&work.principal, &work.stream, raw);
            prepared.map_err(Problem::from)
        };
        self.app.decodes.run(prepare).await
    }
}

/// Tells when a worker ends by a panic: nobody waits for ever.
struct WorkerExit<'a>(&'a Work);

impl Drop for WorkerExit<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut queue = self.0.queue.lock();
            queue.workers -= 1;
            queue.has_failed = true;
        }
        self.0.progress.notify_one();
    }
}
