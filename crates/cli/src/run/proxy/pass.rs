//! Passes one exchange: a request to the server behind, its answer to the client.
//!
//! Invariants
//! - Bodies pass piece by piece as they come, unchanged, and only as fast as the receiver takes
//!   them. Nothing is gathered: a piece is copied for the recorder and handed on.
//! - An end passes too: if the client goes away, so does the request to the server, whatever it is
//!   doing; if the server breaks off, so does the answer.
//! - Heads pass but for what concerns one connection only (RFC 9110, 7.6.1), `Host`, which is the
//!   server's, and `Accept-Encoding`, which asks for an answer that can be read.
use super::tap::{Exchange, Side, Tap};
use anyhow::{Context, Result};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri, Version,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    header::{self, HeaderName, HeaderValue},
};
use reqwest::{Client, Url, redirect::Policy};
use std::{
    convert::Infallible,
    error::Error,
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{self, Poll, ready},
    time::Duration,
};
use taffrail_ingest::mcp::http::{AnswerHead, End, RequestHead};

/// How long a connection to the server may take to come about. An answer may take for ever.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Bytes of a request that are read for its record if there is no server to pass it to, and how
/// long they may take. A call is here with its head.
const REST_BYTES_MAX: usize = 1 << 20;
/// See [`REST_BYTES_MAX`].
const REST_MAX: Duration = Duration::from_secs(1);
/// How long a connection to the server is kept for the next request.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Headers that concern one connection only.
const OF_A_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
];
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Who passed a request on.
const VIA: HeaderValue = HeaderValue::from_static("1.1 taffrail");

/// Where requests go and who may send them.
#[derive(Debug)]
pub struct Gateway {
    client: Client,
    to: Url,
    tap: Arc<Tap>,
    /// Names that `Host` may have; `None`: any.
    hosts: Option<Vec<String>>,
}

impl Gateway {
    /// A gateway to a server, for requests that come to `listen`.
    ///
    /// On a loopback address only requests to it by a local name, or by one of `hosts`, pass: a
    /// page that a browser has from elsewhere cannot reach the server behind under its own name.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn new(to: Url, listen: IpAddr, hosts: Vec<String>, tap: Tap) -> Result<Gateway> {
        crate::client::prepare_tls();
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .build()
            .context("preparing connections to the server")?;
        Ok(Gateway {
            client,
            to,
            tap: Arc::new(tap),
            hosts: listen.is_loopback().then_some(hosts),
        })
    }

    /// Passes a request of `peer` and returns the answer as it begins.
    pub async fn pass(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Answer> {
        let exchange = self.tap.begin(request_head(&request));
        let guard = Guard(exchange.clone());
        if !self.is_for_us(&request) {
            let text = "this host is not allowed here";
            return refused(guard, StatusCode::FORBIDDEN, text, None);
        }
        let back = Back::default();
        let Some(onward) = self.onward(request, peer, &exchange, &back) else {
            let text = "the request's target cannot be passed on";
            return refused(guard, StatusCode::BAD_REQUEST, text, None);
        };
        let answer = self.client.execute(onward).await;
        match answer {
            Ok(answer) => passed(answer.into(), guard),
            Err(error) => {
                back.read(&exchange).await;
                let (status, kind) = fault(&error);
                let detail = text_of(error.without_url());
                let end = End::ServerFailed {
                    kind,
                    detail: detail.clone(),
                };
                refused(guard, status, &detail, Some(end))
            }
        }
    }

    fn is_for_us(&self, request: &Request<Incoming>) -> bool {
        let Some(hosts) = &self.hosts else {
            return true;
        };
        let Some(host) = host_of(request.uri(), request.headers()) else {
            return false;
        };
        is_local(&host)
            || hosts
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(&host))
    }

    fn onward(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        exchange: &Exchange,
        back: &Back,
    ) -> Option<reqwest::Request> {
        let (parts, body) = request.into_parts();
        let url = target(&self.to, &parts.uri)?;
        let mut onward = reqwest::Request::new(parts.method, url);
        *onward.headers_mut() = onward_headers(&parts.uri, parts.headers, peer);
        if !body.is_end_stream() {
            let body = Sent {
                body: Some(body),
                exchange: exchange.clone(),
                back: back.clone(),
            };
            *onward.body_mut() = Some(reqwest::Body::wrap(body));
        }
        Some(onward)
    }
}

