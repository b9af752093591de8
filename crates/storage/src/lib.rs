//! The log store: write-ahead log, tails, segments, manifest, recovery, retention.

pub mod read;
pub mod segment;
pub mod snapshot;
pub mod tail;
