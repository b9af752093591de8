//! Sections that were written once and are read for ever: one of each version of the format, as
//! `fixtures/section-vN.bin`, with what is in it as a hash.
//!
//! From the first release on no line of [`FIXTURES`] is ever changed or removed. A new version gets
//! a line of its own: the test says what is missing, and writes the section that belongs there into
//! the temporary folder of the tests.
use super::{
    SectionReader, decode_all,
    directory::VERSION,
    encode_section,
    tests::{all_encodings, extent, open_bytes},
};
use crate::{
    find::{Clue, TextQuestion},
    read::{Extent, RowSource},
};
use ring::digest::{Context, SHA256};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use taffrail_model::{column::Kind, position::Position, time::Timestamp};

/// Version, first and last time, first and last position, and the hash of what is in it.
type Fixture = (u16, (i64, i64), (u64, u64), &'static str);

const ROWS: u32 = 1_100;
const FIXTURES: [Fixture; 1] = [(
    4,
    (1_700_000_000_000_000_000, 1_700_000_000_001_099_000),
    (1, 1_100),
    "749cf7ef62195f64eb5d520d64ee2783637eb3d1a9e7bf040e34f429c84a501a",
)];

fn path(version: u16) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    folder.join(format!("section-v{version}.bin"))
}

/// Times, positions and every value with its row, name and kind.
fn hash_of(reader: &SectionReader) -> String {
    let all = decode_all(reader).unwrap();
    let mut context = Context::new(&SHA256);
    for (time, position) in all.timestamps.iter().zip(&all.positions) {
        context.update(&time.to_le_bytes());
        context.update(&position.to_le_bytes());
    }
    let mut columns: Vec<_> = all.columns.iter().collect();
    columns.sort_by_key(|(name, _)| name.to_string());
    for (name, column) in columns {
        for (row, value) in column.iter() {
            let head = format!("{name}\0{row}\0{:?}\0{}\0", value.kind, value.text.len());
            context.update(head.as_bytes());
            context.update(value.text.as_bytes());
        }
    }
    let hash = context.finish();
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A word of a field.
struct Word(Vec<Clue>, &'static str);

impl TextQuestion for Word {
    fn clues(&self) -> &[Clue] {
        &self.0
    }

    fn passes(&self, _: Kind, text: &str) -> bool {
        text.split(|c: char| !c.is_alphanumeric())
            .any(|word| word == self.1)
    }
}

/// Looks a word up on the encoded data; how many rows have it.
fn count(reader: &SectionReader, name: &str, word: &'static str) -> u64 {
    let question: Arc<dyn TextQuestion> =
        Arc::new(Word(vec![Clue::Phrase(vec![word.into()])], word));
    let finding = reader.find(name, &question).unwrap().unwrap();
    let mut rows = 0;
    for block in 0..reader.blocks().unwrap().len() {
        let mut out = [0; 16];
        finding.add_rows(block, &[u64::MAX; 16], &mut out).unwrap();
        rows += out
            .iter()
            .map(|word| u64::from(word.count_ones()))
            .sum::<u64>();
    }
    rows
}

#[test]
fn sections_of_every_version_are_read() {
    for (version, times, positions, hash) in FIXTURES {
        let bytes = std::fs::read(path(version)).unwrap();
        let extent = Extent {
            rows: ROWS,
            time_min: Timestamp(times.0),
            time_max: Timestamp(times.1),
            position_min: Position(positions.0),
            position_max: Position(positions.1),
        };
        let (reader, _) = open_bytes(bytes, extent);
        assert_eq!(hash_of(&reader), hash, "version {version}");
        // What searching on encoded data finds is what the values have.
        assert_eq!(
            count(&reader, "template", "request"),
            440,
            "version {version}"
        );
        assert_eq!(count(&reader, "dictionary", "v7"), 16, "version {version}");
        assert_eq!(count(&reader, "prose", "same"), 1_100, "version {version}");
    }
}

#[test]
fn the_version_that_is_written_has_a_fixture() {
    if FIXTURES.iter().any(|(version, ..)| *version == VERSION) && path(VERSION).exists() {
        return;
    }
    let input = all_encodings();
    let extent = extent(&input);
    let bytes = encode_section(input).unwrap();
    let written = std::env::temp_dir().join(format!("section-v{VERSION}.bin"));
    std::fs::write(&written, &bytes).unwrap();
    panic!(
        "copy {} to {} and add ({VERSION}, ({}, {}), ({}, {}), {:?})",
        written.display(),
        path(VERSION).display(),
        extent.time_min.0,
        extent.time_max.0,
        extent.position_min.0,
        extent.position_max.0,
        hash_of(&open_bytes(bytes, extent).0)
    );
}
