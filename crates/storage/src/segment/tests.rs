mod coded;

use super::*;
use crate::{
    find::{Clue, TextQuestion},
    read::{Extent, ReadAt, ReadError, RowSource, token_hash},
};
use proptest::{collection::vec, prelude::*, sample::select};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
};
use taffrail_model::{
    column::{Column, Kind},
    limits::{BLOCK_ROWS, SEGMENT_ROWS_MAX},
    position::Position,
    time::Timestamp,
    token::{fold, tokens},
};

/// A section in memory, which counts what is read of it.
pub(super) struct Bytes {
    bytes: Vec<u8>,
    read: AtomicU64,
}

impl ReadAt for Bytes {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, ReadError> {
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
        let range = offset as usize..offset as usize + bytes;
        match self.bytes.get(range) {
            Some(bytes) => Ok(bytes.to_vec()),
            None => Err(ReadError::Damaged {
                file: self.name(),
                offset,
                detail: "past the end".into(),
            }),
        }
    }

    fn name(&self) -> String {
        "section".into()
    }
}

pub(super) fn extent(input: &SectionInput) -> Extent {
    Extent {
        rows: input.timestamps.len() as u32,
        time_min: Timestamp(*input.timestamps.iter().min().unwrap()),
        time_max: Timestamp(*input.timestamps.iter().max().unwrap()),
        position_min: Position(*input.positions.iter().min().unwrap()),
        position_max: Position(*input.positions.iter().max().unwrap()),
    }
}

pub(super) fn open_bytes(bytes: Vec<u8>, extent: Extent) -> (SectionReader, Arc<Bytes>) {
    let source = Arc::new(Bytes {
        bytes,
        read: AtomicU64::new(0),
    });
    let cache = Arc::new(BlockCache::default());
    (SectionReader::open(extent, source.clone(), cache), source)
}

fn open(input: &SectionInput) -> SectionReader {
    let bytes = encode_section(input.clone()).unwrap();
    open_bytes(bytes, extent(input)).0
}

/// One row as plain data: what every test compares.
type PlainRow = (i64, u64, BTreeMap<String, (Kind, String)>);

fn plain_rows(input: &SectionInput) -> Vec<PlainRow> {
    let mut rows: Vec<PlainRow> = input
        .timestamps
        .iter()
        .zip(&input.positions)
        .map(|(timestamp, position)| (*timestamp, *position, BTreeMap::new()))
        .collect();
    for (name, column) in input.columns.iter() {
        for (row, value) in column.iter() {
            let value = (value.kind, value.text.to_string());
            rows[row as usize].2.insert(name.to_string(), value);
        }
    }
    rows
}

fn sorted_rows(input: &SectionInput) -> Vec<PlainRow> {
    let mut rows = plain_rows(input);
    rows.sort_by_key(|row| (row.0, row.1));
    rows
}

/// Encodes, reads everything back by both ways, and asks the indexes about what is there.
#[track_caller]
fn check(input: &SectionInput) {
    let expected = sorted_rows(input);
    let reader = open(input);
    let decoded = decode_all(&reader).unwrap();
    assert_eq!(plain_rows(&decoded), expected);

    let blocks = reader.blocks().unwrap();
    let names: BTreeSet<String> = expected
        .iter()
        .flat_map(|row| row.2.keys().cloned())
        .collect();
    let found = reader.column_names().unwrap();
    assert_eq!(
        found
            .iter()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>(),
        names
    );
    let mut first = 0;
    for (block, extent) in blocks.iter().enumerate() {
        let rows = &expected[first..first + extent.rows as usize];
        first += rows.len();
        assert_eq!(extent.time_min.0, rows[0].0);
        assert_eq!(extent.time_max.0, rows[rows.len() - 1].0);
        assert_eq!(
            Some(extent.position_min.0),
            rows.iter().map(|row| row.1).min()
        );
        assert_eq!(
            Some(extent.position_max.0),
            rows.iter().map(|row| row.1).max()
        );
        let timestamps: Vec<i64> = rows.iter().map(|row| row.0).collect();
        assert_eq!(*reader.timestamps(block).unwrap(), timestamps);
        let positions: Vec<u64> = rows.iter().map(|row| row.1).collect();
        assert_eq!(*reader.positions(block).unwrap(), positions);
        for name in names.iter().map(String::as_str).chain(["absent"]) {
            check_block(&reader, block, name, rows);
        }
    }
    assert_eq!(first, expected.len());
}

