//! Manifest: which sections there are, and through which position each partition is flushed.
//!
//! Invariants
//! - The manifest changes by edits alone, and an edit is a frame of the write-ahead log: there is
//!   one order of commits and edits.
//! - A snapshot holds every edit and idempotency record through its `covered_sequence`, and none
//!   after it. Two generations are kept, and the log that the older one needs: if the newest is
//!   damaged, the older one and the log give the same state.
//! - Where neither can be read, the store does not start: it could not tell what is missing.
//!
//! Format: docs/formats/manifest.md.
mod snapshot;
mod wire;

pub(crate) use snapshot::{ManifestSnapshot, SnapshotError, snapshot_generation, snapshot_name};

use crate::{
    container::ObjectId,
    deletion::{DELETIONS_ENDED_MAX, Deletion},
    encoding::{Input, Malformed, put_varint},
    read::Extent,
    snapshot::Fault,
};
use std::sync::Arc;
use taffrail_model::position::{PartitionKey, Position};
use wire::{bundle, deletions, faults, key, put_bundle, put_deletions, put_faults, put_key};

/// Directory of the snapshots within the data directory.
pub(crate) const MANIFEST_DIRECTORY: &str = "manifest";
/// Losses that are listed one by one; a machine that loses more needs no longer list.
const LOSSES_MAX: usize = 1_000;

/// A section of a bundle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SectionMeta {
    pub(crate) key: PartitionKey,
    /// Number within the bundle.
    pub(crate) index: u32,
    /// Where its container lies in the file.
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) extent: Extent,
    /// Deletions up to this number have no row in it.
    pub(crate) applied: u64,
    /// Fingerprint of the rules by which rows were removed from it; 0: of none.
    pub(crate) rules: u64,
}

/// A section by bundle and number within it.
pub(crate) type SectionId = (u64, u32);

/// What was found to hold for a section that stays as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cleared {
    pub(crate) section: SectionId,
    pub(crate) applied: u64,
    pub(crate) rules: u64,
}

/// A file of sections.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BundleMeta {
    pub(crate) number: u64,
    pub(crate) object: ObjectId,
    pub(crate) bytes: u64,
    /// Those that are live.
    pub(crate) sections: Vec<SectionMeta>,
}

/// One change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Edit {
    pub(crate) add: Vec<BundleMeta>,
    pub(crate) remove: Vec<SectionId>,
    /// Sections that were found to hold no row that is to go.
    pub(crate) cleared: Vec<Cleared>,
    /// Rows of the partition up to this position are in sections, or were dropped.
    pub(crate) flushed_through: Vec<(PartitionKey, Position)>,
    /// The oldest log file that has rows in no section, after this edit.
    pub(crate) rows_first_number: u64,
    /// What was found to be lost.
    pub(crate) losses: Vec<Fault>,
    /// Whether the losses before this edit are known to the operator.
    pub(crate) clears_losses: bool,
    /// Deletions that are new or have changed, as they are now.
    pub(crate) deletions: Vec<Deletion>,
}

/// The state that edits make.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Manifest {
    pub(crate) bundles: imbl::OrdMap<u64, Arc<BundleMeta>>,
    pub(crate) flushed_through: imbl::OrdMap<PartitionKey, Position>,
    pub(crate) rows_first_number: u64,
    pub(crate) losses: Vec<Fault>,
    pub(crate) epoch: u16,
    /// Those in effect and the latest that have ended, by number.
    pub(crate) deletions: imbl::OrdMap<u64, Arc<Deletion>>,
    /// The highest number that a deletion ever had.
    pub(crate) last_deletion: u64,
    /// Sections of all bundles, and bytes of their files.
    figures: Figures,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Figures {
    sections: usize,
    bytes: u64,
}

impl Manifest {
    pub(crate) fn flushed_through(&self, key: &PartitionKey) -> Position {
        self.flushed_through.get(key).copied().unwrap_or_default()
    }

