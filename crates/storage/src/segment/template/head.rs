//! The head of a templated column: its templates, what is known of their variables, and where
//! everything is. Read once, then held by the cache.
use super::{
    heap::Heap,
    slot::{Letters, PAGE_VALUES, Slot},
    split::TemplateHasher,
};
use crate::read::{Template, TemplatePart, VariableKind};
use crate::segment::{
    directory::Pages,
    ints,
    presence::Presence,
    text::Texts,
    wire::{Cursor, Flaw, put_varint},
};

/// Templates of one section: more are no templates. What a reader holds of them is bounded by it.
pub(in crate::segment) const TEMPLATES_MAX: usize = 1 << 15;
/// Bytes of a head before compression: literal parts of [`TEMPLATES_MAX`] templates of usual size.
pub(in crate::segment) const HEAD_BYTES_MAX: usize = 16 << 20;
/// Rows of a template from which on its variables are columns of their own.
pub(in crate::segment) const OWN_ROWS_MIN: usize = 64;
// A row of a template has no more texts in the heap than a byte tells.
const _: () = assert!(super::split::VARIABLES_MAX <= u8::MAX as usize);
/// Blocks between two marks of rank.
pub(in crate::segment) const MARK_BLOCKS: usize = 8;
/// Code of a value that has no template; the others are those of the templates, from 1.
pub(in crate::segment) const WHOLE: usize = 0;

/// Templates and their variables. Those with columns of their own come first.
#[derive(Debug)]
pub(in crate::segment) struct Head {
    /// Templates whose variables are columns.
    pub own: usize,
    /// Rows of each template.
    pub rows: Vec<u32>,
    /// First variable of each template; one more for the end.
    pub first_slots: Vec<u32>,
    pub kinds: Vec<VariableKind>,
    /// Literal parts of all templates, one more than variables for each.
    pub literals: Texts,
    /// The variables of the first templates.
    pub slots: Vec<Slot>,
    /// Letters of the variables of the other templates.
    pub letters: Vec<Letters>,
    /// First page of each variable with a column; one more for the end.
    pub first_pages: Vec<u32>,
    /// Pages of variables, after those of the codes.
    pub pages: Pages,
    /// For each mark: rows before it of each template with columns.
    pub marks: Vec<u32>,
    /// Texts in the heap that a row of each template has.
    heap_texts: Vec<u8>,
    /// Variables that are in no column.
    pub heap: Heap,
    /// Values without a template.
    pub wholes: Heap,
}

impl Head {
    pub(in crate::segment) fn templates(&self) -> usize {
        self.rows.len()
    }

    /// Numbers of a template's variables.
    pub(in crate::segment) fn slots_of(&self, template: usize) -> std::ops::Range<usize> {
        match self.first_slots.get(template..template + 2) {
            Some([start, end]) => *start as usize..*end as usize,
            _ => 0..0,
        }
    }

    /// A literal part of a template: the one before its variable of this number, or the last.
    pub(in crate::segment) fn literal(&self, template: usize, index: usize) -> &str {
        let first = self.slots_of(template).start + template;
        self.literals.get(first + index).unwrap_or_default()
    }

    /// Letters of a variable whose values are in the heap.
    pub(in crate::segment) fn letters(&self, slot: usize) -> Option<Letters> {
        match self.slots.get(slot) {
            Some(Slot::Heap(letters)) => Some(*letters),
            Some(_) => None,
            None => self.letters.get(slot - self.slots.len()).copied(),
        }
    }

    /// The hash of a template, the same in every segment.
    pub(in crate::segment) fn hash(&self, template: usize) -> u64 {
        let mut hasher = TemplateHasher::new();
        let slots = self.slots_of(template);
        for (index, slot) in slots.clone().enumerate() {
            hasher.literal(self.literal(template, index).as_bytes());
            if let Some(kind) = self.kinds.get(slot) {
                hasher.slot(*kind);
            }
        }
        hasher.literal(self.literal(template, slots.len()).as_bytes());
        hasher.finish()
    }

