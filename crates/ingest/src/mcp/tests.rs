mod early;

use super::{
    record::{Record, Route, Scalar},
    session::{Options, Session},
    *,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashMap;
use taffrail_model::{level::Level, time::Timestamp};

const ERA_2025: &str = include_str!("fixtures/2025-11-25.txt");
const ERA_2026: &str = include_str!("fixtures/2026-07-28.txt");
const DISCOVER: &str = include_str!("fixtures/2026-07-28-discover.txt");

const C: Direction = Direction::ClientToServer;
const S: Direction = Direction::ServerToClient;

/// A transcript's lines: direction, time, message with its end of line.
fn transcript(text: &str) -> Vec<(Direction, Timestamp, String)> {
    let line = |line: &str| {
        let mut parts = line.splitn(3, ' ');
        let direction = if parts.next() == Some("c") { C } else { S };
        let ms: i64 = parts.next().unwrap().parse().unwrap();
        (direction, at_ms(ms), format!("{}\n", parts.next().unwrap()))
    };
    text.lines().map(line).collect()
}

fn at_ms(ms: i64) -> Timestamp {
    Timestamp(1_700_000_000_000_000_000 + ms * 1_000_000)
}

fn records(heard: Vec<Heard>) -> Vec<Record> {
    let record = |heard| match heard {
        Heard::Record(record) => Some(record),
        Heard::Line(_) => None,
    };
    heard.into_iter().filter_map(record).collect()
}

fn lines(heard: &[Heard]) -> Vec<String> {
    let text = |heard: &Heard| match heard {
        Heard::Line(line) => Some(String::from_utf8_lossy(&line.bytes).into_owned()),
        Heard::Record(_) => None,
    };
    heard.iter().filter_map(text).collect()
}

fn play(options: Options, said: &[(Direction, Timestamp, String)]) -> Vec<Heard> {
    let mut session = Session::new(options);
    let mut heard = Vec::new();
    for (direction, time, text) in said {
        session.push(*direction, *time, text.as_bytes(), &mut heard);
    }
    let last = said.last().map_or(at_ms(0), |(_, time, _)| *time);
    session.finish(last, &mut heard);
    heard
}

/// What is said at one millisecond after the other: `>` from the client, `<` from the server.
fn hear(said: &[&str]) -> Vec<Heard> {
    let line = |(index, text): (usize, &&str)| {
        let direction = if text.starts_with('>') { C } else { S };
        (direction, at_ms(index as i64), format!("{}\n", &text[1..]))
    };
    let said: Vec<_> = said.iter().enumerate().map(line).collect();
    play(Options::default(), &said)
}

fn access(records: &[Record]) -> Vec<&Record> {
    records
        .iter()
        .filter(|record| record.route == Route::Access)
        .collect()
}

/// The messages of the records, without the summary at the end.
#[track_caller]
fn check(said: &[&str], expected: &[&str]) -> Vec<Record> {
    let mut records = records(hear(said));
    records.retain(|record| !record.message.starts_with("MCP session ended"));
    let found: Vec<&str> = records
        .iter()
        .map(|record| record.message.as_str())
        .collect();
    assert_eq!(found, expected);
    records
}

/// Pairs by brute force on whole documents: sender, id, method, and what came back.
fn oracle(
    said: &[(Direction, Timestamp, String)],
) -> Vec<(Direction, String, String, f64, String)> {
    let mut open: HashMap<(Direction, String), (String, Timestamp)> = HashMap::new();
    let mut found = Vec::new();
    for (direction, time, text) in said {
        let message: Value = serde_json::from_str(text).unwrap();
        let Some(id) = message.get("id") else {
            continue;
        };
        if let Some(method) = message.get("method") {
            let method = method.as_str().unwrap().to_string();
            open.insert((*direction, id.to_string()), (method, *time));
            continue;
        }
        let asker = if *direction == C { S } else { C };
        let (method, began) = open.remove(&(asker, id.to_string())).unwrap();
        let outcome = match &message["result"] {
            Value::Null => "error",
            result if result["isError"] == json!(true) => "tool_error",
            result if result["resultType"] == json!("input_required") => "input_required",
            _ => "ok",
        };
        let duration_ms = (time.0 - began.0) as f64 / 1e6;
        let id = id.as_str().map_or(id.to_string(), str::to_string);
        found.push((asker, id, method, duration_ms, outcome.to_string()));
    }
    found
}

#[track_caller]
fn check_pairs(said: &[(Direction, Timestamp, String)]) -> Vec<Record> {
    let records = records(play(Options::default(), said));
    let answered = |record: &&Record| {
        !["cancelled", "closed"].contains(&record.text(attribute::OUTCOME).unwrap())
    };
    let found: Vec<_> = access(&records)
        .into_iter()
        .filter(answered)
        .map(|record| {
            let direction = if record.text(attribute::SENDER) == Some("client") {
                C
            } else {
                S
            };
            let text = |name| record.text(name).unwrap().to_string();
            let Some(Scalar::Float(duration_ms)) = record.get("duration_ms") else {
                panic!("no duration")
            };
            (
                direction,
                text(attribute::REQUEST_ID),
                text(attribute::METHOD_NAME),
                *duration_ms,
                text(attribute::OUTCOME),
            )
        })
        .collect();
    assert_eq!(found, oracle(said));
    assert_eq!(
        records
            .iter()
            .filter(|record| record.get(attribute::VIOLATION).is_some())
            .count(),
        0
    );
    records
}

fn shown(records: &[Record]) -> String {
    let mut text = String::new();
    for record in records {
        text.push_str(&format!(
            "{:<6} {:<8} {}\n",
            record.route.stream(),
            record.level.name(),
            record.message
        ));
    }
    text
}

#[test]
fn a_recorded_session_of_2025_11_25_is_paired() {
    let records = check_pairs(&transcript(ERA_2025));
    insta::assert_snapshot!(shown(&records));
    let initialize = access(&records)[0];
    assert_eq!(
        initialize.text(attribute::PROTOCOL_VERSION),
        Some("2025-11-25")
    );
    assert_eq!(
        initialize.text(attribute::CLIENT_NAME),
        Some("fixture-client")
    );
    assert_eq!(
        initialize.text(attribute::SERVER_NAME),
        Some("mcp-servers/everything")
    );
}

#[test]
fn a_recorded_session_of_2026_07_28_is_paired() {
    let records = check_pairs(&transcript(ERA_2026));
    insta::assert_snapshot!(shown(&records));
    for record in access(&records) {
        assert_eq!(record.text(attribute::PROTOCOL_VERSION), Some("2026-07-28"));
        assert_eq!(record.text(attribute::CLIENT_VERSION), Some("2.1.0"));
    }
}

#[test]
fn a_recorded_probe_of_2026_07_28_is_paired() {
    let records = check_pairs(&transcript(DISCOVER));
    let discover = access(&records)[0];
    assert_eq!(
        discover.text(attribute::METHOD_NAME),
        Some("server/discover")
    );
    assert_eq!(
        discover.text(attribute::SERVER_NAME),
        Some("fixture-server")
    );
}

#[test]
fn strings_and_numbers_do_not_answer_each_other() {
    check(
        &[
            r#">{"jsonrpc":"2.0","id":1,"method":"a"}"#,
            r#">{"jsonrpc":"2.0","id":"1","method":"b"}"#,
            r#"<{"jsonrpc":"2.0","id":"1","result":{}}"#,
            r#"<{"jsonrpc":"2.0","id":1.0,"result":{}}"#,
        ],
        &["b → ok in 1.00 ms (2 B)", "a → ok in 3.00 ms (2 B)"],
    );
}

#[test]
fn directions_do_not_answer_each_other() {
    let records = check(
        &[
            r#">{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#,
            r#"<{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage"}"#,
            r#">{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#"<{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"no"}}"#,
        ],
        &[
            "sampling/createMessage (asked by the server) → ok in 1.00 ms (2 B)",
            "tools/call t → error in 3.00 ms: -32000 no",
        ],
    );
    assert_eq!(records[0].text(attribute::SENDER), Some("server"));
    assert_eq!(records[1].text(attribute::STATUS_CODE), Some("-32000"));
    assert_eq!(records[1].text(attribute::ERROR_TYPE), Some("-32000"));
    assert_eq!(
        records[1].text(attribute::OPERATION_NAME),
        Some("execute_tool")
    );
    assert_eq!(records[1].text(attribute::TRANSPORT), Some("pipe"));
}

#[test]
fn a_batch_is_its_messages() {
    check(
        &[
            r#">[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","id":2,"method":"b"}]"#,
            r#"<[{"jsonrpc":"2.0","id":2,"result":{}}, {"jsonrpc":"2.0","id":1,"result":[1]}]"#,
        ],
        &["b → ok in 1.00 ms (2 B)", "a → ok in 1.00 ms (3 B)"],
    );
}

#[test]
fn an_id_repeats_after_its_answer_and_a_taken_one_waits() {
    let records = check(
        &[
            r#">{"jsonrpc":"2.0","id":1,"method":"a"}"#,
            r#"<{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#">{"jsonrpc":"2.0","id":1,"method":"b"}"#,
            r#">{"jsonrpc":"2.0","id":1,"method":"c"}"#,
            r#"<{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#"<{"jsonrpc":"2.0","id":1,"result":{}}"#,
        ],
        &[
            "a → ok in 1.00 ms (2 B)",
            "protocol violation: the client sent a request with an id that waits for its answer: \
             id 1",
            "b → ok in 2.00 ms (2 B)",
            "c → ok in 2.00 ms (2 B)",
        ],
    );
    assert_eq!(records[1].route, Route::Error);
    assert_eq!(records[1].level, Level::Warn);
}

#[test]
fn an_answer_to_nothing_is_a_violation_unless_something_was_lost() {
    const ANSWER: &str = "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n";
    let found = check(
        &[&format!("<{}", ANSWER.trim())],
        &["protocol violation: the server sent an answer to no request: id 7"],
    );
    assert_eq!(
        found[0].text(attribute::VIOLATION),
        Some("unknown_response_id")
    );
    let mut session = Session::new(Options::default());
    let mut heard = Vec::new();
    session.push(C, at_ms(0), b"{\"jsonrpc\":\"2.0\",", &mut heard);
    session.gap(C, at_ms(1), 4_000, &mut heard);
    session.push(C, at_ms(2), b"half of something}\n", &mut heard);
    session.push(S, at_ms(3), ANSWER.as_bytes(), &mut heard);
    let records = records(heard);
    assert_eq!(
        records[0].message,
        "recording gap: 4.0 kB from the client were not recorded"
    );
    assert_eq!(
        records[0].get(attribute::LOST_BYTES),
        Some(&Scalar::Integer(4_017))
    );
    assert_eq!(
        records[1].message,
        "the server answered request 7, which was not recorded"
    );
    assert_eq!(records[1].level, Level::Debug);
    assert_eq!(session.counts().violations, 0);
}

#[test]
fn a_late_answer_is_known_as_one() {
    let records = check(
        &[
            r#">{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#,
            r#">{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"bored"}}"#,
            r#"<{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#">{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
        ],
        &[
            "tools/call t → cancelled after 1.00 ms: bored",
            "late answer to tools/call t, after it was cancelled: tools/call t → ok in 2.00 ms (2 B)",
            "the client cancelled request 1, which is not waiting",
        ],
    );
    assert_eq!(records[0].route, Route::Access);
    assert_eq!(records[0].text(attribute::CANCEL_REASON), Some("bored"));
    assert_eq!(records[1].route, Route::App);
}

#[test]
fn a_cancelled_id_may_be_taken_again() {
    check(
        &[
            r#">{"jsonrpc":"2.0","id":1,"method":"a"}"#,
            r#">{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
            r#">{"jsonrpc":"2.0","id":1,"method":"b"}"#,
            r#"<{"jsonrpc":"2.0","id":1,"result":{}}"#,
        ],
        &["a → cancelled after 1.00 ms", "b → ok in 1.00 ms (2 B)"],
    );
}

#[test]
fn what_is_overdue_is_recorded_once_and_progress_puts_it_off() {
    let mut session = Session::new(Options::default());
    let mut heard = Vec::new();
    let said: [&str; 3] = [
        r#"{"jsonrpc":"2.0","id":1,"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"b","params":{"_meta":{"progressToken":"p"}}}"#,
        r#"{"jsonrpc":"2.0","id":3,"method":"subscriptions/listen"}"#,
    ];
    for text in said {
        session.push(C, at_ms(0), format!("{text}\n").as_bytes(), &mut heard);
    }
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1.50,"total":3}}"#;
    session.push(
        S,
        at_ms(200_000),
        format!("{progress}\n").as_bytes(),
        &mut heard,
    );
    session.tick(at_ms(299_999), &mut heard);
    assert_eq!(heard, []);
    for ms in [300_000, 400_000] {
        session.tick(at_ms(ms), &mut heard);
        assert_eq!(heard.len(), 1);
    }
    session.push(
        S,
        at_ms(400_001),
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n",
        &mut heard,
    );
    session.finish(at_ms(400_002), &mut heard);
    let records = records(heard);
    let found: Vec<&str> = records
        .iter()
        .map(|record| record.message.as_str())
        .collect();
    assert_eq!(
        found,
        [
            "a → no answer in 5 min 0 s: timeout",
            "late answer to a, after it was recorded as unanswered: a → ok in 6 min 40 s (2 B)",
            "b → no answer in 6 min 40 s: session ended",
            "subscriptions/listen → closed after 6 min 40 s",
            "MCP session ended: 3 requests, 1 answered, 0 cancelled, 2 unanswered, 1 \
             notifications, 0 violations",
        ]
    );
    assert_eq!(
        records[2].get(attribute::PROGRESS_LAST),
        Some(&Scalar::Json("1.50".into()))
    );
    assert_eq!(
        records[2].get(attribute::PROGRESS_COUNT),
        Some(&Scalar::Integer(1))
    );
}

