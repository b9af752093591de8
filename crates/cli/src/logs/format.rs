//! Forms in which records are printed. Whatever the form, log text cannot act on the terminal.
mod csv;
mod text;

use crate::{
    output::{Color, Output},
    record::Record,
    shown::{shown, shown_json},
};
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use std::{borrow::Cow, io::Write, path::PathBuf};

/// A form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: time, level, stream, source, message, fields
    #[default]
    Text,
    /// One JSON array
    Json,
    /// One JSON object a line
    Ndjson,
    /// A table for spreadsheets
    Csv,
    /// The message alone, one a line
    Raw,
}

/// How and where to print.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct FormatOptions {
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// When to use colours
    #[arg(long, value_enum, default_value_t)]
    pub color: Color,
    /// With --format text: show each record's id, which `logs context` takes
    #[arg(long)]
    pub ids: bool,
}

/// Prints records one after the other.
pub struct Printer {
    output: Output,
    form: Form,
    count: u64,
}

enum Form {
    Text(text::TextForm),
    Json,
    Ndjson,
    Csv,
    Raw,
}

impl Printer {
    /// Opens the destination; `is_paged` puts a pager in front of a terminal for text.
    pub fn open(options: &FormatOptions, is_paged: bool) -> Result<Printer> {
        let output = Output::open(options.output.as_deref(), options.color)?;
        let output = match options.format {
            Format::Text if is_paged => output.paged(),
            _ => output,
        };
        let form = match options.format {
            Format::Text => Form::Text(text::TextForm::new(text::TextOptions {
                is_aligned: output.is_terminal,
                has_color: output.has_color,
                has_ids: options.ids,
                zone: output.is_terminal.then(TimeZone::system),
            })),
            Format::Json => Form::Json,
            Format::Ndjson => Form::Ndjson,
            Format::Csv => Form::Csv,
            Format::Raw => Form::Raw,
        };
        let mut printer = Printer {
            output,
            form,
            count: 0,
        };
        let head = match printer.form {
            Form::Json => "[",
            Form::Csv => csv::HEADER,
            _ => "",
        };
        printer.write(head)?;
        Ok(printer)
    }

    /// Prints records, all of a page together so that columns align; `mark` is the id of one that
    /// stands out.
    pub fn print(&mut self, records: &[Record], mark: Option<&str>) -> Result<()> {
        if let Form::Text(form) = &mut self.form {
            form.fit(records);
        }
        for record in records {
            let line = self.line(record, mark);
            self.write(&line)?;
            self.count += 1;
        }
        Ok(())
    }

    fn line(&self, record: &Record, mark: Option<&str>) -> String {
        match &self.form {
            Form::Text(form) => {
                let is_marked = mark.is_some() && record.get("id").as_deref() == mark;
                form.record(record, is_marked)
            }
            Form::Json => {
                let before = if self.count == 0 { "\n" } else { ",\n" };
                format!("{before}{}", shown_json(record.json()))
            }
            Form::Ndjson => format!("{}\n", shown_json(record.json())),
            Form::Csv => csv::record(record),
            Form::Raw => {
                let message = record.get("message").unwrap_or(Cow::Borrowed(""));
                format!("{}\n", shown(&message))
            }
        }
    }

    /// How many records were printed.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Makes what was printed visible now.
    pub fn flush(&mut self) -> Result<()> {
        self.output.flush().context("writing the output")
    }

    /// Ends the output and waits for the pager.
    pub fn finish(mut self) -> Result<()> {
        if matches!(self.form, Form::Json) {
            let end = if self.count == 0 { "]\n" } else { "\n]\n" };
            self.write(end)?;
        }
        self.output.finish()
    }

    fn write(&mut self, text: &str) -> Result<()> {
        let written = self.output.write_all(text.as_bytes());
        written.context("writing the output")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: &[&str] = &[
        r#"{"id":"1","timestamp":"2026-01-04T15:30:45.123456Z","level":"error","stream":"app.backend","source":"figma","message":"failed to authenticate\nat line 2","user_id":"u1","duration_ms":1.50,"error.stack":"Error: no\n    at f (a.js:1)"}"#,
        r#"{"id":"2","timestamp":"2026-01-04T15:30:45Z","level":"info","stream":"machine","logger":"dpkg","message":"\u001b[2J\u202e=cmd|' /C calc'!A0","user_id":"=1+1","labels.a":"two words"}"#,
    ];

    fn printed(format: Format) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let options = FormatOptions {
            format,
            output: Some(path.clone()),
            color: Color::Never,
            ids: false,
        };
        let records: Vec<Record> = RECORDS
            .iter()
            .map(|json| serde_json::from_str(json).unwrap())
            .collect();
        let mut printer = Printer::open(&options, true).unwrap();
        printer.print(&records, None).unwrap();
        assert_eq!(printer.count(), 2);
        printer.finish().unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn every_format() {
        insta::assert_snapshot!("text", printed(Format::Text));
        insta::assert_snapshot!("json", printed(Format::Json));
        insta::assert_snapshot!("ndjson", printed(Format::Ndjson));
        insta::assert_snapshot!("csv", printed(Format::Csv));
        insta::assert_snapshot!("raw", printed(Format::Raw));
    }

    #[test]
    fn json_reads_back_as_what_was_sent() {
        let sent: Vec<serde_json::Value> = RECORDS
            .iter()
            .map(|json| serde_json::from_str(json).unwrap())
            .collect();
        let array: Vec<serde_json::Value> = serde_json::from_str(&printed(Format::Json)).unwrap();
        assert_eq!(array, sent);
        let lines: Vec<serde_json::Value> = printed(Format::Ndjson)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines, sent);
    }

    #[test]
    fn no_format_lets_a_control_character_through() {
        for format in [
            Format::Text,
            Format::Json,
            Format::Ndjson,
            Format::Csv,
            Format::Raw,
        ] {
            let printed = printed(format);
            let is_obeyed = |c: char| c != '\n' && c != '\r' && crate::shown::is_hostile(c);
            assert!(!printed.chars().any(is_obeyed), "{format:?}: {printed:?}");
        }
    }
}
