//! What each construct means, what each fault says, and that printing keeps the meaning.
use super::{
    literal_words, parse,
    tree::{Expr, NumberText, Operator, Pattern, PatternPart, RegexText, Test},
};
use proptest::prelude::*;
use taffrail_model::{
    level::Level,
    limits::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_NODES_MAX},
};

fn word(text: &str) -> Expr {
    Expr::text(Test::Words(text.into()))
}

fn field(name: &str, test: Test) -> Expr {
    Expr::field(name, test)
}

fn number(name: &str, operator: Operator, text: &str) -> Expr {
    field(name, Test::Number(operator, NumberText::new(text).unwrap()))
}

fn level(operator: Operator, level: Level) -> Expr {
    field("level", Test::Level(operator, level))
}

/// `*` and `?` are wildcards.
fn pattern(text: &str) -> Pattern {
    Pattern::new(text.chars().map(|c| match c {
        '*' => PatternPart::AnyRun,
        '?' => PatternPart::AnyOne,
        c => PatternPart::Literal(c.into()),
    }))
}

fn regex(text: &str, folds_case: bool) -> Test {
    Test::Regex(RegexText {
        pattern: text.into(),
        folds_case,
    })
}

#[track_caller]
fn check(text: &str, expected: Expr) {
    let query = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(query.filter, expected, "{text}");
    let printed = query.to_string();
    assert_eq!(
        parse(&printed).map(|query| query.filter),
        Ok(expected),
        "{text} -> {printed}"
    );
}

#[track_caller]
fn check_fault(text: &str, start: usize, end: usize, message: &str, hint: &str) {
    let error = parse(text).expect_err(text);
    assert_eq!((error.start, error.end), (start, end), "{text}: {error}");
    assert!(error.message.contains(message), "{text}: {error}");
    assert!(error.hint.contains(hint), "{text}: {error}");
}

#[test]
fn words_phrases_and_operators() {
    check("", Expr::All);
    check("  \t\n", Expr::All);
    check("*", Expr::All);
    check("*:*", Expr::All);
    check("failed", word("failed"));
    check("\"failed to open\"", word("failed to open"));
    check("user_id=42", word("user_id=42"));
    check("a b", Expr::And(vec![word("a"), word("b")]));
    check("a AND b", Expr::And(vec![word("a"), word("b")]));
    check(
        "a or b and c",
        Expr::all_of(["a", "or", "b", "and", "c"].map(word)),
    );
    check(
        "a b OR c d",
        Expr::Or(vec![
            Expr::And(vec![word("a"), word("b")]),
            Expr::And(vec![word("c"), word("d")]),
        ]),
    );
    check(
        "a (b OR c)",
        Expr::And(vec![word("a"), Expr::Or(vec![word("b"), word("c")])]),
    );
    check("a AND (b c)", Expr::all_of(["a", "b", "c"].map(word)));
    check("NOT a b", Expr::And(vec![word("a").negated(), word("b")]));
    check("-a", word("a").negated());
    check(
        "-\"a b\" -(c OR d)",
        Expr::And(vec![
            word("a b").negated(),
            Expr::Or(vec![word("c"), word("d")]).negated(),
        ]),
    );
    check("NOT NOT a", word("a").negated().negated());
    check("--a", word("a").negated().negated());
    check("a-b", word("a-b"));
    check(
        "a AND NOT b",
        Expr::And(vec![word("a"), word("b").negated()]),
    );
    check("foo(bar)", Expr::And(vec![word("foo"), word("bar")]));
    check("\"AND\"", word("AND"));
    check("ANDy ORx", Expr::And(vec![word("ANDy"), word("ORx")]));
}

