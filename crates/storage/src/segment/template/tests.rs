use super::{
    decode::Templated,
    judge::{Index, Judge, Verdict},
};
use crate::{
    find::{Clue, TextQuestion},
    read::{Extent, ReadAt, ReadError, RowSource, TemplatePart, VariableKind},
    segment::{BlockCache, SectionInput, SectionReader, decode_all, encode_section},
};
use proptest::{collection::vec, prelude::*, sample::select};
use std::sync::Arc;
use taffrail_model::{
    column::{Column, Kind},
    limits::BLOCK_ROWS,
    position::Position,
    time::Timestamp,
    token::{fold, tokens},
};

struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, ReadError> {
        Ok(self.0[offset as usize..offset as usize + bytes].to_vec())
    }

    fn name(&self) -> String {
        "section".into()
    }
}

/// Values by row.
type Rows = Vec<Option<(Kind, String)>>;

fn input(rows: &Rows) -> SectionInput {
    let mut input = SectionInput::default();
    let mut column = Column::default();
    for (row, value) in (0u32..).zip(rows) {
        input.timestamps.push(i64::from(row));
        input.positions.push(u64::from(row) + 1);
        if let Some((kind, text)) = value {
            column.push(row, *kind, text);
        }
    }
    input.columns.insert("f", column);
    input.columns.set_rows(rows.len() as u32);
    input
}

/// A section with the rows in its column `f`, read back and compared.
#[track_caller]
fn section(rows: &Rows) -> SectionReader {
    let input = input(rows);
    let extent = Extent {
        rows: rows.len() as u32,
        time_min: Timestamp(0),
        time_max: Timestamp(rows.len() as i64 - 1),
        position_min: Position(1),
        position_max: Position(rows.len() as u64),
    };
    let bytes = encode_section(input.clone()).unwrap();
    let reader = SectionReader::open(
        extent,
        Arc::new(Bytes(bytes)),
        Arc::new(BlockCache::default()),
    );
    let decoded = decode_all(&reader).unwrap();
    assert_eq!(decoded, input);
    reader
}

#[track_caller]
fn templated(rows: &Rows) -> SectionReader {
    let reader = section(rows);
    let layout = reader.layout().unwrap();
    assert!(
        layout
            .iter()
            .any(|(name, encoding, ..)| &**name == "f" && *encoding == 8)
    );
    reader
}

/// A question whose answer is computed from the plain text.
#[derive(Clone, Debug)]
struct Asked(Vec<Clue>);

impl Asked {
    fn holds(clue: &Clue, text: &str) -> bool {
        match clue {
            Clue::Phrase(phrase) => {
                let of_text: Vec<String> = tokens(text)
                    .map(|(start, end)| fold(&text[start..end]))
                    .collect();
                of_text.windows(phrase.len()).any(|window| window == phrase)
            }
            Clue::Substring(needle) => fold(text).contains(needle),
            Clue::Whole(whole) => text == whole,
            // Stands for a regex that asks for a little more.
            Clue::Contains {
                text: needle,
                is_folded,
            } => {
                let searched = if *is_folded {
                    fold(text)
                } else {
                    text.to_owned()
                };
                searched.contains(needle) && !text.len().is_multiple_of(3)
            }
            Clue::Number(number) => text.parse::<f64>().is_ok_and(|value| value == *number),
            Clue::Anything => text.len().is_multiple_of(2),
        }
    }
}

impl TextQuestion for Asked {
    fn clues(&self) -> &[Clue] {
        &self.0
    }

    fn passes(&self, kind: Kind, text: &str) -> bool {
        let is_text = matches!(kind, Kind::String | Kind::Json);
        self.0.iter().any(|clue| match clue {
            Clue::Phrase(_) => is_text && Asked::holds(clue, text),
            _ => Asked::holds(clue, text),
        })
    }
}

