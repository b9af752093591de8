//! Writes the seeds of the target `segment_reader`: small sections of every kind of column, each
//! after the extent that it was encoded from. Run it when the format of segments changes:
//!
//! `cargo run --manifest-path fuzz/Cargo.toml --bin seeds`
use std::path::Path;
use taffrail_model::column::{ColumnSet, Kind};
use taffrail_storage::segment::{SectionInput, encode_section};

const ROWS: u32 = 40;

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/segment_reader");
    std::fs::create_dir_all(&folder).expect("the corpus can be written");
    type Value = fn(u32) -> Option<(Kind, String)>;
    let columns: [(&str, &str, Value); 9] = [
        ("constant", "level", |_| Some((Kind::String, "info".into()))),
        ("codes", "service", |row| {
            Some((Kind::String, ["api", "web", "db"][row as usize % 3].into()))
        }),
        ("integers", "status", |row| {
            Some((Kind::Integer, (200 + row * 7).to_string()))
        }),
        ("decimals", "ms", |row| {
            Some((Kind::Float, format!("{}.25", row * 3)))
        }),
        ("mixed", "code", |row| match row % 3 {
            0 => Some((Kind::Integer, row.to_string())),
            1 => Some((Kind::String, row.to_string())),
            _ => Some((Kind::Bool, "true".into())),
        }),
        ("sparse", "error", |row| {
            (row % 9 == 0).then(|| (Kind::String, format!("timeout {row}")))
        }),
        ("ids", "trace", |row| {
            Some((
                Kind::String,
                format!("{:08x}-0000-4000-8000-{:012x}", row * 77_777, row),
            ))
        }),
        ("addresses", "ip", |row| {
            Some((Kind::String, format!("10.0.{}.{row}", row % 7)))
        }),
        ("text", "message", |row| {
            Some((
                Kind::String,
                format!(
                    "connection {row} to 10.0.0.{} timeout after {row} ms",
                    row % 5
                ),
            ))
        }),
    ];
    for (file, name, value) in columns {
        write(&folder.join(file), &[(name, value)]);
    }
    let all = columns.map(|(_, name, value)| (name, value));
    write(&folder.join("all"), &all);
}

fn write(path: &Path, columns: &[(&str, fn(u32) -> Option<(Kind, String)>)]) {
    let mut set = ColumnSet::default();
    for (name, value) in columns {
        for row in 0..ROWS {
            if let Some((kind, text)) = value(row) {
                set.get_or_create(name).push(row, kind, &text);
            }
        }
    }
    set.set_rows(ROWS);
    let timestamps: Vec<i64> = (0..i64::from(ROWS)).map(|row| row * 1_000_000).collect();
    let positions: Vec<u64> = (1..=u64::from(ROWS)).collect();
    let mut seed = ROWS.to_le_bytes().to_vec();
    for bound in [
        timestamps[0],
        timestamps[ROWS as usize - 1],
        1,
        i64::from(ROWS),
    ] {
        seed.extend_from_slice(&bound.to_le_bytes());
    }
    let section = SectionInput {
        timestamps,
        positions,
        columns: set,
    };
    seed.extend(encode_section(section).expect("rows that can be encoded"));
    std::fs::write(path, seed).expect("the corpus can be written");
}
