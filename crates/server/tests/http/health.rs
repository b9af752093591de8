//! Health, measures, request ids, what axum would answer itself, and the stop.
use crate::harness::{BOOTSTRAP_KEY, Harness, send};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn probes_need_no_credential() {
    let harness = Harness::start().await;
    for (path, expected) in [
        ("/healthz", "healthy"),
        ("/health", "healthy"),
        ("/livez", "alive"),
        ("/readyz", "ready"),
        ("/ready", "ready"),
    ] {
        let answer = send(harness.bare(Method::GET, path)).await;
        assert_eq!(answer.data(), json!({ "status": expected }), "{path}");
    }
    let banner = send(harness.bare(Method::GET, "/")).await;
    assert_eq!(banner.json()["name"], "taffrail");
}

#[tokio::test]
async fn measures() {
    let harness = Harness::start().await;
    harness.store("app.backend", &["a", "b"]).await;
    harness.get("/api/v1/context/nothing").await;
    let answer = harness.get("/metrics").await;
    assert!(answer.header("content-type").starts_with("text/plain"));
    for line in [
        "taffrail_ingest_records_accepted_total 2",
        "taffrail_store_refusing 0",
        "taffrail_store_idempotency_keys 0",
        "taffrail_store_idempotency_evicted_total{cause=\"keys\"} 0",
        "taffrail_store_idempotency_evicted_total{cause=\"long_answers\"} 0",
        "taffrail_answers_cut_total 0",
        "taffrail_store_mark_failures_total 0",
        "taffrail_http_request_duration_seconds_count{method=\"POST\",route=\"/api/v1/ingest/{stream}\",status=\"200\"} 1",
        "taffrail_http_request_duration_seconds_count{method=\"GET\",route=\"/api/v1/context/{id}\",status=\"404\"} 1",
    ] {
        assert!(
            answer.text.lines().any(|have| have == line),
            "{line}\n{}",
            answer.text
        );
    }
    // Each line is a comment or a name with a number.
    for line in answer.text.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    let public = Harness::start_with(|config| config.metrics_are_public = true).await;
    assert_eq!(send(public.bare(Method::GET, "/metrics")).await.status, 200);
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_safe_headers() {
    let harness = Harness::start().await;
    for path in ["/healthz", "/api/v1/search", "/no/such/route"] {
        let answer = send(harness.bare(Method::GET, path)).await;
        assert_eq!(answer.header("x-request-id").len(), 32, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
        let request = harness
            .bare(Method::GET, path)
            .header("x-request-id", "mine-1");
        assert_eq!(send(request).await.header("x-request-id"), "mine-1");
    }
}

#[tokio::test]
async fn routes_and_methods_that_are_not_there() {
    let harness = Harness::start().await;
    let answer = harness.get("/api/v1/nothing").await;
    assert_eq!(answer.problem(), (404, "not-found".into()));
    let answer = send(harness.admin(Method::DELETE, "/api/v1/search")).await;
    assert_eq!(answer.problem(), (405, "method-not-allowed".into()));
    assert!(answer.header("allow").contains("GET") && answer.header("allow").contains("POST"));
    // Tricks with paths lead nowhere.
    for path in [
        "//api/v1/users",
        "/api/v1/%2e%2e/v1/users",
        "/api/v1/users/",
        "/api/v1/%252e",
    ] {
        let answer = send(harness.bare(Method::GET, path)).await;
        assert!(
            matches!(answer.status.as_u16(), 401 | 404),
            "{path} {}",
            answer.status
        );
    }
    // A handshake that is none.
    let answer = harness.get("/ws/logs").await;
    assert!(answer.status.is_client_error());
    answer.problem();
}

#[tokio::test]
async fn a_stop_answers_what_is_in_flight() {
    let mut harness = Harness::start().await;
    let port_file = harness.directory.path().join("port");
    let address = harness.server().address();
    assert_eq!(
        std::fs::read_to_string(&port_file).unwrap(),
        format!("{address}\n")
    );
    // A request whose body is not whole yet.
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let body = "{\"message\":\"in flight\"}";
    let head = format!(
        "POST /api/v1/ingest/app.backend HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {BOOTSTRAP_KEY}\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: the request is in its handler.
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    let server = harness.take_server();
    let stopping = tokio::spawn(server.stop());
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    stopping.await.unwrap().unwrap();
    assert!(!port_file.exists());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart() {
    let harness = Harness::start().await;
    harness.store("app.backend", &["kept"]).await;
    let (_, key) = harness.account("jane", "admin", &[]).await;
    let directory = harness.stop().await;
    let again = Harness::start_with(|config| {
        config.data_dir = directory.path().join("data");
        config.key_file = Some(directory.path().join("keys/main.key"));
    })
    .await;
    let answer = again.get_as(&key, "/api/v1/search").await;
    assert_eq!(answer.data()["records"][0]["message"], "kept");
}
