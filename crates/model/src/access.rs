//! Who may read and write what. The one place that turns a principal into a row policy: every
//! read carries one, and nothing else builds one.
//!
//! Invariants
//! - A [`RowPolicy`] can only be made by [`Principal::read_policy`].
//! - A principal without a grant for a stream does not learn that the stream has records.
//! - In the streams of instances the credential decides whose a record is, not the record: a key
//!   of an instance writes for that instance, a user for own instances.
use crate::{
    instance::{
        GoneInstances, Instance, InstanceIds, InstanceLookup, SUPERVISOR_STREAM, holds_instances,
    },
    stream::{AccessClass, StreamCatalogue, StreamDefinition, StreamNumber},
    tenant::TenantNumber,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees and administers everything of its tenants.
    Admin,
    /// Sees its own records.
    User,
}

impl Role {
    /// The name in the API and database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::User => "user",
        }
    }

    /// The role of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Role> {
        match name {
            "admin" => Some(Role::Admin),
            "user" => Some(Role::User),
            _ => None,
        }
    }
}

/// What a credential may be used for, within what its account may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scope", rename_all = "snake_case")]
pub enum Scope {
    /// Everything that the account may do.
    Full,
    /// Only ingest, into the streams of these patterns.
    Ingest {
        /// Stream patterns; `*` at the end is a prefix.
        streams: Vec<String>,
    },
    /// Only reads, of the streams of these patterns.
    Read {
        /// Stream patterns; `*` at the end is a prefix.
        streams: Vec<String>,
    },
    /// Only ingest, of the records of this instance; reads nothing.
    Instance {
        /// Tenant of the instance.
        tenant: TenantNumber,
        /// Id of the instance.
        instance: String,
    },
}

/// How a stream may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteRule {
    /// Whose a record is, it says itself.
    AsSent,
    /// Whose a record is follows from its instance: [`Principal::instance_of_record`].
    ByInstance,
}

/// Why a credential may not write a record of an instance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstanceRefusal {
    /// The record does not say which.
    #[error("instance_id is missing: records of this stream belong to an instance")]
    Missing,
    /// There is none, or it is not the credential's; which of them is not said.
    #[error("{0:?} is no instance of this credential")]
    Unknown(String),
    /// It does not work at the moment, or any more.
    #[error("instance {id:?} is {state}: it takes no records")]
    TakesNone {
        /// Its id.
        id: String,
        /// `inactive`, `expired` or `deleted`.
        state: &'static str,
    },
}

/// Who asks: an account, seen through the credential that it used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Account number in the metadata database; 0 for the product itself and the bootstrap key.
    pub account: i64,
    /// Login name, for the audit log and the UI.
    pub name: Arc<str>,
    /// Role of the account.
    pub role: Role,
    /// Tenants that the credential may use; the first is the one that it writes to.
    pub tenants: Vec<TenantNumber>,
    /// `user_id`s whose records are this account's own, set by an admin.
    pub own_user_ids: Arc<BTreeSet<String>>,
    /// What the credential may be used for.
    pub scope: Scope,
    /// Stable name of the credential: the scope of idempotency keys. Never the secret.
    pub credential: Arc<str>,
}

impl Principal {
    /// The product itself, for its own events and background reads of a tenant.
    #[must_use]
    pub fn product(tenant: TenantNumber) -> Principal {
        Principal {
            account: 0,
            name: "taffrail".into(),
            role: Role::Admin,
            tenants: vec![tenant],
            own_user_ids: Arc::default(),
            scope: Scope::Full,
            credential: "taffrail".into(),
        }
    }

    /// The tenant that the principal writes to.
    #[must_use]
    pub fn write_tenant(&self) -> Option<TenantNumber> {
        self.tenants.first().copied()
    }

    /// Whether the principal may administer (users, keys, configuration).
    #[must_use]
    pub fn may_administer(&self) -> bool {
        self.role == Role::Admin && self.scope == Scope::Full
    }

