//! Where a page ended, as a token that a client gives back unread.
//!
//! A cursor holds the order, the key of the last row and the watermark of the first page, so that
//! rows that arrive later disturb no page. The token is hexadecimal text of 27 bytes: version,
//! order, timestamp, position, watermark (big-endian) and a CRC-32C over them, which tells a cut
//! or mistyped token from a good one. It grants nothing: the row policy is the request's.
use crate::request::Order;
use taffrail_model::{position::Position, time::Timestamp};

/// Place of a row in the order of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// Its time.
    pub timestamp: Timestamp,
    /// Its position, which is unique.
    pub position: Position,
}

/// Where the next page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Order of the pages.
    pub order: Order,
    /// The last row that was given out.
    pub after: RowKey,
    /// Rows past this position are not part of the pages.
    pub watermark: Position,
}

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: give the `cursor` of the page before, unchanged")]
pub struct CursorError;

const VERSION: u8 = 1;
const BYTES: usize = 2 + 3 * 8 + 4;

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = vec![VERSION, self.order.tag()];
        bytes.extend(self.after.timestamp.0.to_be_bytes());
        bytes.extend(self.after.position.0.to_be_bytes());
        bytes.extend(self.watermark.0.to_be_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Cursor, CursorError> {
        let bytes = from_hex(text).ok_or(CursorError)?;
        let (body, sum) = bytes.split_at(BYTES - 4);
        if sum != crc32c::crc32c(body).to_be_bytes() || body[0] != VERSION {
            return Err(CursorError);
        }
        let number = |at: usize| {
            body[at..at + 8]
                .iter()
                .fold(0u64, |number, byte| number << 8 | u64::from(*byte))
        };
        Ok(Cursor {
            order: Order::from_tag(body[1]).ok_or(CursorError)?,
            after: RowKey {
                timestamp: Timestamp(number(2) as i64),
                position: Position(number(10)),
            },
            watermark: Position(number(18)),
        })
    }
}

fn from_hex(text: &str) -> Option<[u8; BYTES]> {
    if text.len() != BYTES * 2 {
        return None;
    }
    let mut out = [0; BYTES];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_round_trips_and_any_change_is_noticed() {
        let cursor = Cursor {
            order: Order::Descending,
            after: RowKey {
                timestamp: Timestamp(-5),
                position: Position(77),
            },
            watermark: Position::MAX,
        };
        let token = cursor.to_string();
        assert_eq!(token.parse(), Ok(cursor));
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(changed.parse::<Cursor>(), Err(CursorError), "{changed}");
        }
        for bad in ["", "x", &token[2..], &format!("{token}00"), "é"] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError), "{bad}");
        }
    }
}