/// Asks, and compares with what the plain values say. Returns the count that the finding knows.
#[track_caller]
fn ask(reader: &SectionReader, rows: &Rows, asked: &Asked) -> Option<u64> {
    let question: Arc<dyn TextQuestion> = Arc::new(asked.clone());
    let finding = reader.find("f", &question).unwrap();
    let finding = finding?;
    let expected: Vec<bool> = rows
        .iter()
        .map(|value| {
            value
                .as_ref()
                .is_some_and(|(kind, text)| asked.passes(*kind, text))
        })
        .collect();
    let total = expected.iter().filter(|is_expected| **is_expected).count() as u64;
    if let Some(count) = finding.count() {
        assert_eq!(count, total, "{asked:?}");
    }
    for (block, expected) in expected.chunks(BLOCK_ROWS).enumerate() {
        let some = (0..expected.len()).map(|row| row % 7 != block % 7);
        for within in [vec![true; expected.len()], some.collect()] {
            let bits = |rows: &mut dyn Iterator<Item = bool>| {
                let mut words = vec![0u64; expected.len().div_ceil(64)];
                rows.enumerate()
                    .for_each(|(row, bit)| words[row / 64] |= u64::from(bit) << (row % 64));
                words
            };
            let mut out = vec![0; expected.len().div_ceil(64)];
            finding
                .add_rows(block, &bits(&mut within.iter().copied()), &mut out)
                .unwrap();
            let wanted = bits(
                &mut within
                    .iter()
                    .zip(expected)
                    .map(|(within, expected)| *within && *expected),
            );
            assert_eq!(out, wanted, "{asked:?} block {block}");
            assert!(
                finding.may_be_in(block) || wanted.iter().all(|word| *word == 0),
                "{asked:?}"
            );
        }
    }
    finding.count()
}