#[test]
fn log_messages_are_records_of_their_level() {
    let message = |level: &str, rest: &str| {
        format!(
            r#"<{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"{level}",{rest}}}}}"#
        )
    };
    for (word, level, route) in [
        ("debug", Level::Debug, Route::App),
        ("info", Level::Info, Route::App),
        ("notice", Level::Info, Route::App),
        ("warning", Level::Warn, Route::App),
        ("error", Level::Error, Route::Error),
        ("critical", Level::Critical, Route::Error),
        ("alert", Level::Critical, Route::Error),
        ("emergency", Level::Critical, Route::Error),
    ] {
        let records = check(
            &[&message(word, r#""logger":"db","data":"it says""#)],
            &["it says"],
        );
        assert_eq!(
            (records[0].level, records[0].route),
            (level, route),
            "{word}"
        );
        assert_eq!(records[0].text("logger"), Some("db"));
    }
}

#[test]
fn data_of_a_log_message_are_fields() {
    let data = r#"<{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":{"msg":"went wrong","n":1.50,"ok":false,"none":null,"list":[1, 2],"error":{"type":"E","stack":"at x"},"level":"mine","mcp.outcome":"forged","time":5}}}"#;
    let records = check(&[data], &["went wrong"]);
    let get = |name: &str| records[0].get(name);
    assert_eq!(get("n"), Some(&Scalar::Json("1.50".into())));
    assert_eq!(get("list"), Some(&Scalar::Json("[1, 2]".into())));
    assert_eq!(get("error.stack"), Some(&"at x".into()));
    assert_eq!(get("data.level"), Some(&"mine".into()));
    assert_eq!(get("data.mcp.outcome"), Some(&"forged".into()));
    assert_eq!(get("data.time"), Some(&Scalar::Json("5".into())));
    assert_eq!(get("none"), None);
    check(
        &[
            r#"<{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":[1]}}"#,
        ],
        &["[1]"],
    );
    check(
        &[r#"<{"jsonrpc":"2.0","method":"notifications/message"}"#],
        &[""],
    );
}

#[test]
fn output_that_is_no_message_is_a_violation_and_output() {
    let heard = hear(&[
        "<Starting on port 8000",
        ">secret of the user",
        r#">{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        r#"<{"level":"info","msg":"a log line"}"#,
        "<null",
        "<   ",
        r#"<{"jsonrpc":"2.0","id":1,"result":{}}"#,
    ]);
    assert_eq!(
        lines(&heard),
        [
            "Starting on port 8000",
            r#"{"level":"info","msg":"a log line"}"#,
            "null",
            // No breach, but it may be part of a stack trace.
            "   ",
        ]
    );
    let found: Vec<_> = records(heard)
        .iter()
        .filter_map(|record| record.text(attribute::VIOLATION).map(str::to_string))
        .collect();
    assert_eq!(found, ["not_json", "not_json_rpc", "not_json_rpc"]);
}

#[test]
fn a_program_that_is_no_mcp_server_breaches_nothing() {
    let heard = hear(&[
        "<one",
        "<{\"a\":1}",
        "<[1,2]",
        "<two",
        ">input",
        ">{\"b\":1}",
    ]);
    assert_eq!(lines(&heard), ["one", "{\"a\":1}", "[1,2]", "two"]);
    assert_eq!(heard.len(), 4);
}

#[test]
fn a_flood_of_violations_is_counted_and_said_once_a_second() {
    let mut session = Session::new(Options::default());
    let mut heard = Vec::new();
    session.push(
        C,
        at_ms(0),
        b"{\"jsonrpc\":\"2.0\",\"method\":\"n\"}\n",
        &mut heard,
    );
    heard.clear();
    for ms in 0..5_000 {
        session.push(S, at_ms(ms), b"\x00garbage\xff\n", &mut heard);
    }
    assert_eq!(session.counts().violations, 5_000);
    assert_eq!(lines(&heard).len(), 5_000);
    let records = records(heard);
    assert_eq!(records.len(), 10 + 4);
    let last = records.last().unwrap();
    assert_eq!(
        last.get(attribute::VIOLATION_COUNT),
        Some(&Scalar::Integer(4_010))
    );
    assert!(last.message.contains("(1000 times)"), "{}", last.message);
}

#[test]
fn contents_are_kept_only_if_asked_and_are_cut() {
    let said = [
        (C, at_ms(0), r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"city":"Köln"}}}"#.to_string() + "\n"),
        (S, at_ms(1), r#"{"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":[{"type":"text","text":"no such city"}]}}"#.to_string() + "\n"),
    ];
    let plain = records(play(Options::default(), &said));
    assert_eq!(plain[0].get(attribute::TOOL_ARGUMENTS), None);
    assert_eq!(
        plain[0].get(attribute::ARGUMENTS_BYTES),
        Some(&Scalar::Integer(16))
    );
    assert!(!format!("{plain:?}").contains("city"));
    let options = Options {
        contents_bytes_max: 20,
        ..Options::default()
    };
    let kept = records(play(options, &said));
    assert_eq!(
        kept[0].text(attribute::TOOL_ARGUMENTS),
        Some(r#"{"city":"Köln"}"#)
    );
    assert_eq!(
        kept[0].text(attribute::TOOL_RESULT),
        Some(r#"{"isError":true,"con"#)
    );
    assert_eq!(
        kept[0].get(attribute::CONTENTS_TRUNCATED),
        Some(&true.into())
    );
    assert_eq!(
        kept[0].message,
        "tools/call t → tool error in 1.00 ms: no such city"
    );
}

#[test]
fn trace_context_is_taken_up() {
    let records = check(
        &[
            r#">{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{"traceparent":"00-0AF7651916CD43DD8448EB211C80319C-00F067AA0BA902B7-01"}}}"#,
            r#">{"jsonrpc":"2.0","id":2,"method":"a","params":{"_meta":{"traceparent":"00-0-0-0"}}}"#,
            r#"<{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#"<{"jsonrpc":"2.0","id":2,"result":{}}"#,
        ],
        &["a → ok in 2.00 ms (2 B)", "a → ok in 2.00 ms (2 B)"],
    );
    assert_eq!(
        records[0].text("trace_id"),
        Some("0af7651916cd43dd8448eb211c80319c")
    );
    assert_eq!(records[0].text("span_id"), Some("00f067aa0ba902b7"));
    assert_eq!(records[1].get("trace_id"), None);
}

#[test]
fn hostile_messages_are_data() {
    let deep = format!(
        r#"<{{"jsonrpc":"2.0","id":1,"result":{}{}}}"#,
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    let long = format!(
        r#">{{"jsonrpc":"2.0","id":"{}","method":"a"}}"#,
        "x".repeat(ID_BYTES_MAX)
    );
    let said = [
        r#">{"jsonrpc":"2.0","id":9,"id":1,"method":"b","method":"a","params":{"name":1,"_meta":[]}}"#,
        &deep,
        &long,
        ">{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"a\u{0}\"}",
        r#">{"jsonrpc":"1.0","id":3,"method":"a"}"#,
        r#"<{"jsonrpc":"2.0","id":3,"result":null}"#,
        r#">{"jsonrpc":"2.0","id":null,"method":"a"}"#,
        r#">{"jsonrpc":"2.0","id":4,"result":{},"error":{}}"#,
        r#"<{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"}}"#,
        ">[]",
        r#">[1,{"jsonrpc":"2.0","id":5,"method":"a","params":7}]"#,
    ];
    let records = records(hear(&said));
    insta::assert_snapshot!(shown(&records).replace('\0', "NUL"));
    assert_eq!(
        records[0].get(attribute::RESULT_BYTES),
        Some(&Scalar::Integer(400_000))
    );
}

#[test]
fn what_is_not_utf8_is_paired_and_said() {
    let mut session = Session::new(Options::default());
    let mut heard = Vec::new();
    session.push(
        C,
        at_ms(0),
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\xff\"}\n",
        &mut heard,
    );
    session.push(
        S,
        at_ms(1),
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n",
        &mut heard,
    );
    let records = records(heard);
    assert_eq!(records[0].text(attribute::VIOLATION), Some("invalid_utf8"));
    assert_eq!(records[1].message, "a\u{fffd} → ok in 1.00 ms (2 B)");
}

#[test]
fn a_message_past_the_limit_is_measured() {
    let mut session = Session::new(Options {
        is_only_mcp: true,
        ..Options::default()
    });
    let mut heard = Vec::new();
    let said = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"{}\"}}\n",
        "x".repeat(MESSAGE_BYTES_MAX)
    );
    for piece in said.as_bytes().chunks(1 << 20) {
        session.push(S, at_ms(0), piece, &mut heard);
    }
    let records = records(heard);
    assert_eq!(records.len(), 1);
    assert_eq!(
        records[0].message,
        "a message of 16.8 MB from the server was measured but not read"
    );
    assert_eq!(session.counts().too_long, 1);
}

#[test]
fn waiting_requests_are_bounded() {
    let mut session = Session::new(Options::default());
    let mut heard = Vec::new();
    for id in 0..PENDING_REQUESTS_MAX + 10 {
        let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"a\"}}\n");
        session.push(C, at_ms(id as i64 / 1_000), text.as_bytes(), &mut heard);
    }
    let gone = heard.len();
    assert!(gone >= 10);
    assert_eq!(session.counts().unanswered as usize, gone);
    let records = records(heard);
    assert_eq!(
        records[0].text(attribute::ERROR_TYPE),
        Some("too_many_pending")
    );
    assert_eq!(records[0].text(attribute::REQUEST_ID), Some("0"));
    let mut heard = Vec::new();
    session.finish(at_ms(100), &mut heard);
    assert_eq!(heard.len() + gone, PENDING_REQUESTS_MAX + 10 + 1);
}

#[test]
fn a_thousand_concurrent_requests_with_ids_that_repeat() {
    let mut session = Session::new(Options::default());
    let mut heard = Vec::new();
    let mut asked = 0;
    for round in 0..5_u64 {
        let ids: Vec<u64> = (0..1_000).collect();
        for id in &ids {
            let text =
                format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"m{round}-{id}\"}}\n");
            session.push(C, at_ms(asked), text.as_bytes(), &mut heard);
            asked += 1;
        }
        // Another order in each round: 7 and so on have no factor in common with 1,000.
        for index in 0..1_000 {
            let id = index * [7, 11, 13, 17, 19][round as usize] % 1_000;
            let text = format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"of\":\"m{round}-{id}\"}}}}\n"
            );
            session.push(S, at_ms(asked), text.as_bytes(), &mut heard);
            let Some(Heard::Record(record)) = heard.pop() else {
                panic!("no record")
            };
            assert_eq!(
                record.text(attribute::METHOD_NAME),
                Some(&*format!("m{round}-{id}"))
            );
            assert_eq!(heard, []);
        }
    }
    let counts = session.counts();
    assert_eq!(
        (counts.requests, counts.answered, counts.violations),
        (5_000, 5_000, 0)
    );
}

#[test]
fn a_record_is_the_same_as_json_and_as_a_batch() {
    let records = records(hear(&[
        r#">{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"q\"\u0001"}}"#,
        r#"<{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":{"a":1.50,"b":[1],"c":true}}}"#,
        r#"<{"jsonrpc":"2.0","id":1,"result":{}}"#,
    ]));
    let mut json = String::new();
    for record in &records {
        record.write_json(&mut json);
    }
    let lines: Vec<Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[1]["gen_ai.tool.name"], "q\"\u{1}");
    assert_eq!(lines[1]["duration_ms"], 2.0);
    assert_eq!(lines[1]["metadata.type"], "stdout");
    assert_eq!(lines[1]["timestamp"], "2023-11-14T22:13:20.002Z");
    assert_eq!(lines[0]["b"], json!([1]));
    let decoded = crate::decode::ndjson::decode(json.as_bytes()).unwrap();
    let batch = record::batch(&records);
    assert_eq!(batch.columns.rows(), decoded.columns.rows());
    for (name, column) in decoded.columns.iter() {
        assert_eq!(batch.columns.get(name), Some(column), "{name}");
    }
}

