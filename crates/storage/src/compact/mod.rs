//! Compaction: small sections of a partition become large ones, and rows that are to go are gone.
//!
//! Invariants
//! - A merge is one edit: the sections that went into it out, the new one in. Before it is durable
//!   readers see the old ones, after it the new one; positions and ids stay.
//! - The edit is written only if every section is still listed and read, and every deletion that
//!   was applied is still in effect. Otherwise the new file is removed and nothing has happened: a
//!   deletion that was cancelled in the meantime removes nothing.
//! - A section that is damaged is named as a fault and left alone. Sections that do not fit into
//!   one are not merged again by this process.
//! - One merge at a time. It takes the lock of maintenance for a bundle's number and for the edit
//!   alone, so flushes and commits go on beside it.
//! - Memory is bounded: one unpacked column of the merged sections, their times, and the output.
//!
//! What is merged is chosen in [`choose`], how in [`merge`]. A crash at any moment leaves a file
//! that nobody lists, which the next start removes.
mod choose;
mod merge;

use crate::{
    bundle::bundle_name,
    container::ObjectId,
    deletion::{Deletion, PurgeRules, SelectError, SelectedPartition, SelectedRows},
    flush::failed,
    manifest::{BundleMeta, Cleared, Edit, SectionId, SectionMeta},
    partition::Section,
    read::{Extent, ReadError},
    segment::{BlockCache, SectionReader},
    snapshot::Fault,
    store_core::{MaintenanceError, State, StoreCore, count},
};
use choose::{Candidate, Inflow, choose};
use merge::{Input, MergeError};
use parking_lot::Mutex;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
    sync::Arc,
};
use taffrail_model::{
    files::File,
    position::PartitionKey,
    time::{NS_PER_DAY, NS_PER_S, Timestamp},
};

/// How often every partition is looked at: a day that has closed, rows whose time has come.
const FULL_PASS_S: i64 = 600;
/// How long after its last flush a partition counts as quiet: senders that pause between batches
/// are no quiet.
const QUIET_S: i64 = 120;
/// Bytes of a new file after which they are synced: the disk works them off while the next are
/// made, and a sync of the log never waits for a whole section.
const SYNC_BYTES: usize = 4 << 20;

/// What waits for compaction, and what it has found out.
#[derive(Default)]
pub(crate) struct Compaction {
    /// Held by the one merge that runs.
    running: Mutex<Memory>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Memory {
    /// Sections that do not fit into one with others.
    unmergeable: HashSet<SectionId>,
}

#[derive(Default)]
struct Queue {
    partitions: BTreeSet<PartitionKey>,
    next_full_pass: Timestamp,
    /// When partitions were last flushed, as far as they may be busy.
    flushes: HashMap<PartitionKey, Timestamp>,
    /// When the store was opened, which counts as a flush of all: nothing is known of the time
    /// before, and who has just started it asks first.
    opened: Option<Timestamp>,
    /// Deletions that are not understood, and why.
    not_understood: HashMap<u64, String>,
}

/// What one step of compaction has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionReport {
    /// Sections that were replaced.
    pub sections: usize,
    /// Rows that were rewritten.
    pub rows: u64,
    /// Rows that were removed.
    pub rows_removed: u64,
    /// Bytes that were written.
    pub bytes: u64,
    /// Sections that were found to hold nothing that is to go.
    pub cleared: usize,
    /// Deletions that are done.
    pub deletions_done: usize,
}

impl CompactionReport {
    /// Whether nothing was done because nothing was to be done.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        *self == CompactionReport::default()
    }
}

/// A partition as compaction found it.
struct Found {
    key: PartitionKey,
    sections: Vec<(SectionId, SectionMeta, Arc<SectionReader>)>,
    /// Those in a file of which less than half is still listed.
    sparse: Vec<SectionId>,
    /// In effect and about the partition.
    deletions: Vec<Arc<Deletion>>,
    /// The highest number of a deletion so far.
    last_deletion: u64,
    epoch: u16,
    rules: PurgeRules,
}

impl Found {
    fn deletions_of(&self, meta: &SectionMeta) -> Vec<Arc<Deletion>> {
        let deletions = self.deletions.iter();
        deletions
            .filter(|deletion| deletion.may_concern(&meta.extent, meta.applied))
            .cloned()
            .collect()
    }

