//! Columns of a chunk as codes and as numbers, made at the first question for them.
//!
//! Invariants
//! - What is told is what the text of the column tells.
//! - The views of a chunk take at most [`room`] of its bytes, which the chunk counts as its own
//!   from the start: a question makes no tail larger than its bound.
//!
//! A chunk never changes, so a view serves all questions until the chunk is flushed or merged. What
//! cannot be made, or has no room, is remembered, so that it is tried once.
use crate::{
    coded::{BlockCodes, BlockNumbers, CodedColumn, NARROW_TEXTS_MAX, NumberColumn},
    read::ReadError,
    segment::number::{Decimal, parse_decimal, rescale},
};
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::sync::Arc;
use taffrail_model::column::{Column, Kind};

/// Which part of a chunk's bytes its views may take: a byte a row for the codes of some columns and
/// eight for the numbers of one, in records of usual size.
const ROOM_PART: usize = 32;
/// Integers over a power of ten below this are floats of their own, and their quotient is the
/// float nearest to what was written.
const EXACT_FLOATS: u64 = 1 << 53;
/// Bytes that a text of a dictionary costs besides itself.
const TEXT_BYTES: usize = 16;

/// Bytes that the views of a chunk may take, given its other bytes.
pub(super) fn room(chunk_bytes: usize) -> usize {
    chunk_bytes / ROOM_PART
}

/// The views of a chunk.
#[derive(Debug)]
pub(super) struct Views(Mutex<Made>);

/// What was made so far, column by column; an inner `None`: it cannot be made.
#[derive(Debug)]
struct Made {
    codes: HashMap<usize, Option<Arc<TailCodes>>>,
    numbers: HashMap<usize, Option<Arc<TailNumbers>>>,
    room: usize,
}

impl Views {
    /// No views yet, and room for so many bytes.
    pub(super) fn new(room: usize) -> Views {
        Views(Mutex::new(Made {
            codes: HashMap::new(),
            numbers: HashMap::new(),
            room,
        }))
    }

    /// Column number `at` as codes.
    pub(super) fn codes(&self, at: usize, column: &Column, rows: u32) -> Option<Arc<TailCodes>> {
        let made = &mut *self.0.lock();
        let room = &mut made.room;
        let view = made.codes.entry(at).or_insert_with(|| {
            let codes = TailCodes::of(column, rows, *room)?;
            *room = room.checked_sub(codes.bytes())?;
            Some(Arc::new(codes))
        });
        view.clone()
    }

    /// Column number `at` as numbers.
    pub(super) fn numbers(
        &self,
        at: usize,
        column: &Arc<Column>,
        rows: u32,
    ) -> Option<Arc<TailNumbers>> {
        let made = &mut *self.0.lock();
        let room = &mut made.room;
        let view = made.numbers.entry(at).or_insert_with(|| {
            let left = room.checked_sub(column.len() * size_of::<i64>())?;
            let numbers = TailNumbers::of(column, rows)?;
            *room = left;
            Some(Arc::new(numbers))
        });
        view.clone()
    }
}

/// A column of few different texts of one kind.
#[derive(Debug)]
pub(super) struct TailCodes {
    kind: Kind,
    texts: Vec<Box<str>>,
    /// Of each row; the number of texts for a row without a value.
    codes: Vec<u8>,
    is_constant: bool,
    bytes: usize,
}

impl TailCodes {
    /// `None` if there are too many texts, several kinds, or more than `room` bytes.
    fn of(column: &Column, rows: u32, room: usize) -> Option<TailCodes> {
        let kind = *column.kinds().first()?;
        let mut bytes = rows as usize;
        if bytes > room || column.kinds().iter().any(|have| *have != kind) {
            return None;
        }
        let mut texts: Vec<Box<str>> = Vec::new();
        let mut known: HashMap<&str, u8> = HashMap::new();
        // No text has this code until all were met.
        let mut codes = vec![u8::MAX; rows as usize];
        let mut last: Option<(&str, u8)> = None;
        for (row, value) in column.iter() {
            let code = match last.filter(|(text, _)| *text == value.text) {
                Some((_, code)) => code,
                None => match known.get(value.text) {
                    Some(code) => *code,
                    None => {
                        let code = u8::try_from(texts.len()).ok();
                        let code = code.filter(|code| u32::from(*code) < NARROW_TEXTS_MAX)?;
                        bytes += value.text.len() + TEXT_BYTES;
                        if bytes > room {
                            return None;
                        }
                        known.insert(value.text, code);
                        texts.push(value.text.into());
                        code
                    }
                },
            };
            last = Some((value.text, code));
            *codes.get_mut(row as usize)? = code;
        }
        let missing = u8::try_from(texts.len()).ok()?;
        for code in codes.iter_mut().filter(|code| **code == u8::MAX) {
            *code = missing;
        }
        Some(TailCodes {
            kind,
            is_constant: texts.len() == 1 && column.len() == rows as usize,
            texts,
            codes,
            bytes,
        })
    }
}

