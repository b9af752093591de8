//! Looking for text in a templated column.
//!
//! Templates are judged once for a question. Where all rows of a template pass, or none, no row is
//! decoded; where a variable must have a value, its column is searched for it. Values without a
//! template are looked at when a question is asked, those that may pass, and so are the rows that
//! have a wanted value in the heap; so the count is known unless rows of a template must be written
//! out to be judged, which happens block by block.
use super::{
    automaton,
    decode::Templated,
    head::{Head, MARK_BLOCKS, WHOLE},
    heap_lookup::{HeapLookup, Listed},
    judge::{Index, Judge, Verdict},
    lookup::{Found, Wanted},
};
use crate::{
    find::{Clue, Finding, TextQuestion},
    read::ReadError,
    segment::{
        cache::Part,
        needle::{Needle, candidates},
        reader::{OpenColumn, SectionReader},
        wire::Flaw,
    },
};
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::sync::Arc;
use taffrail_model::{column::Kind, limits::BLOCK_ROWS, token::fold};

/// Rows that are written out and judged when a question is asked, so that their number is known.
const COUNTED_ROWS_MAX: usize = 64;
/// A bit for each row of a block.
type BlockWords = [u64; BLOCK_ROWS / 64];
/// Words of bits of a group of blocks.
const GROUP_WORDS: usize = MARK_BLOCKS * BLOCK_ROWS / 64;

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
    /// For each code whether all values with it pass.
    passes_all: Vec<bool>,
    /// Whether some but not all rows of a template pass.
    has_bits: bool,
    /// Values that were found in the heap, ascending.
    listed: Vec<Listed>,
    /// Values without a template that pass, or may if kinds differ: their numbers, ascending.
    wholes: Vec<u32>,
    /// For each block whether a row may pass.
    blocks: Vec<bool>,
    count: Option<u64>,
    /// For groups of blocks that were asked for: the values that pass without being looked at, a
    /// bit for each row.
    groups: Mutex<HashMap<usize, Arc<[u64; GROUP_WORDS]>>>,
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
    let mut verdicts = judge.verdicts(question.clues());
    if let Some(automaton) = question.automaton() {
        let mut steps = automaton::SECTION_STEPS_MAX;
        let unclear = verdicts.iter_mut().enumerate();
        for (template, verdict) in unclear.filter(|(_, verdict)| **verdict == Verdict::Check) {
            *verdict = automaton::judge(automaton, &head, &index, template, &mut steps);
        }
    }
    // What decides for texts does not for other kinds.
    let is_text = matches!(column.directory.kind, Some(Kind::String | Kind::Json));
    let mut heap = HeapLookup::new(&templated, question.clues());
    let mut rows = Vec::with_capacity(verdicts.len());
    for (template, verdict) in verdicts.iter().enumerate() {
        let found = match verdict {
            Verdict::Never => Rows::None,
            Verdict::All if is_text => Rows::All,
            Verdict::Where(_) | Verdict::Word(_) => {
                match rows_where(&mut heap, &judge, template, verdict)? {
                    Rows::None => Rows::None,
                    found if is_text => found,
                    _ => Rows::Check,
                }
            }
            Verdict::All | Verdict::Check => Rows::Check,
        };
        rows.push(found);
    }
    let listed = listed(&mut heap, &verdicts, &rows, is_text)?;
    let wholes = find_wholes(&templated, question)?;
    let mut finding = TemplateFinding {
        reader: reader.clone(),
        question: question.clone(),
        blocks: blocks_of(&column, &head, &rows, &listed, &wholes),
        count: count_of_rows(&head, &rows).map(|count| count + wholes.len() as u64),
        passes_all: std::iter::once(false)
            .chain(rows.iter().map(|rows| matches!(rows, Rows::All)))
            .collect(),
        has_bits: rows.iter().any(|rows| matches!(rows, Rows::Bits(_))),
        rows,
        listed,
        wholes,
        groups: Mutex::default(),
        column,
    };
    finding.count = match finding.count {
        Some(count) => finding.count_listed()?.map(|listed| count + listed),
        None => None,
    };
    Ok(Arc::new(finding))
}

fn count_of_rows(head: &Head, rows: &[Rows]) -> Option<u64> {
    let counted = rows.iter().zip(&head.rows);
    counted
        .map(|(rows, all)| match rows {
            Rows::None => Some(0),
            Rows::All => Some(u64::from(*all)),
            Rows::Bits(words) => Some(words.iter().map(|word| u64::from(word.count_ones())).sum()),
            Rows::Check => None,
        })
        .sum()
}

