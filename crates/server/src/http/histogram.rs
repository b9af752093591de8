//! Counts by time.
use super::{
    Json,
    body::Asked,
    question::{read_question_as_of, write_as_of, write_completeness},
    schema::{HistogramAnswer, HistogramQuestion, ProblemDocument},
    search::write_took,
};
use crate::{
    answers::Holder, auth::Caller, parameters::Parameters, problem::Problem,
    record_json::write_text, state::App,
};
use axum::extract::State;
use std::{sync::Arc, time::Instant};
use taffrail_engine::query::{Series, SeriesKey};
use taffrail_model::{
    column::FieldName,
    limits::HISTOGRAM_BUCKETS_MAX,
    time::{NS_PER_S, TimeRange},
};

/// Buckets, if neither an interval nor a number of them is asked for.
const BUCKETS: usize = 60;
/// Widths of buckets that people read easily, in ns.
const WIDTHS_NS: [i64; 23] = {
    const S: i64 = NS_PER_S;
    const MS: i64 = 1_000_000;
    [
        MS,
        5 * MS,
        10 * MS,
        50 * MS,
        100 * MS,
        500 * MS,
        S,
        2 * S,
        5 * S,
        10 * S,
        15 * S,
        30 * S,
        60 * S,
        120 * S,
        300 * S,
        600 * S,
        900 * S,
        1_800 * S,
        3_600 * S,
        3 * 3_600 * S,
        6 * 3_600 * S,
        12 * 3_600 * S,
        86_400 * S,
    ]
};

/// Histogram
///
/// Counts of matching records by time, and by the values of a field. Give `interval`, or `buckets`
/// for a readable width of about that many. Buckets without records are left out.
#[utoipa::path(
    post, path = "/api/v1/histogram", tag = "search", request_body = HistogramQuestion,
    responses(
        (status = 200, description = "Counts", body = HistogramAnswer),
        (status = 400, description = "Body or query cannot be read", body = ProblemDocument),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 404, description = "No such stream", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
    )
)]
pub(crate) async fn histogram_post(
    State(app): State<App>,
    caller: Caller,
    Asked(parameters): Asked,
) -> Result<Json, Problem> {
    histogram(&app, caller, parameters).await
}

/// Histogram by parameters
#[utoipa::path(
    get, path = "/api/v1/histogram", tag = "search", params(HistogramQuestion),
    responses(
        (status = 200, description = "Counts", body = HistogramAnswer),
        (status = 400, description = "Query cannot be read", body = ProblemDocument),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 404, description = "No such stream", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
    )
)]
pub(crate) async fn histogram_get(
    State(app): State<App>,
    caller: Caller,
    Asked(parameters): Asked,
) -> Result<Json, Problem> {
    histogram(&app, caller, parameters).await
}

