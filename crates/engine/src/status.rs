//! What health and metrics show.
use crate::{Engine, admission::RefusedCounts};
use taffrail_storage::store_core::StoreStatus;

/// State of the engine at a moment.
#[derive(Clone, Debug)]
pub struct EngineStatus {
    /// State of the log store.
    pub store: StoreStatus,
    /// Bytes of requests in flight.
    pub bytes_in_flight: usize,
    /// Bytes that running aggregates hold.
    pub query_state_bytes: usize,
    /// Requests that were not let in since the start.
    pub refused: RefusedCounts,
    /// The product's own events that were lost since the start.
    pub own_events_lost: u64,
}

impl Engine {
    /// State at this moment.
    #[must_use]
    pub fn status(&self) -> EngineStatus {
        EngineStatus {
            store: self.inner.store.status(),
            bytes_in_flight: self.inner.admission.bytes_in_flight(),
            query_state_bytes: self.inner.aggregate_memory.used(),
            refused: self.inner.admission.refused(),
            own_events_lost: self.own_events_lost(),
        }
    }
}
