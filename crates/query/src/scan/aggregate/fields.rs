//! Which fields the matching records have.
use super::super::{
    block::{BlockFault, BlockView, LoadedColumn},
    drive::{Collector, OpenBlock, Scan},
    selection::Selection,
};
use crate::result::{FieldSummary, ScanError};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};
use taffrail_model::column::{FieldName, Kind};

/// Lists the fields of the matching records.
pub(in crate::scan) fn fields(scan: &Scan<'_>) -> Result<Vec<FieldSummary>, ScanError> {
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
