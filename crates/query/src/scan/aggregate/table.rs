//! Functions of groups.
use super::super::{
    block::{BlockFault, BlockView},
    drive::{Collector, OpenBlock, Scan},
    plan::Plan,
    selection::Selection,
};
use super::{
    budget::Budget,
    groups::Groups,
    histogram::too_many_buckets,
    keys::{Ids, PerSource},
    state::State,
};
use crate::{
    request::Aggregation,
    result::{Groups as Found, ScanError, row_bytes},
};
use taffrail_storage::read::{Extent, token_hash};

/// Runs an aggregate.
pub(in crate::scan) fn aggregate(
    scan: &Scan<'_>,
    aggregation: &Aggregation,
) -> Result<Found, ScanError> {
    let collector = GroupCollector {
        scan,
        groups: Groups::new(&aggregation.keys),
        state: State::new(&aggregation.functions, |expr| scan.plan_of(expr))?,
        plans: PerSource::default(),
        budget: Budget::new(scan.request().control().memory()),
        failed: None,
    };
    let found = scan.run(collector).and_then(GroupCollector::finish);
    match found {
        Err(ScanError::TooManyBuckets { interval_ns, .. }) => {
            Err(too_many_buckets(scan, interval_ns)?)
        }
        // Without keys there is one group, whether records match or not.
        Ok(mut found) if aggregation.keys.is_empty() && found.rows.is_empty() => {
            let state = State::new(&aggregation.functions, |expr| scan.plan_of(expr))?;
            found.rows.push(state.cells(0).collect());
            Ok(found)
        }
        found => found,
    }
}

struct GroupCollector<'s, 'a> {
    scan: &'s Scan<'a>,
    groups: Groups<'a>,
    state: State<'a>,
    /// The conditions of `count_if`, cut down for each source.
    plans: PerSource<'a, Vec<Plan>>,
    budget: Budget,
    /// What went wrong where nothing can be returned.
    failed: Option<ScanError>,
}

impl GroupCollector<'_, '_> {
    /// The groups; each has texts of its own, which are charged as they are made.
    fn finish(self) -> Result<Found, ScanError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut budget = self.budget;
        let groups = (0..self.groups.len()).filter(|group| self.state.rows(*group) > 0);
        let rows = groups.map(|group| {
            let mut cells = self.groups.cells(group as u32);
            cells.extend(self.state.cells(group));
            budget.charge(row_bytes(&cells))?;
            Ok(cells)
        });
        Ok(Found {
            rows: rows.collect::<Result<_, ScanError>>()?,
            is_estimate: self.state.is_estimate(),
        })
    }

    fn take_over(&mut self, other: &Self) -> Result<(), ScanError> {
        let group_of = self.groups.merge(&other.groups, &mut self.budget)?;
        self.state.grow(self.groups.len(), &mut self.budget)?;
        self.state.merge(&other.state, &group_of, &mut self.budget)
    }
}

impl<'a> Collector<'a> for GroupCollector<'_, 'a> {
    fn fork(&self) -> Self {
        GroupCollector {
            scan: self.scan,
            groups: self.groups.fork(),
            state: self.state.fork(),
            plans: PerSource::default(),
            budget: self.budget.fork(),
            failed: None,
        }
    }

    fn merge(&mut self, other: Self) {
        let outcome = match other.failed.clone() {
            Some(error) => Err(error),
            None => self.take_over(&other),
        };
        if let Err(error) = outcome {
            self.failed.get_or_insert(error);
        }
    }

    fn is_ordered(&self) -> bool {
        false
    }

    fn take_whole(&mut self, extent: &Extent) -> bool {
        if !self.state.only_counts() {
            return false;
        }
        let (first, last) = (extent.time_min, extent.time_max);
        let group = self.groups.of_extent(first, last, &mut self.budget);
        let grown = group.map(|group| {
            let group = group?;
            self.state.grow(self.groups.len(), &mut self.budget)?;
            Ok(group)
        });
        match grown {
            None => false,
            Some(Ok(group)) => {
                self.state.count_unread(group, extent.rows.into());
                true
            }
            Some(Err(error)) => {
                self.failed.get_or_insert(error);
                true
            }
        }
    }

    fn take(
        &mut self,
        block: &OpenBlock<'a>,
        view: &mut BlockView<'_>,
        selection: &Selection,
    ) -> Result<(), BlockFault> {
        if let Some(error) = self.failed.take() {
            return Err(BlockFault::Stop(error));
        }
        let budget = &mut self.budget;
        let groups = self.groups.ids(block, view, selection, budget)?;
        let mut matching = Vec::with_capacity(self.state.conditions.len());
        if !self.state.conditions.is_empty() {
            let conditions = &self.state.conditions;
            // Each test may have a bit for each row of the source.
            let tests: usize = conditions.iter().map(|of| of.expr.nodes()).sum();
            let bytes = tests * (block.open.source.extent().rows as usize).div_ceil(8);
            let conditions = conditions.iter().map(|condition| &condition.plan);
            let plans = self.plans.get(&block.open, || {
                let plans = conditions.map(|plan| self.scan.plan_at(&block.open, plan));
                let plans = plans.collect::<Result<Vec<_>, _>>();
                Ok((plans.map_err(BlockFault::Read)?, bytes))
            })?;
            for plan in plans {
                matching.push(plan.evaluate(view, &block.open.columns, selection)?);
            }
        }
        let mut numbers = Vec::with_capacity(self.state.numbers.len());
        for state in &mut self.state.numbers {
            numbers.push(state.field.read(block, view, selection)?);
        }
        let mut values: Vec<Ids> = Vec::with_capacity(self.state.values.len());
        for state in &mut self.state.values {
            if state.hashes.is_full() {
                state.hashes.clear();
                state.field.forget();
            }
            let hashes = &mut state.hashes;
            values.push(state.field.ids(block, view, selection, &mut |value| {
                Ok(value.map_or(0, |value| hashes.id(token_hash(value.text))))
            })?);
            budget.charge(hashes.unpaid()).map_err(BlockFault::Stop)?;
        }
        self.state
            .grow(self.groups.len(), budget)
            .and_then(|()| {
                self.state
                    .take(&groups, selection, &matching, &numbers, &values, budget)
            })
            .map_err(BlockFault::Stop)?;
        for (state, rows) in self.state.numbers.iter_mut().zip(numbers) {
            state.field.give_back(rows);
        }
        Ok(())
    }
}