    /// Whether the principal may write records to a stream.
    #[must_use]
    pub fn may_write(&self, stream: &StreamDefinition) -> bool {
        self.write_rule(stream).is_some()
    }

    /// How the principal may write records to a stream; `None`: not at all. A user's own
    /// credential writes where users own records; the key of an instance to the streams of
    /// instances and, what its supervisor notes, to [`SUPERVISOR_STREAM`].
    #[must_use]
    pub fn write_rule(&self, stream: &StreamDefinition) -> Option<WriteRule> {
        let of_instances = holds_instances(stream);
        let may_write = match &self.scope {
            Scope::Instance { .. } => of_instances || &*stream.name == SUPERVISOR_STREAM,
            Scope::Full => self.role_may_write(stream),
            Scope::Ingest { streams } => {
                self.role_may_write(stream) && matches_any(streams, &stream.name)
            }
            Scope::Read { .. } => false,
        };
        let is_by_instance = of_instances || self.bound_instance().is_some();
        may_write.then_some(match is_by_instance {
            true => WriteRule::ByInstance,
            false => WriteRule::AsSent,
        })
    }

    fn role_may_write(&self, stream: &StreamDefinition) -> bool {
        match self.role {
            Role::Admin => true,
            Role::User => stream.access == AccessClass::OwnRecords,
        }
    }

    /// The instance that the credential is bound to.
    #[must_use]
    pub fn bound_instance(&self) -> Option<&str> {
        match &self.scope {
            Scope::Instance { instance, .. } => Some(instance),
            Scope::Full | Scope::Ingest { .. } | Scope::Read { .. } => None,
        }
    }

    /// Whether the instance is the principal's own, or of a tenant that it administers.
    #[must_use]
    pub fn owns(&self, instance: &Instance) -> bool {
        let is_own = match self.role {
            Role::Admin => true,
            Role::User => self.own_user_ids.contains(&*instance.user_id),
        };
        is_own && self.tenants.contains(&instance.tenant)
    }

    /// Whether the credential reads streams of instances, and so may know which there are.
    #[must_use]
    pub fn may_read_instances(&self, catalogue: &StreamCatalogue) -> bool {
        catalogue
            .iter()
            .any(|stream| holds_instances(stream) && self.scope_reads(stream))
    }

    /// The instance that a record of a stream of [`WriteRule::ByInstance`] belongs to, which says
    /// its `instance_id` and `user_id`; `sent` is the `instance_id` that came with it, which does
    /// not count under a bound key. `None`: the record stays as it was sent, since an admin may
    /// write for instances that nobody has made here.
    ///
    /// # Errors
    /// [`InstanceRefusal`].
    pub fn instance_of_record(
        &self,
        sent: Option<&str>,
        instances: &dyn InstanceLookup,
    ) -> Result<Option<Arc<Instance>>, InstanceRefusal> {
        let is_free = self.role == Role::Admin && self.bound_instance().is_none();
        let Some(id) = self.bound_instance().or(sent) else {
            return match is_free {
                true => Ok(None),
                false => Err(InstanceRefusal::Missing),
            };
        };
        let found = self
            .write_tenant()
            .and_then(|tenant| instances.instance(tenant, id))
            .filter(|instance| self.owns(instance));
        match found {
            Some(instance) if instance.takes_records() => Ok(Some(instance)),
            Some(instance) => Err(InstanceRefusal::TakesNone {
                id: id.to_owned(),
                state: instance.state(),
            }),
            None if is_free => Ok(None),
            None => Err(InstanceRefusal::Unknown(id.to_owned())),
        }
    }

    fn scope_reads(&self, stream: &StreamDefinition) -> bool {
        match &self.scope {
            Scope::Full => true,
            Scope::Read { streams } => matches_any(streams, &stream.name),
            Scope::Ingest { .. } | Scope::Instance { .. } => false,
        }
    }

