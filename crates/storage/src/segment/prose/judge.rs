//! Looking for phrases and texts in the codes of a value, without its text.
//!
//! Invariants
//! - What is said of a value is what looking at its text would say; where its codes do not tell, a
//!   value that is spelled out as a whole, nothing is said.
//!
//! What is looked for is cut into words and separators as values are, the *parts*; each symbol has
//! a class that says which parts it may be, and a value is read through with one bit for each part
//! that matches so far (the shift-and algorithm of Baeza-Yates and Gonnet, over words instead of
//! letters). So a word costs one look into a small table, and no text is made.
use super::{
    decode::CodeFrame,
    marks::{Marks, Pair, marked},
    symbols::{Symbols, Written, text_of},
};
use crate::{
    find::{Clue, TextQuestion},
    segment::wire::Flaw,
};
use aho_corasick::packed::Searcher;
use hashbrown::HashMap;
use memchr::{memchr2_iter, memmem};
use std::{borrow::Cow, ops::Range};
use taffrail_model::token::{fold, is_token_char, tokens};

/// Parts of all that is looked for at once: the bits of a word.
const PARTS_MAX: usize = 64;
/// Classes of symbols that are no part.
const OTHER_WORD: u8 = 0;
const OTHER_SEPARATOR: u8 = 1;
/// Letters by how often words have them, rare ones first.
const BY_RARITY: &[u8] = b"zqxjkvbgpywfmculdhrsnioate";

/// Where in a word or separator of a value a part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Whole,
    Begin,
    End,
    Anywhere,
}

/// A word or separator that is looked for.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    text: String,
    is_word: bool,
    is_folded: bool,
    place: Place,
}

impl Part {
    fn is_in(&self, text: &str, is_word: bool) -> bool {
        if self.is_word != is_word {
            return false;
        }
        let text = match self.is_folded && !text.is_ascii() {
            true => Cow::Owned(fold(text)),
            false => Cow::Borrowed(text),
        };
        let (text, part) = (text.as_bytes(), self.text.as_bytes());
        let is_part = |text: &[u8]| match self.is_folded {
            true => text.eq_ignore_ascii_case(part),
            false => text == part,
        };
        match self.place {
            Place::Whole => is_part(text),
            Place::Begin => text.get(..part.len()).is_some_and(is_part),
            Place::End => {
                let start = text.len().checked_sub(part.len());
                start.is_some_and(|start| is_part(&text[start..]))
            }
            // What is spelled out may be as long as a record, so this takes linear time.
            Place::Anywhere if self.is_folded => {
                let (text, part) = (text.to_ascii_lowercase(), part.to_ascii_lowercase());
                memchr::memmem::find(&text, &part).is_some()
            }
            Place::Anywhere => memchr::memmem::find(text, part).is_some(),
        }
    }
}

/// What is looked for in values.
pub(super) struct Judge {
    parts: Vec<Part>,
    /// Bits of first and of last parts.
    starts: u64,
    ends: u64,
    /// Bits of parts of phrases, in which separators do not matter.
    phrases: u64,
    /// Parts that a single space is.
    space: u64,
    /// Class of each symbol.
    classes: Vec<u8>,
    /// Parts of each class.
    masks: Vec<u64>,
    /// What is in the codes of all values that pass.
    marks: Option<Searcher>,
}

impl Judge {
    /// What a question asks, if the codes of strings and JSON tell the answer.
    pub(super) fn new(question: &dyn TextQuestion, symbols: &Symbols) -> Option<Judge> {
        let mut judge = Judge {
            parts: Vec::new(),
            starts: 0,
            ends: 0,
            phrases: 0,
            space: 0,
            classes: Vec::new(),
            masks: vec![0, 0],
            marks: None,
        };
        match question.literals() {
            Some(literals) => {
                for literal in literals {
                    judge.push_text(literal, false)?;
                }
            }
            None => {
                for clue in question.clues() {
                    match clue {
                        Clue::Phrase(words) => judge.push_phrase(words)?,
                        Clue::Substring(text) => judge.push_text(text, true)?,
                        _ => return None,
                    }
                }
            }
        }
        judge.classify(symbols)?;
        Some(judge)
    }

