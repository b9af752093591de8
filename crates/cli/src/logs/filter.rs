//! Flags that narrow what is looked at, turned into the search language.
//!
//! The flags come first and the query in parentheses after them, so that an `OR` in the query
//! does not reach past them. For this the query must be whole by itself, or a bracket in it would
//! close ours: it is parsed here first. A fault that the server finds all the same is moved back
//! by what was put before.
use crate::{client::QueryFault, failure::Failure};
use anyhow::Result;
use clap::Args;
use jiff::tz::TimeZone;
use taffrail_model::{
    level::Level,
    time::{NS_PER_S, Timestamp, parse_duration, parse_time},
};

/// What `--since` is without the flag.
const DEFAULT_RANGE_NS: i64 = 3_600 * NS_PER_S;

/// What to look for.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What")]
pub struct MatchOptions {
    /// Words, "phrases", fields (level>=warn source:figma); several arguments are joined
    #[arg(value_name = "QUERY", help_heading = "Arguments")]
    pub query: Vec<String>,
    /// Only this level; several with commas
    #[arg(long, value_name = "LEVEL", value_delimiter = ',')]
    pub level: Vec<String>,
    /// Only records of this agent (agent_id)
    #[arg(long, value_name = "ID")]
    pub agent: Option<String>,
    /// Only records of this request (trace_id or correlation_id)
    #[arg(long, value_name = "ID")]
    pub correlation_id: Option<String>,
    /// Only records of this user (user_id)
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    /// Only these streams; `*` at the end is a prefix. System streams are searched when named
    #[arg(long, value_name = "STREAM", value_delimiter = ',')]
    pub stream: Vec<String>,
}

/// A query as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentQuery {
    /// Text for the server.
    pub text: String,
    /// What the user wrote.
    pub written: String,
    /// Characters of `text` before what the user wrote.
    pub characters_before: usize,
    /// Whether it makes a table of records.
    pub has_pipes: bool,
}

impl MatchOptions {
    /// The query in the search language.
    pub fn query(&self) -> Result<SentQuery> {
        let mut terms = Vec::new();
        terms.extend(level_term(&self.level)?);
        if let Some(agent) = &self.agent {
            terms.push(whole_value("agent_id", agent));
        }
        if let Some(id) = &self.correlation_id {
            let id = as_stored(id);
            let trace = whole_value("trace_id", &id);
            let correlation = whole_value("correlation_id", &id);
            terms.push(format!("({trace} OR {correlation})"));
        }
        if let Some(user) = &self.user {
            terms.push(whole_value("user_id", user));
        }
        let written = self.query.join(" ").trim().to_string();
        let parsed = taffrail_engine::query::parse(&written);
        let has_pipes = parsed.as_ref().is_ok_and(|query| !query.pipes.is_empty());
        if terms.is_empty() || written.is_empty() {
            let characters_before = 0;
            let text = if terms.is_empty() {
                written.clone()
            } else {
                terms.join(" ")
            };
            return Ok(SentQuery {
                text,
                written,
                characters_before,
                has_pipes,
            });
        }
        let filter_ends = parsed.and_then(|_| taffrail_engine::query::pipes_begin(&written));
        let filter_ends = filter_ends
            .map_err(|fault| Failure::Usage(QueryFault::from(fault).marked(&written, 0)))?;
        let filter: String = written.chars().take(filter_ends).collect();
        let pipes: String = written.chars().skip(filter_ends).collect();
        let terms = terms.join(" ");
        let (before, after) = match (filter.trim().is_empty(), pipes.is_empty()) {
            (true, _) => (format!("{terms} "), pipes),
            (false, true) => (format!("{terms} ("), format!("{filter})")),
            (false, false) => (
                format!("{terms} ("),
                format!("{}) {pipes}", filter.trim_end()),
            ),
        };
        Ok(SentQuery {
            characters_before: before.chars().count(),
            text: before + &after,
            written,
            has_pipes,
        })
    }
}

