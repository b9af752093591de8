//! `--read-back`: everything that was sent is read again and compared column by column.
//!
//! Of each column a hash of all values is made, once from the data as it was sent and once from
//! what the store gives back: the sum of the hashes of (time of the record, name, kind, original
//! text), so that the order of records does not matter and no value can be missing, be there twice,
//! be changed or be in another record's place. How a field is named and a time is written follows the
//! guide; no code of the product reads the data here.
use super::{
    data::Source,
    library::Library,
    seen::{Severity, time_of},
};
use anyhow::{Context, Result, bail};
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

/// Members of an object, in order, with their original text.
type Members<'a> = Vec<(String, &'a RawValue)>;

/// Values of one column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColumnHash {
    pub values: u64,
    sum: u64,
}

/// Fields of the made-up data that have another name in the store: aliases, and what a record cannot
/// set and has as a label.
const RENAMED: [(&str, &str); 4] = [
    ("service", "source"),
    ("tenant", "labels.tenant"),
    ("gen_ai.usage.input_tokens", "input_tokens"),
    ("gen_ai.usage.output_tokens", "output_tokens"),
];

/// Hashes of all columns, by name.
#[derive(Debug, Default)]
pub struct Columns(BTreeMap<String, ColumnHash>);

impl Columns {
    /// Takes a value of the record of this time: the unescaped text of a string, the compact text of
    /// a list, or the text of anything else as it was written.
    pub fn take(&mut self, time_ns: i64, name: &str, kind: &str, text: &str) {
        let mut hasher = DefaultHasher::new();
        (time_ns, name, kind, text).hash(&mut hasher);
        let column = match self.0.get_mut(name) {
            Some(column) => column,
            None => self.0.entry(name.to_owned()).or_default(),
        };
        column.values += 1;
        column.sum = column.sum.wrapping_add(hasher.finish());
    }

    /// The columns of the data as it was sent.
    pub fn of_source(source: &Source) -> Result<Columns> {
        let mut columns = Columns::default();
        source.read(|chunk| {
            for line in chunk.bytes.split(|byte| *byte == b'\n') {
                if !line.trim_ascii().is_empty() {
                    columns.take_line(line)?;
                }
            }
            Ok(true)
        })?;
        Ok(columns)
    }

    fn take_line(&mut self, line: &[u8]) -> Result<()> {
        let members = members(std::str::from_utf8(line).context("a line is not UTF-8")?)?;
        let time = members.iter().find(|(name, _)| name == "timestamp");
        let time = time.map(|(_, value)| string(value)).transpose()?.flatten();
        let Some(time) = time.and_then(|time| time_of(&time)) else {
            bail!("a record has no time that can be compared");
        };
        for (name, value) in members {
            match name.as_str() {
                "timestamp" => {}
                "level" => {
                    let word = string(value)?.unwrap_or_else(|| value.get().to_owned());
                    self.take(time, "level", "string", Severity::of(&word).name());
                }
                name => {
                    let renamed = RENAMED.iter().find(|(sent, _)| *sent == name);
                    self.take_value(time, renamed.map_or(name, |(_, stored)| stored), value)?;
                }
            }
        }
        Ok(())
    }

    /// A value, or the values below it by the way to each.
    fn take_value(&mut self, time_ns: i64, name: &str, value: &RawValue) -> Result<()> {
        if let Some(text) = string(value)? {
            self.take(time_ns, name, "string", &text);
            return Ok(());
        }
        let text = value.get();
        match text.as_bytes().first() {
            Some(b'{') => {
                for (below, value) in members(text)? {
                    self.take_value(time_ns, &format!("{name}.{below}"), value)?;
                }
            }
            Some(b'[') => self.take(time_ns, name, "json", &compact(text)),
            Some(b't' | b'f') => self.take(time_ns, name, "boolean", text),
            // No value.
            Some(b'n') => {}
            _ => self.take(time_ns, name, "number", text),
        }
        Ok(())
    }

