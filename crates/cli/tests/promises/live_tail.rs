//! The live tail: each record once, in order of arrival; what a slow client loses is counted.
use super::tail_client::{Event, Seen, TailClient};
use crate::harness::server::{Server, Start};
use std::sync::{
    Condvar, Mutex,
    atomic::{AtomicU64, Ordering},
};
use taffrail_engine::live::LAG_POSITIONS_MAX;

const STREAM: &str = "app.backend";
const SENDERS: usize = 2;
const BATCH_RECORDS: u64 = 5_000;

/// A batch that was acknowledged. The steps are those of one clock of the whole test.
struct Batch {
    sender: usize,
    first: u64,
    begun_step: u64,
    acknowledged_step: u64,
}

/// How far the reader is that the senders wait for.
#[derive(Default)]
struct Progress {
    seen: Mutex<u64>,
    moved: Condvar,
}

impl Progress {
    fn advance(&self) {
        *self.seen.lock().unwrap() += 1;
        self.moved.notify_all();
    }

    fn wait_for(&self, least: u64) {
        let seen = self.seen.lock().unwrap();
        drop(self.moved.wait_while(seen, |seen| *seen < least).unwrap());
    }
}

/// One record in so many does not match `level:error`.
const NOT_MATCHING_EVERY: u64 = 4;

fn is_match(n: u64) -> bool {
    !n.is_multiple_of(NOT_MATCHING_EVERY)
}

/// Sends `records` records in batches, one after the other; `before` is called before each with
/// the number of records that were sent.
fn send(
    server: &Server,
    sender: usize,
    records: u64,
    clock: &AtomicU64,
    before: impl Fn(u64),
) -> Vec<Batch> {
    let mut batches = Vec::new();
    for first in (0..records).step_by(BATCH_RECORDS as usize) {
        before(first);
        let lines: Vec<String> = (first..first + BATCH_RECORDS)
            .map(|n| {
                let level = if is_match(n) { "error" } else { "info" };
                format!(r#"{{"level":"{level}","message":"work","sender":{sender},"n":{n}}}"#)
            })
            .collect();
        let body = lines.join("\n");
        let begun_step = clock.fetch_add(1, Ordering::SeqCst);
        let answer = server.ingest(STREAM, body).data();
        let acknowledged_step = clock.fetch_add(1, Ordering::SeqCst);
        assert_eq!(answer["accepted"], BATCH_RECORDS, "{answer}");
        batches.push(Batch {
            sender,
            first,
            begun_step,
            acknowledged_step,
        });
    }
    batches
}

/// Each sender's records once and in its order; what was acknowledged before something else was
/// sent comes before it.
fn check_order(seen: &[Seen], expected: impl Fn() -> Vec<u64>, batches: &[Batch]) {
    for sender in 0..SENDERS {
        let of: Vec<u64> = seen
            .iter()
            .filter(|seen| seen.sender == sender)
            .map(|seen| seen.n)
            .collect();
        // Compared by hand: a message with a hundred thousand numbers helps nobody.
        let expected = expected();
        let differs = (0..of.len().max(expected.len())).find(|at| of.get(*at) != expected.get(*at));
        if let Some(at) = differs {
            let (came, due) = (of.get(at), expected.get(at));
            panic!("sender {sender}: record {at} is {came:?}, not {due:?}");
        }
    }
    let extent = |batch: &Batch| {
        let is_of = |seen: &&Seen| {
            seen.sender == batch.sender
                && (batch.first..batch.first + BATCH_RECORDS).contains(&seen.n)
        };
        let places = || seen.iter().enumerate().filter(|(_, seen)| is_of(seen));
        let (first, last) = (places().next(), places().next_back());
        (first.unwrap().0, last.unwrap().0)
    };
    let extents: Vec<_> = batches.iter().map(|batch| (batch, extent(batch))).collect();
    let mut compared = 0;
    for (earlier, (_, last)) in &extents {
        for (later, (first, _)) in &extents {
            if earlier.acknowledged_step < later.begun_step {
                compared += 1;
                assert!(last < first, "what was acknowledged first comes later");
            }
        }
    }
    assert!(compared > 0);
}

fn cursor_number(cursor: &str) -> u64 {
    u64::from_str_radix(&cursor[1..], 16).unwrap()
}

#[test]
fn a_tail_shows_100_000_records_once_in_order_of_arrival_while_two_senders_write() {
    const EACH: u64 = 50_000;
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&Start::in_folder(folder.path()));
    let clock = AtomicU64::new(0);
    let mut tail = TailClient::connect(&server, &format!("streams={STREAM}"));
    let (seen, batches) = std::thread::scope(|scope| {
        let (server, clock) = (&server, &clock);
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| scope.spawn(move || send(server, sender, EACH, clock, |_| {})))
            .collect();
        let reader = scope.spawn(move || {
            let mut seen = Vec::new();
            let mut before = 0;
            while (seen.len() as u64) < EACH * SENDERS as u64 {
                match tail.next() {
                    Event::Record(record, cursor) => {
                        let cursor = cursor_number(&cursor);
                        assert!(cursor > before, "positions do not ascend");
                        before = cursor;
                        seen.push(record);
                    }
                    Event::Dropped(count) => panic!("{count} records were passed over"),
                }
            }
            seen
        });
        let batches: Vec<Batch> = senders
            .into_iter()
            .flat_map(|sender| sender.join().unwrap())
            .collect();
        (reader.join().unwrap(), batches)
    });
    check_order(&seen, || (0..EACH).collect(), &batches);
    // What is read afterwards in order of arrival is what was seen then.
    let stored = server.all(STREAM, &["id", "sender", "n"]);
    assert_eq!(stored.len(), seen.len());
    for (stored, seen) in stored.into_iter().zip(&seen) {
        let stored: Seen = serde_json::from_value(stored).unwrap();
        assert_eq!(&stored, seen);
    }
}

