//! From pipes to a scan, and from what it found to a table.
//!
//! One pipe at most is the scan's: `stats`, `top` and `timechart` become its output, and so do the
//! order and number of records where no pipe aggregates. The others work on the table, which is
//! bounded by the groups that an aggregate may have.
use crate::{
    number::Number,
    request::{Aggregation, GroupKey, Order, Output, RowsOutput},
    result::{Cell, Facet, Groups, Row, ScanOutput, row_bytes},
    search::pipe::{Function, Pipe, SortKey, project},
};
use std::{cmp::Ordering, collections::BTreeSet};
use taffrail_model::{
    column::{FieldName, Kind},
    field,
    limits::{TABLE_BYTES_MAX, TABLE_ROWS_MAX},
    stream::StreamCatalogue,
};

/// Columns and rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The columns.
    pub columns: Vec<TableColumn>,
    /// The rows, at most [`TABLE_ROWS_MAX`] and [`TABLE_BYTES_MAX`], with a cell for each column.
    pub rows: Vec<Vec<Cell>>,
    /// How many rows there are, those included that are too many to be given.
    pub total: u64,
    /// Whether rows are missing because they are too many or too long for one answer.
    pub is_truncated: bool,
    /// Whether a number of different values, or the counts of `top`, are estimates.
    pub is_estimate: bool,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// What all its cells are, unless they are null.
    pub kind: ColumnKind,
}

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Texts.
    String,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Number,
    /// `true` and `false`.
    Boolean,
    /// Times.
    Time,
}

impl ColumnKind {
    /// Its word in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ColumnKind::String => "string",
            ColumnKind::Integer => "integer",
            ColumnKind::Number => "number",
            ColumnKind::Boolean => "boolean",
            ColumnKind::Time => "time",
        }
    }
}

/// What a scan has to give for these pipes.
#[must_use]
pub fn output_for(pipes: &[Pipe]) -> Output {
    let fields = |names: &[FieldName]| -> Vec<GroupKey> {
        names.iter().cloned().map(GroupKey::Field).collect()
    };
    let functions_of =
        |functions: &[crate::Aggregate]| functions.iter().map(|of| of.function.clone()).collect();
    match pipes.first() {
        Some(Pipe::Stats { functions, by }) => Output::Aggregate(Aggregation {
            keys: fields(by),
            functions: functions_of(functions),
        }),
        Some(Pipe::Timechart {
            interval_ns,
            functions,
            by,
        }) => {
            let mut keys = vec![GroupKey::Time {
                interval_ns: *interval_ns,
            }];
            keys.extend(fields(by));
            Output::Aggregate(Aggregation {
                keys,
                functions: functions_of(functions),
            })
        }
        Some(Pipe::Top { limit, field, by }) if by.is_empty() => Output::Facets {
            fields: vec![field.clone()],
            limit: *limit,
        },
        Some(Pipe::Top { field, by, .. }) => {
            let mut keys = fields(by);
            keys.push(GroupKey::Field(field.clone()));
            Output::Aggregate(Aggregation {
                keys,
                functions: vec![Function::Count],
            })
        }
        _ => Output::Rows(rows_for(pipes)),
    }
}

/// The records of pipes of which none aggregates.
fn rows_for(pipes: &[Pipe]) -> RowsOutput {
    let mut output = RowsOutput::default();
    let limits = pipes.iter().filter_map(|pipe| match pipe {
        Pipe::Limit(limit) => Some(*limit),
        _ => None,
    });
    output.limit = limits.min().unwrap_or(output.limit);
    for pipe in pipes {
        match pipe {
            Pipe::Sort(keys) if keys.iter().all(|key| !key.is_descending) => {
                output.order = Order::Ascending;
            }
            Pipe::Sort(_) => output.order = Order::Descending,
            Pipe::Fields { kept, .. } if output.fields.is_none() && !kept.is_empty() => {
                output.fields = Some(kept.clone());
            }
            _ => {}
        }
    }
    output
}

impl Table {
    /// The table of what a scan gave for these pipes; `None` if it gave something else.
    #[must_use]
    pub fn new(pipes: &[Pipe], found: ScanOutput, catalogue: &StreamCatalogue) -> Option<Table> {
        let first = pipes.first();
        let (mut draft, rest) = match (found, first) {
            (ScanOutput::Groups(groups), Some(pipe)) => (of_groups(pipe, groups)?, &pipes[1..]),
            (ScanOutput::Facets(facets), Some(pipe)) => (of_facet(pipe, facets)?, &pipes[1..]),
            (ScanOutput::Rows(page), _) => {
                let is_short = page.cursor.is_some() && page.rows.len() < rows_for(pipes).limit;
                let mut draft = of_records(&page.rows, pipes, catalogue);
                draft.is_truncated |= is_short;
                (draft, pipes)
            }
            _ => return None,
        };
        for pipe in rest {
            draft.apply(pipe);
        }
        Some(draft.finish())
    }
}

/// A table in the making.
struct Draft {
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
    is_truncated: bool,
    is_estimate: bool,
}

