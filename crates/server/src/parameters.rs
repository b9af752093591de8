//! Parameters of a request, from the query string or a JSON body with the same names.
//!
//! All faults of a request are collected and answered together (422): unknown names with the
//! nearest valid one, wrong types, values past their limits.
use crate::problem::{FieldFault, Kind, Problem};
use axum::{extract::Query, http::Uri};
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, ops::RangeInclusive};
use taffrail_model::time::{TimeRange, Timestamp, parse_duration, parse_time};

/// Bytes of a JSON body that asks a question.
pub(crate) const QUESTION_BYTES_MAX: usize = 1 << 20;

/// The parameters, taken one by one.
pub(crate) struct Parameters {
    values: BTreeMap<String, Value>,
    known: Vec<&'static str>,
    faults: Vec<FieldFault>,
    is_from_uri: bool,
    is_empty_absent: bool,
}

impl Parameters {
    /// From `?a=b&a=c`: a name that is there several times is a list.
    pub(crate) fn from_uri(uri: &Uri) -> Result<Parameters, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|fault| Problem::new(Kind::Unreadable, fault.to_string()))?;
        let mut values: BTreeMap<String, Value> = BTreeMap::new();
        for (name, text) in pairs {
            match values.get_mut(&name) {
                None => {
                    values.insert(name, Value::String(text));
                }
                Some(Value::Array(list)) => list.push(Value::String(text)),
                Some(first) => {
                    let list = vec![first.take(), Value::String(text)];
                    *first = Value::Array(list);
                }
            }
        }
        Ok(Parameters {
            is_from_uri: true,
            ..Parameters::new(values)
        })
    }

    /// From here on a text or time without a value is as if it was not there: forms send those that
    /// nobody filled in.
    pub(crate) fn without_empty(mut self) -> Parameters {
        self.is_empty_absent = true;
        self
    }

    /// From a JSON object; `null` is as if it was not there.
    pub(crate) fn from_json(body: &[u8]) -> Result<Parameters, Problem> {
        let unreadable = |detail: String| Problem::new(Kind::Unreadable, detail);
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Parameters::new(BTreeMap::new()));
        }
        let value: Value = serde_json::from_slice(body)
            .map_err(|fault| unreadable(format!("the body is no JSON: {fault}")))?;
        let Value::Object(members) = value else {
            return Err(unreadable("the body must be a JSON object".into()));
        };
        let members: Map<String, Value> = members;
        let values = members.into_iter().filter(|(_, value)| !value.is_null());
        Ok(Parameters::new(values.collect()))
    }

    fn new(values: BTreeMap<String, Value>) -> Parameters {
        Parameters {
            values,
            known: Vec::new(),
            faults: Vec::new(),
            is_from_uri: false,
            is_empty_absent: false,
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 422 with all the faults.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        for name in std::mem::take(&mut self.values).into_keys() {
            let known = self.known.join(", ");
            let shown: String = name.chars().take(100).collect();
            self.fault(
                &shown,
                format!("there is no such parameter here; there are: {known}"),
            );
        }
        match self.faults.is_empty() {
            true => Ok(()),
            false => Err(Problem::invalid(self.faults)),
        }
    }

    pub(crate) fn fault(&mut self, field: &str, detail: impl Into<String>) {
        self.faults.push(FieldFault {
            field: field.to_owned(),
            detail: detail.into(),
        });
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.values.remove(name)
    }

    /// As [`Parameters::take`], for what a form leaves empty. A number is never empty.
    fn take_filled(&mut self, name: &'static str) -> Option<Value> {
        let value = self.take(name)?;
        let is_absent = self.is_empty_absent && value.as_str().is_some_and(str::is_empty);
        (!is_absent).then_some(value)
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take_filled(name)? {
            Value::String(text) => Some(text),
            Value::Array(_) => {
                self.fault(name, "is there more than once");
                None
            }
            _ => {
                self.fault(name, "must be a text");
                None
            }
        }
    }

    /// A list of texts; in a query string also separated by commas.
    pub(crate) fn texts(&mut self, name: &'static str) -> Option<Vec<String>> {
        let (list, is_list) = match self.take_filled(name)? {
            Value::String(text) => (vec![Value::String(text)], false),
            Value::Array(list) => (list, true),
            _ => {
                self.fault(name, "must be a list of texts");
                return None;
            }
        };
        let mut texts = Vec::new();
        for value in list {
            let Value::String(text) = value else {
                self.fault(name, "must be a list of texts");
                return None;
            };
            let parts = text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            let before = texts.len();
            texts.extend(parts.map(str::to_owned));
            if is_list && texts.len() == before {
                self.fault(name, "must not hold an empty text");
                return None;
            }
        }
        Some(texts)
    }

    /// A whole number.
    pub(crate) fn number(
        &mut self,
        name: &'static str,
        range: RangeInclusive<usize>,
    ) -> Option<usize> {
        let number = match self.take(name)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.and_then(|number| usize::try_from(number).ok());
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => {
                let (least, most) = (range.start(), range.end());
                self.fault(
                    name,
                    format!("must be a whole number from {least} to {most}"),
                );
                None
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn switch(&mut self, name: &'static str) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(is) => Some(is),
            Value::String(text) if matches!(text.as_str(), "true" | "1") => Some(true),
            Value::String(text) if matches!(text.as_str(), "false" | "0") => Some(false),
            _ => {
                self.fault(name, "must be true or false");
                None
            }
        }
    }

    /// One of some words.
    pub(crate) fn word(
        &mut self,
        name: &'static str,
        words: &[&'static str],
    ) -> Option<&'static str> {
        let text = self.text(name)?;
        let found = words.iter().find(|word| **word == text).copied();
        if found.is_none() {
            self.fault(name, format!("must be one of {}", words.join(", ")));
        }
        found
    }

    /// A point in time, also as a number.
    pub(crate) fn time(
        &mut self,
        name: &'static str,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        let text = match self.take_filled(name)? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => {
                self.fault(name, "must be a time");
                return None;
            }
        };
        match parse_time(&text, now, zone) {
            Ok(time) => Some(time),
            Err(fault) => {
                let is_unescaped = self.is_from_uri && is_unescaped_plus(&text, now, zone);
                let hint = match is_unescaped {
                    true => "; in a URI the + of an offset is written %2B",
                    false => "",
                };
                self.fault(name, format!("{fault}{hint}"));
                None
            }
        }
    }

    /// A duration in ns.
    pub(crate) fn duration_ns(&mut self, name: &'static str) -> Option<i64> {
        let text = self.text(name)?;
        match parse_duration(&text) {
            Ok(ns) => Some(ns),
            Err(fault) => {
                self.fault(name, fault.to_string());
                None
            }
        }
    }

    /// `timezone`, an IANA name; UTC without it.
    pub(crate) fn zone(&mut self) -> TimeZone {
        let Some(name) = self.text("timezone") else {
            return TimeZone::UTC;
        };
        TimeZone::get(&name).unwrap_or_else(|_| {
            self.fault(
                "timezone",
                "must be a name of the IANA database, such as Europe/Berlin",
            );
            TimeZone::UTC
        })
    }

    /// `start_time` and `end_time`, both included; everything without them.
    /// Times without a zone are in `zone`.
    pub(crate) fn range(&mut self, now: Timestamp, zone: &TimeZone) -> TimeRange {
        let start = self.time("start_time", now, zone);
        let end = self.time("end_time", now, zone);
        let range = TimeRange {
            start: start.unwrap_or(TimeRange::ALL.start),
            end: end.unwrap_or(TimeRange::ALL.end),
        };
        if range.start > range.end {
            self.fault("end_time", "is before start_time");
        }
        range
    }

    /// Any value, as it came.
    pub(crate) fn value(&mut self, name: &'static str) -> Option<Value> {
        self.take(name)
    }
}

