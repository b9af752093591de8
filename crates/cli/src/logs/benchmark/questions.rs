//! What is asked, what it may take, and which needles each question may have: the table of the
//! benchmark, q1 to q14 on machine logs and p1 to p9 on prose.
use super::seen::{Severity, Test};

/// Latest records of most pages.
const PAGE: usize = 100;

/// Over which times a question goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// One hour of the last day.
    Hour,
    /// Everything.
    Day,
}

impl Span {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Span::Hour => "hour",
            Span::Day => "day",
        }
    }
}

/// What is wanted of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Their number.
    Count,
    /// The latest so many.
    Latest(usize),
    /// All of them, the earliest first.
    All,
    /// Their numbers by minute and level.
    Histogram,
    /// The rows of a pipe.
    Rows(Pipe),
}

/// A pipe, by what its rows are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pipe {
    /// Source, records, errors.
    CountsBySource,
    /// Model, dollars, tokens.
    SumsByModel,
    /// Not compared beyond that it has rows.
    Unchecked,
}

/// A question as it may be asked.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// In the search language.
    pub query: String,
    /// What decides whether the needle is one by the rule.
    pub needle: Vec<Test>,
    /// What is asked for beside the needle.
    pub further: Vec<Test>,
}

/// A question, and which needles it may have.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `q1` to `p9`.
    pub id: String,
    pub span: Span,
    pub ask: Ask,
    /// Milliseconds over HTTP, on the reference data.
    pub budget_ms: Option<f64>,
    /// Records that have the needle: at least, and at most.
    pub bounds: Option<Bounds>,
    /// The question whose needle is this one's too.
    pub same_as: Option<&'static str>,
    /// Whether the tests of a candidate say all that its query asks for.
    pub is_checked: bool,
    pub candidates: Vec<Candidate>,
}

/// How often a needle occurs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bounds {
    /// Shares of all records.
    Share(f64, f64),
    /// Numbers of records.
    Records(u64, u64),
}

impl Bounds {
    /// The numbers among so many records.
    pub fn of(self, records: u64) -> (f64, f64) {
        match self {
            Bounds::Share(low, high) => (low * records as f64, high * records as f64),
            Bounds::Records(low, high) => (low as f64, high as f64),
        }
    }
}

/// Needles of one data set, by kind.
#[derive(Clone, Debug, Default)]
pub struct Needles {
    pub traces: Vec<String>,
    pub rare_words: Vec<String>,
    pub phrases: Vec<[String; 2]>,
    pub patterns: Vec<Vec<String>>,
    pub users: Vec<String>,
    pub parts: Vec<String>,
    pub long_ids: Vec<String>,
    pub addresses: Vec<String>,
    pub tasks: Vec<String>,
    pub words: Vec<String>,
    pub rare_phrases: Vec<[String; 2]>,
    pub few_words: Vec<String>,
    pub common_phrases: Vec<[String; 2]>,
    pub alternations: Vec<[String; 3]>,
}

/// A question without a needle.
fn plain(query: &str, further: Vec<Test>) -> Vec<Candidate> {
    vec![Candidate {
        query: query.into(),
        needle: Vec::new(),
        further,
    }]
}

fn each<T>(needles: &[T], candidate: impl Fn(&T) -> (String, Test)) -> Vec<Candidate> {
    let candidates = needles.iter().map(|needle| {
        let (query, test) = candidate(needle);
        Candidate {
            query,
            needle: vec![test],
            further: Vec::new(),
        }
    });
    candidates.collect()
}

fn values(name: &'static str, needles: &[String]) -> Vec<Candidate> {
    each(needles, |value| {
        (format!("{name}:{value}"), Test::Value(name, value.clone()))
    })
}

fn bare(needles: &[String]) -> Vec<Candidate> {
    each(needles, |text| {
        let words = super::seen::words(text).map(str::to_ascii_lowercase);
        (text.clone(), Test::Words(words.collect()))
    })
}

