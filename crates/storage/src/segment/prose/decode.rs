//! Reading frames of prose: the head once, then the frames that hold the values asked for.
use super::Prose;
use crate::{
    read::ReadError,
    segment::{
        cache::Part,
        reader::{OpenColumn, SectionReader, Sink},
        text::{Texts, unpack},
        wire::Flaw,
    },
};
use std::sync::Arc;
use taffrail_model::column::Column;
use zstd::zstd_safe::DCtx;

impl Prose {
    /// Number of the frame that holds a value.
    pub(super) fn frame_of(&self, value: usize) -> usize {
        self.frames
            .partition_point(|frame| frame.value_end <= value)
    }
}

impl SectionReader {
    /// The plain texts of a frame.
    pub(super) fn prose_frame(
        &self,
        column: &OpenColumn,
        prose: &Prose,
        number: usize,
    ) -> Result<Arc<Texts>, ReadError> {
        let key = self.key(Part::Frame, column.number, number);
        self.cache.get_or_load(key, || {
            let texts = self.unpack_prose_frame(column, prose, number)?;
            let bytes = texts.memory_bytes();
            Ok((texts, bytes))
        })
    }

    /// As [`SectionReader::prose_frame`], for who passes over many frames: leaves none but the
    /// head in the cache.
    pub(super) fn unpack_prose_frame(
        &self,
        column: &OpenColumn,
        prose: &Prose,
        number: usize,
    ) -> Result<Texts, ReadError> {
        let flaw = Flaw("a value is in no frame");
        let frame = prose.frames.get(number);
        let frame = frame.ok_or_else(|| self.damaged(column.area, flaw))?;
        let count = frame.value_end - frame.first_value;
        let (at, bytes) = prose.frame_pages.span(number);
        if number == 0 {
            let head = self.prose_head(column, prose)?;
            return Texts::parse(&head, count).map_err(|flaw| self.damaged(column.area + at, flaw));
        }
        let head = self.prose_head(column, prose)?;
        self.read(column.area + at, bytes, |packed| {
            let plain = unpack_after(&head, &packed, frame.plain_bytes)?;
            Texts::parse(&plain, count)
        })
    }

    /// The plain bytes of the first frame, with which all others were compressed.
    fn prose_head(&self, column: &OpenColumn, prose: &Prose) -> Result<Arc<Vec<u8>>, ReadError> {
        let key = self.key(Part::Dictionary, column.number, 0);
        self.cache.get_or_load(key, || {
            let (at, bytes) = prose.frame_pages.span(0);
            let plain_bytes = prose.frames.first().map_or(0, |frame| frame.plain_bytes);
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
        self.gather_values(column, block, rows, |value| {
            let number = prose.frame_of(value);
            let flaw = Flaw("a value is in no frame");
            let frame = prose.frames.get(number);
            let frame = frame.ok_or_else(|| self.damaged(column.area, flaw))?;
            let texts = self.prose_frame(column, prose, number)?;
            Ok((texts, frame.first_value..frame.value_end))
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
        let mut value = first;
        while value < end {
            let number = prose.frame_of(value);
            let Some(frame) = prose.frames.get(number) else {
                return Err(self.damaged(column.area, Flaw("a value is in no frame")));
            };
            let is_shared = frame.first_value < first || frame.value_end > end;
            let texts = match is_shared {
                true => self.prose_frame(column, prose, number)?,
                // All of it goes into what is read now, which is cached itself.
                false => Arc::new(self.unpack_prose_frame(column, prose, number)?),
            };
            let last = end.min(frame.value_end);
            texts
                .copy_into(
                    value - frame.first_value,
                    last - frame.first_value,
                    &mut sink.text,
                    &mut sink.ends,
                )
                .map_err(|flaw| self.damaged(column.area, flaw))?;
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
