//! Encoding a text column by templates.
//!
//! One pass cuts every value and counts the templates; then the variables of each frequent
//! template are gathered and encoded slot by slot. Memory is 12 bytes for each variable and the
//! templates that were seen, of which there is a bound.
use super::{
    cut::{Cut, Draft, NONE},
    guard,
    head::{HEAD_BYTES_MAX, HeadParts, MARK_BLOCKS, OWN_ROWS_MIN, TEMPLATES_MAX, WHOLE},
    heap::HeapWriter,
    slot::{self, EncodedSlot, Letters, Slot},
    split::Span,
};
use crate::read::VariableKind;
use crate::segment::{
    directory::{ColumnDirectory, Layout, Pages},
    encode::{Candidate, encode_pages, numbers_of_blocks},
    gather::Values,
    ints,
    number::number_of,
    text::{BLOCK_TEXT_BYTES_MAX, FRAME_PLAIN_BYTES_MAX, Texts, pack, push_text},
};
use taffrail_model::{column::Kind, limits::BLOCK_ROWS};
use zstd::bulk::Compressor;

/// Rows of a template below which its values are kept whole: its literal parts would cost more.
const TEMPLATE_ROWS_MIN: u32 = 4;
/// Part of the values (one in this many) that may stay whole: with more, it is no column of
/// templates.
const WHOLE_PART_MAX: usize = 2;
/// Bytes of variables that are copied together before they are encoded.
const GROUP_BYTES: usize = 16 << 20;
/// Values by which it is judged whether a column has templates, in runs of neighbours.
const SAMPLE_VALUES: usize = 1_024;
const SAMPLE_RUNS: usize = 4;
/// Bytes of a value on average above which words are not tried as variables in a sample: longer
/// ones are prose, where that costs much and gains nothing.
const LINE_BYTES_MAX: usize = 512;

/// Whether a sample says that the values have templates.
pub(in crate::segment) fn is_templated(values: &Values<'_>) -> bool {
    let runs = (0..SAMPLE_RUNS).flat_map(|run| {
        let start = values.len() * run / SAMPLE_RUNS;
        let end = values.len() * (run + 1) / SAMPLE_RUNS;
        (start..end).take(SAMPLE_VALUES / SAMPLE_RUNS)
    });
    let sample = values.picked(runs);
    let mut cut = Cut::of(&sample);
    if is_mostly_kept(&cut) {
        return true;
    }
    let bytes: usize = sample.texts().map(str::len).sum();
    if cut.spans.is_empty() || bytes > sample.len() * LINE_BYTES_MAX {
        return false;
    }
    guard::generalise(&sample, &mut cut);
    is_mostly_kept(&cut)
}

/// Whether a sample has variables, and few templates and values without one.
fn is_mostly_kept(cut: &Cut) -> bool {
    let templates = cut.drafts.iter().filter(|draft| draft.rows > 0).count();
    let wholes = cut.drafts_of.iter().filter(|draft| **draft == NONE).count();
    !cut.spans.is_empty() && (templates + wholes) * WHOLE_PART_MAX < cut.drafts_of.len()
}

/// The column by templates; `None` if too few of its values have one.
pub(in crate::segment) fn encode(
    values: &Values<'_>,
    kind: Option<Kind>,
    compressor: &mut Compressor<'_>,
) -> std::io::Result<Option<Candidate>> {
    let is_too_large = |block: std::ops::Range<usize>| {
        let lengths = block.map(|index| values.text(index).len());
        let (total, greatest) = lengths.fold((0, 0), |(total, greatest), length| {
            (total + length, length.max(greatest))
        });
        total > BLOCK_TEXT_BYTES_MAX || greatest > FRAME_PLAIN_BYTES_MAX / 2
    };
    if values.blocks().any(is_too_large) {
        return Ok(None);
    }
    let mut cut = Cut::of(values);
    guard::generalise(values, &mut cut);
    let order = order_of(&cut.drafts);
    let kept: usize = order
        .iter()
        .map(|draft| cut.drafts[*draft as usize].rows as usize)
        .sum();
    if (values.len() - kept) * WHOLE_PART_MAX > values.len() {
        return Ok(None);
    }
    TemplateWriter::new(values, &cut, order).write(kind, compressor)
}

