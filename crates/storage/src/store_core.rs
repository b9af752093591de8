//! The log store as a synchronous machine: commit, flush, retain, snapshot the manifest.
//!
//! Invariants
//! - Rows are published after the sync of their group, all of a group together, and each row is
//!   in exactly one source of any snapshot.
//! - State changes that must survive are frames of the log: the log's lock is held from writing a
//!   frame until the state shows it, so a manifest snapshot taken under it is a clean cut.
//! - Locks are taken in one order: compaction, maintenance, log, state. Encoding and writing
//!   segments hold only the first two, so commits go on.
//!
//! Nothing here starts a thread or waits for time, so the simulated disk drives it step by step;
//! [`crate::store::Store`] wraps threads around it.
use crate::{
    bundle::{Bundle, BundleFiles, section_name, section_source},
    compact::Compaction,
    container::Entropy,
    deletion::{Deletion, KeepAll, RowSelector},
    encoded::EncodedBatch,
    idempotency::{
        Evicted, Idempotency, IdempotencyRecord, PackedAnswer, Recall, RequestKey, short_hash,
    },
    keys::{Keyring, system_entropy},
    manifest::{BundleMeta, Edit, Manifest},
    partition::{Partition, Section},
    segment::{BLOCK_CACHE_BYTES, BlockCache, CacheFigures, SectionReader},
    snapshot::{Fault, PartitionView, Snapshot},
    wal::{FILES_OF_REQUESTS_MAX, FrameKind, NewFrame, Payload, Wal, WalError, WalFigures},
};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet},
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};
use taffrail_model::{
    clock::Clock,
    files::Files,
    limits::{TAIL_ROWS_MAX, TAILS_BYTES_MAX},
    position::{PartitionKey, Position},
    stream::StreamCatalogue,
    tenant::TenantNumber,
    time::Timestamp,
};

/// What a store is opened with.
#[derive(Clone)]
pub struct StoreOptions {
    /// The data directory.
    pub directory: PathBuf,
    /// Bytes of all tails together.
    pub tails_bytes_max: usize,
    /// Bytes of decoded directories, dictionaries and blocks that are kept for reads.
    pub cache_bytes_max: usize,
    /// Whether data is sealed under secret keys.
    pub encryption: bool,
    /// The streams, for their retention.
    pub catalogue: Arc<StreamCatalogue>,
    /// Number of this node in record ids.
    pub node: u16,
    /// Random numbers for salts, object ids and keys.
    pub entropy: Entropy,
    /// Says which rows compaction removes.
    pub selector: Arc<dyn RowSelector>,
}

impl StoreOptions {
    /// The defaults for a data directory: encrypted, with the built-in streams.
    #[must_use]
    pub fn new(directory: PathBuf) -> StoreOptions {
        StoreOptions {
            directory,
            tails_bytes_max: TAILS_BYTES_MAX,
            cache_bytes_max: BLOCK_CACHE_BYTES,
            encryption: true,
            catalogue: Arc::new(StreamCatalogue::built_in()),
            node: 0,
            entropy: system_entropy(),
            selector: Arc::new(KeepAll),
        }
    }
}

/// One request to store.
pub struct CommitRequest {
    /// Its records.
    pub batch: EncodedBatch,
    /// Its key, if it has one.
    pub idempotency: Option<IdempotencyKey>,
}

/// The key of a request, and what it is to be answered if it is stored.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    /// Whose the key is: tenant and credential.
    pub scope: Arc<str>,
    /// The key.
    pub key: String,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
    /// The answer that a repeat gets.
    pub answer: Vec<u8>,
}

/// Where the records of a request stand. A request without records has `last` before `first`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Position of the first record.
    pub first: Position,
    /// Position of the last record.
    pub last: Position,
}

