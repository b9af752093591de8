//! `taffrail logs benchmark`: speed, size and memory of this program on this machine, as one table
//! with its budgets and with `zstd -3` of the same data as the reference.
//!
//! What holds
//! - The server is this program in a process of its own, with encryption and the default
//!   redaction, asked over HTTP; nothing is measured that a user would not have.
//! - Every answer that can be is compared with a count that shares no code with the server; a
//!   wrong answer fails the benchmark, however fast it was.
//! - Made-up data follows from its seed. It is made on the fly where it is too much to keep, so
//!   memory and disk stay bounded.
mod ask;
mod data;
mod library;
mod load;
mod needles;
mod process;
mod questions;
mod random;
mod readback;
mod report;
mod seen;
mod server;
mod set;
mod survey;
mod tally;
mod yardstick;

use crate::failure::Failure;
use anyhow::{Context, Result, bail};
use clap::Args;
use data::{
    Source,
    machine::{MachineOptions, RARE_WORD},
    prose::ProseOptions,
    time::first_day,
};
use questions::Rule;
use report::Report;
use ring::rand::{SecureRandom, SystemRandom};
use server::{Ground, STREAMS};
use set::{Budgets, DataSet, Run};
use std::{
    io::Write,
    path::{Path, PathBuf},
};
use taffrail_model::time::{NS_PER_DAY, NS_PER_S};
use tally::Range;
use tokio::signal::unix::{SignalKind, signal};

const EXAMPLES: &str = "\
Examples:
  taffrail logs benchmark
  taffrail logs benchmark --rows 6000000 --prose-rows 300000 --output figures.json
  taffrail logs benchmark --input /var/log/mine.jsonl.zst --queries mine.txt
";

/// Most days of made-up data: those of a year.
const DAYS_MAX: i64 = 366;
/// Most tenants: a batch goes to one, so more of them than batches make no sense.
const TENANTS_MAX: i64 = 1_000;
/// Most connections: more than a server of few cores can use.
const CONNECTIONS_MAX: i64 = 64;
/// Most runs of each question.
const RUNS_MAX: i64 = 1_000;
/// The hour of the questions of an hour, on the last day.
const HOUR: i64 = 10;
const BUDGETS_MACHINE: Budgets = Budgets {
    cpu: 2.5,
    size: 0.48,
    rate: Some(450_000.0),
    peak_mb: Some(400.0),
};
const BUDGETS_PROSE: Budgets = Budgets {
    cpu: 3.0,
    size: 1.05,
    rate: None,
    peak_mb: None,
};

/// Arguments of `logs benchmark`.
#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
pub struct BenchmarkArguments {
    /// Measure on this log instead of made-up data: a JSON record in each line, .gz and .zst too
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rows", "prose_rows", "days", "names"])]
    input: Option<PathBuf>,
    /// Made-up machine logs; 0 leaves them out
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    rows: u64,
    /// Made-up records of agents with long texts; 0 leaves them out
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    prose_rows: u64,
    /// Names the made-up data and the needles that are drawn from it
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Ask these questions too: a name and a query in each line
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// How often each question is asked after the first time
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=RUNS_MAX))]
    runs: u32,
    /// Connections that send records
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=CONNECTIONS_MAX))]
    connections: u32,
    /// Spread the records over so many tenants
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=TENANTS_MAX))]
    tenants: u32,
    /// Spread the records over so many days
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=DAYS_MAX))]
    days: u16,
    /// Put one of so many random names into a fifth of the messages, so that templates are many
    #[arg(long, value_name = "N", default_value_t = 0)]
    names: u64,
    /// Fill the tail before the questions are asked
    #[arg(long)]
    full_tails: bool,
    /// Empty the kernel's cache of the files before each question
    #[arg(long)]
    cold: bool,
    /// Ask the questions while records come in at half of the full rate
    #[arg(long)]
    while_ingesting: bool,
    /// Read every value again after the ingest, and compare all columns by hash with what was sent
    #[arg(long)]
    read_back: bool,
    /// Work in this folder, which must be empty, and keep what is in it [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Write the figures as JSON to this file, and the table beside it as .txt
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What is measured, and how.
pub struct Settings {
    seed: u64,
    queries: Vec<Rule>,
    runs: usize,
    connections: usize,
    tenants: usize,
    days: u16,
    has_full_tails: bool,
    is_cold: bool,
    is_ingesting: bool,
    reads_back: bool,
}

