//! The oracle: what a query means, written a second time and the slow way, over the letters that
//! the generators use. It shares the tree with the product and nothing else: its own tokens, case
//! folding, normal forms, wildcards, regexes, numbers, retention and access.
use taffrail_model::{column::Kind, level::Level};
use taffrail_query::search::tree::{Expr, Leaf, Operator, Pattern, PatternPart, Test};

/// A record as the oracle holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub tenant: u32,
    pub stream: &'static str,
    pub timestamp: i64,
    pub position: u64,
    pub fields: Vec<(String, Kind, String)>,
    /// Attributes that are held in the column `_overflow`.
    pub overflow: Vec<(String, Kind, String)>,
}

impl Record {
    pub fn overflow_json(&self) -> String {
        let members: Vec<String> = self
            .overflow
            .iter()
            .map(|(name, kind, text)| match kind {
                Kind::String => format!("\"{name}\":\"{text}\""),
                _ => format!("\"{name}\":{text}"),
            })
            .collect();
        format!("{{{}}}", members.join(","))
    }

    /// Stored fields, `_overflow` included.
    pub fn stored(&self) -> Vec<(String, Kind, String)> {
        let mut fields = self.fields.clone();
        if !self.overflow.is_empty() {
            fields.push(("_overflow".into(), Kind::Json, self.overflow_json()));
        }
        fields.sort();
        fields
    }

    pub fn get(&self, name: &str) -> Option<(Kind, &str)> {
        self.fields
            .iter()
            .find(|(have, ..)| have == name)
            .map(|(_, kind, text)| (*kind, text.as_str()))
    }
}

pub fn matches(expr: &Expr, record: &Record) -> bool {
    match expr {
        Expr::All => true,
        Expr::And(children) => children.iter().all(|child| matches(child, record)),
        Expr::Or(children) => children.iter().any(|child| matches(child, record)),
        Expr::Not(child) => !matches(child, record),
        Expr::Leaf(leaf) => leaf_matches(leaf, record),
    }
}

fn leaf_matches(leaf: &Leaf, record: &Record) -> bool {
    // Asked by an alias, a field of that very name answers too.
    if let Some(alias) = &leaf.alias {
        let canonical = Leaf {
            alias: None,
            ..leaf.clone()
        };
        let own = Leaf {
            field: Some(alias.clone()),
            ..canonical.clone()
        };
        return leaf_matches(&canonical, record) || leaf_matches(&own, record);
    }
    let Some(name) = leaf.field.as_deref() else {
        return record.stored().iter().any(|(name, kind, text)| {
            !["level", "created_at", "metadata.filled"].contains(&name.as_str())
                && matches!(kind, Kind::String | Kind::Json)
                && value_passes(&leaf.test, *kind, text)
        });
    };
    match (name, &leaf.test) {
        ("stream" | "timestamp" | "id", Test::Exists) => true,
        ("stream", test) => value_passes(test, Kind::String, record.stream),
        ("timestamp", Test::Time(operator, text)) => {
            let bound: i64 = text.parse().expect("the generator writes epoch ns");
            compares(
                *operator,
                record.timestamp as f64,
                bound as f64,
                record.timestamp == bound,
            )
        }
        (_, test) => {
            let stored = record.stored();
            let of_column = stored.iter().find(|(have, ..)| have == name);
            let of_overflow = record.overflow.iter().find(|(have, ..)| have == name);
            [of_column, of_overflow]
                .into_iter()
                .flatten()
                .any(|(_, kind, text)| {
                    value_passes(test, *kind, text) || is_same_number(test, *kind, text)
                })
        }
    }
}

/// A number that is asked for is also found in text that reads as it.
fn is_same_number(test: &Test, kind: Kind, text: &str) -> bool {
    let number = |text: &str| -> Option<f64> {
        let is_numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
        text.parse().ok().filter(|_| is_numeric)
    };
    match test {
        Test::Words(query) if kind == Kind::String => {
            number(query).is_some() && number(query) == number(text)
        }
        _ => false,
    }
}

