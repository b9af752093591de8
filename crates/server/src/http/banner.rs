//! What the server says at `/`: the UI to browsers, its name to everybody else.
use super::{Json, schema::ProblemDocument};
use crate::ui;
use axum::{
    body::Bytes,
    http::{HeaderMap, Method},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Banner
#[utoipa::path(
    get, path = "/", tag = "health", security(()),
    responses(
        (status = 200, description = "Name and version"),
        (status = 503, description = "Being stopped", body = ProblemDocument),
    )
)]
pub(crate) async fn banner(method: Method, headers: HeaderMap) -> Response {
    if ui::is_page_wanted(&method, "/", &headers) {
        return ui::page();
    }
    let banner = json!({
        "name": "taffrail",
        "version": { "number": env!("CARGO_PKG_VERSION") },
        "tagline": "Logs for agents and MCP platforms",
        "links": { "api": "/docs/api", "openapi": "/api/v1/openapi.json" },
    });
    Json::from(Bytes::from(banner.to_string())).into_response()
}
