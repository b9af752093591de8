//! Plain lines: files, syslog and captured output become records.
//!
//! Invariants
//! - The formats are rows of [`FORMATS`]; the first that fits decides, whatever the lines before
//!   it were, so a line means the same wherever it stands.
//! - What no format recognises is a message with the receive time, marked by
//!   `metadata.parsed = false`; no line is lost.
//! - Every format is linear in the line.
mod access;
mod clock;
mod json_object;
mod klog;
mod layout;
mod logfmt;
mod syslog;

use crate::{
    config::{ConfigError, LineOptions},
    parse::alias::keep_under,
};
use layout::Layout;
use std::borrow::Cow;
use taffrail_model::{
    column::{ColumnSet, Kind},
    field, limits,
    time::Timestamp,
};

/// Name of the format that recognises nothing.
const PLAIN: &str = "plain";
/// Set to false on lines that no format recognised.
const PARSED: &str = "metadata.parsed";

/// Text of a JSON field that is null: it takes a duplicate before it away and is no value.
const NULL: &str = "null";

/// Lines as records.
pub(crate) struct Lines {
    pub(crate) columns: ColumnSet,
    /// For each row the time that its line says, if it says one outside a field.
    pub(crate) times: Vec<Option<Timestamp>>,
}

/// One line, taken apart.
#[derive(Debug, Default, PartialEq)]
struct Found<'a> {
    time: Option<Timestamp>,
    fields: Vec<(Cow<'a, str>, Kind, Cow<'a, str>)>,
}

impl<'a> Found<'a> {
    fn at(time: Timestamp) -> Found<'a> {
        Found {
            time: Some(time),
            fields: Vec::new(),
        }
    }

    fn text(&mut self, name: &'static str, text: &'a str) {
        self.fields
            .push((Cow::Borrowed(name), Kind::String, Cow::Borrowed(text)));
    }

    fn integer(&mut self, name: &'static str, text: &'a str) {
        self.fields
            .push((Cow::Borrowed(name), Kind::Integer, Cow::Borrowed(text)));
    }
}

/// What a format knows about the source.
struct Context<'a> {
    received: Timestamp,
    zone: &'a jiff::tz::TimeZone,
}

/// One row of the table.
struct Format {
    name: &'static str,
    reader: Reader,
}

