//! The records of one instance, in the form of the requirements.
use super::{
    reader,
    schema::{McpLogsAnswer, McpLogsParameters},
};
use crate::{
    answers::Holder,
    auth::Caller,
    http::{
        body::Asked,
        filters::{Filters, LevelWords, read_page},
        schema::ProblemDocument,
    },
    mcp_entry::{CSV_HEADER, write_csv, write_entry, write_txt},
    parameters::Parameters,
    problem::Problem,
    record_json::{Names, write_array},
    state::App,
};
use axum::{
    extract::{Path, State},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use std::sync::{Arc, OnceLock};
use taffrail_engine::{
    query::{Expr, Page, Row},
    read::Answer,
};
use taffrail_model::{
    field,
    instance::{INSTANCE_STREAMS, Instance},
};

/// Headers of the forms that have no place for it: how many records match in all, the cursor of the
/// next page, and whether something could not be read.
const TOTAL: HeaderName = HeaderName::from_static("x-total-count");
const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");
const PARTIAL: HeaderName = HeaderName::from_static("x-partial");

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
    Txt,
}

/// Records of an instance
///
/// The latest first. `level` is one of the four that are printed: `error` finds critical records
/// too, `debug` those of trace. With `format=csv` or `txt` the total is in `X-Total-Count`, the
/// cursor of the next page in `X-Next-Cursor`, and `X-Partial: true` says that something could not
/// be read.
#[utoipa::path(
    get, path = "/api/v1/mcps/{instanceId}/logs", tag = "mcps",
    params(("instanceId" = String, Path, description = "Id of the instance"), McpLogsParameters),
    responses(
        (status = 200, description = "A page of records", content(
            (McpLogsAnswer = "application/json"),
            (String = "text/csv"),
            (String = "text/plain"),
        )),
        (status = 400, description = "Query or cursor cannot be read", body = ProblemDocument),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "A key that reads no instances", body = ProblemDocument),
        (status = 404, description = "No such instance", body = ProblemDocument),
        (status = 422, description = "Values that are not valid, all of them", body = ProblemDocument),
    )
)]
pub(crate) async fn instance_logs(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(asked): Asked,
) -> Result<Response, Problem> {
    let (caller, instance) = reader(&app, caller, &id).await?;
    let mut asked = asked.without_empty();
    let mut filters = read_filters(&mut asked, &instance);
    filters.read_times(&mut asked, app.engine.now());
    let page = read_page(&mut asked);
    let format = match asked.word("format", &["json", "csv", "txt"]) {
        Some("csv") => Format::Csv,
        Some("txt") => Format::Txt,
        _ => Format::Json,
    };
    asked.finish()?;
    let engine = app.engine.clone();
    let principal = caller.principal;
    let tenants = app.tenant_names(&principal.tenants).await?;
    let told = Arc::new(OnceLock::new());
    let teller = told.clone();
    let json = app
        .answer(Holder::of(&principal), move |cancelled| {
            let question = filters.parts.clone().with_cancel(cancelled);
            let answer = engine.search(&principal, &question, &page)?;
            let catalogue = engine.catalogue();
            let names = Names {
                catalogue: &catalogue,
                tenants: &tenants,
            };
            if format == Format::Json {
                return Ok(filters.answer(&answer, &page, &principal, |out, rows| {
                    write_array(out, rows, |out, row| write_entry(out, row, &names));
                }));
            }
            let text = lines(format, &answer.value.rows, &names);
            // Set once: this is the one read.
            drop(teller.set(headers(&answer)));
            Ok(text)
        })
        .await?;
    let mut response = json.into_response();
    let kind = match format {
        Format::Json => return Ok(response),
        Format::Csv => "text/csv; charset=utf-8; header=present",
        Format::Txt => "text/plain; charset=utf-8",
    };
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let told = told.get().into_iter().flatten().cloned();
    for (name, value) in told.chain([kind]) {
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// Reads `level`, `search` and `q`; the question is about the instance's records alone.
pub(crate) fn read_filters(asked: &mut Parameters, instance: &Instance) -> Filters {
    let mut filters = Filters::read(asked, &[], LevelWords::Mcp);
    filters.parts.streams = vec![format!("{INSTANCE_STREAMS}*")];
    let of_instance = Expr::field_is(field::INSTANCE_ID, &instance.id);
    filters.parts.conditions.push(of_instance);
    filters
}

fn lines(format: Format, rows: &[Row], names: &Names<'_>) -> Vec<u8> {
    let (mut out, write): (_, fn(&mut Vec<u8>, &Row, &Names<'_>)) = match format {
        Format::Csv => (CSV_HEADER.as_bytes().to_vec(), write_csv),
        Format::Txt | Format::Json => (Vec::new(), write_txt),
    };
    for row in rows {
        write(&mut out, row, names);
    }
    out
}

fn headers(answer: &Answer<Page>) -> Vec<(HeaderName, HeaderValue)> {
    let total = answer.value.total.unwrap_or_default();
    let mut headers = vec![(TOTAL, HeaderValue::from(total))];
    let cursor = answer.value.cursor.map(|cursor| cursor.to_string());
    if let Some(cursor) = cursor.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.push((NEXT_CURSOR, cursor));
    }
    if answer.completeness.partial {
        headers.push((PARTIAL, HeaderValue::from_static("true")));
    }
    headers
}