/// Where a request goes: `/` is the address as it was given, anything else the same path there.
pub fn target(to: &Url, uri: &Uri) -> Option<Url> {
    let path = uri.path_and_query()?;
    if path.path() == "/" {
        let mut url = to.clone();
        if let Some(query) = path.query() {
            url.set_query(Some(query));
        }
        return Some(url);
    }
    let origin = to.origin().ascii_serialization();
    Url::parse(&format!("{origin}{}", path.as_str())).ok()
}

/// The name by which a request calls us, without the port.
fn host_of(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    if let Some(host) = uri.host() {
        return Some(host.trim_matches(['[', ']']).to_string());
    }
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let authority: hyper::http::uri::Authority = host.parse().ok()?;
    Some(authority.host().trim_matches(['[', ']']).to_string())
}

fn is_local(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let is_loopback = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    is_loopback || host == "localhost" || host.ends_with(".localhost")
}

fn without_connection(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    for name in named {
        headers.remove(name.as_str());
    }
    for name in OF_A_CONNECTION {
        headers.remove(name);
    }
    headers.remove(PROXY_CONNECTION);
}

fn onward_headers(uri: &Uri, mut headers: HeaderMap, peer: SocketAddr) -> HeaderMap {
    let host = headers.remove(header::HOST);
    without_connection(&mut headers);
    headers.remove(header::EXPECT);
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    headers.append(header::VIA, VIA);
    let before = headers
        .get(&FORWARDED_FOR)
        .and_then(|value| value.to_str().ok());
    let chain = match before {
        Some(before) => format!("{before}, {}", peer.ip()),
        None => peer.ip().to_string(),
    };
    let chain = HeaderValue::from_str(&chain).ok();
    let host = host.or_else(|| HeaderValue::from_str(uri.authority()?.as_str()).ok());
    let proto = Some(HeaderValue::from_static("http"));
    for (name, value) in [(FORWARDED_HOST, host), (FORWARDED_PROTO, proto)] {
        if let Some(value) = value
            && !headers.contains_key(&name)
        {
            headers.insert(name, value);
        }
    }
    if let Some(chain) = chain {
        headers.insert(FORWARDED_FOR, chain);
    }
    headers
}

fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn encoding(headers: &HeaderMap) -> Option<String> {
    text(headers, header::CONTENT_ENCODING).filter(|name| !name.eq_ignore_ascii_case("identity"))
}

fn request_head(request: &Request<Incoming>) -> RequestHead {
    let headers = request.headers();
    let path = request.uri().path_and_query();
    RequestHead {
        method: request.method().to_string(),
        path: path.map_or_else(|| "/".to_string(), ToString::to_string),
        http_version: match request.version() {
            Version::HTTP_10 => "1.0",
            Version::HTTP_2 => "2",
            _ => "1.1",
        },
        content_length: text(headers, header::CONTENT_LENGTH).and_then(|text| text.parse().ok()),
        content_type: text(headers, header::CONTENT_TYPE),
        content_encoding: encoding(headers),
        session_id: text(headers, "mcp-session-id"),
        protocol_version: text(headers, "mcp-protocol-version"),
        mcp_method: text(headers, "mcp-method"),
        mcp_name: text(headers, "mcp-name"),
        traceparent: text(headers, "traceparent"),
    }
}

fn answer_head(status: StatusCode, headers: &HeaderMap) -> AnswerHead {
    AnswerHead {
        status: status.as_u16(),
        content_type: text(headers, header::CONTENT_TYPE),
        content_encoding: encoding(headers),
        session_id: text(headers, "mcp-session-id"),
    }
}

/// The answer of the server behind, on its way to the client.
pub fn passed(answer: Response<reqwest::Body>, guard: Guard) -> Response<Answer> {
    let (mut parts, body) = answer.into_parts();
    without_connection(&mut parts.headers);
    guard.0.answer(answer_head(parts.status, &parts.headers));
    let mut onward = Response::new(Answer {
        inner: Inner::Passed(Box::pin(body)),
        guard,
    });
    *onward.status_mut() = parts.status;
    *onward.headers_mut() = parts.headers;
    onward
}

