//! The binary against the binary: a server in one process, the commands in others. What each
//! command does in detail is tested beside it; here it is shown that they fit together, and what
//! only a process has: exit codes, pipes, signals.
#![allow(clippy::unwrap_used, reason = "what a test cannot do is a failed test")]
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStderr, Command, Output, Stdio},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_taffrail");
const KEY: &str = "bootstrap-key-of-the-end-to-end-tests";

/// A server on a free port with a data directory of its own; ends with the test.
struct Server {
    child: Child,
    stderr: BufReader<ChildStderr>,
    url: String,
    folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Server {
        let folder = tempfile::tempdir().unwrap();
        let streams = "streams: {kept: {retention_days: forever}}\n";
        std::fs::write(folder.path().join("config.yaml"), streams).unwrap();
        let mut child = Server::command(&folder).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let url = Server::wait_until_ready(&mut stderr);
        Server {
            child,
            stderr,
            url,
            folder,
        }
    }

    fn command(folder: &tempfile::TempDir) -> Command {
        let mut command = program();
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.arg("--data-dir").arg(folder.path().join("data"));
        command
            .arg("--config")
            .arg(folder.path().join("config.yaml"));
        command.arg("--port-file").arg(folder.path().join("port"));
        command.arg("--key-file").arg(folder.path().join("key"));
        command.env("TAFFRAIL_BOOTSTRAP_KEY", KEY);
        command
            .env("HOME", folder.path())
            .current_dir(folder.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// The address in the line that says so.
    fn wait_until_ready(stderr: &mut impl BufRead) -> String {
        let mut said = String::new();
        loop {
            let start = said.len();
            let bytes = stderr.read_line(&mut said).unwrap();
            assert!(bytes > 0, "the server ended:\n{said}");
            if let Some((_, url)) = said[start..].split_once("listening on ") {
                return url.trim().to_string();
            }
        }
    }

    /// kill -9 and a new start on the same data.
    fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Server::command(&self.folder).spawn().unwrap();
        self.stderr = BufReader::new(self.child.stderr.take().unwrap());
        self.url = Server::wait_until_ready(&mut self.stderr);
    }

    fn taffrail(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments).env("TAFFRAIL_URL", &self.url);
        command.env("TAFFRAIL_TOKEN", KEY).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.taffrail(arguments).output().unwrap()
    }

