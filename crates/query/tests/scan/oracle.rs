//! The executor against a brute-force oracle: generated records, generated queries, every output,
//! over tails and segments.
use crate::build::{Layout, NOW, NS_PER_DAY, Reader, TODAY, flat, rows, snapshot};
use crate::rule::{Record, matches};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use taffrail_model::{
    column::Kind,
    level::Level,
    position::Position,
    stream::StreamCatalogue,
    tenant::TenantNumber,
    time::{TimeRange, Timestamp},
};
use taffrail_query::{
    AsOf, Expr, Order, Output, RowsOutput, ScanOutput, ScanRequest, SeriesKey, StreamSelection,
    Test, execute, parse,
    search::tree::{NumberText, Operator, Pattern, PatternPart},
    select_removed,
};
use taffrail_storage::{
    deletion::{Deletion, DeletionState, PurgeRules, SelectedPartition},
    snapshot::Snapshot,
};

/// Time, position and fields of a record.
type FlatRow = (i64, u64, Vec<(String, Kind, String)>);

const WORDS: &[&str] = &[
    "fail",
    "Failed",
    "open",
    "size",
    "blk",
    "é",
    "e\u{301}",
    "Émile",
    "日本",
    "本",
    "か日",
    "\u{212A}9",
    "K9",
    "k9",
    "ΣΑ",
    "ς",
    "σ",
    "ß",
    "200",
    "7",
    "a",
    "A",
    "x1y",
    "u1",
    "debug",
    "😀",
];
const SEPARATORS: &[&str] = &[" ", "_", "-", ".", "/", ": ", "", "\"", "\\", "  "];
pub const HOUR: i64 = 3_600_000_000_000;

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        (
            prop::sample::select(WORDS),
            prop::sample::select(SEPARATORS),
        ),
        0..5,
    )
    .prop_map(|parts| {
        parts
            .iter()
            .flat_map(|(word, separator)| [*word, *separator])
            .collect()
    })
}

fn number() -> impl Strategy<Value = (Kind, String)> {
    prop_oneof![
        prop::sample::select(vec!["200", "7", "-7", "0", "500", "9007199254740993"])
            .prop_map(|text| (Kind::Integer, text.to_owned())),
        prop::sample::select(vec!["200.0", "2e2", "1.5", "7.00", "-0.5"])
            .prop_map(|text| (Kind::Float, text.to_owned())),
        prop::sample::select(vec!["200", "200.0", "7", "-7", "007", "abc 200"])
            .prop_map(|text| (Kind::String, text.to_owned())),
    ]
}

fn value(name: &'static str) -> BoxedStrategy<(Kind, String)> {
    let string = |texts: &'static [&'static str]| {
        prop::sample::select(texts).prop_map(|text| (Kind::String, text.to_owned()))
    };
    match name {
        "level" => string(&["trace", "debug", "info", "warn", "error", "critical"]).boxed(),
        "source" | "service" => string(&["figma", "Figma", "slack-bot"]).boxed(),
        "user_id" => prop_oneof![
            3 => string(&["u1", "u2", "u3"]),
            1 => Just((Kind::Integer, "42".to_owned())),
        ]
        .boxed(),
        "instance_id" => prop_oneof![
            4 => string(&["old", "live", "other"]),
            1 => Just((Kind::Integer, "77".to_owned())),
            1 => Just((Kind::Json, "[\"old\"]".to_owned())),
        ]
        .boxed(),
        "status" | "on" | "duration_ms" | "duration" | "latency_ms" => number().boxed(),
        "flag" => prop::bool::ANY
            .prop_map(|flag| (Kind::Bool, flag.to_string()))
            .boxed(),
        "tags" => prop::sample::select(vec!["[\"fail\",1]", "[]", "[true,\"日本\"]"])
            .prop_map(|text| (Kind::Json, text.to_owned()))
            .boxed(),
        // The oracle writes the overflow's JSON by hand: nothing in it needs an escape.
        "of" => string(&["fail open", "Failed", "", "日本 7"]).boxed(),
        _ => text().prop_map(|text| (Kind::String, text)).boxed(),
    }
}

