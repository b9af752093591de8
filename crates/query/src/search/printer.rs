//! From a tree back to a query text. `parse(print(tree)) == tree` for every tree that the parser
//! gives.
use super::{
    lexer::is_name_char,
    pipe::{Aggregate, Function, Pipe, SortKey},
    tree::{Expr, Leaf, Operator, Pattern, PatternPart, Query, Test},
};
use std::fmt::{Display, Formatter, Result, Write};
use taffrail_model::column::FieldName;

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.filter.fmt(f)?;
        self.pipes
            .iter()
            .try_for_each(|pipe| write!(f, " | {pipe}"))
    }
}

impl Display for Pipe {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Pipe::Stats { functions, by } => {
                f.write_str("stats ")?;
                list(f, functions, |f, function| function.fmt(f))?;
                write_by(f, by)
            }
            Pipe::Top { limit, field, by } => {
                write!(f, "top {limit} ")?;
                write_column(f, field)?;
                write_by(f, by)
            }
            Pipe::Timechart {
                interval_ns,
                functions,
                by,
            } => {
                write!(f, "timechart {} ", Interval(*interval_ns))?;
                list(f, functions, |f, function| function.fmt(f))?;
                write_by(f, by)
            }
            Pipe::Fields { kept, dropped } => {
                f.write_str("fields ")?;
                let kept = kept.iter().map(|name| ("", name));
                let all: Vec<_> = kept.chain(dropped.iter().map(|name| ("-", name))).collect();
                list(f, &all, |f, (sign, name)| {
                    f.write_str(sign)?;
                    write_column(f, name)
                })
            }
            Pipe::Sort(keys) => {
                f.write_str("sort ")?;
                list(
                    f,
                    keys,
                    |f,
                     SortKey {
                         column,
                         is_descending,
                     }| {
                        f.write_str(if *is_descending { "-" } else { "" })?;
                        write_column(f, column)
                    },
                )
            }
            Pipe::Limit(limit) => write!(f, "limit {limit}"),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.function.fmt(f)?;
        if self.name == self.function.default_name() {
            return Ok(());
        }
        f.write_str(" as ")?;
        write_column(f, &self.name)
    }
}

impl Display for Function {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (name, field) = match self {
            Function::Count => return f.write_str("count()"),
            Function::CountIf(expr) => return write!(f, "count_if({expr})"),
            Function::Sum(field) => ("sum", field),
            Function::Min(field) => ("min", field),
            Function::Max(field) => ("max", field),
            Function::Avg(field) => ("avg", field),
            Function::Distinct(field) => ("distinct", field),
            Function::Quantile(field, level) => {
                write!(f, "p{}(", level.percent())?;
                write_column(f, field)?;
                return f.write_char(')');
            }
        };
        write!(f, "{name}(")?;
        write_column(f, field)?;
        f.write_char(')')
    }
}

/// A duration as the language reads it, in its largest whole unit.
struct Interval(i64);

impl Display for Interval {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        const UNITS: [(i64, &str); 5] = [
            (86_400_000_000_000, "d"),
            (3_600_000_000_000, "h"),
            (60_000_000_000, "m"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
        ];
        let unit = UNITS.into_iter().find(|(unit, _)| self.0 % unit == 0);
        let (unit, name) = unit.unwrap_or((1_000_000, "ms"));
        write!(f, "{}{name}", self.0 / unit)
    }
}

fn list<T>(
    f: &mut Formatter<'_>,
    items: &[T],
    write: impl Fn(&mut Formatter<'_>, &T) -> Result,
) -> Result {
    for (index, item) in items.iter().enumerate() {
        f.write_str(if index > 0 { ", " } else { "" })?;
        write(f, item)?;
    }
    Ok(())
}

fn write_by(f: &mut Formatter<'_>, by: &[FieldName]) -> Result {
    if by.is_empty() {
        return Ok(());
    }
    f.write_str(" by ")?;
    list(f, by, |f, name| write_column(f, name))
}

/// The name of a field or column in a pipe: bare if nothing in it could mean something else.
fn write_column(f: &mut Formatter<'_>, name: &str) -> Result {
    let is_plain = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(is_name_char)
        && !["by", "as"]
            .iter()
            .any(|word| word.eq_ignore_ascii_case(name));
    match is_plain {
        true => f.write_str(name),
        false => write_quoted(f, name),
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Expr::All => f.write_char('*'),
            Expr::And(children) => join(f, children, " ", |child| matches!(child, Expr::Or(_))),
            Expr::Or(children) => join(f, children, " OR ", |_| false),
            Expr::Not(child) => {
                f.write_str("NOT ")?;
                let is_compound = matches!(**child, Expr::And(_) | Expr::Or(_));
                write_child(f, child, is_compound)
            }
            Expr::Leaf(leaf) => write_leaf(f, leaf),
        }
    }
}

