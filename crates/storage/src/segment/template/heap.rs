//! The heaps of a templated column: one has the variables of small templates and those of no
//! common form, the other the values without a template. Texts are in the order of the rows, as
//! compressed runs with a filter of tokens each.
use crate::segment::{
    directory::Pages,
    filter, ints,
    presence::Presence,
    text::{FRAME_PLAIN_BYTES_MAX, push_text},
    wire::{Cursor, Flaw, put_varint},
};
use hashbrown::HashSet;
use zstd::bulk::Compressor;

/// Bytes of a run after which it is closed. Few runs, since a run compresses better the longer it
/// is, and the heap is a small part of its column.
const RUN_PLAIN_BYTES: usize = 256 << 10;
/// Texts of a heap: every row as many as a template has variables at the most.
const TEXTS_MAX: usize = super::split::VARIABLES_MAX * taffrail_model::limits::SEGMENT_ROWS_MAX;

/// One compressed run.
#[derive(Clone, Copy, Debug)]
pub(in crate::segment) struct Run {
    pub first: usize,
    pub end: usize,
    pub plain_bytes: usize,
}

/// Where the texts of a heap are.
#[derive(Debug)]
pub(in crate::segment) struct Heap {
    /// First text of each block; one more for the end.
    pub firsts: Vec<u32>,
    pub runs: Vec<Run>,
    pub pages: Pages,
    pub filters: Pages,
}

impl Heap {
    /// Texts of a block.
    pub(in crate::segment) fn texts_of(&self, block: usize) -> std::ops::Range<usize> {
        match self.firsts.get(block..block + 2) {
            Some([start, end]) => *start as usize..*end as usize,
            _ => 0..0,
        }
    }

    /// The block that has a text.
    pub(in crate::segment) fn block_of(&self, text: usize) -> usize {
        let firsts = self.firsts.partition_point(|first| *first as usize <= text);
        firsts.saturating_sub(1)
    }

    pub(in crate::segment) fn memory_bytes(&self) -> usize {
        self.firsts.len() * 4 + self.runs.len() * 40
    }

    pub(in crate::segment) fn parse(
        cursor: &mut Cursor<'_>,
        presence: &Presence,
        blocks: usize,
        start: u64,
        area_bytes: u64,
    ) -> Result<Heap, Flaw> {
        let mut firsts = vec![0u32];
        let mut total = 0usize;
        for (block, count) in ints::decode_lengths(cursor, blocks, TEXTS_MAX)?
            .into_iter()
            .enumerate()
        {
            let (first, end) = presence.values_of(block);
            if count > (end - first) * super::split::VARIABLES_MAX {
                return Err(Flaw("a heap has more texts than its rows"));
            }
            total += count;
            firsts.push(total as u32);
        }
        let count = cursor.count(total)?;
        let texts = ints::decode_lengths(cursor, count, total)?;
        let plain = ints::decode_lengths(cursor, count, FRAME_PLAIN_BYTES_MAX)?;
        let mut runs = Vec::with_capacity(count);
        let mut end = 0usize;
        for (texts, plain_bytes) in texts.into_iter().zip(plain) {
            let first = end;
            end = end.saturating_add(texts);
            runs.push(Run {
                first,
                end,
                plain_bytes,
            });
        }
        if end != total {
            return Err(Flaw("runs of a heap do not fit its texts"));
        }
        let pages = Pages::parse(cursor, count, start, area_bytes)?;
        let filters = Pages::parse(cursor, count, pages.end(), area_bytes)?;
        Ok(Heap {
            firsts,
            runs,
            pages,
            filters,
        })
    }
}

/// A heap while it is written.
#[derive(Default)]
pub(in crate::segment) struct HeapWriter {
    plain: Vec<u8>,
    texts: usize,
    first: usize,
    block_first: usize,
    hashes: HashSet<u64>,
    block_texts: Vec<usize>,
    run_texts: Vec<usize>,
    run_plain: Vec<usize>,
    run_bytes: Vec<usize>,
    filter_bytes: Vec<usize>,
    /// Compressed runs; their filters follow when it is finished.
    pub bytes: Vec<u8>,
    filters: Vec<u8>,
}

impl HeapWriter {
    pub(in crate::segment) fn push(
        &mut self,
        text: &str,
        compressor: &mut Compressor<'_>,
    ) -> std::io::Result<()> {
        if !self.plain.is_empty() && self.plain.len() + text.len() > RUN_PLAIN_BYTES {
            self.end_run(compressor)?;
        }
        push_text(&mut self.plain, text);
        self.texts += 1;
        let hashes = &mut self.hashes;
        filter::token_hashes(text, |hash| {
            hashes.insert(hash);
        });
        Ok(())
    }

    pub(in crate::segment) fn end_block(&mut self) {
        self.block_texts.push(self.texts - self.block_first);
        self.block_first = self.texts;
    }

    fn end_run(&mut self, compressor: &mut Compressor<'_>) -> std::io::Result<()> {
        let packed = compressor.compress(&self.plain)?;
        self.bytes.extend_from_slice(&packed);
        self.run_bytes.push(packed.len());
        self.run_texts.push(self.texts - self.first);
        self.run_plain.push(self.plain.len());
        self.first = self.texts;
        self.plain.clear();
        let mut hashes: Vec<u64> = self.hashes.drain().collect();
        hashes.sort_unstable();
        let start = self.filters.len();
        filter::encode(&hashes, &mut self.filters);
        self.filter_bytes.push(self.filters.len() - start);
        Ok(())
    }

    /// Closes the last run and writes what is where.
    pub(in crate::segment) fn finish(
        &mut self,
        compressor: &mut Compressor<'_>,
        out: &mut Vec<u8>,
    ) -> std::io::Result<()> {
        if !self.plain.is_empty() {
            self.end_run(compressor)?;
        }
        ints::encode_lengths(&self.block_texts, out);
        put_varint(out, self.run_texts.len() as u64);
        ints::encode_lengths(&self.run_texts, out);
        ints::encode_lengths(&self.run_plain, out);
        Pages::new(0, &self.run_bytes).write(out);
        Pages::new(0, &self.filter_bytes).write(out);
        self.bytes.append(&mut self.filters);
        Ok(())
    }
}
