//! The stages in order.
use crate::{
    clean::{BatchCounts, CleanBatch},
    config::{ConfigError, LineOptions, PipelineConfig, Side},
    parse::{alias, time::TimeReader},
};
use taffrail_model::{
    batch::RawBatch,
    field,
    stream::{StreamCatalogue, StreamDefinition},
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

/// All stages with their configuration; shared by all requests.
pub struct Pipeline {
    config: PipelineConfig,
}

impl Pipeline {
    /// A pipeline of this configuration.
    ///
    /// # Errors
    /// [`ConfigError`] names the rule that is wrong.
    pub fn new(config: PipelineConfig) -> Result<Pipeline, ConfigError> {
        Ok(Pipeline { config })
    }

    /// Takes a batch through every stage.
    #[must_use]
    pub fn process(&self, raw: RawBatch, arrival: &Arrival<'_>) -> CleanBatch {
        self.process_lines(raw, arrival, &self.config.lines)
    }

    /// As [`Pipeline::process`], with the lines read as `options` say.
    #[must_use]
    pub fn process_lines(
        &self,
        raw: RawBatch,
        arrival: &Arrival<'_>,
        _options: &LineOptions,
    ) -> CleanBatch {
        let mut columns = raw.columns;
        alias::resolve(&mut columns, self.config.side == Side::Server);
        let mut reader = TimeReader::default();
        let _times: Vec<_> = columns
            .remove(field::TIMESTAMP)
            .unwrap_or_default()
            .iter()
            .map(|(_, value)| reader.read(value))
            .collect();
        CleanBatch::new(
            arrival.tenant,
            Vec::new(),
            raw.rejects,
            BatchCounts::default(),
        )
    }
}
