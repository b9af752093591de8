//! Deletions: records that an admin takes out for good.
//!
//! Invariants
//! - A deletion counts and hides the same records: those that match up to one position, with
//!   relative times of one moment.
//! - It is about one tenant, that to which the credential writes, and never about a sealed stream.
//! - The records are hidden from every reader before the answer. Compaction removes them later:
//!   storage keeps the query as text and asks [`Selector`] what it means.
use crate::{Engine, instances::Instances, read::Question};
use serde::{Deserialize, Serialize};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};
use taffrail_model::{
    access::Principal,
    instance::{InstanceIds, holds_instances},
    position::{PartitionKey, Position},
    stream::{StreamCatalogue, StreamNumber},
    tenant::TenantNumber,
    time::{NS_PER_DAY, TimeRange, Timestamp},
};
use taffrail_query::{Completeness, Output, ScanOutput, StreamSelection, select_removed};
use taffrail_storage::{
    deletion::{
        Deletion, DeletionError, DeletionProgress, DeletionState, NewDeletion, PurgeRules,
        RowSelector, SelectError, SelectedPartition, SelectedRows,
    },
    read::RowSource,
};

/// Which records are to be deleted.
#[derive(Clone, Debug)]
pub struct DeletionQuestion {
    /// Query text; empty: all of the streams and times. Its times without a zone are in UTC.
    pub query: String,
    /// Stream names and patterns.
    pub streams: Vec<String>,
    /// Times.
    pub range: TimeRange,
    /// Why, for the audit.
    pub reason: String,
}

/// What a deletion would hide at the moment.
#[derive(Clone, Debug)]
pub struct DeletionPreview {
    /// Whose records.
    pub tenant: TenantNumber,
    /// Of which streams.
    pub streams: Vec<StreamNumber>,
    /// How many.
    pub rows: u64,
    /// Whether some could not be counted.
    pub completeness: Completeness,
    through: Position,
    created: Timestamp,
}

/// Why a deletion was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum DeletionFault {
    /// The question is faulty.
    #[error(transparent)]
    Read(#[from] crate::read::ReadError),
    /// The credential belongs to no tenant.
    #[error("this credential belongs to no tenant")]
    NoTenant,
    /// A stream keeps what was written.
    #[error("stream {0} is sealed: nothing is deleted from it before its retention ends")]
    Sealed(Arc<str>),
    /// There is none of this number that the caller may know of.
    #[error("there is no such deletion")]
    Unknown,
    /// Too many are under way.
    #[error(transparent)]
    TooMany(DeletionError),
    /// It has ended.
    #[error(transparent)]
    Refused(DeletionError),
    /// It could not be made durable.
    #[error("the log takes nothing at the moment")]
    NotWritable(#[source] DeletionError),
}

impl From<DeletionError> for DeletionFault {
    fn from(error: DeletionError) -> DeletionFault {
        match error {
            DeletionError::Unknown(_) => DeletionFault::Unknown,
            DeletionError::TooMany => DeletionFault::TooMany(error),
            DeletionError::Ended(_) => DeletionFault::Refused(error),
            DeletionError::Log(_) => DeletionFault::NotWritable(error),
        }
    }
}

/// Who asked for a deletion, and why: what is kept with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionNote {
    /// Name of the account.
    pub requested_by: String,
    /// Why.
    pub reason: String,
}

/// Where a deletion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionStage {
    /// Its records are hidden; none is removed yet.
    Queued,
    /// Its records are being removed.
    Running,
    /// All are removed.
    Done,
    /// It was taken back.
    Cancelled,
    /// Its records are hidden and cannot be removed: this version does not understand its query.
    Failed,
}

