//! Keys: the key-encryption key, and the keyring with the data keys that it protects.
//!
//! Invariants
//! - A data key is durable in both copies of the keyring before anything is sealed under it.
//! - A keyring is replaced as a whole, with a higher generation; a copy that is damaged or stale
//!   is named, and written anew from the good one.
//! - Where a store has never run with `encryption: off`, a container under the well-known key is
//!   refused: nobody can slip in bytes that only everybody's key protects.
//!
//! Each generation has a fresh ring key, wrapped by the [`Kek`]; the data keys (one a tenant and
//! period of 90 days) lie in a container under the ring key. So a start asks the Kek once, however
//! many tenants there are, and every byte of the file is authenticated. Format:
//! docs/formats/keyring.md.
use crate::{
    container::{self, Binding, DataKey, Entropy, KeyId, KeySource, ObjectId, STORE_TENANT},
    durable,
    encoding::{Input, Malformed, put_varint},
    local_files::LocalFiles,
    read::ReadError,
};
use parking_lot::{Mutex, RwLock};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::{
    collections::HashMap,
    fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use taffrail_model::{
    files::Files,
    tenant::TenantNumber,
    time::{NS_PER_DAY, Timestamp},
};

/// Days that one data key serves: what a leaked data key opens is bounded to a quarter.
pub const DATA_KEY_DAYS: i64 = 90;
const COPIES: [&str; 2] = ["keyring.0", "keyring.1"];
const MAGIC: [u8; 4] = *b"TFKR";
const KEYRING_KIND: [u8; 8] = *b"keyring\0";
/// The smallest part before the container: magic, version, generation, length of the wrapped key.
const PREFIX_BYTES: usize = 20;
/// A wrapped key of a key service is a few hundred bytes.
const WRAPPED_BYTES_MAX: usize = 4 << 10;

/// The key-encryption key did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// What was to be unwrapped was not wrapped by this key, or is damaged.
    #[error("this key-encryption key does not fit, or the wrapped key is damaged")]
    DoesNotFit,
    /// The service that holds the key did not answer.
    #[error("the key-encryption key cannot be reached")]
    Unreachable(#[source] io::Error),
}

/// A key-encryption key: a key file, the keyring of the operating system, a key service.
pub trait Kek: Send + Sync {
    /// Encrypts a key of 32 bytes.
    ///
    /// # Errors
    /// [`KekError`].
    fn wrap(&self, secret: &[u8; 32]) -> Result<Vec<u8>, KekError>;
    /// Decrypts what [`Kek::wrap`] gave.
    ///
    /// # Errors
    /// [`KekError`].
    fn unwrap(&self, wrapped: &[u8]) -> Result<[u8; 32], KekError>;
}

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Others than the owner may read or write it.
    #[error("{} may be read by others (mode {mode:03o}): allow its owner alone, `chmod 600`", .path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Not the content of a key file, or damaged.
    #[error("{} is not a key file, or it is damaged", .0.display())]
    Damaged(PathBuf),
    /// The operating system failed.
    #[error("cannot use {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

/// A key-encryption key in a file of its owner alone, outside of the data directory.
///
/// It is one line: `taffrail-key-1`, the key as 64 hexadecimal digits, the CRC-32C of those as 8.
pub struct KeyFile {
    secret: [u8; 32],
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyFile")
    }
}

impl KeyFile {
    /// A key that is not in a file, for tests and for keys that come from elsewhere.
    #[must_use]
    pub fn from_secret(secret: [u8; 32]) -> KeyFile {
        KeyFile { secret }
    }

