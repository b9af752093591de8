//! Opening a store: manifest, log and directory become the state that was acknowledged.
//!
//! Order
//! 1. The keyring; without it nothing can be read, so its loss stops the start.
//! 2. The newest manifest snapshot that can be read. The state before the first one is empty, so
//!    a log that is there from its first frame makes up for a lost snapshot.
//! 3. The log: edits after the snapshot, then rows that no section has.
//! 4. A new log file, which voids what was torn and holds again what was not known to be durable.
//! 5. What is lost is logged as such, a manifest snapshot is written, orphans go.
//!
//! No segment is read: a file's length is all that is looked at. Damage is a fault in every later
//! answer; only what would make the store guess (no manifest, no keys, a disk that fails) stops
//! the start. Where damage could have taken an edit, an unlisted segment is put aside instead of
//! removed.
use crate::{
    bundle::{BundleFiles, SEGMENTS_DIRECTORY, bundle_name, bundle_number},
    durable::{self, replace},
    flush::wal_file_bytes_max,
    idempotency::{IdempotencyRecord, Records},
    keys::{Kek, Keyring, KeyringError, KeyringOptions, read_whole},
    manifest::{
        Edit, MANIFEST_DIRECTORY, ManifestSnapshot, SnapshotError, snapshot_generation,
        snapshot_name,
    },
    partition::Partition,
    snapshot::Fault,
    store_core::{CoreParts, Log, Maintenance, MaintenanceError, State, StoreCore, StoreOptions},
    wal::{
        FrameKind, LogFault, PREFIX_BYTES, Payload, RecoveredLog, ScanBase, ScannedFrame, Taken,
        Torn, WAL_DIRECTORY, Wal, WalError, WalOptions, WalStart, file_name, other_version,
        recover,
    },
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use taffrail_model::{
    clock::Clock,
    files::{Files, is_no_space},
    position::{PartitionKey, Position},
};

const KEYS_DIRECTORY: &str = "keys";
const QUARANTINE_DIRECTORY: &str = "quarantine";

/// What opening a store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Whether the store was made by this start.
    pub is_new: bool,
    /// What is damaged or missing: answers are partial because of it.
    pub faults: Vec<Fault>,
    /// Files in the quarantine directory with bytes that were put aside by this start.
    pub quarantined: Vec<String>,
    /// What was damaged and is whole again, or could not be put aside: (file, detail).
    pub notes: Vec<(String, String)>,
    /// Rows that were replayed from the log into tails.
    pub rows_replayed: u64,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data keys cannot be had.
    #[error("cannot open the keyring")]
    Keyring(#[source] KeyringError),
    /// No manifest snapshot can be read, and the log does not go back to its beginning.
    #[error("no manifest snapshot can be read ({detail}): restore one from a backup")]
    ManifestLost {
        /// What is wrong with each.
        detail: String,
    },
    /// The directory was written by another version of the program. Nothing in it was changed.
    #[error("{file} has version {version} of its format, which this program cannot read")]
    Version {
        /// File name within the data directory.
        file: String,
        /// The version that it names.
        version: u32,
    },
    /// A new log file could not be begun.
    #[error("cannot begin the log")]
    Log(#[source] WalError),
    /// What recovery found could not be written down.
    #[error("cannot finish recovery")]
    Finish(#[source] MaintenanceError),
    /// The operating system failed.
    #[error("cannot use {}", .path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> OpenError + '_ {
    move |source| OpenError::Io {
        path: path.into(),
        source,
    }
}

impl StoreCore {
    /// Opens the store in a directory, or makes one. The directory must have no other owner
    /// ([`crate::local_files::DirectoryLock`]).
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        options: StoreOptions,
        files: Arc<dyn Files>,
        clock: Arc<dyn Clock>,
        kek: Arc<dyn Kek>,
    ) -> Result<(StoreCore, RecoveryReport), OpenError> {
        let mut report = RecoveryReport::default();
        let root = options.directory.clone();
        make_directories(&*files, &root)?;
        let found = Found::list(&*files, &root)?;
        check_log_versions(&*files, &root, &found)?;
        let keys = open_keyring(&options, &files, kek, &found, &mut report)?;
        let mut base = read_manifest(&*files, &root, &keys, &found, &mut report)?;
        let wal_options = WalOptions {
            root: root.clone(),
            files: files.clone(),
            keys: keys.clone(),
            entropy: options.entropy.clone(),
            file_bytes_max: wal_file_bytes_max(options.tails_bytes_max),
        };
        let covered = base.snapshot.covered_sequence;
        let scan = ScanBase {
            covered_sequence: covered,
            durable_sequence: covered,
            current_number: base.snapshot.wal_number,
            next_position: base.snapshot.next_position,
        };
        let taken = Taken {
            covered_sequence: covered,
            flushed_through: base.snapshot.manifest.flushed_through.clone(),
        };
        let recovered = recover(&wal_options, scan, taken);
        let mut log = recovered.map_err(io_error(&root.join(WAL_DIRECTORY)))?;
        base.check_complete(&log, &found)?;
        base.note_missing(log.mark.generation, &found, &mut report);
        report.is_new = base.is_absent && log.first_sequence.is_none();
        let covered_by_older = base.covered_by_older();
        let mut replay = Replay::new(std::mem::take(&mut base.snapshot));
        replay.run(&mut log, covered, covered_by_older, &mut report);
        let is_unsure = base.is_damaged || !replay.losses.is_empty();
        put_aside(&*files, &root, &log, &mut report)?;
        let start = WalStart {
            live: std::mem::take(&mut log.live),
            next_number: log.next_number,
            next_sequence: log.next_sequence,
            next_position: log.next_position,
            relogged: log.relogged.iter().map(ScannedFrame::to_new).collect(),
            generation: base.generations.last().map_or(0, |last| last.0),
        };
        let (wal, refusal) = Wal::start(wal_options, start, clock.now()).map_err(OpenError::Log)?;
        let bundle_files = Arc::new(BundleFiles::new(root, files.clone()));
        let parts = CoreParts {
            options,
            files,
            clock,
            keys,
            bundle_files,
        };
        let core = build(parts, wal, replay.state, &found, base.generations);
        if let Some(refusal) = refusal {
            let detail = "no room to begin a log file: nothing is taken until there is some";
            report.notes.push((WAL_DIRECTORY.into(), detail.into()));
            core.refuse(refusal);
        }
        let now = core.clock.now();
        core.idempotency.restore(replay.known_keys, now);
        for record in replay.logged_keys {
            core.idempotency.settle(record, now);
        }
        core.finish_recovery(replay.losses, &log.void, &found, is_unsure, &mut report)?;
        report.faults = core.snapshot().faults().to_vec();
        Ok((core, report))
    }

    /// Writes down what recovery found, then removes what nobody lists.
    fn finish_recovery(
        &self,
        losses: Vec<Fault>,
        void: &[String],
        found: &Found,
        is_unsure: bool,
        report: &mut RecoveryReport,
    ) -> Result<(), OpenError> {
        if !self.log.lock().wal.is_settled() {
            // Nothing can be written down yet; the first manifest snapshot will have it.
            let mut state = self.state.lock();
            let edit = Edit {
                rows_first_number: state.manifest.rows_first_number,
                losses,
                ..Edit::default()
            };
            state.manifest.apply(&edit);
            state.refresh();
            self.publish(&mut state, []);
            return Ok(());
        }
        let known = self.state.lock().manifest.losses.clone();
        if losses.iter().any(|loss| !known.contains(loss)) {
            let edit = Edit {
                losses,
                ..Edit::default()
            };
            self.commit_edit(edit, |_, _| Vec::new())
                .map_err(OpenError::Finish)?;
        }
        match self.snapshot_manifest() {
            // The log has everything that the snapshot would have.
            Err(error) if error.is_no_space() => {
                let detail = "no room for a manifest snapshot".to_string();
                report.notes.push((MANIFEST_DIRECTORY.into(), detail));
            }
            other => other.map_err(OpenError::Finish)?,
        }
        let root = &self.options.directory;
        for name in void {
            let path = root.join(WAL_DIRECTORY).join(name);
            remove(&*self.files, &path)?;
        }
        let listed: HashSet<u64> = {
            let state = self.state.lock();
            state.manifest.bundles.keys().copied().collect()
        };
        for (number, _) in found.bundles.iter().filter(|(n, _)| !listed.contains(n)) {
            let name = bundle_name(*number);
            if is_unsure {
                let to = format!("{QUARANTINE_DIRECTORY}/{number:016x}.bundle");
                self.files
                    .rename(&root.join(&name), &root.join(&to))
                    .map_err(io_error(&root.join(&name)))?;
                report.quarantined.push(to);
            } else {
                remove(&*self.files, &root.join(&name))?;
            }
        }
        for path in &found.leftovers {
            remove(&*self.files, path)?;
        }
        Ok(())
    }
}

fn remove(files: &dyn Files, path: &Path) -> Result<(), OpenError> {
    match files.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(path)(error)),
        _ => Ok(()),
    }
}

