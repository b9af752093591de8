//! From the predicate tree to tests that run over blocks.
//!
//! A plan is made once for a read and cut down for each source: what the stream's name, the
//! source's columns and its times decide is decided there, so that blocks of which every row
//! matches are counted unread, and sources where none can are not opened.
use super::{
    block::{BlockFault, BlockView},
    encoded::EncodedLeaf,
    found::FoundLeaf,
    overflow,
    selection::Selection,
    text::{Question, TextTest},
};
use crate::{
    number::Number,
    regex::{self, CompiledRegex},
    result::ScanError,
    search::tree::{Expr, Leaf, Operator, Test},
};
use jiff::{civil::Date, tz::TimeZone};
use std::{convert::Infallible, sync::Arc};
use taffrail_model::{
    column::{FieldName, Kind, Value},
    field,
    id::RecordId,
    level::Level,
    position::{PartitionKey, Position},
    time::{Timestamp, parse_epoch, parse_rfc3339, parse_time},
};
use taffrail_storage::read::{Extent, ReadError, RowSource};

/// A predicate that can run.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    Const(bool),
    And(Vec<Plan>),
    Or(Vec<Plan>),
    Not(Box<Plan>),
    Leaf(Arc<LeafPlan>),
    /// A leaf that one source has looked up on its encoded data.
    Found(Arc<FoundLeaf>),
    /// A leaf that one source tests on its encoded data.
    Encoded(Arc<EncodedLeaf>),
}

#[derive(Debug)]
pub(super) struct LeafPlan {
    /// `None`: every text column.
    pub(super) field: Option<FieldName>,
    pub(super) ask: Ask,
}

/// What is asked of a value.
#[derive(Debug)]
pub(super) enum Ask {
    Text(TextAsk),
    Number(Operator, Number),
    /// Against the record's time, or the time that a value says.
    Time(Operator, Timestamp),
    Level(LevelSet),
    Id(RecordId),
    Exists,
}

/// A test of text, and as sources are asked it.
#[derive(Debug)]
pub(super) struct TextAsk {
    pub(super) test: Arc<TextTest>,
    pub(super) question: Arc<Question>,
}

/// A set of levels.
#[derive(Clone, Copy, Debug)]
pub(super) struct LevelSet(u8);

impl LevelSet {
    fn new(operator: Operator, bound: Level) -> LevelSet {
        let levels = Level::ALL
            .into_iter()
            .filter(|level| operator.holds(level.cmp(&bound)));
        LevelSet(levels.fold(0, |set, level| set | 1 << level as u8))
    }

    fn has_name(self, name: &str) -> bool {
        // A field that was kept under an alias has the word that it came with.
        Level::from_name(name)
            .or_else(|| Level::from_foreign(name))
            .is_some_and(|level| self.0 >> level as u8 & 1 == 1)
    }
}

/// What times in a query are relative to.
pub(super) struct Clock<'a> {
    pub(super) now: Timestamp,
    pub(super) zone: &'a TimeZone,
}

impl Clock<'_> {
    /// Start of the day that the text names and of the day after it, if it names a whole day.
    fn day(&self, text: &str) -> Result<Option<(Timestamp, Timestamp)>, ScanError> {
        let text = text.trim();
        let is_date = text.len() == "2026-01-04".len() && text.parse::<Date>().is_ok();
        if !is_date && !matches!(text, "today" | "yesterday") {
            return Ok(None);
        }
        let start = parse_time(text, self.now, self.zone)?;
        let next = jiff::Timestamp::from_nanosecond(i128::from(start.0))
            .and_then(|start| start.to_zoned(self.zone.clone()).tomorrow())
            .and_then(|next| next.start_of_day())
            .map(|next| i64::try_from(next.timestamp().as_nanosecond()));
        // Past the last time that a record may have, the day has no end.
        let end = next.ok().and_then(Result::ok).unwrap_or(i64::MAX);
        Ok(Some((start, Timestamp(end))))
    }
}

/// What is known of a source before its blocks are read.
pub(super) struct SourceScope<'a> {
    pub(super) key: PartitionKey,
    pub(super) stream_name: &'a str,
    pub(super) node: u16,
    pub(super) epoch: u16,
    pub(super) extent: Extent,
    /// Columns; `None` before the source is opened.
    pub(super) names: Option<&'a [FieldName]>,
}

