//! Reading frames of prose: symbols and head once, then the frames that hold the values asked for.
use super::{
    Packing, Prose,
    symbols::{SymbolRun, Symbols},
};
use crate::{
    read::ReadError,
    segment::{
        cache::Part,
        decode::Sink,
        ints,
        reader::{OpenColumn, SectionReader},
        text::{Texts, unpack},
        wire::{Cursor, Flaw},
    },
};
use std::{ops::Range, sync::Arc};
use taffrail_model::column::Column;
use zstd::zstd_safe::DCtx;

/// Numbers of what is kept under [`Part::Dictionary`].
const HEAD: usize = 0;
const SYMBOLS: usize = 1;

impl Prose {
    /// Number of the frame that holds a value.
    pub(super) fn frame_of(&self, value: usize) -> usize {
        let frames = &self.stored.frames;
        frames.partition_point(|frame| frame.value_end <= value)
    }
}

/// The codes of some neighbouring values.
pub(super) struct CodeFrame {
    /// Which values.
    pub values: Range<usize>,
    /// Lengths of the values, then their codes.
    plain: Vec<u8>,
    /// Where each value ends.
    ends: Vec<usize>,
    /// Where the first begins.
    start: usize,
}

impl CodeFrame {
    fn parse(plain: Vec<u8>, values: Range<usize>) -> Result<CodeFrame, Flaw> {
        let mut cursor = Cursor::new(&plain);
        let lengths = ints::decode_lengths(&mut cursor, values.len(), plain.len())?;
        let start = plain.len() - cursor.rest().len();
        let mut end = start;
        let mut ends = lengths;
        for length in &mut ends {
            end += *length;
            *length = end;
        }
        match end == plain.len() {
            true => Ok(CodeFrame {
                values,
                plain,
                ends,
                start,
            }),
            false => Err(Flaw("a frame has other codes than its values")),
        }
    }

    fn memory_bytes(&self) -> usize {
        self.plain.len() + self.ends.len() * 8
    }

    /// The codes of all values, one after the other.
    pub(super) fn bytes(&self) -> &[u8] {
        self.plain.get(self.start..).unwrap_or_default()
    }

    /// Where the codes of these values are among those of all.
    pub(super) fn span_of(&self, values: Range<usize>) -> Range<usize> {
        let end_before = |value: usize| {
            let index = value.saturating_sub(self.values.start);
            let before = index.checked_sub(1);
            let end = before.map(|before| self.ends.get(before).copied());
            end.map_or(0, |end| end.unwrap_or(self.plain.len()) - self.start)
        };
        end_before(values.start)..end_before(values.end)
    }

    /// The value that has a byte of all codes, and where its codes end among them.
    pub(super) fn value_at(&self, at: usize) -> (usize, usize) {
        let at = self.start + at;
        let index = self.ends.partition_point(|end| *end <= at);
        let end = self.ends.get(index).copied().unwrap_or(self.plain.len());
        (self.values.start + index, end - self.start)
    }

    /// The codes of a value.
    pub(super) fn codes(&self, value: usize) -> Result<&[u8], Flaw> {
        let flaw = Flaw("a value is in no frame");
        let index = value.checked_sub(self.values.start).ok_or(flaw)?;
        let end = *self.ends.get(index).ok_or(flaw)?;
        let before = index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        let start = before.copied().unwrap_or(self.start);
        self.plain.get(start..end).ok_or(flaw)
    }
}

impl SectionReader {
    /// The symbols of a column.
    pub(super) fn prose_symbols(
        &self,
        column: &OpenColumn,
        prose: &Prose,
    ) -> Result<Arc<Symbols>, ReadError> {
        let key = self.key(Part::Dictionary, column.number, SYMBOLS);
        self.cache.get_or_load(key, || {
            let stored = &prose.stored;
            let at = column.area + stored.frame_pages.end();
            let symbols = self.read(at, stored.symbols_bytes, |packed| {
                let (text_bytes, marked) = (stored.symbols_text_bytes, stored.symbols_marked);
                let plain = unpack(&packed, text_bytes + SymbolRun::mark_bytes(marked))?;
                Symbols::parse(stored.codes, &plain, text_bytes, stored.symbols, marked)
            })?;
            let bytes = symbols.memory_bytes();
            Ok((symbols, bytes))
        })
    }

