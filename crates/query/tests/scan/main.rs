//! The executor: against an oracle ([`oracle`]), and case by case.
mod build;
mod context;
mod faults;
mod limits;
mod meaning;
mod oracle;
mod pruning;
mod rule;
