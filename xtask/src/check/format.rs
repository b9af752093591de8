//! rustfmt, with the settings of rustfmt.toml.
use crate::{
    steps::{Step, run_command},
    workspace::cargo,
};
use std::process::Command;

/// The step.
pub fn step() -> Step {
    Step {
        name: "format",
        run: |workspace| {
            let mut command = Command::new(cargo());
            command.args(["fmt", "--all", "--check"]);
            command.current_dir(&workspace.root);
            run_command(&mut command, "not formatted: run cargo fmt --all")
        },
    }
}
