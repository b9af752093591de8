use super::*;
use proptest::prelude::*;

const SEPARATOR: &str = "%%\n";

/// Pushes the lines of `text` one millisecond apart.
fn joined(text: &str) -> Vec<Joined> {
    let mut joiner = Joiner::default();
    let mut finished = Vec::new();
    for (line, time) in text.lines().zip(0..) {
        joiner.push(line.as_bytes(), at_ms(time), &mut finished);
    }
    joiner.finish(&mut finished);
    finished
}

fn at_ms(time: i64) -> Timestamp {
    Timestamp(time * 1_000_000)
}

fn texts(records: &[Joined]) -> Vec<String> {
    records
        .iter()
        .map(|record| String::from_utf8(record.text.clone()).unwrap())
        .collect()
}

/// A fixture is records with a separator between them: its lines, without the separators, must
/// become those records.
#[track_caller]
fn check(fixture: &str) {
    let mut records: Vec<&str> = fixture.split(SEPARATOR).collect();
    for record in &mut records {
        *record = record.strip_suffix('\n').unwrap();
    }
    let text: String = records.iter().flat_map(|record| [*record, "\n"]).collect();
    let found = joined(&text);
    for (found, expected) in texts(&found).iter().zip(&records) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), records.len());
    let mut first_line = 0;
    for record in found {
        assert_eq!(record.received, at_ms(first_line));
        first_line += record.lines as i64;
    }
}

#[test]
fn python() {
    check(include_str!("fixtures/python.txt"));
}

#[test]
fn node() {
    check(include_str!("fixtures/node.txt"));
}

#[test]
fn java() {
    check(include_str!("fixtures/java.txt"));
}

#[test]
fn go() {
    check(include_str!("fixtures/go.txt"));
}

#[test]
fn rust() {
    check(include_str!("fixtures/rust.txt"));
}

#[test]
fn indented_output_stays_lines() {
    let text = include_str!("fixtures/lines.txt").replace('\n', "\n%%\n");
    check(text.trim_end_matches(SEPARATOR));
}

#[test]
fn a_line_is_finished_at_once_unless_it_may_begin_a_block() {
    let waits = |line: &str| {
        let mut joiner = Joiner::default();
        let mut finished = Vec::new();
        joiner.push(line.as_bytes(), at_ms(0), &mut finished);
        finished.is_empty()
    };
    let text = include_str!("fixtures/lines.txt");
    let waiting: Vec<&str> = text.lines().filter(|line| waits(line)).collect();
    assert_eq!(
        waiting,
        [
            "worker-1  0/1     Error",
            "warning: unused variable: `x`",
            "error[E0425]: cannot find value `y` in this scope",
            "npm error code ENOENT",
            "npm error syscall open",
            "src/app.ts:3",
            "src/app.ts:9",
            "-    raise KeyError",
            "+    raise ValueError",
            "ERROR:    [Errno 98] address already in use",
            "WARNING:  Invalid HTTP request received.",
        ]
    );
}

#[test]
fn a_block_ends_after_the_pause() {
    let mut joiner = Joiner::new(200);
    let mut finished = Vec::new();
    let mut step = |line: Option<&str>, time: i64| {
        match line {
            Some(line) => joiner.push(line.as_bytes(), at_ms(time), &mut finished),
            None => joiner.due(at_ms(time), &mut finished),
        }
        let deadline = joiner.deadline().map(|deadline| deadline.0 / 1_000_000);
        (texts(&std::mem::take(&mut finished)), deadline)
    };
    let none: Vec<String> = Vec::new();
    assert_eq!(step(Some("Error: no port"), 0), (none.clone(), Some(200)));
    // What is held waits from its own time on, however much comes behind it.
    assert_eq!(step(Some("in the"), 50), (none.clone(), Some(250)));
    assert_eq!(step(Some("settings"), 190), (none.clone(), Some(250)));
    assert_eq!(step(None, 249), (none.clone(), Some(250)));
    let lines = ["Error: no port", "in the", "settings"].map(String::from);
    assert_eq!(step(None, 250), (lines.to_vec(), None));
    assert_eq!(step(Some("Error: no port"), 300), (none.clone(), Some(500)));
    let frame = "    at f (/srv/app.js:1:2)";
    assert_eq!(step(Some(frame), 400), (none.clone(), Some(600)));
    assert_eq!(step(Some(""), 410), (none.clone(), Some(610)));
    let trace = format!("Error: no port\n{frame}");
    // A clock that was set back ends the block, too.
    assert_eq!(step(None, 100), (vec![trace, String::new()], None));
    assert_eq!(step(None, 10_000), (none, None));
}

