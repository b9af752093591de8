//! Sealed container: the one form in which bytes of the log store lie on disk.
//!
//! Invariants
//! - No byte leaves a container before its chunk's tag was checked, and a chunk is accepted only
//!   in the object, tenant, context and place that it was sealed for: a file that was swapped,
//!   cut, extended or flipped is [`ReadError::Damaged`], never other bytes.
//! - A file key is used for one plaintext only: its salt is random, or random and unique by
//!   construction (WAL frames), so a nonce is never repeated.
//!
//! AES-256-GCM in chunks of 64 KiB gives random access at a cost of 16 bytes a chunk. With
//! `encryption: off` the same container is sealed under a key that everybody knows: corruption is
//! detected all the same, and there is one mechanism. Format: docs/formats/container.md.
use crate::read::{ReadAt, ReadError};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey},
    digest, hkdf,
};
use std::sync::{Arc, OnceLock};
use taffrail_model::tenant::TenantNumber;

/// Plain bytes of a chunk: large enough that tags cost nothing, small enough to read one record.
pub const CHUNK_BYTES: usize = 64 << 10;
/// Bytes before the first chunk.
pub const HEADER_BYTES: usize = 48;
/// Bytes of a chunk's tag.
pub const TAG_BYTES: usize = MAX_TAG_LEN;
/// The tenant under whose keys the store seals what belongs to no tenant (manifest, headers).
pub const STORE_TENANT: TenantNumber = TenantNumber(0);

const MAGIC: [u8; 4] = *b"TFC1";
const CHUNK_BYTES_LOG2: u8 = 16;
const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;
/// Sealed under this id, a container is protected against corruption and nothing else.
const WELL_KNOWN_SECRET: [u8; 32] = *b"taffrail: everybody knows this.\n";

/// What a container belongs to; 16 bytes that no two objects share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub [u8; 16]);

impl ObjectId {
    /// The id of an object that is known by a kind and a number.
    #[must_use]
    pub fn numbered(kind: [u8; 8], number: u64) -> ObjectId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&kind);
        id[8..].copy_from_slice(&number.to_le_bytes());
        ObjectId(id)
    }
}

/// Number of a data key within a keyring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u64);

/// A data key. Its secret is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey {
    id: KeyId,
    secret: [u8; 32],
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DataKey").field(&self.id.0).finish()
    }
}

impl DataKey {
    /// The id of [`DataKey::well_known`].
    pub const WELL_KNOWN: KeyId = KeyId(0);

    /// A key of this number.
    #[must_use]
    pub fn new(id: KeyId, secret: [u8; 32]) -> DataKey {
        DataKey { id, secret }
    }

    /// The key of `encryption: off`.
    #[must_use]
    pub fn well_known() -> DataKey {
        DataKey::new(DataKey::WELL_KNOWN, WELL_KNOWN_SECRET)
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

/// Where a container's key is looked up when it is opened.
pub trait KeySource: Send + Sync {
    /// The key of a tenant with this number; `None` if there is none (any more).
    fn key(&self, tenant: TenantNumber, id: KeyId) -> Option<DataKey>;
}

impl KeySource for DataKey {
    fn key(&self, _: TenantNumber, id: KeyId) -> Option<DataKey> {
        (self.id == id).then(|| self.clone())
    }
}

/// What a container is bound to; it opens only for the same.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The object.
    pub object: ObjectId,
    /// Whose.
    pub tenant: TenantNumber,
    /// Bytes beside the container that are authenticated with it, such as a frame's header.
    pub context: &'a [u8],
}

impl Binding<'_> {
    fn additional_data(&self, header: &[u8]) -> [u8; 52] {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(header);
        hash.update(self.context);
        let mut out = [0; 52];
        out[..16].copy_from_slice(&self.object.0);
        out[16..20].copy_from_slice(&self.tenant.0.to_le_bytes());
        out[20..].copy_from_slice(hash.finish().as_ref());
        out
    }
}

/// Bytes of a container with this many plain bytes.
#[must_use]
pub fn sealed_bytes(plain_bytes: u64) -> u64 {
    let chunks = plain_bytes.div_ceil(CHUNK_BYTES as u64).max(1);
    HEADER_BYTES as u64 + plain_bytes + chunks * TAG_BYTES as u64
}

