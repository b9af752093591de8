//! MCP instances: a user's own, for admins those of their tenants. One that is not the caller's
//! does not exist for it, on every route.
mod keys;
mod logs;
pub mod schema;

pub(super) use keys::make_key;
#[doc(hidden)]
pub(crate) use keys::{__path_create_instance_key, __path_instance_keys};
pub(crate) use keys::{create_instance_key, instance_keys};
#[doc(hidden)]
pub(crate) use logs::__path_instance_logs;
pub(crate) use logs::{instance_logs, read_filters};
pub(crate) use schema::McpTailParameters;

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
    http::StatusCode,
    response::Response,
};
use schema::{ChangeMcp, CreateMcp, Mcp, Mcps};
use std::sync::Arc;
use taffrail_engine::{
    events::OwnEvent,
    instances::InstanceFilter,
    meta::{InstanceChange, NewInstance},
};
use taffrail_model::{
    access::{Principal, Role, Scope},
    instance::{Instance, InstanceStatus},
    level::Level,
};

/// Instances
///
/// Own ones, for admins all of their tenants. `after` is the number of the last one of the page
/// before.
#[utoipa::path(
    get, path = "/api/v1/mcps", tag = "mcps",
    params(
        ("status" = Option<String>, Query, description = "active, inactive or expired"),
        ("service" = Option<String>, Query, description = "Only of this service"),
        ("user_id" = Option<String>, Query, description = "Only of this owner"),
        ("deleted" = Option<bool>, Query, description = "Deleted ones too, as long as their records can be read (false)"),
        ("limit" = Option<u32>, Query, description = "At most 1,000 (100)"),
        ("after" = Option<i64>, Query, description = "Instances with greater numbers (0)"),
    ),
    responses(
        (status = 200, description = "Instances by number", body = inline(Data<Mcps>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "A key that reads no instances", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
    )
)]
pub(crate) async fn instances(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked,
) -> Result<Json, Problem> {
    check_reads(&app, &caller)?;
    let mut asked = asked.without_empty();
    let filter = InstanceFilter {
        status: status(&mut asked),
        service: asked.text("service"),
        user_id: asked.text("user_id"),
        with_deleted: asked.switch("deleted").unwrap_or(false),
    };
    let page = PageByNumber::read(&mut asked);
    asked.finish()?;
    let found = app
        .engine
        .instances(&caller.principal, &filter, page.after, page.limit);
    let mut instances = Vec::with_capacity(found.len());
    for instance in &found {
        instances.push(entry(&app, instance).await?);
    }
    Ok(data(&Mcps { instances }))
}

/// Make an instance
///
/// Its records are those of `user_id`, for ever.
#[utoipa::path(
    post, path = "/api/v1/mcps", tag = "mcps", request_body = CreateMcp,
    responses(
        (status = 201, description = "The instance", body = inline(Data<Mcp>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "A key of a limited scope", body = ProblemDocument),
        (status = 409, description = "The id is taken, perhaps by a deleted instance whose records are still there", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
    )
)]
pub(crate) async fn create_instance(
    State(app): State<App>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    Asked(mut asked): Asked,
) -> Result<Response, Problem> {
    check_manages(&caller)?;
    let user_id = owner(&mut asked, &caller.principal);
    let id = asked.text("id");
    let service = asked.text("service");
    let status = status(&mut asked).unwrap_or(InstanceStatus::Active);
    asked.finish()?;
    let tenant = caller
        .principal
        .write_tenant()
        .ok_or_else(|| Problem::new(Kind::Forbidden, "this credential belongs to no tenant"))?;
    let made = app
        .engine
        .create_instance(NewInstance {
            tenant,
            id,
            user_id,
            service,
            status,
        })
        .await?;
    record(&app, &context, &caller, "instance made", None, &made);
    Ok(created(&entry(&app, &made).await?))
}

