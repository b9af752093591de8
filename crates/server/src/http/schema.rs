//! The shapes of bodies, as the description of the API shows them. Answers that hold records are
//! written by hand and only described here; the others are made of these types.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use taffrail_engine::meta::{ApiKey, Session};
use taffrail_model::access::Scope;
use utoipa::{IntoParams, ToSchema};

/// Every answer but errors.
#[derive(Serialize, ToSchema)]
pub struct Data<T> {
    /// What was asked for.
    pub data: T,
}

/// An error (RFC 9457), as `application/problem+json`.
#[derive(Serialize, ToSchema)]
pub struct ProblemDocument {
    /// Kind of the problem, such as `urn:taffrail:problem:invalid-query`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for people.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What was wrong here, and what would be right.
    pub detail: String,
    /// Id of the request, as in the header `X-Request-Id`.
    pub request_id: String,
    /// For a faulty query: first character at fault, counted from 0.
    pub start: Option<usize>,
    /// For a faulty query: character after the last one at fault.
    pub end: Option<usize>,
    /// For a faulty query: what would be right.
    pub hint: Option<String>,
    /// For an unknown stream: the nearest names.
    pub nearest: Option<Vec<String>>,
    /// For values that are not valid: all of them.
    pub errors: Option<Vec<ProblemField>>,
    /// For a batch of which nothing was taken: the first rejected records.
    pub rejected: Option<Vec<RejectedRecord>>,
}

/// One of several faults of a request.
#[derive(Serialize, ToSchema)]
pub struct ProblemField {
    /// Parameter or member of the body.
    pub field: String,
    /// What is wrong and what would be right.
    pub detail: String,
}

/// Answer of ingest.
#[derive(Serialize, ToSchema)]
pub struct IngestAnswerBody {
    /// What happened to the batch.
    pub data: IngestAnswerData,
}

/// What happened to a batch.
#[derive(Serialize, ToSchema)]
pub struct IngestAnswerData {
    /// Records that are durable.
    pub accepted: u32,
    /// Records that were not taken.
    pub rejected: Vec<RejectedRecord>,
    /// How many were not taken, where `rejected` was cut to the first of them.
    pub rejected_total: Option<u32>,
    /// Records that were left out on purpose, by reason.
    pub dropped: BTreeMap<String, u32>,
}

/// A record that was not taken.
#[derive(Serialize, ToSchema)]
pub struct RejectedRecord {
    /// Index of the record in the request, from 0.
    pub index: u32,
    /// Kind of fault, such as `invalid_json`, `record_too_large`, `too_deep`,
    /// `invalid_timestamp`, `too_old`, `missing_field`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What was wrong.
    pub detail: String,
}

/// What to search.
#[derive(Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchQuestion {
    /// Query in the search language; empty: everything.
    #[schema(example = "level:error source:figma")]
    pub query: Option<String>,
    /// Literal words beside the query, all of them in any order.
    pub search: Option<String>,
    /// Earliest time: RFC 3339, `now-1h`, `2026-01-04 14:00`, epoch; default: everything.
    #[schema(example = "now-1h")]
    pub start_time: Option<String>,
    /// Latest time, included.
    #[schema(example = "now")]
    pub end_time: Option<String>,
    /// `as_of` of another answer: count what it counted, with the same `now`.
    pub as_of: Option<String>,
    /// Zone of times without one, such as `Europe/Berlin`; default UTC.
    pub timezone: Option<String>,
    /// Streams, or prefixes with `*`; default: all that may be read but the product's own events.
    pub streams: Option<Vec<String>>,
    /// Records of the page, at most 10,000; 0 only counts; default 100.
    #[schema(maximum = 10_000, default = 100)]
    pub limit: Option<u32>,
    /// Records to pass over, at most 1,000,000; a cursor is faster.
    #[schema(maximum = 1_000_000)]
    pub offset: Option<u32>,
    /// `desc` (latest first), `asc`, or `arrival`.
    #[schema(default = "desc")]
    pub order: Option<String>,
    /// Fields to return, in this order; default all.
    pub fields: Option<Vec<String>>,
    /// Texts are cut to so many bytes, 16 to 65,536, and `_cut` of a record gives the whole lengths of those that were; default whole.
    #[schema(minimum = 16, maximum = 65_536)]
    pub preview_bytes: Option<u32>,
    /// Cursor of the page before.
    pub cursor: Option<String>,
    /// Whether the exact total is wanted, which takes a scan of everything that is asked for.
    #[schema(default = true)]
    pub count: Option<bool>,
}