    /// What a command prints; it must succeed.
    #[track_caller]
    fn printed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn ingest(&self, records: &[Value]) {
        let body: String = records.iter().map(|record| format!("{record}\n")).collect();
        let url = format!("{}/api/v1/ingest/kept", self.url);
        let status = http(&url, KEY, &body);
        assert!(status.starts_with("HTTP/1.1 200"), "{status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program without the settings of whoever runs the tests.
fn program() -> Command {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TAFFRAIL_") {
            command.env_remove(name);
        }
    }
    command.env_remove("NO_COLOR").env("TZ", "UTC");
    command
}

/// Posts a body with nothing but a socket; the head of the answer.
fn http(url: &str, key: &str, body: &str) -> String {
    let (address, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/x-ndjson\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn record(minute: u32, level: &str, message: &str) -> Value {
    json!({
        "timestamp": format!("2026-01-04T15:{minute:02}:00Z"),
        "level": level,
        "source": "figma",
        "message": message,
        "agent_id": "coder",
    })
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn records_are_found_in_every_form_and_survive_kill_9() {
    let mut server = Server::start();
    server.ingest(&[
        record(1, "info", "started"),
        record(2, "error", "failed to authenticate \u{1b}[31mred"),
        record(3, "warn", "slow"),
    ]);
    server.kill_and_restart();
    let all = ["logs", "search", "--since", "2026-01-01"];
    let text = server.printed(&all);
    assert_eq!(
        lines(&text),
        [
            "2026-01-04T15:03:00Z WARN  kept figma slow agent_id=coder",
            "2026-01-04T15:02:00Z ERROR kept figma failed to authenticate \\x1b[31mred agent_id=coder",
            "2026-01-04T15:01:00Z INFO  kept figma started agent_id=coder",
        ]
    );
    let with = |more: &[&'static str]| server.printed(&[&all[..], more].concat());
    assert_eq!(
        with(&["--format", "raw", "--order", "asc", "--limit", "1"]),
        "started\n"
    );
    assert_eq!(
        with(&["--count", "--level", "ERROR,warn", "--agent", "coder"]),
        "2\n"
    );
    assert_eq!(
        with(&["--format", "raw", "\"failed to\""]),
        "failed to authenticate \\x1b[31mred\n"
    );
    assert_eq!(with(&["--format", "raw", "--agent", "other"]), "");
    let json: Value = serde_json::from_str(&with(&["--format", "json"])).unwrap();
    assert_eq!(json[1]["message"], "failed to authenticate \u{1b}[31mred");

    let id = json[1]["id"].as_str().unwrap();
    let context = server.printed(&["logs", "context", id, "-B", "1", "-A", "1"]);
    let messages: Vec<&str> = lines(&context).iter().map(|line| &line[..23]).collect();
    assert_eq!(
        messages,
        [
            "2026-01-04T15:01:00Z IN",
            "> 2026-01-04T15:02:00Z ",
            "2026-01-04T15:03:00Z WA"
        ]
    );
}

#[test]
fn a_long_answer_comes_page_by_page_and_a_closed_pipe_is_silent() {
    let server = Server::start();
    let records: Vec<Value> = (0..2_500)
        .map(|n| record(n % 60, "info", &format!("m{n}")))
        .collect();
    server.ingest(&records);
    let search = ["logs", "search", "--since", "all", "--format", "raw"];
    let all = server.printed(&[&search[..], &["--limit", "all"]].concat());
    let mut messages = lines(&all);
    messages.sort_unstable();
    messages.dedup();
    assert_eq!(messages.len(), 2_500);
    let some = server.printed(&[&search[..], &["--limit", "1500"]].concat());
    assert_eq!(lines(&some).len(), 1_500);

    let mut child = server
        .taffrail(&[&search[..], &["--limit", "all"]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Closed before anything could be written.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}

#[test]
fn exit_codes() {
    let server = Server::start();
    let code = |arguments: &[&str]| server.run(arguments).status.code();
    assert_eq!(code(&["logs", "search", "--since", "soon"]), Some(2));
    assert_eq!(code(&["logs", "search", "--no-such-flag"]), Some(2));
    let faulty = server.run(&["logs", "search", "--level", "info", "(a b"]);
    assert_eq!(faulty.status.code(), Some(2));
    let said = String::from_utf8(faulty.stderr).unwrap();
    assert!(said.contains("\n  (a b\n  ^"), "{said}");
    assert_eq!(
        code(&["logs", "search", "--server", "http://127.0.0.1:1"]),
        Some(3)
    );
    let mut wrong_key = server.taffrail(&["logs", "search"]);
    assert_eq!(
        wrong_key
            .env("TAFFRAIL_TOKEN", "wrong")
            .status()
            .unwrap()
            .code(),
        Some(4)
    );
    let empty = server.run(&["logs", "search"]);
    assert_eq!(
        (empty.status.code(), empty.stdout.as_slice()),
        (Some(0), &b""[..])
    );
    assert!(
        String::from_utf8(empty.stderr)
            .unwrap()
            .contains("no records in the last hour")
    );
}

#[test]
fn a_tail_shows_what_comes_until_it_is_interrupted() {
    let server = Server::start();
    server.ingest(&[record(1, "info", "before"), record(2, "error", "kept")]);
    let mut tail = server
        .taffrail(&["logs", "tail", "--format", "raw", "level:error"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = BufReader::new(tail.stdout.take().unwrap()).lines();
    assert_eq!(shown.next().unwrap().unwrap(), "kept");
    server.ingest(&[record(3, "info", "not this"), record(4, "error", "this")]);
    assert_eq!(shown.next().unwrap().unwrap(), "this");
    let id = rustix::process::Pid::from_child(&tail);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert_eq!(tail.wait().unwrap().code(), Some(130));
}

#[test]
fn accounts_and_keys() {
    let server = Server::start();
    let with_password = |arguments: &[&str]| {
        let mut command = server.taffrail(arguments);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(b"a long password\n")
            .unwrap();
        assert!(child.wait().unwrap().success(), "{arguments:?}");
    };
    with_password(&["users", "add", "maria", "--own-id", "u1"]);
    server.printed(&["users", "own-ids", "maria", "u1", "u2"]);
    with_password(&["users", "set-password", "MARIA"]);
    let users = server.printed(&["users", "list", "--format", "json"]);
    let users: Value = serde_json::from_str(&users).unwrap();
    let maria = users
        .as_array()
        .unwrap()
        .iter()
        .find(|user| user["name"] == "maria")
        .unwrap();
    assert_eq!(maria["own_user_ids"], json!(["u1", "u2"]));

    let create = [
        "keys",
        "create",
        "dashboard",
        "--read",
        "app.*",
        "--user",
        "maria",
    ];
    let secret = server.printed(&create).trim().to_string();
    let status = |arguments: &[&str]| {
        let mut command = server.taffrail(arguments);
        command
            .env("TAFFRAIL_TOKEN", &secret)
            .output()
            .unwrap()
            .status
            .code()
    };
    assert_eq!(status(&["logs", "search"]), Some(0));
    assert_eq!(status(&["users", "list"]), Some(4));
    let keys = server.printed(&["keys", "list", "--format", "json"]);
    assert!(!keys.contains(&secret));
    let keys: Value = serde_json::from_str(&keys).unwrap();
    let key = keys
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["name"] == "dashboard")
        .unwrap();
    server.printed(&["keys", "revoke", &key["id"].to_string()]);
    assert_eq!(status(&["logs", "search"]), Some(4));
    assert_eq!(
        server.run(&["users", "disable", "nobody"]).status.code(),
        Some(2)
    );
}

#[test]
fn a_server_ends_with_sigterm() {
    let mut server = Server::start();
    let port = std::fs::read_to_string(server.folder.path().join("port")).unwrap();
    assert_eq!(format!("http://{}", port.trim()), server.url);
    let id = rustix::process::Pid::from_child(&server.child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}
