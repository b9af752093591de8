//! Compressed bodies: no panic, and never more bytes than are allowed.
#![no_main]
use libfuzzer_sys::fuzz_target;
use taffrail_ingest::decompress::{Encoding, decompress};

const BYTES_MAX: usize = 4 << 20;

fuzz_target!(|input: (u8, &[u8])| {
    let (kind, body) = input;
    let encoding = match kind % 3 {
        0 => Encoding::Gzip,
        1 => Encoding::Zstd,
        _ => Encoding::Deflate,
    };
    if let Ok(plain) = decompress(encoding, body, BYTES_MAX) {
        assert!(plain.len() <= BYTES_MAX);
    }
});
