//! How text is cut into words. Every column, every index and every query uses this rule.
//!
//! A token is a maximal run of Unicode letters, marks and numbers; every other character
//! separates, `_` too. Han, Kana and Thai are one token a character. Tokens are compared after
//! simple case folding; accents count.
use finl_unicode::categories::CharacterCategories;

/// The tokens of `text` in order, as byte ranges of `text`.
pub fn tokens(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    Tokens { text, at: 0 }
}

/// Whether a character belongs to a token.
#[must_use]
pub fn is_token_char(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric()
    } else {
        c.is_letter() || c.is_mark() || c.is_number()
    }
}

/// Whether a character is a token by itself (Han, Hiragana, Katakana, Thai).
#[must_use]
pub fn is_single(c: char) -> bool {
    matches!(u32::from(c),
        0x0E01..=0x0E5B
        | 0x2E80..=0x2FDF
        | 0x3005..=0x3007
        | 0x3021..=0x3029
        | 0x3038..=0x303B
        | 0x3041..=0x30FF
        | 0x31F0..=0x31FF
        | 0x3400..=0x4DBF
        | 0x4E00..=0x9FFF
        | 0xF900..=0xFAFF
        | 0xFF66..=0xFF9F
        | 0x1AFF0..=0x1B16F
        | 0x20000..=0x323AF)
}

/// Simple case folding of one character (Unicode `CaseFolding.txt`, status C and S).
#[must_use]
pub fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    unicode_case_mapping::case_folded(c)
        .and_then(|n| char::from_u32(n.get()))
        .unwrap_or(c)
}

/// `text` with every character folded; appended to `out`.
pub fn fold_into(text: &str, out: &mut String) {
    if text.is_ascii() {
        let start = out.len();
        out.push_str(text);
        out[start..].make_ascii_lowercase();
    } else {
        out.extend(text.chars().map(fold_char));
    }
}

/// `text` with every character folded.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold_into(text, &mut out);
    out
}

struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl Iterator for Tokens<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let bytes = self.text.as_bytes();
        let mut start = None;
        while let Some(&byte) = bytes.get(self.at) {
            if byte < 0x80 {
                if byte.is_ascii_alphanumeric() {
                    start.get_or_insert(self.at);
                } else if let Some(start) = start {
                    return Some((start, self.at));
                }
                self.at += 1;
                continue;
            }
            let Some(c) = self.text[self.at..].chars().next() else {
                break;
            };
            let width = c.len_utf8();
            if !is_token_char(c) {
                if let Some(start) = start {
                    return Some((start, self.at));
                }
                self.at += width;
            } else if is_single(c) {
                if let Some(start) = start {
                    return Some((start, self.at));
                }
                let start = self.at;
                self.at += width;
                return Some((start, self.at));
            } else {
                start.get_or_insert(self.at);
                self.at += width;
            }
        }
        start.map(|start| (start, self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found: Vec<_> = tokens(text).map(|(a, b)| &text[a..b]).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    /// Values come back whatever the classes of characters are, but indexes of words and templates
    /// follow from them: by another table of Unicode a query cuts words that older segments do not
    /// have. Such a table is taken on purpose, and docs/formats/segment.md says so.
    #[test]
    fn the_classes_of_characters_are_those_of_the_indexes() {
        let classes = (char::MIN..=char::MAX).fold(0xcbf2_9ce4_8422_2325u64, |hash, c| {
            let class = u64::from(is_token_char(c)) | u64::from(is_single(c)) << 1;
            (hash ^ class).wrapping_mul(0x0000_0100_0000_01b3)
        });
        assert_eq!(classes, 5_992_214_406_261_455_498);
    }

    #[test]
    fn runs_of_letters_marks_and_numbers() {
        check("", &[]);
        check("  -- ", &[]);
        check("failed to open", &["failed", "to", "open"]);
        check("user_id=42", &["user", "id", "42"]);
        check("a1b2-c3", &["a1b2", "c3"]);
        check("10.0.0.7:80", &["10", "0", "0", "7", "80"]);
        check("naïve café", &["naïve", "café"]);
        check("cafe\u{301}s", &["cafe\u{301}s"]);
        check("Ⅷ ½x", &["Ⅷ", "½x"]);
        check("😀ok😀", &["ok"]);
    }

    #[test]
    fn han_kana_and_thai_are_one_token_a_character() {
        check("日本語log", &["日", "本", "語", "log"]);
        check("カタ", &["カ", "タ"]);
        check("ไทย", &["ไ", "ท", "ย"]);
        check("한국어", &["한국어"]);
    }

    #[test]
    fn folding_is_simple_and_keeps_accents() {
        assert_eq!(fold("ÀB c"), "àb c");
        assert_eq!(fold("ΣΑΣ"), "σασ");
        assert_eq!(fold("ς"), "σ");
        assert_eq!(fold("K"), "k");
        assert_eq!(fold("straße"), "straße");
    }
}
