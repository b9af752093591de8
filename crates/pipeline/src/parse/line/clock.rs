//! Dates and times at the start of a line.
use super::Context;
use jiff::{civil, tz::TimeZone};
use taffrail_model::time::{NS_PER_DAY, NS_PER_S, Timestamp, days_from_civil};

/// How the date and time at the start of a line are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `2026-01-04T15:30:45.123Z`: with a zone after a `T`.
    Zoned,
    /// `2026-01-04 15:30:45,123`, with or without a zone.
    Dashes,
    /// `2026/01/04 15:30:45`.
    Slashes,
    /// `26/01/04 15:30:45`.
    ShortSlashes,
    /// `[2026-01-04 15:30:45`; what follows begins inside the bracket.
    Bracket,
}

/// A date and time, and what follows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) style: Style,
    pub(super) time: Timestamp,
    pub(super) rest: &'a str,
}

/// Abbreviations of zones that logs are written in, with their offset in seconds.
const ZONES: &[(&str, i64)] = &[
    ("UTC", 0),
    ("GMT", 0),
    ("WET", 0),
    ("WEST", 3_600),
    ("BST", 3_600),
    ("CET", 3_600),
    ("CEST", 7_200),
    ("EET", 7_200),
    ("EEST", 10_800),
    ("MSK", 10_800),
    ("JST", 32_400),
    ("KST", 32_400),
    ("EST", -18_000),
    ("EDT", -14_400),
    ("CDT", -18_000),
    ("MST", -25_200),
    ("MDT", -21_600),
    ("PST", -28_800),
    ("PDT", -25_200),
];

/// The date and time at the start of `line`.
pub(super) fn head<'a>(line: &'a str, context: &Context<'_>) -> Option<Head<'a>> {
    match line.strip_prefix('[') {
        Some(inner) => dated(inner, context).map(|head| Head {
            style: Style::Bracket,
            ..head
        }),
        None => dated(line, context),
    }
}

fn dated<'a>(line: &'a str, context: &Context<'_>) -> Option<Head<'a>> {
    let bytes = line.as_bytes();
    let (year, month, day, at, mut style) = match bytes {
        [b'0'..=b'9', _, _, _, separator @ (b'-' | b'/'), ..] => {
            let year = number(bytes, 0, 4)?;
            let style = match separator {
                b'-' => Style::Dashes,
                _ => Style::Slashes,
            };
            (bytes.get(7) == Some(separator)).then_some(())?;
            (year, number(bytes, 5, 2)?, number(bytes, 8, 2)?, 10, style)
        }
        [b'0'..=b'9', _, b'/', _, _, b'/', ..] => (
            2_000 + number(bytes, 0, 2)?,
            number(bytes, 3, 2)?,
            number(bytes, 6, 2)?,
            8,
            Style::ShortSlashes,
        ),
        _ => return None,
    };
    let separator = *bytes.get(at)?;
    matches!(separator, b'T' | b't' | b' ').then_some(())?;
    let (second_ns, at) = time_of_day(bytes, at + 1)?;
    let (offset, at) = offset(bytes, at);
    if separator != b' ' && offset.is_some() && style == Style::Dashes {
        style = Style::Zoned;
    }
    if bytes.get(at).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let days = days_from_civil(year, month, day)?;
    Some(Head {
        style,
        time: to_utc(days, second_ns, offset, context.zone)?,
        rest: line.get(at..)?,
    })
}

/// `Jan  4 15:30:45` at the start of `line`, which has no year: the latest such time that is not
/// more than a day ahead of receipt; and what follows.
pub(super) fn month_head<'a>(line: &'a str, context: &Context<'_>) -> Option<(Timestamp, &'a str)> {
    let month = month_number(line.get(..3)?)?;
    let bytes = line.as_bytes();
    (bytes.get(3) == Some(&b' ')).then_some(())?;
    let (day, at) = match (bytes.get(4)?, bytes.get(5)?, bytes.get(6)?) {
        (b' ', b'0'..=b'9', b' ') => (number(bytes, 5, 1)?, 6),
        (b'0'..=b'9', b' ', _) => (number(bytes, 4, 1)?, 5),
        (b'0'..=b'9', b'0'..=b'9', b' ') => (number(bytes, 4, 2)?, 6),
        _ => return None,
    };
    let (second_ns, at) = time_of_day(bytes, at + 1)?;
    let time = without_year(month, day, second_ns, context)?;
    Some((time, line.get(at..)?))
}

/// The latest time with this month, day and time of day that is not more than a day ahead of
/// receipt.
pub(super) fn without_year(
    month: i64,
    day: i64,
    second_ns: i64,
    context: &Context<'_>,
) -> Option<Timestamp> {
    let latest = context.received.0.saturating_add(NS_PER_DAY);
    let this_year = 1970 + context.received.0.div_euclid(NS_PER_DAY) / 365;
    // February 29 is up to eight years back; one year ahead for the days around New Year.
    (0..=9).find_map(|back| {
        let days = days_from_civil(this_year + 1 - back, month, day)?;
        to_utc(days, second_ns, None, context.zone).filter(|time| time.0 <= latest)
    })
}