    /// Texts in the heap that a row of this code has.
    pub(in crate::segment) fn heap_texts(&self, code: usize) -> usize {
        let template = code.checked_sub(1);
        let texts = template.and_then(|template| self.heap_texts.get(template));
        texts.map_or(0, |texts| usize::from(*texts))
    }

    /// The variable of a template of which a row has the text of this number among its texts in
    /// the heap.
    pub(in crate::segment) fn heap_slot(&self, template: usize, text: usize) -> Option<usize> {
        let mut slots = self.slots_of(template);
        slots
            .by_ref()
            .filter(|slot| self.is_in_heap(*slot))
            .nth(text)
    }

    /// Whether the values of a variable are in the heap.
    pub(in crate::segment) fn is_in_heap(&self, slot: usize) -> bool {
        self.slots
            .get(slot)
            .is_none_or(|slot| matches!(slot, Slot::Heap(_)))
    }

    /// Rows of the templates with columns before a mark.
    pub(in crate::segment) fn mark(&self, mark: usize) -> &[u32] {
        let start = mark * self.own;
        self.marks.get(start..start + self.own).unwrap_or_default()
    }

    /// All templates with their rows.
    pub(in crate::segment) fn to_templates(&self) -> Vec<Template> {
        let templates = self.rows.iter().enumerate();
        let templates = templates.map(|(template, rows)| Template {
            hash: self.hash(template),
            parts: self.parts(template),
            rows: u64::from(*rows),
        });
        templates.collect()
    }

    fn parts(&self, template: usize) -> Vec<TemplatePart> {
        let slots = self.slots_of(template);
        let mut parts = Vec::with_capacity(2 * slots.len() + 1);
        for index in 0..=slots.len() {
            let literal = self.literal(template, index);
            if !literal.is_empty() {
                parts.push(TemplatePart::Literal(literal.into()));
            }
            let kind = self.kinds.get(slots.start + index);
            if let Some(kind) = kind.filter(|_| index < slots.len()) {
                parts.push(TemplatePart::Variable(*kind));
            }
        }
        parts
    }

    pub(in crate::segment) fn memory_bytes(&self) -> usize {
        let slots: usize = self.slots.iter().map(Slot::memory_bytes).sum();
        self.rows.len() * 9
            + self.letters.len() * 4
            + self.kinds.len()
            + self.literals.memory_bytes()
            + slots
            + (self.first_pages.len() + self.marks.len()) * 4
            + self.pages.len() * 8
            + self.heap.memory_bytes()
            + self.wholes.memory_bytes()
    }
}

/// What a head is written from.
pub(in crate::segment) struct HeadParts<'a> {
    pub own: usize,
    pub rows: &'a [u32],
    /// Kinds of each template's variables.
    pub kinds: &'a [&'a [VariableKind]],
    /// Literal parts of all templates, as a run of texts.
    pub literals: &'a [u8],
    pub slots: &'a [Slot],
    pub letters: &'a [Letters],
    pub page_lengths: &'a [usize],
    /// For each group of blocks: rows in it of each template with columns.
    pub group_rows: &'a [Vec<i64>],
}

impl HeadParts<'_> {
    pub(in crate::segment) fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, self.rows.len() as u64);
        put_varint(out, self.own as u64);
        ints::encode(
            &self
                .rows
                .iter()
                .map(|rows| i64::from(*rows))
                .collect::<Vec<_>>(),
            out,
        );
        let counts: Vec<usize> = self.kinds.iter().map(|kinds| kinds.len()).collect();
        ints::encode_lengths(&counts, out);
        out.extend(
            self.kinds
                .iter()
                .flat_map(|kinds| kinds.iter())
                .map(|kind| *kind as u8),
        );
        put_varint(out, self.literals.len() as u64);
        out.extend_from_slice(self.literals);
        for slot in self.slots {
            slot.put(out);
        }
        for letters in self.letters {
            letters.put(out);
        }
        Pages::new(0, self.page_lengths).write(out);
        for rows in self.group_rows {
            ints::encode(rows, out);
        }
    }
}

