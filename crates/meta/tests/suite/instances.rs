//! MCP instances and the keys that are bound to them.
use super::{HOUR_S, TestClock, account, full_key};
use taffrail_meta::{InstanceChange, Meta, MetaError, NewInstance, NewKey};
use taffrail_model::{
    access::Scope,
    clock::Clock,
    instance::{Instance, InstanceStatus},
    tenant::{DEFAULT_TENANT, TenantNumber},
    time::Timestamp,
};

fn new(id: &str) -> NewInstance {
    NewInstance {
        tenant: DEFAULT_TENANT,
        id: Some(id.into()),
        user_id: "u1".into(),
        service: Some("figma".into()),
        status: InstanceStatus::Active,
    }
}

pub async fn make_instance(meta: &impl Meta, id: &str) -> Instance {
    meta.create_instance(new(id)).await.unwrap()
}

async fn ids(meta: &impl Meta) -> Vec<String> {
    let all = meta.instances().await.unwrap();
    all.iter().map(|instance| instance.id.to_string()).collect()
}

fn bound(account: i64, tenant: TenantNumber, instance: &str) -> NewKey {
    NewKey {
        scope: Scope::Instance {
            tenant,
            instance: instance.into(),
        },
        ..full_key(account)
    }
}

pub async fn instances_are_made_and_listed(meta: &impl Meta, clock: &TestClock) {
    let one = make_instance(meta, "one").await;
    assert_eq!((&*one.id, &*one.user_id), ("one", "u1"));
    assert_eq!(one.service.as_deref(), Some("figma"));
    assert_eq!((one.created, one.changed), (clock.now(), clock.now()));
    assert_eq!(one.deleted, None);
    let unnamed = NewInstance {
        id: None,
        service: None,
        ..new("")
    };
    let two = meta.create_instance(unnamed.clone()).await.unwrap();
    let three = meta.create_instance(unnamed).await.unwrap();
    assert!(uuid::Uuid::parse_str(&two.id).is_ok() && two.id != three.id);
    assert!(one.number < two.number && two.number < three.number);
    assert_eq!(meta.instances().await.unwrap(), [one, two, three]);
}

pub async fn instances_have_an_id_of_their_own_in_their_tenant(
    meta: &impl Meta,
    _clock: &TestClock,
) {
    let one = make_instance(meta, "one").await;
    let again = meta.create_instance(new("one")).await;
    assert!(matches!(again, Err(MetaError::Exists { .. })));
    // Also as long as a deleted one is there.
    meta.delete_instance(one.number).await.unwrap();
    let again = meta.create_instance(new("one")).await;
    assert!(matches!(again, Err(MetaError::Exists { .. })));
    let tenant = meta.create_tenant("second").await.unwrap().number;
    let elsewhere = NewInstance {
        tenant,
        ..new("one")
    };
    assert_eq!(
        meta.create_instance(elsewhere).await.unwrap().tenant,
        tenant
    );
    // Case matters: it does in the records, too.
    make_instance(meta, "One").await;
    assert_eq!(ids(meta).await, ["one", "one", "One"]);
}

pub async fn instances_are_refused_whole_if_invalid(meta: &impl Meta, _clock: &TestClock) {
    for bad in [
        new("a/b"),
        new(""),
        NewInstance {
            user_id: String::new(),
            ..new("a")
        },
        NewInstance {
            user_id: "u".repeat(257),
            ..new("a")
        },
        NewInstance {
            service: Some(String::new()),
            ..new("a")
        },
    ] {
        let made = meta.create_instance(bad).await;
        assert!(matches!(made, Err(MetaError::Invalid { .. })));
    }
    assert_eq!(ids(meta).await, [""; 0]);
    let one = make_instance(meta, "one").await;
    let change = InstanceChange {
        status: Some(InstanceStatus::Expired),
        service: Some(Some("a\nb".into())),
    };
    let changed = meta.change_instance(one.number, change).await;
    assert!(matches!(changed, Err(MetaError::Invalid { .. })));
    assert_eq!(meta.instances().await.unwrap(), [one]);
}

pub async fn instances_change(meta: &impl Meta, clock: &TestClock) {
    let one = make_instance(meta, "one").await;
    clock.pass(60);
    let change = |status, service| InstanceChange { status, service };
    let expire = change(Some(InstanceStatus::Expired), None);
    let changed = meta.change_instance(one.number, expire).await.unwrap();
    assert_eq!(*changed.before, one);
    let expired = Instance {
        status: InstanceStatus::Expired,
        changed: clock.now(),
        ..one.clone()
    };
    assert_eq!(*changed.after, expired);
    clock.pass(60);
    let rename = change(None, Some(Some("github".into())));
    let changed = meta.change_instance(one.number, rename).await.unwrap();
    assert_eq!(changed.after.service.as_deref(), Some("github"));
    let unname = change(Some(InstanceStatus::Active), Some(None));
    let changed = meta.change_instance(one.number, unname).await.unwrap();
    assert_eq!(
        (changed.after.state(), &changed.after.service),
        ("active", &None)
    );
    // What changes nothing leaves its time.
    clock.pass(60);
    let same = change(Some(InstanceStatus::Active), None);
    let unchanged = meta.change_instance(one.number, same).await.unwrap();
    assert_eq!(unchanged.before, unchanged.after);
    assert_eq!(unchanged.after, changed.after);
    let none = meta.change_instance(99, change(None, None)).await;
    assert!(matches!(none, Err(MetaError::NotFound { .. })));
}

