//! Counts what each question must find, over all of the data, and chooses the needles that keep
//! the rules.
//!
//! Two threads share the chunks. Most records are ruled out for most candidates by one search for
//! all their texts in the raw line; the others are tested one by one.
use super::{
    data::{Chunk, Source},
    questions::{Ask, Rule, Span},
    seen::{Seen, Severity, Test, words},
};
use aho_corasick::AhoCorasick;
use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::{Mutex, PoisonError, mpsc},
};

/// Threads that count.
const THREADS: usize = 2;
/// Chunks that wait for them.
const CHUNKS_WAITING_MAX: usize = 2;

/// Times of a question, in ns since 1970, both included.
pub type Range = (i64, i64);

/// What the candidates of the questions find, and what the data is.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Lines that are records.
    pub records: u64,
    /// Lines that are none.
    pub rejected: u64,
    pub by_severity: BTreeMap<&'static str, u64>,
    /// Records and errors of each source.
    pub by_source: BTreeMap<String, [u64; 2]>,
    /// Dollars and tokens of each model.
    pub by_model: BTreeMap<String, [f64; 2]>,
    /// By question, then candidate.
    pub found: Vec<Vec<Found>>,
}

/// What a candidate finds.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Records that have its needle, at any time.
    pub needle: u64,
    /// Records that it must find.
    pub records: u64,
    /// Times of the latest of them, if they are asked for.
    latest: BinaryHeap<Reverse<i64>>,
    /// How many of them are kept.
    latest_max: usize,
}

impl Found {
    fn new(ask: Ask) -> Found {
        let latest_max = match ask {
            Ask::Latest(count) => count,
            _ => 0,
        };
        Found {
            latest_max,
            ..Found::default()
        }
    }

    fn add(&mut self, time_ns: Option<i64>) {
        self.records += 1;
        if let Some(time_ns) = time_ns {
            self.latest.push(Reverse(time_ns));
            if self.latest.len() > self.latest_max {
                self.latest.pop();
            }
        }
    }

    /// Adds what was found in other records.
    pub fn merge(&mut self, other: Found) {
        self.needle += other.needle;
        self.records += other.records;
        for time in other.latest {
            self.latest.push(time);
            if self.latest.len() > self.latest_max {
                self.latest.pop();
            }
        }
    }

    /// Times of the latest records, the latest first.
    pub fn latest(&self) -> Vec<i64> {
        let mut times: Vec<i64> = self.latest.iter().map(|time| time.0).collect();
        times.sort_by_key(|time| Reverse(*time));
        times
    }
}

impl Tally {
    fn new(rules: &[Rule]) -> Tally {
        let found = |rule: &Rule| vec![Found::new(rule.ask); rule.candidates.len()];
        Tally {
            found: rules.iter().map(found).collect(),
            ..Tally::default()
        }
    }

    /// Adds what was counted of other records for the same questions.
    pub fn merge(&mut self, other: Tally) {
        self.records += other.records;
        self.rejected += other.rejected;
        for (severity, count) in other.by_severity {
            *self.by_severity.entry(severity).or_default() += count;
        }
        for (source, counts) in other.by_source {
            let have = self.by_source.entry(source).or_default();
            have.iter_mut()
                .zip(counts)
                .for_each(|(have, count)| *have += count);
        }
        for (model, sums) in other.by_model {
            let have = self.by_model.entry(model).or_default();
            have.iter_mut()
                .zip(sums)
                .for_each(|(have, sum)| *have += sum);
        }
        let founds = self.found.iter_mut().flatten();
        founds
            .zip(other.found.into_iter().flatten())
            .for_each(|(have, found)| have.merge(found));
    }
}

/// Counts at most `lines_max` lines of a source. `hour` is the range of the questions of an hour.
pub fn count(source: &Source, rules: &[Rule], hour: Range, lines_max: u64) -> Result<Tally> {
    let counter = Counter::new(rules, hour)?;
    let (sender, receiver) = mpsc::sync_channel::<Chunk>(CHUNKS_WAITING_MAX);
    let receiver = Mutex::new(receiver);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(|| counter.count_all(&receiver)))
            .collect();
        let mut lines = 0;
        let read = source.read(|mut chunk| {
            chunk.truncate(lines_max - lines);
            lines += chunk.lines;
            // A receiver that is gone has panicked, which its join tells.
            Ok(sender.send(chunk).is_ok() && lines < lines_max)
        });
        drop(sender);
        let mut all = Tally::new(rules);
        for thread in threads {
            let counted = thread
                .join()
                .map_err(|_| anyhow!("a thread that counts ended"))?;
            all.merge(counted);
        }
        read.map(|()| all)
    })
}

struct Counter<'a> {
    rules: &'a [Rule],
    hour: Range,
    /// Finds which candidates a line may be of.
    finder: AhoCorasick,
    /// Question and candidate of each text of the finder.
    of_text: Vec<(usize, usize)>,
    /// Candidates without a text.
    always: Vec<(usize, usize)>,
}

