//! One life of a store on the simulated disk: from an open to a crash.
use super::{
    ledger::{Deleted, Ledger, Outcome, Retained, SentRequest},
    read_back::{Found, read_back},
    script::{Prepared, Step},
    serials::{BySerial, Serials},
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};
use taffrail_model::{
    clock::Clock,
    stream::StreamCatalogue,
    tenant::TenantNumber,
    time::{Day, NS_PER_DAY, TimeRange, Timestamp},
};
use taffrail_storage::{
    Recall,
    deletion::NewDeletion,
    keys::KeyFile,
    recovery::RecoveryReport,
    store_core::{CommitRequest, IdempotencyKey, StoreCore, StoreOptions},
};
use taffrail_testkit::{Random, SimulatedClock, SimulatedDisk};

/// The data directory.
pub const DIRECTORY: &str = "/var/lib/data";
/// The credential that sends.
const SCOPE: &str = "key 1";

/// A running store.
pub struct Life {
    /// Its disk.
    pub disk: SimulatedDisk,
    /// Its clock.
    pub clock: Arc<SimulatedClock>,
    /// The store.
    pub core: StoreCore,
    /// What recovery reported that a mere crash cannot have caused.
    pub reported: Vec<String>,
    /// All that recovery reported.
    pub report: RecoveryReport,
    catalogue: Arc<StreamCatalogue>,
}

/// Options with random numbers from a seed, so that the same run is the same bytes.
fn options(seed: u64, catalogue: Arc<StreamCatalogue>) -> StoreOptions {
    let random = Mutex::new(Random::from_seeds(&[seed, 0xe17]));
    StoreOptions {
        catalogue,
        entropy: Arc::new(move |out: &mut [u8]| {
            let mut random = random.lock();
            out.fill_with(|| random.next() as u8);
        }),
        selector: Arc::new(BySerial),
        ..StoreOptions::new(DIRECTORY.into())
    }
}

/// SHA-256 of a body, as far as a store can tell: any 32 bytes.
fn body_hash(key: &str) -> [u8; 32] {
    let mut hash = [7; 32];
    for (byte, of_key) in hash.iter_mut().zip(key.bytes()) {
        *byte ^= of_key;
    }
    hash
}

/// The answer that is kept with a key.
fn answer(key: &str) -> Vec<u8> {
    format!("{{\"stored under\":\"{key}\"}}").into_bytes()
}

/// A power loss tears the log's tail and comes between the two copies of the keyring. Whatever else
/// recovery notes is damage.
fn wrong_after_a_crash(report: &RecoveryReport) -> Vec<String> {
    let expected = ["torn tail", "instead of", "it is missing: written anew"];
    let notes = report
        .notes
        .iter()
        .filter(|(_, detail)| !expected.iter().any(|part| detail.contains(part)));
    notes
        .map(|(file, detail)| format!("{file}: {detail}"))
        .collect()
}

impl Life {
    /// All that recovery reported, as texts.
    pub fn reports(&self) -> Vec<String> {
        let notes = self.report.notes.iter();
        let faults = self.report.faults.iter();
        notes
            .map(|(file, detail)| format!("{file}: {detail}"))
            .chain(faults.map(|fault| format!("{}: {}", fault.file, fault.detail)))
            .collect()
    }

    /// Opens the store.
    pub fn open(disk: &SimulatedDisk, now: Timestamp, seed: u64) -> Result<Life, String> {
        let clock = Arc::new(SimulatedClock::new(now));
        let catalogue = Arc::new(StreamCatalogue::built_in());
        let opened = StoreCore::open(
            options(seed, catalogue.clone()),
            disk.files(),
            clock.clone() as Arc<dyn Clock>,
            Arc::new(KeyFile::from_secret([9; 32])),
        );
        let (core, report) = opened.map_err(|error| describe(&error))?;
        Ok(Life {
            disk: disk.clone(),
            clock,
            core,
            reported: wrong_after_a_crash(&report),
            report,
            catalogue,
        })
    }

    /// Everything that readers see.
    pub fn read(&self) -> Found {
        self.disk.unobserved(|| read_back(&self.core.snapshot()))
    }

    /// Runs a step of the script, and writes what comes of it into the ledger.
    pub fn run(&self, step: &Step, ledger: &mut Ledger, steps: &[Step]) {
        match step {
            Step::Ingest(group) => self.ingest(group, ledger),
            Step::Repeat(number) => {
                if let Some(Step::Ingest(group)) = steps.get(*number) {
                    self.ingest(group, ledger);
                }
            }
            // A failure leaves old or new state; the judge looks at it.
            Step::Delete(tenant, serials) => self.delete(*tenant, *serials, ledger),
            Step::CancelDeletion => self.cancel_deletion(ledger),
            Step::Compact => self.compact(),
            Step::Flush => drop(self.core.flush()),
            Step::SnapshotManifest => drop(self.core.snapshot_manifest()),
            Step::Maintain => drop(
                self.core
                    .maintain()
                    .and_then(|()| self.core.collect_garbage()),
            ),
            Step::Idle => self.core.write_idle_watermark(),
            Step::Retain => self.retain(ledger),
            Step::Sleep(days) => self.clock.advance_days(*days),
            Step::Restart => unreachable!("a restart ends the life: see `play`"),
        }
    }

