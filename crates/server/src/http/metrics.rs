//! Measures in the text format of Prometheus.
//!
//! Labels are bounded: routes are those of the router, never paths as they came.
use crate::{
    auth::{self, Caller},
    problem::Problem,
    state::App,
};
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use taffrail_engine::status::EngineStatus;

/// Upper ends of the buckets of request times, in seconds.
const TOOK_S: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 60.0];

/// Counts of requests since the start.
#[derive(Default)]
pub(crate) struct Requests {
    by_route: Mutex<BTreeMap<(String, String, u16), Took>>,
    accepted: AtomicU64,
    rejected: AtomicU64,
}

#[derive(Default)]
struct Took {
    buckets: [u64; TOOK_S.len()],
    count: u64,
    sum_s: f64,
}

impl Requests {
    /// Counts a request; `route` is the router's pattern.
    pub(crate) fn count(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        // Methods of the router only: a client can invent others.
        let method = match *method {
            Method::GET
            | Method::POST
            | Method::PUT
            | Method::PATCH
            | Method::DELETE
            | Method::HEAD
            | Method::OPTIONS => method.as_str(),
            _ => "other",
        };
        let key = (method.to_owned(), route.to_owned(), status.as_u16());
        let seconds = took.as_secs_f64();
        let mut by_route = self.by_route.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = by_route.entry(key).or_default();
        for (bucket, most) in entry.buckets.iter_mut().zip(TOOK_S) {
            *bucket += u64::from(seconds <= most);
        }
        entry.count += 1;
        entry.sum_s += seconds;
    }

    /// Counts records of an answered batch.
    pub(crate) fn count_records(&self, accepted: u32, rejected: usize) {
        self.accepted.fetch_add(accepted.into(), Ordering::Relaxed);
        self.rejected.fetch_add(rejected as u64, Ordering::Relaxed);
    }

    fn write(&self, out: &mut Text) {
        out.counter(
            "taffrail_ingest_records_accepted_total",
            "Records that were made durable over HTTP",
            self.accepted.load(Ordering::Relaxed),
        );
        out.counter(
            "taffrail_ingest_records_rejected_total",
            "Records of accepted batches that were not taken",
            self.rejected.load(Ordering::Relaxed),
        );
        let name = "taffrail_http_request_duration_seconds";
        out.head(name, "Time to the head of the response", "histogram");
        let by_route = self.by_route.lock().unwrap_or_else(PoisonError::into_inner);
        for ((method, route, status), took) in by_route.iter() {
            let labels = format!(
                r#"method="{method}",route="{}",status="{status}""#,
                escape(route)
            );
            for (most, count) in TOOK_S.iter().zip(took.buckets) {
                out.line(&format!(r#"{name}_bucket{{{labels},le="{most}"}} {count}"#));
            }
            out.line(&format!(
                r#"{name}_bucket{{{labels},le="+Inf"}} {}"#,
                took.count
            ));
            out.line(&format!("{name}_sum{{{labels}}} {}", took.sum_s));
            out.line(&format!("{name}_count{{{labels}}} {}", took.count));
        }
    }
}

/// Measures
///
/// In the text format of Prometheus, for admins; for everybody if the configuration says so.
#[utoipa::path(
    get, path = "/metrics", tag = "health",
    responses(
        (status = 200, description = "Measures", body = String, content_type = "text/plain"),
        (status = 401, description = "No accepted credential", body = super::schema::ProblemDocument),
        (status = 403, description = "No admin", body = super::schema::ProblemDocument),
    )
)]
pub(crate) async fn metrics(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    if !app.metrics_are_public {
        let (mut parts, _) = request.into_parts();
        let caller: Caller = auth::Caller::from_request_parts(&mut parts, &app).await?;
        caller.admin()?;
    }
    let mut response = render(&app).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    Ok(response)
}

