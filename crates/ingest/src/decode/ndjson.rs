//! JSON records to columns, in one pass over the bytes.
//!
//! Three forms are told apart by looking, since senders mislabel them: a body that begins with
//! `[` is one array; one that begins with `{`, whose first line is no complete value but which
//! is one value as a whole, is one object over several lines; everything else is NDJSON.
//!
//! Invariants
//! - Of a rejected record nothing stays in the columns.
//! - In NDJSON a fault ends with its line. In an array the faults that leave the array
//!   well-formed (limits, half surrogate pairs, bytes that are not UTF-8) reject their record;
//!   any other makes the array unreadable, and nothing of it is returned.
//! - Grammar is RFC 8259, strictly. A number keeps its text, `null` is no value, the last of
//!   several equal names wins.
//! - Time is linear in the body, whatever the names, nesting and faults.
//!
//! No tree of values is built: a string's escapes are decoded straight into its column's text.
mod cutter;

use super::{
    fields::{Fields, MemberId, NO_MEMBER, NameTooLong, ObjectId, ROOT},
    json::{self, Cursor, EXPECTED_COLON, EXPECTED_NAME, Fault, FaultKind, Surrogates},
};
pub use cutter::{Cutter, PIECE_BYTES_MIN};
use std::{borrow::Cow, ops::Range};
use taffrail_model::{
    batch::{RawBatch, Reject, RejectKind},
    column::Kind,
    limits::{
        BATCH_BYTES_MAX, FIELD_NAME_BYTES_MAX, NESTING_DEPTH_MAX, RECORD_BYTES_MAX,
        RECORDS_PER_BATCH_MAX, REJECTS_PER_BATCH_MAX,
    },
};

/// What makes a whole request unreadable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Past [`BATCH_BYTES_MAX`].
    #[error("the batch has {bytes} bytes, the limit is {BATCH_BYTES_MAX}; send it in parts")]
    TooLarge {
        /// Bytes that came.
        bytes: usize,
    },
    /// Not one well-formed JSON array.
    #[error("broken JSON array at byte {offset}, record {index}: {expected}")]
    BrokenArray {
        /// Byte offset in the body.
        offset: usize,
        /// Index of the record at fault.
        index: u32,
        /// What would be right.
        expected: &'static str,
    },
    /// Past [`RECORDS_PER_BATCH_MAX`].
    #[error("a batch has at most {RECORDS_PER_BATCH_MAX} records; send it in parts")]
    TooManyRecords,
    /// Past [`REJECTS_PER_BATCH_MAX`].
    #[error(
        "more than {REJECTS_PER_BATCH_MAX} records cannot be read, the first at index {}: {}",
        first.index, first.detail
    )]
    TooManyRejects {
        /// The first of them.
        first: Reject,
    },
}

/// Records after which room is made for as many more as the rest of a body of lines has, if they go
/// on as they began: columns that grow by doubling are copied, and memory touched, twice.
const EXPECTS_AT: usize = 256;
/// How much more room than that.
const SPARE: f64 = 1.05;

/// Decodes NDJSON, one JSON array of objects, or one object.
///
/// # Errors
/// [`DecodeError`] if nothing of the body can be taken; a fault of one record is a reject.
pub fn decode(body: &[u8]) -> Result<RawBatch, DecodeError> {
    if body.len() > BATCH_BYTES_MAX {
        return Err(DecodeError::TooLarge { bytes: body.len() });
    }
    let range = content(body);
    let mut decoder = Decoder::new(body);
    match body.get(range.start) {
        Some(b'[') => decoder.array(range)?,
        Some(b'{') if is_one_value_over_lines(&body[range.clone()]) => decoder.whole(range)?,
        _ => decoder.lines(range)?,
    }
    Ok(decoder.into_batch())
}

/// Decodes a piece of a [`Cutter`], or what it has left: a record on each line, whatever the first one looks like.
/// Indexes begin at 0.
///
/// # Errors
/// [`DecodeError`] if the piece alone is past a limit.
pub fn decode_lines(piece: &[u8]) -> Result<RawBatch, DecodeError> {
    let mut decoder = Decoder::new(piece);
    decoder.lines(0..piece.len())?;
    Ok(decoder.into_batch())
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What is between a byte order mark and blanks.
fn content(body: &[u8]) -> Range<usize> {
    let start = body
        .strip_prefix(BYTE_ORDER_MARK)
        .map_or(0, |_| BYTE_ORDER_MARK.len());
    trimmed(body, start..body.len())
}

/// The range without the blanks of JSON at both ends.
fn trimmed(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let part = &bytes[range.clone()];
    let Some(first) = part.iter().position(is_text) else {
        return range.end..range.end;
    };
    let last = part.iter().rposition(is_text).unwrap_or(first);
    range.start + first..range.start + last + 1
}

/// Whether the first line is no value of its own, but all lines together are.
fn is_one_value_over_lines(body: &[u8]) -> bool {
    match memchr::memchr(b'\n', body) {
        Some(end) => !is_one_value(&body[..end]) && is_one_value(body),
        None => false,
    }
}

fn is_one_value(bytes: &[u8]) -> bool {
    let mut cursor = Cursor::new(bytes);
    let outcome = cursor.value(usize::MAX, Surrogates::Any, &mut |_| {});
    cursor.skip_blanks();
    outcome.is_ok() && cursor.at == bytes.len()
}

struct Decoder<'a> {
    body: &'a [u8],
    /// The body as text, if all of it is UTF-8.
    text: Option<&'a str>,
    fields: Fields,
    indexes: Vec<u32>,
    rejects: Vec<Reject>,
    /// Index of the next record.
    index: u32,
}

