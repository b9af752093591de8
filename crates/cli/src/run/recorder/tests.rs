//! What is recorded of steps that are done between two looks of the recorder.
use super::*;
use std::path::Path;
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
fn recorded(bytes_max: usize, steps: &[Step<'_>]) -> Worker {
    let (tap, tapped) = tap(bytes_max);
    let (clock, left) = (tap.clock(), tap.clone());
    let (teller, inbox) = inbox(tap, tapped);
    // Nothing is kept: it stays in memory, however long this takes.
    let mut worker = Worker::new(options(None), inbox, clock).unwrap();
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
    let worker = recorded(bytes_max, steps);
    let mut found = worker.writer.waiting_messages();
    for message in &mut found {
        let end = message.find(" in ").unwrap_or(message.len());
        message.truncate(end);
    }
    found.retain(|message| !message.starts_with("MCP session ended"));
    assert_eq!(found, expected);
}

fn tell_end(teller: &Teller, is_followed: bool) {
    let (ended, ran) = (Ended::Code(0), Duration::ZERO);
    teller.tell(Told::Ended {
        ended,
        ran,
        is_asked: false,
        is_followed,
    });
}

fn end(_: &Tap, teller: &Teller) {
    tell_end(teller, false);
}

/// The end of a program that is started again.
fn turn(_: &Tap, teller: &Teller) {
    tell_end(teller, true);
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
