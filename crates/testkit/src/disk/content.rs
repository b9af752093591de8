//! Content of one file: what a reader sees, what is on the medium, and the writes in between.
//!
//! The medium writes sectors whole, in any order. Of several writes to one sector the medium may
//! have any state: none, the first, the first two, and so on. What lies between is never made up,
//! except in sectors beyond the old end that were allocated and not written: zeros or old bytes.
use super::SECTOR_BYTES;
use crate::random::Random;
use std::sync::Arc;

/// A write that is not known to be on the medium.
#[derive(Clone, Debug)]
pub(super) struct Write {
    offset: usize,
    bytes: Arc<[u8]>,
}

impl Write {
    fn end(&self) -> usize {
        self.offset + self.bytes.len()
    }
}

/// What a power loss finds: the medium, and the writes that may or may not be on it.
#[derive(Clone, Debug, Default)]
pub(super) struct Medium {
    durable: Arc<Vec<u8>>,
    pending: Vec<Write>,
}

/// A file's content.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    live: Vec<u8>,
    medium: Medium,
}

/// How much of the unsynced state a power loss keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Nothing,
    Everything,
    /// Every sector for itself.
    Any,
    /// The writes in order up to some sector.
    Prefix,
}

impl Keep {
    pub(super) fn choose(random: &mut Random) -> Keep {
        random.pick(&[
            Keep::Nothing,
            Keep::Everything,
            Keep::Any,
            Keep::Any,
            Keep::Prefix,
        ])
    }
}

impl Content {
    pub(super) fn durable(bytes: Vec<u8>) -> Content {
        Content {
            live: bytes.clone(),
            medium: Medium {
                durable: Arc::new(bytes),
                pending: Vec::new(),
            },
        }
    }

    /// What a new process finds: everything that was written, durable or not.
    pub(super) fn in_cache(medium: &Medium) -> Content {
        let mut live = medium.durable.as_ref().clone();
        for write in &medium.pending {
            put(&mut live, write.offset, &write.bytes);
        }
        Content {
            live,
            medium: medium.clone(),
        }
    }

    pub(super) fn live(&self) -> &[u8] {
        &self.live
    }

    pub(super) fn medium(&self) -> &Medium {
        &self.medium
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.live, offset, bytes);
        self.medium.pending.push(Write {
            offset,
            bytes: bytes.into(),
        });
    }

    pub(super) fn sync(&mut self) {
        let durable = Arc::make_mut(&mut self.medium.durable);
        for write in self.medium.pending.drain(..) {
            put(durable, write.offset, &write.bytes);
        }
    }

    /// A failed sync: the system forgets that the pages were dirty, whatever reached the medium.
    pub(super) fn fail_sync(&mut self, keep: Keep, random: &mut Random) {
        self.medium.durable = Arc::new(self.medium.after_power_loss(keep, random));
        self.medium.pending.clear();
    }
}

impl Medium {
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The file as found after a power loss.
    pub(super) fn after_power_loss(&self, keep: Keep, random: &mut Random) -> Vec<u8> {
        let mut image = self.durable.as_ref().clone();
        match keep {
            Keep::Nothing => {}
            Keep::Everything => {
                for write in &self.pending {
                    put(&mut image, write.offset, &write.bytes);
                }
            }
            Keep::Prefix => self.keep_prefix(&mut image, random),
            Keep::Any => self.keep_any(&mut image, random),
        }
        image
    }

    fn keep_prefix(&self, image: &mut Vec<u8>, random: &mut Random) {
        if self.pending.is_empty() {
            return;
        }
        let whole = random.index(self.pending.len());
        for write in &self.pending[..whole] {
            put(image, write.offset, &write.bytes);
        }
        let torn = &self.pending[whole];
        let first = torn.offset / SECTOR_BYTES;
        let last = torn.end().div_ceil(SECTOR_BYTES);
        let cut = (first + random.index(last - first + 1)) * SECTOR_BYTES;
        if let Some(kept) = cut.min(torn.end()).checked_sub(torn.offset) {
            put(image, torn.offset, &torn.bytes[..kept]);
        }
    }

    fn keep_any(&self, image: &mut Vec<u8>, random: &mut Random) {
        let Some(end) = self.pending.iter().map(Write::end).max() else {
            return;
        };
        let durable_end = image.len();
        if end > durable_end {
            image.resize(end, 0);
            if random.percent(25) {
                // Blocks that were allocated and not written show what was there before.
                image[durable_end..].fill_with(|| random.next() as u8);
            }
        }
        let mut sectors: Vec<usize> = self
            .pending
            .iter()
            .flat_map(|write| write.offset / SECTOR_BYTES..write.end().div_ceil(SECTOR_BYTES))
            .collect();
        sectors.sort_unstable();
        sectors.dedup();
        for sector in sectors {
            let (start, stop) = (sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES);
            let touching: Vec<&Write> = self
                .pending
                .iter()
                .filter(|write| write.offset < stop && write.end() > start)
                .collect();
            let applied = random.index(touching.len() + 1);
            for write in &touching[..applied] {
                let (from, to) = (write.offset.max(start), write.end().min(stop));
                image[from..to]
                    .copy_from_slice(&write.bytes[from - write.offset..to - write.offset]);
            }
        }
        image.truncate(self.some_length(durable_end, end, random));
    }

    /// The length is metadata of its own: the old one, that after some write, or between.
    fn some_length(&self, durable_end: usize, end: usize, random: &mut Random) -> usize {
        let length = match random.below(4) {
            0 => durable_end,
            1 => self.pending[random.index(self.pending.len())].end(),
            2 => random.index(end + 1) / SECTOR_BYTES * SECTOR_BYTES,
            _ => end,
        };
        length.clamp(durable_end, end.max(durable_end))
    }
}

fn put(into: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if into.len() < end {
        into.resize(end, 0);
    }
    into[offset..end].copy_from_slice(bytes);
}
