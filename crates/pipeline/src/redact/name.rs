//! Names of fields whose values are secrets.
//!
//! A name is compared as its letters and digits in lower case, so `accessToken`, `ACCESS_TOKEN`
//! and `access-token` are one name; what stands before it does not matter (`x-api-key`,
//! `db_password`), since a prefix says whose secret it is. `token` alone is also a word for other
//! things, so it must stand as a word, and not after one that makes it a unit of text or a place
//! in a listing (`time_per_token`, `next_page_token`).
use super::{
    Mask,
    word::{Around, Word},
};
use crate::{config::ConfigError, json};

struct Rule {
    mask: Mask,
    /// Letters and digits in lower case.
    joined: String,
    /// Whether a word must begin where the name begins.
    is_word: bool,
    /// Whether the name with an `s` means the same.
    has_plural: bool,
}

/// What a field's name says of its values.
#[derive(Clone, Copy)]
pub(super) struct Secret<'a> {
    pub(super) mask: &'a Mask,
    /// Only text is a secret there, a number is a count (`tokens`, `pass`).
    pub(super) is_text_only: bool,
    /// Whether everything up to the end of the line belongs to the value, as in HTTP headers.
    pub(super) fills_line: bool,
}

impl Secret<'_> {
    /// Whether a value, as text, is none: a count where only text is a secret, or nothing but
    /// counts.
    pub(super) fn admits(self, value: &str) -> bool {
        let value = value.trim();
        self.is_text_only
            && match value.starts_with(['[', '{']) {
                true => holds_counts(value),
                false => value.parse::<f64>().is_ok(),
            }
    }
}

/// Names that are secret only if nothing else is in the name: they are parts of many others.
const EXACT: &[&str] = &["pass"];
/// Names whose numbers are counts.
const TEXT_ONLY: &[&str] = &["pass", "tokens"];
/// Names of HTTP headers whose values have blanks in them.
const LINES: &[&str] = &["authorization", "cookie"];

/// Rule, name, whether it must begin a word, whether it has a plural. Longer names come first:
/// the first that fits gives the mask.
const DEFAULT: &[(&str, &str, bool, bool)] = &[
    ("refresh_token", "refreshtoken", false, true),
    ("access_token", "accesstoken", false, true),
    ("api_key", "apikey", false, true),
    ("password", "password", false, true),
    ("password", "passwordconfirmation", false, false),
    ("password", "passwordconfirm", false, false),
    ("password", "passwordhash", false, true),
    ("password", "passwordvalue", false, false),
    ("password", "passwd", false, true),
    ("password", "passphrase", false, true),
    ("password", "pwd", true, true),
    ("password", "pass", true, false),
    ("secret", "secret", false, true),
    ("secret", "secretkey", false, true),
    ("secret", "secretaccesskey", false, true),
    ("secret", "secretvalue", false, false),
    ("private_key", "privatekey", false, true),
    ("token", "token", true, false),
    ("token", "tokens", true, false),
    ("token", "tokenvalue", true, false),
    ("authorization", "authorization", false, false),
    ("cookie", "cookie", false, true),
    ("ssn", "ssn", true, true),
    ("ssn", "socialsecuritynumber", true, true),
];

/// The parts of the default names, of which one spelling or another introduces a secret in text.
/// Names that end in one of these, or hold it, need no line of their own.
const DEFAULT_WORDS: &[&[&str]] = &[
    &["pass", "word"],
    &["pass", "wd"],
    &["pass", "phrase"],
    &["pwd"],
    &["secret"],
    &["token"],
    &["api", "key"],
    &["private", "key"],
    &["authorization"],
    &["cookie"],
    &["ssn"],
    &["social", "security", "number"],
];

/// Words that make a name a question about a secret: `requires_token`.
const QUESTIONS: &[&str] = &[
    "requires", "require", "required", "needs", "has", "is", "expects", "uses",
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
    words: Vec<Word>,
}

impl SecretNames {
    pub(super) fn new(custom: &[String]) -> Result<SecretNames, ConfigError> {
        let mut rules = Vec::new();
        let mut words: Vec<Word> = DEFAULT_WORDS
            .iter()
            .filter_map(|parts| Word::of_parts(&strings(parts)))
            .collect();
        words.extend(EXACT.iter().map(|name| Word {
            text: (*name).to_owned(),
            around: Around::Assignment,
        }));
        for name in custom {
            let parts = words_of(name);
            if parts.is_empty() {
                return Err(ConfigError::FieldName { name: name.clone() });
            }
            words.extend(Word::of_parts(&parts));
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
        Ok(SecretNames { rules, words })
    }

    /// Every mask, in no order.
    pub(super) fn masks(&self) -> impl Iterator<Item = &Mask> {
        self.rules.iter().map(|rule| &rule.mask)
    }

    /// Words of which one is in every spelling of a name.
    pub(super) fn words(&self) -> &[Word] {
        &self.words
    }

    /// What a field is by its flattened name: the whole name or any segment of it may be secret
    /// (`password.old`).
    pub(super) fn secret_of_path(&self, path: &str) -> Option<Secret<'_>> {
        let whole = Normalised::of(path);
        self.secret_of(&whole).or_else(|| {
            path.contains('.')
                .then(|| {
                    path.split('.')
                        .find_map(|segment| self.secret_of(&Normalised::of(segment)))
                })
                .flatten()
        })
    }