/// Why a request was not stored. Nothing of it is visible.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// There is no room on the disk.
    #[error("there is no room on the disk")]
    NoSpace,
    /// The group could not be made durable. It is void.
    #[error("the log could not be written")]
    SyncFailed(#[source] WalError),
    /// The log takes nothing at the moment.
    #[error("the log takes nothing: {reason}")]
    Refusing {
        /// Why.
        reason: String,
    },
    /// The request alone is past a limit.
    #[error("the request is too large to be stored at once")]
    TooLarge,
    /// More comes in than can be written; a later try may succeed.
    #[error("more records come in than can be written")]
    Overloaded,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// Why flush, retention or a manifest snapshot did not succeed. It can be tried again.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// A file could not be written or removed.
    #[error("cannot {action}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The edit could not be made durable.
    #[error("cannot log a manifest edit")]
    Log(#[source] WalError),
    /// There is no data key.
    #[error("cannot get a data key")]
    Keyring(#[source] crate::keys::KeyringError),
    /// There was no room for a log file at the start, and nothing was written since.
    #[error("the log has not begun yet: there is no room on the disk")]
    Unsettled,
    /// A thread of the store ended within a change: only a new start can tell the state.
    #[error("a thread of the store has ended: it must be opened again")]
    InDoubt,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// Counters since the store was opened.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) rows: AtomicU64,
    pub(crate) groups: AtomicU64,
    pub(crate) wal_bytes: AtomicU64,
    pub(crate) sync_failures: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) flush_failures: AtomicU64,
    pub(crate) segment_bytes: AtomicU64,
    pub(crate) manifest_snapshots: AtomicU64,
    pub(crate) compactions: AtomicU64,
    pub(crate) compaction_rows: AtomicU64,
    pub(crate) compaction_rows_removed: AtomicU64,
    pub(crate) compaction_bytes: AtomicU64,
    pub(crate) compaction_failures: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// State, counters and limits of a store, for health and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// Position through which everything is acknowledged.
    pub watermark: Position,
    /// Partitions that have rows.
    pub partitions: usize,
    /// Bytes of all tails.
    pub tails_bytes: usize,
    /// Rows of all tails.
    pub tails_rows: usize,
    /// Bytes of decoded parts of segments.
    pub block_cache_bytes: usize,
    /// Files of the write-ahead log.
    pub wal_files: usize,
    /// Bytes of them.
    pub wal_bytes: u64,
    /// Segment files.
    pub segments: usize,
    /// Sections in them.
    pub sections: usize,
    /// Bytes of the segment files.
    pub segments_bytes: u64,
    /// Idempotency keys that are remembered.
    pub idempotency_keys: usize,
    /// Idempotency keys that were forgotten before their 24 hours, since the start.
    pub idempotency_evicted_total: Evicted,
    /// Why nothing is acknowledged at the moment.
    pub refusing: Option<String>,
    /// Why the last round of flush, retention and manifest snapshots failed, if it did.
    pub maintenance_failure: Option<String>,
    /// What cannot be read.
    pub faults: Vec<Fault>,
    /// Requests that were stored since the start.
    pub requests_total: u64,
    /// Rows that were stored since the start.
    pub rows_total: u64,
    /// Group commits since the start.
    pub groups_total: u64,
    /// Bytes written to the log since the start.
    pub wal_bytes_total: u64,
    /// Writes or syncs of the log that failed since the start.
    pub sync_failures_total: u64,
    /// Marks of the log that could not be written since the start; nothing depends on one.
    pub mark_failures_total: u64,
    /// Requests that were not stored since the start.
    pub refused_total: u64,
    /// Segment files written since the start.
    pub flushes_total: u64,
    /// Flushes that failed since the start.
    pub flush_failures_total: u64,
    /// Bytes of segments written since the start.
    pub segment_bytes_total: u64,
    /// Manifest snapshots written since the start.
    pub manifest_snapshots_total: u64,
    /// Merges and rewrites of sections since the start.
    pub compactions_total: u64,
    /// Rows that compaction has written since the start.
    pub compaction_rows_total: u64,
    /// Rows that compaction has removed since the start.
    pub compaction_rows_removed_total: u64,
    /// Bytes that compaction has written since the start.
    pub compaction_bytes_total: u64,
    /// Merges that failed since the start.
    pub compaction_failures_total: u64,
    /// Partitions that wait for compaction.
    pub compaction_backlog: usize,
    /// Deletions in effect.
    pub deletions_active: usize,
    /// What readers have decoded and kept.
    pub cache: CacheFigures,
    /// Segment files that are open.
    pub open_files: usize,
}

/// The log's writer, and whether it may write.
pub(crate) struct Log {
    pub(crate) wal: Wal,
    pub(crate) is_closed: bool,
    /// Whether a frame is being written that the state does not show yet. It is seen with the
    /// lock only where a panic ended that: from then on nothing may be written.
    pub(crate) is_in_doubt: bool,
}

/// What readers see and flush works on.
pub(crate) struct State {
    pub(crate) manifest: Manifest,
    pub(crate) bundles: HashMap<u64, Arc<Bundle>>,
    pub(crate) partitions: HashMap<PartitionKey, Partition>,
    /// The partitions that have rows in no section: few among many.
    pub(crate) unflushed: HashSet<PartitionKey>,
    /// The partitions of those that the last flush left out, and why.
    pub(crate) unencodable: HashMap<PartitionKey, Unencodable>,
    pub(crate) views: imbl::OrdMap<PartitionKey, Arc<PartitionView>>,
    pub(crate) watermark: Position,
    /// Faults that were found since the start; losses are in the manifest.
    pub(crate) faults: Vec<Fault>,
    pub(crate) all_faults: Arc<Vec<Fault>>,
    /// Deletions in effect, as snapshots share them.
    pub(crate) deletions: Arc<Vec<Arc<Deletion>>>,
}

/// Why a partition was left out of a flush. Its rows stay in the tail and in the log.
pub(crate) struct Unencodable {
    pub(crate) detail: String,
    /// When it is tried again.
    pub(crate) retried_from: Timestamp,
}

/// What one maintenance task at a time works with.
#[derive(Default)]
pub(crate) struct Maintenance {
    pub(crate) next_bundle: u64,
    /// Fan-out directories that are durable.
    pub(crate) directories: HashSet<String>,
    /// Fan-out directories whose name could not be made durable: a later sync would not tell.
    pub(crate) doubtful_directories: HashSet<String>,
    /// Bundles whose edit failed: they go once that edit is void for good.
    pub(crate) orphans: Vec<u64>,
    /// Snapshots on disk, oldest first: (generation, covered sequence).
    pub(crate) generations: Vec<(u64, u64)>,
    pub(crate) next_generation: u64,
    pub(crate) snapshot_bytes: u64,
    /// Bytes written to the log when the last snapshot was made.
    pub(crate) wal_bytes_at_snapshot: u64,
}

/// The log store, without threads.
pub struct StoreCore {
    pub(crate) options: StoreOptions,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keys: Arc<Keyring>,
    pub(crate) catalogue: ArcSwap<StreamCatalogue>,
    pub(crate) bundle_files: Arc<BundleFiles>,
    pub(crate) cache: Arc<BlockCache>,
    pub(crate) compaction: Compaction,
    pub(crate) idempotency: Idempotency,
    pub(crate) maintenance: Mutex<Maintenance>,
    pub(crate) log: Mutex<Log>,
    pub(crate) state: Mutex<State>,
    pub(crate) published: ArcSwap<Snapshot>,
    pub(crate) tails_bytes: AtomicUsize,
    pub(crate) is_room_wanted: AtomicBool,
    is_maintenance_called: AtomicBool,
    pub(crate) refusing: Mutex<Option<String>>,
    /// The threads that ended by a panic.
    dead_threads: Mutex<Vec<StoreThread>>,
    wal_figures: Arc<WalFigures>,
    pub(crate) counters: Counters,
    subscribers: Mutex<Vec<Subscriber>>,
}

/// A thread of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreThread {
    Committer,
    Maintenance,
    Compaction,
}

