//! A column as it is taken in: its values as numbers of their words and separators.
//!
//! Invariants
//! - Words and separators alternate. What stands in the stream is enough to write the values down
//!   again, and to know their terms, without looking at their texts; only words and separators
//!   that are too long to be numbered are looked up in them.
//! - One space between two words is not said.
//!
//! Words are numbered as they come, so those that many values have get the smallest numbers: two
//! bytes a word of the stream. Everything else is done in passes over it, each in order, so that
//! the tables of a pass stay in the processor's cache.
use super::{
    table::{TextTable, TooMuch},
    terms::{Cutting, NUMBER, Plain, Token, pair_of, reads_as_number, term_of},
};
use taffrail_model::token::fold_into;

/// Longest word or separator that is numbered: what is longer comes once.
pub(super) const SYMBOL_BYTES_MAX: usize = 64;
/// No term: of separators.
const NO_TERM: u32 = u32::MAX;
/// What stands in the stream instead of a number.
const LONG_WORD: u32 = 0;
const LONG_SEPARATOR: u32 = 1;
const IS_NUMBER: u32 = 2;
const NUMBERS_FROM: u32 = 3;

/// A word in one spelling, or a separator, that is numbered.
#[derive(Clone, Copy)]
struct Symbol {
    /// How often it comes.
    count: u32,
    term: u32,
}

/// How many values have a term, and the last of them.
#[derive(Clone, Copy)]
struct Posted {
    count: u32,
    last: u32,
}

/// A piece of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Piece {
    /// A word or separator by its number.
    Symbol(u32),
    /// A word by its place in the text, with its term.
    Word {
        start: usize,
        bytes: usize,
        term: u32,
    },
    /// A separator by its place in the text.
    Separator { start: usize, bytes: usize },
    /// Nothing of the text: it reads as a number.
    Number,
}

/// See the module.
pub(super) struct Stream {
    /// Words and separators.
    pub symbols: TextTable,
    symbol_counts: Vec<Symbol>,
    pub terms: TextTable,
    posted: Vec<Posted>,
    bytes: Vec<u8>,
    /// Where each value ends.
    ends: Vec<usize>,
    cutting: Cutting,
    /// Common words; their terms have the first numbers.
    common: usize,
    /// The term of each pair of common words; [`NO_TERM`] if there was none yet.
    pairs: Vec<u32>,
    /// The term of values that read as a number.
    number: u32,
    plain: Plain,
    folded: String,
}

impl Stream {
    /// A stream without a value. `common` are words whose pairs are terms.
    pub(super) fn new(cutting: Cutting, common: &[Box<[u8]>]) -> Result<Stream, TooMuch> {
        let mut stream = Stream {
            symbols: TextTable::new(),
            symbol_counts: Vec::new(),
            terms: TextTable::new(),
            posted: Vec::new(),
            bytes: Vec::new(),
            ends: Vec::new(),
            cutting,
            common: common.len(),
            pairs: vec![NO_TERM; common.len() * common.len()],
            number: NO_TERM,
            plain: Plain::default(),
            folded: String::new(),
        };
        for word in common {
            stream.term(word)?;
        }
        Ok(stream)
    }

    /// Bytes of the stream so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How often a symbol comes.
    pub(super) fn uses(&self, symbol: u32) -> u32 {
        self.symbol_counts[symbol as usize].count
    }

    /// Whether a symbol is a word.
    pub(super) fn is_word(&self, symbol: u32) -> bool {
        self.symbol_counts[symbol as usize].term != NO_TERM
    }

    /// How many values have a term.
    pub(super) fn count(&self, term: u32) -> usize {
        self.posted[term as usize].count as usize
    }

