//! How long a store with many segments takes to start, and how much memory it then holds.
//!
//! `start_up write DIRECTORY SECTIONS` makes a store with so many segment files of one section each,
//! over some 2,000 partitions, without syncs, so that it takes minutes and not hours. `start_up open
//! DIRECTORY` opens it as the server does, in a process of its own, and prints time, time on a
//! processor and memory; it also prints what a commit costs then.
#![allow(
    clippy::unwrap_used,
    reason = "a measurement ends where its ground is gone"
)]

use std::{io, path::Path, sync::Arc, time::Instant};
use taffrail_model::{
    batch::RawBatch,
    clock::{Clock, SystemClock},
    column::{ColumnSet, Kind},
    files::{Entry, File, Files},
    stream::StreamCatalogue,
    tenant::TenantNumber,
    time::{NS_PER_DAY, Timestamp},
};
use taffrail_pipeline::{Arrival, Pipeline, PipelineConfig, clean::CleanBatch};
use taffrail_storage::{
    keys::KeyFile,
    local_files::LocalFiles,
    store_core::{CommitRequest, StoreCore, StoreOptions},
};

const TENANTS: u64 = 25;
const DAYS: u64 = 80;
/// Flushes after which the manifest is written and the log dropped, as maintenance would.
const FLUSHES_EACH_SNAPSHOT: u64 = 5_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", directory, sections] => write(Path::new(directory), sections.parse().unwrap()),
        ["open", directory] => open(Path::new(directory)),
        _ => eprintln!("usage: start_up write DIRECTORY SECTIONS | start_up open DIRECTORY"),
    }
}

fn store(directory: &Path, files: Arc<dyn Files>) -> StoreCore {
    let options = StoreOptions::new(directory.into());
    let kek = Arc::new(KeyFile::from_secret([3; 32]));
    let (core, report) = StoreCore::open(options, files, Arc::new(SystemClock), kek).unwrap();
    assert_eq!(report.faults, []);
    core
}

fn write(directory: &Path, sections: u64) {
    let core = store(directory, Arc::new(Unsynced));
    let batches = Batches::new();
    for number in 0..sections {
        commit(&core, batches.batch(number));
        core.flush().unwrap();
        if number % FLUSHES_EACH_SNAPSHOT == FLUSHES_EACH_SNAPSHOT - 1 {
            core.snapshot_manifest().unwrap();
            println!("{} sections", number + 1);
        }
    }
    core.close().unwrap();
}

fn open(directory: &Path) {
    let (begun, begun_ticks) = (Instant::now(), processor_ticks());
    let core = store(directory, Arc::new(LocalFiles));
    let (took, ticks) = (begun.elapsed(), processor_ticks() - begun_ticks);
    let status = core.status();
    println!(
        "sections {}, files {}, partitions {}: start {:.3} s, of it {}.{:02} s on a processor, \
         memory {} KiB, at its peak {} KiB",
        status.sections,
        status.segments,
        status.partitions,
        took.as_secs_f64(),
        ticks / 100,
        ticks % 100,
        memory("VmRSS:"),
        memory("VmHWM:"),
    );
    let batches = Batches::new();
    let begun = Instant::now();
    let commits = 200;
    for number in 0..commits {
        commit(&core, batches.batch(number));
    }
    let each = begun.elapsed().as_secs_f64() * 1e3 / commits as f64;
    println!("a commit of one record takes {each:.2} ms, its sync included");
}

/// Hundredths of a second that all threads of this process have been on a processor.
fn processor_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name in parentheses may hold anything; user and system time are the 14th and 15th field.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let times = fields.split_whitespace().skip(11).take(2);
    times.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let number = line.split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

fn commit(core: &StoreCore, batch: CleanBatch) {
    let results = core.commit_group(vec![CommitRequest {
        batch: batch.into(),
        idempotency: None,
    }]);
    assert!(results[0].is_ok(), "{results:?}");
}

struct Batches {
    pipeline: Pipeline,
    catalogue: StreamCatalogue,
    now: Timestamp,
}

impl Batches {
    fn new() -> Batches {
        Batches {
            pipeline: Pipeline::new(PipelineConfig::default()).unwrap(),
            catalogue: StreamCatalogue::built_in(),
            now: SystemClock.now(),
        }
    }

    /// Three records of one partition.
    fn batch(&self, number: u64) -> CleanBatch {
        let day = (number / TENANTS % DAYS) as i64;
        let time = self.now.0 - day * NS_PER_DAY;
        let mut columns = ColumnSet::default();
        for row in 0..3 {
            let mut put = |name: &str, kind, text: &str| {
                columns.get_or_create(name).push(row, kind, text);
            };
            put("timestamp", Kind::Integer, &time.to_string());
            put(
                "message",
                Kind::String,
                &format!("request {number} took {row} ms"),
            );
            put("level", Kind::String, "info");
        }
        columns.set_rows(3);
        let raw = RawBatch {
            columns,
            indexes: (0..3).collect(),
            ..RawBatch::default()
        };
        let arrival = Arrival {
            tenant: TenantNumber((number % TENANTS) as u32 + 1),
            stream: self.catalogue.by_name("app.backend").unwrap(),
            received: self.now,
            catalogue: &self.catalogue,
            may_write: &|_| true,
        };
        self.pipeline.process(raw, &arrival)
    }
}

/// The machine's file system without syncs.
struct Unsynced;

struct UnsyncedFile(Arc<dyn File>);

impl Files for Unsynced {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(UnsyncedFile(LocalFiles.create(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        LocalFiles.open(path)
    }

    fn open_for_overwrite(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(UnsyncedFile(LocalFiles.open_for_overwrite(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        LocalFiles.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        LocalFiles.remove(path)
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        LocalFiles.make_directory(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        LocalFiles.list(path)
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        LocalFiles.free_bytes(path)
    }
}

impl File for UnsyncedFile {
    fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        self.0.append(bytes)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buffer)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}