    /// What the principal may read, in one object that every [`ScanRequest`] carries. The records
    /// of instances that are `gone` nobody reads.
    ///
    /// [`ScanRequest`]: https://docs.rs/taffrail-query
    #[must_use]
    pub fn read_policy(&self, catalogue: &StreamCatalogue, gone: &GoneInstances) -> RowPolicy {
        let streams = catalogue
            .iter()
            .filter(|stream| self.scope_reads(stream))
            .filter_map(|stream| {
                let rows = match (self.role, stream.access) {
                    (Role::Admin, _) => RowFilter::All,
                    (Role::User, AccessClass::OwnRecords) => {
                        RowFilter::OwnedBy(self.own_user_ids.clone())
                    }
                    (Role::User, AccessClass::Restricted) => return None,
                };
                Some((stream.number, rows))
            })
            .collect();
        RowPolicy {
            tenants: self.tenants.clone(),
            streams,
            of_instances: catalogue
                .iter()
                .filter(|stream| holds_instances(stream))
                .map(|stream| stream.number)
                .collect(),
            gone: gone.clone(),
        }
    }
}

fn matches_any(patterns: &[String], name: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => pattern == name,
        })
}

/// Which rows of a stream may be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowFilter {
    /// All.
    All,
    /// Those whose `user_id` is in the set; none if the set is empty.
    OwnedBy(Arc<BTreeSet<String>>),
}

impl RowFilter {
    /// Whether a row with this `user_id` may be seen.
    #[must_use]
    pub fn admits(&self, user_id: Option<&str>) -> bool {
        match self {
            RowFilter::All => true,
            RowFilter::OwnedBy(own) => user_id.is_some_and(|id| own.contains(id)),
        }
    }
}

/// What a principal may read: which tenants, which streams, which rows of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPolicy {
    tenants: Vec<TenantNumber>,
    streams: BTreeMap<StreamNumber, RowFilter>,
    of_instances: BTreeSet<StreamNumber>,
    gone: GoneInstances,
}

impl RowPolicy {
    /// The row filter of a stream of a tenant; `None` if nothing of it may be seen.
    #[must_use]
    pub fn filter(&self, tenant: TenantNumber, stream: StreamNumber) -> Option<&RowFilter> {
        if !self.tenants.contains(&tenant) {
            return None;
        }
        self.streams.get(&stream)
    }

    /// Instances of which nothing in the stream may be seen, whoever reads: those that were
    /// deleted too long ago.
    #[must_use]
    pub fn hidden_instances(
        &self,
        tenant: TenantNumber,
        stream: StreamNumber,
    ) -> Option<&Arc<InstanceIds>> {
        self.gone
            .of(tenant)
            .filter(|_| self.of_instances.contains(&stream))
    }

    /// Tenants that may be read.
    #[must_use]
    pub fn tenants(&self) -> &[TenantNumber] {
        &self.tenants
    }

