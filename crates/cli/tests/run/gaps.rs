//! What could not be recorded is on record: how much, in its place, found by a search of the server.
use super::{
    programs::{HeldKey, Running, Scene, ended, started_by, wait_until},
    records::{messages, script, send_what_waits, server},
};
use crate::harness::server::Server;
use std::{
    io::{Read, Write},
    os::unix::fs::MetadataExt,
};

/// Bytes of a flood, one line that costs little to record: more than wait to be recorded.
const FLOOD_BYTES: u64 = 40_000_000;
/// How many wait at the most.
const WAITING_BYTES_MAX: u64 = 16 << 20;
/// What is said before the flood.
const BEFORE: &str = "before the flood";

/// Says something and then the flood on an output, once it is asked to.
const FLOODING: &str =
    "read -r go; echo \"$2\" >&\"$0\"; head -c \"$1\" /dev/zero >&\"$0\"; echo >&\"$0\"";

/// A program floods an output, `descriptor`, while what records stands still. What was said before is
/// in `stream`; what is missing is said by records that name the lost bytes, as `told`, and by as many
/// bytes as are said at the end.
#[track_caller]
fn check(descriptor: &str, stream: &str, told: &str) {
    let (_folder, _, server) = server();
    let scene = Scene::with_server(&server.url());
    let key = HeldKey::new(&scene);
    let mut command = scene.run(&["--service", "flooding", "--token-file", key.file()]);
    let bytes = FLOOD_BYTES.to_string();
    command
        .args(["sh", "-c", FLOODING])
        .args([descriptor, &bytes, BEFORE]);
    let mut running = Running::start(command);
    let held = key.wait();
    writeln!(running.child.stdin.as_mut().unwrap(), "go").unwrap();
    let flooded: &mut dyn Read = match descriptor {
        "1" => running.child.stdout.as_mut().unwrap(),
        _ => running.child.stderr.as_mut().unwrap(),
    };
    // No byte of it is missing for whoever reads it.
    let passing = BEFORE.len() as u64 + 1 + FLOOD_BYTES + 1;
    let passed = std::io::copy(&mut flooded.take(passing), &mut std::io::sink()).unwrap();
    assert_eq!(passed, passing);
    held.go_on();
    assert_eq!(ended(running.end()), (Some(0), None));
    let said = running.said();
    send_what_waits(&scene);
    let texts = messages(&server, stream);
    assert!(texts.iter().any(|text| text == BEFORE), "{texts:?}");
    let lost = lost_on_record(&server, told);
    let said_bytes = said.strip_prefix("taffrail: ").and_then(|said| {
        let (bytes, words) = said.split_once(' ')?;
        words.contains("too fast to be recorded").then_some(bytes)
    });
    // What is dropped of a line, of which the rest is lost, is in the records only.
    let said_bytes: u64 = said_bytes
        .unwrap_or_else(|| panic!("{said}"))
        .parse()
        .unwrap();
    assert!(
        passed - WAITING_BYTES_MAX <= said_bytes && said_bytes <= lost && lost <= passed,
        "{lost} on record, {said}"
    );
}

/// How many bytes records say that are missing, each as `told`.
#[track_caller]
fn lost_on_record(server: &Server, told: &str) -> u64 {
    let found = server.search(serde_json::json!({
        "query": "\"recording gap\" mcp.recording.lost_bytes>0", "streams": ["instance.app"],
        "fields": ["message", "level", "source", "metadata.type", "mcp.recording.lost_bytes"],
        "limit": 10_000,
    }));
    let gaps = found["records"].as_array().unwrap();
    let bytes = gaps.iter().map(|gap| {
        let found = ["level", "source", "metadata.type"].map(|name| gap[name].clone());
        assert_eq!(found, ["warn", "flooding", "system"], "{gap}");
        let message = gap["message"].as_str().unwrap();
        assert!(message.ends_with(told), "{message}");
        gap["mcp.recording.lost_bytes"].as_u64().unwrap()
    });
    bytes.sum()
}

#[test]
fn lost_bytes_of_stderr_are_found_by_a_search() {
    check("2", "instance.error", " bytes of stderr were not recorded");
}

#[test]
fn lost_bytes_of_stdout_are_found_by_a_search() {
    check("1", "instance.app", " from the server were not recorded");
}

/// Lines that the program was asked for and that are stored.
fn stored(server: &Server) -> u64 {
    let texts = messages(server, "instance.app");
    texts
        .iter()
        .filter(|text| text.starts_with("line "))
        .count() as u64
}

#[test]
fn records_that_found_a_full_disk_are_counted_by_a_record() {
    let (_folder, _, server) = server();
    let mut scene = Scene::with_server(&server.url());
    let Some(disk) = scene.move_to_small_disk(4 << 20) else {
        return;
    };
    let text = "while read -r line; do echo \"line $line\"; done";
    let tested = script(&scene, &["--sample-s", "0"], text);
    let mut running = Running::start(started_by(&disk.through, &tested));
    let mut stdin = running.child.stdin.take().unwrap();
    let mut asked = 0;
    let mut ask = |running: &mut Running| {
        asked += 1;
        writeln!(stdin, "{asked}").unwrap();
        assert_eq!(running.line(), format!("line {asked}\n"));
        asked
    };
    ask(&mut running);
    wait_until("the first is stored, and that the program is ready", || {
        let is_ready = server.count("system.pm2", "process.event:ready") == 1;
        (stored(&server) == 1 && is_ready).then_some(())
    });
    let pending = disk.path("spools/0/pending");
    let is_empty = || std::fs::read_dir(&pending).unwrap().next().is_none();
    wait_until("nothing waits any more", || is_empty().then_some(()));
    disk.fill_up();
    let changed = || {
        let folder = std::fs::metadata(&pending).unwrap();
        (folder.mtime(), folder.mtime_nsec())
    };
    let before = changed();
    ask(&mut running);
    wait_until(
        "a batch has found no room, and nothing of it is left",
        || (changed() != before && is_empty()).then_some(()),
    );
    disk.make_room();
    let last = ask(&mut running);
    wait_until("it is on record how many are lost", || {
        (server.count("instance.app", "records_lost>0") == 1).then_some(())
    });
    wait_until("the last line is stored", || {
        (server.count("instance.app", &format!("\"line {last}\"")) == 1).then_some(())
    });
    let fields = ["message", "level", "records_lost"];
    let notes = server.all("instance.app", &fields);
    let note = notes
        .iter()
        .find(|it| !it["records_lost"].is_null())
        .unwrap();
    let lost = last - stored(&server);
    assert!(lost > 0);
    assert_eq!(note["records_lost"], lost, "{note}");
    let expected = format!("{lost} records were lost: no space left on the disk of the buffer");
    assert_eq!(note["message"], expected);
    assert_eq!(note["level"], "warn");
    drop(stdin);
    assert_eq!(ended(running.end()), (Some(0), None));
    let said = running.said();
    assert!(said.contains(&expected), "{said}");
}
