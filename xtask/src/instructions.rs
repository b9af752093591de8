//! How many instructions the kernels of `crates/instructions` take, compared with the baseline
//! that is committed: a gate that a busy machine does not disturb.
//!
//! Each kernel runs under callgrind, which counts from the function `counted_from_here` on. More
//! than [`GROWTH_PERCENT_MAX`] over the baseline is a fault; fewer is told, so that the baseline can follow.
use crate::{
    steps::{Outcome, Step},
    workspace::{Workspace, cargo},
};
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

const PROGRAM: &str = "taffrail-instructions";
const PROFILE: &str = "instructions";
const BASELINE: &str = "crates/instructions/baseline.txt";
/// The function within which is counted, as its name is in the program.
const COUNTED: &str = "*counted_from_here*";
/// By how many hundredths a count may grow. Hash seeds and the processor's model move it by less.
const GROWTH_PERCENT_MAX: u64 = 10;
/// The same memory and text routines on every processor: those that all of the last ten years have.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM";

/// Instructions by kernel.
type Counts = BTreeMap<String, u64>;

/// The step of the tests.
pub fn step() -> Step {
    Step {
        name: "instructions",
        run: check,
    }
}

/// Counts, prints, and compares or with `--update` writes the baseline.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<bool> {
    let is_update = match arguments {
        [] => false,
        [only] if only == "--update" => true,
        _ => bail!("usage: cargo xtask bench --instructions [--update]"),
    };
    if is_update {
        let counts = count(workspace)?;
        let path = workspace.root.join(BASELINE);
        std::fs::write(&path, written(&counts)).with_context(|| format!("writing {BASELINE}"))?;
        eprint!("{}", written(&counts));
        return Ok(true);
    }
    let outcome = check(workspace)?;
    for fault in &outcome.faults {
        eprintln!("fault: {fault}");
    }
    Ok(outcome.faults.is_empty())
}

fn check(workspace: &Workspace) -> Result<Outcome> {
    let path = workspace.root.join(BASELINE);
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {BASELINE}"))?;
    let baseline = read(&text)?;
    let counts = count(workspace)?;
    eprint!("{}", table(&baseline, &counts));
    Ok(Outcome {
        note: format!("{} kernels", counts.len()),
        faults: faults(&baseline, &counts),
    })
}

fn count(workspace: &Workspace) -> Result<Counts> {
    let program = build(workspace)?;
    let listed = Command::new(&program)
        .output()
        .context("listing the kernels")?;
    let names = String::from_utf8(listed.stdout).context("listing the kernels")?;
    let counts = names
        .lines()
        .map(|name| Ok((name.to_string(), count_kernel(&program, name)?)));
    counts.collect()
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    let status = Command::new(cargo())
        .args([
            "build",
            "--locked",
            "--package",
            PROGRAM,
            "--profile",
            PROFILE,
        ])
        .current_dir(&workspace.root)
        .status()
        .context("starting cargo build")?;
    if !status.success() {
        bail!("the kernels do not build");
    }
    Ok(workspace.target.join(PROFILE).join(PROGRAM))
}

fn count_kernel(program: &Path, name: &str) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(program)
        .arg(name)
        .env("GLIBC_TUNABLES", TUNABLES)
        .output()
        .context("starting valgrind: install the package valgrind (scripts/setup.sh test does)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{name}: {}", said.trim());
    }
    collected(&said).with_context(|| format!("{name}: callgrind does not say what it counted"))
}

/// The number that callgrind gives: `==7== Collected : 1234`.
fn collected(said: &str) -> Option<u64> {
    let (_, rest) = said.split_once("Collected :")?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

/// A baseline: a count, a blank and a kernel in each line.
fn read(text: &str) -> Result<Counts> {
    let line = |line: &str| {
        let (count, name) = line.trim_start().split_once(' ')?;
        Some((name.to_string(), count.parse().ok()?))
    };
    let counts = text.lines().map(|text| {
        line(text).with_context(|| format!("{BASELINE}: {text:?} is no count and kernel"))
    });
    counts.collect()
}

fn written(counts: &Counts) -> String {
    counts
        .iter()
        .map(|(name, count)| format!("{count:>12} {name}\n"))
        .collect()
}

fn growth(before: u64, now: u64) -> f64 {
    now as f64 / before.max(1) as f64 - 1.0
}

/// Whether a count has grown by more than it may; whole numbers, so that the limit itself passes.
fn is_too_many(before: u64, now: u64) -> bool {
    u128::from(now) * 100 > u128::from(before) * u128::from(100 + GROWTH_PERCENT_MAX)
}

fn table(baseline: &Counts, counts: &Counts) -> String {
    let mut text = format!("{:>14} {:>14} {:>8}  kernel\n", "baseline", "now", "");
    for (name, now) in counts {
        let (before, change) = match baseline.get(name) {
            Some(before) => (
                before.to_string(),
                format!("{:+.1}%", 100.0 * growth(*before, *now)),
            ),
            None => ("".into(), "new".into()),
        };
        text.push_str(&format!("{before:>14} {now:>14} {change:>8}  {name}\n"));
    }
    text
}

fn faults(baseline: &Counts, counts: &Counts) -> Vec<String> {
    let update = "cargo xtask bench --instructions --update";
    let mut faults = Vec::new();
    for (name, now) in counts {
        match baseline.get(name) {
            None => faults.push(format!("{name} is not in the baseline: {update}")),
            Some(before) if is_too_many(*before, *now) => faults.push(format!(
                "{name} takes {:.1}% more instructions than the baseline",
                100.0 * growth(*before, *now)
            )),
            Some(_) => {}
        }
    }
    let gone = baseline.keys().filter(|name| !counts.contains_key(*name));
    faults
        .extend(gone.map(|name| format!("{name} of the baseline is no kernel any more: {update}")));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(all: &[(&str, u64)]) -> Counts {
        all.iter()
            .map(|(name, count)| ((*name).to_string(), *count))
            .collect()
    }

    #[test]
    fn ten_percent_pass_and_one_more_instruction_does_not() {
        let baseline = counts(&[("a", 1_000)]);
        let check = |now| faults(&baseline, &counts(&[("a", now)])).len();
        assert_eq!(check(1), 0);
        assert_eq!(check(1_100), 0);
        assert_eq!(check(1_101), 1);
    }

    #[test]
    fn kernels_without_baseline_and_the_other_way_round() {
        let faults = faults(&counts(&[("a", 1)]), &counts(&[("b", 1)]));
        assert_eq!(faults.len(), 2);
        assert!(faults[0].starts_with("b is not") && faults[1].starts_with("a of the"));
    }

    #[test]
    fn a_baseline_is_read_as_it_was_written() {
        let all = counts(&[("count a word", 12), ("decode", 3_456_789_012_345)]);
        assert_eq!(read(&written(&all)).unwrap(), all);
        assert!(read("decode").is_err());
    }

    #[test]
    fn what_callgrind_says() {
        let said = "==7== Events    : Ir\n==7== Collected : 123456\n==7== \n";
        assert_eq!(collected(said), Some(123_456));
        assert_eq!(collected("nothing"), None);
    }

    #[test]
    fn the_table_shows_changes() {
        let text = table(&counts(&[("a", 1_000)]), &counts(&[("a", 1_050), ("b", 7)]));
        assert!(
            text.contains("+5.0%  a") && text.contains("new  b"),
            "{text}"
        );
    }
}