/// Whether one of some bits is set.
fn is_any_set(words: &[u64], bits: std::ops::Range<usize>) -> bool {
    bits.start < bits.end
        && (bits.start / 64..bits.end.div_ceil(64)).any(|number| {
            let first = number * 64;
            let from = bits.start.saturating_sub(first);
            let to = (bits.end - first).min(64);
            let mask = (u64::MAX >> (64 - (to - from))) << from;
            words.get(number).is_some_and(|word| word & mask != 0)
        })
}

/// For each block whether a row may pass.
fn blocks_of(
    column: &OpenColumn,
    head: &Head,
    rows: &[Rows],
    listed: &[Listed],
    wholes: &[u32],
) -> Vec<bool> {
    let blocks = column.directory.pages.len();
    let of_heap = rows.iter().skip(head.own);
    if of_heap.into_iter().any(|rows| !matches!(rows, Rows::None)) {
        return vec![true; blocks];
    }
    let some: Vec<(usize, &Rows)> = rows
        .iter()
        .enumerate()
        .filter(|(_, rows)| !matches!(rows, Rows::None))
        .collect();
    let mut may = vec![false; blocks];
    for (mark, blocks) in may.chunks_mut(MARK_BLOCKS).enumerate() {
        let (before, after) = (head.mark(mark), head.mark(mark + 1));
        let has_row = some.iter().any(|(template, rows)| {
            let after = after.get(*template).or(head.rows.get(*template));
            let (Some(before), Some(after)) = (before.get(*template), after) else {
                return false;
            };
            match rows {
                Rows::Bits(words) => is_any_set(words, *before as usize..*after as usize),
                _ => after > before,
            }
        });
        blocks.fill(has_row);
    }
    let of_wholes = wholes
        .iter()
        .map(|whole| head.wholes.block_of(*whole as usize));
    let of_listed = listed
        .iter()
        .map(|listed| column.presence.block_of(listed.value as usize));
    for block in of_wholes.chain(of_listed) {
        if let Some(may) = may.get_mut(block) {
            *may = true;
        }
    }
    may
}

/// Rows of a template for which a verdict holds, but for those that have a value in the heap.
fn rows_where(
    heap: &mut HeapLookup<'_>,
    judge: &Judge<'_>,
    template: usize,
    verdict: &Verdict,
) -> Result<Rows, ReadError> {
    let is_own = template < judge.head.own;
    let of_word;
    let alternatives = match verdict {
        Verdict::Where(alternatives) => alternatives,
        Verdict::Word(word) => {
            let word = heap.want_word(*word);
            let Some(word) = word.filter(|_| is_own) else {
                // All variables of the others are in the heap.
                return Ok(Rows::None);
            };
            of_word = judge.places_of_word(template, &word);
            &of_word
        }
        _ => return Ok(Rows::Check),
    };
    let mut found = Rows::None;
    for alternative in alternatives {
        found = match (found, rows_with(heap, template, alternative)?) {
            (Rows::All, _) | (_, Rows::All) => Rows::All,
            (Rows::None, other) | (other, Rows::None) => other,
            (Rows::Bits(mut a), Rows::Bits(b)) => {
                a.iter_mut().zip(b).for_each(|(a, b)| *a |= b);
                Rows::Bits(a)
            }
            _ => Rows::Check,
        };
    }
    Ok(found)
}

