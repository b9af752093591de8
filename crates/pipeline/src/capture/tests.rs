use super::*;
use Level::{Critical, Debug, Error, Info, Trace, Warn};
use Origin::{Http, Stderr, Stdout, System};

fn rules() -> CaptureRules {
    CaptureRules::new(&CaptureConfig::default()).unwrap()
}

fn decide(rules: &CaptureRules, origin: Origin, message: &str) -> (String, Level, String) {
    let decision = rules.decide(&Captured {
        origin,
        level: None,
        message,
        has_exception: exception::find(message).is_some(),
        has_field: &|_| false,
    });
    (
        decision.stream.to_owned(),
        decision.level,
        decision.rule.to_owned(),
    )
}

#[test]
fn every_row_of_the_table_of_streams() {
    let rules = rules();
    let check = |origin, message: &str, stream: &str, rule: &str| {
        let (have, _, by) = decide(&rules, origin, message);
        assert_eq!((have.as_str(), by.as_str()), (stream, rule), "{message}");
    };
    let access = |message: &str, rule: &str| {
        check(Stdout, message, "instance.access", rule);
        check(Stderr, message, "instance.access", rule);
    };
    check(Http, "anything", "instance.access", "http");
    check(System, "started", "instance.app", "otherwise");
    check(Stdout, "listening on 3000", "instance.app", "otherwise");
    check(Stderr, "listening on 3000", "instance.error", "stderr");
    check(Stdout, "ERROR: no port", "instance.error", "level");
    let trace = "Error: GET https://h/x 500\n    at f (/srv/app.js:1:2)";
    check(Stdout, trace, "instance.error", "exception");
    for line in [
        r#"203.0.113.7 - - [04/Jan/2026:15:30:45 +0000] "GET /a?b=c HTTP/1.1" 200 512 "-" "curl/8.5""#,
        r#"INFO:     127.0.0.1:40422 - "POST /mcp HTTP/1.1" 200 OK"#,
        r#""POST /mcp HTTP/1.1" 200"#,
        r#"127.0.0.1 - - [04/Jan/2026 15:30:45] "GET / HTTP/1.1" 404 -"#,
        r#"::1 - - [04/Jan/2026:15:30:45 +0000] "DELETE /a HTTP/2" 204 - "-" "node""#,
        r#"https://api.github.com:443 "GET /repos/a/b HTTP/1.1" 200 512"#,
    ] {
        access(line, "request line");
    }
    access(
        r#"HTTP Request: GET https://api.github.com/user "HTTP/1.1 200 OK""#,
        "request to",
    );
    for line in [
        "GET /users 200 12.345 ms - 45",
        "GET /users 304 0.5 ms - -",
        "\u{1b}[0mGET /users \u{1b}[32m200\u{1b}[0m 12.345 ms - 45\u{1b}[0m",
        "GET https://api.github.com/repos/a/b 200 in 123ms",
        " GET /api/items 500 in 34ms",
        "12:00:01 POST /mcp 202 3ms",
        "--> GET /users 200 5ms",
        "GET /a HTTP/1.1 200",
        "GET /users -> 200 (3 ms)",
    ] {
        access(line, "request and status");
    }
    access("<-- GET /users", "request with an arrow");
    access(
        r#"[GIN] 2026/01/04 - 15:30:45 | 200 |     1.2ms |       127.0.0.1 | GET      "/ping""#,
        "gin",
    );
    access(
        r#"Started GET "/users" for 127.0.0.1 at 2026-01-04"#,
        "started",
    );
    access("Completed 200 OK in 5ms (Views: 1.0ms)", "completed");
    for line in [
        "GET ready for 200 guests",
        "the route GET /users is slow",
        "cannot GET /users",
        "POST office 12345",
        "GET /users",
        "DELETE FROM users WHERE id = 200",
        "Started worker 7",
        "Completed 200 of 300",
        "said \"GET lost\" 200 times",
    ] {
        check(Stdout, line, "instance.app", "otherwise");
    }
}

