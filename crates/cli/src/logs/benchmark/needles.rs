//! Draws needles from a sample of the data: several for each question, of which the exact count
//! over everything then takes one that keeps the question's rule.
//!
//! The sample says about how often something occurs; bounds are therefore wider here than those of
//! the rules.
use super::{
    questions::Needles,
    random::Random,
    seen::{Seen, words},
};
use std::collections::{BTreeMap, BTreeSet};

/// Needles of a question that are counted.
const CANDIDATES_MAX: usize = 24;
/// The same where what is wanted occurs so seldom that a sample cannot say how often.
const RARE_CANDIDATES_MAX: usize = 96;
/// Digits of a long number.
const LONG_DIGITS_MIN: usize = 12;
/// Digits that the number of a payment card may have: such numbers may be masked on the way in.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// Letters of a word that is asked for.
const WORD_LETTERS_MIN: usize = 5;
/// Letters of a literal in a regular expression.
const LITERAL_LETTERS_MIN: usize = 8;
/// Bytes between two numbers of a pattern.
const BETWEEN_BYTES_MAX: usize = 24;
/// Records whose pairs of words are looked at: pairs are many.
const PAIR_RECORDS_MAX: usize = 6_000;

/// Needles of all kinds. `rare_word`, if the data is made up, is one that it has for sure.
pub fn draw(sample: &[Vec<u8>], rare_word: Option<&str>, seed: u64) -> Needles {
    let records: Vec<Seen> = sample.iter().filter_map(|line| Seen::parse(line)).collect();
    let counts = Counts::new(&records);
    let mut lots = Lots(Random::new(seed ^ 0x6e65_6564_6c65), records.len() as f64);
    let pairs = &counts.pairs;
    let mut rare_words = lots.draw(&counts.words, 0.5e-4, 3e-4, RARE_CANDIDATES_MAX);
    if let Some(word) = rare_word {
        rare_words.insert(0, word.into());
    }
    Needles {
        traces: lots.draw(&counts.traces, 0.0, 1.0, CANDIDATES_MAX),
        rare_words,
        phrases: lots.draw(pairs, 0.012, 0.045, CANDIDATES_MAX),
        patterns: lots.draw(&counts.patterns, 0.006, 0.045, CANDIDATES_MAX),
        users: lots.draw(&counts.users, 0.001, 0.01, CANDIDATES_MAX),
        parts: lots.draw(&counts.parts, 0.006, 0.045, CANDIDATES_MAX * 2),
        long_ids: lots.draw(&counts.long_ids, 0.0, 2e-4, CANDIDATES_MAX),
        addresses: lots.draw(&counts.addresses, 0.0, 1.0, RARE_CANDIDATES_MAX),
        tasks: lots.draw(&counts.tasks, 0.0, 1.0, CANDIDATES_MAX),
        words: lots.draw(&counts.words, 0.001, 0.005, CANDIDATES_MAX),
        rare_phrases: lots.draw(pairs, 0.0002, 0.001, RARE_CANDIDATES_MAX),
        few_words: lots.draw(&counts.words, 0.0, 3e-4, RARE_CANDIDATES_MAX),
        common_phrases: most(pairs),
        alternations: alternations(pairs, CANDIDATES_MAX),
    }
}

/// In how many records of the sample things occur.
#[derive(Default)]
struct Counts {
    traces: BTreeMap<String, u64>,
    users: BTreeMap<String, u64>,
    tasks: BTreeMap<String, u64>,
    /// Words of messages, of letters alone.
    words: BTreeMap<String, u64>,
    /// The middles of them.
    parts: BTreeMap<String, u64>,
    pairs: BTreeMap<[String; 2], u64>,
    patterns: BTreeMap<Vec<String>, u64>,
    long_ids: BTreeMap<String, u64>,
    addresses: BTreeMap<String, u64>,
}