fn make_directories(files: &dyn Files, root: &Path) -> Result<(), OpenError> {
    durable::make_directories(files, root).map_err(io_error(root))?;
    for name in [
        WAL_DIRECTORY,
        MANIFEST_DIRECTORY,
        SEGMENTS_DIRECTORY,
        KEYS_DIRECTORY,
        QUARANTINE_DIRECTORY,
    ] {
        let path = root.join(name);
        files.make_directory(&path).map_err(io_error(&path))?;
    }
    files.sync_directory(root).map_err(io_error(root))
}

/// The names in the data directory.
#[derive(Default)]
struct Found {
    /// Generations of manifest snapshots, ascending.
    generations: Vec<u64>,
    wal_files: Vec<String>,
    /// Bundles with their length.
    bundles: BTreeMap<u64, u64>,
    /// Temporary files of writes that did not end.
    leftovers: Vec<PathBuf>,
}

impl Found {
    fn list(files: &dyn Files, root: &Path) -> Result<Found, OpenError> {
        let mut found = Found::default();
        let list = |path: &Path| files.list(path).map_err(io_error(path));
        let manifest = root.join(MANIFEST_DIRECTORY);
        for entry in list(&manifest)? {
            if entry.name.ends_with(".new") {
                found.leftovers.push(manifest.join(&entry.name));
            }
            found.generations.extend(snapshot_generation(&entry.name));
        }
        found.generations.sort_unstable();
        for entry in list(&root.join(WAL_DIRECTORY))? {
            if entry.name.ends_with(".wal") {
                found.wal_files.push(entry.name);
            }
        }
        let segments = root.join(SEGMENTS_DIRECTORY);
        for directory in list(&segments)? {
            if !directory.is_directory {
                continue;
            }
            let path = segments.join(&directory.name);
            for entry in list(&path)? {
                match bundle_number(&entry.name) {
                    Some(number) => {
                        found.bundles.insert(number, entry.bytes);
                    }
                    None if entry.name.ends_with(".new") => {
                        found.leftovers.push(path.join(&entry.name));
                    }
                    None => {}
                }
            }
        }
        Ok(found)
    }

