//! Looking for text in a templated column.
//!
//! Templates are judged once for a question. Where all rows of a template pass, or none, no row is
//! decoded; where a variable must have a value, its column is searched for it. Values without a
//! template are looked at when a question is asked, those that may pass; so the count is known
//! unless rows of a template must be written out to be judged, which happens block by block.
use super::{
    decode::Templated,
    head::{Head, MARK_BLOCKS, WHOLE},
    judge::{Index, Judge, Verdict, Wanted},
    slot::Found,
};
use crate::{
    find::{Finding, TextQuestion},
    read::ReadError,
    segment::{
        cache::Part,
        filter,
        needle::{Needle, candidates},
        reader::{OpenColumn, SectionReader},
        wire::Flaw,
    },
};
use std::sync::Arc;
use taffrail_model::column::Kind;

/// What is known of the rows of a template after variables were looked up.
#[derive(Clone, Debug)]
enum Rows {
    None,
    All,
    /// A bit for each row of the template.
    Bits(Vec<u64>),
    /// To be judged one by one.
    Check,
}

/// Rows of a templated column that pass.
struct TemplateFinding {
    reader: SectionReader,
    column: OpenColumn,
    question: Arc<dyn TextQuestion>,
    /// For each template.
    rows: Vec<Rows>,
    /// Values without a template that pass, or may if kinds differ: their numbers, ascending.
    wholes: Vec<u32>,
    /// For each block whether a row may pass.
    blocks: Vec<bool>,
    count: Option<u64>,
}

/// Looks a question up.
pub(in crate::segment) fn find(
    reader: &SectionReader,
    column: OpenColumn,
    question: &Arc<dyn TextQuestion>,
) -> Result<Arc<dyn Finding>, ReadError> {
    let templated = Templated::open(reader, &column)?;
    let head = templated.head.clone();
    let key = reader.key(Part::TemplateIndex, column.number, 0);
    let index = reader.cache().get_or_load(key, || {
        let index = Index::of(&head);
        let bytes = index.memory_bytes();
        Ok::<_, ReadError>((index, bytes))
    })?;
    let judge = Judge {
        head: &head,
        index: &index,
    };
    let verdicts = judge.verdicts(question.clues());
    // What decides for texts does not for other kinds.
    let is_text = matches!(column.directory.kind, Some(Kind::String | Kind::Json));
    let mut rows = Vec::with_capacity(verdicts.len());
    for (template, verdict) in verdicts.into_iter().enumerate() {
        let found = match verdict {
            Verdict::Never => Rows::None,
            Verdict::All if is_text => Rows::All,
            Verdict::Where(alternatives) => {
                match rows_where(&templated, template, &alternatives)? {
                    Rows::None => Rows::None,
                    found if is_text => found,
                    _ => Rows::Check,
                }
            }
            Verdict::All | Verdict::Check => Rows::Check,
        };
        rows.push(found);
    }
    let wholes = find_wholes(&templated, question)?;
    let blocks = blocks_of(&head, &rows, &wholes, column.directory.pages.len());
    let count = count_of_rows(&head, &rows).map(|count| count + wholes.len() as u64);
    Ok(Arc::new(TemplateFinding {
        reader: reader.clone(),
        question: question.clone(),
        rows,
        wholes,
        blocks,
        count,
        column,
    }))
}

fn count_of_rows(head: &Head, rows: &[Rows]) -> Option<u64> {
    rows.iter()
        .zip(&head.rows)
        .try_fold(0, |sum, (rows, all)| match rows {
            Rows::None => Some(sum),
            Rows::All => Some(sum + u64::from(*all)),
            Rows::Bits(words) => Some(
                sum + words
                    .iter()
                    .map(|word| u64::from(word.count_ones()))
                    .sum::<u64>(),
            ),
            Rows::Check => None,
        })
}