/// A recorded session and what disturbs one.
fn mixed() -> Vec<u8> {
    let mut text = String::from("banner of the server\n");
    for (_, _, line) in transcript(ERA_2025)
        .iter()
        .filter(|(direction, _, _)| *direction == S)
    {
        text.push_str(line);
    }
    text.push_str("noise é\r\n\n{\"half\":\n[1,2]\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(b"\xff\x00\n{\"jsonrpc\":\"2.0\",\"method\":\"last\"}");
    bytes
}

fn hear_pieces(pieces: &[&[u8]]) -> Vec<Heard> {
    let mut session = Session::new(Options::default());
    let mut heard = Vec::new();
    for (_, _, line) in transcript(ERA_2025)
        .iter()
        .filter(|(direction, _, _)| *direction == C)
    {
        session.push(C, at_ms(0), line.as_bytes(), &mut heard);
    }
    for piece in pieces {
        session.push(S, at_ms(1), piece, &mut heard);
    }
    session.finish(at_ms(1), &mut heard);
    heard
}

#[test]
fn every_split_gives_the_same_records() {
    let bytes = mixed();
    let whole = hear_pieces(&[&bytes]);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert!(hear_pieces(&single) == whole);
    for at in (0..bytes.len()).step_by(37) {
        let (before, after) = bytes.split_at(at);
        assert!(hear_pieces(&[before, after]) == whole, "split at {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cutting_gives_the_same_records(mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20)) {
        let bytes = mixed();
        let mut at: Vec<usize> = cuts.drain(..).map(|cut| cut.index(bytes.len())).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert!(hear_pieces(&pieces) == hear_pieces(&[&bytes]));
    }

    #[test]
    fn anything_may_be_said(
        said in prop::collection::vec((any::<bool>(), "[\\[{]?[ -~\\x00]{0,12}(\"(jsonrpc|id|method|params|result)\":(1|\"2.0\"|\\{\\}|null),?){0,5}[}\\]]?\n?"), 0..30),
    ) {
        let mut session = Session::new(Options::default());
        let mut heard = Vec::new();
        for (index, (is_client, text)) in said.iter().enumerate() {
            session.push(if *is_client { C } else { S }, at_ms(index as i64), text.as_bytes(), &mut heard);
        }
        session.tick(at_ms(1_000_000), &mut heard);
        session.finish(at_ms(1_000_001), &mut heard);
        let mut json = String::new();
        for record in records(heard) {
            record.write_json(&mut json);
        }
        for line in json.lines() {
            prop_assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
        }
    }
}
