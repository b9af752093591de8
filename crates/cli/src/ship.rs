//! `taffrail ship`: follows files and sends their lines to a server, each exactly once.
//!
//! Lines go through the same pipeline as on the server, redaction included, before anything is
//! written here. The spool ([`taffrail_engine::spool`]) makes each batch durable together with
//! the places in the files behind it, before it is sent.
//!
//! Invariants
//! - The files are read only as far as there is room for what was read: one batch in memory, and
//!   the spool's bytes on disk.
//! - The checkpoint that is persisted with a batch is behind exactly what is in the batch.
//! - What is sent is sent on a thread of its own, while the next batch is prepared; while the
//!   server takes what it gets, no more than one batch is ahead of the one that is being sent.
//! - What the pipeline here cannot take as a record is sent as a plain line: nothing is dropped.
mod loss;
#[cfg(test)]
mod tests;

use crate::{
    delivery::{Delivery, Event, HttpSender},
    failure::Failure,
    shown::shown,
};
use anyhow::{Context, Result};
use clap::Args;
use jiff::tz::TimeZone;
use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use taffrail_engine::{
    pipeline::{Arrival, LineOptions, Pipeline, PipelineConfig, Side, line_formats},
    spool::{Bodies, Delivered, Lost, SPOOL_BYTES_MAX, Sender, Spool, SpoolError, SpoolReport},
};
use taffrail_ingest::{
    decode::lines,
    listen::file::{Checkpoint, Chunk, FollowOptions, Follower, Start},
};
use taffrail_model::{
    batch::RawBatch,
    clock::{Clock, SystemClock},
    column::Kind,
    stream::{AccessClass, StreamCatalogue, StreamDefinition, StreamNumber},
    tenant::DEFAULT_TENANT,
};

const EXAMPLES: &str = "\
Examples:
  taffrail ship --stream app.backend /var/log/app/app.log
  taffrail ship --stream app.backend --from-end '/var/log/app/*.log*'
  taffrail ship --stream app.backend --once --source nightly /var/log/nightly.log.1.gz
  taffrail ship --stream app.backend --show-rejected
";

/// Bytes of records that are gathered before a batch is closed.
const BATCH_BYTES: usize = 1 << 20;
/// How long records wait for others before their batch is closed.
const BATCH_AFTER: Duration = Duration::from_millis(200);
/// Bytes that one look at the files reads: with what the pipeline adds, a few requests.
const POLL_BYTES: usize = 512 << 10;
/// How often files are looked at when nothing is new.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Batches that wait while the server takes one: more would only take room on disk, since the
/// files keep what is not read.
const AHEAD_BATCHES_MAX: usize = 1;
/// How long `--once` tries to reach a server that is away.
const ONCE_PATIENCE: Duration = Duration::from_secs(60);
/// Which file a line comes from.
const FILE_FIELD: &str = "metadata.file";

/// Arguments of `ship`.
#[derive(Args, Clone, Debug)]
#[command(before_help = EXAMPLES)]
pub struct ShipArgs {
    /// Address of the server
    #[arg(
        long = "to",
        visible_alias = "server",
        env = "TAFFRAIL_URL",
        hide_env_values = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:4600"
    )]
    to: String,
    /// File with the API key; else the key is taken from TAFFRAIL_TOKEN
    #[arg(
        long,
        env = "TAFFRAIL_TOKEN_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    token_file: Option<PathBuf>,
    /// Stream that the records go to
    #[arg(long, value_name = "NAME")]
    stream: String,
    /// Directory of checkpoints and unsent batches [default: ~/.taffrail/ship/STREAM]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// File of the key that encrypts the state [default: in ~/.taffrail/keys]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Name of the program that writes the logs [default: from each file's name]
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Format of the lines [default: recognised line by line]
    #[arg(long, value_name = "NAME", value_parser = format_name)]
    format: Option<String>,
    /// Zone of times that carry none, such as Europe/Berlin [default: this machine's]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    zone: Option<TimeZone>,
    /// MiB of unsent batches on disk; when full, reading waits
    #[arg(long, value_name = "MIB", default_value_t = SPOOL_BYTES_MAX >> 20)]
    spool_mib: u64,
    /// Send records as they are; else bodies of 4 KiB and more are compressed with zstd
    #[arg(long)]
    no_compression: bool,
    /// Read to the end, wait until all is acknowledged, and exit
    #[arg(long)]
    once: bool,
    /// Begin with the first line of files that are there at the first start (the default)
    #[arg(long, conflicts_with = "from_end")]
    from_beginning: bool,
    /// Begin behind the last line of files that are there at the first start
    #[arg(long)]
    from_end: bool,
    /// Print the records that the server would never take, with the reasons, and exit
    #[arg(long)]
    show_rejected: bool,
    /// Files and globs
    #[arg(value_name = "PATH|GLOB", required_unless_present = "show_rejected")]
    files: Vec<String>,
}

