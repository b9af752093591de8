//! Compaction and deletion on a simulated disk, against a model of plain rows.
use super::*;
use crate::{
    deletion::{
        DELETIONS_ACTIVE_MAX, DELETIONS_ACTIVE_PER_TENANT_MAX, DeletionError, DeletionState,
        NewDeletion, RowSelector,
    },
    encoded::{EncodedBatch, Part},
    keys::KeyFile,
    read::RowSource,
    snapshot::Snapshot,
    store_core::{CommitRequest, StoreOptions},
};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};
use taffrail_model::{
    clock::Clock,
    column::{ColumnSet, Kind},
    limits::TAIL_ROWS_MAX,
    position::Position,
    stream::{StreamCatalogue, StreamNumber},
    tenant::TenantNumber,
    time::{Day, TimeRange},
};
use taffrail_testkit::{Random, SimulatedClock, SimulatedDisk};

const DIRECTORY: &str = "/data";
const TODAY: i64 = 20_457;
const NAME: &str = "number";

/// A deletion of the rows whose number has a remainder: `modulus rest`.
struct ByRemainder {
    /// Rows with an even number go by rule.
    drops_even: AtomicBool,
}

/// Begins a predicate that readers understand and compaction does not.
const NOT_UNDERSTOOD: char = '?';

fn bits(source: &dyn RowSource, block: usize, has: impl Fn(u64, Position) -> bool) -> Vec<u64> {
    let positions = source.positions(block).unwrap();
    let mut set = vec![0; positions.len().div_ceil(64)];
    if let Some(column) = source.column(block, NAME).unwrap() {
        for (row, value) in column.iter() {
            let number = value.text.parse().unwrap();
            if has(number, Position(positions[row as usize])) {
                set[row as usize / 64] |= 1 << (row % 64);
            }
        }
    }
    set
}

fn has_number(deletion: &Deletion, number: u64, position: Position) -> bool {
    let predicate = deletion.predicate.trim_start_matches(NOT_UNDERSTOOD);
    let (modulus, rest) = predicate.split_once(' ').unwrap();
    position <= deletion.through
        && number % modulus.parse::<u64>().unwrap() == rest.parse::<u64>().unwrap()
}

impl RowSelector for ByRemainder {
    fn rules(&self, _: &PartitionKey, _: &StreamCatalogue, _: Timestamp) -> PurgeRules {
        PurgeRules {
            fingerprint: u64::from(self.drops_even.load(Ordering::Relaxed)),
            ..PurgeRules::default()
        }
    }

    fn select(
        &self,
        partition: SelectedPartition<'_>,
        source: &dyn RowSource,
    ) -> Result<Vec<SelectedRows>, SelectError> {
        let mut deletions = partition.deletions.iter();
        if let Some(deletion) = deletions.find(|one| one.predicate.starts_with(NOT_UNDERSTOOD)) {
            return Err(SelectError::Predicate {
                sequence: deletion.sequence,
                detail: "a question".into(),
            });
        }
        let blocks = 0..source.blocks()?.len();
        // Reading here meets what is damaged, as a real selector does.
        for block in blocks.clone() {
            source.column(block, NAME)?;
        }
        Ok(blocks
            .map(|block| SelectedRows {
                by_rules: match partition.rules.fingerprint {
                    0 => Vec::new(),
                    _ => bits(source, block, |number, _| number % 2 == 0),
                },
                by_deletion: partition
                    .deletions
                    .iter()
                    .map(|deletion| {
                        bits(source, block, |number, position| {
                            has_number(deletion, number, position)
                        })
                    })
                    .collect(),
            })
            .collect())
    }
}

struct World {
    disk: SimulatedDisk,
    clock: Arc<SimulatedClock>,
    selector: Arc<ByRemainder>,
    core: StoreCore,
}