fn fields(
    names: &'static [&'static str],
    share: f64,
) -> BoxedStrategy<Vec<(String, Kind, String)>> {
    let each: Vec<_> = names
        .iter()
        .map(|name| {
            prop::option::weighted(share, value(name))
                .prop_map(|value| value.map(|(kind, text)| ((*name).to_owned(), kind, text)))
        })
        .collect();
    each.prop_map(|fields| fields.into_iter().flatten().collect())
        .boxed()
}

fn record() -> impl Strategy<Value = Record> {
    const NAMES: &[&str] = &[
        "level",
        "message",
        "source",
        "user_id",
        "instance_id",
        "status",
        "flag",
        "tags",
        "note",
        "error.stack",
        // Canonical names and aliases of them that lost.
        "duration_ms",
        "duration",
        "service",
        "msg",
    ];
    (
        prop_oneof![4 => Just(1u32), 1 => Just(2u32)],
        prop::sample::select(vec![
            "app.backend",
            "app.backend",
            "instance.app",
            "runtime",
            "system.application",
        ]),
        prop::sample::select(vec![0i64, 0, 0, 1, 30, 31, 90, 91]),
        // Few times, so that many are equal; some out of the order of arrival.
        (0i64..24).prop_map(|step| step * HOUR / 2),
        fields(NAMES, 0.7),
        prop_oneof![3 => Just(Vec::new()).boxed(), 1 => fields(&["of", "on", "latency_ms"], 0.8)],
    )
        .prop_map(|(tenant, stream, age, time, fields, overflow)| Record {
            tenant,
            stream,
            timestamp: (TODAY - age) * NS_PER_DAY + time,
            position: 0,
            fields,
            overflow,
        })
}

fn records(count: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<Record>> {
    prop::collection::vec((record(), 1u64..3), count).prop_map(|records| {
        let mut position = 0;
        records
            .into_iter()
            .map(|(record, step)| {
                position += step;
                Record { position, ..record }
            })
            .collect()
    })
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let part = prop_oneof![
        2 => Just(PatternPart::AnyRun),
        1 => Just(PatternPart::AnyOne),
        3 => prop::sample::select(WORDS).prop_map(|word| PatternPart::Literal(word.to_owned())),
        1 => prop::sample::select(vec!["-", "ai", "il", "f", "20", ".", "日"])
            .prop_map(|word| PatternPart::Literal(word.to_owned())),
    ];
    prop::collection::vec(part, 1..5).prop_map(Pattern::new)
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(WORDS).prop_map(str::to_owned),
        2 => text(),
        1 => prop::sample::select(vec!["200", "200.0", "2e2", "true", "figma", "007", "fail-open"])
            .prop_map(str::to_owned),
    ]
    .prop_filter("the parser refuses words without a letter", |text| {
        text.chars().any(char::is_alphanumeric)
    })
}

/// The regexes that the oracle understands, through the parser, which is the only way to one.
fn regex() -> impl Strategy<Value = Test> {
    let plain =
        || prop::sample::select(vec!["fail", "Fail", "blk", "size ", "本", "é", "k9", "op"]);
    let pattern = prop_oneof![
        plain().prop_map(str::to_owned),
        plain().prop_map(|x| format!("^{x}")),
        plain().prop_map(|x| format!("{x}$")),
        (plain(), plain()).prop_map(|(x, y)| format!("{x}|{y}")),
        (plain(), prop::sample::select(vec!["", "y", "."]))
            .prop_map(|(x, y)| format!("{x}[0-9]+{}", if y == "." { "" } else { y })),
    ];
    (pattern, any::<bool>()).prop_map(|(pattern, folds)| {
        let text = format!("/{pattern}/{}", if folds { "i" } else { "" });
        match parse(&text).expect("a regex").filter {
            Expr::Leaf(leaf) => leaf.test,
            other => panic!("{other}"),
        }
    })
}

