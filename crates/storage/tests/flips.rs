//! Damage to every kind of file: never a wrong row, never a panic, always a named fault.
//!
//! A small data directory holds every kind of file that the store writes. Single bytes are
//! flipped, files are deleted, cut and swapped; then the store is opened and everything is read.
//! Rows that are missing must be missing by name; where redundancy covers the damage, all rows
//! must be there and the recovery must have reported it. Seeds are printed and reproduce;
//! `TAFFRAIL_HARNESS_ROUNDS` scales the number of flips.
#![allow(
    clippy::unwrap_used,
    reason = "a harness ends where the ground is gone that it stands on"
)]

mod harness;

use harness::{
    ledger::Ledger,
    life::{DIRECTORY, Life},
    on_two_threads, rounds,
    script::{Prepared, Source, Step, noon, short_script},
};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};
use taffrail_model::{clock::Clock, time::Timestamp};
use taffrail_testkit::{Random, SimulatedDisk};

/// Single-byte flips of a normal run.
const FLIPS: u64 = 2_000;
const SHOWN_MAX: usize = 20;
const UNREPORTED: &str = "the damage is not reported";
/// Frame header, container header and tag of a frame without content.
const WATERMARK_FRAME_BYTES: u64 = 80 + 48 + 16;

/// A data directory, and what is in it.
struct Directory {
    disk: SimulatedDisk,
    ledger: Ledger,
    now: Timestamp,
    /// (path, bytes, kind), in order of path.
    files: Vec<(PathBuf, u64, String)>,
    extra: Vec<Prepared>,
}

impl Directory {
    /// The directory that the script leaves, with nothing in memory alone.
    fn new(seed: u64) -> Directory {
        let mut source = Source::new(seed, 1);
        let steps = short_script(&mut source);
        let extra = (0..4).map(|_| source.request(noon(0))).collect();
        let disk = SimulatedDisk::new(seed);
        let mut ledger = Ledger::default();
        let life = Life::open(&disk, noon(0), seed)
            .and_then(|life| life.play(&steps, &mut ledger, &mut |_, _, _| ()))
            .unwrap();
        let now = life.clock.now();
        drop(life);
        let disk = disk.crash(1);
        let files = disk
            .all_files()
            .into_iter()
            .map(|(path, bytes)| {
                let kind = kind_of(&path);
                (path, bytes, kind)
            })
            .collect();
        Directory {
            disk,
            ledger,
            now,
            files,
            extra,
        }
    }

    fn kinds(&self) -> BTreeMap<&str, Vec<usize>> {
        let mut kinds: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (number, (_, _, kind)) in self.files.iter().enumerate() {
            kinds.entry(kind).or_default().push(number);
        }
        kinds
    }

    /// The log file that was appended last.
    fn newest_log(&self) -> &Path {
        let logs = self.files.iter().filter(|(_, _, kind)| kind == "wal");
        &logs.max_by_key(|(path, ..)| path).unwrap().0
    }

    /// Whether nothing needs these bytes: the watermark that was repeated at the end of a log file
    /// is void once the header of the next file says the same.
    fn is_dead(&self, path: &Path, bytes: u64, offset: u64) -> bool {
        path.to_string_lossy().ends_with(".wal")
            && path != self.newest_log()
            && offset + WATERMARK_FRAME_BYTES >= bytes
    }

    /// Damages a copy of the directory, opens it and reads everything.
    fn check(
        &self,
        seed: u64,
        what: &str,
        damaged: &[&Path],
        damage: impl FnOnce(&SimulatedDisk),
    ) -> Verdict {
        let disk = self.disk.fork();
        damage(&disk);
        let judged = catch_unwind(AssertUnwindSafe(|| self.judge(&disk, seed, damaged)));
        let mut verdict = judged.unwrap_or_else(|_| Verdict::bad("a panic".into()));
        for text in &mut verdict.violations {
            *text = format!("{what}: {text}");
        }
        verdict
    }

