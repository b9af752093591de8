//! Every limit of a read, at it and past it.
use crate::{
    build::{Layout, Reader, rows, snapshot, snapshot_of, tail},
    meaning::record,
    rule::Record,
};
use std::sync::Arc;
use taffrail_model::{
    column::Kind,
    limits::{
        FACET_DISTINCT_MAX, FACET_VALUES_MAX, HISTOGRAM_BUCKETS_MAX, HISTOGRAM_SERIES_MAX,
        OFFSET_RECORDS_MAX, PAGE_BYTES_MAX, PAGE_RECORDS_MAX,
    },
};
use taffrail_query::{
    MemoryPool, Order, Output, RowsOutput, ScanError, ScanOutput, ScanRequest, SeriesKey, execute,
};
use taffrail_storage::snapshot::Snapshot;

fn run(output: Output, snapshot: &Snapshot) -> Result<ScanOutput, ScanError> {
    execute(&Reader::Admin.request(output), snapshot).map(|result| result.output)
}

fn small() -> Snapshot {
    snapshot(
        &[record(1, &[("message", Kind::String, "x")])],
        Layout {
            rows: 1,
            section_every: 0,
        },
    )
}

#[test]
fn pages_offsets_and_facet_values() {
    let snapshot = small();
    let page = |limit, offset| {
        run(
            rows(RowsOutput {
                limit,
                offset,
                ..RowsOutput::default()
            }),
            &snapshot,
        )
    };
    let facet = |limit| {
        run(
            Output::Facets {
                fields: vec!["message".into()],
                limit,
            },
            &snapshot,
        )
    };
    assert!(page(PAGE_RECORDS_MAX, OFFSET_RECORDS_MAX).is_ok());
    let past = |what, max: usize| {
        Err(ScanError::PastLimit {
            what,
            given: max + 1,
            max,
        })
    };
    assert_eq!(
        page(PAGE_RECORDS_MAX + 1, 0),
        past("limit", PAGE_RECORDS_MAX)
    );
    assert_eq!(
        page(1, OFFSET_RECORDS_MAX + 1),
        past("offset", OFFSET_RECORDS_MAX)
    );
    assert!(facet(FACET_VALUES_MAX).is_ok());
    assert_eq!(facet(FACET_VALUES_MAX + 1), past("limit", FACET_VALUES_MAX));
}

#[test]
fn a_cursor_keeps_to_its_order() {
    let all: Vec<_> = (1..=3)
        .map(|n| record(n, &[("message", Kind::String, "x")]))
        .collect();
    let snapshot = snapshot(
        &all,
        Layout {
            rows: 3,
            section_every: 0,
        },
    );
    let page = |order, cursor| {
        run(
            rows(RowsOutput {
                order,
                cursor,
                limit: 1,
                ..RowsOutput::default()
            }),
            &snapshot,
        )
    };
    let Ok(ScanOutput::Rows(first)) = page(Order::Ascending, None) else {
        panic!("not rows")
    };
    assert!(page(Order::Ascending, first.cursor).is_ok());
    assert_eq!(
        page(Order::Descending, first.cursor),
        Err(ScanError::CursorOrder)
    );
}

#[test]
fn a_page_ends_before_its_bytes_are_too_many_and_the_cursor_goes_on() {
    let count = 100;
    let long_bytes = 3_000_000;
    // A first row of usual size, so that what follows is a surprise.
    let all: Vec<Record> = (1..=count)
        .map(|n| {
            let bytes = if n <= 70 { 10 } else { long_bytes };
            record(n, &[("message", Kind::String, &"x".repeat(bytes))])
        })
        .collect();
    let snapshot = snapshot(
        &all,
        Layout {
            rows: 7,
            section_every: 0,
        },
    );
    let mut found = Vec::new();
    let mut cursor = None;
    let mut pages = 0;
    loop {
        let output = rows(RowsOutput {
            order: Order::Ascending,
            cursor,
            ..RowsOutput::default()
        });
        let Ok(ScanOutput::Rows(page)) = run(output, &snapshot) else {
            panic!("not rows")
        };
        let bytes: usize = page
            .rows
            .iter()
            .flat_map(|row| &row.fields)
            .map(|(_, value)| value.text.len())
            .sum();
        assert!(bytes <= PAGE_BYTES_MAX);
        found.extend(page.rows.iter().map(|row| row.key.position.0));
        pages += 1;
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, (1..=count).collect::<Vec<_>>());
    assert_eq!(pages, 30_usize.div_ceil(PAGE_BYTES_MAX / long_bytes));
}

