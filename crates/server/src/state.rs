//! What every route works with.
use crate::{
    answers::{Answers, Holder},
    http::{Json, metrics::Requests},
    live::TAILS_MAX,
    problem::Problem,
    reads::Reads,
};
use axum::body::Bytes;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};
use taffrail_engine::{Engine, events::OwnEvent, meta::Meta};
use taffrail_model::{
    level::Level,
    tenant::TenantNumber,
    time::{NS_PER_S, Timestamp},
};
use tokio::sync::{Semaphore, watch};

/// Own events about refused requests in one second: an attacker must not fill the disk.
const REFUSAL_EVENTS_PER_S: u32 = 20;

/// Cheap to clone.
pub(crate) type App = Arc<State>;

/// One server's state.
pub(crate) struct State {
    pub engine: Engine,
    pub reads: Reads,
    /// Room for answers that clients have not read yet.
    pub answers: Arc<Answers>,
    /// Turns for decoding bodies, apart from those for reading: a slow query stops no sender.
    pub decodes: Reads,
    pub requests: Requests,
    /// Connections whose client took nothing of its answer.
    pub connections_cut: Arc<AtomicU64>,
    pub bootstrap_key: Option<String>,
    pub metrics_are_public: bool,
    /// Places for live tails.
    pub tails: Arc<Semaphore>,
    /// Texts that all their readers share.
    pub openapi_json: Bytes,
    pub docs_html: Bytes,
    stopping: watch::Sender<bool>,
    tenants: RwLock<Arc<BTreeMap<TenantNumber, String>>>,
    refusals: Mutex<Refusals>,
}

#[derive(Default)]
struct Refusals {
    second: i64,
    count: u32,
    suppressed: u64,
}

impl State {
    pub(crate) fn new(
        engine: Engine,
        bootstrap_key: Option<String>,
        metrics_are_public: bool,
        answer_held_min: Duration,
        openapi_json: String,
        docs_html: String,
    ) -> State {
        let answers = Answers::new(engine.options().memory.answers, answer_held_min);
        State {
            engine,
            reads: Reads::default(),
            answers: Arc::new(answers),
            decodes: Reads::default(),
            requests: Requests::default(),
            connections_cut: Arc::default(),
            bootstrap_key,
            metrics_are_public,
            tails: Arc::new(Semaphore::new(TAILS_MAX)),
            openapi_json: openapi_json.into(),
            docs_html: docs_html.into(),
            stopping: watch::Sender::new(false),
            tenants: RwLock::default(),
            refusals: Mutex::default(),
        }
    }

    /// Runs a read in its turn and holds its answer until the client has it. The room for the answer
    /// is taken before the turn ends: what waits for room would be as much memory as what has it.
    pub(crate) async fn answer(
        &self,
        holder: Holder,
        read: impl FnOnce(Arc<AtomicBool>) -> Result<Vec<u8>, Problem> + Send + 'static,
    ) -> Result<Json, Problem> {
        let answers = self.answers.clone();
        let held = self
            .reads
            .run(move |cancelled| answers.hold(&holder, read(cancelled)?));
        held.await.map(Json::from)
    }

    /// Names of all tenants, for what the caller may read anyway. A number that is missing means
    /// that a tenant was made since: the names are read again.
    pub(crate) async fn tenant_names(
        &self,
        needed: &[TenantNumber],
    ) -> Result<Arc<BTreeMap<TenantNumber, String>>, Problem> {
        let have = self
            .tenants
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if needed.iter().all(|number| have.contains_key(number)) && !have.is_empty() {
            return Ok(have);
        }
        let tenants = self.engine.meta().tenants().await?;
        let names: BTreeMap<_, _> = tenants
            .into_iter()
            .map(|tenant| (tenant.number, tenant.name))
            .collect();
        let names = Arc::new(names);
        *self.tenants.write().unwrap_or_else(PoisonError::into_inner) = names.clone();
        Ok(names)
    }

    /// Begins the stop: tails end, the readiness answers change.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Records that somebody was refused, but not more often than the disk can bear.
    pub(crate) fn record_refusal(&self, event: OwnEvent) {
        let now = self.engine.now();
        let suppressed = {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            match refusals.admit(now) {
                Some(suppressed) => suppressed,
                None => return,
            }
        };
        let event = match suppressed {
            0 => event,
            count => event.with_number("suppressed", i64::try_from(count).unwrap_or(i64::MAX)),
        };
        self.engine.record_own_event(event);
    }

    /// Records an event of the product.
    pub(crate) fn record(&self, stream: &'static str, level: Level, message: &str) {
        self.engine
            .record_own_event(OwnEvent::new(stream, level, message));
    }

    pub(crate) fn tails_open(&self) -> usize {
        TAILS_MAX - self.tails.available_permits()
    }
}

impl Refusals {
    /// Whether one more may be recorded, and how many were not since the last one.
    fn admit(&mut self, now: Timestamp) -> Option<u64> {
        let second = now.0.div_euclid(NS_PER_S);
        if second != self.second {
            (self.second, self.count) = (second, 0);
        }
        if self.count >= REFUSAL_EVENTS_PER_S {
            self.suppressed += 1;
            return None;
        }
        self.count += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_bounded_and_counted() {
        let mut refusals = Refusals::default();
        let at = |second: i64| Timestamp(second * NS_PER_S);
        let admitted = (0..50).filter(|_| refusals.admit(at(1)).is_some()).count();
        assert_eq!(admitted, 20);
        assert_eq!(refusals.admit(at(2)), Some(30));
        assert_eq!(refusals.admit(at(2)), Some(0));
    }
}
