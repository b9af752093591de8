//! Recursive descent from a query text to its tree; pipes have a grammar of their own, in `pipes`.
//!
//! ```text
//! query   = [ any ] { "|" pipe }         (nothing: every record)
//! any     = all { "OR" all }
//! all     = not { [ "AND" ] not }
//! not     = ( "NOT" | "-" ) not | term
//! term    = "(" any ")" | [ field ":" ] value | field comparison value
//! value   = word | quoted | "/" regex "/" [ "i" ] | "*" text "*" | "=" word | "=" quoted
//!         | comparison value | range | "(" any ")"       (the last four after a field)
//! ```
mod functions;
mod pipes;

use super::{
    ParseError,
    lexer::{Glyph, Head, Lexer, Separator, fault, pattern_of},
    tree::{
        Expr, Leaf, NumberText, Operator, Pattern, PatternPart, Query, RegexText, Test, alias_of,
    },
};
use crate::{number::Number, regex, words};
use jiff::tz::TimeZone;
use taffrail_model::{
    column::FieldName,
    field,
    level::Level,
    limits::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_NODES_MAX},
    time::{Timestamp, parse_time},
};

/// Reads a query text.
///
/// # Errors
/// [`ParseError`] with the place of the fault and what would be right.
pub fn parse(text: &str) -> Result<Query, ParseError> {
    let (mut parser, filter) = Parser::begin(text)?;
    let pipes = parser.pipes()?;
    let nodes = filter.nodes() + pipes.iter().map(pipes::nodes).sum::<usize>();
    if nodes > QUERY_NODES_MAX {
        return Err(fault(
            0,
            parser.lexer.len(),
            format!("the query has {nodes} terms and operators"),
            format!(
                "a query has at most {QUERY_NODES_MAX}; a regex says many words at once: /a|b/"
            ),
        ));
    }
    Ok(Query { filter, pipes })
}

/// Reads a query text that selects records and makes nothing else of them.
///
/// # Errors
/// [`ParseError`] as [`parse`], and for pipes.
pub fn parse_filter(text: &str) -> Result<Expr, ParseError> {
    let query = parse(text)?;
    if query.pipes.is_empty() {
        return Ok(query.filter);
    }
    let start = pipes_begin(text)?;
    Err(fault(
        start,
        text.chars().count(),
        "pipes cannot be used here",
        r"records are selected here: leave out what follows |, or ask the search for it; to search for the character write \|",
    ))
}

/// Place of the first pipe of a query text, counted in characters; its length if there is none.
///
/// # Errors
/// [`ParseError`] for what is before it.
pub fn pipes_begin(text: &str) -> Result<usize, ParseError> {
    Ok(Parser::begin(text)?.0.lexer.at)
}

struct Parser {
    lexer: Lexer,
    depth: usize,
}

/// The field that values belong to; `None`: every text column.
type Scope<'a> = Option<&'a FieldName>;