/// Frees the key of a request that does not get as far as the group.
struct Reservation<'a> {
    idempotency: &'a Idempotency,
    /// `None`: the request is prepared.
    key: Option<RequestKey>,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.idempotency.forget(key);
        }
    }
}

type Subscriber = Arc<dyn Fn(Position) + Send + Sync>;

/// A request whose rows are encoded: what is left to do needs its position.
pub struct Prepared {
    batch: EncodedBatch,
    idempotency: Option<IdempotencyRecord>,
}

impl Prepared {
    /// Bytes that the rows take in a tail.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.batch.memory_bytes()
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.batch.rows()
    }
}

impl StoreCore {
    /// Commits requests as one group with one sync; one result for each, in order.
    pub fn commit_group(
        &self,
        requests: Vec<CommitRequest>,
    ) -> Vec<Result<Committed, CommitError>> {
        let prepared: Vec<_> = requests
            .into_iter()
            .map(|request| self.prepare(request))
            .collect();
        let mut group = Vec::new();
        let mut refused = Vec::new();
        for prepared in prepared {
            match prepared {
                Ok(prepared) => {
                    group.push(prepared);
                    refused.push(None);
                }
                Err(error) => refused.push(Some(error)),
            }
        }
        let mut results = self.commit_prepared(group).into_iter();
        refused
            .into_iter()
            .filter_map(|error| match error {
                Some(error) => Some(Err(error)),
                None => results.next(),
            })
            .collect()
    }

