//! The files of a spool: sealed, and written so that a crash leaves the old or the new one.
use super::{SpoolError, SpoolOptions, VERSION};
use serde::{
    Serialize,
    de::{DeserializeOwned, Error},
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use taffrail_model::{files::Files, time::Timestamp};
use taffrail_storage::{
    container::{self, Binding, CHUNK_BYTES, ContainerReader, Entropy, ObjectId, STORE_TENANT},
    durable,
    keys::{Kek, Keyring, KeyringOptions},
    read::{ReadAt, ReadError},
};

/// Folder of the batches that are not acknowledged.
pub(super) const BATCHES: &str = "pending";
const REJECTED: &str = "rejected";
const KEYS: &str = "keys";
const STATE: &str = "state";
/// See [`Place::Producer`].
pub(super) const PRODUCER: &str = "producer";
/// Ending of a file that is not complete.
const UNFINISHED: &str = ".new";
/// Ending of a batch that cannot be read, and is not sent.
const ASIDE: &str = ".damaged";

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    State,
    /// The note of who fills it now.
    Producer,
    Batch(u64),
    /// A batch that was put aside.
    Aside(u64),
    Rejected(u64),
}

/// Which numbered files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbered {
    Batches,
    Aside,
    Rejected,
}

/// A file that could not be created.
pub(super) struct CreateError {
    pub(super) error: SpoolError,
    /// Whether the name may be there.
    pub(super) is_after_rename: bool,
}

pub(super) struct SealedFiles {
    files: Arc<dyn Files>,
    directory: PathBuf,
    keys: Arc<Keyring>,
    entropy: Entropy,
}

impl SealedFiles {
    pub(super) fn open(
        options: &SpoolOptions,
        files: Arc<dyn Files>,
        kek: Arc<dyn Kek>,
    ) -> Result<(SealedFiles, Vec<(String, String)>), SpoolError> {
        let directory = options.directory.clone();
        let keys = directory.join(KEYS);
        let (batches, rejected) = (directory.join(BATCHES), directory.join(REJECTED));
        // The directory's own name too: taking its lock has made it already.
        for made in [&directory, &keys, &batches, &rejected] {
            at(made, durable::make_directories(&*files, made))?;
        }
        let names = at(&directory, files.list(&directory))?;
        // The state is written before the first batch, and both under a key that is written
        // before them.
        let has_data = names.iter().any(|entry| entry.name == STATE);
        let ring_options = KeyringOptions {
            directory: keys,
            encryption: true,
            has_data,
            needs_secret_keys: has_data,
            entropy: options.entropy.clone(),
        };
        let (keys, repaired) =
            Keyring::open(ring_options, files.clone(), kek).map_err(SpoolError::Keys)?;
        let sealed = SealedFiles {
            files,
            directory,
            keys: Arc::new(keys),
            entropy: options.entropy.clone(),
        };
        sealed.remove_unfinished()?;
        Ok((sealed, repaired))
    }

