//! The engine: joins pipeline, storage, metadata and query behind one façade.
//!
//! Invariants
//! - Records go one way: raw batch → pipeline → storage. Nothing else writes.
//! - Every read is a [`taffrail_query::ScanRequest`] that carries the row policy of the principal
//!   who asks; there is no other way to the rows.
//! - Nothing here knows HTTP or a terminal.
//!
//! What is where: [`options`] how it is opened, [`ingest`] the way in, [`read`] search, histogram,
//! facets, context, [`deletions`] records that go, [`live`] the live tail, [`instances`] MCP
//! instances, [`events`] the product's own events, [`maintenance`] background tasks, [`memory`] how
//! memory is shared out, [`status`] what health and metrics show.

pub mod admission;
pub mod deletions;
pub mod events;
pub mod ingest;
pub mod instances;
pub mod live;
pub mod maintenance;
pub mod memory;
pub mod options;
pub mod read;
pub mod spool;
pub mod status;

use crate::{
    admission::Admission, events::OwnEvents, instances::Instances, options::EngineOptions,
};
use parking_lot::RwLock;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use taffrail_meta::Meta;
use taffrail_model::{clock::Clock, stream::StreamCatalogue, time::Timestamp};
use taffrail_pipeline::Pipeline;
use taffrail_query::MemoryPool;
use taffrail_storage::{local_files::DirectoryLock, snapshot::Snapshot, store::Store};
use tokio::sync::watch;

/// Accounts, keys and sessions: the metadata that the server's authentication works on.
pub use taffrail_meta as meta;
pub use taffrail_pipeline as pipeline;
pub use taffrail_query as query;
/// What the façade's answers are made of.
pub use taffrail_storage::{
    recovery::RecoveryReport,
    snapshot::Fault,
    store_core::{CommitError, MaintenanceError, StoreStatus},
};

/// The façade. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    options: EngineOptions,
    store: Store,
    meta: Arc<taffrail_meta::AnyMeta>,
    pipeline: Pipeline,
    catalogue: RwLock<Arc<StreamCatalogue>>,
    clock: Arc<dyn Clock>,
    admission: Admission,
    instances: Arc<Instances>,
    own_events: OwnEvents,
    /// What the aggregates of all running queries share.
    aggregate_memory: Arc<MemoryPool>,
    /// Watermark of the store, for whoever follows it.
    watermark: watch::Receiver<u64>,
    recovery: RecoveryReport,
    new_key_file: Option<PathBuf>,
    stopping: watch::Sender<bool>,
    /// Each task that may outlive who asked for it holds a receiver of it to its end.
    running: watch::Sender<()>,
    /// The directory stays locked as long as anything works on it.
    _lock: DirectoryLock,
}

impl Engine {
    /// All streams.
    #[must_use]
    pub fn catalogue(&self) -> Arc<StreamCatalogue> {
        self.inner.catalogue.read().clone()
    }

    /// Accounts, keys, sessions, tenants.
    #[must_use]
    pub fn meta(&self) -> &Arc<taffrail_meta::AnyMeta> {
        &self.inner.meta
    }

    /// What the engine was opened with.
    #[must_use]
    pub fn options(&self) -> &EngineOptions {
        &self.inner.options
    }

    /// What recovery found at the start.
    #[must_use]
    pub fn recovery(&self) -> &RecoveryReport {
        &self.inner.recovery
    }

    /// The engine's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// The key file, if this start made it: without a copy of it the data is lost with the disk
    /// that holds it, so its owner must be told.
    #[must_use]
    pub fn new_key_file(&self) -> Option<&Path> {
        self.inner.new_key_file.as_deref()
    }

    /// Waits for the end of background tasks and of changes that have begun, commits the own events
    /// that wait, waits for the end of the store's threads, and closes the metadata. Later commits
    /// are refused; live tails end. Once the engine and what was asked of it are dropped, another may
    /// open the directory.
    ///
    /// A change of the metadata takes as long as its database does, a few milliseconds or, if that is
    /// locked or its disk stands still, seconds and more. Nothing is cut short here: whoever cannot
    /// wait drops this, and the next start recovers the store as after a kill.
    ///
    /// # Errors
    /// [`MaintenanceError`] if the store could not be put in order; what was acknowledged is
    /// durable all the same.
    pub async fn close(&self) -> Result<(), MaintenanceError> {
        self.inner.stopping.send_replace(true);
        self.inner.running.closed().await;
        // After them: they tell of what they do.
        self.inner.own_events.drained().await;
        let store = self.inner.store.clone();
        let closed = tokio::task::spawn_blocking(move || store.close()).await;
        self.inner.meta.close().await;
        closed.unwrap_or(Err(MaintenanceError::Closed))
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.store.snapshot()
    }
}
