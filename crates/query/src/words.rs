//! Words of queries under the token rule ([`taffrail_model::token`]): forms of a text, patterns
//! cut into words, and the test whether a hit is a word.
use crate::search::tree::{Pattern, PatternPart};
use taffrail_model::token::{fold, is_single, is_token_char, tokens};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfd_quick};

/// Whether a text has something to look up.
pub(crate) fn has_words(text: &str) -> bool {
    tokens(text).next().is_some()
}

/// A text as it is, in NFC and in NFD, without repeats: a record may have come in either form.
pub(crate) fn forms(text: &str) -> Vec<String> {
    let mut forms = vec![text.to_owned()];
    if is_nfc_quick(text.chars()) != IsNormalized::Yes
        || is_nfd_quick(text.chars()) != IsNormalized::Yes
    {
        for form in [text.nfc().collect(), text.nfd().collect()] {
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
    }
    forms
}

/// The folded tokens of a text.
pub(crate) fn folded_tokens(text: &str) -> Vec<String> {
    tokens(text)
        .map(|(start, end)| fold(&text[start..end]))
        .collect()
}

/// A character of a pattern, or a wildcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GlobChar {
    Literal(char),
    AnyOne,
    AnyRun,
}

/// The characters and wildcards of a pattern.
pub(crate) fn glob_chars(pattern: &Pattern) -> Vec<GlobChar> {
    let mut out = Vec::new();
    for part in pattern.parts() {
        match part {
            PatternPart::Literal(text) => out.extend(text.chars().map(GlobChar::Literal)),
            PatternPart::AnyOne => out.push(GlobChar::AnyOne),
            PatternPart::AnyRun => out.push(GlobChar::AnyRun),
        }
    }
    out
}

/// A pattern in its normal forms, as [`forms`] of its literals.
pub(crate) fn pattern_forms(pattern: &Pattern) -> Vec<Pattern> {
    let map = |form: fn(&str) -> String| {
        Pattern::new(pattern.parts().iter().map(|part| match part {
            PatternPart::Literal(text) => PatternPart::Literal(form(text)),
            other => other.clone(),
        }))
    };
    let mut out = vec![pattern.clone()];
    for form in [
        map(|text| text.nfc().collect()),
        map(|text| text.nfd().collect()),
    ] {
        if !out.contains(&form) {
            out.push(form);
        }
    }
    out
}

/// The words of a pattern, folded: wildcards belong to words, everything else is cut by the token
/// rule. A run of stars alone at either end asks for nothing and is left out.
pub(crate) fn pattern_words(pattern: &Pattern) -> Vec<Vec<GlobChar>> {
    let mut words: Vec<Vec<GlobChar>> = Vec::new();
    let mut word = Vec::new();
    for glyph in glob_chars(pattern) {
        match glyph {
            GlobChar::Literal(c) if !is_token_char(c) => {
                words.push(std::mem::take(&mut word));
            }
            GlobChar::Literal(c) if is_single(c) => {
                words.push(std::mem::take(&mut word));
                words.push(vec![GlobChar::Literal(c)]);
            }
            GlobChar::Literal(c) => {
                word.push(GlobChar::Literal(taffrail_model::token::fold_char(c)));
            }
            wildcard => word.push(wildcard),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    let is_free = |word: &Vec<GlobChar>| word.as_slice() == [GlobChar::AnyRun];
    while words.last().is_some_and(is_free) {
        words.pop();
    }
    let free = words.iter().take_while(|word| is_free(word)).count();
    words.drain(..free);
    words
}

/// Whether a pattern covers the whole text. Linear in the text for each star.
pub(crate) fn glob_matches(pattern: &[GlobChar], text: &str) -> bool {
    let mut rest = text.chars();
    let mut at = 0;
    // Where to go on if what follows the last star fails: one character further.
    let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        match pattern.get(at) {
            Some(GlobChar::AnyRun) => {
                at += 1;
                retry = Some((at, rest.clone()));
                continue;
            }
            Some(expected) => {
                let mut ahead = rest.clone();
                let is_hit = match (expected, ahead.next()) {
                    (_, None) => return false,
                    (GlobChar::Literal(c), Some(found)) => *c == found,
                    (_, Some(_)) => true,
                };
                if is_hit {
                    rest = ahead;
                    at += 1;
                    continue;
                }
            }
            None if rest.as_str().is_empty() => return true,
            None => {}
        }
        let Some((after, from)) = &mut retry else {
            return false;
        };
        if from.next().is_none() {
            return false;
        }
        at = *after;
        rest = from.clone();
    }
}

/// Whether `text[start..end]`, which has the characters of a token, is one.
pub(crate) fn is_token_at(text: &str, start: usize, end: usize) -> bool {
    let inner = &text[start..end];
    let is_single_word = |c: Option<char>| c.is_some_and(is_single);
    let joins = |c: Option<char>| c.is_some_and(|c| is_token_char(c) && !is_single(c));
    let starts = is_single_word(inner.chars().next()) || !joins(text[..start].chars().next_back());
    starts && (is_single_word(inner.chars().next_back()) || !joins(text[end..].chars().next()))
}

/// The last token of a text.
pub(crate) fn last_token(text: &str) -> Option<(usize, usize)> {
    let mut end = None;
    let mut start = 0;
    for (at, c) in text.char_indices().rev() {
        if !is_token_char(c) {
            match end {
                None => continue,
                Some(_) => break,
            }
        }
        if is_single(c) {
            if end.is_none() {
                return Some((at, at + c.len_utf8()));
            }
            break;
        }
        end.get_or_insert(at + c.len_utf8());
        start = at;
    }
    end.map(|end| (start, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text.chars().map(|c| match c {
            '*' => PatternPart::AnyRun,
            '?' => PatternPart::AnyOne,
            c => PatternPart::Literal(c.to_string()),
        }))
    }

    #[test]
    fn globs() {
        let check = |glob: &str, text: &str, expected: bool| {
            assert_eq!(
                glob_matches(&glob_chars(&pattern(glob)), text),
                expected,
                "{glob} {text}"
            );
        };
        check("", "", true);
        check("", "a", false);
        check("*", "", true);
        check("a*", "abc", true);
        check("*c", "abcbc", true);
        check("a?c", "abc", true);
        check("a?c", "ac", false);
        check("a*b*c", "aXbXbXc", true);
        check("a*b*c", "aXbXbX", false);
        check("?", "é", true);
        check("*a?", "aaab", true);
    }

    #[test]
    fn patterns_are_cut_into_words() {
        let count = |text: &str| pattern_words(&pattern(text)).len();
        assert_eq!(count("fail*"), 1);
        assert_eq!(count("10.0.*"), 2);
        assert_eq!(count("a-*-b"), 3);
        assert_eq!(count("*-*"), 0);
        assert_eq!(count("日*"), 1);
        assert_eq!(count("user_?"), 2);
    }

    proptest! {
        #[test]
        fn tokens_are_found_from_either_end(text in "[a日ไ_ é1\u{301}-]{0,12}") {
            let all: Vec<_> = tokens(&text).collect();
            prop_assert_eq!(last_token(&text), all.last().copied());
            for (start, end) in all {
                prop_assert!(is_token_at(&text, start, end));
            }
        }
    }
}
