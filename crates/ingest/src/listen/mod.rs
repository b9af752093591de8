//! Where bytes come from when nobody sends a request.

pub mod file;
pub mod multiline;
pub mod process;
