use super::super::EARLY_AFTER_NS;
use super::*;

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream; charset=utf-8";

/// Drives a recorder; each step is a millisecond after the one before.
struct Proxy {
    recorder: Recorder,
    ms: i64,
    exchanges: ExchangeId,
    heard: Vec<Heard>,
}

impl Proxy {
    fn new() -> Proxy {
        Proxy {
            recorder: Recorder::new(Options::default(), "mcp.example", 443),
            ms: 0,
            exchanges: 0,
            heard: Vec::new(),
        }
    }

    fn now(&mut self) -> Timestamp {
        self.ms += 1;
        Timestamp(self.ms * 1_000_000)
    }

    fn begin(&mut self, mut head: RequestHead, body: &str) -> ExchangeId {
        let (id, now) = (self.exchanges, self.now());
        self.exchanges += 1;
        head.http_version = "1.1";
        self.recorder.begin(id, now, head);
        if !body.is_empty() {
            let (start, rest) = body.as_bytes().split_at(body.len() / 2);
            self.recorder.request(id, start);
            self.recorder.request(id, rest);
        }
        self.recorder.request_end(id, now, true, &mut self.heard);
        id
    }

    fn answer(&mut self, id: ExchangeId, status: u16, kind: &str, session: Option<&str>) {
        let now = self.now();
        let head = AnswerHead {
            status,
            content_type: (!kind.is_empty()).then(|| kind.to_string()),
            content_encoding: None,
            session_id: session.map(str::to_string),
        };
        self.recorder.answer(id, now, head, &mut self.heard);
    }

    fn body(&mut self, id: ExchangeId, body: &str) {
        let now = self.now();
        self.recorder
            .answer_body(id, now, body.as_bytes(), &mut self.heard);
    }

    fn end(&mut self, id: ExchangeId, end: &End) {
        let now = self.now();
        self.recorder.end(id, now, end, &mut self.heard);
    }

    /// A whole exchange.
    fn exchange(&mut self, head: RequestHead, body: &str, status: u16, kind: &str, answer: &str) {
        let id = self.begin(head, body);
        self.answer(id, status, kind, None);
        self.body(id, answer);
        self.end(id, &End::Complete);
    }

    fn records(&mut self) -> Vec<Record> {
        let heard = std::mem::take(&mut self.heard).into_iter();
        heard
            .map(|heard| match heard {
                Heard::Record(record) => record,
                Heard::Line(line) => panic!("{line:?}"),
            })
            .collect()
    }

    #[track_caller]
    fn check(&mut self, expected: &[&str]) -> Vec<Record> {
        let records = self.records();
        let found: Vec<&str> = records
            .iter()
            .map(|record| record.message.as_str())
            .collect();
        assert_eq!(found, expected);
        for record in &records {
            let is_ours = record.message.starts_with("MCP session ended");
            assert_eq!(
                record.origin == Origin::System,
                is_ours,
                "{}",
                record.message
            );
            assert_eq!(record.text(attribute::TRANSPORT), Some("tcp"));
            assert_eq!(record.text(attribute::SERVER_ADDRESS), Some("mcp.example"));
        }
        records
    }

    /// Ends everything and shows that nothing is left.
    fn finish(&mut self) {
        let now = self.now();
        self.recorder.finish(now, &mut self.heard);
        assert_eq!(self.recorder.held_bytes, 0);
        assert!(self.recorder.exchanges.is_empty() && self.recorder.sessions.is_empty());
    }
}

fn head(method: &str, path: &str, session: Option<&str>) -> RequestHead {
    RequestHead {
        method: method.to_string(),
        path: path.to_string(),
        content_type: Some(JSON.to_string()),
        session_id: session.map(str::to_string),
        ..RequestHead::default()
    }
}

fn post(session: Option<&str>) -> RequestHead {
    head("POST", "/mcp", session)
}

fn call(id: u64, tool: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}"}}}}"#)
}

