//! Text for people: time, level, stream, source and message, then the other fields.
//!
//! On a terminal columns align and times are local; elsewhere there is one blank between columns
//! and times are RFC 3339 in UTC, so that lines of two runs can be compared.
//!
//! Lines after the first one of a message or stack trace are indented, so that no log text can
//! look like another record.
use crate::{record::Record, shown::shown};
use jiff::tz::TimeZone;
use std::{borrow::Cow, fmt::Write};
use taffrail_model::time::parse_rfc3339;

/// Columns stop growing here, in characters: a longer name pushes its own line only.
const COLUMN_CHARACTERS_MAX: usize = 24;
/// Fields that have a place of their own, or say nothing to a person.
const PLACED: &[&str] = &[
    "id",
    "timestamp",
    "level",
    "stream",
    "source",
    "message",
    "tenant",
    "created_at",
    "error.stack",
    "metadata.filled",
    "metadata.parsed",
];

/// How to write.
pub struct TextOptions {
    pub is_aligned: bool,
    pub has_color: bool,
    pub has_ids: bool,
    /// Zone of the times; `None`: RFC 3339 in UTC.
    pub zone: Option<TimeZone>,
}

/// Writes records as text.
pub struct TextForm {
    options: TextOptions,
    stream_characters: usize,
    source_characters: usize,
}

impl TextForm {
    pub fn new(options: TextOptions) -> TextForm {
        TextForm {
            options,
            stream_characters: 0,
            source_characters: 0,
        }
    }

    /// Widens the columns to these records. They never narrow, so that a tail stays calm.
    pub fn fit(&mut self, records: &[Record]) {
        if !self.options.is_aligned {
            return;
        }
        for record in records {
            let widen =
                |have: usize, text: &str| have.max(text.chars().count().min(COLUMN_CHARACTERS_MAX));
            self.stream_characters = widen(self.stream_characters, &one_line(record, "stream"));
            self.source_characters = widen(self.source_characters, &source(record));
        }
    }

    /// One record with its line break; a marked one has `>` before it.
    pub fn record(&self, record: &Record, is_marked: bool) -> String {
        let mut line = String::new();
        if is_marked {
            line.push_str(&self.painted("1", "> "));
        }
        let level = one_line(record, "level");
        let source = source(record);
        line.push_str(&self.painted("2", &self.time(record)));
        line.push(' ');
        line.push_str(&self.painted(level_color(&level), &format!("{:<5}", short(&level))));
        self.push_column(
            &mut line,
            "35",
            &one_line(record, "stream"),
            self.stream_characters,
        );
        self.push_column(&mut line, "36", &source, self.source_characters);
        let message = record.get("message").unwrap_or(Cow::Borrowed(""));
        let mut lines = message.split('\n').map(|part| part.trim_end_matches('\r'));
        line.push(' ');
        line.push_str(&shown(lines.next().unwrap_or("")));
        for (name, value) in record.fields() {
            let is_placed = PLACED.contains(&name) || (name == "logger" && value == source);
            if !is_placed {
                let pair = format!(" {}={}", shown(name), quoted(&value));
                line.push_str(&self.painted("2", &pair));
            }
        }
        if self.options.has_ids {
            line.push_str(&self.painted("2", &format!(" id={}", one_line(record, "id"))));
        }
        line.push('\n');
        let stack = record.get("error.stack").unwrap_or(Cow::Borrowed(""));
        let stack = stack.split('\n').filter(|part| !part.trim().is_empty());
        for more in lines.chain(stack) {
            // Writing to a String cannot fail.
            let _ = writeln!(line, "    {}", shown(more.trim_end_matches('\r')));
        }
        line
    }

    fn push_column(&self, line: &mut String, color: &str, text: &str, characters: usize) {
        if text.is_empty() && characters == 0 {
            return;
        }
        line.push(' ');
        let text = if text.is_empty() { "-" } else { text };
        line.push_str(&self.painted(color, &format!("{text:<characters$}")));
    }

    fn time(&self, record: &Record) -> String {
        let text = one_line(record, "timestamp").into_owned();
        let Some(zone) = &self.options.zone else {
            return text;
        };
        let local = parse_rfc3339(&text)
            .and_then(|time| jiff::Timestamp::from_nanosecond(i128::from(time.0)).ok());
        match local {
            Some(time) => {
                let zoned = time.to_zoned(zone.clone());
                zoned.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
            }
            None => text,
        }
    }

