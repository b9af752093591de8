//! Names of fields whose values are secrets.
//!
//! A name is compared as its letters and digits in lower case, so `accessToken`, `ACCESS_TOKEN`
//! and `access-token` are one name; what stands before it does not matter (`x-api-key`,
//! `db_password`), since a prefix says whose secret it is. `token` alone is also a word for other
//! things, so it must stand as a word, and not after one that makes it a unit of text or a place
//! in a listing (`time_per_token`, `next_page_token`).
use super::Mask;
use crate::config::ConfigError;

struct Rule {
    mask: Mask,
    /// Letters and digits in lower case.
    joined: String,
    /// Whether a word must begin where the name begins.
    is_word: bool,
    /// Whether the name with an `s` means the same.
    has_plural: bool,
}

/// Rule, name, whether it must begin a word, whether it has a plural. Longer names come first:
/// the first that fits gives the mask.
const DEFAULT: &[(&str, &str, bool, bool)] = &[
    ("refresh_token", "refreshtoken", false, true),
    ("access_token", "accesstoken", false, true),
    ("api_key", "apikey", false, true),
    ("password", "password", false, true),
    ("password", "passwd", false, false),
    ("secret", "secret", false, true),
    ("token", "token", true, false),
    ("ssn", "ssn", true, false),
    ("ssn", "socialsecuritynumber", true, false),
];

/// How the default names are spelled in text; a custom name adds its own spellings.
const DEFAULT_WORDS: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "api key",
    "api.key",
    "ssn",
    "social_security_number",
    "social-security-number",
    "socialsecuritynumber",
    "social security number",
];

/// Words before `token` that make it a unit of text or a place in a listing.
const NO_SECRET_BEFORE_TOKEN: &[&str] = &[
    "per",
    "first",
    "last",
    "next",
    "prev",
    "previous",
    "page",
    "continuation",
    "cancellation",
    "cancel",
    "eos",
    "bos",
    "pad",
    "stop",
    "unk",
    "mask",
    "sep",
    "cls",
    "start",
    "end",
    "input",
    "output",
    "prompt",
    "completion",
    "cached",
    "reasoning",
    "max",
    "min",
    "total",
    "single",
    "each",
    "every",
    "unexpected",
];

/// All names, the default ones and custom ones.
pub(super) struct SecretNames {
    rules: Vec<Rule>,
    words: Vec<String>,
}

impl SecretNames {
    pub(super) fn new(custom: &[String]) -> Result<SecretNames, ConfigError> {
        let mut rules = Vec::new();
        let mut words: Vec<String> = DEFAULT_WORDS.iter().map(ToString::to_string).collect();
        for name in custom {
            let parts = name_words(name);
            if parts.is_empty() {
                return Err(ConfigError::FieldName { name: name.clone() });
            }
            words.extend(["", "_", "-", ".", " "].map(|between| parts.join(between)));
            rules.push(Rule {
                mask: Mask::new("field"),
                joined: parts.concat(),
                is_word: true,
                has_plural: false,
            });
        }
        rules.extend(
            DEFAULT
                .iter()
                .map(|(rule, joined, is_word, has_plural)| Rule {
                    mask: Mask::new(rule),
                    joined: (*joined).to_owned(),
                    is_word: *is_word,
                    has_plural: *has_plural,
                }),
        );
        words.sort();
        words.dedup();
        Ok(SecretNames { rules, words })
    }

    /// Every mask, in no order.
    pub(super) fn masks(&self) -> impl Iterator<Item = &Mask> {
        self.rules.iter().map(|rule| &rule.mask)
    }

    /// Texts in lower case of which one is in every spelling of a name.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }

    /// The mask of a field by its flattened name: the whole name or any segment of it may be
    /// secret (`password.old`).
    pub(super) fn mask_of_path(&self, path: &str) -> Option<&Mask> {
        let whole = Normalised::of(path);
        self.mask_of(&whole).or_else(|| {
            path.contains('.')
                .then(|| {
                    path.split('.')
                        .find_map(|segment| self.mask_of(&Normalised::of(segment)))
                })
                .flatten()
        })
    }