/// An answer of our own; `end` says what went wrong behind us.
fn refused(guard: Guard, status: StatusCode, detail: &str, end: Option<End>) -> Response<Answer> {
    let problem = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": detail,
    });
    let text = Bytes::from(problem.to_string());
    let mut answer = Response::new(Answer {
        inner: Inner::Own(Some(text)),
        guard,
    });
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("application/problem+json");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    let exchange = &answer.body().guard.0;
    exchange.answer(answer_head(status, answer.headers()));
    if let Some(end) = end {
        exchange.end(end);
    }
    answer
}

/// Status and kind of a failure behind us.
fn fault(error: &reqwest::Error) -> (StatusCode, &'static str) {
    if error.is_timeout() {
        (StatusCode::GATEWAY_TIMEOUT, "timeout")
    } else if error.is_connect() {
        (StatusCode::BAD_GATEWAY, "connect")
    } else {
        (StatusCode::BAD_GATEWAY, "broken")
    }
}

/// An error with what caused it.
fn text_of(error: impl Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}

/// Ends the exchange when nobody holds it any more.
#[derive(Debug)]
pub struct Guard(pub Exchange);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.end(End::ClientClosed);
    }
}

/// Where the body of a request is found that the server did not take.
#[derive(Clone, Debug, Default)]
struct Back(Arc<Mutex<Option<Incoming>>>);

impl Back {
    /// Reads for the record what the server will not read.
    async fn read(&self, exchange: &Exchange) {
        let Some(mut body) = self.lock().take() else {
            return;
        };
        let all = async {
            let mut bytes_read = 0;
            while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                let Ok(frame) = frame else {
                    return false;
                };
                if let Some(bytes) = frame.data_ref() {
                    bytes_read += bytes.len();
                    exchange.bytes(Side::Request, bytes);
                }
                if bytes_read > REST_BYTES_MAX {
                    return false;
                }
            }
            true
        };
        let is_whole = tokio::time::timeout(REST_MAX, all).await.unwrap_or(false);
        exchange.request_end(is_whole);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Incoming>> {
        // There is nothing to be found half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of a request on its way to the server.
struct Sent {
    /// Until it is over.
    body: Option<Incoming>,
    exchange: Exchange,
    back: Back,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        // Told before the last piece is sent: its answer cannot be first then.
        let is_over = body.is_end_stream() || !matches!(frame, Some(Ok(_)));
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            self.exchange.bytes(Side::Request, bytes);
        }
        if is_over {
            self.body = None;
            self.exchange.request_end(!matches!(frame, Some(Err(_))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.as_ref();
        body.map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            *self.back.lock() = Some(body);
        }
    }
}

/// The body of an answer on its way to the client.
#[derive(Debug)]
pub struct Answer {
    inner: Inner,
    guard: Guard,
}

#[derive(Debug)]
enum Inner {
    Passed(Pin<Box<reqwest::Body>>),
    Own(Option<Bytes>),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, reqwest::Error>>> {
        let frame = match &mut self.inner {
            Inner::Own(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Inner::Passed(body) => ready!(body.as_mut().poll_frame(cx)),
        };
        let exchange = &self.guard.0;
        match &frame {
            Some(Ok(frame)) => {
                if let Some(bytes) = frame.data_ref() {
                    exchange.bytes(Side::Answer, bytes);
                }
            }
            Some(Err(error)) => exchange.end(End::ServerFailed {
                kind: fault(error).1,
                detail: text_of(error),
            }),
            None => exchange.end(End::Complete),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Own(bytes) => bytes.is_none(),
            Inner::Passed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Inner::Passed(body) => body.size_hint(),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // Whoever has all that was announced does not ask for more.
        if self.is_end_stream() {
            self.guard.0.end(End::Complete);
        }
    }
}

/// The answer to a request, for a service that cannot fail.
pub async fn serve(
    gateway: Arc<Gateway>,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response<Answer>, Infallible> {
    if request.method() == Method::CONNECT {
        let guard = Guard(gateway.tap.begin(request_head(&request)));
        let text = "this is no proxy for tunnels";
        return Ok(refused(guard, StatusCode::METHOD_NOT_ALLOWED, text, None));
    }
    Ok(gateway.pass(request, peer).await)
}
