//! The most frequent values of fields.
//!
//! A facet is exact up to `FACET_DISTINCT_MAX` different values, and up to its share of the bytes
//! that a query may have; past either the rare half of the values is dropped, so that frequent
//! values keep nearly all of their count, and the number of different values is estimated from the
//! smallest hashes.
use super::super::{
    asked::AskedField,
    block::{BlockFault, BlockView},
    drive::{Collector, OpenBlock, Scan},
    selection::Selection,
};
use super::{
    budget::Budget,
    keys::{Ids, KeyField},
    kinds::Kinds,
};
use crate::result::{Facet, FacetValue, ScanError};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use taffrail_model::{
    column::FieldName,
    limits::{AGGREGATE_BYTES_MAX, FACET_BYTES_MAX, FACET_DISTINCT_MAX, FACET_VALUES_MAX},
};
use taffrail_storage::read::token_hash;

/// Bytes that a value costs besides its text: two tables, its count and what they leave free.
const VALUE_BYTES: usize = 96;
/// Bytes that all tables of a query may fill: tables are looked at after a block, so the rest of
/// what a query may have is for the values of one more.
const TABLES_BYTES_MAX: usize = AGGREGATE_BYTES_MAX / 4 * 3;
/// Threads that have tables of their own.
const THREADS: usize = 2;

/// Runs facets.
pub(in crate::scan) fn facets(
    scan: &Scan<'_>,
    fields: &[FieldName],
    limit: usize,
) -> Result<Vec<Facet>, ScanError> {
    if limit > FACET_VALUES_MAX {
        return Err(ScanError::PastLimit {
            what: "limit",
            given: limit,
            max: FACET_VALUES_MAX,
        });
    }
    let bytes_max = table_bytes_max(fields.len());
    let facets = fields
        .iter()
        .map(|name| FacetOf::new(AskedField::new(name), bytes_max));
    let found = scan.run(FacetCollector {
        facets: facets.collect(),
        budget: Budget::new(scan.request().control().memory()),
        failed: None,
    })?;
    if let Some(error) = found.failed {
        return Err(error);
    }
    let facets = found.facets.into_iter();
    Ok(facets
        .map(|facet| facet.table.finish(facet.field.asked.name().clone(), limit))
        .collect())
}

/// Bytes of the table of one of so many fields.
fn table_bytes_max(fields: usize) -> usize {
    FACET_BYTES_MAX.min(TABLES_BYTES_MAX / THREADS / fields.max(1))
}

struct FacetCollector<'a> {
    facets: Vec<FacetOf<'a>>,
    budget: Budget,
    /// What went wrong where nothing can be returned.
    failed: Option<ScanError>,
}

/// One field and its counts.
struct FacetOf<'a> {
    field: KeyField<'a>,
    table: FacetTable,
}

impl FacetOf<'_> {
    fn new(asked: AskedField, bytes_max: usize) -> Self {
        FacetOf {
            field: KeyField::new(asked),
            table: FacetTable::new(bytes_max),
        }
    }
}

/// A value and how often it is there.
struct Counted {
    text: Arc<str>,
    kinds: Kinds,
    count: u64,
}

/// Counts by value of one field. Values are numbered from 1 on; 0 is none.
struct FacetTable {
    ids: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    /// The kinds of the values that had the text, text by text.
    kinds: Vec<Kinds>,
    /// By number.
    counts: Vec<u64>,
    /// Of all values.
    bytes: usize,
    bytes_max: usize,
    /// The most bytes there were when they were paid for: memory of what is dropped may stay.
    paid: usize,
    /// Set when values were dropped for the first time.
    sketch: Option<DistinctSketch>,
}

impl FacetTable {
    fn new(bytes_max: usize) -> FacetTable {
        FacetTable {
            ids: HashMap::new(),
            texts: Vec::new(),
            kinds: Vec::new(),
            counts: Vec::new(),
            bytes: 0,
            bytes_max,
            paid: 0,
            sketch: None,
        }
    }

    /// Pays for what has come since this was last asked.
    fn pay(&mut self, budget: &mut Budget) -> Result<(), ScanError> {
        match self.bytes.checked_sub(self.paid) {
            None | Some(0) => Ok(()),
            Some(more) => {
                self.paid = self.bytes;
                budget.charge(more)
            }
        }
    }

    /// Number of a value, given if it is new.
    fn id(&mut self, text: &str, kinds: Kinds) -> u32 {
        if let Some(id) = self.ids.get(text) {
            if let Some(have) = self.kinds.get_mut(*id as usize - 1) {
                have.add(kinds);
            }
            return *id;
        }
        if let Some(sketch) = &mut self.sketch {
            sketch.add(text);
        }
        let text: Arc<str> = text.into();
        self.bytes += text.len() + VALUE_BYTES;
        self.texts.push(text.clone());
        self.kinds.push(kinds);
        let id = self.texts.len() as u32;
        self.ids.insert(text, id);
        id
    }

    fn add(&mut self, id: u32, count: u64) {
        let at = id as usize;
        if self.counts.len() <= at {
            self.counts.resize(self.texts.len().max(at) + 1, 0);
        }
        self.counts[at] += count;
    }

    fn add_rows(&mut self, ids: &Ids, selection: &Selection) {
        self.counts.resize(self.texts.len() + 1, 0);
        ids.each_count(selection, |id, rows| {
            if let Some(count) = self.counts.get_mut(id as usize) {
                *count += rows;
            }
        });
    }

    /// Drops rare values while there are too many; whether there were: numbers are then others.
    fn trim(&mut self) -> bool {
        let is_full = |table: &FacetTable| {
            table.texts.len() > FACET_DISTINCT_MAX || table.bytes > table.bytes_max
        };
        let was_full = is_full(self);
        while is_full(self) {
            self.drop_rare_half();
        }
        was_full
    }

