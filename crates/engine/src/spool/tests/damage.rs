//! What is damaged on disk loses no more than it must, and nothing comes twice.
use super::*;

/// The lines of four batches that wait, three in each; the answer to the first may be lost.
pub(super) fn pending(server: &Server) -> SimulatedDisk {
    let disk = disk();
    let (mut spool, _) = open(&disk).unwrap();
    for first in (0..LINES).step_by(3) {
        persist(&mut spool, first..first + 3);
    }
    deliver(&mut spool, server).unwrap();
    drop(spool);
    disk.crash(1)
}

fn persist(spool: &mut Spool, lines: std::ops::Range<u64>) {
    let end = lines.end;
    let texts: Vec<String> = lines.map(|n| format!("line {n}")).collect();
    spool
        .persist("app.backend", &messages(&texts), end.into())
        .unwrap();
}

fn path(number: u64) -> PathBuf {
    Path::new(DIRECTORY).join(format!("pending/{number:016x}"))
}

/// A server that is away, or stores the first batch while its answer is lost.
fn server(stores_first: bool) -> Server {
    let server = Server::default();
    server.is_away.set(!stores_first);
    server.lose_answer_of.set(Some(1));
    server
}

fn back(server: &Server) -> &Server {
    server.is_away.set(false);
    server
}

/// What comes of a change, whether the server has the first batch or not: exactly the batches
/// `lost` are lost, and those from `read_again` on are read again.
#[track_caller]
fn check(change: impl Fn(&SimulatedDisk), lost: &[u64], read_again: Option<u64>) {
    for stores_first in [false, true] {
        let server = server(stores_first);
        let disk = pending(&server);
        change(&disk);
        let told = ship(&disk, back(&server)).unwrap();
        let numbers: Vec<u64> = told.lost.iter().flat_map(|it| it.first..=it.last).collect();
        assert_eq!(numbers, lost);
        assert_eq!(told.read_again.map(|it| it.first), read_again);
        for lost in &told.lost {
            assert_eq!(lost.may_be_stored, lost.first == 1);
            // The lines lie between the checkpoints, which are numbers of lines here.
            let line = |point: &Option<serde_json::Value>| point.as_ref().map(|it| it.as_u64());
            let before = line(&lost.before).flatten().unwrap_or(0);
            assert!(before <= 3 * (lost.first - 1), "{lost:?}");
            let after = line(&lost.after);
            assert!(after.is_none_or(|it| it >= Some(3 * lost.last)), "{lost:?}");
        }
        let is_stored = |line: u64| {
            let number = line / 3 + 1;
            !lost.contains(&number) || (stores_first && number == 1)
        };
        let expected: BTreeMap<String, u32> = (0..LINES)
            .filter(|line| is_stored(*line))
            .map(|line| (format!("line {line}"), 1))
            .collect();
        assert_eq!(*server.stored.borrow(), expected, "{stores_first}");
        // It is over: nothing is told again.
        assert_eq!(ship(&disk.crash(0), &server).unwrap(), Told::default());
    }
}

/// The newest batches are read again, others are lost.
#[track_caller]
fn check_each(change: impl Fn(&SimulatedDisk, &Path)) {
    for number in 1..=3 {
        check(|disk| change(disk, &path(number)), &[number], None);
    }
    check(|disk| change(disk, &path(4)), &[], Some(4));
}

#[test]
fn a_flipped_byte_costs_one_batch() {
    for offset in [0, 5, 20, 60, 150] {
        check_each(|disk, path| disk.flip(path, offset, 4));
    }
}

#[test]
fn a_truncated_file_costs_one_batch() {
    for length in [0, 10, 48, 100] {
        check_each(|disk, path| disk.truncate(path, length));
    }
}

#[test]
fn a_missing_file_costs_one_batch() {
    for number in 1..=3 {
        check(|disk| disk.lose(&path(number)), &[number], None);
    }
    // Nobody can tell that the last was there; its lines are read again.
    check(|disk| disk.lose(&path(4)), &[], None);
    let two_and_three = |disk: &SimulatedDisk| {
        disk.lose(&path(2));
        disk.lose(&path(3));
    };
    check(two_and_three, &[2, 3], None);
}

