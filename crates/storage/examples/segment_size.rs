//! Measures the segment format on a file of NDJSON: bytes a record by column, and the speed of
//! encoding, decoding and looking text up in the messages.
//!
//! `cargo run --release -p taffrail-storage --example segment_size -- FILE [ROWS_PER_SECTION
//! [TEXT...]]`; a text is looked for as a phrase, or as a substring if it begins with `*`.
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    sync::Arc,
    time::{Duration, Instant},
};
use taffrail_model::{
    column::{ColumnSet, Kind},
    limits::TAIL_ROWS_MAX,
    position::Position,
    time::{Timestamp, parse_rfc3339},
    token::{fold, tokens},
};
use taffrail_storage::{
    find::{Clue, TextQuestion},
    read::{Extent, ReadAt, ReadError, RowSource},
    segment::{BlockCache, SectionInput, SectionReader, decode_all, encode_section},
};

struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, ReadError> {
        let start = offset as usize;
        let range = self.0.get(start..start + bytes);
        range
            .map(<[u8]>::to_vec)
            .ok_or(ReadError::Missing { file: self.name() })
    }

    fn name(&self) -> String {
        "section".into()
    }
}

#[derive(Default)]
struct Totals {
    rows: usize,
    plain_bytes: usize,
    section_bytes: usize,
    encode: Duration,
    decode: Duration,
    readers: Vec<SectionReader>,
    open: Duration,
    opened: usize,
    columns: BTreeMap<String, (String, u64, u64)>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("which file?")?;
    let rows_max = match arguments.next() {
        Some(rows) => rows.parse()?,
        None => TAIL_ROWS_MAX,
    };
    let mut totals = Totals::default();
    let mut input = SectionInput::default();
    for line in BufReader::new(std::fs::File::open(file)?).lines() {
        let line = line?;
        totals.plain_bytes += line.len() + 1;
        push_record(&mut input, &line)?;
        if input.timestamps.len() == rows_max {
            measure(std::mem::take(&mut input), &mut totals)?;
        }
    }
    if !input.timestamps.is_empty() {
        measure(input, &mut totals)?;
    }
    report(&totals);
    for text in arguments {
        look_up(&totals.readers, &text)?;
    }
    Ok(())
}

/// A phrase or a substring, for strings.
struct Asked([Clue; 1]);

impl TextQuestion for Asked {
    fn clues(&self) -> &[Clue] {
        &self.0
    }

    fn passes(&self, _kind: Kind, text: &str) -> bool {
        match &self.0 {
            [Clue::Substring(needle)] => fold(text).contains(needle),
            [Clue::Phrase(phrase)] => words(text).windows(phrase.len()).any(|have| have == phrase),
            _ => false,
        }
    }
}

fn words(text: &str) -> Vec<String> {
    tokens(text)
        .map(|(start, end)| fold(&text[start..end]))
        .collect()
}

/// Counts the messages with a text in all sections, five times.
fn look_up(readers: &[SectionReader], text: &str) -> Result<(), ReadError> {
    let clue = match text.strip_prefix('*') {
        Some(text) => Clue::Substring(fold(text)),
        None => Clue::Phrase(words(text)),
    };
    let question: Arc<dyn TextQuestion> = Arc::new(Asked([clue]));
    let mut times = Vec::new();
    let (mut count, mut counted) = (0, 0);
    for _ in 0..5 {
        let begin = Instant::now();
        (count, counted) = (0, 0);
        for reader in readers {
            let Some(finding) = reader.find("message", &question)? else {
                continue;
            };
            if let Some(known) = finding.count() {
                count += known;
                counted += 1;
                continue;
            }
            for (block, extent) in reader.blocks()?.iter().enumerate() {
                let all = vec![u64::MAX; (extent.rows as usize).div_ceil(64)];
                let mut found = vec![0; all.len()];
                if finding.may_be_in(block) {
                    finding.add_rows(block, &all, &mut found)?;
                }
                count += found
                    .iter()
                    .map(|word| u64::from(word.count_ones()))
                    .sum::<u64>();
            }
        }
        times.push(begin.elapsed());
    }
    times.sort();
    println!(
        "{text}: {count} messages in {:.2} ms (least {:.2}), {counted} of {} sections without rows",
        times[2].as_secs_f64() * 1e3,
        times[0].as_secs_f64() * 1e3,
        readers.len()
    );
    Ok(())
}

