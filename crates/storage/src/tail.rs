//! Tails: acknowledged rows that are not in a segment yet, as plain columns.
//!
//! A tail is a list of immutable chunks. A commit adds one; small neighbours are merged so that
//! their number stays logarithmic in the rows. What questions ask as codes or numbers is made from
//! the text once a chunk.
mod views;

use crate::{
    coded::{CodedColumn, NumberColumn},
    read::{ColumnStats, Extent, ReadError, RowSource},
};
use std::{borrow::Cow, sync::Arc};
use taffrail_model::{
    column::{Column, ColumnSet, FieldName},
    position::Position,
    time::Timestamp,
};
use views::Views;

/// Some rows of a tail, in order of position. Immutable. One block.
#[derive(Debug)]
pub struct TailChunk {
    extent: Extent,
    timestamps: Vec<i64>,
    positions: Vec<u64>,
    names: Vec<FieldName>,
    columns: Vec<Arc<Column>>,
    views: Views,
    memory_bytes: usize,
}

/// Bytes of a chunk beside its rows and columns.
const CHUNK_BYTES: usize = 256;

/// Bytes in memory of a chunk of so many rows, and how many of them are for views.
pub(crate) fn memory_bytes(rows: usize, columns: &ColumnSet) -> (usize, usize) {
    let bytes = columns.memory_bytes() + rows * 16 + CHUNK_BYTES;
    let views_room = views::room(bytes);
    (bytes + views_room, views_room)
}

impl TailChunk {
    /// A chunk of at least one row; positions ascend strictly.
    ///
    /// # Panics
    /// If the lengths differ or there is no row.
    #[must_use]
    pub fn new(timestamps: Vec<i64>, positions: Vec<u64>, columns: ColumnSet) -> TailChunk {
        assert!(
            !timestamps.is_empty()
                && timestamps.len() == positions.len()
                && timestamps.len() == columns.rows() as usize,
            "a chunk has as many timestamps as positions and rows"
        );
        let extent = Extent {
            rows: columns.rows(),
            time_min: Timestamp(timestamps.iter().copied().min().unwrap_or_default()),
            time_max: Timestamp(timestamps.iter().copied().max().unwrap_or_default()),
            position_min: Position(positions[0]),
            position_max: Position(positions[positions.len() - 1]),
        };
        let (memory_bytes, views_room) = memory_bytes(timestamps.len(), &columns);
        let (names, columns) = columns
            .into_columns()
            .filter(|(_, column)| !column.is_empty())
            .map(|(name, mut column)| {
                column.shrink_to_fit();
                (name, Arc::new(column))
            })
            .unzip();
        TailChunk {
            extent,
            timestamps,
            positions,
            names,
            columns,
            views: Views::new(views_room),
            memory_bytes,
        }
    }

    /// Bytes in memory, those that views of its columns may take included.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Timestamps of all rows.
    #[must_use]
    pub fn all_timestamps(&self) -> &[i64] {
        &self.timestamps
    }

    /// Positions of all rows.
    #[must_use]
    pub fn all_positions(&self) -> &[u64] {
        &self.positions
    }

    /// The column of a name.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Column>> {
        self.find_numbered(name).map(|(_, column)| column)
    }

    fn find_numbered(&self, name: &str) -> Option<(usize, &Arc<Column>)> {
        let at = self.names.iter().position(|have| &**have == name)?;
        Some((at, self.columns.get(at)?))
    }

    /// All (name, column).
    pub fn columns(&self) -> impl Iterator<Item = (&FieldName, &Arc<Column>)> + '_ {
        self.names.iter().zip(&self.columns)
    }
}

impl RowSource for TailChunk {
    fn name(&self) -> String {
        "tail".into()
    }

    fn extent(&self) -> Extent {
        self.extent
    }

    fn column_names(&self) -> Result<Vec<FieldName>, ReadError> {
        Ok(self.names.clone())
    }

    fn blocks(&self) -> Result<Cow<'_, [Extent]>, ReadError> {
        Ok(Cow::Borrowed(std::slice::from_ref(&self.extent)))
    }

    fn timestamps(&self, _block: usize) -> Result<Cow<'_, [i64]>, ReadError> {
        Ok(Cow::Borrowed(&self.timestamps))
    }

    fn positions(&self, _block: usize) -> Result<Cow<'_, [u64]>, ReadError> {
        Ok(Cow::Borrowed(&self.positions))
    }

    fn column(&self, _block: usize, name: &str) -> Result<Option<Arc<Column>>, ReadError> {
        Ok(self.find(name).cloned())
    }

    fn stats(&self, _block: usize, _name: &str) -> Result<Option<ColumnStats>, ReadError> {
        Ok(None)
    }

    fn coded(&self, name: &str) -> Result<Option<Arc<dyn CodedColumn>>, ReadError> {
        let column = self.find_numbered(name);
        let codes = column.and_then(|(at, column)| self.views.codes(at, column, self.extent.rows));
        Ok(codes.map(|codes| codes as Arc<dyn CodedColumn>))
    }

    fn numbers(&self, name: &str) -> Result<Option<Arc<dyn NumberColumn>>, ReadError> {
        let column = self.find_numbered(name);
        let numbers =
            column.and_then(|(at, column)| self.views.numbers(at, column, self.extent.rows));
        Ok(numbers.map(|numbers| numbers as Arc<dyn NumberColumn>))
    }

    fn may_contain(&self, _: usize, _: &str, _: u64) -> Result<bool, ReadError> {
        Ok(true)
    }
}
