use super::*;

fn path(text: &str) -> PathBuf {
    PathBuf::from(text)
}

/// A disk with the directory `/d` durable.
fn disk() -> SimulatedDisk {
    let disk = SimulatedDisk::new(1);
    disk.make_directory(&path("/d")).unwrap();
    disk.sync_directory(&path("/")).unwrap();
    disk
}

/// A disk with a durable file `/d/f` of these bytes.
fn disk_with(bytes: &[u8]) -> (SimulatedDisk, Arc<dyn File>) {
    let disk = disk();
    let file = disk.create(&path("/d/f")).unwrap();
    file.append(bytes).unwrap();
    file.sync().unwrap();
    disk.sync_directory(&path("/d")).unwrap();
    assert!(!disk.has_unsynced());
    (disk, file)
}

fn content(disk: &SimulatedDisk, name: &str) -> Option<Vec<u8>> {
    disk.contents(&path(name))
}

fn names(disk: &SimulatedDisk) -> String {
    let all: Vec<_> = disk
        .all_files()
        .iter()
        .map(|(path, _)| path.display().to_string())
        .collect();
    all.join(" ")
}

/// Every state that 200 seeds produce.
fn outcomes<T: Ord>(
    disk: &SimulatedDisk,
    of: impl Fn(&SimulatedDisk) -> T,
) -> std::collections::BTreeSet<T> {
    (0..200).map(|seed| of(&disk.crash(seed))).collect()
}

#[test]
fn content_is_durable_only_after_its_sync() {
    let (disk, file) = disk_with(b"old");
    file.append(b" new").unwrap();
    assert_eq!(content(&disk, "/d/f").unwrap(), b"old new");
    assert_eq!(content(&disk.crash(0), "/d/f").unwrap(), b"old");
    assert_eq!(content(&disk.crash(1), "/d/f").unwrap(), b"old new");
    file.sync().unwrap();
    for seed in 0..50 {
        assert_eq!(content(&disk.crash(seed), "/d/f").unwrap(), b"old new");
    }
}

#[test]
fn names_are_durable_only_after_the_sync_of_their_directory() {
    let disk = disk();
    let file = disk.create(&path("/d/f")).unwrap();
    file.append(b"x").unwrap();
    file.sync().unwrap();
    assert_eq!(content(&disk.crash(0), "/d/f"), None);
    assert_eq!(content(&disk.crash(1), "/d/f").unwrap(), b"x");
    disk.sync_directory(&path("/")).unwrap();
    assert_eq!(content(&disk.crash(0), "/d/f"), None);
    disk.sync_directory(&path("/d")).unwrap();
    assert_eq!(content(&disk.crash(0), "/d/f").unwrap(), b"x");
    disk.remove(&path("/d/f")).unwrap();
    assert_eq!(content(&disk.crash(0), "/d/f").unwrap(), b"x");
    assert_eq!(content(&disk.crash(1), "/d/f"), None);
    disk.sync_directory(&path("/d")).unwrap();
    assert_eq!(outcomes(&disk, names), ["".to_owned()].into());
}

#[test]
fn a_file_is_lost_with_its_directory() {
    let disk = disk();
    disk.make_directory(&path("/d/sub/deep")).unwrap();
    let file = disk.create(&path("/d/sub/deep/f")).unwrap();
    file.sync().unwrap();
    disk.sync_directory(&path("/d/sub/deep")).unwrap();
    disk.sync_directory(&path("/d")).unwrap();
    assert_eq!(names(&disk.crash(0)), "");
    disk.sync_directory(&path("/d/sub")).unwrap();
    assert_eq!(names(&disk.crash(0)), "/d/sub/deep/f");
}

