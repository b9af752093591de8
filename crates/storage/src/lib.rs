//! The log store: write-ahead log, tails, segments, manifest, recovery, retention.

pub mod container;
mod encoding;
pub mod keys;
pub mod local_files;
pub mod read;
pub mod segment;
pub mod snapshot;
pub mod tail;
mod wal;
