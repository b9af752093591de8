//! A recorded run of the script: every moment at which the power could have gone, and what was
//! known then. And what has to hold in the life after.
use super::{
    ledger::{Ledger, Outcome, PositionsSeen, Violation},
    life::Life,
    read_back::FoundRow,
    script::{Prepared, Source, Step, noon, script},
};
use std::collections::BTreeMap;
use taffrail_model::{clock::Clock, time::Timestamp};
use taffrail_testkit::{
    Random, SimulatedDisk,
    disk::{CrashPoint, SyncSite},
};

/// The run.
pub struct Recorded {
    /// Seed of everything.
    pub seed: u64,
    /// What was sent and answered in the whole run.
    pub ledger: Ledger,
    /// The state of the disk before each change, and at the end.
    pub points: Vec<CrashPoint>,
    /// The time at the operations at which it changed.
    times: Vec<(u64, Timestamp)>,
    /// All rows that readers have seen, by position.
    seen: BTreeMap<u64, FoundRow>,
    /// Requests for the life after, over all tenants.
    extra: Vec<Prepared>,
    steps: Vec<Step>,
    sites: Vec<SyncSite>,
    /// What was wrong without any crash.
    pub violations: Vec<Violation>,
    /// How many syncs were left out.
    pub syncs_skipped: u64,
}

impl Recorded {
    /// Runs the script once on a disk that leaves out the syncs of `sites`.
    pub fn run(seed: u64, sites: &[SyncSite]) -> Recorded {
        let mut source = Source::new(seed, 3);
        let steps = script(&mut source);
        let extra = (0..6).map(|_| source.request(noon(2))).collect();
        let disk = SimulatedDisk::new(seed);
        sites.iter().for_each(|site| disk.skip_syncs(site.clone()));
        disk.record_crash_points();
        let mut recorded = Recorded {
            seed,
            ledger: Ledger::default(),
            points: Vec::new(),
            times: vec![(0, noon(0))],
            seen: BTreeMap::new(),
            extra,
            steps: Vec::new(),
            sites: sites.to_vec(),
            violations: Vec::new(),
            syncs_skipped: 0,
        };
        match Life::open(&disk, noon(0), seed) {
            Ok(life) => recorded.play(life, &steps),
            Err(error) => recorded.violations.push(format!("a new store: {error}")),
        }
        recorded.points = disk.take_crash_points();
        recorded.steps = steps;
        recorded.syncs_skipped = disk.syncs_skipped();
        recorded
    }

    fn play(&mut self, life: Life, steps: &[Step]) {
        let mut ledger = Ledger::default();
        let played = life.play(steps, &mut ledger, &mut |number, life, ledger| {
            self.times.push((life.disk.operations(), life.clock.now()));
            let found = life.read();
            let wrong = ledger
                .judge(&found)
                .into_iter()
                .chain(life.reported.clone());
            self.violations
                .extend(wrong.map(|text| format!("step {number}: {text}")));
            for row in found.rows {
                self.seen.insert(row.position, row);
            }
        });
        self.violations.extend(played.err());
        self.ledger = ledger;
        for request in &self.ledger.requests {
            if !matches!(request.outcome, Outcome::Acknowledged { .. }) {
                self.violations
                    .push(format!("{} is {:?}", request.key, request.outcome));
            }
        }
    }

    fn time_at(&self, operations: u64) -> Timestamp {
        self.times
            .iter()
            .take_while(|(at, _)| *at <= operations)
            .last()
            .map_or(noon(0), |(_, time)| *time)
    }

    /// What readers may have seen when the disk had done so many operations.
    fn seen_at(&self, ledger: &Ledger) -> PositionsSeen {
        let mut seen = PositionsSeen::default();
        for request in &ledger.requests {
            if let Outcome::Acknowledged { first, last, .. } = request.outcome {
                let rows: Vec<_> = self
                    .seen
                    .range(first..=last)
                    .map(|(_, row)| row.clone())
                    .collect();
                seen.note(&rows);
            }
        }
        seen
    }

    /// The power goes at a point. What is wrong in the lives after it.
    pub fn crash_at(&self, point: &CrashPoint, crash_seed: u64) -> Vec<Violation> {
        self.after(point, point.crash(crash_seed), crash_seed, "crash")
    }

    /// The process is killed at a point, and the power goes later: what the next process finds is
    /// not durable, though it was written.
    pub fn kill_at(&self, point: &CrashPoint) -> Vec<Violation> {
        self.after(point, point.kill(), 0, "kill")
    }

