//! What a line looks like, whatever stands around it. All functions take a line without its line
//! break; a carriage return at its end is not looked at.

/// Bytes of a line that are searched for a word of failure: a prompt says it early, and a line
/// of a megabyte must not cost a megabyte.
const WORD_BYTES_MAX: usize = 512;

const PYTHON_HEAD: &[u8] = b"Traceback (most recent call last):";
const PYTHON_STACK_HEAD: &[u8] = b"Stack (most recent call last):";
const PYTHON_GROUP_HEAD: &[u8] = b"+ Exception Group Traceback (most recent call last):";
/// What stands between the tracebacks of a chain.
const PYTHON_CHAINS: [&[u8]; 2] = [
    b"The above exception was the direct cause of the following exception:",
    b"During handling of the above exception, another exception occurred:",
];

/// Words of failure by their first letter, in any case and inside words (`AppError`).
fn words(first: u8) -> &'static [&'static [u8]] {
    match first | 0x20 {
        b'a' => &[b"abort"],
        b'c' => &[b"critical", b"crash"],
        b'e' => &[b"error", b"exception"],
        b'f' => &[b"fail", b"fatal"],
        b'p' => &[b"panic"],
        b's' => &[b"severe"],
        b'u' => &[b"unhandled", b"uncaught"],
        b'w' => &[b"warn"],
        _ => &[],
    }
}

/// Whether the line speaks of a failure.
pub(super) fn has_word(line: &[u8]) -> bool {
    let line = &line[..line.len().min(WORD_BYTES_MAX)];
    line.iter().enumerate().any(|(at, byte)| {
        words(*byte).iter().any(|word| {
            line.get(at..at + word.len())
                .is_some_and(|have| have.eq_ignore_ascii_case(word))
        })
    })
}

/// How many blanks and tabs the line begins with.
pub(super) fn indent(line: &[u8]) -> usize {
    line.iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count()
}

pub(super) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

/// `{` or `[` at the end: what follows is the inside of an object.
pub(super) fn is_opened(line: &[u8]) -> bool {
    matches!(line.trim_ascii_end().last(), Some(b'{' | b'['))
}

/// The end of an object that began at the margin.
pub(super) fn is_closing(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'}' | b']'))
}

/// A frame of Node or Java, or what stands for frames: `    at f (file:1:2)`, `\t... 9 more`.
pub(super) fn is_frame(line: &[u8]) -> bool {
    if indent(line) == 0 {
        return false;
    }
    let line = line.trim_ascii();
    if let Some(place) = line.strip_prefix(b"at ") {
        return is_place(place);
    }
    if let Some(rest) = line.strip_prefix(b"... ") {
        // The last is what Node leaves out: `... 4 lines matching cause stack trace ...`.
        return rest.ends_with(b" more")
            || rest.ends_with(b" common frames omitted")
            || rest.ends_with(b" stack trace ...");
    }
    line.starts_with(b"[CIRCULAR REFERENCE") || line.starts_with(b"[... lines matching ")
}

/// `f (file:1:2)`, `file:1:2`, `com.acme.Foo.bar(Foo.java:3) [lib.jar:1.0]`; behind it a comma or
/// the brace of the error's fields may stand.
fn is_place(place: &[u8]) -> bool {
    let place = match place
        .strip_suffix(b"{")
        .or_else(|| place.strip_suffix(b","))
    {
        Some(place) => place.trim_ascii_end(),
        None => place,
    };
    // The library that a frame is from: ` [lib.jar:1.0]`, ` ~[?:?]`.
    let place = match place.strip_suffix(b"]") {
        Some(rest) => match rest.iter().rposition(|byte| *byte == b'[') {
            Some(at) => &rest[..at],
            None => return false,
        },
        None => place,
    };
    let place = place.strip_suffix(b"~").unwrap_or(place).trim_ascii_end();
    let Some(inner) = place.strip_suffix(b")") else {
        return place == b"<anonymous>" || ends_with_number(place);
    };
    let Some(at) = inner.iter().rposition(|byte| *byte == b'(') else {
        return false;
    };
    let inside = &inner[at + 1..];
    ends_with_number(inside)
        || inside.ends_with(b".java")
        || inside.ends_with(b".kt")
        || inside.starts_with(b"index ")
        || [
            b"Native Method" as &[u8],
            b"Unknown Source",
            b"<anonymous>",
            b"native",
            b"<generated>",
        ]
        .contains(&inside)
}

/// `…:12`.
fn ends_with_number(text: &[u8]) -> bool {
    let digits = digits_at_end(text);
    digits > 0 && text[..text.len() - digits].ends_with(b":")
}

fn digits_at_end(text: &[u8]) -> usize {
    text.iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count()
}

/// `Caused by: …` and `Suppressed: …` of Java.
pub(super) fn is_cause(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    [b"Caused by: " as &[u8], b"Suppressed: ", b"Wrapped by: "]
        .iter()
        .any(|head| line.starts_with(head))
}

