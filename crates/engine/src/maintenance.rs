//! Background tasks: idempotent, without input, woken by a timer.
use crate::{Engine, events::OwnEvent};
use std::{sync::Arc, time::Duration};
use taffrail_model::level::Level;

/// How often expired days are looked for.
const RETENTION_EVERY: Duration = Duration::from_secs(600);
/// How often the manifest is written as a snapshot, which bounds what a start replays.
const MANIFEST_SNAPSHOT_EVERY: Duration = Duration::from_secs(900);

pub(crate) fn spawn(engine: &Engine) {
    every(engine, RETENTION_EVERY, |engine| {
        match engine.inner.store.retain() {
            Ok(report) if report.sections_removed > 0 => {
                engine.record_own_event(
                    OwnEvent::new(
                        "system.application",
                        Level::Info,
                        "expired days were removed",
                    )
                    .with_number("sections_removed", report.sections_removed as i64),
                );
            }
            Ok(_) => {}
            Err(error) => failed(engine, "retention", &error),
        }
    });
    every(engine, MANIFEST_SNAPSHOT_EVERY, |engine| {
        if let Err(error) = engine.inner.store.write_manifest_snapshot() {
            failed(engine, "manifest snapshot", &error);
        }
    });
}

fn failed(engine: &Engine, task: &str, error: &dyn std::error::Error) {
    tracing::error!(task, %error, "background task failed");
    engine.record_own_event(
        OwnEvent::new("system.application", Level::Error, format!("{task} failed"))
            .with("error.message", error.to_string()),
    );
}

/// Runs `task` on a blocking thread at once and then at every `interval`, until the engine closes.
fn every(engine: &Engine, interval: Duration, task: fn(&Engine)) {
    let weak = Arc::downgrade(&engine.inner);
    let mut stopping = engine.inner.stopping.subscribe();
    tokio::spawn(async move {
        let mut timer = tokio::time::interval(interval);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = timer.tick() => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
            let Some(inner) = weak.upgrade() else { return };
            let engine = Engine { inner };
            if tokio::task::spawn_blocking(move || task(&engine))
                .await
                .is_err()
            {
                tracing::error!("a background task panicked");
            }
        }
    });
}
