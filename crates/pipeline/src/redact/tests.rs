use super::*;
use crate::config::PatternRule;
use proptest::prelude::*;

fn redactor() -> Redactor {
    Redactor::new(&RedactionConfig {
        field_names: vec!["internal_pin".into()],
        patterns: vec![PatternRule {
            name: "badge".into(),
            regex: "B-[A-Z]{6}".into(),
        }],
    })
    .unwrap()
}

fn one(name: &str, kind: Kind, text: &str) -> ColumnSet {
    let mut columns = ColumnSet::default();
    // Neighbours, since the search for words runs over the text of all values.
    let column = columns.get_or_create(name);
    column.push(0, Kind::String, "tok");
    column.push(1, kind, text);
    column.push(2, Kind::String, "en=x 4111");
    columns.set_rows(3);
    columns
}

fn redact_value(name: &str, kind: Kind, text: &str) -> (Kind, String) {
    let redactor = redactor();
    let mut columns = one(name, kind, text);
    let mut counts = BatchCounts::default();
    redactor.redact(&mut columns, &mut counts);
    let once = columns.clone();
    redactor.redact(&mut columns, &mut BatchCounts::default());
    assert_eq!(columns, once, "twice is not once: {text}");
    let value = columns.get(name).unwrap().get(1).unwrap();
    let is_changed = value.text != text;
    assert!(!is_changed || counts.redactions_total() > 0, "{text}");
    (value.kind, value.text.to_owned())
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(
        redact_value("message", Kind::String, text),
        (Kind::String, expected.to_owned()),
        "{text}"
    );
}

#[track_caller]
fn check_json(text: &str, expected: &str) {
    assert_eq!(
        redact_value("list", Kind::Json, text),
        (Kind::Json, expected.to_owned()),
        "{text}"
    );
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(expected);
    assert!(parsed.is_ok(), "{expected}");
}

#[test]
fn fields_are_masked_by_name() {
    let check = |name: &str, kind, text: &str, expected: (Kind, &str)| {
        let expected = (expected.0, expected.1.to_owned());
        assert_eq!(redact_value(name, kind, text), expected, "{name} {text}");
    };
    let mask = |text| (Kind::String, text);
    check(
        "password",
        Kind::String,
        "hunter2",
        mask("[REDACTED:password]"),
    );
    check("user.apiKey", Kind::String, "k", mask("[REDACTED:api_key]"));
    check("token", Kind::Integer, "42", mask("[REDACTED:token]"));
    check("secret", Kind::Json, "[1]", mask("[REDACTED:secret]"));
    check("internalPin", Kind::Float, "1.5", mask("[REDACTED:field]"));
    check("password", Kind::Bool, "true", (Kind::Bool, "true"));
    check("password", Kind::String, "", (Kind::String, ""));
    check(
        "token",
        Kind::String,
        "[REDACTED:nonsense]",
        mask("[REDACTED:token]"),
    );
    check("input_tokens", Kind::Integer, "42", (Kind::Integer, "42"));
}

#[test]
fn secrets_inside_text() {
    check("password=hunter2", "password=[REDACTED:password]");
    check("PASSWORD = hunter2 ok", "PASSWORD = [REDACTED:password] ok");
    check(
        "user=ada, password=hunter2, retry=1",
        "user=ada, password=[REDACTED:password], retry=1",
    );
    check("password=a,b;c)d x", "password=[REDACTED:password] x");
    check("token: abc.def", "token: [REDACTED:token]");
    check("(token: abc)", "(token: [REDACTED:token])");
    check("x-api-key: k1", "x-api-key: [REDACTED:api_key]");
    check("apiKey='k 1' y", "apiKey='[REDACTED:api_key]' y");
    check("API key: k1", "API key: [REDACTED:api_key]");
    check(
        "GET /x?access_token=abc&page=2",
        "GET /x?access_token=[REDACTED:access_token]&page=2",
    );
    check(
        r#"body {"user":"ada","password":"hun\"ter2","n":1}"#,
        r#"body {"user":"ada","password":"[REDACTED:password]","n":1}"#,
    );
    check(
        r#"body {"token":123456,"a":1}"#,
        r#"body {"token":"[REDACTED:token]","a":1}"#,
    );
    check(
        r#"body {"secret":{"a":"}","b":["x"]},"a":1}"#,
        r#"body {"secret":"[REDACTED:secret]","a":1}"#,
    );
    check(
        r#"{"body":"{\"password\":\"hunter2\",\"a\":\"b\"}"}"#,
        r#"{"body":"{\"password\":\"[REDACTED:password]\",\"a\":\"b\"}"}"#,
    );
    check(
        "{'token': 'abc', 'a': 1}",
        "{'token': '[REDACTED:token]', 'a': 1}",
    );
    check("password=\"never closed", "password=\"[REDACTED:password]");
    check(
        "mysql --password hunter2 -h x",
        "mysql --password [REDACTED:password] -h x",
    );
    check("secret => s3", "secret => [REDACTED:secret]");
    check("token: Bearer abc", "token: [REDACTED:token]");
    check(
        "Authorization: Bearer abcdef0123456789abcdef",
        "Authorization: [REDACTED:authorization]",
    );
    check("ssn: 123 45 6789 ok", "ssn: [REDACTED:ssn] ok");
    check("internal-pin=77", "internal-pin=[REDACTED:field]");
    check("badge B-ABCDEF seen", "badge [REDACTED:badge] seen");
    check(
        "password=a token=b",
        "password=[REDACTED:password] token=[REDACTED:token]",
    );
    check(
        "密码 password=秘密 完",
        "密码 password=[REDACTED:password] 完",
    );
}