impl CodedColumn for TailCodes {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn texts(&self) -> u32 {
        self.texts.len() as u32
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn text<'a>(&'a self, code: u32, _: &'a mut String) -> &'a str {
        self.texts.get(code as usize).map_or("", |text| text)
    }

    fn codes(&self, _block: usize) -> Result<BlockCodes, ReadError> {
        Ok(match self.is_constant {
            true => BlockCodes::One(0),
            false => BlockCodes::Narrow(self.codes.clone()),
        })
    }
}

/// A column of decimal numbers.
#[derive(Debug)]
pub(super) struct TailNumbers {
    column: Arc<Column>,
    is_everywhere: bool,
    values: Vec<i64>,
    decimals: u8,
}

impl TailNumbers {
    /// `None` if a value is no number in comparisons, its text is not the plain one, or as a float
    /// it would not be the one nearest to its text.
    fn of(column: &Arc<Column>, rows: u32) -> Option<TailNumbers> {
        let is_number = |kind: &Kind| matches!(kind, Kind::Integer | Kind::Float | Kind::String);
        if !column.kinds().iter().all(is_number) {
            return None;
        }
        let mut values = Vec::with_capacity(column.len());
        let mut decimals = 0;
        let numbers = || column.iter().map(|(_, value)| parse_decimal(value.text));
        for number in numbers() {
            let number = number?;
            if number.decimals > decimals {
                // All before have the decimals so far.
                for value in &mut values {
                    let scaled = *value;
                    *value = rescale(Decimal { scaled, decimals }, number.decimals)?;
                }
                decimals = number.decimals;
            }
            values.push(rescale(number, decimals)?);
        }
        let is_exact = |value: &i64| value.unsigned_abs() < EXACT_FLOATS;
        if decimals > 0 && !values.iter().all(is_exact) {
            return None;
        }
        Some(TailNumbers {
            column: column.clone(),
            is_everywhere: column.len() == rows as usize,
            values,
            decimals,
        })
    }
}

impl NumberColumn for TailNumbers {
    fn decimals(&self) -> u8 {
        self.decimals
    }

