//! Attributes past the limit of columns: one JSON object in the column `_overflow`.
use serde_json::value::RawValue;
use std::collections::HashMap;
use taffrail_model::column::Kind;

/// The value of a name in the object.
pub(super) fn value(json: &str, name: &str) -> Option<(Kind, String)> {
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
    }
}
