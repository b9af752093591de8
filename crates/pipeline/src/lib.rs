//! The pipeline: what a decoder left becomes a batch that may be written.
//!
//! Invariants
//! - [`clean::CleanBatch`] is built at one place, after redaction; storage takes nothing else, so
//!   no unredacted byte can reach the disk.
//! - A record that is not taken is in the rejects, with its index in the request and the reason.
//! - Work is done column by column: a batch that is canonical already is moved, not copied.
pub mod capture;
pub mod clean;
pub mod config;
mod process;

mod enrich;
mod json;
mod overflow;
mod ownership;
mod parse;
mod redact;
mod required;
mod route;
mod rows;
mod split;

pub use capture::{CaptureConfig, CaptureRule, CaptureRules, Captured, Decision, Origin};
pub use config::{ConfigError, LineOptions, PipelineConfig, RedactionConfig, RoutingConfig, Side};
pub use enrich::Stamp;
pub use ownership::{PROCESS_NAME, Writer};
pub use parse::line::names as line_formats;
pub use process::{Arrival, NewId, Pipeline};
