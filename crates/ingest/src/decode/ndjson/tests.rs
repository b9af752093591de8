use super::*;
use proptest::prelude::*;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use taffrail_model::{column::ColumnSet, field, limits::COLUMNS_PER_BATCH_MAX};

type Row = BTreeMap<String, (Kind, String)>;

fn row(columns: &ColumnSet, row: u32) -> Row {
    let value = |(name, column): (
        &taffrail_model::column::FieldName,
        &taffrail_model::column::Column,
    )| {
        let value = column.get(row)?;
        Some((name.to_string(), (value.kind, value.text.to_string())))
    };
    columns.iter().filter_map(value).collect()
}

fn rows(batch: &RawBatch) -> Vec<Row> {
    assert_eq!(batch.columns.rows() as usize, batch.indexes.len());
    (0..batch.columns.rows())
        .map(|n| row(&batch.columns, n))
        .collect()
}

fn shown(row: &Row) -> String {
    let parts: Vec<String> = row
        .iter()
        .map(|(name, (kind, text))| format!("{name}={kind:?}:{text}"))
        .collect();
    parts.join(" ")
}

/// One record decodes to these fields.
#[track_caller]
fn check(json: &str, expected: &str) {
    let batch = decode(json.as_bytes()).unwrap();
    assert_eq!(batch.rejects, [], "{json}");
    let rows = rows(&batch);
    assert_eq!(rows.len(), 1, "{json}");
    assert_eq!(shown(&rows[0]), expected, "{json}");
}

/// One record is rejected with this kind and a detail that begins and ends so.
#[track_caller]
fn check_reject(json: &[u8], kind: RejectKind, offset: &str) {
    let batch = decode(json).unwrap();
    let shown = String::from_utf8_lossy(&json[..json.len().min(80)]).into_owned();
    assert_eq!(batch.columns.rows(), 0, "{shown}");
    assert!(batch.columns.iter().all(|(_, column)| column.is_empty()));
    assert_eq!(batch.rejects.len(), 1, "{shown}: {:?}", batch.rejects);
    assert_eq!(batch.rejects[0].kind, kind, "{shown}: {:?}", batch.rejects);
    assert!(
        batch.rejects[0].detail.contains(offset),
        "{shown}: {:?}",
        batch.rejects
    );
}

