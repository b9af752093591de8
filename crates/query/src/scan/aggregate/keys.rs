//! The values that rows are grouped by, as small numbers.
//!
//! A source that keeps a field as codes is read as codes: each code is looked up at most once a
//! source. Codes that are bytes stay codes, with a table of what they stand for, and their rows are
//! counted before anything is looked up: a count by value touches each row once. All else is read
//! as text, of which runs of the same value are looked up once.
use super::super::{
    asked::AskedField,
    block::{BlockFault, BlockView},
    drive::{OpenBlock, OpenSource},
    selection::Selection,
};
use super::tally::Tally;
use std::sync::Arc;
use taffrail_model::{
    column::{Kind, Value},
    field,
};
use taffrail_storage::coded::{BlockCodes, CodedColumn};

/// Sources of which something is remembered: threads work on few at a time.
const SOURCES_MAX: usize = 16;
/// Bytes that are remembered of all sources together: many dictionaries of usual size. What one
/// source needs is always kept, or each of its blocks would look it up anew.
const SOURCES_BYTES_MAX: usize = 8 << 20;
/// Rows of a run from which on counting its codes first is cheaper: the counters of all codes are
/// looked at afterwards.
const TALLIED_ROWS_MIN: usize = 128;
/// A code that was not looked up yet.
const UNKNOWN: u32 = u32::MAX;

/// The number of each row of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// All rows have this one.
    One(u32),
    /// One for each code.
    Coded(CodedIds),
    /// One for each row of the block; those of rows that were not asked for mean nothing.
    Each(Vec<u32>),
}

/// The numbers of a block whose rows have codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CodedIds {
    /// Of each row.
    pub(super) codes: Vec<u8>,
    /// The number of each code; those of codes that no row asked for has mean nothing.
    ids: Vec<u32>,
    /// The codes of the rows asked for, and how many rows have them.
    rows: Vec<(u8, u32)>,
}

impl CodedIds {
    /// The number of a code.
    pub(super) fn id(&self, code: u8) -> u32 {
        self.ids.get(usize::from(code)).copied().unwrap_or(UNKNOWN)
    }

    /// How many codes there may be.
    pub(super) fn width(&self) -> usize {
        self.ids.len()
    }

    /// Gives each code of the rows asked for another number, made of the one it has.
    pub(super) fn renumber<E>(
        &mut self,
        mut number: impl FnMut(u32) -> Result<u32, E>,
    ) -> Result<(), E> {
        for (code, _) in &self.rows {
            if let Some(id) = self.ids.get_mut(usize::from(*code)) {
                *id = number(*id)?;
            }
        }
        Ok(())
    }
}

impl Ids {
    /// The number of a row; none is as great as that of a row that is not there.
    #[inline]
    pub(super) fn of(&self, row: u32) -> u32 {
        match self {
            Ids::One(id) => *id,
            Ids::Coded(coded) => match coded.codes.get(row as usize) {
                Some(code) => coded.id(*code),
                None => UNKNOWN,
            },
            Ids::Each(ids) => ids.get(row as usize).copied().unwrap_or(UNKNOWN),
        }
    }

    /// Gives numbers and how many of the rows that the numbers were asked for have them: a number
    /// may come several times.
    pub(super) fn each_count(&self, asked: &Selection, mut take: impl FnMut(u32, u64)) {
        match self {
            Ids::One(id) => take(*id, asked.count() as u64),
            Ids::Coded(coded) => {
                for (code, rows) in &coded.rows {
                    take(coded.id(*code), u64::from(*rows));
                }
            }
            Ids::Each(ids) if asked.is_all() => ids.iter().for_each(|id| take(*id, 1)),
            Ids::Each(_) => self.each(asked, |id| take(id, 1)),
        }
    }

    /// Gives the number of each row selected.
    pub(super) fn each(&self, selection: &Selection, mut take: impl FnMut(u32)) {
        for row in selection.iter() {
            take(self.of(row));
        }
    }