fn open(
    disk: &SimulatedDisk,
    clock: &Arc<SimulatedClock>,
    selector: &Arc<ByRemainder>,
) -> StoreCore {
    let random = Mutex::new(Random::from_seeds(&[disk.operations(), 7]));
    let options = StoreOptions {
        tails_bytes_max: 8 << 20,
        entropy: Arc::new(move |out: &mut [u8]| {
            let mut random = random.lock();
            out.fill_with(|| random.next() as u8);
        }),
        selector: selector.clone(),
        ..StoreOptions::new(DIRECTORY.into())
    };
    let kek = Arc::new(KeyFile::from_secret([5; 32]));
    let (core, report) = StoreCore::open(options, disk.files(), clock.clone(), kek).unwrap();
    assert_eq!(report.faults, []);
    core
}

impl World {
    fn new() -> World {
        let disk = SimulatedDisk::new(1);
        let clock = Arc::new(SimulatedClock::new(Timestamp(TODAY * NS_PER_DAY)));
        let selector = Arc::new(ByRemainder {
            drops_even: AtomicBool::new(false),
        });
        let core = open(&disk, &clock, &selector);
        World {
            disk,
            clock,
            selector,
            core,
        }
    }

    /// The power goes, and the store starts again.
    fn crash(self) -> World {
        let disk = self.disk.crash(0);
        let core = open(&disk, &self.clock, &self.selector);
        World { disk, core, ..self }
    }

    /// Stores rows with these numbers, as one request.
    fn send(&self, key: PartitionKey, numbers: std::ops::Range<u64>) {
        let mut columns = ColumnSet::default();
        for (row, number) in (0u32..).zip(numbers.clone()) {
            let column = columns.get_or_create(NAME);
            column.push(row, Kind::Integer, &number.to_string());
        }
        let rows = numbers.end - numbers.start;
        columns.set_rows(rows as u32);
        let start = key.day.start().0;
        let part = Part {
            key,
            // Times are not in the order of arrival.
            timestamps: numbers
                .map(|number| start + (number * 7_919 % 86_400) as i64 * NS_PER_S)
                .collect(),
            columns,
        };
        let prepared = self.core.prepare(CommitRequest {
            batch: EncodedBatch::from_parts(key.tenant, vec![part], usize::MAX),
            idempotency: None,
        });
        let results = self.core.commit_prepared(vec![prepared.unwrap()]);
        assert!(results[0].is_ok(), "{results:?}");
    }

    /// Flushes of some rows each.
    fn flushes(&self, key: PartitionKey, flushes: u64, rows: u64) {
        for flush in 0..flushes {
            self.send(key, flush * rows..(flush + 1) * rows);
            self.core.flush().unwrap();
        }
    }

    fn compact(&self) -> CompactionReport {
        self.compact_while(&|| true)
    }

    fn compact_while(&self, may_go_on: &dyn Fn() -> bool) -> CompactionReport {
        let mut all = CompactionReport::default();
        // A step that is given up may be tried for ever.
        for _ in 0..1_000 {
            let one = self.core.compact(may_go_on).unwrap();
            if one.is_idle() {
                break;
            }
            all.sections += one.sections;
            all.rows += one.rows;
            all.rows_removed += one.rows_removed;
            all.cleared += one.cleared;
            all.deletions_done += one.deletions_done;
        }
        all
    }

    fn delete(&self, tenant: u32, predicate: &str) -> u64 {
        self.try_delete(tenant, predicate).unwrap()
    }

    fn try_delete(&self, tenant: u32, predicate: &str) -> Result<u64, DeletionError> {
        let made = self.core.delete(NewDeletion {
            tenant: TenantNumber(tenant),
            streams: vec![StreamNumber(3)],
            range: TimeRange::ALL,
            predicate: predicate.into(),
            created: self.clock.now(),
            through: self.core.snapshot().watermark(),
            rows_matched: 0,
            note: String::new(),
        })?;
        Ok(made.sequence)
    }

    fn rows(&self) -> Rows {
        visible(&self.core.snapshot())
    }

    fn sections(&self) -> usize {
        self.core.status().sections
    }

