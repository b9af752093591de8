//! The judge of the crash harness notices every kind of broken promise: it is the judge that
//! would hide a fault of the store.
#![allow(
    clippy::unwrap_used,
    reason = "a harness ends where the ground is gone that it stands on"
)]

mod harness;

use harness::{
    ledger::{Deleted, Ledger, Outcome, PositionsSeen, Retained, SentRequest},
    read_back::{Found, FoundRow},
    script::{Source, Step, TODAY, noon, script},
    serials::Serials,
};
use taffrail_model::{position::PartitionKey, time::Day};

const ACKNOWLEDGED: Outcome = Outcome::Acknowledged {
    first: 1,
    last: 3,
    at_operation: 20,
};

/// A ledger of one request, and what is found when all is well.
fn sent(outcome: Outcome) -> (Ledger, Found) {
    let mut source = Source::new(1, 3);
    let old = source.old_request(noon(0));
    let rows = old.rows.clone();
    let found = rows
        .iter()
        .zip(1..)
        .map(|((key, record), position)| FoundRow {
            key: *key,
            position,
            record: record.clone(),
        })
        .collect();
    let request = SentRequest {
        tenant: old.batch.tenant(),
        rows: old.rows,
        sent_at_operation: 10,
        key: old.key,
        time: noon(0),
        outcome,
    };
    let ledger = Ledger {
        requests: vec![request],
        retained: Vec::new(),
        deleted: Vec::new(),
    };
    let found = Found {
        rows: found,
        ..Found::default()
    };
    (ledger, found)
}

#[track_caller]
fn check(outcome: Outcome, change: impl FnOnce(&mut Ledger, &mut Found), expected: &[&str]) {
    let (mut ledger, mut found) = sent(outcome);
    change(&mut ledger, &mut found);
    let violations = ledger.judge(&found);
    assert_eq!(violations.len(), expected.len(), "{violations:#?}");
    for (violation, part) in violations.iter().zip(expected) {
        assert!(violation.contains(part), "{violation} lacks {part}");
    }
}

#[test]
fn what_is_right_is_right() {
    check(ACKNOWLEDGED, |_, _| (), &[]);
    for outcome in [Outcome::Open, Outcome::Refused] {
        check(outcome, |_, _| (), &[]);
        check(outcome, |_, found| found.rows.clear(), &[]);
    }
}

#[test]
fn a_lost_row_is_noticed() {
    let lose = |_: &mut Ledger, found: &mut Found| drop(found.rows.pop());
    check(ACKNOWLEDGED, lose, &["acknowledged and lacks"]);
    check(Outcome::Open, lose, &["by half"]);
    check(Outcome::Refused, lose, &["by half"]);
}

#[test]
fn a_row_that_is_there_twice_is_noticed() {
    check(
        ACKNOWLEDGED,
        |_, found| {
            let again = found.rows[0].clone();
            found.rows.push(again);
        },
        &["position 1 occurs twice", "occurs twice"],
    );
    check(
        Outcome::Open,
        |_, found| {
            let mut again = found.rows[0].clone();
            again.position = 9;
            found.rows.push(again);
        },
        &["occurs twice"],
    );
}

#[test]
fn an_altered_row_is_noticed() {
    let alterations: [fn(&mut FoundRow); 5] = [
        |row| row.record.timestamp_ns += 1,
        |row| drop(row.record.fields.remove(0)),
        |row| row.record.fields[1].1.push(' '),
        |row| row.key.tenant.0 += 1,
        |row| row.key.day.0 += 1,
    ];
    for alter in alterations {
        let (mut ledger, mut found) = sent(ACKNOWLEDGED);
        alter(&mut found.rows[2]);
        let violations = ledger.judge(&found);
        assert!(!violations.is_empty());
        ledger.requests.clear();
        let (_, found) = sent(ACKNOWLEDGED);
        assert_eq!(ledger.judge(&found).len(), 3, "never sent");
    }
}

#[test]
fn a_moved_or_reused_position_is_noticed() {
    check(
        ACKNOWLEDGED,
        |_, found| found.rows[2].position = 4,
        &["acknowledged within 1..=3"],
    );
    let (_, found) = sent(ACKNOWLEDGED);
    let mut seen = PositionsSeen::default();
    assert!(seen.note(&found.rows).is_empty());
    assert!(seen.note(&found.rows).is_empty());
    let mut swapped = found.rows.clone();
    swapped[0].position = 2;
    assert_eq!(seen.note(&swapped[..1]).len(), 1);
}

