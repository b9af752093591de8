//! Reads what follows the filter.
//!
//! ```text
//! pipe      = "stats" functions [ by ]
//!           | "top" [ number ] name [ by ]
//!           | "timechart" interval [ functions ] [ by ]
//!           | "fields" [ "-" ] name { "," [ "-" ] name }
//!           | "sort" [ "-" ] column { "," [ "-" ] column }
//!           | "limit" number
//! by        = "by" name { "," name }
//! column    = name | function
//! ```
use super::{Parser, functions::named};
use crate::search::{
    ParseError,
    lexer::{fault, is_name_char},
    pipe::{Function, Pipe, SortKey, project},
};
use taffrail_model::{
    column::FieldName,
    field,
    limits::{
        AGGREGATE_KEYS_MAX, FACET_VALUES_MAX, FIELDS_PIPE_NAMES_MAX, QUERY_PIPES_MAX,
        TABLE_ROWS_MAX,
    },
    stream::edit_distance,
    time::parse_duration,
};

/// Pipes by name, for hints.
const PIPES: [&str; 6] = ["stats", "top", "timechart", "fields", "sort", "limit"];
/// Names of other languages, and what they are here.
const FOREIGN_PIPES: [(&str, &str); 16] = [
    ("head", "limit"),
    ("take", "limit"),
    ("tail", "sort -timestamp, then limit"),
    ("where", "conditions before the first |"),
    ("filter", "conditions before the first |"),
    ("search", "conditions before the first |"),
    ("order", "sort"),
    ("table", "fields"),
    ("keep", "fields"),
    ("drop", "fields -name"),
    ("uniq", "stats count() by name"),
    ("dedup", "stats count() by name"),
    ("chart", "timechart"),
    ("summarize", "stats"),
    ("count", "stats count()"),
    ("rename", "as: stats count() as name"),
];
/// Beyond this many changes a name is not taken for a slip of another.
const SLIPS_MAX: usize = 3;
/// Values that `top` shows unless it is told.
const TOP_LIMIT: usize = 10;

/// A place in the text: first character, and the one after the last.
pub(super) type Place = (usize, usize);

/// What the columns are after some pipes.
enum Columns {
    /// Records; whether their number was limited.
    Records { is_limited: bool },
    /// A table with these.
    Table(Vec<String>),
}

/// Terms and operators in a pipe, for the limit of the query.
pub(super) fn nodes(pipe: &Pipe) -> usize {
    let functions = match pipe {
        Pipe::Stats { functions, .. } | Pipe::Timechart { functions, .. } => functions.as_slice(),
        _ => &[],
    };
    let inner = functions.iter().map(|of| match &of.function {
        Function::CountIf(expr) => expr.nodes(),
        _ => 1,
    });
    inner.sum()
}

impl Parser {
    /// All pipes; the first one, or the end, stands here.
    pub(super) fn pipes(&mut self) -> Result<Vec<Pipe>, ParseError> {
        let mut pipes = Vec::new();
        let mut columns = Columns::Records { is_limited: false };
        while self.lexer.peek().is_some() {
            let start = self.lexer.at;
            self.pipe_begins()?;
            if pipes.len() == QUERY_PIPES_MAX {
                return Err(fault(
                    start,
                    start + 1,
                    "there are too many pipes",
                    format!("a query has at most {QUERY_PIPES_MAX}"),
                ));
            }
            let at = self.lexer.at;
            let name = self.word_of(|c| c.is_alphanumeric() || c == '_');
            let place = (at, self.lexer.at);
            if name.is_empty() {
                return Err(fault(
                    start,
                    start + 1,
                    "a pipe without a name",
                    format!(
                        "pipes are {}; to search for the character write \\|",
                        PIPES.join(", ")
                    ),
                ));
            }
            self.lexer.skip_blanks();
            let pipe = self.pipe(&name, place, &columns)?;
            columns = follow(&pipe, columns);
            pipes.push(pipe);
            self.lexer.skip_blanks();
        }
        Ok(pipes)
    }