    pub(crate) fn apply(&mut self, edit: &Edit) {
        for bundle in &edit.add {
            self.put(Arc::new(bundle.clone()));
        }
        for (number, index) in &edit.remove {
            let Some(bundle) = self.bundles.get_mut(number) else {
                continue;
            };
            // Copied for the first section of an edit at the most: it may remove thousands of one
            // bundle.
            let left = Arc::make_mut(bundle);
            let before = left.sections.len();
            left.sections.retain(|section| section.index != *index);
            self.figures.sections -= before - left.sections.len();
            if left.sections.is_empty() {
                self.figures.bytes -= left.bytes;
                self.bundles.remove(number);
            }
        }
        for cleared in &edit.cleared {
            self.clear(cleared);
        }
        for deletion in &edit.deletions {
            self.last_deletion = self.last_deletion.max(deletion.sequence);
            self.deletions
                .insert(deletion.sequence, Arc::new(deletion.clone()));
        }
        if !edit.deletions.is_empty() {
            self.forget_old_deletions();
        }
        for (key, through) in &edit.flushed_through {
            let known = self.flushed_through(key);
            self.flushed_through.insert(*key, known.max(*through));
        }
        self.rows_first_number = edit.rows_first_number;
        if edit.clears_losses {
            self.losses.clear();
        }
        for loss in &edit.losses {
            if self.losses.len() < LOSSES_MAX && !self.losses.contains(loss) {
                self.losses.push(loss.clone());
            }
        }
    }

    /// Lists a bundle as it is now; one without sections is listed no longer.
    fn put(&mut self, bundle: Arc<BundleMeta>) {
        let number = bundle.number;
        let (sections, bytes) = (bundle.sections.len(), bundle.bytes);
        let before = match sections {
            0 => self.bundles.remove(&number),
            _ => self.bundles.insert(number, bundle),
        };
        if sections > 0 {
            self.figures.sections += sections;
            self.figures.bytes += bytes;
        }
        if let Some(before) = before {
            self.figures.sections -= before.sections.len();
            self.figures.bytes -= before.bytes;
        }
    }

    fn clear(&mut self, cleared: &Cleared) {
        let (number, index) = cleared.section;
        let Some(bundle) = self.bundles.get(&number) else {
            return;
        };
        let mut changed = BundleMeta::clone(bundle);
        let mut sections = changed.sections.iter_mut();
        if let Some(section) = sections.find(|section| section.index == index) {
            (section.applied, section.rules) = (cleared.applied, cleared.rules);
        }
        self.put(Arc::new(changed));
    }

    fn forget_old_deletions(&mut self) {
        let ended: Vec<u64> = self
            .deletions
            .values()
            .filter(|deletion| !deletion.is_active())
            .map(|deletion| deletion.sequence)
            .collect();
        for sequence in ended.iter().rev().skip(DELETIONS_ENDED_MAX) {
            self.deletions.remove(sequence);
        }
    }

    /// Deletions in effect, by number.
    pub(crate) fn active_deletions(&self) -> Vec<Arc<Deletion>> {
        let active = self
            .deletions
            .values()
            .filter(|deletion| deletion.is_active());
        active.cloned().collect()
    }

    /// Sections of all bundles.
    pub(crate) fn section_count(&self) -> usize {
        self.figures.sections
    }

    /// Bytes of all bundles.
    pub(crate) fn bundles_bytes(&self) -> u64 {
        self.figures.bytes
    }

    pub(crate) fn sections(&self) -> impl Iterator<Item = (&BundleMeta, &SectionMeta)> + '_ {
        self.bundles.values().flat_map(|bundle| {
            bundle
                .sections
                .iter()
                .map(move |section| (&**bundle, section))
        })
    }
}

