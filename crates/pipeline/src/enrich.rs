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

/// A column past 4 GiB of text cannot be; such a batch (many millions of tiny records) goes
/// without the default rather than not at all.
fn constant(rows: u32, kind: Kind, text: &str) -> Column {
    let count = rows as usize;
    let Some(bytes) = u32::try_from(text.len())
        .ok()
        .filter(|bytes| bytes.checked_mul(rows).is_some())
    else {
        return Column::default();
    };
    let ends = (1..=rows).map(|row| row * bytes).collect();
    Column::from_parts(
        (0..rows).collect(),
        vec![kind; count],
        ends,
        text.repeat(count),
    )
    // The parts fit by construction.
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_fill_gaps_only() {
        let mut columns = ColumnSet::default();
        columns.get_or_create("source").push(1, Kind::String, "own");
        columns.set_rows(3);
        default_value(&mut columns, "source", Kind::String, "given");
        let texts: Vec<_> = columns
            .get("source")
            .unwrap()
            .iter()
            .map(|(row, value)| (row, value.text))
            .collect();
        assert_eq!(texts, [(0, "given"), (1, "own"), (2, "given")]);
    }

    #[test]
    fn a_column_that_cannot_be_is_left_out() {
        assert!(constant(u32::MAX, Kind::String, "xx").is_empty());
    }
}
