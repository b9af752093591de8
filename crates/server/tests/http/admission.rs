//! How much may be in flight: a tenant has its share, and others have room beside it.
use crate::harness::{BOOTSTRAP_KEY, Harness};
use std::time::Duration;
use taffrail_engine::meta::Meta;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
const IN_FLIGHT_BYTES: usize = 16 << 20;
const TENANT_BYTES: usize = IN_FLIGHT_BYTES / 4 * 3;
/// Of a body that stays in flight.
const HALF: usize = TENANT_BYTES / 2;

async fn start() -> Harness {
    let harness = Harness::start_with(|config| {
        config.memory.total = Some(4 << 30);
        config.memory.in_flight = Some(IN_FLIGHT_BYTES);
    })
    .await;
    for tenant in ["second", "third"] {
        let meta = harness.server().engine().meta().clone();
        meta.create_tenant(tenant).await.unwrap();
    }
    harness
}

/// Sends the head of a request with a body of so many bytes; what the server says before it has any
/// of them.
async fn begin(harness: &Harness, tenant: &str, bytes: usize) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(harness.server().address())
        .await
        .unwrap();
    let head = format!(
        "POST /api/v1/ingest/app.backend HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {BOOTSTRAP_KEY}\r\nx-scope-orgid: {tenant}\r\ncontent-length: {bytes}\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n\r\n") {
        said.push(stream.read_u8().await.unwrap());
    }
    (stream, String::from_utf8(said).unwrap().to_lowercase())
}

const TAKEN: &str = "http/1.1 100 continue\r\n\r\n";

/// A request of which all but the last byte came.
async fn in_flight(harness: &Harness, tenant: &str, bytes: usize) -> TcpStream {
    let before = harness.measure("taffrail_ingest_in_flight_bytes").await;
    let (mut stream, said) = begin(harness, tenant, bytes).await;
    assert_eq!(said, TAKEN);
    stream.write_all(&vec![b' '; bytes - 1]).await.unwrap();
    let is_in = async {
        while harness.measure("taffrail_ingest_in_flight_bytes").await < before + bytes as u64 - 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, is_in).await.unwrap();
    stream
}

async fn end(mut stream: TcpStream) {
    stream.write_all(b" ").await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn a_tenant_has_its_share_and_no_byte_more() {
    let harness = start().await;
    let held = in_flight(&harness, "default", HALF).await;
    let (_, said) = begin(&harness, "default", HALF + 1).await;
    assert!(said.starts_with("http/1.1 429 "), "{said}");
    assert!(said.contains("\r\nretry-after: 1\r\n"), "{said}");
    let other_half = in_flight(&harness, "default", HALF).await;
    assert_eq!(
        harness
            .measure("taffrail_ingest_refused_total{share=\"tenant\"}")
            .await,
        1
    );
    // Another tenant is let in all the same, with three quarters of what is left.
    let left = (IN_FLIGHT_BYTES - TENANT_BYTES) / 4 * 3;
    let (_, said) = begin(&harness, "second", left + 1).await;
    assert!(said.starts_with("http/1.1 503 "), "{said}");
    assert!(said.contains("\r\nretry-after: 1\r\n"), "{said}");
    let second = in_flight(&harness, "second", left).await;
    let (_, said) = begin(&harness, "third", 64 << 10).await;
    assert_eq!(said, TAKEN);
    assert_eq!(
        harness
            .measure("taffrail_ingest_refused_total{share=\"server\"}")
            .await,
        1
    );
    for stream in [held, other_half, second] {
        end(stream).await;
    }
}

#[tokio::test]
async fn a_body_that_is_larger_than_the_share_comes_in_alone() {
    let harness = start().await;
    let large = in_flight(&harness, "default", IN_FLIGHT_BYTES + 1).await;
    let (_, said) = begin(&harness, "second", 1).await;
    assert!(said.starts_with("http/1.1 503 "), "{said}");
    end(large).await;
    let (_, said) = begin(&harness, "second", 1).await;
    assert_eq!(said, TAKEN);
}
