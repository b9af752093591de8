//! What the kernel knows of the server's process and of its files. The benchmark reads `/proc`,
//! so it runs on Linux.
use anyhow::{Context, Result};
use rustix::process::Pid;
use std::{fs::File, path::Path, time::Duration};

/// Processor time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cpu {
    /// Of the program itself.
    pub user: Duration,
    /// Of the kernel for it.
    pub system: Duration,
}

impl Cpu {
    /// Both.
    pub fn total(self) -> Duration {
        self.user + self.system
    }

    /// What was used since an earlier moment.
    pub fn since(self, before: Cpu) -> Cpu {
        Cpu {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
        }
    }
}

/// Processor time of a process and its threads.
pub fn cpu(pid: Pid) -> Result<Cpu> {
    let text = read(pid, "stat")?;
    // The name in brackets may have blanks; the state follows it as field 3.
    let fields: Vec<&str> = match text.rsplit_once(')') {
        Some((_, rest)) => rest.split_ascii_whitespace().collect(),
        None => Vec::new(),
    };
    let ticks_a_second = rustix::param::clock_ticks_per_second() as f64;
    let time = |index: usize| {
        let ticks: Option<f64> = fields.get(index).and_then(|field| field.parse().ok());
        let ticks = ticks.context("reading the processor time of the server")?;
        Ok::<_, anyhow::Error>(Duration::from_secs_f64(ticks / ticks_a_second))
    };
    Ok(Cpu {
        user: time(11)?,
        system: time(12)?,
    })
}

/// How long the calling thread has been on a processor, for itself and in the kernel.
pub fn thread_cpu() -> Result<Duration> {
    let path = "/proc/thread-self/schedstat";
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    let ns = text
        .split_ascii_whitespace()
        .next()
        .and_then(|number| number.parse().ok());
    ns.map(Duration::from_nanos)
        .with_context(|| format!("reading {path}"))
}

/// The most memory that a process has had, in bytes.
pub fn peak_bytes(pid: Pid) -> Result<u64> {
    let text = read(pid, "status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    number
        .map(|kib| kib << 10)
        .context("reading the memory of the server")
}

fn read(pid: Pid, name: &str) -> Result<String> {
    let path = format!("/proc/{}/{name}", pid.as_raw_nonzero());
    std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))
}

/// Bytes of all files below a folder.
pub fn bytes_below(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for_each_file(folder, &mut |path| {
        let metadata = std::fs::symlink_metadata(path);
        bytes += metadata
            .with_context(|| format!("looking at {}", path.display()))?
            .len();
        Ok(())
    })?;
    Ok(bytes)
}

/// Lets the kernel forget the files below a folder: all of its cache where that is permitted, else
/// what it holds of these files.
pub fn drop_cache(folder: &Path) -> Result<()> {
    rustix::fs::sync();
    if std::fs::write("/proc/sys/vm/drop_caches", "1").is_ok() {
        return Ok(());
    }
    for_each_file(folder, &mut |path| {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)
            .with_context(|| format!("dropping {} from the cache", path.display()))
    })
}

fn for_each_file(folder: &Path, take: &mut impl FnMut(&Path) -> Result<()>) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("listing {}", folder.display()))?;
        let kind = entry
            .file_type()
            .with_context(|| format!("listing {}", folder.display()))?;
        match kind.is_dir() {
            true => for_each_file(&entry.path(), take)?,
            false => take(&entry.path())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_time_and_memory() {
        let pid = rustix::process::getpid();
        assert!(peak_bytes(pid).unwrap() > 1 << 20);
        let before = cpu(pid).unwrap();
        assert_eq!(before.since(before), Cpu::default());
    }

    #[test]
    fn files_of_all_folders_count_and_can_be_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/x"), [0; 10]).unwrap();
        std::fs::write(folder.path().join("y"), [0; 5]).unwrap();
        assert_eq!(bytes_below(folder.path()).unwrap(), 15);
        drop_cache(folder.path()).unwrap();
        assert_eq!(std::fs::read(folder.path().join("y")).unwrap(), [0; 5]);
    }
}
