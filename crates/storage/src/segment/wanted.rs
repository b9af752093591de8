//! Reading some values of a block without the others: a page of records unpacks what it shows.
use super::{
    directory::{Frame, Pages},
    reader::{OpenColumn, SectionReader},
    text::{BLOCK_TEXT_BYTES_MAX, Texts},
    wire::Flaw,
};
use crate::read::ReadError;
use std::{ops::Range, sync::Arc};
use taffrail_model::column::Column;

impl SectionReader {
    /// The values of these rows of a block of text.
    pub(super) fn text_values_at(
        &self,
        column: &OpenColumn,
        frames: &[Frame],
        pages: &Pages,
        block: usize,
        rows: &[u32],
    ) -> Result<Column, ReadError> {
        self.gather_values(column, block, rows, |value| {
            let number = frames.partition_point(|frame| frame.value_end <= value);
            let frame = frames
                .get(number)
                .ok_or_else(|| self.damaged(column.area, Flaw("a value is in no frame")))?;
            let texts = self.text_frame(column, frame, pages, number)?;
            Ok((texts, frame.first_value..frame.value_end))
        })
    }

    /// The values of those of `rows` that have one; `load` gives the texts around a value, and
    /// which values they are.
    pub(super) fn gather_values(
        &self,
        column: &OpenColumn,
        block: usize,
        rows: &[u32],
        load: impl Fn(usize) -> Result<(Arc<Texts>, Range<usize>), ReadError>,
    ) -> Result<Column, ReadError> {
        let (first, end) = column.presence.values_of(block);
        let present = column.presence.rows_of(block);
        let present = present.map_err(|flaw| self.damaged(column.area, flaw))?;
        let kinds = self.decode_page(column, block, end - first, |_| Ok(()))?;
        let mut out = Column::default();
        let mut loaded: Option<(Arc<Texts>, Range<usize>)> = None;
        for row in rows {
            let Ok(index) = present.binary_search(row) else {
                continue;
            };
            let value = first + index;
            let (texts, range) = match loaded.take() {
                Some(have) if have.1.contains(&value) => have,
                _ => load(value)?,
            };
            let text = texts.get(value - range.start);
            let (Some(text), Some(kind)) = (text, kinds.get(index)) else {
                return Err(self.damaged(column.area, Flaw("a frame lacks a value")));
            };
            if out.text().len() + text.len() > BLOCK_TEXT_BYTES_MAX {
                let flaw = Flaw("a block has more text than it may have");
                return Err(self.damaged(column.area, flaw));
            }
            out.push(*row, *kind, text);
            loaded = Some((texts, range));
        }
        Ok(out)
    }
}