/// Plain bytes of a container with this many bytes; `None` if no container has as many.
#[must_use]
pub fn plain_bytes(sealed: u64) -> Option<u64> {
    let body = sealed.checked_sub(HEADER_BYTES as u64)?;
    let chunks = body.div_ceil(SEALED_CHUNK_BYTES as u64).max(1);
    let plain = body.checked_sub(chunks * TAG_BYTES as u64)?;
    (sealed_bytes(plain) == sealed).then_some(plain)
}

/// The operating system's random numbers, or a test's.
pub type Entropy = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Seals `plain` and appends the container to `out`. The salt must never have been used with
/// this key before.
pub fn seal(key: &DataKey, salt: [u8; 32], binding: &Binding<'_>, plain: &[u8], out: &mut Vec<u8>) {
    out.reserve(sealed_bytes(plain.len() as u64) as usize);
    let mut sealer = Sealer::begin(key, salt, binding, out);
    sealer.seal_through(plain, true, out);
}

/// Seals a container piece by piece, for plain bytes that need not be in memory together.
pub(crate) struct Sealer {
    file_key: LessSafeKey,
    additional: [u8; 52],
    chunks: u64,
    /// Plain bytes that do not fill a chunk yet, or fill what may be the last one.
    pending: Vec<u8>,
}

impl Sealer {
    /// Appends the header to `out`. The salt must never have been used with this key before.
    pub(crate) fn begin(
        key: &DataKey,
        salt: [u8; 32],
        binding: &Binding<'_>,
        out: &mut Vec<u8>,
    ) -> Sealer {
        let mut header = [0; HEADER_BYTES];
        header[..4].copy_from_slice(&MAGIC);
        header[4] = 1;
        header[5] = CHUNK_BYTES_LOG2;
        header[8..16].copy_from_slice(&key.id.0.to_le_bytes());
        header[16..].copy_from_slice(&salt);
        out.extend_from_slice(&header);
        Sealer {
            file_key: file_key(key, &salt),
            additional: binding.additional_data(&header),
            chunks: 0,
            pending: Vec::new(),
        }
    }

    /// Takes plain bytes, and appends to `out` the chunks that are full.
    pub(crate) fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        self.pending.extend_from_slice(plain);
        // One byte stays at least: only the end knows which chunk is the last.
        let full = self.pending.len().saturating_sub(1) / CHUNK_BYTES * CHUNK_BYTES;
        if full > 0 {
            let pending = std::mem::take(&mut self.pending);
            self.seal_through(&pending[..full], false, out);
            self.pending = pending;
            self.pending.drain(..full);
        }
    }

    /// Appends what is left.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) {
        let pending = std::mem::take(&mut self.pending);
        self.seal_through(&pending, true, out);
    }

    /// Seals whole chunks; the last of all may be shorter or empty.
    fn seal_through(&mut self, plain: &[u8], is_end: bool, out: &mut Vec<u8>) {
        let chunks = plain.len().div_ceil(CHUNK_BYTES).max(1);
        for number in 0..chunks {
            let chunk_end = plain.len().min((number + 1) * CHUNK_BYTES);
            let start = out.len();
            out.extend_from_slice(&plain[number * CHUNK_BYTES..chunk_end]);
            let tag = self
                .file_key
                .seal_in_place_separate_tag(
                    nonce(self.chunks, is_end && number + 1 == chunks),
                    Aad::from(self.additional),
                    &mut out[start..],
                )
                .unwrap_or_else(|_| unreachable!("a chunk is far below the limit of AES-GCM"));
            out.extend_from_slice(tag.as_ref());
            self.chunks += 1;
        }
    }
}

/// Opens a whole container. `name` says in a fault which file it is, `offset` where in it.
///
/// # Errors
/// [`ReadError::Damaged`].
pub fn open(
    keys: &dyn KeySource,
    binding: &Binding<'_>,
    sealed: &[u8],
    name: &str,
    offset: u64,
) -> Result<Vec<u8>, ReadError> {
    let (header, body) = sealed.split_at(sealed.len().min(HEADER_BYTES));
    open_body(keys, binding, header, body.to_vec(), name, offset)
}

/// The same in the memory of what is sealed, for containers that are large.
pub(crate) fn open_in_place(
    keys: &dyn KeySource,
    binding: &Binding<'_>,
    mut sealed: Vec<u8>,
    name: &str,
) -> Result<Vec<u8>, ReadError> {
    let header: Vec<u8> = sealed.drain(..sealed.len().min(HEADER_BYTES)).collect();
    open_body(keys, binding, &header, sealed, name, 0)
}

