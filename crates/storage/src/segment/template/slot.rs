//! The values of one variable over the rows of its template, as a column of their own.
//!
//! Every form gives a single value at the cost of a look into its page, so that a block is decoded
//! without the rows before it; and every form but the heap's can be searched without writing the
//! values out: numbers by comparison, dictionaries by their entries.
use crate::read::VariableKind;
use crate::segment::{
    bits::{Packer, get, get_wide, packed_bytes, width_of},
    fixed::{Form, Squeeze, parse_hex_digits},
    ints,
    text::Texts,
    wire::{Cursor, Flaw, put_bytes, put_varint},
};
use hashbrown::HashMap;

/// Values of one page: its bytes begin at a byte, its numbers have a width of their own.
pub(in crate::segment) const PAGE_VALUES: usize = 8_192;
/// Values by which it is judged whether a dictionary is worth a try.
const TRIAL_VALUES: usize = 256;
/// Distinct values of a trial above which it is not.
const TRIAL_DISTINCT_MAX: usize = 192;
/// Entries of one dictionary: each is held in memory when the column is read.
const ENTRIES_MAX: usize = 1 << 16;
/// Bytes of one text in a dictionary; longer ones go to the heap.
const ENTRY_BYTES_MAX: usize = 1 << 10;
/// Digits of the longest decimal number of 64 bits.
const DECIMAL_DIGITS_MAX: usize = 20;

/// How the digits of a number are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::segment) enum Digits {
    /// Decimal without superfluous zeros in front.
    Shortest,
    /// This many decimal digits.
    Decimal(u8),
    /// This many hexadecimal digits (up to 16), in upper case or not.
    Hex { digits: u8, is_upper: bool },
    /// An address.
    Ipv4,
    /// A UUID in lower case, an IPv6 address or a long hexadecimal number.
    Wide(Form),
}

/// How a number becomes text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::segment) struct NumberForm {
    pub prefix: Box<str>,
    pub suffix: Box<str>,
    pub digits: Digits,
}

/// Which letters of either case the values of a variable have, a bit for each from `a`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::segment) struct Letters(pub u32);

impl Letters {
    /// Those of a text, or of several, one after the other.
    pub(in crate::segment) fn of(text: &str) -> Letters {
        let bytes = text.bytes();
        Letters(
            bytes.fold(0, |letters, byte| match (byte | 0x20).wrapping_sub(b'a') {
                letter @ 0..26 if byte.is_ascii_alphabetic() => letters | 1 << letter,
                _ => letters,
            }),
        )
    }

    pub(in crate::segment) fn put(self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.0));
    }

    pub(in crate::segment) fn parse(cursor: &mut Cursor<'_>) -> Result<Letters, Flaw> {
        Ok(Letters(cursor.count((1 << 26) - 1)? as u32))
    }
}

/// How the values of a slot are stored.
#[derive(Clone, Debug)]
pub(in crate::segment) enum Slot {
    Constant(Box<str>),
    /// Pages of numbers, and the least and greatest.
    Numbers(NumberForm, u64, u64),
    /// Pages of numbers above 64 bits.
    Wide(NumberForm, Squeeze),
    /// Pages of codes of numbers, which ascend.
    NumberDictionary(NumberForm, Vec<u64>),
    /// Pages of codes of texts, which ascend.
    Dictionary(std::sync::Arc<Texts>),
    /// Texts in the heap of the column, with these letters.
    Heap(Letters),
}

const CONSTANT: u8 = 1;
const NUMBERS: u8 = 2;
const WIDE: u8 = 3;
const NUMBER_DICTIONARY: u8 = 4;
const DICTIONARY: u8 = 5;
const HEAP: u8 = 6;

impl NumberForm {
    /// The number that [`NumberForm::write`] writes as this text.
    fn parse(&self, text: &str) -> Option<u64> {
        // Nearly all numbers stand alone, and are parsed by the million.
        if self.prefix.is_empty() && self.suffix.is_empty() {
            return self.digits.parse(text);
        }
        let digits = text
            .strip_prefix(&*self.prefix)?
            .strip_suffix(&*self.suffix)?;
        self.digits.parse(digits)
    }

