//! cargo-deny: banned crates, licences, sources. The rules and their reasons are in deny.toml.
use crate::{
    steps::{Outcome, Step, run_command},
    workspace::{Workspace, cargo},
};
use anyhow::{Result, bail};
use std::process::Command;

/// The step.
pub fn step() -> Step {
    Step {
        name: "dependencies",
        run,
    }
}

fn run(workspace: &Workspace) -> Result<Outcome> {
    let version = Command::new(cargo()).args(["deny", "--version"]).output()?;
    if !version.status.success() {
        bail!("cargo-deny is missing: run scripts/setup.sh test, which installs it");
    }
    let mut command = Command::new(cargo());
    command.args(["deny", "--locked", "--log-level", "error"]);
    command.args(["check", "bans", "licenses", "sources"]);
    command.current_dir(&workspace.root);
    let mut outcome = run_command(&mut command, "a dependency breaks a rule of deny.toml")?;
    let said = String::from_utf8_lossy(&version.stdout);
    outcome.note = said.trim().to_string();
    Ok(outcome)
}
