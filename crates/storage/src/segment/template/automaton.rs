//! What an automaton says about all values of a template at once.
//!
//! The template is walked with the set of all states that the automaton can be in: literal parts
//! lead from state to state, and a variable leads to every state that some text of its characters
//! leads to. Texts that no value has may be among them, so the verdicts that all rows pass, or none,
//! are certain, and where it is neither, rows are looked at.
use super::{
    head::Head,
    judge::{Index, Verdict},
    slot::{Digits, NumberForm, Slot},
};
use crate::{find::Automaton, segment::fixed::Form};
use std::ops::Range;

/// States that are followed together, and steps of one template: more cost as much as a block of
/// its rows.
const STATES_MAX: usize = 64;
const STEPS_MAX: usize = 1 << 15;
/// Steps of all templates of a section, the most frequent first: some 10 ms, after which rows are
/// looked at, block by block.
pub(in crate::segment) const SECTION_STEPS_MAX: usize = 1 << 20;
/// Texts of a dictionary that are followed one by one; of more, their characters are.
const ENTRIES_MAX: usize = 32;

/// What is known of the rows of a template: none passes, all do, or each must be looked at.
pub(in crate::segment) fn judge(
    automaton: &dyn Automaton,
    head: &Head,
    index: &Index,
    template: usize,
    section_steps: &mut usize,
) -> Verdict {
    let steps = STEPS_MAX.min(*section_steps);
    let mut walk = Walk {
        automaton,
        states: Vec::new(),
        has_accepted: false,
        steps_left: steps,
    };
    walk.enter(automaton.start());
    let slots: Range<usize> = head.slots_of(template);
    for (number, slot) in slots.clone().enumerate() {
        walk.text(head.literal(template, number));
        walk.slot(head, index, slot);
    }
    walk.text(head.literal(template, slots.len()));
    *section_steps -= steps - walk.steps_left;
    walk.verdict()
}

struct Walk<'a> {
    automaton: &'a dyn Automaton,
    /// Where texts that were not accepted yet may be.
    states: Vec<u32>,
    has_accepted: bool,
    steps_left: usize,
}

impl Walk<'_> {
    /// Adds a state that a text may lead to.
    fn enter(&mut self, state: u32) {
        if self.automaton.accepts(state) {
            self.has_accepted = true;
        } else if !self.states.contains(&state) {
            self.states.push(state);
        }
        if self.states.len() > STATES_MAX {
            self.steps_left = 0;
        }
    }

    fn step(&mut self, state: u32, byte: u8) {
        match self.steps_left.checked_sub(1) {
            Some(left) => {
                self.steps_left = left;
                self.enter(self.automaton.next(state, byte));
            }
            None => self.states.clear(),
        }
    }

    fn text(&mut self, text: &str) {
        for byte in text.bytes() {
            for state in std::mem::take(&mut self.states) {
                self.step(state, byte);
            }
        }
    }

    /// Any text of at least one of these characters.
    fn any_of(&mut self, bytes: &[u8]) {
        let before = std::mem::take(&mut self.states);
        for (state, byte) in before
            .iter()
            .flat_map(|state| bytes.iter().map(move |byte| (*state, *byte)))
        {
            self.step(state, byte);
        }
        let mut at = 0;
        while let Some(state) = self.states.get(at).copied() {
            for byte in bytes {
                self.step(state, *byte);
            }
            at += 1;
        }
    }

    /// One of some texts.
    fn one_of<'t>(&mut self, texts: impl Iterator<Item = &'t str>) {
        let before = std::mem::take(&mut self.states);
        let mut after: Vec<u32> = Vec::new();
        for text in texts {
            self.states.clone_from(&before);
            self.text(text);
            after.append(&mut self.states);
        }
        after.sort_unstable();
        after.dedup();
        after.into_iter().for_each(|state| self.enter(state));
    }

    fn slot(&mut self, head: &Head, index: &Index, slot: usize) {
        match head.slots.get(slot) {
            Some(Slot::Constant(text)) => self.text(text),
            Some(Slot::Dictionary(texts)) if texts.len() <= ENTRIES_MAX => {
                self.one_of(texts.iter());
            }
            Some(
                Slot::Numbers(form, ..) | Slot::Wide(form, _) | Slot::NumberDictionary(form, _),
            ) => {
                self.number(form);
            }
            Some(Slot::Dictionary(_) | Slot::Heap(_)) | None => {
                let charset = index.charsets.get(slot);
                let has = |byte: &u8| {
                    let text = [byte.to_ascii_lowercase()];
                    let text = std::str::from_utf8(&text).unwrap_or_default();
                    charset.is_none_or(|charset| charset.covers(text))
                };
                let bytes: Vec<u8> = (0..0x80).filter(has).collect();
                self.any_of(&bytes);
            }
        }
    }

    fn number(&mut self, form: &NumberForm) {
        let characters: &[u8] = match form.digits {
            Digits::Shortest | Digits::Decimal(_) => b"0123456789",
            Digits::Hex {
                is_upper: false, ..
            }
            | Digits::Wide(Form::HexLower(_)) => b"0123456789abcdef",
            Digits::Hex { is_upper: true, .. } | Digits::Wide(Form::HexUpper(_)) => {
                b"0123456789ABCDEF"
            }
            Digits::Ipv4 | Digits::Wide(Form::Ipv4) => b"0123456789.",
            Digits::Wide(Form::Uuid) => b"0123456789abcdef-",
            Digits::Wide(Form::Ipv6) => b"0123456789abcdef:.",
        };
        self.text(&form.prefix);
        self.any_of(characters);
        self.text(&form.suffix);
    }

    fn verdict(self) -> Verdict {
        if self.steps_left == 0 {
            return Verdict::Check;
        }
        let accepts = |state: &&u32| self.automaton.accepts_at_end(**state);
        match self.states.iter().filter(accepts).count() {
            0 if !self.has_accepted => Verdict::Never,
            accepted if accepted == self.states.len() => Verdict::All,
            _ => Verdict::Check,
        }
    }
}