/// A record: canonical names, then every other field by name, each value as it came.
#[derive(Serialize, ToSchema)]
pub struct Record {
    /// Time of the record.
    pub timestamp: String,
    /// Public id.
    pub id: String,
    /// `trace`, `debug`, `info`, `warn`, `error` or `critical`.
    pub level: String,
    /// What happened.
    pub message: Option<String>,
    /// Stream.
    pub stream: String,
    /// Tenant.
    pub tenant: String,
    /// Everything else, nested names joined by dots.
    #[serde(flatten)]
    pub fields: BTreeMap<String, serde_json::Value>,
}

/// Answer of a search.
#[derive(Serialize, ToSchema)]
pub struct SearchAnswer {
    /// The page.
    pub data: SearchPage,
}

/// A page of records.
#[derive(Serialize, ToSchema)]
pub struct SearchPage {
    /// The records.
    pub records: Vec<Record>,
    /// How many match in all pages; `null` without `count`.
    pub total: Option<u64>,
    /// Whether the total is not exact.
    pub total_is_estimate: bool,
    /// For the next page; `null` if this is the last.
    pub cursor: Option<String>,
    /// Milliseconds on the server.
    pub took_ms: f64,
    /// For other questions that are to count the same records.
    pub as_of: String,
    /// Whether something could not be read.
    pub partial: bool,
}

/// Answer of a search whose query has pipes.
#[derive(Serialize, ToSchema)]
pub struct TableAnswer {
    /// The table.
    pub data: TableData,
}

/// Columns and rows.
#[derive(Serialize, ToSchema)]
pub struct TableData {
    /// The columns.
    pub columns: Vec<TableColumn>,
    /// The rows, at most 10,000, with a value for each column.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    pub rows: Vec<Vec<serde_json::Value>>,
    /// How many rows there are.
    pub total: u64,
    /// Whether rows are missing because they are too many or too long for one answer.
    pub is_truncated: bool,
    /// Whether a number of different values, or the counts of `top`, are estimates.
    pub is_estimate: bool,
    /// Milliseconds on the server.
    pub took_ms: f64,
    /// For other questions that are to count the same records.
    pub as_of: String,
    /// Whether something could not be read.
    pub partial: bool,
}

/// A column of a table.
#[derive(Serialize, ToSchema)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `time`; values may be `null`.
    pub r#type: String,
}

/// What to count by time.
#[derive(Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistogramQuestion {
    /// Query in the search language; empty: everything.
    pub query: Option<String>,
    /// Literal words beside the query.
    pub search: Option<String>,
    /// Earliest time.
    pub start_time: Option<String>,
    /// Latest time, included.
    pub end_time: Option<String>,
    /// `as_of` of another answer: count what it counted, with the same `now`.
    pub as_of: Option<String>,
    /// Zone of times without one.
    pub timezone: Option<String>,
    /// Streams, or prefixes with `*`.
    pub streams: Option<Vec<String>>,
    /// Width of a bucket, such as `1m`.
    #[schema(example = "1m")]
    pub interval: Option<String>,
    /// Number of buckets for a readable width, at most 5,000; default 60.
    #[schema(maximum = 5_000)]
    pub buckets: Option<u32>,
    /// Field whose values split the counts.
    #[schema(example = "level")]
    pub by: Option<String>,
}

/// Answer of a histogram.
#[derive(Serialize, ToSchema)]
pub struct HistogramAnswer {
    /// The counts.
    pub data: HistogramData,
}

/// Counts by time.
#[derive(Serialize, ToSchema)]
pub struct HistogramData {
    /// Width of a bucket, such as `1m`.
    pub interval: String,
    /// One series, or one for each value of `by`, the largest first.
    pub series: Vec<HistogramSeries>,
    /// All counts together.
    pub total: u64,
    /// Milliseconds on the server.
    pub took_ms: f64,
    /// For other questions that are to count the same records.
    pub as_of: String,
    /// Whether something could not be read.
    pub partial: bool,
}

/// Counts of one value.
#[derive(Serialize, ToSchema)]
pub struct HistogramSeries {
    /// The value; `null` unless `kind` is `value`.
    pub key: Option<String>,
    /// `all` (no `by`), `value`, `missing` (records without the field), `other` (further values).
    pub kind: String,
    /// (beginning of the bucket, count), without empty buckets.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    pub points: Vec<(String, u64)>,
}