    fn segment_files(&self) -> Vec<PathBuf> {
        let files = self.disk.all_files().into_iter().map(|(path, _)| path);
        let root = Path::new(DIRECTORY).join("segments");
        files.filter(|path| path.starts_with(&root)).collect()
    }
}

/// Does something when it is asked for the `number`-th time whether compaction may go on: the first
/// is before a partition is looked at, then come its sections, then their columns.
fn at_question<'a>(number: usize, act: impl Fn() + 'a) -> impl Fn() -> bool + 'a {
    let asked = AtomicUsize::new(0);
    move || {
        if asked.fetch_add(1, Ordering::Relaxed) + 1 == number {
            act();
        }
        true
    }
}

fn key(tenant: u32, day: i64) -> PartitionKey {
    PartitionKey {
        tenant: TenantNumber(tenant),
        stream: StreamNumber(3),
        day: Day((TODAY - day) as u16),
    }
}

/// Position → (partition, number).
type Rows = BTreeMap<u64, (PartitionKey, u64)>;

/// What readers see; each row once, sections in order.
fn visible(snapshot: &Snapshot) -> Rows {
    let mut rows = Rows::new();
    for partition in snapshot.partitions() {
        for source in partition.sources() {
            let concerning: Vec<_> = snapshot
                .deletions()
                .iter()
                .filter(|deletion| deletion.concerns_partition(&partition.key))
                .filter(|one| one.may_concern(&source.extent(), source.applied_deletions()))
                .collect();
            let blocks = source.blocks().unwrap().len();
            let mut last = (i64::MIN, 0);
            for block in 0..blocks {
                let times = source.timestamps(block).unwrap();
                let positions = source.positions(block).unwrap();
                let column = source.column(block, NAME).unwrap().unwrap();
                for (row, value) in column.iter() {
                    let position = positions[row as usize];
                    if source.name() != "tail" {
                        let place = (times[row as usize], position);
                        assert!(last < place, "{last:?} {place:?}");
                        last = place;
                    }
                    let number = value.text.parse().unwrap();
                    let is_deleted = concerning
                        .iter()
                        .any(|deletion| has_number(deletion, number, Position(position)));
                    if !is_deleted {
                        let before = rows.insert(position, (partition.key, number));
                        assert_eq!(before, None, "twice");
                    }
                }
            }
        }
    }
    rows
}

#[test]
fn small_sections_become_a_large_one_and_nothing_else_changes() {
    let world = World::new();
    let one = key(1, 0);
    world.flushes(one, 9, 300);
    world.flushes(key(2, 0), 2, 5);
    let before = world.rows();
    assert_eq!(before.len(), 9 * 300 + 10);
    let snapshot = world.core.snapshot();
    let files = world.segment_files();
    let report = world.compact();
    assert!(report.rows >= 9 * 300, "{report:?}");
    assert_eq!(report.rows_removed, 0);
    assert_eq!(world.rows(), before);
    assert_eq!(world.sections(), 1 + 2, "two flushes of today are few");
    // Who still reads the old sections has them.
    world.core.collect_garbage().unwrap();
    assert!(
        files
            .iter()
            .all(|file| world.segment_files().contains(file))
    );
    assert_eq!(visible(&snapshot), before);
    drop(snapshot);
    world.core.collect_garbage().unwrap();
    assert_eq!(world.segment_files().len(), 3);
    assert!(world.compact().is_idle());
    let status = world.core.status();
    assert!(status.compactions_total > 0 && status.compaction_rows_total >= 9 * 300);
    assert_eq!(status.compaction_backlog, 0);
    let world = world.crash();
    assert_eq!(world.rows(), before);
    assert_eq!(world.sections(), 3);
}

#[test]
fn a_day_that_has_closed_is_merged_down() {
    let world = World::new();
    world.flushes(key(1, 0), 2, 10);
    world.flushes(key(1, 1), 2, 10);
    let before = world.rows();
    world.compact();
    assert_eq!(world.sections(), 3, "today has two");
    world.clock.advance_days(1);
    world.compact();
    assert_eq!(world.sections(), 2);
    assert_eq!(world.rows(), before);
}

