//! Enrichment: what the source knows about itself, where a record does not say it.
//!
//! Host name and process id are the source's: only a shipper has them. The server adds nothing
//! but its receive time, which is a column so that `created_at` can be answered; it is constant
//! in a batch, so storing it costs next to nothing.
use crate::parse::alias::{keep_under, merge};
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

/// A field that the source decides, whatever a record says of it: whose it is, which process said
/// it. What captured output says of itself must not place it elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// Name of the field.
    pub name: &'a str,
    /// What its value is.
    pub kind: Kind,
    /// The value.
    pub text: &'a str,
}

/// Puts the stamp on every row; what rows said instead is kept under `labels.`.
pub(crate) fn stamp(columns: &mut ColumnSet, stamp: &Stamp<'_>) {
    let sent = columns.remove(stamp.name).unwrap_or_default();
    columns.insert(stamp.name, constant(columns.rows(), stamp.kind, stamp.text));
    let mut displaced = Column::default();
    for (row, value) in sent.iter().filter(|(_, value)| value.text != stamp.text) {
        displaced.push(row, value.kind, value.text);
    }
    match stamp.name.starts_with("labels.") {
        true => keep_under(columns, stamp.name, displaced),
        false => keep_under(columns, &format!("labels.{}", stamp.name), displaced),
    }
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
    fn a_stamp_is_on_every_row_and_what_was_said_is_kept() {
        let mut columns = ColumnSet::default();
        let sent = columns.get_or_create("instance_id");
        sent.push(0, Kind::String, "own");
        sent.push(2, Kind::Integer, "7");
        columns
            .get_or_create("labels.run_id")
            .push(1, Kind::String, "x");
        columns.set_rows(3);
        for (name, text) in [("instance_id", "own"), ("labels.run_id", "r")] {
            let kind = Kind::String;
            stamp(&mut columns, &Stamp { name, kind, text });
        }
        let texts = |name: &str| -> Vec<_> {
            let column = columns.get(name).unwrap();
            let values = column.iter();
            values.map(|(row, v)| (row, v.text.to_owned())).collect()
        };
        let all = |text: &str| [0, 1, 2].map(|row| (row, text.to_owned()));
        assert_eq!(texts("instance_id"), all("own"));
        assert_eq!(texts("labels.instance_id"), [(2, "7".to_owned())]);
        assert_eq!(texts("labels.run_id"), all("r"));
        assert_eq!(texts("labels.body.run_id"), [(1, "x".to_owned())]);
    }

    #[test]
    fn a_column_that_cannot_be_is_left_out() {
        assert!(constant(u32::MAX, Kind::String, "xx").is_empty());
    }
}
