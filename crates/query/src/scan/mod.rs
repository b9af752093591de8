//! The executor.
use crate::{
    request::ScanRequest,
    result::{Context, ScanError, ScanResult},
};
use taffrail_model::id::RecordId;
use taffrail_storage::snapshot::Snapshot;

/// Runs a read over a snapshot.
///
/// # Errors
/// [`ScanError`]; unreadable files are no error but make the answer partial.
pub fn execute(_request: &ScanRequest, _snapshot: &Snapshot) -> Result<ScanResult, ScanError> {
    Err(ScanError::Cancelled)
}

/// A record by its id with its neighbours.
///
/// # Errors
/// As [`execute`].
pub fn context(
    _request: &ScanRequest,
    _snapshot: &Snapshot,
    _id: RecordId,
    _before: usize,
    _after: usize,
    _is_same_source: bool,
) -> Result<Option<Context>, ScanError> {
    Err(ScanError::Cancelled)
}
