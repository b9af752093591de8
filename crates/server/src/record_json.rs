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

/// What of a record is wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    /// Those fields alone and in their order; `None`: all.
    pub fields: Option<Vec<FieldName>>,
    /// Longer texts are cut to so many bytes, at the end of a character, and [`CUT`] names them;
    /// `None`: whole.
    pub preview_bytes: Option<usize>,
}

/// All of a record.
pub(crate) const WHOLE: Shape = Shape {
    fields: None,
    preview_bytes: None,
};

/// The member of a preview that gives the whole length, in bytes, of each field that was cut.
const CUT: &str = "_cut";

/// Appends a record in the shape.
pub(crate) fn write_record(out: &mut Vec<u8>, row: &Row, shape: &Shape, names: &Names<'_>) {
    out.push(b'{');
    let mut members = Members {
        out,
        is_first: true,
        preview_bytes: shape.preview_bytes.unwrap_or(usize::MAX),
        cut: Vec::new(),
    };
    match &shape.fields {
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
    members.finish();
    out.push(b'}');
}

/// Appends an array of records in the shape.
pub(crate) fn write_records(out: &mut Vec<u8>, rows: &[Row], shape: &Shape, names: &Names<'_>) {
    write_array(out, rows, |out, row| write_record(out, row, shape, names));
}

/// Appends an array of what `write` makes of each.
pub(crate) fn write_array<T>(out: &mut Vec<u8>, all: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (index, one) in all.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, one);
    }
    out.push(b']');
}

struct Members<'a> {
    out: &'a mut Vec<u8>,
    is_first: bool,
    preview_bytes: usize,
    /// Fields that were cut, with their whole lengths.
    cut: Vec<(String, usize)>,
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
        let is_text = matches!(value.kind, Kind::String | Kind::Json);
        if is_text && value.text.len() > self.preview_bytes {
            let end = value.text.floor_char_boundary(self.preview_bytes);
            write_text(self.out, &value.text[..end]);
            self.cut.push((name.to_owned(), value.text.len()));
            return;
        }
        write_value(self.out, value);
    }

    /// Names what was cut.
    fn finish(mut self) {
        let cut = std::mem::take(&mut self.cut);
        if cut.is_empty() {
            return;
        }
        self.name(CUT);
        self.out.push(b'{');
        self.is_first = true;
        for (name, bytes) in cut {
            self.name(&name);
            self.out.extend_from_slice(bytes.to_string().as_bytes());
        }
        self.out.push(b'}');
    }
}

/// Appends a value as it came.
pub(crate) fn write_value(out: &mut Vec<u8>, value: &OwnedValue) {
    match value.kind {
        Kind::String => write_text(out, &value.text),
        // JSON text already.
        Kind::Integer | Kind::Float | Kind::Bool | Kind::Json => {
            out.extend_from_slice(value.text.as_bytes());
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
pub(crate) mod tests {
    use super::*;
    use taffrail_engine::query::RowKey;
    use taffrail_model::{
        id::RecordId,
        position::Position,
        stream::StreamNumber,
        tenant::DEFAULT_TENANT,
        time::{Day, Timestamp},
    };

    pub(crate) fn row(fields: &[(&str, Kind, &str)]) -> Row {
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
        check_shape(
            fields,
            &Shape {
                fields: only,
                preview_bytes: None,
            },
            &names,
            expected,
        );
    }

    fn check_shape(
        fields: &[(&str, Kind, &str)],
        shape: &Shape,
        names: &Names<'_>,
        expected: &str,
    ) {
        let mut out = Vec::new();
        write_record(&mut out, &row(fields), shape, names);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_preview_cuts_long_texts_between_characters_and_says_how_long_they_are() {
        let names = Names {
            catalogue: &StreamCatalogue::built_in(),
            tenants: &BTreeMap::new(),
        };
        let fields: Vec<FieldName> = ["message", "a", "list", "n"].map(FieldName::from).to_vec();
        let shape = Shape {
            fields: Some(fields),
            preview_bytes: Some(6),
        };
        check_shape(
            &[
                ("message", Kind::String, "12345ü"),
                ("a", Kind::String, "123456"),
                ("list", Kind::Json, "[1, 2, 3]"),
                ("n", Kind::Integer, "12345678"),
            ],
            &shape,
            &names,
            r#"{"message":"12345","a":"123456","list":"[1, 2,","n":12345678,"_cut":{"message":7,"list":9}}"#,
        );
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
