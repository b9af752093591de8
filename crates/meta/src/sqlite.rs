//! Domain data in SQLite, embedded.
//!
//! Invariants
//! - WAL mode with `synchronous=FULL`: a transaction that returned is on disk.
//! - One connection writes, each write in one `BEGIN IMMEDIATE` transaction; reads run on a few
//!   connections that cannot write.
//! - A row under a checksum is read, changed and signed again inside one transaction.
//!
//! Cost: a read of a credential is two indexed lookups, some tens of microseconds; a write is one
//! fsync. `last_seen` and `last_used` are therefore written at most once a minute and once in
//! five minutes.
mod instances;

use crate::{
    account::{
        Account, AccountChange, NewAccount, Tenant, check_name, check_own_user_ids, check_password,
        check_tenant_name, check_tenants, name_key,
    },
    contract::Meta,
    error::{LoginError, MetaError},
    instance::{ChangedInstance, InstanceChange, NewInstance},
    key::{ApiKey, CreatedKey, KEY_PREFIX, NewKey, check_key},
    password::Passwords,
    row_checksum::{Field, RowKey},
    secret::{hash, new_secret, random_bytes},
    session::{CreatedSession, SESSION_ABSOLUTE_S, SESSION_IDLE_S, Session, SessionPrincipal},
    throttle::Throttle,
};
use sqlx::{
    Row, Sqlite, SqliteConnection, SqlitePool, Transaction,
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
    },
};
use std::{
    net::IpAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use taffrail_model::{
    access::{Principal, Role, Scope},
    clock::Clock,
    instance::Instance,
    stream::StreamNumber,
    tenant::{DEFAULT_TENANT, TenantNumber},
    time::{NS_PER_DAY, NS_PER_S, Timestamp},
};
use uuid::Uuid;

/// The oldest SQLite that has no known defect which damages a database in WAL mode.
const SQLITE_VERSION_MIN: (u32, u32, u32) = (3, 51, 3);
/// Connections that read: more than cores only wait for each other.
const READERS: u32 = 4;
/// How long a statement waits for another process, such as a backup.
const BUSY: Duration = Duration::from_secs(5);
/// A session's `last_seen` is written when it is this old.
const SEEN_EVERY_NS: i64 = 60 * NS_PER_S;
/// A key's `last_used` is written when it is this old.
const USED_EVERY_NS: i64 = 300 * NS_PER_S;
const SESSION_PREFIX: &str = "tfs_";
const SETTING_INSTANCE_ID: &str = "instance_id";
const SETTING_ROW_KEY_CHECK: &str = "row_key_check";

/// Domain data in one SQLite file.
pub struct SqliteMeta {
    writer: SqlitePool,
    readers: SqlitePool,
    row_key: RowKey,
    clock: Arc<dyn Clock>,
    passwords: Passwords,
    throttle: Throttle,
    instance_id: Uuid,
}

impl SqliteMeta {
    /// Opens the database file, or makes it with its directory, and brings it to this version.
    /// The key of the row checksums is made with a new database and must be there for an old one.
    ///
    /// # Errors
    /// Everything of [`MetaError`] that concerns opening.
    pub async fn open(
        path: &Path,
        row_key_path: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<SqliteMeta, MetaError> {
        prepare_file(path)?;
        let fault = |source| MetaError::Open {
            path: path.to_owned(),
            source,
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY)
            .pragma("trusted_schema", "OFF")
            .pragma("cell_size_check", "ON");
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await
            .map_err(fault)?;
        check_version(&writer).await?;
        check_file(&writer, path).await?;
        sqlx::migrate!("migrations/sqlite")
            .run(&writer)
            .await
            .map_err(|source| MetaError::Migrate {
                path: path.to_owned(),
                source,
            })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.read_only(true))
            .await
            .map_err(fault)?;
        let (row_key, instance_id) = claim(&writer, row_key_path, clock.now()).await?;
        Ok(SqliteMeta {
            writer,
            readers,
            row_key,
            clock,
            passwords: Passwords::new().await?,
            throttle: Throttle::default(),
            instance_id,
        })
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, MetaError> {
        self.writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(doing("begin a transaction"))
    }

    async fn read(&self) -> Result<Transaction<'static, Sqlite>, MetaError> {
        self.readers.begin().await.map_err(doing("begin a read"))
    }

    async fn insert_account(
        &self,
        transaction: &mut SqliteConnection,
        new: &NewAccount,
        password_hash: String,
    ) -> Result<Account, MetaError> {
        let own_user_ids = own_user_ids_text(&new.own_user_ids);
        let now = self.clock.now();
        let row = sqlx::query(
            "INSERT INTO accounts (name, name_key, role, password_hash, is_disabled, own_user_ids,
                                   generation, created, checksum)
             VALUES (?, ?, ?, ?, 0, ?, 1, ?, zeroblob(32))
             ON CONFLICT DO NOTHING RETURNING id",
        )
        .bind(&new.name)
        .bind(name_key(&new.name))
        .bind(new.role.name())
        .bind(&password_hash)
        .bind(&own_user_ids)
        .bind(now.0)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(doing("insert an account"))?;
        let Some(row) = row else {
            return Err(MetaError::Exists {
                what: "account",
                name: new.name.clone(),
            });
        };
        let account = Account {
            id: row.try_get(0).map_err(doing("insert an account"))?,
            name: new.name.as_str().into(),
            role: new.role,
            is_disabled: false,
            own_user_ids: Arc::new(new.own_user_ids.clone()),
            tenants: new.tenants.clone(),
            created: now,
            generation: 1,
            password_hash,
        };
        put_tenants(transaction, &account).await?;
        self.sign_account(transaction, &account).await?;
        Ok(account)
    }

    async fn sign_account(
        &self,
        transaction: &mut SqliteConnection,
        account: &Account,
    ) -> Result<(), MetaError> {
        sqlx::query("UPDATE accounts SET checksum = ? WHERE id = ?")
            .bind(account_checksum(account, &self.row_key))
            .bind(account.id)
            .execute(transaction)
            .await
            .map_err(doing("sign an account"))?;
        Ok(())
    }

    async fn read_account(
        &self,
        connection: &mut SqliteConnection,
        find: Find<'_>,
    ) -> Result<Option<Account>, MetaError> {
        let query = match find {
            Find::Id(id) => sqlx::query("SELECT * FROM accounts WHERE id = ?").bind(id),
            Find::Name(key) => {
                sqlx::query("SELECT * FROM accounts WHERE name_key = ?").bind(key.to_owned())
            }
        };
        let row = query
            .fetch_optional(&mut *connection)
            .await
            .map_err(doing("read an account"))?;
        match row {
            Some(row) => self.account_of(connection, &row).await.map(Some),
            None => Ok(None),
        }
    }

    /// An account from its row, with its tenants, checked.
    async fn account_of(
        &self,
        connection: &mut SqliteConnection,
        row: &SqliteRow,
    ) -> Result<Account, MetaError> {
        let id: i64 = get(row, "id")?;
        let fault = |detail| MetaError::Row {
            table: "accounts",
            id,
            detail,
        };
        let tenants: Vec<i64> = sqlx::query_scalar(
            "SELECT tenant FROM account_tenants WHERE account = ? ORDER BY place",
        )
        .bind(id)
        .fetch_all(connection)
        .await
        .map_err(doing("read the tenants of an account"))?;
        let tenants = tenants
            .into_iter()
            .map(|number| u32::try_from(number).map(TenantNumber))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| fault("tenant is no number of a tenant"))?;
        let own_user_ids: String = get(row, "own_user_ids")?;
        let name: String = get(row, "name")?;
        let name_key_stored: String = get(row, "name_key")?;
        let role: String = get(row, "role")?;
        let account = Account {
            id,
            name: name.into(),
            role: Role::from_name(&role).ok_or_else(|| fault("role is unknown"))?,
            is_disabled: get::<i64>(row, "is_disabled")? != 0,
            own_user_ids: Arc::new(
                serde_json::from_str(&own_user_ids)
                    .map_err(|_| fault("own_user_ids is no list of text"))?,
            ),
            tenants,
            created: Timestamp(get(row, "created")?),
            generation: get(row, "generation")?,
            password_hash: get(row, "password_hash")?,
        };
        // The lookup was by `name_key`: it must be this account's.
        if name_key(&account.name) != name_key_stored {
            return Err(MetaError::RowChecksum {
                table: "accounts",
                id,
            });
        }
        let checksum: Vec<u8> = get(row, "checksum")?;
        let own_user_ids = own_user_ids_text(&account.own_user_ids);
        let tenants = tenants_text(&account.tenants);
        self.row_key.verify(
            "accounts",
            id,
            &account_fields(&account, &own_user_ids, &tenants),
            &checksum,
        )?;
        Ok(account)
    }

    /// Fails if no enabled admin other than `id` would be left.
    async fn keep_an_admin(
        &self,
        transaction: &mut SqliteConnection,
        id: i64,
    ) -> Result<(), MetaError> {
        let others: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM accounts WHERE role = 'admin' AND is_disabled = 0 AND id <> ?",
        )
        .bind(id)
        .fetch_one(transaction)
        .await
        .map_err(doing("count the admins"))?;
        match others {
            0 => Err(MetaError::LastAdmin { account: id }),
            _ => Ok(()),
        }
    }

    fn session_of(&self, row: &SqliteRow) -> Result<StoredSession, MetaError> {
        let stored = StoredSession {
            session: Session {
                id: get(row, "id")?,
                account: get(row, "account")?,
                created: Timestamp(get(row, "created")?),
                last_seen: Timestamp(get(row, "last_seen")?),
                expires: Timestamp(get(row, "expires")?),
                address: get(row, "address")?,
            },
            token_hash: get(row, "token_hash")?,
            generation: get(row, "generation")?,
            revoked: get(row, "revoked")?,
        };
        let checksum: Vec<u8> = get(row, "checksum")?;
        self.row_key.verify(
            "sessions",
            stored.session.id,
            &session_fields(&stored),
            &checksum,
        )?;
        Ok(stored)
    }

    async fn read_session(
        &self,
        connection: &mut SqliteConnection,
        id: i64,
    ) -> Result<Option<StoredSession>, MetaError> {
        sqlx::query("SELECT * FROM sessions WHERE id = ?")
            .bind(id)
            .fetch_optional(connection)
            .await
            .map_err(doing("read a session"))?
            .map(|row| self.session_of(&row))
            .transpose()
    }

    async fn write_session(
        &self,
        transaction: &mut SqliteConnection,
        stored: &StoredSession,
    ) -> Result<(), MetaError> {
        sqlx::query("UPDATE sessions SET last_seen = ?, revoked = ?, checksum = ? WHERE id = ?")
            .bind(stored.session.last_seen.0)
            .bind(stored.revoked)
            .bind(self.row_key.sign("sessions", &session_fields(stored)))
            .bind(stored.session.id)
            .execute(transaction)
            .await
            .map_err(doing("update a session"))?;
        Ok(())
    }

    /// Notes that a session is in use. The row is read again inside the transaction: it may have
    /// been revoked meanwhile.
    async fn touch_session(&self, id: i64, now: Timestamp) -> Result<(), MetaError> {
        let mut transaction = self.begin().await?;
        if let Some(mut stored) = self.read_session(&mut transaction, id).await?
            && stored.revoked.is_none()
        {
            stored.session.last_seen = now;
            self.write_session(&mut transaction, &stored).await?;
        }
        commit(transaction).await
    }

    fn key_of(&self, row: &SqliteRow) -> Result<StoredKey, MetaError> {
        let id: i64 = get(row, "id")?;
        let scope_text: String = get(row, "scope")?;
        let time = |name| get::<Option<i64>>(row, name).map(|ns| ns.map(Timestamp));
        let stored = StoredKey {
            key: ApiKey {
                id,
                account: get(row, "account")?,
                name: get(row, "name")?,
                scope: serde_json::from_str(&scope_text).map_err(|_| MetaError::Row {
                    table: "api_keys",
                    id,
                    detail: "scope is unknown",
                })?,
                created: Timestamp(get(row, "created")?),
                expires: time("expires")?,
                revoked: time("revoked")?,
                last_used: time("last_used")?,
            },
            secret_hash: get(row, "secret_hash")?,
            scope_text,
        };
        let checksum: Vec<u8> = get(row, "checksum")?;
        self.row_key
            .verify("api_keys", id, &key_fields(&stored), &checksum)?;
        Ok(stored)
    }

    async fn read_key(
        &self,
        connection: &mut SqliteConnection,
        id: i64,
    ) -> Result<StoredKey, MetaError> {
        let row = sqlx::query("SELECT * FROM api_keys WHERE id = ?")
            .bind(id)
            .fetch_optional(connection)
            .await
            .map_err(doing("read an API key"))?;
        match row {
            Some(row) => self.key_of(&row),
            None => Err(not_found("API key", id)),
        }
    }
}

