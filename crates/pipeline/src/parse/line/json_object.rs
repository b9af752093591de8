//! A line that is one JSON object: its members become fields, nested objects with dots between
//! the names, arrays as JSON text.
use super::{Context, Found, NULL};
use crate::json;
use serde_json::value::RawValue;
use std::borrow::Cow;
use taffrail_model::{column::Kind, limits};

pub(super) fn read<'a>(line: &'a str, _: &Context<'_>) -> Option<Found<'a>> {
    let line = line.trim();
    if !line.starts_with('{') {
        return None;
    }
    // The steps of `json` trust the text, so it is checked as a whole first.
    let _: &RawValue = serde_json::from_str(line).ok()?;
    let mut found = Found::default();
    members(line, "", 1, &mut found)?;
    Some(found)
}

/// Takes in the members of the object that `text` is; `None` if it is too deep.
fn members<'a>(text: &'a str, prefix: &str, depth: usize, found: &mut Found<'a>) -> Option<()> {
    if depth > limits::NESTING_DEPTH_MAX {
        return None;
    }
    let mut at = 1;
    while let Some(key) = json::next_scalar(text, at) {
        let value_start = json::value_after_key(text, key.end)?;
        let value_end = json::value_end(text, value_start);
        let value = &text[value_start..value_end];
        let key = json::unescape(&text[key.start..key.end]);
        let name: Cow<'a, str> = match prefix {
            "" => key,
            prefix => Cow::Owned(format!("{prefix}.{key}")),
        };
        if name.len() > limits::FIELD_NAME_BYTES_MAX {
            return None;
        }
        match value.as_bytes().first()? {
            b'{' if json::next_scalar(value, 1).is_some() => {
                members(value, &name, depth + 1, found)?;
            }
            b'{' => found.fields.push((name, Kind::Json, Cow::Borrowed("{}"))),
            b'[' => found.fields.push((name, Kind::Json, json::compact(value))),
            b'"' => found
                .fields
                .push((name, Kind::String, json::unescape(value))),
            b't' | b'f' => found.fields.push((name, Kind::Bool, Cow::Borrowed(value))),
            b'n' => found.fields.push((name, Kind::Json, Cow::Borrowed(NULL))),
            _ => {
                let kind = json::number_kind(value);
                found.fields.push((name, kind, Cow::Borrowed(value)));
            }
        }
        at = value_end;
    }
    Some(())
}
