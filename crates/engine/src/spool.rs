//! Spool of a producer of records: makes each record reach the server exactly once, whichever side
//! is killed at whatever moment.
//!
//! There are two kinds of producers. One *reads a source* that keeps what was not read, such as
//! the files of `taffrail ship`: it gives each batch with a checkpoint ([`Spool::persist`]) and
//! waits while there is no room. The other *cannot wait and cannot read again*, such as the
//! recorder of `taffrail run`: it gives batches as they come ([`Spool::append`]), without a
//! checkpoint, and what finds no room is dropped and counted. As several of those live at a time,
//! each takes a spool of its own from a [`SpoolFolder`], and what a killed one left is sent by the
//! next.
//!
//! One batch goes through four steps, each durable before the next begins:
//! 1. *persist*: its records, already redacted, and the checkpoint of the source behind them are
//!    one sealed file. From here on the source is not read again for them.
//! 2. *send*, each part under a key that is stored with it: a server that has stored a part
//!    already answers as it did then and stores nothing.
//! 3. *advance*: the state file says that the batch was acknowledged, and its checkpoint.
//! 4. *remove* the file.
//!
//! Invariants
//! - Only [`CleanBatch`]es come in: nothing unredacted is written. Every file is a sealed
//!   container.
//! - Batches are sent in the order of their numbers, one at a time. The newest checkpoint is
//!   that of the last pending batch, else that of the state file.
//! - The body that goes with a key is made once and stored as it is sent: every attempt, by any
//!   version of the program, sends the same bytes.
//! - The files of pending batches hold [`SpoolOptions::bytes_max`] bytes at the most. Past it
//!   nothing is persisted, so the source is not read on; a source that keeps its files loses
//!   nothing.
//! - What the server will never take is kept in a sealed file of rejected records and not sent
//!   again. What it does not take now is sent until it does.
//! - A batch that cannot be read any more is put aside and told ([`Lost`], [`ReadAgain`]); the
//!   others go on.
//!
//! Exactly once holds as long as the server remembers the key of the batch that was in flight
//! (24 h). Format: docs/formats/spool.md.

mod encode;
mod file;
mod folder;
mod loss;
mod producer;

pub use encode::{Bodies, Encoding};
pub use folder::{Claimed, SpoolFolder, Unusable};
pub use loss::{LossCause, Lost, ReadAgain};

use crate::options::OpenError;
use encode::Request;
use file::{Numbered, Place, SealedFiles};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use taffrail_model::{
    batch::Reject,
    clock::{Clock, SystemClock},
    files::{Files, is_no_space},
    limits::IDEMPOTENCY_KEPT_S,
    time::{Timestamp, parse_rfc3339},
};
use taffrail_storage::{
    container::Entropy,
    keys::{Kek, KeyFile, KeyFileError, KeyringError, system_entropy},
    local_files::{DirectoryLock, LocalFiles, LockError},
    read::ReadError,
};

/// Bytes of pending batches on disk (default): hours of a usual machine's logs.
pub const SPOOL_BYTES_MAX: u64 = 256 << 20;
/// Bytes of one request: a server that answers slowly still answers within its time.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// Bytes of rejected records on disk; past it the oldest file goes.
pub const REJECTED_BYTES_MAX: u64 = 64 << 20;

/// Batches that are read to find one of another stream: a recorder's are of several streams, but
/// for those of a program that says nothing.
const BATCHES_LOOKED_AT: usize = 16;

/// Version of the files' content that is written and read.
const VERSION: u32 = 1;

/// How a spool is opened.
#[derive(Clone)]
pub struct SpoolOptions {
    /// Its directory, of which the caller holds the lock.
    pub directory: PathBuf,
    /// Bytes of pending batches.
    pub bytes_max: u64,
    /// Whether bodies are compressed.
    pub compression: bool,
    /// Whether the producer reads a source, and goes on where [`Spool::checkpoint`] says.
    pub has_source: bool,
    /// Random numbers.
    pub entropy: Entropy,
}

