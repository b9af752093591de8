//! CSV (RFC 4180) that a spreadsheet cannot mistake for formulas.
//!
//! A cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return would be evaluated when
//! the file is opened, so it gets a `'` in front. This changes negative numbers too: who computes
//! with the values takes JSON.
use crate::{
    record::Record,
    shown::{is_hostile, shown, shown_json},
};

/// Fields with a column of their own; the others are together, as JSON, in the last column.
const COLUMNS: &[&str] = &[
    "id",
    "timestamp",
    "level",
    "stream",
    "source",
    "logger",
    "trace_id",
    "user_id",
    "message",
];

/// The first line.
pub const HEADER: &str =
    "id,timestamp,level,stream,source,logger,trace_id,user_id,message,attributes\r\n";

/// One record as a line.
pub fn record(record: &Record) -> String {
    let mut line = String::new();
    for column in COLUMNS {
        if let Some(text) = record.get(column) {
            push_cell(&mut line, &text);
        }
        line.push(',');
    }
    let attributes = attributes(record);
    if attributes != "{}" {
        push_cell(&mut line, &attributes);
    }
    line.push_str("\r\n");
    line
}

fn attributes(record: &Record) -> String {
    let others = record
        .fields_json()
        .filter(|(name, _)| !COLUMNS.contains(name));
    let members: Vec<String> = others
        .map(|(name, value)| {
            let name = serde_json::Value::from(name).to_string();
            format!("{}:{}", shown_json(&name), shown_json(value))
        })
        .collect();
    format!("{{{}}}", members.join(","))
}

fn push_cell(line: &mut String, text: &str) {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    // A line break is data in a quoted cell; other control characters are shown.
    let lines: Vec<_> = text
        .split('\n')
        .map(|part| shown(part.trim_end_matches('\r')))
        .collect();
    let clean = lines.join("\n");
    debug_assert!(!clean.chars().any(|c| c != '\n' && is_hostile(c)));
    let prefix = if is_formula { "'" } else { "" };
    if clean.contains(['"', ',', '\n', '\t', '\'']) || clean.starts_with(' ') || is_formula {
        line.push('"');
        line.push_str(prefix);
        line.push_str(&clean.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(&clean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut line = String::new();
        push_cell(&mut line, text);
        assert_eq!(line, expected, "{text:?}");
    }

    #[test]
    fn cells_are_quoted_when_they_must_be() {
        check("plain", "plain");
        check("", "");
        check("a,b", "\"a,b\"");
        check("say \"no\"", "\"say \"\"no\"\"\"");
        check("two\nlines", "\"two\nlines\"");
        check("two\r\nlines", "\"two\nlines\"");
        check("\x1b[2J", "\\x1b[2J");
    }

    #[test]
    fn formulas_are_neutralised() {
        check("=1+1", "\"'=1+1\"");
        check("+1", "\"'+1\"");
        check("-1", "\"'-1\"");
        check("@SUM(A1)", "\"'@SUM(A1)\"");
        check("\t=1", "\"'\t=1\"");
        check("\r=1", "\"'\\r=1\"");
        check("1=1", "1=1");
    }

    #[test]
    fn the_header_names_the_columns() {
        assert_eq!(HEADER, format!("{},attributes\r\n", COLUMNS.join(",")));
    }
}