    /// Gives the numbers of rows from `start` to before `end`, each with how many rows have it.
    pub(super) fn each_count_in(
        &self,
        tally: &mut Tally,
        start: usize,
        end: usize,
        mut take: impl FnMut(u32, u64),
    ) {
        match self {
            Ids::One(id) => take(*id, (end - start) as u64),
            Ids::Coded(coded) if end - start < TALLIED_ROWS_MIN => {
                let codes = coded.codes.get(start..end).unwrap_or_default();
                codes.iter().for_each(|code| take(coded.id(*code), 1));
            }
            Ids::Coded(coded) => {
                tally.add_all(coded.codes.get(start..end).unwrap_or_default());
                let last = u8::try_from(coded.ids.len().saturating_sub(1)).unwrap_or(u8::MAX);
                for (code, rows) in tally.drain(last) {
                    take(coded.id(code), u64::from(rows));
                }
            }
            Ids::Each(ids) => {
                let ids = ids.get(start..end).unwrap_or_default();
                ids.iter().for_each(|id| take(*id, 1));
            }
        }
    }
}

/// Something that is remembered of each source.
pub(super) struct PerSource<'a, T> {
    states: Vec<(Arc<OpenSource<'a>>, T)>,
    last: usize,
    /// Of all states.
    bytes: usize,
}

impl<T> Default for PerSource<'_, T> {
    fn default() -> Self {
        PerSource {
            states: Vec::new(),
            last: 0,
            bytes: 0,
        }
    }
}

impl<'a, T> PerSource<'a, T> {
    /// What is remembered of a source, made with its bytes if it is new.
    pub(super) fn get(
        &mut self,
        source: &Arc<OpenSource<'a>>,
        make: impl FnOnce() -> Result<(T, usize), BlockFault>,
    ) -> Result<&mut T, BlockFault> {
        let is_it = |(have, _): &(Arc<OpenSource<'a>>, T)| Arc::ptr_eq(have, source);
        let is_last = self.states.get(self.last).is_some_and(is_it);
        if !is_last {
            self.last = match self.states.iter().position(is_it) {
                Some(at) => at,
                None => {
                    let (made, bytes) = make()?;
                    if !self.has_room(bytes) {
                        self.states.clear();
                        self.bytes = 0;
                    }
                    self.bytes += bytes;
                    self.states.push((source.clone(), made));
                    self.states.len() - 1
                }
            };
        }
        Ok(&mut self.states[self.last].1)
    }

    /// Whether one more state of this size can be remembered beside the others.
    fn has_room(&self, bytes: usize) -> bool {
        self.states.len() < SOURCES_MAX && self.bytes.saturating_add(bytes) <= SOURCES_BYTES_MAX
    }
}

/// A field by which rows are grouped.
pub(super) struct KeyField<'a> {
    pub(super) asked: AskedField,
    sources: PerSource<'a, Option<CodeIds>>,
    tally: Tally,
}

/// A coded column of one source with what its codes stand for.
struct CodeIds {
    column: Arc<dyn CodedColumn>,
    ids: Vec<u32>,
}

impl<'a> KeyField<'a> {
    pub(super) fn new(asked: AskedField) -> KeyField<'a> {
        KeyField {
            asked,
            sources: PerSource::default(),
            tally: Tally::default(),
        }
    }

    /// Forgets what codes stand for: numbers were given anew.
    pub(super) fn forget(&mut self) {
        self.sources = PerSource::default();
    }

    /// The numbers that `resolve` gives to the values of the rows selected, `None` to rows without.
    pub(super) fn ids(
        &mut self,
        block: &OpenBlock<'a>,
        view: &mut BlockView<'_>,
        selection: &Selection,
        resolve: &mut dyn FnMut(Option<Value<'_>>) -> Result<u32, BlockFault>,
    ) -> Result<Ids, BlockFault> {
        if &*self.asked.canonical == field::STREAM {
            let name = &*block.open.partition.stream.name;
            let kind = Kind::String;
            return resolve(Some(Value { kind, text: name })).map(Ids::One);
        }
        let asked = &self.asked;
        let coded = self.sources.get(&block.open, || open(block, asked))?;
        match coded {
            Some(coded) => coded.ids(block.block, &mut self.tally, selection, resolve),
            None => text_ids(&self.asked, block, view, selection, resolve),
        }
    }
}