fn text_test() -> BoxedStrategy<Test> {
    prop_oneof![
        4 => words().prop_map(Test::Words),
        2 => pattern()
            .prop_filter("a word pattern has a word and a wildcard", |pattern| {
                let text: String = pattern.parts().iter().map(|part| match part {
                    PatternPart::Literal(text) => text.as_str(),
                    _ => "",
                }).collect();
                text.chars().any(char::is_alphanumeric)
                    && pattern.parts().iter().any(|p| !matches!(p, PatternPart::Literal(_)))
            })
            .prop_map(Test::WordPattern),
        2 => prop_oneof![
            prop::sample::select(vec!["ail", "-", "d o", "é", "20", "本", "k", "σ", "[\""])
                .prop_map(str::to_owned),
            words(),
        ].prop_map(Test::Substring),
        1 => regex(),
    ]
    .boxed()
}

fn operator() -> impl Strategy<Value = Operator> {
    prop::sample::select(vec![
        Operator::Greater,
        Operator::GreaterOrEqual,
        Operator::Less,
        Operator::LessOrEqual,
    ])
}

fn leaf() -> impl Strategy<Value = Expr> {
    const NAMES: &[&str] = &[
        "message",
        "source",
        "user_id",
        "status",
        "flag",
        "tags",
        "note",
        "level",
        "of",
        "on",
        "error.stack",
        "absent",
        "_overflow",
        "duration_ms",
        "duration",
        "latency_ms",
        "service",
        "app",
        "msg",
    ];
    let name = || prop::sample::select(NAMES);
    let whole = prop_oneof![
        words(),
        prop::sample::select(vec!["figma", "Failed", "200", "", "u1", "[]", "true"])
            .prop_map(str::to_owned),
    ];
    prop_oneof![
        4 => text_test().prop_map(Expr::text),
        4 => (name(), text_test()).prop_map(|(name, test)| Expr::field(name, test)),
        1 => (name(), whole).prop_map(|(name, text)| Expr::field(name, Test::Whole(text))),
        1 => (name(), pattern()).prop_map(|(name, p)| Expr::field(name, Test::WholePattern(p))),
        1 => name().prop_map(|name| Expr::field(name, Test::Exists)),
        1 => (name(), operator(), prop::sample::select(vec!["7", "200", "-1.5", "1e2"])).prop_map(
            |(name, operator, text)| Expr::field(
                name,
                Test::Number(operator, NumberText::new(text).expect("a number"))
            )
        ),
        1 => (operator(), 0..6usize).prop_map(|(operator, index)| Expr::field(
            "level",
            Test::Level(operator, Level::ALL[index])
        )),
        1 => (operator(), 0i64..4, 0i64..24).prop_map(|(operator, day, hour)| Expr::field(
            "timestamp",
            Test::Time(operator, ((TODAY - day) * NS_PER_DAY + hour * HOUR / 2).to_string())
        )),
        1 => prop::sample::select(vec!["app.backend", "runtime", "system.application"])
            .prop_map(|name| Expr::field("stream", Test::Whole(name.into()))),
        1 => Just(Expr::All),
    ]
}

pub fn expr() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::all_of),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::any_of),
            inner.prop_map(Expr::negated),
        ]
    })
}

fn layout() -> impl Strategy<Value = Layout> {
    (1usize..20, 0usize..4).prop_map(|(rows, section_every)| Layout {
        rows,
        section_every,
    })
}

fn reader() -> impl Strategy<Value = Reader> {
    prop_oneof![
        3 => Just(Reader::Admin),
        1 => Just(Reader::AdminOfBoth),
        2 => Just(Reader::User(vec!["u1", "42"])),
        1 => Just(Reader::User(vec![])),
    ]
}

fn range() -> impl Strategy<Value = TimeRange> {
    prop_oneof![
        2 => Just(TimeRange::ALL),
        1 => (0i64..40, 0i64..40).prop_map(|(a, b)| {
            let at = |steps: i64| Timestamp(TODAY * NS_PER_DAY - NS_PER_DAY + steps * HOUR);
            TimeRange { start: at(a.min(b)), end: at(a.max(b)) }
        }),
    ]
}

/// Everything that decides an answer.
#[derive(Clone, Debug)]
pub struct Case {
    pub records: Vec<Record>,
    pub layout: Layout,
    pub reader: Reader,
    pub expr: Expr,
    pub range: TimeRange,
    pub positions: (u64, u64),
    /// Watermark of another answer.
    pub as_of: Option<u64>,
}

