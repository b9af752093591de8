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
use crate::{
    container::{self, Binding, DataKey, KeySource, ObjectId, STORE_TENANT},
    encoding::{Input, Malformed, put_bytes, put_varint},
    read::{Extent, ReadError},
    snapshot::Fault,
    wal::IdempotencyRecord,
};
use std::sync::Arc;
use taffrail_model::{
    position::{PartitionKey, Position},
    stream::StreamNumber,
    tenant::TenantNumber,
    time::{Day, Timestamp},
};

/// Directory of the snapshots within the data directory.
pub(crate) const MANIFEST_DIRECTORY: &str = "manifest";
/// Losses that are listed one by one; a machine that loses more needs no longer list.
const LOSSES_MAX: usize = 1_000;
const KIND: [u8; 8] = *b"manifest";

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
    /// (bundle, section).
    pub(crate) remove: Vec<(u64, u32)>,
    /// Rows of the partition up to this position are in sections, or were dropped.
    pub(crate) flushed_through: Vec<(PartitionKey, Position)>,
    /// The oldest log file that has rows in no section, after this edit.
    pub(crate) rows_first_number: u64,
    /// What was found to be lost.
    pub(crate) losses: Vec<Fault>,
    /// Whether the losses before this edit are known to the operator.
    pub(crate) clears_losses: bool,
}

/// The state that edits make.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Manifest {
    pub(crate) bundles: imbl::OrdMap<u64, Arc<BundleMeta>>,
    pub(crate) flushed_through: imbl::OrdMap<PartitionKey, Position>,
    pub(crate) rows_first_number: u64,
    pub(crate) losses: Vec<Fault>,
    pub(crate) epoch: u16,
}

impl Manifest {
    pub(crate) fn flushed_through(&self, key: &PartitionKey) -> Position {
        self.flushed_through.get(key).copied().unwrap_or_default()
    }

    pub(crate) fn apply(&mut self, edit: &Edit) {
        for bundle in &edit.add {
            self.bundles.insert(bundle.number, Arc::new(bundle.clone()));
        }
        for (number, index) in &edit.remove {
            let Some(bundle) = self.bundles.get(number) else {
                continue;
            };
            let mut left = BundleMeta::clone(bundle);
            left.sections.retain(|section| section.index != *index);
            if left.sections.is_empty() {
                self.bundles.remove(number);
            } else {
                self.bundles.insert(*number, Arc::new(left));
            }
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
        input.end()?;
        Ok(edit)
    }
}

/// The manifest at a moment, with what the log needs to know.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ManifestSnapshot {
    pub(crate) manifest: Manifest,
    /// Every edit and idempotency record of the log up to this frame is in here.
    pub(crate) covered_sequence: u64,
    pub(crate) next_position: Position,
    /// The log file that was appended.
    pub(crate) wal_number: u64,
    /// The snapshot before it, which is kept with it; 0: there was none.
    pub(crate) previous_generation: u64,
    pub(crate) idempotency: Vec<Arc<IdempotencyRecord>>,
}

/// Name of a snapshot's file.
pub(crate) fn snapshot_name(generation: u64) -> String {
    format!("{generation:016x}.snapshot")
}

/// Generation of a snapshot's file by its name.
pub(crate) fn snapshot_generation(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_suffix(".snapshot")?, 16).ok()
}

fn binding(generation: u64) -> Binding<'static> {
    Binding {
        object: ObjectId::numbered(KIND, generation),
        tenant: STORE_TENANT,
        context: &[],
    }
}