fn open_body(
    keys: &dyn KeySource,
    binding: &Binding<'_>,
    header: &[u8],
    mut body: Vec<u8>,
    name: &str,
    offset: u64,
) -> Result<Vec<u8>, ReadError> {
    let damaged = |at: usize, detail: &str| damaged(name, offset + at as u64, detail);
    let plain_bytes = plain_bytes((header.len() + body.len()) as u64)
        .ok_or_else(|| damaged(0, "no sealed container has this length"))?;
    let opener = Opener::new(keys, binding, header).map_err(|detail| damaged(0, detail))?;
    opener
        .open_chunks(0, plain_bytes, &mut body)
        .map_err(|at| damaged(HEADER_BYTES + at, DAMAGED_CHUNK))?;
    Ok(body)
}

/// Reads ranges of a container and decrypts only the chunks that they touch.
pub struct ContainerReader {
    sealed: Arc<dyn ReadAt>,
    keys: Arc<dyn KeySource>,
    object: ObjectId,
    tenant: TenantNumber,
    plain_bytes: u64,
    opener: OnceLock<Opener>,
}

impl ContainerReader {
    /// A reader of the container that fills `sealed`; nothing is read yet.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] if no container has this length.
    pub fn new(
        sealed: Arc<dyn ReadAt>,
        keys: Arc<dyn KeySource>,
        object: ObjectId,
        tenant: TenantNumber,
    ) -> Result<ContainerReader, ReadError> {
        let plain_bytes = plain_bytes(sealed.len())
            .ok_or_else(|| damaged(&sealed.name(), 0, "no sealed container has this length"))?;
        Ok(ContainerReader {
            sealed,
            keys,
            object,
            tenant,
            plain_bytes,
            opener: OnceLock::new(),
        })
    }

    fn opener(&self) -> Result<&Opener, ReadError> {
        if let Some(opener) = self.opener.get() {
            return Ok(opener);
        }
        let header = self.sealed.read(0, HEADER_BYTES)?;
        let binding = Binding {
            object: self.object,
            tenant: self.tenant,
            context: &[],
        };
        let opener = Opener::new(&*self.keys, &binding, &header)
            .map_err(|detail| damaged(&self.sealed.name(), 0, detail))?;
        Ok(self.opener.get_or_init(|| opener))
    }
}

impl ReadAt for ContainerReader {
    fn len(&self) -> u64 {
        self.plain_bytes
    }

    fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, ReadError> {
        let is_inside = offset
            .checked_add(bytes as u64)
            .is_some_and(|end| end <= self.plain_bytes);
        if !is_inside {
            let detail = format!("{bytes} bytes at {offset} lie outside of the section");
            return Err(damaged(&self.sealed.name(), offset, &detail));
        }
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let opener = self.opener()?;
        let first = offset / CHUNK_BYTES as u64;
        let end = (offset + bytes as u64).div_ceil(CHUNK_BYTES as u64);
        let sealed_start = HEADER_BYTES as u64 + first * SEALED_CHUNK_BYTES as u64;
        let sealed_end =
            (HEADER_BYTES as u64 + end * SEALED_CHUNK_BYTES as u64).min(self.sealed.len());
        let mut out = self
            .sealed
            .read(sealed_start, (sealed_end - sealed_start) as usize)?;
        opener
            .open_chunks(first, self.plain_bytes, &mut out)
            .map_err(|at| damaged(&self.sealed.name(), sealed_start + at as u64, DAMAGED_CHUNK))?;
        let skipped = (offset - first * CHUNK_BYTES as u64) as usize;
        // What is kept of it must not hold the memory of whole chunks.
        let asked = out
            .get(skipped..skipped + bytes)
            .ok_or_else(|| damaged(&self.sealed.name(), sealed_start, DAMAGED_CHUNK))?;
        Ok(match asked.len() == out.len() {
            true => out,
            false => asked.to_vec(),
        })
    }

    fn name(&self) -> String {
        self.sealed.name()
    }
}

const DAMAGED_CHUNK: &str = "the authentication tag does not fit: flipped, cut or swapped bytes";

/// A container whose key is known.
struct Opener {
    file_key: LessSafeKey,
    additional: [u8; 52],
}

