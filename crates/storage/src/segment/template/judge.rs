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
use std::sync::Arc;
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

/// What clues are judged by: a head, its literal parts folded, and the characters of each variable.
pub(in crate::segment) struct Index {
    pub folded: FoldedLiterals,
    pub charsets: Vec<Charset>,
}

impl Index {
    pub(in crate::segment) fn of(head: &Head) -> Index {
        let charsets = head.kinds.iter().enumerate();
        Index {
            folded: FoldedLiterals::of(head),
            charsets: charsets
                .map(|(slot, kind)| Charset::of_slot(head, slot, *kind))
                .collect(),
        }
    }

    pub(in crate::segment) fn memory_bytes(&self) -> usize {
        self.folded.memory_bytes() + self.charsets.len() * 16
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
    fn may_have_token(&self, slot: usize, token: &str) -> bool {
        let charset = self.index.charsets.get(slot);
        charset.is_none_or(|charset| charset.covers(token))
            && match self.head.kinds.get(slot) {
                Some(VariableKind::Token) => token.bytes().any(|byte| byte.is_ascii_digit()),
                Some(VariableKind::Word) => token.bytes().all(|byte| byte.is_ascii_alphabetic()),
                Some(VariableKind::Uuid) => matches!(token.len(), 4 | 8 | 12),
                Some(VariableKind::Ipv4) => token.len() <= 3,
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
        for template in 0..self.head.templates() {
            let mut slots = self.head.slots_of(template);
            if slots.clone().any(|slot| self.may_have_token(slot, word)) {
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
        let mut places = Vec::new();
        for slot in slots.filter(|slot| self.may_have_token(*slot, word)) {
            let parts = match self.head.kinds.get(slot) {
                Some(VariableKind::Uuid) => 5,
                Some(VariableKind::Ipv4) => 4,
                _ => 1,
            };
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
        // The token that variables are least likely to have.
        let anchor = phrase.iter().max_by_key(|token| {
            (
                !token.bytes().any(|byte| byte.is_ascii_digit()),
                token.len(),
            )
        });
        let Some(anchor) = anchor else {
            return;
        };
        let mut templates = self.with_literal(anchor);
        let slots = 0..self.head.kinds.len();
        templates.extend(
            slots
                .filter(|slot| self.may_have_token(*slot, anchor))
                .map(|slot| self.template_of_slot(slot)),
        );
        templates.sort_unstable();
        templates.dedup();
        for template in templates {
            each(template, self.align(template, phrase));
        }
    }

    /// Lays a phrase over the tokens of a template, at each place.
    fn align(&self, template: usize, phrase: &[String]) -> Verdict {
        let first = self.head.slots_of(template).start;
        let mut places: Vec<Place<'_>> = Vec::new();
        for piece in self.pieces(template) {
            match piece {
                Piece::Literal(text) => {
                    places.extend(tokens(text).map(|(start, end)| Place::Token(&text[start..end])));
                }
                Piece::Slot(slot) => {
                    let parts = match self.head.kinds.get(slot) {
                        Some(VariableKind::Token | VariableKind::Word) => 1,
                        Some(VariableKind::Uuid) => 5,
                        Some(VariableKind::Ipv4) => 4,
                        // An address of this kind has any number of tokens.
                        Some(VariableKind::Ipv6) | None => return Verdict::Check,
                    };
                    places.extend((0..parts).map(|part| Place::Part { slot, part, parts }));
                }
            }
        }
        let mut verdict = Verdict::Never;
        for start in 0..places.len() {
            let Some(window) = places.get(start..start + phrase.len()) else {
                break;
            };
            verdict = verdict.or(self.match_window(window, phrase, first));
            if verdict == Verdict::All {
                break;
            }
        }
        verdict
    }

    fn match_window(&self, window: &[Place<'_>], phrase: &[String], first: usize) -> Verdict {
        // Number of a variable, what it must be, and the part at which that begins.
        let mut wanted: Vec<(usize, String, Option<usize>)> = Vec::new();
        for (place, token) in window.iter().zip(phrase) {
            match place {
                Place::Token(have) if have == token => {}
                Place::Token(_) => return Verdict::Never,
                Place::Part { slot, .. } if !self.may_have_token(*slot, token) => {
                    return Verdict::Never;
                }
                Place::Part { slot, part, parts } => {
                    let index = slot - first;
                    let is_last = part + 1 == *parts;
                    match wanted.last_mut().filter(|(last, ..)| *last == index) {
                        Some((_, folded, from)) => {
                            folded.push(if *parts == 4 { '.' } else { '-' });
                            folded.push_str(token);
                            // All of the value, where it began with the first.
                            *from = from.filter(|from| !(is_last && *from == 0));
                        }
                        None => {
                            let from = (*parts > 1).then_some(*part);
                            wanted.push((index, token.clone(), from));
                        }
                    }
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
                false => self.may_have_token(slot, token),
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

/// What stands at a place in a template's row of tokens.
enum Place<'a> {
    Token(&'a str),
    Part {
        slot: usize,
        part: usize,
        parts: usize,
    },
}

fn kind_has_separators(kind: VariableKind) -> bool {
    matches!(
        kind,
        VariableKind::Uuid | VariableKind::Ipv4 | VariableKind::Ipv6
    )
}
