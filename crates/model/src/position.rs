//! Positions and partitions: where a record stands in the log.
use crate::{stream::StreamNumber, tenant::TenantNumber, time::Day};
use serde::{Deserialize, Serialize};

/// Place of a record in the order of commitment: monotone per node, starting at 1, 48 bits.
/// `Position(0)` stands before every record.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// Before every record.
    pub const ZERO: Position = Position(0);
    /// The greatest position: an id has 48 bits for it.
    pub const MAX: Position = Position((1 << 48) - 1);
}

/// The unit of retention and pruning: one stream of one tenant on one UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartitionKey {
    /// Whose.
    pub tenant: TenantNumber,
    /// Which stream.
    pub stream: StreamNumber,
    /// UTC day of the records' timestamps.
    pub day: Day,
}
