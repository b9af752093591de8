//! Background tasks of the engine: idempotent, without input, woken by a timer. Those of the log
//! store (flush, retention, manifest snapshots) run on the store's own threads.
use crate::{Engine, events::OwnEvent};
use std::{sync::Arc, time::Duration};
use taffrail_meta::{Meta, MetaError};
use taffrail_model::level::Level;
use taffrail_storage::{snapshot::Fault, store_core::MaintenanceError};

/// How often the store's state is compared with what was last told.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// How often sessions that ended are removed, and deleted instances without records.
const PURGE_EVERY: Duration = Duration::from_secs(3_600);

impl Engine {
    /// Writes every record that is in memory alone into segments.
    ///
    /// # Errors
    /// [`MaintenanceError`]; what was acknowledged is durable all the same.
    pub async fn flush(&self) -> Result<(), MaintenanceError> {
        let store = self.inner.store.clone();
        let flushed = tokio::task::spawn_blocking(move || store.flush()).await;
        flushed.unwrap_or(Err(MaintenanceError::Closed)).map(|_| ())
    }
}

pub(crate) fn spawn(engine: &Engine) {
    spawn_watch(engine);
    spawn_purge(engine);
}

/// Tells of changes of the store's state in `system.application`: faults, refusal, recovery; and of
/// deletions that are done.
fn spawn_watch(engine: &Engine) {
    let weak = Arc::downgrade(&engine.inner);
    let mut stopping = engine.inner.stopping.subscribe();
    let running = engine.inner.running.subscribe();
    let (mut active_deletions, _) = engine.deletions_by_state();
    tokio::spawn(async move {
        let _running = running;
        let mut timer = tokio::time::interval(WATCH_EVERY);
        let mut told_faults: Vec<Fault> = Vec::new();
        let mut told_refusing = None;
        loop {
            tokio::select! {
                _ = timer.tick() => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
            let Some(inner) = weak.upgrade() else { return };
            let engine = Engine { inner };
            let status = engine.inner.store.status();
            for fault in status
                .faults
                .iter()
                .filter(|fault| !told_faults.contains(fault))
            {
                engine.record_own_event(
                    OwnEvent::new(APPLICATION, Level::Critical, "records cannot be read")
                        .with("file", fault.file.clone())
                        .with("detail", fault.detail.clone()),
                );
            }
            told_faults = status.faults;
            tell_of_deletions(&engine, &mut active_deletions);
            if status.refusing != told_refusing {
                engine.record_own_event(match &status.refusing {
                    Some(reason) => {
                        OwnEvent::new(APPLICATION, Level::Critical, "the log takes no records")
                            .with("reason", reason.clone())
                    }
                    None => OwnEvent::new(APPLICATION, Level::Info, "the log takes records again"),
                });
                told_refusing = status.refusing;
            }
        }
    });
}

/// Tells, for the audit, of deletions that are done.
fn tell_of_deletions(engine: &Engine, active: &mut Vec<u64>) {
    let (now_active, done) = engine.deletions_by_state();
    for deletion in done.iter().filter(|done| active.contains(&done.sequence)) {
        engine.record_own_event(
            OwnEvent::new("system.audit", Level::Info, "deletion done")
                .with("actor", "taffrail")
                .with("deletion.id", deletion.sequence.to_string())
                .with("deletion.tenant", deletion.tenant.0.to_string())
                .with_number(
                    "deletion.rows_removed",
                    i64::try_from(deletion.rows_removed).unwrap_or(i64::MAX),
                ),
        );
    }
    *active = now_active;
}

fn spawn_purge(engine: &Engine) {
    let weak = Arc::downgrade(&engine.inner);
    let mut stopping = engine.inner.stopping.subscribe();
    let running = engine.inner.running.subscribe();
    tokio::spawn(async move {
        let _running = running;
        let mut timer = tokio::time::interval(PURGE_EVERY);
        loop {
            tokio::select! {
                _ = timer.tick() => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
            let Some(inner) = weak.upgrade() else { return };
            let engine = Engine { inner };
            if let Err(error) = engine.meta().purge_sessions().await {
                tell_of_failure(&engine, "old sessions stay", &error);
            }
            if let Err(error) = engine.purge_instances().await {
                tell_of_failure(&engine, "deleted instances stay", &error);
            }
        }
    });
}

fn tell_of_failure(engine: &Engine, what: &str, error: &MetaError) {
    engine.record_own_event(
        OwnEvent::new("system.database", Level::Error, what)
            .with("error.message", error.to_string()),
    );
}

const APPLICATION: &str = "system.application";
