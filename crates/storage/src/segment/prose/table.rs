//! Texts by number: what a column's words, separators and terms are called while it is encoded.
//!
//! A hash table whose slots hold the first eight bytes and the length of a text, so that a short
//! one, as most are, is known by its slot alone: one access to memory. What is held is bounded; a
//! column past a bound gets no index, and another encoding.
use super::terms::{TERM_BYTES_MAX, Token};

/// Bits of a slot that number a text.
const NUMBER_BITS: u32 = 20;
/// Texts of one column: beyond it the column is data, not prose.
pub(super) const TEXTS_MAX: usize = (1 << NUMBER_BITS) - 1;
/// Bytes of all texts: a million words, or data that would be a burden to keep.
const TEXT_BYTES_MAX: usize = 32 << 20;
const SLOTS_FIRST: usize = 1 << 12;
const NUMBER_MASK: u32 = (1 << NUMBER_BITS) - 1;
const _: () = assert!(TERM_BYTES_MAX < 1 << (32 - NUMBER_BITS));

/// The column is past a bound of its index.
#[derive(Debug)]
pub(super) struct TooMuch;

#[derive(Clone, Copy, Default)]
struct Slot {
    head: u64,
    /// High half of the hash.
    tag: u32,
    /// Low bits: number of the text, from 1, or 0 for a free slot; high ones: its length.
    number: u32,
}

/// See the module.
pub(super) struct TextTable {
    slots: Vec<Slot>,
    /// End of each text.
    ends: Vec<u32>,
    texts: Vec<u8>,
}

impl TextTable {
    pub(super) fn new() -> TextTable {
        TextTable {
            slots: vec![Slot::default(); SLOTS_FIRST],
            ends: Vec::new(),
            texts: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The number of a text of at most [`TERM_BYTES_MAX`] bytes. A new one gets the next.
    #[inline]
    pub(super) fn number_of(&mut self, text: &Token<'_>) -> Result<u32, TooMuch> {
        let mask = self.slots.len() - 1;
        let mut at = text.hash as usize & mask;
        let tag = (text.hash >> 32) as u32;
        loop {
            let slot = self.slots[at];
            if slot.number == 0 {
                return self.insert(at, text);
            }
            let number = (slot.number & NUMBER_MASK) - 1;
            if slot.head == text.head
                && slot.tag == tag
                && (slot.number >> NUMBER_BITS) as usize == text.text.len()
                && (text.text.len() <= 8 || self.text(number) == text.text)
            {
                return Ok(number);
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    fn insert(&mut self, at: usize, text: &Token<'_>) -> Result<u32, TooMuch> {
        if self.len() >= TEXTS_MAX
            || self.texts.len() + text.text.len() > TEXT_BYTES_MAX
            || text.text.len() > TERM_BYTES_MAX
        {
            return Err(TooMuch);
        }
        self.texts.extend_from_slice(text.text);
        self.ends.push(self.texts.len() as u32);
        let number = self.ends.len() as u32;
        self.slots[at] = Slot {
            head: text.head,
            tag: (text.hash >> 32) as u32,
            number: number | (text.text.len() as u32) << NUMBER_BITS,
        };
        if self.len() * 2 > self.slots.len() {
            self.grow();
        }
        Ok(number - 1)
    }

    fn grow(&mut self) {
        let mut slots = vec![Slot::default(); self.slots.len() * 2];
        let mask = slots.len() - 1;
        for slot in self.slots.iter().filter(|slot| slot.number != 0) {
            let text = Token::of_term(self.text((slot.number & NUMBER_MASK) - 1));
            let mut at = text.hash as usize & mask;
            while slots[at].number != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = *slot;
        }
        self.slots = slots;
    }

    /// The bytes of a text.
    pub(super) fn text(&self, number: u32) -> &[u8] {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.texts[start as usize..self.ends[number] as usize]
    }

    /// Numbers of all texts, ascending by their bytes.
    pub(super) fn sorted(&self) -> Vec<u32> {
        let head = |number: u32| {
            let mut eight = [0; 8];
            for (to, from) in eight.iter_mut().zip(self.text(number)) {
                *to = *from;
            }
            u64::from_be_bytes(eight)
        };
        // The first eight bytes decide nearly always.
        let mut keys: Vec<(u64, u32)> = (0..self.len() as u32)
            .map(|number| (head(number), number))
            .collect();
        keys.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0)
                .then_with(|| self.text(a.1).cmp(self.text(b.1)))
        });
        keys.into_iter().map(|(_, number)| number).collect()
    }
}
