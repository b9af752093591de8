//! What is recorded, and what of it arrives: at a real server, each record once.
use super::programs::{HeldKey, NO_SERVER, Running, Scene, ended, wait_until};
use crate::harness::server::{KEY, Server, Start};
use serde_json::Value;
use std::{
    io::Write,
    process::{Command, Stdio},
};

pub fn server() -> (tempfile::TempDir, Start, Server) {
    let folder = tempfile::tempdir().unwrap();
    let start = Start::in_folder(folder.path());
    let server = Server::start(&start);
    (folder, start, server)
}

/// `taffrail run` with the server's key and these options, and a script.
pub fn script(scene: &Scene, options: &[&str], script: &str) -> Command {
    let mut command = scene.run(options);
    command
        .args(["sh", "-c", script])
        .env("TAFFRAIL_TOKEN", KEY);
    command
}

/// Runs it to its end; what it said on stderr.
#[track_caller]
pub fn run(mut command: Command, code: i32) -> String {
    let out = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(ended(out.status), (Some(code), None), "{out:?}");
    String::from_utf8_lossy(&out.stderr).into_owned()
}

pub fn messages(server: &Server, stream: &str) -> Vec<String> {
    let records = server.all(stream, &["message"]);
    let text = |record: &Value| record["message"].as_str().unwrap_or_default().to_string();
    records.iter().map(text).collect()
}

pub fn waiting_files(scene: &Scene) -> usize {
    files(scene, "pending")
}

/// Files in the folders of this name of all spools; none as long as there is no spool.
pub fn files(scene: &Scene, name: &str) -> usize {
    let spools = std::fs::read_dir(&scene.state);
    let spools = spools.into_iter().flatten().flatten();
    let folders = spools.map(|entry| entry.path().join(name));
    folders
        .filter_map(|path| std::fs::read_dir(path).ok())
        .flatten()
        .count()
}

/// Another run of the instance, until nothing waits any more.
#[track_caller]
pub fn send_what_waits(scene: &Scene) {
    let mut running = Running::start(script(scene, &["--service", "next"], "cat"));
    wait_until("nothing waits", || {
        (waiting_files(scene) == 0).then_some(())
    });
    drop(running.child.stdin.take());
    assert_eq!(ended(running.end()), (Some(0), None));
}

#[test]
fn lines_and_the_life_of_a_program_are_records() {
    let (_folder, _, server) = server();
    let scene = Scene::with_server(&server.url());
    let text =
        "echo hello; echo plain words >&2; echo 'Error: broken password=hunter2' >&2; exit 3";
    let options = ["--user", "u1", "--service", "figma", "--summary"];
    let said = run(script(&scene, &options, text), 3);
    // At a loaded machine the end may not wait for the server; then the next run sends it.
    if !said.contains("sent") || waiting_files(&scene) > 0 {
        send_what_waits(&scene);
    }
    wait_until("all is stored", || {
        let exits = server.count("system.pm2", "\"ended with code 3\"");
        (exits == 1).then_some(())
    });
    let fields = [
        "message",
        "level",
        "source",
        "instance_id",
        "user_id",
        "metadata.type",
        "metadata.hostname",
        "metadata.process_id",
        "labels.run_id",
    ];
    let out = server.all("instance.app", &fields);
    let hello = out
        .iter()
        .find(|record| record["message"] == "hello")
        .unwrap();
    for (name, value) in [
        ("source", "figma"),
        ("instance_id", "i1"),
        ("user_id", "u1"),
        ("metadata.type", "stdout"),
        ("level", "info"),
    ] {
        assert_eq!(hello[name], value, "{hello}");
    }
    for name in ["metadata.hostname", "metadata.process_id", "labels.run_id"] {
        assert!(!hello[name].is_null(), "{name} {hello}");
    }
    let errors = server.all("instance.error", &["message", "level"]);
    let texts: Vec<_> = errors
        .iter()
        .map(|it| it["message"].as_str().unwrap())
        .collect();
    // What begins a line as `Error: ` is the kind of the error.
    assert_eq!(
        texts,
        ["plain words", "broken password=[REDACTED:password]"]
    );
    assert_eq!(errors[0]["level"], "info");
    assert_eq!(errors[1]["level"], "error");
    let events = server.all(
        "system.pm2",
        &[
            "process.event",
            "process.exit.code",
            "process.stderr_tail",
            "level",
        ],
    );
    let exit = events
        .iter()
        .find(|record| record["process.exit.code"] == 3)
        .unwrap();
    assert_eq!(exit["level"], "error");
    let tail = exit["process.stderr_tail"].as_str().unwrap();
    assert_eq!(
        tail,
        "plain words\nError: broken password=[REDACTED:password]"
    );
    let names: Vec<_> = events
        .iter()
        .map(|it| it["process.event"].as_str().unwrap())
        .collect();
    assert_eq!(names[0], "spawn");
    assert!(names.contains(&"ready"), "{names:?}");
}

