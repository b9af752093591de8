//! `taffrail run`: records what a program says and does, and is not noticed by it.
//!
//! Invariants
//! - The program is served first: its bytes and signals pass on threads that do nothing else
//!   ([`taffrail_ingest::listen::process`]). Everything that can wait, fail or take long is on the
//!   recorder's thread ([`recorder`]), which has a lower priority.
//! - What cannot be recorded is counted and said, at the end and as a record when recording works
//!   again. Nothing is written to the terminal while the program runs.
//! - Where recording cannot even begin, the program runs without it.
//! - Until a server has acknowledged a record, it is in an encrypted spool ([`buffer`]).
mod buffer;
mod capture_rules;
mod inbox;
mod killed;
mod lifecycle;
mod lines;
mod proxy;
mod recorder;
mod restart;
mod supervise;
mod trace;
mod writer;

use crate::{delivery::HttpSender, failure::Failure, shown::shown};
use anyhow::{Context, Result};
use buffer::BufferOptions;
use capture_rules::Capture;
use clap::{Args, ValueEnum};
use proxy::ProxyArguments;
use recorder::{KEEP_PATIENCE, RecorderOptions};
use restart::{RESTARTS_MAX, RESTARTS_MOST};
use std::{
    ffi::OsString,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};
use taffrail_engine::spool::SPOOL_BYTES_MAX;
use taffrail_ingest::listen::process::{
    stage,
    stdio::{Kind, Standard},
};

const EXAMPLES: &str = "\
Examples:
  taffrail run --instance 7f3a -- npx -y @modelcontextprotocol/server-everything
  taffrail run --instance 7f3a --service figma --restart on-failure -- ./server --stdio
  taffrail run --instance 7f3a --memory-limit-mib 512 -- python -m server
  taffrail run --instance 7f3a --http 127.0.0.1:8080 --to https://mcp.example.com/mcp
";

/// Bytes of an instance's id: it is a name of a directory too.
const INSTANCE_BYTES_MAX: usize = 200;
/// Between two samples: each reads a few files of every process that the program has started.
const SAMPLE_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// See [`SAMPLE_INTERVAL_MIN`]. Anything longer is a misspelt number.
const SAMPLE_INTERVAL_MAX: Duration = Duration::from_secs(86_400);

/// Arguments of `run`.
#[derive(Args, Clone, Debug)]
#[command(before_help = EXAMPLES)]
pub struct RunArguments {
    /// Instance that the program is
    #[arg(long, value_name = "ID")]
    instance: String,
    /// User that the instance works for
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// What the instance is, such as figma [default: its own, or the command's name]
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// When to start the program again
    #[arg(long, value_enum, default_value_t = RestartArgument::Never)]
    restart: RestartArgument,
    /// Restarts within ten minutes after which it is not started again
    #[arg(long, value_name = "NUMBER", default_value_t = RESTARTS_MAX, value_parser = clap::value_parser!(u16).range(1..=RESTARTS_MOST))]
    max_restarts: u16,
    /// Address of the server
    #[arg(
        long,
        env = "TAFFRAIL_URL",
        hide_env_values = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:4600"
    )]
    server: String,
    /// File with the API key; else the key is taken from TAFFRAIL_TOKEN
    #[arg(
        long,
        env = "TAFFRAIL_TOKEN_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    token_file: Option<PathBuf>,
    /// Configuration file with rules for what is printed, read after those in the usual places
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of unsent records [default: ~/.taffrail/run/INSTANCE]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// File of the key that encrypts them [default: in ~/.taffrail/keys]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// MiB of unsent records on disk; when full, new ones are dropped and counted
    #[arg(long, value_name = "MIB", default_value_t = SPOOL_BYTES_MAX >> 20)]
    spool_mib: u64,
    /// KiB of each call's arguments and results that are recorded, redacted
    #[arg(long, value_name = "KIB", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=256))]
    contents_kib: u16,
    /// Give each request without a trace context one (_meta.traceparent): stdin passes by lines
    #[arg(long, conflicts_with = "http")]
    inject_traceparent: bool,
    /// Seconds between samples of memory and processor, such as 10 or 0.5; 0: none
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = sample_interval)]
    sample_s: Duration,
    /// Warn when the program and what it started use more memory
    #[arg(long, value_name = "MIB")]
    memory_limit_mib: Option<u64>,
    /// Warn when they use more of a processor between two samples
    #[arg(long, value_name = "PERCENT")]
    cpu_limit_percent: Option<u64>,
    /// Say at the end how much was recorded
    #[arg(long, conflicts_with = "quiet")]
    summary: bool,
    /// Never say anything, not even that records were lost
    #[arg(long)]
    quiet: bool,
    /// Seconds that the end waits at the most until records are durable: for tests
    #[arg(long, value_name = "SECONDS", default_value_t = KEEP_PATIENCE.as_secs(), hide = true)]
    keep_patience_s: u64,
    #[command(flatten)]
    proxy: ProxyArguments,
    /// The program and its arguments
    #[arg(
        value_name = "COMMAND",
        required_unless_present = "http",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