fn result(id: u64) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)
}

fn event(data: &str) -> String {
    format!("event: message\ndata: {data}\n\n")
}

const INITIALIZE: &str =
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"clientInfo":{"name":"c"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","serverInfo":{"name":"s","version":"1"}}}"#;

fn with_session() -> Proxy {
    let mut proxy = Proxy::new();
    let id = proxy.begin(post(None), INITIALIZE);
    proxy.answer(id, 200, EVENTS, Some("abc"));
    proxy.body(id, &event(INITIALIZED));
    proxy.end(id, &End::Complete);
    let records = proxy.check(&["initialize → ok in 2.00 ms (72 B)"]);
    assert_eq!(records[0].text(attribute::SESSION_ID), Some("abc"));
    proxy
}

#[test]
fn a_session_is_named_by_its_first_answer() {
    let mut proxy = with_session();
    proxy.exchange(post(Some("abc")), &call(1, "t"), 200, JSON, &result(1));
    let records = proxy.check(&["tools/call t → ok in 3.00 ms (2 B)"]);
    let record = &records[0];
    assert_eq!(record.text(attribute::SESSION_ID), Some("abc"));
    assert_eq!(record.text(attribute::PROTOCOL_VERSION), Some("2025-11-25"));
    assert_eq!(record.text(attribute::CLIENT_NAME), Some("c"));
    assert_eq!(record.text(attribute::SERVER_NAME), Some("s"));
    assert_eq!(record.text(attribute::URL_PATH), Some("/mcp"));
    assert_eq!(
        record.text(attribute::NETWORK_PROTOCOL_VERSION),
        Some("1.1")
    );
    assert_eq!(
        record.get(attribute::HTTP_STATUS),
        Some(&Scalar::Integer(200))
    );
    proxy.exchange(head("DELETE", "/mcp", Some("abc")), "", 200, "", "");
    proxy.check(&[
        "DELETE /mcp → 200 in 3.00 ms",
        "MCP session ended: 2 requests, 2 answered, 0 cancelled, 0 unanswered, 0 notifications, \
         0 violations",
    ]);
    proxy.finish();
}

#[test]
fn the_server_asks_on_a_stream_and_is_answered_by_a_post() {
    let mut proxy = with_session();
    let stream = proxy.begin(head("GET", "/mcp", Some("abc")), "");
    proxy.answer(stream, 200, EVENTS, None);
    let ask = r#"{"jsonrpc":"2.0","id":0,"method":"elicitation/create"}"#;
    let tool = proxy.begin(post(Some("abc")), &call(1, "t"));
    proxy.answer(tool, 200, EVENTS, None);
    for part in event(ask).as_bytes().chunks(7) {
        proxy.body(stream, std::str::from_utf8(part).unwrap());
    }
    proxy.exchange(post(Some("abc")), &result(0), 202, "", "");
    proxy.check(&["elicitation/create (asked by the server) → ok in 1.00 ms (2 B)"]);
    proxy.body(tool, &event(&result(1)));
    proxy.end(tool, &End::Complete);
    proxy.end(stream, &End::ClientClosed);
    let records = proxy.records();
    assert!(records[0].message.starts_with("tools/call t → ok in"));
    assert!(records[1].message.starts_with("GET /mcp → 200 in"));
    assert_eq!(
        records[1].get(attribute::STREAM_EVENTS),
        Some(&Scalar::Integer(1))
    );
    assert_eq!(records.len(), 2);
}

#[test]
fn a_stream_of_a_session_may_be_resumed() {
    let mut proxy = with_session();
    let id = proxy.begin(post(Some("abc")), &call(1, "t"));
    proxy.answer(id, 200, EVENTS, None);
    proxy.body(id, ": nothing yet\n\n");
    proxy.end(id, &End::ClientClosed);
    proxy.check(&[]);
    let again = proxy.begin(head("GET", "/mcp", Some("abc")), "");
    proxy.answer(again, 200, EVENTS, None);
    proxy.body(again, &event(&result(1)));
    proxy.check(&["tools/call t → ok in 6.00 ms (2 B)"]);
    proxy.body(again, &event(&result(1)));
    let records = proxy.check(&["the server answered request 1, which was not recorded"]);
    assert_eq!(records[0].level, Level::Debug);
}

#[test]
fn a_stream_of_2024_11_05_says_where_to_post() {
    let mut proxy = Proxy::new();
    let stream = proxy.begin(head("GET", "/sse", None), "");
    proxy.answer(stream, 200, EVENTS, None);
    proxy.body(stream, "event: endpoint\ndata: /messages?sessionId=7\n\n");
    proxy.exchange(
        head("POST", "/messages?sessionId=7", None),
        &call(1, "t"),
        202,
        "text/plain",
        "Accepted",
    );
    proxy.check(&[]);
    proxy.body(stream, &event(&result(1)));
    let records = proxy.check(&["tools/call t → ok in 4.00 ms (2 B)"]);
    assert_eq!(records[0].get(attribute::SESSION_ID), None);
    proxy.exchange(
        head("POST", "/messages?sessionId=7", None),
        &call(2, "u"),
        202,
        "",
        "",
    );
    proxy.end(stream, &End::ClientClosed);
    proxy.check(&[
        "GET /sse → 200 in 12.0 ms",
        "tools/call u → no answer in 4.00 ms: session ended",
        "MCP session ended: 2 requests, 1 answered, 0 cancelled, 1 unanswered, 0 notifications, \
         0 violations",
    ]);
    proxy.finish();
}

fn stateless(id: u64, tool: &str) -> (RequestHead, String) {
    let head = RequestHead {
        protocol_version: Some("2026-07-28".to_string()),
        mcp_method: Some("tools/call".to_string()),
        mcp_name: Some("t".to_string()),
        ..post(None)
    };
    let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c"}}"#;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","_meta":{meta}}}}}"#
    );
    (head, body)
}