    fn judge(&self, disk: &SimulatedDisk, seed: u64, damaged: &[&Path]) -> Verdict {
        // Which of two generations is missing cannot be known.
        let is_named = |text: &str| {
            damaged.iter().any(|path| {
                text.contains(&short(path))
                    || short(path).starts_with("manifest/") && text.starts_with("manifest: only")
            })
        };
        let life = match Life::open(disk, self.now, seed) {
            Ok(life) => life,
            Err(error) if is_named(&error) => return Verdict::of(Effect::Refused),
            Err(error) => return Verdict::bad(format!("no file is named: {error}")),
        };
        let found = life.read();
        let mut violations = found.broken.clone();
        violations.extend(self.ledger.judge_without_absence(&found));
        let mut reports: Vec<String> = life.reports();
        reports.extend(found.read_errors.iter().map(ToString::to_string));
        reports.extend(
            found
                .faults
                .iter()
                .map(|fault| format!("{}: {}", fault.file, fault.detail)),
        );
        let missing: Vec<String> = self
            .ledger
            .judge_rows(&found)
            .into_iter()
            .filter(|text| !violations.contains(text))
            .collect();
        let is_partial = !found.read_errors.is_empty() || !found.faults.is_empty();
        if !missing.is_empty() && !is_partial {
            violations.push(format!("rows are missing in silence: {missing:?}"));
        }
        if !reports.iter().any(|report| is_named(report)) {
            violations.push(format!("{UNREPORTED}: {reports:?}"));
        }
        if seed.is_multiple_of(8) {
            violations.extend(self.go_on(&life));
        }
        let effect = match missing.is_empty() {
            true => Effect::Whole,
            false => Effect::Partial,
        };
        Verdict {
            violations,
            effect: Some(effect),
        }
    }

    /// The store goes on after damage: what it takes then is there after the next start.
    fn go_on(&self, life: &Life) -> Vec<String> {
        let mut ledger = Ledger::default();
        life.ingest(&self.extra[..2], &mut ledger);
        for step in [Step::Flush, Step::SnapshotManifest, Step::Maintain] {
            life.run(&step, &mut ledger, &[]);
        }
        life.ingest(&self.extra[2..], &mut ledger);
        let new_rows = ledger.rows_due();
        let disk = life.disk.crash(0);
        let again = match Life::open(&disk, self.now, 1) {
            Ok(again) => again,
            Err(error) => return vec![format!("does not open again: {error}")],
        };
        let mut found = again.read();
        let mut all = self.ledger.clone();
        all.requests.extend(ledger.requests.clone());
        let mut violations = all.judge_without_absence(&found);
        found.rows.retain(|row| {
            let sent = ledger.requests.iter().flat_map(|request| &request.rows);
            let mut serials = sent.map(|(_, record)| record.serial());
            serials.any(|serial| serial == row.record.serial())
        });
        if found.rows.len() != new_rows {
            violations.push(format!(
                "{} of {new_rows} rows that came after the damage",
                found.rows.len()
            ));
        }
        violations
    }
}

/// What damage did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    /// The store does not open, and says why.
    Refused,
    /// Rows are missing by name.
    Partial,
    /// Every row is there, and the damage is reported.
    Whole,
}

#[derive(Clone, Debug)]
struct Verdict {
    violations: Vec<String>,
    effect: Option<Effect>,
}

impl Verdict {
    fn of(effect: Effect) -> Verdict {
        Verdict {
            violations: Vec::new(),
            effect: Some(effect),
        }
    }

    fn bad(violation: String) -> Verdict {
        Verdict {
            violations: vec![violation],
            effect: None,
        }
    }
}

/// The directory of a file says its kind; a keyring copy and a manifest generation count alone.
fn kind_of(path: &Path) -> String {
    let within = path.strip_prefix(DIRECTORY).unwrap_or(path);
    let mut parts = within
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    let directory = parts.next().unwrap_or_default().into_owned();
    match directory.as_str() {
        "keys" => short(path),
        _ => directory,
    }
}

/// Name of a file within the data directory.
fn short(path: &Path) -> String {
    let within = path.strip_prefix(DIRECTORY).unwrap_or(path);
    within.display().to_string()
}

/// Counts effects by kind, and fails if anything was wrong.
#[track_caller]
fn conclude(title: &str, verdicts: Vec<(String, Verdict)>) {
    let mut counts: BTreeMap<(String, Option<Effect>), usize> = BTreeMap::new();
    let mut violations = Vec::new();
    for (kind, verdict) in verdicts {
        *counts.entry((kind, verdict.effect)).or_default() += 1;
        violations.extend(verdict.violations);
    }
    println!("{title}: {counts:?}, {} violations", violations.len());
    assert!(
        violations.is_empty(),
        "{title}: {} violations:\n{}",
        violations.len(),
        violations[..violations.len().min(SHOWN_MAX)].join("\n")
    );
}

#[test]
fn the_directory_has_every_kind_of_file_and_is_well() {
    let directory = Directory::new(1);
    let kinds = directory.kinds();
    let counts: BTreeMap<&str, usize> = kinds
        .iter()
        .map(|(kind, files)| (*kind, files.len()))
        .collect();
    println!("{:?}", directory.files);
    for (kind, least) in [
        ("wal", 2),
        ("segments", 2),
        ("manifest", 2),
        ("keys/keyring.0", 1),
        ("keys/keyring.1", 1),
    ] {
        assert!(counts.get(kind) >= Some(&least), "{kind}: {counts:?}");
    }
    let life = Life::open(&directory.disk.fork(), directory.now, 1).unwrap();
    assert_eq!(life.reports(), Vec::<String>::new());
    assert_eq!(directory.ledger.judge(&life.read()), Vec::<String>::new());
}

