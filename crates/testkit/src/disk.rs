//! A disk in memory that knows what is durable.
//!
//! Invariants
//! - Written bytes are durable only after a sync of the file, names only after a sync of their
//!   directory; both as the contract of [`taffrail_model::files`] says, never more.
//! - The same calls with the same seeds give the same disk, byte for byte.
//! - After the power is lost nothing changes any more, and every call says so.
//!
//! What it models beyond that contract is what real disks do: sectors are written whole and in
//! any order, the length of a file is on its own, a failed sync forgets dirty pages, a short
//! write leaves its first half. It does not model bit rot by itself: see [`SimulatedDisk::flip`].

mod content;
mod names;
mod operation;

use crate::random::Random;
use content::{Content, Keep, Medium};
use names::{MediumNames, Names, Node, clean};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use taffrail_model::files::{Entry, File, Files};

pub use operation::{Fault, Operation, OperationKind, Outcome, SyncSite};

/// What a disk writes whole.
pub const SECTOR_BYTES: usize = 512;

/// The power is gone: the operation had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("power lost after {operations} operations")]
pub struct PowerLost {
    /// Operations that took effect.
    pub operations: u64,
}

/// Whether an error comes from [`SimulatedDisk::lose_power_after`].
#[must_use]
pub fn is_power_loss(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<PowerLost>())
}

/// What a failed sync leaves on the medium.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailedSync {
    /// Nothing of what was dirty, and a later sync does not write it either.
    Dropped,
    /// All of it: the error came late.
    Reached,
    /// Any of these, and torn states, chosen by the disk's seed and the operation.
    #[default]
    Chosen,
}

/// The disk. A clone is the same disk; [`SimulatedDisk::fork`] is another.
#[derive(Clone)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

/// The state in which a power loss would find the disk at some moment.
#[derive(Clone, Debug)]
pub struct CrashPoint {
    /// Operations that were done by then.
    pub operations: u64,
    seed: u64,
    names: MediumNames,
    files: BTreeMap<u64, Medium>,
}

#[derive(Clone, Default)]
struct State {
    seed: u64,
    names: Names,
    files: BTreeMap<u64, Content>,
    file_next: u64,
    operations: u64,
    log: Vec<Operation>,
    faults: Vec<(u64, u64, Fault)>,
    failed_sync: FailedSync,
    power_lost_after: Option<u64>,
    capacity_bytes: Option<u64>,
    is_lying: bool,
    is_unobserved: bool,
    skipped_sites: Vec<SyncSite>,
    skipped: u64,
    crash_points: Option<Vec<CrashPoint>>,
}

impl SimulatedDisk {
    /// An empty disk. The seed decides what failed syncs leave.
    #[must_use]
    pub fn new(seed: u64) -> SimulatedDisk {
        SimulatedDisk::from_state(State {
            seed,
            ..State::default()
        })
    }

