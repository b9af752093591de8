//! Who may read and write what. The one place that turns a principal into a row policy: every
//! read carries one, and nothing else builds one.
//!
//! Invariants
//! - A [`RowPolicy`] can only be made by [`Principal::read_policy`].
//! - A principal without a grant for a stream does not learn that the stream has records.
use crate::{
    stream::{AccessClass, StreamCatalogue, StreamDefinition, StreamNumber},
    tenant::TenantNumber,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// How the names of the streams begin whose records belong to whom an instance worked for.
pub const INSTANCE_STREAMS: &str = "instance.";

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

    /// Whether the principal may write records to a stream. A user's own credential writes only
    /// where users own records, and not to [`INSTANCE_STREAMS`]: there the body says whose a
    /// record is, and nothing binds a key to the instances that it may speak for.
    #[must_use]
    pub fn may_write(&self, stream: &StreamDefinition) -> bool {
        let role_may = match self.role {
            Role::Admin => true,
            Role::User => {
                stream.access == AccessClass::OwnRecords
                    && !stream.name.starts_with(INSTANCE_STREAMS)
            }
        };
        role_may
            && match &self.scope {
                Scope::Full => true,
                Scope::Ingest { streams } => matches_any(streams, &stream.name),
                Scope::Read { .. } => false,
            }
    }

    /// What the principal may read, in one object that every [`ScanRequest`] carries.
    ///
    /// [`ScanRequest`]: https://docs.rs/taffrail-query
    #[must_use]
    pub fn read_policy(&self, catalogue: &StreamCatalogue) -> RowPolicy {
        let may_read_stream = |stream: &StreamDefinition| match &self.scope {
            Scope::Full => true,
            Scope::Read { streams } => matches_any(streams, &stream.name),
            Scope::Ingest { .. } => false,
        };
        let streams = catalogue
            .iter()
            .filter(|stream| may_read_stream(stream))
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
            streams: self.streams.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::DEFAULT_TENANT;

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
        let policy = user(&["u1"]).read_policy(&catalogue);
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
        let nobody = user(&[]).read_policy(&catalogue);
        assert!(
            !nobody
                .filter(DEFAULT_TENANT, number("app.backend"))
                .unwrap()
                .admits(Some(""))
        );
    }

    #[test]
    fn only_admins_speak_for_instances() {
        let catalogue = StreamCatalogue::built_in();
        let admin = Principal::product(DEFAULT_TENANT);
        let user_ingest = Principal {
            scope: Scope::Ingest {
                streams: vec!["instance.*".into()],
            },
            ..user(&["u1"])
        };
        let mut count = 0;
        for stream in catalogue.matching("instance.*") {
            assert!(admin.may_write(stream), "{}", stream.name);
            assert!(!user(&["u1"]).may_write(stream), "{}", stream.name);
            assert!(!user_ingest.may_write(stream), "{}", stream.name);
            count += 1;
        }
        assert_eq!(count, 3);
        assert!(user(&["u1"]).may_write(catalogue.by_name("app.backend").unwrap()));
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
        assert_eq!(ingest.read_policy(&catalogue).streams().count(), 0);
        let read = Principal {
            scope: Scope::Read {
                streams: vec!["app.backend".into()],
            },
            ..admin
        };
        assert!(!read.may_write(backend));
        assert_eq!(
            read.read_policy(&catalogue).streams().collect::<Vec<_>>(),
            [backend.number]
        );
        assert!(!user(&["u1"]).may_write(audit));
    }
}
