//! The narrow waist: what every read is, whoever asks.
//!
//! Invariants
//! - A request cannot be built without a [`RowPolicy`], and nothing takes it out again.
//! - All but [`Control`] is plain data, so that a request can be sent to another node.
use crate::{
    as_of::AsOf,
    cursor::Cursor,
    scan::MemoryPool,
    search::{pipe::Function, tree::Expr},
};
use jiff::tz::TimeZone;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use taffrail_model::{
    access::RowPolicy,
    column::FieldName,
    limits::PAGE_BYTES_MAX,
    position::Position,
    stream::{StreamCatalogue, StreamNumber},
    tenant::TenantNumber,
    time::{TimeRange, Timestamp},
};

/// A read.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    policy: RowPolicy,
    catalogue: Arc<StreamCatalogue>,
    now: Timestamp,
    moment: Timestamp,
    zone: TimeZone,
    output: Output,
    streams: StreamSelection,
    range: TimeRange,
    after: Position,
    upto: Position,
    predicate: Expr,
    node: u16,
    control: Control,
}

/// Which streams are read, within the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamSelection {
    /// All but the product's own events; of those the ones that the predicate names by `stream:`.
    Default,
    /// These.
    Only(Vec<StreamNumber>),
}

/// What comes out.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Records, a page at a time.
    Rows(RowsOutput),
    /// The number of matching records.
    Count,
    /// Counts by time.
    Histogram {
        /// Width of a bucket in ns; buckets begin at its multiples since 1970.
        interval_ns: i64,
        /// Field whose values split the counts.
        by: Option<FieldName>,
    },
    /// The most frequent values of fields.
    Facets {
        /// The fields; `stream` is one too.
        fields: Vec<FieldName>,
        /// Values of each, at most [`taffrail_model::limits::FACET_VALUES_MAX`].
        limit: usize,
    },
    /// Functions of groups.
    Aggregate(Aggregation),
    /// Names, kinds and counts of the fields that matching records have.
    Fields,
    /// Times of the earliest and the latest matching record.
    TimeExtent,
}

/// Functions of the records of each group.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregation {
    /// What makes a group; none: all records are one. At most
    /// [`taffrail_model::limits::AGGREGATE_GROUPS_MAX`] groups.
    pub keys: Vec<GroupKey>,
    /// What is computed of each.
    pub functions: Vec<Function>,
}

/// What the records of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupKey {
    /// The bucket of their time.
    Time {
        /// Width of a bucket in ns, above 0; buckets begin at its multiples since 1970.
        interval_ns: i64,
    },
    /// The text of a field; records without it are a group, too. `stream` is a field.
    Field(FieldName),
}

/// Which records of a matching set, and how much of them.
#[derive(Clone, Debug, PartialEq)]
pub struct RowsOutput {
    /// Their order.
    pub order: Order,
    /// How many, at most [`taffrail_model::limits::PAGE_RECORDS_MAX`]; 0 with `count` only counts.
    pub limit: usize,
    /// How many to pass over, at most [`taffrail_model::limits::OFFSET_RECORDS_MAX`].
    pub offset: usize,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
    /// Fields to return; `None`: all.
    pub fields: Option<Vec<FieldName>>,
    /// Bytes of the records' values after which a page ends, at most
    /// [`taffrail_model::limits::PAGE_BYTES_MAX`]; a page has at least one record, however long.
    pub bytes_max: usize,
    /// Whether the exact total is wanted, which takes a scan of everything that is asked for.
    pub count: bool,
}

impl Default for RowsOutput {
    /// The latest 100, whole, uncounted.
    fn default() -> RowsOutput {
        RowsOutput {
            order: Order::Descending,
            limit: 100,
            offset: 0,
            cursor: None,
            fields: None,
            bytes_max: PAGE_BYTES_MAX,
            count: false,
        }
    }
}

/// Order of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Latest first, by (timestamp, position).
    Descending,
    /// Earliest first, by (timestamp, position).
    Ascending,
    /// In order of arrival, by position.
    Arrival,
}

impl Order {
    pub(crate) fn tag(self) -> u8 {
        match self {
            Order::Descending => 1,
            Order::Ascending => 2,
            Order::Arrival => 3,
        }
    }

    pub(crate) fn from_tag(tag: u8) -> Option<Order> {
        match tag {
            1 => Some(Order::Descending),
            2 => Some(Order::Ascending),
            3 => Some(Order::Arrival),
            _ => None,
        }
    }
}

/// What ends a read early.
#[derive(Clone, Debug, Default)]
pub struct Control {
    deadline: Option<Instant>,
    cancelled: Option<Arc<AtomicBool>>,
    memory: Option<Arc<MemoryPool>>,
}

