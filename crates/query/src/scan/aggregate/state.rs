//! What functions have seen so far, group by group.
//!
//! Functions of the same field share what they keep: an average is a sum and a count, and all
//! quantiles of a field come from one set of buckets.
use super::super::{asked::AskedField, plan::Plan, selection::Selection};
use super::{
    budget::Budget,
    distinct::Distinct,
    keys::{Ids, KeyField},
    numbers::{NumberField, NumberRows},
    quantile::Quantiles,
};
use crate::{
    Expr,
    number::Number,
    result::{Cell, ScanError},
    search::pipe::{Function, QuantileLevel},
};
use std::{cmp::Ordering, collections::HashMap};
use taffrail_model::{column::FieldName, time::Timestamp};

/// A sum: exact over whole numbers, with its rounding made up for over all others.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    whole: i128,
    float: f64,
    /// What rounding has lost of `float`.
    lost: f64,
    has_float: bool,
    values: u64,
}

impl Sum {
    #[inline]
    fn add(&mut self, number: Number) {
        self.values += 1;
        match number {
            Number::Whole(whole) => self.add_whole(whole),
            Number::Float(float) => self.add_float(float),
        }
    }

    #[inline]
    fn add_whole(&mut self, whole: i128) {
        match self.whole.checked_add(whole) {
            Some(sum) => self.whole = sum,
            None => self.add_float(whole as f64),
        }
    }

    /// Neumaier's summation.
    #[inline]
    fn add_float(&mut self, float: f64) {
        self.has_float = true;
        let sum = self.float + float;
        self.lost += match self.float.abs() >= float.abs() {
            true => (self.float - sum) + float,
            false => (float - sum) + self.float,
        };
        self.float = sum;
    }

    fn merge(&mut self, other: &Sum) {
        self.values += other.values;
        self.add_whole(other.whole);
        if other.has_float {
            self.add_float(other.float);
            self.lost += other.lost;
        }
    }

    fn float(&self) -> f64 {
        (self.float + self.lost) + self.whole as f64
    }

    fn total(&self) -> Cell {
        match (self.values, self.has_float) {
            (0, _) => Cell::Null,
            (_, false) => Cell::Integer(self.whole),
            (_, true) => Cell::float(self.float()),
        }
    }

    fn mean(&self) -> Cell {
        match self.values {
            0 => Cell::Null,
            values => Cell::float(self.float() / values as f64),
        }
    }
}

/// Least and greatest number.
type Extremes = Option<(Number, Number)>;

fn widen(extremes: &mut Extremes, least: Number, greatest: Number) {
    let have = extremes.get_or_insert((least, greatest));
    if least.order(have.0) == Ordering::Less {
        have.0 = least;
    }
    if greatest.order(have.1) == Ordering::Greater {
        have.1 = greatest;
    }
}

/// A condition of `count_if`.
pub(super) struct Condition {
    pub(super) expr: Expr,
    pub(super) plan: Plan,
    counts: Vec<u64>,
}

/// What functions keep of the numbers of one field; `None`: no function asks for it.
pub(super) struct Numbers<'a> {
    pub(super) field: NumberField<'a>,
    sums: Option<Vec<Sum>>,
    extremes: Option<Vec<Extremes>>,
    quantiles: Option<Vec<Quantiles>>,
}

/// The different values of one field.
pub(super) struct Values<'a> {
    pub(super) field: KeyField<'a>,
    /// Hashes of values by their number; number 0 is no value.
    pub(super) hashes: Hashes,
    groups: Vec<Distinct>,
}

/// Numbers of values, by their hash. Forgotten when they are many: they only save looking up.
#[derive(Default)]
pub(super) struct Hashes {
    ids: HashMap<u64, u32>,
    hashes: Vec<u64>,
    /// The most hashes there were when they were paid for.
    paid: usize,
}