#[test]
fn every_row_of_fields() {
    let rules = rules();
    let mut rows = 0;
    for row in STREAMS.iter().filter(|row| !row.fields.is_empty()) {
        let decide = |fields: &[&str]| {
            let decision = rules.decide(&Captured {
                origin: Stdout,
                level: Some(Error),
                message: "request completed",
                has_exception: false,
                has_field: &|name| fields.contains(&name),
            });
            decision.stream.to_owned()
        };
        assert_eq!(decide(row.fields), "instance.access", "{:?}", row.fields);
        assert_eq!(decide(&row.fields[1..]), "instance.error");
        rows += 1;
    }
    assert!(rows > 10);
}

#[test]
fn levels_that_a_line_says_or_looks_like() {
    let rules = rules();
    for (message, level) in [
        // Nothing said: stderr is where programs log.
        ("Secure MCP Filesystem Server running on stdio", Info),
        ("0 errors, 0 warnings", Info),
        ("no errorneous rows", Info),
        ("Fatalistic poem", Info),
        ("Warning signs explained", Info),
        ("Informative text", Info),
        ("{\"a\":\"error\"}", Info),
        // Said in front.
        ("FATAL out of memory", Critical),
        ("fatal: not a git repository", Critical),
        ("fatal error: all goroutines are asleep", Critical),
        ("[CRITICAL] disk", Critical),
        ("panic: boom", Critical),
        ("ERROR no port", Error),
        ("error: no port", Error),
        ("[error] no port", Error),
        ("[15:30:45.123] ERROR (4711): request failed", Error),
        ("\u{1b}[31merror\u{1b}[39m: no port", Error),
        ("12:00:01 [Error] x", Error),
        ("2026-01-04T15:30:45Z | ERROR | app", Error),
        ("Nov 20 15:30:45 ERROR x", Error),
        ("SEVERE: failed", Error),
        ("ERR! code ENOENT", Error),
        ("WARNING  no key", Warn),
        ("warn: slow", Warn),
        ("[WARN] slow", Warn),
        ("INFO: handled TypeError: x", Info),
        ("[info] said error: x", Info),
        ("NOTICE x", Info),
        ("DEBUG x", Debug),
        ("[debug] x", Debug),
        ("TRACE x", Trace),
        ("verbose: x", Trace),
        // Looks like it.
        ("TypeError: x is not a function", Error),
        ("java.lang.IllegalStateException: x", Error),
        ("KeyError", Error),
        ("request failed: AppError: cannot charge", Error),
        ("Error [ERR_X]: y", Error),
        ("cannot start, error: no port", Error),
        ("npm error code ENOENT", Error),
        ("Uncaught exception", Error),
        ("Exception in thread \"main\" x", Error),
        ("/srv/a.py:3: DeprecationWarning: old", Warn),
        ("(node:7) Warning: leak", Warn),
        (
            "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    x\nNameError: x",
            Error,
        ),
        ("oops\n    at f (/srv/app.js:1:2)", Error),
    ] {
        for origin in [Stdout, Stderr] {
            assert_eq!(decide(&rules, origin, message).1, level, "{message}");
        }
    }
}

#[test]
fn what_a_record_says_of_its_level_is_kept() {
    let decision = |level, message| {
        let rules = rules();
        let captured = Captured {
            origin: Stdout,
            level: Some(level),
            message,
            has_exception: false,
            has_field: &|_| false,
        };
        let decision = rules.decide(&captured);
        (decision.level, decision.stream.to_owned())
    };
    assert_eq!(decision(Info, "error: x"), (Info, "instance.app".into()));
    assert_eq!(decision(Error, "x"), (Error, "instance.error".into()));
    assert_eq!(decision(Critical, "x"), (Critical, "instance.error".into()));
    assert_eq!(decision(Warn, "x"), (Warn, "instance.app".into()));
}

