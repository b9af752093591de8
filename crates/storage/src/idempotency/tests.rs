//! Bounds, fairness between tenants, and what waits.
use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use taffrail_model::{limits::IDEMPOTENCY_KEPT_S, time::NS_PER_S};

const ONE: TenantNumber = TenantNumber(1);
const TWO: TenantNumber = TenantNumber(2);
const THREE: TenantNumber = TenantNumber(3);

fn key_of(tenant: TenantNumber, key: &str) -> RequestKey {
    RequestKey::new(tenant, "s", key)
}

fn record_of(tenant: TenantNumber, key: &str, answer: &str, time_s: i64) -> IdempotencyRecord {
    IdempotencyRecord {
        key: key_of(tenant, key),
        body: [1; 16],
        answer: PackedAnswer::new(answer.as_bytes()),
        time: Timestamp(time_s * NS_PER_S),
    }
}

/// Has an answer of its own, which is too long for its entry.
fn record(key: &str, time_s: i64) -> IdempotencyRecord {
    record_of(ONE, key, &answer(key), time_s)
}

fn answer(key: &str) -> String {
    format!("answer {key}")
}

fn recall_of(table: &Idempotency, tenant: TenantNumber, key: &str, hash: u8, now_s: i64) -> String {
    let now = Timestamp(now_s * NS_PER_S);
    match table.recall(key_of(tenant, key), &[hash; 32], now) {
        Recall::Answer(answer) => String::from_utf8(answer).unwrap(),
        other => format!("{other:?}"),
    }
}

fn recall(table: &Idempotency, key: &str, hash: u8, now_s: i64) -> String {
    recall_of(table, ONE, key, hash, now_s)
}

/// Whether a key is known; nothing is reserved.
fn is_held(table: &Idempotency, tenant: TenantNumber, key: &str) -> bool {
    let keys = table.keys.lock();
    keys.done.get(key_of(tenant, key), Timestamp(0)).is_some()
}

#[test]
fn a_key_is_new_in_flight_and_answered() {
    let table = Idempotency::default();
    assert_eq!(recall(&table, "a", 1, 0), "New");
    assert_eq!(recall(&table, "a", 1, 0), "InFlight");
    assert_eq!(recall(&table, "a", 2, 0), "Conflict");
    table.settle(record("a", 0), Timestamp(0));
    assert_eq!(recall(&table, "a", 1, 1), "answer a");
    assert_eq!(recall(&table, "a", 2, 1), "Conflict");
    assert_eq!(recall(&table, "b", 2, 1), "New");
    table.forget(key_of(ONE, "b"));
    assert_eq!(recall(&table, "b", 3, 1), "New");
    assert_eq!(recall(&table, "a", 1, IDEMPOTENCY_KEPT_S - 1), "answer a");
    assert_eq!(recall(&table, "a", 2, IDEMPOTENCY_KEPT_S), "New");
}

#[test]
fn waiters_are_told_of_success_and_failure() {
    for is_stored in [true, false] {
        let table = Idempotency::default();
        assert_eq!(recall(&table, "a", 1, 0), "New");
        let Recall::InFlight(waiter) = table.recall(key_of(ONE, "a"), &[1; 32], Timestamp(0))
        else {
            panic!("in flight");
        };
        assert!(!waiter.wait(Duration::ZERO));
        let told = Arc::new(AtomicUsize::new(0));
        let count = || {
            let told = told.clone();
            Box::new(move || {
                told.fetch_add(1, Ordering::SeqCst);
            })
        };
        waiter.notify(count());
        if is_stored {
            table.settle(record("a", 0), Timestamp(0));
        } else {
            table.forget(key_of(ONE, "a"));
        }
        assert!(waiter.wait(Duration::from_secs(60)));
        waiter.notify(count());
        assert_eq!(told.load(Ordering::SeqCst), 2);
    }
}

fn bounded(keys_max: usize, ordinary_bytes_max: usize) -> Idempotency {
    Idempotency::bounded(Bounds {
        keys_max,
        answers_bytes_max: [ordinary_bytes_max, 1 << 20],
    })
}

fn settle(table: &Idempotency, keys: &[&str], time_s: i64) {
    for key in keys {
        table.settle(record(key, time_s), Timestamp(time_s * NS_PER_S));
    }
}

fn settle_of(table: &Idempotency, tenant: TenantNumber, keys: std::ops::Range<u32>, answer: &str) {
    for key in keys {
        let record = record_of(tenant, &key.to_string(), answer, 0);
        table.settle(record, Timestamp(0));
    }
}