#[test]
fn escapes_take_one_character() {
    check(r"a\ b", word("a b"));
    check(r"a\:b", word("a:b"));
    check(r"\-a", word("-a"));
    check(r#""a\"b\\c""#, word("a\"b\\c"));
    check(r"\AND", word("AND"));
    check(r"fail\*", word("fail*"));
    check(r"a\|b", word("a|b"));
    check(r"a\:b:c", field("a:b", Test::Words("c".into())));
    check(
        r"key\ with\ blanks:x",
        field("key with blanks", Test::Words("x".into())),
    );
    check(r"\404:x", field("404", Test::Words("x".into())));
    check(r"\_exists_:x", field("_exists_", Test::Words("x".into())));
}

#[test]
fn operators_of_other_languages_are_faults() {
    check_fault("!failed", 0, 1, "! does not negate", "NOT word");
    check_fault("a !(b OR c)", 2, 3, "! does not negate", "NOT word");
    check_fault("level:(!error)", 7, 8, "! does not negate", "NOT word");
    check_fault("+a -b", 0, 1, "+ does not require", "leave it out");
    check_fault(
        "status:!=200",
        7,
        9,
        "!= is no operator",
        "NOT status:value",
    );
    check_fault("status:!200", 7, 8, "! is no operator", "NOT status:value");
    check_fault("status!=200", 6, 8, "!= is no operator", "NOT status:value");
    check_fault("x status==200", 8, 10, "== is no operator", "status:value");
    check_fault("status:==200", 7, 9, "== is no operator", "status:value");
    check_fault(
        "message=~\"x y\"",
        7,
        9,
        "=~ is no operator",
        "message:/regex/",
    );
    check_fault(
        "message:=~x.*",
        8,
        10,
        "=~ is no operator",
        "message:/regex/",
    );
    check_fault("message:~x", 8, 9, "~ is no operator", "message:/regex/");
    check_fault(
        "message!~x",
        7,
        9,
        "!~ is no operator",
        "NOT message:/regex/",
    );
    check_fault(
        "status != 200",
        7,
        9,
        "no letter or digit",
        "NOT field:value",
    );
    check_fault("status =~ 200", 7, 9, "no letter or digit", "field:/regex/");
    check_fault("timeout~2", 7, 9, "~2 is no operator", "wildcards");
    check_fault("timeout~", 7, 8, "~ is no operator", "wildcards");
    check_fault(
        "message:timeout^2.5",
        15,
        19,
        "^2.5 is no operator",
        "weight",
    );
    check_fault("\"a b\"~5", 5, 6, "followed by something", "distance");
    check_fault("f:[2 TO 1]", 3, 9, "2 is above 1", "[1 TO 2]");
    check_fault(
        "f:{2.5 TO 1e0}",
        3,
        13,
        "2.5 is above 1e0",
        "lower bound first",
    );
    check_fault(
        "level:[error TO warn]",
        7,
        20,
        "is above",
        "[warn TO error]",
    );
    check_fault("timestamp:[now TO now-1h]", 11, 24, "is above", "lower");
    check_fault(
        "timestamp:[2026-01-05 TO 2026-01-04]",
        11,
        35,
        "is above",
        "lower",
    );
    // These are text.
    for text in [
        "x=5",
        "error=Timeout",
        "dGVzdA==",
        "a=b=c",
        "Hello!",
        "~user",
        "a^b",
        "a~b",
    ] {
        check(text, word(text));
    }
    check(r"\!a", word("!a"));
    check(r"\+a", word("+a"));
    check(r"timeout\~2", word("timeout~2"));
    check("\"status!=200\"", word("status!=200"));
    check(r"f:=\~x", field("f", Test::Whole("~x".into())));
    // Which of these is later is known when the read runs.
    for text in [
        "timestamp:[2026-01-05 TO now]",
        "timestamp:[2026-01-04T10:00:00+05:00 TO \"2026-01-04 04:00\"]",
        "f:[1 TO 1]",
    ] {
        assert!(parse(text).is_ok(), "{text}");
    }
}

#[test]
fn fields_and_their_values() {
    check("source:figma", field("source", Test::Words("figma".into())));
    // An alias is kept: a record may have a field of that very name.
    check(
        "service:figma",
        field("service", Test::Words("figma".into())),
    );
    check(
        "msg:(a OR b)",
        Expr::Or(
            ["a", "b"]
                .map(|text| field("msg", Test::Words(text.into())))
                .into(),
        ),
    );
    check("_exists_:msg", field("msg", Test::Exists));
    check("_id:*", field("id", Test::Exists));
    check(
        "message:\"a b\"",
        field("message", Test::Words("a b".into())),
    );
    check(
        "f:=\"Whole Value\"",
        field("f", Test::Whole("Whole Value".into())),
    );
    check("f:=Value", field("f", Test::Whole("Value".into())));
    check("f:=\"\"", field("f", Test::Whole(String::new())));
    check("f:=\"a*\"", field("f", Test::Whole("a*".into())));
    check("f:=a*", field("f", Test::WholePattern(pattern("a*"))));
    check("f:=*", field("f", Test::WholePattern(pattern("*"))));
    check("_exists_:error.stack", field("error.stack", Test::Exists));
    check("_exists_:stack", field("stack", Test::Exists));
    check("f:*", field("f", Test::Exists));
    check("f:-5", field("f", Test::Words("-5".into())));
    check(
        "app.kubernetes.io/name:x",
        field("app.kubernetes.io/name", Test::Words("x".into())),
    );
    check("grün:ja", field("grün", Test::Words("ja".into())));
    check(
        "f:(a OR \"b c\" -d)",
        Expr::Or(vec![
            field("f", Test::Words("a".into())),
            Expr::And(vec![
                field("f", Test::Words("b c".into())),
                field("f", Test::Words("d".into())).negated(),
            ]),
        ]),
    );
    check(
        "f:(>5 <=7)",
        Expr::And(vec![
            number("f", Operator::Greater, "5"),
            number("f", Operator::LessOrEqual, "7"),
        ]),
    );
}

#[test]
fn what_looks_like_a_field_and_is_none() {
    check("12:30:45", word("12:30:45"));
    check("std::io::Error", word("std::io::Error"));
    check("k=v:x", word("k=v:x"));
    check("5>3", word("5>3"));
    check("<tag>", word("<tag>"));
    check("a,b:c", word("a,b:c"));
    check("array[0]", word("array[0]"));
}

#[test]
fn wildcards_and_substrings() {
    check("fail*", Expr::text(Test::WordPattern(pattern("fail*"))));
    check("f?o", Expr::text(Test::WordPattern(pattern("f?o"))));
    check("10.0.*", Expr::text(Test::WordPattern(pattern("10.0.*"))));
    check("*.rs", Expr::text(Test::WordPattern(pattern("*.rs"))));
    check(
        "*cketRespon*",
        Expr::text(Test::Substring("cketRespon".into())),
    );
    check("*->*", Expr::text(Test::Substring("->".into())));
    check(r"*a\ b*", Expr::text(Test::Substring("a b".into())));
    check(r"*a\*b*", Expr::text(Test::Substring("a*b".into())));
    check(r"*\:*", Expr::text(Test::Substring(":".into())));
    check("*a*b*", Expr::text(Test::WordPattern(pattern("*a*b*"))));
    check("a**b", Expr::text(Test::WordPattern(pattern("a*b"))));
    check(
        "trace_id:01HN*",
        field("trace_id", Test::WordPattern(pattern("01HN*"))),
    );
    check("f:*x*", field("f", Test::Substring("x".into())));
}

#[test]
fn comparisons_and_ranges() {
    use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    check("f:>1000", number("f", Greater, "1000"));
    check("f:>=-1.5", number("f", GreaterOrEqual, "-1.5"));
    check("f<5", number("f", Less, "5"));
    check("f<=5", number("f", LessOrEqual, "5"));
    check("f:>\"5\"", number("f", Greater, "5"));
    check(
        "status:[500 TO 599]",
        Expr::And(vec![
            number("status", GreaterOrEqual, "500"),
            number("status", LessOrEqual, "599"),
        ]),
    );
    check(
        "f:{1 TO 2}",
        Expr::And(vec![number("f", Greater, "1"), number("f", Less, "2")]),
    );
    check(
        "f:[1 TO 2}",
        Expr::And(vec![
            number("f", GreaterOrEqual, "1"),
            number("f", Less, "2"),
        ]),
    );
    check("f:[* TO 2]", number("f", LessOrEqual, "2"));
    check("f:{1 TO *]", number("f", Greater, "1"));
    check("f:[* TO *]", field("f", Test::Exists));
    check(
        "f:[ 1  TO  2 ]",
        Expr::And(vec![
            number("f", GreaterOrEqual, "1"),
            number("f", LessOrEqual, "2"),
        ]),
    );
    check("level>=warn", level(GreaterOrEqual, Level::Warn));
    check("level:>=WARNING", level(GreaterOrEqual, Level::Warn));
    check("level:fatal", level(Equal, Level::Critical));
    check(
        "severity:50",
        field("severity", Test::Level(Equal, Level::Error)),
    );
    check("level:=\"err\"", level(Equal, Level::Error));
    check(
        "level:[warn TO critical}",
        Expr::And(vec![
            level(GreaterOrEqual, Level::Warn),
            level(Less, Level::Critical),
        ]),
    );
    check("level:w*", field("level", Test::WordPattern(pattern("w*"))));
    check(
        "timestamp:>now-1h",
        field("timestamp", Test::Time(Greater, "now-1h".into())),
    );
    check(
        "@timestamp:>=2026-01-04T14:00:00Z",
        field(
            "@timestamp",
            Test::Time(GreaterOrEqual, "2026-01-04T14:00:00Z".into()),
        ),
    );
    check(
        "timestamp:[2026-01-04 TO \"2026-01-05 12:00\"}",
        Expr::And(vec![
            field("timestamp", Test::Time(GreaterOrEqual, "2026-01-04".into())),
            field("timestamp", Test::Time(Less, "2026-01-05 12:00".into())),
        ]),
    );
    let id = "4fe90010-0003-8ffc-8000-ffffffffffff";
    check(&format!("log_id:{id}"), Expr::id_is(id.parse().unwrap()));
}

#[test]
fn streams_are_named_whole_or_by_pattern() {
    check(
        "stream:app.backend",
        field("stream", Test::Whole("app.backend".into())),
    );
    check(
        "stream:instance.*",
        field("stream", Test::WholePattern(pattern("instance.*"))),
    );
}

#[test]
fn regexes() {
    check(
        r"message:/time(d )?out after \d+/",
        field("message", regex(r"time(d )?out after \d+", false)),
    );
    check("/Fail/i", Expr::text(regex("Fail", true)));
    check(r"/a\/b/", Expr::text(regex("a/b", false)));
    check(r"/a\\\/b/", Expr::text(regex(r"a\\/b", false)));
    check(
        "/a|b/ c",
        Expr::And(vec![Expr::text(regex("a|b", false)), word("c")]),
    );
}

#[test]
fn faults_say_where_and_what_would_be_right() {
    check_fault("a \"b", 2, 4, "unclosed quote", "add \" at the end");
    check_fault("ü (b", 2, 3, "unclosed group", "add )");
    check_fault("a)", 1, 2, "nothing is open", "remove it");
    check_fault("()", 0, 2, "empty", "between ( and )");
    check_fault("a AND", 2, 5, "nothing follows AND", "quotes");
    check_fault("OR a", 0, 2, "nothing stands before OR", "quotes");
    check_fault("a OR OR b", 5, 7, "nothing stands before OR", "quotes");
    check_fault("NOT", 0, 3, "nothing follows NOT", "quotes");
    check_fault("a - b", 2, 3, "nothing follows the -", "directly before");
    check_fault("f: x", 0, 2, "nothing follows f:", "_exists_:f");
    check_fault("f:= x", 0, 3, "nothing follows f:=", "whole value");
    check_fault("f:> 5", 2, 3, "nothing follows >", "without a blank");
    check_fault(
        "level >= warn",
        6,
        8,
        "no letter or digit",
        "without blanks",
    );
    check_fault("level:loud", 6, 10, "is no level", "warn");
    check_fault("f:>x", 3, 4, "is no number", "f:>1000");
    check_fault("f:[1 2]", 5, 6, "TO is missing", "[1 TO 5]");
    check_fault("f:[1 TO 2", 2, 9, "unclosed range", "add ]");
    check_fault("f:[TO 2]", 3, 5, "is no number", "f:>1000");
    check_fault("f:[1 TO ]", 2, 8, "bound", "[1 TO *]");
    check_fault("timestamp:>soon", 11, 15, "is no time", "now-15m");
    check_fault("timestamp:2026*", 10, 15, "wildcard", "compare");
    check_fault("id:7", 3, 4, "is no id", "ids look like");
    check_fault("id:4*", 3, 5, "wildcard", "whole id");
    check_fault("id:>5", 4, 5, "cannot be compared", "id:value");
    check_fault("tenant:x", 0, 7, "tenant", "labels.tenant");
    check_fault("/a(/", 2, 3, "regex is faulty", "Rust");
    check_fault("é /ü[/", 4, 5, "regex is faulty", "Rust");
    check_fault("/abc", 0, 4, "unclosed regex", "add /");
    check_fault("/api/v1", 0, 5, "goes on", "in quotes");
    check_fault("request_path:/api/v1/*", 13, 18, "goes on", "in quotes");
    check_fault("http://x.com", 5, 7, "regex is empty", "in quotes");
    check_fault("---", 2, 3, "nothing follows the -", "directly");
    check_fault("a && b", 2, 4, "no letter or digit", "AND");
    check_fault("\"...\"", 0, 5, "no letter or digit", "between stars");
    check_fault("f:\"\"", 2, 4, "no letter or digit", "field:=");
    check_fault("a\"b\"", 1, 2, "followed by", "blank before the quote");
    check_fault("\"a\"b", 3, 4, "followed by", "blank between");
    check_fault("a\\", 1, 2, "nothing follows the backslash", "\\\\");
    check_fault("_exists_:", 0, 9, "name of a field", "_exists_:error.stack");
}

#[test]
fn limits_hold_at_and_past_them() {
    let longest = "a".repeat(QUERY_BYTES_MAX);
    assert!(parse(&longest).is_ok());
    assert!(
        parse(&format!("{longest}a"))
            .unwrap_err()
            .hint
            .contains("16384 bytes")
    );

    let words = |count: usize| vec!["a"; count].join(" ");
    // The joining AND is a node too.
    assert!(parse(&words(QUERY_NODES_MAX - 1)).is_ok());
    assert!(parse(&words(QUERY_NODES_MAX)).is_err());

    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(QUERY_DEPTH_MAX)).is_ok());
    assert!(
        parse(&nested(QUERY_DEPTH_MAX + 1))
            .unwrap_err()
            .message
            .contains("deeply")
    );
    assert!(parse(&format!("{}a", "NOT ".repeat(QUERY_DEPTH_MAX))).is_ok());
    assert!(parse(&format!("{}a", "-".repeat(QUERY_DEPTH_MAX + 1))).is_err());

    assert!(parse(r"/[a-z]{1000} \w{20}/").is_ok());
    assert!(parse(r"/\w{1000}/").unwrap_err().message.contains("bytes"));
}

