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
mod wire;

use crate::{
    container::{self, Binding, DataKey, KeySource, ObjectId, STORE_TENANT, Sealer},
    deletion::{DELETIONS_ENDED_MAX, Deletion},
    encoding::{Input, Malformed, put_signed, put_varint, unpack_lz4},
    idempotency::{KeyRecord, PackedAnswer, Place, Records, TenantRecords},
    read::{Extent, ReadError},
    snapshot::Fault,
};
use std::{collections::HashMap, io, sync::Arc};
use taffrail_model::{
    position::{PartitionKey, Position},
    tenant::TenantNumber,
    time::Timestamp,
};
use wire::{bundle, deletions, faults, key, put_bundle, put_deletions, put_faults, put_key};

/// Directory of the snapshots within the data directory.
pub(crate) const MANIFEST_DIRECTORY: &str = "manifest";
/// Losses that are listed one by one; a machine that loses more needs no longer list.
const LOSSES_MAX: usize = 1_000;
const KIND: [u8; 8] = *b"manifest";
/// Version of a snapshot: what its plain bytes begin with.
const VERSION: u32 = 3;
/// Bytes that are encoded, sealed and written at once: memory that a snapshot takes beside what it
/// shares with the store.
const PIECE_BYTES: usize = 1 << 20;
/// Idempotency keys that are counted together, so that their number need not be known before.
const KEYS_OF_A_RUN: usize = 4_096;
/// The fewest bytes that a tenant has: its number, no answer, the end of its keys.
const TENANT_BYTES_MIN: usize = 6;
/// The fewest bytes that a key has: two hashes, an answer, a time.
const KEY_BYTES_MIN: usize = 34;

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

/// The manifest at a moment, with what the log needs to know.
#[derive(Clone, Debug, Default)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct ManifestSnapshot {
    pub(crate) manifest: Manifest,
    /// Every edit and idempotency record of the log up to this frame is in here.
    pub(crate) covered_sequence: u64,
    pub(crate) next_position: Position,
    /// The log file that was appended.
    pub(crate) wal_number: u64,
    /// The snapshot before it, which is kept with it; 0: there was none.
    pub(crate) previous_generation: u64,
    pub(crate) idempotency: Records,
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

/// Why a snapshot cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// It is damaged.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is whole, and of another version.
    #[error("version {0} of a manifest snapshot is not known")]
    Version(u32),
}

impl ManifestSnapshot {
    /// Writes the file of this generation with `append`, piece by piece; returns its bytes.
    pub(crate) fn write(
        &self,
        generation: u64,
        key: &DataKey,
        salt: [u8; 32],
        append: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<u64> {
        let mut writer = PieceWriter::begin(key, salt, &binding(generation), append);
        let head = lz4_flex::block::compress_prepend_size(&self.encode_head());
        writer.plain.extend_from_slice(&VERSION.to_le_bytes());
        writer
            .plain
            .extend_from_slice(&(head.len() as u32).to_le_bytes());
        writer.plain.extend_from_slice(&head);
        drop(head);
        write_keys(&self.idempotency, &mut writer)?;
        writer.finish()
    }

    /// Everything but the idempotency keys.
    fn encode_head(&self) -> Vec<u8> {
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
        put_varint(&mut out, self.manifest.last_deletion);
        let all: Vec<&Deletion> = self.manifest.deletions.values().map(|d| &**d).collect();
        put_deletions(&mut out, all.into_iter());
        out
    }

    /// Opens the file of this generation; with its idempotency keys, if they are wanted.
    pub(crate) fn open(
        generation: u64,
        sealed: Vec<u8>,
        keys: &dyn KeySource,
        name: &str,
        are_keys_wanted: bool,
    ) -> Result<ManifestSnapshot, SnapshotError> {
        let malformed = |fault: Malformed| ReadError::Damaged {
            file: name.into(),
            offset: 0,
            detail: fault.to_string(),
        };
        let plain = container::open_in_place(keys, &binding(generation), sealed, name)?;
        let mut input = Input::new(&plain);
        let version = input.u32().map_err(malformed)?;
        if version != VERSION {
            return Err(SnapshotError::Version(version));
        }
        let mut snapshot = ManifestSnapshot::decode_head(&mut input).map_err(malformed)?;
        if are_keys_wanted {
            snapshot.idempotency = read_keys(&mut input).map_err(malformed)?;
        }
        Ok(snapshot)
    }

    fn decode_head(input: &mut Input<'_>) -> Result<ManifestSnapshot, Malformed> {
        let packed_bytes = input.u32()? as usize;
        let head = unpack_lz4(&mut Input::new(input.take(packed_bytes)?))?;
        let mut input = Input::new(&head);
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
            manifest.put(Arc::new(bundle(&mut input)?));
        }
        for _ in 0..input.count(9)? {
            let key = key(&mut input)?;
            let through = Position(input.varint()?);
            manifest.flushed_through.insert(key, through);
        }
        manifest.last_deletion = input.varint()?;
        for deletion in deletions(&mut input)? {
            let deletion = Arc::new(deletion);
            manifest.deletions.insert(deletion.sequence, deletion);
        }
        input.end()?;
        Ok(out)
    }
}