fn join(
    f: &mut Formatter<'_>,
    children: &[Expr],
    separator: &str,
    needs_group: impl Fn(&Expr) -> bool,
) -> Result {
    for (index, child) in children.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write_child(f, child, needs_group(child))?;
    }
    Ok(())
}

fn write_child(f: &mut Formatter<'_>, child: &Expr, is_group: bool) -> Result {
    match is_group {
        true => write!(f, "({child})"),
        false => child.fmt(f),
    }
}

fn write_leaf(f: &mut Formatter<'_>, leaf: &Leaf) -> Result {
    if let Some(name) = leaf.alias.as_ref().or(leaf.field.as_ref()) {
        if leaf.test == Test::Exists {
            f.write_str("_exists_:")?;
            return write_quoted(f, name);
        }
        write_name(f, name)?;
        f.write_char(':')?;
    }
    match &leaf.test {
        Test::Words(text) => write_words(f, text),
        Test::WordPattern(pattern) => write_pattern(f, pattern),
        Test::Substring(text) => write_pattern(
            f,
            &Pattern::new([
                PatternPart::AnyRun,
                PatternPart::Literal(text.clone()),
                PatternPart::AnyRun,
            ]),
        ),
        Test::Whole(text) => {
            f.write_char('=')?;
            write_quoted(f, text)
        }
        Test::WholePattern(pattern) => {
            f.write_char('=')?;
            write_pattern(f, pattern)
        }
        Test::Regex(regex) => {
            write_regex(f, regex.pattern())?;
            f.write_str(if regex.folds_case() { "i" } else { "" })
        }
        Test::Number(operator, number) => write_compared(f, *operator, number.text()),
        Test::Time(operator, text) => write_compared(f, *operator, text),
        Test::Level(operator, level) => write_compared(f, *operator, level.name()),
        Test::Id(id) => write!(f, "{id}"),
        Test::Exists => f.write_char('*'),
    }
}

fn write_compared(f: &mut Formatter<'_>, operator: Operator, text: &str) -> Result {
    f.write_str(operator.symbol())?;
    write_words(f, text)
}

/// Bare if nothing in it could mean something else.
fn write_words(f: &mut Formatter<'_>, text: &str) -> Result {
    let is_plain = text.starts_with(|c: char| c.is_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))
        && !matches!(text, "AND" | "OR" | "NOT");
    match is_plain {
        true => f.write_str(text),
        false => write_quoted(f, text),
    }
}

fn write_quoted(f: &mut Formatter<'_>, text: &str) -> Result {
    f.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}

fn write_name(f: &mut Formatter<'_>, name: &str) -> Result {
    let is_only_special = name == "_exists_" || name.chars().all(|c| c.is_ascii_digit());
    for (index, c) in name.chars().enumerate() {
        let is_first_special = index == 0 && (is_only_special || matches!(c, '-' | '/'));
        if is_first_special || !is_name_char(c) {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    Ok(())
}

fn write_pattern(f: &mut Formatter<'_>, pattern: &Pattern) -> Result {
    for part in pattern.parts() {
        match part {
            PatternPart::AnyOne => f.write_char('?')?,
            PatternPart::AnyRun => f.write_char('*')?,
            PatternPart::Literal(text) => {
                for c in text.chars() {
                    if !(c.is_alphanumeric() || matches!(c, '_' | '.')) {
                        f.write_char('\\')?;
                    }
                    f.write_char(c)?;
                }
            }
        }
    }
    Ok(())
}

fn write_regex(f: &mut Formatter<'_>, pattern: &str) -> Result {
    f.write_char('/')?;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '/' => f.write_str("\\/")?,
            '\\' => {
                f.write_char('\\')?;
                chars.next().map_or(Ok(()), |next| f.write_char(next))?;
            }
            c => f.write_char(c)?,
        }
    }
    f.write_char('/')
}
