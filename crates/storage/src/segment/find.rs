//! Looking for text in the columns of a section, without decoding them where the encoding allows.
//!
//! A column whose values cannot hold what a question's clues are about has no match, whatever its
//! rows; that leaves most columns of a search over all fields out. Dictionaries are asked once an
//! entry. Where decoding is as good, nothing is said.
use super::{
    bits::{each_with_bits, packed_bytes},
    directory::{Directory, Layout},
    fixed::{Form, Squeeze},
    fixed_dictionary::FixedDictionary,
    ints,
    needle::{Needle, candidates},
    prose,
    reader::{OpenColumn, SectionReader},
    shape::{self, Bits},
    template,
    text::Texts,
    wire::Cursor,
};
use crate::{
    find::{Clue, Finding, TextQuestion},
    read::{ReadError, RowSource},
};
use std::sync::Arc;
use taffrail_model::column::{FieldName, Kind};

/// Looks a question up in a column; `None` if its blocks are decoded as well.
pub(super) fn find(
    reader: &SectionReader,
    directory: &Directory,
    name: &str,
    question: &Arc<dyn TextQuestion>,
) -> Result<Option<Arc<dyn Finding>>, ReadError> {
    let Some(opened) = reader.open_column_of(directory, name)? else {
        return Ok(Some(Arc::new(Nothing)));
    };
    let column = opened.clone();
    let layout = &opened.directory.layout;
    let may_hold = |clue| shape::may_hold(layout, clue);
    let kind = opened.directory.kind;
    let is_looked_at = kind.is_none_or(|kind| question.looks_at(kind));
    if !is_looked_at || !question.clues().iter().any(may_hold) {
        return Ok(Some(Arc::new(Nothing)));
    }
    match layout {
        Layout::Template { .. } => template::find::find(reader, column, question).map(Some),
        Layout::Prose(_) => prose::find(reader, &column, question),
        Layout::Constant { text } => Ok(find_constant(reader, column, text, &**question)),
        Layout::Dictionary(dictionary) => {
            let texts = reader.text_dictionary(&column, dictionary)?;
            Ok(find_dictionary(reader, column, &texts, &**question))
        }
        Layout::Fixed { form, squeeze } if !form.is_long() => {
            Ok(find_id(reader, column, *form, squeeze, &**question))
        }
        Layout::FixedDictionary(dictionary) => {
            find_id_code(reader, column, dictionary, &**question)
        }
        Layout::Integer => Ok(find_integer(reader, name, &column, question)),
        _ => Ok(None),
    }
}

/// No row passes.
struct Nothing;

impl Finding for Nothing {
    fn count(&self) -> Option<u64> {
        Some(0)
    }

    fn may_be_in(&self, _block: usize) -> bool {
        false
    }

    fn add_rows(&self, _block: usize, _within: &[u64], _out: &mut [u64]) -> Result<(), ReadError> {
        Ok(())
    }
}

fn find_constant(
    reader: &SectionReader,
    column: OpenColumn,
    text: &str,
    question: &dyn TextQuestion,
) -> Option<Arc<dyn Finding>> {
    let kind = column.directory.kind?;
    if !question.passes(kind, text) {
        return Some(Arc::new(Nothing));
    }
    Some(Arc::new(EveryValue {
        reader: reader.clone(),
        column,
    }))
}

/// Every row that has a value passes.
struct EveryValue {
    reader: SectionReader,
    column: OpenColumn,
}

impl Finding for EveryValue {
    fn count(&self) -> Option<u64> {
        Some(self.column.presence.values() as u64)
    }

    fn may_be_in(&self, block: usize) -> bool {
        self.column.presence.count(block) > 0
    }

    fn add_rows(&self, block: usize, within: &[u64], out: &mut [u64]) -> Result<(), ReadError> {
        let rows = self.reader.rows_of(&self.column, block)?;
        rows.into_iter().for_each(|row| add_row(row, within, out));
        Ok(())
    }
}

fn add_row(row: u32, within: &[u64], out: &mut [u64]) {
    let word = row as usize / 64;
    if let (Some(within), Some(out)) = (within.get(word), out.get_mut(word)) {
        *out |= within & 1 << (row % 64);
    }
}

/// Rows of which the page tells by itself that they pass.
struct Packed {
    reader: SectionReader,
    column: OpenColumn,
    wanted: Wanted,
}

/// Some codes.
#[derive(Default)]
struct CodeSet {
    /// A bit for each code.
    bits: Vec<u64>,
    count: usize,
    /// The code, if it is one.
    only: Option<u32>,
}

