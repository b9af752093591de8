//! Regular expressions: linear time, bounded memory, and the literal that every match contains.
use crate::search::tree::RegexText;
use regex_automata::{
    Anchored,
    dfa::{Automaton as _, StartKind, dense},
    meta::Regex,
    nfa::thompson::NFA,
    util::{primitives::StateID, start},
};
use regex_syntax::hir::{Class, Hir, HirKind, literal::Extractor};
use std::sync::OnceLock;
use taffrail_model::{limits::REGEX_BYTES_MAX, token::fold_char};
use taffrail_storage::find::Automaton;

/// Bytes of an automaton with all of its states: most expressions have some hundred bytes, and one
/// that has more is asked value by value.
const AUTOMATON_BYTES_MAX: usize = 256 << 10;

/// Texts that an expression may stand for: each is looked for by itself.
const LITERALS_MAX: usize = 8;

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegexFault {
    /// What is wrong.
    pub(crate) detail: String,
    /// Where, in characters of the expression, if that is known.
    pub(crate) characters: Option<(usize, usize)>,
}

/// An expression ready to run.
#[derive(Debug)]
pub(crate) struct CompiledRegex {
    pub(crate) regex: Regex,
    /// A text that every match contains, as it stands or folded.
    pub(crate) literal: Option<RequiredLiteral>,
    /// If the expression matches a few texts and nothing else: those.
    pub(crate) literals: Option<Vec<String>>,
    hir: Hir,
    automaton: OnceLock<Option<ByteAutomaton>>,
}

impl CompiledRegex {
    /// All states of the expression, made when first asked for; `None` if they are too many, or if
    /// it asks for word boundaries of Unicode.
    pub(crate) fn automaton(&self) -> Option<&dyn Automaton> {
        let made = self.automaton.get_or_init(|| ByteAutomaton::of(&self.hir));
        made.as_ref().map(|automaton| automaton as &dyn Automaton)
    }
}

/// An expression as an automaton that accepts what contains a match.
#[derive(Debug)]
struct ByteAutomaton {
    dfa: dense::DFA<Vec<u32>>,
    start: StateID,
}

impl ByteAutomaton {
    fn of(hir: &Hir) -> Option<ByteAutomaton> {
        let nfa = NFA::config().nfa_size_limit(Some(AUTOMATON_BYTES_MAX));
        let nfa = NFA::compiler().configure(nfa).build_from_hir(hir).ok()?;
        let limits = dense::Config::new()
            .start_kind(StartKind::Unanchored)
            .dfa_size_limit(Some(AUTOMATON_BYTES_MAX))
            .determinize_size_limit(Some(AUTOMATON_BYTES_MAX));
        let mut builder = dense::Builder::new();
        let dfa = builder.configure(limits).build_from_nfa(&nfa).ok()?;
        let start = start::Config::new().anchored(Anchored::No);
        let start = dfa.start_state(&start).ok()?;
        Some(ByteAutomaton { dfa, start })
    }

    /// A state by the number that the trait gives it.
    fn state(&self, state: u32) -> StateID {
        StateID::new(state as usize).unwrap_or(self.start)
    }
}

impl Automaton for ByteAutomaton {
    fn start(&self) -> u32 {
        self.start.as_u32()
    }

    fn next(&self, state: u32, byte: u8) -> u32 {
        self.dfa.next_state(self.state(state), byte).as_u32()
    }

    fn accepts(&self, state: u32) -> bool {
        self.dfa.is_match_state(self.state(state))
    }

    fn accepts_at_end(&self, state: u32) -> bool {
        let end = self.dfa.next_eoi_state(self.state(state));
        self.dfa.is_match_state(end)
    }
}

/// A text that every match contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequiredLiteral {
    pub(crate) text: String,
    /// Whether it is contained in the folded text only.
    pub(crate) is_folded: bool,
}

/// Whether an expression compiles within the limits.
pub(crate) fn check(text: &RegexText) -> Result<(), RegexFault> {
    compile(text).map(|_| ())
}

/// Compiles an expression.
pub(crate) fn compile(text: &RegexText) -> Result<CompiledRegex, RegexFault> {
    let hir = regex_syntax::ParserBuilder::new()
        .case_insensitive(text.folds_case)
        .nest_limit(100)
        .build()
        .parse(&text.pattern)
        .map_err(|error| syntax_fault(&text.pattern, &error))?;
    let config = Regex::config()
        .nfa_size_limit(Some(REGEX_BYTES_MAX))
        .onepass_size_limit(Some(REGEX_BYTES_MAX))
        .hybrid_cache_capacity(REGEX_BYTES_MAX)
        .dfa(false);
    let regex = Regex::builder()
        .configure(config)
        .build_from_hir(&hir)
        .map_err(|error| RegexFault {
            detail: match error.size_limit() {
                Some(_) => format!("the regex needs more than {REGEX_BYTES_MAX} bytes"),
                None => format!("the regex cannot be compiled: {error}"),
            },
            characters: None,
        })?;
    let mut finder = LiteralFinder::default();
    finder.walk(&hir);
    finder.cut();
    Ok(CompiledRegex {
        regex,
        literal: finder.best,
        literals: literals(&hir),
        hir,
        automaton: OnceLock::new(),
    })
}

