//! Tests of text, run over all values of a column at once.
//!
//! A test has one probe for each normal form of the query. A probe that has a literal looks for
//! it with a vectorised search over the contiguous text of the column, and looks closer only
//! where it hits; without one, or when few rows are left, it looks at the values one by one. Where
//! case does not matter, text is searched as it is if the literal is ASCII, and folded if not.
//! Sources that can look for text on their encoded data are asked a [`Question`] instead.
use super::{
    block::{BlockFault, BlockView, LoadedColumn},
    selection::Selection,
};
use crate::{
    number::Number,
    regex::CompiledRegex,
    search::tree::{Pattern, Test},
    words::{
        GlobChar, folded_tokens, forms, glob_chars, glob_matches, is_token_at, last_token,
        pattern_forms, pattern_words,
    },
};
use memchr::memmem::Finder;
use std::{borrow::Cow, cmp::Ordering, sync::Arc};
use taffrail_model::{
    column::{FieldName, Kind},
    token::{fold, fold_char, fold_into, tokens},
};
use taffrail_storage::{
    caseless::CaselessFinder,
    find::{Automaton, Clue, TextQuestion},
};

/// Below one candidate in this many values, values are looked at one by one.
const SPARSE_FACTOR: usize = 16;

/// A test of text, compiled.
#[derive(Debug)]
pub(super) struct TextTest {
    probes: Vec<Probe>,
    /// Words that are a number also find values that are this number, or read as it; in a named
    /// field only.
    number: Option<Number>,
}

#[derive(Debug)]
struct Probe {
    /// What every match contains.
    finder: Option<Finder<'static>>,
    /// Whether the finder runs over folded text.
    is_folded: bool,
    /// Finds the same in text that is not folded.
    caseless: Option<CaselessFinder>,
    check: Check,
    /// Folded tokens that every match contains.
    tokens: Vec<String>,
}

#[derive(Debug)]
enum Check {
    /// The finder's text is a token.
    Word,
    /// Consecutive tokens; the finder looks for the one at `anchor`.
    Phrase { tokens: Vec<String>, anchor: usize },
    /// Consecutive tokens with wildcards; numbers match `whole` instead.
    WordGlobs {
        words: Vec<Vec<GlobChar>>,
        whole: Vec<GlobChar>,
    },
    /// The finder's text.
    Substring,
    /// Exactly this.
    Whole(String),
    /// The whole value.
    WholeGlob(Vec<GlobChar>),
    /// A regex over the whole value.
    Regex(Arc<CompiledRegex>),
}

/// A test as sources are asked it.
#[derive(Debug)]
pub(super) struct Question {
    test: Arc<TextTest>,
    /// Whether every text column is asked, in which only strings and JSON are looked at.
    is_full_text: bool,
    clues: Vec<Clue>,
}

impl Question {
    pub(super) fn new(test: Arc<TextTest>, is_full_text: bool) -> Question {
        let mut clues: Vec<Clue> = match test.literals() {
            Some(literals) => literals.iter().map(|text| contains(text)).collect(),
            None => test.probes.iter().map(Probe::clue).collect(),
        };
        if let (Some(number), false) = (test.number, is_full_text) {
            clues.push(Clue::Number(number.as_f64()));
        }
        Question {
            test,
            is_full_text,
            clues,
        }
    }
}

impl TextQuestion for Question {
    fn clues(&self) -> &[Clue] {
        &self.clues
    }

    fn looks_at(&self, kind: Kind) -> bool {
        !self.is_full_text || matches!(kind, Kind::String | Kind::Json)
    }

    fn automaton(&self) -> Option<&dyn Automaton> {
        match &self.test.probes[..] {
            [
                Probe {
                    check: Check::Regex(regex),
                    ..
                },
            ] => regex.automaton(),
            _ => None,
        }
    }

    fn literals(&self) -> Option<&[String]> {
        self.test.literals()
    }

    fn passes(&self, kind: Kind, text: &str) -> bool {
        self.looks_at(kind)
            && self
                .test
                .matches_with(kind, text, self.is_full_text, &mut String::new())
    }
}

fn contains(text: &str) -> Clue {
    Clue::Contains {
        text: text.to_owned(),
        is_folded: false,
    }
}

