//! What a start makes of what an earlier life left on the disk.
use super::*;
use crate::{
    bundle::SEGMENTS_DIRECTORY,
    encoded::{EncodedBatch, Part},
    keys::KeyFile,
    read::ReadError,
    store_core::{CommitError, CommitRequest, Committed, IdempotencyKey},
};
use std::{collections::BTreeMap, sync::atomic::AtomicU64, sync::atomic::Ordering};
use taffrail_model::{
    column::{ColumnSet, Kind},
    stream::StreamNumber,
    tenant::TenantNumber,
    time::{Day, NS_PER_DAY, Timestamp},
};
use taffrail_testkit::{
    SimulatedClock, SimulatedDisk,
    disk::{Fault as DiskFault, OperationKind},
};

mod long_lives;

const DIRECTORY: &str = "/data";
const TODAY: i64 = 20_457;

struct World {
    disk: SimulatedDisk,
    clock: Arc<SimulatedClock>,
    tails_bytes_max: usize,
    encryption: bool,
}

impl World {
    fn new() -> World {
        World {
            disk: SimulatedDisk::new(1),
            clock: Arc::new(SimulatedClock::new(Timestamp(TODAY * NS_PER_DAY))),
            tails_bytes_max: 8 << 20,
            encryption: true,
        }
    }

    fn on(&self, disk: SimulatedDisk) -> World {
        World {
            disk,
            clock: self.clock.clone(),
            ..*self
        }
    }

    fn try_open(&self) -> Result<(StoreCore, RecoveryReport), OpenError> {
        static SEED: AtomicU64 = AtomicU64::new(1);
        let entropy = |out: &mut [u8]| {
            for byte in out {
                let seed = SEED.fetch_add(1, Ordering::Relaxed);
                *byte = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
            }
        };
        let options = StoreOptions {
            tails_bytes_max: self.tails_bytes_max,
            encryption: self.encryption,
            entropy: Arc::new(entropy),
            ..StoreOptions::new(DIRECTORY.into())
        };
        let kek = Arc::new(KeyFile::from_secret([5; 32]));
        StoreCore::open(options, self.disk.files(), self.clock.clone(), kek)
    }

    fn open(&self) -> (StoreCore, RecoveryReport) {
        self.try_open().unwrap()
    }

    fn files_of(&self, directory: &str) -> Vec<PathBuf> {
        let files = self.disk.all_files().into_iter();
        let root = Path::new(DIRECTORY).join(directory);
        let paths = files.map(|(path, _)| path);
        paths.filter(|path| path.starts_with(&root)).collect()
    }

    fn newest(&self, directory: &str) -> PathBuf {
        self.files_of(directory).pop().unwrap()
    }

    /// The disk after power loss, everything unsynced gone.
    fn crash(&self) -> World {
        self.on(self.disk.crash(0))
    }
}

fn key(tenant: u32, day: i64) -> PartitionKey {
    PartitionKey {
        tenant: TenantNumber(tenant),
        stream: StreamNumber(3),
        day: Day((TODAY - day) as u16),
    }
}

/// Rows whose message says partition and number.
fn part(key: PartitionKey, name: &str, rows: u32) -> Part {
    let mut columns = ColumnSet::default();
    for row in 0..rows {
        columns
            .get_or_create("message")
            .push(row, Kind::String, &format!("{name} {row}"));
    }
    columns.set_rows(rows);
    let start = key.day.start().0;
    Part {
        key,
        timestamps: (0..i64::from(rows)).map(|row| start + row).collect(),
        columns,
    }
}

/// A request of several parts, of one tenant each (the tests' requests have one).
type Request<'a> = (&'a str, &'a [(PartitionKey, u32)]);