#[test]
fn ordinary_text_is_left_alone() {
    for text in [
        "",
        "token",
        "token:",
        "password=",
        "invalid token",
        "the password was changed",
        "unexpected token: }",
        "tokens: 5",
        "max_tokens=100",
        "next_page_token=abc",
        "password=true",
        r#"{"field":"password","error":"too short"}"#,
        r#"{"token":null}"#,
        "basic internationalization",
        "classname=Foo",
        "secretary: Ada",
    ] {
        check(text, text);
    }
}

#[test]
fn cards_and_social_security_numbers() {
    check("card 4111111111111111 ok", "card [REDACTED:card] ok");
    check("4111-1111-1111-1111", "[REDACTED:card]");
    check("4111 1111 1111 1111.", "[REDACTED:card].");
    check("4111 1111 1111 1111 2026", "[REDACTED:card] 2026");
    check("378282246310005", "[REDACTED:card]");
    check("3782 822463 10005", "[REDACTED:card]");
    check(
        "5555555555554444,2223003122003222",
        "[REDACTED:card],[REDACTED:card]",
    );
    check(
        "30569309025904 6011111111111117",
        "[REDACTED:card] [REDACTED:card]",
    );
    check(
        "3530111333300000/6200000000000005",
        "[REDACTED:card]/[REDACTED:card]",
    );
    check("卡号4111111111111111完", "卡号[REDACTED:card]完");
    check("ssn is 123-45-6789", "ssn is [REDACTED:ssn]");
    check(
        "4111111111111111-123-45-6789",
        "[REDACTED:card]-[REDACTED:ssn]",
    );
    assert_eq!(
        redact_value("n", Kind::Integer, "4111111111111111"),
        (Kind::String, "[REDACTED:card]".into())
    );
    assert_eq!(
        redact_value("ssn", Kind::Integer, "123456789"),
        (Kind::String, "[REDACTED:ssn]".into())
    );
}

#[test]
fn ordinary_numbers_are_left_alone() {
    for text in [
        "4111111111111112",  // check digit
        "41111111111111",    // length of no Visa card
        "1111111111111117",  // no issuer
        "a4111111111111111", // inside a word
        "4111111111111111b",
        "blk_4111111111111111",
        "blk_-4111111111111111",
        "4111111111111111_part",
        "94111111111111111119",
        "0.4111111111111111", // decimals
        "4111111111111111.5",
        "1767540645123000000", // epoch ns
        "2026-01-04 15:30:45",
        "41111111-1111-4111-9111-411111111111", // UUID
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "123-00-4567",
        "123-45-0000",
        "123-45-67890",
        "1123-45-6789",
        "12-123-45-6789",
        "123-45-6789-1",
        "123 45 6789",
        "10 20 30 40 50 60 70 80 90",
    ] {
        check(text, text);
    }
    for name in IDS {
        for text in ["4111111111111111", "123-45-6789", "B-ABCDEF"] {
            let (_, kept) = redact_value(name, Kind::String, text);
            assert_eq!(kept, text, "{name}");
        }
    }
}

#[test]
fn json_text_stays_json() {
    check_json(
        r#"[{"password":"x","a":1.50},{"b":{"api_key":{"c":[1]}}}]"#,
        r#"[{"password":"[REDACTED:password]","a":1.50},{"b":{"api_key":"[REDACTED:api_key]"}}]"#,
    );
    check_json(
        r#"[4111111111111111,"4111111111111111",1.50,-7]"#,
        r#"["[REDACTED:card]","[REDACTED:card]",1.50,-7]"#,
    );
    check_json(
        r#"["password=hunter2","say \"token: abc\" \u0041"]"#,
        r#"["password=[REDACTED:password]","say \"token: [REDACTED:token]\" A"]"#,
    );
    check_json(
        r#"[{"pass\u0077ord":"x"}]"#,
        r#"[{"pass\u0077ord":"[REDACTED:password]"}]"#,
    );
    check_json(
        r#"{"x.token":"abc","y":true}"#,
        r#"{"x.token":"[REDACTED:token]","y":true}"#,
    );
    for text in ["[]", "{}", r#"["a\"b",{"c":null}]"#, r#"[{"token":null}]"#] {
        check_json(text, text);
    }
}

