//! clippy with the lints of the workspace, over tests and examples too; a warning is a fault.
use crate::{
    steps::{Step, run_command},
    workspace::cargo,
};
use std::process::Command;

/// The step.
pub fn step() -> Step {
    Step {
        name: "lints",
        run: |workspace| {
            let mut command = Command::new(cargo());
            command.args(["clippy", "--workspace", "--all-targets", "--locked"]);
            command.args(["--", "-D", "warnings"]);
            command.current_dir(&workspace.root);
            run_command(&mut command, "clippy has warnings")
        },
    }
}
