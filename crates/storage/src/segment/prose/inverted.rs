//! Turning a stream round: from the terms of each value to the values of each term.
//!
//! As many terms at once as fit into a bounded list, in the order of the dictionary; for each such
//! range one pass over the stream. A value is written to the place of its term and not looked at
//! again before the list is encoded, so the processor does not wait for memory.
use super::{dictionary::Writer, postings, stream::Stream, terms::CUT};
use std::ops::Range;

/// Postings that are gathered at once (16 MiB); of more there are several passes.
const POSTINGS_AT_ONCE: usize = 4 << 20;
/// A term is not of this pass, or the value is noted.
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
    /// Appends the dictionary of a stream of `values` values, then the postings.
    pub(super) fn write(stream: &Stream, values: usize, out: &mut Vec<u8>) -> Inverted {
        let sorted = stream.terms.sorted();
        let mut writer = Writer::default();
        let mut lists = Lists {
            places: vec![NO_PLACE; sorted.len()],
            noted: vec![NO_PLACE; sorted.len()],
            postings: Vec::new(),
        };
        let mut bytes = Vec::new();
        let mut next = 0;
        while next < sorted.len() {
            let range = range_from(next, &sorted, stream);
            let terms = &sorted[range.clone()];
            lists.gather(stream, values, terms);
            let mut start = 0;
            for term in terms {
                let end = start + stream.count(*term);
                let list = &lists.postings[start..end];
                bytes.clear();
                postings::encode(list, values, &mut bytes);
                writer.push(stream.terms.text(*term), list.len(), &bytes);
                start = end;
            }
            next = range.end;
        }
        writer.finish();
        out.extend_from_slice(&writer.pages);
        out.extend_from_slice(&writer.postings);
        let is_cut = |term: &u32| stream.terms.text(*term).last() == Some(&CUT);
        Inverted {
            has_cut: sorted.iter().any(is_cut),
            firsts: writer.firsts,
            page_bytes: writer.page_bytes,
            postings_bytes: writer.postings.len() as u64,
        }
    }
}

/// The next terms whose postings are gathered at once; one at least.
fn range_from(first: usize, sorted: &[u32], stream: &Stream) -> Range<usize> {
    let mut postings = 0;
    let fitting = sorted[first..].iter().take_while(|term| {
        postings += stream.count(**term);
        postings <= POSTINGS_AT_ONCE
    });
    first..first + fitting.count().max(1)
}

/// The postings of some terms, one list after the other.
struct Lists {
    /// For each term of these where its next posting goes.
    places: Vec<u32>,
    /// For each term the last value that was noted for it.
    noted: Vec<u32>,
    postings: Vec<u32>,
}

impl Lists {
    fn gather(&mut self, stream: &Stream, values: usize, terms: &[u32]) {
        self.places.fill(NO_PLACE);
        let mut end = 0;
        for term in terms {
            self.places[*term as usize] = end as u32;
            end += stream.count(*term);
        }
        self.postings.resize(end, 0);
        for value in 0..values {
            stream.for_each_term(value, |term| {
                let place = &mut self.places[term as usize];
                let noted = &mut self.noted[term as usize];
                if *place != NO_PLACE && *noted != value as u32 {
                    *noted = value as u32;
                    self.postings[*place as usize] = value as u32;
                    *place += 1;
                }
            });
        }
    }
}