#[test]
fn names_of_columns_are_masked_and_no_value_is_lost() {
    let mut columns = ColumnSet::default();
    columns.set_rows(2);
    for (name, row, text) in [
        ("4111111111111111", 0, "a"),
        ("4111-1111-1111-1111", 0, "b"),
        ("4111 1111 1111 1111", 1, "c"),
        ("a.4111111111111111", 1, "d"),
        ("password=Zq9x", 0, "e"),
        ("plain", 0, "f"),
    ] {
        columns.get_or_create(name).push(row, Kind::String, text);
    }
    redactor().redact(&mut columns, &mut BatchCounts::default());
    let show = |columns: &ColumnSet| {
        let mut all: Vec<String> = columns
            .iter()
            .flat_map(|(name, column)| {
                column
                    .iter()
                    .map(move |(row, value)| format!("{name} {row} {}", value.text))
            })
            .collect();
        all.sort();
        all
    };
    let once = show(&columns);
    assert_eq!(
        once,
        [
            "[REDACTED:card] 0 a",
            "[REDACTED:card] 1 c",
            "[REDACTED:card]_2 0 b",
            "a.[REDACTED:card] 1 d",
            "password=[REDACTED:password] 0 [REDACTED:password]",
            "plain 0 f",
        ]
    );
    redactor().redact(&mut columns, &mut BatchCounts::default());
    assert_eq!(show(&columns), once);
}

#[test]
fn keys_flags_and_pairs_of_json() {
    check_json(
        r#"[{"4111111111111111":"v","4111-1111-1111-1111":"w"}]"#,
        r#"[{"[REDACTED:card]":"v","[REDACTED:card]_2":"w"}]"#,
    );
    check_json(
        r#"[{"pass_word":"Zq9x","api  key":"k"}]"#,
        r#"[{"pass_word":"[REDACTED:password]","api  key":"[REDACTED:api_key]"}]"#,
    );
    check_json(
        r#"["--password","Zq9x","--host","h"]"#,
        r#"["--password","[REDACTED:password]","--host","h"]"#,
    );
    check_json(
        r#"[{"name":"password","value":"Zq9x"},{"value":"k","key":"api_key"}]"#,
        r#"[{"name":"password","value":"[REDACTED:password]"},{"value":"[REDACTED:api_key]","key":"api_key"}]"#,
    );
    check_json(
        r#"[4111111111111111.0,{"Authorization":"x","tokens":"abc"}]"#,
        r#"["[REDACTED:card]",{"Authorization":"[REDACTED:authorization]","tokens":"[REDACTED:token]"}]"#,
    );
    for text in [
        r#"[{"tokens":12,"total_tokens":"7","requires_token":"yes","pass":3}]"#,
        r#"[{"name":"user","value":"ada"},{"name":"password"}]"#,
        r#"["--verbose","x",1.50,4111111111111111.5]"#,
    ] {
        check_json(text, text);
    }
}

