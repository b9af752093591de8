//! Text as templates and variables (encoding 8): the messages and paths that machines write.
//!
//! Invariants
//! - Every value comes back byte for byte; no byte stands for a variable.
//! - No token lies across the begin or the end of a variable, so that a word lies
//!   either in the literal part or in a variable, never in both.
//! - The hash of a template is the same in every segment.
//! - A block is decoded from its own codes, the rank of its first rows and single values of the
//!   variables' pages: never from the rows before it.
//!
//! Templates with at least [`head::OWN_ROWS_MIN`] rows have a column for each variable; the
//! variables of the others, and values without a template, are in a heap. So a small template
//! costs its text and no columns.
mod automaton;
mod cut;
pub(super) mod decode;
pub(super) mod encode;
pub(super) mod find;
mod guard;
mod head;
mod heap;
mod heap_lookup;
pub(super) mod judge;
mod lookup;
mod slot;
mod split;
#[cfg(test)]
mod tests;