#[test]
fn a_flipped_byte_is_never_a_wrong_row() {
    let directory = Directory::new(1);
    let kinds = directory.kinds();
    let verdicts = on_two_threads((FLIPS * rounds()) as usize, |number| {
        let mut random = Random::from_seeds(&[0xf11b, number as u64]);
        // Half by size, half evenly over the kinds: small files are hit too.
        let mut at = random.below(directory.files.iter().map(|(_, bytes, _)| bytes).sum());
        let by_size = directory.files.iter().position(|(_, bytes, _)| {
            let is_here = at < *bytes;
            at = at.wrapping_sub(if is_here { 0 } else { *bytes });
            is_here
        });
        let kind = random.index(kinds.len());
        let of_kind = kinds.values().nth(kind).map(|files| random.pick(files));
        let chosen = if number.is_multiple_of(2) {
            by_size
        } else {
            of_kind
        };
        let (path, bytes, kind) = &directory.files[chosen.unwrap_or_default()];
        let offset = random.below(*bytes);
        let mask = 1 + random.below(255) as u8;
        let what = format!("flip {number}: {} at {offset} by {mask:02x}", short(path));
        let mut verdict = directory.check(number as u64, &what, &[path], |disk| {
            disk.flip(path, offset, mask);
        });
        if directory.is_dead(path, *bytes, offset) && verdict.effect == Some(Effect::Whole) {
            verdict.violations.retain(|text| !text.contains(UNREPORTED));
        }
        vec![(kind.clone(), verdict)]
    });
    conclude("flips", verdicts);
}

#[test]
fn a_deleted_file_is_named() {
    let directory = Directory::new(2);
    let verdicts = directory
        .files
        .iter()
        .zip(0..)
        .map(|((path, _, kind), number)| {
            let what = format!("{} is deleted", short(path));
            let verdict = directory.check(8 * number, &what, &[path], |disk| disk.lose(path));
            (kind.clone(), verdict)
        });
    conclude("deleted", verdicts.collect());
}

#[test]
fn a_cut_file_is_named() {
    let directory = Directory::new(3);
    let cuts: Vec<(usize, u64)> = directory
        .files
        .iter()
        .enumerate()
        .flat_map(|(number, (_, bytes, _))| {
            let mut random = Random::from_seeds(&[0xc07, number as u64]);
            let mut lengths = vec![0, 1, bytes / 2, bytes - 1];
            lengths.extend((0..12).map(|_| random.below(*bytes)));
            lengths.into_iter().map(move |length| (number, length))
        })
        .collect();
    let verdicts = on_two_threads(cuts.len(), |cut| {
        let (number, length) = cuts[cut];
        let (path, bytes, kind) = &directory.files[number];
        let what = format!("{} is cut from {bytes} to {length}", short(path));
        let mut verdict = directory.check(cut as u64, &what, &[path], |disk| {
            disk.truncate(path, length);
        });
        if directory.is_dead(path, *bytes, length) && verdict.effect == Some(Effect::Whole) {
            verdict.violations.retain(|text| !text.contains(UNREPORTED));
        }
        vec![(kind.clone(), verdict)]
    });
    conclude("cut", verdicts);
}

#[test]
fn swapped_files_are_named() {
    let directory = Directory::new(4);
    let count = directory.files.len();
    let pairs: Vec<(usize, usize)> = (0..count)
        .flat_map(|a| (a + 1..count).map(move |b| (a, b)))
        .filter(|(a, b)| {
            // The two copies of the keyring are the same bytes.
            let content = |number: usize| directory.disk.contents(&directory.files[number].0);
            content(*a) != content(*b)
        })
        .collect();
    let verdicts = on_two_threads(pairs.len(), |pair| {
        let (a, b) = pairs[pair];
        let ((of_a, _, kind_a), (of_b, _, kind_b)) = (&directory.files[a], &directory.files[b]);
        let what = format!("{} and {} are swapped", short(of_a), short(of_b));
        let verdict = directory.check(pair as u64, &what, &[of_a, of_b], |disk| {
            disk.swap(of_a, of_b);
        });
        vec![(format!("{kind_a} and {kind_b}"), verdict)]
    });
    conclude("swapped", verdicts);
}