/// One instance
///
/// A deleted one as long as its records can be read.
#[utoipa::path(
    get, path = "/api/v1/mcps/{instanceId}", tag = "mcps",
    params(("instanceId" = String, Path, description = "Id of the instance")),
    responses(
        (status = 200, description = "The instance", body = inline(Data<Mcp>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "A key that reads no instances", body = ProblemDocument),
        (status = 404, description = "No such instance", body = ProblemDocument),
    )
)]
pub(crate) async fn instance(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json, Problem> {
    check_reads(&app, &caller)?;
    let instance = find(&app, &caller, &id)?;
    Ok(data(&entry(&app, &instance).await?))
}

/// Change an instance
///
/// What is not given stays. One that is not active takes no records: its sender gets 403.
#[utoipa::path(
    patch, path = "/api/v1/mcps/{instanceId}", tag = "mcps", request_body = ChangeMcp,
    params(("instanceId" = String, Path, description = "Id of the instance")),
    responses(
        (status = 200, description = "The instance as it is now", body = inline(Data<Mcp>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "A key of a limited scope", body = ProblemDocument),
        (status = 404, description = "No such instance", body = ProblemDocument),
        (status = 409, description = "It is deleted", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
    )
)]
pub(crate) async fn change_instance(
    State(app): State<App>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    Path(id): Path<String>,
    Asked(mut asked): Asked,
) -> Result<Json, Problem> {
    let instance = managed(&app, &caller, &id)?;
    let service = asked.text("service");
    let change = InstanceChange {
        status: status(&mut asked),
        service: service.map(|name| (!name.is_empty()).then_some(name)),
    };
    asked.finish()?;
    let changed = app.engine.change_instance(instance.number, change).await?;
    let (before, after) = (&*changed.before, &*changed.after);
    if before != after {
        record(
            &app,
            &context,
            &caller,
            "instance changed",
            Some(before),
            after,
        );
    }
    Ok(data(&entry(&app, after).await?))
}

/// Delete an instance
///
/// It takes no records from now on and its keys are revoked. Its records can be read for seven days
/// more; its id is free again when they are gone.
#[utoipa::path(
    delete, path = "/api/v1/mcps/{instanceId}", tag = "mcps",
    params(("instanceId" = String, Path, description = "Id of the instance")),
    responses(
        (status = 204, description = "Deleted, perhaps before"),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "A key of a limited scope", body = ProblemDocument),
        (status = 404, description = "No such instance", body = ProblemDocument),
    )
)]
pub(crate) async fn delete_instance(
    State(app): State<App>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let instance = managed(&app, &caller, &id)?;
    let changed = app.engine.delete_instance(instance.number).await?;
    let (before, after) = (&*changed.before, &*changed.after);
    if before != after {
        record(
            &app,
            &context,
            &caller,
            "instance deleted",
            Some(before),
            after,
        );
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The caller as a reader of one instance's records, and the instance.
pub(crate) async fn reader(
    app: &App,
    mut caller: Caller,
    id: &str,
) -> Result<(Caller, Arc<Instance>), Problem> {
    check_reads(app, &caller)?;
    let instance = find(app, &caller, id)?;
    let names = app.tenant_names(&[instance.tenant]).await?;
    // Another tenant of the credential may have an instance of this id. The name narrows the
    // credential again when it is looked up while a tail lives.
    caller.tenant = names.get(&instance.tenant).map(|name| name.as_str().into());
    caller.principal.tenants = vec![instance.tenant];
    Ok((caller, instance))
}

/// An instance that the caller may manage.
fn managed(app: &App, caller: &Caller, id: &str) -> Result<Arc<Instance>, Problem> {
    check_manages(caller)?;
    find(app, caller, id)
}

fn find(app: &App, caller: &Caller, id: &str) -> Result<Arc<Instance>, Problem> {
    let found = app.engine.instance(&caller.principal, id);
    found.ok_or_else(|| Problem::not_found("instance"))
}

fn check_reads(app: &App, caller: &Caller) -> Result<(), Problem> {
    match caller.principal.may_read_instances(&app.engine.catalogue()) {
        true => Ok(()),
        false => Err(Problem::new(
            Kind::Forbidden,
            "this API key does not read the records of instances",
        )),
    }
}

fn check_manages(caller: &Caller) -> Result<(), Problem> {
    match caller.principal.scope {
        Scope::Full => Ok(()),
        Scope::Ingest { .. } | Scope::Read { .. } | Scope::Instance { .. } => Err(Problem::new(
            Kind::Forbidden,
            "an API key of a limited scope cannot manage instances",
        )),
    }
}

fn status(asked: &mut Parameters) -> Option<InstanceStatus> {
    asked
        .word("status", &["active", "inactive", "expired"])
        .and_then(InstanceStatus::from_name)
}

/// `user_id`: for a user one of the own, and needed unless there is one alone.
fn owner(asked: &mut Parameters, principal: &Principal) -> String {
    let own = &principal.own_user_ids;
    match asked.text("user_id") {
        Some(id) if principal.role == Role::Admin || own.contains(&id) => id,
        Some(_) => {
            asked.fault("user_id", "must be one of the account's own user ids");
            String::new()
        }
        None if own.len() == 1 => own.first().cloned().unwrap_or_default(),
        None => {
            let detail = match (principal.role, own.is_empty()) {
                (Role::User, true) => {
                    "cannot be chosen: an admin has to give the account a user id of its own first"
                }
                _ => "is needed: the account does not have exactly one user id of its own",
            };
            asked.fault("user_id", detail);
            String::new()
        }
    }
}

async fn entry(app: &App, instance: &Instance) -> Result<Mcp, Problem> {
    let names = app.tenant_names(&[instance.tenant]).await?;
    let tenant = names.get(&instance.tenant).cloned().unwrap_or_default();
    Ok(Mcp::new(instance, tenant))
}

fn record(
    app: &App,
    context: &RequestContext,
    caller: &Caller,
    what: &str,
    before: Option<&Instance>,
    after: &Instance,
) {
    let mut event = OwnEvent::new("system.audit", Level::Info, what)
        .with("actor", &*caller.principal.name)
        .with("instance_id", &*after.id)
        .with("user_id", &*after.user_id)
        .with("after.status", after.state());
    if let Some(service) = &after.service {
        event = event.with("after.service", &**service);
    }
    if let Some(before) = before {
        event = event.with("before.status", before.state());
        if let Some(service) = &before.service {
            event = event.with("before.service", &**service);
        }
    }
    app.engine.record_own_event(context.add_to(event));
}
