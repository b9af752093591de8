//! HTTP exchanges of MCP, as a proxy sees them: which messages they carry and whom they concern.
//!
//! A request and its answer are paired within what holds them together: the session that a server
//! named (`Mcp-Session-Id`, 2025-03-26 to 2025-11-25), the stream whose `endpoint` event said
//! where to post (2024-11-05), or the exchange itself (2026-07-28, and servers without sessions),
//! since clients that have nothing to do with each other use the same ids.
//!
//! Invariants
//! - Nothing is held of an answer but its unfinished message.
//! - All bodies together hold at most [`HELD_BYTES_MAX`], sessions are at most [`SESSIONS_MAX`].
use super::{
    Direction, Heard, MESSAGE_BYTES_MAX, TEXT_BYTES_MAX, attribute,
    calls::Sequence,
    clipped,
    members::{elements, members, string},
    params::META_PROTOCOL_VERSION,
    record::{Origin, Record, Route, Scalar},
    session::{Counts, Options, Session},
    sse::Events,
    told::{self, Ending},
    traceparent::TraceParent,
};
use std::{collections::HashMap, ops::Range};
use taffrail_model::{field, level::Level, time::Timestamp};

#[cfg(test)]
mod tests;

/// Bytes that unfinished messages of all exchanges hold together: four of the longest.
pub const HELD_BYTES_MAX: usize = 4 * MESSAGE_BYTES_MAX;
/// Sessions that are known at a time; past it the one that was quiet the longest is ended.
pub const SESSIONS_MAX: usize = 4_096;
/// How long a session without an exchange is known, in nanoseconds (one hour).
pub const SESSION_IDLE_NS: i64 = 3_600 * taffrail_model::time::NS_PER_S;

/// The first version without sessions, where the end of an exchange is the end of its requests.
const STATELESS_VERSION: &str = "2026-07-28";

/// An exchange; the caller counts.
pub type ExchangeId = u64;

/// The head of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHead {
    /// `POST`, …
    pub method: String,
    /// Path with query.
    pub path: String,
    /// `1.1`, `2`.
    pub http_version: &'static str,
    /// Bytes of the body, if they were said.
    pub content_length: Option<u64>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`, unless it is `identity`.
    pub content_encoding: Option<String>,
    /// `Mcp-Session-Id`.
    pub session_id: Option<String>,
    /// `MCP-Protocol-Version`.
    pub protocol_version: Option<String>,
    /// `Mcp-Method`.
    pub mcp_method: Option<String>,
    /// `Mcp-Name`.
    pub mcp_name: Option<String>,
    /// `traceparent`.
    pub traceparent: Option<String>,
}

/// The head of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerHead {
    /// Status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`, unless it is `identity`.
    pub content_encoding: Option<String>,
    /// `Mcp-Session-Id`.
    pub session_id: Option<String>,
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The answer was whole.
    Complete,
    /// The client went away before that.
    ClientClosed,
    /// The server could not be reached or broke off.
    ServerFailed {
        /// A stable word: `connect`, `timeout`, `broken`.
        kind: &'static str,
        /// What happened.
        detail: String,
    },
}

#[derive(Debug)]
enum Body {
    /// One JSON text; `None` if it is too long or encoded.
    Whole(Option<Vec<u8>>),
    /// Of no interest, or said already.
    Passed,
    Stream(Events),
}

impl Body {
    fn held_bytes(&self) -> usize {
        match self {
            Body::Whole(bytes) => bytes.as_ref().map_or(0, Vec::len),
            Body::Passed => 0,
            Body::Stream(events) => events.held_bytes(),
        }
    }
}

#[derive(Debug)]
enum Scope {
    /// The exchange's own.
    Own(Box<Session>),
    /// One of [`Recorder::sessions`].
    Named(String),
}

#[derive(Debug)]
struct Exchange {
    head: RequestHead,
    began: Timestamp,
    scope: Scope,
    request: Option<Vec<u8>>,
    request_bytes: u64,
    is_request_read: bool,
    /// Requests that it carried.
    calls: Range<Sequence>,
    /// It carried a message of the client.
    has_message: bool,
    answer: Option<(AnswerHead, Body)>,
    answer_bytes: u64,
    events: u64,
    trace: Option<TraceParent>,
}

