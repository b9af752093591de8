//! Looking values up in the heap of variables: which values of the column have them.
use super::{decode::Templated, judge::Verdict};
use crate::{
    find::Clue,
    read::ReadError,
    segment::{
        filter,
        needle::{Needle, candidates},
    },
};
use hashbrown::HashSet;
use std::sync::Arc;
use taffrail_model::token::{fold, tokens};

/// A value of a column of which a variable in the heap may be what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::segment) struct Listed {
    /// Its number among the values of the column.
    pub value: u32,
    /// Whether the value passes; else it must be looked at.
    pub is_certain: bool,
}

/// A text of the heap that contains what is wanted.
pub(in crate::segment) struct Hit<'a> {
    /// Number of the variable within the template of its value.
    index: usize,
    wanted: &'a str,
    /// Word of the question's clue, for those that have one word.
    words: &'a [Option<Arc<str>>],
    is_whole: bool,
    has_token: bool,
}

impl Hit<'_> {
    /// Whether the value passes by a verdict on its template, if it may: `Some(true)` if it does,
    /// `Some(false)` if it must be looked at.
    pub(in crate::segment) fn judge(&self, verdict: &Verdict) -> Option<bool> {
        match verdict {
            Verdict::Word(word) => {
                let word = self.words.get(*word as usize)?.as_deref()?;
                (self.has_token && word == self.wanted).then_some(true)
            }
            Verdict::Where(alternatives) => {
                let mut found = None;
                for alternative in alternatives {
                    let is_this = |wanted: &&super::lookup::Wanted| {
                        wanted.index == self.index
                            && &*wanted.folded == self.wanted
                            && (wanted.part.is_some() || self.is_whole)
                    };
                    if let Some(wanted) = alternative.iter().find(is_this) {
                        let is_certain = alternative.len() == 1 && wanted.part.is_none();
                        found = Some(found.unwrap_or(false) || is_certain);
                    }
                }
                found
            }
            _ => None,
        }
    }
}

/// A text of the heap, by number, that contains one of the wanted texts.
struct Place {
    text: usize,
    wanted: usize,
    is_whole: bool,
    has_token: bool,
}

/// What is looked for in the heap, each text once for all templates.
pub(in crate::segment) struct HeapLookup<'a> {
    pub templated: &'a Templated<'a>,
    /// The word of each clue that has one word.
    words: Vec<Option<Arc<str>>>,
    wanted: Vec<Arc<str>>,
    /// Numbers of wanted texts that must be in one value together.
    sets: Vec<Vec<usize>>,
}

