//! `taffrail logs search`: pages through an answer and prints it as it comes.
use super::{
    filter::{MatchOptions, Range, RangeOptions, SentQuery},
    format::{FormatOptions, Printer},
    table::Table,
};
use crate::{
    client::{Client, QueryFault, ServerOptions},
    failure::Failure,
    record::Record,
};
use anyhow::{Result, anyhow};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use reqwest::Method;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::str::FromStr;
use taffrail_model::{
    clock::{Clock, SystemClock},
    time::Timestamp,
};

/// Records of one request: enough to keep the wire busy, little enough to show at once.
const PAGE_RECORDS: u64 = 1_000;

const EXAMPLES: &str = "\
Examples:
  taffrail logs search failed to authenticate
  taffrail logs search '\"failed to authenticate\"' --since 24h
  taffrail logs search --agent coder --level ERROR
  taffrail logs search --since \"2026-01-04 14:00\" --until \"2026-01-04 15:00\"
  taffrail logs search --correlation-id 01HN8X3QGPZ9K2M1V0E4R5T6W7
  taffrail logs search 'level>=warn source:figma' --limit all --format csv -o report.csv
  taffrail logs search '* | stats count(), count_if(level:error) by source | sort -count'
";

/// Arguments of `logs search`.
#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
pub struct SearchArguments {
    #[command(flatten)]
    what: MatchOptions,
    #[command(flatten)]
    when: RangeOptions,
    /// At most this many records, or all
    #[arg(long, value_name = "N", default_value = "100")]
    limit: Limit,
    /// Newest or oldest first
    #[arg(long, value_enum, default_value_t)]
    order: Order,
    /// Print how many records match, and nothing else
    #[arg(long)]
    count: bool,
    #[command(flatten)]
    form: FormatOptions,
    #[command(flatten)]
    pub(super) server: ServerOptions,
}

/// Which end of the range comes first.
#[derive(Clone, Copy, Debug, Default, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    /// Newest first
    #[default]
    Desc,
    /// Oldest first
    Asc,
}

/// A number of records, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit(Option<u64>);

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Limit, String> {
        match text {
            "all" => Ok(Limit(None)),
            _ => match text.parse() {
                Ok(0) | Err(_) => Err("must be a number from 1 on, or `all`".into()),
                Ok(count) => Ok(Limit(Some(count))),
            },
        }
    }
}

#[derive(Serialize)]
struct SearchBody<'a> {
    query: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    streams: &'a [String],
    limit: u64,
    order: Order,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    count: bool,
}

#[derive(Deserialize)]
struct SearchAnswer {
    records: Vec<Record>,
    #[serde(default)]
    total: Option<u64>,
    #[serde(default)]
    total_is_estimate: bool,
    cursor: Option<String>,
    #[serde(default)]
    partial: bool,
}

/// Runs the command.
pub async fn run(arguments: SearchArguments) -> Result<()> {
    let query = arguments.what.query()?;
    let now = SystemClock.now();
    let range = arguments.when.range(now, &TimeZone::system())?;
    let client = Client::new(&arguments.server)?;
    let search = Search {
        client: &client,
        query: &query,
        range,
        streams: &arguments.what.stream,
        order: arguments.order,
    };
    if query.has_pipes {
        if arguments.count {
            let reason =
                "a query with pipes counts by itself: write | stats count() instead of --count";
            return Err(Failure::Usage(reason.into()).into());
        }
        return search.print_table(&arguments.form).await;
    }
    if arguments.count {
        return search.print_count().await;
    }
    let mut printer = None;
    let is_partial = search.print(&arguments, &mut printer).await?;
    let Some(printer) = printer else {
        return Ok(());
    };
    let count = printer.count();
    printer.finish()?;
    if count == 0 {
        eprintln!("taffrail: {}", nothing_found(&arguments.when, range));
    }
    if is_partial {
        return Err(partial());
    }
    Ok(())
}

/// Says that the answer lacks something.
fn partial() -> anyhow::Error {
    eprintln!("taffrail: the answer is partial: some data could not be read, see the server's log");
    Failure::Partial.into()
}

fn nothing_found(when: &RangeOptions, range: Range) -> String {
    if when.is_default() && range.end.is_none() {
        return "no records in the last hour; --since 7d or --since all looks further back".into();
    }
    let text =
        |time: Option<Timestamp>, open: &str| time.map_or(open.into(), Timestamp::to_rfc3339);
    let (start, end) = (text(range.start, "the beginning"), text(range.end, "now"));
    format!("no records from {start} to {end}")
}