/// `04/Jan/2026:15:30:45 +0100` at the start of `text`, and what follows.
pub(super) fn access_time(text: &str) -> Option<(Timestamp, &str)> {
    let bytes = text.as_bytes();
    let day = number(bytes, 0, 2)?;
    let month = month_number(text.get(3..6)?)?;
    let year = number(bytes, 7, 4)?;
    (bytes.get(2) == Some(&b'/') && bytes.get(6) == Some(&b'/') && bytes.get(11) == Some(&b':'))
        .then_some(())?;
    let (second_ns, at) = time_of_day(bytes, 12)?;
    let (offset, at) = offset(bytes, at);
    let days = days_from_civil(year, month, day)?;
    let time = to_utc(days, second_ns, Some(offset?), &TimeZone::UTC)?;
    Some((time, text.get(at..)?))
}

/// `Sun Jan 04 15:30:45.123456 2026` at the start of `text`, and what follows.
pub(super) fn apache_time<'a>(
    text: &'a str,
    context: &Context<'_>,
) -> Option<(Timestamp, &'a str)> {
    let month = month_number(text.get(4..7)?)?;
    let bytes = text.as_bytes();
    let day = match bytes.get(8)? {
        b' ' => number(bytes, 9, 1)?,
        _ => number(bytes, 8, 2)?,
    };
    let (second_ns, at) = time_of_day(bytes, 11)?;
    let is_spaced = [3, 7, 10, at]
        .iter()
        .all(|at| bytes.get(*at) == Some(&b' '));
    let year = number(bytes, at + 1, 4)?;
    let days = days_from_civil(year, month, day)?;
    let time = to_utc(days, second_ns, None, context.zone)?;
    is_spaced.then_some((time, text.get(at + 5..)?))
}

/// `hh:mm:ss` with up to nine decimals after `.` or `,` at `at`: ns since midnight, and the end.
pub(super) fn time_of_day(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let (hour, minute, second) = (
        number(bytes, at, 2)?,
        number(bytes, at + 3, 2)?,
        number(bytes, at + 6, 2)?,
    );
    let has_shape = bytes.get(at + 2) == Some(&b':') && bytes.get(at + 5) == Some(&b':');
    if !has_shape || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut end = at + 8;
    let mut ns = 0;
    if matches!(bytes.get(end), Some(b'.' | b',')) && is_digit(bytes, end + 1) {
        end += 1;
        let mut scale = NS_PER_S / 10;
        while is_digit(bytes, end) {
            ns += i64::from(bytes[end] - b'0') * scale;
            scale /= 10;
            end += 1;
        }
    }
    Some(((hour * 3_600 + minute * 60 + second) * NS_PER_S + ns, end))
}

/// The zone at `at`, in seconds, after a blank or not, and its end.
fn offset(bytes: &[u8], at: usize) -> (Option<i64>, usize) {
    if matches!(bytes.get(at), Some(b'Z' | b'z')) {
        return (Some(0), at + 1);
    }
    let start = at + usize::from(bytes.get(at) == Some(&b' '));
    if let Some((offset, end)) = numeric_offset(bytes, start) {
        return (Some(offset), end);
    }
    let name_end = start
        + bytes
            .get(start..)
            .unwrap_or_default()
            .iter()
            .take_while(|b| b.is_ascii_uppercase())
            .count();
    let name = bytes.get(start..name_end).unwrap_or_default();
    match ZONES.iter().find(|(zone, _)| zone.as_bytes() == name) {
        Some((_, offset)) if start > at => (Some(*offset), name_end),
        _ => (None, at),
    }
}

fn numeric_offset(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let sign = match bytes.get(at)? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = number(bytes, at + 1, 2)?;
    let (minutes, end) = match bytes.get(at + 3) {
        Some(b':') => (number(bytes, at + 4, 2)?, at + 6),
        Some(byte) if byte.is_ascii_digit() => (number(bytes, at + 3, 2)?, at + 5),
        _ => (0, at + 3),
    };
    (hours <= 23 && minutes <= 59).then_some((sign * (hours * 3_600 + minutes * 60), end))
}

/// The UTC time of a local one; without an offset the zone decides.
fn to_utc(days: i64, second_ns: i64, offset: Option<i64>, zone: &TimeZone) -> Option<Timestamp> {
    let local = days.checked_mul(NS_PER_DAY)?.checked_add(second_ns)?;
    if let Some(offset) = offset {
        return local.checked_sub(offset * NS_PER_S).map(Timestamp);
    }
    if zone == &TimeZone::UTC {
        return Some(Timestamp(local));
    }
    let wall = jiff::Timestamp::from_nanosecond(i128::from(local)).ok()?;
    let wall: civil::DateTime = TimeZone::UTC.to_datetime(wall);
    let time = wall.to_zoned(zone.clone()).ok()?.timestamp();
    i64::try_from(time.as_nanosecond()).ok().map(Timestamp)
}

pub(super) fn number(bytes: &[u8], at: usize, digits: usize) -> Option<i64> {
    bytes
        .get(at..at + digits)?
        .iter()
        .try_fold(0i64, |sum, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + i64::from(byte - b'0'))
        })
}

fn is_digit(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(u8::is_ascii_digit)
}

fn month_number(name: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    MONTHS
        .iter()
        .position(|month| month.eq_ignore_ascii_case(name))
        .map(|place| place as i64 + 1)
}