    fn from_state(state: State) -> SimulatedDisk {
        SimulatedDisk {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The disk as a store takes it.
    #[must_use]
    pub fn files(&self) -> Arc<dyn Files> {
        Arc::new(self.clone())
    }

    /// Another disk with the same state: files, what is pending, faults to come.
    #[must_use]
    pub fn fork(&self) -> SimulatedDisk {
        SimulatedDisk::from_state(self.state.lock().clone())
    }

    /// The disk after a power loss now. Seed 0 loses everything that was not synced, seed 1 keeps
    /// everything, every other chooses for each file and name. Faults and log begin anew.
    #[must_use]
    pub fn crash(&self, seed: u64) -> SimulatedDisk {
        self.crash_point().crash(seed)
    }

    /// What a power loss would find now.
    #[must_use]
    pub fn crash_point(&self) -> CrashPoint {
        self.state.lock().crash_point()
    }

    /// Records a [`CrashPoint`] before every operation that changes something, from now on: one
    /// run of a workload gives all its crashes.
    pub fn record_crash_points(&self) {
        self.state.lock().crash_points = Some(Vec::new());
    }

    /// The recorded crash points, and that of now; recording ends.
    #[must_use]
    pub fn take_crash_points(&self) -> Vec<CrashPoint> {
        let mut state = self.state.lock();
        let mut points = state.crash_points.take().unwrap_or_default();
        points.push(state.crash_point());
        points
    }

    /// The power goes after this many operations (counted from the disk's beginning).
    pub fn lose_power_after(&self, operations: u64) {
        self.state.lock().power_lost_after = Some(operations);
    }

    /// Answers the operation of this index with a fault, if the fault applies to its kind.
    pub fn fail_at(&self, index: u64, fault: Fault) {
        self.fail_between(index, index + 1, fault);
    }

    /// Answers all operations from `first` to before `end` with a fault.
    pub fn fail_between(&self, first: u64, end: u64, fault: Fault) {
        self.state.lock().faults.push((first, end, fault));
    }

    /// What failed syncs leave on the medium.
    pub fn set_failed_sync(&self, failed_sync: FailedSync) {
        self.state.lock().failed_sync = failed_sync;
    }

    /// How many bytes all files together may have.
    pub fn set_capacity_bytes(&self, bytes: Option<u64>) {
        self.state.lock().capacity_bytes = bytes;
    }

    /// Syncs say `Ok` and do nothing.
    pub fn set_lying(&self, is_lying: bool) {
        self.state.lock().is_lying = is_lying;
    }

    /// Leaves out the syncs of a site.
    pub fn skip_syncs(&self, site: SyncSite) {
        self.state.lock().skipped_sites.push(site);
    }

    /// Runs the reads of a harness itself: they are not counted, and no fault meets them.
    pub fn unobserved<T>(&self, read: impl FnOnce() -> T) -> T {
        self.state.lock().is_unobserved = true;
        let result = read();
        self.state.lock().is_unobserved = false;
        result
    }

    /// How many syncs were left out.
    #[must_use]
    pub fn syncs_skipped(&self) -> u64 {
        self.state.lock().skipped
    }

    /// Operations so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// All operations so far.
    #[must_use]
    pub fn log(&self) -> Vec<Operation> {
        self.state.lock().log.clone()
    }

    /// Whether something written or named is not durable yet.
    #[must_use]
    pub fn has_unsynced(&self) -> bool {
        let state = self.state.lock();
        state.names.medium().has_pending()
            || state.files.values().any(|file| file.medium().has_pending())
    }

    /// All files with their length.
    #[must_use]
    pub fn all_files(&self) -> Vec<(PathBuf, u64)> {
        let state = self.state.lock();
        state
            .names
            .iter()
            .filter_map(|(path, node)| match node {
                Node::File(number) => Some((path.clone(), state.length(number))),
                Node::Directory => None,
            })
            .collect()
    }

    /// Bytes of a file.
    #[must_use]
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state.lock();
        match state.names.get(&clean(path))? {
            Node::File(number) => Some(state.files.get(&number)?.live().to_vec()),
            Node::Directory => None,
        }
    }

    /// Damage behind the store's back: changes a file durably, no operation counted.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.lock();
        let Some(Node::File(number)) = state.names.get(&clean(path)) else {
            panic!("no file {}", path.display());
        };
        let mut bytes = state.files[&number].live().to_vec();
        change(&mut bytes);
        state.files.insert(number, Content::durable(bytes));
    }

    /// Damage: inverts the bits of `mask` in one byte.
    ///
    /// # Panics
    /// If there is no such byte.
    pub fn flip(&self, path: &Path, offset: u64, mask: u8) {
        self.damage(path, |bytes| bytes[offset as usize] ^= mask);
    }

    /// Damage: cuts a file.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn truncate(&self, path: &Path, length: u64) {
        self.damage(path, |bytes| bytes.truncate(length as usize));
    }

    /// Damage: a file is gone.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn lose(&self, path: &Path) {
        let mut state = self.state.lock();
        let path = clean(path);
        assert!(state.names.get(&path).is_some(), "no {}", path.display());
        let mut names: BTreeMap<_, _> = state
            .names
            .iter()
            .map(|(path, node)| (path.clone(), node))
            .collect();
        names.remove(&path);
        state.names = Names::durable(names);
    }

    /// Damage: two files change places.
    ///
    /// # Panics
    /// If one is missing.
    pub fn swap(&self, a: &Path, b: &Path) {
        let (Some(of_a), Some(of_b)) = (self.contents(a), self.contents(b)) else {
            panic!("no {} or {}", a.display(), b.display());
        };
        self.damage(a, |bytes| *bytes = of_b);
        self.damage(b, |bytes| *bytes = of_a);
    }
}

