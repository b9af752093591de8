//! Programs that do what programs should not, and surroundings that fail: whoever has started the
//! program gets from the wrapped one what the bare one gives that runs beside it.
use super::programs::{
    HeldKey, How, NO_SERVER, Outcome, Running, Scene, ended, started_by, wait_until,
};
use crate::harness::small_disk::SmallDisk;
use std::{io::Write, net::TcpListener, os::unix::fs::MetadataExt};
use taffrail_testkit::Random;

/// Bytes of any value, always the same for a seed.
fn garbage(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..bytes).map(|_| random.below(256) as u8).collect()
}

/// The wrapped program's outcome is that of the bare one, but for lines at the end of stderr that
/// say what was not recorded; with `--quiet` for nothing. What was said.
#[track_caller]
fn check(bare: &Outcome, wrapped: &Outcome, is_quiet: bool) -> String {
    assert_eq!(bare.ended, wrapped.ended);
    // Not shown: they are megabytes.
    assert!(bare.stdout == wrapped.stdout, "stdout differs");
    let Some(said) = wrapped.stderr.strip_prefix(&bare.stderr[..]) else {
        panic!("stderr differs");
    };
    let said = String::from_utf8_lossy(said).into_owned();
    let is_ours = said.lines().all(|line| line.starts_with("taffrail: "));
    assert!(is_ours && (said.is_empty() || !is_quiet), "{said}");
    said
}

/// Runs the words bare and in each of these scenes, with and without `--quiet`.
#[track_caller]
fn check_beside(scenes: &[Scene], words: &[&str], input: &[u8]) -> Outcome {
    let bare = Running::start(scenes[0].command(How::Bare, words)).outcome(input);
    for scene in scenes {
        for options in [&[][..], &["--quiet"]] {
            let mut command = scene.run(options);
            command.args(words);
            let wrapped = Running::start(command).outcome(input);
            check(&bare, &wrapped, !options.is_empty());
        }
    }
    bare
}

#[test]
fn garbage_both_ways() {
    let scene = Scene::new();
    let files = [("out", 1, 3 << 20), ("error", 2, 1 << 20)].map(|(name, seed, bytes)| {
        let path = scene.path(name);
        std::fs::write(&path, garbage(seed, bytes)).unwrap();
        path.to_str().unwrap().to_string()
    });
    let script = "cat \"$0\"; cat \"$1\" >&2; cat; head -c 99999 \"$1\"; exit 9";
    let words: [&str; 5] = ["sh", "-c", script, &files[0], &files[1]];
    let bare = check_beside(&[scene], &words, &garbage(3, 2 << 20));
    assert_eq!(bare.stdout.len(), (5 << 20) + 99_999);
    assert_eq!(bare.stderr.len(), 1 << 20);
    assert_eq!(bare.ended, (Some(9), None));
}

/// Takes connections and answers nothing.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// Takes connections and closes them.
fn breaking() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // Lives as long as the test binary.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    url
}

#[test]
fn a_network_that_refuses_breaks_or_says_nothing() {
    let (_listener, silent) = silent();
    // A label of a name has 63 bytes at the most: no resolver can ask for this one.
    let nowhere = format!("http://{}.invalid:4600", "x".repeat(64));
    let scenes = [NO_SERVER, &nowhere, &silent, &breaking()].map(Scene::with_server);
    let script =
        "while read -r line; do echo \"out $line\"; echo \"error $line\" >&2; done; exit 3";
    let lines: Vec<String> = (0..2_000)
        .map(|number| format!("line {number}\n"))
        .collect();
    let bare = check_beside(&scenes, &["sh", "-c", script], lines.concat().as_bytes());
    assert_eq!(
        bare.stdout.iter().filter(|byte| **byte == b'\n').count(),
        2_000
    );
    assert_eq!(bare.ended, (Some(3), None));
}

#[test]
fn a_client_is_answered_while_the_network_says_nothing() {
    let (_listener, silent) = silent();
    let scene = Scene::with_server(&silent);
    let texts = How::BOTH.map(|how| {
        let mut running = scene.shell(how, "while read -r line; do echo \"$line!\"; done; exit 4");
        let mut stdin = running.child.stdin.take().unwrap();
        let mut text = String::new();
        for number in 0..500 {
            writeln!(stdin, "ask {number}").unwrap();
            text += &running.expect(&format!("ask {number}!"));
        }
        drop(stdin);
        assert_eq!(ended(running.end()), (Some(4), None), "{how:?}");
        text
    });
    assert_eq!(texts[0], texts[1]);
}