    /// Reads the key file, or creates it, durably, if it is missing. `true`: it was created, and
    /// its owner must be told to back it up.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn load_or_create(path: &Path) -> Result<(KeyFile, bool), KeyFileError> {
        match KeyFile::load(path) {
            Err(KeyFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok((KeyFile::create(path)?, true))
            }
            other => other.map(|key| (key, false)),
        }
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn load(path: &Path) -> Result<KeyFile, KeyFileError> {
        let io_error = |source| KeyFileError::Io {
            path: path.into(),
            source,
        };
        let mut file = fs::File::open(path).map_err(io_error)?;
        let mode = file.metadata().map_err(io_error)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Permissions {
                path: path.into(),
                mode,
            });
        }
        let mut text = String::new();
        // A key file is one short line; whatever is larger is something else.
        let read = (&mut file).take(1_024).read_to_string(&mut text);
        match read {
            Err(error) if error.kind() != io::ErrorKind::InvalidData => Err(io_error(error)),
            _ => parse_key_line(&text)
                .map(KeyFile::from_secret)
                .ok_or_else(|| KeyFileError::Damaged(path.into())),
        }
    }

    fn create(path: &Path) -> Result<KeyFile, KeyFileError> {
        let io_error = |source| KeyFileError::Io {
            path: path.into(),
            source,
        };
        let mut secret = [0; 32];
        system_entropy()(&mut secret);
        let parent = durable::parent(path);
        let unfinished = durable::unfinished(path);
        durable::make_directories(&LocalFiles, parent)
            .and_then(|()| {
                let line = key_line(&secret);
                durable::write_unfinished(&LocalFiles, &unfinished, line.as_bytes())
            })
            // A hard link fails where a rename would replace a key that another start made.
            .and_then(|()| fs::hard_link(&unfinished, path))
            .and_then(|()| fs::remove_file(&unfinished))
            .and_then(|()| LocalFiles.sync_directory(parent))
            .map_err(io_error)?;
        Ok(KeyFile { secret })
    }

    fn cipher(&self) -> LessSafeKey {
        let key = UnboundKey::new(&AES_256_GCM, &self.secret)
            .unwrap_or_else(|_| unreachable!("the key has the length of AES-256"));
        LessSafeKey::new(key)
    }
}

const WRAP_CONTEXT: &[u8] = b"taffrail ring key 1";

impl Kek for KeyFile {
    fn wrap(&self, secret: &[u8; 32]) -> Result<Vec<u8>, KekError> {
        let mut nonce = [0; NONCE_LEN];
        system_entropy()(&mut nonce);
        let mut sealed = secret.to_vec();
        self.cipher()
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(WRAP_CONTEXT),
                &mut sealed,
            )
            .map_err(|_| KekError::DoesNotFit)?;
        Ok([&nonce[..], &sealed].concat())
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<[u8; 32], KekError> {
        let (nonce, sealed) = wrapped
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(KekError::DoesNotFit)?;
        let mut sealed = sealed.to_vec();
        let plain = self
            .cipher()
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(WRAP_CONTEXT),
                &mut sealed,
            )
            .map_err(|_| KekError::DoesNotFit)?;
        (&*plain).try_into().map_err(|_| KekError::DoesNotFit)
    }
}

fn key_line(secret: &[u8; 32]) -> String {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let checksum = crc32c::crc32c(hex.as_bytes());
    format!("taffrail-key-1 {hex} {checksum:08x}\n")
}

fn parse_key_line(text: &str) -> Option<[u8; 32]> {
    let mut words = text.split_ascii_whitespace();
    let (name, hex, checksum) = (words.next()?, words.next()?, words.next()?);
    let is_line = name == "taffrail-key-1"
        && words.next().is_none()
        && hex.len() == 64
        && u32::from_str_radix(checksum, 16) == Ok(crc32c::crc32c(hex.as_bytes()));
    if !is_line {
        return None;
    }
    let mut secret = [0; 32];
    for (at, byte) in secret.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(secret)
}

/// The operating system's random numbers.
#[must_use]
pub fn system_entropy() -> Entropy {
    Arc::new(|out: &mut [u8]| {
        use ring::rand::{SecureRandom, SystemRandom};
        // The system's generator fails only before the machine has gathered entropy at boot.
        // Going on with a predictable salt would be worse than to wait.
        while SystemRandom::new().fill(out).is_err() {
            std::thread::yield_now();
        }
    })
}

