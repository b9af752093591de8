//! `taffrail run`: a program behind it behaves as it does without, and what it says is recorded.
//!
//! Every behaviour is looked at twice, bare and wrapped, by the same code: the bare program is the
//! oracle. Programs are `sh` and coreutils.
#![allow(clippy::unwrap_used, reason = "what a test cannot do is a failed test")]

mod harness;

mod run {
    mod beside;
    mod gaps;
    mod instances;
    mod jobs;
    mod kills;
    mod limits;
    mod programs;
    mod proxy;
    mod records;
    mod signals;
    mod streams;
    mod table;
    mod terminals;
    mod traces;
}
