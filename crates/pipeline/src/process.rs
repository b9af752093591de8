//! The stages in order: parse (lines, names, levels, times), route, own, enrich, require, split,
//! limit, redact. Redaction comes last, so it sees every byte that will be written.
use crate::{
    capture::{CaptureRules, Seen},
    clean::{BatchCounts, CleanBatch, CleanPart},
    config::{ConfigError, LineOptions, PipelineConfig, Side},
    enrich::{self, Stamp},
    overflow::FieldRegistry,
    ownership::{self, Writer},
    parse::{alias, level, line, time},
    redact::Redactor,
    required,
    route::Router,
    rows::{Rows, Streams, Targets},
    split::{self, Part},
};
use std::{collections::BTreeMap, sync::Arc};
use taffrail_model::{
    batch::{RawBatch, RejectKind},
    column::Kind,
    field,
    position::PartitionKey,
    stream::{StreamCatalogue, StreamDefinition, StreamNumber},
    tenant::TenantNumber,
    time::Timestamp,
};

/// How a batch came.
#[derive(Clone, Copy)]
pub struct Arrival<'a> {
    /// Whose it is.
    pub tenant: TenantNumber,
    /// The stream that it was sent to.
    pub stream: &'a StreamDefinition,
    /// When it was received.
    pub received: Timestamp,
    /// All streams, for routing.
    pub catalogue: &'a StreamCatalogue,
    /// Whether the credential may write to a stream.
    pub may_write: &'a dyn Fn(&StreamDefinition) -> bool,
}

/// Makes the correlation ids that are filled in.
pub type NewId = Arc<dyn Fn() -> String + Send + Sync>;

/// All stages with their configuration; shared by all requests.
pub struct Pipeline {
    config: PipelineConfig,
    redactor: Redactor,
    router: Router,
    capture: Option<CaptureRules>,
    registry: FieldRegistry,
    new_id: NewId,
}

impl Pipeline {
    /// A pipeline of this configuration.
    ///
    /// # Errors
    /// [`ConfigError`] names the rule that is wrong.
    pub fn new(config: PipelineConfig) -> Result<Pipeline, ConfigError> {
        Pipeline::with_ids(
            config,
            Arc::new(|| format!("{:032x}", rand::random::<u128>())),
        )
    }

    /// As [`Pipeline::new`], with ids from `new_id` instead of random ones.
    ///
    /// # Errors
    /// As [`Pipeline::new`].
    pub fn with_ids(config: PipelineConfig, new_id: NewId) -> Result<Pipeline, ConfigError> {
        line::check(&config.lines)?;
        Ok(Pipeline {
            redactor: Redactor::new(&config.redaction)?,
            router: Router::new(&config.routing)?,
            capture: config.capture.as_ref().map(CaptureRules::new).transpose()?,
            registry: FieldRegistry::default(),
            new_id,
            config,
        })
    }

    /// Whether every stream that the routing table and the rules for captured output name exists.
    ///
    /// # Errors
    /// [`ConfigError::RouteStream`] or [`ConfigError::CaptureStream`] names the first that does
    /// not.
    pub fn check(&self, catalogue: &StreamCatalogue) -> Result<(), ConfigError> {
        self.router.check(catalogue)?;
        match &self.capture {
            Some(rules) => rules.check(catalogue),
            None => Ok(()),
        }
    }

    /// Takes a batch through every stage. Never fails: what is not taken is in the rejects.
    #[must_use]
    pub fn process(&self, raw: RawBatch, arrival: &Arrival<'_>) -> CleanBatch {
        self.process_lines(raw, arrival, &self.config.lines)
    }

    /// As [`Pipeline::process`], for a credential that decides whose the records of instances are.
    #[must_use]
    pub fn process_as(
        &self,
        raw: RawBatch,
        arrival: &Arrival<'_>,
        writer: &Writer<'_>,
    ) -> CleanBatch {
        self.run(raw, arrival, &self.config.lines, Some(writer), &[])
    }

    /// As [`Pipeline::process`], with lines read as `options` say. A format that does not exist
    /// (see [`line_formats`](crate::line_formats)) recognises nothing.
    #[must_use]
    pub fn process_lines(
        &self,
        raw: RawBatch,
        arrival: &Arrival<'_>,
        options: &LineOptions,
    ) -> CleanBatch {
        self.run(raw, arrival, options, None, &[])
    }