#[test]
fn further_forms_in_text() {
    check("pass=Zq9x", "pass=[REDACTED:password]");
    check(r#"{"pass":"Zq9x"}"#, r#"{"pass":"[REDACTED:password]"}"#);
    check(
        "authorization: ab",
        "authorization: [REDACTED:authorization]",
    );
    check(
        "curl -H 'Authorization: Bearer abcdefgh' https://h/x",
        "curl -H 'Authorization: [REDACTED:authorization]' https://h/x",
    );
    check(
        "Cookie: a=b; c=d\nHost: h",
        "Cookie: [REDACTED:cookie]\nHost: h",
    );
    check("bearer\tabcdef0123456789abcdef", "bearer\t[REDACTED:token]");
    check(
        "postgres://ada:Zq9x@db:5432/x",
        "postgres://ada:[REDACTED:password]@db:5432/x",
    );
    check(
        "<password>Zq9x y</password>",
        "<password>[REDACTED:password]</password>",
    );
    check(
        "x%26password%3DZq9x%26b%3D1",
        "x%26password%3D[REDACTED:password]%26b%3D1",
    );
    check(
        r#"got {"pass\u0077ord":"Zq9x"}"#,
        r#"got {"pass\u0077ord":"[REDACTED:password]"}"#,
    );
    check(
        r#"got {"args":["--password","Zq9x"]}"#,
        r#"got {"args":["--password","[REDACTED:password]"]}"#,
    );
    check(
        r#"got {"name":"password","value":"Zq9x"}"#,
        r#"got {"name":"password","value":"[REDACTED:password]"}"#,
    );
    check(
        "secret_key=a private-key=b",
        "secret_key=[REDACTED:secret] private-key=[REDACTED:private_key]",
    );
    for text in [
        "4111.1111.1111.1111",
        "4111  1111  1111  1111",
        "4111\t1111\t1111\t1111",
        "4111\u{a0}1111\u{a0}1111\u{a0}1111",
        "4111\u{2013}1111\u{2013}1111\u{2013}1111",
    ] {
        check(text, "[REDACTED:card]");
    }
    for text in [
        "PASS: test_foo",
        "tokens: 5",
        "TTY=pts/0 ; PWD=/root ; USER=root",
        "https://h:8080/a@b",
        "mailto://a@b",
        "192.168.100.200.111.222",
        "4111111111.111111",
        "1767540645.123456",
        "blk_-1608999687919862906",
        "requires_token: yes",
        "d41d8cd98f00b204e9800998ecf8427e",
    ] {
        check(text, text);
    }
}

#[test]
fn names_with_other_separators_in_text() {
    for (text, expected) in [
        ("pass_word=Zq9x", "pass_word=[REDACTED:password]"),
        ("pass-word: Zq9x", "pass-word: [REDACTED:password]"),
        ("pass word: Zq9x", "pass word: [REDACTED:password]"),
        ("pass__phrase=Zq9x", "pass__phrase=[REDACTED:password]"),
        ("api key: Zq9x", "api key: [REDACTED:api_key]"),
        ("API  Key: Zq9x", "API  Key: [REDACTED:api_key]"),
        ("x.api..key=Zq9x", "x.api..key=[REDACTED:api_key]"),
        (
            r#"got {"api  key": "Zq9x"}"#,
            r#"got {"api  key": "[REDACTED:api_key]"}"#,
        ),
        (
            r#"got {"Pass Word":"Zq9x"}"#,
            r#"got {"Pass Word":"[REDACTED:password]"}"#,
        ),
        ("private  key=Zq9x", "private  key=[REDACTED:private_key]"),
        ("internal  pin=77", "internal  pin=[REDACTED:field]"),
        ("internal.pin=77", "internal.pin=[REDACTED:field]"),
        (
            "social security_number: 1",
            "social security_number: [REDACTED:ssn]",
        ),
    ] {
        check(text, expected);
    }
    for text in [
        "api, key: x",
        "the api\nkey: x",
        "pass\nword=x",
        "keyword: x",
        "monkey=x",
        "pin=7",
    ] {
        check(text, text);
    }
}

#[test]
fn tags_with_attributes_and_escapes() {
    for (text, expected) in [
        (
            r#"<password type="x">Zq9x</password>"#,
            r#"<password type="x">[REDACTED:password]</password>"#,
        ),
        (
            r#"<ns:token a='>' b="c">Zq9x</ns:token> after"#,
            r#"<ns:token a='>' b="c">[REDACTED:token]</ns:token> after"#,
        ),
        (
            r#"<password value="Zq9x"/><b>x</b>"#,
            r#"<password value="[REDACTED:password]"/><b>x</b>"#,
        ),
        (
            r#"<password value="Zq9x">Zq8y</password>"#,
            r#"<password value="[REDACTED:password]">[REDACTED:password]</password>"#,
        ),
        (
            r#"<add key="password" value="Zq9x"/>"#,
            r#"<add key="password" value="[REDACTED:password]"/>"#,
        ),
        (
            r#"<add key="password" type="t" value='Zq 9x' />"#,
            r#"<add key="password" type="t" value='[REDACTED:password]' />"#,
        ),
        (
            r#"<add value="Zq9x" key="password"/>"#,
            r#"<add value="[REDACTED:password]" key="password"/>"#,
        ),
        (
            r#"<add value="open" key="user"/><add key="api_key" value="Zq9x"/>"#,
            r#"<add value="open" key="user"/><add key="api_key" value="[REDACTED:api_key]"/>"#,
        ),
        (
            "&lt;password&gt;Zq9x&lt;/password&gt;",
            "&lt;password&gt;[REDACTED:password]&lt;/password&gt;",
        ),
        (
            "&lt;token type=&quot;a&quot;&gt;Zq9x&lt;/token&gt;",
            "&lt;token type=&quot;a&quot;&gt;[REDACTED:token]&lt;/token&gt;",
        ),
        (
            "&amp;lt;token&amp;gt;Zq9x&amp;lt;/token&amp;gt;",
            "&amp;lt;token&amp;gt;[REDACTED:token]&amp;lt;/token&amp;gt;",
        ),
        (
            "&lt;add key=&quot;password&quot; value=&quot;Zq9x&quot;/&gt;",
            "&lt;add key=&quot;password&quot; value=&quot;[REDACTED:password]&quot;/&gt;",
        ),
        (
            "{&quot;token&quot;:&quot;Zq9x y&quot;,&quot;a&quot;:1}",
            "{&quot;token&quot;:&quot;[REDACTED:token]&quot;,&quot;a&quot;:1}",
        ),
        (
            r"\u003ctoken\u003eZq9x\u003c/token\u003e",
            r"\u003ctoken\u003e[REDACTED:token]\u003c/token\u003e",
        ),
        (
            "%3Ctoken%3EZq9x%3C/token%3E",
            "%3Ctoken%3E[REDACTED:token]%3C/token%3E",
        ),
    ] {
        check(text, expected);
    }
    for text in [
        "<password/><b>x</b>",
        r#"<input type="password" name="user">x</input>"#,
        r#"<add key="user" value="ada"/>"#,
        "a <token of b> c",
        r#"<add value="x"/><add key="password"/>"#,
    ] {
        check(text, text);
    }
}

#[test]
fn escapes_of_urls() {
    for (text, expected) in [
        ("password%253DZq9x", "password%253D[REDACTED:password]"),
        (
            "a%2526token%253DZq9x%2526b%253D1",
            "a%2526token%253D[REDACTED:token]%2526b%253D1",
        ),
        (
            "x%25252526token%2525253aZq9x",
            "x%25252526token%2525253a[REDACTED:token]",
        ),
        (
            "%7B%22token%22%3A%22Zq9x%22%2C%22a%22%3A1%7D",
            "%7B%22token%22%3A%22[REDACTED:token]%22%2C%22a%22%3A1%7D",
        ),
        (
            "%257B%2522token%2522%253A%2522Zq9x%2522%257D",
            "%257B%2522token%2522%253A%2522[REDACTED:token]%2522%257D",
        ),
        (
            "%22api_key%22%3A+%22Zq9x%22",
            "%22api_key%22%3A+%22[REDACTED:api_key]%22",
        ),
        ("token%3D%20Zq9x", "token%3D%20[REDACTED:token]"),
    ] {
        check(text, expected);
    }
    for text in ["100%25 token", "%22tokens%22%3A512", "%2522a%2522%253A1"] {
        check(text, text);
    }
}

#[test]
fn values_that_something_beside_them_names() {
    for (text, expected) in [
        (
            r#"got {"name":"password","type":"t","value":"Zq9x"}"#,
            r#"got {"name":"password","type":"t","value":"[REDACTED:password]"}"#,
        ),
        (
            r#"got {"value":"Zq9x","name":"password"}"#,
            r#"got {"value":"[REDACTED:password]","name":"password"}"#,
        ),
        (
            r#"got [{"value":"a","name":"user"},{"value":"Zq9x","name":"token"}]"#,
            r#"got [{"value":"a","name":"user"},{"value":"[REDACTED:token]","name":"token"}]"#,
        ),
        (
            r#"got {\"value\":\"Zq9x\",\"name\":\"password\"}"#,
            r#"got {\"value\":\"[REDACTED:password]\",\"name\":\"password\"}"#,
        ),
        (
            "('x-api-key', 'Zq9x')",
            "('x-api-key', '[REDACTED:api_key]')",
        ),
    ] {
        check(text, expected);
    }
    check_json(
        r#"[{"name":"Authorization","value":"Bearer x"}]"#,
        r#"[{"name":"Authorization","value":"[REDACTED:authorization]"}]"#,
    );
    check_json(
        r#"[{"headerName":"x-api-key","header_value":"Zq9x","value":"a"}]"#,
        r#"[{"headerName":"x-api-key","header_value":"[REDACTED:api_key]","value":"a"}]"#,
    );
    check_json(
        r#"[["Host","h"],["Cookie","Zq9x"],["password","user","id"]]"#,
        r#"[["Host","h"],["Cookie","[REDACTED:cookie]"],["password","user","id"]]"#,
    );
    check_json(
        r#"[{"rawHeaders":["Host","h","X-Api-Key","Zq9x"],"required":["password","user"]}]"#,
        r#"[{"rawHeaders":["Host","h","X-Api-Key","[REDACTED:api_key]"],"required":["password","user"]}]"#,
    );
    let text = r#"got {"key":"password","error":"too short"}"#;
    check(text, text);
}

#[test]
fn columns_of_which_one_names_the_other() {
    let check = |names: [&str; 2], name: &str, value: (Kind, &str), expected: &str| {
        let mut columns = ColumnSet::default();
        columns.set_rows(3);
        columns.get_or_create(names[0]).push(1, Kind::String, name);
        columns
            .get_or_create(names[0])
            .push(2, Kind::String, "user");
        let values = columns.get_or_create(names[1]);
        values.push(0, Kind::String, "first");
        values.push(1, value.0, value.1);
        values.push(2, Kind::String, "last");
        let mut counts = BatchCounts::default();
        redactor().redact(&mut columns, &mut counts);
        let texts: Vec<&str> = columns
            .get(names[1])
            .unwrap()
            .iter()
            .map(|(_, value)| value.text)
            .collect();
        assert_eq!(texts, ["first", expected, "last"], "{names:?}");
        assert_eq!(counts.redactions_total(), u64::from(expected != value.1));
    };
    let text = (Kind::String, "Zq9x");
    let masked = "[REDACTED:api_key]";
    check(["header.name", "header.value"], "x-api-key", text, masked);
    check(["name", "value"], "apiKey", text, masked);
    check(
        ["a.b.headerName", "a.b.headerValue"],
        "API_KEY",
        text,
        masked,
    );
    check(["header_key", "header_val"], "api key", text, masked);
    check(["h.k", "h.v"], "api_key", (Kind::Integer, "77"), masked);
    check(["h.k", "h.v"], "api_key", (Kind::Json, r#"["a"]"#), masked);
    check(["h.k", "h.v"], "api_key", (Kind::Bool, "true"), "true");
    check(["h.k", "h.v"], "tokens", (Kind::Integer, "512"), "512");
    check(["h.name", "g.value"], "api_key", text, "Zq9x");
    check(["h.name", "h.value"], "region", text, "Zq9x");
    check(
        ["h.name", "h.value"],
        "api_key",
        (Kind::String, masked),
        masked,
    );
}

#[test]
fn lists_and_objects_under_a_secret_name() {
    check_json(
        r#"[{"tokens":["a","b"],"passwords":["c"],"api_keys":{"x":"d"},"pass":{"y":"e"}}]"#,
        r#"[{"tokens":"[REDACTED:token]","passwords":"[REDACTED:password]","api_keys":"[REDACTED:api_key]","pass":"[REDACTED:password]"}]"#,
    );
    check(r#"tokens: ["a","b"]"#, "tokens: [REDACTED:token]");
    check("tokens=['a', 'b'] c", "tokens=[REDACTED:token] c");
    check(
        r#"got {"tokens":["a"],"n":1}"#,
        r#"got {"tokens":"[REDACTED:token]","n":1}"#,
    );
    check(
        "pwds=[a] ssns=[b]",
        "pwds=[REDACTED:password] ssns=[REDACTED:ssn]",
    );
    assert_eq!(
        redact_value("tokens", Kind::Json, r#"["a"]"#).1,
        "[REDACTED:token]"
    );
    for text in [
        r#"[{"tokens":512,"input_tokens":["a"],"max_tokens":"7"}]"#,
        r#"[{"tokens":[1,2,3],"pass":{"suite":3,"all":true}}]"#,
        r#"[{"tokens":{"input":5,"output":"7"},"tokens_used":["a"]}]"#,
    ] {
        check_json(text, text);
    }
    for text in [
        "tokens: 512",
        "tokens: [1, 2]",
        r#"{"tokens":{"input":5}}"#,
        "input_tokens: ['a']",
    ] {
        check(text, text);
    }
    for (name, text) in [("tokens", "[1,2,3]"), ("usage.tokens", r#"{"a":1}"#)] {
        assert_eq!(redact_value(name, Kind::Json, text).1, text);
    }
}

#[test]
fn custom_rules_are_checked() {
    let with = |name: &str, regex: &str| {
        Redactor::new(&RedactionConfig {
            field_names: Vec::new(),
            patterns: vec![PatternRule {
                name: name.into(),
                regex: regex.into(),
            }],
        })
        .map(|_| ())
    };
    assert!(with("ok", "a+").is_ok());
    assert!(matches!(
        with("Bad", "a"),
        Err(ConfigError::RuleName { .. })
    ));
    assert!(matches!(with("", "a"), Err(ConfigError::RuleName { .. })));
    assert!(matches!(
        with("card", "a"),
        Err(ConfigError::RuleDuplicate { .. })
    ));
    assert!(matches!(with("r", "("), Err(ConfigError::RuleRegex { .. })));
    assert!(matches!(
        with("r", "a{1,99999}{1,99999}"),
        Err(ConfigError::RuleRegex { .. })
    ));
    assert!(matches!(
        with("r", "a*"),
        Err(ConfigError::RuleMatchesEmpty { .. })
    ));
}

#[test]
fn hostile_text_takes_linear_time() {
    let size = 1 << 19;
    for unit in [
        "password",
        "password=",
        "\"token\":\"",
        "\\",
        "\"secret\":{",
        "\"secret\":[\\",
        "4",
        "4111 ",
        "123-45-",
        "token: [",
        "password=,",
        "[REDACTED:",
        "token ",
        "bearer ",
        "--token ",
        "://a:",
        "\\\\u0077",
        "Cookie: \\\\",
        "<password>",
        "<password value=\"",
        "<password a='",
        "&lt;token ",
        "&lt;token&gt;",
        "&amp;",
        "&amp;quot;token&quot;:",
        "%25",
        "%2522token%2522%253A%2522",
        "%2526password%253D",
        "\\u0022token",
        "\\u003ctoken\\u003e",
        "\"name\":\"password\",",
        "value=\"x\" key=\"password\" ",
        "value=' key=\"password\" ",
        "('x-api-key',",
        "pass_",
        "api  ",
        "security number ",
        "4\u{2013}",
    ] {
        let text = unit.repeat(size / unit.len());
        let mut columns = one("message", Kind::String, &text);
        redactor().redact(&mut columns, &mut BatchCounts::default());
        let json = serde_json::Value::from(vec![text]).to_string();
        let mut columns = one("list", Kind::Json, &json);
        redactor().redact(&mut columns, &mut BatchCounts::default());
    }
}

/// A card number of 16 digits with a check digit of the textbook, written apart from the code.
fn card(prefix: u64, middle: u64) -> String {
    let body = format!("{prefix}{:0width$}", middle % 100_000_000_000, width = 14);
    let body = &body[..15];
    let mut sum = 0;
    for (place, c) in body.chars().enumerate() {
        let digit = c.to_digit(10).unwrap();
        let value = if place % 2 == 0 { digit * 2 } else { digit };
        sum += value / 10 + value % 10;
    }
    format!("{body}{}", (10 - sum % 10) % 10)
}

/// The text as other formats write it inside of themselves.
fn wrap(text: &str, how: usize) -> String {
    let percent = |text: &str| -> String {
        let written = text.bytes().map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        });
        written.collect()
    };
    match how {
        0 => text.to_owned(),
        1 => serde_json::json!({ "inner": text }).to_string(),
        2 => text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
            .replace('\'', "&#39;"),
        3 => percent(text),
        4 => percent(&percent(text)),
        5 => ['<', '>', '&', '"', '\'', '=']
            .iter()
            .fold(text.to_owned(), |text, c| {
                text.replace(*c, &format!("\\u{:04x}", u32::from(*c)))
            }),
        _ => serde_json::json!([text]).to_string(),
    }
}

proptest! {
    #[test]
    fn planted_secrets_never_survive(
        secret in "[A-Za-z][A-Za-z0-9!@#$%^*_+~-]{7,24}",
        key in prop::sample::select(vec![
            "password", "token", "access_token", "refresh_token", "secret", "api_key",
            "accessToken", "refreshToken", "apiKey", "x-api-key", "X-Api-Key", "db_password",
            "clientSecret", "PASSWORD", "API_KEY",
        ]),
        form in 0usize..9,
        before in "[a-z ]{0,12}",
        after in "[a-z ]{0,12}",
    ) {
        let quoted = serde_json::json!({ key: secret.clone(), "z": after.clone() }).to_string();
        let (kind, name, text) = match form {
            0 => (Kind::String, key.to_owned(), secret.clone()),
            1 => (Kind::String, format!("a.{key}"), secret.clone()),
            2 => (Kind::String, format!("a.{key}.b"), secret.clone()),
            3 => (Kind::String, "message".into(), format!("{before} {key}={secret} {after}")),
            4 => (Kind::String, "message".into(), format!("{before} {key}: {secret} {after}")),
            5 => (Kind::String, "other".into(), format!("{before}{quoted}{after}")),
            6 => (Kind::Json, "list".into(), format!("[{quoted}]")),
            7 => (Kind::Json, "list".into(), serde_json::json!([quoted]).to_string()),
            _ => (Kind::String, "message".into(), serde_json::json!({ "inner": quoted }).to_string()),
        };
        let (_, masked) = redact_value(&name, kind, &text);
        prop_assert!(!masked.contains(&secret), "{text} -> {masked}");
    }

    #[test]
    fn planted_secrets_never_survive_further_forms(
        secret in "[A-Za-z][A-Za-z0-9!@#$^*_~]{7,24}",
        key in prop::sample::select(vec![
            "password", "token", "access_token", "secret", "api_key", "accessToken", "x-api-key",
            "X-Api-Key", "db_password", "PASSWORD", "pass_word", "api  key", "Private Key",
            "pass-phrase", "Authorization", "internal pin",
        ]),
        form in 0usize..16,
        wrapped in 0usize..7,
        before in "[a-z ]{0,12}",
        after in "[a-z ]{0,12}",
    ) {
        let tag: String = key.chars().map(|c| if c == ' ' { '-' } else { c }).collect();
        let pair = serde_json::json!({ "name": key, "value": secret });
        let reversed = format!(r#"{{"value":"{secret}","a":1,"name":"{key}"}}"#);
        let text = match form {
            0 => format!(r#"{{"{key}": "{secret}"}}"#),
            1 => pair.to_string(),
            2 => reversed,
            3 => format!(r#"<{tag} type="{after}" b='1'>{secret}</{tag}>"#),
            4 => format!(r#"<add key="{key}" type="{after}" value="{secret}"/>"#),
            5 => format!(r#"<add value="{secret}" key="{key}" />"#),
            6 => format!("<x:{tag}>{secret}</x:{tag}>"),
            7 => format!("{tag}={secret}"),
            8 => format!("{tag}: {secret}"),
            9 => format!(r#"{{"{key}": ["{secret}", "b"]}}"#),
            10 => format!(r#"{{"{key}": {{"a": ["{secret}"]}}}}"#),
            11 => serde_json::json!({ "headers": [pair] }).to_string(),
            12 => format!(r#"<{tag} value="{secret}"/>"#),
            13 => format!("('{key}', '{secret}')"),
            14 => format!("{tag} = '{secret}'"),
            _ => format!("a=1&{tag}={secret}&b=2"),
        };
        let text = wrap(&text, wrapped);
        let kind = if wrapped == 6 { Kind::Json } else { Kind::String };
        let text = match kind {
            Kind::Json => text,
            _ => format!("{before} {text} {after}"),
        };
        // What an escape makes of the secret.
        let written = wrap(&secret, wrapped);
        let written = written.trim_matches(['[', ']', '"']);
        let (_, masked) = redact_value("message", kind, &text);
        prop_assert!(!masked.contains(written), "{text} -> {masked}");
    }

    #[test]
    fn planted_pairs_of_columns_never_survive(
        secret in "[A-Za-z][A-Za-z0-9!@#$%^*_+~-]{7,24}",
        key in prop::sample::select(vec!["password", "X-Api-Key", "api  key", "Authorization"]),
        prefix in prop::sample::select(vec!["", "header.", "a.headers.0.", "header_", "header-"]),
        halves in prop::sample::select(vec![["name", "value"], ["key", "val"], ["k", "v"], ["Name", "Value"]]),
    ) {
        let mut columns = ColumnSet::default();
        columns.set_rows(1);
        columns.get_or_create(&format!("{prefix}{}", halves[0])).push(0, Kind::String, key);
        columns.get_or_create(&format!("{prefix}{}", halves[1])).push(0, Kind::String, &secret);
        redactor().redact(&mut columns, &mut BatchCounts::default());
        for (_, column) in columns.iter() {
            prop_assert!(!column.text().contains(&secret));
        }
    }

    #[test]
    fn planted_cards_never_survive(
        prefix in prop::sample::select(vec![4u64, 51, 55, 2221, 2720, 6011, 65, 3528, 62]),
        middle in any::<u64>(),
        written in 0usize..3,
        form in 0usize..4,
        before in "[a-z :,]{0,12}",
    ) {
        let card = card(prefix, middle);
        let groups: Vec<&str> = (0..4).map(|n| &card[n * 4..n * 4 + 4]).collect();
        let text = match written {
            0 => card.clone(),
            1 => groups.join("-"),
            _ => groups.join(" "),
        };
        let (kind, value) = match form {
            0 => (Kind::String, format!("{before} {text}, done")),
            1 => (Kind::Json, serde_json::json!([before, text]).to_string()),
            2 => (Kind::Json, format!("[{card}]")),
            _ => (Kind::Integer, card.clone()),
        };
        let (_, masked) = redact_value("any.field", kind, &value);
        let digits: String = masked.chars().filter(char::is_ascii_digit).collect();
        prop_assert!(!digits.contains(&card), "{value} -> {masked}");
    }

    #[test]
    fn ordinary_ids_are_untouched(bits in any::<u128>(), id in any::<u64>(), time in 1_000_000_000u64..2_000_000_000) {
        let hex = format!("{bits:032x}");
        let uuid = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
        // Hashes of capitals and numbers that begin with digits no issuer has.
        for text in [uuid, format!("{hex}x"), format!("1{id:018}"), format!("9{:014}", id % 100_000_000_000_000), format!("{time}123456789")] {
            let (_, kept) = redact_value("any.field", Kind::String, &text);
            prop_assert_eq!(kept, text);
        }
    }

    #[test]
    fn any_text_of_marks_is_redacted_once(text in "(token|api|key|pass|name|value|v|[ =:,<>(\"'&%\\\\+é{}\\[\\]]|%22|%253D|%2|&lt;|&quot;|&amp;|\\\\u003c|\\\\u0022|\\\\u00|--){0,40}") {
        redact_value("message", Kind::String, &text);
        let json = serde_json::json!([text]).to_string();
        redact_value("list", Kind::Json, &json);
    }

    #[test]
    fn any_text_is_redacted_once(text in "(\\PC|token|password|[=:\"'\\\\{}\\[\\],; ]|4111111111111111|123-45-6789|B-ABCDEF|\\[REDACTED:|token\\]){0,40}") {
        redact_value("message", Kind::String, &text);
        let json = serde_json::json!([text]).to_string();
        redact_value("list", Kind::Json, &json);
    }
}
