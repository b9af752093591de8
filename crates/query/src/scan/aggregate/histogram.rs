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
};
use crate::result::{Histogram, ScanError, Series, SeriesKey};
use std::collections::{BTreeMap, HashMap};
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
                counts.add_timed(times.as_deref().map_or(&[], |t| t), &series, selection)
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
        match series {
            Ids::One(series) => self.add(bucket, *series as usize, selection.count() as u64),
            Ids::Each(ids) => {
                let mut counts = vec![0; self.keys.len()];
                for row in selection.iter() {
                    counts[ids[row as usize] as usize] += 1;
                }
                self.flush(bucket, &mut counts);
            }
        }
    }

    /// Counts rows by their times.
    fn add_timed(&mut self, times: &[i64], series: &Ids, selection: &Selection) {
        let mut counts = vec![0; self.keys.len()];
        let (mut start, mut last, mut bucket) = (0, 0, None);
        for row in selection.iter() {
            let time = times[row as usize];
            if bucket.is_none() || !(start <= time && time <= last) {
                if let Some(bucket) = bucket {
                    self.flush(bucket, &mut counts);
                }
                let next = time.div_euclid(self.interval_ns);
                start = next.saturating_mul(self.interval_ns);
                last = start.saturating_add(self.interval_ns - 1);
                bucket = Some(next);
            }
            let series = match series {
                Ids::One(series) => *series,
                Ids::Each(ids) => ids[row as usize],
            };
            counts[series as usize] += 1;
        }
        if let Some(bucket) = bucket {
            self.flush(bucket, &mut counts);
        }
    }

    fn flush(&mut self, bucket: i64, counts: &mut [u64]) {
        for (series, count) in counts.iter_mut().enumerate() {
            if *count > 0 {
                self.add(bucket, series, std::mem::take(count));
            }
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