impl Meta for SqliteMeta {
    fn instance_id(&self) -> Uuid {
        self.instance_id
    }

    async fn setting(&self, name: &str) -> Result<Option<String>, MetaError> {
        sqlx::query_scalar("SELECT value FROM settings WHERE name = ?")
            .bind(name.to_owned())
            .fetch_optional(&self.readers)
            .await
            .map_err(doing("read a setting"))
    }

    async fn put_setting(&self, name: &str, value: &str) -> Result<(), MetaError> {
        if matches!(name, SETTING_INSTANCE_ID | SETTING_ROW_KEY_CHECK) {
            return Err(MetaError::Invalid {
                field: "name",
                rule: "the name of a setting that may change",
            });
        }
        put_setting(&self.writer, name, value).await
    }

    async fn create_tenant(&self, name: &str) -> Result<Tenant, MetaError> {
        check_tenant_name(name)?;
        let mut transaction = self.begin().await?;
        let tenant = insert_tenant(
            &mut transaction,
            name,
            None,
            self.clock.now(),
            &self.row_key,
        )
        .await?;
        commit(transaction).await?;
        Ok(tenant)
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, MetaError> {
        let rows = sqlx::query("SELECT * FROM tenants ORDER BY number")
            .fetch_all(&self.readers)
            .await
            .map_err(doing("read the tenants"))?;
        rows.iter()
            .map(|row| {
                let (number, name): (i64, String) = (get(row, "number")?, get(row, "name")?);
                let checksum: Vec<u8> = get(row, "checksum")?;
                let fields = [Field::Integer(number), Field::Text(&name)];
                self.row_key.verify("tenants", number, &fields, &checksum)?;
                let number = tenant_number(number)?;
                Ok(Tenant { number, name })
            })
            .collect()
    }

    async fn stream_number(&self, name: &str) -> Result<StreamNumber, MetaError> {
        let mut transaction = self.begin().await?;
        let known = sqlx::query("SELECT * FROM stream_numbers WHERE name = ?")
            .bind(name.to_owned())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(doing("read a stream's number"))?;
        if let Some(row) = known {
            return stream_of(&row, &self.row_key).map(|(_, number)| number);
        }
        let greatest: Option<i64> = sqlx::query_scalar("SELECT max(number) FROM stream_numbers")
            .fetch_one(&mut *transaction)
            .await
            .map_err(doing("read the stream numbers"))?;
        let next = greatest.map_or(i64::from(StreamNumber::FIRST_CUSTOM.0), |last| last + 1);
        let number = u16::try_from(next).map_err(|_| MetaError::StreamNumbersExhausted)?;
        let fields = [Field::Integer(next), Field::Text(name)];
        sqlx::query("INSERT INTO stream_numbers (number, name, checksum) VALUES (?, ?, ?)")
            .bind(next)
            .bind(name.to_owned())
            .bind(self.row_key.sign("stream_numbers", &fields))
            .execute(&mut *transaction)
            .await
            .map_err(doing("assign a stream's number"))?;
        commit(transaction).await?;
        Ok(StreamNumber(number))
    }

    async fn stream_numbers(&self) -> Result<Vec<(String, StreamNumber)>, MetaError> {
        sqlx::query("SELECT * FROM stream_numbers ORDER BY number")
            .fetch_all(&self.readers)
            .await
            .map_err(doing("read the stream numbers"))?
            .iter()
            .map(|row| stream_of(row, &self.row_key))
            .collect()
    }

    async fn create_account(&self, new: NewAccount) -> Result<Account, MetaError> {
        check_new(&new)?;
        let password_hash = self.passwords.hash(&new.password).await?;
        let mut transaction = self.begin().await?;
        let account = self
            .insert_account(&mut transaction, &new, password_hash)
            .await?;
        commit(transaction).await?;
        Ok(account)
    }

    async fn create_first_admin(
        &self,
        name: &str,
        password: &str,
    ) -> Result<Option<Account>, MetaError> {
        let new = NewAccount {
            name: name.to_owned(),
            password: password.to_owned(),
            role: Role::Admin,
            tenants: vec![DEFAULT_TENANT],
            own_user_ids: Default::default(),
        };
        check_new(&new)?;
        let password_hash = self.passwords.hash(password).await?;
        let mut transaction = self.begin().await?;
        let accounts: i64 = sqlx::query_scalar("SELECT count(*) FROM accounts")
            .fetch_one(&mut *transaction)
            .await
            .map_err(doing("count the accounts"))?;
        if accounts > 0 {
            return Ok(None);
        }
        let account = self
            .insert_account(&mut transaction, &new, password_hash)
            .await?;
        commit(transaction).await?;
        Ok(Some(account))
    }

    async fn account(&self, id: i64) -> Result<Account, MetaError> {
        let mut read = self.read().await?;
        self.read_account(&mut read, Find::Id(id))
            .await?
            .ok_or_else(|| not_found("account", id))
    }

    async fn account_by_name(&self, name: &str) -> Result<Account, MetaError> {
        let mut read = self.read().await?;
        self.read_account(&mut read, Find::Name(&name_key(name)))
            .await?
            .ok_or_else(|| not_found("account", format!("{name:?}")))
    }

    async fn accounts(&self, after: i64, limit: usize) -> Result<Vec<Account>, MetaError> {
        let mut read = self.read().await?;
        let rows = sqlx::query("SELECT * FROM accounts WHERE id > ? ORDER BY id LIMIT ?")
            .bind(after)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut *read)
            .await
            .map_err(doing("list the accounts"))?;
        let mut accounts = Vec::with_capacity(rows.len());
        for row in &rows {
            accounts.push(self.account_of(&mut read, row).await?);
        }
        Ok(accounts)
    }

