//! Errors as the client sees them: RFC 9457 problem JSON. The one place where a status is chosen.
//!
//! Invariants
//! - The text of a problem is made here or comes from an error that is meant for the caller; what
//!   is internal goes to the log, with the request's id.
//! - A fault that a retry may cure is 429 or 503 with `Retry-After`, never 500.
//! - A problem becomes a body at one place, [`crate::request_log`], which knows the request's id.
use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use taffrail_engine::{
    CommitError,
    admission::Refused,
    ingest::IngestError,
    meta::{LoginError, MetaError},
    query::{ParseError, ScanError},
    read::ReadError,
};
use taffrail_model::access::InstanceRefusal;

/// What an error is called in `type`, its title and status. The names are part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The body or a header cannot be read.
    Unreadable,
    /// The query text is faulty.
    InvalidQuery,
    /// A cursor cannot be read.
    InvalidCursor,
    /// No credential, or none that is accepted.
    Unauthorized,
    /// Name or password are wrong.
    LoginFailed,
    /// The credential does not allow this.
    Forbidden,
    /// The instance takes no records.
    InstanceTakesNone,
    /// A request of another website.
    ForeignOrigin,
    /// There is nothing here, or nothing that the caller may know of.
    NotFound,
    /// No such stream.
    UnknownStream,
    /// The route has no such method.
    MethodNotAllowed,
    /// It exists already.
    Exists,
    /// The change is not possible in this state.
    Conflict,
    /// The body is too large.
    TooLarge,
    /// Path and query of the request are too long.
    UriTooLong,
    /// Content type or encoding is not understood.
    UnsupportedMediaType,
    /// Well-formed, but some values are not valid.
    Invalid,
    /// No record of a batch was taken.
    AllRejected,
    /// The idempotency key stood for another request.
    IdempotencyKeyReused,
    /// The query takes too long.
    QueryTooSlow,
    /// Too many requests of this caller.
    TooManyRequests,
    /// Too many failed logins.
    TooManyLogins,
    /// The server has too much to do.
    Overloaded,
    /// The disk is full.
    NoSpace,
    /// The store does not take records at the moment.
    NotWritable,
    /// The server is being stopped.
    Stopping,
    /// The body did not come in time.
    Timeout,
    /// A defect of the server.
    Internal,
}

impl Kind {
    /// Every kind, for the description of the API.
    pub const ALL: [Kind; 28] = [
        Kind::Unreadable,
        Kind::InvalidQuery,
        Kind::InvalidCursor,
        Kind::Unauthorized,
        Kind::LoginFailed,
        Kind::Forbidden,
        Kind::InstanceTakesNone,
        Kind::ForeignOrigin,
        Kind::NotFound,
        Kind::UnknownStream,
        Kind::MethodNotAllowed,
        Kind::Timeout,
        Kind::Exists,
        Kind::Conflict,
        Kind::TooLarge,
        Kind::UriTooLong,
        Kind::UnsupportedMediaType,
        Kind::Invalid,
        Kind::AllRejected,
        Kind::IdempotencyKeyReused,
        Kind::QueryTooSlow,
        Kind::TooManyRequests,
        Kind::TooManyLogins,
        Kind::Overloaded,
        Kind::NoSpace,
        Kind::NotWritable,
        Kind::Stopping,
        Kind::Internal,
    ];

