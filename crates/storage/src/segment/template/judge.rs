//! What the templates of a column say about a clue, before any row is looked at.
//!
//! A template is judged by its literal parts and by what its variables can be. A verdict of
//! [`Verdict::Never`] is certain; where it is not, rows are looked at.
use super::{
    head::Head,
    lookup::Wanted,
    slot::{Digits, NumberForm, Slot},
};
use crate::{find::Clue, read::VariableKind};
use std::{borrow::Cow, sync::Arc};
use taffrail_model::token::{fold, fold_into, tokens};

/// Steps after which a text is taken to occur: each template is judged in microseconds.
const STEPS_MAX: usize = 4_096;

/// What is known of the rows of a template.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::segment) enum Verdict {
    /// None of them passes.
    Never,
    /// All of them pass.
    All,
    /// Those pass for which one of these alternatives holds.
    Where(Vec<Vec<Wanted>>),
    /// Those pass that have the one word of the clue of this number in a variable.
    Word(u32),
    /// Each must be looked at.
    Check,
}

impl Verdict {
    fn or(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::All, _) | (_, Verdict::All) => Verdict::All,
            (Verdict::Never, other) | (other, Verdict::Never) => other,
            (Verdict::Word(a), Verdict::Word(b)) if a == b => Verdict::Word(a),
            (Verdict::Check | Verdict::Word(_), _) | (_, Verdict::Check | Verdict::Word(_)) => {
                Verdict::Check
            }
            (Verdict::Where(mut a), Verdict::Where(b)) => {
                a.extend(b);
                Verdict::Where(a)
            }
        }
    }
}

/// The literal parts of all templates, folded, to be searched as one text.
pub(in crate::segment) struct FoldedLiterals {
    text: String,
    /// End of each literal part.
    ends: Vec<u32>,
}

/// Stands between two literal parts in the folded text; a hit over it is none.
const BETWEEN: char = '\0';

impl FoldedLiterals {
    pub(in crate::segment) fn of(head: &Head) -> FoldedLiterals {
        let mut folded = FoldedLiterals {
            text: String::new(),
            ends: Vec::with_capacity(head.literals.len()),
        };
        for literal in head.literals.iter() {
            fold_into(literal, &mut folded.text);
            folded.ends.push(folded.text.len() as u32);
            folded.text.push(BETWEEN);
        }
        folded
    }

    pub(in crate::segment) fn memory_bytes(&self) -> usize {
        self.text.len() + self.ends.len() * 4
    }

    fn start(&self, literal: usize) -> usize {
        match literal.checked_sub(1) {
            Some(before) => self.ends.get(before).map_or(0, |end| *end as usize + 1),
            None => 0,
        }
    }

    fn get(&self, literal: usize) -> &str {
        let end = self.ends.get(literal).map_or(0, |end| *end as usize);
        self.text.get(self.start(literal)..end).unwrap_or_default()
    }

    /// Numbers of the literal parts that contain a text, ascending.
    fn with(&self, needle: &str) -> Vec<usize> {
        let mut found = Vec::new();
        let finder = memchr::memmem::Finder::new(needle.as_bytes());
        let mut at = 0;
        while let Some(hit) = self
            .text
            .as_bytes()
            .get(at..)
            .and_then(|rest| finder.find(rest))
        {
            let hit = at + hit;
            let literal = self.ends.partition_point(|end| (*end as usize) < hit);
            let end = self.ends.get(literal).map_or(0, |end| *end as usize);
            if hit + needle.len() <= end {
                found.push(literal);
                at = end + 1;
            } else {
                at = hit + 1;
            }
        }
        found
    }
}

/// Which ASCII characters the folded values of a variable can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::segment) struct Charset(u128);

impl Charset {
    const DIGITS: Charset = Charset(0x3ff << b'0');
    const LETTERS: Charset = Charset(0x3ff_ffff << b'a');

    pub(in crate::segment) fn of(text: &str) -> Charset {
        text.bytes().fold(Charset(0), |set, byte| match byte {
            0..0x80 => Charset(set.0 | 1 << byte.to_ascii_lowercase()),
            // No variable has others.
            _ => set,
        })
    }

    fn with(self, other: Charset) -> Charset {
        Charset(self.0 | other.0)
    }

