//! Redaction: what must not be written is masked as `[REDACTED:rule]`.
//!
//! Invariants
//! - A value of a secret field is masked whole, at any depth: as a column, inside JSON that is
//!   kept as text, and as `key=value` or `"key": "value"` inside any text.
//! - Payment card numbers and social security numbers are masked wherever they stand, except in
//!   the ids that records are correlated by: masking part of those would break joins.
//! - `redact(redact(x)) == redact(x)`: a mask is never masked again, so a shipper's masks pass the
//!   server unchanged.
//! - All work is linear in the text.
//!
//! Clean text costs two passes: one search of a column's whole text for the words that secrets
//! are introduced by, and a look at every eleventh byte of each value, since no number that is
//! looked for is shorter.
mod assignment;
mod beside;
mod card_number;
mod coded;
mod digits;
mod json;
mod name;
mod pair;
mod social_security;
mod tag;
mod word;

use crate::{
    clean::BatchCounts,
    config::{ConfigError, RedactionConfig},
    parse::alias,
};
use name::Secret;
use pair::Half;
use regex_automata::meta::Regex;
use std::{collections::HashMap, sync::Arc};
use taffrail_model::{
    column::{Column, ColumnSet, FieldName, Kind, Value},
    field, limits,
};
use word::{Word, Words};

/// What stands in the place of a masked value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mask {
    rule: Arc<str>,
    text: Arc<str>,
}

impl Mask {
    fn new(rule: &str) -> Mask {
        Mask {
            rule: rule.into(),
            text: format!("{MASK_START}{rule}]").into(),
        }
    }
}

/// How often a text is looked at: two rounds are the rule, each more needs a mask that uncovers
/// another find, so a text that needs more was made to.
const ROUNDS_MAX: usize = 8;

/// Numbers from here on have more digits than any that is looked for.
const NUMBER_MAX: f64 = 1e19;

const MASK_START: &str = "[REDACTED:";

/// Columns whose values the detectors leave alone: what records are correlated and owned by.
const IDS: &[&str] = &[
    field::TRACE_ID,
    field::SPAN_ID,
    field::CORRELATION_ID,
    field::USER_ID,
    field::INSTANCE_ID,
    "request_id",
    "session_id",
    "task_id",
    "workflow_id",
    "agent_id",
    "server_id",
    "connection_id",
    "parent_span_id",
];

/// Columns that the pipeline writes from its own words.
const OWN: &[&str] = &[field::LEVEL, field::FILLED];

struct Pattern {
    mask: Mask,
    regex: Regex,
}

/// All rules, compiled.
pub(crate) struct Redactor {
    names: name::SecretNames,
    /// Finds the words of `names`, and of authorization schemes, in lower-cased text.
    words: Words,
    card: Mask,
    social_security: Mask,
    patterns: Vec<Pattern>,
    /// Every mask that this redactor writes.
    masks: Vec<Mask>,
}

/// Buffers that are used again for each column.
#[derive(Default)]
struct Scratch {
    lower: String,
    groups: Vec<digits::Group>,
}

/// One replacement in a text: byte range and what comes in its place.
struct Edit {
    start: usize,
    end: usize,
    text: String,
}

impl Redactor {
    /// The default rules and those of `config`.
    pub(crate) fn new(config: &RedactionConfig) -> Result<Redactor, ConfigError> {
        let names = name::SecretNames::new(&config.field_names)?;
        let mut words = names.words().to_vec();
        words.extend(assignment::WORDS.iter().map(|word| Word::alone(word)));
        let words = Words::new(&words)?;
        let (card, social_security) = (Mask::new("card"), Mask::new("ssn"));
        let mut masks: Vec<Mask> = names.masks().cloned().collect();
        masks.extend([card.clone(), social_security.clone()]);
        masks.dedup();
        let mut patterns = Vec::new();
        for rule in &config.patterns {
            let pattern = compile(rule)?;
            if masks.contains(&pattern.mask) {
                return Err(ConfigError::RuleDuplicate {
                    name: rule.name.clone(),
                });
            }
            masks.push(pattern.mask.clone());
            patterns.push(pattern);
        }
        Ok(Redactor {
            names,
            words,
            card,
            social_security,
            patterns,
            masks,
        })
    }

