//! Pictures of every state of the web UI, for people to look at: in `screenshots` of cargo's target
//! directory, over records of a made-up platform. The best are committed in `docs/screenshots`.
use crate::{
    journeys::drive,
    steps::{Outcome, Step, run_command},
    workspace::Workspace,
};
use anyhow::{Context, Result};
use std::process::Command;

/// The steps: the UI is built, then looked at.
pub fn steps() -> Vec<Step> {
    vec![
        Step {
            name: "web",
            run: build,
        },
        Step {
            name: "screenshots",
            run,
        },
    ]
}

fn build(workspace: &Workspace) -> Result<Outcome> {
    let mut command = Command::new("node");
    command
        .args(["scripts/prepare.mjs", "build"])
        .current_dir(workspace.root.join("web"));
    run_command(&mut command, "the UI could not be built")
        .context("Node.js 20.19 or newer is needed")
}

fn run(workspace: &Workspace) -> Result<Outcome> {
    let folder = workspace.target.join("screenshots");
    let folder = folder.to_string_lossy();
    let mut outcome = drive(
        workspace,
        &["e2e/screenshots.mjs", "--out", &folder],
        "a state of the UI could not be reached",
    )?;
    outcome.note = format!("in {folder}");
    Ok(outcome)
}
