//! Spools of producers of which several live at a time: a folder with one directory for each.
//!
//! Invariants
//! - A directory has one owner at a time, which holds its lock; the lock goes with the process,
//!   however that ends.
//! - A producer takes the first directory that nobody owns, and goes on with what is in it. So
//!   there are never more directories than there were producers at the same time, none is ever
//!   removed, and batches of a killed producer are sent by whoever comes next.
//! - The directories share one key file.
use super::{Spool, SpoolError, SpoolOptions, SpoolReport};
use crate::options::default_key_file;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use taffrail_storage::{
    keys::{KeyFile, system_entropy},
    local_files::{DirectoryLock, LockError},
};

/// Directories of a folder: producers of one kind that live at a time on a machine, and more than
/// a person would start by intent.
pub const SPOOLS_MAX: u32 = 256;
/// How long another may hold the lock of the folder, which it does while it makes a file or two.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// How often the lock is tried.
const LOCK_INTERVAL: Duration = Duration::from_millis(5);

/// A folder of spools.
#[derive(Clone, Debug)]
pub struct SpoolFolder {
    folder: PathBuf,
    key_path: PathBuf,
    key: Arc<KeyFile>,
    bytes_max: u64,
    compression: bool,
}

/// A spool that was taken.
pub struct Claimed {
    /// It; another may take its directory when it is dropped.
    pub spool: Spool,
    /// What opening it found: batches of a killed producer are among the pending ones.
    pub report: SpoolReport,
    /// Its directory.
    pub directory: PathBuf,
}

/// A directory that was passed over, since it cannot be used: a person must look at it.
#[derive(Debug)]
pub struct Unusable {
    /// Which.
    pub directory: PathBuf,
    /// Why.
    pub error: SpoolError,
}

impl SpoolFolder {
    /// Opens a folder, or makes it, with its key file: `key_file`, or if that is `None`, one in
    /// `~/.taffrail/keys`, by the folder's id. The path is returned if the key was made: its owner
    /// should back it up. `bytes_max` is for each spool.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub fn open(
        folder: &Path,
        key_file: Option<&Path>,
        bytes_max: u64,
        compression: bool,
    ) -> Result<(SpoolFolder, Option<PathBuf>), SpoolError> {
        // Two producers that start at once make one id and one key.
        let _lock = wait_for_lock(folder)?;
        let (key, key_path, is_made) = load_key(folder, key_file)?;
        let made = is_made.then(|| key_path.clone());
        let folder = SpoolFolder {
            folder: folder.to_path_buf(),
            key_path,
            key: Arc::new(key),
            bytes_max,
            compression,
        };
        Ok((folder, made))
    }

    /// The key file.
    #[must_use]
    pub fn key_path(&self) -> &Path {
        &self.key_path
    }

    /// Takes the first spool that nobody uses; those before it that cannot be used are passed over
    /// and named.
    ///
    /// # Errors
    /// [`SpoolError`], if no spool can be used: the one of the last, or [`SpoolError::Lock`] if
    /// [`SPOOLS_MAX`] are in use.
    pub fn claim(&self) -> Result<(Claimed, Vec<Unusable>), SpoolError> {
        let (claimed, mut unusable) = self.first(|_| Ok(true), |_| true)?;
        if let Some(claimed) = claimed {
            return Ok((claimed, unusable));
        }
        let last = unusable.pop().map(|unusable| unusable.error);
        let in_use = || SpoolError::Lock(LockError::InUse(self.folder.clone()));
        Err(last.unwrap_or_else(in_use))
    }

    /// Takes a spool that nobody uses and that has batches to send, or the note of a producer that
    /// was killed: what is left beside the one that [`SpoolFolder::claim`] gave. Drop it when it is
    /// empty and the note [taken away](Spool::end). `None`: there is
    /// none. Those that cannot be used are passed over and named.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub fn claim_leftover(&self) -> Result<(Option<Claimed>, Vec<Unusable>), SpoolError> {
        self.first(may_be_left, |report| {
            report.pending > 0 || report.has_lost || report.left_by.is_some()
        })
    }

    /// Opens the first spool that nobody uses and that is wanted, judged by its directory and,
    /// once it is open, by its report.
    fn first(
        &self,
        may_be: impl Fn(&Path) -> Result<bool, SpoolError>,
        is_wanted: impl Fn(&SpoolReport) -> bool,
    ) -> Result<(Option<Claimed>, Vec<Unusable>), SpoolError> {
        let mut unusable = Vec::new();
        for number in 0..SPOOLS_MAX {
            let directory = self.folder.join(number.to_string());
            let opened = match may_be(&directory) {
                Ok(true) => self.open_spool(&directory),
                Ok(false) => continue,
                Err(error) => Err(error),
            };
            match opened {
                Ok((spool, report)) if is_wanted(&report) => {
                    let claimed = Claimed {
                        spool,
                        report,
                        directory,
                    };
                    return Ok((Some(claimed), unusable));
                }
                Ok(_) | Err(SpoolError::Lock(LockError::InUse(_))) => {}
                // Any other directory is on the same disk.
                Err(error) if !error.is_of_directory() => return Err(error),
                Err(error) => unusable.push(Unusable { directory, error }),
            }
        }
        Ok((None, unusable))
    }

    fn open_spool(&self, directory: &Path) -> Result<(Spool, SpoolReport), SpoolError> {
        let lock = DirectoryLock::acquire(directory).map_err(SpoolError::Lock)?;
        let options = SpoolOptions {
            directory: directory.to_path_buf(),
            bytes_max: self.bytes_max,
            compression: self.compression,
            has_source: false,
            entropy: system_entropy(),
        };
        Spool::open_local(lock, options, self.key.clone())
    }
}