/// How a line that begins with the type of an exception writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exception {
    /// The name says it: `TypeError: …`, `Exception in thread "main" …`.
    Named,
    /// It may be one: `com.acme.NotFound: …`, `NotFound`.
    Likely,
}

/// `Type: message`, `a.b.Type`, `Error [CODE]: message`, `[AggregateError: message]`.
pub(super) fn exception(line: &[u8]) -> Option<Exception> {
    let line = line.trim_ascii();
    if is_uncaught(line) {
        return Some(Exception::Named);
    }
    let line = line.strip_prefix(b"[").unwrap_or(line);
    let line = line.strip_prefix(b"Uncaught ").unwrap_or(line);
    let (name, rest) = qualified_name(line);
    let is_headed = match rest {
        [] | [b':'] | [b':', b' ', ..] => true,
        [b' ', b'[', rest @ ..] => rest.contains(&b']'),
        _ => false,
    };
    if !is_headed {
        return None;
    }
    let last = last_segment(name);
    let is_type =
        last.first().is_some_and(u8::is_ascii_uppercase) && last.iter().any(u8::is_ascii_lowercase);
    if is_type && has_word(last) && !has_level_only(last) {
        return Some(Exception::Named);
    }
    let humps = last.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    let is_qualified = last.len() < name.len();
    (is_type && (is_qualified || humps >= 2)).then_some(Exception::Likely)
}

/// What a runtime says of an exception that ends a thread: it belongs to no line before it.
pub(super) fn is_uncaught(line: &[u8]) -> bool {
    [
        b"Exception in thread " as &[u8],
        b"Unhandled exception",
        b"Uncaught ",
    ]
    .iter()
    .any(|head| line.starts_with(head))
}

/// `Warning: …` is a sentence; `Error: …` and `DeprecationWarning: …` are types.
fn has_level_only(name: &[u8]) -> bool {
    [
        b"warn" as &[u8],
        b"warning",
        b"failed",
        b"failure",
        b"failures",
        b"critical",
        b"errors",
        b"warnings",
        b"severe",
    ]
    .iter()
    .any(|word| name.eq_ignore_ascii_case(word))
}

/// The last line of a Python traceback: `KeyError: 'x'`, `zlib.error: …`, `KeyboardInterrupt`.
pub(super) fn is_python_exception(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let (name, rest) = qualified_name(line);
    let last = last_segment(name);
    let is_name = last.first().is_some_and(|byte| !byte.is_ascii_digit());
    let is_type = last.first().is_some_and(u8::is_ascii_uppercase) || last.len() < name.len();
    is_name && is_type && matches!(rest, [] | [b':'] | [b':', b' ', ..])
}

/// The name at the start, with its dots, and what follows it.
fn qualified_name(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line
        .iter()
        .position(|byte| {
            !(byte.is_ascii_alphanumeric() || b"_.$<>/@".contains(byte) || *byte >= 0x80)
        })
        .unwrap_or(line.len());
    line.split_at(end)
}

fn last_segment(name: &[u8]) -> &[u8] {
    let start = name
        .iter()
        .rposition(|byte| matches!(byte, b'.' | b'$' | b'/'))
        .map_or(0, |at| at + 1);
    &name[start..]
}

/// Whether the message of an exception goes on in the next line, by what it says.
pub(super) fn expects_more(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let validation: &[u8] = b" validation error";
    line.ends_with(b":")
        || line
            .windows(validation.len())
            .any(|have| have == validation)
}

/// Head of a Python traceback, alone or behind the prefix of a log line.
pub(super) fn is_python_head(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    (line.ends_with(PYTHON_HEAD) || line.ends_with(PYTHON_STACK_HEAD))
        && !is_python_group_head(line)
}

/// Head of the traceback of an exception group.
pub(super) fn is_python_group_head(line: &[u8]) -> bool {
    line.trim_ascii() == PYTHON_GROUP_HEAD
}

/// A line in the margin of an exception group: `  | …`, `    +---- 1 ----`.
pub(super) fn is_python_group_line(line: &[u8]) -> bool {
    indent(line) >= 2 && matches!(line.trim_ascii_start().first(), Some(b'|' | b'+'))
}

/// The margin's end: dashes without a number.
pub(super) fn is_python_group_end(line: &[u8]) -> bool {
    line.trim_ascii()
        .strip_prefix(b"+")
        .is_some_and(|dashes| dashes.len() >= 30 && dashes.iter().all(|byte| *byte == b'-'))
}

/// What stands between two tracebacks of a chain.
pub(super) fn is_python_chain(line: &[u8]) -> bool {
    PYTHON_CHAINS.contains(&line.trim_ascii())
}

/// `  File "x.py", line 2`, as a syntax error begins that has no traceback.
pub(super) fn is_python_place(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.starts_with(b"File \"") && line[..line.len() - digits_at_end(line)].ends_with(b"\", line ")
}

