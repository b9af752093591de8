//! What a run notes of itself in its spool, for the next one to say if it does not end cleanly:
//! it was killed, a second signal ended it, or the disk was too slow for its last records.
use taffrail_model::time::{Timestamp, parse_rfc3339};

/// A run that has not ended; what is not known of it could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Killed {
    /// Its id.
    pub run: Option<String>,
    /// When it had begun.
    begun: Option<Timestamp>,
}

/// What a run notes.
#[must_use]
pub fn note(run: &str, begun: Timestamp) -> String {
    format!("{run} {}", begun.to_rfc3339())
}

impl Killed {
    /// By what it had noted. The note comes from a disk: only what has the form is believed.
    #[must_use]
    pub fn by_note(note: &str) -> Killed {
        let (run, begun) = note.split_once(' ').unwrap_or((note, ""));
        let is_run = run.len() == 32 && run.bytes().all(|byte| byte.is_ascii_hexdigit());
        Killed {
            run: is_run.then(|| run.to_string()),
            begun: parse_rfc3339(begun),
        }
    }

    /// For a person.
    #[must_use]
    pub fn text(&self) -> String {
        let run = match &self.run {
            Some(run) => format!("the run {run}"),
            None => "a run".to_string(),
        };
        let begun = self.begun.map(Timestamp::to_rfc3339);
        let begun = begun.map_or(String::new(), |begun| format!(", begun at {begun},"));
        format!("{run}{begun} did not end cleanly: its last records may be missing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(note: &str, expected: &str) {
        let text = Killed::by_note(note).text();
        let end = "did not end cleanly: its last records may be missing";
        assert_eq!(text, format!("{expected} {end}"));
    }

    #[test]
    fn what_can_be_read_of_a_note_is_said() {
        let run = "0123456789abcdef0123456789abcdef";
        let begun = Timestamp(1_700_000_000_000_000_000);
        let whole = note(run, begun);
        let text = begun.to_rfc3339();
        check(&whole, &format!("the run {run}, begun at {text},"));
        check(run, &format!("the run {run}"));
        check(&format!("{run} then"), &format!("the run {run}"));
        check(&whole[1..], &format!("a run, begun at {text},"));
        check("", "a run");
        check("password=x", "a run");
    }
}
