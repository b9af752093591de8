//! What a query text finds, from the text to the record: the examples of the guide.
use crate::{
    build::{Layout, NOW, NS_PER_DAY, Reader, TODAY, rows, snapshot},
    rule::Record,
};
use jiff::tz::TimeZone;
use taffrail_model::{column::Kind, position::Position};
use taffrail_query::{Expr, Order, Output, RowsOutput, ScanOutput, execute, parse};

pub fn record(position: u64, fields: &[(&str, Kind, &str)]) -> Record {
    Record {
        tenant: 1,
        stream: "app.backend",
        timestamp: NOW.0 + position as i64,
        position,
        fields: fields
            .iter()
            .map(|(name, kind, text)| ((*name).into(), *kind, (*text).into()))
            .collect(),
        overflow: Vec::new(),
    }
}

fn is_found(query: &str, record: &Record) -> bool {
    let filter = parse(query)
        .unwrap_or_else(|error| panic!("{query}: {error}"))
        .filter;
    let request = Reader::Admin.request(Output::Count).with_predicate(filter);
    let mut answers = [0, 1].map(|section_every| {
        let layout = Layout {
            rows: 1,
            section_every,
        };
        let snapshot = snapshot(std::slice::from_ref(record), layout);
        match execute(&request, &snapshot).expect("a read").output {
            ScanOutput::Count(count) => count == 1,
            other => panic!("{other:?}"),
        }
    });
    answers.sort_unstable();
    assert_eq!(answers[0], answers[1], "tail and segment differ: {query}");
    answers[0]
}

#[track_caller]
fn check(message: &str, found: &[&str], not_found: &[&str]) {
    let record = record(1, &[("message", Kind::String, message)]);
    for query in found {
        assert!(is_found(query, &record), "{query} in {message}");
    }
    for query in not_found {
        assert!(!is_found(query, &record), "{query} in {message}");
    }
}

#[test]
fn words_and_phrases() {
    check(
        "Failed to authenticate user_id=42 from 10.0.0.7",
        &[
            "failed",
            "FAILED",
            "\"failed to\"",
            "\"to authenticate\"",
            "user_id",
            "42",
            "\"user id 42\"",
            "user-id",
            "10.0.0.7",
            "\"42 from\"",
            "failed user",
            "*",
            "",
            "failed OR nothing",
            "NOT nothing",
            "-nothing",
            "message:failed",
            "message:(failed OR x)",
        ],
        &[
            "fail",
            "ailed",
            "\"failed authenticate\"",
            "\"to failed\"",
            "10.0.7",
            "0.0.7.1",
            "failed nothing",
            "NOT failed",
            "source:failed",
            "\"from 10.0.0.7 x\"",
        ],
    );
}

/// What has no case is looked for in text that is not folded.
#[test]
fn digits_beside_characters_that_folding_changes() {
    check(
        "K12 \u{212a}34 56\u{130} İ 7\u{345} Ⅻ8 9.Σ.10.95 ÄÖ-11_\u{1e9e}",
        &[
            "k12",
            "k34",
            "9",
            "\"9 σ 10\"",
            "10.95",
            "\"10 95 äö 11\"",
            "11",
            "*.10.95*",
            "*-11_*",
            "*12*",
            "*34*",
        ],
        &["12", "34", "56", "7", "8", "9.10", "\"95 11\"", "*9.10*"],
    );
}

#[test]
fn wildcards_substrings_and_regexes() {
    check(
        "Received block blk_-123 of size 67108864 src/main.rs GetTicketResponse",
        &[
            "rece*",
            "*eived",
            "re*ed",
            "rec?ived",
            "blk_*",
            "*.rs",
            "*cketRespon*",
            "*_-1*",
            r"*block\ blk*",
            r"message:/blk_-?[0-9]+ of size [0-9]{8} /",
            "/RECEIVED/i",
            "message:=Received*",
            "message:/^Rec/",
            "\"size 67108864\"",
        ],
        &[
            "recei?d",
            "r*k",
            "rece*x",
            "/RECEIVED/",
            "message:=received*",
            "message:=Received",
            "message:/^block/",
            "*block-blk*",
            "ceived",
            "*.r",
        ],
    );
}