impl Counter<'_> {
    fn new(rules: &[Rule], hour: Range) -> Result<Counter<'_>> {
        let (mut texts, mut of_text, mut always) = (Vec::new(), Vec::new(), Vec::new());
        for (question, rule) in rules.iter().enumerate() {
            for (number, candidate) in rule.candidates.iter().enumerate() {
                let tests = candidate.needle.iter().chain(&candidate.further);
                let longest = tests.flat_map(needed).max_by_key(|text| text.len());
                match longest.filter(|text| !text.is_empty()) {
                    Some(text) => {
                        texts.push(text);
                        of_text.push((question, number));
                    }
                    None => always.push((question, number)),
                }
            }
        }
        let finder = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(texts);
        Ok(Counter {
            rules,
            hour,
            finder: finder.context("preparing to count")?,
            of_text,
            always,
        })
    }

    fn count_all(&self, chunks: &Mutex<mpsc::Receiver<Chunk>>) -> Tally {
        let mut tally = Tally::new(self.rules);
        let next = || chunks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let mut maybe = Vec::new();
        while let Ok(chunk) = next() {
            for line in chunk
                .bytes
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
            {
                self.count_line(line, &mut maybe, &mut tally);
            }
        }
        tally
    }

    fn count_line(&self, line: &[u8], maybe: &mut Vec<(usize, usize)>, tally: &mut Tally) {
        let Some(seen) = Seen::parse(line) else {
            tally.rejected += 1;
            return;
        };
        tally.records += 1;
        add_groups(&seen, tally);
        maybe.clear();
        let matches = self.finder.find_overlapping_iter(line);
        maybe.extend(matches.map(|found| self.of_text[found.pattern().as_usize()]));
        maybe.sort_unstable();
        maybe.dedup();
        for &(question, number) in maybe.iter().chain(&self.always) {
            let rule = &self.rules[question];
            let candidate = &rule.candidates[number];
            if !candidate.needle.iter().all(|test| seen.passes(test)) {
                continue;
            }
            let found = &mut tally.found[question][number];
            found.needle += 1;
            let is_in_range = match rule.span {
                Span::Day => true,
                Span::Hour => seen
                    .time_ns
                    .is_some_and(|time| self.hour.0 <= time && time <= self.hour.1),
            };
            if is_in_range && candidate.further.iter().all(|test| seen.passes(test)) {
                found.add(seen.time_ns);
            }
        }
    }
}

/// Texts that every line which passes the test has, whatever is around them.
fn needed(test: &Test) -> Vec<String> {
    match test {
        Test::AtLeast(_) | Test::Is(_) | Test::OneOf(_) => Vec::new(),
        Test::Value(_, text) | Test::Part(text) => words(text).map(Into::into).collect(),
        Test::Words(words) | Test::WordsOf(_, words) => words.clone(),
        Test::Digits(pieces) => pieces
            .iter()
            .flat_map(|piece| words(piece))
            .map(Into::into)
            .collect(),
    }
}

fn add_groups(seen: &Seen, tally: &mut Tally) {
    *tally.by_severity.entry(seen.severity.name()).or_default() += 1;
    if let Some(source) = seen.source() {
        if !tally.by_source.contains_key(source) {
            tally.by_source.insert(source.to_string(), [0; 2]);
        }
        if let Some([records, errors]) = tally.by_source.get_mut(source) {
            *records += 1;
            *errors += u64::from(seen.severity == Severity::Error);
        }
    }
    let Some(model) = seen.field("gen_ai.request.model").and_then(Value::as_str) else {
        return;
    };
    let number = |name| seen.field(name).and_then(Value::as_f64).unwrap_or_default();
    let sums = tally.by_model.entry(model.to_string()).or_default();
    sums[0] += number("cost_usd");
    sums[1] += number("gen_ai.usage.input_tokens");
}

/// A question that is asked, and what must come out.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Its rule, with the needle as the only candidate.
    pub rule: Rule,
    /// Number of that candidate among those of the rule.
    pub number: usize,
    /// What it must find, if that was counted.
    pub found: Option<Found>,
    /// Whether the needle keeps the rule; the nearest is taken if none does.
    pub is_by_the_rule: bool,
}

/// Takes a candidate for each question, the first that keeps the rule; questions without any are
/// left out.
pub fn choose(rules: &[Rule], tally: &Tally) -> Vec<Chosen> {
    let mut chosen: Vec<Chosen> = Vec::new();
    for (rule, found) in rules.iter().zip(&tally.found) {
        let other = chosen
            .iter()
            .find(|have| Some(have.rule.id.as_str()) == rule.same_as);
        let number = match other {
            Some(other) => Some(other.number),
            None => nearest(rule, found, tally.records),
        };
        let Some(number) = number.filter(|number| *number < rule.candidates.len()) else {
            continue;
        };
        let distance = distance(rule, found[number].needle, tally.records);
        chosen.push(Chosen {
            rule: Rule {
                candidates: vec![rule.candidates[number].clone()],
                ..rule.clone()
            },
            number,
            found: rule.is_checked.then(|| found[number].clone()),
            is_by_the_rule: distance == 0.0,
        });
    }
    chosen
}

