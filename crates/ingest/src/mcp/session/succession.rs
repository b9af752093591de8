//! What one server leaves to the next that is started in its place, before the same client.
//!
//! The client goes on: what it asked and the old server has not read is read by the new one, which
//! answers it. So its open requests, and the line that it has begun, are the new session's. What
//! the old server asked ends with it: ids of the new one are its own, and may be the same.
use super::{Direction, Ending, Heard, Session, Timestamp};

impl Session {
    /// Ends the session of a server after which another one is started, whose session is returned.
    ///
    /// A request that was handed on is counted by the session that ends it.
    #[must_use]
    pub fn succeed(mut self, now: Timestamp, out: &mut Vec<Heard>) -> Session {
        let (client, server) = (
            Direction::ClientToServer as usize,
            Direction::ServerToClient as usize,
        );
        let mut next = Session::new(self.options.clone());
        // The client speaks the protocol on, whether or not the new server ever does.
        next.is_mcp = self.is_mcp;
        next.is_successor = true;
        // The server's last words are heard while the client's requests are still here.
        self.finish_line(Direction::ServerToClient, now);
        self.settle(Direction::ServerToClient);
        next.lines[client] = std::mem::take(&mut self.lines[client]);
        next.early_answers[server] = std::mem::take(&mut self.early_answers[server]);
        next.calls[client] = std::mem::take(&mut self.calls[client]);
        let handed_on = next.calls[client].hand_on();
        self.counts.requests = self.counts.requests.saturating_sub(handed_on);
        next.counts.requests = handed_on;
        // The client may still answer what is told as unanswered here.
        let has_asked = !self.calls[server].is_empty();
        next.is_incomplete = self.is_incomplete || has_asked;
        self.finish(now, out);
        next
    }

    /// Ends a request that a former server was asked and nothing answered: the client has given its
    /// id to another one, which it may after a restart.
    pub(super) fn end_handed_on(&mut self, direction: Direction, id: &super::Id, time: Timestamp) {
        let calls = &mut self.calls[direction as usize];
        let Some(sequence) = calls.handed_on(id) else {
            return;
        };
        if let Some(call) = calls.remove(sequence) {
            self.tell(call, Ending::unanswered("session_ended"), direction, time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Counts, Options};
    use super::*;

    fn ask(id: u32) -> String {
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}\n")
    }

    /// Requests in the summaries of sessions that ended.
    fn requests(out: &[Heard]) -> Vec<String> {
        let summaries = out.iter().filter_map(|heard| match heard {
            Heard::Record(record) => record.get("mcp.session.requests"),
            Heard::Line(_) => None,
        });
        summaries.map(|value| format!("{value:?}")).collect()
    }

    #[test]
    fn a_request_is_counted_where_it_ends() {
        let answer = |id: u32| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}\n");
        let (now, mut out) = (Timestamp(0), Vec::new());
        let mut session = Session::new(Options::default());
        for id in 1..=3 {
            let text = ask(id);
            session.push(Direction::ClientToServer, now, text.as_bytes(), &mut out);
        }
        let text = answer(1);
        session.push(Direction::ServerToClient, now, text.as_bytes(), &mut out);
        let mut next = session.succeed(now, &mut out);
        let text = answer(2);
        next.push(Direction::ServerToClient, now, text.as_bytes(), &mut out);
        next.finish(now, &mut out);
        let expected = Counts {
            requests: 2,
            answered: 1,
            unanswered: 1,
            ..Counts::default()
        };
        assert_eq!(next.counts(), expected);
        assert_eq!(requests(&out), ["Integer(1)", "Integer(2)"]);
    }

    #[test]
    fn a_server_that_never_speaks_has_a_session_of_the_protocol() {
        let (now, mut out) = (Timestamp(0), Vec::new());
        let mut session = Session::new(Options::default());
        let text = ask(1);
        session.push(Direction::ClientToServer, now, text.as_bytes(), &mut out);
        let mut next = session.succeed(now, &mut out);
        assert!(next.is_mcp());
        let text = b"no protocol\n";
        next.push(Direction::ServerToClient, now, text, &mut out);
        next.finish(now, &mut out);
        let expected = Counts {
            requests: 1,
            unanswered: 1,
            violations: 1,
            ..Counts::default()
        };
        assert_eq!(next.counts(), expected);
        assert_eq!(requests(&out), ["Integer(0)", "Integer(1)"]);
    }

    #[test]
    fn a_server_that_was_never_started_has_no_summary() {
        let (now, mut out) = (Timestamp(0), Vec::new());
        let mut session = Session::new(Options::default());
        let text = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n";
        session.push(Direction::ClientToServer, now, text.as_bytes(), &mut out);
        session.succeed(now, &mut out).finish(now, &mut out);
        assert_eq!(requests(&out), ["Integer(0)"]);
    }
}