/// The drafts that become templates, the most frequent first.
fn order_of(drafts: &[Draft]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..drafts.len() as u32)
        .filter(|draft| drafts[*draft as usize].rows >= TEMPLATE_ROWS_MIN)
        .collect();
    order.sort_by_key(|draft| {
        let draft = &drafts[*draft as usize];
        (std::cmp::Reverse(draft.rows), draft.hash)
    });
    order.truncate(TEMPLATES_MAX);
    order
}

struct TemplateWriter<'a, 'b> {
    values: &'a Values<'b>,
    cut: &'a Cut,
    /// Draft of each template.
    order: Vec<u32>,
    /// Templates with columns of their own.
    own: usize,
    /// Code of each value.
    codes: Vec<u32>,
}

impl<'a, 'b> TemplateWriter<'a, 'b> {
    fn new(values: &'a Values<'b>, cut: &'a Cut, order: Vec<u32>) -> TemplateWriter<'a, 'b> {
        let mut code_of = vec![WHOLE as u32; cut.drafts.len()];
        for (code, draft) in (1u32..).zip(&order) {
            code_of[*draft as usize] = code;
        }
        let codes = cut.drafts_of.iter().map(|draft| match *draft {
            NONE => WHOLE as u32,
            draft => code_of[draft as usize],
        });
        let own = order
            .partition_point(|draft| cut.drafts[*draft as usize].rows as usize >= OWN_ROWS_MIN);
        TemplateWriter {
            values,
            cut,
            own,
            codes: codes.collect(),
            order,
        }
    }

    fn write(
        &self,
        kind: Option<Kind>,
        compressor: &mut Compressor<'_>,
    ) -> std::io::Result<Option<Candidate>> {
        let mut code_pages = Vec::new();
        let code_lengths = encode_pages(self.values, kind, &mut code_pages, |block, out| {
            let codes: Vec<i64> = self.codes[block]
                .iter()
                .map(|code| i64::from(*code))
                .collect();
            ints::encode(&codes, out);
        });
        let (slots, slot_bytes, page_lengths) = self.slots(GROUP_BYTES);
        let (mut heap, mut wholes) = (HeapWriter::default(), HeapWriter::default());
        let letters = self.fill_heaps(&slots, &mut heap, &mut wholes, compressor)?;

        let mut head = Vec::new();
        let rows: Vec<u32> = self.drafts().map(|draft| draft.rows).collect();
        let kinds: Vec<Vec<VariableKind>> =
            self.drafts().map(|draft| self.kinds_of(draft)).collect();
        let kinds: Vec<&[VariableKind]> = kinds.iter().map(Vec::as_slice).collect();
        let parts = HeadParts {
            own: self.own,
            rows: &rows,
            kinds: &kinds,
            literals: &self.literals(),
            slots: &slots,
            letters: &letters,
            page_lengths: &page_lengths,
            group_rows: &self.group_rows(),
        };
        parts.write(&mut head);
        heap.finish(compressor, &mut head)?;
        wholes.finish(compressor, &mut head)?;
        if head.len() > HEAD_BYTES_MAX {
            return Ok(None);
        }
        let mut area = pack(compressor, &head)?;
        let head_bytes = area.len();
        area.extend_from_slice(&code_pages);
        for part in [&slot_bytes, &heap.bytes, &wholes.bytes] {
            area.extend_from_slice(part);
        }
        Ok(Some(Candidate {
            directory: ColumnDirectory {
                kind,
                layout: Layout::Template { head_bytes },
                pages: Pages::new(head_bytes as u64, &code_lengths),
                numbers: numbers_of_blocks(self.values, |index| number_of(self.values.text(index))),
            },
            area,
        }))
    }

    fn drafts(&self) -> impl Iterator<Item = &'a Draft> + '_ {
        self.order
            .iter()
            .map(|draft| &self.cut.drafts[*draft as usize])
    }

    fn kinds_of(&self, draft: &Draft) -> Vec<VariableKind> {
        self.cut
            .spans_of(draft.exemplar)
            .iter()
            .map(|span| span.kind)
            .collect()
    }

