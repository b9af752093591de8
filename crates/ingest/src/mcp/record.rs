//! A record of what was said, before it is a column or a line of JSON.
use super::attribute;
use crate::decode::json::escape_into;
use std::{borrow::Cow, fmt::Write};
use taffrail_model::{
    batch::RawBatch,
    column::{ColumnSet, Kind},
    field,
    level::Level,
    time::Timestamp,
};

pub use taffrail_model::instance::{METADATA_TYPE, Origin};

/// Which stream of an instance a record belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// `instance.access`: completed requests.
    Access,
    /// `instance.app`: notifications and log messages.
    App,
    /// `instance.error`: errors and breaches of the protocol.
    Error,
}

impl Route {
    /// Name of the stream.
    #[must_use]
    pub fn stream(self) -> &'static str {
        match self {
            Route::Access => "instance.access",
            Route::App => "instance.app",
            Route::Error => "instance.error",
        }
    }
}

/// Name of a field. Nearly all are known when this is compiled, and no record has a copy of them.
pub type FieldName = Cow<'static, str>;

/// One value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// Text.
    Text(String),
    /// Integer.
    Integer(i64),
    /// Any other number; an infinite one is left out when it is written.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A number or an array as it was said, in JSON.
    Json(String),
}

/// A record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When it was complete.
    pub time: Timestamp,
    /// Severity.
    pub level: Level,
    /// What happened, for a person.
    pub message: String,
    /// Its stream.
    pub route: Route,
    /// Its `metadata.type`.
    pub origin: Origin,
    /// Everything else; names are flat and none is there twice.
    pub fields: Vec<(FieldName, Scalar)>,
}

impl Record {
    /// The value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Scalar> {
        let found = self.fields.iter().find(|(have, _)| have == name);
        found.map(|(_, value)| value)
    }

    /// The text of a field that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Scalar::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Sets a field.
    pub fn set(&mut self, name: impl Into<FieldName>, value: Scalar) {
        let name = name.into();
        match self.fields.iter_mut().find(|(have, _)| *have == name) {
            Some((_, old)) => *old = value,
            None => self.fields.push((name, value)),
        }
    }

    pub(super) fn new(time: Timestamp, level: Level, route: Route, message: String) -> Record {
        Record {
            time,
            level,
            message,
            route,
            origin: Origin::Stdout,
            fields: Vec::new(),
        }
    }

    /// Adds a field whose name is not there yet.
    pub(super) fn add(mut self, name: &'static str, value: impl Into<Scalar>) -> Record {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Adds a field if there is a value.
    pub(super) fn add_some(self, name: &'static str, value: Option<impl Into<Scalar>>) -> Record {
        match value {
            Some(value) => self.add(name, value),
            None => self,
        }
    }

    /// Appends the record as one line of JSON with LF, in the names that ingest takes. The stream
    /// is no part of it.
    pub fn write_json(&self, out: &mut String) {
        out.push('{');
        for (index, (name, kind, text)) in self.values().enumerate() {
            if index > 0 {
                out.push(',');
            }
            escape_into(name, out);
            out.push(':');
            if kind == Kind::String {
                escape_into(&text, out);
            } else {
                out.push_str(&text);
            }
        }
        out.push_str("}\n");
    }

    /// All that the record says, the four first fields included.
    fn values(&self) -> impl Iterator<Item = (&str, Kind, Cow<'_, str>)> {
        let first = [
            (field::TIMESTAMP, self.time.to_string().into()),
            (field::LEVEL, self.level.name().into()),
            (field::MESSAGE, self.message.as_str().into()),
            (METADATA_TYPE, self.origin.name().into()),
        ];
        let first = first.map(|(name, text)| (name, Kind::String, text));
        let rest = self.fields.iter().filter_map(|(name, value)| {
            let (kind, text) = value.as_json()?;
            Some((&**name, kind, text))
        });
        first.into_iter().chain(rest)
    }
}

impl Scalar {
    fn as_json(&self) -> Option<(Kind, Cow<'_, str>)> {
        Some(match self {
            Scalar::Text(text) => (Kind::String, text.as_str().into()),
            Scalar::Integer(value) => (Kind::Integer, value.to_string().into()),
            Scalar::Float(value) if value.is_finite() => {
                let mut text = String::new();
                // Writing to a string does not fail.
                let _ = write!(text, "{value:?}");
                (Kind::Float, text.into())
            }
            Scalar::Float(_) => return None,
            Scalar::Bool(value) => (Kind::Bool, if *value { "true" } else { "false" }.into()),
            Scalar::Json(text) => (kind_of(text), text.as_str().into()),
        })
    }
}

/// The kind of JSON that is no string.
fn kind_of(json: &str) -> Kind {
    match json.as_bytes().first() {
        Some(b't' | b'f') => Kind::Bool,
        Some(b'{' | b'[') => Kind::Json,
        _ if json.contains(['.', 'e', 'E']) => Kind::Float,
        _ => Kind::Integer,
    }
}

/// The records as a batch; row and index are the place in `records`.
#[must_use]
pub fn batch(records: &[Record]) -> RawBatch {
    let mut columns = ColumnSet::default();
    let rows = u32::try_from(records.len()).unwrap_or(u32::MAX);
    for (row, record) in (0..rows).zip(records) {
        for (name, kind, text) in record.values() {
            let slot = columns.slot(name);
            columns.slot_mut(slot).1.push(row, kind, &text);
        }
    }
    columns.set_rows(rows);
    RawBatch {
        columns,
        indexes: (0..rows).collect(),
        ..RawBatch::default()
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Scalar {
        Scalar::Text(text.to_string())
    }
}

impl From<String> for Scalar {
    fn from(text: String) -> Scalar {
        Scalar::Text(text)
    }
}

impl From<bool> for Scalar {
    fn from(value: bool) -> Scalar {
        Scalar::Bool(value)
    }
}

impl From<f64> for Scalar {
    fn from(value: f64) -> Scalar {
        Scalar::Float(value)
    }
}

impl From<u64> for Scalar {
    fn from(value: u64) -> Scalar {
        Scalar::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

/// Whether a record of ours may carry the name already, or the pipeline gives it a meaning that
/// a foreign value must not have.
pub(super) fn is_taken(name: &str) -> bool {
    const OURS: [&str; 6] = [
        "mcp.",
        "jsonrpc.",
        "rpc.",
        "gen_ai.",
        "network.",
        "metadata.",
    ];
    let is_first = |canonical: &str| {
        let found = field::CANONICAL.iter().find(|have| have.name == canonical);
        name == canonical || found.is_some_and(|have| have.aliases.contains(&name))
    };
    OURS.iter().any(|prefix| name.starts_with(prefix))
        || [
            field::TIMESTAMP,
            field::LEVEL,
            field::MESSAGE,
            field::LOGGER,
        ]
        .into_iter()
        .any(is_first)
        || [attribute::HTTP_STATUS, field::SEVERITY_TEXT].contains(&name)
}
