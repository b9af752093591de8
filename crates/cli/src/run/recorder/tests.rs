//! What is recorded of steps that are done between two looks of the recorder.
use super::*;
use serde_json::Value;
use std::{convert::Infallible, path::Path};
use taffrail_engine::spool::{Encoding, Next, Outcome, SPOOL_BYTES_MAX, SpoolFolder};
use taffrail_ingest::listen::process::{
    ended::Ended,
    tap::{TAP_BYTES_MAX, tap},
};

/// Options without limits, for an instance `i` and a service `s`.
pub fn options(folder: Option<&Path>) -> RecorderOptions {
    RecorderOptions {
        instance: "i".into(),
        user: None,
        service: "s".into(),
        is_service_named: true,
        command: vec!["s".into()],
        contents_bytes_max: 0,
        sample_every: None,
        memory_limit_bytes: None,
        cpu_limit_percent: None,
        is_terminal: false,
        capture: Capture::default(),
        buffer: BufferOptions {
            folder: folder.map(|folder| folder.join("state")),
            instance: "i".into(),
            key_file: folder.map(|folder| folder.join("key")),
            bytes_max: 0,
            server: "http://127.0.0.1:1".into(),
            token_file: None,
        },
        keep_patience: KEEP_PATIENCE,
    }
}

const REQUEST: &[u8] = b"{\"jsonrpc\":\"2.0\",\"id\":112,\"method\":\"ping\"}\n";
const ANSWER: &[u8] = b"{\"jsonrpc\":\"2.0\",\"id\":112,\"result\":{}}\n";

/// Something that is left or told.
type Step<'a> = &'a dyn Fn(&Tap, &Teller);

