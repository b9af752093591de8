//! One tail and its client, whatever the connection is.
//!
//! One loop: either the tail gives an event, or the client has gone, the credential changed, the
//! server stops, or a cursor is due. Sending is raced with the same things, so that a client that
//! does not read is still cut off when its credential ends.
use super::{CURSOR_EVERY, Opened, RECHECK_EVERY, cursor_text};
use crate::{
    auth::{Caller, authenticate},
    mcp_entry::write_entry,
    problem::{Kind, Problem},
    record_json::{Names, Shape, write_record, write_text},
    state::App,
};
use serde_json::{Value, json};
use std::{
    future::Future,
    pin::{Pin, pin},
};
use taffrail_engine::{
    live::{LiveEvent, LiveTail},
    query::Row,
    read::ReadError,
};
use taffrail_model::{access::Principal, position::Position};
use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior, interval_at},
};

/// A message for the client.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// `log_entry`, `dropped`, `cursor` or `error`.
    pub kind: &'static str,
    /// The whole message as JSON.
    pub json: String,
    /// Cursor after this message, where there is one.
    pub cursor: Option<String>,
}

/// How records are written.
#[derive(Clone, Debug)]
pub(super) enum Envelope {
    /// By canonical names, in this shape.
    Record(Shape),
    /// As on the MCP routes.
    Mcp,
}

impl Envelope {
    fn write(&self, out: &mut Vec<u8>, row: &Row, names: &Names<'_>) {
        match self {
            Envelope::Record(shape) => write_record(out, row, shape, names),
            Envelope::Mcp => write_entry(out, row, names),
        }
    }
}

/// The way to the client.
pub(super) trait Outlet: Send {
    /// Sends a message; `false`: the client has gone. May wait for the client for ever.
    fn send(&mut self, message: Message) -> impl Future<Output = bool> + Send;
    /// Hands over what `send` kept back.
    fn flush(&mut self) -> impl Future<Output = bool> + Send;
    /// Ends the connection for this reason, as well as it can be done without waiting for long.
    fn close(self, why: End) -> impl Future<Output = ()> + Send;
}

/// Why a tail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client went away.
    Gone,
    /// The credential is not accepted any more.
    Revoked,
    /// The server stops.
    Stopping,
    /// The tail cannot be read.
    Failed,
}

/// What happened first.
enum Raced<T> {
    Done(T),
    /// The credential was looked up again; what it may do is in `caller`.
    Rechecked,
    CursorDue,
    Ended(End),
}

/// What goes on beside the tail.
struct Beside<G> {
    app: App,
    caller: Caller,
    envelope: Envelope,
    gone: Pin<Box<G>>,
    stopping: watch::Receiver<bool>,
    recheck: Interval,
    cursor: Interval,
}

impl<G: Future<Output = ()> + Send> Beside<G> {
    /// Waits for `work` or something beside it. `work` stays where it is unless it is done.
    async fn race<F: Future>(&mut self, work: Pin<&mut F>) -> Raced<F::Output> {
        tokio::select! {
            biased;
            () = &mut self.gone => return Raced::Ended(End::Gone),
            () = is_true(&mut self.stopping) => return Raced::Ended(End::Stopping),
            _ = self.recheck.tick() => {}
            out = work => return Raced::Done(out),
            _ = self.cursor.tick() => return Raced::CursorDue,
        }
        self.check().await
    }

    async fn check<T>(&mut self) -> Raced<T> {
        let tenant = self.caller.tenant.clone();
        let found = authenticate(&self.app, &self.caller.credential, tenant.as_deref()).await;
        match found {
            Ok((principal, _)) => {
                self.caller.principal = principal;
                Raced::Rechecked
            }
            Err(problem) if problem.kind() == Kind::Internal => {
                // The metadata database could not be asked: nothing is known, so nothing is shown.
                Raced::Ended(End::Failed)
            }
            Err(_) => Raced::Ended(End::Revoked),
        }
    }

    /// Does `work` to its end unless the tail ends first.
    async fn finish<F: Future<Output = bool>>(&mut self, work: F) -> Result<(), End> {
        let mut work = pin!(work);
        loop {
            match self.race(work.as_mut()).await {
                Raced::Done(true) => return Ok(()),
                Raced::Done(false) => return Err(End::Gone),
                Raced::Ended(end) => return Err(end),
                Raced::Rechecked | Raced::CursorDue => {}
            }
        }
    }
}

/// Resolves when the flag is set, or nobody can set it any more.
pub(crate) async fn is_true(flag: &mut watch::Receiver<bool>) {
    drop(flag.wait_for(|is| *is).await);
}

/// Runs a tail until it ends. `gone` resolves when the client has gone.
pub(super) async fn run(
    app: App,
    caller: Caller,
    opened: Opened,
    mut outlet: impl Outlet,
    gone: impl Future<Output = ()> + Send,
) {
    let Opened {
        mut tail,
        envelope,
        place,
    } = opened;
    let mut beside = Beside {
        stopping: app.stopping(),
        app,
        caller,
        envelope,
        gone: Box::pin(gone),
        recheck: every(RECHECK_EVERY),
        cursor: every(CURSOR_EVERY),
    };
    let end = follow(&mut beside, &mut tail, &mut outlet).await;
    outlet.close(end).await;
    drop(place);
}

