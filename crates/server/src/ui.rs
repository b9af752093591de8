//! The web UI: a page and its assets, which are in the program.
//!
//! Invariants
//! - Assets have the hash of their content in their names, so they may be kept for ever; the page
//!   names them and is asked for every time.
//! - Nothing is compressed while serving: the build has made each asset as gzip and brotli too.
//! - The page's policy lets it load from this server alone and run no text as code. Scripts and
//!   styles in the page itself carry a nonce that is new for every answer; the editor of queries
//!   makes a style element with it.
//! - A client gets the page only if it asks for `text/html` by name: `/` stays a small JSON document
//!   for shippers and scripts, an unknown route a problem.
//!
//! A program that was built without the UI answers with a page that says how to get it.
use crate::problem::{Kind, Problem};
use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, Method, header},
    response::{Html, IntoResponse, Response},
};
use uuid::Uuid;

include!(concat!(env!("OUT_DIR"), "/ui_files.rs"));

/// An asset as it was built.
#[derive(Debug)]
struct Asset {
    name: &'static str,
    plain: &'static [u8],
    gzip: Option<&'static [u8]>,
    brotli: Option<&'static [u8]>,
}

/// Stands in the page where the nonce goes (`web/vite.config.ts`).
const NONCE_MARK: &str = "{{csp-nonce}}";
/// First parts of paths that are no pages: a wrong address of the API is told as a problem even to
/// a browser.
const NO_PAGES: [&str; 5] = ["api", "assets", "docs", "v1", "ws"];
const MISSING: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Taffrail</title>\
<h1>Taffrail is running</h1><p>The web UI is not in this program: it was built without it. \
<code>make run</code> builds both.</p><p>The API is described at <a href=\"/docs/api\">/docs/api</a>.</p></html>\n";

/// Whether the client asks for a page rather than for data.
pub(crate) fn is_page_wanted(method: &Method, path: &str, headers: &HeaderMap) -> bool {
    let first = path
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default();
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let accepts_html = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|kind| {
            kind.split(';')
                .next()
                .is_some_and(|kind| kind.trim() == "text/html")
        });
    is_read && accepts_html && !NO_PAGES.contains(&first)
}

/// The page.
pub(crate) fn page() -> Response {
    let Some(page) = PAGE else {
        return with_headers(Html(MISSING).into_response(), "default-src 'none'");
    };
    let nonce = Uuid::new_v4().simple().to_string();
    let policy = format!(
        "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; \
         object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    let page = Html(page.replace(NONCE_MARK, &nonce));
    with_headers(page.into_response(), &policy)
}

fn with_headers(mut response: Response, policy: &str) -> Response {
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// One asset.
pub(crate) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => answer(asset, &headers),
        None => Problem::new(Kind::NotFound, "there is no such asset").into_response(),
    }
}

fn answer(asset: &Asset, headers: &HeaderMap) -> Response {
    let accepted = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (bytes, encoding) = [("br", asset.brotli), ("gzip", asset.gzip)]
        .into_iter()
        .find_map(|(encoding, bytes)| {
            Some((bytes?, encoding)).filter(|_| accepts(accepted, encoding))
        })
        .unwrap_or((asset.plain, ""));
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    let mut put = |name, value| headers.insert(name, HeaderValue::from_static(value));
    put(header::CONTENT_TYPE, content_type(asset.name));
    put(header::CACHE_CONTROL, "public, max-age=31536000, immutable");
    if asset.gzip.is_some() {
        put(header::VARY, "accept-encoding");
    }
    if !encoding.is_empty() {
        put(header::CONTENT_ENCODING, encoding);
    }
    response
}

/// Whether `Accept-Encoding` names the encoding and does not refuse it with `q=0`.
fn accepts(accepted: &str, encoding: &str) -> bool {
    accepted.split(',').any(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let is_named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
        is_named && weight != Some(0.0)
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSET: Asset = Asset {
        name: "app-1a2b.js",
        plain: b"plain",
        gzip: Some(b"gzip"),
        brotli: Some(b"brotli"),
    };

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        let value = HeaderValue::from_str(value).unwrap();
        [(name, value)].into_iter().collect()
    }

    #[test]
    fn pages_are_for_those_who_ask_for_html() {
        let check = |method, path, accept, expected| {
            let headers = headers(header::ACCEPT, accept);
            assert_eq!(
                is_page_wanted(&method, path, &headers),
                expected,
                "{path} {accept}"
            );
        };
        let browser = "text/html,application/xhtml+xml,*/*;q=0.8";
        check(Method::GET, "/", browser, true);
        check(Method::HEAD, "/logs", "text/html", true);
        check(
            Method::GET,
            "/instances/42",
            "application/xml, text/html;q=0.9",
            true,
        );
        check(Method::GET, "/", "*/*", false);
        check(Method::GET, "/", "application/json", false);
        check(Method::POST, "/logs", browser, false);
        for path in [
            "/api/v1/nothing",
            "/assets/gone.js",
            "/ws/x",
            "/docs/x",
            "/v1/logs",
        ] {
            check(Method::GET, path, browser, false);
        }
    }

    #[test]
    fn the_smallest_accepted_encoding_is_sent() {
        for (accepted, expected) in [
            ("gzip, deflate, br, zstd", "br"),
            ("gzip", "gzip"),
            ("GZIP;q=0.5", "gzip"),
            ("br;q=0, gzip", "gzip"),
            ("br; q=0.0", ""),
            ("identity", ""),
            ("", ""),
        ] {
            let response = answer(&ASSET, &headers(header::ACCEPT_ENCODING, accepted));
            let encoding = response.headers().get(header::CONTENT_ENCODING);
            let encoding = encoding.map_or("", |value| value.to_str().unwrap());
            assert_eq!(encoding, expected, "{accepted}");
        }
    }

    #[test]
    fn assets_may_be_kept_for_ever() {
        let response = answer(&ASSET, &HeaderMap::new());
        let header = |name| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(
            header(header::CONTENT_TYPE),
            "text/javascript; charset=utf-8"
        );
        assert!(header(header::CACHE_CONTROL).ends_with("immutable"));
        assert_eq!(header(header::VARY), "accept-encoding");
    }

    #[test]
    fn every_nonce_is_new_and_stands_in_the_policy() {
        let Some(text) = PAGE else {
            return;
        };
        assert!(
            text.contains(NONCE_MARK),
            "the page has a place for the nonce"
        );
        let policy = |response: &Response| {
            let policy = &response.headers()[header::CONTENT_SECURITY_POLICY];
            policy.to_str().unwrap().to_owned()
        };
        let (first, second) = (policy(&page()), policy(&page()));
        assert_ne!(first, second);
        assert!(!first.contains("unsafe"), "{first}");
    }
}
