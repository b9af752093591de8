//! A large body is decoded and prepared in pieces, while it comes and on the cores that are idle.
//!
//! Invariants
//! - Each piece is prepared once, by the worker that comes to it first; they are put together in
//!   the order of the body. Whether there were pieces shows in the time that it took, and in which
//!   of more than 8,192 names are columns of their own.
//! - A worker has a turn of [`Reads`](crate::reads::Reads) and gives it back when there is nothing
//!   to do: who sends slowly holds none.
//! - All bytes are kept until the pieces are put together: where they cannot tell what the whole
//!   body gives, past any limit of a batch above all, they are given up at once, and the body is
//!   prepared as a whole when all of it has come.
use super::ingest::decode_problem;
use crate::{problem::Problem, state::App};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use taffrail_engine::{admission::Permit, ingest::Prepared};
use taffrail_ingest::decode::ndjson::{self, Cutter};
use taffrail_model::{
    access::Principal,
    limits::{RECORDS_PER_BATCH_MAX, REJECTS_PER_BATCH_MAX},
    time::Timestamp,
};
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
    /// Whether who takes the bytes in has a turn itself.
    has_turn: bool,
}

/// What the workers of a request share.
pub(super) struct Work {
    app: App,
    principal: Principal,
    pub stream: String,
    /// Held until the last worker has ended.
    pub permit: Mutex<Permit>,
    queue: Mutex<Queue>,
    /// A piece is done, or a worker has ended.
    progress: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Piece>,
    /// By number.
    done: BTreeMap<usize, Prepared>,
    /// Records of the pieces that were decoded.
    records: Records,
    /// Whether the body is to be prepared as a whole.
    is_given_up: bool,
    workers: usize,
    has_failed: bool,
}

#[derive(Clone, Copy, Default)]
struct Records {
    taken: usize,
    rejected: usize,
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
            has_turn: false,
        }
    }

    /// Takes the bytes that follow.
    pub fn take(&mut self, bytes: &[u8]) {
        if let Some(piece) = self.cutter.take(bytes) {
            self.push(piece);
        }
    }

    /// As [`Pieces::take`], called in a turn of the same request.
    pub fn take_in_turn(&mut self, bytes: &[u8]) {
        self.has_turn = true;
        self.take(bytes);
        self.has_turn = false;
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
        work.push(piece);
        work.call_worker(self.has_turn);
    }

    /// The body, once all of it has come.
    ///
    /// # Errors
    /// What is wrong with the body as a whole, an
    /// [`IngestError`](taffrail_engine::ingest::IngestError), or that no turn becomes free.
    pub async fn prepared(mut self) -> Result<Prepared, Problem> {
        let rest = std::mem::take(&mut self.cutter).into_rest();
        if self.pieces.is_empty() {
            return self.work.whole(rest).await;
        }
        self.push(rest);
        let done = self.work.all_done(self.pieces.len()).await?;
        if let Some(prepared) = done.and_then(put_together) {
            return Ok(prepared);
        }
        let pieces = std::mem::take(&mut self.pieces);
        let mut body = Vec::with_capacity(pieces.iter().map(|piece| piece.len()).sum());
        // Each goes as soon as it is copied.
        for piece in pieces {
            body.extend_from_slice(&piece);
        }
        self.work.whole(body).await
    }
}

/// Nobody waits for what has not begun.
impl Drop for Pieces {
    fn drop(&mut self) {
        self.work.queue.lock().waiting.clear();
    }
}

/// `None`: the pieces cannot tell.
fn put_together(done: BTreeMap<usize, Prepared>) -> Option<Prepared> {
    let whole = done.into_values().reduce(|mut whole, piece| {
        whole.append(piece);
        whole
    });
    whole.filter(Prepared::is_within_limits)
}

impl Queue {
    /// Lets go of what was prepared, and of what waits for it.
    fn give_up(&mut self) {
        self.is_given_up = true;
        self.waiting.clear();
        self.done.clear();
    }
}

impl Records {
    fn are_within_limits(self) -> bool {
        self.taken <= RECORDS_PER_BATCH_MAX && self.rejected <= REJECTS_PER_BATCH_MAX
    }
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

    fn push(&self, piece: Piece) {
        let mut queue = self.queue.lock();
        if !queue.is_given_up {
            queue.waiting.push_back(piece);
        }
    }

    /// Has one more thread work, if there is something to do and a turn to be had. `has_turn`: the
    /// caller works in a turn itself.
    fn call_worker(self: &Arc<Work>, has_turn: bool) {
        let mut queue = self.queue.lock();
        if queue.waiting.is_empty() {
            return;
        }
        let has_turn = has_turn || queue.workers > 0;
        let Some(turn) = self.app.decodes.try_turn(has_turn) else {
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
            let mut queue = self.queue.lock();
            match prepared {
                Some(prepared) if !queue.is_given_up => {
                    queue.done.insert(piece.number, prepared);
                }
                _ => queue.give_up(),
            }
            drop(queue);
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

    /// `None`: it cannot be prepared by itself, or has more records than are left to it.
    fn piece(&self, piece: &Piece) -> Option<Prepared> {
        let raw = ndjson::decode_lines(&piece.bytes).ok()?;
        let records = {
            let mut queue = self.queue.lock();
            queue.records.taken += raw.indexes.len();
            queue.records.rejected += raw.rejects.len();
            queue.records
        };
        if !records.are_within_limits() {
            return None;
        }
        let engine = &self.app.engine;
        let prepared = engine.prepare_received(&self.principal, &self.stream, raw, piece.received);
        // What is wrong is told by the whole.
        prepared.ok()
    }

    /// Waits until all pieces are done, by number; `None` if they were given up.
    async fn all_done(
        self: &Arc<Work>,
        count: usize,
    ) -> Result<Option<BTreeMap<usize, Prepared>>, Problem> {
        loop {
            let is_left_alone = {
                let mut queue = self.queue.lock();
                if queue.has_failed {
                    return Err(Problem::internal(&WorkerEnded));
                }
                if queue.is_given_up {
                    return Ok(None);
                }
                if queue.done.len() == count {
                    return Ok(Some(std::mem::take(&mut queue.done)));
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
