//! Bytes of one direction to lines, whatever pieces they come in.
//!
//! A line that lies whole in one piece is not copied. What is kept of an unfinished line is
//! bounded: 16 MiB if it looks like a message, 1 MiB (one record) if it does not; the rest is
//! counted.
use super::MESSAGE_BYTES_MAX;
use taffrail_model::limits::RECORD_BYTES_MAX;

/// The unfinished line of one direction.
#[derive(Debug, Default)]
pub(super) struct Lines {
    kept: Vec<u8>,
    /// Bytes of the line so far, kept or not.
    bytes: u64,
    /// Bytes were lost: what comes up to the next end of line is the rest of something unknown.
    is_torn: bool,
}

/// A line without its end (LF, and a CR before it).
#[derive(Clone, Copy, Debug)]
pub(super) struct RawLine<'a> {
    /// Its bytes, as many as are kept.
    pub(super) bytes: &'a [u8],
    /// How many it had.
    pub(super) bytes_total: u64,
}

impl Lines {
    /// Takes bytes and gives every line that they end to `each`.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(RawLine<'_>)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if std::mem::take(&mut self.is_torn) {
                self.clear();
            } else if self.bytes == 0 && line.len() <= kept_max(line) {
                each(RawLine::of(line, line.len() as u64));
            } else {
                self.keep(line);
                each(RawLine::of(&self.kept, self.bytes));
                self.clear();
            }
        }
        if !self.is_torn {
            self.keep(bytes);
        }
    }

    /// Whether a line has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        self.bytes > 0
    }

    /// Bytes are missing here; the bytes of the unfinished line are lost too and returned.
    pub(super) fn tear(&mut self) -> u64 {
        self.is_torn = true;
        let bytes = self.bytes;
        self.clear();
        bytes
    }

    /// The last line, which has no end.
    pub(super) fn finish(&mut self, mut each: impl FnMut(RawLine<'_>)) {
        if self.bytes > 0 {
            each(RawLine::of(&self.kept, self.bytes));
        }
        *self = Lines::default();
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let first = if self.kept.is_empty() {
            bytes
        } else {
            &self.kept
        };
        let room = kept_max(first).saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn clear(&mut self) {
        self.bytes = 0;
        self.kept.clear();
        // A long line is rare: its memory goes back.
        self.kept.shrink_to(RECORD_BYTES_MAX);
    }
}

impl RawLine<'_> {
    fn of(bytes: &[u8], bytes_total: u64) -> RawLine<'_> {
        match bytes.strip_suffix(b"\r") {
            Some(line) if bytes.len() as u64 == bytes_total => RawLine {
                bytes: line,
                bytes_total: bytes_total - 1,
            },
            _ => RawLine { bytes, bytes_total },
        }
    }

    /// Whether bytes of it are missing.
    pub(super) fn is_cut(&self) -> bool {
        (self.bytes.len() as u64) < self.bytes_total
    }
}

/// How many bytes of a line are kept that begins with `start`. Blanks before a message are
/// counted as text, so that the pieces in which it comes make no difference.
fn kept_max(start: &[u8]) -> usize {
    if looks_like_message(start) {
        MESSAGE_BYTES_MAX
    } else {
        RECORD_BYTES_MAX
    }
}

/// Whether a line may be a message: it begins as an object or an array does.
pub(super) fn looks_like_message(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'{' | b'['))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[&[u8]], expected: &[(&[u8], u64)]) {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for piece in pieces {
            lines.push(piece, |line| {
                found.push((line.bytes.to_vec(), line.bytes_total))
            });
        }
        lines.finish(|line| found.push((line.bytes.to_vec(), line.bytes_total)));
        let expected: Vec<_> = expected
            .iter()
            .map(|(line, n)| (line.to_vec(), *n))
            .collect();
        assert!(found == expected, "{} lines", found.len());
    }

    #[test]
    fn lines_are_joined_and_split() {
        check(
            &[b"a\nb", b"c\r", b"\n", b"\nd"],
            &[(b"a", 1), (b"bc", 2), (b"", 0), (b"d", 1)],
        );
        check(&[b""], &[]);
    }

    #[test]
    fn a_long_line_is_measured_however_it_comes() {
        let text = vec![b'x'; RECORD_BYTES_MAX + 5];
        let expected: &[(&[u8], u64)] = &[
            (&text[..RECORD_BYTES_MAX], RECORD_BYTES_MAX as u64 + 5),
            (b"{}", 2),
        ];
        let whole = [&text[..], b"\n{}"].concat();
        check(&[&whole], expected);
        check(&[&whole[..10], &whole[10..]], expected);
        check(&[&text, b"\n{}"], expected);
        let message = [b"{", &text[..], b"\n"].concat();
        let expected = [(&message[..message.len() - 1], message.len() as u64 - 1)];
        check(&[&message], &expected);
        check(&[&message[..1], &message[1..]], &expected);
    }

    #[test]
    fn what_is_torn_is_left_out_up_to_the_next_line() {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        lines.push(b"{\"id\":", |_| unreachable!());
        assert_eq!(lines.tear(), 6);
        lines.push(b"rest", |_| unreachable!());
        lines.push(b" of it\nnext\n", |line| found.push(line.bytes.to_vec()));
        assert_eq!(found, [b"next"]);
    }
}