    /// Makes a request ready for its group.
    ///
    /// # Errors
    /// [`CommitError::TooLarge`].
    pub fn prepare(&self, request: CommitRequest) -> Result<Prepared, CommitError> {
        let CommitRequest {
            mut batch,
            idempotency,
        } = request;
        let request_key =
            |key: &IdempotencyKey| RequestKey::new(batch.tenant(), &key.scope, &key.key);
        let mut reservation = Reservation {
            idempotency: &self.idempotency,
            key: idempotency.as_ref().map(request_key),
        };
        if batch.is_too_large() {
            return Err(CommitError::TooLarge);
        }
        let record = idempotency.map(|key| IdempotencyRecord {
            key: request_key(&key),
            body: short_hash(&key.body_hash),
            answer: PackedAnswer::new(&key.answer),
            time: self.clock.now(),
        });
        if let (Some(first), Some(record)) = (batch.parts.first_mut(), &record) {
            Payload::add_record(&mut first.payload, record);
        }
        reservation.key = None;
        Ok(Prepared {
            batch,
            idempotency: record,
        })
    }

    /// Commits prepared requests as one group with one sync; one result for each, in order.
    pub fn commit_prepared(&self, group: Vec<Prepared>) -> Vec<Result<Committed, CommitError>> {
        if group.is_empty() {
            return Vec::new();
        }
        let (results, watermark) = self.write_and_publish(group);
        let refused = results.iter().filter(|result| result.is_err()).count();
        count(&self.counters.refused, refused as u64);
        count(&self.counters.requests, (results.len() - refused) as u64);
        if let Some(watermark) = watermark {
            for subscriber in self.subscribers() {
                subscriber(watermark);
            }
        }
        results
    }

    fn subscribers(&self) -> Vec<Subscriber> {
        self.subscribers.lock().clone()
    }

    fn write_and_publish(
        &self,
        group: Vec<Prepared>,
    ) -> (Vec<Result<Committed, CommitError>>, Option<Position>) {
        let mut log = self.log.lock();
        let was_in_doubt = std::mem::replace(&mut log.is_in_doubt, true);
        let result = self.write_and_publish_locked(&mut log, was_in_doubt, group);
        log.is_in_doubt = was_in_doubt;
        result
    }

    fn write_and_publish_locked(
        &self,
        log: &mut Log,
        was_in_doubt: bool,
        group: Vec<Prepared>,
    ) -> (Vec<Result<Committed, CommitError>>, Option<Position>) {
        let mut frames = Vec::new();
        let mut results = Vec::with_capacity(group.len());
        let mut accepted = Vec::new();
        let mut group_bytes = 0;
        for mut prepared in group {
            match self.admit(log, was_in_doubt, &prepared, group_bytes) {
                Ok(first) => {
                    group_bytes += prepared.memory_bytes();
                    put_frames(&mut log.wal, &mut prepared, first, &mut frames);
                    let committed = Committed {
                        first,
                        last: Position((first.0 + prepared.rows()).saturating_sub(1)),
                    };
                    results.push(Ok(committed));
                    accepted.push((prepared, committed));
                }
                Err(error) => {
                    self.forget_record(prepared.idempotency.as_ref());
                    results.push(Err(error));
                }
            }
        }
        if frames.is_empty() {
            return (results, None);
        }
        let before = log.wal.bytes();
        let files_before = log.wal.live().len();
        if let Err(error) = log.wal.write_group(frames, self.clock.now()) {
            count(&self.counters.sync_failures, 1);
            let error = self.refuse(error);
            for (prepared, _) in &accepted {
                self.forget_record(prepared.idempotency.as_ref());
            }
            for result in results.iter_mut().filter(|result| result.is_ok()) {
                *result = Err(error.clone());
            }
            return (results, None);
        }
        count(
            &self.counters.wal_bytes,
            log.wal.bytes().saturating_sub(before),
        );
        count(&self.counters.groups, 1);
        *self.refusing.lock() = None;
        let watermark = self.publish_rows(accepted);
        let bound = self.options.tails_bytes_max;
        let has_rotated = log.wal.live().len() != files_before;
        if has_rotated
            || log.wal.bytes() > bound as u64
            || self.tails_bytes.load(Ordering::Acquire) >= bound / 2
        {
            self.is_maintenance_called.store(true, Ordering::Release);
        }
        (results, Some(watermark))
    }

