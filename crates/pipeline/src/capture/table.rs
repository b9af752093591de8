//! The default rules for captured output, as data.
use super::Origin;
use taffrail_model::level::Level;

/// One row. Every condition that is given must hold.
pub(super) struct Row<T> {
    pub(super) name: &'static str,
    /// Where the record comes from; empty: anywhere.
    pub(super) origins: &'static [Origin],
    /// Fields that the record must have, by canonical name.
    pub(super) fields: &'static [&'static str],
    pub(super) level_min: Option<Level>,
    pub(super) needs_exception: bool,
    /// Expression for the first line of the message; empty: none.
    pub(super) pattern: &'static str,
    pub(super) then: T,
}

/// An expression behind what may stand before a level: a time, brackets, a date without a year.
macro_rules! leading {
    ($level:literal) => {
        concat!(
            r"^(?:[^A-Za-z]|[0-9]T[0-9]|[0-9]Z\b){0,40}(?:[A-Z][a-z]{2} [0-9 :]{1,16})?",
            $level
        )
    };
}

const ACCESS: &str = "instance.access";
const ERROR: &str = "instance.error";
/// The stream of what no rule chooses another for.
pub(super) const OTHERWISE: &str = "instance.app";

/// Which stream a record goes to. Exceptions come first: their text may well hold a request.
pub(super) static STREAMS: &[Row<&str>] = &[
    from("http", &[Origin::Http], ACCESS),
    Row {
        needs_exception: true,
        ..pattern("exception", "", ERROR)
    },
    fields("http.method", &["http.method"]),
    fields("http.request.method", &["http.request.method"]),
    fields("http.status", &["http.status"]),
    fields("http.status_code", &["http.status_code"]),
    fields("http.response.status_code", &["http.response.status_code"]),
    // pino-http and Fastify, of which the request and the answer may be two lines.
    fields("req.method", &["req.method", "req.url"]),
    fields("res.statusCode", &["res.statusCode"]),
    // Caddy and Traefik, Google Cloud.
    fields("request.method", &["request.method"]),
    fields("RequestMethod", &["RequestMethod"]),
    fields("httpRequest", &["httpRequest.requestMethod"]),
    fields("method and path", &["method", "request_path", "status"]),
    fields("method and path", &["method", "request_path", "statusCode"]),
    fields(
        "method and path",
        &["method", "request_path", "status_code"],
    ),
    fields("method and url", &["method", "url", "status"]),
    fields("method and url", &["method", "url", "statusCode"]),
    fields("method and url", &["method", "url", "status_code"]),
    fields("method and uri", &["method", "uri", "status"]),
    // `"POST /mcp HTTP/1.1" 200`: nginx, Apache, uvicorn, gunicorn, werkzeug, morgan, urllib3.
    pattern(
        "request line",
        r#""(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS|TRACE|CONNECT|QUERY) [^" ]+ HTTP/[0-9.]+""#,
        ACCESS,
    ),
    // `HTTP Request: GET https://… "HTTP/1.1 200 OK"`: httpx.
    pattern(
        "request to",
        r"(?i:\brequest(?: to)?): ?(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (?:https?://|/)",
        ACCESS,
    ),
    // `GET /users 200 12.3 ms - 45`, `GET https://api.github.com/… 200 in 123ms`, with a time, an
    // address or an arrow before: morgan, Next.js, koa, hono.
    pattern(
        "request and status",
        r#"^[^A-Za-z"]{0,80}(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) +(?:https?://|/)\S*(?: HTTP/[0-9.]+)?(?:\s[^A-Za-z]{0,8}|\s+(?:->|=>|→|status|-)[ =:]*)[1-5][0-9][0-9]\b"#,
        ACCESS,
    ),
    pattern(
        "request with an arrow",
        r"^\s*(?:<--|-->|<-|->|←|→)\s*(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (?:https?://|/)",
        ACCESS,
    ),
    // `[GIN] … | 200 | 1.2ms | 127.0.0.1 | GET "/ping"`.
    pattern(
        "gin",
        r#"\|\s*[1-5][0-9][0-9]\s*\|.{0,100}\|\s*(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)\s+"?/"#,
        ACCESS,
    ),
    // Rails.
    pattern(
        "started",
        r#"^Started (?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) "/"#,
        ACCESS,
    ),
    pattern(
        "completed",
        r"^Completed [1-5][0-9][0-9] .{0,60} in [0-9]",
        ACCESS,
    ),
    Row {
        level_min: Some(Level::Error),
        ..pattern("level", "", ERROR)
    },
    from("stderr", &[Origin::Stderr], ERROR),
];