#[test]
fn words_of_other_scripts_and_forms() {
    check(
        "日本語 log",
        &["日本", "本語", "日", "log", "\"語 log\""],
        &["日語", "lo"],
    );
    check(
        "café",
        &["cafe\u{301}", "CAFÉ", "caf*", "*fé*", "*fe\u{301}*"],
        &["cafe"],
    );
    check("cafe\u{301}", &["café", "CAFÉ", "message:=café"], &["cafe"]);
    check("naïve ΣΑΣ", &["NAÏVE", "σας"], &["naive"]);
}

#[test]
fn numbers_levels_and_missing_fields() {
    let record = record(
        1,
        &[
            ("level", Kind::String, "error"),
            ("message", Kind::String, ""),
            ("status", Kind::Integer, "200"),
            ("size", Kind::Float, "200.0"),
            ("code", Kind::String, "200"),
            ("duration_ms", Kind::Float, "12.5"),
            ("ok", Kind::Bool, "true"),
            ("tags", Kind::Json, "[\"red\",7]"),
            ("big", Kind::Integer, "9007199254740993"),
        ],
    );
    let check = |queries: &[&str], expected: bool| {
        for query in queries {
            assert_eq!(is_found(query, &record), expected, "{query}");
        }
    };
    check(
        &[
            "status:200",
            "size:200",
            "code:200",
            "status:200.0",
            "status:2e2",
            "code:200.0",
            "code:2e2",
            "size:2e2",
            "status:[200 TO 299]",
            "status>=200",
            "duration_ms:>12",
            "duration:<13",
            "duration_ms:12.5",
            "status:2*",
            "duration_ms:12.*",
            "ok:true",
            "tags:red",
            "tags:7",
            "red",
            "level:err",
            "level>=warn",
            "level:[warn TO error]",
            "_exists_:message",
            "NOT _exists_:source",
            "-source:x",
            "message:=\"\"",
            "big:>9007199254740992",
            "code:>199",
            "timestamp:>=now",
            "timestamp:<now+1s",
            "timestamp:[now-1h TO *]",
            "stream:app.*",
            "_exists_:id",
            "code:/^2/",
        ],
        true,
    );
    check(
        &[
            "status:20",
            "status:{200 TO 299]",
            "duration_ms:12",
            "200.5",
            "12",
            "error",
            "level:warn",
            "level>error",
            "_exists_:source",
            "true",
            "ok:yes",
            "tags:>1",
            "timestamp:>now+1h",
            "stream:runtime",
            "big:>9007199254740993",
            "status:/^3/",
            "code:2e2x",
        ],
        false,
    );
    check(&["2e2", "code:=200.0", "code:201", "\"200.0\""], false);
    // Numbers are not searched by bare words, text that looks like one is.
    check(&["200", "7"], true);
}

#[test]
fn a_field_kept_under_an_alias_is_found_by_either_name() {
    let record = record(
        1,
        &[
            ("trace_id", Kind::String, "trB"),
            ("correlation_id", Kind::String, "corrA"),
            ("message", Kind::String, "canon"),
            ("msg", Kind::String, "alias X"),
            ("duration_ms", Kind::Integer, "10"),
            ("latency_ms", Kind::Integer, "0"),
            ("level", Kind::String, "info"),
            ("severity", Kind::String, "WARNING"),
        ],
    );
    for query in [
        "correlation_id:corrA",
        "correlation_id:=corrA",
        "correlation_id:trB",
        "x-correlation-id:trB",
        "trace_id:trB",
        "msg:\"alias x\"",
        "msg:canon",
        "msg:(canon x)",
        "msg:/^alias/",
        "NOT msg:other",
        "_exists_:msg",
        "_exists_:_msg",
        "latency_ms:[0 TO 5]",
        "latency_ms:<1",
        "duration:10",
        "severity:warn",
        "severity:info",
    ] {
        assert!(is_found(query, &record), "{query}");
    }
    for query in [
        "trace_id:corrA",
        "message:alias",
        "x-correlation-id:corrA",
        "NOT correlation_id:corrA",
        "NOT correlation_id:trB",
        "duration_ms:<1",
        "NOT _exists_:msg",
        // Both ends of a range hold for one value, not one end for each.
        "latency_ms:[1 TO 5]",
        "latency_ms:>=1 latency_ms:<=5",
        "level:warn",
        "severity:error",
    ] {
        assert!(!is_found(query, &record), "{query}");
    }
}

