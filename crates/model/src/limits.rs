//! Every limit of the product that input can reach, with its reason. Past one, the input gets an
//! error that names the limit; nothing else is lost with it.

/// Bytes of one record as it came, in bytes. Larger texts belong in an artifact store.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// Bytes of one batch after decompression: bounds the memory of one request.
pub const BATCH_BYTES_MAX: usize = 64 << 20;
/// Decompressed bytes per compressed byte, above [`DECOMPRESSION_RATIO_FLOOR_BYTES`]: real logs
/// stay below 100, a bomb is above 1,000.
pub const DECOMPRESSION_RATIO_MAX: usize = 400;
/// Decompressed bytes up to which the ratio is not looked at: small bodies of blanks are harmless.
pub const DECOMPRESSION_RATIO_FLOOR_BYTES: usize = 1 << 20;
/// Records of one batch: a record of two bytes costs a hundred in columns, so bytes alone do not
/// bound the memory of one request.
pub const RECORDS_PER_BATCH_MAX: usize = 1_000_000;
/// Levels of nesting of a record, itself included.
pub const NESTING_DEPTH_MAX: usize = 32;
/// Bytes of a flattened field name.
pub const FIELD_NAME_BYTES_MAX: usize = 256;
/// Attribute columns of a stream and day; what is beyond is kept in [`crate::field::OVERFLOW`].
pub const FIELDS_PER_STREAM_DAY_MAX: usize = 1_000;
/// Columns of one batch as it is decoded: bounds memory where every record has names of its own;
/// eight times what one stream and day keeps. What is beyond goes to [`crate::field::OVERFLOW`].
pub const COLUMNS_PER_BATCH_MAX: usize = 8_192;
/// Streams and days of one batch: each is a frame of the log and later a section of a segment,
/// which cost a thousand bytes however few records they hold. More than a year of days.
pub const PARTITIONS_PER_BATCH_MAX: usize = 400;
/// Records of one batch that may be rejected one by one: bounds the answer. Past it the whole
/// batch is refused, since it is not what its sender thinks it is.
pub const REJECTS_PER_BATCH_MAX: usize = 100_000;
/// How far ahead of receipt a timestamp may be before the receive time replaces it, in seconds.
pub const TIMESTAMP_AHEAD_MAX_S: i64 = 3_600;
/// Bytes of an `Idempotency-Key`: a UUID or hash with a prefix fits, a payload does not.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// How long an idempotency key is remembered, in seconds (24 h).
pub const IDEMPOTENCY_KEPT_S: i64 = 86_400;
/// How many idempotency keys are remembered at most; past it the tenant that has the most loses its
/// oldest.
pub const IDEMPOTENCY_KEYS_MAX: usize = 1_000_000;
/// Bytes of a query text: longer ones are programs, not questions.
pub const QUERY_BYTES_MAX: usize = 16 << 10;
/// Nodes of a parsed query: bounds the work for each row.
pub const QUERY_NODES_MAX: usize = 512;
/// Nesting of a query's groups: bounds the parser's stack.
pub const QUERY_DEPTH_MAX: usize = 64;
/// Memory of one compiled regex, in bytes.
pub const REGEX_BYTES_MAX: usize = 2 << 20;
/// Records in one page of an answer.
pub const PAGE_RECORDS_MAX: usize = 10_000;
/// Bytes of one page's records: bounds the memory of an answer. A page that is cut by it has a
/// cursor, so that nothing is out of reach.
pub const PAGE_BYTES_MAX: usize = 8 << 20;
/// How long one read may run, in milliseconds.
pub const QUERY_DURATION_MS_MAX: u64 = 60_000;
/// Records that an offset may pass over: their keys are held in memory (40 MB); deeper pages
/// follow the cursor.
pub const OFFSET_RECORDS_MAX: usize = 1_000_000;
/// Buckets of one histogram: more than a screen has pixels.
pub const HISTOGRAM_BUCKETS_MAX: usize = 5_000;
/// Series of one histogram: more cannot be told apart; the rest is counted together.
pub const HISTOGRAM_SERIES_MAX: usize = 100;
/// Values that one facet returns.
pub const FACET_VALUES_MAX: usize = 1_000;
/// Distinct values that one facet counts exactly; beyond it the answer says `is_estimate`.
pub const FACET_DISTINCT_MAX: usize = 100_000;
/// Bytes of the distinct values of one facet in memory; past it the facet is an estimate too.
pub const FACET_BYTES_MAX: usize = 32 << 20;
/// Pipes of one query: each is a step that somebody has to follow.
pub const QUERY_PIPES_MAX: usize = 16;
/// Functions of one `stats` or `timechart`: wider tables are read by nobody.
pub const AGGREGATE_FUNCTIONS_MAX: usize = 32;
/// Fields that one pipe groups by: more make nearly every record a group of its own.
pub const AGGREGATE_KEYS_MAX: usize = 8;
/// Groups of one aggregate: bounds its table beside its bytes. `top` drops rare values past it.
pub const AGGREGATE_GROUPS_MAX: usize = 100_000;
/// Bytes of one query's groups, distinct values and quantiles in memory.
pub const AGGREGATE_BYTES_MAX: usize = 64 << 20;
/// The same of all queries that run at once: two large ones, or many of usual size.
pub const AGGREGATE_POOL_BYTES_MAX: usize = 128 << 20;
/// Rows that a table has in an answer; `total` says how many there are.
pub const TABLE_ROWS_MAX: usize = 10_000;
/// Bytes of the cells of one table in memory: a page of records needs a quarter of it for its texts,
/// and the rest is for the cells themselves, of which many have no value.
pub const TABLE_BYTES_MAX: usize = 32 << 20;
/// Columns that one `fields` names: wider tables are read by nobody, and each costs a cell a row.
pub const FIELDS_PIPE_NAMES_MAX: usize = 100;
/// Bytes of records that a live tail holds for a client that does not read.
pub const TAIL_BUFFER_BYTES_MAX: usize = 1 << 20;
/// Rows in one partition's tail before it becomes a segment.
pub const TAIL_ROWS_MAX: usize = 131_072;
/// Bytes of all tails together (default; configurable).
pub const TAILS_BYTES_MAX: usize = 96 << 20;
/// Rows of one block of a segment.
pub const BLOCK_ROWS: usize = 1_024;
/// Rows of one segment section at the most.
pub const SEGMENT_ROWS_MAX: usize = 524_288;
