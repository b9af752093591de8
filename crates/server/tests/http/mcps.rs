//! MCP instances, their keys and their records.
use crate::{
    harness::{Answer, BOOTSTRAP_KEY, Harness, messages, recent, send},
    tail::Tail,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// Two users with an instance each: jane's is `a`, joe's is `b`.
struct Two {
    harness: Harness,
    jane: String,
    joe: String,
}

impl Two {
    async fn start() -> Two {
        let harness = Harness::start().await;
        let (_, jane) = harness.account("jane", "user", &["u1"]).await;
        let (_, joe) = harness.account("joe", "user", &["u2"]).await;
        for (key, id) in [(&jane, "a"), (&joe, "b")] {
            let body = json!({ "id": id, "service": "figma" });
            let made = harness.post_as(key, "/api/v1/mcps", &body).await;
            assert_eq!(made.status, 201, "{}", made.text);
        }
        Two { harness, jane, joe }
    }

    /// A key of an instance.
    async fn key(&self, owner: &str, id: &str) -> String {
        let path = format!("/api/v1/mcps/{id}/keys");
        let made = self
            .harness
            .post_as(owner, &path, &json!({ "name": "run" }))
            .await;
        made.data()["secret"].as_str().unwrap().to_owned()
    }

    async fn ingest(&self, key: &str, stream: &str, body: &str) -> Answer {
        let path = format!("/api/v1/ingest/{stream}");
        let request = self.harness.bare(Method::POST, &path).bearer_auth(key);
        send(request.body(body.to_owned())).await
    }

    async fn change(&self, key: &str, id: &str, body: &Value) -> Answer {
        let path = format!("/api/v1/mcps/{id}");
        let request = self.harness.bare(Method::PATCH, &path).bearer_auth(key);
        send(request.json(body)).await
    }

    async fn delete(&self, key: &str, id: &str) -> Answer {
        let path = format!("/api/v1/mcps/{id}");
        send(self.harness.bare(Method::DELETE, &path).bearer_auth(key)).await
    }
}

#[tokio::test]
async fn instances_are_made_changed_listed_and_deleted() {
    let two = Two::start().await;
    let harness = &two.harness;
    let one = harness.get_as(&two.jane, "/api/v1/mcps/a").await.data();
    assert_eq!(
        [&one["id"], &one["user_id"], &one["service"], &one["status"]],
        ["a", "u1", "figma", "active"]
    );
    assert_eq!(one["tenant"], "default");
    assert!(one["deleted_at"].is_null());
    let unnamed = harness.post_as(&two.jane, "/api/v1/mcps", &json!({})).await;
    let unnamed = unnamed.data()["id"].as_str().unwrap().to_owned();
    assert_eq!(unnamed.len(), 36);
    let changed = two
        .change(
            &two.jane,
            "a",
            &json!({ "status": "expired", "service": "" }),
        )
        .await;
    let changed = changed.data();
    assert_eq!(
        (&changed["status"], &changed["service"]),
        (&json!("expired"), &Value::Null)
    );
    let ids = async |key: &str, query: &str| -> Vec<String> {
        let path = format!("/api/v1/mcps?{query}");
        let listed = harness.get_as(key, &path).await.data();
        let instances = listed["instances"].as_array().unwrap();
        let id = |instance: &Value| instance["id"].as_str().unwrap().to_owned();
        instances.iter().map(id).collect()
    };
    assert_eq!(ids(&two.jane, "").await, ["a", &unnamed]);
    assert_eq!(ids(BOOTSTRAP_KEY, "").await, ["a", "b", &unnamed]);
    assert_eq!(ids(BOOTSTRAP_KEY, "limit=1&after=1").await, ["b"]);
    assert_eq!(ids(BOOTSTRAP_KEY, "status=expired").await, ["a"]);
    assert_eq!(ids(BOOTSTRAP_KEY, "service=figma").await, ["b"]);
    assert_eq!(ids(BOOTSTRAP_KEY, "user_id=u2").await, ["b"]);
    assert_eq!(two.delete(&two.jane, "a").await.status, 204);
    assert_eq!(two.delete(&two.jane, "a").await.status, 204);
    assert_eq!(ids(&two.jane, "").await, [unnamed.as_str()]);
    assert_eq!(ids(&two.jane, "deleted=true").await, ["a", &unnamed]);
    let one = harness.get_as(&two.jane, "/api/v1/mcps/a").await.data();
    assert!(one["deleted_at"].is_string() && one["records_until"].is_string());
    let refused = two
        .change(&two.jane, "a", &json!({ "status": "active" }))
        .await;
    assert_eq!(refused.problem(), (409, "conflict".into()));
    let again = harness
        .post_as(&two.jane, "/api/v1/mcps", &json!({ "id": "a" }))
        .await;
    assert_eq!(again.problem(), (409, "exists".into()));
}

#[tokio::test]
async fn what_an_instance_may_not_be() {
    let two = Two::start().await;
    let harness = &two.harness;
    for body in [
        json!({ "id": "a b" }),
        json!({ "id": "../x" }),
        json!({ "id": "" }),
        json!({ "service": "a\nb" }),
        json!({ "status": "deleted" }),
        json!({ "user_id": "u2" }),
        json!({ "owner": "u1" }),
    ] {
        let answer = harness.post_as(&two.jane, "/api/v1/mcps", &body).await;
        assert_eq!(answer.problem(), (422, "invalid".into()), "{body}");
    }
    // Nobody's own user id, or several: it has to be said whose it is.
    let (_, nobody) = harness.account("nobody", "user", &[]).await;
    let (_, both) = harness.account("both", "user", &["u1", "u2"]).await;
    for key in [&nobody, &both, &BOOTSTRAP_KEY.to_owned()] {
        let answer = harness.post_as(key, "/api/v1/mcps", &json!({})).await;
        assert_eq!(answer.json()["errors"][0]["field"], "user_id");
    }
    let body = json!({ "user_id": "u2" });
    let made = harness.post_as(&both, "/api/v1/mcps", &body).await.data();
    assert_eq!(made["user_id"], "u2");
    let body = json!({ "user_id": "of nobody here" });
    assert_eq!(harness.post("/api/v1/mcps", &body).await.status, 201);
    let answer = two
        .change(&two.jane, "a", &json!({ "status": "gone" }))
        .await;
    assert_eq!(answer.problem(), (422, "invalid".into()));
}

#[tokio::test]
async fn of_another_users_instance_nothing_is_there() {
    let two = Two::start().await;
    let harness = &two.harness;
    let key = two.key(&two.jane, "a").await;
    let line = r#"{"message":"secret of jane","level":"error"}"#;
    let stored = two.ingest(&key, "instance.error", line).await;
    assert_eq!(stored.data()["accepted"], 1);
    let missing = (404, "not-found".to_owned());
    let body = json!({ "name": "k" });
    for (method, path, body) in [
        (Method::GET, "/api/v1/mcps/a", json!(null)),
        (
            Method::PATCH,
            "/api/v1/mcps/a",
            json!({ "status": "inactive" }),
        ),
        (Method::DELETE, "/api/v1/mcps/a", json!(null)),
        (Method::GET, "/api/v1/mcps/a/logs", json!(null)),
        (Method::GET, "/api/v1/mcps/a/logs?format=csv", json!(null)),
        (Method::GET, "/api/v1/mcps/a/keys", json!(null)),
        (Method::POST, "/api/v1/mcps/a/keys", body.clone()),
        (
            Method::POST,
            "/api/v1/keys",
            json!({ "name": "k", "scope": { "scope": "instance", "instance": "a" } }),
        ),
    ] {
        for name in ["a", "none"] {
            let path = path.replace("mcps/a", &format!("mcps/{name}"));
            let mut request = harness.bare(method.clone(), &path).bearer_auth(&two.joe);
            if !body.is_null() {
                request = request.json(&body);
            }
            let answer = send(request).await;
            assert_eq!(answer.problem(), missing, "{method} {path}");
            assert_eq!(answer.json()["detail"], "there is no such instance");
        }
    }
    assert_eq!(refused_tail(harness, &two.joe, "a").await, 404);
    let none = json!({ "query": "secret", "streams": ["instance.*"] });
    let found = harness.post_as(&two.joe, "/api/v1/search", &none).await;
    assert_eq!(found.data()["total"], 0);
    let counted = harness.post_as(&two.joe, "/api/v1/histogram", &none).await;
    assert_eq!(counted.data()["total"], 0);
    let facets = json!({ "fields": ["instance_id", "user_id", "message"] });
    let facets = harness.post_as(&two.joe, "/api/v1/facets", &facets).await;
    for facet in facets.data()["facets"].as_array().unwrap() {
        assert_eq!(facet["values"], json!([]), "{facet}");
    }
    // Everything is as it was, and jane and the admin see it.
    for key in [&two.jane, BOOTSTRAP_KEY] {
        let one = harness.get_as(key, "/api/v1/mcps/a").await.data();
        assert_eq!(
            (&one["status"], &one["deleted_at"]),
            (&json!("active"), &Value::Null)
        );
        let logs = harness.get_as(key, "/api/v1/mcps/a/logs").await.data();
        assert_eq!(messages(&logs["logs"]), ["secret of jane"]);
    }
    // What joe sends for it is rejected record by record, in the words of one that is not there.
    for id in ["a", "none"] {
        let line = json!({ "message": "m", "instance_id": id }).to_string();
        let answer = two.ingest(&two.joe, "instance.app", &line).await;
        assert_eq!(answer.problem(), (422, "all-rejected".into()));
        let detail = answer.json()["rejected"][0]["detail"].to_string();
        assert!(
            detail.contains("is no instance of this credential"),
            "{detail}"
        );
    }
}

async fn refused_tail(harness: &Harness, key: &str, id: &str) -> u16 {
    let path = format!("/ws/mcps/{id}/logs");
    Tail::refused(harness, &path, key).await
}

#[tokio::test]
async fn a_key_of_an_instance_writes_for_it_and_nothing_else() {
    let two = Two::start().await;
    let harness = &two.harness;
    let key = two.key(&two.jane, "a").await;
    let line = r#"{"message":"m","instance_id":"b","user_id":"u2"}"#;
    for stream in [
        "instance.app",
        "instance.access",
        "instance.error",
        "system.pm2",
    ] {
        let answer = two.ingest(&key, stream, line).await;
        assert_eq!(answer.data()["accepted"], 1, "{stream}");
    }
    for stream in ["app.backend", "system.audit", "runtime"] {
        let answer = two.ingest(&key, stream, line).await;
        assert_eq!(answer.problem(), (403, "forbidden".into()), "{stream}");
    }
    let logs = harness
        .get_as(&two.jane, "/api/v1/mcps/a/logs")
        .await
        .data();
    assert_eq!(logs["pagination"]["total"], 3);
    let logs = harness.get_as(&two.joe, "/api/v1/mcps/b/logs").await.data();
    assert_eq!(logs["pagination"]["total"], 0);
    // It reads nothing and manages nothing.
    for path in [
        "/api/v1/mcps",
        "/api/v1/mcps/a",
        "/api/v1/mcps/a/logs",
        "/api/v1/mcps/a/keys",
        "/api/v1/users",
        "/api/v1/keys",
    ] {
        let answer = harness.get_as(&key, path).await;
        assert_eq!(answer.problem(), (403, "forbidden".into()), "{path}");
    }
    let found = harness.post_as(&key, "/api/v1/search", &json!({})).await;
    assert_eq!(found.data()["total"], 0);
    assert_eq!(refused_tail(harness, &key, "a").await, 403);
    let (none, change) = (json!({}), json!({ "status": "active" }));
    let answer = harness.post_as(&key, "/api/v1/mcps", &none).await;
    assert_eq!(answer.problem(), (403, "forbidden".into()));
    let answer = two.change(&key, "a", &change).await;
    assert_eq!(answer.problem(), (403, "forbidden".into()));
    // It is among the keys of the instance and of the account.
    let keys = harness
        .get_as(&two.jane, "/api/v1/mcps/a/keys")
        .await
        .data();
    let scope = json!({ "scope": "instance", "instance": "a" });
    assert_eq!(keys["keys"][0]["scope"], scope);
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    let keys = harness.get_as(&two.jane, "/api/v1/keys").await.data();
    assert_eq!(keys["keys"][1]["scope"], scope);
}

#[tokio::test]
async fn a_key_of_an_instance_ends_with_it_and_waits_with_it() {
    let two = Two::start().await;
    let harness = &two.harness;
    // The same by the route of keys.
    let body = json!({ "name": "run", "scope": { "scope": "instance", "instance": "a" } });
    let made = harness.post_as(&two.jane, "/api/v1/keys", &body).await;
    assert_eq!(made.status, 201);
    let key = made.data()["secret"].as_str().unwrap().to_owned();
    let line = r#"{"message":"m"}"#;
    for (status, expected) in [("inactive", 403), ("expired", 403), ("active", 200)] {
        let change = json!({ "status": status });
        two.change(&two.jane, "a", &change).await.data();
        let answer = two.ingest(&key, "instance.app", line).await;
        assert_eq!(answer.status, expected, "{status}");
        if expected == 403 {
            assert_eq!(answer.problem().1, "instance-takes-no-records");
            let detail = format!("instance \"a\" is {status}: it takes no records");
            assert_eq!(answer.json()["detail"], detail);
        }
    }
    assert_eq!(two.delete(&two.jane, "a").await.status, 204);
    let answer = two.ingest(&key, "instance.app", line).await;
    assert_eq!(answer.problem(), (401, "unauthorized".into()));
    let late = harness
        .post_as(&two.jane, "/api/v1/mcps/a/keys", &json!({ "name": "k" }))
        .await;
    assert_eq!(late.problem(), (409, "conflict".into()));
    // Its records stay for a week.
    let logs = harness
        .get_as(&two.jane, "/api/v1/mcps/a/logs")
        .await
        .data();
    assert_eq!(messages(&logs["logs"]), ["m"]);
}

#[tokio::test]
async fn keys_are_for_accounts_that_own_the_instance() {
    let two = Two::start().await;
    let harness = &two.harness;
    // The bootstrap key has no account: it names one.
    let path = "/api/v1/mcps/a/keys";
    let answer = harness.post(path, &json!({ "name": "k" })).await;
    assert_eq!(answer.problem(), (403, "forbidden".into()));
    let answer = harness
        .post(path, &json!({ "name": "k", "account": 2 }))
        .await;
    assert_eq!(answer.problem(), (422, "invalid".into()));
    let answer = harness
        .post(path, &json!({ "name": "k", "account": 1 }))
        .await;
    assert_eq!(answer.status, 201);
    let key = answer.data()["secret"].as_str().unwrap().to_owned();
    for body in [json!({}), json!({ "name": "k", "expires_at": "now-1h" })] {
        let answer = harness.post_as(&two.jane, path, &body).await;
        assert_eq!(answer.problem(), (422, "invalid".into()), "{body}");
    }
    // An account that loses its user id loses the use of the key.
    let line = r#"{"message":"m"}"#;
    assert_eq!(two.ingest(&key, "instance.app", line).await.status, 200);
    let body = json!({ "own_user_ids": [] });
    send(harness.admin(Method::PATCH, "/api/v1/users/1").json(&body))
        .await
        .data();
    let answer = two.ingest(&key, "instance.app", line).await;
    assert_eq!(answer.problem(), (403, "forbidden".into()));
}

#[tokio::test]
async fn every_change_is_on_the_audit_log() {
    let two = Two::start().await;
    let harness = &two.harness;
    two.key(&two.jane, "a").await;
    let change = json!({ "status": "inactive", "service": "slack" });
    two.change(&two.jane, "a", &change).await.data();
    // What changes nothing is not on record.
    two.change(&two.jane, "a", &change).await.data();
    two.delete(&two.jane, "a").await;
    two.delete(&two.jane, "a").await;
    let ask = json!({
        "streams": ["system.audit"], "query": "instance_id:a", "order": "arrival",
    });
    let told = async || {
        let records = harness.post("/api/v1/search", &ask).await.data()["records"].take();
        let texts = |record: &Value| {
            let text = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
            [
                "actor",
                "message",
                "before.status",
                "before.service",
                "after.status",
                "after.service",
            ]
            .map(text)
            .join(" ")
        };
        records
            .as_array()
            .unwrap()
            .iter()
            .map(texts)
            .collect::<Vec<_>>()
    };
    let all = async {
        while told().await.len() < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all)
        .await
        .unwrap();
    assert_eq!(
        told().await,
        [
            "jane instance made - - active figma",
            "jane API key made - - - -",
            "jane instance changed active figma inactive slack",
            "jane instance deleted inactive slack deleted slack",
        ]
    );
}

/// Records of an instance as the document writes them.
fn document(index: usize, level: &str, message: &str) -> Value {
    json!({
        "timestamp": recent(index), "level": level, "message": message,
        "metadata": {
            "type": "stdout", "instanceId": "a", "userId": "u1", "service": "figma",
            "additional": format!("n{index}"), "code": 4.50,
        },
    })
}

#[tokio::test]
async fn records_come_out_as_the_document_writes_them() {
    let two = Two::start().await;
    let key = two.key(&two.jane, "a").await;
    let sent: Vec<Value> = ["debug", "info", "warn", "error"]
        .into_iter()
        .enumerate()
        .map(|(index, level)| document(index, level, &format!("message {index}")))
        .collect();
    let lines: Vec<_> = sent.iter().map(Value::to_string).collect();
    two.ingest(&key, "instance.app", &lines.join("\n"))
        .await
        .data();
    let path = "/api/v1/mcps/a/logs?limit=3&offset=1";
    let page = two.harness.get_as(&two.jane, path).await.data();
    let mut got = page["logs"].as_array().unwrap().clone();
    for entry in &mut got {
        let metadata = entry["metadata"].as_object_mut().unwrap();
        // What the server knows beside it.
        assert_eq!(metadata.remove("stream").unwrap(), "instance.app");
        assert!(metadata.remove("id").unwrap().is_string());
        assert!(metadata.remove("created_at").unwrap().is_string());
    }
    let expected: Vec<_> = sent.iter().rev().skip(1).cloned().collect();
    assert_eq!(got, expected);
    let pagination = &page["pagination"];
    for (name, value) in [
        ("total", json!(4)),
        ("limit", json!(3)),
        ("offset", json!(1)),
        ("has_more", json!(false)),
    ] {
        assert_eq!(pagination[name], value, "{name}");
    }
    // Sent again as they came out, they are the same records.
    let again = two.ingest(&key, "instance.app", &lines.join("\n")).await;
    assert_eq!(again.data()["accepted"], 4);
    let logs = two.harness.get_as(&two.jane, "/api/v1/mcps/a/logs").await;
    assert_eq!(logs.data()["pagination"]["total"], 8);
}

#[tokio::test]
async fn filters_of_an_instances_records() {
    let two = Two::start().await;
    let harness = &two.harness;
    let key = two.key(&two.jane, "a").await;
    let levels = ["trace", "debug", "info", "warn", "error", "critical"];
    let lines: Vec<_> = levels
        .iter()
        .enumerate()
        .map(|(index, level)| document(index, level, &format!("the {level} line")).to_string())
        .collect();
    two.ingest(&key, "instance.app", &lines.join("\n"))
        .await
        .data();
    let get = async |query: &str| {
        let path = format!("/api/v1/mcps/a/logs?{query}");
        harness.get_as(&two.jane, &path).await
    };
    for (query, total) in [
        ("", 6),
        ("level=debug", 2),
        ("level=info", 1),
        ("level=warn", 1),
        ("level=ERROR", 2),
        ("level=info,error", 3),
        ("search=line+critical", 1),
        ("search=%22(AND", 0),
        ("q=level:critical", 1),
        ("q=additional:n3", 0),
        ("q=metadata.additional:n3", 1),
        ("level=error&search=line&q=the", 2),
        (&format!("start_time={}", recent(4)), 2),
        (
            &format!("start_time={}&end_time={}", recent(1), recent(2)),
            2,
        ),
        ("level=&search=&q=&start_time=&format=", 6),
    ] {
        let data = get(query).await.data();
        assert_eq!(data["pagination"]["total"], total, "{query}");
    }
    let query = format!("level=error&search=line&start_time={}", recent(0));
    let data = get(&query).await.data();
    let expected = json!({ "level": "error", "search": "line", "start_time": recent(0) });
    assert_eq!(data["filters_applied"], expected);
    let printed: Vec<_> = get("").await.data()["logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["level"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        printed,
        ["error", "error", "warn", "info", "debug", "debug"]
    );
    assert_eq!(get("limit=1000").await.status, 200);
    for (query, field) in [
        ("limit=1001", "limit"),
        ("limit=0", "limit"),
        ("offset=-1", "offset"),
        ("level=critical", "level"),
        ("level=loud", "level"),
        ("format=xml", "format"),
        ("start_time=soon", "start_time"),
        ("source=x", "source"),
    ] {
        let answer = get(query).await;
        assert_eq!(answer.problem(), (422, "invalid".into()), "{query}");
        assert_eq!(answer.json()["errors"][0]["field"], field);
    }
    assert_eq!(get("q=(").await.problem(), (400, "invalid-query".into()));
    // Pages follow the cursor.
    let first = get("limit=4").await.data();
    let cursor = first["pagination"]["cursor"].as_str().unwrap().to_owned();
    assert_eq!(first["pagination"]["has_more"], true);
    let rest = get(&format!("limit=4&cursor={cursor}")).await.data();
    assert_eq!(
        messages(&rest["logs"]),
        ["the debug line", "the trace line"]
    );
}

#[tokio::test]
async fn csv_and_text_are_harmless() {
    let two = Two::start().await;
    let harness = &two.harness;
    let key = two.key(&two.jane, "a").await;
    for (index, message) in [
        "=cmd|'/C calc'!A0",
        "+1",
        "-1",
        "@x",
        "\t=1",
        "a,\"b\"\nc\u{1b}[2J",
    ]
    .into_iter()
    .enumerate()
    {
        let line = document(index, "info", message).to_string();
        two.ingest(&key, "instance.app", &line).await.data();
    }
    let get = async |query: &str| {
        let path = format!("/api/v1/mcps/a/logs?{query}");
        harness.get_as(&two.jane, &path).await
    };
    let csv = get("format=csv&limit=5&offset=1").await;
    assert_eq!(
        csv.header("content-type"),
        "text/csv; charset=utf-8; header=present"
    );
    assert_eq!(
        (csv.header("x-total-count"), csv.header("x-partial")),
        ("6", "")
    );
    let lines: Vec<_> = csv.text.split("\r\n").collect();
    assert_eq!(
        lines[0],
        "timestamp,level,message,type,instanceId,userId,service,metadata"
    );
    let cells: Vec<_> = lines[1..6]
        .iter()
        .map(|line| {
            line.strip_prefix(&line[..line.find(",info,").unwrap() + 6])
                .unwrap()
        })
        .map(|rest| rest[..rest.find(",stdout,").unwrap()].to_owned())
        .collect();
    assert_eq!(
        cells,
        [
            "\"'\t=1\"",
            "\"'@x\"",
            "\"'-1\"",
            "\"'+1\"",
            "\"'=cmd|'/C calc'!A0\""
        ]
    );
    assert!(
        lines[1].contains(",stdout,a,u1,figma,\"{\"\"id\"\":"),
        "{}",
        lines[1]
    );
    let csv = get("format=csv&limit=1").await;
    assert!(
        csv.text.contains(",\"a,\"\"b\"\"\nc\\x1b[2J\",stdout,"),
        "{}",
        csv.text
    );
    // The next page by its cursor.
    let cursor = csv.header("x-next-cursor").to_owned();
    let next = get(&format!("format=txt&limit=1&cursor={cursor}")).await;
    assert_eq!(next.text, format!("{} info  figma \t=1\n", recent(4)));
    let txt = get("format=txt&limit=1").await;
    assert_eq!(txt.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(
        txt.text,
        format!("{} info  figma a,\"b\"\\nc\\x1b[2J\n", recent(5))
    );
}

#[tokio::test]
async fn the_live_tail_of_an_instance() {
    let two = Two::start().await;
    let harness = &two.harness;
    let (of_a, of_b) = (two.key(&two.jane, "a").await, two.key(&two.joe, "b").await);
    let send_one = async |key: &str, index: usize, level: &str, message: &str| {
        let line = document(index, level, message).to_string();
        two.ingest(key, "instance.app", &line).await.data();
    };
    send_one(&of_a, 0, "info", "old").await;
    send_one(&of_a, 1, "critical", "bad").await;
    let path = "/ws/mcps/a/logs";
    let mut all = Tail::open_at(harness, &format!("{path}?backlog=1"), &two.jane).await;
    let first = all.entry().await;
    assert_eq!(
        (&first["level"], &first["message"]),
        (&json!("error"), &json!("bad"))
    );
    assert_eq!(first["metadata"]["instanceId"], "a");
    assert_eq!(first["metadata"]["userId"], "u1");
    let query = format!("{path}?level=error&search=line&q=-skip");
    let mut some = Tail::open_at(harness, &query, BOOTSTRAP_KEY).await;
    send_one(&of_b, 2, "error", "line of another").await;
    for (index, level, message) in [
        (3, "info", "line one"),
        (4, "error", "skip line"),
        (5, "error", "line two"),
    ] {
        send_one(&of_a, index, level, message).await;
    }
    let texts = all.texts(3).await;
    assert_eq!(texts, ["line one", "skip line", "line two"]);
    assert_eq!(some.texts(1).await, ["line two"]);
    let cursor = all.cursor().await;
    send_one(&of_a, 6, "info", "later").await;
    let query = format!("{path}?cursor={cursor}");
    let mut resumed = Tail::open_at(harness, &query, &two.jane).await;
    assert_eq!(resumed.texts(1).await, ["later"]);
    for (query, expected) in [
        ("level=loud", 422),
        ("q=(", 400),
        ("query=x", 422),
        ("backlog=10001", 422),
    ] {
        let path = format!("{path}?{query}");
        assert_eq!(
            Tail::refused(harness, &path, &two.jane).await,
            expected,
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_key_that_reads_a_stream_of_instances_reads_that_alone() {
    let two = Two::start().await;
    let harness = &two.harness;
    let key = two.key(&two.jane, "a").await;
    for stream in ["instance.app", "instance.error"] {
        two.ingest(&key, stream, &json!({ "message": stream }).to_string())
            .await
            .data();
    }
    let reader = async |pattern: &str| {
        let scope = json!({ "scope": "read", "streams": [pattern] });
        let body = json!({ "name": "r", "scope": scope });
        let made = harness.post_as(&two.jane, "/api/v1/keys", &body).await;
        made.data()["secret"].as_str().unwrap().to_owned()
    };
    let errors = reader("instance.error").await;
    let logs = harness.get_as(&errors, "/api/v1/mcps/a/logs").await.data();
    assert_eq!(messages(&logs["logs"]), ["instance.error"]);
    assert_eq!(harness.get_as(&errors, "/api/v1/mcps/a").await.status, 200);
    assert_eq!(harness.get_as(&errors, "/api/v1/mcps/b").await.status, 404);
    let change = two
        .change(&errors, "a", &json!({ "status": "inactive" }))
        .await;
    assert_eq!(change.problem(), (403, "forbidden".into()));
    let other = reader("app.*").await;
    for path in ["/api/v1/mcps", "/api/v1/mcps/a", "/api/v1/mcps/a/logs"] {
        let answer = harness.get_as(&other, path).await;
        assert_eq!(answer.problem(), (403, "forbidden".into()), "{path}");
    }
}
