//! What a benchmark found, as a table for people and as JSON for programs.
use super::{
    ask::{Asked, Verdict},
    survey::Reference,
};
use serde_json::{Value, json};

/// Version of the JSON; it changes when a member changes its meaning.
const VERSION: u32 = 1;

/// Everything.
pub struct Report {
    pub seed: u64,
    /// How the command was called.
    pub arguments: Vec<String>,
    pub cores: usize,
    pub sets: Vec<SetReport>,
}

/// Of one data set.
pub struct SetReport {
    pub name: &'static str,
    pub records: u64,
    pub bytes: u64,
    pub reference: Reference,
    pub rows: Vec<Row>,
    pub asked: Vec<Asked>,
}

/// A figure.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    pub budget: Option<Budget>,
    /// How many times as long the machine took as that of the budgets, where the budget is of time.
    pub slowness: Option<f64>,
    /// What has to be known about it.
    pub note: String,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    AtMost(f64),
    AtLeast(f64),
}

impl Budget {
    /// What a value would be on the machine of the budgets, if this one takes so many times as long.
    fn at_its_speed(self, value: f64, slowness: f64) -> f64 {
        match self {
            Budget::AtMost(_) => value / slowness,
            Budget::AtLeast(_) => value * slowness,
        }
    }

    /// Whether a value keeps it.
    pub fn is_kept(self, value: f64) -> bool {
        match self {
            Budget::AtMost(most) => value <= most,
            Budget::AtLeast(least) => value >= least,
        }
    }

    fn shown(self) -> String {
        match self {
            Budget::AtMost(most) => format!("≤ {}", number(most)),
            Budget::AtLeast(least) => format!("≥ {}", number(least)),
        }
    }
}

impl Row {
    /// A figure without budget and note.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Row {
        Row {
            name: name.into(),
            value,
            unit,
            budget: None,
            slowness: None,
            note: String::new(),
        }
    }

    /// Sets what it should be.
    pub fn with_budget(mut self, budget: impl Into<Option<Budget>>) -> Row {
        self.budget = budget.into();
        self
    }

    /// Has the value compared as that of a machine that is so many times as fast.
    pub fn with_slowness(mut self, slowness: Option<f64>) -> Row {
        self.slowness = slowness;
        self
    }

    /// What is compared with the budget.
    fn compared(&self) -> f64 {
        match (self.budget, self.slowness) {
            (Some(budget), Some(slowness)) => budget.at_its_speed(self.value, slowness),
            _ => self.value,
        }
    }

    /// Sets what has to be known.
    pub fn with_note(mut self, note: impl Into<String>) -> Row {
        self.note = note.into();
        self
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "budget": self.budget.map(Budget::shown),
            "slowness": self.slowness,
            "at_budget_speed": self.slowness.map(|_| self.compared()),
            "is_kept": self.budget.map(|budget| budget.is_kept(self.compared())),
            "note": self.note,
        })
    }
}

impl Report {
    /// Whether no answer was wrong.
    pub fn is_right(&self) -> bool {
        let mut asked = self.sets.iter().flat_map(|set| &set.asked);
        asked.all(|asked| !matches!(asked.verdict, Verdict::Wrong(_)))
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "version": VERSION,
            "taffrail": env!("CARGO_PKG_VERSION"),
            "seed": self.seed,
            "arguments": self.arguments,
            "cores": self.cores,
            "sets": self.sets.iter().map(SetReport::json).collect::<Vec<_>>(),
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let sets: Vec<String> = self.sets.iter().map(|set| set.text(self.seed)).collect();
        let arguments = self.arguments.join(" ");
        format!(
            "taffrail {} logs benchmark {arguments}\n{} cores\n\n{}",
            env!("CARGO_PKG_VERSION"),
            self.cores,
            sets.join("\n")
        )
    }
}

