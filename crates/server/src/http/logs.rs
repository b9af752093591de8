//! The log routes of the requirements: records by filters, and one record.
use super::{
    Json,
    body::Asked,
    context::{self, Around},
    filters::{Filters, LevelWords, read_page},
    schema::{LogAnswer, LogsAnswer, LogsParameters, ProblemDocument},
};
use crate::{
    answers::Holder,
    auth::Caller,
    problem::Problem,
    record_json::{Names, WHOLE, write_record, write_records},
    state::App,
};
use axum::extract::{Path, State};
use taffrail_model::field;

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
    const FIELDS: &[(&str, &str)] = &[
        ("source", field::SOURCE),
        ("module", field::LOGGER),
        ("trace_id", field::TRACE_ID),
        ("user_id", field::USER_ID),
    ];
    let mut asked = asked.without_empty();
    let mut filters = Filters::read(&mut asked, FIELDS, LevelWords::Canonical);
    filters.read_times(&mut asked, app.engine.now());
    let page = read_page(&mut asked);
    asked.finish()?;
    let engine = app.engine.clone();
    let principal = caller.principal;
    let tenants = app.tenant_names(&principal.tenants).await?;
    app.answer(Holder::of(&principal), move |cancelled| {
        let question = filters.parts.clone().with_cancel(cancelled);
        let answer = engine.search(&principal, &question, &page)?;
        let catalogue = engine.catalogue();
        let names = Names {
            catalogue: &catalogue,
            tenants: &tenants,
        };
        Ok(filters.answer(&answer, &page, &principal, |out, rows| {
            write_records(out, rows, &WHOLE, &names);
        }))
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
        write_record(out, &found.row, &WHOLE, names);
        out.push(b'}');
    })
    .await
}
