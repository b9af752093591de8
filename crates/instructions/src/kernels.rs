//! What is counted: a request on its way in, and questions on their way through segments.
use crate::{Fault, Prepared, records};
use std::{path::Path, sync::Arc};
use taffrail_ingest::decode::ndjson;
use taffrail_model::{
    access::{Principal, RowPolicy},
    clock::SystemClock,
    instance::GoneInstances,
    stream::{AccessClass, StreamCatalogue, StreamDefinition, StreamNumber},
    tenant::DEFAULT_TENANT,
    time::Timestamp,
};
use taffrail_pipeline::{Arrival, Pipeline, PipelineConfig, clean::CleanBatch};
use taffrail_query::{
    Order, Output, RowsOutput, ScanOutput, ScanRequest, StreamSelection, execute, parse,
};
use taffrail_storage::{
    keys::KeyFile,
    local_files::LocalFiles,
    segment::encode_chunks,
    snapshot::Snapshot,
    store_core::{CommitRequest, StoreCore, StoreOptions},
    tail::TailChunk,
};
use tempfile::TempDir;

/// Records of machine logs: enough for several blocks, few enough for callgrind.
const MACHINE_ROWS: u64 = 4_096;
/// Records of prose.
const PROSE_ROWS: u64 = 512;
/// Name of the stream, which keeps its records for ever.
const STREAM: &str = "counted";
const STREAM_NUMBER: StreamNumber = StreamNumber::FIRST_CUSTOM;
/// The moment of everything: 2025-06-03T00:00:00Z.
const NOW: Timestamp = Timestamp(1_748_908_800_000_000_000);