#[test]
fn literal_words_have_no_syntax() {
    let check = |text: &str, expected: Expr| {
        assert_eq!(literal_words(text), Ok(expected), "{text}");
    };
    check("", Expr::All);
    check("  ", Expr::All);
    check("a OR b", Expr::all_of(["a", "OR", "b"].map(word)));
    check("f:x \"q", Expr::all_of(["f:x", "\"q"].map(word)));
    check("-a (b", Expr::all_of(["-a", "(b"].map(word)));
    check("a a", word("a"));
    check("->", Expr::text(Test::Substring("->".into())));
    let many: Vec<_> = (0..QUERY_NODES_MAX).map(|n| n.to_string()).collect();
    assert!(literal_words(&many[1..].join(" ")).is_ok());
    assert!(literal_words(&many.join(" ")).is_err());
    assert!(literal_words(&" ".repeat(QUERY_BYTES_MAX + 1)).is_err());
}

fn arbitrary_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9]{1,6}",
        "[a-z \"\\\\:()|*?/<>=\\[\\]{}!-]{0,6}[a-z0-9][A-Zé日\u{301} .\"\\\\_-]{0,4}",
        Just("AND".to_owned()),
        Just("now".to_owned()),
    ]
}

fn arbitrary_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,4}",
        "[a-z0-9 :\"*()|<>/=-]{1,5}",
        Just("_exists_".to_owned()),
    ]
    .prop_filter(
        "names with a meaning of their own have tests of their own",
        |name| {
            taffrail_model::field::canonical_name(name) == name
                && !matches!(
                    name.as_str(),
                    "level" | "id" | "stream" | "tenant" | "timestamp" | "created_at"
                )
        },
    )
}

