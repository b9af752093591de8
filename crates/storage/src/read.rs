//! What a scan sees of storage: sources of rows, cut into blocks. A tail chunk and a section of a
//! segment are read through the same trait, so that there is one executor.
use crate::{
    coded::{CodedColumn, NumberColumn},
    find::{Finding, TextQuestion},
};
use std::{borrow::Cow, sync::Arc};
use taffrail_model::{
    column::{Column, FieldName},
    position::Position,
    time::Timestamp,
};

/// What is known of some rows without reading them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Number of rows.
    pub rows: u32,
    /// Earliest timestamp.
    pub time_min: Timestamp,
    /// Latest timestamp.
    pub time_max: Timestamp,
    /// Lowest position.
    pub position_min: Position,
    /// Highest position.
    pub position_max: Position,
}

/// What is known of one column in one block without reading it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColumnStats {
    /// Rows that have a value.
    pub values: u32,
    /// Least and greatest number, if every value is a number (kind integer or float, or a string
    /// that parses as a finite number) and at least one is there.
    pub numbers: Option<(f64, f64)>,
}

/// Why rows could not be read. The names say which file, so that an answer can say what is missing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// Checksum, tag or structure of a file is wrong: the file is quarantined.
    #[error("{file} is damaged at byte {offset}: {detail}")]
    Damaged {
        /// File name within the data directory.
        file: String,
        /// Offset in the file.
        offset: u64,
        /// What is wrong.
        detail: String,
    },
    /// A listed file is not there.
    #[error("{file} is missing")]
    Missing {
        /// File name within the data directory.
        file: String,
    },
    /// The operating system failed.
    #[error("cannot read {file}")]
    Io {
        /// File name within the data directory.
        file: String,
        /// Cause.
        #[source]
        source: Arc<std::io::Error>,
    },
}

impl ReadError {
    /// The file that the fault names.
    #[must_use]
    pub fn file(&self) -> &str {
        match self {
            ReadError::Damaged { file, .. }
            | ReadError::Missing { file }
            | ReadError::Io { file, .. } => file,
        }
    }
}

/// Bytes that are read by range: a section's plain bytes inside its sealed container, which decrypts
/// only the chunks that a range needs.
#[allow(clippy::len_without_is_empty)] // No caller asks whether a file is empty.
pub trait ReadAt: Send + Sync {
    /// Number of bytes.
    fn len(&self) -> u64;
    /// Exactly `bytes` bytes from `offset` on; a range past the end is an error, and so is every
    /// byte that fails its authentication.
    fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, ReadError>;
    /// Name for faults (file within the data directory, and section).
    fn name(&self) -> String;
}

