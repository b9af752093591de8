//! What each pipe means, what each fault says, and that printing keeps the meaning.
use super::{
    parse, parse_filter,
    pipe::{Aggregate, Function, Pipe, QuantileLevel, SortKey},
    pipes_begin,
    tree::{Expr, Test},
};
use proptest::prelude::*;
use taffrail_model::{
    level::Level,
    limits::{
        AGGREGATE_FUNCTIONS_MAX, AGGREGATE_KEYS_MAX, FACET_VALUES_MAX, FIELDS_PIPE_NAMES_MAX,
        QUERY_PIPES_MAX, TABLE_ROWS_MAX,
    },
};

fn of(function: Function) -> Aggregate {
    Aggregate {
        name: function.default_name(),
        function,
    }
}

fn named(function: Function, name: &str) -> Aggregate {
    Aggregate {
        function,
        name: name.into(),
    }
}

fn stats(functions: Vec<Aggregate>, by: &[&str]) -> Pipe {
    Pipe::Stats {
        functions,
        by: by.iter().map(|name| (*name).into()).collect(),
    }
}

fn sort(keys: &[(&str, bool)]) -> Pipe {
    let keys = keys.iter().map(|(column, is_descending)| SortKey {
        column: (*column).into(),
        is_descending: *is_descending,
    });
    Pipe::Sort(keys.collect())
}

fn fields(kept: &[&str], dropped: &[&str]) -> Pipe {
    let names = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
    Pipe::Fields {
        kept: names(kept),
        dropped: names(dropped),
    }
}

fn percent(text: &str) -> QuantileLevel {
    QuantileLevel::parse_percent(text).unwrap()
}

#[track_caller]
fn check(text: &str, pipes: &[Pipe]) {
    let query = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(query.pipes, pipes, "{text}");
    let printed = query.to_string();
    assert_eq!(parse(&printed), Ok(query), "{text} -> {printed}");
}

#[track_caller]
fn check_columns(text: &str, columns: &[&str]) {
    let query = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(query.pipes[0].columns().unwrap(), columns, "{text}");
}

#[track_caller]
fn check_fault(text: &str, fault: &str, message: &str, hint: &str) {
    let error = parse(text).expect_err(text);
    let chars: Vec<char> = text.chars().collect();
    let at_fault: String = chars[error.start..error.end.min(chars.len())]
        .iter()
        .collect();
    assert_eq!(at_fault, fault, "{text}: {error}");
    assert!(error.message.contains(message), "{text}: {error}");
    assert!(error.hint.contains(hint), "{text}: {error}");
}

#[test]
fn stats_have_functions_and_groups() {
    let errors = Function::CountIf(Expr::level_is(Level::Error));
    check(
        "* | stats count()",
        &[stats(vec![of(Function::Count)], &[])],
    );
    check(
        "|stats count(*) by source",
        &[stats(vec![of(Function::Count)], &["source"])],
    );
    check(
        "a OR b | STATS Count(), count_if(level:error) AS errors BY source, \"a b\"",
        &[stats(
            vec![of(Function::Count), named(errors.clone(), "errors")],
            &["source", "a b"],
        )],
    );
    check(
        "* | stats sum(a.b), min(x), max(timestamp), avg(x), distinct(user_id)",
        &[stats(
            vec![
                of(Function::Sum("a.b".into())),
                of(Function::Min("x".into())),
                of(Function::Max("timestamp".into())),
                of(Function::Avg("x".into())),
                of(Function::Distinct("user_id".into())),
            ],
            &[],
        )],
    );
    check(
        "* | stats p50(x), p99.9(x), quantile(x, 0.9)",
        &[stats(
            vec![
                of(Function::Quantile("x".into(), percent("50"))),
                of(Function::Quantile("x".into(), percent("99.9"))),
                of(Function::Quantile("x".into(), percent("90"))),
            ],
            &[],
        )],
    );
    check(
        "* | stats count(user_id) as n",
        &[stats(
            vec![named(
                Function::CountIf(Expr::field("user_id", Test::Exists)),
                "n",
            )],
            &[],
        )],
    );
    check(
        "* | stats count_if((a OR b) -c) as n",
        &[stats(
            vec![named(
                Function::CountIf(parse("(a OR b) -c").unwrap().filter),
                "n",
            )],
            &[],
        )],
    );
    check_columns(
        "* | stats count(), count_if(level:error), p99.90(x), avg(\"a b\") by s",
        &[
            "s",
            "count",
            "count_if(level:error)",
            "p99.9(x)",
            "avg(\"a b\")",
        ],
    );
}