impl Counts {
    fn new(records: &[Seen]) -> Counts {
        let mut counts = Counts::default();
        for (index, record) in records.iter().enumerate() {
            counts.add_fields(record);
            let message = record.message();
            add(&mut counts.words, plain_words(message));
            let middles = plain_words(message).into_iter().filter_map(|word| {
                let middle = word.get(2..word.len().saturating_sub(2))?;
                (middle.len() >= WORD_LETTERS_MIN).then(|| middle.to_string())
            });
            add(&mut counts.parts, middles.collect());
            add(&mut counts.long_ids, long_ids(message));
            add(&mut counts.addresses, addresses(message));
            add(&mut counts.patterns, patterns(message));
            if index < PAIR_RECORDS_MAX {
                add(&mut counts.pairs, pairs(message));
            }
        }
        counts
    }

    fn add_fields(&mut self, record: &Seen) {
        let fields = [
            ("trace_id", &mut self.traces),
            ("user_id", &mut self.users),
            ("task_id", &mut self.tasks),
        ];
        for (name, counts) in fields {
            let value = record.field(name).and_then(|value| value.as_str());
            // What needs no quotes in the search language.
            let is_plain = |text: &&str| {
                !text.is_empty()
                    && text
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            };
            add(
                counts,
                value
                    .filter(is_plain)
                    .map(str::to_string)
                    .into_iter()
                    .collect(),
            );
        }
    }
}

fn add<T: Ord>(counts: &mut BTreeMap<T, u64>, found: BTreeSet<T>) {
    for one in found {
        *counts.entry(one).or_default() += 1;
    }
}

/// Draws lots.
struct Lots(Random, f64);

impl Lots {
    /// Some of those that occur in a share of the sample, in random order.
    fn draw<T: Clone>(
        &mut self,
        counts: &BTreeMap<T, u64>,
        low: f64,
        high: f64,
        most: usize,
    ) -> Vec<T> {
        let (low, high) = (low * self.1, (high * self.1).max(1.0));
        let fitting = counts.iter().filter(|(_, count)| {
            let count = **count as f64;
            count >= low && count <= high
        });
        let mut fitting: Vec<&T> = fitting.map(|(needle, _)| needle).collect();
        for index in 0..fitting.len().min(most) {
            let other = index + self.0.below((fitting.len() - index) as u64) as usize;
            fitting.swap(index, other);
        }
        fitting.into_iter().take(most).cloned().collect()
    }
}

/// What occurs in most records.
fn most<T: Clone>(counts: &BTreeMap<T, u64>) -> Vec<T> {
    let most = counts.iter().max_by_key(|(_, count)| **count);
    most.map(|(needle, _)| needle.clone()).into_iter().collect()
}

/// First words that two others follow.
fn alternations(pairs: &BTreeMap<[String; 2], u64>, most: usize) -> Vec<[String; 3]> {
    let mut found = Vec::new();
    let all: Vec<&[String; 2]> = pairs.keys().collect();
    for two in all.windows(2) {
        let ([first, one], [again, other]) = (two[0], two[1]);
        if first == again && first.len() >= LITERAL_LETTERS_MIN {
            let count = pairs[two[0]] + pairs[two[1]];
            found.push((count, [first.clone(), one.clone(), other.clone()]));
        }
    }
    found.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    found
        .into_iter()
        .map(|(_, needle)| needle)
        .take(most)
        .collect()
}