impl Plan {
    pub(super) fn new(expr: &Expr, clock: &Clock<'_>) -> Result<Plan, ScanError> {
        let many = |children: &[&Expr]| -> Result<Vec<Plan>, ScanError> {
            let children = children.iter();
            children.map(|child| Plan::new(child, clock)).collect()
        };
        Ok(match expr {
            Expr::All => Plan::Const(true),
            Expr::And(children) => {
                let (ranges, others) = ranges(children);
                let mut plans = many(&others)?;
                for leaves in ranges {
                    plans.push(Plan::of_leaves(&leaves, clock)?);
                }
                plans.sort_by_key(Plan::cost);
                Plan::And(plans)
            }
            Expr::Or(children) => {
                let mut plans = many(&children.iter().collect::<Vec<_>>())?;
                plans.sort_by_key(Plan::cost);
                Plan::Or(plans)
            }
            Expr::Not(child) => Plan::Not(Box::new(Plan::new(child, clock)?)),
            Expr::Leaf(leaf) => Plan::of_leaves(&[leaf], clock)?,
        })
    }

    /// What passes all tests of one field. Asked by an alias, the canonical column passes them
    /// all or the alias's own does; sources without the latter drop that half.
    fn of_leaves(leaves: &[&Leaf], clock: &Clock<'_>) -> Result<Plan, ScanError> {
        let in_column = |name: Option<&FieldName>| -> Result<Plan, ScanError> {
            let mut plans = Vec::with_capacity(leaves.len());
            for leaf in leaves {
                plans.push(leaf_plan(name, &leaf.test, clock)?);
            }
            Ok(match plans.len() {
                1 => plans.swap_remove(0),
                _ => Plan::And(plans),
            })
        };
        let Some(first) = leaves.first() else {
            return Ok(Plan::Const(true));
        };
        let canonical = in_column(first.field.as_ref())?;
        Ok(match &first.alias {
            Some(alias) => Plan::Or(vec![canonical, in_column(Some(alias))?]),
            None => canonical,
        })
    }

    /// No debug and trace records.
    pub(super) fn without_debug(self) -> Plan {
        let hidden = LeafPlan {
            field: Some(field::LEVEL.into()),
            ask: Ask::Level(LevelSet::new(Operator::LessOrEqual, Level::Debug)),
        };
        Plan::And(vec![
            Plan::Not(Box::new(Plan::Leaf(Arc::new(hidden)))),
            self,
        ])
    }

    /// Cheap tests run first: a rough order, not a measure.
    fn cost(&self) -> u32 {
        match self {
            Plan::Const(_) => 0,
            Plan::And(children) | Plan::Or(children) => {
                children.iter().map(Plan::cost).max().unwrap_or_default() + 1
            }
            Plan::Not(child) => child.cost(),
            Plan::Leaf(leaf) => match (&leaf.ask, &leaf.field) {
                (Ask::Id(_) | Ask::Time(..), _) => 1,
                (Ask::Level(_), _) => 2,
                (Ask::Number(..) | Ask::Exists, _) => 3,
                (Ask::Text(text), Some(_)) if !text.test.is_regex() => 10,
                (Ask::Text(text), _) if !text.test.is_regex() => 100,
                (Ask::Text(_), Some(_)) => 1_000,
                (Ask::Text(_), None) => 10_000,
            },
            // What was looked up is decided by sources, after costs are compared.
            Plan::Found(_) | Plan::Encoded(_) => 1,
        }
    }

    /// The plan for one source, with everything decided that can be.
    pub(super) fn for_source(&self, scope: &SourceScope<'_>) -> Plan {
        match self {
            Plan::Leaf(leaf) => match leaf.decide(scope) {
                Some(value) => Plan::Const(value),
                None => self.clone(),
            },
            other => match other.map(&mut |child| Ok::<_, Infallible>(child.for_source(scope))) {
                Ok(plan) => plan,
                Err(never) => match never {},
            },
        }
    }

    /// The plan for one source after its tests were looked up on the encoded data.
    pub(super) fn looked_up(
        &self,
        source: &dyn RowSource,
        columns: &SourceColumns,
    ) -> Result<Plan, ReadError> {
        match self {
            Plan::Leaf(leaf) if matches!(leaf.ask, Ask::Text(_)) => {
                FoundLeaf::look_up(leaf, source, columns)
            }
            Plan::Leaf(leaf) => EncodedLeaf::look_up(leaf, source, columns),
            other => other.map(&mut |child| child.looked_up(source, columns)),
        }
    }

    /// The plan with its children replaced, and with what that decides decided.
    fn map<E>(&self, change: &mut dyn FnMut(&Plan) -> Result<Plan, E>) -> Result<Plan, E> {
        Ok(match self {
            Plan::And(children) => join(children, change, false, Plan::And)?,
            Plan::Or(children) => join(children, change, true, Plan::Or)?,
            Plan::Not(child) => match change(child)? {
                Plan::Const(value) => Plan::Const(!value),
                other => Plan::Not(Box::new(other)),
            },
            Plan::Const(_) | Plan::Leaf(_) | Plan::Found(_) | Plan::Encoded(_) => self.clone(),
        })
    }

