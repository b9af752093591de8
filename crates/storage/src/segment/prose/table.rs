//! The terms of a column while it is encoded, and the values that have each.
//!
//! A hash table from term to entry, whose postings grow as variable-length gaps in chunks of one
//! arena: about a byte a posting and no allocation for a term. What is held is bounded; a column
//! past a bound gets no index, and another encoding.
use super::{
    postings,
    terms::{CUT, Token},
};

/// Bits of a slot that number a term.
const NUMBER_BITS: u32 = 20;
/// Terms of one column (some 80 MB): beyond it the column is data, not prose.
const TERMS_MAX: usize = (1 << NUMBER_BITS) - 1;
/// Bytes of all postings while they are gathered: those of 500 MB of prose take a fifth.
const POSTING_BYTES_MAX: usize = 256 << 20;
/// Bytes of the first chunk of a term's postings, of which four say where the next one is.
const CHUNK_BYTES_FIRST: usize = 8;
/// Chunks double up to this size.
const CHUNK_BYTES_MAX: usize = 256;
const _: () = assert!(CHUNK_BYTES_MAX - LINK_BYTES <= u8::MAX as usize);
const LINK_BYTES: usize = 4;
const SLOTS_FIRST: usize = 1 << 12;
const NUMBER_MASK: u32 = (1 << NUMBER_BITS) - 1;

/// A term, and what is touched when another value has it: half a line of the processor's cache.
struct Entry {
    /// First eight bytes, lowest first.
    head: u64,
    text_at: u32,
    /// Where the next byte of its postings goes.
    at: u32,
    last_value: u32,
    /// Values that have it.
    count: u32,
    /// Bytes left in the open chunk.
    left: u8,
    /// Size of the open chunk, as a power of two; 0 if there is none.
    chunk_log: u8,
    text_bytes: u16,
}
const _: () = assert!(size_of::<Entry>() == 32);

/// Where the postings of a term begin.
#[derive(Clone, Copy, Default)]
struct Begin {
    value: u32,
    chunk: u32,
}

/// The column is past a bound of its index.
#[derive(Debug)]
pub(super) struct TooMuch;

/// See the module.
pub(super) struct TermTable {
    /// High bits: of the hash; low ones: number of the entry, from 1.
    slots: Vec<u32>,
    entries: Vec<Entry>,
    begins: Vec<Begin>,
    texts: Vec<u8>,
    chunks: Vec<u8>,
}

impl TermTable {
    pub(super) fn new() -> TermTable {
        TermTable {
            slots: vec![0; SLOTS_FIRST],
            entries: Vec::new(),
            begins: Vec::new(),
            texts: Vec::new(),
            chunks: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Gives a word the next number; no value has it yet.
    pub(super) fn reserve(&mut self, word: &[u8]) {
        // A few words are below every bound.
        if self.add(&Token::of_term(word), 0).is_ok()
            && let Some(entry) = self.entries.last_mut()
        {
            entry.count = 0;
            entry.last_value = u32::MAX;
        }
    }

    /// Notes that `value` has the term; values come in ascending order. The term's number.
    #[inline]
    pub(super) fn add(&mut self, term: &Token<'_>, value: u32) -> Result<u32, TooMuch> {
        let mask = self.slots.len() - 1;
        let mut slot = term.hash as usize & mask;
        loop {
            let have = self.slots[slot];
            if have == 0 {
                return self.insert(slot, term, value);
            }
            let number = (have & NUMBER_MASK) - 1;
            if have & !NUMBER_MASK == tag_of(term) && self.is_term(number, term) {
                self.post(number, value)?;
                return Ok(number);
            }
            slot = (slot + 1) & mask;
        }
    }

    #[inline]
    fn is_term(&self, number: u32, term: &Token<'_>) -> bool {
        let entry = &self.entries[number as usize];
        entry.head == term.head
            && usize::from(entry.text_bytes) == term.text.len()
            && (term.text.len() <= 8 || self.text(entry) == term.text)
    }

    fn text(&self, entry: &Entry) -> &[u8] {
        let at = entry.text_at as usize;
        &self.texts[at..at + usize::from(entry.text_bytes)]
    }

    #[cold]
    fn insert(&mut self, slot: usize, term: &Token<'_>, value: u32) -> Result<u32, TooMuch> {
        if self.entries.len() >= TERMS_MAX {
            return Err(TooMuch);
        }
        self.entries.push(Entry {
            head: term.head,
            text_at: self.texts.len() as u32,
            at: 0,
            last_value: value,
            count: 1,
            left: 0,
            chunk_log: 0,
            text_bytes: u16::try_from(term.text.len()).map_err(|_| TooMuch)?,
        });
        self.begins.push(Begin { value, chunk: 0 });
        self.texts.extend_from_slice(term.text);
        let number = self.entries.len() as u32;
        self.slots[slot] = tag_of(term) | number;
        if self.entries.len() * 2 > self.slots.len() {
            self.grow();
        }
        Ok(number - 1)
    }

    fn grow(&mut self) {
        let mut slots = vec![0; self.slots.len() * 2];
        let mask = slots.len() - 1;
        for (number, entry) in (1u32..).zip(&self.entries) {
            let term = Token::of_term(self.text(entry));
            let mut slot = term.hash as usize & mask;
            while slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = tag_of(&term) | number;
        }
        self.slots = slots;
    }

    /// Notes another value of a term that is there.
    #[inline]
    pub(super) fn post(&mut self, number: u32, value: u32) -> Result<(), TooMuch> {
        let entry = &mut self.entries[number as usize];
        if entry.last_value == value {
            return Ok(());
        }
        if entry.count == 0 {
            self.begins[number as usize].value = value;
            entry.last_value = value;
            entry.count = 1;
            return Ok(());
        }
        let mut gap = value - entry.last_value;
        entry.last_value = value;
        entry.count += 1;
        loop {
            if entry.left == 0 {
                let begin = &mut self.begins[number as usize];
                open_chunk(&mut self.chunks, entry, begin)?;
            }
            let more = u8::from(gap >= 0x80) << 7;
            self.chunks[entry.at as usize] = gap as u8 & 0x7f | more;
            entry.at += 1;
            entry.left -= 1;
            if more == 0 {
                return Ok(());
            }
            gap >>= 7;
        }
    }

    /// Numbers of all terms, ascending by their bytes.
    pub(super) fn sorted(&self) -> Vec<u32> {
        let keys = (0u32..).zip(&self.entries);
        // The first eight bytes decide nearly always.
        let mut keys: Vec<(u64, u32)> = keys
            .map(|(number, entry)| (entry.head.swap_bytes(), number))
            .collect();
        let text = |number: u32| self.text(&self.entries[number as usize]);
        keys.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| text(a.1).cmp(text(b.1))));
        keys.into_iter().map(|(_, number)| number).collect()
    }

