//! The description of the API: as JSON, and as a page that loads nothing from elsewhere.
use super::{Json, schema};
use crate::{auth::SESSION_COOKIE, problem::Kind, state::App};
use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use serde_json::{Map, Value};
use std::fmt::Write;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Taffrail",
        description = "Logs for agents and MCP platforms. Errors are RFC 9457 problem documents; \
                       every response carries X-Request-Id.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(
        schema::ProblemDocument,
        schema::ProblemField,
        schema::RejectedRecord,
        schema::TableAnswer,
    )),
    security(("api_key" = []), ("session" = [])),
    modifiers(&Credentials),
    tags(
        (name = "ingest", description = "Records in"),
        (name = "search", description = "Records out: pages, counts, neighbours"),
        (name = "tail", description = "Records as they come"),
        (name = "logs", description = "Records by filters"),
        (name = "mcps", description = "MCP instances, their keys and records"),
        (name = "deletions", description = "Records that go for good"),
        (name = "sessions", description = "Login and logout"),
        (name = "users", description = "Accounts"),
        (name = "keys", description = "API keys"),
        (name = "health", description = "Health, measures, and this description"),
    )
)]
struct Document;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key"))
            .build();
        components.add_security_scheme("api_key", SecurityScheme::Http(bearer));
        let cookie = ApiKey::Cookie(ApiKeyValue::new(SESSION_COOKIE));
        components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    }
}

/// The document without its routes.
pub(super) fn document() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
}

/// This description
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "health", security(()),
    responses((status = 200, description = "OpenAPI 3.1"))
)]
pub(crate) async fn openapi_json(State(app): State<App>) -> Json {
    Json::from(app.openapi_json.clone())
}

/// The page.
pub(crate) async fn docs(State(app): State<App>) -> Response {
    let mut response = Html(app.docs_html.clone()).into_response();
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    let headers: [(HeaderName, &'static str); 1] = [(header::CONTENT_SECURITY_POLICY, policy)];
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
code,pre{font-family:ui-monospace,monospace;font-size:.9em}pre{overflow:auto;padding:.5rem;background:#8882}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.2rem .6rem;border-bottom:1px solid #8884}\
summary{cursor:pointer;padding:.3rem 0}.m{display:inline-block;min-width:4.5rem;font-weight:700}:root{color-scheme:light dark}";

/// The document as a page: routes by tag, parameters, bodies, answers, shapes, problems.
pub(super) fn page(document: &openapi::OpenApi) -> String {
    let document = serde_json::to_value(document).unwrap_or_default();
    let mut out = String::new();
    // Writing to a text cannot fail.
    let _ = write!(
        out,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>Taffrail API</title><style>{STYLE}</style><h1>Taffrail API</h1><p>{}</p>\
         <p><a href=\"/api/v1/openapi.json\">OpenAPI document</a></p>",
        escape(text(&document["info"]["description"]))
    );
    for tag in list(&document["tags"]) {
        write_tag(&mut out, &document, tag);
    }
    write_shapes(&mut out, &document);
    write_problems(&mut out);
    out.push_str("</html>\n");
    out
}

fn write_tag(out: &mut String, document: &Value, tag: &Value) {
    let name = text(&tag["name"]);
    let description = escape(text(&tag["description"]));
    let _ = write!(
        out,
        "<h2 id=\"{0}\">{0}</h2><p>{description}</p>",
        escape(name)
    );
    for (path, methods) in members(&document["paths"]) {
        for (method, operation) in members(methods) {
            let is_here = list(&operation["tags"]).any(|tag| tag == name);
            if is_here {
                write_operation(out, path, method, operation);
            }
        }
    }
}

fn write_operation(out: &mut String, path: &str, method: &str, operation: &Value) {
    let _ = write!(
        out,
        "<details><summary><span class=m>{}</span> <code>{}</code> {}</summary><p>{}</p>",
        escape(&method.to_uppercase()),
        escape(path),
        escape(text(&operation["summary"])),
        escape(text(&operation["description"])),
    );
    let mut parameters = list(&operation["parameters"]).peekable();
    if parameters.peek().is_some() {
        out.push_str("<table><tr><th>Parameter<th>In<th>Meaning");
        for parameter in parameters {
            let is_required = parameter["required"] == Value::Bool(true);
            let _ = write!(
                out,
                "<tr><td><code>{}</code>{}<td>{}<td>{}",
                escape(text(&parameter["name"])),
                if is_required { " (needed)" } else { "" },
                escape(text(&parameter["in"])),
                escape(text(&parameter["description"])),
            );
        }
        out.push_str("</table>");
    }
    for (kind, content) in members(&operation["requestBody"]["content"]) {
        let _ = write!(
            out,
            "<p>Body <code>{}</code>: {}",
            escape(kind),
            shape_name(&content["schema"])
        );
    }
    out.push_str("<table><tr><th>Status<th>Meaning<th>Body");
    for (status, response) in members(&operation["responses"]) {
        let bodies: Vec<_> = members(&response["content"])
            .map(|(_, content)| shape_name(&content["schema"]))
            .collect();
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{}",
            escape(status),
            escape(text(&response["description"])),
            bodies.join(", "),
        );
    }
    out.push_str("</table></details>");
}

fn write_shapes(out: &mut String, document: &Value) {
    out.push_str("<h2>Shapes</h2>");
    for (name, schema) in members(&document["components"]["schemas"]) {
        let pretty = serde_json::to_string_pretty(schema).unwrap_or_default();
        let _ = write!(
            out,
            "<details id=\"shape-{0}\"><summary><code>{0}</code> {1}</summary><pre>{2}</pre></details>",
            escape(name),
            escape(text(&schema["description"])),
            escape(&pretty),
        );
    }
}

fn write_problems(out: &mut String) {
    out.push_str("<h2>Problems</h2><table><tr><th>Status<th>type<th>title");
    for kind in Kind::ALL {
        let (status, word, title) = kind.parts();
        let _ = write!(
            out,
            "<tr><td>{}<td><code>urn:taffrail:problem:{}</code><td>{}",
            status.as_u16(),
            escape(word),
            escape(title),
        );
    }
    out.push_str("</table>");
}

/// A link to a named shape, or the kind of an unnamed one.
fn shape_name(schema: &Value) -> String {
    match schema["$ref"]
        .as_str()
        .and_then(|path| path.rsplit('/').next())
    {
        Some(name) => format!("<a href=\"#shape-{0}\"><code>{0}</code></a>", escape(name)),
        None => escape(&schema["type"].to_string().replace('"', "")),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        let (_, document) = super::super::described().split_for_parts();
        let page = super::page(&document);
        assert!(page.contains("/api/v1/ingest/{stream}"));
        assert!(page.contains("urn:taffrail:problem:invalid-query"));
        for foreign in ["http://", "https://", "<script", "src=", "@import"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }
}