#[test]
fn swapped_files_cost_both_batches() {
    let swap = |a, b| move |disk: &SimulatedDisk| disk.swap(&path(a), &path(b));
    check(swap(1, 2), &[1, 2], None);
    check(swap(1, 3), &[1, 3], None);
    check(swap(2, 3), &[2, 3], None);
    check(swap(1, 4), &[1], Some(4));
    check(swap(2, 4), &[2], Some(4));
    check(swap(3, 4), &[], Some(3));
}

#[test]
fn several_faults_together() {
    let damage = |disk: &SimulatedDisk| {
        disk.lose(&path(1));
        disk.flip(&path(2), 60, 1);
        disk.flip(&path(4), 60, 1);
    };
    check(damage, &[1, 2], Some(4));
    let newest = |disk: &SimulatedDisk| {
        disk.lose(&path(3));
        disk.flip(&path(4), 60, 1);
    };
    check(newest, &[], Some(3));
}

#[test]
fn the_only_batch_is_read_again_under_its_key() {
    for stores_first in [false, true] {
        let server = Server {
            is_lenient: true,
            ..server(stores_first)
        };
        let disk = disk();
        let (mut spool, _) = open(&disk).unwrap();
        persist(&mut spool, 0..3);
        deliver(&mut spool, &server).unwrap();
        drop(spool);
        disk.truncate(&path(1), 70);
        let (mut spool, report) = open(&disk).unwrap();
        let again = report.read_again.unwrap();
        assert_eq!((again.first, again.last, again.may_be_stored), (1, 1, true));
        assert!(disk.contents(&again.files[0]).is_some(), "it is kept");
        assert_eq!(spool.checkpoint(), None);
        // The file has grown meanwhile: another body.
        persist(&mut spool, 0..4);
        let expected = match stores_first {
            true => (0, 4),
            false => (4, 0),
        };
        assert_eq!(
            counts(deliver(&mut spool, back(&server)).unwrap()),
            expected
        );
        assert!(server.stored.borrow().values().all(|count| *count == 1));
        let kept = String::from_utf8(spool.rejected().unwrap()).unwrap();
        assert_eq!(kept.lines().count() as u64, expected.1);
    }
}

#[test]
fn what_can_still_be_read_of_a_large_batch_says_where_its_lines_are() {
    for stores_first in [false, true] {
        let server = server(stores_first);
        let disk = disk();
        let (mut spool, _) = open(&disk).unwrap();
        spool.compression = false;
        let texts: Vec<String> = (0..3)
            .map(|n| format!("{n}{}", "x".repeat(60_000)))
            .collect();
        spool
            .persist("app.backend", &messages(&texts), 3.into())
            .unwrap();
        deliver(&mut spool, &server).unwrap();
        drop(spool);
        disk.flip(&path(1), 150_000, 1);
        let (mut spool, report) = open(&disk).unwrap();
        assert_eq!(report.read_again, None);
        assert!(report.has_lost);
        assert_eq!(spool.checkpoint(), Some(&3.into()), "it goes on behind it");
        let Delivery::Lost(lost) = deliver(&mut spool, &server).unwrap() else {
            panic!("not told");
        };
        assert_eq!((lost.first, lost.last, lost.records), (1, 1, Some(3)));
        assert_eq!((&lost.before, &lost.after), (&None, &Some(3.into())));
        assert!(lost.is_exact && lost.may_be_stored);
        let LossCause::Damaged { file, detail } = &lost.cause else {
            panic!("{lost:?}");
        };
        assert!(
            disk.contents(file).is_some() && detail.contains("damaged"),
            "{detail}"
        );
        let stored: u32 = server.stored.borrow().values().sum();
        assert_eq!(stored, if stores_first { 3 } else { 0 });
    }
}