/// Hashes whose numbers are remembered.
const HASHES_MAX: usize = 1 << 16;
/// Bytes that a hash costs: two tables and what they leave free.
const HASH_BYTES: usize = 40;

impl Hashes {
    /// Number of a value's hash, from 1 on.
    pub(super) fn id(&mut self, hash: u64) -> u32 {
        let next = self.hashes.len() as u32 + 1;
        let id = *self.ids.entry(hash).or_insert(next);
        if id == next {
            self.hashes.push(hash);
        }
        id
    }

    pub(super) fn is_full(&self) -> bool {
        self.hashes.len() >= HASHES_MAX
    }

    /// Forgets all; its memory stays, and stays paid for.
    pub(super) fn clear(&mut self) {
        self.ids.clear();
        self.hashes.clear();
    }

    /// Bytes that are to be paid for what has come since this was asked last.
    pub(super) fn unpaid(&mut self) -> usize {
        let more = self.hashes.len().saturating_sub(self.paid);
        self.paid += more;
        more * HASH_BYTES
    }

    fn get(&self, id: u32) -> Option<u64> {
        let at = id.checked_sub(1)?;
        self.hashes.get(at as usize).copied()
    }
}

/// Where the value of a function comes from.
#[derive(Clone, Copy)]
enum Output {
    Count,
    CountIf(usize),
    Sum(usize),
    Min(usize),
    Max(usize),
    Avg(usize),
    Distinct(usize),
    Quantile(usize, QuantileLevel),
}

/// All functions of an aggregate.
pub(super) struct State<'a> {
    outputs: Vec<Output>,
    /// Rows of each group.
    counts: Vec<u64>,
    pub(super) conditions: Vec<Condition>,
    pub(super) numbers: Vec<Numbers<'a>>,
    pub(super) values: Vec<Values<'a>>,
}