impl SetReport {
    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "records": self.records,
            "bytes": self.bytes,
            "zstd_3": {
                "cpu_s": self.reference.cpu.as_secs_f64(),
                "bytes": self.reference.bytes,
            },
            "figures": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
            "questions": self.asked.iter().map(question_json).collect::<Vec<_>>(),
        })
    }

    /// How fast the machine was, if that was measured: a line.
    fn speed(&self) -> String {
        let rows = self.rows.iter().filter_map(|row| row.slowness);
        let asked = self.asked.iter().filter_map(|asked| asked.slowness);
        let all: Vec<f64> = rows.chain(asked).collect();
        let Some(least) = all.iter().copied().reduce(f64::min) else {
            return String::new();
        };
        let most = all.iter().copied().fold(least, f64::max);
        format!(
            "it takes {least:.2} to {most:.2} times as long as where the budgets of time were set; \
             \"at speed\" is what was measured without that\n"
        )
    }

    fn text(&self, seed: u64) -> String {
        let mut text = format!(
            "{}: {} records, {:.1} MB, seed {seed}\nzstd -3 of the same bytes: {:.2} s of processor time, {:.1} MB\n{}\n",
            self.name,
            grouped(self.records),
            self.bytes as f64 / 1e6,
            self.reference.cpu.as_secs_f64(),
            self.reference.bytes as f64 / 1e6,
            self.speed()
        );
        let mut lines = vec![
            ["figure", "value", "at speed", "budget", "", ""]
                .map(String::from)
                .to_vec(),
        ];
        lines.extend(self.rows.iter().map(|row| {
            let verdict = row
                .budget
                .map(|budget| verdict(budget.is_kept(row.compared())));
            let at_speed = row.budget.and(row.slowness).map(|_| row.compared());
            vec![
                row.name.clone(),
                format!("{} {}", number(row.value), row.unit)
                    .trim_end()
                    .to_string(),
                at_speed.map(number).unwrap_or_default(),
                row.budget.map(Budget::shown).unwrap_or_default(),
                verdict.unwrap_or_default().into(),
                row.note.clone(),
            ]
        }));
        text.push_str(&aligned(&lines));
        text.push('\n');
        let head = [
            "",
            "range",
            "records",
            "first ms",
            "median ms",
            "library ms",
            "at speed",
            "budget",
        ];
        let head = head.into_iter().chain(["", "answer", "question"]);
        let mut lines = vec![head.map(String::from).collect::<Vec<_>>()];
        lines.extend(self.asked.iter().map(question_line));
        text.push_str(&aligned(&lines));
        text
    }
}

fn question_json(asked: &Asked) -> Value {
    let later: Vec<f64> = asked
        .http
        .later
        .iter()
        .map(|took| took.as_secs_f64() * 1e3)
        .collect();
    let median = asked.http.median_ms();
    let at_speed = asked.at_budget_speed_ms();
    let is_kept = asked
        .budget_ms
        .zip(at_speed)
        .map(|(budget, ms)| ms <= budget);
    json!({
        "id": asked.id,
        "query": asked.query,
        "range": asked.span.name(),
        "is_by_the_rule": asked.is_by_the_rule,
        "records": asked.records,
        "expected": asked.expected,
        "answer": answer(&asked.verdict),
        "http": {"first_ms": asked.http.first_ms(), "median_ms": median, "runs_ms": later},
        "library": {"first_ms": asked.library.first_ms(), "median_ms": asked.library.median_ms()},
        "slowness": asked.slowness,
        "at_budget_speed_ms": at_speed,
        "budget_ms": asked.budget_ms,
        "is_kept": is_kept,
    })
}

fn question_line(asked: &Asked) -> Vec<String> {
    let ms = |ms: Option<f64>| ms.map(|ms| format!("{ms:.2}")).unwrap_or_default();
    let median = asked.http.median_ms();
    let at_speed = asked.at_budget_speed_ms();
    let kept = asked
        .budget_ms
        .zip(at_speed)
        .map(|(budget, ms)| verdict(ms <= budget));
    let budget = asked.budget_ms.map(|budget| Budget::AtMost(budget).shown());
    let mut answer = answer(&asked.verdict);
    if !asked.is_by_the_rule {
        answer.push_str(", needle outside of its rule");
    }
    vec![
        asked.id.clone(),
        asked.span.name().into(),
        asked.records.map(grouped).unwrap_or_default(),
        ms(asked.http.first_ms()),
        ms(median),
        ms(asked.library.median_ms()),
        ms(at_speed.filter(|_| asked.slowness.is_some())),
        budget.unwrap_or_default(),
        kept.unwrap_or_default().into(),
        answer,
        asked.query.clone(),
    ]
}

