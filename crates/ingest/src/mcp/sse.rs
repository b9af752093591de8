//! Server-sent events out of a stream, whatever pieces it comes in. Source: the HTML standard,
//! "Server-sent events", as far as MCP uses it: `event` and `data`; ids, retry times and comments
//! are passed over.
use super::MESSAGE_BYTES_MAX;

/// The unfinished event of a stream.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    /// Bytes of the unfinished line, kept or not.
    line_bytes: u64,
    /// The last byte was a CR, so an LF belongs to it.
    is_after_cr: bool,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// Bytes of the event's data, kept or not.
    data_bytes: u64,
    /// Bytes were lost: the event that they are of is, too.
    is_torn: bool,
}

/// An event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event<'a> {
    /// Its name; empty for a plain message.
    pub(super) name: &'a [u8],
    pub(super) data: &'a [u8],
    /// Bytes of its data; more than there are in `data` if it is too long.
    pub(super) data_bytes: u64,
}

impl Events {
    /// Takes bytes and gives every event that they end to `each`.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(Event<'_>)) {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.is_after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) else {
                return self.keep(bytes);
            };
            self.keep(&bytes[..end]);
            self.is_after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            self.end_line(&mut each);
        }
    }

    /// Bytes are missing here.
    pub(super) fn tear(&mut self) {
        *self = Events {
            is_torn: true,
            ..Events::default()
        };
    }

    /// Bytes that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        self.line.len() + self.data.len()
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MESSAGE_BYTES_MAX.saturating_sub(self.held_bytes());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.line_bytes += bytes.len() as u64;
    }

    fn end_line(&mut self, each: &mut impl FnMut(Event<'_>)) {
        let bytes = std::mem::take(&mut self.line_bytes);
        if bytes == 0 {
            return self.end_event(each);
        }
        let line = std::mem::take(&mut self.line);
        let start = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
        let colon = memchr::memchr(b':', start).unwrap_or(start.len());
        let value = start.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &start[..colon] {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                    self.data_bytes += 1;
                }
                self.has_data = true;
                self.data_bytes += bytes - (line.len() - value.len()) as u64;
                self.data.extend_from_slice(value);
            }
            b"event" => self.name = value.to_vec(),
            _ => {}
        }
    }

    fn end_event(&mut self, each: &mut impl FnMut(Event<'_>)) {
        if self.has_data && !self.is_torn {
            each(Event {
                name: &self.name,
                data: &self.data,
                data_bytes: self.data_bytes,
            });
        }
        *self = Events {
            is_after_cr: self.is_after_cr,
            ..Events::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut events = Events::default();
        let mut found = Vec::new();
        for piece in pieces {
            events.push(piece, |event| {
                assert_eq!(event.data_bytes, event.data.len() as u64);
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                found.push((text(event.name), text(event.data)));
            });
        }
        found
    }

    /// However the stream is cut.
    #[track_caller]
    fn check(stream: &str, expected: &[(&str, &str)]) {
        let bytes = stream.as_bytes();
        let expected: Vec<_> = expected
            .iter()
            .map(|(a, b)| (a.to_string(), b.to_string()))
            .collect();
        assert_eq!(found(&[bytes]), expected);
        assert_eq!(found(&bytes.chunks(1).collect::<Vec<_>>()), expected);
        for at in 0..bytes.len() {
            assert_eq!(found(&[&bytes[..at], &bytes[at..]]), expected);
        }
    }

    #[test]
    fn events_have_a_name_and_data() {
        check("data: {}\n\n", &[("", "{}")]);
        check(
            "event: message\r\nid: 7\r\ndata: {\r\ndata:  1}\r\n\r\n",
            &[("message", "{\n 1}")],
        );
        check("\u{feff}data:a\r\rdata:b\r\r", &[("", "a"), ("", "b")]);
        check(
            ": keep-alive\n\nretry: 5\n\nevent: endpoint\ndata: /m?s=1\n\ndata: half",
            &[("endpoint", "/m?s=1")],
        );
        check("event: x\n\ndata\n\n", &[("", "")]);
    }

    #[test]
    fn what_is_torn_or_too_long_is_known() {
        let mut events = Events::default();
        events.push(b"data: {\"a\"", |_| unreachable!());
        events.tear();
        events.push(b":1}\n\n", |_| unreachable!());
        let mut sizes = Vec::new();
        events.push(b"data: ", |_| unreachable!());
        events.push(&vec![b'x'; MESSAGE_BYTES_MAX], |_| unreachable!());
        assert_eq!(events.held_bytes(), MESSAGE_BYTES_MAX);
        events.push(b"\n\n", |event| {
            sizes.push((event.data.len(), event.data_bytes))
        });
        assert_eq!(sizes, [(MESSAGE_BYTES_MAX - 6, MESSAGE_BYTES_MAX as u64)]);
    }
}
