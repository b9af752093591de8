//! Accounts and API keys.
use crate::harness::{Harness, PASSWORD, send};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn accounts_are_made_changed_and_deleted() {
    let harness = Harness::start().await;
    let body = json!({ "name": "Jane", "password": PASSWORD, "own_user_ids": ["u,1"] });
    let answer = harness.post("/api/v1/users", &body).await;
    assert_eq!(answer.status, 201);
    assert!(!answer.text.contains("argon2") && !answer.text.contains(PASSWORD));
    let made = answer.data();
    assert_eq!(
        (&made["role"], &made["own_user_ids"]),
        (&json!("user"), &json!(["u,1"]))
    );
    assert_eq!(made["tenants"], json!(["default"]));
    let answer = harness
        .post(
            "/api/v1/users",
            &json!({ "name": "jane", "password": PASSWORD }),
        )
        .await;
    assert_eq!(answer.problem(), (409, "exists".into()));
    let answer = harness
        .post(
            "/api/v1/users",
            &json!({ "name": "a b", "password": PASSWORD }),
        )
        .await;
    assert_eq!(answer.problem(), (422, "invalid".into()));
    let answer = harness
        .post(
            "/api/v1/users",
            &json!({ "role": "root", "tenants": ["no"] }),
        )
        .await;
    assert_eq!(
        answer.json()["errors"].as_array().unwrap().len(),
        4,
        "{}",
        answer.text
    );
    let path = format!("/api/v1/users/{}", made["id"]);
    let body = json!({ "role": "admin", "own_user_ids": [] });
    let changed = send(harness.admin(Method::PATCH, &path).json(&body))
        .await
        .data();
    assert_eq!(
        (&changed["role"], &changed["own_user_ids"]),
        (&json!("admin"), &json!([]))
    );
    // The last enabled admin stays.
    for request in [
        harness.admin(Method::DELETE, &path),
        harness
            .admin(Method::PATCH, &path)
            .json(&json!({ "role": "user" })),
        harness
            .admin(Method::PATCH, &path)
            .json(&json!({ "is_disabled": true })),
    ] {
        assert_eq!(send(request).await.problem(), (409, "conflict".into()));
    }
    harness.account("root", "admin", &[]).await;
    assert_eq!(send(harness.admin(Method::DELETE, &path)).await.status, 204);
    assert_eq!(
        harness.get(&path).await.problem(),
        (404, "not-found".into())
    );
    assert_eq!(harness.get("/api/v1/users/x").await.status, 404);
}

#[tokio::test]
async fn accounts_come_in_pages() {
    let harness = Harness::start().await;
    for name in ["a", "b", "c"] {
        harness.account(name, "user", &[]).await;
    }
    let first = harness.get("/api/v1/users?limit=2").await.data();
    assert_eq!(first["users"].as_array().unwrap().len(), 2);
    let rest = harness.get("/api/v1/users?limit=2&after=2").await.data();
    assert_eq!(rest["users"][0]["name"], "c");
    let keys = harness.get("/api/v1/keys?limit=2&after=1").await.data();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn keys_are_shown_once() {
    let harness = Harness::start().await;
    let (id, jane) = harness.account("jane", "user", &[]).await;
    let answer = harness
        .post_as(&jane, "/api/v1/keys", &json!({ "name": "laptop" }))
        .await;
    assert_eq!(answer.status, 201);
    let made = answer.data();
    let secret = made["secret"].as_str().unwrap();
    assert_eq!(secret.len(), 47);
    assert_eq!(
        (&made["account"], &made["scope"]),
        (&json!(id), &json!({ "scope": "full" }))
    );
    let listed = harness.get_as(&jane, "/api/v1/keys").await;
    assert!(!listed.text.contains(secret));
    assert_eq!(listed.data()["keys"].as_array().unwrap().len(), 2);
    assert_eq!(harness.get_as(secret, "/api/v1/streams").await.status, 200);
    let path = format!("/api/v1/keys/{}", made["id"]);
    let used = harness.get_as(&jane, &path).await.data();
    assert!(used["last_used_at"].is_string());
    assert_eq!(
        send(harness.bare(Method::DELETE, &path).bearer_auth(&jane))
            .await
            .status,
        204
    );
    assert_eq!(harness.get_as(secret, "/api/v1/streams").await.status, 401);
    assert!(harness.get(&path).await.data()["revoked_at"].is_string());
}

#[tokio::test]
async fn invalid_keys() {
    let harness = Harness::start().await;
    let (_, jane) = harness.account("jane", "user", &[]).await;
    for body in [
        json!({}),
        json!({ "name": "" }),
        json!({ "name": "k", "expires_at": "now-1h" }),
        json!({ "name": "k", "expires_at": "never" }),
        json!({ "name": "k", "scope": "full" }),
        json!({ "name": "k", "scope": { "scope": "all" } }),
        json!({ "name": "k", "scope": { "scope": "read", "streams": [] } }),
        json!({ "name": "k", "account": 0 }),
    ] {
        let answer = harness.post_as(&jane, "/api/v1/keys", &body).await;
        assert_eq!(answer.problem(), (422, "invalid".into()), "{body}");
    }
    // The bootstrap key has no account of its own.
    assert_eq!(
        harness
            .post("/api/v1/keys", &json!({ "name": "k" }))
            .await
            .status,
        403
    );
    assert_eq!(
        harness
            .post("/api/v1/keys", &json!({ "name": "k", "account": 99 }))
            .await
            .status,
        404
    );
}
