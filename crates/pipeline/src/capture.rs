//! Captured output of a process: which stream a line goes to, which level it has, and what a
//! stack trace in it says.
//!
//! Invariants
//! - The source decides once, at [`Pipeline`](crate::Pipeline) of its side: the server takes what
//!   it is sent.
//! - Stream and level are two questions. A line of stderr goes to the stream of errors, but is an
//!   error only if it says so or looks it: programs that speak a protocol on stdout log everything
//!   on stderr.
//! - What a line's own format says of its level is never replaced.
//!
//! The rules are rows of two tables, [`table::STREAMS`] and [`table::LEVELS`]; the first that
//! holds decides, and rules of the configuration come before them. All expressions are searched
//! for at once, in the first line of the message.
pub(crate) mod exception;
mod table;
#[cfg(test)]
mod tests;

use crate::{
    config::ConfigError,
    parse::alias::{keep_under, merge},
    rows::Targets,
};
use exception::Exception;
use regex_automata::{Input, MatchKind, PatternSet, meta::Regex};
use serde::Deserialize;
use std::{borrow::Cow, sync::Arc};
use table::{LEVELS, Row, STREAMS};
use taffrail_model::{
    column::{Column, ColumnSet, Kind},
    field,
    instance::METADATA_TYPE,
    level::Level,
    stream::StreamCatalogue,
};

pub use taffrail_model::instance::Origin;

/// Bytes of a message that the expressions look at: a request or a level is said early.
const LOOKED_AT_BYTES_MAX: usize = 2_048;
/// Rules of the configuration: every line is asked against each, and there are 60 default ones.
pub const CAPTURE_RULES_MAX: usize = 200;

const ERROR_TYPE: &str = "error.type";
const ERROR_MESSAGE: &str = "error.message";
const ERROR_STACK: &str = "error.stack";

/// Rules for captured output that come before the default ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureConfig {
    /// The rules in order.
    pub rules: Vec<CaptureRule>,
}

impl CaptureConfig {
    /// The rules of `above`, then these.
    #[must_use]
    pub fn below(&self, mut above: CaptureConfig) -> CaptureConfig {
        above.rules.extend_from_slice(&self.rules);
        above
    }
}

/// A rule for captured output. Every condition that is given must hold; at least one of `to` and
/// `level` says what follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureRule {
    /// Where the record comes from; none: anywhere.
    pub origins: Vec<Origin>,
    /// Fields that the record must have.
    pub fields: Vec<String>,
    /// Lowest level.
    pub level_min: Option<Level>,
    /// Regular expression that the first line of the message must match.
    pub pattern: Option<String>,
    /// Name of the stream that it goes to.
    pub to: Option<String>,
    /// The level that it gets if it says none itself.
    pub level: Option<Level>,
}

/// What is known of a captured record.
#[derive(Clone, Copy)]
pub struct Captured<'a> {
    /// Where it comes from.
    pub origin: Origin,
    /// The level that it says itself.
    pub level: Option<Level>,
    /// Its message.
    pub message: &'a str,
    /// Whether it holds an exception or a stack trace.
    pub has_exception: bool,
    /// Whether it has a field.
    pub has_field: &'a dyn Fn(&str) -> bool,
}

/// What becomes of a captured record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Name of the stream.
    pub stream: &'a str,
    /// Its level.
    pub level: Level,
    /// Name of the rule that chose the stream.
    pub rule: &'a str,
}

/// The tables, compiled.
#[derive(Debug)]
pub struct CaptureRules {
    streams: Vec<Rule<Arc<str>>>,
    levels: Vec<Rule<Level>>,
    patterns: Regex,
}

#[derive(Debug)]
struct Rule<T> {
    name: Cow<'static, str>,
    origins: Vec<Origin>,
    fields: Vec<Cow<'static, str>>,
    level_min: Option<Level>,
    needs_exception: bool,
    /// Number of the expression.
    pattern: Option<usize>,
    then: T,
}

