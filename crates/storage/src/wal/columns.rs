//! Rows of one partition as bytes: what a sub-frame of the log holds before compression.
//!
//! It is made for every record on the way in, so it is what a copy costs: columns stay columns,
//! their text is one copy, row numbers of a dense column and kinds of a uniform one are one run.
use crate::encoding::{Input, Malformed, put_bytes, put_signed, put_varint};
use taffrail_model::column::{Column, ColumnSet, Kind};

/// Rows whose columns are dense need no row numbers.
const DENSE: u8 = 1;
/// All values of the column have the same number of bytes.
const ONE_LENGTH: u8 = 2;

/// Appends the rows.
pub(crate) fn encode(timestamps: &[i64], columns: &ColumnSet, out: &mut Vec<u8>) {
    out.reserve(columns.memory_bytes() + timestamps.len() * 2);
    put_varint(out, timestamps.len() as u64);
    let mut last = 0;
    for timestamp in timestamps {
        put_signed(out, timestamp.wrapping_sub(last));
        last = *timestamp;
    }
    let filled = || columns.iter().filter(|(_, column)| !column.is_empty());
    put_varint(out, filled().count() as u64);
    for (name, column) in filled() {
        put_bytes(out, name.as_bytes());
        encode_column(column, out);
    }
}

fn encode_column(column: &Column, out: &mut Vec<u8>) {
    let values = column.len();
    put_varint(out, values as u64);
    let ends = column.ends();
    let first_bytes = ends.first().copied().unwrap_or_default();
    let is_dense = column.rows().last().map(|row| *row as usize + 1) == Some(values);
    let is_one_length = ends.windows(2).all(|pair| pair[1] - pair[0] == first_bytes);
    out.push(if is_dense { DENSE } else { 0 } | if is_one_length { ONE_LENGTH } else { 0 });
    if !is_dense {
        let mut next = 0;
        for row in column.rows() {
            put_varint(out, u64::from(row - next));
            next = row + 1;
        }
    }
    for run in column.kinds().chunk_by(|a, b| a == b) {
        out.push(run[0] as u8);
        put_varint(out, run.len() as u64);
    }
    if is_one_length {
        put_varint(out, u64::from(first_bytes));
    } else {
        let mut last = 0;
        for end in ends {
            put_varint(out, u64::from(end - last));
            last = *end;
        }
    }
    put_bytes(out, column.text().as_bytes());
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Vec<i64>, ColumnSet), Malformed> {
    let mut input = Input::new(bytes);
    let rows = input.count(1)?;
    let row_count = u32::try_from(rows).map_err(|_| input.malformed("fewer rows"))?;
    let mut timestamps = Vec::with_capacity(rows);
    let mut last = 0i64;
    for _ in 0..rows {
        last = last.wrapping_add(input.signed()?);
        timestamps.push(last);
    }
    let mut columns = ColumnSet::default();
    for _ in 0..input.count(5)? {
        let name = input.text()?;
        let column = decode_column(&mut input, row_count)?;
        columns.insert(name, column);
    }
    columns.set_rows(row_count);
    input.end()?;
    Ok((timestamps, columns))
}

fn decode_column(input: &mut Input<'_>, row_count: u32) -> Result<Column, Malformed> {
    let fault = input.malformed("a column");
    let values = input.varint_u32()?;
    if values == 0 || values > row_count {
        return Err(fault);
    }
    let flags = input.u8()?;
    let rows = if flags & DENSE != 0 {
        (0..values).collect()
    } else {
        decode_rows(input, values, row_count)?
    };
    let mut kinds: Vec<Kind> = Vec::with_capacity(values as usize);
    while kinds.len() < values as usize {
        let kind = Kind::from_tag(input.u8()?).ok_or(fault)?;
        let run = input.varint_u32()? as usize;
        if run == 0 || run > values as usize - kinds.len() {
            return Err(fault);
        }
        kinds.resize(kinds.len() + run, kind);
    }
    let mut ends = Vec::with_capacity(values as usize);
    let mut end = 0u32;
    let one_length = match flags & ONE_LENGTH {
        0 => None,
        _ => Some(input.varint_u32()?),
    };
    for _ in 0..values {
        let bytes = match one_length {
            Some(bytes) => bytes,
            None => input.varint_u32()?,
        };
        end = end.checked_add(bytes).ok_or(fault)?;
        ends.push(end);
    }
    let text = input.text()?.to_owned();
    Column::from_parts(rows, kinds, ends, text).map_err(|_| fault)
}

fn decode_rows(input: &mut Input<'_>, values: u32, row_count: u32) -> Result<Vec<u32>, Malformed> {
    let fault = input.malformed("ascending rows");
    let mut rows = Vec::with_capacity(values as usize);
    let mut next = 0u32;
    for _ in 0..values {
        let row = next.checked_add(input.varint_u32()?).ok_or(fault)?;
        if row >= row_count {
            return Err(fault);
        }
        rows.push(row);
        next = row + 1;
    }
    Ok(rows)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// Timestamps and columns of the same rows.
    pub(crate) fn rows() -> impl Strategy<Value = (Vec<i64>, ColumnSet)> {
        let kinds = [
            Kind::String,
            Kind::Integer,
            Kind::Float,
            Kind::Bool,
            Kind::Json,
        ];
        let value = proptest::option::weighted(0.7, (0usize..5, "\\PC{0,8}"));
        let row = (any::<i64>(), vec(value, 4));
        vec(row, 1..40).prop_map(move |rows| {
            let mut columns = ColumnSet::default();
            let mut timestamps = Vec::new();
            for (number, (timestamp, values)) in (0u32..).zip(rows) {
                timestamps.push(timestamp);
                for (column, value) in values.into_iter().enumerate() {
                    if let Some((kind, text)) = value {
                        let name = format!("column {column}");
                        columns
                            .get_or_create(&name)
                            .push(number, kinds[kind], &text);
                    }
                }
            }
            columns.set_rows(timestamps.len() as u32);
            (timestamps, columns)
        })
    }

    proptest! {
        #[test]
        fn rows_round_trip((timestamps, columns) in rows()) {
            let mut out = Vec::new();
            encode(&timestamps, &columns, &mut out);
            let (timestamps_back, columns_back) = decode(&out).unwrap();
            prop_assert_eq!(timestamps_back, timestamps);
            prop_assert_eq!(columns_back, columns);
        }

        #[test]
        fn damaged_rows_are_refused_or_well_formed(
            (timestamps, columns) in rows(),
            at: prop::sample::Index,
            byte: u8,
        ) {
            let mut out = Vec::new();
            encode(&timestamps, &columns, &mut out);
            let at = at.index(out.len());
            out[at] = byte;
            if let Ok((timestamps, columns)) = decode(&out) {
                prop_assert_eq!(timestamps.len(), columns.rows() as usize);
            }
            prop_assert!(decode(&out[..at]).is_err());
        }
    }

    #[test]
    fn dense_and_uniform_columns_are_small() {
        let mut columns = ColumnSet::default();
        for row in 0..1_000 {
            columns
                .get_or_create("level")
                .push(row, Kind::String, "info");
        }
        columns.set_rows(1_000);
        let mut out = Vec::new();
        encode(&vec![5; 1_000], &columns, &mut out);
        assert!(out.len() < 5_020, "{}", out.len());
    }
}
