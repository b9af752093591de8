//! Looking for text in a templated column.
//!
//! Templates are judged once for a question. Where all rows of a template pass, or none, no row is
//! decoded; where a variable must have a value, its column is searched for it. Values without a
//! template are looked at when a question is asked, those that may pass; so the count is known
//! unless rows of a template must be written out to be judged, which happens block by block.
use super::{
    decode::Templated,
    head::{Head, MARK_BLOCKS, WHOLE},
    judge::{Index, Judge, Verdict},
    lookup::{Found, Wanted},
};
use crate::{
    find::{Clue, Finding, TextQuestion},
    read::ReadError,
    segment::{
        cache::Part,
        filter,
        needle::{Needle, candidates},
        reader::{OpenColumn, SectionReader},
        wire::Flaw,
    },
};
use hashbrown::HashMap;
use std::sync::Arc;
use taffrail_model::{column::Kind, limits::BLOCK_ROWS, token::fold};

/// Blocks in which rows are judged so that their number is known at once: a few ids, which are in
/// few blocks.
const COUNTED_BLOCKS_MAX: usize = 4;

/// What is known of the rows of a template after variables were looked up.
#[derive(Clone, Debug)]
enum Rows {
    None,
    All,
    /// A bit for each row of the template.
    Bits(Vec<u64>),
    /// To be judged one by one.
    Check,
    /// The same, in these blocks; none of the others pass.
    CheckIn(Arc<Vec<bool>>),
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
    let absent = absent_in_heap(&templated, question.clues())?;
    let judge = Judge {
        head: &head,
        index: &index,
        absent_in_heap: &absent,
    };
    let verdicts = judge.verdicts(question.clues());
    // What decides for texts does not for other kinds.
    let is_text = matches!(column.directory.kind, Some(Kind::String | Kind::Json));
    let mut heap = HeapLookup {
        templated: &templated,
        known: HashMap::new(),
    };
    let mut rows = Vec::with_capacity(verdicts.len());
    for (template, verdict) in verdicts.into_iter().enumerate() {
        let found = match verdict {
            Verdict::Never => Rows::None,
            Verdict::All if is_text => Rows::All,
            Verdict::Where(alternatives) => match rows_where(&mut heap, template, &alternatives)? {
                Rows::None => Rows::None,
                found @ Rows::CheckIn(_) => found,
                found if is_text => found,
                _ => Rows::Check,
            },
            Verdict::All | Verdict::Check => Rows::Check,
        };
        rows.push(found);
    }
    let wholes = find_wholes(&templated, question)?;
    let blocks = blocks_of(&head, &rows, &wholes, column.directory.pages.len());
    let count = count_of_rows(&head, &rows).map(|count| count + wholes.len() as u64);
    let mut finding = TemplateFinding {
        reader: reader.clone(),
        question: question.clone(),
        rows,
        wholes,
        blocks,
        count: None,
        column,
    };
    finding.count = match count {
        Some(count) => finding.count_checked()?.map(|checked| count + checked),
        None => None,
    };
    Ok(Arc::new(finding))
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
            // Counted by itself where that is quick.
            Rows::CheckIn(_) => Some(sum),
            Rows::Check => None,
        })
}

/// For each block whether a row may pass.
fn blocks_of(head: &Head, rows: &[Rows], wholes: &[u32], blocks: usize) -> Vec<bool> {
    let is_some = |rows: &Rows| !matches!(rows, Rows::None);
    let mut may = vec![false; blocks];
    for rows in rows.iter().skip(head.own) {
        match rows {
            Rows::None => {}
            Rows::CheckIn(blocks) => {
                may.iter_mut()
                    .zip(&**blocks)
                    .for_each(|(may, block)| *may |= block);
            }
            _ => return vec![true; blocks],
        }
    }
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
        blocks.iter_mut().for_each(|block| *block |= has_row);
    }
    for whole in wholes {
        let block = head.wholes.block_of(*whole as usize);
        if let Some(may) = may.get_mut(block) {
            *may = true;
        }
    }
    may
}

/// Rows of a template for which one of the alternatives holds.
fn rows_where(
    heap: &mut HeapLookup<'_>,
    template: usize,
    alternatives: &[Vec<Wanted>],
) -> Result<Rows, ReadError> {
    let mut found = Rows::None;
    for alternative in alternatives {
        found = match (found, rows_with(heap, template, alternative)?) {
            (Rows::All, _) | (_, Rows::All) => Rows::All,
            (Rows::None, other) | (other, Rows::None) => other,
            (Rows::CheckIn(a), Rows::CheckIn(b)) => {
                let both = a.iter().zip(&*b).map(|(a, b)| *a || *b);
                Rows::CheckIn(Arc::new(both.collect()))
            }
            (Rows::Bits(mut a), Rows::Bits(b)) => {
                a.iter_mut().zip(b).for_each(|(a, b)| *a |= b);
                Rows::Bits(a)
            }
            _ => Rows::Check,
        };
    }
    Ok(found)
}

