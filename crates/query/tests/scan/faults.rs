//! Sources that cannot be read: the answer names them and serves the rest.
use crate::{
    build::{Layout, Reader, rows, snapshot, snapshot_of, tail},
    meaning::record,
    rule::Record,
};
use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicBool, mpsc},
    time::{Duration, Instant},
};
use taffrail_model::{
    column::{Column, FieldName, Kind},
    position::{PartitionKey, Position},
    tenant::TenantNumber,
};
use taffrail_query::{
    Expr, Output, RowsOutput, ScanError, ScanOutput, StreamSelection, execute, parse,
};
use taffrail_storage::{
    read::{ColumnStats, Extent, ReadError, RowSource},
    snapshot::Fault,
};

/// Where a source fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Names,
    Blocks,
    Times,
    Positions,
    Column,
    ShortTimes,
    /// As [`Step::Names`], by a panic.
    Panic,
}

struct Failing {
    inner: Arc<dyn RowSource>,
    step: Step,
}

impl Failing {
    fn fail_at(&self, step: Step) -> Result<(), ReadError> {
        match self.step == step {
            true => Err(ReadError::Missing {
                file: "segments/7".into(),
            }),
            false => Ok(()),
        }
    }
}

impl RowSource for Failing {
    fn name(&self) -> String {
        "segments/7".into()
    }
    fn extent(&self) -> Extent {
        self.inner.extent()
    }
    fn column_names(&self) -> Result<Vec<FieldName>, ReadError> {
        assert_ne!(self.step, Step::Panic, "as the test wants");
        self.fail_at(Step::Names)?;
        self.inner.column_names()
    }
    fn blocks(&self) -> Result<Cow<'_, [Extent]>, ReadError> {
        self.fail_at(Step::Blocks)?;
        self.inner.blocks()
    }
    fn timestamps(&self, block: usize) -> Result<Cow<'_, [i64]>, ReadError> {
        self.fail_at(Step::Times)?;
        if self.step == Step::ShortTimes {
            return Ok(Cow::Borrowed(&[]));
        }
        self.inner.timestamps(block)
    }
    fn positions(&self, block: usize) -> Result<Cow<'_, [u64]>, ReadError> {
        self.fail_at(Step::Positions)?;
        self.inner.positions(block)
    }
    fn column(&self, block: usize, name: &str) -> Result<Option<Arc<Column>>, ReadError> {
        self.fail_at(Step::Column)?;
        self.inner.column(block, name)
    }
    fn stats(&self, _: usize, _: &str) -> Result<Option<ColumnStats>, ReadError> {
        Ok(None)
    }
    fn may_contain(&self, _: usize, _: &str, _: u64) -> Result<bool, ReadError> {
        Ok(true)
    }
}

fn records(range: std::ops::RangeInclusive<u64>) -> Vec<Record> {
    range
        .map(|position| record(position, &[("message", Kind::String, "hello")]))
        .collect()
}

#[test]
fn a_source_that_fails_is_named_and_the_rest_served() {
    let (good, bad) = (records(1..=5), records(6..=8));
    let key = crate::build::key(&good[0]);
    for step in [
        Step::Names,
        Step::Blocks,
        Step::Times,
        Step::Positions,
        Step::Column,
        Step::ShortTimes,
    ] {
        let failing = Failing {
            inner: tail(&bad.iter().collect::<Vec<_>>()),
            step,
        };
        let sources = vec![
            tail(&good.iter().collect::<Vec<_>>()),
            Arc::new(failing) as _,
        ];
        let snapshot = snapshot_of(key, sources, Vec::new());
        let request = Reader::Admin
            .request(rows(RowsOutput {
                count: true,
                ..RowsOutput::default()
            }))
            .with_predicate(parse("hello").expect("a query").filter);
        let result = execute(&request, &snapshot).expect("a read");
        assert!(result.completeness.partial, "{step:?}");
        assert_eq!(result.completeness.faults.len(), 1, "{step:?}");
        let fault = &result.completeness.faults[0];
        assert_eq!(
            (fault.file.as_str(), fault.partition),
            ("segments/7", Some(key))
        );
        let ScanOutput::Rows(page) = result.output else {
            panic!("not rows")
        };
        assert_eq!((page.rows.len(), page.total), (5, Some(5)), "{step:?}");
    }
}

