//! The streams that the caller may read or write.
use super::{Json, data, schema::StreamEntry};
use crate::{auth::Caller, state::App};
use axum::extract::State;
use serde_json::json;
use taffrail_model::stream::AccessClass;

/// Streams
///
/// Every stream that the caller may read or write, by name.
#[utoipa::path(
    get, path = "/api/v1/streams", tag = "search",
    responses(
        (status = 200, description = "Streams by name", body = inline(super::schema::Data<super::schema::Streams>)),
        (status = 401, description = "No accepted credential", body = super::schema::ProblemDocument),
    )
)]
pub(crate) async fn streams(State(app): State<App>, caller: Caller) -> Json {
    let catalogue = app.engine.catalogue();
    let readable = app.engine.readable_streams(&caller.principal);
    let streams: Vec<StreamEntry> = catalogue
        .iter()
        .map(|stream| StreamEntry {
            name: stream.name.to_string(),
            may_read: readable.contains(&stream.number),
            may_write: caller.principal.may_write(stream),
            retention_days: stream.retention_days,
            is_strict: stream.is_strict,
            is_policy: stream.is_policy,
            is_sealed: stream.is_sealed,
            is_archived: stream.is_archived,
            is_searched_by_default: !stream.is_own_events,
            access: match stream.access {
                AccessClass::Restricted => "restricted",
                AccessClass::OwnRecords => "own_records",
            },
        })
        .filter(|entry| entry.may_read || entry.may_write)
        .collect();
    data(&json!({ "streams": streams }))
}
