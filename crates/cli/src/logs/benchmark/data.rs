//! The data of a benchmark: made up from a seed, or a log of the user's own.
//!
//! Invariants
//! - A source gives the same bytes each time it is read, in chunks of whole lines, so that what was
//!   sent can be counted again without being kept.
//! - Memory does not grow with the number of records.
pub mod machine;
mod message;
pub mod prose;
mod services;
pub mod time;
mod words;

use anyhow::{Context, Result, bail};
use machine::{Machine, MachineOptions};
use prose::{Prose, ProseOptions};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

/// Bytes of a chunk, about: large enough that what is done with one outweighs its handing over.
const CHUNK_BYTES: usize = 4 << 20;
/// Bytes of a line of a user's log; the server takes no longer one.
const LINE_BYTES_MAX: usize = 2 << 20;
/// Buffer of what a file is read through.
const READ_BYTES: usize = 1 << 20;

/// Where records come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Made-up machine logs.
    Machine(MachineOptions),
    /// Made-up records of agents.
    Prose(ProseOptions),
    /// Lines of a file, plain or `.gz` or `.zst`; at most so many.
    File(PathBuf, u64),
}

/// Whole lines.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// The lines, each with its line break.
    pub bytes: Vec<u8>,
    /// How many.
    pub lines: u64,
}

impl Chunk {
    /// Leaves the first so many lines.
    pub fn truncate(&mut self, lines: u64) {
        if lines < self.lines {
            let ends = memchr::memchr_iter(b'\n', &self.bytes);
            let end = ends
                .take(usize::try_from(lines).unwrap_or(usize::MAX))
                .last();
            let end = end.map_or(0, |at| at + 1);
            self.bytes.truncate(end);
            self.lines = lines;
        }
    }
}

impl Source {
    /// Gives all lines to `take`, in order, until it says that it has enough by `false`.
    pub fn read(&self, mut take: impl FnMut(Chunk) -> Result<bool>) -> Result<()> {
        match self {
            Source::Machine(options) => {
                let mut machine = Machine::new(options)?;
                generate(options.rows, |out| machine.write(out), &mut take)
            }
            Source::Prose(options) => {
                let mut prose = Prose::new(options)?;
                generate(options.rows, |out| prose.write(out), &mut take)
            }
            Source::File(path, lines_max) => read_lines(open(path)?, *lines_max, &mut take)
                .with_context(|| format!("reading {}", path.display())),
        }
    }
}

fn generate(
    rows: u64,
    mut write: impl FnMut(&mut Vec<u8>),
    take: &mut impl FnMut(Chunk) -> Result<bool>,
) -> Result<()> {
    let mut chunk = Chunk::default();
    for _ in 0..rows {
        write(&mut chunk.bytes);
        chunk.lines += 1;
        if chunk.bytes.len() >= CHUNK_BYTES && !take(std::mem::take(&mut chunk))? {
            return Ok(());
        }
    }
    if chunk.lines > 0 {
        take(chunk)?;
    }
    Ok(())
}

/// Opens a file and what it is packed with, which its name tells.
fn open(path: &Path) -> Result<Box<dyn Read>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let extension = path.extension().and_then(|extension| extension.to_str());
    Ok(match extension {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Some("zst" | "zstd") => {
            Box::new(zstd::Decoder::new(file).context("reading the head of a zstd file")?)
        }
        _ => Box::new(file),
    })
}

/// Lines of a file; blank ones are left out, as the server does.
fn read_lines(
    file: impl Read,
    lines_max: u64,
    take: &mut impl FnMut(Chunk) -> Result<bool>,
) -> Result<()> {
    let mut reader = BufReader::with_capacity(READ_BYTES, file);
    let mut chunk = Chunk::default();
    let mut lines = 0;
    while lines < lines_max {
        let start = chunk.bytes.len();
        let limit = LINE_BYTES_MAX as u64;
        let read = (&mut reader)
            .take(limit)
            .read_until(b'\n', &mut chunk.bytes)?;
        if read == 0 {
            break;
        }
        if chunk.bytes.last() != Some(&b'\n') {
            if read == LINE_BYTES_MAX {
                bail!("a line is longer than {LINE_BYTES_MAX} bytes");
            }
            chunk.bytes.push(b'\n');
        }
        if chunk.bytes[start..].trim_ascii().is_empty() {
            chunk.bytes.truncate(start);
            continue;
        }
        lines += 1;
        chunk.lines += 1;
        if chunk.bytes.len() >= CHUNK_BYTES && !take(std::mem::take(&mut chunk))? {
            return Ok(());
        }
    }
    if chunk.lines > 0 {
        take(chunk)?;
    }
    Ok(())
}

/// Cuts lines into pieces of at most so many lines.
pub fn batches(chunk: &Chunk, lines: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = chunk.bytes.as_slice();
    std::iter::from_fn(move || {
        let end = memchr::memchr_iter(b'\n', rest).take(lines).last()? + 1;
        let (batch, after) = rest.split_at(end);
        rest = after;
        Some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn lines_of(source: &Source) -> (Vec<u8>, u64) {
        let (mut bytes, mut lines) = (Vec::new(), 0);
        let read = source.read(|chunk| {
            bytes.extend_from_slice(&chunk.bytes);
            lines += chunk.lines;
            Ok(true)
        });
        read.unwrap();
        (bytes, lines)
    }

    #[test]
    fn files_are_read_plain_and_packed() {
        let folder = tempfile::tempdir().unwrap();
        let text = b"{\"a\":1}\n\n  \n{\"a\":2}\n{\"a\":3}";
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("x.jsonl"), text).unwrap();
        std::fs::write(path("x.zst"), zstd::encode_all(&text[..], 3).unwrap()).unwrap();
        let gz = File::create(path("x.gz")).unwrap();
        let mut gz = flate2::write::GzEncoder::new(gz, flate2::Compression::fast());
        gz.write_all(text).unwrap();
        gz.finish().unwrap();
        for name in ["x.jsonl", "x.zst", "x.gz"] {
            let (bytes, lines) = lines_of(&Source::File(path(name), u64::MAX));
            let expected = b"{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n".to_vec();
            assert_eq!((bytes, lines), (expected, 3), "{name}");
            assert_eq!(lines_of(&Source::File(path(name), 2)).1, 2);
        }
    }

    #[test]
    fn a_line_at_the_limit_and_one_past() {
        let read = |bytes: usize| {
            let mut line = vec![b'x'; bytes - 1];
            line.push(b'\n');
            read_lines(&line[..], u64::MAX, &mut |_| Ok(true))
        };
        assert!(read(LINE_BYTES_MAX).is_ok());
        assert!(read(LINE_BYTES_MAX + 1).is_err());
    }

    #[test]
    fn batches_have_whole_lines() {
        let chunk = Chunk {
            bytes: b"a\nb\nc\n".to_vec(),
            lines: 3,
        };
        let cut: Vec<&[u8]> = batches(&chunk, 2).collect();
        assert_eq!(cut, [&b"a\nb\n"[..], b"c\n"]);
        assert_eq!(batches(&chunk, 3).count(), 1);
    }

    #[test]
    fn generated_sources_give_as_many_rows_as_asked() {
        let machine = MachineOptions {
            rows: 20_000,
            days: 1,
            names: 0,
            seed: 1,
        };
        assert_eq!(lines_of(&Source::Machine(machine)).1, 20_000);
    }
}
