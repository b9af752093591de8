use super::*;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use taffrail_model::{column::Column, time::parse_rfc3339};

/// What the time of receipt is in all tests.
const RECEIVED: &str = "2026-01-10T12:00:00Z";

fn show(found: &Found<'_>) -> String {
    let mut out = found.time.map_or("-".into(), Timestamp::to_rfc3339);
    for (name, kind, text) in &found.fields {
        let quote = if *kind == Kind::String { "" } else { "#" };
        out.push_str(&format!(" | {name}={quote}{text}"));
    }
    out
}

fn read_line(line: &str, format: Option<&str>, zone: &TimeZone) -> Option<(String, String)> {
    let context = Context {
        received: parse_rfc3339(RECEIVED).unwrap(),
        zone,
    };
    recognise(line, format, &context).map(|(name, found)| (name.to_owned(), show(&found)))
}

/// Format, line, and what it says.
const TABLE: &[(&str, &str, &str)] = &[
    (
        "json",
        r#"{"time":"2026-01-04T15:30:45Z","level":"warn","msg":"a \"b\"","http":{"status":200,"t":1.50,"x":{}},"tags":["a", 1],"ok":true,"no":null}"#,
        r#"- | time=2026-01-04T15:30:45Z | level=warn | msg=a "b" | http.status=#200 | http.t=#1.50 | http.x=#{} | tags=#["a",1] | ok=#true | no=#null"#,
    ),
    (
        "syslog_5424",
        r#"<165>1 2026-01-04T15:30:45.003-07:00 mymachine evntslog 8710 ID47 [ex@32473 iut="3" q="a\"b\\]"][p@1 x="y"] An event"#,
        r#"2026-01-04T22:30:45.003Z | level=info | syslog.facility=#20 | metadata.hostname=mymachine | source=evntslog | metadata.process_id=#8710 | syslog.message_id=ID47 | ex@32473.iut=3 | ex@32473.q=a"b\] | p@1.x=y | message=An event"#,
    ),
    (
        "syslog_5424",
        "<11>1 - - - - - - \u{feff}bare",
        "- | level=error | syslog.facility=#1 | message=bare",
    ),
    (
        "syslog_3164",
        "<34>Jan  4 15:30:45 mymachine su[123]: 'su root' failed",
        "2026-01-04T15:30:45Z | level=critical | syslog.facility=#4 | metadata.hostname=mymachine | source=su | metadata.process_id=#123 | message='su root' failed",
    ),
    (
        "syslog_3164",
        "Dec 31 23:59:59 host CRON[7]: (root) CMD (x)",
        "2025-12-31T23:59:59Z | metadata.hostname=host | source=CRON | metadata.process_id=#7 | message=(root) CMD (x)",
    ),
    (
        "syslog_3164",
        "Jan 11 11:00:00 host kernel: [    1.5] up",
        "2026-01-11T11:00:00Z | metadata.hostname=host | source=kernel | message=[    1.5] up",
    ),
    (
        "syslog_3164",
        "Jan 12 11:00:00 host kernel: more than a day ahead is last year",
        "2025-01-12T11:00:00Z | metadata.hostname=host | source=kernel | message=more than a day ahead is last year",
    ),
    (
        "syslog_3164",
        "Feb 29 00:00:00 host x: leap",
        "2024-02-29T00:00:00Z | metadata.hostname=host | source=x | message=leap",
    ),
    (
        "syslog_3164",
        "<13>2026-01-04T15:30:45+01:00 host app: hi",
        "2026-01-04T14:30:45Z | level=info | syslog.facility=#1 | metadata.hostname=host | source=app | message=hi",
    ),
    (
        "syslog_3164",
        "<12>no time at all",
        "- | level=warn | syslog.facility=#1 | message=no time at all",
    ),
    (
        "spring",
        "2026-01-04 15:30:45.123  INFO 12345 --- [           main] c.a.Application                  : Started in 2 s",
        "2026-01-04T15:30:45.123Z | level=info | metadata.process_id=#12345 | metadata.thread=main | logger=c.a.Application | message=Started in 2 s",
    ),
    (
        "spring_application",
        "2026-01-04T15:30:45.123Z  WARN 7 --- [shop] [nio-8080-exec-1] c.a.Cart : slow",
        "2026-01-04T15:30:45.123Z | level=warn | metadata.process_id=#7 | source=shop | metadata.thread=nio-8080-exec-1 | logger=c.a.Cart | message=slow",
    ),
    (
        "log4j",
        "2015-10-18 18:01:47,978 INFO [main] org.apache.hadoop.mapreduce.v2.app.MRAppMaster: Created MRAppMaster",
        "2015-10-18T18:01:47.978Z | level=info | metadata.thread=main | logger=org.apache.hadoop.mapreduce.v2.app.MRAppMaster | message=Created MRAppMaster",
    ),
    (
        "log4j_dash",
        "2026-01-04 15:30:45,123 ERROR [pool-1-thread-2] com.acme.Foo - broke",
        "2026-01-04T15:30:45.123Z | level=error | metadata.thread=pool-1-thread-2 | logger=com.acme.Foo | message=broke",
    ),
    (
        "logback",
        "2026-01-04 15:30:45.123 [main] DEBUG com.acme.Foo - hello",
        "2026-01-04T15:30:45.123Z | metadata.thread=main | level=debug | logger=com.acme.Foo | message=hello",
    ),
    (
        "logback_colon",
        "2026-01-04 15:30:45.123 [main] INFO  com.acme.Foo: hello",
        "2026-01-04T15:30:45.123Z | metadata.thread=main | level=info | logger=com.acme.Foo | message=hello",
    ),
    (
        "python_dash",
        "2026-01-04 15:30:45,123 - my.module - WARNING - careful",
        "2026-01-04T15:30:45.123Z | logger=my.module | level=warn | message=careful",
    ),
    (
        "zookeeper",
        "2015-07-29 17:41:44,747 - INFO  [QuorumPeer[myid=1]/0:0:0:0:0:0:0:0:2181:FastLeaderElection@774] - Notification time out: 3200",
        "2015-07-29T17:41:44.747Z | level=info | metadata.thread=QuorumPeer[myid=1]/0:0:0:0:0:0:0:0:2181:FastLeaderElection@774 | message=Notification time out: 3200",
    ),
    (
        "level_dash",
        "2026-01-04 15:30:45 - ERROR - it broke",
        "2026-01-04T15:30:45Z | level=error | message=it broke",
    ),
    (
        "nginx_error",
        "2026/01/04 15:30:45 [crit] 1234#5678: *99 connect() failed (111: Connection refused)",
        "2026-01-04T15:30:45Z | level=critical | metadata.process_id=#1234 | metadata.thread=#5678 | message=*99 connect() failed (111: Connection refused)",
    ),
    (
        "level_bracket_logger",
        "2026-01-04 15:30:45,123 [INFO] my.module: hello",
        "2026-01-04T15:30:45.123Z | level=info | logger=my.module | message=hello",
    ),
    (
        "level_bracket_colon",
        "2026-01-04T15:30:45.123Z [warn]: winston",
        "2026-01-04T15:30:45.123Z | level=warn | message=winston",
    ),
    (
        "level_bracket",
        "2026-01-04 15:30:45 [ERROR ] Broke: badly",
        "2026-01-04T15:30:45Z | level=error | message=Broke: badly",
    ),
    (
        "env_logger",
        "[2026-01-04T15:30:45Z INFO  krate::module] hello",
        "2026-01-04T15:30:45Z | level=info | logger=krate::module | message=hello",
    ),
    (
        "monolog",
        "[2026-01-04T15:30:45.123456+00:00] production.ERROR: no table {\"a\":1} []",
        "2026-01-04T15:30:45.123456Z | logger=production | level=error | message=no table {\"a\":1} []",
    ),
    (
        "bracket_level_colon",
        "[2026-01-04 15:30:45] warning: careful",
        "2026-01-04T15:30:45Z | level=warn | message=careful",
    ),
    (
        "bracket_level",
        "[2026-01-04 15:30:45] ERROR it broke",
        "2026-01-04T15:30:45Z | level=error | message=it broke",
    ),
    (
        "bracket",
        "[2026-01-04 15:30:45] GET /x",
        "2026-01-04T15:30:45Z | message=GET /x",
    ),
    (
        "postgresql",
        "2026-01-04 15:30:45.123 UTC [1234] LOG:  database system is ready",
        "2026-01-04T15:30:45.123Z | metadata.process_id=#1234 | level=info | message=database system is ready",
    ),
    (
        "postgresql",
        "2026-01-04 15:30:45.123 CET [1234] DEBUG2:  x",
        "2026-01-04T14:30:45.123Z | metadata.process_id=#1234 | level=debug | message=x",
    ),
    (
        "postgresql_session",
        "2026-01-04 15:30:45.123 UTC [1234] me@shop FATAL:  role \"x\" does not exist",
        "2026-01-04T15:30:45.123Z | metadata.process_id=#1234 | postgresql.session=me@shop | level=critical | message=role \"x\" does not exist",
    ),
    (
        "postgresql_detail",
        "2026-01-04 15:30:45.123 UTC [1234] STATEMENT:  select 1",
        "2026-01-04T15:30:45.123Z | metadata.process_id=#1234 | message=STATEMENT:  select 1",
    ),
    (
        "container",
        "2026-01-04T15:30:45.123456789Z stderr F boom",
        "2026-01-04T15:30:45.123456789Z | metadata.type=stderr | metadata.container_tag=F | message=boom",
    ),
    (
        "rsyslog",
        "2026-01-04T15:30:45.123456+01:00 host systemd[1]: Started x.",
        "2026-01-04T14:30:45.123456Z | metadata.hostname=host | source=systemd | metadata.process_id=#1 | message=Started x.",
    ),
    (
        "dpkg",
        "2025-06-24 14:36:25 status installed libsystemd0:amd64 252.38-1~deb12u1",
        "2025-06-24T14:36:25Z | logger=dpkg | message=status installed libsystemd0:amd64 252.38-1~deb12u1",
    ),
    (
        "go_file",
        "2026/01/04 15:30:45.123456 main.go:23: listening",
        "2026-01-04T15:30:45.123456Z | logger=main.go:23 | message=listening",
    ),
    (
        "level_logger",
        "2026-01-04T15:30:45.123456Z  INFO krate::module: hello a=1",
        "2026-01-04T15:30:45.123456Z | level=info | logger=krate::module | message=hello a=1",
    ),
    (
        "level_logger",
        "17/06/09 20:10:40 INFO executor.CoarseGrainedExecutorBackend: Registered signal handlers",
        "2017-06-09T20:10:40Z | level=info | logger=executor.CoarseGrainedExecutorBackend | message=Registered signal handlers",
    ),
    (
        "level_logger_dash",
        "2026-01-04 15:30:45,123 INFO  com.acme.Foo - hello",
        "2026-01-04T15:30:45.123Z | level=info | logger=com.acme.Foo | message=hello",
    ),
    (
        "logger_level",
        "2026-01-04 15:30:45,123 my.module INFO hello",
        "2026-01-04T15:30:45.123Z | logger=my.module | level=info | message=hello",
    ),
    (
        "level_colon",
        "2026-01-04T15:30:45.123Z error: it broke",
        "2026-01-04T15:30:45.123Z | level=error | message=it broke",
    ),
    (
        "level",
        "2026-01-04 15:30:45 WARN Disk is nearly full",
        "2026-01-04T15:30:45Z | level=warn | message=Disk is nearly full",
    ),
    (
        "dated_colon",
        "2026-01-04 15:30:45: hello",
        "2026-01-04T15:30:45Z | message=hello",
    ),
    (
        "dated",
        "2026/01/04 15:30:45 http: TLS handshake error",
        "2026-01-04T15:30:45Z | message=http: TLS handshake error",
    ),
    (
        "dated",
        "2026-01-04 15:30:45 alert rule fired",
        "2026-01-04T15:30:45Z | message=alert rule fired",
    ),
    (
        "access",
        r#"203.0.113.7 - ada [04/Jan/2026:15:30:45 +0100] "GET /a?b=c HTTP/1.1" 404 512 "https://x.example/" "Mozilla \"5\"""#,
        r#"2026-01-04T14:30:45Z | client.address=203.0.113.7 | client.user=ada | http.method=GET | request_path=/a?b=c | http.status=#404 | http.bytes=#512 | http.referrer=https://x.example/ | http.user_agent=Mozilla \"5\" | message=203.0.113.7 - ada [04/Jan/2026:15:30:45 +0100] "GET /a?b=c HTTP/1.1" 404 512 "https://x.example/" "Mozilla \"5\"""#,
    ),
    (
        "access",
        r#"::1 - - [04/Jan/2026:15:30:45 +0000] "-" 408 -"#,
        r#"2026-01-04T15:30:45Z | client.address=::1 | http.status=#408 | message=::1 - - [04/Jan/2026:15:30:45 +0000] "-" 408 -"#,
    ),
    (
        "apache_error",
        "[Sun Jan 04 15:30:45.123456 2026] [core:error] [pid 35708:tid 4328636416] [client 72.15.99.187] File does not exist",
        "2026-01-04T15:30:45.123456Z | level=error | logger=core | metadata.process_id=#35708 | metadata.thread=4328636416 | message=[client 72.15.99.187] File does not exist",
    ),
    (
        "apache_error",
        "[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok",
        "2005-12-04T04:47:44Z | level=info | message=workerEnv.init() ok",
    ),
    (
        "klog",
        "E0104 15:30:45.123456    1234 server.go:123] \"Failed\" err=\"x\"",
        "2026-01-04T15:30:45.123456Z | level=error | metadata.thread=#1234 | logger=server.go:123 | message=\"Failed\" err=\"x\"",
    ),
    (
        "alternatives",
        "update-alternatives 2025-06-24 14:36:53: run with --quiet",
        "2025-06-24T14:36:53Z | logger=update-alternatives | message=run with --quiet",
    ),
    (
        "logfmt",
        r#"time=2026-01-04T15:30:45Z level=info msg="hello \"w\"" took=1.5 n=7 zip=007 ok=true empty="#,
        r#"- | time=2026-01-04T15:30:45Z | level=info | msg=hello "w" | took=#1.5 | n=#7 | zip=007 | ok=#true | empty="#,
    ),
    (
        "python_root",
        "INFO:root:hello: world",
        "- | level=info | logger=root | message=hello: world",
    ),
    (
        "undated_level_colon",
        "INFO:     127.0.0.1:5000 - \"GET / HTTP/1.1\" 200 OK",
        "- | level=info | message=127.0.0.1:5000 - \"GET / HTTP/1.1\" 200 OK",
    ),
    (
        "undated_level_colon",
        "error: no such file",
        "- | level=error | message=no such file",
    ),
    (
        "undated_level_bracket",
        "[warning] careful",
        "- | level=warn | message=careful",
    ),
];

