//! Which rows have a value. Columns with the same rows share one presence.
use super::{
    bits::{Packer, get, packed_bytes},
    wire::{Cursor, Flaw},
};
use taffrail_model::limits::BLOCK_ROWS;

/// Bits of a row number within a block.
const ROW_BITS: u32 = 10;
const _: () = assert!(BLOCK_ROWS == 1 << ROW_BITS);

/// How a block says which rows have a value: the first byte of its part.
const NONE: u8 = 0;
const ALL: u8 = 1;
const BITMAP: u8 = 2;
const LISTED: u8 = 3;
const LISTED_ABSENT: u8 = 4;

/// Rows of the section's `block`, of `rows` in all.
pub(super) fn rows_of_block(rows: usize, block: usize) -> usize {
    rows.saturating_sub(block.saturating_mul(BLOCK_ROWS))
        .min(BLOCK_ROWS)
}

/// Appends one block: `present` are its rows with a value, ascending, of `rows`.
pub(super) fn encode_block(present: &[u32], rows: usize, out: &mut Vec<u8>) {
    let absent = rows - present.len();
    let bitmap = rows.div_ceil(8);
    if present.is_empty() {
        out.push(NONE);
    } else if absent == 0 {
        out.push(ALL);
    } else if 2 + packed_bytes(present.len(), ROW_BITS) < bitmap {
        out.push(LISTED);
        encode_list(present.iter().copied(), out);
    } else if 2 + packed_bytes(absent, ROW_BITS) < bitmap {
        out.push(LISTED_ABSENT);
        let mut next = present.iter().peekable();
        let missing: Vec<u32> = (0..rows as u32)
            .filter(|row| next.next_if_eq(&row).is_none())
            .collect();
        encode_list(missing.into_iter(), out);
    } else {
        out.push(BITMAP);
        let start = out.len();
        out.resize(start + bitmap, 0);
        for row in present {
            out[start + *row as usize / 8] |= 1 << (row % 8);
        }
    }
}

fn encode_list(rows: impl ExactSizeIterator<Item = u32>, out: &mut Vec<u8>) {
    out.extend_from_slice(&(rows.len() as u16).to_le_bytes());
    let mut packer = Packer::new(out);
    rows.for_each(|row| packer.push(u64::from(row), ROW_BITS));
    packer.finish();
}

/// A presence as read: where each block's part begins, and the rank of its first value.
#[derive(Debug)]
pub(super) struct Presence {
    bytes: Vec<u8>,
    /// For each block: first byte of its part; one more for the end.
    parts: Vec<u32>,
    /// For each block: values before it; one more for all.
    ranks: Vec<u32>,
    rows: usize,
}

impl Presence {
    /// The presence of a column that every row has.
    pub(super) fn all(rows: usize) -> Presence {
        let blocks = rows.div_ceil(BLOCK_ROWS);
        let ranks = (0..=blocks).map(|block| (block * BLOCK_ROWS).min(rows) as u32);
        Presence {
            bytes: vec![ALL; blocks],
            parts: (0..=blocks as u32).collect(),
            ranks: ranks.collect(),
            rows,
        }
    }

    /// Reads the parts of all blocks of `rows` rows.
    pub(super) fn parse(bytes: Vec<u8>, rows: usize) -> Result<Presence, Flaw> {
        let blocks = rows.div_ceil(BLOCK_ROWS);
        let mut parts = Vec::with_capacity(blocks + 1);
        let mut ranks = Vec::with_capacity(blocks + 1);
        let mut cursor = Cursor::new(&bytes);
        let mut rank = 0;
        for block in 0..blocks {
            parts.push((bytes.len() - cursor.rest().len()) as u32);
            ranks.push(rank as u32);
            rank += skip_block(&mut cursor, rows_of_block(rows, block))?;
        }
        parts.push(bytes.len() as u32);
        ranks.push(rank as u32);
        cursor.finish()?;
        Ok(Presence {
            bytes,
            parts,
            ranks,
            rows,
        })
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.len() + (self.parts.len() + self.ranks.len()) * 4 + 64
    }

    /// Values of all blocks.
    pub(super) fn values(&self) -> usize {
        self.ranks.last().map_or(0, |rank| *rank as usize)
    }

