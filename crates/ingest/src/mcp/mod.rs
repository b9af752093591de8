//! What an MCP client and an MCP server say to each other, as records.
//!
//! [`session::Session`] is given the bytes of both directions as they pass and returns one record
//! for each completed request, one for each log message and other notification, and one for each
//! breach of the protocol. [`http::Recorder`] does the same for the exchanges of an HTTP proxy.
//! Neither reads nor writes anything: a caller moves the bytes, and whatever happens here cannot
//! delay or change them.
//!
//! Invariants
//! - How the bytes are cut into pieces makes no difference to the records.
//! - Memory is bounded whatever is said: by the length of a message, by the number and bytes of
//!   pending requests, by the length of every text that is kept. What is past a bound is counted
//!   and said.
//! - Arguments and results are kept only if that was asked for.
//! - Nothing here panics, and time is linear in the bytes.
//!
//! Both eras are understood: sessions that begin with `initialize` (2024-11-05 to 2025-11-25,
//! with the batches of 2025-03-26) and 2026-07-28, where each request carries its version in
//! `_meta` and nothing is a session. Attributes have the names of the OpenTelemetry conventions
//! for MCP; those that it lacks begin with `mcp.` as well.

pub mod attribute;
mod calls;
mod early;
pub mod http;
mod id;
mod line;
mod log_message;
mod members;
mod message;
mod params;
pub mod record;
pub mod session;
mod sse;
mod told;
pub mod traceparent;
mod violation;

#[cfg(test)]
mod tests;

/// Bytes of one message that is parsed. Images and files travel as base64 in results; 16 MiB
/// holds a file of 12 MB. A longer message is measured and said.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Requests that wait for their answer, in each direction; past it the oldest is counted out.
/// Clients have tens.
pub const PENDING_REQUESTS_MAX: usize = 65_536;
/// Bytes that waiting requests hold, in each direction: names and contents of the sender's
/// choice. As above, the oldest goes.
pub const PENDING_BYTES_MAX: usize = 16 << 20;
/// Answers that are held in each direction because the request that they may be to has not ended
/// yet; one line or body is one request, or a batch of few. What has no room is taken for an answer
/// to no request.
pub const EARLY_ANSWERS_MAX: usize = 64;
/// Bytes of these, in each direction: few results are longer.
pub const EARLY_BYTES_MAX: usize = 256 << 10;
/// How long they are held, in nanoseconds (ten seconds): who sends a request whose answer is here
/// is done with it by then. A body that is open for ever, as some clients have one, ends nothing.
pub const EARLY_AFTER_NS: i64 = 10 * taffrail_model::time::NS_PER_S;
/// Bytes of a request id or progress token. UUIDs have 36; a longer one is not paired.
pub const ID_BYTES_MAX: usize = 512;
/// Bytes of a name, URI, reason or error message that a record keeps.
pub const TEXT_BYTES_MAX: usize = 1_024;
/// Bytes that are shown of what is no message.
pub const EXCERPT_BYTES_MAX: usize = 256;
/// Fields that a log message's data become; the rest stays in the JSON of its message.
pub const LOG_FIELDS_MAX: usize = 64;
/// How long a request waits for its answer or for progress before a record says that none came,
/// in nanoseconds (five minutes). Its answer is recorded if it comes after all.
pub const UNANSWERED_AFTER_NS: i64 = 300 * taffrail_model::time::NS_PER_S;

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client: a server's standard input, the body of a POST.
    ClientToServer,
    /// From the server: its standard output, the body of an answer.
    ServerToClient,
}

impl Direction {
    /// The other one.
    #[must_use]
    pub fn opposite(self) -> Direction {
        match self {
            Direction::ClientToServer => Direction::ServerToClient,
            Direction::ServerToClient => Direction::ClientToServer,
        }
    }

    /// `client` or `server`: who sent it.
    #[must_use]
    pub fn sender(self) -> &'static str {
        match self {
            Direction::ClientToServer => "client",
            Direction::ServerToClient => "server",
        }
    }
}

/// What the bytes turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A record.
    Record(record::Record),
    /// A line of the server's output that is no message.
    Line(Line),
}

/// A line of output that is no message: the text of any program, or a breach of the protocol
/// that a record tells of besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When its last byte came.
    pub time: taffrail_model::time::Timestamp,
    /// Its bytes without the line's end, at most [`taffrail_model::limits::RECORD_BYTES_MAX`].
    pub bytes: Vec<u8>,
    /// How many bytes it had.
    pub bytes_total: u64,
}

/// The first `bytes_max` bytes of a text, or up to three fewer: no character is split.
fn clipped(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
