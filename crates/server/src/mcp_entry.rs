//! Records as the MCP routes show them: `timestamp`, `level` (of four), `message` and `metadata`
//! with `type`, `instanceId`, `userId`, `service` and everything else. The one place for this
//! envelope, as JSON, CSV and plain text.
//!
//! Invariants
//! - Nothing of a record is left out, and no name of `metadata` is there twice: an attribute that
//!   came as `metadata.x` is `x` again unless another field is called so; then it keeps its whole
//!   name, and where that is taken too it is `labels.` and the name.
//! - The owner and the instance are those of the record, whatever an attribute of that name says.
//! - No value is a formula in a spreadsheet, no character is obeyed by a terminal.
use crate::record_json::{Names, write_text, write_value};
use std::{borrow::Cow, collections::HashSet};
use taffrail_engine::query::{OwnedValue, Row};
use taffrail_model::{
    field,
    level::Level,
    shown::{push_csv_cell, shown},
};

const TYPE: &str = "type";
const INSTANCE_ID: &str = "instanceId";
const USER_ID: &str = "userId";
const SERVICE: &str = "service";
/// Where the names are that came within `metadata`.
const METADATA: &str = "metadata.";
/// Stored under [`METADATA`], and shown by a name of its own.
const STORED_TYPE: &str = "metadata.type";

/// First line of the CSV form.
pub(crate) const CSV_HEADER: &str =
    "timestamp,level,message,type,instanceId,userId,service,metadata\r\n";

/// A value of `metadata`.
enum Value<'a> {
    Stored(&'a OwnedValue),
    Text(String),
}

impl Value<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Stored(value) => write_value(out, value),
            Value::Text(text) => write_text(out, text),
        }
    }

    fn text(&self) -> &str {
        match self {
            Value::Stored(value) => &value.text,
            Value::Text(text) => text,
        }
    }
}

/// A record, taken apart for the envelope.
struct Entry<'a> {
    timestamp: String,
    level: &'static str,
    message: &'a str,
    /// By name, each once; those of the document first.
    metadata: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl<'a> Entry<'a> {
    fn new(row: &'a Row, names: &Names<'_>) -> Entry<'a> {
        let level = row.get(field::LEVEL).map_or("", |value| &value.text);
        Entry {
            timestamp: row.key.timestamp.to_rfc3339(),
            level: Level::from_name(level).unwrap_or(Level::Info).mcp_name(),
            message: row.get(field::MESSAGE).map_or("", |value| &value.text),
            metadata: metadata(row, names),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut metadata = self.metadata.iter();
        let (_, value) = metadata.find(|(have, _)| have == name)?;
        Some(value.text())
    }
}

fn metadata<'a>(row: &'a Row, names: &Names<'_>) -> Vec<(Cow<'a, str>, Value<'a>)> {
    let mut metadata: Vec<(Cow<'a, str>, Value<'a>)> = Vec::with_capacity(row.fields.len() + 2);
    for (name, stored) in [
        (TYPE, STORED_TYPE),
        (INSTANCE_ID, field::INSTANCE_ID),
        (USER_ID, field::USER_ID),
        (SERVICE, field::SOURCE),
    ] {
        if let Some(value) = row.get(stored) {
            metadata.push((name.into(), Value::Stored(value)));
        }
    }
    metadata.push((field::ID.into(), Value::Text(row.id.to_string())));
    if let Some(stream) = names.catalogue.by_number(row.stream) {
        let name = stream.name.to_string();
        metadata.push((field::STREAM.into(), Value::Text(name)));
    }
    let mut taken: HashSet<String> = metadata.iter().map(|(name, _)| name.to_string()).collect();
    let (nested, plain): (Vec<_>, Vec<_>) = row
        .fields
        .iter()
        .filter(|(name, _)| !is_shown_elsewhere(name))
        .partition(|(name, _)| name.starts_with(METADATA));
    for (name, value) in plain.into_iter().chain(nested) {
        let short = name.strip_prefix(METADATA).unwrap_or(name);
        let is_said = |(have, shown): &(Cow<'_, str>, Value<'_>)| {
            have == short && matches!(shown, Value::Stored(other) if *other == value)
        };
        if short.len() < name.len() && metadata.iter().take(4).any(is_said) {
            continue;
        }
        let name = free_name(short, name, &taken);
        taken.insert(name.to_string());
        metadata.push((name, Value::Stored(value)));
    }
    metadata
}

