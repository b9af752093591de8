//! Live tail: every matching record once, in order of arrival, from its acknowledgement on.
//!
//! A tail keeps no buffer of records: it keeps the position up to which it has given them out, and
//! reads on from there when its client is ready for more. A client that does not read holds that
//! number and the page that it is being sent, of at most [`TAIL_BUFFER_BYTES_MAX`]. One that falls further behind than the lag allows loses the oldest
//! records, which are counted and said.
use crate::{
    Engine,
    read::{Answer, Question, ReadError},
};
use taffrail_model::{access::Principal, limits::TAIL_BUFFER_BYTES_MAX, position::Position};
use taffrail_query::{
    Completeness, Order, Output, Page, Row, RowsOutput, ScanError, ScanOutput, ScanRequest,
};
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
    /// Something cannot be read; each is told once.
    Faults(Vec<Fault>),
}

/// A live tail of one client.
pub struct LiveTail {
    engine: Engine,
    principal: Principal,
    question: Question,
    backlog: usize,
    given_out: Position,
    /// What comes next and the position after it: faults are told before the records beside them.
    next: Option<(LiveEvent, Position)>,
    /// Faults that the client knows of.
    told: Vec<Fault>,
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
            next: None,
            told: Vec::new(),
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

    /// Waits for the next event. Dropping the future loses nothing: the position moves only when
    /// an event is returned.
    ///
    /// # Errors
    /// [`ReadError`] if the scan fails, or the store was closed.
    pub async fn next(&mut self) -> Result<LiveEvent, ReadError> {
        loop {
            if let Some((event, after)) = self.next.take() {
                self.given_out = after;
                return Ok(event);
            }
            let newest = Position(*self.watermark.borrow_and_update());
            if self.backlog > 0 {
                if let Some(event) = self.look_back().await? {
                    return Ok(event);
                }
            } else if newest > self.given_out {
                if let Some(event) = self.look_ahead(newest).await? {
                    return Ok(event);
                }
            } else if self.watermark.changed().await.is_err() {
                return Err(ReadError::Scan(ScanError::Cancelled));
            }
        }
    }

    /// The backlog, once.
    async fn look_back(&mut self) -> Result<Option<LiveEvent>, ReadError> {
        let output = Output::Rows(RowsOutput {
            limit: self.backlog,
            ..RowsOutput::default()
        });
        let request = self
            .request(output)?
            .with_positions(Position::ZERO, self.given_out);
        let answer = self.read(request, page).await?;
        self.backlog = 0;
        let mut rows = answer.value.rows;
        rows.reverse();
        let records = LiveEvent::Records(rows);
        Ok(Some(self.after_faults(
            answer.completeness,
            records,
            self.given_out,
        )))
    }

    /// What lies between the position given out and `newest`; `None` if nothing matches.
    async fn look_ahead(&mut self, newest: Position) -> Result<Option<LiveEvent>, ReadError> {
        let oldest = Position(newest.0.saturating_sub(self.lag_positions_max));
        if self.given_out < oldest {
            return self.pass_over(oldest).await;
        }
        let output = Output::Rows(RowsOutput {
            order: Order::Arrival,
            limit: PAGE_RECORDS,
            bytes_max: TAIL_BUFFER_BYTES_MAX,
            ..RowsOutput::default()
        });
        let request = self.request(output)?.with_positions(self.given_out, newest);
        let answer = self.read(request, page).await?;
        // Where there is more, the page says how far it got, unreadable rows included.
        let after = answer
            .value
            .cursor
            .map_or(newest, |cursor| cursor.after.position);
        if answer.value.rows.is_empty() {
            let faults = self.news(answer.completeness);
            self.given_out = after;
            return Ok((!faults.is_empty()).then_some(LiveEvent::Faults(faults)));
        }
        let records = LiveEvent::Records(answer.value.rows);
        Ok(Some(self.after_faults(answer.completeness, records, after)))
    }

    /// Counts what matches up to `oldest` and goes on from there.
    async fn pass_over(&mut self, oldest: Position) -> Result<Option<LiveEvent>, ReadError> {
        let request = self
            .request(Output::Count)?
            .with_positions(self.given_out, oldest);
        let answer = self
            .read(request, |output| match output {
                ScanOutput::Count(count) => Some(count),
                _ => None,
            })
            .await?;
        if answer.value == 0 {
            let faults = self.news(answer.completeness);
            self.given_out = oldest;
            return Ok((!faults.is_empty()).then_some(LiveEvent::Faults(faults)));
        }
        let dropped = LiveEvent::Dropped(answer.value);
        Ok(Some(self.after_faults(
            answer.completeness,
            dropped,
            oldest,
        )))
    }

    /// `event`, or the faults that the client has not been told of, and then `event`.
    fn after_faults(
        &mut self,
        completeness: Completeness,
        event: LiveEvent,
        after: Position,
    ) -> LiveEvent {
        let faults = self.news(completeness);
        if faults.is_empty() {
            self.given_out = after;
            return event;
        }
        self.next = Some((event, after));
        LiveEvent::Faults(faults)
    }

    /// Faults that the client has not been told of.
    fn news(&mut self, completeness: Completeness) -> Vec<Fault> {
        let faults = completeness.faults.into_iter();
        let news: Vec<_> = faults.filter(|fault| !self.told.contains(fault)).collect();
        self.told.extend_from_slice(&news);
        news
    }

    fn request(&self, output: Output) -> Result<ScanRequest, ReadError> {
        self.engine.request(&self.principal, &self.question, output)
    }

    async fn read<T: Send + 'static>(
        &self,
        request: ScanRequest,
        pick: fn(ScanOutput) -> Option<T>,
    ) -> Result<Answer<T>, ReadError> {
        let engine = self.engine.clone();
        match tokio::task::spawn_blocking(move || engine.run(&request, pick)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ReadError::Scan(ScanError::Cancelled)),
        }
    }
}

fn page(output: ScanOutput) -> Option<Page> {
    match output {
        ScanOutput::Rows(page) => Some(page),
        _ => None,
    }
}