    /// Whether most files with data are sealed under a secret key. One flipped bit does not decide.
    fn needs_secret_keys(&self, files: &dyn Files, root: &Path) -> Result<bool, OpenError> {
        // Where the first container begins in each kind of file.
        let manifests = self.generations.iter().map(|generation| {
            let directory = root.join(MANIFEST_DIRECTORY);
            (directory.join(snapshot_name(*generation)), 0)
        });
        let logs = self
            .wal_files
            .iter()
            .map(|name| (root.join(WAL_DIRECTORY).join(name), 16));
        let mut balance = 0i64;
        for (path, offset) in manifests.chain(logs) {
            let mut start = [0; 16];
            let file = files.open(&path).map_err(io_error(&path))?;
            if file.read_at(offset, &mut start).is_ok() && start[..4] == *b"TFC1" {
                balance += if start[8..] == [0; 8] { -1 } else { 1 };
            }
        }
        Ok(balance > 0)
    }
}

/// Refuses log files of another version. Every start begins one, so each directory has some.
fn check_log_versions(files: &dyn Files, root: &Path, found: &Found) -> Result<(), OpenError> {
    for name in &found.wal_files {
        let path = root.join(WAL_DIRECTORY).join(name);
        let file = files.open(&path).map_err(io_error(&path))?;
        let mut prefix = [0; PREFIX_BYTES];
        if file.read_at(0, &mut prefix).is_err() {
            // Cut: recovery names it.
            continue;
        }
        if let Some(version) = other_version(&prefix) {
            let file = format!("{WAL_DIRECTORY}/{name}");
            return Err(OpenError::Version { file, version });
        }
    }
    Ok(())
}