fn every(period: std::time::Duration) -> Interval {
    let mut interval = interval_at(tokio::time::Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn follow<G: Future<Output = ()> + Send>(
    beside: &mut Beside<G>,
    tail: &mut LiveTail,
    outlet: &mut impl Outlet,
) -> End {
    loop {
        let before = tail.cursor();
        match next(beside, tail, outlet).await {
            Err(end) => return end,
            Ok(None) => {}
            Ok(Some(Ok(event))) => {
                // The backlog comes in order of time and does not move the cursor: only after all
                // of it a cursor holds.
                let is_in_order = tail.cursor() != before;
                if let Err(end) = deliver(beside, outlet, event, is_in_order, tail.cursor()).await {
                    return end;
                }
            }
            Ok(Some(Err(fault))) => {
                let problem = Problem::from(fault);
                let _ = beside.finish(outlet.send(error(&problem))).await;
                return End::Failed;
            }
        }
    }
}

/// The next event; `None`: the principal has changed, and the tail goes on with the new one.
async fn next<G: Future<Output = ()> + Send>(
    beside: &mut Beside<G>,
    tail: &mut LiveTail,
    outlet: &mut impl Outlet,
) -> Result<Option<Result<LiveEvent, ReadError>>, End> {
    let asked_for: Principal = beside.caller.principal.clone();
    let cursor = tail.cursor();
    {
        let mut next = pin!(tail.next());
        loop {
            match beside.race(next.as_mut()).await {
                Raced::Done(event) => return Ok(Some(event)),
                Raced::Ended(end) => return Err(end),
                Raced::Rechecked if beside.caller.principal != asked_for => break,
                Raced::Rechecked => {}
                Raced::CursorDue => {
                    beside.finish(outlet.send(cursor_message(cursor))).await?;
                    beside.finish(outlet.flush()).await?;
                }
            }
        }
    }
    tail.set_principal(beside.caller.principal.clone());
    Ok(None)
}

async fn deliver<G: Future<Output = ()> + Send>(
    beside: &mut Beside<G>,
    outlet: &mut impl Outlet,
    event: LiveEvent,
    is_in_order: bool,
    cursor: Position,
) -> Result<(), End> {
    match event {
        LiveEvent::Records(rows) => {
            let needed: Vec<_> = rows.iter().map(|row| row.tenant).collect();
            let Ok(tenants) = beside.app.tenant_names(&needed).await else {
                return Err(End::Failed);
            };
            let catalogue = beside.app.engine.catalogue();
            let names = Names {
                catalogue: &catalogue,
                tenants: &tenants,
            };
            for row in &rows {
                let message = entry(row, &beside.envelope, &names, is_in_order);
                beside.finish(outlet.send(message)).await?;
            }
            if !is_in_order {
                beside.finish(outlet.send(cursor_message(cursor))).await?;
            }
        }
        LiveEvent::Dropped(count) => {
            let cursor = cursor_text(cursor);
            let message = Message {
                kind: "dropped",
                json: json!({ "type": "dropped", "count": count, "cursor": cursor }).to_string(),
                cursor: Some(cursor),
            };
            beside.finish(outlet.send(message)).await?;
        }
        LiveEvent::Faults(_) => {
            let problem = Problem::new(Kind::Internal, "some records cannot be read");
            beside.finish(outlet.send(error(&problem))).await?;
        }
    }
    beside.finish(outlet.flush()).await
}

fn entry(row: &Row, envelope: &Envelope, names: &Names<'_>, is_in_order: bool) -> Message {
    let mut json = br#"{"type":"log_entry","data":"#.to_vec();
    envelope.write(&mut json, row, names);
    let cursor = is_in_order.then(|| cursor_text(row.key.position));
    if let Some(cursor) = &cursor {
        json.extend_from_slice(br#","cursor":"#);
        write_text(&mut json, cursor);
    }
    json.push(b'}');
    Message {
        kind: "log_entry",
        // Rows hold texts, so this is one.
        json: String::from_utf8_lossy(&json).into_owned(),
        cursor,
    }
}

fn cursor_message(cursor: Position) -> Message {
    let cursor = cursor_text(cursor);
    Message {
        kind: "cursor",
        json: json!({ "type": "cursor", "cursor": cursor }).to_string(),
        cursor: Some(cursor),
    }
}

/// An error in the stream: the members of the problem, whose `type` is under `problem`.
pub(super) fn error(problem: &Problem) -> Message {
    let mut document = problem.document("");
    if let Value::Object(members) = &mut document {
        members.remove("request_id");
        let kind = members.insert("type".into(), "error".into());
        members.insert("problem".into(), kind.unwrap_or_default());
    }
    Message {
        kind: "error",
        json: document.to_string(),
        cursor: None,
    }
}

/// What is said to the client at the end, if it can still hear.
pub(super) fn last_word(end: End) -> Option<Message> {
    let problem = match end {
        End::Gone | End::Failed => return None,
        End::Revoked => Problem::new(
            Kind::Unauthorized,
            "the credential is not accepted any more",
        ),
        End::Stopping => Problem::new(Kind::Stopping, "the server is being stopped"),
    };
    Some(error(&problem))
}
