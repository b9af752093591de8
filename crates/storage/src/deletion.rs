//! Deletions: rows that are hidden from every reader at once, and removed by compaction.
//!
//! Invariants
//! - A deletion is an edit of the manifest: it is in effect, for all readers together, from the
//!   moment on at which the edit is durable, in every source that does not say that it was applied
//!   there.
//! - It concerns rows of its tenant, its streams and its times, at positions up to `through`, and
//!   no others, whatever its predicate says.
//! - It stays in effect until no section and no tail can hold a row that it concerns; then it is
//!   done, and costs readers nothing.
//! - A number is never given twice, so "applied up to" is one number for a section.
//!
//! Storage does not know the search language. The predicate is text; what it means is said by
//! whoever implements [`RowSelector`].
use crate::{
    compact::CompactionReport,
    manifest::{Edit, Manifest},
    read::{Extent, ReadError, RowSource},
    store_core::{MaintenanceError, State, StoreCore},
};
use std::{collections::BTreeSet, sync::Arc};
use taffrail_model::{
    instance::InstanceIds,
    position::{PartitionKey, Position},
    stream::{StreamCatalogue, StreamNumber},
    tenant::TenantNumber,
    time::{TimeRange, Timestamp},
};

/// Deletions in effect at once: each is a test more for every read of its streams.
pub const DELETIONS_ACTIVE_MAX: usize = 64;
/// Deletions of one tenant in effect at once: a tenant leaves room for others.
pub const DELETIONS_ACTIVE_PER_TENANT_MAX: usize = 16;
/// Deletions that have ended and are remembered; the oldest goes first. What happened longer ago
/// is in the audit records.
pub const DELETIONS_ENDED_MAX: usize = 1_000;

/// Rows that are to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Number, ascending from 1, never used twice.
    pub sequence: u64,
    /// Whose rows.
    pub tenant: TenantNumber,
    /// Of which streams.
    pub streams: Vec<StreamNumber>,
    /// Of which times.
    pub range: TimeRange,
    /// Which of them: text that a [`RowSelector`] understands.
    pub predicate: String,
    /// When it was made; what relative times in the predicate are relative to.
    pub created: Timestamp,
    /// Rows above this position are not concerned.
    pub through: Position,
    /// Whether it is in effect.
    pub state: DeletionState,
    /// Rows that matched when it was made.
    pub rows_matched: u64,
    /// Rows that compaction has removed for it so far.
    pub rows_removed: u64,
    /// Sections and tails that could hold such rows when it was made.
    pub sections_total: u64,
    /// What its maker keeps with it.
    pub note: String,
}

/// Whether a deletion is in effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionState {
    /// Its rows are hidden, or removed already.
    Active,
    /// All of its rows were removed by then.
    Done(Timestamp),
    /// It was taken back then: what was not removed yet is visible.
    Cancelled(Timestamp),
}

/// What a new deletion is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDeletion {
    /// Whose rows.
    pub tenant: TenantNumber,
    /// Of which streams.
    pub streams: Vec<StreamNumber>,
    /// Of which times.
    pub range: TimeRange,
    /// Which of them.
    pub predicate: String,
    /// What relative times in the predicate are relative to.
    pub created: Timestamp,
    /// Rows above this position are not concerned.
    pub through: Position,
    /// Rows that match.
    pub rows_matched: u64,
    /// What its maker keeps with it.
    pub note: String,
}

/// Why a deletion could not be made or cancelled.
#[derive(Debug, thiserror::Error)]
pub enum DeletionError {
    /// Past [`DELETIONS_ACTIVE_PER_TENANT_MAX`] or [`DELETIONS_ACTIVE_MAX`].
    #[error(
        "{DELETIONS_ACTIVE_PER_TENANT_MAX} deletions of a tenant, or {DELETIONS_ACTIVE_MAX} in all, \
         are under way: wait until one is done"
    )]
    TooMany,
    /// There is none of this number.
    #[error("there is no deletion {0}")]
    Unknown(u64),
    /// It has ended.
    #[error("deletion {0} has ended")]
    Ended(u64),
    /// The edit could not be made durable.
    #[error("cannot log the deletion")]
    Log(#[source] MaintenanceError),
}

impl Deletion {
    pub(crate) fn new(sequence: u64, new: NewDeletion, sections_total: u64) -> Deletion {
        Deletion {
            sequence,
            tenant: new.tenant,
            streams: new.streams,
            range: new.range,
            predicate: new.predicate,
            created: new.created,
            through: new.through,
            state: DeletionState::Active,
            rows_matched: new.rows_matched,
            rows_removed: 0,
            sections_total,
            note: new.note,
        }
    }

    /// Whether it is in effect.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state == DeletionState::Active
    }

    /// When it ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<Timestamp> {
        match self.state {
            DeletionState::Active => None,
            DeletionState::Done(ended) | DeletionState::Cancelled(ended) => Some(ended),
        }
    }

    /// Whether it is about rows of this partition.
    #[must_use]
    pub fn concerns_partition(&self, key: &PartitionKey) -> bool {
        self.tenant == key.tenant
            && self.streams.contains(&key.stream)
            && self.range.overlaps(key.day.start(), key.day.end())
    }

    /// Whether a source of a partition that it concerns may hold rows of it, by the source's
    /// extent and the number of the last deletion that was applied there.
    #[must_use]
    pub fn may_concern(&self, extent: &Extent, applied: u64) -> bool {
        self.sequence > applied
            && extent.position_min <= self.through
            && self.range.overlaps(extent.time_min, extent.time_max)
    }
}

