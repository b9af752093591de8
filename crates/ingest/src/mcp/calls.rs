//! Requests that wait for their answer, of one direction.
//!
//! A request whose id is taken waits behind the one that has it; answers go to the one that came
//! first. A request that was cancelled, or that has been recorded as unanswered, stays as long as
//! nothing takes its id, so that a late answer is known as one.
use super::{PENDING_BYTES_MAX, PENDING_REQUESTS_MAX, id::Id, traceparent::TraceParent};
use std::collections::{BTreeMap, HashMap};
use taffrail_model::time::Timestamp;

/// Order in which requests came; unique in a direction.
pub(super) type Sequence = u64;

/// What is fixed besides texts: the struct, its place in the maps.
const CALL_BYTES: usize = 512;

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) id: Id,
    pub(super) method: String,
    pub(super) target: Option<Target>,
    pub(super) started: Timestamp,
    /// When it was last heard of: begun, or progress.
    pub(super) active: Timestamp,
    pub(super) request_bytes: u64,
    pub(super) arguments_bytes: u64,
    /// Text of the arguments and whether it was cut, if contents are kept.
    pub(super) arguments: Option<(String, bool)>,
    pub(super) token: Option<Id>,
    pub(super) progress: Progress,
    /// Notifications of a subscription.
    pub(super) notifications: u64,
    pub(super) trace: Option<TraceParent>,
    pub(super) protocol_version: Option<String>,
    pub(super) client: Option<Software>,
    pub(super) jsonrpc_version: Option<String>,
    /// Set once it is recorded.
    pub(super) closed: Option<Closed>,
    /// Whether it was sent before the server was started that is to answer it.
    is_handed_on: bool,
    next: Option<Sequence>,
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Tool(String),
    Prompt(String),
    Resource(String),
}

/// Progress so far; numbers as they were said.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) count: u64,
    pub(super) last: Option<String>,
    pub(super) total: Option<String>,
}

/// Why a request is recorded though its answer has not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    Cancelled,
    Overdue,
}

/// Name and version of a client or server, as it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Software {
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
}

impl Call {
    pub(super) fn new(id: Id, method: String, started: Timestamp) -> Call {
        Call {
            id,
            method,
            target: None,
            started,
            active: started,
            request_bytes: 0,
            arguments_bytes: 0,
            arguments: None,
            token: None,
            progress: Progress::default(),
            notifications: 0,
            trace: None,
            protocol_version: None,
            client: None,
            jsonrpc_version: None,
            closed: None,
            is_handed_on: false,
            next: None,
        }
    }

    /// A request whose answer is the end of a stream of notifications.
    pub(super) fn is_subscription(&self) -> bool {
        self.method == "subscriptions/listen"
    }

    fn bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let target = match &self.target {
            Some(Target::Tool(name) | Target::Prompt(name) | Target::Resource(name)) => name.len(),
            None => 0,
        };
        let client = self.client.as_ref();
        CALL_BYTES
            + self.id.text().len()
            + self.token.as_ref().map_or(0, |token| token.text().len())
            + self.method.len()
            + target
            + self.arguments.as_ref().map_or(0, |(text, _)| text.len())
            + text(&self.protocol_version)
            + client.map_or(0, |client| text(&client.name) + text(&client.version))
    }
}

/// The first and the last request of an id.
#[derive(Clone, Copy, Debug)]
struct Chain {
    first: Sequence,
    last: Sequence,
}

/// Requests of one direction.
#[derive(Debug, Default)]
pub(super) struct Calls {
    by_sequence: BTreeMap<Sequence, (Call, usize)>,
    by_id: HashMap<Id, Chain>,
    by_token: HashMap<Id, Sequence>,
    next: Sequence,
    bytes: usize,
}

impl Calls {
    /// Adds a request. Returns whether its id was taken, and every request that had to go for it.
    pub(super) fn add(&mut self, call: Call) -> (bool, Vec<Call>) {
        if let Some(chain) = self.by_id.get(&call.id).copied()
            && self
                .by_sequence
                .get(&chain.first)
                .is_some_and(|(first, _)| first.closed.is_some())
        {
            self.remove(chain.first);
        }
        let sequence = self.next;
        self.next += 1;
        if let Some(token) = &call.token {
            self.by_token.insert(token.clone(), sequence);
        }
        let is_taken = match self.by_id.get_mut(&call.id) {
            Some(chain) => {
                if let Some((last, _)) = self.by_sequence.get_mut(&chain.last) {
                    last.next = Some(sequence);
                }
                chain.last = sequence;
                true
            }
            None => {
                let chain = Chain {
                    first: sequence,
                    last: sequence,
                };
                self.by_id.insert(call.id.clone(), chain);
                false
            }
        };
        let bytes = call.bytes();
        self.bytes += bytes;
        self.by_sequence.insert(sequence, (call, bytes));
        (is_taken, self.make_room())
    }

