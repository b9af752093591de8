//! Finding text in a prose column by its index.
//!
//! What the clues say becomes two sets of values: those that pass, and those that have to be
//! looked at. Values are unpacked only for the second set, block by block as rows are asked for.
use super::{
    Prose,
    decode::CodeFrame,
    index::{Index, Place, WordSet},
    judge::Judge,
    postings::ValueSet,
    symbols::Symbols,
    terms::{NUMBER, pair_of, term_of},
};
use crate::{
    find::{Clue, Finding, TextQuestion},
    read::ReadError,
    segment::{
        directory::Layout,
        reader::{OpenColumn, SectionReader},
        wire::Flaw,
    },
};
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};
use taffrail_model::{
    column::Kind,
    token::{fold, is_single, tokens},
};

/// Bytes of a part of a word from which on it is looked for in all words; a shorter one at the
/// border of a longer text leaves nearly every value.
const PART_BYTES_MIN: usize = 3;
/// Candidates of a block from which on its frames are not kept: a search that looks at nearly
/// every value would push everything else out of the cache.
const KEPT_CANDIDATES_MAX: usize = 32;

/// Candidates from which on values are looked at by their codes: what each symbol means for the
/// question is worked out first, which a few values are not worth.
const JUDGED_CANDIDATES_MIN: usize = 24;

/// Values are searched together for what all that pass have in their codes, before the candidates
/// among them are looked at, if one in so many is a candidate.
const MARKED_PART: usize = 16;
/// Candidates that are worth it at all.
const MARKED_CANDIDATES_MIN: usize = 4;

/// Looks for text; `None` if the index is of no use.
pub(in crate::segment) fn find(
    reader: &SectionReader,
    column: &OpenColumn,
    question: &Arc<dyn TextQuestion>,
) -> Result<Option<Arc<dyn Finding>>, ReadError> {
    let clues = question.clues();
    let Layout::Prose(prose) = &column.directory.layout else {
        return Ok(None);
    };
    if clues.contains(&Clue::Anything) {
        return Ok(None);
    }
    let index = Index {
        reader,
        column,
        prose,
    };
    let mut count = None;
    if let [Clue::Phrase(words)] = clues
        && let [word] = &words[..]
        && let (term, false) = term_of(word, prose.cutting)
        && index.words_decide()
    {
        // The dictionary counts; the postings are read when rows are asked for.
        let entry = index.look_up(&term)?;
        count = Some(entry.map_or(0, |entry| entry.count as u64));
    }
    Ok(Some(Arc::new(ProseFinding {
        reader: reader.clone(),
        column: column.clone(),
        question: question.clone(),
        count,
        found: OnceLock::new(),
        looking: OnceLock::new(),
        last_frame: Mutex::new(None),
    })))
}

/// Whether a value of a block may have a folded token.
pub(in crate::segment) fn may_be_in(
    reader: &SectionReader,
    column: &OpenColumn,
    prose: &Prose,
    block: usize,
    folded: &str,
) -> Result<bool, ReadError> {
    let index = Index {
        reader,
        column,
        prose,
    };
    let (first, end) = column.presence.values_of(block);
    let values = index.values_with(&term_of(folded, prose.cutting).0)?;
    Ok(values.has_any(first, end))
}

/// What the index says.
struct Found {
    /// Values that pass.
    passing: ValueSet,
    /// Values that may pass, none of them in `passing`.
    candidates: ValueSet,
}

/// How candidates are looked at.
struct Looking {
    symbols: Arc<Symbols>,
    /// For strings and JSON, if there are many candidates.
    judge: Option<Judge>,
}

struct ProseFinding {
    reader: SectionReader,
    column: OpenColumn,
    question: Arc<dyn TextQuestion>,
    /// Values that pass, if the dictionary says so.
    count: Option<u64>,
    found: OnceLock<Result<Found, ReadError>>,
    looking: OnceLock<Result<Looking, ReadError>>,
    /// A frame that reaches over the end of the block that was looked at last.
    last_frame: Mutex<Option<Arc<CodeFrame>>>,
}

