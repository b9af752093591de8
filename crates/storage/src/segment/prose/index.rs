//! Reading the index of a prose column: terms, their postings, and all words as one text.
use super::{
    Prose,
    dictionary::{Entry, List, read_page},
    postings::{self, ValueSet},
    terms::{CUT, NUMBER, PAIR, pair_of},
};
use crate::{
    read::ReadError,
    segment::{
        cache::Part,
        reader::{OpenColumn, SectionReader},
        wire::Flaw,
    },
};
use memchr::memmem::Finder;
use std::{ops::Range, sync::Arc};

/// Postings are read and kept by pieces of this size: a chunk of the container.
const PIECE_BYTES: u64 = 64 << 10;
/// Stands before and after each word of [`Words`]. No term has it.
const BREAK: u8 = b'\n';

/// Pages of the dictionary whose words are kept together: some 300 KB, 16 MB at the most.
const WORD_PAGES: usize = 256;

/// The words of some pages of the dictionary, in order, each between two breaks.
struct Words {
    text: Vec<u8>,
    /// For each page of the dictionary, where its words begin.
    starts: Vec<u32>,
}

/// What some words have in common: which of them are common, and the values that have them.
pub(super) struct WordSet {
    /// Terms of those that are common words.
    pub common: Vec<Vec<u8>>,
    /// Values with another one.
    pub with_others: ValueSet,
    /// Values with any of them.
    pub values: ValueSet,
}

/// Where in a word a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Begin,
    End,
    Anywhere,
}

/// The index of an open column.
pub(super) struct Index<'a> {
    pub reader: &'a SectionReader,
    pub column: &'a OpenColumn,
    pub prose: &'a Prose,
}

