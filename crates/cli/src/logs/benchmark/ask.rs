//! Asks the questions over HTTP and through the library, and compares every answer with what was
//! counted.
use super::{
    library::Library,
    questions::{Ask, Pipe, Span},
    server::Server,
    tally::{Chosen, Found, Range, Tally},
};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use taffrail_model::time::Timestamp;

/// Most records of an answer that is to have all of them.
const ALL_RECORDS_MAX: usize = 10_000;
/// By how much sums of decimals may differ, relatively: they are added in another order.
const SUM_TOLERANCE: f64 = 1e-6;
/// Widths of the histogram's buckets; the first that the server's limit of buckets allows.
const WIDTHS: [(&str, u32); 3] = [("1m", 1_440), ("10m", 144), ("1h", 24)];
/// Buckets that a histogram may have.
const BUCKETS_MAX: u32 = 5_000;

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// What was counted.
    Right,
    /// Not compared.
    Unchecked,
    /// Something else.
    Wrong(String),
    /// The server does not take such a question.
    NotAvailable(String),
}

/// How a question is put, and what is known of its answer.
pub struct Scene<'a> {
    pub stream: &'a str,
    /// Times of everything and of the hour; `None`: no limit.
    pub day: Option<Range>,
    pub hour: Range,
    pub days: u16,
    /// What was counted of the data as a whole.
    pub tally: &'a Tally,
    /// Whether records are added while it is asked: answers may then have more.
    pub is_growing: bool,
    pub runs: usize,
}

/// A question, how long its answers took, and whether they were right.
#[derive(Clone, Debug)]
pub struct Asked {
    pub id: String,
    pub query: String,
    pub span: Span,
    pub budget_ms: Option<f64>,
    /// How many times as long the machine took as that of the budget.
    pub slowness: Option<f64>,
    pub is_by_the_rule: bool,
    /// Records that the answer counts or has.
    pub records: Option<u64>,
    /// What was counted.
    pub expected: Option<u64>,
    pub http: Times,
    pub library: Times,
    pub verdict: Verdict,
}

/// Times of one question.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// The first run.
    pub first: Option<Duration>,
    /// Those after it.
    pub later: Vec<Duration>,
}

impl Asked {
    /// The median over HTTP as it would be on the machine of the budgets, in milliseconds; as
    /// measured where the speed was not.
    pub fn at_budget_speed_ms(&self) -> Option<f64> {
        let median = self.http.median_ms()?;
        Some(median / self.slowness.unwrap_or(1.0))
    }
}

impl Times {
    fn add(&mut self, took: Duration) {
        match self.first {
            None => self.first = Some(took),
            Some(_) => self.later.push(took),
        }
    }

    /// The median of the runs after the first, in milliseconds.
    pub fn median_ms(&self) -> Option<f64> {
        let mut sorted = self.later.clone();
        sorted.sort_unstable();
        sorted
            .get(sorted.len() / 2)
            .map(|took| took.as_secs_f64() * 1e3)
    }

    /// The first run in milliseconds.
    pub fn first_ms(&self) -> Option<f64> {
        self.first.map(|took| took.as_secs_f64() * 1e3)
    }
}

