//! Domain data that is updated in place: tenants, accounts, sessions, API keys, MCP instances,
//! stream numbers and settings. The only place that talks to a database.
//!
//! One trait ([`Meta`]), one implementation for each database, one conformance suite that runs
//! against every implementation (`tests/conformance.rs`).
//!
//! Invariants
//! - No secret is stored: of a password its Argon2id hash, of a session token or API key its
//!   SHA-256 (both are 256 random bits, so a fast hash is enough). A secret is shown once.
//! - A row that decides access carries a checksum under a key that is not in the database
//!   ([`RowKey`]). A row that somebody changed by hand, or that a disk damaged, is an error that
//!   names it, never an access right.
//! - A session ends when the account's password or role changes or the account is disabled: it
//!   carries the account's generation, which those changes raise in the same transaction.
//! - An instance always keeps one enabled admin.
//!
//! What a row checksum does not show: a row that was removed, and a database that was put back as
//! a whole. The audit log shows those.

mod account;
mod any;
mod contract;
mod error;
mod instance;
mod key;
mod password;
mod row_checksum;
mod secret;
mod session;
mod sqlite;
mod throttle;

pub use account::{
    ACCOUNT_NAME_BYTES_MAX, Account, AccountChange, NewAccount, OWN_USER_IDS_MAX,
    PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, Tenant, USER_ID_BYTES_MAX,
};
pub use any::AnyMeta;
pub use contract::Meta;
pub use error::{LoginError, MetaError};
pub use instance::{
    ChangedInstance, INSTANCE_ID_BYTES_MAX, INSTANCES_PER_TENANT_MAX, InstanceChange, NewInstance,
    SERVICE_CHARS_MAX,
};
pub use key::{ApiKey, CreatedKey, KEY_NAME_CHARS_MAX, KEY_PREFIX, NewKey};
pub use row_checksum::RowKey;
pub use secret::secrets_equal;
pub use session::{CreatedSession, SESSION_ABSOLUTE_S, SESSION_IDLE_S, Session, SessionPrincipal};
pub use sqlite::SqliteMeta;
