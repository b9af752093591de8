//! What a stack trace says: the type and the message of the exception that was thrown, as error
//! trackers title it, and the trace itself.
//!
//! Of a chain this is the exception that came last: in Python the last one of the text, in Java
//! and Node, which print causes below, the first. A panic of Go or Rust is of type `panic`.
//! All work is linear in the text.

/// Exceptions are looked for in texts of two lines and more that hold one of these.
const SIGNS: &[&str] = &[
    "Traceback (most recent call last):",
    "\n    at ",
    "\n\tat ",
    "\n   at ",
    "\n      at ",
    "\n\ngoroutine ",
    "\ngoroutine ",
    " panicked at ",
    "\nCaused by:",
    "  File \"",
    "Error: ",
    "Error] ",
    "\nNode.js v",
];

/// Bytes of `error.type`: longer ones are no names.
const TYPE_BYTES_MAX: usize = 256;

/// An exception that a text holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    kind: String,
    message: String,
    stack: String,
}

impl Exception {
    /// Its type; empty if the trace names none.
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    /// Its message; may be empty.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The trace, with what was thrown.
    pub(crate) fn stack(&self) -> &str {
        &self.stack
    }

    fn of(kind: &str, message: &str, stack: &str) -> Option<Exception> {
        Some(Exception {
            kind: kind.to_owned(),
            message: message.trim().to_owned(),
            stack: stack.trim_end().to_owned(),
        })
    }
}

/// The exception whose stack trace `text` holds.
pub(crate) fn find(text: &str) -> Option<Exception> {
    if !text.contains('\n') || !SIGNS.iter().any(|sign| text.contains(sign)) {
        return None;
    }
    let lines = Lines::of(text);
    python(&lines)
        .or_else(|| go(&lines))
        .or_else(|| rust(&lines))
        .or_else(|| called(&lines))
}

/// The lines of a text, with their places.
struct Lines<'a> {
    text: &'a str,
    lines: Vec<(usize, &'a str)>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Lines<'a> {
        let mut at = 0;
        let lines = text
            .split('\n')
            .map(|line| {
                let start = at;
                at += line.len() + 1;
                (start, line.strip_suffix('\r').unwrap_or(line))
            })
            .collect();
        Lines { text, lines }
    }

    fn get(&self, index: usize) -> Option<&'a str> {
        self.lines.get(index).map(|(_, line)| *line)
    }

    fn find(&self, holds: impl Fn(&str) -> bool) -> Option<usize> {
        self.lines.iter().position(|(_, line)| holds(line))
    }

    /// The text from a line on.
    fn from(&self, index: usize) -> &'a str {
        self.lines
            .get(index)
            .map_or("", |(start, _)| &self.text[*start..])
    }

    /// The text of lines from `from` up to the first line after it of which `is_over` is true.
    fn until(&self, from: usize, is_over: impl Fn(&str) -> bool) -> &'a str {
        let Some((start, _)) = self.lines.get(from) else {
            return "";
        };
        let end = self.lines[from + 1..]
            .iter()
            .find(|(_, line)| is_over(line))
            .map_or(self.text.len(), |(start, _)| start - 1);
        &self.text[*start..end]
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

fn python(lines: &Lines<'_>) -> Option<Exception> {
    const HEAD: &str = "Traceback (most recent call last):";
    const GROUP: &str = "+ Exception Group Traceback (most recent call last):";
    let is_group = |line: &str| line.trim() == GROUP;
    let is_head =
        |line: &str| line.trim_end().ends_with(HEAD) && !line.trim_start().starts_with('|');
    let first = lines.find(is_head);
    let Some(first) = first else {
        return python_syntax(lines);
    };
    let stack = lines.from(first);
    let last = lines.lines.iter().rposition(|(_, line)| is_head(line))?;
    if is_group(lines.get(last)?) {
        // In the margin, what is not indented is the exception.
        let line = lines.lines[last + 1..]
            .iter()
            .filter_map(|(_, line)| line.strip_prefix("  | "))
            .find(|line| indent(line) == 0 && !line.is_empty())?;
        let (kind, message) = named(line).unwrap_or((line, ""));
        return Exception::of(kind, message, stack);
    }
    // Behind the prefix of a log line the head counts as not indented.
    let head = lines.get(last)?;
    let head_indent = match head.trim() == HEAD {
        true => indent(head),
        false => 0,
    };
    let at = lines.lines[last + 1..]
        .iter()
        .position(|(_, line)| indent(line) <= head_indent)?
        + last
        + 1;
    let text = lines.until(at, str::is_empty).trim();
    let (kind, message) = named(text).unwrap_or((text.lines().next()?, ""));
    Exception::of(kind, message, stack)
}

