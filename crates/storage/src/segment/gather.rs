//! The rows of several parts in the order of the section, without a merged copy: a column is a
//! list of references to values where they lie.
use super::{EncodeError, presence};
use taffrail_model::{
    column::{Column, Kind},
    limits::{BLOCK_ROWS, SEGMENT_ROWS_MAX},
};

/// Rows that come with a section: a chunk of a tail, or the rows of a [`super::SectionInput`].
pub(super) struct RowsPart<'a> {
    pub timestamps: &'a [i64],
    pub positions: &'a [u64],
    pub columns: Vec<(&'a str, &'a Column)>,
}

/// All parts, and where each of their rows goes.
pub(super) struct Gathered<'a> {
    parts: Vec<RowsPart<'a>>,
    pub timestamps: Vec<i64>,
    pub positions: Vec<u64>,
    /// New row of each row, the parts one after the other; empty if they stay where they are.
    new_rows: Vec<u32>,
    /// For each part, the first of its rows.
    first_rows: Vec<usize>,
}

impl<'a> Gathered<'a> {
    /// Orders the rows of the parts by (timestamp, position).
    pub(super) fn new(parts: Vec<RowsPart<'a>>) -> Result<Gathered<'a>, EncodeError> {
        let is_even = |part: &RowsPart<'_>| part.timestamps.len() == part.positions.len();
        if !parts.iter().all(is_even) {
            return Err(EncodeError::RowsDiffer);
        }
        let rows: usize = parts.iter().map(|part| part.timestamps.len()).sum();
        if rows == 0 {
            return Err(EncodeError::Empty);
        }
        if rows > SEGMENT_ROWS_MAX {
            return Err(EncodeError::TooManyRows { rows });
        }
        let mut timestamps = Vec::with_capacity(rows);
        let mut positions = Vec::with_capacity(rows);
        let mut first_rows = Vec::with_capacity(parts.len());
        for part in &parts {
            first_rows.push(timestamps.len());
            timestamps.extend_from_slice(part.timestamps);
            positions.extend_from_slice(part.positions);
            let past_the_end = |column: &Column| {
                let last = column.rows().last();
                last.is_some_and(|last| *last as usize >= part.timestamps.len())
            };
            if part.columns.iter().any(|(_, column)| past_the_end(column)) {
                return Err(EncodeError::RowsDiffer);
            }
        }
        let new_rows = sort_rows(&mut timestamps, &mut positions);
        Ok(Gathered {
            parts,
            timestamps,
            positions,
            new_rows,
            first_rows,
        })
    }

    pub(super) fn rows(&self) -> usize {
        self.timestamps.len()
    }

    /// Names of all columns that have a value, ascending.
    pub(super) fn names(&self) -> Vec<&'a str> {
        let columns = self.parts.iter().flat_map(|part| &part.columns);
        let mut names: Vec<&str> = columns
            .filter(|(_, column)| !column.is_empty())
            .map(|(name, _)| *name)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The values of a column, and its presence. `loaded` has the column of each part, or nothing
    /// where the parts have it themselves.
    pub(super) fn column<'c>(&self, name: &str, loaded: &'c [Column]) -> (Values<'c>, Vec<u8>)
    where
        'a: 'c,
    {
        let columns = self.columns_of(name, loaded);
        let count: usize = columns.iter().map(|(_, column)| column.len()).sum();
        let kind = kind_of_all(&columns);
        let mut kinds = Vec::new();
        if kind.is_none() {
            kinds = vec![Kind::String; self.rows()];
            self.place(
                &columns,
                |column| column.kinds().iter().copied(),
                &mut kinds,
            );
        }
        if count == self.rows() {
            let mut texts = vec![""; count];
            self.place(&columns, |column| column.texts(), &mut texts);
            let ends =
                (1..=count.div_ceil(BLOCK_ROWS)).map(|block| (block * BLOCK_ROWS).min(count));
            let values = Values {
                texts,
                kind,
                kinds,
                ends: ends.collect(),
            };
            // Nobody asks for the presence of a column that every row has.
            return (values, Vec::new());
        }
        let mut placed = vec![None; self.rows()];
        self.place(&columns, |column| column.texts().map(Some), &mut placed);
        let (ends, presence) = presence_of(&placed);
        let mut has_value = placed.iter().map(Option::is_some);
        kinds.retain(|_| has_value.next() == Some(true));
        let values = Values {
            texts: placed.into_iter().flatten().collect(),
            kind,
            kinds,
            ends,
        };
        (values, presence)
    }

    /// Puts what `of` gives of each value to the new row of the value.
    fn place<'c, T, I: Iterator<Item = T>>(
        &self,
        columns: &[(usize, &'c Column)],
        of: impl Fn(&'c Column) -> I,
        out: &mut [T],
    ) {
        for (first_row, column) in columns {
            for (value, row) in of(column).zip(column.rows()) {
                let row = first_row + *row as usize;
                let new_row = self.new_rows.get(row).map_or(row, |row| *row as usize);
                out[new_row] = value;
            }
        }
    }

    /// The column of a name in each part that has it, and the first row of the part.
    fn columns_of<'c>(&self, name: &str, loaded: &'c [Column]) -> Vec<(usize, &'c Column)>
    where
        'a: 'c,
    {
        let parts = self.parts.iter().zip(&self.first_rows).enumerate();
        let columns = parts.filter_map(|(index, (part, first_row))| {
            let own = || part.columns.iter().find(|(have, _)| *have == name);
            let column = match loaded.get(index) {
                Some(column) => column,
                None => own()?.1,
            };
            Some((*first_row, column))
        });
        columns.filter(|(_, column)| !column.is_empty()).collect()
    }
}

/// The kind of all values; `None` if they differ.
fn kind_of_all(columns: &[(usize, &Column)]) -> Option<Kind> {
    let first = columns.first()?.1.kinds().first()?;
    let is_same = |column: &Column| column.kinds().iter().all(|kind| kind == first);
    let is_uniform = columns.iter().all(|(_, column)| is_same(column));
    is_uniform.then_some(*first)
}

/// The end of each block's values, and which rows have one.
fn presence_of(placed: &[Option<&str>]) -> (Vec<usize>, Vec<u8>) {
    let (mut ends, mut presence, mut end) = (Vec::new(), Vec::new(), 0);
    let mut present = Vec::with_capacity(BLOCK_ROWS);
    for block in placed.chunks(BLOCK_ROWS) {
        present.clear();
        let rows = (0u32..).zip(block).filter(|(_, text)| text.is_some());
        present.extend(rows.map(|(row, _)| row));
        end += present.len();
        ends.push(end);
        presence::encode_block(&present, block.len(), &mut presence);
    }
    (ends, presence)
}

/// Sorts both by (timestamp, position). Returns the new row of each, or nothing if they were
/// sorted.
fn sort_rows(timestamps: &mut Vec<i64>, positions: &mut Vec<u64>) -> Vec<u32> {
    let key = |row: u32| (timestamps[row as usize], positions[row as usize]);
    let mut order: Vec<u32> = (0..timestamps.len() as u32).collect();
    if order.is_sorted_by_key(|row| key(*row)) {
        return Vec::new();
    }
    // Stable, and quick where chunks are sorted already, which they nearly are.
    order.sort_by_key(|row| key(*row));
    *timestamps = order.iter().map(|row| timestamps[*row as usize]).collect();
    *positions = order.iter().map(|row| positions[*row as usize]).collect();
    let mut new_rows = vec![0; order.len()];
    for (new_row, row) in (0u32..).zip(&order) {
        new_rows[*row as usize] = new_row;
    }
    new_rows
}

/// The values of one column in the order of the section.
pub(super) struct Values<'a> {
    texts: Vec<&'a str>,
    /// The kind of all; if there is none, that of each is in `kinds`.
    kind: Option<Kind>,
    kinds: Vec<Kind>,
    /// End of each block.
    ends: Vec<usize>,
}

impl<'a> Values<'a> {
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(super) fn text(&self, index: usize) -> &'a str {
        self.texts[index]
    }

    pub(super) fn kind(&self, index: usize) -> Kind {
        self.kind.unwrap_or_else(|| self.kinds[index])
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.texts.iter().copied()
    }

    /// Some of the values, as one block.
    pub(super) fn picked(&self, indices: impl Iterator<Item = usize>) -> Values<'a> {
        let (mut texts, mut kinds) = (Vec::new(), Vec::new());
        for index in indices {
            texts.push(self.texts[index]);
            kinds.extend(self.kinds.get(index));
        }
        Values {
            ends: vec![texts.len()],
            texts,
            kind: self.kind,
            kinds,
        }
    }

    /// Values of each block, as ranges.
    pub(super) fn blocks(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| start..*end)
    }

    /// The kind of all values; `None` if they differ.
    pub(super) fn kind_of_all(&self) -> Option<Kind> {
        self.kind
    }

    /// Whether no value is of a kind that is never a number, whatever its text.
    pub(super) fn may_be_numbers(&self) -> bool {
        match self.kind {
            Some(kind) => may_be_number(kind),
            None => self.kinds.iter().all(|kind| may_be_number(*kind)),
        }
    }

    /// Bytes of all texts.
    pub(super) fn text_bytes(&self) -> usize {
        self.texts.iter().map(|text| text.len()).sum()
    }
}

/// Whether values of a kind are compared and computed with as numbers if their text is one.
pub(super) fn may_be_number(kind: Kind) -> bool {
    matches!(kind, Kind::String | Kind::Integer | Kind::Float)
}
