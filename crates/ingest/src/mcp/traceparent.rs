//! W3C trace context in `params._meta`: read from requests, and put into one if asked.
use super::members::{Members, members};

/// Trace and span of a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// 32 lower-case hexadecimal digits.
    pub trace_id: String,
    /// 16 lower-case hexadecimal digits.
    pub span_id: String,
}

impl TraceParent {
    /// Reads a `traceparent` (`00-trace-span-flags`) of any version; upper case is taken for lower.
    ///
    /// `None` for anything malformed, for ids of zeros and for version `ff`, which are invalid.
    #[must_use]
    pub fn parse(text: &str) -> Option<TraceParent> {
        let text = text.to_ascii_lowercase();
        let mut parts = text.splitn(5, '-');
        let [version, trace_id, span_id, flags] = [(); 4].map(|()| parts.next());
        let version = hex(version?, 2)?;
        let rest = parts.next();
        // Later versions may say more after the flags.
        if version == "ff" || (version == "00" && rest.is_some()) {
            return None;
        }
        hex(flags?, 2)?;
        let trace_id = hex(trace_id?, 32).filter(|id| has_digit(id))?;
        let span_id = hex(span_id?, 16).filter(|id| has_digit(id))?;
        Some(TraceParent {
            trace_id: trace_id.to_string(),
            span_id: span_id.to_string(),
        })
    }
}

fn hex(text: &str, digits: usize) -> Option<&str> {
    let is_hex = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex.then_some(text)
}

fn has_digit(id: &str) -> bool {
    id.bytes().any(|b| b != b'0')
}

/// One request with `_meta.traceparent` added and every other byte as it was, the end of the line
/// included.
///
/// `None` if there is nothing to add or no safe place for it, and the message should be sent as
/// it is: no request, a batch, a trace context that is there already, a name that is there twice
/// on the way, a `_meta` or `params` that is no object, or a `traceparent` that is invalid.
#[must_use]
pub fn inject(line: &[u8], traceparent: &str) -> Option<Vec<u8>> {
    TraceParent::parse(traceparent)?;
    let text = std::str::from_utf8(line).ok()?;
    let message = once(members(text, &["id", "method", "params"])?)?;
    let [id, method, params] = message.values;
    id.and(method)?;
    let entry = format!("\"traceparent\":\"{traceparent}\"");
    let Some(params) = params else {
        if message.is_null[2] {
            return None;
        }
        let end = text.rfind('}')?;
        return Some(spliced(
            text,
            end,
            &format!(",\"params\":{{\"_meta\":{{{entry}}}}}"),
        ));
    };
    let inside = once(members(params, &["_meta"])?)?;
    if inside.is_null[0] {
        return None;
    }
    let (object, is_empty, entry) = match inside.values[0] {
        Some(meta) => {
            let have = once(members(meta, &["traceparent"])?)?;
            if have.values[0].is_some() || have.is_null[0] {
                return None;
            }
            (meta, have.is_empty, entry)
        }
        None => (params, inside.is_empty, format!("\"_meta\":{{{entry}}}")),
    };
    let comma = if is_empty { "" } else { "," };
    let begin = offset(text, object)? + 1;
    Some(spliced(text, begin, &format!("{entry}{comma}")))
}

fn once<const N: usize>(members: Members<'_, N>) -> Option<Members<'_, N>> {
    (!members.is_repeated).then_some(members)
}

/// Where `part`, a slice of `text`, begins in it.
fn offset(text: &str, part: &str) -> Option<usize> {
    let at = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    (text.get(at..)?.starts_with(part)).then_some(at)
}

fn spliced(text: &str, at: usize, insert: &str) -> Vec<u8> {
    [
        &text.as_bytes()[..at],
        insert.as_bytes(),
        &text.as_bytes()[at..],
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_validated_and_lower_cased() {
        let parsed = TraceParent::parse(&PARENT.to_uppercase()).unwrap();
        assert_eq!(parsed.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parsed.span_id, "00f067aa0ba902b7");
        assert!(TraceParent::parse(&format!("{PARENT}-more").replacen("00", "cc", 1)).is_some());
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }

    /// `|` marks the place in `line`; the bytes around it must stay.
    #[track_caller]
    fn check(line: &str, insert: &str) {
        let (before, after) = line.split_once('|').unwrap();
        let sent = format!("{before}{after}");
        let found = inject(sent.as_bytes(), PARENT).map(|line| String::from_utf8(line).unwrap());
        let insert = insert.replace("PARENT", &format!("\"traceparent\":\"{PARENT}\""));
        assert_eq!(found, Some(format!("{before}{insert}{after}")));
    }

    #[test]
    fn a_traceparent_is_put_in_and_nothing_else_changes() {
        check(
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"|}\n",
            ",\"params\":{\"_meta\":{PARENT}}",
        );
        check(
            "{ \"params\" : {|  \"n\": 1.50 , \"b\":1e3}, \"method\":\"x\",\"id\":\"a\" } \r\n",
            "\"_meta\":{PARENT},",
        );
        check(
            "{\"id\":1,\"method\":\"x\",\"params\":{|}}",
            "\"_meta\":{PARENT}",
        );
        check(
            "{\"id\":1,\"method\":\"x\",\"params\":{\"_meta\":{|}}}",
            "PARENT",
        );
        check(
            "{\"id\":1,\"method\":\"x\",\"p\\u0061rams\":{\"a\":\"{\",\"_meta\":{|\"progressToken\":7}}}",
            "PARENT,",
        );
    }

    #[test]
    fn what_cannot_be_rewritten_safely_stays() {
        for line in [
            "",
            "not json",
            "[{\"id\":1,\"method\":\"x\"}]",
            "{\"method\":\"notifications/initialized\"}",
            "{\"id\":1,\"result\":{}}",
            "{\"id\":1,\"method\":\"x\",\"params\":[1]}",
            "{\"id\":1,\"method\":\"x\",\"params\":null}",
            "{\"id\":1,\"method\":\"x\",\"params\":{},\"params\":{}}",
            "{\"id\":1,\"method\":\"x\",\"params\":{\"_meta\":{},\"_meta\":{}}}",
            "{\"id\":1,\"method\":\"x\",\"params\":{\"_meta\":7}}",
            "{\"id\":1,\"method\":\"x\",\"params\":{\"_meta\":null}}",
            "{\"id\":1,\"method\":\"x\",\"params\":{\"_meta\":{\"traceparent\":\"other\"}}}",
            "{\"id\":1,\"method\":\"x\"} trailing",
        ] {
            assert_eq!(inject(line.as_bytes(), PARENT), None, "{line}");
        }
        assert_eq!(inject(b"{\"id\":1,\"method\":\"x\"}", "bad\"}"), None);
        assert_eq!(inject(b"{\"id\":1,\"method\":\"\xff\"}", PARENT), None);
    }
}
