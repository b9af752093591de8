use super::{pass::target, *};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::any,
};
use futures_util::StreamExt;
use std::{
    net::Ipv4Addr,
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};
use taffrail_ingest::mcp::{
    attribute,
    record::{Route, Scalar},
};
use tokio::sync::{mpsc as channel, oneshot};

/// How long a test waits for what must happen.
const DEADLINE: Duration = Duration::from_secs(20);

type Piece = Result<Vec<u8>, io::Error>;

/// A server behind: what it was asked, and the pieces that it answers streams with.
#[derive(Clone, Default)]
struct Behind {
    /// Method, path, headers as lines.
    heads: Arc<Mutex<Vec<String>>>,
    pieces: Arc<Mutex<Option<channel::Receiver<Piece>>>>,
}

async fn answer(State(behind): State<Behind>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut head = format!("{} {}\n", parts.method, parts.uri);
    for (name, value) in &parts.headers {
        head.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
    }
    behind.heads.lock().unwrap().push(head);
    match parts.uri.path() {
        "/echo" => Response::builder()
            .header("content-type", "application/octet-stream")
            .header("x-own", "kept")
            .header("connection", "x-hop")
            .header("x-hop", "1")
            .body(body)
            .unwrap(),
        "/moved" => (axum::http::StatusCode::FOUND, [("location", "/echo")]).into_response(),
        "/events" => {
            let mut pieces = behind.pieces.lock().unwrap().take().unwrap();
            let pieces = futures_util::stream::poll_fn(move |cx| pieces.poll_recv(cx));
            Response::builder()
                .header("content-type", "text/event-stream")
                .body(Body::from_stream(pieces))
                .unwrap()
        }
        _ => mcp(body).await,
    }
}

/// Answers each request with its own id, notifications with 202.
async fn mcp(body: Body) -> Response {
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let message: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let Some(id) = message.get("id") else {
        return axum::http::StatusCode::ACCEPTED.into_response();
    };
    let result = serde_json::json!({"jsonrpc": "2.0", "id": id, "result": {"protocolVersion": "2025-11-25"}});
    let session = [("mcp-session-id", "s1")];
    if message["params"]["stream"] == true {
        let note = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"on it"}}"#;
        let text = format!("data: {note}\n\ndata: {result}\n\n");
        return (session, [("content-type", "text/event-stream")], text).into_response();
    }
    (session, axum::Json(result)).into_response()
}

struct Collected(mpsc::Sender<Record>);

impl Sink for Collected {
    type Rest = ();

    fn record(&mut self, stream: &str, record: Record) {
        assert_eq!(stream, record.route.stream());
        self.0.send(record).unwrap();
    }

    fn tend(&mut self, _: Timestamp) -> Duration {
        BUSY
    }

    fn finish(self, _: Timestamp, _: Instant) {}
}

/// A proxy before a server.
struct Proxied {
    behind: Behind,
    direct: String,
    url: String,
    client: reqwest::Client,
    stop: oneshot::Sender<()>,
    accepting: tokio::task::JoinHandle<()>,
    recording: JoinHandle<()>,
    records: mpsc::Receiver<Record>,
}

