//! Encoding a column as prose: one pass that packs a frame, then notes the terms of its values
//! while they are still in the processor's cache.
use super::{
    COMMON_MAX, Prose,
    dictionary::Writer,
    table::{TermTable, TooMuch},
    terms::{
        COMMON_BYTES_MAX, CUT, CUT_BYTES_MAX, Cutting, NUMBER, Plain, Token, pair_of,
        reads_as_number,
    },
};
use crate::segment::{
    EncodeError,
    directory::{ColumnDirectory, Frame, Layout, Pages},
    encode::{ZSTD_LEVEL, encode_pages, numbers_of_blocks},
    gather::Values,
    number::number_of,
    text::push_text,
};
use taffrail_model::column::Kind;
use zstd::{bulk::Compressor, zstd_safe::CParameter};

/// Bytes of a frame: a candidate costs unpacking one.
const FRAME_BYTES: usize = 128 << 10;
/// Bytes of the head, if the column is large: what a reader holds of each section that is
/// searched.
const HEAD_BYTES_MAX: usize = 2 << 20;
/// Logarithm of the size of zstd's table of long matches at its level.
const ZSTD_HASH_LOG: u32 = 17;
/// A head is at most this part of its column.
const HEAD_PART: usize = 16;
/// Short tokens of which it is known that their value has them (16 KiB).
const SEEN_TOKENS: usize = 1 << 10;
/// Encoded data is much if one in so many bytes of all tokens is of it.
const DATA_PART: usize = 16;
/// Values by which common words are found, and how many of them there must be at least.
const SAMPLE_VALUES: usize = 256;
const SAMPLE_VALUES_MIN: usize = 64;
/// A word is common if one in so many values has it: about where the frames of two such words'
/// common values are most of the column.
const COMMON_PART: usize = 4;

/// Appends a column as prose with its index; nothing and `None` if its terms are too many.
pub(in crate::segment) fn encode(
    values: &Values<'_>,
    kind: Option<Kind>,
    compressor: &mut Compressor<'_>,
    out: &mut Vec<u8>,
) -> Result<Option<ColumnDirectory>, EncodeError> {
    let start = out.len();
    let mut index = IndexBuilder::new(values);
    let mut frames = Frames::default();
    let mut is_indexed = true;
    let head_bytes = (values.text_bytes() / HEAD_PART).clamp(FRAME_BYTES, HEAD_BYTES_MAX);
    frames.fill(values, head_bytes);
    frames.pack(compressor, out)?;
    is_indexed &= index.add(values, &frames).is_ok();
    if frames.value_end < values.len() {
        let mut compressor = compressor_after(&frames.plain).map_err(EncodeError::Compress)?;
        while frames.value_end < values.len() && is_indexed {
            frames.fill(values, FRAME_BYTES);
            frames.pack(&mut compressor, out)?;
            is_indexed &= index.add(values, &frames).is_ok();
        }
    }
    if !is_indexed {
        out.truncate(start);
        return Ok(None);
    }
    let frame_pages = Pages::new(0, &frames.packed_bytes);
    let prose = index.finish(values.len(), frames.frames, frame_pages, out);
    let pages_start = out.len();
    let lengths = encode_pages(values, kind, out, |_, _| {});
    debug_assert_eq!(prose.end(), (pages_start - start) as u64);
    let pages = match kind {
        Some(_) => Pages::new(prose.end(), &[]),
        None => Pages::new(prose.end(), &lengths),
    };
    Ok(Some(ColumnDirectory {
        kind,
        layout: Layout::Prose(prose),
        pages,
        numbers: numbers_of_blocks(values, |index| number_of(values.text(index))),
    }))
}

/// A compressor whose dictionary is the head.
fn compressor_after(head: &[u8]) -> std::io::Result<Compressor<'static>> {
    let mut compressor = Compressor::with_dictionary(ZSTD_LEVEL, head)?;
    let hash_log = head.len().next_power_of_two().ilog2().saturating_sub(2);
    if hash_log > ZSTD_HASH_LOG {
        // By itself zstd would look at the last megabyte of a head only.
        compressor.set_parameter(CParameter::HashLog(hash_log))?;
    }
    Ok(compressor)
}

/// The frames as far as they are written, and the one that is open.
#[derive(Default)]
struct Frames {
    plain: Vec<u8>,
    first_value: usize,
    value_end: usize,
    frames: Vec<Frame>,
    packed_bytes: Vec<usize>,
}

impl Frames {
    /// Opens the next frame with at least one value, and more as long as `bytes` are not passed.
    fn fill(&mut self, values: &Values<'_>, bytes: usize) {
        self.plain.clear();
        self.first_value = self.value_end;
        while self.value_end < values.len() {
            let text = values.text(self.value_end);
            if !self.plain.is_empty() && self.plain.len() + text.len() > bytes {
                return;
            }
            push_text(&mut self.plain, text);
            self.value_end += 1;
        }
    }

    fn pack(
        &mut self,
        compressor: &mut Compressor<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let packed = compressor
            .compress(&self.plain)
            .map_err(EncodeError::Compress)?;
        out.extend_from_slice(&packed);
        self.packed_bytes.push(packed.len());
        self.frames.push(Frame {
            first_value: self.first_value,
            value_end: self.value_end,
            plain_bytes: self.plain.len(),
        });
        Ok(())
    }
}

/// A short token that was seen lately.
#[derive(Clone, Copy, Default)]
struct Seen {
    head: u64,
    /// The value in which it was seen, plus one.
    value: u32,
    /// Number of its term.
    number: u32,
}

