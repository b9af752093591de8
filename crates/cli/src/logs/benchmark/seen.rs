//! Records as they were sent, and whether a question finds them: the independent count that every
//! answer is compared with.
//!
//! Nothing here is code of the product: records are parsed by `serde_json`, words are cut by what
//! the standard library says of letters and digits. That is exact for the needles that are drawn
//! (ASCII words, ids, addresses), which is what it is for.
use serde_json::Value;

/// Names of the time, which is no text.
const TIMES: &[&str] = &[
    "timestamp",
    "time",
    "ts",
    "@timestamp",
    "_time",
    "eventTime",
];
/// Names of the level, which is not searched by word.
const LEVELS: &[&str] = &["level", "severity", "lvl", "log.level"];
/// Names of the message.
const MESSAGES: &[&str] = &["message", "msg", "_msg", "body", "log"];
/// Names of the source.
const SOURCES: &[&str] = &["source", "service", "service.name", "app"];

/// How bad a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

/// A record.
pub struct Seen {
    value: Value,
    /// Nanoseconds since 1970; `None` if it does not say.
    pub time_ns: Option<i64>,
    pub severity: Severity,
}

/// What a record must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// This severity and above.
    AtLeast(Severity),
    /// This severity.
    Is(Severity),
    /// This whole value in this field.
    Value(&'static str, String),
    /// These words, in lower case, one after the other in one text field.
    Words(Vec<String>),
    /// These words in this field.
    WordsOf(&'static str, Vec<String>),
    /// This text, in lower case, in one text field.
    Part(String),
    /// In the message: these texts with digits between each two.
    Digits(Vec<String>),
    /// In the message: one of these texts.
    OneOf(Vec<String>),
}

impl Severity {
    /// The severity of a word, as the guide lists them; that of information for any other.
    pub fn of(word: &str) -> Severity {
        match word.to_ascii_lowercase().as_str() {
            "trace" | "verbose" | "silly" | "10" => Severity::Trace,
            "debug" | "20" => Severity::Debug,
            "warn" | "warning" | "40" => Severity::Warn,
            "error" | "err" | "severe" | "50" => Severity::Error,
            "critical" | "fatal" | "panic" | "alert" | "emergency" | "emerg" | "crit" | "60" => {
                Severity::Critical
            }
            _ => Severity::Info,
        }
    }

    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Trace => "trace",
            Severity::Debug => "debug",
            Severity::Info => "info",
            Severity::Warn => "warn",
            Severity::Error => "error",
            Severity::Critical => "critical",
        }
    }
}

impl Seen {
    /// Reads a line; `None` if it is no JSON object, which the server rejects.
    pub fn parse(line: &[u8]) -> Option<Seen> {
        let value: Value = serde_json::from_slice(line).ok()?;
        value.is_object().then_some(())?;
        let time_ns = first(&value, TIMES).and_then(time_ns);
        let severity = first(&value, LEVELS).map(|level| match level {
            Value::String(word) => Severity::of(word),
            other => Severity::of(&other.to_string()),
        });
        Some(Seen {
            time_ns,
            severity: severity.unwrap_or(Severity::Info),
            value,
        })
    }

    /// Its message, if it is a text.
    pub fn message(&self) -> &str {
        first(&self.value, MESSAGES)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Its source, if it is a text.
    pub fn source(&self) -> Option<&str> {
        first(&self.value, SOURCES).and_then(Value::as_str)
    }

    /// A field, by its whole name or the way to it.
    pub fn field(&self, name: &str) -> Option<&Value> {
        let way = || {
            let mut steps = name.split('.');
            let first = self.value.get(steps.next()?)?;
            steps.try_fold(first, |value, step| value.get(step))
        };
        self.value.get(name).or_else(way)
    }

    /// Whether the test holds.
    pub fn passes(&self, test: &Test) -> bool {
        match test {
            Test::AtLeast(severity) => self.severity >= *severity,
            Test::Is(severity) => self.severity == *severity,
            Test::Value(name, value) => {
                self.field(name).and_then(Value::as_str) == Some(value.as_str())
            }
            Test::Words(words) => self.any_text(&mut |text| has_words(text, words)),
            Test::WordsOf(name, words) => {
                let text = self.field(name).and_then(Value::as_str);
                text.is_some_and(|text| has_words(text, words))
            }
            Test::Part(part) => self.any_text(&mut |text| has_part(text, part)),
            Test::Digits(pieces) => has_digits_between(self.message(), pieces),
            Test::OneOf(texts) => {
                let message = self.message();
                texts.iter().any(|text| message.contains(text.as_str()))
            }
        }
    }

    /// Whether `test` holds for one of the texts that are searched without naming a field.
    fn any_text(&self, test: &mut impl FnMut(&str) -> bool) -> bool {
        let Value::Object(members) = &self.value else {
            return false;
        };
        members.iter().any(|(name, value)| {
            let is_none = TIMES.contains(&name.as_str()) || LEVELS.contains(&name.as_str());
            !is_none && any_text_below(value, test)
        })
    }
}

fn first<'a>(value: &'a Value, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| value.get(name))
}

