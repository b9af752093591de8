//! What all reads ask: query, words, streams and times.
use crate::parameters::Parameters;
use jiff::tz::TimeZone;
use std::sync::{Arc, atomic::AtomicBool};
use taffrail_engine::{
    query::{AsOf, AsOfError, Completeness, Expr, literal_words},
    read::Question,
};
use taffrail_model::{
    access::Principal,
    time::{TimeRange, Timestamp},
};

/// Stream patterns of one question.
const STREAMS_MAX: usize = 100;

/// A question before its thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct QuestionParts {
    pub query: String,
    pub words: String,
    pub conditions: Vec<Expr>,
    pub streams: Vec<String>,
    pub range: Option<TimeRange>,
    /// Zone of times without one; `None`: UTC.
    pub zone: Option<TimeZone>,
    /// What answers of several questions have in common; `None`: nothing.
    pub as_of: Option<AsOf>,
}

impl QuestionParts {
    /// The question, which ends when the flag is set.
    pub(crate) fn with_cancel(self, cancelled: Arc<AtomicBool>) -> Question {
        Question {
            query: self.query,
            words: self.words,
            conditions: self.conditions,
            streams: self.streams,
            range: self.range.unwrap_or(TimeRange::ALL),
            zone: self.zone.unwrap_or(TimeZone::UTC),
            as_of: self.as_of,
            cancelled,
        }
    }
}

/// Reads `query`, `search`, `streams`, `start_time`, `end_time`, `timezone`.
pub(crate) fn read_question(parameters: &mut Parameters, now: Timestamp) -> QuestionParts {
    let query = parameters.text("query").unwrap_or_default();
    let words = read_words(parameters);
    let streams = parameters.texts("streams").unwrap_or_default();
    if streams.len() > STREAMS_MAX {
        parameters.fault(
            "streams",
            format!("may name at most {STREAMS_MAX} patterns"),
        );
    }
    let zone = parameters.zone();
    let range = Some(parameters.range(now, &zone));
    QuestionParts {
        query,
        words,
        conditions: Vec::new(),
        streams,
        range,
        zone: Some(zone),
        as_of: None,
    }
}

/// Reads `as_of`, which says of what moment relative times are and which records count; without it
/// those of now.
pub(super) fn read_as_of(parameters: &mut Parameters, now: Timestamp) -> AsOf {
    let newest = AsOf::newest(now);
    let Some(text) = parameters.text("as_of").filter(|text| !text.is_empty()) else {
        return newest;
    };
    text.parse().unwrap_or_else(|fault: AsOfError| {
        parameters.fault("as_of", fault.to_string());
        newest
    })
}

/// Reads a question whose answer can agree with that of another: `as_of` beside the others.
pub(super) fn read_question_as_of(parameters: &mut Parameters, now: Timestamp) -> QuestionParts {
    let as_of = read_as_of(parameters, now);
    QuestionParts {
        as_of: Some(as_of),
        ..read_question(parameters, as_of.moment)
    }
}

/// Appends `"as_of": …`.
pub(super) fn write_as_of(out: &mut Vec<u8>, as_of: &AsOf) {
    out.extend_from_slice(format!(r#","as_of":"{as_of}""#).as_bytes());
}

/// Reads `search`, of which only its length can be wrong.
pub(super) fn read_words(parameters: &mut Parameters) -> String {
    let words = parameters.text("search").unwrap_or_default();
    if let Err(fault) = literal_words(&words) {
        let detail = format!("{}: {}", fault.message, fault.hint);
        parameters.fault("search", detail);
    }
    words
}

/// Appends `"partial": …`, and for an admin what cannot be read.
pub(crate) fn write_completeness(
    out: &mut Vec<u8>,
    completeness: &Completeness,
    principal: &Principal,
) {
    out.extend_from_slice(br#","partial":"#);
    out.extend_from_slice(if completeness.partial {
        b"true"
    } else {
        b"false"
    });
    if !completeness.partial || !principal.may_administer() {
        return;
    }
    let faults: Vec<_> = completeness
        .faults
        .iter()
        // A damaged file may belong to a tenant that the caller knows nothing of.
        .filter(|fault| {
            fault
                .partition
                .is_none_or(|key| principal.tenants.contains(&key.tenant))
        })
        .map(|fault| {
            let day = fault.partition.map(|key| key.day.to_string());
            serde_json::json!({ "file": fault.file, "detail": fault.detail, "day": day })
        })
        .collect();
    out.extend_from_slice(br#","faults":"#);
    out.extend_from_slice(serde_json::Value::Array(faults).to_string().as_bytes());
}