/// The texts that an expression matches, if they are few and it looks at nothing around them.
fn literals(hir: &Hir) -> Option<Vec<String>> {
    if !hir.properties().look_set().is_empty() {
        return None;
    }
    let sequence = Extractor::new().extract(hir);
    if !sequence.is_exact() || sequence.len()? > LITERALS_MAX {
        return None;
    }
    let texts = sequence.literals()?.iter().map(|literal| {
        let text = std::str::from_utf8(literal.as_bytes()).ok()?;
        (!text.is_empty()).then(|| text.to_owned())
    });
    let texts: Vec<String> = texts.collect::<Option<_>>()?;
    (!texts.is_empty()).then_some(texts)
}

fn syntax_fault(pattern: &str, error: &regex_syntax::Error) -> RegexFault {
    let (detail, span) = match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), Some(error.span())),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), Some(error.span())),
        other => (other.to_string(), None),
    };
    let characters = |byte: usize| pattern.get(..byte).map(|before| before.chars().count());
    RegexFault {
        detail: format!("the regex is faulty: {detail}"),
        characters: span
            .and_then(|span| Some((characters(span.start.offset)?, characters(span.end.offset)?))),
    }
}

/// Collects the runs of characters that every match has to contain, and keeps the longest.
#[derive(Default)]
struct LiteralFinder {
    run: String,
    is_folded: bool,
    best: Option<RequiredLiteral>,
}

impl LiteralFinder {
    /// Ends the run at something that is no literal.
    fn cut(&mut self) {
        let text = std::mem::take(&mut self.run);
        let is_folded = std::mem::take(&mut self.is_folded);
        let longest = self.best.as_ref().map_or(0, |best| best.text.len());
        if text.len() > longest {
            self.best = Some(RequiredLiteral { text, is_folded });
        }
    }

    fn walk(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) if self.is_folded => {
                    self.run.extend(text.chars().map(fold_char));
                }
                Ok(text) => self.run.push_str(text),
                Err(_) => self.cut(),
            },
            HirKind::Class(class) => match folded_class(class) {
                Some(c) => {
                    if !self.is_folded {
                        self.run = self.run.chars().map(fold_char).collect();
                        self.is_folded = true;
                    }
                    self.run.push(c);
                }
                None => self.cut(),
            },
            HirKind::Look(_) => {}
            HirKind::Capture(capture) => self.walk(&capture.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.walk(part)),
            HirKind::Repetition(repetition) => {
                self.cut();
                if repetition.min > 0 {
                    self.walk(&repetition.sub);
                    self.cut();
                }
            }
            HirKind::Alternation(_) => self.cut(),
        }
    }
}

/// The character that all characters of a class fold to.
fn folded_class(class: &Class) -> Option<char> {
    let Class::Unicode(class) = class else {
        return None;
    };
    let first = fold_char(class.ranges().first()?.start());
    let all_fold = class.ranges().iter().all(|range| {
        range.len() <= 4 && (range.start()..=range.end()).all(|c| fold_char(c) == first)
    });
    all_fold.then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(pattern: &str, folds_case: bool) -> Option<(String, bool)> {
        let text = RegexText {
            pattern: pattern.into(),
            folds_case,
        };
        let literal = compile(&text).unwrap().literal;
        literal.map(|literal| (literal.text, literal.is_folded))
    }

    #[test]
    fn the_literal_that_every_match_contains() {
        let check = |pattern, folds, expected: Option<(&str, bool)>| {
            let expected = expected.map(|(text, folded)| (text.to_owned(), folded));
            assert_eq!(literal(pattern, folds), expected, "{pattern}");
        };
        check(
            r"blk_-?[0-9]+ of size [0-9]{7} ",
            false,
            Some((" of size ", false)),
        );
        check("time(d )?out after", false, Some(("out after", false)));
        check("(abc)+d", false, Some(("abc", false)));
        check("(abc)?", false, None);
        check("a|b", false, None);
        check("x(foo|bar)longer", false, Some(("longer", false)));
        check("Kelvin [0-9]", true, Some(("kelvin ", true)));
        check("^start", false, Some(("start", false)));
    }

    #[test]
    fn the_texts_that_a_regex_stands_for() {
        let check = |pattern: &str, folds_case, expected: Option<&[&str]>| {
            let text = RegexText {
                pattern: pattern.into(),
                folds_case,
            };
            let found = compile(&text).unwrap().literals;
            let expected =
                expected.map(|texts| texts.iter().map(|text| text.to_string()).collect());
            assert_eq!(found, expected, "{pattern}");
        };
        check("abc", false, Some(&["abc"]));
        check(
            "ab (c|de)f?",
            false,
            Some(&["ab cf", "ab c", "ab def", "ab de"]),
        );
        check("é[xy]", false, Some(&["éx", "éy"]));
        check("ab", true, Some(&["AB", "Ab", "aB", "ab"]));
        check("^abc", false, None);
        check(r"\babc", false, None);
        check("ab+", false, None);
        check("a.c", false, None);
        check("(abc)?", false, None);
        check("", false, None);
        check("[a-p]", false, None);
        let eight = ["ace", "acf", "ade", "adf", "bce", "bcf", "bde", "bdf"];
        assert_eq!(eight.len(), LITERALS_MAX);
        check("[ab][cd][ef]", false, Some(&eight));
        check("[ab][cd][efg]", false, None);
    }

    #[test]
    fn faults_have_their_place() {
        let text = RegexText {
            pattern: "é(a".into(),
            folds_case: false,
        };
        let fault = check(&text).unwrap_err();
        assert_eq!(fault.characters, Some((1, 2)));
        let huge = RegexText {
            pattern: r"\w{1000}{50}".into(),
            folds_case: false,
        };
        assert!(check(&huge).unwrap_err().detail.contains("bytes"));
    }
}