    /// As [`Pipeline::process_lines`], for a source that decides some fields itself.
    #[must_use]
    pub fn process_stamped(
        &self,
        raw: RawBatch,
        arrival: &Arrival<'_>,
        options: &LineOptions,
        stamps: &[Stamp<'_>],
    ) -> CleanBatch {
        self.run(raw, arrival, options, None, stamps)
    }

    fn run(
        &self,
        raw: RawBatch,
        arrival: &Arrival<'_>,
        options: &LineOptions,
        writer: Option<&Writer<'_>>,
        stamps: &[Stamp<'_>],
    ) -> CleanBatch {
        let is_server = self.config.side == Side::Server;
        let mut columns = raw.columns;
        let rules = self.capture.as_ref().filter(|_| raw.is_lines);
        let mut captured = rules.map(|rules| (rules, Seen::of(&mut columns)));
        let mut line_times = None;
        if raw.is_lines {
            let lines = line::read(columns, options, arrival.received);
            (columns, line_times) = (lines.columns, Some(lines.times));
        }
        if let Some((_, seen)) = &mut captured {
            seen.restore(&mut columns);
        }
        let mut rows = Rows::new(columns.rows(), raw.indexes, raw.rejects);
        alias::resolve(&mut columns, is_server);
        let level_is_missing = level::resolve(&mut columns);
        let by_capture = captured.map(|(rules, seen)| {
            seen.decide(rules, &mut columns, &level_is_missing, arrival.catalogue)
        });
        let by_rules = self
            .router
            .route(&columns, arrival.stream, arrival.catalogue);
        let streams = Streams {
            sent_to: arrival.stream,
            routed: first_of(by_rules, by_capture),
        };
        reject_forbidden(&streams, arrival, &mut rows);
        let times = time::resolve(
            &mut columns,
            line_times.as_deref(),
            arrival.received,
            &streams,
            &mut rows,
        );
        required::reject_empty(&columns, &level_is_missing, &mut rows);
        if let Some(writer) = writer {
            ownership::apply(&mut columns, &streams, writer, &mut rows);
        }
        for stamp in stamps {
            enrich::stamp(&mut columns, stamp);
        }
        self.enrich(&mut columns, raw.is_lines, options);
        required::apply(
            &mut columns,
            &times.is_missing,
            &level_is_missing,
            &streams,
            &*self.new_id,
            &mut rows,
        );
        let mut counts = BatchCounts::default();
        let parts = split::split(columns, times.timestamps, &streams, &mut rows)
            .into_iter()
            .map(|part| self.finish(part, arrival, &mut counts))
            .collect();
        CleanBatch::new(arrival.tenant, parts, rows.into_rejects(), counts)
    }

    fn enrich(
        &self,
        columns: &mut taffrail_model::column::ColumnSet,
        is_lines: bool,
        options: &LineOptions,
    ) {
        let of_lines = options.source.as_deref().filter(|_| is_lines);
        if let Some(source) = of_lines.or(self.config.source.as_deref()) {
            enrich::default_value(columns, field::SOURCE, Kind::String, source);
        }
        if let Some(hostname) = &self.config.hostname {
            enrich::default_value(columns, "metadata.hostname", Kind::String, hostname);
        }
        if let Some(process_id) = self.config.process_id {
            let text = process_id.to_string();
            enrich::default_value(columns, "metadata.process_id", Kind::Integer, &text);
        }
    }

    /// The last stages, and the one place where a clean part is made.
    fn finish(&self, part: Part, arrival: &Arrival<'_>, counts: &mut BatchCounts) -> CleanPart {
        let mut columns = part.columns;
        if self.config.side == Side::Server {
            let partition = PartitionKey {
                tenant: arrival.tenant,
                stream: part.stream,
                day: part.day,
            };
            self.registry.limit(partition, &mut columns, counts);
        }
        self.redactor.redact(&mut columns, counts);
        if self.config.side == Side::Server {
            enrich::receive_time(&mut columns, arrival.received);
        }
        CleanPart::new(part.stream, part.day, part.timestamps, columns)
    }
}

/// For each row the first target that there is.
fn first_of(first: Option<Targets>, second: Option<Targets>) -> Option<Targets> {
    match (first, second) {
        (Some(first), Some(second)) => {
            let pairs = first.into_iter().zip(second);
            Some(pairs.map(|(first, second)| first.or(second)).collect())
        }
        (first, second) => first.or(second),
    }
}

/// Rejects rows for streams that the credential may not write to, each stream asked once.
fn reject_forbidden(streams: &Streams<'_>, arrival: &Arrival<'_>, rows: &mut Rows) {
    let mut answers: BTreeMap<StreamNumber, bool> = BTreeMap::new();
    let mut may_write = |stream: &StreamDefinition| {
        *answers
            .entry(stream.number)
            .or_insert_with(|| (arrival.may_write)(stream))
    };
    if streams.routed.is_none() && may_write(arrival.stream) {
        return;
    }
    for row in 0..rows.count() {
        let stream = streams.of(row);
        if !may_write(stream) {
            let detail = format!("the credential may not write to stream {}", stream.name);
            rows.reject(row, RejectKind::NotAllowed, detail);
        }
    }
}