#[test]
fn rules_of_the_configuration_come_first() {
    let config = CaptureConfig {
        rules: vec![
            CaptureRule {
                origins: vec![Stderr],
                pattern: Some("^started".into()),
                to: Some("instance.app".into()),
                level: Some(Debug),
                ..CaptureRule::default()
            },
            CaptureRule {
                pattern: Some("^noise".into()),
                level: Some(Trace),
                ..CaptureRule::default()
            },
            CaptureRule {
                level_min: Some(Warn),
                to: Some("instance.error".into()),
                ..CaptureRule::default()
            },
        ],
    };
    let rules = CaptureRules::new(&config).unwrap();
    let check = |origin, message, stream: &str, level| {
        let (have, got, _) = decide(&rules, origin, message);
        assert_eq!((have.as_str(), got), (stream, level), "{message}");
    };
    check(Stderr, "started", "instance.app", Debug);
    check(Stdout, "started", "instance.app", Info);
    check(Stderr, "noise error: x", "instance.error", Trace);
    check(Stdout, "warn: x", "instance.error", Warn);
    check(Stdout, "x", "instance.app", Info);
}

#[test]
fn wrong_rules_are_named() {
    let fault = |rule: CaptureRule| {
        let config = CaptureConfig {
            rules: vec![
                CaptureRule {
                    level: Some(Info),
                    ..CaptureRule::default()
                },
                rule,
            ],
        };
        CaptureRules::new(&config)
            .and_then(|rules| rules.check(&StreamCatalogue::built_in()))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        fault(CaptureRule::default()),
        "capture rule 2: needs `to`, `level` or both"
    );
    assert_eq!(
        fault(CaptureRule {
            pattern: Some("(".into()),
            level: Some(Info),
            ..CaptureRule::default()
        }),
        "capture rule 2: the regular expression does not compile"
    );
    assert_eq!(
        fault(CaptureRule {
            to: Some("nowhere".into()),
            ..CaptureRule::default()
        }),
        "capture rule 2: there is no stream \"nowhere\""
    );
}

#[test]
fn the_number_of_rules_is_limited() {
    let fault = |count| {
        let rule = CaptureRule {
            level: Some(Info),
            ..CaptureRule::default()
        };
        let config = CaptureConfig {
            rules: vec![rule; count],
        };
        CaptureRules::new(&config)
            .err()
            .map(|fault| fault.to_string())
    };
    assert_eq!(fault(CAPTURE_RULES_MAX), None);
    assert_eq!(
        fault(CAPTURE_RULES_MAX + 1).unwrap(),
        "201 capture rules are more than 200"
    );
}

#[test]
fn the_default_rules_send_to_streams_that_exist() {
    rules().check(&StreamCatalogue::built_in()).unwrap();
    assert!(
        StreamCatalogue::built_in()
            .by_name(table::OTHERWISE)
            .is_some()
    );
}

/// The fixtures of the joiner are records of real traces: of each that holds one, the type and
/// the first line of the message.
#[track_caller]
fn check_exceptions(fixture: &str, expected: &[(&str, &str)]) {
    let found: Vec<Exception> = fixture.split("%%\n").filter_map(exception::find).collect();
    let titles: Vec<(&str, &str)> = found
        .iter()
        .map(|found| {
            let message = found.message().lines().next().unwrap_or_default();
            (found.kind(), message)
        })
        .collect();
    assert_eq!(titles, expected);
    for exception in &found {
        assert!(fixture.contains(exception.stack()));
        assert!(exception.stack().contains(exception.message()));
    }
}

#[test]
fn exceptions_of_python() {
    let group = ("ExceptionGroup", "3 workers failed (3 sub-exceptions)");
    let missing = (
        "FileNotFoundError",
        "[Errno 2] No such file or directory: '/nonexistent/config.json'",
    );
    let syntax = (
        "SyntaxError",
        "invalid syntax. Maybe you meant '==' or ':=' instead of '='?",
    );
    check_exceptions(
        include_str!("../../../ingest/src/listen/multiline/fixtures/python.txt"),
        &[
            missing,
            (
                "ValueError",
                "invalid literal for int() with base 10: 'eighty'",
            ),
            group,
            syntax,
            ("RecursionError", "maximum recursion depth exceeded"),
            ("KeyError", "'port'"),
            ("RuntimeError", "in a thread"),
            (
                "ExceptionGroup",
                "unhandled errors in a TaskGroup (1 sub-exception)",
            ),
            syntax,
            ("SchemaError", "row 3 does not fit:"),
            missing,
            missing,
            group,
            ("ValueError", "bad"),
            (
                "pydantic_core._pydantic_core.ValidationError",
                "2 validation errors for Settings",
            ),
        ],
    );
}

