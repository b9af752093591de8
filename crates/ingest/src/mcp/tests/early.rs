//! Answers that come before the end of their request.
use super::*;

/// What is said in pieces that are no lines, at one millisecond after the other: `>` from the
/// client, `<` from the server.
#[track_caller]
fn check_pieces(said: &[&str], expected: &[&str]) {
    let mut session = Session::new(Options::default());
    let mut heard = Vec::new();
    for (index, text) in said.iter().enumerate() {
        let direction = if text.starts_with('>') { C } else { S };
        let bytes = &text.as_bytes()[1..];
        session.push(direction, at_ms(index as i64), bytes, &mut heard);
    }
    session.finish(at_ms(said.len() as i64), &mut heard);
    let mut records = records(heard);
    records.retain(|record| !record.message.starts_with("MCP session ended"));
    let found: Vec<&str> = records.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(found, expected);
}

const ASKED: &str = ">{\"jsonrpc\":\"2.0\",\"id\":112,\"method\":\"ping\"}";
const ANSWERED: &str = "<{\"jsonrpc\":\"2.0\",\"id\":112,\"result\":{}}\n";
const UNKNOWN: &str = "protocol violation: the server sent an answer to no request: id 112";

#[test]
fn an_answer_before_the_end_of_the_line_waits_for_it() {
    let paired = ["ping → ok in 0.00 ms (2 B)"];
    check_pieces(&[ASKED, ANSWERED, ">\n"], &paired);
    check_pieces(&[ASKED, ANSWERED, "> ", ">\r\n"], &paired);
    // A last line may have no end.
    check_pieces(&[ASKED, ANSWERED], &paired);
    // Either side may ask.
    let swap = |text: &str| match text.strip_prefix('>') {
        Some(rest) => format!("<{rest}"),
        None => format!(">{}", &text[1..]),
    };
    check_pieces(
        &[&swap(ASKED), &swap(ANSWERED), "<\n"],
        &["ping (asked by the server) → ok in 0.00 ms (2 B)"],
    );
}

#[test]
fn an_answer_waits_for_one_line_only() {
    let other = ">{\"jsonrpc\":\"2.0\",\"method\":\"note\"}";
    check_pieces(
        &[ANSWERED, ASKED, ">\n"],
        &[UNKNOWN, "ping → no answer in 1.00 ms: session ended"],
    );
    check_pieces(
        &[other, ANSWERED, ">\n", ASKED, ">\n", ANSWERED],
        &["note", UNKNOWN, "ping → ok in 1.00 ms (2 B)"],
    );
    // The next line begins in the piece that ends the one before it.
    check_pieces(
        &[
            other,
            ANSWERED,
            &format!(">\n{}", &ASKED[1..]),
            ">\n",
            ANSWERED,
        ],
        &["note", UNKNOWN, "ping → ok in 1.00 ms (2 B)"],
    );
    // A second answer to a request that has one.
    check_pieces(
        &[ASKED, ANSWERED, ANSWERED, ">\n"],
        &["ping → ok in 0.00 ms (2 B)", UNKNOWN],
    );
}

#[test]
fn an_answer_waits_for_a_while_only() {
    let after = |ns: i64| Timestamp(at_ms(0).0 + ns);
    let mut session = Session::new(Options::default());
    let mut heard = Vec::new();
    session.push(C, at_ms(0), &ASKED.as_bytes()[1..], &mut heard);
    session.push(S, at_ms(0), &ANSWERED.as_bytes()[1..], &mut heard);
    session.push(S, after(1), &ANSWERED.as_bytes()[1..], &mut heard);
    session.tick(after(EARLY_AFTER_NS - 1), &mut heard);
    assert!(heard.is_empty(), "{heard:?}");
    // The first has waited for as long as it may, and the second a little less.
    session.tick(after(EARLY_AFTER_NS), &mut heard);
    session.push(C, after(EARLY_AFTER_NS), b"\n", &mut heard);
    let records = records(heard);
    let found: Vec<&str> = records.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(found, [UNKNOWN, "ping → ok in 0.00 ms (2 B)"]);
    assert_eq!(records[0].time, at_ms(0));
}

