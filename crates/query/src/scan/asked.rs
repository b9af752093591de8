//! Fields that are returned or counted, by the name that was asked for.
//!
//! Where a record came with a canonical name and with an alias of it, the alias stays an attribute
//! of its own. Who asks by the alias gets that attribute from the records that have it, and the
//! canonical field from all others. Most blocks have no column of the alias's name: those cost
//! one look-up more.
//!
//! Either name may also be among the attributes past the limit of columns.
use super::{
    block::{BlockFault, BlockView, LoadedColumn},
    overflow::OverflowValues,
    plan::SourceColumns,
    selection::Selection,
};
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
    canonical_overflow: OverflowValues,
    alias_overflow: OverflowValues,
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

    /// Whether the source may have values of it that are in no column of their own.
    pub(super) fn may_overflow(&self, columns: &SourceColumns) -> bool {
        let names = [Some(&self.canonical), self.alias.as_ref()];
        let mut names = names.into_iter().flatten();
        names.any(|name| columns.overflow_of(name).is_some())
    }

    /// Its values in the rows selected.
    pub(super) fn load(
        &self,
        view: &mut BlockView<'_>,
        columns: &SourceColumns,
        selection: &Selection,
    ) -> Result<AskedColumns, BlockFault> {
        let (alias, alias_overflow) = match &self.alias {
            Some(alias) => (
                view.column(alias)?,
                OverflowValues::load(view, columns, alias, selection)?,
            ),
            None => (None, OverflowValues::default()),
        };
        Ok(AskedColumns {
            alias,
            alias_overflow,
            canonical: view.column(&self.canonical)?,
            canonical_overflow: OverflowValues::load(view, columns, &self.canonical, selection)?,
        })
    }

    /// As [`AskedField::load`], for a few rows of the block, of columns of its own only: records
    /// are given as they are stored.
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
            canonical_overflow: OverflowValues::default(),
            alias_overflow: OverflowValues::default(),
        })
    }
}

impl AskedColumns {
    pub(super) fn is_empty(&self) -> bool {
        self.alias.is_none()
            && self.canonical.is_none()
            && self.alias_overflow.is_empty()
            && self.canonical_overflow.is_empty()
    }

    /// The value of a row: that of the alias, else the canonical one.
    pub(super) fn get(&self, row: u32) -> Option<Value<'_>> {
        let names = [
            (&self.alias, &self.alias_overflow),
            (&self.canonical, &self.canonical_overflow),
        ];
        names.into_iter().find_map(|(column, overflow)| {
            let own = column.as_ref().and_then(|loaded| loaded.column.get(row));
            own.or_else(|| overflow.get(row))
        })
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