fn nearest(rule: &Rule, found: &[Found], records: u64) -> Option<usize> {
    let distance = |number: &usize| distance(rule, found[*number].needle, records);
    (0..found.len()).min_by(|one, other| distance(one).total_cmp(&distance(other)))
}

/// How far a number of records is outside of the bounds, as a factor; 0 within. A needle that is
/// nowhere is the farthest, however small the bounds of few records are.
fn distance(rule: &Rule, needle: u64, records: u64) -> f64 {
    let Some(bounds) = rule.bounds else {
        return 0.0;
    };
    if needle == 0 {
        return f64::INFINITY;
    }
    let (low, high) = bounds.of(records);
    let needle = needle as f64;
    match needle {
        needle if needle < low => low / needle,
        needle if needle > high => needle / high.max(0.1),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::benchmark::questions::{Bounds, Candidate};

    fn rule(id: &str, bounds: Bounds, words: &[&str]) -> Rule {
        let candidate = |word: &&str| Candidate {
            query: (*word).into(),
            needle: vec![Test::Words(vec![(*word).into()])],
            further: Vec::new(),
        };
        Rule {
            id: id.into(),
            span: Span::Day,
            ask: Ask::Latest(2),
            budget_ms: None,
            bounds: Some(bounds),
            same_as: None,
            is_checked: true,
            candidates: words.iter().map(candidate).collect(),
        }
    }

    /// A file of ten records: `often` in nine of them, `some` in three, `once` in one.
    fn tally_of(rules: &[Rule], lines_max: u64) -> Tally {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.jsonl");
        let line = |number: u64| {
            let word = |is: bool, word: &'static str| if is { word } else { "" };
            format!(
                r#"{{"timestamp":"2025-06-02T10:00:0{number}Z","level":"error","service":"s","message":"x {} {} {}"}}"#,
                word(number > 0, "often"),
                word(number < 3, "some"),
                word(number == 5, "Once")
            )
        };
        let text: Vec<String> = (0..10).map(line).chain(["no record".into()]).collect();
        std::fs::write(&path, text.join("\n")).unwrap();
        count(
            &Source::File(path, u64::MAX),
            rules,
            (0, i64::MAX),
            lines_max,
        )
        .unwrap()
    }

    #[test]
    fn everything_is_counted_once() {
        let rules = [rule(
            "a",
            Bounds::Records(1, 1),
            &["often", "some", "once", "none"],
        )];
        let tally = tally_of(&rules, u64::MAX);
        let counts: Vec<u64> = tally.found[0].iter().map(|found| found.records).collect();
        assert_eq!(counts, [9, 3, 1, 0]);
        assert_eq!((tally.records, tally.rejected), (10, 1));
        assert_eq!(tally.by_source["s"], [10, 10]);
        let second = 1_000_000_000;
        let latest = tally.found[0][1].latest();
        assert_eq!(latest.len(), 2);
        assert_eq!(latest[0] - latest[1], second);
        assert_eq!(tally_of(&rules, 4).records, 4);
    }

    #[test]
    fn the_needle_is_one_by_the_rule_else_the_nearest() {
        let check = |bounds, expected: &str, by_the_rule| {
            let rules = [rule("a", bounds, &["often", "some", "once"])];
            let chosen = choose(&rules, &tally_of(&rules, u64::MAX));
            assert_eq!(chosen[0].rule.candidates[0].query, expected);
            assert_eq!(chosen[0].is_by_the_rule, by_the_rule);
        };
        check(Bounds::Records(1, 1), "once", true);
        check(Bounds::Records(2, 4), "some", true);
        check(Bounds::Share(0.8, 1.0), "often", true);
        check(Bounds::Records(4, 5), "some", false);
        check(Bounds::Records(100, 500), "often", false);
        check(Bounds::Share(0.01, 0.02), "once", false);
    }

    #[test]
    fn a_question_takes_the_needle_of_another() {
        let first = rule("a", Bounds::Records(3, 3), &["often", "some"]);
        let second = Rule {
            same_as: Some("a"),
            bounds: None,
            ..rule("b", Bounds::Records(0, 0), &["often", "some"])
        };
        let empty = rule("c", Bounds::Records(1, 1), &[]);
        let rules = [first, second, empty];
        let chosen = choose(&rules, &tally_of(&rules, u64::MAX));
        let queries: Vec<&str> = chosen
            .iter()
            .map(|c| c.rule.candidates[0].query.as_str())
            .collect();
        assert_eq!(queries, ["some", "some"]);
    }
}