pub fn case(count: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Case> {
    let positions = prop_oneof![
        2 => Just((0, u64::MAX >> 16)),
        1 => (0u64..40, 0u64..80),
    ];
    (
        records(count),
        layout(),
        reader(),
        expr(),
        range(),
        positions,
    )
        .prop_map(|(records, layout, reader, expr, range, positions)| Case {
            records,
            layout,
            reader,
            expr,
            range,
            positions,
            as_of: None,
        })
}

impl Case {
    fn request(&self, output: Output) -> ScanRequest {
        let catalogue = StreamCatalogue::built_in();
        let all = catalogue.iter().map(|stream| stream.number).collect();
        let as_of = AsOf {
            watermark: Position(self.as_of.unwrap_or(u64::MAX >> 16)),
            moment: NOW,
        };
        self.reader
            .request(output)
            .with_streams(StreamSelection::Only(all))
            .with_range(self.range)
            .with_positions(Position(self.positions.0), Position(self.positions.1))
            .with_as_of(as_of.to_string().parse().expect("a token"))
            .with_predicate(self.expr.clone())
    }

    pub fn run(&self, snapshot: &Snapshot, output: Output) -> ScanOutput {
        let result = execute(&self.request(output), snapshot).expect("a read");
        assert!(!result.completeness.partial, "{:?}", result.completeness);
        if let Some(as_of) = self.as_of {
            // What the answer says it counted is what it was asked for.
            let asked = as_of.min(self.positions.1).min(snapshot.watermark().0);
            assert_eq!(result.watermark, Position(asked));
        }
        result.output
    }

    /// The matching records, in order of arrival.
    pub fn expected(&self) -> Vec<&Record> {
        self.records
            .iter()
            .filter(|record| {
                self.reader.may_see(record)
                    && self.range.contains(Timestamp(record.timestamp))
                    && self.positions.0 < record.position
                    && record.position <= self.positions.1
                    && self.as_of.is_none_or(|as_of| record.position <= as_of)
                    && matches(&self.expr, record)
            })
            .collect()
    }

    fn expected_rows(&self, order: Order) -> Vec<FlatRow> {
        let mut rows: Vec<_> = self
            .expected()
            .iter()
            .map(|record| (record.timestamp, record.position, record.stored()))
            .collect();
        match order {
            Order::Arrival => {}
            Order::Ascending => rows.sort(),
            Order::Descending => {
                rows.sort();
                rows.reverse();
            }
        }
        rows
    }
}

fn check_rows(case: &Case, snapshot: &Snapshot) {
    for order in [Order::Descending, Order::Ascending, Order::Arrival] {
        let expected = case.expected_rows(order);
        for (limit, offset, count) in [(1_000, 0, true), (3, 0, false), (3, 2, true), (0, 0, true)]
        {
            let output = rows(RowsOutput {
                order,
                limit,
                offset,
                count,
                ..RowsOutput::default()
            });
            let ScanOutput::Rows(page) = case.run(snapshot, output) else {
                panic!("not rows");
            };
            let found: Vec<_> = page.rows.iter().map(flat).collect();
            let wanted: Vec<_> = expected.iter().skip(offset).take(limit).cloned().collect();
            assert_eq!(found, wanted, "{order:?} {limit} {offset}: {}", case.expr);
            assert_eq!(page.total, count.then_some(expected.len() as u64));
            let has_more = limit > 0 && expected.len() > offset + limit;
            assert_eq!(page.cursor.is_some(), has_more);
        }
    }
}

fn check_pages(case: &Case, snapshot: &Snapshot, later: &Snapshot) {
    for order in [Order::Descending, Order::Ascending, Order::Arrival] {
        let mut found = Vec::new();
        let mut cursor = None;
        let total = case.expected().len() as u64;
        for page_number in 0.. {
            let output = rows(RowsOutput {
                order,
                limit: 2,
                cursor,
                count: true,
                ..RowsOutput::default()
            });
            // Records that arrive between two pages do not belong to them.
            let at = if page_number == 0 { snapshot } else { later };
            let ScanOutput::Rows(page) = case.run(at, output) else {
                panic!("not rows");
            };
            assert_eq!(page.total, Some(total), "{}", case.expr);
            found.extend(page.rows.iter().map(flat));
            let Some(next) = page.cursor else { break };
            cursor = Some(next.to_string().parse().expect("a cursor"));
        }
        assert_eq!(found, case.expected_rows(order), "{order:?}: {}", case.expr);
    }
}

/// What a record has for a name: the field of that name, or the canonical one.
pub fn asked<'r>(record: &'r Record, name: &str) -> Option<(Kind, &'r str)> {
    let canonical = match name {
        "service" | "app" => "source",
        "duration" | "latency_ms" => "duration_ms",
        name => name,
    };
    let past_limit = |name: &str| {
        let of_overflow = record.overflow.iter().find(|(have, ..)| have == name);
        of_overflow.map(|(_, kind, text)| (*kind, text.as_str()))
    };
    record
        .get(name)
        .or_else(|| past_limit(name))
        .or_else(|| record.get(canonical))
        .or_else(|| past_limit(canonical))
}

