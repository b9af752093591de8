//! Columns of a batch: the values of one field, stored back to back.
//!
//! Invariants
//! - A value keeps its original JSON text: `200`, `200.0` and `"200"` stay apart, and what is
//!   read back is byte for byte what came.
//! - Rows ascend strictly: a row has at most one value; a row without one has no entry, so a
//!   field that few records have costs little. `null` is no entry.
//! - The text of all values is one `String`, so a search runs over contiguous memory.
use std::{collections::HashMap, sync::Arc};

/// Name of a field, shared between batches.
pub type FieldName = Arc<str>;

/// JSON kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A string; the text is unescaped.
    String = 1,
    /// A number without fraction and exponent; the text is its JSON text (`-7`).
    Integer = 2,
    /// Any other number; the text is its JSON text (`1.50`, `1e9`).
    Float = 3,
    /// `true` or `false`.
    Bool = 4,
    /// An array, or an object that is empty or holds what is past the limit of columns
    /// ([`crate::field::OVERFLOW`]); compact JSON text. Other objects are flattened.
    Json = 5,
}

impl Kind {
    /// The kind of a stored tag.
    #[must_use]
    pub fn from_tag(tag: u8) -> Option<Kind> {
        match tag {
            1 => Some(Kind::String),
            2 => Some(Kind::Integer),
            3 => Some(Kind::Float),
            4 => Some(Kind::Bool),
            5 => Some(Kind::Json),
            _ => None,
        }
    }
}

/// One value: its kind and its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value<'a> {
    /// JSON kind.
    pub kind: Kind,
    /// Unescaped text of a string, JSON text of anything else.
    pub text: &'a str,
}

/// The values of one field over the rows of a batch. Row numbers are `u32`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    rows: Vec<u32>,
    kinds: Vec<Kind>,
    /// End of each value in `text`.
    ends: Vec<u32>,
    text: String,
}

