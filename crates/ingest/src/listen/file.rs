//! Follows files: hands out their new lines, with a checkpoint from which another follower goes
//! on exactly there.
//!
//! What is told apart
//! - *Rotation by rename*: an open file is known by its inode. It is read to its end under
//!   whatever name, its last line without an end is handed out, then its successor is read.
//! - *copytruncate*: a file that is shorter than what was read of it, or whose first or last
//!   read bytes have changed, begins anew. The copy is known by its content (same first bytes,
//!   same bytes before the offset, related name) and goes on where the original stood.
//! - *Compression after rotation*: the same, by what the `.gz` decompresses to.
//!
//! Invariants
//! - Lines of one file come in order, and only whole ones, but for the last line of a file that
//!   ends, is truncated, or is quiet for [`FollowOptions::partial_after`].
//! - One look reads about [`FollowOptions::poll_bytes_max`] bytes at the most; a line without an
//!   end holds at most the limit of a record.
//! - No threads, no notifications, no sleeping: the caller calls [`Follower::poll`] with the
//!   time. Polling works on every file system and costs a directory listing.
//!
//! What cannot be seen: what a program writes between copytruncate's copy and its truncation is
//! in neither file. A file that is created, rotated to a name that no pattern matches and
//! removed between two polls was never there.

mod checkpoint;
mod content;
mod followed;
mod pattern;

pub use checkpoint::{Checkpoint, Fingerprint};

use content::{Content, Identity, Surroundings};
use followed::Followed;
use pattern::{Found, Pattern};
use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet, VecDeque},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Files that the patterns may match: below the usual limit of descriptors of a process.
pub const FILES_MAX: usize = 900;
/// Checkpoints of files that are gone; they are kept to know copies and compressed files again.
pub const GONE_FILES_MAX: usize = 256;
/// How long a short file that looks like the beginning of an open one, or a compressed one
/// without its end, is given to grow before it is a file of its own.
const COPY_QUIET: Duration = Duration::from_secs(60);

/// Where to begin in files that are there at the first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At their first line.
    Beginning,
    /// Behind their last.
    End,
}

/// What to follow and how.
#[derive(Clone, Debug)]
pub struct FollowOptions {
    /// Paths and globs (`*`, `?`, `[…]`, `{…}`, `**`).
    pub patterns: Vec<String>,
    /// Where to begin in files that are there at the first start.
    pub start: Start,
    /// About how many bytes one look reads.
    pub poll_bytes_max: usize,
    /// How long the beginning of a line may wait for its end.
    pub partial_after: Duration,
    /// How long a file whose name is gone is kept open after its last byte: programs go on
    /// writing to it until they open the new one.
    pub gone_kept: Duration,
}

impl Default for FollowOptions {
    fn default() -> FollowOptions {
        FollowOptions {
            patterns: Vec::new(),
            start: Start::Beginning,
            poll_bytes_max: 2 << 20,
            partial_after: Duration::from_secs(5),
            gone_kept: Duration::from_secs(30),
        }
    }
}

/// Patterns that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// No glob.
    #[error("{pattern:?} is no file pattern")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why not.
        #[source]
        source: globset::Error,
    },
}

/// A file or directory that cannot be read. The others are followed, and this one is tried
/// again; each trouble is told once.
#[derive(Debug, thiserror::Error)]
#[error("cannot follow {}", path.display())]
pub struct Trouble {
    /// Which.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Whole lines of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The lines, each with its end.
    pub bytes: Vec<u8>,
    /// Where the file stands behind them.
    pub checkpoint: Checkpoint,
}

/// What one look gave.
#[derive(Debug, Default)]
pub struct Poll {
    /// New lines.
    pub chunks: Vec<Chunk>,
    /// What cannot be read, as far as it was not told before.
    pub troubles: Vec<Trouble>,
    /// Whether every file was read to its end.
    pub is_at_end: bool,
}