fn check_counts(case: &Case, snapshot: &Snapshot) {
    let expected = case.expected();
    assert_eq!(
        case.run(snapshot, Output::Count),
        ScanOutput::Count(expected.len() as u64),
        "{}",
        case.expr
    );
    let extent = expected.iter().map(|record| Timestamp(record.timestamp));
    let extent = extent.clone().min().zip(extent.max());
    assert_eq!(
        case.run(snapshot, Output::TimeExtent),
        ScanOutput::TimeExtent(extent.map(|(start, end)| TimeRange { start, end })),
    );
    for (interval_ns, by) in [
        (HOUR, None),
        (5 * HOUR, Some("level")),
        (NS_PER_DAY, Some("stream")),
        (NS_PER_DAY, Some("service")),
    ] {
        let output = Output::Histogram {
            interval_ns,
            by: by.map(Into::into),
        };
        let ScanOutput::Histogram(histogram) = case.run(snapshot, output) else {
            panic!("no histogram");
        };
        assert_eq!(histogram.total(), expected.len() as u64);
        let mut wanted: BTreeMap<SeriesKey, BTreeMap<i64, u64>> = BTreeMap::new();
        for record in &expected {
            let key = match by {
                None => SeriesKey::All,
                Some("stream") => SeriesKey::Value(record.stream.into()),
                Some(name) => match asked(record, name) {
                    Some((_, text)) => SeriesKey::Value(text.into()),
                    None => SeriesKey::Missing,
                },
            };
            let bucket = record.timestamp.div_euclid(interval_ns) * interval_ns;
            *wanted.entry(key).or_default().entry(bucket).or_default() += 1;
        }
        let found = histogram.series.into_iter().map(|series| {
            let points = series
                .points
                .into_iter()
                .map(|(time, count)| (time.0, count));
            (series.key, points.collect())
        });
        assert_eq!(found.collect::<BTreeMap<_, _>>(), wanted, "{}", case.expr);
    }
}