#[test]
fn large_sections_are_merged_once_no_records_come() {
    let world = World::new();
    world.flushes(key(1, 0), 4, TAIL_ROWS_MAX as u64 / 2);
    assert!(world.compact().is_idle());
    assert_eq!(world.sections(), 4);
    world.clock.advance_ns(FULL_PASS_S * NS_PER_S);
    assert_eq!(world.compact().sections, 4);
    assert_eq!(world.sections(), 1);
}

#[test]
fn how_long_a_partition_is_busy() {
    let compaction = Compaction::default();
    let (one, other) = (key(1, 0), key(2, 0));
    let is_busy = |key: &PartitionKey, second: i64| {
        let now = Timestamp(TODAY * NS_PER_DAY + second * NS_PER_S);
        compaction.inflow(key, now).is_busy
    };
    assert!(is_busy(&one, 0), "the start counts as a flush");
    assert!(is_busy(&one, QUIET_S - 1));
    assert!(!is_busy(&one, QUIET_S));
    let flushed = Timestamp(TODAY * NS_PER_DAY + 500 * NS_PER_S);
    compaction.call_flushed(&[one], flushed);
    assert!(is_busy(&one, 500 + QUIET_S - 1));
    assert!(!is_busy(&one, 500 + QUIET_S));
    assert!(!is_busy(&other, 500));
}

#[test]
fn deleted_rows_are_hidden_at_once_and_removed_later() {
    let world = World::new();
    let (mine, other) = (key(1, 0), key(2, 0));
    world.flushes(mine, 3, 2_000);
    world.flushes(other, 1, 100);
    world.send(mine, 6_000..6_100);
    let all = world.rows();
    let number = world.delete(1, "3 1");
    let is_left = |(key, number): &(PartitionKey, u64)| *key == other || number % 3 != 1;
    let mut expected = all.clone();
    expected.retain(|_, row| is_left(row));
    assert_eq!(world.rows(), expected);
    // What comes later is not concerned.
    world.send(mine, 1..2);
    let last = world.core.snapshot().watermark().0;
    expected.insert(last, (mine, 1));
    assert_eq!(world.rows(), expected);
    let progress = world.core.deletion(number).unwrap();
    assert_eq!(progress.deletion.sections_total, 4, "three and the tail");
    assert_eq!(progress.sections_left, 4);

    let world = world.crash();
    assert_eq!(world.rows(), expected);
    let report = world.compact();
    assert_eq!(report.rows_removed, 2_000 + 33);
    assert_eq!(report.deletions_done, 1);
    assert_eq!(world.rows(), expected);
    let raw: u64 = world
        .core
        .snapshot()
        .partitions()
        .flat_map(|partition| partition.sources())
        .map(|source| u64::from(source.extent().rows))
        .sum();
    assert_eq!(raw, expected.len() as u64, "gone from the disk");
    let progress = world.core.deletion(number).unwrap();
    assert!(matches!(progress.deletion.state, DeletionState::Done(_)));
    assert_eq!(progress.deletion.rows_removed, 2_000 + 33);
    assert_eq!(world.core.snapshot().deletions().len(), 0);
    let world = world.crash();
    assert_eq!(world.rows(), expected);
    assert_eq!(world.delete(1, "2 0"), number + 1, "numbers are not reused");
}

#[test]
fn a_section_without_a_deleted_row_is_not_rewritten() {
    let world = World::new();
    world.flushes(key(1, 0), 2, 1_000);
    let files = world.segment_files();
    let number = world.delete(1, "1000000 999999");
    let report = world.compact();
    assert_eq!(
        (report.rows, report.cleared, report.deletions_done),
        (0, 2, 1)
    );
    assert_eq!(world.segment_files(), files);
    let world = world.crash();
    let state = world.core.deletion(number).unwrap().deletion.state;
    assert!(matches!(state, DeletionState::Done(_)));
}