impl Column {
    /// Number of values (rows without one do not count).
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Rows that have a value, ascending.
    #[must_use]
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Kinds of the values, one for each of [`Column::rows`].
    #[must_use]
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// End offsets of the values in [`Column::text`], one for each of [`Column::rows`].
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Text of all values, back to back.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The texts of all values, one for each of [`Column::rows`].
    #[inline]
    pub fn texts(&self) -> impl Iterator<Item = &str> + '_ {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|end| *end as usize));
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.text[start..*end as usize])
    }

    /// Bytes that the column holds in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.rows.len() * 9 + self.text.len()
    }

    /// The `index`-th value (not row).
    ///
    /// # Panics
    /// If `index` is not below [`Column::len`].
    #[must_use]
    pub fn value_at(&self, index: usize) -> Value<'_> {
        let start = if index == 0 {
            0
        } else {
            self.ends[index - 1] as usize
        };
        Value {
            kind: self.kinds[index],
            text: &self.text[start..self.ends[index] as usize],
        }
    }

    /// The value of a row.
    #[must_use]
    pub fn get(&self, row: u32) -> Option<Value<'_>> {
        self.index_of(row).map(|index| self.value_at(index))
    }

    /// Which value belongs to a row.
    #[must_use]
    pub fn index_of(&self, row: u32) -> Option<usize> {
        // Dense from row 0 on is the common case.
        if self.rows.get(row as usize) == Some(&row) {
            return Some(row as usize);
        }
        self.rows.binary_search(&row).ok()
    }

    /// All (row, value), ascending by row.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Value<'_>)> + '_ {
        (0..self.len()).map(|index| (self.rows[index], self.value_at(index)))
    }

    /// Appends a value. A value for the last row replaces it (the last duplicate key wins).
    ///
    /// # Panics
    /// If `row` is below the last row, or the column's text would pass 4 GiB (a batch is bounded
    /// by [`crate::limits::BATCH_BYTES_MAX`]).
    pub fn push(&mut self, row: u32, kind: Kind, text: &str) {
        self.push_with(row, kind, |out| out.push_str(text));
    }

    /// Appends a value whose text `write` appends to the buffer that it gets.
    ///
    /// # Panics
    /// As [`Column::push`].
    pub fn push_with(&mut self, row: u32, kind: Kind, write: impl FnOnce(&mut String)) {
        self.remove_last(row);
        assert!(
            self.rows.last().is_none_or(|last| *last < row),
            "rows ascend"
        );
        write(&mut self.text);
        let end = u32::try_from(self.text.len()).unwrap_or_else(|_| panic!("column past 4 GiB"));
        self.rows.push(row);
        self.kinds.push(kind);
        self.ends.push(end);
    }

    /// Removes the value of `row` if it is the last one (a duplicate key that is `null`).
    pub fn remove_last(&mut self, row: u32) {
        if self.rows.last() == Some(&row) {
            self.rows.pop();
            self.kinds.pop();
            self.ends.pop();
            self.text
                .truncate(self.ends.last().map_or(0, |end| *end as usize));
        }
    }

    /// The column of the rows `keep` (ascending), renumbered from 0.
    #[must_use]
    pub fn select(&self, keep: &[u32]) -> Column {
        let mut out = Column::default();
        let mut index = 0;
        for (new_row, row) in (0u32..).zip(keep) {
            while self.rows.get(index).is_some_and(|have| have < row) {
                index += 1;
            }
            if self.rows.get(index) == Some(row) {
                let value = self.value_at(index);
                out.push(new_row, value.kind, value.text);
            }
        }
        out
    }

    /// Makes room for more values, so that appending them moves nothing.
    pub fn reserve(&mut self, values: usize, text_bytes: usize) {
        self.rows.reserve_exact(values);
        self.kinds.reserve_exact(values);
        self.ends.reserve_exact(values);
        self.text.reserve_exact(text_bytes);
    }

    /// Gives back memory that growing left over.
    pub fn shrink_to_fit(&mut self) {
        self.rows.shrink_to_fit();
        self.kinds.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.text.shrink_to_fit();
    }

    /// Appends the values of `other`, its row 0 being `first_row`.
    ///
    /// # Panics
    /// As [`Column::push`].
    pub fn append(&mut self, first_row: u32, other: &Column) {
        let base = self.text.len();
        self.text.push_str(&other.text);
        assert!(u32::try_from(self.text.len()).is_ok(), "column past 4 GiB");
        let base = base as u32;
        self.rows
            .extend(other.rows.iter().map(|row| row + first_row));
        self.kinds.extend_from_slice(&other.kinds);
        self.ends.extend(other.ends.iter().map(|end| end + base));
    }

    /// A column from its parts, checked.
    ///
    /// # Errors
    /// A description of the broken invariant: the parts come from a file.
    pub fn from_parts(
        rows: Vec<u32>,
        kinds: Vec<Kind>,
        ends: Vec<u32>,
        text: String,
    ) -> Result<Column, &'static str> {
        if rows.len() != kinds.len() || rows.len() != ends.len() {
            return Err("parts of a column differ in length");
        }
        if !rows.is_sorted_by(|a, b| a < b) {
            return Err("rows of a column do not ascend");
        }
        if !ends.is_sorted() || ends.last().map_or(0, |end| *end as usize) != text.len() {
            return Err("value ends of a column do not fit its text");
        }
        if !ends.iter().all(|end| text.is_char_boundary(*end as usize)) {
            return Err("a value end of a column splits a character");
        }
        Ok(Column {
            rows,
            kinds,
            ends,
            text,
        })
    }
}

/// Named columns over the same rows.
#[derive(Clone, Debug, Default)]
pub struct ColumnSet {
    rows: u32,
    names: Vec<FieldName>,
    columns: Vec<Column>,
    index: HashMap<FieldName, usize>,
}

impl ColumnSet {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Sets the number of rows; values are pushed to columns by row number.
    pub fn set_rows(&mut self, rows: u32) {
        self.rows = rows;
    }

