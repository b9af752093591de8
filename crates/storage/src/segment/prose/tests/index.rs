//! Postings and pages of the dictionary by themselves.
use super::super::{dictionary, postings};
use proptest::{collection::vec, prelude::*, sample::Index as Pick};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn postings_come_back(
        values in 1usize..3_000,
        picked in vec(any::<Pick>(), 1..400),
        is_complement: bool,
    ) {
        let mut list: Vec<u32> = picked.iter().map(|pick| pick.index(values) as u32).collect();
        list.sort_unstable();
        list.dedup();
        if is_complement && list.len() < values {
            list = (0..values as u32).filter(|value| list.binary_search(value).is_err()).collect();
        }
        let bytes = check_postings(&list, values);
        for cut in 0..bytes.len().min(20) {
            let mut out = postings::ValueSet::none(values);
            let is_short = postings::decode(&bytes[..cut], list.len(), values, &mut out).is_err();
            prop_assert!(is_short);
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>, count in 0usize..5_000, values in 1usize..5_000) {
        let mut out = postings::ValueSet::none(values);
        let _ = postings::decode(&bytes, count, values, &mut out);
        let _ = dictionary::read_page(&bytes, b"first", count % 200, values, 1_000, |_, entry| {
            entry();
            true
        });
    }

    #[test]
    fn dictionaries_come_back(mut terms in vec(vec(any::<u8>(), 1..50), 1..400)) {
        terms.sort_unstable();
        terms.dedup();
        let mut writer = dictionary::Writer::default();
        let list = |n: usize| vec![n as u8; n % 60];
        for (n, term) in terms.iter().enumerate() {
            writer.push(term, n + 1, &list(n));
        }
        prop_assert_eq!(writer.finish(), terms.len());
        let mut pages = &writer.pages[..];
        let mut n = 0;
        for (first, bytes) in writer.firsts.iter().zip(&writer.page_bytes) {
            let (page, rest) = pages.split_at(*bytes);
            pages = rest;
            let count = (terms.len() - n).min(dictionary::PAGE_TERMS);
            let outside = writer.postings.len() as u64;
            dictionary::read_page(page, first, count, terms.len(), outside, |term, entry| {
                assert_eq!(term, terms[n]);
                let entry = entry();
                assert_eq!(entry.count, n + 1);
                let found = match &entry.list {
                    dictionary::List::Inline(bytes) => &bytes[..],
                    dictionary::List::At(range) => {
                        &writer.postings[range.start as usize..range.end as usize]
                    }
                };
                assert_eq!(found, list(n));
                n += 1;
                true
            }).unwrap();
        }
        prop_assert_eq!(n, terms.len());
    }
}

#[track_caller]
fn check_postings(list: &[u32], values: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    postings::encode(list, values, &mut bytes);
    let mut out = postings::ValueSet::none(values);
    postings::decode(&bytes, list.len(), values, &mut out).unwrap();
    assert!(out.from(0).eq(list.iter().map(|value| *value as usize)));
    assert_eq!(out.count(), list.len());
    bytes
}

#[test]
fn postings_are_small_at_every_density() {
    let every = |step: usize, values: usize| -> Vec<u32> {
        (0..values as u32)
            .filter(|value| (*value as usize).is_multiple_of(step))
            .collect()
    };
    assert_eq!(check_postings(&every(1, 1_000), 1_000).len(), 0, "all");
    assert_eq!(check_postings(&[0], 1).len(), 0);
    assert_eq!(
        check_postings(&every(1, 999), 1_000).len(),
        125,
        "all but the last: a bitmap"
    );
    assert_eq!(check_postings(&every(2, 1_000), 1_000).len(), 125);
    assert!(check_postings(&every(3, 1_000), 1_000).len() <= 126);
    assert!(check_postings(&every(100, 500_000), 500_000).len() <= 5_000);
    for value in [0, 1, 62, 63, 64, 65, 262_143, 524_287] {
        assert!(check_postings(&[value], 524_288).len() <= 4, "one value");
    }
    // Far apart, next to a crowd: the worst for one parameter.
    let mut crowd = every(1, 2_000);
    crowd.push(524_287);
    assert!(check_postings(&crowd, 524_288).len() <= 2_600);
    for values in [63, 64, 65, 127, 128, 129] {
        let mut all = postings::ValueSet::none(values);
        all.fill();
        assert_eq!(all.count(), values);
        assert!(all.has_any(values - 1, values) && !all.has_any(values, values + 64));
    }
}
