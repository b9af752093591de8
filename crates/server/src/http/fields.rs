//! The fields that matching records have.
use super::{
    Json,
    body::Asked,
    question::{read_question_as_of, write_as_of, write_completeness},
    schema::{FieldsAnswer, FieldsQuestion, ProblemDocument},
    search::write_took,
};
use crate::{
    answers::Holder, auth::Caller, parameters::Parameters, problem::Problem,
    record_json::write_text, state::App,
};
use axum::extract::State;
use std::time::Instant;
use taffrail_model::column::Kind;

/// Fields
///
/// Names of the fields of the matching records, the JSON kinds of their values, and how many
/// records have them.
#[utoipa::path(
    post, path = "/api/v1/fields", tag = "search", request_body = FieldsQuestion,
    responses(
        (status = 200, description = "Fields by name", body = FieldsAnswer),
        (status = 400, description = "Body or query cannot be read", body = ProblemDocument),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 404, description = "No such stream", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
    )
)]
pub(crate) async fn fields_post(
    State(app): State<App>,
    caller: Caller,
    Asked(parameters): Asked,
) -> Result<Json, Problem> {
    fields(&app, caller, parameters).await
}

/// Fields by parameters
#[utoipa::path(
    get, path = "/api/v1/fields", tag = "search", params(FieldsQuestion),
    responses(
        (status = 200, description = "Fields by name", body = FieldsAnswer),
        (status = 400, description = "Query cannot be read", body = ProblemDocument),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 404, description = "No such stream", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
    )
)]
pub(crate) async fn fields_get(
    State(app): State<App>,
    caller: Caller,
    Asked(parameters): Asked,
) -> Result<Json, Problem> {
    fields(&app, caller, parameters).await
}

async fn fields(app: &App, caller: Caller, mut asked: Parameters) -> Result<Json, Problem> {
    let started = Instant::now();
    let parts = read_question_as_of(&mut asked, app.engine.now());
    asked.finish()?;
    let engine = app.engine.clone();
    let principal = caller.principal;
    app.answer(Holder::of(&principal), move |cancelled| {
        let question = parts.with_cancel(cancelled);
        let answer = engine.fields(&principal, &question)?;
        let mut out = br#"{"data":{"fields":["#.to_vec();
        for (index, field) in answer.value.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(br#"{"name":"#);
            write_text(&mut out, &field.name);
            let kinds: Vec<_> = field
                .kinds
                .iter()
                .map(|kind| format!("\"{}\"", kind_word(*kind)))
                .collect();
            let rest = format!(
                r#","kinds":[{}],"count":{}}}"#,
                kinds.join(","),
                field.count
            );
            out.extend_from_slice(rest.as_bytes());
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

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "string",
        Kind::Integer => "integer",
        Kind::Float => "float",
        Kind::Bool => "boolean",
        Kind::Json => "json",
    }
}
