//! MCP instances: what a new one is made of, what of it may change, and what its fields may be.
use crate::{account::USER_ID_BYTES_MAX, error::MetaError};
use std::sync::Arc;
use taffrail_model::{
    instance::{Instance, InstanceStatus},
    tenant::TenantNumber,
};

/// Bytes of an instance's id: a UUID or a name with a prefix fits.
pub const INSTANCE_ID_BYTES_MAX: usize = 128;
/// Characters of the name of a service.
pub const SERVICE_CHARS_MAX: usize = 100;
/// Instances of one tenant, deleted ones included: each is held in memory (some 300 bytes), since
/// every record of one is checked against it.
pub const INSTANCES_PER_TENANT_MAX: usize = 100_000;

/// What a new instance is made of.
#[derive(Clone, Debug)]
pub struct NewInstance {
    /// Whose tenant's.
    pub tenant: TenantNumber,
    /// Its id; `None`: a new UUID.
    pub id: Option<String>,
    /// Its owner, 1 to 256 bytes.
    pub user_id: String,
    /// What it serves.
    pub service: Option<String>,
    /// Whether it works.
    pub status: InstanceStatus,
}

/// What of an instance is to change; `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceChange {
    /// New status.
    pub status: Option<InstanceStatus>,
    /// New service; `Some(None)`: none.
    pub service: Option<Option<String>>,
}

/// An instance before and after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedInstance {
    /// As it was.
    pub before: Arc<Instance>,
    /// As it is.
    pub after: Arc<Instance>,
}

pub(crate) fn check_instance(new: &NewInstance) -> Result<(), MetaError> {
    if let Some(id) = &new.id {
        check_id(id)?;
    }
    if !(1..=USER_ID_BYTES_MAX).contains(&new.user_id.len()) {
        return Err(MetaError::Invalid {
            field: "user_id",
            rule: "1 to 256 bytes",
        });
    }
    check_service(new.service.as_deref())
}

/// The id is a part of paths, of names of files and of queries: nothing in it needs an escape.
fn check_id(id: &str) -> Result<(), MetaError> {
    let is_well_formed = (1..=INSTANCE_ID_BYTES_MAX).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    match is_well_formed {
        true => Ok(()),
        false => Err(MetaError::Invalid {
            field: "id",
            rule: "a UUID or 1 to 128 characters of a-z, A-Z, 0-9 and `._-`, beginning with a letter or digit",
        }),
    }
}

pub(crate) fn check_service(service: Option<&str>) -> Result<(), MetaError> {
    let is_well_formed = service.is_none_or(|name| {
        (1..=SERVICE_CHARS_MAX).contains(&name.chars().count())
            && !name.chars().any(char::is_control)
    });
    match is_well_formed {
        true => Ok(()),
        false => Err(MetaError::Invalid {
            field: "service",
            rule: "1 to 100 characters, none of them a control character",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for good in [
            "a",
            "7",
            "figma-prod.2_b",
            "0191f3c2-7d3a-7c5b-9f1e-2a4b6c8d0e1f",
            &"x".repeat(128),
        ] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "-a",
            "a/b",
            "a b",
            "ä",
            "a\n",
            "%2e",
            &"x".repeat(129),
        ] {
            assert!(check_id(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn services() {
        assert!(check_service(None).is_ok());
        assert!(check_service(Some("figma")).is_ok());
        assert!(check_service(Some(&"ä".repeat(100))).is_ok());
        for bad in ["", "a\tb", &"ä".repeat(101)] {
            assert!(check_service(Some(bad)).is_err(), "{bad:?}");
        }
    }
}
