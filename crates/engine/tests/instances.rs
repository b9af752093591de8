//! Instances through the façade: who owns a record, who may write one, and how long the records of
//! a deleted instance can be read.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod records;

use records::batch;
use std::{collections::BTreeSet, sync::Arc};
use taffrail_engine::{
    Engine,
    ingest::{IngestAnswer, IngestError},
    instances::{InstanceFilter, NewInstanceKey},
    live::LiveEvent,
    meta::{InstanceChange, Meta, MetaError, NewAccount, NewInstance},
    options::EngineOptions,
    query::{AsOf, Order, Row},
    read::{PageQuestion, Question},
};
use taffrail_model::{
    access::{InstanceRefusal, Principal, Role, Scope},
    instance::{Instance, InstanceStatus},
    tenant::DEFAULT_TENANT,
    time::{NS_PER_DAY, NS_PER_S, Timestamp},
};
use taffrail_testkit::clock::SimulatedClock;

const HOUR_NS: i64 = 3_600 * NS_PER_S;

struct Bench {
    engine: Engine,
    clock: Arc<SimulatedClock>,
    directory: tempfile::TempDir,
}

impl Bench {
    /// At noon of a day.
    async fn new() -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let noon = Timestamp(20_000 * NS_PER_DAY + NS_PER_DAY / 2);
        let clock = Arc::new(SimulatedClock::new(noon));
        let engine = open(&directory, &clock).await;
        Bench {
            engine,
            clock,
            directory,
        }
    }

    async fn reopen(&mut self) {
        self.engine.close().await.unwrap();
        // The directory stays locked until the last handle is gone.
        let placeholder = tempfile::tempdir().unwrap();
        self.engine = open(&placeholder, &self.clock).await;
        self.engine = open(&self.directory, &self.clock).await;
    }

    async fn make(&self, id: &str, user_id: &str) -> Arc<Instance> {
        let new = NewInstance {
            tenant: DEFAULT_TENANT,
            id: Some(id.into()),
            user_id: user_id.into(),
            service: Some("figma".into()),
            status: InstanceStatus::Active,
        };
        self.engine.create_instance(new).await.unwrap()
    }

    async fn ingest(
        &self,
        principal: &Principal,
        stream: &str,
        records: &[&[(&str, &str)]],
    ) -> Result<IngestAnswer, IngestError> {
        let prepared = self.engine.prepare(principal, stream, batch(records))?;
        self.engine.commit(principal, prepared, None).await
    }

    fn rows(&self, principal: &Principal, question: &Question) -> Vec<Row> {
        let page = PageQuestion {
            order: Order::Arrival,
            limit: 1_000,
            offset: 0,
            cursor: None,
            fields: None,
            is_counted: true,
        };
        let page = self.engine.search(principal, question, &page).unwrap();
        assert_eq!(page.value.total, Some(page.value.rows.len() as u64));
        page.value.rows
    }

    /// `message: instance_id, user_id, source` of each record of instances.
    fn shown(&self, principal: &Principal) -> Vec<String> {
        let question = Question {
            streams: vec!["instance.*".into()],
            ..Question::default()
        };
        let text = |row: &Row, name: &str| row.get(name).map_or("-".into(), |v| v.text.clone());
        let rows = self.rows(principal, &question);
        rows.iter()
            .map(|row| {
                let [message, instance, user, source] =
                    ["message", "instance_id", "user_id", "source"].map(|name| text(row, name));
                format!("{message}: {instance}, {user}, {source}")
            })
            .collect()
    }
}

async fn open(directory: &tempfile::TempDir, clock: &Arc<SimulatedClock>) -> Engine {
    let options = EngineOptions {
        key_file: Some(directory.path().join("key")),
        ..EngineOptions::new(directory.path().join("data"))
    };
    Engine::open_with_clock(options, clock.clone())
        .await
        .unwrap()
}

fn admin() -> Principal {
    Principal::product(DEFAULT_TENANT)
}

fn user(own: &str) -> Principal {
    Principal {
        role: Role::User,
        own_user_ids: Arc::new(BTreeSet::from([own.to_owned()])),
        ..admin()
    }
}

