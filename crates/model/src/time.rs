//! Points in time, UTC days and the times that people write in queries.
use jiff::{Span, Zoned, civil, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// Nanoseconds in a second.
pub const NS_PER_S: i64 = 1_000_000_000;
/// Nanoseconds in a day.
pub const NS_PER_DAY: i64 = 86_400 * NS_PER_S;

impl Timestamp {
    /// The earliest time that a record may have: 1970-01-01, where [`Day`] begins.
    pub const MIN: Timestamp = Timestamp(0);
    /// The latest time that a record may have: the end of day 65,535 (2149-06-06).
    pub const MAX: Timestamp = Timestamp(65_536 * NS_PER_DAY - 1);

    /// The UTC day, if the time lies between [`Timestamp::MIN`] and [`Timestamp::MAX`].
    #[must_use]
    pub fn day(self) -> Option<Day> {
        u16::try_from(self.0.div_euclid(NS_PER_DAY)).ok().map(Day)
    }

    /// Seconds since 1970, rounded down.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(NS_PER_S)
    }

    /// RFC 3339 in UTC with as many of 0, 3, 6 or 9 decimals as the value needs.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        self.to_string()
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or_default();
        let civil = TimeZone::UTC.to_datetime(time);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            civil.year(),
            civil.month(),
            civil.day(),
            civil.hour(),
            civil.minute(),
            civil.second()
        )?;
        let ns = civil.subsec_nanosecond();
        if ns == 0 {
            write!(f, "Z")
        } else if ns % 1_000_000 == 0 {
            write!(f, ".{:03}Z", ns / 1_000_000)
        } else if ns % 1_000 == 0 {
            write!(f, ".{:06}Z", ns / 1_000)
        } else {
            write!(f, ".{ns:09}Z")
        }
    }
}

/// A UTC day: days since 1970-01-01, up to 2149-06-06.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub u16);

impl Day {
    /// Midnight at its beginning.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp(i64::from(self.0) * NS_PER_DAY)
    }

    /// Its last nanosecond.
    #[must_use]
    pub fn end(self) -> Timestamp {
        Timestamp(self.start().0 + NS_PER_DAY - 1)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", &self.start().to_rfc3339()[..10])
    }
}

/// A range of time, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeRange {
    /// First nanosecond.
    pub start: Timestamp,
    /// Last nanosecond.
    pub end: Timestamp,
}

impl TimeRange {
    /// Every time that a record may have.
    pub const ALL: TimeRange = TimeRange {
        start: Timestamp::MIN,
        end: Timestamp::MAX,
    };

    /// Whether `time` lies in the range.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.start <= time && time <= self.end
    }

    /// Whether the two ranges share a nanosecond.
    #[must_use]
    pub fn overlaps(&self, start: Timestamp, end: Timestamp) -> bool {
        self.start <= end && start <= self.end
    }
}

/// Why a time or duration could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unreadable time {text:?}: use RFC 3339 (2026-01-04T14:00:00Z), `2026-01-04 14:00`, epoch s, ms, µs or ns, `now`, `now-15m`, `1h ago`, `today` or `yesterday`"
)]
pub struct TimeError {
    /// What was given.
    pub text: String,
}

/// Why a duration could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unreadable duration {text:?}: use a number with ms, s, m, h, d or w, such as 15m")]
pub struct DurationError {
    /// What was given.
    pub text: String,
}

