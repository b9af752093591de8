//! The live tail over both ways.
use crate::harness::{BOOTSTRAP_KEY, Harness, PASSWORD, recent, send};
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest, http::HeaderValue},
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Tail {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

async fn connect(
    harness: &Harness,
    parameters: &str,
    headers: &[(&'static str, &str)],
) -> Result<Tail, tungstenite::Error> {
    connect_to(harness, &format!("/ws/logs?{parameters}"), headers).await
}

async fn connect_to(
    harness: &Harness,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<Tail, tungstenite::Error> {
    let url = format!("{}{path}", harness.base.replace("http", "ws"));
    let mut request = url.into_client_request()?;
    for (name, value) in headers {
        request
            .headers_mut()
            .insert(*name, HeaderValue::from_str(value).unwrap());
    }
    let (socket, _) = connect_async(request).await?;
    Ok(Tail { socket })
}

impl Tail {
    pub async fn open(harness: &Harness, parameters: &str) -> Tail {
        Tail::open_as(harness, BOOTSTRAP_KEY, parameters).await
    }

    pub async fn open_as(harness: &Harness, key: &str, parameters: &str) -> Tail {
        Tail::open_at(harness, &format!("/ws/logs?{parameters}"), key).await
    }

    /// The tail at a path.
    pub async fn open_at(harness: &Harness, path: &str, key: &str) -> Tail {
        let bearer = format!("Bearer {key}");
        connect_to(harness, path, &[("authorization", &bearer)])
            .await
            .unwrap()
    }

    /// The status with which the tail at a path is refused.
    pub async fn refused(harness: &Harness, path: &str, key: &str) -> u16 {
        let bearer = format!("Bearer {key}");
        match connect_to(harness, path, &[("authorization", &bearer)]).await {
            Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
            other => panic!("{path}: {:?}", other.map(|_| ())),
        }
    }

    /// The next message of any kind; `None` when the connection has ended.
    async fn message(&mut self) -> Option<Value> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next())
                .await
                .unwrap();
            match next {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return None,
            }
        }
    }

    /// The next record.
    pub async fn entry(&mut self) -> Value {
        loop {
            let mut message = self.message().await.unwrap();
            if message["type"] == "log_entry" {
                return message["data"].take();
            }
            assert_eq!(message["type"], "cursor", "{message}");
        }
    }

    pub async fn texts(&mut self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < count {
            texts.push(self.entry().await["message"].as_str().unwrap().to_owned());
        }
        texts
    }

    pub async fn cursor(&mut self) -> String {
        loop {
            let message = self.message().await.unwrap();
            if message["type"] == "cursor" {
                return message["cursor"].as_str().unwrap().to_owned();
            }
        }
    }
}

#[tokio::test]
async fn the_latest_then_every_new_record_once_in_order_of_arrival() {
    let harness = Harness::start().await;
    harness.store("app.backend", &["m0", "m1", "m2"]).await;
    let mut tail = Tail::open(&harness, "backlog=2").await;
    assert_eq!(tail.texts(2).await, ["m1", "m2"]);
    // What arrives later comes later, whatever its time says.
    let late = json!({ "timestamp": recent(0), "message": "late" }).to_string();
    harness.ingest("app.backend", late).await.data();
    harness.store("machine", &["m3"]).await;
    assert_eq!(tail.texts(2).await, ["late", "m3"]);
}

#[tokio::test]
async fn only_what_matches() {
    let harness = Harness::start().await;
    let mut tail = Tail::open(&harness, "query=level:error&streams=app.*&search=boom").await;
    for (stream, level, message) in [
        ("app.backend", "info", "boom"),
        ("machine", "error", "boom"),
        ("app.backend", "error", "quiet"),
        ("app.backend", "error", "the boom"),
    ] {
        let body = json!({ "level": level, "message": message }).to_string();
        harness.ingest(stream, body).await.data();
    }
    assert_eq!(tail.entry().await["message"], "the boom");
}

#[tokio::test]
async fn two_senders_each_record_once() {
    const EACH: usize = 50_000;
    const BATCH: usize = 500;
    let harness = Harness::start().await;
    let mut tail = Tail::open(&harness, "").await;
    let sender = async |name: &str| {
        for batch in 0..EACH / BATCH {
            let lines: Vec<_> = (0..BATCH)
                .map(|index| format!("{{\"message\":\"{name} {:05}\"}}", batch * BATCH + index))
                .collect();
            harness.ingest("app.backend", lines.join("\n")).await.data();
        }
    };
    let (_, _, texts) = tokio::join!(sender("a"), sender("b"), tail.texts(2 * EACH));
    for name in ["a", "b"] {
        let of: Vec<_> = texts.iter().filter(|text| text.starts_with(name)).collect();
        let expected: Vec<_> = (0..EACH)
            .map(|index| format!("{name} {index:05}"))
            .collect();
        assert_eq!(of, expected.iter().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_cursor_goes_on_where_it_was() {
    let harness = Harness::start().await;
    let mut tail = Tail::open(&harness, "").await;
    harness.store("app.backend", &["a", "b"]).await;
    let first = tail.message().await.unwrap();
    assert_eq!(first["data"]["message"], "a");
    let after_a = first["cursor"].as_str().unwrap().to_owned();
    tail.texts(1).await;
    let after_b = tail.cursor().await;
    drop(tail);
    harness.store("app.backend", &["c"]).await;
    // A cursor makes a backlog unnecessary.
    let mut resumed = Tail::open(&harness, &format!("backlog=100&cursor={after_a}")).await;
    assert_eq!(resumed.texts(2).await, ["b", "c"]);
    let mut resumed = Tail::open(&harness, &format!("cursor={after_b}")).await;
    assert_eq!(resumed.texts(1).await, ["c"]);
}

#[tokio::test]
async fn a_revoked_key_loses_its_tail() {
    let harness = Harness::start().await;
    let (_, key) = harness.account("jane", "user", &["u1"]).await;
    let mut tail = Tail::open_as(&harness, &key, "").await;
    harness
        .ingest("app.backend", r#"{"message":"m","user_id":"u1"}"#)
        .await
        .data();
    assert_eq!(tail.texts(1).await, ["m"]);
    let request = harness.admin(Method::DELETE, "/api/v1/keys/1");
    assert_eq!(send(request).await.status, 204);
    let ended = async {
        let mut last = Value::Null;
        while let Some(message) = tail.message().await {
            last = message;
        }
        last
    };
    let last = tokio::time::timeout(PATIENCE, ended).await.unwrap();
    assert_eq!(
        (&last["type"], &last["status"]),
        (&json!("error"), &json!(401))
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_too_and_harms_nobody() {
    let harness = Harness::start().await;
    let (_, key) = harness.account("jane", "user", &["u1"]).await;
    let stalled = Tail::open_as(&harness, &key, "").await;
    let mut reading = Tail::open(&harness, "").await;
    // More than the buffers of both ends of the connection hold.
    let text = "x".repeat(1_000_000);
    let line = json!({ "message": text, "user_id": "u1" }).to_string();
    for _ in 0..20 {
        harness.ingest("app.backend", line.clone()).await.data();
    }
    assert_eq!(reading.texts(20).await.len(), 20);
    let open = async || {
        let text = harness.get("/metrics").await.text;
        let line = text
            .lines()
            .find(|line| line.starts_with("taffrail_tails_open "));
        line.unwrap().to_owned()
    };
    assert_eq!(open().await, "taffrail_tails_open 2");
    send(harness.admin(Method::DELETE, "/api/v1/keys/1")).await;
    let cut_off = async { while open().await != "taffrail_tails_open 1" {} };
    tokio::time::timeout(PATIENCE, cut_off).await.unwrap();
    drop(stalled);
}

#[tokio::test]
async fn a_change_of_rights_shows_while_the_tail_is_open() {
    let harness = Harness::start().await;
    let (id, key) = harness.account("jane", "user", &["u1"]).await;
    let mut tail = Tail::open_as(&harness, &key, "").await;
    let both = "{\"message\":\"one\",\"user_id\":\"u1\"}\n{\"message\":\"two\",\"user_id\":\"u2\"}";
    harness.ingest("app.backend", both).await.data();
    assert_eq!(tail.texts(1).await, ["one"]);
    let path = format!("/api/v1/users/{id}");
    let body = json!({ "own_user_ids": ["u2"] });
    send(harness.admin(Method::PATCH, &path).json(&body))
        .await
        .data();
    // Until the rights are looked up again they are as before. One cursor comes each second.
    let changed = async {
        loop {
            tail.cursor().await;
            harness.ingest("app.backend", both).await.data();
            let text = tail.texts(1).await;
            if text == ["two"] {
                return;
            }
            assert_eq!(text, ["one"]);
        }
    };
    tokio::time::timeout(PATIENCE, changed).await.unwrap();
    harness.ingest("app.backend", both).await.data();
    assert_eq!(tail.texts(1).await, ["two"]);
}

#[tokio::test]
async fn faults_are_answered_before_the_upgrade() {
    let harness = Harness::start().await;
    let bearer = format!("Bearer {BOOTSTRAP_KEY}");
    let refused = async |parameters: &str, headers: &[(&'static str, &str)]| match connect(
        &harness, parameters, headers,
    )
    .await
    {
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        other => panic!("{parameters}: {:?}", other.map(|_| ())),
    };
    for (parameters, expected) in [
        ("query=(", 400),
        ("cursor=x", 400),
        ("backlog=10001", 422),
        ("unknown=1", 422),
        ("streams=nothing", 404),
    ] {
        let status = refused(parameters, &[("authorization", &bearer)]).await;
        assert_eq!(status, expected, "{parameters}");
    }
    assert_eq!(refused("", &[]).await, 401);
    let foreign = ("origin", "https://evil.example");
    assert_eq!(
        refused("", &[("authorization", &bearer), foreign]).await,
        403
    );
    harness.account("jane", "user", &[]).await;
    let cookie = harness.login("jane", PASSWORD).await.unwrap();
    assert_eq!(refused("", &[("cookie", &cookie)]).await, 403);
    assert_eq!(refused("", &[("cookie", &cookie), foreign]).await, 403);
    let own = ("origin", harness.base.as_str());
    assert!(
        connect(&harness, "", &[("cookie", &cookie), own])
            .await
            .is_ok()
    );
    assert!(
        connect(&harness, "backlog=10000", &[("authorization", &bearer)])
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_client_that_leaves_gives_its_place_back() {
    let harness = Harness::start().await;
    let mut tail = Tail::open(&harness, "").await;
    let open = async || {
        let text = harness.get("/metrics").await.text;
        let line = text
            .lines()
            .find(|line| line.starts_with("taffrail_tails_open "));
        line.unwrap().to_owned()
    };
    assert_eq!(open().await, "taffrail_tails_open 1");
    tail.socket.send(Message::Close(None)).await.unwrap();
    while tail.message().await.is_some() {}
    let left = async { while open().await != "taffrail_tails_open 0" {} };
    tokio::time::timeout(PATIENCE, left).await.unwrap();
}

#[tokio::test]
async fn a_stop_ends_the_tails() {
    let mut harness = Harness::start().await;
    let mut tail = Tail::open(&harness, "").await;
    let server = harness.take_server();
    let stopping = tokio::spawn(server.stop());
    let mut last = Value::Null;
    while let Some(message) = tail.message().await {
        last = message;
    }
    assert_eq!(last["status"], 503);
    stopping.await.unwrap().unwrap();
}

/// Events of an open SSE response: (event, id, data).
async fn events(
    response: reqwest::Response,
    enough: impl Fn(&[(String, String, Value)]) -> bool,
) -> Vec<(String, String, Value)> {
    let mut stream = response.bytes_stream();
    let mut text = String::new();
    let mut events = Vec::new();
    while !enough(&events) {
        let chunk = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap();
        text.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
        while let Some(end) = text.find("\n\n") {
            let block: String = text.drain(..end + 2).collect();
            let field = |name: &str| {
                let line = block.lines().find(|line| line.starts_with(name));
                line.map_or("", |line| line[name.len() + 1..].trim())
                    .to_owned()
            };
            if !field("event").is_empty() {
                let data = serde_json::from_str(&field("data")).unwrap();
                events.push((field("event"), field("id"), data));
            }
        }
    }
    events
}

#[tokio::test]
async fn server_sent_events_and_their_ids() {
    let harness = Harness::start().await;
    harness.store("app.backend", &["m0", "m1"]).await;
    let open = async |path: &str, id: &str| {
        let request = harness.admin(Method::GET, path).header("last-event-id", id);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        response
    };
    let response = open("/api/v1/tail?backlog=1", "").await;
    harness.store("app.backend", &["m2", "m3"]).await;
    let entries = |events: &[(String, String, Value)]| -> Vec<String> {
        let entries = events.iter().filter(|(kind, ..)| kind == "log_entry");
        entries
            .map(|(.., data)| data["data"]["message"].as_str().unwrap().to_owned())
            .collect()
    };
    let got = events(response, |events| entries(events).len() == 3).await;
    assert_eq!(entries(&got), ["m1", "m2", "m3"]);
    let (_, id, _) = got
        .iter()
        .find(|(_, _, data)| data["data"]["message"] == "m2")
        .unwrap();
    let response = open("/api/v1/tail", id).await;
    let got = events(response, |events| entries(events).len() == 1).await;
    assert_eq!(entries(&got), ["m3"]);
    let answer = harness.get("/api/v1/tail?query=(").await;
    assert_eq!(answer.problem(), (400, "invalid-query".into()));
}

#[tokio::test]
async fn a_stalled_client_is_told_how_many_records_it_lost() {
    const BATCH: usize = 25_000;
    const BATCHES: usize = 12;
    let harness = Harness::start().await;
    let mut tail = Tail::open(&harness, "").await;
    for batch in 0..BATCHES {
        let lines: Vec<_> = (0..BATCH)
            .map(|index| format!("{{\"message\":\"m\",\"n\":{}}}", batch * BATCH + index))
            .collect();
        harness.ingest("app.backend", lines.join("\n")).await.data();
    }
    let (mut received, mut dropped) = (Vec::new(), 0);
    while received.len() + dropped < BATCH * BATCHES {
        let message = tail.message().await.unwrap();
        match message["type"].as_str() {
            Some("log_entry") => received.push(message["data"]["n"].as_u64().unwrap()),
            Some("dropped") => {
                dropped += usize::try_from(message["count"].as_u64().unwrap()).unwrap();
                // After a break they are not counted again.
                assert!(message["cursor"].is_string(), "{message}");
            }
            _ => {}
        }
    }
    assert_eq!(received.len() + dropped, BATCH * BATCHES);
    assert!(dropped > 0);
    assert!(received.is_sorted_by(|a, b| a < b));
    assert_eq!(
        received.last(),
        Some(&u64::try_from(BATCH * BATCHES - 1).unwrap())
    );
}