    fn push_phrase(&mut self, words: &[String]) -> Option<()> {
        let parts = words.iter().map(|word| Part {
            text: word.clone(),
            is_word: true,
            is_folded: true,
            place: Place::Whole,
        });
        let first = self.parts.len();
        self.push_parts(parts.collect())?;
        (first..self.parts.len()).for_each(|bit| self.phrases |= 1 << bit);
        Some(())
    }

    fn push_text(&mut self, text: &str, is_folded: bool) -> Option<()> {
        let mut parts: Vec<Part> = Vec::new();
        let mut push = |text: &str, is_word| {
            parts.push(Part {
                text: text.into(),
                is_word,
                is_folded,
                place: Place::Whole,
            });
        };
        let mut end = 0;
        for (start, word_end) in tokens(text) {
            // Nothing at all stands between two characters that are words by themselves.
            if start > 0 {
                push(&text[end..start], false);
            }
            push(&text[start..word_end], true);
            end = word_end;
        }
        if end < text.len() {
            push(&text[end..], false);
        }
        match &mut parts[..] {
            [] => return None,
            [only] => only.place = Place::Anywhere,
            [first, .., last] => {
                first.place = Place::End;
                last.place = Place::Begin;
            }
        }
        self.push_parts(parts)
    }

    fn push_parts(&mut self, parts: Vec<Part>) -> Option<()> {
        let first = self.parts.len();
        self.parts.extend(parts);
        if self.parts.len() > PARTS_MAX || self.parts.len() == first {
            return None;
        }
        self.starts |= 1 << first;
        self.ends |= 1 << (self.parts.len() - 1);
        Some(())
    }

    /// Finds the class of each symbol; `None` if they are too many.
    fn classify(&mut self, symbols: &Symbols) -> Option<()> {
        self.space = self.parts_of(" ", false);
        let mut of_parts: Vec<Vec<u32>> = Vec::with_capacity(self.parts.len());
        let mut found: HashMap<u32, u64> = HashMap::new();
        for (bit, part) in self.parts.iter().enumerate() {
            let mut of_part = candidates(part, symbols);
            of_part.retain(|symbol| {
                let text = symbols.text(*symbol as usize);
                text.is_ok_and(|(text, is_word)| part.is_in(text, is_word))
            });
            of_part.sort_unstable();
            of_part.dedup();
            for symbol in &of_part {
                *found.entry(*symbol).or_default() |= 1 << bit;
            }
            of_parts.push(of_part);
        }
        self.marks = self
            .marks(symbols, &of_parts)
            .and_then(|marks| marks.finder());
        self.classes = vec![OTHER_WORD; symbols.len()];
        for separator in symbols.separators() {
            *self.classes.get_mut(*separator as usize)? = OTHER_SEPARATOR;
        }
        let mut of_mask: HashMap<u64, u8> = HashMap::new();
        for (symbol, mask) in found {
            let next = u8::try_from(self.masks.len()).ok()?;
            let class = *of_mask.entry(mask).or_insert(next);
            if class == next {
                self.masks.push(mask);
            }
            *self.classes.get_mut(symbol as usize)? = class;
        }
        Some(())
    }

    /// What is in the codes of all values that pass, if every text has a pair of parts that tells
    /// it; `of_parts` are the symbols that each part may be.
    fn marks(&self, symbols: &Symbols, of_parts: &[Vec<u32>]) -> Option<Marks> {
        let mut marks = Marks::default();
        let mut first = 0;
        while first < self.parts.len() {
            let last = first + (self.ends >> first).trailing_zeros() as usize;
            let pairs = (first..last).filter_map(|at| self.pair(of_parts, at, last));
            let pair = pairs.min_by_key(|pair| pair.words.len() * (pair.next.len() + 1))?;
            marks.push(&pair, symbols)?;
            first = last + 1;
        }
        Some(marks)
    }