fn scramble(n: usize) -> u64 {
    let mut x = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn words(text: &str) -> Clue {
    Clue::Phrase(
        tokens(text)
            .map(|(start, end)| fold(&text[start..end]))
            .collect(),
    )
}

fn uuid(n: usize) -> String {
    let (a, b) = (scramble(n), scramble(n + 7));
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
    format!("10.{}.{}.{}", bits & 3, bits >> 8 & 255, bits >> 16 & 255)
}

/// Lines like those of a machine: frequent templates, small ones, values without one.
fn log(n: usize) -> String {
    let random = scramble(n);
    match random % 100 {
        0..40 => format!(
            "Received block blk_{} of size {} from /10.0.{}.{}",
            random >> 3,
            1_000_000 + random % 999,
            random % 7,
            random >> 8 & 255
        ),
        40..60 => format!(
            "PacketResponder {} for block blk_-{} terminating",
            random % 3,
            random >> 9
        ),
        60..75 => format!(
            "request {} took {}.{:03} ms",
            uuid(n),
            random % 50,
            random >> 7 & 511
        ),
        75..85 => format!(
            "worker{:02} état {:x} host-{}",
            random % 64,
            random >> 40,
            ["A7", "b8", "c9x"][(random >> 8) as usize % 3]
        ),
        85..90 => format!(
            "path /var/log/{}/x{}.gz 日本{}語",
            random % 9,
            random % 77,
            random % 5
        ),
        90..98 => format!(
            "small {} {}",
            ["alpha", "beta", "gamma", "Delta"][n / 700 % 4],
            random % 1_000
        ),
        98 => format!("odd {}", "x".repeat(n % 50)),
        _ => format!("lonely{} {}", n, random),
    }
}

fn log_rows(count: usize) -> Rows {
    (0..count)
        .map(|n| (!scramble(n + 5).is_multiple_of(13)).then(|| (Kind::String, log(n))))
        .collect()
}

#[test]
fn lines_are_found_by_templates_and_variables() {
    let rows = log_rows(5_000);
    let reader = templated(&rows);
    let known = |clue: Clue| ask(&reader, &rows, &Asked(vec![clue])).is_some();
    assert!(known(words("Received block")));
    assert!(known(words("received")));
    assert!(known(words("absent")));
    assert!(known(words("block blk")));
    assert!(known(Clue::Substring("cketrespon".into())));
    assert!(known(Clue::Substring("absent".into())));
    for n in (0..5_000).step_by(331) {
        let line = log(n);
        let bounds: Vec<(usize, usize)> = tokens(&line).collect();
        for window in bounds.windows(3).chain(bounds.windows(1)) {
            let phrase = &line[window[0].0..window[window.len() - 1].1];
            ask(&reader, &rows, &Asked(vec![words(phrase)]));
            ask(&reader, &rows, &Asked(vec![words(&phrase.to_uppercase())]));
            ask(&reader, &rows, &Asked(vec![Clue::Substring(fold(phrase))]));
        }
        ask(&reader, &rows, &Asked(vec![Clue::Whole(line.clone())]));
        ask(
            &reader,
            &rows,
            &Asked(vec![words(&line), Clue::Substring("alpha 9".into())]),
        );
    }
}

#[test]
fn one_id_or_address_is_counted_without_writing_rows_out() {
    let rows = log_rows(6_000);
    let reader = templated(&rows);
    let mut counted = 0;
    for n in 0..400 {
        let line = log(n);
        let long = tokens(&line)
            .map(|(start, end)| &line[start..end])
            .find(|token| token.len() > 12);
        let address = line
            .split('/')
            .next_back()
            .filter(|last| last.starts_with("10."));
        for needle in long.into_iter().chain(address).chain([&*uuid(n)]) {
            counted += usize::from(ask(&reader, &rows, &Asked(vec![words(needle)])).is_some());
        }
    }
    assert!(counted > 500, "{counted}");
}

#[test]
fn templates_are_counted_under_the_same_hash_in_every_section() {
    let line = |n: usize| {
        format!(
            "took {} ms from {}",
            scramble(n) % 1_000,
            ["10.0.0.7", "10.2.0.9"][n % 2]
        )
    };
    let rows: Rows = (0..1_500).map(|n| Some((Kind::String, line(n)))).collect();
    let first = templated(&rows).templates("f").unwrap().unwrap();
    let parts = [
        TemplatePart::Literal("took ".into()),
        TemplatePart::Variable(VariableKind::Token),
        TemplatePart::Literal(" ms from ".into()),
        TemplatePart::Variable(VariableKind::Ipv4),
    ];
    assert_eq!(first.len(), 1);
    assert_eq!((&first[0].parts[..], first[0].rows), (&parts[..], 1_500));
    // Part of the format: never to change.
    assert_eq!(first[0].hash, 6_938_095_900_272_486_200);
    let mixed: Rows = (0..2_000)
        .map(|n| Some((Kind::String, if n % 4 == 0 { log(n) } else { line(n) })))
        .collect();
    let reader = templated(&mixed);
    let second = reader.templates("f").unwrap().unwrap();
    let same = second
        .iter()
        .find(|template| template.hash == first[0].hash)
        .unwrap();
    assert_eq!((&same.parts[..], same.rows), (&parts[..], 1_500));
    assert_eq!(reader.templates("absent").unwrap(), None);
}

#[test]
fn names_do_not_make_a_template_each() {
    let name = |n: usize| -> String {
        let letters = (0..6).map(|at| char::from(b'a' + (scramble(n / 2) >> (at * 8)) as u8 % 26));
        letters.collect()
    };
    let line = |n: usize| match n % 3 {
        0 => format!("session {} opened user={} from {}", n, name(n), ipv4(n)),
        1 => format!("session {} closed", n),
        _ => format!("{} left the room {}", name(n + 1), n % 7),
    };
    let rows: Rows = (0..6_000).map(|n| Some((Kind::String, line(n)))).collect();
    let reader = templated(&rows);
    let templates = reader.templates("f").unwrap().unwrap();
    assert_eq!(templates.len(), 3, "{templates:?}");
    assert_eq!(
        templates.iter().map(|template| template.rows).sum::<u64>(),
        6_000
    );
    for n in (0..6_000).step_by(487) {
        let name = name(n);
        for clue in [
            words(&name),
            words(&name.to_uppercase()),
            words(&format!("user {name}")),
            words(&format!("{name} left the")),
            Clue::Substring(name[1..4].into()),
            Clue::Substring(format!("r={}", &name[..3])),
            Clue::Whole(line(n)),
        ] {
            ask(&reader, &rows, &Asked(vec![clue]));
        }
    }
    assert!(ask(&reader, &rows, &Asked(vec![words("session")])).is_some());
}

#[test]
fn a_sample_tells_whether_templates_cost_less_than_a_dictionary() {
    let encoding = |text: &dyn Fn(usize) -> String| {
        let rows: Rows = (0..40_000).map(|n| Some((Kind::String, text(n)))).collect();
        let layout = section(&rows).layout().unwrap();
        let column = layout.iter().find(|(name, ..)| &**name == "f");
        column.map(|(_, encoding, ..)| *encoding)
    };
    // Of as few values a dictionary has all that templates would have.
    let host = |n: usize| {
        let number = scramble(n) % 2_000;
        format!("host-{number:04}-{:06x}", scramble(number as usize) >> 40)
    };
    assert_eq!(encoding(&host), Some(6));
    // A code in a dictionary is as long for the frequent value as for the rare ones.
    let path = |n: usize| match scramble(n) % 20 {
        0 => format!("/item/{}", scramble(n) % 100_000),
        _ => "/".into(),
    };
    assert_eq!(encoding(&path), Some(8));
}

#[test]
fn words_of_long_texts_are_left_alone() {
    for (bytes, templates) in [(512, 2), (513, 1)] {
        let rows: Rows = (0..2_000)
            .map(|n| {
                let name: String = (0..6)
                    .map(|at| char::from(b'a' + (scramble(n) >> (at * 8)) as u8 % 26))
                    .collect();
                let text = match n % 4 {
                    0 => format!("{} 7 {name}", "x".repeat(bytes - 9)),
                    _ => format!("usual {n}"),
                };
                Some((Kind::String, text))
            })
            .collect();
        let found = templated(&rows).templates("f").unwrap().unwrap();
        assert_eq!(found.len(), templates, "{bytes}");
    }
}

#[test]
fn other_kinds_are_judged_by_value() {
    let kinds = [Kind::String, Kind::Json, Kind::Integer];
    let mixed: Rows = (0..3_000)
        .map(|n| Some((kinds[scramble(n) as usize % 3], log(n))))
        .collect();
    let json: Rows = (0..3_000)
        .map(|n| Some((Kind::Json, format!("[{}, \"{}\"]", scramble(n), n % 9))))
        .collect();
    let float: Rows = (0..3_000)
        .map(|n| Some((Kind::Float, format!("{}e-{}", scramble(n), n % 30))))
        .collect();
    for rows in [mixed, json, float] {
        let reader = templated(&rows);
        for clue in [
            words("received block"),
            words("7"),
            Clue::Substring("block".into()),
            Clue::Substring("e-1".into()),
            Clue::Whole(log(5)),
            Clue::Contains {
                text: "5".into(),
                is_folded: false,
            },
            Clue::Number(scramble(3) as f64),
            Clue::Anything,
        ] {
            ask(&reader, &rows, &Asked(vec![clue]));
        }
    }
}

#[test]
fn templates_and_variables_at_the_limits_come_back() {
    // One row more or less than a template needs for columns or for being one.
    for count in [1, 3, 4, 5, 63, 64, 65, 1_023, 1_024, 1_025] {
        let rows: Rows = (0..4_000)
            .map(|n| match n < count {
                true => Some((Kind::String, format!("rare {} of {}", scramble(n), n))),
                false => Some((
                    Kind::String,
                    format!("usual {} and {}", scramble(n), scramble(n) % 7),
                )),
            })
            .collect();
        let reader = templated(&rows);
        for clue in [
            words("rare"),
            words(&scramble(0).to_string()),
            Clue::Substring("rare 1".into()),
        ] {
            ask(&reader, &rows, &Asked(vec![clue]));
        }
    }
    // A page of a variable is full, or has one value more.
    for rows in [8_191, 8_192, 8_193, 16_385] {
        let rows: Rows = (0..rows)
            .map(|n| Some((Kind::String, format!("n {} of {}", n, scramble(n)))))
            .collect();
        let reader = templated(&rows);
        ask(&reader, &rows, &Asked(vec![words("8191")]));
        ask(&reader, &rows, &Asked(vec![words("n 8192 of")]));
    }
}

fn any_line() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => select(vec!["error", "block", "at", "K", "É", "ß", "σς", "日本", "e\u{301}", "%", "\0", "_", "-", ":", "/", "."]).prop_map(String::from),
        3 => "[0-9]{1,4}",
        1 => "0x[0-9a-f]{4}",
        1 => "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}",
        1 => "[a-c]{1,2}[0-9]{1,2}[a-c]{0,2}",
        1 => "[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        1 => "[0-9a-f]{1,2}::[0-9a-f]{1,2}",
        1 => "\\PC{0,3}",
    ];
    vec((piece, select(vec![" ", "", "=", ", "])), 0..7)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, end)| piece + end).collect())
}

