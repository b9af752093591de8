//! Decoding the columns of a block: pages, dictionaries and texts to values.
//!
//! What a page is decoded with is loaded first, so that a page is only ever parsed.
use super::{
    bits::{get_wide, packed_bytes},
    cache::Part,
    directory::{Decimals, Frame, Group, Layout, Pages, TextDictionary},
    ints,
    number::{trimmed_decimals, write_decimal},
    reader::{OpenColumn, SectionReader},
    template::decode::Templated,
    text::{BLOCK_TEXT_BYTES_MAX, Texts},
    wire::{Cursor, Flaw},
};
use crate::read::ReadError;
use std::sync::Arc;
use taffrail_model::column::{Column, Kind};

/// Texts of a column that is being decoded.
#[derive(Default)]
pub(super) struct Sink {
    pub(super) text: String,
    pub(super) ends: Vec<u32>,
}

impl Sink {
    pub(super) fn push(&mut self, write: impl FnOnce(&mut String)) -> Result<(), Flaw> {
        write(&mut self.text);
        self.end_value()
    }

    /// Ends the value that was appended to `text`.
    pub(super) fn end_value(&mut self) -> Result<(), Flaw> {
        if self.text.len() > BLOCK_TEXT_BYTES_MAX {
            return Err(Flaw("a block has more text than it may have"));
        }
        self.ends.push(self.text.len() as u32);
        Ok(())
    }
}

/// The numbers of a run of `count`, or those that are `picked`.
fn numbers_of(
    cursor: &mut Cursor<'_>,
    count: usize,
    picked: Option<&[usize]>,
) -> Result<Vec<i64>, Flaw> {
    match picked {
        Some(picked) => ints::decode_picked(cursor, count, picked),
        None => ints::decode(cursor, count),
    }
}

/// Decodes a block's `count` values, or those that are `picked`, in layouts that need nothing but
/// the page.
pub(super) fn decode_plain(
    layout: &Layout,
    cursor: &mut Cursor<'_>,
    count: usize,
    picked: Option<&[usize]>,
    sink: &mut Sink,
) -> Result<(), Flaw> {
    const MISSING: Flaw = Flaw("a page has fewer values than rows");
    let taken = picked.map_or(count, <[usize]>::len);
    let mut indexes = (0..taken).map(|at| match picked {
        Some(picked) => picked.get(at).copied().unwrap_or(count),
        None => at,
    });
    match layout {
        Layout::Constant { text } => {
            (0..taken).try_for_each(|_| sink.push(|out| out.push_str(text)))
        }
        Layout::Integer => {
            let mut buffer = itoa::Buffer::new();
            let mut numbers = numbers_of(cursor, count, picked)?.into_iter();
            numbers.try_for_each(|number| sink.push(|out| out.push_str(buffer.format(number))))
        }
        Layout::Decimal { scale, decimals } => {
            let scaled = numbers_of(cursor, count, picked)?;
            let shown = match decimals {
                Decimals::PerValue => numbers_of(cursor, count, picked)?,
                _ => Vec::new(),
            };
            scaled.into_iter().enumerate().try_for_each(|(at, number)| {
                let shown = match decimals {
                    Decimals::All => *scale,
                    Decimals::Trimmed(least) => trimmed_decimals(number, *scale, *least),
                    Decimals::PerValue => {
                        let shown = shown.get(at).and_then(|shown| u8::try_from(*shown).ok());
                        let shown = shown.filter(|shown| shown <= scale);
                        shown.ok_or(Flaw("a length is out of bounds"))?
                    }
                };
                sink.push(|out| write_decimal(number, *scale, shown, out))
            })
        }
        Layout::Fixed { form, .. } if form.is_long() => {
            let bytes = form.long_bytes();
            let all = cursor.take(bytes * count)?;
            indexes.try_for_each(|index| {
                let nibbles = all.get(index * bytes..(index + 1) * bytes).ok_or(MISSING)?;
                sink.push(|out| form.write_long(nibbles, out))
            })
        }
        Layout::Fixed { form, squeeze } => {
            let width = squeeze.width();
            let packed = cursor.take(packed_bytes(count, width))?;
            indexes.try_for_each(|index| {
                let number = squeeze.expand(get_wide(packed, width, index));
                sink.push(|out| form.write(number, out))
            })
        }
        // Decoded by the caller.
        Layout::FixedDictionary(_)
        | Layout::Dictionary(_)
        | Layout::Text { .. }
        | Layout::Template { .. }
        | Layout::Prose(_) => Ok(()),
    }
}