impl ManifestSnapshot {
    /// The bytes of the file of this generation.
    pub(crate) fn seal(&self, generation: u64, key: &DataKey, salt: [u8; 32]) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.covered_sequence);
        put_varint(&mut out, self.next_position.0);
        put_varint(&mut out, self.wal_number);
        put_varint(&mut out, self.previous_generation);
        put_varint(&mut out, u64::from(self.manifest.epoch));
        put_varint(&mut out, self.manifest.rows_first_number);
        put_faults(&mut out, &self.manifest.losses);
        put_varint(&mut out, self.manifest.bundles.len() as u64);
        for bundle in self.manifest.bundles.values() {
            put_bundle(&mut out, bundle);
        }
        put_varint(&mut out, self.manifest.flushed_through.len() as u64);
        for (key, through) in &self.manifest.flushed_through {
            put_key(&mut out, key);
            put_varint(&mut out, through.0);
        }
        put_varint(&mut out, self.idempotency.len() as u64);
        for record in &self.idempotency {
            record.encode(&mut out);
        }
        let compressed = lz4_flex::block::compress_prepend_size(&out);
        drop(out);
        let mut sealed = Vec::new();
        container::seal(key, salt, &binding(generation), &compressed, &mut sealed);
        sealed
    }

    /// Opens the file of this generation.
    pub(crate) fn open(
        generation: u64,
        sealed: &[u8],
        keys: &dyn KeySource,
        name: &str,
    ) -> Result<ManifestSnapshot, ReadError> {
        let plain = container::open(keys, &binding(generation), sealed, name, 0)?;
        let malformed = |detail: String| ReadError::Damaged {
            file: name.into(),
            offset: 0,
            detail,
        };
        let plain = lz4_flex::block::decompress_size_prepended(&plain)
            .map_err(|fault| malformed(fault.to_string()))?;
        ManifestSnapshot::decode(&plain).map_err(|fault| malformed(fault.to_string()))
    }

    fn decode(bytes: &[u8]) -> Result<ManifestSnapshot, Malformed> {
        let mut input = Input::new(bytes);
        let mut out = ManifestSnapshot {
            covered_sequence: input.varint()?,
            next_position: Position(input.varint()?),
            wal_number: input.varint()?,
            previous_generation: input.varint()?,
            ..ManifestSnapshot::default()
        };
        let manifest = &mut out.manifest;
        manifest.epoch = input.varint()? as u16 & 0x3ff;
        manifest.rows_first_number = input.varint()?;
        manifest.losses = faults(&mut input)?;
        for _ in 0..input.count(20)? {
            let bundle = bundle(&mut input)?;
            manifest.bundles.insert(bundle.number, Arc::new(bundle));
        }
        for _ in 0..input.count(9)? {
            let key = key(&mut input)?;
            let through = Position(input.varint()?);
            manifest.flushed_through.insert(key, through);
        }
        for _ in 0..input.count(36)? {
            let record = IdempotencyRecord::decode(&mut input)?;
            out.idempotency.push(Arc::new(record));
        }
        input.end()?;
        Ok(out)
    }
}

fn put_key(out: &mut Vec<u8>, key: &PartitionKey) {
    out.extend_from_slice(&key.tenant.0.to_le_bytes());
    out.extend_from_slice(&key.stream.0.to_le_bytes());
    out.extend_from_slice(&key.day.0.to_le_bytes());
}

fn key(input: &mut Input<'_>) -> Result<PartitionKey, Malformed> {
    Ok(PartitionKey {
        tenant: TenantNumber(input.u32()?),
        stream: StreamNumber(input.u16()?),
        day: Day(input.u16()?),
    })
}

fn put_bundle(out: &mut Vec<u8>, bundle: &BundleMeta) {
    put_varint(out, bundle.number);
    out.extend_from_slice(&bundle.object.0);
    put_varint(out, bundle.bytes);
    put_varint(out, bundle.sections.len() as u64);
    for section in &bundle.sections {
        put_key(out, &section.key);
        put_varint(out, u64::from(section.index));
        put_varint(out, section.offset);
        put_varint(out, section.bytes);
        let extent = &section.extent;
        put_varint(out, u64::from(extent.rows));
        out.extend_from_slice(&extent.time_min.0.to_le_bytes());
        out.extend_from_slice(&extent.time_max.0.to_le_bytes());
        put_varint(out, extent.position_min.0);
        put_varint(out, extent.position_max.0);
    }
}