fn of_groups(pipe: &Pipe, groups: Groups) -> Option<Draft> {
    let mut draft = Draft {
        columns: pipe.columns()?,
        rows: groups.rows,
        is_truncated: false,
        is_estimate: groups.is_estimate,
    };
    let by_keys =
        |keys: usize| move |a: &Vec<Cell>, b: &Vec<Cell>| compare_cells(&a[..keys], &b[..keys]);
    match pipe {
        Pipe::Stats { by, .. } => draft.rows.sort_by(by_keys(by.len())),
        Pipe::Timechart { by, .. } => draft.rows.sort_by(by_keys(by.len() + 1)),
        Pipe::Top { limit, by, .. } => {
            let field = by.len();
            draft.rows.retain(|row| row[field] != Cell::Null);
            draft.rows.sort_by(|a, b| {
                compare_cells(&a[..field], &b[..field])
                    .then_with(|| compare(&b[field + 1], &a[field + 1]))
                    .then_with(|| compare(&a[field], &b[field]))
            });
            let mut group: Option<(Vec<Cell>, usize)> = None;
            draft.rows.retain(|row| {
                let count = match &mut group {
                    Some((have, count)) if have[..] == row[..field] => {
                        *count += 1;
                        *count
                    }
                    _ => {
                        group = Some((row[..field].to_vec(), 1));
                        1
                    }
                };
                count <= *limit
            });
        }
        _ => {}
    }
    Some(draft)
}

fn of_facet(pipe: &Pipe, facets: Vec<Facet>) -> Option<Draft> {
    let facet = facets.into_iter().next()?;
    let values = facet.values.into_iter();
    Some(Draft {
        columns: pipe.columns()?,
        rows: values
            .map(|value| {
                let key = match value.is_json {
                    true => Cell::Json(value.value),
                    false => Cell::Text(value.value),
                };
                vec![key, Cell::Integer(value.count.into())]
            })
            .collect(),
        is_truncated: false,
        is_estimate: facet.is_estimate,
    })
}

/// Fields that come first where no pipe says which.
const FIRST: [&str; 5] = [
    field::TIMESTAMP,
    field::ID,
    field::LEVEL,
    field::STREAM,
    field::MESSAGE,
];

fn of_records(rows: &[Row], pipes: &[Pipe], catalogue: &StreamCatalogue) -> Draft {
    let kept = pipes.iter().find_map(|pipe| match pipe {
        Pipe::Fields { kept, .. } if !kept.is_empty() => Some(kept),
        _ => None,
    });
    let columns: Vec<String> = match kept {
        Some(kept) => project(&[], kept, &[]),
        None => {
            let names = rows.iter().flat_map(|row| &row.fields);
            let names: BTreeSet<&str> = names.map(|(name, _)| &**name).collect();
            let others = names.into_iter().filter(|name| !FIRST.contains(name));
            FIRST.into_iter().chain(others).map(str::to_owned).collect()
        }
    };
    let mut room = Room::default();
    let made = rows.iter().map_while(|row| {
        let cells = columns.iter().map(|name| cell_of(row, name, catalogue));
        let cells: Vec<Cell> = cells.collect();
        room.takes(&cells).then_some(cells)
    });
    let made: Vec<Vec<Cell>> = made.collect();
    Draft {
        is_truncated: made.len() < rows.len(),
        rows: made,
        columns,
        is_estimate: false,
    }
}

/// What is left of the bytes of a table.
struct Room(usize);

impl Default for Room {
    fn default() -> Room {
        Room(TABLE_BYTES_MAX)
    }
}

impl Room {
    /// Whether a row fits, and those before it did.
    fn takes(&mut self, row: &[Cell]) -> bool {
        let left = self.0.checked_sub(row_bytes(row));
        self.0 = left.unwrap_or_default();
        left.is_some()
    }
}

/// The value of a record's field, by any of its names.
fn cell_of(row: &Row, name: &str, catalogue: &StreamCatalogue) -> Cell {
    let canonical = field::canonical_name(name);
    match canonical {
        field::TIMESTAMP => return Cell::Time(row.key.timestamp),
        field::ID => return Cell::Text(row.id.to_string()),
        field::STREAM => {
            let stream = catalogue.by_number(row.stream);
            return stream.map_or(Cell::Null, |stream| Cell::Text(stream.name.to_string()));
        }
        _ => {}
    }
    match row.get(name).or_else(|| row.get(canonical)) {
        None => Cell::Null,
        Some(value) => match value.kind {
            Kind::String | Kind::Json => Cell::Text(value.text.clone()),
            Kind::Integer | Kind::Float | Kind::Bool => Cell::Json(value.text.clone()),
        },
    }
}

impl Draft {
    fn apply(&mut self, pipe: &Pipe) {
        match pipe {
            Pipe::Limit(limit) => self.rows.truncate(*limit),
            Pipe::Sort(keys) => self.sort(keys),
            Pipe::Fields { kept, dropped } => self.project(kept, dropped),
            Pipe::Stats { .. } | Pipe::Top { .. } | Pipe::Timechart { .. } => {}
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|have| have == name)
    }

