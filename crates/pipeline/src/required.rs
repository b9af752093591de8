//! Required fields: what a record must have to be taken, and what is filled in for it.
//!
//! - A strict stream rejects a record without timestamp, level, logger, correlation id or
//!   message, and names every field that is missing.
//! - A policy stream that is not strict fills them in: receive time, info, the source, a new id,
//!   the empty message.
//! - Any other stream needs a message or at least one field.
//!
//! What was filled in is listed in `metadata.filled`; outside policy streams that is the
//! timestamp alone.
use crate::{
    parse::alias::{keep_under, merge},
    rows::{Rows, Streams},
};
use taffrail_model::{
    batch::RejectKind,
    column::{Column, ColumnSet, Kind},
    field,
    stream::StreamDefinition,
};

/// Names of the required fields, in the order of their bits.
const REQUIRED: [&str; 5] = [
    field::TIMESTAMP,
    field::LEVEL,
    field::LOGGER,
    field::CORRELATION_ID,
    field::MESSAGE,
];
const TIMESTAMP: u8 = 1;
const LEVEL: u8 = 1 << 1;
const LOGGER: u8 = 1 << 2;
const CORRELATION_ID: u8 = 1 << 3;
const MESSAGE: u8 = 1 << 4;

/// Rejects rows that say nothing at all. The columns are as the sender filled them.
pub(crate) fn reject_empty(columns: &ColumnSet, level_is_missing: &[bool], rows: &mut Rows) {
    let count = columns.rows();
    let is_full = |name: &str| columns.get(name).is_some_and(|c| c.len() == count as usize);
    if is_full(field::MESSAGE) {
        return;
    }
    let mut says_something = vec![false; count as usize];
    for (name, column) in columns.iter() {
        for row in column.rows() {
            let is_own = &**name == field::LEVEL && level_is_missing[*row as usize];
            says_something[*row as usize] |= !is_own;
        }
    }
    for (row, says_something) in (0u32..).zip(says_something) {
        if !says_something {
            let detail = "record has neither a message nor any other field".to_owned();
            rows.reject(row, RejectKind::Empty, detail);
        }
    }
}

/// Fills in or rejects.
pub(crate) fn apply(
    columns: &mut ColumnSet,
    time_is_missing: &[bool],
    level_is_missing: &[bool],
    streams: &Streams<'_>,
    new_id: &dyn Fn() -> String,
    rows: &mut Rows,
) {
    let requires = |stream: &StreamDefinition| stream.is_policy || stream.is_strict;
    let mut filled: Vec<u8> = time_is_missing
        .iter()
        .map(|missing| u8::from(*missing))
        .collect();
    if streams.any(requires) {
        let missing = missing_fields(columns, time_is_missing, level_is_missing);
        for (row, missing) in (0u32..).zip(missing) {
            let stream = streams.of(row);
            if stream.is_strict && missing != 0 {
                rows.reject(
                    row,
                    RejectKind::MissingField,
                    missing_detail(missing, stream),
                );
            } else if stream.is_policy {
                filled[row as usize] = missing;
            }
        }
        fill(columns, &filled, streams, new_id);
    }
    note(columns, &filled);
}

fn missing_fields(
    columns: &ColumnSet,
    time_is_missing: &[bool],
    level_is_missing: &[bool],
) -> Vec<u8> {
    let mut missing: Vec<u8> = time_is_missing
        .iter()
        .zip(level_is_missing)
        .map(|(time, level)| {
            let time = if *time { TIMESTAMP } else { 0 };
            let level = if *level { LEVEL } else { 0 };
            time | level | LOGGER | CORRELATION_ID | MESSAGE
        })
        .collect();
    let found = [
        (field::LOGGER, LOGGER),
        (field::TRACE_ID, CORRELATION_ID),
        (field::CORRELATION_ID, CORRELATION_ID),
        (field::MESSAGE, MESSAGE),
    ];
    for (name, bit) in found {
        for row in columns.get(name).map_or(&[][..], Column::rows) {
            missing[*row as usize] &= !bit;
        }
    }
    missing
}

fn missing_detail(missing: u8, stream: &StreamDefinition) -> String {
    format!(
        "{} missing: stream {} requires {}",
        names_of(missing).join(", "),
        stream.name,
        REQUIRED.join(", ")
    )
}

fn names_of(bits: u8) -> Vec<&'static str> {
    REQUIRED
        .into_iter()
        .enumerate()
        .filter(|(place, _)| bits & (1 << place) != 0)
        .map(|(_, name)| name)
        .collect()
}

fn fill(
    columns: &mut ColumnSet,
    filled: &[u8],
    streams: &Streams<'_>,
    new_id: &dyn Fn() -> String,
) {
    let (mut loggers, mut ids, mut messages) =
        (Column::default(), Column::default(), Column::default());
    let sources = columns.get(field::SOURCE);
    for (row, bits) in (0u32..).zip(filled) {
        if bits & LOGGER != 0 {
            let source = sources.and_then(|sources| sources.get(row));
            let name = source.map_or(&*streams.of(row).name, |source| source.text);
            loggers.push(row, Kind::String, name);
        }
        if bits & CORRELATION_ID != 0 {
            ids.push(row, Kind::String, &new_id());
        }
        if bits & MESSAGE != 0 {
            messages.push(row, Kind::String, "");
        }
    }
    for (name, column) in [
        (field::LOGGER, loggers),
        (field::TRACE_ID, ids),
        (field::MESSAGE, messages),
    ] {
        if !column.is_empty() {
            let existing = columns.remove(name).unwrap_or_default();
            columns.insert(name, merge(existing, column).0);
        }
    }
}

/// Lists what was filled in, beside what a shipper has listed already.
fn note(columns: &mut ColumnSet, filled: &[u8]) {
    if filled.iter().all(|bits| *bits == 0) {
        return;
    }
    let sent = columns.remove(field::FILLED).unwrap_or_default();
    let texts: Vec<String> = (0..1u8 << REQUIRED.len())
        .map(|bits| array(&names_of(bits)))
        .collect();
    let (mut notes, mut strangers) = (Column::default(), Column::default());
    let mut sent = sent.iter().peekable();
    for (row, bits) in (0u32..).zip(filled) {
        let value = sent
            .next_if(|(have, _)| *have == row)
            .map(|(_, value)| value);
        let Some(value) = value else {
            if *bits != 0 {
                notes.push(row, Kind::Json, &texts[*bits as usize]);
            }
            continue;
        };
        match serde_json::from_str::<Vec<String>>(value.text) {
            Ok(names) if value.kind == Kind::Json => {
                let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
                for name in names_of(*bits) {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                notes.push(row, Kind::Json, &array(&names));
            }
            _ if *bits == 0 => notes.push(row, value.kind, value.text),
            _ => {
                notes.push(row, Kind::Json, &texts[*bits as usize]);
                strangers.push(row, value.kind, value.text);
            }
        }
    }
    columns.insert(field::FILLED, notes);
    keep_under(columns, "labels.metadata.filled", strangers);
}

fn array(names: &[&str]) -> String {
    serde_json::Value::from(names.to_vec()).to_string()
}
