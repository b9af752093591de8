//! The pipeline: what a decoder left becomes a batch that may be written.
//!
//! Invariants
//! - [`clean::CleanBatch`] is built at one place, after redaction; storage takes nothing else, so
//!   no unredacted byte can reach the disk.
//! - A record that is not taken is in the rejects, with its index in the request and the reason.
pub mod clean;
pub mod config;
mod parse;
mod process;

pub use config::{ConfigError, LineOptions, PipelineConfig};
pub use process::{Arrival, Pipeline};
