//! What was sent and what was answered, and the judgement over what is found later.
//!
//! The ledger is the independent model: it keeps plain records and knows nothing of files.
use super::{
    read_back::{Found, FoundRow},
    serials::Serials,
};
use std::collections::{BTreeMap, BTreeSet};
use taffrail_model::{
    position::PartitionKey,
    tenant::TenantNumber,
    time::{Day, Timestamp},
};
use taffrail_testkit::PlainRecord;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No answer yet.
    Open,
    /// Durable, at these positions, when the disk had done so many operations.
    Acknowledged {
        /// First position.
        first: u64,
        /// Last position.
        last: u64,
        /// Operations of the disk before the answer.
        at_operation: u64,
    },
    /// Refused: may be there or not, as a whole.
    Refused,
}

/// One request.
#[derive(Clone, Debug)]
pub struct SentRequest {
    /// Whose.
    pub tenant: TenantNumber,
    /// Rows as handed to the store.
    pub rows: Vec<(PartitionKey, PlainRecord)>,
    /// Operations of the disk before the request.
    pub sent_at_operation: u64,
    /// Idempotency key.
    pub key: String,
    /// When it was sent last.
    pub time: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
}

/// All requests, and the days that retention has taken.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// In the order of sending.
    pub requests: Vec<SentRequest>,
    /// Partitions that retention may have taken by an operation: from its start on they may be
    /// gone as a whole, from its end on they are.
    pub retained: Vec<Retained>,
    /// Deletions, in the order in which they were made.
    pub deleted: Vec<Deleted>,
}

/// A deletion: hides its records at once, all of them or none. The script takes one back before
/// any compaction alone, so nothing of it is gone then.
#[derive(Clone, Debug)]
pub struct Deleted {
    /// Whose records.
    pub tenant: TenantNumber,
    /// Which of them.
    pub serials: Serials,
    /// Up to which position.
    pub through: u64,
    /// Operations of the disk before it was asked for.
    pub begun_at_operation: u64,
    /// Operations of the disk before it was answered; `None` if it failed.
    pub ended_at_operation: Option<u64>,
    /// The same of taking it back.
    pub cancelled: Option<(u64, Option<u64>)>,
}

impl Deleted {
    /// What it leaves of the records that it is about.
    fn fate(&self) -> Fate {
        match (self.ended_at_operation, self.cancelled) {
            (_, Some((_, Some(_)))) => Fate::Kept,
            (Some(_), None) => Fate::Gone,
            _ => Fate::KeptOrGone,
        }
    }

    fn is_about(&self, request: &SentRequest, record: &PlainRecord) -> bool {
        let is_before = match request.outcome {
            Outcome::Acknowledged { last, .. } => last <= self.through,
            Outcome::Open | Outcome::Refused => false,
        };
        is_before
            && request.tenant == self.tenant
            && record
                .serial()
                .is_some_and(|serial| self.serials.has(serial))
    }
}

/// A run of retention.
#[derive(Clone, Debug)]
pub struct Retained {
    /// Streams and the oldest day that they keep.
    pub streams: BTreeMap<u16, Day>,
    /// Operations of the disk before it began.
    pub begun_at_operation: u64,
    /// Operations of the disk before it had ended; `None` if it failed.
    pub ended_at_operation: Option<u64>,
}

/// A promise that was broken.
pub type Violation = String;

/// What retention leaves of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Kept,
    KeptOrGone,
    Gone,
}

impl Ledger {
    /// The ledger as it was when the disk had done so many operations: what was sent later was
    /// not sent, what was answered later has no answer.
    pub fn at_operation(&self, operations: u64) -> Ledger {
        let mut then = self.clone();
        then.requests
            .retain(|request| request.sent_at_operation <= operations);
        for request in &mut then.requests {
            if let Outcome::Acknowledged { at_operation, .. } = request.outcome
                && at_operation > operations
            {
                request.outcome = Outcome::Open;
            }
        }
        then.retained
            .retain(|run| run.begun_at_operation <= operations);
        for run in &mut then.retained {
            run.ended_at_operation = run.ended_at_operation.filter(|ended| *ended <= operations);
        }
        then.deleted
            .retain(|deleted| deleted.begun_at_operation <= operations);
        for deleted in &mut then.deleted {
            let is_past = |at: &u64| *at <= operations;
            deleted.ended_at_operation = deleted.ended_at_operation.filter(is_past);
            deleted.cancelled = deleted
                .cancelled
                .filter(|(begun, _)| is_past(begun))
                .map(|(begun, ended)| (begun, ended.filter(is_past)));
        }
        then
    }

