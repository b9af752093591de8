//! Names that survive a power loss: whole files and directories, written durably.
//!
//! Invariants
//! - A file that is replaced is the old or the new one at every moment, and the new one for good
//!   once the call returned.
//! - A directory that was made is found again, and so is every ancestor that had to be made.
//! - A write that fails leaves none of its bytes: on a full disk they would be what keeps it full.
//!
//! A directory that is there already may have been made by a process that was killed before it
//! synced a name, so the names of all ancestors are synced each time.
use std::{
    io,
    path::{Path, PathBuf},
};
use taffrail_model::files::{File, Files};

/// Makes a directory and the ancestors that are missing, with durable names.
///
/// # Errors
/// Of the operating system.
pub fn make_directories(files: &dyn Files, path: &Path) -> io::Result<()> {
    files.make_directory(path)?;
    for directory in path.ancestors() {
        let above = parent(directory);
        match files.sync_directory(above) {
            // Not made by this or an earlier process: what those make, they may read.
            Err(error) if is_of_others(&error) => {}
            other => other?,
        }
        if above == Path::new(".") {
            break;
        }
    }
    Ok(())
}

/// Whether a directory belongs to others, or to a file system that nothing can be made in.
fn is_of_others(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(
        error.kind(),
        PermissionDenied | ReadOnlyFilesystem | InvalidInput | Unsupported
    )
}

/// Replaces a file: temporary file, sync, rename, sync of the directory.
///
/// # Errors
/// Of the operating system. The file is the old or the new one.
pub fn replace(files: &dyn Files, path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(files, path, |file| file.append(bytes).map(|_| ()))
}

/// The same with bytes that `write` appends bit by bit.
///
/// # Errors
/// Of the operating system. The file is the old or the new one.
pub fn replace_with<T>(
    files: &dyn Files,
    path: &Path,
    write: impl FnOnce(&dyn File) -> io::Result<T>,
) -> io::Result<T> {
    let unfinished = unfinished(path);
    let written = write_unfinished_with(files, &unfinished, write)?;
    name(files, &unfinished, path)?;
    Ok(written)
}

/// The temporary file of a file: what a crash leaves under this name is not complete.
#[must_use]
pub fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Writes a file whose name is not durable yet, over what a crash left there.
///
/// # Errors
/// Of the operating system.
pub fn write_unfinished(files: &dyn Files, path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_unfinished_with(files, path, |file| file.append(bytes).map(|_| ()))
}

fn write_unfinished_with<T>(
    files: &dyn Files,
    path: &Path,
    write: impl FnOnce(&dyn File) -> io::Result<T>,
) -> io::Result<T> {
    match files.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = files.create(path)?;
    let written = write(&*file).and_then(|written| file.sync().map(|()| written));
    written.inspect_err(|_| {
        // The fault that is told is the first one; what is left is removed at the next start.
        let _ = files.remove(path);
    })
}

/// Gives a written file its name, durably.
///
/// # Errors
/// Of the operating system; the name may be there or not.
pub fn name(files: &dyn Files, unfinished: &Path, path: &Path) -> io::Result<()> {
    files.rename(unfinished, path)?;
    files.sync_directory(parent(path))
}

/// The directory of a name.
#[must_use]
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent == Path::new("") => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        keys::{KeyFile, read_whole},
        local_files::LocalFiles,
    };
    use taffrail_testkit::{SimulatedDisk, disk::Fault};

    fn is_there(disk: &SimulatedDisk, path: &str) -> bool {
        disk.files().list(Path::new(path)).is_ok()
    }

    #[test]
    fn every_directory_that_had_to_be_made_survives_a_power_loss() {
        let disk = SimulatedDisk::new(1);
        make_directories(&*disk.files(), Path::new("/home/me/.taffrail/keys")).unwrap();
        for seed in 0..8 {
            assert!(is_there(&disk.crash(seed), "/home/me/.taffrail/keys"));
        }
    }

    #[test]
    fn a_directory_that_was_made_and_not_synced_survives_too() {
        let disk = SimulatedDisk::new(1);
        make_directories(&*disk.files(), Path::new("/data")).unwrap();
        let spool = Path::new("/data/ship");
        disk.files().make_directory(spool).unwrap();
        let is_kept = |seed| is_there(&disk.crash(seed), "/data/ship");
        assert!(!(0..8).all(is_kept), "the disk drops what is not synced");
        make_directories(&*disk.files(), spool).unwrap();
        assert!((0..8).all(is_kept));
    }

    #[test]
    fn a_replaced_file_is_the_old_or_the_new_one() {
        let path = Path::new("/d/state");
        let prepared = || {
            let disk = SimulatedDisk::new(1);
            make_directories(&*disk.files(), Path::new("/d")).unwrap();
            replace(&*disk.files(), path, b"old").unwrap();
            disk
        };
        let whole = prepared();
        let first = whole.operations();
        replace(&*whole.files(), path, b"new").unwrap();
        for operations in 0..=whole.operations() - first {
            for seed in 0..4 {
                let disk = prepared();
                disk.lose_power_after(operations);
                let result = replace(&*disk.files(), path, b"new");
                let after = disk.crash(seed);
                let found = read_whole(&*after.files(), path).unwrap();
                let is_new = found == b"new";
                assert!(is_new || found == b"old" && result.is_err());
                replace(&*after.files(), path, b"again").unwrap();
            }
        }
    }

    #[test]
    fn a_write_that_fails_leaves_nothing_but_the_old_file() {
        let path = Path::new("/d/state");
        let check = |fail: &dyn Fn(&SimulatedDisk)| {
            let disk = SimulatedDisk::new(1);
            make_directories(&*disk.files(), Path::new("/d")).unwrap();
            replace(&*disk.files(), path, b"old").unwrap();
            fail(&disk);
            let piece = |file: &dyn File| file.append(&[0; 16]);
            let result = replace_with(&*disk.files(), path, |file| {
                piece(file).and_then(|_| piece(file))
            });
            assert!(result.is_err());
            assert_eq!(disk.all_files(), [(path.to_path_buf(), 3)]);
        };
        check(&|disk| disk.set_capacity_bytes(Some(3 + 24)));
        // After looking for a leftover and making the file: both pieces and the sync.
        for operation in 2..=4 {
            check(&|disk| disk.fail_at(disk.operations() + operation, Fault::InputOutput));
        }
    }

    #[test]
    fn a_key_file_comes_with_its_directories() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/x.key");
        let (_, is_made) = KeyFile::load_or_create(&path).unwrap();
        assert!(is_made);
        let (_, is_made) = KeyFile::load_or_create(&path).unwrap();
        assert!(!is_made);
        let names = LocalFiles.list(&root.path().join("a/b")).unwrap();
        assert_eq!(names.len(), 1, "no temporary file is left: {names:?}");
        assert_eq!(parent(Path::new("x")), Path::new("."));
    }
}
