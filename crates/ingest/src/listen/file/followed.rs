//! One followed file: its lines from an offset on.
//!
//! Invariants
//! - What is handed out ends with `\n` and is whole lines, but for a line past the limit of a
//!   record, which is handed out cut and skipped to its end.
//! - The offset stands behind what was handed out; the beginning of a line that has no end yet
//!   is kept beside it, so that it is not lost when the file is truncated.
use super::{
    Chunk,
    checkpoint::{Checkpoint, Fingerprint, HEAD_BYTES_MAX},
    content::{Content, Identity, keep_last},
};
use std::{
    io,
    path::PathBuf,
    time::{Duration, Instant},
};
use taffrail_model::limits::RECORD_BYTES_MAX;

/// Bytes read at once.
const READ_BYTES: usize = 128 << 10;

pub(super) struct Followed {
    pub(super) path: PathBuf,
    /// Where the file was when it was opened; its successor appears there.
    pub(super) first_path: PathBuf,
    pub(super) identity: Identity,
    content: Content,
    offset: u64,
    /// The beginning of a line without an end, behind the offset.
    partial: Vec<u8>,
    in_long_line: bool,
    head: Vec<u8>,
    tail: Vec<u8>,
    /// When bytes last came.
    pub(super) grew: Instant,
    /// Whether the name is gone, or belongs to another file.
    pub(super) is_gone: bool,
    /// Whether the last read came to the end.
    pub(super) is_at_end: bool,
    /// Whether the last read failed.
    pub(super) has_failed: bool,
}

/// What one look at a file gave.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) bytes: Vec<u8>,
    /// The place in the file that was before it was truncated, if it was.
    pub(super) before: Option<Checkpoint>,
}

impl Followed {
    pub(super) fn new(
        path: PathBuf,
        identity: Identity,
        content: Content,
        resume: Option<(Checkpoint, super::content::Surroundings)>,
        now: Instant,
    ) -> Followed {
        let (offset, in_long_line, head, tail) = match resume {
            Some((point, around)) => (point.offset, point.in_long_line, around.head, around.tail),
            None => (0, false, Vec::new(), Vec::new()),
        };
        Followed {
            first_path: path.clone(),
            path,
            identity,
            content,
            offset,
            partial: Vec::new(),
            in_long_line,
            head,
            tail,
            grew: now,
            is_gone: false,
            is_at_end: false,
            has_failed: false,
        }
    }

    pub(super) fn is_gzip(&self) -> bool {
        matches!(self.content, Content::Gzip { .. })
    }

    pub(super) fn checkpoint(&self) -> Checkpoint {
        let read = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let compressed_bytes = match &self.content {
            Content::Gzip {
                compressed_bytes, ..
            } if self.is_at_end => Some(*compressed_bytes),
            _ => None,
        };
        Checkpoint {
            path: self.path.clone(),
            device: self.identity.device,
            inode: self.identity.inode,
            offset: self.offset,
            head: Fingerprint::of(&self.head[..self.head.len().min(read)]),
            tail: Fingerprint::of(&self.tail),
            in_long_line: self.in_long_line,
            compressed_bytes,
        }
    }

    pub(super) fn chunk(&self, bytes: Vec<u8>) -> Chunk {
        Chunk {
            bytes,
            checkpoint: self.checkpoint(),
        }
    }

    /// Reads complete lines, about `bytes_max` bytes of them at the most.
    ///
    /// What was read before a failure is handed out too.
    pub(super) fn read(&mut self, bytes_max: usize, now: Instant) -> (Lines, io::Result<()>) {
        let mut lines = Lines::default();
        let outcome = self.read_into(&mut lines, bytes_max, now);
        self.has_failed = outcome.is_err();
        (lines, outcome)
    }

    fn read_into(&mut self, lines: &mut Lines, bytes_max: usize, now: Instant) -> io::Result<()> {
        if self.was_rewritten()? {
            self.flush(&mut lines.bytes);
            lines.before = Some(self.checkpoint());
            self.begin_again();
        }
        self.is_at_end = false;
        let mut read = 0;
        while read < bytes_max {
            let start = self.partial.len();
            self.partial.resize(start + READ_BYTES, 0);
            let at = self.offset + start as u64;
            let outcome = self.content.read(at, &mut self.partial[start..]);
            let bytes = *outcome.as_ref().unwrap_or(&0);
            self.partial.truncate(start + bytes);
            outcome?;
            if bytes == 0 {
                self.is_at_end = true;
                break;
            }
            self.grew = now;
            read += bytes;
            self.note_head(at, start);
            self.take_lines(start, &mut lines.bytes);
        }
        Ok(())
    }

