//! Encoding a column as prose: its values become a stream of numbers, of which symbols, frames and
//! index are made in passes.
use super::{
    COMMON_MAX, Packing, Prose, Stored,
    inverted::Inverted,
    stream::Stream,
    symbols::Writer,
    table::TooMuch,
    terms::{COMMON_BYTES_MAX, Cutting, term_of},
};
use crate::segment::{
    EncodeError,
    directory::{ColumnDirectory, Frame, Layout, Pages},
    encode::{ZSTD_LEVEL, encode_pages, numbers_of_blocks},
    gather::Values,
    ints,
    number::number_of,
};
use hashbrown::HashMap;
use taffrail_model::{
    column::Kind,
    token::{fold, tokens},
};
use zstd::{bulk::Compressor, zstd_safe::CParameter};

/// Bytes of codes of a frame, some 400 KB of text: a candidate costs unpacking one.
const FRAME_BYTES: usize = 128 << 10;
/// Bytes of codes of the head, if the column is large: what a reader holds of each section that is
/// searched.
const HEAD_BYTES_MAX: usize = 1 << 20;
/// Logarithm of the size of zstd's table of long matches at its level.
const ZSTD_HASH_LOG: u32 = 17;
/// A head is at most this part of its column.
const HEAD_PART: usize = 16;
/// Packing after a head takes longer, and a reader holds it: it must save one byte in so many of the
/// second frame.
const HEAD_GAIN_PART: usize = 10;
/// Packing at all must save one byte in so many of it. Words that repeat are codes already; where
/// little else repeats, most of the time of a search would be that of unpacking.
const GAIN_PART: usize = 8;
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
    let (cutting, common) = sample(values);
    let Ok(stream) = take_in(values, cutting, &common) else {
        return Ok(None);
    };
    let start = out.len();
    let stored = write_values(values, &stream, compressor, out)?;
    let terms = stream.into_terms();
    let index = Inverted::write(&terms, out);
    let prose = Prose {
        term_pages: Pages::new(stored.end(), &index.page_bytes),
        stored,
        terms: terms.texts.len(),
        firsts: index.firsts,
        postings_bytes: index.postings_bytes,
        cutting,
        has_cut: index.has_cut,
        common,
    };
    debug_assert_eq!(prose.end(), (out.len() - start) as u64);
    let lengths = encode_pages(values, kind, out, |_, _| {});
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

fn take_in(values: &Values<'_>, cutting: Cutting, common: &[Box<[u8]>]) -> Result<Stream, TooMuch> {
    let mut stream = Stream::new(cutting, common)?;
    for text in values.texts() {
        stream.push(text)?;
    }
    Ok(stream)
}

/// Appends frames and symbols.
fn write_values(
    values: &Values<'_>,
    stream: &Stream,
    compressor: &mut Compressor<'_>,
    out: &mut Vec<u8>,
) -> Result<Stored, EncodeError> {
    let writer = Writer::new(stream);
    let mut frames = Frames::default();
    let head_bytes = (stream.bytes() / HEAD_PART).clamp(FRAME_BYTES, HEAD_BYTES_MAX);
    frames.fill(values, stream, &writer, head_bytes);
    frames.push(compress(compressor, &frames.plain)?, out);
    let head = frames.plain.clone();
    let mut packing = Packing::Alone;
    let mut after_head = None;
    while frames.value_end < values.len() {
        let is_second = frames.frames.len() == 1;
        frames.fill(values, stream, &writer, FRAME_BYTES);
        if is_second {
            (packing, after_head) = choose_packing(&head, &frames.plain, compressor)?;
        }
        let packed = match (packing, &mut after_head) {
            (Packing::Plain, _) => frames.plain.clone(),
            (_, Some(after_head)) => compress(after_head, &frames.plain)?,
            (_, None) => compress(compressor, &frames.plain)?,
        };
        frames.push(packed, out);
    }
    let run = writer.symbols(stream);
    let packed = compress(compressor, &run.plain)?;
    out.extend_from_slice(&packed);
    Ok(Stored {
        frame_pages: Pages::new(0, &frames.packed_bytes),
        frames: frames.frames,
        packing,
        codes: writer.form,
        symbols: writer.ranks.len(),
        symbols_bytes: packed.len(),
        symbols_text_bytes: run.text_bytes,
        symbols_marked: run.marked,
    })
}