impl CrashPoint {
    /// The disk that the next process finds when this one was killed: nothing is lost, and nothing
    /// more is durable than was before.
    #[must_use]
    pub fn kill(&self) -> SimulatedDisk {
        let files = self.files.iter();
        SimulatedDisk::from_state(State {
            seed: self.seed,
            names: Names::in_cache(&self.names),
            files: files
                .map(|(number, medium)| (*number, Content::in_cache(medium)))
                .collect(),
            file_next: self.files.keys().last().map_or(0, |last| last + 1),
            ..State::default()
        })
    }

    /// The disk that is found when the power is back; seeds as in [`SimulatedDisk::crash`].
    #[must_use]
    pub fn crash(&self, seed: u64) -> SimulatedDisk {
        let mut random = Random::from_seeds(&[seed, self.operations, self.seed]);
        let keep_percent = match seed {
            0 => 0,
            1 => 100,
            _ => random.pick(&[0, 20, 50, 80, 100]),
        };
        let names = self.names.after_power_loss(keep_percent, &mut random);
        let files = self
            .files
            .iter()
            .map(|(number, medium)| {
                let keep = match seed {
                    0 => Keep::Nothing,
                    1 => Keep::Everything,
                    _ => Keep::choose(&mut random),
                };
                let bytes = medium.after_power_loss(keep, &mut random);
                (*number, Content::durable(bytes))
            })
            .collect();
        SimulatedDisk::from_state(State {
            seed: random.next(),
            names: Names::durable(names),
            files,
            file_next: self.files.keys().last().map_or(0, |last| last + 1),
            ..State::default()
        })
    }
}

/// What is to be done with an operation.
enum Verdict {
    Go,
    Skip,
    Fail(Fault),
}

impl State {
    fn crash_point(&self) -> CrashPoint {
        let reachable = self.names.medium().files();
        CrashPoint {
            operations: self.operations,
            seed: self.seed,
            names: self.names.medium().clone(),
            files: self
                .files
                .iter()
                .filter(|(number, _)| reachable.contains(number))
                .map(|(number, content)| (*number, content.medium().clone()))
                .collect(),
        }
    }

    fn length(&self, number: u64) -> u64 {
        self.files.get(&number).map_or(0, |file| file.live().len()) as u64
    }

    fn used_bytes(&self) -> u64 {
        self.names
            .iter()
            .map(|(_, node)| match node {
                Node::File(number) => self.length(number),
                Node::Directory => 0,
            })
            .sum()
    }

    fn free_bytes(&self) -> u64 {
        self.capacity_bytes
            .map_or(u64::MAX, |bytes| bytes.saturating_sub(self.used_bytes()))
    }

    /// Counts and logs an operation, and says what becomes of it.
    fn begin(
        &mut self,
        kind: OperationKind,
        path: &Path,
        offset: u64,
        bytes: u64,
    ) -> io::Result<Verdict> {
        if self.is_unobserved && !kind.is_change() {
            return Ok(Verdict::Go);
        }
        if self
            .power_lost_after
            .is_some_and(|after| self.operations >= after)
        {
            return Err(io::Error::other(PowerLost {
                operations: self.operations,
            }));
        }
        if kind.is_change() && self.crash_points.is_some() {
            let point = self.crash_point();
            self.crash_points.get_or_insert_default().push(point);
        }
        let index = self.operations;
        self.operations += 1;
        let fault = self
            .faults
            .iter()
            .find(|(first, end, fault)| (*first..*end).contains(&index) && fault.applies_to(kind))
            .map(|(_, _, fault)| *fault);
        let is_skipped = kind.is_sync()
            && (self.is_lying || self.skipped_sites.iter().any(|s| s.matches(kind, path)));
        let (verdict, outcome) = match fault {
            Some(fault) => (Verdict::Fail(fault), Outcome::Failed(fault)),
            None if is_skipped => {
                self.skipped += 1;
                (Verdict::Skip, Outcome::Skipped)
            }
            None => (Verdict::Go, Outcome::Done),
        };
        self.log.push(Operation {
            index,
            kind,
            path: path.to_path_buf(),
            offset,
            bytes,
            outcome,
        });
        Ok(verdict)
    }