impl Proxied {
    async fn start() -> Proxied {
        let behind = Behind::default();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let direct = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .fallback(any(answer))
            .with_state(behind.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Proxied::before(behind, direct).await
    }

    async fn before(behind: Behind, direct: String) -> Proxied {
        let to: Url = format!("{direct}/mcp").parse().unwrap();
        let (tap, tapped) = tap::tap();
        let mcp = session_recorder(&to, 0);
        let loopback = Ipv4Addr::LOCALHOST.into();
        let gateway = Gateway::new(to, loopback, vec!["named.test".to_string()], tap).unwrap();
        let (sender, records) = mpsc::channel();
        let recording =
            std::thread::spawn(move || recorder::run(&tapped, mcp, Collected(sender), SEND_MAX));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let stopped = async { stopped.await.unwrap() };
        Proxied {
            behind,
            direct,
            url,
            client: reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
            stop,
            accepting: tokio::spawn(accept(listener, Arc::new(gateway), stopped)),
            recording,
            records,
        }
    }

    fn post(&self, path: &str, body: &str) -> reqwest::RequestBuilder {
        let request = self.client.post(format!("{}{path}", self.url));
        request
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    /// Ends the proxy; what it recorded.
    async fn finish(self) -> Vec<Record> {
        drop(self.client);
        self.stop.send(()).unwrap();
        self.accepting.await.unwrap();
        tokio::task::spawn_blocking(|| self.recording.join().unwrap())
            .await
            .unwrap();
        self.records.try_iter().collect()
    }
}

#[track_caller]
fn check(records: &[Record], expected: &[&str]) {
    // Up to where the time begins.
    let start = |record: &Record| {
        let text = &record.message;
        text.split_inclusive(" in ")
            .next()
            .unwrap_or(text)
            .to_string()
    };
    assert_eq!(records.iter().map(start).collect::<Vec<_>>(), expected);
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.unwrap()
}

fn call(id: u64, stream: bool) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t","stream":{stream}}}}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_paired_with_their_answers() {
    let proxied = Proxied::start().await;
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize"}"#;
    let answer = proxied.post("/", initialize).send().await.unwrap();
    assert_eq!(answer.headers()["mcp-session-id"], "s1");
    assert_eq!(answer.headers()["content-type"], "application/json");
    answer.bytes().await.unwrap();
    for (id, stream) in [(1, false), (2, true)] {
        let request = proxied
            .post("/mcp", &call(id, stream))
            .header("mcp-session-id", "s1");
        let text = request.send().await.unwrap().text().await.unwrap();
        assert!(text.contains(&format!("\"id\":{id}")), "{text}");
    }
    let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let request = proxied.post("/mcp", note).header("mcp-session-id", "s1");
    assert_eq!(request.send().await.unwrap().status(), 202);
    let heads = proxied.behind.heads.lock().unwrap().clone();
    assert!(heads[0].starts_with("POST /mcp\n"), "{}", heads[0]);
    let port = proxied.direct.rsplit(':').next().unwrap().parse().unwrap();
    let records = proxied.finish().await;
    check(
        &records,
        &[
            "initialize → ok in ",
            "tools/call t → ok in ",
            "on it",
            "tools/call t → ok in ",
            "notifications/initialized",
            "MCP session ended: 3 requests, 3 answered, 0 cancelled, 0 unanswered, 2 notifications, 0 violations",
        ],
    );
    let record = &records[1];
    assert_eq!(record.route, Route::Access);
    assert_eq!(record.text(attribute::SESSION_ID), Some("s1"));
    assert_eq!(record.text(attribute::TOOL_NAME), Some("t"));
    assert_eq!(record.text(attribute::TRANSPORT), Some("tcp"));
    assert_eq!(
        record.text(attribute::NETWORK_PROTOCOL_VERSION),
        Some("1.1")
    );
    assert_eq!(record.text(attribute::SERVER_ADDRESS), Some("127.0.0.1"));
    assert_eq!(
        record.get(attribute::SERVER_PORT),
        Some(&Scalar::Integer(port))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_and_heads_pass_as_they_are() {
    let proxied = Proxied::start().await;
    let bytes: Vec<u8> = (0..3_000_017_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut answers = Vec::new();
    for base in [&proxied.direct, &proxied.url] {
        let pieces: Vec<Piece> = bytes
            .chunks(70_001)
            .map(|piece| Ok(piece.to_vec()))
            .collect();
        let request = proxied
            .client
            .post(format!("{base}/echo?a=%20b&c"))
            .header("authorization", "Bearer t")
            .header("origin", "http://elsewhere")
            .header("mcp-protocol-version", "2025-11-25")
            .header("connection", "x-mine")
            .header("x-mine", "1")
            .body(reqwest::Body::wrap_stream(futures_util::stream::iter(
                pieces,
            )));
        let answer = request.send().await.unwrap();
        let own = answer.headers()["x-own"].to_str().unwrap().to_string();
        let hop = answer.headers().contains_key("x-hop");
        answers.push((answer.status(), own, hop, answer.bytes().await.unwrap()));
    }
    assert!(answers[0].3 == bytes && answers[1].3 == bytes);
    assert_eq!(answers[1].1, "kept");
    assert!(answers[0].2 && !answers[1].2);
    let moved = proxied
        .client
        .get(format!("{}/moved", proxied.url))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            moved.status().as_u16(),
            moved.headers()["location"].to_str().unwrap()
        ),
        (302, "/echo")
    );
    let head = proxied.behind.heads.lock().unwrap()[1].clone();
    let host = proxied.direct.trim_start_matches("http://");
    let asked = proxied.url.trim_start_matches("http://");
    assert!(head.starts_with("POST /echo?a=%20b&c\n"), "{head}");
    for line in [
        "authorization: Bearer t",
        "origin: http://elsewhere",
        "mcp-protocol-version: 2025-11-25",
        "accept-encoding: identity",
        "via: 1.1 taffrail",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        &format!("host: {host}"),
        &format!("x-forwarded-host: {asked}"),
    ] {
        assert!(
            head.lines().any(|have| have == line),
            "{line} is not in\n{head}"
        );
    }
    assert!(!head.contains("x-mine"), "{head}");
    check(
        &proxied.finish().await,
        &["POST /echo → 200 in ", "GET /moved → 302 in "],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_one_by_one_and_the_end_of_a_client_is_felt() {
    let proxied = Proxied::start().await;
    let (send, pieces) = channel::channel(1);
    *proxied.behind.pieces.lock().unwrap() = Some(pieces);
    let listen = r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"slow","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    let answer = within(proxied.post("/events", listen).send())
        .await
        .unwrap();
    let mut events = answer.bytes_stream();
    for n in 0..20 {
        // The next is not said before this one is here: none waits for another.
        let event = format!("data: {{\"jsonrpc\":\"2.0\",\"method\":\"n{n}\"}}\n\n");
        send.send(Ok(event.clone().into_bytes())).await.unwrap();
        let found = within(events.next()).await.unwrap().unwrap();
        assert_eq!(found, event);
    }
    drop(events);
    // The server notices only if the proxy lets go of its answer.
    within(send.closed()).await;
    let records = proxied.finish().await;
    assert_eq!(records.len(), 21);
    assert_eq!(records[19].message, "n19");
    assert!(
        records[20]
            .message
            .starts_with("tools/call slow → cancelled after"),
        "{}",
        records[20].message
    );
}

#[test]
fn a_piece_is_taken_only_when_the_client_takes_it() {
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = taken.clone();
    let pieces = futures_util::stream::repeat_with(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok::<_, io::Error>("piece")
    });
    let (tap, _tapped) = tap::tap();
    let exchange = Arc::new(tap).begin(Default::default());
    let behind = hyper::Response::new(reqwest::Body::wrap_stream(pieces));
    let mut answer = pass::passed(behind, pass::Guard(exchange));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    for n in 1..=100 {
        let piece = hyper::body::Body::poll_frame(Pin::new(answer.body_mut()), &mut cx);
        assert!(piece.is_ready());
        assert_eq!(taken.load(Ordering::Relaxed), n);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_breaks_off_or_is_away_is_recorded() {
    let proxied = Proxied::start().await;
    let (send, pieces) = channel::channel(1);
    *proxied.behind.pieces.lock().unwrap() = Some(pieces);
    let answer = within(proxied.post("/events", &call(1, true)).send())
        .await
        .unwrap();
    send.send(Ok(b": hello\n\n".to_vec())).await.unwrap();
    send.send(Err(io::Error::other("crash"))).await.unwrap();
    assert!(within(answer.bytes()).await.is_err());
    let records = proxied.finish().await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].text(attribute::ERROR_TYPE), Some("broken"));
    // A port that was free a moment ago.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let proxied = Proxied::before(Behind::default(), nobody).await;
    let answer = within(proxied.post("/mcp", &call(1, false)).send())
        .await
        .unwrap();
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(problem["status"], 502);
    let records = proxied.finish().await;
    check(&records, &["tools/call t → error in "]);
    assert_eq!(records[0].text(attribute::ERROR_TYPE), Some("connect"));
    assert_eq!(
        records[0].get(attribute::HTTP_STATUS),
        Some(&Scalar::Integer(502))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loopback_address_is_called_by_local_names_only() {
    let proxied = Proxied::start().await;
    for (host, status) in [
        ("127.0.0.1:1", 200),
        ("localhost", 200),
        ("[::1]:80", 200),
        ("Named.Test", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example:80", 403),
    ] {
        let request = proxied.post("/mcp", &call(1, false)).header("host", host);
        let answer = within(request.send()).await.unwrap();
        assert_eq!(answer.status(), status, "{host}");
    }
    assert_eq!(proxied.behind.heads.lock().unwrap().len(), 4);
    let records = proxied.finish().await;
    let refused = |record: &&Record| record.message.starts_with("POST /mcp → 403 in ");
    assert_eq!(records.iter().filter(refused).count(), 3);
}

#[test]
fn a_target_is_the_same_path_and_the_root_is_the_address() {
    for (to, asked, expected) in [
        ("https://a.b/mcp", "/", "https://a.b/mcp"),
        ("https://a.b/mcp?k=1", "/?x=2", "https://a.b/mcp?x=2"),
        ("https://a.b/mcp", "/mcp", "https://a.b/mcp"),
        (
            "https://a.b:8443/mcp",
            "/.well-known/x?y",
            "https://a.b:8443/.well-known/x?y",
        ),
        ("http://a.b", "/messages?s=1", "http://a.b/messages?s=1"),
        (
            "http://a.b",
            "//evil.example/x",
            "http://a.b//evil.example/x",
        ),
    ] {
        let found = target(&to.parse().unwrap(), &asked.parse().unwrap()).unwrap();
        assert_eq!(found.as_str(), expected);
    }
}
