//! Small tables for people, and the same rows as JSON for programs.
use crate::shown::shown;
use anyhow::{Context, Result};
use clap::ValueEnum;
use serde_json::Value;
use std::io::Write;

/// A form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// A table
    #[default]
    Text,
    /// One JSON array
    Json,
    /// One JSON object a line
    Ndjson,
}

/// A column: its title, and how its cell is read from a row.
pub type Column = (&'static str, fn(&Value) -> String);

/// Prints rows to stdout.
pub fn print(format: TableFormat, columns: &[Column], rows: &[Value]) -> Result<()> {
    let text = match format {
        TableFormat::Text => aligned(columns, rows),
        TableFormat::Json => {
            let mut text = serde_json::to_string_pretty(rows).context("writing JSON")?;
            text.push('\n');
            text
        }
        TableFormat::Ndjson => rows.iter().map(|row| format!("{row}\n")).collect(),
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .context("writing the table")?;
    out.flush().context("writing the table")
}

fn aligned(columns: &[Column], rows: &[Value]) -> String {
    let titles = columns.iter().map(|(title, _)| (*title).to_string());
    let mut lines: Vec<Vec<String>> = vec![titles.collect()];
    for row in rows {
        let cells = columns
            .iter()
            .map(|(_, cell)| shown(&cell(row)).into_owned());
        lines.push(cells.collect());
    }
    let width = |index: usize| {
        let cells = lines.iter().map(|line| line[index].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A cell of a member: a string's text, a list with commas, nothing for null.
pub fn cell(row: &Value, name: &str) -> String {
    text(&row[name])
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let texts: Vec<String> = values.iter().map(text).collect();
            texts.join(", ")
        }
        other => other.to_string(),
    }
}

/// A cell of a member that is a time, to the second.
pub fn time_cell(row: &Value, name: &str) -> String {
    let text = cell(row, name);
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_align_and_hostile_text_is_shown() {
        let columns: &[Column] = &[
            ("ID", |row| cell(row, "id")),
            ("NAME", |row| cell(row, "n")),
        ];
        let rows = [
            json!({"id": 7, "n": "a\u{1b}[m"}),
            json!({"id": 1234, "n": ["x", "y"]}),
        ];
        let expected = "ID    NAME\n7     a\\x1b[m\n1234  x, y\n";
        assert_eq!(aligned(columns, &rows), expected);
    }

    #[test]
    fn times_are_cut_to_seconds() {
        let row = json!({"a": "2026-01-04T15:30:45.123Z", "b": "2026-01-04T15:30:45Z", "c": null});
        assert_eq!(time_cell(&row, "a"), "2026-01-04T15:30:45Z");
        assert_eq!(time_cell(&row, "b"), "2026-01-04T15:30:45Z");
        assert_eq!(time_cell(&row, "c"), "");
    }
}