fn is_shown_elsewhere(name: &str) -> bool {
    matches!(
        name,
        field::LEVEL
            | field::MESSAGE
            | field::INSTANCE_ID
            | field::USER_ID
            | field::SOURCE
            | STORED_TYPE
    )
}

fn free_name<'a>(short: &'a str, whole: &'a str, taken: &HashSet<String>) -> Cow<'a, str> {
    if let Some(free) = [short, whole]
        .into_iter()
        .find(|name| !taken.contains(*name))
    {
        return free.into();
    }
    let mut name = format!("labels.{whole}");
    while taken.contains(&name) {
        name.insert_str(0, "labels.");
    }
    name.into()
}

/// Appends a record as JSON.
pub(crate) fn write_entry(out: &mut Vec<u8>, row: &Row, names: &Names<'_>) {
    let entry = Entry::new(row, names);
    out.extend_from_slice(br#"{"timestamp":"#);
    write_text(out, &entry.timestamp);
    out.extend_from_slice(br#","level":"#);
    write_text(out, entry.level);
    out.extend_from_slice(br#","message":"#);
    write_text(out, entry.message);
    out.extend_from_slice(br#","metadata":"#);
    write_members(out, entry.metadata.iter());
    out.push(b'}');
}

fn write_members<'a>(
    out: &mut Vec<u8>,
    members: impl Iterator<Item = &'a (Cow<'a, str>, Value<'a>)>,
) {
    out.push(b'{');
    for (index, (name, value)) in members.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_text(out, name);
        out.push(b':');
        value.write(out);
    }
    out.push(b'}');
}

/// Appends a record as a line of CSV; what has no column of its own is JSON in the last.
pub(crate) fn write_csv(out: &mut Vec<u8>, row: &Row, names: &Names<'_>) {
    const OWN: [&str; 4] = [TYPE, INSTANCE_ID, USER_ID, SERVICE];
    let entry = Entry::new(row, names);
    let mut line = String::new();
    for cell in [&entry.timestamp, entry.level, entry.message] {
        push_csv_cell(&mut line, cell);
        line.push(',');
    }
    for name in OWN {
        push_csv_cell(&mut line, entry.get(name).unwrap_or_default());
        line.push(',');
    }
    let mut rest = Vec::new();
    let others = entry.metadata.iter();
    write_members(
        &mut rest,
        others.filter(|(name, _)| !OWN.contains(&&**name)),
    );
    push_csv_cell(&mut line, &String::from_utf8_lossy(&rest));
    line.push_str("\r\n");
    out.extend_from_slice(line.as_bytes());
}

/// Appends a record as one line of text for people.
pub(crate) fn write_txt(out: &mut Vec<u8>, row: &Row, names: &Names<'_>) {
    let entry = Entry::new(row, names);
    let service = entry.get(SERVICE).unwrap_or("-");
    let line = format!(
        "{} {:<5} {} {}\n",
        entry.timestamp,
        entry.level,
        shown(service),
        shown(entry.message)
    );
    out.extend_from_slice(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record_json::tests::row;
    use serde_json::{Value as Json, json};
    use std::collections::BTreeMap;
    use taffrail_model::{column::Kind, stream::StreamCatalogue};

    fn names(tenants: &BTreeMap<taffrail_model::tenant::TenantNumber, String>) -> Names<'_> {
        static CATALOGUE: std::sync::LazyLock<StreamCatalogue> =
            std::sync::LazyLock::new(StreamCatalogue::built_in);
        Names {
            catalogue: &CATALOGUE,
            tenants,
        }
    }

    /// The metadata of a record of these fields, without what every record has.
    #[track_caller]
    fn check(fields: &[(&str, Kind, &str)], expected: Json) {
        let mut out = Vec::new();
        write_entry(&mut out, &row(fields), &names(&BTreeMap::new()));
        let text = String::from_utf8(out).unwrap();
        let mut entry: Json = serde_json::from_str(&text).unwrap();
        let metadata = entry["metadata"].as_object_mut().unwrap();
        // No name is there twice: the reader would have kept the last.
        let written = text.matches("\":").count();
        assert_eq!(written, 4 + metadata.len(), "{text}");
        assert!(metadata.remove("id").is_some() && metadata.remove("stream").is_some());
        assert_eq!(entry["metadata"], expected);
    }

    #[test]
    fn metadata_is_that_of_the_document() {
        use Kind::{Float, Integer, String as Text};
        check(&[], json!({}));
        check(
            &[
                ("instance_id", Text, "a"),
                ("level", Text, "info"),
                ("message", Text, "m"),
                ("metadata.code", Float, "4.5"),
                ("metadata.type", Text, "stdout"),
                ("source", Text, "figma"),
                ("user_id", Text, "u1"),
            ],
            json!({
                "type": "stdout", "instanceId": "a", "userId": "u1", "service": "figma",
                "code": 4.5,
            }),
        );
        // What it said of itself is said once if it is so, and keeps a name of its own if not.
        check(
            &[
                ("instance_id", Text, "a"),
                ("metadata.instanceId", Text, "a"),
                ("metadata.userId", Text, "u2"),
                ("user_id", Text, "u1"),
                ("userId", Text, "u3"),
            ],
            json!({
                "instanceId": "a", "userId": "u1", "metadata.userId": "u2",
                "labels.userId": "u3",
            }),
        );
        check(
            &[
                ("metadata.trace_id", Text, "t2"),
                ("trace_id", Text, "t1"),
                ("labels.type", Integer, "1"),
                ("metadata.type", Text, "stderr"),
                ("type", Text, "mine"),
            ],
            json!({
                "type": "stderr", "trace_id": "t1", "metadata.trace_id": "t2", "labels.type": 1,
                "labels.labels.type": "mine",
            }),
        );
    }

    #[test]
    fn levels_are_the_four_of_the_document() {
        for (stored, printed) in [
            ("trace", "debug"),
            ("info", "info"),
            ("critical", "error"),
            ("?", "info"),
        ] {
            let mut out = Vec::new();
            let row = row(&[("level", Kind::String, stored)]);
            write_entry(&mut out, &row, &names(&BTreeMap::new()));
            let entry: Json = serde_json::from_slice(&out).unwrap();
            assert_eq!(
                (&entry["level"], &entry["message"]),
                (&json!(printed), &json!(""))
            );
        }
    }

    #[test]
    fn a_line_of_csv_has_a_cell_for_each_title() {
        let row = row(&[
            ("instance_id", Kind::String, "a"),
            ("message", Kind::String, "=1"),
            ("metadata.x", Kind::String, "\u{1b}"),
        ]);
        let mut out = Vec::new();
        write_csv(&mut out, &row, &names(&BTreeMap::new()));
        let line = String::from_utf8(out).unwrap();
        let expected = "2026-01-04T15:30:45.123Z,info,\"'=1\",,a,,,\"{\"\"id\"\":";
        assert!(line.starts_with(expected), "{line}");
        assert!(line.ends_with("\"\"x\"\":\"\"\\u001b\"\"}\"\r\n"), "{line}");
        assert_eq!(CSV_HEADER.split(',').count(), 8);
    }
}
