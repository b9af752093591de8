//! Reads: search, histogram, facets, fields, context. Each is a [`ScanRequest`] with the row
//! policy of the principal who asks.
//!
//! Methods work on the CPU until they are done, cancelled or past the deadline: call them from a
//! thread that may block.
use crate::Engine;
use jiff::tz::TimeZone;
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};
use taffrail_model::{
    access::{Principal, RowPolicy},
    column::FieldName,
    id::RecordId,
    limits::{PAGE_BYTES_MAX, QUERY_DURATION_MS_MAX},
    stream::{StreamCatalogue, StreamNumber},
    time::TimeRange,
};
use taffrail_query::{
    AsOf, Completeness, ContextResult, CursorError, Expr, Facet, FieldSummary, Histogram, Order,
    Output, Page, ParseError, Query, RowsOutput, ScanError, ScanOutput, ScanRequest,
    StreamSelection, Table, literal_words, output_for, parse, parse_filter,
};

/// Which records are asked for: what all reads have in common.
#[derive(Clone, Debug)]
pub struct Question {
    /// Query text in the search language; empty: everything.
    pub query: String,
    /// Literal words, all of them, in any order, beside the query.
    pub words: String,
    /// Further conditions, beside the query.
    pub conditions: Vec<Expr>,
    /// Stream names and patterns; empty: all that may be read but the product's own events.
    pub streams: Vec<String>,
    /// Times.
    pub range: TimeRange,
    /// Zone of the query's times that do not say theirs.
    pub zone: TimeZone,
    /// What the records and relative times are as of; `None`: all that is there, now.
    pub as_of: Option<AsOf>,
    /// Set when nobody waits for the answer any more.
    pub cancelled: Arc<AtomicBool>,
}

impl Default for Question {
    /// Everything.
    fn default() -> Question {
        Question {
            query: String::new(),
            words: String::new(),
            conditions: Vec::new(),
            streams: Vec::new(),
            range: TimeRange::ALL,
            zone: TimeZone::UTC,
            as_of: None,
            cancelled: Arc::default(),
        }
    }
}

/// Which page of the records.
#[derive(Clone, Debug)]
pub struct PageQuestion {
    /// Order of the records.
    pub order: Order,
    /// How many; 0 with `is_counted` only counts.
    pub limit: usize,
    /// How many to pass over.
    pub offset: usize,
    /// Cursor of the page before.
    pub cursor: Option<String>,
    /// Fields to return; `None`: all.
    pub fields: Option<Vec<FieldName>>,
    /// Whether the exact total is wanted.
    pub is_counted: bool,
}

/// An answer and whether it lacks something.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// Whether rows may be missing, and why.
    pub completeness: Completeness,
    /// What was looked at: another question as of this counts the same records.
    pub as_of: AsOf,
}

