//! What the tests of the program share: a server in a process of its own, and the program as
//! somebody runs it who has set nothing.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "what a test cannot do is a failed test")]

pub mod server;
pub mod small_disk;

use std::process::Command;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_taffrail");

/// The program without the settings of whoever runs the tests.
pub fn program() -> Command {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TAFFRAIL_") {
            command.env_remove(name);
        }
    }
    command.env_remove("NO_COLOR").env("TZ", "UTC");
    command
}

/// A number that whoever runs the tests may set, such as a seed.
pub fn from_environment(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => otherwise,
    }
}

/// How much longer than usual the harnesses run (`TAFFRAIL_HARNESS_ROUNDS`).
pub fn rounds() -> u64 {
    from_environment("TAFFRAIL_HARNESS_ROUNDS", 1)
}