/// What a hit of the finder says about its value.
enum Verdict {
    Match,
    /// Not here; perhaps further on.
    Further,
    /// Not in this value.
    Never,
}

impl TextTest {
    /// Compiles a test, if it is one of text.
    pub(super) fn new(test: &Test, regex: Option<CompiledRegex>) -> Option<TextTest> {
        let (probes, number) = match test {
            Test::Words(text) => (
                forms(text).iter().map(|form| words_probe(form)).collect(),
                Number::parse(text),
            ),
            Test::WordPattern(pattern) => (
                pattern_forms(pattern)
                    .iter()
                    .map(word_pattern_probe)
                    .collect(),
                None,
            ),
            Test::Substring(text) => (
                forms(text)
                    .iter()
                    .map(|form| substring_probe(form))
                    .collect(),
                None,
            ),
            Test::Whole(text) => (
                forms(text).iter().map(|form| whole_probe(form)).collect(),
                None,
            ),
            Test::WholePattern(pattern) => (
                pattern_forms(pattern)
                    .iter()
                    .map(whole_pattern_probe)
                    .collect(),
                None,
            ),
            Test::Regex(_) => (vec![regex_probe(Arc::new(regex?))], None),
            Test::Number(..) | Test::Time(..) | Test::Level(..) | Test::Id(_) | Test::Exists => {
                return None;
            }
        };
        Some(TextTest { probes, number })
    }

    /// If it is a regex that stands for a few texts: those.
    fn literals(&self) -> Option<&[String]> {
        match &self.probes[..] {
            [
                Probe {
                    check: Check::Regex(regex),
                    ..
                },
            ] => regex.literals.as_deref(),
            _ => None,
        }
    }

    /// Whether looking for it is dear.
    pub(super) fn is_regex(&self) -> bool {
        self.probes
            .iter()
            .any(|probe| matches!(probe.check, Check::Regex(_)))
    }

    /// Whether one value passes, as a value of a named field.
    pub(super) fn matches(&self, kind: Kind, text: &str) -> bool {
        let mut scratch = String::new();
        self.matches_with(kind, text, false, &mut scratch)
    }

    fn matches_with(
        &self,
        kind: Kind,
        text: &str,
        is_full_text: bool,
        scratch: &mut String,
    ) -> bool {
        if !is_full_text && self.is_number(kind, text) {
            return true;
        }
        scratch.clear();
        if self.probes.iter().any(Probe::needs_folded) {
            fold_into(text, scratch);
        }
        self.probes
            .iter()
            .any(|probe| probe.is_in(kind, text, scratch))
    }

    /// Whether the test asks for a number and the value is that number.
    fn is_number(&self, kind: Kind, text: &str) -> bool {
        matches!(kind, Kind::Integer | Kind::Float | Kind::String)
            && self.number.is_some_and(|number| {
                Number::parse(text).is_some_and(|value| value.compare(number) == Ordering::Equal)
            })
    }

    /// Adds to `out` the rows of `within` whose value in the column passes. In full text, only
    /// strings and JSON are looked at.
    pub(super) fn scan(
        &self,
        view: &mut BlockView<'_>,
        name: &FieldName,
        is_full_text: bool,
        within: &Selection,
        out: &mut Selection,
    ) -> Result<(), BlockFault> {
        if !self.may_be_in(view, name, is_full_text)? {
            return Ok(());
        }
        let Some(loaded) = view.column(name)? else {
            return Ok(());
        };
        let column = &loaded.column;
        let may_look = |kind| !is_full_text || matches!(kind, Kind::String | Kind::Json);
        if is_full_text && !has_text(column.kinds()) {
            return Ok(());
        }
        if within.count() * SPARSE_FACTOR < column.len() {
            let mut scratch = String::new();
            for row in within.iter() {
                let Some(value) = column.get(row) else {
                    continue;
                };
                if may_look(value.kind)
                    && self.matches_with(value.kind, value.text, is_full_text, &mut scratch)
                {
                    out.add(row);
                }
            }
            return Ok(());
        }
        if self.number.is_some() && !is_full_text {
            for (row, value) in column.iter() {
                if within.has(row) && self.is_number(value.kind, value.text) {
                    out.add(row);
                }
            }
        }
        for probe in &self.probes {
            probe.scan(&loaded, may_look, within, out);
        }
        Ok(())
    }

