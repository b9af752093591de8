//! Memory of answers that clients have not read yet.
//!
//! Invariants
//! - The answers of all reads together hold at most [`ANSWERS_BYTES_MAX`] until they are handed to
//!   the system or dropped with their connection; past it a read is refused (503).
//! - An account holds one answer, or several of at most [`HOLDER_BYTES_MAX`] together: those who do
//!   not read leave room for the others.
//! - Whoever asks for little is not refused for those who do not read: answers up to
//!   [`SMALL_BYTES_MAX`] are free, and bounded by the number of connections.
//!
//! The share lives in the bytes themselves, not in the body around them: the connection drops the
//! body as soon as it has taken the bytes over, long before a slow client has read them.
use crate::problem::{Kind, Problem};
use axum::body::Bytes;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use taffrail_model::access::Principal;

/// Bytes of answers that wait for their clients: eight pages of the largest size.
pub(crate) const ANSWERS_BYTES_MAX: usize = 64 << 20;
/// Of them, bytes of one account: two pages of the largest size.
pub(crate) const HOLDER_BYTES_MAX: usize = ANSWERS_BYTES_MAX / 4;
/// Bytes of an answer that needs no share: with every connection open they are 16 MiB.
pub(crate) const SMALL_BYTES_MAX: usize = 4 << 10;

/// Whose share an answer is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// An account, whichever of its sessions and keys asks.
    Account(i64),
    /// A credential without account.
    Credential(Arc<str>),
}

impl Holder {
    pub(crate) fn of(principal: &Principal) -> Holder {
        match principal.account {
            0 => Holder::Credential(principal.credential.clone()),
            account => Holder::Account(account),
        }
    }
}

/// The room for answers.
#[derive(Default)]
pub(crate) struct Answers {
    taken: Arc<Taken>,
}

#[derive(Default)]
struct Taken(Mutex<Shares>);

/// Bytes that are taken.
#[derive(Default)]
struct Shares {
    bytes: usize,
    by_holder: HashMap<Holder, usize>,
}

impl Taken {
    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers {
    /// Makes an answer of its text, which counts until its last byte is sent or dropped.
    ///
    /// # Errors
    /// 503 if the answers that wait leave no room for it.
    pub(crate) fn hold(&self, holder: &Holder, text: Vec<u8>) -> Result<Bytes, Problem> {
        if text.len() <= SMALL_BYTES_MAX {
            return Ok(text.into());
        }
        // What was kept for growth would not be counted.
        let text = text.into_boxed_slice();
        // An answer that is larger than the room takes all of it.
        let bytes = text.len().min(ANSWERS_BYTES_MAX);
        {
            let mut shares = self.taken.lock();
            let own = shares.by_holder.get(holder).copied().unwrap_or(0);
            if own > 0 && own + bytes > HOLDER_BYTES_MAX {
                return Err(Problem::new(
                    Kind::Overloaded,
                    "too many answers wait for clients of this account that read them slowly",
                ));
            }
            if shares.bytes + bytes > ANSWERS_BYTES_MAX {
                return Err(Problem::new(
                    Kind::Overloaded,
                    "too many answers wait for clients that read them slowly",
                ));
            }
            shares.bytes += bytes;
            shares.by_holder.insert(holder.clone(), own + bytes);
        }
        Ok(Bytes::from_owner(Held {
            text,
            bytes,
            holder: holder.clone(),
            taken: self.taken.clone(),
        }))
    }

    /// Bytes that are taken.
    pub(crate) fn held_bytes(&self) -> usize {
        self.taken.lock().bytes
    }
}

struct Held {
    text: Box<[u8]>,
    bytes: usize,
    holder: Holder,
    taken: Arc<Taken>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut shares = self.taken.lock();
        shares.bytes -= self.bytes;
        if let Some(own) = shares.by_holder.get_mut(&self.holder) {
            *own -= self.bytes;
            if *own == 0 {
                shares.by_holder.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(number: i64) -> Holder {
        Holder::Account(number)
    }

    #[test]
    fn answers_count_until_their_last_part_is_gone() {
        let answers = Answers::default();
        let half = |number| answers.hold(&account(number), vec![b'x'; ANSWERS_BYTES_MAX / 2]);
        let (first, second) = (half(1).unwrap(), half(2).unwrap());
        let small = |bytes| answers.hold(&account(3), vec![0; bytes]);
        assert_eq!(
            small(SMALL_BYTES_MAX + 1).unwrap_err().kind(),
            Kind::Overloaded
        );
        assert!(small(SMALL_BYTES_MAX).is_ok());
        let part = first.slice(7..8);
        drop(first);
        assert!(half(3).is_err());
        drop(part);
        assert_eq!(half(3).unwrap().len(), ANSWERS_BYTES_MAX / 2);
        drop(second);
        assert_eq!(answers.held_bytes(), 0);
        assert!(answers.taken.lock().by_holder.is_empty());
    }

    #[test]
    fn an_answer_larger_than_the_room_takes_all_of_it() {
        let answers = Answers::default();
        let held = answers
            .hold(&account(1), vec![0; ANSWERS_BYTES_MAX + 1])
            .unwrap();
        assert_eq!(held.len(), ANSWERS_BYTES_MAX + 1);
        assert_eq!(answers.held_bytes(), ANSWERS_BYTES_MAX);
        drop(held);
        assert_eq!(answers.held_bytes(), 0);
    }

    #[test]
    fn an_account_holds_one_answer_or_its_share() {
        let answers = Answers::default();
        let hold = |holder: &Holder, bytes: usize| answers.hold(holder, vec![0; bytes]);
        // Up to the share, and not a byte more.
        let half = hold(&account(1), HOLDER_BYTES_MAX / 2).unwrap();
        let rest = hold(&account(1), HOLDER_BYTES_MAX / 2).unwrap();
        assert!(hold(&account(1), SMALL_BYTES_MAX + 1).is_err());
        drop((half, rest));
        // One that is larger is served, alone.
        let large = hold(&account(1), HOLDER_BYTES_MAX + 1).unwrap();
        assert!(hold(&account(1), SMALL_BYTES_MAX + 1).is_err());
        // Others, and credentials without account, are not refused for it.
        let other = Holder::Credential("bootstrap".into());
        for holder in [&account(2), &other] {
            assert!(hold(holder, HOLDER_BYTES_MAX).is_ok());
        }
        drop(large);
        assert!(hold(&account(1), HOLDER_BYTES_MAX).is_ok());
    }
}