    /// Appends a value.
    pub(super) fn push(&mut self, text: &str) -> Result<(), TooMuch> {
        let value = self.ends.len() as u32;
        if reads_as_number(text) {
            self.put(IS_NUMBER);
            self.number = self.term(NUMBER)?;
            self.post(self.number, value);
        }
        let mut plain = std::mem::take(&mut self.plain);
        plain.set(text);
        let mut end = 0;
        let mut before = NO_TERM;
        let mut is_within = Ok(());
        plain.for_each_token(text, |start, token| {
            if is_within.is_ok() {
                is_within = self
                    .push_separator(text, end, start)
                    .and_then(|()| self.push_word(start, &token, value, &mut before));
                end = start + token.text.len();
            }
        });
        self.plain = plain;
        is_within?;
        if end < text.len() {
            self.push_any_separator(text, end, text.len())?;
        }
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// Appends what stands before a word, the first one if `end` is 0.
    #[inline]
    fn push_separator(&mut self, text: &str, end: usize, start: usize) -> Result<(), TooMuch> {
        let is_said = match end {
            0 => start > 0,
            _ => start != end + 1 || text.as_bytes().get(end) != Some(&b' '),
        };
        match is_said {
            true => self.push_any_separator(text, end, start),
            false => Ok(()),
        }
    }

    fn push_any_separator(&mut self, text: &str, start: usize, end: usize) -> Result<(), TooMuch> {
        let bytes = text.as_bytes().get(start..end).unwrap_or_default();
        if bytes.len() > SYMBOL_BYTES_MAX {
            self.put(LONG_SEPARATOR);
            self.put(start as u32);
            self.put(bytes.len() as u32);
            return Ok(());
        }
        let symbol = self.symbols.number_of(&Token::of_term(bytes))?;
        match self.symbol_counts.get_mut(symbol as usize) {
            Some(known) => known.count += 1,
            None => self.symbol_counts.push(Symbol {
                count: 1,
                term: NO_TERM,
            }),
        }
        self.put(symbol + NUMBERS_FROM);
        Ok(())
    }

    #[inline]
    fn push_word(
        &mut self,
        start: usize,
        token: &Token<'_>,
        value: u32,
        before: &mut u32,
    ) -> Result<(), TooMuch> {
        let term = if token.text.len() > SYMBOL_BYTES_MAX {
            let term = self.term_of_word(token.text)?;
            self.put(LONG_WORD);
            self.put(start as u32);
            self.put(token.text.len() as u32);
            self.put(term);
            term
        } else {
            let symbol = self.symbols.number_of(token)?;
            self.put(symbol + NUMBERS_FROM);
            match self.symbol_counts.get_mut(symbol as usize) {
                Some(known) => {
                    known.count += 1;
                    known.term
                }
                None => {
                    let term = self.term_of_word(token.text)?;
                    self.symbol_counts.push(Symbol { count: 1, term });
                    term
                }
            }
        };
        self.post(term, value);
        if let Some(place) = self.pair(*before, term) {
            let pair = match self.pairs[place] {
                NO_TERM => {
                    let words = (self.terms.text(*before), self.terms.text(term));
                    let pair = self.term(&pair_of(words.0, words.1))?;
                    self.pairs[place] = pair;
                    pair
                }
                pair => pair,
            };
            self.post(pair, value);
        }
        *before = term;
        Ok(())
    }

    /// Where the term of two words stands, if both are common.
    #[inline]
    fn pair(&self, first: u32, second: u32) -> Option<usize> {
        let (first, second) = (first as usize, second as usize);
        (first < self.common && second < self.common).then_some(first * self.common + second)
    }

    /// The term of a word as it is spelled.
    #[cold]
    fn term_of_word(&mut self, word: &[u8]) -> Result<u32, TooMuch> {
        let mut folded = std::mem::take(&mut self.folded);
        folded.clear();
        // Tokens are cut where characters begin.
        fold_into(std::str::from_utf8(word).unwrap_or_default(), &mut folded);
        let (term, _) = term_of(&folded, self.cutting);
        self.folded = folded;
        self.term(&term)
    }

    fn term(&mut self, term: &[u8]) -> Result<u32, TooMuch> {
        let number = self.terms.number_of(&Token::of_term(term))?;
        if number as usize >= self.posted.len() {
            self.posted.push(Posted {
                count: 0,
                last: u32::MAX,
            });
        }
        Ok(number)
    }

    #[inline]
    fn post(&mut self, term: u32, value: u32) {
        let posted = &mut self.posted[term as usize];
        posted.count += u32::from(posted.last != value);
        posted.last = value;
    }

    #[inline]
    fn put(&mut self, number: u32) {
        let mut rest = number;
        while rest >= 0x80 {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
    }

    /// The pieces of a value.
    pub(super) fn pieces(&self, value: usize) -> Pieces<'_> {
        let start = value.checked_sub(1).map_or(0, |before| self.ends[before]);
        Pieces {
            bytes: &self.bytes[start..self.ends[value]],
        }
    }

    /// Calls `each` with the terms of a value, some several times.
    #[inline]
    pub(super) fn for_each_term(&self, value: usize, mut each: impl FnMut(u32)) {
        let mut before = NO_TERM;
        for piece in self.pieces(value) {
            let term = match piece {
                Piece::Symbol(symbol) => self.symbol_counts[symbol as usize].term,
                Piece::Word { term, .. } => term,
                Piece::Separator { .. } => NO_TERM,
                Piece::Number => {
                    each(self.number);
                    NO_TERM
                }
            };
            if term == NO_TERM {
                continue;
            }
            each(term);
            if let Some(place) = self.pair(before, term) {
                each(self.pairs[place]);
            }
            before = term;
        }
    }
}

/// See [`Stream::pieces`].
pub(super) struct Pieces<'a> {
    bytes: &'a [u8],
}

impl Pieces<'_> {
    #[inline]
    fn number(&mut self) -> Option<u32> {
        let mut number = 0;
        let mut shift = 0;
        loop {
            let (byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            number |= u32::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Some(number);
            }
            shift += 7;
        }
    }
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    #[inline]
    fn next(&mut self) -> Option<Piece> {
        Some(match self.number()? {
            LONG_WORD => Piece::Word {
                start: self.number()? as usize,
                bytes: self.number()? as usize,
                term: self.number()?,
            },
            LONG_SEPARATOR => Piece::Separator {
                start: self.number()? as usize,
                bytes: self.number()? as usize,
            },
            IS_NUMBER => Piece::Number,
            number => Piece::Symbol(number - NUMBERS_FROM),
        })
    }
}
