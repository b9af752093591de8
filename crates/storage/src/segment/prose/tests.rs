mod index;
mod packing;

use super::super::{BlockCache, SectionInput, SectionReader, decode_all, encode_section};
use super::terms;
use crate::{
    find::{Clue, TextQuestion},
    read::{Extent, ReadAt, ReadError, RowSource},
};
use proptest::{collection::vec, prelude::*, sample::Index as Pick, sample::select};
use std::sync::Arc;
use taffrail_model::{
    column::{Column, Kind},
    limits::BLOCK_ROWS,
    position::Position,
    time::Timestamp,
    token::{fold_char, is_single, is_token_char},
};

/// What the tests know of characters, written down by hand: the oracle has no token rule but this.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Class {
    /// Part of a word.
    Part,
    /// A word by itself.
    Word,
    /// Between words.
    Between,
}

/// Each character with its folded form and class.
const ALPHABET: [(char, char, Class); 42] = {
    use Class::{Between, Part, Word};
    [
        ('a', 'a', Part),
        ('b', 'b', Part),
        ('A', 'a', Part),
        ('z', 'z', Part),
        ('Z', 'z', Part),
        ('0', '0', Part),
        ('9', '9', Part),
        ('é', 'é', Part),
        ('É', 'é', Part),
        ('ß', 'ß', Part),
        ('\u{301}', '\u{301}', Part),
        ('Σ', 'σ', Part),
        ('ς', 'σ', Part),
        ('д', 'д', Part),
        ('Д', 'д', Part),
        ('한', '한', Part),
        ('½', '½', Part),
        ('Ⅷ', 'ⅷ', Part),
        // What folds to ASCII.
        ('ſ', 's', Part),
        ('\u{212a}', 'k', Part),
        ('𝔸', '𝔸', Part),
        ('日', '日', Word),
        ('本', '本', Word),
        ('カ', 'カ', Word),
        ('の', 'の', Word),
        ('ไ', 'ไ', Word),
        ('\u{20000}', '\u{20000}', Word),
        (' ', ' ', Between),
        ('\n', '\n', Between),
        ('\0', '\0', Between),
        ('\t', '\t', Between),
        ('_', '_', Between),
        ('-', '-', Between),
        ('.', '.', Between),
        ('/', '/', Between),
        ('{', '{', Between),
        ('`', '`', Between),
        ('@', '@', Between),
        ('—', '—', Between),
        ('😀', '😀', Between),
        ('\u{ad}', '\u{ad}', Between),
        ('Ⓐ', 'ⓐ', Between),
    ]
};

fn known(c: char) -> (char, Class) {
    let listed = ALPHABET
        .iter()
        .find(|(have, folded, _)| *have == c || *folded == c);
    match listed {
        Some((_, folded, class)) => (*folded, *class),
        None if c.is_ascii_alphanumeric() => (c.to_ascii_lowercase(), Class::Part),
        None => (c, Class::Between),
    }
}

fn folded(text: &str) -> String {
    text.chars().map(|c| known(c).0).collect()
}

fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in text.chars() {
        let (folded, class) = known(c);
        match class {
            Class::Part => words.last_mut().unwrap().push(folded),
            Class::Word => words.extend([folded.to_string(), String::new()]),
            Class::Between => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A question that the oracle answers by looking at the value.
struct Asked {
    clues: Vec<Clue>,
    literals: Option<Vec<String>>,
}

impl TextQuestion for Asked {
    fn clues(&self) -> &[Clue] {
        &self.clues
    }

    fn literals(&self) -> Option<&[String]> {
        self.literals.as_deref()
    }

    fn passes(&self, kind: Kind, text: &str) -> bool {
        if let Some(literals) = &self.literals {
            return literals.iter().any(|literal| text.contains(literal));
        }
        self.clues.iter().any(|clue| match clue {
            Clue::Phrase(phrase) => {
                matches!(kind, Kind::String | Kind::Json)
                    && words(text)
                        .windows(phrase.len())
                        .any(|found| found == phrase)
            }
            Clue::Substring(part) => folded(text).contains(part),
            Clue::Whole(whole) => text == whole,
            Clue::Contains {
                text: part,
                is_folded: true,
            } => folded(text).contains(part),
            // What is asked is more than that it contains the text.
            Clue::Contains {
                text: part,
                is_folded: false,
            } => text.contains(part) && text.len().is_multiple_of(2),
            Clue::Number(number) => text.parse::<f64>().ok() == Some(*number),
            Clue::Anything => true,
        })
    }
}

struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, ReadError> {
        let range = offset as usize..offset as usize + bytes;
        Ok(self.0[range].to_vec())
    }

    fn name(&self) -> String {
        "section".into()
    }
}

/// A section whose column `f` has these values, in every row but each seventh.
struct Section {
    reader: SectionReader,
    values: Vec<(u32, Kind, String)>,
    rows: usize,
}

impl Section {
    #[track_caller]
    fn new(values: Vec<(Kind, String)>) -> Section {
        let mut column = Column::default();
        let mut placed = Vec::new();
        for (number, (kind, text)) in (0u32..).zip(values) {
            let row = number + number / 6;
            column.push(row, kind, &text);
            placed.push((row, kind, text));
        }
        let rows = placed.last().map_or(1, |(row, _, _)| *row + 1);
        let mut input = SectionInput {
            timestamps: (0..i64::from(rows)).collect(),
            positions: (1..=u64::from(rows)).collect(),
            ..SectionInput::default()
        };
        input.columns.insert("f", column);
        input.columns.set_rows(rows);
        let extent = Extent {
            rows,
            time_min: Timestamp(0),
            time_max: Timestamp(i64::from(rows) - 1),
            position_min: Position(1),
            position_max: Position(u64::from(rows)),
        };
        let bytes = encode_section(input.clone()).unwrap();
        let cache = Arc::new(BlockCache::default());
        let reader = SectionReader::open(extent, Arc::new(Bytes(bytes)), cache);
        let layout = reader.layout().unwrap();
        assert_eq!((&*layout[0].0, layout[0].1), ("f", 9), "it is prose");
        assert_eq!(decode_all(&reader).unwrap().columns, input.columns);
        Section {
            reader,
            values: placed,
            rows: rows as usize,
        }
    }

    /// Asks and compares with what the oracle says of each value. Returns how many pass, and
    /// whether the index told so.
    #[track_caller]
    fn check(&self, clues: &[Clue]) -> (usize, bool) {
        self.ask(Asked {
            clues: clues.to_vec(),
            literals: None,
        })
    }

    /// As [`Section::check`], for values that contain one of some texts. Returns how many pass.
    #[track_caller]
    fn check_literals(&self, literals: &[&str]) -> usize {
        let literals: Vec<String> = literals.iter().map(|text| (*text).to_owned()).collect();
        let clues = literals.iter().map(|text| Clue::Contains {
            text: text.clone(),
            is_folded: false,
        });
        let asked = Asked {
            clues: clues.collect(),
            literals: Some(literals),
        };
        self.ask(asked).0
    }

    #[track_caller]
    fn ask(&self, asked: Asked) -> (usize, bool) {
        let asked = Arc::new(asked);
        let clues = &asked.clues;
        let question: Arc<dyn TextQuestion> = asked.clone();
        let passing = self
            .values
            .iter()
            .filter(|(_, kind, text)| asked.passes(*kind, text));
        let expected: Vec<u32> = passing.map(|(row, _, _)| *row).collect();
        let finding = self
            .reader
            .find("f", &question)
            .unwrap()
            .expect("an answer");
        let count = finding.count();
        if let Some(count) = count {
            assert_eq!(count as usize, expected.len(), "{clues:?}");
        }
        let mut found = Vec::new();
        let mut odd = Vec::new();
        for block in 0..self.rows.div_ceil(BLOCK_ROWS) {
            let mut out = [0; BLOCK_ROWS / 64];
            finding
                .add_rows(block, &[u64::MAX; BLOCK_ROWS / 64], &mut out)
                .unwrap();
            let rows = rows_of(&out, block);
            assert!(finding.may_be_in(block) || rows.is_empty(), "{clues:?}");
            found.extend(rows);
            let mut out = [0; BLOCK_ROWS / 64];
            finding
                .add_rows(block, &[0xaaaa_aaaa_aaaa_aaaa; BLOCK_ROWS / 64], &mut out)
                .unwrap();
            odd.extend(rows_of(&out, block));
        }
        assert_eq!(found, expected, "{clues:?}");
        found.retain(|row| row % 2 == 1);
        assert_eq!(odd, found, "within some rows: {clues:?}");
        (expected.len(), count.is_some())
    }
}

fn rows_of(bits: &[u64], block: usize) -> Vec<u32> {
    let is_set = |row: &usize| bits[row / 64] >> (row % 64) & 1 == 1;
    let rows = (0..BLOCK_ROWS).filter(is_set);
    rows.map(|row| (block * BLOCK_ROWS + row) as u32).collect()
}

fn phrase(words: &[&str]) -> Clue {
    Clue::Phrase(words.iter().map(|word| (*word).to_owned()).collect())
}

fn substring(text: &str) -> Clue {
    Clue::Substring(text.into())
}

/// A number that looks random (the finaliser of SplitMix64).
fn scrambled(n: usize) -> usize {
    let mut h = n as u64 + 1;
    h = (h ^ h >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h = (h ^ h >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (h ^ h >> 31) as usize >> 8
}

/// Text that makes each value as long as prose is, different from value to value.
fn filler(n: usize) -> String {
    let nouns = [
        "agent", "file", "tool", "answer", "model", "error", "prompt",
    ];
    let mut text = format!(" run{n}");
    for word in 0..24 {
        text.push_str(" of the ");
        // No order comes twice: such texts have no templates.
        text.push_str(nouns[scrambled(n * 32 + word) % nouns.len()]);
    }
    text
}

/// Values with `text(n)` in the middle of filler.
fn values(count: usize, text: impl Fn(usize) -> String) -> Vec<(Kind, String)> {
    (0..count)
        .map(|n| (Kind::String, format!("{} {}{}", n % 5, text(n), filler(n))))
        .collect()
}

const VALUES: usize = 1_300;

#[test]
fn words_are_counted_by_the_dictionary() {
    let section = Section::new(values(VALUES, |n| match n % 100 {
        7 => "Needle".into(),
        8 => "needles, kneedle".into(),
        9 if n == 1_009 => "NEEDLE-once".into(),
        _ => "hay".into(),
    }));
    assert_eq!(section.check(&[phrase(&["needle"])]), (14, true));
    assert_eq!(section.check(&[phrase(&["once"])]), (1, true));
    assert_eq!(section.check(&[phrase(&["the"])]), (VALUES, true));
    assert_eq!(section.check(&[phrase(&["absent"])]), (0, true));
    assert_eq!(
        section.check(&[phrase(&["aaa"])]),
        (0, true),
        "before all words"
    );
    assert_eq!(
        section.check(&[phrase(&["zzz"])]),
        (0, true),
        "after all words"
    );
    assert_eq!(section.check(&[substring("needle")]), (27, true));
    assert_eq!(section.check(&[substring("eedles")]), (13, true));
    assert_eq!(
        section.check(&[phrase(&["needle"]), phrase(&["once"])]),
        (14, true)
    );
}

#[test]
fn phrases_and_texts_across_words() {
    let section = Section::new(values(VALUES, |n| match n % 130 {
        3 => "tools/session.py".into(),
        4 => "tools of a session.py".into(),
        5 => "mytools/Session.pyc".into(),
        _ => "hay".into(),
    }));
    assert_eq!(section.check(&[phrase(&["tools", "session", "py"])]).0, 10);
    assert_eq!(section.check(&[phrase(&["session", "absent"])]), (0, true));
    assert_eq!(section.check(&[substring("ols/sess")]).0, 20);
    assert_eq!(section.check(&[substring("/session.")]).0, 20);
    assert_eq!(section.check(&[substring("a session")]).0, 10);
    assert_eq!(
        section.check(&[substring("a s")]).0,
        10,
        "borders too short to be looked for"
    );
    assert_eq!(section.check(&[substring("/")]).0, 20, "no word at all");
    // Both are in every value.
    assert_eq!(section.check(&[phrase(&["of", "the"])]), (VALUES, true));
    assert_eq!(section.check(&[phrase(&["the", "of"])]), (0, true));
    section.check(&[phrase(&["of", "the", "agent"])]);
    section.check(&[phrase(&["the", "agent", "of", "the"])]);
    section.check(&[phrase(&["tools", "of", "a"])]);
    let whole = section.values[3].2.clone();
    assert_eq!(section.check(&[Clue::Whole(whole.clone())]).0, 1);
    assert_eq!(section.check(&[Clue::Whole(whole[1..].into())]).0, 0);
    assert_eq!(section.check(&[Clue::Whole(String::new())]).0, 0);
}

#[test]
fn texts_byte_for_byte() {
    let section = Section::new(values(VALUES, |n| match n % 10 {
        3 => "read Tools/session.py, then".into(),
        4 => "reread tools/session.pyc".into(),
        5 => "tools  session".into(),
        6 => "日本 tools 日 本".into(),
        7 => "ſ\u{212a}ool tools".into(),
        _ => "hay".into(),
    }));
    assert_eq!(section.check_literals(&["tools"]), 4 * VALUES / 10);
    assert_eq!(
        section.check_literals(&["ools/session.py"]),
        2 * VALUES / 10
    );
    assert_eq!(section.check_literals(&["Tools/session.py,"]), VALUES / 10);
    assert_eq!(section.check_literals(&["tools/session.pyc "]), VALUES / 10);
    assert_eq!(section.check_literals(&["tools session"]), 0);
    assert_eq!(section.check_literals(&["tools  s"]), VALUES / 10);
    assert_eq!(
        section.check_literals(&["read tools/", "read Tools/"]),
        2 * VALUES / 10
    );
    assert_eq!(section.check_literals(&["日本"]), VALUES / 10);
    assert_eq!(section.check_literals(&["日 本"]), VALUES / 10);
    assert_eq!(section.check_literals(&["skool"]), 0);
    assert_eq!(section.check(&[substring("skool to")]).0, VALUES / 10);
    assert_eq!(section.check(&[phrase(&["skool", "tools"])]).0, VALUES / 10);
    assert_eq!(section.check_literals(&[" "]), VALUES);
    assert_eq!(section.check_literals(&["of the agent"]), {
        let has = |text: &str| text.contains("of the agent");
        section
            .values
            .iter()
            .filter(|(_, _, text)| has(text))
            .count()
    });
    // More parts than are judged at once.
    let long = "of the ".repeat(40);
    assert_eq!(section.check_literals(&[&long, "Tools"]), VALUES / 10);
}

/// Neighbouring words are looked for by their codes, and words that come once have none.
#[test]
fn neighbours_are_found_whether_they_have_codes_or_not() {
    let section = Section::new(values(VALUES, |n| match n % 10 {
        2 => format!("odd{n}end tools"),
        3 => format!("friend tools{n}"),
        4 => "friend tools".into(),
        5 => "friend  tools".into(),
        6 => "friend, tools".into(),
        7 => "Friend tools".into(),
        8 => "friend end tools".into(),
        _ => "hay".into(),
    }));
    let tenth = VALUES / 10;
    assert_eq!(section.check_literals(&["end tools"]), 5 * tenth);
    assert_eq!(section.check_literals(&["friend tools"]), 2 * tenth);
    assert_eq!(section.check_literals(&["riend tools "]), 2 * tenth);
    assert_eq!(
        section.check_literals(&["friend, too", "d  tools"]),
        2 * tenth
    );
    assert_eq!(section.check_literals(&["friend,"]), tenth);
    assert_eq!(section.check_literals(&["friend "]), 4 * tenth);
    assert_eq!(section.check_literals(&["Friend tools run"]), tenth);
    assert_eq!(section.check_literals(&["end end"]), tenth);
}

#[test]
fn long_words_are_found_though_they_are_cut() {
    // Digits would make them data.
    let letters = |n: usize| -> String {
        let digits = format!("{n:08}");
        digits
            .bytes()
            .map(|digit| char::from(digit + b'a' - b'0'))
            .collect()
    };
    let start = "uvwxyz".repeat(84);
    let section = Section::new(values(VALUES, |n| match n % 400 {
        0 => format!("{start}{}", letters(n)),  // 512 bytes: whole
        1 => format!("{start}x{}", letters(n)), // 513 bytes: cut
        // 512 and 513 bytes.
        2 => format!("{}x{}", "w".repeat(511), "y".repeat(n / 400 % 2)),
        3 => format!("{}{n}", "é".repeat(260)), // cut between characters
        4 => format!("9{}", "д".repeat(260)),   // kept one byte less
        _ => "hay".into(),
    }));
    let whole = |n| phrase(&[&format!("{start}{}", letters(n))]);
    let cut = |n| phrase(&[&format!("{start}x{}", letters(n))]);
    assert_eq!(section.check(&[whole(400)]), (1, true));
    assert_eq!(section.check(&[whole(401)]), (0, true));
    assert_eq!(section.check(&[cut(401)]).0, 1);
    assert_eq!(section.check(&[cut(400)]).0, 0);
    let word = format!("{}x", "w".repeat(511));
    assert_eq!(section.check(&[phrase(&[&word])]), (2, true));
    assert_eq!(section.check(&[phrase(&[&format!("{word}y")])]).0, 2);
    assert_eq!(section.check(&[substring("wwx")]).0, 4);
    let past_what_is_kept = format!("yzx{}", letters(401));
    assert_eq!(section.check(&[substring(&past_what_is_kept)]).0, 1);
    assert_eq!(section.check(&[substring("xyzuv")]).0, 8);
    let end_of_a_cut_word = format!("x{} run401", letters(401));
    assert_eq!(section.check(&[substring(&end_of_a_cut_word)]).0, 1);
    assert_eq!(section.check(&[substring("éé403 ")]).0, 1);
    assert_eq!(section.check(&[substring(" 9дд")]).0, 4);
}

#[test]
fn encoded_data_is_cut_early() {
    let hash = |n: usize| format!("{:08x}", (n as u32).wrapping_mul(0x9e37_79b9)).repeat(3);
    let section = Section::new(values(VALUES, |n| match n % 3 {
        0 => (0..6).map(|next| hash(n + next) + " ").collect(),
        1 => format!("sha256x{n:09}"),   // 16 bytes: whole
        _ => format!("sha256x{n:010}q"), // 18 bytes: all share a term
    }));
    assert_eq!(section.check(&[phrase(&[&hash(300)])]).0, 2);
    assert_eq!(section.check(&[phrase(&["sha256x000000301"])]), (1, true));
    assert_eq!(section.check(&[phrase(&["sha256x0000000302q"])]).0, 1);
    assert_eq!(section.check(&[phrase(&["sha256x0000000301q"])]).0, 0);
    assert_eq!(section.check(&[substring("0302q")]).0, 1);
    assert_eq!(section.check(&[phrase(&[&hash(300), &hash(301)])]).0, 2);
}

#[test]
fn kinds_that_are_no_text_are_looked_at() {
    let mut values = values(VALUES, |_| "hay 200".into());
    for (n, value) in values.iter_mut().enumerate() {
        *value = match n % 50 {
            1 => (Kind::Integer, "200".into()),
            2 => (Kind::String, "2e2".into()),
            3 => (Kind::Float, "200.0".into()),
            4 => (Kind::Json, "[200]".into()),
            5 => (Kind::Bool, "true".into()),
            6 => (Kind::String, String::new()),
            7 => (Kind::String, "+200".into()),
            _ => continue,
        };
    }
    let section = Section::new(values);
    let all = VALUES - 26 * 7;
    assert_eq!(section.check(&[phrase(&["200"])]).0, all + 2 * 26);
    assert_eq!(section.check(&[Clue::Number(200.0)]).0, 4 * 26);
    assert_eq!(
        section.check(&[phrase(&["200"]), Clue::Number(200.0)]).0,
        all + 5 * 26
    );
    assert_eq!(section.check(&[substring("200")]), (all + 4 * 26, false));
    assert_eq!(section.check(&[phrase(&["true"])]).0, 0);
    assert_eq!(section.check(&[Clue::Whole("true".into())]).0, 26);
    assert_eq!(section.check(&[Clue::Whole(String::new())]).0, 26);
}

#[test]
fn wanted_values_are_read_alone() {
    let section = Section::new(values(VALUES, |n| format!("value {n}")));
    for (block, wanted) in [
        (0, vec![0, 5, 6, 7, 1_023]),
        (1, vec![0, 1, 200]),
        (1, vec![6]),
    ] {
        let column = section.reader.values_at(block, "f", &wanted).unwrap();
        let rows = wanted.iter().map(|row| (block * BLOCK_ROWS) as u32 + row);
        let expected: Vec<(u32, &str)> = rows
            .filter_map(|row| {
                let value = section.values.iter().find(|(have, _, _)| *have == row)?;
                Some((row - (block * BLOCK_ROWS) as u32, &*value.2))
            })
            .collect();
        let column = column.unwrap_or_default();
        let found: Vec<(u32, &str)> = column
            .iter()
            .map(|(row, value)| (row, value.text))
            .collect();
        assert_eq!(found, expected);
    }
    assert!(
        section.reader.values_at(0, "f", &[6]).unwrap().is_none(),
        "no value there"
    );
    assert!(
        section
            .reader
            .values_at(0, "absent", &[0])
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_column_of_too_many_words_gets_no_index() {
    let word = |n: usize| format!("{n:05x} ");
    for (words, encoding) in [((1usize << 20) - 1, 9), (1 << 20, 7)] {
        let mut input = SectionInput::default();
        let mut column = Column::default();
        for row in 0..words.div_ceil(256) as u32 {
            let first = row as usize * 256;
            let value: String = (first..words.min(first + 256)).map(word).collect();
            column.push(row, Kind::String, &value);
            input.timestamps.push(0);
            input.positions.push(u64::from(row));
        }
        input.columns.set_rows(input.timestamps.len() as u32);
        input.columns.insert("f", column);
        let extent = Extent {
            rows: input.timestamps.len() as u32,
            time_min: Timestamp(0),
            time_max: Timestamp(0),
            position_min: Position(0),
            position_max: Position(u64::MAX),
        };
        let bytes = encode_section(input.clone()).unwrap();
        let reader = SectionReader::open(extent, Arc::new(Bytes(bytes)), Arc::default());
        assert_eq!(reader.layout().unwrap()[0].1, encoding);
        assert_eq!(decode_all(&reader).unwrap().columns, input.columns);
    }
}

/// The index relies on it, and so does looking for words in text that is not folded: a folded text
/// has its words where the text has them.
#[test]
fn folding_keeps_what_is_a_token() {
    for c in '\0'..=char::MAX {
        let folded = fold_char(c);
        assert_eq!(is_token_char(c), is_token_char(folded), "{c:?}");
        assert_eq!(is_single(c), is_single(folded), "{c:?}");
        assert_eq!(fold_char(folded), folded, "{c:?}");
    }
}

#[test]
fn the_alphabet_is_that_of_the_product() {
    for (c, folded, class) in ALPHABET {
        assert_eq!(fold_char(c), folded, "{c:?}");
        assert_eq!(is_token_char(c), class != Class::Between, "{c:?}");
        assert_eq!(is_single(c), class == Class::Word, "{c:?}");
    }
}

fn any_text(length: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let chars = select(ALPHABET.to_vec()).prop_map(|(c, _, _)| c);
    vec(chars, length).prop_map(String::from_iter)
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any_text(0..40),
        2 => "[a-c]{1,2}( [a-c]{1,2}){0,9}",
        1 => "[0-9a-f]{15,60}",
        1 => "[a-z]{508,515}",
        1 => "-?[0-9]{1,4}(\\.[0-9])?",
    ]
}

/// A part of a text, by characters.
fn part(text: &str, from: Pick, length: usize) -> String {
    let count = text.chars().count();
    let start = if count == 0 { 0 } else { from.index(count) };
    text.chars().skip(start).take(length).collect()
}

fn any_clue() -> impl Strategy<Value = (u8, Pick, Pick, usize)> {
    (0u8..7, any::<Pick>(), any::<Pick>(), 1usize..9)
}

/// A clue about what is in some value, or nearly is.
fn clue_of(texts: &[String], (form, which, from, length): (u8, Pick, Pick, usize)) -> Clue {
    let text = which.get(texts);
    let found = words(text);
    match form {
        0 | 1 if !found.is_empty() => {
            let start = from.index(found.len());
            let end = found.len().min(start + 1 + length % 3);
            Clue::Phrase(found[start..end].to_vec())
        }
        2 if !found.is_empty() => {
            Clue::Substring(part(&found[from.index(found.len())], from, length))
        }
        3 if !text.is_empty() => Clue::Substring(part(&folded(text), from, length)),
        4 => Clue::Whole(text.clone()),
        5 if !text.is_empty() => Clue::Contains {
            text: part(text, from, length),
            is_folded: false,
        },
        6 if !text.is_empty() => Clue::Contains {
            text: part(&folded(text), from, length),
            is_folded: true,
        },
        _ => Clue::Number(text.parse().unwrap_or(7.0)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_is_asked_is_answered_as_by_looking(
        texts in vec(any_value(), 1..60),
        seed: usize,
        is_mixed: bool,
        clues in vec(vec(any_clue(), 1..3), 12),
        literals in vec(vec(any_clue(), 1..4), 6),
    ) {
        let kinds = [Kind::String, Kind::String, Kind::Json, Kind::Integer];
        let values = (0..VALUES).map(|n| {
            let random = n.wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            let text = &texts[random % texts.len()];
            let kind = if is_mixed { kinds[random % 4] } else { Kind::String };
            match n % 3 {
                0 => (kind, format!("{text}{}", filler(n))),
                1 => (kind, format!("{}{text}", filler(n))),
                // Most are long, so that the column is prose; some are the text alone.
                _ if n % 30 == 2 => (kind, text.clone()),
                _ => (kind, format!("{}{text} {}", filler(n), texts[random / 64 % texts.len()])),
            }
        });
        let section = Section::new(values.collect());
        for clues in clues {
            let clues: Vec<Clue> = clues.into_iter().map(|clue| clue_of(&texts, clue)).collect();
            section.check(&clues);
        }
        for literals in literals {
            let literals = literals.into_iter().map(|(_, which, from, length)| {
                part(&section.values[which.index(VALUES)].2, from, length * 3)
            });
            let literals: Vec<String> = literals.filter(|text| !text.is_empty()).collect();
            if !literals.is_empty() {
                section.check_literals(&literals.iter().map(|text| &**text).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn tokens_are_where_the_words_are(text in any_text(0..80)) {
        let mut plain = terms::Plain::default();
        plain.set("what was there before 日 is gone");
        plain.set(&text);
        let mut found = Vec::new();
        plain.for_each_token(&text, |start, token| {
            assert_eq!(&text.as_bytes()[start..start + token.text.len()], token.text);
            let known = terms::Token::of_term(token.text);
            assert_eq!((token.head, token.hash), (known.head, known.hash));
            found.push(folded(std::str::from_utf8(token.text).unwrap()));
        });
        prop_assert_eq!(found, words(&text));
    }
}