/// A server of the protocol, in a shell.
const MCP: &str = r#"while read -r line; do case "$line" in
*initialize\"*) echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}';;
*tools/call*) echo '{"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"hi"}]}}'; echo no protocol; echo done >&2;;
esac; done"#;
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
pub const CALL: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"greet","arguments":{"who":"me"}}}"#;

#[test]
fn calls_are_there_while_the_session_goes_on() {
    let (_folder, _, server) = server();
    let scene = Scene::with_server(&server.url());
    let mut running = Running::start(script(&scene, &["--service", "s"], MCP));
    let mut stdin = running.child.stdin.take().unwrap();
    writeln!(stdin, "{INITIALIZE}").unwrap();
    writeln!(stdin, "{CALL}").unwrap();
    wait_until("the call is found", || {
        (server.count("instance.access", "gen_ai.tool.name:greet") == 1).then_some(())
    });
    assert!(running.child.try_wait().unwrap().is_none());
    let calls = server.all(
        "instance.access",
        &["mcp.method.name", "mcp.outcome", "duration_ms"],
    );
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(
        calls.iter().all(|call| call["mcp.outcome"] == "ok"),
        "{calls:?}"
    );
    wait_until("the breach is found", || {
        (server.count("instance.error", "_exists_:mcp.violation") == 1).then_some(())
    });
    wait_until("the server is ready", || {
        (server.count("system.pm2", "\"initialize was answered\"") == 1).then_some(())
    });
    drop(stdin);
    assert_eq!(ended(running.end()), (Some(0), None));
}

/// Ends at its first start without having read anything, once a call waits for it; answers at its
/// second.
const SECOND: &str = r#"[ -e "$HOME/begun" ] || {
: >"$HOME/begun"; until [ -e "$HOME/asked" ]; do sleep 0.02; done; exit 1; }
read -r line; echo '{"jsonrpc":"2.0","id":2,"result":{}}'; cat"#;

#[test]
fn what_the_first_program_has_not_read_is_recorded_with_the_answer_of_the_second() {
    let (_folder, _, server) = server();
    let scene = Scene::with_server(&server.url());
    let mut running = Running::start(script(&scene, &["--restart", "on-failure"], SECOND));
    let mut stdin = running.child.stdin.take().unwrap();
    wait_until("the first has begun", || {
        scene.path("begun").exists().then_some(())
    });
    writeln!(stdin, "{CALL}").unwrap();
    wait_until("the call has passed to the first", || {
        (rustix::io::ioctl_fionread(&stdin).unwrap() == 0).then_some(())
    });
    std::fs::write(scene.path("asked"), b"").unwrap();
    running.expect(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    drop(stdin);
    assert_eq!(ended(running.end()), (Some(0), None));
    send_what_waits(&scene);
    let calls = server.all("instance.access", &["gen_ai.tool.name", "mcp.outcome"]);
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(calls[0]["gen_ai.tool.name"], "greet");
    assert_eq!(calls[0]["mcp.outcome"], "ok");
    assert_eq!(server.count("instance.error", ""), 0);
    let restarts = server.count("system.pm2", "process.event:restart");
    assert_eq!(restarts, 1);
}

#[test]
fn without_a_server_records_wait_and_the_next_run_sends_them_once() {
    let (_folder, _, server) = server();
    let mut scene = Scene::with_server(NO_SERVER);
    for number in 0..3 {
        let text = format!("echo number {number}");
        assert_eq!(run(script(&scene, &[], &text), 0), "");
    }
    assert!(waiting_files(&scene) > 0);
    scene.server = server.url();
    let mut last = Running::start(script(&scene, &[], "echo number 3; cat"));
    wait_until("all is stored", || {
        let count = server.count("instance.app", "number");
        (count >= 4 && waiting_files(&scene) == 0).then_some(())
    });
    drop(last.child.stdin.take());
    last.end();
    let mut texts = messages(&server, "instance.app");
    texts.sort();
    let expected: Vec<String> = (0..4).map(|number| format!("number {number}")).collect();
    assert_eq!(texts, expected);
}

#[test]
fn contents_arrive_redacted() {
    let (_folder, _, server) = server();
    let scene = Scene::with_server(&server.url());
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pay","arguments":{"who":"me","password":"hunter2","note":"api_key=sk-live-0123456789abcdef","card":"4111 1111 1111 1111"}}}"#;
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"paid with 4111111111111111"}],"structuredContent":{"api_key":"abcdef0123456789","password":"hunter3"}}}"#;
    let text = format!("read -r line; echo '{answer}'; cat");
    let mut running = Running::start(script(&scene, &["--contents-kib", "4"], &text));
    let mut stdin = running.child.stdin.take().unwrap();
    writeln!(stdin, "{call}").unwrap();
    running.expect(answer);
    drop(stdin);
    assert_eq!(ended(running.end()), (Some(0), None));
    send_what_waits(&scene);
    let fields = ["gen_ai.tool.call.arguments", "gen_ai.tool.call.result"];
    let calls = server.all("instance.access", &fields);
    assert_eq!(calls.len(), 1, "{calls:?}");
    for (field, kept) in fields.into_iter().zip(["me", "paid with"]) {
        let text = calls[0][field].as_str().unwrap();
        assert!(text.contains(kept), "{field} {text}");
        assert_eq!(text.matches("[REDACTED").count(), 3, "{field} {text}");
        for secret in ["hunter", "sk-live", "abcdef0123456789", "1111"] {
            assert!(!text.contains(secret), "{field} {text}");
        }
    }
}

