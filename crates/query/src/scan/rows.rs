//! Pages of records: which rows belong to the page, then only those are read whole.
use super::{
    asked::AskedField,
    block::{BlockFault, BlockView},
    drive::{Collector, OpenBlock, OrderKey, Scan},
    selection::Selection,
};
use crate::{
    cursor::{Cursor, RowKey},
    request::{Order, RowsOutput},
    result::{OwnedValue, Page, Row, ScanError},
};
use std::{
    collections::{BTreeMap, BinaryHeap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use taffrail_model::{
    id::RecordId,
    limits::{OFFSET_RECORDS_MAX, PAGE_BYTES_MAX, PAGE_RECORDS_MAX},
    position::Position,
    time::Timestamp,
};
use taffrail_storage::read::Extent;

/// Rows that are read at once before anything is known of their size.
const FIRST_ROWS: usize = 64;
/// Blocks whose rows are read by two threads: fewer are read sooner than a thread starts.
const SECOND_THREAD_BLOCKS_MIN: usize = 8;
/// Memory of a field of a row beyond its text: name, kind, lengths.
const FIELD_BYTES: usize = 64;

/// Runs a read of records.
pub(super) fn run(scan: &Scan<'_>, output: &RowsOutput, upto: Position) -> Result<Page, ScanError> {
    let past = |what, given, max| Err(ScanError::PastLimit { what, given, max });
    if output.limit > PAGE_RECORDS_MAX {
        return past("limit", output.limit, PAGE_RECORDS_MAX);
    }
    if output.offset > OFFSET_RECORDS_MAX {
        return past("offset", output.offset, OFFSET_RECORDS_MAX);
    }
    if output
        .cursor
        .is_some_and(|cursor| cursor.order != output.order)
    {
        return Err(ScanError::CursorOrder);
    }
    let collector = scan.run(RowsCollector {
        order: output.order,
        after: output
            .cursor
            .map(|cursor| OrderKey::new(output.order, cursor.after)),
        // One more tells whether there is another page.
        wanted: match output.limit {
            0 => 0,
            limit => output.offset + limit + 1,
        },
        is_counting: output.count,
        total: 0,
        first: BinaryHeap::new(),
    })?;
    let total = output.count.then_some(collector.total);
    let mut found = collector.first.into_sorted_vec();
    let mut has_more = output.limit > 0 && found.len() > output.offset + output.limit;
    found.truncate(output.offset + output.limit);
    found.drain(..output.offset.min(found.len()));
    let (rows, taken) = materialise(scan, &found, output)?;
    has_more |= taken < found.len();
    let cursor = match (has_more, taken.checked_sub(1)) {
        (true, Some(last)) => Some(Cursor {
            order: output.order,
            after: found[last].key,
            watermark: upto,
        }),
        _ => None,
    };
    Ok(Page {
        rows,
        total,
        cursor,
    })
}

/// A row that may be on the page.
struct Candidate<'a> {
    order: OrderKey,
    key: RowKey,
    block: Arc<OpenBlock<'a>>,
    row: u32,
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Candidate<'_> {}
impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}

/// Keeps the first rows in order, and the total if it is wanted.
struct RowsCollector<'a> {
    order: Order,
    after: Option<OrderKey>,
    wanted: usize,
    is_counting: bool,
    total: u64,
    first: BinaryHeap<Candidate<'a>>,
}

impl RowsCollector<'_> {
    /// Rows at or behind this key are not on the page.
    fn bound(&self) -> Option<OrderKey> {
        match self.first.len() >= self.wanted {
            true => Some(self.first.peek().map_or(OrderKey::FIRST, |last| last.order)),
            false => None,
        }
    }

    fn is_past(&self, key: OrderKey) -> bool {
        self.bound().is_some_and(|bound| key >= bound)
    }

    fn is_before_page(&self, key: OrderKey) -> bool {
        self.after.is_some_and(|after| key <= after)
    }
}

