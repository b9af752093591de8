//! API keys: everybody's own, and for admins those of the accounts that they manage.
use super::{
    Json,
    body::Asked,
    created, data,
    schema::{CreateKey, CreatedKeyEntry, Data, Key, Keys, ProblemDocument, ScopeEntry},
    users::{is_managed_by, no_admin},
};
use crate::{
    auth::Caller, parameters::Parameters, problem::Problem, request_log::RequestContext, state::App,
};
use axum::{
    extract::{Extension, Path, State},
    http::StatusCode,
    response::Response,
};
use jiff::tz::TimeZone;
use taffrail_engine::{
    events::OwnEvent,
    meta::{ApiKey, Meta, NewKey},
};
use taffrail_model::{access::Scope, level::Level};

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// API keys
///
/// Of the own account, or for admins of one or all accounts that they manage. Never the secret.
#[utoipa::path(
    get, path = "/api/v1/keys", tag = "keys",
    params(
        ("account" = Option<i64>, Query, description = "Number of the account; for admins, without it all"),
        ("limit" = Option<u32>, Query, description = "At most 1,000 (100)"),
        ("after" = Option<i64>, Query, description = "Keys with greater numbers (0)"),
    ),
    responses(
        (status = 200, description = "Keys by number", body = inline(Data<Keys>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "Keys of others, or no account", body = ProblemDocument),
    )
)]
pub(crate) async fn keys(
    State(app): State<App>,
    caller: Caller,
    Asked(mut asked): Asked,
) -> Result<Json, Problem> {
    let account = account_parameter(&mut asked);
    let limit = asked.number("limit", 1..=LIMIT_MAX).unwrap_or(LIMIT);
    let after = asked.number("after", 0..=usize::MAX).unwrap_or(0);
    asked.finish()?;
    let account = match (account, caller.principal.may_administer()) {
        (None, true) => None,
        (None, false) => Some(caller.own_account()?),
        (Some(id), _) => {
            check_account(&app, &caller, id).await?;
            Some(id)
        }
    };
    let mut after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut keys = Vec::new();
    loop {
        let page = app.engine.meta().keys(account, after, limit).await?;
        let is_last = page.len() < limit;
        for key in page {
            after = key.id;
            if keys.len() < limit && is_visible(&app, &caller, &key).await? {
                keys.push(Key::from(key));
            }
        }
        if is_last || keys.len() >= limit {
            return Ok(data(&Keys { keys }));
        }
    }
}

/// Make an API key
///
/// The secret is in this answer and nowhere else. A key can never do more than its account.
#[utoipa::path(
    post, path = "/api/v1/keys", tag = "keys", request_body = CreateKey,
    responses(
        (status = 201, description = "The key with its secret", body = inline(Data<CreatedKeyEntry>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "For another account, or no account", body = ProblemDocument),
        (status = 404, description = "No such account", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
    )
)]
pub(crate) async fn create_key(
    State(app): State<App>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    Asked(mut asked): Asked,
) -> Result<Response, Problem> {
    let account = account_parameter(&mut asked);
    let name = asked.text("name");
    if name.is_none() {
        asked.fault("name", "is needed");
    }
    let scope = scope(&mut asked);
    let now = app.engine.now();
    let expires = asked.time("expires_at", now, &TimeZone::UTC);
    if expires.is_some_and(|expires| expires <= now) {
        asked.fault("expires_at", "must be in the future");
    }
    asked.finish()?;
    let account = match account {
        Some(id) => {
            check_account(&app, &caller, id).await?;
            id
        }
        None => caller.own_account()?,
    };
    let made = app
        .engine
        .meta()
        .create_key(NewKey {
            account,
            name: name.unwrap_or_default(),
            scope,
            expires,
        })
        .await?;
    record(&app, &context, &caller, &made.key, "API key made");
    Ok(created(&CreatedKeyEntry {
        key: made.key.into(),
        secret: made.secret,
    }))
}

/// One API key
#[utoipa::path(
    get, path = "/api/v1/keys/{id}", tag = "keys",
    params(("id" = i64, Path, description = "Number of the key")),
    responses(
        (status = 200, description = "The key", body = inline(Data<Key>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 404, description = "No such key", body = ProblemDocument),
    )
)]
pub(crate) async fn key(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json, Problem> {
    Ok(data(&Key::from(visible(&app, &caller, &id).await?)))
}

/// Revoke an API key
///
/// It is refused from now on, and tails that it has opened end within five seconds.
#[utoipa::path(
    delete, path = "/api/v1/keys/{id}", tag = "keys",
    params(("id" = i64, Path, description = "Number of the key")),
    responses(
        (status = 204, description = "Revoked"),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 404, description = "No such key", body = ProblemDocument),
    )
)]
pub(crate) async fn revoke_key(
    State(app): State<App>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let key = visible(&app, &caller, &id).await?;
    let key = app.engine.meta().revoke_key(key.id).await?;
    record(&app, &context, &caller, &key, "API key revoked");
    Ok(StatusCode::NO_CONTENT)
}

fn account_parameter(asked: &mut Parameters) -> Option<i64> {
    let most = usize::try_from(i64::MAX).unwrap_or(usize::MAX);
    let number = asked.number("account", 1..=most)?;
    i64::try_from(number).ok()
}

/// Whether the caller may manage the keys of an account.
async fn check_account(app: &App, caller: &Caller, id: i64) -> Result<(), Problem> {
    if !caller.principal.may_administer() {
        return match caller.own_account()? == id {
            true => Ok(()),
            false => Err(no_admin()),
        };
    }
    let account = app.engine.meta().account(id).await?;
    match is_managed_by(&account, &caller.principal) {
        true => Ok(()),
        false => Err(Problem::not_found("account")),
    }
}

async fn is_visible(app: &App, caller: &Caller, key: &ApiKey) -> Result<bool, Problem> {
    if caller.principal.may_administer() {
        let account = app.engine.meta().account(key.account).await?;
        return Ok(is_managed_by(&account, &caller.principal));
    }
    Ok(caller.own_account()? == key.account)
}

async fn visible(app: &App, caller: &Caller, id: &str) -> Result<ApiKey, Problem> {
    if !caller.principal.may_administer() {
        caller.own_account()?;
    }
    let missing = || Problem::not_found("API key");
    let id: i64 = id.parse().map_err(|_| missing())?;
    let key = app.engine.meta().key(id).await?;
    match is_visible(app, caller, &key).await? {
        true => Ok(key),
        false => Err(missing()),
    }
}

/// `{"scope": "full"}`, `{"scope": "ingest", "streams": […]}`, `{"scope": "read", "streams": […]}`;
/// full without it.
fn scope(asked: &mut Parameters) -> Scope {
    let Some(value) = asked.value("scope") else {
        return Scope::Full;
    };
    match serde_json::from_value::<ScopeEntry>(value) {
        Ok(entry) => entry.into(),
        Err(_) => {
            asked.fault(
                "scope",
                "must be {\"scope\":\"full\"}, or \"ingest\" or \"read\" with \"streams\"",
            );
            Scope::Full
        }
    }
}

fn record(app: &App, context: &RequestContext, caller: &Caller, key: &ApiKey, what: &str) {
    let event = OwnEvent::new("system.audit", Level::Info, what)
        .with("actor", &*caller.principal.name)
        .with("key_name", &*key.name)
        .with_number("key_id", key.id)
        .with_number("account_id", key.account);
    app.engine.record_own_event(context.add_to(event));
}
