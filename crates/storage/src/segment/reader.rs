//! Reading a section: the directory at first use, then the pages that a query asks for.
//!
//! A reader itself holds no decoded byte: everything is in the [`BlockCache`], so a hundred
//! thousand open sections cost a hundred thousand small objects. Pages of neighbouring blocks are
//! read together up to 64 KiB, the chunk that the container decrypts anyway.
use super::{
    SectionInput,
    bits::{get_wide, packed_bytes},
    cache::{BlockCache, Key, Part},
    codes,
    directory::{
        ColumnDirectory, Decimals, Directory, FIXED_PAGE_ENTRIES, FOOTER_BYTES, Footer, Frame,
        Group, Layout, Pages, unpack_directory,
    },
    filter, find,
    fixed::{Form, Squeeze},
    ints,
    number::{trimmed_decimals, write_decimal},
    numbers,
    presence::{Presence, rows_of_block},
    prose,
    shape::Bits,
    template::decode::Templated,
    text::{BLOCK_TEXT_BYTES_MAX, Texts},
    wire::{Cursor, Flaw},
};
use crate::{
    coded::{CodedColumn, NumberColumn},
    find::{Finding, TextQuestion},
    read::{ColumnStats, Extent, ReadAt, ReadError, RowSource, Template, set_bits, token_hash},
};
use std::{
    borrow::Cow,
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use taffrail_model::{
    column::{Column, FieldName, Kind},
    limits::BLOCK_ROWS,
};

/// Bytes that are read together: a chunk of the container.
const READ_BYTES: u64 = 64 << 10;
/// Of a block's values one in so many may be wanted for them to be decoded alone: more are as dear
/// as the block, which is kept for the next question then.
const PICKED_PART: usize = 32;
/// Entries of a dictionary above which a token's codes are looked for in each block: in a small
/// one they are nearly everywhere.
const DICTIONARY_ENTRIES_SMALL: usize = 64;
/// Tokens of a dictionary that are held in memory (8 MiB); beyond it, its filter says nothing.
const DICTIONARY_TOKENS_MAX: usize = 1 << 19;

/// Reads one section of a segment. A clone is the same reader: it shares what was decoded.
#[derive(Clone)]
pub struct SectionReader {
    extent: Extent,
    source: Arc<dyn ReadAt>,
    pub(super) cache: Arc<BlockCache>,
    number: u64,
    /// Deletions up to this number have no row here. It rises where that was found out later.
    applied: Arc<AtomicU64>,
}

/// A column while it is read.
#[derive(Clone)]
pub(super) struct OpenColumn {
    pub(super) number: u32,
    pub(super) area: u64,
    pub(super) area_bytes: u64,
    pub(super) presence: Arc<Presence>,
    pub(super) directory: Arc<ColumnDirectory>,
}

/// The tokens of a dictionary: (hash, code), ascending; `None` if they are too many to be held.
type DictionaryTokens = Option<Vec<(u64, u32)>>;

/// Where a looked-up id stands in a dictionary.
struct Found {
    word: String,
    codes: Option<RangeInclusive<i64>>,
}

impl SectionReader {
    /// A reader of the section whose plain bytes are `source`; nothing is read yet.
    #[must_use]
    pub fn open(extent: Extent, source: Arc<dyn ReadAt>, cache: Arc<BlockCache>) -> SectionReader {
        let number = cache.next_reader();
        SectionReader {
            extent,
            source,
            cache,
            number,
            applied: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Notes that deletions up to this number have no row here.
    pub(crate) fn note_applied(&self, sequence: u64) {
        self.applied.fetch_max(sequence, Ordering::AcqRel);
    }

    /// A reader of the same section whose decoded parts go into another cache.
    pub(crate) fn with_cache(&self, cache: Arc<BlockCache>) -> SectionReader {
        SectionReader::open(self.extent, self.source.clone(), cache)
    }

    /// For each part of the section: name, number of its encoding (0 for what is no column), bytes
    /// of its values and of its directory. For measurements and inspection.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn layout(&self) -> Result<Vec<(FieldName, u8, u64, u64)>, ReadError> {
        let directory = self.directory()?;
        let columns = directory.columns.iter().map(|column| {
            let (name, bytes) = (column.name.clone(), column.directory.1 as u64);
            (name, column.encoding, column.area.1, bytes)
        });
        let mut layout: Vec<_> = columns.collect();
        let presences = directory.presences.iter().map(|(_, bytes)| *bytes as u64);
        layout.push(("(presence)".into(), 0, presences.sum(), 0));
        let time = directory.timestamps.end();
        layout.push(("(timestamps)".into(), 0, time, 0));
        layout.push(("(positions)".into(), 0, directory.positions.end() - time, 0));
        Ok(layout)
    }

    pub(super) fn cache(&self) -> &BlockCache {
        &self.cache
    }

    /// Bytes of a column's index of words; 0 if it has none. For measurements and inspection.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn index_bytes(&self, name: &str) -> Result<u64, ReadError> {
        let column = self.open_column(name)?;
        Ok(column.map_or(0, |column| match &column.directory.layout {
            Layout::Prose(prose) => prose.index_bytes(),
            _ => 0,
        }))
    }

    pub(super) fn key(&self, part: Part, column: u32, index: usize) -> Key {
        Key {
            reader: self.number,
            part,
            column,
            index: index as u32,
        }
    }

    pub(super) fn damaged(&self, offset: u64, flaw: Flaw) -> ReadError {
        ReadError::Damaged {
            file: self.source.name(),
            offset,
            detail: flaw.0.into(),
        }
    }

    /// Bytes `at..at + bytes`, and what `parse` makes of them.
    pub(super) fn read<T>(
        &self,
        at: u64,
        bytes: usize,
        parse: impl FnOnce(Vec<u8>) -> Result<T, Flaw>,
    ) -> Result<T, ReadError> {
        let read = self.source.read(at, bytes)?;
        if read.len() != bytes {
            return Err(self.damaged(at, Flaw("fewer bytes were read than asked for")));
        }
        parse(read).map_err(|flaw| self.damaged(at, flaw))
    }

    fn directory(&self) -> Result<Arc<Directory>, ReadError> {
        self.cache.get_or_load(self.key(Part::Directory, 0, 0), || {
            let directory = self.read_directory()?;
            let bytes = directory.memory_bytes();
            Ok((directory, bytes))
        })
    }

    fn read_directory(&self) -> Result<Directory, ReadError> {
        let length = self.source.len();
        let Some(footer_at) = length.checked_sub(FOOTER_BYTES as u64) else {
            return Err(self.damaged(0, Flaw("the section is too short")));
        };
        // One access brings the footer and, nearly always, the directory.
        let tail_bytes = length.min(READ_BYTES / 4);
        let tail_at = length - tail_bytes;
        let tail = self.read(tail_at, tail_bytes as usize, Ok)?;
        let footer_in_tail = tail.len() - FOOTER_BYTES;
        let footer =
            Footer::parse(&tail[footer_in_tail..]).map_err(|flaw| self.damaged(footer_at, flaw))?;
        let directory_bytes = footer.directory_bytes as usize;
        let Some(directory_at) = footer_at.checked_sub(directory_bytes as u64) else {
            return Err(self.damaged(footer_at, Flaw("the directory is longer than the section")));
        };
        let parse = |packed: &[u8]| {
            if footer.rows != self.extent.rows {
                return Err(Flaw("the section has another number of rows than listed"));
            }
            let plain = unpack_directory(packed)?;
            Directory::parse(&plain, footer.rows as usize, directory_at)
        };
        match footer_in_tail.checked_sub(directory_bytes) {
            Some(start) => {
                parse(&tail[start..footer_in_tail]).map_err(|flaw| self.damaged(directory_at, flaw))
            }
            None => self.read(directory_at, directory_bytes, |packed| parse(&packed)),
        }
    }

    pub(super) fn open_column(&self, name: &str) -> Result<Option<OpenColumn>, ReadError> {
        let directory = self.directory()?;
        let Some(number) = directory.column(name) else {
            return Ok(None);
        };
        self.open_numbered(&directory, number).map(Some)
    }

    fn open_numbered(&self, directory: &Directory, number: u32) -> Result<OpenColumn, ReadError> {
        let entry = &directory.columns[number as usize];
        let presence = self.presence(directory, entry.presence)?;
        let (area, area_bytes) = entry.area;
        let load = || {
            let (at, bytes) = entry.directory;
            let column = self.read(at, bytes, |packed| {
                let plain = unpack_directory(&packed)?;
                let blocks = directory.blocks.len();
                ColumnDirectory::parse(&plain, entry.encoding, area_bytes, &presence, blocks)
            })?;
            let bytes = column.memory_bytes();
            Ok::<_, ReadError>((column, bytes))
        };
        let key = self.key(Part::ColumnDirectory, number, 0);
        Ok(OpenColumn {
            number,
            area,
            area_bytes,
            directory: self.cache.get_or_load(key, load)?,
            presence,
        })
    }

    fn presence(&self, directory: &Directory, number: usize) -> Result<Arc<Presence>, ReadError> {
        let key = self.key(Part::Presence, 0, number);
        self.cache.get_or_load(key, || {
            let presence = match number
                .checked_sub(1)
                .and_then(|at| directory.presences.get(at))
            {
                None => Presence::all(directory.rows),
                Some((at, bytes)) => {
                    self.read(*at, *bytes, |bytes| Presence::parse(bytes, directory.rows))?
                }
            };
            let bytes = presence.memory_bytes();
            Ok((presence, bytes))
        })
    }

    /// Gives `parse` one of the pages, which is read together with its neighbours.
    pub(super) fn with_page<T>(
        &self,
        part: Part,
        column: u32,
        area: u64,
        pages: &Pages,
        index: usize,
        parse: impl FnOnce(&[u8]) -> Result<T, Flaw>,
    ) -> Result<T, ReadError> {
        let (first, end) = pages.run_of(index, READ_BYTES);
        let start = pages.span(first).0;
        let (last_at, last_bytes) = pages.span(end - 1);
        let run_bytes = (last_at - start) as usize + last_bytes;
        let run = self.cache.get_or_load(self.key(part, column, first), || {
            let run = self.read(area + start, run_bytes, Ok)?;
            Ok::<_, ReadError>((run, run_bytes))
        })?;
        let (at, bytes) = pages.span(index);
        let from = (at - start) as usize;
        let page = run.get(from..from + bytes).unwrap_or_default();
        parse(page).map_err(|flaw| self.damaged(area + at, flaw))
    }

    /// The page of a block's values.
    pub(super) fn with_block_page<T>(
        &self,
        column: &OpenColumn,
        block: usize,
        parse: impl FnOnce(&[u8]) -> Result<T, Flaw>,
    ) -> Result<T, ReadError> {
        let pages = &column.directory.pages;
        if pages.len() == 0 {
            return parse(&[]).map_err(|flaw| self.damaged(column.area, flaw));
        }
        self.with_page(Part::Pages, column.number, column.area, pages, block, parse)
    }

    /// Codes of a block's values in a column with a dictionary.
    pub(super) fn codes(&self, column: &OpenColumn, block: usize) -> Result<Vec<i64>, ReadError> {
        let values = column.presence.count(block);
        let is_mixed = column.directory.kind.is_none();
        self.with_block_page(column, block, |page| {
            let mut cursor = Cursor::new(page);
            if is_mixed {
                ints::decode(&mut cursor, values)?;
            }
            ints::decode(&mut cursor, values)
        })
    }

    pub(super) fn text_dictionary(
        &self,
        column: &OpenColumn,
        entries: usize,
        bytes: usize,
        plain_bytes: usize,
    ) -> Result<Arc<Texts>, ReadError> {
        let key = self.key(Part::Dictionary, column.number, 0);
        self.cache.get_or_load(key, || {
            let texts = self.read(column.area, bytes, |packed| {
                Texts::unpack(&packed, plain_bytes, entries)
            })?;
            let bytes = texts.memory_bytes();
            Ok((texts, bytes))
        })
    }

    /// Which entries of a dictionary have which tokens.
    fn dictionary_tokens(
        &self,
        column: &OpenColumn,
        texts: &Texts,
    ) -> Result<Arc<DictionaryTokens>, ReadError> {
        let key = self.key(Part::DictionaryTokens, column.number, 0);
        self.cache.get_or_load(key, || {
            let mut tokens = Vec::new();
            for (code, text) in (0u32..).zip(texts.iter()) {
                filter::token_hashes(text, |hash| tokens.push((hash, code)));
                if tokens.len() > DICTIONARY_TOKENS_MAX {
                    return Ok((None, 0));
                }
            }
            tokens.sort_unstable();
            tokens.dedup();
            let bytes = tokens.len() * 16;
            Ok((Some(tokens), bytes))
        })
    }

    /// All entries of a dictionary of fixed width, expanded.
    pub(super) fn fixed_dictionary(
        &self,
        column: &OpenColumn,
        squeeze: &Squeeze,
        entries: usize,
        firsts: &[u128],
        pages: &Pages,
    ) -> Result<Arc<Vec<u128>>, ReadError> {
        let key = self.key(Part::FixedDictionary, column.number, 0);
        self.cache.get_or_load(key, || {
            let all = self.read(column.area, pages.end() as usize, |bytes| {
                let mut all = Vec::with_capacity(entries);
                for (page, first) in firsts.iter().enumerate() {
                    let (at, length) = pages.span(page);
                    let page_bytes = bytes.get(at as usize..at as usize + length);
                    let count = entries_of_page(entries, page);
                    let page_bytes = page_bytes.unwrap_or_default();
                    decode_fixed_page(page_bytes, squeeze, *first, count, &mut all)?;
                }
                Ok(all)
            })?;
            Ok((all, entries * 16))
        })
    }

    /// The column of one block, decoded.
    pub(super) fn decode_block(
        &self,
        column: &OpenColumn,
        block: usize,
    ) -> Result<Column, ReadError> {
        let rows = column
            .presence
            .rows_of(block)
            .map_err(|flaw| self.damaged(column.area, flaw))?;
        let count = rows.len();
        let mut sink = Sink::default();
        // What a page is decoded with is loaded first, so that a page is only ever parsed.
        let kinds = match &column.directory.layout {
            Layout::Dictionary {
                entries,
                bytes,
                plain_bytes,
            } => {
                let dictionary = self.text_dictionary(column, *entries, *bytes, *plain_bytes)?;
                self.decode_page(column, block, count, |cursor| {
                    for code in ints::decode(cursor, count)? {
                        let text = usize::try_from(code)
                            .ok()
                            .and_then(|code| dictionary.get(code))
                            .ok_or(Flaw("a code is not in the dictionary"))?;
                        sink.push(|out| out.push_str(text))?;
                    }
                    Ok(())
                })?
            }
            Layout::FixedDictionary {
                form,
                squeeze,
                entries,
                firsts,
                pages,
            } => {
                let dictionary = self.fixed_dictionary(column, squeeze, *entries, firsts, pages)?;
                self.decode_page(column, block, count, |cursor| {
                    for code in ints::decode(cursor, count)? {
                        let number = usize::try_from(code)
                            .ok()
                            .and_then(|code| dictionary.get(code))
                            .ok_or(Flaw("a code is not in the dictionary"))?;
                        sink.push(|out| form.write(*number, out))?;
                    }
                    Ok(())
                })?
            }
            Layout::Text {
                groups,
                frames,
                pages,
                ..
            } => {
                self.copy_texts(column, block, groups, frames, pages, &mut sink)?;
                self.decode_page(column, block, count, |_| Ok(()))?
            }
            Layout::Template { .. } => {
                Templated::open(self, column)?.decode(block, &mut sink)?;
                self.decode_page(column, block, count, |cursor| {
                    ints::decode(cursor, count).map(|_| ())
                })?
            }
            Layout::Prose(prose) => {
                self.copy_prose(column, prose, column.presence.values_of(block), &mut sink)?;
                self.decode_page(column, block, count, |_| Ok(()))?
            }
            layout => self.decode_page(column, block, count, |cursor| {
                decode_plain(layout, cursor, count, 0..count, &mut sink)
            })?,
        };
        Column::from_parts(rows, kinds, sink.ends, sink.text)
            .map_err(|detail| self.damaged(column.area, Flaw(detail)))
    }

    /// Reads the kinds of a block's page and gives `values` the rest, all of which it must use.
    pub(super) fn decode_page(
        &self,
        column: &OpenColumn,
        block: usize,
        count: usize,
        values: impl FnOnce(&mut Cursor<'_>) -> Result<(), Flaw>,
    ) -> Result<Vec<Kind>, ReadError> {
        self.with_block_page(column, block, |page| {
            let mut cursor = Cursor::new(page);
            let kinds = match column.directory.kind {
                Some(kind) => vec![kind; count],
                None => ints::decode(&mut cursor, count)?
                    .into_iter()
                    .map(|tag| {
                        u8::try_from(tag)
                            .ok()
                            .and_then(Kind::from_tag)
                            .ok_or(Flaw("a kind is unknown"))
                    })
                    .collect::<Result<_, _>>()?,
            };
            values(&mut cursor)?;
            cursor.finish()?;
            Ok(kinds)
        })
    }

    /// Kinds of a block's `count` values in a column whose pages have codes.
    pub(super) fn kinds(
        &self,
        column: &OpenColumn,
        block: usize,
        count: usize,
    ) -> Result<Vec<Kind>, ReadError> {
        self.decode_page(column, block, count, |cursor| {
            ints::decode(cursor, count).map(|_| ())
        })
    }

    /// Copies the texts of a block out of the frames that hold them.
    fn copy_texts(
        &self,
        column: &OpenColumn,
        block: usize,
        groups: &[Group],
        frames: &[Frame],
        pages: &Pages,
        sink: &mut Sink,
    ) -> Result<(), ReadError> {
        let (start, end) = column.presence.values_of(block);
        let group = groups.partition_point(|group| group.block_end <= block);
        let first_frame = match group.checked_sub(1) {
            Some(before) => groups.get(before).map_or(0, |group| group.frame_end),
            None => 0,
        };
        let of_group = first_frame..groups.get(group).map_or(0, |group| group.frame_end);
        for number in of_group {
            let Some(frame) = frames
                .get(number)
                .filter(|frame| frame.first_value < end && frame.value_end > start)
            else {
                continue;
            };
            let (at, _) = pages.span(number);
            let texts = match frame.first_value < start || frame.value_end > end {
                true => self.text_frame(column, frame, pages, number)?,
                // All of it goes into this block's column, which is cached itself.
                false => Arc::new(self.unpack_text_frame(column, frame, pages, number)?),
            };
            let first = start.max(frame.first_value) - frame.first_value;
            let last = end.min(frame.value_end) - frame.first_value;
            texts
                .copy_into(first, last, &mut sink.text, &mut sink.ends)
                .map_err(|flaw| self.damaged(column.area + at, flaw))?;
        }
        Ok(())
    }

    /// Text frame `number`, from the cache.
    pub(super) fn text_frame(
        &self,
        column: &OpenColumn,
        frame: &Frame,
        pages: &Pages,
        number: usize,
    ) -> Result<Arc<Texts>, ReadError> {
        let key = self.key(Part::Frame, column.number, number);
        self.cache.get_or_load(key, || {
            let texts = self.unpack_text_frame(column, frame, pages, number)?;
            let bytes = texts.memory_bytes();
            Ok((texts, bytes))
        })
    }

    fn unpack_text_frame(
        &self,
        column: &OpenColumn,
        frame: &Frame,
        pages: &Pages,
        number: usize,
    ) -> Result<Texts, ReadError> {
        let (at, bytes) = pages.span(number);
        self.read(column.area + at, bytes, |packed| {
            let count = frame.value_end - frame.first_value;
            Texts::unpack(&packed, frame.plain_bytes, count)
        })
    }

    /// The filter of a block's group.
    fn filter_may_contain(
        &self,
        column: &OpenColumn,
        block: usize,
        groups: &[Group],
        filters: &Pages,
        hash: u64,
    ) -> Result<bool, ReadError> {
        let group = groups.partition_point(|group| group.block_end <= block);
        self.with_page(
            Part::Filters,
            column.number,
            column.area,
            filters,
            group,
            |bytes| filter::may_contain(bytes, hash),
        )
    }

    /// Whether a block has a value with one of these codes.
    fn has_code(
        &self,
        column: &OpenColumn,
        block: usize,
        is_wanted: impl Fn(i64) -> bool,
    ) -> Result<bool, ReadError> {
        Ok(self.codes(column, block)?.into_iter().any(is_wanted))
    }

    fn dictionary_may_contain(
        &self,
        column: &OpenColumn,
        block: usize,
        texts: &Texts,
        hash: u64,
    ) -> Result<bool, ReadError> {
        let tokens = self.dictionary_tokens(column, texts)?;
        let Some(tokens) = &*tokens else {
            return Ok(true);
        };
        let start = tokens.partition_point(|(have, _)| *have < hash);
        let end = tokens.partition_point(|(have, _)| *have <= hash);
        let wanted = &tokens[start..end];
        if wanted.is_empty() || texts.len() <= DICTIONARY_ENTRIES_SMALL {
            return Ok(!wanted.is_empty());
        }
        self.has_code(column, block, |code| {
            wanted
                .binary_search_by_key(&code, |(_, have)| i64::from(*have))
                .is_ok()
        })
    }

    /// Whether a block of an id column may hold the word, as far as its dictionary tells.
    fn ids_may_contain(
        &self,
        column: &OpenColumn,
        block: usize,
        range: RangeInclusive<u128>,
        word: &str,
    ) -> Result<bool, ReadError> {
        let Layout::FixedDictionary {
            squeeze,
            entries,
            firsts,
            pages,
            ..
        } = &column.directory.layout
        else {
            return Ok(true);
        };
        let find = || {
            let codes = self.find_codes(column, squeeze, *entries, firsts, pages, &range)?;
            let found = Found {
                word: word.into(),
                codes,
            };
            Ok::<_, ReadError>((found, word.len() + 64))
        };
        // One place for each hash; another word of the same hash is looked up each time.
        let index = token_hash(word) as u32 as usize;
        let key = self.key(Part::Found, column.number, index);
        let mut found = self.cache.get_or_load(key, find)?;
        if found.word != word {
            found = Arc::new(find()?.0);
        }
        match &found.codes {
            Some(codes) => self.has_code(column, block, |code| codes.contains(&code)),
            None => Ok(false),
        }
    }

    /// Rows of a block that have a value.
    pub(super) fn rows_of(&self, column: &OpenColumn, block: usize) -> Result<Vec<u32>, ReadError> {
        let rows = column.presence.rows_of(block);
        rows.map_err(|flaw| self.damaged(column.area, flaw))
    }

    /// Gives `each` the codes of the ids with one of these bits in a column with a sorted dictionary
    /// of them. Every page of the dictionary is read once unless all are the highest of the id.
    pub(super) fn each_code_with(
        &self,
        column: &OpenColumn,
        wanted: &[Bits],
        mut each: impl FnMut(usize),
    ) -> Result<(), ReadError> {
        let Layout::FixedDictionary {
            form,
            squeeze,
            entries,
            firsts,
            pages,
        } = &column.directory.layout
        else {
            return Ok(());
        };
        let ranges = wanted.iter().map(|bits| bits.to_range(form.bits()));
        if let Some(ranges) = ranges.collect::<Option<Vec<_>>>() {
            for range in ranges {
                let codes = self.find_codes(column, squeeze, *entries, firsts, pages, &range)?;
                let codes = codes.into_iter().flatten();
                codes
                    .filter_map(|code| usize::try_from(code).ok())
                    .for_each(&mut each);
            }
            return Ok(());
        }
        let mut ids = Vec::new();
        let (part, number) = (Part::FixedPages, column.number);
        for (page, first) in firsts.iter().enumerate() {
            ids.clear();
            let count = entries_of_page(*entries, page);
            self.with_page(part, number, column.area, pages, page, |bytes| {
                decode_fixed_page(bytes, squeeze, *first, count, &mut ids)
            })?;
            let base = page * FIXED_PAGE_ENTRIES;
            let is_wanted = |id: &u128| wanted.iter().any(|bits| bits.are_in(*id));
            let codes = ids.iter().enumerate().filter(|(_, id)| is_wanted(id));
            codes.for_each(|(index, _)| each(base + index));
        }
        Ok(())
    }

    /// Codes of the entries within `range`: the pages that it touches are read, one nearly always.
    fn find_codes(
        &self,
        column: &OpenColumn,
        squeeze: &Squeeze,
        entries: usize,
        firsts: &[u128],
        pages: &Pages,
        range: &RangeInclusive<u128>,
    ) -> Result<Option<RangeInclusive<i64>>, ReadError> {
        let begin = firsts
            .partition_point(|first| first <= range.start())
            .saturating_sub(1);
        let mut found: Option<RangeInclusive<i64>> = None;
        for (page, first) in firsts.iter().enumerate().skip(begin) {
            if first > range.end() {
                break;
            }
            let (at, bytes) = pages.span(page);
            let numbers = self.read(column.area + at, bytes, |bytes| {
                let mut numbers = Vec::new();
                let count = entries_of_page(entries, page);
                decode_fixed_page(&bytes, squeeze, *first, count, &mut numbers)?;
                Ok(numbers)
            })?;
            let base = (page * FIXED_PAGE_ENTRIES) as i64;
            for (code, _) in (base..)
                .zip(&numbers)
                .filter(|(_, number)| range.contains(number))
            {
                let first = found.as_ref().map_or(code, |found| *found.start());
                found = Some(first..=code);
            }
        }
        Ok(found)
    }

    /// A column that has values in the block; `None` if there is none.
    fn column_with_values(
        &self,
        block: usize,
        name: &str,
    ) -> Result<Option<OpenColumn>, ReadError> {
        let column = self.open_column(name)?;
        Ok(column.filter(|column| column.presence.count(block) > 0))
    }

    fn numbers_of_block(
        &self,
        part: Part,
        pages: fn(&Directory) -> &Pages,
        block: usize,
    ) -> Result<Arc<Vec<i64>>, ReadError> {
        let directory = self.directory()?;
        let rows = rows_of_block(directory.rows, block);
        let run = match part {
            Part::Timestamps => Part::TimestampPages,
            _ => Part::PositionPages,
        };
        self.cache.get_or_load(self.key(part, 0, block), || {
            let numbers = self.with_page(run, 0, 0, pages(&directory), block, |page| {
                let mut cursor = Cursor::new(page);
                let numbers = ints::decode(&mut cursor, rows)?;
                cursor.finish()?;
                Ok(numbers)
            })?;
            Ok((numbers, rows * 8))
        })
    }
}

pub(super) fn entries_of_page(entries: usize, page: usize) -> usize {
    entries
        .saturating_sub(page * FIXED_PAGE_ENTRIES)
        .min(FIXED_PAGE_ENTRIES)
}

/// Appends the `count` entries of a dictionary's page.
pub(super) fn decode_fixed_page(
    page: &[u8],
    squeeze: &Squeeze,
    first: u128,
    count: usize,
    out: &mut Vec<u128>,
) -> Result<(), Flaw> {
    let mut cursor = Cursor::new(page);
    let width = u32::from(cursor.byte()?);
    if width > 128 {
        return Err(Flaw("a width is above 128 bits"));
    }
    let least = u128::from_le_bytes(cursor.array()?);
    let steps = count.saturating_sub(1);
    let packed = cursor.take(packed_bytes(steps, width))?;
    cursor.finish()?;
    let mut squeezed = squeeze.squeeze(first);
    out.push(first);
    out.extend((0..steps).map(|index| {
        squeezed = squeezed
            .wrapping_add(least)
            .wrapping_add(get_wide(packed, width, index));
        squeeze.expand(squeezed)
    }));
    Ok(())
}

/// Texts of a column that is being decoded.
#[derive(Default)]
pub(super) struct Sink {
    pub(super) text: String,
    pub(super) ends: Vec<u32>,
}

impl Sink {
    pub(super) fn push(&mut self, write: impl FnOnce(&mut String)) -> Result<(), Flaw> {
        write(&mut self.text);
        self.end_value()
    }

    /// Ends the value that was appended to `text`.
    pub(super) fn end_value(&mut self) -> Result<(), Flaw> {
        if self.text.len() > BLOCK_TEXT_BYTES_MAX {
            return Err(Flaw("a block has more text than it may have"));
        }
        self.ends.push(self.text.len() as u32);
        Ok(())
    }
}

/// Decodes those of a block's `count` values that are `picked`, in layouts that need nothing but
/// the page.
pub(super) fn decode_plain(
    layout: &Layout,
    cursor: &mut Cursor<'_>,
    count: usize,
    mut picked: impl Iterator<Item = usize>,
    sink: &mut Sink,
) -> Result<(), Flaw> {
    const MISSING: Flaw = Flaw("a page has fewer values than rows");
    match layout {
        Layout::Constant { text } => picked.try_for_each(|_| sink.push(|out| out.push_str(text))),
        Layout::Integer => {
            let mut buffer = itoa::Buffer::new();
            let numbers = ints::decode(cursor, count)?;
            picked.try_for_each(|index| {
                let number = *numbers.get(index).ok_or(MISSING)?;
                sink.push(|out| out.push_str(buffer.format(number)))
            })
        }
        Layout::Decimal { scale, decimals } => {
            let scaled = ints::decode(cursor, count)?;
            let shown = match decimals {
                Decimals::PerValue => ints::decode_lengths(cursor, count, usize::from(*scale))?,
                _ => Vec::new(),
            };
            picked.try_for_each(|index| {
                let number = *scaled.get(index).ok_or(MISSING)?;
                let shown = match decimals {
                    Decimals::All => *scale,
                    Decimals::Trimmed(least) => trimmed_decimals(number, *scale, *least),
                    Decimals::PerValue => shown.get(index).map_or(*scale, |shown| *shown as u8),
                };
                sink.push(|out| write_decimal(number, *scale, shown, out))
            })
        }
        Layout::Fixed { form, .. } if form.is_long() => {
            let bytes = form.long_bytes();
            let all = cursor.take(bytes * count)?;
            picked.try_for_each(|index| {
                let nibbles = all.get(index * bytes..(index + 1) * bytes).ok_or(MISSING)?;
                sink.push(|out| form.write_long(nibbles, out))
            })
        }
        Layout::Fixed { form, squeeze } => {
            let width = squeeze.width();
            let packed = cursor.take(packed_bytes(count, width))?;
            picked.try_for_each(|index| {
                let number = squeeze.expand(get_wide(packed, width, index));
                sink.push(|out| form.write(number, out))
            })
        }
        // Decoded by the caller.
        Layout::FixedDictionary { .. }
        | Layout::Dictionary { .. }
        | Layout::Text { .. }
        | Layout::Template { .. }
        | Layout::Prose(_) => Ok(()),
    }
}

/// Ids that hold a folded word, as a range; `Err(false)` if none can, `Err(true)` if the form does
/// not tell.
pub(super) fn ids_with_word(form: Form, word: &str) -> Result<RangeInclusive<u128>, bool> {
    let digits = word.len();
    let number = u128::from_str_radix(word, 16).ok().filter(|_| {
        digits <= 32
            && word
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
    });
    match (form, number) {
        (Form::Ipv6, _) => Err(true),
        (Form::Ipv4, _) => Err(digits <= 3 && word.bytes().all(|byte| byte.is_ascii_digit())),
        (Form::Uuid, Some(number)) if digits == 8 => {
            Ok(number << 96..=number << 96 | u128::MAX >> 32)
        }
        (Form::Uuid, Some(_)) => Err(digits == 4 || digits == 12),
        (Form::HexLower(have) | Form::HexUpper(have), Some(number)) if have <= 32 => {
            match digits == have {
                true => Ok(number..=number),
                false => Err(false),
            }
        }
        (Form::HexLower(have) | Form::HexUpper(have), _) => Err(digits == have && have > 32),
        (Form::Uuid, None) => Err(false),
    }
}

impl RowSource for SectionReader {
    fn name(&self) -> String {
        self.source.name()
    }

    fn extent(&self) -> Extent {
        self.extent
    }

    fn applied_deletions(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    fn column_names(&self) -> Result<Vec<FieldName>, ReadError> {
        let directory = self.directory()?;
        Ok(directory
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect())
    }

    fn blocks(&self) -> Result<Cow<'_, [Extent]>, ReadError> {
        Ok(Cow::Owned(self.directory()?.blocks.clone()))
    }

    fn timestamps(&self, block: usize) -> Result<Cow<'_, [i64]>, ReadError> {
        let numbers =
            self.numbers_of_block(Part::Timestamps, |directory| &directory.timestamps, block)?;
        Ok(Cow::Owned(numbers.to_vec()))
    }

    fn positions(&self, block: usize) -> Result<Cow<'_, [u64]>, ReadError> {
        let numbers =
            self.numbers_of_block(Part::Positions, |directory| &directory.positions, block)?;
        Ok(Cow::Owned(
            numbers.iter().map(|number| *number as u64).collect(),
        ))
    }

    fn column(&self, block: usize, name: &str) -> Result<Option<Arc<Column>>, ReadError> {
        let Some(column) = self.column_with_values(block, name)? else {
            return Ok(None);
        };
        let key = self.key(Part::Column, column.number, block);
        let load = || {
            let decoded = self.decode_block(&column, block)?;
            let bytes = decoded.memory_bytes();
            Ok((decoded, bytes))
        };
        self.cache.get_or_load(key, load).map(Some)
    }

    fn values_at(
        &self,
        block: usize,
        name: &str,
        rows: &[u32],
    ) -> Result<Option<Arc<Column>>, ReadError> {
        let Some(column) = self.column_with_values(block, name)? else {
            return Ok(None);
        };
        let key = self.key(Part::Column, column.number, block);
        if let Some(decoded) = self.cache.get::<Column>(&key) {
            return Ok(Some(decoded));
        }
        let wanted = match &column.directory.layout {
            Layout::Prose(prose) => self.prose_values_at(&column, prose, block, rows)?,
            Layout::Text { frames, pages, .. } => {
                self.text_values_at(&column, frames, pages, block, rows)?
            }
            _ if rows.len() * PICKED_PART > column.presence.count(block) => {
                return self.column(block, name);
            }
            _ => self.picked_values_at(&column, block, rows)?,
        };
        Ok((!wanted.is_empty()).then(|| Arc::new(wanted)))
    }

    fn stats(&self, block: usize, name: &str) -> Result<Option<ColumnStats>, ReadError> {
        let Some(column) = self.column_with_values(block, name)? else {
            return Ok(Some(ColumnStats {
                values: 0,
                numbers: None,
            }));
        };
        Ok(Some(ColumnStats {
            values: column.presence.count(block) as u32,
            numbers: column.directory.numbers.get(block).copied().flatten(),
        }))
    }

    fn find(
        &self,
        name: &str,
        question: &Arc<dyn TextQuestion>,
    ) -> Result<Option<Arc<dyn Finding>>, ReadError> {
        find::find(self, name, question)
    }

    fn coded(&self, name: &str) -> Result<Option<Arc<dyn CodedColumn>>, ReadError> {
        codes::open(self, name)
    }

    fn numbers(&self, name: &str) -> Result<Option<Arc<dyn NumberColumn>>, ReadError> {
        numbers::open(self, name)
    }

    fn add_present(&self, block: usize, name: &str, out: &mut [u64]) -> Result<(), ReadError> {
        let Some(column) = self.column_with_values(block, name)? else {
            return Ok(());
        };
        let rows = column.presence.rows_of(block);
        set_bits(&rows.map_err(|flaw| self.damaged(column.area, flaw))?, out);
        Ok(())
    }

    fn templates(&self, name: &str) -> Result<Option<Vec<Template>>, ReadError> {
        match self.open_column(name)? {
            Some(column) if matches!(column.directory.layout, Layout::Template { .. }) => {
                Ok(Some(Templated::open(self, &column)?.head.to_templates()))
            }
            _ => Ok(None),
        }
    }

    fn may_contain(&self, block: usize, name: &str, token_hash: u64) -> Result<bool, ReadError> {
        let Some(column) = self.column_with_values(block, name)? else {
            return Ok(false);
        };
        match &column.directory.layout {
            Layout::Text {
                groups, filters, ..
            } => self.filter_may_contain(&column, block, groups, filters, token_hash),
            Layout::Dictionary {
                entries,
                bytes,
                plain_bytes,
            } => {
                let dictionary = self.text_dictionary(&column, *entries, *bytes, *plain_bytes)?;
                self.dictionary_may_contain(&column, block, &dictionary, token_hash)
            }
            Layout::Constant { text } => {
                let mut is_there = false;
                filter::token_hashes(text, |hash| is_there |= hash == token_hash);
                Ok(is_there)
            }
            _ => Ok(true),
        }
    }

    fn may_contain_word(&self, block: usize, name: &str, folded: &str) -> Result<bool, ReadError> {
        let Some(column) = self.column_with_values(block, name)? else {
            return Ok(false);
        };
        match &column.directory.layout {
            Layout::Integer | Layout::Decimal { .. } => {
                Ok(folded.bytes().all(|byte| byte.is_ascii_digit()))
            }
            Layout::Fixed { form, .. } => {
                Ok(ids_with_word(*form, folded).map_or_else(|known| known, |_| true))
            }
            Layout::FixedDictionary { form, .. } => match ids_with_word(*form, folded) {
                Ok(range) => self.ids_may_contain(&column, block, range, folded),
                Err(known) => Ok(known),
            },
            Layout::Prose(prose) => prose::may_be_in(self, &column, prose, block, folded),
            _ => self.may_contain(block, name, token_hash(folded)),
        }
    }
}

