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
/// Codes that pass up to which each is compared with all rows: more are looked up row by row.
const FEW_MAX: usize = 4;
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
    Codes(Arc<dyn CodedColumn>, Passing),
    Numbers(Arc<dyn NumberColumn>, Operator, Number),
    Present,
}

/// Which codes pass.
struct Passing {
    /// For each code, and for rows without a value.
    each: Vec<bool>,
    /// Those that do, if they are few and bytes.
    few: Option<Vec<u8>>,
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
            Encoded::Codes(_, passing) => passing.each.contains(&true),
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
            Encoded::Codes(column, passing) => match column.codes(view.block)? {
                BlockCodes::One(code) if passing.has(code) => within.clone(),
                BlockCodes::One(_) => view.none(),
                BlockCodes::Narrow(codes) => passing.narrow(&codes, within),
                BlockCodes::Wide(codes) => within.keep_by(&codes, |code| passing.has(*code)),
            },
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
    let mut each = Vec::with_capacity(column.texts() as usize + 1);
    for code in 0..column.texts() {
        let kind = column.kind();
        let text = column.text(code, &mut buffer);
        each.push(leaf.ask.passes(Value { kind, text }));
    }
    each.push(false);
    Ok(Some(Encoded::Codes(column, Passing::new(each))))
}

impl Passing {
    fn new(each: Vec<bool>) -> Passing {
        let passing = (0u32..).zip(&each).filter(|(_, passes)| **passes);
        let few: Option<Vec<u8>> = passing
            .take(FEW_MAX + 1)
            .map(|(code, _)| u8::try_from(code).ok())
            .collect();
        Passing {
            few: few.filter(|few| few.len() <= FEW_MAX),
            each,
        }
    }

    fn has(&self, code: u32) -> bool {
        self.each.get(code as usize).copied().unwrap_or(false)
    }

    /// The rows of `within` whose code passes.
    fn narrow(&self, codes: &[u8], within: &Selection) -> Selection {
        match &self.few {
            Some(few) => within.keep_bits(codes.chunks(64).map(|codes| equal_bits(codes, few))),
            None => within.keep_by(codes, |code| self.has((*code).into())),
        }
    }
}

/// A bit for each of at most 64 codes, the lowest first: whether it is one of `wanted`.
fn equal_bits(codes: &[u8], wanted: &[u8]) -> u64 {
    // Loops over bytes, which the compiler turns into comparisons of sixteen at once.
    let mut flags = [0u8; 64];
    for wanted in wanted {
        for (flag, code) in flags.iter_mut().zip(codes) {
            *flag |= u8::from(code == wanted);
        }
    }
    // The product brings the lowest bits of eight bytes together in the highest byte.
    let bytes = flags.as_chunks::<8>().0.iter().map(|eight| {
        let product = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080);
        product >> 56
    });
    (0..)
        .zip(bytes)
        .fold(0, |word, (at, bits)| word | bits << (8 * at))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_codes_are_compared_and_more_are_looked_up() {
        let is_few = |passing: usize| Passing::new(vec![true; passing]).few.is_some();
        assert!(is_few(0) && is_few(FEW_MAX) && !is_few(FEW_MAX + 1));
        let mut wide = vec![false; 256];
        wide.push(true);
        assert!(Passing::new(wide).few.is_none());
    }

    proptest! {
        #[test]
        fn rows_of_codes_that_pass_are_kept(
            codes in proptest::collection::vec(0u8..9, 0..300),
            each in proptest::collection::vec(any::<bool>(), 0..9),
            dropped in 0u32..300,
        ) {
            let mut within = Selection::all(codes.len() as u32);
            within.retain(|row| row != dropped);
            let passing = Passing::new(each.clone());
            let found: Vec<u32> = passing.narrow(&codes, &within).iter().collect();
            let wanted = (0..).zip(&codes).filter(|(row, code)| {
                let passes = each.get(usize::from(**code)).copied().unwrap_or(false);
                *row != dropped && passes
            });
            prop_assert_eq!(found, wanted.map(|(row, _)| row).collect::<Vec<u32>>());
        }
    }
}
