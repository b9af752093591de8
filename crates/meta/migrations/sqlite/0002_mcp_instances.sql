-- MCP instances: programs that work for one user each. A deleted one stays as long as records of
-- it may exist, so that they are hidden and its id is not given again.
CREATE TABLE mcp_instances (
    -- Never reused: AUTOINCREMENT.
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant   INTEGER NOT NULL REFERENCES tenants (number),
    -- The `instance_id` of its records.
    id       TEXT    NOT NULL,
    -- The `user_id` of its records: its owner, for ever.
    user_id  TEXT    NOT NULL,
    service  TEXT,
    status   TEXT    NOT NULL CHECK (status IN ('active', 'inactive', 'expired')),
    created  INTEGER NOT NULL,
    changed  INTEGER NOT NULL,
    deleted  INTEGER,
    checksum BLOB    NOT NULL,
    UNIQUE (tenant, id)
) STRICT;
CREATE INDEX mcp_instances_by_deletion ON mcp_instances (deleted) WHERE deleted IS NOT NULL;