#[test]
fn a_record_that_is_larger_than_a_page_is_a_page() {
    let text = "x".repeat(PAGE_BYTES_MAX + 1);
    let all = [
        record(1, &[("message", Kind::String, &text)]),
        record(2, &[("message", Kind::String, "y")]),
    ];
    let snapshot = snapshot(
        &all,
        Layout {
            rows: 1,
            section_every: 0,
        },
    );
    let output = rows(RowsOutput {
        order: Order::Ascending,
        ..RowsOutput::default()
    });
    let Ok(ScanOutput::Rows(page)) = run(output, &snapshot) else {
        panic!("not rows")
    };
    assert_eq!(page.rows.len(), 1);
    assert!(page.cursor.is_some());
}

#[test]
fn histograms_have_so_many_buckets_and_no_more() {
    let buckets = HISTOGRAM_BUCKETS_MAX as u64;
    let every_second = |count: u64| {
        let all: Vec<_> = (1..=count)
            .map(|n| Record {
                timestamp: crate::build::TODAY * crate::build::NS_PER_DAY
                    + n as i64 * 1_000_000_000,
                ..record(n, &[])
            })
            .collect();
        snapshot(
            &all,
            Layout {
                rows: 100,
                section_every: 0,
            },
        )
    };
    let ask = |interval_ns, snapshot: &Snapshot| {
        run(
            Output::Histogram {
                interval_ns,
                by: None,
            },
            snapshot,
        )
    };
    let total = |answer| match answer {
        Ok(ScanOutput::Histogram(histogram)) => histogram.total(),
        other => panic!("{other:?}"),
    };
    assert_eq!(total(ask(1_000_000_000, &every_second(buckets))), buckets);
    let more = every_second(buckets + 1);
    for interval_ns in [1_000_000_000, 1, 0, -5] {
        let Err(ScanError::TooManyBuckets { least_ns, .. }) = ask(interval_ns, &more) else {
            panic!("{interval_ns}");
        };
        assert_eq!(total(ask(least_ns, &more)), buckets + 1, "{interval_ns}");
    }
}

#[test]
fn more_values_than_series_are_counted_together() {
    let series = HISTOGRAM_SERIES_MAX as u64;
    let snapshot_with = |values: u64| {
        // The last value is the most frequent one.
        let all: Vec<_> = (1..=values * 2)
            .map(|n| {
                let value = format!("v{}", n.min(values));
                record(n, &[("host", Kind::String, &value)])
            })
            .collect();
        snapshot(
            &all,
            Layout {
                rows: 50,
                section_every: 2,
            },
        )
    };
    let ask = |values| {
        let output = Output::Histogram {
            interval_ns: 1 << 40,
            by: Some("host".into()),
        };
        match run(output, &snapshot_with(values)) {
            Ok(ScanOutput::Histogram(histogram)) => histogram,
            other => panic!("{other:?}"),
        }
    };
    let exact = ask(series);
    assert_eq!(exact.series.len() as u64, series);
    assert!(exact.series.iter().all(|line| line.key != SeriesKey::Other));
    let cut = ask(series + 5);
    assert_eq!(cut.total(), (series + 5) * 2);
    assert_eq!(cut.series.len() as u64, series + 1);
    assert_eq!(
        cut.series[0].key,
        SeriesKey::Value(format!("v{}", series + 5))
    );
    let other = cut
        .series
        .iter()
        .find(|line| line.key == SeriesKey::Other)
        .expect("the rest");
    assert_eq!(other.total(), 5);
}

