//! MCP instances: programs that work for one user each, and whose records are theirs.
//!
//! Invariants
//! - An instance has one owner, a `user_id`, for ever; who owns that `user_id` owns the instance.
//! - A deleted instance is kept as long as records of it may exist: its records are hidden
//!   [`DELETED_KEPT_S`] after the deletion, and its id is not given again before they are gone.
use crate::{stream::StreamDefinition, tenant::TenantNumber, time::Timestamp};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// How the names of the streams begin whose records belong to whom an instance worked for.
pub const INSTANCE_STREAMS: &str = "instance.";
/// The stream of supervised processes, to which the supervisor of an instance writes too.
pub const SUPERVISOR_STREAM: &str = "system.pm2";
/// How long the records of a deleted instance can be read, in seconds (7 days).
pub const DELETED_KEPT_S: i64 = 7 * 86_400;

/// The attribute that keeps where a record of an instance comes from.
pub const METADATA_TYPE: &str = "metadata.type";

/// Where a captured record comes from; its name is kept in [`METADATA_TYPE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The standard output of the process.
    Stdout,
    /// Its standard error.
    Stderr,
    /// The recorder itself.
    System,
    /// An HTTP exchange that was seen on the wire.
    Http,
}

impl Origin {
    /// The value of [`METADATA_TYPE`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Origin::Stdout => "stdout",
            Origin::Stderr => "stderr",
            Origin::System => "system",
            Origin::Http => "http",
        }
    }

    /// The origin of a name, exactly.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Origin> {
        [Origin::Stdout, Origin::Stderr, Origin::System, Origin::Http]
            .into_iter()
            .find(|origin| origin.name() == name)
    }
}

/// Whether an instance works, as whoever runs it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstanceStatus {
    /// It works and its records are taken.
    Active,
    /// It is switched off; records are refused.
    Inactive,
    /// Its time or its credentials ran out; records are refused.
    Expired,
}

impl InstanceStatus {
    /// All of them.
    pub const ALL: [InstanceStatus; 3] = [
        InstanceStatus::Active,
        InstanceStatus::Inactive,
        InstanceStatus::Expired,
    ];

    /// The name in the API and database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            InstanceStatus::Active => "active",
            InstanceStatus::Inactive => "inactive",
            InstanceStatus::Expired => "expired",
        }
    }

    /// The status of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<InstanceStatus> {
        let mut all = InstanceStatus::ALL.into_iter();
        all.find(|status| status.name() == name)
    }
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Number, never reused.
    pub number: i64,
    /// Whose tenant's.
    pub tenant: TenantNumber,
    /// Its id: the `instance_id` of its records, unique in the tenant.
    pub id: Arc<str>,
    /// Its owner: the `user_id` of its records.
    pub user_id: Arc<str>,
    /// What it serves (`figma`, `github`): the `source` of records that name none.
    pub service: Option<Arc<str>>,
    /// Whether it works.
    pub status: InstanceStatus,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub changed: Timestamp,
    /// When it was deleted.
    pub deleted: Option<Timestamp>,
}

impl Instance {
    /// The word for its state: its status, or `deleted`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self.deleted {
            Some(_) => "deleted",
            None => self.status.name(),
        }
    }

    /// Whether it takes records.
    #[must_use]
    pub fn takes_records(&self) -> bool {
        self.deleted.is_none() && self.status == InstanceStatus::Active
    }

    /// Whether it was deleted so long ago that it and its records are not there for anybody.
    #[must_use]
    pub fn is_gone(&self, now: Timestamp) -> bool {
        self.deleted.is_some_and(|deleted| is_gone(deleted, now))
    }
}

/// Whether what was deleted then is not there for anybody now.
#[must_use]
pub fn is_gone(deleted: Timestamp, now: Timestamp) -> bool {
    let kept_ns = DELETED_KEPT_S * crate::time::NS_PER_S;
    now.0.saturating_sub(deleted.0) >= kept_ns
}

/// Whether the records of a stream belong to instances.
#[must_use]
pub fn holds_instances(stream: &StreamDefinition) -> bool {
    stream.name.starts_with(INSTANCE_STREAMS)
}

/// Where instances are looked up.
pub trait InstanceLookup: Sync {
    /// The instance of an id, a deleted one too.
    fn instance(&self, tenant: TenantNumber, id: &str) -> Option<Arc<Instance>>;
}

/// Ids of instances.
pub type InstanceIds = BTreeSet<Arc<str>>;

/// The instances whose records nobody may read any more. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoneInstances {
    by_tenant: Arc<BTreeMap<TenantNumber, Arc<InstanceIds>>>,
}

impl GoneInstances {
    /// Those of a tenant, if there are some.
    #[must_use]
    pub fn of(&self, tenant: TenantNumber) -> Option<&Arc<InstanceIds>> {
        self.by_tenant.get(&tenant)
    }
}

impl FromIterator<(TenantNumber, Arc<str>)> for GoneInstances {
    fn from_iter<T: IntoIterator<Item = (TenantNumber, Arc<str>)>>(all: T) -> GoneInstances {
        let mut by_tenant: BTreeMap<TenantNumber, InstanceIds> = BTreeMap::new();
        for (tenant, id) in all {
            by_tenant.entry(tenant).or_default().insert(id);
        }
        let shared = by_tenant
            .into_iter()
            .map(|(tenant, ids)| (tenant, Arc::new(ids)));
        GoneInstances {
            by_tenant: Arc::new(shared.collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::NS_PER_S;

    #[test]
    fn a_deleted_instance_is_gone_after_seven_days() {
        let instance = |deleted: Option<i64>| Instance {
            number: 1,
            tenant: TenantNumber(1),
            id: "a".into(),
            user_id: "u1".into(),
            service: None,
            status: InstanceStatus::Active,
            created: Timestamp(0),
            changed: Timestamp(0),
            deleted: deleted.map(|second| Timestamp(second * NS_PER_S)),
        };
        let at = |second: i64| Timestamp(second * NS_PER_S);
        assert!(!instance(None).is_gone(at(i64::from(u32::MAX))));
        assert!(!instance(Some(100)).is_gone(at(100 + 7 * 86_400 - 1)));
        assert!(instance(Some(100)).is_gone(at(100 + 7 * 86_400)));
        // A clock that was put back shows it again rather than failing.
        assert!(!instance(Some(100)).is_gone(at(0)));
        assert_eq!(instance(Some(100)).state(), "deleted");
        assert!(instance(None).takes_records() && !instance(Some(1)).takes_records());
    }

    #[test]
    fn names_of_status_round_trip() {
        for status in InstanceStatus::ALL {
            assert_eq!(InstanceStatus::from_name(status.name()), Some(status));
        }
        assert_eq!(InstanceStatus::from_name("deleted"), None);
    }

    #[test]
    fn gone_instances_are_per_tenant() {
        let (one, two) = (TenantNumber(1), TenantNumber(2));
        let gone: GoneInstances = [(one, "a".into()), (two, "b".into()), (one, "c".into())]
            .into_iter()
            .collect();
        assert_eq!(gone.of(one).unwrap().len(), 2);
        assert!(gone.of(two).unwrap().contains("b"));
        assert_eq!(gone.of(TenantNumber(3)), None);
    }
}