/// Keys held, and keys that went for too many keys, answers and long answers.
fn figures(table: &Idempotency) -> (usize, [u64; 3]) {
    let (held, evicted) = table.figures();
    (held, [evicted.keys, evicted.answers, evicted.long_answers])
}

#[test]
fn the_oldest_keys_go_first() {
    let table = bounded(3, 1 << 20);
    settle(&table, &["a", "b", "c"], 0);
    assert_eq!(figures(&table), (3, [0; 3]), "at the limit");
    settle(&table, &["d"], 0);
    assert_eq!(figures(&table), (3, [1, 0, 0]), "one past it");
    assert_eq!(recall(&table, "b", 1, 0), "answer b");
    assert_eq!(recall(&table, "a", 1, 0), "New");
    // What goes in its time is not counted.
    settle(&table, &["e"], IDEMPOTENCY_KEPT_S);
    assert_eq!(figures(&table), (1, [1, 0, 0]));
    assert_eq!(table.cut().tenants()[0].keys().count(), 1);
}

#[test]
fn keys_go_with_their_answers() {
    // Each has an answer of its own.
    let table = bounded(100, 300);
    settle(&table, &["a", "b"], 0);
    assert_eq!(figures(&table), (2, [0; 3]));
    settle(&table, &["c"], 0);
    assert_eq!(figures(&table), (2, [0, 1, 0]));
    assert_eq!(recall(&table, "a", 1, 0), "New");
    settle(&table, &["a"], 1);
    assert_eq!(recall(&table, "a", 1, 1), "answer a");
    assert_eq!(figures(&table), (2, [0, 2, 0]));
    let restored = bounded(100, 300);
    restored.restore(table.cut(), Timestamp(0));
    assert_eq!(figures(&restored), (2, [0; 3]));
    assert_eq!(recall(&restored, "a", 1, 1), "answer a");
    assert_eq!(recall(&restored, "c", 1, 1), "answer c");
    // The queue still has what went with its answer: it goes without being counted again.
    settle(&table, &["z"], 1 + IDEMPOTENCY_KEPT_S);
    assert_eq!(figures(&table), (1, [0, 2, 0]));
}

#[test]
fn an_answer_past_the_bound_stays_alone() {
    let table = bounded(100, 0);
    settle(&table, &["a"], 0);
    assert_eq!(figures(&table), (1, [0; 3]));
    settle(&table, &["b"], 0);
    assert_eq!(figures(&table), (1, [0, 1, 0]));
    assert!(is_held(&table, ONE, "b"));
}

#[test]
fn a_key_that_is_stored_again_stays_when_its_first_record_goes() {
    let table = bounded(2, 1 << 20);
    settle(&table, &["a"], 0);
    settle(&table, &["a", "b"], 1);
    assert_eq!(recall(&table, "a", 1, 1), "answer a");
    assert_eq!(figures(&table), (2, [0; 3]));
}

#[test]
fn a_key_is_of_its_scope_and_tenant() {
    let keys = [
        (1, "ab", "c"),
        (1, "a", "bc"),
        (1, "", "abc"),
        (1, "abc", ""),
        (1, "b", "c"),
        (2, "ab", "c"),
    ];
    let distinct: std::collections::HashSet<_> = keys
        .iter()
        .map(|(tenant, scope, key)| RequestKey::new(TenantNumber(*tenant), scope, key))
        .collect();
    assert_eq!(distinct.len(), keys.len());
}

#[test]
fn a_tenant_pushes_out_its_own_keys_alone() {
    let table = bounded(10, 1 << 20);
    settle_of(&table, TWO, 0..3, "1");
    settle_of(&table, ONE, 0..7, "1");
    assert_eq!(figures(&table), (10, [0; 3]), "at the limit");
    settle_of(&table, ONE, 7..8, "1");
    assert_eq!(figures(&table), (10, [1, 0, 0]), "one past it");
    assert!(!is_held(&table, ONE, "0") && is_held(&table, ONE, "1"));
    settle_of(&table, ONE, 8..1_000, "1");
    assert_eq!(figures(&table), (10, [993, 0, 0]));
    for key in ["0", "1", "2"] {
        assert!(is_held(&table, TWO, key), "older than any of the other's");
    }
    for key in 993..1_000 {
        assert!(is_held(&table, ONE, &key.to_string()));
    }
}

