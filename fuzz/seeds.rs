//! Writes the seeds of the target `segment_reader`: small sections of every encoding, each after the
//! extent that it was encoded from. Run it when the format of segments changes:
//!
//! `RUSTFLAGS="--cfg fuzzing" cargo run --manifest-path fuzz/Cargo.toml --bin seeds`
//!
//! With that flag the encoder leaves most bytes as they are, so that a changed one is read as such
//! and not refused by zstd.
use std::{path::Path, sync::Arc};
use taffrail_model::{
    column::{ColumnSet, Kind},
    position::Position,
    time::Timestamp,
};
use taffrail_storage::{
    read::{Extent, ReadAt, ReadError},
    segment::{BlockCache, SectionInput, SectionReader, encode_section},
};

type Value = fn(u32) -> Option<(Kind, String)>;

/// A column: its name, the number of the encoding that it should get, its rows, its values.
struct Seed(&'static str, u8, u32, Value);

/// Rows of most seeds.
const FEW: u32 = 40;
/// Enough for a template to have columns of its own.
const MANY: u32 = 150;
/// More than a block.
const BLOCKS: u32 = 1_100;

const SEEDS: [Seed; 17] = [
    Seed("constant", 1, FEW, |_| text("info".into())),
    Seed("constant_of_kinds", 1, FEW, |row| {
        let kind = [Kind::String, Kind::Integer][row as usize % 2];
        Some((kind, "7".into()))
    }),
    Seed("integers", 2, FEW, |row| {
        Some((Kind::Integer, (200 + row * 7).to_string()))
    }),
    Seed("integers_in_blocks", 2, BLOCKS, |row| {
        (row % 11 < 9).then(|| (Kind::Integer, (row / 3).to_string()))
    }),
    Seed("integers_of_kinds", 2, FEW, |row| {
        let kind = [Kind::String, Kind::Integer][row as usize % 2];
        Some((kind, row.to_string()))
    }),
    Seed("decimals", 3, FEW, |row| {
        Some((Kind::Float, format!("{}.25", row * 3)))
    }),
    Seed("decimals_per_value", 3, FEW, |row| {
        Some((Kind::Float, ["1.5", "1.50", "2"][row as usize % 3].into()))
    }),
    Seed("addresses", 4, FEW, |row| {
        text(format!("10.0.{}.{row}", row % 7))
    }),
    Seed("long_hexadecimal", 4, FEW, |row| {
        text(format!("{:040x}", scrambled(row)))
    }),
    Seed("ids", 5, BLOCKS, |row| {
        let number = scrambled(row % 300);
        text(format!(
            "{:08x}-0000-4000-8000-{:012x}",
            number >> 32,
            number & 0xffff_ffff_ffff
        ))
    }),
    Seed("dictionary", 6, FEW, |row| {
        text(["api", "web", "db"][row as usize % 3].into())
    }),
    Seed("dictionary_sparse", 6, BLOCKS, |row| {
        (row % 9 == 0).then(|| (Kind::String, format!("v{}", row % 17)))
    }),
    Seed("dictionary_of_kinds", 6, FEW, |row| match row % 3 {
        0 => Some((Kind::Integer, row.to_string())),
        1 => text(row.to_string()),
        _ => Some((Kind::Bool, "true".into())),
    }),
    Seed("text", 7, FEW, |row| match row {
        // Longer than an entry of a dictionary.
        3 => text("timeout ".repeat(2_100)),
        _ => text("connection lost, ".repeat(row as usize % 9)),
    }),
    Seed("templates_small", 8, FEW, |row| {
        text(format!(
            "connection {row} to 10.0.0.{} timeout after {row} ms",
            row % 5
        ))
    }),
    Seed("templates", 8, MANY, |row| match row % 16 {
        0 => text(format!("odd {}", "é".repeat(row as usize / 16))),
        _ => text(format!(
            "request {:08x} of user{} took {}.{:02} ms in {} by {:04}",
            scrambled(row) as u32,
            row % 7,
            row % 90,
            row % 100,
            ["v7", "v8"][row as usize % 2],
            row
        )),
    }),
    Seed("prose", 9, FEW, |row| {
        let kind = [Kind::String, Kind::String, Kind::Json][row as usize % 3];
        let words = (0..160).map(|place| word(scrambled(row * 160 + place)));
        Some((kind, words.collect()))
    }),
];

fn text(text: String) -> Option<(Kind, String)> {
    Some((Kind::String, text))
}

/// A number that looks random (the finaliser of SplitMix64).
fn scrambled(number: u32) -> u64 {
    let mut hash = u64::from(number) + 1;
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

/// A word of prose with what stands before it. Long ones make a column of prose of few codes.
fn word(number: u64) -> String {
    match number % 24 {
        0 => ", ".into(),
        1 => "日本".into(),
        2 => " — ".into(),
        3 => " error".into(),
        4 => " 7".into(),
        5 => format!(" once{number:x}"),
        other => {
            let letter = char::from(b'a' + other as u8);
            format!(" {}", letter.to_string().repeat(60 + other as usize % 4))
        }
    }
}

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/segment_reader");
    std::fs::create_dir_all(&folder).expect("the corpus can be written");
    for seed in &SEEDS {
        write(&folder.join(seed.0), std::slice::from_ref(seed), seed.2);
    }
    // Several columns, of which some have the same rows.
    let small = |seed: &&Seed| seed.2 == FEW && !matches!(seed.1, 7 | 9);
    let all: Vec<&Seed> = SEEDS.iter().filter(small).collect();
    let all: Vec<Seed> = all
        .iter()
        .map(|seed| Seed(seed.0, seed.1, seed.2, seed.3))
        .collect();
    write(&folder.join("all"), &all, FEW);
}

fn write(path: &Path, seeds: &[Seed], rows: u32) {
    let mut columns = ColumnSet::default();
    for Seed(name, _, _, value) in seeds {
        for row in 0..rows {
            if let Some((kind, text)) = value(row) {
                columns.get_or_create(name).push(row, kind, &text);
            }
        }
    }
    columns.set_rows(rows);
    let timestamps: Vec<i64> = (0..i64::from(rows)).map(|row| row * 1_000_000).collect();
    let extent = Extent {
        rows,
        time_min: Timestamp(0),
        time_max: Timestamp(i64::from(rows - 1) * 1_000_000),
        position_min: Position(1),
        position_max: Position(u64::from(rows)),
    };
    let section = SectionInput {
        timestamps,
        positions: (1..=u64::from(rows)).collect(),
        columns,
    };
    let section = encode_section(section).expect("rows that can be encoded");
    check_encodings(extent, &section, seeds);
    let mut seed = rows.to_le_bytes().to_vec();
    seed.extend_from_slice(&extent.time_min.0.to_le_bytes());
    seed.extend_from_slice(&extent.time_max.0.to_le_bytes());
    seed.extend_from_slice(&extent.position_min.0.to_le_bytes());
    seed.extend_from_slice(&extent.position_max.0.to_le_bytes());
    seed.extend(section);
    println!("{}: {} bytes", path.display(), seed.len());
    std::fs::write(path, seed).expect("the corpus can be written");
}

struct Plain(Vec<u8>);

impl ReadAt for Plain {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, ReadError> {
        Ok(self.0[offset as usize..offset as usize + bytes].to_vec())
    }

    fn name(&self) -> String {
        "seed".into()
    }
}

/// Each column has the encoding that its seed is for.
fn check_encodings(extent: Extent, section: &[u8], seeds: &[Seed]) {
    let source = Arc::new(Plain(section.to_vec()));
    let reader = SectionReader::open(extent, source, Arc::new(BlockCache::default()));
    let layout = reader.layout().expect("a section");
    for Seed(name, encoding, ..) in seeds {
        let found = layout.iter().find(|(have, ..)| &**have == *name);
        let found = found.map(|(_, encoding, ..)| *encoding);
        assert_eq!(found, Some(*encoding), "{name}");
    }
}
