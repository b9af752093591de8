//! Text in columns that segments split into templates, against the oracle: needles that lie in the
//! literal part, in a variable, or begin in one and end in the other.
use crate::{
    build::{Layout, NOW, Reader, rows, snapshot},
    meaning::record,
    rule::{Record, matches},
};
use proptest::{collection::vec, prelude::*, sample::select};
use taffrail_model::column::Kind;
use taffrail_query::{Expr, Order, Output, RowsOutput, ScanOutput, Test, execute, parse};

/// A number that looks random and is the same in every run.
fn scramble(n: u64) -> u64 {
    let mut x = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ (x >> 27)
}

fn line(n: u64) -> String {
    let random = scramble(n);
    match random % 16 {
        0..6 => format!(
            "Received block blk_{} of size {} from /10.{}.0.{}",
            random >> 20,
            random % 9_999,
            n % 3,
            random >> 9 & 15
        ),
        6..9 => format!(
            "blk_-{} é7 served K{} to 日{}本",
            random >> 40,
            random >> 8 & 7,
            n % 5
        ),
        9..12 => format!(
            "open {:08x}-00aa-4000-8000-{:012x} size={}k",
            random >> 32,
            random & 0xffff,
            random >> 7 & 255
        ),
        12..14 => format!(
            "x{}y fail_{}.{:02}",
            random >> 11 & 63,
            random >> 5 & 3,
            n % 100
        ),
        14 => format!("Failed {} times", random >> 3 & 1),
        _ => format!(
            "lonely {} é\u{301}",
            ["a", "b", "open", "K9"][n as usize % 4].repeat(n as usize % 7)
        ),
    }
}

fn records() -> Vec<Record> {
    (1..=2_500u64)
        .map(|position| {
            let text = line(position);
            let mut record = record(position, &[("message", Kind::String, &text)]);
            record.timestamp = NOW.0 - 5_000_000_000 + position as i64 * 1_000_000;
            if position % 3 == 0 {
                record.fields.push((
                    "note".into(),
                    Kind::String,
                    format!("{} {}", position % 50, line(position + 7)),
                ));
            }
            record
        })
        .collect()
}

/// Of templates some match in all rows, some in none, and some in those with certain variables.
const REGEXES: [&str; 16] = [
    "/blk_[0-9]+/",
    "/blk_|Failed/",
    "/^open/",
    "/k$/",
    "/size [0-9]+/i",
    "/K[0-9]+/i",
    "/y fail/",
    "/size [0-9]+ from/",
    "/K[0-9]+ to 日/",
    "/^Received block/",
    "/blk_-[0-9]+ é7/",
    "/size=[0-9]+k/",
    "/size=7[0-9]+k/",
    "/00aa-4000|times/",
    "/Failed [0-9]+ times/",
    "/本$/",
];

/// A test whose text is a part of one of the lines.
fn test() -> impl Strategy<Value = Test> {
    let part = (1u64..3_000, 0usize..60, 1usize..24)
        .prop_map(|(n, from, length)| line(n).chars().skip(from).take(length).collect::<String>());
    let has_word = |text: &String| text.chars().any(char::is_alphanumeric);
    prop_oneof![
        3 => part.clone().prop_filter("a word", has_word).prop_map(Test::Words),
        1 => part.clone().prop_filter("a word", has_word).prop_map(|text| Test::Words(text.to_uppercase())),
        3 => part.prop_filter("a text", |text| !text.is_empty()).prop_map(Test::Substring),
        1 => (1u64..3_000).prop_map(|n| Test::Whole(line(n))),
        2 => select(REGEXES.to_vec())
            .prop_map(|text| match parse(text).expect("a regex").filter {
                Expr::Leaf(leaf) => leaf.test,
                other => panic!("{other}"),
            }),
    ]
}

fn check(all: &[Record], snapshot: &taffrail_storage::snapshot::Snapshot, expr: &Expr) {
    let found = |output| {
        let request = Reader::Admin.request(output).with_predicate(expr.clone());
        execute(&request, snapshot).expect("a read").output
    };
    let expected: Vec<u64> = all
        .iter()
        .filter(|record| matches(expr, record))
        .map(|record| record.position)
        .collect();
    assert_eq!(
        found(Output::Count),
        ScanOutput::Count(expected.len() as u64),
        "{expr}"
    );
    let page = found(rows(RowsOutput {
        order: Order::Arrival,
        limit: 3_000,
        ..RowsOutput::default()
    }));
    let ScanOutput::Rows(page) = page else {
        panic!("not rows");
    };
    let positions: Vec<u64> = page.rows.iter().map(|row| row.key.position.0).collect();
    assert_eq!(positions, expected, "{expr}");
}

#[test]
fn needles_of_every_kind_are_found_in_templated_columns() {
    let all = records();
    let snapshot = snapshot(
        &all,
        Layout {
            rows: 1_700,
            section_every: 1,
        },
    );
    proptest!(ProptestConfig::with_cases(150), |(tests in vec((test(), 0u8..4), 1..4))| {
        let leaves: Vec<Expr> = tests
            .into_iter()
            .map(|(test, form)| match form {
                0 => Expr::text(test),
                1 => Expr::field("message", test),
                2 => Expr::field("note", test),
                _ => Expr::negated(Expr::field("message", test)),
            })
            .map(|expr| match &expr {
                // A whole value is asked of a field.
                Expr::Leaf(leaf) if leaf.field.is_none() => match &leaf.test {
                    Test::Whole(_) => Expr::field("message", leaf.test.clone()),
                    _ => expr,
                },
                _ => expr,
            })
            .collect();
        for leaf in &leaves {
            check(&all, &snapshot, leaf);
        }
        check(&all, &snapshot, &Expr::all_of(leaves.clone()));
        check(&all, &snapshot, &Expr::any_of(leaves));
    });
}