    /// Whether a folded text has no other characters.
    pub(in crate::segment) fn covers(self, folded: &str) -> bool {
        folded
            .bytes()
            .all(|byte| byte < 0x80 && self.0 >> byte & 1 == 1)
    }

    fn of_kind(kind: VariableKind) -> Charset {
        let hex = Charset::DIGITS.with(Charset::of("abcdef"));
        match kind {
            VariableKind::Token => Charset::LETTERS.with(Charset::DIGITS),
            VariableKind::Word => Charset::LETTERS,
            VariableKind::Uuid => hex.with(Charset::of("-")),
            VariableKind::Ipv4 => Charset::DIGITS.with(Charset::of(".")),
            VariableKind::Ipv6 => hex.with(Charset::of(":.")),
        }
    }

    fn of_form(form: &NumberForm) -> Charset {
        let digits = match form.digits {
            Digits::Shortest | Digits::Decimal(_) => Charset::DIGITS,
            Digits::Hex { .. } => Charset::of("0123456789abcdef"),
            Digits::Ipv4 => Charset::of_kind(VariableKind::Ipv4),
            Digits::Wide(_) => Charset::of("0123456789abcdef-:."),
        };
        digits
            .with(Charset::of(&form.prefix))
            .with(Charset::of(&form.suffix))
    }

    /// What a variable that was encoded so can have.
    fn of_slot(head: &Head, slot: usize, kind: VariableKind) -> Charset {
        match head.slots.get(slot) {
            Some(Slot::Constant(text)) => Charset::of(text),
            Some(
                Slot::Numbers(form, ..) | Slot::Wide(form, _) | Slot::NumberDictionary(form, _),
            ) => Charset::of_form(form),
            Some(Slot::Dictionary(texts)) => texts
                .iter()
                .fold(Charset(0), |set, text| set.with(Charset::of(text))),
            Some(Slot::Heap(_)) | None => {
                let letters = head.letters(slot).unwrap_or_default();
                let letters = Charset(u128::from(letters.0) << b'a');
                let others = Charset(Charset::of_kind(kind).0 & !Charset::LETTERS.0);
                others.with(letters)
            }
        }
    }
}

/// A folded token that is looked for, with what variables are asked about it.
struct Sought<'t> {
    token: &'t str,
    /// Its characters; `None` if it is not ASCII.
    characters: Option<Charset>,
    has_digit: bool,
    is_alphabetic: bool,
}

impl<'t> Sought<'t> {
    fn new(token: &'t str) -> Sought<'t> {
        Sought {
            token,
            characters: token.is_ascii().then(|| Charset::of(token)),
            has_digit: token.bytes().any(|byte| byte.is_ascii_digit()),
            is_alphabetic: token.bytes().all(|byte| byte.is_ascii_alphabetic()),
        }
    }
}

/// Places that an index keeps: of more, those of a template are laid out when it is asked for (12
/// MiB).
const PLACES_MAX: usize = 1 << 20;

/// What stands at a place in a template's row of tokens.
#[derive(Clone)]
enum Place {
    /// A token of a literal part: where it is in the folded text.
    Token { start: u32, end: u32 },
    /// A part of a variable that has so many.
    Part { slot: u32, part: u8, parts: u8 },
    /// A variable with any number of tokens.
    Unclear,
}

/// What clues are judged by: a head, its literal parts folded, the characters of each variable, and
/// the tokens of each template.
pub(in crate::segment) struct Index {
    pub folded: FoldedLiterals,
    pub charsets: Vec<Charset>,
    /// Of all templates, one after the other; of none if they are too many.
    places: Vec<Place>,
    /// Where those of each template end.
    place_ends: Vec<u32>,
}

impl Index {
    pub(in crate::segment) fn of(head: &Head) -> Index {
        Index::with_places(head, PLACES_MAX)
    }

    /// Keeps no more than so many places.
    pub(super) fn with_places(head: &Head, places_max: usize) -> Index {
        let charsets = head.kinds.iter().enumerate();
        let mut index = Index {
            folded: FoldedLiterals::of(head),
            charsets: charsets
                .map(|(slot, kind)| Charset::of_slot(head, slot, *kind))
                .collect(),
            places: Vec::new(),
            place_ends: Vec::with_capacity(head.templates()),
        };
        for template in 0..head.templates() {
            index.folded.add_places(head, template, &mut index.places);
            index.place_ends.push(index.places.len() as u32);
            if index.places.len() > places_max {
                index.places = Vec::new();
                index.place_ends = Vec::new();
                break;
            }
        }
        index.places.shrink_to_fit();
        index
    }

