//! Turning a column's terms round: from the terms of each value to the values of each term.
//!
//! As many terms at once as fit into a bounded list, in the order of the dictionary; for each such
//! range one pass over the values. A value is written to the place of its term and not looked at
//! again before the list is encoded, so the processor does not wait for memory.
use super::{dictionary::Writer, postings, stream::Terms, terms::CUT};
use std::ops::Range;

/// Postings that are gathered at once (32 MiB); of more there are several passes.
const POSTINGS_AT_ONCE: usize = 8 << 20;
/// Of a term that is not of this pass.
const NO_PLACE: u32 = u32::MAX;

/// What is known of an index that was written.
pub(super) struct Inverted {
    pub firsts: Vec<Box<[u8]>>,
    pub page_bytes: Vec<usize>,
    pub postings_bytes: u64,
    /// Whether some terms are cut.
    pub has_cut: bool,
}

impl Inverted {
    /// Appends the dictionary of the terms, then the postings.
    pub(super) fn write(terms: &Terms, out: &mut Vec<u8>) -> Inverted {
        Inverted::write_by(POSTINGS_AT_ONCE, terms, out)
    }

    fn write_by(at_once: usize, terms: &Terms, out: &mut Vec<u8>) -> Inverted {
        let values = terms.values();
        let sorted = terms.texts.sorted();
        let mut writer = Writer::default();
        let mut lists = Lists {
            places: vec![NO_PLACE; sorted.len()],
            postings: Vec::new(),
        };
        let mut bytes = Vec::new();
        let mut next = 0;
        while next < sorted.len() {
            let range = range_from(next, at_once, &sorted, terms);
            let wanted = &sorted[range.clone()];
            lists.gather(terms, wanted);
            let mut start = 0;
            for term in wanted {
                let end = start + terms.count(*term);
                let list = &lists.postings[start..end];
                bytes.clear();
                postings::encode(list, values, &mut bytes);
                writer.push(terms.texts.text(*term), list.len(), &bytes);
                start = end;
            }
            next = range.end;
        }
        writer.finish();
        out.extend_from_slice(&writer.pages);
        out.extend_from_slice(&writer.postings);
        let is_cut = |term: &u32| terms.texts.text(*term).last() == Some(&CUT);
        Inverted {
            has_cut: sorted.iter().any(is_cut),
            firsts: writer.firsts,
            page_bytes: writer.page_bytes,
            postings_bytes: writer.postings.len() as u64,
        }
    }
}

/// The next terms whose postings are gathered at once; one at least.
fn range_from(first: usize, at_once: usize, sorted: &[u32], terms: &Terms) -> Range<usize> {
    let mut postings = 0;
    let fitting = sorted[first..].iter().take_while(|term| {
        postings += terms.count(**term);
        postings <= at_once
    });
    first..first + fitting.count().max(1)
}

/// The postings of some terms, one list after the other.
struct Lists {
    /// For each term of these where its next posting goes.
    places: Vec<u32>,
    postings: Vec<u32>,
}

impl Lists {
    fn gather(&mut self, terms: &Terms, wanted: &[u32]) {
        self.places.fill(NO_PLACE);
        let mut end = 0;
        for term in wanted {
            self.places[*term as usize] = end as u32;
            end += terms.count(*term);
        }
        self.postings.resize(end, 0);
        for value in 0..terms.values() {
            for term in terms.of_value(value) {
                let place = &mut self.places[term as usize];
                // Other terms have no place.
                if let Some(posting) = self.postings.get_mut(*place as usize) {
                    *posting = value as u32;
                    *place += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{stream::Stream, terms::Cutting};
    use super::*;

    #[test]
    fn passes_make_no_difference() {
        let mut stream = Stream::new(Cutting::Longest, &[(*b"the").into()]).unwrap();
        for value in 0..500 {
            let text = format!("The the value {} of {value}", value % 2);
            stream.push(&text).unwrap();
        }
        let terms = stream.into_terms();
        let write = |at_once| {
            let mut out = Vec::new();
            let index = Inverted::write_by(at_once, &terms, &mut out);
            (index.firsts, index.page_bytes, index.postings_bytes, out)
        };
        let at_once = write(POSTINGS_AT_ONCE);
        assert!(at_once.2 > 0 && at_once.1.len() > 1);
        for postings in [0, 1, 499, 500, 501, 1_000] {
            assert_eq!(write(postings), at_once, "{postings}");
        }
    }
}
