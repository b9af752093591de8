//! Reads the functions of a pipe.
//!
//! ```text
//! functions = function { "," function }
//! function  = "count" "(" [ name | "*" ] ")" | "count_if" "(" query ")"
//!           | word "(" name ")" | "quantile" "(" name "," share ")"      [ "as" name ]
//! ```
use super::{
    Parser,
    pipes::{Place, hint},
};
use crate::search::{
    ParseError,
    lexer::fault,
    pipe::{Aggregate, Function, QuantileLevel},
    tree::{Expr, Test},
};
use taffrail_model::{column::FieldName, field, limits::AGGREGATE_FUNCTIONS_MAX};

/// Functions by name, for hints.
const FUNCTIONS: [&str; 11] = [
    "count", "count_if", "sum", "min", "max", "avg", "distinct", "quantile", "p50", "p95", "p99",
];
/// Names of other languages, and what they are here.
const FOREIGN_FUNCTIONS: [(&str, &str); 10] = [
    ("mean", "avg"),
    ("average", "avg"),
    ("median", "p50"),
    ("dc", "distinct"),
    ("cardinality", "distinct"),
    ("uniq", "distinct"),
    ("count_distinct", "distinct"),
    ("count_uniq", "distinct"),
    ("percentile", "quantile"),
    ("total", "sum"),
];

impl Parser {
    pub(super) fn functions(
        &mut self,
        place: Place,
        form: &str,
    ) -> Result<Vec<Aggregate>, ParseError> {
        self.lexer.skip_blanks();
        if self.keyword_here("by") || self.ends_pipe() {
            return Err(fault(
                place.0,
                place.1,
                "nothing says what is computed",
                format!("write functions before by: {form}"),
            ));
        }
        let mut functions = Vec::new();
        self.list(place, "the list", form, AGGREGATE_FUNCTIONS_MAX, |parser| {
            let function = parser.function()?;
            let end = parser.lexer.at;
            parser.lexer.skip_blanks();
            let mut aggregate = named(function);
            if parser.keyword_here("as") {
                let at = parser.lexer.at;
                parser.lexer.at += 2;
                parser.lexer.skip_blanks();
                if parser.ends_pipe() || parser.lexer.peek() == Some(',') {
                    return Err(fault(
                        at,
                        at + 2,
                        "no name follows as",
                        "such as: count() as n",
                    ));
                }
                aggregate.name = parser.name()?.to_string();
            } else {
                parser.lexer.at = end;
            }
            functions.push(aggregate);
            Ok(())
        })?;
        Ok(functions)
    }