    async fn change_account(&self, id: i64, change: AccountChange) -> Result<Account, MetaError> {
        if let Some(ids) = &change.own_user_ids {
            check_own_user_ids(ids)?;
        }
        if let Some(tenants) = &change.tenants {
            check_tenants(tenants)?;
        }
        let password_hash = match &change.password {
            Some(password) => {
                check_password(password)?;
                Some(self.passwords.hash(password).await?)
            }
            None => None,
        };
        let mut transaction = self.begin().await?;
        let mut account = self
            .read_account(&mut transaction, Find::Id(id))
            .await?
            .ok_or_else(|| not_found("account", id))?;
        let was_admin = account.role == Role::Admin && !account.is_disabled;
        let ends_sessions = password_hash.is_some()
            || change.role.is_some_and(|role| role != account.role)
            || change
                .is_disabled
                .is_some_and(|is| is != account.is_disabled);
        account.generation += i64::from(ends_sessions);
        account.password_hash = password_hash.unwrap_or(account.password_hash);
        account.role = change.role.unwrap_or(account.role);
        account.is_disabled = change.is_disabled.unwrap_or(account.is_disabled);
        if let Some(ids) = change.own_user_ids {
            account.own_user_ids = Arc::new(ids);
        }
        if was_admin && (account.role != Role::Admin || account.is_disabled) {
            self.keep_an_admin(&mut transaction, id).await?;
        }
        if let Some(tenants) = change.tenants {
            account.tenants = tenants;
            sqlx::query("DELETE FROM account_tenants WHERE account = ?")
                .bind(id)
                .execute(&mut *transaction)
                .await
                .map_err(doing("change the tenants of an account"))?;
            put_tenants(&mut transaction, &account).await?;
        }
        sqlx::query(
            "UPDATE accounts SET role = ?, password_hash = ?, is_disabled = ?, own_user_ids = ?,
                                 generation = ?, checksum = ? WHERE id = ?",
        )
        .bind(account.role.name())
        .bind(&account.password_hash)
        .bind(i64::from(account.is_disabled))
        .bind(own_user_ids_text(&account.own_user_ids))
        .bind(account.generation)
        .bind(account_checksum(&account, &self.row_key))
        .bind(id)
        .execute(&mut *transaction)
        .await
        .map_err(doing("change an account"))?;
        commit(transaction).await?;
        Ok(account)
    }

