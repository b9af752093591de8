//! A batch as a decoder leaves it, before the pipeline.
use crate::column::ColumnSet;
use serde::{Deserialize, Serialize};

/// A record that was not taken, with its place in the request and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Index of the record in the request, from 0 (for NDJSON: counted without blank lines).
    pub index: u32,
    /// What kind of fault, a stable word such as `invalid_json`.
    #[serde(rename = "type")]
    pub kind: RejectKind,
    /// What was wrong, where, and what would be right; never a value that could be secret.
    pub detail: String,
}

/// Kinds of rejects; the names are part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectKind {
    /// Not readable as JSON.
    InvalidJson,
    /// Readable, but no object.
    NotAnObject,
    /// Past `RECORD_BYTES_MAX`.
    RecordTooLarge,
    /// Past `NESTING_DEPTH_MAX`.
    TooDeep,
    /// A field name past `FIELD_NAME_BYTES_MAX`.
    FieldNameTooLong,
    /// The timestamp cannot be read.
    InvalidTimestamp,
    /// The timestamp is older than the stream's retention.
    TooOld,
    /// Of a stream and day past `PARTITIONS_PER_BATCH_MAX`.
    TooManyDays,
    /// A strict stream misses a required field.
    MissingField,
    /// Neither message nor any field.
    Empty,
    /// The credential may not write this record.
    NotAllowed,
}

impl RejectKind {
    /// The stable word of the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RejectKind::InvalidJson => "invalid_json",
            RejectKind::NotAnObject => "not_an_object",
            RejectKind::RecordTooLarge => "record_too_large",
            RejectKind::TooDeep => "too_deep",
            RejectKind::FieldNameTooLong => "field_name_too_long",
            RejectKind::InvalidTimestamp => "invalid_timestamp",
            RejectKind::TooOld => "too_old",
            RejectKind::TooManyDays => "too_many_days",
            RejectKind::MissingField => "missing_field",
            RejectKind::Empty => "empty",
            RejectKind::NotAllowed => "not_allowed",
        }
    }
}

/// What a decoder makes of one request: records as columns, under the names that the sender used
/// (nested objects flattened with dots), and what it could not take.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawBatch {
    /// The records.
    pub columns: ColumnSet,
    /// For each row of `columns`, its index in the request.
    pub indexes: Vec<u32>,
    /// Records that could not be decoded.
    pub rejects: Vec<Reject>,
    /// Whether the records are plain lines, whose text is in the column `message` and whose
    /// format the pipeline has yet to recognise.
    pub is_lines: bool,
}