fn arbitrary_pattern() -> impl Strategy<Value = Pattern> {
    let part = prop_oneof![
        Just(PatternPart::AnyRun),
        Just(PatternPart::AnyOne),
        "[a-z0-9 :\"\\\\()/*?.é日-]{1,4}".prop_map(PatternPart::Literal),
    ];
    prop::collection::vec(part, 1..5).prop_map(Pattern::new)
}

fn is_substring_shaped(pattern: &Pattern) -> bool {
    matches!(
        pattern.parts(),
        [
            PatternPart::AnyRun,
            PatternPart::Literal(_),
            PatternPart::AnyRun
        ]
    )
}

fn has_wildcard(pattern: &Pattern) -> bool {
    pattern
        .parts()
        .iter()
        .any(|part| !matches!(part, PatternPart::Literal(_)))
}

/// Tests that a full-text leaf and a leaf of any field can have.
fn arbitrary_text_test() -> impl Strategy<Value = Test> {
    prop_oneof![
        arbitrary_text().prop_map(Test::Words),
        arbitrary_pattern()
            .prop_filter("the parser gives such patterns another name", |pattern| {
                has_wildcard(pattern)
                    && !is_substring_shaped(pattern)
                    && !crate::words::pattern_words(pattern).is_empty()
            })
            .prop_map(Test::WordPattern),
        "[ -~é日]{1,6}".prop_map(Test::Substring),
        ("[a-z /\"|(é ]{1,6}", any::<bool>()).prop_filter_map(
            "faulty regexes have tests of their own",
            |(pattern, folds_case)| {
                let text = RegexText {
                    pattern,
                    folds_case,
                };
                crate::regex::check(&text).ok().map(|()| Test::Regex(text))
            }
        ),
    ]
}