/// For each block whether a row may pass.
fn blocks_of(head: &Head, rows: &[Rows], wholes: &[u32], blocks: usize) -> Vec<bool> {
    let is_some = |rows: &Rows| !matches!(rows, Rows::None);
    if rows.iter().skip(head.own).any(is_some) {
        return vec![true; blocks];
    }
    let mut may = vec![false; blocks];
    for (mark, blocks) in may.chunks_mut(MARK_BLOCKS).enumerate() {
        let before = head.mark(mark);
        let after = head.mark(mark + 1);
        let has_row = rows
            .iter()
            .zip(before)
            .enumerate()
            .any(|(template, (rows, before))| {
                let after = after.get(template).or(head.rows.get(template));
                is_some(rows) && after.is_some_and(|after| after > before)
            });
        blocks.fill(has_row);
    }
    for whole in wholes {
        let block = head
            .wholes
            .firsts
            .partition_point(|first| first <= whole)
            .saturating_sub(1);
        if let Some(may) = may.get_mut(block) {
            *may = true;
        }
    }
    may
}

/// Rows of a template for which one of the alternatives holds.
fn rows_where(
    templated: &Templated<'_>,
    template: usize,
    alternatives: &[Vec<Wanted>],
) -> Result<Rows, ReadError> {
    let mut found = Rows::None;
    for alternative in alternatives {
        found = match (found, rows_with(templated, template, alternative)?) {
            (Rows::All, _) | (_, Rows::All) => Rows::All,
            (Rows::None, other) | (other, Rows::None) => other,
            (Rows::Check, _) | (_, Rows::Check) => Rows::Check,
            (Rows::Bits(mut a), Rows::Bits(b)) => {
                a.iter_mut().zip(b).for_each(|(a, b)| *a |= b);
                Rows::Bits(a)
            }
        };
    }
    Ok(found)
}

/// Rows of a template in which all variables have the wanted values.
fn rows_with(
    templated: &Templated<'_>,
    template: usize,
    wanted: &[Wanted],
) -> Result<Rows, ReadError> {
    let head = &*templated.head;
    let first = head.slots_of(template).start;
    let mut lookups = Vec::new();
    let mut is_unknown = false;
    for wanted in wanted {
        let slot = first + wanted.index;
        let found = head.slots.get(slot).filter(|_| template < head.own);
        match found.map_or(Found::Unknown, |slot| slot.find(&wanted.folded)) {
            Found::None => return Ok(Rows::None),
            Found::All => {}
            Found::Numbers(numbers) => lookups.push((slot, numbers)),
            Found::Unknown if heap_may_have(templated, &wanted.folded)? => is_unknown = true,
            Found::Unknown => return Ok(Rows::None),
        }
    }
    let all = head.rows.get(template).map_or(0, |rows| *rows as usize);
    let mut bits: Option<Vec<u64>> = None;
    for (slot, numbers) in lookups {
        let mut with = vec![0u64; all.div_ceil(64)];
        templated.numbers(template, slot, 0..all, |row, number| {
            with[row / 64] |= u64::from(numbers.contains(&number)) << (row % 64);
        })?;
        if let Some(before) = bits {
            with.iter_mut()
                .zip(before)
                .for_each(|(with, before)| *with &= before);
        }
        if with.iter().all(|word| *word == 0) {
            return Ok(Rows::None);
        }
        bits = Some(with);
    }
    Ok(match (is_unknown, bits) {
        (true, _) => Rows::Check,
        (false, None) => Rows::All,
        (false, Some(bits)) => Rows::Bits(bits),
    })
}

