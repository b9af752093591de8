//! Whether a block may hold a word, as far as filters and dictionaries tell without its values.
//!
//! A word that a block holds is never denied; one that it does not hold may pass.
use super::{
    cache::Part,
    directory::{Group, Pages},
    filter,
    fixed::Form,
    fixed_dictionary::FixedDictionary,
    ints::Codes,
    reader::{OpenColumn, SectionReader},
    text::Texts,
};
use crate::read::{ReadError, token_hash};
use std::{ops::RangeInclusive, sync::Arc};

/// Entries of a dictionary above which a token's codes are looked for in each block: in a small
/// one they are nearly everywhere.
const DICTIONARY_ENTRIES_SMALL: usize = 64;
/// Tokens of a dictionary that are held in memory (8 MiB); beyond it, its filter says nothing.
const DICTIONARY_TOKENS_MAX: usize = 1 << 19;

/// The tokens of a dictionary: (hash, code), ascending; `None` if they are too many to be held.
type DictionaryTokens = Option<Vec<(u64, u32)>>;

/// Where a looked-up id stands in a dictionary.
struct Found {
    word: String,
    codes: Option<RangeInclusive<i64>>,
}

impl SectionReader {
    /// Which entries of a dictionary have which tokens.
    fn dictionary_tokens(
        &self,
        column: &OpenColumn,
        texts: &Texts,
    ) -> Result<Arc<DictionaryTokens>, ReadError> {
        let key = self.key(Part::DictionaryTokens, column.number, 0);
        self.cache.get_or_load(key, || {
            let mut tokens = Vec::new();
            for (code, text) in (0u32..).zip(texts.iter()) {
                filter::token_hashes(text, |hash| tokens.push((hash, code)));
                if tokens.len() > DICTIONARY_TOKENS_MAX {
                    return Ok((None, 0));
                }
            }
            tokens.sort_unstable();
            tokens.dedup();
            let bytes = tokens.len() * 16;
            Ok((Some(tokens), bytes))
        })
    }

    /// The filter of a block's group.
    pub(super) fn filter_may_contain(
        &self,
        column: &OpenColumn,
        block: usize,
        groups: &[Group],
        filters: &Pages,
        hash: u64,
    ) -> Result<bool, ReadError> {
        let group = groups.partition_point(|group| group.block_end <= block);
        self.with_page(
            Part::Filters,
            column.number,
            column.area,
            filters,
            group,
            |bytes| filter::may_contain(bytes, hash),
        )
    }

    /// Whether a block has a value with one of these codes.
    fn has_code(
        &self,
        column: &OpenColumn,
        block: usize,
        is_wanted: impl Fn(i64) -> bool,
    ) -> Result<bool, ReadError> {
        Ok(match self.codes(column, block)? {
            Codes::One(code) => is_wanted(code.into()),
            Codes::Narrow(codes) => codes.into_iter().any(|code| is_wanted(code.into())),
            Codes::Wide(codes) => codes.into_iter().any(|code| is_wanted(code.into())),
        })
    }

    pub(super) fn dictionary_may_contain(
        &self,
        column: &OpenColumn,
        block: usize,
        texts: &Texts,
        hash: u64,
    ) -> Result<bool, ReadError> {
        let tokens = self.dictionary_tokens(column, texts)?;
        let Some(tokens) = &*tokens else {
            return Ok(true);
        };
        let start = tokens.partition_point(|(have, _)| *have < hash);
        let end = tokens.partition_point(|(have, _)| *have <= hash);
        let wanted = &tokens[start..end];
        if wanted.is_empty() || texts.len() <= DICTIONARY_ENTRIES_SMALL {
            return Ok(!wanted.is_empty());
        }
        self.has_code(column, block, |code| {
            wanted
                .binary_search_by_key(&code, |(_, have)| i64::from(*have))
                .is_ok()
        })
    }

    /// Whether a block of an id column may hold the word, as far as its dictionary tells.
    pub(super) fn ids_may_contain(
        &self,
        column: &OpenColumn,
        dictionary: &FixedDictionary,
        block: usize,
        range: RangeInclusive<u128>,
        word: &str,
    ) -> Result<bool, ReadError> {
        let find = || {
            let codes = self.find_codes(column, dictionary, &range)?;
            let found = Found {
                word: word.into(),
                codes,
            };
            Ok::<_, ReadError>((found, word.len() + 64))
        };
        // One place for each hash; another word of the same hash is looked up each time.
        let index = token_hash(word) as u32 as usize;
        let key = self.key(Part::Found, column.number, index);
        let mut found = self.cache.get_or_load(key, find)?;
        if found.word != word {
            found = Arc::new(find()?.0);
        }
        match &found.codes {
            Some(codes) => self.has_code(column, block, |code| codes.contains(&code)),
            None => Ok(false),
        }
    }
}

/// Ids that hold a folded word, as a range; `Err(false)` if none can, `Err(true)` if the form does
/// not tell.
pub(super) fn ids_with_word(form: Form, word: &str) -> Result<RangeInclusive<u128>, bool> {
    let digits = word.len();
    let number = u128::from_str_radix(word, 16).ok().filter(|_| {
        digits <= 32
            && word
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
    });
    match (form, number) {
        (Form::Ipv6, _) => Err(true),
        (Form::Ipv4, _) => Err(digits <= 3 && word.bytes().all(|byte| byte.is_ascii_digit())),
        (Form::Uuid, Some(number)) if digits == 8 => {
            Ok(number << 96..=number << 96 | u128::MAX >> 32)
        }
        (Form::Uuid, Some(_)) => Err(digits == 4 || digits == 12),
        (Form::HexLower(have) | Form::HexUpper(have), Some(number)) if have <= 32 => {
            match digits == have {
                true => Ok(number..=number),
                false => Err(false),
            }
        }
        (Form::HexLower(have) | Form::HexUpper(have), _) => Err(digits == have && have > 32),
        (Form::Uuid, None) => Err(false),
    }
}