    /// Masks in every column.
    pub(crate) fn redact(&self, columns: &mut ColumnSet, counts: &mut BatchCounts) {
        let mut scratch = Scratch::default();
        self.redact_names(columns, &mut scratch, counts);
        self.redact_pairs(columns, counts);
        for (name, column) in columns.iter_mut() {
            if OWN.contains(&&**name) {
                continue;
            }
            let changes = match self.names.secret_of_path(name) {
                Some(secret) => self.mask_whole(column, secret, counts),
                None => self.mask_inside(name, column, &mut scratch, counts),
            };
            if !changes.is_empty() {
                *column = with_changes(column, changes);
            }
        }
    }

    /// Changes for the column of a secret field. `true` and `false` are no secrets.
    fn mask_whole(
        &self,
        column: &Column,
        secret: Secret<'_>,
        counts: &mut BatchCounts,
    ) -> Vec<Change> {
        let values = column.iter().enumerate();
        values
            .filter_map(|(index, (_, value))| self.masked_value(index, value, secret, counts))
            .collect()
    }

    /// The change that masks a value whole, unless it says nothing or is a mask.
    fn masked_value(
        &self,
        index: usize,
        value: Value<'_>,
        secret: Secret<'_>,
        counts: &mut BatchCounts,
    ) -> Option<Change> {
        let is_open = value.kind != Kind::Bool
            && !value.text.is_empty()
            && !secret.admits(value.text)
            && self.mask_at(value.text) != Some(value.text.len());
        is_open.then(|| {
            count(counts, secret.mask);
            Change {
                index,
                kind: Kind::String,
                text: secret.mask.text.to_string(),
            }
        })
    }

    /// Masks the values that another column of their row names as secrets: `header.name` is
    /// `x-api-key`, so `header.value` is one.
    fn redact_pairs(&self, columns: &mut ColumnSet, counts: &mut BatchCounts) {
        let mut names: HashMap<String, Vec<FieldName>> = HashMap::new();
        let mut values: Vec<(String, FieldName)> = Vec::new();
        for (name, _) in columns.iter() {
            match pair::half(name) {
                Some((Half::Name, of)) => names.entry(of).or_default().push(name.clone()),
                Some((Half::Value, of)) => values.push((of, name.clone())),
                None => {}
            }
        }
        for (of, value_name) in values {
            for name in names.get(&of).into_iter().flatten() {
                let (Some(namer), Some(column)) = (columns.get(name), columns.get(&value_name))
                else {
                    continue;
                };
                let changes = self.mask_named(namer, column, counts);
                if !changes.is_empty() {
                    let masked = with_changes(column, changes);
                    columns.insert(&value_name, masked);
                }
            }
        }
    }

    /// Changes for the values of `column` that `names` says are secrets.
    fn mask_named(&self, names: &Column, column: &Column, counts: &mut BatchCounts) -> Vec<Change> {
        let mut rows = names.iter().peekable();
        let values = column.iter().enumerate();
        values
            .filter_map(|(index, (row, value))| {
                while rows.next_if(|(have, _)| *have < row).is_some() {}
                let (_, name) = rows.next_if(|(have, _)| *have == row)?;
                let secret = self.names.secret_of_path(name.text)?;
                self.masked_value(index, value, secret, counts)
            })
            .collect()
    }

    /// Changes for the column of any other field.
    fn mask_inside(
        &self,
        name: &str,
        column: &Column,
        scratch: &mut Scratch,
        counts: &mut BatchCounts,
    ) -> Vec<Change> {
        let is_id = IDS.contains(&name);
        scratch.lower.clear();
        scratch.lower.push_str(column.text());
        scratch.lower.make_ascii_lowercase();
        // Text stands back to back, so a word may seem to cross two values: harmless, since this
        // only says where to look closely.
        let mut hits: Vec<usize> = Vec::new();
        let mut at = 0;
        while let Some((_, end)) = self.words.next(&scratch.lower, at) {
            hits.push(end);
            at = end;
        }
        let mut hits = hits.into_iter().peekable();
        let mut changes = Vec::new();
        let values = column.kinds().iter().zip(column.texts());
        for ((index, end), (kind, text)) in column.ends().iter().enumerate().zip(values) {
            let mut has_word = false;
            while hits.next_if(|hit| *hit <= *end as usize).is_some() {
                has_word = true;
            }
            let value = Value { kind: *kind, text };
            // Keys have more spellings than the search knows (`pass_word`, an escape): they are
            // walked whatever it found.
            has_word |= value.kind == Kind::Json;
            let looks_at_digits = !is_id && value.text.len() >= digits::RUN_BYTES_MIN;
            let has_patterns = !is_id && !self.patterns.is_empty();
            if value.kind == Kind::Bool || !(has_word || looks_at_digits || has_patterns) {
                continue;
            }
            let looks = Looks {
                words: has_word,
                detectors: !is_id,
            };
            let text = match value.kind {
                Kind::Json => self.redact_json(value.text, looks, scratch, counts),
                Kind::Float => self.redact_number(value.text, looks, scratch, counts),
                _ => self.redact_text(value.text, looks, scratch, counts),
            };
            if let Some(text) = text {
                let kind = match value.kind {
                    Kind::Integer | Kind::Float => Kind::String,
                    kind => kind,
                };
                changes.push(Change { index, kind, text });
            }
        }
        changes
    }