fn push_record(input: &mut SectionInput, line: &str) -> Result<(), Box<dyn std::error::Error>> {
    let row = input.timestamps.len() as u32;
    let record: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line)?;
    let mut timestamp = 0;
    for (name, value) in &record {
        match value {
            serde_json::Value::String(text) if name == "timestamp" => {
                timestamp = parse_rfc3339(text).ok_or("unreadable timestamp")?.0;
            }
            value => push_value(&mut input.columns, row, name, value),
        }
    }
    input.timestamps.push(timestamp);
    input.positions.push(u64::from(row) + 1);
    input.columns.set_rows(row + 1);
    Ok(())
}

fn push_value(columns: &mut ColumnSet, row: u32, name: &str, value: &serde_json::Value) {
    use serde_json::Value;
    let (kind, text) = match value {
        Value::Null => return,
        Value::Object(fields) => {
            for (field, value) in fields {
                push_value(columns, row, &format!("{name}.{field}"), value);
            }
            return;
        }
        Value::Bool(value) => (Kind::Bool, value.to_string()),
        Value::Number(number) if number.is_f64() => (Kind::Float, number.to_string()),
        Value::Number(number) => (Kind::Integer, number.to_string()),
        Value::String(text) => (Kind::String, text.clone()),
        Value::Array(_) => (Kind::Json, value.to_string()),
    };
    columns.get_or_create(name).push(row, kind, &text);
}

fn measure(input: SectionInput, totals: &mut Totals) -> Result<(), Box<dyn std::error::Error>> {
    let rows = input.timestamps.len();
    let least = |numbers: &[u64]| numbers.iter().copied().min().unwrap_or_default();
    let extent = Extent {
        rows: rows as u32,
        time_min: Timestamp(input.timestamps.iter().copied().min().unwrap_or_default()),
        time_max: Timestamp(input.timestamps.iter().copied().max().unwrap_or_default()),
        position_min: Position(least(&input.positions)),
        position_max: Position(rows as u64),
    };
    let begin = Instant::now();
    let bytes = encode_section(input)?;
    totals.encode += begin.elapsed();
    totals.rows += rows;
    totals.section_bytes += bytes.len();

    let cache = Arc::new(BlockCache::default());
    let reader = SectionReader::open(extent, Arc::new(Bytes(bytes)), cache);
    let begin = Instant::now();
    let decoded = decode_all(&reader)?;
    totals.decode += begin.elapsed();
    if decoded.timestamps.len() != rows {
        return Err("rows are missing".into());
    }
    for (name, encoding, area_bytes, directory_bytes) in reader.layout()? {
        let have = totals.columns.entry(name.to_string()).or_default();
        *have = (
            format!("{encoding}"),
            have.1 + area_bytes,
            have.2 + directory_bytes,
        );
    }
    // One block of text with nothing decoded before but the directory, as a rare hit needs it.
    for block in (0..reader.blocks()?.len()).step_by(9) {
        let begin = Instant::now();
        reader.column(block, "message")?;
        totals.open += begin.elapsed();
        totals.opened += 1;
    }
    totals.readers.push(reader);
    Ok(())
}

fn report(totals: &Totals) {
    let each = |bytes: u64| bytes as f64 / totals.rows.max(1) as f64;
    println!("{:40} encoding  bytes a record  directory", "column");
    for (name, (encoding, area, directory)) in &totals.columns {
        println!(
            "{name:40} {encoding:>8} {:15.3} {:10.3}",
            each(*area),
            each(*directory)
        );
    }
    let speed = |time: Duration| totals.plain_bytes as f64 / 1e6 / time.as_secs_f64();
    println!(
        "{} records, {:.2} bytes a record on disk ({:.1} as NDJSON)",
        totals.rows,
        each(totals.section_bytes as u64),
        each(totals.plain_bytes as u64)
    );
    println!(
        "encode {:.0} MB/s of NDJSON ({:.2} us a record), decode {:.0} MB/s",
        speed(totals.encode),
        totals.encode.as_secs_f64() * 1e6 / totals.rows.max(1) as f64,
        speed(totals.decode)
    );
    println!(
        "a block of message is opened in {:.0} us",
        totals.open.as_secs_f64() * 1e6 / totals.opened.max(1) as f64
    );
}