fn time_ns(value: &Value) -> Option<i64> {
    time_of(value.as_str()?)
}

/// Nanoseconds since 1970 of a time as RFC 3339 writes it.
pub fn time_of(text: &str) -> Option<i64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

fn any_text_below(value: &Value, test: &mut impl FnMut(&str) -> bool) -> bool {
    match value {
        Value::String(text) => test(text),
        Value::Object(members) => members.values().any(|value| any_text_below(value, test)),
        // A list is searched as its JSON.
        Value::Array(_) => test(&value.to_string()),
        _ => false,
    }
}

/// Words of a text.
pub fn words(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

fn has_words(text: &str, wanted: &[String]) -> bool {
    let Some(first) = wanted.first() else {
        return true;
    };
    let is = |word: &str, wanted: &String| word.eq_ignore_ascii_case(wanted);
    let mut rest = words(text);
    while let Some(word) = rest.next() {
        if is(word, first) {
            let mut next = rest.clone();
            let follow = |wanted| next.next().is_some_and(|word| is(word, wanted));
            if wanted[1..].iter().all(follow) {
                return true;
            }
        }
    }
    false
}

fn has_part(text: &str, part: &str) -> bool {
    text.to_ascii_lowercase().contains(part)
}

/// Whether the pieces are there one after the other with digits, and nothing else, between each
/// two. A piece after digits does not begin with one, so the first piece decides the others.
fn has_digits_between(text: &str, pieces: &[String]) -> bool {
    let Some((first, others)) = pieces.split_first() else {
        return true;
    };
    text.match_indices(first.as_str()).any(|(at, _)| {
        let mut rest = &text[at + first.len()..];
        others.iter().all(|piece| {
            let after = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
            let has_digits = after.len() < rest.len();
            let next = after.strip_prefix(piece.as_str());
            rest = next.unwrap_or_default();
            has_digits && next.is_some()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"timestamp":"2025-06-02T10:00:00.5Z","level":"WARN","service":"a",
        "message":"Stored chunk chk_12 of 345 bytes","error":{"stack":"x tools/session.py y"},
        "tags":["red","blue one"],"n":12}"#;

    fn check(test: Test, expected: bool) {
        let seen = Seen::parse(RECORD.as_bytes()).unwrap();
        assert_eq!(seen.passes(&test), expected, "{test:?}");
    }

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(Into::into).collect()
    }

    #[test]
    fn words_are_whole_and_in_one_field() {
        check(Test::Words(words("stored chunk")), true);
        check(Test::Words(words("chunk stored")), false);
        check(Test::Words(words("store")), false);
        check(Test::Words(words("chk 12")), true);
        check(Test::Words(words("bytes x")), false);
        check(Test::Words(words("blue one")), true);
        check(Test::Words(words("warn")), false);
        check(
            Test::WordsOf("error.stack", words("tools session py")),
            true,
        );
        check(Test::WordsOf("message", words("tools")), false);
    }

    #[test]
    fn parts_digits_and_alternatives() {
        check(Test::Part("tored ch".into()), true);
        check(Test::Part("345".into()), true);
        check(Test::Part("2025".into()), false);
        check(
            Test::Digits(vec!["chk_".into(), " of ".into(), " b".into()]),
            true,
        );
        check(
            Test::Digits(vec!["chk_".into(), " of ".into(), "b".into()]),
            false,
        );
        check(Test::Digits(vec!["chunk".into(), " ".into()]), false);
        check(Test::OneOf(vec!["nothing".into(), "Stored".into()]), true);
        check(Test::OneOf(vec!["stored".into()]), false);
    }

    #[test]
    fn levels_and_values() {
        check(Test::AtLeast(Severity::Warn), true);
        check(Test::AtLeast(Severity::Error), false);
        check(Test::Is(Severity::Warn), true);
        check(Test::Value("service", "a".into()), true);
        let seen = Seen::parse(RECORD.as_bytes()).unwrap();
        assert_eq!(seen.source(), Some("a"));
        assert_eq!(seen.time_ns, Some(1_748_858_400_500_000_000));
        assert!(Seen::parse(b"[1]").is_none() && Seen::parse(b"no").is_none());
    }
}
