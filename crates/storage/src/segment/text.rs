//! Runs of texts, compressed together.
//!
//! Each text is followed by the byte 0xFF, which no UTF-8 text holds, so that a match of the
//! compressor reaches over the end of a text: so the lengths of repeated texts cost nothing.
use super::wire::{Cursor, Flaw, put_varint};
use std::cell::RefCell;
use taffrail_model::limits::{BLOCK_ROWS, RECORD_BYTES_MAX};
use zstd::bulk::Decompressor;

/// Bytes of a run after which it is closed; several blocks share one. Measured on 1,000,000 log
/// records of eight systems (bytes a record of the message column; time to open one block with
/// nothing decoded before): 64 KiB 21.6; 128 KiB 18.5; 256 KiB 17.6, 230 us; 384 KiB 15.9, 307 us;
/// 512 KiB 15.7, 356 us; 1 MiB 14.9. From 256 KiB on zstd uses larger tables, hence the step.
pub(super) const FRAME_PLAIN_BYTES: usize = 512 << 10;
/// Bytes that a run may have at the most: one text of the largest batch fits, a reader's memory is
/// bounded.
pub(super) const FRAME_PLAIN_BYTES_MAX: usize = 65 << 20;
/// Bytes of text of one column in one block: every row a record of the largest size. What a reader
/// allocates for a block ends here, whatever the bytes say.
pub(super) const BLOCK_TEXT_BYTES_MAX: usize = BLOCK_ROWS * RECORD_BYTES_MAX;
/// Bytes of all texts of a dictionary: it is held in memory as a whole.
pub(super) const DICTIONARY_PLAIN_BYTES_MAX: usize = 4 << 20;
/// Follows each text.
const END: u8 = 0xff;

/// Appends one text to a run.
pub(super) fn push_text(plain: &mut Vec<u8>, text: &str) {
    plain.extend_from_slice(text.as_bytes());
    plain.push(END);
}

/// Compresses bytes with their length in front.
pub(super) fn pack(
    compressor: &mut zstd::bulk::Compressor<'_>,
    plain: &[u8],
) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    put_varint(&mut out, plain.len() as u64);
    out.extend_from_slice(&compressor.compress(plain)?);
    Ok(out)
}