impl ProseFinding {
    fn prose(&self) -> Result<&Prose, ReadError> {
        match &self.column.directory.layout {
            Layout::Prose(prose) => Ok(prose),
            _ => Err(self
                .reader
                .damaged(self.column.area, Flaw("a column is not prose"))),
        }
    }

    fn found(&self) -> Result<&Found, ReadError> {
        let found = self.found.get_or_init(|| {
            let index = Index {
                reader: &self.reader,
                column: &self.column,
                prose: self.prose()?,
            };
            index.find(self.question.clues())
        });
        found.as_ref().map_err(ReadError::clone)
    }

    fn looking(&self) -> Result<&Looking, ReadError> {
        let looking = self.looking.get_or_init(|| {
            let symbols = self.reader.prose_symbols(&self.column, self.prose()?)?;
            let is_many = self.found()?.candidates.count() >= JUDGED_CANDIDATES_MIN;
            let judge = is_many.then(|| Judge::new(&*self.question, &symbols));
            Ok(Looking {
                judge: judge.flatten(),
                symbols,
            })
        });
        looking.as_ref().map_err(ReadError::clone)
    }

    /// Adds the rows of those candidates of a block that pass.
    fn add_passing(
        &self,
        block: usize,
        candidates: &[(usize, u32)],
        out: &mut [u64],
    ) -> Result<(), ReadError> {
        let prose = self.prose()?;
        let looking = self.looking()?;
        let (first, end) = self.column.presence.values_of(block);
        let kinds = self
            .reader
            .decode_page(&self.column, block, end - first, |_| Ok(()))?;
        let is_kept = candidates.len() <= KEPT_CANDIDATES_MAX;
        let mut text = String::new();
        let mut rest = candidates;
        while let Some((value, _)) = rest.first() {
            let frame = match is_kept {
                true => self
                    .reader
                    .prose_frame(&self.column, prose, prose.frame_of(*value))?,
                false => self.passing_frame(prose, *value, end)?,
            };
            let of_frame = rest.partition_point(|(value, _)| *value < frame.values.end);
            let (now, later) = rest.split_at(of_frame);
            rest = later;
            let judge = looking.judge.as_ref();
            let around = match (now.first(), now.last()) {
                (Some((first, _)), Some((last, _))) => *first..last + 1,
                _ => 0..0,
            };
            let is_dense = now.len() * MARKED_PART >= around.len();
            let is_marked = self.is_text() && is_dense && now.len() >= MARKED_CANDIDATES_MIN;
            let judge = judge.filter(|_| is_marked);
            let may_pass = judge.and_then(|judge| judge.may_pass(&frame, around));
            for (value, row) in now {
                if let Some(may_pass) = &may_pass
                    && may_pass.binary_search(value).is_err()
                {
                    continue;
                }
                let kind = kinds.get(value - first).copied().unwrap_or(Kind::String);
                let passes = self.passes(looking, &frame, *value, kind, &mut text);
                if passes.map_err(|flaw| self.reader.damaged(self.column.area, flaw))? {
                    set_bit(out, *row);
                }
            }
        }
        Ok(())
    }

    /// The frame of a value, which goes into no cache but stays until the next one is asked for, if
    /// it has values from `end` on, where the block ends.
    fn passing_frame(
        &self,
        prose: &Prose,
        value: usize,
        end: usize,
    ) -> Result<Arc<CodeFrame>, ReadError> {
        let last = self.last_frame.lock().clone();
        if let Some(frame) = last.filter(|frame| frame.values.contains(&value)) {
            return Ok(frame);
        }
        let number = prose.frame_of(value);
        let frame = self
            .reader
            .unpack_prose_frame(&self.column, prose, number)?;
        let frame = Arc::new(frame);
        if frame.values.end > end {
            *self.last_frame.lock() = Some(frame.clone());
        }
        Ok(frame)
    }

    /// Whether all values are strings or JSON.
    fn is_text(&self) -> bool {
        matches!(self.column.directory.kind, Some(Kind::String | Kind::Json))
    }

