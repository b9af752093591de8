//! CSV (RFC 4180) that a spreadsheet cannot mistake for formulas.
//!
//! A cell that would be evaluated when the file is opened gets a `'` in front. This changes negative
//! numbers too: who computes with the values takes JSON.
use crate::{
    record::Record,
    shown::{push_csv_cell, shown_json},
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
            push_csv_cell(&mut line, &text);
        }
        line.push(',');
    }
    let attributes = attributes(record);
    if attributes != "{}" {
        push_csv_cell(&mut line, &attributes);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_the_columns() {
        assert_eq!(HEADER, format!("{},attributes\r\n", COLUMNS.join(",")));
    }
}
