//! What wears a store out: many starts, many failures, a disk that stays full.
use super::*;
use crate::wal::FILES_OF_REQUESTS_MAX;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    time::Duration,
};

/// Fails the next sync, which is that of a commit.
fn commit_in_vain(world: &World, core: &StoreCore) {
    let log = world.disk.operations();
    world
        .disk
        .fail_between(log, log + 1, DiskFault::InputOutput);
    let result = send(core, &[("void", &[(key(1, 0), 1)])]).remove(0);
    assert!(result.is_err(), "{result:?}");
}

#[test]
fn a_store_with_few_rows_opens_after_any_number_of_starts() {
    let world = World::new();
    for life in 0..1_100 {
        let (core, report) = world.open();
        assert_eq!(report.faults, vec![], "{life}");
        // As the thread does, before anything else.
        core.maintain().unwrap();
        send_one(&core, &format!("row {life} of"), key(1, 0), 1);
        assert!(core.status().wal_files <= 60, "{life}");
        core.close().unwrap();
    }
    let (core, _) = world.open();
    assert_eq!(rows(&core).len(), 1_100);
}

#[test]
fn a_log_of_too_many_files_refuses_requests_and_is_made_short() {
    let world = World::new();
    let (core, _) = world.open();
    let mut stored = 0;
    while core.status().wal_files < FILES_OF_REQUESTS_MAX {
        send_one(&core, "row", key(1, 0), 1);
        stored += 1;
        commit_in_vain(&world, &core);
    }
    let refused = send(&core, &[("more", &[(key(1, 0), 1)])]).remove(0);
    assert!(matches!(refused, Err(CommitError::Refusing { .. })));
    assert!(core.status().refusing.is_some());
    assert!(core.take_maintenance_call());
    drop(core);
    let (core, report) = world.crash().open();
    assert_eq!(report.faults, vec![]);
    core.maintain().unwrap();
    assert!(core.status().wal_files < 100);
    send_one(&core, "more", key(1, 0), 1);
    assert_eq!(core.status().refusing, None);
    assert_eq!(rows(&core).len(), stored + 1);
}

/// Leaves this many bytes free.
fn fill_disk(world: &World, free_bytes: u64) {
    let used: u64 = world.disk.all_files().iter().map(|(_, bytes)| bytes).sum();
    world.disk.set_capacity_bytes(Some(used + free_bytes));
}

#[test]
fn a_full_disk_frees_the_days_that_are_over_before_it_flushes() {
    // An old day of few rows does not make room for the flush; one of many does.
    for (old_rows, is_enough) in [(10, false), (60_000, true)] {
        let world = World {
            tails_bytes_max: 100_000,
            ..World::new()
        };
        let (core, _) = world.open();
        send_one(&core, "old", key(1, 29), old_rows);
        core.flush().unwrap();
        world.clock.advance_days(2);
        send_one(&core, "new", key(1, 0), 20_000);
        assert!(core.is_flush_due());
        // Enough for the edit and for the log file that it may begin with.
        fill_disk(&world, 10_240);
        let result = core.retain_and_maintain();
        match (is_enough, result) {
            (true, Ok(())) => assert!(!core.is_flush_due()),
            (false, Err(error)) => assert!(error.is_no_space(), "{error}"),
            other => panic!("{other:?}"),
        }
        assert!(core.snapshot().partition(&key(1, 29)).is_none());
        assert_eq!(
            world.files_of(SEGMENTS_DIRECTORY).len(),
            usize::from(is_enough)
        );
        assert_eq!(rows(&core).len(), 20_000);
    }
}

#[test]
fn a_manifest_snapshot_without_room_takes_none() {
    let world = World::new();
    let (core, _) = world.open();
    send_one(&core, "row", key(1, 0), 1);
    let before = world.disk.all_files();
    fill_disk(&world, 40);
    for _ in 0..3 {
        let error = core.snapshot_manifest().unwrap_err();
        assert!(error.is_no_space(), "{error}");
        assert_eq!(world.disk.all_files(), before);
    }
    world.disk.set_capacity_bytes(None);
    core.snapshot_manifest().unwrap();
    assert_eq!(rows(&world.crash().open().0).len(), 1);
}

#[test]
fn status_does_not_wait_for_the_log() {
    let world = World::new();
    let (core, _) = world.open();
    send_one(&core, "a", key(1, 0), 1);
    let held = core.log.lock();
    let (sender, receiver) = mpsc::channel();
    let (status, bytes) = std::thread::scope(|scope| {
        scope.spawn(|| {
            // The receiver waits below.
            let _ = sender.send(core.status());
        });
        let status = receiver.recv_timeout(Duration::from_secs(60));
        let bytes = held.wal.bytes();
        drop(held);
        (status.unwrap(), bytes)
    });
    assert_eq!((status.wal_files, status.wal_bytes), (1, bytes));
    core.flush().unwrap();
    assert_eq!(core.status().wal_bytes, core.log.lock().wal.bytes());
}

