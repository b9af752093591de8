//! The log files that a machine has anyway: those of the system and of package managers.
//!
//! Only files that hold lines of text are taken: an empty file, one that may not be read, a binary
//! database such as wtmp or a journal, and compressed forms other than gzip are left out.
use std::{
    collections::BTreeSet,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Bytes at the beginning of a file that are looked at to tell text from other data.
const SAMPLE_BYTES: u64 = 8_192;
/// Files at the most: a machine with more has them made by a program gone wild.
const FILES_MAX: usize = 500;
/// Bytes of a file at the most: a demonstration should not read for hours.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Folders below a place that are looked into.
const DEPTH_MAX: usize = 3;

/// Folders with logs; `~` is the home directory.
const PLACES: &[&str] = &[
    "/var/log",
    "~/.npm/_logs",
    "~/Library/Logs/Homebrew",
    "/Library/Logs",
];

/// Ending of files that are logs; what rotation adds (`.1`, `.2.gz`) is cut before.
const ENDING: &str = ".log";

/// Log files without such an ending, by name.
const NAMES: &[&str] = &[
    "syslog", "messages", "secure", "cron", "maillog", "kern", "dmesg", "boot", "debug", "mail",
];

/// The files, sorted.
pub fn find(home: &Path) -> Vec<PathBuf> {
    find_in(&places(home))
}

/// What to follow: the files found, and those that npm will make, which have a new name each.
pub fn patterns(home: &Path, files: &[PathBuf]) -> Vec<String> {
    let is_literal = |path: &String| !path.contains(['*', '?', '[', ']', '{', '}', '\\']);
    let paths = files
        .iter()
        .filter_map(|path| path.to_str().map(str::to_owned));
    let mut patterns: Vec<String> = paths.filter(is_literal).collect();
    if let Some(home) = home.to_str().map(str::to_owned).filter(is_literal) {
        patterns.push(format!("{home}/.npm/_logs/*.log"));
    }
    patterns
}

fn places(home: &Path) -> Vec<PathBuf> {
    let place = |place: &&str| match place.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => PathBuf::from(place),
    };
    PLACES.iter().map(place).collect()
}

fn find_in(places: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open: Vec<(PathBuf, usize)> = places.iter().map(|place| (place.clone(), 0)).collect();
    while let Some((folder, depth)) = open.pop() {
        // A folder that is not there or may not be read has no logs for us.
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            // A link is not followed: its file is found in its own place, if it is a log.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < DEPTH_MAX => open.push((path, depth + 1)),
                Ok(kind) if kind.is_file() && has_log_name(&path) && is_text(&path) => {
                    found.insert(path);
                }
                _ => {}
            }
        }
    }
    found.into_iter().take(FILES_MAX).collect()
}

fn has_log_name(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    let name = name.strip_suffix(".gz").unwrap_or(name);
    // dpkg.log.1, syslog-20260104
    let rotation = |c: char| c.is_ascii_digit() || c == '-' || c == '.';
    let base = name.trim_end_matches(rotation);
    NAMES.contains(&base) || base.ends_with(ENDING)
}

fn is_text(path: &Path) -> bool {
    let is_small = std::fs::metadata(path).is_ok_and(|data| data.len() <= FILE_BYTES_MAX);
    if !is_small {
        return false;
    }
    let mut sample = Vec::new();
    let read = File::open(path).and_then(|file| file.take(SAMPLE_BYTES).read_to_end(&mut sample));
    if read.is_err() || sample.is_empty() {
        return false;
    }
    if path.extension().is_some_and(|extension| extension == "gz") {
        return sample.starts_with(&[0x1f, 0x8b]);
    }
    !sample.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_logs() {
        for name in [
            "dpkg.log",
            "dpkg.log.1",
            "dpkg.log.12.gz",
            "syslog",
            "syslog.2.gz",
            "messages-20260104",
            "2026-11-20T16_06_18_573Z-debug-0.log",
            "postgresql-16-main.log",
        ] {
            assert!(has_log_name(Path::new(name)), "{name}");
        }
        for name in [
            "wtmp",
            "README",
            "eipp.log.xz",
            "lastlog",
            "faillog",
            "a.txt",
            ".gz",
            "1",
        ] {
            assert!(!has_log_name(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn names_with_signs_of_globs_are_left_out() {
        let files = ["/l/a.log", "/l/[b].log"].map(PathBuf::from);
        let expected = ["/l/a.log", "/h/.npm/_logs/*.log"];
        assert_eq!(patterns(Path::new("/h"), &files), expected);
        assert_eq!(patterns(Path::new("/h*"), &files), ["/l/a.log"]);
    }

    #[test]
    fn text_alone_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        write("a.log", b"line\n");
        write("apt/history.log.1.gz", &[0x1f, 0x8b, 8, 0]);
        write("apt/not.log.2.gz", b"plain");
        write("empty.log", b"");
        write("binary.log", b"a\0b");
        write("a/b/c/deep.log", b"line\n");
        write("a/b/c/d/deeper.log", b"line\n");
        std::os::unix::fs::symlink(folder.path().join("a.log"), folder.path().join("link.log"))
            .unwrap();
        let found = find_in(&[folder.path().to_path_buf(), folder.path().join("none")]);
        let names: Vec<_> = found
            .iter()
            .map(|path| path.strip_prefix(folder.path()).unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["a/b/c/deep.log", "a.log", "apt/history.log.1.gz"]);
    }
}
