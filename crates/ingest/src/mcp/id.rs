//! Request ids and progress tokens, strings and numbers told apart.
use super::{ID_BYTES_MAX, members};

/// Id of a request, or a progress token: `1` and `"1"` differ, `1` and `1.0` do not (a client in
/// JavaScript cannot tell them apart, and answers the one with the other).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Id {
    Number(Box<str>),
    String(Box<str>),
}

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdFault {
    /// Neither a string nor a number.
    WrongKind,
    /// Past [`ID_BYTES_MAX`].
    TooLong,
}

/// The largest integer up to which every integer is a float of its own.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

impl Id {
    /// The id that a JSON text is.
    pub(super) fn of(json: &str) -> Result<Id, IdFault> {
        match json.as_bytes().first() {
            Some(b'"' | b'-' | b'0'..=b'9') if json.len() > ID_BYTES_MAX => Err(IdFault::TooLong),
            Some(b'"') => {
                // A lone surrogate is no text; as JSON it still names the request.
                let text = members::string(json).unwrap_or_else(|| json.to_string());
                Ok(Id::String(text.into()))
            }
            Some(b'-' | b'0'..=b'9') => Ok(Id::Number(number(json).into())),
            _ => Err(IdFault::WrongKind),
        }
    }

    /// The id as text, as the attribute `jsonrpc.request.id` shows it.
    pub(super) fn text(&self) -> &str {
        match self {
            Id::Number(text) | Id::String(text) => text,
        }
    }
}

/// One form for each number: `1.0`, `1e0` and `1` are the same.
fn number(json: &str) -> String {
    if !json.contains(['.', 'e', 'E']) && json != "-0" {
        return json.to_string();
    }
    match json.parse::<f64>() {
        Ok(value) if value.fract() == 0.0 && value.abs() <= EXACT_MAX => {
            // Exact: the value is an integer of at most 53 bits.
            format!("{}", value as i64)
        }
        _ => json.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: Result<(&str, bool), IdFault>) {
        let found = Id::of(json);
        let found = found
            .as_ref()
            .map(|id| (id.text(), matches!(id, Id::String(_))));
        assert_eq!(found.map_err(|fault| *fault), expected);
    }

    #[test]
    fn strings_and_numbers_are_told_apart() {
        check("1", Ok(("1", false)));
        check("\"1\"", Ok(("1", true)));
        assert_ne!(Id::of("1"), Id::of("\"1\""));
        check("\"a\\u0062\"", Ok(("ab", true)));
        check("\"\"", Ok(("", true)));
        check("\"\\ud800\"", Ok(("\"\\ud800\"", true)));
    }

    #[test]
    fn a_number_has_one_form() {
        check("1.0", Ok(("1", false)));
        check("1e0", Ok(("1", false)));
        check("-0", Ok(("0", false)));
        check("1.5", Ok(("1.5", false)));
        check("18446744073709551615", Ok(("18446744073709551615", false)));
        check("1e300", Ok(("1e300", false)));
    }

    #[test]
    fn other_kinds_and_long_ones_are_no_ids() {
        check("null", Err(IdFault::WrongKind));
        check("true", Err(IdFault::WrongKind));
        check("{}", Err(IdFault::WrongKind));
        check(&"9".repeat(ID_BYTES_MAX + 1), Err(IdFault::TooLong));
        check(
            &format!("\"{}\"", "x".repeat(ID_BYTES_MAX)),
            Err(IdFault::TooLong),
        );
    }
}
