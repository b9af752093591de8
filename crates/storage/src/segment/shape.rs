//! What the texts of a column of numbers or ids look like: most clues cannot be about them, and
//! those that can be name some bits of the id.
use super::{
    directory::Layout,
    fixed::{Form, Squeeze},
};
use crate::find::Clue;
use std::ops::RangeInclusive;
use taffrail_model::token::fold;

/// Digits of the longest number of [`Layout::Integer`].
const INTEGER_DIGITS_MAX: usize = 19;

/// Some bits of an id. Fields are masked: no bit is set in `value` that is not in `mask`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::segment) struct Bits {
    pub mask: u128,
    pub value: u128,
}

impl Bits {
    /// All bits of an id.
    pub(in crate::segment) fn all(value: u128) -> Bits {
        Bits {
            mask: u128::MAX,
            value,
        }
    }

    pub(in crate::segment) fn are_in(self, id: u128) -> bool {
        id & self.mask == self.value
    }

    /// The same of squeezed ids; `None` if what all of them have in common has other bits.
    pub(in crate::segment) fn squeezed(self, squeeze: &Squeeze) -> Option<Bits> {
        let differing = (squeeze.constant ^ self.value) & self.mask & !squeeze.varying;
        (differing == 0).then(|| Bits {
            mask: squeeze.squeeze(self.mask),
            value: squeeze.squeeze(self.value),
        })
    }

    /// The ids with these bits as a range, where the bits are the highest of so many.
    pub(in crate::segment) fn to_range(self, id_bits: u32) -> Option<RangeInclusive<u128>> {
        let all = u128::MAX >> (128 - id_bits);
        let others = !self.mask & all;
        let are_lowest = others & others.wrapping_add(1) == 0;
        are_lowest.then_some(self.value..=self.value | others)
    }

    fn with(self, shift: u32, bits: u32, value: u128) -> Bits {
        let mask = (u128::MAX >> (128 - bits)) << shift;
        Bits {
            mask: self.mask | mask,
            value: self.value | value << shift,
        }
    }
}

/// No bit.
const NO_BITS: Bits = Bits { mask: 0, value: 0 };

/// Whether a clue may hold for a value of the layout; `true` where nothing is known.
pub(in crate::segment) fn may_hold(layout: &Layout, clue: &Clue) -> bool {
    match layout {
        Layout::Integer => may_be_number(clue, "-0123456789", 1),
        Layout::Decimal { .. } => may_be_number(clue, "-.0123456789", 2),
        Layout::Fixed { form, .. } => may_be_id(*form, clue),
        Layout::FixedDictionary(dictionary) => may_be_id(dictionary.form, clue),
        _ => true,
    }
}

/// Whether a clue may hold for numbers of these characters and so many runs of digits.
fn may_be_number(clue: &Clue, characters: &str, runs: usize) -> bool {
    let covers = |text: &str| text.chars().all(|c| characters.contains(c));
    match clue {
        Clue::Phrase(tokens) => {
            let are_digits = tokens.iter().all(|token| covers(token));
            are_digits
                && tokens.len() <= runs
                && tokens.iter().all(|token| token.len() <= INTEGER_DIGITS_MAX)
        }
        Clue::Substring(text) | Clue::Contains { text, .. } | Clue::Whole(text) => covers(text),
        Clue::Number(_) | Clue::Anything => true,
    }
}

fn may_be_id(form: Form, clue: &Clue) -> bool {
    match clue {
        Clue::Phrase(tokens) => bits_of_tokens(form, tokens).is_none_or(|bits| !bits.is_empty()),
        Clue::Substring(text) | Clue::Contains { text, .. } => may_be_inside(form, &fold(text)),
        Clue::Whole(text) => form.is_long() || form.parse(text).is_some(),
        Clue::Number(_) => matches!(form, Form::HexLower(_) | Form::HexUpper(_)),
        Clue::Anything => true,
    }
}