    /// An operation that is neither sync nor write: it is done or fails.
    fn begin_plain(&mut self, kind: OperationKind, path: &Path) -> io::Result<()> {
        match self.begin(kind, path, 0, 0)? {
            Verdict::Fail(fault) => Err(error_of(fault)),
            Verdict::Go | Verdict::Skip => Ok(()),
        }
    }

    /// Notes that the operation begun last ended with an error of its own.
    fn refuse<T>(&mut self, kind: io::ErrorKind, path: &Path) -> io::Result<T> {
        if !self.is_unobserved
            && let Some(last) = self.log.last_mut()
        {
            last.outcome = Outcome::Refused;
        }
        Err(io::Error::new(kind, path.display().to_string()))
    }

    fn write(
        &mut self,
        kind: OperationKind,
        file: &OpenFile,
        offset: Option<u64>,
        bytes: &[u8],
    ) -> io::Result<u64> {
        let offset = offset.unwrap_or_else(|| self.length(file.number));
        let verdict = self.begin(kind, &file.path, offset, bytes.len() as u64)?;
        let grown = (offset + bytes.len() as u64).saturating_sub(self.length(file.number));
        let free = self.free_bytes();
        let (written, fault) = match verdict {
            Verdict::Fail(fault @ Fault::ShortWrite) => (bytes.len() / 2, Some(fault)),
            Verdict::Fail(fault) => (0, Some(fault)),
            Verdict::Go | Verdict::Skip if grown > free => {
                let fitting = (bytes.len() as u64).saturating_sub(grown - free) as usize;
                (fitting, Some(Fault::NoSpace))
            }
            Verdict::Go | Verdict::Skip => (bytes.len(), None),
        };
        if written > 0 {
            let content = self.files.entry(file.number).or_default();
            content.write(offset as usize, &bytes[..written]);
        }
        match fault {
            None => Ok(offset),
            Some(fault) => {
                if let Some(last) = self.log.last_mut() {
                    last.outcome = Outcome::Failed(fault);
                }
                Err(error_of(fault))
            }
        }
    }

    fn sync(&mut self, file: &OpenFile) -> io::Result<()> {
        let verdict = self.begin(OperationKind::Sync, &file.path, 0, 0)?;
        let mut random = Random::from_seeds(&[self.seed, self.operations]);
        let keep = match self.failed_sync {
            FailedSync::Dropped => Keep::Nothing,
            FailedSync::Reached => Keep::Everything,
            FailedSync::Chosen => Keep::choose(&mut random),
        };
        let content = self.files.entry(file.number).or_default();
        match verdict {
            Verdict::Go => content.sync(),
            Verdict::Skip => {}
            Verdict::Fail(fault) => {
                content.fail_sync(keep, &mut random);
                return Err(error_of(fault));
            }
        }
        Ok(())
    }
}

fn error_of(fault: Fault) -> io::Error {
    // Numbers of Linux, so that code that looks at them sees what it would see there.
    io::Error::from_raw_os_error(match fault {
        Fault::InputOutput => 5,
        Fault::NoSpace | Fault::ShortWrite => 28,
    })
}