#[test]
fn every_row_reads_its_lines() {
    for (format, line, expected) in TABLE {
        let expected = Some(((*format).to_owned(), (*expected).to_owned()));
        assert_eq!(read_line(line, None, &TimeZone::UTC), expected, "{line}");
        let named = read_line(line, Some(format), &TimeZone::UTC);
        assert_eq!(named, expected, "{line}");
        assert_eq!(read_line(line, Some(PLAIN), &TimeZone::UTC), None);
    }
}

#[test]
fn every_format_has_a_row_here() {
    for format in FORMATS {
        assert!(
            TABLE.iter().any(|(name, _, _)| *name == format.name),
            "{}",
            format.name
        );
    }
}

#[test]
fn other_lines_are_messages() {
    for line in [
        "",
        "hello world",
        "    at com.acme.Foo.bar(Foo.java:12)",
        "Start-Date: 2025-06-24  14:36:25",
        "Commandline: apt-get -qqy upgrade",
        "2026-13-04 15:30:45 no such month",
        "2026-01-04 25:30:45 no such hour",
        "2026-02-29 15:30:45 no such day",
        "key=value and a sentence",
        "a=b",
        "{not json}",
        "{}",
        "[1,2]",
        "{\"a\":null}",
        "<999>x",
        "<>x",
        "I0104 nothing",
        "Jan",
        "Janみ 4",
        "日本語のログ",
    ] {
        assert_eq!(read_line(line, None, &TimeZone::UTC), None, "{line}");
    }
}

