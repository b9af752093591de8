//! The wrapper with a key of its instance: whose its records are, and what it is refused.
use super::{
    programs::{Running, Scene, ended, wait_until},
    records::{files, run, server, waiting_files},
};
use crate::harness::server::{Answer, KEY, Server};
use serde_json::{Value, json};
use std::{io::Write, process::Command};

/// An instance of a user id.
#[track_caller]
fn make_instance(server: &Server, id: &str, user_id: &str) {
    let body = json!({ "id": id, "user_id": user_id, "service": "figma" });
    let made = Answer::of(server.post("/api/v1/mcps").json(&body));
    assert_eq!(made.status, 201, "{made:?}");
}

/// An account that owns a user id; its number.
#[track_caller]
fn make_account(server: &Server, name: &str, user_id: &str) -> i64 {
    let body = json!({
        "name": name, "password": "a password of the tests", "role": "user",
        "own_user_ids": [user_id],
    });
    let made = Answer::of(server.post("/api/v1/users").json(&body));
    assert_eq!(made.status, 201, "{made:?}");
    made.json()["data"]["id"].as_i64().unwrap()
}

/// A key that is made at this path; its secret.
#[track_caller]
fn make_key(server: &Server, path: &str, account: i64) -> String {
    let body = json!({ "name": "run", "account": account });
    let made = Answer::of(server.post(path).json(&body));
    assert_eq!(made.status, 201, "{made:?}");
    let secret = &made.json()["data"]["secret"];
    secret.as_str().unwrap().to_owned()
}

/// Two users with an instance each, `i1` of jane and `i2` of joe; jane's account.
#[track_caller]
fn two_owners(server: &Server) -> i64 {
    let jane = make_account(server, "jane", "u-jane");
    make_account(server, "joe", "u-joe");
    make_instance(server, "i1", "u-jane");
    make_instance(server, "i2", "u-joe");
    jane
}

/// A shell under `taffrail run`, with a key in a file as the guide says.
fn script(scene: &Scene, key: &str, options: &[&str], script: &str) -> Command {
    let file = scene.path("token");
    std::fs::write(&file, format!("{key}\n")).unwrap();
    let mut command = scene.run(options);
    command.args(["sh", "-c", script]);
    command.env("TAFFRAIL_TOKEN_FILE", file);
    command.env_remove("TAFFRAIL_TOKEN");
    command
}

/// Runs a program that reads its stdin until then; what was said on stderr.
#[track_caller]
fn run_until(command: Command, mut is_enough: impl FnMut() -> bool) -> String {
    let mut running = Running::start(command);
    wait_until("enough has happened", || is_enough().then_some(()));
    drop(running.child.stdin.take());
    assert_eq!(ended(running.end()), (Some(0), None));
    running.said()
}

fn logs(server: &Server, id: &str) -> Value {
    server.get(&format!("/api/v1/mcps/{id}/logs")).data()
}

const CALLS: &str = r#"read -r line; echo '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'; cat"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet"}}"#;