impl Opener {
    fn new(
        keys: &dyn KeySource,
        binding: &Binding<'_>,
        header: &[u8],
    ) -> Result<Opener, &'static str> {
        let (Some(id), Some(salt)) = (header.get(8..16), header.get(16..HEADER_BYTES)) else {
            return Err("the header is cut");
        };
        if header[..4] != MAGIC || header[6..8] != [0, 0] {
            return Err("not a sealed container");
        }
        if header[4] != 1 || header[5] != CHUNK_BYTES_LOG2 {
            return Err("a container of an unknown version");
        }
        // Both lengths are fixed by the ranges above.
        let id = KeyId(u64::from_le_bytes(id.try_into().unwrap_or_default()));
        let salt: [u8; 32] = salt.try_into().unwrap_or_default();
        let key = keys
            .key(binding.tenant, id)
            .ok_or("there is no data key of this number")?;
        Ok(Opener {
            file_key: file_key(&key, &salt),
            additional: binding.additional_data(header),
        })
    }

    /// Opens consecutive sealed chunks, the first being number `first`, in place: `buffer` then
    /// has their plain bytes. The error is the offset in `buffer` of the chunk at fault.
    fn open_chunks(&self, first: u64, plain_bytes: u64, buffer: &mut Vec<u8>) -> Result<(), usize> {
        let chunks = plain_bytes.div_ceil(CHUNK_BYTES as u64).max(1);
        let mut plain_end = 0;
        for (index, start) in (0..buffer.len()).step_by(SEALED_CHUNK_BYTES).enumerate() {
            let end = buffer.len().min(start + SEALED_CHUNK_BYTES);
            let number = first + index as u64;
            let plain = self
                .file_key
                .open_in_place(
                    nonce(number, number + 1 == chunks),
                    Aad::from(self.additional),
                    &mut buffer[start..end],
                )
                .map_err(|_| start)?
                .len();
            buffer.copy_within(start..start + plain, plain_end);
            plain_end += plain;
        }
        buffer.truncate(plain_end);
        Ok(())
    }
}

fn nonce(counter: u64, is_last: bool) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[..8].copy_from_slice(&counter.to_le_bytes());
    bytes[11] = u8::from(is_last);
    Nonce::assume_unique_for_key(bytes)
}

fn file_key(key: &DataKey, salt: &[u8; 32]) -> LessSafeKey {
    let unbound: UnboundKey = hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(&key.secret)
        .expand(&[b"taffrail container 1"], &AES_256_GCM)
        .unwrap_or_else(|_| unreachable!("HKDF gives up to 8,160 bytes"))
        .into();
    LessSafeKey::new(unbound)
}