#[test]
fn a_panic_of_a_source_that_is_opened_ends_the_read() {
    let (good, bad) = (records(1..=5), records(6..=8));
    let failing = Failing {
        inner: tail(&bad.iter().collect::<Vec<_>>()),
        step: Step::Panic,
    };
    let sources = vec![
        tail(&good.iter().collect::<Vec<_>>()),
        Arc::new(failing) as _,
    ];
    let snapshot = snapshot_of(crate::build::key(&good[0]), sources, Vec::new());
    let request = Reader::Admin
        .request(Output::Count)
        .with_predicate(parse("hello").expect("a query").filter);
    // A read that never ends would hold up its own thread alone.
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let read = AssertUnwindSafe(|| execute(&request, &snapshot).is_ok());
        let _ = tell.send(catch_unwind(read).is_err());
    });
    assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(true));
}

#[test]
fn rows_that_fail_only_when_they_are_read_whole_are_named_too() {
    let (good, bad) = (records(1..=5), records(6..=8));
    let key = crate::build::key(&good[0]);
    let failing = Failing {
        inner: tail(&bad.iter().collect::<Vec<_>>()),
        step: Step::Column,
    };
    let sources = vec![
        tail(&good.iter().collect::<Vec<_>>()),
        Arc::new(failing) as _,
    ];
    let snapshot = snapshot_of(key, sources, Vec::new());
    let result = execute(
        &Reader::Admin.request(rows(RowsOutput::default())),
        &snapshot,
    )
    .expect("a read");
    assert!(result.completeness.partial);
    let ScanOutput::Rows(page) = result.output else {
        panic!("not rows")
    };
    assert_eq!(page.rows.len(), 5);
}

#[test]
fn faults_that_storage_knows_are_shown_to_those_who_may_read_there() {
    let records = records(1..=2);
    let key = crate::build::key(&records[0]);
    let fault = |partition| Fault {
        partition,
        file: "f".into(),
        detail: "gone".into(),
        is_transient: false,
    };
    let check = |partition: Option<PartitionKey>, reader: &Reader, expected: bool| {
        let sources = vec![tail(&records.iter().collect::<Vec<_>>())];
        let snapshot = snapshot_of(key, sources, vec![fault(partition)]);
        let result = execute(&reader.request(Output::Count), &snapshot).expect("a read");
        assert_eq!(
            result.completeness.partial, expected,
            "{partition:?} {reader:?}"
        );
    };
    let of_other = PartitionKey {
        tenant: TenantNumber(2),
        ..key
    };
    check(Some(key), &Reader::Admin, true);
    check(Some(of_other), &Reader::Admin, false);
    check(Some(of_other), &Reader::AdminOfBoth, true);
    check(None, &Reader::Admin, true);
}

#[test]
fn a_read_ends_at_its_deadline_and_when_it_is_cancelled() {
    let snapshot = snapshot(
        &records(1..=5),
        Layout {
            rows: 1,
            section_every: 0,
        },
    );
    let request = Reader::Admin
        .request(Output::Count)
        .with_predicate(parse("hello").expect("a query").filter);
    let late = request.clone().with_deadline(Instant::now());
    assert_eq!(
        execute(&late, &snapshot).err(),
        Some(ScanError::DeadlineExceeded)
    );
    let cancelled = request.with_cancel(Arc::new(AtomicBool::new(true)));
    assert_eq!(
        execute(&cancelled, &snapshot).err(),
        Some(ScanError::Cancelled)
    );
}

#[test]
fn own_events_are_read_when_they_are_named() {
    let mut all = records(1..=4);
    all[0].stream = "system.application";
    all[1].stream = "runtime";
    let snapshot = snapshot(
        &all,
        Layout {
            rows: 1,
            section_every: 0,
        },
    );
    let count = |query: &str| {
        let request = Reader::Admin
            .request(Output::Count)
            .with_predicate(parse(query).expect("a query").filter);
        match execute(&request, &snapshot).expect("a read").output {
            ScanOutput::Count(count) => count,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(count("hello"), 3);
    assert_eq!(count("hello stream:system.application"), 1);
    assert_eq!(count("stream:system.* OR stream:runtime"), 2);
    assert_eq!(count("NOT stream:system.application"), 3);
    let nothing = Reader::Admin
        .request(Output::Count)
        .with_predicate(Expr::All)
        .with_streams(StreamSelection::Only(Vec::new()));
    assert_eq!(
        execute(&nothing, &snapshot).expect("a read").output,
        ScanOutput::Count(0)
    );
    assert_eq!(snapshot.watermark(), Position(4));
}
