//! Answers that are not read take bounded memory, and what is malformed is told as well as it can be.
use crate::harness::{BOOTSTRAP_KEY, Harness, send};
use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};
use taffrail_model::limits::{PAGE_BYTES_MAX, QUERY_BYTES_MAX};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The head of an answer, of which no more is read than has to be.
struct Unread {
    head: String,
    stream: TcpStream,
}

impl Unread {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    /// Takes so many bytes more.
    async fn step(&mut self, bytes: usize, into: &mut Vec<u8>) {
        let before = into.len();
        let mut rest = (&mut self.stream).take(bytes as u64);
        rest.read_to_end(into).await.unwrap();
        assert_eq!(into.len(), before + bytes, "cut");
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
        stream,
    }
}

async fn unread(harness: &Harness, key: &str, path: &str) -> Unread {
    let request = format!("GET {path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {key}\r\n\r\n");
    raw(harness, &request).await
}

async fn page(harness: &Harness, key: &str) -> Unread {
    unread(harness, key, "/api/v1/search?count=false").await
}

/// Stores two pages of records; gives how many, and how many the first page has.
async fn store_two_pages(harness: &Harness) -> (usize, usize) {
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
    (records, first)
}

/// How long a page takes, here and now.
async fn page_time() -> Duration {
    let harness = Harness::start().await;
    store_two_pages(&harness).await;
    let began = Instant::now();
    harness.get("/api/v1/search?count=false").await.data();
    began.elapsed()
}

/// Asks for pages until one is served again.
async fn served_again(harness: &Harness) {
    let again = async {
        while page(harness, BOOTSTRAP_KEY).await.status() != "200" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn clients_that_do_not_read_hold_bounded_memory() {
    // Nothing is cut for others here.
    let harness = Harness::start_with_options(|options| {
        options.answer_held_min = Duration::from_secs(3_600);
    })
    .await;
    let (records, first) = store_two_pages(&harness).await;
    let mut taken = Vec::new();
    let mut refused = Vec::new();
    for account in 0..6 {
        let (_, key) = harness.account(&format!("a{account}"), "admin", &[]).await;
        let before = taken.len();
        for _ in 0..3 {
            let unread = page(&harness, &key).await;
            match unread.status() {
                "200" => taken.push(unread),
                "503" => refused.push(unread),
                _ => panic!("{}", unread.head),
            }
        }
        // 16 MiB of an account.
        assert!(taken.len() - before <= 16 * 1_048_576 / (first * 1_000_000));
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
    served_again(&harness).await;
}

#[tokio::test]
async fn slow_accounts_that_hold_all_the_room_are_cut_for_another() {
    let harness =
        Harness::start_with_options(|options| options.answer_held_min = Duration::ZERO).await;
    let (_, first) = store_two_pages(&harness).await;
    let mut slow = Vec::new();
    for account in 0..4 {
        let (_, key) = harness.account(&format!("a{account}"), "admin", &[]).await;
        for _ in 0..16 * 1_048_576 / (first * 1_000_000) {
            slow.push(page(&harness, &key).await);
        }
    }
    assert!(slow.iter().all(|page| page.status() == "200"));
    // Whatever they read in the meantime: another account is served at once.
    let (_, key) = harness.account("other", "admin", &[]).await;
    let served = page(&harness, &key).await;
    assert_eq!(served.status(), "200");
    assert_eq!(harness.measure("taffrail_answers_cut_total").await, 1);
    let mut whole = 0;
    for page in &mut slow {
        let mut body = Vec::new();
        let outcome = tokio::time::timeout(PATIENCE, async {
            let length = page.head.split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            let mut rest = (&mut page.stream).take(length as u64);
            rest.read_to_end(&mut body).await.is_ok() && body.len() == length
        });
        whole += usize::from(outcome.await.unwrap());
    }
    assert_eq!(whole, slow.len() - 1, "one connection ended");
}

#[tokio::test]
async fn clients_that_take_nothing_are_cut_and_slow_ones_are_not() {
    /// Taken of the slow client's answer at once: more than counts as progress.
    const STEP_BYTES: usize = 64 << 10;
    // Longer than a loaded machine needs from one step of the slow client to the next, and for all
    // pages that are asked for until there is no room.
    let stall_max = Duration::from_secs(10).max(8 * page_time().await);
    let harness = Harness::start_with_options(|options| options.answer_stall_max = stall_max).await;
    let (records, _) = store_two_pages(&harness).await;
    let (_, slow_key) = harness.account("slow", "admin", &[]).await;
    // Tails are not cut: neither one that is idle nor one whose backlog nobody reads.
    let backlog = format!("/api/v1/tail?backlog={records}");
    let mut idle = unread(&harness, BOOTSTRAP_KEY, "/api/v1/tail?query=nothing").await;
    let unread_tail = unread(&harness, BOOTSTRAP_KEY, &backlog).await;
    let mut slow = page(&harness, &slow_key).await;
    assert_eq!(slow.status(), "200");
    let mut body = Vec::new();
    let mut stalled = Vec::new();
    let asked = Instant::now();
    // The account has its share; another one reads on.
    for expected in ["200", "200", "503"] {
        slow.step(STEP_BYTES, &mut body).await;
        let page = page(&harness, BOOTSTRAP_KEY).await;
        assert_eq!(page.status(), expected);
        stalled.push(page);
    }
    slow.step(STEP_BYTES, &mut body).await;
    let refused = Instant::now();
    while harness.measure("taffrail_connections_cut_total").await < 2 {
        assert!(refused.elapsed() < stall_max + PATIENCE);
        slow.step(STEP_BYTES, &mut body).await;
        // The idle tail says once a second where it is.
        let read = idle.stream.read(&mut [0; 4_096]).await.unwrap();
        assert_ne!(read, 0, "a tail was cut");
    }
    assert!(asked.elapsed() >= stall_max);
    served_again(&harness).await;
    drop(stalled);
    let length = slow.head.split("content-length: ").nth(1).unwrap();
    let length: usize = length.lines().next().unwrap().parse().unwrap();
    assert!(body.len() < length, "the slow client was not slow");
    slow.step(length - body.len(), &mut body).await;
    assert!(body.ends_with(b"}}"));
    assert_eq!(harness.measure("taffrail_tails_open").await, 2);
    drop((idle, unread_tail));
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
