//! Reading some values of a block without the others: a page of records unpacks what it shows.
use super::{
    decode::{Sink, decode_plain},
    directory::{Frame, Layout, Pages},
    fixed_dictionary::FixedDictionary,
    ints,
    reader::{OpenColumn, SectionReader},
    template::decode::Templated,
    text::{BLOCK_TEXT_BYTES_MAX, Texts},
    wire::{Cursor, Flaw},
};
use crate::read::ReadError;
use std::{ops::Range, sync::Arc};
use taffrail_model::column::{Column, Kind};

/// Rows from which on the places of all rows of a block are unpacked at once.
const ALL_PLACES_MIN: usize = 4;
const NO_ENTRY: Flaw = Flaw("a code is not in the dictionary");

/// The codes of the picked of a block's `count` values.
fn picked_codes(
    cursor: &mut Cursor<'_>,
    count: usize,
    picked: &[usize],
) -> Result<Vec<usize>, Flaw> {
    let codes = ints::decode_picked(cursor, count, picked)?;
    let code_of = |code| usize::try_from(code).map_err(|_| NO_ENTRY);
    codes.into_iter().map(code_of).collect()
}

impl SectionReader {
    /// Which of a block's values a row has, if it has one.
    fn place_of(
        &self,
        column: &OpenColumn,
        block: usize,
        row: u32,
    ) -> Result<Option<usize>, ReadError> {
        let place = column.presence.place_of(block, row);
        place.map_err(|flaw| self.damaged(column.area, flaw))
    }

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

    /// The values of these rows of a block in a column that is not of compressed texts.
    pub(super) fn picked_values_at(
        &self,
        column: &OpenColumn,
        block: usize,
        rows: &[u32],
    ) -> Result<Column, ReadError> {
        let mut with_value = Vec::with_capacity(rows.len());
        let mut picked = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(place) = self.place_of(column, block, *row)? {
                with_value.push(*row);
                picked.push(place);
            }
        }
        if picked.is_empty() {
            return Ok(Column::default());
        }
        let count = column.presence.count(block);
        let mut sink = Sink::default();
        let kinds = match &column.directory.layout {
            Layout::Dictionary(dictionary) => {
                let texts = self.text_dictionary(column, dictionary)?;
                self.decode_page(column, block, count, |cursor| {
                    picked_codes(cursor, count, &picked)?
                        .into_iter()
                        .try_for_each(|code| {
                            let text = texts.get(code).ok_or(NO_ENTRY)?;
                            sink.push(|out| out.push_str(text))
                        })
                })?
            }
            Layout::FixedDictionary(dictionary) => {
                self.picked_ids(column, dictionary, block, &picked, &mut sink)?
            }
            Layout::Template { .. } => {
                let mut next = picked.iter().peekable();
                Templated::open(self, column)?.visit(
                    block,
                    |index| next.next_if(|next| **next == index).is_some(),
                    |_, text| sink.push(|out| out.push_str(text)),
                )?;
                self.kinds(column, block, count)?
            }
            layout => self.decode_page(column, block, count, |cursor| {
                decode_plain(layout, cursor, count, Some(&picked), &mut sink)
            })?,
        };
        let kinds = picked.iter().filter_map(|index| kinds.get(*index));
        Column::from_parts(with_value, kinds.copied().collect(), sink.ends, sink.text)
            .map_err(|detail| self.damaged(column.area, Flaw(detail)))
    }

    /// Appends the picked values of a block of ids, reading the pages of the dictionary that have
    /// them; their kinds are those of all values of the block.
    fn picked_ids(
        &self,
        column: &OpenColumn,
        dictionary: &FixedDictionary,
        block: usize,
        picked: &[usize],
        sink: &mut Sink,
    ) -> Result<Vec<Kind>, ReadError> {
        let mut codes = Vec::new();
        let count = column.presence.count(block);
        let kinds = self.decode_page(column, block, count, |cursor| {
            codes = picked_codes(cursor, count, picked)?;
            Ok(())
        })?;
        for code in codes {
            let id = self.id_of_code(column, dictionary, code)?;
            sink.push(|out| dictionary.form.write(id, out))
                .map_err(|flaw| self.damaged(column.area, flaw))?;
        }
        Ok(kinds)
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
        let kinds = self.decode_page(column, block, end - first, |_| Ok(()))?;
        // One place costs about what those of all rows do.
        let present = match rows.len() {
            0..ALL_PLACES_MIN => None,
            _ => Some(self.rows_of(column, block)?),
        };
        let mut out = Column::default();
        let mut loaded: Option<(Arc<Texts>, Range<usize>)> = None;
        for row in rows {
            let place = match &present {
                Some(present) => present.binary_search(row).ok(),
                None => self.place_of(column, block, *row)?,
            };
            let Some(index) = place else {
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
