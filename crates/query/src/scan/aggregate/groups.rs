//! Groups: the different combinations of values of the keys, numbered as they come.
//!
//! The values of each key are numbered, and so are pairs of numbers: the group of three keys is the
//! pair of the group of two and the number of the third.
use super::super::{
    asked::AskedField,
    block::{BlockFault, BlockView},
    drive::OpenBlock,
    selection::Selection,
};
use super::{
    budget::Budget,
    keys::{CodedIds, Ids, KeyField},
    kinds::Kinds,
};
use crate::{
    request::GroupKey,
    result::{Cell, ScanError},
};
use std::{collections::HashMap, sync::Arc};
use taffrail_model::{
    column::Value,
    limits::{AGGREGATE_GROUPS_MAX, BLOCK_ROWS, HISTOGRAM_BUCKETS_MAX},
    time::Timestamp,
};

/// Bytes that a number costs besides its text: two tables and what they leave free.
const ID_BYTES: usize = 96;
/// Pairs of codes up to which a block has a table of them: not more than it has rows, or looking
/// the rows up is as cheap.
const CODE_PAIRS_MAX: usize = BLOCK_ROWS;

/// Numbers of texts; 0 is a row without a value.
#[derive(Default)]
pub(super) struct TextIds {
    ids: HashMap<Arc<str>, u32>,
    /// The texts from number 1 on, with the kinds of the values that had the text.
    texts: Vec<(Arc<str>, Kinds)>,
}

impl TextIds {
    /// Number of a value, given if it is new.
    pub(super) fn id(
        &mut self,
        value: Option<Value<'_>>,
        budget: &mut Budget,
    ) -> Result<u32, ScanError> {
        let Some(value) = value else {
            return Ok(0);
        };
        self.id_of(value.text, Kinds::of(value.kind), budget)
    }

    fn id_of(&mut self, text: &str, kinds: Kinds, budget: &mut Budget) -> Result<u32, ScanError> {
        if let Some(id) = self.ids.get(text) {
            if let Some((_, have)) = self.texts.get_mut(*id as usize - 1) {
                have.add(kinds);
            }
            return Ok(*id);
        }
        check_groups(self.texts.len() + 1)?;
        budget.charge(text.len() + ID_BYTES)?;
        let text: Arc<str> = text.into();
        self.texts.push((text.clone(), kinds));
        let id = self.texts.len() as u32;
        self.ids.insert(text, id);
        Ok(id)
    }

    fn cell(&self, id: u32) -> Cell {
        match id.checked_sub(1).and_then(|at| self.texts.get(at as usize)) {
            None => Cell::Null,
            Some((text, kinds)) if kinds.are_json() => Cell::Json(text.to_string()),
            Some((text, _)) => Cell::Text(text.to_string()),
        }
    }
}

fn check_groups(groups: usize) -> Result<(), ScanError> {
    match groups <= AGGREGATE_GROUPS_MAX {
        true => Ok(()),
        false => Err(ScanError::TooManyGroups {
            max: AGGREGATE_GROUPS_MAX,
        }),
    }
}

/// Numbers of buckets of time.
struct TimeIds {
    interval_ns: i64,
    ids: HashMap<i64, u32>,
    buckets: Vec<i64>,
}

impl TimeIds {
    fn id(&mut self, bucket: i64, budget: &mut Budget) -> Result<u32, ScanError> {
        if let Some(id) = self.ids.get(&bucket) {
            return Ok(*id);
        }
        if self.buckets.len() == HISTOGRAM_BUCKETS_MAX {
            return Err(ScanError::TooManyBuckets {
                interval_ns: self.interval_ns,
                max: HISTOGRAM_BUCKETS_MAX,
                // Found out by whoever runs the aggregate.
                least_ns: self.interval_ns,
            });
        }
        budget.charge(ID_BYTES)?;
        let id = self.buckets.len() as u32;
        self.buckets.push(bucket);
        self.ids.insert(bucket, id);
        Ok(id)
    }

    fn ids(
        &mut self,
        view: &mut BlockView<'_>,
        selection: &Selection,
        budget: &mut Budget,
    ) -> Result<Ids, BlockFault> {
        let first = view.extent.time_min.0.div_euclid(self.interval_ns);
        if first == view.extent.time_max.0.div_euclid(self.interval_ns) {
            return Ok(Ids::One(self.id(first, budget).map_err(BlockFault::Stop)?));
        }
        let times = view.timestamps()?;
        let mut out = vec![0; times.len()];
        let (mut start, mut last, mut id) = (0, 0, None);
        for row in selection.iter() {
            let time = times[row as usize];
            let id = match id {
                Some(id) if start <= time && time <= last => id,
                _ => {
                    let bucket = time.div_euclid(self.interval_ns);
                    start = bucket.saturating_mul(self.interval_ns);
                    last = start.saturating_add(self.interval_ns - 1);
                    *id.insert(self.id(bucket, budget).map_err(BlockFault::Stop)?)
                }
            };
            if let Some(place) = out.get_mut(row as usize) {
                *place = id;
            }
        }
        Ok(Ids::Each(out))
    }
}

