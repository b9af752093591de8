//! The log store with its threads: one that commits, one that maintains, one that compacts.
//!
//! Whatever arrives while a group is being synced is the next group: there is no timer. What
//! waits is bounded in requests and bytes; past that a request is refused as overloaded, and its
//! sender tries again. Rows come encoded ([`crate::encoded`]), so the committer only seals, writes
//! and syncs. Compaction waits while a flush is due, and rests as long as it has worked:
//! it takes no more than half of a core, and none from a flush that a sender waits for.
use crate::{
    deletion::{Deletion, DeletionError, DeletionProgress, NewDeletion},
    flush::FlushReport,
    idempotency::Recall,
    keys::Kek,
    recovery::{OpenError, RecoveryReport},
    retention::RetentionReport,
    snapshot::{Fault, Snapshot},
    store_core::{
        CommitError, CommitRequest, Committed, MaintenanceError, Prepared, StoreCore, StoreOptions,
        StoreStatus, StoreThread,
    },
};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::VecDeque,
    error::Error,
    io,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};
use taffrail_model::{
    clock::Clock, files::Files, position::Position, stream::StreamCatalogue, tenant::TenantNumber,
};

/// Requests that wait for the committer: some 100 ms of a busy server's small ones.
pub const QUEUE_REQUESTS_MAX: usize = 4_096;
/// Bytes of rows that wait for the committer; a larger request waits alone.
pub const QUEUE_BYTES_MAX: usize = 32 << 20;
/// How long the committer waits for a flush to make room before it refuses: a flush of half of
/// the tails takes well below a second; after this long the disk is the matter.
const ROOM_WAIT: Duration = Duration::from_secs(5);
/// How long maintenance waits after a failure.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// How long compaction waits after a failure: what it writes is large, and nobody waits for it.
const COMPACTION_RETRY_WAIT: Duration = Duration::from_secs(60);
/// The longest that compaction rests after a step.
const COMPACTION_REST_MAX: Duration = Duration::from_secs(5);
/// The longest that compaction waits for a flush between two columns: by then the disk fails, and
/// the flush is tried again and again.
const FLUSH_WAIT: Duration = Duration::from_secs(10);
/// How often retention looks for days that are over.
const RETENTION_INTERVAL: Duration = Duration::from_secs(600);

/// Called with the result of a commit, on the committer's thread or the caller's; it must be
/// quick.
pub type Reply = Box<dyn FnOnce(Result<Committed, CommitError>) + Send>;

/// The log store; a handle that is cheap to clone. With the last one the threads stop.
#[derive(Clone)]
pub struct Store {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

struct Shared {
    core: StoreCore,
    queue: Mutex<Queue>,
    /// Something came into the queue, or it closes.
    arrived: Condvar,
    maintenance: Mutex<MaintenanceCall>,
    /// Maintenance is called, or it closes.
    called: Condvar,
    /// Maintenance has done something: there may be room.
    room: Condvar,
    compaction: Mutex<CompactionCall>,
    /// Compaction is called, or it closes.
    compaction_called: Condvar,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Prepared, Reply)>,
    bytes: usize,
    is_closed: bool,
}

#[derive(Default)]
struct MaintenanceCall {
    is_called: bool,
    is_closed: bool,
    /// Why the last round failed, if it did.
    failure: Option<String>,
    /// Rounds that have ended.
    rounds: u64,
}

#[derive(Default)]
struct CompactionCall {
    is_called: bool,
    is_closed: bool,
}

