//! The pipeline: what a decoder left becomes a batch that may be written.
//!
//! Invariants
//! - [`clean::CleanBatch`] is built at one place, after redaction; storage takes nothing else, so
//!   no unredacted byte can reach the disk.

pub mod clean;
