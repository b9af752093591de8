//! Notes of runs that were killed, and what is said of them.
use super::*;
use crate::run::{buffer::BufferOptions, recorder::tests::options};
use std::path::Path;
use taffrail_engine::spool::{Claimed, SpoolFolder};

const BYTES_MAX: u64 = 1 << 20;
const NOW: Timestamp = Timestamp(1_700_000_000_000_000_000);

/// A folder of spools in which `runs` have been killed, a spool each; and what they noted.
fn killed(folder: &Path, runs: usize) -> Vec<String> {
    let spools = open(folder);
    let notes: Vec<String> = (0..runs)
        .map(|run| killed::note(&format!("{run:032x}"), NOW))
        .collect();
    let mut claimed: Vec<Claimed> = notes.iter().map(|_| spools.claim().unwrap().0).collect();
    for (claimed, note) in claimed.iter_mut().zip(&notes) {
        claimed.spool.begin(note).unwrap();
    }
    notes
}

fn open(folder: &Path) -> SpoolFolder {
    let (state, key) = (folder.join("state"), folder.join("key"));
    let (spools, _) = SpoolFolder::open(&state, Some(&key), BYTES_MAX, true).unwrap();
    spools
}

/// The notes in the first spools, and the batches that wait there.
fn left(folder: &Path, spools: usize) -> Vec<(Option<String>, usize)> {
    let folder = open(folder);
    let claimed: Vec<Claimed> = (0..spools).map(|_| folder.claim().unwrap().0).collect();
    let reports = claimed.into_iter().map(|claimed| claimed.report);
    reports
        .map(|report| (report.left_by, report.pending))
        .collect()
}

fn writer(folder: &Path, bytes_max: u64) -> Writer {
    // An error only says that a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = options(Some(folder));
    let buffer = BufferOptions {
        bytes_max,
        ..options.buffer.clone()
    };
    Writer::new(&RecorderOptions { buffer, ..options }, NOW).unwrap()
}

/// What is in the spools if the recorder is killed at the end of `steps`.
#[track_caller]
fn check(runs: usize, bytes_max: u64, steps: impl FnOnce(Writer), expected: &[(&str, usize)]) {
    let folder = tempfile::tempdir().unwrap();
    let notes = killed(folder.path(), runs);
    let writer = writer(folder.path(), bytes_max);
    let own = writer.labels.iter().find(|(name, _)| *name == RUN_ID);
    let own = killed::note(&own.unwrap().1, NOW);
    steps(writer);
    let note = |who: &str| match who {
        "none" => None,
        "own" => Some(own.clone()),
        number => Some(notes[number.parse::<usize>().unwrap()].clone()),
    };
    let expected = expected.iter().map(|(who, pending)| (note(who), *pending));
    assert_eq!(left(folder.path(), runs), expected.collect::<Vec<_>>());
}

/// Opens the buffer and takes what is left over.
fn look(mut writer: Writer) -> Writer {
    writer.tend(Instant::now(), NOW);
    writer
}

fn close(mut writer: Writer) -> Writer {
    writer.close(Instant::now(), NOW);
    writer
}

#[test]
fn the_note_of_a_killed_run_stays_until_what_is_said_of_it_is_durable() {
    let looked = |writer| drop(look(writer));
    let said = |writer| drop(close(look(writer)));
    check(1, BYTES_MAX, looked, &[("0", 0)]);
    check(1, BYTES_MAX, said, &[("own", 1)]);
    // In the spool that is left over.
    check(2, BYTES_MAX, looked, &[("0", 0), ("1", 0)]);
    check(2, BYTES_MAX, said, &[("own", 1), ("none", 0)]);
    // The buffer is opened for the first record, and nothing may be kept later.
    let at_once = |mut writer: Writer| {
        writer.note(NOW, "first".into(), Vec::new());
        drop(close(writer));
    };
    check(1, BYTES_MAX, at_once, &[("own", 2)]);
}

#[test]
fn a_killed_run_of_which_the_record_found_no_room_is_said_by_the_next() {
    let lost = |writer| {
        let (fate, _) = close(look(writer)).buffer.finish(Instant::now());
        assert_eq!((fate.kept, fate.lost), (0, 2));
    };
    check(2, 0, lost, &[("0", 0), ("1", 0)]);
}

/// Bytes of the files that wait in the first spool.
fn waiting_bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder.join("state/0/pending")).unwrap();
    files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

#[test]
fn records_are_counted_until_the_count_is_on_record() {
    let small = |writer: &mut Writer| {
        writer.note(NOW, "small".into(), Vec::new());
        writer.close(Instant::now(), NOW);
    };
    let folder = tempfile::tempdir().unwrap();
    small(&mut writer(folder.path(), BYTES_MAX));
    // Room for one such batch, and none for a record more.
    let bytes_max = waiting_bytes(folder.path());
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), bytes_max);
    let large = "x".repeat(usize::try_from(bytes_max).unwrap());
    writer.note(NOW, large, Vec::new());
    writer.close(Instant::now(), NOW);
    assert_eq!(writer.lost, 1);
    small(&mut writer);
    // The large one, and the record that should have said it.
    assert_eq!(writer.lost, 2);
    let (fate, _) = writer.buffer.finish(Instant::now());
    assert_eq!((fate.kept, fate.lost), (1, 2));
}
