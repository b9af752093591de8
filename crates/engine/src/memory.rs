//! How memory is shared out: a bound for everything that grows with what is asked of the server.
//!
//! Invariants
//! - Each pool has a bound that its owner keeps; all pools together have at most
//!   [`POOLS_PERCENT`] of the memory that the process may use. The rest is for what no pool counts:
//!   columns on their way, encoders, stacks, the metadata database, what the allocator keeps.
//! - From 1 GiB on the defaults are those of a large machine: more memory would not make anything
//!   here faster, and what is free serves as the system's cache of the segments.
//!
//! The memory that the process may use is the least of the machine's and of the limits of its control
//! group and those above it, of either version.
use std::path::{Path, PathBuf};

/// Per cent of the memory that all pools may have together, at the most.
pub const POOLS_PERCENT: u64 = 75;
/// Per cent that they have by default on a small machine.
const POOLS_PERCENT_DEFAULT: u64 = 50;
/// What is assumed where the system does not say.
const MEMORY_BYTES_UNKNOWN: u64 = 1 << 30;

/// Bytes of the pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pools {
    /// Records that are in no segment yet.
    pub tails: usize,
    /// Bodies of requests in flight.
    pub in_flight: usize,
    /// Decoded parts of segments.
    pub block_cache: usize,
    /// State of running aggregates.
    pub query_state: usize,
    /// Answers that clients have not read.
    pub answers: usize,
}

/// A pool: its name, its part of all pools in per cent, its least and its default bytes.
struct Rule {
    name: &'static str,
    percent: u64,
    least: usize,
    default: usize,
}

const RULES: [Rule; 5] = [
    Rule {
        name: "tails",
        percent: 25,
        // Below it every commit would make a segment.
        least: 8 << 20,
        default: taffrail_model::limits::TAILS_BYTES_MAX,
    },
    Rule {
        name: "in_flight",
        percent: 30,
        // Some batches of ordinary size; one that is larger comes in alone.
        least: 8 << 20,
        default: crate::admission::IN_FLIGHT_BYTES_MAX,
    },
    Rule {
        name: "block_cache",
        percent: 15,
        // The directory and the dictionaries of a section.
        least: 8 << 20,
        default: taffrail_storage::segment::BLOCK_CACHE_BYTES,
    },
    Rule {
        name: "query_state",
        percent: 15,
        // A facet of some ten thousand values.
        least: 8 << 20,
        default: taffrail_model::limits::AGGREGATE_POOL_BYTES_MAX,
    },
    Rule {
        name: "answers",
        percent: 15,
        // Four pages of the largest size: an account has a quarter.
        least: 4 * taffrail_model::limits::PAGE_BYTES_MAX,
        default: 64 << 20,
    },
];

impl Pools {
    /// The defaults for so much memory.
    #[must_use]
    pub fn for_memory(bytes: u64) -> Pools {
        let all = bytes / 100 * POOLS_PERCENT_DEFAULT;
        let [tails, in_flight, block_cache, query_state, answers] = RULES.map(|rule| {
            let part = usize::try_from(all / 100 * rule.percent).unwrap_or(usize::MAX);
            part.clamp(rule.least, rule.default.max(rule.least))
        });
        Pools {
            tails,
            in_flight,
            block_cache,
            query_state,
            answers,
        }
    }

    /// Names and bytes.
    #[must_use]
    pub fn named(&self) -> [(&'static str, usize); 5] {
        let bytes = [
            self.tails,
            self.in_flight,
            self.block_cache,
            self.query_state,
            self.answers,
        ];
        std::array::from_fn(|index| (RULES[index].name, bytes[index]))
    }

    /// Whether they fit into so much memory; else what is wrong and what would be right.
    ///
    /// # Errors
    /// The fault, and what would be right.
    pub fn check(&self, memory_bytes: u64) -> Result<(), (String, String)> {
        for ((name, bytes), rule) in self.named().into_iter().zip(RULES) {
            if bytes < rule.least {
                return Err((
                    format!("the memory pool {name} has {} MiB", bytes >> 20),
                    format!("it needs at least {} MiB", rule.least >> 20),
                ));
            }
        }
        let sum: u64 = self.named().iter().map(|(_, bytes)| *bytes as u64).sum();
        let most = memory_bytes / 100 * POOLS_PERCENT;
        let defaults = Pools::for_memory(memory_bytes);
        // The least that works is taken on the smallest machine, too.
        let least: u64 = RULES.iter().map(|rule| rule.least as u64).sum();
        if sum <= most.max(least) || *self == defaults {
            return Ok(());
        }
        let said: Vec<_> = self
            .named()
            .map(|(name, bytes)| format!("{name} {} MiB", bytes >> 20))
            .into();
        Err((
            format!(
                "the memory pools have {} MiB together ({})",
                sum >> 20,
                said.join(", ")
            ),
            format!(
                "{POOLS_PERCENT}% of {} MiB are {} MiB: make them smaller, or memory.total larger",
                memory_bytes >> 20,
                most >> 20
            ),
        ))
    }
}

impl Default for Pools {
    fn default() -> Pools {
        Pools::for_memory(u64::MAX)
    }
}

/// Bytes of memory that this process may use.
#[must_use]
pub fn available_bytes() -> u64 {
    available_by(&|path| std::fs::read_to_string(path).ok())
}

fn available_by(read: &dyn Fn(&Path) -> Option<String>) -> u64 {
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| memory_total(&text));
    let group = read(Path::new("/proc/self/cgroup"))
        .map(|text| group_limits(&text))
        .unwrap_or_default()
        .into_iter()
        .filter_map(|path| read(&path))
        .filter_map(|text| text.trim().parse::<u64>().ok());
    // A limit of the first version that is none is nearly 2^63; no limit is 0.
    let least = machine.into_iter().chain(group).filter(|bytes| *bytes > 0);
    least.min().unwrap_or(MEMORY_BYTES_UNKNOWN)
}