#[test]
fn facets_are_paid_for_and_share_what_a_query_may_have() {
    // 300 texts of 50 kB: less than one facet may have, more than each of 20.
    let all: Vec<_> = (1..=300)
        .map(|n| {
            let text = format!("{n}{}", "x".repeat(50_000));
            record(n, &[("note", Kind::String, &text)])
        })
        .collect();
    let layout = Layout {
        rows: 10,
        section_every: 0,
    };
    let snapshot = snapshot(&all, layout);
    let ask = |facets, memory: &Arc<MemoryPool>| {
        let output = Output::Facets {
            fields: vec!["note".into(); facets],
            limit: 1,
        };
        let request = Reader::Admin.request(output).with_memory(memory.clone());
        let answer = execute(&request, &snapshot).map(|result| result.output);
        assert_eq!(memory.used(), 0);
        answer.map(|output| match output {
            ScanOutput::Facets(mut facets) => facets.remove(0).is_estimate,
            other => panic!("{other:?}"),
        })
    };
    let pool = Arc::new(MemoryPool::default());
    assert_eq!(ask(1, &pool), Ok(false));
    assert_eq!(ask(20, &pool), Ok(true));
    let bytes_max = 1 << 20;
    let small = Arc::new(MemoryPool::new(bytes_max));
    let error = ScanError::AggregateTooLarge { bytes_max };
    assert_eq!(ask(1, &small), Err(error));
}

#[test]
fn facets_are_exact_up_to_a_limit_and_estimates_past_it() {
    let ask = |distinct: usize| {
        // Every fifth record has one of two frequent values.
        let all: Vec<_> = (0..distinct + distinct / 4)
            .map(|n| {
                let text = match n % 5 {
                    4 if n % 10 == 9 => "often".to_owned(),
                    4 => "sometimes".to_owned(),
                    _ => format!("value {}", n - n / 5),
                };
                record(n as u64 + 1, &[("host", Kind::String, &text)])
            })
            .collect();
        let sources = all
            .chunks(40_000)
            .map(|chunk| tail(&chunk.iter().collect::<Vec<_>>()));
        let snapshot = snapshot_of(crate::build::key(&all[0]), sources.collect(), Vec::new());
        let output = Output::Facets {
            fields: vec!["host".into()],
            limit: 2,
        };
        match run(output, &snapshot) {
            Ok(ScanOutput::Facets(mut facets)) => facets.remove(0),
            other => panic!("{other:?}"),
        }
    };
    let exact = ask(FACET_DISTINCT_MAX - 2);
    assert!(!exact.is_estimate);
    assert_eq!(exact.distinct as usize, FACET_DISTINCT_MAX);
    let estimate = ask(FACET_DISTINCT_MAX * 2);
    assert!(estimate.is_estimate);
    let expected = FACET_DISTINCT_MAX as f64 * 2.0 + 2.0;
    assert!(
        (estimate.distinct as f64 / expected - 1.0).abs() < 0.15,
        "{}",
        estimate.distinct
    );
    let names: Vec<_> = estimate
        .values
        .iter()
        .map(|value| value.value.as_str())
        .collect();
    assert!(
        names.contains(&"often") && names.contains(&"sometimes"),
        "{names:?}"
    );
}

#[test]
fn a_request_keeps_its_policy() {
    let request: ScanRequest = Reader::User(vec!["u1"]).request(Output::Count);
    assert_eq!(request.policy(), &Reader::User(vec!["u1"]).policy());
    assert!(execute(&request, &small()).is_ok_and(|result| result.output == ScanOutput::Count(0)));
}

#[test]
fn a_page_ends_at_the_bytes_that_were_asked_for() {
    let text = "x".repeat(1_000);
    let all: Vec<_> = (1..=100)
        .map(|position| record(position, &[("message", Kind::String, &text)]))
        .collect();
    let snapshot = snapshot(
        &all,
        Layout {
            rows: 9,
            section_every: 0,
        },
    );
    for (bytes_max, least, most) in [
        (100_000, 50, 100),
        (10_000, 5, 10),
        (1, 1, 1),
        (usize::MAX, 100, 100),
    ] {
        let mut found = Vec::new();
        let mut cursor = None;
        loop {
            let output = rows(RowsOutput {
                order: Order::Arrival,
                bytes_max,
                cursor,
                ..RowsOutput::default()
            });
            let Ok(ScanOutput::Rows(page)) = run(output, &snapshot) else {
                panic!("not rows")
            };
            let is_last = page.cursor.is_none();
            assert!(page.rows.len() <= most, "{bytes_max}: {}", page.rows.len());
            assert!(
                is_last || page.rows.len() >= least,
                "{bytes_max}: {}",
                page.rows.len()
            );
            found.extend(page.rows.iter().map(|row| row.key.position.0));
            cursor = page.cursor;
            if is_last {
                break;
            }
        }
        assert_eq!(found, (1..=100).collect::<Vec<_>>(), "{bytes_max}");
    }
}