impl CodeSet {
    fn add(&mut self, code: usize) {
        if self.bits.len() <= code / 64 {
            self.bits.resize(code / 64 + 1, 0);
        }
        let bit = 1 << (code % 64);
        if self.bits[code / 64] & bit == 0 {
            self.bits[code / 64] |= bit;
            self.count += 1;
            self.only = u32::try_from(code).ok().filter(|_| self.count == 1);
        }
    }

    fn has(&self, code: u32) -> bool {
        let word = self.bits.get(code as usize / 64);
        word.is_some_and(|word| word >> (code % 64) & 1 == 1)
    }
}

/// What the page of a value must say.
enum Wanted {
    /// One of some codes.
    Codes(CodeSet),
    /// One of some ids, which are kept one by one in so many bits, squeezed as these are.
    Ids(u32, Vec<Bits>),
}

impl Packed {
    fn new(reader: &SectionReader, column: OpenColumn, wanted: Wanted) -> Arc<Packed> {
        Arc::new(Packed {
            reader: reader.clone(),
            column,
            wanted,
        })
    }

    /// Gives `pass` the numbers of the values of a block that pass, of which there are `count`; some
    /// twice perhaps.
    fn each_passing(
        &self,
        block: usize,
        count: usize,
        mut pass: impl FnMut(usize),
    ) -> Result<(), ReadError> {
        match &self.wanted {
            Wanted::Codes(wanted) => {
                let codes = self.reader.codes(&self.column, block)?;
                match codes {
                    ints::Codes::One(code) if wanted.has(code) => (0..count).for_each(pass),
                    ints::Codes::One(_) => {}
                    ints::Codes::Narrow(codes) => match wanted.only.map(u8::try_from) {
                        Some(Ok(only)) => memchr::memchr_iter(only, &codes).for_each(pass),
                        Some(Err(_)) => {}
                        None => each_index(&codes, |code| wanted.has((*code).into()), pass),
                    },
                    ints::Codes::Wide(codes) => each_index(&codes, |code| wanted.has(*code), pass),
                }
                Ok(())
            }
            Wanted::Ids(width, wanted) => {
                let bytes = packed_bytes(count, *width);
                self.reader.with_block_page(&self.column, block, |page| {
                    let packed = Cursor::new(page).take(bytes)?;
                    for bits in wanted {
                        let mut first = 0;
                        let bits = (bits.mask, bits.value);
                        each_with_bits(packed, *width, count, bits, |mut word| {
                            while word != 0 {
                                pass(first + word.trailing_zeros() as usize);
                                word &= word - 1;
                            }
                            first += 64;
                        });
                    }
                    Ok(())
                })
            }
        }
    }
}

/// Gives `pass` the numbers of those of `all` that are wanted.
fn each_index<T>(all: &[T], is_wanted: impl Fn(&T) -> bool, pass: impl FnMut(usize)) {
    let wanted = all.iter().enumerate().filter(|(_, one)| is_wanted(one));
    wanted.map(|(index, _)| index).for_each(pass);
}

impl Finding for Packed {
    fn count(&self) -> Option<u64> {
        None
    }

    fn may_be_in(&self, block: usize) -> bool {
        self.column.presence.count(block) > 0
    }

    fn add_rows(&self, block: usize, within: &[u64], out: &mut [u64]) -> Result<(), ReadError> {
        let rows = self.reader.rows_of(&self.column, block)?;
        if rows.is_empty() {
            return Ok(());
        }
        self.each_passing(block, rows.len(), |index| {
            if let Some(row) = rows.get(index) {
                add_row(*row, within, out);
            }
        })
    }
}

fn find_dictionary(
    reader: &SectionReader,
    column: OpenColumn,
    texts: &Texts,
    question: &dyn TextQuestion,
) -> Option<Arc<dyn Finding>> {
    let kind = column.directory.kind?;
    let mut wanted = CodeSet::default();
    let needles: Vec<Needle> = question.clues().iter().map(Needle::of).collect();
    for code in candidates(texts, &needles) {
        if texts
            .get(code)
            .is_some_and(|text| question.passes(kind, text))
        {
            wanted.add(code);
        }
    }
    Some(match wanted.count {
        0 => Arc::new(Nothing),
        found if found == texts.len() => Arc::new(EveryValue {
            reader: reader.clone(),
            column,
        }),
        _ => Packed::new(reader, column, Wanted::Codes(wanted)),
    })
}

