//! The search language: from text to tree and back. For users: docs/guide/search-language.md.
//!
//! One parser serves every interface. A faulty text is an error with its place and a hint, never
//! an empty result.
mod lexer;
pub(crate) mod parser;
pub mod pipe;
mod printer;
pub mod tree;

use crate::words;
use taffrail_model::limits::{QUERY_BYTES_MAX, QUERY_NODES_MAX};
use tree::{Expr, Test};

pub use parser::{parse, parse_filter, pipes_begin};

/// Why a query text was not understood, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (characters {start} to {end}): {hint}")]
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

/// The query for literal words, all of them in any order. There is no syntax in the text: a word
/// with punctuation is a phrase, punctuation alone is searched for as it stands.
///
/// # Errors
/// [`ParseError`] only past `QUERY_BYTES_MAX` and `QUERY_NODES_MAX`.
pub fn literal_words(text: &str) -> Result<Expr, ParseError> {
    let mut tests: Vec<Test> = Vec::new();
    if text.len() <= QUERY_BYTES_MAX {
        for word in text.split_whitespace() {
            let test = match words::has_words(word) {
                true => Test::Words(word.to_owned()),
                false => Test::Substring(word.to_owned()),
            };
            if !tests.contains(&test) {
                tests.push(test);
            }
        }
    }
    if text.len() > QUERY_BYTES_MAX || tests.len() >= QUERY_NODES_MAX {
        return Err(lexer::fault(
            0,
            text.chars().count(),
            "too many words to search for",
            format!("give less than {QUERY_NODES_MAX} words in at most {QUERY_BYTES_MAX} bytes"),
        ));
    }
    Ok(Expr::all_of(tests.into_iter().map(Expr::text)))
}

#[cfg(test)]
mod pipe_tests;
#[cfg(test)]
mod tests;
