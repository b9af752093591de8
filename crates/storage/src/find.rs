//! Looking for text in a source as a whole, on its encoded data.
//!
//! A query's test of text becomes a [`TextQuestion`]: the test itself, and clues that an encoding
//! can follow without unpacking values. A source that can do better than to have its blocks
//! decoded answers with a [`Finding`]. Both are cheap to make; what costs is done when a block's
//! rows are asked for, and only for that block where the encoding allows.
use crate::read::ReadError;
use taffrail_model::column::Kind;

/// What a query asks of the values of one column.
pub trait TextQuestion: Send + Sync {
    /// Alternatives: for a value that passes, at least one of them holds. Never empty.
    fn clues(&self) -> &[Clue];
    /// Whether values of a kind are looked at: one of another kind never passes.
    fn looks_at(&self, _kind: Kind) -> bool {
        true
    }
    /// The question as an automaton over the bytes of a value, if it is one: a value of any kind
    /// that is looked at passes if the automaton accepts its text.
    fn automaton(&self) -> Option<&dyn Automaton> {
        None
    }
    /// Texts of which a string or JSON value must contain one, byte for byte, and passes if it does;
    /// `None` if that is not what is asked. Then there is a clue for each.
    fn literals(&self) -> Option<&[String]> {
        None
    }
    /// Whether a value passes: the last word wherever clues do not decide.
    fn passes(&self, kind: Kind, text: &str) -> bool;
}

/// A deterministic automaton over bytes. What it accepts at some byte it accepts whatever follows.
pub trait Automaton: Send + Sync {
    /// The state before the first byte.
    fn start(&self) -> u32;
    /// The state after one more byte.
    fn next(&self, state: u32, byte: u8) -> u32;
    /// Whether all texts that lead here are accepted, whatever follows.
    fn accepts(&self, state: u32) -> bool;
    /// Whether a text that ends here is accepted.
    fn accepts_at_end(&self, state: u32) -> bool;
}

/// What holds for a value that passes. "Tokens" are those of `taffrail_model::token`, "folded" is
/// its simple case folding.
#[derive(Clone, Debug, PartialEq)]
pub enum Clue {
    /// Decides for strings and JSON: the value has these folded tokens, one after the other with
    /// nothing but separators between them. At least one.
    Phrase(Vec<String>),
    /// Decides for strings and JSON: the folded value contains this folded text. Not empty.
    Substring(String),
    /// Decides for values of every kind: the value is this text, byte for byte.
    Whole(String),
    /// Is necessary only: the value, folded if `is_folded`, contains the text. Not empty.
    Contains {
        /// The text, folded if `is_folded`.
        text: String,
        /// Whether case does not matter.
        is_folded: bool,
    },
    /// Is necessary only: the value's text reads as a number, and it lies within half a unit in
    /// the last place of this one.
    Number(f64),
    /// Nothing is known.
    Anything,
}

impl Clue {
    /// Whether a string or JSON value for which this holds passes, and one for which it does not
    /// hold does not pass by this alternative.
    #[must_use]
    pub fn decides(&self) -> bool {
        matches!(self, Clue::Phrase(_) | Clue::Substring(_) | Clue::Whole(_))
    }
}

/// Which rows of a source pass a question. Rows without a value in the column never pass.
pub trait Finding: Send + Sync {
    /// How many rows of the source pass, where that is known without looking at its blocks.
    fn count(&self) -> Option<u64>;
    /// Whether a row of the block may pass; cheap, and `true` where that is not known.
    fn may_be_in(&self, block: usize) -> bool;
    /// Sets in `out` the bits of the rows of a block that pass, out of those set in `within`. Both
    /// have a bit for each row of the block, the lowest bit of a word first.
    ///
    /// # Errors
    /// [`ReadError`]; `out` is then of no use.
    fn add_rows(&self, block: usize, within: &[u64], out: &mut [u64]) -> Result<(), ReadError>;
}