/// Whether an id may contain a folded text.
fn may_be_inside(form: Form, folded: &str) -> bool {
    let is_hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    match form {
        Form::Uuid => (0..36).any(|start| {
            folded.chars().zip(start..).all(|(c, at)| match at {
                8 | 13 | 18 | 23 => c == '-',
                0..36 => is_hex(c),
                _ => false,
            })
        }),
        Form::HexLower(digits) | Form::HexUpper(digits) => {
            folded.len() <= digits && folded.chars().all(is_hex)
        }
        Form::Ipv4 => {
            folded.len() <= "255.255.255.255".len()
                && folded.chars().all(|c| c == '.' || c.is_ascii_digit())
        }
        Form::Ipv6 => folded.chars().all(|c| is_hex(c) || matches!(c, ':' | '.')),
    }
}

/// The bits of which an id must have one set so that its text has these folded tokens, one after
/// the other; `None` where the form does not tell.
pub(in crate::segment) fn bits_of_tokens(form: Form, tokens: &[String]) -> Option<Vec<Bits>> {
    match form {
        Form::Uuid | Form::Ipv4 => {
            let groups = groups_of(form).len();
            Some(
                (0..groups)
                    .filter_map(|first| bits_at(form, tokens, first))
                    .collect(),
            )
        }
        Form::HexLower(digits) | Form::HexUpper(digits) if digits <= 32 => {
            let [token] = tokens else {
                return Some(Vec::new());
            };
            let number = (token.len() == digits).then(|| hex(token)).flatten();
            Some(number.map(Bits::all).into_iter().collect())
        }
        Form::HexLower(digits) | Form::HexUpper(digits) => match tokens {
            [token] if token.len() == digits => None,
            _ => Some(Vec::new()),
        },
        Form::Ipv6 => None,
    }
}

/// The groups of digits of an id that has several: lowest bit and number of bits of each.
fn groups_of(form: Form) -> &'static [(u32, u32)] {
    match form {
        Form::Uuid => &[(96, 32), (80, 16), (64, 16), (48, 16), (0, 48)],
        Form::Ipv4 => &[(24, 8), (16, 8), (8, 8), (0, 8)],
        Form::Ipv6 | Form::HexLower(_) | Form::HexUpper(_) => &[],
    }
}

/// The bits that a UUID or IPv4 address must have so that these are its groups of digits from
/// group `first` on; `None` if they cannot be.
pub(in crate::segment) fn bits_at(
    form: Form,
    tokens: &[impl AsRef<str>],
    first: usize,
) -> Option<Bits> {
    let groups = groups_of(form).get(first..first + tokens.len())?;
    let mut pairs = tokens.iter().zip(groups);
    pairs.try_fold(NO_BITS, |bits, (token, (shift, width))| {
        let token = token.as_ref();
        let number = match form {
            Form::Ipv4 => octet(token)?,
            _ => (token.len() == *width as usize / 4).then(|| hex(token))??,
        };
        Some(bits.with(*shift, *width, number))
    })
}

/// The number of lower-case hexadecimal digits.
fn hex(token: &str) -> Option<u128> {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_fit = !token.is_empty() && token.bytes().all(is_hex);
    is_fit.then(|| u128::from_str_radix(token, 16).ok())?
}

