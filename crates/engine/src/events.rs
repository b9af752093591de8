//! The product's own events: what it does goes through its own pipeline into the system streams.
//!
//! Invariants
//! - An event never blocks or fails the action that it tells of: the queue is bounded, and what
//!   does not fit is counted.
//! - No loop: committing own events records no event; a failure to commit is counted and told to
//!   `tracing` alone.
use crate::{Engine, ingest::IngestError};
use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use taffrail_model::{
    access::Principal,
    batch::RawBatch,
    column::{ColumnSet, Kind},
    field,
    level::Level,
    tenant::DEFAULT_TENANT,
};
use tokio::sync::{mpsc, watch};

/// Events that wait for their commit at the most: some seconds of a busy server.
const QUEUE_EVENTS_MAX: usize = 8_192;
/// Events of one commit at the most.
const GROUP_EVENTS_MAX: usize = 1_024;

/// Something that the product did or noticed.
#[derive(Clone, Debug)]
pub struct OwnEvent {
    /// System stream: `system.application`, `security`, `system.audit`, …
    pub stream: &'static str,
    /// Severity.
    pub level: Level,
    /// For a person; no secrets.
    pub message: String,
    /// Attributes, by canonical or own name.
    pub fields: Vec<(&'static str, Kind, String)>,
}

impl OwnEvent {
    /// An event without attributes.
    #[must_use]
    pub fn new(stream: &'static str, level: Level, message: impl Into<String>) -> OwnEvent {
        OwnEvent {
            stream,
            level,
            message: message.into(),
            fields: Vec::new(),
        }
    }

    /// Adds a text attribute.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> OwnEvent {
        self.fields.push((name, Kind::String, value.into()));
        self
    }

    /// Adds an integer attribute.
    #[must_use]
    pub fn with_number(mut self, name: &'static str, value: i64) -> OwnEvent {
        self.fields.push((name, Kind::Integer, value.to_string()));
        self
    }
}

/// The queue's end that the engine keeps.
#[derive(Debug)]
pub(crate) struct OwnEvents {
    queue: mpsc::Sender<Queued>,
    lost: Arc<AtomicU64>,
    /// Whether the task that commits has ended.
    is_drained: watch::Receiver<bool>,
}

impl OwnEvents {
    /// Waits until what was queued before the last task of a closed engine ended is committed.
    pub(crate) async fn drained(&self) {
        let mut is_drained = self.is_drained.clone();
        // An error means that the task is gone: there is nothing to wait for.
        let _ = is_drained.wait_for(|drained| *drained).await;
    }
}

#[derive(Debug)]
pub(crate) struct Queued {
    at: i64,
    event: OwnEvent,
}

/// The end of the queue that commits.
pub(crate) struct Outlet {
    queue: mpsc::Receiver<Queued>,
    drained: watch::Sender<bool>,
}

pub(crate) fn channel() -> (OwnEvents, Outlet) {
    let (queue_in, queue) = mpsc::channel(QUEUE_EVENTS_MAX);
    let (drained, is_drained) = watch::channel(false);
    let own_events = OwnEvents {
        queue: queue_in,
        lost: Arc::default(),
        is_drained,
    };
    (own_events, Outlet { queue, drained })
}