/// The column of a field as codes, if that is the only one that can have values of it.
fn open(block: &OpenBlock<'_>, asked: &AskedField) -> Result<(Option<CodeIds>, usize), BlockFault> {
    let columns = &block.open.columns;
    let has_alias = |alias| columns.names.contains(alias);
    if asked.alias.as_ref().is_some_and(has_alias) || asked.may_overflow(columns) {
        return Ok((None, 0));
    }
    let Some(column) = block.open.source.coded(&asked.canonical)? else {
        return Ok((None, 0));
    };
    let ids = vec![UNKNOWN; column.texts() as usize + 1];
    let bytes = size_of_val(ids.as_slice()) + column.bytes();
    Ok((Some(CodeIds { column, ids }), bytes))
}

impl CodeIds {
    fn ids(
        &mut self,
        block: usize,
        tally: &mut Tally,
        selection: &Selection,
        resolve: &mut dyn FnMut(Option<Value<'_>>) -> Result<u32, BlockFault>,
    ) -> Result<Ids, BlockFault> {
        let codes = match self.column.codes(block)? {
            BlockCodes::One(code) => return self.id(code, resolve).map(Ids::One),
            BlockCodes::Narrow(codes) => {
                tally.add_selected(&codes, selection);
                let rows = tally.drain(u8::try_from(self.column.texts()).unwrap_or(u8::MAX));
                for (code, _) in &rows {
                    self.id((*code).into(), resolve)?;
                }
                return Ok(Ids::Coded(CodedIds {
                    codes,
                    ids: self.ids.clone(),
                    rows,
                }));
            }
            BlockCodes::Wide(codes) => codes,
        };
        let mut out = vec![0; codes.len()];
        if selection.is_all() {
            for (id, code) in out.iter_mut().zip(codes.iter()) {
                *id = match self.ids.get(*code as usize) {
                    Some(known) if *known != UNKNOWN => *known,
                    _ => self.id(*code, resolve)?,
                };
            }
            return Ok(Ids::Each(out));
        }
        for row in selection.iter() {
            if let (Some(id), Some(code)) = (out.get_mut(row as usize), codes.get(row as usize)) {
                *id = self.id(*code, resolve)?;
            }
        }
        Ok(Ids::Each(out))
    }

    fn id(
        &mut self,
        code: u32,
        resolve: &mut dyn FnMut(Option<Value<'_>>) -> Result<u32, BlockFault>,
    ) -> Result<u32, BlockFault> {
        let known = self.ids.get(code as usize).copied();
        if let Some(known) = known.filter(|known| *known != UNKNOWN) {
            return Ok(known);
        }
        let mut buffer = String::new();
        let id = match code < self.column.texts() {
            true => resolve(Some(Value {
                kind: self.column.kind(),
                text: self.column.text(code, &mut buffer),
            }))?,
            false => resolve(None)?,
        };
        if let Some(place) = self.ids.get_mut(code as usize) {
            *place = id;
        }
        Ok(id)
    }
}

/// The numbers of values that have to be read as text.
fn text_ids(
    asked: &AskedField,
    block: &OpenBlock<'_>,
    view: &mut BlockView<'_>,
    selection: &Selection,
    resolve: &mut dyn FnMut(Option<Value<'_>>) -> Result<u32, BlockFault>,
) -> Result<Ids, BlockFault> {
    let columns = asked.load(view, &block.open.columns, selection)?;
    if columns.is_empty() {
        return resolve(None).map(Ids::One);
    }
    let mut out = vec![0; view.extent.rows as usize];
    // Neighbours often have the same value.
    let mut last: Option<(Option<Value<'_>>, u32)> = None;
    let mut missing = None;
    for row in selection.iter() {
        let value = columns.get(row);
        let id = match (&last, value, missing) {
            (_, None, Some(id)) => id,
            (Some((have, id)), value, _) if *have == value => *id,
            _ => resolve(value)?,
        };
        match value {
            Some(_) => last = Some((value, id)),
            None => missing = Some(id),
        }
        if let Some(place) = out.get_mut(row as usize) {
            *place = id;
        }
    }
    Ok(Ids::Each(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_remembered_up_to_a_number_and_up_to_their_bytes() {
        let mut sources = PerSource::<()> {
            bytes: SOURCES_BYTES_MAX - 10,
            ..PerSource::default()
        };
        assert!(sources.has_room(10));
        assert!(!sources.has_room(11));
        sources.bytes = 0;
        assert!(!sources.has_room(usize::MAX));
        assert!(PerSource::<()>::default().has_room(SOURCES_BYTES_MAX));
    }
}