    /// How many rows of a source match, if looking up has told.
    pub(super) fn count(&self) -> Option<u64> {
        match self {
            Plan::Found(found) => found.count(),
            _ => None,
        }
    }

    /// Whether a row of the block may match, as far as looking up has told.
    pub(super) fn may_match_in(&self, block: usize) -> bool {
        match self {
            Plan::Const(value) => *value,
            Plan::And(children) => children.iter().all(|child| child.may_match_in(block)),
            Plan::Or(children) => children.iter().any(|child| child.may_match_in(block)),
            Plan::Not(_) | Plan::Leaf(_) | Plan::Encoded(_) => true,
            Plan::Found(found) => found.may_be_in(block),
        }
    }

    pub(super) fn is(&self, value: bool) -> bool {
        matches!(self, Plan::Const(have) if *have == value)
    }

    /// The rows of `within` that match. `text_columns` are the source's columns of full text.
    pub(super) fn evaluate(
        &self,
        view: &mut BlockView<'_>,
        columns: &SourceColumns,
        within: &Selection,
    ) -> Result<Selection, BlockFault> {
        match self {
            Plan::Const(true) => Ok(within.clone()),
            Plan::Const(false) => Ok(view.none()),
            Plan::And(children) => {
                let mut left = within.clone();
                for child in children {
                    if left.is_empty() {
                        break;
                    }
                    left = child.evaluate(view, columns, &left)?;
                }
                Ok(left)
            }
            Plan::Or(children) => {
                let mut left = within.clone();
                let mut out = view.none();
                for child in children {
                    if left.is_empty() {
                        break;
                    }
                    let found = child.evaluate(view, columns, &left)?;
                    left.subtract(&found);
                    out.unite(&found);
                }
                Ok(out)
            }
            Plan::Not(child) => {
                let mut left = within.clone();
                left.subtract(&child.evaluate(view, columns, within)?);
                Ok(left)
            }
            Plan::Leaf(leaf) => leaf.evaluate(view, columns, within),
            Plan::Found(found) => found.evaluate(view, columns, within),
            Plan::Encoded(encoded) => encoded.evaluate(view, columns, within),
        }
    }
}

/// The columns of a source, as leaves need them.
pub(super) struct SourceColumns {
    pub(super) names: Vec<FieldName>,
    /// Those that bare words look into.
    pub(super) text: Vec<FieldName>,
    /// The column of attributes past the limit, if there is one.
    pub(super) overflow: Option<FieldName>,
}

impl SourceColumns {
    /// The column that may hold values of a field beside the field's own.
    pub(super) fn overflow_of(&self, name: &str) -> Option<&FieldName> {
        self.overflow
            .as_ref()
            .filter(|overflow| &***overflow != name)
    }

    pub(super) fn new(names: Vec<FieldName>) -> SourceColumns {
        let mut text: Vec<_> = names
            .iter()
            .filter(|name| field::is_full_text(name))
            .cloned()
            .collect();
        // Most words are in the message, and what matched there is not looked at again.
        text.sort_by_key(|name| &**name != field::MESSAGE);
        SourceColumns {
            overflow: names
                .iter()
                .find(|name| &***name == field::OVERFLOW)
                .cloned(),
            text,
            names,
        }
    }
}

/// `And` (absorbing value false) or `Or` (absorbing value true) of what is left of the children.
fn join<E>(
    children: &[Plan],
    change: &mut dyn FnMut(&Plan) -> Result<Plan, E>,
    absorbing: bool,
    make: fn(Vec<Plan>) -> Plan,
) -> Result<Plan, E> {
    let mut left = Vec::with_capacity(children.len());
    for child in children {
        match change(child)? {
            Plan::Const(value) if value == absorbing => return Ok(Plan::Const(absorbing)),
            Plan::Const(_) => {}
            other => left.push(other),
        }
    }
    Ok(match left.len() {
        0 => Plan::Const(!absorbing),
        1 => left.swap_remove(0),
        _ => make(left),
    })
}

