-- Times are nanoseconds since 1970-01-01T00:00:00Z. A `checksum` is HMAC-SHA256 over the columns
-- of its row that decide access (docs/formats/metadata.md).

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Numbers are never reused: AUTOINCREMENT.
CREATE TABLE tenants (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    name     TEXT    NOT NULL UNIQUE,
    created  INTEGER NOT NULL,
    checksum BLOB    NOT NULL
) STRICT;

CREATE TABLE accounts (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL,
    -- The name in lower case: names differ in more than case.
    name_key      TEXT    NOT NULL UNIQUE,
    role          TEXT    NOT NULL CHECK (role IN ('admin', 'user')),
    password_hash TEXT    NOT NULL,
    is_disabled   INTEGER NOT NULL CHECK (is_disabled IN (0, 1)),
    -- JSON array of text, sorted.
    own_user_ids  TEXT    NOT NULL CHECK (json_valid(own_user_ids)),
    -- Grows when password, role or disabling change; a session of an older generation has ended.
    generation    INTEGER NOT NULL,
    created       INTEGER NOT NULL,
    checksum      BLOB    NOT NULL
) STRICT;

-- Covered by the checksum of the account.
CREATE TABLE account_tenants (
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- Order; the tenant at place 0 is the one that the account writes to.
    place   INTEGER NOT NULL,
    tenant  INTEGER NOT NULL REFERENCES tenants (number),
    PRIMARY KEY (account, place),
    UNIQUE (account, tenant)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    account    INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    created    INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    revoked    INTEGER,
    address    TEXT,
    checksum   BLOB    NOT NULL
) STRICT;
CREATE INDEX sessions_by_account ON sessions (account);
CREATE INDEX sessions_by_expiry ON sessions (expires);

CREATE TABLE api_keys (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    secret_hash BLOB    NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    account     INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name        TEXT    NOT NULL,
    scope       TEXT    NOT NULL CHECK (json_valid(scope)),
    created     INTEGER NOT NULL,
    expires     INTEGER,
    revoked     INTEGER,
    -- For people; decides nothing and is not covered by the checksum.
    last_used   INTEGER,
    checksum    BLOB    NOT NULL
) STRICT;
CREATE INDEX api_keys_by_account ON api_keys (account);

-- A stream's number is in the ids of its records: assigned once, never reused.
CREATE TABLE stream_numbers (
    number   INTEGER PRIMARY KEY CHECK (number BETWEEN 1000 AND 65535),
    name     TEXT    NOT NULL UNIQUE,
    checksum BLOB    NOT NULL
) STRICT;
