//! One block while it is evaluated: what of it was read, read once.
use super::{drive::Interrupt, selection::Selection};
use crate::result::ScanError;
use std::{borrow::Cow, cell::OnceCell, collections::HashMap, rc::Rc, sync::Arc};
use taffrail_model::{
    column::{Column, FieldName},
    token::fold_into,
};
use taffrail_storage::read::{ColumnStats, Extent, ReadError, RowSource};

/// Why a block gave nothing.
#[derive(Debug)]
pub(super) enum BlockFault {
    /// It cannot be read; the others can.
    Read(ReadError),
    /// The whole read ends.
    Stop(ScanError),
}

impl From<ReadError> for BlockFault {
    fn from(error: ReadError) -> BlockFault {
        BlockFault::Read(error)
    }
}

pub(super) struct BlockView<'a> {
    source: &'a dyn RowSource,
    pub(super) block: usize,
    pub(super) extent: Extent,
    interrupt: &'a Interrupt,
    columns: HashMap<FieldName, Option<Rc<LoadedColumn>>>,
    timestamps: Option<Rc<Cow<'a, [i64]>>>,
    positions: Option<Rc<Cow<'a, [u64]>>>,
}

/// A column of a block, with its folded text once that is needed.
pub(super) struct LoadedColumn {
    pub(super) column: Arc<Column>,
    folded: OnceCell<Option<FoldedText>>,
}

struct FoldedText {
    text: String,
    ends: Vec<u32>,
}

impl<'a> BlockView<'a> {
    pub(super) fn new(
        source: &'a dyn RowSource,
        block: usize,
        extent: Extent,
        interrupt: &'a Interrupt,
    ) -> BlockView<'a> {
        BlockView {
            source,
            block,
            extent,
            interrupt,
            columns: HashMap::new(),
            timestamps: None,
            positions: None,
        }
    }

    pub(super) fn all(&self) -> Selection {
        Selection::all(self.extent.rows)
    }

    pub(super) fn none(&self) -> Selection {
        Selection::none(self.extent.rows)
    }

    /// A column, read at first use; between two columns a cancelled read ends.
    pub(super) fn column(
        &mut self,
        name: &FieldName,
    ) -> Result<Option<Rc<LoadedColumn>>, BlockFault> {
        if let Some(column) = self.columns.get(name) {
            return Ok(column.clone());
        }
        self.interrupt.check().map_err(BlockFault::Stop)?;
        let loaded = self.source.column(self.block, name)?.map(|column| {
            Rc::new(LoadedColumn {
                column,
                folded: OnceCell::new(),
            })
        });
        self.columns.insert(name.clone(), loaded.clone());
        Ok(loaded)
    }

    /// As [`BlockView::column`], of which only these rows, ascending, are wanted.
    pub(super) fn values_at(
        &mut self,
        name: &FieldName,
        rows: &[u32],
    ) -> Result<Option<Rc<LoadedColumn>>, BlockFault> {
        if let Some(column) = self.columns.get(name) {
            return Ok(column.clone());
        }
        self.interrupt.check().map_err(BlockFault::Stop)?;
        let values = self.source.values_at(self.block, name, rows)?;
        Ok(values.map(|column| {
            Rc::new(LoadedColumn {
                column,
                folded: OnceCell::new(),
            })
        }))
    }

    pub(super) fn stats(&self, name: &str) -> Result<Option<ColumnStats>, ReadError> {
        self.source.stats(self.block, name)
    }

    /// Adds the rows that have a value in the column.
    pub(super) fn add_present(&self, name: &str, out: &mut Selection) -> Result<(), ReadError> {
        out.add_by(|bits| self.source.add_present(self.block, name, bits))
    }

    pub(super) fn may_contain(&self, name: &str, folded: &str) -> Result<bool, ReadError> {
        self.source.may_contain_word(self.block, name, folded)
    }

    pub(super) fn timestamps(&mut self) -> Result<Rc<Cow<'a, [i64]>>, ReadError> {
        if let Some(have) = &self.timestamps {
            return Ok(have.clone());
        }
        let read = self.source.timestamps(self.block)?;
        self.check_rows(read.len(), "timestamps")?;
        Ok(self.timestamps.insert(Rc::new(read)).clone())
    }

    pub(super) fn positions(&mut self) -> Result<Rc<Cow<'a, [u64]>>, ReadError> {
        if let Some(have) = &self.positions {
            return Ok(have.clone());
        }
        let read = self.source.positions(self.block)?;
        self.check_rows(read.len(), "positions")?;
        Ok(self.positions.insert(Rc::new(read)).clone())
    }

    fn check_rows(&self, found: usize, what: &str) -> Result<(), ReadError> {
        if found == self.extent.rows as usize {
            return Ok(());
        }
        Err(ReadError::Damaged {
            file: self.source.name(),
            offset: 0,
            detail: format!(
                "block {} has {found} {what} for {} rows",
                self.block, self.extent.rows
            ),
        })
    }
}

impl LoadedColumn {
    /// The text of all values as it is, with the end of each.
    pub(super) fn raw(&self) -> (&str, &[u32]) {
        (self.column.text(), self.column.ends())
    }

    /// The text of all values folded, with the end of each.
    pub(super) fn folded(&self) -> (&str, &[u32]) {
        let folded = self.folded.get_or_init(|| fold_column(&self.column));
        match folded {
            Some(folded) => (&folded.text, &folded.ends),
            None => self.raw(),
        }
    }
}

/// The folded column; `None` if folding changes nothing.
fn fold_column(column: &Column) -> Option<FoldedText> {
    let text = column.text();
    // One pass that the compiler vectorises tells whether there is anything to fold.
    let changes = text.bytes().fold(false, |changes, b| {
        changes | b.is_ascii_uppercase() | (b >= 0x80)
    });
    if !changes {
        return None;
    }
    if text.is_ascii() {
        return Some(FoldedText {
            text: text.to_ascii_lowercase(),
            ends: column.ends().to_vec(),
        });
    }
    let mut folded = FoldedText {
        text: String::with_capacity(text.len()),
        ends: Vec::with_capacity(column.len()),
    };
    for index in 0..column.len() {
        fold_into(column.value_at(index).text, &mut folded.text);
        // Folding may lengthen a character by a byte at the most, and a batch is far below 4 GiB.
        folded
            .ends
            .push(u32::try_from(folded.text.len()).unwrap_or(u32::MAX));
    }
    Some(folded)
}