#[test]
fn a_block_past_a_limit_goes_on_in_another_record() {
    let check = |frame: &str, frames: usize| {
        let text = format!("Error: x\n{}", format!("{frame}\n").repeat(frames));
        let records = joined(&text);
        assert_eq!(texts(&records).join("\n") + "\n", text);
        assert_eq!(
            records.iter().map(|record| record.lines).sum::<usize>(),
            frames + 1
        );
        for record in &records {
            assert!(record.text.len() <= MULTILINE_BYTES_MAX);
            assert!(record.lines <= MULTILINE_LINES_MAX);
        }
        records.len()
    };
    let frame = "    at f (/srv/app.js:1:2)";
    assert_eq!(check(frame, MULTILINE_LINES_MAX - 1), 1);
    assert_eq!(check(frame, MULTILINE_LINES_MAX), 2);
    let long = format!(
        "    at {} (/srv/app.js:1:2)",
        "f".repeat(MULTILINE_BYTES_MAX / 4)
    );
    assert_eq!(check(&long, 3), 1);
    assert_eq!(check(&long, 4), 2);
    // One line beyond the limit is a record as it is, and so is the next.
    let huge = format!("Error: {}\nnext", "x".repeat(MULTILINE_BYTES_MAX));
    assert_eq!(texts(&joined(&huge)).len(), 2);
}

#[test]
fn a_message_without_frames_is_held_for_so_many_lines() {
    let mut joiner = Joiner::default();
    let mut finished = Vec::new();
    joiner.push(b"Error: x", at_ms(0), &mut finished);
    for _ in 0..HELD_LINES_MAX {
        joiner.push(b"plain", at_ms(0), &mut finished);
    }
    assert!(finished.is_empty());
    joiner.push(b"plain", at_ms(0), &mut finished);
    assert_eq!(finished.len(), HELD_LINES_MAX + 2);
    assert_eq!(joiner.deadline(), None);
}

/// Every line of every fixture, and lines that none of them has.
fn line() -> impl Strategy<Value = String> {
    let known: Vec<String> = [
        include_str!("fixtures/python.txt"),
        include_str!("fixtures/node.txt"),
        include_str!("fixtures/java.txt"),
        include_str!("fixtures/go.txt"),
        include_str!("fixtures/rust.txt"),
        include_str!("fixtures/lines.txt"),
    ]
    .iter()
    .flat_map(|text| text.lines().map(String::from))
    .collect();
    prop_oneof![
        4 => prop::sample::select(known),
        1 => "[ \\t]{0,6}(at |Error: |panic: |\\+|\\||File \")?\\PC{0,20}(:|\\)|\\{|\\[|:12)?\\r?",
        1 => Just(String::new()),
    ]
}

proptest! {
    #[test]
    fn records_are_the_lines_whatever_they_are(
        lines in prop::collection::vec((line(), 0i64..300, any::<bool>()), 0..80),
    ) {
        let mut joiner = Joiner::default();
        let mut finished = Vec::new();
        let (mut now, mut received) = (0, Vec::new());
        for (line, wait, asks) in &lines {
            now += wait;
            if *asks {
                joiner.due(at_ms(now), &mut finished);
                let open = joiner.deadline();
                prop_assert!(open.is_none_or(|open| open > at_ms(now)));
            }
            joiner.push(line.as_bytes(), at_ms(now), &mut finished);
            received.push(at_ms(now));
        }
        joiner.finish(&mut finished);
        prop_assert_eq!(joiner.deadline(), None);
        let expected: Vec<&str> = lines.iter().map(|(line, ..)| line.as_str()).collect();
        let mut at = 0;
        for record in &finished {
            prop_assert_eq!(record.received, received[at]);
            let text = String::from_utf8_lossy(&record.text);
            prop_assert_eq!(text, expected[at..at + record.lines].join("\n"));
            at += record.lines;
        }
        prop_assert_eq!(at, lines.len());
    }

    #[test]
    fn bytes_that_are_no_text_are_kept(lines in prop::collection::vec(
        prop::collection::vec(any::<u8>().prop_filter("a line break", |byte| *byte != b'\n'), 0..40),
        0..20,
    )) {
        let mut joiner = Joiner::default();
        let mut finished = Vec::new();
        for line in &lines {
            joiner.push(line, at_ms(0), &mut finished);
        }
        joiner.finish(&mut finished);
        let found: Vec<&[u8]> = finished.iter().map(|record| record.text.as_slice()).collect();
        prop_assert_eq!(found.join(&b'\n'), lines.join(&b'\n'));
    }
}