/// Why the spool cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// A file or directory could not be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The keys of the directory.
    #[error("cannot use the keys of the spool")]
    Keys(#[source] KeyringError),
    /// A file is not what was written.
    #[error("the spool is damaged")]
    Damaged(#[source] ReadError),
    /// A file opens, but its content is of no known form.
    #[error("{} has no known form", path.display())]
    Form {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The directory is locked by another shipper, or cannot be.
    #[error("only one shipper can use a state directory")]
    Lock(#[source] LockError),
    /// Where the key file is kept.
    #[error("cannot find the key file's place")]
    KeyPlace(#[source] Box<OpenError>),
    /// The key file.
    #[error("cannot use the key file of the spool")]
    KeyFile(#[source] KeyFileError),
    /// The state file is not what was written.
    #[error(
        "{} is damaged or missing: restore the directory from a backup, or move it away; without \
         it everything that its sources still have is sent again",
        path.display()
    )]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong; `None`: it is missing.
        #[source]
        source: Option<ReadError>,
    },
    /// The file of a batch is missing.
    #[error("batch {number} is missing from the spool")]
    Missing {
        /// Its number.
        number: u64,
    },
    /// A write failed in a way that leaves open what is on disk.
    #[error("the spool must be opened again after a failed write")]
    Closed,
}

impl SpoolError {
    /// Whether the file system is full: the same may work later, and nothing is lost until then.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        match self {
            SpoolError::Io { source, .. } => is_no_space(source),
            SpoolError::Keys(KeyringError::Io { source, .. }) => is_no_space(source),
            _ => false,
        }
    }

    /// Whether it is about the directory or what is in it, so that another one may be fine.
    fn is_of_directory(&self) -> bool {
        match self {
            SpoolError::Io { source, .. }
            | SpoolError::Lock(LockError::Io { source, .. })
            | SpoolError::Keys(KeyringError::Io { source, .. }) => is_of_path(source),
            SpoolError::Damaged(error) => !matches!(error, ReadError::Io { .. }),
            SpoolError::Keys(_) => true,
            SpoolError::Form { .. } | SpoolError::Missing { .. } | SpoolError::State { .. } => true,
            _ => false,
        }
    }

    /// Whether it says that a batch will never be read, and nothing of the others.
    fn is_of_one_batch(&self) -> bool {
        match self {
            SpoolError::Damaged(error) => !matches!(error, ReadError::Io { .. }),
            SpoolError::Missing { .. } => true,
            _ => false,
        }
    }
}

/// Whether an error is about who may use a path, or what is there instead.
fn is_of_path(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            // A directory that cannot be made, since a file has its name.
            | io::ErrorKind::AlreadyExists
    )
}

/// Records that are sent as one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Idempotency key, the same at every attempt.
    pub key: String,
    /// Number of records.
    pub records: u32,
    /// How the body is compressed.
    pub encoding: Encoding,
    /// The records as NDJSON, compressed as `encoding` says.
    pub body: Arc<[u8]>,
}

/// What became of a part that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable at the server, but for the records that are rejected.
    Taken {
        /// Records that the server has.
        accepted: u32,
        /// Records that it will never take, by their index in the part.
        rejected: Vec<Reject>,
    },
    /// The server will never take the part.
    Refused {
        /// What it said.
        reason: String,
    },
    /// Not now: no answer, too much load, a fault of the server.
    Later {
        /// When the server wants to be asked again.
        after: Option<Duration>,
        /// What was said.
        reason: String,
    },
    /// Not like this: a person must change the address, the credential or the stream first.
    Stopped {
        /// What the server said.
        reason: String,
        /// Whether the credential is at fault.
        is_not_allowed: bool,
        /// Whether it may be so for this stream alone.
        is_of_stream: bool,
    },
}