    fn are_rules_due(&self, meta: &SectionMeta) -> bool {
        self.rules.fingerprint != 0 && self.rules.fingerprint != meta.rules
    }

    fn is_due(&self, meta: &SectionMeta) -> bool {
        self.are_rules_due(meta) || !self.deletions_of(meta).is_empty()
    }
}

/// Sections to be replaced by one.
struct Merge {
    key: PartitionKey,
    inputs: Vec<SectionId>,
    /// What was applied to them: all that is in effect, and the rules.
    applied: u64,
    rules: u64,
    deletions: Vec<Arc<Deletion>>,
    /// Rows that go by each deletion; a row that several have is counted for the first.
    removed_by: Vec<u64>,
    rows_removed: u64,
}

/// What is read of a section to be rewritten.
struct Prepared {
    input: Input,
    removed_by: HashMap<u64, u64>,
    rows_removed: u64,
}

/// Why a step of compaction did not succeed.
enum StepError {
    Merge(MergeError),
    Select(SelectError),
    Maintenance(MaintenanceError),
}

impl From<ReadError> for StepError {
    fn from(error: ReadError) -> StepError {
        StepError::Merge(MergeError::Read(error))
    }
}

impl From<MergeError> for StepError {
    fn from(error: MergeError) -> StepError {
        StepError::Merge(error)
    }
}

impl From<SelectError> for StepError {
    fn from(error: SelectError) -> StepError {
        match error {
            SelectError::Read(error) => error.into(),
            other => StepError::Select(other),
        }
    }
}

impl From<MaintenanceError> for StepError {
    fn from(error: MaintenanceError) -> StepError {
        StepError::Maintenance(error)
    }
}

impl Compaction {
    /// Has partitions looked at soon.
    pub(crate) fn call(&self, keys: impl IntoIterator<Item = PartitionKey>) {
        self.queue.lock().partitions.extend(keys);
    }

    /// Has partitions looked at soon that were flushed just now.
    pub(crate) fn call_flushed(&self, keys: &[PartitionKey], now: Timestamp) {
        let mut queue = self.queue.lock();
        queue.partitions.extend(keys);
        queue.flushes.extend(keys.iter().map(|key| (*key, now)));
    }

    /// Whether records come to a partition.
    fn inflow(&self, key: &PartitionKey, now: Timestamp) -> Inflow {
        let mut queue = self.queue.lock();
        let opened = *queue.opened.get_or_insert(now);
        let flushed = queue.flushes.get(key).copied().unwrap_or(opened);
        Inflow {
            is_busy: is_recent(flushed, now),
            is_closed: i64::from(key.day.0) < now.0.div_euclid(NS_PER_DAY),
        }
    }

    /// Has every partition looked at soon.
    pub(crate) fn call_all(&self) {
        self.queue.lock().next_full_pass = Timestamp(i64::MIN);
    }

    /// Partitions that wait.
    pub(crate) fn backlog(&self) -> usize {
        self.queue.lock().partitions.len()
    }

    /// The first of these deletions that is not understood.
    fn first_not_understood<'d>(
        &self,
        mut deletions: impl Iterator<Item = &'d Arc<Deletion>>,
    ) -> Option<u64> {
        let queue = self.queue.lock();
        let numbers = deletions.by_ref().map(|deletion| deletion.sequence);
        numbers
            .filter(|sequence| queue.not_understood.contains_key(sequence))
            .min()
    }

    /// Why a deletion cannot be applied, if it is not understood.
    pub(crate) fn not_understood(&self, sequence: u64) -> Option<String> {
        self.queue.lock().not_understood.get(&sequence).cloned()
    }
}

