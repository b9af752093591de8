//! Symbols: the words and separators that many values of a column share, and how values are written
//! with them.
//!
//! Invariants
//! - What is written is read back byte for byte, and is at most a few bytes longer than the text.
//! - Between two words stands one space, unless a separator does. So most separators are not
//!   written at all.
//! - A symbol's code is a whole number of bytes, shorter for one that comes more often; its first
//!   byte tells how many. So a value is searched by its codes, without its text.
//! - Which symbols are words is written down wherever a table of Unicode decided it. Reading a value
//!   asks none: another version of the tables would put other spaces between the words.
//!
//! By codes prose is some 30% as long as by letters, and what repeats is found by zstd in them as
//! well as in the text: frames of codes are 32 to 38% smaller than those of the text
//! were (two sets of agents' records, symbols included), and a third of the bytes is packed and
//! unpacked. It costs a dictionary that a reader holds, as a trained one of zstd would. What comes
//! too rarely for the dictionary is spelled out.
use super::{
    codes::{Codes, TEXT, WORD},
    stream::{Piece, Stream},
};
use crate::segment::{
    bits::{Packer, get, packed_bytes},
    text::{DICTIONARY_PLAIN_BYTES_MAX, FRAME_PLAIN_BYTES_MAX, Texts, push_text},
    wire::{Cursor, Flaw, put_varint},
};
use std::cmp::Reverse;

/// Symbols of a column at the most: a reader's memory is bounded.
pub(super) const SYMBOLS_MAX: usize = 1 << 18;
/// Uses from which on a word is shorter by a code and its part of the dictionary.
const USES_MIN: u32 = 3;

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

/// Whether a symbol is a word as far as its first byte tells: of ASCII it always does, and between
/// two words that touch is the symbol that is empty.
fn is_word_by_ascii(symbol: &[u8]) -> Option<bool> {
    match symbol.first() {
        None => Some(false),
        Some(first) => first.is_ascii().then(|| first.is_ascii_alphanumeric()),
    }
}

/// Symbols as they are stored, before they are compressed.
pub(super) struct SymbolRun {
    /// A run of their texts, then a bit for each that is marked: whether it is a word.
    pub plain: Vec<u8>,
    /// Bytes of the run.
    pub text_bytes: usize,
    /// Symbols that are marked: those of which [`is_word_by_ascii`] does not know it.
    pub marked: usize,
}

impl SymbolRun {
    /// Bytes of so many marks.
    pub(super) fn mark_bytes(marked: usize) -> usize {
        packed_bytes(marked, 1)
    }
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

