//! What happens to the program, as records of the stream `system.pm2`.
use super::recorder::RecorderOptions;
use std::{collections::VecDeque, time::Duration};
use taffrail_ingest::{
    listen::process::{
        ended::{Ended, signal_name},
        leak::{Leak, LeakDetector},
        sample::Usage,
    },
    mcp::{
        attribute,
        record::{Origin, Record, Route, Scalar},
    },
};
use taffrail_model::{field, level::Level, time::Timestamp};

/// Stream of these records.
pub const STREAM: &str = "system.pm2";
/// Who says it.
const LOGGER: &str = "taffrail.run";
/// What happened: `spawn`, `ready`, `exit`, `restart`, `give_up`, `sample`, …
const EVENT: &str = "process.event";
/// Lines of stderr that a failure shows: a stack trace and what was said before it.
pub const TAIL_LINES: usize = 50;
/// Bytes of each.
const TAIL_LINE_BYTES_MAX: usize = 1 << 10;
/// Bytes of a command line that is shown.
const COMMAND_LINE_BYTES_MAX: usize = 4 << 10;
/// How long after its first output a program that does not speak MCP is taken for ready, in ns.
const READY_AFTER_NS: i64 = 2_000_000_000;

/// The state of the program, and what is to be said of it.
pub struct Lifecycle {
    service: String,
    command_line: String,
    limits: [Limit; 2],
    leaks: LeakDetector,
    /// When it was started.
    started: Option<Timestamp>,
    first_output: Option<Timestamp>,
    is_ready: bool,
    is_mcp: bool,
    tail: VecDeque<String>,
    records: Vec<Record>,
}

/// A threshold: said when it is passed, and again after it was kept.
struct Limit {
    event: &'static str,
    max: Option<f64>,
    is_passed: bool,
}

impl Limit {
    fn new(event: &'static str, max: Option<f64>) -> Limit {
        Limit {
            event,
            max,
            is_passed: false,
        }
    }

    /// The threshold, if it is passed now and was not before.
    fn check(&mut self, value: f64) -> Option<f64> {
        let max = self.max?;
        let was_passed = std::mem::replace(&mut self.is_passed, value > max);
        (self.is_passed && !was_passed).then_some(max)
    }
}

impl Lifecycle {
    /// Of a program that is not started.
    pub fn new(options: &RecorderOptions) -> Lifecycle {
        let memory_max = options.memory_limit_bytes.map(|bytes| bytes as f64);
        let cpu_max = options.cpu_limit_percent.map(|percent| percent as f64);
        Lifecycle {
            service: options.service.clone(),
            command_line: command_line(&options.command),
            limits: [
                Limit::new("memory_limit", memory_max),
                Limit::new("cpu_limit", cpu_max),
            ],
            leaks: LeakDetector::default(),
            started: None,
            first_output: None,
            is_ready: false,
            is_mcp: false,
            tail: VecDeque::new(),
            records: Vec::new(),
        }
    }