/// A file that is not read yet, since it is growing into a copy of another or may be one.
#[derive(Debug)]
struct Wait {
    bytes: u64,
    /// Since when it has that length.
    since: Instant,
    /// Whether it was compared with the open files at that length.
    is_judged: bool,
}

impl Wait {
    fn has_waited(&self, file: &Found, now: Instant) -> bool {
        self.bytes == file.bytes && now.saturating_duration_since(self.since) >= COPY_QUIET
    }
}

/// What became of a file that was met.
enum Opened {
    File(Box<Followed>),
    /// Too early to say.
    Growing,
    /// Its content comes from the file that it may be a copy of.
    Copy,
}

impl Opened {
    fn file(file: Followed) -> Opened {
        Opened::File(Box::new(file))
    }
}

/// Follows files.
pub struct Follower {
    options: FollowOptions,
    patterns: Vec<Pattern>,
    open: Vec<Followed>,
    /// Checkpoints of files that are not open, the oldest first.
    past: VecDeque<Checkpoint>,
    /// Files that are not read yet, by device and inode.
    awaited: HashMap<(u64, u64), Wait>,
    told: HashSet<(PathBuf, io::ErrorKind)>,
    /// Whether the next look is the first ever.
    is_first: bool,
    /// Whether the next look is the first of this follower.
    is_new: bool,
    /// Index of the file that is read first in the next look: all get their turn.
    turn: usize,
}

impl Follower {
    /// A follower that goes on at checkpoints; with `None`, at the first start, it begins as the
    /// options say.
    ///
    /// # Errors
    /// [`FollowError::Pattern`].
    pub fn new(
        options: FollowOptions,
        checkpoints: Option<Vec<Checkpoint>>,
    ) -> Result<Follower, FollowError> {
        let patterns = options.patterns.iter().map(|text| Pattern::new(text));
        Ok(Follower {
            patterns: patterns.collect::<Result<_, _>>()?,
            options,
            open: Vec::new(),
            is_first: checkpoints.is_none(),
            is_new: true,
            past: checkpoints.unwrap_or_default().into(),
            awaited: HashMap::new(),
            told: HashSet::new(),
            turn: 0,
        })
    }

    /// Where every file stands behind what was handed out, those that are gone included.
    #[must_use]
    pub fn checkpoints(&self) -> Vec<Checkpoint> {
        let open = self.open.iter().map(Followed::checkpoint);
        self.past.iter().cloned().chain(open).collect()
    }

    /// Looks for files and reads what is new in them.
    pub fn poll(&mut self, now: Instant) -> Poll {
        let mut poll = Poll::default();
        self.look(now, &mut poll);
        self.read(now, &mut poll);
        self.close(now, &mut poll);
        poll.is_at_end = self.open.iter().all(|file| file.is_at_end);
        poll
    }