    async fn delete_account(&self, id: i64) -> Result<(), MetaError> {
        let mut transaction = self.begin().await?;
        let account = self
            .read_account(&mut transaction, Find::Id(id))
            .await?
            .ok_or_else(|| not_found("account", id))?;
        if account.role == Role::Admin && !account.is_disabled {
            self.keep_an_admin(&mut transaction, id).await?;
        }
        sqlx::query("DELETE FROM accounts WHERE id = ?")
            .bind(id)
            .execute(&mut *transaction)
            .await
            .map_err(doing("delete an account"))?;
        commit(transaction).await
    }

    async fn authenticate(
        &self,
        name: &str,
        password: &str,
        address: IpAddr,
    ) -> Result<Account, LoginError> {
        // A name or password that cannot exist is looked at like any other, up to its length.
        let key = name_key(name.get(..name.len().min(256)).unwrap_or_default());
        self.throttle
            .begin(&key, address, self.clock.now())
            .map_err(|retry_after_s| LoginError::Throttled { retry_after_s })?;
        let account = {
            let mut read = self.read().await?;
            self.read_account(&mut read, Find::Name(&key)).await?
        };
        let is_short = password.len() <= crate::account::PASSWORD_BYTES_MAX;
        let password = if is_short { password } else { "" };
        let stored = account
            .as_ref()
            .map(|account| account.password_hash.as_str());
        let fits = self.passwords.verify(password, stored).await?;
        match account {
            Some(account) if fits && is_short && !account.is_disabled => {
                self.throttle.succeeded(&key, address);
                Ok(account)
            }
            _ => Err(LoginError::Wrong),
        }
    }