    /// Whether a request may come in now, and at which position.
    fn admit(
        &self,
        log: &mut Log,
        was_in_doubt: bool,
        prepared: &Prepared,
        group_bytes: usize,
    ) -> Result<Position, CommitError> {
        if log.is_closed {
            return Err(CommitError::Closed);
        }
        if was_in_doubt {
            return Err(CommitError::Refusing {
                reason: MaintenanceError::InDoubt.to_string(),
            });
        }
        if !self.has_room_beside(group_bytes, prepared.memory_bytes()) {
            return Err(CommitError::Overloaded);
        }
        if log.wal.live().len() >= FILES_OF_REQUESTS_MAX {
            self.is_maintenance_called.store(true, Ordering::Release);
            return Err(self.refuse(WalError::TooManyFiles));
        }
        log.wal
            .take_positions(prepared.rows())
            .ok_or_else(|| CommitError::Refusing {
                reason: "all positions of 48 bits are used".into(),
            })
    }

    /// Whether the tails have room for a request of this many bytes. One that is larger than all
    /// tails may be comes in when they are empty.
    pub fn has_room(&self, memory_bytes: usize) -> bool {
        self.has_room_beside(0, memory_bytes)
    }

    fn has_room_beside(&self, group_bytes: usize, memory_bytes: usize) -> bool {
        let taken = self.tails_bytes.load(Ordering::Acquire) + group_bytes;
        let has_room = taken == 0 || taken + memory_bytes <= self.options.tails_bytes_max;
        if !has_room {
            self.is_room_wanted.store(true, Ordering::Release);
        }
        has_room
    }

    pub(crate) fn refuse(&self, error: WalError) -> CommitError {
        let reason = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        *self.refusing.lock() = Some(reason.clone());
        match error {
            error if error.is_no_space() => CommitError::NoSpace,
            WalError::Begin(_)
            | WalError::TooManyFiles
            | WalError::NoFile
            | WalError::Keyring(_) => CommitError::Refusing { reason },
            WalError::Append(_) | WalError::Sync(_) => CommitError::SyncFailed(error),
        }
    }

    fn forget_record(&self, record: Option<&IdempotencyRecord>) {
        if let Some(record) = record {
            self.idempotency.forget(record.key);
        }
    }

    /// Shows durable rows to readers. The log's lock is held.
    fn publish_rows(&self, accepted: Vec<(Prepared, Committed)>) -> Position {
        let now = self.clock.now();
        let mut records = Vec::new();
        let mut state = self.state.lock();
        let mut touched = HashSet::new();
        let mut grown = 0;
        for (prepared, committed) in accepted {
            let mut first = committed.first;
            let Prepared { batch, idempotency } = prepared;
            count(&self.counters.rows, batch.rows());
            for part in batch.parts {
                let rows = part.timestamps.len() as u64;
                let partition = state.partitions.entry(part.key).or_default();
                grown += partition.push(part.timestamps, first, part.columns);
                if partition.unflushed_rows() >= TAIL_ROWS_MAX {
                    self.is_maintenance_called.store(true, Ordering::Release);
                }
                touched.insert(part.key);
                state.unflushed.insert(part.key);
                first = Position(first.0 + rows);
            }
            state.watermark = state.watermark.max(committed.last);
            records.extend(idempotency);
        }
        self.grow_tails(grown);
        let watermark = state.watermark;
        self.publish(&mut state, touched);
        drop(state);
        for record in records {
            self.idempotency.settle(record, now);
        }
        watermark
    }

    /// Whether a commit made maintenance due since the last time that this was asked.
    pub fn take_maintenance_call(&self) -> bool {
        let is_room_wanted = self.is_room_wanted.load(Ordering::Acquire);
        self.is_maintenance_called.swap(false, Ordering::AcqRel) || is_room_wanted
    }

    pub(crate) fn grow_tails(&self, by: i64) {
        let change = |bytes: usize| Some(bytes.saturating_add_signed(by as isize));
        let _ = self
            .tails_bytes
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
    }

    /// Publishes the state after changes in these partitions.
    pub(crate) fn publish(
        &self,
        state: &mut State,
        touched: impl IntoIterator<Item = PartitionKey>,
    ) {
        for key in touched {
            let partition = state.partitions.get(&key);
            if partition.is_none_or(|partition| partition.unflushed_bytes() == 0) {
                state.unflushed.remove(&key);
                state.unencodable.remove(&key);
            }
            match state.partitions.get_mut(&key) {
                Some(partition) if !partition.is_empty() => {
                    let view = partition.view(key);
                    state.views.insert(key, view);
                }
                _ => {
                    state.partitions.remove(&key);
                    state.views.remove(&key);
                }
            }
        }
        self.published.store(Arc::new(
            Snapshot::new(
                state.watermark,
                state.manifest.epoch,
                state.views.clone(),
                state.all_faults.clone(),
            )
            .with_deletions(state.deletions.clone()),
        ));
    }

