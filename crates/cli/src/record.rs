//! A record as the server sent it: its fields in order, each value as its JSON text, so that
//! `1.50` stays `1.50`.
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// One record.
#[derive(Clone, Debug)]
pub struct Record {
    json: Box<RawValue>,
    fields: Vec<(String, Box<RawValue>)>,
}

impl Record {
    /// The whole record as compact JSON text, as it came.
    #[must_use]
    pub fn json(&self) -> &str {
        self.json.get()
    }

    /// Names and values in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value_text(value)))
    }

    /// The text of a field: a string's content, anything else as JSON; `None` if the record has
    /// no such field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let (_, value) = self.fields.iter().find(|(have, _)| have == name)?;
        Some(value_text(value))
    }

    /// Names and JSON texts in order.
    pub fn fields_json(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.get()))
    }
}

fn value_text(value: &RawValue) -> Cow<'_, str> {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(value.get()),
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Record, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let fields = serde_json::from_str::<Fields>(json.get()).map_err(D::Error::custom)?;
        Ok(Record {
            fields: fields.0,
            json,
        })
    }
}

struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_text() {
        let json = r#"{"message":"a\u001bb","n":1.50,"big":12345678901234567890123,"j":[1, 2]}"#;
        let record: Record = serde_json::from_str(json).unwrap();
        assert_eq!(record.json(), json);
        assert_eq!(record.get("message").unwrap(), "a\x1bb");
        assert_eq!(record.get("n").unwrap(), "1.50");
        assert_eq!(record.get("big").unwrap(), "12345678901234567890123");
        assert_eq!(record.get("j").unwrap(), "[1, 2]");
        assert_eq!(record.get("none"), None);
        let names: Vec<&str> = record.fields_json().map(|(name, _)| name).collect();
        assert_eq!(names, ["message", "n", "big", "j"]);
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        assert!(serde_json::from_str::<Record>("[1]").is_err());
    }
}
