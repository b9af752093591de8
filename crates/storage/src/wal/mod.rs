//! Write-ahead log: makes a batch durable before it is acknowledged.
//!
//! Invariants
//! - A group is acknowledged only after its sync returned, in a file whose name and header were
//!   durable before.
//! - Only its creator appends to a file. Every start, every failed write or sync and every
//!   rotation begins a new one, whose header says through which frame the files before it are
//!   valid: what follows there is void, whether it reached the disk or not.
//! - A failed sync is never repeated. The file is abandoned; positions and sequence numbers of the
//!   failed group are not used again.
//! - Sequence numbers ascend by one within a file, so a missing frame shows.
//!
//! One file is appended at a time. This gives up parallel writes and buys recovery that is a
//! single forward scan. Files are deleted, not recycled: it costs a journal commit more per
//! append on ext4 and saves every question about stale bytes. Format: docs/formats/wal.md.

mod columns;
mod file_header;
mod frame;
mod mark;
mod payload;
mod scan;

pub(crate) use file_header::{PREFIX_BYTES, other_version};
pub(crate) use frame::{FileIdentity, FrameKind};
pub(crate) use mark::{MARK_NAME, Mark};
pub(crate) use payload::Payload;
pub(crate) use scan::{LogFault, RecoveredLog, ScanBase, ScannedFrame, Taken, Torn, recover};

