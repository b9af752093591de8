//! API keys as the trait shows them.
use crate::error::MetaError;
use taffrail_model::{access::Scope, time::Timestamp};

/// What the text of every API key begins with: makes a leaked one easy to find by scanners.
pub const KEY_PREFIX: &str = "tfr_";
/// Characters of a key's name.
pub const KEY_NAME_CHARS_MAX: usize = 100;
/// Stream patterns of one scope: the scope is read with every request.
const SCOPE_PATTERNS_MAX: usize = 100;

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Number, never reused.
    pub id: i64,
    /// Account that it acts for.
    pub account: i64,
    /// Name, for people.
    pub name: String,
    /// What it may be used for.
    pub scope: Scope,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// When it was last used, to within five minutes.
    pub last_used: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it is accepted at `now`, as far as the key itself goes.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}

/// What a new key is made of.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Account that it acts for.
    pub account: i64,
    /// Name, for people: 1-100 characters, none of them a control character.
    pub name: String,
    /// What it may be used for.
    pub scope: Scope,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// A key just made; the only time that its secret is there.
#[derive(Clone)]
pub struct CreatedKey {
    /// The key.
    pub key: ApiKey,
    /// Its secret, to be sent as `Authorization: Bearer`.
    pub secret: String,
}

impl std::fmt::Debug for CreatedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedKey")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

pub(crate) fn check_key(new: &NewKey) -> Result<(), MetaError> {
    let is_named = (1..=KEY_NAME_CHARS_MAX).contains(&new.name.chars().count())
        && !new.name.chars().any(char::is_control);
    if !is_named {
        return Err(MetaError::Invalid {
            field: "name",
            rule: "1 to 100 characters, none of them a control character",
        });
    }
    let is_scoped = match &new.scope {
        // Its instance is looked up where the key is made.
        Scope::Full | Scope::Instance { .. } => true,
        Scope::Ingest { streams } | Scope::Read { streams } => {
            (1..=SCOPE_PATTERNS_MAX).contains(&streams.len())
                && streams
                    .iter()
                    .all(|pattern| (1..=65).contains(&pattern.len()))
        }
    };
    match is_scoped {
        true => Ok(()),
        false => Err(MetaError::Invalid {
            field: "scope",
            rule: "1 to 100 stream names or patterns such as `app.*`",
        }),
    }
}
