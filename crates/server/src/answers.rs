//! Memory of answers that clients have not read yet.
//!
//! Invariants
//! - The answers of all reads together hold at most what the room has until they are handed to the
//!   system or dropped with their connection; past it a read is refused (503).
//! - An account holds one answer, or several of at most a quarter of the room together: those who do
//!   not read leave room for the others.
//! - Whoever asks for little is not refused for those who do not read: answers up to
//!   [`SMALL_BYTES_MAX`] are free, and bounded by the number of connections.
//! - However many accounts read slowly, one that holds less than an equal share of the room waits for
//!   it no longer than [`ANSWER_HELD_MIN`]: answers that are older are cut for it, those of the
//!   largest holder first, oldest first. An account that was cut holds half of what it might before,
//!   for [`SHRUNK_FOR`]: it does not take the same room again at once.
//!
//! The share lives in the bytes themselves, not in the body around them: the connection drops the
//! body as soon as it has taken the bytes over, long before a slow client has read them. The bytes of
//! an answer that is cut count as free at once; its connection is woken and drops them.
use crate::problem::{Kind, Problem};
use axum::body::Bytes;
use futures_util::task::AtomicWaker;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::Context,
    time::Duration,
};
use taffrail_model::access::Principal;
use tokio::time::Instant;

/// The part of the room that one account has: two pages of the largest size, of eight.
const HOLDERS_OF_ALL_ROOM: usize = 4;
/// Bytes of an answer that needs no share: with every connection open they are 16 MiB.
pub(crate) const SMALL_BYTES_MAX: usize = 4 << 10;
/// How long an answer stays, whoever needs its room: a client on the same network has read the
/// largest page ten times by then. Only where all the room is taken does anybody notice.
pub const ANSWER_HELD_MIN: Duration = Duration::from_secs(1);
/// How long an account whose answer was cut holds less than others.
const SHRUNK_FOR: Duration = Duration::from_secs(60);

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
pub(crate) struct Answers {
    taken: Arc<Taken>,
    held_min: Duration,
}

struct Taken(Mutex<Shares>);

/// Who holds what.
#[derive(Default)]
struct Shares {
    bytes_max: usize,
    bytes: usize,
    by_holder: HashMap<Holder, Share>,
    /// The accounts that were cut within [`SHRUNK_FOR`].
    shrunk: HashMap<Holder, Shrunk>,
    next_answer: u64,
    cut: u64,
}

#[derive(Default)]
struct Share {
    bytes: usize,
    /// By number: oldest first.
    answers: BTreeMap<u64, Waiting>,
}

struct Waiting {
    bytes: usize,
    since: Instant,
    cut: Arc<Cut>,
}

struct Shrunk {
    bytes_max: usize,
    until: Instant,
}

/// Tells the connection of an answer that it is cut. It lives as long as bytes of the answer do.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    is_cut: AtomicBool,
    connection: AtomicWaker,
}

impl Cut {
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.connection.wake();
    }

    /// Whether the answer is cut; if not, the task is woken when it is.
    pub(crate) fn poll_cut(&self, context: &Context<'_>) -> bool {
        self.connection.register(context.waker());
        self.is_cut.load(Ordering::Acquire)
    }
}

/// Mark of a response whose answer may be cut while it is sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct CutMark(pub(crate) Weak<Cut>);

/// An answer that counts until its last byte is sent or dropped.
#[derive(Debug)]
pub(crate) struct HeldAnswer {
    pub(crate) text: Bytes,
    pub(crate) mark: CutMark,
}