/// Rows of one partition: one chunk of its tail or one section of a segment.
///
/// Rows of a block are numbered from 0. In a segment rows ascend by (timestamp, position), in a
/// tail by position.
pub trait RowSource: Send + Sync {
    /// Name for reports (`tail`, or the segment's file and section).
    fn name(&self) -> String;
    /// All rows together, known without reading.
    fn extent(&self) -> Extent;
    /// Names of the columns that have a value in some row.
    fn column_names(&self) -> Result<Vec<FieldName>, ReadError>;
    /// The blocks, in order.
    fn blocks(&self) -> Result<Cow<'_, [Extent]>, ReadError>;
    /// Timestamps of a block's rows.
    fn timestamps(&self, block: usize) -> Result<Cow<'_, [i64]>, ReadError>;
    /// Positions of a block's rows.
    fn positions(&self, block: usize) -> Result<Cow<'_, [u64]>, ReadError>;
    /// The values of a column in a block; `None` if no row of the block has one.
    fn column(&self, block: usize, name: &str) -> Result<Option<Arc<Column>>, ReadError>;
    /// Values of a column in a block of which only these rows, ascending, are wanted. The values
    /// of other rows may be there or not.
    fn values_at(
        &self,
        block: usize,
        name: &str,
        _rows: &[u32],
    ) -> Result<Option<Arc<Column>>, ReadError> {
        self.column(block, name)
    }
    /// Statistics of a column in a block; `None` if there are none (then nothing can be pruned).
    fn stats(&self, block: usize, name: &str) -> Result<Option<ColumnStats>, ReadError>;
    /// Whether a value of the column in the block may contain the folded token with this
    /// [`token_hash`]; `true` where that is not known.
    fn may_contain(&self, block: usize, name: &str, token_hash: u64) -> Result<bool, ReadError>;
    /// As [`RowSource::may_contain`], for a source that can say more when it has the folded token
    /// itself: sorted dictionaries of ids and ranges of numbers are looked up by text.
    fn may_contain_word(&self, block: usize, name: &str, folded: &str) -> Result<bool, ReadError> {
        self.may_contain(block, name, token_hash(folded))
    }
    /// The number up to which deletions were applied: no row that one of them concerns is here.
    fn applied_deletions(&self) -> u64 {
        0
    }
    /// Looks for text in all rows at once; `None` if decoding the blocks is as good.
    fn find(
        &self,
        _name: &str,
        _question: &Arc<dyn TextQuestion>,
    ) -> Result<Option<Arc<dyn Finding>>, ReadError> {
        Ok(None)
    }
    /// As [`RowSource::find`] for each of these columns, in their order.
    ///
    /// # Errors
    /// [`ReadError`] of the first that cannot be read.
    fn find_each(
        &self,
        names: &[FieldName],
        question: &Arc<dyn TextQuestion>,
    ) -> Result<Vec<Option<Arc<dyn Finding>>>, ReadError> {
        let names = names.iter();
        names.map(|name| self.find(name, question)).collect()
    }
    /// The column as codes, if it is kept so and no row has a value of another kind.
    fn coded(&self, _name: &str) -> Result<Option<Arc<dyn CodedColumn>>, ReadError> {
        Ok(None)
    }
    /// The column as numbers, if it is kept so.
    fn numbers(&self, _name: &str) -> Result<Option<Arc<dyn NumberColumn>>, ReadError> {
        Ok(None)
    }
    /// Sets in `out` the bits of the rows of a block that have a value, the lowest bit of a word
    /// first.
    fn add_present(&self, block: usize, name: &str, out: &mut [u64]) -> Result<(), ReadError> {
        if let Some(column) = self.column(block, name)? {
            set_bits(column.rows(), out);
        }
        Ok(())
    }
    /// The templates of a text column and how many rows have them; `None` if it was not split into
    /// templates. Rows that have none are in no count.
    fn templates(&self, _name: &str) -> Result<Option<Vec<Template>>, ReadError> {
        Ok(None)
    }
}

/// What many values of a text column have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Hash of the parts, the same in every segment.
    pub hash: u64,
    /// Literal parts and variables, in order.
    pub parts: Vec<TemplatePart>,
    /// Rows that have it.
    pub rows: u64,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    /// The same in all rows, never empty.
    Literal(String),
    /// Different in each row.
    Variable(VariableKind),
}

/// What a variable of a template is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum VariableKind {
    /// One token with a digit in it.
    Token = 1,
    /// `8-4-4-4-12` hexadecimal digits of either case.
    Uuid = 2,
    /// Dotted decimal.
    Ipv4 = 3,
    /// As RFC 5952 writes it.
    Ipv6 = 4,
    /// One token of ASCII letters.
    Word = 5,
}

/// Sets the bits of rows; rows past the end are left out.
pub(crate) fn set_bits(rows: &[u32], out: &mut [u64]) {
    for row in rows {
        if let Some(word) = out.get_mut(*row as usize / 64) {
            *word |= 1 << (row % 64);
        }
    }
}

/// Hash of a folded token for block filters (64-bit FNV-1a with a final mix): part of the segment
/// format, never to change.
#[must_use]
pub fn token_hash(folded: &str) -> u64 {
    let mut hasher = TokenHasher::default();
    hasher.write(folded.as_bytes());
    hasher.finish()
}

/// [`token_hash`] of a token that comes in parts.
pub(crate) struct TokenHasher(u64);

impl Default for TokenHasher {
    fn default() -> TokenHasher {
        TokenHasher(0xcbf2_9ce4_8422_2325)
    }
}

impl TokenHasher {
    /// The next bytes of the folded token.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// The hash.
    pub(crate) fn finish(self) -> u64 {
        let mut hash = self.0;
        hash ^= hash >> 32;
        hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^ (hash >> 29)
    }
}