fn open_keyring(
    options: &StoreOptions,
    files: &Arc<dyn Files>,
    kek: Arc<dyn Kek>,
    found: &Found,
    report: &mut RecoveryReport,
) -> Result<Arc<Keyring>, OpenError> {
    let root = &options.directory;
    let keyring_options = KeyringOptions {
        directory: root.join(KEYS_DIRECTORY),
        encryption: options.encryption,
        has_data: !found.generations.is_empty() || !found.wal_files.is_empty(),
        needs_secret_keys: found.needs_secret_keys(&**files, root)?,
        entropy: options.entropy.clone(),
    };
    let (keys, notes) =
        Keyring::open(keyring_options, files.clone(), kek).map_err(OpenError::Keyring)?;
    report.notes.extend(notes);
    Ok(Arc::new(keys))
}

/// The state that the log is replayed upon.
struct Base {
    snapshot: ManifestSnapshot,
    /// Snapshots that can be read, oldest first: (generation, covered sequence).
    generations: Vec<(u64, u64)>,
    /// Whether there is none.
    is_absent: bool,
    is_damaged: bool,
    damage: String,
}

fn read_manifest(
    files: &dyn Files,
    root: &Path,
    keys: &Keyring,
    found: &Found,
    report: &mut RecoveryReport,
) -> Result<Base, OpenError> {
    let mut base = Base {
        snapshot: ManifestSnapshot::default(),
        generations: Vec::new(),
        is_absent: true,
        is_damaged: false,
        damage: String::new(),
    };
    // Newest first: only its idempotency keys, which may be many, are kept.
    for generation in found.generations.iter().rev() {
        let name = format!("{MANIFEST_DIRECTORY}/{}", snapshot_name(*generation));
        let path = root.join(&name);
        let sealed = read_whole(files, &path).map_err(io_error(&path))?;
        match ManifestSnapshot::open(*generation, sealed, keys, &name, base.is_absent) {
            Ok(snapshot) => {
                let covered = snapshot.covered_sequence;
                base.generations.insert(0, (*generation, covered));
                if base.is_absent {
                    base.snapshot = snapshot;
                    base.is_absent = false;
                }
            }
            Err(SnapshotError::Version(version)) => {
                return Err(OpenError::Version {
                    file: name,
                    version,
                });
            }
            Err(SnapshotError::Read(error)) => {
                base.is_damaged = true;
                if base.damage.is_empty() {
                    base.damage = error.to_string();
                }
                let to = format!("{QUARANTINE_DIRECTORY}/{}", snapshot_name(*generation));
                report.quarantined.push(to);
                let detail = format!("{error}; the other generation and the log replace it");
                report.notes.push((name, detail));
            }
        }
    }
    Ok(base)
}

impl Base {
    /// Edits and rows up to this frame are not needed for the older snapshot, so log files that
    /// end before it may be gone.
    fn covered_by_older(&self) -> u64 {
        match &self.generations[..] {
            [.., (_, covered), _] => *covered,
            _ => 0,
        }
    }

    /// Refuses a start without a manifest, unless the log goes back to the beginning.
    fn check_complete(&self, log: &RecoveredLog, found: &Found) -> Result<(), OpenError> {
        let has_all = log.first_sequence == Some(1) && log.missing.is_empty();
        let is_fresh =
            found.generations.is_empty() && found.wal_files.is_empty() && found.bundles.is_empty();
        if !self.is_absent || has_all || is_fresh {
            return Ok(());
        }
        // A first start that was interrupted has a log file of no frames and nothing else.
        if found.generations.is_empty() && found.bundles.is_empty() && log.frames.is_empty() {
            return Ok(());
        }
        let detail = if self.damage.is_empty() {
            "there is none".to_string()
        } else {
            self.damage.clone()
        };
        Err(OpenError::ManifestLost { detail })
    }
}

impl Base {
    /// Names snapshots that should be there and are not.
    fn note_missing(&self, marked: u64, found: &Found, report: &mut RecoveryReport) {
        let is_missing =
            |generation: u64| generation > 0 && !found.generations.contains(&generation);
        let newest = found.generations.last().copied().unwrap_or_default();
        let previous = self.snapshot.previous_generation;
        let detail = "it is missing; the other generation and the log replace it";
        let mut note = |generation| {
            let name = format!("{MANIFEST_DIRECTORY}/{}", snapshot_name(generation));
            report.notes.push((name, detail.into()));
        };
        if marked > newest {
            note(marked);
        } else if is_missing(previous) && found.generations.len() < 2 {
            note(previous);
        }
    }
}

