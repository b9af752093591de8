//! Records from a seed: the same ones as NDJSON text, as a decoded batch, and as plain lists of
//! (name, JSON text) that an oracle compares with what is read back.
//!
//! Names are canonical, levels are known words and no value looks like a secret, so the pipeline
//! leaves every generated field as it is; it may add fields of its own.
use crate::random::Random;
use taffrail_model::{
    batch::RawBatch,
    column::{ColumnSet, Kind, Value},
    tenant::TenantNumber,
    time::{Day, NS_PER_DAY, Timestamp},
};

/// Field with a number that no other generated record has.
pub const SERIAL: &str = "harness.serial";

/// A record as a person would write it down: nothing but text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlainRecord {
    /// ns since 1970.
    pub timestamp_ns: i64,
    /// (flattened name, JSON text of the value), by name; `timestamp` is not among them.
    pub fields: Vec<(String, String)>,
}

impl PlainRecord {
    /// The JSON text of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, text)| text.as_str())
    }

    /// The number of the record.
    #[must_use]
    pub fn serial(&self) -> Option<u64> {
        self.get(SERIAL)?.parse().ok()
    }

    /// Whether every field of `self` is in `other` with the same text, at the same time.
    #[must_use]
    pub fn is_within(&self, other: &PlainRecord) -> bool {
        self.timestamp_ns == other.timestamp_ns
            && self
                .fields
                .iter()
                .all(|(name, text)| other.get(name) == Some(text))
    }

    /// The rows of columns, field by field.
    ///
    /// # Panics
    /// If there are not as many timestamps as rows.
    #[must_use]
    pub fn from_columns(timestamps: &[i64], columns: &ColumnSet) -> Vec<PlainRecord> {
        assert_eq!(timestamps.len(), columns.rows() as usize);
        let mut records: Vec<PlainRecord> = timestamps
            .iter()
            .map(|timestamp_ns| PlainRecord {
                timestamp_ns: *timestamp_ns,
                fields: Vec::new(),
            })
            .collect();
        for (name, column) in columns.iter() {
            for (row, value) in column.iter() {
                records[row as usize]
                    .fields
                    .push((name.to_string(), json_text(value)));
            }
        }
        for record in &mut records {
            record.fields.sort();
        }
        records
    }
}

/// JSON text of a stored value.
#[must_use]
pub fn json_text(value: Value<'_>) -> String {
    match value.kind {
        Kind::String => quoted(value.text),
        _ => value.text.to_owned(),
    }
}

/// JSON string of a text.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The records of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedRequest {
    /// Whose.
    pub tenant: TenantNumber,
    /// Name of the stream.
    pub stream: &'static str,
    /// The records, in order.
    pub records: Vec<PlainRecord>,
}

impl GeneratedRequest {
    /// One JSON object a line. Some dotted names are nested objects.
    #[must_use]
    pub fn ndjson(&self) -> String {
        let mut out = String::new();
        for record in &self.records {
            out.push_str(&object(record));
            out.push('\n');
        }
        out
    }

    /// What a decoder makes of the request: columns under the sender's names.
    #[must_use]
    pub fn raw_batch(&self) -> RawBatch {
        let mut columns = ColumnSet::default();
        for (row, record) in (0..).zip(&self.records) {
            let time = Timestamp(record.timestamp_ns).to_rfc3339();
            columns
                .get_or_create("timestamp")
                .push(row, Kind::String, &time);
            for (name, text) in &record.fields {
                let (kind, text) = kind_of(text);
                columns.get_or_create(name).push(row, kind, &text);
            }
        }
        let rows = self.records.len() as u32;
        columns.set_rows(rows);
        RawBatch {
            columns,
            indexes: (0..rows).collect(),
            rejects: Vec::new(),
            is_lines: false,
        }
    }
}

fn object(record: &PlainRecord) -> String {
    let mut out = format!(
        "{{\"timestamp\":{}",
        quoted(&Timestamp(record.timestamp_ns).to_rfc3339())
    );
    let (nested, flat): (Vec<_>, Vec<_>) = record
        .fields
        .iter()
        .partition(|(name, _)| name.starts_with("metadata."));
    for (name, text) in flat {
        out.push_str(&format!(",{}:{text}", quoted(name)));
    }
    if !nested.is_empty() {
        let inner: Vec<String> = nested
            .iter()
            .map(|(name, text)| format!("{}:{text}", quoted(&name["metadata.".len()..])))
            .collect();
        out.push_str(&format!(",\"metadata\":{{{}}}", inner.join(",")));
    }
    out.push('}');
    out
}