impl<'a> HeapLookup<'a> {
    pub(in crate::segment) fn new(templated: &'a Templated<'a>, clues: &[Clue]) -> HeapLookup<'a> {
        let word = |clue: &Clue| match clue {
            Clue::Phrase(tokens) => match &tokens[..] {
                [word] => Some(Arc::from(word.as_str())),
                _ => None,
            },
            _ => None,
        };
        HeapLookup {
            templated,
            words: clues.iter().map(word).collect(),
            wanted: Vec::new(),
            sets: Vec::new(),
        }
    }

    /// The word of a clue, which will be looked for.
    pub(in crate::segment) fn want_word(&mut self, clue: u32) -> Option<Arc<str>> {
        let word = self.words.get(clue as usize).cloned().flatten()?;
        self.want(std::iter::once(&word));
        Some(word)
    }

    /// Notes that values with all of these folded texts are looked for.
    pub(in crate::segment) fn want<'t>(&mut self, texts: impl Iterator<Item = &'t Arc<str>>) {
        let mut set = Vec::new();
        for text in texts {
            let known = self.wanted.iter().position(|known| known == text);
            set.push(known.unwrap_or(self.wanted.len()));
            if known.is_none() {
                self.wanted.push(text.clone());
            }
        }
        if !self.sets.contains(&set) {
            self.sets.push(set);
        }
    }

    /// Texts of the heap that contain a wanted one, ascending.
    fn places(&self) -> Result<Vec<Place>, ReadError> {
        let heap = &self.templated.head.heap;
        let of_wanted = (0..self.wanted.len()).map(|wanted| self.places_of(wanted));
        let of_wanted: Vec<Vec<Place>> = of_wanted.collect::<Result<_, _>>()?;
        let block_of = |place: &Place| heap.block_of(place.text);
        let blocks = of_wanted.iter().map(|places| {
            let mut blocks: Vec<usize> = places.iter().map(block_of).collect();
            blocks.dedup();
            blocks
        });
        let blocks: Vec<Vec<usize>> = blocks.collect();
        // Blocks without one of the texts have no value with all of them.
        let mut kept = vec![HashSet::new(); self.wanted.len()];
        for set in &self.sets {
            let (Some(first), rest) = (set.first(), set.get(1..).unwrap_or_default()) else {
                continue;
            };
            let has_all = |block: &&usize| {
                rest.iter()
                    .all(|other| blocks[*other].binary_search(block).is_ok())
            };
            let common: Vec<usize> = blocks[*first].iter().filter(has_all).copied().collect();
            for wanted in set {
                kept[*wanted].extend(common.iter().copied());
            }
        }
        let mut places: Vec<Place> = of_wanted
            .into_iter()
            .flatten()
            .filter(|place| kept[place.wanted].contains(&block_of(place)))
            .collect();
        places.sort_unstable_by_key(|place| place.text);
        Ok(places)
    }

    /// Texts of the heap that contain a wanted one of one token as a token, or another anywhere.
    fn places_of(&self, wanted: usize) -> Result<Vec<Place>, ReadError> {
        let templated = self.templated;
        let heap = &templated.head.heap;
        let Some(folded) = self.wanted.get(wanted) else {
            return Ok(Vec::new());
        };
        let is_token = folded.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let needles = [Needle::of(&Clue::Substring(folded.to_string()))];
        // All of its tokens are in one text.
        let mut hashes = Vec::new();
        filter::token_hashes(folded, |hash| hashes.push(hash));
        let mut places = Vec::new();
        for (number, run) in heap.runs.iter().enumerate() {
            if !templated.filter_has_all(heap, number, &hashes)? {
                continue;
            }
            let texts = templated.heap_run(heap, number)?;
            for index in candidates(&texts, &needles) {
                let text = fold(texts.get(index).unwrap_or_default());
                let has_token = tokens(&text).any(|(start, end)| text[start..end] == **folded);
                if has_token || !is_token {
                    places.push(Place {
                        text: run.first + index,
                        wanted,
                        is_whole: text == **folded,
                        has_token,
                    });
                }
            }
        }
        Ok(places)
    }

    /// The values whose texts in the heap `judge`, which gets the template, says may pass.
    pub(in crate::segment) fn listed(
        &self,
        is_text: bool,
        judge: impl Fn(usize, &Hit<'_>) -> Option<bool>,
    ) -> Result<Vec<Listed>, ReadError> {
        let templated = self.templated;
        let head = &*templated.head;
        let places = self.places()?;
        let mut listed: Vec<Listed> = Vec::new();
        let is_same_block =
            |a: &Place, b: &Place| head.heap.block_of(a.text) == head.heap.block_of(b.text);
        for of_block in places.chunk_by(is_same_block) {
            let block = of_block
                .first()
                .map_or(0, |place| head.heap.block_of(place.text));
            let (first_value, _) = templated.column.presence.values_of(block);
            let mut at = head.heap.texts_of(block).start;
            let mut left = of_block.iter().peekable();
            for (code, value) in templated
                .codes(block)?
                .into_iter()
                .zip(first_value as u32..)
            {
                let end = at + head.heap_texts(code as usize);
                while let Some(place) = left.next_if(|place| place.text < end) {
                    let template = (code as usize).saturating_sub(1);
                    let slot = head.heap_slot(template, place.text.saturating_sub(at));
                    let Some(slot) = slot else {
                        continue;
                    };
                    let hit = Hit {
                        index: slot - head.slots_of(template).start,
                        wanted: self.wanted.get(place.wanted).map_or("", |text| &**text),
                        words: &self.words,
                        is_whole: place.is_whole,
                        has_token: place.has_token,
                    };
                    if let Some(is_certain) = judge(template, &hit) {
                        add(&mut listed, value, is_certain && is_text);
                    }
                }
                at = end;
            }
        }
        Ok(listed)
    }
}

/// Adds a value, once, certain if one of its texts makes it so.
fn add(listed: &mut Vec<Listed>, value: u32, is_certain: bool) {
    match listed.last_mut().filter(|last| last.value == value) {
        Some(last) => last.is_certain |= is_certain,
        None => listed.push(Listed { value, is_certain }),
    }
}
