//! The executor: against an oracle ([`oracle`]), and case by case.
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

mod aggregates;
mod build;
mod context;
mod faults;
mod limits;
mod meaning;
mod oracle;
mod pruning;
mod rule;
mod templates;