    /// Places that are kept.
    #[cfg(test)]
    pub(super) fn place_count(&self) -> usize {
        self.places.len()
    }

    /// The places of a template, in order.
    fn places(&self, head: &Head, template: usize) -> Cow<'_, [Place]> {
        let Some(end) = self.place_ends.get(template) else {
            let mut places = Vec::new();
            self.folded.add_places(head, template, &mut places);
            return Cow::Owned(places);
        };
        let before = template.checked_sub(1);
        let start = before.and_then(|before| self.place_ends.get(before));
        let start = start.map_or(0, |start| *start as usize);
        let places = self.places.get(start..*end as usize);
        Cow::Borrowed(places.unwrap_or_default())
    }

    pub(in crate::segment) fn memory_bytes(&self) -> usize {
        self.folded.memory_bytes()
            + self.charsets.len() * 16
            + self.places.len() * size_of::<Place>()
            + self.place_ends.len() * 4
    }
}

impl FoldedLiterals {
    /// Appends the places of a template, in order.
    fn add_places(&self, head: &Head, template: usize, places: &mut Vec<Place>) {
        let slots = head.slots_of(template);
        let first = slots.start + template;
        for literal in first..=first + slots.len() {
            let base = self.start(literal) as u32;
            places.extend(tokens(self.get(literal)).map(|(start, end)| Place::Token {
                start: base + start as u32,
                end: base + end as u32,
            }));
            let slot = slots.start + literal - first;
            if slot == slots.end {
                break;
            }
            match head.kinds.get(slot).map(|kind| parts_of(*kind)) {
                Some(Some(parts)) => {
                    let slot = slot as u32;
                    let of_slot = (0..parts).map(|part| Place::Part { slot, part, parts });
                    places.extend(of_slot);
                }
                _ => places.push(Place::Unclear),
            }
        }
    }
}

/// How many tokens a variable has; `None` if any number.
fn parts_of(kind: VariableKind) -> Option<u8> {
    match kind {
        VariableKind::Token | VariableKind::Word => Some(1),
        VariableKind::Uuid => Some(5),
        VariableKind::Ipv4 => Some(4),
        VariableKind::Ipv6 => None,
    }
}

/// One piece of a template in order.
enum Piece<'a> {
    Literal(&'a str),
    Slot(usize),
}

/// Judges templates by one question.
pub(in crate::segment) struct Judge<'a> {
    pub head: &'a Head,
    pub index: &'a Index,
    /// Folded texts that no text of the heap contains.
    pub absent_in_heap: &'a [String],
}

