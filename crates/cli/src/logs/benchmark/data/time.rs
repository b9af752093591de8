//! Times of records: one after the other at random distances, over whole days.
use super::super::random::Random;
use anyhow::{Context, Result};
use jiff::civil::Date;
use std::io::Write;

/// The first day of generated data. The streams keep everything, so it may be any; it is fixed so
/// that a seed names the data to the byte.
const FIRST_DAY: (i16, i8, i8) = (2025, 6, 2);
/// Microseconds of a day.
const DAY_US: u64 = 86_400_000_000;
/// How late a record comes at most, in microseconds.
const LATE_US_MAX: u64 = 2_000_000;

/// A clock that each record moves on.
#[derive(Clone, Debug)]
pub struct Times {
    /// `2025-06-02`, one for each day.
    days: Vec<String>,
    /// Microseconds between two records on average.
    step_us: f64,
    now_us: f64,
    /// Records in a hundred that come late.
    late_percent: u64,
}

impl Times {
    /// `rows` records over `days` days.
    pub fn new(rows: u64, days: u16, late_percent: u64) -> Result<Times> {
        let first = first_day()?;
        let names = (0..days).map(|day| {
            let date = first.checked_add(jiff::Span::new().days(i64::from(day)));
            date.map(|date| date.to_string())
        });
        let days: Vec<String> = names.collect::<Result<_, _>>().context("days")?;
        Ok(Times {
            step_us: (days.len() as u64 * DAY_US) as f64 / rows.max(1) as f64,
            days,
            now_us: 0.0,
            late_percent,
        })
    }

    /// Appends the time of the next record.
    pub fn write(&mut self, out: &mut Vec<u8>, random: &mut Random) {
        self.now_us += self.step_us * random.wait();
        let end = self.days.len() as u64 * DAY_US - 1;
        let mut at = (self.now_us as u64).min(end);
        if random.percent(self.late_percent) {
            at = at.saturating_sub(random.below(LATE_US_MAX));
        }
        let (day, us) = (at / DAY_US, at % DAY_US);
        let (seconds, us) = (us / 1_000_000, us % 1_000_000);
        let [hours, minutes] = [seconds / 3_600, seconds / 60 % 60];
        // Writing to memory cannot fail.
        drop(write!(
            out,
            "{}T{hours:02}:{minutes:02}:{:02}.{us:06}Z",
            self.days[day as usize],
            seconds % 60
        ));
    }
}

/// The first day of generated data.
pub fn first_day() -> Result<Date> {
    let (year, month, day) = FIRST_DAY;
    Date::new(year, month, day).context("the first day")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fill_their_days_and_no_more() {
        let mut times = Times::new(1_000, 2, 5).unwrap();
        let mut random = Random::new(3);
        let mut texts = Vec::new();
        for _ in 0..1_200 {
            let mut out = Vec::new();
            times.write(&mut out, &mut random);
            texts.push(String::from_utf8(out).unwrap());
        }
        for text in &texts {
            assert!(text.parse::<jiff::Timestamp>().is_ok(), "{text}");
        }
        for day in ["2025-06-02", "2025-06-03"] {
            let count = texts.iter().filter(|text| text.starts_with(day)).count();
            assert!(count > 400, "{day}: {count}");
        }
        assert_eq!(texts.last().unwrap(), "2025-06-03T23:59:59.999999Z");
    }
}
