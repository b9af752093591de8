//! JSON records: no panic on any body; what is taken is JSON; pieces give what the whole gives.
#![no_main]
use libfuzzer_sys::fuzz_target;
use taffrail_ingest::decode::{lines, ndjson};
use taffrail_model::batch::RawBatch;

fuzz_target!(|body: &[u8]| {
    drop(lines::decode(body));
    let Ok(whole) = ndjson::decode(body) else {
        return;
    };
    assert_eq!(whole.indexes.len(), whole.columns.rows() as usize);
    assert!(whole.indexes.is_sorted_by(|before, after| before < after));
    taken_is_json(body, &whole);
    let mut cutter = ndjson::Cutter::new(body.len() / 3);
    let parts = body.chunks(body.len() / 7 + 1);
    let mut pieces: Vec<_> = parts.filter_map(|part| cutter.take(part)).collect();
    if !pieces.is_empty() {
        pieces.push(cutter.into_rest());
        same_in_pieces(&whole, &pieces);
    }
});

/// A body of one line: another parser takes it, too.
fn taken_is_json(body: &[u8], whole: &RawBatch) {
    let Ok(text) = std::str::from_utf8(body) else {
        return;
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains('\n') || whole.indexes.is_empty() {
        return;
    }
    let parsed = serde_json::from_str::<&serde_json::value::RawValue>(text.trim());
    assert!(parsed.is_ok(), "{parsed:?}");
}

fn same_in_pieces(whole: &RawBatch, pieces: &[Vec<u8>]) {
    let (mut taken, mut rejected) = (Vec::new(), Vec::new());
    let mut first = 0;
    for piece in pieces {
        let Ok(decoded) = ndjson::decode_lines(piece) else {
            return;
        };
        let records = decoded.indexes.len() + decoded.rejects.len();
        taken.extend(decoded.indexes.iter().map(|index| index + first));
        rejected.extend(decoded.rejects.iter().map(|reject| reject.index + first));
        first += records as u32;
    }
    let expected: Vec<u32> = whole.rejects.iter().map(|reject| reject.index).collect();
    assert_eq!(taken, whole.indexes);
    assert_eq!(rejected, expected);
}
