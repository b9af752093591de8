//! The shapes of instances and of their records.
use super::super::schema::{Key, Pagination};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use taffrail_model::{
    instance::{DELETED_KEPT_S, Instance},
    time::{NS_PER_S, Timestamp},
};
use utoipa::{IntoParams, ToSchema};

/// Instances.
#[derive(Serialize, ToSchema)]
pub struct Mcps {
    /// By number.
    pub instances: Vec<Mcp>,
}

/// An MCP instance: a program that works for one user.
#[derive(Serialize, ToSchema)]
pub struct Mcp {
    /// Its number.
    pub number: i64,
    /// Its id: the `instance_id` of its records.
    pub id: String,
    /// Its tenant.
    pub tenant: String,
    /// Its owner: the `user_id` of its records.
    pub user_id: String,
    /// What it serves: the `source` of records that name none.
    pub service: Option<String>,
    /// `active`, `inactive` or `expired`; records of an active one are taken.
    pub status: &'static str,
    /// When it was made.
    pub created_at: String,
    /// When it was last changed.
    pub changed_at: String,
    /// When it was deleted.
    pub deleted_at: Option<String>,
    /// Until when the records of a deleted one can be read.
    pub records_until: Option<String>,
}

impl Mcp {
    /// An instance of the tenant of this name.
    #[must_use]
    pub fn new(instance: &Instance, tenant: String) -> Mcp {
        let until = |deleted: Timestamp| {
            Timestamp(deleted.0.saturating_add(DELETED_KEPT_S * NS_PER_S)).to_rfc3339()
        };
        Mcp {
            number: instance.number,
            id: instance.id.to_string(),
            tenant,
            user_id: instance.user_id.to_string(),
            service: instance.service.as_deref().map(str::to_owned),
            status: instance.status.name(),
            created_at: instance.created.to_rfc3339(),
            changed_at: instance.changed.to_rfc3339(),
            deleted_at: instance.deleted.map(|time| time.to_rfc3339()),
            records_until: instance.deleted.map(until),
        }
    }
}

/// A new instance.
#[derive(Deserialize, ToSchema)]
pub struct CreateMcp {
    /// A UUID or a name of 1 to 128 characters of a-z, A-Z, 0-9 and `._-`; default a new UUID.
    pub id: Option<String>,
    /// Its owner, for ever; default the account's own user id, if it has exactly one. Admins give
    /// any.
    pub user_id: Option<String>,
    /// What it serves, such as `figma`.
    pub service: Option<String>,
    /// `active`, `inactive` or `expired`; default `active`.
    pub status: Option<String>,
}

/// What of an instance is to change.
#[derive(Deserialize, ToSchema)]
pub struct ChangeMcp {
    /// New status.
    pub status: Option<String>,
    /// New service; empty: none.
    pub service: Option<String>,
}

/// A new key of an instance.
#[derive(Deserialize, ToSchema)]
pub struct CreateMcpKey {
    /// 1 to 100 characters.
    pub name: String,
    /// Account that it acts for, which must own the instance; default the own one.
    pub account: Option<i64>,
    /// When it ends; default never.
    pub expires_at: Option<String>,
}

/// Keys of an instance.
#[derive(Serialize, ToSchema)]
pub struct McpKeys {
    /// By number.
    pub keys: Vec<Key>,
}

/// Filters of an instance's records.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct McpLogsParameters {
    /// Earliest time.
    pub start_time: Option<String>,
    /// Latest time, included.
    pub end_time: Option<String>,
    /// Zone of times without one.
    pub timezone: Option<String>,
    /// `debug`, `info`, `warn` or `error`; several separated by commas.
    pub level: Option<String>,
    /// Literal words, all of them in any order; never a syntax error.
    pub search: Option<String>,
    /// Query in the search language.
    pub q: Option<String>,
    /// Records of the page, at most 1,000; default 100.
    #[param(maximum = 1_000)]
    pub limit: Option<u32>,
    /// Records to pass over.
    pub offset: Option<u32>,
    /// Cursor of the page before.
    pub cursor: Option<String>,
    /// `as_of` of another answer: count what it counted, with the same `now`.
    pub as_of: Option<String>,
    /// `json` (default), `csv` or `txt`.
    pub format: Option<String>,
}

/// Answer with records of an instance.
#[derive(Serialize, ToSchema)]
pub struct McpLogsAnswer {
    /// The page.
    pub data: McpLogsPage,
}

/// A page of an instance's records.
#[derive(Serialize, ToSchema)]
pub struct McpLogsPage {
    /// The latest first.
    pub logs: Vec<McpEntry>,
    /// Where the page stands.
    pub pagination: Pagination,
    /// The filters as they were understood.
    pub filters_applied: BTreeMap<String, serde_json::Value>,
    /// What was counted, for another answer about the same.
    pub as_of: String,
    /// Whether something could not be read.
    pub partial: bool,
}

/// A record of an instance.
#[derive(Serialize, ToSchema)]
pub struct McpEntry {
    /// Time of the record.
    pub timestamp: String,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// What happened.
    pub message: String,
    /// Everything else.
    pub metadata: McpMetadata,
}

/// What else a record of an instance says.
#[derive(Serialize, ToSchema)]
pub struct McpMetadata {
    /// `stdout`, `stderr`, `system` or `http`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The instance.
    #[serde(rename = "instanceId")]
    pub instance_id: String,
    /// Its owner.
    #[serde(rename = "userId")]
    pub user_id: String,
    /// What it serves.
    pub service: Option<String>,
    /// Public id of the record.
    pub id: String,
    /// `instance.app`, `instance.access` or `instance.error`.
    pub stream: String,
    /// Every other field, nested names joined by dots.
    #[serde(flatten)]
    pub fields: BTreeMap<String, serde_json::Value>,
}

/// Parameters of an instance's live tail.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct McpTailParameters {
    /// `debug`, `info`, `warn` or `error`; several separated by commas.
    pub level: Option<String>,
    /// Literal words, all of them in any order.
    pub search: Option<String>,
    /// Query in the search language.
    pub q: Option<String>,
    /// Latest records to begin with, at most 10,000; default 0.
    #[param(maximum = 10_000)]
    pub backlog: Option<u32>,
    /// Cursor of the connection before: go on after it, without backlog.
    pub cursor: Option<String>,
}