/// A syntax error that Python found before it ran anything.
fn python_syntax(lines: &Lines<'_>) -> Option<Exception> {
    let first = lines.find(|line| line.starts_with("  File \"") && line.contains("\", line "))?;
    let (_, last) = lines.lines[first..]
        .iter()
        .find(|(_, line)| indent(line) == 0)?;
    let (kind, message) = named(last)?;
    kind.ends_with("Error").then_some(())?;
    Exception::of(kind, message, lines.from(first))
}

fn go(lines: &Lines<'_>) -> Option<Exception> {
    let is_routine = |line: &str| line.starts_with("goroutine ") && line.trim_end().ends_with("]:");
    let routine = lines.find(is_routine)?;
    let heads = [
        "panic: ",
        "fatal error: ",
        "SIGSEGV: ",
        "SIGQUIT: ",
        "SIGABRT: ",
    ];
    let before = lines.lines.get(..routine)?;
    // The last panic is the one that was not recovered.
    let found = before.iter().enumerate().rev().find_map(|(at, (_, line))| {
        let line = line.trim_start();
        let head = heads.iter().find(|head| line.starts_with(**head))?;
        Some((at, head.trim_end_matches(": ")))
    });
    if let Some((at, kind)) = found {
        let first = before
            .iter()
            .position(|(_, line)| heads.iter().any(|head| line.starts_with(head)))
            .unwrap_or(at);
        let is_over =
            |line: &str| line.is_empty() || line.starts_with("[signal ") || is_routine(line);
        let text = lines.until(at, is_over).trim_start();
        let message = text.get(kind.len() + 2..).unwrap_or_default();
        return Exception::of(kind, message, lines.from(first));
    }
    // `http: panic serving 127.0.0.1:40422: boom`.
    let (_, announced) = before.last()?;
    let (_, serving) = announced.split_once("panic serving ")?;
    let (_, message) = serving.split_once(": ")?;
    Exception::of("panic", message, lines.from(routine - 1))
}

fn rust(lines: &Lines<'_>) -> Option<Exception> {
    let is_head = |line: &str| line.starts_with("thread '") && line.contains(" panicked at ");
    if let Some(first) = lines.find(is_head) {
        let stack = lines.from(first);
        let (_, place) = lines.get(first)?.split_once(" panicked at ")?;
        if let Some(message) = place.strip_prefix('\'') {
            // As it was written before 1.73: the message in quotes, then the place.
            let message = message.rsplit_once("', ").map_or(message, |(text, _)| text);
            return Exception::of("panic", message, stack);
        }
        let is_over = |line: &str| line.starts_with("note: ") || line == "stack backtrace:";
        return Exception::of("panic", lines.until(first + 1, is_over), stack);
    }
    // `Error: …`, then `Caused by:` alone.
    let causes = lines.find(|line| line.trim_end() == "Caused by:")?;
    let first = lines.lines[..causes]
        .iter()
        .rposition(|(_, line)| line.starts_with("Error: "))?;
    let (kind, message) = named(lines.until(first, str::is_empty))?;
    Exception::of(kind, message, lines.from(first))
}

/// Node and Java: frames below what was thrown.
fn called(lines: &Lines<'_>) -> Option<Exception> {
    let (first, kind, message) = match thrown_without_frames(lines) {
        Some(found) => found,
        None => thrown(lines, lines.find(is_frame)?)?,
    };
    // The excerpt of the source that Node prints above an uncaught error is part of the trace.
    let is_caret = |line: &str| !line.trim().is_empty() && line.trim().bytes().all(|b| b == b'^');
    let above = lines.lines[..first]
        .iter()
        .position(|(_, line)| is_caret(line))
        .and_then(|caret| caret.checked_sub(2));
    Exception::of(kind, message, lines.from(above.unwrap_or(first)))
}