#[test]
fn tables_are_sorted_limited_and_projected() {
    let count = || stats(vec![of(Function::Count)], &["source"]);
    check(
        "* | stats count() by source | sort -count, source | limit 10 | fields source",
        &[
            count(),
            sort(&[("count", true), ("source", false)]),
            Pipe::Limit(10),
            fields(&["source"], &[]),
        ],
    );
    check(
        "* | stats avg(x) as a, p95(x) by source | sort p95(x) | fields -a",
        &[
            stats(
                vec![
                    named(Function::Avg("x".into()), "a"),
                    of(Function::Quantile("x".into(), percent("95"))),
                ],
                &["source"],
            ),
            sort(&[("p95(x)", false)]),
            fields(&[], &["a"]),
        ],
    );
    check(
        "a | sort timestamp | limit 5 | fields timestamp, message, -x",
        &[
            sort(&[("timestamp", false)]),
            Pipe::Limit(5),
            fields(&["timestamp", "message"], &["x"]),
        ],
    );
}

#[test]
fn top_and_timechart() {
    let top = |limit, by: &[&str]| Pipe::Top {
        limit,
        field: "logger".into(),
        by: by.iter().map(|name| (*name).into()).collect(),
    };
    check("* | top logger", &[top(10, &[])]);
    check(
        "* | top 5 logger by level | sort logger",
        &[top(5, &["level"]), sort(&[("logger", false)])],
    );
    check_columns("* | top 5 logger by level", &["level", "logger", "count"]);
    let chart = |interval_ns, functions, by: &[&str]| Pipe::Timechart {
        interval_ns,
        functions,
        by: by.iter().map(|name| (*name).into()).collect(),
    };
    let minute = 60_000_000_000;
    check(
        "* | timechart 1m",
        &[chart(minute, vec![of(Function::Count)], &[])],
    );
    check(
        "* | timechart 90s by level",
        &[chart(minute * 3 / 2, vec![of(Function::Count)], &["level"])],
    );
    check(
        "* | timechart 1d avg(x) by level",
        &[chart(
            minute * 1_440,
            vec![of(Function::Avg("x".into()))],
            &["level"],
        )],
    );
    check(
        "* | timechart 250ms",
        &[chart(250_000_000, vec![of(Function::Count)], &[])],
    );
    check_columns(
        "* | timechart 1m by level",
        &["timestamp", "level", "count"],
    );
}

#[test]
fn faults_of_pipes() {
    check_fault("a |", "|", "without a name", "stats, top");
    check_fault("a | | b", "|", "without a name", "stats, top");
    check_fault(
        "a | stast count()",
        "stast",
        "no pipe stast",
        "did you mean stats?",
    );
    check_fault("a | head 5", "head", "no pipe head", "here it is limit");
    check_fault("a | where b:c", "where", "no pipe", "before the first |");
    check_fault("a | patterns", "patterns", "not there yet", "stats");
    check_fault(
        "(a | stats count())",
        "|",
        "inside of a group",
        "close the group",
    );
    check_fault(
        "a | stats count() extra",
        "extra",
        "not expected",
        "a comma",
    );
    check_fault(
        "a | stats count() | stats count()",
        "stats",
        "a table already",
        "one of",
    );
    check_fault(
        "a | limit 5 | stats count()",
        "stats",
        "not the first ones",
        "limit",
    );
    check_fault("a | limit x", "x", "no number from 1 to", "limit 10");
    check_fault("a | limit", "limit", "needs a number", "limit 10");
}