    /// Whether the block's filter and statistics leave a chance.
    fn may_be_in(
        &self,
        view: &BlockView<'_>,
        name: &str,
        is_full_text: bool,
    ) -> Result<bool, BlockFault> {
        for probe in &self.probes {
            let mut may_be = true;
            for token in &probe.tokens {
                may_be = may_be && view.may_contain(name, token)?;
            }
            if may_be {
                return Ok(true);
            }
        }
        let (Some(number), false) = (self.number, is_full_text) else {
            return Ok(false);
        };
        // `200` is also found as 2e2, which has other tokens.
        let numbers = view.stats(name)?.and_then(|stats| stats.numbers);
        Ok(numbers.is_none_or(|(least, greatest)| (least..=greatest).contains(&number.as_f64())))
    }
}

/// Kinds that are looked at together.
const KINDS_AT_ONCE: usize = 64;

/// Whether some of the values are strings or JSON.
fn has_text(kinds: &[Kind]) -> bool {
    // Loops without a branch, which the compiler turns into comparisons of many at once.
    kinds.chunks(KINDS_AT_ONCE).any(|kinds| {
        let is_text = |kind: &Kind| matches!(kind, Kind::String | Kind::Json);
        kinds.iter().fold(false, |has, kind| has | is_text(kind))
    })
}

fn words_probe(text: &str) -> Probe {
    let tokens = folded_tokens(text);
    let anchor = (0..tokens.len())
        .max_by_key(|index| tokens[*index].len())
        .unwrap_or_default();
    Probe::new(
        tokens.get(anchor).map_or("", String::as_str),
        true,
        match tokens.len() {
            1 => Check::Word,
            _ => Check::Phrase {
                tokens: tokens.clone(),
                anchor,
            },
        },
        tokens.clone(),
    )
}

fn word_pattern_probe(pattern: &Pattern) -> Probe {
    let words = pattern_words(pattern);
    let literals = words.iter().flat_map(|word| literal_runs(word));
    let literal = literals.max_by_key(String::len).unwrap_or_default();
    let whole = glob_chars(pattern)
        .into_iter()
        .map(|glyph| match glyph {
            GlobChar::Literal(c) => GlobChar::Literal(fold_char(c)),
            wildcard => wildcard,
        })
        .collect();
    let tokens = words
        .iter()
        .filter_map(|word| whole_literal(word))
        .collect();
    Probe::new(&literal, true, Check::WordGlobs { words, whole }, tokens)
}

fn substring_probe(text: &str) -> Probe {
    let folded = fold(text);
    // Only tokens that have a separator on both sides within the text are tokens of the value.
    let is_open_at = |start: usize, end: usize| start == 0 || end == folded.len();
    let tokens = tokens(&folded)
        .filter(|(start, end)| !is_open_at(*start, *end))
        .map(|(start, end)| folded[start..end].to_owned())
        .collect();
    Probe::new(&folded, true, Check::Substring, tokens)
}

fn whole_probe(text: &str) -> Probe {
    let check = Check::Whole(text.to_owned());
    Probe::new(text, false, check, folded_tokens(text))
}

fn whole_pattern_probe(pattern: &Pattern) -> Probe {
    let chars = glob_chars(pattern);
    let literal = literal_runs(&chars).into_iter().max_by_key(String::len);
    let literal = literal.unwrap_or_default();
    Probe::new(&literal, false, Check::WholeGlob(chars), Vec::new())
}

fn regex_probe(regex: Arc<CompiledRegex>) -> Probe {
    let literal = regex.literal.clone();
    let (text, is_folded) = literal.map_or_else(Default::default, |literal| {
        (literal.text, literal.is_folded)
    });
    Probe::new(&text, is_folded, Check::Regex(regex), Vec::new())
}

/// The runs of literal characters of a pattern.
fn literal_runs(pattern: &[GlobChar]) -> Vec<String> {
    pattern
        .split(|glyph| !matches!(glyph, GlobChar::Literal(_)))
        .map(|run| {
            run.iter()
                .filter_map(|glyph| match glyph {
                    GlobChar::Literal(c) => Some(*c),
                    _ => None,
                })
                .collect()
        })
        .collect()
}

