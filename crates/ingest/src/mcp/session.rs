//! One connection between a client and a server: pairs requests with their answers.
//!
//! Any program may be behind the pipes, so nothing is a breach of the protocol until the first
//! JSON-RPC message has passed; what came before it is then reported in one go.
mod succession;

use super::{
    Direction, EARLY_AFTER_NS, Heard, Line, TEXT_BYTES_MAX, UNANSWERED_AFTER_NS, attribute,
    calls::{Call, Calls, Closed, Sequence},
    clipped,
    early::{EarlyAnswer, EarlyAnswers},
    id::{Id, IdFault},
    line::{Lines, RawLine, looks_like_message},
    log_message,
    members::{elements, is_json, members, string},
    message::{self, Answer, Body, Fault, Message},
    params::{read_params, read_software},
    record::{FieldName, Origin, Record, Route, Scalar},
    told::{self, Ending, Outcome, Sides},
    violation::{Violation, Violations, excerpt_of},
};
use std::borrow::Cow;
use taffrail_model::{level::Level, limits::RECORD_BYTES_MAX, time::Timestamp};

const META_SERVER: &str = "io.modelcontextprotocol/serverInfo";
const META_SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// Lines of output before the first message that are kept to be reported after it.
const EARLY_LINES_MAX: usize = 8;

/// What a session records and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of arguments and of results that records keep; 0 keeps none.
    pub contents_bytes_max: usize,
    /// How long a request waits before it is recorded as unanswered, in nanoseconds.
    pub unanswered_after_ns: i64,
    /// Fields of every record, such as `network.transport`.
    pub fields: Vec<(FieldName, Scalar)>,
    /// What records of messages have as `metadata.type`.
    pub origin: Origin,
    /// Only MCP can pass here: nothing has to be seen before a breach is one.
    pub is_only_mcp: bool,
    /// An answer without a request is no breach: the request may have passed elsewhere.
    pub is_partial: bool,
}

impl Default for Options {
    /// The pipes of a process, without contents.
    fn default() -> Options {
        Options {
            contents_bytes_max: 0,
            unanswered_after_ns: UNANSWERED_AFTER_NS,
            fields: vec![(attribute::TRANSPORT.into(), "pipe".into())],
            origin: Origin::Stdout,
            is_only_mcp: false,
            is_partial: false,
        }
    }
}

/// How much passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests, both directions.
    pub requests: u64,
    /// Answers that found their request.
    pub answered: u64,
    /// Requests recorded as cancelled.
    pub cancelled: u64,
    /// Requests recorded as unanswered.
    pub unanswered: u64,
    /// Notifications, progress included.
    pub notifications: u64,
    /// Messages past [`super::MESSAGE_BYTES_MAX`], which were not parsed.
    pub too_long: u64,
    /// Breaches of the protocol.
    pub violations: u64,
    /// Bytes that the recorder did not get.
    pub lost_bytes: u64,
}

/// The state of one connection.
///
/// Times are the caller's and must not go backwards within a session: take them from a monotonic
/// clock that is anchored at the wall clock once.
#[derive(Debug)]
pub struct Session {
    options: Options,
    lines: [Lines; 2],
    /// Messages that another framing delimits and that have begun and not ended.
    open_messages: [u32; 2],
    /// Requests by who sent them.
    calls: [Calls; 2],
    /// Answers by who sent them.
    early_answers: [EarlyAnswers; 2],
    sides: Sides,
    violations: Violations,
    counts: Counts,
    is_mcp: bool,
    /// Whether there was another server before, which the client goes on from.
    is_successor: bool,
    /// Lines of output before the first message: how many, and the first of them.
    early_count: u64,
    early: Vec<(Timestamp, Violation, String)>,
    /// Something was not recorded, so answers may have passed unseen.
    is_incomplete: bool,
    out: Vec<Heard>,
}

impl Session {
    /// A session of which nothing has been heard.
    #[must_use]
    pub fn new(options: Options) -> Session {
        Session {
            is_mcp: options.is_only_mcp,
            options,
            lines: Default::default(),
            open_messages: [0; 2],
            calls: Default::default(),
            early_answers: Default::default(),
            sides: Sides::default(),
            violations: Violations::default(),
            counts: Counts::default(),
            is_successor: false,
            early_count: 0,
            early: Vec::new(),
            is_incomplete: false,
            out: Vec::new(),
        }
    }