/// When a program is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RestartArgument {
    /// Never: we end when it ends
    Never,
    /// When it ended with another code than 0, or by a signal
    OnFailure,
    /// Whenever it ends
    Always,
}

/// Runs a stage between us and the program, if that is what this process was started for.
#[must_use]
pub fn stage() -> Option<ExitCode> {
    stage::run(std::env::args_os())
}

/// Runs the program and ends as it ended.
pub fn run(arguments: RunArguments) -> Result<()> {
    let is_quiet = arguments.quiet;
    let options = options(&arguments)?;
    if let Some(listen) = arguments.proxy.http {
        let options = proxy::Options {
            recorder: options.recorder,
            is_quiet,
            has_summary: arguments.summary,
        };
        return proxy::run(&arguments.proxy, listen, &options);
    }
    let command = arguments.command.clone();
    let error = match supervise::run(options) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    if !is_quiet {
        say(&format!("recording is not possible: {error:#}"));
    }
    let mut words = command.into_iter();
    let program = words.next().unwrap_or_default();
    let error = Command::new(&program).args(words).exec();
    Err(error).with_context(|| format!("starting {}", program.display()))
}

/// The time between two samples, given in seconds; none at all if it is 0.
fn sample_interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_string())?;
    let range = SAMPLE_INTERVAL_MIN..=SAMPLE_INTERVAL_MAX;
    let interval = Duration::try_from_secs_f64(seconds).ok();
    let is_possible = |interval: &Duration| interval.is_zero() || range.contains(interval);
    interval.filter(is_possible).ok_or_else(|| {
        let (min, max) = (range.start().as_secs_f64(), range.end().as_secs());
        format!("neither 0 nor from {min} to {max}")
    })
}

fn options(arguments: &RunArguments) -> Result<supervise::Options> {
    let instance = &arguments.instance;
    let is_name = !instance.is_empty()
        && instance.len() <= INSTANCE_BYTES_MAX
        && !instance.starts_with('.')
        && !instance.contains(['/', '\0']);
    if !is_name {
        return Err(Failure::Usage(format!("{instance:?} is no id of an instance")).into());
    }
    let is_restarted = arguments.restart != RestartArgument::Never;
    if is_restarted && Standard::Input.kind() == Kind::Terminal {
        let text = "--restart needs a stdin that is no terminal: a terminal goes with its program";
        return Err(Failure::Usage(text.to_string()).into());
    }
    let capture = Capture::load(arguments.config.clone())?;
    if let Some(fault) = capture.fault.as_ref().filter(|_| !arguments.quiet) {
        say(&fault.said);
    }
    // Said now rather than at the end: it cannot work ever.
    HttpSender::new(&arguments.server, None)?;
    let program = arguments.command.first().cloned().unwrap_or_default();
    let service = arguments.service.clone().or_else(|| arguments.proxy.host());
    let service = service.or_else(|| {
        let name = Path::new(&program).file_name()?;
        Some(name.to_string_lossy().into_owned())
    });
    let buffer = BufferOptions {
        folder: arguments.state.clone(),
        instance: instance.clone(),
        key_file: arguments.key_file.clone(),
        bytes_max: arguments.spool_mib << 20,
        server: arguments.server.clone(),
        token_file: arguments.token_file.clone(),
    };
    Ok(supervise::Options {
        restart: arguments.restart,
        restarts_max: arguments.max_restarts.into(),
        is_quiet: arguments.quiet,
        has_summary: arguments.summary,
        is_trace_injected: arguments.inject_traceparent,
        recorder: RecorderOptions {
            instance: instance.clone(),
            user: arguments.user.clone(),
            service: service.unwrap_or_default(),
            is_service_named: arguments.service.is_some(),
            command: arguments.command.clone(),
            contents_bytes_max: usize::from(arguments.contents_kib) << 10,
            sample_every: Some(arguments.sample_s).filter(|every| !every.is_zero()),
            memory_limit_bytes: arguments.memory_limit_mib.map(|mib| mib << 20),
            cpu_limit_percent: arguments.cpu_limit_percent,
            is_terminal: false,
            capture,
            buffer,
            keep_patience: Duration::from_secs(arguments.keep_patience_s),
        },
    })
}

/// One line on stderr; an error to write it is nobody's to read.
fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "taffrail: {}", shown(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_of_samples_are_seconds() {
        for (text, milliseconds) in [("10", 10_000), ("0.5", 500), ("0.1", 100), ("0", 0)] {
            let found = sample_interval(text);
            assert_eq!(found, Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        let range = "neither 0 nor from 0.1 to 86400";
        for text in ["0.09", "-1", "86401", "1e30", "inf", "nan"] {
            assert_eq!(sample_interval(text), Err(range.to_string()), "{text}");
        }
        assert_eq!(sample_interval("10s"), Err("not a number".to_string()));
    }
}