#[test]
fn times_without_a_zone_are_of_the_zone_of_the_source() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let check = |line: &str, time: &str| {
        let (_, shown) = read_line(line, None, &berlin).unwrap();
        assert!(shown.starts_with(&format!("{time} |")), "{line}: {shown}");
    };
    check("2026-01-04 15:30:45 x", "2026-01-04T14:30:45Z");
    check("2026-07-04 15:30:45 x", "2026-07-04T13:30:45Z");
    check("2026-01-04 15:30:45Z x", "2026-01-04T15:30:45Z");
    check("2026-01-04 15:30:45 +0000 x", "2026-01-04T15:30:45Z");
    check("Jan  4 15:30:45 h p: x", "2026-01-04T14:30:45Z");
}

#[test]
fn nesting_and_names_are_limited() {
    let deep = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(read_line(&deep(32), None, &TimeZone::UTC).is_some());
    assert!(read_line(&deep(33), None, &TimeZone::UTC).is_none());
    let named = |bytes: usize| format!("{{\"{}\":1}}", "k".repeat(bytes));
    assert!(read_line(&named(256), None, &TimeZone::UTC).is_some());
    assert!(read_line(&named(257), None, &TimeZone::UTC).is_none());
}

#[test]
fn lines_become_columns_and_what_is_not_recognised_is_marked() {
    let mut columns = ColumnSet::default();
    for (row, line) in [
        (0, "2026-01-04 15:30:45 INFO a.b: hello\r\n"),
        (1, "  plain"),
        (2, "{\"a\":1,\"a\":null,\"b\":2}"),
    ] {
        let message = columns.get_or_create("message");
        message.push(row, Kind::String, line);
    }
    columns
        .get_or_create("logger")
        .push(0, Kind::String, "of the source");
    columns
        .get_or_create("file")
        .push(1, Kind::String, "/var/log/x");
    columns.set_rows(3);
    let received = parse_rfc3339(RECEIVED).unwrap();
    let lines = read(columns, &LineOptions::default(), received);
    let get = |name: &str, row| {
        lines
            .columns
            .get(name)
            .and_then(|c: &Column| c.get(row))
            .map(|value| value.text)
    };
    assert_eq!(get("message", 0), Some("hello"));
    assert_eq!(get("logger", 0), Some("a.b"));
    assert_eq!(get("labels.body.logger", 0), Some("of the source"));
    assert_eq!(get("message", 1), Some("  plain"));
    assert_eq!(get("metadata.parsed", 1), Some("false"));
    assert_eq!(get("metadata.parsed", 0), None);
    assert_eq!(get("file", 1), Some("/var/log/x"));
    assert_eq!((get("a", 2), get("b", 2)), (None, Some("2")));
    assert_eq!(lines.times[0].unwrap().to_rfc3339(), "2026-01-04T15:30:45Z");
    assert_eq!(lines.times[1], None);
}