impl StoreCore {
    /// Does one step of compaction: flushes tails that hold rows under a deletion, then merges or
    /// clears sections of one partition, or ends deletions that are applied everywhere. The report
    /// is idle if nothing is to be done. `may_go_on` is asked now and then; once it says no, the
    /// step is given up.
    ///
    /// # Errors
    /// [`MaintenanceError`]; nothing has changed.
    pub fn compact(
        &self,
        may_go_on: &dyn Fn() -> bool,
    ) -> Result<CompactionReport, MaintenanceError> {
        let mut memory = self.compaction.running.lock();
        self.flush_deleted_tails()?;
        self.queue_all_if_due();
        loop {
            let next = self.compaction.queue.lock().partitions.pop_first();
            let Some(key) = next else {
                return self.end_deletions();
            };
            if !may_go_on() {
                self.compaction.call([key]);
                return Ok(CompactionReport::default());
            }
            match self.compact_partition(key, &mut memory, may_go_on) {
                Ok(report) if report.is_idle() => {}
                Ok(report) => {
                    // There may be more.
                    self.compaction.call([key]);
                    self.count_compaction(&report);
                    return Ok(report);
                }
                Err(error) => {
                    self.take_failure(key, error)?;
                    if !may_go_on() {
                        return Ok(CompactionReport::default());
                    }
                }
            }
        }
    }

    fn count_compaction(&self, report: &CompactionReport) {
        count(&self.counters.compactions, u64::from(report.sections > 0));
        count(&self.counters.compaction_rows, report.rows);
        count(&self.counters.compaction_bytes, report.bytes);
        count(&self.counters.compaction_rows_removed, report.rows_removed);
    }

    /// What a failure means for what is done next: it is an error if the disk cannot be written.
    fn take_failure(&self, key: PartitionKey, error: StepError) -> Result<(), MaintenanceError> {
        match error {
            StepError::Merge(MergeError::Stopped) => self.compaction.call([key]),
            StepError::Merge(MergeError::Read(error)) => {
                count(&self.counters.compaction_failures, 1);
                // What is damaged is named and not read again; what may pass is tried again when
                // all partitions are looked at.
                self.report_fault(Fault::of_read(key, &error));
                if !matches!(error, ReadError::Io { .. }) {
                    self.compaction.call([key]);
                }
            }
            StepError::Merge(_) => count(&self.counters.compaction_failures, 1),
            StepError::Select(SelectError::Predicate { sequence, detail }) => {
                count(&self.counters.compaction_failures, 1);
                let mut queue = self.compaction.queue.lock();
                queue.not_understood.insert(sequence, detail);
                // Without it the rest of what is due there can be done.
                queue.partitions.insert(key);
            }
            StepError::Select(SelectError::Read(_)) => {}
            StepError::Maintenance(error) => {
                count(&self.counters.compaction_failures, 1);
                self.compaction.call([key]);
                return Err(error);
            }
        }
        Ok(())
    }

    fn queue_all_if_due(&self) {
        let now = self.clock.now();
        let mut queue = self.compaction.queue.lock();
        if now < queue.next_full_pass {
            return;
        }
        queue.next_full_pass = Timestamp(now.0.saturating_add(FULL_PASS_S * NS_PER_S));
        queue.flushes.retain(|_, flushed| is_recent(*flushed, now));
        drop(queue);
        let keys: Vec<_> = self.state.lock().partitions.keys().copied().collect();
        self.compaction.call(keys);
    }

    fn compact_partition(
        &self,
        key: PartitionKey,
        memory: &mut Memory,
        may_go_on: &dyn Fn() -> bool,
    ) -> Result<CompactionReport, StepError> {
        let Some(found) = self.find(key) else {
            return Ok(CompactionReport::default());
        };
        let mergeable = found.sections.iter();
        let candidates = mergeable
            .filter(|(id, ..)| !memory.unmergeable.contains(id))
            .map(|(id, meta, _)| Candidate {
                rows: meta.extent.rows,
                bytes: meta.bytes,
                id: *id,
            });
        let inflow = self.compaction.inflow(&key, self.clock.now());
        let mut chosen = choose(candidates.collect(), inflow);
        if chosen.is_empty() && inflow.is_closed {
            // What is left of a file goes to one of its own, so that the rest of it is freed.
            let mut sparse = found.sparse.iter().copied();
            chosen.extend(sparse.find(|id| !memory.unmergeable.contains(id)));
        }
        if !chosen.is_empty() {
            let merged = self.merge_sections(&found, &chosen, may_go_on);
            let does_not_fit = match &merged {
                Err(StepError::Merge(error)) => {
                    matches!(
                        error,
                        MergeError::Encode(_) | MergeError::ColumnTooLarge { .. }
                    )
                }
                _ => false,
            };
            if !does_not_fit {
                return merged;
            }
            count(&self.counters.compaction_failures, 1);
            memory.unmergeable.extend(chosen);
        }
        self.clear_sections(&found, may_go_on)
    }

