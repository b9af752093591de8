//! What a line does to the block that is open: a plain function of the block's state, the line,
//! and the line that is held last.
use super::shape::{self, Exception};

/// What kind of block is open, and where in it the next line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// One line that speaks of a failure.
    Said,
    /// One line that begins with the type of an exception.
    Thrown(Exception),
    /// One line that speaks of a failure and opens an object.
    Opened,
    /// Node and Java: between frames.
    Frames,
    /// Node and Java: behind a cause, whose message may have several lines.
    Cause,
    /// Inside of the object of an error's fields, which began at the margin.
    Fields,
    /// Node: behind the place of an uncaught error.
    Place,
    /// Node: behind the marks of the excerpt.
    Crash,
    /// Python: between frames; the head has this indentation.
    Traceback(usize),
    /// Python: behind the exception.
    Raised { indent: usize, expects_more: bool },
    /// Python: behind the line that announces the next traceback.
    Chain(usize),
    /// Python: inside of the margin of an exception group.
    Group,
    /// Python: behind the dashes that end a margin.
    GroupEnd,
    /// Python: the place of a syntax error.
    SyntaxPlace,
    /// Go: behind the panic.
    GoPanic,
    /// Go: between frames.
    GoStack,
    /// Rust: behind the head of a panic, before its message.
    RustPanic,
    /// Rust: behind the message of a panic.
    RustMessage,
    /// Rust: a backtrace.
    RustBacktrace,
    /// Rust: the causes of an error.
    RustCauses,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It belongs to the block, and so does what is held; the block is then in this state.
    Join(State),
    /// It belongs to the block, and ends it.
    Last,
    /// A later line decides.
    Hold,
    /// It does not belong to the block.
    Close,
}

/// The block that a line begins, if it may begin one.
pub(super) fn begin(line: &[u8]) -> Option<State> {
    let indent = shape::indent(line);
    let first = *line.get(indent)?;
    if shape::is_python_head(line) {
        return Some(State::Traceback(indent));
    }
    if indent > 0 {
        // Only what cannot be meant otherwise: most of what is indented is not a trace.
        return if shape::is_python_group_head(line) {
            Some(State::Group)
        } else if shape::is_python_place(line) {
            Some(State::SyntaxPlace)
        } else if shape::is_frame(line) {
            Some(State::Frames)
        } else {
            shape::exception(line)
                .filter(|_| !shape::is_opened(line))
                .map(State::Thrown)
        };
    }
    if matches!(first, b'{' | b'}' | b']' | b'"') {
        return None;
    }
    if shape::is_rust_head(line) {
        return Some(match line.trim_ascii_end().ends_with(b":") {
            true => State::RustPanic,
            false => State::RustMessage,
        });
    }
    if shape::is_go_routine(line) {
        return Some(State::GoStack);
    }
    if shape::is_go_head(line) {
        return Some(State::GoPanic);
    }
    if shape::is_node_place(line) {
        return Some(State::Place);
    }
    let exception = shape::exception(line);
    if exception.is_none() && !shape::has_word(line) {
        return None;
    }
    Some(match exception {
        _ if shape::is_opened(line) => State::Opened,
        Some(exception) => State::Thrown(exception),
        None => State::Said,
    })
}

/// What `line` does to a block in `state` behind whose lines others are held, `held` last.
pub(super) fn next(state: &State, line: &[u8], held: Option<&[u8]>) -> Step {
    match *state {
        State::Said => said(line, held),
        State::Thrown(exception) => thrown(exception, line, held),
        State::Opened => opened(line, held),
        State::Frames => frames(line, held),
        State::Cause => cause(line),
        State::Fields => fields(line),
        State::Place => place(line, held),
        State::Crash => crash(line),
        State::Traceback(indent) => traceback(line, indent),
        State::Raised {
            indent,
            expects_more,
        } => raised(line, held, indent, expects_more),
        State::Chain(indent) => chain(line, indent),
        State::Group => group(line),
        State::GroupEnd => group_end(line, held),
        State::SyntaxPlace => syntax_place(line),
        State::GoPanic => go_panic(line, held),
        State::GoStack => go_stack(line, held),
        State::RustPanic => Step::Join(State::RustMessage),
        State::RustMessage => rust_message(line),
        State::RustBacktrace => rust_backtrace(line),
        State::RustCauses => rust_causes(line),
    }
}

/// What any first line may be followed by: a trace of any language.
fn trace_begins(line: &[u8]) -> Option<State> {
    let indent = shape::indent(line);
    if shape::is_frame(line) {
        Some(after_frame(line))
    } else if shape::is_python_head(line) {
        Some(State::Traceback(indent))
    } else if shape::is_python_group_head(line) {
        Some(State::Group)
    } else if shape::is_go_routine(line) {
        Some(State::GoStack)
    } else if shape::is_rust_backtrace(line) {
        Some(State::RustBacktrace)
    } else {
        None
    }
}

