//! Accessibility of the web UI: axe-core on every state, in both themes, wide and on a phone, which
//! `web/e2e/axe.mjs` does.
use crate::{
    journeys::drive,
    steps::{Outcome, Step},
    workspace::Workspace,
};
use anyhow::Result;

/// The step.
pub fn step() -> Step {
    Step {
        name: "accessibility",
        run,
    }
}

fn run(workspace: &Workspace) -> Result<Outcome> {
    drive(
        workspace,
        &["e2e/axe.mjs"],
        "axe-core found what keeps people out",
    )
}
