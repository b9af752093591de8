//! The machine's file system behind [`Files`].
//!
//! Files are created with mode 0600 and directories with 0700: logs are nobody else's business.
//! A file is appended by its one owner, so its length is kept here and an append is one `pwrite`.
use crate::durable;
use rustix::fs::{FlockOperation, OFlags};
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use taffrail_model::files::{Entry, File, Files};

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalFiles;

struct LocalFile {
    file: fs::File,
    /// Where the next append begins.
    end: AtomicU64,
}

impl Files for LocalFiles {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        Ok(Arc::new(LocalFile {
            file,
            end: AtomicU64::new(0),
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        opened(fs::File::open(path)?)
    }

    fn open_for_overwrite(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        opened(fs::OpenOptions::new().read(true).write(true).open(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            // A name that is no UTF-8 is none of ours.
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let is_directory = metadata.is_dir();
            entries.push(Entry {
                name,
                bytes: if is_directory { 0 } else { metadata.len() },
                is_directory,
            });
        }
        entries.sort();
        Ok(entries)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let directory = rustix::fs::open(
            path,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?;
        Ok(rustix::fs::fsync(&directory)?)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let status = rustix::fs::statvfs(path)?;
        Ok(status.f_bavail.saturating_mul(status.f_frsize))
    }
}

fn opened(file: fs::File) -> io::Result<Arc<dyn File>> {
    let end = AtomicU64::new(file.metadata()?.len());
    Ok(Arc::new(LocalFile { file, end }))
}

impl File for LocalFile {
    fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        let offset = self.end.load(Ordering::Acquire);
        self.file.write_all_at(bytes, offset)?;
        self.end
            .store(offset + bytes.len() as u64, Ordering::Release);
        Ok(offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        self.end
            .fetch_max(offset + bytes.len() as u64, Ordering::AcqRel);
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.file)?)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

/// A data directory that no other process may open while this value lives.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: fs::File,
    path: PathBuf,
}

/// Why a data directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The operating system failed.
    #[error("cannot lock {}", .path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

impl DirectoryLock {
    /// Locks a data directory, creating it if it is missing. The lock goes with the process, even
    /// if it is killed.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn acquire(directory: &Path) -> Result<DirectoryLock, LockError> {
        let path = directory.join("lock");
        let io_error = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        durable::make_directories(&LocalFiles, directory).map_err(io_error)?;
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io_error)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DirectoryLock { _file: file, path }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(LockError::InUse(directory.into())),
            Err(error) => Err(io_error(error.into())),
        }
    }

    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_are_private_and_appended() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("a/b");
        LocalFiles.make_directory(&directory).unwrap();
        LocalFiles.make_directory(&directory).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        let path = directory.join("f");
        let file = LocalFiles.create(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(LocalFiles.create(&path).is_err());
        assert_eq!(file.append(b"abc").unwrap(), 0);
        assert_eq!(file.append(b"def").unwrap(), 3);
        file.write_at(1, b"X").unwrap();
        file.sync().unwrap();
        // What is opened for reading needs no right to write, and has none.
        let read_only = LocalFiles.open(&path).unwrap();
        assert!(read_only.append(b"g").is_err());
        assert!(read_only.write_at(0, b"g").is_err());
        let again = LocalFiles.open_for_overwrite(&path).unwrap();
        assert_eq!(again.append(b"g").unwrap(), 6);
        let mut all = [0; 7];
        again.read_at(0, &mut all).unwrap();
        assert_eq!(&all, b"aXcdefg");
        let past = again.read_at(5, &mut [0; 3]).unwrap_err();
        assert_eq!(past.kind(), io::ErrorKind::UnexpectedEof);
        LocalFiles.rename(&path, &directory.join("h")).unwrap();
        LocalFiles.sync_directory(&directory).unwrap();
        let names = LocalFiles.list(&directory).unwrap();
        assert_eq!((names[0].name.as_str(), names[0].bytes), ("h", 7));
        LocalFiles.remove(&directory.join("h")).unwrap();
        assert!(LocalFiles.list(&directory).unwrap().is_empty());
        assert!(LocalFiles.free_bytes(&directory).unwrap() > 0);
    }

    #[test]
    fn a_directory_has_one_owner() {
        let root = tempfile::tempdir().unwrap();
        let lock = DirectoryLock::acquire(root.path()).unwrap();
        let second = DirectoryLock::acquire(root.path()).unwrap_err();
        assert!(matches!(second, LockError::InUse(_)));
        drop(lock);
        DirectoryLock::acquire(root.path()).unwrap();
    }
}
