//! What a read does not look at: it is counted, since no answer shows it.
use crate::{
    build::{Layout, NOW, Reader, rows, snapshot},
    meaning::record,
    rule::Record,
};
use taffrail_model::{
    column::Kind,
    time::{TimeRange, Timestamp},
};
use taffrail_query::{Order, Output, RowsOutput, ScanRequest, ScanResult, execute, parse};
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
