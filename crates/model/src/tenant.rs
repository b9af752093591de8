//! Tenants: the outermost boundary between records.
use serde::{Deserialize, Serialize};

/// Number of a tenant, assigned by the metadata database and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantNumber(pub u32);

/// The tenant named `default`, which exists from the first start.
pub const DEFAULT_TENANT: TenantNumber = TenantNumber(1);

impl std::fmt::Display for TenantNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}
