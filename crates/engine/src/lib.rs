//! The engine: joins pipeline, storage, metadata and query behind one façade.
//!
//! Invariants
//! - Records go one way: raw batch → pipeline → storage. Nothing else writes.
//! - Every read is a [`taffrail_query::ScanRequest`] that carries the row policy of the principal
//!   who asks; there is no other way to the rows.
//! - Nothing here knows HTTP or a terminal.
//!
//! What is where: [`options`] how it is opened, [`ingest`] the way in, [`read`] search, histogram,
//! facets, context, [`live`] the live tail, [`events`] the product's own events, [`maintenance`]
//! background tasks, [`status`] what health and metrics show.

pub mod admission;
pub mod events;
pub mod ingest;
pub mod live;
pub mod maintenance;
pub mod options;
pub mod read;
pub mod status;

use crate::{admission::Admission, events::OwnEvents, options::EngineOptions};
use parking_lot::RwLock;
use std::sync::Arc;
use taffrail_model::{clock::Clock, stream::StreamCatalogue, time::Timestamp};
use taffrail_pipeline::Pipeline;
use taffrail_storage::{snapshot::Snapshot, store::Store};
use tokio::sync::watch;

/// Accounts, keys and sessions: the metadata that the server's authentication works on.
pub use taffrail_meta as meta;
pub use taffrail_pipeline as pipeline;
pub use taffrail_query as query;

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
    own_events: OwnEvents,
    /// Watermark of the store, for whoever follows it.
    watermark: watch::Receiver<u64>,
    recovery: taffrail_storage::store::RecoveryReport,
    stopping: watch::Sender<bool>,
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
    pub fn recovery(&self) -> &taffrail_storage::store::RecoveryReport {
        &self.inner.recovery
    }

    /// The engine's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.store.snapshot()
    }
}