impl Store {
    /// Opens the store in a directory and starts its threads.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        options: StoreOptions,
        files: Arc<dyn Files>,
        clock: Arc<dyn Clock>,
        kek: Arc<dyn Kek>,
    ) -> Result<(Store, RecoveryReport), OpenError> {
        let path = options.directory.clone();
        let (core, report) = StoreCore::open(options, files, clock, kek)?;
        let shared = Arc::new(Shared {
            core,
            queue: Mutex::default(),
            arrived: Condvar::new(),
            maintenance: Mutex::default(),
            called: Condvar::new(),
            room: Condvar::new(),
            compaction: Mutex::default(),
            compaction_called: Condvar::new(),
            threads: Mutex::default(),
        });
        let start = |name: &str, run: fn(&Shared)| {
            let shared = shared.clone();
            std::thread::Builder::new()
                .name(name.into())
                .spawn(move || run(&shared))
                .map_err(|source| OpenError::Io {
                    path: path.clone(),
                    source,
                })
        };
        let threads = [
            start("committer", Shared::run_committer),
            start("maintenance", Shared::run_maintenance),
            start("compaction", Shared::run_compaction),
        ];
        for thread in threads {
            match thread {
                Ok(thread) => shared.threads.lock().push(thread),
                Err(error) => {
                    shared.stop();
                    return Err(error);
                }
            }
        }
        Ok((
            Store {
                handle: Arc::new(Handle { shared }),
            },
            report,
        ))
    }

    /// Hands a request to the committer. `reply` is called after the sync, or at once with a
    /// refusal.
    pub fn commit(&self, request: CommitRequest, reply: Reply) {
        let tenant = request.batch.tenant();
        let key = request.idempotency.clone();
        let forget = || {
            if let Some(key) = &key {
                let core = &self.handle.shared.core;
                core.forget(tenant, &key.scope, &key.key);
            }
        };
        if let Err(error) = self.handle.shared.check_queue(0) {
            forget();
            return reply(Err(error));
        }
        let prepared = match self.handle.shared.core.prepare(request) {
            Ok(prepared) => prepared,
            Err(error) => return reply(Err(error)),
        };
        #[cfg(feature = "harness-early-acknowledgement")]
        let reply = acknowledge_too_early(&prepared, reply);
        if let Err((error, reply)) = self.handle.shared.enqueue(prepared, reply) {
            forget();
            reply(Err(error));
        }
    }

    /// The state that is published, without a lock.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.handle.shared.core.snapshot()
    }

    /// Calls `notify` with each new watermark, after it is published. It must be quick.
    pub fn subscribe(&self, notify: Box<dyn Fn(Position) + Send + Sync>) {
        self.handle.shared.core.subscribe(notify);
    }

    /// What is known of an idempotency key of a tenant; a new one is reserved until its commit ends
    /// or [`Store::forget`].
    #[must_use]
    pub fn recall(
        &self,
        tenant: TenantNumber,
        scope: &str,
        key: &str,
        body_hash: &[u8; 32],
    ) -> Recall {
        let core = &self.handle.shared.core;
        core.recall(tenant, scope, key, body_hash)
    }

    /// Frees a reserved key whose request is not committed.
    pub fn forget(&self, tenant: TenantNumber, scope: &str, key: &str) {
        self.handle.shared.core.forget(tenant, scope, key);
    }

    /// Takes a fault into every later snapshot; the section that it names is not read again. One
    /// that may pass changes nothing.
    pub fn report_fault(&self, fault: Fault) {
        self.handle.shared.core.report_fault(fault);
    }

    /// State, counters and limits.
    #[must_use]
    pub fn status(&self) -> StoreStatus {
        let failure = self.handle.shared.maintenance.lock().failure.clone();
        let status = self.handle.shared.core.status();
        StoreStatus {
            maintenance_failure: failure.or(status.maintenance_failure),
            ..status
        }
    }

    /// The store without its threads.
    #[must_use]
    pub fn core(&self) -> &StoreCore {
        &self.handle.shared.core
    }

    /// Replaces the streams.
    pub fn set_catalogue(&self, catalogue: Arc<StreamCatalogue>) {
        self.handle.shared.core.set_catalogue(catalogue);
    }

    /// Free bytes of the file system that holds the data.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn free_bytes(&self) -> io::Result<u64> {
        self.handle.shared.core.free_bytes()
    }

    /// Flushes every tail.
    ///
    /// # Errors
    /// [`MaintenanceError`].
    pub fn flush(&self) -> Result<FlushReport, MaintenanceError> {
        let result = self.handle.shared.core.flush();
        self.handle.shared.end_round(result.as_ref().err());
        result
    }

    /// Drops the days that their streams keep no longer.
    ///
    /// # Errors
    /// [`MaintenanceError`].
    pub fn retain(&self) -> Result<RetentionReport, MaintenanceError> {
        self.handle.shared.core.retain()
    }

    /// Takes rows out of every later read, and has them removed.
    ///
    /// # Errors
    /// [`DeletionError`]; nothing is hidden then.
    pub fn delete(&self, new: NewDeletion) -> Result<Arc<Deletion>, DeletionError> {
        let made = self.handle.shared.core.delete(new)?;
        self.call_compaction();
        Ok(made)
    }

    /// Takes a deletion back: rows that were not removed yet are visible again, and stay.
    ///
    /// # Errors
    /// [`DeletionError`].
    pub fn cancel_deletion(&self, sequence: u64) -> Result<Arc<Deletion>, DeletionError> {
        self.handle.shared.core.cancel_deletion(sequence)
    }

    /// The deletions in effect and the latest that have ended, by number.
    #[must_use]
    pub fn deletions(&self) -> Vec<DeletionProgress> {
        self.handle.shared.core.deletions()
    }

    /// One of them.
    #[must_use]
    pub fn deletion(&self, sequence: u64) -> Option<DeletionProgress> {
        self.handle.shared.core.deletion(sequence)
    }

    /// Has every partition looked at by compaction: rules about what goes have changed.
    pub fn call_compaction(&self) {
        self.handle.shared.core.compaction.call_all();
        self.handle.shared.call_compaction();
    }

    /// Writes a manifest snapshot.
    ///
    /// # Errors
    /// [`MaintenanceError`].
    pub fn write_manifest_snapshot(&self) -> Result<(), MaintenanceError> {
        self.handle.shared.core.snapshot_manifest()
    }

    /// Commits what waits, stops the threads, makes the watermark durable and writes the
    /// manifest. Later commits are refused; reads go on.
    ///
    /// # Errors
    /// [`MaintenanceError`]; acknowledged records are durable all the same.
    pub fn close(&self) -> Result<(), MaintenanceError> {
        self.handle.shared.stop();
        self.handle.shared.core.close()
    }
}