impl Control {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled
            .as_ref()
            .is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    /// The pool of aggregates; one of its own if none was given.
    pub(crate) fn memory(&self) -> Arc<MemoryPool> {
        self.memory.clone().unwrap_or_default()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

impl ScanRequest {
    /// A read of everything that the policy admits, to be narrowed by the methods below. `now`
    /// decides what retention hides and, without
    /// [`ScanRequest::with_as_of`], what relative times in the predicate mean.
    #[must_use]
    pub fn new(
        policy: RowPolicy,
        catalogue: Arc<StreamCatalogue>,
        now: Timestamp,
        output: Output,
    ) -> ScanRequest {
        ScanRequest {
            policy,
            catalogue,
            now,
            moment: now,
            zone: TimeZone::UTC,
            output,
            streams: StreamSelection::Default,
            range: TimeRange::ALL,
            after: Position::ZERO,
            upto: Position::MAX,
            predicate: Expr::All,
            node: 0,
            control: Control::default(),
        }
    }

    /// Reads times of the predicate that have no zone in this one; UTC without it.
    #[must_use]
    pub fn with_zone(mut self, zone: TimeZone) -> ScanRequest {
        self.zone = zone;
        self
    }

    /// Reads these streams.
    #[must_use]
    pub fn with_streams(mut self, streams: StreamSelection) -> ScanRequest {
        self.streams = streams;
        self
    }

    /// Reads this range of time.
    #[must_use]
    pub fn with_range(mut self, range: TimeRange) -> ScanRequest {
        self.range = range;
        self
    }

    /// Reads positions above `after`, up to and with `upto`.
    #[must_use]
    pub fn with_positions(mut self, after: Position, upto: Position) -> ScanRequest {
        (self.after, self.upto) = (after, upto);
        self
    }

    /// Reads what was there at that point, with times relative to its moment.
    #[must_use]
    pub fn with_as_of(mut self, as_of: AsOf) -> ScanRequest {
        self.upto = self.upto.min(as_of.watermark);
        self.moment = as_of.moment;
        self
    }

    /// Reads what this matches.
    #[must_use]
    pub fn with_predicate(mut self, predicate: Expr) -> ScanRequest {
        self.predicate = predicate;
        self
    }

    /// Asks for something else of the same records.
    #[must_use]
    pub fn with_output(mut self, output: Output) -> ScanRequest {
        self.output = output;
        self
    }

    /// Number of this node, for the ids of records; 0 on one machine.
    #[must_use]
    pub fn with_node(mut self, node: u16) -> ScanRequest {
        self.node = node;
        self
    }

    /// Ends with an error at this moment; without it, after
    /// [`taffrail_model::limits::QUERY_DURATION_MS_MAX`].
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> ScanRequest {
        self.control.deadline = Some(deadline);
        self
    }

    /// Ends with an error soon after the flag is set.
    #[must_use]
    pub fn with_cancel(mut self, cancelled: Arc<AtomicBool>) -> ScanRequest {
        self.control.cancelled = Some(cancelled);
        self
    }

    /// Takes the memory of aggregates from this pool; without it, from one of its own.
    #[must_use]
    pub fn with_memory(mut self, memory: Arc<MemoryPool>) -> ScanRequest {
        self.control.memory = Some(memory);
        self
    }

    /// Reads one tenant only, if the policy has it.
    #[must_use]
    pub fn narrowed_to(mut self, tenant: TenantNumber) -> ScanRequest {
        self.policy = self.policy.narrowed_to(tenant);
        self
    }

    /// What may be read.
    #[must_use]
    pub fn policy(&self) -> &RowPolicy {
        &self.policy
    }

    /// All streams.
    #[must_use]
    pub fn catalogue(&self) -> &Arc<StreamCatalogue> {
        &self.catalogue
    }

    /// The moment of the read.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What relative times are relative to.
    #[must_use]
    pub fn moment(&self) -> Timestamp {
        self.moment
    }

    /// Zone of times that do not say theirs.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// What comes out.
    #[must_use]
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Which streams.
    #[must_use]
    pub fn streams(&self) -> &StreamSelection {
        &self.streams
    }

    /// Which times.
    #[must_use]
    pub fn range(&self) -> TimeRange {
        self.range
    }

    /// Positions (above, up to and with).
    #[must_use]
    pub fn positions(&self) -> (Position, Position) {
        (self.after, self.upto)
    }

    /// Which records.
    #[must_use]
    pub fn predicate(&self) -> &Expr {
        &self.predicate
    }

    /// Number of this node.
    #[must_use]
    pub fn node(&self) -> u16 {
        self.node
    }

    /// What ends the read early.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }
}
