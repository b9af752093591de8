//! What a query text finds, from the text to the record: the examples of the guide.
use crate::{
    build::{Layout, NOW, Reader, rows, snapshot},
    rule::Record,
};
use taffrail_model::{column::Kind, position::Position};
use taffrail_query::{Order, Output, RowsOutput, ScanOutput, execute, parse};

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
    // Numbers are not searched by bare words, text that looks like one is.
    check(&["200", "7"], true);
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