/// Rows of a template in which all variables have the wanted values.
fn rows_with(
    heap: &mut HeapLookup<'_>,
    template: usize,
    wanted: &[Wanted],
) -> Result<Rows, ReadError> {
    let templated = heap.templated;
    let head = &*templated.head;
    let first = head.slots_of(template).start;
    let mut lookups = Vec::new();
    let mut in_heap = None;
    for wanted in wanted {
        let slot = first + wanted.index;
        let found = head.slots.get(slot).filter(|_| template < head.own);
        match found.map_or(Found::Unknown, |slot| slot.find(wanted)) {
            Found::None => return Ok(Rows::None),
            Found::All => {}
            found @ (Found::Numbers(_) | Found::Bits(_)) => lookups.push((slot, found)),
            Found::Unknown => match heap.blocks_with(wanted)? {
                Some(blocks) => in_heap = Some(blocks),
                None => return Ok(Rows::None),
            },
        }
    }
    let mut bits: Option<Vec<u64>> = None;
    for (slot, found) in lookups {
        let mut with = templated.rows_found(template, slot, &found)?;
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
    // What is exact left rows; where a value is in the heap, those of its blocks are looked at.
    Ok(match (in_heap, bits) {
        (Some(blocks), _) => Rows::CheckIn(blocks),
        (None, None) => Rows::All,
        (None, Some(bits)) => Rows::Bits(bits),
    })
}

/// Texts of letters and digits alone that a clue looks for and no variable in the heap contains.
fn absent_in_heap(templated: &Templated<'_>, clues: &[Clue]) -> Result<Vec<String>, ReadError> {
    let mut absent = Vec::new();
    for clue in clues {
        let folded = match clue {
            Clue::Substring(text) => text.clone(),
            Clue::Contains { text, .. } => fold(text),
            _ => continue,
        };
        if !folded.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            continue;
        }
        let needles = [Needle::of(&Clue::Substring(folded.clone()))];
        let heap = &templated.head.heap;
        let mut is_there = false;
        for run in 0..heap.runs.len() {
            is_there = !candidates(&*templated.heap_run(heap, run)?, &needles).is_empty();
            if is_there {
                break;
            }
        }
        if !is_there {
            absent.push(folded);
        }
    }
    Ok(absent)
}

/// Looks values up in the heap of variables, each once.
struct HeapLookup<'a> {
    templated: &'a Templated<'a>,
    known: HashMap<(String, bool), Option<Arc<Vec<bool>>>>,
}

impl HeapLookup<'_> {
    /// The blocks in which a text of the heap is what is wanted, or may be where a part of it is;
    /// `None` if there is none.
    fn blocks_with(&mut self, wanted: &Wanted) -> Result<Option<Arc<Vec<bool>>>, ReadError> {
        let folded = &wanted.folded;
        let is_whole = wanted.part.is_none();
        let name = (folded.clone(), is_whole);
        if let Some(known) = self.known.get(&name) {
            return Ok(known.clone());
        }
        let templated = self.templated;
        let heap = &templated.head.heap;
        let mut blocks = vec![false; heap.firsts.len().saturating_sub(1)];
        let mut is_there = false;
        let needles = [Needle::of(&Clue::Substring(folded.clone()))];
        // All of its tokens are in one text.
        let mut hashes = Vec::new();
        filter::token_hashes(folded, |hash| hashes.push(hash));
        for (number, run) in heap.runs.iter().enumerate() {
            if !templated.filter_has_all(heap, number, &hashes)? {
                continue;
            }
            let texts = templated.heap_run(heap, number)?;
            for index in candidates(&texts, &needles) {
                let text = texts.get(index);
                if text.is_some_and(|text| !is_whole || text.eq_ignore_ascii_case(folded)) {
                    is_there = true;
                    if let Some(block) = blocks.get_mut(heap.block_of(run.first + index)) {
                        *block = true;
                    }
                }
            }
        }
        let found = is_there.then(|| Arc::new(blocks));
        self.known.insert(name, found.clone());
        Ok(found)
    }
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
                Some(Rows::CheckIn(blocks)) if is_within => {
                    if blocks.get(block).copied().unwrap_or(false) {
                        checked.push(index);
                    }
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
    /// How many rows of the templates that are judged in some blocks pass; `None` where that takes
    /// more than it is worth.
    fn count_checked(&self) -> Result<Option<u64>, ReadError> {
        let blocks = |rows: &Rows| match rows {
            Rows::CheckIn(blocks) => Some(blocks.clone()),
            _ => None,
        };
        let sets: Vec<Arc<Vec<bool>>> = self.rows.iter().filter_map(blocks).collect();
        let is_in = |block: usize| {
            sets.iter()
                .any(|set| set.get(block).copied().unwrap_or(false))
        };
        let blocks: Vec<usize> = (0..self.blocks.len())
            .filter(|block| is_in(*block))
            .collect();
        if blocks.len() > COUNTED_BLOCKS_MAX {
            return Ok(None);
        }
        let templated = Templated::open(&self.reader, &self.column)?;
        let mut count = 0u64;
        for block in blocks {
            let codes = templated.codes(block)?;
            let is_checked = |code: &u32| {
                let template = (*code as usize).checked_sub(1);
                let rows = template.and_then(|template| self.rows.get(template));
                matches!(rows, Some(Rows::CheckIn(blocks)) if blocks.get(block) == Some(&true))
            };
            let checked: Vec<usize> = (0..codes.len())
                .filter(|index| is_checked(&codes[*index]))
                .collect();
            let rows = self.reader.rows_of(&self.column, block)?;
            let mut out = [0u64; BLOCK_ROWS / 64];
            self.check(&templated, block, &checked, &rows, &mut out)?;
            count += out
                .iter()
                .map(|word| u64::from(word.count_ones()))
                .sum::<u64>();
        }
        Ok(Some(count))
    }

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
