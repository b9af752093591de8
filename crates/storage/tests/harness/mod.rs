//! Harness for crashes and damage: a scripted workload, a ledger, a judge, and lives of a store
//! on the simulated disk.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod ledger;
pub mod read_back;
pub mod script;
