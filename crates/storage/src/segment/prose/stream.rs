//! A column as it is taken in: its values as numbers of their words and separators, and of their
//! terms.
//!
//! Invariants
//! - Words and separators alternate. What stands in the stream is enough to write the values down
//!   again without looking at their texts; only words and separators that are too long to be
//!   numbered, or for which there is no number left, are looked up in them.
//! - One space between two words is not said.
//! - A value has each of its terms once.
//!
//! Words are numbered as they come, so those that many values have get the smallest numbers: two
//! bytes a word. What is known of all words of a value is looked up in loops without a branch, one
//! table after the other: each waits for memory once, not once a word.
use super::{
    table::{Slot, TextTable, TooMuch},
    terms::{Cutting, NUMBER, Plain, Token, pair_of, reads_as_number, term_of},
};
use crate::segment::wire::put_varint;
use taffrail_model::token::fold_into;

/// Longest word or separator that is numbered: what is longer comes once.
const SYMBOL_BYTES_MAX: usize = 64;
/// Words and separators that are numbered: a million beside the terms would be a burden.
const SYMBOLS_MAX: usize = 1 << 19;
/// No term: of separators.
const NO_TERM: u32 = u32::MAX;
/// What has no number.
const NO_SYMBOL: u32 = u32::MAX;
/// What stands in the stream before the place of something that has no number.
const LONG_WORD: u32 = 0;
const LONG_SEPARATOR: u32 = 1;
const NUMBERS_FROM: u32 = 2;

/// A word in one spelling, or a separator.
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

/// A word or separator of the value that is taken in.
struct Cut {
    head: [u64; 2],
    hash: u64,
    start: u32,
    bytes: u32,
    is_word: bool,
}

impl Cut {
    fn new(start: usize, token: &Token<'_>, is_word: bool) -> Cut {
        Cut {
            head: token.head,
            hash: token.hash,
            start: start as u32,
            bytes: token.text.len() as u32,
            is_word,
        }
    }

    fn token<'a>(&self, text: &'a str) -> Token<'a> {
        let (start, bytes) = (self.start as usize, self.bytes as usize);
        let text = text.as_bytes().get(start..start + bytes);
        Token {
            text: text.unwrap_or_default(),
            head: self.head,
            hash: self.hash,
        }
    }
}

/// What is known of the words and separators of a value; kept from value to value for its memory.
#[derive(Default)]
struct Found {
    cuts: Vec<Cut>,
    slots: Vec<Slot>,
    symbols: Vec<u32>,
    terms: Vec<u32>,
}

/// A piece of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Piece {
    /// A word or separator by its number.
    Symbol(u32),
    /// One by its place in the text.
    Place {
        start: usize,
        bytes: usize,
        is_word: bool,
    },
}

/// See the module.
pub(super) struct Stream {
    /// Words and separators.
    pub texts: TextTable,
    symbols: Vec<Symbol>,
    bytes: Vec<u8>,
    /// Where each value ends.
    ends: Vec<usize>,
    terms: Terms,
    cutting: Cutting,
    /// Common words; their terms have the first numbers.
    common: usize,
    /// The term of each pair of common words; [`NO_TERM`] if there was none yet.
    pairs: Vec<u32>,
    plain: Plain,
    found: Found,
    folded: String,
}

/// The terms of a column, and of each of its values.
pub(super) struct Terms {
    pub texts: TextTable,
    posted: Vec<Posted>,
    bytes: Vec<u8>,
    /// Where each value ends.
    ends: Vec<usize>,
}

impl Terms {
    fn number_of(&mut self, term: &[u8]) -> Result<u32, TooMuch> {
        let number = self.texts.number_of(&Token::of_term(term))?;
        if number as usize >= self.posted.len() {
            self.posted.push(Posted {
                count: 0,
                last: u32::MAX,
            });
        }
        Ok(number)
    }

