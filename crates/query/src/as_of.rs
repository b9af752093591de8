//! What several reads have in common when their answers must agree, as a token that a client gives
//! back unread.
//!
//! Records are only ever added, each at a position above all others: reads up to the same position
//! count the same records, whatever arrives in between, as long as retention takes no day away. The
//! moment is part of it, so that `now-1h` is the same hour for all of them. What retention hides
//! does not depend on it: nobody sees more by an old token.
use crate::token::{self, Token};
use taffrail_model::{position::Position, time::Timestamp};

/// What a read counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOf {
    /// Records up to this position.
    pub watermark: Position,
    /// What relative times are relative to.
    pub moment: Timestamp,
}

/// A text that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give the `as_of` of an answer, unchanged")]
pub struct AsOfError;

const VERSION: u8 = 1;
const BYTES: usize = 1 + 2 * 8 + 4;

impl AsOf {
    /// Everything that is there.
    #[must_use]
    pub fn newest(moment: Timestamp) -> AsOf {
        AsOf {
            watermark: Position::MAX,
            moment,
        }
    }
}

impl std::fmt::Display for AsOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = vec![VERSION];
        bytes.extend(self.watermark.0.to_be_bytes());
        bytes.extend(self.moment.0.to_be_bytes());
        token::write(f, bytes)
    }
}

impl std::str::FromStr for AsOf {
    type Err = AsOfError;

    fn from_str(text: &str) -> Result<AsOf, AsOfError> {
        let token: Token<BYTES> = Token::read(text).ok_or(AsOfError)?;
        if token.byte(0) != VERSION {
            return Err(AsOfError);
        }
        Ok(AsOf {
            watermark: Position(token.number(1)),
            moment: Timestamp(token.number(9) as i64),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::check_changes;

    #[test]
    fn a_token_round_trips_and_any_change_is_noticed() {
        for moment in [i64::MIN, -5, i64::MAX] {
            let as_of = AsOf {
                watermark: Position(77),
                moment: Timestamp(moment),
            };
            assert_eq!(as_of.to_string().parse(), Ok(as_of));
            check_changes::<AsOf>(&as_of.to_string());
        }
    }
}
