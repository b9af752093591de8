//! Makes records of what passed and happened, on a thread of its own.
//!
//! Invariants
//! - One owner, one loop: copies of bytes and what the supervisor tells come in, batches go to the
//!   buffer. Nobody waits for it but the end, and that not for long.
//! - What passed and what was told are recorded in the order in which they happened ([`inbox`]).
//! - Bytes that the tap could not keep are said in their place, and what is heard after they were
//!   lost is judged by it.
//!
//! [`inbox`]: super::inbox
use super::{
    buffer::{BufferOptions, Fate},
    capture_rules::Capture,
    inbox::{Inbox, Item, Teller, Told, inbox},
    lifecycle::{self, Lifecycle},
    lines::OutputLines,
    writer::Writer,
};
use anyhow::{Context, Result};
use std::{
    ffi::OsString,
    fmt,
    sync::mpsc,
    time::{Duration, Instant},
};
use taffrail_ingest::{
    listen::process::{
        sample::Sampler,
        tap::{Chunk, Content, Direction, SteadyClock, Tap, Tapped},
    },
    mcp::{
        self, Heard, attribute,
        session::{Options as SessionOptions, Session},
    },
};
use taffrail_model::{level::Level, time::Timestamp};

/// How long copies gather after the first: the pumps wake this thread a hundred times a second at
/// most, however many messages pass.
const GATHER: Duration = Duration::from_millis(10);
/// Bytes that are recorded at the end even if time is over: a few milliseconds of work.
const LATE_BYTES: usize = 64 << 10;
/// How long the end waits until what was recorded is durable: a disk that has much else to do
/// syncs a dozen files in it.
pub const KEEP_PATIENCE: Duration = Duration::from_secs(2);
/// The longest wait while something is due by time.
const TICK: Duration = Duration::from_millis(50);
/// The longest wait while nothing is.
const IDLE: Duration = Duration::from_secs(1);
/// How much lower the priority of this thread is: the program comes first.
const NICE: i32 = 10;

/// What is recorded and how.
#[derive(Clone, Debug)]
pub struct RecorderOptions {
    /// The instance.
    pub instance: String,
    /// Whom it works for.
    pub user: Option<String>,
    /// What it is, or the name of what runs.
    pub service: String,
    /// Whether somebody said what it is: else the server may know better.
    pub is_service_named: bool,
    /// Program and arguments.
    pub command: Vec<OsString>,
    /// Bytes of arguments and results that are recorded.
    pub contents_bytes_max: usize,
    /// How often memory and processor are sampled.
    pub sample_every: Option<Duration>,
    /// Memory to warn at.
    pub memory_limit_bytes: Option<u64>,
    /// Processor to warn at.
    pub cpu_limit_percent: Option<u64>,
    /// Whether a person types into a terminal: then nothing is a protocol.
    pub is_terminal: bool,
    /// How what is printed is sorted.
    pub capture: Capture,
    /// Where records wait.
    pub buffer: BufferOptions,
    /// How long the end waits until they are durable: [`KEEP_PATIENCE`], in tests longer.
    pub keep_patience: Duration,
}

/// What became of the recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What became of the records.
    pub fate: Fate,
    /// Bytes of stdin, stdout and stderr of which there was no copy.
    pub lost_bytes: [u64; 3],
    /// Batches that wait for the server.
    pub unsent_batches: usize,
}

impl Summary {
    /// What a person should know.
    pub fn troubles(&self) -> Vec<String> {
        let mut texts = gaps(&self.lost_bytes);
        let Fate {
            lost,
            lost_reason,
            rejected,
            rejected_reason,
            stopped,
            put_aside,
            ..
        } = &self.fate;
        if *lost > 0 {
            let reason = lost_reason.as_deref().unwrap_or_default();
            texts.push(format!("{lost} records were lost: {reason}"));
        }
        if *rejected > 0 {
            let reason = rejected_reason.as_deref().unwrap_or_default();
            texts.push(format!(
                "the server did not take {rejected} records: {reason}"
            ));
        }
        for (stream, (records, reason)) in put_aside {
            texts.push(format!(
                "{records} records of {stream} are put aside: {reason}"
            ));
        }
        if let Some(reason) = stopped {
            texts.push(format!("records wait until this is changed: {reason}"));
        }
        texts
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fate { kept, sent, .. } = &self.fate;
        write!(f, "{kept} records were made, {sent} sent")?;
        match self.unsent_batches {
            0 => Ok(()),
            _ => write!(f, "; the rest waits for the next run of the instance"),
        }
    }
}

/// How the recording ended.
pub enum Finished {
    /// In time.
    Done(Summary),
    /// Not even the disk has taken all in a time that a client would wait: bytes of stdin, stdout
    /// and stderr of which there was no copy are all that is known.
    Late([u64; 3]),
}