    /// The bytes of a term.
    pub(super) fn term(&self, number: u32) -> &[u8] {
        self.text(&self.entries[number as usize])
    }

    /// How many values have a term.
    pub(super) fn count(&self, number: u32) -> usize {
        self.entries[number as usize].count as usize
    }

    /// Whether some token was cut.
    pub(super) fn has_cut(&self) -> bool {
        let is_cut = |entry: &Entry| self.text(entry).last() == Some(&CUT);
        self.entries.iter().any(is_cut)
    }

    /// Appends the postings of a term; `list` is scratch.
    pub(super) fn encode_postings(
        &self,
        number: u32,
        values: usize,
        list: &mut Vec<u32>,
        out: &mut Vec<u8>,
    ) {
        let entry = &self.entries[number as usize];
        list.clear();
        let begin = self.begins[number as usize];
        let mut chunk = Chunk::first(begin.chunk);
        let mut value = begin.value;
        list.push(value);
        for _ in 1..entry.count {
            let mut gap = 0;
            let mut shift = 0;
            loop {
                let byte = chunk.next(&self.chunks);
                gap |= u32::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            value += gap;
            list.push(value);
        }
        postings::encode(list, values, out);
    }
}

/// What a slot keeps of a term's hash.
fn tag_of(term: &Token<'_>) -> u32 {
    (term.hash >> 32) as u32 & !NUMBER_MASK
}

#[cold]
fn open_chunk(chunks: &mut Vec<u8>, entry: &mut Entry, begin: &mut Begin) -> Result<(), TooMuch> {
    let bytes = match entry.chunk_log {
        0 => CHUNK_BYTES_FIRST,
        log => (1 << (log + 1)).min(CHUNK_BYTES_MAX),
    };
    let start = chunks.len();
    if start + bytes > POSTING_BYTES_MAX {
        return Err(TooMuch);
    }
    chunks.resize(start + bytes, 0);
    if entry.chunk_log == 0 {
        begin.chunk = start as u32;
    } else {
        // The link stands where the chunk before ends.
        let link = entry.at as usize;
        chunks[link..link + LINK_BYTES].copy_from_slice(&(start as u32).to_le_bytes());
    }
    entry.chunk_log = bytes.ilog2() as u8;
    entry.at = start as u32;
    entry.left = (bytes - LINK_BYTES) as u8;
    Ok(())
}

/// A place in the chunks of a term.
struct Chunk {
    at: usize,
    left: usize,
    bytes: usize,
}

impl Chunk {
    fn first(at: u32) -> Chunk {
        Chunk {
            at: at as usize,
            left: CHUNK_BYTES_FIRST - LINK_BYTES,
            bytes: CHUNK_BYTES_FIRST,
        }
    }

    fn next(&mut self, chunks: &[u8]) -> u8 {
        if self.left == 0 {
            let link = chunks[self.at..].first_chunk::<LINK_BYTES>().copied();
            self.at = u32::from_le_bytes(link.unwrap_or_default()) as usize;
            self.bytes = (self.bytes * 2).min(CHUNK_BYTES_MAX);
            self.left = self.bytes - LINK_BYTES;
        }
        let byte = chunks[self.at];
        self.at += 1;
        self.left -= 1;
        byte
    }
}
