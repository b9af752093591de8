//! What a read does not look at: it is counted, since no answer shows it.
use crate::{
    build::{Layout, NOW, Reader, rows, snapshot},
    meaning::record,
    rule::Record,
};
use taffrail_model::{
    column::Kind,
    position::Position,
    time::{TimeRange, Timestamp},
};
use taffrail_query::{
    AsOf, Order, Output, RowsOutput, ScanOutput, ScanRequest, ScanResult, execute, parse,
};
use taffrail_storage::snapshot::Snapshot;

/// 10 sources of 100 records, a millisecond between two records.
fn wide() -> Snapshot {
    let all: Vec<Record> = (1..=1_000)
        .map(|n| {
            let message = if n == 500 { "needle" } else { "hay" };
            Record {
                timestamp: NOW.0 + n as i64 * 1_000_000,
                ..record(n, &[("message", Kind::String, message)])
            }
        })
        .collect();
    snapshot(
        &all,
        Layout {
            rows: 100,
            section_every: 2,
        },
    )
}

fn run(request: &ScanRequest) -> ScanResult {
    execute(request, &wide()).expect("a read")
}

#[test]
fn a_page_of_the_latest_rows_ends_after_the_first_block() {
    for (order, cursor) in [
        (Order::Descending, None),
        (Order::Ascending, None),
        (Order::Arrival, None),
    ] {
        let output = rows(RowsOutput {
            order,
            limit: 50,
            cursor,
            ..RowsOutput::default()
        });
        let request = Reader::Admin
            .request(output)
            .with_predicate(parse("hay").expect("a query").filter);
        assert_eq!(run(&request).work.blocks, 1, "{order:?}");
    }
}

#[test]
fn a_count_of_everything_reads_no_block() {
    assert_eq!(run(&Reader::Admin.request(Output::Count)).work.blocks, 0);
    let owned = Reader::User(vec!["u1"]).request(Output::Count);
    assert_eq!(
        run(&owned).work.blocks,
        10,
        "who owns a record is in the record"
    );
}

#[test]
fn hidden_instances_cost_a_look_only_where_instances_are() {
    let of = |stream, instance: Option<&'static str>| -> (ScanOutput, u64) {
        let all: Vec<Record> = (1..=300)
            .map(|n| {
                let named = instance.map(|id| ("instance_id", Kind::String, id));
                let fields: Vec<_> = [("message", Kind::String, "hay")]
                    .into_iter()
                    .chain(named)
                    .collect();
                Record {
                    stream,
                    ..record(n, &fields)
                }
            })
            .collect();
        let layout = Layout {
            rows: 100,
            section_every: 2,
        };
        let snapshot = snapshot(&all, layout);
        let result = execute(&Reader::Admin.request(Output::Count), &snapshot).expect("a read");
        (result.output, result.work.blocks)
    };
    for (stream, instance, count, blocks) in [
        ("app.backend", Some("old"), 300, 0),
        ("instance.app", None, 300, 0),
        ("instance.app", Some("live"), 300, 3),
        ("instance.app", Some("old"), 0, 3),
    ] {
        let expected = (ScanOutput::Count(count), blocks);
        assert_eq!(of(stream, instance), expected, "{stream} {instance:?}");
    }
}

#[test]
fn the_watermark_decides_which_blocks_are_read() {
    let counted = |query: &str, watermark: u64| {
        let as_of = AsOf {
            watermark: Position(watermark),
            moment: NOW,
        };
        let request = Reader::Admin
            .request(Output::Count)
            .with_predicate(parse(query).expect("a query").filter)
            .with_as_of(as_of);
        let result = run(&request);
        assert_eq!(result.watermark, Position(watermark.min(1_000)));
        (result.output, result.work.blocks)
    };
    // Blocks behind it are not looked at, those before it are counted without being read, and
    // only in the one between the rows decide.
    for (query, watermark, count, blocks) in [
        ("", 0, 0, 0),
        ("", 100, 100, 0),
        ("", 101, 101, 1),
        ("", 950, 950, 1),
        ("", 2_000, 1_000, 0),
        // Every second source is a section, which knows what all or none of its rows have.
        ("hay", 100, 100, 0),
        ("hay", 420, 420, 3),
        ("needle", 499, 0, 3),
        ("needle", 500, 1, 3),
    ] {
        let expected = (ScanOutput::Count(count), blocks);
        assert_eq!(counted(query, watermark), expected, "{query} {watermark}");
    }
}

#[test]
fn relative_times_are_of_the_moment_of_the_first_answer() {
    let as_of = AsOf {
        moment: Timestamp(NOW.0 + 300_000_000),
        ..AsOf::newest(NOW)
    };
    let request = Reader::Admin
        .request(Output::Count)
        .with_predicate(parse("timestamp:<=now").expect("a query").filter);
    for (request, expected) in [(request.clone(), 0), (request.with_as_of(as_of), 300)] {
        assert_eq!(run(&request).output, ScanOutput::Count(expected));
    }
}

#[test]
fn times_and_columns_decide_which_blocks_are_read() {
    let range = TimeRange {
        start: Timestamp(NOW.0 + 250_000_000),
        end: Timestamp(NOW.0 + 420_000_000),
    };
    let counted = |query: &str| {
        Reader::Admin
            .request(Output::Count)
            .with_predicate(parse(query).expect("a query").filter)
    };
    assert_eq!(run(&counted("hay").with_range(range)).work.blocks, 3);
    assert_eq!(run(&counted("absent:hay")).work.blocks, 0);
    assert_eq!(run(&counted("hay stream:runtime")).work.blocks, 0);
    assert_eq!(run(&counted("hay timestamp:<now")).work.blocks, 0);
    assert_eq!(
        run(&Reader::Admin.request(Output::TimeExtent)).work.blocks,
        0
    );
}
