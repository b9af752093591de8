//! Search and its neighbours: paging, projection, limits, exact values, counts.
use crate::harness::{Answer, Harness, messages, recent, send};
use reqwest::Method;
use serde_json::{Value, json};
use taffrail_model::limits::{
    FACET_VALUES_MAX, HISTOGRAM_BUCKETS_MAX, OFFSET_RECORDS_MAX, PAGE_RECORDS_MAX, QUERY_BYTES_MAX,
};

#[tokio::test]
async fn values_come_back_as_they_came() {
    let harness = Harness::start().await;
    let body = r#"{"message":"m","a":1.50,"b":12345678901234567890123,"c":1e9,"d":"1.50","e":true,"f":[1, {"x":null}],"g":{"h":-0},"i":null,"j":"ä\u0000\"\\"}"#;
    assert_eq!(
        harness.ingest("app.backend", body).await.data()["accepted"],
        1
    );
    let text = harness.get("/api/v1/search").await.text;
    for part in [
        r#""a":1.50"#,
        r#""b":12345678901234567890123"#,
        r#""c":1e9"#,
        r#""d":"1.50""#,
        r#""e":true"#,
        r#""g.h":-0"#,
        r#""stream":"app.backend""#,
        r#""tenant":"default""#,
        r#""level":"info""#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains(r#""i":"#));
    let record = &harness.get("/api/v1/search").await.data()["records"][0];
    assert_eq!(record["j"], "ä\0\"\\");
    assert_eq!(record["f"], json!([1, { "x": null }]));
}

#[tokio::test]
async fn pages_follow_each_other_and_new_records_do_not_disturb_them() {
    let harness = Harness::start().await;
    let all: Vec<String> = (0..25).map(|index| format!("m{index:02}")).collect();
    let texts: Vec<&str> = all.iter().map(String::as_str).collect();
    harness.store("app.backend", &texts).await;
    for (order, is_reversed) in [("desc", true), ("asc", false), ("arrival", false)] {
        let mut expected = all.clone();
        if is_reversed {
            expected.reverse();
        }
        let mut found = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let body = json!({ "limit": 10, "order": order, "cursor": cursor });
            let data = harness.post("/api/v1/search", &body).await.data();
            found.extend(messages(&data["records"]));
            // What comes meanwhile is not part of the pages.
            harness.store("app.backend", &["new"]).await;
            cursor = data["cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        found.retain(|message| message != "new");
        assert_eq!(found, expected, "{order}");
    }
    let newest = harness
        .found(json!({ "limit": 3, "query": "-message:new" }))
        .await;
    assert_eq!(newest, ["m24", "m23", "m22"]);
    let passed = harness
        .found(json!({ "limit": 2, "offset": 3, "query": "-message:new" }))
        .await;
    assert_eq!(passed, ["m21", "m20"]);
}

#[tokio::test]
async fn cursors_are_checked() {
    let harness = Harness::start().await;
    harness.store("app.backend", &["a", "b", "c"]).await;
    let first = harness.get("/api/v1/search?limit=1").await.data();
    let cursor = first["cursor"].as_str().unwrap();
    for (bad, order) in [("x", "desc"), (&cursor[1..], "desc"), (cursor, "asc")] {
        let body = json!({ "cursor": bad, "order": order, "limit": 1 });
        let answer = harness.post("/api/v1/search", &body).await;
        assert_eq!(
            answer.problem(),
            (400, "invalid-cursor".into()),
            "{bad} {order}"
        );
    }
}

#[tokio::test]
async fn queries_times_streams_and_fields_narrow() {
    let harness = Harness::start().await;
    let lines = [
        json!({ "timestamp": recent(0), "level": "error", "message": "token expired", "source": "figma" }),
        json!({ "timestamp": recent(10), "level": "info", "message": "token issued", "source": "slack" }),
        json!({ "timestamp": recent(20), "level": "warn", "message": "slow", "source": "figma" }),
    ];
    let body = lines.map(|line| line.to_string()).join("\n");
    harness.ingest("app.backend", body).await.data();
    harness.store("machine", &["token of a machine"]).await;
    for (question, expected) in [
        (
            json!({ "query": "token", "streams": ["app.*"] }),
            &["token issued", "token expired"][..],
        ),
        (json!({ "query": "level:error" }), &["token expired"]),
        (
            json!({ "query": "level>=warn" }),
            &["slow", "token expired"],
        ),
        (json!({ "query": "source:figma -slow" }), &["token expired"]),
        (json!({ "search": "expired token" }), &["token expired"]),
        (json!({ "search": "\"(unbalanced" }), &[]),
        (json!({ "streams": ["machine"] }), &["token of a machine"]),
        (
            json!({ "start_time": recent(5), "end_time": recent(10) }),
            &["token issued"],
        ),
        (json!({ "start_time": "now-1m" }), &[]),
    ] {
        assert_eq!(
            harness.found(question.clone()).await,
            expected,
            "{question}"
        );
    }
    let body = json!({ "query": "level:error", "fields": ["msg", "source", "nothing"] });
    let data = harness.post("/api/v1/search", &body).await.data();
    assert_eq!(
        data["records"],
        json!([{ "message": "token expired", "source": "figma" }])
    );
    let uncounted = harness
        .get("/api/v1/search?count=false&limit=1")
        .await
        .data();
    assert_eq!(uncounted["total"], Value::Null);
    let counted = harness.get("/api/v1/search?limit=0").await.data();
    assert_eq!(
        (&counted["total"], &counted["records"]),
        (&json!(4), &json!([]))
    );
    assert_eq!(counted["partial"], false);
    assert!(counted["took_ms"].is_number());
}

#[tokio::test]
async fn own_events_are_searched_when_named() {
    let harness = Harness::start().await;
    harness.store("app.backend", &["ordinary"]).await;
    harness
        .ingest("system.application", r#"{"message":"platform event"}"#)
        .await
        .data();
    assert_eq!(harness.found(json!({})).await, ["ordinary"]);
    let found = harness
        .found(json!({ "streams": ["system.*"], "query": "platform" }))
        .await;
    assert_eq!(found, ["platform event"]);
}

#[tokio::test]
async fn a_faulty_query_says_where() {
    let harness = Harness::start().await;
    for path in [
        "/api/v1/search",
        "/api/v1/histogram?interval=1m",
        "/api/v1/fields",
        "/api/v1/facets?fields=source",
    ] {
        let mark = if path.contains('?') { '&' } else { '?' };
        let answer = harness
            .get(&format!("{path}{mark}query=level:error%20(a%20OR"))
            .await;
        assert_eq!(answer.problem(), (400, "invalid-query".into()), "{path}");
        let document = answer.json();
        assert!(document["start"].as_u64() <= document["end"].as_u64());
        assert!(document["hint"].is_string());
    }
    let longest = format!("a{}", " ".repeat(QUERY_BYTES_MAX - 1));
    let answer = harness
        .post("/api/v1/search", &json!({ "query": longest }))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = harness
        .post(
            "/api/v1/search",
            &json!({ "query": format!("{longest} b") }),
        )
        .await;
    assert_eq!(answer.problem().0, 400);
}

#[tokio::test]
async fn limits_at_and_past() {
    let harness = Harness::start().await;
    harness.store("app.backend", &["a"]).await;
    for (path, name, most) in [
        ("/api/v1/search", "limit", PAGE_RECORDS_MAX),
        ("/api/v1/search", "offset", OFFSET_RECORDS_MAX),
        ("/api/v1/logging/logs", "limit", 1_000),
        ("/api/v1/logging/logs", "offset", OFFSET_RECORDS_MAX),
        ("/api/v1/histogram", "buckets", HISTOGRAM_BUCKETS_MAX),
        ("/api/v1/facets?fields=source", "limit", FACET_VALUES_MAX),
        ("/api/v1/users", "limit", 1_000),
        ("/api/v1/keys", "limit", 1_000),
    ] {
        let mark = if path.contains('?') { '&' } else { '?' };
        let at = harness.get(&format!("{path}{mark}{name}={most}")).await;
        assert_eq!(at.status, 200, "{path} {name} {}", at.text);
        for bad in [
            format!("{}", most + 1),
            "-1".into(),
            "x".into(),
            "1.5".into(),
            String::new(),
        ] {
            let past = harness.get(&format!("{path}{mark}{name}={bad}")).await;
            assert_eq!(
                past.problem(),
                (422, "invalid".into()),
                "{path} {name}={bad}"
            );
            assert_eq!(past.json()["errors"][0]["field"], name);
        }
    }
}

#[tokio::test]
async fn all_faults_are_answered_together() {
    let harness = Harness::start().await;
    let body = json!({
        "limit": -1, "start_time": "soon", "order": "random", "count": "maybe", "querry": "x",
    });
    let answer = harness.post("/api/v1/search", &body).await;
    assert_eq!(answer.problem(), (422, "invalid".into()));
    let document = answer.json();
    let fields: Vec<_> = document["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["start_time", "order", "limit", "count", "querry"]);
}

#[tokio::test]
async fn unreadable_bodies() {
    let harness = Harness::start().await;
    let post = async |kind: &str, body: String| -> Answer {
        let request = harness
            .admin(Method::POST, "/api/v1/search")
            .header("content-type", kind);
        send(request.body(body)).await
    };
    for body in ["{", "[]", "7", "{\"a\":1}x"] {
        let answer = post("application/json", body.into()).await;
        assert_eq!(answer.problem(), (400, "unreadable".into()), "{body}");
    }
    assert_eq!(post("text/plain", "{}".into()).await.problem().0, 415);
    let large = format!("{{\"query\":\"{}\"}}", "a".repeat(1 << 20));
    assert_eq!(
        post("application/json", large).await.problem(),
        (413, "too-large".into())
    );
    let answer = harness
        .post("/api/v1/search", &json!({ "streams": ["app.nothing"] }))
        .await;
    assert_eq!(answer.problem(), (404, "unknown-stream".into()));
}

#[tokio::test]
async fn histograms() {
    let harness = Harness::start().await;
    let lines: Vec<_> = (0..120)
        .map(|second| {
            let level = if second % 3 == 0 { "error" } else { "info" };
            json!({ "timestamp": recent(second), "level": level, "message": "m" }).to_string()
        })
        .collect();
    harness.ingest("app.backend", lines.join("\n")).await.data();
    let data = harness.get("/api/v1/histogram?interval=1m").await.data();
    assert_eq!(data["interval"], "1m");
    assert_eq!(data["total"], 120);
    let points = json!([[recent(0), 60], [recent(60), 60]]);
    assert_eq!(
        data["series"],
        json!([{ "key": null, "kind": "all", "points": points }])
    );
    let data = harness
        .get("/api/v1/histogram?interval=1m&by=level&query=level:*")
        .await
        .data();
    let error = json!([[recent(0), 20], [recent(60), 20]]);
    assert_eq!(
        data["series"][1],
        json!({ "key": "error", "kind": "value", "points": error })
    );
    // Without times the records themselves say where the buckets are.
    let data = harness.get("/api/v1/histogram?buckets=4").await.data();
    assert_eq!(
        (&data["interval"], &data["total"]),
        (&json!("30s"), &json!(120))
    );
    let data = harness
        .get("/api/v1/histogram?query=nothing-like-it")
        .await
        .data();
    assert_eq!(data["total"], 0);
    for bad in ["interval=1m&buckets=3", "interval=0s", "interval=x"] {
        let answer = harness.get(&format!("/api/v1/histogram?{bad}")).await;
        assert_eq!(answer.problem(), (422, "invalid".into()), "{bad}");
    }
}

#[tokio::test]
async fn a_histogram_at_and_past_its_buckets() {
    let harness = Harness::start().await;
    let epoch_ms: usize = 1_700_000_000_000;
    let line = |index: usize| format!("{{\"time\":{},\"message\":\"m\"}}", epoch_ms + index);
    let lines: Vec<_> = (0..HISTOGRAM_BUCKETS_MAX).map(line).collect();
    harness.ingest("machine", lines.join("\n")).await.data();
    let data = harness.get("/api/v1/histogram?interval=1ms").await.data();
    assert_eq!(data["total"], HISTOGRAM_BUCKETS_MAX);
    harness
        .ingest("machine", line(HISTOGRAM_BUCKETS_MAX))
        .await
        .data();
    let answer = harness.get("/api/v1/histogram?interval=1ms").await;
    assert_eq!(answer.problem(), (422, "invalid".into()));
}

#[tokio::test]
async fn facets_and_fields() {
    let harness = Harness::start().await;
    let lines = [
        json!({ "message": "a", "source": "x", "n": 1 }),
        json!({ "message": "b", "source": "x", "n": "one" }),
        json!({ "message": "c", "source": "y" }),
    ];
    let body = lines.map(|line| line.to_string()).join("\n");
    harness.ingest("app.backend", body).await.data();
    let data = harness
        .get("/api/v1/facets?fields=service,n&limit=1")
        .await
        .data();
    let source = json!({
        "field": "service", "values": [{ "value": "x", "count": 2 }], "distinct": 2, "is_estimate": false,
    });
    assert_eq!(data["facets"][0], source);
    assert_eq!(data["facets"][1]["distinct"], 2);
    let data = harness
        .post("/api/v1/fields", &json!({ "query": "source:x" }))
        .await
        .data();
    let fields = data["fields"].as_array().unwrap();
    let field = |name: &str| {
        fields
            .iter()
            .find(|field| field["name"] == name)
            .unwrap()
            .clone()
    };
    let n = json!({ "name": "n", "kinds": ["string", "integer"], "count": 2 });
    assert_eq!(field("n"), n);
    assert_eq!(field("message")["count"], 2);
    for bad in ["", "?fields=", "?fields=a&limit=0"] {
        let answer = harness.get(&format!("/api/v1/facets{bad}")).await;
        assert_eq!(answer.problem(), (422, "invalid".into()), "{bad}");
    }
    let many: Vec<_> = (0..21).map(|index| format!("f{index}")).collect();
    let at = harness
        .get(&format!("/api/v1/facets?fields={}", many[..20].join(",")))
        .await;
    assert_eq!(at.status, 200);
    let past = harness
        .get(&format!("/api/v1/facets?fields={}", many.join(",")))
        .await;
    assert_eq!(past.status, 422);
}

#[tokio::test]
async fn context_of_a_record() {
    let harness = Harness::start().await;
    harness
        .store("app.backend", &["m0", "m1", "m2", "m3", "m4"])
        .await;
    harness.store("machine", &["other stream"]).await;
    let data = harness.get("/api/v1/search?query=m2").await.data();
    let id = data["records"][0]["id"].as_str().unwrap();
    let data = harness
        .get(&format!("/api/v1/context/{id}?before=1&after=5"))
        .await
        .data();
    assert_eq!(data["record"]["message"], "m2");
    assert_eq!(messages(&data["before"]), ["m1"]);
    assert_eq!(messages(&data["after"]), ["m3", "m4"]);
    let one = harness
        .get(&format!("/api/v1/logging/logs/{id}"))
        .await
        .data();
    assert_eq!(one, data["record"]);
    for bad in ["x", "4fe90010-0000-8000-8000-0000000fffff"] {
        for path in ["/api/v1/context/", "/api/v1/logging/logs/"] {
            let answer = harness.get(&format!("{path}{bad}")).await;
            assert_eq!(answer.problem(), (404, "not-found".into()), "{bad}");
        }
    }
    let answer = harness
        .get(&format!("/api/v1/context/{id}?before=1001"))
        .await;
    assert_eq!(answer.problem(), (422, "invalid".into()));
}

/// Search, histogram, facets, fields and the log route agree as of one of them, however much comes
/// in between them.
#[tokio::test]
async fn answers_as_of_another_count_the_same_records() {
    const ROUNDS: usize = 12;
    let harness = Harness::start().await;
    harness.store("app.backend", &["first"]).await;
    let (done_in, mut done) = tokio::sync::watch::channel(false);
    let sender = async {
        let mut sent = 1;
        while !*done.borrow_and_update() {
            let lines: Vec<_> = (0..40)
                .map(|index| {
                    let level = ["info", "warn", "error"][index % 3];
                    // Some lie before everything else: the span of the records grows.
                    let time = recent(index * 100);
                    json!({ "timestamp": time, "level": level, "message": "m" }).to_string()
                })
                .collect();
            harness.ingest("app.backend", lines.join("\n")).await.data();
            sent += lines.len() as u64;
        }
        sent
    };
    let reader = async {
        let mut totals = Vec::new();
        for round in 0..ROUNDS {
            let mut question = match round % 2 {
                0 => json!({}),
                _ => {
                    json!({ "start_time": "now-3h", "end_time": "now", "query": "timestamp:<=now" })
                }
            };
            // Any of them may be the first.
            let first = match round % 3 {
                0 => "search?limit=1",
                1 => "histogram",
                _ => "facets?fields=source",
            };
            let members = question.as_object().unwrap().clone();
            let parameters: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("&{name}={}", value.as_str().unwrap()))
                .collect();
            let parameters = parameters.concat();
            let separator = if first.contains('?') { "" } else { "?" };
            let path = format!("/api/v1/{first}{separator}{parameters}");
            let as_of = harness.get(&path).await.data()["as_of"].take();
            question["as_of"] = as_of.clone();
            let ask = async |route: &str, more: Value| {
                let mut body = question.clone();
                body.as_object_mut()
                    .unwrap()
                    .extend(more.as_object().unwrap().clone());
                let data = harness
                    .post(&format!("/api/v1/{route}"), &body)
                    .await
                    .data();
                assert_eq!(data["as_of"], as_of, "{route}");
                data
            };
            let page = ask("search", json!({ "limit": 7 })).await;
            let total = page["total"].as_u64().unwrap();
            let histogram = ask("histogram", json!({ "by": "level" })).await;
            assert_eq!(histogram["total"], total);
            let facets = ask("facets", json!({ "fields": ["level"] })).await;
            let values = facets["facets"][0]["values"].as_array().unwrap().clone();
            let counts = values.iter().map(|value| value["count"].as_u64().unwrap());
            assert_eq!(counts.sum::<u64>(), total);
            let fields = ask("fields", json!({})).await;
            let fields = fields["fields"].as_array().unwrap().clone();
            let level = fields
                .iter()
                .find(|field| field["name"] == "level")
                .unwrap();
            assert_eq!(level["count"], total);
            // The pages after it, too.
            let next = ask("search", json!({ "limit": 7, "cursor": page["cursor"] })).await;
            assert_eq!(next["total"], total);
            let times = parameters.replace("&query=", "&q=");
            let path = format!(
                "/api/v1/logging/logs?as_of={}{times}",
                as_of.as_str().unwrap()
            );
            let logs = harness.get(&path).await.data();
            assert_eq!(logs["pagination"]["total"], total);
            assert_eq!(logs["as_of"], as_of);
            totals.push(total);
        }
        done_in.send_replace(true);
        totals
    };
    let (sent, totals) = tokio::join!(sender, reader);
    assert!(
        totals.is_sorted() && totals[0] < totals[ROUNDS - 1],
        "{totals:?}"
    );
    let newest = harness.get("/api/v1/search?limit=0").await.data();
    assert_eq!(newest["total"], sent);
}

#[tokio::test]
async fn what_is_no_as_of_is_refused() {
    let harness = Harness::start().await;
    harness.store("app.backend", &["a"]).await;
    let data = harness.get("/api/v1/search").await.data();
    let as_of = data["as_of"].as_str().unwrap();
    for bad in ["x", &as_of[1..], &format!("{as_of}00")] {
        for route in ["search", "histogram", "fields", "logging/logs"] {
            let answer = harness.get(&format!("/api/v1/{route}?as_of={bad}")).await;
            assert_eq!(answer.problem(), (422, "invalid".into()), "{route} {bad}");
            assert_eq!(answer.json()["errors"][0]["field"], "as_of");
        }
    }
    // An empty one is none, and a tail has no end.
    assert_eq!(
        harness.get("/api/v1/search?as_of=").await.data()["total"],
        1
    );
    let answer = harness.get(&format!("/api/v1/tail?as_of={as_of}")).await;
    assert_eq!(answer.problem(), (422, "invalid".into()));
}

#[tokio::test]
async fn a_query_with_pipes_is_answered_by_a_table() {
    let harness = Harness::start().await;
    let line = |seconds, level: &str, source: Option<&str>, ms: f64| {
        let mut line = json!({ "timestamp": recent(seconds), "level": level, "duration_ms": ms, "user_id": "u1" });
        if let Some(source) = source {
            line["source"] = json!(source);
        }
        line.to_string()
    };
    let lines = [
        line(0, "error", Some("figma"), 10.0),
        line(1, "info", Some("figma"), 20.5),
        line(2, "info", Some("slack"), 30.0),
        line(3, "warn", None, 40.0),
    ];
    harness.ingest("app.backend", lines.join("\n")).await.data();
    let query = "* | stats count(), count_if(level:error) as errors, sum(duration_ms), p50(duration_ms) by source | sort -count, source | limit 10";
    let data = harness
        .post("/api/v1/search", &json!({ "query": query }))
        .await
        .data();
    assert_eq!(
        data["columns"],
        json!([
            { "name": "source", "type": "string" },
            { "name": "count", "type": "integer" },
            { "name": "errors", "type": "integer" },
            { "name": "sum(duration_ms)", "type": "number" },
            { "name": "p50(duration_ms)", "type": "integer" },
        ])
    );
    assert_eq!(
        data["rows"],
        json!([
            ["figma", 2, 1, 30.5, 10],
            ["slack", 1, 0, 30, 30],
            [null, 1, 0, 40, 40],
        ])
    );
    assert_eq!(data["total"], 3);
    for name in ["is_truncated", "is_estimate", "partial"] {
        assert_eq!(data[name], false, "{name}");
    }
    assert!(data["took_ms"].is_number());
    // As of the first answer, later records do not count.
    harness
        .ingest("app.backend", line(4, "error", Some("figma"), 1.0))
        .await
        .data();
    let question = |as_of: &Value| json!({ "query": "| stats count()", "as_of": as_of });
    let then = harness
        .post("/api/v1/search", &question(&data["as_of"]))
        .await
        .data();
    assert_eq!(then["rows"], json!([[4]]));
    let now = harness
        .get("/api/v1/search?query=%7C%20stats%20count()")
        .await
        .data();
    assert_eq!(now["rows"], json!([[5]]));
}

#[tokio::test]
async fn pipes_of_every_kind() {
    let harness = Harness::start().await;
    harness.store("app.backend", &["a", "b", "b"]).await;
    for (query, rows) in [
        ("* | top 1 message", json!([["b", 2]])),
        (
            "* | top 5 message by level",
            json!([["info", "b", 2], ["info", "a", 1]]),
        ),
        (
            "* | timechart 100d count() | fields -timestamp",
            json!([[3]]),
        ),
        (
            "* | sort timestamp | limit 2 | fields message, none",
            json!([["a", null], ["b", null]]),
        ),
        ("nothing | stats count(), avg(x)", json!([[0, null]])),
        ("nothing | stats count() by level", json!([])),
        ("* | stats distinct(message), min(x)", json!([[2, null]])),
    ] {
        let answer = harness
            .post("/api/v1/search", &json!({ "query": query }))
            .await;
        assert_eq!(answer.data()["rows"], rows, "{query}");
    }
    let whole = harness
        .post("/api/v1/search", &json!({ "query": "a | limit 5" }))
        .await
        .data();
    let names: Vec<&str> = whole["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names[..5],
        ["timestamp", "id", "level", "stream", "message"]
    );
    for (body, problem) in [
        (
            json!({ "query": "* | stats cuont()" }),
            (400, "invalid-query"),
        ),
        (
            json!({ "query": "* | limit 5", "cursor": "x" }),
            (422, "invalid"),
        ),
        (
            json!({ "query": "* | timechart 1ms", "start_time": "now-1h" }),
            (200, ""),
        ),
    ] {
        let answer = harness.post("/api/v1/search", &body).await;
        match problem.1 {
            "" => assert_eq!(answer.status.as_u16(), 200),
            word => assert_eq!(answer.problem(), (problem.0, word.to_owned()), "{body}"),
        }
    }
    for path in ["/api/v1/histogram", "/api/v1/fields"] {
        let answer = harness
            .post(path, &json!({ "query": "* | stats count()" }))
            .await;
        assert_eq!(
            answer.problem(),
            (400, "invalid-query".to_owned()),
            "{path}"
        );
        assert_eq!(
            (&answer.json()["start"], &answer.json()["end"]),
            (&json!(2), &json!(17))
        );
    }
}
