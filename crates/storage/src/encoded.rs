//! The rows of a request, encoded for the log: what a commit does without a position or a lock.
//!
//! Invariants
//! - Every part has rows, all of one partition; parts are in the order of their records.
//! - Nothing is sealed yet: a payload has no position, and the record of the idempotency key is put
//!   in front of the first when the request is committed.
use crate::{
    tail,
    wal::{PAYLOAD_BYTES_MAX, Payload},
};
use taffrail_model::{column::ColumnSet, position::PartitionKey, tenant::TenantNumber};
use taffrail_pipeline::clean::CleanBatch;

/// Rows of one partition on their way in.
pub(crate) struct Part {
    pub(crate) key: PartitionKey,
    pub(crate) timestamps: Vec<i64>,
    pub(crate) columns: ColumnSet,
}

/// The same with their payload of the log.
pub(crate) struct EncodedPart {
    pub(crate) key: PartitionKey,
    pub(crate) timestamps: Vec<i64>,
    pub(crate) columns: ColumnSet,
    pub(crate) payload: Vec<u8>,
}

impl EncodedPart {
    fn new(mut part: Part) -> EncodedPart {
        let payload = Payload::encode(None, Some((&part.timestamps, &part.columns)));
        // A tail keeps no room that is not used; here nobody waits for a lock meanwhile.
        for (_, column) in part.columns.iter_mut() {
            column.shrink_to_fit();
        }
        EncodedPart {
            key: part.key,
            timestamps: part.timestamps,
            columns: part.columns,
            payload,
        }
    }
}

/// A batch whose rows are encoded.
pub struct EncodedBatch {
    pub(crate) tenant: TenantNumber,
    pub(crate) parts: Vec<EncodedPart>,
    /// Of all parts, those that no frame can hold included.
    rows: u64,
    memory_bytes: usize,
    /// Whether there was a part that no frame can hold. It is not among the parts, and the batch is
    /// refused when it is committed.
    is_too_large: bool,
}

impl From<CleanBatch> for EncodedBatch {
    fn from(batch: CleanBatch) -> EncodedBatch {
        let tenant = batch.tenant();
        let parts = batch.into_parts().into_iter().map(|part| {
            let (stream, day, timestamps, columns) = part.into_parts();
            let key = PartitionKey {
                tenant,
                stream,
                day,
            };
            Part {
                key,
                timestamps,
                columns,
            }
        });
        EncodedBatch::from_parts(tenant, parts, PAYLOAD_BYTES_MAX)
    }
}

impl EncodedBatch {
    /// Encodes parts; none of more than `part_bytes_max` bytes of a tail.
    pub(crate) fn from_parts(
        tenant: TenantNumber,
        parts: impl IntoIterator<Item = Part>,
        part_bytes_max: usize,
    ) -> EncodedBatch {
        let mut encoded = EncodedBatch {
            tenant,
            parts: Vec::new(),
            rows: 0,
            memory_bytes: 0,
            is_too_large: false,
        };
        let parts = parts.into_iter();
        for part in parts.filter(|part| !part.timestamps.is_empty()) {
            encoded.rows += part.timestamps.len() as u64;
            if tail_bytes(&part.timestamps, &part.columns) > part_bytes_max {
                encoded.is_too_large = true;
                continue;
            }
            let part = EncodedPart::new(part);
            encoded.memory_bytes += tail_bytes(&part.timestamps, &part.columns);
            encoded.parts.push(part);
        }
        encoded
    }

    /// Takes in a batch whose records follow these in the same request. It must be of the same
    /// tenant.
    pub fn append(&mut self, following: EncodedBatch) {
        debug_assert_eq!(self.tenant, following.tenant);
        self.parts.extend(following.parts);
        self.rows += following.rows;
        self.memory_bytes += following.memory_bytes;
        self.is_too_large |= following.is_too_large;
    }

    /// Whose.
    #[must_use]
    pub fn tenant(&self) -> TenantNumber {
        self.tenant
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many parts: one for each stream and day, or several in the order of their records.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Bytes that the rows take in a tail.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.is_too_large
    }
}

/// Bytes that rows take in a tail, where they are one chunk.
fn tail_bytes(timestamps: &[i64], columns: &ColumnSet) -> usize {
    tail::memory_bytes(timestamps.len(), columns).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_model::{column::Kind, stream::StreamNumber, time::Day};

    const TENANT: TenantNumber = TenantNumber(1);

    fn part(day: u16, texts: &[&str]) -> Part {
        let mut columns = ColumnSet::default();
        for (row, text) in (0u32..).zip(texts) {
            let column = columns.get_or_create("message");
            column.push(row, Kind::String, text);
        }
        columns.set_rows(texts.len() as u32);
        Part {
            key: PartitionKey {
                tenant: TENANT,
                stream: StreamNumber(1),
                day: Day(day),
            },
            timestamps: vec![7; texts.len()],
            columns,
        }
    }

    #[test]
    fn parts_keep_their_order_and_their_rows() {
        let mut batch = EncodedBatch::from_parts(
            TENANT,
            [part(1, &["a", "b"]), part(2, &[]), part(3, &["c"])],
            PAYLOAD_BYTES_MAX,
        );
        let following = EncodedBatch::from_parts(TENANT, [part(1, &["d"])], PAYLOAD_BYTES_MAX);
        let memory_bytes = batch.memory_bytes() + following.memory_bytes();
        batch.append(following);
        assert_eq!((batch.rows(), batch.parts()), (4, 3));
        assert_eq!(batch.memory_bytes(), memory_bytes);
        let rows = batch.parts.iter().map(|part| {
            let (_, columns) = Payload::decode(&part.payload).unwrap().rows().unwrap();
            assert_eq!(columns, part.columns);
            (part.key.day.0, columns.rows())
        });
        assert_eq!(rows.collect::<Vec<_>>(), [(1, 2), (3, 1), (1, 1)]);
    }

    #[test]
    fn a_part_that_no_frame_can_hold_is_said() {
        let large = || part(1, &["as long as it may be"]);
        let bytes = tail_bytes(&large().timestamps, &large().columns);
        for (part_bytes_max, is_too_large) in [(bytes, false), (bytes - 1, true)] {
            let parts = [part(2, &["x"]), large()];
            let batch = EncodedBatch::from_parts(TENANT, parts, part_bytes_max);
            assert_eq!(batch.is_too_large(), is_too_large);
            // Its rows count: a batch of nothing else is not one without rows.
            assert_eq!(batch.rows(), 2);
            assert_eq!(batch.parts(), 2 - usize::from(is_too_large));
        }
    }
}