impl CaptureRules {
    /// The rules of `config`, then the default ones.
    ///
    /// # Errors
    /// [`ConfigError`] names the rule that is wrong.
    pub fn new(config: &CaptureConfig) -> Result<CaptureRules, ConfigError> {
        if config.rules.len() > CAPTURE_RULES_MAX {
            return Err(ConfigError::CaptureRuleCount {
                rules: config.rules.len(),
            });
        }
        let mut patterns: Vec<&str> = Vec::new();
        let (mut streams, mut levels) = (Vec::new(), Vec::new());
        for (rule, number) in config.rules.iter().zip(1..) {
            if rule.to.is_none() && rule.level.is_none() {
                return Err(ConfigError::CaptureRule { rule: number });
            }
            let pattern = rule.pattern.as_deref().map(|pattern| {
                patterns.push(pattern);
                patterns.len() - 1
            });
            check_pattern(rule, number)?;
            if let Some(to) = &rule.to {
                streams.push(Rule::of(rule, number, pattern, to.as_str().into()));
            }
            if let Some(level) = rule.level {
                levels.push(Rule::of(rule, number, pattern, level));
            }
        }
        streams.extend(
            STREAMS
                .iter()
                .map(|row| Rule::built_in(row, &mut patterns).map(Arc::from)),
        );
        levels.extend(LEVELS.iter().map(|row| Rule::built_in(row, &mut patterns)));
        // All that match are asked for, not the first.
        let patterns = Regex::builder()
            .configure(Regex::config().match_kind(MatchKind::All))
            .build_many(&patterns)
            .map_err(|source| ConfigError::CaptureRegex {
                rule: 0,
                source: Box::new(source),
            })?;
        Ok(CaptureRules {
            streams,
            levels,
            patterns,
        })
    }

    /// The stream and the level of a captured record.
    #[must_use]
    pub fn decide(&self, captured: &Captured<'_>) -> Decision<'_> {
        let text = first_line(captured.message);
        let mut matched = PatternSet::new(self.patterns.pattern_len());
        self.patterns
            .which_overlapping_matches(&Input::new(&*text), &mut matched);
        // A level that the line says is never replaced, so `level_min` of a rule for levels
        // looks at nothing else.
        let level = captured.level.unwrap_or_else(|| {
            self.levels
                .iter()
                .find(|rule| rule.holds(captured, Level::Info, &matched))
                .map_or(Level::Info, |rule| rule.then)
        });
        let found = self
            .streams
            .iter()
            .find(|rule| rule.holds(captured, level, &matched));
        match found {
            Some(rule) => Decision {
                stream: &rule.then,
                level,
                rule: &rule.name,
            },
            None => Decision {
                stream: table::OTHERWISE,
                level,
                rule: "otherwise",
            },
        }
    }

    /// Whether every stream that the rules send to exists.
    pub(crate) fn check(&self, catalogue: &StreamCatalogue) -> Result<(), ConfigError> {
        match self
            .streams
            .iter()
            .find(|rule| catalogue.by_name(&rule.then).is_none())
        {
            Some(rule) => Err(ConfigError::CaptureStream {
                rule: rule.name.to_string(),
                stream: rule.then.to_string(),
            }),
            None => Ok(()),
        }
    }
}

/// Each expression alone, so that the fault has the number of its rule.
fn check_pattern(rule: &CaptureRule, number: usize) -> Result<(), ConfigError> {
    let Some(pattern) = &rule.pattern else {
        return Ok(());
    };
    match Regex::new(pattern) {
        Ok(_) => Ok(()),
        Err(source) => Err(ConfigError::CaptureRegex {
            rule: number,
            source: Box::new(source),
        }),
    }
}

impl<T> Rule<T> {
    fn of(rule: &CaptureRule, number: usize, pattern: Option<usize>, then: T) -> Rule<T> {
        Rule {
            name: format!("rule {number}").into(),
            origins: rule.origins.clone(),
            fields: rule
                .fields
                .iter()
                .map(|name| field::canonical_name(name).to_owned().into())
                .collect(),
            level_min: rule.level_min,
            needs_exception: false,
            pattern,
            then,
        }
    }

    fn built_in(row: &Row<T>, patterns: &mut Vec<&str>) -> Rule<T>
    where
        T: Copy,
    {
        Rule {
            name: row.name.into(),
            origins: row.origins.to_vec(),
            fields: row.fields.iter().map(|name| Cow::Borrowed(*name)).collect(),
            level_min: row.level_min,
            needs_exception: row.needs_exception,
            pattern: (!row.pattern.is_empty()).then(|| {
                patterns.push(row.pattern);
                patterns.len() - 1
            }),
            then: row.then,
        }
    }

    fn map<U>(self, to: impl Fn(T) -> U) -> Rule<U> {
        Rule {
            name: self.name,
            origins: self.origins,
            fields: self.fields,
            level_min: self.level_min,
            needs_exception: self.needs_exception,
            pattern: self.pattern,
            then: to(self.then),
        }
    }

