//! Deletions: records that an admin takes out for good, of the tenant that the credential writes to.
pub mod schema;

use super::{
    Json,
    body::Asked,
    created, data,
    list::PageByNumber,
    schema::{Data, ProblemDocument},
};
use crate::{
    auth::Caller,
    parameters::Parameters,
    problem::{Kind, Problem},
    request_log::RequestContext,
    state::App,
};
use axum::{
    extract::{Extension, Path, State},
    response::{IntoResponse, Response},
};
use jiff::tz::TimeZone;
use schema::{CreateDeletion, Deletion, DeletionPreview, Deletions};
use taffrail_engine::{
    deletions::{DeletionFault, DeletionJob, DeletionQuestion},
    events::OwnEvent,
};
use taffrail_model::{access::Principal, level::Level};

/// Stream patterns of one deletion.
const STREAMS_MAX: usize = 100;
/// Characters of a reason: a sentence and a reference.
const REASON_CHARACTERS_MAX: usize = 1_000;

/// Deletions
///
/// Those under way and the latest that have ended. `after` is the number of the last one of the
/// page before.
#[utoipa::path(
    get, path = "/api/v1/deletions", tag = "deletions",
    params(
        ("limit" = Option<u32>, Query, description = "At most 1,000 (100)"),
        ("after" = Option<i64>, Query, description = "Deletions with greater numbers (0)"),
    ),
    responses(
        (status = 200, description = "Deletions by number", body = inline(Data<Deletions>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "No admin", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
    )
)]
pub(crate) async fn deletions(
    State(app): State<App>,
    caller: Caller,
    Asked(mut asked): Asked,
) -> Result<Json, Problem> {
    let principal = caller.admin()?.clone();
    let page = PageByNumber::read(&mut asked);
    asked.finish()?;
    let engine = app.engine.clone();
    let jobs = blocking(move || Ok(engine.deletions(&principal))).await?;
    let after = u64::try_from(page.after).unwrap_or_default();
    let is_after = |job: &&DeletionJob| job.deletion.sequence > after;
    let mut deletions = Vec::new();
    for job in jobs.iter().filter(is_after).take(page.limit) {
        deletions.push(entry(&app, job).await?);
    }
    Ok(data(&Deletions { deletions }))
}

/// Delete records
///
/// The records that match are hidden from every reader with the answer, and removed from disk in
/// the background; records that arrive later are not concerned. With `dry_run` they are only
/// counted (200). Sealed streams are refused.
#[utoipa::path(
    post, path = "/api/v1/deletions", tag = "deletions", request_body = CreateDeletion,
    responses(
        (status = 200, description = "What would be deleted", body = inline(Data<DeletionPreview>)),
        (status = 201, description = "The deletion", body = inline(Data<Deletion>)),
        (status = 400, description = "Body or query cannot be read", body = ProblemDocument),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "No admin, or a sealed stream", body = ProblemDocument),
        (status = 404, description = "No such stream", body = ProblemDocument),
        (status = 409, description = "Too many deletions are under way", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
        (status = 503, description = "Too many queries, or the log cannot be written", body = ProblemDocument),
    )
)]
pub(crate) async fn create_deletion(
    State(app): State<App>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    Asked(mut asked): Asked,
) -> Result<Response, Problem> {
    let principal = caller.admin()?.clone();
    let question = question(&mut asked, app.engine.now());
    let is_dry_run = asked.switch("dry_run").unwrap_or(false);
    asked.finish()?;
    let engine = app.engine.clone();
    let asked = question.clone();
    let who = principal.clone();
    let counted = app
        .reads
        .run(move |_| engine.preview_deletion(&who, &asked).map_err(Problem::from));
    let preview = counted.await?;
    if is_dry_run {
        return Ok(data(&DeletionPreview {
            dry_run: true,
            rows_matched: preview.rows,
            partial: preview.completeness.partial,
        })
        .into_response());
    }
    let engine = app.engine.clone();
    let who = principal.clone();
    let made = blocking(move || Ok(engine.create_deletion(&who, question, &preview)?)).await?;
    let entry = entry(&app, &made).await?;
    record(&app, &context, &principal, "deletion made", &made, &entry);
    Ok(created(&entry))
}

