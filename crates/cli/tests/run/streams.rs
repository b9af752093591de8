//! Bytes, ends of streams, kinds of descriptors.
use super::programs::{How, Running, Scene, ended, is_alive, wait_until};
use crate::harness::server::KEY;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
};
use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    process::Stdio,
    time::{Duration, Instant},
};
use taffrail_testkit::Random;

const MIB: usize = 1 << 20;

fn garbage(bytes: usize) -> Vec<u8> {
    let mut random = Random::new(7);
    (0..bytes).map(|_| random.below(256) as u8).collect()
}

#[test]
fn fifty_megabytes_of_garbage_pass_both_ways_unchanged() {
    let block = garbage(MIB);
    for how in How::BOTH {
        let scene = Scene::new();
        let mut running = Running::start(scene.command(how, &["cat"]));
        let mut stdin = running.child.stdin.take().unwrap();
        let sent = block.clone();
        let writer = std::thread::spawn(move || {
            // Pieces of all sizes.
            for index in 0..50 {
                let (one, two) = sent.split_at(1 + index * 9_973);
                stdin.write_all(one).unwrap();
                stdin.write_all(two).unwrap();
            }
        });
        let mut stdout = running.child.stdout.take().unwrap();
        let mut got = vec![0; MIB];
        for index in 0..50 {
            stdout.read_exact(&mut got).unwrap();
            assert!(got == block, "block {index} differs, {how:?}");
        }
        assert_eq!(stdout.read(&mut got).unwrap(), 0, "{how:?}");
        writer.join().unwrap();
        assert_eq!(ended(running.end()), (Some(0), None), "{how:?}");
    }
}

#[test]
fn the_end_of_stdin_reaches_the_program() {
    for how in How::BOTH {
        let scene = Scene::new();
        let mut running = scene.shell(how, "cat; echo after");
        let mut stdin = running.child.stdin.take().unwrap();
        stdin.write_all(b"before\n").unwrap();
        drop(stdin);
        assert_eq!(running.expect("after"), "before\nafter\n", "{how:?}");
        assert_eq!(ended(running.end()), (Some(0), None));
    }
}

#[test]
fn a_program_that_closes_stdout_is_seen_at_once() {
    for how in How::BOTH {
        let scene = Scene::new();
        let mut running = scene.shell(how, "echo last; exec >&-; cat >/dev/null; exit 5");
        assert_eq!(running.expect("last"), "last\n");
        let mut stdout = running.child.stdout.take().unwrap();
        assert_eq!(stdout.read(&mut [0]).unwrap(), 0, "{how:?}");
        // It still runs: it waits for the end of stdin.
        assert!(running.child.try_wait().unwrap().is_none());
        drop(running.child.stdin.take());
        assert_eq!(ended(running.end()), (Some(5), None));
    }
}

#[test]
fn a_program_that_closes_stdin_breaks_the_pipe_of_who_writes() {
    for how in How::BOTH {
        let scene = Scene::new();
        let mut running = scene.shell(how, "exec <&-; echo closed; sleep 60");
        running.expect("closed");
        let mut stdin = running.child.stdin.take().unwrap();
        // Wrapped, the end has to come through.
        let error = wait_until("the pipe breaks", || stdin.write(b"x").err());
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{how:?}");
        assert!(running.child.try_wait().unwrap().is_none());
    }
}

#[test]
fn a_reader_that_goes_breaks_the_pipe_of_the_program() {
    for how in How::BOTH {
        let scene = Scene::new();
        let mut running = Running::start(scene.command(how, &["yes"]));
        running.expect("y");
        drop(running.child.stdout.take());
        assert_eq!(ended(running.end()), (None, Some(13)), "{how:?}");
    }
}

