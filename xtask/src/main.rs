//! Tasks of the repository: `cargo xtask check` is the gate, `cargo xtask test` the gate and every
//! test, those of the web UI in a browser last; `cargo xtask screenshots` takes a picture of every
//! state of the UI; `cargo xtask bench` measures speed and counts instructions. All print what they are doing, do all of it even after a fault, and end with a
//! summary.
mod accessibility;
mod bench;
mod check;
mod instructions;
mod journeys;
mod screenshots;
mod steps;
mod test;
mod web;
mod workspace;

use anyhow::{Result, bail};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask check | test | screenshots | bench [ARGUMENTS]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything passed.
fn run(arguments: &[String]) -> Result<bool> {
    let steps = match arguments {
        [task] if task == "check" => check::steps(),
        [task] if task == "test" => {
            // The UI first: the server is compiled with what it builds.
            let mut steps = vec![web::step()];
            steps.extend(check::steps());
            steps.push(test::step());
            steps.push(instructions::step());
            steps.push(journeys::step());
            steps.push(accessibility::step());
            steps
        }
        [task] if task == "screenshots" => screenshots::steps(),
        [task, arguments @ ..] if task == "bench" => {
            return bench::run(&workspace::Workspace::load()?, arguments);
        }
        _ => bail!(USAGE),
    };
    let workspace = workspace::Workspace::load()?;
    Ok(steps::run_all(&steps, &workspace))
}
