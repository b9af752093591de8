//! Counts by time, and by value.
//!
//! Exact. Of more than `HISTOGRAM_SERIES_MAX` values the most frequent ones have a series each, and
//! the others one together.
use super::super::{
    asked::AskedField,
    block::{BlockFault, BlockView},
    drive::{Collector, OpenBlock, Scan},
    selection::Selection,
};
use super::{
    count::time_extent,
    facets::facets,
    keys::{Ids, KeyField},
    tally::Tally,
};
use crate::result::{Histogram, ScanError, Series, SeriesKey};
use std::{
    collections::{BTreeMap, HashMap},
    ops::RangeInclusive,
};
use taffrail_model::{
    column::{FieldName, Value},
    limits::{HISTOGRAM_BUCKETS_MAX, HISTOGRAM_SERIES_MAX},
    time::Timestamp,
};
use taffrail_storage::read::Extent;

/// Runs a histogram.
pub(in crate::scan) fn histogram(
    scan: &Scan<'_>,
    interval_ns: i64,
    by: Option<&FieldName>,
) -> Result<Histogram, ScanError> {
    if interval_ns <= 0 {
        return Err(too_many_buckets(scan, interval_ns)?);
    }
    let by = by.map(|name| AskedField::new(name));
    let mut found = scan
        .run(HistogramCollector::new(interval_ns, by.clone(), None))?
        .counts;
    if let (true, false, Some(name)) = (found.has_other, found.is_too_long(), by) {
        // Which values are the frequent ones is known only when all were counted.
        let top = facets(
            scan,
            std::slice::from_ref(name.name()),
            HISTOGRAM_SERIES_MAX,
        )?;
        let values = top.into_iter().flat_map(|facet| facet.values);
        let shown = values.map(|value| value.value).collect();
        found = scan
            .run(HistogramCollector::new(
                interval_ns,
                Some(name),
                Some(shown),
            ))?
            .counts;
    }
    match found.is_too_long() {
        true => Err(too_many_buckets(scan, interval_ns)?),
        false => Ok(found.finish()),
    }
}

/// The error that says which interval would do for the records that match.
pub(super) fn too_many_buckets(scan: &Scan<'_>, interval_ns: i64) -> Result<ScanError, ScanError> {
    let width = time_extent(scan)?.map_or(0, |range| range.end.0.saturating_sub(range.start.0));
    Ok(ScanError::TooManyBuckets {
        interval_ns,
        max: HISTOGRAM_BUCKETS_MAX,
        // A bucket may be cut at either end.
        least_ns: width / (HISTOGRAM_BUCKETS_MAX as i64 - 2) + 1,
    })
}

struct HistogramCollector<'a> {
    by: Option<KeyField<'a>>,
    counts: Counts,
    tally: Tally,
}

/// What was counted.
struct Counts {
    interval_ns: i64,
    /// Values that have a series of their own; `None`: the first `HISTOGRAM_SERIES_MAX`.
    shown: Option<Vec<String>>,
    has_other: bool,
    keys: Vec<SeriesKey>,
    series_of: HashMap<String, usize>,
    /// Counts of each bucket, by series.
    buckets: BTreeMap<i64, Vec<u64>>,
}

impl<'a> HistogramCollector<'a> {
    fn new(interval_ns: i64, by: Option<AskedField>, shown: Option<Vec<String>>) -> Self {
        HistogramCollector {
            by: by.map(KeyField::new),
            counts: Counts {
                interval_ns,
                shown,
                has_other: false,
                keys: Vec::new(),
                series_of: HashMap::new(),
                buckets: BTreeMap::new(),
            },
            tally: Tally::default(),
        }
    }
}

impl Counts {
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

