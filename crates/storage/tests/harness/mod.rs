//! Harness for crashes and damage: a scripted workload, a ledger, a judge, and lives of a store
//! on the simulated disk.
//!
//! The ledger is written from what was sent and answered, never from what the store says of
//! itself, and the judge compares it with every row that a snapshot shows. Everything follows from
//! seeds: a violation names its seed and the operation, and can be run again.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod ledger;
pub mod life;
pub mod read_back;
pub mod record;
pub mod script;
pub mod serials;

/// How much longer than usual the harness runs (`TAFFRAIL_HARNESS_ROUNDS`).
pub fn rounds() -> u64 {
    std::env::var("TAFFRAIL_HARNESS_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1)
}

/// Runs `work` for every number below `count` on two threads, and gathers what it finds.
pub fn on_two_threads<T: Send>(count: usize, work: impl Fn(usize) -> Vec<T> + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let half = |first: usize| {
            let work = &work;
            scope.spawn(move || (first..count).step_by(2).flat_map(work).collect::<Vec<T>>())
        };
        let halves = [half(0), half(1)];
        halves
            .into_iter()
            .flat_map(|half| match half.join() {
                Ok(found) => found,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}