    /// Whether a JSON-RPC message has passed, here or to a server before.
    #[must_use]
    pub fn is_mcp(&self) -> bool {
        self.is_mcp
    }

    /// How much has passed.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            violations: self.violations.total(),
            ..self.counts
        }
    }

    /// Takes bytes of a newline-delimited stream; what they turn out to be is appended to `out`.
    pub fn push(
        &mut self,
        direction: Direction,
        time: Timestamp,
        bytes: &[u8],
        out: &mut Vec<Heard>,
    ) {
        let mut lines = std::mem::take(&mut self.lines[direction as usize]);
        lines.push(bytes, |line| {
            self.line(direction, time, line);
            self.settle(direction);
        });
        self.lines[direction as usize] = lines;
        self.give(out);
    }

    /// A message that another framing delimits has begun: it may be answered before its end.
    pub(super) fn open(&mut self, direction: Direction) {
        self.open_messages[direction as usize] += 1;
    }

    /// A message that was [opened](Session::open) has ended: it was heard, or will never be.
    pub(super) fn close_message(&mut self, direction: Direction, out: &mut Vec<Heard>) {
        let open = &mut self.open_messages[direction as usize];
        *open = open.saturating_sub(1);
        self.settle(direction);
        self.give(out);
    }

    /// Takes note that something was not recorded, and that where is said later
    /// ([`Session::gap`]).
    pub fn doubt(&mut self) {
        self.is_incomplete = true;
    }

    /// Takes one message that another framing delimits (a body, an event).
    pub fn message(
        &mut self,
        direction: Direction,
        time: Timestamp,
        message: &[u8],
        out: &mut Vec<Heard>,
    ) {
        let line = RawLine {
            bytes: message,
            bytes_total: message.len() as u64,
        };
        self.line(direction, time, line);
        self.give(out);
    }

    /// Takes note that `bytes_lost` bytes of a direction could not be recorded here.
    pub fn gap(
        &mut self,
        direction: Direction,
        time: Timestamp,
        bytes_lost: u64,
        out: &mut Vec<Heard>,
    ) {
        let lost = bytes_lost + self.lines[direction as usize].tear();
        self.counts.lost_bytes += lost;
        self.is_incomplete = true;
        self.settle(direction);
        let message = format!(
            "recording gap: {} from the {} were not recorded",
            told::bytes_text(i64::try_from(lost).unwrap_or(i64::MAX)),
            direction.sender()
        );
        let record = Record::new(time, Level::Warn, Route::App, message)
            .add(attribute::LOST_BYTES, lost)
            .add(attribute::SENDER, direction.sender());
        self.note(record);
        self.give(out);
    }

    /// Records what has waited too long at `now`.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Heard>) {
        let early_max = Timestamp(now.0.saturating_sub(EARLY_AFTER_NS));
        for direction in [Direction::ClientToServer, Direction::ServerToClient] {
            for early in self.early_answers[direction as usize].take_until(early_max) {
                with_id(&early, |id, _| {
                    self.unknown_response(direction, early.time, id);
                });
            }
        }
        let active_max = Timestamp(now.0.saturating_sub(self.options.unanswered_after_ns));
        for direction in [Direction::ClientToServer, Direction::ServerToClient] {
            for sequence in self.calls[direction as usize].overdue(active_max) {
                self.close(
                    direction,
                    sequence,
                    Closed::Overdue,
                    Ending::unanswered("timeout"),
                    now,
                );
            }
        }
        self.give(out);
    }

    /// Takes the line that a direction has begun for a whole one: who has begun it does not go on.
    pub fn end_line(&mut self, direction: Direction, now: Timestamp, out: &mut Vec<Heard>) {
        self.finish_line(direction, now);
        self.settle(direction);
        self.give(out);
    }

    fn finish_line(&mut self, direction: Direction, now: Timestamp) {
        let mut lines = std::mem::take(&mut self.lines[direction as usize]);
        lines.finish(|line| self.line(direction, now, line));
    }

    /// Ends the session: last lines without an end, requests that nothing answered, a summary.
    pub fn finish(&mut self, now: Timestamp, out: &mut Vec<Heard>) {
        for direction in [Direction::ClientToServer, Direction::ServerToClient] {
            self.finish_line(direction, now);
        }
        self.open_messages = [0; 2];
        for direction in [Direction::ClientToServer, Direction::ServerToClient] {
            self.settle(direction);
        }
        for direction in [Direction::ClientToServer, Direction::ServerToClient] {
            for call in self.calls[direction as usize].drain() {
                let ending = if call.is_subscription() {
                    Ending::closed()
                } else {
                    Ending::unanswered("session_ended")
                };
                self.tell(call, ending, direction, now);
            }
        }
        // One that was to follow may never have been started.
        let is_begun = !self.is_successor || self.counts() != Counts::default();
        if self.is_mcp && !self.options.is_only_mcp && is_begun {
            self.add_summary(now);
        }
        self.give(out);
    }

    /// Sequence that the next request of a direction will have.
    pub(super) fn next_sequence(&self, direction: Direction) -> Sequence {
        self.calls[direction as usize].next_sequence()
    }

    /// Ends those requests of a range that wait for their answer.
    pub(super) fn end(
        &mut self,
        direction: Direction,
        range: std::ops::Range<Sequence>,
        time: Timestamp,
        ending: impl Fn() -> Ending,
        out: &mut Vec<Heard>,
    ) {
        for sequence in range {
            let calls = &mut self.calls[direction as usize];
            if calls
                .get(sequence)
                .is_some_and(|call| call.closed.is_none())
                && let Some(call) = calls.remove(sequence)
            {
                let is_over = call.is_subscription() && self.options.is_only_mcp;
                let ending = ending();
                let is_broken = ending.outcome == Outcome::Error;
                let ending = if is_over && !is_broken {
                    Ending::closed()
                } else {
                    ending
                };
                self.tell(call, ending, direction, time);
            }
        }
        self.give(out);
    }

    /// Records how much passed.
    pub(super) fn summarise(&mut self, now: Timestamp, out: &mut Vec<Heard>) {
        self.add_summary(now);
        self.give(out);
    }

    /// The version that was agreed on, if any.
    pub(super) fn protocol_version(&self) -> Option<&str> {
        self.sides.protocol_version.as_deref()
    }

    /// Records that HTTP headers say something else than the message.
    pub(super) fn header_mismatch(&mut self, time: Timestamp, what: &str, out: &mut Vec<Heard>) {
        self.violation(
            Violation::HeaderMismatch,
            Direction::ClientToServer,
            time,
            what.as_bytes(),
        );
        self.give(out);
    }

    /// Takes note that a message was not parsed, since it is too long or encoded.
    pub(super) fn unread(
        &mut self,
        direction: Direction,
        time: Timestamp,
        bytes: u64,
        out: &mut Vec<Heard>,
    ) {
        self.too_long(direction, time, bytes);
        self.give(out);
    }

    fn line(&mut self, direction: Direction, time: Timestamp, line: RawLine<'_>) {
        let bytes = line.bytes.trim_ascii();
        if bytes.is_empty() {
            // Blank lines keep a connection alive, or are part of what a program prints.
            return self.hand_over(direction, time, line);
        }
        if !looks_like_message(bytes) {
            return self.no_message(direction, time, line, bytes);
        }
        if line.is_cut() || bytes.len() > super::MESSAGE_BYTES_MAX {
            return match self.is_mcp {
                true => self.too_long(direction, time, line.bytes_total),
                false => self.hand_over(direction, time, line),
            };
        }
        let text = String::from_utf8_lossy(bytes);
        let is_replaced = matches!(text, Cow::Owned(_));
        if text.starts_with('[') {
            self.batch(direction, time, &text, line);
        } else {
            match message::read(&text) {
                Ok(message) => self.heard(direction, time, message, &text),
                Err(fault) => self.fault(fault, direction, time, line),
            }
        }
        if is_replaced && self.is_mcp {
            self.violation(Violation::InvalidUtf8, direction, time, b"");
        }
    }

    /// A line that begins as no message does.
    fn no_message(
        &mut self,
        direction: Direction,
        time: Timestamp,
        line: RawLine<'_>,
        bytes: &[u8],
    ) {
        // Only a short scalar is worth looking at: everything else is text.
        let is_scalar =
            std::str::from_utf8(bytes).is_ok_and(|text| text.len() <= 64 && is_json(text));
        let fault = if is_scalar {
            Fault::NotJsonRpc
        } else {
            Fault::NotJson
        };
        self.fault(fault, direction, time, line);
    }

    fn fault(&mut self, fault: Fault, direction: Direction, time: Timestamp, line: RawLine<'_>) {
        let violation = match fault {
            Fault::NotJson => Violation::NotJson,
            Fault::NotJsonRpc => Violation::NotJsonRpc,
        };
        if self.is_mcp {
            // What a client sends may be a secret; what a server prints is output.
            let is_output = direction == Direction::ServerToClient;
            let shown = if is_output { line.bytes } else { b"" };
            self.violation(violation, direction, time, shown);
        } else if direction == Direction::ServerToClient {
            self.early_count += 1;
            if self.early.len() < EARLY_LINES_MAX {
                self.early.push((time, violation, excerpt_of(line.bytes)));
            }
        }
        self.hand_over(direction, time, line);
    }

    /// Output that is no message is output. What a client sends is not: it may be a password.
    fn hand_over(&mut self, direction: Direction, time: Timestamp, line: RawLine<'_>) {
        if direction == Direction::ClientToServer || self.options.is_only_mcp {
            return;
        }
        let kept = line.bytes.len().min(RECORD_BYTES_MAX);
        self.out.push(Heard::Line(Line {
            time,
            bytes: line.bytes[..kept].to_vec(),
            bytes_total: line.bytes_total,
        }));
    }

    fn too_long(&mut self, direction: Direction, time: Timestamp, bytes: u64) {
        self.counts.too_long += 1;
        self.is_incomplete = true;
        let message = format!(
            "a message of {} from the {} was measured but not read",
            told::bytes_text(i64::try_from(bytes).unwrap_or(i64::MAX)),
            direction.sender()
        );
        let size = match direction {
            Direction::ClientToServer => attribute::REQUEST_BYTES,
            Direction::ServerToClient => attribute::RESPONSE_BYTES,
        };
        let record = Record::new(time, Level::Warn, Route::App, message)
            .add(size, bytes)
            .add(attribute::SENDER, direction.sender());
        self.note(record);
    }

    /// A batch, as of 2025-03-26.
    fn batch(&mut self, direction: Direction, time: Timestamp, text: &str, line: RawLine<'_>) {
        let Some(elements) = elements(text) else {
            return self.fault(Fault::NotJson, direction, time, line);
        };
        let is_said = self.is_mcp && !elements.is_empty();
        let mut has_message = false;
        for element in elements {
            match message::read(element) {
                Ok(message) => {
                    has_message = true;
                    self.heard(direction, time, message, element);
                }
                Err(_) if self.is_mcp => {
                    self.violation(Violation::NotJsonRpc, direction, time, b"");
                }
                Err(_) => {}
            }
        }
        if !has_message && is_said {
            self.hand_over(direction, time, line);
        } else if !has_message {
            self.fault(Fault::NotJsonRpc, direction, time, line);
        }
    }

    fn heard(&mut self, direction: Direction, time: Timestamp, message: Message<'_>, text: &str) {
        self.begin_mcp();
        if let Some(version) = &message.version {
            self.violation(
                Violation::JsonRpcVersion,
                direction,
                time,
                version.as_bytes(),
            );
        }
        let version = message.version;
        match message.body {
            Body::Request {
                id: Ok(id),
                method,
                params,
            } => {
                let mut call = Call::new(id, method, time);
                call.request_bytes = text.len() as u64;
                call.jsonrpc_version = version;
                self.request(direction, time, call, params);
            }
            Body::Response {
                id: Some(Ok(id)),
                answer,
            } => {
                self.response(direction, time, &id, answer, text);
            }
            Body::Response { id: None, answer } => self.orphan_error(direction, time, answer),
            Body::Notification { method, params } => {
                self.notification(direction, time, &method, params);
            }
            Body::Request { id: Err(fault), .. }
            | Body::Response {
                id: Some(Err(fault)),
                ..
            } => {
                let violation = match fault {
                    IdFault::TooLong => Violation::IdTooLong,
                    IdFault::WrongKind => Violation::NotJsonRpc,
                };
                self.violation(violation, direction, time, b"");
            }
        }
    }

    fn request(
        &mut self,
        direction: Direction,
        time: Timestamp,
        mut call: Call,
        params: Option<&str>,
    ) {
        self.counts.requests += 1;
        read_params(
            &mut call,
            params.unwrap_or_default(),
            self.options.contents_bytes_max,
        );
        if call.method == "initialize"
            && let Some(client) = &call.client
        {
            self.sides.client = client.clone();
        }
        let id = call.id.text().to_string();
        self.end_handed_on(direction, &call.id, time);
        let (is_taken, gone) = self.calls[direction as usize].add(call);
        if is_taken {
            let excerpt = format!("id {id}");
            self.violation(
                Violation::DuplicateRequestId,
                direction,
                time,
                excerpt.as_bytes(),
            );
        }
        for call in gone.into_iter().filter(|call| call.closed.is_none()) {
            self.tell(
                call,
                Ending::unanswered("too_many_pending"),
                direction,
                time,
            );
        }
    }

    fn response(
        &mut self,
        direction: Direction,
        time: Timestamp,
        id: &Id,
        answer: Answer<'_>,
        text: &str,
    ) {
        let asker = direction.opposite();
        let calls = &mut self.calls[asker as usize];
        let Some(sequence) = calls.first(id).map(|(sequence, _)| sequence) else {
            let may_be_early = self.is_open(asker);
            let early = &mut self.early_answers[direction as usize];
            if !(may_be_early && early.hold(time, text)) {
                self.unknown_response(direction, time, id);
            }
            return;
        };
        let Some(call) = calls.remove(sequence) else {
            return;
        };
        self.counts.answered += 1;
        if let Answer::Result(result) = answer {
            self.learn(&call, result);
        }
        let ending = Ending::answered(&call, answer, self.options.contents_bytes_max);
        match call.closed {
            None => {
                let mut record = told::tell(call, ending, asker, time, &self.sides);
                record.set(attribute::RESPONSE_BYTES, (text.len() as u64).into());
                self.say(record);
            }
            Some(closed) => self.late(call, closed, ending, asker, time),
        }
    }

    /// Whether a side has begun something that may be a request.
    fn is_open(&self, direction: Direction) -> bool {
        self.lines[direction as usize].is_open() || self.open_messages[direction as usize] > 0
    }

    /// Hears the early answers again to what a side has said: it has just ended something.
    fn settle(&mut self, asker: Direction) {
        let direction = asker.opposite();
        for early in self.early_answers[direction as usize].take() {
            with_id(&early, |id, answer| {
                self.response(direction, early.time, id, answer, &early.text);
            });
        }
    }

    /// The answer to a request that is recorded already.
    fn late(
        &mut self,
        call: Call,
        closed: Closed,
        ending: Ending,
        asker: Direction,
        time: Timestamp,
    ) {
        let after = match closed {
            Closed::Cancelled => "it was cancelled",
            Closed::Overdue => "it was recorded as unanswered",
        };
        let what = told::title(&call, asker);
        let mut record = told::tell(call, ending, asker, time, &self.sides);
        record.message = format!("late answer to {what}, after {after}: {}", record.message);
        record.route = Route::App;
        self.say(record);
    }

    fn unknown_response(&mut self, direction: Direction, time: Timestamp, id: &Id) {
        if self.is_incomplete || self.options.is_partial {
            let message = format!(
                "the {} answered request {}, which was not recorded",
                direction.sender(),
                id.text()
            );
            let record = Record::new(time, Level::Debug, Route::App, message)
                .add(attribute::REQUEST_ID, id.text())
                .add(attribute::INCOMPLETE, true);
            return self.say(record);
        }
        let excerpt = format!("id {}", id.text());
        self.violation(
            Violation::UnknownResponseId,
            direction,
            time,
            excerpt.as_bytes(),
        );
    }

    /// An error without an id: the other side could not read a request.
    fn orphan_error(&mut self, direction: Direction, time: Timestamp, answer: Answer<'_>) {
        let Answer::Error(json) = answer else {
            return;
        };
        let error = message::read_error(json);
        let code = error.code.unwrap_or_else(|| "unknown".to_string());
        let text = error.message.unwrap_or_default();
        let message = format!(
            "the {} refused a message: {code} {text}",
            direction.sender()
        );
        let record = Record::new(time, Level::Error, Route::Error, message)
            .add(attribute::STATUS_CODE, code.as_str())
            .add(attribute::ERROR_TYPE, code.as_str())
            .add(attribute::ERROR_MESSAGE, text)
            .add(attribute::SENDER, direction.sender());
        self.say(record);
    }

    fn notification(
        &mut self,
        direction: Direction,
        time: Timestamp,
        method: &str,
        params: Option<&str>,
    ) {
        self.counts.notifications += 1;
        match method {
            "notifications/progress" => self.progress(direction, time, params),
            "notifications/cancelled" => self.cancelled(direction, time, params),
            log_message::METHOD => self.say(log_message::tell(params, time)),
            _ => self.other_notification(direction, time, method, params),
        }
    }

    fn progress(&mut self, direction: Direction, time: Timestamp, params: Option<&str>) {
        let parts = params.and_then(|json| members(json, &["progressToken", "progress", "total"]));
        let Some([Some(token), last, total]) = parts.map(|parts| parts.values) else {
            return;
        };
        let Ok(token) = Id::of(token) else {
            return;
        };
        let Some(call) = self.calls[direction.opposite() as usize].with_token(&token) else {
            return;
        };
        call.active = time;
        let progress = &mut call.progress;
        progress.count += 1;
        // Shorter than any number that means something; bounds what is kept.
        let number =
            |json: &str| Id::of(json).is_ok() && !json.starts_with('"') && json.len() <= 32;
        progress.last = last.filter(|json| number(json)).map(str::to_string);
        progress.total = total.filter(|json| number(json)).map(str::to_string);
    }

    fn cancelled(&mut self, direction: Direction, time: Timestamp, params: Option<&str>) {
        let parts = params.and_then(|params| members(params, &["requestId", "reason"]));
        let [id, reason] = parts.map_or([None; 2], |parts| parts.values);
        let reason = reason.and_then(string).filter(|reason| !reason.is_empty());
        let reason = reason.map(|reason| clipped(&reason, TEXT_BYTES_MAX).to_string());
        let id = id.and_then(|id| Id::of(id).ok());
        let found = id.as_ref().and_then(|id| self.cancellable(direction, id));
        let Some((asker, sequence, is_subscription)) = found else {
            let id = id.as_ref().map_or("without an id", Id::text);
            let sender = direction.sender();
            let message = format!("the {sender} cancelled request {id}, which is not waiting");
            let record = Record::new(time, Level::Debug, Route::App, message)
                .add(attribute::METHOD_NAME, "notifications/cancelled")
                .add(attribute::SENDER, sender)
                .add_some(attribute::CANCEL_REASON, reason);
            return self.say(record);
        };
        // A subscription ends no other way.
        let ending = if is_subscription {
            Ending::closed()
        } else {
            Ending::cancelled(reason)
        };
        self.close(asker, sequence, Closed::Cancelled, ending, time);
    }

    /// The request that a side may cancel: its own, or for a server a subscription that it ends;
    /// with whether it is a subscription.
    fn cancellable(
        &mut self,
        direction: Direction,
        id: &Id,
    ) -> Option<(Direction, Sequence, bool)> {
        let mut waiting = |asker: Direction| {
            let (sequence, call) = self.calls[asker as usize].first(id)?;
            let found = (asker, sequence, call.is_subscription());
            call.closed.is_none().then_some(found)
        };
        let own = waiting(direction);
        own.or_else(|| waiting(direction.opposite()).filter(|found| found.2))
    }

    fn other_notification(
        &mut self,
        direction: Direction,
        time: Timestamp,
        method: &str,
        params: Option<&str>,
    ) {
        let parts = params.and_then(|params| members(params, &["uri", "_meta"]));
        let [uri, meta] = parts.map_or([None; 2], |parts| parts.values);
        let uri = uri.and_then(string);
        let uri = uri.as_ref().map(|uri| clipped(uri, TEXT_BYTES_MAX));
        let subscription = meta
            .and_then(|meta| members(meta, &[META_SUBSCRIPTION])?.values[0])
            .and_then(|id| Id::of(id).ok());
        if let Some(id) = &subscription
            && let Some((_, call)) = self.calls[direction.opposite() as usize].first(id)
        {
            call.notifications += 1;
            call.active = time;
        }
        let message = match uri {
            Some(uri) => format!("{method} {uri}"),
            None => method.to_string(),
        };
        let level = if direction == Direction::ServerToClient {
            Level::Info
        } else {
            Level::Debug
        };
        let record = Record::new(time, level, Route::App, message)
            .add(attribute::METHOD_NAME, method)
            .add(attribute::SENDER, direction.sender())
            .add_some(attribute::RESOURCE_URI, uri)
            .add_some(
                attribute::SUBSCRIPTION_ID,
                subscription.as_ref().map(Id::text),
            );
        self.say(record);
    }

    /// What a result says of the server and of the protocol.
    fn learn(&mut self, call: &Call, result: &str) {
        let is_handshake = call.method == "initialize";
        let parts = members(result, &["_meta", "serverInfo", "protocolVersion"]);
        let [meta, server, version] = parts.map_or([None; 3], |parts| parts.values);
        let in_meta = meta.and_then(|meta| members(meta, &[META_SERVER])?.values[0]);
        let is_asked = is_handshake || call.method == "server/discover";
        if let Some(software) = in_meta.or(server.filter(|_| is_asked)) {
            self.sides.server = read_software(software);
        }
        if is_handshake && let Some(version) = version.and_then(string) {
            self.sides.protocol_version = Some(clipped(&version, TEXT_BYTES_MAX).to_string());
        }
    }

    /// Records a request that stays known, so that a late answer is.
    fn close(
        &mut self,
        direction: Direction,
        sequence: Sequence,
        closed: Closed,
        ending: Ending,
        time: Timestamp,
    ) {
        let calls = &mut self.calls[direction as usize];
        let Some(call) = calls.get(sequence) else {
            return;
        };
        let call = call.clone();
        calls.close(sequence, closed);
        self.tell(call, ending, direction, time);
    }

    fn tell(&mut self, call: Call, ending: Ending, direction: Direction, time: Timestamp) {
        match ending.outcome {
            Outcome::Cancelled => self.counts.cancelled += 1,
            Outcome::Unanswered => self.counts.unanswered += 1,
            _ => {}
        }
        let is_doubtful = self.is_incomplete && ending.outcome == Outcome::Unanswered;
        let mut record = told::tell(call, ending, direction, time, &self.sides);
        if is_doubtful {
            record.set(attribute::INCOMPLETE, true.into());
        }
        self.say(record);
    }

    fn violation(
        &mut self,
        violation: Violation,
        direction: Direction,
        time: Timestamp,
        excerpt: &[u8],
    ) {
        if let Some(record) = self.violations.note(violation, direction, time, excerpt) {
            self.say(record);
        }
    }

    /// The first message: what came before it should not have.
    fn begin_mcp(&mut self) {
        if std::mem::replace(&mut self.is_mcp, true) {
            return;
        }
        let unseen = self.early_count - self.early.len() as u64;
        for (time, violation, excerpt) in std::mem::take(&mut self.early) {
            self.violation(
                violation,
                Direction::ServerToClient,
                time,
                excerpt.as_bytes(),
            );
        }
        self.violations
            .add(Violation::NotJson, Direction::ServerToClient, unseen);
    }

    fn add_summary(&mut self, now: Timestamp) {
        let counts = self.counts();
        let message = format!(
            "MCP session ended: {} requests, {} answered, {} cancelled, {} unanswered, {} \
             notifications, {} violations",
            counts.requests,
            counts.answered,
            counts.cancelled,
            counts.unanswered,
            counts.notifications,
            counts.violations
        );
        let record = Record::new(now, Level::Info, Route::App, message)
            .add("mcp.session.requests", counts.requests)
            .add("mcp.session.answered", counts.answered)
            .add("mcp.session.cancelled", counts.cancelled)
            .add("mcp.session.unanswered", counts.unanswered)
            .add("mcp.session.notifications", counts.notifications)
            .add("mcp.session.violations", counts.violations)
            .add("mcp.session.too_long", counts.too_long)
            .add(attribute::LOST_BYTES, counts.lost_bytes);
        self.note(record);
    }

    /// A record of the recorder itself.
    fn note(&mut self, mut record: Record) {
        record.origin = Origin::System;
        self.emit(record);
    }

    /// A record of what was said.
    fn say(&mut self, mut record: Record) {
        record.origin = self.options.origin;
        self.emit(record);
    }

    fn emit(&mut self, mut record: Record) {
        for (name, value) in &self.options.fields {
            record.set(name.clone(), value.clone());
        }
        if record.get(attribute::PROTOCOL_VERSION).is_none()
            && let Some(version) = &self.sides.protocol_version
        {
            record.set(attribute::PROTOCOL_VERSION, version.as_str().into());
        }
        self.out.push(Heard::Record(record));
    }

    fn give(&mut self, out: &mut Vec<Heard>) {
        out.append(&mut self.out);
    }
}

/// Reads an early answer again: only one with an id was held.
fn with_id(early: &EarlyAnswer, act: impl FnOnce(&Id, Answer<'_>)) {
    let message = message::read(&early.text);
    if let Ok(Body::Response {
        id: Some(Ok(id)),
        answer,
    }) = message.map(|message| message.body)
    {
        act(&id, answer);
    }
}