    /// Appends the text of a number.
    pub(in crate::segment) fn write(&self, number: u128, out: &mut String) {
        out.push_str(&self.prefix);
        self.digits.write(number, out);
        out.push_str(&self.suffix);
    }

    /// The number whose text is this, folded.
    pub(in crate::segment) fn parse_folded(&self, folded: &str) -> Option<u128> {
        let digits = folded
            .strip_prefix(&*self.prefix.to_ascii_lowercase())?
            .strip_suffix(&*self.suffix.to_ascii_lowercase())?;
        match self.digits {
            Digits::Hex { is_upper: true, .. } => {
                let digits = digits.to_ascii_uppercase();
                self.digits.parse(&digits).map(u128::from)
            }
            Digits::Wide(form @ Form::HexUpper(_)) => form.parse(&digits.to_ascii_uppercase()),
            Digits::Wide(form) => form.parse(digits),
            digits_form => digits_form.parse(digits).map(u128::from),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.prefix.as_bytes());
        put_bytes(out, self.suffix.as_bytes());
        let (tag, digits) = match self.digits {
            Digits::Shortest => (0, 0),
            Digits::Decimal(digits) => (1, digits),
            Digits::Hex { digits, is_upper } => (2 + u8::from(is_upper), digits),
            Digits::Ipv4 => (4, 0),
            // At most 32 digits, since the number has 128 bits.
            Digits::Wide(form) => (16 + form.tag().0, form.tag().1 as u8),
        };
        out.extend_from_slice(&[tag, digits]);
    }

    fn parse_form(cursor: &mut Cursor<'_>) -> Result<NumberForm, Flaw> {
        let prefix = parse_text(cursor)?;
        let suffix = parse_text(cursor)?;
        let [tag, count] = cursor.array()?;
        let digits = match (tag, usize::from(count)) {
            (0, 0) => Digits::Shortest,
            (1, 1..=DECIMAL_DIGITS_MAX) => Digits::Decimal(count),
            (2 | 3, 1..=16) => Digits::Hex {
                digits: count,
                is_upper: tag == 3,
            },
            (4, 0) => Digits::Ipv4,
            (17.., digits @ 0..=32) => Digits::Wide(Form::from_tag(tag - 16, digits)?),
            _ => return Err(Flaw("a form of numbers is unknown")),
        };
        Ok(NumberForm {
            prefix,
            suffix,
            digits,
        })
    }
}

impl Digits {
    pub(in crate::segment) fn parse(self, text: &str) -> Option<u64> {
        let bytes = text.as_bytes();
        match self {
            Digits::Shortest => {
                let is_shortest = bytes.first() != Some(&b'0') || bytes.len() == 1;
                is_shortest.then(|| parse_decimal(bytes))?
            }
            Digits::Decimal(digits) if bytes.len() == usize::from(digits) => parse_decimal(bytes),
            Digits::Hex { digits, is_upper } if bytes.len() == usize::from(digits) => {
                parse_hex_digits(bytes, is_upper)
            }
            Digits::Ipv4 => Form::Ipv4.parse(text).map(|number| number as u64),
            _ => None,
        }
    }

    fn write(self, number: u128, out: &mut String) {
        match self {
            Digits::Shortest => out.push_str(itoa::Buffer::new().format(number as u64)),
            Digits::Decimal(digits) => {
                let mut buffer = itoa::Buffer::new();
                let text = buffer.format(number as u64);
                for _ in text.len()..usize::from(digits) {
                    out.push('0');
                }
                out.push_str(text);
            }
            Digits::Hex { digits, is_upper } => {
                let digits = usize::from(digits);
                let form = match is_upper {
                    true => Form::HexUpper(digits),
                    false => Form::HexLower(digits),
                };
                form.write(number, out);
            }
            Digits::Ipv4 => Form::Ipv4.write(number, out),
            Digits::Wide(form) => form.write(number, out),
        }
    }
}

