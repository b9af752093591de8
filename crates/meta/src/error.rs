//! What can go wrong with domain data.
use std::path::PathBuf;

/// Why an operation on domain data failed.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// A field of the caller's has a value that it may not have.
    #[error("{field} must be {rule}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// The name is taken.
    #[error("{what} {name:?} exists already")]
    Exists {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// There is no such thing.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its number or name.
        id: String,
    },
    /// The change would leave the instance without an enabled admin.
    #[error("account {account} is the last enabled admin: an instance keeps at least one")]
    LastAdmin {
        /// The account.
        account: i64,
    },
    /// It is deleted, and only its records are still there.
    #[error("{what} {id} is deleted")]
    Deleted {
        /// What kind of thing.
        what: &'static str,
        /// Its number or name.
        id: String,
    },
    /// A tenant has as many instances as it may.
    #[error("a tenant has at most 100,000 instances, deleted ones included")]
    TooManyInstances,
    /// All stream numbers are taken.
    #[error("all 64,536 numbers for streams of the configuration are taken")]
    StreamNumbersExhausted,
    /// A row that decides access is not as it was written.
    #[error(
        "row {id} of table {table} does not fit its checksum: it was damaged or changed by something else than taffrail"
    )]
    RowChecksum {
        /// Table.
        table: &'static str,
        /// Primary key.
        id: i64,
    },
    /// A row that decides access has a value that cannot be.
    #[error("row {id} of table {table} cannot be read: {detail}")]
    Row {
        /// Table.
        table: &'static str,
        /// Primary key.
        id: i64,
        /// What is wrong.
        detail: &'static str,
    },
    /// The database exists, but the key of its row checksums does not.
    #[error(
        "the key of the row checksums {path:?} is missing, but the metadata database is there: restore the file"
    )]
    RowKeyMissing {
        /// Where the key file should be.
        path: PathBuf,
    },
    /// The key of the row checksums is not the one that the database was written with.
    #[error("the key of the row checksums {path:?} does not belong to this metadata database")]
    RowKeyMismatch {
        /// The key file.
        path: PathBuf,
    },
    /// The key file cannot be read or written.
    #[error("key of the row checksums {path:?} cannot be used")]
    RowKeyFile {
        /// The key file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database file cannot be prepared.
    #[error("metadata database {path:?} cannot be opened")]
    File {
        /// The database file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error("metadata database {path:?} cannot be opened")]
    Open {
        /// The database file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// SQLite has a known defect that can damage a database in WAL mode.
    #[error("SQLite {found} is too old: at least 3.51.3 is needed")]
    SqliteVersion {
        /// Version that is linked.
        found: String,
    },
    /// The database file is damaged.
    #[error("metadata database {path:?} is damaged: {detail}")]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// First line that SQLite's check says.
        detail: String,
    },
    /// A migration failed, or the database was written by a newer version.
    #[error("metadata database {path:?} cannot be brought to this version")]
    Migrate {
        /// The database file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// A statement failed.
    #[error("metadata database failed to {doing}")]
    Query {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The change was broken off; whether it was made is not known.
    #[error("the change was broken off")]
    Interrupted,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
    /// A password could not be hashed.
    #[error("password cannot be hashed: {0}")]
    Hash(String),
}

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Wrong name or password, or the account is disabled; which of them is not said.
    #[error("wrong name or password")]
    Wrong,
    /// Too many failures from this address.
    #[error("too many failed logins: try again in {retry_after_s} s")]
    Throttled {
        /// Seconds until the next attempt is looked at.
        retry_after_s: u64,
    },
    /// The database failed.
    #[error(transparent)]
    Meta(#[from] MetaError),
}