    /// Whether a value passes, by its codes if they tell; `text` is scratch.
    fn passes(
        &self,
        looking: &Looking,
        frame: &CodeFrame,
        value: usize,
        kind: Kind,
        text: &mut String,
    ) -> Result<bool, Flaw> {
        let codes = frame.codes(value)?;
        if let Some(judge) = &looking.judge
            && matches!(kind, Kind::String | Kind::Json)
            && let Some(passes) = judge.passes(&looking.symbols, codes)?
        {
            return Ok(passes);
        }
        text.clear();
        looking.symbols.read(codes, text)?;
        Ok(self.question.passes(kind, text))
    }
}

impl Finding for ProseFinding {
    fn count(&self) -> Option<u64> {
        if self.count.is_some() {
            return self.count;
        }
        let found = self.found().ok()?;
        let is_known = found.candidates.is_empty();
        is_known.then(|| found.passing.count() as u64)
    }

    fn may_be_in(&self, block: usize) -> bool {
        let (first, end) = self.column.presence.values_of(block);
        // What cannot be read is reported when rows are asked for.
        let Ok(found) = self.found() else {
            return true;
        };
        found.passing.has_any(first, end) || found.candidates.has_any(first, end)
    }

    fn add_rows(&self, block: usize, within: &[u64], out: &mut [u64]) -> Result<(), ReadError> {
        let found = self.found()?;
        let (first, end) = self.column.presence.values_of(block);
        let rows = self.column.presence.rows_of(block);
        let rows = rows.map_err(|flaw| self.reader.damaged(self.column.area, flaw))?;
        let row_of = |value: usize| Some((value, *rows.get(value - first)?));
        let of_block = |values: &ValueSet| {
            values
                .from(first)
                .take_while(|value| *value < end)
                .filter_map(row_of)
                .filter(|(_, row)| has_bit(within, *row))
                .collect::<Vec<_>>()
        };
        for (_, row) in of_block(&found.passing) {
            set_bit(out, row);
        }
        let candidates = of_block(&found.candidates);
        if candidates.is_empty() {
            return Ok(());
        }
        self.add_passing(block, &candidates, out)
    }
}

fn has_bit(bits: &[u64], row: u32) -> bool {
    let word = bits.get(row as usize / 64).copied().unwrap_or_default();
    word >> (row % 64) & 1 == 1
}

fn set_bit(bits: &mut [u64], row: u32) {
    if let Some(word) = bits.get_mut(row as usize / 64) {
        *word |= 1 << (row % 64);
    }
}