/// A log line of a failure, and what follows it at once.
fn said(line: &[u8], held: Option<&[u8]>) -> Step {
    if let Some(state) = trace_begins(line) {
        return Step::Join(state);
    }
    if held.is_some() {
        // The exception of the log line was held: its message may have several lines.
        let is_new = shape::exception(line).is_some() || shape::has_word(line);
        return if shape::is_cause(line) || !(is_new || shape::is_blank(line)) {
            Step::Hold
        } else {
            Step::Close
        };
    }
    if shape::is_uncaught(line) {
        return Step::Close;
    }
    // asyncio names the task between its log line and the traceback.
    if shape::exception(line).is_some() || line.starts_with(b"future: <") {
        return Step::Hold;
    }
    Step::Close
}

/// A failure with an object, whose inside is indented.
fn opened(line: &[u8], held: Option<&[u8]>) -> Step {
    match held.is_none() && shape::indent(line) > 0 && !shape::is_blank(line) {
        true => Step::Join(State::Fields),
        false => said(line, held),
    }
}

fn thrown(exception: Exception, line: &[u8], held: Option<&[u8]>) -> Step {
    if let Some(state) = trace_begins(line) {
        return Step::Join(state);
    }
    if shape::is_rust_causes(line) && held.is_some_and(shape::is_blank) {
        return Step::Join(State::RustCauses);
    }
    if shape::is_cause(line) {
        return Step::Hold;
    }
    let begins_another = shape::exception(line).is_some() || begin(line).is_some();
    match exception {
        Exception::Named if !begins_another => Step::Hold,
        _ => Step::Close,
    }
}

fn after_frame(line: &[u8]) -> State {
    match shape::is_opened(line) {
        true => State::Fields,
        false => State::Frames,
    }
}

fn frames(line: &[u8], held: Option<&[u8]>) -> Step {
    if shape::is_frame(line) {
        return match held {
            // Frames behind a blank line are of another error.
            Some(_) => Step::Close,
            None => Step::Join(after_frame(line)),
        };
    }
    if shape::is_node_end(line) {
        return Step::Last;
    }
    if shape::is_node_note(line) {
        return Step::Join(State::Cause);
    }
    if held.is_some() {
        return Step::Close;
    }
    if shape::is_cause(line) {
        return Step::Join(State::Cause);
    }
    match shape::is_blank(line) {
        true => Step::Hold,
        false => Step::Close,
    }
}

/// Behind `Caused by: …` or `Emitted 'error' event at:`.
fn cause(line: &[u8]) -> Step {
    if shape::is_frame(line) {
        Step::Join(after_frame(line))
    } else if shape::is_node_end(line) {
        Step::Last
    } else if shape::is_cause(line) {
        Step::Join(State::Cause)
    } else if begin(line).is_some() {
        Step::Close
    } else {
        Step::Hold
    }
}

fn fields(line: &[u8]) -> Step {
    if shape::is_closing(line) {
        return Step::Join(match shape::is_opened(line) {
            true => State::Fields,
            false => State::Frames,
        });
    }
    match shape::indent(line) > 0 || shape::is_blank(line) {
        true => Step::Join(State::Fields),
        false => Step::Close,
    }
}

/// Behind `/srv/app.js:3`: a line of source, then the marks.
fn place(line: &[u8], held: Option<&[u8]>) -> Step {
    match held {
        None if !shape::is_blank(line) => Step::Hold,
        Some(_) if shape::is_caret(line) => Step::Join(State::Crash),
        _ => Step::Close,
    }
}

/// Behind the marks: a blank line, the error, its frames. The process is about to end, so that
/// nothing else is expected.
fn crash(line: &[u8]) -> Step {
    if shape::is_frame(line) {
        Step::Join(after_frame(line))
    } else if shape::is_node_end(line) {
        Step::Last
    } else if shape::is_python_head(line) {
        Step::Close
    } else if shape::exception(line) == Some(Exception::Named) && shape::is_opened(line) {
        Step::Join(State::Fields)
    } else {
        Step::Hold
    }
}

fn traceback(line: &[u8], indent: usize) -> Step {
    let own = shape::indent(line);
    if shape::is_blank(line) {
        return Step::Close;
    }
    if own > indent {
        return Step::Join(State::Traceback(indent));
    }
    if own == indent && shape::is_python_exception(line) {
        return Step::Join(State::Raised {
            indent,
            expects_more: shape::expects_more(line),
        });
    }
    Step::Close
}