/// A part of a line, for needles that begin and end anywhere.
fn part(line: &str, from: usize, length: usize) -> String {
    line.chars().skip(from).take(length).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_found_is_what_the_plain_values_say(
        lines in vec(any_line(), 1..12),
        seed: u64,
        needles in vec((0usize..12, 0usize..20, 1usize..12), 1..12),
    ) {
        // Each line with its digits drawn anew, often enough that it becomes a template.
        let rows: Rows = (0..1_500)
            .map(|n| {
                let random = scramble(n ^ seed as usize);
                let line = &lines[random as usize % lines.len()];
                let is_varied = random >> 8 & 7 != 0;
                let varied = line.chars().enumerate().map(|(at, c)| match c {
                    '0'..='9' if is_varied => char::from(b'0' + (scramble(n * 64 + at) % 10) as u8),
                    other => other,
                });
                (random >> 16 & 15 != 0).then(|| (Kind::String, varied.collect::<String>()))
            })
            .collect();
        let reader = section(&rows);
        for (line, from, length) in needles {
            let text = part(&lines[line % lines.len()], from, length);
            let mut clues = vec![Clue::Anything];
            if !text.is_empty() {
                clues.push(Clue::Substring(fold(&text)));
                clues.push(Clue::Contains { text: text.clone(), is_folded: false });
                clues.push(Clue::Contains { text: fold(&text), is_folded: true });
                clues.push(Clue::Whole(lines[line % lines.len()].clone()));
            }
            if tokens(&text).next().is_some() {
                clues.push(words(&text));
            }
            for clue in &clues {
                ask(&reader, &rows, &Asked(vec![clue.clone()]));
            }
            ask(&reader, &rows, &Asked(clues.split_off(1)));
        }
    }

    #[test]
    fn any_lines_come_back(lines in vec(any_line(), 1..30), kinds in vec(select(vec![Kind::String, Kind::Json, Kind::Integer]), 1..3)) {
        let rows: Rows = (0..2_000)
            .map(|n| Some((kinds[n % kinds.len()], lines[scramble(n) as usize % lines.len()].clone() + &(n % 100).to_string())))
            .collect();
        section(&rows);
    }
}

