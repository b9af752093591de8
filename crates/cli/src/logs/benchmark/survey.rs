//! The first look at the data: how much it is, what `zstd -3` makes of it, and a sample from which
//! needles are drawn.
//!
//! The reference is measured here, in the process that made the data and on one thread, by the
//! time that the thread was on a processor: what else the machine does is not counted.
use super::{
    data::{Chunk, Source},
    process,
    random::Random,
};
use anyhow::{Context, Result};
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

/// Level of the reference.
const LEVEL: i32 = 3;
/// Records of the sample.
const SAMPLE_RECORDS: usize = 20_000;
/// Bytes of the sample: long records are fewer in it.
const SAMPLE_BYTES: usize = 24 << 20;
/// Bytes of data that are kept in a file, so that their making does not slow down their sending.
/// More is made anew each time.
const KEPT_BYTES_MAX: u64 = 4 << 30;

/// What the reference took and made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference {
    /// Time on a processor.
    pub cpu: Duration,
    /// Bytes that came out.
    pub bytes: u64,
}

/// What was found.
pub struct Survey {
    /// Records.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// `zstd -3` of the same bytes.
    pub reference: Reference,
    /// Some lines.
    pub sample: Vec<Vec<u8>>,
    /// Where the same records come from at less cost.
    pub source: Source,
}

/// Reads all of a source; keeps it in `folder` if it is not too large.
pub fn survey(source: &Source, folder: &Path, seed: u64) -> Result<Survey> {
    let mut kept = Some(Kept::create(folder.join("records.jsonl"))?);
    let mut reference = Counted::new()?;
    let mut sample = Sample::new(seed);
    let (mut records, mut bytes) = (0, 0);
    source.read(|chunk| {
        records += chunk.lines;
        bytes += chunk.bytes.len() as u64;
        sample.take(&chunk);
        reference.take(&chunk.bytes)?;
        if bytes > KEPT_BYTES_MAX {
            kept = None;
        }
        if let Some(kept) = &mut kept {
            kept.write(&chunk.bytes)?;
        }
        Ok(true)
    })?;
    let source = match kept {
        Some(kept) => Source::File(kept.finish()?, records),
        None => {
            remove(&folder.join("records.jsonl"))?;
            source.clone()
        }
    };
    Ok(Survey {
        records,
        bytes,
        reference: reference.finish()?,
        sample: sample.lines,
        source,
    })
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path).with_context(|| format!("removing {}", path.display()))
}

/// The data in a file.
struct Kept {
    out: BufWriter<File>,
    path: PathBuf,
}

impl Kept {
    fn create(path: PathBuf) -> Result<Kept> {
        let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        let out = BufWriter::new(file);
        Ok(Kept { out, path })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.out.write_all(bytes);
        written.with_context(|| format!("writing {}", self.path.display()))
    }

    fn finish(mut self) -> Result<PathBuf> {
        let flushed = self.out.flush();
        flushed.with_context(|| format!("writing {}", self.path.display()))?;
        Ok(self.path)
    }
}

/// The reference, and the time that it takes.
pub struct Counted {
    encoder: zstd::stream::write::Encoder<'static, Length>,
    cpu: Duration,
}

/// Counts what it is given.
#[derive(Default)]
struct Length(u64);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Counted {
    /// Nothing compressed yet.
    pub fn new() -> Result<Counted> {
        let encoder = zstd::stream::write::Encoder::new(Length::default(), LEVEL);
        Ok(Counted {
            encoder: encoder.context("preparing zstd")?,
            cpu: Duration::ZERO,
        })
    }

    /// Compresses what follows.
    pub fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let begun = process::thread_cpu()?;
        self.encoder.write_all(bytes).context("compressing")?;
        self.cpu += process::thread_cpu()?.saturating_sub(begun);
        Ok(())
    }

    /// What all of it took.
    pub fn finish(mut self) -> Result<Reference> {
        let begun = process::thread_cpu()?;
        let length = self.encoder.finish().context("compressing")?;
        self.cpu += process::thread_cpu()?.saturating_sub(begun);
        Ok(Reference {
            cpu: self.cpu,
            bytes: length.0,
        })
    }
}

/// Lines of which each was as likely to be taken.
struct Sample {
    random: Random,
    lines: Vec<Vec<u8>>,
    bytes: usize,
    seen: u64,
    /// Lines that fit; falls once the bytes are used up.
    most: usize,
}

impl Sample {
    fn new(seed: u64) -> Sample {
        Sample {
            random: Random::new(seed ^ 0x7361_6d70_6c65),
            lines: Vec::new(),
            bytes: 0,
            seen: 0,
            most: SAMPLE_RECORDS,
        }
    }

    fn take(&mut self, chunk: &Chunk) {
        for line in chunk.bytes.split_inclusive(|byte| *byte == b'\n') {
            self.seen += 1;
            if self.lines.len() < self.most {
                self.bytes += line.len();
                self.lines.push(line.to_vec());
                if self.bytes > SAMPLE_BYTES {
                    self.most = self.lines.len();
                }
                continue;
            }
            let at = self.random.below(self.seen) as usize;
            if let Some(taken) = self.lines.get_mut(at) {
                *taken = line.to_vec();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::benchmark::data::machine::MachineOptions;

    #[test]
    fn a_survey_knows_all_and_keeps_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::Machine(MachineOptions {
            rows: 30_000,
            days: 1,
            names: 0,
            seed: 5,
        });
        let found = survey(&source, folder.path(), 5).unwrap();
        let mut bytes = Vec::new();
        let read = source.read(|chunk| {
            bytes.extend_from_slice(&chunk.bytes);
            Ok(true)
        });
        read.unwrap();
        assert_eq!(found.records, 30_000);
        assert_eq!(found.bytes, bytes.len() as u64);
        assert_eq!(
            std::fs::read(folder.path().join("records.jsonl")).unwrap(),
            bytes
        );
        assert_eq!(found.sample.len(), SAMPLE_RECORDS);
        assert!(found.reference.bytes < found.bytes / 2 && found.reference.cpu > Duration::ZERO);
    }
}
