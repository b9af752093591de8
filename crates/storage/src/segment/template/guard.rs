//! The guard against too many templates: words that differ much become variables.
//!
//! A name in a message makes a template of every name. Among the small templates, those that are
//! the same but for one word are found by the hashes of their texts with each of their words left
//! out; where they are many, the word becomes a variable. One word of each template is taken: that
//! is what names in messages need, at a cost that is linear in the text of small templates.
use super::{
    cut::{Cut, Draft, NONE, is_same},
    head::OWN_ROWS_MIN,
    split::{Span, hash_of},
};
use crate::{read::VariableKind, segment::gather::Values};
use hashbrown::{HashMap, hash_map::Entry};
use taffrail_model::token::tokens;

/// Templates that differ in one word from which on it is a variable, whatever their rows.
const WORDS_MIN: u32 = 16;
/// The same, where the templates have few rows each on average.
const RARE_WORDS_MIN: u32 = 4;
const RARE_ROWS_MAX: u32 = 8;
/// Bytes of a template's text above which its words are left alone: the hash of a text is made
/// once for each of its words, which is quadratic.
const TEXT_BYTES_MAX: usize = 512;
/// Families that are counted (32 MiB); those that are met later are none.
const FAMILIES_MAX: usize = 1 << 20;

/// The templates that are one but for a word.
#[derive(Clone, Copy, Default)]
struct Family {
    drafts: u32,
    rows: u32,
}

impl Family {
    fn is_variable(self) -> bool {
        self.drafts >= WORDS_MIN
            || self.drafts >= RARE_WORDS_MIN && self.rows < self.drafts * RARE_ROWS_MAX
    }
}

/// A word of a template's literal parts.
#[derive(Clone, Copy)]
struct Word {
    /// Number of the variable that it would be.
    index: usize,
    /// Where it begins after the variable before it, and its length.
    offset: u32,
    length: u32,
}

impl Word {
    /// The word as a variable of a text with these variables.
    fn span(self, spans: &[Span]) -> Span {
        let before = self
            .index
            .checked_sub(1)
            .and_then(|before| spans.get(before));
        let start = before.map_or(0, |span| span.end) + self.offset;
        Span {
            start,
            end: start + self.length,
            kind: VariableKind::Word,
        }
    }
}

/// Makes variables of words that differ much.
pub(super) fn generalise(values: &Values<'_>, cut: &mut Cut) {
    let mut families: HashMap<u64, Family> = HashMap::new();
    let mut spans = Vec::new();
    for draft in small(cut) {
        each_word(values, cut, draft, &mut spans, |hash, _| {
            let is_full = families.len() >= FAMILIES_MAX;
            let family = match families.entry(hash) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(_) if is_full => return,
                Entry::Vacant(entry) => entry.insert(Family::default()),
            };
            family.drafts += 1;
            family.rows += draft.rows;
        });
    }
    families.retain(|_, family| family.is_variable());
    if families.is_empty() {
        return;
    }
    let mut words: HashMap<u32, (u64, Word)> = HashMap::new();
    for (number, draft) in (0u32..)
        .zip(&cut.drafts)
        .filter(|(_, draft)| is_small(draft))
    {
        let mut best = 0;
        each_word(values, cut, draft, &mut spans, |hash, word| {
            let family = families.get(&hash).copied().unwrap_or_default();
            if family.drafts > best {
                best = family.drafts;
                words.insert(number, (hash, word));
            }
        });
    }
    replace(values, cut, &words);
}

fn is_small(draft: &Draft) -> bool {
    (draft.rows as usize) < OWN_ROWS_MIN
}

fn small(cut: &Cut) -> impl Iterator<Item = &Draft> {
    cut.drafts.iter().filter(|draft| is_small(draft))
}

/// Gives `each` the words of a template, with the hash of the template without it.
fn each_word(
    values: &Values<'_>,
    cut: &Cut,
    draft: &Draft,
    scratch: &mut Vec<Span>,
    mut each: impl FnMut(u64, Word),
) {
    let text = values.text(draft.exemplar as usize);
    let spans = cut.spans_of(draft.exemplar);
    if spans.len() >= super::split::VARIABLES_MAX || text.len() > TEXT_BYTES_MAX {
        return;
    }
    for index in 0..=spans.len() {
        let start = index
            .checked_sub(1)
            .map_or(0, |before| spans[before].end as usize);
        let end = spans
            .get(index)
            .map_or(text.len(), |span| span.start as usize);
        let literal = &text[start..end];
        for (from, to) in tokens(literal) {
            if !literal[from..to]
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic())
            {
                continue;
            }
            let word = Word {
                index,
                offset: from as u32,
                length: (to - from) as u32,
            };
            scratch.clear();
            scratch.extend_from_slice(spans);
            scratch.insert(index, word.span(spans));
            each(hash_of(text, scratch), word);
        }
    }
}

/// Cuts the values of these drafts again, with the word as a variable.
fn replace(values: &Values<'_>, cut: &mut Cut, words: &HashMap<u32, (u64, Word)>) {
    let old = std::mem::take(cut);
    cut.drafts = old.drafts;
    let mut general: HashMap<u64, u32> = HashMap::new();
    for number in 0..values.len() as u32 {
        let draft = old.drafts_of[number as usize];
        let first = cut.spans.len();
        let range = old.first_spans[number as usize] as usize
            ..old.first_spans[number as usize + 1] as usize;
        let spans = &old.spans[range];
        cut.spans.extend_from_slice(spans);
        let mut new = draft;
        if let Some((hash, word)) = words.get(&draft).filter(|_| draft != NONE) {
            cut.spans.insert(first + word.index, word.span(spans));
            new = match general.entry(*hash) {
                Entry::Vacant(entry) => {
                    cut.drafts.push(Draft {
                        hash: *hash,
                        exemplar: number,
                        rows: 0,
                    });
                    *entry.insert(cut.drafts.len() as u32 - 1)
                }
                Entry::Occupied(entry) => {
                    let exemplar = cut.drafts[*entry.get() as usize].exemplar;
                    let is_same = is_same(
                        values.text(exemplar as usize),
                        cut.spans_of(exemplar),
                        values.text(number as usize),
                        &cut.spans[first..],
                    );
                    if is_same { *entry.get() } else { NONE }
                }
            };
            cut.drafts[draft as usize].rows -= 1;
            match cut.drafts.get_mut(new as usize) {
                Some(draft) => draft.rows += 1,
                None => cut.spans.truncate(first),
            }
        }
        cut.drafts_of.push(new);
        cut.first_spans.push(cut.spans.len() as u32);
    }
}
