//! Records through every stage, as a caller sees it.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; the lint knows only functions marked as tests"
)]
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use taffrail_model::{
    batch::{RawBatch, RejectKind},
    column::{Column, Kind},
    limits,
    stream::{StreamCatalogue, StreamDefinition},
    tenant::DEFAULT_TENANT,
    time::{Timestamp, parse_rfc3339},
};
use taffrail_pipeline::{
    Arrival, CaptureConfig, LineOptions, Pipeline, PipelineConfig, RoutingConfig, Side,
    clean::CleanBatch,
    config::{FieldCondition, RouteRule},
};

const RECEIVED: &str = "2026-01-10T12:00:00Z";

type Fields<'a> = &'a [(&'a str, Kind, &'a str)];

fn text<'a>(name: &'a str, value: &'a str) -> (&'a str, Kind, &'a str) {
    (name, Kind::String, value)
}

fn batch(records: &[Fields<'_>]) -> RawBatch {
    let mut raw = RawBatch::default();
    for (row, record) in (0u32..).zip(records) {
        for (name, kind, value) in *record {
            raw.columns.get_or_create(name).push(row, *kind, value);
        }
        // Places in the request differ from rows where the decoder rejected some.
        raw.indexes.push(row * 10);
    }
    raw.columns.set_rows(records.len() as u32);
    raw
}

fn lines(lines: &[&str]) -> RawBatch {
    let records: Vec<_> = lines.iter().map(|line| [text("message", line)]).collect();
    let records: Vec<Fields<'_>> = records.iter().map(|record| &record[..]).collect();
    RawBatch {
        is_lines: true,
        ..batch(&records)
    }
}

fn pipeline(config: PipelineConfig) -> Pipeline {
    let next = AtomicU32::new(1);
    let new_id = Arc::new(move || format!("id-{}", next.fetch_add(1, Ordering::Relaxed)));
    Pipeline::with_ids(config, new_id).unwrap()
}

fn run_as(
    pipeline: &Pipeline,
    stream: &str,
    raw: RawBatch,
    may_write: &dyn Fn(&StreamDefinition) -> bool,
) -> CleanBatch {
    let catalogue = StreamCatalogue::built_in();
    let arrival = Arrival {
        tenant: DEFAULT_TENANT,
        stream: catalogue.by_name(stream).unwrap(),
        received: parse_rfc3339(RECEIVED).unwrap(),
        catalogue: &catalogue,
        may_write,
    };
    pipeline.process(raw, &arrival)
}

fn run(stream: &str, records: &[Fields<'_>]) -> CleanBatch {
    let pipeline = pipeline(PipelineConfig::default());
    run_as(&pipeline, stream, batch(records), &|_| true)
}

/// The fields of each record but level and created_at, sorted, with its time if that is not the
/// time of receipt.
fn show(clean: &CleanBatch) -> Vec<String> {
    let mut out = Vec::new();
    for part in clean.parts() {
        for (row, time) in (0u32..).zip(part.timestamps()) {
            let mut fields: Vec<String> = part
                .columns()
                .iter()
                .filter(|(name, _)| !matches!(&***name, "level" | "created_at"))
                .filter_map(|(name, column)| {
                    let value = column.get(row)?;
                    let mark = if value.kind == Kind::String { "" } else { "#" };
                    Some(format!("{name}={mark}{}", value.text))
                })
                .collect();
            fields.sort();
            let time = Timestamp(*time).to_rfc3339();
            if time != RECEIVED {
                fields.insert(0, time);
            }
            out.push(fields.join(" "));
        }
    }
    out
}

fn rejects(clean: &CleanBatch) -> Vec<(u32, RejectKind, String)> {
    clean
        .rejects()
        .iter()
        .map(|reject| (reject.index, reject.kind, reject.detail.clone()))
        .collect()
}

/// One record of these fields, to an ordinary stream; a time is added.
#[track_caller]
fn check(fields: Fields<'_>, expected: &str) {
    let mut record = vec![text("timestamp", RECEIVED)];
    record.extend_from_slice(fields);
    let clean = run("app.backend", &[&record]);
    assert_eq!(clean.rejects(), []);
    assert_eq!(show(&clean), [expected], "{fields:?}");
}

#[test]
fn every_alias_becomes_its_canonical_name() {
    // Written out from the data model, not from the code.
    let table = [
        ("level", "severity lvl log.level"),
        ("message", "msg _msg body log"),
        ("source", "service service.name app"),
        ("logger", "module logger_name target"),
        ("trace_id", "correlation_id x-correlation-id traceId"),
        ("request_id", "requestId context.request_id"),
        ("session_id", "sessionId context.session_id"),
        ("task_id", "taskId context.task_id"),
        ("workflow_id", "workflowId context.workflow_id"),
        ("agent_id", "agentId context.agent_id"),
        ("server_id", "serverId context.server_id"),
        ("connection_id", "connectionId context.connection_id"),
        ("user_id", "userId context.user_id"),
        ("instance_id", "instanceId"),
        ("duration_ms", "duration latency_ms response_time_ms"),
        ("request_path", "path url.path http.path http.route"),
        ("cost_usd", "cost"),
        (
            "input_tokens",
            "gen_ai.usage.input_tokens gen_ai.usage.prompt_tokens",
        ),
        (
            "output_tokens",
            "gen_ai.usage.output_tokens gen_ai.usage.completion_tokens",
        ),
        ("error.type", "exception.type err.type"),
        ("error.message", "exception.message err.message"),
        ("error.stack", "exception.stacktrace err.stack stack"),
    ];
    for (canonical, aliases) in table {
        for alias in aliases.split(' ') {
            let clean = run("app.backend", &[&[text("x", "y"), text(alias, "error")]]);
            let columns = clean.parts()[0].columns();
            let value = columns.get(canonical).and_then(|column| column.get(0));
            assert_eq!(value.unwrap().text, "error", "{alias}");
            assert!(columns.get(alias).is_none(), "{alias}");
        }
    }
    check(
        &[
            text("gen_ai.system", "openai"),
            text("gen_ai.request.model", "m"),
        ],
        "gen_ai.provider.name=openai gen_ai.request.model=m",
    );
}

#[test]
fn the_canonical_name_wins_then_the_first_alias() {
    check(&[text("msg", "b"), text("message", "a")], "message=a msg=b");
    check(&[text("log", "c"), text("msg", "b")], "log=c message=b");
    check(
        &[
            text("app", "c"),
            text("service.name", "b"),
            text("service", "a"),
        ],
        "app=c service.name=b source=a",
    );
    // Row by row, in one batch.
    let clean = run(
        "app.backend",
        &[
            &[text("msg", "a1"), text("message", "m1")],
            &[text("msg", "a2")],
            &[text("message", "m3")],
            &[text("body", "b4"), text("msg", "a4")],
        ],
    );
    let shown = show(&clean);
    let fields = |row: usize| shown[row].replace("metadata.filled=#[\"timestamp\"]", "");
    assert_eq!(fields(0).trim(), "message=m1  msg=a1");
    assert_eq!(fields(1).trim(), "message=a2");
    assert_eq!(fields(2).trim(), "message=m3");
    assert_eq!(fields(3).trim(), "body=b4 message=a4");
}

#[test]
fn ids_of_traces() {
    let hex = "4BF92F3577B34DA6A3CE929D0E0E4736";
    let lower = hex.to_lowercase();
    check(
        &[
            text("traceId", hex),
            text("span_id", "00F067AA0BA902B7"),
            text("message", "m"),
        ],
        &format!("message=m span_id=00f067aa0ba902b7 trace_id={lower}"),
    );
    let ulid = "01HN8X3QGPZ9K2M1V0E4R5T6W7";
    check(
        &[text("correlation_id", ulid), text("message", "m")],
        &format!("message=m trace_id={ulid}"),
    );
    check(
        &[text("correlation_id", ulid), text("trace_id", hex)],
        &format!("correlation_id={ulid} trace_id={lower}"),
    );
    check(
        &[text("correlation_id", &lower), text("trace_id", hex)],
        &format!("trace_id={lower}"),
    );
}

#[test]
fn names_of_the_product_become_labels() {
    check(
        &[
            text("tenant", "t"),
            text("stream", "stdout"),
            text("id", "1"),
            text("_id", "2"),
            text("labels.stream", "mine"),
            text("created_at", "yesterday"),
            text("_overflow", "x"),
        ],
        "labels._overflow=x labels.body.id=2 labels.body.stream=stdout \
         labels.created_at=yesterday labels.id=1 labels.stream=mine labels.tenant=t",
    );
}

#[test]
fn every_form_of_a_time() {
    let check = |kind, value: &str, expected: &str| {
        for name in [
            "timestamp",
            "time",
            "ts",
            "@timestamp",
            "_time",
            "eventTime",
        ] {
            let clean = run(
                "governance",
                &[&[
                    (name, kind, value),
                    text("level", "info"),
                    text("logger", "l"),
                    text("trace_id", "t"),
                    text("message", "m"),
                ]],
            );
            assert_eq!(clean.rejects(), [], "{value}");
            let time = Timestamp(clean.parts()[0].timestamps()[0]);
            assert_eq!(time.to_rfc3339(), expected, "{value}");
            assert_eq!(Some(clean.parts()[0].day()), time.day());
        }
    };
    let text = Kind::String;
    check(text, "2026-01-04T15:30:45Z", "2026-01-04T15:30:45Z");
    check(text, "2026-01-04T15:30:45.1Z", "2026-01-04T15:30:45.100Z");
    check(
        text,
        "2026-01-04T15:30:45.123456Z",
        "2026-01-04T15:30:45.123456Z",
    );
    check(
        text,
        "2026-01-04T15:30:45.123456789Z",
        "2026-01-04T15:30:45.123456789Z",
    );
    check(
        text,
        "2026-01-04T15:30:45.1234567891Z",
        "2026-01-04T15:30:45.123456789Z",
    );
    check(
        text,
        "2026-01-04 15:30:45,5+02:00",
        "2026-01-04T13:30:45.500Z",
    );
    check(text, " 2026-01-04t15:30:45z ", "2026-01-04T15:30:45Z");
    check(text, "2025-12-31T23:59:60Z", "2026-01-01T00:00:00Z");
    check(text, "1767540645", "2026-01-04T15:30:45Z");
    check(Kind::Integer, "1767540645", "2026-01-04T15:30:45Z");
    check(Kind::Integer, "1767540645123", "2026-01-04T15:30:45.123Z");
    check(
        Kind::Integer,
        "1767540645123456",
        "2026-01-04T15:30:45.123456Z",
    );
    check(
        Kind::Integer,
        "1767540645123456789",
        "2026-01-04T15:30:45.123456789Z",
    );
    check(Kind::Float, "1767540645.5", "2026-01-04T15:30:45.500Z");
    check(Kind::Float, "1.767540645e9", "2026-01-04T15:30:45Z");
    check(Kind::Integer, "0", "1970-01-01T00:00:00Z");
}

#[test]
fn times_that_are_no_times_are_rejected_with_their_index() {
    for (kind, value) in [
        (Kind::String, "yesterday"),
        (Kind::String, "2026-01-04T15:30:45"),
        (Kind::String, "2026-02-29T15:30:45Z"),
        (Kind::String, "2026-01-04T24:00:00Z"),
        (Kind::String, "2026-01-04T15:30:4xZ"),
        (Kind::String, "1969-12-31T23:59:59Z"),
        (Kind::String, "9999-01-32T00:00:00Z"),
        (Kind::Integer, "-1"),
        (Kind::Bool, "true"),
        (Kind::Json, "[1]"),
    ] {
        let clean = run(
            "app.backend",
            &[
                &[text("message", "before"), text("time", RECEIVED)],
                &[text("message", "m"), ("time", kind, value)],
                &[text("message", "after"), text("time", RECEIVED)],
            ],
        );
        let rejects = rejects(&clean);
        assert_eq!(rejects.len(), 1, "{value}");
        assert_eq!(
            (rejects[0].0, rejects[0].1),
            (10, RejectKind::InvalidTimestamp)
        );
        assert!(rejects[0].2.starts_with("timestamp "), "{}", rejects[0].2);
        assert!(!rejects[0].2.contains("yesterday"));
        assert_eq!(show(&clean), ["message=before", "message=after"]);
    }
}

#[test]
fn old_and_future_times() {
    let record = |time| [text("time", time), text("message", "m")];
    // app.backend keeps 90 days.
    let clean = run("app.backend", &[&record("2025-10-12T00:00:00Z")]);
    assert_eq!(show(&clean), ["2025-10-12T00:00:00Z message=m"]);
    let clean = run("app.backend", &[&record("2025-10-11T23:59:59Z")]);
    assert_eq!(
        rejects(&clean),
        [(
            0,
            RejectKind::TooOld,
            "timestamp 2025-10-11T23:59:59Z is older than the 90 days that stream app.backend keeps"
                .to_owned()
        )]
    );
    assert_eq!(clean.parts().len(), 0);
    let clean = run("app.backend", &[&record("2026-01-10T13:00:00Z")]);
    assert_eq!(show(&clean), ["2026-01-10T13:00:00Z message=m"]);
    let clean = run("app.backend", &[&record("2026-01-10T13:00:00.001Z")]);
    assert_eq!(
        show(&clean),
        ["message=m timestamp_original=2026-01-10T13:00:00.001Z"]
    );
    // Past the last day that can be stored.
    for time in ["2200-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"] {
        let clean = run("app.backend", &[&record(time)]);
        assert_eq!(
            show(&clean),
            [format!("message=m timestamp_original={time}")]
        );
    }
    let clean = run(
        "app.backend",
        &[&[("ts", Kind::Integer, "1893456000000"), text("message", "m")]],
    );
    assert_eq!(
        show(&clean),
        ["message=m timestamp_original=#1893456000000"]
    );
}

#[test]
fn a_missing_time_is_the_time_of_receipt_and_is_marked() {
    let clean = run(
        "app.backend",
        &[
            &[text("message", "m")],
            &[text("message", "n"), text("time", " ")],
        ],
    );
    assert_eq!(
        show(&clean),
        [
            r#"message=m metadata.filled=#["timestamp"]"#,
            r#"message=n metadata.filled=#["timestamp"]"#
        ]
    );
    let clean = run(
        "app.backend",
        &[&[
            text("message", "m"),
            ("metadata.filled", Kind::Json, r#"["level"]"#),
        ]],
    );
    assert_eq!(
        show(&clean),
        [r#"message=m metadata.filled=#["level","timestamp"]"#]
    );
}

#[test]
fn every_record_knows_when_it_was_received() {
    let clean = run(
        "app.backend",
        &[&[text("message", "m")], &[text("message", "n")]],
    );
    let created = clean.parts()[0].columns().get("created_at").unwrap();
    assert_eq!(created.rows(), [0, 1]);
    assert!(created.iter().all(|(_, value)| value.text == RECEIVED));
}

const REQUIRED: [(&str, &str, &str); 5] = [
    ("timestamp", "time", RECEIVED),
    ("level", "level", "warn"),
    ("logger", "logger", "l"),
    ("correlation_id", "correlation_id", "c"),
    ("message", "message", "m"),
];

fn without(missing: &str) -> Vec<(&'static str, Kind, &'static str)> {
    REQUIRED
        .iter()
        .filter(|(name, _, _)| *name != missing)
        .map(|(_, sent, value)| text(sent, value))
        .collect()
}

#[test]
fn strict_streams_name_what_is_missing() {
    for stream in ["governance", "security", "system.audit"] {
        assert_eq!(run(stream, &[&without("nothing")]).rejects(), []);
        for (name, _, _) in REQUIRED {
            let clean = run(stream, &[&without(name)]);
            let rejects = rejects(&clean);
            assert_eq!((rejects.len(), rejects[0].1), (1, RejectKind::MissingField));
            assert!(
                rejects[0].2.starts_with(&format!("{name} missing: ")),
                "{}",
                rejects[0].2
            );
            assert_eq!(clean.rows(), 0);
        }
        let clean = run(stream, &[&[text("message", "m")]]);
        assert_eq!(
            rejects(&clean)[0].2,
            format!(
                "timestamp, level, logger, correlation_id missing: stream {stream} requires \
                 timestamp, level, logger, correlation_id, message"
            )
        );
    }
}

#[test]
fn other_policy_streams_fill_in_and_say_so() {
    for stream in ["framework", "runtime", "errors", "api_access"] {
        let full = show(&run(stream, &[&without("nothing")]));
        assert_eq!(full, ["logger=l message=m trace_id=c"]);
        for (name, shown) in [
            ("timestamp", "logger=l message=m {} trace_id=c".to_owned()),
            ("level", "logger=l message=m {} trace_id=c".to_owned()),
            (
                "logger",
                format!("logger={stream} message=m {{}} trace_id=c"),
            ),
            (
                "correlation_id",
                "logger=l message=m {} trace_id=id-1".to_owned(),
            ),
            ("message", "logger=l message= {} trace_id=c".to_owned()),
        ] {
            let expected = shown.replace("{}", &format!("metadata.filled=#[\"{name}\"]"));
            assert_eq!(show(&run(stream, &[&without(name)])), [expected]);
        }
        let clean = run(stream, &[&[text("service", "shop"), text("message", "m")]]);
        assert_eq!(
            show(&clean),
            [
                r#"logger=shop message=m metadata.filled=#["timestamp","level","logger","correlation_id"] source=shop trace_id=id-1"#
            ]
        );
    }
}

#[test]
fn other_streams_need_one_field() {
    let clean = run(
        "app.backend",
        &[
            &[text("time", RECEIVED)],
            &[],
            &[text("level", "error")],
            &[text("any", "x")],
            &[text("message", "")],
        ],
    );
    let kinds: Vec<_> = rejects(&clean).iter().map(|r| (r.0, r.1)).collect();
    assert_eq!(kinds, [(0, RejectKind::Empty), (10, RejectKind::Empty)]);
    assert_eq!(clean.rows(), 3);
}

#[test]
fn parts_are_of_one_stream_and_day() {
    let record = |time, message| [text("time", time), text("message", message)];
    let clean = run(
        "app.backend",
        &[
            &record("2026-01-04T15:00:00Z", "a"),
            &record("2026-01-03T23:59:59.999Z", "b"),
            &record("2026-01-04T00:00:00Z", "c"),
            &record("no", "d"),
            &record("2026-01-03T00:00:00Z", "e"),
        ],
    );
    let parts: Vec<_> = clean
        .parts()
        .iter()
        .map(|part| {
            (
                part.day().to_string(),
                part.columns().get("message").unwrap().text().to_owned(),
            )
        })
        .collect();
    assert_eq!(
        parts,
        [
            ("2026-01-03".into(), "be".into()),
            ("2026-01-04".into(), "ac".into())
        ]
    );
    assert_eq!((clean.rows(), clean.rejects().len()), (4, 1));
}

fn routed(rules: Vec<RouteRule>) -> Pipeline {
    pipeline(PipelineConfig {
        routing: RoutingConfig { rules },
        ..PipelineConfig::default()
    })
}

fn rule(field: &str, equals: Option<&str>, prefix: Option<&str>, to: &str) -> RouteRule {
    RouteRule {
        fields: vec![FieldCondition {
            field: field.into(),
            equals: equals.map(Into::into),
            prefix: prefix.map(Into::into),
        }],
        to: to.into(),
        ..RouteRule::default()
    }
}

#[test]
fn the_first_rule_that_matches_routes() {
    let pipeline = routed(vec![
        rule("msg", Some("audit"), None, "system.cache"),
        rule("source", None, Some("web"), "app.frontend"),
        RouteRule {
            streams: vec!["app.*".into()],
            level_min: Some(taffrail_model::level::Level::Error),
            to: "exceptions".into(),
            ..RouteRule::default()
        },
    ]);
    let catalogue = StreamCatalogue::built_in();
    assert!(pipeline.check(&catalogue).is_ok());
    let records: &[Fields<'_>] = &[
        &[text("message", "audit"), text("source", "web-1")],
        &[text("message", "x"), text("source", "web-2")],
        &[text("message", "y"), text("level", "FATAL")],
        &[text("message", "z"), text("level", "warn")],
    ];
    let streams = |clean: &CleanBatch| -> Vec<(String, String)> {
        clean
            .parts()
            .iter()
            .map(|part| {
                let name = catalogue.by_number(part.stream()).unwrap().name.to_string();
                (
                    name,
                    part.columns().get("message").unwrap().text().to_owned(),
                )
            })
            .collect()
    };
    let clean = run_as(&pipeline, "app.backend", batch(records), &|_| true);
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        streams(&clean),
        [
            pair("system.cache", "audit"),
            pair("app.backend", "z"),
            pair("app.frontend", "x"),
            pair("exceptions", "y")
        ]
    );
    let clean = run_as(&pipeline, "app.backend", batch(records), &|stream| {
        &*stream.name != "exceptions"
    });
    assert_eq!(
        rejects(&clean),
        [(
            20,
            RejectKind::NotAllowed,
            "the credential may not write to stream exceptions".into()
        )]
    );
    let clean = run_as(&pipeline, "runtime", batch(&records[2..3]), &|_| false);
    assert_eq!(rejects(&clean)[0].1, RejectKind::NotAllowed);
    assert_eq!(clean.rows(), 0);
}

#[test]
fn wrong_configurations_are_named() {
    let routing = |rules| PipelineConfig {
        routing: RoutingConfig { rules },
        ..PipelineConfig::default()
    };
    let fault = |config| Pipeline::new(config).map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        fault(routing(vec![rule("a", None, None, "exceptions")])),
        "routing rule 1: the condition on field \"a\" needs either `equals` or `prefix`"
    );
    let nowhere = routed(vec![rule("a", Some("b"), None, "nowhere")]);
    assert_eq!(
        nowhere
            .check(&StreamCatalogue::built_in())
            .unwrap_err()
            .to_string(),
        "routing rule 1: there is no stream \"nowhere\""
    );
    let lines = PipelineConfig {
        lines: LineOptions {
            format: Some("cobol".into()),
            ..LineOptions::default()
        },
        ..PipelineConfig::default()
    };
    assert!(fault(lines).starts_with("there is no line format \"cobol\"; there are: json, "));
}

#[test]
fn lines_go_through_every_stage() {
    let pipeline = pipeline(PipelineConfig::default());
    let raw = lines(&[
        "2026-01-04 15:30:45,123 WARN [main] a.B: password=hunter2",
        "nothing known",
        r#"{"time":"whenever","msg":"kept"}"#,
        "2020-01-01 00:00:00 too old",
    ]);
    let clean = run_as(&pipeline, "app.backend", raw, &|_| true);
    assert_eq!(
        show(&clean),
        [
            "2026-01-04T15:30:45.123Z logger=a.B message=password=[REDACTED:password] metadata.thread=main",
            r#"message=nothing known metadata.filled=#["timestamp"] metadata.parsed=#false"#,
            r#"message=kept metadata.filled=#["timestamp"] timestamp_original=whenever"#,
        ]
    );
    assert_eq!(rejects(&clean)[0].0, 30);
    assert_eq!(rejects(&clean)[0].1, RejectKind::TooOld);
    assert_eq!(clean.counts().redactions.get("password"), Some(&1));
}

#[test]
fn a_shipper_adds_what_only_the_source_knows() {
    let pipeline = pipeline(PipelineConfig {
        side: Side::Shipper,
        hostname: Some("web-1".into()),
        process_id: Some(42),
        source: Some("shop".into()),
        ..PipelineConfig::default()
    });
    let raw = batch(&[
        &[text("time", RECEIVED), text("message", "m")],
        &[
            text("time", RECEIVED),
            text("message", "m"),
            text("metadata.hostname", "own"),
            text("created_at", "x"),
        ],
    ]);
    let clean = run_as(&pipeline, "app.backend", raw, &|_| true);
    assert_eq!(
        show(&clean),
        [
            "message=m metadata.hostname=web-1 metadata.process_id=#42 source=shop",
            "message=m metadata.hostname=own metadata.process_id=#42 source=shop",
        ]
    );
    let created = clean.parts()[0].columns().get("created_at");
    assert_eq!(created.map(Column::text), Some("x"));
}

#[test]
fn captured_output_gets_its_stream_level_and_error() {
    let pipeline = pipeline(PipelineConfig {
        side: Side::Shipper,
        capture: Some(CaptureConfig::default()),
        ..PipelineConfig::default()
    });
    let trace = "2026-01-10 11:00:00,000 ERROR worker failed\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n    login(password=\"hunter2hunter2\")\nKeyError: 'port'";
    let node = "TypeError: no port\n    at f (/srv/app.js:1:2)";
    let records: &[(&str, &str)] = &[
        ("stdout", "ready"),
        ("stderr", "ready on stdio"),
        ("stderr", "error: no port"),
        (
            "stdout",
            r#"{"level":"warn","msg":"slow","metadata":{"type":"mine"}}"#,
        ),
        (
            "stderr",
            r#"{"level":30,"msg":"request completed","res":{"statusCode":500},"time":1768046400000}"#,
        ),
        (
            "stderr",
            "INFO:     127.0.0.1:1 - \"POST /mcp HTTP/1.1\" 200 OK",
        ),
        ("stderr", trace),
        ("stdout", node),
        ("elsewhere", "error: x"),
    ];
    let records: Vec<_> = records
        .iter()
        .map(|(origin, line)| [text("message", line), text("metadata.type", origin)])
        .collect();
    let records: Vec<Fields<'_>> = records.iter().map(|record| &record[..]).collect();
    let raw = RawBatch {
        is_lines: true,
        ..batch(&records)
    };
    let clean = run_as(&pipeline, "instance.app", raw, &|_| true);
    assert_eq!(clean.rejects(), []);
    let catalogue = StreamCatalogue::built_in();
    let names = [
        "level",
        "metadata.type",
        "labels.metadata.type",
        "error.type",
        "error.message",
    ];
    let mut found = Vec::new();
    for part in clean.parts() {
        let stream = &catalogue.by_number(part.stream()).unwrap().name;
        for row in 0..part.columns().rows() {
            let of = |name: &str| {
                let value = part.columns().get(name).and_then(|column| column.get(row));
                value.map_or("-", |value| value.text).to_owned()
            };
            found.push(format!("{stream} {}", names.map(of).join(" ")));
            if of("error.type") == "KeyError" {
                assert_eq!(
                    of("error.stack"),
                    trace
                        .split_once('\n')
                        .unwrap()
                        .1
                        .replace("\"hunter2hunter2\"", "\"[REDACTED:password]\"")
                );
            }
            if of("error.type") == "TypeError" {
                assert_eq!(of("message"), node);
            }
        }
    }
    found.sort();
    assert_eq!(
        found,
        [
            "instance.access info stderr - - -",
            "instance.access info stderr - - -",
            "instance.app error elsewhere - - -",
            "instance.app info stdout - - -",
            "instance.app warn stdout mine - -",
            "instance.error error stderr - - -",
            "instance.error error stderr - KeyError 'port'",
            "instance.error error stdout - TypeError no port",
            "instance.error info stderr - - -",
        ]
    );
}

#[test]
fn the_routing_table_comes_before_the_rules_for_captured_output() {
    let pipeline = pipeline(PipelineConfig {
        routing: RoutingConfig {
            rules: vec![rule("message", None, Some("audit"), "system.audit")],
        },
        capture: Some(CaptureConfig::default()),
        ..PipelineConfig::default()
    });
    let raw = |is_lines| RawBatch {
        is_lines,
        ..batch(&[
            &[text("message", "plain"), text("metadata.type", "stderr")],
            &[text("message", "other"), text("metadata.type", "stdout")],
            &[
                text("timestamp", RECEIVED),
                text("message", "audit: x"),
                text("metadata.type", "stderr"),
            ],
        ])
    };
    let streams = |clean: &CleanBatch| -> Vec<String> {
        let catalogue = StreamCatalogue::built_in();
        let parts = clean.parts().iter();
        let mut names: Vec<String> = parts
            .map(|part| catalogue.by_number(part.stream()).unwrap().name.to_string())
            .collect();
        names.sort();
        names
    };
    let run = |is_lines| run_as(&pipeline, "app.backend", raw(is_lines), &|_| true);
    // The strict stream refuses the line, which says no logger.
    assert_eq!(streams(&run(true)), ["instance.app", "instance.error"]);
    assert_eq!(run(true).rejects()[0].kind, RejectKind::MissingField);
    // Records that are none of captured lines stay where they were sent.
    assert_eq!(streams(&run(false)), ["app.backend"]);
}

#[test]
fn what_a_shipper_took_passes_the_server_unchanged() {
    let shipper = pipeline(PipelineConfig {
        side: Side::Shipper,
        ..PipelineConfig::default()
    });
    let raw = batch(&[&[
        text("time", RECEIVED),
        text("msg", "token=abc 4111 1111 1111 1111"),
        text("password", "x"),
        ("list", Kind::Json, r#"[{"secret":1}]"#),
    ]]);
    let shipped = run_as(&shipper, "app.backend", raw, &|_| true);
    let mut columns = shipped.parts()[0].columns().clone();
    let times = columns.get_or_create("timestamp");
    times.push(0, Kind::String, RECEIVED);
    let raw = RawBatch {
        columns,
        indexes: vec![0],
        ..RawBatch::default()
    };
    let server = pipeline(PipelineConfig::default());
    let clean = run_as(&server, "app.backend", raw, &|_| true);
    assert_eq!(show(&clean), show(&shipped));
    assert_eq!(
        show(&clean),
        [
            r#"list=#[{"secret":"[REDACTED:secret]"}] message=token=[REDACTED:token] [REDACTED:card] password=[REDACTED:password]"#
        ]
    );
    assert_eq!(clean.counts().redactions_total(), 0);
}

#[test]
fn secrets_do_not_hide_in_any_column() {
    let secret = "hunter2hunter2";
    let wide: Vec<String> = (0..=limits::FIELDS_PER_STREAM_DAY_MAX)
        .map(|number| format!("f{number}.password"))
        .collect();
    let wide: Vec<_> = wide.iter().map(|name| text(name, secret)).collect();
    let assigned = format!("password={secret}");
    let clean = run(
        "app.backend",
        &[
            &wide,
            &[text("level", &assigned), text("message", "unknown level")],
            &[
                text("time", "2027-01-01T00:00:00Z"),
                text("message", &assigned),
            ],
            &[
                text("tenant", &assigned),
                text("user_id", &assigned),
                text("trace_id", &assigned),
            ],
        ],
    );
    assert_eq!(clean.rows(), 4);
    // One of the names that were made up, and `labels.tenant`.
    assert_eq!(clean.counts().values_overflowed, 2);
    for part in clean.parts() {
        for (name, column) in part.columns().iter() {
            assert!(!column.text().contains(secret), "{name}");
        }
    }
}

#[test]
fn nothing_becomes_nothing() {
    let clean = run("app.backend", &[]);
    assert_eq!((clean.parts().len(), clean.rejects().len()), (0, 0));
}

#[test]
fn a_batch_has_a_limited_number_of_days() {
    let max = limits::PARTITIONS_PER_BATCH_MAX;
    // Two records a day, from the day of receipt back; a stream that keeps them for ever.
    let days = |count: usize| -> Vec<String> {
        let received = parse_rfc3339(RECEIVED).unwrap().0;
        (0..2 * count as i64)
            .map(|at| Timestamp(received - at % count as i64 * 86_400_000_000_000).to_rfc3339())
            .collect()
    };
    let kept = |count: usize| {
        let times = days(count);
        let records: Vec<_> = times
            .iter()
            .map(|time| {
                [
                    text("timestamp", time),
                    text("message", "m"),
                    text("level", "info"),
                    text("logger", "l"),
                    text("correlation_id", "c"),
                ]
            })
            .collect();
        let records: Vec<Fields<'_>> = records.iter().map(|record| &record[..]).collect();
        run("governance", &records)
    };
    let clean = kept(max);
    assert_eq!((clean.parts().len(), clean.rejects().len()), (max, 0));
    let clean = kept(max + 1);
    assert_eq!(clean.parts().len(), max);
    let rejected = rejects(&clean);
    let places: Vec<_> = rejected.iter().map(|reject| (reject.0, reject.1)).collect();
    let last = |row: usize| (row as u32 * 10, RejectKind::TooManyDays);
    assert_eq!(places, [last(max), last(2 * max + 1)]);
    assert_eq!(
        rejected[0].2,
        "the batch has more than 400 streams and days: send 2024-12-06 and others in a batch of \
         their own"
    );
}