    fn fate(&self, key: &PartitionKey) -> Fate {
        self.retained
            .iter()
            .filter(|run| {
                run.streams
                    .get(&key.stream.0)
                    .is_some_and(|oldest| key.day < *oldest)
            })
            .map(|run| match run.ended_at_operation {
                Some(_) => Fate::Gone,
                None => Fate::KeptOrGone,
            })
            .max_by_key(|fate| *fate == Fate::Gone)
            .unwrap_or(Fate::Kept)
    }

    /// What retention and deletions leave of a record.
    fn fate_of(&self, request: &SentRequest, key: &PartitionKey, record: &PlainRecord) -> Fate {
        let deleted = self.deleted.iter();
        deleted
            .filter(|deleted| deleted.is_about(request, record))
            .map(Deleted::fate)
            .chain([self.fate(key)])
            .max()
            .unwrap_or(Fate::Kept)
    }

    /// How many rows were acknowledged and must be found.
    pub fn rows_due(&self) -> usize {
        self.requests
            .iter()
            .filter(|request| matches!(request.outcome, Outcome::Acknowledged { .. }))
            .flat_map(|request| request.rows.iter().map(move |row| (request, row)))
            .filter(|(request, (key, record))| self.fate_of(request, key, record) == Fate::Kept)
            .count()
    }

    /// Judges what was found after a crash.
    pub fn judge(&self, found: &Found) -> Vec<Violation> {
        let mut violations = found.broken.clone();
        violations.extend(
            found
                .read_errors
                .iter()
                .map(|error| format!("a row cannot be read: {error}")),
        );
        violations.extend(
            found
                .faults
                .iter()
                .map(|fault| format!("a fault after a mere crash: {fault:?}")),
        );
        violations.extend(self.judge_rows(found));
        violations
    }

    /// Judges the rows alone: nothing twice, nothing altered, nothing that was not sent; what was
    /// acknowledged is there; requests and expired partitions are there as a whole or not at all.
    pub fn judge_rows(&self, found: &Found) -> Vec<Violation> {
        let mut violations = self.judge_without_absence(found);
        let present: BTreeMap<u64, &FoundRow> = found
            .rows
            .iter()
            .filter_map(|row| Some((row.record.serial()?, row)))
            .collect();
        for (number, request) in self.requests.iter().enumerate() {
            violations.extend(self.judge_request(number, request, &present));
        }
        violations.extend(self.judge_partitions(&present));
        let deleted = self.deleted.iter();
        violations.extend(deleted.flat_map(|deleted| self.judge_deleted(deleted, &present)));
        violations
    }

    /// Records under a deletion are there as a whole or not at all, and not once it was answered.
    fn judge_deleted(
        &self,
        deleted: &Deleted,
        present: &BTreeMap<u64, &FoundRow>,
    ) -> Option<Violation> {
        let others = |request: &SentRequest, record: &PlainRecord| {
            self.deleted.iter().any(|other| {
                !std::ptr::eq(other, deleted)
                    && other.fate() != Fate::Kept
                    && other.is_about(request, record)
            })
        };
        let (mut there, mut gone) = (0, 0);
        for request in &self.requests {
            for (key, record) in &request.rows {
                if deleted.is_about(request, record)
                    && self.fate(key) == Fate::Kept
                    && !others(request, record)
                {
                    let serial = record.serial().unwrap_or_default();
                    match present.contains_key(&serial) {
                        true => there += 1,
                        false => gone += 1,
                    }
                }
            }
        }
        let is_right = match deleted.fate() {
            Fate::Kept => gone == 0,
            Fate::KeptOrGone => there == 0 || gone == 0,
            Fate::Gone => there == 0,
        };
        (!is_right).then(|| {
            let fate = deleted.fate();
            format!("of {deleted:?} ({fate:?}) {there} records are there and {gone} are not")
        })
    }

