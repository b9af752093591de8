//! Text that reads like prose to a compressor and to a word index: a few words make half of it,
//! most words are rare, some stand beside each other far more often than by chance, and every
//! sentence is new.
use super::super::random::Random;

/// Words beside the common ones. So many that the rarest are in one of some thousand records.
const VOCABULARY: usize = 200_000;
/// Words in a hundred that are common ones.
const COMMON_PERCENT: u64 = 45;
/// Words in a hundred that follow from the word before.
const FOLLOWING_PERCENT: u64 = 30;
/// What may follow a word from habit.
const FOLLOWERS: u64 = 4;

const COMMON: &[&str] = &[
    "the", "to", "of", "and", "a", "in", "is", "that", "it", "for", "this", "be", "with", "as",
    "on", "are", "by", "or", "not", "from", "an", "if", "we", "you", "can", "at", "was", "which",
    "will", "when", "has", "have", "but", "then", "all", "use", "file", "should", "one", "no",
    "return", "value", "test", "so", "function", "error", "first", "there", "code", "each", "our",
    "name", "into", "only", "line", "would", "data", "type", "after", "any", "other", "before",
    "request", "result", "call", "new", "these", "list", "does", "more", "because", "its", "set",
    "query", "where", "same", "also", "need", "must", "field", "check", "text", "add", "read",
    "write", "module", "does", "string", "service", "default", "already", "given", "between",
    "without", "number", "path", "output", "input", "server", "client", "message", "second",
    "change", "every", "update", "step", "user", "table", "index", "current", "while", "project",
    "run", "time", "case", "object", "still", "response", "node", "model", "agent", "tool",
    "schema", "version", "naïve", "façade", "café", "über",
];
const SYLLABLES: &[&str] = &[
    "an", "ba", "cor", "de", "el", "fi", "gra", "hu", "in", "jo", "ka", "lum", "mo", "ner", "or",
    "pli", "qua", "re", "sta", "ter", "un", "ver", "wo", "xi", "ya", "zen", "bri", "cle", "dro",
    "fla", "gno", "hex", "ist", "kru", "mel", "nob", "ost", "pra", "ril", "sol",
];
const ENDINGS: &[&str] = &[
    "", "", "", "s", "ed", "ing", "er", "ation", "ment", "al", "ly", "ity",
];

/// All words, and how they follow each other.
pub struct Words {
    all: Vec<Box<str>>,
}

impl Words {
    /// The words of a seed.
    pub fn new(random: &mut Random) -> Words {
        let common = COMMON.iter().map(|word| Box::from(*word));
        let made = (0..VOCABULARY).map(|_| made_up(random));
        Words {
            all: common.chain(made).collect(),
        }
    }

    /// Appends sentences until there are at least so many bytes more.
    pub fn write(&self, out: &mut String, bytes: usize, random: &mut Random) {
        let end = out.len() + bytes;
        while out.len() < end {
            self.write_sentence(out, random);
            out.push_str(if random.below(6) == 0 { "\n\n" } else { " " });
        }
    }

    fn write_sentence(&self, out: &mut String, random: &mut Random) {
        let words = 5 + random.below(16);
        let mut before = self.any(random);
        for number in 0..words {
            let word = match random.percent(FOLLOWING_PERCENT) {
                true => self.follower(before, random.below(FOLLOWERS)),
                false => self.any(random),
            };
            before = word;
            let text = &self.all[word];
            match number {
                0 => push_capitalised(out, text),
                _ => {
                    out.push_str(if random.below(12) == 0 { ", " } else { " " });
                    write_word(out, text, random);
                }
            }
        }
        out.push('.');
    }

    /// Any word, common ones more often.
    fn any(&self, random: &mut Random) -> usize {
        match random.percent(COMMON_PERCENT) {
            true => random.skewed(COMMON.len()),
            false => COMMON.len() + random.skewed(VOCABULARY),
        }
    }

    /// One of the words that follow a word from habit; the same for ever.
    fn follower(&self, word: usize, which: u64) -> usize {
        self.any(&mut Random::new(word as u64 * FOLLOWERS + which))
    }
}

fn made_up(random: &mut Random) -> Box<str> {
    let mut word = String::new();
    for _ in 0..2 + random.below(3) {
        word.push_str(SYLLABLES[random.below(SYLLABLES.len() as u64) as usize]);
    }
    word.push_str(ENDINGS[random.below(ENDINGS.len() as u64) as usize]);
    word.into()
}

/// Appends a word, or now and then what stands between words in the prose of programmers.
fn write_word(out: &mut String, word: &str, random: &mut Random) {
    match random.below(60) {
        0 => out.push_str(&random.below(5_000).to_string()),
        1 => out.push_str(&format!("`{word}_{}`", random.pick(SYLLABLES))),
        2 => out.push_str(&format!("src/{word}/{}.rs", random.pick(SYLLABLES))),
        3 => out.push_str(&format!("\"{word}\"")),
        _ => out.push_str(word),
    }
}

fn push_capitalised(out: &mut String, word: &str) {
    let mut letters = word.chars();
    out.extend(letters.next().into_iter().flat_map(char::to_uppercase));
    out.push_str(letters.as_str());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_as_long_as_asked_and_follows_from_its_seed() {
        let text = |seed| {
            let mut random = Random::new(seed);
            let words = Words::new(&mut random);
            let mut out = String::new();
            words.write(&mut out, 1_000, &mut random);
            out
        };
        assert!((1_000..1_400).contains(&text(1).len()));
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }
}
