//! From what was sent to canonical fields: names, times, levels, plain lines.
pub(crate) mod alias;
pub(crate) mod time;
