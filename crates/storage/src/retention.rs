//! Retention: whole days of a stream leave when they are older than its definition keeps.
//!
//! A partition goes with one edit: its sections are no longer listed and its rows in the log are
//! passed over at the next start. The files go when nothing reads them any more, a bundle when
//! its last section has gone.
use crate::{
    manifest::Edit,
    partition::Partition,
    store_core::{MaintenanceError, State, StoreCore},
};
use std::collections::HashSet;
use taffrail_model::{position::PartitionKey, time::NS_PER_DAY};

/// What retention removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// The partitions.
    pub partitions: Vec<PartitionKey>,
    /// Their rows.
    pub rows: u64,
}

impl StoreCore {
    /// Drops the days that their streams keep no longer. A stream that the catalogue does not
    /// know keeps everything.
    ///
    /// # Errors
    /// [`MaintenanceError`]; nothing was dropped.
    pub fn retain(&self) -> Result<RetentionReport, MaintenanceError> {
        let _maintenance = self.maintenance.lock();
        self.forget_dropped_days();
        let today = self.clock.now().0.div_euclid(NS_PER_DAY);
        let catalogue = self.catalogue.load_full();
        let is_expired = |key: &PartitionKey| {
            let stream = catalogue.by_number(key.stream);
            let oldest = stream.and_then(|stream| stream.oldest_day_kept(today));
            oldest.is_some_and(|oldest| i64::from(key.day.0) < oldest)
        };
        let expired = {
            let state = self.state.lock();
            let listed = state.manifest.sections().map(|(_, section)| section.key);
            let held = state.partitions.keys().copied();
            let all: HashSet<_> = listed.chain(held).collect();
            let mut expired: Vec<_> = all.into_iter().filter(is_expired).collect();
            expired.sort_unstable();
            expired
        };
        if expired.is_empty() {
            return Ok(RetentionReport::default());
        }
        let edit = self.drop_edit(&expired);
        let mut rows = 0;
        self.commit_edit(edit, |core, state| {
            for key in &expired {
                rows += core.drop_partition(state, key);
            }
            core.drop_bundles(state);
            // What was unreadable of a day that is gone is missed by nobody.
            let is_kept = |key: PartitionKey| !expired.contains(&key);
            state
                .faults
                .retain(|fault| fault.partition.is_none_or(is_kept));
            expired.clone()
        })?;
        Ok(RetentionReport {
            partitions: expired,
            rows,
        })
    }

    fn forget_dropped_days(&self) {
        let log = self.log.lock();
        if log.wal.is_removal_doubtful() {
            return;
        }
        let mut state = self.state.lock();
        state.forget_flushed_partitions(|key| {
            let mut files = log.wal.live().iter();
            files.any(|file| file.pins.contains_key(key))
        });
    }

    /// The edit that drops partitions, with the tail of each as it is now. Rows that come in
    /// between stay until the next time.
    fn drop_edit(&self, expired: &[PartitionKey]) -> Edit {
        let mut state = self.state.lock();
        let keys: HashSet<_> = expired.iter().collect();
        let removed = state.manifest.sections();
        let removed = removed.filter(|(_, section)| keys.contains(&section.key));
        let mut edit = Edit {
            remove: removed
                .map(|(bundle, section)| (bundle.number, section.index))
                .collect(),
            ..Edit::default()
        };
        for key in expired {
            let known = state.manifest.flushed_through(key);
            let tail = state.partitions.get_mut(key).and_then(|partition| {
                partition.freeze();
                partition.last_unflushed()
            });
            let through = known.max(tail.unwrap_or_default());
            edit.flushed_through.push((*key, through));
        }
        edit
    }

    /// Drops the sections and the frozen tail of a partition; returns how many rows these were.
    fn drop_partition(&self, state: &mut State, key: &PartitionKey) -> u64 {
        let Some(partition) = state.partitions.get_mut(key) else {
            return 0;
        };
        let before = rows(partition);
        let bytes = partition.drop_frozen();
        partition.retain_sections(|_| false);
        let after = rows(partition);
        self.grow_tails(-(bytes as i64));
        before - after
    }

    /// Lets go of bundles that are no longer listed.
    fn drop_bundles(&self, state: &mut State) {
        let manifest = &state.manifest;
        state.bundles.retain(|number, bundle| {
            let is_listed = manifest.bundles.contains_key(number);
            if !is_listed {
                bundle.make_obsolete();
            }
            is_listed
        });
    }
}

impl State {
    /// Forgets how far partitions are flushed that have neither sections nor rows in the log:
    /// otherwise the manifest would grow with every day that was dropped.
    fn forget_flushed_partitions(&mut self, is_in_log: impl Fn(&PartitionKey) -> bool) {
        let has_sections = |partition: &Partition| !partition.sections().is_empty();
        let listed: HashSet<_> = self
            .manifest
            .sections()
            .map(|(_, section)| section.key)
            .collect();
        let forgotten: Vec<_> = self
            .manifest
            .flushed_through
            .keys()
            .filter(|key| {
                let partition = self.partitions.get(key);
                !listed.contains(key) && !partition.is_some_and(has_sections) && !is_in_log(key)
            })
            .copied()
            .collect();
        for key in forgotten {
            self.manifest.flushed_through.remove(&key);
        }
    }
}

fn rows(partition: &Partition) -> u64 {
    let sections = partition.sections().iter();
    let flushed: u64 = sections
        .map(|section| u64::from(section.meta.extent.rows))
        .sum();
    flushed + partition.unflushed_rows() as u64
}