/// Why a read gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The query text is faulty.
    #[error(transparent)]
    Query(#[from] ParseError),
    /// A stream pattern names nothing that the caller may read.
    #[error("no stream is named {name:?}; the nearest names are {}", nearest.join(", "))]
    UnknownStream {
        /// The pattern.
        name: String,
        /// Names that are near and may be read.
        nearest: Vec<String>,
    },
    /// The cursor cannot be read.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The scan gave no answer.
    #[error(transparent)]
    Scan(#[from] ScanError),
}

impl Engine {
    /// A page of records.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn search(
        &self,
        principal: &Principal,
        question: &Question,
        page: &PageQuestion,
    ) -> Result<Answer<Page>, ReadError> {
        let output = Output::Rows(RowsOutput {
            order: page.order,
            limit: page.limit,
            offset: page.offset,
            cursor: page.cursor.as_deref().map(str::parse).transpose()?,
            fields: page.fields.clone(),
            bytes_max: PAGE_BYTES_MAX,
            count: page.is_counted,
        });
        self.read(principal, question, output, |output| match output {
            ScanOutput::Rows(page) => Some(page),
            _ => None,
        })
    }

    /// What the pipes of the question's query make of the records.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn table(
        &self,
        principal: &Principal,
        question: &Question,
    ) -> Result<Answer<Table>, ReadError> {
        let Query { filter, pipes, .. } = parse(&question.query)?;
        let mut filtered = Question {
            query: String::new(),
            ..question.clone()
        };
        filtered.conditions.push(filter);
        let catalogue = self.catalogue();
        self.read(principal, &filtered, output_for(&pipes), |output| {
            Table::new(&pipes, output, &catalogue)
        })
    }

    /// How many records match.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn count(
        &self,
        principal: &Principal,
        question: &Question,
    ) -> Result<Answer<u64>, ReadError> {
        self.read(principal, question, Output::Count, |output| match output {
            ScanOutput::Count(count) => Some(count),
            _ => None,
        })
    }

    /// Earliest and latest time of the records that match; `None` if there are none.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn time_extent(
        &self,
        principal: &Principal,
        question: &Question,
    ) -> Result<Answer<Option<TimeRange>>, ReadError> {
        self.read(
            principal,
            question,
            Output::TimeExtent,
            |output| match output {
                ScanOutput::TimeExtent(extent) => Some(extent),
                _ => None,
            },
        )
    }

    /// Counts by time, and by the values of a field.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn histogram(
        &self,
        principal: &Principal,
        question: &Question,
        interval_ns: i64,
        by: Option<FieldName>,
    ) -> Result<Answer<Histogram>, ReadError> {
        let output = Output::Histogram { interval_ns, by };
        self.read(principal, question, output, |output| match output {
            ScanOutput::Histogram(histogram) => Some(histogram),
            _ => None,
        })
    }

    /// The most frequent values of fields.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn facets(
        &self,
        principal: &Principal,
        question: &Question,
        fields: Vec<FieldName>,
        limit: usize,
    ) -> Result<Answer<Vec<Facet>>, ReadError> {
        let output = Output::Facets { fields, limit };
        self.read(principal, question, output, |output| match output {
            ScanOutput::Facets(facets) => Some(facets),
            _ => None,
        })
    }

    /// The fields that matching records have.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn fields(
        &self,
        principal: &Principal,
        question: &Question,
    ) -> Result<Answer<Vec<FieldSummary>>, ReadError> {
        self.read(principal, question, Output::Fields, |output| match output {
            ScanOutput::Fields(fields) => Some(fields),
            _ => None,
        })
    }

    /// A record with those around it in its stream; none if there is no such record that the
    /// principal may see.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn context(
        &self,
        principal: &Principal,
        id: RecordId,
        before: usize,
        after: usize,
        is_same_source: bool,
    ) -> Result<ContextResult, ReadError> {
        // A record is found by its id whatever its stream: the stream is in the id.
        let request = self
            .request(principal, &Question::default(), Output::Count)?
            .with_streams(StreamSelection::Only(vec![id.stream]));
        let found = taffrail_query::context(
            &request,
            &self.snapshot(),
            id,
            before,
            after,
            is_same_source,
        )?;
        self.report(&found.completeness);
        Ok(found)
    }

    fn read<T>(
        &self,
        principal: &Principal,
        question: &Question,
        output: Output,
        pick: impl FnOnce(ScanOutput) -> Option<T>,
    ) -> Result<Answer<T>, ReadError> {
        let request = self.request(principal, question, output)?;
        self.run(&request, pick)
    }

    pub(crate) fn run<T>(
        &self,
        request: &ScanRequest,
        pick: impl FnOnce(ScanOutput) -> Option<T>,
    ) -> Result<Answer<T>, ReadError> {
        let result = taffrail_query::execute(request, &self.snapshot())?;
        self.report(&result.completeness);
        // A scan answers with the variant that it was asked for; anything else is its defect, and
        // is told as a query that was cut off rather than as an empty answer.
        let value = pick(result.output).ok_or(ReadError::Scan(ScanError::Cancelled))?;
        Ok(Answer {
            value,
            completeness: result.completeness,
            as_of: AsOf {
                watermark: result.watermark,
                moment: request.moment(),
            },
        })
    }

    /// Tells the store what a scan could not read, so that health shows it.
    fn report(&self, completeness: &Completeness) {
        for fault in &completeness.faults {
            self.inner.store.report_fault(fault.clone());
        }
    }

    /// The streams of which the principal may read something.
    #[must_use]
    pub fn readable_streams(&self, principal: &Principal) -> Vec<StreamNumber> {
        let policy = self.read_policy(principal, &self.catalogue());
        policy.streams().collect()
    }

    fn read_policy(&self, principal: &Principal, catalogue: &StreamCatalogue) -> RowPolicy {
        principal.read_policy(catalogue, &self.inner.instances.gone(self.now()))
    }

    /// The one place where a question becomes a scan, with the principal's row policy.
    pub(crate) fn request(
        &self,
        principal: &Principal,
        question: &Question,
        output: Output,
    ) -> Result<ScanRequest, ReadError> {
        let catalogue = self.catalogue();
        let policy = self.read_policy(principal, &catalogue);
        let readable: Vec<StreamNumber> = policy.streams().collect();
        let streams = streams(&catalogue, &readable, &question.streams)?;
        let mut conditions = question.conditions.clone();
        if !question.query.trim().is_empty() {
            conditions.push(parse_filter(&question.query)?);
        }
        if !question.words.trim().is_empty() {
            conditions.push(literal_words(&question.words)?);
        }
        let deadline = Instant::now() + Duration::from_millis(QUERY_DURATION_MS_MAX);
        let now = self.now();
        let as_of = question.as_of.unwrap_or(AsOf::newest(now));
        Ok(ScanRequest::new(policy, catalogue, now, output)
            .with_as_of(as_of)
            .with_streams(streams)
            .with_range(question.range)
            .with_zone(question.zone.clone())
            .with_predicate(Expr::all_of(conditions))
            .with_deadline(deadline)
            .with_memory(self.inner.aggregate_memory.clone())
            .with_cancel(question.cancelled.clone()))
    }
}

fn streams(
    catalogue: &StreamCatalogue,
    readable: &[StreamNumber],
    patterns: &[String],
) -> Result<StreamSelection, ReadError> {
    if patterns.is_empty() {
        return Ok(StreamSelection::Default);
    }
    let mut numbers = Vec::new();
    for pattern in patterns {
        let before = numbers.len();
        numbers.extend(
            catalogue
                .matching(pattern)
                .map(|stream| stream.number)
                .filter(|number| readable.contains(number)),
        );
        if numbers.len() == before {
            let nearest = catalogue
                .nearest(pattern)
                .into_iter()
                .filter(|near| {
                    catalogue
                        .by_name(near)
                        .is_some_and(|stream| readable.contains(&stream.number))
                })
                .map(|near| near.to_string())
                .collect();
            return Err(ReadError::UnknownStream {
                name: pattern.clone(),
                nearest,
            });
        }
    }
    numbers.sort();
    numbers.dedup();
    Ok(StreamSelection::Only(numbers))
}
