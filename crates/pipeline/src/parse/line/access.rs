//! Web servers: the access log of Apache and nginx (common and combined), Apache's error log.
use super::{Context, Found, clock, layout};
use taffrail_model::{field, level::Level};

/// `203.0.113.7 - ada [04/Jan/2026:15:30:45 +0000] "GET /a HTTP/1.1" 200 512 "ref" "agent"`.
/// The message stays the whole line: what a server adds at its end is not lost.
pub(super) fn read<'a>(line: &'a str, _: &Context<'_>) -> Option<Found<'a>> {
    let (address, rest) = layout::word(line);
    let (_, rest) = layout::word(rest.strip_prefix(' ')?);
    let (user, rest) = layout::word(rest.strip_prefix(' ')?);
    let (time, rest) = clock::access_time(rest.strip_prefix(" [")?)?;
    let (request, rest) = quoted(rest.strip_prefix("] ")?)?;
    let (status, rest) = layout::word(rest.strip_prefix(' ')?);
    let (bytes, rest) = layout::word(rest.strip_prefix(' ').unwrap_or_default());
    let is_status = status.len() == 3 && layout::is_number(status);
    is_status.then_some(())?;
    let mut found = Found::at(time);
    found.text("client.address", address);
    if user != "-" {
        found.text("client.user", user);
    }
    take_request(request, &mut found);
    found.integer("http.status", status);
    if layout::is_number(bytes) {
        found.integer("http.bytes", bytes);
    }
    let mut rest = rest;
    for name in ["http.referrer", "http.user_agent"] {
        let Some((text, after)) = rest.strip_prefix(' ').and_then(quoted) else {
            break;
        };
        if text != "-" && !text.is_empty() {
            found.text(name, text);
        }
        rest = after;
    }
    found.text(field::MESSAGE, line);
    Some(found)
}

/// `[Sun Jan 04 15:30:45.123456 2026] [core:error] [pid 123:tid 456] message`.
pub(super) fn read_apache_error<'a>(line: &'a str, context: &Context<'_>) -> Option<Found<'a>> {
    let (time, rest) = clock::apache_time(line.strip_prefix('[')?, context)?;
    let (module, rest) = rest.strip_prefix("] [")?.split_once("] ")?;
    let (logger, level) = match module.split_once(':') {
        Some((logger, level)) => (Some(logger), level),
        None => (None, module),
    };
    let mut found = Found::at(time);
    // `trace1` to `trace8` are one level.
    let level = level.trim_end_matches(|c: char| c.is_ascii_digit());
    found.text(field::LEVEL, Level::from_foreign(level)?.name());
    if let Some(logger) = logger.filter(|logger| !logger.is_empty()) {
        found.text(field::LOGGER, logger);
    }
    let message = match rest.strip_prefix("[pid ").and_then(|r| r.split_once("] ")) {
        Some((process, message)) => {
            let (process, thread) = match process.split_once(":tid ") {
                Some((process, thread)) => (process, Some(thread)),
                None => (process, None),
            };
            if layout::is_number(process) {
                found.integer("metadata.process_id", process);
            }
            if let Some(thread) = thread {
                found.text("metadata.thread", thread);
            }
            message
        }
        None => rest,
    };
    found.text(field::MESSAGE, message);
    Some(found)
}

fn take_request<'a>(request: &'a str, found: &mut Found<'a>) {
    let mut words = request.split(' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return;
    };
    let is_method =
        (3..=16).contains(&method.len()) && method.bytes().all(|b| b.is_ascii_uppercase());
    if is_method {
        found.text("http.method", method);
        found.text("request_path", path);
    }
}

/// The text between the quotes that `text` begins with, and what follows; `\"` closes nothing.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let bytes = inner.as_bytes();
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => return Some((&inner[..at], &inner[at + 1..])),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
