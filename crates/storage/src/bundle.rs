//! Bundles: files of sections, one section for each partition that was flushed together.
//!
//! Invariants
//! - A bundle is written once, under a temporary name, and has its name only when it is durable.
//! - Its file goes when nothing reads it any more: not before the last snapshot that lists one of
//!   its sections is dropped.
//!
//! There is nothing in the file but containers, back to back; where they lie is in the manifest.
//! Format: docs/formats/bundle.md.
use crate::{
    container::{ContainerReader, KeySource, ObjectId},
    manifest::{BundleMeta, SectionMeta},
    read::{ReadAt, ReadError},
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use taffrail_model::files::{File, Files};

/// Directory of the bundles within the data directory.
pub(crate) const SEGMENTS_DIRECTORY: &str = "segments";
/// Directories that bundles are spread over: 100,000 files are 1,600 names in each.
pub(crate) const FAN_OUT: u64 = 64;
/// Bundle files that are kept open: far below the usual limit of 1,024 descriptors.
const OPEN_FILES_MAX: usize = 256;

/// Directory of a bundle within [`SEGMENTS_DIRECTORY`].
pub(crate) fn fan_out_directory(number: u64) -> String {
    format!("{:02x}", number % FAN_OUT)
}

/// Name of a bundle's file within the data directory.
pub(crate) fn bundle_name(number: u64) -> String {
    let directory = fan_out_directory(number);
    format!("{SEGMENTS_DIRECTORY}/{directory}/{number:016x}.bundle")
}

/// Number of a bundle by the name of its file without directory.
pub(crate) fn bundle_number(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_suffix(".bundle")?, 16).ok()
}

/// Name of a section for faults.
pub(crate) fn section_name(number: u64, index: u32) -> String {
    format!("{}#{index}", bundle_name(number))
}

/// The object that a section is sealed as: the bundle's random id with the section's number.
pub(crate) fn section_object(bundle: ObjectId, index: u32) -> ObjectId {
    let mut id = bundle;
    for (byte, other) in id.0[12..].iter_mut().zip(index.to_le_bytes()) {
        *byte ^= other;
    }
    id
}

/// Opens bundle files and knows which are to be removed.
pub(crate) struct BundleFiles {
    root: PathBuf,
    files: Arc<dyn Files>,
    open: Mutex<OpenFiles>,
    /// Bundles that are no longer read.
    garbage: Mutex<Vec<u64>>,
}

#[derive(Default)]
struct OpenFiles {
    by_number: HashMap<u64, (Arc<dyn File>, u64)>,
    uses: u64,
}

impl BundleFiles {
    pub(crate) fn new(root: PathBuf, files: Arc<dyn Files>) -> BundleFiles {
        BundleFiles {
            root,
            files,
            open: Mutex::default(),
            garbage: Mutex::default(),
        }
    }

    fn file(&self, number: u64) -> io::Result<Arc<dyn File>> {
        let mut open = self.open.lock();
        open.uses += 1;
        let uses = open.uses;
        if let Some((file, last_use)) = open.by_number.get_mut(&number) {
            *last_use = uses;
            return Ok(file.clone());
        }
        drop(open);
        let file = self.files.open(&self.root.join(bundle_name(number)))?;
        let mut open = self.open.lock();
        if open.by_number.len() >= OPEN_FILES_MAX {
            let oldest = open.by_number.iter().min_by_key(|(_, (_, use_))| *use_);
            let oldest = oldest.map(|(number, _)| *number);
            open.by_number.retain(|number, _| Some(*number) != oldest);
        }
        open.by_number.insert(number, (file.clone(), uses));
        Ok(file)
    }

    /// Files that are open.
    pub(crate) fn open_files(&self) -> usize {
        self.open.lock().by_number.len()
    }

    /// Removes the files that nothing reads any more; returns how many.
    pub(crate) fn collect_garbage(&self) -> io::Result<usize> {
        let mut removed = 0;
        loop {
            // The lock is not held while the disk works, and a failed removal is kept.
            let Some(number) = self.garbage.lock().last().copied() else {
                return Ok(removed);
            };
            self.open.lock().by_number.remove(&number);
            match self.files.remove(&self.root.join(bundle_name(number))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            self.garbage.lock().retain(|have| *have != number);
            removed += 1;
        }
    }
}

/// A bundle that is listed or still read.
pub(crate) struct Bundle {
    number: u64,
    files: Arc<BundleFiles>,
    is_obsolete: AtomicBool,
}

impl Bundle {
    pub(crate) fn new(number: u64, files: Arc<BundleFiles>) -> Arc<Bundle> {
        Arc::new(Bundle {
            number,
            files,
            is_obsolete: AtomicBool::new(false),
        })
    }

    /// The file goes with the last reader.
    pub(crate) fn make_obsolete(&self) {
        self.is_obsolete.store(true, Ordering::Release);
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        if self.is_obsolete.load(Ordering::Acquire) {
            self.files.garbage.lock().push(self.number);
        }
    }
}

/// The bytes of one section's container.
struct SectionRange {
    bundle: Arc<Bundle>,
    index: u32,
    offset: u64,
    bytes: u64,
}

impl ReadAt for SectionRange {
    fn len(&self) -> u64 {
        self.bytes
    }

    fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, ReadError> {
        let is_inside = offset
            .checked_add(bytes as u64)
            .is_some_and(|end| end <= self.bytes);
        if !is_inside {
            return Err(ReadError::Damaged {
                file: self.name(),
                offset,
                detail: "a range outside of the section".into(),
            });
        }
        let mut buffer = vec![0; bytes];
        self.bundle
            .files
            .file(self.bundle.number)
            .and_then(|file| file.read_at(self.offset + offset, &mut buffer))
            .map_err(|error| self.read_error(offset, error))?;
        Ok(buffer)
    }

    fn name(&self) -> String {
        section_name(self.bundle.number, self.index)
    }
}

impl SectionRange {
    fn read_error(&self, offset: u64, error: io::Error) -> ReadError {
        let file = self.name();
        match error.kind() {
            io::ErrorKind::NotFound => ReadError::Missing { file },
            io::ErrorKind::UnexpectedEof => ReadError::Damaged {
                file,
                offset,
                detail: "the file is cut".into(),
            },
            _ => ReadError::Io {
                file,
                source: Arc::new(error),
            },
        }
    }
}

/// The plain bytes of a section.
pub(crate) fn section_source(
    bundle: &Arc<Bundle>,
    meta: &BundleMeta,
    section: &SectionMeta,
    keys: Arc<dyn KeySource>,
) -> Result<Arc<dyn ReadAt>, ReadError> {
    let range = SectionRange {
        bundle: bundle.clone(),
        index: section.index,
        offset: section.offset,
        bytes: section.bytes,
    };
    let object = section_object(meta.object, section.index);
    let reader = ContainerReader::new(Arc::new(range), keys, object, section.key.tenant)?;
    Ok(Arc::new(reader))
}
