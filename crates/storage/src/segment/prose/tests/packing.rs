//! Columns of several frames.
use super::{super::Packing, Section, phrase, scrambled, substring, words};
use crate::segment::directory::Layout;
use taffrail_model::column::Kind;

/// A word of letters for each number.
fn word(number: usize) -> String {
    let letters = (0..4).map(|place| number / 26usize.pow(place) % 26);
    letters
        .map(|letter| char::from(b'a' + letter as u8))
        .collect()
}

/// Values over several frames that are packed as they should be, asked within and across them.
#[track_caller]
fn check_packing(packing: Packing, text: impl Fn(usize) -> String) {
    let values = (0..3_600).map(|n| (Kind::String, text(n)));
    let section = Section::new(values.collect());
    let column = section.reader.open_column("f").unwrap().unwrap();
    let Layout::Prose(prose) = &column.directory.layout else {
        panic!("it is prose");
    };
    assert_eq!(prose.stored.packing, packing);
    assert!(prose.stored.frames.len() > 2);
    let in_the_last = words(&section.values[3_599].2);
    section.check(&[phrase(&[&in_the_last[5]])]);
    section.check(&[phrase(&[&in_the_last[5], &in_the_last[6]])]);
    section.check(&[substring(&in_the_last[5..7].join(" ")[1..7])]);
    section.check_literals(&[&in_the_last[5..8].join(" ")]);
}

#[test]
fn frames_are_packed_as_it_is_worth() {
    let random = |n: usize, of: usize| {
        let words = (0..100).map(|place| word(scrambled(n * 100 + place) % of));
        words.collect::<Vec<_>>().join(" ")
    };
    // Nothing repeats but words, of which there are many, then few; passages that repeat at a
    // distance.
    check_packing(Packing::Plain, |n| random(n, 30_000));
    check_packing(Packing::Alone, |n| random(n, 30));
    let passage = |n: usize| format!("{} {}", random(scrambled(n) % 800, 3_000), word(n + 20_000));
    check_packing(Packing::AfterHead, passage);
}
