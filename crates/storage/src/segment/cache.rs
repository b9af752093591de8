//! What readers of sections have decoded, kept within a bound of bytes.
//!
//! Directories, dictionaries, decompressed text and decoded columns of all sections share one
//! bound, so that memory does not grow with the number of segments. The hand of a clock goes over
//! the entries and takes a use from each that it passes; one that has none goes. A scan uses each
//! of its entries once at the most, so it pushes out its own before those that several queries
//! have used. Entries of a reader that is gone are never asked for again and leave the same way.
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::{
    any::Any,
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Bytes of a cache by default. Measured on 8,600,000 log records: searches for words, ids and
/// addresses look at 123 MiB together, and push each other out of less.
pub const BLOCK_CACHE_BYTES: usize = 128 << 20;
/// Parts with a lock each. Few, so that a part can hold the dictionary of a full section (8 MiB).
const SHARDS: usize = 4;
/// Uses that an entry can save up: so many rounds of the hand it stays without another.
const USES_MAX: u8 = 3;
/// Bytes that an entry costs besides its content.
const ENTRY_BYTES: usize = 128;

/// What an entry is, together with its column and number within a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Directory,
    /// Which rows have a value of a column, by the number of the presence.
    Presence,
    /// What is where in a column.
    ColumnDirectory,
    Pages,
    Column,
    Frame,
    Filters,
    Dictionary,
    DictionaryTokens,
    FixedDictionary,
    FixedPages,
    Timestamps,
    Positions,
    TimestampPages,
    PositionPages,
    Found,
    /// Templates of a column.
    Head,
    /// What is searched of them.
    TemplateIndex,
    /// Pages of their variables.
    SlotPages,
    Terms,
    Words,
    Postings,
}

/// Name of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Number of the reader.
    pub reader: u64,
    pub part: Part,
    pub column: u32,
    pub index: u32,
}

struct Slot {
    key: Key,
    value: Arc<dyn Any + Send + Sync>,
    bytes: usize,
    uses: u8,
}

/// A part of the cache, in memory that it shares with no other: each is written at every use.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    slots: Vec<Slot>,
    index: HashMap<Key, usize>,
    hand: usize,
    bytes: usize,
    hits: u64,
    misses: u64,
    evictions: u64,
}

impl Entries {
    fn get(&mut self, key: &Key) -> Option<Arc<dyn Any + Send + Sync>> {
        let slot = self.slots.get_mut(*self.index.get(key)?)?;
        self.hits += 1;
        slot.uses = (slot.uses + 1).min(USES_MAX);
        Some(slot.value.clone())
    }

    /// Takes in an entry that was not there.
    fn insert(&mut self, slot: Slot, bytes_max: usize) {
        self.misses += 1;
        if slot.bytes > bytes_max || self.index.contains_key(&slot.key) {
            return;
        }
        while self.bytes + slot.bytes > bytes_max {
            self.evict();
            self.evictions += 1;
        }
        self.bytes += slot.bytes;
        self.index.insert(slot.key, self.slots.len());
        self.slots.push(slot);
    }

    /// Removes the next entry that has no use left.
    fn evict(&mut self) {
        loop {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            let Some(slot) = self.slots.get_mut(self.hand) else {
                self.bytes = 0;
                return;
            };
            if slot.uses == 0 {
                break;
            }
            slot.uses -= 1;
            self.hand += 1;
        }
        let gone = self.slots.swap_remove(self.hand);
        self.index.remove(&gone.key);
        if let Some(moved) = self.slots.get(self.hand) {
            self.index.insert(moved.key, self.hand);
            // The one that came from the end was not passed yet; it waits for the next round.
            self.hand += 1;
        }
        self.bytes -= gone.bytes;
    }
}

/// Decoded parts of sections, shared by all readers. See the module.
pub struct BlockCache {
    shards: [Shard; SHARDS],
    shard_bytes_max: usize,
    readers: AtomicU64,
    hasher: hashbrown::DefaultHashBuilder,
}

/// What a cache holds, and what became of what it was asked for since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheFigures {
    /// Bytes that are held.
    pub bytes: usize,
    /// Bytes that may be held.
    pub bytes_max: usize,
    /// Parts that were there.
    pub hits: u64,
    /// Parts that had to be loaded.
    pub misses: u64,
    /// Parts that went for others.
    pub evictions: u64,
}

