//! Batches as a decoder leaves them.
use taffrail_model::{
    batch::RawBatch,
    column::{ColumnSet, Kind},
};

/// Records of these texts.
pub fn batch(records: &[&[(&str, &str)]]) -> RawBatch {
    let mut columns = ColumnSet::default();
    for (row, record) in (0u32..).zip(records) {
        for (name, value) in *record {
            columns.get_or_create(name).push(row, Kind::String, value);
        }
    }
    columns.set_rows(records.len() as u32);
    RawBatch {
        columns,
        indexes: (0..records.len() as u32).collect(),
        ..RawBatch::default()
    }
}
