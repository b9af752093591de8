//! Power loss after every single operation of a scripted workload, and faults at every one: old
//! or new state, never neither.
//!
//! Seeds are printed and reproduce; `TAFFRAIL_HARNESS_ROUNDS` scales how much is tried beyond the
//! two extremes (nothing unsynced survives, everything does). That the harness would notice is
//! shown by leaving out each sync in turn.
#![allow(
    clippy::unwrap_used,
    reason = "a harness ends where the ground is gone that it stands on"
)]

mod harness;

use harness::{
    ledger::{Ledger, Outcome, Violation},
    life::Life,
    on_two_threads,
    record::Recorded,
    rounds,
    script::{Source, Step, noon, script},
};
use taffrail_model::clock::Clock;
use taffrail_testkit::{
    SimulatedDisk,
    disk::{FailedSync, Fault, Operation, SyncSite},
};

/// Violations that are shown: the first ones say what is wrong.
const SHOWN_MAX: usize = 20;

#[track_caller]
fn assert_none(violations: &[Violation], tried: &str) {
    assert!(
        violations.is_empty(),
        "{} violations in {tried}:\n{}",
        violations.len(),
        violations[..violations.len().min(SHOWN_MAX)].join("\n")
    );
}

#[test]
fn the_script_runs_without_a_fault() {
    let recorded = Recorded::run(1, &[]);
    assert_none(&recorded.violations, "a run without a crash");
    assert!(recorded.ledger.rows_due() > 100);
    assert!(recorded.points.len() > 100, "{}", recorded.points.len());
}

#[test]
fn a_crash_after_every_operation_leaves_old_or_new_state() {
    for seed in 1..=rounds() {
        let recorded = Recorded::run(seed, &[]);
        let points = recorded.points.len();
        let violations = on_two_threads(points, |number| {
            let point = &recorded.points[number];
            let seeds = [0, 1 + number as u64];
            let crashes = seeds
                .into_iter()
                .flat_map(|crash_seed| recorded.crash_at(point, crash_seed));
            crashes.chain(recorded.kill_at(point)).collect()
        });
        println!(
            "seed {seed}: {points} moments, 2 crashes and a kill each, {} violations",
            violations.len()
        );
        assert_none(&violations, &format!("{points} moments of seed {seed}"));
    }
}

/// The first violation that a run without these syncs shows, over some crashes.
fn first_violation(site: &SyncSite) -> Option<Violation> {
    let recorded = Recorded::run(1, std::slice::from_ref(site));
    assert!(
        recorded.syncs_skipped > 0,
        "{site:?} is no sync of the store"
    );
    assert_none(&recorded.violations, "a run without a crash");
    recorded.points.iter().find_map(|point| {
        [0, 2, 3]
            .into_iter()
            .find_map(|seed| recorded.crash_at(point, seed).into_iter().next())
    })
}

/// Every place at which the store makes something durable.
fn sites() -> Vec<(&'static str, SyncSite)> {
    let file = SyncSite::file;
    let directory = |end| SyncSite::directory(end).at_end();
    vec![
        ("log file", file("/wal/")),
        ("log directory", directory("/wal")),
        ("segment file", file("/segments/")),
        ("segment file of compaction", file(".compacted.new")),
        ("segment directory", SyncSite::directory("/segments/")),
        ("directory of segment directories", directory("/segments")),
        ("manifest snapshot file", file("/manifest/")),
        ("manifest directory", directory("/manifest")),
        ("keyring file", file("/keys/")),
        ("keyring directory", directory("/keys")),
        ("mark", file("/mark")),
        ("data directory", directory("/data")),
        ("directory above the data directory", directory("/lib")),
        ("directory above that", directory("/var")),
        ("root directory", directory("/")),
    ]
}

/// Syncs that no crash of the script can show to be needed, with the reason.
const WITHOUT_EFFECT: [&str; 0] = [];

#[test]
fn the_table_of_syncs_is_complete() {
    let sites = sites();
    let missing: std::collections::BTreeSet<String> = operations(1)
        .iter()
        .filter(|operation| operation.kind.is_sync())
        .filter(|operation| {
            let path = &operation.path;
            !sites
                .iter()
                .any(|(_, site)| site.matches(operation.kind, path))
        })
        .map(|operation| format!("{:?} {}", operation.kind, operation.path.display()))
        .filter(|text| !WITHOUT_EFFECT.iter().any(|end| text.ends_with(end)))
        .collect();
    assert_eq!(missing, Default::default());
}

#[test]
fn the_harness_notices_every_sync_that_is_left_out() {
    let sites = sites();
    let unnoticed = on_two_threads(sites.len(), |number| {
        let (name, site) = &sites[number];
        match first_violation(site) {
            Some(violation) => {
                println!("without the sync of the {name}: {violation}");
                Vec::new()
            }
            None => vec![*name],
        }
    });
    assert!(unnoticed.is_empty(), "nothing notices: {unnoticed:?}");
}