impl<'a> State<'a> {
    /// `plan` compiles the conditions.
    pub(super) fn new(
        functions: &[Function],
        plan: impl Fn(&Expr) -> Result<Plan, ScanError>,
    ) -> Result<State<'a>, ScanError> {
        let mut state = State {
            outputs: Vec::new(),
            counts: Vec::new(),
            conditions: Vec::new(),
            numbers: Vec::new(),
            values: Vec::new(),
        };
        for function in functions {
            let output = match function {
                Function::Count => Output::Count,
                Function::CountIf(expr) => Output::CountIf(state.condition(expr, &plan)?),
                Function::Sum(name) => Output::Sum(state.summed(name)),
                Function::Avg(name) => Output::Avg(state.summed(name)),
                Function::Min(name) => Output::Min(state.ranged(name)),
                Function::Max(name) => Output::Max(state.ranged(name)),
                Function::Distinct(name) => Output::Distinct(state.distinct(name)),
                Function::Quantile(name, level) => {
                    let at = state.field(name);
                    state.numbers[at].quantiles.get_or_insert_default();
                    Output::Quantile(at, *level)
                }
            };
            state.outputs.push(output);
        }
        Ok(state)
    }

    fn condition(
        &mut self,
        expr: &Expr,
        plan: &impl Fn(&Expr) -> Result<Plan, ScanError>,
    ) -> Result<usize, ScanError> {
        if let Some(at) = self.conditions.iter().position(|have| have.expr == *expr) {
            return Ok(at);
        }
        self.conditions.push(Condition {
            expr: expr.clone(),
            plan: plan(expr)?,
            counts: Vec::new(),
        });
        Ok(self.conditions.len() - 1)
    }

    fn field(&mut self, name: &FieldName) -> usize {
        let asked = AskedField::new(name);
        let is_it = |have: &Numbers<'_>| have.field.asked.name() == asked.name();
        if let Some(at) = self.numbers.iter().position(is_it) {
            return at;
        }
        self.numbers.push(Numbers {
            field: NumberField::new(asked),
            sums: None,
            extremes: None,
            quantiles: None,
        });
        self.numbers.len() - 1
    }

    fn summed(&mut self, name: &FieldName) -> usize {
        let at = self.field(name);
        self.numbers[at].sums.get_or_insert_default();
        at
    }

    fn ranged(&mut self, name: &FieldName) -> usize {
        let at = self.field(name);
        self.numbers[at].extremes.get_or_insert_default();
        at
    }

    fn distinct(&mut self, name: &FieldName) -> usize {
        let asked = AskedField::new(name);
        let is_it = |have: &Values<'_>| have.field.asked.name() == asked.name();
        if let Some(at) = self.values.iter().position(is_it) {
            return at;
        }
        self.values.push(Values {
            field: KeyField::new(asked),
            hashes: Hashes::default(),
            groups: Vec::new(),
        });
        self.values.len() - 1
    }

    /// The same functions, which have seen nothing.
    pub(super) fn fork(&self) -> State<'a> {
        State {
            outputs: self.outputs.clone(),
            counts: Vec::new(),
            conditions: self
                .conditions
                .iter()
                .map(|condition| Condition {
                    expr: condition.expr.clone(),
                    plan: condition.plan.clone(),
                    counts: Vec::new(),
                })
                .collect(),
            numbers: self
                .numbers
                .iter()
                .map(|numbers| Numbers {
                    field: NumberField::new(numbers.field.asked.clone()),
                    sums: numbers.sums.as_ref().map(|_| Vec::new()),
                    extremes: numbers.extremes.as_ref().map(|_| Vec::new()),
                    quantiles: numbers.quantiles.as_ref().map(|_| Vec::new()),
                })
                .collect(),
            values: self
                .values
                .iter()
                .map(|values| Values {
                    field: KeyField::new(values.field.asked.clone()),
                    hashes: Hashes::default(),
                    groups: Vec::new(),
                })
                .collect(),
        }
    }

    /// Whether rows need not be looked at to be counted.
    pub(super) fn only_counts(&self) -> bool {
        self.conditions.is_empty() && self.numbers.is_empty() && self.values.is_empty()
    }

    /// Makes room for `groups` groups.
    pub(super) fn grow(&mut self, groups: usize, budget: &mut Budget) -> Result<(), ScanError> {
        if groups <= self.counts.len() {
            return Ok(());
        }
        let before = self.counts.len();
        let mut bytes = size_of::<u64>();
        self.counts.resize(groups, 0);
        for condition in &mut self.conditions {
            condition.counts.resize(groups, 0);
            bytes += size_of::<u64>();
        }
        for numbers in &mut self.numbers {
            if let Some(sums) = &mut numbers.sums {
                sums.resize(groups, Sum::default());
                bytes += size_of::<Sum>();
            }
            if let Some(extremes) = &mut numbers.extremes {
                extremes.resize(groups, None);
                bytes += size_of::<Extremes>();
            }
            if let Some(quantiles) = &mut numbers.quantiles {
                quantiles.resize_with(groups, Quantiles::default);
                bytes += size_of::<Quantiles>();
            }
        }
        for values in &mut self.values {
            values.groups.resize_with(groups, Distinct::default);
            bytes += size_of::<Distinct>();
        }
        budget.charge(bytes * (groups - before))
    }

    /// Counts rows of one group that were not read.
    pub(super) fn count_unread(&mut self, group: u32, rows: u64) {
        if let Some(count) = self.counts.get_mut(group as usize) {
            *count += rows;
        }
    }

    /// Takes the rows of a block; `matching` are those of each condition.
    pub(super) fn take(
        &mut self,
        groups: &Ids,
        selection: &Selection,
        matching: &[Selection],
        numbers: &[NumberRows<'_>],
        values: &[Ids],
        budget: &mut Budget,
    ) -> Result<(), ScanError> {
        let add = |counts: &mut [u64], group: u32, rows: u64| {
            if let Some(count) = counts.get_mut(group as usize) {
                *count += rows;
            }
        };
        groups.each_count(selection, |group, rows| add(&mut self.counts, group, rows));
        for (condition, matching) in self.conditions.iter_mut().zip(matching) {
            let counts = &mut condition.counts;
            match groups {
                Ids::One(group) => add(counts, *group, matching.count() as u64),
                groups => groups.each(matching, |group| add(counts, group, 1)),
            }
        }
        for (state, rows) in self.numbers.iter_mut().zip(numbers) {
            state.take(groups, selection, rows, budget)?;
        }
        for (state, ids) in self.values.iter_mut().zip(values) {
            state.take(groups, selection, ids, budget)?;
        }
        Ok(())
    }

    /// Takes over what another has seen; `group_of` says which group each of its groups is here.
    pub(super) fn merge(
        &mut self,
        other: &State<'a>,
        group_of: &[u32],
        budget: &mut Budget,
    ) -> Result<(), ScanError> {
        add_counts(&mut self.counts, &other.counts, group_of);
        for (mine, theirs) in self.conditions.iter_mut().zip(&other.conditions) {
            add_counts(&mut mine.counts, &theirs.counts, group_of);
        }
        for (mine, theirs) in self.numbers.iter_mut().zip(&other.numbers) {
            mine.merge(theirs, group_of, budget)?;
        }
        for (mine, theirs) in self.values.iter_mut().zip(&other.values) {
            for (group, theirs) in group_of.iter().zip(&theirs.groups) {
                if let Some(mine) = mine.groups.get_mut(*group as usize) {
                    budget.charge(mine.merge(theirs))?;
                }
            }
        }
        Ok(())
    }

    /// Rows of a group.
    pub(super) fn rows(&self, group: usize) -> u64 {
        self.counts.get(group).copied().unwrap_or_default()
    }

    /// The values of the functions of a group.
    pub(super) fn cells(&self, group: usize) -> impl Iterator<Item = Cell> + '_ {
        self.outputs
            .iter()
            .map(move |output| self.cell(*output, group))
    }

    fn cell(&self, output: Output, group: usize) -> Cell {
        let count = |counts: &[u64]| {
            let count = counts.get(group).copied().unwrap_or_default();
            Cell::Integer(count.into())
        };
        let sum = |at: usize| {
            let sums = self.numbers[at].sums.as_ref();
            sums.and_then(|sums| sums.get(group))
                .copied()
                .unwrap_or_default()
        };
        let extreme = |at: usize, pick: fn((Number, Number)) -> Number| {
            let numbers = &self.numbers[at];
            let extremes = numbers.extremes.as_ref().and_then(|all| *all.get(group)?);
            match extremes.map(pick) {
                None => Cell::Null,
                Some(Number::Whole(time)) if numbers.field.is_time() => {
                    Cell::Time(Timestamp(i64::try_from(time).unwrap_or(i64::MAX)))
                }
                Some(Number::Whole(whole)) => Cell::Integer(whole),
                Some(Number::Float(float)) => Cell::float(float),
            }
        };
        match output {
            Output::Count => count(&self.counts),
            Output::CountIf(at) => count(&self.conditions[at].counts),
            Output::Sum(at) => sum(at).total(),
            Output::Avg(at) => sum(at).mean(),
            Output::Min(at) => extreme(at, |(least, _)| least),
            Output::Max(at) => extreme(at, |(_, greatest)| greatest),
            Output::Distinct(at) => {
                let distinct = self.values[at].groups.get(group);
                Cell::Integer(distinct.map_or(0, Distinct::count).into())
            }
            Output::Quantile(at, level) => {
                let quantiles = self.numbers[at].quantiles.as_ref();
                let quantiles = quantiles.and_then(|all| all.get(group));
                match quantiles.and_then(|all| all.quantile(level.share())) {
                    None => Cell::Null,
                    Some(number) => match Number::Float(number).by_value() {
                        Number::Whole(whole) => Cell::Integer(whole),
                        Number::Float(float) => Cell::float(float),
                    },
                }
            }
        }
    }

    /// Whether a number of different values is an estimate.
    pub(super) fn is_estimate(&self) -> bool {
        let mut groups = self.values.iter().flat_map(|values| &values.groups);
        groups.any(Distinct::is_estimate)
    }
}