    /// Makes an edit durable, then changes the state by it and by `change`, and publishes.
    pub(crate) fn commit_edit(
        &self,
        edit: Edit,
        change: impl FnOnce(&StoreCore, &mut State) -> Vec<PartitionKey>,
    ) -> Result<(), MaintenanceError> {
        self.commit_edit_by(|_| Some(edit), change).map(|_| ())
    }

    /// The same for an edit that depends on the state as it is now; whether there was one.
    pub(crate) fn commit_edit_by(
        &self,
        edit: impl FnOnce(&State) -> Option<Edit>,
        change: impl FnOnce(&StoreCore, &mut State) -> Vec<PartitionKey>,
    ) -> Result<bool, MaintenanceError> {
        let mut log = self.log.lock();
        if log.is_closed {
            return Err(MaintenanceError::Closed);
        }
        if log.is_in_doubt {
            return Err(MaintenanceError::InDoubt);
        }
        // Edits are made under the log's lock alone, so the state stays what it is here.
        let (edit, mut after) = {
            let state = self.state.lock();
            (edit(&state), state.manifest.clone())
        };
        let Some(mut edit) = edit else {
            return Ok(false);
        };
        after.apply(&edit);
        edit.rows_first_number = rows_first_number(&log.wal, &after);
        let frame = NewFrame::without_rows(FrameKind::Edit, edit.encode());
        let before = log.wal.bytes();
        log.is_in_doubt = true;
        if let Err(error) = log.wal.write_group(vec![frame], self.clock.now()) {
            log.is_in_doubt = false;
            count(&self.counters.sync_failures, 1);
            self.refuse(error.clone());
            return Err(MaintenanceError::Log(error));
        }
        let written = log.wal.bytes().saturating_sub(before);
        count(&self.counters.wal_bytes, written);
        *self.refusing.lock() = None;
        let mut state = self.state.lock();
        after.rows_first_number = edit.rows_first_number;
        state.manifest = after;
        let touched = change(self, &mut state);
        state.refresh();
        self.publish(&mut state, touched);
        log.is_in_doubt = false;
        Ok(true)
    }

    /// Makes sections of a bundle readable. What cannot be opened is a fault.
    pub(crate) fn serve_bundle(&self, state: &mut State, meta: &BundleMeta, present_bytes: u64) {
        let bundle = state
            .bundles
            .entry(meta.number)
            .or_insert_with(|| Bundle::new(meta.number, self.bundle_files.clone()))
            .clone();
        for section in &meta.sections {
            let keys = self.keys.clone();
            let is_cut = section.offset.saturating_add(section.bytes) > present_bytes;
            let source = section_source(&bundle, meta, section, keys);
            let source = match source {
                Ok(source) if !is_cut => source,
                refused => {
                    let detail = match refused {
                        Err(error) => error.to_string(),
                        Ok(_) if present_bytes == 0 => "the file is missing".into(),
                        Ok(_) => format!("the file is cut at {present_bytes} bytes"),
                    };
                    state.faults.push(Fault {
                        partition: Some(section.key),
                        file: section_name(meta.number, section.index),
                        detail,
                        is_transient: false,
                    });
                    continue;
                }
            };
            let reader = SectionReader::open(section.extent, source, self.cache.clone());
            reader.note_applied(section.applied);
            let partition = state.partitions.entry(section.key).or_default();
            partition.add_section(Section {
                number: meta.number,
                meta: *section,
                reader: Arc::new(reader),
                is_excluded: false,
            });
        }
    }

    /// Repeats the watermark on disk; to be called when nothing is waiting to be committed.
    pub fn write_idle_watermark(&self) {
        let mut log = self.log.lock();
        if !log.is_closed
            && let Err(error) = log.wal.write_watermark(self.clock.now())
        {
            count(&self.counters.sync_failures, 1);
            self.refuse(error);
        }
    }

    /// The state that is published.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    /// Calls `notify` with each new watermark, after it is published and before its requests are
    /// answered. It must be quick.
    pub fn subscribe(&self, notify: Box<dyn Fn(Position) + Send + Sync>) {
        self.subscribers.lock().push(notify.into());
    }