/// Says that it has begun, waits for a word, and prints much.
const PRINTING: &str =
    "echo begun; read -r go; cat \"$0\"; cat \"$1\" >&2; echo end; read -r go; exit 5";

/// What a program gives while the disk on which its records would wait is full.
fn on_full_disk(scene: &Scene, disk: &SmallDisk, how: How, words: &[&str]) -> Outcome {
    let tested = scene.command(how, words);
    let mut running = Running::start(started_by(&disk.through, &tested));
    let begun = running.expect("begun");
    if how == How::Wrapped {
        wait_until("the buffer is open", || {
            disk.path("spools/0/state").exists().then_some(())
        });
    }
    disk.fill_up();
    let pending = disk.path("spools/0/pending");
    let changed =
        || std::fs::metadata(&pending).map(|folder| (folder.mtime(), folder.mtime_nsec()));
    let before = changed().ok();
    writeln!(running.child.stdin.as_mut().unwrap(), "go").unwrap();
    let printed = running.expect("end");
    if how == How::Wrapped {
        wait_until("a batch finds no room", || {
            (changed().ok() != before).then_some(())
        });
    }
    let mut outcome = running.outcome(b"go\n");
    disk.make_room();
    outcome.stdout.splice(0..0, (begun + &printed).into_bytes());
    outcome
}

#[test]
fn a_full_disk_costs_records_and_not_the_program() {
    let mut scene = Scene::new();
    let Some(disk) = scene.move_to_small_disk(2 << 20) else {
        return;
    };
    let lines: Vec<String> = (0..10)
        .map(|seed| hexadecimal(&garbage(seed, 2_000)))
        .collect();
    let files = [("out", 0..8), ("error", 8..10)].map(|(name, range)| {
        let path = scene.path(name);
        std::fs::write(&path, lines[range].concat()).unwrap();
        path.to_str().unwrap().to_string()
    });
    let words: [&str; 5] = ["sh", "-c", PRINTING, &files[0], &files[1]];
    let [bare, wrapped] = How::BOTH.map(|how| on_full_disk(&scene, &disk, how, &words));
    assert_eq!(bare.stdout.len(), "begun\nend\n".len() + 8 * 4_001);
    assert_eq!(
        (bare.stderr.len(), bare.ended),
        (2 * 4_001, (Some(5), None))
    );
    let said = check(&bare, &wrapped, false);
    assert!(said.contains("records were lost: no space left"), "{said}");
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.push('\n');
    text
}

const FLOOD_BYTES: u64 = 100_000_000;
/// Lines of a log on stderr, as fast as they go.
const FLOOD: &str = "read -r go; yes 'a line of a log that is written again and again' | head -c \"$0\" >&2; exit 6";

/// How much it takes to the millisecond is measured by `scripts/measure_run.sh`. Here it is shown
/// that nobody waits for what records, which stands still until all has passed.
#[test]
fn a_flood_on_stderr_does_not_wait_for_its_records() {
    let scene = Scene::new();
    let key = HeldKey::new(&scene);
    let mut command = scene.run(&["--quiet", "--token-file", key.file()]);
    command.args(["sh", "-c", FLOOD, &FLOOD_BYTES.to_string()]);
    let mut running = Running::start(command);
    let held = key.wait();
    let mut stderr = running.child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    writeln!(running.child.stdin.as_mut().unwrap(), "go").unwrap();
    wait_until("all has passed", || reader.is_finished().then_some(()));
    assert_eq!(reader.join().unwrap().unwrap(), FLOOD_BYTES);
    held.go_on();
    assert_eq!(ended(running.end()), (Some(6), None));
}

#[test]
fn a_flood_on_stderr_is_the_same_flood() {
    let scene = Scene::new();
    let file = scene.path("lines");
    let line = |number: usize| format!("line {number} of a flood that is long\n");
    let lines: String = (0..10_000).map(line).collect();
    std::fs::write(&file, &lines).unwrap();
    let file = file.to_str().unwrap();
    let numbered = "i=0; while [ $i -lt 40 ]; do echo $i >&2; cat \"$0\" >&2; i=$((i+1)); done";
    // One line without an end.
    let endless = "head -c 30000000 /dev/zero >&2";
    let scenes = [scene];
    for (script, bytes_min) in [(numbered, 40 * lines.len()), (endless, 30_000_000)] {
        let script = format!("{script}; echo out; exit 6");
        let bare = check_beside(&scenes, &["sh", "-c", &script, file], b"");
        assert!(bare.stderr.len() >= bytes_min, "{script}");
        let rest = (&bare.stdout[..], bare.ended);
        assert_eq!(rest, (&b"out\n"[..], (Some(6), None)), "{script}");
    }
}
