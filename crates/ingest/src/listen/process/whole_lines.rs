//! Changes lines on their way, where that was asked for.
//!
//! Invariants
//! - A line is held until its end and then passes changed or as it is; nothing else is held.
//! - A line that is longer than [`HELD_BYTES_MAX`] passes unchanged, as it comes: what waits is
//!   bounded, and no line waits for an end that may never come with more than that.
//! - A last line without an end passes unchanged.
use std::fmt;

/// Bytes of a line that are held: requests are some hundred, few are more than a record may be.
pub const HELD_BYTES_MAX: usize = 1 << 20;

/// What becomes of a line, its end included; `None`: it stays.
pub type Change = Box<dyn FnMut(&[u8]) -> Option<Vec<u8>> + Send>;

/// Lines of one direction.
pub struct WholeLines {
    change: Change,
    held: Vec<u8>,
    /// The beginning of the line has passed: it was too long to be held.
    is_passing: bool,
}

impl fmt::Debug for WholeLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WholeLines")
            .field("held", &self.held.len())
            .field("is_passing", &self.is_passing)
            .finish_non_exhaustive()
    }
}

impl WholeLines {
    /// Lines that are changed like this.
    #[must_use]
    pub fn new(change: Change) -> WholeLines {
        WholeLines {
            change,
            held: Vec::new(),
            is_passing: false,
        }
    }

    /// Takes bytes as they came; what may pass now.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.held.len() + bytes.len());
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let is_end = piece.ends_with(b"\n");
            let is_long = self.held.len() + piece.len() > HELD_BYTES_MAX;
            match (self.is_passing || is_long, is_end) {
                (true, _) => {
                    out.append(&mut self.held);
                    out.extend_from_slice(piece);
                    self.is_passing = !is_end;
                }
                (false, true) => self.pass(piece, &mut out),
                (false, false) => self.held.extend_from_slice(piece),
            }
        }
        out
    }

    /// A whole line, of which the beginning may be held.
    fn pass(&mut self, end: &[u8], out: &mut Vec<u8>) {
        let line = match self.held.is_empty() {
            true => end,
            false => {
                self.held.extend_from_slice(end);
                &self.held
            }
        };
        match (self.change)(line) {
            Some(changed) => out.extend_from_slice(&changed),
            None => out.extend_from_slice(line),
        }
        self.held = Vec::new();
    }

    /// Nothing more comes: what is held.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lines with their ends that begin with `{` get a `+` in front.
    fn lines() -> WholeLines {
        WholeLines::new(Box::new(|line| {
            line.starts_with(b"{").then(|| [b"+", line].concat())
        }))
    }

    fn passed(lines: &mut WholeLines, pieces: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(lines.push(piece));
        }
        out.extend(lines.finish());
        out
    }

    #[test]
    fn only_whole_lines_are_changed_and_only_they_wait() {
        let mut lines = lines();
        assert_eq!(lines.push(b"{1}\nplain\n{2"), b"+{1}\nplain\n");
        assert_eq!(lines.push(b"}"), b"");
        assert_eq!(lines.push(b"\r\n\n{3}"), b"+{2}\r\n\n");
        assert_eq!(lines.finish(), b"{3}");
        assert_eq!(lines.finish(), b"");
    }

    #[test]
    fn a_line_that_is_too_long_passes_as_it_comes() {
        let mut lines = lines();
        let long = vec![b'{'; HELD_BYTES_MAX];
        assert_eq!(lines.push(&long), b"", "as long as may be held");
        assert_eq!(lines.push(b"{").len(), HELD_BYTES_MAX + 1);
        assert_eq!(lines.push(b"}\n{4}\n"), b"}\n+{4}\n");
        let longest = [&long[1..], b"\n"].concat();
        assert_eq!(lines.push(&longest).len(), HELD_BYTES_MAX + 1, "changed");
        let longer = [&long[..], b"\n{5}\n"].concat();
        assert_eq!(lines.push(&longer), [&long[..], b"\n+{5}\n"].concat());
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_same_passes(
            text in "([{}x]|\\n){0,40}",
            cuts in proptest::collection::vec(0_usize..40, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> =
                cuts.windows(2).map(|ends| &text.as_bytes()[ends[0]..ends[1]]).collect();
            // Of each line that has an end.
            let (whole, rest) = text.rsplit_once('\n').map_or(("", &*text), |(whole, rest)| (whole, rest));
            let mut expected = String::new();
            if text.contains('\n') {
                for line in whole.split('\n') {
                    expected += if line.starts_with('{') { "+" } else { "" };
                    expected += line;
                    expected += "\n";
                }
            }
            expected += rest;
            prop_assert_eq!(passed(&mut lines(), &pieces), expected.as_bytes());
        }
    }
}