impl Parser {
    /// Reads the filter, and stops at the first pipe or at the end.
    fn begin(text: &str) -> Result<(Parser, Expr), ParseError> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(fault(
                0,
                text.chars().count(),
                format!("the query has {} bytes", text.len()),
                format!("a query has at most {QUERY_BYTES_MAX} bytes"),
            ));
        }
        let mut parser = Parser {
            lexer: Lexer::new(text),
            depth: 0,
        };
        parser.lexer.skip_blanks();
        let filter = match parser.lexer.peek() {
            None | Some('|') => Expr::All,
            Some(_) => parser.any(None)?,
        };
        match parser.lexer.peek() {
            None | Some('|') => Ok((parser, filter)),
            // Everything else is taken by `any`, which stops at closing brackets alone.
            Some(_) => Err(fault(
                parser.lexer.at,
                parser.lexer.at + 1,
                "nothing is open that this ) could close",
                r"remove it, add ( before, or write \) to search for it",
            )),
        }
    }

    fn any(&mut self, scope: Scope<'_>) -> Result<Expr, ParseError> {
        let mut children = vec![self.all(scope)?];
        while self.lexer.keyword() == Some("OR") {
            self.operand_follows("OR", 2)?;
            children.push(self.all(scope)?);
        }
        Ok(Expr::any_of(children))
    }

    fn all(&mut self, scope: Scope<'_>) -> Result<Expr, ParseError> {
        let mut children = vec![self.not(scope)?];
        loop {
            self.lexer.skip_blanks();
            match (self.lexer.keyword(), self.lexer.peek()) {
                (Some("OR"), _) | (_, None | Some(')' | '|')) => break,
                (Some("AND"), _) => self.operand_follows("AND", 3)?,
                _ => {}
            }
            children.push(self.not(scope)?);
        }
        Ok(Expr::all_of(children))
    }

    /// Passes over an operator behind which a term must follow.
    fn operand_follows(&mut self, operator: &str, width: usize) -> Result<(), ParseError> {
        let start = self.lexer.at;
        self.lexer.at += width;
        self.lexer.skip_blanks();
        match self.lexer.peek() {
            None | Some(')' | '|') => Err(fault(
                start,
                start + width,
                format!("nothing follows {operator}"),
                format!(
                    "add what {operator} joins, or write \"{operator}\" in quotes to search for the word"
                ),
            )),
            Some(_) => Ok(()),
        }
    }

    fn not(&mut self, scope: Scope<'_>) -> Result<Expr, ParseError> {
        self.lexer.skip_blanks();
        let start = self.lexer.at;
        match self.lexer.keyword() {
            Some("NOT") => {
                self.operand_follows("NOT", 3)?;
                return self.deeper(start, |parser| Ok(parser.not(scope)?.negated()));
            }
            Some(operator) => {
                return Err(fault(
                    start,
                    start + operator.len(),
                    format!("nothing stands before {operator}"),
                    format!(
                        "add what {operator} joins, or write \"{operator}\" in quotes to search for the word"
                    ),
                ));
            }
            None => {}
        }
        if self.lexer.peek() == Some('-') {
            if self
                .lexer
                .peek_second()
                .is_none_or(|c| c.is_whitespace() || matches!(c, ')' | '|'))
            {
                return Err(fault(
                    start,
                    start + 1,
                    "nothing follows the -",
                    "put - directly before what is to be left out: -word",
                ));
            }
            self.lexer.at += 1;
            return self.deeper(start, |parser| Ok(parser.not(scope)?.negated()));
        }
        self.no_foreign_prefix(scope)?;
        self.term(scope)
    }

    /// Signs before a term that mean something elsewhere.
    fn no_foreign_prefix(&self, scope: Scope<'_>) -> Result<(), ParseError> {
        let start = self.lexer.at;
        let Some(next) = self
            .lexer
            .peek_second()
            .filter(|c| !(c.is_whitespace() || matches!(c, ')' | '|')))
        else {
            return Ok(());
        };
        let (message, hint) = match self.lexer.peek() {
            // `!=` by itself gets the hint of operators that stand between blanks.
            Some('!') if next != '=' || scope.is_some() => (
                "! does not negate",
                r"write -word or NOT word, or \! for the character",
            ),
            // A sign before a number in the group of a field is part of the number.
            Some('+') if scope.is_none() || !next.is_ascii_digit() => (
                "+ does not require a term",
                r"leave it out, since terms side by side must all match, or write \+ for the character",
            ),
            _ => return Ok(()),
        };
        Err(fault(start, start + 1, message, hint))
    }

    fn deeper(
        &mut self,
        start: usize,
        inner: impl FnOnce(&mut Parser) -> Result<Expr, ParseError>,
    ) -> Result<Expr, ParseError> {
        self.depth += 1;
        if self.depth > QUERY_DEPTH_MAX {
            return Err(fault(
                start,
                start + 1,
                "the query is nested too deeply",
                format!("groups and NOT nest at most {QUERY_DEPTH_MAX} deep"),
            ));
        }
        let expr = inner(self)?;
        self.depth -= 1;
        Ok(expr)
    }

    fn term(&mut self, scope: Scope<'_>) -> Result<Expr, ParseError> {
        let start = self.lexer.at;
        if self.lexer.peek() == Some('(') {
            return self.group(scope);
        }
        if let Some(field) = scope {
            let field = field.clone();
            return self.value(&field, start);
        }
        if let Some(head) = self.lexer.head() {
            return self.field(&head, start);
        }
        if let Some((at, operator)) = self.lexer.foreign_comparison() {
            let name = self.lexer.text(start, at);
            return Err(fault(
                at,
                at + operator.len(),
                format!("{operator} is no operator"),
                foreign_hint(&operator, &name),
            ));
        }
        let expr = match self.lexer.peek() {
            Some('"') => {
                let text = self.lexer.quoted()?;
                Expr::text(self.words(text, start)?)
            }
            Some('/') => Expr::text(self.regex()?),
            _ => {
                let glyphs = self.lexer.word(|_| false)?;
                let is_everything =
                    glyphs.iter().all(is_star) || self.lexer.text(start, self.lexer.at) == "*:*";
                if is_everything {
                    Expr::All
                } else {
                    Expr::text(self.bare(&glyphs, start)?)
                }
            }
        };
        self.ends_here(start)?;
        Ok(expr)
    }

    fn group(&mut self, scope: Scope<'_>) -> Result<Expr, ParseError> {
        let start = self.lexer.at;
        self.lexer.at += 1;
        self.lexer.skip_blanks();
        match self.lexer.peek() {
            Some(')') => {
                return Err(fault(
                    start,
                    self.lexer.at + 1,
                    "the group is empty",
                    r#"write something between ( and ), or quote the text: "f()""#,
                ));
            }
            None => return Err(unclosed_group(start)),
            Some(_) => {}
        }
        let expr = self.deeper(start, |parser| parser.any(scope))?;
        if self.lexer.take(')') {
            return Ok(expr);
        }
        if self.lexer.peek() == Some('|') {
            let at = self.lexer.at;
            return Err(fault(
                at,
                at + 1,
                "a pipe stands inside of a group",
                r"close the group before it; to search for the character write \|, or quote the text",
            ));
        }
        Err(unclosed_group(start))
    }

    /// What follows a field name.
    fn field(&mut self, head: &Head, start: usize) -> Result<Expr, ParseError> {
        if head.name == "_exists_" && !head.is_escaped && head.separator == Separator::Colon {
            return self.exists(start);
        }
        let name = field::canonical_name(&head.name);
        if name == field::TENANT {
            return Err(fault(
                start,
                self.lexer.at,
                "tenant cannot be searched: it is chosen by the credential",
                "an attribute that a record came with under this name is labels.tenant",
            ));
        }
        let field: FieldName = name.into();
        let is_group = head.separator == Separator::Colon && self.lexer.peek() == Some('(');
        let expr = match is_group {
            true => self.group(Some(&field))?,
            false => self.value(&field, start)?,
        };
        Ok(expr.asked_by(alias_of(&head.name).as_ref()))
    }

    fn exists(&mut self, start: usize) -> Result<Expr, ParseError> {
        let name = if self.lexer.peek() == Some('"') {
            self.lexer.quoted()?
        } else {
            let glyphs = self.lexer.word(|_| false)?;
            glyphs.iter().map(|glyph| glyph.c).collect()
        };
        if name.is_empty() {
            return Err(fault(
                start,
                self.lexer.at,
                "_exists_ needs the name of a field",
                "such as _exists_:error.stack",
            ));
        }
        self.ends_here(start)?;
        if name == field::TENANT {
            return Ok(Expr::All);
        }
        Ok(Expr::field(&name, Test::Exists))
    }

    /// The value of a field; `start` is where the term begins.
    fn value(&mut self, field: &FieldName, start: usize) -> Result<Expr, ParseError> {
        let at = self.lexer.at;
        if let Some(operator) = self.lexer.foreign_operator() {
            return Err(fault(
                at,
                at + operator.len(),
                format!("{operator} is no operator"),
                foreign_hint(operator, field),
            ));
        }
        let expr = match self.lexer.peek() {
            Some('>' | '<') => self.comparison(field)?,
            Some('[' | '{') => self.range(field)?,
            Some('=') => {
                self.lexer.at += 1;
                self.whole(field, start)?
            }
            Some('/') => {
                let test = self.regex()?;
                self.text_leaf(field, test, at)?
            }
            Some('"') => {
                let text = self.lexer.quoted()?;
                self.text_value(field, text, at)?
            }
            _ => {
                let glyphs = self.lexer.word(|_| false)?;
                if glyphs.is_empty() {
                    return Err(fault(
                        start,
                        self.lexer.at.max(start + 1),
                        format!("nothing follows {field}:"),
                        format!(
                            "add a value without a blank before it, or ask whether there is one: _exists_:{field}"
                        ),
                    ));
                }
                self.bare_value(field, &glyphs, at)?
            }
        };
        self.ends_here(start)?;
        Ok(expr)
    }

    fn bare_value(
        &mut self,
        field: &FieldName,
        glyphs: &[Glyph],
        at: usize,
    ) -> Result<Expr, ParseError> {
        if glyphs.iter().all(is_star) {
            return Ok(leaf(field, Test::Exists));
        }
        self.no_foreign_suffix(glyphs)?;
        let pattern = pattern_of(glyphs);
        match pattern.parts() {
            [PatternPart::Literal(text)] => self.text_value(field, text.clone(), at),
            _ if &**field == field::STREAM => Ok(leaf(field, Test::WholePattern(pattern))),
            _ => {
                let test = self.bare(glyphs, at)?;
                self.text_leaf(field, test, at)
            }
        }
    }

    /// A text without wildcards as the value of a field.
    fn text_value(
        &mut self,
        field: &FieldName,
        text: String,
        at: usize,
    ) -> Result<Expr, ParseError> {
        let end = self.lexer.at;
        let test = match &**field {
            field::LEVEL => Test::Level(Operator::Equal, level(&text, at, end)?),
            field::ID => Test::Id(text.parse().map_err(|error| {
                fault(at, end, format!("{text:?} is no id"), format!("{error}"))
            })?),
            name if is_time(name) => Test::Time(Operator::Equal, time(&text, at, end)?),
            field::STREAM => Test::Whole(text),
            _ => self.words(text, at)?,
        };
        Ok(leaf(field, test))
    }

    /// A test of text, on a field that has text.
    fn text_leaf(&self, field: &FieldName, test: Test, at: usize) -> Result<Expr, ParseError> {
        let hint = match &**field {
            field::ID => "give a whole id: id:4fe90001-0000-8000-8000-00000000002a",
            name if is_time(name) => {
                "compare it: timestamp:>now-1h, timestamp:[2026-01-04 TO 2026-01-05]"
            }
            _ => return Ok(leaf(field, test)),
        };
        Err(fault(
            at,
            self.lexer.at,
            format!("{field} cannot be searched by wildcard or regex"),
            hint,
        ))
    }

    fn whole(&mut self, field: &FieldName, start: usize) -> Result<Expr, ParseError> {
        let at = self.lexer.at;
        let pattern = if self.lexer.peek() == Some('"') {
            Pattern::new([PatternPart::Literal(self.lexer.quoted()?)])
        } else {
            let glyphs = self.lexer.word(|_| false)?;
            if glyphs.is_empty() {
                return Err(fault(
                    start,
                    self.lexer.at,
                    format!("nothing follows {field}:="),
                    format!("add the whole value; an empty one is {field}:=\"\""),
                ));
            }
            pattern_of(&glyphs)
        };
        match pattern.parts() {
            [] => self.whole_value(field, String::new(), at),
            [PatternPart::Literal(text)] => self.whole_value(field, text.clone(), at),
            _ => self.text_leaf(field, Test::WholePattern(pattern), at),
        }
    }

    fn whole_value(
        &mut self,
        field: &FieldName,
        text: String,
        at: usize,
    ) -> Result<Expr, ParseError> {
        match &**field {
            field::LEVEL | field::ID => self.text_value(field, text, at),
            name if is_time(name) => self.text_value(field, text, at),
            _ => Ok(leaf(field, Test::Whole(text))),
        }
    }

    fn comparison(&mut self, field: &FieldName) -> Result<Expr, ParseError> {
        let start = self.lexer.at;
        let is_greater = self.lexer.take('>') || !self.lexer.take('<');
        let operator = match (is_greater, self.lexer.take('=')) {
            (true, true) => Operator::GreaterOrEqual,
            (true, false) => Operator::Greater,
            (false, true) => Operator::LessOrEqual,
            (false, false) => Operator::Less,
        };
        let at = self.lexer.at;
        let text = self.bound(|_| false)?;
        if text.is_empty() {
            return Err(fault(
                start,
                self.lexer.at,
                format!("nothing follows {}", operator.symbol()),
                format!(
                    "add a value without a blank: {field}:{}5",
                    operator.symbol()
                ),
            ));
        }
        self.compared(field, operator, &text, at)
    }

    fn range(&mut self, field: &FieldName) -> Result<Expr, ParseError> {
        let start = self.lexer.at;
        let low = match self.lexer.take('[') {
            true => Operator::GreaterOrEqual,
            false => {
                self.lexer.at += 1;
                Operator::Greater
            }
        };
        let form = "a range is [1 TO 5], {1 TO 5} without its ends, or [1 TO *] without a bound";
        let mut tests = Vec::new();
        let bound = |parser: &mut Parser| -> Result<(String, usize), ParseError> {
            parser.lexer.skip_blanks();
            let at = parser.lexer.at;
            let text = parser.bound(|c| matches!(c, ']' | '}'))?;
            if text.is_empty() {
                return Err(fault(
                    start,
                    parser.lexer.at,
                    "a bound of the range is missing",
                    form,
                ));
            }
            Ok((text, at))
        };
        let (text, at) = bound(self)?;
        let (low_text, low_at) = (text.clone(), at);
        if text != "*" {
            tests.push(self.compared(field, low, &text, at)?);
        }
        self.lexer.skip_blanks();
        let at = self.lexer.at;
        let to = self.lexer.word(|c| matches!(c, ']' | '}'))?;
        if !to.iter().map(|glyph| glyph.c).eq("TO".chars()) {
            return Err(fault(
                at,
                self.lexer.at.max(at + 1).min(self.lexer.len()).max(at),
                "TO is missing in the range",
                form,
            ));
        }
        let (text, at) = bound(self)?;
        let end = self.lexer.at;
        self.lexer.skip_blanks();
        let high = match self.lexer.peek() {
            Some(']') => Operator::LessOrEqual,
            Some('}') => Operator::Less,
            _ => {
                return Err(fault(
                    start,
                    self.lexer.at,
                    "unclosed range",
                    "add ] or } at its end",
                ));
            }
        };
        if text != "*" {
            self.lexer.at = end;
            tests.push(self.compared(field, high, &text, at)?);
            self.lexer.skip_blanks();
        }
        self.lexer.at += 1;
        if let [Expr::Leaf(low), Expr::Leaf(high)] = tests.as_slice()
            && is_above(&low.test, &high.test)
        {
            return Err(fault(
                low_at,
                end,
                format!("{low_text} is above {text}: nothing lies between them"),
                format!("write the lower bound first: {field}:[{text} TO {low_text}]"),
            ));
        }
        if tests.is_empty() {
            return Ok(leaf(field, Test::Exists));
        }
        Ok(Expr::all_of(tests))
    }

    /// A bound of a comparison or range: a quoted text or a bare word.
    fn bound(&mut self, ends: impl Fn(char) -> bool) -> Result<String, ParseError> {
        if self.lexer.peek() == Some('"') {
            return self.lexer.quoted();
        }
        let glyphs = self.lexer.word(ends)?;
        Ok(glyphs.iter().map(|glyph| glyph.c).collect())
    }

    /// `field operator text`, the text standing between `at` and here.
    fn compared(
        &mut self,
        field: &FieldName,
        operator: Operator,
        text: &str,
        at: usize,
    ) -> Result<Expr, ParseError> {
        let end = self.lexer.at;
        let test = match &**field {
            field::LEVEL => Test::Level(operator, level(text, at, end)?),
            name if is_time(name) => Test::Time(operator, time(text, at, end)?),
            field::ID | field::STREAM => {
                return Err(fault(
                    at,
                    end,
                    format!("{field} cannot be compared"),
                    format!("use {field}:value"),
                ));
            }
            _ => Test::Number(
                operator,
                NumberText::new(text).ok_or_else(|| {
                    fault(
                        at,
                        end,
                        format!("{text:?} is no number"),
                        format!(
                            "{field} is compared with a number, such as {field}:>1000; times are compared in timestamp, levels in level; text is searched for in quotes"
                        ),
                    )
                })?,
            ),
        };
        Ok(leaf(field, test))
    }

    /// A bare word that is not only stars.
    fn bare(&self, glyphs: &[Glyph], start: usize) -> Result<Test, ParseError> {
        self.no_foreign_suffix(glyphs)?;
        let pattern = pattern_of(glyphs);
        match pattern.parts() {
            [PatternPart::Literal(text)] => self.words(text.clone(), start),
            [
                PatternPart::AnyRun,
                PatternPart::Literal(text),
                PatternPart::AnyRun,
            ] => Ok(Test::Substring(text.clone())),
            _ if words::pattern_words(&pattern).is_empty() => Err(self.nothing_to_look_up(start)),
            _ => Ok(Test::WordPattern(pattern)),
        }
    }

    /// `word~2` and `word^2` of other languages, at the end of the word before the cursor.
    fn no_foreign_suffix(&self, glyphs: &[Glyph]) -> Result<(), ParseError> {
        let is_number = |glyph: &Glyph| glyph.c.is_ascii_digit() || glyph.c == '.';
        let digits = glyphs
            .iter()
            .rev()
            .take_while(|glyph| is_number(glyph))
            .count();
        let before = glyphs.len() - digits;
        let has_word = |glyphs: &[Glyph]| glyphs.iter().any(|glyph| glyph.c.is_alphanumeric());
        let hint = match glyphs[..before].split_last() {
            Some((glyph, rest)) if !glyph.is_escaped && has_word(rest) => match glyph.c {
                '~' => "words are found as they are; parts of words by wildcards: fail*, f?il",
                '^' if digits > 0 => "terms have no weight: records come in order of time",
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        let (end, width) = (self.lexer.at, digits + 1);
        let suffix = self.lexer.text(end - width, end);
        Err(fault(
            end - width,
            end,
            format!("{suffix} is no operator"),
            format!("{hint}; quote the text to search for the characters"),
        ))
    }

    fn words(&self, text: String, start: usize) -> Result<Test, ParseError> {
        if words::has_words(&text) {
            return Ok(Test::Words(text));
        }
        Err(self.nothing_to_look_up(start))
    }

    fn nothing_to_look_up(&self, start: usize) -> ParseError {
        let text = self.lexer.text(start, self.lexer.at);
        let hint = match text.as_str() {
            "&&" => "write AND, or nothing: words that stand side by side must all match".into(),
            "||" => "write OR".into(),
            "!=" | "!~" => "write NOT field:value, without blanks in field:value".into(),
            "=~" | "~" => "write the regex between slashes: field:/regex/".into(),
            "=" | ">" | "<" | ">=" | "<=" | ":" | "==" => {
                "write the field and its value without blanks: duration_ms:>1000, level>=warn".into()
            }
            "\"\"" => "an empty value is searched for in its field: field:=\"\"".into(),
            _ => "words are made of letters and digits; exact punctuation is searched for between stars: *->*".to_owned(),
        };
        fault(
            start,
            self.lexer.at.max(start + 1),
            format!("{text} has no letter or digit to look up"),
            hint,
        )
    }

    fn regex(&mut self) -> Result<Test, ParseError> {
        let start = self.lexer.at;
        let (pattern, at, folds_case) = self.lexer.regex()?;
        let path_hint = r#"a path is searched for in quotes: "/api/v1""#;
        if pattern.is_empty() {
            return Err(fault(
                start,
                self.lexer.at,
                "the regex is empty",
                "write it between the slashes; an address is searched for in quotes: \"http://…\"",
            ));
        }
        if self.is_inside_term() {
            return Err(fault(
                start,
                self.lexer.at,
                "the regex goes on after its closing /",
                path_hint,
            ));
        }
        let text = RegexText {
            pattern,
            folds_case,
        };
        regex::check(&text).map_err(|error| {
            let (from, to) = error.characters.unwrap_or((0, text.pattern.chars().count()));
            fault(
                at + from,
                (at + to).max(at + from + 1),
                error.detail,
                "the syntax is that of the Rust crate regex: no look-around, no back-references; \\ takes a character as it is",
            )
        })?;
        Ok(Test::Regex(text))
    }

    /// Whether the character here belongs to the term before it.
    fn is_inside_term(&self) -> bool {
        self.lexer
            .peek()
            .is_some_and(|c| !(c.is_whitespace() || matches!(c, '(' | ')' | '|')))
    }

    /// A term must be followed by a blank, a bracket, a pipe or the end.
    fn ends_here(&self, start: usize) -> Result<(), ParseError> {
        if !self.is_inside_term() {
            return Ok(());
        }
        let at = self.lexer.at;
        let hint = match self.lexer.peek() {
            Some('~' | '^') => {
                "a phrase has neither distance nor weight: its words stand one after the other"
            }
            Some('"') => {
                r#"put a blank before the quote, write \" if it is part of the text, or quote the whole"#
            }
            _ => "put a blank between two terms",
        };
        let term = self.lexer.text(start, at);
        Err(fault(
            at,
            at + 1,
            format!("{term} is followed by something else"),
            hint,
        ))
    }
}

fn leaf(field: &FieldName, test: Test) -> Expr {
    Expr::Leaf(Leaf {
        field: Some(field.clone()),
        alias: None,
        test,
    })
}

/// What would be right instead of an operator of another language.
fn foreign_hint(operator: &str, field: &str) -> String {
    match operator {
        "=~" | "~" => format!("write the regex between slashes: {field}:/regex/"),
        "!~" => format!("write NOT {field}:/regex/"),
        "==" => format!("write {field}:value, or {field}:=\"value\" for exactly this value"),
        _ => format!("write NOT {field}:value or -{field}:value"),
    }
}

/// Whether nothing lies between these bounds because the low one is above the high one, whatever
/// the time and the zone of the read.
fn is_above(low: &Test, high: &Test) -> bool {
    match (low, high) {
        (Test::Number(_, low), Test::Number(_, high)) => {
            let numbers = Number::parse(low.text()).zip(Number::parse(high.text()));
            numbers.is_some_and(|(low, high)| low.compare(high).is_gt())
        }
        (Test::Level(_, low), Test::Level(_, high)) => low > high,
        (Test::Time(_, low), Test::Time(_, high)) => {
            // The ends of the times and of the zones that a read may have.
            [Timestamp::MIN, Timestamp::MAX].into_iter().all(|now| {
                [-14, 14].into_iter().all(|hours| {
                    let zone = TimeZone::fixed(jiff::tz::offset(hours));
                    let at = |text: &str| parse_time(text, now, &zone).ok();
                    at(low).zip(at(high)).is_some_and(|(low, high)| low > high)
                })
            })
        }
        _ => false,
    }
}

fn is_star(glyph: &Glyph) -> bool {
    glyph.c == '*' && !glyph.is_escaped
}

/// Whether values of the field are times.
pub(crate) fn is_time(name: &str) -> bool {
    matches!(
        name,
        field::TIMESTAMP | field::CREATED_AT | field::TIMESTAMP_ORIGINAL
    )
}

fn unclosed_group(start: usize) -> ParseError {
    fault(
        start,
        start + 1,
        "unclosed group",
        r"add ) at its end, or write \( to search for the bracket",
    )
}

fn level(text: &str, at: usize, end: usize) -> Result<Level, ParseError> {
    Level::from_foreign(text).ok_or_else(|| {
        fault(
            at,
            end,
            format!("{text:?} is no level"),
            "levels are trace, debug, info, warn, error, critical, and the words that stand for them, such as warning or fatal",
        )
    })
}

fn time(text: &str, at: usize, end: usize) -> Result<String, ParseError> {
    match parse_time(text, Timestamp::MIN, &TimeZone::UTC) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(fault(
            at,
            end,
            format!("{text:?} is no time"),
            error.to_string(),
        )),
    }
}
