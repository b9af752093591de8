//! Decoding the blocks of a templated column.
use super::{
    head::{HEAD_BYTES_MAX, Head, MARK_BLOCKS},
    heap::Heap,
    lookup::Found,
    slot::{PAGE_VALUES, Page, Slot},
};
use crate::{
    read::ReadError,
    segment::{
        cache::{Key, Part},
        decode::Sink,
        directory::Layout,
        filter, ints,
        reader::{OpenColumn, PageRun, SectionReader},
        text::{Texts, unpack},
        wire::{Cursor, Flaw},
    },
};
use std::{cell::RefCell, ops::Range, sync::Arc};

/// Templates whose rows before a block are counted one template after the other: for more, codes
/// are unpacked.
const COUNTED_TEMPLATES_MAX: usize = 3;

/// A templated column while it is read.
pub(in crate::segment) struct Templated<'a> {
    pub reader: &'a SectionReader,
    pub column: &'a OpenColumn,
    pub head: Arc<Head>,
    /// The pages of variables that were looked at last: the next ones are mostly among them.
    last_run: RefCell<Option<PageRun>>,
}

/// The values of the variables of a block, template by template.
struct BlockSlots {
    /// For each template with columns: where its next row's numbers are.
    next: Vec<u32>,
    /// Numbers and codes; nothing for constants and the heap.
    numbers: Vec<u128>,
}

/// The texts of a heap that a block needs, one after the other.
struct HeapTexts {
    runs: Vec<(Range<usize>, Arc<Texts>)>,
    next: usize,
}

impl HeapTexts {
    fn next(&mut self) -> Result<&str, Flaw> {
        let at = self.next;
        self.next += 1;
        let run = self.runs.iter().find(|(texts, _)| texts.contains(&at));
        let text = run.and_then(|(texts, run)| run.get(at - texts.start));
        text.ok_or(Flaw("a block needs more texts of the heap than it has"))
    }
}

