//! Syslog: RFC 5424, and RFC 3164 as it is written in files (without the priority) and on the
//! wire.
use super::{Context, Found, clock, layout};
use std::borrow::Cow;
use taffrail_model::{
    column::Kind,
    field,
    level::Level,
    time::{Timestamp, parse_rfc3339},
};

const HOSTNAME: &str = "metadata.hostname";
const FACILITY: &str = "syslog.facility";
/// Greatest priority: facility 23, severity 7.
const PRIORITY_MAX: u8 = 191;

/// `<165>1 2026-01-04T15:30:45Z host app 8710 ID47 [data@32473 k="v"] message`.
pub(super) fn read_5424<'a>(line: &'a str, _: &Context<'_>) -> Option<Found<'a>> {
    let (priority, rest) = priority(line)?;
    let mut parts = rest.strip_prefix("1 ")?.splitn(6, ' ');
    let mut next = || parts.next();
    let (time, host, app, process, message_id) = (next()?, next()?, next()?, next()?, next()?);
    let mut found = Found {
        time: match time {
            "-" => None,
            time => Some(parse_rfc3339(time)?),
        },
        fields: Vec::new(),
    };
    take_priority(priority, &mut found);
    for (name, text) in [
        (HOSTNAME, host),
        (field::SOURCE, app),
        ("metadata.process_id", process),
        ("syslog.message_id", message_id),
    ] {
        match text {
            "-" | "" => {}
            text if name == "metadata.process_id" && layout::is_number(text) => {
                found.integer(name, text);
            }
            text => found.text(name, text),
        }
    }
    let message = structured_data(next()?, &mut found)?;
    let message = message.strip_prefix(' ').unwrap_or(message);
    let message = message.strip_prefix('\u{feff}').unwrap_or(message);
    found.text(field::MESSAGE, message);
    Some(found)
}

/// `<34>Jan  4 15:30:45 host program[123]: message`, with or without the priority; the time may
/// be RFC 3339 too.
pub(super) fn read_3164<'a>(line: &'a str, context: &Context<'_>) -> Option<Found<'a>> {
    let (priority, rest) = match priority(line) {
        Some((priority, rest)) => (Some(priority), rest),
        None => (None, line),
    };
    let (time, rest) = time(rest, priority.is_some(), context)?;
    let mut found = Found {
        time,
        fields: Vec::new(),
    };
    if let Some(priority) = priority {
        take_priority(priority, &mut found);
    }
    let rest = rest.trim_start_matches(' ');
    // Some devices leave the host name out: then the program comes first.
    let (first, after_first) = layout::word(rest);
    let message = match take_program(rest, &mut found) {
        Some(message) => message,
        None if time.is_none() => rest,
        None => {
            if !first.is_empty() {
                found.text(HOSTNAME, first);
            }
            let rest = after_first.trim_start_matches(' ');
            take_program(rest, &mut found).unwrap_or(rest)
        }
    };
    found.text(field::MESSAGE, message);
    Some(found)
}

/// A time is needed unless a priority says already that this is syslog.
fn time<'a>(
    text: &'a str,
    has_priority: bool,
    context: &Context<'_>,
) -> Option<(Option<Timestamp>, &'a str)> {
    if let Some((time, rest)) = clock::month_head(text, context) {
        return rest.starts_with(' ').then_some((Some(time), rest));
    }
    if !has_priority {
        return None;
    }
    match clock::head(text, context) {
        Some(head) if head.rest.starts_with(' ') => Some((Some(head.time), head.rest)),
        _ => Some((None, text)),
    }
}

fn take_program<'a>(text: &'a str, found: &mut Found<'a>) -> Option<&'a str> {
    let (word, rest) = layout::word(text);
    layout::program(word.strip_suffix(':')?, found)?;
    Some(rest.trim_start_matches(' '))
}

/// The priority in angle brackets, and what follows.
fn priority(line: &str) -> Option<(u8, &str)> {
    let (digits, rest) = line.strip_prefix('<')?.split_once('>')?;
    let is_number = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let priority: u8 = is_number.then_some(digits)?.parse().ok()?;
    (priority <= PRIORITY_MAX).then_some((priority, rest))
}

fn take_priority(priority: u8, found: &mut Found<'_>) {
    if let Some(level) = Level::from_syslog(priority % 8) {
        found.text(field::LEVEL, level.name());
    }
    let facility = (priority / 8).to_string();
    found
        .fields
        .push((Cow::Borrowed(FACILITY), Kind::Integer, Cow::Owned(facility)));
}

/// Takes in the structured data that `text` begins with; what follows it.
fn structured_data<'a>(text: &'a str, found: &mut Found<'a>) -> Option<&'a str> {
    if let Some(rest) = text.strip_prefix('-') {
        return Some(rest);
    }
    let mut rest = text;
    rest.starts_with('[').then_some(())?;
    while let Some(element) = rest.strip_prefix('[') {
        let id_end = element.find([' ', ']'])?;
        let (id, mut inside) = element.split_at(id_end);
        loop {
            inside = inside.trim_start_matches(' ');
            if let Some(after) = inside.strip_prefix(']') {
                rest = after;
                break;
            }
            let (name, after) = inside.split_once("=\"")?;
            let (value, after) = parameter(after)?;
            let name = format!("{id}.{name}");
            found.fields.push((Cow::Owned(name), Kind::String, value));
            inside = after;
        }
    }
    Some(rest)
}

/// The value of a parameter up to its closing quote, unescaped, and what follows.
fn parameter(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut has_escape = false;
    loop {
        match bytes.get(at)? {
            b'"' => break,
            b'\\' if matches!(bytes.get(at + 1), Some(b'"' | b'\\' | b']')) => {
                has_escape = true;
                at += 2;
            }
            _ => at += 1,
        }
    }
    let raw = &text[..at];
    let value = match has_escape {
        false => Cow::Borrowed(raw),
        true => {
            let mut out = String::with_capacity(raw.len());
            let mut chars = raw.chars().peekable();
            while let Some(c) = chars.next() {
                match (c, chars.peek()) {
                    ('\\', Some('"' | '\\' | ']')) => out.extend(chars.next()),
                    _ => out.push(c),
                }
            }
            Cow::Owned(out)
        }
    };
    Some((value, &text[at + 1..]))
}
