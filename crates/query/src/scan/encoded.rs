//! Tests of levels, numbers and presence on one source's encoded data.
//!
//! A column of codes is tested once a text; a column of numbers is compared as integers; whether
//! there is a value is known without the value. What comes out is what the text would give.
use super::{
    block::{BlockFault, BlockView},
    plan::{Ask, LeafPlan, Plan, SourceColumns},
    selection::Selection,
};
use crate::{number::Number, search::tree::Operator};
use std::sync::Arc;
use taffrail_model::column::{FieldName, Value};
use taffrail_storage::{
    coded::{BlockCodes, BlockNumbers, CodedColumn, NumberColumn},
    read::{ReadError, RowSource},
};

/// Texts of a column that are tested ahead; of more, blocks are cheaper.
const TEXTS_MAX: u32 = 1 << 16;
/// Integers over a power of ten below this are floats of their own, and their quotient is the
/// float nearest to what was written.
const EXACT_FLOATS: u64 = 1 << 53;

/// A leaf with the column of one source that it tests.
pub(super) struct EncodedLeaf {
    leaf: Arc<LeafPlan>,
    name: FieldName,
    column: Encoded,
}

enum Encoded {
    /// For each code, and for rows without a value, whether it passes.
    Codes(Arc<dyn CodedColumn>, Vec<bool>),
    Numbers(Arc<dyn NumberColumn>, Operator, Number),
    Present,
}

impl EncodedLeaf {
    /// The plan of a leaf in one source: as it was if the source has no encoded column for it.
    pub(super) fn look_up(
        leaf: &Arc<LeafPlan>,
        source: &dyn RowSource,
        columns: &SourceColumns,
    ) -> Result<Plan, ReadError> {
        let unchanged = || Ok(Plan::Leaf(leaf.clone()));
        let Some(name) = &leaf.field else {
            return unchanged();
        };
        let column = match &leaf.ask {
            Ask::Exists => Encoded::Present,
            Ask::Number(operator, bound) => match source.numbers(name)? {
                Some(column) => Encoded::Numbers(column, *operator, *bound),
                None => match codes(leaf, source, name)? {
                    Some(codes) => codes,
                    None => return unchanged(),
                },
            },
            Ask::Level(_) => match codes(leaf, source, name)? {
                Some(codes) => codes,
                None => return unchanged(),
            },
            Ask::Text(_) | Ask::Time(..) | Ask::Id(_) => return unchanged(),
        };
        let can_pass = match &column {
            Encoded::Codes(_, passes) => passes.contains(&true),
            Encoded::Numbers(..) | Encoded::Present => true,
        };
        if !can_pass && columns.overflow_of(name).is_none() {
            return Ok(Plan::Const(false));
        }
        Ok(Plan::Encoded(Arc::new(EncodedLeaf {
            leaf: leaf.clone(),
            name: name.clone(),
            column,
        })))
    }

    /// The rows of `within` that match.
    pub(super) fn evaluate(
        &self,
        view: &mut BlockView<'_>,
        columns: &SourceColumns,
        within: &Selection,
    ) -> Result<Selection, BlockFault> {
        let mut out = match &self.column {
            Encoded::Codes(column, passes) => {
                let mut codes = Vec::new();
                let passes = |code: u32| passes.get(code as usize).copied().unwrap_or(false);
                match column.codes(view.block, &mut codes)? {
                    BlockCodes::One(code) if passes(code) => within.clone(),
                    BlockCodes::One(_) => view.none(),
                    BlockCodes::Each => within.keep_by(&codes, |code| passes(*code)),
                }
            }
            Encoded::Numbers(column, operator, bound) => {
                if self.leaf.ask.may_match(view, &self.name)? {
                    let found = compare(&**column, view, within, *operator, *bound)?;
                    match found {
                        Some(found) => found,
                        None => return self.leaf.evaluate(view, columns, within),
                    }
                } else {
                    view.none()
                }
            }
            Encoded::Present => {
                let mut present = view.none();
                view.add_present(&self.name, &mut present)?;
                present.intersect(within);
                present
            }
        };
        self.leaf
            .evaluate_overflow(view, &self.name, columns, within, &mut out)?;
        Ok(out)
    }
}

/// A column of codes with what of it passes.
fn codes(
    leaf: &LeafPlan,
    source: &dyn RowSource,
    name: &str,
) -> Result<Option<Encoded>, ReadError> {
    let column = source.coded(name)?;
    let Some(column) = column.filter(|column| column.texts() <= TEXTS_MAX) else {
        return Ok(None);
    };
    let mut buffer = String::new();
    let mut passes = Vec::with_capacity(column.texts() as usize + 1);
    for code in 0..column.texts() {
        let kind = column.kind();
        let text = column.text(code, &mut buffer);
        passes.push(leaf.ask.passes(Value { kind, text }));
    }
    passes.push(false);
    Ok(Some(Encoded::Codes(column, passes)))
}

/// The rows of `within` whose number compares so; `None` if only the text can tell.
fn compare(
    column: &dyn NumberColumn,
    view: &BlockView<'_>,
    within: &Selection,
    operator: Operator,
    bound: Number,
) -> Result<Option<Selection>, ReadError> {
    let mut numbers = BlockNumbers::default();
    column.numbers(view.block, &mut numbers)?;
    Ok(match (column.decimals(), bound) {
        (0, Number::Whole(bound)) => Some(rows_of(&numbers, view, within, |number| {
            operator.holds(i128::from(number).cmp(&bound))
        })),
        (decimals, bound) => {
            let is_exact = |number: &i64| number.unsigned_abs() < EXACT_FLOATS;
            if decimals > 0 && !numbers.values.iter().all(is_exact) {
                return Ok(None);
            }
            let unit = 10f64.powi(decimals.into());
            let bound = bound.as_f64();
            Some(rows_of(&numbers, view, within, |number| {
                let number = number as f64 / unit;
                number
                    .partial_cmp(&bound)
                    .is_some_and(|order| operator.holds(order))
            }))
        }
    })
}

/// The rows of `within` whose number passes.
fn rows_of(
    numbers: &BlockNumbers,
    view: &BlockView<'_>,
    within: &Selection,
    passes: impl Fn(i64) -> bool,
) -> Selection {
    if numbers.rows.is_empty() {
        return within.keep_by(&numbers.values, |number| passes(*number));
    }
    let mut out = view.none();
    for (row, number) in numbers.rows.iter().zip(&numbers.values) {
        if passes(*number) {
            out.add(*row);
        }
    }
    out.intersect(within);
    out
}

impl std::fmt::Debug for EncodedLeaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("EncodedLeaf").field(&self.leaf).finish()
    }
}
