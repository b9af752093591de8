//! `cargo xtask bench`: builds the release program and runs its benchmark with the arguments that
//! follow; docs/guide/performance.md says what it measures.
use crate::{
    instructions,
    workspace::{Workspace, cargo},
};
use anyhow::{Context, Result};
use std::process::Command;

/// Whether the benchmark ran and every answer was right.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<bool> {
    match arguments {
        [first, rest @ ..] if first == "--instructions" => instructions::run(workspace, rest),
        _ => speed(workspace, arguments),
    }
}

fn speed(workspace: &Workspace, arguments: &[String]) -> Result<bool> {
    let built = Command::new(cargo())
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "taffrail-cli",
        ])
        .current_dir(&workspace.root)
        .status()
        .context("starting cargo build")?;
    if !built.success() {
        return Ok(false);
    }
    let status = Command::new(workspace.target.join("release/taffrail"))
        .args(["logs", "benchmark"])
        .args(arguments)
        .status()
        .context("starting the benchmark")?;
    Ok(status.success())
}