    fn secret_of(&self, name: &Normalised) -> Option<Secret<'_>> {
        let text = name.text.as_str();
        self.rules
            .iter()
            .find(|rule| {
                let joined = rule.joined.as_str();
                let start_of = |text: &str| {
                    text.strip_suffix(joined)
                        .map(str::len)
                        .filter(|start| !rule.is_word || name.is_word_start(*start))
                };
                let start = start_of(text).or_else(|| {
                    let singular = text.strip_suffix('s').filter(|_| rule.has_plural)?;
                    start_of(singular)
                });
                let Some(start) = start else {
                    return false;
                };
                let before = name.word_before(start);
                !(before.is_some_and(|word| QUESTIONS.contains(&word))
                    || (EXACT.contains(&joined) && start > 0)
                    || (matches!(joined, "token" | "tokens")
                        && before.is_some_and(|word| NO_SECRET_BEFORE_TOKEN.contains(&word))))
            })
            .map(|rule| Secret {
                mask: &rule.mask,
                is_text_only: TEXT_ONLY.contains(&rule.joined.as_str()),
                fills_line: LINES.contains(&rule.joined.as_str()),
            })
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

    /// The word that ends where another begins.
    fn word_before(&self, start: usize) -> Option<&str> {
        let before = self.starts.iter().rev().find(|at| **at < start)?;
        self.text.get(*before..start)
    }
}

fn strings(parts: &[&str]) -> Vec<String> {
    parts.iter().map(ToString::to_string).collect()
}

/// Whether every value in an array or object is a number or says nothing.
fn holds_counts(text: &str) -> bool {
    let mut at = 0;
    while let Some(scalar) = json::next_scalar(text, at) {
        at = scalar.end;
        if scalar.is_string && json::value_after_key(text, scalar.end).is_some() {
            continue;
        }
        let value = text[scalar.start..scalar.end].trim_matches('"');
        let is_count =
            value.parse::<f64>().is_ok() || matches!(value, "" | "true" | "false" | "null");
        if !is_count {
            return false;
        }
    }
    true
}

/// The words of a name, in lower case: `headerName` and `header_name` are `header` and `name`.
pub(super) fn words_of(name: &str) -> Vec<String> {
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
        let found = names
            .secret_of_path(name)
            .map(|secret| secret.mask.rule.to_string());
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
        for name in [
            "password_confirmation",
            "passwordConfirmation",
            "password_hash",
            "pwd",
            "db_pwd",
            "userPwd",
            "pass",
            "PASS",
            "login.pass",
            "passwd",
            "passphrase",
            "ssh_passphrase",
            "pass_word",
            "pass word",
        ] {
            check(name, Some("password"));
        }
        for name in [
            "secret_key",
            "secretKey",
            "SECRET_KEY",
            "aws_secret_access_key",
            "AWS_SECRET_ACCESS_KEY",
            "awsSecretAccessKey",
            "secret_value",
            "secrets",
        ] {
            check(name, Some("secret"));
        }
        for name in [
            "private_key",
            "privateKey",
            "ssh-private-key",
            "private_key.pem",
        ] {
            check(name, Some("private_key"));
        }
        for name in ["token_value", "tokenValue", "tokens", "auth_tokens"] {
            check(name, Some("token"));
        }
        for name in [
            "authorization",
            "Authorization",
            "Proxy-Authorization",
            "http.request.header.authorization",
        ] {
            check(name, Some("authorization"));
        }
        for name in [
            "cookie",
            "Set-Cookie",
            "set_cookie",
            "cookies",
            "headers.cookie",
        ] {
            check(name, Some("cookie"));
        }
        check("api  key", Some("api_key"));
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
            "total_tokens",
            "cachedTokens",
            "reasoning_tokens",
            "gen_ai.usage.input_tokens",
            "requires_token",
            "requiresToken",
            "auth.requires_token",
            "has_password",
            "is_secret",
            "bypass",
            "first_pass",
            "pass_count",
            "passed",
            "passenger",
            "public_key",
            "primary_key",
            "access_key_id",
            "cookie_banner",
            "authorization_status",
            "token_values_count",
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