/// Bytes of `MemTotal` in `/proc/meminfo`.
fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

/// The files that may hold a limit for a process with this `/proc/self/cgroup`: those of its groups
/// and of all above them, as they are mounted outside and inside of a container.
fn group_limits(text: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, Some(controllers), Some(group)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            names if names.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // A path that leads out of the mount is that of a container's outside.
        let group = group.trim_start_matches('/');
        let is_plain = !group.split('/').any(|part| part == "..");
        let group = Path::new(if is_plain { group } else { "" });
        files.extend(
            group
                .ancestors()
                .map(|above| Path::new(root).join(above).join(file)),
        );
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn pools_by_memory() {
        for (memory_mib, expected_mib) in [
            // Too small for its own defaults: the least that works.
            (64, [8, 9, 8, 8, 32]),
            (256, [31, 38, 19, 19, 32]),
            (512, [63, 76, 38, 38, 38]),
            (768, [95, 115, 57, 57, 57]),
            (1_024, [96, 128, 76, 76, 64]),
            (16_384, [96, 128, 128, 128, 64]),
        ] {
            let memory = (memory_mib * MIB) as u64;
            let pools = Pools::for_memory(memory);
            let mib = pools.named().map(|(_, bytes)| bytes / MIB);
            assert_eq!(mib, expected_mib, "{memory_mib}");
            assert_eq!(pools.check(memory), Ok(()), "{memory_mib}");
        }
    }

    #[test]
    fn sums_at_and_past_the_limit() {
        let memory = 1_000 * MIB as u64;
        let at = Pools {
            tails: 750 * MIB - 3 * 8 * MIB - 32 * MIB,
            in_flight: 8 * MIB,
            block_cache: 8 * MIB,
            query_state: 8 * MIB,
            answers: 32 * MIB,
        };
        assert_eq!(at.check(memory), Ok(()));
        let past = Pools {
            tails: at.tails + 1,
            ..at
        };
        let (fault, hint) = past.check(memory).unwrap_err();
        assert!(fault.contains("750 MiB together (tails 694 MiB"), "{fault}");
        assert!(hint.contains("75% of 1000 MiB are 750 MiB"), "{hint}");
    }

    #[test]
    fn pools_below_their_least() {
        for (index, rule) in RULES.iter().enumerate() {
            let mut bytes = Pools::default().named().map(|(_, bytes)| bytes);
            let pools = |bytes: [usize; 5]| {
                let [tails, in_flight, block_cache, query_state, answers] = bytes;
                Pools {
                    tails,
                    in_flight,
                    block_cache,
                    query_state,
                    answers,
                }
            };
            bytes[index] = rule.least;
            assert_eq!(pools(bytes).check(u64::MAX), Ok(()));
            bytes[index] = rule.least - 1;
            let (fault, _) = pools(bytes).check(u64::MAX).unwrap_err();
            assert!(fault.contains(rule.name), "{fault}");
        }
    }

    fn available(files: &[(&str, &str)]) -> u64 {
        available_by(&|path| {
            let file = files.iter().find(|(name, _)| Path::new(name) == path);
            file.map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn the_least_limit_counts() {
        let machine = ("/proc/meminfo", "MemFree: 7 kB\nMemTotal:  4096 kB\n");
        let of_machine = 4_096 << 10;
        for (files, expected) in [
            (vec![], MEMORY_BYTES_UNKNOWN),
            (vec![machine], of_machine),
            (
                vec![("/proc/meminfo", "MemTotal: much")],
                MEMORY_BYTES_UNKNOWN,
            ),
            // Version 2: the group's own, one above it, none.
            (
                vec![
                    machine,
                    ("/proc/self/cgroup", "0::/a.slice/b.service\n"),
                    ("/sys/fs/cgroup/a.slice/b.service/memory.max", "3000000\n"),
                    ("/sys/fs/cgroup/a.slice/memory.max", "2000000\n"),
                    ("/sys/fs/cgroup/memory.max", "max\n"),
                ],
                2_000_000,
            ),
            (
                vec![
                    machine,
                    ("/proc/self/cgroup", "0::/\n"),
                    ("/sys/fs/cgroup/memory.max", "max\n"),
                ],
                of_machine,
            ),
            // In a container whose own group is mounted as the root.
            (
                vec![
                    machine,
                    ("/proc/self/cgroup", "0::/../x\n"),
                    ("/sys/fs/cgroup/memory.max", "1000000\n"),
                ],
                1_000_000,
            ),
            // Version 1.
            (
                vec![
                    machine,
                    (
                        "/proc/self/cgroup",
                        "3:cpu,cpuacct:/d\n2:hugetlb,memory:/d/e\n0::/\n",
                    ),
                    (
                        "/sys/fs/cgroup/memory/d/e/memory.limit_in_bytes",
                        "1500000\n",
                    ),
                    (
                        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                        "9223372036854771712\n",
                    ),
                ],
                1_500_000,
            ),
            (
                vec![machine, ("/proc/self/cgroup", "nonsense\n\n::\n")],
                of_machine,
            ),
        ] {
            assert_eq!(available(&files), expected, "{files:?}");
        }
    }
}