impl Scene<'_> {
    /// Asks a question over HTTP, the first time and `runs` more. `prepare` is called before each.
    pub fn ask(
        &self,
        server: &Server,
        chosen: &Chosen,
        mut prepare: impl FnMut() -> Result<()>,
    ) -> Result<Asked> {
        let mut asked = Asked {
            id: chosen.rule.id.clone(),
            query: chosen.rule.candidates[0].query.clone(),
            span: chosen.rule.span,
            budget_ms: chosen.rule.budget_ms,
            slowness: None,
            is_by_the_rule: chosen.is_by_the_rule,
            records: None,
            expected: chosen.found.as_ref().map(|found| found.records),
            http: Times::default(),
            library: Times::default(),
            verdict: Verdict::Unchecked,
        };
        let (path, question) = self.question(chosen);
        for _ in 0..=self.runs {
            prepare()?;
            let begun = Instant::now();
            let answer = server.ask(path, &question)?;
            let took = begun.elapsed();
            if let Some(reason) = refusal(answer.status, &answer.body, chosen.rule.ask) {
                asked.verdict = Verdict::NotAvailable(reason);
                return Ok(asked);
            }
            asked.http.add(took);
            let data = answer
                .data()
                .with_context(|| format!("{}: {}", asked.id, asked.query))?;
            asked.records = records_of(&data, chosen.rule.ask);
            asked.verdict = self.verdict(&data, chosen)?;
            if matches!(asked.verdict, Verdict::Wrong(_)) {
                return Ok(asked);
            }
        }
        Ok(asked)
    }

    /// Asks the same through the library and adds the times; an answer that differs is wrong.
    pub fn ask_library(&self, library: &Library, chosen: &Chosen, asked: &mut Asked) -> Result<()> {
        let range = self.range(chosen.rule.span);
        for _ in 0..=self.runs {
            let begun = Instant::now();
            let question = library.question(&asked.query, self.stream, range);
            let records = library.ask(&question, chosen.rule.ask, self.width_ns())?;
            asked.library.add(begun.elapsed());
            if asked.records.is_some_and(|have| have != records) {
                asked.verdict = Verdict::Wrong(format!("the library finds {records}"));
                return Ok(());
            }
        }
        Ok(())
    }

    fn range(&self, span: Span) -> Option<Range> {
        match span {
            Span::Day => self.day,
            Span::Hour => Some(self.hour),
        }
    }

    fn question(&self, chosen: &Chosen) -> (&'static str, Value) {
        let rule = &chosen.rule;
        let mut question = json!({
            "query": rule.candidates[0].query,
            "streams": [self.stream],
        });
        if let Some((start, end)) = self.range(rule.span) {
            question["start_time"] = Timestamp(start).to_rfc3339().into();
            question["end_time"] = Timestamp(end).to_rfc3339().into();
        }
        let page = |limit: usize, order: &str, counts: bool| {
            [
                ("limit", json!(limit)),
                ("order", json!(order)),
                ("count", json!(counts)),
            ]
        };
        let (path, more) = match rule.ask {
            Ask::Count => ("/api/v1/search", page(0, "desc", true).to_vec()),
            Ask::Latest(limit) => ("/api/v1/search", page(limit, "desc", false).to_vec()),
            Ask::All => (
                "/api/v1/search",
                page(ALL_RECORDS_MAX, "asc", false).to_vec(),
            ),
            Ask::Rows(_) => ("/api/v1/search", Vec::new()),
            Ask::Histogram => {
                let more = [("interval", json!(self.width())), ("by", json!("level"))];
                ("/api/v1/histogram", more.to_vec())
            }
        };
        for (name, value) in more {
            question[name] = value;
        }
        (path, question)
    }

    fn width(&self) -> &'static str {
        let fits = |(_, a_day): &&(&str, u32)| a_day * u32::from(self.days) <= BUCKETS_MAX;
        WIDTHS.iter().find(fits).map_or("1d", |(width, _)| width)
    }

    fn width_ns(&self) -> i64 {
        taffrail_model::time::parse_duration(self.width()).unwrap_or(i64::MAX)
    }

    fn verdict(&self, data: &Value, chosen: &Chosen) -> Result<Verdict> {
        let ask = chosen.rule.ask;
        if data["partial"] == true {
            return Ok(Verdict::Wrong("the answer is partial".into()));
        }
        let Some(found) = &chosen.found else {
            return Ok(Verdict::Unchecked);
        };
        let fault = match ask {
            Ask::Count | Ask::All => differs(
                records_of(data, ask).unwrap_or_default(),
                found.records,
                self.is_growing,
            ),
            // Which are the latest changes with every batch.
            _ if self.is_growing => return Ok(Verdict::Unchecked),
            Ask::Latest(_) => latest_differ(&times(data)?, found),
            Ask::Histogram => histogram_differs(data, self.tally),
            Ask::Rows(pipe) => rows_differ(data, pipe, self.tally)?,
        };
        Ok(match fault {
            Some(fault) => Verdict::Wrong(fault),
            None if ask == Ask::Rows(Pipe::Unchecked) => Verdict::Unchecked,
            None => Verdict::Right,
        })
    }
}

/// Why the server does not take a question of a kind that it need not know.
fn refusal(status: u16, body: &[u8], ask: Ask) -> Option<String> {
    if status != 400 || !matches!(ask, Ask::Rows(_)) {
        return None;
    }
    let problem: Value = serde_json::from_slice(body).ok()?;
    problem["detail"].as_str().map(str::to_string)
}

/// How many records an answer counts or has.
fn records_of(data: &Value, ask: Ask) -> Option<u64> {
    match ask {
        Ask::Count | Ask::Histogram => data["total"].as_u64(),
        Ask::Latest(_) | Ask::All => data["records"]
            .as_array()
            .map(|records| records.len() as u64),
        Ask::Rows(_) => data["rows"].as_array().map(|rows| rows.len() as u64),
    }
}

fn differs(have: u64, expected: u64, is_growing: bool) -> Option<String> {
    let is_right = have == expected || (is_growing && have > expected);
    (!is_right).then(|| format!("{have} instead of {expected}"))
}

/// Times of the records of an answer.
fn times(data: &Value) -> Result<Vec<i64>> {
    let records = data["records"]
        .as_array()
        .context("an answer without records")?;
    let time = |record: &Value| {
        let time: jiff::Timestamp = record["timestamp"].as_str()?.parse().ok()?;
        i64::try_from(time.as_nanosecond()).ok()
    };
    let times: Option<Vec<i64>> = records.iter().map(time).collect();
    times.context("a record without a time")
}

fn latest_differ(have: &[i64], found: &Found) -> Option<String> {
    let expected = found.latest();
    if have.len() != expected.len() {
        return Some(format!(
            "{} records instead of {}",
            have.len(),
            expected.len()
        ));
    }
    let place = have
        .iter()
        .zip(&expected)
        .position(|(have, expected)| have != expected)?;
    Some(format!("record {} is not the next latest", place + 1))
}