/// What is said of a buffer that cannot be used, and that the program is as without.
#[track_caller]
fn check_without_buffer(options: &[&str], prepare: impl Fn(&Scene), words: &str) {
    let scene = Scene::with_server(NO_SERVER);
    prepare(&scene);
    let mut command = scene.run(options);
    command.args(["sh", "-c", "cat; echo out; exit 5"]);
    let mut running = Running::start(command);
    running
        .child
        .stdin
        .take()
        .unwrap()
        .write_all(b"in\n")
        .unwrap();
    assert_eq!(running.expect("out"), "in\nout\n");
    assert_eq!(ended(running.end()), (Some(5), None));
    let said = running.said();
    let is_said_once = said.matches(words).count() == 1 && said.lines().count() == 1;
    assert!(
        is_said_once || (words.is_empty() && said.is_empty()),
        "{said:?}"
    );
}

#[test]
fn a_buffer_that_is_full_or_missing_costs_records_and_not_the_program() {
    let nothing = |_: &Scene| {};
    check_without_buffer(
        &["--spool-mib", "0"],
        nothing,
        "records were lost: the buffer is full",
    );
    check_without_buffer(&["--spool-mib", "0", "--quiet"], nothing, "");
    let is_a_file = |scene: &Scene| std::fs::write(&scene.state, b"").unwrap();
    check_without_buffer(&[], is_a_file, "records were lost: ");
}

/// What is said at the end of a flood that passes while what records stands still. It is more than
/// waits to be recorded.
#[track_caller]
fn said_of_flood(line: &str) -> String {
    let scene = Scene::with_server(NO_SERVER);
    let key = HeldKey::new(&scene);
    let text = format!("read -r go; yes '{line}' | head -c 40000000");
    let options = ["--summary", "--token-file", key.file()];
    let mut running = Running::start(script(&scene, &options, &text));
    let held = key.wait();
    writeln!(running.child.stdin.as_mut().unwrap(), "go").unwrap();
    let mut stdout = running.child.stdout.take().unwrap();
    let passed = std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
    assert_eq!(passed, 40_000_000);
    held.go_on();
    assert_eq!(ended(running.end()), (Some(0), None));
    running.said()
}

#[test]
fn what_was_too_fast_is_counted_and_said() {
    let long = "as programs print them, again and again ".repeat(10);
    for line in ["x", &long] {
        let said = said_of_flood(line);
        let is_said = said.contains("bytes of stdout were too fast to be recorded");
        // Nothing of it is unknown.
        assert!(is_said && said.contains("records were made"), "{said}");
    }
}

