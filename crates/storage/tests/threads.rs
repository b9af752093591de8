//! The store with its threads, on the machine's file system.
#![allow(clippy::unwrap_used)] // Functions that tests share.
use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};
use taffrail_model::{
    batch::RawBatch,
    clock::{Clock, SystemClock},
    column::{ColumnSet, Kind},
    position::Position,
    stream::StreamCatalogue,
    tenant::DEFAULT_TENANT,
    time::Timestamp,
};
use taffrail_pipeline::{Arrival, Pipeline, PipelineConfig, clean::CleanBatch};
use taffrail_storage::{
    Recall,
    keys::KeyFile,
    local_files::LocalFiles,
    store::Store,
    store_core::{
        CommitError, CommitRequest, Committed, IdempotencyKey, MaintenanceError, StoreOptions,
    },
};

/// The longest that anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn open(directory: &Path, tails_bytes_max: usize) -> Store {
    open_with(directory, tails_bytes_max, Arc::new(SystemClock))
}

fn open_with(directory: &Path, tails_bytes_max: usize, clock: Arc<dyn Clock>) -> Store {
    let options = StoreOptions {
        tails_bytes_max,
        ..StoreOptions::new(directory.into())
    };
    let kek = Arc::new(KeyFile::from_secret([3; 32]));
    let (store, report) = Store::open(options, Arc::new(LocalFiles), clock, kek).unwrap();
    assert_eq!(report.faults, vec![]);
    store
}

fn batch(name: &str, rows: u32) -> CleanBatch {
    let catalogue = StreamCatalogue::built_in();
    let mut columns = ColumnSet::default();
    for row in 0..rows {
        let text = format!("{name}/{row}");
        columns
            .get_or_create("message")
            .push(row, Kind::String, &text);
    }
    columns.set_rows(rows);
    let raw = RawBatch {
        columns,
        indexes: (0..rows).collect(),
        ..RawBatch::default()
    };
    let arrival = Arrival {
        tenant: DEFAULT_TENANT,
        stream: catalogue.by_name("app.backend").unwrap(),
        received: SystemClock.now(),
        catalogue: &catalogue,
        may_write: &|_| true,
    };
    let pipeline = Pipeline::new(PipelineConfig::default()).unwrap();
    pipeline.process(raw, &arrival)
}

fn commit(store: &Store, batch: CleanBatch) -> Result<Committed, CommitError> {
    let (sender, receiver) = mpsc::channel();
    let request = CommitRequest {
        batch: batch.into(),
        idempotency: None,
    };
    store.commit(
        request,
        Box::new(move |result| {
            let _ = sender.send(result);
        }),
    );
    receiver.recv_timeout(PATIENCE).unwrap()
}

fn messages(store: &Store) -> Vec<String> {
    let mut all = Vec::new();
    for partition in store.snapshot().partitions() {
        for source in partition.sources() {
            for block in 0..source.blocks().unwrap().len() {
                let column = source.column(block, "message").unwrap().unwrap();
                all.extend(column.iter().map(|(_, value)| value.text.to_string()));
            }
        }
    }
    all.sort();
    all
}

#[test]
fn acknowledged_rows_of_many_senders_are_there_once() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), 2 << 20);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let watermarks = seen.clone();
    store.subscribe(Box::new(move |watermark| {
        watermarks.lock().unwrap().push(watermark);
    }));
    let mut senders = Vec::new();
    for sender in 0..8 {
        let store = store.clone();
        senders.push(std::thread::spawn(move || {
            let mut expected = Vec::new();
            let mut positions = BTreeSet::new();
            for request in 0..12 {
                let name = format!("{sender}/{request}");
                let rows = 1 + (sender * 131 + request * 17) % 900;
                let committed = loop {
                    match commit(&store, batch(&name, rows)) {
                        Ok(committed) => break committed,
                        Err(CommitError::Overloaded) => {}
                        Err(other) => panic!("{other}"),
                    }
                };
                assert_eq!(committed.last.0 - committed.first.0 + 1, u64::from(rows));
                assert!(store.snapshot().watermark() >= committed.last);
                positions.extend(committed.first.0..=committed.last.0);
                expected.extend((0..rows).map(|row| format!("{name}/{row}")));
            }
            (expected, positions)
        }));
    }
    let mut expected = Vec::new();
    let mut positions = BTreeSet::new();
    for sender in senders {
        let (names, own) = sender.join().unwrap();
        expected.extend(names);
        assert!(own.iter().all(|position| positions.insert(*position)));
    }
    expected.sort();
    assert_eq!(messages(&store), expected);
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert!(seen.is_sorted() && !seen.is_empty());
    assert_eq!(seen.last(), Some(&store.snapshot().watermark()));
    let status = store.status();
    assert_eq!(status.rows_total, expected.len() as u64);
    assert_eq!(status.requests_total, 96);
    assert!(status.groups_total <= 96);
    assert!(status.flushes_total > 0, "{status:?}");
    assert_eq!(status.maintenance_failure, None);
    // Without a close, as after kill -9: the lock of the directory aside.
    drop(store);
    let store = open(root.path(), 2 << 20);
    assert_eq!(messages(&store), expected);
    store.close().unwrap();
    assert!(matches!(
        commit(&store, batch("late", 1)),
        Err(CommitError::Closed)
    ));
    assert_eq!(messages(&store), expected, "reads go on");
}

