//! Columns of few different values as codes: the dictionary once, the codes block by block.
use super::{
    directory::Layout,
    fixed::Form,
    reader::{OpenColumn, SectionReader},
    text::Texts,
    wire::Flaw,
};
use crate::{
    coded::{BlockCodes, CodedColumn},
    read::ReadError,
};
use std::sync::Arc;
use taffrail_model::column::Kind;

/// A column with a dictionary, or with one value.
struct SectionCodes {
    reader: SectionReader,
    column: OpenColumn,
    kind: Kind,
    dictionary: Dictionary,
    texts: u32,
}

enum Dictionary {
    Constant,
    Texts(Arc<Texts>),
    Fixed(Form, Arc<Vec<u128>>),
}

/// The codes of a column, if it is kept as codes and all its values have the same kind.
pub(super) fn open(
    reader: &SectionReader,
    name: &str,
) -> Result<Option<Arc<dyn CodedColumn>>, ReadError> {
    let Some(column) = reader.open_column(name)? else {
        return Ok(None);
    };
    let Some(kind) = column.directory.kind else {
        return Ok(None);
    };
    let (dictionary, texts) = match &column.directory.layout {
        Layout::Constant { .. } => (Dictionary::Constant, 1),
        Layout::Dictionary {
            entries,
            bytes,
            plain_bytes,
        } => {
            let texts = reader.text_dictionary(&column, *entries, *bytes, *plain_bytes)?;
            (Dictionary::Texts(texts), *entries)
        }
        Layout::FixedDictionary {
            form,
            squeeze,
            entries,
            firsts,
            pages,
        } => {
            let all = reader.fixed_dictionary(&column, squeeze, *entries, firsts, pages)?;
            (Dictionary::Fixed(*form, all), *entries)
        }
        _ => return Ok(None),
    };
    // A dictionary has at most as many entries as a section has rows.
    let texts = u32::try_from(texts).unwrap_or(u32::MAX);
    Ok(Some(Arc::new(SectionCodes {
        reader: reader.clone(),
        column,
        kind,
        dictionary,
        texts,
    })))
}

impl CodedColumn for SectionCodes {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn texts(&self) -> u32 {
        self.texts
    }

    fn bytes(&self) -> usize {
        match &self.dictionary {
            Dictionary::Constant => 0,
            Dictionary::Texts(texts) => texts.memory_bytes(),
            Dictionary::Fixed(_, all) => size_of_val(all.as_slice()),
        }
    }

    fn text<'a>(&'a self, code: u32, buffer: &'a mut String) -> &'a str {
        match (&self.dictionary, &self.column.directory.layout) {
            (Dictionary::Constant, Layout::Constant { text }) => text,
            (Dictionary::Texts(texts), _) => texts.get(code as usize).unwrap_or_default(),
            (Dictionary::Fixed(form, all), _) => {
                buffer.clear();
                if let Some(number) = all.get(code as usize) {
                    form.write(*number, buffer);
                }
                buffer
            }
            (Dictionary::Constant, _) => "",
        }
    }

    fn codes(&self, block: usize, out: &mut Vec<u32>) -> Result<BlockCodes, ReadError> {
        let rows = self.column.presence.rows_in(block);
        let values = self.column.presence.count(block);
        if values == 0 {
            return Ok(BlockCodes::One(self.texts));
        }
        if matches!(self.dictionary, Dictionary::Constant) {
            if values == rows {
                return Ok(BlockCodes::One(0));
            }
            out.clear();
            out.resize(values, 0);
        } else {
            let codes = self.reader.codes(&self.column, block)?;
            if !are_below(&codes, self.texts) {
                let flaw = Flaw("a code is not in the dictionary");
                return Err(self.reader.damaged(self.column.area, flaw));
            }
            let first = codes.first().copied().unwrap_or_default();
            if values == rows && codes.iter().all(|code| *code == first) {
                return Ok(BlockCodes::One(first as u32));
            }
            out.clear();
            out.extend(codes.iter().map(|code| *code as u32));
        }
        if values < rows {
            self.spread(block, rows, out)?;
        }
        Ok(BlockCodes::Each)
    }
}

/// Whether all codes stand for a text.
fn are_below(codes: &[i64], texts: u32) -> bool {
    // No code is above the union of their bits, which costs less than the greatest of them.
    let bits = codes.iter().fold(0, |bits, code| bits | *code as u64);
    let is_below = |code: &i64| (0..i64::from(texts)).contains(code);
    bits < u64::from(texts) || codes.iter().all(is_below)
}

impl SectionCodes {
    /// Puts the codes of the values where their rows are.
    fn spread(&self, block: usize, rows: usize, out: &mut Vec<u32>) -> Result<(), ReadError> {
        let present = self.column.presence.rows_of(block);
        let present = present.map_err(|flaw| self.reader.damaged(self.column.area, flaw))?;
        let codes = std::mem::take(out);
        out.resize(rows, self.texts);
        for (row, code) in present.iter().zip(codes) {
            if let Some(place) = out.get_mut(*row as usize) {
                *place = code;
            }
        }
        Ok(())
    }
}