/// One deletion
#[utoipa::path(
    get, path = "/api/v1/deletions/{id}", tag = "deletions",
    params(("id" = u64, Path, description = "Number of the deletion")),
    responses(
        (status = 200, description = "The deletion", body = inline(Data<Deletion>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "No admin", body = ProblemDocument),
        (status = 404, description = "No such deletion", body = ProblemDocument),
    )
)]
pub(crate) async fn deletion(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json, Problem> {
    let principal = caller.admin()?.clone();
    let number = number(&id)?;
    let engine = app.engine.clone();
    let job = blocking(move || {
        let found = engine.deletion(&principal, number);
        found.ok_or_else(|| Problem::not_found("deletion"))
    });
    Ok(data(&entry(&app, &job.await?).await?))
}

/// Cancel a deletion
///
/// What was not removed yet is visible again, and stays; what was removed (`rows_removed`) is gone.
#[utoipa::path(
    delete, path = "/api/v1/deletions/{id}", tag = "deletions",
    params(("id" = u64, Path, description = "Number of the deletion")),
    responses(
        (status = 200, description = "The deletion as it is now", body = inline(Data<Deletion>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "No admin", body = ProblemDocument),
        (status = 404, description = "No such deletion", body = ProblemDocument),
        (status = 409, description = "It has ended", body = ProblemDocument),
        (status = 503, description = "The log cannot be written", body = ProblemDocument),
    )
)]
pub(crate) async fn cancel_deletion(
    State(app): State<App>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    Path(id): Path<String>,
) -> Result<Json, Problem> {
    let principal = caller.admin()?.clone();
    let number = number(&id)?;
    let engine = app.engine.clone();
    let who = principal.clone();
    let cancelled = blocking(move || Ok(engine.cancel_deletion(&who, number)?)).await?;
    let entry = entry(&app, &cancelled).await?;
    record(
        &app,
        &context,
        &principal,
        "deletion cancelled",
        &cancelled,
        &entry,
    );
    Ok(data(&entry))
}

fn question(asked: &mut Parameters, now: taffrail_model::time::Timestamp) -> DeletionQuestion {
    let streams = asked.texts("streams").unwrap_or_default();
    if streams.is_empty() || streams.len() > STREAMS_MAX {
        let detail = format!("is needed: 1 to {STREAMS_MAX} names or patterns");
        asked.fault("streams", detail);
    }
    let reason = asked.text("reason").unwrap_or_default();
    let reason = reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_CHARACTERS_MAX {
        let detail = format!("is needed: 1 to {REASON_CHARACTERS_MAX} characters");
        asked.fault("reason", detail);
    }
    DeletionQuestion {
        query: asked.text("query").unwrap_or_default(),
        streams,
        range: asked.range(now, &TimeZone::UTC),
        reason,
    }
}

fn number(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Problem::not_found("deletion"))
}

/// Runs what may wait for the disk where a thread may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Problem::internal(&error)))
}

async fn entry(app: &App, job: &DeletionJob) -> Result<Deletion, Problem> {
    let tenants = app.tenant_names(&[job.deletion.tenant]).await?;
    Ok(Deletion::new(job, &tenants, &app.engine.catalogue()))
}

fn record(
    app: &App,
    context: &RequestContext,
    principal: &Principal,
    what: &str,
    job: &DeletionJob,
    entry: &Deletion,
) {
    let rows = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let event = OwnEvent::new("system.audit", Level::Warn, what)
        .with("actor", &*principal.name)
        .with("deletion.id", entry.id.to_string())
        .with("deletion.tenant", job.deletion.tenant.0.to_string())
        .with("deletion.query", entry.query.clone())
        .with("deletion.streams", entry.streams.join(","))
        .with("deletion.reason", entry.reason.clone())
        .with_number("deletion.rows_matched", rows(entry.rows_matched))
        .with_number("deletion.rows_removed", rows(entry.rows_removed));
    app.engine.record_own_event(context.add_to(event));
}

impl From<DeletionFault> for Problem {
    fn from(fault: DeletionFault) -> Problem {
        let text = fault.to_string();
        match fault {
            DeletionFault::Read(fault) => fault.into(),
            DeletionFault::Unknown => Problem::not_found("deletion"),
            DeletionFault::NoTenant | DeletionFault::Sealed(_) => {
                Problem::new(Kind::Forbidden, text)
            }
            DeletionFault::TooMany(_) => Problem::new(Kind::Overloaded, text),
            DeletionFault::Refused(_) => Problem::new(Kind::Conflict, text),
            DeletionFault::NotWritable(_) => Problem::new(Kind::NotWritable, text),
        }
    }
}