    /// Names of columns are text that is written, too. Columns that get the same name are joined;
    /// where a row has a value in both, the later goes on under the name with `_2`, `_3`, ….
    fn redact_names(
        &self,
        columns: &mut ColumnSet,
        scratch: &mut Scratch,
        counts: &mut BatchCounts,
    ) {
        let renamed: Vec<(FieldName, String)> = columns
            .iter()
            .filter_map(|(name, _)| {
                let masked = self.redact_name(name, scratch, counts)?;
                Some((name.clone(), masked))
            })
            .collect();
        let mut taken: Vec<(String, Column)> = Vec::new();
        for (name, masked) in renamed {
            if let Some(column) = columns.remove(&name) {
                taken.push((masked, column));
            }
        }
        let mut numbers: HashMap<String, u32> = HashMap::new();
        for (name, column) in taken {
            let existing = columns.remove(&name).unwrap_or_default();
            let (joined, mut rest) = alias::merge(existing, column);
            columns.insert(&name, joined);
            let number = numbers.entry(name.clone()).or_insert(2);
            while !rest.is_empty() {
                let numbered = format!("{name}_{number}");
                let existing = columns.remove(&numbered).unwrap_or_default();
                let (joined, losers) = alias::merge(existing, rest);
                columns.insert(&numbered, joined);
                rest = losers;
                if !rest.is_empty() {
                    *number += 1;
                }
            }
        }
    }

    /// The name of a column or key with every secret masked, if there is one.
    fn redact_name(
        &self,
        name: &str,
        scratch: &mut Scratch,
        counts: &mut BatchCounts,
    ) -> Option<String> {
        let looks = Looks {
            words: true,
            detectors: true,
        };
        self.redact_text(name, looks, scratch, counts)
    }

    /// A number with a fraction or an exponent, as which some serialisers write whole ones:
    /// masked whole if it is a number that is looked for.
    fn redact_number(
        &self,
        text: &str,
        looks: Looks,
        scratch: &mut Scratch,
        counts: &mut BatchCounts,
    ) -> Option<String> {
        let whole = match text.split_once('.') {
            Some((whole, fraction)) if fraction.bytes().all(|b| b == b'0') => whole.to_owned(),
            _ if text.contains(['e', 'E']) => match text.parse::<f64>() {
                Ok(number) if number.fract() == 0.0 && number.abs() < NUMBER_MAX => {
                    format!("{number:.0}")
                }
                _ => return None,
            },
            _ => return self.redact_text(text, looks, scratch, counts),
        };
        self.redact_text(&whole, looks, scratch, counts)
    }

    /// The text with every secret masked, if there is one. A mask changes what its neighbours
    /// stand beside, so a text that was changed is looked at again, until nothing more is found.
    fn redact_text(
        &self,
        text: &str,
        looks: Looks,
        scratch: &mut Scratch,
        counts: &mut BatchCounts,
    ) -> Option<String> {
        let mut masked = self.redact_once(text, looks, scratch, counts)?;
        for _ in 1..ROUNDS_MAX {
            match self.redact_once(&masked, looks, scratch, counts) {
                Some(again) => masked = again,
                None => break,
            }
        }
        Some(masked)
    }

