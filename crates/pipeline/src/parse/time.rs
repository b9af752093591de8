//! Timestamps: every form that a record may carry becomes nanoseconds since 1970.
//!
//! The common form, `2026-01-04T15:30:45.123456Z`, is read without a branch for each digit, and
//! the date of the row before is remembered, since neighbours share it.
use super::alias::keep_under;
use crate::{
    json,
    rows::{Rows, Streams},
};
use taffrail_model::{
    batch::RejectKind,
    column::{Column, ColumnSet, Kind, Value},
    field,
    limits::TIMESTAMP_AHEAD_MAX_S,
    stream::StreamDefinition,
    time::{NS_PER_DAY, NS_PER_S, Timestamp, days_from_civil, parse_epoch, parse_rfc3339},
};

/// The times of a batch.
pub(crate) struct Times {
    /// One for each row, in ns; of a row that was rejected: the receive time.
    pub(crate) timestamps: Vec<i64>,
    /// Which rows had none, so that the receive time stands there.
    pub(crate) is_missing: Vec<bool>,
}

/// Takes the column `timestamp` out and decides the time of every row. `from_lines` are times
/// that a line parser read already; in lines an unreadable time rejects nothing, since a file
/// cannot be sent again in better shape: the line gets its receive time.
pub(crate) fn resolve(
    columns: &mut ColumnSet,
    from_lines: Option<&[Option<Timestamp>]>,
    received: Timestamp,
    streams: &Streams<'_>,
    rows: &mut Rows,
) -> Times {
    let given = columns.remove(field::TIMESTAMP).unwrap_or_default();
    let count = columns.rows();
    let latest = Timestamp(received.0.saturating_add(TIMESTAMP_AHEAD_MAX_S * NS_PER_S));
    let mut times = Times {
        timestamps: Vec::with_capacity(count as usize),
        is_missing: vec![false; count as usize],
    };
    let mut originals = Column::default();
    let mut reader = TimeReader::default();
    let mut given = given.iter().peekable();
    for row in 0..count {
        let value = given
            .next_if(|(have, _)| *have == row)
            .map(|(_, value)| value)
            .filter(|value| !(value.kind == Kind::String && value.text.trim().is_empty()));
        let read = match from_lines.and_then(|times| times[row as usize]) {
            Some(time) => Read::Time(time),
            None => value.map_or(Read::Missing, |value| reader.read_checked(value)),
        };
        let time = match read {
            Read::Time(time) if time > latest => {
                match value {
                    Some(value) => originals.push(row, value.kind, value.text),
                    None => originals.push(row, Kind::String, &time.to_rfc3339()),
                }
                received
            }
            Read::FarAhead => {
                if let Some(value) = value {
                    originals.push(row, value.kind, value.text);
                }
                received
            }
            Read::Time(time) => {
                let stream = streams.of(row);
                if stream.is_expired(time, received) {
                    rows.reject(row, RejectKind::TooOld, too_old(time, stream));
                }
                time
            }
            Read::Missing => {
                times.is_missing[row as usize] = true;
                received
            }
            Read::Fault(detail) => {
                match value {
                    Some(value) if from_lines.is_some() => {
                        originals.push(row, value.kind, value.text);
                        times.is_missing[row as usize] = true;
                    }
                    _ => rows.reject(row, RejectKind::InvalidTimestamp, detail.to_owned()),
                }
                received
            }
        };
        times.timestamps.push(time.0);
    }
    keep_under(columns, field::TIMESTAMP_ORIGINAL, originals);
    times
}

fn too_old(time: Timestamp, stream: &StreamDefinition) -> String {
    format!(
        "timestamp {time} is older than the {} days that stream {} keeps",
        stream.retention_days.unwrap_or_default(),
        stream.name
    )
}

enum Read {
    Time(Timestamp),
    /// Readable, and later than a [`Timestamp`] can say.
    FarAhead,
    Missing,
    Fault(&'static str),
}

/// Reads timestamps of one batch.
#[derive(Debug, Default)]
pub(crate) struct TimeReader {
    date: [u8; 10],
    day_start_ns: i64,
}

impl TimeReader {
    fn read_checked(&mut self, value: Value<'_>) -> Read {
        match self.read(value) {
            Some(time) if time < Timestamp::MIN => Read::Fault("timestamp lies before 1970-01-01"),
            Some(time) if time > Timestamp::MAX => Read::FarAhead,
            Some(time) => Read::Time(time),
            None if is_far_ahead(value) => Read::FarAhead,
            None => Read::Fault(
                "timestamp is unreadable: use RFC 3339 with a zone (2026-01-04T15:30:45Z) or an \
                 epoch number in s, ms, µs or ns",
            ),
        }
    }

    /// The time that a value means: RFC 3339 with a zone, or an epoch number (as number or text).
    pub(crate) fn read(&mut self, value: Value<'_>) -> Option<Timestamp> {
        match value.kind {
            Kind::String => self.read_fixed_width(value.text.as_bytes()).or_else(|| {
                let text = value.text.trim();
                parse_rfc3339(text).or_else(|| parse_epoch(text))
            }),
            Kind::Integer | Kind::Float => parse_epoch(value.text),
            Kind::Bool | Kind::Json => None,
        }
    }