    /// Sends requests at once, as their clients do: what is known under its key is not stored
    /// again. Keys are kept for a day; no client repeats what was answered longer ago.
    pub fn ingest(&self, group: &[Prepared], ledger: &mut Ledger) {
        let mut sent = Vec::new();
        let mut requests = Vec::new();
        let now = self.clock.now();
        for prepared in group {
            let entry = ledger.entry(prepared, self.disk.operations(), now);
            let request = &mut ledger.requests[entry];
            let is_answered = matches!(request.outcome, Outcome::Acknowledged { .. });
            if is_answered && now.0 - request.time.0 >= NS_PER_DAY {
                continue;
            }
            request.time = now;
            let (tenant, key) = (prepared.batch.tenant(), &prepared.key);
            match self.core.recall(tenant, SCOPE, key, &body_hash(key)) {
                Recall::New => {
                    sent.push(entry);
                    requests.push(CommitRequest {
                        batch: prepared.batch.clone().into(),
                        idempotency: Some(IdempotencyKey {
                            scope: SCOPE.into(),
                            key: prepared.key.clone(),
                            body_hash: body_hash(&prepared.key),
                            answer: answer(&prepared.key),
                        }),
                    });
                }
                Recall::Answer(stored) => {
                    assert_eq!(stored, answer(&prepared.key), "another request's answer");
                    ledger.requests[entry].note_repeat(self.disk.operations());
                }
                other => panic!("{} is {other:?}", prepared.key),
            }
        }
        let results = self.core.commit_group(requests);
        assert_eq!(results.len(), sent.len(), "a request without an answer");
        for (entry, result) in sent.into_iter().zip(results) {
            ledger.requests[entry].outcome = match result {
                Ok(committed) => Outcome::Acknowledged {
                    first: committed.first.0,
                    last: committed.last.0,
                    at_operation: self.disk.operations(),
                },
                Err(_) => Outcome::Refused,
            };
        }
    }

    /// Runs a script from its beginning, over restarts; `look` sees every step's end. An error is
    /// that of a start.
    pub fn play(
        self,
        steps: &[Step],
        ledger: &mut Ledger,
        look: &mut dyn FnMut(usize, &Life, &Ledger),
    ) -> Result<Life, String> {
        let mut life = self;
        for (number, step) in steps.iter().enumerate() {
            if let Step::Restart = step {
                let (disk, now) = (life.disk.clone(), life.clock.now());
                drop(life);
                life = Life::open(&disk, now, number as u64)?;
            } else {
                life.run(step, ledger, steps);
            }
            look(number, &life, ledger);
        }
        Ok(life)
    }

    /// Compacts until there is nothing to do, or the disk fails.
    pub fn compact(&self) {
        while self
            .core
            .compact(&|| true)
            .is_ok_and(|report| !report.is_idle())
        {}
    }

    fn delete(&self, tenant: TenantNumber, serials: Serials, ledger: &mut Ledger) {
        let through = self.core.snapshot().watermark();
        ledger.deleted.push(Deleted {
            tenant,
            serials,
            through: through.0,
            begun_at_operation: self.disk.operations(),
            ended_at_operation: None,
            cancelled: None,
        });
        let made = self.core.delete(NewDeletion {
            tenant,
            streams: self.catalogue.iter().map(|stream| stream.number).collect(),
            range: TimeRange::ALL,
            predicate: serials.predicate(),
            created: self.clock.now(),
            through,
            rows_matched: 0,
            note: "asked for".into(),
        });
        if let (Ok(_), Some(deleted)) = (made, ledger.deleted.last_mut()) {
            deleted.ended_at_operation = Some(self.disk.operations());
        }
    }

    fn cancel_deletion(&self, ledger: &mut Ledger) {
        let Some(deleted) = ledger.deleted.last_mut() else {
            return;
        };
        deleted.cancelled = Some((self.disk.operations(), None));
        let newest = self.core.deletions().pop();
        let cancelled = newest.map(|newest| {
            let sequence = newest.deletion.sequence;
            self.core.cancel_deletion(sequence)
        });
        if let Some(Ok(_)) = cancelled {
            deleted.cancelled = deleted
                .cancelled
                .map(|(begun, _)| (begun, Some(self.disk.operations())));
        }
    }

    fn retain(&self, ledger: &mut Ledger) {
        let today = self.clock.now().0.div_euclid(NS_PER_DAY);
        let streams: BTreeMap<u16, Day> = self
            .catalogue
            .iter()
            .filter_map(|stream| {
                let oldest = today - i64::from(stream.retention_days?);
                Some((stream.number.0, Day(u16::try_from(oldest).ok()?)))
            })
            .collect();
        ledger.retained.push(Retained {
            streams,
            begun_at_operation: self.disk.operations(),
            ended_at_operation: None,
        });
        let result = self.core.retain();
        if let (Ok(_), Some(run)) = (result, ledger.retained.last_mut()) {
            run.ended_at_operation = Some(self.disk.operations());
        }
    }
}

impl Ledger {
    /// The entry of a request; a new one if it was never sent.
    fn entry(&mut self, prepared: &Prepared, operations: u64, time: Timestamp) -> usize {
        let known = self
            .requests
            .iter()
            .position(|request| request.key == prepared.key);
        known.unwrap_or_else(|| {
            self.requests.push(SentRequest {
                tenant: prepared.batch.tenant(),
                rows: prepared.rows.clone(),
                sent_at_operation: operations,
                key: prepared.key.clone(),
                time,
                outcome: Outcome::Open,
            });
            self.requests.len() - 1
        })
    }
}

impl SentRequest {
    /// A repeat was answered from memory: the request is stored, wherever.
    fn note_repeat(&mut self, operations: u64) {
        if !matches!(self.outcome, Outcome::Acknowledged { .. }) {
            self.outcome = Outcome::Acknowledged {
                first: 0,
                last: u64::MAX,
                at_operation: operations,
            };
        }
    }
}

/// An error with its causes.
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}