/// The comparisons among the children of an `And` that ask one field by one alias, together, and
/// the other children: both ends of a range must hold for the same value.
fn ranges(children: &[Expr]) -> (Vec<Vec<&Leaf>>, Vec<&Expr>) {
    let mut ranges: Vec<Vec<&Leaf>> = Vec::new();
    let mut others = Vec::new();
    for child in children {
        let Expr::Leaf(leaf) = child else {
            others.push(child);
            continue;
        };
        let is_comparison = matches!(
            leaf.test,
            Test::Number(..) | Test::Time(..) | Test::Level(..)
        );
        if !is_comparison || leaf.alias.is_none() {
            others.push(child);
            continue;
        }
        match ranges.iter_mut().find(|have| have[0].alias == leaf.alias) {
            Some(have) => have.push(leaf),
            None => ranges.push(vec![leaf]),
        }
    }
    (ranges, others)
}

/// The plan of one test of one column; `None`: every text column.
fn leaf_plan(name: Option<&FieldName>, test: &Test, clock: &Clock<'_>) -> Result<Plan, ScanError> {
    let leaf = |ask: Ask| {
        Plan::Leaf(Arc::new(LeafPlan {
            field: name.cloned(),
            ask,
        }))
    };
    if let Test::Time(Operator::Equal, text) = test
        && let Some((start, end)) = clock.day(text)?
    {
        return Ok(Plan::And(vec![
            leaf(Ask::Time(Operator::GreaterOrEqual, start)),
            leaf(Ask::Time(Operator::Less, end)),
        ]));
    }
    Ok(match Ask::new(name, test, clock)? {
        Some(ask) => leaf(ask),
        None => Plan::Const(false),
    })
}

impl Ask {
    /// `None` if no value passes.
    fn new(
        name: Option<&FieldName>,
        test: &Test,
        clock: &Clock<'_>,
    ) -> Result<Option<Ask>, ScanError> {
        let ask = match test {
            Test::Number(operator, text) => match Number::parse(text.text()) {
                Some(number) => Ask::Number(*operator, number),
                // `NumberText` holds numbers only.
                None => return Ok(None),
            },
            Test::Time(operator, text) => {
                Ask::Time(*operator, parse_time(text, clock.now, clock.zone)?)
            }
            Test::Level(operator, level) => Ask::Level(LevelSet::new(*operator, *level)),
            Test::Id(id) => Ask::Id(*id),
            Test::Exists => Ask::Exists,
            Test::Regex(text) => {
                let compiled = regex::compile(text).map_err(|fault| ScanError::Regex {
                    pattern: text.pattern().to_owned(),
                    detail: fault.detail,
                })?;
                return Ok(Ask::text(name, test, Some(compiled)));
            }
            // An id is looked up as it is stored.
            Test::Whole(text) => {
                let text = match name {
                    Some(name) => field::stored_id(name, text).into_owned(),
                    None => text.clone(),
                };
                return Ok(Ask::text(name, &Test::Whole(text), None));
            }
            Test::Words(_) | Test::WordPattern(_) | Test::Substring(_) | Test::WholePattern(_) => {
                return Ok(Ask::text(name, test, None));
            }
        };
        Ok(Some(ask))
    }

    fn text(name: Option<&FieldName>, test: &Test, regex: Option<CompiledRegex>) -> Option<Ask> {
        let test = Arc::new(TextTest::new(test, regex)?);
        let question = Arc::new(Question::new(test.clone(), name.is_none()));
        Some(Ask::Text(TextAsk { test, question }))
    }
}

impl LeafPlan {
    /// Whether all rows of a source match, or none, if that is known.
    fn decide(&self, scope: &SourceScope<'_>) -> Option<bool> {
        let Some(name) = &self.field else {
            let has_text = |names: &[FieldName]| names.iter().any(|name| field::is_full_text(name));
            return match (&self.ask, scope.names) {
                (Ask::Exists, _) => Some(true),
                (_, Some(names)) if !has_text(names) => Some(false),
                _ => None,
            };
        };
        match (&**name, &self.ask) {
            (_, Ask::Id(id)) => {
                let is_here = id.stream == scope.key.stream
                    && id.day == scope.key.day
                    && id.node == scope.node
                    && id.epoch == scope.epoch;
                (!is_here).then_some(false)
            }
            (field::STREAM | field::ID | field::TIMESTAMP, Ask::Exists) => Some(true),
            (field::STREAM, Ask::Text(text)) => {
                Some(text.test.matches(Kind::String, scope.stream_name))
            }
            (field::TIMESTAMP, Ask::Time(operator, bound)) => {
                decide_by_time(*operator, *bound, &scope.extent)
            }
            (name, _) => {
                let names = scope.names?;
                let may_be_there = names
                    .iter()
                    .any(|have| &**have == name || &**have == field::OVERFLOW);
                (!may_be_there).then_some(false)
            }
        }
    }

