//! Measures the pipeline on NDJSON: `throughput FILE [ROWS_A_BATCH]`. Reading and decoding are
//! not in the figures.
use serde_json::Value;
use std::{
    collections::BTreeMap,
    error::Error,
    fs::File,
    io::{BufRead, BufReader},
    time::{Duration, Instant},
};
use taffrail_model::{
    batch::RawBatch,
    clock::{Clock, SystemClock},
    column::{ColumnSet, Kind},
    stream::StreamCatalogue,
    tenant::DEFAULT_TENANT,
};
use taffrail_pipeline::{Arrival, Pipeline, PipelineConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments
        .next()
        .ok_or("usage: throughput FILE [ROWS_A_BATCH]")?;
    let rows_a_batch: usize = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let pipeline = Pipeline::new(PipelineConfig::default())?;
    let catalogue = StreamCatalogue::built_in();
    let stream = catalogue
        .by_name("governance")
        .ok_or("the stream `governance` is built in")?;
    let stream = taffrail_model::stream::StreamDefinition {
        is_policy: false,
        is_strict: false,
        ..(**stream).clone()
    };
    let arrival = Arrival {
        tenant: DEFAULT_TENANT,
        stream: &stream,
        received: SystemClock.now(),
        catalogue: &catalogue,
        may_write: &|_| true,
    };
    let (mut rows, mut text_bytes, mut rejects) = (0u64, 0u64, 0);
    let mut masked: BTreeMap<String, u64> = BTreeMap::new();
    let mut spent = Duration::ZERO;
    let mut raw = RawBatch::default();
    let mut lines = BufReader::new(File::open(file)?).lines();
    loop {
        let line = lines.next().transpose()?;
        if let Some(line) = &line {
            let row = raw.indexes.len() as u32;
            let record: Value = serde_json::from_str(line)?;
            flatten(&mut raw.columns, row, "", &record);
            raw.indexes.push(row);
            raw.columns.set_rows(row + 1);
        }
        if raw.indexes.len() == rows_a_batch || (line.is_none() && !raw.indexes.is_empty()) {
            let batch = std::mem::take(&mut raw);
            text_bytes += batch
                .columns
                .iter()
                .map(|(_, column)| column.text().len() as u64)
                .sum::<u64>();
            let start = Instant::now();
            let clean = pipeline.process(batch, &arrival);
            spent += start.elapsed();
            rows += clean.rows() as u64;
            rejects += clean.rejects().len();
            for (rule, count) in &clean.counts().redactions {
                *masked.entry(rule.to_string()).or_default() += count;
            }
        }
        if line.is_none() {
            break;
        }
    }
    let seconds = spent.as_secs_f64();
    println!(
        "{rows} records, {rejects} rejected, masked {masked:?}: {:.3} s, {:.0} ns a record, {:.0} MB/s of values",
        seconds,
        seconds * 1e9 / rows as f64,
        text_bytes as f64 / 1e6 / seconds
    );
    Ok(())
}

fn flatten(columns: &mut ColumnSet, row: u32, name: &str, value: &Value) {
    let (kind, text) = match value {
        Value::Null => return,
        Value::Object(members) if !members.is_empty() => {
            for (key, member) in members {
                let name = match name {
                    "" => key.clone(),
                    name => format!("{name}.{key}"),
                };
                flatten(columns, row, &name, member);
            }
            return;
        }
        Value::String(text) => (Kind::String, text.clone()),
        Value::Number(number) if number.is_f64() => (Kind::Float, number.to_string()),
        Value::Number(number) => (Kind::Integer, number.to_string()),
        Value::Bool(truth) => (Kind::Bool, truth.to_string()),
        other => (Kind::Json, other.to_string()),
    };
    columns.get_or_create(name).push(row, kind, &text);
}