#[test]
fn a_deletion_that_is_not_understood_holds_up_later_ones_alone() {
    let world = World::new();
    world.flushes(key(1, 0), 4, 100);
    let [first, second, third] = ["4 0", "?4 1", "4 2"].map(|predicate| world.delete(1, predicate));
    let is_done = |number| {
        let deletion = world.core.deletion(number).unwrap().deletion;
        matches!(deletion.state, DeletionState::Done(_))
    };
    let report = world.compact();
    assert_eq!((report.rows_removed, report.deletions_done), (100, 1));
    assert_eq!(world.sections(), 1);
    assert_eq!(world.rows().len(), 100);
    assert!(is_done(first) && !is_done(second) && !is_done(third));
    assert!(world.core.deletion(second).unwrap().failure.is_some());
    world.core.cancel_deletion(second).unwrap();
    assert_eq!(world.compact().rows_removed, 100);
    assert!(is_done(third));
    assert_eq!(world.rows().len(), 200);
    let rows = world.rows();
    assert_eq!(world.crash().rows(), rows);
}

#[test]
fn a_section_of_which_all_is_deleted_goes() {
    let world = World::new();
    world.flushes(key(1, 0), 1, 10);
    world.delete(1, "1 0");
    assert_eq!(world.compact().rows_removed, 10);
    world.core.collect_garbage().unwrap();
    assert_eq!(world.segment_files(), Vec::<PathBuf>::new());
    assert_eq!(world.core.snapshot().partitions().count(), 0);
    assert_eq!(world.crash().rows(), Rows::new());
}

#[test]
fn a_deletion_that_is_taken_back_shows_what_it_hid() {
    let world = World::new();
    world.flushes(key(1, 0), 4, 100);
    let all = world.rows();
    let number = world.delete(1, "2 0");
    assert_eq!(world.rows().len(), 200);
    world.core.cancel_deletion(number).unwrap();
    assert_eq!(world.rows(), all);
    let again = world.core.cancel_deletion(number);
    assert!(matches!(again, Err(DeletionError::Ended(_))));
    let unknown = world.core.cancel_deletion(number + 1);
    assert!(matches!(unknown, Err(DeletionError::Unknown(_))));
    world.compact();
    let world = world.crash();
    assert_eq!(world.rows(), all);
}

#[test]
fn a_deletion_that_is_taken_back_during_a_merge_removes_nothing() {
    let world = World::new();
    world.flushes(key(1, 0), 4, 100);
    let all = world.rows();
    let number = world.delete(1, "2 0");
    let report = world.compact_while(&at_question(6, || {
        drop(world.core.cancel_deletion(number).unwrap());
    }));
    assert_eq!(report.rows_removed, 0);
    assert_eq!(world.rows(), all);
    world.core.compaction.call_all();
    world.compact();
    assert_eq!(world.crash().rows(), all);
}

#[test]
fn a_partition_that_leaves_during_a_merge_does_not_come_back() {
    let world = World::new();
    let old = key(1, 30);
    world.flushes(old, 4, 100);
    world.clock.advance_days(1);
    let report = world.compact_while(&at_question(6, || drop(world.core.retain().unwrap())));
    assert_eq!(report.sections, 0);
    assert_eq!(world.rows(), Rows::new());
    world.core.collect_garbage().unwrap();
    assert_eq!(world.segment_files(), Vec::<PathBuf>::new());
}

#[test]
fn a_merge_that_is_given_up_leaves_nothing() {
    let world = World::new();
    world.flushes(key(1, 0), 4, 100);
    let files = world.segment_files();
    let asked = AtomicUsize::new(0);
    let report = world
        .core
        .compact(&|| asked.fetch_add(1, Ordering::Relaxed) < 3);
    assert!(report.unwrap().is_idle());
    assert_eq!(world.segment_files(), files);
    assert_eq!(world.compact().sections, 4);
}