/// The text of a pattern without wildcards.
fn whole_literal(pattern: &[GlobChar]) -> Option<String> {
    pattern
        .iter()
        .map(|glyph| match glyph {
            GlobChar::Literal(c) => Some(*c),
            _ => None,
        })
        .collect()
}

impl Probe {
    /// Every match contains `literal`, if it is not empty, and the folded tokens.
    fn new(literal: &str, is_folded: bool, check: Check, tokens: Vec<String>) -> Probe {
        let finder = || Finder::new(literal.as_bytes()).into_owned();
        Probe {
            finder: (!literal.is_empty()).then(finder),
            is_folded,
            caseless: is_folded.then(|| CaselessFinder::new(literal)).flatten(),
            check,
            tokens,
        }
    }

    /// What of this an encoding can follow.
    fn clue(&self) -> Clue {
        let literal = self.finder.as_ref().and_then(|finder| {
            let text = std::str::from_utf8(finder.needle()).ok()?;
            Some((text.to_owned(), self.is_folded))
        });
        match (&self.check, literal) {
            (Check::Word, _) => Clue::Phrase(self.tokens.clone()),
            (Check::Phrase { tokens, .. }, Some(_)) => Clue::Phrase(tokens.clone()),
            (Check::Substring, Some((text, _))) => Clue::Substring(text),
            (Check::Whole(text), _) => Clue::Whole(text.clone()),
            (_, Some((text, is_folded))) => Clue::Contains { text, is_folded },
            (_, None) => Clue::Anything,
        }
    }

    fn needs_folded(&self) -> bool {
        self.is_folded
            || !matches!(
                self.check,
                Check::Whole(_) | Check::WholeGlob(_) | Check::Regex(_)
            )
    }

    /// Runs over all values.
    fn scan(
        &self,
        loaded: &LoadedColumn,
        may_look: impl Fn(Kind) -> bool,
        within: &Selection,
        out: &mut Selection,
    ) {
        let column = &loaded.column;
        let Some(finder) = &self.finder else {
            let (folded, ends) = match self.needs_folded() {
                true => loaded.folded(),
                false => loaded.raw(),
            };
            for (index, (row, value)) in column.iter().enumerate() {
                if within.has(row)
                    && may_look(value.kind)
                    && self.is_in(value.kind, value.text, part(folded, ends, index))
                {
                    out.add(row);
                }
            }
            return;
        };
        let caseless = self.caseless.as_ref();
        let caseless = caseless.filter(|caseless| caseless.finds_all_in(column.text()));
        let is_folded = self.is_folded && caseless.is_none();
        let (hay, ends) = match is_folded {
            true => loaded.folded(),
            false => loaded.raw(),
        };
        let find = |at: usize| match caseless {
            Some(caseless) => caseless.find(hay.as_bytes(), at),
            None => {
                let rest = hay.as_bytes().get(at..)?;
                finder.find(rest).map(|hit| at + hit)
            }
        };
        let width = finder.needle().len();
        let (mut at, mut index) = (0, 0);
        while let Some(hit) = find(at) {
            index += ends[index..].partition_point(|end| *end as usize <= hit);
            let (Some(end), Some(row)) = (ends.get(index), column.rows().get(index)) else {
                return;
            };
            let end = *end as usize;
            at = end;
            let value = column.value_at(index);
            if hit + width > end || !within.has(*row) || out.has(*row) || !may_look(value.kind) {
                continue;
            }
            let seen = Hay {
                text: part(hay, ends, index),
                is_folded,
            };
            let offset = hit - (end - seen.text.len());
            match self.verdict(value.kind, value.text, &seen, offset) {
                Verdict::Match => out.add(*row),
                Verdict::Further => at = hit + 1,
                Verdict::Never => {}
            }
        }
    }

    /// Whether one value passes.
    fn is_in(&self, kind: Kind, raw: &str, folded: &str) -> bool {
        let Some(finder) = &self.finder else {
            let hay = Hay {
                text: folded,
                is_folded: self.needs_folded(),
            };
            return matches!(self.verdict(kind, raw, &hay, 0), Verdict::Match);
        };
        let hay = Hay {
            text: if self.is_folded { folded } else { raw },
            is_folded: self.is_folded,
        };
        let bytes = hay.text.as_bytes();
        let mut at = 0;
        while let Some(hit) = bytes.get(at..).and_then(|rest| finder.find(rest)) {
            match self.verdict(kind, raw, &hay, at + hit) {
                Verdict::Match => return true,
                Verdict::Further => at += hit + 1,
                Verdict::Never => return false,
            }
        }
        false
    }