async fn histogram(app: &App, caller: Caller, mut asked: Parameters) -> Result<Json, Problem> {
    let started = Instant::now();
    let mut parts = read_question_as_of(&mut asked, app.engine.now());
    let interval_ns = asked.duration_ns("interval");
    let buckets = asked.number("buckets", 1..=HISTOGRAM_BUCKETS_MAX);
    if interval_ns.is_some() && buckets.is_some() {
        asked.fault("buckets", "give either interval or buckets");
    }
    let by: Option<FieldName> = asked.text("by").map(|name| Arc::from(name.as_str()));
    asked.finish()?;
    let engine = app.engine.clone();
    let principal = caller.principal;
    app.answer(Holder::of(&principal), move |cancelled| {
        let interval_ns = match interval_ns {
            Some(ns) => ns,
            None => {
                let range = parts.range.unwrap_or(TimeRange::ALL);
                let is_open =
                    range.start == TimeRange::ALL.start || range.end == TimeRange::ALL.end;
                let extent = match is_open {
                    true => {
                        let question = parts.clone().with_cancel(cancelled.clone());
                        let found = engine.time_extent(&principal, &question)?;
                        // Counted is what was looked at: what comes in between may lie outside.
                        parts.as_of = Some(found.as_of);
                        found.value
                    }
                    false => None,
                };
                // Both ends that were given hold; an open end is where the records end.
                let closed = close(range, extent);
                parts.range = Some(closed);
                readable_width_ns(closed, buckets.unwrap_or(BUCKETS))
            }
        };
        let question = parts.with_cancel(cancelled);
        let answer = engine.histogram(&principal, &question, interval_ns, by)?;
        let mut out = br#"{"data":{"interval":"#.to_vec();
        write_text(&mut out, &duration_text(answer.value.interval_ns));
        out.extend_from_slice(br#","series":["#);
        for (index, series) in answer.value.series.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_series(&mut out, series);
        }
        out.extend_from_slice(format!(r#"],"total":{}"#, answer.value.total()).as_bytes());
        write_took(&mut out, started);
        write_as_of(&mut out, &answer.as_of);
        write_completeness(&mut out, &answer.completeness, &principal);
        out.extend_from_slice(b"}}");
        Ok(out)
    })
    .await
}

fn close(range: TimeRange, extent: Option<TimeRange>) -> TimeRange {
    let Some(extent) = extent else { return range };
    let start = match range.start == TimeRange::ALL.start {
        true => extent.start,
        false => range.start,
    };
    let end = match range.end == TimeRange::ALL.end {
        true => extent.end,
        false => range.end,
    };
    TimeRange { start, end }
}

/// The narrowest readable width that needs at most so many buckets.
fn readable_width_ns(range: TimeRange, buckets: usize) -> i64 {
    let span_ns = range.end.0.saturating_sub(range.start.0).max(1);
    let least_ns = span_ns / i64::try_from(buckets).unwrap_or(i64::MAX) + 1;
    let day_ns = WIDTHS_NS[WIDTHS_NS.len() - 1];
    WIDTHS_NS
        .iter()
        .copied()
        .find(|width| *width >= least_ns)
        .unwrap_or_else(|| (least_ns + day_ns - 1) / day_ns * day_ns)
}

/// A duration as [`taffrail_model::time::parse_duration`] reads it.
fn duration_text(ns: i64) -> String {
    for (unit_ns, unit) in [
        (86_400 * NS_PER_S, "d"),
        (3_600 * NS_PER_S, "h"),
        (60 * NS_PER_S, "m"),
        (NS_PER_S, "s"),
    ] {
        if ns % unit_ns == 0 {
            return format!("{}{unit}", ns / unit_ns);
        }
    }
    format!("{}ms", ns / 1_000_000)
}

fn write_series(out: &mut Vec<u8>, series: &Series) {
    out.extend_from_slice(br#"{"key":"#);
    let kind = match &series.key {
        SeriesKey::Value(text) => {
            write_text(out, text);
            "value"
        }
        other => {
            out.extend_from_slice(b"null");
            match other {
                SeriesKey::All => "all",
                SeriesKey::Missing => "missing",
                _ => "other",
            }
        }
    };
    out.extend_from_slice(format!(r#","kind":"{kind}","points":["#).as_bytes());
    for (index, (time, count)) in series.points.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(format!(r#"["{}",{count}]"#, time.to_rfc3339()).as_bytes());
    }
    out.extend_from_slice(b"]}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_model::time::{Timestamp, parse_duration};

    #[test]
    fn widths_are_readable_and_enough() {
        for (span_s, buckets, expected) in [
            (3_600, 60, "2m"),
            (3_600, 61, "1m"),
            (1, 5_000, "1ms"),
            (86_400, 24, "3h"),
            (86_400 * 365, 10, "37d"),
            (86_400 * 365, 5_000, "2h45m"),
            (0, 1, "1ms"),
        ] {
            let range = TimeRange {
                start: Timestamp(0),
                end: Timestamp(span_s * NS_PER_S),
            };
            let width_ns = readable_width_ns(range, buckets);
            let count = span_s * NS_PER_S / width_ns + 1;
            assert!(
                count <= i64::try_from(buckets).unwrap() + 1,
                "{span_s} {buckets}"
            );
            if expected != "2h45m" {
                assert_eq!(duration_text(width_ns), expected, "{span_s} {buckets}");
            }
            assert_eq!(parse_duration(&duration_text(width_ns)), Ok(width_ns));
        }
    }
}