    fn make_room(&mut self) -> Vec<Call> {
        let mut gone = Vec::new();
        while self.by_sequence.len() > PENDING_REQUESTS_MAX || self.bytes > PENDING_BYTES_MAX {
            let Some((oldest, _)) = self.by_sequence.first_key_value() else {
                break;
            };
            gone.extend(self.remove(*oldest));
        }
        gone
    }

    /// The request that an answer with this id belongs to.
    pub(super) fn first(&mut self, id: &Id) -> Option<(Sequence, &mut Call)> {
        let first = self.by_id.get(id)?.first;
        let (call, _) = self.by_sequence.get_mut(&first)?;
        Some((first, call))
    }

    /// The request that asked for progress under a token.
    pub(super) fn with_token(&mut self, token: &Id) -> Option<&mut Call> {
        let sequence = self.by_token.get(token)?;
        Some(&mut self.by_sequence.get_mut(sequence)?.0)
    }

    pub(super) fn get(&self, sequence: Sequence) -> Option<&Call> {
        Some(&self.by_sequence.get(&sequence)?.0)
    }

    /// Marks a request as recorded.
    pub(super) fn close(&mut self, sequence: Sequence, closed: Closed) {
        let Some((call, _)) = self.by_sequence.get_mut(&sequence) else {
            return;
        };
        call.closed = Some(closed);
        // One that has another behind it would take that one's answer.
        if call.next.is_some() {
            self.remove(sequence);
        }
    }

    /// Takes a request out. It is the first of its id, or the chain is kept as it is.
    pub(super) fn remove(&mut self, sequence: Sequence) -> Option<Call> {
        let (call, bytes) = self.by_sequence.remove(&sequence)?;
        self.bytes -= bytes;
        if let Some(token) = &call.token
            && self.by_token.get(token) == Some(&sequence)
        {
            self.by_token.remove(token);
        }
        if let Some(chain) = self.by_id.get_mut(&call.id)
            && chain.first == sequence
        {
            match call.next {
                Some(next) => chain.first = next,
                None => drop(self.by_id.remove(&call.id)),
            }
        }
        Some(call)
    }

    /// Requests that are not recorded yet and were last heard of at or before a time, with their
    /// places, oldest first; subscriptions have no time.
    pub(super) fn overdue(&self, active_max: Timestamp) -> Vec<Sequence> {
        self.by_sequence
            .iter()
            .filter(|(_, (call, _))| call.closed.is_none() && call.active <= active_max)
            .filter(|(_, (call, _))| !call.is_subscription())
            .map(|(sequence, _)| *sequence)
            .collect()
    }

    /// Marks all as sent to a former server; how many of them are not recorded yet.
    pub(super) fn hand_on(&mut self) -> u64 {
        let mut open = 0;
        for (call, _) in self.by_sequence.values_mut() {
            call.is_handed_on = true;
            open += u64::from(call.closed.is_none());
        }
        open
    }

    /// The request of an id, if it was sent to a former server and is not recorded yet.
    pub(super) fn handed_on(&self, id: &Id) -> Option<Sequence> {
        let first = self.by_id.get(id)?.first;
        let call = self.get(first)?;
        (call.is_handed_on && call.closed.is_none()).then_some(first)
    }

    /// Whether there is none, recorded ones included.
    pub(super) fn is_empty(&self) -> bool {
        self.by_sequence.is_empty()
    }

    /// Sequence of the next request.
    pub(super) fn next_sequence(&self) -> Sequence {
        self.next
    }

    /// Takes out everything that is not recorded yet, oldest first.
    pub(super) fn drain(&mut self) -> Vec<Call> {
        let all = std::mem::take(self);
        self.next = all.next;
        let calls = all.by_sequence.into_values().map(|(call, _)| call);
        calls.filter(|call| call.closed.is_none()).collect()
    }
}