/// Which facets.
#[derive(Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FacetsQuestion {
    /// Query in the search language; empty: everything.
    pub query: Option<String>,
    /// Literal words beside the query.
    pub search: Option<String>,
    /// Earliest time.
    pub start_time: Option<String>,
    /// Latest time, included.
    pub end_time: Option<String>,
    /// `as_of` of another answer: count what it counted, with the same `now`.
    pub as_of: Option<String>,
    /// Zone of times without one.
    pub timezone: Option<String>,
    /// Streams, or prefixes with `*`.
    pub streams: Option<Vec<String>>,
    /// Fields, 1 to 20; `stream` is one too.
    pub fields: Vec<String>,
    /// Values of each, at most 1,000; default 10.
    #[schema(maximum = 1_000, default = 10)]
    pub limit: Option<u32>,
}

/// Answer of facets.
#[derive(Serialize, ToSchema)]
pub struct FacetsAnswer {
    /// The facets.
    pub data: FacetsData,
}

/// Facets in the order of the request.
#[derive(Serialize, ToSchema)]
pub struct FacetsData {
    /// One for each field.
    pub facets: Vec<FacetEntry>,
    /// Milliseconds on the server.
    pub took_ms: f64,
    /// For other questions that are to count the same records.
    pub as_of: String,
    /// Whether something could not be read.
    pub partial: bool,
}

/// The most frequent values of a field.
#[derive(Serialize, ToSchema)]
pub struct FacetEntry {
    /// The field.
    pub field: String,
    /// The most frequent first.
    pub values: Vec<FacetValueEntry>,
    /// Number of different values.
    pub distinct: u64,
    /// Whether `distinct` is an estimate and the counts are lower bounds.
    pub is_estimate: bool,
}

/// A value and how often it is there.
#[derive(Serialize, ToSchema)]
pub struct FacetValueEntry {
    /// Its text.
    pub value: String,
    /// Records that have it.
    pub count: u64,
}

/// Which records' fields.
#[derive(Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FieldsQuestion {
    /// Query in the search language; empty: everything.
    pub query: Option<String>,
    /// Literal words beside the query.
    pub search: Option<String>,
    /// Earliest time.
    pub start_time: Option<String>,
    /// Latest time, included.
    pub end_time: Option<String>,
    /// `as_of` of another answer: count what it counted, with the same `now`.
    pub as_of: Option<String>,
    /// Zone of times without one.
    pub timezone: Option<String>,
    /// Streams, or prefixes with `*`.
    pub streams: Option<Vec<String>>,
}

/// Answer of fields.
#[derive(Serialize, ToSchema)]
pub struct FieldsAnswer {
    /// The fields.
    pub data: FieldsData,
}

/// Fields by name.
#[derive(Serialize, ToSchema)]
pub struct FieldsData {
    /// One for each.
    pub fields: Vec<FieldEntry>,
    /// Milliseconds on the server.
    pub took_ms: f64,
    /// For other questions that are to count the same records.
    pub as_of: String,
    /// Whether something could not be read.
    pub partial: bool,
}

/// A field of the matching records.
#[derive(Serialize, ToSchema)]
pub struct FieldEntry {
    /// Its name.
    pub name: String,
    /// `string`, `integer`, `float`, `boolean`, `json`.
    pub kinds: Vec<String>,
    /// Records that have it.
    pub count: u64,
}

/// Answer of context.
#[derive(Serialize, ToSchema)]
pub struct ContextAnswer {
    /// The record and its neighbours.
    pub data: ContextData,
}

/// A record and its neighbours.
#[derive(Serialize, ToSchema)]
pub struct ContextData {
    /// The record.
    pub record: Record,
    /// Those before it, earliest first.
    pub before: Vec<Record>,
    /// Those after it, earliest first.
    pub after: Vec<Record>,
    /// Milliseconds on the server.
    pub took_ms: f64,
    /// Whether something could not be read.
    pub partial: bool,
}

/// The streams of the caller.
#[derive(Serialize, ToSchema)]
pub struct Streams {
    /// By name.
    pub streams: Vec<StreamEntry>,
}

/// A stream.
#[derive(Serialize, ToSchema)]
pub struct StreamEntry {
    /// Its name.
    pub name: String,
    /// Whether the caller may read something of it.
    pub may_read: bool,
    /// Whether the caller may write to it.
    pub may_write: bool,
    /// Days that a record is kept; `null`: for ever.
    pub retention_days: Option<u32>,
    /// Whether records without a required field are rejected.
    pub is_strict: bool,
    /// Whether missing required fields are filled in.
    pub is_policy: bool,
    /// Whether it is tamper-evident.
    pub is_sealed: bool,
    /// Whether expired records go to the archive.
    pub is_archived: bool,
    /// Whether it is searched when no stream is named.
    pub is_searched_by_default: bool,
    /// `restricted`, or `own_records`: users see the records of their own user ids.
    pub access: &'static str,
}

