//! One partition in memory: its sections, and the chunks of its tail.
//!
//! Invariants
//! - Every row is in exactly one of: a section, a chunk that is being flushed, a chunk of the tail.
//! - Eight or more neighbouring chunks of one size or smaller become one, up to
//!   [`MERGED_ROWS_MAX`] rows. Where a larger one comes and they are not merged with it, those
//!   before it are merged among themselves, as far as they fit. So a row is copied some few times,
//!   rows of large requests hardly ever, and a tail of n rows has at most n / 2,048 chunks and some
//!   30 of the newest rows, unless its chunks have too many columns to be merged.
//! - No chunk is made past [`CHUNK_ROWS_MAX`] rows or [`COLUMNS_MAX`] columns: one that no section
//!   can hold could never be flushed.
use crate::{
    bundle::section_name,
    manifest::{Cleared, SectionId, SectionMeta},
    read::RowSource,
    segment::COLUMNS_MAX,
    segment::SectionReader,
    snapshot::PartitionView,
    tail::TailChunk,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use taffrail_model::{
    column::ColumnSet,
    position::{PartitionKey, Position},
};

/// Chunks of one size that are merged together.
const MERGE_FAN_IN: usize = 8;
/// Rows of one chunk: a request with more is cut, so that a chunk is a small block.
pub(crate) const CHUNK_ROWS_MAX: usize = 65_536;
/// Rows of a merged chunk. Merging is done within a commit, at about 0.1 us a row, so this many hold
/// it up for less than a sync does; and a read of a full tail goes over 64 chunks, not hundreds.
const MERGED_ROWS_MAX: usize = 16_384;

/// A section that is served.
pub(crate) struct Section {
    pub(crate) number: u64,
    pub(crate) meta: SectionMeta,
    pub(crate) reader: Arc<SectionReader>,
    /// Whether it is damaged: it is named in the faults and not read again.
    pub(crate) is_excluded: bool,
}

impl Section {
    pub(crate) fn id(&self) -> SectionId {
        (self.number, self.meta.index)
    }

    pub(crate) fn name(&self) -> String {
        section_name(self.number, self.meta.index)
    }
}

/// A partition.
#[derive(Default)]
pub(crate) struct Partition {
    sections: Vec<Section>,
    /// Those of the sections that are read, as views share them; `None`: they have changed.
    served: Option<Arc<Vec<Arc<dyn RowSource>>>>,
    flushing: Vec<Arc<TailChunk>>,
    tail: Vec<Arc<TailChunk>>,
}

impl Partition {
    /// Adds acknowledged rows; returns by how many bytes the tail grew.
    pub(crate) fn push(
        &mut self,
        timestamps: Vec<i64>,
        first: Position,
        columns: ColumnSet,
    ) -> i64 {
        let before = bytes(&self.tail);
        for chunk in cut(timestamps, first, columns) {
            self.tail.push(Arc::new(chunk));
            self.merge();
        }
        bytes(&self.tail) as i64 - before as i64
    }

    fn merge(&mut self) {
        while let Some(last) = self.tail.last() {
            let size = size_class(last);
            let mut merged_rows = 0;
            // A large one takes in the small ones before it, and none that is too large with them.
            let alike = self.tail.iter().rev().take_while(|chunk| {
                merged_rows += rows(chunk);
                size_class(chunk) <= size && merged_rows <= MERGED_ROWS_MAX
            });
            let alike = alike.count();
            let first = self.tail.len() - alike;
            if alike < MERGE_FAN_IN || !do_columns_fit(&self.tail[first..]) {
                self.merge_smaller(size);
                return;
            }
            let merged = merged(&self.tail.split_off(first));
            self.tail.push(Arc::new(merged));
        }
    }

    /// Merges the chunks before the last one that are smaller than it, of size `size`, among
    /// themselves: few of them are in a run with others any more.
    fn merge_smaller(&mut self, size: u32) {
        let Some((_, before)) = self.tail.split_last() else {
            return;
        };
        let is_smaller = |chunk: &&Arc<TailChunk>| size_class(chunk) < size;
        let smaller = before.iter().rev().take_while(is_smaller).count();
        if smaller < 2 {
            return;
        }
        let from = before.len() - smaller;
        let mut chunks = self.tail.split_off(from);
        let last = chunks.pop();
        while !chunks.is_empty() {
            let rest = chunks.split_off(fitting(&chunks));
            match chunks.as_slice() {
                [one] => self.tail.push(one.clone()),
                several => self.tail.push(Arc::new(merged(several))),
            }
            chunks = rest;
        }
        self.tail.extend(last);
    }

    /// Takes what is to be flushed: the tail, and what an earlier flush could not write. The rows
    /// stay readable.
    pub(crate) fn freeze(&mut self) -> Vec<Arc<TailChunk>> {
        self.flushing.append(&mut self.tail);
        self.flushing.clone()
    }

    /// Drops the frozen chunks, which are in sections now; returns their bytes.
    pub(crate) fn drop_frozen(&mut self) -> usize {
        let bytes = bytes(&self.flushing);
        self.flushing.clear();
        bytes
    }

    pub(crate) fn unflushed_bytes(&self) -> usize {
        bytes(&self.tail) + bytes(&self.flushing)
    }

    pub(crate) fn unflushed_rows(&self) -> usize {
        self.chunks().map(|chunk| rows(chunk)).sum()
    }

    /// Position of the last row that is in no section.
    pub(crate) fn last_unflushed(&self) -> Option<Position> {
        let last = self.chunks().map(|chunk| chunk.extent().position_max);
        last.max()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sections.is_empty() && self.tail.is_empty() && self.flushing.is_empty()
    }

    pub(crate) fn chunks(&self) -> impl Iterator<Item = &Arc<TailChunk>> {
        self.flushing.iter().chain(&self.tail)
    }

    pub(crate) fn sections(&self) -> &[Section] {
        &self.sections
    }

    pub(crate) fn add_section(&mut self, section: Section) {
        self.served = None;
        self.sections.push(section);
    }

    /// Drops the sections of which `keep` says so.
    pub(crate) fn retain_sections(&mut self, keep: impl Fn(&Section) -> bool) {
        self.served = None;
        self.sections.retain(keep);
    }

    /// Stops reading the section that has this name; whether there was one.
    pub(crate) fn exclude(&mut self, name: &str) -> bool {
        let mut sections = self.sections.iter_mut();
        let found = sections.find(|section| !section.is_excluded && section.name() == name);
        let Some(section) = found else {
            return false;
        };
        section.is_excluded = true;
        self.served = None;
        true
    }

    /// Takes over what was found to hold for a section.
    pub(crate) fn clear(&mut self, cleared: &Cleared) {
        let mut sections = self.sections.iter_mut();
        if let Some(section) = sections.find(|section| section.id() == cleared.section) {
            section.meta.applied = cleared.applied;
            section.meta.rules = cleared.rules;
            section.reader.note_applied(cleared.applied);
        }
    }

    /// What a snapshot shows of it. It costs as many steps as there are chunks in the tail, unless
    /// its sections have changed.
    pub(crate) fn view(&mut self, key: PartitionKey) -> Arc<PartitionView> {
        let sections = &self.sections;
        let served = self.served.get_or_insert_with(|| {
            let served = sections.iter().filter(|section| !section.is_excluded);
            let readers = served.map(|section| section.reader.clone() as Arc<dyn RowSource>);
            Arc::new(readers.collect())
        });
        let served = served.clone();
        let chunks = self
            .chunks()
            .map(|chunk| chunk.clone() as Arc<dyn RowSource>);
        Arc::new(PartitionView::new(key, served, chunks.collect()))
    }
}

fn rows(chunk: &TailChunk) -> usize {
    chunk.extent().rows as usize
}

fn bytes(chunks: &[Arc<TailChunk>]) -> usize {
    chunks.iter().map(|chunk| chunk.memory_bytes()).sum()
}

/// How many of the first of some chunks can be merged; one at least.
fn fitting(chunks: &[Arc<TailChunk>]) -> usize {
    let mut columns = ColumnUnion::default();
    let mut merged_rows = 0;
    let fitting = chunks.iter().take_while(|chunk| {
        merged_rows += rows(chunk);
        merged_rows <= MERGED_ROWS_MAX && columns.take(chunk)
    });
    fitting.count().max(1)
}

/// Whether one section, or chunk, can have the columns of all.
fn do_columns_fit(chunks: &[Arc<TailChunk>]) -> bool {
    let mut columns = ColumnUnion::default();
    chunks.iter().all(|chunk| columns.take(chunk))
}

/// The names of the columns of some chunks, as long as a section can have them all.
#[derive(Default)]
pub(crate) struct ColumnUnion<'a> {
    names: HashSet<&'a str>,
}

