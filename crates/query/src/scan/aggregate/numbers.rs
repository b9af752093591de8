//! The numbers of a field in a block, for functions.
//!
//! What counts as a number is what counts in comparisons: a JSON number, or a string that reads as
//! one. A number is whole by its value, not by its text (`7.00` is 7), so that it does not matter
//! how a source keeps it.
use super::super::{
    asked::AskedField,
    block::{BlockFault, BlockView},
    drive::OpenBlock,
    selection::Selection,
};
use super::keys::PerSource;
use crate::{number::Number, result::ScanError};
use std::{borrow::Cow, rc::Rc, sync::Arc};
use taffrail_model::{
    column::{Kind, Value},
    field,
};
use taffrail_storage::coded::{BlockNumbers, NumberColumn};

/// A field whose numbers are read.
pub(super) struct NumberField<'a> {
    pub(super) asked: AskedField,
    sources: PerSource<'a, Option<Arc<dyn NumberColumn>>>,
    /// What was read last and is done with: its memory serves the next block.
    spare: BlockNumbers,
}

/// The numbers of the rows of a block.
pub(super) enum NumberRows<'v> {
    Times(Rc<Cow<'v, [i64]>>),
    /// Integers over 10^decimals.
    Scaled(BlockNumbers, u8),
    Parsed(Vec<(u32, Number)>),
}

impl<'a> NumberField<'a> {
    pub(super) fn new(asked: AskedField) -> NumberField<'a> {
        NumberField {
            asked,
            sources: PerSource::default(),
            spare: BlockNumbers::default(),
        }
    }

    /// Takes back what was read.
    pub(super) fn give_back(&mut self, rows: NumberRows<'_>) {
        if let NumberRows::Scaled(numbers, _) = rows {
            self.spare = numbers;
        }
    }

    /// Whether its numbers are times in ns.
    pub(super) fn is_time(&self) -> bool {
        &*self.asked.canonical == field::TIMESTAMP
    }

    /// Reads the numbers of the rows selected.
    pub(super) fn read<'v>(
        &mut self,
        block: &OpenBlock<'a>,
        view: &mut BlockView<'v>,
        selection: &Selection,
    ) -> Result<NumberRows<'v>, BlockFault> {
        if self.is_time() {
            return Ok(NumberRows::Times(view.timestamps()?));
        }
        let asked = &self.asked;
        let columns = &block.open.columns;
        let has_alias = |alias| columns.names.contains(alias);
        let has_others = asked.alias.as_ref().is_some_and(has_alias) || asked.may_overflow(columns);
        let column = self.sources.get(&block.open, || {
            let column = match has_others {
                true => None,
                false => block.open.source.numbers(&asked.canonical)?,
            };
            // A view of the source, which keeps nothing of its own.
            Ok((column, 0))
        })?;
        if let Some(column) = column {
            let mut numbers = std::mem::take(&mut self.spare);
            column.numbers(block.block, &mut numbers)?;
            return Ok(NumberRows::Scaled(numbers, column.decimals()));
        }
        if !has_others {
            let loaded = view.column(&asked.canonical)?;
            let values = loaded.iter().flat_map(|loaded| loaded.column.iter());
            let values = values.filter(|(row, _)| selection.has(*row));
            return Ok(NumberRows::Parsed(values.filter_map(parsed).collect()));
        }
        let columns = asked.load(view, columns, selection)?;
        let values = selection
            .iter()
            .filter_map(|row| Some((row, columns.get(row)?)));
        Ok(NumberRows::Parsed(values.filter_map(parsed).collect()))
    }
}

/// The number of a row, if its value is one.
fn parsed((row, value): (u32, Value<'_>)) -> Option<(u32, Number)> {
    let may_be = matches!(value.kind, Kind::Integer | Kind::Float | Kind::String);
    let number = Number::parse(value.text).filter(|_| may_be)?;
    Some((row, number.by_value()))
}

impl NumberRows<'_> {
    /// Gives each number of the rows selected.
    pub(super) fn each(
        &self,
        selection: &Selection,
        mut take: impl FnMut(u32, Number) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        match self {
            NumberRows::Times(times) => selection
                .iter()
                .zip(selection.iter().map(|row| times.get(row as usize)))
                .filter_map(|(row, time)| Some((row, *time?)))
                .try_for_each(|(row, time)| take(row, Number::Whole(time.into()))),
            NumberRows::Scaled(numbers, 0) => each_scaled(numbers, selection, |row, number| {
                take(row, Number::Whole(number.into()))
            }),
            NumberRows::Scaled(numbers, decimals) => {
                let unit = unit(*decimals);
                each_scaled(numbers, selection, |row, number| {
                    take(row, Number::scaled(number, unit))
                })
            }
            NumberRows::Parsed(numbers) => numbers
                .iter()
                .filter(|(row, _)| selection.has(*row))
                .try_for_each(|(row, number)| take(*row, *number)),
        }
    }

    /// Gives each number of the rows selected as a float.
    pub(super) fn each_float(
        &self,
        selection: &Selection,
        mut take: impl FnMut(u32, f64) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        match self {
            NumberRows::Scaled(numbers, decimals) => {
                let unit = unit(*decimals);
                each_scaled(numbers, selection, |row, number| {
                    take(row, Number::scaled_float(number, unit))
                })
            }
            other => other.each(selection, |row, number| take(row, number.as_f64())),
        }
    }
}

/// 10^decimals.
fn unit(decimals: u8) -> i64 {
    10i64.checked_pow(decimals.into()).unwrap_or(i64::MAX)
}

#[inline]
fn each_scaled(
    numbers: &BlockNumbers,
    selection: &Selection,
    mut take: impl FnMut(u32, i64) -> Result<(), ScanError>,
) -> Result<(), ScanError> {
    let BlockNumbers { rows, values } = numbers;
    match (rows.is_empty(), selection.is_all()) {
        (true, true) => (0..)
            .zip(values)
            .try_for_each(|(row, number)| take(row, *number)),
        (true, false) => selection
            .iter()
            .filter_map(|row| Some((row, *values.get(row as usize)?)))
            .try_for_each(|(row, number)| take(row, number)),
        (false, is_all) => rows
            .iter()
            .zip(values)
            .filter(|(row, _)| is_all || selection.has(**row))
            .try_for_each(|(row, number)| take(*row, *number)),
    }
}
