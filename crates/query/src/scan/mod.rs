//! The one executor: a request over a snapshot.
//!
//! Invariants
//! - The row policy is applied inside the evaluation of every block, before the predicate, for
//!   every kind of output: there is no way around it.
//! - A block is read through the trait [`RowSource`] alone, so tails and segments are the same.
//! - Rows under a deletion are dropped there too, in every source to which it was not applied yet;
//!   nothing is counted unread in those.
//! - What cannot be read makes the answer partial and is named in it; the rest is served.
//!
//! The work of a read is bounded by its deadline, its memory by the limits on pages, facets and
//! histograms: nothing grows with the number of matching rows but the keys within offset + limit.
//!
//! [`RowSource`]: taffrail_storage::read::RowSource
mod aggregate;
mod asked;
mod block;
mod deleted;
mod drive;
mod encoded;
mod found;
mod overflow;
mod plan;
mod rows;
mod selection;
mod text;

use crate::{
    cursor::Cursor,
    request::{Order, Output, RowsOutput, ScanRequest, StreamSelection},
    result::{Completeness, Context, ContextResult, Row, ScanError, ScanOutput, ScanResult},
    search::tree::Expr,
};
pub use aggregate::MemoryPool;
pub use deleted::select_removed;
use drive::Scan;
use taffrail_model::{field, id::RecordId, position::Position, time::TimeRange};
use taffrail_storage::snapshot::{Fault, Snapshot};

/// Runs a read over a snapshot.
///
/// # Errors
/// [`ScanError`]. Unreadable files are no error: the answer is partial and names them.
pub fn execute(request: &ScanRequest, snapshot: &Snapshot) -> Result<ScanResult, ScanError> {
    let cursor = match request.output() {
        Output::Rows(rows) => rows.cursor,
        _ => None,
    };
    let (_, requested) = request.positions();
    let available = requested.min(snapshot.watermark());
    let upto = cursor.map_or(available, |cursor| cursor.watermark.min(available));
    let scan = Scan::new(request, snapshot, upto)?;
    let output = match request.output() {
        Output::Rows(output) => ScanOutput::Rows(rows::run(&scan, output, upto)?),
        Output::Count => ScanOutput::Count(aggregate::count(&scan)?),
        Output::Histogram { interval_ns, by } => {
            ScanOutput::Histogram(aggregate::histogram(&scan, *interval_ns, by.as_ref())?)
        }
        Output::Facets { fields, limit } => {
            ScanOutput::Facets(aggregate::facets(&scan, fields, *limit)?)
        }
        Output::Aggregate(aggregation) => {
            ScanOutput::Groups(aggregate::aggregate(&scan, aggregation)?)
        }
        Output::Fields => ScanOutput::Fields(aggregate::fields(&scan)?),
        Output::TimeExtent => ScanOutput::TimeExtent(aggregate::time_extent(&scan)?),
    };
    Ok(ScanResult {
        output,
        completeness: scan.completeness(),
        watermark: upto,
        work: scan.work(),
    })
}

/// A record by its id with its neighbours in the same stream, by (timestamp, position).
///
/// `request` says who asks; its predicate narrows the neighbours, its streams, range and output
/// do not count. With `is_same_source` neighbours have the record's `source`.
///
/// # Errors
/// As [`execute`].
pub fn context(
    request: &ScanRequest,
    snapshot: &Snapshot,
    id: RecordId,
    before: usize,
    after: usize,
    is_same_source: bool,
) -> Result<ContextResult, ScanError> {
    let in_stream = request
        .clone()
        .with_streams(StreamSelection::Only(vec![id.stream]))
        .with_range(TimeRange::ALL);
    let lookup = in_stream
        .clone()
        .with_predicate(Expr::id_is(id))
        .with_output(Output::Rows(RowsOutput {
            limit: 1,
            ..RowsOutput::default()
        }));
    let (mut rows, mut completeness) = page(&lookup, snapshot)?;
    let Some(row) = rows.pop() else {
        return Ok(ContextResult {
            context: None,
            completeness,
        });
    };
    let mut predicate = in_stream.predicate().clone();
    if is_same_source {
        let same = match row.get(field::SOURCE) {
            Some(source) => Expr::field_is(field::SOURCE, &source.text),
            None => Expr::field(field::SOURCE, crate::Test::Exists).negated(),
        };
        predicate = Expr::all_of([same, predicate]);
    }
    // Another tenant's records are no neighbours, even of a principal that may read both.
    let neighbours = in_stream.narrowed_to(row.tenant).with_predicate(predicate);
    let beside = |order: Order, limit: usize| -> Result<(Vec<Row>, Completeness), ScanError> {
        if limit == 0 {
            return Ok((Vec::new(), Completeness::default()));
        }
        let output = Output::Rows(RowsOutput {
            order,
            limit,
            cursor: Some(Cursor {
                order,
                after: row.key,
                watermark: Position::MAX,
            }),
            ..RowsOutput::default()
        });
        page(&neighbours.clone().with_output(output), snapshot)
    };
    let (mut earlier, more) = beside(Order::Descending, before)?;
    earlier.reverse();
    add_faults(&mut completeness, more.faults);
    let (later, more) = beside(Order::Ascending, after)?;
    add_faults(&mut completeness, more.faults);
    Ok(ContextResult {
        context: Some(Context {
            row,
            before: earlier,
            after: later,
        }),
        completeness,
    })
}

fn page(request: &ScanRequest, snapshot: &Snapshot) -> Result<(Vec<Row>, Completeness), ScanError> {
    let result = execute(request, snapshot)?;
    let rows = match result.output {
        ScanOutput::Rows(page) => page.rows,
        _ => Vec::new(),
    };
    Ok((rows, result.completeness))
}

fn add_faults(completeness: &mut Completeness, faults: Vec<Fault>) {
    for fault in faults {
        if !completeness.faults.contains(&fault) {
            completeness.faults.push(fault);
        }
    }
    completeness.partial = !completeness.faults.is_empty();
}
