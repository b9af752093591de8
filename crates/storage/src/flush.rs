//! Flush: tails become a bundle of sections, and the log is dropped behind them.
//!
//! Invariants
//! - Rows stay readable in the tail until the edit that lists their section is durable; then both
//!   change places in one published state.
//! - A bundle is durable under its name before its edit is written.
//! - A failed flush changes nothing: its rows are taken by the next one. Its file may be listed by
//!   an edit that reached the disk all the same, so it is removed only after a later edit
//!   succeeded, in a log file that voids the failed one.
//! - A partition that cannot be encoded is left out of a flush, is named in the status, and is tried
//!   again later: it does not hold up the others.
//! - The log stays within twice the bound of the tails, and within a number of files: where it
//!   grows past either, the tails that pin its oldest files are flushed, however small they are.
use crate::{
    bundle::{FAN_OUT, SEGMENTS_DIRECTORY, bundle_name, fan_out_directory, section_object},
    container::{self, Binding, ObjectId, STORE_TENANT},
    durable,
    manifest::{
        BundleMeta, Edit, MANIFEST_DIRECTORY, ManifestSnapshot, SectionMeta, snapshot_name,
    },
    partition::ColumnUnion,
    read::{Extent, RowSource},
    segment::{EncodeError, encode_chunks},
    store_core::{
        Maintenance, MaintenanceError, State, StoreCore, Unencodable, count, rows_first_number,
    },
    tail::TailChunk,
    wal::FILES_OF_REQUESTS_MAX,
};
use std::{collections::BTreeSet, io, path::Path, sync::Arc, sync::atomic::Ordering};
use taffrail_model::{
    files::{File, is_no_space},
    limits::{SEGMENT_ROWS_MAX, TAIL_ROWS_MAX},
    position::{PartitionKey, Position},
    time::{NS_PER_S, Timestamp},
};

/// How long a partition that could not be encoded is not tried, in seconds: encoding it costs much,
/// and only a failure of the compressor can pass.
const UNENCODABLE_RETRY_S: i64 = 60;

/// What a flush wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushReport {
    /// Rows that are in a segment now.
    pub rows: u64,
    /// Sections that were written.
    pub sections: usize,
    /// Bytes of the file.
    pub bytes: u64,
    /// Partitions that could not be encoded; [`crate::store_core::StoreStatus`] says why.
    pub left_out: usize,
}

/// Files of the log that need not be full: a start reads their headers, some 10 ms.
const FILES_LONG: usize = 32;

type Frozen = Vec<(PartitionKey, Vec<Arc<TailChunk>>)>;
type LeftOut = Vec<(PartitionKey, EncodeError)>;

pub(crate) fn failed(action: &'static str) -> impl Fn(io::Error) -> MaintenanceError {
    move |source| MaintenanceError::Io { action, source }
}

impl StoreCore {
    /// Flushes every tail.
    ///
    /// # Errors
    /// [`MaintenanceError`].
    pub fn flush(&self) -> Result<FlushReport, MaintenanceError> {
        let keys = self.state.lock().unflushed.iter().copied().collect();
        self.flush_partitions(keys)
    }

    /// Whether [`StoreCore::maintain`] would flush.
    #[must_use]
    pub fn is_flush_due(&self) -> bool {
        !self.due_partitions().is_empty()
    }

    /// Does what is due, once: flushes tails, writes a manifest snapshot where it lets the log
    /// shrink, drops log files and segment files that nothing needs.
    ///
    /// # Errors
    /// [`MaintenanceError`]; what was due still is.
    pub fn maintain(&self) -> Result<(), MaintenanceError> {
        self.maintain_with(false)
    }

    /// The same with retention. What frees room comes first, and no step waits for the success of
    /// another: on a full disk a flush fails, and only what the others free lets it succeed.
    ///
    /// # Errors
    /// [`MaintenanceError`] of the first step that failed; what was due still is.
    pub fn retain_and_maintain(&self) -> Result<(), MaintenanceError> {
        self.maintain_with(true)
    }