    pub(super) fn evaluate(
        &self,
        view: &mut BlockView<'_>,
        columns: &SourceColumns,
        within: &Selection,
    ) -> Result<Selection, BlockFault> {
        let mut out = view.none();
        let Some(name) = &self.field else {
            if let Ask::Text(text) = &self.ask {
                let mut left = within.clone();
                for name in &columns.text {
                    text.test.scan(view, name, true, &left, &mut out)?;
                    left.subtract(&out);
                    if left.is_empty() {
                        break;
                    }
                }
            }
            return Ok(out);
        };
        match (&**name, &self.ask) {
            (field::TIMESTAMP, Ask::Time(operator, bound)) => {
                if let Some(value) = decide_by_time(*operator, *bound, &view.extent) {
                    return Ok(if value { within.clone() } else { out });
                }
                let times = view.timestamps()?;
                out = within.clone();
                out.retain(|row| operator.holds(times[row as usize].cmp(&bound.0)));
                return Ok(out);
            }
            (_, Ask::Id(id)) => {
                let positions = view.positions()?;
                out = within.clone();
                out.retain(|row| Position(positions[row as usize]) == id.position);
                return Ok(out);
            }
            _ => {}
        }
        match &self.ask {
            Ask::Text(text) => text.test.scan(view, name, false, within, &mut out)?,
            ask if ask.may_match(view, name)? => {
                if let Some(loaded) = view.column(name)? {
                    for (row, value) in loaded.column.iter() {
                        if within.has(row) && ask.holds(value.kind, value.text) {
                            out.add(row);
                        }
                    }
                }
            }
            _ => {}
        }
        self.evaluate_overflow(view, name, columns, within, &mut out)?;
        Ok(out)
    }

    /// Adds the rows whose value is among the attributes past the limit of columns.
    pub(super) fn evaluate_overflow(
        &self,
        view: &mut BlockView<'_>,
        name: &FieldName,
        columns: &SourceColumns,
        within: &Selection,
        out: &mut Selection,
    ) -> Result<(), BlockFault> {
        let Some(overflow) = columns.overflow_of(name) else {
            return Ok(());
        };
        let Some(loaded) = view.column(overflow)? else {
            return Ok(());
        };
        for (row, value) in loaded.column.iter() {
            if !within.has(row) || out.has(row) {
                continue;
            }
            let is_match = overflow::value(value.text, name)
                .is_some_and(|(kind, text)| self.ask.holds(kind, &text));
            if is_match {
                out.add(row);
            }
        }
        Ok(())
    }
}

impl Ask {
    /// Whether a value passes.
    pub(super) fn passes(&self, value: Value<'_>) -> bool {
        self.holds(value.kind, value.text)
    }

    fn holds(&self, kind: Kind, text: &str) -> bool {
        match self {
            Ask::Text(ask) => ask.test.matches(kind, text),
            Ask::Number(operator, bound) => {
                matches!(kind, Kind::Integer | Kind::Float | Kind::String)
                    && Number::parse(text)
                        .is_some_and(|value| operator.holds(value.compare(*bound)))
            }
            Ask::Time(operator, bound) => parse_epoch(text)
                .or_else(|| parse_rfc3339(text))
                .is_some_and(|time| operator.holds(time.cmp(bound))),
            Ask::Level(levels) => levels.has_name(text),
            Ask::Exists => true,
            Ask::Id(_) => false,
        }
    }

    /// Whether the block's statistics leave a chance.
    pub(super) fn may_match(&self, view: &BlockView<'_>, name: &str) -> Result<bool, BlockFault> {
        let Ask::Number(operator, bound) = self else {
            return Ok(true);
        };
        let Some((least, greatest)) = view.stats(name)?.and_then(|stats| stats.numbers) else {
            return Ok(true);
        };
        // Statistics are rounded, and rounding keeps the order: equal bounds decide nothing.
        let bound = bound.as_f64();
        Ok(match operator {
            Operator::Equal => least <= bound && bound <= greatest,
            Operator::Greater | Operator::GreaterOrEqual => greatest >= bound,
            Operator::Less | Operator::LessOrEqual => least <= bound,
        })
    }
}

fn decide_by_time(operator: Operator, bound: Timestamp, extent: &Extent) -> Option<bool> {
    let first = operator.holds(extent.time_min.cmp(&bound));
    let last = operator.holds(extent.time_max.cmp(&bound));
    match operator {
        Operator::Equal => {
            let is_outside = bound < extent.time_min || extent.time_max < bound;
            match is_outside {
                true => Some(false),
                false => (first && last).then_some(true),
            }
        }
        // The others are monotone: what holds at both ends holds between them.
        _ => (first == last).then_some(first),
    }
}
