//! Counts: of everything, by time, by value, by field; and functions of groups.
//!
//! Invariants
//! - Values of rows that may not be seen, or do not match, are never looked at: what is counted,
//!   and what is told of a limit, is of the matching rows alone.
//! - Each thread collects for itself, and what was collected is merged in any order with the same
//!   outcome, but for the last digits of sums of fractions.
//! - Memory is bounded: groups by number and bytes, distinct values and quantiles by their
//!   sketches, and everything by the pool that all queries share.
//!
//! All of them read the values that they group by through [`keys`]: as codes, where a source keeps
//! them so, of which each is looked up once a source, or else as text.
mod budget;
mod count;
mod distinct;
mod facets;
mod fields;
mod groups;
mod histogram;
mod keys;
mod kinds;
mod numbers;
mod quantile;
mod state;
mod table;
mod tally;

pub use budget::MemoryPool;
pub(super) use count::{count, time_extent};
pub(super) use facets::facets;
pub(super) use fields::fields;
pub(super) use histogram::histogram;
pub(super) use table::aggregate;