fn phrases(needles: &[[String; 2]]) -> Vec<Candidate> {
    each(needles, |words| {
        let query = format!("\"{}\"", words.join(" "));
        (
            query,
            Test::Words(words.iter().map(|word| word.to_ascii_lowercase()).collect()),
        )
    })
}

fn parts(needles: &[String]) -> Vec<Candidate> {
    each(needles, |part| {
        (format!("*{part}*"), Test::Part(part.to_ascii_lowercase()))
    })
}

fn patterns(needles: &[Vec<String>]) -> Vec<Candidate> {
    each(needles, |pieces| {
        let escaped: Vec<String> = pieces.iter().map(|piece| escape(piece)).collect();
        (
            format!("message:/{}/", escaped.join("[0-9]+")),
            Test::Digits(pieces.clone()),
        )
    })
}

fn alternations(needles: &[[String; 3]]) -> Vec<Candidate> {
    each(needles, |[first, one, other]| {
        let query = format!(
            "message:/{} ({}|{})/",
            escape(first),
            escape(one),
            escape(other)
        );
        let texts = [one, other].map(|second| format!("{first} {second}"));
        (query, Test::OneOf(texts.into()))
    })
}

/// A text as a regular expression in the search language.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if letter.is_ascii_punctuation() && !"_-:=,;@#%&'\"<>!~`".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

fn rule(id: &str, span: Span, ask: Ask, budget_ms: f64, candidates: Vec<Candidate>) -> Rule {
    Rule {
        id: id.into(),
        span,
        ask,
        budget_ms: Some(budget_ms),
        bounds: None,
        same_as: None,
        is_checked: true,
        candidates,
    }
}

impl Rule {
    fn with_share(mut self, low: f64, high: f64) -> Rule {
        self.bounds = Some(Bounds::Share(low, high));
        self
    }

    fn with_records(mut self, low: u64, high: u64) -> Rule {
        self.bounds = Some(Bounds::Records(low, high));
        self
    }
}

/// q1 to q14.
pub fn machine(needles: &Needles) -> Vec<Rule> {
    use Ask::{All, Count, Histogram, Latest, Rows};
    use Span::{Day, Hour};
    let error = Test::Is(Severity::Error);
    let mut users = values("user_id", &needles.users);
    for user in &mut users {
        user.query.push_str(" level>=warn");
        user.further.push(Test::AtLeast(Severity::Warn));
    }
    let quantiles = "* | stats p50(duration_ms), p95(duration_ms), p99(duration_ms) by source";
    vec![
        rule("q1", Hour, Count, 2.0, plain("level:error", vec![error])),
        rule("q2", Day, All, 5.0, values("trace_id", &needles.traces)).with_records(5, 30),
        rule("q3", Day, Latest(PAGE), 20.0, bare(&needles.rare_words)).with_share(5e-5, 2e-4),
        rule("q4", Day, Count, 4.0, phrases(&needles.phrases)).with_share(0.01, 0.05),
        rule("q5", Hour, Count, 8.0, patterns(&needles.patterns)).with_share(0.005, 0.05),
        rule(
            "q6",
            Day,
            Rows(Pipe::CountsBySource),
            15.0,
            plain(
                "* | stats count(), count_if(level:error) by source | sort -count | limit 10",
                Vec::new(),
            ),
        ),
        rule("q7", Day, Histogram, 15.0, plain("", Vec::new())),
        rule("q8", Day, Latest(PAGE), 15.0, users).with_share(0.001, 0.01),
        rule("q9", Day, Count, 40.0, parts(&needles.parts)).with_share(0.01, 0.05),
        rule(
            "q10",
            Day,
            Rows(Pipe::Unchecked),
            35.0,
            plain(quantiles, Vec::new()),
        ),
        rule("q11", Day, Count, 4.0, bare(&needles.long_ids)).with_records(1, 3),
        rule("q12", Day, Count, 10.0, bare(&needles.addresses)).with_records(100, 500),
        Rule {
            same_as: Some("q4"),
            ..rule("q13", Hour, Latest(PAGE), 8.0, phrases(&needles.phrases))
        },
        rule("q14", Day, Latest(PAGE), 6.0, plain("", Vec::new())),
    ]
}