    async fn create_session(
        &self,
        account: &Account,
        address: Option<IpAddr>,
    ) -> Result<CreatedSession, MetaError> {
        let token = new_secret(SESSION_PREFIX)?;
        let now = self.clock.now();
        let mut stored = StoredSession {
            session: Session {
                id: 0,
                account: account.id,
                created: now,
                last_seen: now,
                expires: Timestamp(now.0.saturating_add(SESSION_ABSOLUTE_S * NS_PER_S)),
                address: address.map(|address| address.to_canonical().to_string()),
            },
            token_hash: hash(&token).to_vec(),
            generation: account.generation,
            revoked: None,
        };
        let mut transaction = self.begin().await?;
        stored.session.id = sqlx::query_scalar(
            "INSERT INTO sessions (token_hash, account, generation, created, last_seen, expires,
                                   address, checksum)
             SELECT ?, id, ?, ?, ?, ?, ?, zeroblob(32) FROM accounts WHERE id = ? RETURNING id",
        )
        .bind(&stored.token_hash)
        .bind(stored.generation)
        .bind(now.0)
        .bind(now.0)
        .bind(stored.session.expires.0)
        .bind(&stored.session.address)
        .bind(account.id)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(doing("insert a session"))?
        .ok_or_else(|| not_found("account", account.id))?;
        self.write_session(&mut transaction, &stored).await?;
        commit(transaction).await?;
        Ok(CreatedSession {
            session: stored.session,
            token,
        })
    }

    async fn find_session(&self, token: &str) -> Result<Option<SessionPrincipal>, MetaError> {
        if !is_secret(token, SESSION_PREFIX) {
            return Ok(None);
        }
        let now = self.clock.now();
        let mut read = self.read().await?;
        let row = sqlx::query("SELECT * FROM sessions WHERE token_hash = ?")
            .bind(hash(token).to_vec())
            .fetch_optional(&mut *read)
            .await
            .map_err(doing("find a session"))?;
        let Some(row) = row else { return Ok(None) };
        let stored = self.session_of(&row)?;
        let Some(account) = self
            .read_account(&mut read, Find::Id(stored.session.account))
            .await?
        else {
            return Ok(None);
        };
        drop(read);
        if !stored.is_alive(&account, now) {
            return Ok(None);
        }
        let session = stored.session;
        if now.0.saturating_sub(session.last_seen.0).abs() >= SEEN_EVERY_NS
            && let Err(fault) = self.touch_session(session.id, now).await
        {
            // Without room on the disk reading goes on; at worst the session idles out early.
            tracing::warn!(%fault, session = session.id, "use of a session is not noted");
        }
        let principal = account.principal(Scope::Full, format!("account:{}", account.id));
        Ok(Some(SessionPrincipal { session, principal }))
    }

    async fn sessions(&self, account: i64) -> Result<Vec<Session>, MetaError> {
        let now = self.clock.now();
        let mut read = self.read().await?;
        let owner = self
            .read_account(&mut read, Find::Id(account))
            .await?
            .ok_or_else(|| not_found("account", account))?;
        let rows = sqlx::query("SELECT * FROM sessions WHERE account = ? ORDER BY id")
            .bind(account)
            .fetch_all(&mut *read)
            .await
            .map_err(doing("list the sessions"))?;
        let stored: Vec<_> = rows
            .iter()
            .map(|row| self.session_of(row))
            .collect::<Result<_, _>>()?;
        Ok(stored
            .into_iter()
            .filter(|stored| stored.is_alive(&owner, now))
            .map(|stored| stored.session)
            .collect())
    }

    async fn revoke_session(&self, id: i64) -> Result<(), MetaError> {
        let mut transaction = self.begin().await?;
        let mut stored = self
            .read_session(&mut transaction, id)
            .await?
            .ok_or_else(|| not_found("session", id))?;
        if stored.revoked.is_none() {
            stored.revoked = Some(self.clock.now().0);
            self.write_session(&mut transaction, &stored).await?;
        }
        commit(transaction).await
    }

    async fn purge_sessions(&self) -> Result<u64, MetaError> {
        let ended = self.clock.now().0.saturating_sub(NS_PER_DAY);
        let idle = ended.saturating_sub(SESSION_IDLE_S * NS_PER_S);
        sqlx::query("DELETE FROM sessions WHERE expires < ? OR revoked < ? OR last_seen < ?")
            .bind(ended)
            .bind(ended)
            .bind(idle)
            .execute(&self.writer)
            .await
            .map(|done| done.rows_affected())
            .map_err(doing("purge the sessions"))
    }

    async fn create_key(&self, new: NewKey) -> Result<CreatedKey, MetaError> {
        check_key(&new)?;
        let secret = new_secret(KEY_PREFIX)?;
        let mut stored = StoredKey {
            // A scope always has a text: it is made of words.
            scope_text: serde_json::to_string(&new.scope).unwrap_or_default(),
            key: ApiKey {
                id: 0,
                account: new.account,
                name: new.name,
                scope: new.scope,
                created: self.clock.now(),
                expires: new.expires,
                revoked: None,
                last_used: None,
            },
            secret_hash: hash(&secret).to_vec(),
        };
        let mut transaction = self.begin().await?;
        self.check_scope(&mut transaction, &stored.key.scope)
            .await?;
        stored.key.id = sqlx::query_scalar(
            "INSERT INTO api_keys (secret_hash, account, name, scope, created, expires, checksum)
             SELECT ?, id, ?, ?, ?, ?, zeroblob(32) FROM accounts WHERE id = ? RETURNING id",
        )
        .bind(&stored.secret_hash)
        .bind(&stored.key.name)
        .bind(&stored.scope_text)
        .bind(stored.key.created.0)
        .bind(stored.key.expires.map(|time| time.0))
        .bind(stored.key.account)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(doing("insert an API key"))?
        .ok_or_else(|| not_found("account", stored.key.account))?;
        write_key(&mut transaction, &stored, &self.row_key).await?;
        commit(transaction).await?;
        Ok(CreatedKey {
            key: stored.key,
            secret,
        })
    }

    async fn find_key(&self, secret: &str) -> Result<Option<Principal>, MetaError> {
        if !is_secret(secret, KEY_PREFIX) {
            return Ok(None);
        }
        let now = self.clock.now();
        let mut read = self.read().await?;
        let row = sqlx::query("SELECT * FROM api_keys WHERE secret_hash = ?")
            .bind(hash(secret).to_vec())
            .fetch_optional(&mut *read)
            .await
            .map_err(doing("find an API key"))?;
        let Some(row) = row else { return Ok(None) };
        let key = self.key_of(&row)?.key;
        let account = self
            .read_account(&mut read, Find::Id(key.account))
            .await?
            .filter(|account| !account.is_disabled && key.is_valid(now));
        let Some(account) = account else {
            return Ok(None);
        };
        drop(read);
        let is_noted = key
            .last_used
            .is_some_and(|last| now.0.saturating_sub(last.0).abs() < USED_EVERY_NS);
        if !is_noted {
            let noted = sqlx::query("UPDATE api_keys SET last_used = ? WHERE id = ?")
                .bind(now.0)
                .bind(key.id)
                .execute(&self.writer)
                .await;
            if let Err(fault) = noted {
                tracing::warn!(%fault, key = key.id, "use of an API key is not noted");
            }
        }
        Ok(Some(
            account.principal(key.scope, format!("key:{}", key.id)),
        ))
    }

    async fn key(&self, id: i64) -> Result<ApiKey, MetaError> {
        let mut read = self.read().await?;
        self.read_key(&mut read, id).await.map(|stored| stored.key)
    }

    async fn keys(
        &self,
        account: Option<i64>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<ApiKey>, MetaError> {
        sqlx::query(
            "SELECT * FROM api_keys WHERE id > ?1 AND (?2 IS NULL OR account = ?2)
             ORDER BY id LIMIT ?3",
        )
        .bind(after)
        .bind(account)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await
        .map_err(doing("list the API keys"))?
        .iter()
        .map(|row| self.key_of(row).map(|stored| stored.key))
        .collect()
    }

    async fn revoke_key(&self, id: i64) -> Result<ApiKey, MetaError> {
        let mut transaction = self.begin().await?;
        let mut stored = self.read_key(&mut transaction, id).await?;
        if stored.key.revoked.is_none() {
            stored.key.revoked = Some(self.clock.now());
            write_key(&mut transaction, &stored, &self.row_key).await?;
        }
        commit(transaction).await?;
        Ok(stored.key)
    }

    async fn instance_keys(
        &self,
        tenant: TenantNumber,
        id: &str,
        after: i64,
        limit: usize,
    ) -> Result<Vec<ApiKey>, MetaError> {
        self.keys_of_instance(tenant, id, after, limit).await
    }

    async fn create_instance(&self, new: NewInstance) -> Result<Instance, MetaError> {
        self.insert_instance(new).await
    }

    async fn instances(&self) -> Result<Vec<Instance>, MetaError> {
        self.all_instances().await
    }

    async fn change_instance(
        &self,
        number: i64,
        change: InstanceChange,
    ) -> Result<ChangedInstance, MetaError> {
        self.update_instance(number, change).await
    }

    async fn delete_instance(&self, number: i64) -> Result<ChangedInstance, MetaError> {
        self.mark_instance_deleted(number).await
    }

    async fn purge_instances(&self, deleted_before: Timestamp) -> Result<Vec<i64>, MetaError> {
        self.remove_deleted_instances(deleted_before).await
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

enum Find<'a> {
    Id(i64),
    Name(&'a str),
}

/// A session with what its checksum covers.
struct StoredSession {
    session: Session,
    token_hash: Vec<u8>,
    generation: i64,
    revoked: Option<i64>,
}

impl StoredSession {
    fn is_alive(&self, account: &Account, now: Timestamp) -> bool {
        let idle_ns = now.0.saturating_sub(self.session.last_seen.0);
        self.revoked.is_none()
            && !account.is_disabled
            && self.generation == account.generation
            && now < self.session.expires
            && idle_ns < SESSION_IDLE_S * NS_PER_S
    }
}

/// A key with what its checksum covers.
struct StoredKey {
    key: ApiKey,
    secret_hash: Vec<u8>,
    scope_text: String,
}

fn doing(doing: &'static str) -> impl FnOnce(sqlx::Error) -> MetaError {
    move |source| MetaError::Query { doing, source }
}

fn not_found(what: &'static str, id: impl ToString) -> MetaError {
    MetaError::NotFound {
        what,
        id: id.to_string(),
    }
}

fn get<'r, T>(row: &'r SqliteRow, name: &'static str) -> Result<T, MetaError>
where
    T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(name).map_err(doing("read a column"))
}

async fn commit(transaction: Transaction<'static, Sqlite>) -> Result<(), MetaError> {
    transaction.commit().await.map_err(doing("commit"))
}

/// Whether the text has the form of our secrets: anything else is not even looked up.
fn is_secret(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == 43 && rest.is_ascii())
}