/// Sends a part to a server.
pub trait Sender {
    /// Sends a part to a stream and waits for the answer.
    fn send(&mut self, stream: &str, part: &Part) -> Outcome;
}

/// What became of a batch whose producer does not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is durable.
    Persisted,
    /// The spool has no room for it: it is not kept.
    Full,
    /// The disk has no room for it: it is not kept.
    NoSpace,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: no batch is pending.
    Nothing,
    /// To send this part to the stream; the same one until it is [`Spool::settle`]d.
    Send(Arc<str>, Part),
    /// Nothing of this batch any more: it is acknowledged and gone.
    Delivered(Delivered),
    /// To tell a person that these batches are lost. The next call notes that it was told.
    Lost(Lost),
}

/// What became of a batch that is acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Records that the server has.
    pub accepted: u64,
    /// Records that it will never take.
    pub rejected: u64,
    /// What it said of the first.
    pub first_reason: Option<String>,
    /// Files of rejected records that were removed to make room.
    pub rejected_files_dropped: u32,
}

/// What opening found that a person should know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpoolReport {
    /// Batches that are pending.
    pub pending: usize,
    /// The key file, if it was made: its owner should back it up.
    pub key_file_made: Option<PathBuf>,
    /// Copies of the keyring that were written anew, with the reason.
    pub repaired: Vec<(String, String)>,
    /// When the oldest pending batch was persisted, if its server may have forgotten its key: if
    /// the server stored it and the acknowledgement was lost, it is stored twice.
    pub forgotten: Option<Timestamp>,
    /// The newest batches, if they cannot be read and are read from their source again.
    pub read_again: Option<ReadAgain>,
    /// Whether batches are lost, which [`Spool::proceed`] tells.
    pub has_lost: bool,
    /// What a producer had [noted](Spool::begin) that has not ended; empty if that is damaged.
    pub left_by: Option<String>,
}

/// The state file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    version: u32,
    /// Random name of this spool, part of every key.
    shipper: uuid::Uuid,
    /// Number of the last acknowledged batch.
    acknowledged: u64,
    /// Checkpoint of the source behind it; opaque here.
    checkpoint: Option<serde_json::Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct BatchHeader {
    version: u32,
    stream: String,
    /// When it was persisted, RFC 3339.
    persisted: String,
    checkpoint: serde_json::Value,
    parts: Vec<PartHeader>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct PartHeader {
    key: String,
    /// Stream that the part goes to, if it is not that of the batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stream: Option<Arc<str>>,
    records: u32,
    bytes: usize,
    #[serde(default, skip_serializing_if = "Encoding::is_identity")]
    encoding: Encoding,
}

/// A record that the server will never take.
#[derive(Serialize)]
struct RejectedRecord<'a> {
    reason: &'a str,
    record: &'a serde_json::value::RawValue,
}

struct Batch {
    header: BatchHeader,
    /// Each with its stream.
    parts: Vec<(Arc<str>, Part)>,
}

/// The oldest pending batch, as far as it was sent since the spool was opened.
struct Head {
    number: u64,
    checkpoint: serde_json::Value,
    /// RFC 3339.
    persisted: String,
    /// Parts that are not settled, in their order, each with its stream.
    parts: VecDeque<(Arc<str>, Part)>,
    delivered: Delivered,
    /// Rejected records, one JSON object a line.
    rejected_lines: Vec<u8>,
}

/// The spool of one shipper.
pub struct Spool {
    sealed: SealedFiles,
    clock: Arc<dyn Clock>,
    bytes_max: u64,
    state: State,
    /// Numbers of the pending batches with the lengths of their files.
    pending: VecDeque<(u64, u64)>,
    /// Checkpoint of the last pending batch.
    newest: Option<serde_json::Value>,
    /// Number of the next batch.
    next_number: u64,
    /// Of the state when it was opened.
    opened_acknowledged: u64,
    /// The state when what was told as lost is settled.
    told: Option<State>,
    has_source: bool,
    /// Read when it is to be sent.
    head: Option<Head>,
    compression: bool,
    is_closed: bool,
    _lock: Option<DirectoryLock>,
}