fn raised(line: &[u8], held: Option<&[u8]>, indent: usize, expects_more: bool) -> Step {
    if shape::is_python_chain(line) {
        return Step::Join(State::Chain(indent));
    }
    if shape::is_blank(line) {
        return match held {
            None => Step::Hold,
            Some(_) => Step::Close,
        };
    }
    if held.is_some_and(shape::is_blank) {
        return Step::Close;
    }
    let begins = begin(line);
    if shape::indent(line) > indent {
        // More of the message, even if it speaks of an error.
        return match begins {
            None | Some(State::Thrown(_)) => Step::Join(State::Raised {
                indent,
                expects_more,
            }),
            Some(_) => Step::Close,
        };
    }
    match expects_more && begins.is_none() {
        true => Step::Hold,
        false => Step::Close,
    }
}

fn chain(line: &[u8], indent: usize) -> Step {
    if shape::is_python_group_head(line) {
        Step::Join(State::Group)
    } else if shape::is_python_head(line) {
        Step::Join(State::Traceback(shape::indent(line)))
    } else if shape::is_blank(line) {
        Step::Hold
    } else if shape::is_python_exception(line) {
        // An exception that was never raised has no frames.
        Step::Join(State::Raised {
            indent,
            expects_more: shape::expects_more(line),
        })
    } else {
        Step::Close
    }
}

fn group(line: &[u8]) -> Step {
    if shape::is_python_group_end(line) {
        return Step::Join(State::GroupEnd);
    }
    match shape::is_python_group_line(line) && !shape::is_python_group_head(line) {
        true => Step::Join(State::Group),
        false => Step::Close,
    }
}

/// A group inside of a group ends before its outer one does.
fn group_end(line: &[u8], held: Option<&[u8]>) -> Step {
    if shape::is_python_chain(line) {
        Step::Join(State::Chain(0))
    } else if held.is_none() && shape::is_blank(line) {
        Step::Hold
    } else if held.is_none() {
        group(line)
    } else {
        Step::Close
    }
}

/// Behind the place of a syntax error: source and marks, then the error at the margin.
fn syntax_place(line: &[u8]) -> Step {
    if shape::indent(line) > 0 && !shape::is_blank(line) {
        return Step::Hold;
    }
    match shape::exception(line) {
        Some(Exception::Named) => Step::Join(State::Raised {
            indent: 0,
            expects_more: false,
        }),
        _ => Step::Close,
    }
}

fn go_panic(line: &[u8], held: Option<&[u8]>) -> Step {
    if shape::is_go_routine(line) {
        return Step::Join(State::GoStack);
    }
    if shape::is_exit_status(line) {
        return Step::Last;
    }
    if shape::is_go_note(line) {
        return match (line.starts_with(b"panic: "), held) {
            // A panic behind another is its own, unless the first was only announced.
            (true, None) => Step::Close,
            _ => Step::Hold,
        };
    }
    let is_other = begin(line).is_some();
    match is_other {
        true => Step::Close,
        false => Step::Hold,
    }
}

fn go_stack(line: &[u8], held: Option<&[u8]>) -> Step {
    if shape::is_exit_status(line) {
        return Step::Last;
    }
    if shape::is_go_routine(line) || shape::is_go_register(line) {
        return Step::Join(State::GoStack);
    }
    if shape::is_blank(line) {
        return match held {
            None => Step::Hold,
            Some(_) => Step::Close,
        };
    }
    if held.is_some() {
        return Step::Close;
    }
    match line.starts_with(b"\t") || shape::is_go_call(line) {
        true => Step::Join(State::GoStack),
        false => Step::Close,
    }
}

fn rust_message(line: &[u8]) -> Step {
    if shape::is_rust_backtrace(line) {
        Step::Join(State::RustBacktrace)
    } else if shape::is_rust_note(line) {
        Step::Last
    } else if shape::indent(line) > 0 && !shape::is_blank(line) {
        Step::Join(State::RustMessage)
    } else if begin(line).is_some() {
        Step::Close
    } else {
        Step::Hold
    }
}

fn rust_backtrace(line: &[u8]) -> Step {
    if shape::is_rust_note(line) {
        return Step::Last;
    }
    match shape::indent(line) > 0 && !shape::is_blank(line) {
        true => Step::Join(State::RustBacktrace),
        false => Step::Close,
    }
}

/// The causes of an error: indented, and its other sections behind blank lines.
fn rust_causes(line: &[u8]) -> Step {
    if shape::is_rust_section(line) {
        return Step::Join(State::RustCauses);
    }
    if shape::is_blank(line) {
        return Step::Hold;
    }
    match shape::indent(line) > 0 {
        true => Step::Join(State::RustCauses),
        false => Step::Close,
    }
}
