//! Measures prose columns on a file of NDJSON: size with the share of the index, processor time of
//! encoding against `zstd -3` of the same file, and what finding text costs.
//!
//! `cargo run --release -p taffrail-storage --example prose_find -- FILE [ROWS_PER_SECTION]`
use std::{
    collections::BTreeMap,
    error::Error,
    io::{BufRead, BufReader},
    sync::Arc,
};
use taffrail_model::{
    column::{ColumnSet, Kind},
    position::Position,
    time::{Timestamp, parse_rfc3339},
    token::{fold, tokens},
};
use taffrail_storage::{
    find::{Clue, TextQuestion},
    read::{Extent, ReadAt, ReadError, RowSource},
    segment::{BLOCK_CACHE_BYTES, BlockCache, SectionInput, SectionReader, encode_section},
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

struct Question {
    clues: Vec<Clue>,
    words: Vec<String>,
    substring: Option<String>,
}

impl Question {
    fn phrase(words: &str) -> Arc<dyn TextQuestion> {
        let words: Vec<String> = words.split(' ').map(fold).collect();
        Arc::new(Question {
            clues: vec![Clue::Phrase(words.clone())],
            words,
            substring: None,
        })
    }

    fn substring(text: &str) -> Arc<dyn TextQuestion> {
        Arc::new(Question {
            clues: vec![Clue::Substring(fold(text))],
            words: Vec::new(),
            substring: Some(fold(text)),
        })
    }
}

impl TextQuestion for Question {
    fn clues(&self) -> &[Clue] {
        &self.clues
    }

    fn passes(&self, _: Kind, text: &str) -> bool {
        let folded = fold(text);
        if let Some(text) = &self.substring {
            return folded.contains(text);
        }
        let Some(first) = self.words.first() else {
            return false;
        };
        // As the executor does it: looks closer only where the first word is.
        let mut hits = memchr::memmem::find_iter(folded.as_bytes(), first.as_bytes());
        hits.any(|at| {
            let mut found = tokens(&folded[at..]);
            let before = folded[..at].chars().next_back();
            !before.is_some_and(char::is_alphanumeric)
                && self.words.iter().all(|word| {
                    found
                        .next()
                        .is_some_and(|(start, end)| folded[at + start..at + end] == *word)
                })
        })
    }
}

/// Seconds that this thread was on a processor.
fn processor_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
    ns.unwrap_or_default() / 1e9
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("which file?")?;
    let rows_max = match arguments.next() {
        Some(rows) => rows.parse()?,
        None => 40_000,
    };
    let raw = std::fs::read(&file)?;
    let begin = processor_s();
    let reference = zstd::stream::encode_all(&raw[..], 3)?.len();
    let reference_s = processor_s() - begin;
    drop(raw);

    let cache = Arc::new(BlockCache::new(BLOCK_CACHE_BYTES));
    let mut readers = Vec::new();
    let (mut encode_s, mut bytes, mut rows) = (0.0, 0, 0);
    let mut input = SectionInput::default();
    let mut finish = |input: SectionInput| -> Result<(), Box<dyn Error>> {
        let extent = extent(&input);
        let begin = processor_s();
        let section = encode_section(input)?;
        encode_s += processor_s() - begin;
        bytes += section.len();
        rows += extent.rows as usize;
        let source = Arc::new(Bytes(section));
        readers.push(SectionReader::open(extent, source, cache.clone()));
        Ok(())
    };
    for line in BufReader::new(std::fs::File::open(&file)?).lines() {
        push_record(&mut input, &line?)?;
        if input.timestamps.len() == rows_max {
            finish(std::mem::take(&mut input))?;
        }
    }
    if !input.timestamps.is_empty() {
        finish(input)?;
    }
    println!(
        "{rows} records in {} sections: {bytes} bytes = {:.3} x zstd -3; encoding {encode_s:.2} s \
         = {:.2} x zstd -3 ({reference_s:.2} s)",
        readers.len(),
        bytes as f64 / reference as f64,
        encode_s / reference_s,
    );
    report_columns(&readers)?;
    measure_searches(&readers)?;
    measure_latest(&readers)
}

fn extent(input: &SectionInput) -> Extent {
    let times = || input.timestamps.iter().copied();
    Extent {
        rows: input.timestamps.len() as u32,
        time_min: Timestamp(times().min().unwrap_or_default()),
        time_max: Timestamp(times().max().unwrap_or_default()),
        position_min: Position(1),
        position_max: Position(input.timestamps.len() as u64),
    }
}