fn bound(principal: &Principal, instance: &str) -> Principal {
    Principal {
        scope: Scope::Instance {
            tenant: DEFAULT_TENANT,
            instance: instance.into(),
        },
        ..principal.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credential_says_whose_a_record_is() {
    let bench = Bench::new().await;
    bench.make("mine", "u1").await;
    bench.make("yours", "u2").await;
    let key = bound(&user("u1"), "mine");
    bench
        .ingest(
            &key,
            "instance.app",
            &[
                &[("message", "bare")],
                &[
                    ("message", "lies"),
                    ("instance_id", "yours"),
                    ("userId", "u2"),
                    ("service", "slack"),
                ],
                &[
                    ("message", "document"),
                    ("metadata.instanceId", "yours"),
                    ("metadata.service", "github"),
                ],
                &[
                    ("message", "wrapped"),
                    ("source", "npx"),
                    ("metadata.process_name", "npx"),
                ],
                &[
                    ("message", "named"),
                    ("source", "slack"),
                    ("metadata.process_name", "npx"),
                ],
            ],
        )
        .await
        .unwrap();
    assert_eq!(
        bench.shown(&user("u1")),
        [
            "bare: mine, u1, figma",
            "lies: mine, u1, slack",
            "document: mine, u1, github",
            "wrapped: mine, u1, figma",
            "named: mine, u1, slack",
        ]
    );
    assert_eq!(bench.shown(&user("u2")), [""; 0]);
    let lies = Question {
        query: "lies".into(),
        ..Question::default()
    };
    let row = &bench.rows(&admin(), &lies)[0];
    for (label, said) in [("labels.instance_id", "yours"), ("labels.user_id", "u2")] {
        assert_eq!(row.get(label).unwrap().text, said);
    }
    // What its supervisor notes is of the instance, too, and not for users to read.
    let noted = [("message", "exited"), ("user_id", "u2")];
    bench.ingest(&key, "system.pm2", &[&noted]).await.unwrap();
    let noted = Question {
        streams: vec!["system.pm2".into()],
        ..Question::default()
    };
    let row = &bench.rows(&admin(), &noted)[0];
    assert_eq!(row.get("instance_id").unwrap().text, "mine");
    assert_eq!(row.get("user_id").unwrap().text, "u1");
    for stream in ["app.backend", "system.audit", "security"] {
        let refused = bench.ingest(&key, stream, &[&[("message", "m")]]).await;
        assert!(
            matches!(refused, Err(IngestError::NotAllowed(_))),
            "{stream}"
        );
    }
    // It reads nothing, not even its own.
    assert_eq!(
        bench
            .engine
            .count(&key, &Question::default())
            .unwrap()
            .value,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_writes_for_own_instances_record_by_record() {
    let bench = Bench::new().await;
    bench.make("mine", "u1").await;
    bench.make("yours", "u2").await;
    let off = bench.make("off", "u1").await;
    let change = InstanceChange {
        status: Some(InstanceStatus::Inactive),
        service: None,
    };
    bench
        .engine
        .change_instance(off.number, change)
        .await
        .unwrap();
    let records: &[&[(&str, &str)]] = &[
        &[("message", "a"), ("instanceId", "mine"), ("user_id", "u2")],
        &[("message", "b"), ("instance_id", "yours")],
        &[("message", "c"), ("instance_id", "none")],
        &[("message", "d")],
        &[("message", "e"), ("instance_id", "off")],
    ];
    let answer = bench
        .ingest(&user("u1"), "instance.error", records)
        .await
        .unwrap();
    let rejected: Vec<_> = answer
        .rejected
        .iter()
        .map(|reject| format!("{} {} {}", reject.index, reject.kind.name(), reject.detail))
        .collect();
    assert_eq!(
        rejected,
        [
            "1 not_allowed \"yours\" is no instance of this credential",
            "2 not_allowed \"none\" is no instance of this credential",
            "3 not_allowed instance_id is missing: records of this stream belong to an instance",
            "4 not_allowed instance \"off\" is inactive: it takes no records",
        ]
    );
    assert_eq!(bench.shown(&admin()), ["a: mine, u1, figma"]);
    // An admin's platform may write for instances that nobody has made here.
    let answer = bench
        .ingest(&admin(), "instance.app", records)
        .await
        .unwrap();
    let rejected: Vec<_> = answer.rejected.iter().map(|reject| reject.index).collect();
    assert_eq!(rejected, [4]);
    assert_eq!(
        bench.shown(&admin())[1..],
        [
            "a: mine, u1, figma",
            "b: yours, u2, figma",
            "c: none, -, -",
            "d: -, -, -",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_not_active_refuses_its_key() {
    let bench = Bench::new().await;
    let mine = bench.make("mine", "u1").await;
    let key = bound(&user("u1"), "mine");
    let line: &[&[(&str, &str)]] = &[&[("message", "m")]];
    let refusal = async || match bench.ingest(&key, "instance.app", line).await {
        Ok(_) => "taken".to_owned(),
        Err(IngestError::Instance(InstanceRefusal::TakesNone { state, .. })) => state.to_owned(),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(refusal().await, "taken");
    for status in InstanceStatus::ALL.into_iter().rev() {
        let change = InstanceChange {
            status: Some(status),
            service: None,
        };
        bench
            .engine
            .change_instance(mine.number, change)
            .await
            .unwrap();
        let expected = match status {
            InstanceStatus::Active => "taken",
            other => other.name(),
        };
        assert_eq!(refusal().await, expected);
    }
    bench.engine.delete_instance(mine.number).await.unwrap();
    assert_eq!(refusal().await, "deleted");
    // Nor once the account of the key owns it no more.
    let other = bound(&user("u2"), "mine");
    let refused = bench.ingest(&other, "instance.app", line).await;
    let is_unknown = matches!(
        refused,
        Err(IngestError::Instance(InstanceRefusal::Unknown(_)))
    );
    assert!(is_unknown);
}

/// What every kind of read shows of the records that `question` asks for: how many, in each.
async fn counts(bench: &Bench, principal: &Principal, question: &Question) -> Vec<u64> {
    let engine = &bench.engine;
    let mut tail = engine
        .live_tail(principal, question.clone(), 100, None)
        .unwrap();
    let backlog = match tail.next().await.unwrap() {
        LiveEvent::Records(rows) => rows.len() as u64,
        other => panic!("{other:?}"),
    };
    let histogram = engine.histogram(principal, question, HOUR_NS, None);
    let series = histogram.unwrap().value.series;
    let points = series.iter().flat_map(|series| &series.points);
    let facets = engine.facets(principal, question, vec!["message".into()], 10);
    let values = &facets.unwrap().value[0].values;
    let extent = engine.time_extent(principal, question).unwrap().value;
    vec![
        bench.rows(principal, question).len() as u64,
        engine.count(principal, question).unwrap().value,
        points.map(|(_, count)| *count).sum(),
        values.iter().map(|value| value.count).sum(),
        backlog,
        u64::from(extent.is_some()),
        u64::from(!engine.fields(principal, question).unwrap().value.is_empty()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_deleted_instance_are_hidden_from_everybody_after_seven_days() {
    let mut bench = Bench::new().await;
    let mine = bench.make("mine", "u1").await;
    bench.make("other", "u1").await;
    let line: &[&[(&str, &str)]] = &[&[("message", "m"), ("level", "error")]];
    for (instance, stream) in [
        ("mine", "instance.app"),
        ("mine", "instance.error"),
        ("other", "instance.app"),
    ] {
        let key = bound(&user("u1"), instance);
        bench.ingest(&key, stream, line).await.unwrap();
    }
    let of_mine = Question {
        query: "instance_id:=mine".into(),
        ..Question::default()
    };
    let all = Question::default();
    let id = bench.rows(&admin(), &of_mine)[0].id;
    let is_found = |bench: &Bench, principal: &Principal| {
        let found = bench.engine.context(principal, id, 5, 5, false).unwrap();
        found.context.is_some()
    };
    let before = AsOf::newest(bench.engine.now());
    bench.clock.advance_ns(HOUR_NS);
    bench.engine.delete_instance(mine.number).await.unwrap();
    bench.clock.advance_ns(7 * NS_PER_DAY - HOUR_NS);
    for principal in [admin(), user("u1")] {
        assert_eq!(
            counts(&bench, &principal, &of_mine).await,
            [2, 2, 2, 2, 2, 1, 1]
        );
        assert!(is_found(&bench, &principal));
        assert!(bench.engine.instance(&principal, "mine").is_some());
    }
    bench.clock.advance_ns(HOUR_NS - 1);
    assert_eq!(bench.rows(&admin(), &of_mine).len(), 2);
    bench.clock.advance_ns(1);
    for restarted in [false, true] {
        if restarted {
            bench.reopen().await;
        }
        for principal in [admin(), user("u1")] {
            assert_eq!(counts(&bench, &principal, &of_mine).await, [0; 7]);
            // Beside them everything is as it was.
            assert_eq!(
                counts(&bench, &principal, &all).await,
                [1, 1, 1, 1, 1, 1, 1]
            );
            assert!(!is_found(&bench, &principal));
            assert!(bench.engine.instance(&principal, "mine").is_none());
            let filter = InstanceFilter {
                with_deleted: true,
                ..InstanceFilter::default()
            };
            let left = bench.engine.instances(&principal, &filter, 0, 10);
            assert_eq!(left.len(), 1);
        }
        // An answer about an earlier moment does not bring them back.
        let earlier = Question {
            as_of: Some(before),
            ..of_mine.clone()
        };
        assert_eq!(bench.rows(&admin(), &earlier).len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_tail_stops_showing_what_is_gone() {
    let bench = Bench::new().await;
    let mine = bench.make("mine", "u1").await;
    let mut tail = bench
        .engine
        .live_tail(&user("u1"), Question::default(), 0, None)
        .unwrap();
    let key = bound(&user("u1"), "mine");
    let line: &[&[(&str, &str)]] = &[&[("message", "m")]];
    bench.ingest(&key, "instance.app", line).await.unwrap();
    bench.engine.delete_instance(mine.number).await.unwrap();
    bench.clock.advance_ns(7 * NS_PER_DAY);
    bench.make("other", "u1").await;
    let other = bound(&user("u1"), "other");
    bench.ingest(&other, "instance.app", line).await.unwrap();
    let LiveEvent::Records(rows) = tail.next().await.unwrap() else {
        panic!("no records");
    };
    let ids: Vec<_> = rows
        .iter()
        .map(|row| row.get("instance_id").unwrap().text.as_str())
        .collect();
    assert_eq!(ids, ["other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_free_when_no_record_of_it_can_be_there() {
    let mut bench = Bench::new().await;
    let mine = bench.make("mine", "u1").await;
    let line: &[&[(&str, &str)]] = &[&[("message", "old")]];
    let key = bound(&user("u1"), "mine");
    bench.ingest(&key, "instance.app", line).await.unwrap();
    bench.engine.delete_instance(mine.number).await.unwrap();
    let again = NewInstance {
        tenant: DEFAULT_TENANT,
        id: Some("mine".into()),
        user_id: "u2".into(),
        service: None,
        status: InstanceStatus::Active,
    };
    for days in [7, 23] {
        bench.clock.advance_days(days);
        assert_eq!(bench.engine.purge_instances().await.unwrap(), 0);
        let taken = bench.engine.create_instance(again.clone()).await;
        assert!(matches!(taken, Err(MetaError::Exists { .. })), "{days}");
    }
    // The 31st day: that of the record has left its stream.
    bench.clock.advance_days(1);
    assert_eq!(bench.engine.purge_instances().await.unwrap(), 1);
    let made = bench.engine.create_instance(again).await.unwrap();
    assert_ne!(made.number, mine.number);
    let key = bound(&user("u2"), "mine");
    let line: &[&[(&str, &str)]] = &[&[("message", "new")]];
    bench.ingest(&key, "instance.app", line).await.unwrap();
    assert_eq!(bench.shown(&admin()), ["new: mine, u2, -"]);
    bench.reopen().await;
    assert_eq!(bench.shown(&admin()), ["new: mine, u2, -"]);
    assert_eq!(bench.shown(&user("u1")), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_their_owners_and_their_admins() {
    let bench = Bench::new().await;
    for (id, user_id) in [("a", "u1"), ("b", "u2"), ("c", "u1"), ("d", "u1")] {
        bench.make(id, user_id).await;
    }
    let listed = |principal: &Principal, filter: &InstanceFilter, after, limit| {
        let found = bench.engine.instances(principal, filter, after, limit);
        let ids: Vec<_> = found
            .iter()
            .map(|instance| instance.id.to_string())
            .collect();
        ids.join(" ")
    };
    let all = InstanceFilter::default();
    assert_eq!(listed(&admin(), &all, 0, 10), "a b c d");
    assert_eq!(listed(&user("u1"), &all, 0, 10), "a c d");
    assert_eq!(listed(&user("u1"), &all, 1, 1), "c");
    assert_eq!(listed(&user("u3"), &all, 0, 10), "");
    let of_owner = InstanceFilter {
        user_id: Some("u2".into()),
        ..all.clone()
    };
    assert_eq!(listed(&admin(), &of_owner, 0, 10), "b");
    assert_eq!(listed(&user("u1"), &of_owner, 0, 10), "");
    assert!(bench.engine.instance(&user("u1"), "b").is_none());
    assert!(bench.engine.instance(&user("u2"), "b").is_some());
    let deleted = bench.engine.instance(&admin(), "a").unwrap().number;
    bench.engine.delete_instance(deleted).await.unwrap();
    assert_eq!(listed(&user("u1"), &all, 0, 10), "c d");
    let with_deleted = InstanceFilter {
        with_deleted: true,
        ..all
    };
    assert_eq!(listed(&user("u1"), &with_deleted, 0, 10), "a c d");
}

// One thread: what is begun goes on only when the test waits. Nothing else asks for a turn, so a
// change begins when it is asked for: no instance is so old that the hourly purge has one to remove.
#[tokio::test]
async fn a_change_that_nobody_waits_for_is_in_the_directory_too() {
    let bench = Bench::new().await;
    let mine = bench.make("mine", "u1").await;
    // The client goes as soon as the deletion is begun.
    let mut deletion = Box::pin(bench.engine.delete_instance(mine.number));
    let first = futures_poll_once(deletion.as_mut()).await;
    assert!(first.is_none());
    drop(deletion);
    // The next change waits for that one.
    bench.make("other", "u1").await;
    let found = bench.engine.instance(&admin(), "mine").unwrap();
    assert_eq!(found.deleted, Some(bench.engine.now()));
}

#[tokio::test]
async fn a_closed_engine_leaves_its_directory_to_the_next() {
    let bench = Bench::new().await;
    let Bench {
        mut engine,
        clock,
        directory,
    } = bench;
    for round in 0..10 {
        let new = NewInstance {
            tenant: DEFAULT_TENANT,
            id: Some(format!("i{round}")),
            user_id: "u1".into(),
            service: None,
            status: InstanceStatus::Active,
        };
        // Tasks of the engine have just begun, and a change that nobody waits for.
        let mut change = Box::pin(engine.create_instance(new));
        assert!(futures_poll_once(change.as_mut()).await.is_none());
        drop(change);
        engine.close().await.unwrap();
        drop(engine);
        engine = open(&directory, &clock).await;
        let name = format!("i{round}");
        assert!(engine.instance(&admin(), &name).is_some(), "{name}");
    }
}

/// Polls a future once.
async fn futures_poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_an_instance_end_with_it() {
    let bench = Bench::new().await;
    let meta = bench.engine.meta();
    let account = meta
        .create_account(NewAccount {
            name: "jane".into(),
            password: "correct horse battery".into(),
            role: Role::User,
            tenants: vec![DEFAULT_TENANT],
            own_user_ids: BTreeSet::from(["u1".to_owned()]),
        })
        .await
        .unwrap();
    let mine = bench.make("mine", "u1").await;
    assert!(account.owns(&mine));
    assert!(!account.owns(&*bench.make("yours", "u2").await));
    let new = NewInstanceKey {
        account: account.id,
        name: "run".into(),
        expires: None,
    };
    let made = bench.engine.create_instance_key(&mine, new).await.unwrap();
    let keys = bench.engine.instance_keys(&mine, 0, 10).await.unwrap();
    assert_eq!(keys, std::slice::from_ref(&made.key));
    let principal = meta.find_key(&made.secret).await.unwrap().unwrap();
    let line: &[&[(&str, &str)]] = &[&[("message", "m")]];
    bench
        .ingest(&principal, "instance.app", line)
        .await
        .unwrap();
    assert_eq!(bench.shown(&user("u1")), ["m: mine, u1, figma"]);
    bench.engine.delete_instance(mine.number).await.unwrap();
    assert!(meta.find_key(&made.secret).await.unwrap().is_none());
}
