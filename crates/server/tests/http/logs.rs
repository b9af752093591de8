//! The log route of the requirements.
use crate::harness::{Harness, messages, recent};
use serde_json::json;
use taffrail_model::limits::QUERY_NODES_MAX;

#[tokio::test]
async fn filters_page_and_what_was_applied() {
    let harness = Harness::start().await;
    let lines: Vec<_> = (0..12)
        .map(|index| {
            let level = ["error", "warn", "info"][index % 3];
            json!({
                "timestamp": recent(index), "level": level, "message": format!("message {index}"),
                "source": "api", "module": "auth.login", "trace_id": format!("t{}", index % 2),
                "user_id": "u1",
            })
            .to_string()
        })
        .collect();
    harness.ingest("app.backend", lines.join("\n")).await.data();
    let page = harness
        .get("/api/v1/logging/logs?limit=5&offset=1")
        .await
        .data();
    assert_eq!(messages(&page["logs"])[0], "message 10");
    let pagination = &page["pagination"];
    assert_eq!(pagination["total"], 12);
    assert_eq!(
        (&pagination["limit"], &pagination["offset"]),
        (&json!(5), &json!(1))
    );
    assert_eq!(pagination["has_more"], true);
    assert_eq!(page["filters_applied"], json!({}));
    let cursor = pagination["cursor"].as_str().unwrap();
    let next = harness
        .get(&format!("/api/v1/logging/logs?limit=50&cursor={cursor}"))
        .await
        .data();
    assert_eq!(messages(&next["logs"])[0], "message 5");
    assert_eq!(next["pagination"]["has_more"], false);
    for (filter, total) in [
        ("level=error", 4),
        ("level=error,warn", 8),
        ("level=ERROR", 4),
        ("source=api", 12),
        ("source=ap", 0),
        ("module=auth.login", 12),
        ("trace_id=t1", 6),
        ("user_id=u1&level=info", 4),
        ("search=message+3", 1),
        ("search=3+message", 1),
        ("search=%22(AND", 0),
        ("q=level:error+OR+level:warn", 8),
        ("q=3&search=message", 1),
        ("source=&level=&trace_id=&user_id=&module=&search=&q=", 12),
        ("start_time=&end_time=&timezone=&cursor=", 12),
        ("trace_id=&level=error", 4),
    ] {
        let data = harness
            .get(&format!("/api/v1/logging/logs?{filter}"))
            .await
            .data();
        assert_eq!(data["pagination"]["total"], total, "{filter}");
    }
    let data = harness
        .get("/api/v1/logging/logs?trace_id=&search=&start_time=")
        .await
        .data();
    assert_eq!(data["filters_applied"], json!({}));
    let path = format!(
        "/api/v1/logging/logs?level=error,warn&search=a&start_time={}",
        recent(0)
    );
    let data = harness.get(&path).await.data();
    let expected = json!({ "level": ["error", "warn"], "search": "a", "start_time": recent(0) });
    assert_eq!(data["filters_applied"], expected);
}

#[tokio::test]
async fn faults() {
    let harness = Harness::start().await;
    for (filter, expected) in [
        ("level=loud", (422, "invalid")),
        ("start_time=soon", (422, "invalid")),
        ("limit=0", (422, "invalid")),
        ("unknown=1", (422, "invalid")),
        ("unknown=", (422, "invalid")),
        ("q=(", (400, "invalid-query")),
        ("cursor=x", (400, "invalid-cursor")),
    ] {
        let answer = harness.get(&format!("/api/v1/logging/logs?{filter}")).await;
        assert_eq!(
            answer.problem(),
            (expected.0, expected.1.into()),
            "{filter}"
        );
    }
}

#[tokio::test]
async fn too_many_words_are_a_fault_of_the_search() {
    let harness = Harness::start().await;
    let words: Vec<String> = (0..QUERY_NODES_MAX).map(|n| format!("w{n}")).collect();
    let words = words.join("+");
    for route in ["search", "logging/logs", "histogram", "tail"] {
        let answer = harness
            .get(&format!("/api/v1/{route}?search={words}"))
            .await;
        assert_eq!(answer.problem(), (422, "invalid".into()), "{route}");
        assert_eq!(answer.json()["errors"][0]["field"], "search", "{route}");
    }
}

#[tokio::test]
async fn a_plus_that_was_not_escaped_is_explained() {
    let harness = Harness::start().await;
    for (time, is_explained) in [
        ("2026-01-04T14:00:00+01:00", true),
        ("2026-01-04T14:00:00+soon", false),
        ("now+x", false),
    ] {
        for parameter in ["start_time", "end_time"] {
            let path = format!("/api/v1/logging/logs?{parameter}={time}");
            let answer = harness.get(&path).await;
            assert_eq!(answer.problem(), (422, "invalid".into()), "{time}");
            let fault = &answer.json()["errors"][0];
            assert_eq!(fault["field"], parameter);
            let detail = fault["detail"].as_str().unwrap();
            assert_eq!(detail.contains("%2B"), is_explained, "{detail}");
        }
    }
    let escaped = "/api/v1/logging/logs?start_time=2026-01-04T14:00:00%2B01:00";
    assert!(harness.get(escaped).await.status.is_success());
}

#[tokio::test]
async fn lists_hold_no_empty_texts() {
    let harness = Harness::start().await;
    for body in [
        json!({ "streams": [""] }),
        json!({ "streams": ["app.*", " "] }),
        json!({ "fields": [""] }),
    ] {
        let answer = harness.post("/api/v1/search", &body).await;
        assert_eq!(answer.problem(), (422, "invalid".into()), "{body}");
        let (name, _) = body.as_object().unwrap().iter().next().unwrap();
        assert_eq!(&answer.json()["errors"][0]["field"], name);
    }
    for body in [json!({ "streams": [] }), json!({ "streams": "" })] {
        let answer = harness.post("/api/v1/search", &body).await;
        assert!(answer.status.is_success(), "{body}");
    }
}