/// Decompresses to exactly `plain_bytes` bytes, which the caller has bounded.
pub(super) fn unpack(bytes: &[u8], plain_bytes: usize) -> Result<Vec<u8>, Flaw> {
    thread_local! {
        /// To make a context costs more than to decompress a small page with it.
        static CONTEXT: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    const DAMAGED: Flaw = Flaw("compressed bytes cannot be decompressed");
    let plain = CONTEXT.with_borrow_mut(|context| {
        let context = match context {
            Some(context) => context,
            None => context.insert(Decompressor::new().map_err(|_| DAMAGED)?),
        };
        context.decompress(bytes, plain_bytes).map_err(|_| DAMAGED)
    })?;
    if plain.len() == plain_bytes {
        Ok(plain)
    } else {
        Err(Flaw("compressed bytes have another length than declared"))
    }
}

/// Texts back to back.
#[derive(Debug, Default)]
pub(super) struct Texts {
    text: String,
    ends: Vec<u32>,
}

impl Texts {
    /// Decompresses a run of exactly `count` texts.
    pub(super) fn unpack(bytes: &[u8], plain_bytes: usize, count: usize) -> Result<Texts, Flaw> {
        Texts::parse(&unpack(bytes, plain_bytes)?, count)
    }

    /// Reads a run of exactly `count` texts.
    pub(super) fn parse(plain: &[u8], count: usize) -> Result<Texts, Flaw> {
        if count > plain.len() {
            return Err(Flaw("a run has fewer texts than declared"));
        }
        let mut text = Vec::with_capacity(plain.len() - count);
        let mut ends = Vec::with_capacity(count);
        let mut cursor = Cursor::new(plain);
        for _ in 0..count {
            let end = memchr::memchr(END, cursor.rest())
                .ok_or(Flaw("a run has fewer texts than declared"))?;
            text.extend_from_slice(cursor.take(end)?);
            cursor.byte()?;
            ends.push(text.len() as u32);
        }
        cursor.finish()?;
        let text = String::from_utf8(text).map_err(|_| Flaw("a text is not UTF-8"))?;
        if ends.iter().all(|end| text.is_char_boundary(*end as usize)) {
            Ok(Texts { text, ends })
        } else {
            Err(Flaw("a text ends within a character"))
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.text.len() + self.ends.len() * 4
    }

    /// All texts, one after the other.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Number and end of the text that has the byte at `offset`.
    pub(super) fn at(&self, offset: usize) -> (usize, usize) {
        let index = self.ends.partition_point(|end| *end as usize <= offset);
        let end = self
            .ends
            .get(index)
            .map_or(self.text.len(), |end| *end as usize);
        (index, end)
    }

    /// Text `index`, if there is one.
    pub(super) fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        self.text.get(self.start(index)..end)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone + '_ {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let text = &self.text[start..*end as usize];
            start = *end as usize;
            text
        })
    }

    /// Appends a text. All together must be below 4 GiB, as those of a column are.
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
    }

    /// Appends the texts `first..end`, which must be there, and their ends in `out`.
    pub(super) fn copy_into(
        &self,
        first: usize,
        end: usize,
        out: &mut String,
        ends: &mut Vec<u32>,
    ) -> Result<(), Flaw> {
        let start = self.start(first);
        let (Some(of_texts), Some(text)) = (
            self.ends.get(first..end),
            self.text.get(start..self.start(end)),
        ) else {
            return Err(Flaw("a run has fewer texts than a block needs"));
        };
        if out.len() + text.len() > BLOCK_TEXT_BYTES_MAX {
            return Err(Flaw("a block has more text than it may have"));
        }
        let base = out.len();
        ends.extend(
            of_texts
                .iter()
                .map(|end| (*end as usize - start + base) as u32),
        );
        out.push_str(text);
        Ok(())
    }

    fn start(&self, index: usize) -> usize {
        match index.checked_sub(1) {
            Some(before) => self
                .ends
                .get(before)
                .map_or(self.text.len(), |end| *end as usize),
            None => 0,
        }
    }
}

impl<'a> FromIterator<&'a str> for Texts {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Texts {
        let mut all = Texts::default();
        texts.into_iter().for_each(|text| all.push(text));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(plain: &[u8], count: usize) -> Option<Vec<String>> {
        let packed = zstd::bulk::compress(plain, 3).unwrap();
        let texts = Texts::unpack(&packed, plain.len(), count).ok()?;
        Some(texts.iter().map(String::from).collect())
    }

    #[test]
    fn a_run_has_exactly_the_texts_that_it_should_have() {
        assert_eq!(check(b"", 0), Some(vec![]));
        assert_eq!(
            check("é\u{ff}".as_bytes(), 0),
            None,
            "bytes without a text are damage"
        );
        assert_eq!(
            check(b"a\xff\xffbc\xff", 3),
            Some(vec!["a".into(), String::new(), "bc".into()])
        );
        assert_eq!(check(b"a\xff\xffbc\xff", 2), None);
        assert_eq!(check(b"a\xff\xffbc\xff", 4), None);
        assert_eq!(check(b"a\xffbc", 2), None);
        assert_eq!(check(b"\xc3\xff\xa9\xff", 2), None, "a torn character");
        assert_eq!(check(b"\xc3\xff", 1), None);
    }

    #[test]
    fn a_wrong_length_is_damage() {
        let packed = zstd::bulk::compress(b"abc\xff", 3).unwrap();
        assert!(Texts::unpack(&packed, 3, 1).is_err());
        assert!(Texts::unpack(&packed, 5, 1).is_err());
        assert!(Texts::unpack(&packed[1..], 4, 1).is_err());
    }
}
