//! The header of a log file: its identity, and through where the files before it are valid.
//!
//! It is written twice, since nothing else of the file can be read without it. A file gets its
//! name only when its header is durable, so a named file without one is damaged.
use super::frame::FileIdentity;
use crate::{
    container::{self, Binding, DataKey, KeySource, ObjectId, STORE_TENANT},
    encoding::{Input, Malformed, put_varint},
};
use taffrail_model::position::Position;

/// A copy of the header fills whole pages.
const PAGE_BYTES: usize = 4_096;
/// Live files of the log: what 15 pages list. Requests get no further than
/// [`super::FILES_OF_REQUESTS_MAX`]; the rest is for starts, and for the edits that let files go.
pub(crate) const CHAIN_MAX: usize = 1_200;
/// Pages that the longest chain needs, of the largest numbers.
const PAGES_MAX: usize = 15;
pub(crate) const PREFIX_BYTES: usize = 16;
/// Version of everything in a log file.
const VERSION: u32 = 3;
const MAGIC: [u8; 4] = *b"TFWL";
const KIND: [u8; 8] = *b"wal file";

/// A file that the log still needs, seen from a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChainEntry {
    pub(crate) number: u64,
    pub(crate) first_sequence: u64,
    /// What follows this frame in the file is void.
    pub(crate) last_sequence: u64,
    /// Position of the first row that could be in the file.
    pub(crate) first_position: Position,
    /// Position of its last row.
    pub(crate) last_position: Position,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) number: u64,
    pub(crate) identity: FileIdentity,
    pub(crate) first_sequence: u64,
    /// Position of the first row that could be in the file: below `next_position` where rows of
    /// an earlier file were written again.
    pub(crate) first_position: Position,
    /// No row before this file has this position or a higher one.
    pub(crate) next_position: Position,
    /// The live files before this one, oldest first.
    pub(crate) chain: Vec<ChainEntry>,
}

impl FileHeader {
    /// Both copies: the bytes before the first frame.
    pub(crate) fn encode(&self, key: &DataKey, salt: [u8; 32]) -> Vec<u8> {
        let mut plain = self.identity.object.0.to_vec();
        plain.extend(self.identity.salt);
        put_varint(&mut plain, self.first_sequence);
        put_varint(&mut plain, self.first_position.0);
        put_varint(&mut plain, self.next_position.0);
        put_varint(&mut plain, self.chain.len() as u64);
        for entry in &self.chain {
            put_varint(&mut plain, entry.number);
            put_varint(&mut plain, entry.first_sequence);
            put_varint(&mut plain, entry.last_sequence);
            put_varint(&mut plain, entry.first_position.0);
            put_varint(&mut plain, entry.last_position.0);
        }
        let overhead = PREFIX_BYTES + container::sealed_bytes(0) as usize;
        let pages = (overhead + plain.len()).div_ceil(PAGE_BYTES);
        // Zeros fill the last page inside of the container: so every byte is authenticated.
        plain.resize(pages * PAGE_BYTES - overhead, 0);
        let mut copy = prefix(pages).to_vec();
        let context = copy.clone();
        container::seal(key, salt, &self.binding(&context), &plain, &mut copy);
        copy.repeat(2)
    }

    fn binding<'a>(&self, context: &'a [u8]) -> Binding<'a> {
        binding(self.number, context)
    }

    fn decode(number: u64, plain: &[u8]) -> Result<FileHeader, Malformed> {
        let mut input = Input::new(plain);
        let identity = FileIdentity {
            object: ObjectId(input.fixed()?),
            salt: input.fixed()?,
        };
        let first_sequence = input.varint()?;
        let first_position = Position(input.varint()?);
        let next_position = Position(input.varint()?);
        let mut chain = Vec::new();
        for _ in 0..input.count(5)? {
            chain.push(ChainEntry {
                number: input.varint()?,
                first_sequence: input.varint()?,
                last_sequence: input.varint()?,
                first_position: Position(input.varint()?),
                last_position: Position(input.varint()?),
            });
        }
        Ok(FileHeader {
            number,
            identity,
            first_sequence,
            first_position,
            next_position,
            chain,
        })
    }
}

fn prefix(pages: usize) -> [u8; PREFIX_BYTES] {
    let mut out = [0; PREFIX_BYTES];
    out[..4].copy_from_slice(&MAGIC);
    out[8..12].copy_from_slice(&VERSION.to_le_bytes());
    out[12..].copy_from_slice(&(pages as u32).to_le_bytes());
    let checksum = crc32c::crc32c(&out[8..]);
    out[4..8].copy_from_slice(&checksum.to_le_bytes());
    out
}