    fn maintain_with(&self, is_retention_due: bool) -> Result<(), MaintenanceError> {
        let freed = self.collect_garbage().map(|_| ());
        let retained = if is_retention_due {
            self.retain_and_collect()
        } else {
            Ok(())
        };
        let due = self.due_partitions();
        let flushed = if due.is_empty() {
            Ok(())
        } else {
            self.flush_partitions(due).map(|_| ())
        };
        let written = if self.is_manifest_snapshot_due() {
            self.snapshot_manifest()
        } else {
            Ok(())
        };
        let collected = self.collect_garbage().map(|_| ());
        freed.and(retained).and(flushed).and(written).and(collected)
    }

    fn retain_and_collect(&self) -> Result<(), MaintenanceError> {
        if !self.retain()?.partitions.is_empty() {
            self.collect_garbage()?;
            self.drop_log(&self.maintenance.lock())?;
        }
        Ok(())
    }

    /// Removes segment files that nothing reads any more; returns how many.
    ///
    /// # Errors
    /// [`MaintenanceError`].
    pub fn collect_garbage(&self) -> Result<usize, MaintenanceError> {
        self.bundle_files
            .collect_garbage()
            .map_err(failed("remove a segment file"))
    }

    /// The partitions that must be flushed now.
    fn due_partitions(&self) -> BTreeSet<PartitionKey> {
        let bound = self.options.tails_bytes_max;
        let tails_bytes = self.tails_bytes.load(Ordering::Acquire);
        let is_room_wanted = self.is_room_wanted.load(Ordering::Acquire);
        let log = self.log.lock();
        let state = self.state.lock();
        let now = self.clock.now();
        let is_tried = |key: &PartitionKey| {
            let unencodable = state.unencodable.get(key);
            unencodable.is_none_or(|unencodable| unencodable.retried_from <= now)
        };
        if state.unflushed.is_empty() {
            // Whoever wanted room has it, or waits for what no flush can give.
            self.is_room_wanted.store(false, Ordering::Release);
        }
        let filled = || {
            let unflushed = state.unflushed.iter().filter(|key| is_tried(key));
            unflushed.filter_map(|key| Some((key, state.partitions.get(key)?)))
        };
        let mut due: BTreeSet<_> = filled()
            .filter(|(_, partition)| partition.unflushed_rows() >= TAIL_ROWS_MAX)
            .map(|(key, _)| *key)
            .collect();
        if is_room_wanted && tails_bytes < bound / 2 {
            // One request is larger than what would be left.
            due.extend(filled().map(|(key, _)| *key));
        } else if tails_bytes >= bound / 2 {
            // Half of the bound is flushed while the other half fills. The largest go first.
            let mut by_bytes: Vec<_> = filled()
                .map(|(key, partition)| (partition.unflushed_bytes(), *key))
                .collect();
            by_bytes.sort_unstable_by(|a, b| b.cmp(a));
            let mut left = tails_bytes;
            for (bytes, key) in by_bytes {
                if left <= bound / 8 {
                    break;
                }
                left = left.saturating_sub(bytes);
                due.insert(key);
            }
        }
        let files_long = self.wal_files_long();
        let is_log_long = log.wal.bytes() > bound as u64 || log.wal.live().len() > files_long;
        if is_log_long || !due.is_empty() {
            // Until the rest of the log is short, what pins its oldest files goes too.
            let mut left = log.wal.bytes();
            let mut files_left = log.wal.live().len();
            let flushed_through = |key: &PartitionKey| state.manifest.flushed_through(key);
            for file in log.wal.live() {
                if left <= bound as u64 / 2 && files_left <= files_long / 2 {
                    break;
                }
                left = left.saturating_sub(file.bytes);
                files_left -= 1;
                let pinned = file.pins.iter();
                due.extend(
                    pinned
                        .filter(|(key, last)| **last > flushed_through(key))
                        .map(|(key, _)| *key),
                );
            }
        }
        due.retain(|key| state.unflushed.contains(key) && is_tried(key));
        due
    }