    /// The partition as it is now; `None` if there is nothing to do with it.
    fn find(&self, key: PartitionKey) -> Option<Found> {
        let rules = self
            .options
            .selector
            .rules(&key, &self.catalogue.load(), self.clock.now());
        let state = self.state.lock();
        let sections = state.partitions.get(&key)?.sections();
        if sections.is_empty() {
            return None;
        }
        let read = sections.iter().filter(|section| !section.is_excluded);
        let is_sparse = |id: &SectionId| {
            state.manifest.bundles.get(&id.0).is_some_and(|bundle| {
                let listed = bundle.sections.iter().map(|section| section.bytes);
                listed.sum::<u64>() * 2 < bundle.bytes
            })
        };
        let in_effect = || {
            let all = state.deletions.iter();
            all.filter(|deletion| deletion.concerns_partition(&key))
        };
        // What is applied is said by one number, so those after one that cannot be wait for it.
        let not_understood = self.compaction.first_not_understood(in_effect());
        let last_deletion = not_understood.map_or(state.manifest.last_deletion, |first| first - 1);
        Some(Found {
            key,
            sections: read
                .clone()
                .map(|section| (section.id(), section.meta, section.reader.clone()))
                .collect(),
            sparse: read
                .map(|section| section.id())
                .filter(|id| is_sparse(id))
                .collect(),
            deletions: in_effect()
                .filter(|deletion| deletion.sequence <= last_deletion)
                .cloned()
                .collect(),
            last_deletion,
            epoch: state.manifest.epoch,
            rules,
        })
    }

    /// Reads what decides which rows of a section go.
    fn prepare_section(
        &self,
        found: &Found,
        meta: &SectionMeta,
        reader: &SectionReader,
        cache: &Arc<BlockCache>,
    ) -> Result<Prepared, StepError> {
        let reader = reader.with_cache(cache.clone());
        let deletions = found.deletions_of(meta);
        let are_rules_due = found.are_rules_due(meta);
        if deletions.is_empty() && !are_rules_due {
            return Ok(Prepared {
                input: Input::new(reader, None)?,
                removed_by: HashMap::new(),
                rows_removed: 0,
            });
        }
        let no_rules = PurgeRules::default();
        let partition = SelectedPartition {
            key: found.key,
            catalogue: &self.catalogue.load_full(),
            node: self.options.node,
            epoch: found.epoch,
            rules: if are_rules_due {
                &found.rules
            } else {
                &no_rules
            },
            deletions: &deletions,
        };
        let selected = self.options.selector.select(partition, &reader)?;
        let removed = removed_by(&selected, &deletions);
        let input = Input::new(reader, Some(&selected))?;
        let rows_removed = u64::from(meta.extent.rows).saturating_sub(input.rows());
        Ok(Prepared {
            input,
            removed_by: removed,
            rows_removed,
        })
    }

    /// Replaces some sections of a partition by one of the rows that stay.
    fn merge_sections(
        &self,
        found: &Found,
        chosen: &[SectionId],
        may_go_on: &dyn Fn() -> bool,
    ) -> Result<CompactionReport, StepError> {
        let cache = merge::cache();
        let mut prepared = Vec::with_capacity(chosen.len());
        for (id, meta, reader) in &found.sections {
            if chosen.contains(id) {
                if !may_go_on() {
                    return Err(MergeError::Stopped.into());
                }
                prepared.push(self.prepare_section(found, meta, reader, &cache)?);
            }
        }
        self.replace(found, chosen, prepared, may_go_on)
    }

    /// Goes through sections that may hold rows that are to go: those that hold none are noted as
    /// such, the first that does is rewritten.
    fn clear_sections(
        &self,
        found: &Found,
        may_go_on: &dyn Fn() -> bool,
    ) -> Result<CompactionReport, StepError> {
        let mut cleared = Vec::new();
        let mut rewritten = None;
        for (id, meta, reader) in found
            .sections
            .iter()
            .filter(|(_, meta, _)| found.is_due(meta))
        {
            if !may_go_on() {
                break;
            }
            let prepared = self.prepare_section(found, meta, reader, &merge::cache());
            match prepared {
                Ok(prepared) if prepared.rows_removed == 0 => cleared.push(Cleared {
                    section: *id,
                    applied: found.last_deletion,
                    rules: found.rules.fingerprint,
                }),
                other => {
                    rewritten = Some((*id, other));
                    break;
                }
            }
        }
        let count = cleared.len();
        self.commit_cleared(found, cleared)?;
        let mut report = match rewritten {
            Some((id, prepared)) => self.replace(found, &[id], vec![prepared?], may_go_on)?,
            None => CompactionReport::default(),
        };
        report.cleared = count;
        Ok(report)
    }