/// `node:fs:573`, `/srv/app.js:3`, `file:///srv/app.mjs:2`: where an uncaught error was thrown.
pub(super) fn is_node_place(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    if indent(line) > 0 || !ends_with_number(line) {
        return false;
    }
    let place = &line[..line.len() - digits_at_end(line) - 1];
    let extensions: [&[u8]; 8] = [
        b".js", b".mjs", b".cjs", b".ts", b".mts", b".cts", b".jsx", b".tsx",
    ];
    place.starts_with(b"node:")
        || place.starts_with(b"file://")
        || place.starts_with(b"/")
        || place.starts_with(b"[eval")
        || place.starts_with(b"[stdin]")
        || place.starts_with(b"evalmachine.")
        || extensions
            .iter()
            .any(|extension| place.ends_with(extension))
}

/// The marks below an excerpt of source.
pub(super) fn is_caret(line: &[u8]) -> bool {
    let marks = line.trim_ascii();
    !marks.is_empty() && marks.iter().all(|byte| *byte == b'^')
}

/// The last line of a Node process that an error ended.
pub(super) fn is_node_end(line: &[u8]) -> bool {
    line.strip_prefix(b"Node.js v")
        .is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
}

/// What Node prints behind the frames of an error.
pub(super) fn is_node_note(line: &[u8]) -> bool {
    [b"Emitted '" as &[u8], b"(Use `node --trace-", b"Thrown at:"]
        .iter()
        .any(|head| line.starts_with(head))
}

/// How a Go program begins to say that it dies.
pub(super) fn is_go_head(line: &[u8]) -> bool {
    [
        b"panic: " as &[u8],
        b"fatal error: ",
        b"runtime: goroutine ",
        b"SIGSEGV: ",
        b"SIGABRT: ",
        b"SIGQUIT: ",
    ]
    .iter()
    .any(|head| line.starts_with(head))
}

/// What may stand between the head and the first goroutine.
pub(super) fn is_go_note(line: &[u8]) -> bool {
    [
        b"[signal " as &[u8],
        b"[originating from goroutine ",
        b"[recovered",
        b"fatal error: ",
        b"runtime: ",
        b"runtime stack:",
        b"PC=",
        b"\tpanic: ",
        b"panic: ",
    ]
    .iter()
    .any(|head| line.starts_with(head))
}

/// `goroutine 1 [running]:`.
pub(super) fn is_go_routine(line: &[u8]) -> bool {
    line.strip_prefix(b"goroutine ").is_some_and(|rest| {
        rest.first().is_some_and(u8::is_ascii_digit) && rest.trim_ascii_end().ends_with(b"]:")
    })
}

/// `main.run(0x1, …)`, `panic({…})`, `created by main.main in goroutine 1`.
pub(super) fn is_go_call(line: &[u8]) -> bool {
    if line.starts_with(b"created by ") || line.starts_with(b"...") {
        return true;
    }
    let line = line.trim_ascii_end();
    let Some(open) = line.iter().position(|byte| *byte == b'(') else {
        return false;
    };
    let name = &line[..open];
    line.ends_with(b")") && !name.contains(&b' ') && (name == b"panic" || name.contains(&b'.'))
}

/// `rax    0xca`: a register, as a Go program prints them last.
pub(super) fn is_go_register(line: &[u8]) -> bool {
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let (Some(name), Some(value), None) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    name.len() <= 6
        && name.iter().all(u8::is_ascii_alphanumeric)
        && value
            .strip_prefix(b"0x")
            .is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit))
}

/// `exit status 2`, as `go run` says at the end.
pub(super) fn is_exit_status(line: &[u8]) -> bool {
    line.strip_prefix(b"exit status ").is_some_and(|rest| {
        !rest.is_empty() && rest.trim_ascii_end().iter().all(u8::is_ascii_digit)
    })
}

/// `thread 'main' panicked at src/main.rs:7:5:`.
pub(super) fn is_rust_head(line: &[u8]) -> bool {
    let panicked: &[u8] = b" panicked at ";
    line.starts_with(b"thread ")
        && line[..line.len().min(WORD_BYTES_MAX)]
            .windows(panicked.len())
            .any(|have| have == panicked)
}

/// `note: run with …` and `note: Some details are omitted, …`.
pub(super) fn is_rust_note(line: &[u8]) -> bool {
    line.starts_with(b"note: run with `RUST_BACKTRACE")
        || line.starts_with(b"note: Some details are omitted")
}

/// `stack backtrace:`, and as errors print it, `Stack backtrace:`.
pub(super) fn is_rust_backtrace(line: &[u8]) -> bool {
    line.trim_ascii().eq_ignore_ascii_case(b"stack backtrace:")
}

/// `Caused by:` alone, above the chain of an error.
pub(super) fn is_rust_causes(line: &[u8]) -> bool {
    line.trim_ascii_end() == b"Caused by:"
}

/// What stands between the parts of a Rust error: `Location:`.
pub(super) fn is_rust_section(line: &[u8]) -> bool {
    is_rust_causes(line) || is_rust_backtrace(line) || line.trim_ascii_end() == b"Location:"
}