/// One fault in a run of the script: what was acknowledged stays, what was refused is whole or
/// absent, and the store takes requests again without help.
fn fault_at(seed: u64, index: u64, fault: Fault) -> Vec<Violation> {
    let mut source = Source::new(seed, 3);
    let steps = script(&mut source);
    let disk = SimulatedDisk::new(seed ^ index);
    if index.is_multiple_of(3) {
        disk.set_failed_sync(FailedSync::Dropped);
    }
    disk.fail_at(index, fault);
    let mut ledger = Ledger::default();
    let mut violations = Vec::new();
    // A fault may refuse the first start. Whether a directory is durable whose sync has failed, no
    // later process can learn; the machine is started anew before the next try.
    let (disk, opened) = match Life::open(&disk, noon(0), seed) {
        Ok(life) => (disk, Ok(life)),
        Err(_) => {
            let disk = disk.crash(index % 4);
            let opened = Life::open(&disk, noon(0), seed + 1);
            (disk, opened)
        }
    };
    let life = match opened {
        Ok(life) => life,
        Err(error) => {
            return vec![format!(
                "{fault:?} at {index}: does not open again: {error}"
            )];
        }
    };
    // The fault may refuse a restart too.
    let played = life.play(&steps, &mut ledger, &mut |number, life, ledger| {
        if number.is_multiple_of(8) {
            violations.extend(ledger.judge(&life.read()));
        }
    });
    let life = match played {
        Ok(life) => life,
        Err(_) => match Life::open(&disk, noon(2), seed) {
            Ok(life) => life,
            Err(error) => {
                return vec![format!(
                    "{fault:?} at {index}: does not open again: {error}"
                )];
            }
        },
    };
    violations.extend(send_again(&life, &steps, &mut ledger));
    violations.extend(ledger.judge(&life.read()));
    for step in [Step::Flush, Step::SnapshotManifest, Step::Maintain] {
        life.run(&step, &mut ledger, &steps);
    }
    violations.extend(ledger.judge(&life.read()));
    let now = life.clock.now();
    drop(life);
    for crash_seed in [0, 2 + index] {
        match Life::open(&disk.crash(crash_seed), now, index) {
            Ok(life) => {
                violations.extend(life.reported.clone());
                violations.extend(ledger.judge(&life.read()));
            }
            Err(error) => violations.push(format!("does not open: {error}")),
        }
    }
    violations
        .into_iter()
        .map(|text| format!("seed {seed}, {fault:?} at {index}: {text}"))
        .collect()
}

/// What was refused is sent again, under its key, and taken.
fn send_again(life: &Life, steps: &[Step], ledger: &mut Ledger) -> Vec<Violation> {
    let mut violations = Vec::new();
    for step in steps {
        let Step::Ingest(group) = step else { continue };
        // By now the pipeline would not take what is past its retention.
        let group: Vec<_> = group
            .iter()
            .filter(|request| !request.is_old())
            .cloned()
            .collect();
        life.ingest(&group, ledger);
        for prepared in &group {
            let sent = ledger.requests.iter().find(|sent| sent.key == prepared.key);
            if !sent.is_some_and(|sent| matches!(sent.outcome, Outcome::Acknowledged { .. })) {
                violations.push(format!("{} is refused for ever", prepared.key));
            }
        }
    }
    violations
}

/// The operations of a run without faults.
fn operations(seed: u64) -> Vec<Operation> {
    let disk = SimulatedDisk::new(seed);
    let steps = script(&mut Source::new(seed, 3));
    let life = Life::open(&disk, noon(0), seed).unwrap();
    life.play(&steps, &mut Ledger::default(), &mut |_, _, _| ())
        .map(drop)
        .unwrap();
    disk.log()
}

#[test]
fn a_fault_at_every_operation_loses_nothing_that_was_acknowledged() {
    for seed in 1..=rounds() {
        let all: Vec<(Operation, Fault)> = operations(seed)
            .into_iter()
            .flat_map(|operation| {
                [Fault::InputOutput, Fault::NoSpace, Fault::ShortWrite]
                    .into_iter()
                    .filter(move |fault| fault.applies_to(operation.kind))
                    // A full disk is tried at every second operation, unless there is time.
                    .filter(move |fault| {
                        let is_second = operation.index.is_multiple_of(2);
                        *fault == Fault::InputOutput || is_second || rounds() > 1
                    })
                    .map(move |fault| (operation.clone(), fault))
            })
            .collect();
        let violations = on_two_threads(all.len(), |number| {
            let (operation, fault) = &all[number];
            fault_at(seed, operation.index, *fault)
                .into_iter()
                .map(|text| format!("{operation}: {text}"))
                .collect()
        });
        println!(
            "seed {seed}: {} faults, {} violations",
            all.len(),
            violations.len()
        );
        assert_none(&violations, &format!("{} faults of seed {seed}", all.len()));
    }
}

/// The disk is full for a while: reads go on, nothing is acknowledged that is not there, and when
/// there is room again the store goes on by itself.
#[test]
fn a_full_disk_refuses_and_recovers() {
    for seed in 1..=4 * rounds() {
        let mut source = Source::new(seed, 3);
        let steps = script(&mut source);
        let disk = SimulatedDisk::new(seed);
        let life = Life::open(&disk, noon(0), seed).unwrap();
        let mut ledger = Ledger::default();
        let mut violations = Vec::new();
        let half = steps.len() / 2;
        // A start needs room for its log file: it is not part of this.
        let steps: Vec<Step> = steps
            .into_iter()
            .filter(|step| !matches!(step, Step::Restart))
            .collect();
        let life = life.play(&steps, &mut ledger, &mut |number, life, ledger| {
            if number == half {
                let used: u64 = disk.all_files().iter().map(|(_, bytes)| bytes).sum();
                disk.set_capacity_bytes(Some(used + seed * 997 % 6_000));
            }
            violations.extend(ledger.judge(&life.read()));
        });
        let life = life.unwrap();
        let refused = ledger
            .requests
            .iter()
            .filter(|request| request.outcome == Outcome::Refused)
            .count();
        assert!(refused > 0, "the disk was never full");
        disk.set_capacity_bytes(None);
        violations.extend(send_again(&life, &steps, &mut ledger));
        violations.extend(ledger.judge(&life.read()));
        let again = Life::open(&disk.crash(0), life.clock.now(), seed).unwrap();
        violations.extend(ledger.judge(&again.read()));
        assert_none(&violations, &format!("a full disk, seed {seed}"));
    }
}