impl Taken {
    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers {
    /// Room for so many bytes. `held_min`: how long an answer stays, whoever needs its room.
    pub(crate) fn new(bytes_max: usize, held_min: Duration) -> Answers {
        let shares = Shares {
            bytes_max,
            ..Shares::default()
        };
        Answers {
            taken: Arc::new(Taken(Mutex::new(shares))),
            held_min,
        }
    }

    /// Makes an answer of its text, which counts until its last byte is sent or dropped.
    ///
    /// # Errors
    /// 503 if the answers that wait leave no room for it.
    pub(crate) fn hold(&self, holder: &Holder, text: Vec<u8>) -> Result<HeldAnswer, Problem> {
        if text.len() <= SMALL_BYTES_MAX {
            return Ok(HeldAnswer {
                text: text.into(),
                mark: CutMark::default(),
            });
        }
        // What was kept for growth would not be counted.
        let text = text.into_boxed_slice();
        // An answer that is larger than the room takes all of it.
        let now = Instant::now();
        let cut = Arc::new(Cut::default());
        let number = {
            let mut shares = self.taken.lock();
            let bytes = text.len().min(shares.bytes_max);
            shares.check_own(holder, bytes, now)?;
            if shares.bytes + bytes > shares.bytes_max {
                shares.make_room(holder, bytes, now, self.held_min)?;
            }
            shares.take(holder, bytes, now, cut.clone())
        };
        let mark = CutMark(Arc::downgrade(&cut));
        let held = Held {
            text,
            number,
            holder: holder.clone(),
            taken: self.taken.clone(),
            _cut: cut,
        };
        Ok(HeldAnswer {
            text: Bytes::from_owner(held),
            mark,
        })
    }

    /// Bytes that are taken.
    pub(crate) fn held_bytes(&self) -> usize {
        self.taken.lock().bytes
    }

    /// Answers that were cut to make room.
    pub(crate) fn cut_count(&self) -> u64 {
        self.taken.lock().cut
    }
}

fn refused(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::Overloaded, detail.into())
}

impl Shares {
    fn holder_bytes_max(&self) -> usize {
        self.bytes_max / HOLDERS_OF_ALL_ROOM
    }

    fn own(&self, holder: &Holder) -> usize {
        self.by_holder.get(holder).map_or(0, |share| share.bytes)
    }

    /// Whether a holder may have so many bytes more, as far as it alone is looked at.
    fn check_own(&self, holder: &Holder, bytes: usize, now: Instant) -> Result<(), Problem> {
        let own = self.own(holder);
        if own > 0 && own + bytes > self.holder_bytes_max() {
            return Err(refused(
                "too many answers wait for clients of this account that read them slowly",
            ));
        }
        match self.shrunk.get(holder).filter(|shrunk| now < shrunk.until) {
            Some(shrunk) if own + bytes > shrunk.bytes_max => Err(refused(format!(
                "an answer of this account was read too slowly while others waited: for a minute \
                 its answers may have at most {} bytes",
                shrunk.bytes_max
            ))),
            _ => Ok(()),
        }
    }

    /// Cuts answers of those who hold more than an equal share, for one who would not.
    fn make_room(
        &mut self,
        holder: &Holder,
        bytes: usize,
        now: Instant,
        held_min: Duration,
    ) -> Result<(), Problem> {
        let own = self.own(holder);
        let holders = self.by_holder.len() + usize::from(own == 0);
        let equal_share = self.bytes_max / holders;
        let missing = (self.bytes + bytes).saturating_sub(self.bytes_max);
        let full = || refused("too many answers wait for clients that read them slowly");
        if own + bytes > equal_share {
            return Err(full());
        }
        let cut = self.to_cut(holder, equal_share, missing, |waiting| {
            now.saturating_duration_since(waiting.since) >= held_min
        });
        let Some(cut) = cut else {
            return Err(full());
        };
        self.shrunk.retain(|_, shrunk| now < shrunk.until);
        for (slow, number) in cut {
            self.cut_answer(&slow, number, now);
        }
        Ok(())
    }

    /// Answers of which so many bytes come free; `None` if there are not as many.
    fn to_cut(
        &self,
        but: &Holder,
        equal_share: usize,
        missing: usize,
        may_be_cut: impl Fn(&Waiting) -> bool,
    ) -> Option<Vec<(Holder, u64)>> {
        let mut largest: Vec<_> = self
            .by_holder
            .iter()
            .filter(|(holder, share)| *holder != but && share.bytes > equal_share)
            .collect();
        largest.sort_by_key(|(_, share)| std::cmp::Reverse(share.bytes));
        let mut cut = Vec::new();
        let mut freed = 0;
        for (holder, share) in largest {
            let mut left = share.bytes;
            let old = share
                .answers
                .iter()
                .filter(|(_, waiting)| may_be_cut(waiting));
            for (number, waiting) in old {
                if freed >= missing || left <= equal_share {
                    break;
                }
                freed += waiting.bytes;
                left -= waiting.bytes;
                cut.push((holder.clone(), *number));
            }
        }
        (freed >= missing).then_some(cut)
    }