fn compares(operator: Operator, value: f64, bound: f64, is_equal: bool) -> bool {
    match operator {
        Operator::Equal => is_equal,
        Operator::Greater => value > bound && !is_equal,
        Operator::GreaterOrEqual => value > bound || is_equal,
        Operator::Less => value < bound && !is_equal,
        Operator::LessOrEqual => value < bound || is_equal,
    }
}

fn value_passes(test: &Test, kind: Kind, text: &str) -> bool {
    let is_number = matches!(kind, Kind::Integer | Kind::Float);
    match test {
        Test::Words(query) if is_number => match (query.parse::<f64>(), text.parse::<f64>()) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        },
        Test::Words(query) => forms(query).iter().any(|form| {
            let (wanted, have) = (tokens(form), tokens(text));
            !wanted.is_empty() && have.windows(wanted.len()).any(|window| window == wanted)
        }),
        Test::WordPattern(pattern) if is_number => glob(
            &chars(pattern, true),
            &text.chars().map(fold).collect::<Vec<_>>(),
        ),
        Test::WordPattern(pattern) => forms_of_pattern(pattern).iter().any(|pattern| {
            let wanted = pattern_tokens(&chars(pattern, true));
            let have: Vec<Vec<char>> = tokens(text).iter().map(|t| t.chars().collect()).collect();
            !wanted.is_empty()
                && have.windows(wanted.len()).any(|window| {
                    window
                        .iter()
                        .zip(&wanted)
                        .all(|(token, wanted)| glob(wanted, token))
                })
        }),
        Test::Substring(query) => forms(query)
            .iter()
            .any(|form| folded(text).contains(&folded(form))),
        Test::Whole(query) => forms(query).iter().any(|form| form == text),
        Test::WholePattern(pattern) => forms_of_pattern(pattern)
            .iter()
            .any(|pattern| glob(&chars(pattern, false), &text.chars().collect::<Vec<_>>())),
        Test::Regex(regex) => regex_passes(regex.pattern(), regex.folds_case(), text),
        Test::Number(operator, bound) => {
            let is_numeric = !matches!(kind, Kind::Bool | Kind::Json)
                && text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
            match (is_numeric, text.parse::<f64>(), bound.text().parse::<f64>()) {
                (true, Ok(value), Ok(bound)) => compares(*operator, value, bound, value == bound),
                _ => false,
            }
        }
        Test::Level(operator, bound) => {
            let rank = |name: &str| {
                ["trace", "debug", "info", "warn", "error", "critical"]
                    .iter()
                    .position(|have| *have == name)
            };
            let bound = rank(Level::name(*bound)).expect("a level") as f64;
            rank(text)
                .is_some_and(|rank| compares(*operator, rank as f64, bound, rank as f64 == bound))
        }
        Test::Exists => true,
        Test::Time(..) | Test::Id(_) => unreachable!("not generated for this field"),
    }
}

/// What the letters of the generators are.
#[derive(PartialEq)]
enum Class {
    /// Part of a longer token.
    Letter,
    /// A token by itself.
    Single,
    Separator,
}

fn class(c: char) -> Class {
    match c {
        'a'..='z'
        | 'A'..='Z'
        | '0'..='9'
        | 'é'
        | 'É'
        | '\u{301}'
        | 'ß'
        | '\u{212A}'
        | 'Σ'
        | 'ς'
        | 'σ'
        | 'Α'
        | 'α' => Class::Letter,
        '日' | '本' | 'か' => Class::Single,
        _ => Class::Separator,
    }
}

pub fn fold(c: char) -> char {
    match c {
        'A'..='Z' => char::from(c as u8 + 32),
        'É' => 'é',
        '\u{212A}' => 'k',
        'Α' => 'α',
        'Σ' | 'ς' => 'σ',
        c => c,
    }
}

fn folded(text: &str) -> String {
    text.chars().map(fold).collect()
}

