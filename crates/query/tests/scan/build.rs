//! Snapshots of generated records: in tail chunks, in encoded sections of segments, or in both.
use crate::rule::Record;
use std::{collections::BTreeMap, sync::Arc};
use taffrail_model::{
    access::{Principal, Role, RowPolicy},
    column::{ColumnSet, Kind},
    instance::GoneInstances,
    position::{PartitionKey, Position},
    stream::StreamCatalogue,
    tenant::TenantNumber,
    time::Timestamp,
};
use taffrail_query::{Output, Row, RowsOutput, ScanRequest};
use taffrail_storage::{
    read::{Extent, ReadAt, ReadError, RowSource},
    segment::{BlockCache, SectionInput, SectionReader, encode_section},
    snapshot::{Fault, PartitionView, Snapshot},
    tail::TailChunk,
};

pub const NS_PER_DAY: i64 = 86_400_000_000_000;
/// Day of the read.
pub const TODAY: i64 = 20_000;
pub const NOW: Timestamp = Timestamp(TODAY * NS_PER_DAY + 12 * 3_600_000_000_000);

/// The bytes of a section in memory.
struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, ReadError> {
        let start = usize::try_from(offset).expect("small");
        Ok(self.0[start..start + bytes].to_vec())
    }

    fn name(&self) -> String {
        "memory".into()
    }
}

fn input(records: &[&Record]) -> SectionInput {
    let mut columns = ColumnSet::default();
    columns.set_rows(records.len() as u32);
    for (row, record) in (0u32..).zip(records) {
        for (name, kind, text) in record.stored() {
            columns.get_or_create(&name).push(row, kind, &text);
        }
    }
    SectionInput {
        timestamps: records.iter().map(|record| record.timestamp).collect(),
        positions: records.iter().map(|record| record.position).collect(),
        columns,
    }
}

fn extent(records: &[&Record]) -> Extent {
    let times = || records.iter().map(|record| record.timestamp);
    let positions = || records.iter().map(|record| record.position);
    Extent {
        rows: records.len() as u32,
        time_min: Timestamp(times().min().expect("not empty")),
        time_max: Timestamp(times().max().expect("not empty")),
        position_min: Position(positions().min().expect("not empty")),
        position_max: Position(positions().max().expect("not empty")),
    }
}

pub fn tail(records: &[&Record]) -> Arc<dyn RowSource> {
    let input = input(records);
    Arc::new(TailChunk::new(
        input.timestamps,
        input.positions,
        input.columns,
    ))
}

pub fn section(records: &[&Record]) -> Arc<dyn RowSource> {
    let bytes = encode_section(input(records)).expect("encodes");
    let cache = Arc::new(BlockCache::new(1 << 20));
    Arc::new(SectionReader::open(
        extent(records),
        Arc::new(Bytes(bytes)),
        cache,
    ))
}

/// How a snapshot is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Rows of each source.
    pub rows: usize,
    /// Each how many-th source is a section; 0: none.
    pub section_every: usize,
}

pub fn key(record: &Record) -> PartitionKey {
    let catalogue = StreamCatalogue::built_in();
    PartitionKey {
        tenant: TenantNumber(record.tenant),
        stream: catalogue.by_name(record.stream).expect("built in").number,
        day: Timestamp(record.timestamp).day().expect("in range"),
    }
}

/// A snapshot of records in order of position.
pub fn snapshot(records: &[Record], layout: Layout) -> Snapshot {
    let mut partitions: BTreeMap<PartitionKey, Vec<&Record>> = BTreeMap::new();
    for record in records {
        partitions.entry(key(record)).or_default().push(record);
    }
    let views = partitions.into_iter().map(|(key, records)| {
        let (mut sections, mut tails) = (Vec::new(), Vec::new());
        for (index, chunk) in records.chunks(layout.rows.max(1)).enumerate() {
            match layout.section_every {
                0 => tails.push(tail(chunk)),
                every if index % every == 0 => sections.push(section(chunk)),
                _ => tails.push(tail(chunk)),
            }
        }
        let view = PartitionView::new(key, Arc::new(sections), tails);
        (key, Arc::new(view))
    });
    let watermark = records.iter().map(|record| record.position).max();
    Snapshot::new(
        Position(watermark.unwrap_or_default()),
        1,
        views.collect(),
        Arc::default(),
    )
}