impl Exchange {
    /// Whether the request has all bytes that it was said to have.
    fn is_as_long_as_said(&self) -> bool {
        self.head.content_length == Some(self.request_bytes)
    }
}

#[derive(Debug)]
struct Named {
    session: Session,
    active: Timestamp,
    /// Exchanges that are under way.
    exchanges: u32,
    /// It lives as long as the exchange that made it.
    is_stream: bool,
}

/// The state of all exchanges of a proxy.
///
/// Times are those of one clock that never goes back, as for [`Session`].
#[derive(Debug)]
pub struct Recorder {
    options: Options,
    exchanges: HashMap<ExchangeId, Exchange>,
    sessions: HashMap<String, Named>,
    held_bytes: usize,
    heard: Vec<Heard>,
}

impl Recorder {
    /// A recorder for a server at an address and port. Of `options` the contents, the time to
    /// wait and the fields count.
    #[must_use]
    pub fn new(options: Options, server_address: &str, server_port: u16) -> Recorder {
        let mut fields = vec![
            (attribute::TRANSPORT.into(), "tcp".into()),
            (attribute::NETWORK_PROTOCOL_NAME.into(), "http".into()),
            (attribute::SERVER_ADDRESS.into(), server_address.into()),
            (attribute::SERVER_PORT.into(), u64::from(server_port).into()),
        ];
        let is_ours = |name: &str| name == attribute::TRANSPORT;
        fields.extend(
            options
                .fields
                .iter()
                .filter(|(name, _)| !is_ours(name))
                .cloned(),
        );
        Recorder {
            options: Options {
                fields,
                origin: Origin::Http,
                is_only_mcp: true,
                // What was said before the proxy began, or is said again to a client that
                // resumes a stream, is no breach.
                is_partial: true,
                ..options
            },
            exchanges: HashMap::new(),
            sessions: HashMap::new(),
            held_bytes: 0,
            heard: Vec::new(),
        }
    }

    /// A request came.
    pub fn begin(&mut self, id: ExchangeId, time: Timestamp, head: RequestHead) {
        let scope = self.scope(&head, time);
        let trace = head.traceparent.as_deref().and_then(TraceParent::parse);
        // A form may be a login.
        let is_json = head.content_type.as_deref().is_some_and(is_json);
        let is_post = head.method == "POST" && is_json;
        let is_readable = is_post && head.content_encoding.is_none();
        let exchange = Exchange {
            began: time,
            scope,
            request: is_readable.then(Vec::new),
            request_bytes: 0,
            is_request_read: !is_post,
            calls: 0..0,
            has_message: false,
            answer: None,
            answer_bytes: 0,
            events: 0,
            trace,
            head,
        };
        self.exchanges.insert(id, exchange);
        if is_post {
            self.with_session(id, time, |session, _| {
                session.open(Direction::ClientToServer)
            });
        }
    }