    /// Passes over `|` and the blanks behind it.
    fn pipe_begins(&mut self) -> Result<(), ParseError> {
        let at = self.lexer.at;
        if !self.lexer.take('|') {
            let word = self.word_of(|c| !c.is_whitespace() && c != '|');
            return Err(fault(
                at,
                self.lexer.at.max(at + 1),
                format!("{word} is not expected here"),
                "a comma goes on with a list, by begins the fields to group by, | the next pipe",
            ));
        }
        self.lexer.skip_blanks();
        Ok(())
    }

    fn pipe(&mut self, name: &str, place: Place, have: &Columns) -> Result<Pipe, ParseError> {
        match name.to_ascii_lowercase().as_str() {
            "stats" => {
                of_records(have, place)?;
                let functions = self.functions(place, "stats count() by source")?;
                let by = self.by()?;
                whole_table(Pipe::Stats { functions, by }, place)
            }
            "top" => {
                of_records(have, place)?;
                let pipe = self.top(place)?;
                whole_table(pipe, place)
            }
            "timechart" => {
                of_records(have, place)?;
                let pipe = self.timechart(place)?;
                whole_table(pipe, place)
            }
            "fields" => self.fields(place, have),
            "sort" => self.sort(place, have),
            "limit" => Ok(Pipe::Limit(self.number(
                place,
                "limit",
                "limit 10",
                TABLE_ROWS_MAX,
            )?)),
            "patterns" => Err(fault(
                place.0,
                place.1,
                "patterns is not there yet",
                format!("pipes of this version are {}", PIPES.join(", ")),
            )),
            other => Err(fault(
                place.0,
                place.1,
                format!("there is no pipe {name}"),
                hint(other, &FOREIGN_PIPES, &PIPES, "pipes"),
            )),
        }
    }

    fn top(&mut self, place: Place) -> Result<Pipe, ParseError> {
        let has_limit = self.lexer.peek().is_some_and(|c| c.is_ascii_digit());
        let limit = match has_limit {
            true => self.number(place, "top", "top 10 source", FACET_VALUES_MAX)?,
            false => TOP_LIMIT,
        };
        self.lexer.skip_blanks();
        if self.keyword_here("by") || self.ends_pipe() {
            return Err(missing_field(place, "top", "top 10 source by stream"));
        }
        let field = self.group_field()?;
        let by = self.by()?;
        Ok(Pipe::Top { limit, field, by })
    }

    fn timechart(&mut self, place: Place) -> Result<Pipe, ParseError> {
        let at = self.lexer.at;
        let text = self.word_of(|c| !c.is_whitespace() && !matches!(c, '|' | ','));
        let interval_ns = parse_duration(&text).map_err(|_| {
            let (message, place) = match text.is_empty() {
                true => ("timechart needs the width of its buckets".to_owned(), place),
                false => (format!("{text} is no duration"), (at, self.lexer.at)),
            };
            fault(
                place.0,
                place.1,
                message,
                "such as: timechart 1m count() by level",
            )
        })?;
        self.lexer.skip_blanks();
        let functions = match self.ends_pipe() || self.keyword_here("by") {
            true => vec![named(Function::Count)],
            false => self.functions(place, "timechart 1m count() by level")?,
        };
        let by = self.by()?;
        Ok(Pipe::Timechart {
            interval_ns,
            functions,
            by,
        })
    }

    fn fields(&mut self, place: Place, have: &Columns) -> Result<Pipe, ParseError> {
        let (mut kept, mut dropped) = (Vec::new(), Vec::new());
        let form = "fields timestamp, message";
        self.list(place, "fields", form, FIELDS_PIPE_NAMES_MAX, |parser| {
            let is_dropped = parser.lexer.take('-');
            let column = parser.column(have)?;
            match is_dropped {
                true => dropped.push(column),
                false => kept.push(column),
            }
            Ok(())
        })?;
        if let Columns::Table(columns) = have {
            let goes = |name: &String| {
                let is_named = |list: &[FieldName]| list.iter().any(|have| **have == **name);
                is_named(&dropped) || !(kept.is_empty() || is_named(&kept))
            };
            if columns.iter().all(goes) {
                return Err(fault(
                    place.0,
                    place.1,
                    "no column is left",
                    "name a column that stays",
                ));
            }
        }
        Ok(Pipe::Fields { kept, dropped })
    }