/// Why the keyring cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// No copy can be read, and there is data that needs it.
    #[error("no copy of the keyring can be read: {detail}; restore it from its backup")]
    Lost {
        /// What is wrong with each copy.
        detail: String,
    },
    /// The key-encryption key failed.
    #[error("cannot unwrap the keyring")]
    Kek(#[source] KekError),
    /// The operating system failed.
    #[error("cannot use {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

#[derive(Clone, Default, PartialEq, Eq)]
struct Keys {
    generation: u64,
    /// Whether the store ran with `encryption: off` at some time.
    is_well_known_allowed: bool,
    next_id: u64,
    by_id: HashMap<(TenantNumber, KeyId), DataKey>,
    by_period: HashMap<(TenantNumber, u32), KeyId>,
}

/// The data keys of a store.
pub struct Keyring {
    files: Arc<dyn Files>,
    directory: PathBuf,
    kek: Arc<dyn Kek>,
    entropy: Entropy,
    is_encrypting: bool,
    keys: RwLock<Arc<Keys>>,
    /// Held while a generation is written.
    writing: Mutex<()>,
}

/// What a keyring is opened with.
pub struct KeyringOptions {
    /// Directory of the two copies; it exists.
    pub directory: PathBuf,
    /// Whether new containers are sealed under secret keys.
    pub encryption: bool,
    /// Whether the store has data already.
    pub has_data: bool,
    /// Whether some of that data is sealed under a secret key.
    pub needs_secret_keys: bool,
    /// Random numbers.
    pub entropy: Entropy,
}

impl Keyring {
    /// Opens the keyring. The texts name copies that were damaged or stale; they are whole again.
    ///
    /// # Errors
    /// [`KeyringError`]: if no copy can be read although there must be one, nothing is written.
    pub fn open(
        options: KeyringOptions,
        files: Arc<dyn Files>,
        kek: Arc<dyn Kek>,
    ) -> Result<(Keyring, Vec<(String, String)>), KeyringError> {
        let ring = Keyring {
            files,
            directory: options.directory,
            kek,
            entropy: options.entropy,
            is_encrypting: options.encryption,
            keys: RwLock::default(),
            writing: Mutex::new(()),
        };
        let read: Vec<_> = COPIES.iter().map(|copy| ring.read_copy(copy)).collect();
        let newest = read
            .iter()
            .filter_map(|copy| copy.as_ref().ok())
            .max_by_key(|keys| keys.generation)
            .cloned();
        let is_missing = |copy: &Result<Keys, CopyFault>| matches!(copy, Err(CopyFault::Missing));
        let Some(mut keys) = newest else {
            if options.needs_secret_keys || !read.iter().all(is_missing) {
                return Err(lost(read));
            }
            let keys = Keys {
                generation: 0,
                is_well_known_allowed: !options.encryption || options.has_data,
                next_id: 1,
                ..Keys::default()
            };
            *ring.keys.write() = Arc::new(keys);
            return Ok((ring, Vec::new()));
        };
        let faults: Vec<_> = COPIES
            .iter()
            .zip(&read)
            .filter_map(|(copy, read)| {
                let detail = match read {
                    Ok(found) if found.generation == keys.generation => return None,
                    Ok(found) => format!(
                        "generation {} instead of {}: written anew",
                        found.generation, keys.generation
                    ),
                    Err(fault) => format!("{fault}: written anew"),
                };
                Some((format!("keys/{copy}"), detail))
            })
            .collect();
        let must_allow = !options.encryption && !keys.is_well_known_allowed;
        if must_allow || !faults.is_empty() {
            keys.is_well_known_allowed |= must_allow;
            ring.write(keys)?;
        } else {
            *ring.keys.write() = Arc::new(keys);
        }
        Ok((ring, faults))
    }

    /// The key to seal a tenant's data under at a time; made, durably, if there is none yet.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn sealing_key(
        &self,
        tenant: TenantNumber,
        now: Timestamp,
    ) -> Result<DataKey, KeyringError> {
        if !self.is_encrypting {
            return Ok(DataKey::well_known());
        }
        let period = now.0.div_euclid(NS_PER_DAY * DATA_KEY_DAYS);
        let period = u32::try_from(period).unwrap_or_default();
        let find = || {
            let keys = self.keys.read();
            let id = keys.by_period.get(&(tenant, period))?;
            keys.by_id.get(&(tenant, *id)).cloned()
        };
        if let Some(key) = find() {
            return Ok(key);
        }
        let _writing = self.writing.lock();
        if let Some(key) = find() {
            return Ok(key);
        }
        let mut secret = [0; 32];
        (self.entropy)(&mut secret);
        let mut keys = Keys::clone(&self.keys.read());
        let key = DataKey::new(KeyId(keys.next_id), secret);
        keys.next_id += 1;
        keys.by_period.insert((tenant, period), key.id());
        keys.by_id.insert((tenant, key.id()), key.clone());
        self.write(keys)?;
        Ok(key)
    }

    /// Generation of the keyring; 0 before its first write.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.keys.read().generation
    }

    fn read_copy(&self, copy: &str) -> Result<Keys, CopyFault> {
        let path = self.directory.join(copy);
        let bytes = match read_whole(&*self.files, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(CopyFault::Missing);
            }
            other => other.map_err(CopyFault::Io)?,
        };
        if bytes.len() < PREFIX_BYTES || bytes[..4] != MAGIC || bytes[4..8] != [1, 0, 0, 0] {
            return Err(CopyFault::Damaged("not a keyring of a known version"));
        }
        let mut input = Input::new(&bytes[8..]);
        let malformed = |_: Malformed| CopyFault::Damaged("it is cut");
        let generation = input.u64().map_err(malformed)?;
        let wrapped_bytes = input.u32().map_err(malformed)? as usize;
        if wrapped_bytes > WRAPPED_BYTES_MAX {
            return Err(CopyFault::Damaged("its prefix"));
        }
        let wrapped = input.take(wrapped_bytes).map_err(malformed)?;
        let ring_key = self.kek.unwrap(wrapped).map_err(CopyFault::Kek)?;
        let (prefix, sealed) = bytes.split_at(PREFIX_BYTES + wrapped_bytes);
        let binding = Binding {
            object: ObjectId::numbered(KEYRING_KIND, generation),
            tenant: STORE_TENANT,
            context: prefix,
        };
        let ring_key = DataKey::new(KeyId(generation), ring_key);
        let plain = container::open(&ring_key, &binding, sealed, copy, 0)
            .map_err(|_: ReadError| CopyFault::Damaged("the authentication tag does not fit"))?;
        decode_keys(generation, &plain).map_err(|_| CopyFault::Damaged("its structure"))
    }

    /// Writes a new generation to both copies, then uses it.
    fn write(&self, mut keys: Keys) -> Result<(), KeyringError> {
        keys.generation += 1;
        let mut ring_key = [0; 32];
        (self.entropy)(&mut ring_key);
        let mut salt = [0; 32];
        (self.entropy)(&mut salt);
        let wrapped = self.kek.wrap(&ring_key).map_err(KeyringError::Kek)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0, 0, 0]);
        bytes.extend(keys.generation.to_le_bytes());
        bytes.extend((wrapped.len() as u32).to_le_bytes());
        bytes.extend(&wrapped);
        let prefix = bytes.clone();
        let binding = Binding {
            object: ObjectId::numbered(KEYRING_KIND, keys.generation),
            tenant: STORE_TENANT,
            context: &prefix,
        };
        let ring_key = DataKey::new(KeyId(keys.generation), ring_key);
        container::seal(&ring_key, salt, &binding, &encode_keys(&keys), &mut bytes);
        for copy in COPIES {
            let path = self.directory.join(copy);
            durable::replace(&*self.files, &path, &bytes)
                .map_err(|source| KeyringError::Io { path, source })?;
        }
        *self.keys.write() = Arc::new(keys);
        Ok(())
    }
}

