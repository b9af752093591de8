//! Enrichment: what the source knows about itself, where a record does not say it.
//!
//! Host name and process id are the source's: only a shipper has them. The server adds nothing
//! but its receive time, which is a column so that `created_at` can be answered; it is constant
//! in a batch, so storing it costs next to nothing.
use crate::parse::alias::merge;
use taffrail_model::{
    column::{Column, ColumnSet, Kind},
    field,
    time::Timestamp,
};

/// Puts `text` into every row of `name` that has no value.
pub(crate) fn default_value(columns: &mut ColumnSet, name: &str, kind: Kind, text: &str) {
    let rows = columns.rows();
    let existing = columns.remove(name).unwrap_or_default();
    if existing.len() == rows as usize {
        columns.insert(name, existing);
        return;
    }
    let column = merge(existing, constant(rows, kind, text)).0;
    columns.insert(name, column);
}

/// Adds the receive time.
pub(crate) fn receive_time(columns: &mut ColumnSet, received: Timestamp) {
    let column = constant(columns.rows(), Kind::String, &received.to_rfc3339());
    columns.insert(field::CREATED_AT, column);
}

fn constant(rows: u32, kind: Kind, text: &str) -> Column {
    let mut column = Column::default();
    for row in 0..rows {
        column.push(row, kind, text);
    }
    column
}