    fn cut_answer(&mut self, holder: &Holder, number: u64, now: Instant) {
        let Some(waiting) = self.give_back(holder, number) else {
            return;
        };
        waiting.cut.cut();
        self.cut += 1;
        let bytes_max = self.holder_bytes_max();
        let shrunk = self.shrunk.entry(holder.clone()).or_insert(Shrunk {
            bytes_max,
            until: now,
        });
        shrunk.bytes_max = (shrunk.bytes_max / 2).max(SMALL_BYTES_MAX);
        shrunk.until = now + SHRUNK_FOR;
    }

    fn take(&mut self, holder: &Holder, bytes: usize, now: Instant, cut: Arc<Cut>) -> u64 {
        let number = self.next_answer;
        self.next_answer += 1;
        self.bytes += bytes;
        let share = self.by_holder.entry(holder.clone()).or_default();
        share.bytes += bytes;
        let waiting = Waiting {
            bytes,
            since: now,
            cut,
        };
        share.answers.insert(number, waiting);
        number
    }

    /// Frees the room of an answer, if it was not cut before.
    fn give_back(&mut self, holder: &Holder, number: u64) -> Option<Waiting> {
        let share = self.by_holder.get_mut(holder)?;
        let waiting = share.answers.remove(&number)?;
        share.bytes -= waiting.bytes;
        self.bytes -= waiting.bytes;
        if share.answers.is_empty() {
            self.by_holder.remove(holder);
        }
        Some(waiting)
    }
}