    /// First value of a block, and the first of the next one.
    pub(super) fn values_of(&self, block: usize) -> (usize, usize) {
        match self.ranks.get(block..block + 2) {
            Some([start, end]) => (*start as usize, *end as usize),
            _ => (0, 0),
        }
    }

    /// The block that has a value.
    pub(super) fn block_of(&self, value: usize) -> usize {
        let after = self.ranks.partition_point(|rank| *rank as usize <= value);
        after.saturating_sub(1)
    }

    /// Number of values of a block.
    pub(super) fn count(&self, block: usize) -> usize {
        let (start, end) = self.values_of(block);
        end - start
    }

    /// Number of rows of a block, with a value or without.
    pub(super) fn rows_in(&self, block: usize) -> usize {
        rows_of_block(self.rows, block)
    }

    /// Rows of a block that have a value, ascending; as many as [`Presence::values_of`] says.
    pub(super) fn rows_of(&self, block: usize) -> Result<Vec<u32>, Flaw> {
        let mut present = Vec::with_capacity(self.count(block));
        self.rows_into(block, &mut present)?;
        Ok(present)
    }

    /// The bytes of a block.
    fn part(&self, block: usize) -> &[u8] {
        let part = match self.parts.get(block..block + 2) {
            Some([start, end]) => self.bytes.get(*start as usize..*end as usize),
            _ => None,
        };
        part.unwrap_or_default()
    }

    /// Which of a block's values a row has, if it has one.
    pub(super) fn place_of(&self, block: usize, row: u32) -> Result<Option<usize>, Flaw> {
        let rows = rows_of_block(self.rows, block) as u32;
        let mut cursor = Cursor::new(self.part(block));
        let mode = cursor.byte()?;
        if row >= rows {
            return Ok(None);
        }
        Ok(match mode {
            ALL => Some(row as usize),
            BITMAP => place_in_bitmap(cursor.rest(), row),
            LISTED => decode_list(&mut cursor, rows)?.binary_search(&row).ok(),
            LISTED_ABSENT => match decode_list(&mut cursor, rows)?.binary_search(&row) {
                Ok(_) => None,
                Err(absent_before) => Some(row as usize - absent_before),
            },
            _ => None,
        })
    }

    /// As [`Presence::rows_of`], into a buffer that is overwritten.
    pub(super) fn rows_into(&self, block: usize, present: &mut Vec<u32>) -> Result<(), Flaw> {
        present.clear();
        let rows = rows_of_block(self.rows, block) as u32;
        let mut cursor = Cursor::new(self.part(block));
        match cursor.byte()? {
            ALL => present.extend(0..rows),
            BITMAP => add_rows_of_bitmap(cursor.rest(), rows, present),
            LISTED => present.extend(decode_list(&mut cursor, rows)?),
            LISTED_ABSENT => {
                let absent = decode_list(&mut cursor, rows)?;
                let mut next = absent.iter().peekable();
                present.extend((0..rows).filter(|row| next.next_if_eq(&row).is_none()));
            }
            _ => {}
        }
        match present.len() == self.count(block) {
            true => Ok(()),
            false => Err(Flaw("a presence does not have the rows that it counts")),
        }
    }
}

/// Which of the rows whose bits are set a row is.
fn place_in_bitmap(bitmap: &[u8], row: u32) -> Option<usize> {
    let (byte, bit) = (row as usize / 8, row % 8);
    let last = *bitmap.get(byte)?;
    let before = bitmap.get(..byte)?.iter();
    let ones: u32 = before.map(|byte| byte.count_ones()).sum();
    let of_last = last & ((1 << bit) - 1);
    (last >> bit & 1 == 1).then_some((ones + of_last.count_ones()) as usize)
}