#[test]
fn faults_of_functions() {
    check_fault(
        "a | stats",
        "stats",
        "what is computed",
        "count() by source",
    );
    check_fault("a | stats by x", "stats", "what is computed", "before by");
    check_fault(
        "a | stats cuont()",
        "cuont",
        "no function cuont",
        "did you mean count?",
    );
    check_fault("a | stats mean(x)", "mean", "no function", "here it is avg");
    check_fault(
        "a | stats dc(x)",
        "dc",
        "no function",
        "here it is distinct",
    );
    check_fault(
        "a | stats count",
        "count",
        "no parentheses",
        "write count()",
    );
    check_fault("a | stats count(", "(", "not closed", "count()");
    check_fault("a | stats avg(x", "(", "not closed", "avg(duration_ms)");
    check_fault(
        "a | stats avg()",
        "avg",
        "needs a field",
        "avg(duration_ms)",
    );
    check_fault(
        "a | stats avg(x y)",
        "y",
        "no more than this",
        "avg(duration_ms)",
    );
    check_fault(
        "a | stats count_if()",
        "count_if",
        "needs a condition",
        "level:error",
    );
    check_fault(
        "a | stats count_if(level:loud)",
        "loud",
        "no level",
        "trace",
    );
    check_fault(
        "a | stats sum(level)",
        "level",
        "has no numbers",
        "distinct(level)",
    );
    check_fault(
        "a | stats avg(timestamp)",
        "timestamp",
        "takes no times",
        "min(timestamp)",
    );
    check_fault("a | stats p101(x)", "p101", "no percentile", "p95");
    check_fault("a | stats quantile(x)", "quantile", "needs a share", "0.95");
    check_fault(
        "a | stats quantile(x, 95)",
        "95",
        "no share",
        "between 0 and 1",
    );
    check_fault("a | stats count() as", "as", "no name follows", "as n");
    check_fault(
        "a | stats count(),",
        ",",
        "nothing follows",
        "stats count()",
    );
    check_fault(
        "a | stats count(), count()",
        "stats",
        "two columns are named count",
        "as n",
    );
    check_fault(
        "a | stats count() by",
        "by",
        "nothing follows by",
        "by source",
    );
    check_fault(
        "a | stats count() by timestamp",
        "timestamp",
        "by timechart",
        "timechart 1m",
    );
    check_fault("a | stats count() by id", "id", "id of its own", "count()");
    check_fault(
        "a | stats count() by tenant",
        "tenant",
        "by the credential",
        "labels.tenant",
    );
}

#[test]
fn faults_of_columns() {
    check_fault("a | top", "top", "nothing follows top", "top 10 source");
    check_fault("a | top 0 x", "0", "no number from 1", "top 10");
    check_fault("a | timechart", "timechart", "needs the width", "1m");
    check_fault("a | timechart span=1m", "span=1m", "no duration", "1m");
    check_fault(
        "a | stats count() by s | sort cuont",
        "cuont",
        "no column cuont",
        "did you mean count?",
    );
    check_fault(
        "a | stats count() by s | sort avg(x)",
        "avg(x)",
        "no column avg(x)",
        "s, count",
    );
    check_fault(
        "a | stats count() by s | sort count desc",
        "desc",
        "no part of sort",
        "sort -count",
    );
    check_fault(
        "a | stats count() by s | fields x",
        "x",
        "no column x",
        "s, count",
    );
    check_fault(
        "a | stats count() by s | fields -s, -count",
        "fields",
        "no column is left",
        "stays",
    );
    check_fault(
        "a | stats count() by s | fields s | sort count",
        "count",
        "no column count",
        "s",
    );
    check_fault(
        "a | sort duration_ms",
        "duration_ms",
        "by timestamp only",
        "stats",
    );
    check_fault(
        "a | limit 5 | sort timestamp",
        "timestamp",
        "before limit",
        "before limit",
    );
}