impl KeySource for Keyring {
    fn key(&self, tenant: TenantNumber, id: KeyId) -> Option<DataKey> {
        let keys = self.keys.read();
        if id == DataKey::WELL_KNOWN {
            return keys.is_well_known_allowed.then(DataKey::well_known);
        }
        keys.by_id.get(&(tenant, id)).cloned()
    }
}

#[derive(Debug, thiserror::Error)]
enum CopyFault {
    #[error("it is missing")]
    Missing,
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    #[error("it cannot be unwrapped: {0}")]
    Kek(KekError),
    #[error("it cannot be read: {0}")]
    Io(io::Error),
}

fn lost(read: Vec<Result<Keys, CopyFault>>) -> KeyringError {
    let details = COPIES.iter().zip(read).filter_map(|(copy, read)| {
        let fault = read.err()?;
        Some(format!("{copy}: {fault}"))
    });
    KeyringError::Lost {
        detail: details.collect::<Vec<_>>().join("; "),
    }
}

fn encode_keys(keys: &Keys) -> Vec<u8> {
    let mut out = vec![u8::from(keys.is_well_known_allowed)];
    put_varint(&mut out, keys.next_id);
    put_varint(&mut out, keys.by_period.len() as u64);
    let mut periods: Vec<_> = keys.by_period.iter().collect();
    periods.sort();
    for ((tenant, period), id) in periods {
        put_varint(&mut out, u64::from(tenant.0));
        put_varint(&mut out, u64::from(*period));
        put_varint(&mut out, id.0);
        let secret = keys.by_id.get(&(*tenant, *id)).map(DataKey::secret);
        out.extend_from_slice(secret.unwrap_or(&[0; 32]));
    }
    out
}