impl<'a> ColumnUnion<'a> {
    /// Adds the columns of a chunk; `false`, and some of them are missing, if they are too many.
    pub(crate) fn take(&mut self, chunk: &'a TailChunk) -> bool {
        for (name, _) in chunk.columns() {
            if self.names.insert(name) && self.names.len() > COLUMNS_MAX {
                return false;
            }
        }
        true
    }
}

/// 0 for up to 7 rows, 1 for up to 63, and so on.
fn size_class(chunk: &TailChunk) -> u32 {
    rows(chunk).ilog2() / MERGE_FAN_IN.ilog2()
}

fn cut(timestamps: Vec<i64>, first: Position, columns: ColumnSet) -> Vec<TailChunk> {
    let count = timestamps.len();
    let positions = |start: usize, end: usize| -> Vec<u64> {
        (first.0 + start as u64..first.0 + end as u64).collect()
    };
    if count == 0 {
        return Vec::new();
    }
    if count <= CHUNK_ROWS_MAX {
        return vec![TailChunk::new(timestamps, positions(0, count), columns)];
    }
    let starts = (0..count).step_by(CHUNK_ROWS_MAX);
    starts
        .map(|start| {
            let end = count.min(start + CHUNK_ROWS_MAX);
            let keep: Vec<u32> = (start as u32..end as u32).collect();
            TailChunk::new(
                timestamps[start..end].to_vec(),
                positions(start, end),
                columns.select(&keep),
            )
        })
        .collect()
}

