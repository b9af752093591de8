//! The scripted workload: what eight connections of three tenants send, and what runs between.
use super::serials::Serials;
use std::{collections::BTreeMap, sync::Arc};
use taffrail_model::{
    position::PartitionKey,
    stream::StreamCatalogue,
    tenant::TenantNumber,
    time::{Day, NS_PER_DAY, Timestamp},
};
use taffrail_pipeline::{Arrival, Pipeline, PipelineConfig, clean::CleanBatch};
use taffrail_testkit::{GeneratedRequest, PlainRecord, Random, RecordGenerator, record::TENANTS};

/// The day on which the script begins.
pub const TODAY: Day = Day(20_457);
/// Connections that send at once.
pub const CONNECTIONS: usize = 8;

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// One group commit of requests that came at once.
    Ingest(Vec<Prepared>),
    /// The requests of an earlier step are sent again under their keys.
    Repeat(usize),
    /// Records of a tenant are deleted whose serials have a remainder.
    Delete(TenantNumber, Serials),
    /// The latest deletion is taken back.
    CancelDeletion,
    /// Small sections are merged, and deleted rows removed, until there is no more to do.
    Compact,
    /// Everything in tails becomes segments.
    Flush,
    /// Whole days that are past their retention go.
    Retain,
    /// A snapshot of the manifest.
    SnapshotManifest,
    /// What is due, and files go that nothing needs.
    Maintain,
    /// Nothing comes in for a while: the watermark is repeated.
    Idle,
    /// Days pass.
    Sleep(i64),
    /// The process ends without a word, and another one starts.
    Restart,
}

/// A request that has been through the pipeline.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What the store gets.
    pub batch: CleanBatch,
    /// The same rows, plain.
    pub rows: Vec<(PartitionKey, PlainRecord)>,
    /// Idempotency key.
    pub key: String,
}

impl Prepared {
    /// Whether its days leave their stream during the script.
    pub fn is_old(&self) -> bool {
        self.rows.iter().any(|(key, _)| key.day.0 + 20 < TODAY.0)
    }
}

/// Makes batches as the product does: through the pipeline.
pub struct Source {
    pipeline: Pipeline,
    /// The streams.
    pub catalogue: Arc<StreamCatalogue>,
    generator: RecordGenerator,
    random: Random,
    requests: usize,
}

impl Source {
    /// A source of a seed, with records of so many days.
    pub fn new(seed: u64, days: u16) -> Source {
        Source {
            pipeline: Pipeline::new(PipelineConfig::default()).unwrap(),
            catalogue: Arc::new(StreamCatalogue::built_in()),
            generator: RecordGenerator::new(seed, TODAY, days),
            random: Random::from_seeds(&[seed, 0x5c]),
            requests: 0,
        }
    }

    /// A request of a random tenant to a random stream, over several days.
    pub fn request(&mut self, now: Timestamp) -> Prepared {
        let rows = 1 + self.random.index(6);
        let request = self.generator.request(rows);
        self.prepare(&request, now)
    }

    /// A request whose records are about to leave their stream.
    pub fn old_request(&mut self, now: Timestamp) -> Prepared {
        let tenant = self.random.pick(&TENANTS);
        let day = Day(TODAY.0 - 29).start().0;
        let mut request = self.generator.request_of(tenant, "runtime", 0);
        for hour in 0..3 {
            let record = self.generator.record_at(day + hour * NS_PER_DAY / 24);
            request.records.push(record);
        }
        self.prepare(&request, now)
    }

    /// Takes a request through the pipeline, and makes sure that nothing of it is lost there.
    pub fn prepare(&mut self, request: &GeneratedRequest, now: Timestamp) -> Prepared {
        let arrival = Arrival {
            tenant: request.tenant,
            stream: self.catalogue.by_name(request.stream).unwrap(),
            received: now,
            catalogue: &self.catalogue,
            may_write: &|_| true,
        };
        let batch = self.pipeline.process(request.raw_batch(), &arrival);
        assert!(batch.rejects().is_empty(), "{:?}", batch.rejects());
        let rows: Vec<(PartitionKey, PlainRecord)> = batch
            .parts()
            .iter()
            .flat_map(|part| {
                let key = PartitionKey {
                    tenant: batch.tenant(),
                    stream: part.stream(),
                    day: part.day(),
                };
                PlainRecord::from_columns(part.timestamps(), part.columns())
                    .into_iter()
                    .map(move |record| (key, record))
            })
            .collect();
        let by_serial: BTreeMap<_, _> = rows
            .iter()
            .map(|(_, record)| (record.serial(), record))
            .collect();
        assert_eq!(by_serial.len(), request.records.len());
        for record in &request.records {
            let clean = by_serial[&record.serial()];
            assert!(record.is_within(clean), "{record:?} became {clean:?}");
        }
        self.requests += 1;
        Prepared {
            batch,
            rows,
            key: format!("request-{}", self.requests),
        }
    }

    /// Requests that come at once.
    pub fn group(&mut self, requests: usize, now: Timestamp) -> Step {
        Step::Ingest((0..requests).map(|_| self.request(now)).collect())
    }
}

/// Noon of the first day, some days later.
pub fn noon(days_later: i64) -> Timestamp {
    Timestamp(TODAY.start().0 + NS_PER_DAY / 2 + days_later * NS_PER_DAY)
}

/// The workload: every kind of step, and every kind between two others of each kind that matters.
pub fn script(source: &mut Source) -> Vec<Step> {
    let (today, later) = (noon(0), noon(2));
    let old = source.old_request(today);
    vec![
        source.group(CONNECTIONS, today),
        Step::Ingest(vec![old]),
        source.group(3, today),
        Step::Flush,
        source.group(CONNECTIONS, today),
        Step::Repeat(0),
        Step::Idle,
        Step::SnapshotManifest,
        source.group(2, today),
        Step::Flush,
        source.group(1, today),
        Step::Sleep(2),
        Step::Retain,
        Step::Maintain,
        source.group(CONNECTIONS, later),
        Step::SnapshotManifest,
        Step::Repeat(14),
        Step::Flush,
        delete(0, 3),
        Step::CancelDeletion,
        source.group(4, later),
        delete(1, 2),
        Step::Restart,
        source.group(3, later),
        Step::Compact,
        Step::SnapshotManifest,
        delete(2, 4),
        Step::Flush,
        Step::Maintain,
        Step::Compact,
        source.group(2, later),
    ]
}

fn delete(tenant: usize, modulus: u64) -> Step {
    let serials = Serials { modulus, rest: 1 };
    Step::Delete(TENANTS[tenant], serials)
}

/// A short workload after which every kind of file is there, with no dead byte in a segment: two
/// segments, two generations of the manifest, a log of several files.
pub fn short_script(source: &mut Source) -> Vec<Step> {
    let today = noon(0);
    vec![
        source.group(4, today),
        Step::SnapshotManifest,
        Step::Flush,
        source.group(3, today),
        Step::Idle,
        Step::Restart,
        source.group(3, today),
        Step::Flush,
        source.group(2, today),
        Step::Idle,
        Step::Restart,
        source.group(2, today),
        Step::Idle,
        source.group(2, today),
        Step::Idle,
    ]
}