pub async fn instances_are_deleted_with_their_keys(meta: &impl Meta, clock: &TestClock) {
    let jane = account(meta, "jane").await;
    let (one, two) = (
        make_instance(meta, "one").await,
        make_instance(meta, "two").await,
    );
    let key = |id| meta.create_key(bound(jane.id, DEFAULT_TENANT, id));
    let (of_one, of_two) = (key("one").await.unwrap(), key("two").await.unwrap());
    let free = meta.create_key(full_key(jane.id)).await.unwrap();
    clock.pass(60);
    let deleted = meta.delete_instance(one.number).await.unwrap();
    assert_eq!(deleted.before.deleted, None);
    assert_eq!(deleted.after.deleted, Some(clock.now()));
    assert!(meta.find_key(&of_one.secret).await.unwrap().is_none());
    assert!(meta.find_key(&of_two.secret).await.unwrap().is_some());
    assert!(meta.find_key(&free.secret).await.unwrap().is_some());
    let revoked = meta.key(of_one.key.id).await.unwrap().revoked;
    assert_eq!(revoked, Some(clock.now()));
    // The first deletion counts.
    clock.pass(HOUR_S);
    let again = meta.delete_instance(one.number).await.unwrap();
    assert_eq!(again.after, deleted.after);
    let change = meta
        .change_instance(one.number, InstanceChange::default())
        .await;
    assert!(matches!(change, Err(MetaError::Deleted { .. })));
    let late = key("one").await;
    assert!(matches!(late, Err(MetaError::Deleted { .. })));
    let none = meta.delete_instance(99).await;
    assert!(matches!(none, Err(MetaError::NotFound { .. })));
    assert_eq!(meta.instances().await.unwrap()[1], two);
}

pub async fn instances_are_forgotten_when_their_records_are_gone(
    meta: &impl Meta,
    clock: &TestClock,
) {
    let (one, two) = (
        make_instance(meta, "one").await,
        make_instance(meta, "two").await,
    );
    make_instance(meta, "three").await;
    meta.delete_instance(one.number).await.unwrap();
    let deleted = clock.now();
    clock.pass(60);
    meta.delete_instance(two.number).await.unwrap();
    let none = meta.purge_instances(deleted).await.unwrap();
    assert_eq!(none, [0; 0]);
    let purged = meta.purge_instances(Timestamp(deleted.0 + 1)).await;
    assert_eq!(purged.unwrap(), [one.number]);
    assert_eq!(ids(meta).await, ["two", "three"]);
    // The id is free again, the number is not.
    assert!(make_instance(meta, "one").await.number > two.number);
}

pub async fn instances_have_keys_of_their_tenant_alone(meta: &impl Meta, _clock: &TestClock) {
    let second = meta.create_tenant("second").await.unwrap().number;
    let jane = account(meta, "jane").await;
    make_instance(meta, "one").await;
    let elsewhere = NewInstance {
        tenant: second,
        ..new("one")
    };
    let elsewhere = meta.create_instance(elsewhere).await.unwrap();
    let here = meta
        .create_key(bound(jane.id, DEFAULT_TENANT, "one"))
        .await
        .unwrap();
    let there = meta
        .create_key(bound(jane.id, second, "one"))
        .await
        .unwrap();
    let principal = meta.find_key(&here.secret).await.unwrap().unwrap();
    assert_eq!(principal.tenants, [DEFAULT_TENANT]);
    assert_eq!(principal.bound_instance(), Some("one"));
    // An account that is not of the tenant has nothing there, whatever its keys say.
    let principal = meta.find_key(&there.secret).await.unwrap().unwrap();
    assert_eq!(principal.tenants, []);
    for (tenant, expected) in [(DEFAULT_TENANT, &here), (second, &there)] {
        let keys = meta.instance_keys(tenant, "one", 0, 10).await.unwrap();
        let numbers: Vec<_> = keys.iter().map(|key| key.id).collect();
        assert_eq!(numbers, [expected.key.id]);
    }
    meta.delete_instance(elsewhere.number).await.unwrap();
    assert!(meta.find_key(&here.secret).await.unwrap().is_some());
    assert!(meta.find_key(&there.secret).await.unwrap().is_none());
    for missing in [
        bound(jane.id, DEFAULT_TENANT, "two"),
        bound(jane.id, TenantNumber(9), "one"),
    ] {
        let made = meta.create_key(missing).await;
        assert!(matches!(made, Err(MetaError::NotFound { .. })));
    }
}
