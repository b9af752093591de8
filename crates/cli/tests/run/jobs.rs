//! Starting again.
use super::{
    programs::{Running, Scene, ended, wait_until},
    records::{script, send_what_waits, server},
};
use crate::harness::server::Server;
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};

#[test]
fn a_program_that_fails_is_started_again_and_reads_on() {
    let scene = Scene::new();
    let mut command = scene.run(&["--restart", "on-failure"]);
    // The first fails, the second reads what the first has not read.
    let script = "if [ -e \"$0\" ]; then head -c 4; exit 0; else : > \"$0\"; exit 1; fi";
    command.args(["sh", "-c", script]).arg(scene.path("second"));
    let mut running = Running::start(command);
    let mut stdin = running.child.stdin.take().unwrap();
    stdin.write_all(b"abc\n").unwrap();
    running.expect("abc");
    assert_eq!(ended(running.end()), (Some(0), None));
}

#[test]
fn a_client_that_has_left_ends_it() {
    let scene = Scene::new();
    let mut command = scene.run(&["--restart", "always"]);
    command.args(["sh", "-c", "cat; exit 9"]);
    let mut running = Running::start(command);
    let mut stdin = running.child.stdin.take().unwrap();
    stdin.write_all(b"x\n").unwrap();
    running.expect("x");
    drop(stdin);
    assert_eq!(ended(running.end()), (Some(9), None));
}

#[test]
fn a_signal_ends_it_while_it_waits_for_the_next_start() {
    wait_until("a signal has come between two starts", || {
        let scene = Scene::new();
        let mut command = scene.run(&["--restart", "always"]);
        command.args(["sh", "-c", "trap 'exit 7' TERM; echo ended; exit 1"]);
        let mut running = Running::start(command);
        running.expect("ended");
        // Only the witness of signals is left.
        let children = format!("/proc/{0}/task/{0}/children", running.child.id());
        wait_until("the program is waited for", || {
            let text = std::fs::read_to_string(&children).unwrap();
            (text.split_ascii_whitespace().count() == 1).then_some(())
        });
        running.signal(rustix::process::Signal::TERM);
        match ended(running.end()) {
            (None, Some(15)) => Some(()),
            // It was started again before: the signal has come to the program, or to its end.
            (Some(7 | 1), None) => None,
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_restart_that_a_signal_prevents_is_not_recorded() {
    let (_folder, _, server) = server();
    // The signal comes right after the end, while the last words are waited for.
    let text = "(sleep 0.02; kill -TERM $PPID) & exit 3";
    wait_until("a signal has come right after an end", || {
        let scene = Scene::with_server(&server.url());
        let restarts = || server.count("system.pm2", "process.event:restart");
        let before = restarts();
        let mut running = Running::start(script(&scene, &["--restart", "always"], text));
        let end = ended(running.end());
        send_what_waits(&scene);
        match end {
            // Later, the restart was already under way.
            (None, Some(15)) => (restarts() == before).then_some(()),
            // Earlier, the end was asked for.
            (Some(3), None) => None,
            other => panic!("{other:?}"),
        }
    });
    assert!(server.count("system.pm2", "process.exit.code:3") > 0);
}

#[test]
fn a_program_that_cannot_be_started_again_has_ended_for_good() {
    let scene = Scene::new();
    let mut command = scene.run(&["--restart", "on-failure"]);
    command.args(["sh", "-c", "echo begun; read -r go; exit 7"]);
    let mut running = Running::start(command);
    running.expect("begun");
    // Standard streams are all that may be open: there is no descriptor to start anything with.
    let limit = Rlimit {
        current: Some(3),
        maximum: Some(3),
    };
    prlimit(Some(running.pid()), Resource::Nofile, limit).unwrap();
    writeln!(running.child.stdin.as_mut().unwrap(), "go").unwrap();
    assert_eq!(ended(running.end()), (Some(7), None));
    let said = running.said();
    let expected = "taffrail: the program could not be started again: ";
    assert!(said.starts_with(expected), "{said}");
    assert!(!said.contains("recording is not possible"), "{said}");
}

/// Says which process it is, and fails once its client has seen that.
const HOPELESS: &str = "echo out $$; echo said $$ >&2; read -r go; exit 7";

/// Runs it under the name of `hopeless`, with one restart; what each start has said of its process.
#[track_caller]
fn run_hopeless(scene: &Scene) -> [String; 2] {
    let options = [
        "--service",
        "hopeless",
        "--restart",
        "on-failure",
        "--max-restarts",
        "1",
    ];
    let mut running = Running::start(script(scene, &options, HOPELESS));
    let mut stdin = running.child.stdin.take().unwrap();
    let mut stderr = BufReader::new(running.child.stderr.take().unwrap());
    let processes = [(); 2].map(|()| {
        let out = running.line();
        let mut said = String::new();
        stderr.read_line(&mut said).unwrap();
        let process = out.strip_prefix("out ").unwrap().trim_end().to_owned();
        assert_eq!(said, format!("said {process}\n"));
        writeln!(stdin, "go").unwrap();
        process
    });
    assert_eq!(ended(running.end()), (Some(7), None));
    assert_ne!(processes[0], processes[1]);
    processes
}

#[test]
fn a_program_that_never_comes_up_is_given_up_and_all_of_it_is_on_record() {
    let (_folder, _, server) = server();
    let scene = Scene::with_server(&server.url());
    let processes = run_hopeless(&scene);
    send_what_waits(&scene);
    check_events(&server, &processes);
    // What each process says is said to be of that process, also right after its start.
    for (stream, word) in [("instance.app", "out"), ("instance.error", "said")] {
        let records = server.all(stream, &["message", "metadata.process_id"]);
        let text = |record: &Value| record["message"].as_str().unwrap().trim().to_owned();
        let said = records.iter().filter(|it| text(it).starts_with(word));
        let found = said.map(|it| (text(it), it["metadata.process_id"].to_string()));
        let expected = processes
            .iter()
            .map(|process| (format!("{word} {process}"), process.clone()));
        assert!(found.eq(expected), "{records:?}");
    }
}

/// What is recorded of the lives of two hopeless processes.
#[track_caller]
fn check_events(server: &Server, processes: &[String; 2]) {
    let fields = [
        "process.event",
        "process.exit.code",
        "process.stderr_tail",
        "metadata.process_id",
        "source",
        "level",
        "message",
    ];
    let mut events = server.all("system.pm2", &fields);
    events.retain(|event| event["source"] == "hopeless");
    let names: Vec<_> = events
        .iter()
        .map(|it| it["process.event"].as_str().unwrap())
        .collect();
    let once = ["spawn", "ready", "exit"];
    let expected = [&once[..], &["restart"], &once, &["give_up"]].concat();
    assert_eq!(names, expected, "{events:?}");
    let given_up = events.last().unwrap();
    assert_eq!(given_up["level"], "error");
    assert_eq!(
        given_up["message"],
        "hopeless is not started again: it was too often"
    );
    for (index, event) in events.iter().enumerate() {
        let process = &processes[usize::from(index >= 4)];
        assert_eq!(
            event["metadata.process_id"].to_string(),
            *process,
            "{event}"
        );
        if event["process.event"] == "exit" {
            let tail = format!("said {process}");
            assert_eq!(event["process.stderr_tail"], tail, "{event}");
            assert_eq!(event["process.exit.code"], 7, "{event}");
        }
    }
}