fn add_counts(mine: &mut [u64], theirs: &[u64], group_of: &[u32]) {
    for (group, theirs) in group_of.iter().zip(theirs) {
        if let Some(mine) = mine.get_mut(*group as usize) {
            *mine += theirs;
        }
    }
}

impl Numbers<'_> {
    fn take(
        &mut self,
        groups: &Ids,
        selection: &Selection,
        rows: &NumberRows<'_>,
        budget: &mut Budget,
    ) -> Result<(), ScanError> {
        if let Some(sums) = &mut self.sums {
            rows.each(selection, |row, number| {
                if let Some(sum) = sums.get_mut(groups.of(row) as usize) {
                    sum.add(number);
                }
                Ok(())
            })?;
        }
        if let Some(extremes) = &mut self.extremes {
            rows.each(selection, |row, number| {
                if let Some(extremes) = extremes.get_mut(groups.of(row) as usize) {
                    widen(extremes, number, number);
                }
                Ok(())
            })?;
        }
        if let Some(quantiles) = &mut self.quantiles {
            rows.each_float(selection, |row, number| {
                let bytes = match quantiles.get_mut(groups.of(row) as usize) {
                    Some(quantiles) => quantiles.add(number),
                    None => 0,
                };
                if bytes > 0 {
                    budget.charge(bytes)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn merge(
        &mut self,
        other: &Self,
        group_of: &[u32],
        budget: &mut Budget,
    ) -> Result<(), ScanError> {
        if let (Some(mine), Some(theirs)) = (&mut self.sums, &other.sums) {
            for (group, theirs) in group_of.iter().zip(theirs) {
                if let Some(mine) = mine.get_mut(*group as usize) {
                    mine.merge(theirs);
                }
            }
        }
        if let (Some(mine), Some(theirs)) = (&mut self.extremes, &other.extremes) {
            for (group, theirs) in group_of.iter().zip(theirs) {
                if let (Some(mine), Some((least, greatest))) =
                    (mine.get_mut(*group as usize), theirs)
                {
                    widen(mine, *least, *greatest);
                }
            }
        }
        if let (Some(mine), Some(theirs)) = (&mut self.quantiles, &other.quantiles) {
            for (group, theirs) in group_of.iter().zip(theirs) {
                if let Some(mine) = mine.get_mut(*group as usize) {
                    budget.charge(mine.merge(theirs))?;
                }
            }
        }
        Ok(())
    }
}

impl Values<'_> {
    fn take(
        &mut self,
        groups: &Ids,
        selection: &Selection,
        ids: &Ids,
        budget: &mut Budget,
    ) -> Result<(), ScanError> {
        let Values {
            hashes,
            groups: all,
            ..
        } = self;
        let mut add = |group: u32, id: u32| -> Result<(), ScanError> {
            if let (Some(distinct), Some(hash)) = (all.get_mut(group as usize), hashes.get(id)) {
                let bytes = distinct.add(hash);
                if bytes > 0 {
                    budget.charge(bytes)?;
                }
            }
            Ok(())
        };
        if let (Ids::One(group), Ids::Coded(_)) = (groups, ids) {
            let mut outcome = Ok(());
            ids.each_count(selection, |id, _| {
                if outcome.is_ok() {
                    outcome = add(*group, id);
                }
            });
            return outcome;
        }
        // Runs of one value in one group are added once.
        let mut last = None;
        for row in selection.iter() {
            let pair = (groups.of(row), ids.of(row));
            if last != Some(pair) {
                last = Some(pair);
                add(pair.0, pair.1)?;
            }
        }
        Ok(())
    }
}