#[test]
fn values_keep_their_text_and_kind() {
    check(
        r#"{"a":"x","b":200,"c":200.0,"d":-0,"e":1e9,"f":true,"g":false,"h":null}"#,
        "a=String:x b=Integer:200 c=Float:200.0 d=Integer:-0 e=Float:1e9 f=Bool:true g=Bool:false",
    );
    check(
        r#"{"n":123456789012345678901234567890,"m":1E-400}"#,
        "m=Float:1E-400 n=Integer:123456789012345678901234567890",
    );
    check(
        r#"{"a":[1, "x y" , {"k" : [ ] } ,null],"b":{},"c":{ }}"#,
        r#"a=Json:[1,"x y",{"k":[]},null] b=Json:{} c=Json:{}"#,
    );
    check(r#"{"a":[],"é":"ü"}"#, "a=Json:[] é=String:ü");
    check("{}", "");
    check(r#"{"":1}"#, "=Integer:1");
}

#[test]
fn escapes_are_decoded() {
    check(
        r#"{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00!"}"#,
        "a=String:\"\\/\u{8}\u{c}\n\r\té😀!",
    );
    check(
        r#"{"\u0061":1,"a\"b":2,"a\\n":3}"#,
        "a=Integer:1 a\"b=Integer:2 a\\n=Integer:3",
    );
    check(r#"{"a":["\ud83d\ude00"]}"#, r#"a=Json:["\ud83d\ude00"]"#);
}

#[test]
fn a_guessed_name_is_compared_as_text_not_as_json() {
    // The second name of the second record looks like the escaped first one.
    let batch = decode(b"{\"a\\\\n\":1}\n{\"a\\n\":2}\n{\"a\\\"b\":3}\n{\"a\":4}\n").unwrap();
    let rows: Vec<String> = rows(&batch).iter().map(shown).collect();
    assert_eq!(
        rows,
        [
            "a\\n=Integer:1",
            "a\n=Integer:2",
            "a\"b=Integer:3",
            "a=Integer:4"
        ]
    );
}

#[test]
fn nested_names_are_flattened_and_merge_with_dotted_ones() {
    check(
        r#"{"a":{"b":{"c":1},"d":null},"e":{"f":null}}"#,
        "a.b.c=Integer:1",
    );
    check(r#"{"a.b":1,"a":{"c":2}}"#, "a.b=Integer:1 a.c=Integer:2");
    check(r#"{"a.b":1,"a":{"b":2}}"#, "a.b=Integer:2");
    check(r#"{"a":{"b":2},"a.b":1}"#, "a.b=Integer:1");
    check(
        r#"{"a":{"b":2},"a.b":{"c":1}}"#,
        "a.b=Integer:2 a.b.c=Integer:1",
    );
}

#[test]
fn the_last_of_equal_names_wins() {
    check(r#"{"a":1,"a":2}"#, "a=Integer:2");
    check(r#"{"a":1,"a":null}"#, "");
    check(r#"{"a":1,"\u0061":"x"}"#, "a=String:x");
    check(r#"{"a":1,"a":{"b":2}}"#, "a.b=Integer:2");
    check(r#"{"a":{"b":2},"a":1}"#, "a=Integer:1");
    check(r#"{"a":{"b":1,"c":{"d":2}},"a":{"e":3}}"#, "a.e=Integer:3");
    check(r#"{"a":{"b":1},"a":{}}"#, "a=Json:{}");
    check(r#"{"a":{},"a":{"b":1}}"#, "a.b=Integer:1");
    check(
        r#"{"a":{"b":1,"b":2},"x":1,"a":{"b":3,"b":null}}"#,
        "x=Integer:1",
    );
    // What another name wrote stays.
    check(
        r#"{"a.b":1,"a":{"c":2},"a":{"d":3}}"#,
        "a.b=Integer:1 a.d=Integer:3",
    );
    check(
        r#"{"a":{"b":1},"a.b":2,"a":{"d":3}}"#,
        "a.b=Integer:2 a.d=Integer:3",
    );
}

#[test]
fn the_form_is_recognised_by_looking() {
    let count = |body: &str| {
        let batch = decode(body.as_bytes()).unwrap();
        (batch.columns.rows(), batch.rejects.len())
    };
    assert_eq!(count(""), (0, 0));
    assert_eq!(count(" \r\n\t"), (0, 0));
    assert_eq!(count("\u{feff}"), (0, 0));
    assert_eq!(count("{\"a\":1}"), (1, 0));
    assert_eq!(count("{\"a\":1}\n{\"a\":2}"), (2, 0));
    assert_eq!(count("\u{feff}{\"a\":1}\r\n\r\n{\"a\":2}\r\n"), (2, 0));
    assert_eq!(count("\u{feff} [ {\"a\":1} , {\"a\":2}\r\n]\n"), (2, 0));
    assert_eq!(count("[]"), (0, 0));
    assert_eq!(
        count("{\n  \"a\": 1,\n  \"b\": {\n    \"c\": [\n      2\n    ]\n  }\n}\n"),
        (1, 0)
    );
    assert_eq!(count("\n\n{\n}"), (1, 0));
    // The first line is faulty, the others are records of their own.
    assert_eq!(count("{\"a\":\n{\"b\":1}\n{\"c\":1}"), (2, 1));
    assert_eq!(count("{\"a\":1\n{\"b\":1}"), (1, 1));
    assert_eq!(count("1\n\"x\"\n{\"b\":1}"), (1, 2));
    // A whole object over lines is one record for the limits too.
    assert_eq!(
        count(&format!(
            "{{\n\"a\":{}1{}\n}}",
            "[".repeat(40),
            "]".repeat(40)
        )),
        (0, 1)
    );
}

#[test]
fn a_faulty_line_rejects_that_record_only() {
    let body = b"{\"a\":1,\"x\":\"l\xff\"}\n\n{\"a\":2,\"b\":[1,}\n{\"a\":3}\r\n{\"a\":4} {\"a\":5}\n{\"a\":6";
    let batch = decode(body).unwrap();
    assert_eq!(batch.indexes, [2]);
    assert_eq!(
        rows(&batch).iter().map(shown).collect::<Vec<_>>(),
        ["a=Integer:3"]
    );
    let rejects: Vec<_> = batch.rejects.iter().map(|r| (r.index, r.kind)).collect();
    assert_eq!(
        rejects,
        [0, 1, 3, 4].map(|index| (index, RejectKind::InvalidJson))
    );
    assert!(
        batch.rejects[0].detail.contains("byte 13 "),
        "{:?}",
        batch.rejects[0]
    );
}

#[test]
fn faults_name_their_byte_and_what_would_be_right() {
    use RejectKind::{InvalidJson, NotAnObject};
    for (json, offset) in [
        (
            "{",
            "byte 1 of the record: a field name in double quotes is expected",
        ),
        ("{a:1}", "byte 1 of"),
        ("{\"a\"}", "byte 4 of the record: `:` is expected"),
        ("{\"a\":}", "byte 5 of the record: a value is expected"),
        ("{\"a\":1,}", "byte 7 of"),
        ("{\"a\":1 \"b\":2}", "byte 7 of the record: `,` or `}`"),
        (
            "{\"a\":01}",
            "byte 6 of the record: a number must not begin with 0",
        ),
        ("{\"a\":-}", "byte 6 of"),
        ("{\"a\":+1}", "byte 5 of"),
        ("{\"a\":.5}", "byte 5 of"),
        (
            "{\"a\":1.}",
            "byte 7 of the record: a digit is expected after the decimal",
        ),
        (
            "{\"a\":1e}",
            "byte 7 of the record: a digit is expected in the exponent",
        ),
        ("{\"a\":0x1}", "byte 6 of"),
        ("{\"a\":NaN}", "byte 5 of"),
        ("{\"a\":Infinity}", "byte 5 of"),
        ("{\"a\":nul}", "byte 5 of"),
        ("{\"a\":truefalse}", "byte 9 of"),
        ("{'a':1}", "byte 1 of"),
        (
            "{\"a\":\"x\ty\"}",
            "byte 7 of the record: a control character",
        ),
        (
            "{\"a\":\"\\x\"}",
            "byte 6 of the record: an escape is one of",
        ),
        (
            "{\"a\":\"\\u12g4\"}",
            "byte 6 of the record: \\u must be followed",
        ),
        (
            "{\"a\":\"\\ud800\"}",
            "byte 6 of the record: an escape of a surrogate",
        ),
        ("{\"a\":\"\\udc00\\ud800\"}", "byte 6 of"),
        ("{\"a\":\"\\ud800\\u0041\"}", "byte 6 of"),
        ("{\"\\ud800\":1}", "byte 2 of"),
        ("{\"a\":[\"\\ud800\"]}", "byte 7 of"),
        ("{\"a\":[1,]}", "byte 8 of"),
        ("{\"a\":[1 2]}", "byte 8 of the record: `,` or `]`"),
        ("{\"a\":[{\"b\" 1}]}", "byte 11 of"),
        ("{\"a\":[}", "byte 6 of"),
        (
            "{\"a\":\"x",
            "byte 7 of the record: the string is not closed",
        ),
        ("{\"a\":1}}", "byte 7 of the record: nothing may follow"),
        (
            "{\"a\":1}{}",
            "byte 7 of the record: a record must stand on a line",
        ),
        ("{\"a\":1}//", "byte 7 of"),
        ("garbage", "byte 0 of"),
        ("\u{b}{}", "byte 0 of"),
    ] {
        check_reject(json.as_bytes(), InvalidJson, offset);
    }
    check_reject(
        b"{\"a\":\"\xc3\"}",
        InvalidJson,
        "byte 6 of the record is not UTF-8",
    );
    for json in ["1", "\"x\"", "null", "true"] {
        check_reject(json.as_bytes(), NotAnObject, "must be a JSON object");
    }
}

#[test]
fn a_broken_array_is_refused_whole() {
    for (body, offset, index) in [
        ("[", 1, 0),
        ("[{}", 3, 1),
        ("[{} {}]", 4, 1),
        ("[{},]", 4, 1),
        ("[{\"a\":1},{\"a\":01}]", 15, 1),
        ("[{}] x", 5, 1),
        ("[{}]\n{}", 5, 1),
        ("[{\"a\":\"\u{1}\"}]", 7, 0),
        ("[,{}]", 1, 0),
    ] {
        match decode(body.as_bytes()) {
            Err(DecodeError::BrokenArray {
                offset: o,
                index: i,
                ..
            }) => {
                assert_eq!((o, i), (offset, index), "{body}");
            }
            other => panic!("{body}: {other:?}"),
        }
    }
    let not_utf8 = b"[{\"a\":\"\xff\"},{\"a\":01}]";
    assert!(matches!(
        decode(not_utf8),
        Err(DecodeError::BrokenArray { index: 1, .. })
    ));
}

#[test]
fn faults_that_leave_the_array_well_formed_reject_their_record() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(32), "]".repeat(32));
    let long = format!("{{\"{}\":1}}", "k".repeat(257));
    let large = format!(
        "{{\"a\":1,\"b\":\"{}\",\"c\":2}}",
        "x".repeat(RECORD_BYTES_MAX)
    );
    let body = format!("[{{\"a\":1}},{deep},{long},{large},7,{{\"a\":\"\\udfff\"}},{{\"a\":2}}]");
    let batch = decode(body.as_bytes()).unwrap();
    assert_eq!(batch.indexes, [0, 6]);
    let kinds: Vec<_> = batch.rejects.iter().map(|r| (r.index, r.kind)).collect();
    use RejectKind::*;
    assert_eq!(
        kinds,
        [
            (1, TooDeep),
            (2, FieldNameTooLong),
            (3, RecordTooLarge),
            (4, NotAnObject),
            (5, InvalidJson)
        ]
    );
    let batch = decode(b"[{\"a\":1},{\"a\":\"\xff\"},{\"a\":\"\xc3\xa9\"}]").unwrap();
    assert_eq!(batch.indexes, [0, 2]);
    assert_eq!(
        rows(&batch).iter().map(shown).collect::<Vec<_>>(),
        ["a=Integer:1", "a=String:é"]
    );
}

#[test]
fn limits_hold_exactly() {
    use RejectKind::{FieldNameTooLong, RecordTooLarge, TooDeep};
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let arrays = |depth: usize| {
        format!(
            "{{\"a\":{}{}}}",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    let objects_in_array = |depth: usize| {
        format!(
            "{{\"a\":[{}1{}]}}",
            "{\"a\":".repeat(depth - 2),
            "}".repeat(depth - 2)
        )
    };
    for form in [
        &objects as &dyn Fn(usize) -> String,
        &arrays,
        &objects_in_array,
    ] {
        assert_eq!(decode(form(32).as_bytes()).unwrap().rejects, []);
        check_reject(form(33).as_bytes(), TooDeep, "deeper than 32 levels");
    }
    let empty_at = |depth: usize| {
        format!(
            "{}{{}}{}",
            "{\"a\":".repeat(depth - 1),
            "}".repeat(depth - 1)
        )
    };
    assert_eq!(decode(empty_at(32).as_bytes()).unwrap().rejects, []);
    check_reject(empty_at(33).as_bytes(), TooDeep, "");

    let name = |bytes: usize| format!("{{\"{}\":1}}", "k".repeat(bytes));
    let nested = |bytes: usize| format!("{{\"ab\":{{\"{}\":1}}}}", "k".repeat(bytes - 3));
    assert_eq!(decode(name(256).as_bytes()).unwrap().rejects, []);
    check_reject(
        name(257).as_bytes(),
        FieldNameTooLong,
        "byte 1 has more than 256 bytes",
    );
    assert_eq!(decode(nested(256).as_bytes()).unwrap().rejects, []);
    check_reject(nested(257).as_bytes(), FieldNameTooLong, "byte 7 has");
    check_reject(
        format!("{{\"{}\":{{\"\":1}}}}", "k".repeat(256)).as_bytes(),
        FieldNameTooLong,
        "",
    );

    let record = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
    let largest = record(RECORD_BYTES_MAX);
    assert_eq!(largest.len(), RECORD_BYTES_MAX);
    assert_eq!(
        decode(format!(" {largest} \r\n").as_bytes())
            .unwrap()
            .rejects,
        []
    );
    assert_eq!(
        decode(format!("[ {largest} ]").as_bytes()).unwrap().rejects,
        []
    );
    let larger = record(RECORD_BYTES_MAX + 1);
    check_reject(larger.as_bytes(), RecordTooLarge, "has 1048577 bytes");
    check_reject(
        format!("[ {larger} ]").as_bytes(),
        RecordTooLarge,
        "has 1048577 bytes",
    );

    let mut body = vec![b' '; BATCH_BYTES_MAX];
    assert!(decode(&body).is_ok());
    body.push(b' ');
    assert_eq!(
        decode(&body),
        Err(DecodeError::TooLarge {
            bytes: BATCH_BYTES_MAX + 1
        })
    );

    let rejects = |count: usize| decode("x\n".repeat(count).as_bytes());
    assert_eq!(
        rejects(REJECTS_PER_BATCH_MAX).unwrap().rejects.len(),
        REJECTS_PER_BATCH_MAX
    );
    assert!(matches!(rejects(REJECTS_PER_BATCH_MAX + 1),
        Err(DecodeError::TooManyRejects { first }) if first.index == 0));
}

#[test]
fn names_past_the_limit_of_columns_go_to_one_object() {
    let mut body = String::new();
    // More names than are remembered, in records of 100 each; `message` first comes past the limit.
    let records = COLUMNS_PER_BATCH_MAX * 5 / 100;
    for record in 0..records {
        let members: Vec<String> = (0..100)
            .map(|n| format!("\"n{record}\":{{\"f{n}\":\"{n}\\n\"}},\"d{record}.{n}\":{n}"))
            .collect();
        body.push_str(&format!(
            "{{{},\"message\":\"m{record}\"}}\n",
            members.join(",")
        ));
    }
    body.push_str("{\"new\":1,\"new\":[2],\"gone\":1,\"gone\":null,\"_overflow\":\"mine\",\"n0\":{\"f99\":5}}\n");
    body.push_str("{\"faulty\":1,\"x\":}\n{\"message\":\"last\"}\n");
    let batch = decode(body.as_bytes()).unwrap();
    assert!(
        batch.columns.len() <= COLUMNS_PER_BATCH_MAX + 2,
        "{}",
        batch.columns.len()
    );
    assert_eq!(batch.rejects.len(), 1);
    let last = records as u32;
    let all = row(&batch.columns, last);
    assert_eq!(
        shown(&all),
        r#"_overflow=Json:{"_overflow":"mine","new":[2]} n0.f99=Integer:5"#
    );
    assert_eq!(shown(&row(&batch.columns, last + 1)), "message=String:last");
    for record in 0..last {
        let row = row(&batch.columns, record);
        assert_eq!(row["message"].1, format!("m{record}"));
        let beyond: BTreeMap<String, serde_json::Value> = row
            .get(field::OVERFLOW)
            .map_or_else(BTreeMap::new, |(_, text)| {
                serde_json::from_str(text).unwrap()
            });
        let text = |name: String| match row.get(&name) {
            Some((_, text)) => text.clone(),
            None => match &beyond[&name] {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            },
        };
        // The object under a repeated name is the last one.
        assert_eq!(text(format!("n{record}.f99")), "99\n");
        for n in 0..100 {
            assert_eq!(text(format!("d{record}.{n}")), n.to_string());
        }
    }
}

/// What a record must decode to, by reading it with `serde_json` member by member: a list of
/// what each place wrote, from which a repeated name takes back what it wrote before.
fn expected(json: &str) -> Option<Row> {
    struct Written {
        place: Vec<String>,
        name: String,
        value: (Kind, String),
    }
    /// The members in order, repeated names included.
    struct Members(Vec<(String, Box<RawValue>)>);
    impl<'de> serde::Deserialize<'de> for Members {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Members, D::Error> {
            struct Visit;
            impl<'de> serde::de::Visitor<'de> for Visit {
                type Value = Members;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<Members, A::Error> {
                    let mut members = Vec::new();
                    while let Some(member) = map.next_entry()? {
                        members.push(member);
                    }
                    Ok(Members(members))
                }
            }
            from.deserialize_map(Visit)
        }
    }
    /// Compact text, each scalar as it came.
    fn compact(json: &str) -> Option<String> {
        match json.as_bytes()[0] {
            b'[' => {
                let items: Vec<Box<RawValue>> = serde_json::from_str(json).ok()?;
                let items: Option<Vec<String>> = items.iter().map(|i| compact(i.get())).collect();
                Some(format!("[{}]", items?.join(",")))
            }
            b'{' => {
                // Names keep their escapes: cut them out of the text before each value.
                let members: Members = serde_json::from_str(json).ok()?;
                let mut rest = json;
                let mut out = Vec::new();
                for (_, value) in &members.0 {
                    let start = rest.find('"')?;
                    let mut end = start + 1;
                    while rest.as_bytes()[end] != b'"' {
                        end += if rest.as_bytes()[end] == b'\\' { 2 } else { 1 };
                    }
                    let name = &rest[start..=end];
                    rest = &rest[end + 1..];
                    let at = rest.find(value.get())?;
                    rest = &rest[at + value.get().len()..];
                    out.push(format!("{name}:{}", compact(value.get())?));
                }
                Some(format!("{{{}}}", out.join(",")))
            }
            b'"' => serde_json::from_str::<String>(json)
                .ok()
                .map(|_| json.to_string()),
            _ => Some(json.to_string()),
        }
    }
    fn walk(json: &str, place: &[String], out: &mut Vec<Written>) -> Option<()> {
        let members: Members = serde_json::from_str(json).ok()?;
        for (name, value) in members.0 {
            let text = value.get();
            let here: Vec<String> = place.iter().cloned().chain([name]).collect();
            out.retain(|written| !written.place.starts_with(&here));
            let value = match text.as_bytes()[0] {
                b'"' => (Kind::String, serde_json::from_str(text).ok()?),
                b'{' if serde_json::from_str::<Members>(text).ok()?.0.is_empty() => {
                    (Kind::Json, "{}".to_string())
                }
                b'{' => {
                    walk(text, &here, out)?;
                    continue;
                }
                b'[' => (Kind::Json, compact(text)?),
                b't' | b'f' => (Kind::Bool, text.to_string()),
                b'n' => continue,
                _ if text.contains(['.', 'e', 'E']) => (Kind::Float, text.to_string()),
                _ => (Kind::Integer, text.to_string()),
            };
            let name = here.join(".");
            out.retain(|written| written.name != name);
            out.push(Written {
                place: here,
                name,
                value,
            });
        }
        Some(())
    }
    let mut out = Vec::new();
    walk(json, &[], &mut out)?;
    Some(
        out.into_iter()
            .map(|written| (written.name, written.value))
            .collect(),
    )
}

fn blanks() -> impl Strategy<Value = String> {
    prop_oneof![6 => Just(String::new()), 1 => "[ \t\r]{1,3}"]
}

fn json_string() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-c]{0,2}".prop_map(|text| format!("\"{text}\"")),
        3 => any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        1 => "(\\\\[\"\\\\/bfnrt]|\\\\u00[0-9a-fA-F]{2}|\\\\ud83d\\\\ude0[0-9]|\\\\ud8[0-9]{2}|x){0,4}"
            .prop_map(|text| format!("\"{text}\"")),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[ab](\\.[ab])?".prop_map(|text| format!("\"{text}\"")),
        1 => Just("\"\\u0061\"".to_string()),
        1 => json_string(),
    ]
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        json_string(),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        "[0-9+.eE-]{1,4}",
        Just("true".to_string()),
        Just("false".to_string()),
        Just("null".to_string()),
    ]
}

fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            2 => members(inner.clone()),
            1 => proptest::collection::vec((blanks(), inner, blanks()), 0..4).prop_map(|items| {
                let items: Vec<_> = items.iter().map(|(a, b, c)| format!("{a}{b}{c}")).collect();
                format!("[{}]", items.join(","))
            }),
        ]
    })
}

fn members(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    proptest::collection::vec((blanks(), name(), blanks(), value, blanks()), 0..5).prop_map(|all| {
        let all: Vec<_> = all
            .iter()
            .map(|(a, n, b, v, c)| format!("{a}{n}{b}:{b}{v}{c}"))
            .collect();
        format!("{{{}}}", all.join(","))
    })
}

/// Lines that are no record.
const NO_RECORDS: &[&[u8]] = &[
    b"[1]",
    b"[{\"a\":1},",
    b"{",
    b"}",
    b" ",
    b"1",
    b"{\"a\":\"\xff\"}",
    b"\xef\xbb\xbf{}",
];

/// A line of a body: a record, or what is none.
fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => members(value()).prop_map(String::into_bytes),
        1 => prop::sample::select(NO_RECORDS)
        .prop_map(<[u8]>::to_vec),
    ]
}