/// Whether a text would be a time if its last blank was the `+` that a URI makes a blank of.
fn is_unescaped_plus(text: &str, now: Timestamp, zone: &TimeZone) -> bool {
    text.rsplit_once(' ')
        .is_some_and(|(time, offset)| parse_time(&format!("{time}+{offset}"), now, zone).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Parameters {
        Parameters::from_json(text.as_bytes()).unwrap_or_else(|_| panic!("{text}"))
    }

    fn faults(parameters: Parameters) -> Vec<String> {
        match parameters.finish() {
            Ok(()) => Vec::new(),
            Err(problem) => problem.document("r")["errors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|fault| fault["field"].as_str().unwrap().to_owned())
                .collect(),
        }
    }

    #[test]
    fn all_faults_come_together() {
        let mut parameters =
            json(r#"{"a": 1, "n": 11, "t": "soon", "b": "x", "z": 1, "ok": null}"#);
        assert_eq!(parameters.text("a"), None);
        assert_eq!(parameters.number("n", 0..=10), None);
        assert_eq!(parameters.time("t", Timestamp(0), &TimeZone::UTC), None);
        assert_eq!(parameters.switch("b"), None);
        assert_eq!(parameters.text("ok"), None);
        assert_eq!(faults(parameters), ["a", "n", "t", "b", "z"]);
    }

    #[test]
    fn query_strings_and_bodies_mean_the_same() {
        let uri = "/?n=10&s=a,b&s=c&b=true&q=x%20y+z".parse().unwrap();
        for mut parameters in [
            Parameters::from_uri(&uri).ok().unwrap(),
            json(r#"{"n": 10, "s": ["a", "b", "c"], "b": true, "q": "x y z"}"#),
        ] {
            assert_eq!(parameters.number("n", 0..=10), Some(10));
            assert_eq!(parameters.texts("s").unwrap(), ["a", "b", "c"]);
            assert_eq!(parameters.switch("b"), Some(true));
            assert_eq!(parameters.text("q").unwrap(), "x y z");
            assert_eq!(faults(parameters), [] as [String; 0]);
        }
    }

    #[test]
    fn numbers_at_and_past_their_limits() {
        for (text, expected) in [
            ("0", Some(0)),
            ("10", Some(10)),
            ("11", None),
            ("-1", None),
            ("1.5", None),
            ("\"7\"", Some(7)),
            ("99999999999999999999", None),
            ("true", None),
        ] {
            let mut parameters = json(&format!("{{\"n\": {text}}}"));
            assert_eq!(parameters.number("n", 0..=10), expected, "{text}");
        }
    }

    #[test]
    fn ranges() {
        let now = Timestamp(1_767_540_645_000_000_000);
        let mut parameters = json(r#"{"start_time": "now-1h", "end_time": 1767540645}"#);
        let range = parameters.range(now, &TimeZone::UTC);
        assert_eq!((range.start.0, range.end), (now.0 - 3_600_000_000_000, now));
        assert_eq!(json("").range(now, &TimeZone::UTC), TimeRange::ALL);
        let mut parameters =
            json(r#"{"start_time": "now", "end_time": "now-1h", "timezone": "Nowhere/No"}"#);
        let zone = parameters.zone();
        parameters.range(now, &zone);
        assert_eq!(faults(parameters), ["timezone", "end_time"]);
    }

    #[test]
    fn bodies_that_are_no_object_are_unreadable() {
        for bad in ["[]", "1", "{", "\u{fffd}"] {
            let problem = Parameters::from_json(bad.as_bytes()).err().unwrap();
            assert_eq!(problem.kind(), Kind::Unreadable, "{bad}");
        }
    }
}