#[test]
fn a_projection_by_an_alias_returns_the_field_of_that_name_where_there_is_one() {
    let both = [
        ("correlation_id", Kind::String, "corrA"),
        ("trace_id", Kind::String, "trB"),
    ];
    let records = [record(1, &both), record(2, &both[1..])];
    let check = |fields: &[&str], expected: [&[&str]; 2]| {
        let output = rows(RowsOutput {
            fields: Some(fields.iter().map(|name| (*name).into()).collect()),
            order: Order::Ascending,
            ..RowsOutput::default()
        });
        let snapshot = snapshot(
            &records,
            Layout {
                rows: 2,
                section_every: 1,
            },
        );
        let result = execute(&Reader::Admin.request(output), &snapshot).expect("a read");
        let ScanOutput::Rows(page) = result.output else {
            panic!("not rows");
        };
        for (row, expected) in page.rows.iter().zip(expected) {
            let have = row.fields.iter();
            let have: Vec<_> = have.map(|(name, v)| format!("{name}={}", v.text)).collect();
            assert_eq!(have, expected, "{fields:?}");
        }
    };
    check(
        &["correlation_id"],
        [&["correlation_id=corrA"], &["trace_id=trB"]],
    );
    check(
        &["correlation_id", "trace_id", "traceId"],
        [&["correlation_id=corrA", "trace_id=trB"], &["trace_id=trB"]],
    );
}

#[test]
fn ids_in_upper_case_hex_find_what_is_stored_in_lower_case() {
    let (lower, upper) = (
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "4BF92F3577B34DA6A3CE929D0E0E4736",
    );
    let stored = record(
        1,
        &[
            ("trace_id", Kind::String, lower),
            ("span_id", Kind::String, "00f067aa0ba902b7"),
            ("other", Kind::String, upper),
        ],
    );
    for query in [
        format!("trace_id:={upper}"),
        format!("trace_id:{upper}"),
        format!("correlation_id:={upper}"),
        "span_id:=00F067AA0BA902B7".to_owned(),
        format!("other:={upper}"),
    ] {
        assert!(is_found(&query, &stored), "{query}");
    }
    assert!(!is_found(&format!("other:={lower}"), &stored));
    let request = Reader::Admin
        .request(Output::Count)
        .with_predicate(Expr::field_is("trace_id", upper));
    let layout = Layout {
        rows: 1,
        section_every: 1,
    };
    let result = execute(&request, &snapshot(&[stored], layout)).expect("a read");
    assert_eq!(result.output, ScanOutput::Count(1));
}

