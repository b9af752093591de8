//! The file system as a small trait: everything that storage and spool write goes through it, so
//! that the simulated disk of `testkit` can drop what was not synced, tear writes and fail.
//!
//! Contract
//! - What was written is durable only after [`File::sync`] returned `Ok`.
//! - A created, renamed or removed name is durable only after [`Files::sync_directory`] of its
//!   directory returned `Ok`.
//! - After a failed sync the content of the file is unknown; a caller never syncs it again.
use std::{io, path::Path, sync::Arc};

/// Whether an error says that there is no room on the disk.
#[must_use]
pub fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// File name without its directory.
    pub name: String,
    /// Length in bytes; 0 for a directory.
    pub bytes: u64,
    /// Whether it is a directory.
    pub is_directory: bool,
}

/// A file system.
pub trait Files: Send + Sync {
    /// Creates a file that must not exist, for reading and writing, mode 0600.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Opens an existing file for reading: a file system that was remounted read-only is read.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Opens an existing file for reading, overwriting and appending.
    fn open_for_overwrite(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Renames a file, replacing the target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Creates a directory and its parents, mode 0700; fine if it exists.
    fn make_directory(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Makes the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Free bytes of the file system that holds `path`.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// An open file. Methods take `&self`: one owner appends, many read.
pub trait File: Send + Sync {
    /// Writes all of `bytes` at the end and returns the offset at which they begin.
    fn append(&self, bytes: &[u8]) -> io::Result<u64>;
    /// Overwrites existing bytes, or extends the file, at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Fills `buffer` from `offset`; an end of file before that is `UnexpectedEof`.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Makes the content durable (fdatasync).
    fn sync(&self) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}