    /// Number of columns, empty ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether there is no column.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// All (name, column), in order of first appearance.
    pub fn iter(&self) -> impl Iterator<Item = (&FieldName, &Column)> + '_ {
        self.names.iter().zip(&self.columns)
    }

    /// All (name, column) to change values in place.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&FieldName, &mut Column)> + '_ {
        self.names.iter().zip(&mut self.columns)
    }

    /// The column of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Column> {
        self.index.get(name).map(|index| &self.columns[*index])
    }

    /// The column of a name, created if missing.
    pub fn get_or_create(&mut self, name: &str) -> &mut Column {
        let index = self.slot(name);
        &mut self.columns[index]
    }

    /// Number of the column of a name, created if missing; stable until a column is removed.
    pub fn slot(&mut self, name: &str) -> usize {
        if let Some(index) = self.index.get(name) {
            return *index;
        }
        let name: FieldName = name.into();
        let index = self.columns.len();
        self.names.push(name.clone());
        self.columns.push(Column::default());
        self.index.insert(name, index);
        index
    }

    /// The column of a slot and its name.
    ///
    /// # Panics
    /// If there is no such slot.
    pub fn slot_mut(&mut self, slot: usize) -> (&FieldName, &mut Column) {
        (&self.names[slot], &mut self.columns[slot])
    }

    /// Takes a column out.
    pub fn remove(&mut self, name: &str) -> Option<Column> {
        let at = self.index.remove(name)?;
        self.names.remove(at);
        let column = self.columns.remove(at);
        for index in self.index.values_mut().filter(|index| **index > at) {
            *index -= 1;
        }
        Some(column)
    }

    /// Puts a column in, replacing one of the same name.
    pub fn insert(&mut self, name: &str, column: Column) {
        let slot = self.slot(name);
        self.columns[slot] = column;
    }

    /// The rows `keep` (ascending) of every column, renumbered from 0; columns without a value
    /// are left out.
    #[must_use]
    pub fn select(&self, keep: &[u32]) -> ColumnSet {
        let mut out = ColumnSet::default();
        for (name, column) in self.iter() {
            let column = column.select(keep);
            if !column.is_empty() {
                out.insert(name, column);
            }
        }
        out.rows = keep.len() as u32;
        out
    }

    /// Appends the rows of `other`.
    pub fn append(&mut self, other: &ColumnSet) {
        let first_row = self.rows;
        for (name, column) in other.iter() {
            self.get_or_create(name).append(first_row, column);
        }
        self.rows += other.rows;
    }

    /// Takes the set apart, in order of first appearance.
    pub fn into_columns(self) -> impl Iterator<Item = (FieldName, Column)> {
        self.names.into_iter().zip(self.columns)
    }

    /// Bytes that the columns hold in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.columns.iter().map(Column::memory_bytes).sum::<usize>() + self.names.len() * 96
    }
}

impl PartialEq for ColumnSet {
    /// Equal rows and values; the order of columns and empty columns do not count.
    fn eq(&self, other: &ColumnSet) -> bool {
        let covered = |a: &ColumnSet, b: &ColumnSet| {
            a.iter().all(|(name, column)| {
                column.is_empty() || b.get(name).is_some_and(|have| have == column)
            })
        };
        self.rows == other.rows && covered(self, other) && covered(other, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_duplicate_wins_and_null_removes() {
        let mut column = Column::default();
        column.push(0, Kind::String, "a");
        column.push(2, Kind::Integer, "7");
        column.push(2, Kind::Float, "7.50");
        assert_eq!(
            column.get(2),
            Some(Value {
                kind: Kind::Float,
                text: "7.50"
            })
        );
        assert_eq!(column.get(1), None);
        column.remove_last(2);
        assert_eq!(column.len(), 1);
        assert_eq!(column.text(), "a");
    }

    #[test]
    fn select_and_append_renumber() {
        let mut set = ColumnSet::default();
        set.get_or_create("a").push(0, Kind::String, "x");
        set.get_or_create("a").push(2, Kind::String, "y");
        set.get_or_create("b").push(1, Kind::Bool, "true");
        set.set_rows(3);
        let picked = set.select(&[1, 2]);
        assert_eq!(picked.get("a").unwrap().get(1).unwrap().text, "y");
        assert_eq!(picked.get("b").unwrap().get(0).unwrap().text, "true");
        let mut all = set.select(&[0]);
        all.append(&picked);
        assert_eq!(all, set);
    }

    #[test]
    fn parts_from_a_file_are_checked() {
        let ok = Column::from_parts(vec![1], vec![Kind::String], vec![2], "é".into());
        assert!(ok.is_ok());
        let split = Column::from_parts(vec![0, 1], vec![Kind::String; 2], vec![1, 2], "é".into());
        assert!(split.is_err());
        assert!(
            Column::from_parts(vec![1, 1], vec![Kind::Bool; 2], vec![0, 0], String::new()).is_err()
        );
        assert!(Column::from_parts(vec![1], vec![Kind::Bool], vec![3], "ab".into()).is_err());
    }
}