#[test]
fn who_comes_later_gets_room_from_who_has_the_most() {
    let table = bounded(12, 1 << 20);
    settle_of(&table, ONE, 0..9, "1");
    settle_of(&table, TWO, 0..3, "1");
    // Five of the nine go, so that all have the same.
    settle_of(&table, THREE, 0..4, "1");
    settle_of(&table, TWO, 3..4, "1");
    assert_eq!(figures(&table), (12, [5, 0, 0]));
    let held = |tenant, keys: std::ops::Range<u32>| {
        keys.filter(|key| is_held(&table, tenant, &key.to_string()))
            .collect::<Vec<_>>()
    };
    assert_eq!(held(ONE, 0..9), [5, 6, 7, 8]);
    assert_eq!(held(TWO, 0..4), [0, 1, 2, 3]);
    assert_eq!(held(THREE, 0..4), [0, 1, 2, 3]);
    // From here on each pushes out its own.
    settle_of(&table, TWO, 4..6, "1");
    assert_eq!(held(TWO, 0..6), [2, 3, 4, 5]);
    assert_eq!(held(ONE, 0..9), [5, 6, 7, 8]);
}

#[test]
fn a_tenant_whose_answers_differ_pushes_out_its_own_alone() {
    let long = |name: u32| name.to_string().repeat(300);
    // Room for some ten ordinary answers, and some ten long ones.
    let table = Idempotency::bounded(Bounds {
        keys_max: 1_000,
        answers_bytes_max: [1_500, 1_500],
    });
    settle_of(&table, TWO, 0..1, "an ordinary answer");
    settle_of(&table, TWO, 1..2, &long(0));
    settle_of(&table, TWO, 2..3, "500");
    for key in 0..100 {
        settle_of(&table, ONE, key..key + 1, &format!("answer {key}"));
        settle_of(&table, ONE, 1_000 + key..1_001 + key, &long(key));
    }
    let (_, [keys, answers, long_answers]) = figures(&table);
    assert_eq!(keys, 0);
    assert!(
        answers > 80 && long_answers > 80,
        "{answers} {long_answers}"
    );
    for key in ["0", "1", "2"] {
        assert!(is_held(&table, TWO, key), "{key}");
    }
    assert!(is_held(&table, ONE, "99") && is_held(&table, ONE, "1099"));
    assert!(!is_held(&table, ONE, "0") && !is_held(&table, ONE, "1000"));
}

#[test]
fn old_keys_of_a_silent_tenant_go_with_the_next_key_of_another() {
    let table = bounded(10, 1 << 20);
    settle_of(&table, TWO, 0..3, "1");
    settle(&table, &["a"], IDEMPOTENCY_KEPT_S - 1);
    assert_eq!(figures(&table), (4, [0; 3]));
    settle(&table, &["b"], IDEMPOTENCY_KEPT_S);
    assert_eq!(figures(&table), (2, [0; 3]));
    assert_eq!(table.cut().tenants().len(), 1);
}

#[test]
fn what_is_restored_is_bounded_alike() {
    let table = bounded(1_000, 1 << 20);
    settle_of(&table, ONE, 0..600, "1");
    settle_of(&table, TWO, 0..5, &"long ".repeat(100));
    let restored = bounded(100, 1 << 20);
    restored.restore(table.cut(), Timestamp(0));
    assert_eq!(restored.figures().0, 100);
    assert!((0..5).all(|key| is_held(&restored, TWO, &key.to_string())));
    assert!((505..600).all(|key| is_held(&restored, ONE, &key.to_string())));
}

fn numbered(number: u64) -> IdempotencyRecord {
    let mut hash = [0; 16];
    hash[..8].copy_from_slice(&number.to_le_bytes());
    IdempotencyRecord {
        key: RequestKey { tenant: ONE, hash },
        body: [1; 16],
        answer: PackedAnswer::new(format!(r#"{{"accepted":{}}}"#, number % 500).as_bytes()),
        time: Timestamp(number as i64),
    }
}

#[test]
fn a_million_keys_are_held() {
    let table = Idempotency::default();
    let millions = IDEMPOTENCY_KEYS_MAX as u64;
    let mut cut = None;
    for number in 0..=millions {
        if number == millions {
            assert_eq!(figures(&table), (IDEMPOTENCY_KEYS_MAX, [0; 3]));
            cut = Some(table.cut());
        }
        table.settle(numbered(number), Timestamp(0));
    }
    assert_eq!(figures(&table), (IDEMPOTENCY_KEYS_MAX, [1, 0, 0]));
    let is_held = |number| {
        let known = table.recall(numbered(number).key, &[1; 32], Timestamp(0));
        matches!(known, Recall::Answer(_))
    };
    assert!(!is_held(0) && is_held(1) && is_held(millions));
    // What was cut before the last key is as it was.
    let cut = cut.unwrap();
    let keys = || cut.tenants()[0].keys();
    assert_eq!(keys().next().unwrap().hash, numbered(0).key.hash);
    assert_eq!(keys().last().unwrap().hash, numbered(millions - 1).key.hash);
}