    /// Ends a value that has these terms, some of them twice perhaps; what is in `terms` afterwards
    /// has no meaning.
    fn push(&mut self, terms: &mut [u32]) {
        let value = self.ends.len() as u32;
        let mut count = 0;
        for index in 0..terms.len() {
            let term = terms[index];
            let Some(posted) = self.posted.get_mut(term as usize) else {
                continue;
            };
            let is_new = posted.last != value;
            posted.last = value;
            posted.count += u32::from(is_new);
            terms[count] = term;
            count += usize::from(is_new);
        }
        for term in &terms[..count] {
            put_varint(&mut self.bytes, u64::from(*term));
        }
        self.ends.push(self.bytes.len());
    }

    /// How many values have a term.
    pub(super) fn count(&self, term: u32) -> usize {
        self.posted[term as usize].count as usize
    }

    /// Values.
    pub(super) fn values(&self) -> usize {
        self.ends.len()
    }

    /// The terms of a value.
    pub(super) fn of_value(&self, value: usize) -> impl Iterator<Item = u32> + '_ {
        let mut numbers = Numbers::of(&self.bytes, &self.ends, value);
        std::iter::from_fn(move || numbers.next())
    }
}

impl Stream {
    /// A stream without a value. `common` are words whose pairs are terms.
    pub(super) fn new(cutting: Cutting, common: &[Box<[u8]>]) -> Result<Stream, TooMuch> {
        let mut stream = Stream {
            texts: TextTable::new(SYMBOLS_MAX),
            symbols: Vec::new(),
            bytes: Vec::new(),
            ends: Vec::new(),
            terms: Terms {
                texts: TextTable::new(super::table::TEXTS_MAX),
                posted: Vec::new(),
                bytes: Vec::new(),
                ends: Vec::new(),
            },
            cutting,
            common: common.len(),
            pairs: vec![NO_TERM; common.len() * common.len()],
            plain: Plain::default(),
            found: Found::default(),
            folded: String::new(),
        };
        for word in common {
            stream.terms.number_of(word)?;
        }
        Ok(stream)
    }

    /// Bytes of the values so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How often a symbol comes.
    pub(super) fn uses(&self, symbol: u32) -> u32 {
        self.symbols[symbol as usize].count
    }

    /// Whether a symbol is a word.
    pub(super) fn is_word(&self, symbol: u32) -> bool {
        self.symbols[symbol as usize].term != NO_TERM
    }

    /// What is left when the values are written.
    pub(super) fn into_terms(self) -> Terms {
        self.terms
    }

    /// Appends a value.
    pub(super) fn push(&mut self, text: &str) -> Result<(), TooMuch> {
        let mut found = std::mem::take(&mut self.found);
        self.cut(text, &mut found.cuts);
        let is_within = self.push_found(text, &mut found);
        self.found = found;
        is_within
    }

    /// Cuts a text into words and separators.
    fn cut(&mut self, text: &str, cuts: &mut Vec<Cut>) {
        let bytes = text.as_bytes();
        let separator = |start: usize, end: usize| {
            let token = Token::of_term(bytes.get(start..end).unwrap_or_default());
            Cut::new(start, &token, false)
        };
        cuts.clear();
        self.plain.set(text);
        let mut end = 0;
        self.plain.for_each_token(text, |start, token| {
            let is_said = match end {
                0 => start > 0,
                _ => start != end + 1 || bytes.get(end) != Some(&b' '),
            };
            if is_said {
                cuts.push(separator(end, start));
            }
            cuts.push(Cut::new(start, &token, true));
            end = start + token.text.len();
        });
        if end < text.len() {
            cuts.push(separator(end, text.len()));
        }
    }

