//! One JSON-RPC message: what it is, with its parts as slices of its text.
use super::{
    TEXT_BYTES_MAX, clipped,
    id::{Id, IdFault},
    members::{is_json, members, string},
};

/// A message.
#[derive(Debug)]
pub(super) struct Message<'a> {
    /// What it is.
    pub(super) body: Body<'a>,
    /// The member `jsonrpc`, unless it is `2.0`.
    pub(super) version: Option<String>,
}

#[derive(Debug)]
pub(super) enum Body<'a> {
    Request {
        id: Result<Id, IdFault>,
        method: String,
        params: Option<&'a str>,
    },
    Notification {
        method: String,
        params: Option<&'a str>,
    },
    Response {
        /// `None` where the sender could not read the request's.
        id: Option<Result<Id, IdFault>>,
        answer: Answer<'a>,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Answer<'a> {
    Result(&'a str),
    Error(&'a str),
}

/// Why a text is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NotJson,
    NotJsonRpc,
}

/// Reads one message. A message with another version than 2.0 is one; without any it is not.
pub(super) fn read(text: &str) -> Result<Message<'_>, Fault> {
    const NAMES: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
    let Some(found) = members(text, &NAMES) else {
        return Err(if is_json(text) {
            Fault::NotJsonRpc
        } else {
            Fault::NotJson
        });
    };
    let [version, id, method, params, result, error] = found.values;
    let version = version.and_then(string).ok_or(Fault::NotJsonRpc)?;
    let is_id_null = found.is_null[1];
    let id = id.map(Id::of);
    // A result may be nothing.
    let result = result.or(found.is_null[4].then_some("null"));
    let body = match (method, result, error) {
        (Some(method), None, None) => {
            let method = string(method).ok_or(Fault::NotJsonRpc)?;
            if params.is_some_and(|params| !params.starts_with(['{', '['])) {
                return Err(Fault::NotJsonRpc);
            }
            let method = clipped(&method, TEXT_BYTES_MAX).to_string();
            match id {
                Some(id) => Body::Request { id, method, params },
                None if is_id_null => return Err(Fault::NotJsonRpc),
                None => Body::Notification { method, params },
            }
        }
        (None, Some(result), None) if id.is_some() => Body::Response {
            id,
            answer: Answer::Result(result),
        },
        (None, None, Some(error)) => Body::Response {
            id,
            answer: Answer::Error(error),
        },
        _ => return Err(Fault::NotJsonRpc),
    };
    if matches!(
        body,
        Body::Request {
            id: Err(IdFault::WrongKind),
            ..
        } | Body::Response {
            id: Some(Err(IdFault::WrongKind)),
            ..
        }
    ) {
        return Err(Fault::NotJsonRpc);
    }
    let version = (version != "2.0").then(|| clipped(&version, TEXT_BYTES_MAX).to_string());
    Ok(Message { body, version })
}

/// A JSON-RPC error object.
#[derive(Debug, Default)]
pub(super) struct ErrorObject {
    /// The code as text; absent if it is no number.
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
}

pub(super) fn read_error(json: &str) -> ErrorObject {
    let Some(found) = members(json, &["code", "message"]) else {
        return ErrorObject::default();
    };
    let [code, message] = found.values;
    let text = |text: &str| clipped(text, TEXT_BYTES_MAX).to_string();
    ErrorObject {
        code: code
            .filter(|code| {
                code.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
            })
            .map(text),
        message: message.and_then(string).map(|message| text(&message)),
    }
}
