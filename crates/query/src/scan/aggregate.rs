//! Counts: of everything, by time, by value, by field.
//!
//! Histograms and totals are exact. A facet is exact up to `FACET_DISTINCT_MAX` different values;
//! past it the rare half of the values is dropped whenever the table is full, so that frequent
//! values keep nearly all of their count, and the number of different values is estimated from
//! the smallest hashes.
use super::{
    asked::{AskedColumns, AskedField},
    block::{BlockFault, BlockView, LoadedColumn},
    drive::{Collector, OpenBlock, Scan},
    selection::Selection,
};
use crate::result::{Facet, FacetValue, FieldSummary, Histogram, ScanError, Series, SeriesKey};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};
use taffrail_model::{
    column::{FieldName, Kind},
    field,
    limits::{
        FACET_BYTES_MAX, FACET_DISTINCT_MAX, FACET_VALUES_MAX, HISTOGRAM_BUCKETS_MAX,
        HISTOGRAM_SERIES_MAX,
    },
    time::{TimeRange, Timestamp},
};
use taffrail_storage::read::{Extent, token_hash};

/// Runs a count.
pub(super) fn count(scan: &Scan<'_>) -> Result<u64, ScanError> {
    Ok(scan.run(CountCollector(0))?.0)
}

struct CountCollector(u64);

impl<'a> Collector<'a> for CountCollector {
    fn fork(&self) -> Self {
        CountCollector(0)
    }

    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }

    fn take_whole(&mut self, extent: &Extent) -> bool {
        self.0 += u64::from(extent.rows);
        true
    }

    fn take_count(&mut self, rows: u64) -> bool {
        self.0 += rows;
        true
    }

    fn take(
        &mut self,
        _: &OpenBlock<'a>,
        _: &mut BlockView<'_>,
        selection: &Selection,
    ) -> Result<(), BlockFault> {
        self.0 += selection.count() as u64;
        Ok(())
    }
}

/// Finds the times of the earliest and the latest match.
pub(super) fn time_extent(scan: &Scan<'_>) -> Result<Option<TimeRange>, ScanError> {
    Ok(scan.run(ExtentCollector(None))?.0)
}

struct ExtentCollector(Option<TimeRange>);

impl ExtentCollector {
    fn add(&mut self, start: Timestamp, end: Timestamp) {
        let have = self.0.get_or_insert(TimeRange { start, end });
        have.start = have.start.min(start);
        have.end = have.end.max(end);
    }
}

impl<'a> Collector<'a> for ExtentCollector {
    fn fork(&self) -> Self {
        ExtentCollector(self.0)
    }

    fn merge(&mut self, other: Self) {
        if let Some(other) = other.0 {
            self.add(other.start, other.end);
        }
    }

    fn wants(&self, extent: &Extent) -> bool {
        self.0
            .is_none_or(|have| extent.time_min < have.start || have.end < extent.time_max)
    }

    fn take_whole(&mut self, extent: &Extent) -> bool {
        self.add(extent.time_min, extent.time_max);
        true
    }

    fn take(
        &mut self,
        _: &OpenBlock<'a>,
        view: &mut BlockView<'_>,
        selection: &Selection,
    ) -> Result<(), BlockFault> {
        let times = view.timestamps()?;
        for row in selection.iter() {
            let time = Timestamp(times[row as usize]);
            self.add(time, time);
        }
        Ok(())
    }
}