/// Rows of a partition that are to go for good whoever asks: what readers do not see by the row
/// policy or by age.
#[derive(Clone, Debug, Default)]
pub struct PurgeRules {
    /// Names these rules: other rules have another number. 0: there is nothing to remove.
    pub fingerprint: u64,
    /// Whether debug and trace records go.
    pub drops_debug: bool,
    /// Instances whose records go.
    pub instances: Option<Arc<InstanceIds>>,
}

/// Why it could not be said which rows are to go.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// The rows cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The predicate of a deletion is not understood.
    #[error("deletion {sequence} is not understood: {detail}")]
    Predicate {
        /// Which.
        sequence: u64,
        /// Why.
        detail: String,
    },
}

/// The rows of a block that are to go: a bit for each row, the lowest of a word first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectedRows {
    /// By the rules.
    pub by_rules: Vec<u64>,
    /// By each deletion, in the order in which they were given. A row may be in several.
    pub by_deletion: Vec<Vec<u64>>,
}

/// Says which rows compaction removes: what storage does not know itself.
pub trait RowSelector: Send + Sync {
    /// The rules of a partition at this moment.
    fn rules(&self, key: &PartitionKey, catalogue: &StreamCatalogue, now: Timestamp) -> PurgeRules;
    /// The rows of each block of a source that go by these rules and deletions, all of which
    /// concern the partition.
    ///
    /// # Errors
    /// [`SelectError`].
    fn select(
        &self,
        partition: SelectedPartition<'_>,
        source: &dyn RowSource,
    ) -> Result<Vec<SelectedRows>, SelectError>;
}

/// What goes by from a partition, and what is known of it.
#[derive(Clone, Copy)]
pub struct SelectedPartition<'a> {
    /// Which.
    pub key: PartitionKey,
    /// All streams.
    pub catalogue: &'a Arc<StreamCatalogue>,
    /// Number of this node in record ids.
    pub node: u16,
    /// Epoch in record ids.
    pub epoch: u16,
    /// Rules that were not applied to the source yet.
    pub rules: &'a PurgeRules,
    /// Deletions that may concern the source and were not applied to it yet.
    pub deletions: &'a [Arc<Deletion>],
}

/// Removes nothing, and understands no deletion.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeepAll;

impl RowSelector for KeepAll {
    fn rules(&self, _: &PartitionKey, _: &StreamCatalogue, _: Timestamp) -> PurgeRules {
        PurgeRules::default()
    }

    fn select(
        &self,
        partition: SelectedPartition<'_>,
        source: &dyn RowSource,
    ) -> Result<Vec<SelectedRows>, SelectError> {
        match partition.deletions.first() {
            Some(deletion) => Err(SelectError::Predicate {
                sequence: deletion.sequence,
                detail: "this store was opened without a search language".into(),
            }),
            None => Ok(vec![SelectedRows::default(); source.blocks()?.len()]),
        }
    }
}

/// How far a deletion is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletionProgress {
    /// The deletion.
    pub deletion: Arc<Deletion>,
    /// Sections and tails of which it is not known yet that they hold no row of it.
    pub sections_left: u64,
    /// Why it cannot be applied, if its predicate is not understood.
    pub failure: Option<String>,
}

impl StoreCore {
    /// Takes rows out of every later read, and has them removed.
    ///
    /// # Errors
    /// [`DeletionError`]; nothing is hidden then.
    pub fn delete(&self, new: NewDeletion) -> Result<Arc<Deletion>, DeletionError> {
        let mut made = None;
        let committed = self.commit_edit_by(
            |state| {
                let of_tenant = state.deletions.iter();
                let of_tenant = of_tenant.filter(|deletion| deletion.tenant == new.tenant);
                if state.deletions.len() >= DELETIONS_ACTIVE_MAX
                    || of_tenant.count() >= DELETIONS_ACTIVE_PER_TENANT_MAX
                {
                    return None;
                }
                let sequence = state.manifest.last_deletion + 1;
                let mut deletion = Deletion::new(sequence, new, 0);
                deletion.sections_total = sections_left(&state.manifest, &deletion)
                    + tails_left(state, &deletion).count() as u64;
                made = Some(Arc::new(deletion.clone()));
                Some(Edit {
                    deletions: vec![deletion],
                    ..Edit::default()
                })
            },
            |_, _| Vec::new(),
        );
        match (committed.map_err(DeletionError::Log)?, made) {
            (true, Some(deletion)) => {
                self.compaction.call_all();
                Ok(deletion)
            }
            _ => Err(DeletionError::TooMany),
        }
    }

