//! The members of a JSON object that matter, as slices of its text; the rest is passed over.
//!
//! A message may hold ten megabytes of base64. It is read once without being copied, whatever it
//! nests is passed over without a stack, and a name that is there twice counts as the last one,
//! as it does for the parsers of clients and servers.
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Members of an object.
#[derive(Debug)]
pub(super) struct Members<'a, const N: usize> {
    /// The JSON text of each name that was asked for; `null` is as good as absent.
    pub(super) values: [Option<&'a str>; N],
    /// Which of the names are there as `null`.
    pub(super) is_null: [bool; N],
    /// One of the names was there more than once.
    pub(super) is_repeated: bool,
    /// The object has no member at all.
    pub(super) is_empty: bool,
}

/// Reads the members `names` of an object; `None` if `json` is not the text of an object.
pub(super) fn members<'a, const N: usize>(
    json: &'a str,
    names: &[&str; N],
) -> Option<Members<'a, N>> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let found = deserializer.deserialize_map(Wanted { names }).ok()?;
    deserializer.end().ok()?;
    Some(found)
}

/// The texts of the elements of an array; `None` if `json` is not the text of an array.
pub(super) fn elements(json: &str) -> Option<Vec<&str>> {
    let raw: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    Some(raw.into_iter().map(RawValue::get).collect())
}

/// Whether the text is JSON of any kind.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The value of a JSON string; `None` if it is none, or no Unicode text.
pub(super) fn string(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

struct Wanted<'n, const N: usize> {
    names: &'n [&'n str; N],
}

impl<'de, const N: usize> Visitor<'de> for Wanted<'_, N> {
    type Value = Members<'de, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Members {
            values: [None; N],
            is_null: [false; N],
            is_repeated: false,
            is_empty: true,
        };
        let mut seen = [false; N];
        while let Some(index) = map.next_key_seed(Name { names: self.names })? {
            found.is_empty = false;
            let Some(index) = index else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            found.is_repeated |= seen[index];
            seen[index] = true;
            let text = map.next_value::<&RawValue>()?.get();
            found.is_null[index] = text == "null";
            found.values[index] = (text != "null").then_some(text);
        }
        Ok(found)
    }
}

/// Which of the names a key is.
struct Name<'n, const N: usize> {
    names: &'n [&'n str; N],
}

impl<'de, const N: usize> serde::de::DeserializeSeed<'de> for Name<'_, N> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<const N: usize> Visitor<'_> for Name<'_, N> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.names.iter().position(|name| *name == key))
    }
}