/// Tells how far it is.
fn say(text: &str) {
    eprintln!("taffrail: {text}");
}

/// Runs the command. Measuring blocks, so it has a thread of its own; Ctrl-C ends the server and
/// removes what is temporary.
pub async fn run(arguments: BenchmarkArguments) -> Result<()> {
    let workplace = Workplace::open(arguments.data_dir.as_deref())?;
    let sets = data_sets(&arguments)?;
    let settings = settings(&arguments)?;
    let mut key = [0; 32];
    let random = SystemRandom::new().fill(&mut key);
    random.map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut grounds = Vec::new();
    for set in &sets {
        let folder = workplace.path().join(set.stream);
        std::fs::create_dir(&folder).with_context(|| format!("making {}", folder.display()))?;
        grounds.push(Ground::new(folder, &key)?);
    }
    let mut interrupt = signal(SignalKind::interrupt()).context("waiting for Ctrl-C")?;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let mine = grounds.clone();
    let is_kept = arguments.data_dir.is_some();
    std::thread::spawn(move || {
        // Nobody waits any more after Ctrl-C.
        let _ = sender.send(measure(&sets, &settings, mine, is_kept));
    });
    let outcome = tokio::select! {
        outcome = receiver => outcome.context("measuring was cut off")?,
        _ = interrupt.recv() => Err(Failure::Interrupted.into()),
    };
    grounds.iter().for_each(Ground::end);
    let (seed, sets) = (arguments.seed, outcome?);
    let report = Report {
        seed,
        arguments: std::env::args().skip(3).collect(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        sets,
    };
    publish(&report, arguments.output.as_deref())
}

fn measure(
    sets: &[DataSet],
    settings: &Settings,
    grounds: Vec<Ground>,
    is_kept: bool,
) -> Result<Vec<report::SetReport>> {
    let mut reports = Vec::new();
    for (set, ground) in sets.iter().zip(grounds) {
        reports.push(Run::prepare(set, settings, ground.clone())?.measure()?);
        if !is_kept {
            ground.remove()?;
        }
    }
    Ok(reports)
}

/// Writes the table to stdout and both forms to files; a wrong answer is a failure after that.
fn publish(report: &Report, output: Option<&Path>) -> Result<()> {
    let text = report.text();
    if let Some(path) = output {
        let json = serde_json::to_string_pretty(&report.json()).context("writing JSON")?;
        for (path, text) in [
            (path, &format!("{json}\n")),
            (&path.with_extension("txt"), &text),
        ] {
            std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
        }
    }
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .context("writing the table")?;
    out.flush().context("writing the table")?;
    match report.is_right() {
        true => Ok(()),
        false => bail!("an answer is wrong: see the table"),
    }
}

/// Where everything is done.
enum Workplace {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Workplace {
    fn open(folder: Option<&Path>) -> Result<Workplace> {
        let Some(folder) = folder else {
            let folder = tempfile::Builder::new()
                .prefix("taffrail-benchmark-")
                .tempdir();
            return Ok(Workplace::Temporary(
                folder.context("making a temporary folder")?,
            ));
        };
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let folder = folder
            .canonicalize()
            .with_context(|| format!("looking at {}", folder.display()))?;
        let mut entries = std::fs::read_dir(&folder).context("listing the folder")?;
        if entries.next().is_some() {
            let reason = format!("{} is not empty", folder.display());
            return Err(Failure::Usage(reason).into());
        }
        Ok(Workplace::Kept(folder))
    }

    fn path(&self) -> &Path {
        match self {
            Workplace::Temporary(folder) => folder.path(),
            Workplace::Kept(folder) => folder,
        }
    }
}

fn settings(arguments: &BenchmarkArguments) -> Result<Settings> {
    let queries = match &arguments.queries {
        None => Vec::new(),
        Some(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.with_context(|| format!("reading {}", path.display()))?;
            let fault = |fault| Failure::Usage(format!("{}: {fault}", path.display()));
            questions::of_file(&text).map_err(fault)?
        }
    };
    Ok(Settings {
        seed: arguments.seed,
        queries,
        runs: arguments.runs as usize,
        connections: arguments.connections as usize,
        tenants: arguments.tenants as usize,
        days: arguments.days,
        has_full_tails: arguments.full_tails,
        is_cold: arguments.cold,
        is_ingesting: arguments.while_ingesting,
        reads_back: arguments.read_back,
    })
}

fn data_sets(arguments: &BenchmarkArguments) -> Result<Vec<DataSet>> {
    if let Some(path) = &arguments.input {
        let file = path.canonicalize();
        let file = file.with_context(|| format!("looking at {}", path.display()))?;
        return Ok(vec![DataSet {
            name: "own log",
            stream: STREAMS[0],
            source: Source::File(file, u64::MAX),
            budgets: None,
            rare_word: None,
            rules: questions::own_log,
            day: None,
            hour: None,
            has_latencies: true,
        }]);
    }
    let (day, hour) = ranges(arguments.days)?;
    let mut sets = Vec::new();
    if arguments.rows > 0 {
        sets.push(DataSet {
            name: "machine logs",
            stream: STREAMS[0],
            source: Source::Machine(MachineOptions {
                rows: arguments.rows,
                days: arguments.days,
                names: arguments.names,
                seed: arguments.seed,
            }),
            budgets: Some(BUDGETS_MACHINE),
            rare_word: Some(RARE_WORD),
            rules: questions::machine,
            day: Some(day),
            hour: Some(hour),
            has_latencies: true,
        });
    }
    if arguments.prose_rows > 0 {
        sets.push(DataSet {
            name: "agent prose",
            stream: STREAMS[1],
            source: Source::Prose(ProseOptions {
                rows: arguments.prose_rows,
                days: arguments.days,
                seed: arguments.seed,
            }),
            budgets: Some(BUDGETS_PROSE),
            rare_word: None,
            rules: questions::prose,
            day: Some(day),
            hour: Some(hour),
            has_latencies: false,
        });
    }
    match sets.is_empty() {
        true => Err(Failure::Usage("there is nothing to measure".into()).into()),
        false => Ok(sets),
    }
}

/// Times of made-up data: all of it, and the hour of its last day.
fn ranges(days: u16) -> Result<(Range, Range)> {
    let first = first_day()?
        .to_zoned(jiff::tz::TimeZone::UTC)
        .context("the first day")?;
    let start = first.timestamp().as_second() * NS_PER_S;
    let end = start + i64::from(days) * NS_PER_DAY;
    let hour = end - NS_PER_DAY + HOUR * 3_600 * NS_PER_S;
    Ok(((start, end - 1), (hour, hour + 3_600 * NS_PER_S - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        benchmark: BenchmarkArguments,
    }

    fn sets(words: &[&str]) -> Result<Vec<DataSet>> {
        let words = std::iter::once("benchmark").chain(words.iter().copied());
        let line = CommandLine::try_parse_from(words)?;
        data_sets(&line.benchmark)
    }

    #[test]
    fn rows_decide_which_data_is_measured() {
        let names = |words: &[&str]| -> Vec<&str> {
            sets(words).unwrap().iter().map(|set| set.name).collect()
        };
        assert_eq!(names(&[]), ["machine logs", "agent prose"]);
        assert_eq!(names(&["--rows", "0"]), ["agent prose"]);
        let none = sets(&["--rows", "0", "--prose-rows", "0"]);
        assert!(none.is_err());
        assert!(sets(&["--input", "x", "--rows", "5"]).is_err());
    }

    #[test]
    fn limits_of_arguments() {
        for (flag, most) in [
            ("--days", DAYS_MAX),
            ("--tenants", TENANTS_MAX),
            ("--connections", CONNECTIONS_MAX),
            ("--runs", RUNS_MAX),
        ] {
            assert!(sets(&[flag, &most.to_string()]).is_ok(), "{flag}");
            assert!(sets(&[flag, &(most + 1).to_string()]).is_err(), "{flag}");
            assert!(sets(&[flag, "0"]).is_err(), "{flag}");
        }
    }

    #[test]
    fn the_hour_is_on_the_last_day() {
        let (day, hour) = ranges(10).unwrap();
        assert_eq!(day.1 - day.0 + 1, 10 * NS_PER_DAY);
        assert_eq!(hour.1 - hour.0 + 1, 3_600 * NS_PER_S);
        assert_eq!(day.1 - hour.1, 13 * 3_600 * NS_PER_S);
    }

    #[test]
    fn a_folder_that_is_in_use_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Workplace::open(Some(&folder.path().join("new"))).is_ok());
        assert!(Workplace::open(Some(folder.path())).is_err());
    }
}
