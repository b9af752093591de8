//! Ingest: forms, encodings, limits, faults, idempotency.
use crate::harness::{Answer, Harness, send, yesterday};
use reqwest::Method;
use serde_json::json;
use std::{io::Write, time::Duration};
use taffrail_model::limits::{
    BATCH_BYTES_MAX, NESTING_DEPTH_MAX, RECORD_BYTES_MAX, RECORDS_PER_BATCH_MAX,
    REJECTS_PER_BATCH_MAX,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ROUTE: &str = "/api/v1/ingest/app.backend";
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn every_form_is_taken_and_can_be_found() {
    let harness = Harness::start().await;
    for (body, expected) in [
        ("{\"message\":\"a\"}\n\n{\"message\":\"b\"}\n", 2),
        ("[{\"message\":\"c\"},{\"message\":\"d\"}]", 2),
        ("{\n \"message\": \"e\"\n}", 1),
        ("[]", 0),
        ("", 0),
    ] {
        let answer = harness.ingest("app.backend", body).await;
        let expected = json!({ "accepted": expected, "rejected": [], "dropped": {} });
        assert_eq!(answer.data(), expected, "{body}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
    let mut found = harness.found(json!({})).await;
    found.sort();
    assert_eq!(found, ["a", "b", "c", "d", "e"]);
}

fn compressed(encoding: &str, body: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::default();
    match encoding {
        "gzip" => {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), level);
            to.write_all(body).unwrap();
            to.finish().unwrap()
        }
        "deflate" => {
            let mut to = flate2::write::ZlibEncoder::new(Vec::new(), level);
            to.write_all(body).unwrap();
            to.finish().unwrap()
        }
        "zstd" => zstd::encode_all(body, 3).unwrap(),
        _ => body.to_vec(),
    }
}

async fn encoded(harness: &Harness, encoding: &str, body: Vec<u8>) -> Answer {
    let request = harness.admin(Method::POST, ROUTE);
    send(request.header("content-encoding", encoding).body(body)).await
}

#[tokio::test]
async fn encodings() {
    let harness = Harness::start().await;
    for encoding in ["gzip", "zstd", "deflate", "identity", "GZIP"] {
        let body = compressed(&encoding.to_lowercase(), b"{\"message\":\"m\"}");
        let answer = encoded(&harness, encoding, body).await;
        assert_eq!(answer.data()["accepted"], 1, "{encoding}");
    }
    for encoding in ["br", "gzip, gzip", "snappy"] {
        let answer = encoded(&harness, encoding, b"{}".to_vec()).await;
        assert_eq!(answer.problem(), (415, "unsupported-media-type".into()));
        assert_eq!(answer.header("accept-encoding"), "gzip, zstd, deflate");
    }
    let answer = encoded(&harness, "gzip", b"{\"message\":\"m\"}".to_vec()).await;
    assert_eq!(answer.problem(), (400, "unreadable".into()));
    let mut cut = compressed("gzip", b"{\"message\":\"m\"}");
    cut.truncate(cut.len() - 4);
    let answer = encoded(&harness, "gzip", cut).await;
    assert_eq!(answer.problem(), (400, "unreadable".into()));
    assert_eq!(harness.get("/api/v1/search").await.data()["total"], 5);
}

/// A body of several MiB is decoded in pieces where cores are idle: whether it was shows nowhere.
#[tokio::test]
async fn large_bodies_keep_their_order_and_their_indexes() {
    const RECORDS: usize = 6_000;
    let harness = Harness::start().await;
    let (filling, yesterday) = ("x".repeat(1_000), yesterday());
    // Every thousandth is none, and some have the time of another day.
    let line = |index: usize| match index % 1_000 {
        500 => "{broken".to_owned(),
        600 => format!(r#"{{"n":{index},"timestamp":"never"}}"#),
        700 => format!(r#"{{"n":{index},"timestamp":"{yesterday}","message":"{filling}"}}"#),
        _ => format!(r#"{{"n":{index},"message":"{filling}"}}"#),
    };
    let body: Vec<_> = (0..RECORDS).map(line).collect();
    let body = body.join("\n");
    assert!(body.len() > 5 << 20);
    let request = |key: &str| {
        let request = harness.admin(Method::POST, ROUTE);
        send(
            request
                .header("idempotency-key", key.to_owned())
                .body(body.clone()),
        )
    };
    let first = request("a").await.data();
    let rejected = first["rejected"].as_array().unwrap();
    let indexes: Vec<_> = rejected
        .iter()
        .map(|reject| reject["index"].clone())
        .collect();
    let expected: Vec<_> = (0..RECORDS)
        .filter(|n| [500, 600].contains(&(n % 1_000)))
        .collect();
    assert_eq!(json!(indexes), json!(expected));
    assert_eq!(first["accepted"], RECORDS - expected.len());
    // The same key stands for the same answer, compressed or not, and several at once give the same
    // as one, though there is not a turn for each.
    assert_eq!(request("a").await.data(), first);
    let packed = harness
        .admin(Method::POST, ROUTE)
        .header("idempotency-key", "a");
    let packed = packed.header("content-encoding", "gzip");
    let packed = packed.body(compressed("gzip", body.as_bytes()));
    assert_eq!(send(packed).await.data(), first);
    let others = ["b", "c", "d"].map(&request);
    for other in futures_util::future::join_all(others).await {
        assert_eq!(other.data(), first);
    }
    let total = harness.get("/api/v1/search?limit=0").await.data();
    assert_eq!(total["total"], 4 * (RECORDS - expected.len()));
    // In order of arrival a day's records come as they stood in the body.
    let question = json!({
        "query": "timestamp:>now-1h", "order": "arrival", "fields": ["n"], "limit": 5_000,
    });
    let page = harness.post("/api/v1/search", &question).await.data();
    let found: Vec<_> = page["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["n"].clone())
        .collect();
    let kept: Vec<_> = (0..RECORDS)
        .filter(|n| ![500, 600, 700].contains(&(n % 1_000)))
        .take(5_000)
        .collect();
    assert_eq!(json!(found), json!(kept));
}

#[tokio::test]
async fn bombs_are_refused() {
    let harness = Harness::start().await;
    let zeros = vec![b' '; BATCH_BYTES_MAX + 1];
    for encoding in ["gzip", "zstd", "deflate"] {
        let answer = encoded(&harness, encoding, compressed(encoding, &zeros)).await;
        assert_eq!(answer.problem(), (413, "too-large".into()), "{encoding}");
    }
    assert_eq!(
        harness
            .ingest("app.backend", r#"{"message":"m"}"#)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn faults_of_the_whole_batch_store_nothing() {
    let harness = Harness::start().await;
    for (body, expected) in [
        ("[{\"message\":\"a\"},{\"message\":", (400, "unreadable")),
        (
            "[{\"message\":\"a\"} {\"message\":\"b\"}]",
            (400, "unreadable"),
        ),
        ("not json", (422, "all-rejected")),
        ("1\n2\n", (422, "all-rejected")),
        ("{}", (422, "all-rejected")),
        (
            "{\"message\":\"a\",\"timestamp\":\"soon\"}",
            (422, "all-rejected"),
        ),
        (
            "{\"message\":\"a\",\"timestamp\":\"2001-01-01T00:00:00Z\"}",
            (422, "all-rejected"),
        ),
    ] {
        let answer = harness.ingest("app.backend", body).await;
        assert_eq!(answer.problem(), (expected.0, expected.1.into()), "{body}");
    }
    assert_eq!(harness.get("/api/v1/search").await.data()["total"], 0);
}

#[tokio::test]
async fn faults_of_records_are_listed_and_the_rest_is_stored() {
    let harness = Harness::start().await;
    let nested = |depth: usize| {
        let open = "{\"a\":".repeat(depth - 1);
        format!("{open}{{\"b\":1}}{}", "}".repeat(depth - 1))
    };
    let sized = |bytes: usize| {
        let frame = "{\"message\":\"\"}".len();
        format!("{{\"message\":\"{}\"}}", "x".repeat(bytes - frame))
    };
    let lines = [
        "{\"message\":\"good\"}".to_owned(),
        "{broken".to_owned(),
        "[1]".to_owned(),
        "{\"message\":\"old\",\"time\":\"2001-01-01T00:00:00Z\"}".to_owned(),
        "{\"message\":\"t\",\"time\":\"whenever\"}".to_owned(),
        nested(NESTING_DEPTH_MAX),
        nested(NESTING_DEPTH_MAX + 1),
        sized(RECORD_BYTES_MAX),
        sized(RECORD_BYTES_MAX + 1),
        sized(2 * RECORD_BYTES_MAX),
        "{\"message\":\"good too\"}".to_owned(),
    ];
    let data = harness.ingest("app.backend", lines.join("\n")).await.data();
    assert_eq!(data["accepted"], 4);
    let rejected: Vec<_> = data["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reject| {
            (
                reject["index"].as_u64().unwrap(),
                reject["type"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        (1, "invalid_json"),
        (2, "not_an_object"),
        (3, "too_old"),
        (4, "invalid_timestamp"),
        (6, "too_deep"),
        (8, "record_too_large"),
        (9, "record_too_large"),
    ];
    assert_eq!(rejected, expected);
    assert_eq!(
        harness.get("/api/v1/search?limit=0").await.data()["total"],
        4
    );
}

#[tokio::test]
async fn strict_streams_name_the_missing_field() {
    let harness = Harness::start().await;
    let answer = harness.ingest("governance", r#"{"message":"m"}"#).await;
    assert_eq!(answer.problem(), (422, "all-rejected".into()));
    assert_eq!(answer.json()["rejected"][0]["type"], "missing_field");
}

#[tokio::test]
async fn streams_and_content_types() {
    let harness = Harness::start().await;
    let answer = harness.ingest("app.backed", "{}").await;
    assert_eq!(answer.problem(), (404, "unknown-stream".into()));
    assert_eq!(answer.json()["nearest"][0], "app.backend");
    assert_eq!(
        harness.ingest("machine", r#"{"message":"m"}"#).await.status,
        200
    );
    for (kind, expected) in [
        ("application/json", 200),
        ("application/x-ndjson; charset=utf-8", 200),
        ("text/plain", 200),
        ("application/x-www-form-urlencoded", 200),
        ("application/octet-stream", 200),
        ("multipart/form-data; boundary=x", 415),
        ("application/x-protobuf", 415),
        ("image/png", 415),
    ] {
        let request = harness
            .admin(Method::POST, ROUTE)
            .header("content-type", kind);
        let answer = send(request.body(r#"{"message":"m"}"#)).await;
        assert_eq!(answer.status, expected, "{kind}");
    }
}

async fn keyed(harness: &Harness, key: &str, stream: &str, body: &'static str) -> Answer {
    let request = harness.admin(Method::POST, &format!("/api/v1/ingest/{stream}"));
    send(request.header("idempotency-key", key).body(body)).await
}

#[tokio::test]
async fn a_repeat_stores_nothing_and_gets_the_first_answer() {
    let harness = Harness::start().await;
    const BODY: &str = "{\"message\":\"a\"}\n{broken";
    let first = keyed(&harness, "k1", "app.backend", BODY).await;
    assert_eq!(first.data()["accepted"], 1);
    for _ in 0..3 {
        let again = keyed(&harness, "k1", "app.backend", BODY).await;
        assert_eq!((again.status, &again.text), (first.status, &first.text));
    }
    for (stream, body) in [
        ("app.backend", "{\"message\":\"b\"}"),
        ("app.frontend", BODY),
    ] {
        let other = keyed(&harness, "k1", stream, body).await;
        assert_eq!(other.problem(), (422, "idempotency-key-reused".into()));
    }
    assert_eq!(keyed(&harness, "k2", "app.backend", BODY).await.status, 200);
    assert_eq!(harness.get("/api/v1/search").await.data()["total"], 2);
    // The key is the credential's own.
    let (_, jane) = harness.account("jane", "user", &[]).await;
    let request = harness.bare(Method::POST, ROUTE).bearer_auth(jane);
    let answer = send(
        request
            .header("idempotency-key", "k1")
            .body("{\"message\":\"j\"}"),
    )
    .await;
    assert_eq!(answer.data()["accepted"], 1);
    // A repeat may be compressed otherwise.
    for encoding in ["gzip", "zstd"] {
        let request = harness.admin(Method::POST, ROUTE);
        let request = request.header("idempotency-key", "k1");
        let request = request.header("content-encoding", encoding);
        let again = send(request.body(compressed(encoding, BODY.as_bytes()))).await;
        assert_eq!((again.status, &again.text), (first.status, &first.text));
    }
    // A batch of which nothing was taken answers the same again.
    for _ in 0..2 {
        let answer = keyed(&harness, "k3", "app.backend", "{broken").await;
        assert_eq!(answer.problem(), (422, "all-rejected".into()));
    }
    // And leaves its key to the corrected one.
    let corrected = keyed(&harness, "k3", "app.backend", "{\"message\":\"c\"}").await;
    assert_eq!(corrected.data()["accepted"], 1);
    let other = keyed(&harness, "k3", "app.backend", "{\"message\":\"d\"}").await;
    assert_eq!(other.problem(), (422, "idempotency-key-reused".into()));
}

#[tokio::test]
async fn concurrent_repeats_store_once() {
    let harness = Harness::start().await;
    let send = || keyed(&harness, "same", "app.backend", "{\"message\":\"a\"}");
    let (a, b, c, d) = tokio::join!(send(), send(), send(), send());
    for answer in [a, b, c, d] {
        assert_eq!(answer.data()["accepted"], 1);
    }
    assert_eq!(harness.get("/api/v1/search").await.data()["total"], 1);
}

#[tokio::test]
async fn idempotency_keys_at_and_past_their_limit() {
    let harness = Harness::start().await;
    const BODY: &str = "{\"message\":\"a\"}";
    let (longest, too_long) = ("k".repeat(255), "k".repeat(256));
    assert_eq!(
        keyed(&harness, &longest, "app.backend", BODY).await.status,
        200
    );
    for bad in [too_long.as_str(), ""] {
        let answer = keyed(&harness, bad, "app.backend", BODY).await;
        assert_eq!(answer.problem(), (422, "invalid".into()));
        assert_eq!(answer.json()["errors"][0]["field"], "Idempotency-Key");
    }
}

/// Sends bytes as they are and gives the status line and everything after it.
async fn raw(harness: &Harness, request: &str) -> String {
    let address = harness.server().address();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4_096];
    // The head is enough: the connection may stay open.
    while !answer.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the connection ended before an answer");
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_body_that_is_said_to_be_too_large_is_not_waited_for() {
    let harness = Harness::start().await;
    let key = crate::harness::BOOTSTRAP_KEY;
    let bytes = BATCH_BYTES_MAX + 1;
    let request = format!(
        "POST {ROUTE} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {key}\r\ncontent-length: {bytes}\r\n\r\n"
    );
    assert!(raw(&harness, &request).await.starts_with("HTTP/1.1 413"));
    let mut request = format!(
        "POST {ROUTE} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {key}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    request.push_str("zz\r\n");
    assert!(raw(&harness, &request).await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn a_large_batch_in_pieces() {
    let harness = Harness::start().await;
    let lines: Vec<String> = (0..20_000)
        .map(|index| format!("{{\"message\":\"record number {index}\",\"n\":{index}}}"))
        .collect();
    let pieces: Vec<Result<String, std::io::Error>> = lines
        .chunks(100)
        .map(|chunk| Ok(chunk.join("\n") + "\n"))
        .collect();
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let answer = harness.ingest("app.backend", body).await;
    assert_eq!(answer.data()["accepted"], 20_000);
    let data = harness
        .get("/api/v1/search?limit=0&query=n:>=19990")
        .await
        .data();
    assert_eq!(data["total"], 10);
}

/// What pieces cannot tell is told as it is of a body that has none.
#[tokio::test]
async fn a_large_body_past_a_limit_is_refused_as_a_whole() {
    let harness = Harness::start().await;
    let good = format!("{{\"message\":\"{}\"}}\n", "x".repeat(1_000)).repeat(1_100);
    let bad = "{broken}\n".repeat(REJECTS_PER_BATCH_MAX);
    let answer = harness.ingest("app.backend", good.clone() + &bad).await;
    assert_eq!(answer.data()["accepted"], 1_100);
    assert_eq!(
        answer.data()["rejected"].as_array().unwrap().len(),
        REJECTS_PER_BATCH_MAX
    );
    for (body, status, word) in [
        (
            format!("{good}{bad}{{broken}}\n{good}"),
            422,
            "all-rejected",
        ),
        (
            format!("{good}{}", "{\"n\":1}\n".repeat(RECORDS_PER_BATCH_MAX)),
            413,
            "too-large",
        ),
    ] {
        let answer = harness.ingest("app.backend", body).await;
        assert_eq!(answer.problem(), (status, word.into()));
    }
    let total = harness.get("/api/v1/search?limit=0").await.data();
    assert_eq!(total["total"], 1_100);
}

/// Nothing of it is stored, and what it had in flight is free again.
#[tokio::test]
async fn a_large_body_that_breaks_off_leaves_nothing() {
    let harness = Harness::start().await;
    let key = crate::harness::BOOTSTRAP_KEY;
    let lines = format!("{{\"message\":\"{}\"}}\n", "x".repeat(1_000)).repeat(3_000);
    let bytes = 2 * lines.len();
    let head = format!(
        "POST {ROUTE} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {key}\r\ncontent-length: {bytes}\r\n\r\n"
    );
    let address = harness.server().address();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(lines.as_bytes()).await.unwrap();
    let in_flight = async |is_wanted: &dyn Fn(u64) -> bool| {
        let look = async {
            while !is_wanted(harness.measure("taffrail_ingest_in_flight_bytes").await) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap();
    };
    in_flight(&|bytes| bytes >= lines.len() as u64).await;
    drop(stream);
    in_flight(&|bytes| bytes == 0).await;
    let total = harness.get("/api/v1/search?limit=0").await.data();
    assert_eq!(total["total"], 0);
}

#[tokio::test]
async fn secrets_never_come_back() {
    let harness = Harness::start().await;
    let body =
        r#"{"message":"login","password":"hunter2-secret","context":{"api_key":"k-12345678"}}"#;
    assert_eq!(
        harness.ingest("app.backend", body).await.data()["accepted"],
        1
    );
    let text = harness.get("/api/v1/search").await.text;
    assert!(
        !text.contains("hunter2") && !text.contains("k-12345678"),
        "{text}"
    );
}
