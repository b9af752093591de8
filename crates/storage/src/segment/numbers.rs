//! Columns of integers and decimals as numbers, without building their text.
use super::{
    directory::Layout,
    ints,
    reader::{OpenColumn, SectionReader},
    wire::{Cursor, Flaw},
};
use crate::{
    coded::{BlockNumbers, NumberColumn},
    read::ReadError,
};
use std::sync::Arc;
use taffrail_model::column::Kind;

/// Kinds of numbers, and of strings that are some, are before the others. Others
/// are never encoded as numbers.
const _: () = assert!(
    (Kind::String as u8) < Kind::Bool as u8
        && (Kind::Integer as u8) < Kind::Bool as u8
        && (Kind::Float as u8) < Kind::Bool as u8
        && (Kind::Bool as u8) < Kind::Json as u8
);

/// A column of integers or decimals.
struct SectionNumbers {
    reader: SectionReader,
    column: OpenColumn,
    decimals: u8,
}

/// The numbers of a column, if it is kept as such and all its values are numbers in comparisons.
pub(super) fn open(
    reader: &SectionReader,
    name: &str,
) -> Result<Option<Arc<dyn NumberColumn>>, ReadError> {
    let Some(column) = reader.open_column(name)? else {
        return Ok(None);
    };
    let decimals = match column.directory.layout {
        Layout::Integer => 0,
        Layout::Decimal { scale, .. } => scale,
        _ => return Ok(None),
    };
    Ok(Some(Arc::new(SectionNumbers {
        reader: reader.clone(),
        column,
        decimals,
    })))
}

impl NumberColumn for SectionNumbers {
    fn decimals(&self) -> u8 {
        self.decimals
    }

    fn numbers(&self, block: usize, out: &mut BlockNumbers) -> Result<(), ReadError> {
        out.rows.clear();
        out.values.clear();
        let presence = &self.column.presence;
        let values = presence.count(block);
        if values == 0 {
            return Ok(());
        }
        if values < presence.rows_in(block) {
            let rows = presence.rows_into(block, &mut out.rows);
            rows.map_err(|flaw| self.reader.damaged(self.column.area, flaw))?;
        }
        self.reader.with_block_page(&self.column, block, |page| {
            let mut cursor = Cursor::new(page);
            if self.column.directory.kind.is_none() {
                // What they are does not matter, for all are looked at as numbers.
                ints::decode_codes(&mut cursor, values, Kind::Bool as u32)
                    .map_err(|_| Flaw("a number is of a kind that is none"))?;
            }
            ints::decode_into(&mut cursor, values, &mut out.values)
        })
    }
}
