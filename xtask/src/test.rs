//! Every test of the workspace with plain `cargo test`, which is there wherever Rust is and runs
//! the examples of the documentation too.
//!
//! The output is passed through as it comes; the counts for the summary are read from it.
use crate::{
    steps::{Outcome, Step},
    workspace::{Workspace, cargo},
};
use anyhow::{Context, Result};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

/// The step.
pub fn step() -> Step {
    Step { name: "tests", run }
}

fn run(workspace: &Workspace) -> Result<Outcome> {
    let mut child = Command::new(cargo())
        .args(["test", "--workspace", "--locked", "--no-fail-fast"])
        .current_dir(&workspace.root)
        .stdout(Stdio::piped())
        .spawn()
        .context("starting cargo test")?;
    let mut counts = Counts::default();
    if let Some(output) = child.stdout.take() {
        let mut out = std::io::stdout().lock();
        for line in BufReader::new(output).split(b'\n') {
            let line = line.context("reading the output of cargo test")?;
            out.write_all(&line)?;
            out.write_all(b"\n")?;
            counts.take(&String::from_utf8_lossy(&line));
        }
        out.flush()?;
    }
    let status = child.wait().context("waiting for cargo test")?;
    Ok(Outcome {
        note: format!(
            "{} tests passed in {} programs",
            counts.passed, counts.programs
        ),
        faults: counts.faults(status.success()),
    })
}

/// Sums over the test programs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    programs: u64,
    passed: u64,
    failed: Vec<String>,
    ignored: u64,
}

impl Counts {
    /// Takes a line of output into account.
    fn take(&mut self, line: &str) {
        if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failed.push(name.to_string());
        }
        let Some(rest) = line.strip_prefix("test result: ") else {
            return;
        };
        self.programs += 1;
        let count = |word: &str| -> u64 {
            rest.split([';', '.'])
                .find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
                .unwrap_or(0)
        };
        self.passed += count("passed");
        self.ignored += count("ignored");
    }

    fn faults(&self, is_success: bool) -> Vec<String> {
        let mut faults: Vec<String> = self.failed.iter().map(|t| format!("failed: {t}")).collect();
        if self.ignored > 0 {
            faults.push(format!("{} tests are ignored", self.ignored));
        }
        if !is_success && faults.is_empty() {
            faults.push("cargo test failed, see above".into());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(lines: &[&str]) -> Counts {
        let mut counts = Counts::default();
        lines.iter().for_each(|line| counts.take(line));
        counts
    }

    #[test]
    fn results_are_summed_over_programs() {
        let counts = counts(&[
            "test a::b ... ok",
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        ]);
        assert_eq!((counts.programs, counts.passed), (2, 15));
        assert_eq!(counts.faults(true), Vec::<String>::new());
        assert_eq!(counts.faults(false), ["cargo test failed, see above"]);
    }

    #[test]
    fn failed_and_ignored_tests_are_faults() {
        let counts = counts(&[
            "test a::b ... FAILED",
            "test result: FAILED. 1 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out",
        ]);
        assert_eq!(
            counts.faults(false),
            ["failed: a::b", "2 tests are ignored"]
        );
    }
}