    /// `YYYY-MM-DDThh:mm:ss[.d{1,9}]Z` alone.
    fn read_fixed_width(&mut self, bytes: &[u8]) -> Option<Timestamp> {
        let (head, rest) = bytes.split_first_chunk::<19>()?;
        let mut faults = u8::from(head[10] != b'T') | (head[13] ^ b':') | (head[16] ^ b':');
        let mut two = |at: usize| {
            let (a, b) = (head[at].wrapping_sub(b'0'), head[at + 1].wrapping_sub(b'0'));
            faults |= u8::from(a > 9) | u8::from(b > 9);
            i64::from(a) * 10 + i64::from(b)
        };
        let (hour, minute, second) = (two(11), two(14), two(17));
        faults |= u8::from(hour > 23) | u8::from(minute > 59) | u8::from(second > 60);
        let decimals = match rest {
            [b'Z'] => &[],
            [b'.', decimals @ .., b'Z'] if (1..=9).contains(&decimals.len()) => decimals,
            _ => return None,
        };
        let mut ns = 0i64;
        for digit in decimals.iter().map(|b| b.wrapping_sub(b'0')) {
            faults |= u8::from(digit > 9);
            ns = ns * 10 + i64::from(digit);
        }
        if faults != 0 {
            return None;
        }
        const SCALE: [i64; 10] = [
            1_000_000_000,
            100_000_000,
            10_000_000,
            1_000_000,
            100_000,
            10_000,
            1_000,
            100,
            10,
            1,
        ];
        ns *= SCALE[decimals.len()];
        if head[..10] != self.date {
            self.remember_date(head)?;
        }
        let seconds = hour * 3_600 + minute * 60 + second;
        // No overflow: the day lies within the years 0-9999 that fit into i64 of ns only partly,
        // so the sum is checked.
        self.day_start_ns
            .checked_add(seconds * NS_PER_S + ns)
            .map(Timestamp)
    }

    fn remember_date(&mut self, head: &[u8; 19]) -> Option<()> {
        if head[4] != b'-' || head[7] != b'-' {
            return None;
        }
        let number = |range: std::ops::Range<usize>| {
            head[range].iter().try_fold(0i64, |sum, byte| {
                byte.is_ascii_digit()
                    .then(|| sum * 10 + i64::from(byte - b'0'))
            })
        };
        let days = days_from_civil(number(0..4)?, number(5..7)?, number(8..10)?)?;
        self.day_start_ns = days.checked_mul(NS_PER_DAY)?;
        self.date.copy_from_slice(&head[..10]);
        Some(())
    }
}

/// Whether a value that does not fit into a [`Timestamp`] is a time nonetheless: RFC 3339 goes to
/// 9999-12-31, which some write for "never", and an epoch number may be as large as it likes.
fn is_far_ahead(value: Value<'_>) -> bool {
    let text = value.text.trim();
    match value.kind {
        Kind::String => is_far_date(text) || is_large_number(text),
        Kind::Integer | Kind::Float => is_large_number(text),
        Kind::Bool | Kind::Json => false,
    }
}

/// A year after the last one of a [`Timestamp`], everything else being right: the rest is read
/// with a year that is as long.
fn is_far_date(text: &str) -> bool {
    let Some((year, rest)) = text.split_at_checked(4) else {
        return false;
    };
    if !year.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let Ok(year) = year.parse::<u32>() else {
        return false;
    };
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let stand_in = match is_leap {
        true => "2000",
        false => "2001",
    };
    year > 2149 && parse_rfc3339(&format!("{stand_in}{rest}")).is_some()
}

fn is_large_number(text: &str) -> bool {
    json::is_number(text) && !text.starts_with('-') && text.parse::<f64>().is_ok_and(|n| n >= 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: Kind, text: &str, expected: &str) {
        let found = match TimeReader::default().read_checked(Value { kind, text }) {
            Read::Time(_) => "time",
            Read::FarAhead => "far ahead",
            Read::Missing => "missing",
            Read::Fault(_) => "fault",
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn times_past_the_last_day_are_ahead_and_no_fault() {
        check(Kind::String, "2149-06-06T00:00:00Z", "time");
        check(Kind::String, "2149-06-07T00:00:00Z", "far ahead");
        check(Kind::String, "2262-04-12T00:00:00Z", "far ahead");
        check(Kind::String, "9999-12-31T23:59:59Z", "far ahead");
        check(
            Kind::String,
            " 9999-12-31T23:59:59.999999+02:00",
            "far ahead",
        );
        check(Kind::String, "2400-02-29T00:00:00Z", "far ahead");
        check(Kind::String, "2300-02-29T00:00:00Z", "fault");
        check(Kind::String, "9999-13-31T00:00:00Z", "fault");
        check(Kind::String, "9999-12-31", "fault");
        check(Kind::String, "99999-12-31T00:00:00Z", "fault");
        check(Kind::String, "1969-12-31T23:59:59Z", "fault");
        check(Kind::String, "0001-01-01T00:00:00Z", "fault");
        check(Kind::String, "never", "fault");
        check(Kind::Integer, "99999999999", "far ahead");
        check(Kind::Integer, "99999999999999999999999", "far ahead");
        check(Kind::Float, "1e300", "far ahead");
        check(Kind::String, "253402300799", "time");
        check(Kind::Integer, "-1", "fault");
        check(Kind::Integer, "-99999999999999999999999", "fault");
        check(Kind::Float, "-1e300", "fault");
        check(Kind::Bool, "true", "fault");
        check(Kind::Json, "[1]", "fault");
    }
}