/// Runs a histogram.
pub(super) fn histogram(
    scan: &Scan<'_>,
    interval_ns: i64,
    by: Option<&FieldName>,
) -> Result<Histogram, ScanError> {
    if interval_ns <= 0 {
        return Err(too_many_buckets(scan, interval_ns)?);
    }
    let by = by.map(|name| AskedField::new(name));
    let mut found = scan.run(HistogramCollector::new(interval_ns, by.clone(), None))?;
    if let (true, false, Some(name)) = (found.has_other, found.is_too_long(), by) {
        // Which values are the frequent ones is known only when all were counted.
        let top = facets(
            scan,
            std::slice::from_ref(name.name()),
            HISTOGRAM_SERIES_MAX,
        )?;
        let values = top.into_iter().flat_map(|facet| facet.values);
        let shown = values.map(|value| value.value).collect();
        found = scan.run(HistogramCollector::new(
            interval_ns,
            Some(name),
            Some(shown),
        ))?;
    }
    match found.is_too_long() {
        true => Err(too_many_buckets(scan, interval_ns)?),
        false => Ok(found.finish()),
    }
}

/// The error that says which interval would do for the records that match.
fn too_many_buckets(scan: &Scan<'_>, interval_ns: i64) -> Result<ScanError, ScanError> {
    let width = time_extent(scan)?.map_or(0, |range| range.end.0.saturating_sub(range.start.0));
    Ok(ScanError::TooManyBuckets {
        interval_ns,
        max: HISTOGRAM_BUCKETS_MAX,
        // A bucket may be cut at either end.
        least_ns: width / (HISTOGRAM_BUCKETS_MAX as i64 - 2) + 1,
    })
}

struct HistogramCollector {
    interval_ns: i64,
    by: Option<AskedField>,
    /// Values that have a series of their own; `None`: the first `HISTOGRAM_SERIES_MAX`.
    shown: Option<Vec<String>>,
    has_other: bool,
    keys: Vec<SeriesKey>,
    series_of: HashMap<String, usize>,
    /// Counts of each bucket, by series.
    buckets: BTreeMap<i64, Vec<u64>>,
}

impl HistogramCollector {
    fn new(interval_ns: i64, by: Option<AskedField>, shown: Option<Vec<String>>) -> Self {
        HistogramCollector {
            interval_ns,
            by,
            shown,
            has_other: false,
            keys: Vec::new(),
            series_of: HashMap::new(),
            buckets: BTreeMap::new(),
        }
    }

    /// Number of a series, created if missing.
    fn series(&mut self, key: SeriesKey) -> usize {
        self.keys
            .iter()
            .position(|have| *have == key)
            .unwrap_or_else(|| {
                self.keys.push(key);
                self.keys.len() - 1
            })
    }

    fn series_of_value(&mut self, text: &str) -> usize {
        if let Some(series) = self.series_of.get(text) {
            return *series;
        }
        let is_shown = match &self.shown {
            Some(shown) => shown.iter().any(|have| have == text),
            None => self.series_of.len() < HISTOGRAM_SERIES_MAX,
        };
        if !is_shown {
            self.has_other = true;
            return self.series(SeriesKey::Other);
        }
        let series = self.series(SeriesKey::Value(text.to_owned()));
        self.series_of.insert(text.to_owned(), series);
        series
    }

    fn add(&mut self, bucket: i64, series: usize, count: u64) {
        let counts = self.buckets.entry(bucket).or_default();
        if counts.len() <= series {
            counts.resize(series + 1, 0);
        }
        counts[series] += count;
    }

    fn is_too_long(&self) -> bool {
        self.buckets.len() > HISTOGRAM_BUCKETS_MAX
    }

    fn finish(self) -> Histogram {
        let mut series: Vec<Series> = self
            .keys
            .into_iter()
            .map(|key| Series {
                key,
                points: Vec::new(),
            })
            .collect();
        for (bucket, counts) in self.buckets {
            for (series, count) in series.iter_mut().zip(counts) {
                if count > 0 {
                    series
                        .points
                        .push((Timestamp(bucket * self.interval_ns), count));
                }
            }
        }
        series.sort_by(|a, b| b.total().cmp(&a.total()).then_with(|| a.key.cmp(&b.key)));
        Histogram {
            interval_ns: self.interval_ns,
            series,
        }
    }