impl Finished {
    /// What a person should know.
    pub fn troubles(&self) -> Vec<String> {
        match self {
            Finished::Done(summary) => summary.troubles(),
            Finished::Late(lost_bytes) => {
                let mut texts = gaps(lost_bytes);
                let text = "the last records could not be written in time: some may be lost";
                texts.push(text.to_string());
                texts
            }
        }
    }
}

/// A text for each stream with bytes that are not recorded.
fn gaps(lost_bytes: &[u64; 3]) -> Vec<String> {
    let of = |direction: Direction| (direction.name(), lost_bytes[direction as usize]);
    let lost = Direction::ALL
        .map(of)
        .into_iter()
        .filter(|(_, bytes)| *bytes > 0);
    lost.map(|(name, bytes)| format!("{bytes} bytes of {name} were too fast to be recorded"))
        .collect()
}

/// The recorder's thread, as the supervisor sees it.
pub struct Recorder {
    teller: Teller,
    done: mpsc::Receiver<Summary>,
    keep_patience: Duration,
}

impl Recorder {
    /// Starts the thread.
    ///
    /// # Errors
    /// The pipeline or the thread cannot be had.
    pub fn start(options: RecorderOptions, tapped: Tapped, tap: Tap) -> Result<Recorder> {
        let (finished, done) = mpsc::channel();
        let clock = tap.clock();
        let keep_patience = options.keep_patience;
        let (teller, inbox) = inbox(tap, tapped);
        let worker = Worker::new(options, inbox, clock)?;
        std::thread::Builder::new()
            .name("record".into())
            .spawn(move || {
                // Refused or not: it is a courtesy.
                let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
                // Whoever has stopped waiting does not want to know.
                let _ = finished.send(worker.run());
            })
            .context("starting the thread that records")?;
        Ok(Recorder {
            teller,
            done,
            keep_patience,
        })
    }

    /// Tells it something.
    pub fn tell(&self, told: Told) {
        self.teller.tell(told);
    }

    /// Does something and tells it: see [`Teller::tell_before`].
    ///
    /// # Errors
    /// It could not be done.
    pub fn tell_before<E>(&self, act: impl FnOnce() -> Result<Told, E>) -> Result<(), E> {
        self.teller.tell_before(act)
    }

    /// Ends it; what is not sent so soon waits for the next run.
    pub fn finish(&self, patience: Duration) -> Finished {
        let until = Instant::now() + patience;
        self.tell(Told::Finish { until });
        match self.done.recv_timeout(self.keep_patience) {
            Ok(summary) => Finished::Done(summary),
            Err(_) => Finished::Late(self.teller.lost()),
        }
    }
}

struct Worker {
    options: RecorderOptions,
    inbox: Inbox,
    clock: SteadyClock,
    session: Session,
    heard: Vec<Heard>,
    stdout: OutputLines,
    stderr: OutputLines,
    lifecycle: Lifecycle,
    sampler: Sampler,
    process: Option<u32>,
    sample_at: Instant,
    /// Bytes that are known to be lost.
    lost_bytes: [u64; 3],
    /// Bytes for which there was no time at the end, and which are not said yet.
    unread: [u64; 3],
    writer: Writer,
}

impl Worker {
    fn new(options: RecorderOptions, inbox: Inbox, clock: SteadyClock) -> Result<Worker> {
        let writer = Writer::new(&options, clock.now())?;
        Ok(Worker {
            session: session(&options),
            heard: Vec::new(),
            stdout: OutputLines::default(),
            stderr: OutputLines::default(),
            lifecycle: Lifecycle::new(&options),
            sampler: Sampler::default(),
            process: None,
            sample_at: Instant::now(),
            lost_bytes: [0; 3],
            unread: [0; 3],
            writer,
            options,
            inbox,
            clock,
        })
    }

    fn run(mut self) -> Summary {
        loop {
            let wait = self.wait();
            let first = self.inbox.next(wait);
            let has_more = first.is_ok();
            let mut end = first.ok().and_then(|item| self.take(item));
            if has_more && self.inbox.finish_until().is_none() {
                std::thread::sleep(GATHER);
            }
            end = end.or(self.drain());
            if let Some(until) = end {
                return self.finish(until);
            }
            self.tick();
        }
    }

    /// Takes what was left so far; near the end, which may come meanwhile, as much as there is time
    /// for. When the end is to be, if its place was reached.
    fn drain(&mut self) -> Option<Instant> {
        let (mut taken, mut end) = (0, None);
        for _ in 0..self.inbox.waiting() {
            let Ok(item) = self.inbox.next(Duration::ZERO) else {
                break;
            };
            let is_over = |until| Instant::now() >= until;
            let is_late = taken >= LATE_BYTES && self.inbox.finish_until().is_some_and(is_over);
            match item {
                Item::Passed(Chunk {
                    direction,
                    content: Content::Bytes(bytes),
                    ..
                }) if is_late => {
                    self.unread[direction as usize] += bytes.len() as u64;
                }
                item => {
                    taken += passed_bytes(&item);
                    end = end.or(self.take(item));
                }
            }
        }
        end
    }