    fn numbers(&self, _block: usize, out: &mut BlockNumbers) -> Result<(), ReadError> {
        out.rows.clear();
        if !self.is_everywhere {
            out.rows.extend_from_slice(self.column.rows());
        }
        out.values.clear();
        out.values.extend_from_slice(&self.values);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOM: usize = 1 << 20;

    fn column(values: &[Option<(Kind, String)>]) -> Arc<Column> {
        let mut column = Column::default();
        for (row, value) in (0..).zip(values) {
            if let Some((kind, text)) = value {
                column.push(row, *kind, text);
            }
        }
        Arc::new(column)
    }

    fn texts(count: usize) -> Vec<Option<(Kind, String)>> {
        (0..count * 2)
            .map(|n| Some((Kind::String, format!("text {}", n % count))))
            .collect()
    }

    /// Compares the codes with the column; whether there are any.
    #[track_caller]
    fn check_codes(values: &[Option<(Kind, String)>], room: usize) -> bool {
        let rows = values.len() as u32;
        let Some(codes) = TailCodes::of(&column(values), rows, room) else {
            return false;
        };
        assert!(codes.bytes() <= room);
        let found = match codes.codes(0).unwrap() {
            BlockCodes::One(code) => vec![code as u8; values.len()],
            BlockCodes::Narrow(codes) => codes,
            BlockCodes::Wide(_) => panic!("wide"),
        };
        assert_eq!(found.len(), values.len());
        for (code, value) in found.iter().zip(values) {
            let code = u32::from(*code);
            let mut buffer = String::new();
            let found = (code < codes.texts())
                .then(|| (codes.kind(), codes.text(code, &mut buffer).to_owned()));
            assert_eq!(found, *value);
        }
        true
    }

    #[test]
    fn few_texts_of_one_kind_are_codes() {
        let most = NARROW_TEXTS_MAX as usize;
        assert!(check_codes(&texts(1), ROOM));
        assert!(check_codes(&texts(most), ROOM));
        assert!(!check_codes(&texts(most + 1), ROOM));
        let mut values = texts(most);
        values.push(None);
        assert!(check_codes(&values, ROOM));
        values.push(Some((Kind::Integer, "7".into())));
        assert!(!check_codes(&values, ROOM));
        assert!(!check_codes(&[None, None], ROOM));
    }

    #[test]
    fn views_keep_to_their_room() {
        let values = texts(2);
        let bytes = values.len() + 2 * ("text 0".len() + TEXT_BYTES);
        assert!(check_codes(&values, bytes));
        assert!(!check_codes(&values, bytes - 1));
        let rows = values.len() as u32;
        let views = Views::new(bytes);
        let one = column(&values);
        assert!(views.codes(0, &one, rows).is_some());
        assert!(views.codes(1, &one, rows).is_none());
        assert!(views.codes(0, &one, rows).is_some());
        let numbers = column(&[Some((Kind::Integer, "7".into()))]);
        assert!(Views::new(7).numbers(0, &numbers, 1).is_none());
        let views = Views::new(8);
        assert!(views.numbers(0, &numbers, 1).is_some());
        assert!(views.numbers(1, &numbers, 1).is_none());
    }

    #[track_caller]
    fn check_numbers(values: &[Option<&str>], expected: Option<(&[i64], u8)>) {
        let typed = values
            .iter()
            .map(|text| text.map(|text| (Kind::Float, text.to_owned())));
        let typed: Vec<_> = typed.collect();
        let numbers = TailNumbers::of(&column(&typed), values.len() as u32);
        let found = numbers.map(|numbers| {
            let mut out = BlockNumbers {
                rows: vec![9],
                values: vec![9],
            };
            numbers.numbers(0, &mut out).unwrap();
            let present = (0..).zip(values).filter(|(_, text)| text.is_some());
            let present: Vec<u32> = present.map(|(row, _)| row).collect();
            match values.contains(&None) {
                true => assert_eq!(out.rows, present),
                false => assert!(out.rows.is_empty()),
            }
            (out.values, numbers.decimals())
        });
        let expected = expected.map(|(values, decimals)| (values.to_vec(), decimals));
        assert_eq!(found, expected, "{values:?}");
    }

    #[test]
    fn plain_numbers_are_integers_over_a_power_of_ten() {
        check_numbers(&[Some("7"), Some("-12")], Some((&[7, -12], 0)));
        check_numbers(&[Some("7"), None, Some("1.25")], Some((&[700, 125], 2)));
        check_numbers(&[Some("0.5"), Some("3")], Some((&[5, 30], 1)));
        check_numbers(&[Some("7"), Some("1e3")], None);
        check_numbers(&[Some("x")], None);
        let last = Some("-900719925474099.1");
        check_numbers(&[last], Some((&[-9_007_199_254_740_991], 1)));
        check_numbers(&[Some("900719925474099.2")], None);
        let whole = Some("9007199254740993");
        check_numbers(&[whole], Some((&[9_007_199_254_740_993], 0)));
        check_numbers(&[whole, Some("200.0")], None);
        // The first has no place for 18 decimals.
        check_numbers(&[Some("10"), Some("0.000000000000000001")], None);
        let typed = [Some((Kind::Bool, "7".to_owned()))];
        assert!(TailNumbers::of(&column(&typed), 1).is_none());
    }

    proptest! {
        #[test]
        fn any_column_is_its_codes(values in proptest::collection::vec(
            proptest::option::of("[a-c]{0,2}"), 0..100,
        )) {
            let values: Vec<_> = values
                .into_iter()
                .map(|text| text.map(|text| (Kind::String, text)))
                .collect();
            let has_values = values.iter().any(Option::is_some);
            prop_assert_eq!(check_codes(&values, ROOM), has_values);
        }
    }
}
