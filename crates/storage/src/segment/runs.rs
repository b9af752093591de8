//! A text column as compressed runs with a filter of tokens for each group of blocks: for what is
//! neither number nor template, nor long enough for an index of its words.
//!
//! Memory is that of one run and of the tokens of one group.
use super::{
    EncodeError,
    directory::{ColumnDirectory, Frame, Group, Layout, Pages},
    encode::{encode_pages, numbers_of_blocks},
    filter,
    gather::Values,
    number::number_of,
    text::{FRAME_PLAIN_BYTES, push_text},
};
use hashbrown::HashSet;
use taffrail_model::column::Kind;
use zstd::bulk::Compressor;

/// Appends a column as compressed runs with a filter of tokens for each group of blocks.
pub(super) fn encode(
    values: &Values<'_>,
    kind: Option<Kind>,
    compressor: &mut Compressor<'_>,
    out: &mut Vec<u8>,
) -> Result<ColumnDirectory, EncodeError> {
    let mut writer = TextWriter::new(compressor);
    let start = out.len();
    for block in values.blocks() {
        for index in block {
            writer.push(values.text(index), out)?;
        }
        writer.end_block(out)?;
    }
    writer.end_group(out)?;
    let frame_pages = Pages::new(0, &writer.frame_bytes);
    let mut block_pages = Vec::new();
    let lengths = encode_pages(values, kind, &mut block_pages, |_, _| {});
    out.extend_from_slice(&block_pages);
    let pages = match kind {
        Some(_) => Pages::new(frame_pages.end(), &[]),
        None => Pages::new(frame_pages.end(), &lengths),
    };
    out.extend_from_slice(&writer.filters);
    let filters = Pages::new(pages.end(), &writer.filter_bytes);
    debug_assert_eq!(filters.end(), (out.len() - start) as u64);
    Ok(ColumnDirectory {
        kind,
        layout: Layout::Text {
            groups: writer.groups,
            frames: writer.frames,
            pages: frame_pages,
            filters,
        },
        pages,
        numbers: numbers_of_blocks(values, |index| number_of(values.text(index))),
    })
}

/// The hashes of tokens are mixed already.
#[derive(Clone, Copy, Default)]
struct AsItIs(u64);

impl std::hash::Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

type Hashes = HashSet<u64, std::hash::BuildHasherDefault<AsItIs>>;

/// A text column while it is written.
struct TextWriter<'a, 'b> {
    compressor: &'a mut Compressor<'b>,
    /// Texts of the open frame, and the first of its values.
    plain: Vec<u8>,
    first_value: usize,
    next_value: usize,
    /// Whether the open frame began in an earlier block than the one that is written.
    has_earlier_block: bool,
    /// Bytes and tokens of the open group.
    group_bytes: usize,
    hashes: Hashes,
    blocks: usize,
    frames: Vec<Frame>,
    frame_bytes: Vec<usize>,
    groups: Vec<Group>,
    filters: Vec<u8>,
    filter_bytes: Vec<usize>,
}

impl<'a, 'b> TextWriter<'a, 'b> {
    fn new(compressor: &'a mut Compressor<'b>) -> TextWriter<'a, 'b> {
        TextWriter {
            compressor,
            plain: Vec::new(),
            first_value: 0,
            next_value: 0,
            has_earlier_block: false,
            group_bytes: 0,
            hashes: Hashes::default(),
            blocks: 0,
            frames: Vec::new(),
            frame_bytes: Vec::new(),
            groups: Vec::new(),
            filters: Vec::new(),
            filter_bytes: Vec::new(),
        }
    }

    fn push(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        // A block larger than a frame has several; one that comes after others in its frame may
        // fill it twice, so that small blocks are not torn.
        let limit = match self.has_earlier_block {
            true => 2 * FRAME_PLAIN_BYTES,
            false => FRAME_PLAIN_BYTES,
        };
        if !self.plain.is_empty() && self.plain.len() + text.len() > limit {
            self.end_frame(out)?;
        }
        push_text(&mut self.plain, text);
        self.group_bytes += text.len();
        self.next_value += 1;
        let hashes = &mut self.hashes;
        filter::token_hashes(text, |hash| {
            hashes.insert(hash);
        });
        Ok(())
    }

    fn end_block(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.blocks += 1;
        self.has_earlier_block = !self.plain.is_empty();
        // Another block like this one would make the frame larger than it should be.
        if self.group_bytes >= FRAME_PLAIN_BYTES / 4 * 3 {
            self.end_group(out)?;
        }
        Ok(())
    }

    fn end_frame(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let packed = self
            .compressor
            .compress(&self.plain)
            .map_err(EncodeError::Compress)?;
        out.extend_from_slice(&packed);
        self.frame_bytes.push(packed.len());
        self.frames.push(Frame {
            first_value: self.first_value,
            value_end: self.next_value,
            plain_bytes: self.plain.len(),
        });
        self.first_value = self.next_value;
        self.plain.clear();
        self.has_earlier_block = false;
        Ok(())
    }

    fn end_group(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.groups.last().map_or(0, |group| group.block_end) == self.blocks {
            return Ok(());
        }
        if !self.plain.is_empty() {
            self.end_frame(out)?;
        }
        self.groups.push(Group {
            block_end: self.blocks,
            frame_end: self.frames.len(),
        });
        let hashes: Vec<u64> = self.hashes.drain().collect();
        let start = self.filters.len();
        filter::encode(&hashes, &mut self.filters);
        self.filter_bytes.push(self.filters.len() - start);
        self.group_bytes = 0;
        Ok(())
    }
}
