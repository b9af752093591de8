//! Who may what: every route without a credential, with a wrong one, as a user, from elsewhere.
use crate::harness::{BOOTSTRAP_KEY, Harness, PASSWORD, messages, send};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// (method, path) of every described operation, and whether it is public.
async fn operations(harness: &Harness) -> Vec<(Method, String, bool)> {
    let document = harness.get("/api/v1/openapi.json").await.json();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let is_public = operation["security"] == json!([{}]);
            let path = path
                .replace("{stream}", "app.backend")
                .replace("{log_id}", "4fe90010-0000-8000-8000-00000000002a")
                .replace(
                    "context/{id}",
                    "context/4fe90010-0000-8000-8000-00000000002a",
                )
                .replace("{id}", "1");
            operations.push((method, path, is_public));
        }
    }
    operations
}

#[tokio::test]
async fn every_route_needs_a_credential_but_the_public_ones() {
    let harness = Harness::start().await;
    let operations = operations(&harness).await;
    assert!(operations.len() > 25, "{operations:?}");
    let public: BTreeSet<_> = operations
        .iter()
        .filter(|(.., is_public)| *is_public)
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    let expected = [
        "GET /",
        "GET /api/v1/openapi.json",
        "GET /healthz",
        "GET /livez",
        "GET /readyz",
        "POST /api/v1/sessions",
    ];
    assert_eq!(public, expected.map(str::to_owned).into());
    for (method, path, is_public) in operations {
        if is_public {
            continue;
        }
        let bare = || harness.bare(method.clone(), &path);
        for request in [
            bare(),
            bare().bearer_auth("tfr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            bare().bearer_auth(&BOOTSTRAP_KEY[1..]),
            bare().bearer_auth(""),
            bare().basic_auth("bootstrap", Some(BOOTSTRAP_KEY)),
            bare()
                .header(
                    "cookie",
                    "taffrail_session=tfs_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                )
                .header("x-requested-with", "test"),
        ] {
            let answer = send(request).await;
            let expected = (401, "unauthorized".to_owned());
            assert_eq!(answer.problem(), expected, "{method} {path}");
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
        }
    }
    // Routes that are not described.
    for path in ["/health", "/ready", "/docs/api"] {
        assert_eq!(
            send(harness.bare(Method::GET, path)).await.status,
            200,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_user_is_no_admin() {
    let harness = Harness::start().await;
    let (_, key) = harness.account("jane", "user", &["u1"]).await;
    harness.account("root", "admin", &[]).await;
    for (method, path, body) in [
        (Method::GET, "/api/v1/users", json!(null)),
        (
            Method::POST,
            "/api/v1/users",
            json!({ "name": "x", "password": PASSWORD }),
        ),
        (Method::GET, "/api/v1/users/1", json!(null)),
        (Method::PATCH, "/api/v1/users/1", json!({ "role": "admin" })),
        (Method::DELETE, "/api/v1/users/2", json!(null)),
        (Method::GET, "/api/v1/keys?account=2", json!(null)),
        (
            Method::POST,
            "/api/v1/keys",
            json!({ "account": 2, "name": "x" }),
        ),
        (Method::GET, "/metrics", json!(null)),
        (
            Method::POST,
            "/api/v1/ingest/framework",
            json!({ "message": "m" }),
        ),
    ] {
        let mut request = harness.bare(method.clone(), path).bearer_auth(&key);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = send(request).await;
        assert_eq!(
            answer.problem(),
            (403, "forbidden".into()),
            "{method} {path}"
        );
    }
    // Another's key does not exist for it.
    let request = harness
        .bare(Method::DELETE, "/api/v1/keys/2")
        .bearer_auth(&key);
    assert_eq!(send(request).await.problem().0, 404);
}

#[tokio::test]
async fn a_user_sees_its_own_records_everywhere() {
    let harness = Harness::start().await;
    let (_, jane) = harness.account("jane", "user", &["u1"]).await;
    let (_, nobody) = harness.account("nobody", "user", &[]).await;
    let lines = [
        json!({ "message": "mine", "user_id": "u1", "source": "web", "x.mine": 1 }),
        json!({ "message": "theirs", "user_id": "u2", "source": "api", "x.theirs": 1 }),
        json!({ "message": "unowned", "source": "job" }),
        // The account's own name is no user id of its.
        json!({ "message": "named", "user_id": "jane" }),
    ];
    let body = lines.map(|line| line.to_string()).join("\n");
    assert_eq!(
        harness.ingest("app.backend", body).await.data()["accepted"],
        4
    );
    harness.store("framework", &["restricted"]).await;
    let everything = harness.get("/api/v1/search?limit=100").await.data();
    assert_eq!(everything["total"], 5);
    let theirs = everything["records"]
        .as_array()
        .unwrap()
        .iter()
        .find(|record| record["message"] == "theirs")
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for (key, expected) in [(&jane, &["mine"][..]), (&nobody, &[])] {
        let get = async |path: &str| harness.get_as(key, path).await;
        let data = get("/api/v1/search").await.data();
        assert_eq!(messages(&data["records"]), expected);
        assert_eq!(data["total"], expected.len());
        let data = get("/api/v1/logging/logs").await.data();
        assert_eq!(messages(&data["logs"]), expected);
        assert_eq!(data["pagination"]["total"], expected.len());
        let data = get("/api/v1/histogram?interval=1d&by=source").await.data();
        assert_eq!(data["total"], expected.len());
        let data = get("/api/v1/facets?fields=source,user_id").await.data();
        assert_eq!(data["facets"][0]["distinct"], expected.len());
        assert_eq!(data["facets"][1]["distinct"], expected.len());
        let data = get("/api/v1/fields").await.data();
        let names = data["fields"].to_string();
        assert!(!names.contains("theirs"), "{names}");
        for path in ["/api/v1/context/", "/api/v1/logging/logs/"] {
            let answer = get(&format!("{path}{theirs}")).await;
            assert_eq!(answer.problem(), (404, "not-found".into()));
        }
        // A stream that it may not read does not exist for it, and is not offered.
        let answer = get("/api/v1/search?streams=framework").await;
        assert_eq!(answer.problem(), (404, "unknown-stream".into()));
        assert!(!answer.json()["nearest"].to_string().contains("framework"));
        let streams = get("/api/v1/streams").await.data().to_string();
        assert!(streams.contains("app.backend") && !streams.contains("framework"));
    }
}

#[tokio::test]
async fn scopes_narrow_keys() {
    let harness = Harness::start().await;
    harness.account("root", "admin", &[]).await;
    harness.store("app.backend", &["a"]).await;
    let key = async |scope: Value| {
        let body = json!({ "account": 1, "name": "narrow", "scope": scope });
        let made = harness.post("/api/v1/keys", &body).await.data();
        made["secret"].as_str().unwrap().to_owned()
    };
    let ingest = key(json!({ "scope": "ingest", "streams": ["app.*"] })).await;
    let read = key(json!({ "scope": "read", "streams": ["app.backend"] })).await;
    let body = json!({ "message": "m" });
    for (key, stream, expected) in [
        (&ingest, "app.frontend", 200),
        (&ingest, "runtime", 403),
        (&read, "app.backend", 403),
    ] {
        let answer = harness
            .post_as(key, &format!("/api/v1/ingest/{stream}"), &body)
            .await;
        assert_eq!(answer.status, expected, "{stream} {}", answer.text);
    }
    assert_eq!(
        harness.get_as(&ingest, "/api/v1/search").await.data()["total"],
        0
    );
    assert_eq!(
        harness.get_as(&read, "/api/v1/search").await.data()["total"],
        1
    );
    let hidden = harness
        .get_as(&read, "/api/v1/search?streams=app.frontend")
        .await;
    assert_eq!(hidden.status, 404);
    // A narrow key of an admin neither administers nor makes wider keys.
    for key in [&ingest, &read] {
        assert_eq!(harness.get_as(key, "/api/v1/users").await.status, 403);
        let answer = harness
            .post_as(key, "/api/v1/keys", &json!({ "name": "wide" }))
            .await;
        assert_eq!(answer.status, 403);
    }
}

#[tokio::test]
async fn the_header_chooses_among_the_tenants_of_the_credential() {
    let harness = Harness::start().await;
    let meta = harness.server().engine().meta().clone();
    taffrail_engine::meta::Meta::create_tenant(&*meta, "second")
        .await
        .unwrap();
    let (_, jane) = harness.account("jane", "admin", &[]).await;
    let with = |key: &str, tenant: &str, path: &str| {
        let request = harness.bare(Method::GET, path).bearer_auth(key);
        request.header("x-scope-orgid", tenant)
    };
    let second = harness.admin(Method::POST, "/api/v1/ingest/app.backend");
    let second = second
        .header("x-scope-orgid", "second")
        .body(r#"{"message":"other"}"#);
    assert_eq!(send(second).await.data()["accepted"], 1);
    harness.store("app.backend", &["own"]).await;
    let total = async |key: &str, tenant: &str| {
        send(with(key, tenant, "/api/v1/search")).await.data()["total"].clone()
    };
    assert_eq!(total(BOOTSTRAP_KEY, "second").await, 1);
    assert_eq!(total(BOOTSTRAP_KEY, "default").await, 1);
    assert_eq!(harness.get("/api/v1/search").await.data()["total"], 2);
    assert_eq!(total(&jane, "default").await, 1);
    assert_eq!(
        harness.get_as(&jane, "/api/v1/search").await.data()["total"],
        1
    );
    // Whether a tenant exists is not said.
    let answers = [
        send(with(&jane, "second", "/api/v1/search")).await,
        send(with(&jane, "no-such", "/api/v1/search")).await,
    ];
    assert_eq!(answers[0].problem(), (403, "forbidden".into()));
    assert_eq!(answers[0].json()["detail"], answers[1].json()["detail"]);
    // An admin of one tenant neither sees nor makes accounts of another.
    let body = json!({ "name": "far", "password": PASSWORD, "tenants": ["second"] });
    let far = harness.post("/api/v1/users", &body).await.data()["id"].clone();
    assert_eq!(
        harness
            .get_as(&jane, &format!("/api/v1/users/{far}"))
            .await
            .status,
        404
    );
    let users = harness.get_as(&jane, "/api/v1/users").await.data();
    assert_eq!(users["users"].as_array().unwrap().len(), 1);
    let body = json!({ "name": "x", "password": PASSWORD, "tenants": ["second"] });
    assert_eq!(
        harness.post_as(&jane, "/api/v1/users", &body).await.status,
        422
    );
    let body = json!({ "name": "x", "account": far });
    assert_eq!(
        harness.post_as(&jane, "/api/v1/keys", &body).await.status,
        404
    );
}

#[tokio::test]
async fn revoked_keys_and_disabled_accounts_are_refused_at_once() {
    let harness = Harness::start().await;
    let (id, key) = harness.account("jane", "user", &[]).await;
    let (_, other) = harness.account("joe", "user", &[]).await;
    assert_eq!(harness.get_as(&key, "/api/v1/streams").await.status, 200);
    let request = harness.admin(Method::DELETE, "/api/v1/keys/1");
    assert_eq!(send(request).await.status, 204);
    assert_eq!(harness.get_as(&key, "/api/v1/streams").await.status, 401);
    assert_eq!(harness.get_as(&other, "/api/v1/streams").await.status, 200);
    let path = format!("/api/v1/users/{}", id + 1);
    let request = harness
        .admin(Method::PATCH, &path)
        .json(&json!({ "is_disabled": true }));
    assert_eq!(send(request).await.status, 200);
    assert_eq!(harness.get_as(&other, "/api/v1/streams").await.status, 401);
}

/// The body does not say whose a record is.
#[tokio::test]
async fn users_do_not_write_for_instances_that_are_not_theirs() {
    let harness = Harness::start().await;
    let (_, jane) = harness.account("jane", "user", &["u1"]).await;
    let record = json!({ "message": "m", "user_id": "u2" });
    for stream in ["instance.app", "instance.access", "instance.error"] {
        let path = format!("/api/v1/ingest/{stream}");
        let answer = harness.post_as(&jane, &path, &record).await;
        assert_eq!(answer.problem(), (422, "all-rejected".into()), "{stream}");
        // Nor by naming the stream in the record.
        let elsewhere = json!({ "message": "m", "user_id": "u2", "stream": stream });
        harness
            .post_as(&jane, "/api/v1/ingest/app.backend", &elsewhere)
            .await;
        let path = format!("/api/v1/search?limit=0&streams={stream}");
        assert_eq!(harness.get(&path).await.data()["total"], 0, "{stream}");
        let answer = harness.ingest(stream, record.to_string()).await;
        assert_eq!(answer.data()["accepted"], 1, "{stream}");
    }
}