#[test]
fn times_without_a_zone_are_in_the_zone_of_the_read() {
    // The day of the read is 2024-10-04 in UTC, and it is 12:00 there.
    let berlin = TimeZone::get("Europe/Berlin").expect("a zone");
    let at = |hours: i64| Record {
        timestamp: TODAY * NS_PER_DAY + hours * 3_600_000_000_000,
        ..record(1, &[])
    };
    let check = |query: &str, zone: &TimeZone, hours: i64, expected: bool| {
        let request = Reader::Admin
            .request(Output::Count)
            .with_zone(zone.clone())
            .with_predicate(parse(query).expect("a query").filter);
        let layout = Layout {
            rows: 1,
            section_every: 1,
        };
        let result = execute(&request, &snapshot(&[at(hours)], layout)).expect("a read");
        let expected = ScanOutput::Count(u64::from(expected));
        assert_eq!(result.output, expected, "{query} {hours}");
    };
    let utc = &TimeZone::UTC;
    for day in [
        "timestamp:2024-10-04",
        "timestamp:today",
        "ts:\"2024-10-04\"",
    ] {
        for (zone, hours, expected) in [
            (utc, -1, false),
            (utc, 0, true),
            (utc, 23, true),
            (utc, 24, false),
            (&berlin, -3, false),
            (&berlin, -2, true),
            (&berlin, 21, true),
            (&berlin, 22, false),
        ] {
            check(day, zone, hours, expected);
        }
    }
    check("timestamp:yesterday", &berlin, -3, true);
    check("NOT timestamp:2024-10-04", utc, 3, false);
    let noon = "timestamp:>=\"2024-10-04 12:00\"";
    check(noon, utc, 11, false);
    check(noon, utc, 12, true);
    check(noon, &berlin, 9, false);
    check(noon, &berlin, 10, true);
    // A time that says its zone keeps it.
    check("timestamp:>=2024-10-04T12:00:00Z", &berlin, 11, false);
}

#[test]
fn attributes_past_the_limit_are_found_by_word_and_by_name() {
    let mut record = record(1, &[("message", Kind::String, "x")]);
    record.overflow = vec![
        ("shade".into(), Kind::String, "Dark Blue".into()),
        ("depth".into(), Kind::Integer, "12".into()),
    ];
    for query in [
        "blue",
        "\"dark blue\"",
        "shade:blue",
        "shade:=\"Dark Blue\"",
        "depth:>10",
        "depth:12",
        "_exists_:shade",
        "_exists_:_overflow",
    ] {
        assert!(is_found(query, &record), "{query}");
    }
    for query in ["shade:red", "depth:<10", "_exists_:height"] {
        assert!(!is_found(query, &record), "{query}");
    }
}

#[test]
fn a_projection_takes_aliases_and_keeps_its_order() {
    let records = [record(
        1,
        &[
            ("level", Kind::String, "info"),
            ("message", Kind::String, "hello"),
            ("source", Kind::String, "figma"),
        ],
    )];
    let output = rows(RowsOutput {
        fields: Some(
            ["service", "absent", "timestamp", "msg"]
                .map(Into::into)
                .to_vec(),
        ),
        ..RowsOutput::default()
    });
    let snapshot = snapshot(
        &records,
        Layout {
            rows: 1,
            section_every: 0,
        },
    );
    let result = execute(&Reader::Admin.request(output), &snapshot).expect("a read");
    let ScanOutput::Rows(page) = result.output else {
        panic!("not rows");
    };
    let names: Vec<_> = page.rows[0]
        .fields
        .iter()
        .map(|(name, _)| &**name)
        .collect();
    assert_eq!(names, ["source", "message"]);
    assert_eq!(page.rows[0].id.position, Position(1));
    assert_eq!(page.rows[0].id.epoch, 1);
}

#[test]
fn a_live_tail_reads_what_arrived_between_two_positions() {
    let records: Vec<_> = (1..=10)
        .map(|position| Record {
            // Later arrivals have earlier times.
            timestamp: NOW.0 - position as i64,
            ..record(position, &[("message", Kind::String, "x")])
        })
        .collect();
    let snapshot = snapshot(
        &records,
        Layout {
            rows: 3,
            section_every: 2,
        },
    );
    let output = rows(RowsOutput {
        order: Order::Arrival,
        limit: 4,
        ..RowsOutput::default()
    });
    let request = Reader::Admin
        .request(output)
        .with_positions(Position(3), Position(8));
    let ScanOutput::Rows(page) = execute(&request, &snapshot).expect("a read").output else {
        panic!("not rows");
    };
    let found: Vec<_> = page.rows.iter().map(|row| row.key.position.0).collect();
    assert_eq!(found, [4, 5, 6, 7]);
    assert!(page.cursor.is_some());
}