struct Held {
    text: Box<[u8]>,
    number: u64,
    holder: Holder,
    taken: Arc<Taken>,
    _cut: Arc<Cut>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.taken.lock().give_back(&self.holder, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const ANSWERS_BYTES_MAX: usize = 64 << 20;
    const HOLDER_BYTES_MAX: usize = ANSWERS_BYTES_MAX / 4;

    fn account(number: i64) -> Holder {
        Holder::Account(number)
    }

    fn answers() -> Answers {
        Answers::new(ANSWERS_BYTES_MAX, ANSWER_HELD_MIN)
    }

    #[test]
    fn answers_count_until_their_last_part_is_gone() {
        let answers = answers();
        let hold = |number, bytes| answers.hold(&account(number), vec![b'x'; bytes]);
        let half = |number| hold(number, ANSWERS_BYTES_MAX / 2);
        let (first, second) = (half(1).unwrap().text, half(2).unwrap().text);
        assert_eq!(
            hold(3, SMALL_BYTES_MAX + 1).unwrap_err().kind(),
            Kind::Overloaded
        );
        assert!(hold(3, SMALL_BYTES_MAX).is_ok());
        let part = first.slice(7..8);
        drop(first);
        assert!(half(3).is_err());
        drop(part);
        assert_eq!(half(3).unwrap().text.len(), ANSWERS_BYTES_MAX / 2);
        drop(second);
        assert_eq!(answers.held_bytes(), 0);
        assert!(answers.taken.lock().by_holder.is_empty());
    }

    #[test]
    fn an_answer_larger_than_the_room_takes_all_of_it() {
        let answers = answers();
        let held = answers
            .hold(&account(1), vec![0; ANSWERS_BYTES_MAX + 1])
            .unwrap();
        assert_eq!(held.text.len(), ANSWERS_BYTES_MAX + 1);
        assert_eq!(answers.held_bytes(), ANSWERS_BYTES_MAX);
        drop(held);
        assert_eq!(answers.held_bytes(), 0);
    }

    #[test]
    fn an_account_holds_one_answer_or_its_share() {
        let answers = answers();
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

    fn is_cut(answer: &HeldAnswer) -> bool {
        let cut = answer.mark.0.upgrade().unwrap();
        cut.is_cut.load(Ordering::Acquire)
    }

    /// Four accounts that hold all the room and read slowly.
    fn four_slow(answers: &Answers) -> Vec<HeldAnswer> {
        (1..=4)
            .map(|number| answers.hold(&account(number), vec![0; HOLDER_BYTES_MAX]))
            .map(Result::unwrap)
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn slow_accounts_make_room_for_one_that_holds_less() {
        let answers = answers();
        let slow = four_slow(&answers);
        let page = || answers.hold(&account(5), vec![0; 8 << 20]);
        advance(ANSWER_HELD_MIN - Duration::from_millis(1)).await;
        assert_eq!(page().unwrap_err().kind(), Kind::Overloaded);
        assert!(!slow.iter().any(is_cut));
        advance(Duration::from_millis(1)).await;
        let served = page().unwrap();
        assert_eq!(slow.iter().filter(|answer| is_cut(answer)).count(), 1);
        assert!(!is_cut(&served));
        assert_eq!(answers.cut_count(), 1);
        // What was cut is counted once, however late it goes.
        assert_eq!(answers.held_bytes(), 3 * HOLDER_BYTES_MAX + (8 << 20));
        drop(slow);
        assert_eq!(answers.held_bytes(), 8 << 20);
        drop(served);
        assert_eq!(answers.held_bytes(), 0);
        assert!(answers.taken.lock().by_holder.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_cut_for_who_would_hold_more_than_others_or_in_vain() {
        let answers = answers();
        let slow = four_slow(&answers);
        advance(ANSWER_HELD_MIN).await;
        let equal_share = ANSWERS_BYTES_MAX / 5;
        let hold = |bytes| answers.hold(&account(5), vec![0; bytes]);
        assert!(hold(equal_share + 1).is_err());
        // Of those who hold it already, each has its share.
        let more = answers.hold(&account(1), vec![0; SMALL_BYTES_MAX + 1]);
        assert!(more.is_err());
        assert!(!slow.iter().any(is_cut));
        assert!(hold(equal_share).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_cut_holds_less_for_a_while() {
        let answers = answers();
        let slow = four_slow(&answers);
        advance(ANSWER_HELD_MIN).await;
        let served = answers.hold(&account(5), vec![0; 1 << 20]).unwrap();
        let cut = slow.iter().position(is_cut).unwrap();
        let again = |bytes| answers.hold(&account(cut as i64 + 1), vec![0; bytes]);
        assert!(again(HOLDER_BYTES_MAX / 2 + 1).is_err());
        let half = again(HOLDER_BYTES_MAX / 2).unwrap();
        assert!(again(SMALL_BYTES_MAX + 1).is_err());
        drop((half, served, slow));
        advance(SHRUNK_FOR).await;
        assert!(again(HOLDER_BYTES_MAX).is_ok());
    }

    /// A hundred accounts take whatever they get, again and again, and read nothing. One more asks for
    /// a page of ordinary size from time to time.
    #[tokio::test(start_paused = true)]
    async fn no_number_of_slow_accounts_keeps_another_from_reading() {
        let answers = answers();
        let mut held: HashMap<i64, Vec<HeldAnswer>> = HashMap::new();
        for round in 0..50 {
            for attacker in 1..=100 {
                let own = held.entry(attacker).or_default();
                // Their connections end when they are cut.
                own.retain(|answer| !is_cut(answer));
                for bytes in [HOLDER_BYTES_MAX, 4 << 20, 1 << 20, 256 << 10, 64 << 10] {
                    own.extend(answers.hold(&account(attacker), vec![0; bytes]));
                }
            }
            advance(ANSWER_HELD_MIN).await;
            for _ in 0..10 {
                let page = answers.hold(&account(0), vec![0; 100 << 10]);
                assert!(page.is_ok(), "round {round}");
            }
            assert!(answers.held_bytes() <= ANSWERS_BYTES_MAX);
        }
    }
}
