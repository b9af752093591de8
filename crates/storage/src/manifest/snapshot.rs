//! Snapshots of the manifest: all of it in one sealed file, written and read piece by piece.
use super::{
    Manifest,
    wire::{bundle, deletions, faults, key, put_bundle, put_deletions, put_faults, put_key},
};
use crate::{
    container::{self, Binding, DataKey, KeySource, ObjectId, STORE_TENANT, Sealer},
    deletion::Deletion,
    encoding::{Input, Malformed, put_signed, put_varint, unpack_lz4},
    idempotency::{KeyRecord, PackedAnswer, Place, Records, TenantRecords},
    read::ReadError,
};
use std::{collections::HashMap, io, sync::Arc};
use taffrail_model::{position::Position, tenant::TenantNumber, time::Timestamp};

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
    use super::{super::tests::filled, *};
    use crate::{container::KeyId, idempotency::RequestKey};

    #[test]
    fn snapshots_round_trip() {
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