fn parse_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > DECIMAL_DIGITS_MAX {
        return None;
    }
    // So many digits fit whatever they are; the last of the longest number is checked.
    let (first, last) = digits.split_at(digits.len().min(DECIMAL_DIGITS_MAX - 1));
    let (mut number, mut is_fit) = (0u64, true);
    for byte in first {
        let digit = byte.wrapping_sub(b'0');
        is_fit &= digit < 10;
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    last.iter()
        .try_fold(number, |number, byte| {
            let digit = byte.wrapping_sub(b'0');
            let tens = number.checked_mul(10).filter(|_| digit < 10)?;
            tens.checked_add(u64::from(digit))
        })
        .filter(|_| is_fit)
}

fn parse_text(cursor: &mut Cursor<'_>) -> Result<Box<str>, Flaw> {
    match std::str::from_utf8(cursor.bytes()?) {
        Ok(text) => Ok(text.into()),
        Err(_) => Err(Flaw("a text of a template is not UTF-8")),
    }
}

impl Slot {
    /// Whether the values are numbers or codes in pages.
    pub(in crate::segment) fn has_pages(&self) -> bool {
        !matches!(self, Slot::Constant(_) | Slot::Heap(_))
    }

    pub(in crate::segment) fn memory_bytes(&self) -> usize {
        size_of::<Slot>()
            + match self {
                Slot::Constant(text) => text.len(),
                Slot::NumberDictionary(_, entries) => entries.len() * 8,
                Slot::Dictionary(texts) => texts.memory_bytes(),
                Slot::Wide(..) => 64,
                Slot::Numbers(..) | Slot::Heap(_) => 0,
            }
    }

    /// Appends the text of a number or code of a page.
    pub(in crate::segment) fn write(&self, number: u128, out: &mut String) -> Result<(), Flaw> {
        let entry = usize::try_from(number).ok();
        match self {
            Slot::Constant(text) => out.push_str(text),
            Slot::Numbers(form, ..) => form.write(number, out),
            Slot::Wide(form, squeeze) => form.write(squeeze.expand(number), out),
            Slot::NumberDictionary(form, entries) => {
                let number = entry
                    .and_then(|entry| entries.get(entry))
                    .ok_or(Flaw("a code of a variable is not in its dictionary"))?;
                form.write(u128::from(*number), out);
            }
            Slot::Dictionary(texts) => {
                let text = entry
                    .and_then(|entry| texts.get(entry))
                    .ok_or(Flaw("a code of a variable is not in its dictionary"))?;
                out.push_str(text);
            }
            Slot::Heap(_) => return Err(Flaw("a variable of the heap has no pages")),
        }
        Ok(())
    }

