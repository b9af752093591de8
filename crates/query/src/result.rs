//! What a read gives: plain structs that keep each value's JSON kind and original text.
//! Why not Arrow: docs/adr/0001-scan-results-keep-json-scalars.md.
use crate::{
    cursor::{Cursor, RowKey},
    request::Order,
};
use taffrail_model::{
    column::{FieldName, Kind},
    id::RecordId,
    position::Position,
    stream::StreamNumber,
    tenant::TenantNumber,
    time::{TimeRange, Timestamp},
};
use taffrail_storage::snapshot::Fault;

/// The answer of a read.
#[derive(Clone, Debug)]
pub struct ScanResult {
    /// What was asked for.
    pub output: ScanOutput,
    /// Whether something could not be read.
    pub completeness: Completeness,
    /// Every record up to this position was looked at.
    pub watermark: Position,
    /// What it took.
    pub work: ScanWork,
}

/// One variant for each [`crate::request::Output`].
#[derive(Clone, Debug, PartialEq)]
pub enum ScanOutput {
    /// Records.
    Rows(Page),
    /// How many match.
    Count(u64),
    /// Counts by time.
    Histogram(Histogram),
    /// Values of fields, in the order of the request.
    Facets(Vec<Facet>),
    /// Functions of groups.
    Groups(Groups),
    /// Fields, by name.
    Fields(Vec<FieldSummary>),
    /// Earliest and latest matching time.
    TimeExtent(Option<TimeRange>),
}

/// Whether an answer lacks something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completeness {
    /// Whether rows may be missing.
    pub partial: bool,
    /// What could not be read.
    pub faults: Vec<Fault>,
}

/// How much was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanWork {
    /// Blocks that were evaluated.
    pub blocks: u64,
    /// Rows of those blocks.
    pub rows: u64,
}

/// Some records in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The records.
    pub rows: Vec<Row>,
    /// How many match in all pages together, exact, if it was asked for.
    pub total: Option<u64>,
    /// Where the next page begins; `None` if this is the last.
    pub cursor: Option<Cursor>,
}

/// A record.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its time and position.
    pub key: RowKey,
    /// Whose.
    pub tenant: TenantNumber,
    /// Its stream.
    pub stream: StreamNumber,
    /// Its public id.
    pub id: RecordId,
    /// Stored fields: in the order of the projection, or by name if there is none. `timestamp`,
    /// `stream`, `tenant` and `id` are none of them.
    pub fields: Vec<(FieldName, OwnedValue)>,
}

impl Row {
    /// The value of a stored field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OwnedValue> {
        self.fields
            .iter()
            .find(|(have, _)| &**have == name)
            .map(|(_, value)| value)
    }

    /// A cursor that continues after this record.
    #[must_use]
    pub fn cursor(&self, order: Order, watermark: Position) -> Cursor {
        Cursor {
            order,
            after: self.key,
            watermark,
        }
    }
}

/// A value with its JSON kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedValue {
    /// JSON kind.
    pub kind: Kind,
    /// Unescaped text of a string, JSON text of anything else.
    pub text: String,
}

/// Counts by time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Width of a bucket in ns.
    pub interval_ns: i64,
    /// One series without a `by` field, else one for each value, the largest first.
    pub series: Vec<Series>,
}

impl Histogram {
    /// All counts together: the number of matching records.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.series.iter().map(Series::total).sum()
    }
}

/// One line of a histogram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Whose counts.
    pub key: SeriesKey,
    /// (beginning of the bucket, count), ascending, without empty buckets.
    pub points: Vec<(Timestamp, u64)>,
}

impl Series {
    /// All counts together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.points.iter().map(|(_, count)| count).sum()
    }
}

/// Whose counts a series has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeriesKey {
    /// All records: there is no `by` field.
    All,
    /// Records whose field has this text.
    Value(String),
    /// Records without the field.
    Missing,
    /// Records with any other value, where there are more than
    /// [`taffrail_model::limits::HISTOGRAM_SERIES_MAX`].
    Other,
}

/// Functions of groups, in no order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups {
    /// For each group the values of its keys, then those of the functions.
    pub rows: Vec<Vec<Cell>>,
    /// Whether a number of different values is an estimate.
    pub is_estimate: bool,
}

/// One value of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// There is none.
    Null,
    /// A text.
    Text(String),
    /// A number or a boolean, as the JSON text that it came with.
    Json(String),
    /// A whole number.
    Integer(i128),
    /// A finite number.
    Float(f64),
    /// A time.
    Time(Timestamp),
}