fn check_new(new: &NewAccount) -> Result<(), MetaError> {
    check_name(&new.name)?;
    check_password(&new.password)?;
    check_own_user_ids(&new.own_user_ids)?;
    check_tenants(&new.tenants)
}

fn prepare_file(path: &Path) -> Result<(), MetaError> {
    let fault = |source| MetaError::File {
        path: path.to_owned(),
        source,
    };
    if let Some(parent) = path.parent().filter(|parent| parent != &Path::new("")) {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(fault)?;
    }
    // Made here for its mode, which SQLite gives to its own further files.
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => Ok(()),
        Err(there) if there.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(other) => Err(fault(other)),
    }
}

async fn check_version(pool: &SqlitePool) -> Result<(), MetaError> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(pool)
        .await
        .map_err(doing("read the version"))?;
    match is_version_enough(&found) {
        true => Ok(()),
        false => Err(MetaError::SqliteVersion { found }),
    }
}

fn is_version_enough(found: &str) -> bool {
    let mut parts = found.split('.').map(|part| part.parse::<u32>().ok());
    let mut next = || parts.next().flatten();
    match (next(), next(), next()) {
        (Some(major), Some(minor), Some(patch)) => (major, minor, patch) >= SQLITE_VERSION_MIN,
        _ => false,
    }
}

