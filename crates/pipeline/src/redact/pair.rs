//! Pairs of fields of which one names what the other holds: `header.name` is `x-api-key`,
//! `header.value` the key.
//!
//! Two names make a pair if they differ in their last word only, which is one of [`NAME_KEYS`]
//! and one of [`VALUE_KEYS`], with or without something before it (`name`, `header_name`,
//! `headers.0.name`, `headerName`).
use super::name::words_of;

/// Last words of names of fields that say what another field holds.
const NAME_KEYS: &[&str] = &[
    "name",
    "key",
    "k",
    "field",
    "header",
    "param",
    "parameter",
    "property",
    "attribute",
    "variable",
];
/// Last words of names of fields that hold the value.
const VALUE_KEYS: &[&str] = &["value", "values", "val", "v"];

/// Which half of a pair a field may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    /// It names.
    Name,
    /// It holds the value.
    Value,
}

/// Which half of a pair a field of this name may be, and what both halves have in common.
pub(super) fn half(name: &str) -> Option<(Half, String)> {
    // Most names are neither, which their end tells without a copy.
    let ends = |keys: &[&str]| keys.iter().any(|key| ends_with(name, key));
    let half = if ends(VALUE_KEYS) {
        Half::Value
    } else if ends(NAME_KEYS) {
        Half::Name
    } else {
        return None;
    };
    let mut words = words_of(name);
    let last = words.pop()?;
    let keys = match half {
        Half::Name => NAME_KEYS,
        Half::Value => VALUE_KEYS,
    };
    keys.contains(&last.as_str())
        .then(|| (half, words.join(".")))
}

/// How long the name of a field is that holds a value and begins at `text`, if one does.
pub(super) fn value_key_at(text: &[u8]) -> impl Iterator<Item = usize> {
    VALUE_KEYS
        .iter()
        .map(|key| key.len())
        .zip(VALUE_KEYS)
        .filter(|(length, key)| {
            text.get(..*length)
                .is_some_and(|have| have.eq_ignore_ascii_case(key.as_bytes()))
        })
        .map(|(length, _)| length)
}

fn ends_with(name: &str, end: &str) -> bool {
    let name = name.as_bytes();
    name.len()
        .checked_sub(end.len())
        .is_some_and(|at| name[at..].eq_ignore_ascii_case(end.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves() {
        let check = |name: &str, expected: Option<(Half, &str)>| {
            let expected = expected.map(|(half, rest)| (half, rest.to_owned()));
            assert_eq!(half(name), expected, "{name}");
        };
        check("name", Some((Half::Name, "")));
        check("Value", Some((Half::Value, "")));
        check("header.name", Some((Half::Name, "header")));
        check("header.value", Some((Half::Value, "header")));
        check("header_value", Some((Half::Value, "header")));
        check("headerValue", Some((Half::Value, "header")));
        check("a.headers.0.key", Some((Half::Name, "a.headers.0")));
        check("a.headers.0.v", Some((Half::Value, "a.headers.0")));
        check(
            "request.headers.values",
            Some((Half::Value, "request.headers")),
        );
        for name in [
            "", "hostname", "interval", "monkey", "names", "env", "message",
        ] {
            check(name, None);
        }
    }
}