#[test]
fn a_stalled_tail_is_told_what_it_lost_and_harms_nobody() {
    /// More than the lag allows and what the buffers of a connection may hold.
    const EACH: u64 = LAG_POSITIONS_MAX / 2 + 40_000;
    /// How far the senders may be ahead of the client that reads: it must not be too slow itself.
    const AHEAD_RECORDS: u64 = LAG_POSITIONS_MAX / 4;
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&Start::in_folder(folder.path()));
    let clock = AtomicU64::new(0);
    let question = format!("streams={STREAM}&query=level:error");
    let mut stalled = TailClient::connect(&server, &question);
    let mut reading = TailClient::connect(&server, &question);
    let of_each = (0..EACH).filter(|n| is_match(*n)).count() as u64;
    let matching = of_each * SENDERS as u64;

    let progress = Progress::default();
    let (seen, batches) = std::thread::scope(|scope| {
        let (server, clock, progress) = (&server, &clock, &progress);
        let before = move |sent: u64| {
            let sent_by_all = sent * SENDERS as u64;
            let due = sent_by_all.saturating_sub(AHEAD_RECORDS);
            progress.wait_for(due * (NOT_MATCHING_EVERY - 1) / NOT_MATCHING_EVERY);
        };
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| scope.spawn(move || send(server, sender, EACH, clock, before)))
            .collect();
        let reader = scope.spawn(move || {
            let mut seen = Vec::new();
            while (seen.len() as u64) < matching {
                match reading.next() {
                    Event::Record(record, _) => seen.push(record),
                    Event::Dropped(count) => panic!("the client that reads lost {count} records"),
                }
                progress.advance();
            }
            seen
        });
        let batches: Vec<Batch> = senders
            .into_iter()
            .flat_map(|sender| sender.join().unwrap())
            .collect();
        (reader.join().unwrap(), batches)
    });
    let expected = || (0..EACH).filter(|n| is_match(*n)).collect();
    check_order(&seen, expected, &batches);

    // The stalled one reads on: what it gets and what it is told to have lost are, together and
    // place by place, what the other one saw.
    let (mut at, mut received, mut dropped) = (0, 0, 0);
    while at < seen.len() {
        match stalled.next() {
            Event::Record(record, _) => {
                assert_eq!(record, seen[at], "after {received} and {dropped} lost");
                received += 1;
                at += 1;
            }
            Event::Dropped(count) => {
                dropped += count;
                at += usize::try_from(count).unwrap();
            }
        }
    }
    assert_eq!(received + dropped, matching);
    assert!(dropped > 0, "nothing was lost: the client did not stall");
    println!("{matching} match: the stalled client got {received} and lost {dropped}");
}