#[test]
fn limits_of_pipes() {
    let list = |one: &dyn Fn(usize) -> String, count: usize| {
        (0..count).map(one).collect::<Vec<_>>().join(", ")
    };
    let functions = |count| format!("* | stats {}", list(&|n| format!("sum(f{n})"), count));
    assert!(parse(&functions(AGGREGATE_FUNCTIONS_MAX)).is_ok());
    assert!(parse(&functions(AGGREGATE_FUNCTIONS_MAX + 1)).is_err());
    let keys = |count| format!("* | stats count() by {}", list(&|n| format!("f{n}"), count));
    assert!(parse(&keys(AGGREGATE_KEYS_MAX)).is_ok());
    assert!(parse(&keys(AGGREGATE_KEYS_MAX + 1)).is_err());
    let fields = |count| format!("* | fields {}", list(&|n| format!("f{n}"), count));
    assert!(parse(&fields(FIELDS_PIPE_NAMES_MAX)).is_ok());
    check_fault(
        &fields(FIELDS_PIPE_NAMES_MAX + 1),
        &format!("f{FIELDS_PIPE_NAMES_MAX}"),
        "fields names too much",
        &format!("at most {FIELDS_PIPE_NAMES_MAX}"),
    );
    let pipes = |count| format!("*{}", " | limit 5".repeat(count));
    assert!(parse(&pipes(QUERY_PIPES_MAX)).is_ok());
    assert!(parse(&pipes(QUERY_PIPES_MAX + 1)).is_err());
    assert!(parse(&format!("* | limit {TABLE_ROWS_MAX}")).is_ok());
    assert!(parse(&format!("* | limit {}", TABLE_ROWS_MAX + 1)).is_err());
    assert!(parse(&format!("* | top {FACET_VALUES_MAX} x")).is_ok());
    assert!(parse(&format!("* | top {} x", FACET_VALUES_MAX + 1)).is_err());
}

#[test]
fn where_records_are_selected_there_are_no_pipes() {
    assert_eq!(parse_filter("a b"), Ok(parse("a b").unwrap().filter));
    let fault = parse_filter("é b | stats count()").unwrap_err();
    assert_eq!((fault.start, fault.end), (4, 19));
    assert_eq!(pipes_begin("é b | limit 5"), Ok(4));
    assert_eq!(pipes_begin("a\\|b"), Ok(4));
}

#[test]
fn shares_are_read_exactly() {
    for (text, percent) in [
        ("0", "0"),
        ("0.5", "50"),
        ("0.999", "99.9"),
        ("1.0", "100"),
        ("0.123456", "12.3456"),
    ] {
        let level = QuantileLevel::parse(text).unwrap();
        assert_eq!(level.percent(), percent);
        assert_eq!(QuantileLevel::parse_percent(percent), Some(level));
        assert!((level.share() - text.parse::<f64>().unwrap()).abs() < 1e-12);
    }
    for bad in ["", "-0.5", "1.1", "x", ".5", "0.1234567", "1e-1"] {
        assert_eq!(QuantileLevel::parse(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_within_itself(text in "[a-z| (),.:\"\\-0-9é]{0,40}") {
        for text in [text.clone(), format!("* | {text}"), format!("* | stats {text}")] {
            match parse(&text) {
                Ok(query) => {
                    let printed = query.to_string();
                    prop_assert_eq!(parse(&printed), Ok(query), "{} -> {}", text, printed);
                }
                Err(error) => prop_assert!(
                    error.start <= error.end && error.end <= text.chars().count().max(1) + 1
                ),
            }
        }
    }
}
