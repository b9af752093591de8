//! Delivers what a spool holds to a server: sends, waits, sends again.
//!
//! `taffrail ship` and `taffrail run` fill their spools each in their own way; what becomes of a
//! batch from there on is the same, and is here.
//!
//! Invariants
//! - Sending is on a thread of its own ([`Courier`]); [`Delivery::proceed`] blocks for its
//!   patience at the most, and for the sync of the state file when a batch is acknowledged.
//! - One part is under way at the most. It is sent again until the server takes or refuses it for
//!   good: first after 200 ms, then later and later up to every 30 s, or when the server says.
//! - A stream that is refused while another one is taken keeps nothing else from being sent, if
//!   that [is wanted](Delivery::putting_streams_aside): its parts are put aside. Whether another
//!   one is taken is asked with a part of it, before its turn, unless it was so just before. Until
//!   it is known the part waits: a credential that may write nothing loses nothing.
//! - Nothing is said here: what a person should know are [`Event`]s, each once until it is over.
mod courier;
mod send;

pub use send::HttpSender;

use anyhow::Result;
use courier::Courier;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use taffrail_engine::spool::{Delivered, Lost, Next, Outcome, Part, Sender, Spool, SpoolError};

/// First and longest wait before a batch is sent again.
pub const RETRY_FIRST: Duration = Duration::from_millis(200);
/// See [`RETRY_FIRST`].
pub const RETRY_MAX: Duration = Duration::from_secs(30);
/// How long it counts that a stream was taken. A credential may be changed at any time; and a
/// question more in that time costs little.
const TAKEN_COUNTS: Duration = Duration::from_secs(10);

/// What a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The server does not take the oldest batch now; told once until it [does](Event::Recovered).
    Failing {
        /// What was said.
        reason: String,
    },
    /// It takes records again.
    Recovered,
    /// A batch is acknowledged and gone.
    Delivered(Delivered),
    /// Batches cannot be read any more, and are never sent.
    Lost(Lost),
    /// A person must change the address, the credential or the stream. Whoever goes on sends
    /// again after [`RETRY_MAX`].
    Stopped {
        /// What the server said.
        reason: String,
        /// Whether the credential is at fault.
        is_not_allowed: bool,
    },
    /// These records were put aside, since their stream is refused while others are taken.
    PutAside {
        /// The stream.
        stream: Arc<str>,
        /// How many records.
        records: u32,
        /// What the server said.
        reason: String,
    },
    /// There is no space to note that a batch was acknowledged: it is sent again, and the server
    /// knows it.
    NoSpace,
}

/// What one step did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether there was an answer that got things on.
    pub has_worked: bool,
    /// What happened, in its order.
    pub events: Vec<Event>,
}

/// When the oldest batch is sent again.
#[derive(Debug, Default)]
pub struct Retry {
    /// Not before; `None`: at once.
    pub at: Option<Instant>,
    wait: Duration,
    /// Since when nothing was delivered, and what the server said last.
    pub failing: Option<(Instant, String)>,
}

impl Retry {
    /// Notes a failure: the wait doubles, and is at least what the server asks for.
    pub fn after(&mut self, now: Instant, asked: Option<Duration>, reason: &str) {
        self.wait = (self.wait * 2).clamp(RETRY_FIRST, RETRY_MAX);
        self.at = Some(now + self.wait.max(asked.unwrap_or_default()));
        let since = self.failing.as_ref().map_or(now, |(since, _)| *since);
        self.failing = Some((since, reason.to_string()));
    }
}

/// The part that is under way.
struct Errand {
    stream: Arc<str>,
    /// Whether it is sent before its turn, to learn what the server says.
    is_question: bool,
}

/// A spool and the thread that empties it.
pub struct Delivery {
    spool: Spool,
    courier: Courier,
    retry: Retry,
    puts_aside: bool,
    errand: Option<Errand>,
    /// The stream that was open last, and when: records were taken, or refused for what they are.
    /// Unless it was refused itself since.
    taken: Option<(Arc<str>, Instant)>,
}

