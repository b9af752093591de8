//! The cases of the conformance suite, over the trait alone.
mod instances;

pub use instances::*;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicI64, Ordering},
};
use taffrail_meta::{Account, AccountChange, LoginError, Meta, MetaError, NewAccount, NewKey};
use taffrail_model::{
    access::{Role, Scope},
    clock::Clock,
    stream::StreamNumber,
    tenant::{DEFAULT_TENANT, TenantNumber},
    time::{NS_PER_S, Timestamp},
};

pub const PASSWORD: &str = "correct horse battery";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const HOUR_S: i64 = 3_600;

/// A clock that a test sets.
pub struct TestClock(AtomicI64);

impl Default for TestClock {
    fn default() -> TestClock {
        TestClock(AtomicI64::new(1_767_540_645 * NS_PER_S))
    }
}

impl TestClock {
    fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds * NS_PER_S, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

fn new(name: &str, role: Role) -> NewAccount {
    NewAccount {
        name: name.into(),
        password: PASSWORD.into(),
        role,
        tenants: vec![DEFAULT_TENANT],
        own_user_ids: BTreeSet::from(["u1".to_owned()]),
    }
}

pub async fn account(meta: &impl Meta, name: &str) -> Account {
    meta.create_account(new(name, Role::User)).await.unwrap()
}

pub fn full_key(account: i64) -> NewKey {
    NewKey {
        account,
        name: "shipper".into(),
        scope: Scope::Full,
        expires: None,
    }
}

pub async fn tenants(meta: &impl Meta, _clock: &TestClock) {
    let second = meta.create_tenant("second").await.unwrap();
    assert_eq!(second.number, TenantNumber(2));
    let names: Vec<_> = meta
        .tenants()
        .await
        .unwrap()
        .into_iter()
        .map(|tenant| (tenant.number.0, tenant.name))
        .collect();
    assert_eq!(names, [(1, "default".into()), (2, "second".into())]);
    let twice = meta.create_tenant("second").await;
    assert!(matches!(twice, Err(MetaError::Exists { .. })));
    for bad in ["", "A", "a b", "ä", &"a".repeat(65)] {
        let made = meta.create_tenant(bad).await;
        assert!(matches!(made, Err(MetaError::Invalid { .. })), "{bad}");
    }
}

pub async fn settings(meta: &impl Meta, _clock: &TestClock) {
    assert_eq!(meta.setting("epoch").await.unwrap(), None);
    meta.put_setting("epoch", "1").await.unwrap();
    meta.put_setting("epoch", "2").await.unwrap();
    assert_eq!(meta.setting("epoch").await.unwrap(), Some("2".into()));
    assert!(meta.put_setting("instance_id", "x").await.is_err());
    let id = meta.instance_id().to_string();
    assert_eq!(meta.setting("instance_id").await.unwrap(), Some(id));
}

pub async fn stream_numbers_are_assigned_once(meta: &impl Meta, _clock: &TestClock) {
    for (name, number) in [("a", 1_000), ("b", 1_001), ("a", 1_000), ("c", 1_002)] {
        assert_eq!(
            meta.stream_number(name).await.unwrap(),
            StreamNumber(number)
        );
    }
    assert_eq!(meta.stream_numbers().await.unwrap().len(), 3);
    let (one, two) = tokio::join!(meta.stream_number("d"), meta.stream_number("d"));
    assert_eq!(one.unwrap(), two.unwrap());
}

pub async fn accounts_are_unique_whatever_the_case(meta: &impl Meta, _clock: &TestClock) {
    let jane = account(meta, "Jane").await;
    assert_eq!(meta.account_by_name("jANE").await.unwrap(), jane);
    assert_eq!(&*jane.name, "Jane");
    let again = meta.create_account(new("jane", Role::User)).await;
    assert!(matches!(again, Err(MetaError::Exists { .. })));
    assert!(matches!(
        meta.account(99).await,
        Err(MetaError::NotFound { .. })
    ));
    let none = meta.account_by_name("nobody").await;
    assert!(matches!(none, Err(MetaError::NotFound { .. })));
}

pub async fn invalid_accounts_are_refused_whole(meta: &impl Meta, _clock: &TestClock) {
    let good = new("jane", Role::User);
    for bad in [
        NewAccount {
            name: "a b".into(),
            ..good.clone()
        },
        NewAccount {
            password: "short".into(),
            ..good.clone()
        },
        NewAccount {
            tenants: vec![],
            ..good.clone()
        },
        NewAccount {
            own_user_ids: BTreeSet::from([String::new()]),
            ..good.clone()
        },
    ] {
        let made = meta.create_account(bad).await;
        assert!(matches!(made, Err(MetaError::Invalid { .. })));
    }
    let foreign = NewAccount {
        tenants: vec![TenantNumber(9)],
        ..good
    };
    let made = meta.create_account(foreign).await;
    assert!(matches!(made, Err(MetaError::NotFound { .. })));
    assert_eq!(meta.accounts(0, 10).await.unwrap(), []);
    let jane = account(meta, "jane").await;
    let change = AccountChange {
        own_user_ids: Some(BTreeSet::from(["u2".to_owned()])),
        tenants: Some(vec![TenantNumber(9)]),
        ..AccountChange::default()
    };
    assert!(meta.change_account(jane.id, change).await.is_err());
    assert_eq!(meta.account(jane.id).await.unwrap(), jane);
}

pub async fn the_first_admin_is_made_once(meta: &impl Meta, _clock: &TestClock) {
    let admin = meta.create_first_admin("root", PASSWORD).await.unwrap();
    assert_eq!(admin.unwrap().role, Role::Admin);
    let again = meta.create_first_admin("root2", PASSWORD).await.unwrap();
    assert_eq!(again, None);
    assert_eq!(meta.accounts(0, 10).await.unwrap().len(), 1);
}

pub async fn accounts_page_by_number(meta: &impl Meta, _clock: &TestClock) {
    for name in ["a", "b", "c"] {
        account(meta, name).await;
    }
    let first = meta.accounts(0, 2).await.unwrap();
    let rest = meta.accounts(first[1].id, 2).await.unwrap();
    let names: Vec<_> = first.iter().chain(&rest).map(|a| &*a.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

pub async fn the_last_admin_stays(meta: &impl Meta, _clock: &TestClock) {
    let admin = meta.create_account(new("root", Role::Admin)).await.unwrap();
    let demote = AccountChange {
        role: Some(Role::User),
        ..AccountChange::default()
    };
    let disable = AccountChange {
        is_disabled: Some(true),
        ..AccountChange::default()
    };
    for change in [&demote, &disable] {
        let changed = meta.change_account(admin.id, change.clone()).await;
        assert!(matches!(changed, Err(MetaError::LastAdmin { .. })));
    }
    let deleted = meta.delete_account(admin.id).await;
    assert!(matches!(deleted, Err(MetaError::LastAdmin { .. })));
    let second = meta
        .create_account(new("root2", Role::Admin))
        .await
        .unwrap();
    meta.change_account(second.id, disable).await.unwrap();
    // A disabled admin does not count.
    assert!(meta.change_account(admin.id, demote.clone()).await.is_err());
    let enable = AccountChange {
        is_disabled: Some(false),
        ..AccountChange::default()
    };
    meta.change_account(second.id, enable).await.unwrap();
    meta.change_account(admin.id, demote).await.unwrap();
    meta.delete_account(admin.id).await.unwrap();
}

pub async fn logins(meta: &impl Meta, _clock: &TestClock) {
    let jane = account(meta, "jane").await;
    assert_eq!(
        meta.authenticate("JANE", PASSWORD, HERE).await.unwrap(),
        jane
    );
    let long = "x".repeat(100_000);
    for (name, password) in [
        ("jane", "wrong"),
        ("jane", ""),
        ("jane", &long),
        ("nobody", PASSWORD),
        (&long, PASSWORD),
        ("ä".repeat(200).as_str(), PASSWORD),
    ] {
        let login = meta.authenticate(name, password, HERE).await;
        assert!(matches!(login, Err(LoginError::Wrong)));
    }
    let disable = AccountChange {
        is_disabled: Some(true),
        ..AccountChange::default()
    };
    meta.change_account(jane.id, disable).await.unwrap();
    let login = meta.authenticate("jane", PASSWORD, HERE).await;
    assert!(matches!(login, Err(LoginError::Wrong)));
}

pub async fn logins_are_throttled(meta: &impl Meta, clock: &TestClock) {
    account(meta, "jane").await;
    for name in ["jane", "nobody"] {
        for _ in 0..5 {
            let login = meta.authenticate(name, "wrong", HERE).await;
            assert!(matches!(login, Err(LoginError::Wrong)));
        }
        // Even the right password is not looked at, and nothing tells the two names apart.
        let login = meta.authenticate(name, PASSWORD, HERE).await;
        let is_throttled = matches!(login, Err(LoginError::Throttled { retry_after_s: 1 }));
        assert!(is_throttled, "{name}");
    }
    let elsewhere = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    assert!(meta.authenticate("jane", PASSWORD, elsewhere).await.is_ok());
    clock.pass(1);
    assert!(meta.authenticate("jane", PASSWORD, HERE).await.is_ok());
    assert!(meta.authenticate("jane", PASSWORD, HERE).await.is_ok());
}

async fn is_alive(meta: &impl Meta, token: &str) -> bool {
    meta.find_session(token).await.unwrap().is_some()
}

pub async fn sessions_expire(meta: &impl Meta, clock: &TestClock) {
    let jane = account(meta, "jane").await;
    let idle = meta.create_session(&jane, Some(HERE)).await.unwrap();
    let found = meta.find_session(&idle.token).await.unwrap().unwrap();
    assert_eq!(found.principal.account, jane.id);
    assert_eq!(found.principal.role, Role::User);
    assert_eq!(found.principal.scope, Scope::Full);
    assert!(found.principal.own_user_ids.contains("u1"));
    assert_eq!(found.session.address.as_deref(), Some("127.0.0.1"));
    clock.pass(12 * HOUR_S - 1);
    assert!(is_alive(meta, &idle.token).await);
    // The last use counts, so it lives on; then it idles out.
    clock.pass(12 * HOUR_S - 1);
    assert!(is_alive(meta, &idle.token).await);
    clock.pass(12 * HOUR_S);
    assert!(!is_alive(meta, &idle.token).await);
    // A busy one ends after seven days.
    let busy = meta.create_session(&jane, None).await.unwrap();
    for hour in 1..=7 * 24 {
        clock.pass(HOUR_S);
        assert_eq!(is_alive(meta, &busy.token).await, hour < 7 * 24, "{hour}");
    }
    for bad in [
        "",
        "tfs_",
        &busy.token[..46],
        "tfs_ääääääääääääääääääääääääääääääääääääääääääää",
    ] {
        assert!(!is_alive(meta, bad).await);
    }
}

pub async fn sessions_end_with_password_role_and_disabling(meta: &impl Meta, _clock: &TestClock) {
    account(meta, "jane").await;
    let none = AccountChange::default;
    for (change, ends) in [
        (
            AccountChange {
                password: Some(PASSWORD.into()),
                ..none()
            },
            true,
        ),
        (
            AccountChange {
                role: Some(Role::Admin),
                ..none()
            },
            true,
        ),
        (
            AccountChange {
                role: Some(Role::Admin),
                ..none()
            },
            false,
        ),
        (
            AccountChange {
                own_user_ids: Some(BTreeSet::new()),
                ..none()
            },
            false,
        ),
        (
            AccountChange {
                tenants: Some(vec![DEFAULT_TENANT]),
                ..none()
            },
            false,
        ),
        (none(), false),
    ] {
        let jane = meta.account_by_name("jane").await.unwrap();
        let session = meta.create_session(&jane, None).await.unwrap();
        meta.change_account(jane.id, change.clone()).await.unwrap();
        assert_eq!(is_alive(meta, &session.token).await, !ends, "{change:?}");
    }
    meta.create_account(new("root", Role::Admin)).await.unwrap();
    let jane = meta.account_by_name("jane").await.unwrap();
    let session = meta.create_session(&jane, None).await.unwrap();
    for is_disabled in [true, false] {
        let change = AccountChange {
            is_disabled: Some(is_disabled),
            ..none()
        };
        meta.change_account(jane.id, change).await.unwrap();
        assert!(!is_alive(meta, &session.token).await);
    }
    assert_eq!(meta.sessions(jane.id).await.unwrap(), []);
}

pub async fn sessions_are_revoked_one_by_one(meta: &impl Meta, clock: &TestClock) {
    let jane = account(meta, "jane").await;
    let one = meta.create_session(&jane, None).await.unwrap();
    let two = meta.create_session(&jane, None).await.unwrap();
    assert_eq!(meta.sessions(jane.id).await.unwrap().len(), 2);
    meta.revoke_session(one.session.id).await.unwrap();
    meta.revoke_session(one.session.id).await.unwrap();
    clock.pass(120);
    assert!(!is_alive(meta, &one.token).await);
    assert!(is_alive(meta, &two.token).await);
    let left = meta.sessions(jane.id).await.unwrap();
    assert_eq!(
        left.iter().map(|s| s.id).collect::<Vec<_>>(),
        [two.session.id]
    );
    let none = meta.revoke_session(99).await;
    assert!(matches!(none, Err(MetaError::NotFound { .. })));
}

pub async fn a_session_begun_before_a_change_has_ended(meta: &impl Meta, _clock: &TestClock) {
    let before = account(meta, "jane").await;
    let change = AccountChange {
        password: Some("another password".into()),
        ..Default::default()
    };
    meta.change_account(before.id, change).await.unwrap();
    // A login that was checked against the old password must not outlive it.
    let session = meta.create_session(&before, None).await.unwrap();
    assert!(!is_alive(meta, &session.token).await);
}

pub async fn keys_act_for_their_account(meta: &impl Meta, _clock: &TestClock) {
    let jane = account(meta, "jane").await;
    let scope = Scope::Ingest {
        streams: vec!["app.*".into()],
    };
    let new_key = NewKey {
        scope: scope.clone(),
        ..full_key(jane.id)
    };
    let created = meta.create_key(new_key).await.unwrap();
    assert!(created.secret.starts_with("tfr_"));
    let principal = meta.find_key(&created.secret).await.unwrap().unwrap();
    assert_eq!(principal.account, jane.id);
    assert_eq!(principal.scope, scope);
    assert_eq!(&*principal.credential, format!("key:{}", created.key.id));
    // A change of the account shows at once.
    let promote = AccountChange {
        role: Some(Role::Admin),
        ..Default::default()
    };
    meta.change_account(jane.id, promote).await.unwrap();
    let principal = meta.find_key(&created.secret).await.unwrap().unwrap();
    assert_eq!(principal.role, Role::Admin);
    let mut other = created.secret.clone();
    other.pop();
    other.push(if created.secret.ends_with('A') {
        'B'
    } else {
        'A'
    });
    for bad in ["", "tfr_", &other] {
        assert!(meta.find_key(bad).await.unwrap().is_none());
    }
    meta.create_account(new("root", Role::Admin)).await.unwrap();
    let disable = AccountChange {
        is_disabled: Some(true),
        ..Default::default()
    };
    meta.change_account(jane.id, disable).await.unwrap();
    assert!(meta.find_key(&created.secret).await.unwrap().is_none());
}

pub async fn keys_expire_and_are_revoked(meta: &impl Meta, clock: &TestClock) {
    let (jane, joe) = (account(meta, "jane").await, account(meta, "joe").await);
    let expires = Timestamp(clock.now().0 + 60 * NS_PER_S);
    let new_key = NewKey {
        expires: Some(expires),
        ..full_key(jane.id)
    };
    let short = meta.create_key(new_key).await.unwrap();
    let long = meta.create_key(full_key(jane.id)).await.unwrap();
    meta.create_key(full_key(joe.id)).await.unwrap();
    assert_eq!(meta.key(long.key.id).await.unwrap().last_used, None);
    clock.pass(59);
    assert!(meta.find_key(&short.secret).await.unwrap().is_some());
    clock.pass(1);
    assert!(meta.find_key(&short.secret).await.unwrap().is_none());
    assert!(meta.find_key(&long.secret).await.unwrap().is_some());
    let used = meta.key(long.key.id).await.unwrap().last_used.unwrap();
    assert_eq!(used, clock.now());
    clock.pass(299);
    assert!(meta.find_key(&long.secret).await.unwrap().is_some());
    assert_eq!(meta.key(long.key.id).await.unwrap().last_used, Some(used));
    clock.pass(1);
    assert!(meta.find_key(&long.secret).await.unwrap().is_some());
    assert_eq!(
        meta.key(long.key.id).await.unwrap().last_used,
        Some(clock.now())
    );
    meta.revoke_key(long.key.id).await.unwrap();
    let revoked = meta.revoke_key(long.key.id).await.unwrap().revoked;
    assert_eq!(revoked, Some(clock.now()));
    assert!(meta.find_key(&long.secret).await.unwrap().is_none());
    let of = |keys: Vec<taffrail_meta::ApiKey>| keys.iter().map(|key| key.id).collect::<Vec<_>>();
    assert_eq!(of(meta.keys(None, 0, 10).await.unwrap()), [1, 2, 3]);
    assert_eq!(of(meta.keys(Some(jane.id), 0, 10).await.unwrap()), [1, 2]);
    assert_eq!(of(meta.keys(None, 1, 1).await.unwrap()), [2]);
    let none = meta.revoke_key(99).await;
    assert!(matches!(none, Err(MetaError::NotFound { .. })));
}

pub async fn invalid_keys_are_refused(meta: &impl Meta, _clock: &TestClock) {
    let jane = account(meta, "jane").await;
    let good = full_key(jane.id);
    let patterns = |count: usize| vec!["app.*".to_owned(); count];
    for bad in [
        NewKey {
            name: String::new(),
            ..good.clone()
        },
        NewKey {
            name: "x".repeat(101),
            ..good.clone()
        },
        NewKey {
            name: "a\nb".into(),
            ..good.clone()
        },
        NewKey {
            scope: Scope::Read { streams: vec![] },
            ..good.clone()
        },
        NewKey {
            scope: Scope::Read {
                streams: patterns(101),
            },
            ..good.clone()
        },
        NewKey {
            scope: Scope::Ingest {
                streams: vec![String::new()],
            },
            ..good.clone()
        },
    ] {
        let made = meta.create_key(bad).await;
        assert!(matches!(made, Err(MetaError::Invalid { .. })));
    }
    let nobody = meta
        .create_key(NewKey {
            account: 99,
            ..good
        })
        .await;
    assert!(matches!(nobody, Err(MetaError::NotFound { .. })));
}

pub async fn deleting_an_account_deletes_its_credentials(meta: &impl Meta, _clock: &TestClock) {
    let jane = account(meta, "jane").await;
    let session = meta.create_session(&jane, None).await.unwrap();
    let key = meta.create_key(full_key(jane.id)).await.unwrap();
    meta.delete_account(jane.id).await.unwrap();
    assert!(!is_alive(meta, &session.token).await);
    assert!(meta.find_key(&key.secret).await.unwrap().is_none());
    // The number is not given again.
    assert!(account(meta, "jane").await.id > jane.id);
    let gone = meta.delete_account(jane.id).await;
    assert!(matches!(gone, Err(MetaError::NotFound { .. })));
    let late = meta.create_session(&jane, None).await;
    assert!(matches!(late, Err(MetaError::NotFound { .. })));
}

pub async fn old_sessions_are_purged(meta: &impl Meta, clock: &TestClock) {
    let jane = account(meta, "jane").await;
    let old = meta.create_session(&jane, None).await.unwrap();
    clock.pass(36 * HOUR_S);
    assert_eq!(meta.purge_sessions().await.unwrap(), 0);
    clock.pass(1);
    let young = meta.create_session(&jane, None).await.unwrap();
    assert_eq!(meta.purge_sessions().await.unwrap(), 1);
    assert!(!is_alive(meta, &old.token).await);
    assert!(is_alive(meta, &young.token).await);
}
