//! Tables of groups and records: order, columns and bounds.
use super::*;
use crate::{cursor::RowKey, parse, result::OwnedValue};
use taffrail_model::{
    id::RecordId,
    position::Position,
    stream::StreamNumber,
    tenant::TenantNumber,
    time::{Day, Timestamp},
};

fn pipes(text: &str) -> Vec<Pipe> {
    parse(text).unwrap().pipes
}

fn text(text: &str) -> Cell {
    Cell::Text(text.into())
}

fn json(text: &str) -> Cell {
    Cell::Json(text.into())
}

#[track_caller]
fn check(query: &str, rows: Vec<Vec<Cell>>, kinds: &[(&str, ColumnKind)], wanted: Vec<Vec<Cell>>) {
    let found = ScanOutput::Groups(Groups {
        rows,
        is_estimate: false,
    });
    let table = Table::new(&pipes(query), found, &StreamCatalogue::built_in()).unwrap();
    let columns = table.columns.iter();
    let columns: Vec<_> = columns.map(|of| (of.name.as_str(), of.kind)).collect();
    assert_eq!(columns, kinds, "{query}");
    assert_eq!(table.rows, wanted, "{query}");
    assert_eq!(table.total, wanted.len() as u64);
}

#[test]
fn rows_are_sorted_limited_and_projected() {
    let rows = || {
        vec![
            vec![text("b"), Cell::Integer(2), Cell::Null],
            vec![Cell::Null, Cell::Integer(3), Cell::Float(1.5)],
            vec![text("a"), Cell::Integer(10), Cell::Integer(2)],
        ]
    };
    let (string, integer, number) = (ColumnKind::String, ColumnKind::Integer, ColumnKind::Number);
    let stats = "| stats count(), avg(x) by s";
    check(
        stats,
        rows(),
        &[("s", string), ("count", integer), ("avg(x)", number)],
        vec![rows()[2].clone(), rows()[0].clone(), rows()[1].clone()],
    );
    check(
        &format!("{stats} | sort -count | limit 2 | fields s, -count"),
        rows(),
        &[("s", string)],
        vec![vec![text("a")], vec![Cell::Null]],
    );
    check(
        &format!("{stats} | sort -avg(x), s | fields -s"),
        rows(),
        &[("count", integer), ("avg(x)", number)],
        vec![
            vec![Cell::Integer(10), Cell::Integer(2)],
            vec![Cell::Integer(3), Cell::Float(1.5)],
            vec![Cell::Integer(2), Cell::Null],
        ],
    );
}

#[test]
fn numbers_that_are_one_float_are_sorted_by_their_exact_value() {
    let numbers = ["9007199254740993", "9007199254740992.0", "9007199254740992"];
    let rows = |texts: &[&str]| -> Vec<Vec<Cell>> {
        let rows = texts.iter().map(|text| vec![json(text), Cell::Integer(1)]);
        rows.collect()
    };
    // Sorting tells orders that are none from 20 rows on.
    let mixed: Vec<&str> = (0..30).map(|row| numbers[row * 7 % 3]).collect();
    let found = ScanOutput::Groups(Groups {
        rows: rows(&mixed),
        is_estimate: false,
    });
    let pipes = pipes("| stats count() by f | sort -f");
    let table = Table::new(&pipes, found, &StreamCatalogue::built_in()).unwrap();
    assert_eq!(table.rows[..10], rows(&[numbers[0]; 10]));
    assert!(
        table.rows[10..]
            .iter()
            .all(|row| row[0] != json(numbers[0]))
    );
}

/// Rows of a text and a number that fill a table to `bytes`.
fn filling(bytes: usize) -> Vec<Vec<Cell>> {
    let row = |text: String| vec![Cell::Text(text), Cell::Integer(1)];
    let empty = row_bytes(&row(String::new()));
    let half = TABLE_BYTES_MAX / 2;
    vec![
        row("a".repeat(half - empty)),
        row("b".repeat(bytes - half - empty)),
    ]
}

#[test]
fn rows_end_where_the_bytes_of_a_table_do() {
    let check = |bytes, rows, is_truncated| {
        let found = ScanOutput::Groups(Groups {
            rows: filling(bytes),
            is_estimate: false,
        });
        let pipes = pipes("| stats count() by f");
        let table = Table::new(&pipes, found, &StreamCatalogue::built_in()).unwrap();
        let answer = (table.rows.len(), table.total, table.is_truncated);
        assert_eq!(answer, (rows, 2, is_truncated), "{bytes}");
    };
    check(TABLE_BYTES_MAX, 2, false);
    check(TABLE_BYTES_MAX + 1, 1, true);
}

#[test]
fn cells_of_records_end_where_the_bytes_of_a_table_do() {
    let record = |cells: Vec<Cell>| {
        let Cell::Text(text) = cells[0].clone() else {
            panic!("no text")
        };
        let value = |kind, text| OwnedValue { kind, text };
        let fields = vec![
            ("a".into(), value(Kind::String, text)),
            ("b".into(), value(Kind::Integer, String::new())),
        ];
        let key = RowKey {
            timestamp: Timestamp(0),
            position: Position(1),
        };
        let id = RecordId {
            node: 0,
            epoch: 1,
            stream: StreamNumber(1),
            day: Day(0),
            position: Position(1),
        };
        Row {
            key,
            tenant: TenantNumber(1),
            stream: StreamNumber(1),
            id,
            fields,
        }
    };
    let check = |bytes, rows, is_truncated| {
        let records: Vec<Row> = filling(bytes).into_iter().map(record).collect();
        let catalogue = StreamCatalogue::built_in();
        let draft = of_records(&records, &pipes("* | fields a, b"), &catalogue);
        let answer = (draft.rows.len(), draft.is_truncated);
        assert_eq!(answer, (rows, is_truncated), "{bytes}");
    };
    check(TABLE_BYTES_MAX, 2, false);
    check(TABLE_BYTES_MAX + 1, 1, true);
}

#[test]
fn columns_have_one_type() {
    let count = |key: Cell| vec![key, Cell::Integer(1)];
    let integer = ColumnKind::Integer;
    for (keys, kind, wanted) in [
        (
            vec![json("10"), json("9")],
            integer,
            vec![json("9"), json("10")],
        ),
        (
            vec![json("1.50"), json("9")],
            ColumnKind::Number,
            vec![json("1.50"), json("9")],
        ),
        (
            vec![json("true"), json("false")],
            ColumnKind::Boolean,
            vec![json("false"), json("true")],
        ),
        (
            vec![text("x"), json("9")],
            ColumnKind::String,
            vec![text("9"), text("x")],
        ),
        (vec![Cell::Null], ColumnKind::String, vec![Cell::Null]),
    ] {
        check(
            "| stats count() by f",
            keys.into_iter().map(count).collect(),
            &[("f", kind), ("count", integer)],
            wanted.into_iter().map(count).collect(),
        );
    }
}

#[test]
fn top_of_each_group() {
    let row = |by: &str, value: Cell, count| vec![text(by), value, Cell::Integer(count)];
    check(
        "| top 1 f by g",
        vec![
            row("b", text("x"), 1),
            row("a", text("x"), 1),
            row("a", text("y"), 2),
            row("a", Cell::Null, 9),
            row("b", text("y"), 1),
        ],
        &[
            ("g", ColumnKind::String),
            ("f", ColumnKind::String),
            ("count", ColumnKind::Integer),
        ],
        vec![row("a", text("y"), 2), row("b", text("x"), 1)],
    );
}
