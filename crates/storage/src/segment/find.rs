//! Looking for text in the columns of a section, without decoding them where the encoding allows.
//!
//! A column whose values cannot hold what a question's clues are about has no match, whatever its
//! rows; that leaves most columns of a search over all fields out. Dictionaries are asked once an
//! entry. Where decoding is as good, nothing is said.
use super::{
    directory::Layout,
    fixed::Form,
    needle::{Needle, candidates},
    prose,
    reader::{OpenColumn, SectionReader, ids_with_word},
    template::{self, judge::Charset},
    text::Texts,
};
use crate::{
    find::{Clue, Finding, TextQuestion},
    read::ReadError,
};
use std::{ops::RangeInclusive, sync::Arc};
use taffrail_model::{column::Kind, token::fold};

/// Looks a question up in a column; `None` if its blocks are decoded as well.
pub(super) fn find(
    reader: &SectionReader,
    name: &str,
    question: &Arc<dyn TextQuestion>,
) -> Result<Option<Arc<dyn Finding>>, ReadError> {
    let Some(column) = reader.open_column(name)? else {
        return Ok(Some(Arc::new(Nothing)));
    };
    let directory = column.directory.clone();
    match &directory.layout {
        Layout::Template { .. } => template::find::find(reader, column, question).map(Some),
        Layout::Prose(_) => prose::find(reader, &column, question),
        Layout::Constant { text } => Ok(find_constant(reader, column, text, &**question)),
        Layout::Dictionary {
            entries,
            bytes,
            plain_bytes,
        } => {
            let texts = reader.text_dictionary(&column, *entries, *bytes, *plain_bytes)?;
            Ok(find_dictionary(reader, column, &texts, &**question))
        }
        Layout::FixedDictionary { form, .. } if !form.is_long() => {
            find_id(reader, column, *form, &**question)
        }
        layout => {
            Ok(rules_out(layout, question.clues()).then(|| Arc::new(Nothing) as Arc<dyn Finding>))
        }
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

/// Rows with one of some codes.
struct Codes {
    reader: SectionReader,
    column: OpenColumn,
    /// A bit for each code.
    wanted: Vec<u64>,
}

impl Finding for Codes {
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
        let codes = self.reader.codes(&self.column, block)?;
        for (row, code) in rows.into_iter().zip(codes) {
            let word = usize::try_from(code)
                .ok()
                .and_then(|code| self.wanted.get(code / 64));
            if word.is_some_and(|word| word >> (code as u64 % 64) & 1 == 1) {
                add_row(row, within, out);
            }
        }
        Ok(())
    }
}

fn find_dictionary(
    reader: &SectionReader,
    column: OpenColumn,
    texts: &Texts,
    question: &dyn TextQuestion,
) -> Option<Arc<dyn Finding>> {
    let kind = column.directory.kind?;
    let mut wanted = vec![0u64; texts.len().div_ceil(64)];
    let mut found = 0;
    let needles: Vec<Needle> = question.clues().iter().map(Needle::of).collect();
    for code in candidates(texts, &needles) {
        if texts
            .get(code)
            .is_some_and(|text| question.passes(kind, text))
        {
            wanted[code / 64] |= 1 << (code % 64);
            found += 1;
        }
    }
    Some(match found {
        0 => Arc::new(Nothing),
        _ if found == texts.len() => Arc::new(EveryValue {
            reader: reader.clone(),
            column,
        }),
        _ => Arc::new(Codes {
            reader: reader.clone(),
            column,
            wanted,
        }),
    })
}

/// Rows with ids that are looked up in their sorted dictionary.
fn find_id(
    reader: &SectionReader,
    column: OpenColumn,
    form: Form,
    question: &dyn TextQuestion,
) -> Result<Option<Arc<dyn Finding>>, ReadError> {
    if rules_out(&column.directory.layout, question.clues()) {
        return Ok(Some(Arc::new(Nothing)));
    }
    let ranges = question.clues().iter().map(|clue| ids_of(form, clue));
    let Some(ranges) = ranges.collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    if !matches!(column.directory.kind, Some(Kind::String | Kind::Json)) {
        return Ok(None);
    }
    let mut wanted = Vec::new();
    for range in ranges.into_iter().flatten() {
        let Some(codes) = reader.codes_of_ids(&column, &range)? else {
            continue;
        };
        for code in codes.filter_map(|code| usize::try_from(code).ok()) {
            if wanted.len() <= code / 64 {
                wanted.resize(code / 64 + 1, 0u64);
            }
            wanted[code / 64] |= 1 << (code % 64);
        }
    }
    Ok(Some(match wanted.is_empty() {
        true => Arc::new(Nothing),
        false => Arc::new(Codes {
            reader: reader.clone(),
            column,
            wanted,
        }),
    }))
}

/// The ids for which a clue holds, as a range; `Some(None)` if there is none, `None` if the clue
/// does not tell.
fn ids_of(form: Form, clue: &Clue) -> Option<Option<RangeInclusive<u128>>> {
    match clue {
        Clue::Whole(text) => Some(form.parse(text).map(|number| number..=number)),
        Clue::Phrase(tokens) => match &tokens[..] {
            [word] => match ids_with_word(form, word) {
                Ok(range) => Some(Some(range)),
                Err(false) => Some(None),
                Err(true) => None,
            },
            [_, _, _, _, _] if form == Form::Uuid => {
                Some(form.parse(&tokens.join("-")).map(|number| number..=number))
            }
            [_, _, _, _] if form == Form::Ipv4 => {
                Some(form.parse(&tokens.join(".")).map(|number| number..=number))
            }
            _ => None,
        },
        Clue::Substring(_) | Clue::Contains { .. } | Clue::Number(_) | Clue::Anything => None,
    }
}

/// Whether the characters of the values leave every clue without a match.
fn rules_out(layout: &Layout, clues: &[Clue]) -> bool {
    let (characters, may_be_number) = match layout {
        Layout::Integer => ("-0123456789", true),
        Layout::Decimal { .. } => ("-.0123456789", true),
        Layout::Fixed { form, .. } | Layout::FixedDictionary { form, .. } => match form {
            Form::Uuid => ("-0123456789abcdef", false),
            Form::HexLower(_) | Form::HexUpper(_) => ("0123456789abcdef", true),
            Form::Ipv4 => (".0123456789", false),
            Form::Ipv6 => (".:0123456789abcdef", false),
        },
        _ => return false,
    };
    let characters = Charset::of(characters);
    clues.iter().all(|clue| match clue {
        Clue::Phrase(tokens) => !tokens.iter().all(|token| characters.covers(token)),
        Clue::Substring(text) | Clue::Contains { text, .. } | Clue::Whole(text) => {
            !characters.covers(&fold(text))
        }
        Clue::Number(_) => !may_be_number,
        Clue::Anything => false,
    })
}