struct Search<'a> {
    client: &'a Client,
    query: &'a SentQuery,
    range: Range,
    streams: &'a [String],
    order: Order,
}

impl Search<'_> {
    async fn print_count(&self) -> Result<()> {
        let answer = self.page(0, None, true).await?;
        let total = answer
            .total
            .ok_or_else(|| anyhow!("the server did not count"))?;
        let about = if answer.total_is_estimate {
            "about "
        } else {
            ""
        };
        use std::io::Write;
        writeln!(std::io::stdout(), "{about}{total}")?;
        match answer.partial {
            true => Err(Failure::Partial.into()),
            false => Ok(()),
        }
    }

    /// Prints what the pipes of the query make of the records.
    async fn print_table(&self, form: &FormatOptions) -> Result<()> {
        let table: Table = self.ask(&self.body(0, None, false)).await?;
        table.print(form)?;
        for note in table.notes() {
            eprintln!("taffrail: {note}");
        }
        match table.partial {
            true => Err(partial()),
            false => Ok(()),
        }
    }

    /// Prints page after page; whether something was missing. The destination is opened with the
    /// first answer, so that an error does not leave an empty file.
    async fn print(
        &self,
        arguments: &SearchArguments,
        opened: &mut Option<Printer>,
    ) -> Result<bool> {
        let mut left = arguments.limit.0;
        let mut cursor = None;
        let mut is_partial = false;
        let progress = progress(arguments);
        loop {
            let limit = left.map_or(PAGE_RECORDS, |left| left.min(PAGE_RECORDS));
            let mut page = self.page(limit, cursor.take(), false).await?;
            if let Some(left) = left {
                page.records
                    .truncate(usize::try_from(left).unwrap_or(usize::MAX));
            }
            let printer = match opened {
                Some(printer) => printer,
                None => opened.insert(Printer::open(&arguments.form, true)?),
            };
            printer.print(&page.records, None)?;
            progress.set_position(printer.count());
            is_partial |= page.partial;
            let got = page.records.len() as u64;
            left = left.map(|left| left - got);
            cursor = page.cursor;
            if got == 0 || cursor.is_none() || left == Some(0) {
                progress.finish_and_clear();
                return Ok(is_partial);
            }
        }
    }

    async fn page(&self, limit: u64, cursor: Option<String>, count: bool) -> Result<SearchAnswer> {
        self.ask(&self.body(limit, cursor, count)).await
    }

    fn body(&self, limit: u64, cursor: Option<String>, count: bool) -> SearchBody<'_> {
        SearchBody {
            query: &self.query.text,
            start_time: self.range.start.map(Timestamp::to_rfc3339),
            end_time: self.range.end.map(Timestamp::to_rfc3339),
            streams: self.streams,
            limit,
            order: self.order,
            cursor,
            count,
        }
    }

    async fn ask<T: DeserializeOwned>(&self, body: &SearchBody<'_>) -> Result<T> {
        let answer = self.client.send_json(Method::POST, "/api/v1/search", body);
        answer
            .await
            .map_err(|error| in_the_query(error, self.query))
    }
}

/// Shows where in the user's own text a fault is, which makes it a usage error.
pub fn in_the_query(error: anyhow::Error, query: &SentQuery) -> anyhow::Error {
    match error.downcast_ref::<QueryFault>() {
        Some(fault) => Failure::Usage(fault.marked(&query.written, query.characters_before)).into(),
        None => error,
    }
}

/// A count on stderr while a long answer goes to a file.
fn progress(arguments: &SearchArguments) -> ProgressBar {
    if arguments.form.output.is_none() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} records {elapsed}") {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        assert_eq!("10".parse(), Ok(Limit(Some(10))));
        assert_eq!("all".parse(), Ok(Limit(None)));
        for bad in ["0", "-1", "many", ""] {
            assert!(bad.parse::<Limit>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_empty_answer_says_where_was_looked() {
        let range = |start, end| Range {
            start: Some(Timestamp(start)),
            end,
        };
        let by_default = nothing_found(&RangeOptions::default(), range(0, None));
        assert!(by_default.contains("last hour"));
        let when = RangeOptions {
            since: Some("x".into()),
            until: None,
        };
        let expected = "no records from 1970-01-01T00:00:00Z to now";
        assert_eq!(nothing_found(&when, range(0, None)), expected);
    }
}