    /// Status, word of `type`, title.
    #[must_use]
    pub fn parts(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Kind::Unreadable => (S::BAD_REQUEST, "unreadable", "The request cannot be read"),
            Kind::InvalidQuery => (S::BAD_REQUEST, "invalid-query", "The query is faulty"),
            Kind::InvalidCursor => (S::BAD_REQUEST, "invalid-cursor", "The cursor is not valid"),
            Kind::Unauthorized => (S::UNAUTHORIZED, "unauthorized", "A credential is needed"),
            Kind::LoginFailed => (S::UNAUTHORIZED, "login-failed", "The login failed"),
            Kind::Forbidden => (
                S::FORBIDDEN,
                "forbidden",
                "This credential does not allow it",
            ),
            Kind::InstanceTakesNone => (
                S::FORBIDDEN,
                "instance-takes-no-records",
                "The instance takes no records",
            ),
            Kind::ForeignOrigin => (
                S::FORBIDDEN,
                "foreign-origin",
                "The request comes from another website",
            ),
            Kind::NotFound => (S::NOT_FOUND, "not-found", "There is nothing here"),
            Kind::UnknownStream => (S::NOT_FOUND, "unknown-stream", "There is no such stream"),
            Kind::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "The route has no such method",
            ),
            Kind::Timeout => (
                S::REQUEST_TIMEOUT,
                "timeout",
                "The request did not come in time",
            ),
            Kind::Exists => (S::CONFLICT, "exists", "It exists already"),
            Kind::Conflict => (S::CONFLICT, "conflict", "The change is not possible"),
            Kind::TooLarge => (
                S::PAYLOAD_TOO_LARGE,
                "too-large",
                "The request is too large",
            ),
            Kind::UriTooLong => (S::URI_TOO_LONG, "uri-too-long", "The URI is too long"),
            Kind::UnsupportedMediaType => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The content type or encoding is not supported",
            ),
            Kind::Invalid => (
                S::UNPROCESSABLE_ENTITY,
                "invalid",
                "Some values are not valid",
            ),
            Kind::AllRejected => (
                S::UNPROCESSABLE_ENTITY,
                "all-rejected",
                "No record was accepted",
            ),
            Kind::IdempotencyKeyReused => (
                S::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "The idempotency key was used for another request",
            ),
            Kind::QueryTooSlow => (
                S::UNPROCESSABLE_ENTITY,
                "query-too-slow",
                "The query takes too long",
            ),
            Kind::TooManyRequests => (
                S::TOO_MANY_REQUESTS,
                "too-many-requests",
                "Too many requests",
            ),
            Kind::TooManyLogins => (
                S::TOO_MANY_REQUESTS,
                "too-many-logins",
                "Too many failed logins",
            ),
            Kind::Overloaded => (
                S::SERVICE_UNAVAILABLE,
                "overloaded",
                "The server has too much to do",
            ),
            Kind::NoSpace => (S::SERVICE_UNAVAILABLE, "no-space", "The disk is full"),
            Kind::NotWritable => (
                S::SERVICE_UNAVAILABLE,
                "not-writable",
                "Records are not accepted at the moment",
            ),
            Kind::Stopping => (
                S::SERVICE_UNAVAILABLE,
                "stopping",
                "The server is being stopped",
            ),
            Kind::Internal => (S::INTERNAL_SERVER_ERROR, "internal", "The server failed"),
        }
    }

    /// Seconds after which a retry makes sense, where it does.
    fn retry_after_s(self) -> Option<u64> {
        match self {
            Kind::TooManyRequests | Kind::Overloaded => Some(1),
            Kind::NotWritable | Kind::Stopping => Some(5),
            Kind::NoSpace => Some(30),
            _ => None,
        }
    }
}

/// One of several faults of a request.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FieldFault {
    /// Parameter or member of the body.
    pub field: String,
    /// What is wrong and what would be right.
    pub detail: String,
}

/// An error for the client. Boxed: it is the rare half of almost every result here.
#[derive(Clone, Debug)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    kind: Kind,
    detail: String,
    retry_after_s: Option<u64>,
    members: Map<String, Value>,
    headers: HeaderMap,
}