fn tokens(text: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    for c in text.chars() {
        match class(c) {
            Class::Letter => out.last_mut().expect("never empty").push(fold(c)),
            Class::Single => out.extend([c.to_string(), String::new()]),
            Class::Separator => out.push(String::new()),
        }
    }
    out.retain(|token| !token.is_empty());
    out
}

fn composed(text: &str) -> String {
    // The Kelvin sign becomes K in every normal form.
    text.replace("e\u{301}", "é")
        .replace("E\u{301}", "É")
        .replace('\u{212A}', "K")
}

fn decomposed(text: &str) -> String {
    text.replace('é', "e\u{301}")
        .replace('É', "E\u{301}")
        .replace('\u{212A}', "K")
}

fn forms(text: &str) -> [String; 3] {
    [text.to_owned(), composed(text), decomposed(text)]
}

fn forms_of_pattern(pattern: &Pattern) -> [Pattern; 3] {
    let map = |form: &dyn Fn(&str) -> String| {
        Pattern::new(pattern.parts().iter().map(|part| match part {
            PatternPart::Literal(text) => PatternPart::Literal(form(text)),
            other => other.clone(),
        }))
    };
    [pattern.clone(), map(&composed), map(&decomposed)]
}

#[derive(Clone, Copy, PartialEq)]
enum Glyph {
    Char(char),
    One,
    Run,
}

fn chars(pattern: &Pattern, folds: bool) -> Vec<Glyph> {
    let mut out = Vec::new();
    for part in pattern.parts() {
        match part {
            PatternPart::AnyOne => out.push(Glyph::One),
            PatternPart::AnyRun => out.push(Glyph::Run),
            PatternPart::Literal(text) => {
                out.extend(
                    text.chars()
                        .map(|c| Glyph::Char(if folds { fold(c) } else { c })),
                );
            }
        }
    }
    out
}

fn glob(pattern: &[Glyph], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((Glyph::Run, rest)) => (0..=text.len()).any(|at| glob(rest, &text[at..])),
        Some((first, rest)) => text.split_first().is_some_and(|(c, text)| {
            (*first == Glyph::One || *first == Glyph::Char(*c)) && glob(rest, text)
        }),
    }
}

fn pattern_tokens(pattern: &[Glyph]) -> Vec<Vec<Glyph>> {
    let mut out: Vec<Vec<Glyph>> = vec![Vec::new()];
    for glyph in pattern {
        let kind = match glyph {
            Glyph::Char(c) => class(*c),
            _ => Class::Letter,
        };
        match kind {
            Class::Letter => out.last_mut().expect("never empty").push(*glyph),
            Class::Single => out.extend([vec![*glyph], Vec::new()]),
            Class::Separator => out.push(Vec::new()),
        }
    }
    out.retain(|token| !token.is_empty());
    let first = out.iter().position(|token| token != &[Glyph::Run]);
    let last = out.iter().rposition(|token| token != &[Glyph::Run]);
    match (first, last) {
        (Some(first), Some(last)) => out[first..=last].to_vec(),
        _ => Vec::new(),
    }
}

/// The forms that the generator writes: `x`, `^x`, `x$`, `x|y`, `x[0-9]+y`, where x and y have no
/// special characters.
fn regex_passes(pattern: &str, folds: bool, text: &str) -> bool {
    let (pattern, text) = match folds {
        true => (folded(pattern), folded(text)),
        false => (pattern.to_owned(), text.to_owned()),
    };
    if let Some((x, y)) = pattern.split_once('|') {
        return text.contains(x) || text.contains(y);
    }
    if let Some((x, y)) = pattern.split_once("[0-9]+") {
        return text.match_indices(x).any(|(at, _)| {
            let rest = &text[at + x.len()..];
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            (1..=digits).any(|count| rest[count..].starts_with(y))
        });
    }
    if let Some(x) = pattern.strip_prefix('^') {
        return text.starts_with(x);
    }
    match pattern.strip_suffix('$') {
        Some(x) => text.ends_with(x),
        None => text.contains(&*pattern),
    }
}
