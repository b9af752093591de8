//! Speed of decoders of NDJSON on one file: ours, which writes columns, beside three that build a tree
//! of values for each record, two that only look for the end of one, and the fastest of the trees
//! when its values are written to columns as well.
//!
//! `cargo run --release --manifest-path benches/decoder/Cargo.toml -- FILE [DECODER [ROUNDS]]`
//!
//! Without a decoder all are measured, in turns, and the median of each is printed. With one, only
//! that runs: for a profiler. What is measured is the time on a processor, so that other programs on
//! the machine show less.
use sonic_rs::{JsonContainerTrait, JsonType, JsonValueTrait};
use taffrail_model::column::{ColumnSet, Kind};

/// As large as a batch of 10,000 records.
const BATCH_BYTES: usize = 4 << 20;
const ROUNDS: usize = 5;

/// Counts the records of a batch.
type Decoder = fn(&[u8]) -> usize;

const DECODERS: [(&str, Decoder); 7] = [
    ("taffrail", taffrail),
    ("sonic-rs-columns", sonic_columns),
    ("sonic-rs-value", sonic_value),
    ("sonic-rs-skip", sonic_skip),
    ("simd-json-borrowed", simd_borrowed),
    ("simd-json-tape", simd_tape),
    ("serde_json-value", serde_value),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("FILE [DECODER [ROUNDS]]");
    let only = arguments.next();
    let rounds = arguments
        .next()
        .map_or(ROUNDS, |text| text.parse().expect("ROUNDS"));
    let bytes = std::fs::read(&path).expect("the file");
    let batches = cut(&bytes);
    let chosen: Vec<_> = DECODERS
        .iter()
        .filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name))
        .collect();
    let mut took_s = vec![Vec::new(); chosen.len()];
    let mut records = vec![0; chosen.len()];
    for _ in 0..rounds {
        for (index, (_, decode)) in chosen.iter().enumerate() {
            let start_ns = on_processor_ns();
            records[index] = batches.iter().map(|batch| decode(batch)).sum();
            took_s[index].push((on_processor_ns() - start_ns) as f64 / 1e9);
        }
    }
    for ((name, _), (took_s, records)) in chosen.iter().zip(took_s.iter_mut().zip(records)) {
        took_s.sort_by(f64::total_cmp);
        let median_s = took_s[took_s.len() / 2];
        let speed = bytes.len() as f64 / 1e6 / median_s;
        println!("{name}: {speed:.0} MB/s, {records} records in {median_s:.3} s");
    }
}

/// How long this thread, the only one, has been on a processor, to a tick of the kernel.
fn on_processor_ns() -> u64 {
    let statistics = std::fs::read_to_string("/proc/self/schedstat").expect("Linux");
    let first = statistics.split(' ').next();
    first.and_then(|ns| ns.parse().ok()).expect("a number")
}

fn cut(bytes: &[u8]) -> Vec<&[u8]> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while rest.len() > BATCH_BYTES {
        let end = rest[..BATCH_BYTES].iter().rposition(|byte| *byte == b'\n');
        let (batch, after) = rest.split_at(end.map_or(BATCH_BYTES, |end| end + 1));
        out.push(batch);
        rest = after;
    }
    out.push(rest);
    out
}

fn lines(batch: &[u8]) -> impl Iterator<Item = &[u8]> {
    batch
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
}

/// Columns, with all limits and rejects.
fn taffrail(batch: &[u8]) -> usize {
    let decoded = taffrail_ingest::decode::ndjson::decode(batch).expect("a batch");
    assert!(decoded.rejects.is_empty());
    decoded.indexes.len()
}

/// Values of a tree to columns, without limits, rejects, places of faults and the texts of numbers.
fn sonic_columns(batch: &[u8]) -> usize {
    let mut columns = ColumnSet::default();
    let mut records = 0;
    let mut name = String::new();
    for line in lines(batch) {
        let value: sonic_rs::Value = sonic_rs::from_slice(line).expect("a record");
        push_members(&value, records, &mut name, &mut columns);
        records += 1;
    }
    columns.set_rows(records);
    columns.rows() as usize
}

fn push_members(object: &sonic_rs::Value, record: u32, name: &mut String, columns: &mut ColumnSet) {
    let begin = name.len();
    for (member, value) in object
        .as_object()
        .into_iter()
        .flat_map(|object| object.iter())
    {
        name.push_str(member);
        let mut push = |kind, text: &str| columns.get_or_create(name).push(record, kind, text);
        match value.get_type() {
            JsonType::Null => {}
            JsonType::String => push(Kind::String, value.as_str().expect("a string")),
            JsonType::Boolean => push(Kind::Bool, if value.is_true() { "true" } else { "false" }),
            JsonType::Number if value.is_f64() => push(Kind::Float, &value.to_string()),
            JsonType::Number => push(Kind::Integer, &value.to_string()),
            JsonType::Array => push(Kind::Json, &value.to_string()),
            JsonType::Object => {
                name.push('.');
                push_members(value, record, name, columns);
            }
        }
        name.truncate(begin);
    }
}

fn sonic_value(batch: &[u8]) -> usize {
    let is_object = |line| {
        let value: sonic_rs::Value = sonic_rs::from_slice(line).expect("a record");
        value.is_object()
    };
    lines(batch).filter(|line| is_object(line)).count()
}

fn sonic_skip(batch: &[u8]) -> usize {
    let is_object = |line| {
        let value: sonic_rs::LazyValue<'_> = sonic_rs::from_slice(line).expect("a record");
        value.is_object()
    };
    lines(batch).filter(|line| is_object(line)).count()
}

/// It writes into its input: a copy of each line is part of the price.
fn simd_borrowed(batch: &[u8]) -> usize {
    let mut buffers = simd_json::Buffers::default();
    let mut copy = Vec::new();
    let mut records = 0;
    for line in lines(batch) {
        copy.clear();
        copy.extend_from_slice(line);
        let value = simd_json::to_borrowed_value_with_buffers(&mut copy, &mut buffers);
        records += usize::from(matches!(value, Ok(simd_json::BorrowedValue::Object(_))));
    }
    records
}

fn simd_tape(batch: &[u8]) -> usize {
    let mut copy = Vec::new();
    let mut records = 0;
    for line in lines(batch) {
        copy.clear();
        copy.extend_from_slice(line);
        records += usize::from(simd_json::to_tape(&mut copy).is_ok());
    }
    records
}

fn serde_value(batch: &[u8]) -> usize {
    let is_object = |line| {
        let value: serde_json::Value = serde_json::from_slice(line).expect("a record");
        value.is_object()
    };
    lines(batch).filter(|line| is_object(line)).count()
}
