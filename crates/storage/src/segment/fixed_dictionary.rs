//! Sorted dictionaries of ids of fixed width: an id is found, and a code looked up, by reading one
//! page.
//!
//! Invariants
//! - Entries ascend. The first of each page stands in the directory of the column, so that it is
//!   known which page has an id; the others are the steps between them.
//! - Codes are the places of the entries: neighbouring codes stand for neighbouring ids.
use super::{
    bits::{Packer, get_wide, packed_bytes, width_of_wide},
    cache::Part,
    directory::{Pages, parse_form, write_form},
    fixed::{Form, Squeeze},
    reader::{OpenColumn, SectionReader},
    shape::Bits,
    wire::{Cursor, Flaw, put_varint},
};
use crate::read::ReadError;
use std::{ops::RangeInclusive, sync::Arc};

/// Entries of one page.
const PAGE_ENTRIES: usize = 1_024;

/// Where the dictionary of a column is, and what its entries are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FixedDictionary {
    pub form: Form,
    squeeze: Squeeze,
    pub entries: usize,
    /// First entry of each page.
    firsts: Vec<u128>,
    /// From the begin of the area on.
    pages: Pages,
}

impl FixedDictionary {
    /// Writes entries, which ascend, at the begin of an area.
    pub(super) fn encode(
        form: Form,
        squeeze: &Squeeze,
        entries: &[u128],
        area: &mut Vec<u8>,
    ) -> FixedDictionary {
        let mut lengths = Vec::new();
        for page in entries.chunks(PAGE_ENTRIES) {
            let start = area.len();
            encode_page(squeeze, page, area);
            lengths.push(area.len() - start);
        }
        FixedDictionary {
            form,
            squeeze: squeeze.clone(),
            entries: entries.len(),
            firsts: entries.iter().step_by(PAGE_ENTRIES).copied().collect(),
            pages: Pages::new(0, &lengths),
        }
    }

    /// Appends what the directory of the column says of it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        write_form(self.form, &self.squeeze, out);
        put_varint(out, self.entries as u64);
        for first in &self.firsts {
            out.extend_from_slice(&first.to_le_bytes());
        }
        self.pages.write(out);
    }

    /// Reads what [`FixedDictionary::write`] wrote for a column of `values` values.
    pub(super) fn parse(
        cursor: &mut Cursor<'_>,
        area_bytes: u64,
        values: usize,
    ) -> Result<FixedDictionary, Flaw> {
        let (form, squeeze) = parse_form(cursor)?;
        if form.is_long() {
            return Err(Flaw("a dictionary has values that are too wide"));
        }
        let entries = cursor.count(values)?;
        let count = entries.div_ceil(PAGE_ENTRIES);
        let firsts = (0..count).map(|_| cursor.array().map(u128::from_le_bytes));
        let firsts: Vec<u128> = firsts.collect::<Result<_, _>>()?;
        Ok(FixedDictionary {
            form,
            squeeze,
            entries,
            firsts,
            pages: Pages::parse(cursor, count, 0, area_bytes)?,
        })
    }

    /// Where its pages end.
    pub(super) fn end(&self) -> u64 {
        self.pages.end()
    }

    /// Bytes of the entries that stand in the directory.
    pub(super) fn first_bytes(&self) -> usize {
        self.firsts.len() * 16
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.first_bytes() + self.pages.memory_bytes()
    }

    /// Appends the entries of a page.
    fn decode_page(&self, page: usize, bytes: &[u8], out: &mut Vec<u128>) -> Result<(), Flaw> {
        let first = *self.firsts.get(page).ok_or(NO_ENTRY)?;
        let before = page * PAGE_ENTRIES;
        let steps = self.entries.saturating_sub(before).min(PAGE_ENTRIES);
        let steps = steps.saturating_sub(1);
        let mut cursor = Cursor::new(bytes);
        let width = u32::from(cursor.byte()?);
        if width > 128 {
            return Err(Flaw("a width is above 128 bits"));
        }
        let least = u128::from_le_bytes(cursor.array()?);
        let packed = cursor.take(packed_bytes(steps, width))?;
        cursor.finish()?;
        let mut squeezed = self.squeeze.squeeze(first);
        out.push(first);
        out.extend((0..steps).map(|index| {
            squeezed = squeezed
                .wrapping_add(least)
                .wrapping_add(get_wide(packed, width, index));
            self.squeeze.expand(squeezed)
        }));
        Ok(())
    }
}

const NO_ENTRY: Flaw = Flaw("a code is not in the dictionary");

