//! Deletions: hidden at once, counted, removed, taken back; for admins alone.
use crate::harness::{Answer, Harness, send};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The longest that a deletion of some records takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks until the answer is as wanted.
async fn until(harness: &Harness, path: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let data = harness.get(path).await.data();
        if is_wanted(&data) {
            return data;
        }
        assert!(begun.elapsed() < PATIENCE, "{data}");
    }
}

async fn found(harness: &Harness, query: &str) -> Vec<String> {
    let body = json!({ "query": query, "streams": ["app.backend"] });
    let mut found = harness.found(body).await;
    found.sort();
    found
}

fn question(query: &str) -> Value {
    json!({ "query": query, "streams": ["app.*"], "reason": "ticket 1" })
}

async fn delete(harness: &Harness, body: &Value) -> Answer {
    harness.post("/api/v1/deletions", body).await
}

#[tokio::test]
async fn a_deletion_hides_at_once_and_ends() {
    let harness = Harness::start().await;
    harness
        .store("app.backend", &["apple one", "apple two", "pear"])
        .await;
    let mut dry = question("apple");
    dry["dry_run"] = json!(true);
    let counted = delete(&harness, &dry).await;
    assert_eq!(counted.status, 200, "{}", counted.text);
    assert_eq!(counted.data()["rows_matched"], 2);
    assert_eq!(found(&harness, "apple").await.len(), 2);

    let made = delete(&harness, &question("apple")).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.data();
    assert_eq!(made["rows_matched"], 2);
    assert_eq!(made["reason"], "ticket 1");
    assert!(
        made["streams"]
            .as_array()
            .unwrap()
            .contains(&json!("app.backend"))
    );
    assert_eq!(found(&harness, "").await, ["pear"]);
    harness.store("app.backend", &["apple three"]).await;
    assert_eq!(found(&harness, "apple").await, ["apple three"]);

    let path = format!("/api/v1/deletions/{}", made["id"]);
    let done = until(&harness, &path, |data| data["state"] == "done").await;
    assert_eq!(done["rows_removed"], 2);
    assert_eq!(done["sections_done"], done["sections_total"]);
    assert_eq!(found(&harness, "").await, ["apple three", "pear"]);
    let cancelled = send(harness.admin(Method::DELETE, &path)).await;
    assert_eq!(cancelled.status, 409, "{}", cancelled.text);
    let all = harness.get("/api/v1/deletions").await.data();
    assert_eq!(all["deletions"].as_array().unwrap().len(), 1);
    let none = harness.get("/api/v1/deletions?after=1").await.data();
    assert_eq!(none["deletions"], json!([]));
}

#[tokio::test]
async fn what_is_not_right_is_refused() {
    let harness = Harness::start().await;
    harness.store("app.backend", &["apple"]).await;
    let without = |field: &str| {
        let mut body = question("apple");
        body.as_object_mut().unwrap().remove(field);
        body
    };
    for (body, status) in [
        (without("reason"), 422),
        (without("streams"), 422),
        (question("(apple"), 400),
        (json!({ "streams": ["system.audit"], "reason": "x" }), 403),
        (json!({ "streams": ["nothing.here"], "reason": "x" }), 404),
    ] {
        let refused = delete(&harness, &body).await;
        assert_eq!(refused.status, status, "{body}: {}", refused.text);
    }
    for (method, id) in [
        (Method::GET, "7"),
        (Method::DELETE, "7"),
        (Method::GET, "x"),
    ] {
        let path = format!("/api/v1/deletions/{id}");
        assert_eq!(send(harness.admin(method, &path)).await.status, 404);
    }
    let (_, user) = harness.account("jane", "user", &["u1"]).await;
    let refused = harness
        .post_as(&user, "/api/v1/deletions", &question("apple"))
        .await;
    assert_eq!(refused.status, 403);
    let refused = harness.get_as(&user, "/api/v1/deletions").await;
    assert_eq!(refused.status, 403);
    assert_eq!(found(&harness, "").await, ["apple"]);
}