    /// Bytes of the request's body.
    pub fn request(&mut self, id: ExchangeId, bytes: &[u8]) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        exchange.request_bytes += bytes.len() as u64;
        if let Some(kept) = &mut exchange.request {
            self.held_bytes += bytes.len();
            kept.extend_from_slice(bytes);
            if kept.len() > MESSAGE_BYTES_MAX || self.held_bytes > HELD_BYTES_MAX {
                self.held_bytes -= kept.len();
                exchange.request = None;
            }
        }
    }

    /// Bytes of the request's body that were not recorded.
    pub fn request_gap(
        &mut self,
        id: ExchangeId,
        time: Timestamp,
        bytes_lost: u64,
        out: &mut Vec<Heard>,
    ) {
        let mut was_open = false;
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.request_bytes += bytes_lost;
            self.held_bytes -= exchange.request.take().map_or(0, |kept| kept.len());
            // The gap is what there is to say of it.
            was_open = !std::mem::replace(&mut exchange.is_request_read, true);
            exchange.has_message = true;
        }
        self.with_session(id, time, |session, heard| {
            session.gap(Direction::ClientToServer, time, bytes_lost, heard);
            if was_open {
                session.close_message(Direction::ClientToServer, heard);
            }
        });
        self.give(id, out);
    }

    /// The request's body is whole, or nothing more will come of it.
    pub fn request_end(
        &mut self,
        id: ExchangeId,
        time: Timestamp,
        is_whole: bool,
        out: &mut Vec<Heard>,
    ) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        if std::mem::replace(&mut exchange.is_request_read, true) {
            return;
        }
        let kept = exchange.request.take();
        let bytes = exchange.request_bytes;
        self.held_bytes -= kept.as_ref().map_or(0, Vec::len);
        // JSON that is no message is the business of others: a client that registers itself.
        let is_message = match &kept {
            Some(kept) => is_message(kept),
            None => bytes > 0 && (is_whole || exchange.is_as_long_as_said()),
        };
        exchange.has_message = is_message;
        let head = exchange.head.clone();
        let mut calls = 0..0;
        self.with_session(id, time, |session, heard| {
            let begin = session.next_sequence(Direction::ClientToServer);
            match &kept {
                _ if !is_message => {}
                Some(kept) => {
                    if let Some(what) = contradiction(&head, kept) {
                        session.header_mismatch(time, &what, heard);
                    }
                    session.message(Direction::ClientToServer, time, kept, heard);
                }
                None => session.unread(Direction::ClientToServer, time, bytes, heard),
            }
            session.close_message(Direction::ClientToServer, heard);
            calls = begin..session.next_sequence(Direction::ClientToServer);
        });
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.calls = calls;
        }
        self.give(id, out);
    }

    /// Reads a request whose end was not told, if nothing is missing of it: a server may answer
    /// before it has the end, a client library may not say when it has sent all.
    fn read_whole_request(&mut self, id: ExchangeId, time: Timestamp, out: &mut Vec<Heard>) {
        let is_whole = self.exchanges.get(&id).is_some_and(|exchange| {
            let kept = exchange.request.as_deref();
            exchange.is_as_long_as_said() || kept.is_some_and(is_message)
        });
        if is_whole {
            self.request_end(id, time, true, out);
        }
    }

    /// The head of the answer.
    pub fn answer(
        &mut self,
        id: ExchangeId,
        time: Timestamp,
        head: AnswerHead,
        out: &mut Vec<Heard>,
    ) {
        self.read_whole_request(id, time, out);
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let kind = head
            .content_type
            .as_deref()
            .unwrap_or_default()
            .to_ascii_lowercase();
        // Of a request that has no end yet nobody knows.
        let may_be_message = exchange.has_message || !exchange.is_request_read;
        let is_json = is_json(&kind) && may_be_message;
        let body = match head.content_encoding {
            None if kind.starts_with("text/event-stream") => Body::Stream(Events::default()),
            None if is_json => Body::Whole(Some(Vec::new())),
            Some(_) if is_json => Body::Whole(None),
            _ => Body::Passed,
        };
        let name = head.session_id.as_ref().filter(|name| is_name(name));
        let name = name.filter(|_| head.status < 400).cloned();
        exchange.answer = Some((head, body));
        if let Some(name) = name {
            self.adopt(id, time, name, false);
        }
    }

    /// Bytes of the answer's body.
    pub fn answer_body(
        &mut self,
        id: ExchangeId,
        time: Timestamp,
        bytes: &[u8],
        out: &mut Vec<Heard>,
    ) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        exchange.answer_bytes += bytes.len() as u64;
        let Some((_, body)) = &mut exchange.answer else {
            return;
        };
        self.held_bytes -= body.held_bytes();
        let mut events = Vec::new();
        match body {
            Body::Whole(kept) => {
                let is_kept = kept.as_mut().is_some_and(|kept| {
                    kept.extend_from_slice(bytes);
                    kept.len() <= MESSAGE_BYTES_MAX
                        && self.held_bytes + kept.len() <= HELD_BYTES_MAX
                });
                if !is_kept {
                    *kept = None;
                }
            }
            Body::Passed => {}
            Body::Stream(stream) => {
                stream.push(bytes, |event| {
                    events.push((event.name.to_vec(), event.data.to_vec(), event.data_bytes));
                });
                if self.held_bytes + stream.held_bytes() > HELD_BYTES_MAX {
                    stream.tear();
                }
            }
        }
        self.held_bytes += body.held_bytes();
        exchange.events += events.len() as u64;
        for (name, data, data_bytes) in events {
            self.event(id, time, &name, &data, data_bytes);
        }
        self.give(id, out);
    }

    /// Bytes of the answer's body that were not recorded.
    pub fn answer_gap(
        &mut self,
        id: ExchangeId,
        time: Timestamp,
        bytes_lost: u64,
        out: &mut Vec<Heard>,
    ) {
        if let Some(exchange) = self.exchanges.get_mut(&id)
            && let Some((_, body)) = &mut exchange.answer
        {
            self.held_bytes -= body.held_bytes();
            match body {
                Body::Whole(_) | Body::Passed => *body = Body::Passed,
                Body::Stream(stream) => stream.tear(),
            }
        }
        self.with_session(id, time, |session, heard| {
            session.gap(Direction::ServerToClient, time, bytes_lost, heard);
        });
        self.give(id, out);
    }

    /// The exchange is over.
    pub fn end(&mut self, id: ExchangeId, time: Timestamp, end: &End, out: &mut Vec<Heard>) {
        self.request_end(id, time, false, out);
        self.read_whole_answer(id, time);
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let ending = self.ending(exchange, end);
        let calls = exchange.calls.clone();
        if let Some(ending) = ending {
            self.with_session(id, time, |session, heard| {
                session.end(Direction::ClientToServer, calls, time, ending, heard);
            });
        }
        self.say_exchange(id, time, end);
        self.end_scope(id, time);
        self.give(id, out);
        if let Some(exchange) = self.exchanges.remove(&id) {
            let answer = exchange
                .answer
                .as_ref()
                .map_or(0, |(_, body)| body.held_bytes());
            self.held_bytes -= answer + exchange.request.map_or(0, |kept| kept.len());
        }
    }

    /// Records what has waited too long, and forgets sessions that are quiet.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Heard>) {
        let idle_min = now.0.saturating_sub(SESSION_IDLE_NS);
        let mut idle = Vec::new();
        for (name, named) in &mut self.sessions {
            let from = out.len();
            named.session.tick(now, out);
            name_session(&mut out[from..], name);
            if named.exchanges == 0 && named.active.0 <= idle_min {
                idle.push(name.clone());
            }
        }
        for exchange in self.exchanges.values_mut() {
            if let Scope::Own(session) = &mut exchange.scope {
                session.tick(now, out);
            }
        }
        for name in idle {
            self.end_session(&name, now, out);
        }
    }

    /// Ends everything.
    pub fn finish(&mut self, now: Timestamp, out: &mut Vec<Heard>) {
        let mut ids: Vec<ExchangeId> = self.exchanges.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            self.end(id, now, &End::ClientClosed, out);
        }
        let mut names: Vec<String> = self.sessions.keys().cloned().collect();
        names.sort_unstable();
        for name in names {
            self.end_session(&name, now, out);
        }
    }

    /// What holds a request's messages together with their answers.
    fn scope(&mut self, head: &RequestHead, time: Timestamp) -> Scope {
        let endpoint = endpoint_name(&head.path);
        if let Some(named) = self.sessions.get_mut(&endpoint) {
            named.exchanges += 1;
            return Scope::Named(endpoint);
        }
        let Some(name) = head.session_id.as_ref().filter(|name| is_name(name)) else {
            return Scope::Own(Box::new(Session::new(self.options.clone())));
        };
        if !self.sessions.contains_key(name) {
            self.add_session(name, Session::new(self.options.clone()), time, false);
        }
        if let Some(named) = self.sessions.get_mut(name) {
            named.exchanges += 1;
        }
        Scope::Named(name.clone())
    }

    fn add_session(&mut self, name: &str, session: Session, time: Timestamp, is_stream: bool) {
        if self.sessions.len() >= SESSIONS_MAX
            && let Some((oldest, _)) = self.sessions.iter().min_by_key(|(_, named)| named.active)
        {
            let oldest = oldest.clone();
            let mut heard = std::mem::take(&mut self.heard);
            self.end_session(&oldest, time, &mut heard);
            self.heard = heard;
        }
        let named = Named {
            session,
            active: time,
            exchanges: 0,
            is_stream,
        };
        self.sessions.insert(name.to_string(), named);
    }

    /// The exchange's own session becomes one that others share.
    fn adopt(&mut self, id: ExchangeId, time: Timestamp, name: String, is_stream: bool) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        if matches!(exchange.scope, Scope::Named(_)) {
            return;
        }
        let Scope::Own(session) =
            std::mem::replace(&mut exchange.scope, Scope::Named(name.clone()))
        else {
            return;
        };
        let is_open = !exchange.is_request_read;
        let is_new = !self.sessions.contains_key(&name);
        if is_new {
            self.add_session(&name, *session, time, is_stream);
        }
        if let Some(named) = self.sessions.get_mut(&name) {
            named.exchanges += 1;
            if is_open && !is_new {
                named.session.open(Direction::ClientToServer);
            }
        }
    }

    fn with_session(
        &mut self,
        id: ExchangeId,
        time: Timestamp,
        act: impl FnOnce(&mut Session, &mut Vec<Heard>),
    ) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        match &mut exchange.scope {
            Scope::Own(session) => act(session, &mut self.heard),
            Scope::Named(name) => {
                if let Some(named) = self.sessions.get_mut(name) {
                    named.active = time;
                    act(&mut named.session, &mut self.heard);
                }
            }
        }
    }

    /// One event of an answer's stream.
    fn event(
        &mut self,
        id: ExchangeId,
        time: Timestamp,
        name: &[u8],
        data: &[u8],
        data_bytes: u64,
    ) {
        match name {
            b"" | b"message" if (data.len() as u64) < data_bytes => {
                self.with_session(id, time, |session, heard| {
                    session.unread(Direction::ServerToClient, time, data_bytes, heard);
                });
            }
            b"" | b"message" => self.with_session(id, time, |session, heard| {
                session.message(Direction::ServerToClient, time, data, heard);
            }),
            b"endpoint" => {
                let Some(exchange) = self.exchanges.get(&id) else {
                    return;
                };
                if let Some(path) =
                    endpoint_path(&exchange.head.path, &String::from_utf8_lossy(data))
                {
                    self.adopt(id, time, endpoint_name(&path), true);
                }
            }
            _ => {}
        }
    }

    fn read_whole_answer(&mut self, id: ExchangeId, time: Timestamp) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let bytes = exchange.answer_bytes;
        let (is_awaited, has_message) = (!exchange.calls.is_empty(), exchange.has_message);
        let Some((head, Body::Whole(kept))) = &mut exchange.answer else {
            return;
        };
        let kept = kept.take();
        self.held_bytes -= kept.as_ref().map_or(0, Vec::len);
        if !has_message {
            return;
        }
        let is_error = head.status >= 400;
        self.with_session(id, time, |session, heard| match kept {
            // An error may have any document as its body.
            Some(kept) if !is_error || is_message(&kept) => {
                session.message(Direction::ServerToClient, time, &kept, heard);
            }
            None if is_awaited && bytes > 0 => {
                session.unread(Direction::ServerToClient, time, bytes, heard);
            }
            _ => {}
        });
    }

    /// How the requests of an exchange end that its answer did not answer; `None` if an answer
    /// may yet come another way.
    fn ending(&self, exchange: &Exchange, end: &End) -> Option<impl Fn() -> Ending + use<>> {
        enum Kind {
            Failed(String, String),
            Cancelled,
            Unanswered,
        }
        let version = match &exchange.scope {
            Scope::Own(session) => session.protocol_version(),
            Scope::Named(name) => {
                let named = self.sessions.get(name);
                named.and_then(|named| named.session.protocol_version())
            }
        };
        let version = exchange.head.protocol_version.as_deref().or(version);
        let is_shared = matches!(exchange.scope, Scope::Named(_))
            && version.is_none_or(|version| version < STATELESS_VERSION);
        let status = exchange.answer.as_ref().map(|(head, _)| head.status);
        let is_stream = matches!(&exchange.answer, Some((_, Body::Stream(_))));
        let kind = match (end, status) {
            (End::ServerFailed { kind, detail }, _) => {
                Kind::Failed(kind.to_string(), detail.clone())
            }
            (_, Some(status)) if status >= 400 => {
                Kind::Failed(status.to_string(), format!("HTTP status {status}"))
            }
            (End::ClientClosed, _) if !is_shared => Kind::Cancelled,
            // The stream may be resumed, or the answer comes on the other one.
            (End::ClientClosed, _) | (_, Some(202)) if is_shared => return None,
            _ if is_shared && is_stream => return None,
            _ => Kind::Unanswered,
        };
        Some(move || match &kind {
            Kind::Failed(kind, detail) => Ending::failed(kind, detail),
            Kind::Cancelled => {
                Ending::cancelled(Some("the client closed the connection".to_string()))
            }
            Kind::Unanswered => Ending::unanswered("stream_ended"),
        })
    }

    /// The record of an exchange that carried no request, or whose notification was refused.
    fn say_exchange(&mut self, id: ExchangeId, time: Timestamp, end: &End) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let status = exchange.answer.as_ref().map(|(head, _)| head.status);
        let is_refused = status.is_none_or(|status| status >= 400);
        if !exchange.calls.is_empty() || (exchange.has_message && !is_refused) {
            return;
        }
        let record = exchange_record(exchange, status, time, end);
        let record = self
            .options
            .fields
            .iter()
            .fold(record, |mut record, (name, value)| {
                record.set(name.clone(), value.clone());
                record
            });
        self.heard.push(Heard::Record(record));
    }

    /// Ends the session that was the exchange's own, or that it deleted.
    fn end_scope(&mut self, id: ExchangeId, time: Timestamp) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let status = exchange.answer.as_ref().map_or(0, |(head, _)| head.status);
        let is_deleted = exchange.head.method == "DELETE" && (200..300).contains(&status);
        let is_origin = exchange.head.method == "GET";
        match &mut exchange.scope {
            Scope::Own(session) => session.finish(time, &mut self.heard),
            Scope::Named(name) => {
                let name = name.clone();
                let Some(named) = self.sessions.get_mut(&name) else {
                    return;
                };
                named.exchanges = named.exchanges.saturating_sub(1);
                named.active = time;
                if is_deleted || (named.is_stream && is_origin) {
                    let mut heard = std::mem::take(&mut self.heard);
                    self.end_session(&name, time, &mut heard);
                    self.heard = heard;
                }
            }
        }
    }

    fn end_session(&mut self, name: &str, time: Timestamp, out: &mut Vec<Heard>) {
        let Some(mut named) = self.sessions.remove(name) else {
            return;
        };
        let from = out.len();
        named.session.finish(time, out);
        if named.session.counts() != Counts::default() {
            named.session.summarise(time, out);
        }
        name_session(&mut out[from..], name);
    }

    /// Hands over what was heard, with what the exchange adds to it.
    fn give(&mut self, id: ExchangeId, out: &mut Vec<Heard>) {
        if let Some(exchange) = self.exchanges.get(&id) {
            for heard in &mut self.heard {
                if let Heard::Record(record) = heard {
                    decorate(record, exchange);
                }
            }
        }
        out.append(&mut self.heard);
    }
}

