//! Accounts and tenants as the trait shows them, and what their fields may be.
use crate::error::MetaError;
use std::{collections::BTreeSet, sync::Arc};
use taffrail_model::{
    access::{Principal, Role, Scope},
    instance::Instance,
    tenant::TenantNumber,
    time::Timestamp,
};

/// Bytes of an account's name: the longest e-mail address fits.
pub const ACCOUNT_NAME_BYTES_MAX: usize = 254;
/// Characters of a password at least (NIST SP 800-63B).
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Bytes of a password at most: a passphrase fits, work for the hash stays bounded.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// `user_id`s that one account may own: the row is read with every request.
pub const OWN_USER_IDS_MAX: usize = 1_000;
/// Bytes of one `user_id`.
pub const USER_ID_BYTES_MAX: usize = 256;

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its number.
    pub number: TenantNumber,
    /// Its name: 1-64 characters of a-z, 0-9, `_` and `-`.
    pub name: String,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Number, never reused.
    pub id: i64,
    /// Login name as it was written; unique whatever the case.
    pub name: Arc<str>,
    /// Role.
    pub role: Role,
    /// Whether it may not log in and its keys are refused.
    pub is_disabled: bool,
    /// `user_id`s whose records are its own.
    pub own_user_ids: Arc<BTreeSet<String>>,
    /// Tenants; the first is the one that it writes to.
    pub tenants: Vec<TenantNumber>,
    /// When it was made.
    pub created: Timestamp,
    pub(crate) generation: i64,
    pub(crate) password_hash: String,
}

impl Account {
    /// Whether the instance is its own, or of a tenant that it administers.
    #[must_use]
    pub fn owns(&self, instance: &Instance) -> bool {
        self.principal(Scope::Full, String::new()).owns(instance)
    }

    /// The account seen through a credential. That of an instance is one of its tenant alone.
    #[must_use]
    pub(crate) fn principal(&self, scope: Scope, credential: String) -> Principal {
        let mut tenants = self.tenants.clone();
        if let Scope::Instance { tenant, .. } = &scope {
            tenants.retain(|have| have == tenant);
        }
        Principal {
            account: self.id,
            name: self.name.clone(),
            role: self.role,
            tenants,
            own_user_ids: self.own_user_ids.clone(),
            scope,
            credential: credential.into(),
        }
    }
}

/// What a new account is made of.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Login name: 1-254 characters of letters, digits, `.`, `_`, `-`, `+`, `@` (ASCII).
    pub name: String,
    /// Password: 8 characters to 1,024 bytes.
    pub password: String,
    /// Role.
    pub role: Role,
    /// Tenants, at least one; the first is the one that it writes to.
    pub tenants: Vec<TenantNumber>,
    /// `user_id`s whose records are its own.
    pub own_user_ids: BTreeSet<String>,
}

/// What of an account is to change; `None` stays.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// New password; ends every session.
    pub password: Option<String>,
    /// New role; ends every session.
    pub role: Option<Role>,
    /// Whether it is disabled; ends every session.
    pub is_disabled: Option<bool>,
    /// New own `user_id`s.
    pub own_user_ids: Option<BTreeSet<String>>,
    /// New tenants, at least one.
    pub tenants: Option<Vec<TenantNumber>>,
}

/// ASCII only: two names that look alike (`аdmin` with a Cyrillic letter) cannot both exist.
pub(crate) fn check_name(name: &str) -> Result<(), MetaError> {
    let is_well_formed = (1..=ACCOUNT_NAME_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+' | b'@'));
    match is_well_formed {
        true => Ok(()),
        false => Err(MetaError::Invalid {
            field: "name",
            rule: "1 to 254 characters of a-z, A-Z, 0-9 and `._-+@`",
        }),
    }
}

/// The form of a name that is unique.
pub(crate) fn name_key(name: &str) -> String {
    name.to_ascii_lowercase()
}

pub(crate) fn check_password(password: &str) -> Result<(), MetaError> {
    let is_well_formed =
        password.chars().count() >= PASSWORD_CHARS_MIN && password.len() <= PASSWORD_BYTES_MAX;
    match is_well_formed {
        true => Ok(()),
        false => Err(MetaError::Invalid {
            field: "password",
            rule: "at least 8 characters and at most 1,024 bytes",
        }),
    }
}

pub(crate) fn check_own_user_ids(ids: &BTreeSet<String>) -> Result<(), MetaError> {
    let is_well_formed = ids.len() <= OWN_USER_IDS_MAX
        && ids
            .iter()
            .all(|id| (1..=USER_ID_BYTES_MAX).contains(&id.len()));
    match is_well_formed {
        true => Ok(()),
        false => Err(MetaError::Invalid {
            field: "own_user_ids",
            rule: "at most 1,000 ids of 1 to 256 bytes",
        }),
    }
}

pub(crate) fn check_tenants(tenants: &[TenantNumber]) -> Result<(), MetaError> {
    let distinct: BTreeSet<_> = tenants.iter().collect();
    match !tenants.is_empty() && distinct.len() == tenants.len() {
        true => Ok(()),
        false => Err(MetaError::Invalid {
            field: "tenants",
            rule: "at least one tenant and none twice",
        }),
    }
}

pub(crate) fn check_tenant_name(name: &str) -> Result<(), MetaError> {
    let is_well_formed = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
    match is_well_formed {
        true => Ok(()),
        false => Err(MetaError::Invalid {
            field: "name",
            rule: "1 to 64 characters of a-z, 0-9, `_` and `-`",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "Jane.Doe+x@example.org", &"a".repeat(254)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "аdmin", "a\n", "a:b", &"a".repeat(255)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn passwords_at_their_limits() {
        for good in ["12345678", "ääääääää", &"x".repeat(1_024)] {
            assert!(check_password(good).is_ok(), "{good}");
        }
        for bad in ["", "1234567", "äääääää", &"x".repeat(1_025)] {
            assert!(check_password(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tenants_and_own_ids() {
        assert!(check_tenants(&[]).is_err());
        assert!(check_tenants(&[TenantNumber(1), TenantNumber(1)]).is_err());
        assert!(check_tenants(&[TenantNumber(2), TenantNumber(1)]).is_ok());
        let ids = |count: usize| (0..count).map(|i| i.to_string()).collect();
        assert!(check_own_user_ids(&ids(1_000)).is_ok());
        assert!(check_own_user_ids(&ids(1_001)).is_err());
        assert!(check_own_user_ids(&BTreeSet::from([String::new()])).is_err());
        assert!(check_own_user_ids(&BTreeSet::from(["x".repeat(257)])).is_err());
    }
}