    /// Takes a deletion back: rows that were not removed yet are visible again, and stay.
    ///
    /// # Errors
    /// [`DeletionError`].
    pub fn cancel_deletion(&self, sequence: u64) -> Result<Arc<Deletion>, DeletionError> {
        let now = self.clock.now();
        let mut outcome = Err(DeletionError::Unknown(sequence));
        let committed = self.commit_edit_by(
            |state| {
                let known = state.manifest.deletions.get(&sequence)?;
                if !known.is_active() {
                    outcome = Err(DeletionError::Ended(sequence));
                    return None;
                }
                let mut cancelled = Deletion::clone(known);
                cancelled.state = DeletionState::Cancelled(now);
                outcome = Ok(Arc::new(cancelled.clone()));
                Some(Edit {
                    deletions: vec![cancelled],
                    ..Edit::default()
                })
            },
            |_, _| Vec::new(),
        );
        committed.map_err(DeletionError::Log)?;
        if self.compaction.not_understood(sequence).is_some() {
            // Others waited for it.
            self.compaction.call_all();
        }
        outcome
    }

    /// The deletions in effect and the latest that have ended, by number.
    #[must_use]
    pub fn deletions(&self) -> Vec<DeletionProgress> {
        let manifest = self.state.lock().manifest.clone();
        let all = manifest.deletions.values();
        all.map(|deletion| self.progress(&manifest, deletion))
            .collect()
    }

    /// One of them.
    #[must_use]
    pub fn deletion(&self, sequence: u64) -> Option<DeletionProgress> {
        let manifest = self.state.lock().manifest.clone();
        let deletion = manifest.deletions.get(&sequence)?;
        Some(self.progress(&manifest, deletion))
    }

    fn progress(&self, manifest: &Manifest, deletion: &Arc<Deletion>) -> DeletionProgress {
        let sections_left = match deletion.is_active() {
            true => {
                let tails = tails_left(&self.state.lock(), deletion).count() as u64;
                sections_left(manifest, deletion) + tails
            }
            false => 0,
        };
        DeletionProgress {
            deletion: deletion.clone(),
            sections_left,
            failure: self.compaction.not_understood(deletion.sequence),
        }
    }

    /// Flushes the tails that may hold rows under a deletion: compaction works on sections.
    pub(crate) fn flush_deleted_tails(&self) -> Result<(), MaintenanceError> {
        let due: BTreeSet<PartitionKey> = {
            let state = self.state.lock();
            let deletions = state.deletions.iter();
            deletions
                .flat_map(|deletion| tails_left(&state, deletion))
                .filter(|key| !state.unencodable.contains_key(key))
                .collect()
        };
        match due.is_empty() {
            true => Ok(()),
            false => self.flush_partitions(due).map(|_| ()),
        }
    }

    /// Ends the deletions that are applied everywhere.
    pub(crate) fn end_deletions(&self) -> Result<CompactionReport, MaintenanceError> {
        let mut report = CompactionReport::default();
        // Most are not applied everywhere; that is found out without holding commits up.
        let (manifest, deletions) = {
            let state = self.state.lock();
            (state.manifest.clone(), state.deletions.clone())
        };
        let is_applied = |deletion: &&Arc<Deletion>| sections_left(&manifest, deletion) == 0;
        let applied: Vec<u64> = deletions
            .iter()
            .filter(is_applied)
            .map(|deletion| deletion.sequence)
            .collect();
        if applied.is_empty() {
            return Ok(report);
        }
        let now = self.clock.now();
        let mut ended = 0;
        self.commit_edit_by(
            |state| {
                let applied = state.deletions.iter().filter(|deletion| {
                    applied.contains(&deletion.sequence)
                        && sections_left(&state.manifest, deletion) == 0
                        && tails_left(state, deletion).next().is_none()
                });
                let done: Vec<Deletion> = applied
                    .map(|deletion| Deletion {
                        state: DeletionState::Done(now),
                        ..Deletion::clone(deletion)
                    })
                    .collect();
                ended = done.len();
                (ended > 0).then(|| Edit {
                    deletions: done,
                    ..Edit::default()
                })
            },
            |_, _| Vec::new(),
        )?;
        report.deletions_done = ended;
        Ok(report)
    }
}

/// Sections that may hold rows of a deletion, those that cannot be read too: what is repaired must
/// not show what was deleted.
fn sections_left(manifest: &Manifest, deletion: &Deletion) -> u64 {
    let sections = manifest.sections().map(|(_, section)| section);
    let left = sections.filter(|section| {
        deletion.concerns_partition(&section.key)
            && deletion.may_concern(&section.extent, section.applied)
    });
    left.count() as u64
}

/// Partitions whose tail may hold rows of a deletion.
fn tails_left<'a>(
    state: &'a State,
    deletion: &'a Deletion,
) -> impl Iterator<Item = PartitionKey> + 'a {
    let unflushed = state.unflushed.iter().copied();
    unflushed.filter(|key| {
        let chunks = state.partitions.get(key).into_iter();
        deletion.concerns_partition(key)
            && chunks
                .flat_map(|partition| partition.chunks())
                .any(|chunk| deletion.may_concern(&RowSource::extent(&**chunk), 0))
    })
}
