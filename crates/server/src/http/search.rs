//! Search: a page of records.
use super::{
    Json,
    body::Asked,
    question::{QuestionParts, read_question_as_of, write_as_of, write_completeness},
    schema::{ProblemDocument, SearchAnswer, SearchQuestion},
    table::write_table,
};
use crate::{
    answers::Holder,
    auth::Caller,
    parameters::Parameters,
    problem::Problem,
    record_json::{Names, Shape, write_records, write_text},
    state::App,
};
use axum::extract::State;
use std::{ops::RangeInclusive, sync::Arc, time::Instant};
use taffrail_engine::{
    query::{Order, parse},
    read::PageQuestion,
};
use taffrail_model::{
    column::FieldName,
    limits::{OFFSET_RECORDS_MAX, PAGE_RECORDS_MAX},
};

/// Records of a page, if nothing else is asked for.
const LIMIT: usize = 100;
/// What a text may be cut to: less shows nothing, more is what whole records are for.
const PREVIEW_BYTES: RangeInclusive<usize> = 16..=65_536;
/// Fields of a projection.
const FIELDS_MAX: usize = 1_000;

/// Search
///
/// A page of matching records. `limit: 0` only counts. The cursor continues after the page, and
/// records that arrive later do not disturb it. A query with pipes is answered by a table
/// (`TableAnswer`); its pipes say order, fields and number of the rows, not the parameters.
#[utoipa::path(
    post, path = "/api/v1/search", tag = "search", request_body = SearchQuestion,
    responses(
        (status = 200, description = "A page of records", body = SearchAnswer),
        (status = 400, description = "Body, query or cursor cannot be read", body = ProblemDocument),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 404, description = "No such stream", body = ProblemDocument),
        (status = 422, description = "Values that are not valid, all of them", body = ProblemDocument),
        (status = 503, description = "Too many queries", body = ProblemDocument),
    )
)]
pub(crate) async fn search_post(
    State(app): State<App>,
    caller: Caller,
    Asked(parameters): Asked,
) -> Result<Json, Problem> {
    search(&app, caller, parameters).await
}

/// Search by parameters
///
/// The same with parameters of the same names; `streams` and `fields` separated by commas.
#[utoipa::path(
    get, path = "/api/v1/search", tag = "search", params(SearchQuestion),
    responses(
        (status = 200, description = "A page of records", body = SearchAnswer),
        (status = 400, description = "Query or cursor cannot be read", body = ProblemDocument),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 404, description = "No such stream", body = ProblemDocument),
        (status = 422, description = "Values that are not valid, all of them", body = ProblemDocument),
        (status = 503, description = "Too many queries", body = ProblemDocument),
    )
)]
pub(crate) async fn search_get(
    State(app): State<App>,
    caller: Caller,
    Asked(parameters): Asked,
) -> Result<Json, Problem> {
    search(&app, caller, parameters).await
}

async fn search(app: &App, caller: Caller, mut asked: Parameters) -> Result<Json, Problem> {
    let started = Instant::now();
    let parts = read_question_as_of(&mut asked, app.engine.now());
    let order = match asked.word("order", &["desc", "asc", "arrival"]) {
        Some("asc") => Order::Ascending,
        Some("arrival") => Order::Arrival,
        _ => Order::Descending,
    };
    let shape = read_shape(&mut asked);
    let page = PageQuestion {
        order,
        limit: asked.number("limit", 0..=PAGE_RECORDS_MAX).unwrap_or(LIMIT),
        offset: asked.number("offset", 0..=OFFSET_RECORDS_MAX).unwrap_or(0),
        cursor: asked.text("cursor").filter(|cursor| !cursor.is_empty()),
        fields: shape.fields.clone(),
        is_counted: asked.switch("count").unwrap_or(true),
    };
    let has_pipes = match parse(&parts.query) {
        Ok(query) => !query.pipes.is_empty(),
        Err(_) => false,
    };
    if has_pipes && page.cursor.is_some() {
        asked.fault("cursor", "a query with pipes has no pages: write | limit");
    }
    asked.finish()?;
    if has_pipes {
        return table(app, caller, parts, started).await;
    }
    let engine = app.engine.clone();
    let principal = caller.principal.clone();
    let tenants = app.tenant_names(&principal.tenants).await?;
    app.answer(Holder::of(&principal), move |cancelled| {
        let question = parts.with_cancel(cancelled);
        let answer = engine.search(&principal, &question, &page)?;
        let catalogue = engine.catalogue();
        let names = Names {
            catalogue: &catalogue,
            tenants: &tenants,
        };
        let found = &answer.value;
        let mut out = br#"{"data":{"records":"#.to_vec();
        write_records(&mut out, &found.rows, &shape, &names);
        out.extend_from_slice(br#","total":"#);
        match found.total {
            Some(total) => out.extend_from_slice(total.to_string().as_bytes()),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(br#","total_is_estimate":false,"cursor":"#);
        match &found.cursor {
            Some(cursor) => write_text(&mut out, &cursor.to_string()),
            None => out.extend_from_slice(b"null"),
        }
        write_took(&mut out, started);
        write_as_of(&mut out, &answer.as_of);
        write_completeness(&mut out, &answer.completeness, &principal);
        out.extend_from_slice(b"}}");
        Ok(out)
    })
    .await
}

/// Answers a query with pipes.
async fn table(
    app: &App,
    caller: Caller,
    parts: QuestionParts,
    started: Instant,
) -> Result<Json, Problem> {
    let engine = app.engine.clone();
    let principal = caller.principal;
    app.answer(Holder::of(&principal), move |cancelled| {
        let question = parts.with_cancel(cancelled);
        let answer = engine.table(&principal, &question)?;
        let mut out = br#"{"data":{"#.to_vec();
        write_table(&mut out, &answer.value);
        write_took(&mut out, started);
        write_as_of(&mut out, &answer.as_of);
        write_completeness(&mut out, &answer.completeness, &principal);
        out.extend_from_slice(b"}}");
        Ok(out)
    })
    .await
}

/// Appends `"took_ms"`, with microseconds.
pub(super) fn write_took(out: &mut Vec<u8>, started: Instant) {
    let took_ms = started.elapsed().as_secs_f64() * 1_000.0;
    out.extend_from_slice(format!(r#","took_ms":{took_ms:.3}"#).as_bytes());
}

/// Reads `fields` and `preview_bytes`.
pub(crate) fn read_shape(asked: &mut Parameters) -> Shape {
    Shape {
        fields: fields(asked),
        preview_bytes: asked.number("preview_bytes", PREVIEW_BYTES),
    }
}

/// Names of the projection, by any of their aliases.
fn fields(asked: &mut Parameters) -> Option<Vec<FieldName>> {
    let names = asked.texts("fields")?;
    if names.len() > FIELDS_MAX {
        asked.fault("fields", format!("may name at most {FIELDS_MAX} fields"));
    }
    let mut fields: Vec<FieldName> = Vec::with_capacity(names.len());
    for name in &names {
        let name = Arc::from(name.as_str());
        if !fields.contains(&name) {
            fields.push(name);
        }
    }
    Some(fields)
}
