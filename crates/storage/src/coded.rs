//! Columns as codes and as numbers: what aggregates and comparisons read instead of text.
//!
//! A source that keeps a column so hands out a view of it, which is opened once and then asked
//! block by block. Nothing is decoded to text; what a code stands for is looked up once a source.
use crate::read::ReadError;
use taffrail_model::column::Kind;

/// A column whose values are codes into a list of different texts.
pub trait CodedColumn: Send + Sync {
    /// JSON kind of all values.
    fn kind(&self) -> Kind;
    /// Number of different texts; it stands for rows without a value, too.
    fn texts(&self) -> u32;
    /// Bytes of its texts in memory, for as long as the column is held.
    fn bytes(&self) -> usize;
    /// The text of a code below [`CodedColumn::texts`]; written to the buffer if it is not kept.
    fn text<'a>(&'a self, code: u32, buffer: &'a mut String) -> &'a str;
    /// The code of each row of a block, or [`CodedColumn::texts`] for a row without a value.
    ///
    /// # Errors
    /// [`ReadError`].
    fn codes(&self, block: usize) -> Result<BlockCodes, ReadError>;
}

/// Texts up to which a code is a byte: one number more is needed for rows without a value.
pub const NARROW_TEXTS_MAX: u32 = 255;

/// The codes of a block: each is at most [`CodedColumn::texts`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockCodes {
    /// All rows have this one.
    One(u32),
    /// One for each row, of a column of at most [`NARROW_TEXTS_MAX`] texts.
    Narrow(Vec<u8>),
    /// One for each row.
    Wide(Vec<u32>),
}

/// A column whose values are decimal numbers, whatever their kind and text: integers over a common
/// power of ten.
pub trait NumberColumn: Send + Sync {
    /// A value is its integer / 10^`decimals`, at most 18.
    fn decimals(&self) -> u8;
    /// The integers of a block; `out` is overwritten.
    ///
    /// # Errors
    /// [`ReadError`].
    fn numbers(&self, block: usize, out: &mut BlockNumbers) -> Result<(), ReadError>;
}

/// The integers of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockNumbers {
    /// Rows that have a value, ascending; empty if all have one.
    pub rows: Vec<u32>,
    /// The values, one for each of those rows.
    pub values: Vec<i64>,
}