#[test]
fn without_sessions_the_same_id_is_another_request() {
    let mut proxy = Proxy::new();
    let (head, body) = stateless(1, "t");
    let one = proxy.begin(head.clone(), &body);
    let two = proxy.begin(head, &body);
    for id in [two, one] {
        proxy.answer(id, 200, JSON, None);
        proxy.body(id, &result(1));
        proxy.end(id, &End::Complete);
    }
    let records = proxy.check(&[
        "tools/call t → ok in 3.00 ms (2 B)",
        "tools/call t → ok in 7.00 ms (2 B)",
    ]);
    assert_eq!(
        records[0].text(attribute::PROTOCOL_VERSION),
        Some("2026-07-28")
    );
    proxy.finish();
}

#[test]
fn without_sessions_closing_the_stream_cancels() {
    let mut proxy = Proxy::new();
    let (head, body) = stateless(1, "t");
    let id = proxy.begin(head, &body);
    proxy.answer(id, 200, EVENTS, None);
    proxy.end(id, &End::ClientClosed);
    proxy.check(&["tools/call t → cancelled after 2.00 ms: the client closed the connection"]);
    let listen = r#"{"jsonrpc":"2.0","id":2,"method":"subscriptions/listen"}"#;
    let id = proxy.begin(post(None), listen);
    proxy.answer(id, 200, EVENTS, None);
    proxy.body(id, &event(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":2}}}"#));
    proxy.end(id, &End::ClientClosed);
    let records = proxy.check(&[
        "notifications/tools/list_changed",
        "subscriptions/listen → closed after 3.00 ms",
    ]);
    assert_eq!(
        records[1].get(attribute::SUBSCRIPTION_COUNT),
        Some(&Scalar::Integer(1))
    );
}

#[test]
fn headers_that_contradict_the_message_are_a_violation() {
    let mut proxy = Proxy::new();
    let (head, body) = stateless(1, "other");
    proxy.exchange(
        head,
        &body,
        400,
        JSON,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"mismatch"}}"#,
    );
    let records = proxy.check(&[
        "protocol violation: the client sent HTTP headers that contradict the message: \
         Mcp-Name: t, but the message says other",
        "tools/call other → error in 3.00 ms: -32020 mismatch",
    ]);
    assert_eq!(
        records[1].get(attribute::HTTP_STATUS),
        Some(&Scalar::Integer(400))
    );
    let (mut head, body) = stateless(1, "täst");
    head.mcp_name = Some("=?base64?dMOkc3Q=?=".to_string());
    proxy.exchange(head, &body, 200, JSON, &result(1));
    proxy.check(&["tools/call täst → ok in 3.00 ms (2 B)"]);
}

