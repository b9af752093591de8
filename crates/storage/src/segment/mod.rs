//! Sections of segments: the rows of one partition as compressed columns, read by block.
//!
//! Invariants
//! - What is read back is byte for byte what was given, for any UTF-8 and any JSON scalar: an
//!   encoding is taken only if it gives every value of its column back exactly.
//! - A reader asks for the byte ranges that it needs, never for the section as a whole.
//! - Any bytes whatsoever lead to a value or to [`ReadError::Damaged`], never to a panic; what is
//!   allocated is bounded by the counts that the format allows. (That bytes are those that were
//!   written is the container's promise.)
//!
//! Rows ascend by (timestamp, position) in blocks of 1,024; each column has the encoding that
//! costs least for it, machine text one of templates and long texts one with an exact index of
//! their words; the directory is at the end. Format: docs/formats/segment.md.

mod bits;
mod cache;
mod codes;
mod decode;
mod directory;
mod encode;
mod filter;
mod find;
mod fixed;
mod fixed_dictionary;
#[cfg(test)]
mod fixture_tests;
mod gather;
mod ints;
mod needle;
pub(crate) mod number;
mod numbers;
mod packed;
mod presence;
mod prose;
mod reader;
mod runs;
mod shape;
mod template;
#[cfg(test)]
mod tests;
mod text;
mod wanted;
mod wire;
mod words;

pub use cache::{BLOCK_CACHE_BYTES, BlockCache, CacheFigures};
pub(crate) use directory::COLUMNS_MAX;
pub use reader::{SectionReader, decode_all};

#[cfg(doc)]
use crate::read::ReadError;
use crate::tail::TailChunk;
use gather::RowsPart;
use std::sync::Arc;
use taffrail_model::column::{Column, ColumnSet};

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
#[derive(Debug, thiserror::Error)]
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
    /// More columns than a section may have.
    #[error("{columns} columns do not fit into one section")]
    TooManyColumns {
        /// How many there were.
        columns: usize,
    },
    /// A value larger than half a batch, or a block whose values are larger than as many records
    /// of the largest size.
    #[error("a value of {bytes} bytes in {column} does not fit into a section")]
    ValueTooLarge {
        /// Name of its column.
        column: String,
        /// Its length.
        bytes: usize,
    },
    /// The compressor failed.
    #[error("cannot compress")]
    Compress(#[source] std::io::Error),
}

/// Encodes rows into the plain bytes of a section; the container seals them.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_section(input: SectionInput) -> Result<Vec<u8>, EncodeError> {
    if input.columns.rows() as usize != input.timestamps.len() {
        return Err(EncodeError::RowsDiffer);
    }
    let columns = input.columns.iter();
    encode::encode_parts(vec![RowsPart {
        timestamps: &input.timestamps,
        positions: &input.positions,
        columns: columns.map(|(name, column)| (&**name, column)).collect(),
    }])
}

/// Encodes the rows of several parts, given as timestamps and positions, whose columns are brought
/// one after the other: of each name, `load` gives the column of every part. So no more than one
/// column is in memory beside the output.
///
/// # Errors
/// Those of `load`, and [`EncodeError`].
pub(crate) fn encode_by_column<E: From<EncodeError>>(
    times: &[(Vec<i64>, Vec<u64>)],
    names: Vec<&str>,
    load: &mut dyn FnMut(&str) -> Result<Vec<Column>, E>,
) -> Result<Vec<u8>, E> {
    let parts = times.iter().map(|(timestamps, positions)| RowsPart {
        timestamps,
        positions,
        columns: Vec::new(),
    });
    encode::encode_loaded(gather::Gathered::new(parts.collect())?, names, load)
}

/// Encodes the rows of a tail's chunks without merging them first.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_chunks(chunks: &[Arc<TailChunk>]) -> Result<Vec<u8>, EncodeError> {
    let parts = chunks.iter().map(|chunk| RowsPart {
        timestamps: chunk.all_timestamps(),
        positions: chunk.all_positions(),
        columns: chunk
            .columns()
            .map(|(name, column)| (&**name, &**column))
            .collect(),
    });
    encode::encode_parts(parts.collect())
}