    fn sort(&mut self, place: Place, have: &Columns) -> Result<Pipe, ParseError> {
        let mut keys: Vec<SortKey> = Vec::new();
        self.list(place, "sort", "sort -count", AGGREGATE_KEYS_MAX, |parser| {
            let at = parser.lexer.at;
            let is_descending = parser.lexer.take('-');
            let column = parser.column(have)?;
            let end = parser.before_blanks(at);
            if let Columns::Records { is_limited } = have
                && (*is_limited || &*column != field::TIMESTAMP)
            {
                let (message, hint) = match is_limited {
                    true => ("records are sorted before limit", "write sort before limit"),
                    false => (
                        "records are sorted by timestamp only",
                        "write sort timestamp or sort -timestamp; tables of stats are sorted by any of their columns",
                    ),
                };
                return Err(fault(at, end, message, hint));
            }
            parser.lexer.skip_blanks();
            for word in ["asc", "desc"] {
                if parser.keyword_here(word) {
                    let at = parser.lexer.at;
                    return Err(fault(
                        at,
                        at + word.len(),
                        format!("{word} is no part of sort"),
                        format!("write sort {column} for the least first, sort -{column} for the greatest"),
                    ));
                }
            }
            parser.lexer.at = end;
            keys.push(SortKey {
                column,
                is_descending,
            });
            Ok(())
        })?;
        Ok(Pipe::Sort(keys))
    }

    /// Items with commas between them.
    pub(super) fn list(
        &mut self,
        place: Place,
        pipe: &str,
        form: &str,
        items_max: usize,
        mut item: impl FnMut(&mut Parser) -> Result<(), ParseError>,
    ) -> Result<(), ParseError> {
        let mut place = place;
        for count in 1.. {
            self.lexer.skip_blanks();
            if self.ends_pipe() {
                return Err(missing_field(place, pipe, form));
            }
            let start = self.lexer.at;
            item(self)?;
            if count > items_max {
                return Err(fault(
                    start,
                    self.lexer.at,
                    format!("{pipe} names too much"),
                    format!("at most {items_max}"),
                ));
            }
            let end = self.lexer.at;
            self.lexer.skip_blanks();
            place = (self.lexer.at, self.lexer.at + 1);
            if !self.lexer.take(',') {
                self.lexer.at = end;
                break;
            }
        }
        Ok(())
    }

    fn by(&mut self) -> Result<Vec<FieldName>, ParseError> {
        let mut by = Vec::new();
        let before = self.lexer.at;
        self.lexer.skip_blanks();
        let start = self.lexer.at;
        if !self.keyword_here("by") {
            self.lexer.at = before;
            return Ok(by);
        }
        self.lexer.at += 2;
        let place = (start, start + 2);
        self.list(
            place,
            "by",
            "by source, level",
            AGGREGATE_KEYS_MAX,
            |parser| {
                by.push(parser.group_field()?);
                Ok(())
            },
        )?;
        Ok(by)
    }