    fn series_of_row(&mut self, value: Option<Value<'_>>) -> usize {
        match value {
            Some(value) => self.series_of_value(value.text),
            None => self.series(SeriesKey::Missing),
        }
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

    /// The counts of a bucket, one for each series that there is.
    fn bucket(&mut self, bucket: i64) -> &mut Vec<u64> {
        let counts = self.buckets.entry(bucket).or_default();
        if counts.len() < self.keys.len() {
            counts.resize(self.keys.len(), 0);
        }
        counts
    }

    fn add(&mut self, bucket: i64, series: usize, count: u64) {
        if let Some(have) = self.bucket(bucket).get_mut(series) {
            *have += count;
        }
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
}

impl<'a> Collector<'a> for HistogramCollector<'a> {
    fn fork(&self) -> Self {
        HistogramCollector::new(
            self.counts.interval_ns,
            self.by.as_ref().map(|by| by.asked.clone()),
            self.counts.shown.clone(),
        )
    }

    fn merge(&mut self, other: Self) {
        self.counts.merge(other.counts);
    }

    fn is_ordered(&self) -> bool {
        false
    }

    /// Once there are too many buckets, the rest is not needed to say so.
    fn wants(&self, _: &Extent) -> bool {
        !self.counts.is_too_long()
    }

    fn take_whole(&mut self, extent: &Extent) -> bool {
        let bucket = self.counts.bucket_of(extent);
        let (None, Some(bucket)) = (&self.by, bucket) else {
            return false;
        };
        let series = self.counts.series(SeriesKey::All);
        self.counts.add(bucket, series, u64::from(extent.rows));
        true
    }

    fn take(
        &mut self,
        block: &OpenBlock<'a>,
        view: &mut BlockView<'_>,
        selection: &Selection,
    ) -> Result<(), BlockFault> {
        let counts = &mut self.counts;
        let bucket = counts.bucket_of(&block.extent);
        let times = match bucket {
            Some(_) => None,
            None => Some(view.timestamps()?),
        };
        let series = match &mut self.by {
            None => Ids::One(counts.series(SeriesKey::All) as u32),
            Some(by) => by.ids(block, view, selection, &mut |value| {
                Ok(counts.series_of_row(value) as u32)
            })?,
        };
        match (bucket, times) {
            (Some(bucket), _) => counts.add_rows(bucket, &series, selection),
            (None, times) => {
                let times = times.as_deref().map_or(&[][..], |times| times);
                counts.add_timed(times, &series, selection, &mut self.tally);
            }
        }
        Ok(())
    }
}

impl Counts {
    /// The bucket of all rows of an extent, if it is one.
    fn bucket_of(&self, extent: &Extent) -> Option<i64> {
        let first = extent.time_min.0.div_euclid(self.interval_ns);
        (first == extent.time_max.0.div_euclid(self.interval_ns)).then_some(first)
    }

    /// Counts rows of one bucket.
    fn add_rows(&mut self, bucket: i64, series: &Ids, selection: &Selection) {
        let counts = self.bucket(bucket);
        series.each_count(selection, |series, rows| {
            if let Some(count) = counts.get_mut(series as usize) {
                *count += rows;
            }
        });
    }

    /// Counts rows by their times, of which neighbours are mostly in one bucket.
    fn add_timed(&mut self, times: &[i64], series: &Ids, selection: &Selection, tally: &mut Tally) {
        let mut counts = vec![0; self.keys.len()];
        let mut open: Option<(i64, RangeInclusive<i64>)> = None;
        for (start, end) in selection.runs() {
            let mut at = start;
            while let Some(time) = times.get(at).filter(|_| at < end) {
                let within = match open.take() {
                    Some((bucket, within)) if within.contains(time) => (bucket, within),
                    before => {
                        if let Some((bucket, _)) = before {
                            self.flush(bucket, &mut counts);
                        }
                        self.bucket_with(*time)
                    }
                };
                let run = times.get(at..end).unwrap_or_default();
                let cut = run.iter().position(|time| !within.1.contains(time));
                let cut = cut.map_or(end, |rows| at + rows);
                series.each_count_in(tally, at, cut, |series, rows| {
                    if let Some(count) = counts.get_mut(series as usize) {
                        *count += rows;
                    }
                });
                open = Some(within);
                at = cut;
            }
        }
        if let Some((bucket, _)) = open {
            self.flush(bucket, &mut counts);
        }
    }

    /// The bucket of a time, and its times.
    fn bucket_with(&self, time: i64) -> (i64, RangeInclusive<i64>) {
        let bucket = time.div_euclid(self.interval_ns);
        let start = bucket.saturating_mul(self.interval_ns);
        (bucket, start..=start.saturating_add(self.interval_ns - 1))
    }

    /// Adds counts of a bucket, series by series, and takes them away.
    fn flush(&mut self, bucket: i64, counts: &mut [u64]) {
        for (have, count) in self.bucket(bucket).iter_mut().zip(counts) {
            *have += std::mem::take(count);
        }
    }

    fn merge(&mut self, other: Counts) {
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
}
