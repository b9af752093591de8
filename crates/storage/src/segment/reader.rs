//! Reading a section: the directory at first use, then the pages that a query asks for.
//!
//! A reader itself holds no decoded byte: everything is in the [`BlockCache`], so a hundred
//! thousand open sections cost a hundred thousand small objects. Pages of neighbouring blocks are
//! read together up to 64 KiB, the chunk that the container decrypts anyway.
use super::{
    SectionInput,
    cache::{BlockCache, Key, Part},
    codes,
    directory::{
        ColumnDirectory, Directory, FOOTER_BYTES, Footer, Layout, Pages, unpack_directory,
    },
    filter, find, ints, numbers,
    presence::{Presence, rows_of_block},
    prose,
    template::decode::Templated,
    wire::{Cursor, Flaw},
    words::ids_with_word,
};
use crate::{
    coded::{CodedColumn, NumberColumn},
    find::{Finding, TextQuestion},
    read::{ColumnStats, Extent, ReadAt, ReadError, RowSource, Template, set_bits, token_hash},
};
use std::{
    borrow::Cow,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use taffrail_model::{
    column::{Column, FieldName},
    limits::BLOCK_ROWS,
};

/// Bytes that are read together: a chunk of the container.
const READ_BYTES: u64 = 64 << 10;
/// Of a block's values one in so many may be wanted for them to be decoded alone: more are as dear
/// as the block, which is kept for the next question then.
const PICKED_PART: usize = 32;

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
pub(super) type OpenColumn = Arc<ColumnParts>;

/// What is read of a column before its values; together, since a search over all columns looks at
/// each of them.
pub(super) struct ColumnParts {
    pub(super) number: u32,
    pub(super) area: u64,
    pub(super) area_bytes: u64,
    pub(super) presence: Arc<Presence>,
    pub(super) directory: ColumnDirectory,
}

/// Pages that were read together.
pub(super) struct PageRun {
    /// Their numbers.
    pub(super) pages: Range<usize>,
    start: u64,
    bytes: Arc<Vec<u8>>,
}

impl PageRun {
    /// One of them.
    pub(super) fn page(&self, pages: &Pages, index: usize) -> &[u8] {
        let (at, bytes) = pages.span(index);
        let from = at.saturating_sub(self.start) as usize;
        self.bytes.get(from..from + bytes).unwrap_or_default()
    }
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

    pub(super) fn directory(&self) -> Result<Arc<Directory>, ReadError> {
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
        self.open_column_of(&*self.directory()?, name)
    }

    pub(super) fn open_column_of(
        &self,
        directory: &Directory,
        name: &str,
    ) -> Result<Option<OpenColumn>, ReadError> {
        match directory.column(name) {
            Some(number) => self.open_numbered(directory, number).map(Some),
            None => Ok(None),
        }
    }

    fn open_numbered(&self, directory: &Directory, number: u32) -> Result<OpenColumn, ReadError> {
        let key = self.key(Part::ColumnDirectory, number, 0);
        self.cache.get_or_load(key, || {
            let entry = &directory.columns[number as usize];
            let presence = self.presence(directory, entry.presence)?;
            let (area, area_bytes) = entry.area;
            let (at, bytes) = entry.directory;
            let column = self.read(at, bytes, |packed| {
                let plain = unpack_directory(&packed)?;
                let blocks = directory.blocks.len();
                ColumnDirectory::parse(&plain, entry.encoding, area_bytes, &presence, blocks)
            })?;
            let bytes = column.memory_bytes();
            let parts = ColumnParts {
                number,
                area,
                area_bytes,
                presence,
                directory: column,
            };
            Ok((parts, bytes))
        })
    }

    /// One that columns with values in the same rows share.
    fn presence(&self, directory: &Directory, number: usize) -> Result<Arc<Presence>, ReadError> {
        // There are at most as many as columns.
        let key = self.key(Part::Presence, number as u32, 0);
        self.cache.get_or_load(key, || {
            let listed = number.checked_sub(1);
            let presence = match listed.and_then(|at| directory.presences.get(at)) {
                None => Presence::all(directory.rows),
                Some((at, bytes)) => {
                    self.read(*at, *bytes, |bytes| Presence::parse(bytes, directory.rows))?
                }
            };
            let bytes = presence.memory_bytes();
            Ok((presence, bytes))
        })
    }

    /// One of the pages with its neighbours, with which it is read.
    pub(super) fn page_run(
        &self,
        part: Part,
        column: u32,
        area: u64,
        pages: &Pages,
        index: usize,
    ) -> Result<PageRun, ReadError> {
        let (first, end) = pages.run_of(index, READ_BYTES);
        let start = pages.span(first).0;
        let (last_at, last_bytes) = pages.span(end - 1);
        let run_bytes = (last_at - start) as usize + last_bytes;
        let bytes = self.cache.get_or_load(self.key(part, column, first), || {
            let run = self.read(area + start, run_bytes, Ok)?;
            Ok::<_, ReadError>((run, run_bytes))
        })?;
        Ok(PageRun {
            pages: first..end,
            start,
            bytes,
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
        let run = self.page_run(part, column, area, pages, index)?;
        parse(run.page(pages, index)).map_err(|flaw| self.damaged(area + pages.span(index).0, flaw))
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

    /// Rows of a block that have a value.
    pub(super) fn rows_of(&self, column: &OpenColumn, block: usize) -> Result<Vec<u32>, ReadError> {
        let rows = column.presence.rows_of(block);
        rows.map_err(|flaw| self.damaged(column.area, flaw))
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
        find::find(self, &*self.directory()?, name, question)
    }

    fn find_each(
        &self,
        names: &[FieldName],
        question: &Arc<dyn TextQuestion>,
    ) -> Result<Vec<Option<Arc<dyn Finding>>>, ReadError> {
        let directory = self.directory()?;
        let names = names.iter();
        names
            .map(|name| find::find(self, &directory, name, question))
            .collect()
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
            Layout::Dictionary(dictionary) => {
                let dictionary = self.text_dictionary(&column, dictionary)?;
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
            Layout::FixedDictionary(ids) => match ids_with_word(ids.form, folded) {
                Ok(range) => self.ids_may_contain(&column, ids, block, range, folded),
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