use crate::{
    container::{Entropy, ObjectId, STORE_TENANT},
    keys::{Keyring, KeyringError},
};
use file_header::{CHAIN_MAX, ChainEntry, FileHeader};
use frame::{FrameHeader, seal_frame};
use mark::MarkFile;
use std::{
    collections::{HashMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};
use taffrail_model::{
    files::{File, Files, is_no_space},
    position::{PartitionKey, Position},
    time::Timestamp,
};

/// Directory of the log within the data directory.
pub(crate) const WAL_DIRECTORY: &str = "wal";
/// Frames of one group hold a batch at the most, so a payload always fits 32 bits; this leaves
/// room for what compression and sealing add.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// Live files from which on the log takes no requests: each start, and each failure of the disk,
/// begins a file, so what is above is left to those and to the edits of flushes.
pub(crate) const FILES_OF_REQUESTS_MAX: usize = 900;

/// Name of a log file within the data directory.
pub(crate) fn file_name(number: u64) -> String {
    format!("{WAL_DIRECTORY}/{number:016x}.wal")
}

/// Number of a log file by its name.
fn file_number(name: &str) -> Option<u64> {
    let hex = name.strip_suffix(".wal")?;
    (hex.len() == 16)
        .then(|| u64::from_str_radix(hex, 16).ok())
        .flatten()
}

/// Why a group is not durable.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WalError {
    /// A new log file could not be made.
    #[error("cannot begin a log file")]
    Begin(#[source] Arc<io::Error>),
    /// The group could not be written.
    #[error("cannot write to the log")]
    Append(#[source] Arc<io::Error>),
    /// The group could not be made durable.
    #[error("cannot sync the log")]
    Sync(#[source] Arc<io::Error>),
    /// There is no data key to seal it under.
    #[error("cannot get a data key")]
    Keyring(#[source] Arc<KeyringError>),
    /// The log has too many files that cannot be dropped yet.
    #[error("the log has too many files that are still needed")]
    TooManyFiles,
    /// There is no file to write to.
    #[error("the log has no file that is written")]
    NoFile,
}

impl WalError {
    /// Whether there was no room on the disk.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        let source = match self {
            WalError::Begin(source) | WalError::Append(source) | WalError::Sync(source) => source,
            WalError::Keyring(error) => match &**error {
                KeyringError::Io { source, .. } => return is_no_space(source),
                _ => return false,
            },
            WalError::TooManyFiles | WalError::NoFile => return false,
        };
        is_no_space(source)
    }
}

/// A frame to write.
#[derive(Clone, Debug)]
pub(crate) struct NewFrame {
    pub(crate) kind: FrameKind,
    pub(crate) request: u64,
    pub(crate) part: u32,
    pub(crate) parts: u32,
    pub(crate) partition: PartitionKey,
    pub(crate) rows: u32,
    pub(crate) first_position: Position,
    /// What is sealed.
    pub(crate) plain: Vec<u8>,
}

impl NewFrame {
    /// A frame that holds no rows.
    pub(crate) fn without_rows(kind: FrameKind, plain: Vec<u8>) -> NewFrame {
        NewFrame {
            kind,
            request: 0,
            part: 0,
            parts: 1,
            partition: NO_PARTITION,
            rows: 0,
            first_position: Position::ZERO,
            plain,
        }
    }
}

const NO_PARTITION: PartitionKey = PartitionKey {
    tenant: STORE_TENANT,
    stream: taffrail_model::stream::StreamNumber(0),
    day: taffrail_model::time::Day(0),
};

/// A file of the log that is needed.
#[derive(Clone, Debug)]
pub(crate) struct LiveFile {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
    pub(crate) first_sequence: u64,
    /// The last durable frame; below `first_sequence` if there is none.
    pub(crate) last_sequence: u64,
    pub(crate) first_position: Position,
    pub(crate) last_position: Position,
    /// For each partition, its highest position in the file.
    pub(crate) pins: HashMap<PartitionKey, Position>,
}

impl LiveFile {
    fn has_frames(&self) -> bool {
        self.last_sequence >= self.first_sequence
    }

    /// Whether some row of the file is in no segment yet.
    pub(crate) fn has_unflushed(
        &self,
        flushed_through: &dyn Fn(&PartitionKey) -> Position,
    ) -> bool {
        let is_unflushed = |(key, last): (&PartitionKey, &Position)| *last > flushed_through(key);
        self.pins.iter().any(is_unflushed)
    }
}

/// What a log begins with after recovery.
pub(crate) struct WalStart {
    pub(crate) live: VecDeque<LiveFile>,
    pub(crate) next_number: u64,
    pub(crate) next_sequence: u64,
    pub(crate) next_position: Position,
    /// Frames that were found above what is known to be durable.
    pub(crate) relogged: Vec<NewFrame>,
    /// The newest manifest snapshot.
    pub(crate) generation: u64,
}

/// Surroundings of a log.
#[derive(Clone)]
pub(crate) struct WalOptions {
    /// The data directory.
    pub(crate) root: PathBuf,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) keys: Arc<Keyring>,
    pub(crate) entropy: Entropy,
    /// Bytes from which on a file is followed by the next.
    pub(crate) file_bytes_max: u64,
}

/// What can be known of the log while it is being written: its lock is held through syncs.
#[derive(Default)]
pub(crate) struct WalFigures {
    pub(crate) files: AtomicUsize,
    pub(crate) bytes: AtomicU64,
    /// Marks that could not be written.
    pub(crate) mark_failures: AtomicU64,
}

/// The log, as its one writer has it.
pub(crate) struct Wal {
    options: WalOptions,
    /// Oldest first; the last one is appended if `current` is there.
    live: VecDeque<LiveFile>,
    current: Option<Current>,
    /// Files that hold nothing valid, to be removed when the next file is durable.
    void: Vec<u64>,
    /// Whether the directory could not be synced after a removal.
    is_removal_doubtful: bool,
    /// Frames that recovery found above the watermark and that the next file begins with.
    pending: Vec<NewFrame>,
    /// Whether a file was begun since the start.
    has_begun: bool,
    next_number: u64,
    next_sequence: u64,
    next_position: Position,
    next_request: u64,
    durable_sequence: u64,
    durable_position: Position,
    /// The durable sequence that the last frame carries.
    announced_sequence: u64,
    buffer: Vec<u8>,
    mark: MarkFile,
    /// The newest manifest snapshot, for the mark.
    generation: u64,
    figures: Arc<WalFigures>,
}

struct Current {
    file: Arc<dyn File>,
    identity: FileIdentity,
}

impl Wal {
    /// Begins a file after recovery. Frames above the known watermark are written again: their
    /// bytes may be in the page cache only, and a sync that failed before the restart would not
    /// fail again. Without room on the disk the log begins all the same, and refuses until there
    /// is some: the error is the reason.
    pub(crate) fn start(
        options: WalOptions,
        start: WalStart,
        now: Timestamp,
    ) -> Result<(Wal, Option<WalError>), WalError> {
        let durable = start.next_sequence.saturating_sub(1);
        let mark = MarkFile::new(
            options.files.clone(),
            &options.root,
            options.entropy.clone(),
        );
        let mut wal = Wal {
            options,
            mark,
            generation: start.generation,
            live: start.live,
            current: None,
            void: Vec::new(),
            is_removal_doubtful: false,
            pending: start.relogged,
            has_begun: false,
            next_number: start.next_number,
            next_sequence: start.next_sequence,
            next_position: start.next_position,
            next_request: start.next_sequence,
            durable_sequence: durable,
            durable_position: Position(start.next_position.0.saturating_sub(1)),
            announced_sequence: durable,
            buffer: Vec::new(),
            figures: Arc::default(),
        };
        let begun = wal.begin_file(now);
        wal.publish_figures();
        match begun {
            Ok(()) => Ok((wal, None)),
            Err(error) if error.is_no_space() => Ok((wal, Some(error))),
            Err(error) => Err(error),
        }
    }

    /// Whether every frame that was replayed is known to be durable. Before that nothing may be
    /// covered by a manifest snapshot, and no file of an earlier life removed.
    pub(crate) fn is_settled(&self) -> bool {
        self.has_begun
    }

    pub(crate) fn durable_sequence(&self) -> u64 {
        self.durable_sequence
    }

    pub(crate) fn next_position(&self) -> Position {
        self.next_position
    }

    /// Takes positions for a group; they are used or void, never given again.
    pub(crate) fn take_positions(&mut self, rows: u64) -> Option<Position> {
        let first = self.next_position;
        let next = first.0.checked_add(rows)?;
        if next > Position::MAX.0 {
            return None;
        }
        self.next_position = Position(next);
        Some(first)
    }

    pub(crate) fn take_request(&mut self) -> u64 {
        self.next_request += 1;
        self.next_request
    }

    pub(crate) fn live(&self) -> &VecDeque<LiveFile> {
        &self.live
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.live.iter().map(|file| file.bytes).sum()
    }

    pub(crate) fn figures(&self) -> &Arc<WalFigures> {
        &self.figures
    }

    fn publish_figures(&self) {
        self.figures.files.store(self.live.len(), Ordering::Relaxed);
        self.figures.bytes.store(self.bytes(), Ordering::Relaxed);
    }

    /// Number of the file that is appended, or of the last one that was.
    pub(crate) fn current_number(&self) -> u64 {
        self.live.back().map_or(0, |file| file.number)
    }

    /// Begins a new file where the last one was abandoned. Fails as long as the disk does.
    pub(crate) fn make_writable(&mut self, now: Timestamp) -> Result<(), WalError> {
        let is_full = self.current.is_none()
            || self
                .live
                .back()
                .is_none_or(|file| file.bytes >= self.options.file_bytes_max);
        if is_full {
            // The next header voids what follows in this file, so nothing may follow from here
            // on, even if making the next file fails half way.
            self.abandon();
            self.begin_file(now)?;
        }
        Ok(())
    }

    /// Writes frames with one sync. After an error nothing of them will ever be valid.
    pub(crate) fn write_group(
        &mut self,
        frames: Vec<NewFrame>,
        now: Timestamp,
    ) -> Result<(), WalError> {
        let result = self.write_and_sync(frames, now);
        self.publish_figures();
        result
    }

    fn write_and_sync(&mut self, frames: Vec<NewFrame>, now: Timestamp) -> Result<(), WalError> {
        self.make_writable(now)?;
        let written = self.append(&frames, now)?;
        let current = self.current.as_ref().ok_or(WalError::NoFile)?;
        if let Err(error) = current.file.sync() {
            self.abandon();
            return Err(WalError::Sync(Arc::new(error)));
        }
        self.durable_sequence = written;
        self.account(&frames, written);
        Ok(())
    }

    /// Repeats the watermark in a frame of its own, so that damage of the last group shows as
    /// such. It needs no sync: lost, it leaves what was there before.
    pub(crate) fn write_watermark(&mut self, now: Timestamp) -> Result<(), WalError> {
        if self.current.is_none() || self.announced_sequence == self.durable_sequence {
            return Ok(());
        }
        let frame = NewFrame::without_rows(FrameKind::Watermark, Vec::new());
        let appended = self.append(&[frame], now);
        self.publish_figures();
        appended?;
        self.write_mark(now);
        Ok(())
    }

    /// Writes the mark, without a sync. An old mark says less, never anything wrong: a failure is
    /// counted, and the next one is written anew.
    fn write_mark(&mut self, now: Timestamp) {
        if self.try_write_mark(now).is_err() {
            self.figures.mark_failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn try_write_mark(&mut self, now: Timestamp) -> io::Result<()> {
        let mark = Mark {
            count: 0,
            sequence: self.durable_sequence,
            next_position: self.next_position,
            newest_number: self.current_number(),
            generation: self.generation,
        };
        let key = self.options.keys.sealing_key(STORE_TENANT, now);
        self.mark.write(mark, &key.map_err(io::Error::other)?)
    }

    /// Notes a manifest snapshot that is durable.
    pub(crate) fn note_generation(&mut self, generation: u64, now: Timestamp) {
        self.generation = generation;
        self.write_mark(now);
    }

    /// Makes the last watermark durable.
    pub(crate) fn sync(&mut self) -> Result<(), WalError> {
        if let Some(current) = &self.current
            && let Err(error) = current.file.sync()
        {
            self.abandon();
            return Err(WalError::Sync(Arc::new(error)));
        }
        Ok(())
    }

    /// Removes the oldest files that nothing needs; returns how many.
    pub(crate) fn drop_unneeded(
        &mut self,
        covered_sequence: u64,
        flushed_through: &dyn Fn(&PartitionKey) -> Position,
    ) -> io::Result<usize> {
        let mut dropped = 0;
        while self.live.len() > 1
            && let Some(oldest) = self.live.front()
            && oldest.last_sequence <= covered_sequence
            && !oldest.has_unflushed(flushed_through)
        {
            self.remove(oldest.number)?;
            self.live.pop_front();
            self.publish_figures();
            dropped += 1;
        }
        if dropped > 0 {
            let directory = self.options.root.join(WAL_DIRECTORY);
            let synced = self.options.files.sync_directory(&directory);
            self.is_removal_doubtful |= synced.is_err();
            synced?;
        }
        Ok(dropped)
    }

    /// Whether a dropped file may come back with the next start: then nothing that passes over
    /// its rows may be forgotten.
    pub(crate) fn is_removal_doubtful(&self) -> bool {
        self.is_removal_doubtful
    }

    fn remove(&self, number: u64) -> io::Result<()> {
        let path = self.options.root.join(file_name(number));
        match self.options.files.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Appends frames without a sync; returns the last sequence number.
    fn append(&mut self, frames: &[NewFrame], now: Timestamp) -> Result<u64, WalError> {
        let current = self.current.as_ref().ok_or(WalError::NoFile)?;
        let offset = self.live.back().map_or(0, |file| file.bytes);
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let sealed = self.seal(frames, &current.identity, offset, now, &mut buffer);
        if sealed.is_ok() {
            self.next_sequence += frames.len() as u64;
        }
        let written = sealed.and_then(|()| {
            let append = current.file.append(&buffer);
            append.map_err(|error| WalError::Append(Arc::new(error)))
        });
        let bytes = buffer.len() as u64;
        // A group of one large batch must not pin its memory for ever.
        buffer.shrink_to(4 << 20);
        self.buffer = buffer;
        match written {
            Ok(_) => {
                self.announced_sequence = self.durable_sequence;
                if let Some(file) = self.live.back_mut() {
                    file.bytes += bytes;
                }
                Ok(self.next_sequence - 1)
            }
            // Without a key nothing was written, so the file is as it was.
            Err(error @ WalError::Keyring(_)) => Err(error),
            Err(error) => {
                self.abandon();
                Err(error)
            }
        }
    }

    fn seal(
        &self,
        frames: &[NewFrame],
        identity: &FileIdentity,
        offset: u64,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Result<(), WalError> {
        let start = out.len();
        for (sequence, frame) in (self.next_sequence..).zip(frames) {
            let header = FrameHeader {
                kind: frame.kind,
                sealed_bytes: 0,
                sequence,
                durable_sequence: self.durable_sequence,
                durable_position: self.durable_position,
                request: frame.request,
                part: frame.part,
                parts: frame.parts,
                partition: frame.partition,
                rows: frame.rows,
                // Frames without rows say where the rows that follow begin.
                first_position: match frame.rows {
                    0 => self.next_position,
                    _ => frame.first_position,
                },
            };
            let key = self
                .options
                .keys
                .sealing_key(frame.partition.tenant, now)
                .map_err(|error| WalError::Keyring(Arc::new(error)))?;
            let at = offset + (out.len() - start) as u64;
            seal_frame(header, &frame.plain, &key, identity, at, out);
        }
        Ok(())
    }

    /// Notes frames that are durable.
    fn account(&mut self, frames: &[NewFrame], last_sequence: u64) {
        let Some(file) = self.live.back_mut() else {
            return;
        };
        file.last_sequence = last_sequence;
        for frame in frames.iter().filter(|frame| frame.rows > 0) {
            let last = Position(frame.first_position.0 + u64::from(frame.rows) - 1);
            let pin = file.pins.entry(frame.partition).or_default();
            *pin = last.max(*pin);
            file.last_position = last.max(file.last_position);
            self.durable_position = last.max(self.durable_position);
        }
    }

    fn abandon(&mut self) {
        if self.current.take().is_some()
            && let Some(file) = self.live.pop_back_if(|file| !file.has_frames())
        {
            self.void.push(file.number);
        }
    }

    /// Makes the next file, with the pending frames in it, durable under its name.
    fn begin_file(&mut self, now: Timestamp) -> Result<(), WalError> {
        if self.live.len() >= CHAIN_MAX {
            return Err(WalError::TooManyFiles);
        }
        let number = self.next_number;
        self.next_number += 1;
        let mut identity = FileIdentity {
            object: ObjectId([0; 16]),
            salt: [0; 24],
        };
        (self.options.entropy)(&mut identity.object.0);
        (self.options.entropy)(&mut identity.salt);
        let mut salt = [0; 32];
        (self.options.entropy)(&mut salt);
        let first_row = self.pending.iter().find(|frame| frame.rows > 0);
        let first_position = first_row.map_or(self.next_position, |frame| frame.first_position);
        let header = FileHeader {
            number,
            identity,
            first_sequence: self.next_sequence,
            first_position,
            next_position: self.next_position,
            chain: self.live.iter().map(chain_entry).collect(),
        };
        let key = self
            .options
            .keys
            .sealing_key(STORE_TENANT, now)
            .map_err(|error| WalError::Keyring(Arc::new(error)))?;
        let mut bytes = header.encode(&key, salt);
        let frames_offset = bytes.len() as u64;
        self.seal(&self.pending, &identity, frames_offset, now, &mut bytes)?;
        let path = self.options.root.join(file_name(number));
        let file = self
            .create(number, &path, &bytes)
            .map_err(|error| WalError::Begin(Arc::new(error)))?;
        self.live.push_back(LiveFile {
            number,
            bytes: bytes.len() as u64,
            first_sequence: self.next_sequence,
            last_sequence: self.next_sequence - 1,
            first_position,
            last_position: Position::ZERO,
            pins: HashMap::new(),
        });
        self.current = Some(Current { file, identity });
        self.has_begun = true;
        let frames = std::mem::take(&mut self.pending);
        if !frames.is_empty() {
            self.next_sequence += frames.len() as u64;
            self.durable_sequence = self.next_sequence - 1;
            self.account(&frames, self.durable_sequence);
        }
        // What cannot be removed now is tried again with the next file, and at the next start.
        let mut void = std::mem::take(&mut self.void);
        void.retain(|number| self.remove(*number).is_err());
        self.void = void;
        Ok(())
    }

    fn create(&mut self, number: u64, path: &Path, bytes: &[u8]) -> io::Result<Arc<dyn File>> {
        let files = self.options.files.clone();
        let temporary = path.with_extension("new");
        let write = || {
            // A start that was interrupted may have left one.
            match files.remove(&temporary) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let file = files.create(&temporary)?;
            file.append(bytes)?;
            file.sync()?;
            Ok(file)
        };
        let file = write().inspect_err(|_: &io::Error| {
            // The fault that is reported is the first one; a leftover is removed at the start.
            let _ = files.remove(&temporary);
        })?;
        let directory = self.options.root.join(WAL_DIRECTORY);
        let named = files.rename(&temporary, path);
        if let Err(error) = named.and_then(|()| files.sync_directory(&directory)) {
            // A file of this number may be there from here on.
            self.void.push(number);
            return Err(error);
        }
        Ok(file)
    }
}

fn chain_entry(file: &LiveFile) -> ChainEntry {
    ChainEntry {
        number: file.number,
        first_sequence: file.first_sequence,
        last_sequence: file.last_sequence,
        first_position: file.first_position,
        last_position: file.last_position,
    }
}