    pub(in crate::segment) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Slot::Constant(text) => {
                out.push(CONSTANT);
                put_bytes(out, text.as_bytes());
            }
            Slot::Numbers(form, least, greatest) => {
                out.push(NUMBERS);
                form.put(out);
                put_varint(out, *least);
                put_varint(out, greatest.wrapping_sub(*least));
            }
            Slot::Wide(form, squeeze) => {
                out.push(WIDE);
                form.put(out);
                out.extend_from_slice(&squeeze.varying.to_le_bytes());
                out.extend_from_slice(&squeeze.constant.to_le_bytes());
            }
            Slot::NumberDictionary(form, entries) => {
                out.push(NUMBER_DICTIONARY);
                form.put(out);
                put_varint(out, entries.len() as u64);
                let entries: Vec<i64> = entries.iter().map(|entry| *entry as i64).collect();
                ints::encode(&entries, out);
            }
            Slot::Dictionary(texts) => {
                out.push(DICTIONARY);
                put_varint(out, texts.len() as u64);
                for text in texts.iter() {
                    put_bytes(out, text.as_bytes());
                }
            }
            Slot::Heap(letters) => {
                out.push(HEAP);
                letters.put(out);
            }
        }
    }

    /// Reads the form of a variable of a template with `rows` rows: no dictionary has more entries.
    pub(in crate::segment) fn parse(cursor: &mut Cursor<'_>, rows: usize) -> Result<Slot, Flaw> {
        let entries_max = rows.min(ENTRIES_MAX);
        Ok(match cursor.byte()? {
            CONSTANT => Slot::Constant(parse_text(cursor)?),
            NUMBERS => {
                let form = NumberForm::parse_form(cursor)?;
                let least = cursor.varint()?;
                let greatest = least.wrapping_add(cursor.varint()?);
                Slot::Numbers(form, least, greatest)
            }
            WIDE => {
                let form = NumberForm::parse_form(cursor)?;
                let varying = u128::from_le_bytes(cursor.array()?);
                let constant = u128::from_le_bytes(cursor.array()?);
                Slot::Wide(form, Squeeze::new(varying, constant))
            }
            NUMBER_DICTIONARY => {
                let form = NumberForm::parse_form(cursor)?;
                let count = cursor.count(entries_max)?;
                let entries = ints::decode(cursor, count)?;
                let entries: Vec<u64> = entries.into_iter().map(|entry| entry as u64).collect();
                if !entries.is_sorted_by(|a, b| a < b) {
                    return Err(Flaw("a dictionary of numbers does not ascend"));
                }
                Slot::NumberDictionary(form, entries)
            }
            DICTIONARY => {
                let count = cursor.count(entries_max)?;
                let texts = (0..count).map(|_| parse_text(cursor));
                let texts: Vec<Box<str>> = texts.collect::<Result<_, _>>()?;
                Slot::Dictionary(std::sync::Arc::new(
                    texts.iter().map(|text| &**text).collect(),
                ))
            }
            HEAP => Slot::Heap(Letters::parse(cursor)?),
            _ => return Err(Flaw("a form of variables is unknown")),
        })
    }
}

/// Pages of a slot while they are written: bytes, and the length of each.
#[derive(Default)]
pub(in crate::segment) struct SlotPages {
    pub bytes: Vec<u8>,
    pub lengths: Vec<usize>,
}

impl SlotPages {
    fn of(numbers: &[u64]) -> SlotPages {
        let mut pages = SlotPages::default();
        for page in numbers.chunks(PAGE_VALUES) {
            let start = pages.bytes.len();
            let least = page.iter().copied().min().unwrap_or_default();
            let greatest = page.iter().copied().max().unwrap_or_default();
            let width = width_of(greatest - least);
            pages.bytes.push(width as u8);
            put_varint(&mut pages.bytes, least);
            let mut packer = Packer::new(&mut pages.bytes);
            page.iter()
                .for_each(|number| packer.push(number - least, width));
            packer.finish();
            pages.lengths.push(pages.bytes.len() - start);
        }
        pages
    }

    fn of_wide(numbers: &[u128], squeeze: &Squeeze) -> SlotPages {
        let mut pages = SlotPages::default();
        let width = squeeze.width();
        for page in numbers.chunks(PAGE_VALUES) {
            let start = pages.bytes.len();
            let mut packer = Packer::new(&mut pages.bytes);
            for number in page {
                packer.push_wide(squeeze.squeeze(*number), width);
            }
            packer.finish();
            pages.lengths.push(pages.bytes.len() - start);
        }
        pages
    }
}

/// A page as read: any of its values at once.
pub(in crate::segment) enum Page<'a> {
    Narrow {
        base: u64,
        width: u32,
        packed: &'a [u8],
    },
    Wide {
        width: u32,
        packed: &'a [u8],
    },
}

