//! How many records match, and from when to when.
use super::super::{
    block::{BlockFault, BlockView},
    drive::{Collector, OpenBlock, Scan},
    selection::Selection,
};
use crate::result::ScanError;
use taffrail_model::time::{TimeRange, Timestamp};
use taffrail_storage::read::Extent;

/// Runs a count.
pub(in crate::scan) fn count(scan: &Scan<'_>) -> Result<u64, ScanError> {
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

    fn is_ordered(&self) -> bool {
        false
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
pub(in crate::scan) fn time_extent(scan: &Scan<'_>) -> Result<Option<TimeRange>, ScanError> {
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
