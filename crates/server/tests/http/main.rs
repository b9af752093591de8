//! HTTP scenarios against a real server in this process, on a free port.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
mod admission;
mod answers;
mod auth;
mod deletions;
mod harness;
mod health;
mod ingest;
mod logs;
mod mcps;
mod openapi;
mod search;
mod sessions;
mod tail;
mod ui;
mod users;