/// Seals and writes plain bytes whenever a piece of them is there.
struct PieceWriter<'a> {
    plain: Vec<u8>,
    sealer: Sealer,
    sealed: Vec<u8>,
    bytes: u64,
    append: &'a mut dyn FnMut(&[u8]) -> io::Result<()>,
}

impl<'a> PieceWriter<'a> {
    fn begin(
        key: &DataKey,
        salt: [u8; 32],
        binding: &Binding<'_>,
        append: &'a mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> PieceWriter<'a> {
        let mut sealed = Vec::new();
        PieceWriter {
            plain: Vec::new(),
            sealer: Sealer::begin(key, salt, binding, &mut sealed),
            sealed,
            bytes: 0,
            append,
        }
    }

    fn write_full(&mut self) -> io::Result<()> {
        if self.plain.len() < PIECE_BYTES {
            return Ok(());
        }
        self.sealer.push(&self.plain, &mut self.sealed);
        self.plain.clear();
        (self.append)(&self.sealed)?;
        self.bytes += self.sealed.len() as u64;
        self.sealed.clear();
        Ok(())
    }

    /// Takes a run of keys with their count.
    fn put_run(&mut self, keys: &mut usize, run: &mut Vec<u8>) -> io::Result<()> {
        put_varint(&mut self.plain, std::mem::take(keys) as u64);
        self.plain.append(run);
        self.write_full()
    }

    fn finish(mut self) -> io::Result<u64> {
        self.sealer.push(&self.plain, &mut self.sealed);
        self.sealer.finish(&mut self.sealed);
        (self.append)(&self.sealed)?;
        Ok(self.bytes + self.sealed.len() as u64)
    }
}

fn write_keys(records: &Records, writer: &mut PieceWriter<'_>) -> io::Result<()> {
    put_varint(&mut writer.plain, records.tenants().len() as u64);
    for tenant in records.tenants() {
        write_tenant_keys(tenant, writer)?;
    }
    Ok(())
}

fn write_tenant_keys(records: &TenantRecords, writer: &mut PieceWriter<'_>) -> io::Result<()> {
    writer
        .plain
        .extend_from_slice(&records.tenant().0.to_le_bytes());
    let answers = records.answers();
    put_varint(&mut writer.plain, answers.len() as u64);
    let mut places = HashMap::with_capacity(answers.len());
    for (place, (number, answer)) in (0_u64..).zip(answers) {
        answer.encode(&mut writer.plain);
        places.insert(number, place);
        writer.write_full()?;
    }
    let mut run = Vec::new();
    let mut keys_of_run = 0;
    let mut time_before = 0;
    for key in records.keys() {
        run.extend_from_slice(&key.hash);
        run.extend_from_slice(&key.body);
        put_place(&mut run, key.answer, &places);
        put_signed(&mut run, key.time.0.wrapping_sub(time_before));
        time_before = key.time.0;
        keys_of_run += 1;
        if keys_of_run == KEYS_OF_A_RUN {
            writer.put_run(&mut keys_of_run, &mut run)?;
        }
    }
    if keys_of_run > 0 {
        writer.put_run(&mut keys_of_run, &mut run)?;
    }
    put_varint(&mut writer.plain, 0);
    Ok(())
}

/// An even number is twice the length of an answer that follows, an odd one twice the place of an
/// answer in the list and one.
fn put_place(out: &mut Vec<u8>, answer: Place, places: &HashMap<u32, u64>) {
    match answer.bytes() {
        Some((length, bytes)) => {
            put_varint(out, 2 * length as u64);
            out.extend_from_slice(&bytes[..length]);
        }
        None => {
            let place = answer.number().and_then(|number| places.get(&number));
            put_varint(out, 2 * place.copied().unwrap_or_default() + 1);
        }
    }
}

fn read_keys(input: &mut Input<'_>) -> Result<Records, Malformed> {
    let mut records = Records::default();
    for _ in 0..input.count(TENANT_BYTES_MIN)? {
        records.push(read_tenant_keys(input)?);
    }
    input.end()?;
    Ok(records)
}

fn read_tenant_keys(input: &mut Input<'_>) -> Result<TenantRecords, Malformed> {
    let mut records = TenantRecords::new(TenantNumber(input.u32()?));
    let answers = u32::try_from(input.count(2)?).unwrap_or(u32::MAX);
    for number in 0..answers {
        records.add_answer(number, PackedAnswer::decode(input)?);
    }
    let mut time = 0_i64;
    loop {
        let keys_of_run = input.count(KEY_BYTES_MIN)?;
        if keys_of_run == 0 {
            return Ok(records);
        }
        for _ in 0..keys_of_run {
            let hash = input.fixed()?;
            let body = input.fixed()?;
            let answer = place(input, answers)?;
            time = time.wrapping_add(input.signed()?);
            records.push(KeyRecord {
                hash,
                body,
                time: Timestamp(time),
                answer,
            });
        }
    }
}

fn place(input: &mut Input<'_>, answers: u32) -> Result<Place, Malformed> {
    let fault = input.malformed("an answer or the number of one");
    let code = input.varint_u32()?;
    if code % 2 == 1 {
        return match code / 2 < answers {
            true => Ok(Place::in_table(code / 2)),
            false => Err(fault),
        };
    }
    Place::of_bytes(input.take(code as usize / 2)?).ok_or(fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{container::KeyId, deletion::DeletionState, idempotency::RequestKey};
    use taffrail_model::{
        stream::StreamNumber,
        time::{Day, TimeRange},
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

    fn filled() -> Manifest {
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
    fn edits_and_snapshots_round_trip() {
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
        let snapshot = ManifestSnapshot {
            manifest: Manifest {
                epoch: 3,
                ..filled()
            },
            covered_sequence: 77,
            next_position: Position(12),
            wal_number: 5,
            previous_generation: 4,
            idempotency: records(3),
        };
        let key = DataKey::new(KeyId(1), [1; 32]);
        let mut sealed = write(&snapshot, &key);
        let open = |generation, sealed: &[u8]| {
            ManifestSnapshot::open(generation, sealed.to_vec(), &key, "manifest/6", true)
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

    fn records(keys: u32) -> Records {
        let mut records = Records::default();
        for tenant in [7, 2] {
            let mut of_tenant = TenantRecords::new(TenantNumber(tenant));
            for number in 0..keys {
                let answer = PackedAnswer::new(number.to_string().repeat(200).as_bytes());
                of_tenant.add_answer(number, answer);
                let answer = match number % 3 {
                    0 => Place::of_bytes(number.to_string().as_bytes()).unwrap(),
                    _ => Place::in_table(number / 2),
                };
                let time = if number % 2 == 0 { i64::MIN } else { i64::MAX };
                of_tenant.push(KeyRecord {
                    hash: RequestKey::new(TenantNumber(tenant), "s", &number.to_string()).hash,
                    body: [number as u8; 16],
                    time: Timestamp(time),
                    answer,
                });
            }
            records.push(of_tenant);
        }
        records
    }

    fn write(snapshot: &ManifestSnapshot, key: &DataKey) -> Vec<u8> {
        let mut sealed = Vec::new();
        let append = &mut |bytes: &[u8]| {
            // A piece, and what it was before it was full.
            assert!(bytes.len() <= PIECE_BYTES + PIECE_BYTES / 2);
            sealed.extend_from_slice(bytes);
            Ok(())
        };
        let bytes = snapshot.write(6, key, [2; 32], append).unwrap();
        assert_eq!(bytes, sealed.len() as u64);
        sealed
    }

    #[test]
    fn keys_of_many_pieces_round_trip() {
        let key = DataKey::new(KeyId(1), [1; 32]);
        for keys in [0, 1, 4_095, 4_096, 4_097, 50_000] {
            let snapshot = ManifestSnapshot {
                idempotency: records(keys),
                ..ManifestSnapshot::default()
            };
            let sealed = write(&snapshot, &key);
            let open = |wanted| ManifestSnapshot::open(6, sealed.clone(), &key, "m", wanted);
            assert!(open(true).unwrap() == snapshot, "{keys}");
            assert!(open(false).unwrap() == ManifestSnapshot::default());
        }
    }

    #[test]
    fn another_version_is_named() {
        let key = DataKey::new(KeyId(1), [1; 32]);
        let mut sealed = Vec::new();
        let plain = 7_u32.to_le_bytes();
        container::seal(&key, [2; 32], &binding(6), &plain, &mut sealed);
        let opened = ManifestSnapshot::open(6, sealed, &key, "m", true);
        assert!(matches!(opened, Err(SnapshotError::Version(7))));
    }
}
