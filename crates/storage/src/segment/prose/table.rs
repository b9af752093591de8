//! Texts by number: what a column's words, separators and terms are called while it is encoded.
//!
//! A hash table whose slots hold the first sixteen bytes and the length of a text, so that a short
//! one, as most are, is known by its slot alone: one access to memory, and texts are looked up
//! several at once, so that the processor waits for memory once for all of them. What is held is bounded; a
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

/// Where a text may stand, and what stands there.
#[derive(Clone, Copy, Default)]
pub(super) struct Slot {
    head: [u64; 2],
    /// High half of the hash.
    tag: u32,
    /// Low bits: number of the text, from 1, or 0 for a free slot; high ones: its length.
    number: u32,
}

/// See the module.
pub(super) struct TextTable {
    texts_max: usize,
    slots: Vec<Slot>,
    /// End of each text.
    ends: Vec<u32>,
    texts: Vec<u8>,
}

impl TextTable {
    /// A table of at most so many texts.
    pub(super) fn new(texts_max: usize) -> TextTable {
        TextTable {
            texts_max: texts_max.min(TEXTS_MAX),
            slots: vec![Slot::default(); SLOTS_FIRST],
            ends: Vec::new(),
            texts: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The slot where a text with this hash is looked for first.
    #[inline]
    pub(super) fn slot(&self, hash: u64) -> Slot {
        self.slots[hash as usize & (self.slots.len() - 1)]
    }

    /// The number of a text of at most [`TERM_BYTES_MAX`] bytes. A new one gets the next.
    pub(super) fn number_of(&mut self, text: &Token<'_>) -> Result<u32, TooMuch> {
        self.number_by(self.slot(text.hash), text)
    }

    /// As [`TextTable::number_of`], with the text's slot as it was when no more texts were there.
    #[inline]
    pub(super) fn number_by(&mut self, slot: Slot, text: &Token<'_>) -> Result<u32, TooMuch> {
        match self.is_of(&slot, text) {
            true => Ok((slot.number & NUMBER_MASK) - 1),
            false => self.find_or_insert(text),
        }
    }

    #[inline]
    fn is_of(&self, slot: &Slot, text: &Token<'_>) -> bool {
        // A free slot has no number, and then the length says nothing.
        slot.number & NUMBER_MASK != 0
            && slot.head == text.head
            && slot.tag == (text.hash >> 32) as u32
            && (slot.number >> NUMBER_BITS) as usize == text.text.len()
            && (text.text.len() <= 16 || self.text((slot.number & NUMBER_MASK) - 1) == text.text)
    }

    fn find_or_insert(&mut self, text: &Token<'_>) -> Result<u32, TooMuch> {
        let mask = self.slots.len() - 1;
        let mut at = text.hash as usize & mask;
        while self.slots[at].number != 0 {
            let slot = self.slots[at];
            if self.is_of(&slot, text) {
                return Ok((slot.number & NUMBER_MASK) - 1);
            }
            at = (at + 1) & mask;
        }
        self.insert(at, text)
    }

    #[cold]
    fn insert(&mut self, at: usize, text: &Token<'_>) -> Result<u32, TooMuch> {
        if self.len() >= self.texts_max
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
        if self.len() * 4 > self.slots.len() * 3 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn texts_keep_their_numbers(texts in vec(vec(any::<u8>(), 0..20), 0..6_000)) {
            let mut table = TextTable::new(TEXTS_MAX);
            let mut known = BTreeMap::new();
            for text in &texts {
                let next = known.len() as u32;
                let number = *known.entry(text).or_insert(next);
                prop_assert_eq!(table.number_of(&Token::of_term(text)).unwrap(), number);
            }
            for (text, number) in &known {
                prop_assert_eq!(table.text(*number), &text[..]);
            }
            let sorted: Vec<u32> = known.values().copied().collect();
            prop_assert_eq!(table.sorted(), sorted);
        }
    }

    #[test]
    fn texts_are_bounded_in_number_and_bytes() {
        let mut table = TextTable::new(3);
        for text in ["", "a", "b"] {
            assert!(table.number_of(&Token::of_term(text.as_bytes())).is_ok());
        }
        assert!(table.number_of(&Token::of_term(b"c")).is_err());
        assert_eq!(table.number_of(&Token::of_term(b"b")).unwrap(), 2);
        let mut table = TextTable::new(TEXTS_MAX);
        assert!(
            table
                .number_of(&Token::of_term(&[7; TERM_BYTES_MAX + 1]))
                .is_err()
        );
        let long = |number: usize| {
            let mut text = vec![7; TERM_BYTES_MAX];
            text[..4].copy_from_slice(&(number as u32).to_le_bytes());
            text
        };
        let fitting = TEXT_BYTES_MAX / TERM_BYTES_MAX;
        for number in 0..fitting {
            assert!(table.number_of(&Token::of_term(&long(number))).is_ok());
        }
        assert!(table.number_of(&Token::of_term(b"x")).is_err());
        assert_eq!(table.number_of(&Token::of_term(&long(9))).unwrap(), 9);
    }
}