impl<'a> Decoder<'a> {
    fn new(body: &'a [u8]) -> Decoder<'a> {
        Decoder {
            body,
            text: std::str::from_utf8(body).ok(),
            fields: Fields::new(),
            indexes: Vec::new(),
            rejects: Vec::new(),
            index: 0,
        }
    }

    fn into_batch(self) -> RawBatch {
        RawBatch {
            columns: self.fields.into_columns(),
            indexes: self.indexes,
            rejects: self.rejects,
            is_lines: false,
        }
    }

    fn lines(&mut self, range: Range<usize>) -> Result<(), DecodeError> {
        let mut start = range.start;
        let mut expects_at = EXPECTS_AT;
        while start < range.end {
            if self.indexes.len() == expects_at {
                let read = (start - range.start) as f64;
                self.fields
                    .reserve((range.end - start) as f64 / read * SPARE);
                expects_at = usize::MAX;
            }
            let rest = &self.body[start..range.end];
            let end = memchr::memchr(b'\n', rest).map_or(range.end, |at| start + at);
            let line = trimmed(self.body, start..end);
            if !line.is_empty() {
                self.whole(line)?;
            }
            start = end + 1;
        }
        Ok(())
    }

    /// One record that fills the range.
    fn whole(&mut self, range: Range<usize>) -> Result<(), DecodeError> {
        if range.len() > RECORD_BYTES_MAX {
            return self.reject(too_large(range.len()));
        }
        let text = match self.text {
            Some(text) => &text[range],
            None => match std::str::from_utf8(&self.body[range]) {
                Ok(text) => text,
                Err(error) => return self.reject(not_utf8(error.valid_up_to())),
            },
        };
        let mut cursor = Cursor::new(text.as_bytes());
        let outcome = self.record(text, &mut cursor).and_then(|()| {
            if cursor.at == text.len() {
                return Ok(());
            }
            cursor.fault(match cursor.peek() {
                Some(b'{') => "a record must stand on a line of its own",
                _ => "nothing may follow the record on its line",
            })
        });
        self.close(outcome, 0)
    }

    /// All records of an array that fills the range.
    fn array(&mut self, range: Range<usize>) -> Result<(), DecodeError> {
        let mut cursor = Cursor::new(&self.body[..range.end]);
        cursor.at = range.start + 1;
        cursor.skip_blanks();
        let mut is_open = cursor.peek() != Some(b']');
        while is_open {
            self.element(&mut cursor)?;
            cursor.skip_blanks();
            is_open = match cursor.peek() {
                Some(b',') => true,
                Some(b']') => break,
                _ => {
                    return cursor
                        .fault("`,` or `]` is expected after a record")
                        .map_err(|fault| self.broken(fault));
                }
            };
            cursor.at += 1;
            cursor.skip_blanks();
        }
        cursor.at += 1;
        cursor.skip_blanks();
        if cursor.at < range.end {
            return cursor
                .fault("nothing may follow the array")
                .map_err(|fault| self.broken(fault));
        }
        Ok(())
    }

    /// One record of an array, from the cursor on, which is left behind it.
    fn element(&mut self, cursor: &mut Cursor<'a>) -> Result<(), DecodeError> {
        let start = cursor.at;
        if let Some(text) = self.text {
            let outcome = self.record(text, cursor).and_then(|()| {
                // Blanks behind the record do not count.
                let length = trimmed(cursor.bytes, start..cursor.at).len();
                if length > RECORD_BYTES_MAX {
                    return Err(limit(FaultKind::TooLarge, cursor.at));
                }
                Ok(())
            });
            let Err(fault) = outcome else {
                return self.close(outcome, start);
            };
            if fault.kind == FaultKind::Syntax {
                return Err(self.broken(fault));
            }
            cursor.at = start;
            self.skip_element(cursor)?;
            if fault.kind == FaultKind::TooLarge {
                self.fields.drop_record();
                return self.reject(too_large(cursor.at - start));
            }
            return self.close(Err(fault), start);
        }
        self.skip_element(cursor)?;
        self.whole(start..cursor.at)
    }

    fn skip_element(&self, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
        cursor
            .value(usize::MAX, Surrogates::Any, &mut |_| {})
            .map_err(|fault| self.broken(fault))
    }

    fn broken(&self, fault: Fault) -> DecodeError {
        DecodeError::BrokenArray {
            offset: fault.at,
            index: self.index,
            expected: fault.expected,
        }
    }

    /// Keeps or rejects the record that was read from `start` on.
    #[inline]
    fn close(&mut self, outcome: Result<(), Fault>, start: usize) -> Result<(), DecodeError> {
        match outcome {
            Ok(()) => {
                if self.indexes.len() >= RECORDS_PER_BATCH_MAX {
                    return Err(DecodeError::TooManyRecords);
                }
                self.fields.keep_record();
                self.indexes.push(self.index);
                self.index += 1;
                Ok(())
            }
            Err(fault) => {
                self.fields.drop_record();
                self.reject(explained(fault, start))
            }
        }
    }

    #[cold]
    fn reject(
        &mut self,
        (kind, detail): (RejectKind, Cow<'static, str>),
    ) -> Result<(), DecodeError> {
        self.rejects.push(Reject {
            index: self.index,
            kind,
            detail: detail.into_owned(),
        });
        self.index += 1;
        if self.rejects.len() > REJECTS_PER_BATCH_MAX {
            let first = self.rejects.swap_remove(0);
            return Err(DecodeError::TooManyRejects { first });
        }
        Ok(())
    }

    /// One record, from the cursor on, which is left at what follows its blanks.
    #[inline]
    fn record(&mut self, text: &str, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        self.fields.begin_object(ROOT);
        let start = cursor.at;
        if cursor.peek() != Some(b'{') {
            // What is no JSON at all is said first.
            cursor.value(usize::MAX, Surrogates::Any, &mut |_| {})?;
            return Err(limit(FaultKind::NotAnObject, start));
        }
        let mut reader = Reader {
            text,
            cursor,
            fields: &mut self.fields,
            end: start.saturating_add(RECORD_BYTES_MAX),
        };
        reader.cursor.at += 1;
        reader.cursor.skip_blanks();
        if reader.cursor.peek() == Some(b'}') {
            reader.cursor.at += 1;
        } else {
            reader.members(ROOT, 1)?;
        }
        cursor.skip_blanks();
        Ok(())
    }
}

#[cold]
fn limit(kind: FaultKind, at: usize) -> Fault {
    Fault {
        kind,
        at,
        expected: "",
    }
}

fn too_large(bytes: usize) -> (RejectKind, Cow<'static, str>) {
    let detail = format!(
        "the record has {bytes} bytes, the limit is {RECORD_BYTES_MAX}; keep large texts elsewhere"
    );
    (RejectKind::RecordTooLarge, detail.into())
}

fn not_utf8(offset: usize) -> (RejectKind, Cow<'static, str>) {
    let detail = format!("byte {offset} of the record is not UTF-8: JSON must be UTF-8");
    (RejectKind::InvalidJson, detail.into())
}

fn explained(fault: Fault, start: usize) -> (RejectKind, Cow<'static, str>) {
    let offset = fault.at - start;
    match fault.kind {
        FaultKind::Syntax | FaultKind::LoneSurrogate => {
            let detail = format!(
                "invalid JSON at byte {offset} of the record: {}",
                fault.expected
            );
            (RejectKind::InvalidJson, detail.into())
        }
        FaultKind::TooDeep => {
            let detail = format!(
                "the record nests deeper than {NESTING_DEPTH_MAX} levels at byte {offset}, \
                 itself included"
            );
            (RejectKind::TooDeep, detail.into())
        }
        FaultKind::NameTooLong => {
            let detail = format!(
                "the field name at byte {offset} has more than {FIELD_NAME_BYTES_MAX} bytes, \
                 counted with the names of the objects around it"
            );
            (RejectKind::FieldNameTooLong, detail.into())
        }
        FaultKind::TooLarge => too_large(offset),
        FaultKind::NotAnObject => (
            RejectKind::NotAnObject,
            "a record must be a JSON object such as {\"message\":\"…\"}".into(),
        ),
    }
}

/// Reads the members of one record into columns.
struct Reader<'r, 'b> {
    text: &'r str,
    cursor: &'r mut Cursor<'b>,
    fields: &'r mut Fields,
    /// Where the record must have ended.
    end: usize,
}

impl Reader<'_, '_> {
    /// The members of an object with at least one, behind its bracket; moves past the closing
    /// one. `depth` is the object's own level, which bounds the recursion.
    fn members(&mut self, object: ObjectId, depth: usize) -> Result<(), Fault> {
        let mut previous = NO_MEMBER;
        loop {
            if self.cursor.at > self.end {
                return Err(limit(FaultKind::TooLarge, self.cursor.at));
            }
            let member = self.name(object, previous)?;
            self.cursor.skip_blanks();
            self.cursor.expect(b':', EXPECTED_COLON)?;
            self.cursor.skip_blanks();
            self.fields.meet(member);
            self.value(member, depth)?;
            previous = member;
            self.cursor.skip_blanks();
            match self.cursor.peek() {
                Some(b',') => {
                    self.cursor.at += 1;
                    self.cursor.skip_blanks();
                }
                Some(b'}') => {
                    self.cursor.at += 1;
                    return Ok(());
                }
                _ => return self.cursor.fault("`,` or `}` is expected after a value"),
            }
        }
    }

    #[inline]
    fn name(&mut self, object: ObjectId, previous: MemberId) -> Result<MemberId, Fault> {
        let start = self.cursor.at;
        self.cursor.expect(b'"', EXPECTED_NAME)?;
        let rest = &self.cursor.bytes[self.cursor.at..];
        if let Some((member, length)) = self.fields.guess(object, previous, rest) {
            self.cursor.at += length;
            return Ok(member);
        }
        let (place, has_escape) = self.cursor.string(Surrogates::Paired)?;
        let name = &self.text[place];
        let found = if has_escape {
            let mut unescaped = String::new();
            json::unescape_into(name, &mut unescaped);
            self.fields.member(object, previous, &unescaped)
        } else {
            self.fields.member(object, previous, name)
        };
        found.map_err(|NameTooLong| limit(FaultKind::NameTooLong, start))
    }

    #[inline]
    fn value(&mut self, member: MemberId, depth: usize) -> Result<(), Fault> {
        match self.cursor.peek() {
            Some(b'"') => self.string(member),
            Some(b'-' | b'0'..=b'9') => {
                let (kind, place) = self.cursor.number()?;
                let number = &self.text[place];
                self.fields.write(member, kind, |out| out.push_str(number));
                Ok(())
            }
            Some(b'{') => self.object(member, depth),
            Some(b'[') => self.array(member, depth),
            Some(b't') => self.word(member, "true"),
            Some(b'f') => self.word(member, "false"),
            _ => self.cursor.word("null"),
        }
    }

    #[inline]
    fn string(&mut self, member: MemberId) -> Result<(), Fault> {
        self.cursor.at += 1;
        let (place, has_escape) = self.cursor.string(Surrogates::Paired)?;
        let string = &self.text[place];
        self.fields.write(member, Kind::String, |out| {
            if has_escape {
                json::unescape_into(string, out);
            } else {
                out.push_str(string);
            }
        });
        Ok(())
    }

    fn word(&mut self, member: MemberId, word: &'static str) -> Result<(), Fault> {
        self.cursor.word(word)?;
        self.fields
            .write(member, Kind::Bool, |out| out.push_str(word));
        Ok(())
    }

    fn object(&mut self, member: MemberId, depth: usize) -> Result<(), Fault> {
        let start = self.cursor.at;
        if depth == NESTING_DEPTH_MAX {
            return Err(limit(FaultKind::TooDeep, start));
        }
        self.cursor.at += 1;
        self.cursor.skip_blanks();
        if self.cursor.peek() == Some(b'}') {
            self.cursor.at += 1;
            self.fields
                .write(member, Kind::Json, |out| out.push_str("{}"));
            return Ok(());
        }
        match self.fields.begin_inner(member) {
            Ok(inner) => self.members(inner, depth + 1),
            Err(NameTooLong) => Err(limit(FaultKind::NameTooLong, start)),
        }
    }

    /// An array: its text without blanks.
    fn array(&mut self, member: MemberId, depth: usize) -> Result<(), Fault> {
        let (text, cursor) = (self.text, &mut *self.cursor);
        let mut outcome = Ok(());
        self.fields.write(member, Kind::Json, |out| {
            // Places next to each other are copied as one.
            let mut run = cursor.at..cursor.at;
            let levels = NESTING_DEPTH_MAX - depth;
            outcome = cursor.value(levels, Surrogates::Paired, &mut |place| {
                if place.start != run.end {
                    out.push_str(&text[run.clone()]);
                    run.start = place.start;
                }
                run.end = place.end;
            });
            if outcome.is_ok() {
                out.push_str(&text[run]);
            }
        });
        outcome
    }
}

#[cfg(test)]
mod tests;