/// The bits that ids must have, one of these; `None` where a clue does not tell, or a value's kind.
fn bits_of(column: &OpenColumn, form: Form, question: &dyn TextQuestion) -> Option<Vec<Bits>> {
    if !matches!(column.directory.kind, Some(Kind::String | Kind::Json)) {
        return None;
    }
    let mut all = Vec::new();
    for clue in question.clues() {
        match clue {
            Clue::Whole(text) => all.extend(form.parse(text).map(Bits::all)),
            Clue::Phrase(tokens) => all.extend(shape::bits_of_tokens(form, tokens)?),
            Clue::Number(_) if form == Form::Uuid || form == Form::Ipv4 => {}
            clue if !shape::may_hold(&column.directory.layout, clue) => {}
            _ => return None,
        }
    }
    Some(all)
}

/// Rows with ids that are looked up in their sorted dictionary.
fn find_id_code(
    reader: &SectionReader,
    column: OpenColumn,
    dictionary: &FixedDictionary,
    question: &dyn TextQuestion,
) -> Result<Option<Arc<dyn Finding>>, ReadError> {
    let Some(all) = bits_of(&column, dictionary.form, question) else {
        return Ok(None);
    };
    let mut wanted = CodeSet::default();
    reader.each_code_with(&column, dictionary, &all, |code| wanted.add(code))?;
    Ok(Some(match wanted.count {
        0 => Arc::new(Nothing),
        _ => Packed::new(reader, column, Wanted::Codes(wanted)),
    }))
}

/// Rows with ids that are kept one by one.
fn find_id(
    reader: &SectionReader,
    column: OpenColumn,
    form: Form,
    squeeze: &Squeeze,
    question: &dyn TextQuestion,
) -> Option<Arc<dyn Finding>> {
    let all = bits_of(&column, form, question)?;
    let wanted: Vec<Bits> = all
        .into_iter()
        .filter_map(|bits| bits.squeezed(squeeze))
        .collect();
    if wanted.is_empty() {
        return Some(Arc::new(Nothing));
    }
    let wanted = Wanted::Ids(squeeze.width(), wanted);
    Some(Packed::new(reader, column, wanted))
}

/// Rows of blocks that are decoded to be judged; none of the others pass.
struct Decoded {
    reader: SectionReader,
    name: FieldName,
    question: Arc<dyn TextQuestion>,
    blocks: Vec<bool>,
}

/// Rows with a whole number as text: most blocks have none of its size.
fn find_integer(
    reader: &SectionReader,
    name: &str,
    column: &OpenColumn,
    question: &Arc<dyn TextQuestion>,
) -> Option<Arc<dyn Finding>> {
    let mut wanted = Vec::new();
    for clue in question.clues() {
        if !shape::may_hold(&Layout::Integer, clue) {
            continue;
        }
        match clue {
            Clue::Phrase(tokens) => match &tokens[..] {
                // A minus separates, so it is in no token.
                [token] => wanted.extend(token.parse().ok().map(|number: f64| [number, -number])),
                _ => continue,
            },
            Clue::Whole(text) => wanted.extend(text.parse().ok().map(|number: f64| [number; 2])),
            _ => return None,
        }
    }
    let wanted = wanted.concat();
    let ranges = &column.directory.numbers;
    let blocks: Vec<bool> = (0..ranges.len())
        .map(|block| match ranges[block] {
            Some((least, greatest)) => wanted
                .iter()
                .any(|number| (least..=greatest).contains(number)),
            None => column.presence.count(block) > 0,
        })
        .collect();
    if !blocks.contains(&true) {
        return Some(Arc::new(Nothing));
    }
    Some(Arc::new(Decoded {
        reader: reader.clone(),
        name: name.into(),
        question: question.clone(),
        blocks,
    }))
}

impl Finding for Decoded {
    fn count(&self) -> Option<u64> {
        None
    }

    fn may_be_in(&self, block: usize) -> bool {
        self.blocks.get(block).copied().unwrap_or(false)
    }

    fn add_rows(&self, block: usize, within: &[u64], out: &mut [u64]) -> Result<(), ReadError> {
        if !self.may_be_in(block) {
            return Ok(());
        }
        let Some(values) = self.reader.column(block, &self.name)? else {
            return Ok(());
        };
        for (index, row) in values.rows().iter().enumerate() {
            let value = values.value_at(index);
            if self.question.passes(value.kind, value.text) {
                add_row(*row, within, out);
            }
        }
        Ok(())
    }
}