impl DeletionStage {
    /// The name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DeletionStage::Queued => "queued",
            DeletionStage::Running => "running",
            DeletionStage::Done => "done",
            DeletionStage::Cancelled => "cancelled",
            DeletionStage::Failed => "failed",
        }
    }

    fn of(progress: &DeletionProgress) -> DeletionStage {
        let deletion = &progress.deletion;
        let has_begun =
            deletion.rows_removed > 0 || progress.sections_left < deletion.sections_total;
        match (deletion.state, has_begun) {
            (DeletionState::Done(_), _) => DeletionStage::Done,
            (DeletionState::Cancelled(_), _) => DeletionStage::Cancelled,
            (DeletionState::Active, _) if progress.failure.is_some() => DeletionStage::Failed,
            (DeletionState::Active, true) => DeletionStage::Running,
            (DeletionState::Active, false) => DeletionStage::Queued,
        }
    }
}

/// A deletion with its progress.
#[derive(Clone, Debug)]
pub struct DeletionJob {
    /// The deletion.
    pub deletion: Arc<Deletion>,
    /// Who asked for it, and why.
    pub note: DeletionNote,
    /// Where it is.
    pub stage: DeletionStage,
    /// Segment sections of which it is not known yet that they hold no record of it.
    pub sections_left: u64,
    /// Why it cannot go on.
    pub failure: Option<String>,
}

impl DeletionJob {
    fn new(progress: DeletionProgress) -> DeletionJob {
        DeletionJob {
            stage: DeletionStage::of(&progress),
            // What this version cannot read of a note is not worth refusing the rest.
            note: serde_json::from_str(&progress.deletion.note).unwrap_or_default(),
            deletion: progress.deletion,
            sections_left: progress.sections_left,
            failure: progress.failure,
        }
    }
}

impl Engine {
    /// What a deletion would hide.
    ///
    /// # Errors
    /// [`DeletionFault`].
    pub fn preview_deletion(
        &self,
        principal: &Principal,
        question: &DeletionQuestion,
    ) -> Result<DeletionPreview, DeletionFault> {
        let tenant = principal.write_tenant().ok_or(DeletionFault::NoTenant)?;
        let read = Question {
            query: question.query.clone(),
            streams: question.streams.clone(),
            range: question.range,
            ..Question::default()
        };
        let request = self
            .request(principal, &read, Output::Count)?
            .narrowed_to(tenant);
        let streams = match request.streams() {
            StreamSelection::Only(streams) => streams.clone(),
            StreamSelection::Default => Vec::new(),
        };
        let catalogue = self.catalogue();
        let mut chosen = streams
            .iter()
            .filter_map(|number| catalogue.by_number(*number));
        if let Some(sealed) = chosen.find(|stream| stream.is_sealed) {
            return Err(DeletionFault::Sealed(sealed.name.clone()));
        }
        let counted = self.run(&request, |output| match output {
            ScanOutput::Count(count) => Some(count),
            _ => None,
        })?;
        Ok(DeletionPreview {
            tenant,
            streams,
            rows: counted.value,
            completeness: counted.completeness,
            through: counted.as_of.watermark,
            created: counted.as_of.moment,
        })
    }

    /// Deletes what was previewed: it is hidden when this returns, and removed later.
    ///
    /// # Errors
    /// [`DeletionFault`].
    pub fn create_deletion(
        &self,
        principal: &Principal,
        question: DeletionQuestion,
        preview: &DeletionPreview,
    ) -> Result<DeletionJob, DeletionFault> {
        let note = DeletionNote {
            requested_by: principal.name.to_string(),
            reason: question.reason,
        };
        let made: Arc<Deletion> = self.inner.store.delete(NewDeletion {
            tenant: preview.tenant,
            streams: preview.streams.clone(),
            range: question.range,
            predicate: question.query,
            created: preview.created,
            through: preview.through,
            rows_matched: preview.rows,
            note: serde_json::to_string(&note).unwrap_or_default(),
        })?;
        self.deletion(principal, made.sequence)
            .ok_or(DeletionFault::Unknown)
    }

    /// The deletions of the tenants of a principal, by number.
    #[must_use]
    pub fn deletions(&self, principal: &Principal) -> Vec<DeletionJob> {
        let all = self.inner.store.deletions().into_iter();
        all.filter(|progress| principal.tenants.contains(&progress.deletion.tenant))
            .map(DeletionJob::new)
            .collect()
    }

