//! Tables that pipes make: aligned for people, and in the forms that programs read. Whatever the
//! form, log text cannot act on the terminal.
use super::format::{Format, FormatOptions};
use crate::{
    output::Output,
    shown::{push_csv_cell, shown, shown_json},
};
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, io::Write};

/// A table as the server sent it: each value as its JSON text.
#[derive(Deserialize)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Box<RawValue>>>,
    #[serde(default)]
    total: u64,
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    is_estimate: bool,
    /// Whether something could not be read.
    #[serde(default)]
    pub partial: bool,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    r#type: String,
}

impl Column {
    fn is_number(&self) -> bool {
        matches!(self.r#type.as_str(), "integer" | "number")
    }
}

impl Table {
    /// Prints it.
    pub fn print(&self, options: &FormatOptions) -> Result<()> {
        let output = Output::open(options.output.as_deref(), options.color)?;
        let mut output = match options.format {
            Format::Text => output.paged(),
            _ => output,
        };
        let text = self.text(options.format);
        let written = output.write_all(text.as_bytes());
        written.context("writing the table")?;
        output.finish()
    }

    /// What is to be said beside it.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.rows.is_empty() {
            notes.push("no records match".to_owned());
        }
        if self.is_truncated {
            let (shown, total) = (self.rows.len(), self.total);
            let all = match total > shown as u64 {
                true => format!("{shown} of {total} rows"),
                false => format!("the first {shown} rows, which are as long as an answer may be"),
            };
            notes.push(format!("these are {all}"));
        }
        if self.is_estimate {
            notes.push("there are so many different values that some numbers are estimates".into());
        }
        notes
    }

    fn text(&self, format: Format) -> String {
        match format {
            Format::Text => self.aligned(),
            Format::Csv => self.csv(),
            Format::Raw => self.lines(|row| {
                let cells: Vec<_> = row.iter().map(|cell| cell_text(cell)).collect();
                cells.join("\t")
            }),
            Format::Ndjson => self.lines(|row| self.object(row)),
            Format::Json => {
                let objects: Vec<_> = self.rows.iter().map(|row| self.object(row)).collect();
                match objects.is_empty() {
                    true => "[]\n".to_owned(),
                    false => format!("[\n{}\n]\n", objects.join(",\n")),
                }
            }
        }
    }

    fn lines(&self, line: impl Fn(&[Box<RawValue>]) -> String) -> String {
        self.rows.iter().map(|row| line(row) + "\n").collect()
    }

    fn object(&self, row: &[Box<RawValue>]) -> String {
        let members = self.columns.iter().zip(row).map(|(column, cell)| {
            let name = serde_json::Value::from(column.name.as_str()).to_string();
            format!("{}:{}", shown_json(&name), shown_json(cell.get()))
        });
        let members: Vec<_> = members.collect();
        format!("{{{}}}", members.join(","))
    }

    fn csv(&self) -> String {
        let mut text = String::new();
        let names = self
            .columns
            .iter()
            .map(|column| (false, Cow::Borrowed(&*column.name)));
        push_csv_line(&mut text, names);
        for row in &self.rows {
            let cells = self.columns.iter().zip(row);
            let cells = cells.map(|(column, cell)| (column.is_number(), plain_text(cell)));
            push_csv_line(&mut text, cells);
        }
        text
    }

    fn aligned(&self) -> String {
        let names = self
            .columns
            .iter()
            .map(|column| shown(&column.name).into_owned());
        let mut lines: Vec<Vec<String>> = vec![names.collect()];
        for row in &self.rows {
            lines.push(row.iter().map(|cell| cell_text(cell)).collect());
        }
        let width = |at: usize| {
            let cells = lines.iter().filter_map(|line| line.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for line in &lines {
            let cells = line.iter().zip(&widths).zip(&self.columns);
            let cells: Vec<String> = cells
                .map(|((cell, width), column)| match column.is_number() {
                    true => format!("{cell:>width$}"),
                    false => format!("{cell:<width$}"),
                })
                .collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// A cell as text: a string's content, nothing for null, anything else as JSON.
fn plain_text(cell: &RawValue) -> Cow<'_, str> {
    match serde_json::from_str::<Option<String>>(cell.get()) {
        Ok(text) => Cow::Owned(text.unwrap_or_default()),
        Err(_) => Cow::Borrowed(cell.get()),
    }
}

fn cell_text(cell: &RawValue) -> String {
    shown(&plain_text(cell)).into_owned()
}

/// Numbers are numbers to a spreadsheet too; texts are made harmless.
fn push_csv_line<'c>(text: &mut String, cells: impl Iterator<Item = (bool, Cow<'c, str>)>) {
    for (at, (is_number, cell)) in cells.enumerate() {
        if at > 0 {
            text.push(',');
        }
        match is_number {
            true => text.push_str(&shown(&cell)),
            false => push_csv_cell(text, &cell),
        }
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"{
        "columns": [
            {"name": "source", "type": "string"},
            {"name": "count", "type": "integer"},
            {"name": "avg(x)", "type": "number"}
        ],
        "rows": [
            ["figma", 12, -1.50],
            ["=cmd\u001b[2J,x", 7, null],
            [null, 123456, 12345678901234567890.5]
        ],
        "total": 3, "took_ms": 1.0
    }"#;

    fn printed(format: Format) -> String {
        serde_json::from_str::<Table>(TABLE).unwrap().text(format)
    }

    #[test]
    fn every_format() {
        insta::assert_snapshot!("table_text", printed(Format::Text));
        insta::assert_snapshot!("table_json", printed(Format::Json));
        insta::assert_snapshot!("table_ndjson", printed(Format::Ndjson));
        insta::assert_snapshot!("table_csv", printed(Format::Csv));
        insta::assert_snapshot!("table_raw", printed(Format::Raw));
    }

    #[test]
    fn what_is_missing_or_estimated_is_said() {
        let notes = |members: &str| {
            let json = format!(r#"{{"columns": [], "rows": [[], []], {members}}}"#);
            serde_json::from_str::<Table>(&json)
                .unwrap()
                .notes()
                .join("; ")
        };
        assert_eq!(notes(r#""total": 2"#), "");
        assert!(notes(r#""total": 9, "is_truncated": true"#).contains("2 of 9 rows"));
        assert!(notes(r#""total": 2, "is_truncated": true"#).contains("first 2 rows"));
        assert!(notes(r#""total": 2, "is_estimate": true"#).contains("estimates"));
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
            let is_obeyed =
                |c: char| !matches!(c, '\n' | '\r' | '\t') && crate::shown::is_hostile(c);
            assert!(!printed(format).chars().any(is_obeyed), "{format:?}");
        }
    }
}