/// A snapshot of one partition with these sources.
pub fn snapshot_of(
    key: PartitionKey,
    sources: Vec<Arc<dyn RowSource>>,
    faults: Vec<Fault>,
) -> Snapshot {
    let watermark = sources
        .iter()
        .map(|source| source.extent().position_max)
        .max();
    let view = Arc::new(PartitionView::new(key, Arc::new(sources), Vec::new()));
    Snapshot::new(
        watermark.unwrap_or_default(),
        1,
        [(key, view)].into_iter().collect(),
        Arc::new(faults),
    )
}

pub fn catalogue() -> Arc<StreamCatalogue> {
    Arc::new(StreamCatalogue::built_in())
}

/// Instances that nobody sees any more, (tenant, id).
const GONE: [(u32, &str); 3] = [(1, "old"), (1, "77"), (2, "other")];

fn gone() -> GoneInstances {
    let gone = GONE.into_iter();
    gone.map(|(tenant, id)| (TenantNumber(tenant), id.into()))
        .collect()
}

/// Who reads: an admin of tenant 1 (and 2), or a user with these `user_id`s.
#[derive(Clone, Debug)]
pub enum Reader {
    Admin,
    AdminOfBoth,
    User(Vec<&'static str>),
}

impl Reader {
    pub fn policy(&self) -> RowPolicy {
        let admin = Principal::product(TenantNumber(1));
        let principal = match self {
            Reader::Admin => admin,
            Reader::AdminOfBoth => Principal {
                tenants: vec![TenantNumber(1), TenantNumber(2)],
                ..admin
            },
            Reader::User(own) => Principal {
                role: Role::User,
                own_user_ids: Arc::new(own.iter().map(ToString::to_string).collect()),
                ..admin
            },
        };
        principal.read_policy(&catalogue(), &gone())
    }

    /// Whether a record may be seen: the oracle's own word.
    pub fn may_see(&self, record: &Record) -> bool {
        let age = TODAY - record.timestamp.div_euclid(NS_PER_DAY);
        let (days, is_owned) = match record.stream {
            "app.backend" => (90, true),
            "runtime" => (30, false),
            "system.application" => (90, false),
            "instance.app" => (30, true),
            other => panic!("{other} is not generated"),
        };
        let is_debug = record
            .get("level")
            .is_some_and(|(_, text)| text == "debug" || text == "trace");
        let is_hidden = record.stream == "system.application" && is_debug && age > 30;
        let is_gone = record.stream == "instance.app"
            && record.get("instance_id").is_some_and(|(kind, text)| {
                kind != Kind::Json && GONE.contains(&(record.tenant, text))
            });
        let is_mine = match self {
            Reader::Admin => record.tenant == 1,
            Reader::AdminOfBoth => true,
            Reader::User(own) => {
                record.tenant == 1
                    && is_owned
                    && record
                        .get("user_id")
                        .is_some_and(|(kind, text)| kind != Kind::Json && own.contains(&text))
            }
        };
        is_mine && age <= days && !is_hidden && !is_gone
    }

    pub fn request(&self, output: Output) -> ScanRequest {
        ScanRequest::new(self.policy(), catalogue(), NOW, output)
    }
}

pub fn rows(output: RowsOutput) -> Output {
    Output::Rows(output)
}

/// A row of an answer as a record, its overflow still in its column.
pub fn flat(row: &Row) -> (i64, u64, Vec<(String, Kind, String)>) {
    let fields = row
        .fields
        .iter()
        .map(|(name, value)| (name.to_string(), value.kind, value.text.clone()))
        .collect();
    (row.key.timestamp.0, row.key.position.0, fields)
}