fn push_record(input: &mut SectionInput, line: &str) -> Result<(), Box<dyn Error>> {
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

fn report_columns(readers: &[SectionReader]) -> Result<(), ReadError> {
    let mut columns: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    let mut others = 0;
    for reader in readers {
        for (name, encoding, area, directory) in reader.layout()? {
            if encoding != 9 {
                others += area + directory;
                continue;
            }
            let index = reader.index_bytes(&name)?;
            let have = columns.entry(name.to_string()).or_default();
            *have = (have.0 + area - index, have.1 + index, have.2 + directory);
        }
    }
    for (name, (frames, index, directory)) in columns {
        println!(
            "{name}: frames {frames}, index {index} ({:.1}% of them), directory {directory}",
            (index + directory) as f64 * 100.0 / frames as f64
        );
    }
    println!("all other columns: {others}");
    Ok(())
}

fn measure_searches(readers: &[SectionReader]) -> Result<(), Box<dyn Error>> {
    for (column, what, question) in [
        ("message", "a word", Question::phrase("zstd")),
        (
            "message",
            "a word that is not there",
            Question::phrase("quokkaflux"),
        ),
        ("message", "a common word", Question::phrase("the")),
        (
            "message",
            "a rare pair",
            Question::phrase("compression level"),
        ),
        ("message", "two common words", Question::phrase("of the")),
        (
            "message",
            "a common and another word",
            Question::phrase("the same"),
        ),
        (
            "message",
            "part of a word",
            Question::substring("ompressio"),
        ),
        (
            "message",
            "two letters of a word",
            Question::substring("zs"),
        ),
        (
            "message",
            "across words",
            Question::substring("ompression lev"),
        ),
        (
            "error.stack",
            "tools/session.py",
            Question::phrase("tools session py"),
        ),
    ] {
        let mut times = Vec::new();
        let mut told = 0;
        let mut rows = 0;
        for _ in 0..5 {
            let begin = processor_s();
            (told, rows) = (0, 0);
            for reader in readers {
                let (by_count, by_rows) = count(reader, column, &question, false)?;
                told += by_count;
                rows += by_rows;
            }
            times.push((processor_s() - begin) * 1e3);
        }
        let first = times[0];
        times.sort_by(f64::total_cmp);
        let begin = processor_s();
        let mut all = 0;
        for reader in readers {
            all += count(reader, column, &question, true)?.1;
        }
        let all_ms = (processor_s() - begin) * 1e3;
        println!(
            "{what}: {all} rows, {told} told by the index, {rows} looked at; first {first:.2} ms, then \
             {:.2} ms, all rows {all_ms:.2} ms (processor time)",
            times[2]
        );
    }
    Ok(())
}

/// Counts as the executor does: by the index if it tells, else by rows.
fn count(
    reader: &SectionReader,
    column: &str,
    question: &Arc<dyn TextQuestion>,
    is_by_rows: bool,
) -> Result<(u64, u64), ReadError> {
    let Some(finding) = reader.find(column, question)? else {
        return Ok((0, 0));
    };
    if let Some(count) = finding.count().filter(|_| !is_by_rows) {
        return Ok((count, 0));
    }
    let mut rows = 0;
    for block in 0..reader.blocks()?.len() {
        if finding.may_be_in(block) {
            let mut out = [0; 16];
            finding.add_rows(block, &[u64::MAX; 16], &mut out)?;
            rows += out
                .iter()
                .map(|word| u64::from(word.count_ones()))
                .sum::<u64>();
        }
    }
    Ok((0, rows))
}

/// The last fifty values of the last section.
fn measure_latest(readers: &[SectionReader]) -> Result<(), Box<dyn Error>> {
    let reader = readers.last().ok_or("no section")?;
    let blocks = reader.blocks()?;
    let rows = blocks.last().map_or(0, |block| block.rows);
    let wanted: Vec<u32> = (rows.saturating_sub(50)..rows).collect();
    for round in 0..2 {
        let begin = processor_s();
        let column = reader.values_at(blocks.len() - 1, "message", &wanted)?;
        println!(
            "the last {} messages, round {round}: {:.2} ms",
            column.map_or(0, |column| column.len()),
            (processor_s() - begin) * 1e3
        );
    }
    Ok(())
}