/// Reads a duration such as `500ms`, `15m`, `24h`, `7d`, `2w` into nanoseconds, positive.
///
/// # Errors
/// [`DurationError`] for anything else, zero and overflow included.
pub fn parse_duration(text: &str) -> Result<i64, DurationError> {
    let fault = || DurationError {
        text: text.to_owned(),
    };
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let count: i64 = text[..digits].parse().map_err(|_| fault())?;
    let unit = match text[digits..].trim() {
        "ms" => 1_000_000,
        "s" | "sec" | "second" | "seconds" => NS_PER_S,
        "m" | "min" | "minute" | "minutes" => 60 * NS_PER_S,
        "h" | "hour" | "hours" => 3_600 * NS_PER_S,
        "d" | "day" | "days" => NS_PER_DAY,
        "w" | "week" | "weeks" => 7 * NS_PER_DAY,
        _ => return Err(fault()),
    };
    match count.checked_mul(unit) {
        Some(ns) if ns > 0 => Ok(ns),
        _ => Err(fault()),
    }
}

/// Reads a point in time as people write it in a query: RFC 3339, `2026-01-04`,
/// `2026-01-04 14:00[:05[.123]]` (in `zone`), epoch numbers, `now`, `now-15m`, `now+1h`,
/// `1h ago`, `today`, `yesterday` (midnights in `zone`).
///
/// # Errors
/// [`TimeError`] for anything else.
pub fn parse_time(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, TimeError> {
    let fault = || TimeError {
        text: text.to_owned(),
    };
    let trimmed = text.trim();
    if let Some(rest) = trimmed.strip_prefix("now") {
        let rest = rest.trim();
        let shift = match (rest.strip_prefix('-'), rest.strip_prefix('+')) {
            _ if rest.is_empty() => 0,
            (Some(back), _) => -parse_duration(back.trim()).map_err(|_| fault())?,
            (_, Some(ahead)) => parse_duration(ahead.trim()).map_err(|_| fault())?,
            _ => return Err(fault()),
        };
        return now.0.checked_add(shift).map(Timestamp).ok_or_else(fault);
    }
    if let Some(back) = trimmed.strip_suffix("ago") {
        let back = parse_duration(back.trim()).map_err(|_| fault())?;
        return now.0.checked_sub(back).map(Timestamp).ok_or_else(fault);
    }
    if trimmed == "today" || trimmed == "yesterday" {
        let zoned = jiff::Timestamp::from_nanosecond(i128::from(now.0))
            .map_err(|_| fault())?
            .to_zoned(zone.clone());
        let days = i64::from(trimmed == "yesterday");
        let midnight = zoned
            .start_of_day()
            .and_then(|midnight| midnight.checked_sub(Span::new().days(days)))
            .map_err(|_| fault())?;
        return from_jiff(midnight.timestamp()).ok_or_else(fault);
    }
    if let Some(time) = parse_epoch(trimmed).or_else(|| parse_rfc3339(trimmed)) {
        return Ok(time);
    }
    let civil: civil::DateTime = trimmed
        .parse()
        .or_else(|_| trimmed.parse::<civil::Date>().map(civil::DateTime::from))
        .or_else(|_| civil::DateTime::strptime("%Y-%m-%d %H:%M", trimmed))
        .or_else(|_| civil::DateTime::strptime("%Y-%m-%dT%H:%M", trimmed))
        .map_err(|_| fault())?;
    let zoned: Zoned = civil.to_zoned(zone.clone()).map_err(|_| fault())?;
    from_jiff(zoned.timestamp()).ok_or_else(fault)
}

fn from_jiff(time: jiff::Timestamp) -> Option<Timestamp> {
    i64::try_from(time.as_nanosecond()).ok().map(Timestamp)
}

/// Reads an epoch number as text: seconds (with decimals), ms, µs or ns, told apart by magnitude.
/// Up to 1e11 it is seconds (until year 5138), up to 1e14 ms, up to 1e17 µs, else ns.
#[must_use]
pub fn parse_epoch(text: &str) -> Option<Timestamp> {
    let (whole, decimals) = match text.split_once('.') {
        Some((whole, decimals)) => (whole, decimals),
        None => (text, ""),
    };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    if digits.is_empty()
        || !digits.bytes().all(|b| b.is_ascii_digit())
        || !decimals.bytes().all(|b| b.is_ascii_digit())
    {
        return exponent_epoch(text);
    }
    let whole: i64 = whole.parse().ok()?;
    let unit: i64 = match whole.unsigned_abs() {
        0..100_000_000_000 => NS_PER_S,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    let mut ns = whole.checked_mul(unit)?;
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let mut scale = unit / 10;
    for digit in decimals.bytes() {
        ns = ns.checked_add(sign * i64::from(digit - b'0') * scale)?;
        scale /= 10;
    }
    Some(Timestamp(ns))
}

/// A JSON number with an exponent, such as `1.7e9`, which some serialisers write.
fn exponent_epoch(text: &str) -> Option<Timestamp> {
    if !text.contains(['e', 'E']) || !text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    let unit = match value.abs() {
        x if x < 1e11 => 1e9,
        x if x < 1e14 => 1e6,
        x if x < 1e17 => 1e3,
        _ => 1.0,
    };
    let ns = value * unit;
    // The cast is exact: the bound keeps it inside i64.
    (ns.is_finite() && ns.abs() < 9.2e18).then_some(Timestamp(ns as i64))
}

/// Reads RFC 3339 with a zone (`Z`, `z`, `±hh:mm`, `±hhmm`, `±hh`), `T`, `t` or a blank between
/// date and time, `.` or `,` before 1-9 decimals (more are cut). A leap second is the second
/// after it.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let two = |at: usize| -> Option<i64> {
        let (a, b) = (
            bytes.get(at)?.wrapping_sub(b'0'),
            bytes.get(at + 1)?.wrapping_sub(b'0'),
        );
        (a < 10 && b < 10).then(|| i64::from(a) * 10 + i64::from(b))
    };
    let is = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|b| set.contains(b));
    let year = two(0)? * 100 + two(2)?;
    let (month, day) = (two(5)?, two(8)?);
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut at = 19;
    let mut ns = 0;
    if is(at, b".,") {
        at += 1;
        let mut scale = NS_PER_S / 10;
        let start = at;
        while let Some(digit) = bytes
            .get(at)
            .map(|b| b.wrapping_sub(b'0'))
            .filter(|d| *d < 10)
        {
            ns += i64::from(digit) * scale;
            scale /= 10;
            at += 1;
        }
        if at == start {
            return None;
        }
    }
    let offset_s = match &bytes[at..] {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), rest @ ..] => {
            let hours = two(at + 1)?;
            let minutes = match rest.len() {
                2 => 0,
                4 => two(at + 3)?,
                5 if rest[2] == b':' => two(at + 4)?,
                _ => return None,
            };
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 3_600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let days = days_from_civil(year, month, day)?;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset_s;
    seconds
        .checked_mul(NS_PER_S)?
        .checked_add(ns)
        .map(Timestamp)
}