impl Edit {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.add.len() as u64);
        for bundle in &self.add {
            put_bundle(&mut out, bundle);
        }
        put_varint(&mut out, self.remove.len() as u64);
        for (number, index) in &self.remove {
            put_varint(&mut out, *number);
            put_varint(&mut out, u64::from(*index));
        }
        put_varint(&mut out, self.flushed_through.len() as u64);
        for (key, through) in &self.flushed_through {
            put_key(&mut out, key);
            put_varint(&mut out, through.0);
        }
        put_varint(&mut out, self.rows_first_number);
        put_faults(&mut out, &self.losses);
        out.push(u8::from(self.clears_losses));
        put_varint(&mut out, self.cleared.len() as u64);
        for cleared in &self.cleared {
            let (number, index) = cleared.section;
            put_varint(&mut out, number);
            put_varint(&mut out, u64::from(index));
            put_varint(&mut out, cleared.applied);
            out.extend_from_slice(&cleared.rules.to_le_bytes());
        }
        put_deletions(&mut out, self.deletions.iter());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Edit, Malformed> {
        let mut input = Input::new(bytes);
        let mut edit = Edit::default();
        for _ in 0..input.count(20)? {
            edit.add.push(bundle(&mut input)?);
        }
        for _ in 0..input.count(2)? {
            edit.remove.push((input.varint()?, input.varint_u32()?));
        }
        for _ in 0..input.count(9)? {
            edit.flushed_through
                .push((key(&mut input)?, Position(input.varint()?)));
        }
        edit.rows_first_number = input.varint()?;
        edit.losses = faults(&mut input)?;
        edit.clears_losses = input.u8()? != 0;
        for _ in 0..input.count(11)? {
            edit.cleared.push(Cleared {
                section: (input.varint()?, input.varint_u32()?),
                applied: input.varint()?,
                rules: input.u64()?,
            });
        }
        edit.deletions = deletions(&mut input)?;
        input.end()?;
        Ok(edit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deletion::DeletionState;
    use taffrail_model::{
        stream::StreamNumber,
        tenant::TenantNumber,
        time::{Day, TimeRange, Timestamp},
    };

    fn partition(day: u16) -> PartitionKey {
        PartitionKey {
            tenant: TenantNumber(2),
            stream: StreamNumber(7),
            day: Day(day),
        }
    }

    fn bundle(number: u64, days: &[u16]) -> BundleMeta {
        let section = |(index, day): (u32, &u16)| SectionMeta {
            key: partition(*day),
            index,
            offset: 100 * u64::from(index),
            bytes: 100,
            extent: Extent {
                rows: 5,
                time_min: Timestamp(-1),
                time_max: Timestamp(i64::MAX),
                position_min: Position(1),
                position_max: Position::MAX,
            },
            applied: 3,
            rules: u64::MAX - 1,
        };
        BundleMeta {
            number,
            object: ObjectId([number as u8; 16]),
            bytes: 1_000,
            sections: (0u32..).zip(days).map(section).collect(),
        }
    }

    fn deletion(sequence: u64) -> Deletion {
        let ended = Timestamp(-4);
        Deletion {
            sequence,
            tenant: TenantNumber(2),
            streams: vec![StreamNumber(7), StreamNumber(8)],
            range: TimeRange::ALL,
            predicate: "user:x".into(),
            created: Timestamp(5),
            through: Position(11),
            state: match sequence % 3 {
                0 => DeletionState::Active,
                1 => DeletionState::Done(ended),
                _ => DeletionState::Cancelled(ended),
            },
            rows_matched: 7,
            rows_removed: 6,
            sections_total: 2,
            note: "asked for".into(),
        }
    }

    fn loss(detail: &str) -> Fault {
        Fault {
            partition: Some(partition(3)),
            file: "wal/1".into(),
            detail: detail.into(),
            is_transient: false,
        }
    }

    pub(super) fn filled() -> Manifest {
        let mut manifest = Manifest::default();
        manifest.apply(&Edit {
            add: vec![bundle(1, &[3, 4]), bundle(2, &[3])],
            flushed_through: vec![(partition(3), Position(9)), (partition(4), Position(5))],
            rows_first_number: 4,
            losses: vec![loss("a"), loss("b"), loss("a")],
            deletions: vec![deletion(6), deletion(7)],
            ..Edit::default()
        });
        manifest
    }

    #[test]
    fn edits_add_up() {
        let mut manifest = filled();
        assert_eq!(manifest.losses, [loss("a"), loss("b")]);
        manifest.apply(&Edit {
            remove: vec![(1, 0), (2, 0), (7, 7)],
            flushed_through: vec![(partition(3), Position(8))],
            clears_losses: true,
            losses: vec![loss("c")],
            rows_first_number: 5,
            ..Edit::default()
        });
        let left: Vec<_> = manifest
            .sections()
            .map(|(_, section)| section.key)
            .collect();
        assert_eq!(left, [partition(4)]);
        assert_eq!(manifest.flushed_through(&partition(3)), Position(9));
        assert_eq!(manifest.flushed_through(&partition(5)), Position::ZERO);
        assert_eq!(manifest.rows_first_number, 5);
        assert_eq!(manifest.losses, [loss("c")]);
    }

    #[test]
    fn figures_follow_every_edit() {
        let mut manifest = filled();
        let check = |manifest: &Manifest| {
            let sections = manifest.sections().count();
            let bytes: u64 = manifest.bundles.values().map(|bundle| bundle.bytes).sum();
            assert_eq!(
                (manifest.section_count(), manifest.bundles_bytes()),
                (sections, bytes)
            );
        };
        check(&manifest);
        for edit in [
            Edit {
                add: vec![bundle(2, &[3, 4, 5])],
                ..Edit::default()
            },
            Edit {
                remove: vec![(1, 0), (1, 0), (2, 1)],
                ..Edit::default()
            },
            Edit {
                remove: vec![(1, 1), (9, 9)],
                cleared: vec![Cleared {
                    section: (2, 0),
                    applied: 9,
                    rules: 5,
                }],
                ..Edit::default()
            },
        ] {
            manifest.apply(&edit);
            check(&manifest);
        }
        assert_eq!(manifest.bundles.len(), 1);
        let cleared = &manifest.bundles[&2].sections[0];
        assert_eq!((cleared.applied, cleared.rules), (9, 5));
    }

    #[test]
    fn deletions_are_remembered_within_a_bound() {
        let mut manifest = filled();
        for sequence in 8..8 + 3 * DELETIONS_ENDED_MAX as u64 {
            manifest.apply(&Edit {
                deletions: vec![deletion(sequence)],
                ..Edit::default()
            });
        }
        let ended = manifest.deletions.len() - manifest.active_deletions().len();
        assert_eq!(ended, DELETIONS_ENDED_MAX);
        assert!(manifest.deletions.contains_key(&6), "in effect");
        assert!(!manifest.deletions.contains_key(&7), "ended first");
        assert_eq!(manifest.last_deletion, 7 + 3 * DELETIONS_ENDED_MAX as u64);
    }

    #[test]
    fn edits_round_trip() {
        let edit = Edit {
            add: vec![bundle(1, &[3, 4])],
            remove: vec![(4, 2)],
            cleared: vec![Cleared {
                section: (4, 1),
                applied: 9,
                rules: 5,
            }],
            flushed_through: vec![(partition(3), Position(9))],
            rows_first_number: 8,
            losses: vec![loss("x")],
            clears_losses: true,
            deletions: vec![deletion(3), deletion(4), deletion(5)],
        };
        let bytes = edit.encode();
        assert_eq!(Edit::decode(&bytes), Ok(edit));
        for cut in 0..bytes.len() {
            assert!(Edit::decode(&bytes[..cut]).is_err(), "{cut}");
        }
    }
}