/// SQLite's own check of the file: the database is small, so it costs milliseconds.
async fn check_file(pool: &SqlitePool, path: &Path) -> Result<(), MetaError> {
    let fault = |source| MetaError::Open {
        path: path.to_owned(),
        source,
    };
    let detail: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(pool)
        .await
        .map_err(fault)?;
    match detail.as_str() {
        "ok" => Ok(()),
        _ => Err(MetaError::Damaged {
            path: path.to_owned(),
            detail,
        }),
    }
}

/// Gives a new database its identity, or checks that the key belongs to an old one.
async fn claim(
    writer: &SqlitePool,
    row_key_path: &Path,
    now: Timestamp,
) -> Result<(RowKey, Uuid), MetaError> {
    let check_of = |key: &RowKey, id: &str| -> String {
        let sum = key.sign("settings", &[Field::Text(id)]);
        sum.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let mut transaction = writer
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(doing("begin a transaction"))?;
    let known: Option<String> = sqlx::query_scalar("SELECT value FROM settings WHERE name = ?")
        .bind(SETTING_INSTANCE_ID)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(doing("read the instance's id"))?;
    if let Some(id) = known {
        let row_key = load_existing(row_key_path)?;
        let check: Option<String> = sqlx::query_scalar("SELECT value FROM settings WHERE name = ?")
            .bind(SETTING_ROW_KEY_CHECK)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(doing("read the check of the row key"))?;
        let instance_id = id.parse().ok();
        return match instance_id {
            Some(instance_id) if check == Some(check_of(&row_key, &id)) => {
                Ok((row_key, instance_id))
            }
            _ => Err(MetaError::RowKeyMismatch {
                path: row_key_path.to_owned(),
            }),
        };
    }
    let row_key = match row_key_path.exists() {
        true => RowKey::load(row_key_path)?,
        false => RowKey::create(row_key_path)?,
    };
    let instance_id = uuid::Builder::from_random_bytes(random_bytes()?).into_uuid();
    let id = instance_id.to_string();
    put_setting(&mut *transaction, SETTING_INSTANCE_ID, &id).await?;
    put_setting(
        &mut *transaction,
        SETTING_ROW_KEY_CHECK,
        &check_of(&row_key, &id),
    )
    .await?;
    insert_tenant(
        &mut transaction,
        "default",
        Some(DEFAULT_TENANT),
        now,
        &row_key,
    )
    .await?;
    commit(transaction).await?;
    Ok((row_key, instance_id))
}

fn load_existing(path: &Path) -> Result<RowKey, MetaError> {
    match path.exists() {
        true => RowKey::load(path),
        false => Err(MetaError::RowKeyMissing {
            path: PathBuf::from(path),
        }),
    }
}

async fn put_setting<'e>(
    to: impl sqlx::Executor<'e, Database = Sqlite>,
    name: &str,
    value: &str,
) -> Result<(), MetaError> {
    sqlx::query(
        "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2",
    )
    .bind(name.to_owned())
    .bind(value.to_owned())
    .execute(to)
    .await
    .map_err(doing("write a setting"))?;
    Ok(())
}

async fn insert_tenant(
    transaction: &mut SqliteConnection,
    name: &str,
    number: Option<TenantNumber>,
    now: Timestamp,
    row_key: &RowKey,
) -> Result<Tenant, MetaError> {
    let number: Option<i64> = sqlx::query_scalar(
        "INSERT INTO tenants (number, name, created, checksum) VALUES (?, ?, ?, zeroblob(32))
         ON CONFLICT DO NOTHING RETURNING number",
    )
    .bind(number.map(|number| i64::from(number.0)))
    .bind(name.to_owned())
    .bind(now.0)
    .fetch_optional(&mut *transaction)
    .await
    .map_err(doing("insert a tenant"))?;
    let number = number.ok_or_else(|| MetaError::Exists {
        what: "tenant",
        name: name.to_owned(),
    })?;
    sqlx::query("UPDATE tenants SET checksum = ? WHERE number = ?")
        .bind(row_key.sign("tenants", &[Field::Integer(number), Field::Text(name)]))
        .bind(number)
        .execute(&mut *transaction)
        .await
        .map_err(doing("sign a tenant"))?;
    Ok(Tenant {
        number: tenant_number(number)?,
        name: name.to_owned(),
    })
}