    pub(crate) fn flush_partitions(
        &self,
        keys: BTreeSet<PartitionKey>,
    ) -> Result<FlushReport, MaintenanceError> {
        let mut maintenance = self.maintenance.lock();
        let mut frozen: Frozen = {
            let mut state = self.state.lock();
            keys.iter()
                .filter_map(|key| Some((*key, state.partitions.get_mut(key)?.freeze())))
                .filter(|(_, chunks)| !chunks.is_empty())
                .collect()
        };
        if frozen.is_empty() {
            self.is_room_wanted.store(false, Ordering::Release);
            return Ok(FlushReport::default());
        }
        let result = self.flush_frozen(&mut maintenance, &mut frozen);
        match &result {
            Ok(report) => {
                count(&self.counters.flushes, u64::from(report.sections > 0));
                count(
                    &self.counters.flush_failures,
                    u64::from(report.left_out > 0),
                );
                count(&self.counters.segment_bytes, report.bytes);
                self.is_room_wanted.store(false, Ordering::Release);
                self.drop_log(&maintenance)?;
            }
            Err(_) => count(&self.counters.flush_failures, 1),
        }
        result
    }

    fn flush_frozen(
        &self,
        maintenance: &mut Maintenance,
        frozen: &mut Frozen,
    ) -> Result<FlushReport, MaintenanceError> {
        let number = maintenance.take_bundle_number();
        let (bundle, left_out) = self.write_bundle(maintenance, number, frozen)?;
        let left_out = self.leave_out(left_out, frozen);
        let report = FlushReport {
            rows: bundle
                .sections
                .iter()
                .map(|section| u64::from(section.extent.rows))
                .sum(),
            sections: bundle.sections.len(),
            bytes: bundle.bytes,
            left_out,
        };
        if bundle.sections.is_empty() {
            return Ok(report);
        }
        let frozen = &*frozen;
        let edit = Edit {
            flushed_through: frozen
                .iter()
                .map(|(key, chunks)| (*key, last_position(chunks)))
                .collect(),
            add: vec![bundle.clone()],
            ..Edit::default()
        };
        let committed = self.commit_edit(edit, |core, state| core.swap_in(state, &bundle, frozen));
        if let Err(error) = committed {
            maintenance.orphans.push(number);
            return Err(error);
        }
        self.remove_orphans(maintenance);
        Ok(report)
    }

    /// Notes the partitions that could not be encoded and takes them out of the flush; how many.
    fn leave_out(&self, left_out: LeftOut, frozen: &mut Frozen) -> usize {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let count = left_out.len();
        for (key, error) in left_out {
            frozen.retain(|(frozen_key, _)| *frozen_key != key);
            let unencodable = Unencodable {
                detail: error.to_string(),
                retried_from: Timestamp(now.0 + UNENCODABLE_RETRY_S * NS_PER_S),
            };
            state.unencodable.insert(key, unencodable);
        }
        count
    }

    /// Sections take the place of the chunks that they were made from.
    fn swap_in(
        &self,
        state: &mut State,
        bundle: &BundleMeta,
        frozen: &Frozen,
    ) -> Vec<PartitionKey> {
        self.serve_bundle(state, bundle, bundle.bytes);
        let mut bytes = 0;
        for (key, _) in frozen {
            if let Some(partition) = state.partitions.get_mut(key) {
                bytes += partition.drop_frozen();
            }
        }
        self.grow_tails(-(bytes as i64));
        let keys: Vec<_> = frozen.iter().map(|(key, _)| *key).collect();
        self.compaction.call_flushed(&keys, self.clock.now());
        keys
    }

    /// Writes a bundle and makes it durable under its name; a bundle without sections leaves no
    /// file.
    fn write_bundle(
        &self,
        maintenance: &mut Maintenance,
        number: u64,
        frozen: &Frozen,
    ) -> Result<(BundleMeta, LeftOut), MaintenanceError> {
        self.make_fan_out(maintenance, number)
            .map_err(failed("make a directory for segments"))?;
        let path = self.options.directory.join(bundle_name(number));
        let temporary = path.with_extension("new");
        let written = self.write_sections(number, &temporary, frozen);
        let written = written.and_then(|(bundle, left_out)| {
            if bundle.sections.is_empty() {
                self.files
                    .remove(&temporary)
                    .map_err(failed("remove a segment file"))?;
                return Ok((bundle, left_out));
            }
            self.name_bundle(&temporary, &path)?;
            Ok((bundle, left_out))
        });
        written.inspect_err(|_| {
            // The fault that is reported is the first one; leftovers are removed at the start.
            let _ = self.files.remove(&temporary);
            let _ = self.files.remove(&path);
        })
    }

