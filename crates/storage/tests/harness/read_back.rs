//! Reads every row of a snapshot, and says what could not be read.
use super::serials::hidden;
use std::collections::BTreeMap;
use taffrail_model::position::PartitionKey;
use taffrail_storage::{
    read::{ReadError, RowSource, token_hash},
    snapshot::{Fault, Snapshot},
};
use taffrail_testkit::{PlainRecord, record::json_text};

/// A row as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRow {
    /// Its partition.
    pub key: PartitionKey,
    /// Its position.
    pub position: u64,
    /// Its fields.
    pub record: PlainRecord,
}

/// Everything that a snapshot shows.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Rows that were read whole.
    pub rows: Vec<FoundRow>,
    /// What reading met.
    pub read_errors: Vec<ReadError>,
    /// What the snapshot itself says to be missing.
    pub faults: Vec<Fault>,
    /// Promises that the reader broke, such as statistics that do not fit the values.
    pub broken: Vec<String>,
}

/// Reads everything.
pub fn read_back(snapshot: &Snapshot) -> Found {
    let mut found = Found {
        faults: snapshot.faults().to_vec(),
        ..Found::default()
    };
    for partition in snapshot.partitions() {
        for source in partition.sources() {
            read_source(snapshot, partition.key, source.as_ref(), &mut found);
        }
    }
    for row in &found.rows {
        if row.position > snapshot.watermark().0 {
            found.broken.push(format!(
                "position {} is past the watermark {}",
                row.position,
                snapshot.watermark().0
            ));
        }
    }
    found.rows.sort_by_key(|row| row.position);
    found
}

fn read_source(snapshot: &Snapshot, key: PartitionKey, source: &dyn RowSource, found: &mut Found) {
    let blocks = match source.blocks() {
        Ok(blocks) => blocks.into_owned(),
        Err(error) => return found.read_errors.push(error),
    };
    let rows: u64 = blocks.iter().map(|block| u64::from(block.rows)).sum();
    if rows != u64::from(source.extent().rows) {
        found.broken.push(format!(
            "{}: {rows} rows in blocks, {} in all",
            source.name(),
            source.extent().rows
        ));
    }
    for (block, extent) in blocks.iter().enumerate() {
        match read_block(key, source, block) {
            Ok((rows, broken)) => {
                if rows.len() != extent.rows as usize {
                    found
                        .broken
                        .push(format!("{}: block {block} has other rows", source.name()));
                }
                match hidden(snapshot, &key, source, block) {
                    Ok(hidden) => {
                        let rows = rows.into_iter().enumerate();
                        let shown = rows.filter(|(row, _)| hidden[row / 64] >> (row % 64) & 1 == 0);
                        found.rows.extend(shown.map(|(_, row)| row));
                    }
                    Err(error) => found.read_errors.push(error),
                }
                found.broken.extend(broken);
            }
            Err(error) => found.read_errors.push(error),
        }
    }
}

fn read_block(
    key: PartitionKey,
    source: &dyn RowSource,
    block: usize,
) -> Result<(Vec<FoundRow>, Vec<String>), ReadError> {
    let mut broken = Vec::new();
    let timestamps = source.timestamps(block)?;
    let positions = source.positions(block)?;
    let mut fields: BTreeMap<u32, Vec<(String, String)>> = BTreeMap::new();
    for name in source.column_names()? {
        let stats = source.stats(block, &name)?;
        let Some(column) = source.column(block, &name)? else {
            continue;
        };
        if stats.is_some_and(|stats| stats.values as usize != column.len()) {
            broken.push(format!("{}: statistics of {name}", source.name()));
        }
        for (row, value) in column.iter() {
            for word in plain_words(value.text) {
                let hash = token_hash(&word.to_ascii_lowercase());
                if !source.may_contain(block, &name, hash)? {
                    broken.push(format!("{}: filter of {name} denies {word}", source.name()));
                }
            }
            fields
                .entry(row)
                .or_default()
                .push((name.to_string(), json_text(value)));
        }
    }
    if fields.keys().any(|row| *row as usize >= timestamps.len()) {
        broken.push(format!("{}: a value past the last row", source.name()));
    }
    let rows = timestamps
        .iter()
        .zip(positions.iter())
        .zip(0u32..)
        .map(|((timestamp_ns, position), row)| {
            let mut fields = fields.remove(&row).unwrap_or_default();
            fields.sort();
            FoundRow {
                key,
                position: *position,
                record: PlainRecord {
                    timestamp_ns: *timestamp_ns,
                    fields,
                },
            }
        })
        .collect();
    Ok((rows, broken))
}

/// Words of ASCII letters and digits that any token rule gives: nothing but ASCII is next to them.
fn plain_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').flat_map(|part| {
        let words = part.split(|c: char| !c.is_ascii_alphanumeric());
        words.filter(move |word| part.is_ascii() && !word.is_empty())
    })
}
