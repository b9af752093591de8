//! Records as JSON, written straight from rows: each value as it came, under its canonical name.
//! `timestamp`, `id`, `level`, `message`, `stream`, `tenant` come first, the rest by name.
use std::collections::BTreeMap;
use taffrail_engine::query::{OwnedValue, Row};
use taffrail_model::{
    column::{FieldName, Kind},
    field,
    stream::StreamCatalogue,
    tenant::TenantNumber,
};

/// What a record's numbers stand for.
pub(crate) struct Names<'a> {
    pub catalogue: &'a StreamCatalogue,
    pub tenants: &'a BTreeMap<TenantNumber, String>,
}

/// Fields that are first, in this order.
const FIRST: [&str; 6] = [
    field::TIMESTAMP,
    field::ID,
    field::LEVEL,
    field::MESSAGE,
    field::STREAM,
    field::TENANT,
];

/// Appends a record; with `fields` those alone and in their order.
pub(crate) fn write_record(
    out: &mut Vec<u8>,
    row: &Row,
    fields: Option<&[FieldName]>,
    names: &Names<'_>,
) {
    out.push(b'{');
    let mut members = Members {
        out,
        is_first: true,
    };
    match fields {
        Some(fields) => {
            let mut written: Vec<&str> = Vec::with_capacity(fields.len());
            for name in fields {
                // An alias is the canonical field, unless the record has a field of that name.
                let name = match row.get(name) {
                    Some(_) => name,
                    None => field::canonical_name(name),
                };
                if !written.contains(&name) {
                    members.field(row, name, names);
                    written.push(name);
                }
            }
        }
        None => {
            for name in FIRST {
                members.field(row, name, names);
            }
            for (name, value) in &row.fields {
                if !FIRST.contains(&&**name) {
                    members.value(name, value);
                }
            }
        }
    }
    out.push(b'}');
}

/// Appends an array of records.
pub(crate) fn write_records(
    out: &mut Vec<u8>,
    rows: &[Row],
    fields: Option<&[FieldName]>,
    names: &Names<'_>,
) {
    out.push(b'[');
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_record(out, row, fields, names);
    }
    out.push(b']');
}

struct Members<'a> {
    out: &'a mut Vec<u8>,
    is_first: bool,
}

impl Members<'_> {
    fn field(&mut self, row: &Row, name: &str, names: &Names<'_>) {
        match name {
            field::TIMESTAMP => self.text(name, &row.key.timestamp.to_rfc3339()),
            field::ID => self.text(name, &row.id.to_string()),
            field::STREAM => {
                if let Some(stream) = names.catalogue.by_number(row.stream) {
                    self.text(name, &stream.name);
                }
            }
            field::TENANT => {
                if let Some(tenant) = names.tenants.get(&row.tenant) {
                    self.text(name, tenant);
                }
            }
            _ => {
                if let Some(value) = row.get(name) {
                    self.value(name, value);
                }
            }
        }
    }

    fn name(&mut self, name: &str) {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
        write_text(self.out, name);
        self.out.push(b':');
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        write_text(self.out, text);
    }

    fn value(&mut self, name: &str, value: &OwnedValue) {
        self.name(name);
        match value.kind {
            Kind::String => write_text(self.out, &value.text),
            // JSON text already.
            Kind::Integer | Kind::Float | Kind::Bool | Kind::Json => {
                self.out.extend_from_slice(value.text.as_bytes());
            }
        }
    }
}

/// Appends a JSON string.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            // DEL and the other control characters never reach a terminal as they are.
            0..=0x1f | 0x7f => 0,
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..at]);
        plain = at + 1;
        match short {
            0 => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
            short => out.extend_from_slice(&[b'\\', short]),
        }
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_engine::query::RowKey;
    use taffrail_model::{
        id::RecordId,
        position::Position,
        stream::StreamNumber,
        tenant::DEFAULT_TENANT,
        time::{Day, Timestamp},
    };

    fn row(fields: &[(&str, Kind, &str)]) -> Row {
        let position = Position(42);
        Row {
            key: RowKey {
                timestamp: Timestamp(1_767_540_645_123_000_000),
                position,
            },
            tenant: DEFAULT_TENANT,
            stream: StreamNumber(16),
            id: RecordId {
                day: Day(20_457),
                stream: StreamNumber(16),
                node: 0,
                epoch: 0,
                position,
            },
            fields: fields
                .iter()
                .map(|(name, kind, text)| {
                    let value = OwnedValue {
                        kind: *kind,
                        text: text.to_string(),
                    };
                    (FieldName::from(*name), value)
                })
                .collect(),
        }
    }

    fn check(fields: &[(&str, Kind, &str)], only: Option<&[&str]>, expected: &str) {
        let tenants = BTreeMap::from([(DEFAULT_TENANT, "default".to_owned())]);
        let names = Names {
            catalogue: &StreamCatalogue::built_in(),
            tenants: &tenants,
        };
        let only: Option<Vec<FieldName>> =
            only.map(|names| names.iter().map(|name| FieldName::from(*name)).collect());
        let mut out = Vec::new();
        write_record(&mut out, &row(fields), only.as_deref(), &names);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn values_come_out_as_they_came_in() {
        check(
            &[
                ("a.f", Kind::Float, "1.50"),
                ("a.i", Kind::Integer, "12345678901234567890123"),
                ("a.j", Kind::Json, "[1,{\"x\":2}]"),
                ("a.b", Kind::Bool, "true"),
                ("level", Kind::String, "info"),
                ("message", Kind::String, "ä\u{1b}[0m \"q\" \\ \n\u{7f}"),
            ],
            None,
            concat!(
                r#"{"timestamp":"2026-01-04T15:30:45.123Z","id":"4fe90010-0000-8000-8000-00000000002a","#,
                r#""level":"info","message":"ä\u001b[0m \"q\" \\ \n\u007f","stream":"app.backend","tenant":"default","#,
                r#""a.f":1.50,"a.i":12345678901234567890123,"a.j":[1,{"x":2}],"a.b":true}"#,
            ),
        );
    }

    #[test]
    fn a_projection_keeps_its_order_and_leaves_out_what_is_not_there() {
        check(
            &[("level", Kind::String, "info"), ("x", Kind::Integer, "1")],
            Some(&["x", "stream", "none", "level"]),
            r#"{"x":1,"stream":"app.backend","level":"info"}"#,
        );
        check(&[], Some(&["none"]), "{}");
    }

    #[test]
    fn texts_are_read_back_by_a_json_reader() {
        let text: String = (0..0x300).filter_map(char::from_u32).collect();
        let mut out = Vec::new();
        write_text(&mut out, &text);
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }
}
