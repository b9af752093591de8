//! The rows of several parts in the order of the section, without a merged copy: a column is a
//! list of references to values where they lie.
use super::{EncodeError, presence};
use taffrail_model::{
    column::{Column, Kind},
    limits::{BLOCK_ROWS, SEGMENT_ROWS_MAX},
};

/// Rows that come with a section: a chunk of a tail, or the rows of a [`super::SectionInput`].
pub(super) struct RowsPart<'a> {
    pub timestamps: &'a [i64],
    pub positions: &'a [u64],
    pub columns: Vec<(&'a str, &'a Column)>,
}

/// No value.
const NOTHING: u64 = u64::MAX;

/// All parts, and where each of their rows goes.
pub(super) struct Gathered<'a> {
    parts: Vec<RowsPart<'a>>,
    pub timestamps: Vec<i64>,
    pub positions: Vec<u64>,
    /// New row of each row, the parts one after the other; empty if they stay where they are.
    new_rows: Vec<u32>,
    /// For each part, the first of its rows.
    first_rows: Vec<usize>,
    /// For each new row the reference to its value; kept from column to column.
    slots: Vec<u64>,
}

impl<'a> Gathered<'a> {
    /// Orders the rows of the parts by (timestamp, position).
    pub(super) fn new(parts: Vec<RowsPart<'a>>) -> Result<Gathered<'a>, EncodeError> {
        let is_even = |part: &RowsPart<'_>| part.timestamps.len() == part.positions.len();
        if !parts.iter().all(is_even) {
            return Err(EncodeError::RowsDiffer);
        }
        let rows: usize = parts.iter().map(|part| part.timestamps.len()).sum();
        if rows == 0 {
            return Err(EncodeError::Empty);
        }
        if rows > SEGMENT_ROWS_MAX {
            return Err(EncodeError::TooManyRows { rows });
        }
        let mut timestamps = Vec::with_capacity(rows);
        let mut positions = Vec::with_capacity(rows);
        let mut first_rows = Vec::with_capacity(parts.len());
        for part in &parts {
            first_rows.push(timestamps.len());
            timestamps.extend_from_slice(part.timestamps);
            positions.extend_from_slice(part.positions);
            let past_the_end = |column: &Column| {
                let last = column.rows().last();
                last.is_some_and(|last| *last as usize >= part.timestamps.len())
            };
            if part.columns.iter().any(|(_, column)| past_the_end(column)) {
                return Err(EncodeError::RowsDiffer);
            }
        }
        let new_rows = sort_rows(&mut timestamps, &mut positions);
        Ok(Gathered {
            parts,
            timestamps,
            positions,
            new_rows,
            first_rows,
            slots: vec![NOTHING; rows],
        })
    }

    pub(super) fn rows(&self) -> usize {
        self.timestamps.len()
    }

    /// Names of all columns that have a value, ascending.
    pub(super) fn names(&self) -> Vec<&'a str> {
        let columns = self.parts.iter().flat_map(|part| &part.columns);
        let mut names: Vec<&str> = columns
            .filter(|(_, column)| !column.is_empty())
            .map(|(name, _)| *name)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The values of a column, and its presence. `loaded` has the column of each part, or nothing
    /// where the parts have it themselves.
    pub(super) fn column<'c>(&mut self, name: &str, loaded: &'c [Column]) -> (Values<'c>, Vec<u8>)
    where
        'a: 'c,
    {
        self.slots.fill(NOTHING);
        let mut columns = Vec::new();
        for (index, (part, first_row)) in self.parts.iter().zip(&self.first_rows).enumerate() {
            let own = || part.columns.iter().find(|(have, _)| *have == name);
            let column = match loaded.get(index) {
                Some(column) if column.is_empty() => continue,
                Some(column) => column,
                None => match own() {
                    Some((_, column)) => *column,
                    None => continue,
                },
            };
            let number = (columns.len() as u64) << 32;
            columns.push(column);
            for (value, row) in (0u64..).zip(column.rows()) {
                let row = first_row + *row as usize;
                let row = self.new_rows.get(row).map_or(row, |row| *row as usize);
                self.slots[row] = number | value;
            }
        }
        let mut references = Vec::new();
        let mut ends = Vec::new();
        let mut presence = Vec::new();
        let mut present = Vec::with_capacity(BLOCK_ROWS);
        for slots in self.slots.chunks(BLOCK_ROWS) {
            present.clear();
            for (row, slot) in (0u32..).zip(slots) {
                if *slot != NOTHING {
                    present.push(row);
                    references.push(*slot);
                }
            }
            ends.push(references.len());
            presence::encode_block(&present, slots.len(), &mut presence);
        }
        let values = Values {
            columns,
            references,
            ends,
        };
        (values, presence)
    }
}

/// Sorts both by (timestamp, position). Returns the new row of each, or nothing if they were
/// sorted.
fn sort_rows(timestamps: &mut Vec<i64>, positions: &mut Vec<u64>) -> Vec<u32> {
    let key = |row: u32| (timestamps[row as usize], positions[row as usize]);
    let mut order: Vec<u32> = (0..timestamps.len() as u32).collect();
    if order.is_sorted_by_key(|row| key(*row)) {
        return Vec::new();
    }
    // Stable, and quick where chunks are sorted already, which they nearly are.
    order.sort_by_key(|row| key(*row));
    *timestamps = order.iter().map(|row| timestamps[*row as usize]).collect();
    *positions = order.iter().map(|row| positions[*row as usize]).collect();
    let mut new_rows = vec![0; order.len()];
    for (new_row, row) in (0u32..).zip(&order) {
        new_rows[*row as usize] = new_row;
    }
    new_rows
}

/// The values of one column in the order of the section.
pub(super) struct Values<'a> {
    columns: Vec<&'a Column>,
    /// Number of the column in the high half, of its value in the low one.
    references: Vec<u64>,
    /// End of each block.
    ends: Vec<usize>,
}

impl<'a> Values<'a> {
    pub(super) fn len(&self) -> usize {
        self.references.len()
    }

    pub(super) fn text(&self, index: usize) -> &'a str {
        self.value(index).0
    }

    pub(super) fn kind(&self, index: usize) -> Kind {
        self.value(index).1
    }

    fn value(&self, index: usize) -> (&'a str, Kind) {
        let reference = self.references[index];
        let column = self.columns[(reference >> 32) as usize];
        let value = column.value_at(reference as u32 as usize);
        (value.text, value.kind)
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &'a str> + '_ {
        (0..self.len()).map(|index| self.text(index))
    }

    /// Some of the values, as one block.
    pub(super) fn picked(&self, indices: impl Iterator<Item = usize>) -> Values<'a> {
        let references: Vec<u64> = indices.map(|index| self.references[index]).collect();
        Values {
            columns: self.columns.clone(),
            ends: vec![references.len()],
            references,
        }
    }

    /// Values of each block, as ranges.
    pub(super) fn blocks(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| start..*end)
    }

    /// The kind of all values; `None` if they differ.
    pub(super) fn kind_of_all(&self) -> Option<Kind> {
        let first = self.columns.first()?.kinds().first()?;
        let is_same = |column: &&Column| column.kinds().iter().all(|kind| kind == first);
        self.columns.iter().all(is_same).then_some(*first)
    }

    /// Bytes of all texts.
    pub(super) fn text_bytes(&self) -> usize {
        self.columns.iter().map(|column| column.text().len()).sum()
    }
}