/// Adds what the exchange knows and the messages do not say.
fn decorate(record: &mut Record, exchange: &Exchange) {
    let mut add = |name: &'static str, value: Option<Scalar>| {
        if let Some(value) = value
            && record.get(name).is_none()
        {
            record.set(name, value);
        }
    };
    let head = &exchange.head;
    let text = |text: &str| Some(Scalar::from(clipped(text, TEXT_BYTES_MAX)));
    add(attribute::NETWORK_PROTOCOL_VERSION, text(head.http_version));
    let path = head.path.split('?').next().unwrap_or_default();
    add(attribute::URL_PATH, text(path));
    if let Some((answer, _)) = &exchange.answer {
        add(
            attribute::HTTP_STATUS,
            Some(u64::from(answer.status).into()),
        );
    }
    if let Scope::Named(name) = &exchange.scope
        && !name.starts_with(ENDPOINT)
    {
        add(attribute::SESSION_ID, text(name));
    }
    add(
        attribute::PROTOCOL_VERSION,
        head.protocol_version.as_deref().and_then(text),
    );
    if let Some(trace) = &exchange.trace {
        add(field::TRACE_ID, text(&trace.trace_id));
        add(field::SPAN_ID, text(&trace.span_id));
    }
}

fn name_session(heard: &mut [Heard], name: &str) {
    for heard in heard {
        if let Heard::Record(record) = heard
            && !name.starts_with(ENDPOINT)
        {
            record.set(attribute::SESSION_ID, name.into());
        }
    }
}