fn format_name(text: &str) -> Result<String, String> {
    let known: Vec<&str> = line_formats().collect();
    if known.contains(&text) {
        return Ok(text.to_string());
    }
    Err(format!("there are: {}", known.join(", ")))
}

fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|error| error.to_string())
}

/// What a shipper does; see [`ShipArgs`].
#[derive(Clone, Debug)]
pub struct ShipperOptions {
    /// Stream that the records go to.
    pub stream: String,
    /// Directory of checkpoints and unsent batches.
    pub state: PathBuf,
    /// File of the key that encrypts it; `None`: in `~/.taffrail/keys`.
    pub key_file: Option<PathBuf>,
    /// Becomes `source`; `None`: from each file's name.
    pub source: Option<String>,
    /// Format of the lines; `None`: recognised.
    pub format: Option<String>,
    /// Zone of times that carry none.
    pub zone: TimeZone,
    /// Bytes of unsent batches.
    pub spool_bytes_max: u64,
    /// Whether bodies are compressed.
    pub compression: bool,
    /// Files and globs.
    pub files: Vec<String>,
    /// Where to begin at the first start.
    pub start: Start,
}

impl ShipperOptions {
    /// The defaults: from the beginning, everything recognised.
    #[must_use]
    pub fn new(stream: &str, state: PathBuf, files: Vec<String>) -> ShipperOptions {
        ShipperOptions {
            stream: stream.to_string(),
            state,
            key_file: None,
            source: None,
            format: None,
            zone: TimeZone::system(),
            spool_bytes_max: SPOOL_BYTES_MAX,
            compression: true,
            files,
            start: Start::Beginning,
        }
    }
}

/// Runs the command until it is killed, or with `--once` until all is acknowledged.
pub fn run(args: ShipArgs) -> Result<()> {
    let state = match args.state {
        Some(state) => state,
        None => default_state(&args.stream)?,
    };
    let options = ShipperOptions {
        key_file: args.key_file,
        source: args.source,
        format: args.format,
        zone: args.zone.unwrap_or_else(TimeZone::system),
        spool_bytes_max: args.spool_mib << 20,
        compression: !args.no_compression,
        start: match args.from_end {
            true => Start::End,
            false => Start::Beginning,
        },
        ..ShipperOptions::new(&args.stream, state, args.files)
    };
    if args.show_rejected {
        return show_rejected(&options);
    }
    let sender = HttpSender::new(&args.to, token(args.token_file.as_deref())?)?;
    let mut shipper = Shipper::open(options, Box::new(sender), Box::new(say))?;
    match args.once {
        true => shipper.run_once(),
        // The sender lives as long as the process.
        false => {
            let (_never, stop) = mpsc::channel();
            shipper.follow(&stop)
        }
    }
}

