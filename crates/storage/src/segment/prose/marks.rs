//! What the codes of a value have if it contains a text: bytes that are looked for in a frame as a
//! whole, so that only values with them are read through.
//!
//! Of each text two neighbouring parts are chosen, a word and what follows it. Where they stand in a
//! value, their codes are neighbours too, unless one of them is spelled out: then there is the byte
//! that announces it, or the text of the word itself. Bytes that look so by chance are no harm, since
//! values with them are judged.
use super::{
    codes::{TEXT, WORD},
    decode::CodeFrame,
    symbols::Symbols,
};
use aho_corasick::{Span, packed::Searcher};
use std::ops::Range;

/// Patterns that are looked for at once: of more, too many would be there by chance.
const PATTERNS_MAX: usize = 48;
/// Bytes of a word that is spelled out: some tell it as well as all.
const SPELLED_BYTES_MAX: usize = 8;

/// A word of a text with what follows it, and the symbols that each may be.
pub(super) struct Pair<'a> {
    pub word: &'a str,
    pub words: &'a [u32],
    pub next: &'a [u32],
    pub is_next_word: bool,
}

/// Patterns of bytes.
#[derive(Default)]
pub(super) struct Marks {
    patterns: Vec<Vec<u8>>,
}

impl Marks {
    /// Adds what the codes of a value have in which the pair stands; `None` if that is too much.
    pub(super) fn push(&mut self, pair: &Pair<'_>, symbols: &Symbols) -> Option<()> {
        let announced = if pair.is_next_word { WORD } else { TEXT };
        if pair.words.len() * (pair.next.len() + 1) >= PATTERNS_MAX {
            return None;
        }
        for word in pair.words {
            let code = symbols.code(*word);
            self.patterns.push([&code[..], &[announced]].concat());
            for next in pair.next {
                let next = symbols.code(*next);
                self.patterns.push([&code[..], &next[..]].concat());
            }
        }
        // Its first bytes, as they are: no part of a word that is spelled out has other ones.
        let bytes = pair.word.as_bytes();
        let spelled = bytes.get(..SPELLED_BYTES_MAX).unwrap_or(bytes);
        self.patterns.push(spelled.to_vec());
        (self.patterns.len() <= PATTERNS_MAX).then_some(())
    }

    /// What looks for all of them, if the processor has instructions for it.
    pub(super) fn finder(&self) -> Option<Searcher> {
        Searcher::new(&self.patterns)
    }
}

/// Those of neighbouring values of a frame that have a mark, ascending.
pub(super) fn marked(finder: &Searcher, frame: &CodeFrame, values: Range<usize>) -> Vec<usize> {
    let bytes = frame.bytes();
    let Range { start: mut at, end } = frame.span_of(values);
    let mut found = Vec::new();
    while at < end {
        let Some(hit) = finder.find_in(bytes, Span::from(at..end)) else {
            break;
        };
        let (value, value_end) = frame.value_at(hit.start());
        found.push(value);
        at = value_end.max(hit.start() + 1);
    }
    found
}