fn check_facets(case: &Case, snapshot: &Snapshot) {
    let expected = case.expected();
    let names = [
        "source",
        "status",
        "stream",
        "absent",
        "service",
        "latency_ms",
        "of",
        "on",
    ];
    let output = Output::Facets {
        fields: names.map(Into::into).to_vec(),
        limit: 2,
    };
    let ScanOutput::Facets(facets) = case.run(snapshot, output) else {
        panic!("no facets");
    };
    for (facet, name) in facets.iter().zip(names) {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for record in &expected {
            let value = match name {
                "stream" => Some(record.stream),
                name => asked(record, name).map(|(_, text)| text),
            };
            *counts.entry(value.unwrap_or("\0missing")).or_default() += 1;
        }
        counts.remove("\0missing");
        let mut ranked: Vec<_> = counts
            .iter()
            .map(|(value, count)| (u64::MAX - count, *value))
            .collect();
        ranked.sort_unstable();
        let wanted: Vec<_> = ranked
            .iter()
            .take(2)
            .map(|(rank, value)| (*value, u64::MAX - rank))
            .collect();
        let found: Vec<_> = facet
            .values
            .iter()
            .map(|value| (value.value.as_str(), value.count))
            .collect();
        assert_eq!(&*facet.field, name);
        assert_eq!(found, wanted, "{name} {}", case.expr);
        assert_eq!(
            (facet.distinct, facet.is_estimate),
            (counts.len() as u64, false)
        );
    }

    let ScanOutput::Fields(fields) = case.run(snapshot, Output::Fields) else {
        panic!("no fields");
    };
    let mut wanted: BTreeMap<String, (BTreeSet<Kind>, u64)> = BTreeMap::new();
    for record in &expected {
        for (name, kind, _) in record.stored() {
            let entry = wanted.entry(name).or_default();
            entry.0.insert(kind);
            entry.1 += 1;
        }
    }
    let found = fields.into_iter().map(|field| {
        (
            field.name.to_string(),
            (field.kinds.into_iter().collect(), field.count),
        )
    });
    assert_eq!(found.collect::<BTreeMap<_, _>>(), wanted, "{}", case.expr);
}

/// A deletion as the oracle knows it.
#[derive(Clone, Debug)]
struct Deleted {
    tenant: u32,
    streams: Vec<&'static str>,
    range: TimeRange,
    through: u64,
    expr: Expr,
}

impl Deleted {
    fn takes(&self, record: &Record) -> bool {
        record.tenant == self.tenant
            && self.streams.contains(&record.stream)
            && self.range.contains(Timestamp(record.timestamp))
            && record.position <= self.through
            && matches(&self.expr, record)
    }

    fn deletion(&self, sequence: u64) -> Deletion {
        let catalogue = StreamCatalogue::built_in();
        let streams = self.streams.iter();
        Deletion {
            sequence,
            tenant: TenantNumber(self.tenant),
            streams: streams
                .filter_map(|name| Some(catalogue.by_name(name)?.number))
                .collect(),
            range: self.range,
            predicate: match &self.expr {
                Expr::All => String::new(),
                expr => expr.to_string(),
            },
            created: NOW,
            through: Position(self.through),
            state: DeletionState::Active,
            rows_matched: 0,
            rows_removed: 0,
            sections_total: 0,
            note: String::new(),
        }
    }
}

/// A predicate that can be kept as text: the parser refuses some trees, such as unknown levels.
fn parsed_expr() -> impl Strategy<Value = Expr> {
    expr().prop_filter_map("the parser refuses it", |expr| {
        Some(parse(&expr.to_string()).ok()?.filter)
    })
}

fn deleted() -> impl Strategy<Value = Deleted> {
    let streams = vec![
        "app.backend",
        "instance.app",
        "runtime",
        "system.application",
    ];
    let time = (TODAY - 91) * NS_PER_DAY..(TODAY + 1) * NS_PER_DAY;
    let range = prop_oneof![
        Just(TimeRange::ALL),
        (time.clone(), time).prop_map(|(a, b)| TimeRange {
            start: Timestamp(a.min(b)),
            end: Timestamp(a.max(b)),
        }),
    ];
    (
        prop_oneof![4 => Just(1u32), 1 => Just(2u32)],
        prop::sample::subsequence(streams, 1..=4),
        range,
        prop_oneof![Just(u64::MAX >> 16), 0u64..80],
        prop_oneof![1 => Just(Expr::All), 4 => parsed_expr()],
    )
        .prop_map(|(tenant, streams, range, through, expr)| Deleted {
            tenant,
            streams,
            range,
            through,
            expr,
        })
}

