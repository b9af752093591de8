//! What could not be recorded is on record: how much, in its place, found by a search of the server.
use super::{
    programs::{Running, Scene, ended, wait_until},
    records::{messages, script, send_what_waits, server},
};
use crate::harness::{
    server::{KEY, Server},
    small_disk::SmallDisk,
};
use std::{io::Write, os::unix::fs::MetadataExt, process::Command};

/// Bytes of a flood, one line that costs little to record: more by far than wait to be recorded.
const FLOOD_BYTES: u64 = 400_000_000;
/// Lines before the flood, and bytes of each. What records is at work on them while it passes.
const LINES: usize = 4;
const LINE_BYTES: usize = 250_000;

/// Bytes of the end of an output in which what was said there is looked for, however it was read.
const LAST_BYTES: usize = 4_096;

/// Prints a file and then the flood on an output, and after it says there what it reads.
const FLOODING: &str = "cat \"$0\" >&\"$1\"; head -c \"$2\" /dev/zero >&\"$1\"; echo >&\"$1\"; \
                        while read -r line; do echo \"$line\" >&\"$1\"; done";

/// A program floods an output, `descriptor`, faster than anybody could record it, and goes on. What is
/// missing in `stream` is said by records that name the lost bytes, as `told`, and by as many bytes as
/// are said at the end.
#[track_caller]
fn check(descriptor: &str, stream: &str, told: &str) {
    let (_folder, _, server) = server();
    let scene = Scene::with_server(&server.url());
    let mut command = scene.run(&["--service", "flooding"]);
    let lines = scene.path("lines");
    let line = "words to look at ".repeat(LINE_BYTES / 17);
    std::fs::write(&lines, format!("{line}\n").repeat(LINES)).unwrap();
    let bytes = FLOOD_BYTES.to_string();
    command
        .args(["sh", "-c", FLOODING, lines.to_str().unwrap()])
        .args([descriptor, &bytes])
        .env("TAFFRAIL_TOKEN", KEY);
    let mut running = Running::start(command);
    let mut stdin = running.child.stdin.take().unwrap();
    // Whoever does not read holds the program up, not what records.
    let stdout = running.child.stdout.take().unwrap();
    let stderr = running.child.stderr.take().unwrap();
    let readers = [read_count(stdout), read_count(stderr)];
    let asked = "all of it has passed\n";
    let mut asked_bytes = 0;
    wait_until("recording has come so far", || {
        // The first of them find no room either.
        stdin.write_all(asked.as_bytes()).unwrap();
        asked_bytes += asked.len() as u64;
        (server.count(stream, "\"all of it has passed\"") > 0).then_some(())
    });
    drop(stdin);
    assert_eq!(ended(running.end()), (Some(0), None));
    let [stdout, stderr] = readers.map(|reader| reader.join().unwrap());
    send_what_waits(&scene);
    let found = server.search(serde_json::json!({
        "query": "\"recording gap\" mcp.recording.lost_bytes>0", "streams": ["instance.app"],
        "fields": ["message", "level", "source", "metadata.type", "mcp.recording.lost_bytes"],
        "limit": 10_000,
    }));
    let gaps = found["records"].as_array().unwrap();
    let mut lost = 0;
    for gap in gaps {
        let found = ["level", "source", "metadata.type"].map(|name| gap[name].clone());
        assert_eq!(found, ["warn", "flooding", "system"], "{gap}");
        let message = gap["message"].as_str().unwrap();
        // What the program is asked while there is no room is lost as well.
        let is_of_stdin = message.ends_with(" from the client were not recorded");
        assert!(is_of_stdin || message.ends_with(told), "{message}");
        lost += gap["mcp.recording.lost_bytes"].as_u64().unwrap();
    }
    let said = String::from_utf8_lossy(&stderr.1).into_owned();
    let said = said.rsplit("taffrail: ").next().unwrap_or_default();
    let (said_bytes, words) = said.split_once(' ').unwrap_or_default();
    assert!(words.contains("too fast to be recorded"), "{said}");
    // What is dropped of a line, of which the rest is lost, is in the records only.
    let said_bytes: u64 = said_bytes.parse().unwrap();
    assert!(
        0 < said_bytes && said_bytes <= lost && lost <= asked_bytes + stdout.0 + stderr.0,
        "{lost} in {} records, {said}",
        gaps.len()
    );
    // And no byte of it is missing for whoever reads it.
    assert!(stdout.0 + stderr.0 > FLOOD_BYTES, "{stdout:?} {stderr:?}");
}

/// Reads everything; how much it was, and its end.
fn read_count(
    mut from: impl std::io::Read + Send + 'static,
) -> std::thread::JoinHandle<(u64, Vec<u8>)> {
    std::thread::spawn(move || {
        let (mut count, mut last, mut piece) = (0, Vec::new(), vec![0; 64 << 10]);
        loop {
            match from.read(&mut piece).unwrap() {
                0 => return (count, last),
                bytes => {
                    count += bytes as u64;
                    last.extend_from_slice(&piece[..bytes]);
                    last.drain(..last.len().saturating_sub(LAST_BYTES));
                }
            }
        }
    })
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
    let point = scene.path("disk");
    std::fs::create_dir(&point).unwrap();
    let Some(disk) = SmallDisk::mount(&point, 4 << 20) else {
        assert!(!rustix::process::geteuid().is_root(), "root cannot mount");
        eprintln!("NOT TESTED: a full disk, since this user may not mount a small one");
        return;
    };
    scene.state = point.join("spools");
    let text = "while read -r line; do echo \"line $line\"; done";
    let tested = script(&scene, &["--sample-s", "0"], text);
    let mut command = Command::new(&disk.through[0]);
    command.args(&disk.through[1..]);
    command.arg(tested.get_program()).args(tested.get_args());
    command
        .env("HOME", scene.folder.path())
        .env("TAFFRAIL_TOKEN", KEY);
    let mut running = Running::start(command);
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
