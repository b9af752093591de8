//! Makes records of what passed and happened, on a thread of its own.
//!
//! Invariants
//! - One owner, one loop: copies of bytes and what the supervisor tells come in, batches go to the
//!   buffer. Nobody waits for it but the end, and that not for long.
//! - What passed and what was told are recorded in the order of their times.
//! - Everything goes through the pipeline, redaction included, before it is kept anywhere but in
//!   memory.
//! - Bytes that the tap could not keep are said in their place, records that found no room in the
//!   buffer as soon as it takes some again.
use super::{
    buffer::{Buffer, BufferOptions, Fate},
    lifecycle::{self, Lifecycle},
    lines::OutputLines,
};
use crate::ship::hostname;
use anyhow::{Context, Result};
use jiff::tz::TimeZone;
use std::{
    collections::VecDeque,
    ffi::OsString,
    fmt,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};
use taffrail_engine::{
    pipeline::{Arrival, CaptureConfig, LineOptions, Pipeline, PipelineConfig, Side},
    spool::Bodies,
};
use taffrail_ingest::{
    decode::lines,
    listen::{
        multiline::Joined,
        process::{
            ended::Ended,
            sample::Sampler,
            tap::{Chunk, Content, Direction, SteadyClock, Tap, Tapped},
        },
    },
    mcp::{
        self, Heard, attribute,
        record::{METADATA_TYPE, Origin, Record, Route, batch},
        session::{Options as SessionOptions, Session},
    },
};
use taffrail_model::{
    batch::RawBatch,
    column::Kind,
    field,
    level::Level,
    stream::{StreamCatalogue, StreamDefinition},
    tenant::DEFAULT_TENANT,
    time::Timestamp,
};

/// How long records wait for others before their batch is closed: a live tail shows a call in a
/// quarter of a second, and a disk syncs ten times a second at most.
const BATCH_AFTER: Duration = Duration::from_millis(75);
/// Bytes of records at which a batch is closed at once.
const BATCH_BYTES: usize = 256 << 10;
/// How long copies gather after the first: the pumps wake this thread a hundred times a second at
/// most, however many messages pass.
const GATHER: Duration = Duration::from_millis(10);
/// Bytes that are recorded at the end even if time is over: a few milliseconds of work.
const LATE_BYTES: usize = 64 << 10;
/// How long the end waits until what was recorded is durable: a disk that has much else to do
/// syncs a dozen files in it.
const KEEP_PATIENCE: Duration = Duration::from_secs(2);
/// The longest wait while something is due by time.
const TICK: Duration = Duration::from_millis(50);
/// The longest wait while nothing is.
const IDLE: Duration = Duration::from_secs(1);
/// How much lower the priority of this thread is: the program comes first.
const NICE: i32 = 10;
/// Names the run that a record is of.
const RUN_ID: &str = "labels.run_id";
/// Process of the program.
const PROCESS_ID: &str = "metadata.process_id";

/// What is recorded and how.
#[derive(Clone, Debug)]
pub struct RecorderOptions {
    /// The instance.
    pub instance: String,
    /// Whom it works for.
    pub user: Option<String>,
    /// What it is.
    pub service: String,
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
    /// Where records wait.
    pub buffer: BufferOptions,
}

/// What the supervisor tells.
#[derive(Clone, Debug)]
pub enum Told {
    /// The program was started.
    Started {
        /// Its process.
        process: u32,
        /// How many starts there were before.
        restart: u32,
    },
    /// It ended.
    Ended {
        /// How.
        ended: Ended,
        /// After how long.
        ran: Duration,
        /// Whether a signal had asked it to.
        is_asked: bool,
    },
    /// It will be started again.
    Restarting {
        /// The how-manieth time.
        restart: u32,
        /// After this wait.
        wait: Duration,
    },
    /// It will not be started again, as often as it was.
    GivenUp,
    /// Others hold its outputs; what they say passes, unrecorded.
    Relayed {
        /// How many outputs.
        outputs: usize,
    },
    /// Others hold its outputs, and what they say does not pass.
    NotRelayed {
        /// Why.
        reason: String,
    },
    /// Everything was told: to be done until then.
    Finish {
        /// When nobody waits any more.
        until: Instant,
    },
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
        let mut texts = Vec::new();
        for direction in Direction::ALL {
            let bytes = self.lost_bytes[direction as usize];
            if bytes > 0 {
                let name = direction.name();
                texts.push(format!(
                    "{bytes} bytes of {name} were too fast to be recorded"
                ));
            }
        }
        let Fate {
            lost,
            lost_reason,
            rejected,
            rejected_reason,
            stopped,
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

/// The recorder's thread, as the supervisor sees it.
pub struct Recorder {
    told: mpsc::Sender<(Timestamp, Told)>,
    tap: Tap,
    done: mpsc::Receiver<Summary>,
}

impl Recorder {
    /// Starts the thread.
    ///
    /// # Errors
    /// The pipeline or the thread cannot be had.
    pub fn start(options: RecorderOptions, tapped: Tapped, tap: Tap) -> Result<Recorder> {
        let (sender, told) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        let worker = Worker::new(options, tapped, told, tap.clock())?;
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
            told: sender,
            tap,
            done,
        })
    }

