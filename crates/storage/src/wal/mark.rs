//! The mark: what is known to be durable, written beside the log.
//!
//! The log carries its watermark in its own frames; but a file that is cut, or missing, takes
//! them along. The mark is a small file that names the newest frame, log file and manifest
//! generation, so that their absence shows. It is written when the log is idle and is not synced
//! for that: an old mark says less, never anything wrong. It has two slots of one sector each,
//! written in turn.
use crate::{
    container::{self, Binding, DataKey, Entropy, KeySource, ObjectId, STORE_TENANT},
    durable::replace,
    encoding::{Input, Malformed},
    keys::read_whole,
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use taffrail_model::{
    files::{File, Files},
    position::Position,
};

/// Name of the file within the data directory.
pub(crate) const MARK_NAME: &str = "mark";
/// What a disk writes whole.
const SLOT_BYTES: usize = 512;
const KIND: [u8; 8] = *b"wal mark";

/// What is known to be durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Counts the marks: of two slots the higher counts. The file sets it.
    pub(super) count: u64,
    /// The last durable frame.
    pub(crate) sequence: u64,
    pub(crate) next_position: Position,
    /// The newest log file.
    pub(crate) newest_number: u64,
    /// The newest manifest snapshot.
    pub(crate) generation: u64,
}

impl Mark {
    fn encode(&self) -> Vec<u8> {
        let numbers = [
            self.count,
            self.sequence,
            self.next_position.0,
            self.newest_number,
            self.generation,
        ];
        let mut plain: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
        plain.resize(SLOT_BYTES - container::sealed_bytes(0) as usize, 0);
        plain
    }

    fn decode(plain: &[u8]) -> Result<Mark, Malformed> {
        let mut input = Input::new(plain);
        Ok(Mark {
            count: input.u64()?,
            sequence: input.u64()?,
            next_position: Position(input.u64()?),
            newest_number: input.u64()?,
            generation: input.u64()?,
        })
    }
}

fn binding(slot: u64) -> Binding<'static> {
    Binding {
        object: ObjectId::numbered(KIND, slot),
        tenant: STORE_TENANT,
        context: &[],
    }
}

fn read_slot(slot: u64, bytes: &[u8], keys: &dyn KeySource) -> Option<Mark> {
    let start = slot as usize * SLOT_BYTES;
    let sealed = bytes.get(start..start + SLOT_BYTES)?;
    let plain = container::open(keys, &binding(slot), sealed, MARK_NAME, 0).ok()?;
    Mark::decode(&plain).ok()
}

/// The mark of a directory, and what is wrong with it.
pub(crate) fn read(
    files: &dyn Files,
    directory: &Path,
    keys: &dyn KeySource,
) -> io::Result<(Mark, Option<&'static str>)> {
    let bytes = match read_whole(files, &directory.join(MARK_NAME)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((Mark::default(), Some("it is missing: written anew")));
        }
        other => other?,
    };
    let slots = [0, 1].map(|slot| read_slot(slot, &bytes, keys));
    let is_whole = slots.iter().all(Option::is_some) && bytes.len() == 2 * SLOT_BYTES;
    let newest = slots.into_iter().flatten().max_by_key(|mark| mark.count);
    let fault = (!is_whole).then_some("a slot is damaged: written anew");
    Ok((newest.unwrap_or_default(), fault))
}

/// Writes marks.
pub(crate) struct MarkFile {
    files: Arc<dyn Files>,
    path: PathBuf,
    entropy: Entropy,
    /// `None`: to be made anew.
    file: Option<Arc<dyn File>>,
    count: u64,
}

impl MarkFile {
    pub(crate) fn new(files: Arc<dyn Files>, directory: &Path, entropy: Entropy) -> MarkFile {
        MarkFile {
            files,
            path: directory.join(MARK_NAME),
            entropy,
            file: None,
            count: 0,
        }
    }

    /// Writes a mark. After an error the file is made anew by the next one.
    pub(crate) fn write(&mut self, mut mark: Mark, key: &DataKey) -> io::Result<()> {
        self.count += 1;
        mark.count = self.count;
        let slot = self.count % 2;
        let sealed = self.seal(slot, &mark, key);
        match self.file.take() {
            Some(file) => {
                file.write_at(slot * SLOT_BYTES as u64, &sealed)?;
                self.file = Some(file);
            }
            None => {
                let other = self.seal(1 - slot, &mark, key);
                let slots = if slot == 0 {
                    [sealed, other]
                } else {
                    [other, sealed]
                };
                replace(&*self.files, &self.path, &slots.concat())?;
                self.file = Some(self.files.open_for_overwrite(&self.path)?);
            }
        }
        Ok(())
    }

    fn seal(&self, slot: u64, mark: &Mark, key: &DataKey) -> Vec<u8> {
        let mut salt = [0; 32];
        (self.entropy)(&mut salt);
        let mut sealed = Vec::with_capacity(SLOT_BYTES);
        container::seal(key, salt, &binding(slot), &mark.encode(), &mut sealed);
        sealed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{container::KeyId, keys::system_entropy, local_files::LocalFiles};

    #[test]
    fn the_newest_mark_counts_and_a_damaged_slot_is_named() {
        let root = tempfile::tempdir().unwrap();
        let key = DataKey::new(KeyId(1), [1; 32]);
        let read = || read(&LocalFiles, root.path(), &key).unwrap();
        assert_eq!(read().1, Some("it is missing: written anew"));
        let mut marks = MarkFile::new(Arc::new(LocalFiles), root.path(), system_entropy());
        for sequence in 1..=3 {
            let mark = Mark {
                sequence,
                ..Mark::default()
            };
            marks.write(mark, &key).unwrap();
            let (found, fault) = read();
            assert_eq!((found.sequence, fault), (sequence, None));
        }
        let path = root.path().join(MARK_NAME);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 2;
            std::fs::write(&path, flipped).unwrap();
            let (found, fault) = read();
            assert!((2..=3).contains(&found.sequence), "{at}");
            assert!(fault.is_some(), "{at}");
        }
        std::fs::write(&path, &whole[..700]).unwrap();
        assert!(read().1.is_some());
    }
}
