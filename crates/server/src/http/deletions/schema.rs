//! The shapes of deletions.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use taffrail_engine::deletions::DeletionJob;
use taffrail_model::{
    stream::StreamCatalogue,
    tenant::TenantNumber,
    time::{TimeRange, Timestamp},
};
use utoipa::ToSchema;

/// Deletions.
#[derive(Serialize, ToSchema)]
pub struct Deletions {
    /// By number.
    pub deletions: Vec<Deletion>,
}

/// Records that are taken out for good.
#[derive(Serialize, ToSchema)]
pub struct Deletion {
    /// Its number.
    pub id: u64,
    /// `queued`: the records are hidden; `running`: they are being removed; `done`; `cancelled`;
    /// `failed`: they are hidden and cannot be removed.
    pub state: &'static str,
    /// Whose records.
    pub tenant: String,
    /// Which of them; empty: all of the streams and times.
    pub query: String,
    /// Of which streams.
    pub streams: Vec<String>,
    /// From when on.
    pub start_time: Option<String>,
    /// Until when.
    pub end_time: Option<String>,
    /// Why.
    pub reason: String,
    /// Name of the account that asked for it.
    pub requested_by: String,
    /// When it was made: from then on the records are hidden.
    pub created_at: String,
    /// When it was done or cancelled.
    pub ended_at: Option<String>,
    /// Records that matched when it was made.
    pub rows_matched: u64,
    /// Records that were removed so far. Rules of retention may remove some of them before.
    pub rows_removed: u64,
    /// Segment sections that could hold such records when it was made.
    pub sections_total: u64,
    /// Those of them that hold none any more.
    pub sections_done: u64,
    /// Why it cannot go on.
    pub failure: Option<String>,
}

impl Deletion {
    pub(super) fn new(
        job: &DeletionJob,
        tenants: &BTreeMap<TenantNumber, String>,
        catalogue: &StreamCatalogue,
    ) -> Deletion {
        let deletion = &job.deletion;
        let bound = |time: Timestamp, none: Timestamp| (time != none).then(|| time.to_rfc3339());
        let streams = deletion.streams.iter();
        Deletion {
            id: deletion.sequence,
            state: job.stage.name(),
            tenant: tenants.get(&deletion.tenant).cloned().unwrap_or_default(),
            query: deletion.predicate.clone(),
            streams: streams
                .map(|number| match catalogue.by_number(*number) {
                    Some(stream) => stream.name.to_string(),
                    // It was taken out of the configuration since.
                    None => number.0.to_string(),
                })
                .collect(),
            start_time: bound(deletion.range.start, TimeRange::ALL.start),
            end_time: bound(deletion.range.end, TimeRange::ALL.end),
            reason: job.note.reason.clone(),
            requested_by: job.note.requested_by.clone(),
            created_at: deletion.created.to_rfc3339(),
            ended_at: deletion.ended().map(|time| time.to_rfc3339()),
            rows_matched: deletion.rows_matched,
            rows_removed: deletion.rows_removed,
            sections_total: deletion.sections_total,
            sections_done: deletion.sections_total.saturating_sub(job.sections_left),
            failure: job.failure.clone(),
        }
    }
}

/// What a deletion would hide.
#[derive(Serialize, ToSchema)]
pub struct DeletionPreview {
    /// Always `true`: nothing was deleted.
    pub dry_run: bool,
    /// Records that match.
    pub rows_matched: u64,
    /// Whether there may be more, in what cannot be read.
    pub partial: bool,
}

/// A new deletion.
#[derive(Deserialize, ToSchema)]
pub struct CreateDeletion {
    /// Query text; empty: all of the streams and times. Times without a zone are in UTC.
    pub query: Option<String>,
    /// Stream names and patterns.
    pub streams: Vec<String>,
    /// From when on.
    pub start_time: Option<String>,
    /// Until when.
    pub end_time: Option<String>,
    /// Why: kept with the deletion and in the audit records.
    pub reason: String,
    /// Only count what would be deleted.
    pub dry_run: Option<bool>,
}