    fn remove_unfinished(&self) -> Result<(), SpoolError> {
        for directory in [
            self.directory.clone(),
            self.directory.join(BATCHES),
            self.directory.join(REJECTED),
        ] {
            for entry in at(&directory, self.files.list(&directory))? {
                if !entry.is_directory && entry.name.ends_with(UNFINISHED) {
                    let path = directory.join(&entry.name);
                    at(&path, self.files.remove(&path))?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn path(&self, place: Place) -> PathBuf {
        match place {
            Place::State => self.directory.join(STATE),
            Place::Producer => self.directory.join(PRODUCER),
            // Sixteen digits, so that the order of names is that of numbers.
            Place::Batch(number) => self.directory.join(format!("{BATCHES}/{number:016x}")),
            Place::Aside(number) => self
                .directory
                .join(format!("{BATCHES}/{number:016x}{ASIDE}")),
            Place::Rejected(number) => self.directory.join(format!("{REJECTED}/{number:016x}")),
        }
    }

    fn object(place: Place) -> ObjectId {
        match place {
            Place::State => ObjectId::numbered(*b"shipstat", 0),
            Place::Producer => ObjectId::numbered(*b"shipprod", 0),
            Place::Batch(number) | Place::Aside(number) => ObjectId::numbered(*b"shipbatc", number),
            Place::Rejected(number) => ObjectId::numbered(*b"shipreje", number),
        }
    }

    fn form(&self, place: Place, source: serde_json::Error) -> SpoolError {
        SpoolError::Form {
            path: self.path(place),
            source,
        }
    }

    pub(super) fn wrong_form(&self, place: Place, detail: &str) -> SpoolError {
        self.form(place, serde_json::Error::custom(detail))
    }

    /// That a file is of a version that is known: of a newer one, nothing is guessed.
    pub(super) fn known(&self, place: Place, version: u32) -> Result<(), SpoolError> {
        match version {
            VERSION => Ok(()),
            other => Err(self.wrong_form(place, &format!("version {other} is not known here"))),
        }
    }

    pub(super) fn encode(
        &self,
        place: Place,
        value: &impl Serialize,
    ) -> Result<Vec<u8>, SpoolError> {
        serde_json::to_vec(value).map_err(|source| self.form(place, source))
    }

    pub(super) fn decode<T: DeserializeOwned>(
        &self,
        place: Place,
        bytes: &[u8],
    ) -> Result<T, SpoolError> {
        serde_json::from_slice(bytes).map_err(|source| self.form(place, source))
    }

    /// The plain content; `None` if there is no such file.
    pub(super) fn read(&self, place: Place) -> Result<Option<Vec<u8>>, SpoolError> {
        let Some(sealed) = self.read_sealed(place)? else {
            return Ok(None);
        };
        self.open_sealed(place, &sealed)
            .map(Some)
            .map_err(SpoolError::Damaged)
    }

    fn open_sealed(&self, place: Place, sealed: &[u8]) -> Result<Vec<u8>, ReadError> {
        let binding = Binding {
            object: SealedFiles::object(place),
            tenant: STORE_TENANT,
            context: &[],
        };
        let name = self.path(place).display().to_string();
        container::open(&*self.keys, &binding, sealed, &name, 0)
    }

    fn read_sealed(&self, place: Place) -> Result<Option<Vec<u8>>, SpoolError> {
        let path = self.path(place);
        let file = match self.files.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => at(&path, other)?,
        };
        let bytes = at(&path, file.len())?;
        let mut sealed = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
        at(&path, file.read_at(0, &mut sealed))?;
        Ok(Some(sealed))
    }

    /// Renames a batch that cannot be read, durably.
    pub(super) fn put_aside(&self, number: u64) -> Result<(), SpoolError> {
        let path = self.path(Place::Batch(number));
        match durable::name(&*self.files, &path, &self.path(Place::Aside(number))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => at(&path, other),
        }
    }

    /// What is wrong with a batch that was put aside, and its first line, if the chunks with that
    /// can be read.
    pub(super) fn salvage(&self, number: u64) -> Result<(String, Option<Vec<u8>>), SpoolError> {
        let place = Place::Aside(number);
        let Some(sealed) = self.read_sealed(place)? else {
            return Ok(("the file is gone".into(), None));
        };
        let detail = match self.open_sealed(place, &sealed) {
            Ok(_) => "it could not be read before".into(),
            Err(error) => error.to_string(),
        };
        let bytes = InMemory {
            bytes: sealed,
            name: self.path(place).display().to_string(),
        };
        let object = SealedFiles::object(place);
        let keys = self.keys.clone();
        // Nothing of it can be read.
        let Ok(reader) = ContainerReader::new(Arc::new(bytes), keys, object, STORE_TENANT) else {
            return Ok((detail, None));
        };
        Ok((detail, first_line(&reader)))
    }

    /// Writes a file that replaces the one of the same name.
    pub(super) fn replace(
        &self,
        place: Place,
        plain: &[u8],
        now: Timestamp,
    ) -> Result<(), SpoolError> {
        self.create(place, plain, now)
            .map(|_| ())
            .map_err(|error| error.error)
    }

    /// Writes a file; returns its length.
    pub(super) fn create(
        &self,
        place: Place,
        plain: &[u8],
        now: Timestamp,
    ) -> Result<u64, CreateError> {
        let path = self.path(place);
        let unfinished = durable::unfinished(&path);
        let bytes = self
            .write_unfinished(place, plain, &unfinished, now)
            .map_err(|error| {
                // What remains of it is removed at the next attempt or start.
                let _ = self.files.remove(&unfinished);
                CreateError {
                    error,
                    is_after_rename: false,
                }
            })?;
        let named = durable::name(&*self.files, &unfinished, &path);
        at(&path, named).map_err(|error| CreateError {
            error,
            is_after_rename: true,
        })?;
        Ok(bytes)
    }

    fn write_unfinished(
        &self,
        place: Place,
        plain: &[u8],
        path: &Path,
        now: Timestamp,
    ) -> Result<u64, SpoolError> {
        let key = self
            .keys
            .sealing_key(STORE_TENANT, now)
            .map_err(SpoolError::Keys)?;
        let mut salt = [0; 32];
        (self.entropy)(&mut salt);
        let binding = Binding {
            object: SealedFiles::object(place),
            tenant: STORE_TENANT,
            context: &[],
        };
        let mut sealed = Vec::new();
        container::seal(&key, salt, &binding, plain, &mut sealed);
        at(path, durable::write_unfinished(&*self.files, path, &sealed))?;
        Ok(sealed.len() as u64)
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, place: Place) -> Result<(), SpoolError> {
        let path = self.path(place);
        match self.files.remove(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => at(&path, other),
        }
    }

    /// Numbers and lengths of the batches, ascending.
    pub(super) fn batches(&self) -> Result<Vec<(u64, u64)>, SpoolError> {
        self.numbered(Numbered::Batches)
    }

    /// Numbers and lengths of the batches that were put aside, ascending.
    pub(super) fn aside(&self) -> Result<Vec<(u64, u64)>, SpoolError> {
        self.numbered(Numbered::Aside)
    }

    /// Numbers and lengths of the files of rejected records, ascending.
    pub(super) fn rejected(&self) -> Result<Vec<(u64, u64)>, SpoolError> {
        self.numbered(Numbered::Rejected)
    }

    fn numbered(&self, which: Numbered) -> Result<Vec<(u64, u64)>, SpoolError> {
        let (directory, ending) = match which {
            Numbered::Batches => (BATCHES, ""),
            Numbered::Aside => (BATCHES, ASIDE),
            Numbered::Rejected => (REJECTED, ""),
        };
        let directory = self.directory.join(directory);
        let entries = at(&directory, self.files.list(&directory))?;
        let number = |name: &str| {
            let digits = name.strip_suffix(ending)?;
            let is_number = digits.len() == 16;
            u64::from_str_radix(digits, 16).ok().filter(|_| is_number)
        };
        Ok(entries
            .iter()
            .filter(|entry| !entry.is_directory)
            .filter_map(|entry| Some((number(&entry.name)?, entry.bytes)))
            .collect())
    }

    /// Removes the oldest of these files until they fit; how many.
    pub(super) fn trim(&self, which: Numbered, bytes_max: u64) -> Result<u32, SpoolError> {
        let files = self.numbered(which)?;
        let mut bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        let mut removed = 0;
        for (number, length) in files {
            if bytes <= bytes_max {
                break;
            }
            self.remove(match which {
                Numbered::Batches => Place::Batch(number),
                Numbered::Aside => Place::Aside(number),
                Numbered::Rejected => Place::Rejected(number),
            })?;
            bytes -= length;
            removed += 1;
        }
        Ok(removed)
    }
}

/// A file that was read.
struct InMemory {
    bytes: Vec<u8>,
    name: String,
}

impl ReadAt for InMemory {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, ReadError> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let range = start..start.saturating_add(bytes);
        let read = self.bytes.get(range).ok_or_else(|| ReadError::Damaged {
            file: self.name.clone(),
            offset,
            detail: "it ends before".into(),
        })?;
        Ok(read.to_vec())
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// The content up to its first line feed, if all of that can be read.
fn first_line(content: &dyn ReadAt) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    while (line.len() as u64) < content.len() {
        let left = content.len() - line.len() as u64;
        let bytes = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
        let chunk = content.read(line.len() as u64, bytes).ok()?;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(&chunk[..end.unwrap_or(chunk.len())]);
        if end.is_some() {
            return Some(line);
        }
    }
    None
}

fn at<T>(path: &Path, outcome: io::Result<T>) -> Result<T, SpoolError> {
    outcome.map_err(|source| SpoolError::Io {
        path: path.to_path_buf(),
        source,
    })
}
