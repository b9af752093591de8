//! Symbols: the words and separators that many values of a column share, and how values are written
//! with them.
//!
//! Invariants
//! - What is written is read back byte for byte, and is at most a few bytes longer than the text.
//! - Between two words stands one space, unless a separator does. So most separators are not
//!   written at all.
//! - A symbol's code is a whole number of bytes, shorter for one that comes more often; its first
//!   byte tells how many. So a value is searched by its codes, without its text.
//!
//! Prose is half as long by codes as by letters, and what repeats is found by zstd in them as well
//! as in the text: frames are a quarter to a third smaller than those of the text would be, are
//! packed in a third of the time and unpacked in a quarter (measured on two sets of agents'
//! records). It costs a dictionary that a reader holds, as a trained one of zstd would. What comes
//! too rarely for the dictionary is spelled out.
use super::stream::Stream;
use crate::segment::{
    text::{DICTIONARY_PLAIN_BYTES_MAX, FRAME_PLAIN_BYTES_MAX, Texts},
    wire::{Cursor, Flaw, put_varint},
};
use std::cmp::Reverse;
use taffrail_model::token::is_token_char;

/// First bytes that begin codes; the two others announce what is spelled out.
const FIRST_BYTES: usize = 254;
/// Then the length and the bytes of a word.
const WORD: u8 = 254;
/// Then the length and the bytes of anything else; in front of it stands no space.
const TEXT: u8 = 255;
/// Symbols of a column at the most: a reader's memory is bounded.
pub(super) const SYMBOLS_MAX: usize = 1 << 18;
/// Uses from which on a word is shorter by a code and its part of the dictionary.
const USES_MIN: u32 = 3;

/// How many first bytes begin codes of one and two bytes; the rest begin codes of three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Codes {
    pub one: usize,
    pub two: usize,
}

impl Codes {
    /// What makes codes shortest in sum for symbols that come so often, descending.
    fn choose(uses: &[u32]) -> Codes {
        let mut before = vec![0u64];
        for uses in uses {
            before.push(before.last().copied().unwrap_or_default() + u64::from(*uses));
        }
        let uses_until = |rank: usize| before[rank.min(uses.len())];
        let bytes = |codes: &Codes| {
            let (one, two) = (uses_until(codes.one), uses_until(codes.two_end()));
            one + 2 * (two - one) + 3 * (uses_until(uses.len()) - two)
        };
        let codes = (0..=FIRST_BYTES).filter_map(|two| {
            let rest = uses.len().saturating_sub(two << 8 | (FIRST_BYTES - two));
            let one = (FIRST_BYTES - two).checked_sub(rest.div_ceil((1 << 16) - 1))?;
            Some(Codes { one, two })
        });
        codes.min_by_key(bytes).unwrap_or(Codes {
            one: 0,
            two: FIRST_BYTES,
        })
    }

    /// Whether there are first bytes for them.
    pub(super) fn are_possible(self) -> bool {
        self.one + self.two <= FIRST_BYTES
    }

    /// Rank of the first symbol whose code has three bytes.
    fn two_end(self) -> usize {
        self.one + (self.two << 8)
    }

    /// The code of the symbol with a rank: its bytes from the lowest on, and how many.
    fn of(self, rank: usize) -> (u32, usize) {
        if let Some(wide) = rank.checked_sub(self.two_end()) {
            let first = self.one + self.two + (wide >> 16);
            let bytes = [first as u8, (wide >> 8) as u8, wide as u8, 0];
            return (u32::from_le_bytes(bytes), 3);
        }
        match rank.checked_sub(self.one) {
            Some(wide) => {
                let bytes = [(self.one + (wide >> 8)) as u8, wide as u8, 0, 0];
                (u32::from_le_bytes(bytes), 2)
            }
            None => (rank as u32, 1),
        }
    }
}

