//! A batch that has been through every stage and may be written.
//!
//! Invariants
//! - The only constructor is private to this crate and called after redaction.
//! - Columns have canonical names; `timestamp`, `stream`, `tenant` and `id` are no columns.
use std::{collections::BTreeMap, sync::Arc};
use taffrail_model::{
    batch::Reject, column::ColumnSet, stream::StreamNumber, tenant::TenantNumber, time::Day,
};

/// Rows of one stream and UTC day.
#[derive(Clone, Debug, PartialEq)]
pub struct CleanPart {
    stream: StreamNumber,
    day: Day,
    timestamps: Vec<i64>,
    columns: ColumnSet,
}

impl CleanPart {
    pub(crate) fn new(
        stream: StreamNumber,
        day: Day,
        timestamps: Vec<i64>,
        columns: ColumnSet,
    ) -> CleanPart {
        debug_assert_eq!(timestamps.len(), columns.rows() as usize);
        CleanPart {
            stream,
            day,
            timestamps,
            columns,
        }
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> StreamNumber {
        self.stream
    }

    /// The UTC day of every row's timestamp.
    #[must_use]
    pub fn day(&self) -> Day {
        self.day
    }

    /// Timestamps of the rows in ns since 1970, in order of arrival.
    #[must_use]
    pub fn timestamps(&self) -> &[i64] {
        &self.timestamps
    }

    /// The other fields of the rows.
    #[must_use]
    pub fn columns(&self) -> &ColumnSet {
        &self.columns
    }

    /// Takes the part apart.
    #[must_use]
    pub fn into_parts(self) -> (StreamNumber, Day, Vec<i64>, ColumnSet) {
        (self.stream, self.day, self.timestamps, self.columns)
    }
}

/// What the pipeline did to a batch, for `/metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchCounts {
    /// Masked values, by rule.
    pub redactions: BTreeMap<Arc<str>, u64>,
    /// Values that went to [`taffrail_model::field::OVERFLOW`].
    pub values_overflowed: u64,
}

impl BatchCounts {
    /// Masked values of all rules.
    #[must_use]
    pub fn redactions_total(&self) -> u64 {
        self.redactions.values().sum()
    }
}

/// One request's records, ready to be committed as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct CleanBatch {
    tenant: TenantNumber,
    parts: Vec<CleanPart>,
    rejects: Vec<Reject>,
    counts: BatchCounts,
}

impl CleanBatch {
    pub(crate) fn new(
        tenant: TenantNumber,
        parts: Vec<CleanPart>,
        rejects: Vec<Reject>,
        counts: BatchCounts,
    ) -> CleanBatch {
        CleanBatch {
            tenant,
            parts,
            rejects,
            counts,
        }
    }

    /// Whose.
    #[must_use]
    pub fn tenant(&self) -> TenantNumber {
        self.tenant
    }

    /// One part for each stream and day.
    #[must_use]
    pub fn parts(&self) -> &[CleanPart] {
        &self.parts
    }

    /// Takes the parts out.
    #[must_use]
    pub fn into_parts(self) -> Vec<CleanPart> {
        self.parts
    }

    /// Rows of all parts.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.parts.iter().map(|part| part.timestamps.len()).sum()
    }

    /// What the pipeline did to the batch.
    #[must_use]
    pub fn counts(&self) -> &BatchCounts {
        &self.counts
    }

    /// What decoder and pipeline did not take, by index.
    #[must_use]
    pub fn rejects(&self) -> &[Reject] {
        &self.rejects
    }

    /// Takes them out.
    #[must_use]
    pub fn take_rejects(&mut self) -> Vec<Reject> {
        std::mem::take(&mut self.rejects)
    }
}