    /// Streams of which something may be read.
    pub fn streams(&self) -> impl Iterator<Item = StreamNumber> + '_ {
        self.streams.keys().copied()
    }

    /// The same policy for fewer tenants.
    #[must_use]
    pub fn narrowed_to(&self, tenant: TenantNumber) -> RowPolicy {
        let tenants = self
            .tenants
            .iter()
            .copied()
            .filter(|have| *have == tenant)
            .collect();
        RowPolicy {
            tenants,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{instance::InstanceStatus, tenant::DEFAULT_TENANT, time::Timestamp};

    fn read(principal: &Principal, catalogue: &StreamCatalogue) -> RowPolicy {
        principal.read_policy(catalogue, &GoneInstances::default())
    }

    fn user(own: &[&str]) -> Principal {
        Principal {
            role: Role::User,
            own_user_ids: Arc::new(own.iter().map(ToString::to_string).collect()),
            ..Principal::product(DEFAULT_TENANT)
        }
    }

    #[test]
    fn a_user_reads_own_records_only() {
        let catalogue = StreamCatalogue::built_in();
        let policy = read(&user(&["u1"]), &catalogue);
        let number = |name: &str| catalogue.by_name(name).unwrap().number;
        assert_eq!(policy.filter(DEFAULT_TENANT, number("framework")), None);
        assert_eq!(policy.filter(DEFAULT_TENANT, number("system.audit")), None);
        assert_eq!(policy.filter(TenantNumber(2), number("app.backend")), None);
        let own = policy
            .filter(DEFAULT_TENANT, number("app.backend"))
            .unwrap();
        assert!(own.admits(Some("u1")));
        assert!(!own.admits(Some("u2")));
        assert!(!own.admits(None));
        let nobody = read(&user(&[]), &catalogue);
        assert!(
            !nobody
                .filter(DEFAULT_TENANT, number("app.backend"))
                .unwrap()
                .admits(Some(""))
        );
    }

    struct Made(Vec<Arc<Instance>>);

    impl InstanceLookup for Made {
        fn instance(&self, tenant: TenantNumber, id: &str) -> Option<Arc<Instance>> {
            let mut all = self.0.iter();
            all.find(|have| have.tenant == tenant && &*have.id == id)
                .cloned()
        }
    }

    fn made() -> Made {
        let instance = |id: &str, user_id: &str, status, deleted| {
            Arc::new(Instance {
                number: 1,
                tenant: DEFAULT_TENANT,
                id: id.into(),
                user_id: user_id.into(),
                service: None,
                status,
                created: Timestamp(0),
                changed: Timestamp(0),
                deleted,
            })
        };
        use InstanceStatus::{Active, Expired, Inactive};
        Made(vec![
            instance("mine", "u1", Active, None),
            instance("off", "u1", Inactive, None),
            instance("over", "u1", Expired, None),
            instance("deleted", "u1", Active, Some(Timestamp(1))),
            instance("yours", "u2", Active, None),
        ])
    }

    fn bound(principal: &Principal, instance: &str) -> Principal {
        Principal {
            scope: Scope::Instance {
                tenant: DEFAULT_TENANT,
                instance: instance.into(),
            },
            ..principal.clone()
        }
    }

    /// The id of the instance that a record belongs to, `-` if it stays as sent, or the refusal.
    #[track_caller]
    fn check_record(principal: &Principal, sent: Option<&str>, expected: &str) {
        let outcome = principal.instance_of_record(sent, &made());
        let text = match outcome {
            Ok(Some(instance)) => instance.id.to_string(),
            Ok(None) => "-".to_owned(),
            Err(InstanceRefusal::Missing) => "missing".to_owned(),
            Err(InstanceRefusal::Unknown(_)) => "unknown".to_owned(),
            Err(InstanceRefusal::TakesNone { state, .. }) => state.to_owned(),
        };
        assert_eq!(text, expected, "{sent:?}");
    }

    #[test]
    fn whose_a_record_of_an_instance_is() {
        let (admin, user) = (Principal::product(DEFAULT_TENANT), user(&["u1"]));
        for (principal, sent, expected) in [
            (&user, Some("mine"), "mine"),
            (&user, Some("yours"), "unknown"),
            (&user, Some("nobody's"), "unknown"),
            (&user, Some("off"), "inactive"),
            (&user, Some("over"), "expired"),
            (&user, Some("deleted"), "deleted"),
            (&user, None, "missing"),
            (&admin, Some("mine"), "mine"),
            (&admin, Some("yours"), "yours"),
            (&admin, Some("nobody's"), "-"),
            (&admin, Some("off"), "inactive"),
            (&admin, None, "-"),
            // Under a key of an instance nothing counts that the body says.
            (&bound(&user, "mine"), None, "mine"),
            (&bound(&user, "mine"), Some("yours"), "mine"),
            (&bound(&admin, "mine"), Some("yours"), "mine"),
            (&bound(&admin, "mine"), Some("nobody's"), "mine"),
            (&bound(&user, "off"), Some("mine"), "inactive"),
            // The account of the key does not own it any more, or it is gone.
            (&bound(&user, "yours"), None, "unknown"),
            (&bound(&admin, "nobody's"), None, "unknown"),
        ] {
            check_record(principal, sent, expected);
        }
        let elsewhere = Principal {
            tenants: vec![TenantNumber(2)],
            ..admin
        };
        check_record(&bound(&elsewhere, "mine"), None, "unknown");
        check_record(&elsewhere, Some("mine"), "-");
    }

    #[test]
    fn where_instances_are_written() {
        let catalogue = StreamCatalogue::built_in();
        let rule = |principal: &Principal, name: &str| {
            principal.write_rule(catalogue.by_name(name).unwrap())
        };
        let (admin, user) = (Principal::product(DEFAULT_TENANT), user(&["u1"]));
        let ingest = Principal {
            scope: Scope::Ingest {
                streams: vec!["app.*".into()],
            },
            ..user.clone()
        };
        use WriteRule::{AsSent, ByInstance};
        for (principal, stream, expected) in [
            (&admin, "instance.app", Some(ByInstance)),
            (&admin, "system.pm2", Some(AsSent)),
            (&user, "instance.error", Some(ByInstance)),
            (&user, "app.backend", Some(AsSent)),
            (&user, "system.pm2", None),
            (&ingest, "instance.app", None),
            (&ingest, "app.backend", Some(AsSent)),
            (&bound(&user, "mine"), "instance.access", Some(ByInstance)),
            (&bound(&user, "mine"), "system.pm2", Some(ByInstance)),
            (&bound(&user, "mine"), "app.backend", None),
            (&bound(&admin, "mine"), "system.audit", None),
            (&bound(&admin, "mine"), "runtime", None),
        ] {
            assert_eq!(rule(principal, stream), expected, "{stream}");
        }
        let key = bound(&admin, "mine");
        assert_eq!(read(&key, &catalogue).streams().count(), 0);
        assert!(!key.may_administer() && !key.may_read_instances(&catalogue));
        assert!(user.may_read_instances(&catalogue) && !ingest.may_read_instances(&catalogue));
    }

    #[test]
    fn instances_that_are_gone_are_hidden_where_instances_are() {
        let catalogue = StreamCatalogue::built_in();
        let gone: GoneInstances = [(DEFAULT_TENANT, "old".into())].into_iter().collect();
        let number = |name: &str| catalogue.by_name(name).unwrap().number;
        for principal in [Principal::product(DEFAULT_TENANT), user(&["u1"])] {
            let policy = principal.read_policy(&catalogue, &gone);
            let hidden = |tenant, name| policy.hidden_instances(tenant, number(name)).is_some();
            for stream in catalogue.matching("instance.*") {
                assert!(hidden(DEFAULT_TENANT, &stream.name));
                assert!(!hidden(TenantNumber(2), &stream.name));
            }
            assert!(!hidden(DEFAULT_TENANT, "app.backend"));
            let narrowed = policy.narrowed_to(DEFAULT_TENANT);
            assert_eq!(narrowed, policy);
        }
    }

    #[test]
    fn scopes_narrow_what_a_credential_may_do() {
        let catalogue = StreamCatalogue::built_in();
        let backend = catalogue.by_name("app.backend").unwrap();
        let audit = catalogue.by_name("system.audit").unwrap();
        let admin = Principal::product(DEFAULT_TENANT);
        assert!(admin.may_write(audit) && admin.may_administer());
        let ingest = Principal {
            scope: Scope::Ingest {
                streams: vec!["app.*".into()],
            },
            ..admin.clone()
        };
        assert!(ingest.may_write(backend) && !ingest.may_write(audit));
        assert!(!ingest.may_administer());
        assert_eq!(read(&ingest, &catalogue).streams().count(), 0);
        let read = Principal {
            scope: Scope::Read {
                streams: vec!["app.backend".into()],
            },
            ..admin
        };
        assert!(!read.may_write(backend));
        assert_eq!(
            super::tests::read(&read, &catalogue)
                .streams()
                .collect::<Vec<_>>(),
            [backend.number]
        );
        assert!(!user(&["u1"]).may_write(audit));
    }
}