    fn push_found(&mut self, text: &str, found: &mut Found) -> Result<(), TooMuch> {
        let Found {
            cuts,
            slots,
            symbols,
            terms,
        } = found;
        slots.clear();
        let cuts = &*cuts;
        slots.extend(cuts.iter().map(|cut| self.texts.slot(cut.hash)));
        symbols.clear();
        for (cut, slot) in cuts.iter().zip(slots) {
            symbols.push(self.symbol(*slot, cut, text)?);
        }
        terms.clear();
        for (symbol, cut) in symbols.iter().zip(cuts) {
            terms.push(match self.symbols.get_mut(*symbol as usize) {
                Some(known) => {
                    known.count += 1;
                    known.term
                }
                None => self.term_of_cut(cut, text)?,
            });
        }
        self.push_pairs(terms)?;
        if reads_as_number(text) {
            terms.push(self.terms.number_of(NUMBER)?);
        }
        self.terms.push(terms);
        for (symbol, cut) in symbols.iter().zip(cuts) {
            if *symbol == NO_SYMBOL {
                self.put(if cut.is_word {
                    LONG_WORD
                } else {
                    LONG_SEPARATOR
                });
                self.put(cut.start);
                self.put(cut.bytes);
            } else {
                self.put(symbol + NUMBERS_FROM);
            }
        }
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// The number of a word or separator.
    #[inline]
    fn symbol(&mut self, slot: Slot, cut: &Cut, text: &str) -> Result<u32, TooMuch> {
        if cut.bytes as usize > SYMBOL_BYTES_MAX {
            return Ok(NO_SYMBOL);
        }
        let token = cut.token(text);
        // One that there is no room for is written as if it were long.
        let Ok(symbol) = self.texts.number_by(slot, &token) else {
            return Ok(NO_SYMBOL);
        };
        if symbol as usize >= self.symbols.len() {
            let term = self.term_of_cut(cut, text)?;
            self.symbols.push(Symbol { count: 0, term });
        }
        Ok(symbol)
    }

    /// The term of a word as it is spelled; none of a separator.
    #[cold]
    fn term_of_cut(&mut self, cut: &Cut, text: &str) -> Result<u32, TooMuch> {
        if !cut.is_word {
            return Ok(NO_TERM);
        }
        let (start, bytes) = (cut.start as usize, cut.bytes as usize);
        self.folded.clear();
        // Words are cut where characters begin.
        let word = text.get(start..start + bytes).unwrap_or_default();
        fold_into(word, &mut self.folded);
        let (term, _) = term_of(&self.folded, self.cutting);
        self.terms.number_of(&term)
    }

    /// Appends the terms of common words that follow one another.
    fn push_pairs(&mut self, terms: &mut Vec<u32>) -> Result<(), TooMuch> {
        let common = self.common as u32;
        let mut before = NO_TERM;
        for index in 0..terms.len() {
            let term = terms[index];
            if term == NO_TERM {
                continue;
            }
            if term < common && before < common {
                let place = (before * common + term) as usize;
                if self.pairs[place] == NO_TERM {
                    let texts = &self.terms.texts;
                    let pair = pair_of(texts.text(before), texts.text(term));
                    self.pairs[place] = self.terms.number_of(&pair)?;
                }
                terms.push(self.pairs[place]);
            }
            before = term;
        }
        Ok(())
    }

    #[inline]
    fn put(&mut self, number: u32) {
        put_varint(&mut self.bytes, u64::from(number));
    }

    /// The pieces of a value.
    pub(super) fn pieces(&self, value: usize) -> impl Iterator<Item = Piece> + '_ {
        let mut numbers = Numbers::of(&self.bytes, &self.ends, value);
        std::iter::from_fn(move || {
            Some(match numbers.next()? {
                long @ (LONG_WORD | LONG_SEPARATOR) => Piece::Place {
                    start: numbers.next()? as usize,
                    bytes: numbers.next()? as usize,
                    is_word: long == LONG_WORD,
                },
                number => Piece::Symbol(number - NUMBERS_FROM),
            })
        })
    }
}

/// Numbers of variable length.
struct Numbers<'a> {
    bytes: &'a [u8],
}

impl Numbers<'_> {
    fn of<'a>(bytes: &'a [u8], ends: &[usize], value: usize) -> Numbers<'a> {
        let start = value.checked_sub(1).map_or(0, |before| ends[before]);
        Numbers {
            bytes: &bytes[start..ends[value]],
        }
    }

    #[inline]
    fn next(&mut self) -> Option<u32> {
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