impl<'a> Page<'a> {
    /// The page of `count` values of a slot that has pages.
    pub(in crate::segment) fn parse(
        slot: &Slot,
        bytes: &'a [u8],
        count: usize,
    ) -> Result<Page<'a>, Flaw> {
        let mut cursor = Cursor::new(bytes);
        let page = match slot {
            Slot::Wide(_, squeeze) => {
                let width = squeeze.width();
                let packed = cursor.take(packed_bytes(count, width))?;
                Page::Wide { width, packed }
            }
            _ => {
                let width = u32::from(cursor.byte()?);
                if width > 64 {
                    return Err(Flaw("a width is above 64 bits"));
                }
                let base = cursor.varint()?;
                let packed = cursor.take(packed_bytes(count, width))?;
                Page::Narrow {
                    base,
                    width,
                    packed,
                }
            }
        };
        cursor.finish()?;
        Ok(page)
    }

    pub(in crate::segment) fn get(&self, index: usize) -> u128 {
        match self {
            Page::Narrow {
                base,
                width,
                packed,
            } => u128::from(base.wrapping_add(get(packed, *width, index))),
            Page::Wide { width, packed } => get_wide(packed, *width, index),
        }
    }
}

/// A slot that was encoded. Without pages for constants and the heap.
pub(in crate::segment) struct EncodedSlot {
    pub slot: Slot,
    pub pages: SlotPages,
}

/// Encodes the values of a slot, at least one, in the form that costs least.
pub(in crate::segment) fn encode(kind: VariableKind, texts: &Texts) -> EncodedSlot {
    let first = texts.get(0).unwrap_or_default();
    if texts.iter().all(|text| text == first) {
        return EncodedSlot {
            slot: Slot::Constant(first.into()),
            pages: SlotPages::default(),
        };
    }
    let is_repeating = is_repeating(texts);
    if let Some((form, numbers)) = narrow_numbers(kind, texts, first) {
        let pages = SlotPages::of(&numbers);
        if is_repeating
            && let Some(dictionary) = number_dictionary(&form, &numbers, pages.bytes.len())
        {
            return dictionary;
        }
        let least = numbers.iter().copied().min().unwrap_or_default();
        let greatest = numbers.iter().copied().max().unwrap_or_default();
        return EncodedSlot {
            slot: Slot::Numbers(form, least, greatest),
            pages,
        };
    }
    if let Some((form, numbers)) = wide_numbers(kind, texts, first) {
        let squeeze = Squeeze::of(&numbers);
        let pages = SlotPages::of_wide(&numbers, &squeeze);
        return EncodedSlot {
            slot: Slot::Wide(form, squeeze),
            pages,
        };
    }
    let dictionary = is_repeating.then(|| dictionary(texts)).flatten();
    dictionary.unwrap_or_else(|| EncodedSlot {
        slot: Slot::Heap(Letters::of(texts.text())),
        pages: SlotPages::default(),
    })
}

/// Whether values repeat, as a sample says.
fn is_repeating(texts: &Texts) -> bool {
    let step = texts.len().div_ceil(TRIAL_VALUES).max(1);
    let indices = (0..texts.len()).step_by(step);
    let mut sample: Vec<&str> = indices.filter_map(|index| texts.get(index)).collect();
    let taken = sample.len();
    sample.sort_unstable();
    sample.dedup();
    sample.len() * TRIAL_VALUES <= taken * TRIAL_DISTINCT_MAX
}

/// All values as numbers up to 64 bits of the first form that fits.
fn narrow_numbers(
    kind: VariableKind,
    texts: &Texts,
    first: &str,
) -> Option<(NumberForm, Vec<u64>)> {
    candidates(kind, first).into_iter().find_map(|form| {
        let numbers = texts.iter().map(|text| form.parse(text));
        let numbers: Option<Vec<u64>> = numbers.collect();
        numbers.map(|numbers| (form, numbers))
    })
}

