//! From what was sent to canonical fields: plain lines, names, levels, times.
pub(crate) mod alias;
pub(crate) mod level;
pub(crate) mod line;
pub(crate) mod time;
