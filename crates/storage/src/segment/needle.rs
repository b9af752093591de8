//! Which texts of many may be what a question is about, by a search over all of them at once.
use super::{filter, text::Texts};
use crate::{caseless::CaselessFinder, find::Clue, read::token_hash};
use memchr::memmem::Finder;
use std::cell::OnceCell;
use taffrail_model::token::fold_into;

/// Bytes of texts from which on they are searched as they are: to fold less costs less than to
/// prepare that.
const CASELESS_BYTES_MIN: usize = 16 << 10;

/// What every value that a clue is about contains.
pub(super) struct Needle {
    finder: Option<Finder<'static>>,
    /// Finds the same in text that is not folded, whatever its case; made when first needed.
    caseless: OnceCell<Option<CaselessFinder>>,
    is_folded: bool,
    /// Hashes of tokens.
    pub tokens: Vec<u64>,
}

impl Needle {
    pub(super) fn of(clue: &Clue) -> Needle {
        match clue {
            Clue::Phrase(tokens) => Needle::new(
                tokens
                    .iter()
                    .max_by_key(|token| token.len())
                    .map_or("", String::as_str),
                true,
                tokens.iter().map(|token| token_hash(token)).collect(),
            ),
            Clue::Substring(text) => Needle::new(text, true, Vec::new()),
            Clue::Contains { text, is_folded } => Needle::new(text, *is_folded, Vec::new()),
            Clue::Whole(text) => {
                let mut tokens = Vec::new();
                filter::token_hashes(text, |hash| tokens.push(hash));
                Needle::new(text, false, tokens)
            }
            Clue::Number(_) | Clue::Anything => Needle::new("", false, Vec::new()),
        }
    }

    fn new(text: &str, is_folded: bool, tokens: Vec<u64>) -> Needle {
        // What is empty is in every text.
        let finder = || Finder::new(text.as_bytes()).into_owned();
        Needle {
            finder: (!text.is_empty()).then(finder),
            caseless: OnceCell::new(),
            is_folded,
            tokens,
        }
    }

    /// What finds the needle in a text as it is, if that is worth it.
    fn caseless(&self, text: &str) -> Option<&CaselessFinder> {
        let needle = self.finder.as_ref()?.needle();
        let finder = || CaselessFinder::new(std::str::from_utf8(needle).ok()?);
        let is_long = text.len() >= CASELESS_BYTES_MIN;
        let caseless = is_long.then(|| self.caseless.get_or_init(finder).as_ref())?;
        caseless.filter(|caseless| caseless.finds_all_in(text))
    }
}

/// Numbers of the texts that contain one of the needles, ascending.
pub(super) fn candidates(texts: &Texts, needles: &[Needle]) -> Vec<usize> {
    if needles.iter().any(|needle| needle.finder.is_none()) {
        return (0..texts.len()).collect();
    }
    let text = texts.text();
    let (is_ascii, folded) = (OnceCell::new(), OnceCell::new());
    let mut found = Vec::new();
    for needle in needles {
        let Some(finder) = &needle.finder else {
            continue;
        };
        let caseless = match needle.is_folded {
            true => needle.caseless(text),
            false => None,
        };
        let length = finder.needle().len();
        let find_in = |text: &str, at: usize| {
            let rest = text.as_bytes().get(at..)?;
            finder.find(rest).map(|hit| at + hit)
        };
        match (needle.is_folded, caseless) {
            (false, _) => hits(texts, length, |at| find_in(text, at), &mut found),
            (true, Some(caseless)) => {
                let find = |at: usize| caseless.find(text.as_bytes(), at);
                hits(texts, length, find, &mut found);
            }
            (true, None) if *is_ascii.get_or_init(|| text.is_ascii()) => {
                let folded = folded.get_or_init(|| text.to_ascii_lowercase());
                hits(texts, length, |at| find_in(folded, at), &mut found);
            }
            // Folding changes lengths here, so each text is folded for itself.
            (true, None) => {
                let mut scratch = String::new();
                for (index, text) in texts.iter().enumerate() {
                    scratch.clear();
                    fold_into(text, &mut scratch);
                    if finder.find(scratch.as_bytes()).is_some() {
                        found.push(index);
                    }
                }
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Adds the numbers of the texts with a hit of `length` bytes, which lies in one text only; `find`
/// gives the first hit from a place on.
fn hits(
    texts: &Texts,
    length: usize,
    find: impl Fn(usize) -> Option<usize>,
    found: &mut Vec<usize>,
) {
    let mut at = 0;
    while let Some(hit) = find(at) {
        let (index, end) = texts.at(hit);
        at = hit + 1;
        if hit + length <= end {
            found.push(index);
            at = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};
    use taffrail_model::token::fold;

    proptest! {
        #[test]
        fn texts_with_a_needle_are_candidates(
            mut texts in vec("[abAB ]{0,6}|[aé]{0,3}|[kK\u{212A}]{0,3}", 0..20),
            needles in vec("[ab ]{1,3}|k", 1..3),
            is_folded: bool,
            is_long: bool,
        ) {
            if is_long {
                texts.push("\0".repeat(CASELESS_BYTES_MIN));
            }
            let all: Texts = texts.iter().map(String::as_str).collect();
            let clues: Vec<Needle> = needles
                .iter()
                .map(|text| Needle::of(&Clue::Contains { text: text.clone(), is_folded }))
                .collect();
            let searched = |text: &str| if is_folded { fold(text) } else { text.to_owned() };
            let expected: Vec<usize> = (0..texts.len())
                .filter(|index| needles.iter().any(|needle| searched(&texts[*index]).contains(needle)))
                .collect();
            prop_assert_eq!(candidates(&all, &clues), expected);
        }
    }
}