#[test]
fn records_of_a_bound_key_are_the_instances_and_its_owners() {
    let (_folder, _, server) = server();
    let jane = two_owners(&server);
    let key = make_key(&server, "/api/v1/mcps/i1/keys", jane);
    let scene = Scene::with_server(&server.url());
    // Whatever the wrapper says of the user.
    let options = ["--user", "u-joe"];
    let mut running = Running::start(script(&scene, &key, &options, CALLS));
    let mut stdin = running.child.stdin.take().unwrap();
    writeln!(stdin, "{CALL}").unwrap();
    running.expect(r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#);
    wait_until("the call is stored", || {
        (server.count("instance.access", "*") == 1).then_some(())
    });
    drop(stdin);
    assert_eq!(ended(running.end()), (Some(0), None));
    run(script(&scene, &key, &options, "echo later; exit 3"), 3);
    // What that one had no time to send is sent by the next.
    run_until(script(&scene, &key, &options, "cat"), || {
        server.count("system.pm2", "process.exit.code:3") == 1
    });
    let owned = ["instance_id", "user_id", "labels.user_id"];
    for stream in ["instance.access", "instance.app", "system.pm2"] {
        let records = server.all(stream, &owned);
        assert!(!records.is_empty(), "{stream}");
        for record in records {
            let found = owned.map(|name| record[name].clone());
            assert_eq!(found, ["i1", "u-jane", "u-joe"], "{stream}: {record}");
        }
    }
    let call = logs(&server, "i1")["logs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|record| record["metadata"]["gen_ai.tool.name"] == "greet")
        .cloned()
        .unwrap();
    let names: Vec<_> = call.as_object().unwrap().keys().collect();
    // As the document writes it, in its order.
    assert_eq!(names, ["timestamp", "level", "message", "metadata"]);
    let metadata = &call["metadata"];
    let found = ["type", "instanceId", "userId"].map(|name| metadata[name].clone());
    assert_eq!(found, ["stdout", "i1", "u-jane"], "{call}");
    // Nobody has said another one to the wrapper.
    assert_eq!(metadata["service"], "figma", "{call}");
    assert_eq!(metadata["process_name"], "sh", "{call}");
    assert_eq!(metadata["mcp.outcome"], "ok", "{call}");
}

#[test]
fn nothing_gets_into_another_users_instance() {
    let (_folder, _, server) = server();
    let jane = two_owners(&server);
    let mut scene = Scene::with_server(&server.url());
    scene.instance = "i2".to_owned();
    let bound = make_key(&server, "/api/v1/mcps/i1/keys", jane);
    run_until(script(&scene, &bound, &[], "echo bound; cat"), || {
        server.count("instance.app", "bound") == 1
    });
    let records = server.all(
        "instance.app",
        &["instance_id", "user_id", "labels.instance_id"],
    );
    assert_eq!(records[0]["instance_id"], "i1", "{records:?}");
    assert_eq!(records[0]["user_id"], "u-jane", "{records:?}");
    assert_eq!(records[0]["labels.instance_id"], "i2", "{records:?}");
    // A key of the user is none of a supervisor, and nothing passes what it may not send.
    let own = make_key(&server, "/api/v1/keys", jane);
    let said = run_until(script(&scene, &own, &[], "echo own; cat"), || {
        waiting_files(&scene) == 0 && files(&scene, "rejected") > 0
    });
    let expected = "may not write to stream \"system.pm2\"";
    assert!(said.contains(expected), "{said}");
    assert_eq!(server.count("instance.app", "own"), 0);
    assert_eq!(logs(&server, "i2")["pagination"]["total"], 0);
}

/// Two programs' ways to speak as somebody else: a line of JSON, and data of a log message.
const FORGED: &str = r#"
echo '{"message":"line","instance_id":"i2","user_id":"u-joe","labels.run_id":"r","stream":"system.audit"}'
echo '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":{"message":"data","instanceId":"i2","instance_id":"i2","user_id":"u-joe"}}}'
cat"#;

#[test]
fn a_program_cannot_speak_as_another_instance() {
    let (_folder, _, server) = server();
    two_owners(&server);
    let scene = Scene::with_server(&server.url());
    // The admin may write to every instance.
    let running = Running::start(script(&scene, KEY, &["--user", "u-jane"], FORGED));
    wait_until("both are stored", || {
        (server.count("instance.app", "line OR data") == 2).then_some(())
    });
    drop(running);
    assert_eq!(logs(&server, "i2")["pagination"]["total"], 0);
    assert_eq!(server.count("system.audit", "line"), 0);
    let names = ["instance_id", "user_id", "labels.instance_id"];
    let fields = [&names[..], &["message", "labels.run_id"]].concat();
    let records = server.all("instance.app", &fields);
    for record in &records {
        let found = names[..2].iter().map(|name| record[name].clone());
        assert_eq!(found.collect::<Vec<_>>(), ["i1", "u-jane"], "{record}");
        assert_ne!(record["labels.run_id"], "r", "{record}");
    }
    let forged = records.iter().filter(|it| it["labels.instance_id"] == "i2");
    assert_eq!(forged.count(), 2, "{records:?}");
}

#[test]
fn a_deleted_instance_takes_nothing_more_and_it_is_said() {
    let (_folder, _, server) = server();
    let jane = two_owners(&server);
    let key = make_key(&server, "/api/v1/mcps/i1/keys", jane);
    let scene = Scene::with_server(&server.url());
    let text = "echo before; read -r line; echo after; read -r line; exit 4";
    let mut running = Running::start(script(&scene, &key, &["--sample-s", "0"], text));
    let mut stdin = running.child.stdin.take().unwrap();
    // Nothing is under way at the deletion, which would be refused in its own way.
    wait_until("all that is recorded until then is stored", || {
        let is_ready = server.count("system.pm2", "process.event:ready") == 1;
        let is_stored = server.count("instance.app", "before") == 1;
        (is_ready && is_stored && waiting_files(&scene) == 0).then_some(())
    });
    let deleted = server.delete("/api/v1/mcps/i1");
    assert_eq!(deleted.status, 204, "{deleted:?}");
    writeln!(stdin, "go on").unwrap();
    running.expect("after");
    wait_until("it waits", || (waiting_files(&scene) > 0).then_some(()));
    wait_until("the server has refused it", || {
        let measures = server.get("/metrics").text;
        let of_ingest = r#"route="/api/v1/ingest/{stream}",status="401""#;
        measures.contains(of_ingest).then_some(())
    });
    writeln!(stdin, "end").unwrap();
    // The program does not notice.
    assert_eq!(ended(running.end()), (Some(4), None));
    let mut said = running.said();
    let expected = "records wait until this is changed: the server answers 401";
    // On a loaded machine it may have ended before it heard that; then the next run hears it.
    wait_until("it is said", || {
        if said.contains(expected) {
            return Some(());
        }
        said = run(script(&scene, &key, &[], "exit 4"), 4);
        None
    });
    assert_eq!(server.count("instance.app", "after"), 0);
}
