//! Cuts a body of lines into pieces while it comes.
//!
//! Invariants
//! - All pieces and what is left at the end are the body, but for its byte order mark.
//! - A piece ends with the end of a line, and a body that is, or might be, of another form is not
//!   cut: pieces, decoded one by one by [`super::decode_lines`], give what [`super::decode`] gives
//!   for the whole.
use super::{BYTE_ORDER_MARK, content, is_one_value};
use taffrail_model::limits::RECORD_BYTES_MAX;

/// Bytes of a piece, at least: some milliseconds of work, a hundred times what a thread costs.
pub const PIECE_BYTES_MIN: usize = 1 << 20;
/// A piece has as much as this part of what came before it, so that a body of 64 MiB has not 64
/// pieces but some 20: each is a frame of the log.
const PIECE_SHARE: usize = 4;

/// Takes the bytes of a body as they come.
pub struct Cutter {
    piece_bytes_min: usize,
    /// What is in no piece yet.
    rest: Vec<u8>,
    pieces_bytes: usize,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Unknown,
    Lines,
    Other,
}

impl Default for Cutter {
    fn default() -> Cutter {
        Cutter::new(PIECE_BYTES_MIN)
    }
}

impl Cutter {
    /// A cutter whose pieces have at least so many bytes.
    #[must_use]
    pub fn new(piece_bytes_min: usize) -> Cutter {
        Cutter {
            piece_bytes_min,
            rest: Vec::new(),
            pieces_bytes: 0,
            form: Form::Unknown,
        }
    }

    /// Takes the bytes that follow; a piece, if there is one now.
    pub fn take(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let before = self.rest.len();
        self.rest.extend_from_slice(bytes);
        if self.form == Form::Other || self.rest.len() < self.wanted() {
            return None;
        }
        // Only what is new is looked at: a line may be as long as the body.
        let end = before + memchr::memrchr(b'\n', bytes)? + 1;
        if self.form == Form::Unknown {
            self.form = form(&self.rest);
        }
        if self.form == Form::Other {
            return None;
        }
        let is_first = self.pieces_bytes == 0;
        self.pieces_bytes += end;
        let mut rest = Vec::with_capacity(self.wanted() + bytes.len());
        rest.extend_from_slice(&self.rest[end..]);
        let mut piece = std::mem::replace(&mut self.rest, rest);
        piece.truncate(end);
        if is_first && piece.starts_with(BYTE_ORDER_MARK) {
            piece.drain(..BYTE_ORDER_MARK.len());
        }
        Some(piece)
    }

    /// Bytes of the next piece, at least.
    fn wanted(&self) -> usize {
        (self.pieces_bytes / PIECE_SHARE).max(self.piece_bytes_min)
    }

    /// What is in no piece: the whole body if there was none.
    #[must_use]
    pub fn into_rest(self) -> Vec<u8> {
        self.rest
    }
}

/// Whether a body is lines, by its first one.
fn form(body: &[u8]) -> Form {
    let body = &body[content(body).start..];
    let first_line = memchr::memchr(b'\n', body).map(|end| &body[..end]);
    // One that is too long is not worth being looked at here: the whole body tells.
    let first_line = first_line.filter(|line| line.len() <= RECORD_BYTES_MAX);
    match body.first() == Some(&b'{') && first_line.is_some_and(is_one_value) {
        true => Form::Lines,
        false => Form::Other,
    }
}