    /// The symbols that have a code.
    pub(super) fn symbols(&self, stream: &Stream) -> SymbolRun {
        let mut plain = Vec::new();
        let mut marks = Vec::new();
        for symbol in &self.ranks {
            let bytes = stream.texts.text(*symbol);
            let is_word = stream.is_word(*symbol);
            match is_word_by_ascii(bytes) {
                Some(by_ascii) => debug_assert_eq!(by_ascii, is_word),
                None => marks.push(is_word),
            }
            // Words and separators are cut out of texts where characters begin.
            let text = std::str::from_utf8(bytes);
            push_text(&mut plain, text.unwrap_or_default());
        }
        let text_bytes = plain.len();
        let mut packer = Packer::new(&mut plain);
        for is_word in &marks {
            packer.push(u64::from(*is_word), 1);
        }
        packer.finish();
        SymbolRun {
            plain,
            text_bytes,
            marked: marks.len(),
        }
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
    /// Reads `count` symbols, of which so many are marked, from the plain bytes of a [`SymbolRun`]
    /// whose texts have `text_bytes`.
    pub(super) fn parse(
        form: Codes,
        plain: &[u8],
        text_bytes: usize,
        count: usize,
        marked: usize,
    ) -> Result<Symbols, Flaw> {
        let mut cursor = Cursor::new(plain);
        let texts = Texts::parse(cursor.take(text_bytes)?, count)?;
        let marks = cursor.take(SymbolRun::mark_bytes(marked))?;
        cursor.finish()?;
        Symbols::new(form, &texts, marks, marked)
    }

    /// Symbols with these texts; `marks` says of `marked` of them whether they are words.
    fn new(form: Codes, symbols: &Texts, marks: &[u8], marked: usize) -> Result<Symbols, Flaw> {
        let mut texts = String::with_capacity(symbols.text().len() + symbols.len());
        let mut starts = Vec::with_capacity(symbols.len() + 1);
        let (mut separators, mut wide) = (Vec::new(), Vec::new());
        let mut marks_read = 0;
        for (rank, symbol) in (0u32..).zip(symbols.iter()) {
            let is_word = is_word_by_ascii(symbol.as_bytes()).unwrap_or_else(|| {
                marks_read += 1;
                get(marks, 1, marks_read - 1) == 1
            });
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
        if marks_read != marked {
            return Err(Flaw("symbols have other marks than they need"));
        }
        starts.push((texts.len() as u32) << 1);
        Ok(Symbols {
            form,
            texts,
            starts,
            separators,
            wide,
        })
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

    /// The code of a symbol.
    pub(super) fn code(&self, rank: u32) -> Vec<u8> {
        let (code, length) = self.form.of(rank as usize);
        code.to_le_bytes().into_iter().take(length).collect()
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
        Reading::new(self.form, codes)
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
    /// What these codes stand for, by rank.
    pub(super) fn new(form: Codes, codes: &'a [u8]) -> Reading<'a> {
        Reading { form, codes }
    }

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
        let symbols = parse(form, &["a", ",", "b"], &[], 0).unwrap();
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

    fn parse(form: Codes, texts: &[&str], marks: &[u8], marked: usize) -> Result<Symbols, Flaw> {
        let mut plain = Vec::new();
        texts.iter().for_each(|text| push_text(&mut plain, text));
        let text_bytes = plain.len();
        plain.extend_from_slice(marks);
        Symbols::parse(form, &plain, text_bytes, texts.len(), marked)
    }

    /// What two of each symbol, one after the other, are read as.
    #[track_caller]
    fn check_marks(texts: &[&str], marks: &[u8], marked: usize, expected: &[&str]) {
        let form = Codes { one: 254, two: 0 };
        let symbols = parse(form, texts, marks, marked).unwrap();
        for (rank, expected) in (0u8..).zip(expected) {
            let mut read = String::new();
            symbols.read(&[rank, rank], &mut read).unwrap();
            assert_eq!(read, *expected);
            let is_word = expected.contains(' ');
            assert_eq!(
                symbols.text(rank.into()),
                Ok((texts[usize::from(rank)], is_word))
            );
        }
    }

    #[test]
    fn marks_say_what_is_a_word_whatever_characters_are() {
        check_marks(&["a", "-", "", "9"], &[], 0, &["a a", "--", "", "9 9"]);
        let texts = ["é", "x", "—", "日"];
        check_marks(&texts, &[0b101], 3, &["é é", "x x", "——", "日 日"]);
        check_marks(&texts, &[0b010], 3, &["éé", "x x", "— —", "日日"]);
        // The bits after the marks say nothing.
        check_marks(&texts, &[0b1111_1010], 3, &["éé", "x x", "— —", "日日"]);
        let nine = ["é"; 9];
        check_marks(
            &nine,
            &[0, 1],
            9,
            &["éé", "éé", "éé", "éé", "éé", "éé", "éé", "éé", "é é"],
        );
    }

    #[test]
    fn other_marks_than_there_should_be_are_damage() {
        let form = Codes { one: 254, two: 0 };
        let check = |marks: &[u8], marked| parse(form, &["é", "x", "—"], marks, marked).is_ok();
        assert!(check(&[1], 2));
        assert!(!check(&[], 0));
        assert!(!check(&[1], 1));
        assert!(!check(&[1], 3));
        assert!(!check(&[], 2));
        assert!(!check(&[1, 0], 2));
        assert!(!check(&[1, 0], 9));
        assert!(Symbols::parse(form, b"x\xff", 1, 1, 0).is_err());
        assert!(Symbols::parse(form, b"x\xff", 3, 1, 0).is_err());
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
            let run = writer.symbols(&stream);
            let count = writer.ranks.len();
            let symbols =
                Symbols::parse(writer.form, &run.plain, run.text_bytes, count, run.marked).unwrap();
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
            if form.are_possible() {
                let symbols = parse(form, &["a", ",", "é", ""], &[1], 1).unwrap();
                let _ = symbols.read(&codes, &mut String::new());
            }
        }
    }
}
