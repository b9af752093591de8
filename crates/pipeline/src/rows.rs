//! Rows of a batch on their way through the stages: which are taken, which stream each is for.
use std::sync::Arc;
use taffrail_model::{
    batch::{Reject, RejectKind},
    stream::StreamDefinition,
};

/// Which rows are still in, and why the others are not.
pub(crate) struct Rows {
    indexes: Vec<u32>,
    is_out: Vec<bool>,
    out_count: usize,
    rejects: Vec<Reject>,
}

impl Rows {
    /// All rows of a batch; `indexes` are their places in the request.
    pub(crate) fn new(count: u32, indexes: Vec<u32>, rejects: Vec<Reject>) -> Rows {
        Rows {
            indexes,
            is_out: vec![false; count as usize],
            out_count: 0,
            rejects,
        }
    }

    /// Takes a row out. A row that is out already keeps its first reason.
    pub(crate) fn reject(&mut self, row: u32, kind: RejectKind, detail: String) {
        let at = row as usize;
        if std::mem::replace(&mut self.is_out[at], true) {
            return;
        }
        self.out_count += 1;
        self.rejects.push(Reject {
            index: self.indexes.get(at).copied().unwrap_or(row),
            kind,
            detail,
        });
    }

    pub(crate) fn count(&self) -> u32 {
        self.is_out.len() as u32
    }

    pub(crate) fn is_in(&self, row: u32) -> bool {
        !self.is_out[row as usize]
    }

    pub(crate) fn are_all_in(&self) -> bool {
        self.out_count == 0
    }

    /// All rejects by index.
    pub(crate) fn into_rejects(mut self) -> Vec<Reject> {
        self.rejects.sort_by_key(|reject| reject.index);
        self.rejects
    }
}

/// For each row the stream that it is sent on to, if it does not stay.
pub(crate) type Targets = Vec<Option<Arc<StreamDefinition>>>;

/// The stream of each row.
pub(crate) struct Streams<'a> {
    pub(crate) sent_to: &'a StreamDefinition,
    /// Where the routing table and the rules for captured output send a row.
    pub(crate) routed: Option<Targets>,
}

impl Streams<'_> {
    pub(crate) fn of(&self, row: u32) -> &StreamDefinition {
        self.routed
            .as_ref()
            .and_then(|routed| routed[row as usize].as_deref())
            .unwrap_or(self.sent_to)
    }

    /// Whether some row may be for a stream of which `holds` is true.
    pub(crate) fn any(&self, holds: impl Fn(&StreamDefinition) -> bool) -> bool {
        holds(self.sent_to)
            || self
                .routed
                .iter()
                .flatten()
                .flatten()
                .any(|stream| holds(stream))
    }
}