    fn holds(&self, captured: &Captured<'_>, level: Level, matched: &PatternSet) -> bool {
        let pattern_holds = self.pattern.is_none_or(|number| {
            regex_automata::PatternID::new(number).is_ok_and(|id| matched.contains(id))
        });
        pattern_holds
            && (self.origins.is_empty() || self.origins.contains(&captured.origin))
            && self.level_min.is_none_or(|least| level >= least)
            && (!self.needs_exception || captured.has_exception)
            && self.fields.iter().all(|name| (captured.has_field)(name))
    }
}

/// The first line of a message that says something, without the colours of a terminal, up to
/// [`LOOKED_AT_BYTES_MAX`].
fn first_line(message: &str) -> Cow<'_, str> {
    let message = message.trim_start();
    let line = message.lines().next().unwrap_or_default();
    let line = &line[..line.floor_char_boundary(LOOKED_AT_BYTES_MAX)];
    without_colours(line)
}

/// The text without `ESC [ … m`.
fn without_colours(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        let end = after
            .bytes()
            .position(|byte| !(byte.is_ascii_digit() || byte == b';' || byte == b':'))
            .unwrap_or(after.len());
        // The byte that ends the sequence, if it is one.
        rest = after[end..]
            .strip_prefix(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(&after[end..]);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What is seen of captured lines before their formats take them apart.
pub(crate) struct Seen {
    origins: Column,
    exceptions: Vec<Option<Exception>>,
}

impl Seen {
    /// Takes the origin of each row out of `columns`, and looks for stack traces in the messages.
    pub(crate) fn of(columns: &mut ColumnSet) -> Seen {
        let mut exceptions = vec![None; columns.rows() as usize];
        if let Some(messages) = columns.get(field::MESSAGE) {
            for (row, value) in messages.iter() {
                exceptions[row as usize] = exception::find(value.text);
            }
        }
        Seen {
            origins: columns.remove(METADATA_TYPE).unwrap_or_default(),
            exceptions,
        }
    }

    /// Puts back the origins: what a line says of its own `metadata.type` goes to a label.
    pub(crate) fn restore(&mut self, columns: &mut ColumnSet) {
        let claimed = columns.remove(METADATA_TYPE).unwrap_or_default();
        let (kept, claimed) = merge(self.origins.clone(), claimed);
        columns.insert(METADATA_TYPE, kept);
        keep_under(columns, "labels.metadata.type", claimed);
        for (name, text) in [
            (ERROR_TYPE, Exception::kind as fn(&Exception) -> &str),
            (ERROR_MESSAGE, Exception::message),
            (ERROR_STACK, Exception::stack),
        ] {
            let mut column = Column::default();
            for (row, exception) in (0..).zip(&self.exceptions) {
                let text = exception.as_ref().map(text).unwrap_or_default();
                if !text.is_empty() {
                    column.push(row, Kind::String, text);
                }
            }
            let existing = columns.remove(name).unwrap_or_default();
            let (merged, _) = merge(existing, column);
            if !merged.is_empty() {
                columns.insert(name, merged);
            }
        }
    }

    /// Decides for each row that has an origin; sets the levels of rows that say none.
    pub(crate) fn decide(
        &self,
        rules: &CaptureRules,
        columns: &mut ColumnSet,
        level_is_missing: &[bool],
        catalogue: &StreamCatalogue,
    ) -> Targets {
        let mut targets = vec![None; columns.rows() as usize];
        let mut levels = Column::default();
        let given = columns.remove(field::LEVEL).unwrap_or_default();
        for (row, value) in given.iter() {
            let decision = self.decide_row(rules, columns, row, value.text, level_is_missing);
            let Some(decision) = decision else {
                levels.push(row, value.kind, value.text);
                continue;
            };
            levels.push(row, Kind::String, decision.level.name());
            targets[row as usize] = catalogue.by_name(decision.stream).cloned();
        }
        columns.insert(field::LEVEL, levels);
        targets
    }

    fn decide_row<'a>(
        &self,
        rules: &'a CaptureRules,
        columns: &ColumnSet,
        row: u32,
        level: &str,
        level_is_missing: &[bool],
    ) -> Option<Decision<'a>> {
        let origin = Origin::from_name(self.origins.get(row)?.text)?;
        let is_missing = level_is_missing[row as usize];
        let message = columns
            .get(field::MESSAGE)
            .and_then(|column| column.get(row));
        let has_field = |name: &str| columns.get(name).is_some_and(|c| c.get(row).is_some());
        Some(rules.decide(&Captured {
            origin,
            level: Level::from_name(level).filter(|_| !is_missing),
            message: message.map(|value| value.text).unwrap_or_default(),
            has_exception: self.exceptions[row as usize].is_some()
                || has_field(ERROR_STACK)
                || has_field(ERROR_TYPE),
            has_field: &has_field,
        }))
    }
}