/// The line above a frame that names the exception, its type, and its message up to the frame.
fn thrown<'a>(lines: &Lines<'a>, frame: usize) -> Option<(usize, &'a str, &'a str)> {
    let above = lines.lines.get(..frame)?;
    let found = above
        .iter()
        .rposition(|(_, line)| named(trimmed(line)).is_some() && indent(line) < 8);
    let (at, start, kind) = match found {
        Some(at) => {
            let (start, line) = above[at];
            let (kind, _) = named(trimmed(line))?;
            (at, start, kind)
        }
        // `request failed: TypeError: …`: the type stands inside of the line.
        None => {
            let (start, line) = *above.last()?;
            match inside(line) {
                Some((offset, kind)) => (frame - 1, start + offset, kind),
                None => return Some((frame - 1, "", line)),
            }
        }
    };
    let end = lines.lines[frame].0.checked_sub(1)?;
    let text = lines.text.get(start..end)?;
    let message = named(trimmed(text)).map_or("", |(_, message)| message);
    Some((at, kind, message))
}

/// `[AggregateError: …] {`: an error without frames of its own, printed with its fields.
fn thrown_without_frames<'a>(lines: &Lines<'a>) -> Option<(usize, &'a str, &'a str)> {
    let line = lines.get(0)?;
    let opened = line.trim_end().strip_suffix('{')?.trim_end();
    let (kind, message) = named(opened.strip_prefix('[')?.strip_suffix(']')?)?;
    Some((0, kind, message))
}

fn is_frame(line: &str) -> bool {
    indent(line) > 0
        && line.trim().strip_prefix("at ").is_some_and(|place| {
            let place = place.trim_end_matches([' ', '{', ',']);
            place.ends_with([')', ']', '>']) || place.ends_with(|c: char| c.is_ascii_digit())
        })
}

/// A line without what runtimes print before the type.
fn trimmed(line: &str) -> &str {
    let line = line.trim();
    let line = match line.strip_prefix("Exception in thread \"") {
        Some(rest) => rest.split_once("\" ").map_or(line, |(_, rest)| rest),
        None => line,
    };
    let line = line.strip_prefix("Uncaught ").unwrap_or(line);
    line.strip_prefix('[').unwrap_or(line)
}

/// Type and message of `Type: message`, `a.b.Type`, `Error [CODE]: message`; the message may have
/// several lines.
fn named(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || "_.$<>".contains(c)))
        .unwrap_or(text.len());
    let (kind, rest) = text.split_at(end);
    let last = kind.rsplit(['.', '$']).next()?;
    let is_type = kind.len() <= TYPE_BYTES_MAX
        && (last.starts_with(|c: char| c.is_uppercase()) || last.len() < kind.len())
        && !kind.starts_with(|c: char| c.is_ascii_digit())
        && last.chars().any(|c| c.is_lowercase());
    if !is_type {
        return None;
    }
    let rest = match rest
        .strip_prefix(" [")
        .and_then(|rest| rest.split_once(']'))
    {
        Some((code, rest)) if !code.contains(' ') => rest,
        _ => rest,
    };
    match rest {
        "" => Some((kind, "")),
        _ => {
            let message = rest.strip_prefix(':')?;
            let is_message = message.is_empty() || message.starts_with([' ', '\n']);
            is_message.then_some((kind, message.trim_start()))
        }
    }
}

/// A type of error inside of a line, with its place.
fn inside(line: &str) -> Option<(usize, &str)> {
    line.match_indices([' ', ':', '(', '['])
        .map(|(at, _)| at + 1)
        .find_map(|at| {
            let (kind, _) = named(&line[at..])?;
            let is_error = kind.ends_with("Error") || kind.ends_with("Exception");
            is_error.then_some((at, kind))
        })
}
