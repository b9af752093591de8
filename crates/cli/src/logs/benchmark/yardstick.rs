//! How fast this machine is, beside the one on which the budgets of time were set.
//!
//! Budgets in milliseconds and in records a second mean a machine on which `zstd -3` of the machine
//! logs takes [`ZSTD_NS_A_BYTE`]. Another machine, or the same one while its neighbours work, takes
//! so many times as long for that, and for everything that a processor does. What was measured is
//! divided by it before it is compared with such a budget.
use super::{
    data::{Source, machine::MachineOptions},
    survey::Counted,
};
use anyhow::Result;
use std::time::Duration;

/// Where the budgets were set: 7.3 s of processor time for 2,686 MB.
const ZSTD_NS_A_BYTE: f64 = 7.3e9 / 2_686e6;
/// Records that are compressed: some 45 MB, so that no cache holds them.
const RECORDS: u64 = 100_000;
const SEED: u64 = 42;
/// Of so many rounds the median counts.
const ROUNDS: usize = 3;

/// What the speed is measured with.
pub struct Yardstick {
    records: Vec<u8>,
}

impl Yardstick {
    /// Makes the records.
    pub fn new() -> Result<Yardstick> {
        let source = Source::Machine(MachineOptions {
            rows: RECORDS,
            days: 1,
            names: 0,
            seed: SEED,
        });
        let mut records = Vec::new();
        source.read(|chunk| {
            records.extend_from_slice(&chunk.bytes);
            Ok(true)
        })?;
        Ok(Yardstick { records })
    }

    /// How many times as long this machine takes now.
    pub fn slowness(&self) -> Result<f64> {
        let mut rounds = [Duration::ZERO; ROUNDS];
        for round in &mut rounds {
            let mut zstd = Counted::new()?;
            zstd.take(&self.records)?;
            *round = zstd.finish()?.cpu;
        }
        rounds.sort_unstable();
        let ns_a_byte = rounds[ROUNDS / 2].as_nanos() as f64 / self.records.len() as f64;
        Ok(ns_a_byte / ZSTD_NS_A_BYTE)
    }
}