    /// The name of a column that is there: a field, or a function as it is written.
    fn column(&mut self, have: &Columns) -> Result<FieldName, ParseError> {
        let at = self.lexer.at;
        let mut name = self.name()?;
        self.lexer.skip_blanks();
        if self.lexer.peek() == Some('(') {
            self.lexer.at = at;
            name = self.function()?.default_name().into();
        }
        let Columns::Table(columns) = have else {
            return Ok(name);
        };
        if columns.iter().any(|have| **have == *name) {
            return Ok(name);
        }
        let end = self.before_blanks(at);
        Err(fault(
            at,
            end,
            format!("the table has no column {name}"),
            match nearest(&name, columns.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near}? columns are {}", columns.join(", ")),
                None => format!("columns are {}", columns.join(", ")),
            },
        ))
    }

    /// A bare or quoted name.
    pub(super) fn name(&mut self) -> Result<FieldName, ParseError> {
        let at = self.lexer.at;
        let name = match self.lexer.peek() {
            Some('"') => self.lexer.quoted()?,
            _ => self.word_of(is_name_char),
        };
        if name.is_empty() {
            return Err(fault(
                at,
                self.lexer.at.max(at + 1),
                "a name is missing here",
                "names with other characters are quoted: \"a b\"",
            ));
        }
        Ok(name.into())
    }

    fn number(
        &mut self,
        place: Place,
        pipe: &str,
        form: &str,
        max: usize,
    ) -> Result<usize, ParseError> {
        let at = self.lexer.at;
        let text = self.word_of(|c| !c.is_whitespace() && c != '|');
        if let Ok(number) = text.parse::<usize>()
            && (1..=max).contains(&number)
        {
            return Ok(number);
        }
        let (place, message) = match text.is_empty() {
            true => (place, format!("{pipe} needs a number")),
            false => (
                (at, self.lexer.at),
                format!("{text} is no number from 1 to {max}"),
            ),
        };
        Err(fault(place.0, place.1, message, format!("such as: {form}")))
    }

    /// The characters that `is_part` says, consumed.
    pub(super) fn word_of(&mut self, is_part: impl Fn(char) -> bool) -> String {
        let start = self.lexer.at;
        while self.lexer.peek().is_some_and(&is_part) {
            self.lexer.at += 1;
        }
        self.lexer.text(start, self.lexer.at)
    }

    /// Where the text before the cursor ends, its last blanks not counted.
    fn before_blanks(&self, start: usize) -> usize {
        let text = self.lexer.text(start, self.lexer.at);
        start + text.trim_end().chars().count()
    }

    /// Whether the pipe ends here.
    pub(super) fn ends_pipe(&self) -> bool {
        matches!(self.lexer.peek(), None | Some('|'))
    }

    /// Whether this word, in upper or lower case, stands here by itself.
    pub(super) fn keyword_here(&self, word: &str) -> bool {
        let end = self.lexer.at + word.len();
        let is_here = self.lexer.len() >= end
            && self
                .lexer
                .text(self.lexer.at, end)
                .eq_ignore_ascii_case(word);
        is_here
            && self
                .lexer
                .char_at(end)
                .is_none_or(|c| c.is_whitespace() || matches!(c, '|' | ',' | '"'))
    }
}

/// The columns after a pipe.
fn follow(pipe: &Pipe, before: Columns) -> Columns {
    if let Some(columns) = pipe.columns() {
        return Columns::Table(columns);
    }
    match (pipe, before) {
        (Pipe::Limit(_), Columns::Records { .. }) => Columns::Records { is_limited: true },
        (Pipe::Fields { kept, dropped }, Columns::Table(columns)) => {
            Columns::Table(project(&columns, kept, dropped))
        }
        (_, before) => before,
    }
}

/// Aggregates are made of all matching records.
fn of_records(have: &Columns, place: Place) -> Result<(), ParseError> {
    match have {
        Columns::Records { is_limited: false } => Ok(()),
        Columns::Records { .. } => Err(fault(
            place.0,
            place.1,
            "it counts all records that match, not the first ones",
            "leave out limit, or write it behind to limit the rows of the table",
        )),
        Columns::Table(_) => Err(fault(
            place.0,
            place.1,
            "there is a table already",
            "a query has one of stats, top and timechart; fields, sort and limit follow it",
        )),
    }
}

/// Whether the columns of a table have different names.
fn whole_table(pipe: Pipe, place: Place) -> Result<Pipe, ParseError> {
    let columns = pipe.columns().unwrap_or_default();
    let twice = columns
        .iter()
        .enumerate()
        .find(|(index, name)| columns[..*index].contains(name));
    match twice {
        None => Ok(pipe),
        Some((_, name)) => Err(fault(
            place.0,
            place.1,
            format!("two columns are named {name}"),
            "name one of them: count() as n",
        )),
    }
}

fn missing_field(place: Place, pipe: &str, form: &str) -> ParseError {
    fault(
        place.0,
        place.1,
        format!("nothing follows {pipe}"),
        format!("such as: {form}"),
    )
}

/// What a name that is not known should have been.
pub(super) fn hint(name: &str, foreign: &[(&str, &str)], known: &[&str], what: &str) -> String {
    if let Some((_, ours)) = foreign.iter().find(|(theirs, _)| *theirs == name) {
        return format!("here it is {ours}");
    }
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {near}? {what} are {}", known.join(", ")),
        None => format!("{what} are {}", known.join(", ")),
    }
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|have| (edit_distance(name, have), have)).min()?;
    let is_near = near.0 <= SLIPS_MAX && near.0 < name.chars().count();
    is_near.then_some(near.1)
}