    /// The literal parts of all templates, as a run of texts.
    fn literals(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for draft in self.drafts() {
            let text = self.values.text(draft.exemplar as usize);
            let mut at = 0;
            for span in self.cut.spans_of(draft.exemplar) {
                push_text(&mut out, &text[at..span.start as usize]);
                at = span.end as usize;
            }
            push_text(&mut out, &text[at..]);
        }
        out
    }

    /// The variables of the templates with columns: their forms, pages and the pages' lengths.
    ///
    /// The values of each variable are copied together first, some templates at a time: so the texts
    /// are read in their order, and what is tried on the values of a variable reads on from where
    /// the last one stood.
    fn slots(&self, group_bytes: usize) -> (Vec<Slot>, Vec<u8>, Vec<usize>) {
        let (mut slots, mut bytes, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for templates in self.template_groups(group_bytes) {
            let drafts = self.drafts().take(templates.end).skip(templates.start);
            let kinds = drafts.flat_map(|draft| self.kinds_of(draft));
            for (kind, texts) in kinds.zip(self.variables_of(templates.clone())) {
                let EncodedSlot { slot, mut pages } = slot::encode(kind, &texts);
                bytes.append(&mut pages.bytes);
                lengths.append(&mut pages.lengths);
                slots.push(slot);
            }
        }
        (slots, bytes, lengths)
    }

    /// The templates with columns in groups whose variables have so many bytes at the most, or of one.
    fn template_groups(&self, group_bytes: usize) -> Vec<std::ops::Range<usize>> {
        let mut of_template = vec![0usize; self.own];
        for (number, template) in self.templates_of_values() {
            let spans = self.cut.spans_of(number).iter();
            let bytes = spans.map(|span| (span.end - span.start) as usize + size_of::<u32>());
            if let Some(of_template) = of_template.get_mut(template) {
                *of_template += bytes.sum::<usize>();
            }
        }
        let (mut groups, mut start, mut total) = (Vec::new(), 0, 0);
        for (template, bytes) in of_template.into_iter().enumerate() {
            if total + bytes > group_bytes && template > start {
                groups.push(start..template);
                (start, total) = (template, 0);
            }
            total += bytes;
        }
        groups.push(start..self.own);
        groups
    }

    /// The values of each variable of some templates with columns, in order.
    fn variables_of(&self, templates: std::ops::Range<usize>) -> Vec<Texts> {
        let mut firsts = Vec::with_capacity(templates.len());
        let mut variables: Vec<Texts> = Vec::new();
        for draft in self.drafts().take(templates.end).skip(templates.start) {
            firsts.push(variables.len());
            let slots = self.cut.spans_of(draft.exemplar).len();
            variables.resize_with(variables.len() + slots, Texts::default);
        }
        for (number, template) in self.templates_of_values() {
            let first = template.checked_sub(templates.start);
            let Some(first) = first.and_then(|template| firsts.get(template)) else {
                continue;
            };
            let text = self.values.text(number as usize);
            let spans = self.cut.spans_of(number);
            for (span, texts) in spans.iter().zip(&mut variables[*first..]) {
                texts.push(&text[span.start as usize..span.end as usize]);
            }
        }
        variables
    }

    /// The values that have a template, and its number.
    fn templates_of_values(&self) -> impl Iterator<Item = (u32, usize)> + '_ {
        let numbered = (0u32..).zip(&self.codes);
        numbered.filter_map(|(number, code)| Some((number, (*code as usize).checked_sub(1)?)))
    }

    /// For each group of blocks the rows in it of each template with columns.
    fn group_rows(&self) -> Vec<Vec<i64>> {
        let blocks: Vec<_> = self.values.blocks().collect();
        let groups = blocks.chunks(MARK_BLOCKS).map(|blocks| {
            let mut rows = vec![0i64; self.own];
            for code in blocks.iter().flat_map(|block| &self.codes[block.clone()]) {
                let template = (*code as usize).checked_sub(1);
                if let Some(rows) = template.and_then(|template| rows.get_mut(template)) {
                    *rows += 1;
                }
            }
            rows
        });
        groups.collect()
    }

