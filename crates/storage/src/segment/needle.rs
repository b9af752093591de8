//! Which texts of many may be what a question is about, by a search over all of them at once.
use super::{filter, text::Texts};
use crate::{find::Clue, read::token_hash};
use memchr::memmem::Finder;
use taffrail_model::token::fold_into;

/// What every value that a clue is about contains.
pub(super) struct Needle {
    finder: Option<Finder<'static>>,
    is_folded: bool,
    /// Hashes of tokens.
    pub tokens: Vec<u64>,
}

impl Needle {
    pub(super) fn of(clue: &Clue) -> Needle {
        // What is empty is in every text.
        let finder = |text: &str| {
            let finder = || Finder::new(text.as_bytes()).into_owned();
            (!text.is_empty()).then(finder)
        };
        match clue {
            Clue::Phrase(tokens) => Needle {
                finder: tokens
                    .iter()
                    .max_by_key(|token| token.len())
                    .and_then(|token| finder(token)),
                is_folded: true,
                tokens: tokens.iter().map(|token| token_hash(token)).collect(),
            },
            Clue::Substring(text) => Needle {
                finder: finder(text),
                is_folded: true,
                tokens: Vec::new(),
            },
            Clue::Contains { text, is_folded } => Needle {
                finder: finder(text),
                is_folded: *is_folded,
                tokens: Vec::new(),
            },
            Clue::Whole(text) => {
                let mut tokens = Vec::new();
                filter::token_hashes(text, |hash| tokens.push(hash));
                Needle {
                    finder: finder(text),
                    is_folded: false,
                    tokens,
                }
            }
            Clue::Number(_) | Clue::Anything => Needle {
                finder: None,
                is_folded: false,
                tokens: Vec::new(),
            },
        }
    }
}

/// Numbers of the texts that contain one of the needles, ascending.
pub(super) fn candidates(texts: &Texts, needles: &[Needle]) -> Vec<usize> {
    if needles.iter().any(|needle| needle.finder.is_none()) {
        return (0..texts.len()).collect();
    }
    let is_ascii = texts.text().is_ascii();
    let folded = match is_ascii && needles.iter().any(|needle| needle.is_folded) {
        true => texts.text().to_ascii_lowercase(),
        false => String::new(),
    };
    let mut found = Vec::new();
    for needle in needles {
        let Some(finder) = &needle.finder else {
            continue;
        };
        match (needle.is_folded, is_ascii) {
            (false, _) => hits(texts, texts.text(), finder, &mut found),
            (true, true) => hits(texts, &folded, finder, &mut found),
            // Folding changes lengths here, so each text is folded for itself.
            (true, false) => {
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

/// Adds the numbers of the texts with a hit, which lies in one text only; `searched` has the
/// lengths of the texts.
fn hits(texts: &Texts, searched: &str, finder: &Finder<'_>, found: &mut Vec<usize>) {
    let length = finder.needle().len();
    let mut at = 0;
    while let Some(hit) = searched
        .as_bytes()
        .get(at..)
        .and_then(|rest| finder.find(rest))
    {
        let hit = at + hit;
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
            texts in vec("[abAB ]{0,6}|[aé]{0,3}", 0..20),
            needles in vec("[ab ]{1,3}", 1..3),
            is_folded: bool,
        ) {
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