    /// The series of each row of a block, in the order of the selection.
    fn series_of_rows(
        &mut self,
        by: Option<&AskedColumns>,
        constant: Option<usize>,
        selection: &Selection,
    ) -> Vec<usize> {
        if let Some(series) = constant {
            return vec![series; selection.count()];
        }
        let mut out = Vec::with_capacity(selection.count());
        let mut missing = None;
        // Neighbours often have the same value.
        let mut last: Option<(&str, usize)> = None;
        for row in selection.iter() {
            let Some(value) = by.and_then(|columns| columns.get(row)) else {
                out.push(*missing.get_or_insert_with(|| self.series(SeriesKey::Missing)));
                continue;
            };
            let series = match last {
                Some((text, series)) if text == value.text => series,
                _ => self.series_of_value(value.text),
            };
            last = Some((value.text, series));
            out.push(series);
        }
        out
    }
}

impl<'a> Collector<'a> for HistogramCollector {
    fn fork(&self) -> Self {
        HistogramCollector::new(self.interval_ns, self.by.clone(), self.shown.clone())
    }

    fn merge(&mut self, other: Self) {
        let mut renumbered = Vec::with_capacity(other.keys.len());
        for key in other.keys {
            renumbered.push(match key {
                SeriesKey::Value(text) => self.series_of_value(&text),
                key => self.series(key),
            });
        }
        self.has_other |= other.has_other;
        for (bucket, counts) in other.buckets {
            for (series, count) in renumbered.iter().zip(counts) {
                self.add(bucket, *series, count);
            }
        }
    }

    /// Once there are too many buckets, the rest is not needed to say so.
    fn wants(&self, _: &Extent) -> bool {
        !self.is_too_long()
    }

    fn take_whole(&mut self, extent: &Extent) -> bool {
        let first = extent.time_min.0.div_euclid(self.interval_ns);
        let is_one_bucket = first == extent.time_max.0.div_euclid(self.interval_ns);
        if self.by.is_some() || !is_one_bucket {
            return false;
        }
        let series = self.series(SeriesKey::All);
        self.add(first, series, u64::from(extent.rows));
        true
    }

    fn take(
        &mut self,
        block: &OpenBlock<'a>,
        view: &mut BlockView<'_>,
        selection: &Selection,
    ) -> Result<(), BlockFault> {
        let times = view.timestamps()?;
        let (by, constant) = match self.by.clone() {
            None => (None, Some(self.series(SeriesKey::All))),
            Some(asked) if &*asked.canonical == field::STREAM => (
                None,
                Some(self.series_of_value(&block.open.partition.stream.name)),
            ),
            Some(asked) => (Some(asked.load(view)?), None),
        };
        let series = self.series_of_rows(by.as_ref(), constant, selection);
        let mut counts = vec![0; self.keys.len()];
        let mut bucket = None;
        for (row, series) in selection.iter().zip(series) {
            let next = times[row as usize].div_euclid(self.interval_ns);
            if bucket != Some(next) {
                self.flush(bucket, &mut counts);
                bucket = Some(next);
            }
            counts[series] += 1;
        }
        self.flush(bucket, &mut counts);
        Ok(())
    }
}

impl HistogramCollector {
    fn flush(&mut self, bucket: Option<i64>, counts: &mut [u64]) {
        let Some(bucket) = bucket else {
            return;
        };
        for (series, count) in counts.iter_mut().enumerate() {
            if *count > 0 {
                self.add(bucket, series, std::mem::take(count));
            }
        }
    }
}

/// Runs facets.
pub(super) fn facets(
    scan: &Scan<'_>,
    fields: &[FieldName],
    limit: usize,
) -> Result<Vec<Facet>, ScanError> {
    if limit > FACET_VALUES_MAX {
        return Err(ScanError::PastLimit {
            what: "limit",
            given: limit,
            max: FACET_VALUES_MAX,
        });
    }
    let tables = fields
        .iter()
        .map(|name| FacetTable::new(AskedField::new(name)));
    let found = scan.run(FacetCollector {
        tables: tables.collect(),
    })?;
    Ok(found
        .tables
        .into_iter()
        .map(|table| table.finish(limit))
        .collect())
}

