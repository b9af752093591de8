//! Functions of groups against the oracle, and their limits.
use crate::{
    build::{Layout, Reader, catalogue, snapshot},
    meaning::record,
    oracle::{Case, HOUR, asked, case, expr, many_records},
    rule::{Record, matches},
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use taffrail_model::{
    column::Kind,
    limits::{AGGREGATE_BYTES_MAX, AGGREGATE_GROUPS_MAX, HISTOGRAM_BUCKETS_MAX},
    time::TimeRange,
};
use taffrail_query::{
    Aggregation, Cell, Expr, Function, GroupKey, MemoryPool, Output, QuantileLevel, ScanError,
    ScanOutput, Table, execute, output_for,
};
use taffrail_storage::snapshot::Snapshot;

/// What the oracle says of a function of some records.
#[derive(Debug)]
enum Wanted {
    Missing,
    Whole(i128),
    /// Within this share of it.
    Near(f64, f64),
}

/// The number that a value counts as.
fn number(record: &Record, name: &str) -> Option<f64> {
    if name == "timestamp" {
        return Some(record.timestamp as f64);
    }
    let (kind, text) = asked(record, name)?;
    let digits = text.trim_start_matches(['-', '+']);
    let is_number = matches!(kind, Kind::Integer | Kind::Float | Kind::String)
        && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = text.parse().ok().filter(|_| is_number)?;
    number.is_finite().then_some(number)
}

/// The sum of whole numbers, from their text; `None` if one has a fraction.
fn whole_sum(records: &[&Record], name: &str) -> Option<i128> {
    let mut sum = 0;
    for record in records {
        if let Some(float) = number(record, name) {
            let text = asked(record, name).map_or("", |(_, text)| text);
            sum += match text.parse::<i128>() {
                Ok(whole) => whole,
                Err(_) if float.fract() == 0.0 => float as i128,
                Err(_) => return None,
            };
        }
    }
    Some(sum)
}

fn wanted(function: &Function, records: &[&Record]) -> Wanted {
    let numbers = |name: &str| -> Vec<f64> {
        let mut numbers: Vec<f64> = records
            .iter()
            .filter_map(|record| number(record, name))
            .collect();
        numbers.sort_by(f64::total_cmp);
        numbers
    };
    let near =
        |number: Option<&f64>| number.map_or(Wanted::Missing, |number| Wanted::Near(*number, 0.0));
    match function {
        Function::Count => Wanted::Whole(records.len() as i128),
        Function::CountIf(expr) => Wanted::Whole(
            records
                .iter()
                .filter(|record| matches(expr, record))
                .count() as i128,
        ),
        Function::Sum(name) => {
            let numbers = numbers(name);
            match (numbers.is_empty(), whole_sum(records, name)) {
                (true, _) => Wanted::Missing,
                (_, Some(sum)) => Wanted::Whole(sum),
                (_, None) => Wanted::Near(numbers.iter().sum(), 1e-9),
            }
        }
        Function::Avg(name) => {
            let numbers = numbers(name);
            match numbers.is_empty() {
                true => Wanted::Missing,
                false => Wanted::Near(numbers.iter().sum::<f64>() / numbers.len() as f64, 1e-9),
            }
        }
        Function::Min(name) => near(numbers(name).first()),
        Function::Max(name) => near(numbers(name).last()),
        Function::Distinct(name) => {
            let values: BTreeSet<&str> = match &**name {
                "stream" => records.iter().map(|record| record.stream).collect(),
                name => {
                    let values = records.iter().filter_map(|record| asked(record, name));
                    values.map(|(_, text)| text).collect()
                }
            };
            Wanted::Whole(values.len() as i128)
        }
        Function::Quantile(name, level) => {
            let numbers = numbers(name);
            let rank = (numbers.len() as f64 * level.share()).ceil() as usize;
            match numbers.get(rank.max(1) - 1) {
                None => Wanted::Missing,
                Some(number) => Wanted::Near(*number, if numbers.len() <= 32 { 0.0 } else { 0.01 }),
            }
        }
    }
}

#[track_caller]
fn check_cell(found: &Cell, wanted: &Wanted, context: &dyn Fn() -> String) {
    let float = match found {
        Cell::Integer(number) => Some(*number as f64),
        Cell::Float(number) => Some(*number),
        Cell::Time(time) => Some(time.0 as f64),
        _ => None,
    };
    let is_right = match (wanted, float) {
        (Wanted::Missing, _) => *found == Cell::Null,
        (Wanted::Whole(number), _) => *found == Cell::Integer(*number),
        (Wanted::Near(number, share), Some(float)) => {
            let scale = if *share == 1e-9 {
                number.abs().max(1.0)
            } else {
                number.abs()
            };
            (float - number).abs() <= scale * share
        }
        (Wanted::Near(..), None) => false,
    };
    assert!(is_right, "{found:?} is not {wanted:?}: {}", context());
}

fn key_text(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Text(text) | Cell::Json(text) => Some(text.clone()),
        Cell::Time(time) => Some(time.0.to_string()),
        Cell::Null => None,
        other => panic!("{other:?} is no key"),
    }
}

