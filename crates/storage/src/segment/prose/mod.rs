//! Prose: long texts that are nearly all different (prompts, completions, tool results, stacks).
//!
//! Invariants
//! - Values are written with codes for the words and separators that come more than twice (see
//!   `symbols`), and lie in frames that are read one at a time. Where it is worth it, all but the
//!   first, the *head*, are compressed, and with the head as their dictionary. So small frames take
//!   no more than one long run, and a value costs one small frame once the head is in the cache.
//! - The index is exact: a value is among the postings of a term if and only if one of its tokens
//!   has that term. Only a cut term (see `terms`) and what spans several words leave candidates
//!   that have to be looked at.
//! - Postings number the values of the column, not the rows of the section: a column that few
//!   rows have costs what its values cost.
//!
//! Words that many values have are *common*; for two of them that follow one another there is a
//! term too, since finding such a pair by its words would mean to unpack nearly every frame.
//! Format: docs/formats/segment.md.
mod codes;
mod decode;
mod dictionary;
mod encode;
mod find;
mod index;
mod inverted;
mod judge;
mod marks;
mod postings;
mod stream;
mod symbols;
mod table;
mod terms;
#[cfg(test)]
mod tests;

pub(super) use encode::encode;
pub(super) use find::{find, may_be_in};

use super::{
    directory::{Frame, Pages, parse_frames, write_frames},
    text::DICTIONARY_PLAIN_BYTES_MAX,
    wire::{Cursor, Flaw, put_bytes, put_varint},
};
use codes::Codes;
use dictionary::PAGE_TERMS;
use symbols::SYMBOLS_MAX;
use terms::{COMMON_BYTES_MAX, Cutting, TERM_BYTES_MAX};

/// Common words of a column at the most: their pairs are looked up in a table of this squared.
const COMMON_MAX: usize = 128;
/// Terms that a directory may declare: what a reader allocates for its pages is bounded.
const TERMS_MAX: usize = 1 << 24;

/// How frames after the first are packed, with its number in the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    /// Each compressed by itself.
    Alone = 0,
    /// Compressed with the first as their dictionary.
    AfterHead = 1,
    /// Not compressed.
    Plain = 2,
}

/// How the values of a column are stored: frames of codes, then the symbols.
#[derive(Clone, Debug, PartialEq)]
struct Stored {
    frames: Vec<Frame>,
    frame_pages: Pages,
    packing: Packing,
    codes: Codes,
    symbols: usize,
    symbols_bytes: usize,
    symbols_text_bytes: usize,
    symbols_marked: usize,
}

impl Stored {
    fn end(&self) -> u64 {
        self.frame_pages.end() + self.symbols_bytes as u64
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_frames(&self.frames, &self.frame_pages, out);
        out.push(self.packing as u8);
        put_varint(out, self.codes.one as u64);
        put_varint(out, self.codes.two as u64);
        put_varint(out, self.symbols as u64);
        put_varint(out, self.symbols_bytes as u64);
        put_varint(out, self.symbols_text_bytes as u64);
        put_varint(out, self.symbols_marked as u64);
    }

    fn parse(cursor: &mut Cursor<'_>, area_bytes: u64, values: usize) -> Result<Stored, Flaw> {
        let (frames, frame_pages) = parse_frames(cursor, area_bytes, values)?;
        if frames.last().map_or(0, |frame| frame.value_end) != values {
            return Err(Flaw("frames of a text do not have its values"));
        }
        let packing = match cursor.byte()? {
            0 => Packing::Alone,
            1 => Packing::AfterHead,
            2 => Packing::Plain,
            _ => return Err(Flaw("a form of frames is unknown")),
        };
        let codes = Codes {
            one: cursor.count(usize::from(u8::MAX))?,
            two: cursor.count(usize::from(u8::MAX))?,
        };
        if !codes.are_possible() {
            return Err(Flaw("codes have more first bytes than there are"));
        }
        let symbols = cursor.count(SYMBOLS_MAX)?;
        let stored = Stored {
            frames,
            frame_pages,
            packing,
            codes,
            symbols,
            symbols_bytes: cursor.count(area_bytes as usize)?,
            symbols_text_bytes: cursor.count(DICTIONARY_PLAIN_BYTES_MAX)?,
            symbols_marked: cursor.count(symbols)?,
        };
        if stored.end() > area_bytes {
            return Err(Flaw("symbols reach past their area"));
        }
        Ok(stored)
    }
}