/// `GET /mcp → 405 in 1.20 ms`
fn exchange_record(exchange: &Exchange, status: Option<u16>, time: Timestamp, end: &End) -> Record {
    let duration_ns = time.0.saturating_sub(exchange.began.0).max(0);
    let head = &exchange.head;
    let path = head.path.split('?').next().unwrap_or_default();
    let path = clipped(path, TEXT_BYTES_MAX);
    let (level, what) = match (end, status) {
        (End::ServerFailed { detail, .. }, _) => (Level::Error, detail.clone()),
        // Servers without a stream of their own answer so to clients that ask for one.
        (_, Some(status @ 405)) if head.method == "GET" => (Level::Info, status.to_string()),
        (_, Some(status @ 500..)) => (Level::Error, status.to_string()),
        (_, Some(status @ 400..)) => (Level::Warn, status.to_string()),
        (_, Some(status)) => (Level::Info, status.to_string()),
        (_, None) => (Level::Warn, "the client closed the connection".to_string()),
    };
    let duration = told::duration_text(duration_ns);
    let route = if level == Level::Error {
        Route::Error
    } else {
        Route::Access
    };
    let message = format!("{} {path} → {what} in {duration}", head.method);
    let mut record = Record::new(time, level, route, message)
        .add(
            attribute::HTTP_METHOD,
            clipped(&head.method, TEXT_BYTES_MAX),
        )
        .add(field::DURATION_MS, told::milliseconds(duration_ns))
        .add(attribute::RESPONSE_BYTES, exchange.answer_bytes);
    record.origin = Origin::Http;
    if matches!(exchange.answer, Some((_, Body::Stream(_)))) {
        record = record.add(attribute::STREAM_EVENTS, exchange.events);
    }
    if let End::ServerFailed { kind, detail } = end {
        record = record
            .add(attribute::ERROR_TYPE, *kind)
            .add(attribute::ERROR_MESSAGE, detail.as_str());
    }
    record
}