#[test]
fn nothing_is_written_after_a_change_that_was_interrupted() {
    let world = World::new();
    let (core, _) = world.open();
    send_one(&core, "a", key(1, 0), 2);
    let before = world.files_of(MANIFEST_DIRECTORY);
    let interrupted = catch_unwind(AssertUnwindSafe(|| {
        core.commit_edit(Edit::default(), |_, _| panic!("interrupted"))
    }));
    assert!(interrupted.is_err());
    let refused = send(&core, &[("b", &[(key(1, 0), 1)])]).remove(0);
    assert!(matches!(refused, Err(CommitError::Refusing { .. })));
    for result in [
        core.snapshot_manifest(),
        core.flush().map(|_| ()),
        core.close(),
    ] {
        assert!(matches!(result, Err(MaintenanceError::InDoubt)));
    }
    assert_eq!(world.files_of(MANIFEST_DIRECTORY), before);
    let (core, report) = world.crash().open();
    assert_eq!((rows(&core).len(), report.faults), (2, vec![]));
}

#[test]
fn a_mark_that_cannot_be_written_stops_nothing() {
    let world = World::new();
    let (core, _) = world.open();
    send_one(&core, "a", key(1, 0), 1);
    // The frame with the watermark is appended, then the mark is written.
    let next = world.disk.operations();
    world
        .disk
        .fail_between(next + 1, next + 2, DiskFault::InputOutput);
    core.write_idle_watermark();
    let status = core.status();
    assert_eq!((status.refusing, status.mark_failures_total), (None, 1));
    assert_eq!(status.sync_failures_total, 0);
    send_one(&core, "b", key(1, 0), 1);
    core.write_idle_watermark();
    assert_eq!(core.status().mark_failures_total, 1);
}

#[test]
fn room_that_no_flush_can_make_is_not_asked_for_for_ever() {
    let world = World::new();
    let (core, _) = world.open();
    send_one(&core, "a", key(1, 0), 1);
    assert!(!core.has_room(world.tails_bytes_max));
    core.flush().unwrap();
    core.is_room_wanted.store(true, Ordering::Release);
    core.maintain().unwrap();
    assert!(!core.take_maintenance_call());
}

#[test]
fn forged_frame_headers_use_up_no_numbers() {
    let world = World::new();
    let (core, _) = world.open();
    send_one(&core, "a", key(1, 0), 2);
    drop(core);
    let path = world.newest(WAL_DIRECTORY);
    world.disk.damage(&path, |bytes| {
        let mut forged = vec![0xff; 80];
        forged[..4].copy_from_slice(b"TFWF");
        forged[8..16].copy_from_slice(&[1, 0, 0, 0, 8, 0, 0, 0]);
        let checksum = crc32c::crc32c(&forged[8..]);
        forged[4..8].copy_from_slice(&checksum.to_le_bytes());
        bytes.extend(forged);
        bytes.extend([0; 8]);
    });
    let (core, report) = world.open();
    assert_eq!((rows(&core).len(), report.faults), (2, vec![]));
    assert!(send_one(&core, "b", key(1, 0), 1).first < Position(100));
}

#[test]
fn a_directory_of_another_version_is_refused_and_left_as_it_is() {
    let world = World::new();
    let (core, _) = world.open();
    send_one(&core, "a", key(1, 0), 1);
    core.close().unwrap();
    drop(core);
    let path = world.newest(WAL_DIRECTORY);
    let name_version_1 = |start: &mut Vec<u8>| start[8] = 1;
    // A version that does not fit the checksum is damage, which the second copy mends.
    let damaged = world.on(world.disk.fork());
    damaged.disk.damage(&path, name_version_1);
    assert_eq!(rows(&damaged.open().0).len(), 1);
    world.disk.damage(&path, |start| {
        name_version_1(start);
        let checksum = crc32c::crc32c(&start[8..PREFIX_BYTES]);
        start[4..8].copy_from_slice(&checksum.to_le_bytes());
    });
    let before = world.disk.all_files();
    let Err(error) = world.try_open() else {
        panic!("opened");
    };
    let OpenError::Version { file, version } = error else {
        panic!("{error}");
    };
    assert_eq!((Path::new(DIRECTORY).join(file), version), (path, 1));
    assert_eq!(world.disk.all_files(), before);
}

#[test]
fn keys_of_a_snapshot_are_those_that_are_held() {
    let world = World::new();
    let (core, _) = world.open();
    let store = |core: &StoreCore, name: String, answer_bytes: usize| {
        let idempotency = IdempotencyKey {
            scope: "s".into(),
            key: name,
            body_hash: [1; 32],
            answer: vec![b'x'; answer_bytes],
        };
        let prepared = core.prepare(CommitRequest {
            batch: EncodedBatch::from_parts(TenantNumber(1), vec![], usize::MAX),
            idempotency: Some(idempotency),
        });
        core.commit_prepared(vec![prepared.unwrap()])[0]
            .clone()
            .unwrap();
    };
    for number in 0..5_000 {
        store(&core, number.to_string(), number % 700);
    }
    core.snapshot_manifest().unwrap();
    store(&core, "after".into(), 5);
    let answer =
        |core: &StoreCore, name: &str| match core.recall(TenantNumber(1), "s", name, &[1; 32]) {
            crate::Recall::Answer(answer) => answer.len(),
            other => panic!("{name}: {other:?}"),
        };
    let (again, report) = world.crash().open();
    assert_eq!(report.notes, vec![]);
    let status = again.status();
    assert_eq!(status.idempotency_keys, 5_001);
    assert_eq!(status.idempotency_evicted_total, crate::Evicted::default());
    for number in 0..5_000 {
        assert_eq!(answer(&again, &number.to_string()), number % 700);
    }
    assert_eq!(answer(&again, "after"), 5);
}
