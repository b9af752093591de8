//! The log routes of the requirements: records by filters, and one record.
use super::{
    Json,
    body::Asked,
    context::{self, Around},
    question::{QuestionParts, read_as_of, read_words, write_as_of, write_completeness},
    schema::{LogAnswer, LogsAnswer, LogsParameters, ProblemDocument},
};
use crate::{
    answers::Holder,
    auth::Caller,
    parameters::Parameters,
    problem::Problem,
    record_json::{Names, write_record, write_records, write_text},
    state::App,
};
use axum::extract::{Path, State};
use serde_json::{Map, Value};
use taffrail_engine::{
    query::{Expr, Order},
    read::PageQuestion,
};
use taffrail_model::{field, level::Level, limits::OFFSET_RECORDS_MAX};

/// Records of a page, if nothing else is asked for.
const LIMIT: usize = 100;
/// Records of a page at the most, as the requirements say.
const LIMIT_MAX: usize = 1_000;

/// Records by filters
///
/// The latest first. A filter without a value is none. `level` is exact, several are separated by
/// commas. `search` is literal words, all of them in any order; `q` is the search language. Others
/// than admins see their own records.
#[utoipa::path(
    get, path = "/api/v1/logging/logs", tag = "logs", params(LogsParameters),
    responses(
        (status = 200, description = "A page of records", body = LogsAnswer),
        (status = 400, description = "Query or cursor cannot be read", body = ProblemDocument),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 422, description = "Values that are not valid, all of them", body = ProblemDocument),
    )
)]
pub(crate) async fn logs(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked,
) -> Result<Json, Problem> {
    let mut asked = asked.without_empty();
    let filters = Filters::read(&mut asked, &app);
    let limit = asked.number("limit", 1..=LIMIT_MAX).unwrap_or(LIMIT);
    let offset = asked.number("offset", 0..=OFFSET_RECORDS_MAX).unwrap_or(0);
    let cursor = asked.text("cursor").filter(|cursor| !cursor.is_empty());
    asked.finish()?;
    let page = PageQuestion {
        order: Order::Descending,
        limit,
        offset,
        cursor,
        fields: None,
        is_counted: true,
    };
    let engine = app.engine.clone();
    let principal = caller.principal;
    let tenants = app.tenant_names(&principal.tenants).await?;
    app.answer(Holder::of(&principal), move |cancelled| {
            let question = filters.parts.with_cancel(cancelled);
            let answer = engine.search(&principal, &question, &page)?;
            let catalogue = engine.catalogue();
            let names = Names { catalogue: &catalogue, tenants: &tenants };
            let found = &answer.value;
            let mut out = br#"{"data":{"logs":"#.to_vec();
            write_records(&mut out, &found.rows, None, &names);
            let total = found.total.unwrap_or_default();
            let has_more = found.cursor.is_some();
            let pagination = format!(
                r#","pagination":{{"total":{total},"limit":{limit},"offset":{offset},"has_more":{has_more},"cursor":"#
            );
            out.extend_from_slice(pagination.as_bytes());
            match &found.cursor {
                Some(cursor) => write_text(&mut out, &cursor.to_string()),
                None => out.extend_from_slice(b"null"),
            }
            out.extend_from_slice(br#"},"filters_applied":"#);
            out.extend_from_slice(Value::Object(filters.applied).to_string().as_bytes());
            write_as_of(&mut out, &answer.as_of);
            write_completeness(&mut out, &answer.completeness, &principal);
            out.extend_from_slice(b"}}");
            Ok(out)
        })
        .await
}

/// One record
#[utoipa::path(
    get, path = "/api/v1/logging/logs/{log_id}", tag = "logs",
    params(("log_id" = String, Path, description = "Id of the record")),
    responses(
        (status = 200, description = "The record", body = LogAnswer),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 404, description = "No such record", body = ProblemDocument),
    )
)]
pub(crate) async fn log(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json, Problem> {
    let alone = Around {
        before: 0,
        after: 0,
        is_same_source: false,
    };
    context::read(&app, caller, &id, alone, |out, found, _, _, names| {
        out.extend_from_slice(br#"{"data":"#);
        write_record(out, &found.row, None, names);
        out.push(b'}');
    })
    .await
}

/// The filters of the request, and as they are said in the answer.
struct Filters {
    parts: QuestionParts,
    applied: Map<String, Value>,
}

impl Filters {
    fn read(asked: &mut Parameters, app: &App) -> Filters {
        let mut filters = Filters {
            parts: QuestionParts::default(),
            applied: Map::new(),
        };
        for (name, of_field) in [
            ("source", field::SOURCE),
            ("module", field::LOGGER),
            ("trace_id", field::TRACE_ID),
            ("user_id", field::USER_ID),
        ] {
            if let Some(text) = asked.text(name) {
                filters
                    .parts
                    .conditions
                    .push(Expr::field_is(of_field, &text));
                filters.applied.insert(name.into(), text.into());
            }
        }
        filters.read_levels(asked);
        let words = read_words(asked);
        if !words.is_empty() {
            filters
                .applied
                .insert("search".into(), words.clone().into());
            filters.parts.words = words;
        }
        if let Some(query) = asked.text("q") {
            filters.applied.insert("q".into(), query.clone().into());
            filters.parts.query = query;
        }
        let as_of = read_as_of(asked, app.engine.now());
        let zone = asked.zone();
        let range = asked.range(as_of.moment, &zone);
        filters.parts.as_of = Some(as_of);
        filters.parts.zone = Some(zone);
        let all = taffrail_model::time::TimeRange::ALL;
        if range.start != all.start {
            let text = range.start.to_rfc3339();
            filters.applied.insert("start_time".into(), text.into());
        }
        if range.end != all.end {
            let text = range.end.to_rfc3339();
            filters.applied.insert("end_time".into(), text.into());
        }
        filters.parts.range = Some(range);
        filters
    }

    fn read_levels(&mut self, asked: &mut Parameters) {
        let Some(words) = asked.texts("level") else {
            return;
        };
        let mut levels = Vec::new();
        for word in &words {
            match Level::from_foreign(word) {
                Some(level) => levels.push(level),
                None => {
                    let names: Vec<_> = Level::ALL.iter().map(|level| level.name()).collect();
                    asked.fault("level", format!("must be of {}", names.join(", ")));
                }
            }
        }
        if levels.is_empty() {
            return;
        }
        let names: Vec<Value> = levels.iter().map(|level| level.name().into()).collect();
        let applied = match <[Value; 1]>::try_from(names) {
            Ok([one]) => one,
            Err(several) => Value::Array(several),
        };
        self.applied.insert("level".into(), applied);
        let any = Expr::any_of(levels.into_iter().map(Expr::level_is));
        self.parts.conditions.push(any);
    }
}