/// Breaks the promise of the store, so that the harness that kills the server can be shown to
/// notice: the answer goes out before anything is written.
#[cfg(feature = "harness-early-acknowledgement")]
fn acknowledge_too_early(prepared: &Prepared, reply: Reply) -> Reply {
    reply(Ok(Committed {
        first: Position(1),
        last: Position(prepared.rows()),
    }));
    Box::new(|_| ())
}

/// Tells when maintenance ends by a panic, and lets go of who waits for it.
struct MaintenanceExit<'a>(&'a Shared);

impl Drop for MaintenanceExit<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.core.note_death(StoreThread::Maintenance);
            self.0.end_round(Some(&MaintenanceError::InDoubt));
        }
    }
}

/// Tells when compaction ends by a panic.
struct CompactionExit<'a>(&'a Shared);

impl Drop for CompactionExit<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.core.note_death(StoreThread::Compaction);
        }
    }
}

/// Refuses what waits when the committer ends, whatever the reason: nobody waits for ever. Tells
/// when it ends by a panic.
struct CommitterExit<'a>(&'a Shared);

impl Drop for CommitterExit<'_> {
    fn drop(&mut self) {
        let waiting = {
            let mut queue = self.0.queue.lock();
            queue.is_closed = true;
            std::mem::take(&mut queue.waiting)
        };
        if std::thread::panicking() {
            self.0.core.note_death(StoreThread::Committer);
        }
        for (_, reply) in waiting {
            reply(Err(CommitError::Closed));
        }
    }
}

impl Shared {
    fn check_queue(&self, bytes: usize) -> Result<(), CommitError> {
        Shared::check(&self.queue.lock(), bytes)
    }

    fn check(queue: &Queue, bytes: usize) -> Result<(), CommitError> {
        if queue.is_closed {
            return Err(CommitError::Closed);
        }
        let is_full = queue.waiting.len() >= QUEUE_REQUESTS_MAX
            || (queue.bytes > 0 && queue.bytes + bytes > QUEUE_BYTES_MAX);
        if is_full {
            return Err(CommitError::Overloaded);
        }
        Ok(())
    }

    fn enqueue(&self, prepared: Prepared, reply: Reply) -> Result<(), (CommitError, Reply)> {
        let mut queue = self.queue.lock();
        if let Err(error) = Shared::check(&queue, prepared.memory_bytes()) {
            return Err((error, reply));
        }
        queue.bytes += prepared.memory_bytes();
        queue.waiting.push_back((prepared, reply));
        drop(queue);
        self.arrived.notify_one();
        Ok(())
    }

    /// Everything that waits, once something does; `None` when the queue is closed and empty.
    fn next_group(&self) -> Option<VecDeque<(Prepared, Reply)>> {
        let mut queue = self.queue.lock();
        while queue.waiting.is_empty() && !queue.is_closed {
            self.arrived.wait(&mut queue);
        }
        queue.bytes = 0;
        let group = std::mem::take(&mut queue.waiting);
        (!group.is_empty()).then_some(group)
    }

    fn run_committer(&self) {
        let _at_exit = CommitterExit(self);
        while let Some(mut waiting) = self.next_group() {
            while !waiting.is_empty() {
                self.wait_for_room(waiting.front().map_or(0, |(first, _)| first.memory_bytes()));
                self.commit_waiting(&mut waiting);
            }
            if self.queue.lock().waiting.is_empty() {
                self.core.write_idle_watermark();
            }
        }
    }

    /// Commits as many of those that wait as there is room for, the first in any case.
    fn commit_waiting(&self, waiting: &mut VecDeque<(Prepared, Reply)>) {
        let mut group = Vec::new();
        let mut replies = Vec::new();
        let mut bytes = 0;
        while let Some((next, _)) = waiting.front() {
            bytes += next.memory_bytes();
            if !group.is_empty() && !self.core.has_room(bytes) {
                break;
            }
            if let Some((prepared, reply)) = waiting.pop_front() {
                group.push(prepared);
                replies.push(reply);
            }
        }
        let results = self.core.commit_prepared(group);
        if self.core.take_maintenance_call() {
            self.call_maintenance();
        }
        for (reply, result) in replies.into_iter().zip(results) {
            reply(result);
        }
    }