fn default_state(stream: &str) -> Result<PathBuf> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let home = home.context("HOME is not set: name a directory with --state")?;
    // The server refuses other names; none may lead out of the folder.
    let is_name = !stream.is_empty() && !stream.starts_with('.') && !stream.contains('/');
    if !is_name {
        return Err(Failure::Usage(format!("{stream:?} is no name of a stream")).into());
    }
    Ok(PathBuf::from(home).join(".taffrail/ship").join(stream))
}

/// The API key: from a file, else from `TAFFRAIL_TOKEN`.
pub(crate) fn token(file: Option<&Path>) -> Result<Option<String>> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("reading the API key from {}", path.display()))?,
        None => std::env::var("TAFFRAIL_TOKEN").unwrap_or_default(),
    };
    Ok(Some(text.trim().to_string()).filter(|token| !token.is_empty()))
}

fn show_rejected(options: &ShipperOptions) -> Result<()> {
    let (spool, report) = open_spool(options)?;
    say_report(&report, &mut say);
    let mut out = std::io::stdout().lock();
    out.write_all(&spool.rejected()?)?;
    Ok(out.flush()?)
}

/// What opening the spool found.
fn say_report(report: &SpoolReport, say: &mut dyn FnMut(&str)) {
    if let Some(path) = &report.key_file_made {
        let path = path.display();
        say(&format!(
            "made the key {path}; what waits to be sent is encrypted with it"
        ));
    }
    for (file, reason) in &report.repaired {
        say(&format!("{file}: {reason}"));
    }
    if let Some(again) = &report.read_again {
        say(&loss::text_of_read_again(again));
    }
    if let Some(time) = report.forgotten {
        say(&format!(
            "the oldest unsent batch is of {}: if its acknowledgement was lost then, the server \
             may have forgotten it and store it twice",
            time.to_rfc3339()
        ));
    }
}

fn open_spool(options: &ShipperOptions) -> Result<(Spool, SpoolReport), SpoolError> {
    Spool::open_directory(
        &options.state,
        options.key_file.as_deref(),
        options.spool_bytes_max,
        options.compression,
    )
}

fn say(text: &str) {
    eprintln!("taffrail: {}", shown(text));
}

/// Tells a person something, a line at a time.
pub type Say = Box<dyn FnMut(&str) + Send>;

/// Follows files and sends their lines.
pub struct Shipper {
    options: ShipperOptions,
    delivery: Delivery,
    say: Say,
    pipeline: Pipeline,
    catalogue: StreamCatalogue,
    stream: StreamDefinition,
    follower: Follower,
    gathered: Bodies,
    gathered_since: Option<Instant>,
    /// Whether the last look came to the end of every file.
    is_at_end: bool,
    rejected: u64,
    has_lost: bool,
    /// Troubles that last, so that each is said once.
    said: BTreeSet<&'static str>,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something; there may be more to do at once.
    Worked,
    /// Waited for the answer to what is being sent.
    Waited,
    /// Nothing new, and nothing to send now.
    Idle,
}

impl Shipper {
    /// Opens the state directory, which no other shipper may use at the same time.
    ///
    /// # Errors
    /// What is wrong with the directory, its key, its content, or the patterns.
    pub fn open(
        options: ShipperOptions,
        sender: Box<dyn Sender + Send>,
        mut say: Say,
    ) -> Result<Shipper> {
        let (spool, report) = open_spool(&options)?;
        say_report(&report, &mut say);
        let checkpoints: Option<Vec<Checkpoint>> = spool
            .checkpoint()
            .map(|point| serde_json::from_value(point.clone()))
            .transpose()
            .context("reading the checkpoints of the state directory")?;
        let follower = Follower::new(
            FollowOptions {
                patterns: options.files.clone(),
                start: options.start,
                poll_bytes_max: POLL_BYTES,
                ..FollowOptions::default()
            },
            checkpoints,
        )?;
        let pipeline = Pipeline::new(PipelineConfig {
            side: Side::Shipper,
            hostname: hostname(),
            ..PipelineConfig::default()
        })?;
        Ok(Shipper {
            stream: any_stream(&options.stream),
            options,
            delivery: Delivery::start(spool, sender)?,
            say,
            pipeline,
            catalogue: StreamCatalogue::built_in(),
            follower,
            gathered: Bodies::default(),
            gathered_since: None,
            is_at_end: false,
            rejected: 0,
            has_lost: false,
            said: BTreeSet::new(),
        })
    }

