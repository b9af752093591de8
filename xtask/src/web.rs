//! The checks of the web UI that need no browser, which are a script of Node.js: typed client up to
//! date, types, tests, build, budgets. It skips what passed for the same inputs.
use crate::{
    steps::{Outcome, Step, run_command},
    workspace::Workspace,
};
use anyhow::{Context, Result};
use std::process::Command;

/// The step.
pub fn step() -> Step {
    Step { name: "web", run }
}

fn run(workspace: &Workspace) -> Result<Outcome> {
    let mut command = Command::new("node");
    command
        .arg("scripts/gate.mjs")
        .current_dir(workspace.root.join("web"));
    run_command(&mut command, "the checks of the web UI failed")
        .context("Node.js 20.19 or newer is needed")
}
