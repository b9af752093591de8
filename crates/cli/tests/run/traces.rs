//! Stack traces of several lines, as the runtimes of five languages have printed them: each is one
//! record of `instance.error` with all of it.
use super::{
    programs::{Running, Scene, ended, wait_until},
    records::server,
};
use crate::harness::server::KEY;

/// A language, its fixture, the record of it that is printed, the type that it names.
const TRACES: [(&str, &str, usize, &str); 5] = [
    (
        "python",
        include_str!("../../../ingest/src/listen/multiline/fixtures/python.txt"),
        1,
        "ValueError",
    ),
    (
        "node",
        include_str!("../../../ingest/src/listen/multiline/fixtures/node.txt"),
        0,
        "Error",
    ),
    (
        "java",
        include_str!("../../../ingest/src/listen/multiline/fixtures/java.txt"),
        0,
        "java.lang.IllegalStateException",
    ),
    (
        "go",
        include_str!("../../../ingest/src/listen/multiline/fixtures/go.txt"),
        1,
        "panic",
    ),
    (
        "rust",
        include_str!("../../../ingest/src/listen/multiline/fixtures/rust.txt"),
        6,
        "panic",
    ),
];

/// Prints each file on the output of this number, with a line before each.
const PRINTING: &str = "out=$0; for file in \"$@\"; do echo \"about to print $file\" >&\"$out\"; \
                        cat \"$file\" >&\"$out\"; done; read -r go; exit 1";

/// What is printed on one output is found as five records.
#[track_caller]
fn check(descriptor: &str, kind: &str) {
    let (_folder, _, server) = server();
    let scene = Scene::with_server(&server.url());
    let mut command = scene.run(&["--service", "failing"]);
    command.args(["sh", "-c", PRINTING, descriptor]);
    let traces = TRACES.map(|(language, fixture, index, thrown)| {
        let trace = fixture.split("%%\n").nth(index).unwrap();
        let path = scene.path(language);
        std::fs::write(&path, trace).unwrap();
        command.arg(path);
        (trace.trim_end(), thrown)
    });
    command.env("TAFFRAIL_TOKEN", KEY);
    let mut running = Running::start(command);
    wait_until("all are stored", || {
        let query = format!("_exists_:error.stack metadata.type:{kind}");
        (server.count("instance.error", &query) == TRACES.len() as u64).then_some(())
    });
    drop(running.child.stdin.take());
    assert_eq!(ended(running.end()), (Some(1), None));
    let fields = ["message", "error.stack", "error.type", "level", "source"];
    let mut records = server.all("instance.error", &fields);
    records.extend(server.all("instance.app", &fields));
    let (records, others): (Vec<_>, Vec<_>) = records
        .into_iter()
        .partition(|record| !record["error.stack"].is_null());
    // No line of a trace is a record of its own.
    assert_eq!(others.len(), traces.len(), "{others:?}");
    for other in others {
        let message = other["message"].as_str().unwrap();
        assert!(message.starts_with("about to print "), "{other}");
    }
    for (record, (trace, thrown)) in records.iter().zip(traces) {
        assert_eq!(record["error.stack"], trace);
        assert_eq!(record["error.type"], thrown);
        let level = record["level"].as_str().unwrap();
        assert!(["error", "critical"].contains(&level), "{record}");
        assert_eq!(record["source"], "failing");
    }
}

#[test]
fn a_stack_trace_on_stderr_is_one_record() {
    check("2", "stderr");
}

#[test]
fn a_stack_trace_on_stdout_is_one_record() {
    check("1", "stdout");
}
