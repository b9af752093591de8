//! The rows of some sections that stay, as one new section.
//!
//! Columns go through memory one after the other: of the sections that are merged, no more than
//! one column is unpacked at a time, beside timestamps, positions and the output.
use crate::{
    deletion::SelectedRows,
    read::{Extent, ReadError, RowSource},
    segment::{BlockCache, EncodeError, SectionReader, encode_by_column},
};
use std::{collections::BTreeSet, sync::Arc};
use taffrail_model::{
    column::{Column, FieldName},
    position::Position,
    time::Timestamp,
};

/// Bytes of one column over several sections that are merged: the largest piece of memory of a
/// merge. One section is rewritten whatever its size is, since the tails held it.
pub(super) const COLUMN_BYTES_MAX: usize = 160 << 20;
/// Bytes of decoded parts that are kept between the blocks of a column, for all sections of a merge
/// and beside what readers keep: each of its four parts can hold the dictionary of a full section.
const CACHE_BYTES: usize = 36 << 20;

/// Why sections were not merged.
#[derive(Debug, thiserror::Error)]
pub(super) enum MergeError {
    /// One of them cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// They do not fit into one section.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A column is too large in memory.
    #[error("{column} has more than {COLUMN_BYTES_MAX} bytes")]
    ColumnTooLarge { column: String },
    /// The store is being closed.
    #[error("stopped")]
    Stopped,
}

/// A section that is read to be rewritten.
pub(super) struct Input {
    reader: SectionReader,
    /// For each block the rows that stay.
    blocks: Vec<Kept>,
}

enum Kept {
    /// All of so many.
    All(u32),
    /// These, ascending.
    Rows(Vec<u32>),
}

impl Kept {
    fn count(&self) -> u32 {
        match self {
            Kept::All(rows) => *rows,
            Kept::Rows(rows) => rows.len() as u32,
        }
    }
}

/// A cache for the sections of one merge.
pub(super) fn cache() -> Arc<BlockCache> {
    Arc::new(BlockCache::new(CACHE_BYTES))
}

impl Input {
    /// A section of which the selected rows go.
    pub(super) fn new(
        reader: SectionReader,
        selected: Option<&[SelectedRows]>,
    ) -> Result<Input, ReadError> {
        let extents = reader.blocks()?;
        let blocks = extents.iter().enumerate().map(|(block, extent)| {
            match selected.and_then(|selected| selected.get(block)) {
                Some(selected) => kept(extent.rows, selected),
                None => Kept::All(extent.rows),
            }
        });
        let blocks = blocks.collect();
        drop(extents);
        Ok(Input { reader, blocks })
    }

    /// Rows that stay.
    pub(super) fn rows(&self) -> u64 {
        self.blocks.iter().map(|kept| u64::from(kept.count())).sum()
    }

    fn times(&self) -> Result<(Vec<i64>, Vec<u64>), ReadError> {
        let mut all = (Vec::new(), Vec::new());
        for (block, kept) in self.blocks.iter().enumerate() {
            let timestamps = self.reader.timestamps(block)?;
            let positions = self.reader.positions(block)?;
            match kept {
                Kept::All(_) => {
                    all.0.extend_from_slice(&timestamps);
                    all.1.extend_from_slice(&positions);
                }
                Kept::Rows(rows) => {
                    all.0
                        .extend(rows.iter().map(|row| timestamps[*row as usize]));
                    all.1
                        .extend(rows.iter().map(|row| positions[*row as usize]));
                }
            }
        }
        Ok(all)
    }

    /// The values of a column in the rows that stay.
    fn column(&self, name: &str, bytes_left: &mut usize) -> Result<Column, MergeError> {
        let mut out = Column::default();
        let mut first_row = 0;
        for (block, kept) in self.blocks.iter().enumerate() {
            if kept.count() == 0 {
                continue;
            }
            if let Some(column) = self.reader.column(block, name)? {
                let left = bytes_left.checked_sub(column.memory_bytes());
                *bytes_left = left.ok_or_else(|| MergeError::ColumnTooLarge {
                    column: name.into(),
                })?;
                match kept {
                    Kept::All(_) => out.append(first_row, &column),
                    Kept::Rows(rows) => out.append(first_row, &column.select(rows)),
                }
            }
            first_row += kept.count();
        }
        Ok(out)
    }
}

/// The rows of a block that no selection has.
fn kept(rows: u32, selected: &SelectedRows) -> Kept {
    let sets = || std::iter::once(&selected.by_rules).chain(&selected.by_deletion);
    let stay: Vec<u32> = (0..rows)
        .filter(|row| !sets().any(|set| has(set, *row)))
        .collect();
    match stay.len() == rows as usize {
        true => Kept::All(rows),
        false => Kept::Rows(stay),
    }
}

pub(super) fn has(set: &[u64], row: u32) -> bool {
    set.get(row as usize / 64)
        .is_some_and(|word| word >> (row % 64) & 1 == 1)
}

/// The plain bytes of a section of all rows that stay, with what it holds; `None` if none stays.
/// `may_go_on` is asked between two columns.
pub(super) fn merge(
    inputs: &[Input],
    may_go_on: &dyn Fn() -> bool,
) -> Result<Option<(Extent, Vec<u8>)>, MergeError> {
    let times = inputs.iter().map(Input::times);
    let times: Vec<_> = times.collect::<Result<_, _>>()?;
    let Some(extent) = extent(&times) else {
        return Ok(None);
    };
    let mut names: BTreeSet<FieldName> = BTreeSet::new();
    for input in inputs {
        names.extend(input.reader.column_names()?);
    }
    let names = names.iter().map(|name| &**name).collect();
    let plain = encode_by_column(&times, names, &mut |name| {
        if !may_go_on() {
            return Err(MergeError::Stopped);
        }
        // A section by itself was held in memory when it was flushed.
        let mut bytes_left = match inputs.len() {
            1 => usize::MAX,
            _ => COLUMN_BYTES_MAX,
        };
        let columns = inputs.iter();
        columns
            .map(|input| input.column(name, &mut bytes_left))
            .collect()
    })?;
    Ok(Some((extent, plain)))
}

fn extent(times: &[(Vec<i64>, Vec<u64>)]) -> Option<Extent> {
    let timestamps = || times.iter().flat_map(|(timestamps, _)| timestamps).copied();
    let positions = || times.iter().flat_map(|(_, positions)| positions).copied();
    Some(Extent {
        rows: timestamps().count() as u32,
        time_min: Timestamp(timestamps().min()?),
        time_max: Timestamp(timestamps().max()?),
        position_min: Position(positions().min()?),
        position_max: Position(positions().max()?),
    })
}
