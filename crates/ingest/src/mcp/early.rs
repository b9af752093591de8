//! Answers that came before the end of what may be their request.
//!
//! A request is heard when its line or body ends. A server that reads JSON as it comes may answer
//! one that has no end yet: its client writes the end of the line apart, or leaves a body open. Who
//! is asked cannot answer before the first byte of the request, so an answer is held only while
//! something of the other side is unfinished, and until that ends, but not for long.
use super::{EARLY_ANSWERS_MAX, EARLY_BYTES_MAX};
use taffrail_model::time::Timestamp;

/// An answer as it came.
#[derive(Debug)]
pub(super) struct EarlyAnswer {
    pub(super) time: Timestamp,
    pub(super) text: Box<str>,
}

/// Answers of one direction, in order.
#[derive(Debug, Default)]
pub(super) struct EarlyAnswers {
    held: Vec<EarlyAnswer>,
    bytes: usize,
}

impl EarlyAnswers {
    /// Holds an answer, if there is room; whether there is.
    pub(super) fn hold(&mut self, time: Timestamp, text: &str) -> bool {
        let bytes = self.bytes + text.len();
        let has_room = self.held.len() < EARLY_ANSWERS_MAX && bytes <= EARLY_BYTES_MAX;
        if has_room {
            self.bytes = bytes;
            self.held.push(EarlyAnswer {
                time,
                text: text.into(),
            });
        }
        has_room
    }

    /// Gives back all that are held.
    pub(super) fn take(&mut self) -> Vec<EarlyAnswer> {
        self.bytes = 0;
        std::mem::take(&mut self.held)
    }

    /// Gives back those that came until then.
    pub(super) fn take_until(&mut self, time: Timestamp) -> Vec<EarlyAnswer> {
        let count = self.held.partition_point(|early| early.time <= time);
        let taken: Vec<EarlyAnswer> = self.held.drain(..count).collect();
        self.bytes -= taken.iter().map(|early| early.text.len()).sum::<usize>();
        taken
    }
}
