//! A record and its neighbours, and who may see them.
use crate::{
    build::{Layout, NOW, Reader, snapshot},
    meaning::record,
    rule::Record,
};
use taffrail_model::{column::Kind, id::RecordId, time::Timestamp};
use taffrail_query::{Context, Output, ScanOutput, context, execute, parse};

fn records() -> Vec<Record> {
    (1..=20)
        .map(|position| {
            let (source, owner) = (
                ["a", "b"][position as usize % 2],
                ["u1", "u2"][position as usize / 5 % 2],
            );
            let mut record = record(
                position,
                &[
                    ("message", Kind::String, "step"),
                    ("source", Kind::String, source),
                    ("user_id", Kind::String, owner),
                ],
            );
            // Pairs share a time, so that the position decides.
            record.timestamp = NOW.0 + position as i64 / 2;
            if position == 9 {
                record.tenant = 2;
            }
            if position == 12 {
                record.stream = "runtime";
            }
            record
        })
        .collect()
}

fn id_of(record: &Record) -> RecordId {
    let key = crate::build::key(record);
    RecordId {
        day: key.day,
        stream: key.stream,
        node: 0,
        epoch: 1,
        position: taffrail_model::position::Position(record.position),
    }
}

fn ask(reader: &Reader, id: RecordId, count: usize, is_same_source: bool) -> Option<Context> {
    let snapshot = snapshot(
        &records(),
        Layout {
            rows: 3,
            section_every: 2,
        },
    );
    let request = reader.request(Output::Count);
    let result = context(&request, &snapshot, id, count, count, is_same_source).expect("a read");
    assert!(!result.completeness.partial);
    result.context
}

fn positions(context: &Context) -> (Vec<u64>, Vec<u64>) {
    let of = |rows: &[taffrail_query::Row]| rows.iter().map(|row| row.key.position.0).collect();
    (of(&context.before), of(&context.after))
}

#[test]
fn neighbours_are_of_the_same_stream_and_tenant() {
    let id = id_of(&records()[9]);
    let found = ask(&Reader::AdminOfBoth, id, 3, false).expect("a record");
    assert_eq!(found.row.id, id);
    assert_eq!(positions(&found), (vec![6, 7, 8], vec![11, 13, 14]));
    let found = ask(&Reader::Admin, id, 2, true).expect("a record");
    assert_eq!(positions(&found), (vec![6, 8], vec![14, 16]));
    let found = ask(&Reader::Admin, id_of(&records()[0]), 2, false).expect("a record");
    assert_eq!(positions(&found), (vec![], vec![2, 3]));
}

#[test]
fn a_user_sees_own_neighbours_only() {
    let user = Reader::User(vec!["u1"]);
    let all = records();
    // 1-4 and 10-14 belong to u1.
    assert_eq!(ask(&user, id_of(&all[5]), 3, false), None);
    let found = ask(&user, id_of(&all[9]), 3, false).expect("a record");
    assert_eq!(positions(&found), (vec![2, 3, 4], vec![11, 13, 14]));
    assert_eq!(
        ask(&Reader::Admin, id_of(&all[8]), 3, false),
        None,
        "of another tenant"
    );
}

#[test]
fn an_id_finds_its_record_alone() {
    let id = id_of(&records()[3]);
    let others = [
        RecordId { epoch: 2, ..id },
        RecordId { node: 1, ..id },
        RecordId {
            day: taffrail_model::time::Day(id.day.0 - 1),
            ..id
        },
        RecordId {
            position: taffrail_model::position::Position(99),
            ..id
        },
    ];
    for other in others {
        assert_eq!(ask(&Reader::Admin, other, 1, false), None, "{other}");
    }
    let snapshot = snapshot(
        &records(),
        Layout {
            rows: 3,
            section_every: 2,
        },
    );
    let filter = parse(&format!("step id:{id}")).expect("a query").filter;
    let result = execute(
        &Reader::Admin.request(Output::Count).with_predicate(filter),
        &snapshot,
    );
    assert_eq!(result.expect("a read").output, ScanOutput::Count(1));
    assert_eq!(id.day, Timestamp(NOW.0).day().expect("a day"));
}
