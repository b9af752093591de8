//! A process of our group that knows which signals the group got.
//!
//! Protocol: a question is the number of a signal and the process id of its sender, 4 bytes each,
//! little-endian; the answer is one byte, 1 if the witness got the same since it was last asked
//! for it. Before the first question it says 1: from then on it sees. It ends when nobody can ask any
//! more.
use super::{CaptureError, own_program, signals, stage, starting};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::retry_on_intr,
};
use signal_hook::{
    iterator::{SignalsInfo, exfiltrator::WithOrigin},
    low_level::siginfo::Cause,
};
use std::{
    collections::HashSet,
    io::{Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// How long an answer is waited for, in seconds: a witness that is stopped or starved must not
/// hold a signal back.
const ANSWER_S_MAX: i64 = 1;

/// Our side.
#[derive(Debug)]
pub(super) struct Witness {
    _process: Child,
    questions: ChildStdin,
    answers: ChildStdout,
}

impl Witness {
    pub(super) fn start() -> Result<Witness, CaptureError> {
        let mut process = Command::new(own_program())
            .args([stage::NAME, stage::WITNESS])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(starting("the witness of signals"))?;
        let (Some(questions), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            let missing = std::io::Error::other("a pipe is missing");
            return Err(starting("the witness of signals")(missing));
        };
        Ok(Witness {
            _process: process,
            questions,
            answers,
        })
    }

    /// Waits until it sees signals: one that came before would end it.
    pub(super) fn is_ready(&mut self) -> bool {
        self.answer() == Some(true)
    }

    /// Whether the whole group got the signal; `None` if the witness does not answer: then it is
    /// of no use any more, since a late answer would be taken for that to another question.
    pub(super) fn has_seen(&mut self, signal: i32, sender: i32) -> Option<bool> {
        let mut question = [0; 8];
        question[..4].copy_from_slice(&signal.to_le_bytes());
        question[4..].copy_from_slice(&sender.to_le_bytes());
        self.questions.write_all(&question).ok()?;
        self.answer()
    }

    fn answer(&mut self) -> Option<bool> {
        let timeout = Timespec {
            tv_sec: ANSWER_S_MAX,
            tv_nsec: 0,
        };
        let mut fds = [PollFd::new(&self.answers, PollFlags::IN)];
        if !matches!(retry_on_intr(|| poll(&mut fds, Some(&timeout))), Ok(1)) {
            return None;
        }
        let mut answer = [0];
        self.answers.read_exact(&mut answer).ok()?;
        Some(answer == [1])
    }
}

/// The witness's side, until nobody can ask any more.
pub(super) fn testify() -> Result<(), CaptureError> {
    let numbers = signals::passed().map(|(number, _)| number);
    let mut got = SignalsInfo::<WithOrigin>::new(numbers).map_err(CaptureError::Signals)?;
    let mut seen = HashSet::new();
    let (mut questions, mut answers) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut say = |answer: u8| answers.write_all(&[answer]).and_then(|()| answers.flush());
    let mut is_heard = say(1).is_ok();
    let mut question = [0; 8];
    while is_heard && questions.read_exact(&mut question).is_ok() {
        for origin in got.pending() {
            if let (Cause::Sent(_), Some(sender)) = (origin.cause, origin.process) {
                seen.insert((origin.signal, sender.pid));
            }
        }
        let [a, b, c, d, e, f, g, h] = question;
        let asked = (
            i32::from_le_bytes([a, b, c, d]),
            i32::from_le_bytes([e, f, g, h]),
        );
        is_heard = say(u8::from(seen.remove(&asked))).is_ok();
    }
    Ok(())
}