/// Numbers of pairs of numbers.
#[derive(Default)]
struct PairIds {
    ids: HashMap<(u32, u32), u32>,
    pairs: Vec<(u32, u32)>,
    /// For each second number the pair that it was in last: first number, and the pair's.
    memo: Vec<Option<(u32, u32)>>,
}

impl PairIds {
    fn id(&mut self, pair: (u32, u32), budget: &mut Budget) -> Result<u32, ScanError> {
        let at = pair.1 as usize;
        if let Some(Some((first, id))) = self.memo.get(at)
            && *first == pair.0
        {
            return Ok(*id);
        }
        let id = match self.ids.get(&pair) {
            Some(id) => *id,
            None => {
                check_groups(self.pairs.len() + 1)?;
                budget.charge(ID_BYTES)?;
                let id = self.pairs.len() as u32;
                self.pairs.push(pair);
                self.ids.insert(pair, id);
                id
            }
        };
        if self.memo.len() <= at {
            budget.charge((at + 1 - self.memo.len()) * size_of::<Option<(u32, u32)>>())?;
            self.memo.resize(at + 1, None);
        }
        self.memo[at] = Some((pair.0, id));
        Ok(id)
    }

    fn ids(
        &mut self,
        first: Ids,
        second: Ids,
        selection: &Selection,
        budget: &mut Budget,
    ) -> Result<Ids, ScanError> {
        match (first, second) {
            (Ids::One(first), Ids::One(second)) => self.id((first, second), budget).map(Ids::One),
            (Ids::One(first), Ids::Coded(mut coded)) => {
                coded.renumber(|second| self.id((first, second), budget))?;
                Ok(Ids::Coded(coded))
            }
            (Ids::Coded(mut coded), Ids::One(second)) => {
                coded.renumber(|first| self.id((first, second), budget))?;
                Ok(Ids::Coded(coded))
            }
            (Ids::Coded(first), Ids::Coded(second))
                if first.width() * second.width() <= CODE_PAIRS_MAX =>
            {
                self.ids_of_codes(&first, &second, selection, budget)
            }
            (first, second) => self.ids_of_rows(&first, &second, selection, budget),
        }
    }

    /// The pair of each row, looked up row by row; runs of one pair are looked up once.
    fn ids_of_rows(
        &mut self,
        first: &Ids,
        second: &Ids,
        selection: &Selection,
        budget: &mut Budget,
    ) -> Result<Ids, ScanError> {
        let mut out = vec![0; selection.rows() as usize];
        let mut last: Option<((u32, u32), u32)> = None;
        for row in selection.iter() {
            let pair = (first.of(row), second.of(row));
            let id = match last {
                Some((have, id)) if have == pair => id,
                _ => self.id(pair, budget)?,
            };
            last = Some((pair, id));
            if let Some(place) = out.get_mut(row as usize) {
                *place = id;
            }
        }
        Ok(Ids::Each(out))
    }

    /// The pair of each row, looked up once for each two codes.
    fn ids_of_codes(
        &mut self,
        first: &CodedIds,
        second: &CodedIds,
        selection: &Selection,
        budget: &mut Budget,
    ) -> Result<Ids, ScanError> {
        let mut out = vec![0; selection.rows() as usize];
        let mut known: Vec<Option<u32>> = vec![None; first.width() * second.width()];
        for row in selection.iter() {
            let codes = (
                first.codes.get(row as usize),
                second.codes.get(row as usize),
            );
            let ((Some(a), Some(b)), Some(place)) = (codes, out.get_mut(row as usize)) else {
                continue;
            };
            let at = usize::from(*a) * second.width() + usize::from(*b);
            *place = match known.get(at) {
                Some(Some(id)) => *id,
                _ => {
                    let id = self.id((first.id(*a), second.id(*b)), budget)?;
                    if let Some(known) = known.get_mut(at) {
                        *known = Some(id);
                    }
                    id
                }
            };
        }
        Ok(Ids::Each(out))
    }
}

/// One key: how its values are read and numbered.
enum Key<'a> {
    Time(TimeIds),
    Field(KeyField<'a>, TextIds),
}

impl Key<'_> {
    fn by_time(interval_ns: i64) -> Self {
        Key::Time(TimeIds {
            interval_ns,
            ids: HashMap::new(),
            buckets: Vec::new(),
        })
    }

    fn by_field(asked: AskedField) -> Self {
        Key::Field(KeyField::new(asked), TextIds::default())
    }
}