    /// Ships until `stop` says something or its other end is gone.
    ///
    /// # Errors
    /// What a person must change; nothing is lost, the next shipper goes on.
    pub fn follow(&mut self, stop: &mpsc::Receiver<()>) -> Result<()> {
        loop {
            let wait = match self.step(Instant::now(), false)? {
                Step::Worked | Step::Waited => Duration::ZERO,
                Step::Idle => POLL_INTERVAL,
            };
            match stop.recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Ships what is there, to the end, until it is acknowledged.
    ///
    /// # Errors
    /// As [`Shipper::follow`]; also if the server is away for a minute, did not take some records,
    /// or batches are lost.
    pub fn run_once(&mut self) -> Result<()> {
        loop {
            let now = Instant::now();
            if self.step(now, true)? != Step::Idle {
                continue;
            }
            if self.is_at_end && self.gathered.is_empty() && self.delivery.spool().pending() == 0 {
                break;
            }
            if let Some((since, reason)) = &self.delivery.retry().failing
                && now.duration_since(*since) >= ONCE_PATIENCE
            {
                return Err(Failure::Unreachable {
                    server: "the server".into(),
                    reason: format!("{reason}; what was read is kept and sent next time"),
                }
                .into());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        match self.rejected == 0 && !self.has_lost {
            true => Ok(()),
            false => Err(Failure::Partial.into()),
        }
    }

    /// Reads, persists and sends, as far as each is due; waits a moment for an answer if there is
    /// nothing else to do. `is_last`: what has no end yet is a line, and no batch waits for more.
    ///
    /// # Errors
    /// What a person must change.
    pub fn step(&mut self, now: Instant, is_last: bool) -> Result<Step> {
        let has_read = self.prepare(now, is_last)?;
        let patience = match has_read {
            true => Duration::ZERO,
            false => POLL_INTERVAL,
        };
        let has_sent = self.deliver(now, patience)?;
        Ok(match (has_read || has_sent, self.delivery.is_busy()) {
            (true, _) => Step::Worked,
            (false, true) => Step::Waited,
            (false, false) => Step::Idle,
        })
    }

    /// Reads what is new, unless enough is read, and persists it when it is due.
    fn prepare(&mut self, now: Instant, is_last: bool) -> Result<bool> {
        let is_taken = self.delivery.retry().failing.is_none();
        if is_taken && self.delivery.spool().pending() > AHEAD_BATCHES_MAX {
            return Ok(false);
        }
        let has_read = self.read(now, is_last)?;
        Ok(self.persist(now, is_last)? || has_read)
    }

    fn read(&mut self, now: Instant, is_last: bool) -> Result<bool> {
        if self.gathered.bytes() >= BATCH_BYTES || !self.delivery.spool().has_room(&self.gathered) {
            return Ok(false);
        }
        let mut poll = self.follower.poll(now);
        if is_last && poll.is_at_end && poll.chunks.is_empty() {
            // Nobody will come later: what waits for time has waited.
            poll = self.follower.poll(now + Duration::from_secs(3_600));
            if poll.is_at_end {
                poll.chunks.extend(self.follower.finish());
            }
        }
        for trouble in &poll.troubles {
            let cause = std::error::Error::source(trouble).map(ToString::to_string);
            (self.say)(&format!("{trouble}: {}", cause.unwrap_or_default()));
        }
        self.is_at_end = poll.is_at_end;
        for chunk in &poll.chunks {
            self.gather(chunk)?;
        }
        if !poll.chunks.is_empty() {
            self.gathered_since.get_or_insert(now);
        }
        Ok(!poll.chunks.is_empty())
    }

    /// Takes lines through the pipeline.
    fn gather(&mut self, chunk: &Chunk) -> Result<()> {
        let path = &chunk.checkpoint.path;
        let source = self.options.source.clone().or_else(|| name_of(path));
        let mut options = LineOptions {
            format: self.options.format.clone(),
            zone: self.options.zone.clone(),
            source,
        };
        let rejects = self.process(labelled(chunk)?, &options);
        if !rejects.is_empty() {
            // What looked like a record but is none is a line of text.
            let mut raw = labelled(chunk)?;
            raw.columns = raw.columns.select(&rejects);
            raw.indexes = (0..raw.columns.rows()).collect();
            options.format = Some("plain".to_string());
            self.process(raw, &options);
        }
        Ok(())
    }

    /// The rows that the pipeline did not take.
    fn process(&mut self, raw: RawBatch, options: &LineOptions) -> Vec<u32> {
        let arrival = Arrival {
            tenant: DEFAULT_TENANT,
            stream: &self.stream,
            received: SystemClock.now(),
            catalogue: &self.catalogue,
            may_write: &|_| true,
        };
        let batch = self.pipeline.process_lines(raw, &arrival, options);
        self.gathered.push(&batch);
        let mut rejects: Vec<u32> = batch.rejects().iter().map(|reject| reject.index).collect();
        rejects.sort_unstable();
        rejects.dedup();
        rejects
    }

    fn persist(&mut self, now: Instant, is_last: bool) -> Result<bool> {
        // At the first start, where to begin is decided once.
        let is_first = self.delivery.spool().checkpoint().is_none();
        let has_waited = self
            .gathered_since
            .is_some_and(|since| is_last || now.saturating_duration_since(since) >= BATCH_AFTER);
        if !is_first && !has_waited && self.gathered.bytes() < BATCH_BYTES {
            return Ok(false);
        }
        if !self.delivery.spool().has_room(&self.gathered) {
            self.say_once(
                "full",
                "the spool is full: reading waits until the server takes more",
            );
            return Ok(false);
        }
        let checkpoint =
            serde_json::to_value(self.follower.checkpoints()).context("writing the checkpoints")?;
        let stream = &self.options.stream;
        match self
            .delivery
            .spool_mut()
            .persist(stream, &self.gathered, checkpoint)
        {
            Ok(()) => {
                self.gathered = Bodies::default();
                self.gathered_since = None;
                self.said.remove("full");
                self.said.remove("space");
                Ok(true)
            }
            Err(error) if error.is_no_space() => {
                self.say_no_space();
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn say_no_space(&mut self) {
        let text = "no space left for the spool: reading waits until there is some";
        self.say_once("space", text);
    }

    /// Sends the oldest batch, if it is due, and waits for the answers as long as `patience` is.
    /// Whether there was an answer that got things on.
    fn deliver(&mut self, now: Instant, patience: Duration) -> Result<bool> {
        let progress = self.delivery.proceed(now, patience)?;
        for event in progress.events {
            self.note(event)?;
        }
        Ok(progress.has_worked)
    }

    fn note(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Failing { reason } => (self.say)(&format!("{reason}; trying again")),
            Event::Recovered => (self.say)("the server takes records again"),
            Event::Delivered(delivered) => self.note_delivered(delivered),
            Event::Lost(lost) => self.note_lost(&lost),
            Event::NoSpace => self.say_no_space(),
            Event::PutAside {
                stream,
                records,
                reason,
            } => (self.say)(&format!(
                "{records} records of {stream} are put aside: {reason}"
            )),
            Event::Stopped {
                reason,
                is_not_allowed,
            } => {
                let text = format!("{reason}; what was read is kept and sent next time");
                return Err(match is_not_allowed {
                    true => Failure::NotAllowed(text).into(),
                    false => anyhow::anyhow!(text),
                });
            }
        }
        Ok(())
    }

    fn note_delivered(&mut self, delivered: Delivered) {
        let rejected = delivered.rejected;
        self.rejected += rejected;
        if let Some(reason) = delivered.first_reason {
            (self.say)(&format!(
                "the server did not take {rejected} records, the first since {reason}; \
                 `--show-rejected` prints them"
            ));
        }
        let files_dropped = delivered.rejected_files_dropped;
        if files_dropped > 0 {
            (self.say)(&format!(
                "rejected records of {files_dropped} older batches were removed to make room"
            ));
        }
    }

    fn note_lost(&mut self, lost: &Lost) {
        self.has_lost = true;
        for line in loss::lines_of_lost(lost) {
            (self.say)(&line);
        }
    }

    fn say_once(&mut self, trouble: &'static str, text: &str) {
        if self.said.insert(trouble) {
            (self.say)(text);
        }
    }
}

/// A shipper on a thread of its own.
pub struct Shipping {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Shipping {
    /// Starts shipping to a server. What a person must change is said, and ends it.
    ///
    /// # Errors
    /// As [`Shipper::open`].
    pub fn start(
        options: ShipperOptions,
        server: &str,
        token: Option<String>,
        say: impl Fn(&str) + Clone + Send + 'static,
    ) -> Result<Shipping> {
        let (stop, stopped) = mpsc::channel();
        let say_last = say.clone();
        let server = server.to_string();
        let (opened, is_opened) = mpsc::channel();
        // The blocking client must be made where no asynchronous runtime is.
        let thread = std::thread::Builder::new()
            .name("ship".into())
            .spawn(move || {
                let shipper = HttpSender::new(&server, token)
                    .and_then(|sender| Shipper::open(options, Box::new(sender), Box::new(say)));
                let mut shipper = match shipper {
                    Ok(shipper) => shipper,
                    // Whoever waits for it may be gone; then nobody wants to know.
                    Err(error) => return drop(opened.send(Err(error))),
                };
                drop(opened.send(Ok(())));
                if let Err(error) = shipper.follow(&stopped) {
                    say_last(&format!("shipping ended: {error:#}"));
                }
            })
            .context("starting the thread that ships")?;
        is_opened.recv().context("the thread that ships ended")??;
        Ok(Shipping { stop, thread })
    }

    /// Ends it after the request that is under way.
    pub async fn stop(self) {
        drop(self.stop);
        // If it has panicked, that has been said, and there is nothing to wait for.
        let _ = tokio::task::spawn_blocking(|| self.thread.join()).await;
    }
}

/// The lines of a chunk with the name of their file.
fn labelled(chunk: &Chunk) -> Result<RawBatch> {
    let mut raw = lines::decode(&chunk.bytes)?;
    let path = chunk.checkpoint.path.to_string_lossy();
    let rows = raw.columns.rows();
    let column = raw.columns.get_or_create(FILE_FIELD);
    for row in 0..rows {
        column.push(row, Kind::String, &path);
    }
    Ok(raw)
}

/// The program that a file's name suggests: what stands before the first dot.
fn name_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let name = name.trim_start_matches('.').split('.').next()?;
    (!name.is_empty()).then(|| name.to_string())
}

/// Name of this machine.
pub(crate) fn hostname() -> Option<String> {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    (!name.is_empty()).then_some(name)
}

/// A stream that takes everything: what a stream does not take is the server's to say.
fn any_stream(name: &str) -> StreamDefinition {
    StreamDefinition {
        number: StreamNumber(0),
        name: name.into(),
        retention_days: None,
        debug_retention_days: None,
        compress_after_days: None,
        is_archived: false,
        is_sealed: false,
        is_policy: false,
        is_strict: false,
        is_own_events: false,
        access: AccessClass::Restricted,
    }
}
