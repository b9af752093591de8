//! The bytes of one file in order, plain or decompressed.
use super::checkpoint::{HEAD_BYTES_MAX, TAIL_BYTES_MAX};
use flate2::bufread::MultiGzDecoder;
use std::{
    fs::File,
    io::{self, BufReader, Read},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

/// An open file.
pub(super) enum Content {
    /// Read at offsets.
    Plain(File),
    /// Read in order.
    Gzip {
        decoder: Box<MultiGzDecoder<BufReader<File>>>,
        /// Bytes decompressed.
        at: u64,
        /// Length of the file when it was opened.
        compressed_bytes: u64,
    },
}

/// The identity of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// What stands at the beginning of a content and before an offset.
#[derive(PartialEq, Eq)]
pub(super) struct Surroundings {
    pub(super) head: Vec<u8>,
    pub(super) tail: Vec<u8>,
}

impl Content {
    /// Opens a file; what begins with the magic of gzip is decompressed.
    pub(super) fn open(path: &Path) -> io::Result<(Content, Identity)> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let identity = Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
        };
        let mut magic = [0; 2];
        let is_gzip = match file.read_exact_at(&mut magic, 0) {
            Ok(()) => magic == [0x1f, 0x8b],
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(error),
        };
        if !is_gzip {
            return Ok((Content::Plain(file), identity));
        }
        let content = Content::Gzip {
            decoder: Box::new(MultiGzDecoder::new(BufReader::new(file))),
            at: 0,
            compressed_bytes: metadata.len(),
        };
        Ok((content, identity))
    }

    /// Reads some bytes at `offset`; none at the end. A compressed content is read in order:
    /// its offset is where it stands.
    pub(super) fn read(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let outcome = match self {
                Content::Plain(file) => file.read_at(buffer, offset),
                Content::Gzip { decoder, at, .. } => decoder.read(buffer).inspect(|bytes| {
                    *at += *bytes as u64;
                }),
            };
            match outcome {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    /// Bytes at `offset`, fewer at the end of the file.
    pub(super) fn read_full(&mut self, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut out = vec![0; bytes];
        let mut filled = 0;
        while filled < bytes {
            match self.read(offset + filled as u64, &mut out[filled..])? {
                0 => break,
                more => filled += more,
            }
        }
        out.truncate(filled);
        Ok(out)
    }

    /// The first bytes, as many as identify a file.
    pub(super) fn head(&mut self) -> io::Result<Vec<u8>> {
        self.read_full(0, HEAD_BYTES_MAX)
    }

    /// Where the last line that ends before `offset` ends, if that is not far; else `offset`.
    pub(super) fn last_line_end(&mut self, offset: u64) -> io::Result<u64> {
        let bytes = offset.min(64 << 10);
        let before = self.read_full(offset - bytes, bytes as usize)?;
        let end = memchr::memrchr(b'\n', &before).map(|at| at as u64 + 1);
        Ok(match end {
            Some(end) => offset - bytes + end,
            None if bytes == offset => 0,
            None => offset,
        })
    }

    /// The first bytes, and the last before `offset`; `None` if the content ends before it.
    /// A compressed content must stand at its beginning and stands at `offset` after it.
    pub(super) fn surroundings(&mut self, offset: u64) -> io::Result<Option<Surroundings>> {
        let head_bytes = HEAD_BYTES_MAX.min(usize::try_from(offset).unwrap_or(HEAD_BYTES_MAX));
        let head = self.read_full(0, head_bytes)?;
        if head.len() < head_bytes {
            return Ok(None);
        }
        let tail_bytes = offset.min(TAIL_BYTES_MAX as u64);
        if let Content::Plain(_) = self {
            let tail = self.read_full(offset - tail_bytes, tail_bytes as usize)?;
            let is_whole = tail.len() == tail_bytes as usize;
            return Ok(is_whole.then_some(Surroundings { head, tail }));
        }
        let mut tail = head.clone();
        let mut at = head_bytes as u64;
        let mut buffer = vec![0; 64 << 10];
        while at < offset {
            let wanted = buffer
                .len()
                .min(usize::try_from(offset - at).unwrap_or(usize::MAX));
            let bytes = self.read(at, &mut buffer[..wanted])?;
            if bytes == 0 {
                return Ok(None);
            }
            at += bytes as u64;
            keep_last(&mut tail, &buffer[..bytes]);
        }
        keep_last(&mut tail, &[]);
        Ok(Some(Surroundings { head, tail }))
    }

    /// Length of a plain file.
    pub(super) fn plain_bytes(&self) -> io::Result<Option<u64>> {
        match self {
            Content::Plain(file) => Ok(Some(file.metadata()?.len())),
            Content::Gzip { .. } => Ok(None),
        }
    }
}

/// Appends to the last bytes before an offset and keeps as many as count.
pub(super) fn keep_last(tail: &mut Vec<u8>, bytes: &[u8]) {
    tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL_BYTES_MAX)..]);
    tail.drain(..tail.len().saturating_sub(TAIL_BYTES_MAX));
}