/// Kind and text of a value that this module has written.
fn kind_of(json: &str) -> (Kind, String) {
    match json.as_bytes().first() {
        Some(b'"') => (Kind::String, unquoted(json)),
        Some(b't' | b'f') => (Kind::Bool, json.to_owned()),
        Some(b'[' | b'{') => (Kind::Json, json.to_owned()),
        _ if json.contains(['.', 'e', 'E']) => (Kind::Float, json.to_owned()),
        _ => (Kind::Integer, json.to_owned()),
    }
}

/// Reads what [`quoted`] writes.
fn unquoted(json: &str) -> String {
    let mut out = String::new();
    let mut chars = json[1..json.len() - 1].chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('u') => {
                let code: String = chars.by_ref().take(4).collect();
                out.extend(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32));
            }
            Some(escaped) => out.push(escaped),
            None => {}
        }
    }
    out
}

/// Makes requests from a seed.
#[derive(Clone, Debug)]
pub struct RecordGenerator {
    random: Random,
    serial_next: u64,
    today: Day,
    days: u16,
}

/// The tenants of generated requests.
pub const TENANTS: [TenantNumber; 3] = [TenantNumber(1), TenantNumber(2), TenantNumber(70_001)];
/// The streams of generated requests; none is strict, all keep at least 30 days.
pub const STREAMS: [&str; 4] = ["app.backend", "app.frontend", "runtime", "framework"];

impl RecordGenerator {
    /// Records of `days` days, the last being `today`. Generators of different seeds (below
    /// 2^16) give different serials, a million each: short enough not to look like a card.
    #[must_use]
    pub fn new(seed: u64, today: Day, days: u16) -> RecordGenerator {
        RecordGenerator {
            random: Random::from_seeds(&[seed]),
            serial_next: (seed & 0xffff) << 20 | 1,
            today,
            days: days.max(1),
        }
    }

    /// A request of a random tenant to a random stream.
    pub fn request(&mut self, records: usize) -> GeneratedRequest {
        let tenant = self.random.pick(&TENANTS);
        let stream = self.random.pick(&STREAMS);
        self.request_of(tenant, stream, records)
    }

    /// A request.
    pub fn request_of(
        &mut self,
        tenant: TenantNumber,
        stream: &'static str,
        records: usize,
    ) -> GeneratedRequest {
        GeneratedRequest {
            tenant,
            stream,
            records: (0..records).map(|_| self.record()).collect(),
        }
    }

    /// A record of one of the days, at a time before noon.
    pub fn record(&mut self) -> PlainRecord {
        let back = self.random.below(u64::from(self.days.min(self.today.0))) as u16;
        let into_day = self.random.below(NS_PER_DAY as u64 / 2) as i64;
        // Not every sender has ns.
        let unit = self.random.pick(&[1, 1_000, 1_000_000, 1_000_000_000]);
        self.record_at(Day(self.today.0 - back).start().0 + into_day / unit * unit)
    }

    /// A record of a time.
    pub fn record_at(&mut self, timestamp_ns: i64) -> PlainRecord {
        let serial = self.serial_next;
        self.serial_next += 1;
        let mut fields = vec![
            (SERIAL.to_owned(), serial.to_string()),
            ("level".to_owned(), quoted(self.random.pick(&LEVELS))),
            ("message".to_owned(), quoted(&self.message())),
        ];
        for (name, percent) in SPARSE {
            if self.random.percent(percent) {
                let value = self.value();
                fields.push((name.to_owned(), value));
            }
        }
        fields.sort();
        PlainRecord {
            timestamp_ns,
            fields,
        }
    }

    fn message(&mut self) -> String {
        let words = 1 + self.random.index(12);
        let mut text = String::new();
        for word in 0..words {
            if word > 0 {
                text.push_str(self.random.pick(&[" ", " ", " ", ": ", "\t", "\n", " — "]));
            }
            text.push_str(self.random.pick(&WORDS));
        }
        text
    }