impl Cell {
    /// A number; [`Cell::Null`] if it is not finite, which JSON has no word for.
    #[must_use]
    pub fn float(float: f64) -> Cell {
        match float.is_finite() {
            true => Cell::Float(float),
            false => Cell::Null,
        }
    }
}

/// Bytes of a row of a table in memory.
pub(crate) fn row_bytes(row: &[Cell]) -> usize {
    let texts = row.iter().map(|cell| match cell {
        Cell::Text(text) | Cell::Json(text) => text.len(),
        Cell::Null | Cell::Integer(_) | Cell::Float(_) | Cell::Time(_) => 0,
    });
    size_of::<Vec<Cell>>() + size_of_val(row) + texts.sum::<usize>()
}

/// The most frequent values of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet {
    /// The field.
    pub field: FieldName,
    /// Values, the most frequent first, equal counts by text.
    pub values: Vec<FacetValue>,
    /// Number of different values.
    pub distinct: u64,
    /// Whether there are more than [`taffrail_model::limits::FACET_DISTINCT_MAX`] different
    /// values: then `distinct` is an estimate and the counts are lower bounds.
    pub is_estimate: bool,
}

/// A value and how often it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetValue {
    /// Its text.
    pub value: String,
    /// Whether that is JSON: a number in all records that have it, or a boolean in all.
    pub is_json: bool,
    /// Matching records that have it.
    pub count: u64,
}

/// A field of the matching records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSummary {
    /// Its name.
    pub name: FieldName,
    /// Kinds of its values, ascending.
    pub kinds: Vec<Kind>,
    /// Matching records that have it.
    pub count: u64,
}

/// A record and its neighbours.
#[derive(Clone, Debug, PartialEq)]
pub struct Context {
    /// The record.
    pub row: Row,
    /// Those before it, earliest first.
    pub before: Vec<Row>,
    /// Those after it, earliest first.
    pub after: Vec<Row>,
}

/// The answer to a question for a record and its neighbours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContextResult {
    /// The record; `None` if there is none that may be seen.
    pub context: Option<Context>,
    /// Whether something could not be read.
    pub completeness: Completeness,
}

/// Why a read gave no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScanError {
    /// Past the deadline.
    #[error("the query took too long: narrow its time range or streams")]
    DeadlineExceeded,
    /// Nobody waits for the answer any more.
    #[error("the query was cancelled")]
    Cancelled,
    /// Past a limit.
    #[error("{what} may be at most {max}, not {given}")]
    PastLimit {
        /// What.
        what: &'static str,
        /// What was given.
        given: usize,
        /// What is allowed.
        max: usize,
    },
    /// The interval is not positive or gives too many buckets.
    #[error(
        "an interval of {interval_ns} ns gives more than {max} buckets here: use at least {least_ns} ns"
    )]
    TooManyBuckets {
        /// Interval of the request in ns.
        interval_ns: i64,
        /// Buckets that are allowed.
        max: usize,
        /// Shortest interval that stays within the limit, in ns.
        least_ns: i64,
    },
    /// More groups than a table may have.
    #[error(
        "there are more than {max} groups: narrow the query, or group by fields with fewer values"
    )]
    TooManyGroups {
        /// Groups that are allowed.
        max: usize,
    },
    /// One aggregate needs more memory than it may have.
    #[error(
        "the aggregate needs more than {} MiB: narrow the query, group by fields with fewer values, or ask for fewer functions",
        bytes_max >> 20
    )]
    AggregateTooLarge {
        /// Bytes that are allowed.
        bytes_max: usize,
    },
    /// All running aggregates need more memory than they may have.
    #[error(
        "the aggregates that run now need more than {} MiB: ask again later, or narrow the query",
        bytes_max >> 20
    )]
    OutOfMemory {
        /// Bytes that are allowed.
        bytes_max: usize,
    },
    /// The cursor belongs to pages of another order.
    #[error("the cursor belongs to a query with another order")]
    CursorOrder,
    /// A regex of the predicate does not compile within the limits.
    #[error("regex /{pattern}/ cannot be used: {detail}")]
    Regex {
        /// The expression.
        pattern: String,
        /// Why.
        detail: String,
    },
    /// A deletion in effect is not understood, so that it cannot be said what it hides.
    #[error("deletion {sequence} is not understood, so nothing can be shown: {detail}")]
    Deletion {
        /// Its number.
        sequence: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// A time of the predicate cannot be read.
    #[error(transparent)]
    Time(#[from] taffrail_model::time::TimeError),
}
