//! Bad input gets its documented error, and nothing else is lost with it: every case is sent
//! between good records, and the good ones are counted after each.
use super::tail_client::TailClient;
use crate::harness::server::{Answer, Server, Start};
use serde_json::{Value, json};
use std::io::Write;

const STREAM: &str = "app.backend";
/// As docs/guide/http-api.md says.
const RECORD_BYTES_MAX: usize = 1 << 20;
const BATCH_BYTES_MAX: u64 = 64 << 20;
const DEPTH_MAX: usize = 32;

fn nested(depth: usize) -> String {
    let inner = depth - 1;
    format!("{}1{}", "{\"a\":".repeat(inner + 1), "}".repeat(inner + 1))
}

fn of_bytes(bytes: usize) -> String {
    let frame = r#"{"message":""}"#.len();
    format!(r#"{{"message":"{}"}}"#, "x".repeat(bytes - frame))
}

fn good(number: u64) -> String {
    format!(r#"{{"message":"good","number":{number}}}"#)
}

/// A server and the good records that it has acknowledged.
struct Witness {
    server: Server,
    acknowledged: u64,
    /// Holds what the server works in until it has ended.
    _folder: tempfile::TempDir,
}

impl Witness {
    fn start() -> Witness {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&Start::in_folder(folder.path()));
        Witness {
            server,
            acknowledged: 0,
            _folder: folder,
        }
    }

    /// Everything that was acknowledged is there, and nothing else.
    #[track_caller]
    fn check(&self, after: &str) {
        let found = self.server.all(STREAM, &["number"]);
        let numbers: Vec<u64> = found
            .iter()
            .filter_map(|record| record["number"].as_u64())
            .collect();
        let expected: Vec<u64> = (0..self.acknowledged).collect();
        assert_eq!(numbers, expected, "after {after}");
        assert_eq!(found.len(), numbers.len(), "after {after}");
    }

    /// A record that is at fault, between good ones: those are stored, it is named.
    #[track_caller]
    fn check_reject(&mut self, kind: &str, bad: &str) {
        let next = self.acknowledged;
        let body = [good(next), bad.to_owned(), good(next + 1)].join("\n");
        let data = self.server.ingest(STREAM, body).data();
        self.acknowledged += 2;
        assert_eq!(data["accepted"], 2, "{kind}: {data}");
        assert_reject(&data["rejected"], 1, kind);
        self.check(kind);
        // Alone, it is a problem of the whole request.
        let answer = self.server.ingest(STREAM, bad.to_owned());
        let (status, word, document) = answer.problem();
        assert_eq!((status, word.as_str()), (422, "all-rejected"), "{answer:?}");
        assert_reject(&document["rejected"], 0, kind);
        assert_eq!(answer.header("retry-after"), None);
        self.check(kind);
    }

    /// A request that is refused as a whole; `members` must be in its document.
    #[track_caller]
    fn check_problem(&mut self, answer: &Answer, expected: (u16, &str), members: &[&str]) {
        let (status, word, document) = answer.problem();
        assert_eq!((status, word.as_str()), expected, "{answer:?}");
        for member in members {
            assert!(!document[member].is_null(), "no {member}: {document}");
        }
        assert_eq!(answer.header("retry-after"), None, "{answer:?}");
        let data = self.server.ingest(STREAM, good(self.acknowledged)).data();
        assert_eq!(data["accepted"], 1, "{data}");
        self.acknowledged += 1;
        self.check(word.as_str());
    }
}

#[track_caller]
fn assert_reject(rejected: &Value, index: u64, kind: &str) {
    let [reject] = rejected.as_array().unwrap().as_slice() else {
        panic!("{kind}: not one record was rejected: {rejected}");
    };
    assert_eq!(reject["index"], index, "{reject}");
    assert_eq!(reject["type"], kind, "{reject}");
    let detail = reject["detail"].as_str();
    assert!(detail.is_some_and(|detail| !detail.is_empty()), "{reject}");
}

#[test]
fn a_record_at_fault_is_named_and_its_neighbours_are_stored() {
    let mut witness = Witness::start();
    for (kind, bad) in [
        ("invalid_json", r#"{"message":"cut"#.to_owned()),
        ("record_too_large", of_bytes(2 * RECORD_BYTES_MAX)),
        ("record_too_large", of_bytes(RECORD_BYTES_MAX + 1)),
        ("too_deep", nested(DEPTH_MAX + 1)),
        (
            "invalid_timestamp",
            r#"{"message":"m","timestamp":"half past nine"}"#.to_owned(),
        ),
        (
            "too_old",
            r#"{"message":"m","timestamp":"2001-01-01T00:00:00Z"}"#.to_owned(),
        ),
    ] {
        witness.check_reject(kind, &bad);
    }
    // At the limits themselves records are taken, into another stream than the one that is counted.
    let body = [of_bytes(RECORD_BYTES_MAX), nested(DEPTH_MAX)].join("\n");
    let data = witness.server.ingest("app.frontend", body).data();
    assert_eq!(data["accepted"], 2, "{data}");
    assert_eq!(witness.server.count("app.frontend", ""), 2);
}

#[test]
fn a_gzip_bomb_is_refused_before_it_takes_memory() {
    let mut witness = Witness::start();
    // 1 GiB of blanks in some hundred thousand bytes: members of 8 MiB each, one after the other.
    let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..128 {
        member.write_all(&[b' '; 64 << 10]).unwrap();
    }
    let member = member.finish().unwrap();
    let bomb = member.repeat(128);
    let before = witness.server.memory_peak_bytes();
    let request = witness.server.post(&format!("/api/v1/ingest/{STREAM}"));
    let answer = Answer::of(request.header("content-encoding", "gzip").body(bomb));
    let taken = witness.server.memory_peak_bytes() - before;
    assert!(
        taken <= 3 * BATCH_BYTES_MAX,
        "the bomb took {taken} bytes of memory"
    );
    witness.check_problem(&answer, (413, "too-large"), &[]);
}

#[test]
fn a_stream_that_is_not_there_is_named_with_its_neighbours() {
    let mut witness = Witness::start();
    let answer = witness.server.ingest("app.backnd", good(0));
    witness.check_problem(&answer, (404, "unknown-stream"), &["nearest"]);
    assert_eq!(answer.json()["nearest"][0], STREAM);
    let search = witness.server.post("/api/v1/search");
    let answer = Answer::of(search.json(&json!({ "streams": ["app.backnd"] })));
    witness.check_problem(&answer, (404, "unknown-stream"), &["nearest"]);
}

#[test]
fn a_faulty_query_is_an_error_with_its_place_on_every_route() {
    let mut witness = Witness::start();
    let question = json!({ "query": "level:error AND (timeout" });
    for route in ["search", "histogram", "fields"] {
        let request = witness.server.post(&format!("/api/v1/{route}"));
        let answer = Answer::of(request.json(&question));
        let members = ["start", "end", "hint"];
        witness.check_problem(&answer, (400, "invalid-query"), &members);
        let document = answer.json();
        let place = (document["start"].as_u64(), document["end"].as_u64());
        assert!(place.0 < place.1, "{document}");
        assert!(place.1 <= Some(25), "{document}");
    }
    for route in ["search?query=(", "tail?query=(", "logging/logs?q=("] {
        let answer = witness.server.get(&format!("/api/v1/{route}"));
        let members = ["start", "end", "hint"];
        witness.check_problem(&answer, (400, "invalid-query"), &members);
    }
    // The WebSocket is refused before the upgrade.
    let refused = TailClient::try_connect(&witness.server, "query=(").err();
    assert_eq!(refused, Some(400));
    witness.check("refused upgrade");
}