fn answer(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Right => "right".into(),
        Verdict::Unchecked => "not compared".into(),
        Verdict::Wrong(fault) => format!("WRONG: {fault}"),
        Verdict::NotAvailable(_) => "not available".into(),
    }
}

fn verdict(is_kept: bool) -> &'static str {
    match is_kept {
        true => "ok",
        false => "missed",
    }
}

/// A number as a person reads it: three digits that count, large ones whole and grouped.
fn number(value: f64) -> String {
    let whole = value.round();
    if value.abs() >= 100.0 {
        return grouped(whole as u64);
    }
    let text = match value.abs() {
        value if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    };
    match value == whole {
        true => format!("{whole}"),
        false => text,
    }
}

/// A number with commas.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{super::ask::Times, super::questions::Span, *};
    use std::time::Duration;

    fn report(verdict: Verdict) -> Report {
        let ms = Duration::from_millis;
        let asked = Asked {
            id: "q1".into(),
            query: "level:error".into(),
            span: Span::Hour,
            budget_ms: Some(2.0),
            slowness: Some(1.6),
            is_by_the_rule: true,
            records: Some(1_234),
            expected: Some(1_234),
            http: Times {
                first: Some(ms(9)),
                later: vec![ms(1), ms(1)],
            },
            library: Times::default(),
            verdict,
        };
        let missing = Asked {
            id: "q6".into(),
            query: "* | stats count() by source".into(),
            span: Span::Day,
            is_by_the_rule: false,
            records: None,
            http: Times::default(),
            verdict: Verdict::NotAvailable("no pipes".into()),
            ..asked.clone()
        };
        let ratio = Row::new("server CPU / zstd -3", 2.254, "").with_budget(Budget::AtMost(2.5));
        let rate = Row::new("records/s", 357_604.2, "")
            .with_budget(Budget::AtLeast(450_000.0))
            .with_slowness(Some(1.2))
            .with_note("over 2 connections");
        Report {
            seed: 42,
            arguments: vec!["--rows".into(), "1000000".into()],
            cores: 2,
            sets: vec![SetReport {
                name: "machine logs",
                records: 1_000_000,
                bytes: 440_000_000,
                reference: Reference {
                    cpu: Duration::from_millis(1_170),
                    bytes: 71_000_000,
                },
                rows: vec![ratio, rate],
                asked: vec![asked, missing],
            }],
        }
    }

    #[test]
    fn the_table() {
        insta::assert_snapshot!(report(Verdict::Right).text());
    }

    #[test]
    fn the_json() {
        let json = report(Verdict::Right).json();
        assert_eq!(json["sets"][0]["figures"][1]["is_kept"], false);
        assert_eq!(json["sets"][0]["questions"][0]["is_kept"], true);
        assert_eq!(json["sets"][0]["questions"][0]["http"]["median_ms"], 1.0);
        assert_eq!(json["sets"][0]["questions"][1]["answer"], "not available");
    }

    #[test]
    fn one_wrong_answer_is_a_fault() {
        assert!(report(Verdict::Right).is_right());
        assert!(report(Verdict::Unchecked).is_right());
        let wrong = report(Verdict::Wrong("3 instead of 4".into()));
        assert!(!wrong.is_right());
        assert!(wrong.text().contains("WRONG: 3 instead of 4"));
    }

    #[test]
    fn numbers_are_short() {
        for (value, expected) in [
            (0.4812, "0.48"),
            (2.0, "2"),
            (12.34, "12.3"),
            (357_604.4, "357,604"),
            (1e6, "1,000,000"),
        ] {
            assert_eq!(number(value), expected);
        }
    }
}