    /// The codes of a frame.
    pub(super) fn prose_frame(
        &self,
        column: &OpenColumn,
        prose: &Prose,
        number: usize,
    ) -> Result<Arc<CodeFrame>, ReadError> {
        let key = self.key(Part::Frame, column.number, number);
        self.cache.get_or_load(key, || {
            let frame = self.unpack_prose_frame(column, prose, number)?;
            let bytes = frame.memory_bytes();
            Ok((frame, bytes))
        })
    }

    /// As [`SectionReader::prose_frame`], for who passes over many frames: leaves none but the
    /// head in the cache.
    pub(super) fn unpack_prose_frame(
        &self,
        column: &OpenColumn,
        prose: &Prose,
        number: usize,
    ) -> Result<CodeFrame, ReadError> {
        let stored = &prose.stored;
        let frame = stored.frames.get(number);
        let frame = frame.ok_or_else(|| {
            let flaw = Flaw("a value is in no frame");
            self.damaged(column.area, flaw)
        })?;
        let values = frame.first_value..frame.value_end;
        let (at, bytes) = stored.frame_pages.span(number);
        let head = match stored.packing {
            Packing::AfterHead if number > 0 => Some(self.prose_head(column, prose)?),
            _ => None,
        };
        self.read(column.area + at, bytes, |packed| {
            let plain = match (&head, stored.packing) {
                (Some(head), _) => unpack_after(head, &packed, frame.plain_bytes)?,
                (None, Packing::Plain) if number > 0 => match packed.len() == frame.plain_bytes {
                    true => packed,
                    false => return Err(Flaw("a frame has another length than declared")),
                },
                _ => unpack(&packed, frame.plain_bytes)?,
            };
            CodeFrame::parse(plain, values)
        })
    }

    /// The plain bytes of the first frame, with which all others were compressed.
    fn prose_head(&self, column: &OpenColumn, prose: &Prose) -> Result<Arc<Vec<u8>>, ReadError> {
        let key = self.key(Part::Dictionary, column.number, HEAD);
        self.cache.get_or_load(key, || {
            let stored = &prose.stored;
            let (at, bytes) = stored.frame_pages.span(0);
            let plain_bytes = stored.frames.first().map_or(0, |frame| frame.plain_bytes);
            let head = self.read(column.area + at, bytes, |packed| {
                unpack(&packed, plain_bytes)
            })?;
            Ok((head, plain_bytes))
        })
    }

    /// The values of these rows of a block.
    pub(in crate::segment) fn prose_values_at(
        &self,
        column: &OpenColumn,
        prose: &Prose,
        block: usize,
        rows: &[u32],
    ) -> Result<Column, ReadError> {
        let symbols = self.prose_symbols(column, prose)?;
        self.gather_values(column, block, rows, |value| {
            let frame = self.prose_frame(column, prose, prose.frame_of(value))?;
            let mut text = String::new();
            let read = frame
                .codes(value)
                .and_then(|codes| symbols.read(codes, &mut text));
            read.map_err(|flaw| self.damaged(column.area, flaw))?;
            Ok((Arc::new(Texts::from_iter([&*text])), value..value + 1))
        })
    }

    /// Appends the texts of the values from `first` to before `end`.
    pub(in crate::segment) fn copy_prose(
        &self,
        column: &OpenColumn,
        prose: &Prose,
        (first, end): (usize, usize),
        sink: &mut Sink,
    ) -> Result<(), ReadError> {
        if first == end {
            return Ok(());
        }
        let symbols = self.prose_symbols(column, prose)?;
        let mut value = first;
        while value < end {
            let frame = self.prose_frame(column, prose, prose.frame_of(value))?;
            let last = end.min(frame.values.end);
            for value in value..last {
                let read = frame.codes(value).and_then(|codes| {
                    symbols.read(codes, &mut sink.text)?;
                    sink.end_value()
                });
                read.map_err(|flaw| self.damaged(column.area, flaw))?;
            }
            value = last;
        }
        Ok(())
    }
}

/// Decompresses a frame that was compressed with `head` as its dictionary.
fn unpack_after(head: &[u8], packed: &[u8], plain_bytes: usize) -> Result<Vec<u8>, Flaw> {
    let flaw = Flaw("compressed bytes cannot be decompressed");
    let mut context = DCtx::create();
    context.ref_prefix(head).map_err(|_| flaw)?;
    let mut plain = Vec::with_capacity(plain_bytes);
    let length = context.decompress(&mut plain, packed).map_err(|_| flaw)?;
    match length == plain_bytes {
        true => Ok(plain),
        false => Err(Flaw("compressed bytes have another length than declared")),
    }
}