#[test]
fn a_repeat_waits_for_the_first_and_gets_its_answer() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), 2 << 20);
    assert!(matches!(
        store.recall(DEFAULT_TENANT, "s", "k", &[1; 32]),
        Recall::New
    ));
    let Recall::InFlight(waiter) = store.recall(DEFAULT_TENANT, "s", "k", &[1; 32]) else {
        panic!("in flight");
    };
    let request = CommitRequest {
        batch: batch("once", 2).into(),
        idempotency: Some(IdempotencyKey {
            scope: "s".into(),
            key: "k".into(),
            body_hash: [1; 32],
            answer: b"stored".to_vec(),
        }),
    };
    store.commit(request, Box::new(|result| assert!(result.is_ok())));
    assert!(waiter.wait(PATIENCE));
    let Recall::Answer(answer) = store.recall(DEFAULT_TENANT, "s", "k", &[1; 32]) else {
        panic!("answered");
    };
    assert_eq!(answer, b"stored");
    assert!(matches!(
        store.recall(DEFAULT_TENANT, "s", "k", &[2; 32]),
        Recall::Conflict
    ));
    assert_eq!(messages(&store).len(), 2);
}

#[test]
fn a_request_without_rows_is_answered() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), 2 << 20);
    let committed = commit(&store, batch("none", 0)).unwrap();
    assert!(committed.last < committed.first);
    assert_eq!(store.snapshot().watermark(), Position(0));
    let status = store.status();
    assert_eq!((status.rows_total, status.refusing), (0, None));
}

/// A clock that panics on the thread of this name while it is armed.
struct Trap {
    thread: String,
    is_armed: AtomicBool,
}

impl Clock for Trap {
    fn now(&self) -> Timestamp {
        let thread = std::thread::current();
        let is_caught = thread.name() == Some(self.thread.as_str());
        assert!(!is_caught || !self.is_armed.load(Ordering::SeqCst), "trap");
        SystemClock.now()
    }
}

fn trap(thread: &str) -> Arc<Trap> {
    Arc::new(Trap {
        thread: thread.into(),
        is_armed: AtomicBool::new(true),
    })
}

fn keyed(key: &str) -> CommitRequest {
    CommitRequest {
        batch: batch(key, 1).into(),
        idempotency: Some(IdempotencyKey {
            scope: "s".into(),
            key: key.into(),
            body_hash: [1; 32],
            answer: b"stored".to_vec(),
        }),
    }
}

fn wait_for_refusal(store: &Store) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(reason) = store.status().refusing {
            return reason;
        }
        assert!(Instant::now() < deadline, "no reason is told");
        std::thread::yield_now();
    }
}

#[test]
fn the_death_of_the_committer_is_told_and_frees_its_keys() {
    let root = tempfile::tempdir().unwrap();
    let clock = trap("committer");
    let store = open_with(root.path(), 2 << 20, clock.clone());
    for key in ["sent", "held"] {
        assert!(matches!(
            store.recall(DEFAULT_TENANT, "s", key, &[1; 32]),
            Recall::New
        ));
    }
    let Recall::InFlight(waiter) = store.recall(DEFAULT_TENANT, "s", "held", &[1; 32]) else {
        panic!("in flight");
    };
    // The reply is dropped with the thread that had it.
    let (sender, receiver) = mpsc::channel();
    let reply = move |result| drop(sender.send(result));
    store.commit(keyed("sent"), Box::new(reply));
    assert!(receiver.recv_timeout(PATIENCE).is_err());
    assert!(wait_for_refusal(&store).contains("commits"));
    assert!(waiter.wait(PATIENCE));
    assert!(matches!(
        store.recall(DEFAULT_TENANT, "s", "sent", &[1; 32]),
        Recall::New
    ));
    assert!(matches!(
        commit(&store, batch("late", 1)),
        Err(CommitError::Closed)
    ));
    assert!(matches!(store.close(), Err(MaintenanceError::InDoubt)));
    drop(store);
    let store = open(root.path(), 2 << 20);
    assert!(commit(&store, batch("next", 1)).is_ok());
}

#[test]
fn the_death_of_maintenance_is_told_and_commits_go_on() {
    let root = tempfile::tempdir().unwrap();
    let store = open_with(root.path(), 2 << 20, trap("maintenance"));
    assert!(wait_for_refusal(&store).contains("maintains"));
    assert!(commit(&store, batch("late", 1)).is_ok());
    assert!(store.status().refusing.is_some());
    assert!(store.status().maintenance_failure.is_some());
}

#[test]
fn a_request_that_cannot_be_prepared_frees_its_key() {
    let root = tempfile::tempdir().unwrap();
    let own = std::thread::current().name().unwrap_or("main").to_string();
    let clock = trap(&own);
    clock.is_armed.store(false, Ordering::SeqCst);
    let store = open_with(root.path(), 2 << 20, clock.clone());
    assert!(matches!(
        store.recall(DEFAULT_TENANT, "s", "k", &[1; 32]),
        Recall::New
    ));
    let request = keyed("k");
    clock.is_armed.store(true, Ordering::SeqCst);
    let reply = Box::new(|_| ());
    let committed = catch_unwind(AssertUnwindSafe(|| store.commit(request, reply)));
    assert!(committed.is_err());
    clock.is_armed.store(false, Ordering::SeqCst);
    assert!(matches!(
        store.recall(DEFAULT_TENANT, "s", "k", &[2; 32]),
        Recall::New
    ));
}