#[test]
fn a_failure_ends_the_requests_that_it_concerns() {
    let mut proxy = Proxy::new();
    let id = proxy.begin(post(None), &call(1, "t"));
    let failed = End::ServerFailed {
        kind: "connect",
        detail: "connection refused".to_string(),
    };
    proxy.answer(id, 502, "application/problem+json", None);
    proxy.body(id, r#"{"title":"Bad Gateway"}"#);
    proxy.end(id, &failed);
    let records = proxy.check(&["tools/call t → error in 3.00 ms: connection refused"]);
    assert_eq!(records[0].text(attribute::ERROR_TYPE), Some("connect"));
    assert_eq!(
        records[0].get(attribute::HTTP_STATUS),
        Some(&Scalar::Integer(502))
    );
    proxy.exchange(post(None), &call(2, "t"), 401, "text/plain", "who are you");
    let records = proxy.check(&["tools/call t → error in 3.00 ms: HTTP status 401"]);
    assert_eq!(records[0].text(attribute::ERROR_TYPE), Some("401"));
    let id = proxy.begin(head("GET", "/mcp", None), "");
    proxy.end(id, &failed);
    let records = proxy.check(&["GET /mcp → connection refused in 1.00 ms"]);
    assert_eq!(records[0].route, Route::Error);
    proxy.finish();
}

#[test]
fn other_exchanges_are_access_records() {
    let mut proxy = Proxy::new();
    proxy.exchange(head("GET", "/mcp?key=secret", None), "", 405, "", "");
    proxy.exchange(
        head("GET", "/.well-known/oauth-protected-resource", None),
        "",
        404,
        JSON,
        "{}",
    );
    proxy.exchange(
        head("POST", "/token", None),
        "grant_type=x&password=y",
        500,
        JSON,
        "{}",
    );
    let records = proxy.records();
    let found: Vec<_> = records
        .iter()
        .map(|record| (record.level, &*record.message))
        .collect();
    assert_eq!(
        found[..2],
        [
            (Level::Info, "GET /mcp → 405 in 3.00 ms"),
            (
                Level::Warn,
                "GET /.well-known/oauth-protected-resource → 404 in 3.00 ms"
            ),
        ]
    );
    assert_eq!(
        found.last().unwrap(),
        &(Level::Error, "POST /token → 500 in 3.00 ms")
    );
    assert!(!format!("{records:?}").contains("password"));
    assert!(!format!("{records:?}").contains("secret"));
}

#[test]
fn a_body_that_was_said_to_be_whole_needs_no_end() {
    let mut proxy = Proxy::new();
    let body = call(1, "t");
    let now = proxy.now();
    let head = RequestHead {
        content_length: Some(body.len() as u64),
        ..post(None)
    };
    proxy.recorder.begin(0, now, head);
    proxy.recorder.request(0, body.as_bytes());
    proxy.answer(0, 200, JSON, None);
    proxy.body(0, &result(1));
    proxy.end(0, &End::Complete);
    proxy.check(&["tools/call t → ok in 2.00 ms (2 B)"]);
}

/// A body that is sent in pieces, of which nobody said how many.
#[track_caller]
fn begin_open(proxy: &mut Proxy, head: RequestHead, body: &str) -> ExchangeId {
    let (id, now) = (proxy.exchanges, proxy.now());
    proxy.exchanges += 1;
    proxy.recorder.begin(id, now, head);
    proxy.recorder.request(id, body.as_bytes());
    id
}

#[test]
fn an_answer_before_the_end_of_the_body_is_paired() {
    for kind in [JSON, EVENTS] {
        let mut proxy = Proxy::new();
        let id = begin_open(&mut proxy, post(None), &call(1, "t"));
        proxy.answer(id, 200, kind, None);
        let body = result(1);
        proxy.body(id, &if kind == JSON { body } else { event(&body) });
        let now = proxy.now();
        proxy.recorder.request_end(id, now, true, &mut proxy.heard);
        proxy.end(id, &End::Complete);
        let records = proxy.records();
        let is_paired = records[0].message.starts_with("tools/call t → ok in ");
        assert!(is_paired && records.len() == 1, "{kind}: {records:?}");
        proxy.finish();
    }
}

#[test]
fn a_head_before_the_request_is_no_answer_to_it() {
    for session in [None, Some("abc")] {
        let mut proxy = with_session();
        let (start, rest) = (&call(1, "t")[..20], &call(1, "t")[20..]);
        let id = begin_open(&mut proxy, post(session), start);
        proxy.answer(id, 200, EVENTS, session);
        proxy.recorder.request(id, rest.as_bytes());
        let now = proxy.now();
        proxy.recorder.request_end(id, now, true, &mut proxy.heard);
        proxy.body(id, &event(&result(1)));
        proxy.end(id, &End::Complete);
        proxy.check(&["tools/call t → ok in 1.00 ms (2 B)"]);
    }
    // A request that is refused before all of it has come.
    let mut proxy = Proxy::new();
    let id = begin_open(&mut proxy, post(None), &call(1, "t")[..20]);
    proxy.answer(id, 413, JSON, None);
    proxy.body(id, r#"{"error":"secret"}"#);
    proxy.end(id, &End::Complete);
    let records = proxy.check(&["POST /mcp → 413 in 3.00 ms"]);
    assert!(!format!("{records:?}").contains("secret"));
    proxy.finish();
}

#[test]
fn an_answer_on_another_stream_waits_for_the_end_of_the_body() {
    let mut proxy = with_session();
    let stream = proxy.begin(head("GET", "/mcp", Some("abc")), "");
    proxy.answer(stream, 200, EVENTS, None);
    let one = begin_open(&mut proxy, post(Some("abc")), &call(1, "t"));
    let two = begin_open(&mut proxy, post(Some("abc")), &call(2, "u"));
    proxy.body(stream, &event(&result(2)));
    proxy.body(stream, &event(&result(1)));
    proxy.body(stream, &event(&result(3)));
    for id in [one, two] {
        let now = proxy.now();
        proxy.recorder.request_end(id, now, true, &mut proxy.heard);
        proxy.answer(id, 202, "", None);
        proxy.end(id, &End::Complete);
    }
    proxy.check(&[
        "tools/call t → ok in 0.00 ms (2 B)",
        "tools/call u → ok in 0.00 ms (2 B)",
        "the server answered request 3, which was not recorded",
    ]);
    // A body that breaks off, or is lost, is waited for no longer.
    for end in [false, true] {
        let id = begin_open(&mut proxy, post(Some("abc")), &call(4, "v")[..20]);
        proxy.body(stream, &event(&result(4)));
        proxy.check(&[]);
        let now = proxy.now();
        match end {
            true => proxy.end(id, &End::ClientClosed),
            false => proxy.recorder.request_gap(id, now, 9, &mut proxy.heard),
        }
        let records = proxy.records();
        let told = "the server answered request 4, which was not recorded";
        assert!(
            records.iter().any(|record| record.message == told),
            "{records:?}"
        );
    }
}

#[test]
fn a_body_that_stays_open_holds_answers_for_a_while_only() {
    let mut proxy = with_session();
    let stream = proxy.begin(head("GET", "/mcp", Some("abc")), "");
    proxy.answer(stream, 200, EVENTS, None);
    begin_open(&mut proxy, post(Some("abc")), "");
    proxy.body(stream, &event(&result(9)));
    let held_ms = proxy.ms;
    // Others are answered meanwhile.
    proxy.exchange(post(Some("abc")), &call(1, "t"), 200, JSON, &result(1));
    proxy.check(&["tools/call t → ok in 3.00 ms (2 B)"]);
    let mut tick = |after_ns: i64| {
        let now = Timestamp(held_ms * 1_000_000 + after_ns);
        proxy.recorder.tick(now, &mut proxy.heard);
        proxy.records().len()
    };
    assert_eq!(tick(EARLY_AFTER_NS - 1), 0);
    assert_eq!(tick(EARLY_AFTER_NS), 1);
    assert_eq!(tick(2 * EARLY_AFTER_NS), 0);
}

#[test]
fn what_was_not_recorded_is_said() {
    let mut proxy = Proxy::new();
    let id = proxy.begin(post(None), &call(1, "t"));
    proxy.answer(id, 200, JSON, None);
    proxy.body(id, r#"{"jsonrpc":"2.0","#);
    let now = proxy.now();
    proxy.recorder.answer_gap(id, now, 500, &mut proxy.heard);
    proxy.end(id, &End::Complete);
    let records = proxy.records();
    assert_eq!(
        records[0].message,
        "recording gap: 500 B from the server were not recorded"
    );
    assert_eq!(records[1].get(attribute::INCOMPLETE), Some(&true.into()));
    let id = proxy.exchanges;
    proxy.exchanges += 1;
    proxy.recorder.begin(id, now, post(None));
    proxy.recorder.request_gap(id, now, 40, &mut proxy.heard);
    proxy.recorder.request_end(id, now, true, &mut proxy.heard);
    proxy.answer(id, 200, JSON, None);
    proxy.body(id, &result(9));
    proxy.end(id, &End::Complete);
    let records = proxy.records();
    assert_eq!(
        records[0].message,
        "recording gap: 40 B from the client were not recorded"
    );
    assert_eq!(
        records[1].message,
        "the server answered request 9, which was not recorded"
    );
    proxy.finish();
}

#[test]
fn what_is_held_is_bounded() {
    let mut proxy = Proxy::new();
    let big = vec![b' '; MESSAGE_BYTES_MAX / 2];
    for id in 0..12 {
        let now = proxy.now();
        proxy.recorder.begin(id, now, post(None));
        proxy.recorder.request(id, &big);
        assert!(proxy.recorder.held_bytes <= HELD_BYTES_MAX);
    }
    proxy.finish();
    let mut proxy = Proxy::new();
    for id in 0..SESSIONS_MAX + 5 {
        proxy.exchange(post(Some(&format!("s{id}"))), "", 202, "", "");
        assert!(proxy.recorder.sessions.len() <= SESSIONS_MAX);
    }
    proxy.ms += SESSION_IDLE_NS / 1_000_000;
    let now = proxy.now();
    proxy.recorder.tick(now, &mut proxy.heard);
    assert!(proxy.recorder.sessions.is_empty());
}

#[test]
fn an_endpoint_is_relative_to_its_stream() {
    for (stream, endpoint, expected) in [
        ("/sse", "/messages?s=1", Some("/messages?s=1")),
        ("/a/sse?x", "messages?s=1", Some("/a/messages?s=1")),
        ("/a/sse", "?s=1", Some("/a/sse?s=1")),
        ("/sse", "http://host:1/m?s=1", Some("/m?s=1")),
        ("/sse", "http://host", None),
        ("/sse", " ", None),
    ] {
        assert_eq!(endpoint_path(stream, endpoint).as_deref(), expected);
    }
}