impl Problem {
    /// A problem with what went wrong here.
    #[must_use]
    pub fn new(kind: Kind, detail: impl Into<String>) -> Problem {
        Problem(Box::new(Parts {
            kind,
            detail: detail.into(),
            retry_after_s: kind.retry_after_s(),
            members: Map::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// Several faults of one request.
    #[must_use]
    pub fn invalid(faults: Vec<FieldFault>) -> Problem {
        let texts: Vec<_> = faults
            .iter()
            .map(|fault| format!("{}: {}", fault.field, fault.detail))
            .collect();
        Problem::new(Kind::Invalid, texts.join("; ")).with("errors", json!(faults))
    }

    /// A defect: the cause goes to the log, the client gets the request's id.
    #[must_use]
    pub fn internal(cause: &dyn std::error::Error) -> Problem {
        tracing::error!(cause = %chain(cause), "request failed");
        Problem::new(
            Kind::Internal,
            "an unexpected error was logged under the request id",
        )
    }

    /// Nothing here, or nothing that the caller may know of.
    #[must_use]
    pub fn not_found(what: &str) -> Problem {
        Problem::new(Kind::NotFound, format!("there is no such {what}"))
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Problem {
        self.0.members.insert(name.to_owned(), value);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &'static str) -> Problem {
        self.0.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What went wrong.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The document.
    #[must_use]
    pub fn document(&self, request_id: &str) -> Value {
        let (status, word, title) = self.0.kind.parts();
        let mut document = json!({
            "type": format!("urn:taffrail:problem:{word}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.0.detail,
            "request_id": request_id,
        });
        if let Value::Object(members) = &mut document {
            members.extend(self.0.members.clone());
        }
        document
    }

    /// The whole response, with the id of the request.
    pub(crate) fn into_final_response(self, request_id: &str) -> Response {
        let (status, ..) = self.0.kind.parts();
        let body = self.document(request_id).to_string();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.0.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"taffrail\""),
            );
        }
        headers.extend(self.0.headers);
        response
    }
}

impl IntoResponse for Problem {
    /// Without a body yet: it is written where the request's id is known.
    fn into_response(self) -> Response {
        let (status, ..) = self.0.kind.parts();
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A response of axum's own that has no problem yet.
pub(crate) fn for_status(status: StatusCode) -> Problem {
    let (kind, detail) = match status {
        StatusCode::BAD_REQUEST => (Kind::Unreadable, "the request is malformed"),
        StatusCode::NOT_FOUND => (Kind::NotFound, "there is no such route"),
        StatusCode::METHOD_NOT_ALLOWED => (Kind::MethodNotAllowed, "see the header Allow"),
        StatusCode::PAYLOAD_TOO_LARGE => (Kind::TooLarge, "the body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            Kind::UnsupportedMediaType,
            "the content type is not supported",
        ),
        _ if status.is_client_error() => (Kind::Unreadable, "the request is not understood"),
        _ => (
            Kind::Internal,
            "an unexpected error was logged under the request id",
        ),
    };
    Problem::new(kind, detail)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

impl From<ParseError> for Problem {
    fn from(fault: ParseError) -> Problem {
        Problem::new(Kind::InvalidQuery, fault.message)
            .with("start", json!(fault.start))
            .with("end", json!(fault.end))
            .with("hint", json!(fault.hint))
    }
}

impl From<ScanError> for Problem {
    fn from(fault: ScanError) -> Problem {
        let kind = match &fault {
            ScanError::DeadlineExceeded => Kind::QueryTooSlow,
            ScanError::Cancelled => Kind::Overloaded,
            ScanError::Deletion { .. } => return Problem::internal(&fault),
            ScanError::CursorOrder => Kind::InvalidCursor,
            ScanError::Regex { .. } => Kind::InvalidQuery,
            ScanError::OutOfMemory { .. } => Kind::Overloaded,
            ScanError::PastLimit { .. }
            | ScanError::TooManyBuckets { .. }
            | ScanError::TooManyGroups { .. }
            | ScanError::AggregateTooLarge { .. }
            | ScanError::Time(_) => Kind::Invalid,
        };
        Problem::new(kind, fault.to_string())
    }
}

impl From<ReadError> for Problem {
    fn from(fault: ReadError) -> Problem {
        match fault {
            ReadError::Query(fault) => fault.into(),
            ReadError::Scan(fault) => fault.into(),
            ReadError::Cursor(fault) => Problem::new(Kind::InvalidCursor, fault.to_string()),
            ReadError::UnknownStream { name, nearest } => unknown_stream(&name, nearest),
        }
    }
}

fn unknown_stream(name: &str, nearest: Vec<String>) -> Problem {
    let shown: String = name.chars().take(100).collect();
    let detail = match nearest.is_empty() {
        true => format!("there is no stream {shown:?}"),
        false => format!(
            "there is no stream {shown:?}; near are {}",
            nearest.join(", ")
        ),
    };
    Problem::new(Kind::UnknownStream, detail).with("nearest", json!(nearest))
}

impl From<Refused> for Problem {
    fn from(fault: Refused) -> Problem {
        let kind = match fault {
            Refused::Tenant { .. } => Kind::TooManyRequests,
            Refused::Server { .. } => Kind::Overloaded,
        };
        Problem::new(kind, fault.to_string())
    }
}

impl From<IngestError> for Problem {
    fn from(fault: IngestError) -> Problem {
        match fault {
            IngestError::UnknownStream { name, nearest } => unknown_stream(&name, nearest),
            IngestError::NotAllowed(_) => Problem::new(Kind::Forbidden, fault.to_string()),
            IngestError::Instance(refusal) => {
                let kind = match refusal {
                    InstanceRefusal::TakesNone { .. } => Kind::InstanceTakesNone,
                    InstanceRefusal::Missing | InstanceRefusal::Unknown(_) => Kind::Forbidden,
                };
                Problem::new(kind, refusal.to_string())
            }
            IngestError::KeyLength => Problem::invalid(vec![FieldFault {
                field: "Idempotency-Key".into(),
                detail: fault.to_string(),
            }]),
            IngestError::KeyReused => Problem::new(Kind::IdempotencyKeyReused, fault.to_string()),
            IngestError::Refused(refused) => refused.into(),
            IngestError::Commit(fault) => fault.into(),
            IngestError::Answer(_) => Problem::internal(&fault),
        }
    }
}

impl From<CommitError> for Problem {
    fn from(fault: CommitError) -> Problem {
        let (kind, detail) = match &fault {
            CommitError::NoSpace => (Kind::NoSpace, "there is no space left for records"),
            CommitError::Overloaded => (Kind::Overloaded, "too many records wait to be written"),
            CommitError::TooLarge => (Kind::TooLarge, "the batch is too large to be written"),
            CommitError::Closed => (Kind::Stopping, "the server is being stopped"),
            _ => {
                tracing::error!(cause = %chain(&fault), "records are not accepted");
                (
                    Kind::NotWritable,
                    "the store refuses records until it has recovered",
                )
            }
        };
        Problem::new(kind, detail)
    }
}

impl From<MetaError> for Problem {
    fn from(fault: MetaError) -> Problem {
        match fault {
            MetaError::Invalid { field, rule } => Problem::invalid(vec![FieldFault {
                field: field.into(),
                detail: format!("must be {rule}"),
            }]),
            MetaError::Exists { .. } => Problem::new(Kind::Exists, fault.to_string()),
            MetaError::NotFound { what, .. } => Problem::not_found(what),
            MetaError::LastAdmin { .. }
            | MetaError::Deleted { .. }
            | MetaError::TooManyInstances => Problem::new(Kind::Conflict, fault.to_string()),
            other => Problem::internal(&other),
        }
    }
}

impl From<LoginError> for Problem {
    fn from(fault: LoginError) -> Problem {
        match fault {
            LoginError::Wrong => Problem::new(Kind::LoginFailed, "wrong name or password"),
            LoginError::Throttled { retry_after_s } => {
                let mut problem = Problem::new(Kind::TooManyLogins, fault.to_string());
                problem.0.retry_after_s = Some(retry_after_s);
                problem
            }
            LoginError::Meta(fault) => Problem::internal(&fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_once_with_its_own_word() {
        let words: std::collections::BTreeSet<_> =
            Kind::ALL.iter().map(|kind| kind.parts().1).collect();
        assert_eq!(words.len(), Kind::ALL.len());
    }

    #[test]
    fn what_a_retry_may_cure_says_when() {
        for kind in Kind::ALL {
            let (status, ..) = kind.parts();
            let is_retried = matches!(status.as_u16(), 429 | 503);
            // Too many logins know their own time.
            let says = kind.retry_after_s().is_some() || kind == Kind::TooManyLogins;
            assert_eq!(is_retried, says, "{kind:?}");
        }
    }

    #[test]
    fn a_fault_of_the_query_has_its_place() {
        let fault = ParseError {
            start: 3,
            end: 4,
            message: "unclosed group".into(),
            hint: "add `)`".into(),
        };
        let document = Problem::from(fault).document("r1");
        let expected = json!({
            "type": "urn:taffrail:problem:invalid-query",
            "title": "The query is faulty",
            "status": 400,
            "detail": "unclosed group",
            "request_id": "r1",
            "start": 3,
            "end": 4,
            "hint": "add `)`",
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn a_store_that_does_not_take_records_is_never_500() {
        let refusing = CommitError::Refusing {
            reason: "/secret/path failed".into(),
        };
        for (fault, expected) in [
            (CommitError::NoSpace, (503, "no-space")),
            (CommitError::Overloaded, (503, "overloaded")),
            (CommitError::Closed, (503, "stopping")),
            (CommitError::TooLarge, (413, "too-large")),
            (refusing, (503, "not-writable")),
        ] {
            let problem = Problem::from(IngestError::Commit(fault));
            let (status, word, _) = problem.kind().parts();
            assert_eq!((status.as_u16(), word), expected);
            assert!(!problem.detail().contains("secret"));
            let response = problem.into_final_response("r");
            let says = response.headers().contains_key(header::RETRY_AFTER);
            assert_eq!(says, status.as_u16() == 503);
        }
        let (tenant, server) = (
            Refused::Tenant { bytes_max: 1 },
            Refused::Server { bytes_max: 1 },
        );
        for (fault, expected) in [(tenant, 429), (server, 503)] {
            let response = Problem::from(IngestError::Refused(fault)).into_final_response("r");
            assert_eq!(response.status().as_u16(), expected);
            assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        }
    }

    #[test]
    fn internals_stay_inside() {
        let cause = std::io::Error::other("/var/lib/secret/path");
        let document = Problem::internal(&cause).document("r1").to_string();
        assert!(!document.contains("secret"), "{document}");
    }
}