    /// What is known of an idempotency key of a tenant; a new one is reserved.
    #[must_use]
    pub fn recall(
        &self,
        tenant: TenantNumber,
        scope: &str,
        key: &str,
        body_hash: &[u8; 32],
    ) -> Recall {
        let key = RequestKey::new(tenant, scope, key);
        self.idempotency.recall(key, body_hash, self.clock.now())
    }

    /// Frees a key that [`Recall::New`] reserved, where its request is not committed. A commit
    /// that fails does so itself.
    pub fn forget(&self, tenant: TenantNumber, scope: &str, key: &str) {
        self.idempotency.forget(RequestKey::new(tenant, scope, key));
    }

    /// Replaces the streams.
    pub fn set_catalogue(&self, catalogue: Arc<StreamCatalogue>) {
        self.catalogue.store(catalogue);
    }

    /// Free bytes of the file system that holds the data.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn free_bytes(&self) -> io::Result<u64> {
        self.files.free_bytes(&self.options.directory)
    }

    /// Number of this node in record ids.
    #[must_use]
    pub fn node(&self) -> u16 {
        self.options.node
    }

    /// Takes a fault into every later snapshot; the section that it names is not read again. A
    /// fault that is known changes nothing, and neither does one that may pass: the next read
    /// tries again.
    pub fn report_fault(&self, fault: Fault) {
        if fault.is_transient {
            return;
        }
        let mut state = self.state.lock();
        if state.all_faults.contains(&fault) {
            return;
        }
        let mut touched = Vec::new();
        for (key, partition) in &mut state.partitions {
            // Where a fault names its partition, the others need not be looked through.
            if fault.partition.is_none_or(|faulty| faulty == *key) && partition.exclude(&fault.file)
            {
                touched.push(*key);
            }
        }
        state.faults.push(fault);
        state.refresh();
        self.publish(&mut state, touched);
    }

    /// Forgets losses of the past: answers are no longer partial because of them.
    ///
    /// # Errors
    /// [`MaintenanceError`].
    pub fn acknowledge_losses(&self) -> Result<(), MaintenanceError> {
        let edit = Edit {
            clears_losses: true,
            ..Edit::default()
        };
        self.commit_edit(edit, |_, _| Vec::new())
    }

    /// Notes that a thread ended by a panic. What it was about to store is answered by nobody, so
    /// keys are freed: a repeat is refused, not left waiting.
    pub(crate) fn note_death(&self, thread: StoreThread) {
        self.dead_threads.lock().push(thread);
        if thread == StoreThread::Committer {
            self.idempotency.forget_all();
        }
    }

    pub(crate) fn has_committer_died(&self) -> bool {
        self.dead_threads.lock().contains(&StoreThread::Committer)
    }

    fn death(&self) -> Option<String> {
        let name = match self.dead_threads.lock().first()? {
            StoreThread::Committer => "commits",
            StoreThread::Maintenance => "maintains",
            StoreThread::Compaction => "compacts",
        };
        Some(format!(
            "the thread that {name} has ended unexpectedly: start the server again"
        ))
    }

    /// State, counters and limits; without waiting for the disk.
    #[must_use]
    pub fn status(&self) -> StoreStatus {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (idempotency_keys, idempotency_evicted_total) = self.idempotency.figures();
        let mut status = StoreStatus {
            tails_bytes: self.tails_bytes.load(Ordering::Acquire),
            block_cache_bytes: self.cache.bytes(),
            idempotency_keys,
            idempotency_evicted_total,
            refusing: self.death().or_else(|| self.refusing.lock().clone()),
            wal_files: self.wal_figures.files.load(Ordering::Relaxed),
            wal_bytes: self.wal_figures.bytes.load(Ordering::Relaxed),
            mark_failures_total: read(&self.wal_figures.mark_failures),
            requests_total: read(&self.counters.requests),
            rows_total: read(&self.counters.rows),
            groups_total: read(&self.counters.groups),
            wal_bytes_total: read(&self.counters.wal_bytes),
            sync_failures_total: read(&self.counters.sync_failures),
            refused_total: read(&self.counters.refused),
            flushes_total: read(&self.counters.flushes),
            flush_failures_total: read(&self.counters.flush_failures),
            segment_bytes_total: read(&self.counters.segment_bytes),
            manifest_snapshots_total: read(&self.counters.manifest_snapshots),
            compactions_total: read(&self.counters.compactions),
            compaction_rows_total: read(&self.counters.compaction_rows),
            compaction_rows_removed_total: read(&self.counters.compaction_rows_removed),
            compaction_bytes_total: read(&self.counters.compaction_bytes),
            compaction_failures_total: read(&self.counters.compaction_failures),
            compaction_backlog: self.compaction.backlog(),
            cache: self.cache.figures(),
            open_files: self.bundle_files.open_files(),
            ..StoreStatus::default()
        };
        let state = self.state.lock();
        status.watermark = state.watermark;
        status.deletions_active = state.deletions.len();
        status.partitions = state.partitions.len();
        let partitions = state.partitions.values();
        status.tails_rows = partitions.map(Partition::unflushed_rows).sum();
        status.segments = state.manifest.bundles.len();
        status.sections = state.manifest.section_count();
        status.segments_bytes = state.manifest.bundles_bytes();
        status.faults = state.all_faults.to_vec();
        status.maintenance_failure = state.unencodable_failure();
        status
    }

    pub(crate) fn new(
        parts: CoreParts,
        log: Log,
        state: State,
        maintenance: Maintenance,
    ) -> StoreCore {
        let wal_figures = log.wal.figures().clone();
        let catalogue = ArcSwap::new(parts.options.catalogue.clone());
        StoreCore {
            files: parts.files,
            clock: parts.clock,
            keys: parts.keys,
            catalogue,
            bundle_files: parts.bundle_files,
            cache: Arc::new(BlockCache::new(parts.options.cache_bytes_max)),
            options: parts.options,
            compaction: Compaction::default(),
            idempotency: Idempotency::default(),
            maintenance: Mutex::new(maintenance),
            log: Mutex::new(log),
            state: Mutex::new(state),
            published: ArcSwap::default(),
            tails_bytes: AtomicUsize::new(0),
            is_room_wanted: AtomicBool::new(false),
            is_maintenance_called: AtomicBool::new(false),
            refusing: Mutex::new(None),
            dead_threads: Mutex::default(),
            wal_figures,
            counters: Counters::default(),
            subscribers: Mutex::default(),
        }
    }
}