impl Judge<'_> {
    /// The verdict on each template by all of the clues, one of which holds for what passes.
    pub(in crate::segment) fn verdicts(&self, clues: &[Clue]) -> Vec<Verdict> {
        let mut verdicts = vec![Verdict::Never; self.head.templates()];
        for (number, clue) in (0u32..).zip(clues) {
            let mut of_clue = |template: usize, verdict: Verdict| {
                if let Some(have) = verdicts.get_mut(template) {
                    *have = std::mem::replace(have, Verdict::Never).or(verdict);
                }
            };
            match clue {
                Clue::Phrase(tokens) => match &tokens[..] {
                    [word] => self.word(word, number, &mut of_clue),
                    _ => self.phrase(tokens, &mut of_clue),
                },
                Clue::Substring(text) => self.substring(text, Verdict::All, &mut of_clue),
                Clue::Contains { text, .. } => {
                    self.substring(&fold(text), Verdict::Check, &mut of_clue);
                }
                Clue::Whole(text) => self.whole(text, &mut of_clue),
                Clue::Number(_) => self.number(&mut of_clue),
                Clue::Anything => (0..self.head.templates())
                    .for_each(|template| of_clue(template, Verdict::Check)),
            }
        }
        verdicts
    }

    /// The template that a literal part belongs to.
    fn template_of_literal(&self, literal: usize) -> usize {
        let firsts = &self.head.first_slots;
        // Its first literal part is number `first slot + template`.
        let (mut low, mut high) = (0, self.head.templates());
        while low + 1 < high {
            let middle = usize::midpoint(low, high);
            let first = firsts
                .get(middle)
                .map_or(usize::MAX, |first| *first as usize + middle);
            if first <= literal {
                low = middle
            } else {
                high = middle
            }
        }
        low
    }

    fn template_of_slot(&self, slot: usize) -> usize {
        self.head
            .first_slots
            .partition_point(|first| *first as usize <= slot)
            .saturating_sub(1)
    }

    fn pieces(&self, template: usize) -> Vec<Piece<'_>> {
        let slots = self.head.slots_of(template);
        let first = slots.start + template;
        let mut pieces = Vec::with_capacity(slots.len() * 2 + 1);
        for index in 0..slots.len() {
            pieces.push(Piece::Literal(self.index.folded.get(first + index)));
            pieces.push(Piece::Slot(slots.start + index));
        }
        pieces.push(Piece::Literal(self.index.folded.get(first + slots.len())));
        pieces
    }

    /// Templates in which some literal part contains the text.
    fn with_literal(&self, text: &str) -> Vec<usize> {
        let literals = self.index.folded.with(text);
        let mut templates: Vec<usize> = literals
            .into_iter()
            .map(|literal| self.template_of_literal(literal))
            .collect();
        templates.dedup();
        templates
    }

    /// Whether a variable's value could have this folded token.
    fn may_have_token(&self, slot: usize, sought: &Sought<'_>) -> bool {
        let charset = self.index.charsets.get(slot);
        charset.is_none_or(|charset| match sought.characters {
            Some(characters) => characters.0 & !charset.0 == 0,
            None => false,
        }) && match self.head.kinds.get(slot) {
            Some(VariableKind::Token) => sought.has_digit,
            Some(VariableKind::Word) => sought.is_alphabetic,
            Some(VariableKind::Uuid) => matches!(sought.token.len(), 4 | 8 | 12),
            Some(VariableKind::Ipv4) => sought.token.len() <= 3,
            Some(VariableKind::Ipv6) | None => true,
        }
    }

    /// One word: whole templates that have it in a literal part, and those in which a variable can
    /// be it or have it as a part.
    fn word(&self, word: &str, clue: u32, each: &mut dyn FnMut(usize, Verdict)) {
        for literal in self.index.folded.with(word) {
            let text = self.index.folded.get(literal);
            if tokens(text).any(|(start, end)| &text[start..end] == word) {
                each(self.template_of_literal(literal), Verdict::All);
            }
        }
        if !word.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return;
        }
        let sought = Sought::new(word);
        for template in 0..self.head.templates() {
            let mut slots = self.head.slots_of(template);
            if slots.clone().any(|slot| self.may_have_token(slot, &sought)) {
                let is_ipv6 = |slot| self.head.kinds.get(slot) == Some(&VariableKind::Ipv6);
                // An address of this kind has any number of tokens.
                let is_unclear = slots.any(is_ipv6);
                each(
                    template,
                    if is_unclear {
                        Verdict::Check
                    } else {
                        Verdict::Word(clue)
                    },
                );
            }
        }
    }

    /// Where a word can be in the variables of a template.
    pub(in crate::segment) fn places_of_word(
        &self,
        template: usize,
        word: &Arc<str>,
    ) -> Vec<Vec<Wanted>> {
        let slots = self.head.slots_of(template);
        let first = slots.start;
        let sought = Sought::new(word);
        let mut places = Vec::new();
        for slot in slots.filter(|slot| self.may_have_token(*slot, &sought)) {
            let parts = self.head.kinds.get(slot).and_then(|kind| parts_of(*kind));
            let parts = parts.map_or(1, usize::from);
            places.extend((0..parts).map(|part| {
                vec![Wanted {
                    index: slot - first,
                    folded: word.clone(),
                    part: (parts > 1).then_some(part),
                }]
            }));
        }
        places
    }

    fn phrase(&self, phrase: &[String], each: &mut dyn FnMut(usize, Verdict)) {
        let phrase: Vec<Sought<'_>> = phrase.iter().map(|token| Sought::new(token)).collect();
        // The token that variables are least likely to have.
        let anchor = phrase
            .iter()
            .max_by_key(|sought| (!sought.has_digit, sought.token.len()));
        let Some(anchor) = anchor else {
            return;
        };
        let mut with_literal = self.with_literal(anchor.token).into_iter().peekable();
        for template in 0..self.head.templates() {
            let has_literal = with_literal.next_if_eq(&template).is_some();
            let mut slots = self.head.slots_of(template);
            if has_literal || slots.any(|slot| self.may_have_token(slot, anchor)) {
                each(template, self.align(template, &phrase));
            }
        }
    }

    /// Lays a phrase over the tokens of a template, at each place.
    fn align(&self, template: usize, phrase: &[Sought<'_>]) -> Verdict {
        let first = self.head.slots_of(template).start;
        let places = self.index.places(self.head, template);
        if places.iter().any(|place| matches!(place, Place::Unclear)) {
            return Verdict::Check;
        }
        let mut verdict = Verdict::Never;
        for window in places.windows(phrase.len()) {
            let mut pairs = window.iter().zip(phrase);
            if pairs.all(|(place, sought)| self.may_be_at(place, sought)) {
                verdict = verdict.or(match_window(window, phrase, first));
            }
            if verdict == Verdict::All {
                break;
            }
        }
        verdict
    }

    /// Whether a token may stand at a place.
    fn may_be_at(&self, place: &Place, sought: &Sought<'_>) -> bool {
        match place {
            Place::Token { start, end } => {
                let text = self.index.folded.text.as_bytes();
                let have = text.get(*start as usize..*end as usize);
                have == Some(sought.token.as_bytes())
            }
            Place::Part { slot, .. } => self.may_have_token(*slot as usize, sought),
            Place::Unclear => true,
        }
    }

    /// A folded substring; `inside` is the verdict where a literal part contains it.
    fn substring(&self, text: &str, inside: Verdict, each: &mut dyn FnMut(usize, Verdict)) {
        for template in self.with_literal(text) {
            each(template, inside.clone());
        }
        let tokens: Vec<(usize, usize)> = tokens(text).collect();
        for slot in 0..self.head.kinds.len() {
            if self.may_touch(slot, text, &tokens) && self.may_be_inside(slot, text) {
                let template = self.template_of_slot(slot);
                if self.may_span(template, text) {
                    each(template, Verdict::Check);
                }
            }
        }
    }

    /// Whether a text of letters and digits alone may lie in a value of the variable: where it
    /// overlaps a token, it lies in it. For other texts nothing is known.
    fn may_be_inside(&self, slot: usize, text: &str) -> bool {
        let is_token = matches!(
            self.head.kinds.get(slot),
            Some(VariableKind::Token | VariableKind::Word)
        );
        if !is_token || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return true;
        }
        match self.head.slots.get(slot) {
            Some(Slot::Constant(value)) => fold(value).contains(text),
            Some(Slot::Dictionary(values)) => values.iter().any(|value| fold(value).contains(text)),
            Some(Slot::Heap(_)) | None => !self.absent_in_heap.iter().any(|absent| absent == text),
            Some(_) => true,
        }
    }

    /// Whether a value of the variable may overlap an occurrence of the text: with a token inside
    /// of it, with its begin or with its end.
    fn may_touch(&self, slot: usize, text: &str, tokens: &[(usize, usize)]) -> bool {
        let Some(charset) = self.index.charsets.get(slot) else {
            return true;
        };
        let is_open = |start: usize, end: usize| start == 0 || end == text.len();
        tokens.iter().any(|(start, end)| {
            let token = &text[*start..*end];
            match is_open(*start, *end) {
                true => charset.covers(token),
                false => self.may_have_token(slot, &Sought::new(token)),
            }
        }) || (self
            .head
            .kinds
            .get(slot)
            .is_some_and(|kind| kind_has_separators(*kind))
            && text.bytes().any(|byte| matches!(byte, b'-' | b'.' | b':')))
    }

    /// Whether the text may occur in a value of the template so that it overlaps a variable.
    /// Places in the template are followed in parallel, byte by byte.
    fn may_span(&self, template: usize, text: &str) -> bool {
        let pieces = self.pieces(template);
        let mut steps = 0;
        pieces.iter().enumerate().any(|(start, piece)| {
            let mut offsets = match piece {
                // Where it lies in one literal part, that was found before.
                Piece::Literal(literal) => literal.len().saturating_sub(text.len())..literal.len(),
                Piece::Slot(_) => 0..1,
            };
            offsets.any(|offset| self.follows(&pieces, start, offset, text.as_bytes(), &mut steps))
        })
    }

    /// Whether the rest of the text may follow from an offset of a piece on.
    fn follows(
        &self,
        pieces: &[Piece<'_>],
        at: usize,
        offset: usize,
        text: &[u8],
        steps: &mut usize,
    ) -> bool {
        *steps += 1;
        if text.is_empty() || *steps > STEPS_MAX {
            return true;
        }
        match pieces.get(at) {
            None => false,
            Some(Piece::Literal(literal)) => {
                let rest = literal.as_bytes().get(offset..).unwrap_or_default();
                let common = rest.len().min(text.len());
                rest[..common] == text[..common]
                    && self.follows(pieces, at + 1, 0, &text[common..], steps)
            }
            Some(Piece::Slot(slot)) => {
                let charset = self
                    .index
                    .charsets
                    .get(*slot)
                    .copied()
                    .unwrap_or(Charset(u128::MAX));
                let covered = text
                    .iter()
                    .take_while(|byte| **byte < 0x80 && charset.0 >> **byte & 1 == 1)
                    .count();
                // A variable goes as far as letters and digits do; one with separators may end
                // anywhere.
                if covered == text.len() {
                    return true;
                }
                let kind = self.head.kinds.get(*slot).copied();
                if kind.is_some_and(|kind| !kind_has_separators(kind)) {
                    let run = text
                        .iter()
                        .take_while(|byte| byte.is_ascii_alphanumeric())
                        .count();
                    return run == covered
                        && run > 0
                        && self.follows(pieces, at + 1, 0, &text[run..], steps);
                }
                (1..=covered).any(|used| self.follows(pieces, at + 1, 0, &text[used..], steps))
            }
        }
    }

    fn whole(&self, text: &str, each: &mut dyn FnMut(usize, Verdict)) {
        for template in 0..self.head.templates() {
            let slots = self.head.slots_of(template);
            let first = self.head.literal(template, 0);
            let last = self.head.literal(template, slots.len());
            let fits = match slots.is_empty() {
                true => first == text,
                false => {
                    text.len() > first.len() + last.len()
                        && text.starts_with(first)
                        && text.ends_with(last)
                }
            };
            if fits {
                let verdict = if slots.is_empty() {
                    Verdict::All
                } else {
                    Verdict::Check
                };
                each(template, verdict);
            }
        }
    }

    /// Templates whose values may read as a number.
    fn number(&self, each: &mut dyn FnMut(usize, Verdict)) {
        for template in 0..self.head.templates() {
            let slots = self.head.slots_of(template).len();
            let is_numeric = |index| {
                let literal = self.head.literal(template, index);
                !literal
                    .bytes()
                    .any(|byte| byte.is_ascii_alphabetic() && byte | 0x20 != b'e')
            };
            if (0..=slots).all(is_numeric) {
                each(template, Verdict::Check);
            }
        }
    }
}