/// A recorder that has taken everything, if each step is done between two looks of it.
#[track_caller]
fn recorded(folder: Option<&Path>, bytes_max: usize, steps: &[Step<'_>]) -> Worker {
    let (tap, tapped) = tap(bytes_max);
    let (clock, left) = (tap.clock(), tap.clone());
    let (teller, inbox) = inbox(tap, tapped);
    // Nothing is kept: it stays in memory, however long this takes.
    let mut options = options(folder);
    options.buffer.bytes_max = SPOOL_BYTES_MAX;
    let mut worker = Worker::new(options, inbox, clock).unwrap();
    worker.writer.batch_after = Duration::MAX;
    for step in steps {
        step(&left, &teller);
        // It looks ahead while it works, whenever that is.
        assert_eq!(worker.inbox.finish_until(), None);
    }
    assert_eq!(worker.drain(), None);
    worker
}

/// What is recorded of the protocol if each step is done between two looks of the recorder.
#[track_caller]
fn check(bytes_max: usize, steps: &[Step<'_>], expected: &[&str]) {
    let worker = recorded(None, bytes_max, steps);
    let mut found = worker.writer.waiting_messages();
    for message in &mut found {
        let end = message.find(" in ").unwrap_or(message.len());
        message.truncate(end);
    }
    found.retain(|message| !message.starts_with("MCP session ended"));
    assert_eq!(found, expected);
}

fn tell_end(teller: &Teller, code: u8, is_followed: bool) {
    let (ended, ran) = (Ended::Code(code), Duration::ZERO);
    teller.tell(Told::Ended {
        ended,
        ran,
        is_asked: false,
        is_followed,
    });
}

fn end(_: &Tap, teller: &Teller) {
    tell_end(teller, 0, false);
}

/// The end of a program that is started again.
fn turn(_: &Tap, teller: &Teller) {
    tell_end(teller, 0, true);
}

fn fail(_: &Tap, teller: &Teller) {
    tell_end(teller, 1, false);
}

#[test]
fn the_last_answer_belongs_to_the_program_that_gave_it() {
    let ask: Step<'_> = &|tap, _| tap.leave(Direction::Stdin, REQUEST);
    let answer: Step<'_> = &|tap, _| tap.leave(Direction::Stdout, ANSWER);
    let all = TAP_BYTES_MAX;
    check(all, &[ask, answer, &end], &["ping → ok"]);
    let both = ["ping → no answer", "ping → ok"];
    check(all, &[ask, &end, ask, answer], &both);
    let unknown = "protocol violation: the server sent an answer to no request: id 112";
    check(all, &[ask, &end, answer], &["ping → no answer", unknown]);
}

#[test]
fn what_a_program_has_not_read_is_answered_by_the_next() {
    let ask: Step<'_> = &|tap, _| tap.leave(Direction::Stdin, REQUEST);
    let [begin, go_on]: [Step<'_>; 2] = [
        &|tap, _| tap.leave(Direction::Stdin, &REQUEST[..20]),
        &|tap, _| tap.leave(Direction::Stdin, &REQUEST[20..]),
    ];
    let answer: Step<'_> = &|tap, _| tap.leave(Direction::Stdout, ANSWER);
    let check = |steps: &[Step<'_>], expected: &[&str]| check(TAP_BYTES_MAX, steps, expected);
    check(&[ask, &turn, answer], &["ping → ok"]);
    check(&[ask, &turn, &turn, answer], &["ping → ok"]);
    check(&[begin, &turn, go_on, answer], &["ping → ok"]);
    // A program that has not seen the end of a request may answer it, and end.
    check(&[begin, answer, &turn, go_on], &["ping → ok"]);
    // None follows: nothing will answer.
    check(&[ask, &turn, &end], &["ping → no answer"]);
    // The client has begun anew, too, and counts from the same number.
    let both = ["ping → no answer", "ping → ok"];
    check(&[ask, &turn, ask, answer], &both);
    // An answer is one answer, whoever gave it.
    let unknown = "protocol violation: the server sent an answer to no request: id 112";
    check(&[ask, answer, &turn, answer], &["ping → ok", unknown]);
    check(&[ask, &turn, answer, answer], &["ping → ok", unknown]);
}

/// Records of a stream that wait in the first spool, in their order.
fn kept(folder: &Path, stream: &str) -> Vec<Value> {
    let (state, key) = (folder.join("state"), folder.join("key"));
    let (spools, _) = SpoolFolder::open(&state, Some(&key), SPOOL_BYTES_MAX, true).unwrap();
    let mut spool = spools.claim().unwrap().0.spool;
    let mut records = Vec::new();
    loop {
        let (name, part) = match spool.proceed().unwrap() {
            Next::Send(name, part) => (name, part),
            Next::Delivered(_) => continue,
            Next::Nothing => return records,
            Next::Lost(lost) => panic!("{lost:?}"),
        };
        if *name == *stream {
            let lines = match part.encoding {
                Encoding::Identity => part.body.to_vec(),
                Encoding::Zstd => zstd::decode_all(&*part.body).unwrap(),
            };
            let values = serde_json::Deserializer::from_slice(&lines).into_iter();
            records.extend(values.map(Result::unwrap));
        }
        let (accepted, rejected) = (part.records, Vec::new());
        spool.settle(&Outcome::Taken { accepted, rejected });
    }
}

/// What is recorded of the lives of programs, if each step is done between two looks: of which
/// process what happened, and the end of its stderr; and of which process what was said.
#[track_caller]
fn check_lives(steps: &[Step<'_>], events: &[&str], lines: &[&str]) {
    // An error only says that a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let check = |stream: &str, names: [&str; 2], expected: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let mut worker = recorded(Some(folder.path()), TAP_BYTES_MAX, steps);
        worker.take_events();
        worker.writer.close(Instant::now(), worker.clock.now());
        worker.writer.buffer.finish(Instant::now());
        let found = kept(folder.path(), stream).into_iter().map(|record| {
            let texts = names.map(|name| record[name].as_str().map(str::to_owned));
            let texts: Vec<String> = texts.into_iter().flatten().collect();
            format!("{} {}", record["metadata.process_id"], texts.join(": "))
        });
        assert_eq!(found.collect::<Vec<_>>(), expected);
    };
    check(
        lifecycle::STREAM,
        ["process.event", "process.stderr_tail"],
        events,
    );
    check("instance.error", ["message", "-"], lines);
}

/// A program is started.
fn start(teller: &Teller, process: u32) {
    let restart = process - 1;
    let told = Ok::<_, Infallible>(Told::Started { process, restart });
    let Ok(()) = teller.tell_before(|| told);
}

#[test]
fn what_is_said_between_two_programs_is_not_the_second_ones() {
    let [first, second]: [Step<'_>; 2] =
        [&|_, teller| start(teller, 1), &|_, teller| start(teller, 2)];
    let [own, others, half]: [Step<'_>; 3] = [
        &|tap, _| tap.leave(Direction::Stderr, b"its own\n"),
        &|tap, _| tap.leave(Direction::Stderr, b"of what the first has left\n"),
        &|tap, _| tap.leave(Direction::Stderr, b"half a line"),
    ];
    let silent = ["1 spawn", "1 exit"];
    let left = "1 of what the first has left";
    check_lives(
        &[first, &turn, others, second, &fail],
        &[silent, ["2 spawn", "2 exit"]].concat(),
        &[left],
    );
    let spoke = ["2 spawn", "2 ready", "2 exit: its own"];
    check_lives(
        &[first, &turn, others, second, own, &fail],
        &[&silent[..], &spoke].concat(),
        &[left, "2 its own"],
    );
    // What is begun is not gone on with by the second.
    check_lives(
        &[first, &turn, half, second, own, &fail],
        &[&silent[..], &spoke].concat(),
        &["1 half a line", "2 its own"],
    );
}

#[test]
fn half_a_message_is_not_gone_on_with_by_the_next_program() {
    let [first, second]: [Step<'_>; 2] =
        [&|_, teller| start(teller, 1), &|_, teller| start(teller, 2)];
    let ask: Step<'_> = &|tap, _| tap.leave(Direction::Stdin, REQUEST);
    let half: Step<'_> = &|tap, _| tap.leave(Direction::Stdout, &ANSWER[..20]);
    let answer: Step<'_> = &|tap, _| tap.leave(Direction::Stdout, ANSWER);
    let steps = [first, ask, &turn, half, second, answer];
    let worker = recorded(None, TAP_BYTES_MAX, &steps);
    let counts = worker.session.counts();
    assert_eq!((counts.answered, counts.violations), (1, 1));
}

#[test]
fn a_failure_shows_a_last_line_without_an_end() {
    let begin: Step<'_> = &|_, teller| start(teller, 1);
    let say: Step<'_> = &|tap, _| tap.leave(Direction::Stderr, b"one\nthere is no config");
    check_lives(
        &[begin, say, &fail],
        &["1 spawn", "1 ready", "1 exit: one\nthere is no config"],
        &["1 one", "1 there is no config"],
    );
}

#[test]
fn that_a_program_cannot_be_started_again_is_recorded() {
    let begin: Step<'_> = &|_, teller| start(teller, 1);
    let fault: Step<'_> = &|_, teller| {
        let reason = "why".to_string();
        teller.tell(Told::NotRestarted { reason });
    };
    let events = ["1 spawn", "1 exit", "1 give_up"];
    check_lives(&[begin, &turn, fault], &events, &[]);
}

#[test]
fn what_a_program_has_asked_ends_with_it() {
    let ask: Step<'_> = &|tap, _| tap.leave(Direction::Stdout, REQUEST);
    let answer: Step<'_> = &|tap, _| tap.leave(Direction::Stdin, ANSWER);
    let check = |steps: &[Step<'_>], expected: &[&str]| check(TAP_BYTES_MAX, steps, expected);
    let gone = "ping (asked by the server) → no answer";
    let told = "the client answered request 112, which was not recorded";
    check(&[ask, &turn, answer], &[gone, told]);
    let answered = "ping (asked by the server) → ok";
    check(&[ask, &turn, ask, answer], &[gone, answered]);
}

#[test]
fn an_answer_to_what_was_lost_is_no_breach() {
    let ask: Step<'_> = &|tap, _| {
        tap.leave(Direction::Stdin, &[b" ", REQUEST].concat().repeat(4));
    };
    let answer: Step<'_> = &|tap, _| tap.leave(Direction::Stdout, ANSWER);
    let told = "the server answered request 112, which was not recorded";
    // There is room for the answer and not for the requests.
    check(200, &[ask, answer], &[told]);
    // What is lost later was no request of this answer.
    let unknown = "protocol violation: the server sent an answer to no request: id 112";
    check(200, &[answer, ask], &[unknown]);
}
