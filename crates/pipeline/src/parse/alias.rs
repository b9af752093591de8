//! Aliases of field names become canonical names, column by column.
//!
//! Invariants
//! - The canonical name wins over its aliases, an earlier alias over a later one, row by row;
//!   what loses stays an attribute under the name that it came with.
//! - Nothing is lost: names that belong to the product (`tenant`, `stream`, `id`, …) go on as
//!   `labels.*`, and where that is taken, as `labels.body.*`.
//!
//! A column whose rows meet no competitor is moved, not copied: a batch of canonical names costs
//! one look-up for each name of the table.
use std::borrow::Cow;
use taffrail_model::{
    column::{Column, ColumnSet, Kind},
    field,
};

/// Names of OpenTelemetry's GenAI conventions that were replaced, with what replaced them.
const OLD_GEN_AI_NAMES: &[(&str, &str)] = &[
    ("gen_ai.system", "gen_ai.provider.name"),
    ("gen_ai.usage.prompt_tokens", "gen_ai.usage.input_tokens"),
    (
        "gen_ai.usage.completion_tokens",
        "gen_ai.usage.output_tokens",
    ),
    ("gen_ai.openai.request.seed", "gen_ai.request.seed"),
];

/// Names that a record may not set, with the attribute that keeps what it said.
const RESERVED: &[(&str, &str)] = &[
    (field::TENANT, "labels.tenant"),
    (field::STREAM, "labels.stream"),
    (field::ID, "labels.id"),
    ("log_id", "labels.id"),
    ("_id", "labels.id"),
    (field::OVERFLOW, "labels._overflow"),
];

/// Renames every column of `columns` to its canonical name. `created_at` is the receive time
/// where `is_server`, so a record's own goes to `labels.created_at`.
pub(crate) fn resolve(columns: &mut ColumnSet, is_server: bool) {
    for (name, label) in RESERVED {
        relabel(columns, name, label);
    }
    if is_server {
        relabel(columns, field::CREATED_AT, "labels.created_at");
    }
    for (old, new) in OLD_GEN_AI_NAMES {
        merge_alias(columns, new, old);
    }
    for canonical in field::CANONICAL {
        for alias in canonical.aliases {
            merge_alias(columns, canonical.name, alias);
        }
    }
    for name in [field::TRACE_ID, field::CORRELATION_ID, field::SPAN_ID] {
        lower_case_hex(columns, name);
    }
    drop_equal_correlation_ids(columns);
}

/// Keeps `column` under `name`; rows that have a value there go to `labels.body.<name>`.
pub(crate) fn keep_under(columns: &mut ColumnSet, name: &str, column: Column) {
    let mut name = name.to_owned();
    let mut column = column;
    while !column.is_empty() {
        let existing = columns.remove(&name).unwrap_or_default();
        let (merged, losers) = merge(existing, column);
        columns.insert(&name, merged);
        name = format!(
            "labels.body.{}",
            name.strip_prefix("labels.").unwrap_or(&name)
        );
        column = losers;
    }
}

fn relabel(columns: &mut ColumnSet, name: &str, label: &str) {
    if columns.get(name).is_some()
        && let Some(column) = columns.remove(name)
    {
        keep_under(columns, label, column);
    }
}

fn merge_alias(columns: &mut ColumnSet, canonical: &str, alias: &str) {
    if columns.get(alias).is_none_or(Column::is_empty) {
        return;
    }
    let Some(column) = columns.remove(alias) else {
        return;
    };
    let (merged, losers) = match columns.remove(canonical) {
        Some(existing) => merge(existing, column),
        None => (column, Column::default()),
    };
    columns.insert(canonical, merged);
    if !losers.is_empty() {
        columns.insert(alias, losers);
    }
}

/// `winner` with the rows of `other` that it lacks, and the rest of `other`.
pub(crate) fn merge(winner: Column, other: Column) -> (Column, Column) {
    if winner.is_empty() {
        return (other, Column::default());
    }
    if other.is_empty() {
        return (winner, Column::default());
    }
    let (mut merged, mut losers) = (Column::default(), Column::default());
    let (mut left, mut right) = (winner.iter().peekable(), other.iter().peekable());
    loop {
        match (left.peek(), right.peek()) {
            (Some((row, value)), Some((other_row, _))) if row <= other_row => {
                merged.push(*row, value.kind, value.text);
                if row == other_row
                    && let Some((row, value)) = right.next()
                {
                    losers.push(row, value.kind, value.text);
                }
                left.next();
            }
            (_, Some((row, value))) => {
                merged.push(*row, value.kind, value.text);
                right.next();
            }
            (Some((row, value)), None) => {
                merged.push(*row, value.kind, value.text);
                left.next();
            }
            (None, None) => return (merged, losers),
        }
    }
}

/// Lower-cases the ids of W3C Trace Context in a column ([`field::stored_id`]).
fn lower_case_hex(columns: &mut ColumnSet, name: &str) {
    let Some(column) = columns.get(name) else {
        return;
    };
    let is_upper = |text: &str| matches!(field::stored_id(name, text), Cow::Owned(_));
    let has_upper = column.text().bytes().any(|b| b.is_ascii_uppercase());
    if !has_upper || !column.iter().any(|(_, value)| is_upper(value.text)) {
        return;
    }
    let mut out = Column::default();
    for (row, value) in column.iter() {
        match value.kind {
            Kind::String => out.push(row, value.kind, &field::stored_id(name, value.text)),
            kind => out.push(row, kind, value.text),
        }
    }
    columns.insert(name, out);
}

/// A correlation id that says the same as the trace id is one id, not two.
fn drop_equal_correlation_ids(columns: &mut ColumnSet) {
    let Some(correlation) = columns.remove(field::CORRELATION_ID) else {
        return;
    };
    let trace = columns.get(field::TRACE_ID);
    let mut kept = Column::default();
    for (row, value) in correlation.iter() {
        if trace.and_then(|trace| trace.get(row)) != Some(value) {
            kept.push(row, value.kind, value.text);
        }
    }
    if !kept.is_empty() {
        columns.insert(field::CORRELATION_ID, kept);
    }
}
