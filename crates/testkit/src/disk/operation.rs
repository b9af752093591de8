//! The log of what was asked of the disk, and the faults that answer it.
use std::{fmt, path::PathBuf};

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// `Files::create`.
    Create,
    /// `Files::open`.
    Open,
    /// `Files::rename`; the path is the target.
    Rename,
    /// `Files::remove`.
    Remove,
    /// `Files::make_directory`.
    MakeDirectory,
    /// `Files::list`.
    List,
    /// `Files::sync_directory`.
    SyncDirectory,
    /// `File::append`.
    Append,
    /// `File::write_at`.
    WriteAt,
    /// `File::read_at`.
    ReadAt,
    /// `File::sync`.
    Sync,
}

impl OperationKind {
    /// Whether it can change what a power loss finds.
    #[must_use]
    pub fn is_change(self) -> bool {
        use OperationKind::{List, Open, ReadAt};
        !matches!(self, Open | List | ReadAt)
    }

    /// Whether it writes bytes.
    #[must_use]
    pub fn is_write(self) -> bool {
        matches!(self, OperationKind::Append | OperationKind::WriteAt)
    }

    /// Whether it makes something durable.
    #[must_use]
    pub fn is_sync(self) -> bool {
        matches!(self, OperationKind::Sync | OperationKind::SyncDirectory)
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// As asked.
    Done,
    /// With an error of its own, such as a missing file.
    Refused,
    /// With an injected fault, or for want of room.
    Failed(Fault),
    /// A sync that said `Ok` and did nothing.
    Skipped,
}

/// A fault to inject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Input/output error, for any operation.
    InputOutput,
    /// No space left, for every operation that may need room: nothing is written.
    NoSpace,
    /// No space left, after half of the bytes of a write.
    ShortWrite,
}

impl Fault {
    /// Whether a real disk answers such an operation in this way.
    #[must_use]
    pub fn applies_to(self, kind: OperationKind) -> bool {
        match self {
            Fault::InputOutput => true,
            Fault::NoSpace => kind.is_change() && kind != OperationKind::Remove,
            Fault::ShortWrite => kind.is_write(),
        }
    }
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Number from 0 in order of arrival.
    pub index: u64,
    /// What was asked.
    pub kind: OperationKind,
    /// The file or directory; of an open file the name under which it was opened.
    pub path: PathBuf,
    /// Offset of a read or write.
    pub offset: u64,
    /// Bytes of a read or write.
    pub bytes: u64,
    /// How it ended.
    pub outcome: Outcome,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.index, self.kind, self.path.display())?;
        if self.bytes > 0 {
            write!(f, " {}+{}", self.offset, self.bytes)?;
        }
        if self.outcome != Outcome::Done {
            write!(f, " ({:?})", self.outcome)?;
        }
        Ok(())
    }
}

/// Which syncs are left out, to show that a harness notices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncSite {
    /// [`OperationKind::Sync`] or [`OperationKind::SyncDirectory`].
    pub kind: OperationKind,
    /// Text that the path contains; empty for every path.
    pub path_contains: String,
    /// Whether the path must end with the text.
    pub is_end: bool,
}

impl SyncSite {
    /// Syncs of files whose path contains a text.
    #[must_use]
    pub fn file(path_contains: &str) -> SyncSite {
        SyncSite {
            kind: OperationKind::Sync,
            path_contains: path_contains.into(),
            is_end: false,
        }
    }

    /// Syncs of directories whose path contains a text.
    #[must_use]
    pub fn directory(path_contains: &str) -> SyncSite {
        SyncSite {
            kind: OperationKind::SyncDirectory,
            path_contains: path_contains.into(),
            is_end: false,
        }
    }

    /// Only where the text is the end of the path.
    #[must_use]
    pub fn at_end(self) -> SyncSite {
        SyncSite {
            is_end: true,
            ..self
        }
    }

    /// Whether a sync is one of these.
    #[must_use]
    pub fn matches(&self, kind: OperationKind, path: &std::path::Path) -> bool {
        let path = path.to_string_lossy();
        let is_there = if self.is_end {
            path.ends_with(&self.path_contains)
        } else {
            path.contains(&self.path_contains)
        };
        self.kind == kind && is_there
    }
}