/// What variables must be for a phrase to stand where its tokens may; `first` is the first variable
/// of the template.
fn match_window(window: &[Place], phrase: &[Sought<'_>], first: usize) -> Verdict {
    // Number of a variable, what it must be, and the part at which that begins.
    let mut wanted: Vec<(usize, String, Option<usize>)> = Vec::new();
    for (place, sought) in window.iter().zip(phrase) {
        let Place::Part { slot, part, parts } = place else {
            continue;
        };
        let index = *slot as usize - first;
        let is_last = part + 1 == *parts;
        match wanted.last_mut().filter(|(last, ..)| *last == index) {
            Some((_, folded, from)) => {
                folded.push(if *parts == 4 { '.' } else { '-' });
                folded.push_str(sought.token);
                // All of the value, where it began with the first.
                *from = from.filter(|from| !(is_last && *from == 0));
            }
            None => {
                let from = (*parts > 1).then_some(usize::from(*part));
                wanted.push((index, sought.token.to_owned(), from));
            }
        }
    }
    let wanted = wanted.into_iter().map(|(index, folded, part)| Wanted {
        index,
        folded: folded.into(),
        part,
    });
    let wanted: Vec<Wanted> = wanted.collect();
    match wanted.is_empty() {
        true => Verdict::All,
        false => Verdict::Where(vec![wanted]),
    }
}

fn kind_has_separators(kind: VariableKind) -> bool {
    matches!(
        kind,
        VariableKind::Uuid | VariableKind::Ipv4 | VariableKind::Ipv6
    )
}