/// Begins the names of sessions that are known by where to post; no header can hold it.
const ENDPOINT: &str = "endpoint\n";

fn endpoint_name(path: &str) -> String {
    format!("{ENDPOINT}{path}")
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= TEXT_BYTES_MAX && !name.contains('\n')
}

/// Path and query of an `endpoint` event, relative to the path of its stream.
fn endpoint_path(stream: &str, endpoint: &str) -> Option<String> {
    let endpoint = endpoint.trim();
    if endpoint.is_empty() || endpoint.len() > TEXT_BYTES_MAX {
        return None;
    }
    if let Some((_, rest)) = endpoint.split_once("://") {
        return rest.find('/').map(|at| rest[at..].to_string());
    }
    if endpoint.starts_with('/') {
        return Some(endpoint.to_string());
    }
    let path = stream.split('?').next().unwrap_or_default();
    if endpoint.starts_with('?') {
        return Some(format!("{path}{endpoint}"));
    }
    let folder = &path[..path.rfind('/').map_or(0, |at| at + 1)];
    Some(format!("{folder}{endpoint}"))
}

/// Whether a body is a JSON-RPC message, or a batch of which the first is.
fn is_message(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body.trim_ascii());
    let batch = elements(&text).unwrap_or_default();
    let first = batch.first().copied().unwrap_or(&text);
    members(first, &["jsonrpc"]).is_some_and(|found| found.values[0].is_some())
}