#[test]
fn long_hostile_lines_take_linear_time() {
    let size = 1 << 20;
    for unit in [
        "[", "]", "\"", "\\", "{\"a\":", "a=", "<", " ", "a=\"", "2026-", ":", "[",
    ] {
        for head in [
            "",
            "2026-01-04 15:30:45 ",
            "2026-01-04 15:30:45 INFO ",
            "<34>1 - - - - - ",
            "1 - - [04/Jan/2026:15:30:45 +0000] \"",
        ] {
            let line = format!("{head}{}", unit.repeat(size / unit.len()));
            // Quadratic work would be 10^12 steps, which no test run survives.
            let _ = read_line(&line, None, &TimeZone::UTC);
        }
    }
}

proptest! {
    #[test]
    fn no_line_panics(line in "(\\PC|[<>\\[\\]\"\\\\=:{} ]|[0-9]{1,4}[-/: ]|INFO|Jan){0,60}") {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let _ = read_line(&line, None, &berlin);
    }

    #[test]
    fn no_broken_line_panics(place in 0..TABLE.len(), cut in 0usize..300, put in "\\PC{0,2}") {
        let line = TABLE[place].1;
        let at = (0..=cut.min(line.len())).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        let _ = read_line(&format!("{}{put}{}", &line[..at], &line[at..]), None, &TimeZone::UTC);
        let _ = read_line(&line[..at], None, &TimeZone::UTC);
    }
}
