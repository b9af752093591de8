//! Looking a value up in the column of a variable, without writing the column's values out.
use super::slot::{Digits, NumberForm, Page, Slot};
use crate::segment::{
    bits::{each_equal, each_with_bits, get_wide, mask, unpack},
    fixed::Form,
    shape::{Bits, bits_at},
};
use std::sync::Arc;
use taffrail_model::token::{fold, tokens};

/// A variable with what is looked for in it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::segment) struct Wanted {
    /// Number of the variable within its template.
    pub index: usize,
    /// The value, folded, or some of its tokens with what separates them.
    pub folded: Arc<str>,
    /// The token of the value at which `folded` begins, if it is not all of it.
    pub part: Option<usize>,
}

/// Where a value of a slot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::segment) enum Found {
    /// In no row.
    None,
    /// In every row.
    All,
    /// In the rows with one of these numbers or codes, ascending.
    Numbers(Vec<u128>),
    /// In the rows whose number has these bits.
    Bits(Bits),
    /// Each row must be looked at.
    Unknown,
}

impl Found {
    fn of_codes(codes: impl Iterator<Item = u128>) -> Found {
        let codes: Vec<u128> = codes.collect();
        match codes.is_empty() {
            true => Found::None,
            false => Found::Numbers(codes),
        }
    }
}

impl Wanted {
    fn is_text(&self, text: &str) -> bool {
        match self.part {
            None => text.eq_ignore_ascii_case(&self.folded),
            Some(first) => {
                let folded = fold(text);
                let mut all = tokens(&folded).skip(first);
                tokens(&self.folded).all(|(start, end)| {
                    let have = all.next().map(|(start, end)| &folded[start..end]);
                    have == Some(&self.folded[start..end])
                })
            }
        }
    }

    /// The bits of a part of an id, if the form has some for it; `None`: no id has the part.
    fn bits(&self, form: Form, first: usize) -> Option<Bits> {
        let parts: Vec<&str> = tokens(&self.folded)
            .map(|(start, end)| &self.folded[start..end])
            .collect();
        bits_at(form, &parts, first)
    }
}

/// The form of the ids that the numbers stand for, if they are ids with parts.
fn id_form(form: &NumberForm) -> Option<Form> {
    let is_bare = form.prefix.is_empty() && form.suffix.is_empty();
    let id = match form.digits {
        Digits::Ipv4 => Form::Ipv4,
        Digits::Wide(Form::Uuid) => Form::Uuid,
        _ => return None,
    };
    is_bare.then_some(id)
}

impl Slot {
    /// Which numbers or codes of the pages stand for what is wanted.
    pub(in crate::segment) fn find(&self, wanted: &Wanted) -> Found {
        match (self, wanted.part) {
            (Slot::Constant(text), _) => match wanted.is_text(text) {
                true => Found::All,
                false => Found::None,
            },
            (Slot::Dictionary(texts), _) => {
                let codes = (0u128..).zip(texts.iter());
                let same = codes.filter(|(_, text)| wanted.is_text(text));
                Found::of_codes(same.map(|(code, _)| code))
            }
            (Slot::Heap(_), _) => Found::Unknown,
            (slot, None) => slot.find_number(&wanted.folded),
            (slot, Some(first)) => slot.find_part(wanted, first),
        }
    }

    fn find_number(&self, folded: &str) -> Found {
        let found = match self {
            Slot::Numbers(form, least, greatest) => {
                let range = u128::from(*least)..=u128::from(*greatest);
                let number = form.parse_folded(folded);
                number.filter(|number| range.contains(number))
            }
            Slot::Wide(form, squeeze) => form.parse_folded(folded).and_then(|number| {
                let squeezed = squeeze.squeeze(number);
                (squeeze.expand(squeezed) == number).then_some(squeezed)
            }),
            Slot::NumberDictionary(form, entries) => {
                let number = form.parse_folded(folded);
                let number = number.and_then(|number| u64::try_from(number).ok());
                let code = number.and_then(|number| entries.binary_search(&number).ok());
                code.map(|code| code as u128)
            }
            Slot::Constant(_) | Slot::Dictionary(_) | Slot::Heap(_) => return Found::Unknown,
        };
        Found::of_codes(found.into_iter())
    }

    fn find_part(&self, wanted: &Wanted, first: usize) -> Found {
        let (Slot::Numbers(form, ..) | Slot::Wide(form, _) | Slot::NumberDictionary(form, _)) =
            self
        else {
            return Found::Unknown;
        };
        let Some(id) = id_form(form) else {
            return Found::Unknown;
        };
        let Some(bits) = wanted.bits(id, first) else {
            return Found::None;
        };
        match self {
            Slot::Wide(_, squeeze) => bits.squeezed(squeeze).map_or(Found::None, Found::Bits),
            Slot::NumberDictionary(_, entries) => {
                let codes = (0u128..).zip(entries);
                let with = codes.filter(|(_, number)| bits.are_in(u128::from(**number)));
                Found::of_codes(with.map(|(code, _)| code))
            }
            _ => Found::Bits(bits),
        }
    }
}

impl Page<'_> {
    /// Gives `take` a word of bits for each 64 of the page's `count` numbers, in order: which of
    /// them are found. Nothing is given if none is.
    pub(in crate::segment) fn each_found(
        &self,
        count: usize,
        found: &Found,
        mut take: impl FnMut(usize, u64),
    ) {
        let mut word = 0;
        let mut next = |bits| {
            take(word, bits);
            word += 1;
        };
        match (self, found) {
            (_, Found::None) => {}
            (_, Found::All | Found::Unknown) => {
                (0..count)
                    .step_by(64)
                    .for_each(|first| next(mask((count - first).min(64) as u32)));
            }
            (
                Page::Narrow {
                    base,
                    width,
                    packed,
                },
                Found::Numbers(numbers),
            ) => {
                let range = u128::from(*base)..=u128::from(*base) + u128::from(mask(*width));
                let offsets: Vec<u64> = numbers
                    .iter()
                    .filter(|number| range.contains(number))
                    .map(|number| (number - range.start()) as u64)
                    .collect();
                match &offsets[..] {
                    [] => {}
                    [one] => each_equal(packed, *width, count, *one, next),
                    many => unpack(packed, *width, count, |numbers| {
                        next(word_of(numbers, |number| {
                            many.binary_search(number).is_ok()
                        }));
                    }),
                }
            }
            (
                Page::Narrow {
                    base,
                    width,
                    packed,
                },
                Found::Bits(bits),
            ) => {
                unpack(packed, *width, count, |numbers| {
                    next(word_of(numbers, |number| {
                        bits.are_in(u128::from(base.wrapping_add(*number)))
                    }));
                });
            }
            (Page::Wide { width, packed }, Found::Bits(bits)) => {
                each_with_bits(packed, *width, count, (bits.mask, bits.value), next);
            }
            (Page::Wide { width, packed }, Found::Numbers(numbers)) => match &numbers[..] {
                [one] => each_with_bits(packed, *width, count, (u128::MAX, *one), next),
                many => {
                    for first in (0..count).step_by(64) {
                        let all = (first..count.min(first + 64)).zip(0..);
                        next(all.fold(0, |word, (index, bit)| {
                            let number = get_wide(packed, *width, index);
                            word | u64::from(many.binary_search(&number).is_ok()) << bit
                        }));
                    }
                }
            },
        }
    }
}

fn word_of(numbers: &[u64], is_found: impl Fn(&u64) -> bool) -> u64 {
    let bits = (0..).zip(numbers);
    bits.fold(0, |word, (bit, number)| {
        word | u64::from(is_found(number)) << bit
    })
}
