//! `notifications/message`: a log message of the server as a record like any other.
//!
//! Its data may be anything. An object's members become fields under their own names, as those
//! of a JSON log line do, so that `error.stack` feeds what errors feed; a name that a record of
//! ours has already goes under `data.`. Its `message` or `msg` is the message. Anything else is
//! the message as it stands.
use super::{
    LOG_FIELDS_MAX, TEXT_BYTES_MAX, attribute, clipped,
    members::{members, string},
    record::{Record, Route, Scalar, is_taken},
};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use taffrail_model::{
    field,
    level::Level,
    limits::{FIELD_NAME_BYTES_MAX, NESTING_DEPTH_MAX, RECORD_BYTES_MAX},
    time::Timestamp,
};

/// Bytes of a message and of all fields: together below the limit of a record with its names.
const DATA_BYTES_MAX: usize = RECORD_BYTES_MAX / 4;

/// The method that this is about.
pub(super) const METHOD: &str = "notifications/message";

/// The record of a log message.
pub(super) fn tell(params: Option<&str>, time: Timestamp) -> Record {
    let parts = params.and_then(|params| members(params, &["level", "logger", "data"]));
    let [word, logger, data] = parts.map_or([None; 3], |parts| parts.values);
    let word = word.and_then(string);
    let level = word
        .as_deref()
        .and_then(Level::from_foreign)
        .unwrap_or(Level::Info);
    let route = if level >= Level::Error {
        Route::Error
    } else {
        Route::App
    };
    let mut record =
        Record::new(time, level, route, String::new()).add(attribute::METHOD_NAME, METHOD);
    if let Some(word) = word.filter(|word| word != level.name() && word != "warning") {
        record = record.add(field::SEVERITY_TEXT, clipped(&word, TEXT_BYTES_MAX));
    }
    if let Some(logger) = logger.and_then(string) {
        record = record.add(field::LOGGER, clipped(&logger, TEXT_BYTES_MAX));
    }
    let data = data.unwrap_or_default();
    match string(data) {
        Some(text) => record.message = clipped(&text, DATA_BYTES_MAX).to_string(),
        None => add_data(&mut record, data),
    }
    if record.message.is_empty() {
        record.message = clipped(data, DATA_BYTES_MAX).to_string();
    }
    record
}

fn add_data(record: &mut Record, data: &str) {
    let mut fields = Fields {
        found: Vec::new(),
        bytes: 0,
    };
    fields.add("", data, 0);
    for (name, value) in fields.found {
        let is_message = ["message", "msg"].contains(&name.as_str());
        match value {
            Scalar::Text(text) if is_message && record.message.is_empty() => record.message = text,
            value => {
                let name = if is_taken(&name) {
                    format!("data.{name}")
                } else {
                    name
                };
                record.set(name, value);
            }
        }
    }
}

/// The members of an object and of those in it, flattened.
struct Fields {
    found: Vec<(String, Scalar)>,
    bytes: usize,
}

impl Fields {
    fn add(&mut self, prefix: &str, object: &str, depth: usize) {
        let mut deserializer = serde_json::Deserializer::from_str(object);
        let Ok(members) = deserializer.deserialize_map(All) else {
            return;
        };
        for (name, json) in members {
            let name = format!("{prefix}{name}");
            self.bytes += name.len() + json.len();
            let is_full = self.found.len() >= LOG_FIELDS_MAX || self.bytes > DATA_BYTES_MAX;
            if is_full || name.len() > FIELD_NAME_BYTES_MAX {
                continue;
            }
            match json.as_bytes().first() {
                Some(b'{') if depth < NESTING_DEPTH_MAX && json != "{}" => {
                    self.bytes -= json.len();
                    self.add(&format!("{name}."), json, depth + 1);
                }
                Some(b'"') => {
                    let text = string(json).unwrap_or_else(|| json.to_string());
                    self.found.push((name, Scalar::Text(text)));
                }
                _ if json == "null" => {}
                _ => self.found.push((name, Scalar::Json(json.to_string()))),
            }
        }
    }
}

/// Up to [`LOG_FIELDS_MAX`] members of an object, in their order.
struct All;

impl<'de> Visitor<'de> for All {
    type Value = Vec<(String, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            if found.len() < LOG_FIELDS_MAX {
                found.push((name, value.get()));
            }
        }
        Ok(found)
    }
}
