//! logfmt: `level=info msg="hello world" took=5`, as Go programs and Heroku write it.
//!
//! A line is logfmt only if all of it is pairs and there are two at least: a sentence with one
//! `key=value` in it is a sentence.
use super::{Context, Found};
use crate::json;
use std::borrow::Cow;
use taffrail_model::column::Kind;

/// Pairs that a line has at least.
const PAIRS_MIN: usize = 2;

pub(super) fn read<'a>(line: &'a str, _: &Context<'_>) -> Option<Found<'a>> {
    let mut found = Found::default();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let key_end = rest.find('=')?;
        let key = &rest[..key_end];
        if !is_key(key) {
            return None;
        }
        let (kind, value, after) = value(&rest[key_end + 1..])?;
        found.fields.push((Cow::Borrowed(key), kind, value));
        rest = after.trim_start();
        if rest.len() == after.len() && !rest.is_empty() {
            return None;
        }
    }
    (found.fields.len() >= PAIRS_MIN).then_some(found)
}

fn is_key(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '@')
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-@/".contains(&b))
}

/// A value, and what follows it. Only bare words are numbers or booleans.
fn value(text: &str) -> Option<(Kind, Cow<'_, str>, &str)> {
    if text.starts_with('"') {
        let end = json::value_end(text, 0);
        let quoted = &text[..end];
        (end > 1 && quoted.ends_with('"')).then_some(())?;
        return Some((Kind::String, json::unescape(quoted), &text[end..]));
    }
    let end = text
        .find(|c: char| c.is_ascii_whitespace())
        .unwrap_or(text.len());
    let bare = &text[..end];
    let kind = match bare {
        "true" | "false" => Kind::Bool,
        number if json::is_number(number) => json::number_kind(number),
        _ => Kind::String,
    };
    Some((kind, Cow::Borrowed(bare), &text[end..]))
}