/// Filters of the log route.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LogsParameters {
    /// Program.
    pub source: Option<String>,
    /// Level, exactly; several separated by commas.
    pub level: Option<String>,
    /// Earliest time.
    pub start_time: Option<String>,
    /// Latest time, included.
    pub end_time: Option<String>,
    /// `as_of` of another answer: count what it counted, with the same `now`.
    pub as_of: Option<String>,
    /// Zone of times without one.
    pub timezone: Option<String>,
    /// Trace.
    pub trace_id: Option<String>,
    /// Whose record.
    pub user_id: Option<String>,
    /// Module path (`logger`).
    pub module: Option<String>,
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
}

/// Answer of the log route.
#[derive(Serialize, ToSchema)]
pub struct LogsAnswer {
    /// The page.
    pub data: LogsPage,
}

/// A page of records.
#[derive(Serialize, ToSchema)]
pub struct LogsPage {
    /// The latest first.
    pub logs: Vec<Record>,
    /// Where the page stands.
    pub pagination: Pagination,
    /// The filters as they were understood.
    pub filters_applied: BTreeMap<String, serde_json::Value>,
    /// For other questions that are to count the same records.
    pub as_of: String,
    /// Whether something could not be read.
    pub partial: bool,
}

/// Where a page stands.
#[derive(Serialize, ToSchema)]
pub struct Pagination {
    /// How many match.
    pub total: u64,
    /// Records of a page.
    pub limit: u32,
    /// Records that were passed over.
    pub offset: u32,
    /// Whether there is a next page.
    pub has_more: bool,
    /// For the next page.
    pub cursor: Option<String>,
}

/// Answer with one record.
#[derive(Serialize, ToSchema)]
pub struct LogAnswer {
    /// The record.
    pub data: Record,
}

/// Credentials of a login.
#[derive(Deserialize, ToSchema)]
pub struct Login {
    /// Name of the account.
    pub name: String,
    /// Its password.
    pub password: String,
}

/// Who one is.
#[derive(Serialize, ToSchema)]
pub struct SessionInfo {
    /// Number of the account; `null` for the bootstrap key.
    pub account: Option<i64>,
    /// Login name.
    pub name: String,
    /// `admin` or `user`.
    pub role: &'static str,
    /// Tenants; the first is written to.
    pub tenants: Vec<String>,
    /// User ids whose records are the account's own.
    pub own_user_ids: Vec<String>,
    /// What the credential may be used for.
    pub scope: ScopeEntry,
    /// Whether it may administer.
    pub may_administer: bool,
    /// Whether it may change its password and make keys.
    pub may_manage_own_account: bool,
    /// The session, if the credential is one.
    pub session: Option<SessionEntry>,
    /// Header that a script without browser sends with changes under a cookie.
    pub change_header: &'static str,
}

/// Sessions of an account.
#[derive(Serialize, ToSchema)]
pub struct Sessions {
    /// Those that have not ended.
    pub sessions: Vec<SessionEntry>,
}

/// A session.
#[derive(Serialize, ToSchema)]
pub struct SessionEntry {
    /// Its number.
    pub id: i64,
    /// When it began.
    pub created_at: String,
    /// When it was last used, to within a minute.
    pub last_seen_at: String,
    /// When it ends at the latest.
    pub expires_at: String,
    /// Address that logged in.
    pub address: Option<String>,
}

impl From<Session> for SessionEntry {
    fn from(session: Session) -> SessionEntry {
        SessionEntry {
            id: session.id,
            created_at: session.created.to_rfc3339(),
            last_seen_at: session.last_seen.to_rfc3339(),
            expires_at: session.expires.to_rfc3339(),
            address: session.address,
        }
    }
}

/// Accounts.
#[derive(Serialize, ToSchema)]
pub struct Users {
    /// By number.
    pub users: Vec<User>,
}

/// An account.
#[derive(Serialize, ToSchema)]
pub struct User {
    /// Its number.
    pub id: i64,
    /// Login name.
    pub name: String,
    /// `admin` or `user`.
    pub role: &'static str,
    /// Whether it may not log in.
    pub is_disabled: bool,
    /// User ids whose records are its own.
    pub own_user_ids: Vec<String>,
    /// Tenants; the first is written to.
    pub tenants: Vec<String>,
    /// When it was made.
    pub created_at: String,
}