fn tenant_number(number: i64) -> Result<TenantNumber, MetaError> {
    u32::try_from(number)
        .map(TenantNumber)
        .map_err(|_| MetaError::Row {
            table: "tenants",
            id: number,
            detail: "number is out of range",
        })
}

fn stream_of(row: &SqliteRow, row_key: &RowKey) -> Result<(String, StreamNumber), MetaError> {
    let (number, name): (i64, String) = (get(row, "number")?, get(row, "name")?);
    let checksum: Vec<u8> = get(row, "checksum")?;
    let fields = [Field::Integer(number), Field::Text(&name)];
    row_key.verify("stream_numbers", number, &fields, &checksum)?;
    let small = u16::try_from(number).map_err(|_| MetaError::Row {
        table: "stream_numbers",
        id: number,
        detail: "number is out of range",
    })?;
    Ok((name, StreamNumber(small)))
}

async fn put_tenants(
    transaction: &mut SqliteConnection,
    account: &Account,
) -> Result<(), MetaError> {
    for (place, tenant) in (0i64..).zip(&account.tenants) {
        let done = sqlx::query(
            "INSERT INTO account_tenants (account, place, tenant)
             SELECT ?, ?, number FROM tenants WHERE number = ?",
        )
        .bind(account.id)
        .bind(place)
        .bind(i64::from(tenant.0))
        .execute(&mut *transaction)
        .await
        .map_err(doing("insert the tenants of an account"))?;
        if done.rows_affected() == 0 {
            return Err(not_found("tenant", tenant));
        }
    }
    Ok(())
}

async fn write_key(
    transaction: &mut SqliteConnection,
    stored: &StoredKey,
    row_key: &RowKey,
) -> Result<(), MetaError> {
    sqlx::query("UPDATE api_keys SET revoked = ?, checksum = ? WHERE id = ?")
        .bind(stored.key.revoked.map(|time| time.0))
        .bind(row_key.sign("api_keys", &key_fields(stored)))
        .bind(stored.key.id)
        .execute(transaction)
        .await
        .map_err(doing("update an API key"))?;
    Ok(())
}

fn own_user_ids_text(ids: &std::collections::BTreeSet<String>) -> String {
    // A set of text always has a JSON text.
    serde_json::to_string(ids).unwrap_or_default()
}

fn tenants_text(tenants: &[TenantNumber]) -> String {
    let numbers: Vec<_> = tenants.iter().map(ToString::to_string).collect();
    numbers.join(",")
}

fn account_checksum(account: &Account, row_key: &RowKey) -> Vec<u8> {
    let own_user_ids = own_user_ids_text(&account.own_user_ids);
    let tenants = tenants_text(&account.tenants);
    row_key.sign(
        "accounts",
        &account_fields(account, &own_user_ids, &tenants),
    )
}

fn account_fields<'a>(
    account: &'a Account,
    own_user_ids: &'a str,
    tenants: &'a str,
) -> [Field<'a>; 9] {
    [
        Field::Integer(account.id),
        Field::Text(&account.name),
        Field::Text(account.role.name()),
        Field::Text(&account.password_hash),
        Field::Integer(i64::from(account.is_disabled)),
        Field::Text(own_user_ids),
        Field::Integer(account.generation),
        Field::Integer(account.created.0),
        Field::Text(tenants),
    ]
}

fn session_fields(stored: &StoredSession) -> [Field<'_>; 8] {
    let session = &stored.session;
    [
        Field::Integer(session.id),
        Field::Bytes(&stored.token_hash),
        Field::Integer(session.account),
        Field::Integer(stored.generation),
        Field::Integer(session.created.0),
        Field::Integer(session.last_seen.0),
        Field::Integer(session.expires.0),
        stored.revoked.into(),
    ]
}

fn key_fields(stored: &StoredKey) -> [Field<'_>; 8] {
    let key = &stored.key;
    [
        Field::Integer(key.id),
        Field::Bytes(&stored.secret_hash),
        Field::Integer(key.account),
        Field::Text(&key.name),
        Field::Text(&stored.scope_text),
        Field::Integer(key.created.0),
        key.expires.map(|time| time.0).into(),
        key.revoked.map(|time| time.0).into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (found, expected) in [
            ("3.51.3", true),
            ("3.52.0", true),
            ("4.0.0", true),
            ("3.51.2", false),
            ("3.50.9", false),
            ("3.51", false),
            ("", false),
        ] {
            assert_eq!(is_version_enough(found), expected, "{found}");
        }
    }

    #[test]
    fn only_texts_of_the_right_form_are_looked_up() {
        let good = format!("tfr_{}", "a".repeat(43));
        assert!(is_secret(&good, KEY_PREFIX));
        assert!(!is_secret(&good, SESSION_PREFIX));
        assert!(!is_secret(&good[..46], KEY_PREFIX));
        assert!(!is_secret(&format!("{good}a"), KEY_PREFIX));
        assert!(!is_secret("", KEY_PREFIX));
    }
}