#[test]
fn an_expired_partition_is_there_as_a_whole_or_not() {
    let retain = |ended_at_operation| {
        move |ledger: &mut Ledger| {
            let stream = ledger.requests[0].rows[0].0.stream.0;
            ledger.retained.push(Retained {
                streams: [(stream, Day(TODAY.0 - 28))].into(),
                begun_at_operation: 30,
                ended_at_operation,
            });
        }
    };
    let (during, after) = (retain(None), retain(Some(40)));
    check(ACKNOWLEDGED, |ledger, _| during(ledger), &[]);
    check(
        ACKNOWLEDGED,
        |ledger, found| {
            during(ledger);
            found.rows.clear();
        },
        &[],
    );
    check(
        ACKNOWLEDGED,
        |ledger, found| {
            during(ledger);
            found.rows.pop();
        },
        &["expired partition"],
    );
    check(
        ACKNOWLEDGED,
        |ledger, _| after(ledger),
        &["expired partition"],
    );
    check(
        ACKNOWLEDGED,
        |ledger, found| {
            after(ledger);
            found.rows.clear();
        },
        &[],
    );
}

#[test]
fn deleted_records_are_there_as_a_whole_or_not() {
    let delete = |ended, cancelled, through| {
        move |ledger: &mut Ledger| {
            ledger.deleted.push(Deleted {
                tenant: ledger.requests[0].tenant,
                serials: Serials {
                    modulus: 1,
                    rest: 0,
                },
                through,
                begun_at_operation: 30,
                ended_at_operation: ended,
                cancelled,
            });
        }
    };
    let all = |_: &mut Found| ();
    let some = |found: &mut Found| drop(found.rows.pop());
    let none = |found: &mut Found| found.rows.clear();
    let in_doubt = delete(None, None, 3);
    let done = delete(Some(40), None, 3);
    let cancelled = delete(Some(40), Some((45, Some(50))), 3);
    let cancelling = delete(Some(40), Some((45, None)), 3);
    let earlier = delete(Some(40), None, 2);
    let part = &["records are there"][..];
    let lost = &["acknowledged and lacks", "records are there"][..];
    type Delete<'a> = &'a dyn Fn(&mut Ledger);
    let cases: [(Delete<'_>, [&[&str]; 3]); 4] = [
        (&in_doubt, [&[], part, &[]]),
        (&done, [part, part, &[]]),
        (&cancelled, [&[], lost, lost]),
        (&cancelling, [&[], part, &[]]),
    ];
    for (delete, expected) in cases {
        let found: [fn(&mut Found); 3] = [all, some, none];
        for (change, expected) in found.into_iter().zip(expected) {
            let outcome = |ledger: &mut Ledger, found: &mut Found| {
                delete(ledger);
                change(found);
            };
            check(ACKNOWLEDGED, outcome, expected);
        }
    }
    // What was stored after it is not its business.
    let outcome = |ledger: &mut Ledger, found: &mut Found| {
        earlier(ledger);
        none(found);
    };
    check(ACKNOWLEDGED, outcome, &["acknowledged and lacks"]);
}

#[test]
fn the_ledger_knows_what_was_known_when() {
    let (ledger, _) = sent(ACKNOWLEDGED);
    assert!(ledger.at_operation(9).requests.is_empty());
    assert_eq!(ledger.at_operation(19).requests[0].outcome, Outcome::Open);
    assert_eq!(ledger.at_operation(20).requests[0].outcome, ACKNOWLEDGED);
    assert_eq!(ledger.at_operation(19).rows_due(), 0);
    assert_eq!(ledger.at_operation(20).rows_due(), 3);
}

#[test]
fn the_script_spans_tenants_partitions_and_steps() {
    let steps = script(&mut Source::new(7, 3));
    let requests: Vec<_> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Ingest(group) => Some(group),
            _ => None,
        })
        .flatten()
        .collect();
    let partitions_of = |rows: &[(PartitionKey, _)]| {
        let all: std::collections::BTreeSet<_> = rows.iter().map(|(key, _)| *key).collect();
        all.len()
    };
    let tenants: std::collections::BTreeSet<_> = requests
        .iter()
        .map(|request| request.batch.tenant())
        .collect();
    assert_eq!(tenants.len(), 3);
    let with_several = requests
        .iter()
        .filter(|request| partitions_of(&request.rows) > 1)
        .count();
    assert!(with_several > requests.len() / 2, "{with_several}");
    assert!(requests.len() > 30);
}