    /// All values, taken out.
    fn drain(&mut self) -> Vec<Counted> {
        self.ids.clear();
        self.bytes = 0;
        let counts = std::mem::take(&mut self.counts);
        let counts = counts.into_iter().skip(1).chain(std::iter::repeat(0));
        let texts = std::mem::take(&mut self.texts);
        let kinds = std::mem::take(&mut self.kinds);
        let values = texts.into_iter().zip(kinds).zip(counts);
        values
            .map(|((text, kinds), count)| Counted { text, kinds, count })
            .collect()
    }

    fn drop_rare_half(&mut self) {
        let texts = &self.texts;
        self.sketch
            .get_or_insert_with(|| DistinctSketch::of(texts.iter()));
        let sketch = self.sketch.take();
        let values = self.drain();
        let rank = |value: &Counted| (value.count, token_hash(&value.text));
        let mut ranked: Vec<(u64, u64)> = values.iter().map(rank).collect();
        let middle = ranked.len() / 2;
        let (_, median, _) = ranked.select_nth_unstable(middle);
        for value in values.iter().filter(|value| rank(value) > *median) {
            let id = self.id(&value.text, value.kinds);
            self.add(id, value.count);
        }
        self.sketch = sketch;
    }

    fn merge(&mut self, mut other: FacetTable, budget: &mut Budget) -> Result<(), ScanError> {
        if let Some(theirs) = other.sketch.take() {
            let texts = &self.texts;
            let mine = self
                .sketch
                .get_or_insert_with(|| DistinctSketch::of(texts.iter()));
            mine.merge(theirs);
        }
        for value in other.drain() {
            let id = self.id(&value.text, value.kinds);
            self.add(id, value.count);
            self.pay(budget)?;
            self.trim();
        }
        Ok(())
    }

    fn finish(mut self, field: FieldName, limit: usize) -> Facet {
        let is_estimate = self.sketch.is_some();
        let sketch = self.sketch.take();
        let mut values = self.drain();
        // A value of a block that could not be read to its end was numbered and not counted.
        values.retain(|value| value.count > 0);
        let have = values.len() as u64;
        let distinct = sketch.map_or(have, |sketch| sketch.estimate().max(have));
        let mut values: Vec<FacetValue> = values
            .into_iter()
            .map(|value| FacetValue {
                value: value.text.to_string(),
                is_json: value.kinds.are_json(),
                count: value.count,
            })
            .collect();
        values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        values.truncate(limit);
        Facet {
            field,
            values,
            distinct,
            is_estimate,
        }
    }
}

/// Estimates the number of different values by the k smallest of their hashes: if the k-th
/// smallest lies at a fraction f of the range, there are about (k - 1) / f. The error is about
/// 3% with k = 1,024.
struct DistinctSketch(BTreeSet<u64>);

impl DistinctSketch {
    const HASHES: usize = 1_024;

    fn of<'t>(texts: impl Iterator<Item = &'t Arc<str>>) -> DistinctSketch {
        let mut sketch = DistinctSketch(BTreeSet::new());
        texts.for_each(|text| sketch.add(text));
        sketch
    }

    fn add(&mut self, text: &str) {
        self.add_hash(token_hash(text));
    }

    fn add_hash(&mut self, hash: u64) {
        let is_small =
            self.0.len() < Self::HASHES || self.0.last().is_some_and(|last| hash < *last);
        if is_small && self.0.insert(hash) && self.0.len() > Self::HASHES {
            self.0.pop_last();
        }
    }

    fn merge(&mut self, other: DistinctSketch) {
        other.0.into_iter().for_each(|hash| self.add_hash(hash));
    }

    fn estimate(&self) -> u64 {
        match self.0.last() {
            Some(last) if self.0.len() == Self::HASHES => {
                let fraction = (*last as f64 + 1.0) / (u64::MAX as f64 + 1.0);
                ((Self::HASHES - 1) as f64 / fraction) as u64
            }
            _ => self.0.len() as u64,
        }
    }
}

impl<'a> Collector<'a> for FacetCollector<'a> {
    fn fork(&self) -> Self {
        let facets = self.facets.iter();
        let facets = facets.map(|facet| {
            let asked = facet.field.asked.clone();
            FacetOf::new(asked, facet.table.bytes_max)
        });
        FacetCollector {
            facets: facets.collect(),
            budget: self.budget.fork(),
            failed: None,
        }
    }

    fn merge(&mut self, other: Self) {
        for (mine, theirs) in self.facets.iter_mut().zip(other.facets) {
            if let Err(error) = mine.table.merge(theirs.table, &mut self.budget) {
                self.failed.get_or_insert(error);
            }
        }
    }

    fn is_ordered(&self) -> bool {
        false
    }

    fn take(
        &mut self,
        block: &OpenBlock<'a>,
        view: &mut BlockView<'_>,
        selection: &Selection,
    ) -> Result<(), BlockFault> {
        let budget = &mut self.budget;
        let mut all = Vec::with_capacity(self.facets.len());
        for FacetOf { field, table } in &mut self.facets {
            all.push(field.ids(block, view, selection, &mut |value| {
                let Some(value) = value else {
                    return Ok(0);
                };
                let id = table.id(value.text, Kinds::of(value.kind));
                table.pay(budget).map_err(BlockFault::Stop)?;
                Ok(id)
            })?);
        }
        for (FacetOf { field, table }, ids) in self.facets.iter_mut().zip(all) {
            table.add_rows(&ids, selection);
            if table.trim() {
                field.forget();
            }
        }
        Ok(())
    }
}