    /// A JSON value of any kind but `null`.
    fn value(&mut self) -> String {
        match self.random.below(9) {
            0 | 1 => quoted(&self.message()),
            2 => quoted(""),
            3 => self.random.below(100_000).to_string(),
            4 => format!("-{}", 1 + self.random.below(9)),
            5 => self
                .random
                .pick(&["1.50", "-0.0", "1e9", "2.5E-3", "200.0"])
                .to_string(),
            6 => self.random.pick(&["true", "false"]).to_string(),
            7 => format!("[{},\"é\",null,{{\"a\":[]}}]", self.random.below(9)),
            _ => "{}".to_owned(),
        }
    }
}

const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "critical"];
/// Optional fields and how many records of 100 have each.
const SPARSE: [(&str, u64); 8] = [
    ("metadata.env", 70),
    ("metadata.région", 30),
    ("labels.tier", 40),
    ("attempt", 50),
    ("payload", 20),
    ("rare", 4),
    ("very rare name", 2),
    ("タグ", 10),
];
const WORDS: [&str; 24] = [
    "connection",
    "refused",
    "GET",
    "/v1/items",
    "took",
    "12ms",
    "worker",
    "retry",
    "naïve",
    "日本語",
    "ไทย",
    "Ωmega",
    "🦀",
    "e\u{301}clair",
    "\"quoted\"",
    "back\\slash",
    "{brace}",
    "a=b",
    "10.0.0.7",
    "nul\u{0}byte",
    "\u{1b}[31mred",
    "\u{202e}rtl",
    "",
    "end.",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn generator() -> RecordGenerator {
        RecordGenerator::new(3, Day(20_457), 3)
    }

    #[test]
    fn a_seed_determines_the_records_and_serials_are_unique() {
        let (mut a, mut b) = (generator(), generator());
        let records: Vec<_> = (0..500).map(|_| a.record()).collect();
        assert!(records.iter().all(|record| *record == b.record()));
        let serials: std::collections::BTreeSet<_> =
            records.iter().filter_map(PlainRecord::serial).collect();
        assert_eq!(serials.len(), 500);
        let days: std::collections::BTreeSet<_> = records
            .iter()
            .filter_map(|record| Timestamp(record.timestamp_ns).day())
            .collect();
        assert_eq!(days, [Day(20_455), Day(20_456), Day(20_457)].into());
    }

    #[test]
    fn every_kind_and_every_sparse_field_occurs() {
        let mut generator = generator();
        let records: Vec<_> = (0..1_000).map(|_| generator.record()).collect();
        for (name, _) in SPARSE {
            let have = records.iter().filter(|r| r.get(name).is_some()).count();
            assert!(have > 0 && have < 1_000, "{name}: {have}");
        }
        let kinds: std::collections::BTreeSet<_> = records
            .iter()
            .flat_map(|record| &record.fields)
            .map(|(_, text)| kind_of(text).0)
            .collect();
        assert_eq!(kinds.len(), 5);
    }

    #[test]
    fn columns_and_plain_records_are_the_same() {
        let mut generator = generator();
        let request = generator.request(200);
        let mut batch = request.raw_batch();
        let times = batch.columns.remove("timestamp").unwrap();
        for (row, value) in times.iter() {
            let record = &request.records[row as usize];
            assert_eq!(
                taffrail_model::time::parse_rfc3339(value.text),
                Some(Timestamp(record.timestamp_ns))
            );
        }
        let timestamps: Vec<i64> = request.records.iter().map(|r| r.timestamp_ns).collect();
        assert_eq!(
            PlainRecord::from_columns(&timestamps, &batch.columns),
            request.records
        );
    }

    #[test]
    fn ndjson_has_a_line_for_each_record() {
        let mut generator = generator();
        let request = generator.request(50);
        let text = request.ndjson();
        assert_eq!(text.lines().count(), 50);
        assert!(text.contains("\"metadata\":{\""));
        assert!(!text.contains("metadata."));
        let record = PlainRecord {
            timestamp_ns: 0,
            fields: vec![
                ("a".into(), "1".into()),
                ("metadata.b".into(), quoted("x\n\u{1}\"")),
            ],
        };
        assert_eq!(
            object(&record),
            r#"{"timestamp":"1970-01-01T00:00:00Z","a":1,"metadata":{"b":"x\n\u0001\""}}"#
        );
    }

    #[test]
    fn inclusion_is_by_name_text_and_time() {
        let mut generator = generator();
        let record = generator.record();
        let mut more = record.clone();
        more.fields.push(("extra".into(), "1".into()));
        assert!(record.is_within(&more) && !more.is_within(&record));
        more.timestamp_ns += 1;
        assert!(!record.is_within(&more));
    }
}