/// All rows of a section, ascending by (timestamp, position): for compaction and verification.
/// Reads everything, and leaves nothing in the cache that queries use.
///
/// # Errors
/// [`ReadError`].
pub fn decode_all(reader: &SectionReader) -> Result<SectionInput, ReadError> {
    let reader = SectionReader::open(
        reader.extent,
        reader.source.clone(),
        Arc::new(BlockCache::default()),
    );
    let directory = reader.directory()?;
    let mut input = SectionInput::default();
    for block in 0..directory.blocks.len() {
        input
            .timestamps
            .extend_from_slice(&reader.timestamps(block)?);
        input.positions.extend_from_slice(&reader.positions(block)?);
    }
    for (number, entry) in (0u32..).zip(&directory.columns) {
        let column = reader.open_numbered(&directory, number)?;
        let mut all = Column::default();
        for block in 0..directory.blocks.len() {
            if column.presence.count(block) == 0 {
                continue;
            }
            let decoded = reader.decode_block(&column, block)?;
            if all.text().len() + decoded.text().len() > u32::MAX as usize {
                // No damage: a `Column` holds 4 GiB. Such a section is read block by block.
                let too_large = std::io::Error::from(std::io::ErrorKind::FileTooLarge);
                return Err(ReadError::Io {
                    file: reader.source.name(),
                    source: Arc::new(too_large),
                });
            }
            all.append((block * BLOCK_ROWS) as u32, &decoded);
        }
        input.columns.insert(&entry.name, all);
    }
    input.columns.set_rows(directory.rows as u32);
    Ok(input)
}