    fn commit_cleared(&self, found: &Found, cleared: Vec<Cleared>) -> Result<(), StepError> {
        if cleared.is_empty() {
            return Ok(());
        }
        let edit = Edit {
            cleared: cleared.clone(),
            ..Edit::default()
        };
        self.commit_edit(edit, |_, state| {
            if let Some(partition) = state.partitions.get_mut(&found.key) {
                for one in &cleared {
                    partition.clear(one);
                }
            }
            Vec::new()
        })?;
        Ok(())
    }

    fn replace(
        &self,
        found: &Found,
        chosen: &[SectionId],
        prepared: Vec<Prepared>,
        may_go_on: &dyn Fn() -> bool,
    ) -> Result<CompactionReport, StepError> {
        let mut merge = Merge {
            key: found.key,
            inputs: chosen.to_vec(),
            applied: found.last_deletion,
            rules: found.rules.fingerprint,
            deletions: found.deletions.clone(),
            removed_by: vec![0; found.deletions.len()],
            rows_removed: 0,
        };
        let mut inputs = Vec::with_capacity(prepared.len());
        for one in prepared {
            merge.rows_removed += one.rows_removed;
            for (removed, deletion) in merge.removed_by.iter_mut().zip(&merge.deletions) {
                *removed += one.removed_by.get(&deletion.sequence).copied().unwrap_or(0);
            }
            inputs.push(one.input);
        }
        let section = merge::merge(&inputs, may_go_on)?;
        drop(inputs);
        let rows = section
            .as_ref()
            .map_or(0, |(extent, _)| u64::from(extent.rows));
        let bundle = match section {
            Some((extent, plain)) => Some(self.write_merged(&merge, extent, plain)?),
            None => None,
        };
        let bytes = bundle.as_ref().map_or(0, |bundle| bundle.bytes);
        match self.commit_merge(&merge, bundle)? {
            true => Ok(CompactionReport {
                sections: chosen.len(),
                rows,
                rows_removed: merge.rows_removed,
                bytes,
                ..CompactionReport::default()
            }),
            false => {
                // Something has changed meanwhile: the partition is looked at as it is now.
                self.compaction.call([found.key]);
                Ok(CompactionReport::default())
            }
        }
    }

    /// Writes a bundle of one section and makes it durable under its name.
    fn write_merged(
        &self,
        merge: &Merge,
        extent: Extent,
        plain: Vec<u8>,
    ) -> Result<BundleMeta, MaintenanceError> {
        let number = {
            let mut maintenance = self.maintenance.lock();
            let number = maintenance.take_bundle_number();
            self.make_fan_out(&mut maintenance, number)
                .map_err(failed("make a directory for segments"))?;
            number
        };
        let path = self.options.directory.join(bundle_name(number));
        let temporary = path.with_extension("compacted.new");
        let written = self.write_merged_file(merge, number, &temporary, extent, plain);
        let written = written.and_then(|bundle| {
            self.name_bundle(&temporary, &path)?;
            Ok(bundle)
        });
        written.inspect_err(|_| {
            // The fault that is reported is the first one; leftovers are removed at the start.
            let _ = self.files.remove(&temporary);
            let _ = self.files.remove(&path);
        })
    }

    fn write_merged_file(
        &self,
        merge: &Merge,
        number: u64,
        temporary: &std::path::Path,
        extent: Extent,
        plain: Vec<u8>,
    ) -> Result<BundleMeta, MaintenanceError> {
        let file = self
            .files
            .create(temporary)
            .map_err(failed("create a segment file"))?;
        let mut object = ObjectId([0; 16]);
        (self.options.entropy)(&mut object.0);
        let mut bundle = BundleMeta {
            number,
            object,
            bytes: 0,
            sections: Vec::new(),
        };
        let paced = Paced(file);
        self.write_section(&paced, &mut bundle, merge.key, extent, plain)?;
        paced.0.sync().map_err(failed("sync a segment file"))?;
        for section in &mut bundle.sections {
            (section.applied, section.rules) = (merge.applied, merge.rules);
        }
        Ok(bundle)
    }

