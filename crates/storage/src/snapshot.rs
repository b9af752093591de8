//! What a read sees: an immutable state of the log.
use crate::{
    deletion::Deletion,
    read::{ReadError, RowSource},
};
use std::sync::Arc;
use taffrail_model::position::{PartitionKey, Position};

/// One partition's rows at a moment.
#[derive(Clone)]
pub struct PartitionView {
    /// Which partition.
    pub key: PartitionKey,
    sections: Arc<Vec<Arc<dyn RowSource>>>,
    chunks: Vec<Arc<dyn RowSource>>,
}

impl PartitionView {
    /// A view of sections of segments and chunks of the tail, which together hold each row once.
    /// Sections are shared from view to view as long as they are the same: there may be thousands,
    /// and a view is made for each commit.
    #[must_use]
    pub fn new(
        key: PartitionKey,
        sections: Arc<Vec<Arc<dyn RowSource>>>,
        chunks: Vec<Arc<dyn RowSource>>,
    ) -> PartitionView {
        PartitionView {
            key,
            sections,
            chunks,
        }
    }

    /// Sections of segments and chunks of the tail; together they hold each row once.
    pub fn sources(&self) -> impl Iterator<Item = &Arc<dyn RowSource>> {
        self.sections().chain(self.chunks())
    }

    /// Sections of segments.
    pub fn sections(&self) -> impl Iterator<Item = &Arc<dyn RowSource>> {
        self.sections.iter()
    }

    /// Chunks of the tail.
    pub fn chunks(&self) -> impl Iterator<Item = &Arc<dyn RowSource>> {
        self.chunks.iter()
    }
}

/// Something that cannot be read, and that an answer must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Partition that lacks rows, if it is known.
    pub partition: Option<PartitionKey>,
    /// File name within the data directory.
    pub file: String,
    /// What is wrong.
    pub detail: String,
    /// Whether a later read may succeed: the operating system failed, and nothing is known to be
    /// damaged.
    pub is_transient: bool,
}

impl Fault {
    /// The fault of a read of a partition.
    #[must_use]
    pub fn of_read(partition: PartitionKey, error: &ReadError) -> Fault {
        Fault {
            partition: Some(partition),
            file: error.file().to_owned(),
            detail: error.to_string(),
            is_transient: matches!(error, ReadError::Io { .. }),
        }
    }
}

/// An immutable state of the log. Files that it lists stay until it is dropped.
#[derive(Clone, Default)]
pub struct Snapshot {
    watermark: Position,
    epoch: u16,
    partitions: imbl::OrdMap<PartitionKey, Arc<PartitionView>>,
    faults: Arc<Vec<Fault>>,
    deletions: Arc<Vec<Arc<Deletion>>>,
}

impl Snapshot {
    /// A snapshot of these parts.
    #[must_use]
    pub fn new(
        watermark: Position,
        epoch: u16,
        partitions: imbl::OrdMap<PartitionKey, Arc<PartitionView>>,
        faults: Arc<Vec<Fault>>,
    ) -> Snapshot {
        Snapshot {
            watermark,
            epoch,
            partitions,
            faults,
            deletions: Arc::default(),
        }
    }

    /// The same with these deletions in effect.
    #[must_use]
    pub fn with_deletions(mut self, deletions: Arc<Vec<Arc<Deletion>>>) -> Snapshot {
        self.deletions = deletions;
        self
    }

    /// Every acknowledged record has a position up to this one.
    #[must_use]
    pub fn watermark(&self) -> Position {
        self.watermark
    }

    /// Epoch for record ids.
    #[must_use]
    pub fn epoch(&self) -> u16 {
        self.epoch
    }

    /// The partitions, by key (tenant, stream, day).
    pub fn partitions(&self) -> impl DoubleEndedIterator<Item = &Arc<PartitionView>> + '_ {
        self.partitions.values()
    }

    /// One partition.
    #[must_use]
    pub fn partition(&self, key: &PartitionKey) -> Option<&Arc<PartitionView>> {
        self.partitions.get(key)
    }

    /// Deletions in effect, by number: what they concern is not there for a reader.
    #[must_use]
    pub fn deletions(&self) -> &[Arc<Deletion>] {
        &self.deletions
    }

    /// What is known to be unreadable.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}