    /// The columns of what the store gives back.
    pub fn of_store(library: &Library, stream: &str) -> Result<Columns> {
        let mut columns = Columns::default();
        library.read_all(stream, &mut |time_ns, name, kind, text| {
            columns.take(time_ns, name, kind, text);
        })?;
        Ok(columns)
    }

    /// Columns and values of the data as it was sent, if all are in the store as they were; else
    /// what differs.
    pub fn compare(&self, store: &Columns) -> Result<(usize, u64)> {
        let differing = self.0.iter().filter_map(|(name, sent)| {
            let read = store.0.get(name).copied().unwrap_or_default();
            (read != *sent).then(|| {
                let (sent, read) = (sent.values, read.values);
                format!("{name} ({sent} values were sent, {read} read)")
            })
        });
        let differing: Vec<String> = differing.collect();
        if !differing.is_empty() {
            bail!(
                "what is read differs from what was sent: {}",
                differing.join(", ")
            );
        }
        Ok((
            self.0.len(),
            self.0.values().map(|column| column.values).sum(),
        ))
    }
}

/// JSON without the blanks between its parts.
fn compact(json: &str) -> String {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if !is_quoted && c.is_ascii_whitespace() {
            continue;
        }
        if c == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = c == '\\' && !is_escaped;
        out.push(c);
    }
    out
}

fn members(object: &str) -> Result<Members<'_>> {
    struct InOrder;
    impl<'de> serde::de::Visitor<'de> for InOrder {
        type Value = Members<'de>;
        fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Members<'de>, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(object);
    serde::Deserializer::deserialize_map(&mut deserializer, InOrder).context("reading a record")
}

/// The unescaped text of a string; `None` of anything else.
fn string(value: &RawValue) -> Result<Option<String>> {
    match value.get().starts_with('"') {
        true => Ok(Some(serde_json::from_str(value.get())?)),
        false => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(lines: &[&str]) -> Columns {
        let mut columns = Columns::default();
        for line in lines {
            columns.take_line(line.as_bytes()).unwrap();
        }
        columns
    }

    const A: &str = r#"{"timestamp":"2025-06-02T00:00:00.5Z","level":"WARNING","service":"a","n":1.50,"m":{"x":"é\n","y":[1, "a \" b"],"z":null}}"#;
    const B: &str =
        r#"{"timestamp":"2025-06-02T00:00:01Z","level":"info","service":"b","n":"1.50"}"#;

    #[test]
    fn values_are_named_and_written_as_the_guide_says() {
        let ns = 1_748_822_400_500_000_000;
        let mut stored = Columns::default();
        for (name, kind, text) in [
            ("level", "string", "warn"),
            ("source", "string", "a"),
            ("n", "number", "1.50"),
            ("m.x", "string", "é\n"),
            ("m.y", "json", r#"[1,"a \" b"]"#),
            ("hostname", "string", "added"),
        ] {
            stored.take(ns, name, kind, text);
        }
        assert_eq!(columns(&[A]).compare(&stored).unwrap(), (5, 5));
    }

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        let sent = columns(&[A, B]);
        assert_eq!(sent.compare(&columns(&[B, A])).unwrap(), (5, 8));
        for (other, column) in [
            (vec![A], "level"),
            (vec![A, B, B], "level"),
            (vec![A, &B.replace("\"b\"", "\"c\"")], "source (2"),
            (vec![A, &B.replace("\"1.50\"", "1.50")], "n (2"),
            (vec![&A.replace("1.50", "1.5"), B], "n (2"),
            (vec![&A.replace("00.5Z", "00.6Z"), B], "m.x (1"),
        ] {
            let fault = sent.compare(&columns(&other)).unwrap_err().to_string();
            assert!(fault.contains(column), "{fault}");
        }
    }

    #[test]
    fn a_record_without_a_time_cannot_be_compared() {
        assert!(Columns::default().take_line(br#"{"a":1}"#).is_err());
    }
}
