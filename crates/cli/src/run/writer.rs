//! Gathers records, makes batches of them, gives these to the buffer.
//!
//! Invariants
//! - Everything goes through the pipeline, redaction included, before it is kept anywhere but in
//!   memory.
//! - What is in memory is bounded, if whoever gathers closes the batch as soon as it
//!   [is full](Writer::is_full).
//! - Which instance a record is of, of which run and process, is never what the program says.
//! - That a former run was killed, and its last records are missing, is said; until that is
//!   durable the note of it stays, for the next run to say it.
//! - Records that found no room in the buffer are said as soon as it takes some again.
use super::{
    buffer::Buffer,
    killed::{self, Killed},
    recorder::RecorderOptions,
};
use crate::ship::hostname;
use anyhow::{Context, Result};
use jiff::tz::TimeZone;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use taffrail_engine::{
    pipeline::{Arrival, LineOptions, PROCESS_NAME, Pipeline, PipelineConfig, Side, Stamp},
    spool::Bodies,
};
use taffrail_ingest::{
    decode::lines,
    listen::{multiline::Joined, process::tap::Direction},
    mcp::record::{FieldName, METADATA_TYPE, Origin, Record, Route, Scalar, batch},
};
use taffrail_model::{
    batch::RawBatch,
    column::{Column, Kind},
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
/// Bytes of records at which a batch is closed even while more is there to be taken: a backlog of
/// short lines is many times as large once it is records.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// The same for records that are not written yet, about a kilobyte each.
const BATCH_RECORDS_MAX: usize = 2_048;
/// Names the run that a record is of.
const RUN_ID: &str = "labels.run_id";
/// Process of the program.
const PROCESS_ID: &str = "metadata.process_id";

/// See the module.
pub(super) struct Writer {
    pipeline: Pipeline,
    catalogue: StreamCatalogue,
    /// Fields of every record, whatever the program says.
    labels: Vec<(&'static str, String)>,
    process: Option<u32>,
    waiting: Vec<(Arc<StreamDefinition>, Vec<Record>)>,
    waiting_records: usize,
    bodies: Bodies,
    open_since: Option<Instant>,
    /// [`BATCH_AFTER`]; in tests longer, where nothing is to be closed by its age.
    pub(super) batch_after: Duration,
    /// Records that the buffer did not take since it last took some.
    lost: u64,
    /// Runs that were killed, of which there is a record that is not kept yet.
    killed_waiting: Vec<Killed>,
    /// The same of which the record was not taken.
    killed_lost: Vec<Killed>,
    pub(super) buffer: Buffer,
}

impl Writer {
    /// A writer that begins with what is wrong with the configuration, if something is.
    pub(super) fn new(options: &RecorderOptions, at: Timestamp) -> Result<Writer> {
        let pipeline = Pipeline::new(PipelineConfig {
            side: Side::Shipper,
            hostname: hostname(),
            source: Some(options.service.clone()),
            capture: Some(options.capture.rules.clone()),
            ..PipelineConfig::default()
        })?;
        // Random enough to tell runs apart: 128 bits.
        let random: [u8; 16] = ring::rand::generate(&ring::rand::SystemRandom::new())
            .ok()
            .context("no random numbers")?
            .expose();
        let run = format!("{:032x}", u128::from_le_bytes(random));
        let note = killed::note(&run, at);
        let mut labels = vec![
            (field::INSTANCE_ID, options.instance.clone()),
            (RUN_ID, run),
        ];
        labels.extend(options.user.clone().map(|user| (field::USER_ID, user)));
        if !options.is_service_named {
            labels.push((PROCESS_NAME, options.service.clone()));
        }
        let mut writer = Writer {
            pipeline,
            catalogue: options.capture.catalogue.clone(),
            labels,
            process: None,
            waiting: Vec::new(),
            waiting_records: 0,
            bodies: Bodies::default(),
            open_since: None,
            batch_after: BATCH_AFTER,
            lost: 0,
            killed_waiting: Vec::new(),
            killed_lost: Vec::new(),
            buffer: Buffer::new(options.buffer.clone(), note),
        };
        if let Some(fault) = &options.capture.fault {
            writer.note(at, fault.recorded.clone(), Vec::new());
        }
        Ok(writer)
    }

    /// What is recorded from now on is of this process.
    pub(super) fn started(&mut self, process: u32, at: Timestamp) {
        // Records get their process as they become bodies.
        let open_since = self.open_since;
        self.flush(at);
        self.open_since = open_since;
        self.process = Some(process);
    }

    pub(super) fn is_open(&self) -> bool {
        self.open_since.is_some()
    }

    /// Whether the batch is to be closed by its age.
    pub(super) fn has_waited(&self, now: Instant) -> bool {
        let has_waited = |since: Instant| now.saturating_duration_since(since) >= self.batch_after;
        self.open_since.is_some_and(has_waited)
    }

    /// Whether the batch is to be closed before more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.waiting_records >= BATCH_RECORDS_MAX || self.bodies.bytes() >= BATCH_BYTES_MAX
    }

    pub(super) fn record(&mut self, stream: &str, record: Record) {
        let Some(stream) = self.catalogue.by_name(stream).cloned() else {
            return;
        };
        self.open_since.get_or_insert_with(Instant::now);
        self.waiting_records += 1;
        let same = |(have, _): &&mut (Arc<StreamDefinition>, _)| have.number == stream.number;
        match self.waiting.iter_mut().find(same) {
            Some((_, records)) => records.push(record),
            None => self.waiting.push((stream, vec![record])),
        }
    }

    /// Something about the recording itself.
    pub(super) fn note(
        &mut self,
        time: Timestamp,
        message: String,
        fields: Vec<(FieldName, Scalar)>,
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
    pub(super) fn lines(&mut self, direction: Direction, lines: &[Joined]) {
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

    /// Messages of records that are no bodies yet, those of a stream together.
    #[cfg(test)]
    pub(super) fn waiting_messages(&self) -> Vec<String> {
        let records = self.waiting.iter().flat_map(|(_, records)| records);
        records.map(|record| record.message.clone()).collect()
    }

    /// Takes records through the pipeline; the rows that it did not take.
    fn process(
        &mut self,
        raw: RawBatch,
        stream: &Arc<StreamDefinition>,
        received: Timestamp,
        options: &LineOptions,
    ) -> Vec<u32> {
        let process = self.process.map(|process| process.to_string());
        let labels = self.labels.iter();
        let labels = labels.map(|(name, text)| (*name, Kind::String, text));
        let process = process.iter().map(|text| (PROCESS_ID, Kind::Integer, text));
        let stamps: Vec<Stamp<'_>> = labels
            .chain(process)
            .map(|(name, kind, text)| Stamp { name, kind, text })
            .collect();
        let arrival = Arrival {
            tenant: DEFAULT_TENANT,
            stream,
            received,
            catalogue: &self.catalogue,
            may_write: &|_| true,
        };
        let clean = self
            .pipeline
            .process_stamped(raw, &arrival, options, &stamps);
        self.bodies.push_routed(&self.catalogue, &clean);
        self.open_since.get_or_insert_with(Instant::now);
        clean.rejects().iter().map(|reject| reject.index).collect()
    }

    /// Closes the batch if it is due, and sends.
    pub(super) fn tend(&mut self, now: Instant, at: Timestamp) {
        if self.has_waited(now) || self.bodies.bytes() >= BATCH_BYTES {
            self.close(now, at);
        }
        self.buffer.tend(now, Duration::ZERO);
        self.say_killed(at);
    }

    /// Says which runs were killed; whether there were any.
    fn say_killed(&mut self, at: Timestamp) -> bool {
        let killed = self.buffer.take_killed();
        let is_any = !killed.is_empty();
        self.note_killed(killed, at);
        is_any
    }

    fn note_killed(&mut self, killed: Vec<Killed>, at: Timestamp) {
        for killed in &killed {
            let run = killed.run.as_deref();
            let fields = run.map(|run| ("killed_run_id".into(), run.into()));
            self.note(at, killed.text(), fields.into_iter().collect());
        }
        self.killed_waiting.extend(killed);
    }

    /// Gives everything to the buffer.
    pub(super) fn close(&mut self, now: Instant, at: Timestamp) {
        self.flush(at);
        let is_kept = self.keep(now);
        if self.say_killed(at) {
            // The buffer was opened just now, which may be the last time that something is kept.
            self.flush(at);
            self.keep(now);
        }
        if !is_kept || self.lost == 0 {
            return;
        }
        let lost = std::mem::take(&mut self.lost);
        let reason = self.buffer.fate().lost_reason.clone().unwrap_or_default();
        let text = format!("{lost} records were lost: {reason}");
        self.note(at, text, vec![("records_lost".into(), lost.into())]);
        let killed = std::mem::take(&mut self.killed_lost);
        self.note_killed(killed, at);
        self.flush(at);
        if !self.keep(now) {
            // Those are not on record yet, and the record of them is lost as well.
            self.lost += lost;
        }
    }

    /// Records to bodies.
    fn flush(&mut self, at: Timestamp) {
        for (stream, records) in std::mem::take(&mut self.waiting) {
            let options = LineOptions::default();
            // Records of our own have no fault that would reject one.
            self.process(batch(&records), &stream, at, &options);
        }
        self.waiting_records = 0;
        self.open_since = None;
    }

    /// Gives the bodies to the buffer, after everything that waits was [flushed](Writer::flush).
    fn keep(&mut self, now: Instant) -> bool {
        let bodies = std::mem::take(&mut self.bodies);
        if bodies.is_empty() {
            return false;
        }
        let is_kept = self.buffer.keep(&bodies, now);
        let mut killed = std::mem::take(&mut self.killed_waiting);
        match is_kept {
            true if self.killed_lost.is_empty() => self.buffer.note_said(),
            true => {}
            false => {
                self.lost += bodies.records();
                self.killed_lost.append(&mut killed);
            }
        }
        is_kept
    }
}

/// Gives every row a field, unless it has one.
fn label(raw: &mut RawBatch, name: &str, kind: Kind, text: &str) {
    let rows = raw.columns.rows();
    let column = raw.columns.get_or_create(name);
    let mut labelled = Column::default();
    for row in 0..rows {
        match column.get(row) {
            Some(value) => labelled.push(row, value.kind, value.text),
            None => labelled.push(row, kind, text),
        }
    }
    *column = labelled;
}

#[cfg(test)]
mod tests;