fn damaged(file: &str, offset: u64, detail: &str) -> ReadError {
    ReadError::Damaged {
        file: file.into(),
        offset,
        detail: detail.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct InMemory(Vec<u8>);

    impl ReadAt for InMemory {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }
        fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, ReadError> {
            Ok(self.0[offset as usize..offset as usize + bytes].to_vec())
        }
        fn name(&self) -> String {
            "memory".into()
        }
    }

    const OBJECT: ObjectId = ObjectId([7; 16]);
    const TENANT: TenantNumber = TenantNumber(3);

    fn key() -> DataKey {
        DataKey::new(KeyId(5), [9; 32])
    }

    fn binding() -> Binding<'static> {
        Binding {
            object: OBJECT,
            tenant: TENANT,
            context: b"context",
        }
    }

    fn sample(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (at * 31 + at / 251) as u8).collect()
    }

    fn sealed(plain: &[u8], context: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let binding = Binding {
            context,
            ..binding()
        };
        seal(&key(), [1; 32], &binding, plain, &mut out);
        out
    }

    fn opened(sealed: &[u8], binding: &Binding<'_>) -> Option<Vec<u8>> {
        match open(&key(), binding, sealed, "f", 0) {
            Ok(plain) => Some(plain),
            Err(ReadError::Damaged { file, .. }) if file == "f" => None,
            Err(other) => panic!("{other}"),
        }
    }

    const SIZES: [usize; 8] = [
        0,
        1,
        100,
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        2 * CHUNK_BYTES,
        3 * CHUNK_BYTES + 77,
    ];

    #[test]
    fn round_trip_at_the_edges_of_chunks() {
        for size in SIZES {
            let plain = sample(size);
            let sealed = sealed(&plain, b"context");
            assert_eq!(sealed.len() as u64, sealed_bytes(size as u64));
            assert_eq!(plain_bytes(sealed.len() as u64), Some(size as u64));
            assert_eq!(opened(&sealed, &binding()), Some(plain), "{size}");
        }
    }

    #[test]
    fn swapped_containers_are_refused() {
        let sealed = sealed(b"secret", b"context");
        let refused = |binding: Binding<'_>| assert_eq!(opened(&sealed, &binding), None);
        refused(Binding {
            object: ObjectId([8; 16]),
            ..binding()
        });
        refused(Binding {
            tenant: TenantNumber(4),
            ..binding()
        });
        refused(Binding {
            context: b"contexT",
            ..binding()
        });
        let other = DataKey::new(KeyId(5), [10; 32]);
        assert!(open(&other, &binding(), &sealed, "f", 0).is_err());
    }

    #[test]
    fn every_truncation_and_extension_is_refused() {
        let plain = sample(CHUNK_BYTES + 40);
        let whole = sealed(&plain, b"context");
        let near_chunk = HEADER_BYTES + SEALED_CHUNK_BYTES;
        for cut in (0..200).chain(near_chunk - 40..whole.len()) {
            assert_eq!(opened(&whole[..cut], &binding()), None, "{cut}");
        }
        let mut longer = whole;
        longer.push(0);
        assert_eq!(opened(&longer, &binding()), None);
    }

    #[test]
    fn every_flip_is_refused() {
        let mut sealed = sealed(&sample(300), b"context");
        for at in 0..sealed.len() {
            for bit in 0..8 {
                sealed[at] ^= 1 << bit;
                assert_eq!(opened(&sealed, &binding()), None, "{at} {bit}");
                sealed[at] ^= 1 << bit;
            }
        }
    }

    #[test]
    fn chunks_cannot_trade_places() {
        let mut sealed = sealed(&sample(3 * CHUNK_BYTES), b"context");
        let (first, second) = sealed[HEADER_BYTES..].split_at_mut(SEALED_CHUNK_BYTES);
        first.swap_with_slice(&mut second[..SEALED_CHUNK_BYTES]);
        assert_eq!(opened(&sealed, &binding()), None);
    }

    #[test]
    fn the_well_known_key_opens_for_everybody() {
        let mut out = Vec::new();
        let everybody = DataKey::well_known();
        seal(&everybody, [1; 32], &binding(), b"x", &mut out);
        assert_eq!(
            open(&everybody, &binding(), &out, "f", 0).unwrap(),
            b"x".to_vec()
        );
        assert!(open(&key(), &binding(), &out, "f", 0).is_err());
    }

    proptest! {
        #[test]
        fn ranges_equal_the_plain_bytes(
            size in 0usize..4 * CHUNK_BYTES,
            a in 0usize..4 * CHUNK_BYTES,
            b in 0usize..4 * CHUNK_BYTES,
        ) {
            let plain = sample(size);
            let source = Arc::new(InMemory(sealed(&plain, b"")));
            let reader = ContainerReader::new(source, Arc::new(key()), OBJECT, TENANT).unwrap();
            let (start, end) = (a.min(b), a.max(b));
            match plain.get(start..end) {
                Some(expected) => {
                    prop_assert_eq!(reader.read(start as u64, end - start).unwrap(), expected);
                }
                None => prop_assert!(reader.read(start as u64, end - start).is_err()),
            }
        }
    }

    #[test]
    fn a_range_is_read_past_damage_elsewhere() {
        let plain = sample(3 * CHUNK_BYTES);
        let mut bytes = sealed(&plain, b"");
        bytes[HEADER_BYTES + SEALED_CHUNK_BYTES + 5] ^= 1;
        let source = Arc::new(InMemory(bytes));
        let reader = ContainerReader::new(source, Arc::new(key()), OBJECT, TENANT).unwrap();
        assert_eq!(reader.read(10, 20).unwrap(), &plain[10..30]);
        assert!(reader.read(CHUNK_BYTES as u64, 1).is_err());
        assert!(reader.read(0, 3 * CHUNK_BYTES).is_err());
        assert!(reader.read(2 * CHUNK_BYTES as u64, CHUNK_BYTES).is_ok());
    }

    /// Readers count what they keep by its length.
    #[test]
    fn what_is_read_holds_no_more_memory_than_it_has_bytes() {
        let sealed = sealed(&sample(3 * CHUNK_BYTES), b"");
        let source = Arc::new(InMemory(sealed));
        let reader = ContainerReader::new(source, Arc::new(key()), OBJECT, TENANT).unwrap();
        for (at, bytes) in [(0, 1), (7, 100), (CHUNK_BYTES - 1, 2), (5, 2 * CHUNK_BYTES)] {
            let read = reader.read(at as u64, bytes).unwrap();
            assert_eq!(read.len(), bytes);
            assert_eq!(read.capacity(), bytes, "{bytes} at {at}");
        }
    }
}
