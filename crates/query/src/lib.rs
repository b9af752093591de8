//! Search and scan: from a query text to records.
//!
//! - [`search`]: the search language: text → tree, and back.
//! - [`request`]: what every read is; it cannot be built without a row policy.
//! - [`scan`]: the one executor, over tails and segments alike.
//! - [`Table`]: what pipes make of records, before and after the scan.
//! - [`result`]: what comes out; [`cursor`]: how pages continue; [`as_of`]: how answers agree.

pub mod as_of;
pub mod cursor;
mod number;
mod regex;
pub mod request;
pub mod result;
pub mod scan;
pub mod search;
mod table;
mod token;
mod words;

pub use as_of::{AsOf, AsOfError};
pub use cursor::{Cursor, CursorError, RowKey};
pub use request::{Aggregation, GroupKey, Order, Output, RowsOutput, ScanRequest, StreamSelection};
pub use result::{
    Cell, Completeness, Context, ContextResult, Facet, FacetValue, FieldSummary, Groups, Histogram,
    OwnedValue, Page, Row, ScanError, ScanOutput, ScanResult, ScanWork, Series, SeriesKey,
};
pub use scan::{MemoryPool, context, execute, select_removed};
pub use search::{
    ParseError, literal_words, parse, parse_filter,
    pipe::{self, Aggregate, Function, Pipe, QuantileLevel, SortKey},
    pipes_begin,
    tree::{Expr, Query, Test},
};
pub use table::{ColumnKind, Table, TableColumn, output_for};
