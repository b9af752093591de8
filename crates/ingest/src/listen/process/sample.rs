//! Memory and processor time of a process and all that it has started, from `/proc`.
use std::{
    collections::HashMap,
    fs,
    time::{Duration, Instant},
};

/// Processes of one tree that are looked at: beyond, a sample would cost more than it tells.
pub const TREE_PROCESSES_MAX: usize = 1_000;

/// What a process tree uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Resident memory.
    pub memory_bytes: u64,
    /// Share of one processor since the last sample, in percent; `None` at the first.
    pub cpu_percent: Option<f64>,
    /// Processes.
    pub processes: usize,
    /// Threads of all.
    pub threads: u64,
}

/// Samples one process tree.
#[derive(Debug, Default)]
pub struct Sampler {
    /// Processor time of each process at the last sample, in ticks.
    before: HashMap<u32, u64>,
    at: Option<Instant>,
}

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    ticks: u64,
    threads: u64,
    pages: u64,
}

impl Sampler {
    /// A sample of the tree below a process; `None` if it is gone, or there is no `/proc`.
    pub fn sample(&mut self, root: u32, now: Instant) -> Option<Usage> {
        let mut usage = Usage::default();
        let mut ticks = HashMap::new();
        let mut open = vec![root];
        while let Some(process) = open.pop() {
            let Some(stat) = stat_of(process) else {
                continue;
            };
            usage.processes += 1;
            usage.threads += stat.threads;
            usage.memory_bytes += stat.pages * rustix::param::page_size() as u64;
            ticks.insert(process, stat.ticks);
            if ticks.len() + open.len() < TREE_PROCESSES_MAX {
                open.extend(children_of(process));
            }
        }
        ticks.get(&root)?;
        usage.cpu_percent = self
            .at
            .map(|at| self.percent(&ticks, now.saturating_duration_since(at)));
        self.before = ticks;
        self.at = Some(now);
        Some(usage)
    }

    fn percent(&self, ticks: &HashMap<u32, u64>, passed: Duration) -> f64 {
        let used: u64 = ticks
            .iter()
            .map(|(process, ticks)| {
                let before = self.before.get(process).copied().unwrap_or_default();
                // A smaller number is another process under the same id.
                ticks.checked_sub(before).unwrap_or(*ticks)
            })
            .sum();
        let seconds = used as f64 / rustix::param::clock_ticks_per_second() as f64;
        match passed.as_secs_f64() {
            passed_s if passed_s > 0.0 => 100.0 * seconds / passed_s,
            _ => 0.0,
        }
    }
}

fn stat_of(process: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// Fields are counted from behind the name, which is in brackets and may hold anything.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The state, field 3 of proc(5), is the first here.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        ticks: field(14)? + field(15)?,
        threads: field(20)?,
        pages: field(24)?,
    })
}

fn children_of(process: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task"));
    tasks
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| {
            text.split_ascii_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let text = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 7 5 0 0 20 0 3 0 99 12345 678 18446744073709551615 1";
        let expected = Stat {
            ticks: 12,
            threads: 3,
            pages: 678,
        };
        assert_eq!(parse_stat(text), Some(expected));
        assert_eq!(parse_stat("42 (x) S 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn a_process_is_seen_with_what_it_started() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let mut sampler = Sampler::default();
        let begun = Instant::now();
        let first = sampler.sample(std::process::id(), begun).unwrap();
        assert!(first.processes >= 2 && first.threads >= 2, "{first:?}");
        assert!(first.memory_bytes > 1 << 20, "{first:?}");
        assert_eq!(first.cpu_percent, None);
        let second = sampler.sample(std::process::id(), begun + Duration::from_secs(1));
        assert!(second.unwrap().cpu_percent.is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(sampler.sample(child.id(), begun), None);
    }
}