    fn after(
        &self,
        point: &CrashPoint,
        disk: SimulatedDisk,
        crash_seed: u64,
        what: &str,
    ) -> Vec<Violation> {
        self.sites
            .iter()
            .for_each(|site| disk.skip_syncs(site.clone()));
        let mut after = After {
            ledger: self.ledger.at_operation(point.operations),
            now: self.time_at(point.operations),
            seen: PositionsSeen::default(),
            random: Random::from_seeds(&[self.seed, point.operations, crash_seed]),
            violations: Vec::new(),
        };
        after.seen = self.seen_at(&after.ledger);
        after.live(&disk, self, what == "kill");
        let label = format!(
            "seed {}, {what} {crash_seed} after operation {}",
            self.seed, point.operations
        );
        after
            .violations
            .into_iter()
            .map(|text| format!("{label}: {text}"))
            .collect()
    }
}

/// The lives after a crash.
struct After {
    ledger: Ledger,
    now: Timestamp,
    seen: PositionsSeen,
    random: Random,
    violations: Vec<Violation>,
}

impl After {
    fn live(&mut self, disk: &SimulatedDisk, recorded: &Recorded, is_harsh: bool) {
        disk.record_crash_points();
        let Some(life) = self.open(disk, "after the crash", true) else {
            return;
        };
        let points = disk.take_crash_points();
        self.crash_in_recovery(&points);
        self.go_on(&life, recorded);
        drop(life);
        // A clean stop keeps everything; so does a crash when nothing is under way.
        let seed = if is_harsh { 0 } else { self.random.below(4) };
        let again = disk.crash(seed);
        self.open(&again, "after going on", true);
    }

    /// Opens and judges.
    fn open(&mut self, disk: &SimulatedDisk, when: &str, notes: bool) -> Option<Life> {
        let life = match Life::open(disk, self.now, self.random.next()) {
            Ok(life) => life,
            Err(error) => {
                self.violations
                    .push(format!("{when} the store does not open: {error}"));
                return None;
            }
        };
        let mut wrong: Vec<Violation> = life.reported.clone();
        let found = life.read();
        wrong.extend(self.ledger.judge(&found));
        if notes {
            wrong.extend(self.seen.note(&found.rows));
        } else {
            wrong.extend(self.seen.clone().note(&found.rows));
        }
        self.violations
            .extend(wrong.into_iter().map(|text| format!("{when}: {text}")));
        Some(life)
    }

    /// The power goes again, at two moments of the recovery.
    fn crash_in_recovery(&mut self, points: &[CrashPoint]) {
        for _ in 0..2 {
            let point = &points[self.random.index(points.len())];
            let seed = self.random.below(5);
            let when = format!(
                "crash {seed} after operation {} of the recovery",
                point.operations
            );
            // Readers of this life saw nothing that the next must keep.
            self.open(&point.crash(seed), &when, false);
        }
    }

    /// Clients repeat what they have no answer to and send more; then everything is flushed.
    fn go_on(&mut self, life: &Life, recorded: &Recorded) {
        let unanswered: Vec<Prepared> = self
            .ledger
            .requests
            .iter()
            .filter(|request| !matches!(request.outcome, Outcome::Acknowledged { .. }))
            .filter_map(|request| recorded.prepared(&request.key))
            .collect();
        let known: Vec<Prepared> = self
            .ledger
            .requests
            .iter()
            .rev()
            .take(3)
            .filter_map(|request| recorded.prepared(&request.key))
            .collect();
        life.ingest(&unanswered, &mut self.ledger);
        life.ingest(&known, &mut self.ledger);
        life.ingest(&recorded.extra[..3], &mut self.ledger);
        let steps: &[Step] = match self.random.below(6) {
            0 => &[Step::Flush, Step::SnapshotManifest],
            4 => &[Step::Compact, Step::SnapshotManifest],
            5 => &[Step::Flush, Step::Compact, Step::Maintain],
            1 => &[Step::Flush],
            2 => &[Step::SnapshotManifest, Step::Flush],
            _ => &[],
        };
        for step in steps {
            life.run(step, &mut self.ledger, &[]);
        }
        life.ingest(&recorded.extra[3..], &mut self.ledger);
        let unanswered = self
            .ledger
            .requests
            .iter()
            .filter(|request| !matches!(request.outcome, Outcome::Acknowledged { .. }))
            .count();
        if unanswered > 0 {
            self.violations
                .push(format!("{unanswered} requests are refused on a good disk"));
        }
        let found = life.read();
        let mut wrong = self.ledger.judge(&found);
        wrong.extend(self.seen.note(&found.rows));
        self.violations
            .extend(wrong.into_iter().map(|text| format!("going on: {text}")));
    }
}

impl Recorded {
    /// A request of the script by its key.
    fn prepared(&self, key: &str) -> Option<Prepared> {
        self.steps
            .iter()
            .filter_map(|step| match step {
                Step::Ingest(group) => Some(group),
                _ => None,
            })
            .flatten()
            .chain(&self.extra)
            .find(|prepared| prepared.key == key)
            .cloned()
    }
}