impl SectionReader {
    /// Codes of a block's values in a column with a dictionary.
    pub(super) fn codes(
        &self,
        column: &OpenColumn,
        block: usize,
    ) -> Result<ints::Codes, ReadError> {
        let values = column.presence.count(block);
        let entries = match &column.directory.layout {
            Layout::Dictionary(dictionary) => dictionary.entries,
            Layout::FixedDictionary(dictionary) => dictionary.entries,
            _ => 0,
        };
        // A dictionary has at most as many entries as a section has rows.
        let end = u32::try_from(entries).unwrap_or(u32::MAX);
        self.with_codes(column, block, |cursor| {
            ints::decode_codes(cursor, values, end)
        })
    }

    /// Gives `parse` the page of a block where its codes begin.
    pub(super) fn with_codes<T>(
        &self,
        column: &OpenColumn,
        block: usize,
        parse: impl FnOnce(&mut Cursor<'_>) -> Result<T, Flaw>,
    ) -> Result<T, ReadError> {
        self.with_block_page(column, block, |page| {
            let mut cursor = Cursor::new(page);
            if column.directory.kind.is_none() {
                // Of mixed kinds, each has its own.
                ints::skip(&mut cursor, column.presence.count(block))?;
            }
            parse(&mut cursor)
        })
    }

    pub(super) fn text_dictionary(
        &self,
        column: &OpenColumn,
        dictionary: &TextDictionary,
    ) -> Result<Arc<Texts>, ReadError> {
        let key = self.key(Part::Dictionary, column.number, 0);
        self.cache.get_or_load(key, || {
            let texts = self.read(column.area, dictionary.bytes, |packed| {
                Texts::unpack(&packed, dictionary.plain_bytes, dictionary.entries)
            })?;
            let bytes = texts.memory_bytes();
            Ok((texts, bytes))
        })
    }

    /// The column of one block, decoded.
    pub(super) fn decode_block(
        &self,
        column: &OpenColumn,
        block: usize,
    ) -> Result<Column, ReadError> {
        let rows = column
            .presence
            .rows_of(block)
            .map_err(|flaw| self.damaged(column.area, flaw))?;
        let count = rows.len();
        let mut sink = Sink::default();
        // What a page is decoded with is loaded first, so that a page is only ever parsed.
        let kinds = match &column.directory.layout {
            Layout::Dictionary(dictionary) => {
                let dictionary = self.text_dictionary(column, dictionary)?;
                self.decode_page(column, block, count, |cursor| {
                    for code in ints::decode(cursor, count)? {
                        let text = usize::try_from(code)
                            .ok()
                            .and_then(|code| dictionary.get(code))
                            .ok_or(Flaw("a code is not in the dictionary"))?;
                        sink.push(|out| out.push_str(text))?;
                    }
                    Ok(())
                })?
            }
            Layout::FixedDictionary(dictionary) => {
                let ids = self.all_ids(column, dictionary)?;
                self.decode_page(column, block, count, |cursor| {
                    for code in ints::decode(cursor, count)? {
                        let number = usize::try_from(code)
                            .ok()
                            .and_then(|code| ids.get(code))
                            .ok_or(Flaw("a code is not in the dictionary"))?;
                        sink.push(|out| dictionary.form.write(*number, out))?;
                    }
                    Ok(())
                })?
            }
            Layout::Text {
                groups,
                frames,
                pages,
                ..
            } => {
                self.copy_texts(column, block, groups, frames, pages, &mut sink)?;
                self.decode_page(column, block, count, |_| Ok(()))?
            }
            Layout::Template { .. } => {
                Templated::open(self, column)?.decode(block, &mut sink)?;
                self.kinds(column, block, count)?
            }
            Layout::Prose(prose) => {
                self.copy_prose(column, prose, column.presence.values_of(block), &mut sink)?;
                self.decode_page(column, block, count, |_| Ok(()))?
            }
            layout => self.decode_page(column, block, count, |cursor| {
                decode_plain(layout, cursor, count, None, &mut sink)
            })?,
        };
        Column::from_parts(rows, kinds, sink.ends, sink.text)
            .map_err(|detail| self.damaged(column.area, Flaw(detail)))
    }

    /// Reads the kinds of a block's page and gives `values` the rest, all of which it must use.
    pub(super) fn decode_page(
        &self,
        column: &OpenColumn,
        block: usize,
        count: usize,
        values: impl FnOnce(&mut Cursor<'_>) -> Result<(), Flaw>,
    ) -> Result<Vec<Kind>, ReadError> {
        self.with_block_page(column, block, |page| {
            let mut cursor = Cursor::new(page);
            let kinds = match column.directory.kind {
                Some(kind) => vec![kind; count],
                None => ints::decode(&mut cursor, count)?
                    .into_iter()
                    .map(|tag| {
                        u8::try_from(tag)
                            .ok()
                            .and_then(Kind::from_tag)
                            .ok_or(Flaw("a kind is unknown"))
                    })
                    .collect::<Result<_, _>>()?,
            };
            values(&mut cursor)?;
            cursor.finish()?;
            Ok(kinds)
        })
    }

    /// Kinds of a block's `count` values in a column whose pages have codes.
    pub(super) fn kinds(
        &self,
        column: &OpenColumn,
        block: usize,
        count: usize,
    ) -> Result<Vec<Kind>, ReadError> {
        self.decode_page(column, block, count, |cursor| ints::skip(cursor, count))
    }

    /// Copies the texts of a block out of the frames that hold them.
    fn copy_texts(
        &self,
        column: &OpenColumn,
        block: usize,
        groups: &[Group],
        frames: &[Frame],
        pages: &Pages,
        sink: &mut Sink,
    ) -> Result<(), ReadError> {
        let (start, end) = column.presence.values_of(block);
        let group = groups.partition_point(|group| group.block_end <= block);
        let first_frame = match group.checked_sub(1) {
            Some(before) => groups.get(before).map_or(0, |group| group.frame_end),
            None => 0,
        };
        let of_group = first_frame..groups.get(group).map_or(0, |group| group.frame_end);
        for number in of_group {
            let Some(frame) = frames
                .get(number)
                .filter(|frame| frame.first_value < end && frame.value_end > start)
            else {
                continue;
            };
            let (at, _) = pages.span(number);
            let texts = match frame.first_value < start || frame.value_end > end {
                true => self.text_frame(column, frame, pages, number)?,
                // All of it goes into this block's column, which is cached itself.
                false => Arc::new(self.unpack_text_frame(column, frame, pages, number)?),
            };
            let first = start.max(frame.first_value) - frame.first_value;
            let last = end.min(frame.value_end) - frame.first_value;
            texts
                .copy_into(first, last, &mut sink.text, &mut sink.ends)
                .map_err(|flaw| self.damaged(column.area + at, flaw))?;
        }
        Ok(())
    }

    /// Text frame `number`, from the cache.
    pub(super) fn text_frame(
        &self,
        column: &OpenColumn,
        frame: &Frame,
        pages: &Pages,
        number: usize,
    ) -> Result<Arc<Texts>, ReadError> {
        let key = self.key(Part::Frame, column.number, number);
        self.cache.get_or_load(key, || {
            let texts = self.unpack_text_frame(column, frame, pages, number)?;
            let bytes = texts.memory_bytes();
            Ok((texts, bytes))
        })
    }

    fn unpack_text_frame(
        &self,
        column: &OpenColumn,
        frame: &Frame,
        pages: &Pages,
        number: usize,
    ) -> Result<Texts, ReadError> {
        let (at, bytes) = pages.span(number);
        self.read(column.area + at, bytes, |packed| {
            let count = frame.value_end - frame.first_value;
            Texts::unpack(&packed, frame.plain_bytes, count)
        })
    }
}