#[test]
fn a_rename_is_old_or_new() {
    let (disk, _) = disk_with(b"old");
    let new = disk.create(&path("/d/t")).unwrap();
    new.append(b"new").unwrap();
    new.sync().unwrap();
    disk.sync_directory(&path("/d")).unwrap();
    disk.rename(&path("/d/t"), &path("/d/f")).unwrap();
    let found = outcomes(&disk, |disk| {
        (names(disk), content(disk, "/d/f").unwrap_or_default())
    });
    let expected = [
        ("/d/f /d/t".to_owned(), b"old".to_vec()),
        ("/d/f".to_owned(), b"new".to_vec()),
    ];
    assert_eq!(found, expected.into());
}

#[test]
fn unsynced_names_are_kept_or_lost_one_by_one_and_each_in_its_order() {
    let disk = disk();
    for name in ["/d/a", "/d/b"] {
        disk.create(&path(name)).unwrap();
    }
    assert_eq!(
        outcomes(&disk, names),
        ["", "/d/a", "/d/a /d/b", "/d/b"].map(str::to_owned).into()
    );
    disk.rename(&path("/d/a"), &path("/d/c")).unwrap();
    disk.remove(&path("/d/c")).unwrap();
    let found = outcomes(&disk, names);
    assert!(
        !found
            .iter()
            .any(|names| names.contains("/d/a") && names.contains("/d/c"))
    );
    assert!(found.contains("/d/c"), "{found:?}");
    disk.sync_directory(&path("/d")).unwrap();
    assert_eq!(outcomes(&disk, names), ["/d/b".to_owned()].into());
}

#[test]
fn sectors_are_whole_and_in_any_order() {
    let (disk, file) = disk_with(&[b'o'; 4 * SECTOR_BYTES]);
    file.write_at(100, &[b'n'; 3 * SECTOR_BYTES]).unwrap();
    let found = outcomes(&disk, |disk| {
        let bytes = content(disk, "/d/f").unwrap();
        assert_eq!(bytes.len(), 4 * SECTOR_BYTES);
        let middle = [200, 600, 1_100, 1_600].map(|at| bytes[at]);
        let uniform = |range: std::ops::Range<usize>| {
            let first = bytes[range.start];
            assert!(bytes[range].iter().all(|byte| *byte == first));
        };
        uniform(0..100);
        uniform(100..512);
        uniform(512..1_024);
        uniform(1_024..1_536);
        uniform(1_636..2_048);
        String::from_utf8(middle.to_vec()).unwrap()
    });
    assert_eq!(found.len(), 16, "{found:?}");
}

#[test]
fn a_sector_written_twice_has_any_of_its_states() {
    let (disk, file) = disk_with(b"0");
    file.write_at(0, b"1").unwrap();
    file.write_at(0, b"2").unwrap();
    let found = outcomes(&disk, |disk| content(disk, "/d/f").unwrap());
    assert_eq!(found, [b"0".to_vec(), b"1".to_vec(), b"2".to_vec()].into());
}

#[test]
fn an_extended_file_has_any_length_and_old_bytes_where_nothing_was_written() {
    let (disk, file) = disk_with(b"");
    file.append(&[b'n'; 3 * SECTOR_BYTES]).unwrap();
    let lengths = outcomes(&disk, |disk| content(disk, "/d/f").unwrap().len());
    assert!(
        lengths.contains(&0) && lengths.contains(&(3 * SECTOR_BYTES)),
        "{lengths:?}"
    );
    assert!(lengths.contains(&SECTOR_BYTES), "{lengths:?}");
    let strange = outcomes(&disk, |disk| {
        let bytes = content(disk, "/d/f").unwrap();
        bytes.iter().any(|byte| ![0, b'n'].contains(byte))
    });
    assert_eq!(strange, [false, true].into());
}

#[test]
fn a_failed_sync_forgets_what_was_dirty() {
    let (disk, file) = disk_with(b"old");
    disk.set_failed_sync(FailedSync::Dropped);
    disk.fail_at(disk.operations() + 1, Fault::InputOutput);
    file.append(b" new").unwrap();
    assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(5));
    file.sync().unwrap();
    let mut seen = [0; 7];
    file.read_at(0, &mut seen).unwrap();
    assert_eq!(&seen, b"old new", "the cache still shows it");
    assert_eq!(
        outcomes(&disk, |d| content(d, "/d/f").unwrap()),
        [b"old".to_vec()].into()
    );
}

