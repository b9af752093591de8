//! From the bytes of a request to the columns of a batch.
//!
//! Bad input is data, not failure: what is wrong with one record is a reject with the record's
//! index, and only what makes the whole request unreadable is an error.

mod fields;
pub(crate) mod json;
pub mod lines;
pub mod ndjson;