/// p1 to p9.
pub fn prose(needles: &Needles) -> Vec<Rule> {
    use Ask::{All, Count, Latest, Rows};
    use Span::Day;
    let sums = "* | stats sum(cost_usd), sum(gen_ai.usage.input_tokens) by gen_ai.request.model";
    let stack = Test::WordsOf(
        "error.stack",
        ["tools", "session", "py"].map(Into::into).into(),
    );
    vec![
        rule("p1", Day, Count, 20.0, bare(&needles.words)).with_share(0.001, 0.005),
        rule("p2", Day, Count, 40.0, phrases(&needles.rare_phrases)).with_share(1e-4, 1e-3),
        rule(
            "p2 common",
            Day,
            Count,
            150.0,
            phrases(&needles.common_phrases),
        ),
        rule("p3", Day, Latest(20), 20.0, bare(&needles.few_words)).with_records(10, 100),
        rule("p4", Day, Count, 40.0, parts(&needles.parts)).with_share(0.005, 0.02),
        rule("p5", Day, Count, 60.0, alternations(&needles.alternations)),
        rule(
            "p6",
            Day,
            Rows(Pipe::SumsByModel),
            5.0,
            plain(sums, Vec::new()),
        ),
        Rule {
            budget_ms: None,
            ..rule("p7", Day, All, 0.0, values("task_id", &needles.tasks)).with_records(20, 40)
        },
        rule("p8", Day, Latest(50), 10.0, plain("", Vec::new())),
        rule(
            "p9",
            Day,
            Count,
            5.0,
            plain("error.stack:\"tools/session.py\"", vec![stack]),
        ),
    ]
}

/// What a user's own log is asked: whatever of the tables has a needle there, without budgets,
/// which are those of the reference data.
pub fn own_log(needles: &Needles) -> Vec<Rule> {
    let mut rules = machine(needles);
    rules.extend(
        prose(needles)
            .into_iter()
            .filter(|rule| rule.bounds.is_some()),
    );
    for rule in &mut rules {
        rule.budget_ms = None;
    }
    rules
}

/// Questions of a file: a name and a query in each line; counted, and their latest records.
pub fn of_file(text: &str) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, query)) = line.split_once(char::is_whitespace) else {
            return Err(format!("line {}: a name and a query are wanted", index + 1));
        };
        let query = query.trim();
        let asked = match query.contains(" | ") {
            true => vec![(name.to_string(), Ask::Rows(Pipe::Unchecked))],
            false => vec![
                (format!("{name} count"), Ask::Count),
                (format!("{name} latest"), Ask::Latest(PAGE)),
            ],
        };
        rules.extend(asked.into_iter().map(|(id, ask)| Rule {
            id,
            span: Span::Day,
            ask,
            budget_ms: None,
            bounds: None,
            same_as: None,
            is_checked: false,
            candidates: plain(query, Vec::new()),
        }));
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_of_a_file() {
        let rules = of_file("# mine\nslow duration_ms:>1000\n\nby * | stats count() by source\n");
        let ids: Vec<String> = rules.unwrap().into_iter().map(|rule| rule.id).collect();
        assert_eq!(ids, ["slow count", "slow latest", "by"]);
        assert!(of_file("alone").unwrap_err().contains("line 1"));
    }

    #[test]
    fn patterns_are_written_in_the_search_language() {
        let written = patterns(&[vec!["a/b.c".into(), " (x) ".into()]]);
        assert_eq!(written[0].query, r"message:/a\/b\.c[0-9]+ \(x\) /");
        let needle = ["alpha".into(), "b".into(), "c".into()];
        assert_eq!(alternations(&[needle])[0].query, "message:/alpha (b|c)/");
    }

    #[test]
    fn bounds_are_shares_or_numbers() {
        assert_eq!(Bounds::Share(0.01, 0.05).of(1_000), (10.0, 50.0));
        assert_eq!(Bounds::Records(5, 30).of(1_000), (5.0, 30.0));
    }
}
