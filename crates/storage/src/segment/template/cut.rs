//! All values of a column, cut into literal parts and variables, and their templates counted.
use super::split::{Span, hash_of, is_same_literal, split};
use crate::segment::gather::Values;
use hashbrown::{HashMap, hash_map::Entry};
use taffrail_model::limits::SEGMENT_ROWS_MAX;

/// Templates that are told apart while values are cut (10 MiB); later ones are no templates.
const DRAFTS_MAX: usize = 1 << 18;
/// Variables of one column that are held while it is cut (72 MiB): twelve for each row of a full
/// section. Values that come later have no template.
const SPANS_MAX: usize = 12 * SEGMENT_ROWS_MAX;
/// Variables of a value for which there is room from the start: a line of a log has as many, and
/// memory that is not written to costs nothing.
const SPANS_EXPECTED: usize = 6;
/// No template.
pub(super) const NONE: u32 = u32::MAX;

/// A template while values are counted: it is that of a value.
pub(super) struct Draft {
    pub hash: u64,
    pub exemplar: u32,
    pub rows: u32,
}

/// All values, cut.
pub(super) struct Cut {
    pub drafts: Vec<Draft>,
    /// Template of each value.
    pub drafts_of: Vec<u32>,
    /// First variable of each value; one more for the end.
    pub first_spans: Vec<u32>,
    pub spans: Vec<Span>,
}

impl Default for Cut {
    fn default() -> Cut {
        Cut {
            drafts: Vec::new(),
            drafts_of: Vec::new(),
            first_spans: vec![0],
            spans: Vec::new(),
        }
    }
}

impl Cut {
    pub(super) fn of(values: &Values<'_>) -> Cut {
        let mut cut = Cut::default();
        cut.drafts_of.reserve_exact(values.len());
        cut.first_spans.reserve_exact(values.len());
        cut.spans.reserve(SPANS_EXPECTED * values.len());
        let mut index: HashMap<u64, u32> = HashMap::new();
        for (number, text) in (0u32..).zip(values.texts()) {
            let first = cut.spans.len();
            let is_split = first < SPANS_MAX && split(text, &mut cut.spans);
            let draft = match is_split {
                true => cut.draft_of(values, number, text, first, &mut index),
                false => NONE,
            };
            if draft == NONE {
                cut.spans.truncate(first);
            }
            cut.drafts_of.push(draft);
            cut.first_spans.push(cut.spans.len() as u32);
        }
        cut
    }

    fn draft_of(
        &mut self,
        values: &Values<'_>,
        number: u32,
        text: &str,
        first: usize,
        index: &mut HashMap<u64, u32>,
    ) -> u32 {
        let hash = hash_of(text, &self.spans[first..]);
        let is_full = self.drafts.len() == DRAFTS_MAX;
        match index.entry(hash) {
            Entry::Vacant(_) if is_full => NONE,
            Entry::Vacant(entry) => {
                let draft = self.drafts.len() as u32;
                entry.insert(draft);
                self.drafts.push(Draft {
                    hash,
                    exemplar: number,
                    rows: 1,
                });
                draft
            }
            Entry::Occupied(entry) => {
                let draft = *entry.get();
                let exemplar = self.drafts[draft as usize].exemplar;
                // Two templates of one hash: made, not met by chance. The second has no template.
                if !is_same(
                    values.text(exemplar as usize),
                    self.spans_of(exemplar),
                    text,
                    &self.spans[first..],
                ) {
                    return NONE;
                }
                self.drafts[draft as usize].rows += 1;
                draft
            }
        }
    }

    pub(super) fn spans_of(&self, number: u32) -> &[Span] {
        let number = number as usize;
        &self.spans[self.first_spans[number] as usize..self.first_spans[number + 1] as usize]
    }
}

/// Whether two texts have the same template.
pub(super) fn is_same(a: &str, a_spans: &[Span], b: &str, b_spans: &[Span]) -> bool {
    let (mut a_at, mut b_at) = (0, 0);
    a_spans.len() == b_spans.len()
        && a_spans.iter().zip(b_spans).all(|(a_span, b_span)| {
            let a_literal = &a.as_bytes()[a_at..a_span.start as usize];
            let b_literal = &b.as_bytes()[b_at..b_span.start as usize];
            (a_at, b_at) = (a_span.end as usize, b_span.end as usize);
            a_span.kind == b_span.kind && is_same_literal(a_literal, b_literal)
        })
        && is_same_literal(&a.as_bytes()[a_at..], &b.as_bytes()[b_at..])
}