fn render(app: &App) -> String {
    let status = app.engine.status();
    let store = &status.store;
    let mut out = Text::default();
    out.head("taffrail_build_info", "Version", "gauge");
    let version = env!("CARGO_PKG_VERSION");
    out.line(&format!(r#"taffrail_build_info{{version="{version}"}} 1"#));
    for (name, help, value) in [
        (
            "taffrail_ingest_in_flight_bytes",
            "Bytes of requests that are being taken in",
            status.bytes_in_flight as u64,
        ),
        (
            "taffrail_tails_open",
            "Live tails that are open",
            app.tails_open() as u64,
        ),
        (
            "taffrail_read_turns_free",
            "Reads that could begin at once",
            app.reads.free() as u64,
        ),
        (
            "taffrail_store_refusing",
            "1 while records are not accepted",
            u64::from(store.refusing.is_some()),
        ),
        (
            "taffrail_store_watermark",
            "Position of the last acknowledged record",
            store.watermark.0,
        ),
    ] {
        out.gauge(name, help, value);
    }
    out.counter(
        "taffrail_connections_cut_total",
        "Connections whose client took nothing of its answer",
        app.connections_cut.load(Ordering::Relaxed),
    );
    out.gauge(
        "taffrail_answers_unread_bytes",
        "Bytes of answers that wait for their clients",
        app.answers.held_bytes() as u64,
    );
    out.counter(
        "taffrail_answers_cut_total",
        "Answers that were cut because others needed their room",
        app.answers.cut_count(),
    );
    out.counter(
        "taffrail_own_events_lost_total",
        "Events of the product that were not stored",
        status.own_events_lost,
    );
    for (name, help, value) in [
        (
            "tails_bytes",
            "Bytes of records that are not in a segment yet",
            store.tails_bytes as u64,
        ),
        (
            "tails_rows",
            "Records that are not in a segment yet",
            store.tails_rows as u64,
        ),
        (
            "wal_files",
            "Files of the write-ahead log",
            store.wal_files as u64,
        ),
        ("wal_bytes", "Bytes of the write-ahead log", store.wal_bytes),
        ("segments", "Segment files", store.segments as u64),
        (
            "sections",
            "Sections of the segment files",
            store.sections as u64,
        ),
        (
            "segments_bytes",
            "Bytes of the segment files",
            store.segments_bytes,
        ),
        (
            "partitions",
            "Days of streams that have records",
            store.partitions as u64,
        ),
        (
            "idempotency_keys",
            "Idempotency keys that are remembered",
            store.idempotency_keys as u64,
        ),
        (
            "compaction_backlog_partitions",
            "Days of streams that wait for compaction",
            store.compaction_backlog as u64,
        ),
        (
            "deletions_active",
            "Deletions whose records are hidden and not all removed",
            store.deletions_active as u64,
        ),
        (
            "cache_bytes",
            "Bytes of decoded parts of segments that are kept for reads",
            store.cache.bytes as u64,
        ),
        (
            "cache_bytes_max",
            "Bytes that may be kept for reads",
            store.cache.bytes_max as u64,
        ),
        (
            "open_files",
            "Segment files that are open",
            store.open_files as u64,
        ),
        (
            "faults",
            "Files or parts that cannot be read",
            store.faults.len() as u64,
        ),
    ] {
        out.gauge(&format!("taffrail_store_{name}"), help, value);
    }
    for (name, help, value) in [
        (
            "requests",
            "Requests that were stored",
            store.requests_total,
        ),
        ("rows", "Records that were stored", store.rows_total),
        ("groups", "Group commits", store.groups_total),
        (
            "wal_written_bytes",
            "Bytes written to the write-ahead log",
            store.wal_bytes_total,
        ),
        (
            "sync_failures",
            "Writes or syncs of the log that failed",
            store.sync_failures_total,
        ),
        (
            "mark_failures",
            "Marks of the log that could not be written",
            store.mark_failures_total,
        ),
        (
            "refused",
            "Requests that were not stored",
            store.refused_total,
        ),
        ("flushes", "Segment files written", store.flushes_total),
        (
            "flush_failures",
            "Flushes that failed",
            store.flush_failures_total,
        ),
        (
            "segment_written_bytes",
            "Bytes of segments written",
            store.segment_bytes_total,
        ),
        (
            "manifest_snapshots",
            "Manifest snapshots written",
            store.manifest_snapshots_total,
        ),
        (
            "compactions",
            "Times that sections were merged or rewritten",
            store.compactions_total,
        ),
        (
            "compaction_rows",
            "Records that compaction has written",
            store.compaction_rows_total,
        ),
        (
            "compaction_rows_removed",
            "Records that compaction has removed",
            store.compaction_rows_removed_total,
        ),
        (
            "compaction_written_bytes",
            "Bytes that compaction has written",
            store.compaction_bytes_total,
        ),
        (
            "compaction_failures",
            "Merges that failed",
            store.compaction_failures_total,
        ),
        (
            "cache_hits",
            "Parts of segments that were in the cache",
            store.cache.hits,
        ),
        (
            "cache_misses",
            "Parts of segments that had to be read and decoded",
            store.cache.misses,
        ),
        (
            "cache_evictions",
            "Parts that left the cache for others",
            store.cache.evictions,
        ),
    ] {
        out.counter(&format!("taffrail_store_{name}_total"), help, value);
    }
    let name = "taffrail_store_idempotency_evicted_total";
    let help = "Idempotency keys that were forgotten before their 24 hours, by what was too much";
    out.head(name, help, "counter");
    let evicted = store.idempotency_evicted_total;
    for (cause, count) in [
        ("keys", evicted.keys),
        ("answers", evicted.answers),
        ("long_answers", evicted.long_answers),
    ] {
        out.line(&format!(r#"{name}{{cause="{cause}"}} {count}"#));
    }
    write_memory(app, &status, &mut out);
    let name = "taffrail_ingest_refused_total";
    out.head(name, "Requests that were not let in", "counter");
    for (by, count) in [
        ("tenant", status.refused.tenant),
        ("server", status.refused.server),
    ] {
        out.line(&format!(r#"{name}{{share="{by}"}} {count}"#));
    }
    app.requests.write(&mut out);
    out.0
}

/// Limits of all memory pools, and what is used of them.
fn write_memory(app: &App, status: &EngineStatus, out: &mut Text) {
    let pools = app.engine.options().memory.named();
    let name = "taffrail_memory_pool_limit_bytes";
    out.head(name, "Bytes that a memory pool may have", "gauge");
    for (pool, bytes) in pools {
        out.line(&format!(r#"{name}{{pool="{pool}"}} {bytes}"#));
    }
    let name = "taffrail_memory_pool_used_bytes";
    out.head(name, "Bytes that are used of a memory pool", "gauge");
    for (pool, bytes) in [
        ("tails", status.store.tails_bytes),
        ("in_flight", status.bytes_in_flight),
        ("block_cache", status.store.block_cache_bytes),
        ("query_state", status.query_state_bytes),
        ("answers", app.answers.held_bytes()),
    ] {
        out.line(&format!(r#"{name}{{pool="{pool}"}} {bytes}"#));
    }
}

/// The text of an answer.
#[derive(Default)]
pub(crate) struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "gauge");
        self.line(&format!("{name} {value}"));
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "counter");
        self.line(&format!("{name} {value}"));
    }
}

fn escape(label: &str) -> String {
    label
        .replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_and_status() {
        let requests = Requests::default();
        let ok = StatusCode::OK;
        requests.count(&Method::GET, "/a/{id}", ok, Duration::from_millis(3));
        requests.count(&Method::GET, "/a/{id}", ok, Duration::from_secs(2));
        requests.count(
            &Method::from_bytes(b"FOO").unwrap(),
            "-",
            ok,
            Duration::ZERO,
        );
        let mut out = Text::default();
        requests.write(&mut out);
        for line in [
            r#"taffrail_http_request_duration_seconds_bucket{method="GET",route="/a/{id}",status="200",le="0.001"} 0"#,
            r#"taffrail_http_request_duration_seconds_bucket{method="GET",route="/a/{id}",status="200",le="0.005"} 1"#,
            r#"taffrail_http_request_duration_seconds_bucket{method="GET",route="/a/{id}",status="200",le="+Inf"} 2"#,
            r#"taffrail_http_request_duration_seconds_count{method="other",route="-",status="200"} 1"#,
        ] {
            assert!(out.0.lines().any(|have| have == line), "{line}\n{}", out.0);
        }
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escape("a\"b\\c\n"), r#"a\"b\\c\n"#);
    }
}