    fn redact_once(
        &self,
        text: &str,
        looks: Looks,
        scratch: &mut Scratch,
        counts: &mut BatchCounts,
    ) -> Option<String> {
        let mut current: Option<String> = None;
        if looks.detectors {
            for pattern in &self.patterns {
                let now = current.as_deref().unwrap_or(text);
                current = apply(now, self.find_pattern(now, pattern, counts)).or(current);
            }
        }
        if looks.words {
            let now = current.as_deref().unwrap_or(text);
            current = apply(now, self.find_assignments(now, counts)).or(current);
        }
        if looks.detectors {
            let now = current.as_deref().unwrap_or(text);
            current = apply(now, self.find_numbers(now, scratch, counts)).or(current);
        }
        current
    }

    /// Matches of a custom pattern between the masks that are there already.
    fn find_pattern(&self, text: &str, pattern: &Pattern, counts: &mut BatchCounts) -> Vec<Edit> {
        let mut edits = Vec::new();
        let mut segment_start = 0;
        loop {
            let mask = self.next_mask(text, segment_start);
            let segment_end = mask.map_or(text.len(), |(start, _)| start);
            let input = regex_automata::Input::new(text).span(segment_start..segment_end);
            for found in pattern.regex.find_iter(input) {
                if !found.is_empty() {
                    count(counts, &pattern.mask);
                    edits.push(Edit {
                        start: found.start(),
                        end: found.end(),
                        text: pattern.mask.text.to_string(),
                    });
                }
            }
            match mask {
                Some((_, end)) => segment_start = end,
                None => return edits,
            }
        }
    }

    /// The first mask at or after `from`.
    fn next_mask(&self, text: &str, from: usize) -> Option<(usize, usize)> {
        let mut at = from;
        while let Some(found) = memchr::memmem::find(&text.as_bytes()[at..], MASK_START.as_bytes())
        {
            let start = at + found;
            if let Some(bytes) = self.mask_at(&text[start..]) {
                return Some((start, start + bytes));
            }
            at = start + MASK_START.len();
        }
        None
    }

    /// Length of the mask that `text` begins with. Only masks of this redactor count, so that
    /// nobody hides a secret behind the looks of a mask.
    fn mask_at(&self, text: &str) -> Option<usize> {
        if !text.starts_with(MASK_START) {
            return None;
        }
        self.masks
            .iter()
            .find(|mask| text.starts_with(&*mask.text))
            .map(|mask| mask.text.len())
    }
}

/// What is looked for in a text.
#[derive(Clone, Copy)]
struct Looks {
    words: bool,
    detectors: bool,
}

/// A value of a column and what becomes of it.
struct Change {
    index: usize,
    kind: Kind,
    text: String,
}

fn with_changes(column: &Column, changes: Vec<Change>) -> Column {
    let mut out = Column::default();
    let mut changes = changes.into_iter().peekable();
    for (index, (row, value)) in column.iter().enumerate() {
        match changes.next_if(|change| change.index == index) {
            Some(change) => out.push(row, change.kind, &change.text),
            None => out.push(row, value.kind, value.text),
        }
    }
    out
}

/// The text with the edits (ascending, apart) made, if there are any.
fn apply(text: &str, edits: Vec<Edit>) -> Option<String> {
    if edits.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        out.push_str(&text[at..edit.start]);
        out.push_str(&edit.text);
        at = edit.end;
    }
    out.push_str(&text[at..]);
    Some(out)
}

fn count(counts: &mut BatchCounts, mask: &Mask) {
    match counts.redactions.get_mut(&mask.rule) {
        Some(count) => *count += 1,
        None => {
            counts.redactions.insert(mask.rule.clone(), 1);
        }
    }
}

fn compile(rule: &crate::config::PatternRule) -> Result<Pattern, ConfigError> {
    let name = rule.name.clone();
    let is_well_formed = (1..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'_' | b'-'));
    if !is_well_formed {
        return Err(ConfigError::RuleName { name });
    }
    let regex = Regex::builder()
        .configure(Regex::config().nfa_size_limit(Some(limits::REGEX_BYTES_MAX)))
        .build(&rule.regex)
        .map_err(|source| ConfigError::RuleRegex {
            name: name.clone(),
            source: Box::new(source),
        })?;
    if regex.is_match("") {
        return Err(ConfigError::RuleMatchesEmpty { name });
    }
    Ok(Pattern {
        mask: Mask::new(&name),
        regex,
    })
}

#[cfg(test)]
mod tests;
