//! Public id of a record: a UUIDv8 that says where the record stands, so that a lookup touches
//! one day of one stream.
//!
//! Layout, from the most significant bit (RFC 9562, version 8):
//! `day 16 | stream 16 | node 16 | version 4 | epoch 10, zero 2 | variant 2 | zero 14 | position 48`.
use crate::{position::Position, stream::StreamNumber, time::Day};

/// The parts of a record's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// UTC day of the timestamp.
    pub day: Day,
    /// Stream.
    pub stream: StreamNumber,
    /// Node that committed the record; 0 on one machine.
    pub node: u16,
    /// Counts restores of the data directory; below 1,024.
    pub epoch: u16,
    /// Position, below 2^48.
    pub position: Position,
}

/// The text is no id of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a record: ids look like 4fe90001-0000-8000-8000-00000000002a")]
pub struct RecordIdError;

impl RecordId {
    /// The 128 bits.
    #[must_use]
    pub fn to_bits(self) -> u128 {
        (u128::from(self.day.0) << 112)
            | (u128::from(self.stream.0) << 96)
            | (u128::from(self.node) << 80)
            | (8 << 76)
            | (u128::from(self.epoch & 0x3ff) << 66)
            | (0b10 << 62)
            | u128::from(self.position.0 & Position::MAX.0)
    }

    /// The parts of 128 bits, if they are an id.
    #[must_use]
    pub fn from_bits(bits: u128) -> Option<RecordId> {
        let id = RecordId {
            day: Day((bits >> 112) as u16),
            stream: StreamNumber((bits >> 96) as u16),
            node: (bits >> 80) as u16,
            epoch: (bits >> 66) as u16 & 0x3ff,
            position: Position(bits as u64 & Position::MAX.0),
        };
        (id.to_bits() == bits).then_some(id)
    }
}

impl std::fmt::Display for RecordId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bits = self.to_bits();
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            (bits >> 96) as u32,
            (bits >> 80) as u16,
            (bits >> 64) as u16,
            (bits >> 48) as u16,
            bits as u64 & 0xffff_ffff_ffff
        )
    }
}

impl std::str::FromStr for RecordId {
    type Err = RecordIdError;

    fn from_str(text: &str) -> Result<RecordId, RecordIdError> {
        let bytes = text.as_bytes();
        if bytes.len() != 36 || [8, 13, 18, 23].iter().any(|at| bytes[*at] != b'-') {
            return Err(RecordIdError);
        }
        let mut bits = 0u128;
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                continue;
            }
            let digit = char::from(*byte).to_digit(16).ok_or(RecordIdError)?;
            bits = bits << 4 | u128::from(digit);
        }
        RecordId::from_bits(bits).ok_or(RecordIdError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_shape() {
        let id = RecordId {
            day: Day(20_457),
            stream: StreamNumber(16),
            node: 3,
            epoch: 1_023,
            position: Position::MAX,
        };
        let text = id.to_string();
        assert_eq!(text, "4fe90010-0003-8ffc-8000-ffffffffffff");
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_uppercase().parse(), Ok(id));
        for bad in [
            "",
            "4fe90010-0003-4ffc-8000-ffffffffffff",
            "4fe90010-0003-8ffc-c000-ffffffffffff",
            "4fe90010x0003-8ffc-8000-ffffffffffff",
            "4fe90010-0003-8ffc-8000-fffffffffffg",
        ] {
            assert_eq!(bad.parse::<RecordId>(), Err(RecordIdError), "{bad}");
        }
    }
}
