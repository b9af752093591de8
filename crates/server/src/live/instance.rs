//! The live tail of one MCP instance over a WebSocket.
use super::{
    begin,
    feed::Envelope,
    socket::{Upgrade, serve},
};
use crate::{
    auth::Caller,
    http::{
        mcps::{self, McpTailParameters},
        schema::ProblemDocument,
    },
    parameters::Parameters,
    problem::Problem,
    state::App,
};
use axum::{
    extract::{Path, State},
    http::Uri,
    response::Response,
};

/// Live tail of an instance (WebSocket)
///
/// The latest `backlog` records, then every new one, as text frames:
/// `{"type":"log_entry","data":{"timestamp","level","message","metadata":{…}},"cursor":"…"}`, and
/// between them `dropped`, `cursor` and `error` as on `/ws/logs`.
#[utoipa::path(
    get, path = "/ws/mcps/{instanceId}/logs", tag = "mcps",
    params(("instanceId" = String, Path, description = "Id of the instance"), McpTailParameters),
    responses(
        (status = 101, description = "Upgraded"),
        (status = 400, description = "No WebSocket handshake, or the query cannot be read", body = ProblemDocument),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "A page of another website, or a key that reads no instances", body = ProblemDocument),
        (status = 404, description = "No such instance", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
        (status = 503, description = "Too many tails", body = ProblemDocument),
    )
)]
pub(crate) async fn instance_socket(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let (caller, instance) = mcps::reader(&app, caller, &id).await?;
    let mut asked = Parameters::from_uri(&uri)?.without_empty();
    let filters = mcps::read_filters(&mut asked, &instance);
    let opened = begin(&app, &caller, asked, filters.parts, Envelope::Mcp, None)?;
    Ok(serve(app, caller, opened, upgrade))
}