fn bundle(input: &mut Input<'_>) -> Result<BundleMeta, Malformed> {
    let mut bundle = BundleMeta {
        number: input.varint()?,
        object: ObjectId(input.fixed()?),
        bytes: input.varint()?,
        sections: Vec::new(),
    };
    for _ in 0..input.count(30)? {
        bundle.sections.push(SectionMeta {
            key: key(input)?,
            index: input.varint_u32()?,
            offset: input.varint()?,
            bytes: input.varint()?,
            extent: Extent {
                rows: input.varint_u32()?,
                time_min: Timestamp(input.u64()? as i64),
                time_max: Timestamp(input.u64()? as i64),
                position_min: Position(input.varint()?),
                position_max: Position(input.varint()?),
            },
        });
    }
    Ok(bundle)
}

fn put_faults(out: &mut Vec<u8>, faults: &[Fault]) {
    put_varint(out, faults.len() as u64);
    for fault in faults {
        out.push(u8::from(fault.partition.is_some()));
        if let Some(key) = &fault.partition {
            put_key(out, key);
        }
        put_bytes(out, fault.file.as_bytes());
        put_bytes(out, fault.detail.as_bytes());
    }
}

fn faults(input: &mut Input<'_>) -> Result<Vec<Fault>, Malformed> {
    let mut faults = Vec::new();
    for _ in 0..input.count(3)? {
        let partition = match input.u8()? {
            0 => None,
            _ => Some(key(input)?),
        };
        faults.push(Fault {
            partition,
            file: input.text()?.to_owned(),
            detail: input.text()?.to_owned(),
            is_transient: false,
        });
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::KeyId;

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
        };
        BundleMeta {
            number,
            object: ObjectId([number as u8; 16]),
            bytes: 1_000,
            sections: (0u32..).zip(days).map(section).collect(),
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

    fn filled() -> Manifest {
        let mut manifest = Manifest::default();
        manifest.apply(&Edit {
            add: vec![bundle(1, &[3, 4]), bundle(2, &[3])],
            flushed_through: vec![(partition(3), Position(9)), (partition(4), Position(5))],
            rows_first_number: 4,
            losses: vec![loss("a"), loss("b"), loss("a")],
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
    fn edits_and_snapshots_round_trip() {
        let edit = Edit {
            add: vec![bundle(1, &[3, 4])],
            remove: vec![(4, 2)],
            flushed_through: vec![(partition(3), Position(9))],
            rows_first_number: 8,
            losses: vec![loss("x")],
            clears_losses: true,
        };
        let bytes = edit.encode();
        assert_eq!(Edit::decode(&bytes), Ok(edit));
        for cut in 0..bytes.len() {
            assert!(Edit::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        let snapshot = ManifestSnapshot {
            manifest: Manifest {
                epoch: 3,
                ..filled()
            },
            covered_sequence: 77,
            next_position: Position(12),
            wal_number: 5,
            previous_generation: 4,
            idempotency: vec![Arc::new(IdempotencyRecord {
                scope: "s".into(),
                key: "k".into(),
                body_hash: [9; 32],
                answer: b"{}"[..].into(),
                time: Timestamp(5),
            })],
        };
        let key = DataKey::new(KeyId(1), [1; 32]);
        let mut sealed = snapshot.seal(6, &key, [2; 32]);
        let open = |generation, sealed: &[u8]| {
            ManifestSnapshot::open(generation, sealed, &key, "manifest/6")
        };
        assert_eq!(open(6, &sealed).unwrap(), snapshot);
        assert!(open(7, &sealed).is_err(), "swapped");
        for at in 0..sealed.len() {
            sealed[at] ^= 1;
            assert!(open(6, &sealed).is_err(), "{at}");
            sealed[at] ^= 1;
        }
        assert_eq!(snapshot_generation(&snapshot_name(6)), Some(6));
        assert_eq!(snapshot_generation("x.new"), None);
    }
}
