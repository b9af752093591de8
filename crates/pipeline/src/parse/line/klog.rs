//! klog, the log of Kubernetes: `I0104 15:30:45.123456    1234 server.go:123] message`.
use super::{Context, Found, clock, layout};
use taffrail_model::field;

pub(super) fn read<'a>(line: &'a str, context: &Context<'_>) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let level = match bytes.first()? {
        b'I' => "info",
        b'W' => "warn",
        b'E' => "error",
        b'F' => "critical",
        _ => return None,
    };
    let (month, day) = (clock::number(bytes, 1, 2)?, clock::number(bytes, 3, 2)?);
    (bytes.get(5) == Some(&b' ')).then_some(())?;
    let (second_ns, at) = clock::time_of_day(bytes, 6)?;
    let time = clock::without_year(month, day, second_ns, context)?;
    let rest = line.get(at..)?.strip_prefix(' ')?.trim_start_matches(' ');
    let (thread, rest) = layout::word(rest);
    layout::is_number(thread).then_some(())?;
    let (place, message) = rest.strip_prefix(' ')?.split_once("] ")?;
    let mut found = Found::at(time);
    found.text(field::LEVEL, level);
    found.integer("metadata.thread", thread);
    found.text(field::LOGGER, place);
    found.text(field::MESSAGE, message);
    Some(found)
}
