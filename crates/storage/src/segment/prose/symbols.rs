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
//! By codes prose is some 30% as long as by letters, and what repeats is found by zstd in them as
//! well as in the text: frames of codes are 32 to 38% smaller than those of the text
//! were (two sets of agents' records, symbols included), and a third of the bytes is packed and
//! unpacked. It costs a dictionary that a reader holds, as a trained one of zstd would. What comes
//! too rarely for the dictionary is spelled out.
use super::stream::{Piece, Stream};
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

    /// Appends the codes of a value of the stream, with its text.
    pub(super) fn write_value(
        &self,
        text: &str,
        stream: &Stream,
        value: usize,
        codes: &mut Vec<u8>,
    ) {
        let begin = codes.len();
        for piece in stream.pieces(value) {
            match piece {
                Piece::Symbol(symbol) => {
                    if !self.push(symbol, codes) {
                        spell(stream.texts.text(symbol), stream.is_word(symbol), codes);
                    }
                }
                Piece::Place {
                    start,
                    bytes,
                    is_word,
                } => {
                    let part = text.as_bytes().get(start..start + bytes);
                    spell(part.unwrap_or_default(), is_word, codes);
                }
            }
        }
        if codes.len() - begin > text.len() {
            codes.truncate(begin);
            spell(text.as_bytes(), false, codes);
        }
    }

    /// Appends a symbol's code; `false` if it has none.
    #[inline]
    fn push(&self, symbol: u32, out: &mut Vec<u8>) -> bool {
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
fn spell(text: &[u8], is_word: bool, out: &mut Vec<u8>) {
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
    /// Ranks of those that are separators.
    separators: Vec<u32>,
    /// Ranks of words that are not ASCII.
    wide: Vec<u32>,
}

impl Symbols {
    pub(super) fn new(form: Codes, symbols: &Texts) -> Symbols {
        let mut texts = String::with_capacity(symbols.text().len() + symbols.len());
        let mut starts = Vec::with_capacity(symbols.len() + 1);
        let (mut separators, mut wide) = (Vec::new(), Vec::new());
        for (rank, symbol) in (0u32..).zip(symbols.iter()) {
            let is_word = symbol.chars().next().is_some_and(is_token_char);
            if !is_word {
                separators.push(rank);
            } else if !symbol.is_ascii() {
                wide.push(rank);
            }
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
            separators,
            wide,
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let ranks = self.starts.len() + self.separators.len() + self.wide.len();
        self.texts.len() + ranks * 4
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The text of a symbol, with a space in front if it is a word, and whether it is one.
    #[inline]
    fn get(&self, rank: usize) -> Result<(&str, bool), Flaw> {
        let flaw = Flaw("a code has no symbol");
        let [start, end] = self
            .starts
            .get(rank..)
            .and_then(|rest| rest.first_chunk())
            .ok_or(flaw)?;
        let text = self.texts.get(*start as usize >> 1..*end as usize >> 1);
        Ok((text.ok_or(flaw)?, start & 1 == 1))
    }

    /// The text of a symbol, and whether it is a word.
    pub(super) fn text(&self, rank: usize) -> Result<(&str, bool), Flaw> {
        let (text, is_word) = self.get(rank)?;
        Ok((&text[usize::from(is_word)..], is_word))
    }

    /// Whether a symbol is a word.
    pub(super) fn is_word(&self, rank: usize) -> bool {
        self.starts.get(rank).is_some_and(|start| start & 1 == 1)
    }

    /// The texts of all symbols, in front of each word a space.
    pub(super) fn texts(&self) -> &str {
        &self.texts
    }

    /// Rank of the symbol that has the byte at `at` of all texts.
    pub(super) fn at(&self, at: usize) -> u32 {
        let after = self
            .starts
            .partition_point(|start| *start as usize >> 1 <= at);
        after.saturating_sub(1) as u32
    }

    /// Ranks of those that are no words.
    pub(super) fn separators(&self) -> &[u32] {
        &self.separators
    }

    /// Ranks of words that are not ASCII.
    pub(super) fn wide(&self) -> &[u32] {
        &self.wide
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::prose::terms::Cutting;
    use proptest::{collection::vec, prelude::*, sample::Index as Pick};

    /// Codes of all ranks are read as what they are, and none is the begin of another.
    #[track_caller]
    fn check_codes(form: Codes, symbols: usize) {
        let mut all = Vec::new();
        let ranks = || (0..symbols).filter(|rank| rank % 97 == 0 || rank + 3 > symbols);
        for rank in ranks() {
            let (code, length) = form.of(rank);
            all.extend_from_slice(&code.to_le_bytes()[..length]);
        }
        let mut reading = Reading { form, codes: &all };
        for rank in ranks() {
            assert_eq!(
                reading.next().unwrap(),
                Some(Written::Symbol(rank)),
                "{form:?}"
            );
        }
        assert_eq!(reading.next().unwrap(), None);
    }

    #[test]
    fn codes_are_enough_and_frequent_symbols_get_short_ones() {
        for symbols in [
            0,
            1,
            254,
            255,
            508,
            509,
            65_024,
            65_025,
            70_000,
            SYMBOLS_MAX,
        ] {
            let uses: Vec<u32> = (0..symbols)
                .map(|rank| 1 + 1_000_000 / (rank as u32 + 1))
                .collect();
            let form = Codes::choose(&uses);
            assert!(form.are_possible());
            check_codes(form, symbols);
            if symbols > 0 {
                assert_eq!(form.of(0).1, 1, "{symbols}");
            }
        }
        assert_eq!(Codes::choose(&[1; 254]).of(253).1, 1);
        check_codes(Codes { one: 0, two: 0 }, SYMBOLS_MAX);
    }

    /// How many symbols a column of so many words has, each of which comes so often.
    fn symbols_of(words: usize, uses: usize, padding: &str) -> usize {
        let mut stream = Stream::new(Cutting::Longest, &[]).unwrap();
        for number in 0..words {
            let letters = (0..4).map(|place| number / 26usize.pow(place) % 26);
            let word: String = letters
                .map(|letter| char::from(b'a' + letter as u8))
                .collect();
            stream.push(&vec![word + padding; uses].join(" ")).unwrap();
        }
        Writer::new(&stream).ranks.len()
    }

    #[test]
    fn symbols_are_bounded_in_uses_number_and_bytes() {
        assert_eq!(symbols_of(9, USES_MIN as usize - 1, ""), 0);
        assert_eq!(symbols_of(9, USES_MIN as usize, ""), 9);
        assert_eq!(symbols_of(SYMBOLS_MAX, 3, ""), SYMBOLS_MAX);
        assert_eq!(symbols_of(SYMBOLS_MAX + 1, 3, ""), SYMBOLS_MAX);
        let fitting = DICTIONARY_PLAIN_BYTES_MAX / 64;
        let padding = "z".repeat(59);
        assert_eq!(symbols_of(fitting, 3, &padding), fitting);
        assert_eq!(symbols_of(fitting + 1, 3, &padding), fitting);
    }

    #[test]
    fn damaged_codes_are_no_text() {
        let form = Codes { one: 2, two: 1 };
        let texts: Texts = ["a", ",", "b"].into_iter().collect();
        let symbols = Symbols::new(form, &texts);
        let check = |codes: &[u8]| {
            let mut out = String::new();
            symbols.read(codes, &mut out).map(|()| out)
        };
        assert_eq!(check(&[0, 1, 0, 0, 2, 0]).as_deref(), Ok("a,a a b"));
        assert_eq!(
            check(&[0, WORD, 2, b'x', b'y', TEXT, 1, b'!']).as_deref(),
            Ok("a xy!")
        );
        for codes in [
            &[2][..],
            &[2, 1],
            &[3, 0],
            &[3, 0, 0],
            &[253, 255, 255],
            &[WORD],
            &[WORD, 2, b'x'],
            &[TEXT, 1, 0xff],
            &[
                TEXT, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ],
        ] {
            assert!(check(codes).is_err(), "{codes:?}");
        }
    }

    fn any_text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[a-cA-C]{1,3}",
            3 => Just(" ".to_owned()),
            2 => "[ .,_\n-]{0,3}",
            1 => "[日本é\u{301}Σ—]{1,2}",
            1 => "[x-z]{60,70}",
            1 => "[-]{60,70}",
        ];
        vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(texts in vec(any_text(), 1..20), picks in vec(any::<Pick>(), 1..60)) {
            let mut stream = Stream::new(Cutting::Longest, &[]).unwrap();
            let values: Vec<&String> = picks.iter().map(|pick| pick.get(&texts)).collect();
            for value in &values {
                stream.push(value).unwrap();
            }
            let writer = Writer::new(&stream);
            let texts = writer.ranks.iter().map(|symbol| stream.texts.text(*symbol));
            let texts: Texts = texts.map(|text| std::str::from_utf8(text).unwrap()).collect();
            let symbols = Symbols::new(writer.form, &texts);
            for (number, value) in values.iter().enumerate() {
                let mut codes = Vec::new();
                writer.write_value(value, &stream, number, &mut codes);
                prop_assert!(codes.len() <= value.len() + 6);
                let mut read = String::from("before");
                symbols.read(&codes, &mut read).unwrap();
                prop_assert_eq!(&read["before".len()..], &value[..]);
            }
        }

        #[test]
        fn any_codes_are_read_without_panic(codes: Vec<u8>, one in 0usize..=254, two in 0usize..=254) {
            let form = Codes { one, two };
            let texts: Texts = ["a", ",", "b", ""].into_iter().collect();
            if form.are_possible() {
                let _ = Symbols::new(form, &texts).read(&codes, &mut String::new());
            }
        }
    }
}
