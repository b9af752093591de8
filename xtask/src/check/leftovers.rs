//! What must not stay in the tree: notes to oneself, paths of somebody's machine, snapshots that
//! nobody has looked at. Fixtures may hold anything: they are data.
use crate::{
    steps::{Outcome, Step},
    workspace::Workspace,
};
use anyhow::Result;
use std::path::Path;

/// Words of unfinished work (split, so that this file passes its own check).
const NOTES: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("unimple", "mented!"),
];

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
];

/// Kinds of files that people write.
const WRITTEN: &[&str] = &[
    "rs", "md", "toml", "sh", "yaml", "yml", "json", "ts", "svelte", "mjs", "js", "py", "css",
    "html", "sql",
];

/// The step.
pub fn step() -> Step {
    Step {
        name: "leftovers",
        run,
    }
}

fn run(workspace: &Workspace) -> Result<Outcome> {
    let mut files = 0;
    let mut faults = Vec::new();
    for path in workspace.files(&workspace.root)? {
        let name = workspace.relative(&path).display().to_string();
        if name.ends_with(".snap.new") {
            faults.push(format!("{name}: a snapshot that was never accepted"));
        }
        if !is_written(&path) {
            continue;
        }
        files += 1;
        let text = std::fs::read(&path)?;
        faults.extend(faults_of(&name, &String::from_utf8_lossy(&text)));
    }
    Ok(Outcome {
        note: format!("{files} files"),
        faults,
    })
}

fn is_written(path: &Path) -> bool {
    let is_data = path.components().any(|part| part.as_os_str() == "fixtures");
    let extension = path.extension().and_then(|text| text.to_str());
    let is_known = match extension {
        Some(extension) => WRITTEN.contains(&extension),
        None => path.file_name().is_some_and(|name| name == "Makefile"),
    };
    is_known && !is_data
}

fn faults_of(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", index + 1);
        for note in NOTES.iter().filter(|note| has_word(line, note)) {
            faults.push(format!("{place}: {note}: do it, or open an issue"));
        }
        for path in MACHINE_PATHS.iter().filter(|path| has_path(line, path)) {
            faults.push(format!("{place}: {path} is a path of one machine"));
        }
    }
    faults
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Whether the line has an absolute path that begins so (one with a folder before it is none).
fn has_path(line: &str, path: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '}');
    line.match_indices(path)
        .any(|(at, _)| !line[..at].chars().next_back().is_some_and(is_part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, count: usize) {
        assert_eq!(faults_of("f.rs", line).len(), count, "{line}");
    }

    #[test]
    fn notes_to_oneself_are_found() {
        check(&format!("// {}: later", NOTES[0]), 1);
        check(&format!("{}(me) and {}", NOTES[1], NOTES[2]), 2);
        check(&format!("let {}_LIST = 1;", NOTES[0]), 0);
        check("all done", 0);
    }

    #[test]
    fn machine_paths_are_found() {
        check(&format!("\"{}x\"", MACHINE_PATHS[0]), 1);
        check(&format!("a{}x", MACHINE_PATHS[0]), 0);
        check("/var/log/dpkg.log", 0);
    }

    #[test]
    fn fixtures_and_binaries_are_not_read() {
        assert!(is_written(Path::new("crates/a/src/lib.rs")));
        assert!(is_written(Path::new("Makefile")));
        assert!(!is_written(Path::new("crates/a/tests/fixtures/x.json")));
        assert!(!is_written(Path::new("web/logo.png")));
    }
}
