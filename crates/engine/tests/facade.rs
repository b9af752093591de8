//! The façade on a real directory: what goes in is found, followed, kept and isolated.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod records;

use records::batch;
use std::{collections::BTreeSet, sync::Arc};
use taffrail_engine::{
    Engine, MaintenanceError,
    events::OwnEvent,
    ingest::{IdempotencyKey, IngestAnswer, IngestError, Prepared},
    live::LiveEvent,
    options::{CustomStream, EngineOptions, OpenError},
    query::Order,
    read::{PageQuestion, Question, ReadError},
};
use taffrail_model::{
    access::{Principal, Role, Scope},
    batch::{RawBatch, Reject, RejectKind},
    level::Level,
    limits::{PARTITIONS_PER_BATCH_MAX, REJECTS_PER_BATCH_MAX},
    stream::AccessClass,
    tenant::{DEFAULT_TENANT, TenantNumber},
    time::{NS_PER_DAY, Timestamp},
};

fn options(directory: &tempfile::TempDir) -> EngineOptions {
    EngineOptions {
        key_file: Some(directory.path().join("key")),
        streams: vec![CustomStream {
            name: "machine".into(),
            retention_days: Some(3_650),
            access: AccessClass::Restricted,
        }],
        ..EngineOptions::new(directory.path().join("data"))
    }
}

async fn ingest(
    engine: &Engine,
    principal: &Principal,
    stream: &str,
    raw: RawBatch,
    key: Option<&str>,
) -> Result<IngestAnswer, IngestError> {
    let prepared = engine.prepare(principal, stream, raw)?;
    let key = key.map(|key| IdempotencyKey {
        key: key.into(),
        body_hash: [7; 32],
    });
    engine.commit(principal, prepared, key).await
}

fn messages(engine: &Engine, principal: &Principal, question: &Question) -> Vec<String> {
    let page = PageQuestion {
        order: Order::Arrival,
        limit: 1_000,
        offset: 0,
        cursor: None,
        fields: None,
        is_counted: true,
    };
    let answer = engine.search(principal, question, &page).unwrap();
    assert!(!answer.completeness.partial);
    assert_eq!(answer.value.total, Some(answer.value.rows.len() as u64));
    let text = |row: &taffrail_engine::query::Row| row.get("message").unwrap().text.clone();
    answer.value.rows.iter().map(text).collect()
}

fn in_streams(streams: &[&str]) -> Question {
    Question {
        streams: streams.iter().map(ToString::to_string).collect(),
        ..Question::default()
    }
}

fn admin() -> Principal {
    Principal::product(DEFAULT_TENANT)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_found_at_once_and_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(options(&directory)).await.unwrap();
    assert_eq!(
        engine.new_key_file(),
        Some(directory.path().join("key").as_path())
    );
    let records = batch(&[
        &[("msg", "one")],
        &[
            ("message", "two"),
            ("level", "ERROR"),
            ("password", "hunter2"),
        ],
    ]);
    let answer = ingest(&engine, &admin(), "machine", records, None)
        .await
        .unwrap();
    assert_eq!((answer.accepted, answer.rejected.len()), (2, 0));
    assert_eq!(
        messages(&engine, &admin(), &Question::default()),
        ["one", "two"]
    );
    let errors = Question {
        query: "level:error password:hunter2 OR level:error".into(),
        ..Question::default()
    };
    assert_eq!(messages(&engine, &admin(), &errors), ["two"]);
    let secret = Question {
        query: "hunter2".into(),
        ..Question::default()
    };
    assert_eq!(messages(&engine, &admin(), &secret), Vec::<String>::new());
    engine.close().await.unwrap();
    drop(engine);

    let engine = Engine::open(options(&directory)).await.unwrap();
    assert_eq!(engine.new_key_file(), None);
    assert_eq!(
        messages(&engine, &admin(), &Question::default()),
        ["one", "two"]
    );
    assert!(matches!(
        Engine::open(options(&directory)).await,
        Err(OpenError::Lock(_))
    ));
}