/// What recovery hands to the core.
pub(crate) struct CoreParts {
    pub(crate) options: StoreOptions,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keys: Arc<Keyring>,
    pub(crate) bundle_files: Arc<BundleFiles>,
}

impl State {
    /// Names a partition that cannot be flushed, if there is one.
    fn unencodable_failure(&self) -> Option<String> {
        let (key, unencodable) = self.unencodable.iter().min_by_key(|(key, _)| **key)?;
        Some(format!(
            "cannot encode tenant {}, stream {}, {}: {}; partitions left out of flushes: {}",
            key.tenant.0,
            key.stream.0,
            key.day,
            unencodable.detail,
            self.unencodable.len()
        ))
    }

    /// Puts what snapshots share of the manifest in step with it.
    pub(crate) fn refresh(&mut self) {
        let all = self.manifest.losses.iter().chain(&self.faults);
        self.all_faults = Arc::new(all.cloned().collect());
        self.deletions = Arc::new(self.manifest.active_deletions());
    }
}

/// The oldest log file that has rows in no section; where there is none, the one after the
/// current: rows that come later have frames that the manifest does not cover.
pub(crate) fn rows_first_number(wal: &Wal, manifest: &Manifest) -> u64 {
    let flushed_through = |key: &PartitionKey| manifest.flushed_through(key);
    wal.live()
        .iter()
        .find(|file| file.has_unflushed(&flushed_through))
        .map_or(wal.current_number() + 1, |file| file.number)
}

/// The frames of a request; its payloads move into them.
fn put_frames(
    wal: &mut Wal,
    prepared: &mut Prepared,
    mut first: Position,
    frames: &mut Vec<NewFrame>,
) {
    let request = wal.take_request();
    let parts = prepared.batch.parts.len() as u32;
    for (number, part) in (0u32..).zip(&mut prepared.batch.parts) {
        let rows = part.timestamps.len() as u32;
        frames.push(NewFrame {
            kind: FrameKind::Rows,
            request,
            part: number,
            parts,
            partition: part.key,
            rows,
            first_position: first,
            plain: std::mem::take(&mut part.payload),
        });
        first = Position(first.0 + u64::from(rows));
    }
    if parts == 0
        && let Some(record) = &prepared.idempotency
    {
        let mut frame =
            NewFrame::without_rows(FrameKind::Rows, Payload::encode(Some(record), None));
        frame.request = request;
        frame.partition.tenant = prepared.batch.tenant;
        frames.push(frame);
    }
}
