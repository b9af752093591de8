//! Lines of one source become records: a stack trace is one, any other line is one of its own.
//!
//! Invariants
//! - Nothing is lost, doubled or moved: the records, joined with line breaks, are the lines.
//! - A line that can neither begin nor continue a block is finished by the call that brings it.
//! - A line that may begin one, and what is held behind it, waits until the next lines decide, or
//!   [`Joiner::due`] finds that the pause is over. The caller asks with its own clock: here no
//!   time is read, so a file that is read late is joined like a process that is followed.
//! - Indentation alone joins nothing: outside of a block only the shapes that the five languages
//!   print do (Python, Node, Java, Go, Rust), so tables, JSON and help texts stay lines.
//!
//! Some shapes are known by a later line only: a message of several lines is followed by frames,
//! a blank line by `During handling of the above exception`. Such lines are held apart from the
//! block until one confirms them; refuted, they are taken as if they had just come. This costs a
//! copy of them, and at most [`HELD_LINES_MAX`] of delay.
mod shape;
mod step;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use step::{State, Step};
use taffrail_model::time::Timestamp;

/// How long an open block waits for its next line in live capture, in milliseconds: runtimes
/// print a trace within a few, and a reader does not notice two tenths of a second.
pub const MULTILINE_PAUSE_MS: u64 = 200;
/// Lines of one record: above the 1,024 frames of a Java stack overflow with its causes.
pub const MULTILINE_LINES_MAX: usize = 4_096;
/// Bytes of one joined record: a quarter of what a record may have, which leaves room for its
/// fields and for escapes. One line that is longer stays one record.
pub const MULTILINE_BYTES_MAX: usize = 256 << 10;
/// Lines that are held until a later one says what they are: messages of database drivers and
/// validators have about ten.
pub const HELD_LINES_MAX: usize = 16;

/// A finished record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The lines with `\n` between them.
    pub text: Vec<u8>,
    /// How many lines they are.
    pub lines: usize,
    /// When the first of them was received.
    pub received: Timestamp,
}

/// Joins the lines of one source.
#[derive(Debug)]
pub struct Joiner {
    pause_ns: i64,
    open: Option<Block>,
}

/// A record that may go on.
#[derive(Debug)]
struct Block {
    state: State,
    record: Joined,
    /// When the newest line of the record was received.
    newest: Timestamp,
    held: VecDeque<Line>,
    held_bytes: usize,
}

/// A line as it came, without its line break.
#[derive(Debug)]
struct Line {
    text: Vec<u8>,
    received: Timestamp,
}

impl Default for Joiner {
    fn default() -> Joiner {
        Joiner::new(MULTILINE_PAUSE_MS)
    }
}

impl Joiner {
    /// A joiner whose blocks end `pause_ms` after their newest line.
    pub fn new(pause_ms: u64) -> Joiner {
        let pause_ns = i64::try_from(pause_ms.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
        Joiner {
            pause_ns,
            open: None,
        }
    }

    /// Takes the next line, without its line break, as received at `now`; appends what is
    /// finished by it.
    pub fn push(&mut self, line: &[u8], now: Timestamp, finished: &mut Vec<Joined>) {
        let line = Line {
            text: line.to_vec(),
            received: now,
        };
        if self.open.is_none() && step::begin(&line.text).is_none() {
            finished.push(Joined::of(line));
            return;
        }
        self.take(VecDeque::from([line]), finished);
    }

    /// When [`Joiner::due`] has something to do, if no line comes before.
    pub fn deadline(&self) -> Option<Timestamp> {
        let since = self.open.as_ref()?.waits_since();
        Some(Timestamp(since.0.saturating_add(self.pause_ns)))
    }

    /// Finishes what has waited for the pause at `now`.
    pub fn due(&mut self, now: Timestamp, finished: &mut Vec<Joined>) {
        while let Some(block) = self.open.take_if(|block| {
            let waited_ns = now.0.saturating_sub(block.waits_since().0);
            // A clock that was set back must not keep a block open.
            waited_ns >= self.pause_ns || waited_ns < 0
        }) {
            finished.push(block.record);
            self.take(block.held, finished);
        }
    }

    /// Finishes everything: the source has ended.
    pub fn finish(&mut self, finished: &mut Vec<Joined>) {
        while let Some(block) = self.open.take() {
            finished.push(block.record);
            self.take(block.held, finished);
        }
    }

    /// Each round finishes a record, holds a line or joins one, so that lines which come back
    /// from being held are taken at most [`HELD_LINES_MAX`] times.
    fn take(&mut self, mut lines: VecDeque<Line>, finished: &mut Vec<Joined>) {
        while let Some(line) = lines.pop_front() {
            let Some(mut block) = self.open.take() else {
                match step::begin(&line.text) {
                    Some(state) => self.open = Some(Block::new(line, state)),
                    None => finished.push(Joined::of(line)),
                }
                continue;
            };
            match block.next(&line) {
                Step::Join(state) => {
                    block.join(line, finished);
                    block.state = state;
                    self.open = Some(block);
                }
                Step::Last => {
                    block.join(line, finished);
                    finished.push(block.record);
                }
                Step::Hold => {
                    block.held_bytes += line.text.len();
                    block.held.push_back(line);
                    self.open = Some(block);
                }
                Step::Close => {
                    finished.push(block.record);
                    lines.push_front(line);
                    while let Some(held) = block.held.pop_back() {
                        lines.push_front(held);
                    }
                }
            }
        }
    }
}

impl Block {
    fn new(line: Line, state: State) -> Block {
        Block {
            state,
            newest: line.received,
            record: Joined::of(line),
            held: VecDeque::new(),
            held_bytes: 0,
        }
    }

    /// Held lines wait from the first of them on, whatever comes behind it.
    fn waits_since(&self) -> Timestamp {
        self.held.front().map_or(self.newest, |line| line.received)
    }

    fn next(&self, line: &Line) -> Step {
        let held = self.held.back().map(|line| line.text.as_slice());
        match step::next(&self.state, &line.text, held) {
            Step::Hold
                if self.held.len() >= HELD_LINES_MAX
                    || self.held_bytes + line.text.len() > MULTILINE_BYTES_MAX =>
            {
                Step::Close
            }
            step => step,
        }
    }

    /// Takes in what is held, and the line.
    fn join(&mut self, line: Line, finished: &mut Vec<Joined>) {
        self.newest = line.received;
        self.held_bytes = 0;
        let held = std::mem::take(&mut self.held);
        for line in held.into_iter().chain([line]) {
            let is_full = self.record.lines >= MULTILINE_LINES_MAX
                || self.record.text.len() + 1 + line.text.len() > MULTILINE_BYTES_MAX;
            if is_full {
                let full = std::mem::replace(&mut self.record, Joined::of(line));
                finished.push(full);
                continue;
            }
            self.record.text.push(b'\n');
            self.record.text.extend_from_slice(&line.text);
            self.record.lines += 1;
        }
    }
}

impl Joined {
    fn of(line: Line) -> Joined {
        Joined {
            text: line.text,
            lines: 1,
            received: line.received,
        }
    }
}