impl Files for SimulatedDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let path = clean(path);
        let mut state = self.state.lock();
        state.begin_plain(OperationKind::Create, &path)?;
        if !state.names.parent_exists(&path) {
            return state.refuse(io::ErrorKind::NotFound, &path);
        }
        if state.names.get(&path).is_some() {
            return state.refuse(io::ErrorKind::AlreadyExists, &path);
        }
        let number = state.file_next;
        state.file_next += 1;
        state.files.insert(number, Content::default());
        state.names.put(path.clone(), Node::File(number));
        Ok(self.handle(path, number, true))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.open_as(path, false)
    }

    fn open_for_overwrite(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.open_as(path, true)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (clean(from), clean(to));
        let mut state = self.state.lock();
        state.begin_plain(OperationKind::Rename, &to)?;
        match state.names.get(&from) {
            Some(Node::File(_)) => {}
            Some(Node::Directory) => return state.refuse(io::ErrorKind::IsADirectory, &from),
            None => return state.refuse(io::ErrorKind::NotFound, &from),
        }
        if !state.names.parent_exists(&to) {
            return state.refuse(io::ErrorKind::NotFound, &to);
        }
        if state.names.is_directory(&to) {
            return state.refuse(io::ErrorKind::IsADirectory, &to);
        }
        state.names.rename(from, to);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let path = clean(path);
        let mut state = self.state.lock();
        state.begin_plain(OperationKind::Remove, &path)?;
        match state.names.get(&path) {
            Some(Node::File(_)) => state.names.remove(path),
            Some(Node::Directory) => return state.refuse(io::ErrorKind::IsADirectory, &path),
            None => return state.refuse(io::ErrorKind::NotFound, &path),
        }
        Ok(())
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        let path = clean(path);
        let mut state = self.state.lock();
        state.begin_plain(OperationKind::MakeDirectory, &path)?;
        let above: Vec<PathBuf> = path.ancestors().map(Path::to_path_buf).collect();
        for directory in above.into_iter().rev() {
            match state.names.get(&directory) {
                Some(Node::Directory) => {}
                Some(Node::File(_)) => {
                    return state.refuse(io::ErrorKind::NotADirectory, &directory);
                }
                None => state.names.put(directory, Node::Directory),
            }
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let path = clean(path);
        let mut state = self.state.lock();
        state.begin_plain(OperationKind::List, &path)?;
        if !state.names.is_directory(&path) {
            return state.refuse(io::ErrorKind::NotFound, &path);
        }
        let mut entries: Vec<Entry> = state
            .names
            .children(&path)
            .map(|(child, node)| Entry {
                name: child
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default(),
                bytes: match node {
                    Node::File(number) => state.length(number),
                    Node::Directory => 0,
                },
                is_directory: node == Node::Directory,
            })
            .collect();
        entries.sort();
        Ok(entries)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let path = clean(path);
        let mut state = self.state.lock();
        let verdict = state.begin(OperationKind::SyncDirectory, &path, 0, 0)?;
        if !state.names.is_directory(&path) {
            return state.refuse(io::ErrorKind::NotFound, &path);
        }
        match verdict {
            Verdict::Go => state.names.sync(&path),
            Verdict::Skip => {}
            Verdict::Fail(fault) => return Err(error_of(fault)),
        }
        Ok(())
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.state.lock().free_bytes())
    }
}

impl SimulatedDisk {
    fn open_as(&self, path: &Path, is_writable: bool) -> io::Result<Arc<dyn File>> {
        let path = clean(path);
        let mut state = self.state.lock();
        state.begin_plain(OperationKind::Open, &path)?;
        match state.names.get(&path) {
            Some(Node::File(number)) => Ok(self.handle(path, number, is_writable)),
            Some(Node::Directory) => state.refuse(io::ErrorKind::IsADirectory, &path),
            None => state.refuse(io::ErrorKind::NotFound, &path),
        }
    }

    fn handle(&self, path: PathBuf, number: u64, is_writable: bool) -> Arc<dyn File> {
        Arc::new(OpenFile {
            disk: self.clone(),
            path,
            number,
            is_writable,
        })
    }
}

/// A handle. It stays valid when its name is renamed or removed, as on a real system.
struct OpenFile {
    disk: SimulatedDisk,
    path: PathBuf,
    number: u64,
    is_writable: bool,
}

impl OpenFile {
    fn check_writable(&self) -> io::Result<()> {
        // The number of Linux for a file that is not open for writing.
        self.is_writable
            .then_some(())
            .ok_or_else(|| io::Error::from_raw_os_error(9))
    }
}

impl File for OpenFile {
    fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        self.check_writable()?;
        let mut state = self.disk.state.lock();
        state.write(OperationKind::Append, self, None, bytes)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.disk.state.lock();
        state
            .write(OperationKind::WriteAt, self, Some(offset), bytes)
            .map(drop)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        let length = buffer.len() as u64;
        if let Verdict::Fail(fault) =
            state.begin(OperationKind::ReadAt, &self.path, offset, length)?
        {
            return Err(error_of(fault));
        }
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let found = state.files.get(&self.number).and_then(|content| {
            let bytes = content.live().get(from..from.checked_add(buffer.len())?)?;
            buffer.copy_from_slice(bytes);
            Some(())
        });
        match found {
            Some(()) => Ok(()),
            None => state.refuse(io::ErrorKind::UnexpectedEof, &self.path),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.state.lock().sync(self)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state.lock().length(self.number))
    }
}

#[cfg(test)]
mod tests;