    /// What must hold whatever is missing.
    pub fn judge_without_absence(&self, found: &Found) -> Vec<Violation> {
        let mut violations = Vec::new();
        let sent: BTreeMap<u64, (&PartitionKey, &PlainRecord)> = self
            .requests
            .iter()
            .flat_map(|request| &request.rows)
            .filter_map(|(key, record)| Some((record.serial()?, (key, record))))
            .collect();
        let mut positions = BTreeSet::new();
        let mut serials = BTreeSet::new();
        for row in &found.rows {
            if !positions.insert(row.position) {
                violations.push(format!("position {} occurs twice", row.position));
            }
            let Some(serial) = row.record.serial() else {
                violations.push(format!("a row that was never sent: {row:?}"));
                continue;
            };
            if !serials.insert(serial) {
                violations.push(format!("record {serial} occurs twice"));
            }
            match sent.get(&serial) {
                None => violations.push(format!("record {serial} was never sent")),
                Some((key, record)) => {
                    if **key != row.key || **record != row.record {
                        violations.push(format!(
                            "record {serial} is altered: sent {key:?} {record:?}, found {row:?}"
                        ));
                    }
                }
            }
        }
        violations
    }

    fn judge_request(
        &self,
        number: usize,
        request: &SentRequest,
        present: &BTreeMap<u64, &FoundRow>,
    ) -> Vec<Violation> {
        let mut violations = Vec::new();
        let kept = request
            .rows
            .iter()
            .filter(|(key, record)| self.fate_of(request, key, record) == Fate::Kept);
        let (there, missing): (Vec<u64>, Vec<u64>) = kept
            .filter_map(|(_, record)| record.serial())
            .partition(|serial| present.contains_key(serial));
        match request.outcome {
            Outcome::Acknowledged { first, last, .. } => {
                if !missing.is_empty() {
                    violations.push(format!(
                        "request {number} was acknowledged and lacks records {missing:?}"
                    ));
                }
                for serial in there {
                    let position = present[&serial].position;
                    if !(first..=last).contains(&position) {
                        violations.push(format!(
                            "record {serial} was acknowledged within {first}..={last} and is at {position}"
                        ));
                    }
                }
            }
            Outcome::Open | Outcome::Refused => {
                if !there.is_empty() && !missing.is_empty() {
                    violations.push(format!(
                        "request {number} is there by half: {there:?}, not {missing:?}"
                    ));
                }
            }
        }
        violations
    }

    fn judge_partitions(&self, present: &BTreeMap<u64, &FoundRow>) -> Vec<Violation> {
        let mut expired: BTreeMap<PartitionKey, (usize, usize)> = BTreeMap::new();
        for request in &self.requests {
            for (key, record) in &request.rows {
                let is_there = record
                    .serial()
                    .is_some_and(|serial| present.contains_key(&serial));
                let is_acknowledged = matches!(request.outcome, Outcome::Acknowledged { .. });
                let is_deleted = self
                    .deleted
                    .iter()
                    .any(|deleted| deleted.is_about(request, record));
                if is_deleted && !is_there {
                    continue;
                }
                if self.fate(key) != Fate::Kept && (is_there || is_acknowledged) {
                    let (there, gone) = expired.entry(*key).or_default();
                    *there += usize::from(is_there);
                    *gone += usize::from(!is_there);
                }
            }
        }
        expired
            .into_iter()
            .filter(|(key, (there, gone))| match self.fate(key) {
                Fate::Gone => *there > 0,
                Fate::KeptOrGone => *there > 0 && *gone > 0,
                Fate::Kept => false,
            })
            .map(|(key, (there, gone))| {
                format!("expired partition {key:?} has {there} rows and lacks {gone}")
            })
            .collect()
    }
}

/// Positions that readers have seen, over all lives of a store.
#[derive(Clone, Debug, Default)]
pub struct PositionsSeen {
    by_position: BTreeMap<u64, u64>,
}

impl PositionsSeen {
    /// Notes what was found; a position must show the record that it has shown before.
    pub fn note(&mut self, rows: &[FoundRow]) -> Vec<Violation> {
        let mut violations = Vec::new();
        for row in rows {
            let serial = row.record.serial().unwrap_or_default();
            let before = *self.by_position.entry(row.position).or_insert(serial);
            if before != serial {
                violations.push(format!(
                    "position {} was record {before} and is record {serial}",
                    row.position
                ));
            }
        }
        violations
    }
}