    /// Returns the letters of each variable of the templates without columns.
    fn fill_heaps(
        &self,
        slots: &[Slot],
        heap: &mut HeapWriter,
        wholes: &mut HeapWriter,
        compressor: &mut Compressor<'_>,
    ) -> std::io::Result<Vec<Letters>> {
        let in_heap = self.slots_in_heap(slots);
        let mut firsts = Vec::new();
        let mut total = 0;
        for draft in self.drafts().skip(self.own) {
            firsts.push(total);
            total += self.cut.spans_of(draft.exemplar).len();
        }
        let mut letters = vec![Letters::default(); total];
        for block in self.values.blocks() {
            for number in block {
                let text = self.values.text(number);
                let Some(template) = (self.codes[number] as usize).checked_sub(1) else {
                    wholes.push(text, compressor)?;
                    continue;
                };
                let of = |span: &Span| &text[span.start as usize..span.end as usize];
                let spans = self.cut.spans_of(number as u32);
                match in_heap.get(template) {
                    Some(indices) => {
                        for index in indices {
                            heap.push(of(&spans[*index]), compressor)?;
                        }
                    }
                    None => {
                        let first = firsts[template - self.own];
                        for (span, letters) in spans.iter().zip(&mut letters[first..]) {
                            letters.0 |= Letters::of(of(span)).0;
                            heap.push(of(span), compressor)?;
                        }
                    }
                }
            }
            heap.end_block();
            wholes.end_block();
        }
        Ok(letters)
    }

    /// For each template with columns those of its variables that are in the heap.
    fn slots_in_heap(&self, slots: &[Slot]) -> Vec<Vec<usize>> {
        let mut rest = slots;
        let of_templates = self.drafts().take(self.own).map(|draft| {
            let (of_template, others) = rest.split_at(self.cut.spans_of(draft.exemplar).len());
            rest = others;
            let indices = of_template.iter().enumerate();
            let indices = indices.filter(|(_, slot)| matches!(slot, Slot::Heap(_)));
            indices.map(|(index, _)| index).collect()
        });
        of_templates.collect()
    }
}

const _: () = assert!(BLOCK_ROWS * MARK_BLOCKS <= 8_192);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::gather::{Gathered, RowsPart};
    use taffrail_model::column::Column;

    #[test]
    fn variables_are_the_same_however_many_templates_are_copied_together() {
        let mut column = Column::default();
        for row in 0..1_000u32 {
            let text = match row % 3 {
                0 => format!("took {row} ms of {}", row % 7),
                1 => format!("sent {row} bytes"),
                _ => "idle".into(),
            };
            column.push(row, Kind::String, &text);
        }
        let times: Vec<i64> = (0..1_000).collect();
        let positions: Vec<u64> = (1..=1_000).collect();
        let part = RowsPart {
            timestamps: &times,
            positions: &positions,
            columns: vec![("f", &column)],
        };
        let gathered = Gathered::new(vec![part]).unwrap();
        let (values, _) = gathered.column("f", &[]);
        let cut = Cut::of(&values);
        let writer = TemplateWriter::new(&values, &cut, order_of(&cut.drafts));
        let groups = |bytes| writer.template_groups(bytes).len();
        assert_eq!((groups(GROUP_BYTES), groups(0)), (1, 3));
        let (slots, bytes, lengths) = writer.slots(GROUP_BYTES);
        assert_eq!(slots.len(), 3);
        for group_bytes in [0, 3_000] {
            let others = writer.slots(group_bytes);
            assert_eq!(format!("{:?}", others.0), format!("{slots:?}"));
            assert_eq!((others.1, others.2), (bytes.clone(), lengths.clone()));
        }
    }

    /// How many templates of these rows are kept.
    fn kept(rows: impl Iterator<Item = u32>) -> usize {
        let drafts: Vec<Draft> = (0..)
            .zip(rows)
            .map(|(hash, rows)| Draft {
                hash,
                exemplar: 0,
                rows,
            })
            .collect();
        order_of(&drafts).len()
    }

    #[test]
    fn templates_with_enough_rows_are_kept_up_to_a_bound() {
        let enough = TEMPLATE_ROWS_MIN;
        assert_eq!(kept([enough, enough - 1, enough + 1].into_iter()), 2);
        assert_eq!(
            kept(std::iter::repeat_n(enough, TEMPLATES_MAX)),
            TEMPLATES_MAX
        );
        assert_eq!(
            kept(std::iter::repeat_n(enough, TEMPLATES_MAX + 1)),
            TEMPLATES_MAX
        );
    }
}