    /// Looks closer at a hit: `hay` is the value as the finder saw it, `at` the place in it. Folding
    /// changes no separator and no length of what is ASCII, so words are where they were
    /// (`folding_keeps_what_is_a_token`, a test of the store's prose, tries all there are).
    fn verdict(&self, kind: Kind, raw: &str, hay: &Hay<'_>, at: usize) -> Verdict {
        let is_number = matches!(kind, Kind::Integer | Kind::Float);
        let decide = |is_match| match is_match {
            true => Verdict::Match,
            false => Verdict::Never,
        };
        match &self.check {
            Check::Word | Check::Phrase { .. } if is_number => Verdict::Never,
            Check::Word => {
                let end = at
                    + self
                        .finder
                        .as_ref()
                        .map_or(0, |finder| finder.needle().len());
                match is_token_at(hay.text, at, end) {
                    true => Verdict::Match,
                    false => Verdict::Further,
                }
            }
            Check::Phrase { tokens, anchor } => match is_phrase_at(hay.text, at, tokens, *anchor) {
                true => Verdict::Match,
                false => Verdict::Further,
            },
            Check::WordGlobs { whole, .. } if is_number => {
                decide(glob_matches(whole, &hay.folded()))
            }
            Check::WordGlobs { words, .. } => decide(has_glob_words(&hay.folded(), words)),
            Check::Substring => Verdict::Match,
            Check::Whole(text) => decide(raw == text),
            Check::WholeGlob(pattern) => decide(glob_matches(pattern, raw)),
            Check::Regex(regex) => decide(regex.regex.is_match(raw)),
        }
    }
}

/// The text of one value.
fn part<'a>(text: &'a str, ends: &[u32], index: usize) -> &'a str {
    let start = index
        .checked_sub(1)
        .map_or(0, |before| ends[before] as usize);
    &text[start..ends[index] as usize]
}

/// A value as it is searched.
struct Hay<'a> {
    text: &'a str,
    is_folded: bool,
}

impl Hay<'_> {
    fn folded(&self) -> Cow<'_, str> {
        let is_folded = |byte: u8| byte < 0x80 && !byte.is_ascii_uppercase();
        match self.is_folded || self.text.bytes().all(is_folded) {
            true => Cow::Borrowed(self.text),
            false => Cow::Owned(fold(self.text)),
        }
    }
}

/// Whether a token is this one when it is folded.
fn is_folded_to(token: &str, folded: &str) -> bool {
    match token.is_ascii() {
        true => token.eq_ignore_ascii_case(folded),
        false => token == folded || token.chars().map(fold_char).eq(folded.chars()),
    }
}

/// Whether the token at `anchor` stands at `at`, and the others around it; case does not matter.
fn is_phrase_at(text: &str, at: usize, phrase: &[String], anchor: usize) -> bool {
    let Some(token) = phrase.get(anchor) else {
        return false;
    };
    let end = at + token.len();
    if !is_token_at(text, at, end) {
        return false;
    }
    let after = &text[end..];
    let mut following = tokens(after);
    let is_followed = phrase[anchor + 1..].iter().all(|expected| {
        following
            .next()
            .is_some_and(|(start, end)| is_folded_to(&after[start..end], expected))
    });
    let mut before = &text[..at];
    is_followed
        && phrase[..anchor].iter().rev().all(|expected| {
            let Some((start, end)) = last_token(before) else {
                return false;
            };
            let is_equal = is_folded_to(&before[start..end], expected);
            before = &before[..start];
            is_equal
        })
}

/// Whether consecutive tokens match these patterns.
fn has_glob_words(text: &str, words: &[Vec<GlobChar>]) -> bool {
    let found: Vec<_> = tokens(text).map(|(start, end)| &text[start..end]).collect();
    found.windows(words.len().max(1)).any(|window| {
        words
            .iter()
            .zip(window)
            .all(|(word, token)| glob_matches(word, token))
    })
}
