//! What a query makes of its records: pipes, one after the other.
//!
//! Invariants, kept by the parser
//! - At most one pipe aggregates, and none but the first: what comes after it works on its table.
//! - Columns of a table have different names, and pipes name columns that are there.
use super::tree::Expr;
use taffrail_model::{column::FieldName, field};

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Pipe {
    /// `stats count(), avg(f) by a, b`: a row for each group.
    Stats {
        /// Columns of values, at least one.
        functions: Vec<Aggregate>,
        /// Columns of groups.
        by: Vec<FieldName>,
    },
    /// `top 10 f by a`: the most frequent values of a field, in each group.
    Top {
        /// How many values of each group.
        limit: usize,
        /// Whose values.
        field: FieldName,
        /// Columns of groups.
        by: Vec<FieldName>,
    },
    /// `timechart 1m count() by a`: as `stats`, by time first.
    Timechart {
        /// Width of a bucket in ns; buckets begin at its multiples since 1970.
        interval_ns: i64,
        /// Columns of values, at least one.
        functions: Vec<Aggregate>,
        /// Columns of groups.
        by: Vec<FieldName>,
    },
    /// `fields a, b, -c`: these columns, in this order.
    Fields {
        /// Columns that stay; none: all.
        kept: Vec<FieldName>,
        /// Columns that go.
        dropped: Vec<FieldName>,
    },
    /// `sort -a, b`: rows by these columns, the first one first.
    Sort(Vec<SortKey>),
    /// `limit 10`: the first rows.
    Limit(usize),
}

/// A column that rows are sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// Name of the column.
    pub column: FieldName,
    /// Whether the greatest value comes first.
    pub is_descending: bool,
}

/// A column of values.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// What is computed.
    pub function: Function,
    /// Name of the column.
    pub name: String,
}

/// What is computed of the records of a group. Functions of a field look at its numbers only, but
/// [`Function::Distinct`]; records without one do not count.
#[derive(Clone, Debug, PartialEq)]
pub enum Function {
    /// The number of records.
    Count,
    /// The number of records that match.
    CountIf(Expr),
    /// The sum.
    Sum(FieldName),
    /// The least number.
    Min(FieldName),
    /// The greatest number.
    Max(FieldName),
    /// The mean.
    Avg(FieldName),
    /// The number of different values, by their text.
    Distinct(FieldName),
    /// The number below which this share of the numbers lies.
    Quantile(FieldName, QuantileLevel),
}

/// A share between 0 and 1, in millionths, so that equal questions are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuantileLevel(u32);

impl QuantileLevel {
    /// Millionths in a whole.
    const WHOLE: u32 = 1_000_000;
    /// Millionths in a hundredth.
    const PERCENT: u32 = 10_000;

    /// The share that the text says: between 0 and 1, with at most six decimals.
    #[must_use]
    pub fn parse(text: &str) -> Option<QuantileLevel> {
        QuantileLevel::of_decimal(text, QuantileLevel::WHOLE)
    }

    /// The share that the text says in hundredths: between 0 and 100, with at most four decimals.
    #[must_use]
    pub fn parse_percent(text: &str) -> Option<QuantileLevel> {
        QuantileLevel::of_decimal(text, QuantileLevel::PERCENT)
    }

    /// The decimal number `text` times `unit`, if that is whole.
    fn of_decimal(text: &str, unit: u32) -> Option<QuantileLevel> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let mut level = whole.parse::<u32>().ok()?.checked_mul(unit)?;
        let mut place = unit;
        for digit in fraction.trim_end_matches('0').bytes() {
            if !place.is_multiple_of(10) {
                return None;
            }
            place /= 10;
            level = level.checked_add(u32::from(digit - b'0') * place)?;
        }
        (level <= QuantileLevel::WHOLE).then_some(QuantileLevel(level))
    }

    /// Between 0 and 1.
    #[must_use]
    pub fn share(self) -> f64 {
        f64::from(self.0) / f64::from(QuantileLevel::WHOLE)
    }

    /// In hundredths, as [`QuantileLevel::parse_percent`] reads it.
    #[must_use]
    pub fn percent(self) -> String {
        let (whole, rest) = (
            self.0 / QuantileLevel::PERCENT,
            self.0 % QuantileLevel::PERCENT,
        );
        let text = format!("{whole}.{rest:04}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

impl Function {
    /// The name of its column, unless another is given: as it is written.
    #[must_use]
    pub fn default_name(&self) -> String {
        match self {
            Function::Count => "count".to_owned(),
            _ => self.to_string(),
        }
    }
}

impl Pipe {
    /// Whether it makes a table of groups out of records.
    #[must_use]
    pub fn is_aggregate(&self) -> bool {
        matches!(
            self,
            Pipe::Stats { .. } | Pipe::Top { .. } | Pipe::Timechart { .. }
        )
    }

    /// The names of the columns that it makes of records; `None`: it leaves records as they are.
    #[must_use]
    pub fn columns(&self) -> Option<Vec<String>> {
        let (mut columns, by, values) = match self {
            Pipe::Stats { functions, by } => (Vec::new(), by, names_of(functions)),
            Pipe::Top { field, by, .. } => {
                let values = vec![field.to_string(), Function::Count.default_name()];
                (Vec::new(), by, values)
            }
            Pipe::Timechart { functions, by, .. } => {
                let time = vec![field::TIMESTAMP.to_owned()];
                (time, by, names_of(functions))
            }
            Pipe::Fields { .. } | Pipe::Sort(_) | Pipe::Limit(_) => return None,
        };
        columns.extend(by.iter().map(ToString::to_string));
        columns.extend(values);
        Some(columns)
    }
}

fn names_of(functions: &[Aggregate]) -> Vec<String> {
    functions.iter().map(|of| of.name.clone()).collect()
}

/// The names that `fields` leaves, in its order.
pub(crate) fn project(
    columns: &[String],
    kept: &[FieldName],
    dropped: &[FieldName],
) -> Vec<String> {
    let is_left = |name: &str| !dropped.iter().any(|gone| &**gone == name);
    let mut left: Vec<String> = Vec::new();
    match kept.is_empty() {
        true => left.extend(columns.iter().filter(|name| is_left(name)).cloned()),
        false => {
            for name in kept.iter().filter(|name| is_left(name)) {
                if !left.iter().any(|have| **have == **name) {
                    left.push(name.to_string());
                }
            }
        }
    }
    left
}