    fn sort(&mut self, keys: &[SortKey]) {
        let places: Vec<(usize, bool)> = keys
            .iter()
            .filter_map(|key| Some((self.place(&key.column)?, key.is_descending)))
            .collect();
        self.rows.sort_by(|a, b| {
            let orders = places.iter().map(|(at, is_descending)| {
                match (&a[*at], &b[*at], is_descending) {
                    // What is not there comes last in either order.
                    (Cell::Null, _, _) | (_, Cell::Null, _) | (_, _, false) => {
                        compare(&a[*at], &b[*at])
                    }
                    (_, _, true) => compare(&b[*at], &a[*at]),
                }
            });
            orders.fold(Ordering::Equal, Ordering::then)
        });
    }

    fn project(&mut self, kept: &[FieldName], dropped: &[FieldName]) {
        let columns = project(&self.columns, kept, dropped);
        let places: Vec<Option<usize>> = columns.iter().map(|name| self.place(name)).collect();
        for row in &mut self.rows {
            let cells = places.iter().map(|at| match at {
                Some(at) => row[*at].clone(),
                None => Cell::Null,
            });
            *row = cells.collect();
        }
        self.columns = columns;
    }

    fn finish(mut self) -> Table {
        let total = self.rows.len() as u64;
        self.rows.truncate(TABLE_ROWS_MAX);
        let mut room = Room::default();
        let fitting = self.rows.iter().take_while(|row| room.takes(row)).count();
        self.rows.truncate(fitting);
        let mut columns = Vec::with_capacity(self.columns.len());
        for (at, name) in self.columns.into_iter().enumerate() {
            let kind = kind_of(self.rows.iter().map(|row| &row[at]));
            if kind == ColumnKind::String {
                self.rows.iter_mut().for_each(|row| make_text(&mut row[at]));
            }
            columns.push(TableColumn { name, kind });
        }
        Table {
            columns,
            is_truncated: self.is_truncated || total > self.rows.len() as u64,
            rows: self.rows,
            total,
            is_estimate: self.is_estimate,
        }
    }
}

/// What all cells are; texts if they differ.
fn kind_of<'c>(cells: impl Iterator<Item = &'c Cell>) -> ColumnKind {
    let mut kind = None;
    for cell in cells {
        let next = match cell {
            Cell::Null => continue,
            Cell::Text(_) => ColumnKind::String,
            Cell::Time(_) => ColumnKind::Time,
            Cell::Integer(_) => ColumnKind::Integer,
            Cell::Float(_) => ColumnKind::Number,
            Cell::Json(text) if text.starts_with(['t', 'f']) => ColumnKind::Boolean,
            Cell::Json(text) if text.contains(['.', 'e', 'E']) => ColumnKind::Number,
            Cell::Json(_) => ColumnKind::Integer,
        };
        kind = Some(match (kind, next) {
            (None, next) => next,
            (Some(have), next) if have == next => next,
            (
                Some(ColumnKind::Integer | ColumnKind::Number),
                ColumnKind::Integer | ColumnKind::Number,
            ) => ColumnKind::Number,
            _ => return ColumnKind::String,
        });
    }
    kind.unwrap_or(ColumnKind::String)
}

fn make_text(cell: &mut Cell) {
    match cell {
        Cell::Null | Cell::Text(_) => {}
        Cell::Json(text) => *cell = Cell::Text(std::mem::take(text)),
        Cell::Integer(number) => *cell = Cell::Text(number.to_string()),
        Cell::Float(number) => *cell = Cell::Text(number.to_string()),
        Cell::Time(time) => *cell = Cell::Text(time.to_rfc3339()),
    }
}

fn compare_cells(a: &[Cell], b: &[Cell]) -> Ordering {
    let orders = a.iter().zip(b).map(|(a, b)| compare(a, b));
    orders.fold(Ordering::Equal, Ordering::then)
}

/// Numbers by exact value, then times, booleans, texts, and last what is not there: a total order.
fn compare(a: &Cell, b: &Cell) -> Ordering {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => return a.order(b),
        (Some(_), None) => return Ordering::Less,
        (None, Some(_)) => return Ordering::Greater,
        (None, None) => {}
    }
    match (a, b) {
        (Cell::Time(a), Cell::Time(b)) => a.cmp(b),
        (Cell::Json(a), Cell::Json(b)) | (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

fn number(cell: &Cell) -> Option<Number> {
    match cell {
        Cell::Integer(whole) => Some(Number::Whole(*whole)),
        Cell::Float(float) => Some(Number::Float(*float)),
        Cell::Json(text) => Number::parse(text),
        Cell::Null | Cell::Text(_) | Cell::Time(_) => None,
    }
}

fn rank(cell: &Cell) -> u8 {
    match cell {
        Cell::Integer(_) | Cell::Float(_) => 0,
        Cell::Time(_) => 1,
        Cell::Json(_) => 2,
        Cell::Text(_) => 3,
        Cell::Null => 4,
    }
}

#[cfg(test)]
mod tests;
