//! Bytes of one output to texts: lines, and stack traces of several lines.
//!
//! A line past the limit of a record is cut there, when it becomes a record; what follows up to
//! its end is not kept. After a gap, what comes up to the next end of line is the rest of
//! something unknown and is left out.
use taffrail_ingest::listen::multiline::{Joined, Joiner};
use taffrail_model::{limits::RECORD_BYTES_MAX, time::Timestamp};

/// Bytes of a line that are kept: enough for the decoder to see that it was cut.
const LINE_BYTES_MAX: usize = RECORD_BYTES_MAX + 1;

/// Lines of one output.
#[derive(Debug, Default)]
pub struct OutputLines {
    /// The line that has no end yet.
    open: Vec<u8>,
    is_torn: bool,
    joiner: Joiner,
    finished: Vec<Joined>,
}

impl OutputLines {
    /// Takes bytes as they came; `each` is called with every line that they end.
    pub fn push(&mut self, mut bytes: &[u8], at: Timestamp, mut each: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if std::mem::take(&mut self.is_torn) {
                continue;
            }
            self.keep(line);
            let line = std::mem::take(&mut self.open);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            each(line);
            self.push_line(line, at);
        }
        if !self.is_torn {
            self.keep(bytes);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX.saturating_sub(self.open.len());
        self.open.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Takes a line without its end.
    pub fn push_line(&mut self, line: &[u8], at: Timestamp) {
        self.joiner.push(line, at, &mut self.finished);
    }

    /// Bytes are missing here; how many of the open line were dropped with them.
    pub fn tear(&mut self) -> u64 {
        self.is_torn = true;
        std::mem::take(&mut self.open).len() as u64
    }

    /// What is finished at this time.
    pub fn take(&mut self, now: Timestamp) -> Vec<Joined> {
        self.joiner.due(now, &mut self.finished);
        self.take_finished()
    }

    /// A blank line is part of a stack trace, or nothing.
    fn take_finished(&mut self) -> Vec<Joined> {
        let mut finished = std::mem::take(&mut self.finished);
        finished.retain(|joined| !joined.text.trim_ascii().is_empty());
        finished
    }

    /// Whether something waits for more lines.
    pub fn is_waiting(&self) -> bool {
        !self.finished.is_empty() || self.joiner.deadline().is_some()
    }

    /// Everything, a line without an end too: nothing more comes.
    pub fn finish(&mut self, now: Timestamp, each: impl FnMut(&[u8])) -> Vec<Joined> {
        if !self.open.is_empty() {
            self.push(b"\n", now, each);
        }
        self.is_torn = false;
        self.joiner.finish(&mut self.finished);
        self.take_finished()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes in pieces; `None` is a gap.
    #[track_caller]
    fn check(pieces: &[Option<&[u8]>], expected: &[&str]) {
        let mut lines = OutputLines::default();
        let mut found: Vec<Joined> = Vec::new();
        for piece in pieces {
            match piece {
                Some(bytes) => lines.push(bytes, Timestamp(1), |_| {}),
                None => drop(lines.tear()),
            }
            found.extend(lines.take(Timestamp(1)));
        }
        found.extend(lines.finish(Timestamp(1), |_| {}));
        let found: Vec<String> = found
            .iter()
            .map(|joined| String::from_utf8_lossy(&joined.text).into_owned())
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn lines_are_the_same_however_they_are_cut() {
        check(&[Some(b"one\ntwo\r\n\nthree")], &["one", "two", "three"]);
        check(
            &[Some(b"on"), Some(b"e\ntw"), Some(b"o\n")],
            &["one", "two"],
        );
        check(&[], &[]);
    }

    #[test]
    fn blank_lines_are_part_of_a_trace_or_nothing() {
        let first = "Traceback (most recent call last):\n  File \"a.py\", line 1, in a\n    b()\nKeyError: 1";
        let cause = "\n\nThe above exception was the direct cause of the following exception:\n\n";
        let trace = [first, cause, first].concat();
        let text = format!("\none\n\n{trace}\n\n\ntwo\n \n");
        check(&[Some(text.as_bytes())], &["one", &trace, "two"]);
    }

    #[test]
    fn after_a_gap_a_whole_line_is_waited_for() {
        check(&[Some(b"a\nhalf"), None, Some(b"rest\nb\n")], &["a", "b"]);
        check(&[None, Some(b"x"), Some(b"y\nc\n")], &["c"]);
        check(&[Some(b"a\n"), None, Some(b"x")], &["a"]);
    }

    #[test]
    fn a_line_without_an_end_is_bounded() {
        let mut lines = OutputLines::default();
        for _ in 0..20 {
            lines.push(&vec![b'x'; 100 << 10], Timestamp(1), |_| {});
        }
        assert_eq!(lines.open.len(), LINE_BYTES_MAX);
        let found = lines.finish(Timestamp(1), |_| {});
        assert_eq!(found[0].text.len(), LINE_BYTES_MAX);
    }
}