#[test]
fn what_is_damaged_under_way_is_told_until_that_is_noted() {
    let disk = disk();
    let server = Server::default();
    let (mut spool, _) = open(&disk).unwrap();
    for first in [0, 3, 6] {
        persist(&mut spool, first..first + 3);
    }
    disk.flip(&path(2), 60, 1);
    assert_eq!(counts(deliver(&mut spool, &server).unwrap()), (3, 0));
    let first = deliver(&mut spool, &server).unwrap();
    assert!(matches!(&first, Delivery::Lost(lost) if lost.first == 2 && !lost.may_be_stored));
    // Killed before anybody heard of it.
    drop(spool);
    let disk = disk.crash(0);
    let (mut spool, report) = open(&disk).unwrap();
    assert!(report.has_lost);
    let Delivery::Lost(lost) = deliver(&mut spool, &server).unwrap() else {
        panic!("not told again");
    };
    assert_eq!((lost.first, lost.last, lost.is_exact), (2, 2, false));
    assert_eq!((lost.before, lost.after), (Some(3.into()), Some(9.into())));
    assert_eq!(counts(deliver(&mut spool, &server).unwrap()), (3, 0));
    // The last one: what is new goes on behind it, in this process and in the next.
    persist(&mut spool, 9..12);
    disk.truncate(&path(4), 3);
    let Delivery::Lost(lost) = deliver(&mut spool, &server).unwrap() else {
        panic!("not told");
    };
    assert_eq!((lost.before, lost.after), (Some(9.into()), Some(12.into())));
    assert_eq!(deliver(&mut spool, &server).unwrap(), Delivery::Nothing);
    persist(&mut spool, 12..15);
    assert_eq!(counts(deliver(&mut spool, &server).unwrap()), (3, 0));
    drop(spool);
    let (spool, report) = open(&disk.crash(0)).unwrap();
    assert_eq!(
        (report, spool.checkpoint()),
        (SpoolReport::default(), Some(&15.into()))
    );
}

#[test]
fn without_a_source_the_newest_batch_is_lost_and_its_key_not_used_again() {
    let disk = disk();
    let server = Server::default();
    let append = |spool: &mut Spool, text: &str| {
        let batch = messages(&[text.to_string()]);
        assert_eq!(
            spool.append("app.backend", &batch).unwrap(),
            Appended::Persisted
        );
    };
    let (mut spool, _) = open_as(&disk, false).unwrap();
    append(&mut spool, "line 0");
    append(&mut spool, "line 1");
    let sent = deliver(&mut spool, &server).unwrap();
    assert_eq!(counts(sent), (1, 0));
    server.lose_answer_of.set(Some(2));
    assert_eq!(deliver(&mut spool, &server).unwrap(), Delivery::Later);
    drop(spool);
    disk.flip(&path(2), 60, 1);
    // However often it is opened before that is told.
    open_as(&disk, false).unwrap();
    let (mut spool, report) = open_as(&disk, false).unwrap();
    assert_eq!((report.read_again, report.has_lost), (None, true));
    append(&mut spool, "line 2");
    let Delivery::Lost(lost) = deliver(&mut spool, &server).unwrap() else {
        panic!("not told");
    };
    assert_eq!((lost.first, lost.last, lost.may_be_stored), (2, 2, true));
    assert_eq!(counts(deliver(&mut spool, &server).unwrap()), (1, 0));
    let stored: Vec<u32> = server.stored.borrow().values().copied().collect();
    assert_eq!(stored, [1, 1, 1]);
}

#[test]
fn without_the_state_nothing_is_guessed() {
    let state = Path::new(DIRECTORY).join("state");
    let is_state = |disk: &SimulatedDisk| match open(disk) {
        Err(SpoolError::State { path, .. }) => path == state,
        _ => false,
    };
    let disk = pending(&server(false));
    let before = disk.all_files();
    for change in [
        |disk: &SimulatedDisk, state: &Path| disk.flip(state, 60, 1),
        |disk: &SimulatedDisk, state: &Path| disk.truncate(state, 20),
        |disk: &SimulatedDisk, state: &Path| disk.lose(state),
    ] {
        let disk = disk.fork();
        change(&disk, &state);
        assert!(is_state(&disk));
        let batches = |files: &[(PathBuf, u64)]| {
            let is_batch = |file: &&(PathBuf, u64)| file.0.to_string_lossy().contains("pending/");
            files.iter().filter(is_batch).count()
        };
        assert_eq!(
            batches(&disk.all_files()),
            batches(&before),
            "nothing is touched"
        );
    }
}