/// Passes over the part of a block; the number of its values.
fn skip_block(cursor: &mut Cursor<'_>, rows: usize) -> Result<usize, Flaw> {
    match cursor.byte()? {
        NONE => Ok(0),
        ALL => Ok(rows),
        BITMAP => {
            let bitmap = cursor.take(rows.div_ceil(8))?;
            let ones: u32 = bitmap.iter().map(|byte| byte.count_ones()).sum();
            Ok((ones as usize).min(rows))
        }
        mode @ (LISTED | LISTED_ABSENT) => {
            let count = usize::from(u16::from_le_bytes(cursor.array()?));
            cursor.take(packed_bytes(count, ROW_BITS))?;
            if count > rows {
                return Err(Flaw("a presence lists more rows than there are"));
            }
            Ok(if mode == LISTED { count } else { rows - count })
        }
        _ => Err(Flaw("a presence has an unknown form")),
    }
}

/// Appends the rows whose bits are set.
fn add_rows_of_bitmap(bitmap: &[u8], rows: u32, present: &mut Vec<u32>) {
    present.reserve(rows as usize);
    for (first, bytes) in (0..).step_by(64).zip(bitmap.chunks(8)) {
        let mut word = [0; 8];
        word.iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        let mut left = u64::from_le_bytes(word);
        while left != 0 {
            present.push(first + left.trailing_zeros());
            left &= left - 1;
        }
    }
    present.truncate(present.partition_point(|row| *row < rows));
}

fn decode_list(cursor: &mut Cursor<'_>, rows: u32) -> Result<Vec<u32>, Flaw> {
    let count = usize::from(u16::from_le_bytes(cursor.array()?));
    let packed = cursor.take(packed_bytes(count, ROW_BITS))?;
    let list: Vec<u32> = (0..count)
        .map(|index| get(packed, ROW_BITS, index) as u32)
        .collect();
    if list.is_sorted_by(|a, b| a < b) && list.last().is_none_or(|last| *last < rows) {
        Ok(list)
    } else {
        Err(Flaw("rows of a presence do not ascend"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::btree_set, prelude::*};

    #[track_caller]
    fn check(present: &[u32], rows: usize) -> usize {
        let mut out = Vec::new();
        for block in 0..rows.div_ceil(BLOCK_ROWS) {
            let first = (block * BLOCK_ROWS) as u32;
            let of_block: Vec<u32> = present
                .iter()
                .filter(|row| **row / BLOCK_ROWS as u32 == block as u32)
                .map(|row| row - first)
                .collect();
            encode_block(&of_block, rows_of_block(rows, block), &mut out);
        }
        let bytes = out.len();
        let presence = Presence::parse(out, rows).unwrap();
        assert_eq!(presence.values(), present.len());
        let mut found = Vec::new();
        for block in 0..rows.div_ceil(BLOCK_ROWS) {
            assert_eq!(presence.values_of(block).0, found.len());
            let present = presence.rows_of(block).unwrap();
            for row in 0..=rows_of_block(rows, block) as u32 {
                let place = presence.place_of(block, row).unwrap();
                assert_eq!(place, present.binary_search(&row).ok());
            }
            found.extend(present.iter().map(|row| row + (block * BLOCK_ROWS) as u32));
        }
        assert_eq!(found, present);
        bytes
    }

    #[test]
    fn few_and_nearly_all_rows_cost_little() {
        let all: Vec<u32> = (0..3_000).collect();
        assert_eq!(check(&all, 3_000), 3);
        assert_eq!(check(&[], 3_000), 3);
        assert!(check(&[7, 900], 1_024) < 8);
        assert!(check(&all[1..1_024], 1_024) < 8);
        assert_eq!(Presence::all(3_000).values(), 3_000);
        assert_eq!(Presence::all(3_000).rows_of(2).unwrap().len(), 952);
    }

    proptest! {
        #[test]
        fn any_rows_come_back(rows in 1usize..3_000, present in btree_set(0u32..3_000, 0..1_500)) {
            let present: Vec<u32> = present.into_iter().filter(|row| (*row as usize) < rows).collect();
            check(&present, rows);
        }

        #[test]
        fn any_bytes_are_read_without_panic(mut bytes: Vec<u8>, rows in 1usize..3_000) {
            bytes.iter_mut().for_each(|byte| *byte %= 6);
            if let Ok(presence) = Presence::parse(bytes, rows) {
                for block in 0..4 {
                    let _ = presence.rows_of(block);
                    let _ = presence.place_of(block, 7);
                }
            }
        }
    }
}