    /// The word that is part `at` of a text that ends with part `last`, with what follows it.
    fn pair<'a>(&'a self, of_parts: &'a [Vec<u32>], at: usize, last: usize) -> Option<Pair<'a>> {
        let (part, next) = (self.parts.get(at)?, self.parts.get(at + 1)?);
        // Any separator may stand in a phrase, and any case of a word that is spelled out.
        if self.phrases >> at & 1 == 1 || part.is_folded || !part.is_word {
            return None;
        }
        // Of separators that begin with it, one space may be one, and nothing is written for it.
        if next.is_word || next.place != Place::Whole {
            return None;
        }
        // Nor is it between two words.
        let next_at = at + if next.text == " " { 2 } else { 1 };
        let next = self.parts.get(next_at).filter(|_| next_at <= last)?;
        Some(Pair {
            word: &part.text,
            words: of_parts.get(at)?,
            next: of_parts.get(next_at)?,
            is_next_word: next.is_word,
        })
    }

    /// Those of neighbouring values of a frame that may pass, ascending, if their codes tell.
    pub(super) fn may_pass(&self, frame: &CodeFrame, values: Range<usize>) -> Option<Vec<usize>> {
        let marks = self.marks.as_ref();
        marks.map(|finder| marked(finder, frame, values))
    }

    /// The parts that a word or separator may be.
    fn parts_of(&self, text: &str, is_word: bool) -> u64 {
        let parts = self.parts.iter().enumerate();
        let of_text = parts.filter(|(_, part)| part.is_in(text, is_word));
        of_text.fold(0, |mask, (bit, _)| mask | 1 << bit)
    }

    /// Whether a value passes that is written with `codes`; `None` if they do not tell.
    pub(super) fn passes(&self, symbols: &Symbols, codes: &[u8]) -> Result<Option<bool>, Flaw> {
        let mut reading = symbols.written(codes);
        let mut state = 0;
        let mut is_after_word = false;
        while let Some(written) = reading.next()? {
            let (is_word, mask) = match written {
                Written::Symbol(rank) => {
                    let flaw = Flaw("a code has no symbol");
                    match *self.classes.get(rank).ok_or(flaw)? {
                        OTHER_WORD => (true, 0),
                        OTHER_SEPARATOR => (false, 0),
                        class => {
                            let mask = self.masks.get(usize::from(class)).copied();
                            (symbols.is_word(rank), mask.unwrap_or_default())
                        }
                    }
                }
                Written::Word(text) => (true, self.parts_of(text_of(text)?, true)),
                Written::Text(text) => {
                    let text = text_of(text)?;
                    if text.chars().any(is_token_char) {
                        return Ok(None);
                    }
                    (false, self.parts_of(text, false))
                }
            };
            if is_word && is_after_word && state | self.space != 0 {
                state = self.after_separator(state, self.space);
                if state & self.ends & !self.phrases != 0 {
                    return Ok(Some(true));
                }
            }
            state = match is_word {
                true => (state << 1 | self.starts) & mask,
                false => self.after_separator(state, mask),
            };
            // A phrase that was found has ended this before.
            if state & self.ends != 0 {
                return Ok(Some(true));
            }
            is_after_word = is_word;
        }
        Ok(Some(false))
    }

    fn after_separator(&self, state: u64, mask: u64) -> u64 {
        (state << 1 | self.starts) & mask & !self.phrases | state & self.phrases
    }
}

/// Symbols that a part may be in.
fn candidates(part: &Part, symbols: &Symbols) -> Vec<u32> {
    if !part.is_word {
        return symbols.separators().to_vec();
    }
    let texts = symbols.texts().as_bytes();
    let needle = part.text.as_bytes();
    if !part.is_folded {
        let hits = memmem::find_iter(texts, needle);
        return hits.map(|at| symbols.at(at)).collect();
    }
    // What folds to what is not ASCII is not ASCII itself; of the others, few fold to ASCII.
    let mut found = symbols.wide().to_vec();
    let rarity = |byte: &u8| BY_RARITY.iter().position(|letter| letter == byte);
    let rarest = needle
        .iter()
        .enumerate()
        .min_by_key(|(_, byte)| rarity(byte));
    if let Some((offset, byte)) = rarest.filter(|_| part.text.is_ascii()) {
        for hit in memchr2_iter(*byte, byte.to_ascii_uppercase(), texts) {
            let start = hit.checked_sub(offset);
            let text = start.and_then(|start| texts.get(start..start + needle.len()));
            if text.is_some_and(|text| text.eq_ignore_ascii_case(needle)) {
                found.push(symbols.at(hit));
            }
        }
    }
    found
}