#[test]
fn a_failed_sync_may_have_reached_the_medium() {
    let (disk, file) = disk_with(b"old");
    disk.set_failed_sync(FailedSync::Reached);
    disk.fail_at(disk.operations() + 1, Fault::NoSpace);
    file.append(b" new").unwrap();
    assert_eq!(file.sync().unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(content(&disk.crash(0), "/d/f").unwrap(), b"old new");
}

#[test]
fn a_failed_sync_of_a_directory_leaves_its_names_pending() {
    let disk = disk();
    disk.create(&path("/d/a")).unwrap();
    disk.fail_at(disk.operations(), Fault::InputOutput);
    assert!(disk.sync_directory(&path("/d")).is_err());
    assert_eq!(
        outcomes(&disk, names),
        ["", "/d/a"].map(str::to_owned).into()
    );
    disk.sync_directory(&path("/d")).unwrap();
    assert_eq!(names(&disk.crash(0)), "/d/a");
}

#[test]
fn a_killed_process_leaves_what_it_wrote_and_makes_nothing_durable() {
    let (disk, file) = disk_with(b"old");
    file.append(b" new").unwrap();
    disk.create(&path("/d/g")).unwrap();
    let next = disk.crash_point().kill();
    assert_eq!(content(&next, "/d/f").unwrap(), b"old new");
    assert_eq!(names(&next), "/d/f /d/g");
    assert_eq!(names(&next.crash(0)), "/d/f");
    assert_eq!(content(&next.crash(0), "/d/f").unwrap(), b"old");
    next.open(&path("/d/f")).unwrap().sync().unwrap();
    next.sync_directory(&path("/d")).unwrap();
    assert_eq!(content(&next.crash(0), "/d/f").unwrap(), b"old new");
    assert_eq!(names(&next.crash(0)), "/d/f /d/g");
}

#[test]
fn faults_hit_the_operation_of_their_index_and_nothing_else() {
    let disk = disk();
    let first = disk.operations();
    disk.fail_at(first, Fault::NoSpace);
    disk.fail_at(first + 1, Fault::InputOutput);
    assert!(disk.create(&path("/d/a")).is_err());
    assert!(disk.create(&path("/d/a")).is_err());
    assert_eq!(names(&disk), "");
    let file = disk.create(&path("/d/a")).unwrap();
    disk.fail_at(disk.operations(), Fault::ShortWrite);
    assert_eq!(
        file.append(b"12345678").unwrap_err().raw_os_error(),
        Some(28)
    );
    assert_eq!(content(&disk, "/d/a").unwrap(), b"1234");
    disk.fail_at(disk.operations(), Fault::InputOutput);
    assert!(file.read_at(0, &mut [0; 2]).is_err());
    // A fault that cannot hit such an operation does not.
    disk.fail_at(disk.operations(), Fault::NoSpace);
    file.read_at(0, &mut [0; 2]).unwrap();
}

#[test]
fn room_ends_and_comes_back() {
    let (disk, file) = disk_with(b"12345");
    disk.set_capacity_bytes(Some(8));
    assert_eq!(Files::free_bytes(&disk, &path("/d")).unwrap(), 3);
    file.write_at(0, b"abcde").unwrap();
    assert_eq!(
        file.append(b"6789").unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );
    assert_eq!(content(&disk, "/d/f").unwrap(), b"abcde678");
    disk.remove(&path("/d/f")).unwrap();
    assert_eq!(Files::free_bytes(&disk, &path("/d")).unwrap(), 8);
    disk.create(&path("/d/g"))
        .unwrap()
        .append(b"12345678")
        .unwrap();
}

#[test]
fn a_lying_disk_syncs_nothing() {
    let disk = disk();
    disk.set_lying(true);
    let file = disk.create(&path("/d/f")).unwrap();
    file.append(b"x").unwrap();
    file.sync().unwrap();
    disk.sync_directory(&path("/d")).unwrap();
    assert_eq!(disk.syncs_skipped(), 2);
    assert_eq!(names(&disk.crash(0)), "");
}

#[test]
fn a_site_is_left_out_and_others_are_not() {
    let disk = disk();
    disk.skip_syncs(SyncSite::file("wal"));
    disk.skip_syncs(SyncSite::directory("elsewhere"));
    disk.skip_syncs(SyncSite::file("other/").at_end());
    for name in ["/d/wal-1", "/d/other"] {
        let file = disk.create(&path(name)).unwrap();
        file.append(b"x").unwrap();
        file.sync().unwrap();
    }
    disk.sync_directory(&path("/d")).unwrap();
    assert_eq!(disk.syncs_skipped(), 1);
    let after = disk.crash(0);
    assert_eq!(content(&after, "/d/wal-1").unwrap(), b"");
    assert_eq!(content(&after, "/d/other").unwrap(), b"x");
}

#[test]
fn after_power_loss_nothing_changes_and_every_call_says_so() {
    let (disk, file) = disk_with(b"x");
    disk.lose_power_after(disk.operations() + 1);
    file.append(b"y").unwrap();
    for error in [
        file.append(b"z").unwrap_err(),
        file.sync().unwrap_err(),
        disk.remove(&path("/d/f")).unwrap_err(),
        disk.list(&path("/d")).unwrap_err(),
    ] {
        assert!(is_power_loss(&error), "{error}");
    }
    assert!(!is_power_loss(&io::Error::from_raw_os_error(5)));
    assert_eq!(content(&disk, "/d/f").unwrap(), b"xy");
    let after = disk.crash(1);
    let file = after.open(&path("/d/f")).unwrap();
    assert!(file.append(b"!").is_err(), "it is open for reading");
    let file = after.open_for_overwrite(&path("/d/f")).unwrap();
    file.append(b"!").unwrap();
    assert_eq!(content(&after, "/d/f").unwrap(), b"xy!");
}

#[test]
fn one_run_gives_every_crash_point() {
    let disk = disk();
    let first = disk.operations();
    disk.record_crash_points();
    let file = disk.create(&path("/d/f")).unwrap();
    file.append(b"x").unwrap();
    file.read_at(0, &mut [0]).unwrap();
    file.sync().unwrap();
    disk.sync_directory(&path("/d")).unwrap();
    let points = disk.take_crash_points();
    let operations: Vec<_> = points.iter().map(|p| p.operations - first).collect();
    assert_eq!(operations, [0, 1, 3, 4, 5]);
    let found: Vec<_> = points
        .iter()
        .map(|p| content(&p.crash(1), "/d/f").map(|bytes| bytes.len()))
        .collect();
    assert_eq!(found, [None, Some(0), Some(1), Some(1), Some(1)]);
    assert_eq!(content(&points[3].crash(0), "/d/f"), None);
    // A recorded point is what a crash at that moment would have been.
    let same = |seed| {
        let recorded = points[4].crash(seed);
        (recorded.all_files(), content(&recorded, "/d/f"))
    };
    for seed in 0..20 {
        let now = disk.crash(seed);
        assert_eq!(same(seed), (now.all_files(), content(&now, "/d/f")));
    }
}

#[test]
fn the_same_seed_gives_the_same_disk() {
    let run = || {
        let (disk, file) = disk_with(&[7; 5_000]);
        file.write_at(300, &[8; 9_000]).unwrap();
        disk.create(&path("/d/g")).unwrap();
        disk.rename(&path("/d/f"), &path("/d/h")).unwrap();
        disk
    };
    let (a, b) = (run(), run());
    for seed in 0..50 {
        let (a, b) = (a.crash(seed), b.crash(seed));
        assert_eq!(a.all_files(), b.all_files());
        for (name, _) in a.all_files() {
            assert_eq!(a.contents(&name), b.contents(&name));
        }
    }
    assert_eq!(a.log(), b.log());
}

#[test]
fn a_fork_is_another_disk() {
    let (disk, file) = disk_with(b"x");
    let other = disk.fork();
    file.append(b"y").unwrap();
    assert_eq!(content(&other, "/d/f").unwrap(), b"x");
}

#[test]
fn errors_are_those_of_a_real_system() {
    let (disk, file) = disk_with(b"x");
    let kind = |result: io::Result<()>| result.unwrap_err().kind();
    assert_eq!(
        kind(disk.create(&path("/d/f")).map(drop)),
        io::ErrorKind::AlreadyExists
    );
    assert_eq!(
        kind(disk.create(&path("/no/f")).map(drop)),
        io::ErrorKind::NotFound
    );
    assert_eq!(
        kind(disk.open(&path("/d/g")).map(drop)),
        io::ErrorKind::NotFound
    );
    assert_eq!(kind(disk.remove(&path("/d/g"))), io::ErrorKind::NotFound);
    assert_eq!(
        kind(disk.rename(&path("/d/g"), &path("/d/h"))),
        io::ErrorKind::NotFound
    );
    assert_eq!(
        kind(disk.list(&path("/e")).map(drop)),
        io::ErrorKind::NotFound
    );
    assert_eq!(
        kind(disk.sync_directory(&path("/e"))),
        io::ErrorKind::NotFound
    );
    assert_eq!(
        kind(file.read_at(0, &mut [0; 2])),
        io::ErrorKind::UnexpectedEof
    );
    assert_eq!(
        kind(disk.make_directory(&path("/d/f/g"))),
        io::ErrorKind::NotADirectory
    );
    let log = disk.log();
    assert_eq!(log.last().unwrap().outcome, Outcome::Refused);
    assert_eq!(
        log.last().unwrap().to_string(),
        "14 MakeDirectory /d/f/g (Refused)"
    );
}

#[test]
fn a_handle_outlives_its_name() {
    let (disk, file) = disk_with(b"x");
    disk.remove(&path("/d/f")).unwrap();
    file.append(b"y").unwrap();
    let mut seen = [0; 2];
    file.read_at(0, &mut seen).unwrap();
    assert_eq!(&seen, b"xy");
    let again = disk.create(&path("/d/./f")).unwrap();
    assert!(again.is_empty().unwrap());
    let listed = disk.list(&path("/d/")).unwrap();
    let expected = Entry {
        name: "f".into(),
        bytes: 0,
        is_directory: false,
    };
    assert_eq!(listed, [expected]);
}

#[test]
fn damage_is_durable() {
    let (disk, _) = disk_with(b"abc");
    disk.create(&path("/d/g")).unwrap().append(b"x").unwrap();
    disk.flip(&path("/d/f"), 1, 0x01);
    disk.swap(&path("/d/f"), &path("/d/g"));
    assert_eq!(content(&disk, "/d/g").unwrap(), b"acc");
    disk.truncate(&path("/d/g"), 2);
    assert_eq!(content(&disk, "/d/g").unwrap(), b"ac");
    disk.lose(&path("/d/f"));
    assert_eq!(content(&disk.crash(1), "/d/f"), None);
}

#[test]
fn reads_of_the_harness_are_not_counted() {
    let (disk, file) = disk_with(b"x");
    let before = disk.operations();
    disk.fail_at(before, Fault::InputOutput);
    let mut seen = [0];
    disk.unobserved(|| file.read_at(0, &mut seen)).unwrap();
    assert!(disk.unobserved(|| disk.open(&path("/d/g"))).is_err());
    assert_eq!(disk.operations(), before);
    assert!(file.read_at(0, &mut seen).is_err());
}