/// The rows that compaction is told to remove are those of the oracle.
fn check_removed(
    records: &[Record],
    snapshot: &Snapshot,
    deleted: &[Deleted],
    deletions: &[Arc<Deletion>],
    drops_debug: bool,
) {
    let rules = PurgeRules {
        fingerprint: 1,
        drops_debug,
        instances: None,
    };
    let mut removed = BTreeSet::new();
    for partition in snapshot.partitions() {
        let concerning: Vec<Arc<Deletion>> = deletions
            .iter()
            .filter(|deletion| deletion.concerns_partition(&partition.key))
            .cloned()
            .collect();
        for source in partition.sources() {
            let partition = SelectedPartition {
                key: partition.key,
                catalogue: &Arc::new(StreamCatalogue::built_in()),
                node: 0,
                epoch: 1,
                rules: &rules,
                deletions: &concerning,
            };
            let blocks = select_removed(partition, source.as_ref()).expect("readable");
            for (block, selected) in blocks.iter().enumerate() {
                let sets = || std::iter::once(&selected.by_rules).chain(&selected.by_deletion);
                let positions = source.positions(block).expect("readable");
                for (row, position) in positions.iter().enumerate() {
                    if sets().any(|set| set[row / 64] >> (row % 64) & 1 == 1) {
                        removed.insert(*position);
                    }
                }
            }
        }
    }
    let is_debug = |record: &Record| {
        let level = record.get("level");
        level.is_some_and(|(_, text)| text == "debug" || text == "trace")
    };
    let expected = records.iter().filter(|record| {
        drops_debug && is_debug(record) || deleted.iter().any(|deleted| deleted.takes(record))
    });
    let expected: BTreeSet<u64> = expected.map(|record| record.position).collect();
    assert_eq!(removed, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn rows_are_those_of_the_oracle(case in case(0..40)) {
        check_rows(&case, &snapshot(&case.records, case.layout));
    }

    #[test]
    fn counts_are_those_of_the_oracle(case in case(0..40)) {
        let snapshot = snapshot(&case.records, case.layout);
        check_counts(&case, &snapshot);
        check_facets(&case, &snapshot);
    }

    /// What is under a deletion is not there, for any kind of answer; and compaction is told to
    /// remove exactly that.
    #[test]
    fn deleted_rows_are_not_there(
        mut case in case(0..40),
        deleted in prop::collection::vec(deleted(), 1..4),
        drops_debug in any::<bool>(),
    ) {
        let deletions: Vec<Arc<Deletion>> = (1..)
            .zip(&deleted)
            .map(|(sequence, deleted)| Arc::new(deleted.deletion(sequence)))
            .collect();
        let snapshot = snapshot(&case.records, case.layout);
        check_removed(&case.records, &snapshot, &deleted, &deletions, drops_debug);
        let snapshot = snapshot.with_deletions(Arc::new(deletions));
        let records = &mut case.records;
        records.retain(|record| !deleted.iter().any(|deleted| deleted.takes(record)));
        check_rows(&case, &snapshot);
        check_counts(&case, &snapshot);
        check_facets(&case, &snapshot);
    }

    /// Every kind of answer counts what was there then, whether it is in tails or in segments now.
    #[test]
    fn answers_as_of_a_watermark_are_those_of_the_oracle(
        mut case in case(0..40),
        as_of in 0u64..80,
        other in layout(),
    ) {
        case.as_of = Some(as_of);
        let now = snapshot(&case.records, case.layout);
        check_rows(&case, &now);
        check_counts(&case, &now);
        check_facets(&case, &now);
        let later = snapshot(&case.records, other);
        check_pages(&case, &now, &later);
    }

    #[test]
    fn pages_are_one_big_page_and_new_records_do_not_disturb(
        mut case in case(1..30),
        more in records(1..10),
        other in layout(),
    ) {
        let before = snapshot(&case.records, case.layout);
        let mut all = case.records.clone();
        all.extend(more.into_iter().map(|record| Record {
            position: record.position + before.watermark().0,
            ..record
        }));
        // What was in tails may have become segments in between, too.
        let later = snapshot(&all, other);
        case.positions = (0, before.watermark().0);
        check_pages(&case, &before, &later);
        case.positions = (0, u64::MAX >> 16);
        check_pages(&case, &before, &later);
    }
}

/// Some generated records several times over, each at its own time and position.
pub fn many_records(count: u64) -> Vec<Record> {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let some = records(2_000)
        .new_tree(&mut runner)
        .expect("records")
        .current();
    let one = |n: u64| {
        let record = &some[n as usize % some.len()];
        Record {
            position: n + 1,
            timestamp: record.timestamp + (n as i64 * 7_919) % 1_000_000_007,
            ..record.clone()
        }
    };
    (0..count).map(one).collect()
}

/// Many blocks and both threads: the same checks over thousands of records.
#[test]
fn large_scans_are_those_of_the_oracle() {
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let records = many_records(40_000);
    let layout = Layout {
        rows: 9_000,
        section_every: 2,
    };
    let snapshot = snapshot(&records, layout);
    check_expressions(&mut runner, 24, layout, &snapshot, &records);
    assert_eq!(NOW.day().map(|day| i64::from(day.0)), Some(TODAY));
}

/// The same over texts that are long enough for an index of words.
#[test]
fn large_scans_of_prose_are_those_of_the_oracle() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let some = records(500)
        .new_tree(&mut runner)
        .expect("records")
        .current();
    let long = |n: usize| -> String {
        let part = |at: usize| {
            let random = ((n * 31 + at) * 2_654_435_761) >> 8;
            // Some words are in every text, some in few.
            let word = WORDS[(random % 97) * (at % 3) % WORDS.len()];
            [word, SEPARATORS[random / 97 % SEPARATORS.len()]]
        };
        (0..40).flat_map(part).collect()
    };
    let records: Vec<Record> = (0..5_000usize)
        .map(|n| {
            let mut record = Record {
                position: n as u64 + 1,
                timestamp: TODAY * NS_PER_DAY + (n as i64 * 7_919) % 1_000_000_007,
                tenant: 1,
                stream: "app.backend",
                ..some[n % some.len()].clone()
            };
            for (name, kind, text) in &mut record.fields {
                if name == "message" || (name == "note" && n % 9 > 0) {
                    (*kind, *text) = (Kind::String, format!("{text} {n} {}", long(n)));
                }
            }
            record
        })
        .collect();
    let layout = Layout {
        rows: 2_500,
        section_every: 1,
    };
    let snapshot = snapshot(&records, layout);
    check_expressions(&mut runner, 30, layout, &snapshot, &records);
}

