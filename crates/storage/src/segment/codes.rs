//! Columns of few different values as codes: the dictionary once, the codes block by block.
use super::{
    directory::Layout,
    fixed::Form,
    ints,
    reader::{OpenColumn, SectionReader},
    text::Texts,
    wire::Cursor,
};
use crate::{
    coded::{BlockCodes, CodedColumn, NARROW_TEXTS_MAX},
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
        Layout::Dictionary(dictionary) => {
            let texts = reader.text_dictionary(&column, dictionary)?;
            (Dictionary::Texts(texts), dictionary.entries)
        }
        Layout::FixedDictionary(dictionary) => {
            let all = reader.all_ids(&column, dictionary)?;
            (Dictionary::Fixed(dictionary.form, all), dictionary.entries)
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

    fn codes(&self, block: usize) -> Result<BlockCodes, ReadError> {
        let rows = self.column.presence.rows_in(block);
        let values = self.column.presence.count(block);
        if values == 0 {
            return Ok(BlockCodes::One(self.texts));
        }
        let codes = match self.dictionary {
            Dictionary::Constant => ints::Codes::One(0),
            _ => self.reader.with_block_page(&self.column, block, |page| {
                ints::decode_codes(&mut Cursor::new(page), values, self.texts)
            })?,
        };
        let is_narrow = self.texts <= NARROW_TEXTS_MAX;
        Ok(match codes {
            ints::Codes::One(code) if values == rows => BlockCodes::One(code),
            ints::Codes::One(code) if is_narrow => {
                BlockCodes::Narrow(self.spread(block, vec![code as u8; values])?)
            }
            ints::Codes::One(code) => BlockCodes::Wide(self.spread(block, vec![code; values])?),
            ints::Codes::Narrow(codes) if is_narrow => {
                BlockCodes::Narrow(self.spread(block, codes)?)
            }
            // Of 256 texts, so that one more is no byte.
            ints::Codes::Narrow(codes) => {
                let codes = codes.into_iter().map(u32::from).collect();
                BlockCodes::Wide(self.spread(block, codes)?)
            }
            ints::Codes::Wide(codes) => BlockCodes::Wide(self.spread(block, codes)?),
        })
    }
}

impl SectionCodes {
    /// Puts the codes of the values where their rows are; the other rows get the number of texts,
    /// which a code must be able to be.
    fn spread<T: Copy + TryFrom<u32>>(
        &self,
        block: usize,
        codes: Vec<T>,
    ) -> Result<Vec<T>, ReadError> {
        let rows = self.column.presence.rows_in(block);
        let Some(missing) = T::try_from(self.texts).ok().filter(|_| codes.len() < rows) else {
            return Ok(codes);
        };
        let mut out = vec![missing; rows];
        for (row, code) in self.reader.rows_of(&self.column, block)?.iter().zip(codes) {
            if let Some(place) = out.get_mut(*row as usize) {
                *place = code;
            }
        }
        Ok(out)
    }
}
