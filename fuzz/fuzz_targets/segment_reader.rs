//! Sections of segments: whatever the bytes are, a value or a named fault, and never a panic.
//!
//! The input is the extent that the directory of the file would have (rows, times, positions) and
//! the plain bytes of the section.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use taffrail_model::{column::Kind, limits::BLOCK_ROWS, position::Position, time::Timestamp};
use taffrail_storage::{
    coded::{BlockCodes, BlockNumbers},
    find::{Clue, TextQuestion},
    read::{Extent, ReadAt, ReadError, RowSource},
    segment::{BlockCache, SectionReader, decode_all},
};

const HEAD_BYTES: usize = 4 + 4 * 8;
const CACHE_BYTES: usize = 8 << 20;

struct Plain(Vec<u8>);

impl ReadAt for Plain {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, ReadError> {
        let from = usize::try_from(offset).ok();
        let range = from.and_then(|from| Some(from..from.checked_add(bytes)?));
        match range.and_then(|range| self.0.get(range)) {
            Some(read) => Ok(read.to_vec()),
            None => Err(ReadError::Damaged {
                file: self.name(),
                offset,
                detail: "a range past the end".into(),
            }),
        }
    }

    fn name(&self) -> String {
        "fuzzed".into()
    }
}

/// Asks for text; passes what has a digit.
struct Question(Vec<Clue>);

impl TextQuestion for Question {
    fn clues(&self) -> &[Clue] {
        &self.0
    }

    fn passes(&self, _kind: Kind, text: &str) -> bool {
        text.bytes().any(|byte| byte.is_ascii_digit())
    }
}

fn questions() -> Vec<Arc<dyn TextQuestion>> {
    let clues = [
        Clue::Phrase(vec!["connection".into(), "timeout".into()]),
        Clue::Phrase(vec!["error".into()]),
        Clue::Substring("err".into()),
        Clue::Substring("日本 — e".into()),
        Clue::Whole("127.0.0.1".into()),
        Clue::Contains {
            text: "7".into(),
            is_folded: true,
        },
        Clue::Number(200.0),
        Clue::Anything,
    ];
    clues
        .into_iter()
        .map(|clue| Arc::new(Question(vec![clue])) as Arc<dyn TextQuestion>)
        .collect()
}

fuzz_target!(|input: &[u8]| {
    let Some((head, section)) = input.split_at_checked(HEAD_BYTES) else {
        return;
    };
    let (rows, head) = head.split_at(4);
    let word = |index: usize| -> [u8; 8] { head[index * 8..][..8].try_into().unwrap() };
    let extent = Extent {
        rows: u32::from_le_bytes(rows.try_into().unwrap()),
        time_min: Timestamp(i64::from_le_bytes(word(0))),
        time_max: Timestamp(i64::from_le_bytes(word(1))),
        position_min: Position(u64::from_le_bytes(word(2))),
        position_max: Position(u64::from_le_bytes(word(3))),
    };
    let source = Arc::new(Plain(section.to_vec()));
    let cache = Arc::new(BlockCache::new(CACHE_BYTES));
    let reader = SectionReader::open(extent, source, cache);
    drop(read_numbers(&reader));
    drop(read_blocks(&reader));
    drop(find(&reader));
    drop(decode_all(&reader));
});

fn read_blocks(reader: &SectionReader) -> Result<(), ReadError> {
    let names = reader.column_names()?;
    let blocks = reader.blocks()?.len();
    for block in 0..blocks {
        // A fault of one column says nothing of the others.
        drop(reader.timestamps(block));
        drop(reader.positions(block));
        for name in &names {
            drop(reader.stats(block, name));
            drop(reader.may_contain(block, name, 0x1234_5678_9abc_def0));
            for word in ["timeout", "7", "5fe9c0f0"] {
                drop(reader.may_contain_word(block, name, word));
            }
            drop(reader.add_present(block, name, &mut [0; BLOCK_ROWS / 64]));
            drop(reader.values_at(block, name, &[0, 7, 9, 700]));
            drop(reader.column(block, name));
            // What is decoded already is not asked for again.
            drop(reader.values_at(block, name, &[1]));
        }
    }
    Ok(())
}

/// What aggregates read instead of text.
fn read_numbers(reader: &SectionReader) -> Result<(), ReadError> {
    let blocks = reader.blocks()?.len();
    for name in reader.column_names()? {
        if let Ok(Some(coded)) = reader.coded(&name) {
            let mut buffer = String::new();
            for code in [
                0,
                1,
                coded.texts().saturating_sub(1),
                coded.texts(),
                u32::MAX,
            ] {
                let _ = coded.text(code, &mut buffer);
            }
            for block in 0..blocks {
                if let Ok(codes) = coded.codes(block) {
                    check_codes(&codes, coded.texts());
                }
            }
        }
        if let Ok(Some(numbers)) = reader.numbers(&name) {
            let mut found = BlockNumbers::default();
            for block in 0..blocks {
                if numbers.numbers(block, &mut found).is_ok() {
                    let is_all = found.rows.is_empty();
                    assert!(is_all || found.rows.len() == found.values.len());
                }
            }
        }
        drop(reader.templates(&name));
    }
    Ok(())
}

/// No code is past that of rows without a value: whoever counts by codes indexes by them.
fn check_codes(codes: &BlockCodes, texts: u32) {
    let greatest = match codes {
        BlockCodes::One(code) => *code,
        BlockCodes::Narrow(codes) => codes.iter().copied().max().unwrap_or_default().into(),
        BlockCodes::Wide(codes) => codes.iter().copied().max().unwrap_or_default(),
    };
    assert!(greatest <= texts, "{greatest} of {texts}");
}

fn find(reader: &SectionReader) -> Result<(), ReadError> {
    let blocks = reader.blocks()?;
    for name in reader.column_names()? {
        for question in questions() {
            let Ok(Some(finding)) = reader.find(&name, &question) else {
                continue;
            };
            for (index, block) in blocks.iter().enumerate() {
                let words = (block.rows as usize).div_ceil(64);
                let mut out = vec![0; words];
                drop(finding.add_rows(index, &vec![u64::MAX; words], &mut out));
            }
            let _ = finding.count();
        }
    }
    Ok(())
}
