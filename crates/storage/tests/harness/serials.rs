//! Deletions as the harness makes them: of the records whose serial has a remainder.
use std::sync::Arc;
use taffrail_model::{
    position::{PartitionKey, Position},
    stream::StreamCatalogue,
    time::Timestamp,
};
use taffrail_storage::{
    deletion::{Deletion, PurgeRules, RowSelector, SelectError, SelectedPartition, SelectedRows},
    read::{ReadError, RowSource},
    snapshot::Snapshot,
};
use taffrail_testkit::record::SERIAL;

/// Which serials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serials {
    pub modulus: u64,
    pub rest: u64,
}

impl Serials {
    pub fn has(self, serial: u64) -> bool {
        serial % self.modulus == self.rest
    }

    pub fn predicate(self) -> String {
        format!("{} {}", self.modulus, self.rest)
    }

    fn parse(text: &str) -> Option<Serials> {
        let (modulus, rest) = text.split_once(' ')?;
        Some(Serials {
            modulus: modulus.parse().ok()?,
            rest: rest.parse().ok()?,
        })
    }
}

/// The selector of the harness; there are no rules.
pub struct BySerial;

impl RowSelector for BySerial {
    fn rules(&self, _: &PartitionKey, _: &StreamCatalogue, _: Timestamp) -> PurgeRules {
        PurgeRules::default()
    }

    fn select(
        &self,
        partition: SelectedPartition<'_>,
        source: &dyn RowSource,
    ) -> Result<Vec<SelectedRows>, SelectError> {
        let blocks = 0..source.blocks()?.len();
        let mut all = Vec::new();
        for block in blocks {
            let mut selected = SelectedRows::default();
            for deletion in partition.deletions {
                selected.by_deletion.push(rows(deletion, source, block)?);
            }
            all.push(selected);
        }
        Ok(all)
    }
}

fn rows(deletion: &Deletion, source: &dyn RowSource, block: usize) -> Result<Vec<u64>, ReadError> {
    let serials = Serials::parse(&deletion.predicate).unwrap();
    let positions = source.positions(block)?;
    let timestamps = source.timestamps(block)?;
    let mut set = vec![0; positions.len().div_ceil(64)];
    if let Some(column) = source.column(block, SERIAL)? {
        for (row, value) in column.iter() {
            let row = row as usize;
            let is_concerned = Position(positions[row]) <= deletion.through
                && deletion.range.contains(Timestamp(timestamps[row]));
            if is_concerned && serials.has(value.text.parse().unwrap()) {
                set[row / 64] |= 1 << (row % 64);
            }
        }
    }
    Ok(set)
}

/// Whether a row of a block is hidden from readers.
pub fn hidden(
    snapshot: &Snapshot,
    key: &PartitionKey,
    source: &dyn RowSource,
    block: usize,
) -> Result<Vec<u64>, ReadError> {
    let mut all = vec![0; source.positions(block)?.len().div_ceil(64)];
    let concerns = |deletion: &&Arc<Deletion>| {
        deletion.concerns_partition(key)
            && deletion.may_concern(&source.extent(), source.applied_deletions())
    };
    for deletion in snapshot.deletions().iter().filter(concerns) {
        for (word, more) in all.iter_mut().zip(rows(deletion, source, block)?) {
            *word |= more;
        }
    }
    Ok(all)
}