impl Index<'_> {
    /// Values of the column.
    pub(super) fn values(&self) -> usize {
        self.column.presence.values()
    }

    fn damaged(&self, flaw: Flaw) -> ReadError {
        self.reader.damaged(self.column.area, flaw)
    }

    /// Looks a term up; `None` if no value has it.
    pub(super) fn look_up(&self, term: &[u8]) -> Result<Option<Entry>, ReadError> {
        let firsts = &self.prose.firsts;
        let after = firsts.partition_point(|first| **first <= *term);
        let Some(page) = after.checked_sub(1) else {
            return Ok(None);
        };
        let mut found = None;
        self.with_terms(page, |have, entry| {
            if have == term {
                found = Some(entry());
            }
            have < term
        })?;
        Ok(found)
    }

    /// Calls `each` with the terms of a page as long as it returns `true`.
    fn with_terms(
        &self,
        page: usize,
        each: impl FnMut(&[u8], &dyn Fn() -> Entry) -> bool,
    ) -> Result<(), ReadError> {
        let prose = self.prose;
        let first = prose.firsts.get(page).map_or(&[][..], |first| first);
        self.reader.with_page(
            Part::Terms,
            self.column.number,
            self.column.area,
            &prose.term_pages,
            page,
            |bytes| {
                let terms = prose.terms_of_page(page);
                read_page(
                    bytes,
                    first,
                    terms,
                    self.values(),
                    prose.postings_bytes,
                    each,
                )
            },
        )
    }

    /// Adds the values that have a term.
    pub(super) fn add_postings(&self, entry: &Entry, out: &mut ValueSet) -> Result<(), ReadError> {
        let read;
        let bytes = match &entry.list {
            List::Inline(bytes) => bytes,
            List::At(range) => {
                read = self.read_postings(range)?;
                &read
            }
        };
        postings::decode(bytes, entry.count, self.values(), out).map_err(|flaw| self.damaged(flaw))
    }

    fn read_postings(&self, range: &Range<u64>) -> Result<Vec<u8>, ReadError> {
        let mut out = Vec::new();
        for piece in range.start / PIECE_BYTES..range.end.div_ceil(PIECE_BYTES) {
            let start = piece * PIECE_BYTES;
            let end = (start + PIECE_BYTES).min(self.prose.postings_bytes);
            let key = self
                .reader
                .key(Part::Postings, self.column.number, piece as usize);
            let bytes = self.reader.cache.get_or_load(key, || {
                let at = self.column.area + self.prose.term_pages.end() + start;
                let bytes = (end - start) as usize;
                Ok::<_, ReadError>((self.reader.read(at, bytes, Ok)?, bytes))
            })?;
            let from = range.start.max(start) - start;
            let to = range.end.min(end).saturating_sub(start);
            let part = bytes.get(from as usize..to as usize);
            out.extend_from_slice(part.unwrap_or_default());
        }
        Ok(out)
    }

    /// The values that have a term.
    pub(super) fn values_with(&self, term: &[u8]) -> Result<ValueSet, ReadError> {
        let mut out = ValueSet::none(self.values());
        if let Some(entry) = self.look_up(term)? {
            self.add_postings(&entry, &mut out)?;
        }
        Ok(out)
    }

    /// Words of pages from the `piece`th [`WORD_PAGES`] on.
    fn words(&self, piece: usize) -> Result<Arc<Words>, ReadError> {
        let key = self.reader.key(Part::Words, self.column.number, piece);
        self.reader.cache.get_or_load(key, || {
            let mut words = Words {
                text: vec![BREAK],
                starts: Vec::with_capacity(WORD_PAGES),
            };
            let first = piece * WORD_PAGES;
            for page in first..self.prose.firsts.len().min(first + WORD_PAGES) {
                words.starts.push(words.text.len() as u32 - 1);
                self.with_terms(page, |term, _| {
                    if is_word(term) {
                        words.text.extend_from_slice(term);
                        words.text.push(BREAK);
                    }
                    true
                })?;
            }
            words.text.shrink_to_fit();
            let bytes = words.text.len() + words.starts.len() * 4;
            Ok((words, bytes))
        })
    }

    fn is_common(&self, term: &[u8]) -> bool {
        let common = &self.prose.common;
        common.binary_search_by(|have| (**have).cmp(term)).is_ok()
    }

    /// A word, and the values that have it.
    pub(super) fn word(&self, term: &[u8]) -> Result<WordSet, ReadError> {
        let values = self.values_with(term)?;
        let is_common = self.is_common(term);
        Ok(WordSet {
            common: Vec::from_iter(is_common.then(|| term.to_vec())),
            with_others: match is_common {
                true => ValueSet::none(self.values()),
                false => values.clone(),
            },
            values,
        })
    }

    /// The values in which a word of the first set may stand before one of the second.
    pub(super) fn values_with_pair(
        &self,
        first: &WordSet,
        second: &WordSet,
    ) -> Result<ValueSet, ReadError> {
        let mut values = first.with_others.clone();
        values.keep(&second.values);
        let mut others = second.with_others.clone();
        others.keep(&first.values);
        values.add(&others);
        for one in &first.common {
            for other in &second.common {
                if let Some(entry) = self.look_up(&pair_of(one, other))? {
                    self.add_postings(&entry, &mut values)?;
                }
            }
        }
        Ok(values)
    }

    /// The words with `text` at this place, as far as words are whole.
    pub(super) fn words_with_part(&self, text: &str, place: Place) -> Result<WordSet, ReadError> {
        let mut needle = text.as_bytes().to_vec();
        match place {
            Place::Begin => needle.insert(0, BREAK),
            Place::End => needle.push(BREAK),
            Place::Anywhere => {}
        }
        let text = text.as_bytes();
        let finder = Finder::new(text);
        self.words_where(
            |hay| Finder::new(&needle).find(hay),
            |term| match place {
                Place::Begin => term.starts_with(text),
                Place::End => term.ends_with(text),
                Place::Anywhere => finder.find(term).is_some(),
            },
        )
    }

    /// The values that have a word of which the end is not known.
    pub(super) fn values_with_cut(&self) -> Result<ValueSet, ReadError> {
        if !self.prose.has_cut {
            return Ok(ValueSet::none(self.values()));
        }
        let cut = self.words_where(
            |hay| memchr::memchr(CUT, hay),
            |term| term.last() == Some(&CUT),
        )?;
        Ok(cut.values)
    }

    /// The words for which `is_meant`; `find` finds the next such word.
    fn words_where(
        &self,
        find: impl Fn(&[u8]) -> Option<usize>,
        is_meant: impl Fn(&[u8]) -> bool,
    ) -> Result<WordSet, ReadError> {
        let mut out = WordSet {
            common: Vec::new(),
            with_others: ValueSet::none(self.values()),
            values: ValueSet::none(self.values()),
        };
        for piece in 0..self.prose.firsts.len().div_ceil(WORD_PAGES) {
            let words = self.words(piece)?;
            for page in pages_where(&words, &find) {
                let mut entries = Vec::new();
                self.with_terms(piece * WORD_PAGES + page, |term, entry| {
                    if is_word(term) && is_meant(term) {
                        if self.is_common(term) {
                            out.common.push(term.to_vec());
                            entries.push((entry(), true));
                        } else {
                            entries.push((entry(), false));
                        }
                    }
                    true
                })?;
                for (entry, is_common) in entries {
                    let values = match is_common {
                        true => &mut out.values,
                        false => &mut out.with_others,
                    };
                    self.add_postings(&entry, values)?;
                }
            }
        }
        out.values.add(&out.with_others);
        Ok(out)
    }
}

/// Those of the words' pages, by their order, in which `find` finds something.
fn pages_where(words: &Words, find: impl Fn(&[u8]) -> Option<usize>) -> Vec<usize> {
    let mut pages = Vec::new();
    let mut at = 0;
    while let Some(hit) = words.text.get(at..).and_then(&find) {
        let hit = at + hit;
        let page = words.starts.partition_point(|start| *start as usize <= hit);
        at = match words.starts.get(page) {
            Some(start) => *start as usize,
            None => words.text.len(),
        };
        pages.extend(page.checked_sub(1));
    }
    pages
}

/// Whether a term is that of a word.
fn is_word(term: &[u8]) -> bool {
    term != NUMBER && term.first() != Some(&PAIR)
}