fn is_json(content_type: &str) -> bool {
    content_type.to_ascii_lowercase().contains("json")
}

/// Where headers of 2026-07-28 say something else than the message.
fn contradiction(head: &RequestHead, body: &[u8]) -> Option<String> {
    if head.mcp_method.is_none() && head.mcp_name.is_none() {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?;
    let [method, params] = members(text, &["method", "params"])?.values;
    let inside = params.and_then(|params| members(params, &["name", "uri", "_meta"]));
    let [name, uri, meta] = inside.map_or([None; 3], |inside| inside.values);
    let version = meta.and_then(|meta| members(meta, &[META_PROTOCOL_VERSION])?.values[0]);
    let differs = |header: &Option<String>, json: Option<&str>| {
        let (header, said) = (header.as_deref()?, json.and_then(string)?);
        // `=?base64?…?=` stands for what a header cannot hold.
        (header != said && !header.starts_with("=?")).then_some((header.to_string(), said))
    };
    let pairs = [
        ("Mcp-Method", differs(&head.mcp_method, method)),
        ("Mcp-Name", differs(&head.mcp_name, name.or(uri))),
        (
            "MCP-Protocol-Version",
            differs(&head.protocol_version, version),
        ),
    ];
    let found = pairs
        .into_iter()
        .find_map(|(name, pair)| Some((name, pair?)));
    found.map(|(name, (header, said))| format!("{name}: {header}, but the message says {said}"))
}