fn decode_keys(generation: u64, plain: &[u8]) -> Result<Keys, Malformed> {
    let mut input = Input::new(plain);
    let mut keys = Keys {
        generation,
        is_well_known_allowed: input.u8()? != 0,
        next_id: input.varint()?,
        ..Keys::default()
    };
    for _ in 0..input.count(35)? {
        let tenant = TenantNumber(input.varint_u32()?);
        let period = input.varint_u32()?;
        let id = KeyId(input.varint()?);
        let secret = input.fixed()?;
        keys.by_period.insert((tenant, period), id);
        keys.by_id.insert((tenant, id), DataKey::new(id, secret));
    }
    input.end()?;
    Ok(keys)
}

/// The content of a file.
pub(crate) fn read_whole(files: &dyn Files, path: &Path) -> io::Result<Vec<u8>> {
    let file = files.open(path)?;
    let bytes = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut out = vec![0; bytes];
    file.read_at(0, &mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local_files::LocalFiles;
    use taffrail_model::tenant::DEFAULT_TENANT;

    const NOW: Timestamp = Timestamp(1_767_540_645_000_000_000);
    const LATER: Timestamp = Timestamp(NOW.0 + DATA_KEY_DAYS * NS_PER_DAY);

    fn options(directory: &Path) -> KeyringOptions {
        KeyringOptions {
            directory: directory.into(),
            encryption: true,
            has_data: false,
            needs_secret_keys: false,
            entropy: system_entropy(),
        }
    }

    type Opened = Result<(Keyring, Vec<(String, String)>), KeyringError>;

    fn open_with(options: KeyringOptions, kek: u8) -> Opened {
        let kek = Arc::new(KeyFile::from_secret([kek; 32]));
        Keyring::open(options, Arc::new(LocalFiles), kek)
    }

    fn open(directory: &Path) -> Opened {
        open_with(options(directory), 1)
    }

    /// A keyring with keys of two tenants and two periods, and those keys.
    fn filled(directory: &Path) -> Vec<(TenantNumber, DataKey)> {
        let (ring, faults) = open(directory).unwrap();
        assert!(faults.is_empty());
        let mut keys = Vec::new();
        for tenant in [STORE_TENANT, DEFAULT_TENANT] {
            for time in [NOW, LATER] {
                let key = ring.sealing_key(tenant, time).unwrap();
                assert_eq!(ring.sealing_key(tenant, time).unwrap(), key);
                keys.push((tenant, key));
            }
        }
        keys
    }

    fn has_all(ring: &Keyring, keys: &[(TenantNumber, DataKey)]) -> bool {
        keys.iter()
            .all(|(tenant, key)| ring.key(*tenant, key.id()).as_ref() == Some(key))
    }

    #[test]
    fn keys_survive_and_belong_to_their_tenant() {
        let root = tempfile::tempdir().unwrap();
        let keys = filled(root.path());
        let (ring, faults) = open(root.path()).unwrap();
        assert!(faults.is_empty());
        assert!(has_all(&ring, &keys));
        assert_eq!(ring.key(DEFAULT_TENANT, keys[0].1.id()), None);
        assert_eq!(ring.key(DEFAULT_TENANT, DataKey::WELL_KNOWN), None);
        assert_eq!(ring.sealing_key(DEFAULT_TENANT, NOW).unwrap(), keys[2].1);
        assert_eq!(ring.generation(), 4);
        assert!(matches!(
            open_with(options(root.path()), 2),
            Err(KeyringError::Lost { .. })
        ));
    }

    #[test]
    fn every_flip_in_one_copy_is_named_and_healed() {
        let root = tempfile::tempdir().unwrap();
        let keys = filled(root.path());
        let pristine = fs::read(root.path().join(COPIES[0])).unwrap();
        for at in 0..pristine.len() {
            for copy in COPIES {
                fs::write(root.path().join(COPIES[0]), &pristine).unwrap();
                fs::write(root.path().join(COPIES[1]), &pristine).unwrap();
                let mut flipped = pristine.clone();
                flipped[at] ^= 1 << (at % 8);
                fs::write(root.path().join(copy), flipped).unwrap();
                let (ring, faults) = open(root.path()).unwrap();
                assert!(has_all(&ring, &keys), "{at}");
                assert_eq!(faults.len(), 1, "{at}");
                assert_eq!(faults[0].0, format!("keys/{copy}"));
                assert!(open(root.path()).unwrap().1.is_empty(), "healed");
            }
        }
    }

    #[test]
    fn a_cut_missing_or_stale_copy_is_healed() {
        let root = tempfile::tempdir().unwrap();
        let (ring, _) = open(root.path()).unwrap();
        ring.sealing_key(DEFAULT_TENANT, NOW).unwrap();
        let stale = fs::read(root.path().join(COPIES[1])).unwrap();
        let key = ring.sealing_key(DEFAULT_TENANT, LATER).unwrap();
        let damage: [&dyn Fn(&Path); 3] = [
            &|path| fs::write(path, &stale).unwrap(),
            &|path| fs::remove_file(path).unwrap(),
            &|path| fs::write(path, &stale[..30]).unwrap(),
        ];
        for damage in damage {
            damage(&root.path().join(COPIES[1]));
            let (ring, faults) = open(root.path()).unwrap();
            assert_eq!(faults.len(), 1);
            assert_eq!(ring.key(DEFAULT_TENANT, key.id()), Some(key.clone()));
        }
    }

    #[test]
    fn a_lost_keyring_stops_the_start() {
        let root = tempfile::tempdir().unwrap();
        filled(root.path());
        for copy in COPIES {
            fs::write(root.path().join(copy), b"rubbish").unwrap();
        }
        assert!(matches!(open(root.path()), Err(KeyringError::Lost { .. })));
        for copy in COPIES {
            fs::remove_file(root.path().join(copy)).unwrap();
        }
        let with_data = KeyringOptions {
            has_data: true,
            needs_secret_keys: true,
            ..options(root.path())
        };
        assert!(matches!(
            open_with(with_data, 1),
            Err(KeyringError::Lost { .. })
        ));
    }

    #[test]
    fn without_encryption_no_keyring_is_written() {
        let root = tempfile::tempdir().unwrap();
        let off = || KeyringOptions {
            encryption: false,
            ..options(root.path())
        };
        let (ring, _) = open_with(off(), 1).unwrap();
        let key = ring.sealing_key(DEFAULT_TENANT, NOW).unwrap();
        assert_eq!(key.id(), DataKey::WELL_KNOWN);
        assert!(ring.key(DEFAULT_TENANT, key.id()).is_some());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        // A store that was encrypted and no longer is: both kinds of key are there.
        let keys = filled(root.path());
        let (ring, _) = open_with(off(), 1).unwrap();
        assert!(has_all(&ring, &keys));
        let (ring, _) = open(root.path()).unwrap();
        assert!(ring.key(DEFAULT_TENANT, DataKey::WELL_KNOWN).is_some());
    }

    #[test]
    fn a_key_file_is_private_and_checked() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep/store.key");
        let (key, is_new) = KeyFile::load_or_create(&path).unwrap();
        assert!(is_new);
        let (again, is_new) = KeyFile::load_or_create(&path).unwrap();
        assert!(!is_new);
        let wrapped = key.wrap(&[7; 32]).unwrap();
        assert_eq!(again.unwrap(&wrapped).unwrap(), [7; 32]);
        for at in 0..wrapped.len() {
            let mut flipped = wrapped.clone();
            flipped[at] ^= 1;
            assert!(key.unwrap(&flipped).is_err());
        }
        let text = fs::read(&path).unwrap();
        for at in 0..text.len() - 1 {
            let mut flipped = text.clone();
            flipped[at] ^= 1;
            fs::write(&path, &flipped).unwrap();
            assert!(
                matches!(KeyFile::load(&path), Err(KeyFileError::Damaged(_))),
                "{at}"
            );
        }
        fs::write(&path, &text).unwrap();
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = KeyFile::load_or_create(&path).unwrap_err();
            assert!(matches!(refused, KeyFileError::Permissions { .. }));
        }
    }
}
