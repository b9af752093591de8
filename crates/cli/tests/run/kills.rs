//! Kills: of the server of the protocol, of `taffrail run`, of the server behind it. What was written
//! before is there, once, and what is missing is said.
use super::{
    programs::{How, Running, Scene, ended, wait_until},
    records::{CALL, messages, script, send_what_waits, server, waiting_files},
};
use crate::harness::server::{Server, Start, own_address};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
};

#[test]
fn a_call_that_a_killed_server_has_not_answered_is_on_record() {
    let (_folder, _, server) = server();
    let scene = Scene::with_server(&server.url());
    let text = "while read -r line; do case \"$line\" in *tools/call*) kill -KILL $$;; esac; done";
    for how in How::BOTH {
        let tested = match how {
            How::Bare => scene.command(how, &["sh", "-c", text]),
            How::Wrapped => script(&scene, &["--service", "s"], text),
        };
        let mut running = Running::start(tested);
        let mut stdin = running.child.stdin.take().unwrap();
        writeln!(stdin, "{CALL}").unwrap();
        // Its stdin is open, and the client sees the end.
        let mut answer = String::new();
        let mut stdout = running.child.stdout.take().unwrap();
        stdout.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "", "{how:?}");
        let killed = (None, Some(Signal::KILL.as_raw()));
        assert_eq!(ended(running.end()), killed, "{how:?}");
        drop(stdin);
    }
    send_what_waits(&scene);
    let fields = ["gen_ai.tool.name", "mcp.outcome", "error.type", "message"];
    let calls = server.all("instance.access", &fields);
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(calls[0]["gen_ai.tool.name"], "greet");
    assert_eq!(calls[0]["mcp.outcome"], "unanswered");
    assert_eq!(calls[0]["error.type"], "session_ended");
    let exits = server.count("system.pm2", "process.exit.signal:SIGKILL");
    assert_eq!(exits, 1);
}

/// How often each `serial-N` is stored.
fn serials(server: &Server) -> BTreeMap<u64, u64> {
    let mut counts = BTreeMap::new();
    for text in messages(server, "instance.app") {
        if let Some(number) = text.strip_prefix("serial-") {
            *counts.entry(number.parse().unwrap()).or_default() += 1;
        }
    }
    counts
}

/// Runs that are said to have been killed; each once.
#[track_caller]
fn who_was_killed(server: &Server) -> BTreeSet<String> {
    let told = server.all("instance.app", &["message", "level", "killed_run_id"]);
    let mut runs = BTreeSet::new();
    for record in told {
        let Some(run) = record["killed_run_id"].as_str() else {
            continue;
        };
        assert_eq!(record["level"], "warn", "{record}");
        let message = record["message"].as_str().unwrap();
        assert!(
            message.starts_with(&format!("the run {run}, begun at ")),
            "{message}"
        );
        assert!(runs.insert(run.to_string()), "twice: {message}");
    }
    runs
}

/// Runs of which there are lines with numbers.
fn who_counted(server: &Server) -> BTreeSet<String> {
    let records = server.all("instance.app", &["message", "labels.run_id"]);
    let counting = records.iter().filter(|record| {
        let message = record["message"].as_str().unwrap_or_default();
        message.starts_with("serial-")
    });
    let run = |record: &Value| record["labels.run_id"].as_str().unwrap().to_string();
    counting.map(run).collect()
}

/// Slow enough that a loaded machine sends what it records.
const COUNTING: &str =
    "i=0; while :; do echo serial-$i; i=$((i+1)); [ $((i % 20)) = 0 ] && sleep 0.1; done";

#[test]
fn what_was_written_before_a_kill_arrives_once() {
    let (_folder, _, server) = server();
    let scene = Scene::with_server(&server.url());
    let mut seen = Vec::new();
    let mut killed = BTreeSet::new();
    for _ in 0..3 {
        let mut running = Running::start(script(&scene, &[], COUNTING));
        let mut stdout = running.child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            // The pipe may end within a line.
            let _ = stdout.read_to_string(&mut text);
            text.lines().count() as u64
        });
        // What the ones before it have left is stored meanwhile, too.
        let others: String = killed
            .iter()
            .map(|run| format!(" -labels.run_id:{run}"))
            .collect();
        wait_until("some of this run are stored", || {
            (server.count("instance.app", &format!("*serial*{others}")) > 100).then_some(())
        });
        killed.extend(who_counted(&server));
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        seen.push(reader.join().unwrap());
    }
    let mut last = Running::start(script(&scene, &[], "cat"));
    wait_until("nothing waits, and it is said who was killed", || {
        let is_said = server.count("instance.app", "_exists_:killed_run_id") == 3;
        (is_said && waiting_files(&scene) == 0).then_some(())
    });
    assert_eq!(killed.len(), 3);
    assert_eq!(who_was_killed(&server), killed);
    assert_eq!(who_counted(&server), killed);
    drop(last.child.stdin.take());
    assert_eq!(ended(last.end()), (Some(0), None));
    // Its end was clean.
    assert!(!scene.state.join("0/producer").exists());
    let counts = serials(&server);
    // Each run counts from nought: a record that came twice would be one too many.
    let runs = |number: u64| seen.iter().filter(|lines| number <= **lines).count() as u64;
    let wrong: Vec<_> = counts
        .iter()
        .filter(|(number, count)| **count > runs(**number))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?} of {seen:?}");
    // Of each run a beginning without holes: what was in memory at the kill is at its end.
    let total: Vec<u64> = counts.values().copied().collect();
    assert!(
        total.is_sorted_by(|one, next| one >= next),
        "a hole in {counts:?}"
    );
    assert_eq!(
        counts.keys().copied().collect::<Vec<_>>(),
        (0..counts.len() as u64).collect::<Vec<_>>()
    );
}

/// Asks a program that answers each line with one; the answers.
#[track_caller]
fn ask(running: &mut Running, count: usize) -> String {
    let mut answers = String::new();
    for _ in 0..count {
        let stdin = running.child.stdin.as_mut().unwrap();
        writeln!(stdin, "go").unwrap();
        answers += &running.line();
    }
    answers
}

#[test]
fn a_server_that_is_killed_and_comes_back_has_everything_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut start = Start::in_folder(folder.path());
    start.listen = own_address();
    let first = Server::start(&start);
    start.listen = first.address().to_string();
    let scene = Scene::with_server(&first.url());
    let text = "i=0; while read go; do echo serial-$i; i=$((i+1)); done; exit 7";
    let mut bare = scene.shell(How::Bare, text);
    let expected = ask(&mut bare, 150);
    let mut running = Running::start(script(&scene, &[], text));
    let mut answers = ask(&mut running, 50);
    wait_until("some are stored", || {
        (first.count("instance.app", "*serial*") > 0).then_some(())
    });
    first.kill();
    // The program does not notice.
    answers += &ask(&mut running, 50);
    let second = Server::start(&start);
    answers += &ask(&mut running, 50);
    assert_eq!(answers, expected);
    wait_until("all are stored", || {
        (serials(&second).len() == 150).then_some(())
    });
    for mut running in [bare, running] {
        drop(running.child.stdin.take());
        assert_eq!(ended(running.end()), (Some(7), None));
    }
    let counts = serials(&second);
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}