fn level_term(words: &[String]) -> Result<Option<String>> {
    let mut terms = Vec::new();
    for word in words {
        let level = Level::from_foreign(word.trim()).ok_or_else(|| {
            let known = Level::ALL.map(Level::name).join(", ");
            Failure::Usage(format!("{word:?} is no level; levels are {known}"))
        })?;
        terms.push(format!("level:{}", level.name()));
    }
    Ok(match terms.len() {
        0 => None,
        1 => terms.pop(),
        _ => Some(format!("({})", terms.join(" OR "))),
    })
}

fn whole_value(field: &str, value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{field}:=\"{escaped}\"")
}

/// W3C trace ids are stored in lower case, other ids as they came.
fn as_stored(id: &str) -> String {
    let is_w3c = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_w3c {
        id.to_ascii_lowercase()
    } else {
        id.to_string()
    }
}

/// Which time to look at.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "When")]
pub struct RangeOptions {
    /// From this time on: 15m, 7d, yesterday, "2026-01-04 14:00" (local), RFC 3339, or all
    /// [default: the last hour]
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Up to this time [default: now]
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// A range of time; an end that is open has no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First moment.
    pub start: Option<Timestamp>,
    /// First moment after.
    pub end: Option<Timestamp>,
}

impl RangeOptions {
    /// Whether no flag says where to begin.
    pub fn is_default(&self) -> bool {
        self.since.is_none()
    }

    /// The range as seen now.
    pub fn range(&self, now: Timestamp, zone: &TimeZone) -> Result<Range> {
        let end = match self.until.as_deref() {
            None => None,
            Some(text) => Some(moment("--until", text, now, zone)?),
        };
        let start = match self.since.as_deref() {
            Some("all") => None,
            Some(text) => Some(moment("--since", text, now, zone)?),
            None => {
                let end = end.unwrap_or(now);
                Some(Timestamp(end.0.saturating_sub(DEFAULT_RANGE_NS)))
            }
        };
        match (start, end) {
            (Some(start), Some(end)) if start >= end => {
                Err(Failure::Usage("--since must be before --until".into()).into())
            }
            _ => Ok(Range { start, end }),
        }
    }
}

