//! Looking for folded text in text that is not folded, without a folded copy of it.
//!
//! A few neighbouring characters of the needle, those that logs have least, are looked for in all
//! their cases at once, and what is around a hit is compared. That reads the text at the speed of
//! memory, where a copy is written, read again and given back.
use aho_corasick::{Span, packed::Searcher};
use memchr::memmem;

/// Characters that are looked for at once: in both cases they are 16 patterns at the most.
const WINDOW: usize = 4;
/// Bytes of a needle at the most: all of them are compared at each hit of the window, so a longer one
/// could cost more than a folded copy of the text.
const NEEDLE_BYTES_MAX: usize = 64;
/// ASCII characters from the most frequent on, roughly, as logs have them; others are rare.
const FREQUENT: &[u8] = b" eatinrosl0dc12m3u45-.p6798h:gfb/=vwyk_\",x";
/// What is no ASCII character and folds to one, with that (`two_characters_fold_to_ascii` tries all
/// there are).
const FOLDED_TO_ASCII: [(&str, u8); 2] = [("\u{212A}", b'k'), ("\u{17F}", b's')];

/// Finds a folded ASCII text, whatever the case of its letters.
#[derive(Debug)]
pub struct CaselessFinder {
    needle: Box<[u8]>,
    window: Searcher,
    /// Where in the needle the window is.
    offset: usize,
}

impl CaselessFinder {
    /// `None` if the text is empty, not ASCII or longer than 64 bytes, or the processor has no
    /// instructions for it: then text has to be folded to be searched.
    #[must_use]
    pub fn new(folded: &str) -> Option<CaselessFinder> {
        let needle = folded.as_bytes();
        if !folded.is_ascii() || needle.len() > NEEDLE_BYTES_MAX {
            return None;
        }
        let length = needle.len().min(WINDOW);
        let windows = needle.windows(length.max(1)).enumerate();
        let (offset, window) = windows.min_by_key(|(_, window)| frequency(window))?;
        Some(CaselessFinder {
            window: Searcher::new(cases(window))?,
            needle: needle.into(),
            offset,
        })
    }

    /// Whether it finds all there is: no other character of the text folds to one of the needle's.
    #[must_use]
    pub fn finds_all_in(&self, text: &str) -> bool {
        FOLDED_TO_ASCII.iter().all(|(other, letter)| {
            !self.needle.contains(letter)
                || memmem::find(text.as_bytes(), other.as_bytes()).is_none()
        })
    }

    /// The byte at which the needle stands first, from byte `from` on; `None` if it does not.
    #[must_use]
    pub fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        let mut at = from + self.offset;
        while at < text.len() {
            let span = Span::from(at..text.len());
            let hit = self.window.find_in(text, span)?.start();
            let start = hit - self.offset;
            let have = text.get(start..start + self.needle.len())?;
            if have.eq_ignore_ascii_case(&self.needle) {
                return Some(start);
            }
            at = hit + 1;
        }
        None
    }
}

fn frequency(window: &[u8]) -> usize {
    let of_byte = |byte: &u8| {
        let place = memchr::memchr(*byte, FREQUENT);
        place.map_or(0, |place| FREQUENT.len() - place)
    };
    window.iter().map(of_byte).sum()
}

/// A folded ASCII text in all its cases.
fn cases(folded: &[u8]) -> Vec<Vec<u8>> {
    let mut cases = vec![Vec::new()];
    for byte in folded {
        let upper = byte.to_ascii_uppercase();
        let before = cases.len();
        if upper != *byte {
            cases.extend_from_within(..);
        }
        for (index, case) in cases.iter_mut().enumerate() {
            case.push(if index < before { *byte } else { upper });
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use taffrail_model::token::fold_char;

    /// All places of a needle, `None` if it cannot be looked for in the text.
    fn places(needle: &str, text: &str) -> Option<Vec<usize>> {
        let finder = CaselessFinder::new(needle)?;
        if !finder.finds_all_in(text) {
            return None;
        }
        let mut found = Vec::new();
        while let Some(hit) = finder.find(text.as_bytes(), found.last().map_or(0, |last| last + 1))
        {
            found.push(hit);
        }
        Some(found)
    }

    #[test]
    fn two_characters_fold_to_ascii() {
        let others = ('\u{80}'..=char::MAX).filter(|c| fold_char(*c).is_ascii());
        let found: Vec<(String, u8)> = others
            .map(|c| (c.to_string(), fold_char(c) as u8))
            .collect();
        let mut expected = FOLDED_TO_ASCII.map(|(other, letter)| (other.to_owned(), letter));
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_needle_is_found_in_every_case() {
        assert_eq!(places("fail", "Fail FAIL fAiL fai"), Some(vec![0, 5, 10]));
        assert_eq!(places("aa", "aAa"), Some(vec![0, 1]));
        assert_eq!(places("7", "a7b77"), Some(vec![1, 3, 4]));
        assert_eq!(places("k9", "K9 k9"), Some(vec![0, 3]));
        assert_eq!(places("k9", "\u{212A}9 k9"), None);
        assert_eq!(places("size", "\u{17F}ize"), None);
        assert_eq!(places("abc", "é ABC \u{212A}"), Some(vec![3]));
        assert_eq!(places("", "a"), None);
        assert_eq!(places("é", "é"), None);
        assert_eq!(cases(b"a-b").len(), 4);
    }

    #[test]
    fn a_needle_has_a_longest() {
        let longest = "z".repeat(NEEDLE_BYTES_MAX);
        let text = "Z".repeat(NEEDLE_BYTES_MAX + 1);
        assert_eq!(places(&longest, &text), Some(vec![0, 1]));
        assert_eq!(places(&(longest + "z"), &text), None);
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_folded_text_has(
            needle in "[a-z0-9 ]{1,9}",
            parts in proptest::collection::vec("[a-zA-Z0-9 é\u{212A}]{0,9}", 0..30),
        ) {
            let with_needle = [needle.to_ascii_uppercase(), needle.clone()];
            let text = parts.join(&with_needle[parts.len() % 2]);
            if let Some(found) = places(&needle, &text) {
                let folded: Vec<u8> = text.bytes().map(|byte| byte.to_ascii_lowercase()).collect();
                let mut expected = Vec::new();
                let all = folded.windows(needle.len()).enumerate();
                expected.extend(all.filter(|(_, have)| *have == needle.as_bytes()).map(|(at, _)| at));
                prop_assert_eq!(found, expected);
            } else {
                let has_kelvin = text.contains('\u{212A}');
                prop_assert!(has_kelvin && needle.contains('k'));
            }
        }
    }
}