    /// One of them.
    #[must_use]
    pub fn deletion(&self, principal: &Principal, number: u64) -> Option<DeletionJob> {
        let found = self.inner.store.deletion(number);
        found
            .filter(|progress| principal.tenants.contains(&progress.deletion.tenant))
            .map(DeletionJob::new)
    }

    /// Takes a deletion back: what was not removed yet is there again, and stays.
    ///
    /// # Errors
    /// [`DeletionFault`].
    pub fn cancel_deletion(
        &self,
        principal: &Principal,
        number: u64,
    ) -> Result<DeletionJob, DeletionFault> {
        if self.deletion(principal, number).is_none() {
            return Err(DeletionFault::Unknown);
        }
        self.inner.store.cancel_deletion(number)?;
        self.deletion(principal, number)
            .ok_or(DeletionFault::Unknown)
    }

    /// Numbers of the deletions in effect, and those of all that are done.
    pub(crate) fn deletions_by_state(&self) -> (Vec<u64>, Vec<Arc<Deletion>>) {
        let all = self.inner.store.deletions().into_iter();
        let all: Vec<_> = all.map(|progress| progress.deletion).collect();
        let active = all.iter().filter(|deletion| deletion.is_active());
        let active = active.map(|deletion| deletion.sequence).collect();
        let is_done = |deletion: &Arc<Deletion>| matches!(deletion.state, DeletionState::Done(_));
        (active, all.into_iter().filter(is_done).collect())
    }
}

/// Tells storage which records are to be removed for good.
pub(crate) struct Selector {
    instances: Arc<Instances>,
}

impl Selector {
    pub(crate) fn new(instances: Arc<Instances>) -> Selector {
        Selector { instances }
    }

    /// Instances whose records nobody sees any more.
    fn gone(&self, key: &PartitionKey, now: Timestamp) -> Option<Arc<InstanceIds>> {
        self.instances.gone(now).of(key.tenant).cloned()
    }
}

impl RowSelector for Selector {
    fn rules(&self, key: &PartitionKey, catalogue: &StreamCatalogue, now: Timestamp) -> PurgeRules {
        let Some(stream) = catalogue.by_number(key.stream) else {
            return PurgeRules::default();
        };
        let today = now.0.div_euclid(NS_PER_DAY);
        let mut rules = PurgeRules {
            fingerprint: 0,
            drops_debug: stream
                .debug_retention_days
                .is_some_and(|days| i64::from(key.day.0) < today - i64::from(days)),
            instances: None,
        };
        if holds_instances(stream) {
            rules.instances = self.gone(key, now);
        }
        if rules.drops_debug || rules.instances.is_some() {
            // Another version's hash differs at the worst: sections are looked at once more.
            let mut hasher = DefaultHasher::new();
            (rules.drops_debug, &rules.instances).hash(&mut hasher);
            rules.fingerprint = hasher.finish().max(1);
        }
        rules
    }

    fn select(
        &self,
        partition: SelectedPartition<'_>,
        source: &dyn RowSource,
    ) -> Result<Vec<SelectedRows>, SelectError> {
        select_removed(partition, source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_model::time::Day;

    #[tokio::test]
    async fn debug_records_have_a_rule_from_the_day_on_after_their_time() {
        let selector = Selector::new(Arc::default());
        let catalogue = StreamCatalogue::built_in();
        let rules = |stream: &str, age: i64| {
            let key = PartitionKey {
                tenant: TenantNumber(1),
                stream: catalogue.by_name(stream).unwrap().number,
                day: Day(u16::try_from(20_000 - age).unwrap()),
            };
            selector.rules(&key, &catalogue, Timestamp(20_000 * NS_PER_DAY + 5))
        };
        for (stream, age, drops_debug) in [
            ("system.application", 30, false),
            ("system.application", 31, true),
            ("app.backend", 31, false),
        ] {
            let rules = rules(stream, age);
            assert_eq!(rules.drops_debug, drops_debug, "{stream} {age}");
            assert_eq!(rules.fingerprint != 0, drops_debug);
        }
        let first = rules("system.application", 31).fingerprint;
        assert_eq!(first, rules("system.application", 60).fingerprint);
    }
}
