//! API keys: everybody's own, and for admins those of the accounts that they manage.
use super::{
    Json,
    body::Asked,
    created, data,
    list::{List, PageByNumber, number},
    mcps,
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
    meta::{ApiKey, CreatedKey, Meta, NewKey},
};
use taffrail_model::{access::Scope, level::Level, time::Timestamp};

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
    let page = PageByNumber::read(&mut asked);
    asked.finish()?;
    let account = match (account, caller.principal.may_administer()) {
        (None, true) => None,
        (None, false) => Some(caller.own_account()?),
        (Some(id), _) => {
            check_account(&app, &caller, id).await?;
            Some(id)
        }
    };
    let list = KeyList {
        app: &app,
        caller: &caller,
        account,
    };
    let keys = page.fill(&list).await?;
    Ok(data(&Keys { keys }))
}

/// The keys of one account or of all, as the caller sees them.
struct KeyList<'a> {
    app: &'a App,
    caller: &'a Caller,
    account: Option<i64>,
}

impl List for KeyList<'_> {
    type Entry = ApiKey;
    type Shown = Key;

    async fn read(&self, after: i64, limit: usize) -> Result<Vec<ApiKey>, Problem> {
        let meta = self.app.engine.meta();
        Ok(meta.keys(self.account, after, limit).await?)
    }

    fn number(key: &ApiKey) -> i64 {
        key.id
    }

    async fn show(&self, key: ApiKey) -> Result<Option<Key>, Problem> {
        let is_visible = is_visible(self.app, self.caller, &key).await?;
        Ok(is_visible.then(|| key.into()))
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
    let parts = NewKeyParts::read(&mut asked, app.engine.now());
    let scope = scope(&mut asked);
    asked.finish()?;
    let scope = match scope {
        ScopeEntry::Full => Scope::Full,
        ScopeEntry::Ingest { streams } => Scope::Ingest { streams },
        ScopeEntry::Read { streams } => Scope::Read { streams },
        ScopeEntry::Instance { instance } => {
            let made = mcps::make_key(&app, &caller, &instance, parts).await?;
            return Ok(answer_made(&app, &context, &caller, made));
        }
    };
    let made = app
        .engine
        .meta()
        .create_key(NewKey {
            account: parts.account_for(&app, &caller).await?,
            name: parts.name,
            scope,
            expires: parts.expires,
        })
        .await?;
    Ok(answer_made(&app, &context, &caller, made))
}

/// What every new key says.
pub(super) struct NewKeyParts {
    account: Option<i64>,
    pub(super) name: String,
    pub(super) expires: Option<Timestamp>,
}

impl NewKeyParts {
    /// Reads `account`, `name`, `expires_at`.
    pub(super) fn read(asked: &mut Parameters, now: Timestamp) -> NewKeyParts {
        let account = account_parameter(asked);
        let name = asked.text("name");
        if name.is_none() {
            asked.fault("name", "is needed");
        }
        let expires = asked.time("expires_at", now, &TimeZone::UTC);
        if expires.is_some_and(|expires| expires <= now) {
            asked.fault("expires_at", "must be in the future");
        }
        NewKeyParts {
            account,
            name: name.unwrap_or_default(),
            expires,
        }
    }

    /// The account that the key acts for: the one that is named, if the caller may manage its keys,
    /// or the own one.
    pub(super) async fn account_for(&self, app: &App, caller: &Caller) -> Result<i64, Problem> {
        match self.account {
            Some(id) => {
                check_account(app, caller, id).await?;
                Ok(id)
            }
            None => caller.own_account(),
        }
    }
}

/// 201 with the key that was made and its secret; it is on record.
pub(super) fn answer_made(
    app: &App,
    context: &RequestContext,
    caller: &Caller,
    made: CreatedKey,
) -> Response {
    record(app, context, caller, &made.key, "API key made");
    created(&CreatedKeyEntry {
        key: made.key.into(),
        secret: made.secret,
    })
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
    let key = app.engine.meta().key(number(id, "API key")?).await?;
    match is_visible(app, caller, &key).await? {
        true => Ok(key),
        false => Err(Problem::not_found("API key")),
    }
}

/// `{"scope": "full"}`, `{"scope": "ingest", "streams": […]}`, `{"scope": "read", "streams": […]}`,
/// `{"scope": "instance", "instance": "…"}`; full without it.
fn scope(asked: &mut Parameters) -> ScopeEntry {
    let Some(value) = asked.value("scope") else {
        return ScopeEntry::Full;
    };
    serde_json::from_value(value).unwrap_or_else(|_| {
        asked.fault(
            "scope",
            "must be {\"scope\":\"full\"}, or \"ingest\" or \"read\" with \"streams\", or \"instance\" with \"instance\"",
        );
        ScopeEntry::Full
    })
}

fn record(app: &App, context: &RequestContext, caller: &Caller, key: &ApiKey, what: &str) {
    let mut event = OwnEvent::new("system.audit", Level::Info, what)
        .with("actor", &*caller.principal.name)
        .with("key_name", &*key.name)
        .with_number("key_id", key.id)
        .with_number("account_id", key.account);
    if let Scope::Instance { instance, .. } = &key.scope {
        event = event.with("instance_id", &**instance);
    }
    app.engine.record_own_event(context.add_to(event));
}