/// A record of so many bytes with its line end.
fn record_of(bytes: usize) -> String {
    let empty = "{\"a\":\"\"}\n".len();
    format!("{{\"a\":\"{}\"}}\n", "x".repeat(bytes - empty))
}

/// Gives a body to a cutter in parts of `step` bytes: its pieces, and what is left.
fn cut(body: &[u8], step: usize) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut cutter = Cutter::default();
    let pieces = body.chunks(step).filter_map(|part| cutter.take(part));
    (pieces.collect(), cutter.into_rest())
}

#[test]
fn only_lines_are_cut() {
    let record = record_of(1 << 10);
    let lines = record.repeat(2 << 10);
    for (body, pieces) in [
        (lines.clone(), 2),
        (record.repeat(1 << 10), 1),
        (record.repeat((1 << 10) - 1), 0),
        (String::new(), 0),
        // A line that is longer than pieces are.
        (format!("{record}{}{record}", record_of(3 << 20)), 1),
        // Of other forms, or not to be told from them by the first line.
        (format!("[{}]", lines.replace("}\n", "},\n")), 0),
        (format!("{{\n\"a\":1\n}}\n{lines}"), 0),
        (format!("{{broken\n{lines}"), 0),
        (format!("1\n{lines}"), 0),
        ("\n".repeat(2 << 20), 0),
    ] {
        let (cut, rest) = cut(body.as_bytes(), 4 << 10);
        assert_eq!(cut.len(), pieces, "{}", &body[..body.len().min(40)]);
        assert_eq!([cut.concat(), rest].concat(), body.as_bytes());
    }
}

