//! The words that secrets are introduced by in text, and the search for them.
//!
//! A name has its separators where its writer liked them (`api_key`, `api  key`, `pass-word`),
//! so one part of it is searched for, and the other parts are looked for around it.
use super::coded;
use crate::config::ConfigError;
use aho_corasick::{AhoCorasick, packed};
use std::cmp::Reverse;

/// Separators in a row between two parts of a name: more are no name any more, and the work for
/// each part that is found stays bounded.
const SEPARATORS_MAX: usize = 8;

/// What a part must have around it to be a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Around {
    /// Nothing: it is the word.
    Nothing,
    /// Other parts of the name, before and after it.
    Parts(Vec<String>, Vec<String>),
    /// An assignment right behind it, or dashes before it: the word is a part of many others.
    Assignment,
}

/// One way in which a name is found.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) around: Around,
}

impl Word {
    /// A word that is found as it is.
    pub(super) fn alone(text: &str) -> Word {
        Word {
            text: text.to_owned(),
            around: Around::Nothing,
        }
    }

    /// A name of several parts, found by the longest, and of two as long by the first.
    pub(super) fn of_parts(parts: &[String]) -> Option<Word> {
        let longest = (0..parts.len()).max_by_key(|at| (parts[*at].len(), Reverse(*at)))?;
        Some(Word {
            text: parts[longest].clone(),
            around: match parts.len() {
                1 => Around::Nothing,
                _ => Around::Parts(parts[..longest].to_vec(), parts[longest + 1..].to_vec()),
            },
        })
    }
}

/// The search for words in lower-cased text.
pub(super) struct Words {
    search: Search,
    /// For each text that is searched for, what may stand around it.
    around: Vec<Vec<Around>>,
}

/// With vector instructions where the processor has them, several times faster than the
/// automaton.
enum Search {
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

impl Words {
    pub(super) fn new(words: &[Word]) -> Result<Words, ConfigError> {
        let mut texts: Vec<&str> = Vec::new();
        let mut around: Vec<Vec<Around>> = Vec::new();
        for word in words {
            match texts.iter().position(|text| *text == word.text) {
                Some(at) => around[at].push(word.around.clone()),
                None => {
                    texts.push(&word.text);
                    around.push(vec![word.around.clone()]);
                }
            }
        }
        let search = match packed::Searcher::new(&texts) {
            Some(packed) => Search::Packed(packed),
            None => AhoCorasick::builder()
                .match_kind(aho_corasick::MatchKind::LeftmostFirst)
                .build(&texts)
                .map(Search::Automaton)
                .map_err(|_| ConfigError::TooManyFieldNames)?,
        };
        Ok(Words { search, around })
    }

    /// Range of the first word at or after `at`.
    pub(super) fn next(&self, lower: &str, at: usize) -> Option<(usize, usize)> {
        let mut from = at;
        loop {
            let span = aho_corasick::Span::from(from..lower.len());
            let found = match &self.search {
                Search::Packed(packed) => packed.find_in(lower, span),
                Search::Automaton(automaton) => {
                    automaton.find(aho_corasick::Input::new(lower).span(span))
                }
            }?;
            let around = &self.around[found.pattern().as_usize()];
            let word = around
                .iter()
                .find_map(|around| around.word(lower.as_bytes(), found.start(), found.end()));
            // A part before the place to begin at belongs to what was looked at already.
            if let Some((start, end)) = word {
                return Some((start.max(at), end));
            }
            from = found.start() + 1;
        }
    }
}

impl Around {
    /// The range of the whole word, if the part in that range belongs to one.
    fn word(&self, bytes: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
        match self {
            Around::Nothing => Some((start, end)),
            Around::Parts(before, after) => {
                let start = before.iter().rev().try_fold(start, |start, part| {
                    let end = before_separators(bytes, start);
                    bytes[..end]
                        .ends_with(part.as_bytes())
                        .then(|| end - part.len())
                })?;
                let end = after.iter().try_fold(end, |end, part| {
                    let next = after_separators(bytes, end);
                    bytes[next..]
                        .starts_with(part.as_bytes())
                        .then(|| next + part.len())
                })?;
                Some((start, end))
            }
            Around::Assignment => {
                let is_assigned = matches!(
                    bytes.get(end),
                    Some(b'=' | b'"' | b'\'' | b'\\' | b'%' | b'&')
                );
                (is_assigned || bytes[..start].ends_with(b"--")).then_some((start, end))
            }
        }
    }
}

/// Where separators end that begin at `at`.
fn after_separators(bytes: &[u8], at: usize) -> usize {
    let mut end = at;
    for _ in 0..SEPARATORS_MAX {
        end += match bytes.get(end) {
            Some(byte) if is_separator(*byte) => 1,
            _ => match coded::at(bytes, end) {
                Some((byte, length)) if is_separator(byte) => length,
                _ => break,
            },
        };
    }
    end
}

/// Where separators begin that end at `at`.
fn before_separators(bytes: &[u8], at: usize) -> usize {
    let mut start = at;
    for _ in 0..SEPARATORS_MAX {
        let Some(place) = start.checked_sub(1) else {
            break;
        };
        start = match coded::before(bytes, start) {
            Some((byte, escape)) if is_separator(byte) => escape,
            _ if is_separator(bytes[place]) => place,
            _ => break,
        };
    }
    start
}

/// A `+` is a blank in URLs.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b'_' | b'-' | b'.' | b' ' | b'\t' | b'+')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let parts = |parts: &[&str]| {
            Word::of_parts(&parts.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
        };
        let words = Words::new(&[
            Word::alone("token"),
            parts(&["api", "key"]),
            parts(&["social", "security", "number"]),
            Word {
                text: "pass".into(),
                around: Around::Assignment,
            },
            parts(&["pass", "wd"]),
        ])
        .unwrap();
        let mut found = Vec::new();
        let mut at = 0;
        while let Some((start, end)) = words.next(text, at) {
            found.push(&text[start..end]);
            at = end;
        }
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn parts_with_any_separators_are_one_word() {
        check("", &[]);
        check("a token, tokens", &["token", "token"]);
        check(
            "apikey api_key api  key",
            &["apikey", "api_key", "api  key"],
        );
        check("x-api.-key", &["api.-key"]);
        check("api         key", &[]);
        check("api server, key", &[]);
        check("keyapi", &[]);
        check("api\nkey", &[]);
        check("social security_number", &["social security_number"]);
        check("security number", &[]);
        check("pass=x pass: y passed --pass z", &["pass", "pass"]);
        check("passwd pass_wd", &["passwd", "pass_wd"]);
        check("api-api-key", &["api-key"]);
        check("api%20%20key api+key", &["api%20%20key", "api+key"]);
        check(
            "social%2520security%20number",
            &["social%2520security%20number"],
        );
    }
}