impl Head {
    /// Reads a head. Pages begin at `start` of an area of `area_bytes` bytes.
    pub(in crate::segment) fn parse(
        plain: &[u8],
        presence: &Presence,
        blocks: usize,
        start: u64,
        area_bytes: u64,
    ) -> Result<Head, Flaw> {
        let mut cursor = Cursor::new(plain);
        let values = presence.values();
        let templates = cursor.count(TEMPLATES_MAX)?;
        let own = cursor.count(templates)?;
        let rows = ints::decode_lengths(&mut cursor, templates, values)?;
        if rows.iter().sum::<usize>() > values {
            return Err(Flaw("templates have more rows than there are"));
        }
        let rows: Vec<u32> = rows.into_iter().map(|rows| rows as u32).collect();
        let counts = ints::decode_lengths(&mut cursor, templates, super::split::VARIABLES_MAX)?;
        let mut first_slots = vec![0u32];
        let mut total = 0;
        for count in counts {
            total += count;
            first_slots.push(total as u32);
        }
        let kinds = cursor.take(total)?.iter();
        let kinds = kinds
            .map(|tag| VariableKind::from_tag(*tag).ok_or(Flaw("a kind of variable is unknown")));
        let kinds: Vec<VariableKind> = kinds.collect::<Result<_, _>>()?;
        let literals = Texts::parse(cursor.bytes()?, total + templates)?;
        let own_slots = first_slots.get(own).map_or(0, |first| *first as usize);
        let mut slots = Vec::with_capacity(own_slots);
        let mut first_pages = vec![0u32];
        let mut pages = 0;
        for template in 0..own {
            let page_count = (rows[template] as usize).div_ceil(PAGE_VALUES);
            for _ in first_slots[template]..first_slots[template + 1] {
                let slot = Slot::parse(&mut cursor, rows[template] as usize)?;
                pages += if slot.has_pages() { page_count } else { 0 };
                slots.push(slot);
                first_pages.push(pages as u32);
            }
        }
        let letters = (own_slots..total).map(|_| Letters::parse(&mut cursor));
        let letters: Vec<Letters> = letters.collect::<Result<_, _>>()?;
        let pages = Pages::parse(&mut cursor, pages, start, area_bytes)?;
        let marks = parse_marks(&mut cursor, &rows[..own], blocks)?;
        let heap = Heap::parse(&mut cursor, presence, blocks, pages.end(), area_bytes)?;
        let wholes = Heap::parse(
            &mut cursor,
            presence,
            blocks,
            heap.filters.end(),
            area_bytes,
        )?;
        cursor.finish()?;
        let is_in_heap = |slot: &usize| {
            let slot = slots.get(*slot);
            slot.is_none_or(|slot| matches!(slot, Slot::Heap(_)))
        };
        let heap_texts = first_slots.windows(2).map(|pair| {
            let slots = pair[0] as usize..pair[1] as usize;
            slots.filter(is_in_heap).count() as u8
        });
        Ok(Head {
            heap_texts: heap_texts.collect(),
            own,
            rows,
            first_slots,
            kinds,
            literals,
            slots,
            letters,
            first_pages,
            pages,
            marks,
            heap,
            wholes,
        })
    }
}

/// Rows before each mark, out of those in each group of blocks; together they are all `rows`.
fn parse_marks(cursor: &mut Cursor<'_>, rows: &[u32], blocks: usize) -> Result<Vec<u32>, Flaw> {
    let mut marks = Vec::new();
    let mut before = vec![0u32; rows.len()];
    for _ in 0..blocks.div_ceil(MARK_BLOCKS) {
        marks.extend_from_slice(&before);
        let of_group = ints::decode_lengths(cursor, rows.len(), u32::MAX as usize / 2)?;
        for ((before, of_group), rows) in before.iter_mut().zip(of_group).zip(rows) {
            *before = before.saturating_add(of_group as u32);
            if *before > *rows {
                return Err(Flaw("marks count more rows than a template has"));
            }
        }
    }
    if before == rows {
        Ok(marks)
    } else {
        Err(Flaw("marks count fewer rows than a template has"))
    }
}