fn merged(chunks: &[Arc<TailChunk>]) -> TailChunk {
    let count = chunks.iter().map(|chunk| rows(chunk)).sum();
    let mut timestamps = Vec::with_capacity(count);
    let mut positions = Vec::with_capacity(count);
    let mut columns = ColumnSet::default();
    // Each column is made as large as it will be, so that appending moves nothing.
    let mut sizes: HashMap<&str, (usize, usize)> = HashMap::new();
    for (name, column) in chunks.iter().flat_map(|chunk| chunk.columns()) {
        let (values, text_bytes) = sizes.entry(name).or_default();
        *values += column.len();
        *text_bytes += column.text().len();
        columns.slot(name);
    }
    for (name, column) in columns.iter_mut() {
        let (values, text_bytes) = sizes.get(&**name).copied().unwrap_or_default();
        column.reserve(values, text_bytes);
    }
    let mut first_row = 0;
    for chunk in chunks {
        timestamps.extend_from_slice(chunk.all_timestamps());
        positions.extend_from_slice(chunk.all_positions());
        for (name, column) in chunk.columns() {
            columns.get_or_create(name).append(first_row, column);
        }
        first_row += chunk.extent().rows;
    }
    columns.set_rows(first_row);
    TailChunk::new(timestamps, positions, columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_model::column::Kind;
    use taffrail_testkit::Random;

    fn batch(first: u64, count: usize) -> (Vec<i64>, Position, ColumnSet) {
        let mut columns = ColumnSet::default();
        for row in 0..count as u32 {
            let text = (first + u64::from(row)).to_string();
            columns.get_or_create("n").push(row, Kind::Integer, &text);
            if row % 3 == 0 {
                columns
                    .get_or_create("third")
                    .push(row, Kind::String, &text);
            }
        }
        columns.set_rows(count as u32);
        (vec![7; count], Position(first), columns)
    }

    /// Positions and the text of `n` in order, over all chunks.
    fn rows_of(partition: &Partition) -> Vec<(u64, String)> {
        let mut out = Vec::new();
        for chunk in partition.chunks() {
            let column = chunk.column(0, "n").unwrap().unwrap();
            for (at, position) in chunk.all_positions().iter().enumerate() {
                let value = column.get(at as u32).unwrap();
                out.push((*position, value.text.to_string()));
            }
        }
        out
    }

    fn expected(rows: std::ops::Range<u64>) -> Vec<(u64, String)> {
        rows.map(|position| (position, position.to_string()))
            .collect()
    }

    /// That a tail keeps few chunks, and every row, while batches of these sizes come.
    #[track_caller]
    fn check_tail(sizes: impl Iterator<Item = usize>) {
        let mut partition = Partition::default();
        let mut next = 1;
        for batch_rows in sizes {
            if next > 300_000 {
                break;
            }
            let (timestamps, first, columns) = batch(next, batch_rows);
            partition.push(timestamps, first, columns);
            next += batch_rows as u64;
            let (rows, chunks) = (next as usize - 1, partition.tail.len());
            let most = rows / (MERGED_ROWS_MAX / MERGE_FAN_IN) + 4 * MERGE_FAN_IN;
            assert!(chunks <= most, "{chunks} chunks of {rows} rows");
        }
        assert_eq!(rows_of(&partition), expected(1..next));
        assert_eq!(partition.unflushed_rows() as u64, next - 1);
    }

    #[test]
    fn a_tail_keeps_few_chunks_and_every_row() {
        for sizes in [
            vec![1usize],
            vec![3],
            vec![100],
            vec![2_047],
            // A shipper beside one that trickles.
            [vec![10_000], vec![1; 7]].concat(),
            [vec![4_096], vec![1; 63]].concat(),
            [vec![700; 5], vec![60; 5], vec![1; 5]].concat(),
            // The large ones do not fit together.
            [vec![8_193], vec![1; 6]].concat(),
            [vec![20_000], vec![1; 4_095]].concat(),
            vec![4_096, 1],
            vec![10_000, 600, 1],
        ] {
            // Those of one row are too many to be all tried.
            let batches = if sizes.len() == 1 { 3_000 } else { 60_000 };
            check_tail(sizes.iter().copied().cycle().take(batches));
        }
    }

    #[test]
    fn a_tail_keeps_few_chunks_in_whatever_order_they_come() {
        let sizes = [1, 1, 1, 7, 8, 60, 600, 2_049, 4_095, 4_096, 8_193, 20_000];
        for seed in 0..6 {
            let mut random = Random::new(seed);
            // Some of them alone, so that each comes beside each.
            let few: Vec<usize> = (0..4).map(|_| random.pick(&sizes)).collect();
            check_tail(std::iter::repeat_with(|| random.pick(&few)).take(5_000));
        }
    }

    #[test]
    fn chunks_are_merged_up_to_a_bound() {
        let each = MERGED_ROWS_MAX / MERGE_FAN_IN;
        for (rows, chunks) in [(each, 1), (each + 1, MERGE_FAN_IN)] {
            let mut partition = Partition::default();
            for number in 0..MERGE_FAN_IN {
                let (timestamps, first, columns) = batch((1 + number * rows) as u64, rows);
                partition.push(timestamps, first, columns);
            }
            assert_eq!(partition.tail.len(), chunks, "{rows}");
        }
    }

    #[test]
    fn a_large_batch_is_cut() {
        let mut partition = Partition::default();
        let (timestamps, first, columns) = batch(5, CHUNK_ROWS_MAX * 2 + 10);
        let grown = partition.push(timestamps, first, columns);
        assert_eq!(partition.tail.len(), 3);
        assert_eq!(grown as usize, partition.unflushed_bytes());
        let end = 5 + CHUNK_ROWS_MAX as u64 * 2 + 10;
        assert_eq!(rows_of(&partition), expected(5..end));
    }

    #[test]
    fn chunks_are_not_merged_past_the_columns_of_a_section() {
        let mut partition = Partition::default();
        let names_each = COLUMNS_MAX / 4;
        for first in 1..=20 {
            let mut columns = ColumnSet::default();
            for name in 0..names_each {
                columns
                    .get_or_create(&format!("{first} {name}"))
                    .push(0, Kind::String, "x");
            }
            columns.set_rows(1);
            partition.push(vec![7], Position(first), columns);
        }
        assert_eq!(partition.unflushed_rows(), 20);
        let columns = |chunk: &Arc<TailChunk>| chunk.columns().count();
        let all: usize = partition.chunks().map(columns).sum();
        assert_eq!(all, 20 * names_each);
        assert!(
            partition
                .chunks()
                .all(|chunk| columns(chunk) <= COLUMNS_MAX)
        );
    }

    #[test]
    fn frozen_rows_stay_readable_until_they_are_dropped() {
        let mut partition = Partition::default();
        let push = |partition: &mut Partition, first| {
            let (timestamps, first, columns) = batch(first, 2);
            partition.push(timestamps, first, columns);
        };
        push(&mut partition, 1);
        assert_eq!(partition.freeze().len(), 1);
        push(&mut partition, 3);
        assert_eq!(rows_of(&partition), expected(1..5));
        // A flush that failed: the next one takes everything.
        assert_eq!(partition.freeze().len(), 2);
        push(&mut partition, 5);
        assert_eq!(partition.last_unflushed(), Some(Position(6)));
        assert!(partition.drop_frozen() > 0);
        assert_eq!(rows_of(&partition), expected(5..7));
    }
}