fn arbitrary_operator() -> impl Strategy<Value = Operator> {
    prop_oneof![
        Just(Operator::Greater),
        Just(Operator::GreaterOrEqual),
        Just(Operator::Less),
        Just(Operator::LessOrEqual),
    ]
}

fn arbitrary_leaf() -> impl Strategy<Value = Expr> {
    let in_field = prop_oneof![
        4 => arbitrary_text_test(),
        1 => "[ -~é]{0,6}".prop_map(Test::Whole),
        1 => arbitrary_pattern()
            .prop_filter("without a wildcard it is a value", has_wildcard)
            .prop_map(Test::WholePattern),
        1 => (arbitrary_operator(), any::<f32>().prop_filter("finite", |n| n.is_finite()))
            .prop_map(|(operator, n)| {
                Test::Number(operator, NumberText::new(&n.to_string()).unwrap())
            }),
        1 => Just(Test::Exists),
    ];
    prop_oneof![
        2 => arbitrary_text_test().prop_map(Expr::text),
        3 => (arbitrary_name(), in_field).prop_map(|(name, test)| Expr::field(&name, test)),
        1 => (arbitrary_operator(), 0..6usize)
            .prop_map(|(operator, index)| level(operator, Level::ALL[index])),
        1 => arbitrary_operator().prop_map(|operator| {
            field("timestamp", Test::Time(operator, "2026-01-04T10:00:00Z".into()))
        }),
        1 => Just(Expr::All),
    ]
}

fn arbitrary_expr() -> impl Strategy<Value = Expr> {
    arbitrary_leaf().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::all_of),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::any_of),
            inner.prop_map(Expr::negated),
        ]
    })
}

proptest! {
    #[test]
    fn printing_keeps_the_meaning(expr in arbitrary_expr()) {
        let printed = expr.to_string();
        let parsed = parse(&printed).map(|query| query.filter);
        prop_assert_eq!(parsed, Ok(expr), "{}", printed);
    }

    #[test]
    fn no_text_makes_the_parser_fail_otherwise(text in "[ -~é\\n\"\\\\():/\\[\\]{}*?|<>=-]{0,30}") {
        match parse(&text) {
            Ok(query) => {
                let printed = query.to_string();
                prop_assert_eq!(parse(&printed), Ok(query), "{}", printed);
            }
            Err(error) => {
                let chars = text.chars().count();
                prop_assert!(error.start < error.end && error.end <= chars.max(1), "{}", error);
                prop_assert!(!error.hint.is_empty());
            }
        }
    }
}
