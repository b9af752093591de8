//! Trace contexts for requests that have none: each is a trace of its own, sampled.
use ring::rand::{SystemRandom, generate};
use taffrail_ingest::{listen::process::whole_lines::WholeLines, mcp::traceparent};

/// Puts a new `traceparent` into each request that can take one.
pub fn injector() -> WholeLines {
    let random = SystemRandom::new();
    WholeLines::new(Box::new(move |line| {
        traceparent::inject(line, &fresh(&random)?)
    }))
}

/// A trace and a span of their own; `None` if there is no randomness, and then nothing is put in.
fn fresh(random: &SystemRandom) -> Option<String> {
    let trace_id = u128::from_be_bytes(generate(random).ok()?.expose());
    let span_id = u64::from_be_bytes(generate(random).ok()?.expose());
    Some(format!("00-{trace_id:032x}-{span_id:016x}-01"))
}