    fn painted(&self, color: &str, text: &str) -> String {
        if self.options.has_color && !color.is_empty() {
            format!("\x1b[{color}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }
}

fn one_line<'a>(record: &'a Record, name: &str) -> Cow<'a, str> {
    let text = record.get(name).unwrap_or(Cow::Borrowed(""));
    Cow::Owned(shown(&text).into_owned())
}

fn source(record: &Record) -> Cow<'_, str> {
    let source = one_line(record, "source");
    if source.is_empty() {
        one_line(record, "logger")
    } else {
        source
    }
}

/// Levels in five characters, so that they align.
fn short(level: &str) -> Cow<'_, str> {
    match level {
        "critical" => Cow::Borrowed("CRIT"),
        _ => Cow::Owned(level.to_uppercase()),
    }
}

fn level_color(level: &str) -> &'static str {
    match level {
        "trace" | "debug" => "2",
        "warn" => "33",
        "error" => "31",
        "critical" => "1;31",
        _ => "32",
    }
}

/// A value as one word: in quotes if a blank or quote would blur where it ends.
fn quoted(value: &str) -> String {
    let clean = shown(value);
    if clean.is_empty() || clean.contains([' ', '\t', '"', '=']) {
        format!("\"{}\"", clean.replace('"', "\\\""))
    } else {
        clean.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(json: &str) -> Record {
        serde_json::from_str(json).unwrap()
    }

    fn terminal(has_color: bool) -> TextForm {
        TextForm::new(TextOptions {
            is_aligned: true,
            has_color,
            has_ids: true,
            zone: Some(TimeZone::fixed(jiff::tz::offset(1))),
        })
    }

    #[test]
    fn columns_align_and_times_are_local() {
        let records = [
            record(
                r#"{"id":"a","timestamp":"2026-01-04T23:30:45.5Z","level":"warn","stream":"app.backend","source":"api","message":"slow"}"#,
            ),
            record(
                r#"{"id":"b","timestamp":"2026-01-04T23:30:46Z","level":"critical","stream":"machine","message":"gone"}"#,
            ),
        ];
        let mut form = terminal(false);
        form.fit(&records);
        let lines: String = records.iter().map(|r| form.record(r, false)).collect();
        let expected = "\
2026-01-05 00:30:45.500 WARN  app.backend api slow id=a
2026-01-05 00:30:46.000 CRIT  machine     -   gone id=b
";
        assert_eq!(lines, expected);
    }

    #[test]
    fn colours_are_ours_alone() {
        let record = record(
            r#"{"timestamp":"x","level":"\u001b[5m","stream":"\u001b[1m","message":"\u001b[31mred","k\u001b":"\u009b1m"}"#,
        );
        let line = terminal(true).record(&record, true);
        let mut rest = line.as_str();
        while let Some(at) = rest.find('\x1b') {
            let sequence = &rest[at..];
            let end = sequence.find('m').expect("an end");
            let code = &sequence[..=end];
            let ours = ["[0m", "[1m", "[2m", "[32m", "[35m", "[36m"];
            assert!(ours.iter().any(|known| code[1..] == **known), "{code:?}");
            rest = &sequence[end + 1..];
        }
        assert!(line.contains("\\x1b[31mred"));
        assert!(line.contains("\\u{9b}1m"));
    }

    #[test]
    fn no_message_can_look_like_another_record() {
        let record = record(
            r#"{"timestamp":"t","level":"info","message":"a\n2026-01-04 ERROR forged","error.stack":"s\n\nt"}"#,
        );
        let text = terminal(false).record(&record, false);
        let mut lines = text.lines();
        assert!(lines.next().is_some_and(|line| line.ends_with("a id=")));
        assert!(lines.all(|line| line.starts_with("    ")));
    }

    #[test]
    fn values_are_one_word() {
        assert_eq!(quoted("x"), "x");
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("a b"), "\"a b\"");
        assert_eq!(quoted("a=\"b\""), "\"a=\\\"b\\\"\"");
    }
}
