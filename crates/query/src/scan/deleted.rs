//! Rows that go: those under a deletion, and those that nobody may see any more.
//!
//! A deletion is compiled once for a read and cut down for each source like the predicate. Where it
//! leaves nothing to drop, a source is read and counted as if there were none.
use super::{
    block::{BlockFault, BlockView},
    drive::{Interrupt, drop_instances},
    plan::{Clock, Plan, SourceColumns, SourceScope},
    selection::Selection,
};
use crate::{
    request::Control,
    result::ScanError,
    search::{parse, tree::Expr},
};
use jiff::tz::TimeZone;
use std::sync::Arc;
use taffrail_model::{
    position::{PartitionKey, Position},
    time::{TimeRange, Timestamp},
};
use taffrail_storage::{
    deletion::{Deletion, SelectError, SelectedPartition, SelectedRows},
    read::{Extent, ReadError, RowSource},
};

/// A deletion that can be told apart from what stays.
pub(super) struct DeletionPlan {
    deletion: Arc<Deletion>,
    plan: Plan,
}

/// A deletion cut down for one source.
pub(super) struct DeletedRows {
    range: TimeRange,
    through: Position,
    plan: Plan,
}

impl DeletionPlan {
    /// Compiles a deletion.
    ///
    /// # Errors
    /// [`ScanError::Deletion`]: nothing can be shown then of what it may concern.
    pub(super) fn new(deletion: &Arc<Deletion>) -> Result<DeletionPlan, ScanError> {
        let not_understood = |detail: String| ScanError::Deletion {
            sequence: deletion.sequence,
            detail,
        };
        let expr = match deletion.predicate.trim().is_empty() {
            true => Expr::All,
            false => {
                parse(&deletion.predicate)
                    .map_err(|error| not_understood(error.to_string()))?
                    .filter
            }
        };
        let clock = Clock {
            now: deletion.created,
            zone: &TimeZone::UTC,
        };
        Ok(DeletionPlan {
            deletion: deletion.clone(),
            plan: Plan::new(&expr, &clock).map_err(|error| not_understood(error.to_string()))?,
        })
    }
}

/// The deletions that may concern a source, before it is opened.
pub(super) fn concerning<'p>(
    plans: &'p [DeletionPlan],
    key: &'p PartitionKey,
    source: &dyn RowSource,
) -> Vec<&'p DeletionPlan> {
    let in_partition = plans
        .iter()
        .filter(|plan| plan.deletion.concerns_partition(key));
    let (extent, applied) = match plans.is_empty() {
        true => return Vec::new(),
        false => (source.extent(), source.applied_deletions()),
    };
    in_partition
        .filter(|plan| plan.deletion.may_concern(&extent, applied))
        .collect()
}

/// What deletions drop of an opened source; those that have no row in it are left out.
pub(super) fn for_source(
    plans: &[&DeletionPlan],
    scope: &SourceScope<'_>,
    source: &dyn RowSource,
    columns: &SourceColumns,
) -> Result<Vec<DeletedRows>, ReadError> {
    let mut deleted = Vec::new();
    for DeletionPlan { deletion, plan } in plans {
        let plan = plan.for_source(scope).looked_up(source, columns)?;
        if !plan.is(false) {
            deleted.push(DeletedRows {
                range: deletion.range,
                through: deletion.through,
                plan,
            });
        }
    }
    Ok(deleted)
}

impl DeletedRows {
    /// The rows of `within` that are deleted.
    fn select(
        &self,
        view: &mut BlockView<'_>,
        columns: &SourceColumns,
        within: &Selection,
    ) -> Result<Selection, BlockFault> {
        let mut within = within.clone();
        if !self.covers(&view.extent) {
            let times = view.timestamps()?;
            let positions = view.positions()?;
            within.retain(|row| {
                let (time, position) = (times[row as usize], positions[row as usize]);
                self.range.contains(Timestamp(time)) && Position(position) <= self.through
            });
        }
        if within.is_empty() || !self.plan.may_match_in(view.block) {
            return Ok(view.none());
        }
        self.plan.evaluate(view, columns, &within)
    }