    /// Waits until the tails have room, as long as maintenance makes progress.
    fn wait_for_room(&self, bytes: usize) {
        let deadline = Instant::now() + ROOM_WAIT;
        let mut call = self.maintenance.lock();
        let rounds_before = call.rounds;
        let had_failed = call.failure.is_some();
        loop {
            // What failed before may succeed now: the next round, which comes by itself, tells.
            let has_failed =
                call.failure.is_some() && !(had_failed && call.rounds == rounds_before);
            // A refusal by the core says later what is wrong.
            if self.core.has_room(bytes) || has_failed || call.is_closed {
                return;
            }
            if !had_failed {
                call.is_called = true;
                self.called.notify_one();
            }
            if self.room.wait_until(&mut call, deadline).timed_out() {
                return;
            }
        }
    }

    fn call_maintenance(&self) {
        self.maintenance.lock().is_called = true;
        self.called.notify_one();
    }

    fn end_round(&self, error: Option<&MaintenanceError>) {
        let failure = error.map(|error| match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        });
        let mut call = self.maintenance.lock();
        call.failure = failure;
        call.rounds += 1;
        drop(call);
        self.room.notify_all();
    }

    fn run_maintenance(&self) {
        let _at_exit = MaintenanceExit(self);
        let mut next_retention = Instant::now();
        loop {
            let is_retention_due = Instant::now() >= next_retention;
            let result = if is_retention_due {
                self.core.retain_and_maintain()
            } else {
                self.core.maintain()
            };
            if result.is_ok() && is_retention_due {
                next_retention = Instant::now() + RETENTION_INTERVAL;
            }
            self.end_round(result.as_ref().err());
            let has_failed = result.is_err();
            if self.core.compaction.backlog() > 0 {
                self.call_compaction();
            }
            let is_due = !has_failed && self.core.is_flush_due();
            let mut call = self.maintenance.lock();
            if !call.is_called && !is_due && !call.is_closed {
                let wait = if has_failed {
                    RETRY_WAIT
                } else {
                    next_retention.saturating_duration_since(Instant::now())
                };
                let _ = self.called.wait_for(&mut call, wait);
            } else if has_failed && !call.is_closed {
                // A call does not shorten the wait after a failure.
                let _ = self.called.wait_for(&mut call, RETRY_WAIT);
            }
            call.is_called = false;
            if call.is_closed {
                return;
            }
        }
    }

    fn call_compaction(&self) {
        self.compaction.lock().is_called = true;
        self.compaction_called.notify_one();
    }

    fn run_compaction(&self) {
        let _at_exit = CompactionExit(self);
        loop {
            let begun = Instant::now();
            let outcome = self.core.compact(&|| self.may_compact());
            let wait = match &outcome {
                Ok(report) if report.is_idle() => RETENTION_INTERVAL,
                Ok(_) => begun.elapsed().min(COMPACTION_REST_MAX),
                Err(_) => COMPACTION_RETRY_WAIT,
            };
            let is_idle = outcome.as_ref().is_ok_and(|report| report.is_idle());
            if !is_idle {
                // Files may have become free, and the log has grown by edits.
                self.call_maintenance();
            }
            let deadline = Instant::now() + wait;
            let mut call = self.compaction.lock();
            // A call ends idleness, and neither the rest nor the wait after a failure.
            while !(call.is_closed || is_idle && call.is_called) {
                let waited = self.compaction_called.wait_until(&mut call, deadline);
                if waited.timed_out() {
                    break;
                }
            }
            call.is_called = false;
            if call.is_closed {
                return;
            }
        }
    }

    /// Waits while a flush is due; whether compaction may go on.
    fn may_compact(&self) -> bool {
        let deadline = Instant::now() + FLUSH_WAIT;
        while self.core.is_flush_due() {
            let mut call = self.maintenance.lock();
            if call.is_closed || self.room.wait_until(&mut call, deadline).timed_out() {
                break;
            }
        }
        !self.compaction.lock().is_closed
    }

    fn stop(&self) {
        self.queue.lock().is_closed = true;
        self.arrived.notify_all();
        self.compaction.lock().is_closed = true;
        self.compaction_called.notify_all();
        self.room.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock());
        let mut threads = threads.into_iter();
        // The committer first: what waits is committed while maintenance can still make room.
        let join = |thread: Option<JoinHandle<()>>| {
            let is_own =
                |thread: &JoinHandle<()>| thread.thread().id() == std::thread::current().id();
            if let Some(thread) = thread.filter(|thread| !is_own(thread)) {
                // A thread that panicked has said so on standard error.
                let _ = thread.join();
            }
        };
        join(threads.next());
        self.maintenance.lock().is_closed = true;
        self.called.notify_all();
        self.room.notify_all();
        join(threads.next());
        join(threads.next());
    }
}