#[test]
fn too_many_places_are_laid_out_when_they_are_asked_for() {
    let rows: Rows = (0..2_048)
        .map(|n| {
            let text = match n % 3 {
                0 => format!("Request {n} took {} ms", n * 7),
                1 => format!("from 10.1.{}.{} by user", n % 200, n % 7),
                _ => format!("key 0000{:04x}-0000-7000-8000-00000000{:04x} is gone", n, n),
            };
            Some((Kind::String, text))
        })
        .collect();
    let reader = section(&rows);
    let column = reader.open_column("f").unwrap().unwrap();
    let head = Templated::open(&reader, &column).unwrap().head.clone();
    let all = Index::of(&head);
    let places = all.place_count();
    assert!(places > 0);
    assert_eq!(Index::with_places(&head, places).place_count(), places);
    let none = Index::with_places(&head, places - 1);
    assert_eq!(none.place_count(), 0);
    let phrase = |words: &[&str]| Clue::Phrase(words.iter().map(ToString::to_string).collect());
    let mut found = Vec::new();
    for clue in [
        phrase(&["took", "49", "ms"]),
        phrase(&["from", "10", "1"]),
        phrase(&["by", "user"]),
        phrase(&["7000", "8000"]),
        phrase(&["user", "by"]),
    ] {
        let verdicts = |index| {
            let judge = Judge {
                head: &head,
                index,
                absent_in_heap: &[],
            };
            judge.verdicts(std::slice::from_ref(&clue))
        };
        assert_eq!(verdicts(&none), verdicts(&all), "{clue:?}");
        found.push(
            verdicts(&all)
                .iter()
                .any(|verdict| *verdict != Verdict::Never),
        );
    }
    assert_eq!(found, [true, true, true, true, false]);
}
