//! Measures what idempotency keys cost in a real store: memory, a manifest snapshot, the commits
//! beside it, and a start.
//!
//! `cargo run --release -p taffrail-storage --example idempotency_memory -- [KEYS] [DISTINCT_ANSWERS]`
#![allow(clippy::unwrap_used)] // A measurement that cannot go on has nothing to say.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use taffrail_model::{
    batch::RawBatch,
    clock::{Clock, SystemClock},
    stream::StreamCatalogue,
    tenant::DEFAULT_TENANT,
};
use taffrail_pipeline::{Arrival, Pipeline, PipelineConfig, clean::CleanBatch};
use taffrail_storage::{
    keys::KeyFile,
    local_files::LocalFiles,
    store_core::{CommitRequest, IdempotencyKey, StoreCore, StoreOptions},
};

const GROUP: u64 = 1_000;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().unwrap());
    let keys: u64 = arguments.next().unwrap_or(1_000_000);
    let answers: u64 = arguments.next().unwrap_or(500);
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let options = StoreOptions::new(directory.path().join("data"));
        let kek = Arc::new(KeyFile::from_secret([1; 32]));
        let (files, clock) = (Arc::new(LocalFiles), Arc::new(SystemClock));
        StoreCore::open(options, files, clock, kek).unwrap().0
    };
    let core = open();
    let batch = empty_batch();
    commit(&core, &batch, 0..GROUP, answers);
    let before = resident_mib("VmRSS");
    for group in 1..keys / GROUP {
        commit(&core, &batch, group * GROUP..(group + 1) * GROUP, answers);
        if group % 100 == 0 {
            core.maintain().unwrap();
        }
    }
    let held = core.status().idempotency_keys;
    let after = resident_mib("VmRSS");
    println!(
        "{held} keys: {:.1} MiB (RSS {before:.1} to {after:.1})",
        after - before
    );
    measure_snapshot(&core, &batch, keys, answers);
    core.close().unwrap();
    drop(core);
    let start = Instant::now();
    let core = open();
    println!(
        "start: {:?}, {} keys, RSS {:.1} MiB, highest so far {:.1}",
        start.elapsed(),
        core.status().idempotency_keys,
        resident_mib("VmRSS"),
        resident_mib("VmHWM"),
    );
}

/// Writes snapshots while commits go on, and says how long the slowest commit took.
fn measure_snapshot(core: &StoreCore, batch: &CleanBatch, keys: u64, answers: u64) {
    let mut number = keys;
    let mut slowest = |rounds: &dyn Fn(u64) -> bool| {
        let mut slowest = Duration::ZERO;
        let mut count = 0;
        while rounds(count) {
            number += 1;
            let start = Instant::now();
            commit(core, batch, number..number + 1, answers);
            slowest = slowest.max(start.elapsed());
            count += 1;
        }
        (slowest, count)
    };
    println!(
        "slowest commit of 2,000 alone: {:?}",
        slowest(&|count| count < 2_000).0
    );
    let before = resident_mib("VmRSS");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..5 {
                let start = Instant::now();
                core.snapshot_manifest().unwrap();
                println!("manifest snapshot: {:?}", start.elapsed());
            }
            is_over.store(true, Ordering::Release);
        });
        let (slowest, count) = slowest(&|_| !is_over.load(Ordering::Acquire));
        println!("slowest commit of {count} beside five snapshots: {slowest:?}");
    });
    println!(
        "RSS {before:.1} MiB, highest with snapshots {:.1}",
        resident_mib("VmHWM")
    );
}

fn commit(core: &StoreCore, batch: &CleanBatch, numbers: std::ops::Range<u64>, answers: u64) {
    let requests = numbers.map(|number| CommitRequest {
        batch: batch.clone().into(),
        idempotency: Some(IdempotencyKey {
            scope: "key 7".into(),
            key: format!("ship-0123456789abcdef-{number}-0"),
            body_hash: [number as u8; 32],
            answer: format!(r#"{{"accepted":{},"rejected":[]}}"#, number % answers).into_bytes(),
        }),
    });
    for result in core.commit_group(requests.collect()) {
        result.unwrap();
    }
}

fn empty_batch() -> CleanBatch {
    let catalogue = StreamCatalogue::built_in();
    let arrival = Arrival {
        tenant: DEFAULT_TENANT,
        stream: catalogue.by_name("app.backend").unwrap(),
        received: SystemClock.now(),
        catalogue: &catalogue,
        may_write: &|_| true,
    };
    let pipeline = Pipeline::new(PipelineConfig::default()).unwrap();
    pipeline.process(RawBatch::default(), &arrival)
}

/// A line of /proc/self/status.
fn resident_mib(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024.0
}