    /// Gives a written and synced file its name, durably.
    pub(crate) fn name_bundle(
        &self,
        temporary: &Path,
        path: &Path,
    ) -> Result<(), MaintenanceError> {
        self.files
            .rename(temporary, path)
            .map_err(failed("name a segment file"))?;
        let directory = path.parent().unwrap_or(Path::new("."));
        self.files
            .sync_directory(directory)
            .map_err(failed("make the name of a segment file durable"))
    }

    pub(crate) fn make_fan_out(
        &self,
        maintenance: &mut Maintenance,
        number: u64,
    ) -> io::Result<()> {
        let name = fan_out_directory(number);
        if !maintenance.directories.contains(&name) {
            let parent = self.options.directory.join(SEGMENTS_DIRECTORY);
            self.files.make_directory(&parent.join(&name))?;
            if let Err(error) = self.files.sync_directory(&parent) {
                maintenance.doubtful_directories.insert(name);
                return Err(error);
            }
            maintenance.directories.insert(name);
        }
        Ok(())
    }

    fn write_sections(
        &self,
        number: u64,
        temporary: &Path,
        frozen: &Frozen,
    ) -> Result<(BundleMeta, LeftOut), MaintenanceError> {
        let file = self
            .files
            .create(temporary)
            .map_err(failed("create a segment file"))?;
        let mut object = ObjectId([0; 16]);
        (self.options.entropy)(&mut object.0);
        let mut bundle = BundleMeta {
            number,
            object,
            bytes: 0,
            sections: Vec::new(),
        };
        let mut left_out = Vec::new();
        for (key, chunks) in frozen {
            // All of a partition or nothing: what is flushed through is one position.
            match encode_sections(chunks) {
                Ok(sections) => {
                    for (extent, plain) in sections {
                        self.write_section(&*file, &mut bundle, *key, extent, plain)?;
                    }
                }
                Err(error) => left_out.push((*key, error)),
            }
        }
        file.sync().map_err(failed("sync a segment file"))?;
        Ok((bundle, left_out))
    }

    pub(crate) fn write_section(
        &self,
        file: &dyn File,
        bundle: &mut BundleMeta,
        key: PartitionKey,
        extent: Extent,
        plain: Vec<u8>,
    ) -> Result<(), MaintenanceError> {
        let index = bundle.sections.len() as u32;
        let binding = Binding {
            object: section_object(bundle.object, index),
            tenant: key.tenant,
            context: &[],
        };
        let data_key = self
            .keys
            .sealing_key(key.tenant, self.clock.now())
            .map_err(MaintenanceError::Keyring)?;
        let mut salt = [0; 32];
        (self.options.entropy)(&mut salt);
        let mut sealed = Vec::new();
        container::seal(&data_key, salt, &binding, &plain, &mut sealed);
        drop(plain);
        file.append(&sealed)
            .map_err(failed("write a segment file"))?;
        bundle.sections.push(SectionMeta {
            key,
            index,
            offset: bundle.bytes,
            bytes: sealed.len() as u64,
            extent,
            applied: 0,
            rules: 0,
        });
        bundle.bytes += sealed.len() as u64;
        Ok(())
    }

    /// Removes bundles whose edit is void now. What cannot be removed goes at the next start.
    pub(crate) fn remove_orphans(&self, maintenance: &mut Maintenance) {
        for number in std::mem::take(&mut maintenance.orphans) {
            let _ = self
                .files
                .remove(&self.options.directory.join(bundle_name(number)));
        }
    }

    /// Drops log files that neither a tail nor the older manifest snapshot needs.
    fn drop_log(&self, maintenance: &Maintenance) -> Result<usize, MaintenanceError> {
        let covered = match &maintenance.generations[..] {
            // With one snapshot alone, the state before it is none, and needs the whole log.
            [] | [_] => 0,
            [.., (_, covered), _] => *covered,
        };
        let mut log = self.log.lock();
        let manifest = self.state.lock().manifest.clone();
        log.wal
            .drop_unneeded(covered, &|key| manifest.flushed_through(key))
            .map_err(failed("drop a log file"))
    }