/// One page: the differences of its squeezed entries, less the least difference.
fn encode_page(squeeze: &Squeeze, entries: &[u128], out: &mut Vec<u8>) {
    let squeezed: Vec<u128> = entries
        .iter()
        .map(|entry| squeeze.squeeze(*entry))
        .collect();
    let steps = squeezed.windows(2).map(|pair| pair[1] - pair[0]);
    let least = steps.clone().min().unwrap_or_default();
    let greatest = steps.clone().max().unwrap_or_default();
    let width = width_of_wide(greatest - least);
    out.push(width as u8);
    out.extend_from_slice(&least.to_le_bytes());
    let mut packer = Packer::new(out);
    steps.for_each(|step| packer.push_wide(step - least, width));
    packer.finish();
}

impl SectionReader {
    /// All entries.
    pub(super) fn all_ids(
        &self,
        column: &OpenColumn,
        dictionary: &FixedDictionary,
    ) -> Result<Arc<Vec<u128>>, ReadError> {
        let key = self.key(Part::FixedDictionary, column.number, 0);
        self.cache.get_or_load(key, || {
            let pages = &dictionary.pages;
            let all = self.read(column.area, pages.end() as usize, |bytes| {
                let mut all = Vec::with_capacity(dictionary.entries);
                for page in 0..pages.len() {
                    let (at, length) = pages.span(page);
                    let of_page = bytes.get(at as usize..at as usize + length);
                    dictionary.decode_page(page, of_page.unwrap_or_default(), &mut all)?;
                }
                Ok(all)
            })?;
            Ok((all, dictionary.entries * 16))
        })
    }

    /// Appends the entries of a page, which is read together with its neighbours.
    fn ids_of_page(
        &self,
        column: &OpenColumn,
        dictionary: &FixedDictionary,
        page: usize,
        out: &mut Vec<u128>,
    ) -> Result<(), ReadError> {
        let (part, pages) = (Part::FixedPages, &dictionary.pages);
        self.with_page(part, column.number, column.area, pages, page, |bytes| {
            dictionary.decode_page(page, bytes, out)
        })
    }

    /// The entry of a code; only its page is read.
    pub(super) fn id_of_code(
        &self,
        column: &OpenColumn,
        dictionary: &FixedDictionary,
        code: usize,
    ) -> Result<u128, ReadError> {
        let no_entry = || self.damaged(column.area, NO_ENTRY);
        if code >= dictionary.entries {
            return Err(no_entry());
        }
        let mut ids = Vec::new();
        self.ids_of_page(column, dictionary, code / PAGE_ENTRIES, &mut ids)?;
        ids.get(code % PAGE_ENTRIES).copied().ok_or_else(no_entry)
    }

    /// Gives `each` the codes of the ids with one of these bits in a column with a sorted dictionary
    /// of them. Every page of the dictionary is read once unless all are the highest of the id.
    pub(super) fn each_code_with(
        &self,
        column: &OpenColumn,
        dictionary: &FixedDictionary,
        wanted: &[Bits],
        mut each: impl FnMut(usize),
    ) -> Result<(), ReadError> {
        let ranges = wanted
            .iter()
            .map(|bits| bits.to_range(dictionary.form.bits()));
        if let Some(ranges) = ranges.collect::<Option<Vec<_>>>() {
            for range in ranges {
                let codes = self.find_codes(column, dictionary, &range)?;
                let codes = codes.into_iter().flatten();
                codes
                    .filter_map(|code| usize::try_from(code).ok())
                    .for_each(&mut each);
            }
            return Ok(());
        }
        let mut ids = Vec::new();
        for page in 0..dictionary.pages.len() {
            ids.clear();
            self.ids_of_page(column, dictionary, page, &mut ids)?;
            let base = page * PAGE_ENTRIES;
            let is_wanted = |id: &u128| wanted.iter().any(|bits| bits.are_in(*id));
            let codes = ids.iter().enumerate().filter(|(_, id)| is_wanted(id));
            codes.for_each(|(index, _)| each(base + index));
        }
        Ok(())
    }

    /// Codes of the entries within `range`: the pages that it touches are read, one nearly always.
    pub(super) fn find_codes(
        &self,
        column: &OpenColumn,
        dictionary: &FixedDictionary,
        range: &RangeInclusive<u128>,
    ) -> Result<Option<RangeInclusive<i64>>, ReadError> {
        let firsts = &dictionary.firsts;
        let begin = firsts
            .partition_point(|first| first <= range.start())
            .saturating_sub(1);
        let mut found: Option<RangeInclusive<i64>> = None;
        for (page, first) in firsts.iter().enumerate().skip(begin) {
            if first > range.end() {
                break;
            }
            let (at, bytes) = dictionary.pages.span(page);
            let ids = self.read(column.area + at, bytes, |bytes| {
                let mut ids = Vec::new();
                dictionary.decode_page(page, &bytes, &mut ids)?;
                Ok(ids)
            })?;
            let base = (page * PAGE_ENTRIES) as i64;
            for (code, _) in (base..).zip(&ids).filter(|(_, id)| range.contains(id)) {
                let first = found.as_ref().map_or(code, |found| *found.start());
                found = Some(first..=code);
            }
        }
        Ok(found)
    }
}