/// The number of an octet as an address writes it.
fn octet(token: &str) -> Option<u128> {
    let number: u8 = token.parse().ok()?;
    (number.to_string() == token).then_some(u128::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use taffrail_model::token::tokens;

    fn phrase(text: &str) -> Vec<String> {
        let folded = fold(text);
        tokens(&folded)
            .map(|(start, end)| folded[start..end].to_owned())
            .collect()
    }

    const FORMS: [Form; 5] = [
        Form::Uuid,
        Form::Ipv4,
        Form::Ipv6,
        Form::HexLower(12),
        Form::HexUpper(32),
    ];

    proptest! {
        #[test]
        fn what_is_in_an_id_may_be_there(
            id: u128,
            form in 0..FORMS.len(),
            from in 0..40usize,
            length in 1..40usize,
        ) {
            let form = FORMS[form];
            let id = match form {
                Form::Ipv4 => id & 0xffff_ffff,
                Form::HexLower(12) => id & 0xffff_ffff_ffff,
                _ => id,
            };
            let mut text = String::new();
            form.write(id, &mut text);
            let part: String = text.chars().skip(from).take(length).collect();
            for is_folded in [false, true] {
                let clue = Clue::Contains { text: part.clone(), is_folded };
                prop_assert!(part.is_empty() || may_be_id(form, &clue), "{clue:?} in {text}");
            }
            let all = phrase(&text);
            for start in 0..all.len() {
                for end in start + 1..=all.len() {
                    let window = &all[start..end];
                    prop_assert!(may_be_id(form, &Clue::Phrase(window.to_vec())));
                    if let Some(bits) = bits_of_tokens(form, window) {
                        prop_assert!(bits.iter().any(|bits| bits.are_in(id)), "{window:?} in {text}");
                    }
                }
            }
        }

        #[test]
        fn an_id_with_the_bits_has_the_tokens(id: u128, other: u128, start in 0..5usize, count in 1..6usize) {
            for form in [Form::Uuid, Form::Ipv4] {
                let id = if form == Form::Ipv4 { id & 0xffff_ffff } else { id };
                let mut text = String::new();
                form.write(id, &mut text);
                let all = phrase(&text);
                let window: Vec<String> = all.into_iter().skip(start).take(count).collect();
                if window.is_empty() {
                    continue;
                }
                for bits in bits_of_tokens(form, &window).unwrap() {
                    let mixed = other & !bits.mask | bits.value;
                    let mixed = if form == Form::Ipv4 { mixed & 0xffff_ffff } else { mixed };
                    let mut text = String::new();
                    form.write(mixed, &mut text);
                    prop_assert!(phrase(&text).windows(window.len()).any(|have| have == window));
                }
            }
        }
    }

    #[track_caller]
    fn check(layout: &Layout, clue: Clue, expected: bool) {
        assert_eq!(may_hold(layout, &clue), expected, "{clue:?}");
    }

    #[test]
    fn words_that_no_number_has_are_left_out() {
        let words = |words: &[&str]| Clue::Phrase(words.iter().map(ToString::to_string).collect());
        let integer = Layout::Integer;
        check(&integer, words(&["404"]), true);
        check(&integer, words(&["4", "04"]), false);
        check(&integer, words(&["404a"]), false);
        check(&integer, words(&["9223372036854775807"]), true);
        check(&integer, words(&["19743484743794061209"]), false);
        check(&integer, Clue::Substring("-40".into()), true);
        check(&integer, Clue::Substring("4.0".into()), false);
        check(&integer, Clue::Number(1e300), true);
    }

    #[test]
    fn words_that_no_id_has_are_left_out() {
        let id = |form, tokens: &[&str]| {
            let tokens: Vec<String> = tokens.iter().map(ToString::to_string).collect();
            bits_of_tokens(form, &tokens).map(|bits| bits.len())
        };
        assert_eq!(id(Form::Uuid, &["cafe"]), Some(3));
        assert_eq!(id(Form::Uuid, &["cafe", "beef"]), Some(2));
        assert_eq!(id(Form::Uuid, &["cafe", "12345678"]), Some(0));
        assert_eq!(id(Form::Uuid, &["zzzz"]), Some(0));
        assert_eq!(id(Form::Ipv4, &["10"]), Some(4));
        assert_eq!(id(Form::Ipv4, &["010"]), Some(0));
        assert_eq!(id(Form::Ipv4, &["256"]), Some(0));
        assert_eq!(id(Form::Ipv4, &["1", "2", "3", "4", "5"]), Some(0));
        assert_eq!(id(Form::Ipv6, &["1"]), None);
        assert_eq!(id(Form::HexLower(40), &["1"]), Some(0));
        assert_eq!(id(Form::HexLower(8), &["0000cafe"]), Some(1));
        assert_eq!(id(Form::HexLower(8), &["cafe"]), Some(0));
    }
}