/// Which level a record has that says none in a way that its format knows.
pub(super) static LEVELS: &[Row<Level>] = &[
    // A level at the start, behind a time at most: in capitals, or set apart by brackets, a
    // colon or a bar.
    level(
        "critical",
        leading!(
            r"(?:(?:FATAL|CRITICAL|PANIC|EMERG|EMERGENCY|ALERT)\b|(?i:fatal|critical|panic|emerg|emergency|alert)(?i: error)?\s*[\]):>|])"
        ),
        Level::Critical,
    ),
    level(
        "error",
        leading!(r"(?:(?:ERROR|SEVERE|ERR!?)\b|(?i:error|err|severe|failure)\s*[\]):>|])"),
        Level::Error,
    ),
    level(
        "warn",
        leading!(r"(?:(?:WARN|WARNING)\b|(?i:warn|warning)\s*[\]):>|])"),
        Level::Warn,
    ),
    level(
        "info",
        leading!(r"(?:(?:INFO|NOTICE)\b|(?i:info|notice|log)\s*[\]):>|])"),
        Level::Info,
    ),
    level(
        "debug",
        leading!(r"(?:DEBUG\b|(?i:debug)\s*[\]):>|])"),
        Level::Debug,
    ),
    level(
        "trace",
        leading!(r"(?:(?:TRACE|VERBOSE)\b|(?i:trace|verbose)\s*[\]):>|])"),
        Level::Trace,
    ),
    Row {
        needs_exception: true,
        ..level("stack trace", "", Level::Error)
    },
    // `/srv/app.py:3: DeprecationWarning: …`, `(node:7) Warning: …`.
    level(
        "type of a warning",
        r"\b[A-Z][A-Za-z]*Warning: |\bWarning: ",
        Level::Warn,
    ),
    // `request failed: TypeError: …`, `npm error code …`, `KeyError: 'x'`.
    level(
        "type of an exception",
        r"(?:^|[\s.$(\[])(?:[A-Z][A-Za-z0-9]*)?(?:Error|Exception)(?: \[[A-Z_0-9]+\])?(?::|$)",
        Level::Error,
    ),
    level(
        "says error",
        r"(?i:\berror: |^\S{1,40} (?:error|err!) |\bfatal error\b|^(?:uncaught|unhandled)\b|^exception in thread\b|traceback \(most recent call last\))",
        Level::Error,
    ),
];

const fn pattern<T: Copy>(name: &'static str, pattern: &'static str, then: T) -> Row<T> {
    Row {
        name,
        origins: &[],
        fields: &[],
        level_min: None,
        needs_exception: false,
        pattern,
        then,
    }
}

const fn from(
    name: &'static str,
    origins: &'static [Origin],
    then: &'static str,
) -> Row<&'static str> {
    Row {
        origins,
        ..pattern(name, "", then)
    }
}

const fn fields(name: &'static str, fields: &'static [&'static str]) -> Row<&'static str> {
    Row {
        fields,
        ..pattern(name, "", ACCESS)
    }
}

const fn level(name: &'static str, text: &'static str, then: Level) -> Row<Level> {
    pattern(name, text, then)
}
