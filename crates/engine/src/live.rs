//! Live tail: every matching record once, in order of arrival, from its acknowledgement on.
//!
//! A tail keeps no buffer of records: it keeps the position up to which it has given them out, and
//! reads on from there when its client is ready for more. A client that does not read holds
//! nothing but that number. One that falls further behind than the lag allows loses the oldest
//! records, which are counted and said.
use crate::{
    Engine,
    read::{Question, ReadError},
};
use taffrail_model::{access::Principal, position::Position};
use taffrail_query::{Order, Output, Row, RowsOutput, ScanOutput, ScanRequest};
use taffrail_storage::snapshot::Fault;
use tokio::sync::watch;

/// Records given out at once: bounds what one client has in memory, and how long one scan takes.
const PAGE_RECORDS: usize = 1_000;
/// Positions that a client may be behind (default): at full ingest some tenths of a second, at
/// the pace of a person's log minutes.
pub const LAG_POSITIONS_MAX: u64 = 200_000;
/// Records of the backlog that a client may ask for.
pub const BACKLOG_RECORDS_MAX: usize = 10_000;

/// What a tail gives out.
#[derive(Clone, Debug)]
pub enum LiveEvent {
    /// Records in order of arrival (the backlog: in order of time).
    Records(Vec<Row>),
    /// So many matching records were passed over, because the client was too far behind.
    Dropped(u64),
    /// Something cannot be read; named once each time that it is met.
    Faults(Vec<Fault>),
}

/// A live tail of one client.
pub struct LiveTail {
    engine: Engine,
    principal: Principal,
    question: Question,
    backlog: usize,
    given_out: Position,
    lag_positions_max: u64,
    watermark: watch::Receiver<u64>,
}

impl Engine {
    /// Begins a live tail: the latest `backlog` records, then new ones; or, with the position of a
    /// [`LiveTail::cursor`], what came after it.
    ///
    /// # Errors
    /// [`ReadError`] if the question cannot be asked.
    pub fn live_tail(
        &self,
        principal: &Principal,
        question: Question,
        backlog: usize,
        cursor: Option<Position>,
    ) -> Result<LiveTail, ReadError> {
        self.request(principal, &question, Output::Count)?;
        let watermark = self.inner.watermark.clone();
        // A cursor from a data directory that was restored since may lie ahead.
        let newest = self.snapshot().watermark();
        Ok(LiveTail {
            engine: self.clone(),
            principal: principal.clone(),
            question,
            backlog: if cursor.is_some() {
                0
            } else {
                backlog.min(BACKLOG_RECORDS_MAX)
            },
            given_out: cursor.map_or(newest, |cursor| cursor.min(newest)),
            lag_positions_max: LAG_POSITIONS_MAX,
            watermark,
        })
    }
}

impl LiveTail {
    /// The same tail with another bound on how far a client may be behind.
    #[must_use]
    pub fn with_lag_positions_max(mut self, positions: u64) -> LiveTail {
        self.lag_positions_max = positions;
        self
    }

    /// Everything up to this position has been given out or counted as dropped.
    #[must_use]
    pub fn cursor(&self) -> Position {
        self.given_out
    }

    /// Goes on with what the principal may see now.
    pub fn set_principal(&mut self, principal: Principal) {
        self.principal = principal;
    }

    /// Waits for the next records. Dropping the future loses nothing: the position moves only
    /// when an event is returned.
    ///
    /// # Errors
    /// [`ReadError`] if the scan fails, or the store was closed.
    pub async fn next(&mut self) -> Result<LiveEvent, ReadError> {
        if self.backlog > 0 {
            return self.first().await;
        }
        loop {
            let newest = Position(*self.watermark.borrow_and_update());
            if newest > self.given_out {
                if let Some(event) = self.step(newest).await? {
                    return Ok(event);
                }
            } else if self.watermark.changed().await.is_err() {
                return Err(ReadError::Scan(taffrail_query::ScanError::Cancelled));
            }
        }
    }

    async fn first(&mut self) -> Result<LiveEvent, ReadError> {
        let output = RowsOutput {
            limit: self.backlog,
            ..RowsOutput::default()
        };
        let request = self
            .request(Output::Rows(output))?
            .with_positions(Position::ZERO, self.given_out);
        let (mut rows, _, _) = self.rows(request).await?;
        rows.reverse();
        self.backlog = 0;
        Ok(LiveEvent::Records(rows))
    }

    /// Looks at what lies between the position given out and `newest`; `None` if nothing matches.
    async fn step(&mut self, newest: Position) -> Result<Option<LiveEvent>, ReadError> {
        let oldest = Position(newest.0.saturating_sub(self.lag_positions_max));
        if self.given_out < oldest {
            let request = self
                .request(Output::Count)?
                .with_positions(self.given_out, oldest);
            let engine = self.engine.clone();
            let dropped = blocking(move || {
                engine.run(&request, |output| match output {
                    ScanOutput::Count(count) => Some(count),
                    _ => None,
                })
            })
            .await?
            .value;
            self.given_out = oldest;
            return Ok((dropped > 0).then_some(LiveEvent::Dropped(dropped)));
        }
        let output = RowsOutput {
            order: Order::Arrival,
            limit: PAGE_RECORDS,
            ..RowsOutput::default()
        };
        let request = self
            .request(Output::Rows(output))?
            .with_positions(self.given_out, newest);
        let (rows, is_last, faults) = self.rows(request).await?;
        self.given_out = match rows.last() {
            Some(row) if !is_last => row.key.position,
            _ => newest,
        };
        if !rows.is_empty() {
            return Ok(Some(LiveEvent::Records(rows)));
        }
        Ok((!faults.is_empty()).then_some(LiveEvent::Faults(faults)))
    }

    fn request(&self, output: Output) -> Result<ScanRequest, ReadError> {
        self.engine.request(&self.principal, &self.question, output)
    }

    /// The rows of a request, whether there are no more, and what cannot be read.
    async fn rows(&self, request: ScanRequest) -> Result<(Vec<Row>, bool, Vec<Fault>), ReadError> {
        let engine = self.engine.clone();
        let answer = blocking(move || {
            engine.run(&request, |output| match output {
                ScanOutput::Rows(page) => Some(page),
                _ => None,
            })
        })
        .await?;
        let is_last = answer.value.cursor.is_none();
        Ok((answer.value.rows, is_last, answer.completeness.faults))
    }
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    match tokio::task::spawn_blocking(read).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ReadError::Scan(taffrail_query::ScanError::Cancelled)),
    }
}