#[test]
fn rows_that_are_to_go_by_rule_go_once() {
    let world = World::new();
    world.flushes(key(1, 0), 2, 100);
    assert!(world.compact().is_idle());
    world.selector.drops_even.store(true, Ordering::Relaxed);
    world.core.compaction.call_all();
    assert_eq!(world.compact().rows_removed, 100);
    assert!(world.rows().values().all(|(_, number)| number % 2 == 1));
    for _ in 0..2 {
        world.core.compaction.call_all();
        assert!(world.compact().is_idle());
    }
    let world = world.crash();
    world.core.compaction.call_all();
    assert!(world.compact().is_idle(), "what was applied is remembered");
}

#[test]
fn a_damaged_section_is_named_and_left_alone() {
    let world = World::new();
    world.flushes(key(1, 0), 5, 100);
    let damaged = world.segment_files().swap_remove(2);
    world.disk.flip(&damaged, 60, 1);
    let name = "segments/";
    world.compact();
    let status = world.core.status();
    assert_eq!(status.faults.len(), 1, "{:?}", status.faults);
    assert!(status.faults[0].file.contains(name));
    assert_eq!(status.compaction_failures_total, 1, "tried once");
    assert_eq!(world.rows().len(), 400);
    assert_eq!(
        world.sections(),
        2,
        "the damaged one, and the others in one"
    );
    world.core.compaction.call_all();
    assert!(world.compact().is_idle());
    // A deletion waits for it: what is repaired must not show what was deleted.
    let number = world.delete(1, "2 0");
    world.compact();
    assert_eq!(world.rows().len(), 200);
    let progress = world.core.deletion(number).unwrap();
    assert!(progress.deletion.is_active());
    assert_eq!(progress.sections_left, 1);
    assert!(world.segment_files().contains(&damaged));
}

#[test]
fn sections_that_do_not_fit_into_one_are_merged_no_more() {
    let world = World::new();
    let one = key(1, 0);
    for flush in 0..4u64 {
        let mut columns = ColumnSet::default();
        for column in 0..crate::segment::COLUMNS_MAX / 3 {
            let name = format!("{flush} {column}");
            columns.get_or_create(&name).push(0, Kind::String, "x");
        }
        columns
            .get_or_create(NAME)
            .push(0, Kind::Integer, &flush.to_string());
        columns.set_rows(1);
        let part = Part {
            key: one,
            timestamps: vec![one.day.start().0],
            columns,
        };
        let prepared = world.core.prepare(CommitRequest {
            batch: EncodedBatch::from_parts(one.tenant, vec![part], usize::MAX),
            idempotency: None,
        });
        world.core.commit_prepared(vec![prepared.unwrap()]);
        world.core.flush().unwrap();
    }
    for _ in 0..3 {
        world.core.compaction.call_all();
        assert!(world.compact().is_idle());
    }
    assert_eq!(world.core.status().compaction_failures_total, 1);
    assert_eq!(world.rows().len(), 4);
}

#[test]
fn deletions_under_way_are_bounded() {
    let world = World::new();
    world.flushes(key(1, 0), 1, 1);
    let of_tenant = DELETIONS_ACTIVE_PER_TENANT_MAX;
    let tenants = (DELETIONS_ACTIVE_MAX / of_tenant) as u32;
    for tenant in 1..=tenants {
        for _ in 0..of_tenant {
            world.delete(tenant, "7 3");
        }
        let refused = world.try_delete(tenant, "7 3");
        assert!(matches!(refused, Err(DeletionError::TooMany)));
    }
    let refused = world.try_delete(tenants + 1, "7 3");
    assert!(matches!(refused, Err(DeletionError::TooMany)));
    world.compact();
    world.delete(1, "7 3");
    world.delete(tenants + 1, "7 3");
}