fn key_of(record: &Record, key: &GroupKey) -> Option<String> {
    match key {
        GroupKey::Time { interval_ns } => {
            Some((record.timestamp.div_euclid(*interval_ns) * interval_ns).to_string())
        }
        GroupKey::Field(name) if &**name == "stream" => Some(record.stream.to_owned()),
        GroupKey::Field(name) => asked(record, name).map(|(_, text)| text.to_owned()),
    }
}

fn field(name: &str) -> GroupKey {
    GroupKey::Field(name.into())
}

fn functions(condition: Expr) -> Vec<Function> {
    let quantile = |name: &str, percent| {
        let level = QuantileLevel::parse_percent(percent).expect("a percentile");
        Function::Quantile(name.into(), level)
    };
    vec![
        Function::Count,
        Function::CountIf(condition),
        Function::Sum("status".into()),
        Function::Sum("duration_ms".into()),
        Function::Avg("latency_ms".into()),
        Function::Min("duration".into()),
        Function::Max("status".into()),
        Function::Min("timestamp".into()),
        Function::Distinct("user_id".into()),
        Function::Distinct("stream".into()),
        Function::Distinct("service".into()),
        Function::Distinct("of".into()),
        Function::Sum("on".into()),
        Function::Max("on".into()),
        quantile("on", "50"),
        quantile("status", "50"),
        quantile("duration_ms", "95"),
        quantile("message", "0"),
    ]
}