#[test]
fn a_long_body_has_few_pieces() {
    let body = record_of(1 << 10).repeat(BATCH_BYTES_MAX >> 10);
    let (cut, _) = cut(body.as_bytes(), 64 << 10);
    assert!(cut.len() < 25, "{}", cut.len());
    assert!(cut.iter().all(|piece| piece.len() >= PIECE_BYTES_MIN));
    let largest = cut.iter().map(Vec::len).max();
    assert!(largest.unwrap() <= BATCH_BYTES_MAX / 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn agrees_with_serde_json(records in proptest::collection::vec(members(value()), 1..6)) {
        let batch = decode(records.join("\n").as_bytes()).unwrap();
        let expected: Vec<Option<Row>> = records.iter().map(|record| expected(record)).collect();
        let accepted: Vec<u32> = (0u32..).zip(&expected).filter(|(_, row)| row.is_some()).map(|(n, _)| n).collect();
        prop_assert_eq!(&batch.indexes, &accepted);
        prop_assert_eq!(rows(&batch), expected.iter().flatten().cloned().collect::<Vec<_>>());
        // An array of those that are accepted gives the same rows.
        let good: Vec<&str> = accepted.iter().map(|n| records[*n as usize].as_str()).collect();
        let array = decode(format!("[{}]", good.join(" ,\n")).as_bytes()).unwrap();
        prop_assert_eq!(&array.columns, &batch.columns);
    }

    /// Pieces of a body, decoded one by one, are the body.
    #[test]
    fn pieces_give_what_the_whole_gives(
        lines in proptest::collection::vec(line(), 0..12),
        ends in prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n")],
        has_mark in any::<bool>(),
        step in 1usize..300,
        piece_bytes_min in 1usize..300,
    ) {
        let mark: &[u8] = if has_mark { BYTE_ORDER_MARK } else { b"" };
        let body = [mark, &lines.join(ends.as_bytes())].concat();
        let mut cutter = Cutter::new(piece_bytes_min);
        let pieces = body.chunks(step).filter_map(|part| cutter.take(part));
        let mut pieces: Vec<_> = pieces.collect();
        let rest = cutter.into_rest();
        if pieces.is_empty() {
            prop_assert_eq!(rest, body);
            return Ok(());
        }
        pieces.push(rest);
        prop_assert_eq!(pieces.concat(), body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&body));
        let whole = decode(&body).unwrap();
        let (mut found, mut indexes, mut rejects, mut first) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for piece in pieces {
            let batch = decode_lines(&piece).unwrap();
            found.extend(rows(&batch));
            indexes.extend(batch.indexes.iter().map(|index| index + first));
            let records = batch.indexes.len() + batch.rejects.len();
            rejects.extend(batch.rejects.into_iter().map(|reject| Reject {
                index: reject.index + first,
                ..reject
            }));
            first += records as u32;
        }
        prop_assert_eq!(found, rows(&whole));
        prop_assert_eq!(indexes, whole.indexes);
        prop_assert_eq!(rejects, whole.rejects);
    }

    #[test]
    fn flips_and_truncations_are_judged_as_serde_json_does(
        record in members(value()), at in any::<prop::sample::Index>(), flip in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut bytes = record.into_bytes();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= flip;
        }
        let whole = std::str::from_utf8(&bytes).ok().filter(|text| !text.contains('\n'));
        match (decode(&bytes), whole) {
            (Ok(batch), Some(text)) if text.trim_start().starts_with('{') => {
                let row = expected(text);
                prop_assert_eq!(batch.indexes.len(), usize::from(row.is_some()));
                prop_assert_eq!(rows(&batch), row.into_iter().collect::<Vec<_>>());
            }
            _ => {}
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(
        prop_oneof![Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b':'), Just(b','), Just(b'\\'), Just(b'\n'), Just(b'u'), Just(b'1'), any::<u8>()], 0..60)) {
        let _ = decode(&bytes);
    }
}

#[test]
fn a_batch_has_at_most_so_many_records() {
    let mut body = "{}\n".repeat(RECORDS_PER_BATCH_MAX);
    assert_eq!(
        decode(body.as_bytes()).map(|batch| batch.indexes.len()),
        Ok(RECORDS_PER_BATCH_MAX)
    );
    body.push_str("{}");
    assert_eq!(decode(body.as_bytes()), Err(DecodeError::TooManyRecords));
}