struct FacetCollector {
    tables: Vec<FacetTable>,
}

/// Counts by value of one field.
struct FacetTable {
    field: AskedField,
    counts: HashMap<String, u64>,
    bytes: usize,
    /// Set when values were dropped for the first time.
    sketch: Option<DistinctSketch>,
}

impl FacetTable {
    fn new(field: AskedField) -> FacetTable {
        FacetTable {
            field,
            counts: HashMap::new(),
            bytes: 0,
            sketch: None,
        }
    }
}

impl FacetTable {
    fn add(&mut self, text: &str, count: u64) {
        if let Some(have) = self.counts.get_mut(text) {
            *have += count;
            return;
        }
        if let Some(sketch) = &mut self.sketch {
            sketch.add(text);
        }
        self.counts.insert(text.to_owned(), count);
        self.bytes += text.len();
        if self.counts.len() > FACET_DISTINCT_MAX || self.bytes > FACET_BYTES_MAX {
            self.drop_rare_half();
        }
    }

    fn drop_rare_half(&mut self) {
        let counts = &mut self.counts;
        self.sketch
            .get_or_insert_with(|| DistinctSketch::of(counts.keys()));
        let mut ranked: Vec<(u64, u64)> = counts
            .iter()
            .map(|(text, count)| (*count, token_hash(text)))
            .collect();
        let middle = ranked.len() / 2;
        let (_, median, _) = ranked.select_nth_unstable(middle);
        let median = *median;
        counts.retain(|text, count| (*count, token_hash(text)) > median);
        self.bytes = counts.keys().map(String::len).sum();
    }

    fn merge(&mut self, other: FacetTable) {
        if let Some(theirs) = other.sketch {
            let mine = self
                .sketch
                .get_or_insert_with(|| DistinctSketch::of(self.counts.keys()));
            mine.merge(theirs);
        }
        for (text, count) in other.counts {
            self.add(&text, count);
        }
    }

    fn finish(self, limit: usize) -> Facet {
        let distinct = match &self.sketch {
            Some(sketch) => sketch.estimate().max(self.counts.len() as u64),
            None => self.counts.len() as u64,
        };
        let mut values: Vec<FacetValue> = self
            .counts
            .into_iter()
            .map(|(value, count)| FacetValue { value, count })
            .collect();
        values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        values.truncate(limit);
        Facet {
            field: self.field.name().clone(),
            values,
            distinct,
            is_estimate: self.sketch.is_some(),
        }
    }
}

/// Estimates the number of different values by the k smallest of their hashes: if the k-th
/// smallest lies at a fraction f of the range, there are about (k - 1) / f. The error is about
/// 3% with k = 1,024.
struct DistinctSketch(BTreeSet<u64>);

impl DistinctSketch {
    const HASHES: usize = 1_024;

    fn of<'t>(texts: impl Iterator<Item = &'t String>) -> DistinctSketch {
        let mut sketch = DistinctSketch(BTreeSet::new());
        texts.for_each(|text| sketch.add(text));
        sketch
    }

    fn add(&mut self, text: &str) {
        self.add_hash(token_hash(text));
    }

    fn add_hash(&mut self, hash: u64) {
        let is_small =
            self.0.len() < Self::HASHES || self.0.last().is_some_and(|last| hash < *last);
        if is_small && self.0.insert(hash) && self.0.len() > Self::HASHES {
            self.0.pop_last();
        }
    }

    fn merge(&mut self, other: DistinctSketch) {
        other.0.into_iter().for_each(|hash| self.add_hash(hash));
    }

    fn estimate(&self) -> u64 {
        match self.0.last() {
            Some(last) if self.0.len() == Self::HASHES => {
                let fraction = (*last as f64 + 1.0) / (u64::MAX as f64 + 1.0);
                ((Self::HASHES - 1) as f64 / fraction) as u64
            }
            _ => self.0.len() as u64,
        }
    }
}

