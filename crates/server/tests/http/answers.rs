//! Answers that are not read take bounded memory, and what is malformed is told as well as it can be.
use crate::harness::{BOOTSTRAP_KEY, Harness, send};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;
use taffrail_model::limits::{PAGE_BYTES_MAX, QUERY_BYTES_MAX};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// The head of an answer, of which no more is read than has to be.
struct Unread {
    head: String,
    _stream: TcpStream,
}

impl Unread {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }
}

/// Sends bytes as they are and reads the head of the answer. The client's side takes as little as
/// it can, so that the rest of the answer stays with the server.
async fn raw(harness: &Harness, request: &str) -> Unread {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(harness.server().address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    Unread {
        head: String::from_utf8(head).unwrap().to_lowercase(),
        _stream: stream,
    }
}

async fn page(harness: &Harness) -> Unread {
    let request = format!(
        "GET /api/v1/search?count=false HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {BOOTSTRAP_KEY}\r\n\r\n"
    );
    raw(harness, &request).await
}

#[tokio::test]
async fn clients_that_do_not_read_hold_bounded_memory() {
    let harness = Harness::start().await;
    let record = json!({ "message": "x".repeat(1_000_000) }).to_string();
    let records = 2 * PAGE_BYTES_MAX / record.len();
    harness
        .ingest("app.backend", vec![record; records].join("\n"))
        .await
        .data();
    // A page is cut where it is too large, and whoever reads gets all of it.
    let data = harness.get("/api/v1/search").await.data();
    let first = data["records"].as_array().unwrap().len();
    assert!(first > 0 && first < records, "{first} of {records}");
    let path = format!("/api/v1/search?cursor={}", data["cursor"].as_str().unwrap());
    let rest = harness.get(&path).await.data();
    assert_eq!(rest["records"].as_array().unwrap().len(), records - first);

    let mut taken = Vec::new();
    let mut refused = Vec::new();
    for _ in 0..16 {
        let unread = page(&harness).await;
        match unread.status() {
            "200" => taken.push(unread),
            "503" => refused.push(unread),
            _ => panic!("{}", unread.head),
        }
    }
    // 64 MiB in all.
    assert_eq!(taken.len(), 64 * 1_048_576 / (first * 1_000_000));
    for unread in &refused {
        assert!(
            unread.head.contains("\r\nretry-after: 1\r\n"),
            "{}",
            unread.head
        );
        assert!(unread.head.contains("application/problem+json"));
    }
    // Small answers are not refused for those who do not read; what is durable is not either.
    let small = harness.get("/api/v1/search?limit=0&fields=level").await;
    assert_eq!(small.data()["total"], records);
    let broken = "{broken\n".repeat(90_000) + &json!({ "message": "m" }).to_string();
    let answer = harness.ingest("app.backend", broken).await.data();
    assert_eq!(
        (&answer["accepted"], &answer["rejected_total"]),
        (&json!(1), &json!(90_000))
    );
    assert_eq!(answer["rejected"].as_array().unwrap().len(), 100);
    // Once they are gone there is room again.
    drop(taken);
    let again = async {
        while page(&harness).await.status() != "200" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again)
        .await
        .unwrap();
}

#[tokio::test]
async fn uris_at_and_past_their_limit() {
    let harness = Harness::start().await;
    let limit = 3 * QUERY_BYTES_MAX + 8_192;
    let path = "/api/v1/search?limit=0&query=";
    for (bytes, expected) in [
        (limit, (400, "invalid-query")),
        (limit + 1, (414, "uri-too-long")),
        (65_000, (414, "uri-too-long")),
    ] {
        let uri = format!("{path}{}", "a".repeat(bytes - path.len()));
        let answer = send(harness.admin(Method::GET, &uri)).await;
        assert_eq!(answer.problem(), (expected.0, expected.1.into()), "{bytes}");
    }
    // A query of full length fits, however it is escaped.
    let words = "%61".repeat(QUERY_BYTES_MAX);
    assert_eq!(
        harness.get(&format!("{path}{words}")).await.data()["total"],
        0
    );
}

/// What the connection itself refuses has a status and nothing else: the guide says so.
#[tokio::test]
async fn what_is_no_http_is_refused_without_a_body() {
    let harness = Harness::start().await;
    let long = format!("GET /{} HTTP/1.1\r\nhost: h\r\n\r\n", "a".repeat(65_536));
    for (request, status) in [
        (long.as_str(), "414"),
        (
            "POST /api/v1/search HTTP/1.1\r\nhost: h\r\ncontent-length: x\r\n\r\n",
            "400",
        ),
        ("GET / HTTP/1.1\r\nbad header\r\n\r\n", "400"),
    ] {
        let answer = raw(&harness, request).await;
        assert_eq!(answer.status(), status, "{}", answer.head);
        assert!(
            answer.head.contains("\r\ncontent-length: 0\r\n"),
            "{}",
            answer.head
        );
    }
}
