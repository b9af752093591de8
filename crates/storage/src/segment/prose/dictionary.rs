//! Pages of the dictionary: terms in order with where their postings are.
//!
//! The first term of each page stands in the column's directory, so that one page is read to look
//! a term up. Within a page a term is what it shares with the one before, and the rest. Short
//! postings stand in the page themselves, so that a rare word costs one access.
use super::super::wire::{Cursor, Flaw, put_varint};
use super::terms::TERM_BYTES_MAX;
use std::ops::Range;

/// Terms of a page: a page is about 2 KiB, read through in 2 us.
pub(super) const PAGE_TERMS: usize = 128;
/// Longest postings that stand in the page.
const INLINE_BYTES_MAX: usize = 48;
/// Marks lengths that do not fit half a byte.
const LONG: u8 = 0xff;
const HALF: usize = 15;

/// A dictionary while it is written.
#[derive(Default)]
pub(super) struct Writer {
    /// First term of each page.
    pub firsts: Vec<Box<[u8]>>,
    pub pages: Vec<u8>,
    pub page_bytes: Vec<usize>,
    /// Postings that stand outside of the pages.
    pub postings: Vec<u8>,
    terms: usize,
    last: Vec<u8>,
    page_start: usize,
}

impl Writer {
    /// Appends a term, greater than all before it, with its count and postings.
    pub(super) fn push(&mut self, term: &[u8], count: usize, list: &[u8]) {
        if self.terms.is_multiple_of(PAGE_TERMS) {
            self.end_page();
            self.firsts.push(term.into());
            put_varint(&mut self.pages, self.postings.len() as u64);
        } else {
            let same = self.last.iter().zip(term).take_while(|(a, b)| a == b);
            let shared = same.count();
            let rest = term.get(shared..).unwrap_or_default();
            if shared < HALF && rest.len() < HALF {
                self.pages.push((shared << 4 | rest.len()) as u8);
            } else {
                self.pages.push(LONG);
                put_varint(&mut self.pages, shared as u64);
                put_varint(&mut self.pages, rest.len() as u64);
            }
            self.pages.extend_from_slice(rest);
        }
        self.last.clear();
        self.last.extend_from_slice(term);
        self.terms += 1;
        put_varint(&mut self.pages, count as u64);
        put_varint(&mut self.pages, list.len() as u64);
        match list.len() <= INLINE_BYTES_MAX {
            true => self.pages.extend_from_slice(list),
            false => self.postings.extend_from_slice(list),
        }
    }

    /// Closes the last page; the number of terms.
    pub(super) fn finish(&mut self) -> usize {
        self.end_page();
        self.terms
    }

    fn end_page(&mut self) {
        if self.pages.len() > self.page_start {
            self.page_bytes.push(self.pages.len() - self.page_start);
            self.page_start = self.pages.len();
        }
    }
}

/// Where the postings of a term are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// In the page.
    Inline(Vec<u8>),
    /// A range of the postings' area.
    At(Range<u64>),
}

/// A term as it was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub count: usize,
    pub list: List,
}

/// Calls `each` with the terms of a page, in order, as long as it returns `true`. What bounds the
/// number of terms and values is known from the directory.
pub(super) fn read_page(
    page: &[u8],
    first: &[u8],
    terms: usize,
    values: usize,
    postings_bytes: u64,
    mut each: impl FnMut(&[u8], &dyn Fn() -> Entry) -> bool,
) -> Result<(), Flaw> {
    let mut cursor = Cursor::new(page);
    let mut at = cursor.varint()?;
    let mut term = Vec::with_capacity(TERM_BYTES_MAX);
    term.extend_from_slice(first);
    for number in 0..terms {
        if number > 0 {
            read_term(&mut cursor, &mut term)?;
        }
        let count = cursor.count(values)?;
        let bytes = cursor.count(usize::MAX)?;
        let inline = match bytes <= INLINE_BYTES_MAX {
            true => Some(cursor.take(bytes)?),
            false => None,
        };
        let start = at;
        if inline.is_none() {
            at = start
                .checked_add(bytes as u64)
                .filter(|end| *end <= postings_bytes)
                .ok_or(Flaw("postings reach past their area"))?;
        }
        let entry = || Entry {
            count,
            list: match inline {
                Some(list) => List::Inline(list.to_vec()),
                None => List::At(start..at),
            },
        };
        if !each(&term, &entry) {
            return Ok(());
        }
    }
    cursor.finish()
}

/// Makes a term of the one before it.
fn read_term(cursor: &mut Cursor<'_>, term: &mut Vec<u8>) -> Result<(), Flaw> {
    let (shared, rest) = match cursor.byte()? {
        LONG => (cursor.count(TERM_BYTES_MAX)?, cursor.count(TERM_BYTES_MAX)?),
        halves => (usize::from(halves >> 4), usize::from(halves & 0x0f)),
    };
    let rest = cursor.take(rest)?;
    if shared > term.len() || shared + rest.len() > TERM_BYTES_MAX {
        return Err(Flaw("a term is longer than it may be"));
    }
    let before = term.get(shared..).unwrap_or_default();
    if rest <= before {
        return Err(Flaw("terms do not ascend"));
    }
    term.truncate(shared);
    term.extend_from_slice(rest);
    Ok(())
}