fn is_plain(word: &str) -> bool {
    word.len() >= WORD_LETTERS_MIN && word.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn plain_words(text: &str) -> BTreeSet<String> {
    words(text)
        .filter(|word| is_plain(word))
        .map(str::to_string)
        .collect()
}

/// Two words of letters with one blank between, as they are written.
fn pairs(text: &str) -> BTreeSet<[String; 2]> {
    let is_word =
        |word: &str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    // Operators of the search language are words in quotes, so they are no matter.
    let mut found = BTreeSet::new();
    let mut before = "";
    for word in text.split(' ') {
        if is_word(before) && is_word(word) {
            found.insert([before.to_string(), word.to_string()]);
        }
        before = word;
    }
    found
}

/// Long numbers and UUIDs.
fn long_ids(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let mut found = BTreeSet::new();
    for run in text.split(|letter| !is_part(letter)) {
        if uuid::Uuid::parse_str(run).is_ok() && run.contains('-') {
            found.insert(run.to_string());
        }
    }
    for word in words(text) {
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && word.len() >= LONG_DIGITS_MIN && !CARD_DIGITS.contains(&word.len()) {
            found.insert(word.to_string());
        }
    }
    found
}

/// Addresses of IPv4.
fn addresses(text: &str) -> BTreeSet<String> {
    let runs = text.split(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let addresses = runs.filter(|run| run.parse::<std::net::Ipv4Addr>().is_ok());
    addresses.map(str::to_string).collect()
}

/// Texts with two numbers between them, from a word on.
fn patterns(text: &str) -> BTreeSet<Vec<String>> {
    let bytes = text.as_bytes();
    let mut found = BTreeSet::new();
    if !text.is_ascii() {
        return found;
    }
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let run = |mut at: usize, digits: bool| {
        while at < bytes.len() && is_digit(at) == digits {
            at += 1;
        }
        at
    };
    for first in (0..bytes.len()).filter(|at| is_digit(*at) && !is_digit(at.wrapping_sub(1))) {
        let begin = word_before(text, first);
        let middle = run(first, true);
        let second = run(middle, false);
        let end = run(second, true);
        let Some(begin) = begin else { continue };
        if end >= bytes.len() || second == end || second - middle > BETWEEN_BYTES_MAX {
            continue;
        }
        let pieces = [&text[begin..first], &text[middle..second], &text[end..=end]];
        let is_written = |piece: &&str| !piece.contains(|letter: char| letter.is_ascii_control());
        if pieces.iter().all(is_written) {
            found.insert(pieces.map(str::to_string).to_vec());
        }
    }
    found
}

/// Where the word begins that stands before a number, with at most two other characters between.
fn word_before(text: &str, number: usize) -> Option<usize> {
    let before = &text[..number];
    let word_end = before
        .trim_end_matches(|letter: char| !letter.is_ascii_alphabetic())
        .len();
    let word = &before[..word_end];
    let begin = word
        .trim_end_matches(|letter: char| letter.is_ascii_alphabetic())
        .len();
    (number - word_end <= 2 && word_end - begin >= 3).then_some(begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set<const N: usize>(texts: [&str; N]) -> BTreeSet<String> {
        texts.map(Into::into).into()
    }

    #[test]
    fn long_ids_are_numbers_and_uuids_but_no_cards() {
        let id = "0f0c2b1e-1dc0-4001-8000-00000000002a";
        let text = format!("a chk_12345678901234567890 b {id} 123456789012 4111111111111111 7");
        assert_eq!(
            long_ids(&text),
            set(["12345678901234567890", id, "123456789012"])
        );
    }

    #[test]
    fn addresses_are_whole() {
        let text = "from /10.0.0.7:80, not 1.2.3 or 1.2.3.4.5 or 300.1.1.1 but 10.1.2.3.";
        assert_eq!(addresses(text), set(["10.0.0.7"]));
    }

    #[test]
    fn patterns_have_two_numbers_after_a_word() {
        let found = patterns("Stored chk_123 of length 4567 sent");
        let expected: Vec<String> = ["chk_", " of length ", " "].map(Into::into).into();
        assert_eq!(found, BTreeSet::from([expected]));
        assert!(patterns("a 1 b 2 c").is_empty());
        assert!(patterns("word 1 b 2").is_empty());
    }

    #[test]
    fn pairs_and_alternations() {
        let found = pairs("Received block 7 of large block");
        let expected = [["Received", "block"], ["of", "large"], ["large", "block"]];
        assert_eq!(found, expected.map(|pair| pair.map(str::to_string)).into());
        let counts = [["received", "one"], ["received", "two"], ["short", "one"]];
        let counts = counts.map(|pair| (pair.map(str::to_string), 1)).into();
        let expected = [["received", "one", "two"].map(str::to_string)];
        assert_eq!(alternations(&counts, 9), expected);
    }

    #[test]
    fn lots_are_drawn_within_bounds_and_follow_from_their_seed() {
        let counts: BTreeMap<u64, u64> = (0..100).map(|number| (number, number)).collect();
        let draw = |seed| Lots(Random::new(seed), 1_000.0).draw(&counts, 0.01, 0.05, 7);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(draw(1).iter().all(|count| (10..=50).contains(count)));
        assert_eq!(draw(1).len(), 7);
    }
}
