//! The live tail over WebSocket and Server-Sent Events: the same messages over both.
//!
//! Invariants
//! - Nothing is buffered for a client beyond what one connection holds: the engine's tail is asked
//!   for more when the client has taken what came before. Who is too slow loses the oldest records,
//!   which are counted and said.
//! - The credential is looked up again every [`RECHECK_EVERY`], even while nothing can be sent: a
//!   revoked one loses its connection within five seconds.
//! - A cursor stands for everything that was sent before it.
mod event_stream;
mod feed;
mod instance;
mod socket;

#[doc(hidden)]
pub(crate) use event_stream::__path_tail_sse;
pub(crate) use event_stream::tail_sse;
use feed::Envelope;
pub(crate) use feed::is_true;
#[doc(hidden)]
pub(crate) use instance::__path_instance_socket;
pub(crate) use instance::instance_socket;
#[doc(hidden)]
pub(crate) use socket::__path_tail_socket;
pub(crate) use socket::tail_socket;

use crate::{
    auth::Caller,
    http::{QuestionParts, read_question, read_shape},
    parameters::Parameters,
    problem::{Kind, Problem},
    state::App,
};
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use taffrail_engine::live::{BACKLOG_RECORDS_MAX, LiveTail};
use taffrail_model::position::Position;
use tokio::sync::OwnedSemaphorePermit;

/// How often the credential of an open tail is looked up.
const RECHECK_EVERY: Duration = Duration::from_secs(2);
/// How often a cursor is sent.
const CURSOR_EVERY: Duration = Duration::from_secs(1);
/// Tails that are open at once: each holds a connection and a task.
pub(crate) const TAILS_MAX: usize = 1_000;

/// A place among the open tails, until it is dropped.
type OpenTail = OwnedSemaphorePermit;

/// Reads the parameters and begins the tail; whatever is wrong is answered before the upgrade.
fn open(
    app: &App,
    caller: &Caller,
    mut asked: Parameters,
    last_event_id: Option<&str>,
) -> Result<Opened, Problem> {
    let parts = read_question(&mut asked, app.engine.now());
    let envelope = Envelope::Record(read_shape(&mut asked));
    begin(app, caller, asked, parts, envelope, last_event_id)
}

/// A tail that has begun.
struct Opened {
    tail: LiveTail,
    envelope: Envelope,
    place: OpenTail,
}

/// Reads the parameters of every tail, `backlog` and `cursor`, and begins it.
fn begin(
    app: &App,
    caller: &Caller,
    mut asked: Parameters,
    parts: QuestionParts,
    envelope: Envelope,
    last_event_id: Option<&str>,
) -> Result<Opened, Problem> {
    let backlog = asked
        .number("backlog", 0..=BACKLOG_RECORDS_MAX)
        .unwrap_or(0);
    let cursor = asked.text("cursor").filter(|cursor| !cursor.is_empty());
    asked.finish()?;
    let cursor = match last_event_id.or(cursor.as_deref()) {
        None => None,
        Some(text) => Some(parse_cursor(text)?),
    };
    let place = app
        .tails
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem::new(Kind::Overloaded, "too many live tails are open"))?;
    let question = parts.with_cancel(Arc::new(AtomicBool::new(false)));
    let tail = app
        .engine
        .live_tail(&caller.principal, question, backlog, cursor)?;
    Ok(Opened {
        tail,
        envelope,
        place,
    })
}

/// A position as clients give it back unread.
fn cursor_text(position: Position) -> String {
    format!("t{:012x}", position.0)
}

fn parse_cursor(text: &str) -> Result<Position, Problem> {
    let digits = text.strip_prefix('t').filter(|digits| digits.len() == 12);
    digits
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .map(Position)
        .ok_or_else(|| {
            Problem::new(
                Kind::InvalidCursor,
                "give the cursor of a message of the tail before, unchanged",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip() {
        for position in [Position(0), Position(77), Position::MAX] {
            assert_eq!(parse_cursor(&cursor_text(position)).ok(), Some(position));
        }
        for bad in [
            "",
            "t",
            "t00",
            "000000000001",
            "t+00000000001",
            "t0000000000001",
        ] {
            assert!(parse_cursor(bad).is_err(), "{bad}");
        }
    }
}
