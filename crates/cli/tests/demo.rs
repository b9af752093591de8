//! The demonstration with its real MCP server and client: calls are there to see, a crash of either
//! is mended and on record, and nothing outlives it.
#![allow(clippy::unwrap_used, reason = "what a test cannot do is a failed test")]
mod harness;

use harness::{PROGRAM, program, server::http_client};
use reqwest::blocking::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Longer than two starts of Node.js and the waits before a restart on a machine that has much
/// else to do.
const PATIENCE: Duration = Duration::from_secs(120);
/// Words that are in the command line of each process and of no other.
const CLIENT: &str = "client.mjs";
const SERVER: &str = "server-everything/dist/index.js";

/// A running demonstration.
struct Demo {
    child: Child,
    url: String,
    token: String,
    http: Client,
    /// What it said until it was ready.
    said: String,
}

fn packages() -> PathBuf {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
    assert!(
        packages.join("node_modules").is_dir(),
        "the packages are not there: scripts/setup.sh test installs them"
    );
    packages
}

fn command(home: &Path) -> Command {
    let mut command = program();
    command.env("HOME", home);
    command.args(["demo", "--listen", "127.0.0.1:0", "--data-dir"]);
    command.arg(home.join("demo"));
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

impl Demo {
    /// Starts it and waits until it has said everything.
    #[track_caller]
    fn start(mut command: Command, home: &Path) -> Demo {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        while !said.contains("Ctrl-C ends it") {
            let line = lines.next().unwrap_or_else(|| panic!("it ended:\n{said}"));
            said += &format!("{}\n", line.unwrap());
        }
        // Read on, so that it never waits for its reader.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let (_, rest) = said.split_once("Open ").unwrap();
        let url = rest.split_whitespace().next().unwrap().to_string();
        let token = std::fs::read_to_string(home.join("demo/token")).unwrap();
        Demo {
            child,
            url,
            token: token.trim().to_string(),
            http: http_client(),
            said,
        }
    }

    fn count(&self, stream: &str, query: &str) -> u64 {
        let question = json!({ "query": query, "streams": [stream], "limit": 0 });
        let request = self.http.post(format!("{}/api/v1/search", self.url));
        let answer = request.bearer_auth(&self.token).json(&question).send();
        let answer: Value = answer.unwrap().json().unwrap();
        answer["data"]["total"].as_u64().unwrap()
    }

    #[track_caller]
    fn wait_for(&self, stream: &str, query: &str, at_least: u64) {
        wait_until(query, || {
            (self.count(stream, query) >= at_least).then_some(())
        });
    }

    /// Processes that it started, and those that they started.
    fn descendants(&self) -> BTreeMap<u32, Process> {
        let all = processes();
        let mut found = BTreeMap::new();
        let mut open = vec![self.child.id()];
        while let Some(parent) = open.pop() {
            for (id, process) in all.iter().filter(|(_, one)| one.parent == parent) {
                open.push(*id);
                found.insert(*id, process.clone());
            }
        }
        found
    }

    /// The one that is started with this word and is none of ours.
    #[track_caller]
    fn find(&self, word: &str) -> Pid {
        let id = wait_until(word, || {
            let all = self.descendants();
            let is_it = |one: &Process| {
                one.words.len() > 1 && one.words[0] != PROGRAM && one.words[1].ends_with(word)
            };
            all.iter().find(|(_, one)| is_it(one)).map(|(id, _)| *id)
        });
        Pid::from_raw(id.cast_signed()).unwrap()
    }

    /// Sends a signal and waits until neither it nor anything that it started is there.
    #[track_caller]
    fn end(mut self, signal: Signal) -> Option<i32> {
        let before = self.descendants();
        assert!(before.len() >= 4, "{before:?}");
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let status = wait_until("it ends", || self.child.try_wait().unwrap());
        wait_until("nothing is left", || {
            let now = processes();
            let is_left = |(id, one): (&u32, &Process)| now.get(id) == Some(one);
            (!before.iter().any(is_left)).then_some(())
        });
        status.code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process, told from a later one with its number by when it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    parent: u32,
    started: String,
    words: Vec<String>,
}

/// All that run.
fn processes() -> BTreeMap<u32, Process> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(|id| Some((id, process(id)?))).collect()
}

fn process(id: u32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let words = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
    let words = String::from_utf8_lossy(&words);
    let is_over = ["Z", "X"].contains(fields.first()?);
    (!is_over).then_some(Process {
        parent: fields.get(1)?.parse().ok()?,
        started: (*fields.get(19)?).to_string(),
        words: words.split_terminator('\0').map(str::to_string).collect(),
    })
}

#[track_caller]
fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn calls_go_on_over_crashes_and_restarts_and_nothing_outlives_them() {
    let home = tempfile::tempdir().unwrap();
    let live = || {
        let mut command = command(home.path());
        command.arg("--mcp").arg(packages());
        Demo::start(command, home.path())
    };
    let demo = live();
    assert!(demo.said.contains("  with  "), "{}", demo.said);
    let calls = "instance_id:everything user_id:demo mcp.method.name:\"tools/call\"";
    demo.wait_for("instance.access", calls, 1);
    demo.wait_for("instance.app", "instance_id:\"everything-client\"", 1);

    kill_process(demo.find(SERVER), Signal::KILL).unwrap();
    let of_server = "instance_id:everything process.event:restart";
    demo.wait_for("system.pm2", of_server, 1);
    let before = demo.count("instance.access", calls);
    demo.wait_for("instance.access", calls, before + 1);

    kill_process(demo.find(CLIENT), Signal::KILL).unwrap();
    let of_client = "instance_id:\"everything-client\" process.event:restart";
    demo.wait_for("system.pm2", of_client, 1);
    let before = demo.count("instance.access", calls);
    demo.wait_for("instance.access", calls, before + 1);
    assert_eq!(demo.end(Signal::TERM), Some(0));

    let demo = live();
    assert!(!demo.said.contains("  with  "), "{}", demo.said);
    // What was recorded before is there, and more comes: the instances and keys still hold.
    let before = demo.count("instance.access", calls);
    assert!(before >= 3, "{before}");
    demo.wait_for("instance.access", calls, before + 1);
    assert_eq!(demo.end(Signal::KILL), None);
}

#[test]
fn without_packages_or_node_it_says_so_and_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let said = |prepare: &dyn Fn(&mut Command)| {
        let mut command = command(home.path());
        prepare(&mut command);
        Demo::start(command, home.path()).said.clone()
    };
    let plain = said(&|_| {});
    assert!(plain.contains("No live calls: `make run`"), "{plain}");
    let empty = said(&|command| {
        command.arg("--mcp").arg(home.path());
    });
    assert!(empty.contains("client.mjs is missing: "), "{empty}");
    let no_node = said(&|command| {
        command.arg("--mcp").arg(home.path()).env("PATH", "");
    });
    assert!(no_node.contains("Node.js is missing"), "{no_node}");
}
