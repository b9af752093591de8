//! Clean records to NDJSON for the wire, compressed.
//!
//! Invariants
//! - Every scalar keeps its JSON text: what the server decodes is what the pipeline left.
//! - No record passes the server's limit because of what the shipper added: its message is cut.
use super::{BODY_BYTES_MAX, Part};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, sync::Arc};
use taffrail_model::{
    column::{Column, FieldName, Kind, Value},
    field,
    limits::{DECOMPRESSION_RATIO_FLOOR_BYTES, DECOMPRESSION_RATIO_MAX, RECORD_BYTES_MAX},
    stream::StreamCatalogue,
    time::Timestamp,
};
use taffrail_pipeline::clean::{CleanBatch, CleanPart};

/// Marks a record whose message was cut.
const TRUNCATED: &str = "metadata.truncated";

/// Bodies below this many bytes are sent as they are: they fit into a few packets anyway.
const COMPRESSED_BYTES_MIN: usize = 4 << 10;
/// Level of zstd: a usual body becomes 7 times smaller at some 350 MB/s, which sealing and writing
/// fewer bytes pays for; level 3 is half as fast and saves nothing more.
const ZSTD_LEVEL: i32 = 1;

/// How a body is compressed; the names are those of `Content-Encoding`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Not at all.
    #[default]
    Identity,
    /// One frame of Zstandard.
    Zstd,
}

impl Encoding {
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature serde asks for"
    )]
    pub(super) fn is_identity(&self) -> bool {
        *self == Encoding::Identity
    }
}

impl Part {
    /// The records as NDJSON.
    pub(super) fn plain(&self) -> Cow<'_, [u8]> {
        match self.encoding {
            Encoding::Identity => Cow::Borrowed(&self.body),
            // It was compressed here and its container opened: if it were damaged after all, what
            // is kept of it is kept as it is.
            Encoding::Zstd => {
                zstd::decode_all(&*self.body).map_or(Cow::Borrowed(&*self.body), Cow::Owned)
            }
        }
    }
}

/// A body as it is sent.
pub(super) struct Request<'a> {
    pub(super) records: u32,
    pub(super) encoding: Encoding,
    pub(super) body: Cow<'a, [u8]>,
}

impl<'a> Request<'a> {
    /// Compressed, if that is wanted, makes it smaller, and is no bomb to the server.
    pub(super) fn new(records: u32, body: &'a [u8], compression: bool) -> Request<'a> {
        let packed = (compression && body.len() >= COMPRESSED_BYTES_MIN)
            // It fails only where memory does, and the body is as good as it is.
            .then(|| zstd::bulk::compress(body, ZSTD_LEVEL).ok())
            .flatten()
            .filter(|packed| packed.len() < body.len() && !is_bomb(body.len(), packed.len()));
        let (encoding, body) = match packed {
            Some(packed) => (Encoding::Zstd, Cow::Owned(packed)),
            None => (Encoding::Identity, Cow::Borrowed(body)),
        };
        Request {
            records,
            encoding,
            body,
        }
    }
}

/// Whether the server would refuse what decompresses so well.
fn is_bomb(body_bytes: usize, packed_bytes: usize) -> bool {
    let allowed = packed_bytes.saturating_mul(DECOMPRESSION_RATIO_MAX);
    body_bytes > allowed.max(DECOMPRESSION_RATIO_FLOOR_BYTES)
}

/// Bodies of requests, each below [`BODY_BYTES_MAX`] unless it is one record, and each for one
/// stream. Records of a stream keep their order.
#[derive(Clone, Debug, Default)]
pub struct Bodies {
    parts: Vec<Body>,
}

/// The body of one request.
#[derive(Clone, Debug)]
pub(super) struct Body {
    /// Stream that it goes to; `None`: that of the batch.
    pub(super) stream: Option<Arc<str>>,
    pub(super) records: u32,
    /// NDJSON.
    pub(super) bytes: Vec<u8>,
}

impl Bodies {
    /// Appends records for the stream of the batch.
    pub fn push(&mut self, batch: &CleanBatch) {
        self.push_parts(None, batch);
    }

    /// Appends records for a stream of their own.
    pub fn push_to(&mut self, stream: &Arc<str>, batch: &CleanBatch) {
        self.push_parts(Some(stream), batch);
    }

    /// Appends records, each for the stream that the pipeline sent it to.
    pub fn push_routed(&mut self, catalogue: &StreamCatalogue, batch: &CleanBatch) {
        for part in batch.parts() {
            let stream = catalogue.by_number(part.stream());
            self.push_part(stream.map(|stream| &stream.name), part);
        }
    }

    fn push_parts(&mut self, stream: Option<&Arc<str>>, batch: &CleanBatch) {
        for part in batch.parts() {
            self.push_part(stream, part);
        }
    }

    /// Number of records.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.parts.iter().map(|body| u64::from(body.records)).sum()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Bytes of all bodies.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|body| body.bytes.len()).sum()
    }

    pub(super) fn parts(&self) -> &[Body] {
        &self.parts
    }

    fn push_part(&mut self, stream: Option<&Arc<str>>, part: &CleanPart) {
        let columns: Vec<(&FieldName, &Column)> = part.columns().iter().collect();
        let cells = cells_by_row(&columns, part.timestamps().len());
        for (row, time) in part.timestamps().iter().enumerate() {
            let mut record = Record::new(Timestamp(*time));
            for (column, index) in cells.of_row(row) {
                let (name, values) = columns[column as usize];
                record.push(name, values.value_at(index as usize));
            }
            self.push_line(stream, record.into_line());
        }
    }

