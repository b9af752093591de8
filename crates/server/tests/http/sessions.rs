//! Login, cookies, requests from elsewhere, logout.
use crate::{
    harness::{Harness, PASSWORD, send},
    tail::Tail,
};
use reqwest::Method;
use serde_json::json;
use std::sync::Arc;
use taffrail_model::clock::{Clock, SystemClock};
use taffrail_testkit::SimulatedClock;

#[tokio::test]
async fn a_session_from_login_to_logout() {
    let harness = Harness::start().await;
    let (id, _) = harness.account("Jane", "user", &["u1"]).await;
    let body = json!({ "name": "jane", "password": PASSWORD });
    let answer = send(harness.bare(Method::POST, "/api/v1/sessions").json(&body)).await;
    let cookie = answer.header("set-cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=604800"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"));
    let data = answer.data();
    assert_eq!(
        (&data["account"], &data["name"], &data["role"]),
        (&json!(id), &json!("Jane"), &json!("user"))
    );
    assert_eq!(data["own_user_ids"], json!(["u1"]));
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let with = |method: Method, path: &str| harness.bare(method, path).header("cookie", &cookie);
    let data = send(with(Method::GET, "/api/v1/sessions/current"))
        .await
        .data();
    assert_eq!(data["session"]["address"], "127.0.0.1");
    let data = send(with(Method::GET, "/api/v1/sessions")).await.data();
    assert_eq!(data["sessions"].as_array().unwrap().len(), 1);
    // A change under the cookie must come from a page of this server.
    let logout = || with(Method::DELETE, "/api/v1/sessions/current");
    for request in [
        logout(),
        logout().header("origin", "https://evil.example"),
        logout().header("sec-fetch-site", "cross-site"),
        logout()
            .header("sec-fetch-site", "same-site")
            .header("x-requested-with", "x"),
        with(Method::POST, "/api/v1/search").json(&json!({})),
    ] {
        assert_eq!(
            send(request).await.problem(),
            (403, "foreign-origin".into())
        );
    }
    let request = with(Method::POST, "/api/v1/search").header("sec-fetch-site", "same-origin");
    assert_eq!(send(request.json(&json!({}))).await.status, 200);
    let answer = send(logout().header("origin", &harness.base)).await;
    assert_eq!(answer.status, 204);
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    let answer = send(with(Method::GET, "/api/v1/sessions/current")).await;
    assert_eq!(answer.problem(), (401, "unauthorized".into()));
}

#[tokio::test]
async fn failures_tell_nothing_and_are_throttled() {
    // However long a login takes, no time passes for who must wait a second.
    let now = SystemClock.now();
    let harness = Harness::start_with_clock(Arc::new(SimulatedClock::new(now))).await;
    harness.account("jane", "user", &[]).await;
    for name in ["jane", "nobody"] {
        for _ in 0..5 {
            let answer = harness.login(name, "wrong password").await.unwrap_err();
            assert_eq!(answer.problem(), (401, "login-failed".into()));
            assert_eq!(answer.json()["detail"], "wrong name or password");
        }
        let answer = harness.login(name, PASSWORD).await.unwrap_err();
        assert_eq!(answer.problem(), (429, "too-many-logins".into()));
        assert_eq!(answer.header("retry-after"), "1");
    }
}

#[tokio::test]
async fn malformed_logins() {
    let harness = Harness::start().await;
    let login =
        |body: serde_json::Value| harness.bare(Method::POST, "/api/v1/sessions").json(&body);
    let answer = send(login(json!({ "name": 7 }))).await;
    assert_eq!(answer.problem(), (422, "invalid".into()));
    let foreign =
        login(json!({ "name": "a", "password": "b" })).header("origin", "https://evil.example");
    assert_eq!(
        send(foreign).await.problem(),
        (403, "foreign-origin".into())
    );
}

#[tokio::test]
async fn the_cookie_is_secure_behind_tls() {
    let harness = Harness::start().await;
    harness.account("jane", "user", &[]).await;
    let body = json!({ "name": "jane", "password": PASSWORD });
    let request = harness.bare(Method::POST, "/api/v1/sessions").json(&body);
    let answer = send(request.header("x-forwarded-proto", "https")).await;
    assert!(answer.header("set-cookie").ends_with("; Secure"));
}

#[tokio::test]
async fn sessions_are_ended_one_by_one_and_by_a_new_password() {
    let harness = Harness::start().await;
    harness.account("jane", "user", &[]).await;
    harness.account("joe", "user", &[]).await;
    let one = harness.login("jane", PASSWORD).await.unwrap();
    let two = harness.login("jane", PASSWORD).await.unwrap();
    let joe = harness.login("joe", PASSWORD).await.unwrap();
    let with = |cookie: &str, method: Method, path: &str| {
        let request = harness.bare(method, path).header("cookie", cookie);
        request.header("x-requested-with", "test")
    };
    // Another's session is not there.
    let answer = send(with(&joe, Method::DELETE, "/api/v1/sessions/1")).await;
    assert_eq!(answer.problem().0, 404);
    assert_eq!(
        send(with(&two, Method::DELETE, "/api/v1/sessions/1"))
            .await
            .status,
        204
    );
    assert_eq!(
        send(with(&one, Method::GET, "/api/v1/streams"))
            .await
            .status,
        401
    );
    let change = |old: &str| {
        let body = json!({ "old_password": old, "new_password": "another password" });
        with(&two, Method::PUT, "/api/v1/users/me/password").json(&body)
    };
    assert_eq!(
        send(change("wrong")).await.problem(),
        (401, "login-failed".into())
    );
    assert_eq!(send(change(PASSWORD)).await.status, 204);
    assert_eq!(
        send(with(&two, Method::GET, "/api/v1/streams"))
            .await
            .status,
        401
    );
    assert!(harness.login("jane", PASSWORD).await.is_err());
    assert!(harness.login("jane", "another password").await.is_ok());
}

#[tokio::test]
async fn logins_are_on_record_without_what_was_typed_as_a_name() {
    let harness = Harness::start().await;
    harness.account("jane", "user", &[]).await;
    let mut tail = Tail::open(&harness, "streams=security&query=login").await;
    harness.login("my-secret-password", "x").await.unwrap_err();
    let refused = tail.entry().await;
    assert_eq!(refused["message"], "login refused");
    assert!(!refused.to_string().contains("my-secret"), "{refused}");
    harness.login("jane", "wrong password").await.unwrap_err();
    assert_eq!(tail.entry().await["account"], "jane");
    harness.login("jane", PASSWORD).await.unwrap();
    let entry = tail.entry().await;
    assert_eq!(
        (&entry["message"], &entry["account"]),
        (&json!("login"), &json!("jane"))
    );
    assert!(entry["request_id"].is_string());
}

#[tokio::test]
async fn refusals_are_on_record() {
    let harness = Harness::start().await;
    let (_, key) = harness.account("jane", "user", &[]).await;
    let mut tail = Tail::open(&harness, "streams=security&query=refused").await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let request = harness.bare(Method::GET, "/api/v1/search");
    let answer = send(request.header("traceparent", parent)).await;
    let entry = tail.entry().await;
    assert_eq!(entry["trace_id"], trace);
    assert_eq!(entry["request_id"], answer.header("x-request-id"));
    assert_eq!(entry["request_path"], "/api/v1/search");
    assert_eq!(entry["client_address"], "127.0.0.1");
    harness.get_as(&key, "/api/v1/users").await;
    assert_eq!(tail.entry().await["actor"], "jane");
}

#[tokio::test]
async fn the_first_admin_comes_from_the_configuration() {
    let harness = Harness::start_with(|config| {
        config.first_admin = Some(taffrail_server::config::FirstAdmin {
            name: "root".into(),
            password: PASSWORD.into(),
        });
        config.bootstrap_key = None;
    })
    .await;
    let cookie = harness.login("root", PASSWORD).await.unwrap();
    let request = harness
        .bare(Method::GET, "/api/v1/users")
        .header("cookie", cookie);
    let users = send(request).await.data();
    assert_eq!(users["users"][0]["role"], "admin");
    // The bootstrap key is not set here.
    assert_eq!(harness.get("/api/v1/users").await.status, 401);
}