fn compress(compressor: &mut Compressor<'_>, plain: &[u8]) -> Result<Vec<u8>, EncodeError> {
    compressor.compress(plain).map_err(EncodeError::Compress)
}

/// How frames after the head are packed, judged by the first of them, and the compressor whose
/// dictionary is the head, if that is worth it.
fn choose_packing(
    head: &[u8],
    next: &[u8],
    compressor: &mut Compressor<'_>,
) -> Result<(Packing, Option<Compressor<'static>>), EncodeError> {
    let failed = EncodeError::Compress;
    let mut after_head = Compressor::with_dictionary(ZSTD_LEVEL, head).map_err(failed)?;
    let hash_log = head.len().next_power_of_two().ilog2().saturating_sub(2);
    if hash_log > ZSTD_HASH_LOG {
        // By itself zstd would look at the last megabyte of a head only.
        let hash_log = CParameter::HashLog(hash_log);
        after_head.set_parameter(hash_log).map_err(failed)?;
    }
    let alone = compress(compressor, next)?.len();
    let with_head = compress(&mut after_head, next)?.len();
    let is_saved = |bytes: usize, of: usize, part: usize| bytes + of / part <= of;
    Ok(match () {
        () if is_saved(with_head, alone.min(next.len()), HEAD_GAIN_PART) => {
            (Packing::AfterHead, Some(after_head))
        }
        () if is_saved(alone, next.len(), GAIN_PART) => (Packing::Alone, None),
        () => (Packing::Plain, None),
    })
}

/// The frames as far as they are written, and the one that is open.
#[derive(Default)]
struct Frames {
    /// Lengths of the values, then their codes.
    plain: Vec<u8>,
    value_end: usize,
    frames: Vec<Frame>,
    packed_bytes: Vec<usize>,
}

impl Frames {
    /// Makes the next frame of at least one value, and more as long as they begin before `bytes`.
    fn fill(&mut self, values: &Values<'_>, stream: &Stream, writer: &Writer, bytes: usize) {
        let first_value = self.value_end;
        let mut codes = Vec::with_capacity(bytes * 2);
        let mut lengths = Vec::new();
        while self.value_end < values.len() && codes.len() < bytes {
            let start = codes.len();
            let text = values.text(self.value_end);
            writer.write_value(text, stream, self.value_end, &mut codes);
            lengths.push(codes.len() - start);
            self.value_end += 1;
        }
        self.plain.clear();
        ints::encode_lengths(&lengths, &mut self.plain);
        self.plain.extend_from_slice(&codes);
        self.frames.push(Frame {
            first_value,
            value_end: self.value_end,
            plain_bytes: self.plain.len(),
        });
    }

    /// Appends the open frame as it is packed.
    fn push(&mut self, packed: Vec<u8>, out: &mut Vec<u8>) {
        out.extend_from_slice(&packed);
        self.packed_bytes.push(packed.len());
    }
}

/// Which tokens are cut, and the words that many values of a sample have, ascending; none if the
/// column is small.
fn sample(values: &Values<'_>) -> (Cutting, Vec<Box<[u8]>>) {
    let count = values.len().min(SAMPLE_VALUES);
    // For each word the values that have it, and the last of them.
    let mut words: HashMap<String, (usize, usize)> = HashMap::new();
    let (mut bytes, mut data_bytes) = (0, 0);
    for number in 0..count {
        let text = fold(values.text(values.len() * number / count));
        for (start, end) in tokens(&text) {
            let word = &text[start..end];
            bytes += word.len();
            if term_of(word, Cutting::Data).1 {
                data_bytes += word.len();
            } else if word.len() <= COMMON_BYTES_MAX {
                let (values, last) = words.entry_ref(word).or_insert((0, usize::MAX));
                *values += usize::from(*last != number);
                *last = number;
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
    let mut common: Vec<(usize, String)> = words
        .into_iter()
        .filter(|(_, (values, _))| values * COMMON_PART >= count)
        .map(|(word, (values, _))| (values, word))
        .collect();
    common.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    common.truncate(COMMON_MAX);
    let words = common.into_iter().map(|(_, word)| word.into_bytes().into());
    let mut words: Vec<Box<[u8]>> = words.collect();
    words.sort_unstable();
    (cutting, words)
}