#[test]
fn exceptions_of_node() {
    let open = (
        "Error",
        "ENOENT: no such file or directory, open '/nonexistent/settings.json'",
    );
    let charge = ("AppError", "cannot charge");
    check_exceptions(
        include_str!("../../../ingest/src/listen/multiline/fixtures/node.txt"),
        &[
            open,
            ("Error", "database is not there"),
            ("AggregateError", "All promises were rejected"),
            charge,
            charge,
            ("Error", "line one"),
            ("SyntaxError", "Unexpected token ';'"),
            (
                "Error",
                "Cannot find module '/srv/app/nothere.mjs' imported from /srv/app/esm.mjs",
            ),
            (
                "UnhandledPromiseRejection",
                "This error originated either by throwing inside of an async function without a catch block, or by rejecting a promise which was not handled with .catch(). The promise rejected with the reason \"plain text\".",
            ),
            ("Error", "unhandled one"),
            (
                "TypeError",
                "Cannot read properties of undefined (reading 'name')",
            ),
            open,
            ("Error", "database is not there"),
            ("Error", "no configuration"),
            (
                "Error",
                "ENOENT: no such file or directory, open '/nowhere/x'",
            ),
            ("AggregateError", "many"),
            ("Error", "http"),
        ],
    );
}

#[test]
fn exceptions_of_java() {
    let load = ("java.lang.IllegalStateException", "cannot load");
    check_exceptions(
        include_str!("../../../ingest/src/listen/multiline/fixtures/java.txt"),
        &[
            load,
            ("java.lang.RuntimeException", "logged"),
            load,
            load,
            ("com.acme.billing.CardRefused", "card refused"),
        ],
    );
}

#[test]
fn exceptions_of_go() {
    check_exceptions(
        include_str!("../../../ingest/src/listen/multiline/fixtures/go.txt"),
        &[
            (
                "panic",
                "runtime error: index out of range [5] with length 3",
            ),
            (
                "panic",
                "runtime error: invalid memory address or nil pointer dereference",
            ),
            ("panic", "boom"),
            ("panic", "second"),
            ("panic", "config is bad:"),
            ("fatal error", "all goroutines are asleep - deadlock!"),
            ("fatal error", "stack overflow"),
            ("SIGQUIT", "quit"),
        ],
    );
}

#[test]
fn exceptions_of_rust() {
    let worker = ("panic", "worker");
    let main = ("panic", "assertion `left == right` failed: ports differ");
    check_exceptions(
        include_str!("../../../ingest/src/listen/multiline/fixtures/rust.txt"),
        &[
            worker,
            main,
            worker,
            main,
            worker,
            main,
            ("Error", "cannot start"),
        ],
    );
}

#[test]
fn output_that_only_looks_like_a_trace() {
    let text = include_str!("../../../ingest/src/listen/multiline/fixtures/lines.txt");
    for line in text.lines() {
        assert_eq!(exception::find(line), None);
    }
    for text in [
        "",
        "\n",
        "Error: x",
        "a\nb",
        "Error: \n",
        "  File \"a\", line 1\n",
    ] {
        assert_eq!(exception::find(text), None, "{text}");
    }
}

static RULES: std::sync::LazyLock<CaptureRules> = std::sync::LazyLock::new(rules);

proptest::proptest! {
    #[test]
    fn any_text_is_decided(text in "(\\PC|\\n|    at |Error: |Traceback \\(most recent call last\\):|panic: |goroutine 1 \\[x\\]:|thread '| panicked at |Caused by:|\\x1b\\[|\\[|\\{){0,30}") {
        for origin in [Stdout, Stderr, System, Http] {
            let (stream, ..) = decide(&RULES, origin, &text);
            proptest::prop_assert!(stream.starts_with("instance."));
        }
    }
}