#[track_caller]
fn check_block(reader: &SectionReader, block: usize, name: &str, rows: &[PlainRow]) {
    let expected: Vec<(u32, &(Kind, String))> = (0u32..)
        .zip(rows)
        .filter_map(|(row, (_, _, fields))| Some((row, fields.get(name)?)))
        .collect();
    let column = reader.column(block, name).unwrap();
    let found: Vec<(u32, (Kind, String))> = column
        .iter()
        .flat_map(|column| column.iter())
        .map(|(row, value)| (row, (value.kind, value.text.to_string())))
        .collect();
    assert!(
        found
            .iter()
            .map(|(row, value)| (*row, value))
            .eq(expected.iter().copied())
    );
    assert_eq!(column.is_none(), expected.is_empty());

    let stats = reader.stats(block, name).unwrap().unwrap();
    assert_eq!(stats.values as usize, expected.len());
    let numbers: Option<Vec<f64>> = expected
        .iter()
        .map(|(_, (_, text))| text.parse().ok().filter(|number: &f64| number.is_finite()))
        .collect();
    let range = numbers
        .filter(|numbers| !numbers.is_empty())
        .map(|numbers| {
            let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            (least, greatest)
        });
    assert_eq!(stats.numbers, range, "{name}");

    for (_, (_, text)) in expected.iter().step_by(37) {
        for (start, end) in tokens(text) {
            let word = fold(&text[start..end]);
            assert!(
                reader.may_contain(block, name, token_hash(&word)).unwrap(),
                "{name} {word}"
            );
            assert!(
                reader.may_contain_word(block, name, &word).unwrap(),
                "{name} {word}"
            );
        }
    }
}

/// A section with one column `f`, whose row n has the value `value(n)`.
fn one_column(rows: usize, value: impl Fn(usize) -> Option<(Kind, String)>) -> SectionInput {
    let mut input = SectionInput::default();
    let mut column = Column::default();
    for row in 0..rows {
        input
            .timestamps
            .push(1_700_000_000_000_000_000 + row as i64 * 1_000);
        input.positions.push(row as u64 + 1);
        if let Some((kind, text)) = value(row) {
            column.push(row as u32, kind, &text);
        }
    }
    input.columns.insert("f", column);
    input.columns.set_rows(rows as u32);
    input
}