impl Engine {
    /// Records an event of the product itself. Never blocks; what does not fit is counted.
    pub fn record_own_event(&self, event: OwnEvent) {
        let queued = Queued {
            at: self.now().0,
            event,
        };
        if self.inner.own_events.queue.try_send(queued).is_err() {
            self.inner.own_events.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Own events that were lost since the start, because the queue was full or a commit failed.
    #[must_use]
    pub fn own_events_lost(&self) -> u64 {
        self.inner.own_events.lost.load(Ordering::Relaxed)
    }
}

/// Commits queued events until the engine is closed and its tasks have ended, which may tell of what
/// they do to their end; what is queued then is committed still.
pub(crate) fn spawn(engine: &Engine, outlet: Outlet) {
    let Outlet { mut queue, drained } = outlet;
    let weak = Arc::downgrade(&engine.inner);
    let mut stopping = engine.inner.stopping.subscribe();
    let running = engine.inner.running.clone();
    tokio::spawn(async move {
        let mut all_told = pin!(async {
            // An error means that the engine was dropped, which ends its tasks, too.
            let _ = stopping.wait_for(|stop| *stop).await;
            running.closed().await;
        });
        let mut group = Vec::with_capacity(GROUP_EVENTS_MAX);
        loop {
            let is_open = tokio::select! {
                taken = queue.recv_many(&mut group, GROUP_EVENTS_MAX) => taken > 0,
                () = &mut all_told => {
                    while group.len() < QUEUE_EVENTS_MAX {
                        let Ok(queued) = queue.try_recv() else { break };
                        group.push(queued);
                    }
                    false
                }
            };
            let Some(inner) = weak.upgrade() else { return };
            commit(&Engine { inner }, std::mem::take(&mut group)).await;
            if !is_open {
                drained.send_replace(true);
                return;
            }
        }
    });
}

async fn commit(engine: &Engine, group: Vec<Queued>) {
    let mut by_stream: BTreeMap<&'static str, Vec<Queued>> = BTreeMap::new();
    for queued in group {
        by_stream
            .entry(queued.event.stream)
            .or_default()
            .push(queued);
    }
    let principal = Principal::product(DEFAULT_TENANT);
    for (stream, events) in by_stream {
        let count = events.len() as u64;
        let outcome = async {
            let prepared = engine.prepare(&principal, stream, raw_batch(&events))?;
            engine.commit(&principal, prepared, None).await
        };
        let lost = match outcome.await {
            Ok(answer) => answer.rejected.len() as u64,
            Err(error) => {
                let error: IngestError = error;
                tracing::error!(stream, %error, "own events are lost");
                count
            }
        };
        engine
            .inner
            .own_events
            .lost
            .fetch_add(lost, Ordering::Relaxed);
    }
}

fn raw_batch(events: &[Queued]) -> RawBatch {
    let mut columns = ColumnSet::default();
    for (row, queued) in (0u32..).zip(events) {
        let event = &queued.event;
        let mut put = |name: &str, kind, text: &str| {
            columns.get_or_create(name).push(row, kind, text);
        };
        put(field::TIMESTAMP, Kind::Integer, &queued.at.to_string());
        put(field::LEVEL, Kind::String, event.level.name());
        put(field::MESSAGE, Kind::String, &event.message);
        put(field::SOURCE, Kind::String, "taffrail");
        put(field::LOGGER, Kind::String, "taffrail");
        for (name, kind, text) in &event.fields {
            put(name, *kind, text);
        }
        // Strict streams ask for a trace: an event outside of a request is a trace of its own.
        if !event
            .fields
            .iter()
            .any(|(name, ..)| *name == field::TRACE_ID)
        {
            put(
                field::TRACE_ID,
                Kind::String,
                &uuid::Uuid::new_v4().simple().to_string(),
            );
        }
    }
    columns.set_rows(events.len() as u32);
    let indexes = (0..events.len() as u32).collect();
    RawBatch {
        columns,
        indexes,
        rejects: Vec::new(),
        is_lines: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{options::EngineOptions, read::Question};

    #[tokio::test]
    async fn what_a_task_tells_at_its_end_is_committed() {
        let directory = tempfile::tempdir().unwrap();
        let engine = Engine::open(EngineOptions {
            key_file: Some(directory.path().join("key")),
            ..EngineOptions::new(directory.path().join("data"))
        })
        .await
        .unwrap();
        let running = engine.inner.running.subscribe();
        let mut stopping = engine.inner.stopping.subscribe();
        let teller = engine.clone();
        tokio::spawn(async move {
            let _running = running;
            stopping.wait_for(|stop| *stop).await.unwrap();
            // Everything else that waits for the stop has its turns.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            let event = OwnEvent::new("system.application", Level::Info, "the last");
            teller.record_own_event(event);
        });
        engine.close().await.unwrap();
        let question = Question {
            streams: vec!["system.application".into()],
            ..Question::default()
        };
        let principal = Principal::product(DEFAULT_TENANT);
        assert_eq!(engine.count(&principal, &question).unwrap().value, 1);
        assert_eq!(engine.own_events_lost(), 0);
    }
}
