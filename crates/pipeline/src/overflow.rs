//! The limit of attribute columns of a stream and day: attributes beyond it share one column,
//! `_overflow`, as one JSON object for each record, so that a sender who makes up field names
//! cannot make up columns.
//!
//! Invariants
//! - Every value keeps its JSON text; nothing is dropped.
//! - Fields of the record itself (`message`, `trace_id`, …) never overflow.
//!
//! The names of each stream and day are remembered as hashes, for at most
//! [`PARTITIONS_REMEMBERED_MAX`] of them; a stream and day that is forgotten (after a restart, or
//! when many others came since) begins to count anew, so the limit bounds columns, it does not
//! ration them exactly.
use crate::{clean::BatchCounts, json};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
};
use taffrail_model::{
    column::{Column, ColumnSet, FieldName, Kind, Value},
    field, limits,
    position::PartitionKey,
};

/// Streams and days whose names are remembered: 1,000 names of 8 bytes each make 8 KiB, so all
/// of them stay below 16 MiB.
const PARTITIONS_REMEMBERED_MAX: usize = 1_024;

/// Columns that count as the record's own beside those of [`field::CANONICAL`].
const OWN: &[&str] = &[
    field::CORRELATION_ID,
    field::SEVERITY_TEXT,
    field::TIMESTAMP_ORIGINAL,
    field::FILLED,
    field::CREATED_AT,
    field::OVERFLOW,
];

/// Which names each stream and day has.
#[derive(Debug, Default)]
pub(crate) struct FieldRegistry {
    state: Mutex<State>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct State {
    partitions: HashMap<PartitionKey, Names>,
    uses: u64,
}

#[derive(Debug, Default)]
struct Names {
    hashes: HashSet<u64>,
    last_use: u64,
}

impl FieldRegistry {
    /// Moves the attributes that are beyond the limit to `_overflow`.
    pub(crate) fn limit(
        &self,
        partition: PartitionKey,
        columns: &mut ColumnSet,
        counts: &mut BatchCounts,
    ) {
        let beyond = self.names_beyond(partition, columns);
        if beyond.is_empty() {
            return;
        }
        let mut moved: Vec<(FieldName, Column)> = Vec::new();
        for name in beyond {
            if let Some(column) = columns.remove(&name) {
                counts.values_overflowed += column.len() as u64;
                moved.push((name, column));
            }
        }
        columns.insert(field::OVERFLOW, objects(&moved));
    }

    fn names_beyond(&self, partition: PartitionKey, columns: &ColumnSet) -> Vec<FieldName> {
        let mut state = self.state.lock();
        state.uses += 1;
        let now = state.uses;
        if !state.partitions.contains_key(&partition)
            && state.partitions.len() >= PARTITIONS_REMEMBERED_MAX
        {
            let oldest = state
                .partitions
                .iter()
                .min_by_key(|(_, names)| names.last_use)
                .map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                state.partitions.remove(&oldest);
            }
        }
        let names = state.partitions.entry(partition).or_default();
        names.last_use = now;
        let mut beyond = Vec::new();
        for (name, column) in columns.iter() {
            if column.is_empty() || is_own(name) {
                continue;
            }
            let hash = self.hasher.hash_one(name);
            if names.hashes.contains(&hash) {
                continue;
            }
            if names.hashes.len() < limits::FIELDS_PER_STREAM_DAY_MAX {
                names.hashes.insert(hash);
            } else {
                beyond.push(name.clone());
            }
        }
        beyond
    }
}

fn is_own(name: &str) -> bool {
    OWN.contains(&name) || field::CANONICAL.iter().any(|field| field.name == name)
}

/// One object for each row that has a value in one of the columns.
fn objects(moved: &[(FieldName, Column)]) -> Column {
    let mut values: Vec<(u32, usize, Value<'_>)> = moved
        .iter()
        .enumerate()
        .flat_map(|(place, (_, column))| column.iter().map(move |(row, value)| (row, place, value)))
        .collect();
    values.sort_by_key(|(row, place, _)| (*row, *place));
    let mut out = Column::default();
    for row_values in values.chunk_by(|a, b| a.0 == b.0) {
        let row = row_values[0].0;
        out.push_with(row, Kind::Json, |text| {
            for (index, (_, place, value)) in row_values.iter().enumerate() {
                text.push(if index == 0 { '{' } else { ',' });
                text.push_str(&json::escape(&moved[*place].0));
                text.push(':');
                match value.kind {
                    Kind::String => text.push_str(&json::escape(value.text)),
                    _ => text.push_str(value.text),
                }
            }
            text.push('}');
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_model::{stream::StreamNumber, tenant::TenantNumber, time::Day};

    fn partition(day: u16) -> PartitionKey {
        PartitionKey {
            tenant: TenantNumber(1),
            stream: StreamNumber(1),
            day: Day(day),
        }
    }

    fn wide(first: usize, count: usize) -> ColumnSet {
        let mut columns = ColumnSet::default();
        columns.set_rows(2);
        columns
            .get_or_create("message")
            .push(0, Kind::String, "hello");
        for number in first..first + count {
            columns
                .get_or_create(&format!("f{number}"))
                .push(1, Kind::Float, "1.50");
        }
        columns
    }

    #[test]
    fn at_the_limit_nothing_moves_and_past_it_values_are_kept_exactly() {
        let registry = FieldRegistry::default();
        let mut counts = BatchCounts::default();
        let limit = limits::FIELDS_PER_STREAM_DAY_MAX;
        let mut columns = wide(0, limit);
        registry.limit(partition(1), &mut columns, &mut counts);
        assert_eq!(columns, wide(0, limit));

        let mut columns = wide(limit - 1, 3);
        columns
            .get_or_create(&format!("f{limit}"))
            .push(1, Kind::String, "a \"b\"");
        registry.limit(partition(1), &mut columns, &mut counts);
        assert_eq!(
            columns.get("_overflow").unwrap().get(1).unwrap().text,
            r#"{"f1000":"a \"b\"","f1001":1.50}"#
        );
        assert!(columns.get("f999").is_some() && columns.get("message").is_some());
        assert_eq!(counts.values_overflowed, 2);

        let mut other_day = wide(limit, 5);
        registry.limit(partition(2), &mut other_day, &mut counts);
        assert_eq!(other_day, wide(limit, 5));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let registry = FieldRegistry::default();
        let mut counts = BatchCounts::default();
        for day in 0..PARTITIONS_REMEMBERED_MAX as u16 + 100 {
            registry.limit(partition(day), &mut wide(0, 2), &mut counts);
        }
        assert_eq!(
            registry.state.lock().partitions.len(),
            PARTITIONS_REMEMBERED_MAX
        );
    }
}