fn moment(flag: &str, text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp> {
    if let Ok(back) = parse_duration(text.trim()) {
        return Ok(Timestamp(now.0.saturating_sub(back)));
    }
    parse_time(text, now, zone).map_err(|_| {
        let forms = "15m, 7d, yesterday, \"2026-01-04 14:00\", 2026-01-04T14:00:00Z";
        Failure::Usage(format!(
            "{flag} {text:?} is no time; write for instance {forms}"
        ))
        .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_model::time::parse_rfc3339;

    #[track_caller]
    fn check(options: MatchOptions, expected: &str) {
        assert_eq!(options.query().unwrap().text, expected);
    }

    fn query(words: &[&str]) -> MatchOptions {
        MatchOptions {
            query: words.iter().map(ToString::to_string).collect(),
            ..MatchOptions::default()
        }
    }

    #[test]
    fn flags_become_terms() {
        check(query(&[]), "");
        check(query(&["a", "OR", "b"]), "a OR b");
        let coder = MatchOptions {
            agent: Some("coder".into()),
            level: vec!["ERROR".into()],
            ..query(&[])
        };
        check(coder, "level:error agent_id:=\"coder\"");
        let levels = MatchOptions {
            level: vec!["warning".into(), "fatal".into()],
            ..query(&["a OR b"])
        };
        check(levels, "(level:warn OR level:critical) (a OR b)");
    }

    #[test]
    fn flags_narrow_what_pipes_see() {
        let options = |words: &[&str]| MatchOptions {
            level: vec!["error".into()],
            ..query(words)
        };
        check(
            options(&["a OR b | stats count()"]),
            "level:error (a OR b) | stats count()",
        );
        check(options(&["| top 5 source"]), "level:error | top 5 source");
        assert!(
            options(&["a", "|", "limit", "5"])
                .query()
                .unwrap()
                .has_pipes
        );
        assert!(query(&["* | limit 5"]).query().unwrap().has_pipes);
        assert!(!query(&["a\\|b"]).query().unwrap().has_pipes);
        let error = options(&["a | stats cuont()"]).query().unwrap_err();
        assert!(
            error.to_string().contains("\n            ^^^^^\n"),
            "{error}"
        );
    }

    #[test]
    fn values_cannot_leave_their_quotes() {
        let options = MatchOptions {
            user: Some("u\" OR level:error \\".into()),
            ..query(&[])
        };
        check(options, "user_id:=\"u\\\" OR level:error \\\\\"");
    }

    #[test]
    fn a_correlation_id_is_looked_up_as_it_is_stored() {
        let options = |id: &str| MatchOptions {
            correlation_id: Some(id.into()),
            ..query(&[])
        };
        check(
            options("01HN8X3QGPZ9K2M1V0E4R5T6W7"),
            "(trace_id:=\"01HN8X3QGPZ9K2M1V0E4R5T6W7\" OR correlation_id:=\"01HN8X3QGPZ9K2M1V0E4R5T6W7\")",
        );
        check(
            options("0AF7651916CD43DD8448EB211C80319C"),
            "(trace_id:=\"0af7651916cd43dd8448eb211c80319c\" OR correlation_id:=\"0af7651916cd43dd8448eb211c80319c\")",
        );
    }

    #[test]
    fn what_was_put_before_is_counted_in_characters() {
        let options = MatchOptions {
            user: Some("é".into()),
            ..query(&["x OR y"])
        };
        let sent = options.query().unwrap();
        let characters: Vec<char> = sent.text.chars().collect();
        let rest: String = characters[sent.characters_before..].iter().collect();
        assert_eq!(
            (rest.as_str(), sent.written.as_str()),
            ("x OR y)", "x OR y")
        );
    }

    #[test]
    fn a_query_cannot_leave_its_parentheses() {
        for bad in ["a) OR (b", "(a b", "a \"b"] {
            let options = MatchOptions {
                user: Some("u1".into()),
                ..query(&[bad])
            };
            let error = options.query().unwrap_err();
            assert!(matches!(error.downcast_ref(), Some(Failure::Usage(_))));
            assert!(
                error.to_string().contains(&format!("\n  {bad}\n")),
                "{error}"
            );
            // Alone it goes to the server as it is.
            check(query(&[bad]), bad);
        }
    }

    #[test]
    fn an_unknown_level_is_a_usage_error() {
        let options = MatchOptions {
            level: vec!["loud".into()],
            ..query(&[])
        };
        let error = options.query().unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(Failure::Usage(_))));
    }

    #[track_caller]
    fn check_range(since: Option<&str>, until: Option<&str>, start: &str, end: &str) {
        let now = parse_rfc3339("2026-01-04T15:30:00Z").unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let options = RangeOptions {
            since: since.map(Into::into),
            until: until.map(Into::into),
        };
        let text = |time: Option<Timestamp>| time.map_or("-".into(), Timestamp::to_rfc3339);
        let range = options.range(now, &zone).unwrap();
        assert_eq!(
            (text(range.start).as_str(), text(range.end).as_str()),
            (start, end)
        );
    }

    #[test]
    fn ranges() {
        check_range(None, None, "2026-01-04T14:30:00Z", "-");
        check_range(Some("all"), None, "-", "-");
        check_range(Some("15m"), None, "2026-01-04T15:15:00Z", "-");
        check_range(
            Some("1h ago"),
            Some("now"),
            "2026-01-04T14:30:00Z",
            "2026-01-04T15:30:00Z",
        );
        check_range(
            Some("2026-01-04 14:00"),
            Some("2026-01-04 15:00"),
            "2026-01-04T13:00:00Z",
            "2026-01-04T14:00:00Z",
        );
        check_range(
            None,
            Some("2026-01-01"),
            "2025-12-31T22:00:00Z",
            "2025-12-31T23:00:00Z",
        );
    }

    #[test]
    fn ranges_that_make_no_sense_are_usage_errors() {
        let now = parse_rfc3339("2026-01-04T15:30:00Z").unwrap();
        for (since, until) in [("soon", "now"), ("now", "1h ago"), ("1h", "never")] {
            let options = RangeOptions {
                since: Some(since.into()),
                until: Some(until.into()),
            };
            let error = options.range(now, &TimeZone::UTC).unwrap_err();
            assert!(
                matches!(error.downcast_ref(), Some(Failure::Usage(_))),
                "{since}"
            );
        }
    }
}
