//! The routes, one file for each area, and their description (OpenAPI), which is made from the
//! same declarations.
mod banner;
mod body;
mod context;
pub mod deletions;
mod facets;
mod fields;
mod filters;
mod health;
mod histogram;
mod ingest;
mod keys;
mod list;
mod logs;
pub mod mcps;
pub(crate) mod metrics;
mod openapi;
mod pieces;
mod question;
pub mod schema;
mod search;
mod sessions;
mod streams;
mod table;
mod users;

pub(crate) use question::{QuestionParts, read_question};
pub(crate) use search::read_shape;

use crate::{
    answers::{CutMark, HeldAnswer},
    live,
    problem::{Kind, Problem},
    request_log,
    state::{App, State},
    ui,
};
use axum::{
    Router,
    body::Bytes,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
};
use std::{any::Any, sync::Arc, time::Duration};
use taffrail_engine::Engine;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::{router::OpenApiRouter, routes};

/// All described routes.
fn described() -> OpenApiRouter<App> {
    openapi::document()
        .routes(routes!(ingest::ingest))
        .routes(routes!(search::search_post, search::search_get))
        .routes(routes!(histogram::histogram_post, histogram::histogram_get))
        .routes(routes!(facets::facets_post, facets::facets_get))
        .routes(routes!(fields::fields_post, fields::fields_get))
        .routes(routes!(context::context))
        .routes(routes!(streams::streams))
        .routes(routes!(logs::logs))
        .routes(routes!(logs::log))
        .routes(routes!(mcps::instances, mcps::create_instance))
        .routes(routes!(
            mcps::instance,
            mcps::change_instance,
            mcps::delete_instance
        ))
        .routes(routes!(mcps::instance_keys, mcps::create_instance_key))
        .routes(routes!(mcps::instance_logs))
        .routes(routes!(live::instance_socket))
        .routes(routes!(live::tail_sse))
        .routes(routes!(live::tail_socket))
        .routes(routes!(sessions::login, sessions::sessions))
        .routes(routes!(sessions::current, sessions::logout))
        .routes(routes!(sessions::revoke))
        .routes(routes!(users::users, users::create_user))
        .routes(routes!(users::user, users::change_user, users::delete_user))
        .routes(routes!(users::change_own_password))
        .routes(routes!(keys::keys, keys::create_key))
        .routes(routes!(keys::key, keys::revoke_key))
        .routes(routes!(deletions::deletions, deletions::create_deletion))
        .routes(routes!(deletions::deletion, deletions::cancel_deletion))
        .routes(routes!(health::healthz))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi::openapi_json))
        .routes(routes!(banner::banner))
}

/// The OpenAPI document, as it is published in contracts/openapi.json.
#[must_use]
pub fn openapi_json() -> String {
    let (_, document) = described().split_for_parts();
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// All routes over an engine.
pub(crate) fn router(
    engine: Engine,
    bootstrap_key: Option<String>,
    metrics_are_public: bool,
    answer_held_min: Duration,
) -> (Router, App) {
    let (described, document) = described().split_for_parts();
    let openapi_json = serde_json::to_string(&document).unwrap_or_default();
    let docs_html = openapi::page(&document);
    let app = Arc::new(State::new(
        engine,
        bootstrap_key,
        metrics_are_public,
        answer_held_min,
        openapi_json,
        docs_html,
    ));
    let router = described
        .route("/health", axum::routing::get(health::healthz))
        .route("/ready", axum::routing::get(health::readyz))
        .route("/docs/api", axum::routing::get(openapi::docs))
        .route("/assets/{name}", axum::routing::get(ui::asset))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(
            app.clone(),
            refuse_when_stopping,
        ))
        .layer(middleware::from_fn_with_state(
            app.clone(),
            request_log::layer,
        ))
        .with_state(app.clone());
    (router, app)
}

/// The UI has addresses of its own, which only its page knows.
async fn no_route(request: Request) -> Response {
    let path = request.uri().path();
    if ui::is_page_wanted(request.method(), path, request.headers()) {
        return ui::page();
    }
    let path: String = path.chars().take(200).collect();
    Problem::new(Kind::NotFound, format!("there is no route {path:?}")).into_response()
}

async fn no_method() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "see the header Allow")
}

/// Requests on connections that are still open when the stop begins.
async fn refuse_when_stopping(
    axum::extract::State(app): axum::extract::State<App>,
    request: Request,
    next: middleware::Next,
) -> Response {
    let path = request.uri().path();
    let is_probe = matches!(
        path,
        "/livez" | "/readyz" | "/healthz" | "/health" | "/ready"
    );
    if app.is_stopping() && !is_probe {
        return Problem::new(Kind::Stopping, "the server is being stopped").into_response();
    }
    next.run(request).await
}

fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    let text = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied());
    let cause = std::io::Error::other(text.unwrap_or("panic").to_owned());
    Problem::internal(&cause).into_response()
}

/// A body that is JSON text already.
pub(crate) struct Json {
    text: Bytes,
    /// Of an answer that may be cut while it is sent.
    mark: Option<CutMark>,
}

impl From<Bytes> for Json {
    fn from(text: Bytes) -> Json {
        Json { text, mark: None }
    }
}

impl From<HeldAnswer> for Json {
    fn from(answer: HeldAnswer) -> Json {
        Json {
            text: answer.text,
            mark: Some(answer.mark),
        }
    }
}

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        let mut response = self.text.into_response();
        if let Some(mark) = self.mark {
            response.extensions_mut().insert(mark);
        }
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        response
    }
}

/// `{"data": …}` of a value.
pub(crate) fn data(value: &impl serde::Serialize) -> Json {
    Json::from(Bytes::from(data_text(value)))
}

/// The text of [`data`].
fn data_text(value: &impl serde::Serialize) -> Vec<u8> {
    let mut out = br#"{"data":"#.to_vec();
    // Values of our own types always have a JSON text: their keys are texts.
    out.extend(serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec()));
    out.push(b'}');
    out
}

/// 201 with `{"data": …}`.
pub(crate) fn created(value: &impl serde::Serialize) -> Response {
    (StatusCode::CREATED, data(value)).into_response()
}