/// Replays a log upon a manifest snapshot.
struct Replay {
    state: State,
    /// Idempotency keys of the manifest snapshot.
    known_keys: Records,
    /// Those of the log after it.
    logged_keys: Vec<IdempotencyRecord>,
    losses: Vec<Fault>,
}

impl Replay {
    fn new(snapshot: ManifestSnapshot) -> Replay {
        Replay {
            state: State {
                manifest: snapshot.manifest,
                bundles: HashMap::new(),
                partitions: HashMap::new(),
                unflushed: HashSet::new(),
                unencodable: HashMap::new(),
                views: imbl::OrdMap::new(),
                watermark: Position::ZERO,
                faults: Vec::new(),
                all_faults: Arc::default(),
                deletions: Arc::default(),
            },
            known_keys: snapshot.idempotency,
            logged_keys: Vec::new(),
            losses: Vec::new(),
        }
    }

    fn run(
        &mut self,
        log: &mut RecoveredLog,
        covered: u64,
        covered_by_older: u64,
        report: &mut RecoveryReport,
    ) {
        for fault in std::mem::take(&mut log.faults) {
            self.take_log_fault(fault, report);
        }
        let frames = || log.frames.iter().chain(&log.relogged);
        for frame in frames().filter(|frame| frame.sequence() > covered) {
            self.replay_outside_rows(frame);
        }
        for entry in &log.missing {
            let is_needed = entry.last_sequence > covered
                || entry.number >= self.state.manifest.rows_first_number;
            if is_needed {
                let (first, last) = (entry.first_position.0, entry.last_position.0);
                self.lose(
                    None,
                    file_name(entry.number),
                    format!("missing: rows at positions {first} to {last} are lost"),
                );
            } else if entry.last_sequence > covered_by_older {
                let detail = "it is missing; nothing is lost by it".to_string();
                report.notes.push((file_name(entry.number), detail));
            }
        }
        // Each frame goes as its rows come into a tail, so that they are in memory once. Those that
        // are written again are needed for that.
        for frame in std::mem::take(&mut log.frames) {
            report.rows_replayed += self.replay_rows(&frame);
        }
        for frame in &log.relogged {
            report.rows_replayed += self.replay_rows(frame);
        }
        self.state.watermark = Position(log.next_position.0.saturating_sub(1));
    }

    fn take_log_fault(&mut self, fault: LogFault, report: &mut RecoveryReport) {
        if fault.is_loss {
            self.lose(fault.partition, fault.file, fault.detail);
        } else {
            report.notes.push((fault.file, fault.detail));
        }
    }

    fn lose(&mut self, partition: Option<PartitionKey>, file: String, detail: String) {
        self.losses.push(Fault {
            partition,
            file,
            detail,
            is_transient: false,
        });
    }

    /// An authentic frame that cannot be understood: a fault of the program that wrote it.
    fn lose_frame(&mut self, frame: &ScannedFrame, detail: &dyn std::fmt::Display) {
        let header = &frame.header;
        let is_rows = header.kind == FrameKind::Rows && header.rows > 0;
        self.lose(
            is_rows.then_some(header.partition),
            WAL_DIRECTORY.into(),
            format!("frame {} is {detail}", header.sequence),
        );
    }

    fn replay_outside_rows(&mut self, frame: &ScannedFrame) {
        match frame.header.kind {
            FrameKind::Edit => match Edit::decode(&frame.plain) {
                Ok(edit) => self.state.manifest.apply(&edit),
                Err(error) => self.lose_frame(frame, &error),
            },
            FrameKind::Rows => match Payload::decode(&frame.plain) {
                Ok(payload) => self.logged_keys.extend(payload.idempotency),
                Err(error) => self.lose_frame(frame, &error),
            },
            FrameKind::Watermark => {}
        }
    }