/// The version that the first bytes of a log file name, if they are whole and it is another one
/// than ours.
pub(crate) fn other_version(start: &[u8; PREFIX_BYTES]) -> Option<u32> {
    let mut input = Input::new(start);
    let magic: [u8; 4] = input.fixed().ok()?;
    let checksum = input.u32().ok()?;
    let is_whole = magic == MAGIC && checksum == crc32c::crc32c(input.rest());
    let version = input.u32().ok()?;
    (is_whole && version != VERSION).then_some(version)
}

fn binding(number: u64, context: &[u8]) -> Binding<'_> {
    Binding {
        object: ObjectId::numbered(KIND, number),
        tenant: STORE_TENANT,
        context,
    }
}

/// What the header of a file says.
pub(crate) struct ReadHeader {
    pub(crate) header: FileHeader,
    /// Where the first frame begins.
    pub(crate) frames_offset: usize,
    /// Which copy is damaged, if one is.
    pub(crate) damaged_copy: Option<usize>,
}

/// Bytes that are enough for [`read`].
pub(crate) const HEADERS_BYTES_MAX: usize = 2 * PAGES_MAX * PAGE_BYTES;

/// Reads the header from the beginning of the file with this number.
pub(crate) fn read(number: u64, bytes: &[u8], keys: &dyn KeySource) -> Option<ReadHeader> {
    let first = copy_at(number, bytes, 0, keys);
    // Where the first copy is unreadable, the second is found by trying every size.
    let (at, (header, pages)) = match first {
        Some(found) => (0, found),
        None => (1..=PAGES_MAX).find_map(|pages| {
            let found = copy_at(number, bytes, pages, keys)?;
            (found.1 == pages).then_some((1, found))
        })?,
    };
    let is_second_good = at == 1 || copy_at(number, bytes, pages, keys).is_some();
    let damaged_copy = match (at, is_second_good) {
        (1, _) => Some(0),
        (_, false) => Some(1),
        _ => None,
    };
    Some(ReadHeader {
        header,
        frames_offset: 2 * pages * PAGE_BYTES,
        damaged_copy,
    })
}

fn copy_at(
    number: u64,
    bytes: &[u8],
    page: usize,
    keys: &dyn KeySource,
) -> Option<(FileHeader, usize)> {
    let copy = bytes.get(page * PAGE_BYTES..)?;
    let context = copy.get(..PREFIX_BYTES)?;
    let pages = (1..=PAGES_MAX).find(|pages| prefix(*pages)[..] == *context)?;
    let sealed = copy.get(PREFIX_BYTES..pages * PAGE_BYTES)?;
    let plain = container::open(keys, &binding(number, context), sealed, "", 0).ok()?;
    Some((FileHeader::decode(number, &plain).ok()?, pages))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::KeyId;

    fn header(chain: u64) -> FileHeader {
        FileHeader {
            number: 9,
            identity: FileIdentity {
                object: ObjectId([3; 16]),
                salt: [4; 24],
            },
            first_sequence: 77,
            first_position: Position(990),
            next_position: Position(1_000),
            chain: (0..chain)
                .map(|number| ChainEntry {
                    number: number << 40,
                    first_sequence: u64::MAX,
                    last_sequence: u64::MAX,
                    first_position: Position::MAX,
                    last_position: Position::MAX,
                })
                .collect(),
        }
    }

    #[test]
    fn a_header_survives_the_loss_of_one_copy() {
        let key = DataKey::new(KeyId(1), [1; 32]);
        for chain in [0, 1, 90, 200, CHAIN_MAX as u64] {
            let header = header(chain);
            let mut bytes = header.encode(&key, [2; 32]);
            assert!(bytes.len() <= HEADERS_BYTES_MAX);
            let copy_bytes = bytes.len() / 2;
            let whole = read(9, &bytes, &key).unwrap();
            assert_eq!(whole.header, header);
            assert_eq!(whole.frames_offset, bytes.len());
            assert_eq!(whole.damaged_copy, None);
            assert!(read(10, &bytes, &key).is_none(), "swapped");
            for at in [0, 5, 9, 13, 20, 40, 100, copy_bytes - 1] {
                for copy in 0..2 {
                    bytes[copy * copy_bytes + at] ^= 4;
                    let read = read(9, &bytes, &key).unwrap();
                    assert_eq!(read.damaged_copy, Some(copy), "{at}");
                    assert_eq!(read.header, header);
                    bytes[copy * copy_bytes + at] ^= 4;
                }
            }
            bytes[30] ^= 1;
            bytes[copy_bytes + 30] ^= 1;
            assert!(read(9, &bytes, &key).is_none());
        }
    }
}
