//! Memory of answers that clients have not read yet.
//!
//! Invariants
//! - The answers of all reads together hold at most [`ANSWERS_BYTES_MAX`] until they are handed to
//!   the system or dropped with their connection; past it a read is refused (503).
//! - Whoever asks for little is not refused for those who do not read: answers up to
//!   [`SMALL_BYTES_MAX`] are free, and bounded by the number of connections.
//!
//! The permit lives in the bytes themselves, not in the body around them: the connection drops the
//! body as soon as it has taken the bytes over, long before a slow client has read them.
use crate::problem::{Kind, Problem};
use axum::body::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of answers that wait for their clients: eight pages of the largest size.
pub(crate) const ANSWERS_BYTES_MAX: usize = 64 << 20;
/// Bytes of an answer that needs no permit: with every connection open they are 16 MiB.
pub(crate) const SMALL_BYTES_MAX: usize = 4 << 10;

/// The room for answers, in bytes.
pub(crate) struct Answers {
    room: Arc<Semaphore>,
}

impl Default for Answers {
    fn default() -> Answers {
        Answers {
            room: Arc::new(Semaphore::new(ANSWERS_BYTES_MAX)),
        }
    }
}

impl Answers {
    /// Makes an answer of its text, which counts until its last byte is sent or dropped.
    ///
    /// # Errors
    /// 503 if the answers that wait leave no room for it.
    pub(crate) fn hold(&self, text: Vec<u8>) -> Result<Bytes, Problem> {
        if text.len() <= SMALL_BYTES_MAX {
            return Ok(text.into());
        }
        // What was kept for growth would not be counted.
        let text = text.into_boxed_slice();
        // An answer that is larger than the room takes all of it.
        let bytes = text.len().min(ANSWERS_BYTES_MAX);
        let permit = u32::try_from(bytes)
            .ok()
            .and_then(|bytes| self.room.clone().try_acquire_many_owned(bytes).ok());
        match permit {
            Some(permit) => Ok(Bytes::from_owner(Held {
                text,
                _permit: permit,
            })),
            None => Err(Problem::new(
                Kind::Overloaded,
                "too many answers wait for clients that read them slowly",
            )),
        }
    }
}

struct Held {
    text: Box<[u8]>,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_count_until_their_last_part_is_gone() {
        let answers = Answers::default();
        let half = || answers.hold(vec![b'x'; ANSWERS_BYTES_MAX / 2]);
        let (first, second) = (half().unwrap(), half().unwrap());
        assert_eq!(
            answers
                .hold(vec![0; SMALL_BYTES_MAX + 1])
                .unwrap_err()
                .kind(),
            Kind::Overloaded
        );
        assert!(answers.hold(vec![0; SMALL_BYTES_MAX]).is_ok());
        let part = first.slice(7..8);
        drop(first);
        assert!(half().is_err());
        drop(part);
        assert_eq!(half().unwrap().len(), ANSWERS_BYTES_MAX / 2);
        drop(second);
        assert_eq!(answers.room.available_permits(), ANSWERS_BYTES_MAX);
    }

    #[test]
    fn an_answer_larger_than_the_room_takes_all_of_it() {
        let answers = Answers::default();
        let held = answers.hold(vec![0; ANSWERS_BYTES_MAX + 1]).unwrap();
        assert_eq!(held.len(), ANSWERS_BYTES_MAX + 1);
        assert_eq!(answers.room.available_permits(), 0);
        drop(held);
        assert_eq!(answers.room.available_permits(), ANSWERS_BYTES_MAX);
    }
}