    /// Hands out the beginning of a line that got no end, as a line.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        let bytes = self.partial.len();
        if bytes > 0 {
            self.hand_out(bytes, out);
            if out.last().is_some_and(|last| *last != b'\n') {
                out.push(b'\n');
            }
        }
    }

    /// As [`Followed::flush`], but a character that is not complete yet waits.
    pub(super) fn flush_characters(&mut self, out: &mut Vec<u8>) {
        let complete = match std::str::from_utf8(&self.partial) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.partial.len(),
        };
        let rest = self.partial.split_off(complete);
        self.flush(out);
        self.partial = rest;
    }

    pub(super) fn is_quiet(&self, now: Instant, since: Duration) -> bool {
        self.is_at_end && now.saturating_duration_since(self.grew) >= since
    }

    /// Whether `other` is, or is becoming, a copy of this file. `waited` says that it has had
    /// time to become one.
    pub(super) fn has_copy(&mut self, other: &mut Content, waited: bool) -> io::Result<bool> {
        let Some(bytes) = self.content.plain_bytes()? else {
            return Ok(false);
        };
        // Files that are short and alike have a banner in common.
        let is_banner = |other: u64| waited && other < bytes && other < HEAD_BYTES_MAX as u64;
        if let Some(other_bytes) = other.plain_bytes()? {
            // A copy is no longer than its original. Both ends are compared: times in every
            // line make that as good as all of it.
            return Ok(other_bytes <= bytes
                && !is_banner(other_bytes)
                && self.content.surroundings(other_bytes)? == other.surroundings(other_bytes)?);
        }
        let (mut theirs, mut at) = (vec![0; READ_BYTES], 0);
        loop {
            let read = match other.read(at, &mut theirs) {
                Ok(0) => return Ok(!is_banner(at)),
                Ok(read) => read,
                // It is still being written.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(!waited),
                Err(error) => return Err(error),
            };
            if self.content.read_full(at, read)? != theirs[..read] {
                return Ok(false);
            }
            at += read as u64;
        }
    }

    pub(super) fn has_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    /// Whether the file no longer holds what was read of it: it was truncated, or written anew.
    pub(super) fn was_rewritten(&mut self) -> io::Result<bool> {
        let Some(bytes) = self.content.plain_bytes()? else {
            return Ok(false);
        };
        let position = self.offset + self.partial.len() as u64;
        if bytes < position {
            return Ok(true);
        }
        if self.offset == 0 {
            return Ok(false);
        }
        let around = self.content.surroundings(self.offset)?;
        let known = &self.head[..self.head.len().min(self.offset as usize)];
        Ok(around.is_none_or(|around| around.head != known || around.tail != self.tail))
    }

    fn begin_again(&mut self) {
        self.offset = 0;
        self.partial.clear();
        self.in_long_line = false;
        self.head.clear();
        self.tail.clear();
    }

    fn note_head(&mut self, at: u64, start: usize) {
        if at == self.head.len() as u64 {
            let missing = HEAD_BYTES_MAX - self.head.len();
            let new = &self.partial[start..];
            self.head.extend_from_slice(&new[..new.len().min(missing)]);
        }
    }

    /// Hands out the lines that are complete; `start` is where new bytes begin.
    fn take_lines(&mut self, start: usize, out: &mut Vec<u8>) {
        if let Some(end) = memchr::memrchr(b'\n', &self.partial[start..]) {
            self.hand_out(start + end + 1, out);
        }
        if self.partial.len() > RECORD_BYTES_MAX {
            self.hand_out(self.partial.len(), out);
            if !self.in_long_line && out.last().is_some_and(|last| *last != b'\n') {
                out.push(b'\n');
            }
            self.in_long_line = true;
        }
    }

    /// Moves bytes from behind the offset to `out`.
    fn hand_out(&mut self, bytes: usize, out: &mut Vec<u8>) {
        let taken = &self.partial[..bytes];
        self.offset += bytes as u64;
        keep_last(&mut self.tail, taken);
        let mut rest = taken;
        if self.in_long_line {
            let end = memchr::memchr(b'\n', rest);
            self.in_long_line = end.is_none();
            rest = end.map_or(&[][..], |end| &rest[end + 1..]);
        }
        for line in rest.split_inclusive(|byte| *byte == b'\n') {
            // A program that goes on writing at its old offset after a truncation leaves a hole
            // of zeros before its next line.
            let zeros = line.iter().take_while(|byte| **byte == 0).count();
            let line = &line[zeros..];
            // One byte past the limit shows the decoder that the line was cut.
            let is_long = line.len() > RECORD_BYTES_MAX + 1;
            out.extend_from_slice(if is_long {
                &line[..RECORD_BYTES_MAX + 1]
            } else {
                line
            });
            if is_long {
                out.push(b'\n');
            }
        }
        self.partial.drain(..bytes);
    }
}
