//! The published description is the one that the server gives.
use crate::harness::{Harness, send};
use reqwest::Method;
use std::path::Path;

/// Run with `UPDATE_CONTRACTS=1` to write it anew.
#[test]
fn the_published_description_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/openapi.json");
    let now = taffrail_server::http::openapi_json();
    if std::env::var_os("UPDATE_CONTRACTS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == now,
        "contracts/openapi.json is not up to date: run this test with UPDATE_CONTRACTS=1"
    );
}

#[tokio::test]
async fn the_server_gives_it_and_shows_it() {
    let harness = Harness::start().await;
    let given = send(harness.bare(Method::GET, "/api/v1/openapi.json"))
        .await
        .json();
    let published: serde_json::Value =
        serde_json::from_str(&taffrail_server::http::openapi_json()).unwrap();
    assert_eq!(given, published);
    assert!(given["openapi"].as_str().unwrap().starts_with("3.1"));
    let page = send(harness.bare(Method::GET, "/docs/api")).await;
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'none'")
    );
    assert!(page.text.contains("/api/v1/search"));
}

/// Every reference leads somewhere, and every operation says what it answers.
#[test]
fn the_description_is_whole() {
    let document: serde_json::Value =
        serde_json::from_str(&taffrail_server::http::openapi_json()).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut references = Vec::new();
    collect(&document, &mut references);
    for reference in references {
        let name = reference.strip_prefix("#/components/schemas/").unwrap();
        assert!(schemas.contains_key(name), "{reference}");
    }
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path}");
            assert!(!operation["responses"].as_object().unwrap().is_empty());
        }
    }
}

fn collect(value: &serde_json::Value, references: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            if let Some(serde_json::Value::String(reference)) = members.get("$ref") {
                references.push(reference.clone());
            }
            members
                .values()
                .for_each(|member| collect(member, references));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}
