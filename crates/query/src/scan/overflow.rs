//! Attributes past the limit of columns: one JSON object in the column `_overflow`.
use super::{
    block::{BlockFault, BlockView},
    plan::SourceColumns,
    selection::Selection,
};
use serde_json::value::RawValue;
use std::collections::HashMap;
use taffrail_model::column::{Kind, Value};

/// Values of one name, row by row.
#[derive(Default)]
pub(super) struct OverflowValues(Vec<(u32, Kind, String)>);

impl OverflowValues {
    /// Those of the rows selected.
    pub(super) fn load(
        view: &mut BlockView<'_>,
        columns: &SourceColumns,
        name: &str,
        selection: &Selection,
    ) -> Result<OverflowValues, BlockFault> {
        let Some(overflow) = columns.overflow_of(name) else {
            return Ok(OverflowValues::default());
        };
        let Some(loaded) = view.column(overflow)? else {
            return Ok(OverflowValues::default());
        };
        let objects = loaded.column.iter();
        let values = objects
            .filter(|(row, _)| selection.has(*row))
            .filter_map(|(row, object)| {
                let (kind, text) = value(object.text, name)?;
                Some((row, kind, text))
            });
        Ok(OverflowValues(values.collect()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a row.
    pub(super) fn get(&self, row: u32) -> Option<Value<'_>> {
        let at = self.0.binary_search_by_key(&row, |(row, ..)| *row).ok()?;
        let (_, kind, text) = self.0.get(at)?;
        Some(Value { kind: *kind, text })
    }
}

/// The value of a name in the object.
pub(super) fn value(json: &str, name: &str) -> Option<(Kind, String)> {
    // Most objects do not have the name, and are not worth reading; it may be there escaped.
    if !json.contains(name) && !json.contains('\\') {
        return None;
    }
    let object: HashMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    let raw = object.get(name)?.get();
    let text = || raw.to_owned();
    match raw.as_bytes().first()? {
        b'"' => Some((Kind::String, serde_json::from_str(raw).ok()?)),
        b't' | b'f' => Some((Kind::Bool, text())),
        b'n' => None,
        b'[' | b'{' => Some((Kind::Json, text())),
        _ if raw.contains(['.', 'e', 'E']) => Some((Kind::Float, text())),
        _ => Some((Kind::Integer, text())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_kind_and_text() {
        let json = r#"{"a":"x\n\"y","b":1.50,"c":-7,"d":null,"e":[1],"f":true}"#;
        let check = |name, expected: Option<(Kind, &str)>| {
            let expected = expected.map(|(kind, text)| (kind, text.to_owned()));
            assert_eq!(value(json, name), expected, "{name}");
        };
        check("a", Some((Kind::String, "x\n\"y")));
        check("b", Some((Kind::Float, "1.50")));
        check("c", Some((Kind::Integer, "-7")));
        check("d", None);
        check("e", Some((Kind::Json, "[1]")));
        check("f", Some((Kind::Bool, "true")));
        check("g", None);
        assert_eq!(value("[]", "a"), None);
        let escaped = value(r#"{"\u0061":1}"#, "a");
        assert_eq!(escaped, Some((Kind::Integer, "1".to_owned())));
    }
}