    fn covers(&self, extent: &Extent) -> bool {
        self.range.contains(extent.time_min)
            && self.range.contains(extent.time_max)
            && extent.position_max <= self.through
    }
}

/// Drops the rows that are deleted.
pub(super) fn drop_deleted(
    deleted: &[DeletedRows],
    view: &mut BlockView<'_>,
    columns: &SourceColumns,
    selection: &mut Selection,
) -> Result<(), BlockFault> {
    for one in deleted {
        if selection.is_empty() {
            return Ok(());
        }
        let gone = one.select(view, columns, selection)?;
        selection.subtract(&gone);
    }
    Ok(())
}

/// The rows of each block of a source that are to be removed for good: what storage asks for when
/// it compacts.
///
/// # Errors
/// [`SelectError`].
pub fn select_removed(
    partition: SelectedPartition<'_>,
    source: &dyn RowSource,
) -> Result<Vec<SelectedRows>, SelectError> {
    let plans = partition.deletions.iter().map(|deletion| {
        DeletionPlan::new(deletion).map_err(|error| not_understood(deletion, &error))
    });
    let plans: Vec<DeletionPlan> = plans.collect::<Result<_, _>>()?;
    let Some(stream) = partition.catalogue.by_number(partition.key.stream) else {
        return Err(SelectError::Predicate {
            sequence: partition
                .deletions
                .first()
                .map_or(0, |deletion| deletion.sequence),
            detail: format!("no stream has the number {}", partition.key.stream.0),
        });
    };
    let columns = SourceColumns::new(source.column_names()?);
    let scope = SourceScope {
        key: partition.key,
        stream_name: &stream.name,
        node: partition.node,
        epoch: partition.epoch,
        extent: source.extent(),
        names: Some(&columns.names),
    };
    let kept = match partition.rules.drops_debug {
        true => Plan::Const(true).without_debug().for_source(&scope),
        false => Plan::Const(true),
    };
    // Not looked up by the source: a row may be told for each deletion, so each is needed.
    let deleted: Vec<DeletedRows> = plans
        .iter()
        .map(|DeletionPlan { deletion, plan }| DeletedRows {
            range: deletion.range,
            through: deletion.through,
            plan: plan.for_source(&scope),
        })
        .collect();
    let mut removed = Vec::new();
    for (block, extent) in source.blocks()?.iter().enumerate() {
        let interrupt = Interrupt::new(&Control::default());
        let mut view = BlockView::new(source, block, *extent, &interrupt);
        let rows = removed_of_block(&partition, &kept, &deleted, &columns, &mut view);
        removed.push(rows.map_err(|fault| block_fault(&partition, fault))?);
    }
    Ok(removed)
}

fn removed_of_block(
    partition: &SelectedPartition<'_>,
    kept: &Plan,
    deleted: &[DeletedRows],
    columns: &SourceColumns,
    view: &mut BlockView<'_>,
) -> Result<SelectedRows, BlockFault> {
    let all = view.all();
    let mut stay = all.clone();
    if let Some(instances) = &partition.rules.instances {
        drop_instances(view, instances, &mut stay)?;
    }
    stay = kept.evaluate(view, columns, &stay)?;
    let mut by_rules = all.clone();
    by_rules.subtract(&stay);
    let mut by_deletion = Vec::with_capacity(deleted.len());
    for one in deleted {
        by_deletion.push(one.select(view, columns, &all)?.words().to_vec());
    }
    Ok(SelectedRows {
        by_rules: by_rules.words().to_vec(),
        by_deletion,
    })
}

fn not_understood(deletion: &Deletion, error: &ScanError) -> SelectError {
    SelectError::Predicate {
        sequence: deletion.sequence,
        detail: error.to_string(),
    }
}

fn block_fault(partition: &SelectedPartition<'_>, fault: BlockFault) -> SelectError {
    match fault {
        BlockFault::Read(error) => SelectError::Read(error),
        BlockFault::Stop(error) => SelectError::Predicate {
            sequence: partition
                .deletions
                .first()
                .map_or(0, |deletion| deletion.sequence),
            detail: error.to_string(),
        },
    }
}