fn send(core: &StoreCore, requests: &[Request<'_>]) -> Vec<Result<Committed, CommitError>> {
    let group = requests.iter().map(|(name, parts)| {
        let parts: Vec<_> = parts
            .iter()
            .map(|(key, rows)| part(*key, name, *rows))
            .collect();
        let tenant = parts[0].key.tenant;
        core.prepare(CommitRequest {
            batch: EncodedBatch::from_parts(tenant, parts, usize::MAX),
            idempotency: None,
        })
        .unwrap()
    });
    core.commit_prepared(group.collect())
}

fn send_one(core: &StoreCore, name: &str, key: PartitionKey, rows: u32) -> Committed {
    let results = send(core, &[(name, &[(key, rows)])]);
    results.into_iter().next().unwrap().unwrap()
}

/// Every row: position → (partition, message). Panics if a position comes twice.
fn rows(core: &StoreCore) -> BTreeMap<u64, (PartitionKey, String)> {
    let mut all = BTreeMap::new();
    for partition in core.snapshot().partitions() {
        for source in partition.sources() {
            for block in 0..source.blocks().unwrap().len() {
                let positions = source.positions(block).unwrap().into_owned();
                let column = source.column(block, "message").unwrap().unwrap();
                for (row, position) in (0u32..).zip(positions) {
                    let text = column.get(row).unwrap().text.to_string();
                    let twice = all.insert(position, (partition.key, text));
                    assert_eq!(twice, None, "position {position} twice");
                }
            }
        }
    }
    all
}

/// Three groups: one request; one over two days; two tenants at once.
fn fill(core: &StoreCore) {
    send_one(core, "a", key(1, 0), 3);
    send(core, &[("b", &[(key(1, 0), 2), (key(1, 1), 2)])]);
    send(
        core,
        &[
            ("c", &[(key(2, 0), 2)]),
            ("d", &[(key(1, 0), 1), (key(1, 2), 1), (key(1, 3), 1)]),
        ],
    );
}

/// How many of the requests of [`fill`] are there, as a prefix; panics if one is there in part.
fn whole_requests(rows: &BTreeMap<u64, (PartitionKey, String)>) -> usize {
    let sizes = [("a", 3), ("b", 4), ("c", 2), ("d", 3)];
    let count = |name: &str| {
        let texts = rows.values().map(|(_, text)| text);
        texts.filter(|text| text.starts_with(name)).count()
    };
    let there: Vec<_> = sizes.iter().map(|(name, _)| count(name)).collect();
    let whole = sizes.iter().zip(&there);
    let whole = whole.take_while(|((_, size), there)| size == *there);
    let whole = whole.count();
    assert!(there[whole..].iter().all(|rows| *rows == 0), "{there:?}");
    whole
}

#[test]
fn everything_is_there_after_a_crash_and_after_a_close() {
    for encryption in [true, false] {
        let world = World {
            encryption,
            ..World::new()
        };
        let (core, report) = world.open();
        assert!(report.is_new);
        fill(&core);
        let all = rows(&core);
        assert_eq!(whole_requests(&all), 4);
        let crashed = world.crash();
        let (core_after, report) = crashed.open();
        assert_eq!(rows(&core_after), all);
        assert_eq!((report.faults, report.is_new), (vec![], false));
        assert_eq!(report.rows_replayed, 12);
        core.close().unwrap();
        let (core_after, report) = world.on(world.disk.crash(0)).open();
        assert_eq!(rows(&core_after), all);
        assert_eq!((report.faults, report.notes), (vec![], vec![]));
        let refused = send(&core, &[("e", &[(key(1, 0), 1)])]);
        assert!(matches!(refused[..], [Err(CommitError::Closed)]));
    }
}

#[test]
fn a_log_that_is_cut_anywhere_keeps_whole_requests() {
    let world = World::new();
    let (core, _) = world.open();
    fill(&core);
    drop(core);
    let path = world.newest(WAL_DIRECTORY);
    let bytes = world.disk.contents(&path).unwrap();
    let mut last = 0;
    for cut in 8_192..=bytes.len() {
        let disk = world.disk.fork();
        disk.truncate(&path, cut as u64);
        let (core, report) = world.on(disk).open();
        let whole = whole_requests(&rows(&core));
        assert!(whole >= last && whole <= 4, "{cut}");
        last = whole;
        assert_eq!(report.faults, vec![], "{cut}");
    }
    assert_eq!(last, 4);
}

#[test]
fn a_torn_tail_is_kept_aside_and_its_positions_go_on() {
    let world = World::new();
    let (core, _) = world.open();
    fill(&core);
    drop(core);
    let path = world.newest(WAL_DIRECTORY);
    let length = world.disk.contents(&path).unwrap().len() as u64;
    world.disk.truncate(&path, length - 1);
    let (core, report) = world.open();
    assert_eq!(whole_requests(&rows(&core)), 3);
    assert_eq!(report.quarantined.len(), 1);
    let kept = Path::new(DIRECTORY).join(&report.quarantined[0]);
    assert!(world.disk.contents(&kept).unwrap().len() > 100);
    assert!(report.notes[0].1.contains("torn tail"));
    let next = send_one(&core, "e", key(1, 0), 1);
    assert!(next.first.0 > 9, "{next:?}");
    let all = rows(&core);
    drop(core);
    let (core, report) = world.crash().open();
    assert_eq!(rows(&core), all);
    assert_eq!((report.notes, report.faults), (vec![], vec![]));
}

#[test]
fn every_flip_in_the_log_is_named_and_shows_no_wrong_row() {
    let world = World::new();
    let (core, _) = world.open();
    fill(&core);
    core.write_idle_watermark();
    let all = rows(&core);
    drop(core);
    let path = world.newest(WAL_DIRECTORY);
    let bytes = world.disk.contents(&path).unwrap().len() as u64;
    // Of the two copies of the header every 97th byte, then every byte.
    let offsets = (0..8_192).step_by(97).chain(8_192..bytes);
    for offset in offsets {
        let disk = world.disk.fork();
        disk.flip(&path, offset, 1 << (offset % 8));
        let flipped = world.on(disk);
        let (core, report) = flipped.open();
        let left = rows(&core);
        assert!(
            left.iter().all(|(at, row)| all.get(at) == Some(row)),
            "{offset}"
        );
        let is_named = !report.faults.is_empty() || !report.notes.is_empty();
        assert!(is_named, "{offset}");
        if left.len() < all.len() {
            assert!(!report.faults.is_empty(), "{offset}: acknowledged rows");
            // The loss is remembered.
            drop(core);
            let (core, _) = flipped.open();
            assert!(!core.snapshot().faults().is_empty(), "{offset}");
            core.acknowledge_losses().unwrap();
            drop(core);
            let (core, _) = flipped.open();
            let wal_faults = core.snapshot().faults().len();
            drop(core);
            // Once the damaged file is dropped, the acknowledgement holds.
            assert!(wal_faults <= 1, "{offset}");
        }
    }
}

#[test]
fn what_a_failed_sync_wrote_never_shows() {
    for kind in [OperationKind::Sync, OperationKind::Append] {
        let world = World::new();
        let (core, _) = world.open();
        send_one(&core, "a", key(1, 0), 3);
        let from = world.disk.operations();
        let failing = DiskFault::InputOutput;
        // The first operation of a group is its append, the second its sync.
        let index = from + u64::from(kind == OperationKind::Sync);
        world.disk.fail_at(index, failing);
        let failed = send(&core, &[("b", &[(key(1, 0), 2), (key(1, 1), 2)])]);
        assert!(
            matches!(failed[..], [Err(CommitError::SyncFailed(_))]),
            "{failed:?}"
        );
        assert!(core.status().refusing.is_some());
        assert_eq!(rows(&core).len(), 3);
        let next = send_one(&core, "c", key(2, 0), 2);
        assert_eq!(next.first, Position(8), "positions are not used again");
        assert_eq!(core.status().refusing, None);
        let all = rows(&core);
        drop(core);
        // Whether the failed bytes reached the disk or not.
        for seed in 0..8 {
            let (core, report) = world.on(world.disk.crash(seed)).open();
            assert_eq!(rows(&core), all, "{seed}");
            assert_eq!(report.faults, vec![]);
        }
        let (core, _) = world.open();
        assert_eq!(rows(&core), all);
    }
}

#[test]
fn a_full_disk_refuses_and_recovers_unaided() {
    let world = World::new();
    let (core, _) = world.open();
    send_one(&core, "a", key(1, 0), 3);
    let used: u64 = world.disk.all_files().iter().map(|(_, bytes)| bytes).sum();
    world.disk.set_capacity_bytes(Some(used + 10));
    for _ in 0..3 {
        let refused = send(&core, &[("b", &[(key(1, 0), 2)])]);
        assert!(
            matches!(refused[..], [Err(CommitError::NoSpace)]),
            "{refused:?}"
        );
        assert_eq!(rows(&core).len(), 3);
    }
    assert!(core.flush().unwrap_err().is_no_space());
    world.disk.set_capacity_bytes(None);
    send_one(&core, "c", key(1, 0), 2);
    core.flush().unwrap();
    let all = rows(&core);
    assert_eq!(all.len(), 5);
    drop(core);
    assert_eq!(rows(&world.crash().open().0), all);
}

#[test]
fn a_start_on_a_full_disk_serves_reads_and_loses_nothing() {
    let world = World::new();
    let (core, _) = world.open();
    fill(&core);
    let all = rows(&core);
    drop(core);
    let used: u64 = world.disk.all_files().iter().map(|(_, bytes)| bytes).sum();
    world.disk.set_capacity_bytes(Some(used + 10));
    for _ in 0..2 {
        let (core, report) = world.open();
        assert_eq!(rows(&core), all);
        assert_eq!(report.faults, vec![]);
        let refused = send(&core, &[("e", &[(key(1, 0), 1)])]);
        assert!(matches!(refused[..], [Err(CommitError::NoSpace)]));
        assert!(core.snapshot_manifest().unwrap_err().is_no_space());
        assert!(core.status().refusing.is_some());
        core.close().unwrap();
    }
    let (core, _) = world.open();
    world.disk.set_capacity_bytes(None);
    send_one(&core, "e", key(1, 0), 1);
    assert_eq!(core.status().refusing, None);
    core.flush().unwrap();
    core.snapshot_manifest().unwrap();
    let all = rows(&core);
    assert_eq!(all.len(), 13);
    assert_eq!(rows(&world.crash().open().0), all);
}

#[test]
fn flushed_rows_are_there_once_and_the_log_shrinks() {
    let world = World::new();
    let (core, _) = world.open();
    for round in 0..4 {
        fill(&core);
        let report = core.flush().unwrap();
        assert_eq!((report.rows, report.sections), (12, 5), "{round}");
        core.snapshot_manifest().unwrap();
        assert_eq!(rows(&core).len(), 12 * (round + 1));
        assert_eq!(core.status().tails_rows, 0);
        assert_eq!(core.status().tails_bytes, 0);
        let (after, report) = world.crash().open();
        assert_eq!(rows(&after), rows(&core));
        assert_eq!((report.faults, report.rows_replayed), (vec![], 0));
        drop(after);
    }
    drop(core);
    for _ in 0..3 {
        let (core, report) = world.open();
        assert_eq!(rows(&core).len(), 48);
        assert_eq!(report.faults, vec![]);
    }
    assert!(world.files_of(WAL_DIRECTORY).len() <= 3);
    assert_eq!(world.files_of(MANIFEST_DIRECTORY).len(), 2);
    assert_eq!(world.files_of(SEGMENTS_DIRECTORY).len(), 4);
}

#[test]
fn a_damaged_manifest_is_replaced_by_the_older_one_and_the_log() {
    let world = World::new();
    let (core, _) = world.open();
    fill(&core);
    core.flush().unwrap();
    drop(core);
    // Each start writes a snapshot and begins a file: now the first file is dropped.
    drop(world.open());
    drop(world.open());
    let (core, _) = world.open();
    fill(&core);
    core.flush().unwrap();
    core.snapshot_manifest().unwrap();
    fill(&core);
    let all = rows(&core);
    drop(core);
    let manifests = world.files_of(MANIFEST_DIRECTORY);
    assert_eq!(manifests.len(), 2);
    let bytes = world.disk.contents(&manifests[1]).unwrap().len() as u64;
    for offset in 0..bytes {
        for manifest in &manifests {
            let disk = world.disk.fork();
            let bytes = disk.contents(manifest).unwrap().len() as u64;
            disk.flip(manifest, offset.min(bytes - 1), 16);
            let world = world.on(disk);
            let (core, report) = world.open();
            assert_eq!(rows(&core), all);
            assert_eq!(report.faults, vec![]);
            assert_eq!((report.notes.len(), report.quarantined.len()), (1, 1));
            drop(core);
            let (core, report) = world.open();
            assert_eq!(rows(&core), all);
            assert_eq!((report.notes, report.faults), (vec![], vec![]));
        }
    }
    for manifest in &manifests {
        world.disk.flip(manifest, 60, 1);
    }
    let lost = world.try_open().err().unwrap();
    assert!(matches!(lost, OpenError::ManifestLost { .. }), "{lost}");
}

#[test]
fn the_only_manifest_is_replaced_by_the_whole_log() {
    let world = World::new();
    let (core, _) = world.open();
    fill(&core);
    core.flush().unwrap();
    let all = rows(&core);
    drop(core);
    let manifest = world.newest(MANIFEST_DIRECTORY);
    world.disk.flip(&manifest, 60, 1);
    let (core, report) = world.open();
    assert_eq!(rows(&core), all);
    assert_eq!(report.notes.len(), 1);
}

#[test]
fn a_missing_log_file_is_named_with_its_positions() {
    let world = World::new();
    let (core, _) = world.open();
    send_one(&core, "a", key(1, 0), 3);
    core.write_idle_watermark();
    drop(core);
    let first = world.newest(WAL_DIRECTORY);
    // Each start begins a new file.
    let (core, _) = world.open();
    send_one(&core, "b", key(1, 0), 2);
    core.write_idle_watermark();
    drop(core);
    let second = world.newest(WAL_DIRECTORY);
    assert_ne!(first, second);
    let (core, _) = world.open();
    let kept = send_one(&core, "c", key(1, 0), 2);
    core.close().unwrap();
    drop(core);
    let third = world.newest(WAL_DIRECTORY);
    let check = |lost: &Path, text: &str| {
        let disk = world.disk.fork();
        disk.lose(lost);
        let (core, report) = world.on(disk).open();
        let name = lost.strip_prefix(DIRECTORY).unwrap().to_str().unwrap();
        assert_eq!(report.faults.len(), 1, "{:?}", report.faults);
        assert_eq!(report.faults[0].file, name);
        assert!(
            report.faults[0].detail.contains(text),
            "{:?}",
            report.faults
        );
        let next = send_one(&core, "d", key(1, 0), 1);
        assert!(next.first > kept.last, "{next:?}");
    };
    check(&second, "positions 4 to 5");
    check(&third, "from position");
}

#[test]
fn a_log_that_is_cut_below_the_mark_is_named() {
    let world = World::new();
    let (core, _) = world.open();
    fill(&core);
    core.write_idle_watermark();
    drop(core);
    let path = world.newest(WAL_DIRECTORY);
    let bytes = world.disk.contents(&path).unwrap().len() as u64;
    // The watermark frame itself may go: nothing is lost with it.
    let frame_bytes = 80 + 48 + 16;
    for cut in [8_192, 9_000, bytes - frame_bytes - 1] {
        let disk = world.disk.fork();
        disk.truncate(&path, cut);
        let (core, report) = world.on(disk).open();
        assert!(rows(&core).len() < 12);
        assert_eq!(report.faults.len(), 1, "{cut}: {report:?}");
        let detail = &report.faults[0].detail;
        assert!(detail.contains("to 12 are lost"), "{detail}");
        let next = send_one(&core, "e", key(1, 0), 1);
        assert_eq!(next.first, Position(13));
    }
    let disk = world.disk.fork();
    disk.lose(&path);
    let (_, report) = world.on(disk).open();
    assert_eq!(report.faults.len(), 1, "{report:?}");
}

#[test]
fn a_missing_manifest_snapshot_is_named() {
    let world = World::new();
    let (core, _) = world.open();
    fill(&core);
    core.flush().unwrap();
    core.snapshot_manifest().unwrap();
    let all = rows(&core);
    drop(core);
    for lost in world.files_of(MANIFEST_DIRECTORY) {
        let disk = world.disk.fork();
        disk.lose(&lost);
        let (core, report) = world.on(disk).open();
        assert_eq!(rows(&core), all);
        let name = lost.strip_prefix(DIRECTORY).unwrap().to_str().unwrap();
        assert_eq!(report.notes.len(), 1, "{report:?}");
        assert_eq!(report.notes[0].0, name);
    }
}

#[test]
fn missing_cut_and_swapped_segments_are_named_and_the_rest_is_served() {
    let world = World::new();
    let (core, _) = world.open();
    send_one(&core, "a", key(1, 0), 3);
    core.flush().unwrap();
    send(&core, &[("b", &[(key(1, 0), 2), (key(1, 1), 2)])]);
    core.flush().unwrap();
    core.close().unwrap();
    drop(core);
    let segments = world.files_of(SEGMENTS_DIRECTORY);
    assert_eq!(segments.len(), 2);
    for word in ["missing", "cut"] {
        let disk = world.disk.fork();
        match word {
            "missing" => disk.lose(&segments[1]),
            _ => disk.truncate(&segments[1], 60),
        }
        let (core, report) = world.on(disk).open();
        assert_eq!(rows(&core).len(), 3);
        let partitions: Vec<_> = report.faults.iter().map(|fault| fault.partition).collect();
        assert_eq!(partitions, [Some(key(1, 1)), Some(key(1, 0))]);
        assert!(report.faults[0].detail.contains(word));
    }
    world.disk.swap(&segments[0], &segments[1]);
    let (core, _) = world.open();
    let snapshot = core.snapshot();
    // The shorter file does not even reach to one of the sections.
    let mut damaged = snapshot.faults().len();
    assert_eq!(damaged, 1);
    for partition in snapshot.partitions() {
        for source in partition.sources() {
            let error = source.column_names().unwrap_err();
            assert!(matches!(error, ReadError::Damaged { .. }), "{error}");
            core.report_fault(Fault::of_read(partition.key, &error));
            core.report_fault(Fault::of_read(partition.key, &error));
            damaged += 1;
        }
    }
    assert_eq!(damaged, 3);
    assert_eq!(core.snapshot().faults().len(), damaged);
    assert_eq!(rows(&core).len(), 0, "what is damaged is not read again");
}

#[test]
fn whole_days_leave_and_files_go_with_their_last_reader() {
    let world = World::new();
    let (core, _) = world.open();
    send(&core, &[("old", &[(key(1, 29), 2), (key(1, 28), 2)])]);
    core.flush().unwrap();
    send(&core, &[("older", &[(key(1, 30), 2)])]);
    send(&core, &[("new", &[(key(1, 0), 1)])]);
    assert_eq!(core.retain().unwrap().partitions, vec![]);
    // Stream 3 keeps 30 days.
    world.clock.advance_days(2);
    let reader = core.snapshot();
    let report = core.retain().unwrap();
    assert_eq!(report.partitions, vec![key(1, 30), key(1, 29)]);
    assert_eq!(report.rows, 4);
    let texts = |core: &StoreCore| -> Vec<String> {
        rows(core).into_values().map(|(_, text)| text).collect()
    };
    assert_eq!(texts(&core), ["old 0", "old 1", "new 0"]);
    let (after, _) = world.crash().open();
    assert_eq!(texts(&after), ["old 0", "old 1", "new 0"]);
    assert_eq!(
        world.files_of(SEGMENTS_DIRECTORY).len(),
        1,
        "day 28 is in it"
    );
    world.clock.advance_days(1);
    assert_eq!(core.retain().unwrap().rows, 2);
    assert_eq!(core.collect_garbage().unwrap(), 0, "a reader has it");
    let old = reader.partition(&key(1, 29)).unwrap();
    assert_eq!(old.sources().next().unwrap().positions(0).unwrap().len(), 2);
    drop(reader);
    assert_eq!(core.collect_garbage().unwrap(), 1);
    assert_eq!(world.files_of(SEGMENTS_DIRECTORY), Vec::<PathBuf>::new());
    assert_eq!(texts(&core), ["new 0"]);
    // A record that comes late for a day that was dropped is not taken for flushed.
    send_one(&core, "late", key(1, 29), 1);
    let (after, _) = world.crash().open();
    assert_eq!(texts(&after), ["new 0", "late 0"]);
}

#[test]
fn idempotency_survives_in_the_log_and_in_the_manifest() {
    let world = World::new();
    let (core, _) = world.open();
    let idempotency = |name: &str| {
        Some(IdempotencyKey {
            scope: "s".into(),
            key: name.into(),
            body_hash: [1; 32],
            answer: name.as_bytes().to_vec(),
        })
    };
    let store = |core: &StoreCore, name: &str, rows: u32| {
        let parts = vec![part(key(1, 0), name, rows)];
        let prepared = core.prepare(CommitRequest {
            batch: EncodedBatch::from_parts(TenantNumber(1), parts, usize::MAX),
            idempotency: idempotency(name),
        });
        core.commit_prepared(vec![prepared.unwrap()])[0]
            .clone()
            .unwrap();
    };
    store(&core, "flushed", 2);
    core.flush().unwrap();
    core.snapshot_manifest().unwrap();
    core.snapshot_manifest().unwrap();
    store(&core, "logged", 2);
    store(&core, "empty", 0);
    drop(core);
    let (core, _) = world.crash().open();
    for name in ["flushed", "logged", "empty"] {
        let crate::Recall::Answer(answer) = core.recall(TenantNumber(1), "s", name, &[1; 32])
        else {
            panic!("{name}");
        };
        assert_eq!(answer, name.as_bytes());
    }
    assert_eq!(rows(&core).len(), 4);
}

#[test]
fn a_request_that_no_frame_can_hold_is_refused_and_frees_its_key() {
    let world = World::new();
    let (core, _) = world.open();
    let tenant = TenantNumber(1);
    let is_new = || {
        let recalled = core.recall(tenant, "s", "k", &[1; 32]);
        matches!(recalled, crate::Recall::New)
    };
    assert!(is_new());
    let prepared = core.prepare(CommitRequest {
        batch: EncodedBatch::from_parts(tenant, [part(key(1, 0), "x", 2)], 10),
        idempotency: Some(IdempotencyKey {
            scope: "s".into(),
            key: "k".into(),
            body_hash: [1; 32],
            answer: b"stored".to_vec(),
        }),
    });
    assert!(matches!(prepared, Err(CommitError::TooLarge)));
    assert!(is_new());
}

#[test]
fn tails_and_log_stay_within_their_bounds() {
    let world = World {
        tails_bytes_max: 4 << 20,
        ..World::new()
    };
    let (core, _) = world.open();
    let mut stored = 0;
    let mut overloads = 0;
    // A small partition pins the first log file.
    send_one(&core, "small", key(2, 0), 1);
    for _ in 0..120 {
        let result = send(&core, &[("row", &[(key(1, 0), 4_000)])]).remove(0);
        match result {
            Ok(_) => stored += 4_000,
            Err(CommitError::Overloaded) => {
                overloads += 1;
                assert!(core.is_flush_due());
                core.maintain().unwrap();
            }
            Err(other) => panic!("{other}"),
        }
        let status = core.status();
        assert!(status.tails_bytes <= 4 << 20);
        assert!(status.wal_bytes <= 8 << 20, "{}", status.wal_bytes);
    }
    assert!(overloads > 2 && stored > 300_000);
    assert_eq!(core.status().rows_total, stored + 1);
    drop(core);
    let (core, report) = world.crash().open();
    assert_eq!(report.faults, vec![]);
    assert_eq!(rows(&core).len() as u64, stored + 1);
}

#[test]
fn a_request_larger_than_all_tails_comes_in_when_they_are_empty() {
    let world = World {
        tails_bytes_max: 100_000,
        ..World::new()
    };
    let (core, _) = world.open();
    send_one(&core, "large", key(1, 0), 20_000);
    let refused = send(&core, &[("next", &[(key(1, 0), 1)])]);
    assert!(matches!(refused[..], [Err(CommitError::Overloaded)]));
    core.maintain().unwrap();
    send_one(&core, "next", key(1, 0), 1);
    assert_eq!(rows(&core).len(), 20_001);
}

/// One row with many columns of its own.
fn wide_part(key: PartitionKey, name: &str, columns: usize) -> Part {
    let mut part = part(key, name, 1);
    for column in 0..columns {
        part.columns
            .get_or_create(&format!("{name}.{column}"))
            .push(0, Kind::String, "x");
    }
    part
}

#[test]
fn a_tail_with_more_columns_than_a_section_is_cut_into_sections() {
    let world = World::new();
    let (core, _) = world.open();
    for name in ["a", "b", "c"] {
        let parts = vec![wide_part(key(1, 0), name, 7_000)];
        let prepared = core
            .prepare(CommitRequest {
                batch: EncodedBatch::from_parts(TenantNumber(1), parts, usize::MAX),
                idempotency: None,
            })
            .unwrap();
        assert!(core.commit_prepared(vec![prepared])[0].is_ok());
    }
    send_one(&core, "other", key(2, 0), 2);
    let all = rows(&core);
    let report = core.flush().unwrap();
    assert_eq!((report.rows, report.sections, report.left_out), (5, 3, 0));
    assert_eq!(rows(&core), all);
    let (core, report) = world.crash().open();
    assert_eq!((report.faults, report.rows_replayed), (vec![], 0));
    assert_eq!(rows(&core), all);
}

#[test]
fn a_partition_that_cannot_be_encoded_does_not_hold_up_the_others() {
    let world = World::new();
    let (core, _) = world.open();
    let parts = vec![wide_part(key(1, 0), "wide", 17_000)];
    let prepared = core
        .prepare(CommitRequest {
            batch: EncodedBatch::from_parts(TenantNumber(1), parts, usize::MAX),
            idempotency: None,
        })
        .unwrap();
    assert!(core.commit_prepared(vec![prepared])[0].is_ok());
    // Alone, it leaves nothing behind.
    let report = core.flush().unwrap();
    assert_eq!((report.sections, report.left_out), (0, 1));
    assert_eq!(world.files_of(SEGMENTS_DIRECTORY), Vec::<PathBuf>::new());
    send_one(&core, "other", key(2, 0), 2);
    let all = rows(&core);
    let check = |core: &StoreCore| {
        let report = core.flush().unwrap();
        assert_eq!((report.rows, report.sections, report.left_out), (2, 1, 1));
        assert_eq!(rows(core).len(), all.len());
        let status = core.status();
        assert_eq!(status.tails_rows, 1);
        let failure = status.maintenance_failure.unwrap();
        assert!(
            failure.contains("tenant 1, stream 3, 2026-01-04"),
            "{failure}"
        );
        assert_eq!(status.faults, vec![], "its rows are in the tail");
    };
    check(&core);
    assert_eq!(rows(&core), all);
    let (core, report) = world.crash().open();
    assert_eq!((report.faults, report.rows_replayed), (vec![], 1));
    assert_eq!(rows(&core), all);
    send_one(&core, "more", key(2, 0), 2);
    let report = core.flush().unwrap();
    assert_eq!((report.rows, report.sections, report.left_out), (2, 1, 1));
    assert_eq!(rows(&core).len(), 5);
}

#[test]
fn a_read_that_fails_for_a_moment_excludes_nothing() {
    let world = World::new();
    let (core, _) = world.open();
    send_one(&core, "a", key(1, 0), 3);
    core.flush().unwrap();
    let all = rows(&core);
    drop(core);
    let (core, _) = world.open();
    let snapshot = core.snapshot();
    let source = &snapshot
        .partition(&key(1, 0))
        .unwrap()
        .sources()
        .next()
        .unwrap();
    let next = world.disk.operations();
    world
        .disk
        .fail_between(next, next + 1, DiskFault::InputOutput);
    let error = source.column_names().unwrap_err();
    let fault = Fault::of_read(key(1, 0), &error);
    assert!(fault.is_transient, "{error}");
    core.report_fault(fault);
    assert_eq!(core.snapshot().faults(), []);
    assert_eq!(rows(&core), all);
}
