//! Fields that are returned or counted, by the name that was asked for.
//!
//! Where a record came with a canonical name and with an alias of it, the alias stays an attribute
//! of its own. Who asks by the alias gets that attribute from the records that have it, and the
//! canonical field from all others. Most blocks have no column of the alias's name: those cost
//! one look-up more.
use super::block::{BlockFault, BlockView, LoadedColumn};
use crate::search::tree::alias_of;
use std::rc::Rc;
use taffrail_model::{
    column::{FieldName, Value},
    field,
};

/// A field by the name that was asked for.
#[derive(Clone, Debug)]
pub(super) struct AskedField {
    pub(super) canonical: FieldName,
    pub(super) alias: Option<FieldName>,
}

/// The columns of an [`AskedField`] in one block.
pub(super) struct AskedColumns {
    pub(super) canonical: Option<Rc<LoadedColumn>>,
    pub(super) alias: Option<Rc<LoadedColumn>>,
}

impl AskedField {
    pub(super) fn new(name: &str) -> AskedField {
        AskedField {
            canonical: field::canonical_name(name).into(),
            alias: alias_of(name),
        }
    }

    /// As it was asked for.
    pub(super) fn name(&self) -> &FieldName {
        self.alias.as_ref().unwrap_or(&self.canonical)
    }

    pub(super) fn load(&self, view: &mut BlockView<'_>) -> Result<AskedColumns, BlockFault> {
        Ok(AskedColumns {
            alias: match &self.alias {
                Some(alias) => view.column(alias)?,
                None => None,
            },
            canonical: view.column(&self.canonical)?,
        })
    }

    /// As [`AskedField::load`], for a few rows of the block.
    pub(super) fn load_at(
        &self,
        view: &mut BlockView<'_>,
        rows: &[u32],
    ) -> Result<AskedColumns, BlockFault> {
        Ok(AskedColumns {
            alias: match &self.alias {
                Some(alias) => view.values_at(alias, rows)?,
                None => None,
            },
            canonical: view.values_at(&self.canonical, rows)?,
        })
    }
}

impl AskedColumns {
    pub(super) fn is_empty(&self) -> bool {
        self.alias.is_none() && self.canonical.is_none()
    }

    /// The value of a row: that of the alias's own column, else the canonical one.
    pub(super) fn get(&self, row: u32) -> Option<Value<'_>> {
        let columns = [&self.alias, &self.canonical];
        let mut loaded = columns.into_iter().flatten();
        loaded.find_map(|loaded| loaded.column.get(row))
    }

    /// The value of a row with the name of its column.
    pub(super) fn get_named<'c>(
        &'c self,
        asked: &'c AskedField,
        row: u32,
    ) -> Option<(&'c FieldName, Value<'c>)> {
        let own = self.alias.as_ref().and_then(|own| own.column.get(row));
        match (own, &asked.alias) {
            (Some(value), Some(alias)) => Some((alias, value)),
            _ => {
                let value = self.canonical.as_ref()?.column.get(row)?;
                Some((&asked.canonical, value))
            }
        }
    }
}