    fn push_line(&mut self, stream: Option<&Arc<str>>, line: Vec<u8>) {
        // The last of the stream: an earlier one would mix up the order.
        let mut latest = self.parts.iter_mut().rev();
        let last = latest.find(|body| body.stream.as_ref() == stream);
        match last.filter(|body| body.bytes.len() + line.len() <= BODY_BYTES_MAX) {
            Some(body) => {
                body.records += 1;
                body.bytes.extend_from_slice(&line);
            }
            None => self.parts.push(Body {
                stream: stream.cloned(),
                records: 1,
                bytes: line,
            }),
        }
    }
}

/// The values of all columns, row by row: a counting sort, linear in their number.
struct Cells {
    /// Where each row's cells begin, and the end of the last.
    starts: Vec<usize>,
    /// Column and index of the value in it.
    cells: Vec<(u32, u32)>,
}

impl Cells {
    fn of_row(&self, row: usize) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.cells[self.starts[row]..self.starts[row + 1]]
            .iter()
            .copied()
    }
}

fn cells_by_row(columns: &[(&FieldName, &Column)], rows: usize) -> Cells {
    let mut starts = vec![0; rows + 1];
    for (_, column) in columns {
        for row in column.rows() {
            starts[*row as usize + 1] += 1;
        }
    }
    for row in 0..rows {
        starts[row + 1] += starts[row];
    }
    let mut next = starts.clone();
    let mut cells = vec![(0, 0); starts[rows]];
    for (number, (_, column)) in (0..).zip(columns) {
        for (index, row) in (0..).zip(column.rows()) {
            cells[next[*row as usize]] = (number, index);
            next[*row as usize] += 1;
        }
    }
    Cells { starts, cells }
}

/// One record as it is written.
struct Record<'a> {
    line: Vec<u8>,
    /// The message, written last: it is what is cut.
    message: Option<Value<'a>>,
    is_truncated: bool,
}

impl<'a> Record<'a> {
    fn new(time: Timestamp) -> Record<'a> {
        let line = format!("{{\"{}\":\"{}\"", field::TIMESTAMP, time.to_rfc3339());
        Record {
            line: line.into_bytes(),
            message: None,
            is_truncated: false,
        }
    }

    fn push(&mut self, name: &str, value: Value<'a>) {
        let object = value
            .text
            .strip_prefix('{')
            .and_then(|it| it.strip_suffix('}'));
        match (name, object) {
            (field::MESSAGE, _) if value.kind == Kind::String => self.message = Some(value),
            // Fields past the limit of columns are fields again for the server.
            (field::OVERFLOW, Some(members)) if value.kind == Kind::Json => {
                if !members.is_empty() {
                    self.line.push(b',');
                    self.line.extend_from_slice(members.as_bytes());
                }
            }
            _ => {
                self.is_truncated |= name == TRUNCATED;
                self.push_name(name);
                self.push_value(value);
            }
        }
    }

    fn push_name(&mut self, name: &str) {
        self.line.push(b',');
        push_string(&mut self.line, name);
        self.line.push(b':');
    }

    fn push_value(&mut self, value: Value<'_>) {
        match value.kind {
            Kind::String => push_string(&mut self.line, value.text),
            _ => self.line.extend_from_slice(value.text.as_bytes()),
        }
    }

    fn into_line(mut self) -> Vec<u8> {
        if let Some(message) = self.message {
            let start = self.line.len();
            self.push_name(field::MESSAGE);
            let text_start = self.line.len();
            self.push_value(message);
            if self.line.len() + 1 > RECORD_BYTES_MAX {
                let mark = format!(",\"{TRUNCATED}\":true");
                // The quotes and the bracket at the end.
                let used = text_start + mark.len() + 3;
                let end = fitting(message.text, RECORD_BYTES_MAX.saturating_sub(used));
                self.line.truncate(start);
                self.push_name(field::MESSAGE);
                push_string(&mut self.line, &message.text[..end]);
                if !self.is_truncated {
                    self.line.extend_from_slice(mark.as_bytes());
                }
            }
        }
        self.line.extend_from_slice(b"}\n");
        self.line
    }
}

/// What stands for a byte in a JSON string, if it cannot stand for itself; empty: `\u00XX`.
fn escape(byte: u8) -> Option<&'static str> {
    match byte {
        b'"' => Some("\\\""),
        b'\\' => Some("\\\\"),
        b'\n' => Some("\\n"),
        b'\r' => Some("\\r"),
        b'\t' => Some("\\t"),
        0..=0x1f => Some(""),
        _ => None,
    }
}

/// Where to cut a text so that it takes this many bytes at the most as JSON.
fn fitting(text: &str, bytes_max: usize) -> usize {
    let mut bytes = 0;
    let fits = |byte: &u8| {
        bytes += match escape(*byte) {
            Some("") => 6,
            Some(escape) => escape.len(),
            None => 1,
        };
        bytes <= bytes_max
    };
    let end = text.bytes().take_while(fits).count();
    text.floor_char_boundary(end)
}

/// A text as a JSON string.
fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut kept = 0;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let Some(escape) = escape(*byte) else {
            continue;
        };
        out.extend_from_slice(&bytes[kept..at]);
        if escape.is_empty() {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.extend_from_slice(escape.as_bytes());
        }
        kept = at + 1;
    }
    out.extend_from_slice(&bytes[kept..]);
    out.push(b'"');
}