impl<'a> Templated<'a> {
    pub(in crate::segment) fn open(
        reader: &'a SectionReader,
        column: &'a OpenColumn,
    ) -> Result<Templated<'a>, ReadError> {
        let Layout::Template { head_bytes } = &column.directory.layout else {
            return Err(reader.damaged(column.area, Flaw("a column has no templates")));
        };
        let key = reader.key(Part::Head, column.number, 0);
        let head = reader.cache().get_or_load(key, || {
            let head = reader.read(column.area, *head_bytes, |packed| {
                let mut cursor = Cursor::new(&packed);
                let plain_bytes = cursor.count(HEAD_BYTES_MAX)?;
                let plain = unpack(cursor.rest(), plain_bytes)?;
                let pages = &column.directory.pages;
                Head::parse(
                    &plain,
                    &column.presence,
                    pages.len(),
                    pages.end(),
                    column.area_bytes,
                )
            })?;
            let bytes = head.memory_bytes();
            Ok::<_, ReadError>((head, bytes))
        })?;
        Ok(Templated {
            reader,
            column,
            head,
            last_run: RefCell::new(None),
        })
    }

    pub(in crate::segment) fn damaged(&self, flaw: Flaw) -> ReadError {
        self.reader.damaged(self.column.area, flaw)
    }

    /// Codes of a block's values.
    pub(in crate::segment) fn codes(&self, block: usize) -> Result<Vec<u32>, ReadError> {
        let count = self.column.presence.count(block);
        if count == 0 {
            return Ok(Vec::new());
        }
        self.reader.with_codes(self.column, block, |cursor| {
            let end = self.head.templates() as u32 + 1;
            Ok(match ints::decode_codes(cursor, count, end)? {
                ints::Codes::One(code) => vec![code; count],
                ints::Codes::Narrow(codes) => codes.into_iter().map(u32::from).collect(),
                ints::Codes::Wide(codes) => codes,
            })
        })
    }

    /// Rows of each of the `wanted` templates with columns before a block, or of more.
    fn ranks(&self, block: usize, wanted: &[bool]) -> Result<Vec<u32>, ReadError> {
        let mark = block / MARK_BLOCKS;
        let mut ranks = self.head.mark(mark).to_vec();
        let few: Vec<usize> = wanted
            .iter()
            .enumerate()
            .filter_map(|(template, is_wanted)| is_wanted.then_some(template))
            .take(COUNTED_TEMPLATES_MAX + 1)
            .collect();
        let is_few = !wanted.is_empty() && few.len() <= COUNTED_TEMPLATES_MAX;
        for before in mark * MARK_BLOCKS..block {
            if is_few {
                for template in &few {
                    let count = self.count_of_code(before, *template as i64 + 1)?;
                    if let Some(rank) = ranks.get_mut(*template) {
                        *rank += count as u32;
                    }
                }
                continue;
            }
            for code in self.codes(before)? {
                let template = (code as usize).checked_sub(1);
                if let Some(rank) = template.and_then(|template| ranks.get_mut(template)) {
                    *rank += 1;
                }
            }
        }
        Ok(ranks)
    }

    /// How many of a block's values have this code.
    fn count_of_code(&self, block: usize, code: i64) -> Result<usize, ReadError> {
        let count = self.column.presence.count(block);
        if count == 0 {
            return Ok(0);
        }
        self.reader.with_codes(self.column, block, |cursor| {
            ints::count_equal(cursor, count, code)
        })
    }

    /// Gives `parse` a page of variables.
    fn with_slot_page<T>(
        &self,
        index: usize,
        parse: impl FnOnce(&[u8]) -> Result<T, Flaw>,
    ) -> Result<T, ReadError> {
        let pages = &self.head.pages;
        let last = self.last_run.take();
        let run = match last.filter(|run| run.pages.contains(&index)) {
            Some(run) => run,
            None => {
                let (part, number) = (Part::SlotPages, self.column.number);
                self.reader
                    .page_run(part, number, self.column.area, pages, index)?
            }
        };
        let parsed = parse(run.page(pages, index));
        self.last_run.replace(Some(run));
        parsed.map_err(|flaw| {
            let at = self.column.area + pages.span(index).0;
            self.reader.damaged(at, flaw)
        })
    }

    /// Gives `each` the values `rows` of a variable that has pages.
    pub(in crate::segment) fn numbers(
        &self,
        template: usize,
        slot: usize,
        rows: Range<usize>,
        mut each: impl FnMut(usize, u128),
    ) -> Result<(), ReadError> {
        let head = &*self.head;
        let (Some(layout), Some(first_page)) = (head.slots.get(slot), head.first_pages.get(slot))
        else {
            return Err(self.damaged(Flaw("a variable has no column")));
        };
        let all = head.rows.get(template).map_or(0, |rows| *rows as usize);
        if rows.end > all {
            return Err(self.damaged(Flaw("a block has more rows of a template than there are")));
        }
        let mut at = rows.start;
        while at < rows.end {
            let page = at / PAGE_VALUES;
            let start = page * PAGE_VALUES;
            let count = (all - start).min(PAGE_VALUES);
            let end = rows.end.min(start + count);
            self.with_slot_page(*first_page as usize + page, |bytes| {
                let page = Page::parse(layout, bytes, count)?;
                (at..end).for_each(|row| each(row, page.get(row - start)));
                Ok(())
            })?;
            at = end;
        }
        Ok(())
    }

    /// The rows of a template in which a variable with pages was found: a bit for each.
    pub(in crate::segment) fn rows_found(
        &self,
        template: usize,
        slot: usize,
        found: &Found,
    ) -> Result<Vec<u64>, ReadError> {
        let head = &*self.head;
        let (Some(layout), Some(first_page)) = (head.slots.get(slot), head.first_pages.get(slot))
        else {
            return Err(self.damaged(Flaw("a variable has no column")));
        };
        let all = head.rows.get(template).map_or(0, |rows| *rows as usize);
        let mut rows = vec![0u64; all.div_ceil(64)];
        for (page, words) in rows.chunks_mut(PAGE_VALUES / 64).enumerate() {
            let count = (all - page * PAGE_VALUES).min(PAGE_VALUES);
            self.with_slot_page(*first_page as usize + page, |bytes| {
                let page = Page::parse(layout, bytes, count)?;
                page.each_found(count, found, |word, bits| {
                    if let Some(word) = words.get_mut(word) {
                        *word = bits;
                    }
                });
                Ok(())
            })?;
        }
        Ok(rows)
    }

    /// Name of a part of a run of one of the heaps: both have runs of the same number.
    fn run_key(&self, part: Part, heap: &Heap, number: usize) -> Key {
        let is_whole = std::ptr::eq(heap, &self.head.wholes);
        let index = number * 2 + usize::from(is_whole);
        self.reader.key(part, self.column.number, index)
    }

    /// A run of one of the heaps.
    pub(in crate::segment) fn heap_run(
        &self,
        heap: &Heap,
        number: usize,
    ) -> Result<Arc<Texts>, ReadError> {
        let Some(run) = heap.runs.get(number) else {
            return Err(self.damaged(Flaw("a heap has too few runs")));
        };
        let (at, bytes) = heap.pages.span(number);
        let key = self.run_key(Part::Frame, heap, number);
        self.reader.cache().get_or_load(key, || {
            let texts = self.reader.read(self.column.area + at, bytes, |packed| {
                Texts::unpack(&packed, run.plain_bytes, run.end - run.first)
            })?;
            let bytes = texts.memory_bytes();
            Ok((texts, bytes))
        })
    }

    fn heap_texts(&self, heap: &Heap, block: usize) -> Result<HeapTexts, ReadError> {
        let texts = heap.texts_of(block);
        let all = &heap.runs;
        let first = all.partition_point(|run| run.end <= texts.start);
        let end = all.partition_point(|run| run.first < texts.end);
        let runs = (first..end).map(|number| {
            Ok((
                all[number].first..all[number].end,
                self.heap_run(heap, number)?,
            ))
        });
        let runs = if texts.is_empty() {
            Vec::new()
        } else {
            runs.collect::<Result<_, ReadError>>()?
        };
        Ok(HeapTexts {
            runs,
            next: texts.start,
        })
    }

    /// Whether the filter of a run of a heap passes all of these tokens.
    pub(in crate::segment) fn filter_has_all(
        &self,
        heap: &Heap,
        run: usize,
        token_hashes: &[u64],
    ) -> Result<bool, ReadError> {
        if token_hashes.is_empty() {
            return Ok(true);
        }
        let (at, bytes) = heap.filters.span(run);
        let key = self.run_key(Part::Filters, heap, run);
        let filter = self.reader.cache().get_or_load(key, || {
            let filter = self.reader.read(self.column.area + at, bytes, Ok)?;
            Ok::<_, ReadError>((filter, bytes))
        })?;
        for hash in token_hashes {
            if !filter::may_contain(&filter, *hash).map_err(|flaw| self.damaged(flaw))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The numbers of a block's variables in columns, of the templates that are `wanted`.
    fn block_slots(
        &self,
        block: usize,
        codes: &[u32],
        wanted: &[bool],
    ) -> Result<BlockSlots, ReadError> {
        let head = &*self.head;
        let mut counts = vec![0u32; head.own];
        for code in codes {
            let template = (*code as usize).checked_sub(1);
            if let Some(count) = template.and_then(|template| counts.get_mut(template)) {
                *count += 1;
            }
        }
        let ranks = self.ranks(block, wanted)?;
        let mut slots = BlockSlots {
            next: vec![0; head.own],
            numbers: Vec::new(),
        };
        for (template, count) in counts.iter().enumerate().filter(|(template, count)| {
            **count > 0 && wanted.get(*template).is_none_or(|wanted| *wanted)
        }) {
            let of_template = head.slots_of(template);
            let with_pages: Vec<usize> = of_template
                .filter(|slot| head.slots[*slot].has_pages())
                .collect();
            let start = slots.numbers.len();
            slots.next[template] = start as u32;
            slots
                .numbers
                .resize(start + *count as usize * with_pages.len(), 0);
            let first = ranks.get(template).map_or(0, |rank| *rank as usize);
            let rows = first..first + *count as usize;
            for (place, slot) in with_pages.iter().enumerate() {
                self.numbers(template, *slot, rows.clone(), |row, number| {
                    slots.numbers[start + (row - first) * with_pages.len() + place] = number;
                })?;
            }
        }
        Ok(slots)
    }

    /// Appends the values of a block to `sink`.
    pub(in crate::segment) fn decode(
        &self,
        block: usize,
        sink: &mut Sink,
    ) -> Result<(), ReadError> {
        let codes = self.codes(block)?;
        let mut slots = self.block_slots(block, &codes, &[])?;
        let mut heap = self.heap_texts(&self.head.heap, block)?;
        let mut wholes = self.heap_texts(&self.head.wholes, block)?;
        for code in codes {
            let written = match (code as usize).checked_sub(1) {
                Some(template) => self.write_value(template, &mut slots, &mut heap, &mut sink.text),
                None => wholes.next().map(|text| sink.text.push_str(text)),
            };
            written
                .and_then(|()| sink.end_value())
                .map_err(|flaw| self.damaged(flaw))?;
        }
        Ok(())
    }

    /// Gives `each` those values of a block whose numbers in the block `is_wanted` names; it is
    /// asked about each number, ascending.
    pub(in crate::segment) fn visit(
        &self,
        block: usize,
        mut is_wanted: impl FnMut(usize) -> bool,
        mut each: impl FnMut(usize, &str) -> Result<(), Flaw>,
    ) -> Result<(), ReadError> {
        let codes = self.codes(block)?;
        let picked: Vec<bool> = (0..codes.len()).map(&mut is_wanted).collect();
        let mut wanted = vec![false; self.head.own];
        for code in codes
            .iter()
            .zip(&picked)
            .filter(|(_, picked)| **picked)
            .map(|(code, _)| *code)
        {
            let template = (code as usize).checked_sub(1);
            if let Some(wanted) = template.and_then(|template| wanted.get_mut(template)) {
                *wanted = true;
            }
        }
        let mut slots = self.block_slots(block, &codes, &wanted)?;
        let mut heap = self.heap_texts(&self.head.heap, block)?;
        let mut wholes = self.heap_texts(&self.head.wholes, block)?;
        let mut text = String::new();
        for (index, code) in codes.iter().enumerate() {
            text.clear();
            let template = (*code as usize).checked_sub(1);
            let is_read =
                template.is_none_or(|template| wanted.get(template).is_none_or(|wanted| *wanted));
            let written = match template {
                Some(template) if is_read => {
                    self.write_value(template, &mut slots, &mut heap, &mut text)
                }
                Some(_) => {
                    heap.next += self.head.heap_texts(*code as usize);
                    Ok(())
                }
                None => wholes.next().map(|whole| text.push_str(whole)),
            };
            let picked = picked.get(index).copied().unwrap_or(false);
            written
                .and_then(|()| if picked { each(index, &text) } else { Ok(()) })
                .map_err(|flaw| self.damaged(flaw))?;
        }
        Ok(())
    }

    /// Appends the next value of a template.
    fn write_value(
        &self,
        template: usize,
        slots: &mut BlockSlots,
        heap: &mut HeapTexts,
        out: &mut String,
    ) -> Result<(), Flaw> {
        let head = &*self.head;
        let of_template = head.slots_of(template);
        for (index, slot) in of_template.clone().enumerate() {
            out.push_str(head.literal(template, index));
            match head.slots.get(slot) {
                Some(Slot::Constant(text)) => out.push_str(text),
                Some(Slot::Heap(_)) | None => out.push_str(heap.next()?),
                Some(layout) => {
                    let number = slots
                        .next
                        .get_mut(template)
                        .and_then(|next| {
                            *next += 1;
                            slots.numbers.get(*next as usize - 1)
                        })
                        .ok_or(Flaw("a block has too few numbers"))?;
                    layout.write(*number, out)?;
                }
            }
        }
        out.push_str(head.literal(template, of_template.len()));
        Ok(())
    }
}
