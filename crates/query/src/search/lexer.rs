//! Reads the pieces of a query text: words with escapes, quoted texts, regexes, field names.
//!
//! What a character means depends on what stands before it (`/` begins a regex only where a term
//! begins), so the parser asks for the piece that it expects. Places are counted in characters,
//! as an editor does, not in bytes.
use super::{
    ParseError,
    tree::{Pattern, PatternPart},
};

/// A cursor over the characters of a query text.
pub(super) struct Lexer {
    chars: Vec<char>,
    pub(super) at: usize,
}

/// A character, and whether a backslash stood before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glyph {
    pub(super) c: char,
    pub(super) is_escaped: bool,
}

/// What follows a field name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Separator {
    Colon,
    /// `>` or `<` without a colon, as in `level>=warn`; not consumed.
    Comparison,
}

/// A field name with what follows it.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) name: String,
    /// Whether some character of the name was escaped: then it is a name and nothing else.
    pub(super) is_escaped: bool,
    pub(super) separator: Separator,
}

pub(super) fn fault(
    start: usize,
    end: usize,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> ParseError {
    ParseError {
        start,
        end,
        message: message.into(),
        hint: hint.into(),
    }
}

/// Whether a character may stand in a field name without a backslash.
pub(super) fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '@' | '$' | '/' | '#')
}

/// Whether a bare word ends before this character.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '|' | '"')
}

impl Lexer {
    pub(super) fn new(text: &str) -> Lexer {
        Lexer {
            chars: text.chars().collect(),
            at: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.chars.len()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    pub(super) fn peek_second(&self) -> Option<char> {
        self.chars.get(self.at + 1).copied()
    }

    pub(super) fn char_at(&self, at: usize) -> Option<char> {
        self.chars.get(at).copied()
    }

    pub(super) fn take(&mut self, c: char) -> bool {
        let is_there = self.peek() == Some(c);
        self.at += usize::from(is_there);
        is_there
    }

    pub(super) fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// The text between two places.
    pub(super) fn text(&self, start: usize, end: usize) -> String {
        self.chars[start..end].iter().collect()
    }

    /// The upper-case operator that stands here as a word of its own.
    pub(super) fn keyword(&self) -> Option<&'static str> {
        ["AND", "OR", "NOT"].into_iter().find(|word| {
            let end = self.at + word.len();
            self.chars.len() >= end
                && word.chars().eq(self.chars[self.at..end].iter().copied())
                && self.chars.get(end).is_none_or(|c| ends_word(*c))
        })
    }

    /// A field name and its separator, consumed, if they stand here.
    pub(super) fn head(&mut self) -> Option<Head> {
        let start = self.at;
        let found = self.try_head();
        if found.is_none() {
            self.at = start;
        }
        found
    }

    fn try_head(&mut self) -> Option<Head> {
        let mut name = String::new();
        let mut is_escaped = false;
        loop {
            match self.peek()? {
                '\\' => {
                    name.push(self.peek_second()?);
                    is_escaped = true;
                    self.at += 2;
                }
                c if is_name_char(c) => {
                    name.push(c);
                    self.at += 1;
                }
                _ => break,
            }
        }
        // `12:30` is a time and `std::io` a path, no fields.
        let is_name = is_escaped || (!name.is_empty() && !name.chars().all(|c| c.is_ascii_digit()));
        let separator = match self.peek()? {
            ':' if self.peek_second() != Some(':') => {
                self.at += 1;
                Separator::Colon
            }
            '>' | '<' => Separator::Comparison,
            _ => return None,
        };
        is_name.then_some(Head {
            name,
            is_escaped,
            separator,
        })
    }

    /// The place and text of an operator of another language behind a plain name, as in
    /// `status!=200`; nothing is consumed. `=` alone is none: `user_id=42` is a phrase.
    pub(super) fn foreign_comparison(&self) -> Option<(usize, String)> {
        let rest = self.chars.get(self.at..)?;
        let width = rest.iter().take_while(|c| is_name_char(**c)).count();
        let starts_name = rest.first().is_some_and(|c| c.is_alphabetic() || *c == '_');
        let operator: String = rest.get(width..width + 2)?.iter().collect();
        let is_operator = matches!(operator.as_str(), "!=" | "==" | "=~" | "!~");
        // Text that only ends so, such as base64, is text.
        let is_followed = rest
            .get(width + 2)
            .is_some_and(|c| *c == '"' || !ends_word(*c) && *c != '=');
        (starts_name && is_operator && is_followed).then_some((self.at + width, operator))
    }

    /// The operator of another language that stands where a value begins; nothing is consumed.
    pub(super) fn foreign_operator(&self) -> Option<&'static str> {
        let rest = self.chars.get(self.at..)?;
        ["!=", "!~", "==", "=~", "~", "!"]
            .into_iter()
            .find(|operator| {
                operator
                    .chars()
                    .eq(rest.iter().take(operator.len()).copied())
            })
    }

    /// A bare word up to a blank, bracket, pipe or quote, or up to what `ends` says.
    pub(super) fn word(&mut self, ends: impl Fn(char) -> bool) -> Result<Vec<Glyph>, ParseError> {
        let mut glyphs = Vec::new();
        while let Some(c) = self.peek() {
            if ends_word(c) || ends(c) {
                break;
            }
            self.at += 1;
            if c != '\\' {
                glyphs.push(Glyph {
                    c,
                    is_escaped: false,
                });
                continue;
            }
            let Some(c) = self.peek() else {
                return Err(fault(
                    self.at - 1,
                    self.at,
                    "nothing follows the backslash",
                    r"a backslash takes the next character as it is: write \\ for a backslash",
                ));
            };
            self.at += 1;
            glyphs.push(Glyph {
                c,
                is_escaped: true,
            });
        }
        Ok(glyphs)
    }

    /// A quoted text; the opening quote stands here.
    pub(super) fn quoted(&mut self) -> Result<String, ParseError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '"' => return Ok(text),
                '\\' => match self.peek() {
                    Some(next) => {
                        text.push(next);
                        self.at += 1;
                    }
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err(fault(
            start,
            self.len(),
            "unclosed quote",
            r#"add " at the end, or write \" for a quote that is part of the text"#,
        ))
    }

    /// A regex; the opening slash stands here. Gives the expression, the place of its first
    /// character, and whether case is folded.
    pub(super) fn regex(&mut self) -> Result<(String, usize, bool), ParseError> {
        let start = self.at;
        self.at += 1;
        let mut pattern = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '/' => {
                    let folds_case = self.take('i');
                    return Ok((pattern, start + 1, folds_case));
                }
                '\\' => {
                    let next = self.peek();
                    if next != Some('/') {
                        pattern.push('\\');
                    }
                    pattern.extend(next);
                    self.at += usize::from(next.is_some());
                }
                c => pattern.push(c),
            }
        }
        Err(fault(
            start,
            self.len(),
            "unclosed regex",
            r#"add / at the end; a path is searched for in quotes: "/api/v1""#,
        ))
    }
}

/// A word as a pattern: `*` and `?` that are not escaped are wildcards.
pub(super) fn pattern_of(glyphs: &[Glyph]) -> Pattern {
    Pattern::new(glyphs.iter().map(|glyph| match glyph {
        Glyph {
            c: '*',
            is_escaped: false,
        } => PatternPart::AnyRun,
        Glyph {
            c: '?',
            is_escaped: false,
        } => PatternPart::AnyOne,
        Glyph { c, .. } => PatternPart::Literal(c.to_string()),
    }))
}