/// A kernel's name, and what prepares it.
type Kernel = (&'static str, fn() -> Result<Prepared, Fault>);

/// Every kernel.
pub const KERNELS: &[Kernel] = &[
    ("decode", decode),
    ("pipeline", pipeline),
    ("log", log),
    ("segment", || segment(&records::machine(MACHINE_ROWS))),
    ("segment of prose", || segment(&records::prose(PROSE_ROWS))),
    ("count all", || question("", Output::Count)),
    ("count a word", || question("forwarded", Output::Count)),
    ("count a phrase", || {
        question("\"session opened\"", Output::Count)
    }),
    ("count part of a word", || {
        question("*orwarde*", Output::Count)
    }),
    ("count a regex", || {
        question(r"message:/chk_[0-9]+ of length [0-9]{7} /", Output::Count)
    }),
    ("count an address", || question("10.0.3.77", Output::Count)),
    ("count a word of prose", || {
        prose_question("graka", Output::Count)
    }),
    ("count a phrase of prose", || {
        prose_question("\"an ba\"", Output::Count)
    }),
    ("latest of a rare word", || {
        question("zirconquill", latest())
    }),
    ("latest", || question("", latest())),
    ("histogram by level", || {
        let by = Some("level".into());
        question(
            "",
            Output::Histogram {
                interval_ns: 60_000_000_000,
                by,
            },
        )
    }),
    ("facets", || {
        let fields = vec!["source".into(), "status".into()];
        question("level>=warn", Output::Facets { fields, limit: 10 })
    }),
];

fn latest() -> Output {
    Output::Rows(RowsOutput {
        order: Order::Descending,
        limit: 100,
        ..RowsOutput::default()
    })
}

fn decode() -> Result<Prepared, Fault> {
    let body = records::machine(MACHINE_ROWS);
    Ok(Box::new(move || {
        ndjson::decode(&body).map_or(0, |batch| batch.indexes.len() as u64)
    }))
}

fn pipeline() -> Result<Prepared, Fault> {
    let raw = ndjson::decode(&records::machine(MACHINE_ROWS))?;
    let stage = Stage::new()?;
    Ok(Box::new(move || stage.clean(raw).rows() as u64))
}

/// Encoding for the log and the commit, without what the disk does.
fn log() -> Result<Prepared, Fault> {
    let stage = Stage::new()?;
    let batch = stage.clean(ndjson::decode(&records::machine(MACHINE_ROWS))?);
    let (folder, store) = open_store(&stage)?;
    Ok(Box::new(move || {
        let committed = commit(&store, batch);
        drop(folder);
        committed.map_or(0, |()| MACHINE_ROWS)
    }))
}

fn segment(lines: &[u8]) -> Result<Prepared, Fault> {
    let stage = Stage::new()?;
    let batch = stage.clean(ndjson::decode(lines)?);
    let part = batch.into_parts().into_iter().next().ok_or("no records")?;
    let (_, _, timestamps, columns) = part.into_parts();
    let positions = (1..=timestamps.len() as u64).collect();
    let chunk = Arc::new(TailChunk::new(timestamps, positions, columns));
    Ok(Box::new(move || {
        encode_chunks(&[chunk]).map_or(0, |bytes| bytes.len() as u64)
    }))
}

fn question(query: &str, output: Output) -> Result<Prepared, Fault> {
    ask(&records::machine(MACHINE_ROWS), query, output)
}

fn prose_question(query: &str, output: Output) -> Result<Prepared, Fault> {
    ask(&records::prose(PROSE_ROWS), query, output)
}

/// A question of records that are in a segment, with nothing in a cache.
fn ask(lines: &[u8], query: &str, output: Output) -> Result<Prepared, Fault> {
    let stage = Stage::new()?;
    let batch = stage.clean(ndjson::decode(lines)?);
    let (folder, store) = open_store(&stage)?;
    commit(&store, batch)?;
    store.flush()?;
    let snapshot: Arc<Snapshot> = store.snapshot();
    let catalogue = Arc::new(stage.catalogue);
    let principal = Principal::product(DEFAULT_TENANT);
    let policy: RowPolicy = principal.read_policy(&catalogue, &GoneInstances::default());
    let request = ScanRequest::new(policy, catalogue, NOW, output)
        .with_streams(StreamSelection::Only(vec![STREAM_NUMBER]))
        .with_predicate(parse(query)?.filter);
    Ok(Box::new(move || {
        let found = execute(&request, &snapshot).map_or(0, |result| size(&result.output));
        drop((folder, store));
        found
    }))
}

fn size(output: &ScanOutput) -> u64 {
    match output {
        ScanOutput::Count(count) => *count,
        ScanOutput::Rows(page) => page.rows.len() as u64,
        ScanOutput::Histogram(histogram) => histogram.total(),
        ScanOutput::Facets(facets) => facets.len() as u64,
        _ => 0,
    }
}

/// The way in, up to the log.
struct Stage {
    pipeline: Pipeline,
    catalogue: StreamCatalogue,
    stream: StreamDefinition,
}

impl Stage {
    fn new() -> Result<Stage, Fault> {
        let stream = StreamDefinition {
            number: STREAM_NUMBER,
            name: STREAM.into(),
            retention_days: None,
            debug_retention_days: None,
            compress_after_days: None,
            is_archived: false,
            is_sealed: false,
            is_policy: false,
            is_strict: false,
            is_own_events: false,
            access: AccessClass::Restricted,
        };
        let mut catalogue = StreamCatalogue::built_in();
        catalogue.add(stream.clone())?;
        Ok(Stage {
            pipeline: Pipeline::new(PipelineConfig::default())?,
            catalogue,
            stream,
        })
    }

    fn clean(&self, raw: taffrail_model::batch::RawBatch) -> CleanBatch {
        let arrival = Arrival {
            tenant: DEFAULT_TENANT,
            stream: &self.stream,
            received: NOW,
            catalogue: &self.catalogue,
            may_write: &|_| true,
        };
        self.pipeline.process(raw, &arrival)
    }
}

fn open_store(stage: &Stage) -> Result<(TempDir, StoreCore), Fault> {
    let folder = tempfile::tempdir()?;
    let (key, _) = KeyFile::load_or_create(&folder.path().join("main.key"))?;
    let options = StoreOptions {
        catalogue: Arc::new(stage.catalogue.clone()),
        ..StoreOptions::new(data(folder.path()))
    };
    let (store, _) = StoreCore::open(
        options,
        Arc::new(LocalFiles),
        Arc::new(SystemClock),
        Arc::new(key),
    )?;
    Ok((folder, store))
}

fn data(folder: &Path) -> std::path::PathBuf {
    folder.join("store")
}

fn commit(store: &StoreCore, batch: CleanBatch) -> Result<(), Fault> {
    let request = CommitRequest {
        batch: batch.into(),
        idempotency: None,
    };
    for result in store.commit_group(vec![request]) {
        result?;
    }
    Ok(())
}