impl<'a> Collector<'a> for RowsCollector<'a> {
    fn fork(&self) -> Self {
        RowsCollector {
            total: 0,
            first: BinaryHeap::new(),
            ..*self
        }
    }

    fn merge(&mut self, other: Self) {
        self.total += other.total;
        self.first.extend(other.first);
        while self.first.len() > self.wanted {
            self.first.pop();
        }
    }

    fn order(&self) -> Order {
        self.order
    }

    /// Who only counts is done sooner with neighbouring blocks at once.
    fn is_ordered(&self) -> bool {
        self.wanted > 0
    }

    /// Only for who counts alone: rows of the page are not known by their number.
    fn take_count(&mut self, rows: u64) -> bool {
        let is_taken = self.wanted == 0;
        if is_taken {
            self.total += rows;
        }
        is_taken
    }

    fn is_done(&self, first: OrderKey) -> bool {
        !self.is_counting && self.is_past(first)
    }

    fn wants(&self, extent: &Extent) -> bool {
        self.is_counting || !self.is_before_page(OrderKey::last_of(self.order, extent))
    }

    fn take_whole(&mut self, extent: &Extent) -> bool {
        let is_off_page = self.is_past(OrderKey::first_of(self.order, extent))
            || self.is_before_page(OrderKey::last_of(self.order, extent));
        if self.is_counting && is_off_page {
            self.total += u64::from(extent.rows);
        }
        is_off_page
    }

    fn narrow(
        &self,
        view: &mut BlockView<'_>,
        selection: &mut Selection,
    ) -> Result<(), BlockFault> {
        if self.is_counting || (self.bound().is_none() && self.after.is_none()) {
            return Ok(());
        }
        let (times, positions) = (view.timestamps()?, view.positions()?);
        selection.retain(|row| {
            let key = OrderKey::new(self.order, key_of(&times, &positions, row));
            !self.is_past(key) && !self.is_before_page(key)
        });
        Ok(())
    }

    fn take(
        &mut self,
        block: &OpenBlock<'a>,
        view: &mut BlockView<'_>,
        selection: &Selection,
    ) -> Result<(), BlockFault> {
        let (times, positions) = (view.timestamps()?, view.positions()?);
        self.total += selection.count() as u64;
        if self.wanted == 0 {
            return Ok(());
        }
        let block = Arc::new(block.clone());
        for row in selection.iter() {
            let key = key_of(&times, &positions, row);
            let order = OrderKey::new(self.order, key);
            if self.is_before_page(order) || self.is_past(order) {
                continue;
            }
            if self.first.len() >= self.wanted {
                self.first.pop();
            }
            self.first.push(Candidate {
                order,
                key,
                block: block.clone(),
                row,
            });
        }
        Ok(())
    }
}

fn key_of(times: &[i64], positions: &[u64], row: u32) -> RowKey {
    RowKey {
        timestamp: Timestamp(times[row as usize]),
        position: Position(positions[row as usize]),
    }
}

