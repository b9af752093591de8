//! Where a page ended, as a token that a client gives back unread.
//!
//! A cursor holds the order, the key of the last row and the watermark of the first page, so that
//! rows that arrive later disturb no page. The token has 30 bytes: version, order, timestamp,
//! position, watermark (big-endian) and the sum of all tokens (see `token`). It grants nothing: the
//! row policy is the request's.
use crate::{
    request::Order,
    token::{self, Token},
};
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
        token::write(f, bytes)
    }
}

impl std::str::FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Cursor, CursorError> {
        let token: Token<BYTES> = Token::read(text).ok_or(CursorError)?;
        if token.byte(0) != VERSION {
            return Err(CursorError);
        }
        Ok(Cursor {
            order: Order::from_tag(token.byte(1)).ok_or(CursorError)?,
            after: RowKey {
                timestamp: Timestamp(token.number(2) as i64),
                position: Position(token.number(10)),
            },
            watermark: Position(token.number(18)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::check_changes;

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
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        check_changes::<Cursor>(&cursor.to_string());
    }
}
