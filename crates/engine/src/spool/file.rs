//! The files of a spool: sealed, and written so that a crash leaves the old or the new one.
use super::{SpoolError, SpoolOptions};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use taffrail_model::{files::Files, time::Timestamp};
use taffrail_storage::{
    container::{self, Binding, Entropy, ObjectId, STORE_TENANT},
    durable,
    keys::{Kek, Keyring, KeyringOptions},
};

/// Folder of the batches that are not acknowledged.
pub(super) const BATCHES: &str = "pending";
const REJECTED: &str = "rejected";
const KEYS: &str = "keys";
const STATE: &str = "state";
/// Ending of a file that is not complete.
const UNFINISHED: &str = ".new";

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    State,
    Batch(u64),
    Rejected(u64),
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
    keys: Keyring,
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
            keys,
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

    fn path(&self, place: Place) -> PathBuf {
        match place {
            Place::State => self.directory.join(STATE),
            // Sixteen digits, so that the order of names is that of numbers.
            Place::Batch(number) => self.directory.join(format!("{BATCHES}/{number:016x}")),
            Place::Rejected(number) => self.directory.join(format!("{REJECTED}/{number:016x}")),
        }
    }

    fn object(place: Place) -> ObjectId {
        match place {
            Place::State => ObjectId::numbered(*b"shipstat", 0),
            Place::Batch(number) => ObjectId::numbered(*b"shipbatc", number),
            Place::Rejected(number) => ObjectId::numbered(*b"shipreje", number),
        }
    }

    pub(super) fn form(&self, place: Place, source: serde_json::Error) -> SpoolError {
        SpoolError::Form {
            path: self.path(place),
            source,
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
        let path = self.path(place);
        let file = match self.files.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => at(&path, other)?,
        };
        let bytes = at(&path, file.len())?;
        let mut sealed = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
        at(&path, file.read_at(0, &mut sealed))?;
        let binding = Binding {
            object: SealedFiles::object(place),
            tenant: STORE_TENANT,
            context: &[],
        };
        let name = path.display().to_string();
        container::open(&self.keys, &binding, &sealed, &name, 0)
            .map(Some)
            .map_err(SpoolError::Damaged)
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
        self.numbered(BATCHES)
    }

    /// Numbers and lengths of the files of rejected records, ascending.
    pub(super) fn rejected(&self) -> Result<Vec<(u64, u64)>, SpoolError> {
        self.numbered(REJECTED)
    }

    fn numbered(&self, directory: &str) -> Result<Vec<(u64, u64)>, SpoolError> {
        let directory = self.directory.join(directory);
        let entries = at(&directory, self.files.list(&directory))?;
        Ok(entries
            .iter()
            .filter(|entry| !entry.is_directory && entry.name.len() == 16)
            .filter_map(|entry| Some((u64::from_str_radix(&entry.name, 16).ok()?, entry.bytes)))
            .collect())
    }

    /// Removes the oldest files of rejected records until they fit; how many.
    pub(super) fn trim_rejected(&self, bytes_max: u64) -> Result<u32, SpoolError> {
        let files = self.rejected()?;
        let mut bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        let mut removed = 0;
        for (number, length) in files {
            if bytes <= bytes_max {
                break;
            }
            self.remove(Place::Rejected(number))?;
            bytes -= length;
            removed += 1;
        }
        Ok(removed)
    }
}

fn at<T>(path: &Path, outcome: io::Result<T>) -> Result<T, SpoolError> {
    outcome.map_err(|source| SpoolError::Io {
        path: path.to_path_buf(),
        source,
    })
}