#[test]
fn the_end_does_not_wait_for_long_for_what_records() {
    let (_folder, _, server) = server();
    let mut scene = Scene::with_server(&server.url());
    let key = HeldKey::new(&scene);
    let usual = scene.keep_patience_s.take();
    let options = ["--token-file", key.file()];
    let mut running = Running::start(script(&scene, &options, "read -r go; exit 3"));
    let held = key.wait();
    writeln!(running.child.stdin.as_mut().unwrap(), "go").unwrap();
    // What records stands still for ever.
    assert_eq!(ended(running.end()), (Some(3), None));
    let text = "the last records could not be written in time: some may be lost";
    assert_eq!(running.said(), format!("taffrail: {text}\n"));
    drop(held);
    // And it is on record.
    scene.keep_patience_s = usual;
    wait_until("it is stored which run has not ended cleanly", || {
        send_what_waits(&scene);
        (server.count("instance.app", "_exists_:killed_run_id") == 1).then_some(())
    });
}

#[test]
fn several_wrappers_of_an_instance_work_at_once() {
    let (_folder, _, server) = server();
    let scene = Scene::with_server(&server.url());
    let running: Vec<Running> = (0..4)
        .map(|number| {
            let text = format!("echo wrapper {number}; cat");
            Running::start(script(&scene, &[], &text))
        })
        .collect();
    wait_until("all four have recorded", || {
        (server.count("instance.app", "wrapper") == 4).then_some(())
    });
    drop(running);
}

const SORTED: &str = "\
streams: {batch: {retention_days: 7}}
capture:
  rules:
    - {origins: [stderr], pattern: ^started, to: instance.app, level: debug}
    - {pattern: ^nightly, to: batch}
";

#[test]
fn what_is_printed_is_sorted_by_the_rules_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("config.yaml");
    std::fs::write(&configuration, SORTED).unwrap();
    let start = Start {
        arguments: vec!["--config".into(), configuration.clone().into()],
        ..Start::in_folder(folder.path())
    };
    let server = Server::start(&start);
    let scene = Scene::with_server(&server.url());
    let text = "echo started >&2; echo nightly run; echo other >&2";
    let asked = ["--config", configuration.to_str().unwrap()];
    run(script(&scene, &asked, text), 0);
    if waiting_files(&scene) > 0 {
        // A loaded machine: the next run sends it.
        send_what_waits(&scene);
    }
    wait_until("all is stored", || {
        let counts = ["instance.error", "batch"].map(|stream| server.count(stream, ""));
        (counts == [1, 1]).then_some(())
    });
    assert_eq!(messages(&server, "instance.error"), ["other"]);
    assert_eq!(messages(&server, "batch"), ["nightly run"]);
    assert_eq!(server.count("instance.app", "level:debug started"), 1);
}

#[test]
fn a_fault_in_the_configuration_does_not_keep_the_program_from_running() {
    let scene = Scene::new();
    std::fs::create_dir(scene.path(".taffrail")).unwrap();
    let usual = scene.path(".taffrail/config.yaml");
    std::fs::write(&usual, "capture: {rules: [{to: nowhere}]}\n").unwrap();
    let said = run(script(&scene, &[], "exit 3"), 3);
    let fault = "config.yaml:1: capture rule 1: there is no stream \"nowhere\"";
    assert!(said.contains(fault), "{said}");
    assert_eq!(run(script(&scene, &["--quiet"], "exit 3"), 3), "");
    // Asked for by name, it must be right: the code of wrong usage.
    let asked = ["--config", usual.to_str().unwrap()];
    let said = run(script(&scene, &asked, "exit 3"), 2);
    assert!(said.contains(fault), "{said}");
    // Other keys are the server's, whatever they say.
    std::fs::write(&usual, "memory: s3cret\nkey_file: [s3cret]\n").unwrap();
    assert_eq!(run(script(&scene, &[], "exit 3"), 3), "");
    assert_eq!(run(script(&scene, &asked, "exit 3"), 3), "");
}

#[test]
fn the_record_of_a_fault_in_the_configuration_has_no_value_of_it() {
    let (_folder, _, server) = server();
    let scene = Scene::with_server(&server.url());
    std::fs::create_dir(scene.path(".taffrail")).unwrap();
    let usual = scene.path(".taffrail/config.yaml");
    std::fs::write(&usual, "capture: {rules: [{to: s3cret}]}\n").unwrap();
    let mut running = Running::start(script(&scene, &[], "cat"));
    wait_until("the fault is recorded", || {
        (server.count("instance.app", "\"default rules\"") == 1).then_some(())
    });
    drop(running.child.stdin.take());
    assert_eq!(ended(running.end()), (Some(0), None));
    let text = messages(&server, "instance.app").join("\n");
    let place = format!("{}:1 (capture.rules)", usual.display());
    assert!(text.contains(&place) && !text.contains("s3cret"), "{text}");
}
