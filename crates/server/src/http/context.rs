//! A record with those around it.
use super::{
    Json,
    body::Asked,
    question::write_completeness,
    schema::{ContextAnswer, ProblemDocument},
    search::{read_shape, write_took},
};
use crate::{
    answers::Holder,
    auth::Caller,
    problem::{Kind, Problem},
    record_json::{Names, WHOLE, write_record, write_records},
    state::App,
};
use axum::extract::{Path, State};
use std::time::Instant;
use taffrail_engine::query::{Completeness, Context};
use taffrail_model::{access::Principal, id::RecordId};

/// Records on each side, if nothing else is asked for.
const AROUND: usize = 10;
/// Records on each side at the most.
const AROUND_MAX: usize = 1_000;

/// Context of a record
///
/// The record with those before and after it in its stream, by time.
#[utoipa::path(
    get, path = "/api/v1/context/{id}", tag = "search",
    params(
        ("id" = String, Path, description = "Id of the record"),
        ("before" = Option<u32>, Query, description = "Records before it, at most 1,000 (10)"),
        ("after" = Option<u32>, Query, description = "Records after it, at most 1,000 (10)"),
        ("same_source" = Option<bool>, Query, description = "Only records of the same source (false)"),
        ("fields" = Option<Vec<String>>, Query, description = "Fields of the neighbours, in this order; default all"),
        ("preview_bytes" = Option<u32>, Query, description = "Texts of the neighbours are cut to so many bytes, 16 to 65,536; default whole"),
    ),
    responses(
        (status = 200, description = "The record and its neighbours, earliest first", body = ContextAnswer),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 404, description = "No such record", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
    )
)]
pub(crate) async fn context(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(mut asked): Asked,
) -> Result<Json, Problem> {
    let started = Instant::now();
    let before = asked.number("before", 0..=AROUND_MAX).unwrap_or(AROUND);
    let after = asked.number("after", 0..=AROUND_MAX).unwrap_or(AROUND);
    let is_same_source = asked.switch("same_source").unwrap_or(false);
    let shape = read_shape(&mut asked);
    asked.finish()?;
    let around = Around {
        before,
        after,
        is_same_source,
    };
    read(
        &app,
        caller,
        &id,
        around,
        move |out, found, completeness, principal, names| {
            out.extend_from_slice(br#"{"data":{"record":"#);
            write_record(out, &found.row, &WHOLE, names);
            out.extend_from_slice(br#","before":"#);
            write_records(out, &found.before, &shape, names);
            out.extend_from_slice(br#","after":"#);
            write_records(out, &found.after, &shape, names);
            write_took(out, started);
            write_completeness(out, completeness, principal);
            out.extend_from_slice(b"}}");
        },
    )
    .await
}

/// How many records around one.
#[derive(Clone, Copy)]
pub(super) struct Around {
    pub before: usize,
    pub after: usize,
    pub is_same_source: bool,
}

/// Finds a record by its id and writes it.
pub(super) async fn read(
    app: &App,
    caller: Caller,
    id: &str,
    around: Around,
    write: impl FnOnce(&mut Vec<u8>, &Context, &Completeness, &Principal, &Names<'_>) + Send + 'static,
) -> Result<Json, Problem> {
    // A text that is no id names nothing.
    let id: RecordId = id.parse().map_err(|_| Problem::not_found("record"))?;
    let engine = app.engine.clone();
    let principal = caller.principal;
    let tenants = app.tenant_names(&principal.tenants).await?;
    app.answer(Holder::of(&principal), move |_| {
        let Around {
            before,
            after,
            is_same_source,
        } = around;
        let found = engine.context(&principal, id, before, after, is_same_source)?;
        let Some(context) = found.context else {
            // It may be there, in what cannot be read.
            return Err(match found.completeness.partial {
                false => Problem::not_found("record"),
                true => Problem::new(
                    Kind::NotFound,
                    "there is no such record in what can be read; some files are damaged",
                ),
            });
        };
        let catalogue = engine.catalogue();
        let names = Names {
            catalogue: &catalogue,
            tenants: &tenants,
        };
        let mut out = Vec::new();
        write(&mut out, &context, &found.completeness, &principal, &names);
        Ok(out)
    })
    .await
}
