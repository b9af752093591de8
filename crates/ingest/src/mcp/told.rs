//! A request and how it ended, as one record.
use super::{
    Direction, TEXT_BYTES_MAX, attribute,
    calls::{Call, Software, Target},
    clipped,
    members::{elements, members, string},
    message::{Answer, read_error},
    record::{Record, Route, Scalar},
};
use taffrail_model::{field, level::Level, time::Timestamp};

/// JSON-RPC "method not found": how a server answers a client that asks what era it is of.
const METHOD_NOT_FOUND: &str = "-32601";

/// How a request ended: the values of the attribute `mcp.outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A result.
    Ok,
    /// A result that asks the client for more before the request is repeated (2026-07-28).
    InputRequired,
    /// A JSON-RPC error, or an HTTP status in its place.
    Error,
    /// A result with `isError: true`.
    ToolError,
    /// The sender took it back.
    Cancelled,
    /// Nothing came.
    Unanswered,
    /// A subscription that ended.
    Closed,
}

impl Outcome {
    /// The value of the attribute.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::InputRequired => "input_required",
            Outcome::Error => "error",
            Outcome::ToolError => "tool_error",
            Outcome::Cancelled => "cancelled",
            Outcome::Unanswered => "unanswered",
            Outcome::Closed => "closed",
        }
    }
}

/// How a request ended.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) outcome: Outcome,
    pub(super) level: Level,
    /// After the outcome and the duration.
    detail: Option<String>,
    fields: Vec<(&'static str, Scalar)>,
}

impl Ending {
    /// A request that its sender took back.
    pub(super) fn cancelled(reason: Option<String>) -> Ending {
        let mut ending = Ending::new(Outcome::Cancelled, Level::Info);
        ending.field(attribute::ERROR_TYPE, "cancelled");
        if let Some(reason) = &reason {
            ending.field(attribute::CANCEL_REASON, reason.as_str());
        }
        ending.detail = reason;
        ending
    }

    /// A request without an answer; `why` as in `error.type`.
    pub(super) fn unanswered(why: &str) -> Ending {
        let mut ending = Ending::new(Outcome::Unanswered, Level::Warn);
        ending.field(attribute::ERROR_TYPE, why);
        ending.detail = Some(why.replace('_', " "));
        ending
    }

    /// A subscription that one side ended.
    pub(super) fn closed() -> Ending {
        Ending::new(Outcome::Closed, Level::Info)
    }

    /// An error that is not of JSON-RPC: an HTTP status, a connection that failed.
    pub(super) fn failed(kind: &str, detail: &str) -> Ending {
        let mut ending = Ending::new(Outcome::Error, Level::Error);
        ending.field(attribute::ERROR_TYPE, kind);
        ending.field(attribute::ERROR_MESSAGE, detail);
        ending.detail = Some(detail.to_string());
        ending
    }

    /// The answer to a request. `contents_bytes_max` says how much of the result is kept.
    pub(super) fn answered(call: &Call, answer: Answer<'_>, contents_bytes_max: usize) -> Ending {
        match answer {
            Answer::Error(error) => Ending::error(error),
            Answer::Result(result) => Ending::result(call, result, contents_bytes_max),
        }
    }

    fn error(json: &str) -> Ending {
        let error = read_error(json);
        let code = error.code.unwrap_or_else(|| "unknown".to_string());
        let level = if code == METHOD_NOT_FOUND {
            Level::Warn
        } else {
            Level::Error
        };
        let mut ending = Ending::new(Outcome::Error, level);
        ending.field(attribute::STATUS_CODE, code.as_str());
        ending.field(attribute::ERROR_TYPE, code.as_str());
        if let Some(message) = &error.message {
            ending.field(attribute::ERROR_MESSAGE, message.as_str());
        }
        ending.detail = Some(match error.message {
            Some(message) => format!("{code} {message}"),
            None => code,
        });
        ending
    }

