//! Levels: every word and number that other systems use becomes one of the six names.
//!
//! A word that the table does not know is kept in `severity_text`, and the level is info.
use super::alias::keep_under;
use taffrail_model::{
    column::{Column, ColumnSet, Kind, Value},
    field,
    level::Level,
};

/// Replaces the column `level` by one that has a canonical name in every row; says which rows
/// had none.
pub(crate) fn resolve(columns: &mut ColumnSet) -> Vec<bool> {
    let rows = columns.rows();
    let given = columns.remove(field::LEVEL).unwrap_or_default();
    let mut is_missing = vec![false; rows as usize];
    let is_canonical =
        |value: Value<'_>| value.kind == Kind::String && Level::from_name(value.text).is_some();
    if given.len() == rows as usize && given.iter().all(|(_, value)| is_canonical(value)) {
        columns.insert(field::LEVEL, given);
        return is_missing;
    }
    let (mut levels, mut unknown) = (Column::default(), Column::default());
    let mut given = given.iter().peekable();
    for row in 0..rows {
        let value = given
            .next_if(|(have, _)| *have == row)
            .map(|(_, value)| value)
            .filter(|value| !value.text.trim().is_empty());
        let level = match value {
            Some(value) => level_of(value),
            None => {
                is_missing[row as usize] = true;
                None
            }
        };
        if let (None, Some(value)) = (level, value) {
            unknown.push(row, value.kind, value.text);
        }
        levels.push(row, Kind::String, level.unwrap_or(Level::Info).name());
    }
    columns.insert(field::LEVEL, levels);
    if !unknown.is_empty() {
        keep_under(columns, field::SEVERITY_TEXT, unknown);
    }
    is_missing
}

fn level_of(value: Value<'_>) -> Option<Level> {
    match value.kind {
        Kind::String | Kind::Integer => Level::from_foreign(value.text.trim()),
        Kind::Float => Level::from_foreign(&whole_number(value.text)?),
        Kind::Bool | Kind::Json => None,
    }
}

/// A number with a fraction or exponent as a whole one, if it is one: some serialisers write
/// every number as `50.0`.
fn whole_number(text: &str) -> Option<String> {
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0).then(|| format!("{number:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: Option<(Kind, &str)>, level: &str, kept: Option<&str>) {
        let mut columns = ColumnSet::default();
        columns.set_rows(2);
        // The first row makes sure that the batch is not all of one kind.
        columns
            .get_or_create("level")
            .push(0, Kind::String, "WARNING");
        if let Some((kind, text)) = given {
            columns.get_or_create("level").push(1, kind, text);
        }
        let missing = resolve(&mut columns);
        let column = columns.get("level").unwrap();
        assert_eq!(column.get(0).unwrap().text, "warn");
        assert_eq!(column.get(1).unwrap().text, level, "{given:?}");
        let severity = columns
            .get("severity_text")
            .and_then(|column| column.get(1))
            .map(|value| value.text);
        assert_eq!(severity, kept, "{given:?}");
        let is_missing = given.is_none_or(|(_, text)| text.trim().is_empty());
        assert_eq!(missing, [false, is_missing]);
    }

    #[test]
    fn every_form_of_a_level() {
        let table = [
            ("trace", "trace verbose silly 10"),
            ("debug", "debug 20"),
            ("info", "info information notice log 30"),
            ("warn", "warn warning 40"),
            ("error", "error err severe 50"),
            (
                "critical",
                "critical fatal panic alert emergency emerg crit 60",
            ),
        ];
        for (level, words) in table {
            for word in words.split(' ') {
                check(Some((Kind::String, word)), level, None);
                check(Some((Kind::String, &word.to_uppercase())), level, None);
                check(Some((Kind::String, &format!(" {word} "))), level, None);
                if word.parse::<i64>().is_ok() {
                    check(Some((Kind::Integer, word)), level, None);
                    check(Some((Kind::Float, &format!("{word}.0"))), level, None);
                    check(Some((Kind::Float, &format!("{word}.00e0"))), level, None);
                }
            }
        }
    }

    #[test]
    fn missing_and_unknown_levels_are_info() {
        check(None, "info", None);
        check(Some((Kind::String, "")), "info", None);
        check(Some((Kind::String, "Loud")), "info", Some("Loud"));
        check(Some((Kind::Integer, "35")), "info", Some("35"));
        check(Some((Kind::Float, "50.5")), "info", Some("50.5"));
        check(Some((Kind::Float, "35.0")), "info", Some("35.0"));
        check(Some((Kind::Float, "1e400")), "info", Some("1e400"));
        check(Some((Kind::Bool, "true")), "info", Some("true"));
        check(Some((Kind::Json, "[1]")), "info", Some("[1]"));
    }

    #[test]
    fn canonical_levels_are_left_as_they_are() {
        let mut columns = ColumnSet::default();
        columns.set_rows(2);
        for (row, level) in [(0, "info"), (1, "error")] {
            columns
                .get_or_create("level")
                .push(row, Kind::String, level);
        }
        let before = columns.clone();
        assert_eq!(resolve(&mut columns), [false, false]);
        assert_eq!(columns, before);
    }

    #[test]
    fn a_severity_text_that_was_sent_stays() {
        let mut columns = ColumnSet::default();
        columns.set_rows(1);
        columns.get_or_create("level").push(0, Kind::String, "loud");
        columns
            .get_or_create("severity_text")
            .push(0, Kind::String, "SENT");
        resolve(&mut columns);
        assert_eq!(columns.get("severity_text").unwrap().text(), "SENT");
        assert_eq!(
            columns.get("labels.body.severity_text").unwrap().text(),
            "loud"
        );
    }
}