    fn mask_of(&self, name: &Normalised) -> Option<&Mask> {
        self.rules
            .iter()
            .find(|rule| {
                let is_end = |text: &str| {
                    text.strip_suffix(rule.joined.as_str())
                        .is_some_and(|before| !rule.is_word || name.is_word_start(before.len()))
                };
                let text = name.text.as_str();
                let fits =
                    is_end(text) || (rule.has_plural && text.strip_suffix('s').is_some_and(is_end));
                fits && !(rule.joined == "token" && name.names_no_secret_token())
            })
            .map(|rule| &rule.mask)
    }
}

/// A name as its letters and digits in lower case, with the places where words begin.
struct Normalised {
    text: String,
    starts: Vec<usize>,
}

impl Normalised {
    /// Digits at the end number a field (`password2`) and do not count.
    fn of(name: &str) -> Normalised {
        let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_' || c == '-');
        let bytes = name.as_bytes();
        let mut out = Normalised {
            text: String::with_capacity(name.len()),
            starts: Vec::new(),
        };
        let mut previous = b' ';
        for (at, byte) in bytes.iter().copied().enumerate() {
            if byte.is_ascii_alphanumeric() {
                let next_is_lower = bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
                let begins = !previous.is_ascii_alphanumeric()
                    || (byte.is_ascii_uppercase()
                        && (!previous.is_ascii_uppercase() || next_is_lower));
                if begins {
                    out.starts.push(out.text.len());
                }
                out.text.push(char::from(byte.to_ascii_lowercase()));
            }
            previous = byte;
        }
        out
    }

    fn is_word_start(&self, at: usize) -> bool {
        self.starts.contains(&at)
    }

    fn names_no_secret_token(&self) -> bool {
        let Some([before, last]) = self.starts.last_chunk::<2>() else {
            return false;
        };
        NO_SECRET_BEFORE_TOKEN.contains(&&self.text[*before..*last])
    }
}

fn name_words(name: &str) -> Vec<String> {
    let normalised = Normalised::of(name);
    let mut ends: Vec<usize> = normalised.starts.iter().skip(1).copied().collect();
    ends.push(normalised.text.len());
    normalised
        .starts
        .iter()
        .zip(ends)
        .map(|(start, end)| normalised.text[*start..end].to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, rule: Option<&str>) {
        let names = SecretNames::new(&["internal_pin".into()]).unwrap();
        let found = names.mask_of_path(name).map(|mask| mask.rule.to_string());
        assert_eq!(found.as_deref(), rule, "{name}");
    }

    #[test]
    fn secret_names_in_every_spelling() {
        check("password", Some("password"));
        check("Password", Some("password"));
        check("PASSWORD", Some("password"));
        check("user.password", Some("password"));
        check("password.old", Some("password"));
        check("db_password", Some("password"));
        check("newPassword2", Some("password"));
        check("userpassword", Some("password"));
        check("passwd", Some("password"));
        check("token", Some("token"));
        check("authToken", Some("token"));
        check("x-auth-token", Some("token"));
        check("a.b.c.token", Some("token"));
        check("access_token", Some("access_token"));
        check("accessToken", Some("access_token"));
        check("ACCESS-TOKEN", Some("access_token"));
        check("accesstoken", Some("access_token"));
        check("access_tokens", Some("access_token"));
        check("refreshToken", Some("refresh_token"));
        check("secret", Some("secret"));
        check("clientSecret", Some("secret"));
        check("aws_secret", Some("secret"));
        check("api_key", Some("api_key"));
        check("apiKey", Some("api_key"));
        check("APIKey", Some("api_key"));
        check("x-api-key", Some("api_key"));
        check("http.request.header.x-api-key", Some("api_key"));
        check("OPENAI_API_KEY", Some("api_key"));
        check("ssn", Some("ssn"));
        check("social_security_number", Some("ssn"));
        check("internalPin", Some("field"));
        check("X-Internal-Pin", Some("field"));
    }

    #[test]
    fn ordinary_names_are_left_alone() {
        for name in [
            "",
            "...",
            "message",
            "input_tokens",
            "output_tokens",
            "tokens",
            "max_tokens",
            "time_per_token",
            "time_to_first_token",
            "next_page_token",
            "nextPageToken",
            "tokenizer",
            "token_count",
            "secretary",
            "classname",
            "key",
            "pin",
            "password_changed_at",
            "passwordless",
            "api_version",
            "betoken",
            "compass",
            "eos_token",
        ] {
            check(name, None);
        }
    }

    #[test]
    fn a_custom_name_needs_a_letter() {
        assert!(SecretNames::new(&["--".into()]).is_err());
    }
}
