//! Breaches of the protocol, said without flooding.
//!
//! A server that writes its log to stdout breaches the protocol a thousand times a second. The
//! first of each kind are recorded one by one, then one a second with the count of all.
use super::{
    Direction, EXCERPT_BYTES_MAX, attribute,
    record::{Record, Route},
};
use taffrail_model::{
    level::Level,
    time::{NS_PER_S, Timestamp},
};

/// Breaches of a kind that are recorded one by one.
const EACH_MAX: u64 = 10;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    NotJson,
    NotJsonRpc,
    JsonRpcVersion,
    InvalidUtf8,
    UnknownResponseId,
    DuplicateRequestId,
    IdTooLong,
    HeaderMismatch,
}

const KINDS: usize = 8;

impl Violation {
    /// The stable word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Violation::NotJson => "not_json",
            Violation::NotJsonRpc => "not_json_rpc",
            Violation::JsonRpcVersion => "json_rpc_version",
            Violation::InvalidUtf8 => "invalid_utf8",
            Violation::UnknownResponseId => "unknown_response_id",
            Violation::DuplicateRequestId => "duplicate_request_id",
            Violation::IdTooLong => "id_too_long",
            Violation::HeaderMismatch => "header_mismatch",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Violation::NotJson => "what is no JSON",
            Violation::NotJsonRpc => "JSON that is no JSON-RPC message",
            Violation::JsonRpcVersion => "a message of another JSON-RPC version than 2.0",
            Violation::InvalidUtf8 => "a message that is not UTF-8",
            Violation::UnknownResponseId => "an answer to no request",
            Violation::DuplicateRequestId => "a request with an id that waits for its answer",
            Violation::IdTooLong => "an id that is too long to be paired",
            Violation::HeaderMismatch => "HTTP headers that contradict the message",
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    total: u64,
    /// Counted but not in any record yet.
    unsaid: u64,
    said_at: Option<Timestamp>,
}

/// Breaches so far.
#[derive(Debug, Default)]
pub(super) struct Violations {
    counts: [[Count; KINDS]; 2],
}

impl Violations {
    /// Counts a breach; a record of it, unless there have been too many just now.
    pub(super) fn note(
        &mut self,
        violation: Violation,
        direction: Direction,
        time: Timestamp,
        excerpt: &[u8],
    ) -> Option<Record> {
        let count = &mut self.counts[direction as usize][violation as usize];
        count.total += 1;
        count.unsaid += 1;
        let is_quiet = count.total > EACH_MAX
            && count
                .said_at
                .is_some_and(|said| time.0.saturating_sub(said.0) < NS_PER_S);
        if is_quiet {
            return None;
        }
        count.said_at = Some(time);
        let since = std::mem::take(&mut count.unsaid);
        let excerpt = excerpt_of(excerpt);
        let times = if since > 1 {
            format!(" ({since} times)")
        } else {
            String::new()
        };
        let shown = if excerpt.is_empty() {
            String::new()
        } else {
            format!(": {excerpt}")
        };
        let message = format!(
            "protocol violation: the {} sent {}{times}{shown}",
            direction.sender(),
            violation.text()
        );
        let record = Record::new(time, Level::Warn, Route::Error, message)
            .add(attribute::VIOLATION, violation.name())
            .add(attribute::VIOLATION_COUNT, count.total)
            .add(attribute::SENDER, direction.sender());
        Some(if excerpt.is_empty() {
            record
        } else {
            record.add(attribute::EXCERPT, excerpt)
        })
    }

    /// Counts breaches that the next record of the kind tells of.
    pub(super) fn add(&mut self, violation: Violation, direction: Direction, times: u64) {
        let count = &mut self.counts[direction as usize][violation as usize];
        count.total += times;
        count.unsaid += times;
    }

    /// How many there have been.
    pub(super) fn total(&self) -> u64 {
        self.counts.iter().flatten().map(|count| count.total).sum()
    }
}

/// The first bytes as text; what is not UTF-8 is replaced.
pub(super) fn excerpt_of(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(EXCERPT_BYTES_MAX)];
    let mut text = String::from_utf8_lossy(start).into_owned();
    if start.len() < bytes.len() {
        text.push('…');
    }
    text
}