/// The index while it is built.
struct IndexBuilder {
    table: TermTable,
    plain: Plain,
    cutting: Cutting,
    /// Nearly half of the tokens were in their value before. What tells so stays in the innermost
    /// cache of the processor, which waits for the table only where there is something to add.
    seen: Vec<Seen>,
    /// Common words; their terms have the first numbers of the table.
    common: Vec<Box<[u8]>>,
    /// Number of the term of each pair of common words, plus one; 0 if there was none yet.
    pairs: Vec<u32>,
}

impl IndexBuilder {
    fn new(values: &Values<'_>) -> IndexBuilder {
        let mut plain = Plain::default();
        let (cutting, common) = sample(values, &mut plain);
        let mut table = TermTable::new();
        common.iter().for_each(|word| table.reserve(word));
        IndexBuilder {
            pairs: vec![0; common.len() * common.len()],
            common,
            table,
            plain,
            cutting,
            seen: vec![Seen::default(); SEEN_TOKENS],
        }
    }

    /// Notes the terms of the open frame's values.
    fn add(&mut self, values: &Values<'_>, frames: &Frames) -> Result<(), TooMuch> {
        for index in frames.first_value..frames.value_end {
            let text = values.text(index);
            if reads_as_number(text) {
                self.table.add(&Token::of_term(NUMBER), index as u32)?;
            }
            self.add_text(text, index as u32)?;
        }
        Ok(())
    }

    fn add_text(&mut self, text: &str, value: u32) -> Result<(), TooMuch> {
        self.plain.set(text);
        let common = self.common.len();
        let mut before = usize::MAX;
        for token in self.plain.tokens() {
            let seen = &mut self.seen[(token.hash >> 32) as usize % SEEN_TOKENS];
            let is_short = token.text.len() <= 8;
            let number = if is_short && (seen.head, seen.value) == (token.head, value + 1) {
                seen.number as usize
            } else if let Some(kept) = token.kept_if_cut(self.cutting) {
                add_cut(&mut self.table, token.text, kept, value)?;
                usize::MAX
            } else {
                let number = self.table.add(&token, value)?;
                if is_short {
                    *seen = Seen {
                        head: token.head,
                        value: value + 1,
                        number,
                    };
                }
                number as usize
            };
            if number < common && before < common {
                let pair = &mut self.pairs[before * common + number];
                if *pair == 0 {
                    let term = pair_of(&self.common[before], &self.common[number]);
                    *pair = self.table.add(&Token::of_term(&term), value)? + 1;
                } else {
                    self.table.post(*pair - 1, value)?;
                }
            }
            before = number;
        }
        Ok(())
    }

    /// Appends dictionary and postings.
    fn finish(
        self,
        values: usize,
        frames: Vec<Frame>,
        frame_pages: Pages,
        out: &mut Vec<u8>,
    ) -> Prose {
        let mut writer = Writer::default();
        let (mut list, mut bytes) = (Vec::new(), Vec::new());
        for number in self.table.sorted() {
            bytes.clear();
            self.table
                .encode_postings(number, values, &mut list, &mut bytes);
            writer.push(self.table.term(number), list.len(), &bytes);
        }
        let terms = writer.finish();
        out.extend_from_slice(&writer.pages);
        out.extend_from_slice(&writer.postings);
        Prose {
            term_pages: Pages::new(frame_pages.end(), &writer.page_bytes),
            frames,
            frame_pages,
            terms,
            firsts: writer.firsts,
            postings_bytes: writer.postings.len() as u64,
            cutting: self.cutting,
            has_cut: self.table.has_cut(),
            common: self.common,
        }
    }
}

#[cold]
fn add_cut(table: &mut TermTable, token: &[u8], kept: usize, value: u32) -> Result<(), TooMuch> {
    let mut buffer = [CUT; CUT_BYTES_MAX];
    for (to, from) in buffer.iter_mut().zip(&token[..kept]) {
        *to = *from;
    }
    table.add(&Token::of_term(&buffer[..kept + 1]), value)?;
    Ok(())
}

/// Which tokens are cut, and the words that many values of a sample have, ascending; none if the
/// column is small.
fn sample(values: &Values<'_>, plain: &mut Plain) -> (Cutting, Vec<Box<[u8]>>) {
    let count = values.len().min(SAMPLE_VALUES);
    let mut table = TermTable::new();
    let (mut bytes, mut data_bytes) = (0, 0);
    for number in 0..count {
        plain.set(values.text(values.len() * number / count));
        for token in plain.tokens() {
            bytes += token.text.len();
            if token.kept_if_cut(Cutting::Data).is_some() {
                data_bytes += token.text.len();
            } else if token.text.len() <= COMMON_BYTES_MAX
                && table.add(&token, number as u32).is_err()
            {
                // More words than any prose has.
                return (Cutting::Data, Vec::new());
            }
        }
    }
    let cutting = match data_bytes * DATA_PART > bytes {
        true => Cutting::Data,
        false => Cutting::Longest,
    };
    if count < SAMPLE_VALUES_MIN {
        return (cutting, Vec::new());
    }
    let numbers = 0..table.len() as u32;
    let mut common: Vec<u32> = numbers
        .filter(|number| table.count(*number) * COMMON_PART >= count)
        .collect();
    common.sort_unstable_by_key(|number| std::cmp::Reverse(table.count(*number)));
    common.truncate(COMMON_MAX);
    let words = common.iter().map(|number| table.term(*number).into());
    let mut words: Vec<Box<[u8]>> = words.collect();
    words.sort_unstable();
    (cutting, words)
}