enum Reader {
    /// A function of the whole line.
    Line(for<'a> fn(&'a str, &Context<'_>) -> Option<Found<'a>>),
    /// Steps after a date and time at the start of the line.
    Dated(&'static Layout),
    /// Steps from the start of a line without a time.
    Undated(&'static [layout::Step]),
}

/// Every format, in the order in which they are tried.
static FORMATS: &[Format] = &[
    line("json", json_object::read),
    line("syslog_5424", syslog::read_5424),
    line("syslog_3164", syslog::read_3164),
    dated("spring", &layout::SPRING),
    dated("spring_application", &layout::SPRING_APPLICATION),
    dated("log4j", &layout::LOG4J),
    dated("log4j_dash", &layout::LOG4J_DASH),
    dated("logback", &layout::LOGBACK),
    dated("logback_colon", &layout::LOGBACK_COLON),
    dated("python_dash", &layout::PYTHON_DASH),
    dated("zookeeper", &layout::ZOOKEEPER),
    dated("level_dash", &layout::LEVEL_DASH),
    dated("nginx_error", &layout::NGINX_ERROR),
    dated("level_bracket_logger", &layout::LEVEL_BRACKET_LOGGER),
    dated("level_bracket_colon", &layout::LEVEL_BRACKET_COLON),
    dated("level_bracket", &layout::LEVEL_BRACKET),
    dated("env_logger", &layout::ENV_LOGGER),
    dated("monolog", &layout::MONOLOG),
    dated("bracket_level_colon", &layout::BRACKET_LEVEL_COLON),
    dated("bracket_level", &layout::BRACKET_LEVEL),
    dated("bracket", &layout::BRACKET),
    dated("postgresql", &layout::POSTGRESQL),
    dated("postgresql_session", &layout::POSTGRESQL_SESSION),
    dated("postgresql_detail", &layout::POSTGRESQL_DETAIL),
    dated("container", &layout::CONTAINER),
    dated("dpkg", &layout::DPKG),
    dated("go_file", &layout::GO_FILE),
    dated("level_logger", &layout::LEVEL_LOGGER),
    dated("level_logger_dash", &layout::LEVEL_LOGGER_DASH),
    dated("logger_level", &layout::LOGGER_LEVEL),
    dated("level_colon", &layout::LEVEL_COLON),
    dated("level", &layout::LEVEL),
    dated("rsyslog", &layout::RSYSLOG),
    dated("dated_colon", &layout::DATED_COLON),
    dated("dated", &layout::DATED),
    line("access", access::read),
    line("apache_error", access::read_apache_error),
    line("klog", klog::read),
    line("alternatives", layout::read_alternatives),
    line("logfmt", logfmt::read),
    undated("python_root", layout::PYTHON_ROOT),
    undated("undated_level_colon", layout::UNDATED_LEVEL_COLON),
    undated("undated_level_bracket", layout::UNDATED_LEVEL_BRACKET),
];

const fn line(
    name: &'static str,
    reader: for<'a> fn(&'a str, &Context<'_>) -> Option<Found<'a>>,
) -> Format {
    Format {
        name,
        reader: Reader::Line(reader),
    }
}

const fn dated(name: &'static str, layout: &'static Layout) -> Format {
    Format {
        name,
        reader: Reader::Dated(layout),
    }
}

const fn undated(name: &'static str, steps: &'static [layout::Step]) -> Format {
    Format {
        name,
        reader: Reader::Undated(steps),
    }
}

/// Names of the formats that lines can have, in the order in which they are tried, and `plain`,
/// which recognises nothing.
pub fn names() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().map(|format| format.name).chain([PLAIN])
}

/// Whether the named format exists.
pub(crate) fn check(options: &LineOptions) -> Result<(), ConfigError> {
    match &options.format {
        Some(name) if !names().any(|have| have == name) => Err(ConfigError::LineFormat {
            name: name.clone(),
            known: names().collect::<Vec<_>>().join(", "),
        }),
        _ => Ok(()),
    }
}

/// Reads the lines in the column `message`; other columns are kept.
pub(crate) fn read(mut columns: ColumnSet, options: &LineOptions, received: Timestamp) -> Lines {
    let context = Context {
        received,
        zone: &options.zone,
    };
    let lines = columns.remove(field::MESSAGE).unwrap_or_default();
    let mut out = Lines {
        columns: ColumnSet::default(),
        times: vec![None; columns.rows() as usize],
    };
    out.columns.set_rows(columns.rows());
    for (row, value) in lines.iter() {
        match recognise(value.text, options.format.as_deref(), &context) {
            Some((_, found)) => {
                out.times[row as usize] = found.time;
                for (name, kind, text) in &found.fields {
                    let column = out.columns.get_or_create(name);
                    match is_null(*kind, text) {
                        true => column.remove_last(row),
                        false => column.push(row, *kind, text),
                    }
                }
            }
            None => {
                let message = out.columns.get_or_create(field::MESSAGE);
                message.push(row, value.kind, value.text);
                let parsed = out.columns.get_or_create(PARSED);
                parsed.push(row, Kind::Bool, "false");
            }
        }
    }
    let others: Vec<_> = columns.iter().map(|(name, _)| name.clone()).collect();
    for name in others {
        if let Some(column) = columns.remove(&name) {
            keep_under(&mut out.columns, &name, column);
        }
    }
    out
}

fn is_null(kind: Kind, text: &str) -> bool {
    kind == Kind::Json && text == NULL
}

/// The first format that fits, or the named one if it does.
fn recognise<'a>(
    line: &'a str,
    format: Option<&str>,
    context: &Context<'_>,
) -> Option<(&'static str, Found<'a>)> {
    let line = line.trim_end_matches(['\r', '\n']);
    let mut head = None;
    FORMATS
        .iter()
        .filter(|row| format.is_none_or(|name| name == row.name))
        .find_map(|row| {
            let found = match &row.reader {
                Reader::Line(read) => read(line, context),
                Reader::Dated(layout) => {
                    let head = head.get_or_insert_with(|| clock::head(line, context));
                    head.and_then(|head| layout.read(head))
                }
                // In a joined stack trace, `Error: …` is the type of the exception.
                Reader::Undated(_) if line.contains('\n') => None,
                Reader::Undated(steps) => layout::follow(steps, line, Found::default()),
            }?;
            let is_named = |name: &str| (1..=limits::FIELD_NAME_BYTES_MAX).contains(&name.len());
            let is_usable = found.fields.iter().all(|(name, _, _)| is_named(name))
                && found
                    .fields
                    .iter()
                    .any(|(_, kind, text)| !is_null(*kind, text));
            is_usable.then_some((row.name, found))
        })
}

#[cfg(test)]
mod tests;
