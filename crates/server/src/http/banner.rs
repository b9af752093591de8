//! What the server says at `/` to clients that are no browser.
use super::{Json, schema::ProblemDocument};
use serde_json::json;

/// Banner
#[utoipa::path(
    get, path = "/", tag = "health", security(()),
    responses(
        (status = 200, description = "Name and version"),
        (status = 503, description = "Being stopped", body = ProblemDocument),
    )
)]
pub(crate) async fn banner() -> Json {
    let banner = json!({
        "name": "taffrail",
        "version": { "number": env!("CARGO_PKG_VERSION") },
        "tagline": "Logs for agents and MCP platforms",
        "links": { "api": "/docs/api", "openapi": "/api/v1/openapi.json" },
    });
    Json(banner.to_string().into_bytes().into())
}