/// Rows of a template in which all variables have the wanted values; none where one is in the
/// heap, which is then asked for it.
fn rows_with(
    heap: &mut HeapLookup<'_>,
    template: usize,
    wanted: &[Wanted],
) -> Result<Rows, ReadError> {
    let templated = heap.templated;
    let head = &*templated.head;
    let first = head.slots_of(template).start;
    let mut lookups = Vec::new();
    let mut in_heap = Vec::new();
    for wanted in wanted {
        let slot = first + wanted.index;
        let found = head.slots.get(slot).filter(|_| template < head.own);
        match found.map_or(Found::Unknown, |slot| slot.find(wanted)) {
            Found::None => return Ok(Rows::None),
            Found::All => {}
            found @ (Found::Numbers(_) | Found::Bits(_)) => lookups.push((slot, found)),
            Found::Unknown if head.is_in_heap(slot) => in_heap.push(&wanted.folded),
            Found::Unknown => return Ok(Rows::Check),
        }
    }
    if !in_heap.is_empty() {
        heap.want(in_heap.into_iter());
        return Ok(Rows::None);
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
    Ok(bits.map_or(Rows::All, Rows::Bits))
}

/// The values that have what is wanted in the heap.
fn listed(
    heap: &mut HeapLookup<'_>,
    verdicts: &[Verdict],
    rows: &[Rows],
    is_text: bool,
) -> Result<Vec<Listed>, ReadError> {
    heap.listed(is_text, |template, hit| {
        match (verdicts.get(template), rows.get(template)) {
            // They pass or are judged anyway.
            (_, None | Some(Rows::All | Rows::Check)) => None,
            (Some(verdict), Some(Rows::None)) => hit.judge(verdict),
            // Rows of which some were found in columns too: they are counted once.
            (Some(verdict), Some(Rows::Bits(_))) => hit.judge(verdict).map(|_| false),
            (None, _) => None,
        }
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
        if !self.may_be_in(block) || self.column.presence.count(block) == 0 {
            return Ok(());
        }
        let templated = Templated::open(&self.reader, &self.column)?;
        let words = self.certain(&templated, block)?;
        for (out, (within, word)) in out.iter_mut().zip(within.iter().zip(&words)) {
            *out |= within & word;
        }
        let checked = self.checked(&templated, block)?;
        if checked.is_empty() {
            return Ok(());
        }
        let rows = self.reader.rows_of(&self.column, block)?;
        let is_within = |index: &usize| {
            let row = rows.get(*index).copied().unwrap_or_default() as usize;
            let bit = |words: &[u64]| words.get(row / 64).map_or(0, |word| word >> (row % 64) & 1);
            bit(within) == 1 && bit(out) == 0
        };
        let checked: Vec<usize> = checked.into_iter().filter(is_within).collect();
        self.check(&templated, block, &checked, &rows, out)
    }
}

impl TemplateFinding {
    /// The rows of a block that pass without being looked at.
    fn certain(&self, templated: &Templated<'_>, block: usize) -> Result<BlockWords, ReadError> {
        let mut words = [0; BLOCK_ROWS / 64];
        if self.has_bits {
            let group = self.group(templated, block / MARK_BLOCKS)?;
            let of_block = group.as_chunks().0.get(block % MARK_BLOCKS);
            words = of_block.copied().unwrap_or(words);
        } else {
            // Which row of its template a row is does not matter.
            self.add_certain(templated, block, &mut [], &mut words)?;
        }
        Ok(words)
    }

    /// The rows of a group of blocks that pass without being looked at.
    fn group(
        &self,
        templated: &Templated<'_>,
        group: usize,
    ) -> Result<Arc<[u64; GROUP_WORDS]>, ReadError> {
        if let Some(known) = self.groups.lock().get(&group) {
            return Ok(known.clone());
        }
        let mut words = [0; GROUP_WORDS];
        let mut ranks = templated.head.mark(group).to_vec();
        let blocks = group * MARK_BLOCKS..((group + 1) * MARK_BLOCKS).min(self.blocks.len());
        for (words, block) in words.chunks_mut(BLOCK_ROWS / 64).zip(blocks) {
            self.add_certain(templated, block, &mut ranks, words)?;
        }
        let words = Arc::new(words);
        self.groups.lock().insert(group, words.clone());
        Ok(words)
    }

    /// Sets the bits of a block's rows that pass without being looked at. `ranks` are the rows of
    /// each template with columns before the block, and then before the next one; none if no
    /// template has bits.
    fn add_certain(
        &self,
        templated: &Templated<'_>,
        block: usize,
        ranks: &mut [u32],
        words: &mut [u64],
    ) -> Result<(), ReadError> {
        let head = &*templated.head;
        let codes = templated.codes(block)?;
        let rows = self.reader.rows_of(&self.column, block)?;
        if ranks.is_empty() && self.listed.is_empty() && self.wholes.is_empty() {
            for (code, row) in codes.iter().zip(&rows) {
                let is_found = self.passes_all.get(*code as usize).copied();
                if let Some(word) = words.get_mut(*row as usize / 64) {
                    *word |= u64::from(is_found.unwrap_or(false)) << (row % 64);
                }
            }
            return Ok(());
        }
        let (first, _) = self.column.presence.values_of(block);
        let mut whole = head.wholes.texts_of(block).start as u32;
        // Their kinds were not known when values without a template were looked at.
        let is_mixed = self.column.directory.kind.is_none();
        for ((code, row), value) in codes.iter().zip(&rows).zip(first as u32..) {
            let template = (*code as usize).checked_sub(1);
            let rank = template.and_then(|template| ranks.get_mut(template));
            let at = rank.map_or(0, |rank| {
                *rank += 1;
                *rank as usize - 1
            });
            let is_found = match template.and_then(|template| self.rows.get(template)) {
                None if *code as usize == WHOLE => {
                    whole += 1;
                    !is_mixed && self.wholes.binary_search(&(whole - 1)).is_ok()
                }
                Some(Rows::All) => true,
                Some(Rows::Bits(bits)) => bits
                    .get(at / 64)
                    .is_some_and(|word| word >> (at % 64) & 1 == 1),
                _ => false,
            };
            if (is_found || self.is_listed(value, true))
                && let Some(word) = words.get_mut(*row as usize / 64)
            {
                *word |= 1 << (row % 64);
            }
        }
        Ok(())
    }

    fn is_listed(&self, value: u32, is_certain: bool) -> bool {
        let found = self
            .listed
            .binary_search_by_key(&value, |listed| listed.value);
        found.is_ok_and(|index| self.listed[index].is_certain == is_certain)
    }

    /// Numbers within a block of the values that must be looked at.
    fn checked(&self, templated: &Templated<'_>, block: usize) -> Result<Vec<usize>, ReadError> {
        let (first, end) = self.column.presence.values_of(block);
        let is_mixed = self.column.directory.kind.is_none();
        let are_wholes_checked = is_mixed && !self.wholes.is_empty();
        let are_checked = self.rows.iter().any(|rows| matches!(rows, Rows::Check));
        if !are_checked && !are_wholes_checked {
            let start = self
                .listed
                .partition_point(|listed| (listed.value as usize) < first);
            let of_block = self.listed.get(start..).unwrap_or_default().iter();
            return Ok(of_block
                .take_while(|listed| (listed.value as usize) < end)
                .filter(|listed| !listed.is_certain)
                .map(|listed| listed.value as usize - first)
                .collect());
        }
        let mut whole = templated.head.wholes.texts_of(block).start as u32;
        let codes = templated.codes(block)?;
        let is_checked = |(index, code): (usize, &u32)| {
            let template = (*code as usize).checked_sub(1);
            let is_checked = match template.and_then(|template| self.rows.get(template)) {
                None if *code as usize == WHOLE => {
                    whole += 1;
                    is_mixed && self.wholes.binary_search(&(whole - 1)).is_ok()
                }
                Some(Rows::Check) => true,
                _ => self.is_listed((first + index) as u32, false),
            };
            is_checked.then_some(index)
        };
        Ok(codes.iter().enumerate().filter_map(is_checked).collect())
    }

    /// How many of the values in the heap pass; `None` where to tell takes more than it is worth.
    fn count_listed(&self) -> Result<Option<u64>, ReadError> {
        let is_unclear = |listed: &&Listed| !listed.is_certain;
        let unclear = self.listed.iter().filter(is_unclear).count();
        if unclear > COUNTED_ROWS_MAX {
            return Ok(None);
        }
        let mut count = (self.listed.len() - unclear) as u64;
        let templated = Templated::open(&self.reader, &self.column)?;
        let mut blocks: Vec<usize> = self
            .listed
            .iter()
            .filter(is_unclear)
            .map(|listed| self.column.presence.block_of(listed.value as usize))
            .collect();
        blocks.dedup();
        for block in blocks {
            let (first, end) = self.column.presence.values_of(block);
            let of_block = self.listed.iter().filter(is_unclear);
            let of_block = of_block
                .map(|listed| listed.value as usize)
                .filter(|value| (first..end).contains(value));
            let checked: Vec<usize> = of_block.map(|value| value - first).collect();
            let rows = self.reader.rows_of(&self.column, block)?;
            let certain = self.certain(&templated, block)?;
            let mut out = [0u64; BLOCK_ROWS / 64];
            self.check(&templated, block, &checked, &rows, &mut out)?;
            // What is found in a column too was counted there.
            let new = out.iter().zip(certain).map(|(word, have)| word & !have);
            count += new.map(|word| u64::from(word.count_ones())).sum::<u64>();
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