impl Index<'_> {
    /// Whether every value is a string or JSON, for which words decide.
    fn words_decide(&self) -> bool {
        matches!(self.column.directory.kind, Some(Kind::String | Kind::Json))
    }

    fn none(&self) -> ValueSet {
        ValueSet::none(self.values())
    }

    fn all(&self) -> ValueSet {
        let mut all = self.none();
        all.fill();
        all
    }

    /// The values for which one of the clues may hold.
    fn find(&self, clues: &[Clue]) -> Result<Found, ReadError> {
        let mut found = Found {
            passing: self.none(),
            candidates: self.none(),
        };
        for clue in clues {
            match clue {
                Clue::Phrase(words) => self.find_phrase(words, &mut found)?,
                Clue::Substring(text) => self.find_substring(text, &mut found)?,
                Clue::Whole(text) => {
                    let candidates = self.values_with_words(&fold(text))?;
                    found.candidates.add(&candidates);
                }
                Clue::Contains { text, .. } => {
                    // Folding both keeps what contains what.
                    let mut of_clue = Found {
                        passing: self.none(),
                        candidates: self.none(),
                    };
                    self.find_substring(&fold(text), &mut of_clue)?;
                    found.candidates.add(&of_clue.passing);
                    found.candidates.add(&of_clue.candidates);
                }
                Clue::Number(_) => found.candidates.add(&self.values_with(NUMBER)?),
                Clue::Anything => found.candidates.fill(),
            }
        }
        found.candidates.subtract(&found.passing);
        Ok(found)
    }

    fn find_phrase(&self, words: &[String], found: &mut Found) -> Result<(), ReadError> {
        let terms: Vec<(Vec<u8>, bool)> = words
            .iter()
            .map(|word| term_of(word, self.prose.cutting))
            .collect();
        let is_common = |term: &[u8]| {
            let common = &self.prose.common;
            common.binary_search_by(|have| (**have).cmp(term)).is_ok()
        };
        let mut all = Vec::new();
        let mut is_in_pair = false;
        for (at, (term, _)) in terms.iter().enumerate() {
            let next = terms.get(at + 1).filter(|_| is_common(term));
            let next = next.filter(|(next, _)| is_common(next));
            match next {
                Some((next, _)) => all.push(pair_of(term, next)),
                // A word that is in a pair is looked for by it.
                None if !is_in_pair => all.push(term.clone()),
                None => {}
            }
            is_in_pair = next.is_some();
        }
        let values = self.values_with_all(&all)?;
        let is_decided = all.len() == 1 && !terms.iter().any(|(_, is_cut)| *is_cut);
        match is_decided && self.words_decide() {
            true => found.passing.add(&values),
            false => found.candidates.add(&values),
        }
        Ok(())
    }

    /// The values that have all of these terms.
    fn values_with_all(&self, terms: &[Vec<u8>]) -> Result<ValueSet, ReadError> {
        let mut entries = Vec::with_capacity(terms.len());
        for term in terms {
            match self.look_up(term)? {
                Some(entry) => entries.push(entry),
                None => return Ok(self.none()),
            }
        }
        entries.sort_by_key(|entry| entry.count);
        let mut all: Option<ValueSet> = None;
        for entry in &entries {
            let mut values = self.none();
            self.add_postings(entry, &mut values)?;
            if let Some(before) = &all {
                values.keep(before);
            }
            if values.is_empty() {
                return Ok(values);
            }
            all = Some(values);
        }
        Ok(all.unwrap_or_else(|| self.all()))
    }

    /// The values that have all words of a folded text.
    fn values_with_words(&self, text: &str) -> Result<ValueSet, ReadError> {
        let words =
            tokens(text).map(|(start, end)| term_of(&text[start..end], self.prose.cutting).0);
        let mut words: Vec<Vec<u8>> = words.collect();
        words.sort_unstable();
        words.dedup();
        self.values_with_all(&words)
    }

    /// The values whose folded text contains a folded text.
    fn find_substring(&self, text: &str, found: &mut Found) -> Result<(), ReadError> {
        let words: Vec<(usize, usize)> = tokens(text).collect();
        if let [(0, end)] = words[..]
            && end == text.len()
        {
            let inside = self.words_with_part(text, Place::Anywhere)?.values;
            match self.words_decide() {
                true => found.passing.add(&inside),
                false => found.candidates.add(&inside),
            }
            if !text.chars().all(is_single) {
                found.candidates.add(&self.values_with_cut()?);
            }
            return Ok(());
        }
        let mut values = self.all();
        let mut before: Option<WordSet> = None;
        for (start, end) in words {
            let word = &text[start..end];
            // A character that is a token by itself has no neighbour in its token.
            let is_closed = word.chars().all(is_single);
            let open = match (start == 0, end == text.len()) {
                (true, _) if !is_closed => Some(Place::End),
                (_, true) if !is_closed => Some(Place::Begin),
                _ => None,
            };
            let set = match open {
                Some(_) if word.len() < PART_BYTES_MIN => None,
                Some(place) => {
                    let mut set = self.words_with_part(word, place)?;
                    let cut = self.values_with_cut()?;
                    set.with_others.add(&cut);
                    set.values.add(&cut);
                    Some(set)
                }
                None => Some(self.word(&term_of(word, self.prose.cutting).0)?),
            };
            if let Some(set) = &set {
                values.keep(&set.values);
                if let Some(before) = &before {
                    values.keep(&self.values_with_pair(before, set)?);
                }
            }
            if values.is_empty() {
                return Ok(());
            }
            before = set;
        }
        found.candidates.add(&values);
        Ok(())
    }
}