/// Whether a text of the heap may be this value.
fn heap_may_have(templated: &Templated<'_>, folded: &str) -> Result<bool, ReadError> {
    // All of its tokens are in one text.
    let mut hashes = Vec::new();
    filter::token_hashes(folded, |hash| hashes.push(hash));
    for run in 0..templated.head.heap.runs.len() {
        let heap = &templated.head.heap;
        if templated.filter_has_all(heap, run, &hashes)? {
            let texts = templated.heap_run(heap, run)?;
            if texts.iter().any(|text| text.eq_ignore_ascii_case(folded)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Numbers of the values without a template that pass.
fn find_wholes(
    templated: &Templated<'_>,
    question: &Arc<dyn TextQuestion>,
) -> Result<Vec<u32>, ReadError> {
    let heap = &templated.head.wholes;
    let needles: Vec<Needle> = question.clues().iter().map(Needle::of).collect();
    let mut found = Vec::new();
    let kind = templated.column.directory.kind;
    for (number, run) in heap.runs.iter().enumerate() {
        let mut may_be = false;
        for needle in &needles {
            may_be = may_be || templated.filter_has_all(heap, number, &needle.tokens)?;
        }
        if !may_be {
            continue;
        }
        let texts = templated.heap_run(heap, number)?;
        let mut pass = |index: usize| {
            let is_found = texts.get(index).is_some_and(|text| match kind {
                Some(kind) => question.passes(kind, text),
                None => true,
            });
            if is_found {
                found.push((run.first + index) as u32);
            }
        };
        candidates(&texts, &needles).into_iter().for_each(&mut pass);
    }
    Ok(found)
}

impl Finding for TemplateFinding {
    fn count(&self) -> Option<u64> {
        self.count.filter(|_| self.column.directory.kind.is_some())
    }

    fn may_be_in(&self, block: usize) -> bool {
        self.blocks.get(block).copied().unwrap_or(false)
    }

    fn add_rows(&self, block: usize, within: &[u64], out: &mut [u64]) -> Result<(), ReadError> {
        let templated = Templated::open(&self.reader, &self.column)?;
        let head = &*templated.head;
        if self.column.presence.count(block) == 0 {
            return Ok(());
        }
        let codes = templated.codes(block)?;
        let needs_rank = |code: &u32| {
            let rows = (*code as usize)
                .checked_sub(1)
                .and_then(|template| self.rows.get(template));
            matches!(rows, Some(Rows::Bits(_)))
        };
        let mut ranks = match codes.iter().any(needs_rank) {
            true => templated.ranks(block)?,
            false => vec![0; head.own],
        };
        let rows = self
            .column
            .presence
            .rows_of(block)
            .map_err(|flaw| templated.damaged(flaw))?;
        let mut whole = head.wholes.texts_of(block).start as u32;
        // Their kinds were not known when values without a template were looked at.
        let is_mixed = self.column.directory.kind.is_none();
        let mut checked = Vec::new();
        for (index, (code, row)) in codes.iter().zip(&rows).enumerate() {
            let (word, bit) = (*row as usize / 64, row % 64);
            let is_within = within.get(word).is_some_and(|word| word >> bit & 1 == 1);
            let template = (*code as usize).checked_sub(1);
            let is_found = match template.and_then(|template| self.rows.get(template)) {
                None if *code as usize == WHOLE => {
                    whole += 1;
                    let may_be = self.wholes.binary_search(&(whole - 1)).is_ok();
                    if may_be && is_mixed && is_within {
                        checked.push(index);
                    }
                    may_be && !is_mixed
                }
                Some(Rows::All) => true,
                Some(Rows::Bits(bits)) => {
                    let rank = template.and_then(|template| ranks.get_mut(template));
                    rank.is_some_and(|rank| {
                        *rank += 1;
                        let at = *rank as usize - 1;
                        bits.get(at / 64)
                            .is_some_and(|word| word >> (at % 64) & 1 == 1)
                    })
                }
                Some(Rows::Check) if is_within => {
                    checked.push(index);
                    false
                }
                _ => false,
            };
            if let Some(out) = out.get_mut(word).filter(|_| is_found && is_within) {
                *out |= 1 << bit;
            }
        }
        self.check(&templated, block, &checked, &rows, out)
    }
}

impl TemplateFinding {
    /// Adds those of the values with these numbers in their block that pass.
    fn check(
        &self,
        templated: &Templated<'_>,
        block: usize,
        checked: &[usize],
        rows: &[u32],
        out: &mut [u64],
    ) -> Result<(), ReadError> {
        if checked.is_empty() {
            return Ok(());
        }
        let kinds = self.reader.kinds(&self.column, block, rows.len())?;
        let mut next = checked.iter().peekable();
        templated.visit(
            block,
            |index| next.next_if(|next| **next == index).is_some(),
            |index, text| {
                let Some((row, kind)) = rows.get(index).zip(kinds.get(index)) else {
                    return Err(Flaw("a block has fewer rows than values"));
                };
                if self.question.passes(*kind, text)
                    && let Some(out) = out.get_mut(*row as usize / 64)
                {
                    *out |= 1 << (row % 64);
                }
                Ok(())
            },
        )
    }
}