    /// Tells it something.
    pub fn tell(&self, told: Told) {
        // A recorder that has panicked has said so; the program goes on.
        let _ = self.told.send((self.tap.clock().now(), told));
        self.tap.nudge();
    }

    /// Ends it; what is not sent so soon waits for the next run. `None` if not even the disk takes
    /// it in a time that a client would wait.
    pub fn finish(&self, patience: Duration) -> Option<Summary> {
        let until = Instant::now() + patience;
        self.tell(Told::Finish { until });
        self.done.recv_timeout(KEEP_PATIENCE).ok()
    }
}

struct Worker {
    options: RecorderOptions,
    tapped: Tapped,
    told: mpsc::Receiver<(Timestamp, Told)>,
    /// What was told and is of a later time than what was taken.
    untaken: VecDeque<(Timestamp, Told)>,
    clock: SteadyClock,
    session: Session,
    heard: Vec<Heard>,
    stdout: OutputLines,
    stderr: OutputLines,
    lifecycle: Lifecycle,
    sampler: Sampler,
    process: Option<u32>,
    sample_at: Instant,
    lost_bytes: [u64; 3],
    /// Bytes for which there was no time at the end.
    unread: [u64; 3],
    writer: Writer,
}

impl Worker {
    fn new(
        options: RecorderOptions,
        tapped: Tapped,
        told: mpsc::Receiver<(Timestamp, Told)>,
        clock: SteadyClock,
    ) -> Result<Worker> {
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
            writer: Writer::new(&options)?,
            options,
            tapped,
            told,
            untaken: VecDeque::new(),
            clock,
        })
    }

    fn run(mut self) -> Summary {
        loop {
            let first = self.tapped.next(self.wait());
            self.untaken.extend(self.told.try_iter());
            let is_first = first.is_ok();
            if let Ok(chunk) = first {
                self.take(chunk);
            }
            if is_first && self.untaken.is_empty() {
                std::thread::sleep(GATHER);
            }
            let finish = self.untaken.iter().find_map(|(_, told)| match told {
                Told::Finish { until } => Some(*until),
                _ => None,
            });
            self.drain(finish);
            self.hear_until(Timestamp(i64::MAX));
            if let Some(until) = finish {
                return self.finish(until);
            }
            self.tick();
        }
    }

    /// Takes what was left so far; at the end as much as there is time for.
    fn drain(&mut self, until: Option<Instant>) {
        let mut taken = 0;
        for _ in 0..self.tapped.waiting() {
            let Ok(chunk) = self.tapped.next(Duration::ZERO) else {
                return;
            };
            let is_late = taken >= LATE_BYTES && until.is_some_and(|until| Instant::now() >= until);
            match (chunk.content, is_late) {
                (Content::Bytes(bytes), true) => {
                    self.unread[chunk.direction as usize] += bytes.len() as u64;
                }
                (content, _) => {
                    if let Content::Bytes(bytes) = &content {
                        taken += bytes.len();
                    }
                    self.take(Chunk { content, ..chunk });
                }
            }
        }
    }

    /// Hears what was told until then.
    fn hear_until(&mut self, until: Timestamp) {
        while let Some((at, told)) = self.untaken.pop_front_if(|(at, _)| *at <= until) {
            self.hear(at, told);
        }
    }

    fn wait(&self) -> Duration {
        let now = Instant::now();
        let is_by_time = self.writer.is_open()
            || self.stdout.is_waiting()
            || self.stderr.is_waiting()
            || self.lifecycle.is_waiting();
        let wait = match is_by_time {
            true => TICK,
            false => IDLE,
        };
        self.writer
            .buffer
            .due(now)
            .map_or(wait, |due| due.min(wait))
    }

    fn take(&mut self, chunk: Chunk) {
        let Chunk {
            direction,
            at,
            content,
        } = chunk;
        self.hear_until(at);
        match content {
            Content::Bytes(bytes) => self.bytes(direction, at, &bytes),
            Content::Gap { bytes } => self.gap(direction, at, bytes),
            Content::Closed | Content::Nudge => {}
        }
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
                let fields = vec![(attribute::LOST_BYTES.to_string(), lost.into())];
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

    fn hear(&mut self, at: Timestamp, told: Told) {
        match told {
            Told::Started { process, restart } => {
                self.process = Some(process);
                self.writer.process = Some(process);
                self.sampler = Sampler::default();
                self.sample_at = Instant::now() + self.options.sample_every.unwrap_or_default();
                self.lifecycle.started(at, process, restart);
            }
            Told::Ended {
                ended,
                ran,
                is_asked,
            } => {
                self.process = None;
                self.lifecycle.ended(at, ended, ran, is_asked);
                self.end_session(at);
            }
            Told::Restarting { restart, wait } => self.lifecycle.restarting(at, restart, wait),
            Told::GivenUp => {
                let text = "is not started again: it was too often";
                self.lifecycle.note(at, Level::Error, "give_up", text);
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
            Told::Finish { .. } => {}
        }
    }

    /// What the program said is complete; another one may begin.
    fn end_session(&mut self, at: Timestamp) {
        self.session.finish(at, &mut self.heard);
        self.session = session(&self.options);
        self.take_heard(at);
        let lines = self.stdout.finish(at, |_| {});
        self.writer.lines(Direction::Stdout, &lines);
        let lines = self.stderr.finish(at, |_| {});
        self.writer.lines(Direction::Stderr, &lines);
    }

    /// What is due by time.
    fn tick(&mut self) {
        let (now, at) = (Instant::now(), self.clock.now());
        self.session.tick(at, &mut self.heard);
        self.take_heard(at);
        self.lifecycle.tick(at);
        self.sample(now, at);
        for record in self.lifecycle.take() {
            self.writer.record(lifecycle::STREAM, record);
        }
        self.writer.tend(now, at);
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

    fn finish(mut self, until: Instant) -> Summary {
        let at = self.clock.now();
        // The tap has said its gaps when the outputs were closed; of stdin nobody closed.
        for direction in Direction::ALL {
            let unsaid = self.tapped.unsaid(direction) + self.unread[direction as usize];
            if unsaid > 0 {
                self.gap(direction, at, unsaid);
            }
        }
        self.end_session(at);
        for record in self.lifecycle.take() {
            self.writer.record(lifecycle::STREAM, record);
        }
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

/// Gathers records, makes batches of them, gives these to the buffer.
pub(super) struct Writer {
    pipeline: Pipeline,
    catalogue: StreamCatalogue,
    /// Fields of every record.
    labels: Vec<(&'static str, String)>,
    process: Option<u32>,
    waiting: Vec<(Arc<StreamDefinition>, Vec<Record>)>,
    bodies: Bodies,
    open_since: Option<Instant>,
    /// Records that the buffer did not take since it last took some.
    lost: u64,
    pub(super) buffer: Buffer,
}

impl Writer {
    pub(super) fn new(options: &RecorderOptions) -> Result<Writer> {
        let pipeline = Pipeline::new(PipelineConfig {
            side: Side::Shipper,
            hostname: hostname(),
            source: Some(options.service.clone()),
            capture: Some(CaptureConfig::default()),
            ..PipelineConfig::default()
        })?;
        // Random enough to tell runs apart: 128 bits.
        let random: [u8; 16] = ring::rand::generate(&ring::rand::SystemRandom::new())
            .ok()
            .context("no random numbers")?
            .expose();
        let run = format!("{:032x}", u128::from_le_bytes(random));
        let mut labels = vec![
            (field::INSTANCE_ID, options.instance.clone()),
            (RUN_ID, run),
        ];
        labels.extend(options.user.clone().map(|user| (field::USER_ID, user)));
        Ok(Writer {
            pipeline,
            catalogue: StreamCatalogue::built_in(),
            labels,
            process: None,
            waiting: Vec::new(),
            bodies: Bodies::default(),
            open_since: None,
            lost: 0,
            buffer: Buffer::new(options.buffer.clone()),
        })
    }

    pub(super) fn is_open(&self) -> bool {
        self.open_since.is_some()
    }

    pub(super) fn record(&mut self, stream: &str, record: Record) {
        let Some(stream) = self.catalogue.by_name(stream).cloned() else {
            return;
        };
        self.open_since.get_or_insert_with(Instant::now);
        let same = |(have, _): &&mut (Arc<StreamDefinition>, _)| have.number == stream.number;
        match self.waiting.iter_mut().find(same) {
            Some((_, records)) => records.push(record),
            None => self.waiting.push((stream, vec![record])),
        }
    }

    /// Something about the recording itself.
    fn note(
        &mut self,
        time: Timestamp,
        message: String,
        fields: Vec<(String, mcp::record::Scalar)>,
    ) {
        let record = Record {
            time,
            level: Level::Warn,
            message,
            route: Route::App,
            origin: Origin::System,
            fields,
        };
        self.record(Route::App.stream(), record);
    }

    /// Texts of one output; those that came together are read together.
    fn lines(&mut self, direction: Direction, lines: &[Joined]) {
        for together in lines.chunk_by(|one, next| one.received == next.received) {
            let Some(first) = together.first() else {
                continue;
            };
            let texts = together.iter().map(|joined| joined.text.as_slice());
            let mut raw = lines::texts(texts);
            label(&mut raw, METADATA_TYPE, Kind::String, direction.name());
            // Where they go is decided by what they say.
            if let Some(stream) = self.catalogue.by_name(Route::App.stream()).cloned() {
                self.process_lines(raw, &stream, first.received);
            }
        }
    }

    fn process_lines(&mut self, raw: RawBatch, stream: &Arc<StreamDefinition>, at: Timestamp) {
        let mut options = LineOptions {
            format: None,
            zone: TimeZone::system(),
            source: None,
        };
        let columns = raw.columns.clone();
        let mut rejects = self.process(raw, stream, at, &options);
        if rejects.is_empty() {
            return;
        }
        // What looked like a record but is none is a line of text.
        rejects.sort_unstable();
        rejects.dedup();
        let columns = columns.select(&rejects);
        let plain = RawBatch {
            indexes: (0..columns.rows()).collect(),
            columns,
            rejects: Vec::new(),
            is_lines: true,
        };
        options.format = Some("plain".to_string());
        self.process(plain, stream, at, &options);
    }

    /// Takes records through the pipeline; the rows that it did not take.
    fn process(
        &mut self,
        mut raw: RawBatch,
        stream: &Arc<StreamDefinition>,
        received: Timestamp,
        options: &LineOptions,
    ) -> Vec<u32> {
        for (name, text) in &self.labels {
            label(&mut raw, name, Kind::String, text);
        }
        if let Some(process) = self.process {
            label(&mut raw, PROCESS_ID, Kind::Integer, &process.to_string());
        }
        let arrival = Arrival {
            tenant: DEFAULT_TENANT,
            stream,
            received,
            catalogue: &self.catalogue,
            may_write: &|_| true,
        };
        let clean = self.pipeline.process_lines(raw, &arrival, options);
        self.bodies.push_routed(&self.catalogue, &clean);
        self.open_since.get_or_insert_with(Instant::now);
        clean.rejects().iter().map(|reject| reject.index).collect()
    }

    /// Closes the batch if it is due, and sends.
    pub(super) fn tend(&mut self, now: Instant, at: Timestamp) {
        let has_waited = |since: Instant| now.saturating_duration_since(since) >= BATCH_AFTER;
        if self.open_since.is_some_and(has_waited) || self.bodies.bytes() >= BATCH_BYTES {
            self.close(now, at);
        }
        self.buffer.tend(now, Duration::ZERO);
    }

    /// Gives everything to the buffer.
    pub(super) fn close(&mut self, now: Instant, at: Timestamp) {
        self.flush(at);
        if !self.keep(now) || self.lost == 0 {
            return;
        }
        let lost = std::mem::take(&mut self.lost);
        let reason = self.buffer.fate().lost_reason.clone().unwrap_or_default();
        let text = format!("{lost} records were lost: {reason}");
        self.note(at, text, vec![("records_lost".to_string(), lost.into())]);
        self.flush(at);
        self.keep(now);
    }

    /// Records to bodies.
    fn flush(&mut self, at: Timestamp) {
        for (stream, records) in std::mem::take(&mut self.waiting) {
            let options = LineOptions::default();
            // Records of our own have no fault that would reject one.
            self.process(batch(&records), &stream, at, &options);
        }
        self.open_since = None;
    }

    fn keep(&mut self, now: Instant) -> bool {
        let bodies = std::mem::take(&mut self.bodies);
        if bodies.is_empty() {
            return false;
        }
        let is_kept = self.buffer.keep(&bodies, now);
        if !is_kept {
            self.lost += bodies.records();
        }
        is_kept
    }
}

/// Gives every row a field, unless it has one.
fn label(raw: &mut RawBatch, name: &str, kind: Kind, text: &str) {
    let rows = raw.columns.rows();
    let column = raw.columns.get_or_create(name);
    let mut labelled = taffrail_model::column::Column::default();
    for row in 0..rows {
        match column.get(row) {
            Some(value) => labelled.push(row, value.kind, value.text),
            None => labelled.push(row, kind, text),
        }
    }
    *column = labelled;
}