    /// What is to be recorded.
    pub fn take(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// Whether it is time to look whether the program is ready.
    pub fn is_waiting(&self) -> bool {
        !self.is_ready && self.first_output.is_some()
    }

    /// It was started, for the n-th time after the first: what was heard before is of another one.
    pub fn started(&mut self, at: Timestamp, process: u32, restart: u32) {
        self.started = Some(at);
        self.first_output = None;
        self.is_ready = false;
        self.is_mcp = false;
        self.tail.clear();
        self.leaks.reset();
        for limit in &mut self.limits {
            limit.is_passed = false;
        }
        let directory = std::env::current_dir().unwrap_or_default();
        let text = format!("{} started as process {process}", self.service);
        let fields = vec![
            ("process.command_line", self.command_line.as_str().into()),
            (
                "process.working_directory",
                directory.to_string_lossy().into_owned().into(),
            ),
            ("process.restarts", u64::from(restart).into()),
        ];
        self.record(at, Level::Info, "spawn", text, fields);
    }

    /// It wrote something on stdout or stderr.
    pub fn output(&mut self, at: Timestamp) {
        self.first_output.get_or_insert(at);
    }

    /// A line of stderr.
    pub fn error_line(&mut self, line: &[u8]) {
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        let cut = &line[..line.len().min(TAIL_LINE_BYTES_MAX)];
        self.tail
            .push_back(String::from_utf8_lossy(cut).into_owned());
    }

    /// A record of the protocol: the first answer of a server to who greets it makes it ready.
    pub fn said(&mut self, record: &Record) {
        let Some(method) = record.text(attribute::METHOD_NAME) else {
            return;
        };
        self.is_mcp = true;
        let is_greeting = matches!(method, "initialize" | "server/discover");
        if is_greeting && record.text(attribute::OUTCOME) == Some("ok") {
            self.ready(record.time, &format!("{method} was answered"));
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Timestamp) {
        let Some(first) = self.first_output.filter(|_| !self.is_mcp) else {
            return;
        };
        if now.0.saturating_sub(first.0) >= READY_AFTER_NS {
            self.ready(first, "first output");
        }
    }

    fn ready(&mut self, at: Timestamp, why: &str) {
        if std::mem::replace(&mut self.is_ready, true) {
            return;
        }
        let after_ms = milliseconds(at, self.started.unwrap_or(at));
        let text = format!("{} is ready after {after_ms:.0} ms: {why}", self.service);
        let fields = vec![(field::DURATION_MS, after_ms.into())];
        self.record(at, Level::Info, "ready", text, fields);
    }

    /// It ended.
    pub fn ended(&mut self, at: Timestamp, ended: Ended, ran: Duration, is_asked: bool) {
        if let Some(first) = self.first_output {
            self.ready(first, "first output");
        }
        let ran_text = format!("after {:.1} s", ran.as_secs_f64());
        let (text, mut fields) = match ended {
            Ended::Signal(number) => {
                let name = signal_name(number);
                (
                    format!("{} was ended by {name} {ran_text}", self.service),
                    vec![
                        ("process.exit.signal", Scalar::from(name)),
                        ("process.exit.signal_number", Scalar::Integer(number.into())),
                    ],
                )
            }
            Ended::Code(code) => (
                format!("{} ended with code {code} {ran_text}", self.service),
                vec![("process.exit.code", Scalar::Integer(code.into()))],
            ),
        };
        let run_time_ms = ran.as_secs_f64() * 1e3;
        fields.push(("process.run_time_ms", run_time_ms.into()));
        let is_failure = !ended.is_success() && !is_asked;
        if is_failure && !self.tail.is_empty() {
            let tail: Vec<String> = self.tail.drain(..).collect();
            fields.push(("process.stderr_tail", tail.join("\n").into()));
        }
        let level = match is_failure {
            true => Level::Error,
            false => Level::Info,
        };
        self.record(at, level, "exit", text, fields);
        // Nothing gets ready any more until the next start.
        self.is_ready = true;
    }

    /// It is started again after a wait.
    pub fn restarting(&mut self, at: Timestamp, restart: u32, wait: Duration) {
        let wait_s = wait.as_secs_f64();
        let text = format!(
            "{} is restarted in {wait_s:.0} s (restart {restart})",
            self.service
        );
        let fields = vec![
            ("process.restarts", u64::from(restart).into()),
            ("process.restart_wait_ms", (wait_s * 1e3).into()),
        ];
        self.record(at, Level::Warn, "restart", text, fields);
    }

    /// Something else about it.
    pub fn note(&mut self, at: Timestamp, level: Level, event: &'static str, text: &str) {
        let text = format!("{} {text}", self.service);
        self.record(at, level, event, text, Vec::new());
    }

    /// What it uses.
    pub fn sampled(&mut self, at: Timestamp, usage: Usage) {
        let memory_mib = mib(usage.memory_bytes as f64);
        let cpu = usage.cpu_percent.unwrap_or_default();
        let text = format!(
            "{} uses {memory_mib:.1} MiB and {cpu:.1}% of a processor",
            self.service
        );
        let processes = usage.processes as u64;
        let mut fields: Vec<(&'static str, Scalar)> = vec![
            ("process.memory_bytes", usage.memory_bytes.into()),
            ("process.thread_count", usage.threads.into()),
            ("process.count", processes.into()),
        ];
        if let Some(percent) = usage.cpu_percent {
            fields.push(("process.cpu_percent", percent.into()));
        }
        self.record(at, Level::Debug, "sample", text, fields.clone());
        let texts = [
            format!("{memory_mib:.0} MiB"),
            format!("{cpu:.0}% of a processor"),
        ];
        let values = [usage.memory_bytes as f64, cpu];
        for (index, (value, text)) in values.into_iter().zip(texts).enumerate() {
            let limit = &mut self.limits[index];
            let event = limit.event;
            if let Some(max) = limit.check(value) {
                let max = match index {
                    0 => format!("{:.0} MiB", mib(max)),
                    _ => format!("{max:.0}%"),
                };
                let text = format!("{} uses {text}, above its limit of {max}", self.service);
                self.record(at, Level::Warn, event, text, fields.clone());
            }
        }
        let at_s = at.0 as f64 / 1e9;
        if let Some(leak) = self.leaks.push(at_s, usage.memory_bytes) {
            self.leaking(at, leak);
        }
    }

    fn leaking(&mut self, at: Timestamp, leak: Leak) {
        // The same growth is not said with every sample.
        self.leaks.reset();
        let text = format!(
            "{} may leak memory: it has grown by {:.1} MiB a minute for {}",
            self.service,
            mib(leak.bytes_per_second * 60.0),
            time_text(leak.window_s),
        );
        let fields = vec![(
            "process.memory_growth_bytes_per_s",
            leak.bytes_per_second.into(),
        )];
        self.record(at, Level::Warn, "leak_hint", text, fields);
    }

    fn record(
        &mut self,
        time: Timestamp,
        level: Level,
        event: &'static str,
        message: String,
        fields: Vec<(&'static str, Scalar)>,
    ) {
        let own = [(EVENT, event.into()), (field::LOGGER, LOGGER.into())];
        let fields = own.into_iter().chain(fields);
        self.records.push(Record {
            time,
            level,
            message,
            route: Route::App,
            origin: Origin::System,
            fields: fields.map(|(name, value)| (name.into(), value)).collect(),
        });
    }
}

fn mib(bytes: f64) -> f64 {
    bytes / 1_048_576.0
}

/// A time for a person.
fn time_text(seconds: f64) -> String {
    match seconds < 120.0 {
        true => format!("{seconds:.0} seconds"),
        false => format!("{:.0} minutes", seconds / 60.0),
    }
}

fn milliseconds(later: Timestamp, earlier: Timestamp) -> f64 {
    later.0.saturating_sub(earlier.0) as f64 / 1e6
}

/// The command as a person would type it, so that redaction sees flags and their values.
fn command_line(command: &[std::ffi::OsString]) -> String {
    let mut text = String::new();
    for word in command {
        let word = word.to_string_lossy();
        if !text.is_empty() {
            text.push(' ');
        }
        match word.is_empty() || word.contains([' ', '\t', '\n', '"', '\'']) {
            true => text.push_str(&format!("'{}'", word.replace('\'', "'\\''"))),
            false => text.push_str(&word),
        }
    }
    text.truncate(text.floor_char_boundary(COMMAND_LINE_BYTES_MAX));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::recorder::tests::options;

    const MIB: u64 = 1 << 20;

    fn lifecycle(command: &[&str]) -> Lifecycle {
        Lifecycle::new(&RecorderOptions {
            command: command.iter().map(Into::into).collect(),
            memory_limit_bytes: Some(100 * MIB),
            cpu_limit_percent: Some(90),
            ..options(None)
        })
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp(ms * 1_000_000)
    }

    /// The events that were recorded since the last look, but for samples.
    fn events(lifecycle: &mut Lifecycle) -> Vec<String> {
        let records = lifecycle.take();
        let names = records.iter().filter_map(|record| record.text(EVENT));
        let told = names.filter(|name| *name != "sample");
        told.map(str::to_string).collect()
    }

    #[test]
    fn a_limit_is_said_when_it_is_passed_and_again_after_it_was_kept() {
        let mut lifecycle = lifecycle(&["s"]);
        let samples = [
            (50, 0.0, ""),
            (101, 0.0, "memory_limit"),
            (150, 95.0, "cpu_limit"),
            (100, 95.0, ""),
            (101, 10.0, "memory_limit"),
            (90, 91.0, "cpu_limit"),
        ];
        for (mib, cpu, expected) in samples {
            let usage = Usage {
                memory_bytes: mib * MIB,
                cpu_percent: Some(cpu),
                processes: 1,
                threads: 1,
            };
            lifecycle.sampled(at(0), usage);
            assert_eq!(
                events(&mut lifecycle).join(" "),
                expected,
                "{mib} MiB, {cpu}%"
            );
        }
    }

    #[test]
    fn a_limit_is_said_of_each_program() {
        let mut lifecycle = lifecycle(&["s"]);
        for restart in 0..2 {
            lifecycle.started(at(0), 1, restart);
            for _ in 0..2 {
                let usage = Usage {
                    memory_bytes: 101 * MIB,
                    cpu_percent: Some(91.0),
                    ..Usage::default()
                };
                lifecycle.sampled(at(0), usage);
            }
            let expected = ["spawn", "memory_limit", "cpu_limit"];
            assert_eq!(events(&mut lifecycle), expected, "{restart}");
        }
    }

    #[test]
    fn steady_growth_is_hinted_once_in_a_window() {
        for (interval_ms, expected) in [
            (10_000, "6.0 MiB a minute for 5 minutes"),
            (500, "120.0 MiB a minute for 14 seconds"),
        ] {
            let mut lifecycle = lifecycle(&["s"]);
            for sample in 0..50_u32 {
                let usage = Usage {
                    memory_bytes: (10 + u64::from(sample)) * MIB,
                    ..Usage::default()
                };
                lifecycle.sampled(at(interval_ms * i64::from(sample)), usage);
            }
            let mut records = lifecycle.take();
            records.retain(|record| record.text(EVENT) != Some("sample"));
            let messages: Vec<&str> = records.iter().map(|it| it.message.as_str()).collect();
            let expected = format!("s may leak memory: it has grown by {expected}");
            assert_eq!(messages, [expected]);
            assert_eq!(records[0].text(EVENT), Some("leak_hint"));
        }
    }

    #[test]
    fn other_programs_are_ready_with_their_first_output() {
        let mut lifecycle = lifecycle(&["s"]);
        lifecycle.started(at(0), 1, 0);
        lifecycle.tick(at(10_000));
        assert_eq!(events(&mut lifecycle), ["spawn"]);
        lifecycle.output(at(11_000));
        lifecycle.tick(at(12_999));
        assert!(events(&mut lifecycle).is_empty());
        lifecycle.tick(at(13_000));
        assert_eq!(events(&mut lifecycle), ["ready"]);
        lifecycle.ended(at(14_000), Ended::Code(0), Duration::ZERO, false);
        assert_eq!(events(&mut lifecycle), ["exit"]);
    }

    #[test]
    fn what_others_still_say_for_the_last_is_not_the_next_ones() {
        let mut lifecycle = lifecycle(&["s"]);
        lifecycle.started(at(0), 1, 0);
        lifecycle.output(at(1));
        lifecycle.ended(at(2), Ended::Code(0), Duration::ZERO, false);
        assert_eq!(events(&mut lifecycle), ["spawn", "ready", "exit"]);
        lifecycle.output(at(10));
        lifecycle.error_line(b"of what the first has left");
        lifecycle.started(at(20), 2, 1);
        lifecycle.tick(at(3_000));
        assert_eq!(events(&mut lifecycle), ["spawn"]);
        lifecycle.output(at(3_000));
        lifecycle.error_line(b"of the second");
        lifecycle.ended(at(3_010), Ended::Code(1), Duration::ZERO, false);
        let [ready, exit] = &lifecycle.take()[..] else {
            panic!("ready and then the end");
        };
        assert_eq!(ready.message, "s is ready after 2980 ms: first output");
        assert_eq!(exit.text("process.stderr_tail"), Some("of the second"));
    }

    #[test]
    fn nothing_is_ready_between_an_end_and_the_next_start() {
        let mut lifecycle = lifecycle(&["s"]);
        lifecycle.started(at(0), 1, 0);
        lifecycle.ended(at(2), Ended::Code(1), Duration::ZERO, false);
        lifecycle.output(at(10));
        assert!(!lifecycle.is_waiting());
        lifecycle.tick(at(3_000));
        assert_eq!(events(&mut lifecycle), ["spawn", "exit"]);
        lifecycle.started(at(4_000), 2, 1);
        lifecycle.output(at(4_010));
        assert!(lifecycle.is_waiting());
        lifecycle.tick(at(6_010));
        assert_eq!(events(&mut lifecycle), ["spawn", "ready"]);
    }

    #[test]
    fn a_failure_shows_the_last_lines_of_stderr() {
        let mut lifecycle = lifecycle(&["s"]);
        lifecycle.started(at(0), 1, 0);
        for number in 0..80 {
            lifecycle.error_line(format!("line {number}").as_bytes());
        }
        lifecycle.ended(at(1), Ended::Signal(9), Duration::ZERO, false);
        let records = lifecycle.take();
        let exit = records.last().unwrap();
        assert_eq!(exit.level, Level::Error);
        assert_eq!(exit.text("process.exit.signal"), Some("SIGKILL"));
        let tail: Vec<_> = exit.text("process.stderr_tail").unwrap().lines().collect();
        let ends = (tail.len(), tail[0], tail[TAIL_LINES - 1]);
        assert_eq!(ends, (TAIL_LINES, "line 30", "line 79"));
    }

    #[test]
    fn an_end_that_was_asked_for_is_no_failure() {
        let mut lifecycle = lifecycle(&["s"]);
        lifecycle.error_line(b"bye");
        lifecycle.ended(at(1), Ended::Signal(15), Duration::ZERO, true);
        let exit = lifecycle.take().pop().unwrap();
        assert_eq!(exit.level, Level::Info);
        assert_eq!(exit.get("process.stderr_tail"), None);
    }

    #[test]
    fn a_command_line_is_as_one_types_it() {
        let lifecycle = lifecycle(&["sh", "-c", "echo it", "", "--token=x"]);
        assert_eq!(lifecycle.command_line, "sh -c 'echo it' '' --token=x");
    }
}