    /// Hands out the last lines that have no end, when nothing more is awaited.
    pub fn finish(&mut self) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        for file in &mut self.open {
            let mut bytes = Vec::new();
            file.flush(&mut bytes);
            if !bytes.is_empty() {
                chunks.push(file.chunk(bytes));
            }
        }
        chunks
    }

    fn tell(&mut self, poll: &mut Poll, path: PathBuf, source: io::Error) {
        // Bounded: a pattern that meets endlessly many troubles is told of the first.
        if self.told.len() < FILES_MAX && self.told.insert((path.clone(), source.kind())) {
            poll.troubles.push(Trouble { path, source });
        }
    }

    /// Finds the files of the patterns: names of open ones are brought up to date, new ones are
    /// opened.
    fn look(&mut self, now: Instant, poll: &mut Poll) {
        let (mut found, mut troubles) = (Vec::new(), Vec::new());
        for pattern in &self.patterns {
            pattern.find(&mut found, &mut troubles);
        }
        if self.is_new {
            self.look_for_strays(&mut found);
        }
        // Older files first, so that history comes in order: those that were being read, then by
        // time; within one tick of the clock `app.log.2` before `app.log.1` before `app.log`.
        let was_read = |file: &Found| {
            self.past
                .iter()
                .any(|point| (point.device, point.inode) == (file.device, file.inode))
        };
        found.sort_by_cached_key(|file| {
            (!was_read(file), file.modified, Reverse(file.path.clone()))
        });
        for (path, source) in troubles {
            self.tell(poll, path, source);
        }
        let names: HashMap<(u64, u64), &Found> = found
            .iter()
            .map(|file| ((file.device, file.inode), file))
            .collect();
        for file in &mut self.open {
            match names.get(&(file.identity.device, file.identity.inode)) {
                Some(found) => {
                    file.is_gone = false;
                    file.path.clone_from(&found.path);
                }
                None => file.is_gone = true,
            }
        }
        let mut known: HashSet<(u64, u64)> = self
            .open
            .iter()
            .map(|file| (file.identity.device, file.identity.inode))
            .collect();
        for file in &found {
            if known.insert((file.device, file.inode)) {
                self.meet(file, now, poll);
            }
        }
        self.awaited.retain(|key, _| names.contains_key(key));
        // A compressed file that is there must stay known, or it would be read again.
        let is_present = |point: &Checkpoint| {
            point.compressed_bytes.is_some() && names.contains_key(&(point.device, point.inode))
        };
        let gone = self.past.iter().filter(|point| !is_present(point)).count();
        let mut surplus = gone.saturating_sub(GONE_FILES_MAX);
        self.past.retain(|point| {
            let is_surplus = surplus > 0 && !is_present(point);
            surplus -= usize::from(is_surplus);
            !is_surplus
        });
        (self.is_first, self.is_new) = (false, false);
    }

    /// Files of the checkpoints that were renamed, while nobody followed, to names that no
    /// pattern matches: found by inode and content beside their old name.
    fn look_for_strays(&self, found: &mut Vec<Found>) {
        let wanted: HashMap<(u64, u64), &Checkpoint> = self
            .past
            .iter()
            .filter(|point| point.compressed_bytes.is_none())
            .map(|point| ((point.device, point.inode), point))
            .collect();
        let directories: HashSet<PathBuf> = wanted
            .values()
            .filter_map(|point| Some(point.path.parent()?.to_path_buf()))
            .collect();
        let is_stray = |file: &Found| {
            wanted
                .get(&(file.device, file.inode))
                .is_some_and(|point| holds(&file.path, point).is_ok_and(|around| around.is_some()))
        };
        for directory in directories {
            let entries = std::fs::read_dir(&directory).into_iter().flatten();
            let files = entries
                .flatten()
                .filter_map(|entry| Found::at(&entry.path()).ok()?);
            found.extend(files.filter(is_stray));
        }
    }

    /// A file that is not open: opens it, unless it was read or must wait.
    fn meet(&mut self, file: &Found, now: Instant, poll: &mut Poll) {
        let was_read = self.past.iter().any(|point| {
            (point.device, point.inode) == (file.device, file.inode)
                && point.compressed_bytes == Some(file.bytes)
        });
        if was_read {
            return;
        }
        let key = (file.device, file.inode);
        if self.open.len() + self.past.len().saturating_sub(GONE_FILES_MAX) >= FILES_MAX {
            let message = format!("more than {FILES_MAX} files; narrow the patterns");
            return self.tell(poll, file.path.clone(), io::Error::other(message));
        }
        let waiting = self.awaited.get(&key);
        let waited = waiting.is_some_and(|wait| wait.has_waited(file, now));
        if waiting.is_some_and(|wait| wait.is_judged && wait.bytes == file.bytes) && !waited {
            return;
        }
        match self.open_file(file, waited, now) {
            Ok(Opened::File(followed)) => {
                self.awaited.remove(&key);
                self.open.push(*followed);
            }
            Ok(Opened::Growing) => self.wait_for(file, false, now),
            Ok(Opened::Copy) => self.wait_for(file, true, now),
            // It went away between two steps.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                self.wait_for(file, true, now);
                // A compressed file without its end is usually still being written.
                if waited || error.kind() != io::ErrorKind::UnexpectedEof {
                    self.tell(poll, file.path.clone(), error);
                }
            }
        }
    }

    fn wait_for(&mut self, file: &Found, is_judged: bool, now: Instant) {
        let wait = self.awaited.entry((file.device, file.inode));
        let wait = wait.or_insert(Wait {
            bytes: file.bytes,
            since: now,
            is_judged,
        });
        if wait.bytes != file.bytes {
            (wait.bytes, wait.since) = (file.bytes, now);
        }
        wait.is_judged = is_judged;
    }

    /// Opens a file where it is to be read from, unless it must wait.
    fn open_file(&mut self, file: &Found, waited: bool, now: Instant) -> io::Result<Opened> {
        let (mut content, identity) = Content::open(&file.path)?;
        let is_other = (identity.device, identity.inode) != (file.device, file.inode);
        // A copy is empty before it is one, and a compressed file before it has its magic.
        let is_gz = file.path.extension().is_some_and(|it| it == "gz");
        if is_other || file.bytes == 0 || file.bytes < 2 && is_gz {
            return Ok(Opened::Growing);
        }
        if self.is_first && self.options.start == Start::End {
            return skip_to_end(content, identity, file, now).map(Opened::file);
        }
        let is_gzip = matches!(content, Content::Gzip { .. });
        // What is being compressed is judged when it has stopped growing.
        let waiting = self.awaited.get(&(file.device, file.inode));
        let has_stopped = waiting.is_some_and(|wait| wait.bytes == file.bytes);
        if is_gzip && !has_stopped && !self.is_new {
            return Ok(Opened::Growing);
        }
        if self.may_be_copy(file, waited)? {
            return Ok(Opened::Copy);
        }
        let head = content.head()?;
        let resume = self.find_past(file, &head)?;
        // The head of a compressed content is behind the cursor now.
        let (mut content, identity) = Content::open(&file.path)?;
        if let (Content::Gzip { .. }, Some((point, _))) = (&content, &resume) {
            content.surroundings(point.offset)?;
        }
        let path = file.path.clone();
        Ok(Opened::file(Followed::new(
            path, identity, content, resume, now,
        )))
    }

    /// The checkpoint of a file with this content, which is taken out: first by inode, then by
    /// content, the farthest one.
    fn find_past(
        &mut self,
        file: &Found,
        head: &[u8],
    ) -> io::Result<Option<(Checkpoint, Surroundings)>> {
        let is_same = |point: &Checkpoint| (point.device, point.inode) == (file.device, file.inode);
        let mut candidates: Vec<usize> = (0..self.past.len())
            .filter(|index| {
                let point = &self.past[*index];
                let may_be = is_same(point) || point.is_related(&file.path);
                point.offset > 0 && may_be && point.head.begins(head)
            })
            .collect();
        candidates.sort_by_key(|index| {
            let point = &self.past[*index];
            (!is_same(point), Reverse(point.offset))
        });
        for index in candidates {
            if let Some(around) = holds(&file.path, &self.past[index])? {
                return Ok(self.past.remove(index).map(|point| (point, around)));
            }
        }
        Ok(None)
    }

    /// Whether the file may be a copy of an open one: it holds the same, or its beginning.
    fn may_be_copy(&mut self, file: &Found, waited: bool) -> io::Result<bool> {
        for open in &mut self.open {
            if open.is_gzip() || !open.checkpoint().is_related(&file.path) {
                continue;
            }
            // What it held before the truncation is known after the next read of it.
            if open.was_rewritten()? {
                return Ok(true);
            }
            let (mut content, _) = Content::open(&file.path)?;
            if open.has_copy(&mut content, waited)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the files in turn until the bytes of one look are used up.
    fn read(&mut self, now: Instant, poll: &mut Poll) {
        let mut left = self.options.poll_bytes_max;
        let files = self.open.len();
        let mut troubles = Vec::new();
        let mut truncated = Vec::new();
        let mut next_turn = self.turn;
        for step in 0..files {
            let index = (self.turn + step) % files;
            if left == 0 {
                next_turn = index;
                break;
            }
            if self.has_predecessor(index) {
                self.open[index].is_at_end = false;
                continue;
            }
            let file = &mut self.open[index];
            let (mut lines, outcome) = file.read(left, now);
            left = left.saturating_sub(lines.bytes.len());
            truncated.extend(lines.before);
            if let Err(error) = outcome {
                // It is tried again, a compressed file when its length has changed: one that
                // is being written has no end yet.
                file.is_at_end = true;
                if !(file.is_gzip() && error.kind() == io::ErrorKind::UnexpectedEof) {
                    troubles.push((file.path.clone(), error));
                }
            } else if file.has_partial() && file.is_quiet(now, self.options.partial_after) {
                file.flush_characters(&mut lines.bytes);
            }
            if !lines.bytes.is_empty() {
                poll.chunks.push(file.chunk(lines.bytes));
            }
        }
        self.turn = next_turn;
        for point in truncated {
            self.remember(point);
        }
        for (path, error) in troubles {
            self.tell(poll, path, error);
        }
    }

    /// Whether an older file of the same name is not yet read to its end.
    fn has_predecessor(&self, index: usize) -> bool {
        let path = &self.open[index].path;
        self.open[..index]
            .iter()
            .any(|older| !older.is_at_end && (older.first_path == *path || older.path == *path))
    }

    /// Closes files that are gone and read, and compressed ones that are read.
    fn close(&mut self, now: Instant, poll: &mut Poll) {
        let mut index = 0;
        while index < self.open.len() {
            let file = &mut self.open[index];
            let is_over = file.is_gone && file.is_quiet(now, self.options.gone_kept);
            if !(is_over || file.is_gzip() && file.is_at_end) {
                index += 1;
                continue;
            }
            let mut bytes = Vec::new();
            if !file.has_failed {
                file.flush(&mut bytes);
            }
            if !bytes.is_empty() {
                poll.chunks.push(file.chunk(bytes));
            }
            let file = self.open.remove(index);
            self.remember(file.checkpoint());
        }
    }

    fn remember(&mut self, point: Checkpoint) {
        self.past.push_back(point);
        // What looked like a copy of it can be judged now.
        for wait in self.awaited.values_mut() {
            wait.is_judged = false;
        }
    }
}

/// What surrounds the checkpoint in the file, if the file holds what was read then.
fn holds(path: &Path, point: &Checkpoint) -> io::Result<Option<Surroundings>> {
    let (mut content, _) = Content::open(path)?;
    Ok(content
        .surroundings(point.offset)?
        .filter(|around| point.head.begins(&around.head) && point.tail.ends(&around.tail)))
}

/// The file as read to the end of its last line.
fn skip_to_end(
    mut content: Content,
    identity: Identity,
    file: &Found,
    now: Instant,
) -> io::Result<Followed> {
    let mut point = Checkpoint {
        path: file.path.clone(),
        device: identity.device,
        inode: identity.inode,
        offset: 0,
        head: Fingerprint::of(&[]),
        tail: Fingerprint::of(&[]),
        in_long_line: false,
        compressed_bytes: None,
    };
    if let Some(bytes) = content.plain_bytes()? {
        // A line that is being written belongs to what comes.
        point.offset = content.last_line_end(bytes)?;
    } else {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match content.read(point.offset, &mut buffer)? {
                0 => break,
                more => point.offset += more as u64,
            }
        }
        content = Content::open(&file.path)?.0;
    }
    let resume = content.surroundings(point.offset)?;
    let resume = resume.map(|around| (point, around));
    Ok(Followed::new(
        file.path.clone(),
        identity,
        content,
        resume,
        now,
    ))
}

#[cfg(test)]
mod tests;