fn histogram_differs(data: &Value, tally: &Tally) -> Option<String> {
    let series = data["series"].as_array()?;
    for (severity, expected) in &tally.by_severity {
        let mine = series.iter().find(|series| series["key"] == *severity);
        let points = mine.and_then(|series| series["points"].as_array());
        let counts = points
            .into_iter()
            .flatten()
            .filter_map(|point| point[1].as_u64());
        if let Some(fault) = differs(counts.sum(), *expected, false) {
            return Some(format!("{severity}: {fault}"));
        }
    }
    differs(
        data["total"].as_u64().unwrap_or_default(),
        tally.records,
        false,
    )
}

/// Compares rows by their first column, the group; the others follow in the order of the query.
fn rows_differ(data: &Value, pipe: Pipe, tally: &Tally) -> Result<Option<String>> {
    let rows = data["rows"].as_array().context("an answer without rows")?;
    let columns = data["columns"]
        .as_array()
        .context("an answer without columns")?;
    let group = match pipe {
        Pipe::CountsBySource => "source",
        Pipe::SumsByModel => "gen_ai.request.model",
        Pipe::Unchecked => return Ok(rows.is_empty().then(|| "no rows".to_string())),
    };
    let Some(group) = columns.iter().position(|column| column["name"] == group) else {
        bail!("no column is named {group}");
    };
    let mut seen = 0;
    for row in rows {
        let row = row.as_array().context("a row that is no list")?;
        let key = row.get(group).and_then(Value::as_str);
        let others = row.iter().enumerate().filter(|(index, _)| *index != group);
        let have: Vec<f64> = others.filter_map(|(_, value)| value.as_f64()).collect();
        let expected: Option<[f64; 2]> = match (pipe, key) {
            (Pipe::CountsBySource, Some(key)) => tally
                .by_source
                .get(key)
                .map(|counts| counts.map(|count| count as f64)),
            (_, Some(key)) => tally.by_model.get(key).copied(),
            // Records without the field are a group of their own.
            (_, None) => continue,
        };
        let Some(expected) = expected else {
            return Ok(Some(format!("{key:?} is no group")));
        };
        seen += 1;
        let is_near = |(have, expected): (&f64, &f64)| {
            (have - expected).abs() <= SUM_TOLERANCE * expected.abs().max(1.0)
        };
        if have.len() != 2 || !have.iter().zip(&expected).all(is_near) {
            return Ok(Some(format!("{key:?}: {have:?} instead of {expected:?}")));
        }
    }
    let groups = match pipe {
        Pipe::CountsBySource => tally.by_source.len(),
        _ => tally.by_model.len(),
    };
    Ok((seen < groups.min(10)).then(|| format!("{seen} groups instead of {groups}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_may_grow_only_while_records_are_added() {
        assert_eq!(differs(5, 5, false), None);
        assert!(differs(6, 5, false).is_some());
        assert_eq!(differs(6, 5, true), None);
        assert!(differs(4, 5, true).is_some());
    }

    #[test]
    fn rows_are_compared_by_group() {
        let mut tally = Tally::default();
        tally.by_source.insert("a".into(), [10, 1]);
        tally.by_source.insert("b".into(), [20, 2]);
        let columns = json!([{"name": "source"}, {"name": "count()"}, {"name": "errors"}]);
        let check = |rows: Value, is_right: bool| {
            let data = json!({"columns": columns, "rows": rows});
            let fault = rows_differ(&data, Pipe::CountsBySource, &tally).unwrap();
            assert_eq!(fault.is_none(), is_right, "{fault:?}");
        };
        check(json!([["b", 20, 2], ["a", 10, 1]]), true);
        check(json!([["b", 20, 2], ["a", 10, 1], [null, 3, 0]]), true);
        check(json!([["b", 20, 2]]), false);
        check(json!([["b", 20, 2], ["a", 10, 2]]), false);
        check(json!([["b", 20, 2], ["c", 10, 1]]), false);
    }

    #[test]
    fn histograms_are_compared_by_level() {
        let mut tally = Tally {
            records: 3,
            ..Tally::default()
        };
        tally.by_severity.insert("info", 3);
        let data = |count: u64| json!({"total": 3, "series": [{"key": "info", "points": [["t", 1], ["t", count]]}]});
        assert_eq!(histogram_differs(&data(2), &tally), None);
        assert!(histogram_differs(&data(1), &tally).is_some());
    }

    #[test]
    fn only_pipes_may_be_refused() {
        let body = br#"{"detail":"no pipes yet"}"#;
        let rows = Ask::Rows(Pipe::Unchecked);
        assert_eq!(refusal(400, body, rows), Some("no pipes yet".into()));
        assert_eq!(refusal(400, body, Ask::Count), None);
        assert_eq!(refusal(500, body, rows), None);
    }

    #[test]
    fn the_first_run_is_no_part_of_the_median() {
        let mut times = Times::default();
        for ms in [100, 3, 1, 2] {
            times.add(Duration::from_millis(ms));
        }
        assert_eq!(
            (times.first_ms(), times.median_ms()),
            (Some(100.0), Some(2.0))
        );
    }
}