#[test]
fn a_file_of_which_little_is_listed_is_freed() {
    let world = World::new();
    world.send(key(1, 1), 0..600);
    world.send(key(2, 1), 0..2);
    world.core.flush().unwrap();
    world.flushes(key(1, 1), 1, 600);
    let before = world.rows();
    let first = world.segment_files();
    assert_eq!(first.len(), 2);
    for _ in 0..2 {
        world.core.compaction.call_all();
        world.compact();
    }
    world.core.collect_garbage().unwrap();
    // One file for each partition, and none of the first.
    let left = world.segment_files();
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|file| !first.contains(file)), "{left:?}");
    assert_eq!(world.rows(), before);
    world.core.compaction.call_all();
    assert!(world.compact().is_idle(), "it is not written again");
}

/// One step of a random life.
#[derive(Clone, Debug)]
enum Action {
    Send {
        key: usize,
        rows: u64,
    },
    Flush,
    Compact,
    Delete {
        tenant: u32,
        modulus: u64,
        rest: u64,
    },
    Cancel,
    Sleep,
    Snapshot,
    Crash,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0usize..5, 1u64..60).prop_map(|(key, rows)| Action::Send { key, rows }),
        5 => Just(Action::Flush),
        3 => Just(Action::Compact),
        2 => (1u32..3, 1u64..5, 0u64..5).prop_map(|(tenant, modulus, rest)| Action::Delete {
            tenant,
            modulus,
            rest,
        }),
        1 => Just(Action::Cancel),
        1 => Just(Action::Sleep),
        1 => Just(Action::Snapshot),
        1 => Just(Action::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happens in whatever order: readers see what was sent, less what was deleted and
    /// what is past its time.
    #[test]
    fn any_life_shows_what_the_model_shows(actions in prop::collection::vec(action(), 1..60)) {
        let mut world = World::new();
        let keys = [key(1, 0), key(1, 1), key(2, 0), key(2, 28), key(3, 0)];
        let mut model = Rows::new();
        // What the deletion hid that could still be taken back whole.
        let mut latest: Option<(u64, Rows)> = None;
        let mut numbers = 0;
        for action in actions {
            match action {
                Action::Send { key, rows } => {
                    let first = world.core.snapshot().watermark().0 + 1;
                    world.send(keys[key], numbers..numbers + rows);
                    model.extend((0..rows).map(|row| (first + row, (keys[key], numbers + row))));
                    numbers += rows;
                }
                Action::Flush => drop(world.core.flush().unwrap()),
                Action::Compact => {
                    world.compact();
                    latest = None;
                }
                Action::Delete { tenant, modulus, rest } => {
                    let sequence = world.delete(tenant, &format!("{modulus} {rest}"));
                    let is_hidden = |(key, number): &(PartitionKey, u64)| {
                        key.tenant.0 == tenant && number % modulus == rest
                    };
                    let hidden = model.iter().filter(|(_, row)| is_hidden(row));
                    latest = Some((sequence, hidden.map(|(at, row)| (*at, *row)).collect()));
                    model.retain(|_, row| !is_hidden(row));
                }
                Action::Cancel => {
                    if let Some((sequence, hidden)) = latest.take() {
                        world.core.cancel_deletion(sequence).unwrap();
                        model.extend(hidden);
                    }
                }
                Action::Sleep => {
                    world.clock.advance_days(1);
                    world.core.retain().unwrap();
                    world.core.compaction.call_all();
                    let today = world.clock.now().0.div_euclid(NS_PER_DAY);
                    let is_kept = |row: &(PartitionKey, u64)| {
                        i64::from(row.0.day.0) >= today - 30
                    };
                    model.retain(|_, row| is_kept(row));
                    if let Some((_, hidden)) = &mut latest {
                        hidden.retain(|_, row| is_kept(row));
                    }
                }
                Action::Snapshot => world.core.snapshot_manifest().unwrap(),
                Action::Crash => world = world.crash(),
            }
            prop_assert_eq!(&world.rows(), &model);
        }
        world.core.flush().unwrap();
        world.compact();
        prop_assert_eq!(&world.rows(), &model);
        prop_assert_eq!(world.core.snapshot().deletions().len(), 0);
        let world = world.crash();
        prop_assert_eq!(&world.rows(), &model);
    }
}