    /// Lists the new bundle instead of what went into it, if that is still right; whether it was.
    fn commit_merge(
        &self,
        merge: &Merge,
        bundle: Option<BundleMeta>,
    ) -> Result<bool, MaintenanceError> {
        let mut maintenance = self.maintenance.lock();
        let committed = self.commit_edit_by(
            |state| merge.edit(state, bundle.as_ref()),
            |core, state| {
                core.swap_merged(state, merge, bundle.as_ref());
                vec![merge.key]
            },
        );
        let number = bundle.as_ref().map(|bundle| bundle.number);
        match (&committed, number) {
            (Ok(true), _) => self.remove_orphans(&mut maintenance),
            (Ok(false), Some(number)) => {
                // No edit ever listed it; what cannot be removed goes at the next start.
                let _ = self
                    .files
                    .remove(&self.options.directory.join(bundle_name(number)));
            }
            (Err(_), Some(number)) => maintenance.orphans.push(number),
            (_, None) => {}
        }
        committed
    }

    fn swap_merged(&self, state: &mut State, merge: &Merge, bundle: Option<&BundleMeta>) {
        if let Some(partition) = state.partitions.get_mut(&merge.key) {
            partition.retain_sections(|section| !merge.inputs.contains(&section.id()));
        }
        for (number, _) in &merge.inputs {
            if !state.manifest.bundles.contains_key(number)
                && let Some(bundle) = state.bundles.remove(number)
            {
                bundle.make_obsolete();
            }
        }
        if let Some(bundle) = bundle {
            self.serve_bundle(state, bundle, bundle.bytes);
        }
    }
}

impl Merge {
    /// The edit that swaps, unless something has changed since the sections were read.
    fn edit(&self, state: &State, bundle: Option<&BundleMeta>) -> Option<Edit> {
        let sections = state.partitions.get(&self.key)?.sections();
        let is_read = |id: &SectionId| {
            let is_it = |section: &&Section| section.id() == *id && !section.is_excluded;
            sections.iter().any(|section| is_it(&section))
        };
        if !self.inputs.iter().all(is_read) {
            return None;
        }
        let mut edit = Edit {
            remove: self.inputs.clone(),
            add: bundle.into_iter().cloned().collect(),
            ..Edit::default()
        };
        for (deletion, removed) in self.deletions.iter().zip(&self.removed_by) {
            let mut now = Deletion::clone(state.manifest.deletions.get(&deletion.sequence)?);
            if !now.is_active() {
                return None;
            }
            if *removed > 0 {
                now.rows_removed += removed;
                edit.deletions.push(now);
            }
        }
        Some(edit)
    }
}

/// Whether a flush is so recent that more may follow; a clock that was set back does not count.
fn is_recent(flushed: Timestamp, now: Timestamp) -> bool {
    now.0.abs_diff(flushed.0) < QUIET_S.unsigned_abs() * NS_PER_S.unsigned_abs()
}

/// How many rows go by each deletion, by number; a row that several have counts for the first.
fn removed_by(selected: &[SelectedRows], deletions: &[Arc<Deletion>]) -> HashMap<u64, u64> {
    let mut removed = HashMap::new();
    for block in selected {
        let mut seen = block.by_rules.clone();
        for (deletion, rows) in deletions.iter().zip(&block.by_deletion) {
            seen.resize(seen.len().max(rows.len()), 0);
            let mut new = 0;
            for (have, word) in seen.iter_mut().zip(rows) {
                new += u64::from((word & !*have).count_ones());
                *have |= word;
            }
            *removed.entry(deletion.sequence).or_default() += new;
        }
    }
    removed
}

/// A file whose bytes are made durable as they come, a few at a time.
struct Paced(Arc<dyn File>);

impl File for Paced {
    fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        let offset = self.0.len()?;
        let mut pieces = bytes.chunks(SYNC_BYTES).peekable();
        while let Some(piece) = pieces.next() {
            self.0.append(piece)?;
            if pieces.peek().is_some() {
                self.0.sync()?;
            }
        }
        Ok(offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buffer)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}

#[cfg(test)]
mod tests;