/// A number that looks random and is the same in every run.
fn scramble(n: usize) -> u64 {
    let mut x = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Checks a column of 3,000 rows and that it takes less than `bytes_max` bytes.
#[track_caller]
fn check_size(bytes_max: usize, value: impl Fn(usize) -> Option<(Kind, String)>) {
    let input = one_column(3_000, value);
    check(&input);
    let without = encode_section(one_column(3_000, |_| None)).unwrap().len();
    let with = encode_section(input).unwrap().len();
    assert!(with - without < bytes_max, "{} bytes", with - without);
}

#[test]
fn every_encoding_comes_back_and_is_small() {
    use Kind::{Bool, Float, Integer, String};
    check_size(80, |_| Some((String, "same".into())));
    check_size(80, |n| Some((Integer, n.to_string())));
    check_size(4_000, |n| {
        Some((Integer, (scramble(n) % 1_000).to_string()))
    });
    check_size(3_900, |n| {
        Some((Integer, (scramble(n) % 1_000 * 500).to_string()))
    });
    check_size(500, |n| Some((Bool, (n % 2 == 0).to_string())));
    check_size(7_000, |n| {
        Some((Float, format!("{:.3}", (scramble(n) % 99_000) as f64 / 1e3)))
    });
    check_size(7_000, |n| {
        Some((Float, format!("{:?}", (scramble(n) % 99_000) as f64 / 1e3)))
    });
    check_size(1_700, |n| {
        Some((String, format!("user-{}", scramble(n) % 10)))
    });
    check_size(49_000, |n| Some((String, uuid(n))));
    check_size(8_200, |n| Some((String, uuid(n % 300))));
    check_size(25_000, |n| Some((String, format!("{:016x}", scramble(n)))));
    check_size(25_000, |n| Some((String, format!("{:016X}", scramble(n)))));
    check_size(62_000, |n| {
        Some((
            String,
            format!("{:016x}", scramble(n)).repeat(2) + "00000000",
        ))
    });
    check_size(9_300, |n| Some((String, ipv4(n))));
    check_size(60_000, |n| {
        Some((String, format!("took {} ms at {}", scramble(n), n)))
    });
}

fn uuid(n: usize) -> String {
    let (a, b) = (scramble(n), scramble(n + 1_000_000));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

fn ipv4(n: usize) -> String {
    let bits = scramble(n);
    format!("10.{}.{}.{}", bits & 255, bits >> 8 & 255, bits >> 16 & 255)
}

#[test]
fn rows_without_a_value_cost_little() {
    check_size(200, |n| (n == 2_000).then(|| (Kind::String, "rare".into())));
    check_size(500, |n| (n != 1_500).then(|| (Kind::Bool, "true".into())));
    check_size(600, |n| {
        scramble(n)
            .is_multiple_of(2)
            .then(|| (Kind::Bool, "true".into()))
    });
    check_size(600, |n| {
        (n >= 2_048).then(|| (Kind::Integer, n.to_string()))
    });
}

#[test]
fn kinds_stay_apart() {
    let mixed = |n: usize| {
        let (kind, text) = match n % 6 {
            0 => (Kind::Integer, "200"),
            1 => (Kind::String, "200"),
            2 => (Kind::Float, "200.0"),
            3 => (Kind::Bool, "true"),
            4 => (Kind::Json, "[1, 2]"),
            _ => return None,
        };
        Some((kind, text.to_string()))
    };
    check(&one_column(3_000, mixed));
    check(&one_column(2_100, |n| {
        let kind = if n % 2 == 0 {
            Kind::Integer
        } else {
            Kind::String
        };
        Some((kind, (n / 2).to_string()))
    }));
    check(&one_column(2_100, |n| {
        let kind = if n % 7 == 0 { Kind::Json } else { Kind::String };
        Some((
            kind,
            format!("a text that is {} long and has no other", scramble(n)),
        ))
    }));
    check(&one_column(1_500, |n| {
        let kind = if n == 1_200 { Kind::Json } else { Kind::String };
        Some((kind, "[]".into()))
    }));
}

#[test]
fn numbers_that_only_look_alike_keep_their_text() {
    for texts in [
        &["1", "01", "001"][..],
        &["1.5", "1.50", "1.500"],
        &["1.5", "2", "2.25"],
        &["-0", "0"],
        &["-0.0", "0.0"],
        &["1e3", "1000", "1E3"],
        &["9223372036854775807", "-9223372036854775808"],
        &["9223372036854775808", "1"],
        &["0.1", "922337203685477580.7"],
        &["+1", " 1", "1 "],
        &["inf", "NaN", "Infinity"],
        &["٣", "3"],
    ] {
        check(&one_column(1_100, |n| {
            Some((Kind::String, texts[n % texts.len()].into()))
        }));
    }
}

#[test]
fn large_and_strange_texts_come_back() {
    let strange = [
        "",
        "\0",
        "\u{10ffff}",
        "a\nb",
        "ÿ",
        "e\u{301}",
        "日本語のログ",
        "\u{feff}",
        "ǅ",
        "😀",
    ];
    check(&one_column(1_300, |n| {
        let text = format!("{}{}", strange[n % strange.len()], scramble(n) % 3);
        (n % 11 != 0).then_some((Kind::String, text))
    }));
    check(&one_column(40, |n| {
        let text = format!("{n} {}", "long ".repeat(20_000 * (n % 3)));
        Some((Kind::String, text))
    }));
    // One block that needs many frames, next to blocks that share one.
    check(&one_column(4_000, |n| {
        let text = match n / 1_024 {
            1 => format!("{} {}", scramble(n), "prose ".repeat(200)),
            _ => format!("{}", scramble(n)) + " x",
        };
        Some((Kind::String, text))
    }));
    check(&one_column(3, |_| {
        Some((Kind::String, "x".repeat(3 << 20)))
    }));
}

#[test]
fn ids_that_differ_in_many_scattered_bits_come_back() {
    check(&one_column(1_100, |n| {
        let bits =
            (u128::from(scramble(n)) * 0x1_0000_0001) & 0x1111_2222_4444_8888_1111_2222_4444_8888;
        Some((Kind::String, format!("{bits:032x}")))
    }));
    check(&one_column(2_000, |n| {
        Some((
            Kind::String,
            format!("{:08x}-0000-7000-8000-00000000000{}", 5 + n / 3, n % 3),
        ))
    }));
    check(&one_column(2_000, |n| Some((Kind::String, ipv4(n % 50)))));
    check(&one_column(2_000, |n| {
        let address = std::net::Ipv6Addr::from_bits(u128::from(scramble(n)) << 50 | 1);
        Some((Kind::String, address.to_string()))
    }));
}

#[test]
fn wanted_values_are_those_of_the_column() {
    let input = one_column(3_000, |n| {
        let text = format!("{} {n}", scramble(n)).repeat(5);
        (n % 5 != 3).then_some((Kind::String, text))
    });
    let reader = open(&input);
    for block in 0..4 {
        let wanted: Vec<u32> = (0..300).map(|n| n * 3).collect();
        let values = reader.values_at(block, "f", &wanted).unwrap();
        let column = reader.column(block, "f").unwrap();
        assert_eq!(values.is_some(), column.is_some());
        for row in wanted {
            let of = |column: &Option<Arc<Column>>| {
                let value = column.as_ref()?.get(row)?;
                Some((value.kind, value.text.to_owned()))
            };
            assert_eq!(of(&values), of(&column), "{block} {row}");
        }
    }
}

#[test]
fn few_wanted_values_of_every_encoding_are_those_that_were_written() {
    const ROWS: u32 = 10_000;
    let input = all_encodings_of(ROWS);
    let bytes = encode_section(input.clone()).unwrap();
    for (name, written) in input.columns.iter() {
        for count in [1, 3, 4, 30] {
            // Nothing is decoded yet, so each value is read by itself.
            let reader = open_bytes(bytes.clone(), extent(&input)).0;
            for block in 0..ROWS.div_ceil(1_024) {
                let first = block * 1_024;
                let rows = (ROWS - first).min(1_024);
                let mut wanted: Vec<u32> = (0..count)
                    .map(|n| scramble((first + n) as usize) as u32 % rows)
                    .collect();
                wanted.sort_unstable();
                wanted.dedup();
                let values = reader.values_at(block as usize, name, &wanted).unwrap();
                for row in wanted {
                    let value = values.as_ref().and_then(|values| values.get(row));
                    let expected = written.get(first + row);
                    assert_eq!(value, expected, "{name}: {count} of {block}, {row}");
                }
            }
        }
    }
}

#[test]
fn words_that_are_not_there_are_ruled_out() {
    let input = one_column(4_096, |n| {
        let text = match n / 1_024 {
            2 => format!("needle{n} in {}", scramble(n)),
            _ => format!("hay {} and {}", scramble(n), scramble(n + 9_999)),
        };
        Some((Kind::String, text.repeat(8)))
    });
    let reader = open(&input);
    let blocks_with = |word: &str| -> Vec<usize> {
        (0..4)
            .filter(|block| reader.may_contain_word(*block, "f", word).unwrap())
            .collect()
    };
    assert_eq!(blocks_with("needle2100"), [2]);
    let passed: usize = (0..5_000)
        .map(|n| blocks_with(&format!("absent{n}")).len())
        .sum();
    assert!(passed < 200, "{passed} of 20000 pass");
}

#[test]
fn ids_and_dictionaries_say_which_block_has_a_value() {
    let reader = open(&one_column(4_096, |n| Some((Kind::String, uuid(n)))));
    let groups = uuid(3_000);
    let mut groups = groups.split('-');
    let blocks_with = |reader: &SectionReader, word: &str| -> Vec<usize> {
        (0..4)
            .filter(|block| reader.may_contain_word(*block, "f", word).unwrap())
            .collect()
    };
    assert_eq!(blocks_with(&reader, groups.next().unwrap()), [2]);
    assert_eq!(blocks_with(&reader, groups.next().unwrap()), [0, 1, 2, 3]);
    assert!(blocks_with(&reader, "00000000").is_empty());
    assert!(blocks_with(&reader, "error").is_empty());

    let reader = open(&one_column(4_096, |n| {
        Some((Kind::String, format!("host-{}", n / 20)))
    }));
    assert_eq!(blocks_with(&reader, "150"), [2]);
    assert_eq!(blocks_with(&reader, "host"), [0, 1, 2, 3]);
    assert!(blocks_with(&reader, "guest").is_empty());

    let reader = open(&one_column(4_096, |n| {
        Some((Kind::String, format!("{:016X}", scramble(n / 2))))
    }));
    let word = format!("{:016x}", scramble(500));
    assert_eq!(blocks_with(&reader, &word), [0]);
}

#[test]
fn a_query_reads_only_what_it_needs() {
    let mut input = one_column(100_000, |n| {
        Some((Kind::Integer, (scramble(n) >> 1).to_string()))
    });
    let mut column = Column::default();
    for row in 0..100_000u32 {
        column.push(
            row,
            Kind::String,
            &format!("text {} of a row", scramble(row as usize)),
        );
    }
    input.columns.insert("message", column);
    let (reader, source) = open_bytes(encode_section(input.clone()).unwrap(), extent(&input));
    assert_eq!(
        source.read.load(Ordering::Relaxed),
        0,
        "nothing is read before it is asked for"
    );
    reader.blocks().unwrap();
    let directory = source.read.load(Ordering::Relaxed);
    assert!(directory <= 16 << 10);
    reader.column(50, "f").unwrap();
    let block = source.read.load(Ordering::Relaxed) - directory;
    assert!(block < 90 << 10, "{block} bytes for one block");
    reader.column(50, "f").unwrap();
    reader.column(51, "f").unwrap();
    assert_eq!(
        source.read.load(Ordering::Relaxed) - directory,
        block,
        "pages are kept"
    );
}

#[test]
fn chunks_are_merged_by_time_and_position() {
    let chunk = |first: usize, rows: usize, fields: &[&str]| {
        let mut columns = ColumnSet::default();
        for field in fields {
            let column = columns.get_or_create(field);
            for row in (0..rows as u32).step_by(fields.len()) {
                column.push(
                    row,
                    Kind::String,
                    &format!("{field} {}", first + row as usize),
                );
            }
        }
        columns.set_rows(rows as u32);
        let timestamps = (first..first + rows).map(|n| (scramble(n) % 50) as i64);
        let positions = (first..first + rows).map(|n| n as u64);
        Arc::new(TailChunk::new(
            timestamps.collect(),
            positions.collect(),
            columns,
        ))
    };
    let chunks = [
        chunk(1, 2_000, &["a", "b"]),
        chunk(2_001, 5, &["b"]),
        chunk(2_006, 900, &["c", "a"]),
    ];
    let mut merged = SectionInput::default();
    for chunk in &chunks {
        let mut columns = ColumnSet::default();
        for (name, column) in chunk.columns() {
            columns.insert(name, Column::clone(column));
        }
        columns.set_rows(chunk.extent().rows);
        merged.columns.append(&columns);
        merged.timestamps.extend_from_slice(chunk.all_timestamps());
        merged.positions.extend_from_slice(chunk.all_positions());
    }
    let bytes = encode_chunks(&chunks).unwrap();
    assert_eq!(bytes, encode_section(merged.clone()).unwrap());
    check(&merged);
}

#[test]
fn what_cannot_be_a_section_is_refused() {
    let none = encode_section(SectionInput::default());
    assert!(matches!(none, Err(EncodeError::Empty)));
    let mut uneven = one_column(5, |_| None);
    uneven.positions.pop();
    assert!(matches!(
        encode_section(uneven),
        Err(EncodeError::RowsDiffer)
    ));
    let mut short = one_column(5, |n| Some((Kind::String, n.to_string())));
    short.timestamps.pop();
    short.positions.pop();
    short.columns.set_rows(4);
    assert!(matches!(
        encode_section(short),
        Err(EncodeError::RowsDiffer)
    ));
    let many = one_column(SEGMENT_ROWS_MAX + 1, |_| None);
    assert!(matches!(
        encode_section(many),
        Err(EncodeError::TooManyRows { .. })
    ));
    let huge = one_column(1, |_| Some((Kind::String, "x".repeat(40 << 20))));
    assert!(matches!(
        encode_section(huge),
        Err(EncodeError::ValueTooLarge { .. })
    ));
}

/// A section with every encoding, small enough to be damaged at every byte.
pub(super) fn all_encodings() -> SectionInput {
    all_encodings_of(1_100)
}

fn all_encodings_of(rows: u32) -> SectionInput {
    let mut input = one_column(rows as usize, |n| Some((Kind::String, uuid(n % 90))));
    type Make = fn(usize) -> String;
    let makes: [(&str, Make); 11] = [
        ("constant", |_| "same".into()),
        ("integer", |n| (scramble(n) % 9_000).to_string()),
        ("decimal", |n| format!("{}.{:02}", scramble(n) % 9, n % 100)),
        ("per_value", |n| ["1.5", "1.50", "2"][n % 3].into()),
        ("hex", |n| format!("{:08x}", scramble(n) as u32)),
        ("long", |n| format!("{:040x}", scramble(n))),
        ("dictionary", |n| format!("v{}", n % 70)),
        // Texts of their own.
        ("text", |n| {
            let letter = |at: usize| char::from(b'a' + (scramble(n * 90 + at) % 26) as u8);
            match n {
                // Longer than a dictionary takes.
                7 => "long ".repeat(4_000),
                _ => (0..30 + n % 9).map(letter).collect(),
            }
        }),
        // Templates with columns of every form, small ones, and values without one.
        ("template", |n| match n % 10 {
            0 => format!(
                "odd {} of {}",
                ["a", "b", "c"][n / 10 % 3].repeat(n / 100 % 20),
                n
            ),
            1..4 => format!("from {} by {} {:x}", ipv4(n), uuid(n), scramble(n)),
            4..6 => format!(
                "step {:04} is v{} in a{}b",
                n,
                n % 3,
                ["7", "x8", "09"][n % 3]
            ),
            _ => format!("request {} took {} ms", scramble(n), n),
        }),
        ("mixed", |n| (scramble(n) % 3).to_string()),
        // Words in no order that comes twice: without templates.
        ("prose", |n| {
            let words = [
                "took ", "the ", "same ", "and ", "v7 ", "of ", "it, ", "café ", "日", "“", "— ",
            ];
            let word = |at: usize| words[scramble(n * 100 + at) as usize % words.len()];
            (0..100).map(word).collect()
        }),
    ];
    for (name, make) in makes {
        let mut column = Column::default();
        for row in
            (0..rows).filter(|row| name != "hex" || scramble(*row as usize).is_multiple_of(3))
        {
            let kind = match (name, row % 2) {
                ("mixed", 0) => Kind::Integer,
                _ => Kind::String,
            };
            column.push(row, kind, &make(row as usize));
        }
        input.columns.insert(name, column);
    }
    input
}

/// Damaged sections that each test reads.
const ROUNDS: usize = 400;

/// A word, part of one, and what spans several.
struct Anything(Vec<Clue>);

impl TextQuestion for Anything {
    fn clues(&self) -> &[Clue] {
        &self.0
    }
    fn passes(&self, _: Kind, text: &str) -> bool {
        text.len().is_multiple_of(2)
    }
}

/// Asks for text in a column and reads some rows of each block.
fn find_prose(reader: &SectionReader, name: &str, blocks: usize) {
    let phrase = |words: &[&str]| Clue::Phrase(words.iter().map(ToString::to_string).collect());
    for clue in [
        phrase(&["same"]),
        phrase(&["the", "same"]),
        Clue::Substring("nde".into()),
        Clue::Substring("nough f".into()),
        Clue::Number(7.0),
    ] {
        let question: Arc<dyn TextQuestion> = Arc::new(Anything(vec![clue]));
        let Ok(Some(finding)) = reader.find(name, &question) else {
            continue;
        };
        let _ = finding.count();
        for block in 0..blocks + 1 {
            let _ = finding.may_be_in(block);
            let _ = finding.add_rows(block, &[u64::MAX; 16], &mut [0; 16]);
        }
    }
    for block in 0..blocks + 1 {
        let _ = reader.values_at(block, name, &[0, 700]);
    }
}

/// Asks for texts of every kind.
fn find_all(reader: &SectionReader, block: usize, name: &str) {
    struct Asked(Vec<Clue>);
    impl TextQuestion for Asked {
        fn clues(&self) -> &[Clue] {
            &self.0
        }
        fn passes(&self, _kind: Kind, text: &str) -> bool {
            text.len().is_multiple_of(2)
        }
    }
    let phrase = |words: &[&str]| Clue::Phrase(words.iter().map(ToString::to_string).collect());
    for clue in [
        phrase(&["request"]),
        phrase(&["took", "7", "ms"]),
        phrase(&["10", "1", "2", "3"]),
        Clue::Substring("p 0".into()),
        Clue::Whole("request 7 took 7 ms".into()),
        Clue::Anything,
    ] {
        let asked: Arc<dyn TextQuestion> = Arc::new(Asked(vec![clue]));
        if let Ok(Some(finding)) = reader.find(name, &asked) {
            finding.may_be_in(block);
            let _ = finding.add_rows(
                block,
                &[u64::MAX; BLOCK_ROWS / 64],
                &mut [0; BLOCK_ROWS / 64],
            );
        }
    }
    let _ = reader.templates(name);
}

/// Uses everything of a section; whether all of it could be read.
fn read_all(reader: &SectionReader) -> bool {
    let is_read = decode_all(reader).is_ok();
    let (Ok(blocks), Ok(names)) = (reader.blocks(), reader.column_names()) else {
        return false;
    };
    for name in &names {
        find_prose(reader, name, blocks.len());
    }
    for block in 0..blocks.len() + 1 {
        for name in &names {
            let _ = reader.stats(block, name);
            let _ = reader.add_present(block, name, &mut [0; 16]);
            if let Ok(Some(coded)) = reader.coded(name) {
                let _ = coded.codes(block);
                let _ = coded.text(block as u32, &mut String::new());
            }
            if let Ok(Some(numbers)) = reader.numbers(name) {
                let _ = numbers.numbers(block, &mut Default::default());
            }
            let _ = reader.column(block, name);
            let _ = reader.may_contain(block, name, 0x1234_5678_9abc_def0);
            find_all(reader, block, name);
            for word in ["7", "same", "5fe9c0f0", "v7"] {
                let _ = reader.may_contain_word(block, name, word);
            }
        }
        let _ = reader.timestamps(block);
        let _ = reader.positions(block);
    }
    is_read
}

#[test]
fn a_section_that_is_cut_short_is_damaged() {
    let input = all_encodings();
    let bytes = encode_section(input.clone()).unwrap();
    let whole = open_bytes(bytes.clone(), extent(&input)).0;
    assert!(read_all(&whole));
    let layout = whole.layout().unwrap();
    let encodings: BTreeSet<u8> = layout.iter().map(|(_, encoding, ..)| *encoding).collect();
    assert!(
        (1..=9).all(|encoding| encodings.contains(&encoding)),
        "{encodings:?}"
    );
    for length in (0..bytes.len())
        .step_by(97)
        .chain(bytes.len() - 60..bytes.len())
    {
        for cut in [&bytes[..length], &bytes[bytes.len() - length..]] {
            let (reader, _) = open_bytes(cut.to_vec(), extent(&input));
            assert!(!read_all(&reader));
            let error = decode_all(&reader).unwrap_err();
            assert!(matches!(error, ReadError::Damaged { .. }), "{error}");
        }
    }
}

#[test]
fn any_flipped_byte_leads_to_a_value_or_to_damage() {
    let input = all_encodings();
    let bytes = encode_section(input.clone()).unwrap();
    let layout = open_bytes(bytes.clone(), extent(&input)).0.layout();
    for encoding in [1, 2, 3, 4, 5, 6, 7, 9] {
        let is_there = |column: &(_, u8, u64, u64)| column.1 == encoding;
        assert!(layout.as_ref().unwrap().iter().any(is_there), "{encoding}");
    }
    for round in 0..ROUNDS {
        let mut flipped = bytes.clone();
        for flip in 0..1 + round % 3 {
            let random = scramble(round * 7 + flip) as usize;
            // The directories are at the end: half of the flips go there.
            let window = if round % 2 == 0 { bytes.len() } else { 2_000 };
            let at = bytes.len() - 1 - random % window;
            flipped[at] ^= 1 << (random >> 32 & 7);
        }
        read_all(&open_bytes(flipped, extent(&input)).0);
    }
}

/// The directories are compressed, so that a flip in the file seldom reaches their fields. Here
/// their plain bytes are changed and packed again.
#[test]
fn any_changed_directory_leads_to_a_value_or_to_damage() {
    let input = all_encodings();
    let bytes = encode_section(input.clone()).unwrap();
    let footer_at = bytes.len() - directory::FOOTER_BYTES;
    let footer = directory::Footer::parse(&bytes[footer_at..]).unwrap();
    let directory_at = footer_at - footer.directory_bytes as usize;
    let plain = directory::unpack_directory(&bytes[directory_at..footer_at]).unwrap();
    let entries = directory::Directory::parse(&plain, 1_100, directory_at as u64).unwrap();
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    for round in 0..2 * ROUNDS {
        let random = scramble(round) as usize;
        let change = |plain: &mut Vec<u8>| {
            let at = (random >> 8) % plain.len();
            plain[at] = match random % 4 {
                0 => 0xff,
                1 => plain[at].wrapping_add(1),
                2 => plain[at] ^ 0x80,
                _ => (random >> 40) as u8,
            };
        };
        let mut changed = bytes[..directory_at].to_vec();
        let mut entries_plain = plain.clone();
        if round % 3 == 0 {
            change(&mut entries_plain);
        } else {
            // A changed directory of a column goes to the end of the area; its entry follows it.
            let number = round % entries.columns.len();
            let mut again =
                directory::Directory::parse(&plain, 1_100, directory_at as u64).unwrap();
            let (at, length) = again.columns[number].directory;
            let packed = &bytes[at as usize..at as usize + length];
            let mut column = directory::unpack_directory(packed).unwrap();
            change(&mut column);
            let packed = text::pack(&mut compressor, &column).unwrap();
            again.columns[number].directory = (changed.len() as u64, packed.len());
            changed.extend_from_slice(&packed);
            entries_plain.clear();
            again.write(&mut entries_plain);
        }
        let packed = text::pack(&mut compressor, &entries_plain).unwrap();
        changed.extend_from_slice(&packed);
        directory::Footer {
            directory_bytes: packed.len() as u32,
            rows: 1_100,
        }
        .write(&mut changed);
        read_all(&open_bytes(changed, extent(&input)).0);
    }
}

/// As above, for the head of a templated column, which stands at the begin of its area.
#[test]
fn any_changed_head_of_templates_leads_to_a_value_or_to_damage() {
    let input = all_encodings();
    let bytes = encode_section(input.clone()).unwrap();
    let footer_at = bytes.len() - directory::FOOTER_BYTES;
    let footer = directory::Footer::parse(&bytes[footer_at..]).unwrap();
    let directory_at = footer_at - footer.directory_bytes as usize;
    let plain = directory::unpack_directory(&bytes[directory_at..footer_at]).unwrap();
    let parse = || directory::Directory::parse(&plain, 1_100, directory_at as u64).unwrap();
    let number = parse()
        .columns
        .iter()
        .position(|column| &*column.name == "template")
        .unwrap();
    let column = &parse().columns[number];
    let (at, length) = column.directory;
    let of_column = directory::unpack_directory(&bytes[at as usize..at as usize + length]).unwrap();
    let area = &bytes[column.area.0 as usize..(column.area.0 + column.area.1) as usize];
    let presence = presence::Presence::all(1_100);
    let area_bytes = area.len() as u64;
    let of_column =
        directory::ColumnDirectory::parse(&of_column, 8, area_bytes, &presence, 2).unwrap();
    let directory::Layout::Template { head_bytes } = of_column.layout else {
        panic!("not templated");
    };
    let head = directory::unpack_directory(&area[..head_bytes]).unwrap();
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    for round in 0..2 * ROUNDS {
        let random = scramble(round) as usize;
        let mut head = head.clone();
        for flip in 0..1 + round % 2 {
            // The counts are in front, so that half of the changes go there.
            let window = if round % 2 == 0 { head.len() } else { 64 };
            let at = (random >> (8 + 16 * flip)) % window;
            head[at] = match random >> flip & 3 {
                0 => 0xff,
                1 => head[at].wrapping_add(1),
                2 => head[at] ^ 0x80,
                _ => (random >> 40) as u8,
            };
        }
        // The new area goes to the end; what follows the head keeps its offsets by a filled head.
        let packed = text::pack(&mut compressor, &head).unwrap();
        let mut again = parse();
        let mut directory_of_column = of_column.clone();
        directory_of_column.layout = directory::Layout::Template {
            head_bytes: packed.len(),
        };
        directory_of_column.pages = of_column.pages.moved(packed.len() as u64);
        let mut changed = bytes[..directory_at].to_vec();
        again.columns[number].area.0 = changed.len() as u64;
        changed.extend_from_slice(&packed);
        changed.extend_from_slice(&area[head_bytes..]);
        again.columns[number].area.1 = changed.len() as u64 - again.columns[number].area.0;
        let mut plain = Vec::new();
        directory_of_column.write(&mut plain);
        let packed = text::pack(&mut compressor, &plain).unwrap();
        again.columns[number].directory = (changed.len() as u64, packed.len());
        changed.extend_from_slice(&packed);
        plain.clear();
        again.write(&mut plain);
        let packed = text::pack(&mut compressor, &plain).unwrap();
        changed.extend_from_slice(&packed);
        directory::Footer {
            directory_bytes: packed.len() as u32,
            rows: 1_100,
        }
        .write(&mut changed);
        read_all(&open_bytes(changed, extent(&input)).0);
    }
}

#[test]
fn random_bytes_are_no_section() {
    let input = one_column(5, |_| None);
    for length in [0, 1, 23, 24, 25, 1_000, 70_000] {
        let bytes: Vec<u8> = (0..length).map(|n| scramble(n) as u8).collect();
        let mut ended = bytes.clone();
        let empty = directory::Footer {
            directory_bytes: (length / 2) as u32,
            rows: 5,
        };
        empty.write(&mut ended);
        for bytes in [bytes, ended] {
            assert!(!read_all(&open_bytes(bytes, extent(&input)).0));
        }
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-c ]{0,6}",
        2 => "-?[0-9]{1,20}",
        2 => "-?[0-9]{1,6}\\.[0-9]{0,4}",
        1 => "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        1 => "[0-9a-f]{16}",
        1 => "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}",
        2 => "\\PC{0,30}",
        1 => any::<String>(),
        1 => (0usize..4_000).prop_map(|length| "wide ".repeat(length)),
    ]
}

fn any_kind() -> impl Strategy<Value = Kind> {
    select(vec![
        Kind::String,
        Kind::Integer,
        Kind::Float,
        Kind::Bool,
        Kind::Json,
    ])
}

/// A column of a few different values, spread over the rows by a seed.
fn any_column() -> impl Strategy<Value = (Vec<(Kind, String)>, u64, u64)> {
    let one_kind = (any_kind(), vec(any_text(), 1..40))
        .prop_map(|(kind, texts)| texts.into_iter().map(|text| (kind, text)).collect());
    let mixed = vec((any_kind(), any_text()), 1..40);
    (prop_oneof![one_kind, mixed], any::<u64>(), 1u64..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_rows_come_back(
        rows in 1usize..2_600,
        time_seed: i64,
        columns in vec(("[a-z.\\PC]{0,12}", any_column()), 0..6),
    ) {
        let mut input = SectionInput::default();
        for row in 0..rows {
            let jitter = (scramble(row) % 5_000) as i64 * (time_seed % 3);
            input.timestamps.push(time_seed.wrapping_add(row as i64 * 1_000).wrapping_add(jitter));
            input.positions.push(scramble(row) >> 16 ^ row as u64);
        }
        for (name, (values, seed, sparse)) in columns {
            let mut column = Column::default();
            for row in 0..rows {
                let random = scramble(row ^ seed as usize);
                if random % 64 >= sparse {
                    let (kind, text) = &values[(random >> 8) as usize % values.len()];
                    column.push(row as u32, *kind, text);
                }
            }
            input.columns.insert(&name, column);
        }
        input.columns.set_rows(rows as u32);
        check(&input);
        coded::check(&open(&input));
    }
}