/// A word or separator as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written<'a> {
    /// Rank of a symbol.
    Symbol(usize),
    /// A word, spelled out.
    Word(&'a [u8]),
    /// Anything else, spelled out.
    Text(&'a [u8]),
}

/// What the values of a column are written with.
pub(super) struct Writer {
    /// For each symbol of the column its code, in the upper byte its length: 0 if it has none.
    codes: Vec<u32>,
    /// Symbols with a code, by rank.
    pub ranks: Vec<u32>,
    pub form: Codes,
}

impl Writer {
    /// Chooses from the symbols of a stream.
    pub(super) fn new(stream: &Stream) -> Writer {
        let uses = |symbol: &u32| stream.uses(*symbol);
        let all = 0..stream.texts.len() as u32;
        let mut ranks: Vec<u32> = all.filter(|symbol| uses(symbol) >= USES_MIN).collect();
        ranks.sort_unstable_by_key(|symbol| (Reverse(uses(symbol)), *symbol));
        ranks.truncate(SYMBOLS_MAX);
        let mut plain_bytes = 0;
        let fitting = ranks.iter().take_while(|symbol| {
            plain_bytes += stream.texts.text(**symbol).len() + 1;
            plain_bytes <= DICTIONARY_PLAIN_BYTES_MAX
        });
        let fitting = fitting.count();
        ranks.truncate(fitting);
        let of_ranks: Vec<u32> = ranks.iter().map(uses).collect();
        let form = Codes::choose(&of_ranks);
        let mut codes = vec![0; stream.texts.len()];
        for (rank, symbol) in ranks.iter().enumerate() {
            let (code, length) = form.of(rank);
            codes[*symbol as usize] = code | (length as u32) << 24;
        }
        Writer { codes, ranks, form }
    }

    /// Appends a symbol's code; `false` if it has none.
    #[inline]
    pub(super) fn push(&self, symbol: u32, out: &mut Vec<u8>) -> bool {
        let [a, b, c, length] = self.codes[symbol as usize].to_le_bytes();
        match length {
            1 => out.push(a),
            2 => out.extend_from_slice(&[a, b]),
            3 => out.extend_from_slice(&[a, b, c]),
            _ => return false,
        }
        true
    }
}

/// Appends a word or anything else as it is spelled.
pub(super) fn spell(text: &[u8], is_word: bool, out: &mut Vec<u8>) {
    out.push(if is_word { WORD } else { TEXT });
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// The symbols of a column, as a reader holds them.
pub(super) struct Symbols {
    form: Codes,
    /// Their texts, in front of each word a space.
    texts: String,
    /// Where each begins, times two, with whether it is a word in the lowest bit; then the end.
    starts: Vec<u32>,
}

impl Symbols {
    pub(super) fn new(form: Codes, symbols: &Texts) -> Symbols {
        let mut texts = String::with_capacity(symbols.text().len() + symbols.len());
        let mut starts = Vec::with_capacity(symbols.len() + 1);
        for symbol in symbols.iter() {
            let is_word = symbol.chars().next().is_some_and(is_token_char);
            starts.push((texts.len() as u32) << 1 | u32::from(is_word));
            if is_word {
                texts.push(' ');
            }
            texts.push_str(symbol);
        }
        starts.push((texts.len() as u32) << 1);
        Symbols {
            form,
            texts,
            starts,
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.texts.len() + self.starts.len() * 4
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The text of a symbol, with a space in front if it is a word, and whether it is one.
    #[inline]
    fn get(&self, rank: usize) -> Result<(&str, bool), Flaw> {
        let flaw = Flaw("a code has no symbol");
        let [start, end] = self.starts.get(rank..).and_then(|rest| rest.first_chunk()).ok_or(flaw)?;
        let text = self.texts.get(*start as usize >> 1..*end as usize >> 1);
        Ok((text.ok_or(flaw)?, start & 1 == 1))
    }

    /// The text of a symbol, and whether it is a word.
    pub(super) fn text(&self, rank: usize) -> Result<(&str, bool), Flaw> {
        let (text, is_word) = self.get(rank)?;
        Ok((&text[usize::from(is_word)..], is_word))
    }

    /// What a value's codes stand for.
    pub(super) fn written<'a>(&self, codes: &'a [u8]) -> Reading<'a> {
        Reading {
            form: self.form,
            codes,
        }
    }

    /// Appends the text of a value that is written with `codes`.
    pub(super) fn read(&self, codes: &[u8], out: &mut String) -> Result<(), Flaw> {
        let end_max = out.len() + FRAME_PLAIN_BYTES_MAX;
        let mut reading = self.written(codes);
        let mut is_after_word = false;
        while let Some(written) = reading.next()? {
            let is_word = match written {
                Written::Symbol(rank) => {
                    let (text, is_word) = self.get(rank)?;
                    out.push_str(&text[usize::from(is_word && !is_after_word)..]);
                    is_word
                }
                Written::Word(text) => {
                    if is_after_word {
                        out.push(' ');
                    }
                    out.push_str(text_of(text)?);
                    true
                }
                Written::Text(text) => {
                    out.push_str(text_of(text)?);
                    false
                }
            };
            if out.len() > end_max {
                return Err(Flaw("a value is longer than it may be"));
            }
            is_after_word = is_word;
        }
        Ok(())
    }
}

/// What is spelled out.
pub(super) fn text_of(bytes: &[u8]) -> Result<&str, Flaw> {
    std::str::from_utf8(bytes).map_err(|_| Flaw("a text is not UTF-8"))
}

/// See [`Symbols::written`].
pub(super) struct Reading<'a> {
    form: Codes,
    codes: &'a [u8],
}

impl<'a> Reading<'a> {
    /// The next word or separator.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Written<'a>>, Flaw> {
        let Some((first, rest)) = self.codes.split_first() else {
            return Ok(None);
        };
        self.codes = rest;
        let Some(wide) = usize::from(*first).checked_sub(self.form.one) else {
            return Ok(Some(Written::Symbol(usize::from(*first))));
        };
        if *first >= WORD {
            return self.spelled(*first).map(Some);
        }
        let flaw = Flaw("a code is cut short");
        let rank = match wide.checked_sub(self.form.two) {
            None => {
                let (low, rest) = rest.split_first().ok_or(flaw)?;
                self.codes = rest;
                self.form.one + (wide << 8 | usize::from(*low))
            }
            Some(wide) => {
                let ([high, low], rest) = rest.split_first_chunk().ok_or(flaw)?;
                self.codes = rest;
                self.form.two_end() + (wide << 16 | usize::from(*high) << 8 | usize::from(*low))
            }
        };
        Ok(Some(Written::Symbol(rank)))
    }

    #[cold]
    fn spelled(&mut self, first: u8) -> Result<Written<'a>, Flaw> {
        let mut cursor = Cursor::new(self.codes);
        let text = cursor.bytes()?;
        self.codes = cursor.rest();
        Ok(match first {
            WORD => Written::Word(text),
            _ => Written::Text(text),
        })
    }
}