fn check(case: &Case, snapshot: &Snapshot, expected: &[&Record], condition: &Expr) {
    let time = |interval_ns| GroupKey::Time { interval_ns };
    for keys in [
        vec![],
        vec![field("source")],
        vec![field("service"), field("level")],
        vec![time(5 * HOUR), field("stream")],
        vec![field("user_id"), time(24 * HOUR), field("status")],
        vec![field("stream"), field("absent")],
        vec![field("of"), field("on")],
    ] {
        let aggregation = Aggregation {
            keys: keys.clone(),
            functions: functions(condition.clone()),
        };
        let functions = aggregation.functions.clone();
        let ScanOutput::Groups(found) = case.run(snapshot, Output::Aggregate(aggregation)) else {
            panic!("no groups");
        };
        let mut groups: BTreeMap<Vec<Option<String>>, Vec<&Record>> = BTreeMap::new();
        if keys.is_empty() {
            groups.insert(Vec::new(), Vec::new());
        }
        for record in expected {
            let key = keys.iter().map(|key| key_of(record, key)).collect();
            groups.entry(key).or_default().push(record);
        }
        assert!(!found.is_estimate);
        assert_eq!(found.rows.len(), groups.len(), "{keys:?} {}", case.expr);
        for row in &found.rows {
            let (key, values) = row.split_at(keys.len());
            let key: Vec<_> = key.iter().map(key_text).collect();
            let records = groups
                .get(&key)
                .unwrap_or_else(|| panic!("no group {key:?}"));
            for (value, function) in values.iter().zip(&functions) {
                let context = || format!("{function} of {key:?} where {}", case.expr);
                check_cell(value, &wanted(function, records), &context);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn functions_are_those_of_the_oracle(case in case(0..40), condition in expr()) {
        let snapshot = snapshot(&case.records, case.layout);
        check(&case, &snapshot, &case.expected(), &condition);
    }
}

/// Many blocks, and both threads.
#[test]
fn functions_of_many_records_are_those_of_the_oracle() {
    let records = many_records(40_000);
    let layout = Layout {
        rows: 9_000,
        section_every: 2,
    };
    let snapshot = snapshot(&records, layout);
    for (reader, query) in [
        (Reader::Admin, "*"),
        (Reader::Admin, "level>=warn status:>7"),
        (Reader::User(vec!["u1"]), "NOT level:debug"),
        (Reader::AdminOfBoth, "_exists_:flag duration_ms:<=200"),
    ] {
        let case = Case {
            records: Vec::new(),
            layout,
            reader: reader.clone(),
            expr: taffrail_query::parse_filter(query).expect("a query"),
            range: TimeRange::ALL,
            positions: (0, u64::MAX >> 16),
            as_of: None,
        };
        let seen = records.iter().filter(|record| reader.may_see(record));
        let expected: Vec<_> = seen.filter(|record| matches(&case.expr, record)).collect();
        let condition = taffrail_query::parse_filter("level:error OR status:200").expect("a query");
        check(&case, &snapshot, &expected, &condition);
    }
}

fn run(aggregation: Aggregation, snapshot: &Snapshot) -> Result<usize, ScanError> {
    let request = Reader::Admin.request(Output::Aggregate(aggregation));
    match execute(&request, snapshot)?.output {
        ScanOutput::Groups(groups) => Ok(groups.rows.len()),
        _ => panic!("no groups"),
    }
}

fn numbered(count: usize, section_every: usize) -> Snapshot {
    let records: Vec<Record> = (1..=count as u64)
        .map(|n| record(n, &[("note", Kind::String, &n.to_string())]))
        .collect();
    snapshot(
        &records,
        Layout {
            rows: 60_000,
            section_every,
        },
    )
}

#[test]
fn groups_are_bounded() {
    for section_every in [0, 1] {
        let by_note = || Aggregation {
            keys: vec![field("note")],
            functions: vec![Function::Count],
        };
        let at = numbered(AGGREGATE_GROUPS_MAX, section_every);
        assert_eq!(run(by_note(), &at), Ok(AGGREGATE_GROUPS_MAX));
        let past = numbered(AGGREGATE_GROUPS_MAX + 1, section_every);
        let error = ScanError::TooManyGroups {
            max: AGGREGATE_GROUPS_MAX,
        };
        assert_eq!(run(by_note(), &past), Err(error.clone()));
        let by_two = Aggregation {
            keys: vec![field("stream"), field("note")],
            functions: vec![Function::Count],
        };
        assert_eq!(run(by_two, &past), Err(error));
    }
}

#[test]
fn buckets_are_bounded_and_the_error_says_what_would_do() {
    let last = HISTOGRAM_BUCKETS_MAX as i64;
    let records = |count: i64| -> Vec<Record> {
        (0..count)
            .map(|n| {
                let mut record = record(n as u64 + 1, &[("note", Kind::String, "x")]);
                record.timestamp += n * 1_000_000_000;
                record
            })
            .collect()
    };
    let layout = Layout {
        rows: 4_000,
        section_every: 2,
    };
    let chart = |interval_ns| Aggregation {
        keys: vec![GroupKey::Time { interval_ns }],
        functions: vec![Function::Count],
    };
    let at = snapshot(&records(last), layout);
    assert_eq!(run(chart(1_000_000_000), &at), Ok(HISTOGRAM_BUCKETS_MAX));
    let past = snapshot(&records(last + 1), layout);
    let Err(ScanError::TooManyBuckets { least_ns, .. }) = run(chart(1_000_000_000), &past) else {
        panic!("no error");
    };
    assert!(run(chart(least_ns), &past).is_ok());
}

#[test]
fn all_queries_share_a_pool() {
    let snapshot = numbered(20_000, 2);
    let request = |memory: &Arc<MemoryPool>| {
        let output = Output::Aggregate(Aggregation {
            keys: vec![field("note")],
            functions: vec![Function::Distinct("note".into())],
        });
        Reader::Admin.request(output).with_memory(memory.clone())
    };
    let large = Arc::new(MemoryPool::default());
    assert!(execute(&request(&large), &snapshot).is_ok());
    assert_eq!(large.used(), 0);
    // What the whole pool cannot hold is not worth another try.
    let small = Arc::new(MemoryPool::new(1 << 20));
    let error = ScanError::AggregateTooLarge { bytes_max: 1 << 20 };
    assert_eq!(execute(&request(&small), &snapshot).err(), Some(error));
    assert_eq!(small.used(), 0);
}

#[test]
fn the_texts_of_each_group_are_paid_for() {
    let groups = 1_000;
    let run_with = |stack_bytes: usize| {
        let stack = "x".repeat(stack_bytes);
        let records: Vec<Record> = (1..=groups)
            .map(|n| {
                let note = n.to_string();
                let fields = [
                    ("error.stack", Kind::String, stack.as_str()),
                    ("note", Kind::String, note.as_str()),
                ];
                record(n, &fields)
            })
            .collect();
        let layout = Layout {
            rows: 1_000,
            section_every: 0,
        };
        let aggregation = Aggregation {
            keys: vec![field("error.stack"), field("note")],
            functions: vec![Function::Count],
        };
        run(aggregation, &snapshot(&records, layout))
    };
    let bytes_max = AGGREGATE_BYTES_MAX;
    // Less than a KB of each group is for its number, its other cells and its row.
    let share = bytes_max / groups as usize;
    assert_eq!(run_with(share - 1_000), Ok(groups as usize));
    let error = ScanError::AggregateTooLarge { bytes_max };
    assert_eq!(run_with(share), Err(error));
}

#[test]
fn many_values_and_many_numbers_are_estimated_within_their_bounds() {
    let snapshot = numbered(50_000, 2);
    let level = QuantileLevel::parse_percent("95").expect("a percentile");
    let output = Output::Aggregate(Aggregation {
        keys: Vec::new(),
        functions: vec![
            Function::Distinct("note".into()),
            Function::Quantile("note".into(), level),
        ],
    });
    let result = execute(&Reader::Admin.request(output), &snapshot).expect("a read");
    let ScanOutput::Groups(found) = result.output else {
        panic!("no groups");
    };
    assert!(found.is_estimate);
    let values: Vec<f64> = found.rows[0]
        .iter()
        .map(|cell| match cell {
            Cell::Integer(number) => *number as f64,
            Cell::Float(number) => *number,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!((values[0] / 50_000.0 - 1.0).abs() < 0.05, "{values:?}");
    assert!((values[1] / 47_500.0 - 1.0).abs() < 0.01, "{values:?}");
}

#[test]
fn values_of_top_keep_their_kind() {
    let field = |kind, text: &str| vec![("status", kind, text.to_owned())];
    let numbers = [("9", 3), ("10", 2), ("1.5", 1)];
    for section_every in [0, 1] {
        let check = |extra: Option<Kind>, wanted: &[Cell]| {
            let numbers = numbers.iter().flat_map(|(text, count)| {
                let kind = match text.contains('.') {
                    true => Kind::Float,
                    false => Kind::Integer,
                };
                vec![field(kind, text); *count]
            });
            let all = numbers.chain(extra.map(|kind| field(kind, "9")));
            let records: Vec<Record> = (1..)
                .zip(all)
                .map(|(n, fields)| {
                    let fields = fields.iter();
                    let fields: Vec<_> = fields
                        .map(|(name, kind, text)| (*name, *kind, text.as_str()))
                        .collect();
                    record(n, &fields)
                })
                .collect();
            let layout = Layout {
                rows: 4,
                section_every,
            };
            let pipes = taffrail_query::parse("* | top status | sort status")
                .expect("a query")
                .pipes;
            let request = Reader::Admin.request(output_for(&pipes));
            let result = execute(&request, &snapshot(&records, layout)).expect("a read");
            let table = Table::new(&pipes, result.output, &catalogue()).expect("a table");
            let found: Vec<Cell> = table.rows.iter().map(|row| row[0].clone()).collect();
            assert_eq!(found, wanted, "{extra:?}");
        };
        let json = |text: &str| Cell::Json(text.into());
        let text = |text: &str| Cell::Text(text.into());
        check(None, &[json("1.5"), json("9"), json("10")]);
        // One text among numbers makes its value a text, and the column one of texts.
        check(Some(Kind::String), &[text("1.5"), text("10"), text("9")]);
    }
}