fn candidates(kind: VariableKind, first: &str) -> Vec<NumberForm> {
    let form = |prefix: &str, suffix: &str, digits| NumberForm {
        prefix: prefix.into(),
        suffix: suffix.into(),
        digits,
    };
    match kind {
        VariableKind::Ipv4 => return vec![form("", "", Digits::Ipv4)],
        VariableKind::Token => {}
        VariableKind::Uuid | VariableKind::Ipv6 | VariableKind::Word => return Vec::new(),
    }
    let is_digit = |c: char| c.is_ascii_digit();
    let start = first.find(is_digit).unwrap_or(first.len());
    let end = first.rfind(is_digit).map_or(start, |last| last + 1);
    let (prefix, digits, suffix) = (&first[..start], &first[start..end], &first[end..]);
    let mut forms = Vec::new();
    if digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() <= DECIMAL_DIGITS_MAX {
        forms.push(form(prefix, suffix, Digits::Shortest));
        forms.push(form(prefix, suffix, Digits::Decimal(digits.len() as u8)));
    }
    for prefix in ["", "0x"] {
        let Some(digits) = first.strip_prefix(prefix) else {
            continue;
        };
        for is_upper in [false, true] {
            if (1..=16).contains(&digits.len())
                && parse_hex_digits(digits.as_bytes(), is_upper).is_some()
            {
                let digits = digits.len() as u8;
                forms.push(form(prefix, "", Digits::Hex { digits, is_upper }));
            }
        }
    }
    forms
}

/// All values as numbers up to 128 bits.
fn wide_numbers(kind: VariableKind, texts: &Texts, first: &str) -> Option<(NumberForm, Vec<u128>)> {
    let digits = first.len();
    let forms = match kind {
        VariableKind::Uuid => vec![Form::Uuid],
        VariableKind::Ipv6 => vec![Form::Ipv6],
        VariableKind::Token if (17..=32).contains(&digits) => {
            vec![Form::HexLower(digits), Form::HexUpper(digits)]
        }
        _ => Vec::new(),
    };
    forms.into_iter().find_map(|form| {
        let numbers = texts.iter().map(|text| form.parse(text));
        let numbers: Vec<u128> = numbers.collect::<Option<_>>()?;
        let form = NumberForm {
            prefix: "".into(),
            suffix: "".into(),
            digits: Digits::Wide(form),
        };
        Some((form, numbers))
    })
}

/// Codes of numbers, if they take less than `bytes_max` with their dictionary.
fn number_dictionary(form: &NumberForm, numbers: &[u64], bytes_max: usize) -> Option<EncodedSlot> {
    let mut entries = numbers.to_vec();
    entries.sort_unstable();
    entries.dedup();
    if entries.len() > ENTRIES_MAX {
        return None;
    }
    let mut packed = Vec::new();
    let signed: Vec<i64> = entries.iter().map(|entry| *entry as i64).collect();
    ints::encode(&signed, &mut packed);
    let code_bytes = packed_bytes(numbers.len(), width_of(entries.len() as u64 - 1));
    if packed.len() + code_bytes >= bytes_max {
        return None;
    }
    let codes = numbers
        .iter()
        .map(|number| entries.partition_point(|entry| entry < number) as u64);
    let pages = SlotPages::of(&codes.collect::<Vec<_>>());
    Some(EncodedSlot {
        slot: Slot::NumberDictionary(form.clone(), entries),
        pages,
    })
}