    /// A function with its arguments.
    pub(super) fn function(&mut self) -> Result<Function, ParseError> {
        let at = self.lexer.at;
        let name = self.word_of(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
        let place = (at, self.lexer.at);
        let known = name.to_ascii_lowercase();
        let percent = known
            .strip_prefix('p')
            .filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit()));
        let is_known = percent.is_some() || FUNCTIONS.contains(&known.as_str());
        if !is_known {
            let (end, message) = match name.is_empty() {
                true => (at + 1, "a function is missing here".to_owned()),
                false => (place.1, format!("there is no function {name}")),
            };
            let hint = hint(&known, &FOREIGN_FUNCTIONS, &FUNCTIONS, "functions");
            return Err(fault(at, end, message, hint));
        }
        self.lexer.skip_blanks();
        let open = self.lexer.at;
        if !self.lexer.take('(') {
            return Err(fault(
                place.0,
                place.1,
                format!("{name} has no parentheses"),
                format!("write {}", form_of(&known)),
            ));
        }
        self.lexer.skip_blanks();
        let function = match percent {
            Some(digits) => {
                let level = QuantileLevel::parse_percent(digits).ok_or_else(|| {
                    fault(
                        place.0,
                        place.1,
                        format!("{name} is no percentile"),
                        "percentiles are p0 to p100, such as p95 or p99.9",
                    )
                })?;
                Function::Quantile(self.number_field(&name, place)?, level)
            }
            None => self.arguments(&known, place)?,
        };
        self.lexer.skip_blanks();
        if self.lexer.take(')') {
            return Ok(function);
        }
        let (start, message) = match self.ends_pipe() {
            true => (open, "this ( is not closed".to_owned()),
            false => (self.lexer.at, format!("{name} takes no more than this")),
        };
        Err(fault(
            start,
            start + 1,
            message,
            format!("write {}", form_of(&known)),
        ))
    }

    fn arguments(&mut self, name: &str, place: Place) -> Result<Function, ParseError> {
        Ok(match name {
            "count" if self.lexer.peek() == Some(')') || self.lexer.take('*') => Function::Count,
            "count" if self.ends_pipe() => Function::Count,
            "count" => Function::CountIf(Expr::field(&self.name()?, Test::Exists)),
            "count_if" => {
                if self.lexer.peek() == Some(')') || self.ends_pipe() {
                    return Err(fault(
                        place.0,
                        place.1,
                        "count_if needs a condition",
                        "such as: count_if(level:error)",
                    ));
                }
                Function::CountIf(self.deeper(place.0, |parser| parser.any(None))?)
            }
            "sum" => Function::Sum(self.number_field(name, place)?),
            "avg" => Function::Avg(self.number_field(name, place)?),
            "min" => Function::Min(self.number_or_time_field(name, place)?),
            "max" => Function::Max(self.number_or_time_field(name, place)?),
            "distinct" => {
                self.field_follows(name, place)?;
                Function::Distinct(self.group_field()?)
            }
            _ => {
                let field = self.number_field(name, place)?;
                Function::Quantile(field, self.share(place)?)
            }
        })
    }

    /// The second argument of `quantile`.
    fn share(&mut self, place: Place) -> Result<QuantileLevel, ParseError> {
        let form = "the share lies between 0 and 1: quantile(duration_ms, 0.95)";
        self.lexer.skip_blanks();
        if !self.lexer.take(',') {
            return Err(fault(place.0, place.1, "quantile needs a share", form));
        }
        self.lexer.skip_blanks();
        let at = self.lexer.at;
        let text = self.word_of(|c| !c.is_whitespace() && !matches!(c, ')' | '|' | ','));
        QuantileLevel::parse(&text).ok_or_else(|| {
            let end = self.lexer.at.max(at + 1);
            fault(at, end, format!("{text:?} is no share"), form)
        })
    }

    fn field_follows(&mut self, function: &str, place: Place) -> Result<(), ParseError> {
        if self.lexer.peek() != Some(')') && !self.ends_pipe() {
            return Ok(());
        }
        Err(fault(
            place.0,
            place.1,
            format!("{function} needs a field"),
            format!("such as: {}", form_of(function)),
        ))
    }

    fn number_or_time_field(
        &mut self,
        function: &str,
        place: Place,
    ) -> Result<FieldName, ParseError> {
        self.field_follows(function, place)?;
        let at = self.lexer.at;
        let name = self.name()?;
        let canonical = field::canonical_name(&name);
        let is_text = matches!(
            canonical,
            field::LEVEL | field::STREAM | field::ID | field::MESSAGE | field::TENANT
        );
        if is_text {
            return Err(fault(
                at,
                self.lexer.at,
                format!("{name} has no numbers"),
                format!(
                    "{function} takes a field with numbers: {}; to count values use distinct({name}) or count_if({name}:…)",
                    form_of(function)
                ),
            ));
        }
        Ok(name)
    }

    fn number_field(&mut self, function: &str, place: Place) -> Result<FieldName, ParseError> {
        let at = self.lexer.at;
        let name = self.number_or_time_field(function, place)?;
        if field::canonical_name(&name) == field::TIMESTAMP {
            return Err(fault(
                at,
                self.lexer.at,
                format!("{function} takes no times"),
                "min(timestamp) and max(timestamp) are the first and the last time",
            ));
        }
        Ok(name)
    }

    /// A field whose values make groups.
    pub(super) fn group_field(&mut self) -> Result<FieldName, ParseError> {
        let at = self.lexer.at;
        let name = self.name()?;
        let (message, hint) = match field::canonical_name(&name) {
            field::TENANT => (
                "tenant cannot be searched: it is chosen by the credential",
                "an attribute that a record came with under this name is labels.tenant",
            ),
            field::ID => (
                "every record has an id of its own",
                "count() is the number of records",
            ),
            field::TIMESTAMP => (
                "times are grouped by timechart",
                "such as: timechart 1m count() by level",
            ),
            _ => return Ok(name),
        };
        Err(fault(at, self.lexer.at, message, hint))
    }
}

/// A function under the name that it has if no other is given.
pub(super) fn named(function: Function) -> Aggregate {
    Aggregate {
        name: function.default_name(),
        function,
    }
}

/// How a function is written.
fn form_of(name: &str) -> String {
    match name {
        "count" => "count()".to_owned(),
        "count_if" => "count_if(level:error)".to_owned(),
        "distinct" => "distinct(user_id)".to_owned(),
        "quantile" => "quantile(duration_ms, 0.95)".to_owned(),
        name => format!("{name}(duration_ms)"),
    }
}
