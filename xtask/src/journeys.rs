//! Journeys through the web UI: Chromium on the program that was built for the tests, which
//! `web/e2e/run.mjs` drives.
//!
//! `TAFFRAIL_E2E_BINARY` names another program, such as a release build.
use crate::{
    steps::{Outcome, Step, run_command},
    workspace::{Workspace, cargo},
};
use anyhow::{Context, Result, bail};
use std::{path::PathBuf, process::Command};

const BINARY: &str = "TAFFRAIL_E2E_BINARY";

/// The step.
pub fn step() -> Step {
    Step {
        name: "journeys",
        run,
    }
}

fn run(workspace: &Workspace) -> Result<Outcome> {
    drive(
        workspace,
        &["e2e/run.mjs"],
        "journeys through the web UI failed",
    )
}

/// Runs a script of `web/` that drives the program in Chromium.
pub fn drive(workspace: &Workspace, words: &[&str], fault: &str) -> Result<Outcome> {
    let binary = match std::env::var_os(BINARY) {
        Some(named) => PathBuf::from(named),
        None => built(workspace)?,
    };
    let mut command = Command::new("node");
    command
        .args(words)
        .env(BINARY, binary)
        .current_dir(workspace.root.join("web"));
    run_command(&mut command, fault).context("Node.js 20.19 or newer is needed")
}

/// The debug build, up to date with the UI that the first step has built.
fn built(workspace: &Workspace) -> Result<PathBuf> {
    let mut build = Command::new(cargo());
    build
        .args(["build", "--locked", "--package", "taffrail-cli"])
        .current_dir(&workspace.root);
    let outcome = run_command(&mut build, "the program could not be built")?;
    if let Some(fault) = outcome.faults.into_iter().next() {
        bail!(fault);
    }
    let name = format!("taffrail{}", std::env::consts::EXE_SUFFIX);
    Ok(workspace.target.join("debug").join(name))
}