impl Default for BlockCache {
    fn default() -> BlockCache {
        BlockCache::new(BLOCK_CACHE_BYTES)
    }
}

impl BlockCache {
    /// A cache of at most `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> BlockCache {
        BlockCache {
            shards: Default::default(),
            shard_bytes_max: bytes_max / SHARDS,
            readers: AtomicU64::new(0),
            hasher: Default::default(),
        }
    }

    /// Bytes that are held now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.lock().bytes).sum()
    }

    /// What it holds, and its counts.
    #[must_use]
    pub fn figures(&self) -> CacheFigures {
        let mut figures = CacheFigures {
            bytes_max: self.shard_bytes_max * SHARDS,
            ..CacheFigures::default()
        };
        for shard in &self.shards {
            let entries = shard.0.lock();
            figures.bytes += entries.bytes;
            figures.hits += entries.hits;
            figures.misses += entries.misses;
            figures.evictions += entries.evictions;
        }
        figures
    }

    /// A number that no other reader has.
    pub(super) fn next_reader(&self) -> u64 {
        self.readers.fetch_add(1, Ordering::Relaxed)
    }

    /// The entry of `key`, if it is there.
    pub(super) fn get<T: Any + Send + Sync>(&self, key: &Key) -> Option<Arc<T>> {
        let value = self.shard(key).lock().get(key)?;
        value.downcast::<T>().ok()
    }

    fn shard(&self, key: &Key) -> &Mutex<Entries> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS].0
    }

    /// The entry of `key`, loaded if it is not there; `load` also says how many bytes it holds.
    /// Two threads may load the same at once; that is cheaper than a lock held while reading.
    pub(super) fn get_or_load<T: Any + Send + Sync, E>(
        &self,
        key: Key,
        load: impl FnOnce() -> Result<(T, usize), E>,
    ) -> Result<Arc<T>, E> {
        if let Some(value) = self.get::<T>(&key) {
            return Ok(value);
        }
        let (value, bytes) = load()?;
        let value = Arc::new(value);
        let slot = Slot {
            key,
            value: value.clone(),
            bytes: bytes + ENTRY_BYTES,
            uses: 0,
        };
        self.shard(&key).lock().insert(slot, self.shard_bytes_max);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(index: u32) -> Key {
        Key {
            reader: 1,
            part: Part::Column,
            column: 0,
            index,
        }
    }

    fn load(cache: &BlockCache, index: u32, bytes: usize) -> u32 {
        let value = cache.get_or_load(key(index), || Ok::<_, ()>((index, bytes)));
        *value.unwrap()
    }

    #[test]
    fn the_bound_holds_and_values_stay_right() {
        let cache = BlockCache::new(400_000);
        for round in 0..20_000u32 {
            let index = round.wrapping_mul(2_654_435_761) % 997;
            assert_eq!(load(&cache, index, (index as usize * 37) % 9_000), index);
            assert!(cache.bytes() <= 400_000);
        }
        assert!(cache.bytes() > 200_000);
    }

    #[test]
    fn what_is_used_stays() {
        let cache = BlockCache::new(SHARDS * 50_000);
        load(&cache, 0, 1_000);
        for index in 1..5_000 {
            load(&cache, index, 1_000);
            let kept = cache.get_or_load(key(0), || Err::<(u32, usize), _>("was evicted"));
            assert_eq!(kept.as_deref(), Ok(&0));
        }
    }

    #[test]
    fn a_scan_pushes_its_own_entries_out() {
        let cache = BlockCache::new(SHARDS * 50_000);
        let hot = 0..40;
        for _ in 0..USES_MAX + 1 {
            for index in hot.clone() {
                load(&cache, index, 1_000);
            }
        }
        // Twice what fits, and none of the hot ones in between.
        for index in 1_000..1_400 {
            load(&cache, index, 1_000);
        }
        let before = cache.figures();
        for index in hot.clone() {
            load(&cache, index, 1_000);
        }
        let after = cache.figures();
        assert_eq!(after.hits - before.hits, hot.len() as u64);
        assert!(after.evictions > 200 && after.bytes <= after.bytes_max);
        assert_eq!(after.misses, 40 + 400);
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let cache = BlockCache::new(4_000);
        assert_eq!(load(&cache, 1, 1_000_000), 1);
        assert_eq!(cache.bytes(), 0);
        let failed = cache.get_or_load(key(2), || Err::<(u32, usize), _>("no"));
        assert_eq!(failed.err(), Some("no"));
    }
}