impl Delivery {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(spool: Spool, sender: Box<dyn Sender + Send>) -> Result<Delivery> {
        Ok(Delivery {
            spool,
            courier: Courier::start(sender)?,
            retry: Retry::default(),
            puts_aside: false,
            errand: None,
            taken: None,
        })
    }

    /// Puts records aside whose stream is refused while others are taken; otherwise everything
    /// waits until that is changed.
    #[must_use]
    pub fn putting_streams_aside(self) -> Delivery {
        Delivery {
            puts_aside: true,
            ..self
        }
    }

    /// The spool.
    #[must_use]
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// The spool, to persist what is new.
    pub fn spool_mut(&mut self) -> &mut Spool {
        &mut self.spool
    }

    /// Whether a part is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.courier.is_busy()
    }

    /// When the oldest batch is sent again, and since when it fails.
    #[must_use]
    pub fn retry(&self) -> &Retry {
        &self.retry
    }

    /// Ends without waiting for the request that is under way: whoever opens the spool next sends
    /// it again, under its key.
    pub fn abandon(mut self) {
        self.courier.detach();
    }

    /// Sends the oldest batches, as far as they are due, and waits for each answer as long as
    /// `patience` is.
    ///
    /// # Errors
    /// The spool cannot go on. That it has no space is an [`Event`].
    pub fn proceed(&mut self, now: Instant, patience: Duration) -> Result<Progress> {
        let mut progress = Progress::default();
        loop {
            if self.courier.is_busy() {
                let Some(outcome) = self.courier.outcome(patience)? else {
                    return Ok(progress);
                };
                if self.settle(now, outcome, &mut progress)? {
                    return Ok(progress);
                }
                // A question may be under way now.
                continue;
            }
            if self.retry.at.is_some_and(|at| now < at) {
                return Ok(progress);
            }
            match self.spool.proceed() {
                Ok(Next::Nothing) => return Ok(progress),
                Ok(Next::Send(stream, part)) => self.give(stream, part, false)?,
                Ok(Next::Delivered(delivered)) => {
                    // A disk that was full is not any more.
                    self.retry = Retry::default();
                    progress.has_worked = true;
                    progress.events.push(Event::Delivered(delivered));
                }
                Ok(Next::Lost(lost)) => {
                    progress.has_worked = true;
                    progress.events.push(Event::Lost(lost));
                }
                Err(error) => {
                    self.wait_for_space(now, error)?;
                    progress.events.push(Event::NoSpace);
                    return Ok(progress);
                }
            }
        }
    }

    fn wait_for_space(&mut self, now: Instant, error: SpoolError) -> Result<()> {
        self.retry.after(now, None, &error.to_string());
        match error.is_no_space() {
            true => Ok(()),
            false => Err(error.into()),
        }
    }

    fn give(&mut self, stream: Arc<str>, part: Part, is_question: bool) -> Result<()> {
        self.courier.give(stream.clone(), part)?;
        self.errand = Some(Errand {
            stream,
            is_question,
        });
        Ok(())
    }

    /// What an answer means; whether nothing else is to be sent now.
    fn settle(&mut self, now: Instant, outcome: Outcome, progress: &mut Progress) -> Result<bool> {
        let errand = self.errand.take();
        let is_question = errand.as_ref().is_some_and(|errand| errand.is_question);
        if !is_question {
            self.spool.settle(&outcome);
        }
        match outcome {
            Outcome::Taken { .. } | Outcome::Refused { .. } => {
                // Who refuses records for what they are has looked at the stream before.
                self.taken = errand.map(|errand| (errand.stream, now));
                if self.retry.failing.is_some() {
                    progress.events.push(Event::Recovered);
                }
                self.retry = Retry::default();
                progress.has_worked = true;
                Ok(false)
            }
            Outcome::Later { after, reason } => {
                if self.retry.failing.is_none() {
                    let reason = reason.clone();
                    progress.events.push(Event::Failing { reason });
                }
                self.retry.after(now, after, &reason);
                Ok(false)
            }
            Outcome::Stopped {
                reason,
                is_not_allowed,
                is_of_stream,
            } => {
                let refused = errand.filter(|_| is_of_stream && self.puts_aside);
                if let Some(errand) = refused
                    && self.is_refused_alone(now, &errand, &reason, progress)?
                {
                    return Ok(false);
                }
                self.retry.after(now, Some(RETRY_MAX), &reason);
                progress.events.push(Event::Stopped {
                    reason,
                    is_not_allowed,
                });
                Ok(true)
            }
        }
    }

    /// Puts the part of a refused stream aside if another stream is taken, or asks; `false`: as far
    /// as is known, everything is refused.
    fn is_refused_alone(
        &mut self,
        now: Instant,
        errand: &Errand,
        reason: &str,
        progress: &mut Progress,
    ) -> Result<bool> {
        if errand.is_question {
            return Ok(false);
        }
        // If it was taken last itself, and is taken no more, the others may not be either.
        self.taken.take_if(|(taken, at)| {
            *taken == errand.stream || now.saturating_duration_since(*at) >= TAKEN_COUNTS
        });
        if self.taken.is_some() {
            let records = self.spool.reject(reason);
            progress.has_worked = true;
            progress.events.push(Event::PutAside {
                stream: errand.stream.clone(),
                records,
                reason: reason.to_string(),
            });
            return Ok(true);
        }
        let Some((stream, part)) = self.spool.of_another_stream(&errand.stream)? else {
            return Ok(false);
        };
        self.give(stream, part, true)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeMap, sync::Mutex};
    use taffrail_engine::{
        pipeline::{Arrival, Pipeline, PipelineConfig, Side},
        spool::{Bodies, SpoolFolder},
    };
    use taffrail_ingest::decode::lines;
    use taffrail_model::{stream::StreamCatalogue, tenant::DEFAULT_TENANT, time::Timestamp};

    /// A server that takes some streams, and of some of these no records; each key once.
    #[derive(Clone, Default)]
    struct FakeServer(Arc<Mutex<State>>);

    #[derive(Default)]
    struct State {
        taken: Vec<&'static str>,
        unfit: Vec<&'static str>,
        keys: BTreeMap<String, String>,
        requests: usize,
    }

    /// Far more requests than any scene needs.
    const MANY_REQUESTS: usize = 100;

    impl Sender for FakeServer {
        fn send(&mut self, stream: &str, part: &Part) -> Outcome {
            let mut state = self.0.lock().unwrap();
            state.requests += 1;
            assert!(state.requests < MANY_REQUESTS, "asked for ever");
            if !state.taken.contains(&stream) {
                return Outcome::Stopped {
                    reason: format!("403 {stream}"),
                    is_not_allowed: true,
                    is_of_stream: true,
                };
            }
            if state.unfit.contains(&stream) {
                let reason = format!("422 {stream}");
                return Outcome::Refused { reason };
            }
            state.keys.insert(part.key.clone(), stream.to_string());
            Outcome::Taken {
                accepted: part.records,
                rejected: Vec::new(),
            }
        }
    }

    #[test]
    fn waits_double_and_obey_the_server() {
        let now = Instant::now();
        let mut retry = Retry::default();
        let mut waits = Vec::new();
        for _ in 0..12 {
            retry.after(now, None, "x");
            waits.push(retry.at.unwrap() - now);
        }
        assert_eq!(waits[..3], [200, 400, 800].map(Duration::from_millis));
        assert_eq!(waits[11], RETRY_MAX);
        let mut retry = Retry::default();
        retry.after(now, Some(Duration::from_secs(7)), "x");
        assert_eq!(retry.at, Some(now + Duration::from_secs(7)));
    }

    /// A batch with a record for each of these streams.
    fn batch(streams: &[&str]) -> Bodies {
        let config = PipelineConfig {
            side: Side::Shipper,
            ..PipelineConfig::default()
        };
        let pipeline = Pipeline::new(config).unwrap();
        let catalogue = StreamCatalogue::built_in();
        let mut bodies = Bodies::default();
        for name in streams {
            let stream = catalogue.by_name(name).unwrap();
            let arrival = Arrival {
                tenant: DEFAULT_TENANT,
                stream,
                received: Timestamp(1_767_540_645_000_000_000),
                catalogue: &catalogue,
                may_write: &|_| true,
            };
            let raw = lines::texts(std::iter::once(name.as_bytes()));
            bodies.push_to(&stream.name, &pipeline.process(raw, &arrival));
        }
        assert_eq!(bodies.records(), streams.len() as u64);
        bodies
    }

    struct Scene {
        _folder: tempfile::TempDir,
        server: FakeServer,
        delivery: Delivery,
        now: Instant,
        /// Records that were put aside, by stream.
        aside: BTreeMap<String, u32>,
        stops: usize,
        /// Of all deliveries: records that the server has, and those it refused one by one.
        delivered: (u64, u64),
    }

    impl Scene {
        fn new(taken: &[&'static str]) -> Scene {
            let folder = tempfile::tempdir().unwrap();
            let (path, key) = (folder.path().join("spools"), folder.path().join("key"));
            let (spools, _) = SpoolFolder::open(&path, Some(&key), 1 << 20, true).unwrap();
            let spool = spools.claim().unwrap().0.spool;
            let server = FakeServer::default();
            server.0.lock().unwrap().taken = taken.to_vec();
            let delivery = Delivery::start(spool, Box::new(server.clone())).unwrap();
            Scene {
                _folder: folder,
                server,
                delivery: delivery.putting_streams_aside(),
                now: Instant::now(),
                aside: BTreeMap::new(),
                stops: 0,
                delivered: (0, 0),
            }
        }

        fn keep(&mut self, streams: &[&str]) {
            let spool = self.delivery.spool_mut();
            spool.append("instance.app", &batch(streams)).unwrap();
        }

        /// Sends until nothing is left or everything waits.
        fn send(&mut self) {
            self.send_after(2 * RETRY_MAX);
        }

        fn send_after(&mut self, pause: Duration) {
            self.now += pause;
            let patience = Duration::from_secs(60);
            let progress = self.delivery.proceed(self.now, patience).unwrap();
            for event in progress.events {
                match event {
                    Event::PutAside {
                        stream,
                        records,
                        reason,
                    } => {
                        assert_eq!(reason, format!("403 {stream}"));
                        *self.aside.entry(stream.to_string()).or_default() += records;
                    }
                    Event::Stopped { .. } => self.stops += 1,
                    Event::Recovered => {}
                    Event::Delivered(delivered) => {
                        self.delivered.0 += delivered.accepted;
                        self.delivered.1 += delivered.rejected;
                    }
                    other => panic!("{other:?}"),
                }
            }
        }

        fn stored(&self, stream: &str) -> usize {
            let state = self.server.0.lock().unwrap();
            state.keys.values().filter(|of| **of == stream).count()
        }
    }

    #[test]
    fn a_refused_stream_is_put_aside_and_the_others_go_on() {
        let mut scene = Scene::new(&["instance.app"]);
        // Refused before anything is known, alone in its batch; then in others, and last.
        scene.keep(&["system.pm2"]);
        scene.keep(&["system.pm2", "instance.app"]);
        scene.keep(&["instance.app", "system.pm2"]);
        scene.keep(&["system.pm2"]);
        scene.send();
        assert_eq!(scene.delivery.spool().pending(), 0);
        assert_eq!(scene.aside, BTreeMap::from([("system.pm2".into(), 4)]));
        assert_eq!((scene.stops, scene.delivered), (0, (2, 0)));
        assert_eq!(scene.stored("instance.app"), 2);
        // They are kept with the reason.
        let kept = scene.delivery.spool().rejected().unwrap();
        let kept = String::from_utf8(kept).unwrap();
        assert_eq!(kept.matches("403 system.pm2").count(), 4, "{kept}");
    }

    #[test]
    fn a_credential_that_may_write_nothing_loses_nothing() {
        let mut scene = Scene::new(&[]);
        scene.keep(&["system.pm2", "instance.app"]);
        scene.keep(&["instance.app"]);
        scene.send();
        scene.send();
        assert_eq!(scene.delivery.spool().pending(), 2);
        assert_eq!((scene.stops, scene.aside.len()), (2, 0));
        let taken = vec!["system.pm2", "instance.app"];
        scene.server.0.lock().unwrap().taken = taken;
        scene.send();
        assert_eq!(scene.delivery.spool().pending(), 0);
        assert_eq!((scene.stops, scene.delivered), (2, (3, 0)));
    }

    #[test]
    fn a_stream_waits_as_long_as_no_other_is_known() {
        let mut scene = Scene::new(&["instance.app"]);
        scene.keep(&["system.pm2"]);
        scene.send();
        assert_eq!((scene.stops, scene.delivery.spool().pending()), (1, 1));
        scene.keep(&["instance.app"]);
        scene.send();
        assert_eq!(scene.aside, BTreeMap::from([("system.pm2".into(), 1)]));
        assert_eq!(scene.stored("instance.app"), 1);
    }

    #[test]
    fn what_was_taken_and_is_refused_now_waits() {
        let mut scene = Scene::new(&["instance.app"]);
        scene.keep(&["instance.app"]);
        scene.send();
        scene.server.0.lock().unwrap().taken.clear();
        scene.keep(&["instance.app", "system.pm2"]);
        scene.send();
        assert_eq!((scene.stops, scene.delivery.spool().pending()), (1, 1));
        assert!(scene.aside.is_empty());
    }

    #[test]
    fn that_a_stream_was_taken_counts_for_a_while() {
        let mut scene = Scene::new(&["instance.app"]);
        scene.keep(&["instance.app"]);
        scene.send();
        let short = Duration::from_millis(1);
        scene.keep(&["system.pm2"]);
        scene.send_after(TAKEN_COUNTS - short);
        assert_eq!(scene.aside, BTreeMap::from([("system.pm2".into(), 1)]));
        // Too long ago, and nothing to ask with: it waits.
        scene.keep(&["system.pm2"]);
        scene.send_after(short);
        assert_eq!((scene.stops, scene.delivery.spool().pending()), (1, 1));
        assert_eq!(scene.aside, BTreeMap::from([("system.pm2".into(), 1)]));
        // What is there to ask with is refused as well: both wait.
        scene.server.0.lock().unwrap().taken.clear();
        scene.keep(&["instance.app"]);
        scene.send();
        assert_eq!((scene.stops, scene.delivery.spool().pending()), (2, 2));
        scene.server.0.lock().unwrap().taken = vec!["instance.app"];
        scene.send();
        assert_eq!(scene.aside, BTreeMap::from([("system.pm2".into(), 2)]));
        assert_eq!((scene.stops, scene.delivered), (2, (2, 0)));
        assert_eq!(scene.delivery.spool().pending(), 0);
    }

    #[test]
    fn a_stream_whose_records_are_unfit_is_open() {
        let mut scene = Scene::new(&["instance.app"]);
        scene.server.0.lock().unwrap().unfit = vec!["instance.app"];
        scene.keep(&["system.pm2", "instance.app"]);
        scene.send();
        assert_eq!(scene.aside, BTreeMap::from([("system.pm2".into(), 1)]));
        assert_eq!((scene.stops, scene.delivery.spool().pending()), (0, 0));
        let kept = String::from_utf8(scene.delivery.spool().rejected().unwrap()).unwrap();
        assert_eq!(kept.matches("422 instance.app").count(), 1, "{kept}");
    }
}