/// The key file of a directory of which the caller holds the lock, its path, and whether it was
/// made.
pub(super) fn load_key(
    directory: &Path,
    key_file: Option<&Path>,
) -> Result<(KeyFile, PathBuf, bool), SpoolError> {
    let path = match key_file {
        Some(path) => path.to_path_buf(),
        None => {
            default_key_file(directory).map_err(|error| SpoolError::KeyPlace(Box::new(error)))?
        }
    };
    let (key, is_made) = KeyFile::load_or_create(&path).map_err(SpoolError::KeyFile)?;
    Ok((key, path, is_made))
}

fn wait_for_lock(folder: &Path) -> Result<DirectoryLock, SpoolError> {
    let begun = Instant::now();
    loop {
        match DirectoryLock::acquire(folder) {
            Ok(lock) => return Ok(lock),
            Err(LockError::InUse(_)) if begun.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(LOCK_INTERVAL);
            }
            Err(error) => return Err(SpoolError::Lock(error)),
        }
    }
}

/// Whether there is a note, or a file of a batch, also one that was put aside or is a live
/// producer's.
fn may_be_left(directory: &Path) -> Result<bool, SpoolError> {
    let note = directory.join(super::file::PRODUCER);
    if note.try_exists().unwrap_or(false) {
        return Ok(true);
    }
    let pending = directory.join(super::file::BATCHES);
    match std::fs::read_dir(&pending) {
        Ok(mut names) => Ok(names.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(SpoolError::Io {
            path: pending,
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{
        Appended, Next,
        tests::{counts_of, messages},
    };

    struct Scene {
        root: tempfile::TempDir,
    }

    impl Scene {
        fn new() -> Scene {
            Scene {
                root: tempfile::tempdir().unwrap(),
            }
        }

        fn folder(&self) -> (SpoolFolder, bool) {
            let (folder, key) = (self.root.path().join("run"), self.root.path().join("key"));
            let (folder, made) = SpoolFolder::open(&folder, Some(&key), 1 << 20, true).unwrap();
            (folder, made.is_some())
        }
    }

    fn claim(folder: &SpoolFolder) -> Claimed {
        let (claimed, unusable) = folder.claim().unwrap();
        assert!(unusable.is_empty(), "{unusable:?}");
        claimed
    }

    fn append(claimed: &mut Claimed, text: &str) {
        let batch = messages(&[text.to_string()]);
        assert_eq!(
            claimed.spool.append("app.backend", &batch).unwrap(),
            Appended::Persisted
        );
    }

    fn sent(spool: &mut Spool) -> Vec<String> {
        let mut out = Vec::new();
        loop {
            match spool.proceed().unwrap() {
                Next::Nothing => return out,
                Next::Delivered(_) => {}
                Next::Lost(lost) => out.push(format!("lost {}", lost.first)),
                Next::Send(_, part) => {
                    out.push(String::from_utf8(part.body.to_vec()).unwrap());
                    spool.settle(&counts_of(&part));
                }
            }
        }
    }

    /// The note that is found in the first spool, after `disturb` has had its way with the file.
    #[track_caller]
    fn check_note(disturb: impl Fn(&Path), expected: Option<&str>) {
        let scene = Scene::new();
        let folder = scene.folder().0;
        claim(&folder).spool.begin("a run").unwrap();
        disturb(&scene.root.path().join("run/0/producer"));
        assert_eq!(claim(&folder).report.left_by.as_deref(), expected);
    }

    #[test]
    fn who_has_not_ended_is_known() {
        check_note(|_| {}, Some("a run"));
        check_note(|path| std::fs::write(path, b"damaged").unwrap(), Some(""));
        check_note(|path| std::fs::write(path, b"").unwrap(), Some(""));
        check_note(|path| std::fs::remove_file(path).unwrap(), None);
        // An error of the system, whoever asks.
        let be_a_directory = |path: &Path| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        };
        check_note(be_a_directory, Some(""));
        let long = "long ".repeat(100);
        let scene = Scene::new();
        let folder = scene.folder().0;
        claim(&folder).spool.begin(&long).unwrap();
        assert_eq!(claim(&folder).report.left_by.as_deref(), Some(&long[..256]));
    }

    #[test]
    fn a_note_without_batches_is_left_over_until_it_is_taken_away() {
        let scene = Scene::new();
        let folder = scene.folder().0;
        let _first = claim(&folder);
        claim(&folder).spool.begin("killed").unwrap();
        let mut left = folder.claim_leftover().unwrap().0.unwrap();
        assert_eq!(left.report.left_by.as_deref(), Some("killed"));
        left.spool.end().unwrap();
        left.spool.end().unwrap();
        drop(left);
        assert!(folder.claim_leftover().unwrap().0.is_none());
    }

    #[test]
    fn each_producer_has_a_spool_and_the_next_sends_what_killed_ones_left() {
        let scene = Scene::new();
        let (folder, is_made) = scene.folder();
        assert!(is_made);
        let mut first = claim(&folder);
        let mut second = claim(&folder);
        assert_ne!(first.directory, second.directory);
        append(&mut first, "of the first");
        append(&mut second, "of the second");
        // Both live: nothing is left over.
        assert!(folder.claim_leftover().unwrap().0.is_none());
        drop(first);
        drop(second);
        let (folder, is_made) = scene.folder();
        assert!(!is_made, "the folder has one key");
        let mut third = claim(&folder);
        assert_eq!(third.report.pending, 1);
        append(&mut third, "of the third");
        let texts = sent(&mut third.spool);
        assert!(texts[0].contains("of the first") && texts[1].contains("of the third"));
        let (leftover, _) = folder.claim_leftover().unwrap();
        let mut leftover = leftover.unwrap();
        assert!(sent(&mut leftover.spool)[0].contains("of the second"));
        drop(leftover);
        assert!(folder.claim_leftover().unwrap().0.is_none());
        // Only as many directories as there were producers at a time.
        assert!(!scene.root.path().join("run/2").exists());
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_passed_over_and_named() {
        let scene = Scene::new();
        let (folder, _) = scene.folder();
        let mut first = claim(&folder);
        append(&mut first, "x");
        let damaged = first.directory.clone();
        drop(first);
        std::fs::write(damaged.join("state"), b"nothing").unwrap();
        let (next, unusable) = folder.claim().unwrap();
        assert_ne!(next.directory, damaged);
        assert_eq!(unusable[0].directory, damaged);
        let (leftover, unusable) = folder.claim_leftover().unwrap();
        assert!(leftover.is_none());
        assert_eq!(unusable[0].directory, damaged);
    }

    #[test]
    fn a_directory_that_may_not_be_used_is_passed_over_and_named() {
        let scene = Scene::new();
        let (folder, _) = scene.folder();
        let mut second = {
            let _first = claim(&folder);
            claim(&folder)
        };
        append(&mut second, "of the second");
        drop(second);
        // Whoever may do everything is refused by what is no directory, or no file.
        let refused = scene.root.path().join("run/0");
        std::fs::remove_dir_all(&refused).unwrap();
        std::fs::write(&refused, b"no directory").unwrap();
        let (next, unusable) = folder.claim().unwrap();
        assert_eq!(next.directory, scene.root.path().join("run/1"));
        assert_eq!(unusable[0].directory, refused);
        drop(next);
        let (leftover, unusable) = folder.claim_leftover().unwrap();
        assert_eq!(sent(&mut leftover.unwrap().spool).len(), 1);
        assert_eq!(unusable[0].directory, refused);
    }

    #[test]
    fn errors_of_one_directory_are_told_from_those_of_the_disk() {
        let io = |kind: io::ErrorKind| SpoolError::Io {
            path: "run/0/pending".into(),
            source: kind.into(),
        };
        let lock = |kind: io::ErrorKind| {
            SpoolError::Lock(LockError::Io {
                path: "run/0/lock".into(),
                source: kind.into(),
            })
        };
        let cases = [
            (io::ErrorKind::PermissionDenied, true),
            (io::ErrorKind::NotADirectory, true),
            (io::ErrorKind::IsADirectory, true),
            (io::ErrorKind::AlreadyExists, true),
            (io::ErrorKind::StorageFull, false),
            (io::ErrorKind::ReadOnlyFilesystem, false),
            (io::ErrorKind::Other, false),
        ];
        for (kind, expected) in cases {
            assert_eq!(io(kind).is_of_directory(), expected, "{kind:?}");
            assert_eq!(lock(kind).is_of_directory(), expected, "{kind:?}");
        }
    }

    #[test]
    fn producers_that_start_at_once_agree_on_the_key() {
        let scene = Scene::new();
        let made: Vec<bool> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let (folder, is_made) = scene.folder();
                        append(&mut claim(&folder), "x");
                        is_made
                    })
                })
                .collect();
            starts
                .into_iter()
                .map(|start| start.join().unwrap())
                .collect()
        });
        assert_eq!(made.iter().filter(|made| **made).count(), 1);
        let (folder, _) = scene.folder();
        let mut texts = sent(&mut claim(&folder).spool);
        while let (Some(mut leftover), _) = folder.claim_leftover().unwrap() {
            texts.extend(sent(&mut leftover.spool));
        }
        assert_eq!(texts.len(), 8);
    }
}
