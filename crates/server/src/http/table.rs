//! Tables as JSON: columns with their types, rows as arrays.
use crate::record_json::{write_array, write_text};
use taffrail_engine::query::{Cell, Table, TableColumn};

/// Appends the members of a table, without the braces around them.
pub(super) fn write_table(out: &mut Vec<u8>, table: &Table) {
    out.extend_from_slice(br#""columns":"#);
    write_array(out, &table.columns, write_column);
    out.extend_from_slice(br#","rows":"#);
    write_array(out, &table.rows, |out, row| {
        write_array(out, row, write_cell);
    });
    let rest = format!(
        r#","total":{},"is_truncated":{},"is_estimate":{}"#,
        table.total, table.is_truncated, table.is_estimate
    );
    out.extend_from_slice(rest.as_bytes());
}

fn write_column(out: &mut Vec<u8>, column: &TableColumn) {
    out.extend_from_slice(br#"{"name":"#);
    write_text(out, &column.name);
    out.extend_from_slice(br#","type":"#);
    write_text(out, column.kind.name());
    out.push(b'}');
}

fn write_cell(out: &mut Vec<u8>, cell: &Cell) {
    match cell {
        Cell::Null => out.extend_from_slice(b"null"),
        Cell::Text(text) => write_text(out, text),
        // JSON text already.
        Cell::Json(text) => out.extend_from_slice(text.as_bytes()),
        Cell::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Cell::Float(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Cell::Time(time) => write_text(out, &time.to_rfc3339()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_engine::query::ColumnKind;
    use taffrail_model::time::Timestamp;

    #[test]
    fn every_cell_is_json() {
        let cells = [
            (Cell::Null, "null"),
            (Cell::Text("a\"\u{1b}".into()), r#""a\"\u001b""#),
            (Cell::Json("1.50".into()), "1.50"),
            (
                Cell::Integer(i128::MAX),
                "170141183460469231731687303715884105727",
            ),
            (Cell::Float(1e21), "1000000000000000000000"),
            (Cell::Float(-0.25), "-0.25"),
            (Cell::Time(Timestamp(0)), r#""1970-01-01T00:00:00Z""#),
        ];
        for (cell, expected) in cells {
            let mut out = Vec::new();
            write_cell(&mut out, &cell);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        let table = Table {
            columns: vec![TableColumn {
                name: "n".into(),
                kind: ColumnKind::Integer,
            }],
            rows: vec![vec![Cell::Integer(1)], vec![Cell::Null]],
            total: 2,
            is_truncated: false,
            is_estimate: true,
        };
        let mut out = Vec::new();
        write_table(&mut out, &table);
        let expected = concat!(
            r#""columns":[{"name":"n","type":"integer"}],"rows":[[1],[null]],"#,
            r#""total":2,"is_truncated":false,"is_estimate":true"#,
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
