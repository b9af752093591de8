//! The most frequent values of fields.
use super::{
    Json,
    body::Asked,
    question::{read_question_as_of, write_as_of, write_completeness},
    schema::{FacetsAnswer, FacetsQuestion, ProblemDocument},
    search::write_took,
};
use crate::{
    answers::Holder, auth::Caller, parameters::Parameters, problem::Problem,
    record_json::write_text, state::App,
};
use axum::extract::State;
use std::{sync::Arc, time::Instant};
use taffrail_engine::query::Facet;
use taffrail_model::{column::FieldName, limits::FACET_VALUES_MAX};

/// Values of a facet, if nothing else is asked for.
const LIMIT: usize = 10;
/// Facets of one request: each is a table of values in memory.
const FACETS_MAX: usize = 20;

/// Facets
///
/// The most frequent values of fields among the matching records.
#[utoipa::path(
    post, path = "/api/v1/facets", tag = "search", request_body = FacetsQuestion,
    responses(
        (status = 200, description = "Values with their counts", body = FacetsAnswer),
        (status = 400, description = "Body or query cannot be read", body = ProblemDocument),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 404, description = "No such stream", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
    )
)]
pub(crate) async fn facets_post(
    State(app): State<App>,
    caller: Caller,
    Asked(parameters): Asked,
) -> Result<Json, Problem> {
    facets(&app, caller, parameters).await
}

/// Facets by parameters
#[utoipa::path(
    get, path = "/api/v1/facets", tag = "search", params(FacetsQuestion),
    responses(
        (status = 200, description = "Values with their counts", body = FacetsAnswer),
        (status = 400, description = "Query cannot be read", body = ProblemDocument),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 404, description = "No such stream", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
    )
)]
pub(crate) async fn facets_get(
    State(app): State<App>,
    caller: Caller,
    Asked(parameters): Asked,
) -> Result<Json, Problem> {
    facets(&app, caller, parameters).await
}

async fn facets(app: &App, caller: Caller, mut asked: Parameters) -> Result<Json, Problem> {
    let started = Instant::now();
    let parts = read_question_as_of(&mut asked, app.engine.now());
    let names = asked.texts("fields").unwrap_or_default();
    if !(1..=FACETS_MAX).contains(&names.len()) {
        asked.fault("fields", format!("must name 1 to {FACETS_MAX} fields"));
    }
    let limit = asked.number("limit", 1..=FACET_VALUES_MAX).unwrap_or(LIMIT);
    asked.finish()?;
    let mut fields: Vec<FieldName> = Vec::with_capacity(names.len());
    for name in &names {
        let name = Arc::from(name.as_str());
        if !fields.contains(&name) {
            fields.push(name);
        }
    }
    let engine = app.engine.clone();
    let principal = caller.principal;
    app.answer(Holder::of(&principal), move |cancelled| {
        let question = parts.with_cancel(cancelled);
        let answer = engine.facets(&principal, &question, fields, limit)?;
        let mut out = br#"{"data":{"facets":["#.to_vec();
        for (index, facet) in answer.value.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_facet(&mut out, facet);
        }
        out.push(b']');
        write_took(&mut out, started);
        write_as_of(&mut out, &answer.as_of);
        write_completeness(&mut out, &answer.completeness, &principal);
        out.extend_from_slice(b"}}");
        Ok(out)
    })
    .await
}

fn write_facet(out: &mut Vec<u8>, facet: &Facet) {
    out.extend_from_slice(br#"{"field":"#);
    write_text(out, &facet.field);
    out.extend_from_slice(br#","values":["#);
    for (index, value) in facet.values.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(br#"{"value":"#);
        write_text(out, &value.value);
        out.extend_from_slice(format!(r#","count":{}}}"#, value.count).as_bytes());
    }
    let (distinct, is_estimate) = (facet.distinct, facet.is_estimate);
    let rest = format!(r#"],"distinct":{distinct},"is_estimate":{is_estimate}}}"#);
    out.extend_from_slice(rest.as_bytes());
}