/// A new account.
#[derive(Deserialize, ToSchema)]
pub struct CreateUser {
    /// 1 to 254 characters of letters, digits and `._-+@`; unique whatever the case.
    pub name: String,
    /// 8 characters to 1,024 bytes.
    pub password: String,
    /// `admin` or `user`; default `user`.
    pub role: Option<String>,
    /// User ids whose records are its own; default none.
    pub own_user_ids: Option<Vec<String>>,
    /// Tenants, of one's own; default the one that one writes to.
    pub tenants: Option<Vec<String>>,
}

/// What of an account is to change.
#[derive(Deserialize, ToSchema)]
pub struct ChangeUser {
    /// New password; ends every session.
    pub password: Option<String>,
    /// New role; ends every session.
    pub role: Option<String>,
    /// Whether it is disabled; ends every session.
    pub is_disabled: Option<bool>,
    /// New own user ids.
    pub own_user_ids: Option<Vec<String>>,
    /// New tenants.
    pub tenants: Option<Vec<String>>,
}

/// A change of the own password.
#[derive(Deserialize, ToSchema)]
pub struct OwnPassword {
    /// The password so far.
    pub old_password: String,
    /// The new one.
    pub new_password: String,
}

/// API keys.
#[derive(Serialize, ToSchema)]
pub struct Keys {
    /// By number.
    pub keys: Vec<Key>,
}

/// An API key.
#[derive(Serialize, ToSchema)]
pub struct Key {
    /// Its number.
    pub id: i64,
    /// Account that it acts for.
    pub account: i64,
    /// Its name.
    pub name: String,
    /// What it may be used for.
    pub scope: ScopeEntry,
    /// When it was made.
    pub created_at: String,
    /// When it ends.
    pub expires_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// When it was last used, to within five minutes.
    pub last_used_at: Option<String>,
}

impl From<ApiKey> for Key {
    fn from(key: ApiKey) -> Key {
        Key {
            id: key.id,
            account: key.account,
            name: key.name,
            scope: key.scope.into(),
            created_at: key.created.to_rfc3339(),
            expires_at: key.expires.map(|time| time.to_rfc3339()),
            revoked_at: key.revoked.map(|time| time.to_rfc3339()),
            last_used_at: key.last_used.map(|time| time.to_rfc3339()),
        }
    }
}

/// A key just made.
#[derive(Serialize, ToSchema)]
pub struct CreatedKeyEntry {
    /// The key.
    #[serde(flatten)]
    pub key: Key,
    /// Its secret, shown this once: `Authorization: Bearer <secret>`.
    pub secret: String,
}

/// A new API key.
#[derive(Deserialize, ToSchema)]
pub struct CreateKey {
    /// Account that it acts for; default the own one.
    pub account: Option<i64>,
    /// 1 to 100 characters.
    pub name: String,
    /// What it may be used for; default `full`.
    pub scope: Option<ScopeEntry>,
    /// When it ends; default never.
    pub expires_at: Option<String>,
}

/// What a credential may be used for, within what its account may do.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(tag = "scope", rename_all = "snake_case", deny_unknown_fields)]
pub enum ScopeEntry {
    /// Everything that the account may do.
    Full,
    /// Only ingest, into the streams of these names and prefixes with `*`.
    Ingest {
        /// Stream patterns.
        streams: Vec<String>,
    },
    /// Only reads, of the streams of these names and prefixes with `*`.
    Read {
        /// Stream patterns.
        streams: Vec<String>,
    },
    /// Only ingest, of the records of one instance.
    Instance {
        /// Id of the instance.
        instance: String,
    },
}

impl From<Scope> for ScopeEntry {
    fn from(scope: Scope) -> ScopeEntry {
        match scope {
            Scope::Full => ScopeEntry::Full,
            Scope::Ingest { streams } => ScopeEntry::Ingest { streams },
            Scope::Read { streams } => ScopeEntry::Read { streams },
            Scope::Instance { instance, .. } => ScopeEntry::Instance { instance },
        }
    }
}

/// Parameters of the live tail.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TailParameters {
    /// Query in the search language; empty: everything.
    pub query: Option<String>,
    /// Literal words beside the query.
    pub search: Option<String>,
    /// Streams, or prefixes with `*`.
    pub streams: Option<Vec<String>>,
    /// Latest records to begin with, at most 10,000; default 0.
    #[param(maximum = 10_000)]
    pub backlog: Option<u32>,
    /// Cursor of the connection before: go on after it, without backlog.
    pub cursor: Option<String>,
    /// Fields to return, in this order; default all.
    pub fields: Option<Vec<String>>,
    /// Texts are cut to so many bytes, 16 to 65,536, and `_cut` of a record gives the whole lengths of those that were; default whole.
    #[param(minimum = 16, maximum = 65_536)]
    pub preview_bytes: Option<u32>,
}
