//! Cuts a batch into parts of one stream and UTC day, without the rows that were rejected.
//!
//! A batch of one stream and day, all of it taken, is moved; any other is distributed in one pass
//! over each column, however many parts there are. Records of streams and days past
//! [`PARTITIONS_PER_BATCH_MAX`], in order of first appearance, are rejected.
use crate::rows::{Rows, Streams};
use std::collections::BTreeMap;
use taffrail_model::{
    batch::RejectKind,
    column::{Column, ColumnSet},
    limits::PARTITIONS_PER_BATCH_MAX,
    stream::StreamNumber,
    time::{Day, NS_PER_DAY, Timestamp},
};

/// Rows of one stream and day.
pub(crate) struct Part {
    pub(crate) stream: StreamNumber,
    pub(crate) day: Day,
    pub(crate) timestamps: Vec<i64>,
    pub(crate) columns: ColumnSet,
}

/// The parts, by stream and day.
pub(crate) fn split(
    columns: ColumnSet,
    timestamps: Vec<i64>,
    streams: &Streams<'_>,
    rows: &mut Rows,
) -> Vec<Part> {
    let Some(first) = timestamps.first() else {
        return Vec::new();
    };
    let day_number = first.div_euclid(NS_PER_DAY);
    let day_range = day_number * NS_PER_DAY..(day_number + 1) * NS_PER_DAY;
    let is_one_part = rows.are_all_in()
        && streams.routed.is_none()
        && timestamps.iter().all(|time| day_range.contains(time));
    if is_one_part && let Some(day) = Timestamp(*first).day() {
        return vec![Part {
            stream: streams.sent_to.number,
            day,
            timestamps,
            columns,
        }];
    }
    distribute(&columns, &timestamps, streams, rows)
}

fn distribute(
    columns: &ColumnSet,
    timestamps: &[i64],
    streams: &Streams<'_>,
    rows: &mut Rows,
) -> Vec<Part> {
    let mut numbers: BTreeMap<(StreamNumber, Day), usize> = BTreeMap::new();
    let mut parts: Vec<Part> = Vec::new();
    // For each row its part and its row there.
    let mut places: Vec<Option<(usize, u32)>> = Vec::with_capacity(timestamps.len());
    for (row, time) in (0u32..).zip(timestamps) {
        // A row that is in has a time inside the days that exist.
        let day = Timestamp(*time).day().filter(|_| rows.is_in(row));
        let Some(day) = day else {
            places.push(None);
            continue;
        };
        let stream = streams.of(row).number;
        if numbers.len() >= PARTITIONS_PER_BATCH_MAX && !numbers.contains_key(&(stream, day)) {
            let detail = format!(
                "the batch has more than {PARTITIONS_PER_BATCH_MAX} streams and days: send {day} \
                 and others in a batch of their own"
            );
            rows.reject(row, RejectKind::TooManyDays, detail);
            places.push(None);
            continue;
        }
        let part = *numbers.entry((stream, day)).or_insert_with(|| {
            parts.push(Part {
                stream,
                day,
                timestamps: Vec::new(),
                columns: ColumnSet::default(),
            });
            parts.len() - 1
        });
        places.push(Some((part, parts[part].timestamps.len() as u32)));
        parts[part].timestamps.push(*time);
    }
    for (name, column) in columns.iter() {
        let mut targets = vec![Column::default(); parts.len()];
        for (row, value) in column.iter() {
            if let Some((part, new_row)) = places[row as usize] {
                targets[part].push(new_row, value.kind, value.text);
            }
        }
        for (part, column) in parts.iter_mut().zip(targets) {
            if !column.is_empty() {
                part.columns.insert(name, column);
            }
        }
    }
    for part in &mut parts {
        part.columns.set_rows(part.timestamps.len() as u32);
    }
    parts.sort_by_key(|part| (part.stream, part.day));
    parts
}