#[test]
fn an_answer_to_what_was_lost_is_no_breach() {
    let mut session = Session::new(Options::default());
    let mut heard = Vec::new();
    session.push(C, at_ms(0), &ASKED.as_bytes()[1..], &mut heard);
    session.push(S, at_ms(1), &ANSWERED.as_bytes()[1..], &mut heard);
    session.gap(C, at_ms(2), 10, &mut heard);
    let told = "the server answered request 112, which was not recorded";
    assert!(records(heard).iter().any(|record| record.message == told));
    assert_eq!(session.counts().violations, 0);
    // What was lost is known before the gap is in its place.
    let mut session = Session::new(Options::default());
    let mut heard = Vec::new();
    session.doubt();
    session.push(S, at_ms(0), &ANSWERED.as_bytes()[1..], &mut heard);
    assert_eq!(records(heard)[0].message, told);
}

fn answer(id: usize, bytes: usize) -> String {
    let text = |blank: usize| {
        let padding = "x".repeat(blank);
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"a\":\"{padding}\"}}}}")
    };
    let line = text(bytes.saturating_sub(text(0).len()));
    assert!(bytes == 0 || line.len() == bytes);
    line
}

/// How many of the answers find their request if all come before the end of its batch.
fn paired(answers: &[String]) -> (u64, u64) {
    let request = |id| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"m\"}}");
    let requests: Vec<String> = (0..answers.len()).map(request).collect();
    let mut session = Session::new(Options::default());
    let mut heard = Vec::new();
    let batch = format!("[{}]", requests.join(","));
    session.push(C, at_ms(0), batch.as_bytes(), &mut heard);
    for answer in answers {
        session.push(S, at_ms(1), format!("{answer}\n").as_bytes(), &mut heard);
    }
    session.push(C, at_ms(2), b"\n", &mut heard);
    let counts = session.counts();
    (counts.answered, counts.violations)
}

#[test]
fn early_answers_are_bounded() {
    let many = |count: usize| (0..count).map(|id| answer(id, 0)).collect::<Vec<_>>();
    let max = EARLY_ANSWERS_MAX as u64;
    assert_eq!(paired(&many(EARLY_ANSWERS_MAX)), (max, 0));
    assert_eq!(paired(&many(EARLY_ANSWERS_MAX + 1)), (max, 1));
    let half = EARLY_BYTES_MAX / 2;
    assert_eq!(paired(&[answer(0, half), answer(1, half)]), (2, 0));
    assert_eq!(paired(&[answer(0, half), answer(1, half + 1)]), (1, 1));
    // What has no room does not take the room of others.
    assert_eq!(
        paired(&[answer(0, EARLY_BYTES_MAX + 1), answer(1, 0)]),
        (1, 1)
    );
}

proptest! {
    /// Requests in lines that are cut anywhere, each answered as soon as its last brace has passed.
    #[test]
    fn eager_servers_are_paired(
        requests in prop::collection::vec((0_u32..6, 0_usize..90), 1..20),
    ) {
        let mut session = Session::new(Options::default());
        let mut heard = Vec::new();
        for (index, (id, cut)) in requests.iter().enumerate() {
            let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"m{index}\"}}");
            let (before, after) = text.split_at((*cut).min(text.len()));
            let at = at_ms(index as i64);
            session.push(C, at, before.as_bytes(), &mut heard);
            session.push(C, at, after.as_bytes(), &mut heard);
            session.push(S, at, format!("{}\n", answer(*id as usize, 0)).as_bytes(), &mut heard);
            session.push(C, at, b"\n", &mut heard);
        }
        let found: Vec<String> = records(heard).into_iter().map(|record| record.message).collect();
        let expected: Vec<String> =
            (0..requests.len()).map(|index| format!("m{index} → ok in 0.00 ms (8 B)")).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(session.counts().violations, 0);
    }
}