    fn wait(&mut self) -> Duration {
        let now = Instant::now();
        let is_by_time = self.writer.is_open()
            || self.stdout.is_waiting()
            || self.stderr.is_waiting()
            || self.lifecycle.is_waiting();
        let wait = match is_by_time {
            _ if self.inbox.finish_until().is_some() => Duration::ZERO,
            true => TICK,
            false => IDLE,
        };
        let is_sampled = self.process.is_some() && self.options.sample_every.is_some();
        let wait = match is_sampled {
            true => wait.min(self.sample_at.saturating_duration_since(now)),
            false => wait,
        };
        self.writer
            .buffer
            .due(now)
            .map_or(wait, |due| due.min(wait))
    }

    /// When the end is to be, if that was told.
    fn take(&mut self, item: Item) -> Option<Instant> {
        let (at, end) = match item {
            Item::Passed(chunk) => (self.passed(chunk), None),
            Item::Told(at, told) => (at, self.hear(at, told)),
        };
        // A backlog takes long: what was made of its beginning does not wait for its end.
        let now = Instant::now();
        if self.writer.is_full() || self.writer.has_waited(now) {
            self.writer.close(now, at);
        }
        end
    }

    fn passed(&mut self, chunk: Chunk) -> Timestamp {
        let Chunk {
            direction,
            at,
            content,
            is_after_loss,
        } = chunk;
        if is_after_loss {
            self.session.doubt();
        }
        match content {
            Content::Bytes(bytes) => self.bytes(direction, at, &bytes),
            Content::Gap { bytes } => self.gap(direction, at, bytes),
            Content::Closed | Content::Mark => {}
        }
        at
    }

    fn bytes(&mut self, direction: Direction, at: Timestamp, bytes: &[u8]) {
        if direction != Direction::Stdin {
            self.lifecycle.output(at);
        }
        match (direction, self.options.is_terminal) {
            (Direction::Stderr, _) => {
                let lifecycle = &mut self.lifecycle;
                self.stderr
                    .push(bytes, at, |line| lifecycle.error_line(line));
            }
            (Direction::Stdin, true) => {}
            (Direction::Stdout, true) => self.stdout.push(bytes, at, |_| {}),
            (Direction::Stdin, false) => {
                let sender = mcp::Direction::ClientToServer;
                self.session.push(sender, at, bytes, &mut self.heard);
            }
            (Direction::Stdout, false) => {
                let sender = mcp::Direction::ServerToClient;
                self.session.push(sender, at, bytes, &mut self.heard);
            }
        }
        self.take_heard(at);
    }

    fn gap(&mut self, direction: Direction, at: Timestamp, bytes: u64) {
        self.lost_bytes[direction as usize] += bytes;
        let sender = match direction {
            Direction::Stdin => mcp::Direction::ClientToServer,
            Direction::Stdout => mcp::Direction::ServerToClient,
            Direction::Stderr => {
                let lost = bytes + self.stderr.tear();
                let text = format!("recording gap: {lost} bytes of stderr were not recorded");
                let fields = vec![(attribute::LOST_BYTES.into(), lost.into())];
                return self.writer.note(at, text, fields);
            }
        };
        self.session.gap(sender, at, bytes, &mut self.heard);
        self.take_heard(at);
    }

    fn take_heard(&mut self, now: Timestamp) {
        for heard in std::mem::take(&mut self.heard) {
            match heard {
                Heard::Record(record) => {
                    self.lifecycle.said(&record);
                    self.writer.record(record.route.stream(), record);
                }
                Heard::Line(line) => self.stdout.push_line(&line.bytes, line.time),
            }
        }
        self.take_lines(now);
    }

    fn take_lines(&mut self, now: Timestamp) {
        let lines = self.stdout.take(now);
        self.writer.lines(Direction::Stdout, &lines);
        let lines = self.stderr.take(now);
        self.writer.lines(Direction::Stderr, &lines);
    }

