//! The page and its assets. Whether the UI is in the program depends on whether it was built
//! before; what holds in both cases is checked in both.
use crate::harness::{Answer, Harness, send};
use reqwest::Method;

const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

async fn get(harness: &Harness, path: &str, accept: &str) -> Answer {
    send(harness.bare(Method::GET, path).header("accept", accept)).await
}

#[tokio::test]
async fn browsers_get_a_page_and_others_data() {
    let harness = Harness::start().await;
    for path in ["/", "/logs", "/logs?q=level:error", "/instances/some/thing"] {
        let page = get(&harness, path, HTML).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(
            page.header("content-type").starts_with("text/html"),
            "{path}"
        );
        assert_eq!(page.header("cache-control"), "no-cache");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'self'") || policy == "default-src 'none'");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    assert_eq!(get(&harness, "/", "*/*").await.json()["name"], "taffrail");
    for (path, accept) in [
        ("/logs", "application/json"),
        ("/api/v1/nothing", HTML),
        ("/assets/nothing.js", HTML),
        ("/assets/..%2f..%2fCargo.toml", HTML),
    ] {
        let answer = get(&harness, path, accept).await;
        assert_eq!(answer.problem(), (404, "not-found".into()), "{path}");
    }
}

#[tokio::test]
async fn the_page_names_assets_that_are_there() {
    let harness = Harness::start().await;
    let page = get(&harness, "/", HTML).await;
    let is_built = !page.text.contains("was built without it");
    let names: Vec<_> = page
        .text
        .split('"')
        .filter(|part| part.starts_with("/assets/"))
        .collect();
    assert_eq!(is_built, !names.is_empty());
    for name in names {
        let asset = get(&harness, name, "*/*").await;
        assert_eq!(asset.status, 200, "{name}");
        assert!(
            asset.header("cache-control").contains("immutable"),
            "{name}"
        );
    }
    if is_built {
        let policy = page.header("content-security-policy");
        let (_, rest) = policy.split_once("'nonce-").unwrap();
        let (nonce, _) = rest.split_once('\'').unwrap();
        assert!(page.text.contains(&format!("nonce=\"{nonce}\"")));
        assert!(!page.text.contains("csp-nonce}}"));
    }
}