/// What is where in the area of a prose column: frames, symbols, pages of the dictionary, postings,
/// then the pages of the blocks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Prose {
    stored: Stored,
    terms: usize,
    /// First term of each page.
    firsts: Vec<Box<[u8]>>,
    term_pages: Pages,
    postings_bytes: u64,
    cutting: Cutting,
    /// Whether some terms are cut.
    has_cut: bool,
    /// Common words, ascending.
    common: Vec<Box<[u8]>>,
}

impl Prose {
    pub(super) fn memory_bytes(&self) -> usize {
        self.stored.frames.len() * 24
            + self.stored.frame_pages.memory_bytes()
            + self.term_pages.memory_bytes()
            + (self.firsts.len() + self.common.len()) * 32
    }

    /// Where the index ends and the blocks' pages begin.
    pub(super) fn end(&self) -> u64 {
        self.term_pages.end() + self.postings_bytes
    }

    /// Bytes of the index, without what of it stands in the directory.
    pub(super) fn index_bytes(&self) -> u64 {
        self.end() - self.stored.end()
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.stored.write(out);
        put_varint(out, self.terms as u64);
        self.firsts.iter().for_each(|first| put_bytes(out, first));
        self.term_pages.write(out);
        put_varint(out, self.postings_bytes);
        let is_data = self.cutting == Cutting::Data;
        out.push(u8::from(is_data) << 1 | u8::from(self.has_cut));
        put_varint(out, self.common.len() as u64);
        self.common.iter().for_each(|word| put_bytes(out, word));
    }

    /// Reads what [`Prose::write`] wrote, for a column of `values` values.
    pub(super) fn parse(
        cursor: &mut Cursor<'_>,
        area_bytes: u64,
        values: usize,
    ) -> Result<Prose, Flaw> {
        let stored = Stored::parse(cursor, area_bytes, values)?;
        let terms = cursor.count(TERMS_MAX)?;
        let page_count = terms.div_ceil(PAGE_TERMS);
        let firsts = parse_terms(cursor, page_count, TERM_BYTES_MAX)?;
        let term_pages = Pages::parse(cursor, page_count, stored.end(), area_bytes)?;
        let postings_bytes = cursor.varint()?;
        let end = term_pages.end().checked_add(postings_bytes);
        if end.is_none_or(|end| end > area_bytes) {
            return Err(Flaw("postings reach past their area"));
        }
        let (cutting, has_cut) = match cursor.byte()? {
            flags @ (0 | 1) => (Cutting::Longest, flags == 1),
            flags @ (2 | 3) => (Cutting::Data, flags == 3),
            _ => return Err(Flaw("a form of terms is unknown")),
        };
        let common_count = cursor.count(COMMON_MAX)?;
        let common = parse_terms(cursor, common_count, COMMON_BYTES_MAX)?;
        Ok(Prose {
            stored,
            terms,
            firsts,
            term_pages,
            postings_bytes,
            cutting,
            has_cut,
            common,
        })
    }

    /// Terms of a page.
    fn terms_of_page(&self, page: usize) -> usize {
        let before = page.saturating_mul(PAGE_TERMS);
        self.terms.saturating_sub(before).min(PAGE_TERMS)
    }
}

/// Reads `count` terms, which ascend.
fn parse_terms(
    cursor: &mut Cursor<'_>,
    count: usize,
    bytes_max: usize,
) -> Result<Vec<Box<[u8]>>, Flaw> {
    let mut terms: Vec<Box<[u8]>> = Vec::new();
    for _ in 0..count {
        let term = cursor.bytes()?;
        if term.len() > bytes_max || terms.last().is_some_and(|last| **last >= *term) {
            return Err(Flaw("terms do not ascend"));
        }
        terms.push(term.into());
    }
    Ok(terms)
}