    fn result(call: &Call, json: &str, contents_bytes_max: usize) -> Ending {
        let parts = members(json, &["isError", "resultType", "content"]);
        let [is_error, kind, content] = parts.map_or([None; 3], |parts| parts.values);
        let kind = kind.and_then(string);
        let outcome = match (is_error, kind.as_deref()) {
            (Some("true"), _) => Outcome::ToolError,
            (_, Some("input_required")) => Outcome::InputRequired,
            _ if call.is_subscription() => Outcome::Closed,
            _ => Outcome::Ok,
        };
        let is_failed = outcome == Outcome::ToolError;
        let level = if is_failed { Level::Error } else { Level::Info };
        let mut ending = Ending::new(outcome, level);
        ending.field(attribute::RESULT_BYTES, json.len() as u64);
        if let Some(kind) = kind {
            ending.field(attribute::RESULT_TYPE, clipped(&kind, TEXT_BYTES_MAX));
        }
        if is_failed {
            ending.field(attribute::ERROR_TYPE, "tool_error");
        }
        if contents_bytes_max > 0 {
            ending.keep_contents(
                call,
                json,
                content.filter(|_| is_failed),
                contents_bytes_max,
            );
        }
        ending
    }

    fn keep_contents(&mut self, call: &Call, json: &str, failure: Option<&str>, bytes_max: usize) {
        let name = match call.target {
            Some(Target::Tool(_)) => attribute::TOOL_RESULT,
            _ => attribute::RESPONSE_RESULT,
        };
        let kept = clipped(json, bytes_max);
        self.field(name, kept);
        if kept.len() < json.len() {
            self.field(attribute::CONTENTS_TRUNCATED, true);
        }
        if let Some(text) = failure.and_then(first_text) {
            let text = clipped(&text, TEXT_BYTES_MAX);
            self.field(attribute::ERROR_MESSAGE, text);
            self.detail = Some(text.to_string());
        }
    }

    fn new(outcome: Outcome, level: Level) -> Ending {
        Ending {
            outcome,
            level,
            detail: None,
            fields: Vec::new(),
        }
    }

    fn field(&mut self, name: &'static str, value: impl Into<Scalar>) {
        self.fields.push((name, value.into()));
    }

    fn result_bytes(&self) -> Option<i64> {
        let found = self
            .fields
            .iter()
            .find(|(name, _)| *name == attribute::RESULT_BYTES);
        match found {
            Some((_, Scalar::Integer(bytes))) => Some(*bytes),
            _ => None,
        }
    }
}

/// The first text of a tool's content.
fn first_text(content: &str) -> Option<String> {
    let mut blocks = elements(content)?.into_iter();
    blocks.find_map(|block| string(members(block, &["text"])?.values[0]?))
}

/// What a session knows of its two sides.
#[derive(Debug, Default)]
pub(super) struct Sides {
    pub(super) protocol_version: Option<String>,
    pub(super) client: Software,
    pub(super) server: Software,
}

/// The record of a request that was sent in `direction` and ended at `time`.
pub(super) fn tell(
    call: Call,
    ending: Ending,
    direction: Direction,
    time: Timestamp,
    sides: &Sides,
) -> Record {
    let duration_ns = time.0.saturating_sub(call.started.0).max(0);
    let message = text(&call, &ending, direction, duration_ns);
    let mut record = Record::new(time, ending.level, Route::Access, message)
        .add(attribute::METHOD_NAME, call.method.as_str())
        .add(attribute::REQUEST_ID, call.id.text())
        .add(attribute::SENDER, direction.sender())
        .add(attribute::OUTCOME, ending.outcome.name())
        .add(field::DURATION_MS, milliseconds(duration_ns))
        .add(attribute::REQUEST_BYTES, call.request_bytes)
        .add(attribute::ARGUMENTS_BYTES, call.arguments_bytes);
    match &call.target {
        Some(Target::Tool(name)) => {
            record = record
                .add(attribute::TOOL_NAME, name.as_str())
                .add(attribute::OPERATION_NAME, "execute_tool");
        }
        Some(Target::Prompt(name)) => record = record.add(attribute::PROMPT_NAME, name.as_str()),
        Some(Target::Resource(uri)) => record = record.add(attribute::RESOURCE_URI, uri.as_str()),
        None => {}
    }
    for (name, value) in ending.fields {
        record = record.add(name, value);
    }
    add_progress(add_sides(add_contents(record, &call), &call, sides), &call)
}