impl Spool {
    /// Opens the spool in a directory of this machine, which is locked until the spool is
    /// dropped. Its key is in `key_file`; `None`: in `~/.taffrail/keys`, by the directory's id.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub fn open_directory(
        directory: &Path,
        key_file: Option<&Path>,
        bytes_max: u64,
        compression: bool,
    ) -> Result<(Spool, SpoolReport), SpoolError> {
        let lock = DirectoryLock::acquire(directory).map_err(SpoolError::Lock)?;
        let (key, key_path, is_made) = folder::load_key(directory, key_file)?;
        let options = SpoolOptions {
            directory: directory.to_path_buf(),
            bytes_max,
            compression,
            has_source: true,
            entropy: system_entropy(),
        };
        let (spool, report) = Spool::open_local(lock, options, Arc::new(key))?;
        let report = SpoolReport {
            key_file_made: is_made.then_some(key_path),
            ..report
        };
        Ok((spool, report))
    }

    /// Opens the spool in a directory of this machine of which the caller holds the lock.
    fn open_local(
        lock: DirectoryLock,
        options: SpoolOptions,
        key: Arc<KeyFile>,
    ) -> Result<(Spool, SpoolReport), SpoolError> {
        let files = Arc::new(LocalFiles);
        let (spool, report) = Spool::open(options, files, key, Arc::new(SystemClock))?;
        let lock = Some(lock);
        Ok((
            Spool {
                _lock: lock,
                ..spool
            },
            report,
        ))
    }

    /// Opens a spool, or makes one. Files that a crash left behind are removed.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub fn open(
        options: SpoolOptions,
        files: Arc<dyn Files>,
        kek: Arc<dyn Kek>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Spool, SpoolReport), SpoolError> {
        let (sealed, repaired) = SealedFiles::open(&options, files, kek)?;
        let state = match read_state(&sealed)? {
            Some(state) => state,
            None => make_state(&sealed, &options.entropy, clock.now())?,
        };
        let mut spool = Spool {
            newest: state.checkpoint.clone(),
            next_number: state.acknowledged + 1,
            opened_acknowledged: state.acknowledged,
            told: None,
            has_source: options.has_source,
            sealed,
            clock,
            bytes_max: options.bytes_max,
            state,
            pending: VecDeque::new(),
            head: None,
            compression: options.compression,
            is_closed: false,
            _lock: None,
        };
        let read_again = spool.find_pending()?;
        spool.read_head()?;
        let report = SpoolReport {
            key_file_made: None,
            pending: spool.pending.len(),
            repaired,
            read_again,
            forgotten: spool.forgotten(),
            has_lost: spool.has_lost(),
            left_by: producer::left_by(&spool.sealed),
        };
        Ok((spool, report))
    }

    /// When the oldest batch was persisted, if its server may have forgotten it.
    fn forgotten(&self) -> Option<Timestamp> {
        let persisted = parse_rfc3339(&self.head.as_ref()?.persisted)?;
        let age_s = self.clock.now().seconds() - persisted.seconds();
        (age_s >= IDEMPOTENCY_KEPT_S).then_some(persisted)
    }

    /// The checkpoint of the source behind everything that was persisted; `None` before the
    /// first batch.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&serde_json::Value> {
        self.newest.as_ref()
    }

    /// Number of batches that are pending.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Bytes of the pending batches' files.
    #[must_use]
    pub fn pending_bytes(&self) -> u64 {
        self.pending.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Whether there is room for such a batch, even if it cannot be compressed. An empty spool has
    /// room for any.
    #[must_use]
    pub fn has_room(&self, bodies: &Bodies) -> bool {
        self.pending.is_empty() || self.pending_bytes() + bodies.bytes() as u64 <= self.bytes_max
    }

    /// Makes a batch durable together with the checkpoint of the source behind it. Without
    /// records only the checkpoint counts.
    ///
    /// # Errors
    /// [`SpoolError`]; the batch is not persisted, and may be given again if the error
    /// [is one of space](SpoolError::is_no_space).
    pub fn persist(
        &mut self,
        stream: &str,
        bodies: &Bodies,
        checkpoint: serde_json::Value,
    ) -> Result<(), SpoolError> {
        if self.is_closed {
            return Err(SpoolError::Closed);
        }
        let number = self.next_number;
        let requests: Vec<Request<'_>> = bodies
            .parts()
            .iter()
            .map(|body| Request::new(body.records, &body.bytes, self.compression))
            .collect();
        let parts = (0..).zip(requests.iter().zip(bodies.parts()));
        let header = BatchHeader {
            version: VERSION,
            stream: stream.to_string(),
            persisted: self.clock.now().to_rfc3339(),
            checkpoint,
            parts: parts
                .map(|(index, (request, body)): (u32, _)| PartHeader {
                    key: format!("ship-{}-{number}-{index}", self.state.shipper),
                    stream: body.stream.clone().filter(|name| **name != *stream),
                    records: request.records,
                    bytes: request.body.len(),
                    encoding: request.encoding,
                })
                .collect(),
        };
        let place = Place::Batch(number);
        let mut plain = self.sealed.encode(place, &header)?;
        plain.push(b'\n');
        for request in &requests {
            plain.extend_from_slice(&request.body);
        }
        let written = self.sealed.create(place, &plain, self.clock.now());
        // A name that may or may not be there must not be written again.
        self.is_closed = matches!(&written, Err(error) if error.is_after_rename);
        let bytes = written.map_err(|error| error.error)?;
        self.pending.push_back((number, bytes));
        self.next_number += 1;
        self.newest = Some(header.checkpoint);
        Ok(())
    }

    /// Makes a batch durable for a producer that neither waits nor reads again, if there is room
    /// for it. What is not [`Appended::Persisted`] is gone, and the caller's to count. It writes
    /// and syncs one file: whoever may not wait for a disk calls it on another thread.
    ///
    /// # Errors
    /// [`SpoolError`]: the spool must be dropped and opened again, which tells whether the batch
    /// was persisted.
    pub fn append(&mut self, stream: &str, bodies: &Bodies) -> Result<Appended, SpoolError> {
        if self.pending_bytes() + bodies.bytes() as u64 > self.bytes_max {
            return Ok(Appended::Full);
        }
        let checkpoint = self.newest.clone().unwrap_or_default();
        match self.persist(stream, bodies, checkpoint) {
            Ok(()) => Ok(Appended::Persisted),
            Err(error) if error.is_no_space() && !self.is_closed => Ok(Appended::NoSpace),
            Err(error) => Err(error),
        }
    }

    fn read_batch(&self, number: u64) -> Result<Batch, SpoolError> {
        let place = Place::Batch(number);
        let plain = self
            .sealed
            .read(place)?
            .ok_or(SpoolError::Missing { number })?;
        let end = plain.iter().position(|byte| *byte == b'\n');
        let (head, mut rest) = plain.split_at(end.unwrap_or(plain.len()));
        let header: BatchHeader = self.sealed.decode(place, head)?;
        self.sealed.known(place, header.version)?;
        rest = rest.get(1..).unwrap_or_default();
        let batch_stream: Arc<str> = header.stream.as_str().into();
        let mut parts = Vec::new();
        for part in &header.parts {
            let Some((body, after)) = rest.split_at_checked(part.bytes) else {
                let detail = "a body is shorter than its header says";
                return Err(self.sealed.wrong_form(place, detail));
            };
            rest = after;
            let stream = part.stream.as_ref().unwrap_or(&batch_stream);
            let part = Part {
                key: part.key.clone(),
                records: part.records,
                encoding: part.encoding,
                body: body.into(),
            };
            parts.push((stream.clone(), part));
        }
        Ok(Batch { header, parts })
    }

    /// The next part to send, or the acknowledged batch that was forgotten instead.
    ///
    /// # Errors
    /// [`SpoolError`]; the batch stays pending.
    pub fn proceed(&mut self) -> Result<Next, SpoolError> {
        self.settle_lost()?;
        if self.head.is_none() {
            self.read_head()?;
        }
        let Some(head) = &self.head else {
            let lost = self.find_lost()?;
            return Ok(lost.map_or(Next::Nothing, Next::Lost));
        };
        match head.parts.front() {
            Some((stream, part)) => Ok(Next::Send(stream.clone(), part.clone())),
            None => self.acknowledge(),
        }
    }

    /// Notes what became of the part that [`Spool::proceed`] gave last. It is given again, unless it
    /// was taken or refused.
    pub fn settle(&mut self, outcome: &Outcome) {
        let Some(head) = &mut self.head else {
            return;
        };
        if matches!(outcome, Outcome::Later { .. } | Outcome::Stopped { .. }) {
            return;
        }
        let Some((_, part)) = head.parts.pop_front() else {
            return;
        };
        match outcome {
            Outcome::Taken { accepted, rejected } => {
                head.delivered.accepted += u64::from(*accepted);
                head.note_rejected(&part, rejected);
            }
            Outcome::Refused { reason } => head.note_refused(&part, reason),
            Outcome::Later { .. } | Outcome::Stopped { .. } => {}
        }
    }

    /// Refuses the part that [`Spool::proceed`] gave last, with the reason: it goes to the
    /// rejected records and is not sent any more. How many records it has.
    pub fn reject(&mut self, reason: &str) -> u32 {
        let Some(head) = &mut self.head else {
            return 0;
        };
        let Some((_, part)) = head.parts.pop_front() else {
            return 0;
        };
        head.keep_all(&part, reason);
        part.records
    }

    /// The first of the next parts that goes to another stream: to be sent before its turn, only
    /// to learn what the server says of that. It is sent again in its turn, under the same key.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub fn of_another_stream(&self, stream: &str) -> Result<Option<(Arc<str>, Part)>, SpoolError> {
        let Some(head) = &self.head else {
            return Ok(None);
        };
        let is_other = |(of, _): &&(Arc<str>, Part)| **of != *stream;
        if let Some(found) = head.parts.iter().find(is_other) {
            return Ok(Some(found.clone()));
        }
        for (number, _) in self.pending.iter().skip(1).take(BATCHES_LOOKED_AT) {
            match self.read_batch(*number) {
                Ok(batch) => {
                    if let Some(found) = batch.parts.iter().find(is_other) {
                        return Ok(Some(found.clone()));
                    }
                }
                // That is told in its turn.
                Err(error) if error.is_of_one_batch() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Forgets the head, of which nothing is left to send.
    fn acknowledge(&mut self) -> Result<Next, SpoolError> {
        let Some(head) = &self.head else {
            return Ok(Next::Nothing);
        };
        let (number, now) = (head.number, self.clock.now());
        let mut delivered = head.delivered.clone();
        if !head.rejected_lines.is_empty() {
            let place = Place::Rejected(number);
            self.sealed.replace(place, &head.rejected_lines, now)?;
            delivered.rejected_files_dropped =
                self.sealed.trim(Numbered::Rejected, REJECTED_BYTES_MAX)?;
        }
        let state = State {
            acknowledged: number,
            checkpoint: Some(head.checkpoint.clone()),
            ..self.state.clone()
        };
        let bytes = self.sealed.encode(Place::State, &state)?;
        self.sealed.replace(Place::State, &bytes, now)?;
        self.state = state;
        self.pending.pop_front();
        self.head = None;
        // A file that a crash leaves is older than the state says, and removed at the next start.
        self.sealed.remove(Place::Batch(number))?;
        Ok(Next::Delivered(delivered))
    }

    /// The records that the server would never take, oldest first: one JSON object a line, with
    /// `reason` and `record`.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub fn rejected(&self) -> Result<Vec<u8>, SpoolError> {
        let mut out = Vec::new();
        for (number, _) in self.sealed.rejected()? {
            out.extend(
                self.sealed
                    .read(Place::Rejected(number))?
                    .unwrap_or_default(),
            );
        }
        Ok(out)
    }
}

/// The state; `None` at the first start.
fn read_state(sealed: &SealedFiles) -> Result<Option<State>, SpoolError> {
    let path = || sealed.path(Place::State);
    match sealed.read(Place::State) {
        Ok(Some(bytes)) => {
            let state: State = sealed.decode(Place::State, &bytes)?;
            sealed.known(Place::State, state.version)?;
            Ok(Some(state))
        }
        // It is written before the first batch.
        Ok(None) if !sealed.batches()?.is_empty() => Err(SpoolError::State {
            path: path(),
            source: None,
        }),
        Ok(None) => Ok(None),
        Err(SpoolError::Damaged(source)) if !matches!(source, ReadError::Io { .. }) => {
            Err(SpoolError::State {
                path: path(),
                source: Some(source),
            })
        }
        Err(error) => Err(error),
    }
}

fn make_state(
    sealed: &SealedFiles,
    entropy: &Entropy,
    now: Timestamp,
) -> Result<State, SpoolError> {
    let mut random = [0; 16];
    entropy(&mut random);
    let state = State {
        version: VERSION,
        shipper: uuid::Builder::from_random_bytes(random).into_uuid(),
        acknowledged: 0,
        checkpoint: None,
    };
    let bytes = sealed.encode(Place::State, &state)?;
    sealed.replace(Place::State, &bytes, now)?;
    Ok(state)
}

impl Head {
    fn new(number: u64, batch: Batch) -> Head {
        Head {
            number,
            checkpoint: batch.header.checkpoint,
            persisted: batch.header.persisted,
            parts: batch.parts.into(),
            delivered: Delivered::default(),
            rejected_lines: Vec::new(),
        }
    }

    fn note_rejected(&mut self, part: &Part, rejected: &[Reject]) {
        if rejected.is_empty() {
            return;
        }
        let body = part.plain();
        let lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').collect();
        for reject in rejected {
            let reason = format!("{}: {}", reject.kind.name(), reject.detail);
            if let Some(line) = lines.get(reject.index as usize) {
                self.note(line, &reason);
            }
        }
    }

    fn note_refused(&mut self, part: &Part, reason: &str) {
        self.keep_all(part, reason);
        self.count(u64::from(part.records), reason);
    }

    fn note(&mut self, line: &[u8], reason: &str) {
        self.keep(line, reason);
        self.count(1, reason);
    }

    fn count(&mut self, records: u64, reason: &str) {
        self.delivered.rejected += records;
        let first = &mut self.delivered.first_reason;
        first.get_or_insert_with(|| reason.to_string());
    }

    fn keep_all(&mut self, part: &Part, reason: &str) {
        for line in part.plain().split(|byte| *byte == b'\n') {
            if !line.is_empty() {
                self.keep(line, reason);
            }
        }
    }

    fn keep(&mut self, line: &[u8], reason: &str) {
        let record = serde_json::from_slice(line)
            .and_then(|record| serde_json::to_vec(&RejectedRecord { reason, record }));
        // What this spool wrote is JSON; if it ever were not, the record is kept as it is.
        let shown = record.unwrap_or_else(|_| line.to_vec());
        self.rejected_lines.extend_from_slice(&shown);
        self.rejected_lines.push(b'\n');
    }
}

#[cfg(test)]
mod tests;
