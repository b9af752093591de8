//! Layouts: what may stand between the time and the message of a line, as data.
use super::{
    Context, Found,
    clock::{self, Head, Style},
};
use std::borrow::Cow;
use taffrail_model::{column::Kind, field, level};

/// A way to write a line that begins with a date and time.
pub(super) struct Layout {
    styles: &'static [Style],
    steps: &'static [Step],
}

/// One step of a layout. A layout fits if every step does.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// One blank or more.
    Blank,
    /// This text.
    Text(&'static str),
    /// A level in capitals. A level in small letters is an ordinary word unless something sets it
    /// apart.
    Level,
    /// A level in any case.
    AnyLevel,
    /// A level of PostgreSQL (`DEBUG1`), and its colon.
    PostgresLevel,
    /// `[level]` in any case, blanks inside allowed.
    LevelBracket,
    /// `channel.LEVEL`.
    ChannelLevel,
    /// The name of a logger up to the next blank, without the given ending, which must be there.
    Logger(&'static str),
    /// The name of a logger up to the next colon.
    PythonLogger,
    /// `file.go:23:`.
    GoFile,
    /// `program[pid]:` or `program:`.
    Program,
    /// A word up to the next blank.
    Word(&'static str),
    /// Digits.
    Number(&'static str),
    /// `[digits]`.
    NumberBracket(&'static str),
    /// `[…]`, brackets inside it included.
    Bracket(&'static str),
    /// One of these words, which is taken in.
    OneOf(&'static str, &'static [&'static str]),
    /// One of these words followed by a blank; it stays in the message.
    Ahead(&'static [&'static str]),
    /// A field that the format itself says.
    Says(&'static str, &'static str),
    /// The message: all that is left.
    Message,
}

use Step::{
    Ahead, AnyLevel, Blank, Bracket, ChannelLevel, GoFile, Level, LevelBracket, Logger, Message,
    Number, NumberBracket, OneOf, PostgresLevel, Program, PythonLogger, Says, Text, Word,
};

const THREAD: &str = "metadata.thread";
const PROCESS_ID: &str = "metadata.process_id";
const HOSTNAME: &str = "metadata.hostname";

/// Every style without a bracket around it.
const OPEN: &[Style] = &[
    Style::Zoned,
    Style::Dashes,
    Style::Slashes,
    Style::ShortSlashes,
];
const DASHES: &[Style] = &[Style::Dashes, Style::Zoned];

const fn layout(styles: &'static [Style], steps: &'static [Step]) -> Layout {
    Layout { styles, steps }
}

pub(super) static SPRING: Layout = layout(
    OPEN,
    &[
        Blank,
        Level,
        Blank,
        Number(PROCESS_ID),
        Text(" --- "),
        Bracket(THREAD),
        Blank,
        Logger(""),
        Blank,
        Text(": "),
        Message,
    ],
);
pub(super) static SPRING_APPLICATION: Layout = layout(
    OPEN,
    &[
        Blank,
        Level,
        Blank,
        Number(PROCESS_ID),
        Text(" --- "),
        Bracket(field::SOURCE),
        Blank,
        Bracket(THREAD),
        Blank,
        Logger(""),
        Blank,
        Text(": "),
        Message,
    ],
);
pub(super) static LOG4J: Layout = layout(
    OPEN,
    &[
        Blank,
        Level,
        Blank,
        Bracket(THREAD),
        Blank,
        Logger(":"),
        Blank,
        Message,
    ],
);
pub(super) static LOG4J_DASH: Layout = layout(
    OPEN,
    &[
        Blank,
        Level,
        Blank,
        Bracket(THREAD),
        Blank,
        Logger(""),
        Text(" - "),
        Message,
    ],
);
pub(super) static LOGBACK: Layout = layout(
    OPEN,
    &[
        Blank,
        Bracket(THREAD),
        Blank,
        Level,
        Blank,
        Logger(""),
        Text(" - "),
        Message,
    ],
);
pub(super) static LOGBACK_COLON: Layout = layout(
    OPEN,
    &[
        Blank,
        Bracket(THREAD),
        Blank,
        Level,
        Blank,
        Logger(":"),
        Blank,
        Message,
    ],
);
pub(super) static PYTHON_DASH: Layout = layout(
    OPEN,
    &[
        Text(" - "),
        Logger(""),
        Text(" - "),
        Level,
        Text(" - "),
        Message,
    ],
);
pub(super) static ZOOKEEPER: Layout = layout(
    OPEN,
    &[
        Text(" - "),
        Level,
        Blank,
        Bracket(THREAD),
        Text(" - "),
        Message,
    ],
);
pub(super) static LEVEL_DASH: Layout = layout(OPEN, &[Text(" - "), Level, Text(" - "), Message]);
pub(super) static NGINX_ERROR: Layout = layout(
    OPEN,
    &[
        Blank,
        LevelBracket,
        Blank,
        Number(PROCESS_ID),
        Text("#"),
        Number(THREAD),
        Text(": "),
        Message,
    ],
);
pub(super) static LEVEL_BRACKET_LOGGER: Layout = layout(
    OPEN,
    &[Blank, LevelBracket, Blank, Logger(":"), Blank, Message],
);
pub(super) static LEVEL_BRACKET_COLON: Layout =
    layout(OPEN, &[Blank, LevelBracket, Text(":"), Blank, Message]);
pub(super) static LEVEL_BRACKET: Layout = layout(OPEN, &[Blank, LevelBracket, Blank, Message]);
pub(super) static ENV_LOGGER: Layout = layout(
    &[Style::Bracket],
    &[Blank, Level, Blank, Logger("]"), Blank, Message],
);
pub(super) static MONOLOG: Layout = layout(
    &[Style::Bracket],
    &[Text("] "), ChannelLevel, Text(": "), Message],
);
pub(super) static BRACKET_LEVEL_COLON: Layout = layout(
    &[Style::Bracket],
    &[Text("] "), AnyLevel, Text(": "), Message],
);
pub(super) static BRACKET_LEVEL: Layout = layout(
    &[Style::Bracket],
    &[Text("]"), Blank, Level, Blank, Message],
);
pub(super) static BRACKET: Layout = layout(&[Style::Bracket], &[Text("]"), Blank, Message]);
pub(super) static POSTGRESQL: Layout = layout(
    DASHES,
    &[
        Blank,
        NumberBracket(PROCESS_ID),
        Blank,
        PostgresLevel,
        Blank,
        Message,
    ],
);
pub(super) static POSTGRESQL_SESSION: Layout = layout(
    DASHES,
    &[
        Blank,
        NumberBracket(PROCESS_ID),
        Blank,
        Word("postgresql.session"),
        Blank,
        PostgresLevel,
        Blank,
        Message,
    ],
);
pub(super) static POSTGRESQL_DETAIL: Layout =
    layout(DASHES, &[Blank, NumberBracket(PROCESS_ID), Blank, Message]);
pub(super) static CONTAINER: Layout = layout(
    &[Style::Zoned],
    &[
        Blank,
        OneOf("metadata.type", &["stdout", "stderr"]),
        Blank,
        OneOf("metadata.container_tag", &["F", "P"]),
        Blank,
        Message,
    ],
);
pub(super) static RSYSLOG: Layout = layout(
    &[Style::Zoned],
    &[Blank, Word(HOSTNAME), Blank, Program, Blank, Message],
);
pub(super) static DPKG: Layout = layout(
    &[Style::Dashes],
    &[
        Blank,
        Ahead(&[
            "startup",
            "status",
            "install",
            "upgrade",
            "configure",
            "trigproc",
            "remove",
            "purge",
            "disappear",
            "conffile",
        ]),
        Says(field::LOGGER, "dpkg"),
        Message,
    ],
);
pub(super) static GO_FILE: Layout = layout(&[Style::Slashes], &[Blank, GoFile, Blank, Message]);
pub(super) static LEVEL_LOGGER: Layout =
    layout(OPEN, &[Blank, Level, Blank, Logger(":"), Blank, Message]);
pub(super) static LEVEL_LOGGER_DASH: Layout = layout(
    OPEN,
    &[Blank, Level, Blank, Logger(""), Text(" - "), Message],
);
pub(super) static LOGGER_LEVEL: Layout =
    layout(OPEN, &[Blank, Logger(""), Blank, Level, Blank, Message]);
pub(super) static LEVEL_COLON: Layout = layout(OPEN, &[Blank, AnyLevel, Text(":"), Blank, Message]);
pub(super) static LEVEL: Layout = layout(OPEN, &[Blank, Level, Blank, Message]);
pub(super) static DATED_COLON: Layout = layout(OPEN, &[Text(":"), Blank, Message]);
pub(super) static DATED: Layout = layout(OPEN, &[Blank, Message]);

pub(super) const PYTHON_ROOT: &[Step] = &[Level, Text(":"), PythonLogger, Message];
pub(super) const UNDATED_LEVEL_COLON: &[Step] = &[AnyLevel, Text(":"), Blank, Message];
pub(super) const UNDATED_LEVEL_BRACKET: &[Step] = &[LevelBracket, Blank, Message];

impl Layout {
    pub(super) fn read<'a>(&self, head: Head<'a>) -> Option<Found<'a>> {
        if !self.styles.contains(&head.style) {
            return None;
        }
        follow(self.steps, head.rest, Found::at(head.time))
    }
}

/// `update-alternatives 2026-01-04 15:30:45: message`.
pub(super) fn read_alternatives<'a>(line: &'a str, context: &Context<'_>) -> Option<Found<'a>> {
    let head = clock::head(line.strip_prefix("update-alternatives ")?, context)?;
    let mut found = Found::at(head.time);
    found.text(field::LOGGER, "update-alternatives");
    found.text(field::MESSAGE, head.rest.strip_prefix(": ")?);
    Some(found)
}

/// Follows the steps through `text`.
pub(super) fn follow<'a>(
    steps: &[Step],
    mut text: &'a str,
    mut found: Found<'a>,
) -> Option<Found<'a>> {
    for step in steps {
        text = step_over(*step, text, &mut found)?;
    }
    Some(found)
}

fn step_over<'a>(step: Step, text: &'a str, found: &mut Found<'a>) -> Option<&'a str> {
    match step {
        Blank => {
            let rest = text.trim_start_matches([' ', '\t']);
            (rest.len() < text.len()).then_some(rest)
        }
        Text(literal) => text.strip_prefix(literal),
        Level => {
            let (word, rest) = letters(text);
            let is_upper = word.bytes().all(|b| b.is_ascii_uppercase());
            is_upper.then(|| take_level(word, rest, found)).flatten()
        }
        AnyLevel => {
            let (word, rest) = letters(text);
            take_level(word, rest, found)
        }
        PostgresLevel => {
            let (word, rest) = letters(text);
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            take_level(word, rest.strip_prefix(':')?, found)
        }
        LevelBracket => {
            let (word, rest) = letters(text.strip_prefix('[')?.trim_start_matches(' '));
            take_level(word, rest.trim_start_matches(' ').strip_prefix(']')?, found)
        }
        ChannelLevel => {
            let (channel, rest) = text.split_once('.')?;
            is_logger(channel).then_some(())?;
            found.text(field::LOGGER, channel);
            let (word, rest) = letters(rest);
            take_level(word, rest, found)
        }
        Logger(ending) => {
            let (word, rest) = word(text);
            let name = word.strip_suffix(ending)?;
            is_logger(name).then_some(())?;
            found.text(field::LOGGER, name);
            Some(rest)
        }
        PythonLogger => {
            let (name, rest) = text.split_once(':')?;
            let is_name = name.bytes().all(is_logger_byte) && !name.is_empty();
            is_name.then(|| found.text(field::LOGGER, name))?;
            Some(rest)
        }
        GoFile => {
            let (word, rest) = word(text);
            let name = word.strip_suffix(':')?;
            let (file, number) = name.rsplit_once(':')?;
            let is_place = file.ends_with(".go") && is_number(number);
            is_place.then(|| found.text(field::LOGGER, name))?;
            Some(rest)
        }
        Program => {
            let (word, rest) = word(text);
            program(word.strip_suffix(':')?, found)?;
            Some(rest)
        }
        Word(name) => {
            let (word, rest) = word(text);
            (!word.is_empty()).then(|| found.text(name, word))?;
            Some(rest)
        }
        Number(name) => {
            let (digits, rest) = digits(text);
            is_number(digits).then(|| found.integer(name, digits))?;
            Some(rest)
        }
        NumberBracket(name) => {
            let (digits, rest) = digits(text.strip_prefix('[')?);
            is_number(digits).then(|| found.integer(name, digits))?;
            rest.strip_prefix(']')
        }
        Bracket(name) => {
            let (inside, rest) = bracketed(text)?;
            found.text(name, inside.trim());
            Some(rest)
        }
        OneOf(name, words) => {
            let (word, rest) = word(text);
            words.contains(&word).then(|| found.text(name, word))?;
            Some(rest)
        }
        Ahead(words) => words.contains(&word(text).0).then_some(text),
        Says(name, value) => {
            found
                .fields
                .push((Cow::Borrowed(name), Kind::String, Cow::Borrowed(value)));
            Some(text)
        }
        Message => {
            found.text(field::MESSAGE, text);
            Some("")
        }
    }
}

/// Takes in `program[pid]` or `program`.
pub(super) fn program<'a>(text: &'a str, found: &mut Found<'a>) -> Option<()> {
    let (name, pid) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((name, pid)) => (name, Some(pid)),
        None => (text, None),
    };
    if name.is_empty() || name.contains(['[', ']', '"', '=']) {
        return None;
    }
    found.text(field::SOURCE, name);
    match pid {
        Some(pid) if is_number(pid) => found.integer(PROCESS_ID, pid),
        Some(pid) => found.text(PROCESS_ID, pid),
        None => {}
    }
    Some(())
}

fn take_level<'a>(word: &str, rest: &'a str, found: &mut Found<'a>) -> Option<&'a str> {
    let level = level::Level::from_foreign(word)?;
    found.text(field::LEVEL, level.name());
    Some(rest)
}

/// Whether a word is the name of a logger rather than the first word of a message: it has the
/// punctuation of a path, or it is a plain name in small letters.
fn is_logger(name: &str) -> bool {
    let is_path = name.bytes().any(|b| b".:_/$".contains(&b));
    let is_small = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    name.bytes().all(is_logger_byte)
        && name.bytes().any(|b| b.is_ascii_alphabetic())
        && (is_path || is_small)
        && level::Level::from_foreign(name).is_none()
}

fn is_logger_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._:/$-<>@#*".contains(&byte)
}

/// A number without sign and leading zero, as JSON writes it.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
}

pub(super) fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find([' ', '\t']).unwrap_or(text.len()))
}

fn letters(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    text.split_at(end)
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(end)
}

/// The inside of a bracket that `text` begins with, and what follows it.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0usize;
    text.starts_with('[').then_some(())?;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some((&text[1..at], &text[at + 1..]));
                }
            }
            _ => {}
        }
    }
    None
}