/// Reads the rows whole, within the bytes of a page; says how many candidates that covers. Rows
/// whose block cannot be read are left out, and named as a fault.
fn materialise(
    scan: &Scan<'_>,
    found: &[Candidate<'_>],
    output: &RowsOutput,
) -> Result<(Vec<Row>, usize), ScanError> {
    let fields: Option<Vec<AskedField>> = output.fields.as_deref().map(|fields| {
        let asked = fields.iter().map(|name| AskedField::new(name));
        asked.collect()
    });
    let mut rows = Vec::with_capacity(found.len());
    let mut taken = 0;
    let mut bytes_left = output.bytes_max.min(PAGE_BYTES_MAX);
    let mut rows_next = FIRST_ROWS;
    while taken < found.len() {
        let part = &found[taken..found.len().min(taken + rows_next)];
        let bytes_max = match part.len() {
            // A page has at least one row, however long.
            1 if rows.is_empty() => usize::MAX,
            _ => bytes_left,
        };
        match read_rows(scan, part, fields.as_deref(), bytes_max)? {
            Some((read, bytes)) => {
                taken += part.len();
                bytes_left = bytes_left.saturating_sub(bytes);
                rows.extend(read);
                // Blocks are read once for all their rows on the page, if those are of usual size.
                let row_bytes = (bytes / part.len()).max(1);
                rows_next = (bytes_left / row_bytes / 2).max(1);
            }
            None if part.len() == 1 => break,
            None => rows_next = part.len() / 2,
        }
    }
    Ok((rows, taken))
}

/// Reads rows that are wanted together, block by block; `None` if they pass `bytes_max`.
fn read_rows(
    scan: &Scan<'_>,
    wanted: &[Candidate<'_>],
    fields: Option<&[AskedField]>,
    bytes_max: usize,
) -> Result<Option<(Vec<Row>, usize)>, ScanError> {
    let mut blocks: BTreeMap<*const OpenBlock<'_>, Vec<usize>> = BTreeMap::new();
    for (index, candidate) in wanted.iter().enumerate() {
        blocks
            .entry(Arc::as_ptr(&candidate.block))
            .or_default()
            .push(index);
    }
    let groups: Vec<&[usize]> = blocks.values().map(Vec::as_slice).collect();
    let part = RowsPart {
        scan,
        wanted,
        fields,
        bytes_max,
        bytes: AtomicUsize::new(0),
    };
    let read = if groups.len() < SECOND_THREAD_BLOCKS_MIN {
        part.read(&groups)?
    } else {
        let (mine, others) = groups.split_at(groups.len() / 2);
        let (mine, others) = std::thread::scope(|scope| {
            let others = scope.spawn(|| part.read(others));
            (part.read(mine), others.join())
        });
        let others = others.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        mine?.zip(others).map(|(mut mine, others)| {
            mine.extend(others);
            mine
        })
    };
    let Some(read) = read else {
        return Ok(None);
    };
    let mut out: Vec<Option<Row>> = wanted.iter().map(|_| None).collect();
    for (index, row) in read {
        out[index] = Some(row);
    }
    let bytes = part.bytes.into_inner();
    Ok(Some((out.into_iter().flatten().collect(), bytes)))
}

/// Rows that are read together, by threads that share what they may have.
struct RowsPart<'p, 'a> {
    scan: &'p Scan<'p>,
    wanted: &'p [Candidate<'a>],
    fields: Option<&'p [AskedField]>,
    bytes_max: usize,
    bytes: AtomicUsize,
}

impl RowsPart<'_, '_> {
    /// Reads some of the rows, those of one block after the other, with their numbers among the
    /// wanted; `None` if all that are read pass what they may have.
    fn read(&self, blocks: &[&[usize]]) -> Result<Option<Vec<(usize, Row)>>, ScanError> {
        let mut out = Vec::new();
        for indexes in blocks {
            let candidates: Vec<_> = indexes.iter().map(|index| &self.wanted[*index]).collect();
            let bytes_left = self.bytes_max.saturating_sub(self.bytes.load(Relaxed));
            match read_block(self.scan, &candidates, self.fields, bytes_left) {
                Ok(Some((rows, bytes))) => {
                    let before = self.bytes.fetch_add(bytes, Relaxed);
                    if before.saturating_add(bytes) > self.bytes_max {
                        return Ok(None);
                    }
                    out.extend(indexes.iter().copied().zip(rows));
                }
                Ok(None) => return Ok(None),
                Err(BlockFault::Stop(error)) => return Err(error),
                Err(BlockFault::Read(error)) => {
                    let key = candidates[0].block.open.partition.key;
                    self.scan.note(key, &error);
                }
            }
        }
        Ok(Some(out))
    }
}

/// Reads rows of one block, at least one; `None` if they pass `bytes_max`.
fn read_block(
    scan: &Scan<'_>,
    wanted: &[&Candidate<'_>],
    fields: Option<&[AskedField]>,
    bytes_max: usize,
) -> Result<Option<(Vec<Row>, usize)>, BlockFault> {
    let block = &wanted[0].block;
    let mut view = scan.view(block);
    let mut rows: Vec<Row> = wanted
        .iter()
        .map(|candidate| row_without_fields(scan, candidate))
        .collect();
    let mut bytes = rows.len() * size_of::<Row>();
    let mut wanted_rows: Vec<u32> = wanted.iter().map(|candidate| candidate.row).collect();
    wanted_rows.sort_unstable();
    let mut all = Vec::new();
    if fields.is_none() {
        let mut names = block.open.columns.names.clone();
        names.sort();
        all.extend(names.into_iter().map(|name| AskedField {
            canonical: name,
            alias: None,
        }));
    }
    for asked in fields.unwrap_or(&all) {
        let columns = asked.load_at(&mut view, &wanted_rows)?;
        if columns.is_empty() {
            continue;
        }
        for (row, candidate) in rows.iter_mut().zip(wanted) {
            let Some((name, value)) = columns.get_named(asked, candidate.row) else {
                continue;
            };
            // The canonical field is there once, by whichever names it was asked for.
            if fields.is_some() && row.get(name).is_some() {
                continue;
            }
            bytes += value.text.len() + FIELD_BYTES;
            if bytes > bytes_max {
                return Ok(None);
            }
            let value = OwnedValue {
                kind: value.kind,
                text: value.text.to_owned(),
            };
            row.fields.push((name.clone(), value));
        }
    }
    Ok(Some((rows, bytes)))
}

fn row_without_fields(scan: &Scan<'_>, candidate: &Candidate<'_>) -> Row {
    let key = candidate.block.open.partition.key;
    Row {
        key: candidate.key,
        tenant: key.tenant,
        stream: key.stream,
        id: RecordId {
            day: key.day,
            stream: key.stream,
            node: scan.request().node(),
            epoch: scan.epoch(),
            position: candidate.key.position,
        },
        fields: Vec::new(),
    }
}
