//! What every implementation of `Meta` does: one suite, run against each of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod suite;

use std::{path::Path, sync::Arc};
use suite::TestClock;
use taffrail_meta::{AnyMeta, Meta, MetaError, SqliteMeta};

async fn open(directory: &Path, clock: Arc<TestClock>) -> Result<SqliteMeta, MetaError> {
    SqliteMeta::open(
        &directory.join("meta/meta.db"),
        &directory.join("keys/row.key"),
        clock,
    )
    .await
}

macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                let directory = tempfile::tempdir().unwrap();
                let clock = super::Arc::new(super::TestClock::default());
                let meta = super::open(directory.path(), clock.clone()).await.unwrap();
                super::suite::$case(&super::AnyMeta::from(meta), &clock).await;
            })*
        }
    };
}

conformance!(
    tenants,
    settings,
    stream_numbers_are_assigned_once,
    accounts_are_unique_whatever_the_case,
    invalid_accounts_are_refused_whole,
    the_first_admin_is_made_once,
    accounts_page_by_number,
    the_last_admin_stays,
    logins,
    logins_are_throttled,
    sessions_expire,
    sessions_end_with_password_role_and_disabling,
    sessions_are_revoked_one_by_one,
    a_session_begun_before_a_change_has_ended,
    keys_act_for_their_account,
    keys_expire_and_are_revoked,
    invalid_keys_are_refused,
    deleting_an_account_deletes_its_credentials,
    old_sessions_are_purged,
    instances_are_made_and_listed,
    instances_have_an_id_of_their_own_in_their_tenant,
    instances_are_refused_whole_if_invalid,
    instances_change,
    instances_are_deleted_with_their_keys,
    instances_are_forgotten_when_their_records_are_gone,
    instances_have_keys_of_their_tenant_alone,
);

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(TestClock::default());
    let meta = open(directory.path(), clock.clone()).await.unwrap();
    let instance = meta.instance_id();
    let account = suite::account(&meta, "jane").await;
    let session = meta.create_session(&account, None).await.unwrap();
    let number = meta.stream_number("machine").await.unwrap();
    meta.close().await;
    let meta = open(directory.path(), clock).await.unwrap();
    assert_eq!(meta.instance_id(), instance);
    assert_eq!(meta.account(account.id).await.unwrap(), account);
    assert_eq!(meta.stream_number("machine").await.unwrap(), number);
    let found = meta.find_session(&session.token).await.unwrap().unwrap();
    assert_eq!(found.principal.account, account.id);
}

#[tokio::test]
async fn the_key_of_the_row_checksums_must_be_the_right_one() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("keys/row.key");
    let clock = Arc::new(TestClock::default());
    open(directory.path(), clock.clone())
        .await
        .unwrap()
        .close()
        .await;
    let right = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let missing = open(directory.path(), clock.clone()).await.err();
    assert!(matches!(missing, Some(MetaError::RowKeyMissing { .. })));
    taffrail_meta::RowKey::create(&key).unwrap();
    let wrong = open(directory.path(), clock.clone()).await.err();
    assert!(matches!(wrong, Some(MetaError::RowKeyMismatch { .. })));
    std::fs::write(&key, right).unwrap();
    assert!(open(directory.path(), clock).await.is_ok());
}

/// Changes the database as somebody with the file could, and reads again.
async fn check_tampering(sql: &'static str, table: &str) {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(TestClock::default());
    let meta = open(directory.path(), clock).await.unwrap();
    meta.create_tenant("second").await.unwrap();
    let account = suite::account(&meta, "jane").await;
    suite::account(&meta, "joe").await;
    let session = meta.create_session(&account, None).await.unwrap();
    let key = meta.create_key(suite::full_key(account.id)).await.unwrap();
    meta.stream_number("machine").await.unwrap();
    suite::make_instance(&meta, "one").await;
    let path = directory.path().join("meta/meta.db");
    let file = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let other = sqlx::SqlitePool::connect_with(file).await.unwrap();
    let done = sqlx::query(sql).execute(&other).await.unwrap();
    assert!(done.rows_affected() > 0, "{sql}");
    let faults = [
        meta.account(account.id).await.err(),
        meta.find_session(&session.token).await.err(),
        meta.find_key(&key.secret).await.err(),
        meta.tenants().await.err(),
        meta.stream_number("machine").await.err(),
        meta.account_by_name("root").await.err(),
        meta.instances().await.err(),
    ];
    let is_named = faults.iter().flatten().any(
        |fault| matches!(fault, MetaError::RowChecksum { table: named, .. } if *named == table),
    );
    assert!(is_named, "{sql}: {faults:?}");
}

