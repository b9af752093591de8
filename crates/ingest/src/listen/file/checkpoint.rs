//! How far a file was read, and how to know it again.
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Bytes at the beginning of a file that identify it: longer than the banner that programs print.
pub(super) const HEAD_BYTES_MAX: usize = 1_024;
/// Bytes before the offset that confirm it.
pub(super) const TAIL_BYTES_MAX: usize = 256;

/// How far a file was read. Says nothing of the file's content: hashes stand for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Where the file was last seen.
    pub path: PathBuf,
    /// Device of the file.
    pub device: u64,
    /// Inode of the file.
    pub inode: u64,
    /// Bytes read, of what a compressed file decompresses to.
    pub offset: u64,
    /// The first bytes of the content.
    pub head: Fingerprint,
    /// The last bytes before the offset.
    pub tail: Fingerprint,
    /// Whether the offset is in the middle of a line that was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_long_line: bool,
    /// Length of a compressed file that was read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compressed_bytes: Option<u64>,
}

/// Some bytes, by their number and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// How many bytes.
    pub bytes: u16,
    /// FNV-1a, 64 bits.
    pub hash: u64,
}

impl Fingerprint {
    /// The fingerprint of bytes, which are few.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Fingerprint {
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Fingerprint {
            bytes: u16::try_from(bytes.len()).unwrap_or(u16::MAX),
            hash,
        }
    }

    /// Whether the content begins with these bytes.
    pub(super) fn begins(&self, content: &[u8]) -> bool {
        content
            .get(..usize::from(self.bytes))
            .is_some_and(|head| Fingerprint::of(head) == *self)
    }

    /// Whether the content ends with these bytes.
    pub(super) fn ends(&self, content: &[u8]) -> bool {
        content
            .len()
            .checked_sub(usize::from(self.bytes))
            .is_some_and(|start| Fingerprint::of(&content[start..]) == *self)
    }
}

impl Checkpoint {
    /// Whether this may be the file of a rotated one's name: `app.log.1`, `app-2026.log.gz` and
    /// `app.log` have the word before the first `.`, `-` or `_` in common.
    pub(super) fn is_related(&self, path: &Path) -> bool {
        fn stem(path: &Path) -> Option<&str> {
            path.file_name()?.to_str()?.split(['.', '-', '_']).next()
        }
        stem(&self.path).is_some() && stem(&self.path) == stem(path)
    }
}