/// Codes of texts, if they repeat enough.
fn dictionary(texts: &Texts) -> Option<EncodedSlot> {
    let mut entries: HashMap<&str, u32> = HashMap::new();
    let mut codes = Vec::with_capacity(texts.len());
    for text in texts.iter() {
        let next = entries.len() as u32;
        codes.push(*entries.entry(text).or_insert(next));
        let is_too_many = entries.len() > ENTRIES_MAX || entries.len() * 2 > texts.len();
        if is_too_many || text.len() > ENTRY_BYTES_MAX {
            return None;
        }
    }
    let mut sorted: Vec<(&str, u32)> = entries.into_iter().collect();
    sorted.sort_unstable();
    let mut new_codes = vec![0u64; sorted.len()];
    for (new_code, (_, code)) in (0u64..).zip(&sorted) {
        new_codes[*code as usize] = new_code;
    }
    let codes: Vec<u64> = codes.iter().map(|code| new_codes[*code as usize]).collect();
    Some(EncodedSlot {
        slot: Slot::Dictionary(std::sync::Arc::new(
            sorted.iter().map(|(text, _)| *text).collect(),
        )),
        pages: SlotPages::of(&codes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// Encodes, reads every value back, and says which form was taken.
    #[track_caller]
    fn check(kind: VariableKind, texts: &[&str]) -> u8 {
        let encoded = encode(kind, &texts.iter().copied().collect());
        let mut head = Vec::new();
        encoded.slot.put(&mut head);
        let mut cursor = Cursor::new(&head);
        let slot = Slot::parse(&mut cursor, texts.len()).unwrap();
        cursor.finish().unwrap();
        if matches!(slot, Slot::Heap(_)) {
            return HEAP;
        }
        let mut start = 0;
        let mut found = Vec::new();
        for (page, length) in encoded.pages.lengths.iter().enumerate() {
            let count = (texts.len() - page * PAGE_VALUES).min(PAGE_VALUES);
            let bytes = &encoded.pages.bytes[start..start + length];
            let page = Page::parse(&slot, bytes, count).unwrap();
            start += length;
            for index in 0..count {
                let mut text = String::new();
                slot.write(page.get(index), &mut text).unwrap();
                found.push(text);
            }
        }
        if let Slot::Constant(text) = &slot {
            found = vec![text.to_string(); texts.len()];
        }
        assert_eq!(found, texts);
        head[0]
    }

    #[track_caller]
    fn check_form(expected: u8, kind: VariableKind, texts: &[&str]) {
        assert_eq!(check(kind, texts), expected, "{texts:?}");
    }

    #[test]
    fn each_form_is_taken_where_it_fits() {
        use VariableKind::{Ipv4, Ipv6, Token, Uuid, Word};
        check_form(CONSTANT, Token, &["7", "7", "7"]);
        check_form(
            NUMBERS,
            Token,
            &["7", "0", "18446744073", "18446744073709551615"],
        );
        check_form(NUMBERS, Token, &["07", "00", "18"]);
        check_form(NUMBERS, Token, &["worker7x", "worker81x"]);
        check_form(NUMBERS, Token, &["40000500", "4a000500"]);
        check_form(NUMBERS, Token, &["0xDEAD", "0xBEE1"]);
        check_form(NUMBERS, Ipv4, &["10.0.0.1", "255.255.255.255"]);
        check_form(
            WIDE,
            Uuid,
            &[
                "5fe9c0f0-4bec-4902-8f49-db78cd1d06df",
                "00000000-0000-0000-0000-000000000000",
            ],
        );
        check_form(WIDE, Ipv6, &["fe80::1", "::1"]);
        check_form(WIDE, Token, &["0123456789abcdef01", "ffff456789abcdef01"]);
        check_form(HEAP, Token, &["07", "7", "007"]);
        check_form(HEAP, Token, &["7a", "b7", "007"]);
        check_form(
            HEAP,
            Uuid,
            &[
                "5FE9C0F0-4bec-4902-8f49-db78cd1d06df",
                "00000000-0000-0000-0000-000000000000",
            ],
        );
        check_form(HEAP, Token, &["99999999999999999999", "7"]);
        check_form(HEAP, Word, &["a", "b"]);
        let repeated = [["1000000", "5"], ["77", "5"]].concat().repeat(100);
        check_form(NUMBER_DICTIONARY, Token, &repeated);
        let repeated = ["a7", "7b", "007"].repeat(100);
        check_form(DICTIONARY, Token, &repeated);
        let many: Vec<String> = (0..20_000).map(|n| (n * 7).to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        check_form(NUMBERS, Token, &many);
    }

    proptest! {
        #[test]
        fn any_texts_come_back(texts in vec("[0-9a-fxA-F]{1,20}", 1..50), repeats in 1usize..20) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            check(VariableKind::Token, &texts.repeat(repeats));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, page: Vec<u8>, count in 0usize..100) {
            if let Ok(slot) = Slot::parse(&mut Cursor::new(&bytes), count)
                && slot.has_pages()
                && let Ok(page) = Page::parse(&slot, &page, count)
            {
                for index in 0..count {
                    let _ = slot.write(page.get(index), &mut String::new());
                }
            }
        }
    }
}