/// Bytes that can be written before it blocks.
fn writable(running: &Running) -> usize {
    let stdin = running.child.stdin.as_ref().unwrap();
    let flags = fcntl_getfl(stdin).unwrap();
    fcntl_setfl(stdin, flags | OFlags::NONBLOCK).unwrap();
    let mut bytes = 0;
    loop {
        match rustix::io::write(stdin, &[0; 4096]) {
            Ok(count) => bytes += count,
            Err(rustix::io::Errno::AGAIN) => {
                // The wrapper may be about to take some more.
                let timeout = Timespec {
                    tv_sec: 0,
                    tv_nsec: 300_000_000,
                };
                let mut fds = [PollFd::new(stdin, PollFlags::OUT)];
                if poll(&mut fds, Some(&timeout)).unwrap() == 0 {
                    return bytes;
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_program_that_never_reads_blocks_who_writes() {
    let found = How::BOTH.map(|how| {
        let scene = Scene::new();
        let running = scene.shell(how, "echo ready; sleep 60");
        writable(&running)
    });
    let [bare, wrapped] = found;
    // Two pipes and what the pump holds instead of one pipe.
    assert!(
        bare > 0 && wrapped >= bare && wrapped <= 4 * bare,
        "{found:?}"
    );
}

#[test]
fn what_others_hold_open_goes_on_after_the_end() {
    for how in How::BOTH {
        let scene = Scene::new();
        let script = "(read go <\"$0\"; echo late) & echo early; exit 4";
        let fifo = scene.path("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        let mut command = scene.command(how, &["sh", "-c", script]);
        command.arg(&fifo);
        let mut running = Running::start(command);
        running.expect("early");
        // The program has ended, and we see that while its child holds the output.
        assert_eq!(ended(running.end()), (Some(4), None), "{how:?}");
        std::fs::write(&fifo, "go\n").unwrap();
        let mut rest = String::new();
        running
            .child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut rest)
            .unwrap();
        assert_eq!(rest, "late\n", "{how:?}");
    }
}

#[test]
fn one_pipe_for_both_outputs_keeps_their_order() {
    let script = "i=0; while [ $i -lt 500 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done";
    let texts = How::BOTH.map(|how| {
        let scene = Scene::new();
        let (mut ours, theirs) = std::io::pipe().unwrap();
        let mut command = scene.command(how, &["sh", "-c", script]);
        command.stdout(theirs.try_clone().unwrap()).stderr(theirs);
        let mut child = command.stdin(Stdio::null()).spawn().unwrap();
        drop(command);
        let mut text = String::new();
        ours.read_to_string(&mut text).unwrap();
        child.wait().unwrap();
        text
    });
    assert_eq!(texts[0].lines().count(), 1_000);
    assert_eq!(texts[0], texts[1]);
}

/// Whether who reads stdout, or both outputs as one pipe, finds the end of what the program has
/// closed while that goes on: what the wrapper holds is closed at the same time.
#[track_caller]
fn check_end(command: &mut std::process::Command, is_stderr_read_too: bool) {
    let (mut ours, theirs) = std::io::pipe().unwrap();
    if is_stderr_read_too {
        command.stderr(theirs.try_clone().unwrap());
    }
    let started = command.stdin(Stdio::piped()).stdout(theirs);
    let mut running = Running {
        child: started.spawn().unwrap(),
    };
    // The command holds the writing ends too.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut text = String::new();
    ours.read_to_string(&mut text).unwrap();
    assert_eq!(text, "last\n");
    assert!(running.child.try_wait().unwrap().is_none());
    drop(running.child.stdin.take());
    assert_eq!(ended(running.end()), (Some(5), None));
}

const CLOSING_BOTH: [&str; 3] = [
    "sh",
    "-c",
    "echo last; exec >&- 2>&-; cat >/dev/null; exit 5",
];

#[test]
fn one_pipe_for_both_outputs_ends_with_the_program_if_nothing_is_said_later() {
    let scene = Scene::new();
    check_end(&mut scene.command(How::Bare, &CLOSING_BOTH), true);
    check_end(scene.run(&["--quiet"]).args(CLOSING_BOTH), true);
}

#[test]
fn stdout_ends_with_the_program_while_stderr_stays_open() {
    for how in How::BOTH {
        let scene = Scene::new();
        check_end(&mut scene.command(how, &CLOSING_BOTH), false);
    }
}

/// What the program finds at its three descriptors.
const KINDS: &str = "kind() { readlink /proc/$$/fd/$1 | sed 's/:.*//'; }; \
                     kinds=\"$(kind 0) $(kind 1) $(kind 2)\"; echo \"$kinds\" > \"$0\"";

#[track_caller]
fn check_kinds(prepare: impl Fn(&mut std::process::Command), expected: &str) {
    for how in How::BOTH {
        let scene = Scene::new();
        let out = scene.path("kinds");
        let mut command = scene.command(how, &["sh", "-c", KINDS]);
        command.arg(&out);
        prepare(&mut command);
        let status = command.spawn().unwrap().wait().unwrap();
        assert_eq!(ended(status), (Some(0), None));
        let kinds = std::fs::read_to_string(&out).unwrap();
        assert_eq!(kinds.trim(), expected, "{how:?}");
    }
}

#[test]
fn descriptors_are_of_the_same_kind() {
    check_kinds(
        |command| {
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
        },
        "pipe pipe pipe",
    );
    // As Node starts programs.
    check_kinds(
        |command| {
            let socket = || std::os::fd::OwnedFd::from(UnixStream::pair().unwrap().0);
            command.stdin(socket()).stdout(socket()).stderr(socket());
        },
        "socket socket socket",
    );
    check_kinds(
        |command| {
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
        },
        "/dev/null pipe pipe",
    );
}

#[test]
fn further_descriptors_and_the_surroundings_are_inherited() {
    let script = "echo $KEPT; pwd; cat <&7; umask; ulimit -n";
    let texts = How::BOTH.map(|how| {
        let scene = Scene::new();
        let file = scene.path("seven");
        std::fs::write(&file, "seven\n").unwrap();
        // The shell opens descriptor 7 and becomes what is tested.
        let outer = format!("umask 027; ulimit -n 77; exec \"$@\" 7<{}", file.display());
        let mut command = std::process::Command::new("sh");
        let tested = scene.command(how, &["sh", "-c", script]);
        command
            .args(["-c", &outer, "x"])
            .arg(tested.get_program())
            .args(tested.get_args());
        command
            .env("KEPT", "kept")
            .env("HOME", scene.folder.path())
            .current_dir("/usr");
        let out = command.stdin(Stdio::null()).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    });
    assert_eq!(texts[0], "kept\n/usr\nseven\n0027\n77\n");
    assert_eq!(texts[0], texts[1]);
}

#[test]
fn a_message_is_not_held_back() {
    let scene = Scene::new();
    let mut running = Running::start(scene.command(How::Wrapped, &["cat"]));
    let mut stdin = running.child.stdin.take().unwrap();
    let begun = Instant::now();
    for number in 0..200 {
        let line = format!("message {number}");
        writeln!(stdin, "{line}").unwrap();
        assert_eq!(running.expect(&line), format!("{line}\n"));
    }
    // Not a measurement: anything that waits for a timer would take ten times as long.
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_killed_wrapper_takes_the_program_with_it() {
    for how in How::BOTH {
        let scene = Scene::new();
        let mut running = scene.shell(how, "echo $$; exec sleep 60");
        let pid: u32 = running.line().trim().parse().unwrap();
        assert!(is_alive(pid));
        running.child.kill().unwrap();
        assert_eq!(ended(running.end()), (None, Some(9)), "{how:?}");
        wait_until("the program is gone", || (!is_alive(pid)).then_some(()));
        // Its client sees the ends.
        let mut rest = String::new();
        let mut stdout = running.child.stdout.take().unwrap();
        stdout.read_to_string(&mut rest).unwrap();
        assert_eq!((rest, running.said()), Default::default(), "{how:?}");
    }
}

/// What the program gets of what is written to it.
fn got(options: &[&str], scene: &Scene, sent: &[u8]) -> String {
    let mut command = scene.run(options);
    command.args(["cat"]).env("TAFFRAIL_TOKEN", KEY);
    let mut running = Running::start(command);
    let mut stdin = running.child.stdin.take().unwrap();
    let sent = sent.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&sent).unwrap());
    let mut text = String::new();
    let mut stdout = running.child.stdout.take().unwrap();
    stdout.read_to_string(&mut text).unwrap();
    writer.join().unwrap();
    assert_eq!(ended(running.end()), (Some(0), None));
    text
}

#[test]
fn requests_get_a_trace_context_only_when_asked() {
    let scene = Scene::new();
    let bare = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#;
    let traced = r#"{"jsonrpc":"2.0","id":2,"method":"ping","params":{"_meta":{"traceparent":"00-11111111111111111111111111111111-2222222222222222-01"}}}"#;
    let others = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let long = "x".repeat(3 * MIB);
    let sent = format!("{bare}\r\n{traced}\nplain \n\n{others}\n{long}\n{bare}");
    assert_eq!(got(&[], &scene, sent.as_bytes()), sent);

    let text = got(&["--inject-traceparent"], &scene, sent.as_bytes());
    let (first, rest) = text.split_once('\n').unwrap();
    // A last line without an end is none.
    assert_eq!(rest, &sent[bare.len() + 2..]);
    let request: serde_json::Value = serde_json::from_str(first).unwrap();
    let context = request["params"]["_meta"]["traceparent"].as_str().unwrap();
    let put_in = format!(r#""_meta":{{"traceparent":"{context}"}},"#);
    assert_eq!(first.replace(&put_in, ""), format!("{bare}\r"));
    assert_eq!(context.len(), 55);
}

/// Says the request that it gets on stderr and answers it.
const ANSWERING: &str =
    r#"read -r line; echo "$line" >&2; echo '{"jsonrpc":"2.0","id":1,"result":{}}'; cat"#;

#[test]
fn a_trace_context_that_was_given_is_recorded() {
    let (_folder, _, server) = super::records::server();
    let scene = Scene::with_server(&server.url());
    let mut command = scene.run(&["--inject-traceparent"]);
    let words = ["sh", "-c", ANSWERING];
    command.args(words).env("TAFFRAIL_TOKEN", KEY);
    let mut running = Running::start(command);
    let mut stdin = running.child.stdin.take().unwrap();
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#;
    writeln!(stdin, "{request}").unwrap();
    let mut said = String::new();
    let stderr = running.child.stderr.take().unwrap();
    BufReader::new(stderr).read_line(&mut said).unwrap();
    let request: serde_json::Value = serde_json::from_str(&said).unwrap();
    let context = request["params"]["_meta"]["traceparent"].as_str().unwrap();
    let trace_id = &context[3..35];
    wait_until("the request is recorded with its trace", || {
        let query = format!("trace_id:{trace_id} mcp.request.sender:client");
        (server.count("instance.access", &query) == 1).then_some(())
    });
}