    /// Whether a manifest snapshot is worth its bytes: it lets the log shrink.
    fn is_manifest_snapshot_due(&self) -> bool {
        let maintenance = self.maintenance.lock();
        let written = self.counters.wal_bytes.load(Ordering::Relaxed);
        let since = written.saturating_sub(maintenance.wal_bytes_at_snapshot);
        let (bytes, files) = {
            let log = self.log.lock();
            (log.wal.bytes(), log.wal.live().len())
        };
        // Never more bytes of snapshots than of log; and none while the log has one file.
        let is_worth = since >= self.wal_file_bytes_max().max(maintenance.snapshot_bytes);
        let is_log_long =
            bytes > self.options.tails_bytes_max as u64 || files > self.wal_files_long();
        files > 1 && (is_worth || is_log_long && since > 0)
    }

    /// Files from which on the log is long, whatever their bytes: every start begins one, and a
    /// store with few rows is started often before it has enough of them for a flush. A log that
    /// is within its bytes has no more than the second part, of full ones.
    fn wal_files_long(&self) -> usize {
        let full = self.options.tails_bytes_max as u64 / self.wal_file_bytes_max();
        (FILES_LONG + full as usize).min(FILES_OF_REQUESTS_MAX / 2)
    }

    /// Bytes from which on a log file is followed by the next: an eighth of the tails' bound, so
    /// that what pins a file is small, within bounds that keep the number of files reasonable.
    pub(crate) fn wal_file_bytes_max(&self) -> u64 {
        wal_file_bytes_max(self.options.tails_bytes_max)
    }

    /// Writes a manifest snapshot, keeps two generations, and drops the log behind them.
    ///
    /// # Errors
    /// [`MaintenanceError`].
    pub fn snapshot_manifest(&self) -> Result<(), MaintenanceError> {
        let mut maintenance = self.maintenance.lock();
        let mut snapshot = self.cut_snapshot(&mut maintenance)?;
        snapshot.previous_generation = maintenance.generations.last().map_or(0, |last| last.0);
        let generation = maintenance.next_generation;
        maintenance.next_generation += 1;
        let key = self
            .keys
            .sealing_key(STORE_TENANT, self.clock.now())
            .map_err(MaintenanceError::Keyring)?;
        let mut salt = [0; 32];
        (self.options.entropy)(&mut salt);
        let directory = self.options.directory.join(MANIFEST_DIRECTORY);
        let path = directory.join(snapshot_name(generation));
        let bytes = durable::replace_with(&*self.files, &path, |file| {
            let append = &mut |bytes: &[u8]| file.append(bytes).map(|_| ());
            snapshot.write(generation, &key, salt, append)
        })
        .map_err(failed("write a manifest snapshot"))?;
        count(&self.counters.manifest_snapshots, 1);
        maintenance.snapshot_bytes = bytes;
        maintenance
            .generations
            .push((generation, snapshot.covered_sequence));
        let now = self.clock.now();
        self.log.lock().wal.note_generation(generation, now);
        while maintenance.generations.len() > 2 {
            let (oldest, _) = maintenance.generations[0];
            match self.files.remove(&directory.join(snapshot_name(oldest))) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    let action = "remove a manifest snapshot";
                    return Err(MaintenanceError::Io { action, source });
                }
                _ => {}
            }
            maintenance.generations.remove(0);
        }
        self.drop_log(&maintenance)?;
        Ok(())
    }

    /// A clean cut through log and state; none as long as replayed frames may not be durable.
    fn cut_snapshot(
        &self,
        maintenance: &mut Maintenance,
    ) -> Result<ManifestSnapshot, MaintenanceError> {
        let log = self.log.lock();
        if log.is_in_doubt {
            return Err(MaintenanceError::InDoubt);
        }
        if !log.wal.is_settled() {
            return Err(MaintenanceError::Unsettled);
        }
        let state = self.state.lock();
        maintenance.wal_bytes_at_snapshot = self.counters.wal_bytes.load(Ordering::Relaxed);
        let mut manifest = state.manifest.clone();
        manifest.rows_first_number = rows_first_number(&log.wal, &manifest);
        Ok(ManifestSnapshot {
            manifest,
            covered_sequence: log.wal.durable_sequence(),
            next_position: log.wal.next_position(),
            wal_number: log.wal.current_number(),
            idempotency: self.idempotency.cut(),
            previous_generation: 0,
        })
    }

    /// Stops the store: nothing is taken any more, the watermark is durable, the manifest is
    /// written. Reads go on.
    ///
    /// # Errors
    /// [`MaintenanceError`]; acknowledged records are durable all the same.
    pub fn close(&self) -> Result<(), MaintenanceError> {
        {
            let mut log = self.log.lock();
            if log.is_closed {
                return Ok(());
            }
            log.is_closed = true;
            if log.is_in_doubt || self.has_committer_died() {
                // The log has everything; the next start makes a state of it.
                return Err(MaintenanceError::InDoubt);
            }
            let now = self.clock.now();
            log.wal
                .write_watermark(now)
                .and_then(|()| log.wal.sync())
                .map_err(MaintenanceError::Log)?;
        }
        match self.snapshot_manifest() {
            // A store that could write nothing since its start has nothing to write down.
            Err(MaintenanceError::Unsettled) => {}
            other => other?,
        }
        self.collect_garbage()?;
        Ok(())
    }
}

