//! The search language: docs/guide/search-language.md.
pub mod tree;

use tree::{Expr, Query};

/// Why a query text was not understood, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (characters {start}-{end}): {hint}")]
pub struct ParseError {
    /// First character at fault, counted from 0.
    pub start: usize,
    /// Character after the last one at fault.
    pub end: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: String,
}

/// Reads a query text.
///
/// # Errors
/// [`ParseError`] with the place of the fault.
pub fn parse(_text: &str) -> Result<Query, ParseError> {
    Ok(Query { filter: Expr::All })
}

/// The query for literal words, all of them in any order: there is no syntax in it.
///
/// # Errors
/// [`ParseError`] only past the limits of a query.
pub fn literal_words(_text: &str) -> Result<Expr, ParseError> {
    Ok(Expr::All)
}
