//! Runs steps one after the other with visible progress and a summary at the end.
//!
//! A step that fails does not keep the others from running: one run shows every fault.
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::{
    process::Command,
    time::{Duration, Instant},
};

/// What a step found: a line for the summary, and what is wrong.
#[derive(Debug, Default)]
pub struct Outcome {
    /// A few words on what was looked at, such as `312 tests`.
    pub note: String,
    /// One entry a fault, each readable alone.
    pub faults: Vec<String>,
}

/// One step.
pub struct Step {
    /// Its name in progress and summary.
    pub name: &'static str,
    /// What it does; an error is a fault as well.
    pub run: fn(&Workspace) -> Result<Outcome>,
}

/// Runs all steps; whether none had a fault.
pub fn run_all(steps: &[Step], workspace: &Workspace) -> bool {
    let mut summary = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        eprintln!("[{}/{}] {}", index + 1, steps.len(), step.name);
        let start = Instant::now();
        let outcome = (step.run)(workspace).unwrap_or_else(|error| Outcome {
            note: "could not run".into(),
            faults: vec![format!("{error:#}")],
        });
        for fault in &outcome.faults {
            eprintln!("  fault: {fault}");
        }
        summary.push((step.name, outcome, start.elapsed()));
    }
    eprintln!();
    for (name, outcome, elapsed) in &summary {
        eprintln!("{}", summary_line(name, outcome, *elapsed));
    }
    let faulty = summary.iter().filter(|(_, o, _)| !o.faults.is_empty());
    match faulty.count() {
        0 => eprintln!("all {} steps passed", summary.len()),
        count => eprintln!("{count} of {} steps failed", summary.len()),
    }
    summary.iter().all(|(_, o, _)| o.faults.is_empty())
}

fn summary_line(name: &str, outcome: &Outcome, elapsed: Duration) -> String {
    let verdict = if outcome.faults.is_empty() {
        "ok  "
    } else {
        "FAIL"
    };
    let note = &outcome.note;
    format!(
        "{verdict}  {name:<16} {:>7.1} s  {note}",
        elapsed.as_secs_f64()
    )
}

/// Runs a command whose own output is the report; a status other than 0 is the fault.
pub fn run_command(command: &mut Command, fault: &str) -> Result<Outcome> {
    let status = command
        .status()
        .with_context(|| format!("starting {}", command.get_program().display()))?;
    let faults = if status.success() {
        Vec::new()
    } else {
        vec![format!("{fault} ({status})")]
    };
    Ok(Outcome {
        note: String::new(),
        faults,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_shows_in_the_summary() {
        let mut outcome = Outcome {
            note: "3 files".into(),
            faults: Vec::new(),
        };
        let line = |outcome: &Outcome| summary_line("format", outcome, Duration::from_millis(1500));
        assert_eq!(line(&outcome), "ok    format               1.5 s  3 files");
        outcome.faults.push("bad".into());
        assert!(line(&outcome).starts_with("FAIL  format"));
    }
}