#[tokio::test]
async fn a_changed_row_is_named_and_gives_no_access() {
    for (sql, table) in [
        (
            "UPDATE accounts SET role = 'admin' WHERE name = 'jane'",
            "accounts",
        ),
        (
            "UPDATE accounts SET generation = 7 WHERE name = 'jane'",
            "accounts",
        ),
        (
            "UPDATE accounts SET name_key = 'root' WHERE name = 'jane'",
            "accounts",
        ),
        (
            "UPDATE accounts SET own_user_ids = '[\"u9\"]' WHERE name = 'jane'",
            "accounts",
        ),
        (
            "UPDATE accounts SET password_hash = (SELECT password_hash FROM accounts WHERE name = 'joe') WHERE name = 'jane'",
            "accounts",
        ),
        (
            "UPDATE account_tenants SET tenant = 2 WHERE account = 1",
            "accounts",
        ),
        ("INSERT INTO account_tenants VALUES (1, 1, 2)", "accounts"),
        ("UPDATE sessions SET account = 2", "sessions"),
        ("UPDATE sessions SET expires = expires + 1", "sessions"),
        ("UPDATE sessions SET last_seen = last_seen + 1", "sessions"),
        (
            "UPDATE api_keys SET scope = '{\"scope\":\"read\",\"streams\":[\"*\"]}'",
            "api_keys",
        ),
        ("UPDATE api_keys SET account = 2", "api_keys"),
        ("UPDATE api_keys SET expires = 5", "api_keys"),
        (
            "UPDATE tenants SET name = 'first' WHERE number = 1",
            "tenants",
        ),
        ("UPDATE stream_numbers SET number = 1007", "stream_numbers"),
        ("UPDATE mcp_instances SET user_id = 'u9'", "mcp_instances"),
        ("UPDATE mcp_instances SET id = 'two'", "mcp_instances"),
        ("UPDATE mcp_instances SET tenant = 2", "mcp_instances"),
        ("UPDATE mcp_instances SET service = 'x'", "mcp_instances"),
        (
            "UPDATE mcp_instances SET status = 'inactive'",
            "mcp_instances",
        ),
        ("UPDATE mcp_instances SET deleted = 5", "mcp_instances"),
        ("UPDATE mcp_instances SET number = 7", "mcp_instances"),
    ] {
        check_tampering(sql, table).await;
    }
}

#[tokio::test]
async fn files_are_for_the_owner_alone_and_hold_no_secret() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let meta = open(directory.path(), Arc::new(TestClock::default()))
        .await
        .unwrap();
    let account = suite::account(&meta, "jane").await;
    let session = meta.create_session(&account, None).await.unwrap();
    let key = meta.create_key(suite::full_key(account.id)).await.unwrap();
    for entry in std::fs::read_dir(directory.path().join("meta")).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{path:?}");
        let bytes = std::fs::read(&path).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
        assert!(!holds(&session.token) && !holds(&key.secret) && !holds(suite::PASSWORD));
    }
    assert!(!format!("{session:?}").contains(&session.token));
    assert!(!format!("{key:?}").contains(&key.secret));
}

#[tokio::test]
async fn a_damaged_file_is_an_error_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(TestClock::default());
    let meta = open(directory.path(), clock.clone()).await.unwrap();
    suite::account(&meta, "jane").await;
    meta.close().await;
    let path = directory.path().join("meta/meta.db");
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 8_192);
    bytes[4_096..8_192].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    assert!(open(directory.path(), clock).await.is_err());
}
