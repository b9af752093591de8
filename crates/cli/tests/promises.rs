//! What the product promises, shown on the program itself: a server in its own process, spoken to
//! over HTTP and WebSocket only.
//!
//! Invariants
//! - What is compared with comes from the test's own ledger of what it sent and of what was
//!   answered; bytes on disk are read by a decoder written from `docs/formats/`, not by the
//!   program's own code.
//! - Every test has a server, a data directory and a key of its own, and leaves none behind.
#![allow(clippy::unwrap_used, reason = "what a test cannot do is a failed test")]

mod harness;

mod promises {
    mod allocator;
    mod bad_input;
    mod data_directory;
    mod live_tail;
    mod no_space;
    mod secrets;
    mod tail_client;
}
