//! Block filters: whether some rows may hold a token, without reading them.
//!
//! A ribbon filter (Dillinger and Walzer, 2021): the hash of a token chooses 64 consecutive slots
//! and a pattern over them; the slots are solved so that the pattern's parity is the token's
//! fingerprint. With 7-bit fingerprints a token that is not there passes with 1/128 = 0.8%, at
//! about 7.6 bits a token, where a Bloom filter takes 9.6 for 1%. It gives up adding tokens later,
//! which a segment never does.
use super::{
    bits::window,
    wire::{Cursor, Flaw, put_varint},
};
use crate::read::TokenHasher;
use taffrail_model::token::{fold_char, tokens};

/// Bits of a fingerprint.
const FINGERPRINT_BITS: usize = 7;
/// Slots that one token reaches over.
const WINDOW_SLOTS: usize = 64;
/// Seeds that are tried before the filter gets more slots.
const SEEDS_PER_SIZE: u64 = 3;

/// Calls `each` with the hash of every folded token of `text`.
pub(super) fn token_hashes(text: &str, mut each: impl FnMut(u64)) {
    for (start, end) in tokens(text) {
        let mut hasher = TokenHasher::default();
        let token = &text[start..end];
        if token.is_ascii() {
            for byte in token.bytes() {
                hasher.write(&[byte.to_ascii_lowercase()]);
            }
        } else {
            for c in token.chars() {
                hasher.write(fold_char(c).encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        each(hasher.finish());
    }
}

/// Where a token stands in a filter.
struct Place {
    slot: usize,
    pattern: u64,
    fingerprint: u8,
}

impl Place {
    /// `slots` is at least [`WINDOW_SLOTS`].
    fn of(token_hash: u64, seed: u64, slots: usize) -> Place {
        let mixed = mix(token_hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let starts = (slots - WINDOW_SLOTS + 1) as u128;
        let pattern = mix(mixed);
        Place {
            slot: ((u128::from(mixed) * starts) >> 64) as usize,
            pattern: pattern | 1,
            fingerprint: (mix(pattern) >> (64 - FINGERPRINT_BITS)) as u8,
        }
    }
}

/// A bijection that spreads every bit (the finaliser of SplitMix64).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Appends a filter of the token hashes, which must be distinct. Nothing if there is none.
pub(super) fn encode(token_hashes: &[u64], out: &mut Vec<u8>) {
    if token_hashes.is_empty() {
        return;
    }
    let mut attempt = 0u64;
    loop {
        // 6% more slots than tokens are nearly always enough; every third failure adds 4%.
        let spare_percent = 106 + 4 * (attempt / SEEDS_PER_SIZE) as usize;
        let slots = token_hashes.len() * spare_percent / 100 + WINDOW_SLOTS;
        if let Some(solution) = solve(token_hashes, attempt, slots) {
            put_varint(out, attempt);
            put_varint(out, slots as u64);
            out.extend_from_slice(&solution);
            return;
        }
        attempt += 1;
    }
}

/// Gaussian elimination over the band, then the slots from the last to the first. The result has
/// one bit plane for each bit of the fingerprint.
fn solve(token_hashes: &[u64], seed: u64, slots: usize) -> Option<Vec<u8>> {
    let mut rows = vec![(0u64, 0u8); slots];
    for hash in token_hashes {
        let place = Place::of(*hash, seed, slots);
        let (mut slot, mut pattern, mut fingerprint) =
            (place.slot, place.pattern, place.fingerprint);
        loop {
            let (have, have_fingerprint) = rows[slot];
            if have == 0 {
                rows[slot] = (pattern, fingerprint);
                break;
            }
            pattern ^= have;
            fingerprint ^= have_fingerprint;
            if pattern == 0 {
                if fingerprint == 0 {
                    break;
                }
                return None;
            }
            slot += pattern.trailing_zeros() as usize;
            pattern >>= pattern.trailing_zeros();
        }
    }
    let plane_bytes = slots.div_ceil(8);
    let mut planes = vec![0u8; plane_bytes * FINGERPRINT_BITS];
    let mut windows = [0u64; FINGERPRINT_BITS];
    for (slot, (pattern, fingerprint)) in rows.iter().enumerate().rev() {
        for (bit, window) in windows.iter_mut().enumerate() {
            let others = (pattern & (*window << 1)).count_ones() as u8 & 1;
            let value = if *pattern == 0 {
                0
            } else {
                others ^ (fingerprint >> bit & 1)
            };
            *window = *window << 1 | u64::from(value);
            planes[bit * plane_bytes + slot / 8] |= value << (slot % 8);
        }
    }
    Some(planes)
}

/// Whether the tokens of a filter may include this one.
pub(super) fn may_contain(filter: &[u8], token_hash: u64) -> Result<bool, Flaw> {
    if filter.is_empty() {
        return Ok(false);
    }
    let mut cursor = Cursor::new(filter);
    let seed = cursor.varint()?;
    let slots = cursor.count(filter.len() * 8)?;
    let plane_bytes = slots.div_ceil(8);
    if slots < WINDOW_SLOTS || cursor.rest().len() != plane_bytes * FINGERPRINT_BITS {
        return Err(Flaw("a filter has the wrong size"));
    }
    let place = Place::of(token_hash, seed, slots);
    let matches = cursor
        .rest()
        .chunks_exact(plane_bytes)
        .enumerate()
        .all(|(bit, plane)| {
            let parity = (window(plane, place.slot) & place.pattern).count_ones() & 1;
            parity == u32::from(place.fingerprint >> bit & 1)
        });
    Ok(matches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::token_hash;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use taffrail_model::token::fold;

    #[test]
    fn false_positives_stay_below_one_percent_and_size_below_eight_bits() {
        for count in [500u64, 3_000, 20_000, 120_000] {
            let inside: Vec<u64> = (0..count).map(mix).collect();
            let mut filter = Vec::new();
            encode(&inside, &mut filter);
            for hash in &inside {
                assert_eq!(may_contain(&filter, *hash), Ok(true));
            }
            let passed = (count..count + 100_000)
                .filter(|n| may_contain(&filter, mix(*n)) == Ok(true))
                .count();
            assert!(passed < 1_000, "{count}: {passed} of 100000 pass");
            let bits = filter.len() as f64 * 8.0 / count as f64;
            let limit = if count < 3_000 { 9.0 } else { 7.9 };
            assert!(bits < limit, "{count}: {bits} bits a token");
        }
    }

    #[test]
    fn an_empty_filter_holds_nothing() {
        let mut filter = Vec::new();
        encode(&[], &mut filter);
        assert!(filter.is_empty());
        assert_eq!(may_contain(&filter, 1), Ok(false));
    }

    proptest! {
        #[test]
        fn hashes_are_those_of_folded_tokens(text in "\\PC{0,60}") {
            let mut found = Vec::new();
            token_hashes(&text, |hash| found.push(hash));
            let expected: Vec<u64> = tokens(&text)
                .map(|(start, end)| token_hash(&fold(&text[start..end])))
                .collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn every_token_of_the_filter_passes(hashes: BTreeSet<u64>) {
            let hashes: Vec<u64> = hashes.into_iter().collect();
            let mut filter = Vec::new();
            encode(&hashes, &mut filter);
            for hash in &hashes {
                prop_assert_eq!(may_contain(&filter, *hash), Ok(true));
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, hash: u64) {
            let _ = may_contain(&bytes, hash);
        }
    }
}