/// Days since 1970-01-01 of a date of the Gregorian calendar, or `None` if there is no such date.
#[must_use]
pub fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let date = civil::Date::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
    )
    .ok()?;
    let epoch = civil::Date::constant(1970, 1, 1);
    Some(i64::from((date - epoch).get_days()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc(text: &str) -> String {
        parse_rfc3339(text).map_or("-".into(), |t| t.to_rfc3339())
    }

    #[test]
    fn rfc3339_forms() {
        assert_eq!(rfc("2026-01-04T15:30:45Z"), "2026-01-04T15:30:45Z");
        assert_eq!(
            rfc("2026-01-04T15:30:45.123456Z"),
            "2026-01-04T15:30:45.123456Z"
        );
        assert_eq!(
            rfc("2026-01-04T15:30:45.1234567891234Z"),
            "2026-01-04T15:30:45.123456789Z"
        );
        assert_eq!(
            rfc("2026-01-04 15:30:45,123+02:00"),
            "2026-01-04T13:30:45.123Z"
        );
        assert_eq!(rfc("2026-01-04t15:30:45-0530"), "2026-01-04T21:00:45Z");
        assert_eq!(rfc("2026-01-04T15:30:45+02"), "2026-01-04T13:30:45Z");
        assert_eq!(rfc("2024-02-29T00:00:00Z"), "2024-02-29T00:00:00Z");
        assert_eq!(rfc("2026-12-31T23:59:60Z"), "2027-01-01T00:00:00Z");
        for bad in [
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-04T24:00:00Z",
            "2026-01-04T15:30:45",
            "2026-01-04T15:30:45.Z",
            "2026-01-04",
            "",
            "yesterday",
            "2026-01-04T15:30:45+2:00",
            "2026-01-04T15:30:45Zx",
            "２026-01-04T15:30:45Z",
        ] {
            assert_eq!(rfc(bad), "-", "{bad}");
        }
    }

    #[test]
    fn epochs_are_told_apart_by_magnitude() {
        let expected = Timestamp(1_767_540_645_123_000_000);
        for text in [
            "1767540645.123",
            "1767540645123",
            "1767540645123000",
            "1767540645123000000",
        ] {
            assert_eq!(parse_epoch(text), Some(expected), "{text}");
        }
        assert_eq!(
            parse_epoch("1.767540645e9"),
            Some(Timestamp(1_767_540_645_000_000_000))
        );
        assert_eq!(parse_epoch("0"), Some(Timestamp(0)));
        assert_eq!(parse_epoch("-1.5"), Some(Timestamp(-1_500_000_000)));
        for bad in [
            "",
            "-",
            "1.2.3",
            "12x",
            "99999999999999999999",
            "1e400",
            "NaN",
        ] {
            assert_eq!(parse_epoch(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_as_people_write_them() {
        let now = parse_rfc3339("2026-01-04T15:30:45Z").unwrap();
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let check = |text: &str, zone: &TimeZone, expected: &str| {
            assert_eq!(
                parse_time(text, now, zone).unwrap().to_rfc3339(),
                expected,
                "{text}"
            );
        };
        check("now", &TimeZone::UTC, "2026-01-04T15:30:45Z");
        check("now-15m", &TimeZone::UTC, "2026-01-04T15:15:45Z");
        check("now + 1h", &TimeZone::UTC, "2026-01-04T16:30:45Z");
        check("1h ago", &TimeZone::UTC, "2026-01-04T14:30:45Z");
        check("2 days ago", &TimeZone::UTC, "2026-01-02T15:30:45Z");
        check("yesterday", &TimeZone::UTC, "2026-01-03T00:00:00Z");
        check("today", &berlin, "2026-01-03T23:00:00Z");
        check("2026-01-04 14:00", &TimeZone::UTC, "2026-01-04T14:00:00Z");
        check("2026-01-04 14:00", &berlin, "2026-01-04T13:00:00Z");
        check("2026-01-04T14:00:01.5", &berlin, "2026-01-04T13:00:01.500Z");
        check("2026-01-04", &TimeZone::UTC, "2026-01-04T00:00:00Z");
        check("1767540645", &TimeZone::UTC, "2026-01-04T15:30:45Z");
        for bad in ["", "soon", "now-", "now 5", "5 ago", "2026-99-01"] {
            assert!(parse_time(bad, now, &TimeZone::UTC).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("500ms"), Ok(500_000_000));
        assert_eq!(parse_duration("7d"), Ok(7 * NS_PER_DAY));
        for bad in ["", "5", "m", "0s", "-5m", "99999999999999w", "5y"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn days_begin_at_1970() {
        assert_eq!(Timestamp(0).day(), Some(Day(0)));
        assert_eq!(Timestamp(-1).day(), None);
        assert_eq!(Timestamp::MAX.day(), Some(Day(u16::MAX)));
        assert_eq!(Timestamp(Timestamp::MAX.0 + 1).day(), None);
        assert_eq!(Day(20_457).to_string(), "2026-01-04");
    }
}