/// The groups that have been met.
pub(super) struct Groups<'a> {
    keys: Vec<Key<'a>>,
    /// One less than keys.
    pairs: Vec<PairIds>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(keys: &[GroupKey]) -> Groups<'a> {
        Groups::of(keys.iter().map(|key| match key {
            GroupKey::Time { interval_ns } => Key::by_time(*interval_ns),
            GroupKey::Field(name) => Key::by_field(AskedField::new(name)),
        }))
    }

    fn of(keys: impl Iterator<Item = Key<'a>>) -> Groups<'a> {
        let keys: Vec<_> = keys.collect();
        Groups {
            pairs: (1..keys.len()).map(|_| PairIds::default()).collect(),
            keys,
        }
    }

    /// The same keys, without groups.
    pub(super) fn fork(&self) -> Groups<'a> {
        Groups::of(self.keys.iter().map(|key| match key {
            Key::Time(times) => Key::by_time(times.interval_ns),
            Key::Field(field, _) => Key::by_field(field.asked.clone()),
        }))
    }

    /// How many there are, counted from 0 on.
    pub(super) fn len(&self) -> usize {
        match (self.pairs.last(), self.keys.last()) {
            (Some(pairs), _) => pairs.pairs.len(),
            (None, Some(Key::Time(times))) => times.buckets.len(),
            (None, Some(Key::Field(_, texts))) => texts.texts.len() + 1,
            (None, None) => 1,
        }
    }

    /// The group of each selected row of a block.
    pub(super) fn ids(
        &mut self,
        block: &OpenBlock<'a>,
        view: &mut BlockView<'_>,
        selection: &Selection,
        budget: &mut Budget,
    ) -> Result<Ids, BlockFault> {
        let mut groups = None;
        let mut pairs = self.pairs.iter_mut();
        for key in &mut self.keys {
            let ids = match key {
                Key::Time(times) => times.ids(view, selection, budget)?,
                Key::Field(field, texts) => field.ids(block, view, selection, &mut |value| {
                    texts.id(value, budget).map_err(BlockFault::Stop)
                })?,
            };
            groups = Some(match (groups, &mut pairs) {
                (None, _) => ids,
                (Some(before), pairs) => match pairs.next() {
                    Some(pairs) => pairs
                        .ids(before, ids, selection, budget)
                        .map_err(BlockFault::Stop)?,
                    None => before,
                },
            });
        }
        Ok(groups.unwrap_or(Ids::One(0)))
    }

    /// The group of rows of which all are in one bucket, if time is the only key.
    pub(super) fn of_extent(
        &mut self,
        first: Timestamp,
        last: Timestamp,
        budget: &mut Budget,
    ) -> Option<Result<u32, ScanError>> {
        match &mut self.keys[..] {
            [] => Some(Ok(0)),
            [Key::Time(times)] => {
                let bucket = first.0.div_euclid(times.interval_ns);
                let is_one = bucket == last.0.div_euclid(times.interval_ns);
                is_one.then(|| times.id(bucket, budget))
            }
            _ => None,
        }
    }

    /// Takes over the groups of another; the number here of each of its groups.
    pub(super) fn merge(
        &mut self,
        other: &Groups<'a>,
        budget: &mut Budget,
    ) -> Result<Vec<u32>, ScanError> {
        let mut groups: Option<Vec<u32>> = None;
        let mut pairs = self.pairs.iter_mut().zip(&other.pairs);
        for (key, other) in self.keys.iter_mut().zip(&other.keys) {
            let ids: Vec<u32> = match (key, other) {
                (Key::Time(mine), Key::Time(theirs)) => {
                    let buckets = theirs.buckets.iter();
                    buckets
                        .map(|bucket| mine.id(*bucket, budget))
                        .collect::<Result<_, _>>()?
                }
                (Key::Field(_, mine), Key::Field(_, theirs)) => {
                    let mut ids = vec![0];
                    for (text, kinds) in &theirs.texts {
                        ids.push(mine.id_of(text, *kinds, budget)?);
                    }
                    ids
                }
                _ => Vec::new(),
            };
            groups = Some(match groups {
                None => ids,
                Some(before) => match pairs.next() {
                    Some((mine, theirs)) => {
                        let renumbered = theirs.pairs.iter().map(|(first, second)| {
                            let number = |ids: &[u32], at: u32| {
                                ids.get(at as usize).copied().unwrap_or_default()
                            };
                            mine.id((number(&before, *first), number(&ids, *second)), budget)
                        });
                        renumbered.collect::<Result<_, _>>()?
                    }
                    None => before,
                },
            });
        }
        Ok(groups.unwrap_or_else(|| vec![0]))
    }

    /// The values of a group, one for each key.
    pub(super) fn cells(&self, group: u32) -> Vec<Cell> {
        let mut numbers = Vec::with_capacity(self.keys.len());
        let mut left = group;
        for pairs in self.pairs.iter().rev() {
            let (first, second) = pairs.pairs.get(left as usize).copied().unwrap_or_default();
            numbers.push(second);
            left = first;
        }
        numbers.push(left);
        let keys = self.keys.iter().zip(numbers.into_iter().rev());
        keys.map(|(key, number)| match key {
            Key::Time(times) => match times.buckets.get(number as usize) {
                Some(bucket) => Cell::Time(Timestamp(bucket.saturating_mul(times.interval_ns))),
                None => Cell::Null,
            },
            Key::Field(_, texts) => texts.cell(number),
        })
        .collect()
    }
}