    /// Puts the rows of a frame that no section has into a tail; returns how many.
    fn replay_rows(&mut self, frame: &ScannedFrame) -> u64 {
        let header = &frame.header;
        let through = self.state.manifest.flushed_through(&header.partition);
        let is_flushed = header.last_position() <= through;
        if header.kind != FrameKind::Rows || header.rows == 0 || is_flushed {
            return 0;
        }
        let decoded = Payload::decode(&frame.plain).and_then(|payload| payload.rows());
        let (mut timestamps, mut columns) = match decoded {
            Ok(rows) if rows.0.len() == header.rows as usize => rows,
            Ok(_) => {
                self.lose_frame(frame, &"of another number of rows than it says");
                return 0;
            }
            Err(error) => {
                self.lose_frame(frame, &error);
                return 0;
            }
        };
        let mut first = header.first_position;
        if through >= first {
            let skipped = (through.0 + 1 - first.0) as usize;
            timestamps.drain(..skipped);
            let keep: Vec<u32> = (skipped as u32..header.rows).collect();
            columns = columns.select(&keep);
            first = Position(through.0 + 1);
        }
        let rows = timestamps.len() as u64;
        self.state.unflushed.insert(header.partition);
        let partition = self.state.partitions.entry(header.partition);
        partition.or_default().push(timestamps, first, columns);
        rows
    }
}

/// Copies a torn tail, and moves files whose header or content is damaged, to the quarantine.
fn put_aside(
    files: &dyn Files,
    root: &Path,
    log: &RecoveredLog,
    report: &mut RecoveryReport,
) -> Result<(), OpenError> {
    let quarantine = root.join(QUARANTINE_DIRECTORY);
    if let Some(Torn {
        number,
        offset,
        bytes,
    }) = &log.torn
    {
        let name = format!("{QUARANTINE_DIRECTORY}/{number:016x}-{offset}.torn");
        let detail = format!("torn tail of {} bytes from byte {offset} on", bytes.len());
        report.notes.push((file_name(*number), detail));
        match replace(files, &root.join(&name), bytes) {
            // The bytes stay in the log file until it is dropped.
            Err(error) if is_no_space(&error) => {
                let detail = "no room to keep a copy of the torn tail".to_string();
                report.notes.push((file_name(*number), detail));
            }
            other => {
                other.map_err(io_error(&root.join(&name)))?;
                report.quarantined.push(name);
            }
        }
    }
    let damaged_logs = log.damaged.iter().map(|name| (WAL_DIRECTORY, name.clone()));
    let damaged_manifests = report
        .quarantined
        .iter()
        .filter_map(|name| Path::new(name).file_name()?.to_str())
        .filter(|name| snapshot_generation(name).is_some())
        .map(|name| (MANIFEST_DIRECTORY, name.to_string()));
    let moved: Vec<_> = damaged_logs.chain(damaged_manifests).collect();
    for (directory, name) in &moved {
        let from = root.join(directory).join(name);
        files
            .rename(&from, &quarantine.join(name))
            .map_err(io_error(&from))?;
        if *directory == WAL_DIRECTORY {
            report
                .quarantined
                .push(format!("{QUARANTINE_DIRECTORY}/{name}"));
        }
    }
    if !moved.is_empty() {
        files
            .sync_directory(&quarantine)
            .map_err(io_error(&quarantine))?;
    }
    Ok(())
}

fn build(
    parts: CoreParts,
    wal: Wal,
    state: State,
    found: &Found,
    generations: Vec<(u64, u64)>,
) -> StoreCore {
    let next_bundle = found.bundles.keys().next_back().map_or(1, |last| last + 1);
    let listed = state.manifest.bundles.keys().next_back().copied();
    let maintenance = Maintenance {
        next_bundle: next_bundle.max(listed.unwrap_or_default() + 1),
        // Those that were found may be in the page cache alone: the process that made them could
        // have been killed before its sync.
        directories: HashSet::new(),
        next_generation: found.generations.last().map_or(1, |last| last + 1),
        generations,
        ..Maintenance::default()
    };
    let log = Log {
        wal,
        is_closed: false,
        is_in_doubt: false,
    };
    let core = StoreCore::new(parts, log, state, maintenance);
    {
        let mut state = core.state.lock();
        let bundles: Vec<_> = state.manifest.bundles.values().cloned().collect();
        for bundle in bundles {
            let present = found.bundles.get(&bundle.number).copied();
            core.serve_bundle(&mut state, &bundle, present.unwrap_or_default());
        }
        let tails_bytes: usize = state
            .partitions
            .values()
            .map(Partition::unflushed_bytes)
            .sum();
        core.grow_tails(tails_bytes as i64);
        state.refresh();
        let keys: Vec<_> = state.partitions.keys().copied().collect();
        core.publish(&mut state, keys);
    }
    core
}

#[cfg(test)]
mod tests;
