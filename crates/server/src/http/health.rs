//! Health, for load balancers and supervisors. Says little, because it needs no credential.
use super::{Json, data};
use crate::state::App;
use axum::{extract::State, http::StatusCode};
use serde_json::json;

/// Health
///
/// 503 while records are refused or the server is being stopped.
#[utoipa::path(
    get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, description = "Healthy"), (status = 503, description = "Not healthy"))
)]
pub(crate) async fn healthz(State(app): State<App>) -> (StatusCode, Json) {
    let word = state_word(&app);
    (status(word), data(&json!({ "status": word })))
}

/// Liveness
///
/// 200 as long as the process answers: a restart mends nothing that this does not show.
#[utoipa::path(
    get, path = "/livez", tag = "health", security(()),
    responses((status = 200, description = "Alive"))
)]
pub(crate) async fn livez() -> Json {
    data(&json!({ "status": "alive" }))
}

/// Readiness
///
/// 503 when no traffic should be sent here.
#[utoipa::path(
    get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, description = "Ready"), (status = 503, description = "Not ready"))
)]
pub(crate) async fn readyz(State(app): State<App>) -> (StatusCode, Json) {
    let word = match state_word(&app) {
        "healthy" => "ready",
        other => other,
    };
    (status(word), data(&json!({ "status": word })))
}

fn state_word(app: &App) -> &'static str {
    if app.is_stopping() {
        return "stopping";
    }
    match app.engine.status().store.refusing.is_some() {
        true => "critical",
        false => "healthy",
    }
}

fn status(word: &str) -> StatusCode {
    match word {
        "healthy" | "ready" => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}
