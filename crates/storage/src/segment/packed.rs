//! Columns of ids and addresses: packed as numbers of fixed width, or as a sorted dictionary of them
//! with codes, which finds an id at once.
use super::{
    bits::{Packer, width_of_wide},
    directory::{ColumnDirectory, Layout, Pages},
    encode::{Candidate, encode_pages, numbers_of_blocks},
    fixed::{Form, Squeeze},
    fixed_dictionary::FixedDictionary,
    gather::Values,
    ints,
    number::number_of,
};
use std::ops::Range;
use taffrail_model::column::Kind;

/// A sorted dictionary of ids may cost this much (in percent) of plain ids: it finds an id at once.
const FIXED_DICTIONARY_COST_PERCENT: usize = 105;
/// Entries of a dictionary up to which its texts cost nothing, in whatever form.
const SMALL_DICTIONARY_ENTRIES: usize = 256;

/// The column as numbers of fixed width, if its values are such.
pub(super) fn try_fixed(values: &Values<'_>, kind: Option<Kind>) -> Option<Candidate> {
    Form::candidates(values.text(0)).find_map(|form| {
        if form.is_long() {
            return try_long(values, kind, form);
        }
        let numbers = values.texts().map(|text| form.parse(text));
        let numbers: Vec<u128> = numbers.collect::<Option<_>>()?;
        let squeeze = Squeeze::of(&numbers);
        let dictionary = fixed_dictionary(values, kind, form, &squeeze, &numbers);
        let width = squeeze.width();
        let plain_bits: usize = numbers.len() * width as usize;
        if dictionary.cost() * 100 <= plain_bits / 8 * FIXED_DICTIONARY_COST_PERCENT {
            return Some(dictionary);
        }
        Some(one_by_one(
            values,
            kind,
            (form, squeeze),
            |block, squeeze, out| {
                let mut packer = Packer::new(out);
                for number in &numbers[block] {
                    packer.push_wide(squeeze.squeeze(*number), width);
                }
                packer.finish();
            },
        ))
    })
}

/// Values that are kept one by one, as `write` appends those of a block.
fn one_by_one(
    values: &Values<'_>,
    kind: Option<Kind>,
    (form, squeeze): (Form, Squeeze),
    write: impl Fn(Range<usize>, &Squeeze, &mut Vec<u8>),
) -> Candidate {
    let mut area = Vec::new();
    let lengths = encode_pages(values, kind, &mut area, |block, out| {
        write(block, &squeeze, out);
    });
    Candidate {
        directory: ColumnDirectory {
            kind,
            layout: Layout::Fixed { form, squeeze },
            pages: Pages::new(0, &lengths),
            numbers: numbers_of_blocks(values, |index| number_of(values.text(index))),
        },
        area,
    }
}

/// Hexadecimal texts of more than 32 digits, as nibbles.
fn try_long(values: &Values<'_>, kind: Option<Kind>, form: Form) -> Option<Candidate> {
    let mut nibbles = Vec::new();
    if !values
        .texts()
        .all(|text| form.push_long(text, &mut nibbles))
    {
        return None;
    }
    let bytes = form.long_bytes();
    let squeeze = Squeeze::new(0, 0);
    Some(one_by_one(
        values,
        kind,
        (form, squeeze),
        |block, _, out| {
            out.extend_from_slice(&nibbles[block.start * bytes..block.end * bytes]);
        },
    ))
}

/// Distinct numbers in order, as differences, and codes for the values.
fn fixed_dictionary(
    values: &Values<'_>,
    kind: Option<Kind>,
    form: Form,
    squeeze: &Squeeze,
    numbers: &[u128],
) -> Candidate {
    let mut entries = numbers.to_vec();
    entries.sort_unstable();
    entries.dedup();
    let mut area = Vec::new();
    let dictionary = FixedDictionary::encode(form, squeeze, &entries, &mut area);
    let codes = codes_of(numbers, &entries);
    let lengths = encode_pages(values, kind, &mut area, |block, out| {
        ints::encode(&codes[block], out);
    });
    Candidate {
        directory: ColumnDirectory {
            kind,
            pages: Pages::new(dictionary.end(), &lengths),
            layout: Layout::FixedDictionary(dictionary),
            numbers: numbers_of_blocks(values, |index| number_of(values.text(index))),
        },
        area,
    }
}

/// The place of each number among the sorted entries, which have them all.
fn codes_of(numbers: &[u128], entries: &[u128]) -> Vec<i64> {
    // A table over the highest varying bits narrows the search to a few entries.
    let spread =
        entries.last().copied().unwrap_or_default() ^ entries.first().copied().unwrap_or_default();
    let shift = width_of_wide(spread).saturating_sub(16);
    let bucket = |number: u128| (number >> shift) as usize & 0xffff;
    let mut starts = vec![0usize; (1 << 16) + 1];
    for entry in entries {
        starts[bucket(*entry) + 1] += 1;
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    numbers
        .iter()
        .map(|number| {
            let bucket = bucket(*number);
            let (start, end) = (starts[bucket], starts[bucket + 1]);
            (start + entries[start..end].partition_point(|entry| entry < number)) as i64
        })
        .collect()
}

/// Whether a dictionary of texts would cost more for certain: its codes are the same, or no fewer,
/// and its texts are those of numbers that are packed here.
pub(super) fn is_packed(fixed: &Candidate) -> bool {
    match fixed.directory.layout {
        Layout::FixedDictionary(ref ids) => ids.entries > SMALL_DICTIONARY_ENTRIES,
        Layout::Fixed { form, .. } => !form.is_long(),
        _ => false,
    }
}