/// The pieces of a body, prepared one by one and put together.
fn pieces(engine: &Engine, batches: &[RawBatch]) -> Prepared {
    let received = engine.now();
    let prepare = |raw: &RawBatch| {
        let prepared = engine.prepare_received(&admin(), "machine", raw.clone(), received);
        prepared.unwrap()
    };
    let mut pieces = batches.iter().map(prepare);
    let mut whole = pieces.next().unwrap();
    pieces.for_each(|piece| whole.append(piece));
    whole
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_of_a_body_are_one_request() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(options(&directory)).await.unwrap();
    let undecodable = Reject {
        index: 1,
        kind: RejectKind::InvalidJson,
        detail: "undecodable".into(),
    };
    // Index 1 of the second piece is not in its rows.
    let second = RawBatch {
        indexes: vec![0, 2, 3],
        rejects: vec![undecodable],
        ..batch(&[
            &[("message", "c")],
            &[("message", "-"), ("timestamp", "never")],
            &[("message", "d")],
        ])
    };
    let body = [
        batch(&[&[("message", "a")], &[("message", "b")]]),
        second,
        batch(&[
            &[("message", "e"), ("timestamp", "never")],
            &[("message", "f")],
        ]),
    ];
    let send = async || {
        let prepared = pieces(&engine, &body);
        assert!(prepared.is_within_limits());
        let key = IdempotencyKey {
            key: "k".into(),
            body_hash: [7; 32],
        };
        engine.commit(&admin(), prepared, Some(key)).await.unwrap()
    };
    let answer = send().await;
    assert_eq!(answer.accepted, 5);
    let indexes: Vec<_> = answer.rejected.iter().map(|reject| reject.index).collect();
    assert_eq!(indexes, [3, 4, 6]);
    // One request, one key.
    assert_eq!(send().await, answer);
    assert_eq!(engine.status().store.requests_total, 1);
    let all = ["a", "b", "c", "d", "f"];
    assert_eq!(messages(&engine, &admin(), &Question::default()), all);
    // Received at one time.
    let extent = engine.time_extent(&admin(), &Question::default());
    let extent = extent.unwrap().value.unwrap();
    assert_eq!(extent.start, extent.end);
    engine.close().await.unwrap();
    drop(engine);
    let engine = Engine::open(options(&directory)).await.unwrap();
    assert_eq!(messages(&engine, &admin(), &Question::default()), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_past_a_limit_of_the_whole_are_left_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(options(&directory)).await.unwrap();
    let days = |count: i64, first: i64| {
        let now = engine.now().0;
        let records: Vec<_> = (first..first + count)
            .map(|day| Timestamp(now - day * NS_PER_DAY).to_rfc3339())
            .collect();
        let records: Vec<_> = records
            .iter()
            .map(|time| [("message", "m"), ("timestamp", time.as_str())])
            .collect();
        let records: Vec<&[(&str, &str)]> = records.iter().map(|record| &record[..]).collect();
        batch(&records)
    };
    let max = PARTITIONS_PER_BATCH_MAX as i64;
    let rejects = |count: usize| RawBatch {
        rejects: vec![
            Reject {
                index: 0,
                kind: RejectKind::Empty,
                detail: String::new(),
            };
            count
        ],
        ..RawBatch::default()
    };
    for (body, is_taken) in [
        ([days(max / 2, 0), days(max / 2, max / 2)], true),
        ([days(max / 2, 0), days(max / 2 + 1, max / 2)], false),
        ([days(1, 0), days(max + 1, 0)], false),
        ([rejects(REJECTS_PER_BATCH_MAX - 1), rejects(1)], true),
        ([rejects(REJECTS_PER_BATCH_MAX), rejects(1)], false),
    ] {
        assert_eq!(pieces(&engine, &body).is_within_limits(), is_taken);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_stores_nothing_and_gets_the_first_answer() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(options(&directory)).await.unwrap();
    let records = || {
        batch(&[
            &[("message", "once")],
            &[("timestamp", "never"), ("message", "x")],
        ])
    };
    let first = ingest(&engine, &admin(), "machine", records(), Some("k"))
        .await
        .unwrap();
    assert_eq!((first.accepted, first.rejected.len()), (1, 1));
    // Eight at once: whoever comes second waits for the first.
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let engine = engine.clone();
            let raw = records();
            tokio::spawn(async move { ingest(&engine, &admin(), "machine", raw, Some("k2")).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), first);
    }
    assert_eq!(
        ingest(&engine, &admin(), "machine", records(), Some("k"))
            .await
            .unwrap(),
        first
    );
    assert_eq!(
        messages(&engine, &admin(), &Question::default()),
        ["once", "once"]
    );

    let prepared = engine.prepare(&admin(), "machine", records()).unwrap();
    let other_body = IdempotencyKey {
        key: "k".into(),
        body_hash: [8; 32],
    };
    let reused = engine.commit(&admin(), prepared, Some(other_body)).await;
    assert!(matches!(reused, Err(IngestError::KeyReused)), "{reused:?}");
    let other_sender = Principal {
        credential: "key 2".into(),
        ..admin()
    };
    ingest(&engine, &other_sender, "machine", records(), Some("k"))
        .await
        .unwrap();
    assert_eq!(messages(&engine, &admin(), &Question::default()).len(), 3);
    // What one tenant has, the other tenant of the same credential has not.
    let other_tenant = Principal {
        tenants: vec![TenantNumber(7)],
        ..admin()
    };
    ingest(&engine, &other_tenant, "machine", records(), Some("k"))
        .await
        .unwrap();
    let theirs = messages(&engine, &other_tenant, &Question::default());
    assert_eq!(theirs, ["once"]);
    let long = "k".repeat(256);
    let long = ingest(&engine, &admin(), "machine", records(), Some(&long)).await;
    assert!(matches!(long, Err(IngestError::KeyLength)));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_or_writes_what_is_not_theirs() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(options(&directory)).await.unwrap();
    let records = batch(&[
        &[("message", "mine"), ("user_id", "u1")],
        &[("message", "yours"), ("user_id", "u2")],
        &[("message", "nobody's")],
    ]);
    ingest(&engine, &admin(), "app.backend", records, None)
        .await
        .unwrap();
    ingest(
        &engine,
        &admin(),
        "machine",
        batch(&[&[("message", "root")]]),
        None,
    )
    .await
    .unwrap();
    let user = Principal {
        role: Role::User,
        own_user_ids: Arc::new(BTreeSet::from(["u1".to_owned()])),
        ..admin()
    };
    assert_eq!(messages(&engine, &user, &Question::default()), ["mine"]);
    assert_eq!(engine.count(&user, &Question::default()).unwrap().value, 1);
    let facets = engine
        .facets(&user, &Question::default(), vec!["user_id".into()], 10)
        .unwrap();
    assert_eq!(facets.value[0].values.len(), 1);
    let hidden = messages_error(&engine, &user, &in_streams(&["machine"]));
    let absent = messages_error(&engine, &user, &in_streams(&["no.such"]));
    for error in [hidden, absent] {
        let ReadError::UnknownStream { nearest, .. } = error else {
            panic!("{error:?}")
        };
        assert!(!nearest.contains(&"machine".to_owned()));
    }
    let not_allowed = ingest(
        &engine,
        &user,
        "machine",
        batch(&[&[("message", "x")]]),
        None,
    )
    .await;
    assert!(matches!(not_allowed, Err(IngestError::NotAllowed(_))));
    let reader = Principal {
        scope: Scope::Read {
            streams: vec!["app.*".into()],
        },
        ..admin()
    };
    assert_eq!(messages(&engine, &reader, &Question::default()).len(), 3);
    let stranger = Principal {
        tenants: vec![TenantNumber(2)],
        ..admin()
    };
    assert_eq!(
        engine.count(&stranger, &Question::default()).unwrap().value,
        0
    );
}

fn messages_error(engine: &Engine, principal: &Principal, question: &Question) -> ReadError {
    engine.count(principal, question).unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_sees_each_record_once_in_order_of_arrival() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(options(&directory)).await.unwrap();
    for message in ["a", "b", "c"] {
        ingest(
            &engine,
            &admin(),
            "machine",
            batch(&[&[("message", message)]]),
            None,
        )
        .await
        .unwrap();
    }
    let mut tail = engine
        .live_tail(&admin(), Question::default(), 2, None)
        .unwrap();
    assert_eq!(next_messages(&mut tail).await, ["b", "c"]);
    let writer = {
        let engine = engine.clone();
        tokio::spawn(async move {
            for number in 0..500 {
                let message = format!("{number}");
                let records = batch(&[&[("message", &message)]]);
                ingest(&engine, &admin(), "machine", records, None)
                    .await
                    .unwrap();
            }
        })
    };
    let mut seen = Vec::new();
    while seen.len() < 500 {
        seen.extend(next_messages(&mut tail).await);
    }
    writer.await.unwrap();
    assert_eq!(
        seen,
        (0..500)
            .map(|number| number.to_string())
            .collect::<Vec<_>>()
    );
    // A cursor goes on where another connection ended.
    let cursor = tail.cursor();
    ingest(
        &engine,
        &admin(),
        "machine",
        batch(&[&[("message", "later")]]),
        None,
    )
    .await
    .unwrap();
    let mut resumed = engine
        .live_tail(&admin(), Question::default(), 9, Some(cursor))
        .unwrap();
    assert_eq!(next_messages(&mut resumed).await, ["later"]);
}

async fn next_messages(tail: &mut taffrail_engine::live::LiveTail) -> Vec<String> {
    match tail.next().await.unwrap() {
        LiveEvent::Records(rows) => rows
            .iter()
            .map(|row| row.get("message").unwrap().text.clone())
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_too_far_behind_is_told_how_many_records_it_lost() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(options(&directory)).await.unwrap();
    let question = Question {
        query: "keep".into(),
        ..Question::default()
    };
    let tail = engine.live_tail(&admin(), question, 0, None).unwrap();
    let mut tail = tail.with_lag_positions_max(10);
    for number in 0..40 {
        let message = if number % 2 == 0 {
            format!("keep {number}")
        } else {
            "other".into()
        };
        ingest(
            &engine,
            &admin(),
            "machine",
            batch(&[&[("message", &message)]]),
            None,
        )
        .await
        .unwrap();
    }
    let LiveEvent::Dropped(dropped) = tail.next().await.unwrap() else {
        panic!("nothing dropped")
    };
    let rest = next_messages(&mut tail).await;
    assert_eq!(dropped + rest.len() as u64, 20);
    assert_eq!(
        rest,
        ["keep 30", "keep 32", "keep 34", "keep 36", "keep 38"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn own_events_are_found_when_named_and_committed_before_the_engine_closes() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(options(&directory)).await.unwrap();
    engine.record_own_event(
        OwnEvent::new("security", Level::Warn, "login failed").with("user_id", "eve"),
    );
    engine.close().await.unwrap();
    assert!(matches!(
        engine.close().await,
        Ok(()) | Err(MaintenanceError::Closed)
    ));
    let late = ingest(
        &engine,
        &admin(),
        "machine",
        batch(&[&[("message", "x")]]),
        None,
    )
    .await;
    assert!(matches!(late, Err(IngestError::Commit(_))), "{late:?}");
    assert_eq!(
        messages(&engine, &admin(), &in_streams(&["security"])),
        ["login failed"]
    );
    assert_eq!(
        engine.count(&admin(), &Question::default()).unwrap().value,
        0
    );
    assert_eq!(engine.own_events_lost(), 0);
}
