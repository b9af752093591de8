//! Sections of segments: the rows of one partition as compressed columns, read by block.
//! Format: docs/formats/segment.md.

use crate::{
    read::{ColumnStats, Extent, ReadAt, ReadError, RowSource},
    tail::TailChunk,
};
use std::{borrow::Cow, sync::Arc};
use taffrail_model::column::{Column, ColumnSet, FieldName};

/// Rows for one section, in any order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SectionInput {
    /// Timestamps of the rows, in ns since 1970.
    pub timestamps: Vec<i64>,
    /// Positions of the rows.
    pub positions: Vec<u64>,
    /// The fields of the rows.
    pub columns: ColumnSet,
}

/// Why rows could not be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// There is no row.
    #[error("a section needs at least one row")]
    Empty,
    /// Past `SEGMENT_ROWS_MAX`.
    #[error("{rows} rows do not fit into one section")]
    TooManyRows {
        /// How many there were.
        rows: usize,
    },
    /// Timestamps, positions and columns disagree about the number of rows.
    #[error("timestamps, positions and columns differ in their number of rows")]
    RowsDiffer,
}

/// Encodes rows into the plain bytes of a section; the container seals them.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_section(input: SectionInput) -> Result<Vec<u8>, EncodeError> {
    let _ = input;
    Err(EncodeError::Empty)
}

/// Encodes the rows of a tail's chunks without merging them first.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_chunks(chunks: &[Arc<TailChunk>]) -> Result<Vec<u8>, EncodeError> {
    let _ = chunks;
    Err(EncodeError::Empty)
}

/// All rows of a section, ascending by (timestamp, position).
///
/// # Errors
/// [`ReadError`].
pub fn decode_all(reader: &SectionReader) -> Result<SectionInput, ReadError> {
    let _ = reader;
    Ok(SectionInput::default())
}

/// Decoded directories, dictionaries and blocks of all sections, least recently used out first.
pub struct BlockCache;

impl BlockCache {
    /// A cache of at most `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> BlockCache {
        let _ = bytes_max;
        BlockCache
    }
}

/// Reads one section; the directory at first use.
pub struct SectionReader {
    extent: Extent,
    source: Arc<dyn ReadAt>,
}

impl SectionReader {
    /// A reader of the section whose plain bytes are `source`.
    #[must_use]
    pub fn open(
        extent: Extent,
        source: Arc<dyn ReadAt>,
        cache: Arc<BlockCache>,
    ) -> SectionReader {
        let _ = cache;
        SectionReader { extent, source }
    }
}

impl RowSource for SectionReader {
    fn name(&self) -> String {
        self.source.name()
    }
    fn extent(&self) -> Extent {
        self.extent
    }
    fn column_names(&self) -> Result<Vec<FieldName>, ReadError> {
        Ok(Vec::new())
    }
    fn blocks(&self) -> Result<Cow<'_, [Extent]>, ReadError> {
        Ok(Cow::Borrowed(&[]))
    }
    fn timestamps(&self, _: usize) -> Result<Cow<'_, [i64]>, ReadError> {
        Ok(Cow::Borrowed(&[]))
    }
    fn positions(&self, _: usize) -> Result<Cow<'_, [u64]>, ReadError> {
        Ok(Cow::Borrowed(&[]))
    }
    fn column(&self, _: usize, _: &str) -> Result<Option<Arc<Column>>, ReadError> {
        Ok(None)
    }
    fn stats(&self, _: usize, _: &str) -> Result<Option<ColumnStats>, ReadError> {
        Ok(None)
    }
    fn may_contain(&self, _: usize, _: &str, _: u64) -> Result<bool, ReadError> {
        Ok(true)
    }
}