fn check_expressions(
    runner: &mut proptest::test_runner::TestRunner,
    count: usize,
    layout: Layout,
    snapshot: &Snapshot,
    records: &[Record],
) {
    use proptest::strategy::ValueTree;
    for index in 0..count {
        let expr = match index {
            0 => Expr::All,
            _ => expr().new_tree(runner).expect("an expression").current(),
        };
        let case = Case {
            records: Vec::new(),
            layout,
            reader: if index % 3 == 2 {
                Reader::User(vec!["u1"])
            } else {
                Reader::Admin
            },
            expr,
            range: TimeRange::ALL,
            positions: (0, u64::MAX >> 16),
            as_of: None,
        };
        check_large(&case, snapshot, records);
    }
}

fn check_large(case: &Case, snapshot: &Snapshot, records: &[Record]) {
    let mut expected: Vec<_> = records
        .iter()
        .filter(|record| case.reader.may_see(record) && matches(&case.expr, record))
        .map(|record| (record.timestamp, record.position))
        .collect();
    expected.sort_unstable();
    expected.reverse();
    assert_eq!(
        case.run(snapshot, Output::Count),
        ScanOutput::Count(expected.len() as u64),
        "{}",
        case.expr
    );
    let output = Output::Histogram {
        interval_ns: HOUR,
        by: Some("source".into()),
    };
    let ScanOutput::Histogram(histogram) = case.run(snapshot, output) else {
        panic!("no histogram");
    };
    assert_eq!(histogram.total(), expected.len() as u64);
    for count in [true, false] {
        let output = rows(RowsOutput {
            limit: 500,
            offset: 100,
            count,
            ..RowsOutput::default()
        });
        let ScanOutput::Rows(page) = case.run(snapshot, output) else {
            panic!("not rows");
        };
        let found: Vec<_> = page
            .rows
            .iter()
            .map(|row| (row.key.timestamp.0, row.key.position.0))
            .collect();
        let wanted: Vec<_> = expected.iter().skip(100).take(500).copied().collect();
        assert_eq!(found, wanted, "{}", case.expr);
    }
}