fn add_contents(mut record: Record, call: &Call) -> Record {
    if let Some((arguments, is_cut)) = &call.arguments {
        let name = match call.target {
            Some(Target::Tool(_)) => attribute::TOOL_ARGUMENTS,
            _ => attribute::REQUEST_PARAMS,
        };
        record = record.add(name, arguments.as_str());
        if *is_cut {
            record.set(attribute::CONTENTS_TRUNCATED, true.into());
        }
    }
    record
}

fn add_sides(record: Record, call: &Call, sides: &Sides) -> Record {
    let version = call
        .protocol_version
        .as_ref()
        .or(sides.protocol_version.as_ref());
    let client = call.client.as_ref().unwrap_or(&sides.client);
    record
        .add_some(attribute::PROTOCOL_VERSION, version.cloned())
        .add_some(attribute::CLIENT_NAME, client.name.clone())
        .add_some(attribute::CLIENT_VERSION, client.version.clone())
        .add_some(attribute::SERVER_NAME, sides.server.name.clone())
        .add_some(attribute::SERVER_VERSION, sides.server.version.clone())
        .add_some(attribute::JSONRPC_VERSION, call.jsonrpc_version.clone())
        .add_some(
            field::TRACE_ID,
            call.trace.as_ref().map(|trace| trace.trace_id.as_str()),
        )
        .add_some(
            field::SPAN_ID,
            call.trace.as_ref().map(|trace| trace.span_id.as_str()),
        )
}

fn add_progress(mut record: Record, call: &Call) -> Record {
    if call.progress.count > 0 {
        let number = |text: &Option<String>| text.clone().map(Scalar::Json);
        record = record
            .add(attribute::PROGRESS_COUNT, call.progress.count)
            .add_some(attribute::PROGRESS_LAST, number(&call.progress.last))
            .add_some(attribute::PROGRESS_TOTAL, number(&call.progress.total));
    }
    if call.is_subscription() {
        record = record.add(attribute::SUBSCRIPTION_COUNT, call.notifications);
    }
    record
}

/// `tools/call get_weather → ok in 12.3 ms (340 B)`
fn text(call: &Call, ending: &Ending, direction: Direction, duration_ns: i64) -> String {
    let mut text = title(call, direction);
    text.push_str(" → ");
    let duration = duration_text(duration_ns);
    text.push_str(&match ending.outcome {
        Outcome::Ok => format!("ok in {duration}"),
        Outcome::InputRequired => format!("input required after {duration}"),
        Outcome::Error => format!("error in {duration}"),
        Outcome::ToolError => format!("tool error in {duration}"),
        Outcome::Cancelled => format!("cancelled after {duration}"),
        Outcome::Unanswered => format!("no answer in {duration}"),
        Outcome::Closed => format!("closed after {duration}"),
    });
    if let Some(detail) = &ending.detail {
        text.push_str(": ");
        text.push_str(detail);
    } else if let Some(bytes) = ending.result_bytes() {
        text.push_str(&format!(" ({})", bytes_text(bytes)));
    }
    text
}

/// `tools/call get_weather`, with a note if it is the server who asks.
pub(super) fn title(call: &Call, direction: Direction) -> String {
    let mut text = call.method.clone();
    if let Some(Target::Tool(name) | Target::Prompt(name) | Target::Resource(name)) = &call.target {
        text.push(' ');
        text.push_str(name);
    }
    if direction == Direction::ServerToClient {
        text.push_str(" (asked by the server)");
    }
    text
}

/// Milliseconds with three decimals: what the clocks on the way are good for.
pub(super) fn milliseconds(ns: i64) -> f64 {
    (ns / 1_000) as f64 / 1_000.0
}

pub(super) fn duration_text(ns: i64) -> String {
    let ms = milliseconds(ns);
    match ns {
        0..10_000_000 => format!("{ms:.2} ms"),
        10_000_000..1_000_000_000 => format!("{ms:.1} ms"),
        1_000_000_000..60_000_000_000 => format!("{:.2} s", ms / 1_000.0),
        _ => format!("{} min {} s", ns / 60_000_000_000, ns / 1_000_000_000 % 60),
    }
}

pub(super) fn bytes_text(bytes: i64) -> String {
    match bytes {
        ..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
