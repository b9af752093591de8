//! The binary against the binary: a server in one process, the commands in others. What each
//! command does in detail is tested beside it; here it is shown that they fit together, and what
//! only a process has: exit codes, pipes, signals.
#![allow(clippy::unwrap_used, reason = "what a test cannot do is a failed test")]
mod harness;

use harness::{
    program,
    server::{KEY, Server, Start},
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Output, Stdio},
};

/// A server on a free port with a data directory of its own, and the commands that talk to it.
struct Scene {
    server: Server,
    start: Start,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yaml");
        let streams = "streams: {kept: {retention_days: forever}}\n";
        std::fs::write(&config, streams).unwrap();
        let mut start = Start::in_folder(folder.path());
        let port = folder.path().join("port");
        start.arguments = vec!["--config".into(), config.into()];
        start.arguments.extend(["--port-file".into(), port.into()]);
        Scene {
            server: Server::start(&start),
            start,
            folder,
        }
    }

    fn kill_and_restart(&mut self) {
        self.server.kill_and_restart(&self.start);
    }

    fn taffrail(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments);
        command.env("TAFFRAIL_URL", self.server.url());
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
        let answer = self.server.ingest("kept", body).data();
        assert_eq!(answer["accepted"], records.len(), "{answer}");
    }
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
    let mut scene = Scene::new();
    scene.ingest(&[
        record(1, "info", "started"),
        record(2, "error", "failed to authenticate \u{1b}[31mred"),
        record(3, "warn", "slow"),
    ]);
    scene.kill_and_restart();
    let all = ["logs", "search", "--since", "2026-01-01"];
    let text = scene.printed(&all);
    assert_eq!(
        lines(&text),
        [
            "2026-01-04T15:03:00Z WARN  kept figma slow agent_id=coder",
            "2026-01-04T15:02:00Z ERROR kept figma failed to authenticate \\x1b[31mred agent_id=coder",
            "2026-01-04T15:01:00Z INFO  kept figma started agent_id=coder",
        ]
    );
    let with = |more: &[&'static str]| scene.printed(&[&all[..], more].concat());
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
    let context = scene.printed(&["logs", "context", id, "-B", "1", "-A", "1"]);
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
    let scene = Scene::new();
    let records: Vec<Value> = (0..2_500)
        .map(|n| record(n % 60, "info", &format!("m{n}")))
        .collect();
    scene.ingest(&records);
    let search = ["logs", "search", "--since", "all", "--format", "raw"];
    let all = scene.printed(&[&search[..], &["--limit", "all"]].concat());
    let mut messages = lines(&all);
    messages.sort_unstable();
    messages.dedup();
    assert_eq!(messages.len(), 2_500);
    let some = scene.printed(&[&search[..], &["--limit", "1500"]].concat());
    assert_eq!(lines(&some).len(), 1_500);

    let mut child = scene
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
    let scene = Scene::new();
    let code = |arguments: &[&str]| scene.run(arguments).status.code();
    assert_eq!(code(&["logs", "search", "--since", "soon"]), Some(2));
    assert_eq!(code(&["logs", "search", "--no-such-flag"]), Some(2));
    let faulty = scene.run(&["logs", "search", "--level", "info", "(a b"]);
    assert_eq!(faulty.status.code(), Some(2));
    let said = String::from_utf8(faulty.stderr).unwrap();
    assert!(said.contains("\n  (a b\n  ^"), "{said}");
    assert_eq!(
        code(&["logs", "search", "--server", "http://127.0.0.1:1"]),
        Some(3)
    );
    let mut wrong_key = scene.taffrail(&["logs", "search"]);
    assert_eq!(
        wrong_key
            .env("TAFFRAIL_TOKEN", "wrong")
            .status()
            .unwrap()
            .code(),
        Some(4)
    );
    let empty = scene.run(&["logs", "search"]);
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
    let scene = Scene::new();
    scene.ingest(&[record(1, "info", "before"), record(2, "error", "kept")]);
    let mut tail = scene
        .taffrail(&["logs", "tail", "--format", "raw", "level:error"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = BufReader::new(tail.stdout.take().unwrap()).lines();
    assert_eq!(shown.next().unwrap().unwrap(), "kept");
    scene.ingest(&[record(3, "info", "not this"), record(4, "error", "this")]);
    assert_eq!(shown.next().unwrap().unwrap(), "this");
    let id = rustix::process::Pid::from_child(&tail);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert_eq!(tail.wait().unwrap().code(), Some(130));
}

#[test]
fn accounts_and_keys() {
    let scene = Scene::new();
    let with_password = |arguments: &[&str]| {
        let mut command = scene.taffrail(arguments);
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
    scene.printed(&["users", "own-ids", "maria", "u1", "u2"]);
    with_password(&["users", "set-password", "MARIA"]);
    let users = scene.printed(&["users", "list", "--format", "json"]);
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
    let secret = scene.printed(&create).trim().to_string();
    let status = |arguments: &[&str]| {
        let mut command = scene.taffrail(arguments);
        command
            .env("TAFFRAIL_TOKEN", &secret)
            .output()
            .unwrap()
            .status
            .code()
    };
    assert_eq!(status(&["logs", "search"]), Some(0));
    assert_eq!(status(&["users", "list"]), Some(4));
    let keys = scene.printed(&["keys", "list", "--format", "json"]);
    assert!(!keys.contains(&secret));
    let keys: Value = serde_json::from_str(&keys).unwrap();
    let key = keys
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["name"] == "dashboard")
        .unwrap();
    scene.printed(&["keys", "revoke", &key["id"].to_string()]);
    assert_eq!(status(&["logs", "search"]), Some(4));
    assert_eq!(
        scene.run(&["users", "disable", "nobody"]).status.code(),
        Some(2)
    );
}

#[test]
fn a_server_ends_with_sigterm() {
    let scene = Scene::new();
    let port = std::fs::read_to_string(scene.folder.path().join("port")).unwrap();
    assert_eq!(port.trim(), scene.server.address());
    scene.server.stop();
}

#[test]
fn a_data_directory_is_read_without_a_server() {
    let scene = Scene::new();
    scene.ingest(&[record(1, "info", "started"), record(2, "error", "failed")]);
    let path = |name: &str| scene.folder.path().join(name).display().to_string();
    let (data, key, config) = (path("data"), path("main.key"), path("config.yaml"));
    let directory = |data: &str, command: &[&str]| {
        let options = [
            "logs",
            "--data-dir",
            data,
            "--key-file",
            &key,
            "--config",
            &config,
        ];
        let mut process = program();
        process.args([&options[..], command].concat());
        process.output().unwrap()
    };
    let search = ["search", "--since", "all", "--format", "json"];
    // A server works on it.
    let refused = directory(&data, &search);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("in use"));
    let (server, folder) = (scene.server, scene.folder);
    server.kill();

    let found = directory(&data, &search);
    let said = String::from_utf8_lossy(&found.stderr);
    assert!(found.status.success(), "{said}");
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert_eq!(found[0]["message"], "failed");
    let id = found[1]["id"].as_str().unwrap();
    let context = directory(&data, &["context", id, "-A", "1"]);
    assert_eq!(
        String::from_utf8(context.stdout).unwrap().lines().count(),
        2
    );
    assert_eq!(directory(&data, &["tail"]).status.code(), Some(2));
    let nothing = folder.path().join("nothing");
    assert_eq!(
        directory(&nothing.display().to_string(), &search)
            .status
            .code(),
        Some(2)
    );
    assert!(!nothing.exists());
}