impl<'a> Collector<'a> for FacetCollector {
    fn fork(&self) -> Self {
        let fields = self.tables.iter().map(|table| table.field.clone());
        let tables = fields.map(FacetTable::new);
        FacetCollector {
            tables: tables.collect(),
        }
    }

    fn merge(&mut self, other: Self) {
        for (table, other) in self.tables.iter_mut().zip(other.tables) {
            table.merge(other);
        }
    }

    fn take(
        &mut self,
        block: &OpenBlock<'a>,
        view: &mut BlockView<'_>,
        selection: &Selection,
    ) -> Result<(), BlockFault> {
        let columns = self
            .tables
            .iter()
            .map(|table| table.field.load(view))
            .collect::<Result<Vec<_>, _>>()?;
        for (table, columns) in self.tables.iter_mut().zip(columns) {
            if &*table.field.canonical == field::STREAM {
                table.add(&block.open.partition.stream.name, selection.count() as u64);
                continue;
            }
            if columns.alias.is_some() {
                for row in selection.iter() {
                    if let Some(value) = columns.get(row) {
                        table.add(value.text, 1);
                    }
                }
                continue;
            }
            let Some(loaded) = columns.canonical else {
                continue;
            };
            // Runs of the same value are added at once.
            let mut run: Option<(&str, u64)> = None;
            for (row, value) in loaded.column.iter() {
                if !selection.has(row) {
                    continue;
                }
                match &mut run {
                    Some((text, count)) if *text == value.text => *count += 1,
                    _ => {
                        if let Some((text, count)) = run.replace((value.text, 1)) {
                            table.add(text, count);
                        }
                    }
                }
            }
            if let Some((text, count)) = run {
                table.add(text, count);
            }
        }
        Ok(())
    }
}

/// Lists the fields of the matching records.
pub(super) fn fields(scan: &Scan<'_>) -> Result<Vec<FieldSummary>, ScanError> {
    let found = scan.run(FieldsCollector::default())?;
    Ok(found
        .fields
        .into_iter()
        .map(|(name, (kinds, count))| FieldSummary {
            name,
            kinds: kinds.into_iter().collect(),
            count,
        })
        .collect())
}

#[derive(Default)]
struct FieldsCollector {
    fields: BTreeMap<FieldName, (BTreeSet<Kind>, u64)>,
}

impl FieldsCollector {
    fn add(&mut self, name: &FieldName, kinds: BTreeSet<Kind>, count: u64) {
        let have = self.fields.entry(name.clone()).or_default();
        have.0.extend(kinds);
        have.1 += count;
    }
}

impl<'a> Collector<'a> for FieldsCollector {
    fn fork(&self) -> Self {
        FieldsCollector::default()
    }

    fn merge(&mut self, other: Self) {
        for (name, (kinds, count)) in other.fields {
            self.add(&name, kinds, count);
        }
    }

    fn take(
        &mut self,
        block: &OpenBlock<'a>,
        view: &mut BlockView<'_>,
        selection: &Selection,
    ) -> Result<(), BlockFault> {
        let names = &block.open.columns.names;
        let columns: Vec<(&FieldName, Option<Rc<LoadedColumn>>)> = names
            .iter()
            .map(|name| Ok((name, view.column(name)?)))
            .collect::<Result<_, BlockFault>>()?;
        for (name, loaded) in columns {
            let Some(loaded) = loaded else {
                continue;
            };
            let mut kinds = [false; 8];
            let mut count = 0;
            for (row, kind) in loaded.column.rows().iter().zip(loaded.column.kinds()) {
                if selection.has(*row) {
                    kinds[*kind as usize & 7] = true;
                    count += 1;
                }
            }
            if count > 0 {
                let tags = (0u8..8).filter(|tag| kinds[usize::from(*tag)]);
                self.add(name, tags.filter_map(Kind::from_tag).collect(), count);
            }
        }
        Ok(())
    }
}