pub(crate) fn wal_file_bytes_max(tails_bytes_max: usize) -> u64 {
    (tails_bytes_max as u64 / 8).clamp(256 << 10, 16 << 20)
}

impl MaintenanceError {
    /// Whether there was no room on the disk.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        match self {
            MaintenanceError::Io { source, .. } => is_no_space(source),
            MaintenanceError::Log(error) => error.is_no_space(),
            MaintenanceError::Unsettled => true,
            MaintenanceError::Keyring(crate::keys::KeyringError::Io { source, .. }) => {
                is_no_space(source)
            }
            _ => false,
        }
    }
}

impl Maintenance {
    /// A number that was never used, in a directory that is not in doubt.
    pub(crate) fn take_bundle_number(&mut self) -> u64 {
        if self.doubtful_directories.len() >= FAN_OUT as usize {
            // A disk that fails this often is not made better by one more name.
            self.doubtful_directories.clear();
        }
        loop {
            let number = self.next_bundle;
            self.next_bundle += 1;
            if !self
                .doubtful_directories
                .contains(&fan_out_directory(number))
            {
                return number;
            }
        }
    }
}

/// The sections of a partition, with what they hold.
fn encode_sections(chunks: &[Arc<TailChunk>]) -> Result<Vec<(Extent, Vec<u8>)>, EncodeError> {
    section_parts(chunks)
        .into_iter()
        .map(|part| Ok((extent(part), encode_chunks(part)?)))
        .collect()
}

/// Chunks in groups that fit into one section each.
fn section_parts(chunks: &[Arc<TailChunk>]) -> Vec<&[Arc<TailChunk>]> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut rows = 0;
    let mut columns = ColumnUnion::default();
    for (at, chunk) in chunks.iter().enumerate() {
        let more = chunk.extent().rows as usize;
        let do_columns_fit = columns.take(chunk);
        if (rows + more > SEGMENT_ROWS_MAX || !do_columns_fit) && at > start {
            parts.push(&chunks[start..at]);
            start = at;
            rows = 0;
            columns = ColumnUnion::default();
            // A chunk that does not fit alone fails where it is encoded.
            columns.take(chunk);
        }
        rows += more;
    }
    parts.push(&chunks[start..]);
    parts
}

fn last_position(chunks: &[Arc<TailChunk>]) -> Position {
    let last = chunks.iter().map(|chunk| chunk.extent().position_max);
    last.max().unwrap_or_default()
}

fn extent(chunks: &[Arc<TailChunk>]) -> Extent {
    let extents = chunks.iter().map(|chunk| chunk.extent());
    let joined = extents.reduce(|a, b| Extent {
        rows: a.rows + b.rows,
        time_min: a.time_min.min(b.time_min),
        time_max: a.time_max.max(b.time_max),
        position_min: a.position_min.min(b.position_min),
        position_max: a.position_max.max(b.position_max),
    });
    joined.unwrap_or(Extent {
        rows: 0,
        time_min: Default::default(),
        time_max: Default::default(),
        position_min: Position::ZERO,
        position_max: Position::ZERO,
    })
}
