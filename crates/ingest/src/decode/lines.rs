//! Plain text to a batch of lines, one record each, in the column `message`.
//!
//! No line is refused: what a program printed is evidence. Bytes that are not UTF-8 become
//! U+FFFD and the record says so in `metadata.invalid_utf8`; a line past the limit of a record is
//! cut there and says so in `metadata.truncated`. Lines without any text are no records and are
//! not counted.
use super::ndjson::DecodeError;
use std::borrow::Cow;
use taffrail_model::{
    batch::RawBatch,
    column::{ColumnSet, Kind},
    field,
    limits::{BATCH_BYTES_MAX, RECORD_BYTES_MAX},
};

/// Marks a record of which bytes were replaced, since they were not UTF-8.
pub const INVALID_UTF8: &str = "metadata.invalid_utf8";
/// Marks a record that was cut at [`RECORD_BYTES_MAX`].
pub const TRUNCATED: &str = "metadata.truncated";

/// Decodes lines that end with LF or CRLF; the last may have no end.
///
/// # Errors
/// [`DecodeError::TooLarge`] past [`BATCH_BYTES_MAX`].
pub fn decode(body: &[u8]) -> Result<RawBatch, DecodeError> {
    if body.len() > BATCH_BYTES_MAX {
        return Err(DecodeError::TooLarge { bytes: body.len() });
    }
    Ok(texts(lines(body)))
}

/// Texts that were taken apart already, one record each; a text may have several lines.
pub fn texts<'a>(texts: impl Iterator<Item = &'a [u8]>) -> RawBatch {
    let mut columns = ColumnSet::default();
    let slots = [field::MESSAGE, INVALID_UTF8, TRUNCATED].map(|name| columns.slot(name));
    let mut row = 0;
    for text in texts {
        let text = Text::of(text);
        let mut push = |slot: usize, kind, text: &str| {
            columns.slot_mut(slot).1.push(row, kind, text);
        };
        push(slots[0], Kind::String, &text.text);
        if text.is_replaced {
            push(slots[1], Kind::Bool, "true");
        }
        if text.is_cut {
            push(slots[2], Kind::Bool, "true");
        }
        row += 1;
    }
    columns.set_rows(row);
    RawBatch {
        columns,
        indexes: (0..row).collect(),
        rejects: Vec::new(),
        is_lines: true,
    }
}

/// The lines with any text, without their ends.
fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = body.get(start..).filter(|rest| !rest.is_empty())?;
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        start += end + 1;
        let line = &rest[..end];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
    .filter(|line| !line.trim_ascii().is_empty())
}

struct Text<'a> {
    text: Cow<'a, str>,
    is_replaced: bool,
    is_cut: bool,
}

impl Text<'_> {
    fn of(line: &[u8]) -> Text<'_> {
        let cut = cut(line);
        let mut text = String::from_utf8_lossy(cut);
        let is_replaced = matches!(text, Cow::Owned(_));
        let mut is_cut = cut.len() < line.len();
        // A replacement is longer than what it replaces.
        if text.len() > RECORD_BYTES_MAX {
            is_cut = true;
            let end = text.floor_char_boundary(RECORD_BYTES_MAX);
            text.to_mut().truncate(end);
        }
        Text {
            text,
            is_replaced,
            is_cut,
        }
    }
}

/// The first [`RECORD_BYTES_MAX`] bytes of a line, or up to three fewer: no character is split.
fn cut(line: &[u8]) -> &[u8] {
    if line.len() <= RECORD_BYTES_MAX {
        return line;
    }
    let is_continuation = |at: usize| line[at] & 0b1100_0000 == 0b1000_0000;
    let end = (RECORD_BYTES_MAX - 3..=RECORD_BYTES_MAX)
        .rev()
        .find(|at| !is_continuation(*at))
        .unwrap_or(RECORD_BYTES_MAX);
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &[u8], expected: &[&str]) -> RawBatch {
        let batch = decode(body).unwrap();
        let message = batch.columns.get("message").unwrap();
        let found: Vec<&str> = message.iter().map(|(_, value)| value.text).collect();
        assert_eq!(found, expected);
        assert_eq!(batch.columns.rows() as usize, expected.len());
        assert_eq!(batch.indexes, (0..batch.columns.rows()).collect::<Vec<_>>());
        assert!(batch.is_lines);
        batch
    }

    fn marked(batch: &RawBatch, name: &str) -> Vec<u32> {
        batch.columns.get(name).unwrap().rows().to_vec()
    }

    #[test]
    fn lines_end_with_lf_or_crlf() {
        check(b"", &[]);
        check(b"\n\r\n \t\n", &[]);
        check(b"a\nb\r\n\n  c \nd", &["a", "b", "  c ", "d"]);
        check(b"\xef\xbb\xbfa\rb\n", &["a\rb"]);
    }

    #[test]
    fn what_is_not_utf8_is_replaced_and_marked() {
        let batch = check(
            b"ok\nl\xffx\n\xc3\xa9\n\xc3\n",
            &["ok", "l\u{fffd}x", "é", "\u{fffd}"],
        );
        assert_eq!(marked(&batch, INVALID_UTF8), [1, 3]);
        assert_eq!(marked(&batch, TRUNCATED), [0; 0]);
    }

    #[test]
    fn a_long_line_is_cut_between_characters_and_marked() {
        let whole = "x".repeat(RECORD_BYTES_MAX);
        let batch = check(
            format!("{whole}\n{whole}y\nz").as_bytes(),
            &[&whole, &whole, "z"],
        );
        assert_eq!(marked(&batch, TRUNCATED), [1]);
        let split = format!("{}é😀", &whole[3..]);
        let batch = check(split.as_bytes(), &[&format!("{}é", &whole[3..])]);
        assert_eq!(marked(&batch, TRUNCATED), [0]);
        assert_eq!(marked(&batch, INVALID_UTF8), [0; 0]);
        let batch = decode(&vec![0xff; RECORD_BYTES_MAX]).unwrap();
        let text = batch.columns.get("message").unwrap().text();
        assert_eq!(text.len(), RECORD_BYTES_MAX / 3 * 3);
        assert_eq!(marked(&batch, TRUNCATED), [0]);
    }

    #[test]
    fn a_batch_is_bounded() {
        let mut body = vec![b'\n'; BATCH_BYTES_MAX];
        assert!(decode(&body).is_ok());
        body.push(b'\n');
        assert!(matches!(decode(&body), Err(DecodeError::TooLarge { .. })));
    }
}
