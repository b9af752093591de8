//! Codes, numbers and presence say what the decoded column says.
use super::*;
use crate::{
    coded::{BlockCodes, BlockNumbers, NARROW_TEXTS_MAX},
    segment::{
        directory::{ColumnDirectory, Layout, Pages},
        presence::Presence,
    },
};

/// Compares all that is told of every column of a section.
#[track_caller]
pub(super) fn check(reader: &SectionReader) {
    for name in reader.column_names().unwrap() {
        for (block, extent) in reader.blocks().unwrap().iter().enumerate() {
            let column = reader.column(block, &name).unwrap();
            let column = column.as_deref();
            check_codes(reader, block, &name, extent.rows, column);
            check_numbers(reader, block, &name, column);
            let mut present = vec![0; (extent.rows as usize).div_ceil(64)];
            reader.add_present(block, &name, &mut present).unwrap();
            let rows =
                (0..extent.rows).filter(|row| present[*row as usize / 64] >> (row % 64) & 1 == 1);
            let wanted = column.map_or(&[][..], Column::rows);
            assert_eq!(rows.collect::<Vec<_>>(), wanted, "{name} {block}");
        }
    }
}

#[track_caller]
fn check_codes(
    reader: &SectionReader,
    block: usize,
    name: &str,
    rows: u32,
    column: Option<&Column>,
) {
    let Some(coded) = reader.coded(name).unwrap() else {
        return;
    };
    let all = match coded.codes(block).unwrap() {
        BlockCodes::One(code) => vec![code; rows as usize],
        BlockCodes::Narrow(codes) => {
            assert!(coded.texts() <= NARROW_TEXTS_MAX);
            codes.into_iter().map(u32::from).collect()
        }
        BlockCodes::Wide(codes) => codes,
    };
    assert_eq!(all.len(), rows as usize);
    let mut buffer = String::new();
    for (row, code) in (0..).zip(all) {
        let value = column.and_then(|column| column.get(row));
        assert_eq!(
            value.is_none(),
            code == coded.texts(),
            "{name} {block} {row}"
        );
        if let Some(value) = value {
            let found = (coded.kind(), coded.text(code, &mut buffer));
            assert_eq!(found, (value.kind, value.text), "{name} {block} {row}");
        }
    }
}

#[track_caller]
fn check_numbers(reader: &SectionReader, block: usize, name: &str, column: Option<&Column>) {
    let Some(numbers) = reader.numbers(name).unwrap() else {
        return;
    };
    let mut found = BlockNumbers {
        rows: vec![1],
        values: vec![2],
    };
    numbers.numbers(block, &mut found).unwrap();
    let Some(column) = column else {
        assert_eq!(found, BlockNumbers::default());
        return;
    };
    let rows = match found.rows.is_empty() {
        true => (0..found.values.len() as u32).collect(),
        false => found.rows,
    };
    assert_eq!(rows, column.rows(), "{name} {block}");
    for ((_, value), scaled) in column.iter().zip(found.values) {
        let wanted = number::parse_decimal(value.text).unwrap();
        let wanted = number::rescale(wanted, numbers.decimals());
        assert_eq!(wanted, Some(scaled), "{name} {block} {}", value.text);
    }
}

#[test]
fn every_encoding_is_read_as_codes_or_numbers_where_it_can_be() {
    let reader = open(&all_encodings());
    check(&reader);
    let is_coded = |name: &str| reader.coded(name).unwrap().is_some();
    let is_number = |name: &str| reader.numbers(name).unwrap().is_some();
    for (name, coded, number) in [
        ("constant", true, false),
        ("dictionary", true, false),
        ("integer", false, true),
        ("decimal", false, true),
        ("mixed", false, true),
        ("absent", false, false),
    ] {
        assert_eq!((is_coded(name), is_number(name)), (coded, number), "{name}");
    }
}

/// A column of these values in turns.
fn mixed(values: &[(Kind, &str)]) -> SectionInput {
    one_column(1_500, |n| {
        let (kind, text) = values[n % values.len()];
        Some((kind, text.to_owned()))
    })
}

/// A column is one of numbers, or not, and read as what it is in any case.
#[track_caller]
fn check_column(input: &SectionInput, is_number: bool) {
    super::check(input);
    let reader = open(input);
    check(&reader);
    assert_eq!(reader.numbers("f").unwrap().is_some(), is_number);
}

#[test]
fn only_what_may_be_a_number_is_read_as_one() {
    use Kind::{Bool, Float, Integer, Json, String};
    let numbers = |kinds: &'static [Kind], decimals: &'static str| {
        one_column(1_500, move |n| {
            let kind = kinds[n % kinds.len()];
            Some((kind, format!("{}{decimals}", scramble(n) % 100_000)))
        })
    };
    check_column(&numbers(&[Integer], ""), true);
    check_column(&numbers(&[String], ""), true);
    check_column(&numbers(&[Integer, String], ""), true);
    check_column(&numbers(&[Integer, Float, String], ".25"), true);
    // Texts that are numbers, of kinds that are none.
    check_column(&numbers(&[Bool], ""), false);
    check_column(&numbers(&[Integer, Bool], ""), false);
    check_column(&numbers(&[Integer, Integer, String, Json], ""), false);
    check_column(&numbers(&[Float, Json], ".25"), false);
    check_column(&mixed(&[(Integer, "1"), (Bool, "true")]), false);
    check_column(
        &mixed(&[(Integer, "1"), (Bool, "true"), (String, "x")]),
        false,
    );
    check_column(
        &mixed(&[(Integer, "1"), (Json, "[1]"), (Float, "1.5")]),
        false,
    );
}

#[test]
fn numbers_of_another_kind_are_damage() {
    let mut column = ColumnDirectory {
        kind: Some(Kind::Integer),
        layout: Layout::Integer,
        pages: Pages::new(0, &[0]),
        numbers: vec![None],
    };
    let mut parse = |kind| {
        let mut plain = Vec::new();
        column.kind = kind;
        column.write(&mut plain);
        let presence = Presence::all(1);
        ColumnDirectory::parse(&plain, column.encoding(), 0, &presence, 1).is_ok()
    };
    for kind in [Kind::String, Kind::Integer, Kind::Float] {
        assert!(parse(Some(kind)), "{kind:?}");
    }
    assert!(parse(None));
    assert!(!parse(Some(Kind::Bool)));
    assert!(!parse(Some(Kind::Json)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_kinds_and_numbers_are_read_as_what_they_are(
        values in vec((
            select(vec![Kind::String, Kind::Integer, Kind::Float, Kind::Bool, Kind::Json]),
            select(vec!["0", "7", "-12", "1.5", "1.50", "20", "true", "false", "x", "[1]", "9007199254740993"]),
        ), 1..8),
    ) {
        let input = mixed(&values);
        super::check(&input);
        let reader = open(&input);
        check(&reader);
        let is_none = |kind: &Kind| matches!(kind, Kind::Bool | Kind::Json);
        if values.iter().any(|(kind, _)| is_none(kind)) {
            prop_assert!(reader.numbers("f").unwrap().is_none());
        }
    }
}
