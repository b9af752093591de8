//! Which files are meant: paths and globs, looked up anew each time since files come and go.
use super::FollowError;
use globset::{GlobBuilder, GlobMatcher};
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

/// Names that one look at a glob may visit: a mistyped `/**` must not walk the whole machine
/// for ever.
const WALK_ENTRIES_MAX: usize = 100_000;

/// A path or glob.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    /// The directory that holds every match.
    base: PathBuf,
    /// Components below the base; `None` with `**`.
    depth: Option<usize>,
    matcher: GlobMatcher,
}

/// A regular file that a pattern matches.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) modified: SystemTime,
    pub(super) path: PathBuf,
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) bytes: u64,
}

impl Found {
    pub(super) fn at(path: &Path) -> io::Result<Option<Found>> {
        let metadata = fs::metadata(path)?;
        Ok(metadata.is_file().then(|| Found {
            modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            path: path.to_path_buf(),
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
        }))
    }
}

/// A place that could not be looked at.
pub(super) type Trouble = (PathBuf, io::Error);

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Pattern, FollowError> {
        let glob = GlobBuilder::new(text)
            .literal_separator(true)
            .build()
            .map_err(|source| FollowError::Pattern {
                pattern: text.to_string(),
                source,
            })?;
        let has_meta = |part: &Component<'_>| {
            part.as_os_str()
                .to_string_lossy()
                .contains(['*', '?', '[', '{', '\\'])
        };
        let path = Path::new(text);
        let base: PathBuf = path
            .components()
            .take_while(|part| !has_meta(part))
            .collect();
        let below = path.components().count() - base.components().count();
        Ok(Pattern {
            text: text.to_string(),
            base,
            depth: (!text.contains("**")).then_some(below),
            matcher: glob.compile_matcher(),
        })
    }

    /// The files that match now.
    pub(super) fn find(&self, found: &mut Vec<Found>, troubles: &mut Vec<Trouble>) {
        // A file of exactly this name is meant, whatever characters the name has.
        match Found::at(Path::new(&self.text)) {
            Ok(Some(file)) => return found.push(file),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => troubles.push((PathBuf::from(&self.text), error)),
        }
        if self.depth != Some(0) {
            self.walk(found, troubles);
        }
    }

    fn walk(&self, found: &mut Vec<Found>, troubles: &mut Vec<Trouble>) {
        let start = if self.base.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &self.base
        };
        let mut visited = 0;
        let mut directories = vec![(start.to_path_buf(), self.base.clone(), 1)];
        while let Some((directory, shown, depth)) = directories.pop() {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    troubles.push((directory, error));
                    continue;
                }
            };
            for entry in entries.flatten() {
                visited += 1;
                if visited > WALK_ENTRIES_MAX {
                    let message = format!("more than {WALK_ENTRIES_MAX} names; narrow the pattern");
                    troubles.push((PathBuf::from(&self.text), io::Error::other(message)));
                    return;
                }
                let path = shown.join(entry.file_name());
                // A directory behind a link is not entered: links may go in circles.
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_directory && self.depth.is_none_or(|all| depth < all) {
                    directories.push((directory.join(entry.file_name()), path, depth + 1));
                } else if !is_directory && self.matcher.is_match(&path) {
                    match Found::at(&path) {
                        Ok(file) => found.extend(file),
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => troubles.push((path, error)),
                    }
                }
            }
        }
    }
}
