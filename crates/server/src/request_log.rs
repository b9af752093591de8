//! The outermost layer: every request gets an id, a line in the log, its measures, and every
//! error its body.
use crate::{
    problem::{self, Kind, Problem},
    state::App,
};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Instant,
};
use taffrail_engine::events::OwnEvent;
use taffrail_model::{level::Level, limits::QUERY_BYTES_MAX};

/// Header of the request's id, in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of an id that a client chose.
const REQUEST_ID_CHARS_MAX: usize = 128;

/// Bytes of path and query: a query text of full length with every byte escaped, and as much again
/// for the rest as a line of most other servers. The connection itself refuses URIs of 65,535 bytes
/// and more, without a body.
pub const URI_BYTES_MAX: usize = 3 * QUERY_BYTES_MAX + (8 << 10);

/// Address of the client, put there by the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress(pub IpAddr);

/// What is known of a request before anything else.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    pub request_id: Arc<str>,
    pub trace_id: Option<Arc<str>>,
    pub address: Option<IpAddr>,
    /// Login name behind the credential, once it is known.
    pub actor: Arc<OnceLock<Arc<str>>>,
}

impl RequestContext {
    /// Adds what identifies the request to an event.
    pub(crate) fn add_to(&self, event: OwnEvent) -> OwnEvent {
        let mut event = event.with("request_id", &*self.request_id);
        if let Some(trace_id) = &self.trace_id {
            event = event.with("trace_id", &**trace_id);
        }
        if let Some(address) = self.address {
            event = event.with("client_address", address.to_string());
        }
        event
    }
}

pub(crate) async fn layer(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let context = RequestContext {
        request_id: request_id(request.headers()),
        trace_id: trace_id(request.headers()),
        address: request
            .extensions()
            .get::<ClientAddress>()
            .map(|address| address.0.to_canonical()),
        actor: Arc::default(),
    };
    request.extensions_mut().insert(context.clone());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let uri_bytes = request
        .uri()
        .path_and_query()
        .map_or(0, |uri| uri.as_str().len());
    let response = match uri_bytes > URI_BYTES_MAX {
        true => uri_too_long(uri_bytes).into_response(),
        false => next.run(request).await,
    };
    if let Some(problem) = response.extensions().get::<Problem>() {
        record_refusal(&app, &context, problem, &method, &path);
    }
    let mut response = finish(response, &context.request_id);
    add_headers(response.headers_mut(), &context.request_id);
    let (status, took) = (response.status(), started.elapsed());
    let route = route.as_deref().unwrap_or("-");
    app.requests.count(&method, route, status, took);
    let trace_id = context.trace_id.as_deref().unwrap_or("-");
    tracing::info!(
        request_id = &*context.request_id,
        trace_id,
        actor = context.actor.get().map_or("-", |actor| &**actor),
        %method,
        route,
        status = status.as_u16(),
        took_ms = took.as_secs_f64() * 1_000.0,
        "request"
    );
    response
}

fn uri_too_long(bytes: usize) -> Problem {
    let detail = format!(
        "path and query have {bytes} bytes, at most {URI_BYTES_MAX} are read: send the question as POST"
    );
    Problem::new(Kind::UriTooLong, detail)
}

/// Refusals and limits are on record, whoever decided them; logins record theirs themselves.
fn record_refusal(
    app: &App,
    context: &RequestContext,
    problem: &Problem,
    method: &Method,
    path: &str,
) {
    let is_refusal = matches!(
        problem.kind(),
        Kind::Unauthorized
            | Kind::Forbidden
            | Kind::InstanceTakesNone
            | Kind::ForeignOrigin
            | Kind::TooManyRequests
    );
    if !is_refusal {
        return;
    }
    let mut event = OwnEvent::new("security", Level::Warn, "request refused")
        .with("reason", problem.detail())
        .with("method", method.as_str())
        .with("request_path", path.chars().take(200).collect::<String>());
    if let Some(actor) = context.actor.get() {
        event = event.with("actor", &**actor);
    }
    app.record_refusal(context.add_to(event));
}

/// Writes the body of an error.
fn finish(mut response: Response, request_id: &str) -> Response {
    let status = response.status();
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return with_allow(problem.into_final_response(request_id), &response);
    }
    let is_ours = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/json");
    if !(status.is_client_error() || status.is_server_error()) || is_ours {
        return response;
    }
    with_allow(
        problem::for_status(status).into_final_response(request_id),
        &response,
    )
}

/// A 405 says which methods there are.
fn with_allow(mut to: Response, from: &Response) -> Response {
    if to.status() == StatusCode::METHOD_NOT_ALLOWED
        && let Some(allow) = from.headers().get(header::ALLOW)
    {
        to.headers_mut().insert(header::ALLOW, allow.clone());
    }
    to
}

fn add_headers(headers: &mut HeaderMap, request_id: &str) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, value);
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

/// The client's own id, if it is one that may stand in a log line, else a new one.
fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|text| is_plain_id(text));
    match given {
        Some(id) => id.into(),
        None => uuid::Uuid::new_v4().simple().to_string().into(),
    }
}

/// From `traceparent` (W3C), else `X-Trace-Id`.
fn trace_id(headers: &HeaderMap) -> Option<Arc<str>> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(id) = text("traceparent").and_then(trace_id_of_parent) {
        return Some(id.into());
    }
    let id = text("x-trace-id").filter(|id| is_plain_id(id))?;
    let is_w3c = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
    match is_w3c {
        true => Some(id.to_ascii_lowercase().into()),
        false => Some(id.into()),
    }
}

fn trace_id_of_parent(text: &str) -> Option<String> {
    let mut parts = text.trim().split('-');
    let (version, trace, parent) = (parts.next()?, parts.next()?, parts.next()?);
    let is_hex =
        |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit());
    let is_valid = is_hex(version, 2)
        && !version.eq_ignore_ascii_case("ff")
        && is_hex(trace, 32)
        && is_hex(parent, 16)
        && trace.bytes().any(|b| b != b'0');
    is_valid.then(|| trace.to_ascii_lowercase())
}

fn is_plain_id(text: &str) -> bool {
    (1..=REQUEST_ID_CHARS_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn ids_of_clients_are_taken_up_if_they_are_harmless() {
        assert_eq!(
            &*request_id(&headers(&[("x-request-id", "abc-1.2_3")])),
            "abc-1.2_3"
        );
        for bad in ["", "a b", "a\"b", &"x".repeat(129)] {
            let id = request_id(&headers(&[("x-request-id", bad)]));
            assert_eq!(id.len(), 32, "{bad}");
        }
    }

    #[test]
    fn traces() {
        let trace = "0AF7651916CD43DD8448EB211C80319C";
        let parent = format!("00-{trace}-b7ad6b7169203331-01");
        let lower = trace.to_lowercase();
        for (pairs, expected) in [
            (vec![("traceparent", parent.as_str())], Some(lower.as_str())),
            (
                vec![("traceparent", parent.as_str()), ("x-trace-id", "t")],
                Some(lower.as_str()),
            ),
            (
                vec![("traceparent", "00-00"), ("x-trace-id", "t1")],
                Some("t1"),
            ),
            (vec![("x-trace-id", trace)], Some(lower.as_str())),
            (vec![("x-trace-id", "a b")], None),
            (
                vec![(
                    "traceparent",
                    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                )],
                None,
            ),
            (vec![], None),
        ] {
            assert_eq!(trace_id(&headers(&pairs)).as_deref(), expected, "{pairs:?}");
        }
    }
}