    /// When the end is to be, if that is what was told.
    fn hear(&mut self, at: Timestamp, told: Told) -> Option<Instant> {
        match told {
            Told::Started { process, restart } => {
                self.end_lines(at);
                self.process = Some(process);
                self.take_events();
                self.writer.started(process, at);
                self.sampler = Sampler::default();
                self.sample_at = Instant::now() + self.options.sample_every.unwrap_or_default();
                self.lifecycle.started(at, process, restart);
            }
            Told::Ended {
                ended,
                ran,
                is_asked,
                is_followed,
            } => {
                self.process = None;
                self.say_unread(at);
                // A line without an end is the last that a failure shows.
                self.end_stderr(at);
                self.lifecycle.ended(at, ended, ran, is_asked);
                self.end_session(at, is_followed);
            }
            Told::Restarting { restart, wait } => self.lifecycle.restarting(at, restart, wait),
            Told::GivenUp => {
                let text = "is not started again: it was too often";
                self.lifecycle.note(at, Level::Error, "give_up", text);
            }
            Told::NotRestarted { reason } => {
                let text = format!("is not started again: {reason}");
                self.lifecycle.note(at, Level::Error, "give_up", &text);
            }
            Told::Relayed { outputs } => {
                let text = format!(
                    "has left processes that hold {outputs} outputs: what they say is passed on and not recorded"
                );
                self.lifecycle.note(at, Level::Warn, "left_open", &text);
            }
            Told::NotRelayed { reason } => {
                let text =
                    format!("has left processes that hold its outputs, which are closed: {reason}");
                self.lifecycle.note(at, Level::Error, "left_open", &text);
            }
            Told::Finish { until } => return Some(until),
        }
        None
    }

    /// What the program said is complete. If another one follows it, that one answers what the
    /// client has asked and this one has not read.
    fn end_session(&mut self, at: Timestamp, is_followed: bool) {
        let mut ended = std::mem::replace(&mut self.session, session(&self.options));
        match is_followed {
            true => self.session = ended.succeed(at, &mut self.heard),
            false => ended.finish(at, &mut self.heard),
        }
        self.take_heard(at);
        self.end_stdout(at);
        self.end_stderr(at);
    }

    /// What is said from now on is another one's: lines that were begun are not gone on with.
    fn end_lines(&mut self, at: Timestamp) {
        let server = mcp::Direction::ServerToClient;
        self.session.end_line(server, at, &mut self.heard);
        self.take_heard(at);
        self.end_stdout(at);
        self.end_stderr(at);
    }

    fn end_stdout(&mut self, at: Timestamp) {
        let lines = self.stdout.finish(at, |_| {});
        self.writer.lines(Direction::Stdout, &lines);
    }

    fn end_stderr(&mut self, at: Timestamp) {
        let lifecycle = &mut self.lifecycle;
        let lines = self.stderr.finish(at, |line| lifecycle.error_line(line));
        self.writer.lines(Direction::Stderr, &lines);
    }

    /// What is due by time.
    fn tick(&mut self) {
        let (now, at) = (Instant::now(), self.clock.now());
        self.session.tick(at, &mut self.heard);
        self.take_heard(at);
        self.lifecycle.tick(at);
        self.sample(now, at);
        self.take_events();
        self.writer.tend(now, at);
    }

    /// Events of the program's life become records.
    fn take_events(&mut self) {
        for record in self.lifecycle.take() {
            self.writer.record(lifecycle::STREAM, record);
        }
    }

    fn sample(&mut self, now: Instant, at: Timestamp) {
        let (Some(every), Some(process)) = (self.options.sample_every, self.process) else {
            return;
        };
        if now < self.sample_at {
            return;
        }
        self.sample_at = now + every;
        if let Some(usage) = self.sampler.sample(process, now) {
            self.lifecycle.sampled(at, usage);
        }
    }

    /// Bytes for which there was no time.
    fn say_unread(&mut self, at: Timestamp) {
        for direction in Direction::ALL {
            let unread = std::mem::take(&mut self.unread[direction as usize]);
            if unread > 0 {
                self.gap(direction, at, unread);
            }
        }
    }

    fn finish(mut self, until: Instant) -> Summary {
        let at = self.clock.now();
        // The tap has said its gaps when the outputs were closed; of stdin nobody closed.
        for direction in Direction::ALL {
            self.unread[direction as usize] += self.inbox.unsaid(direction);
        }
        self.say_unread(at);
        self.end_session(at, false);
        self.take_events();
        self.writer.close(Instant::now(), at);
        let (fate, unsent_batches) = self.writer.buffer.finish(until);
        Summary {
            fate,
            lost_bytes: self.lost_bytes,
            unsent_batches,
        }
    }
}

fn session(options: &RecorderOptions) -> Session {
    Session::new(SessionOptions {
        contents_bytes_max: options.contents_bytes_max,
        ..SessionOptions::default()
    })
}

fn passed_bytes(item: &Item) -> usize {
    match item {
        Item::Passed(Chunk {
            content: Content::Bytes(bytes),
            ..
        }) => bytes.len(),
        _ => 0,
    }
}

#[cfg(test)]
pub mod tests;
