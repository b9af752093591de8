//! Login, logout, and who one is.
use super::{
    Json,
    body::Asked,
    data,
    list::number,
    schema::{Data, Login, ProblemDocument, SessionEntry, SessionInfo, Sessions},
};
use crate::{
    auth::{Caller, Credential, REQUESTED_WITH, SESSION_COOKIE},
    origin::{self, Origin},
    problem::{Kind, Problem},
    request_log::RequestContext,
    state::App,
};
use axum::{
    extract::{Extension, Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::net::{IpAddr, Ipv4Addr};
use taffrail_engine::{
    events::OwnEvent,
    meta::{LoginError, Meta, SESSION_ABSOLUTE_S},
};
use taffrail_model::{
    access::{Principal, Scope},
    level::Level,
};

/// Log in
///
/// Begins a session and sets its cookie. After repeated failures from one address the answer is
/// 429, and even the right password is not looked at for a while.
#[utoipa::path(
    post, path = "/api/v1/sessions", tag = "sessions", request_body = Login, security(()),
    responses(
        (status = 200, description = "Logged in", body = inline(Data<SessionInfo>)),
        (status = 401, description = "Wrong name or password", body = ProblemDocument),
        (status = 403, description = "A request of another website", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
        (status = 429, description = "Too many failed logins", body = ProblemDocument),
    )
)]
pub(crate) async fn login(
    State(app): State<App>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    Asked(mut asked): Asked,
) -> Result<Response, Problem> {
    if origin::of(&headers) == Origin::Foreign {
        return Err(Problem::new(
            Kind::ForeignOrigin,
            "log in from a page of this server",
        ));
    }
    let name = asked.text("name");
    let password = asked.text("password");
    for (field, value) in [("name", &name), ("password", &password)] {
        if value.is_none() {
            asked.fault(field, "is needed");
        }
    }
    asked.finish()?;
    let (name, password) = (name.unwrap_or_default(), password.unwrap_or_default());
    let address = context.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let meta = app.engine.meta();
    let account = match meta.authenticate(&name, &password, address).await {
        Ok(account) => account,
        Err(fault) => {
            record_failure(&app, &context, &name, &fault).await;
            return Err(fault.into());
        }
    };
    let created = meta.create_session(&account, context.address).await?;
    let event = OwnEvent::new("security", Level::Info, "login")
        .with("account", &*account.name)
        .with_number("account_id", account.id);
    app.engine.record_own_event(context.add_to(event));
    let found = meta.find_session(&created.token).await?;
    let Some(found) = found else {
        // The password or role was changed in this very moment.
        return Err(LoginError::Wrong.into());
    };
    let info = info(&app, &found.principal, Some(found.session.into())).await?;
    let mut response = data(&info).into_response();
    set_cookie(&mut response, &headers, &created.token, SESSION_ABSOLUTE_S)?;
    Ok(response)
}

/// The name is only recorded if there is such an account: people type passwords into the field of
/// the name.
async fn record_failure(app: &App, context: &RequestContext, name: &str, fault: &LoginError) {
    let known = app.engine.meta().account_by_name(name).await.ok();
    let mut event =
        OwnEvent::new("security", Level::Warn, "login refused").with("reason", fault.to_string());
    if let Some(account) = known {
        event = event.with("account", &*account.name);
    }
    app.record_refusal(context.add_to(event));
}

fn set_cookie(
    response: &mut Response,
    headers: &HeaderMap,
    token: &str,
    age_s: i64,
) -> Result<(), Problem> {
    let is_tls = headers
        .get("x-forwarded-proto")
        .is_some_and(|value| value == "https");
    let secure = if is_tls { "; Secure" } else { "" };
    let cookie = format!(
        "{SESSION_COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age_s}{secure}"
    );
    let cookie = HeaderValue::from_str(&cookie).map_err(|fault| Problem::internal(&fault))?;
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(())
}

/// Who am I
///
/// The account behind the credential, whatever kind it is.
#[utoipa::path(
    get, path = "/api/v1/sessions/current", tag = "sessions",
    responses(
        (status = 200, description = "The account and its rights", body = inline(Data<SessionInfo>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
    )
)]
pub(crate) async fn current(State(app): State<App>, caller: Caller) -> Result<Json, Problem> {
    let session = match caller.session {
        None => None,
        Some(id) => {
            let sessions = app.engine.meta().sessions(caller.principal.account).await?;
            sessions.into_iter().find(|session| session.id == id)
        }
    };
    let info = info(&app, &caller.principal, session.map(SessionEntry::from)).await?;
    Ok(data(&info))
}

/// Log out
///
/// Ends the session and clears its cookie.
#[utoipa::path(
    delete, path = "/api/v1/sessions/current", tag = "sessions",
    responses(
        (status = 204, description = "Logged out"),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "The credential is no session", body = ProblemDocument),
    )
)]
pub(crate) async fn logout(
    State(app): State<App>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    request: Request,
) -> Result<Response, Problem> {
    let (Some(id), Credential::Session(_)) = (caller.session, &caller.credential) else {
        return Err(Problem::new(
            Kind::Forbidden,
            "this credential is no session: an API key is revoked at /api/v1/keys/{id}",
        ));
    };
    app.engine.meta().revoke_session(id).await?;
    let event = OwnEvent::new("security", Level::Info, "logout")
        .with("account", &*caller.principal.name)
        .with_number("account_id", caller.principal.account);
    app.engine.record_own_event(context.add_to(event));
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, request.headers(), "", 0)?;
    Ok(response)
}

/// Own sessions
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "sessions",
    responses(
        (status = 200, description = "Sessions of the account that have not ended", body = inline(Data<Sessions>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "The credential has no account", body = ProblemDocument),
    )
)]
pub(crate) async fn sessions(State(app): State<App>, caller: Caller) -> Result<Json, Problem> {
    let account = caller.own_account()?;
    let sessions = app.engine.meta().sessions(account).await?;
    let sessions = sessions.into_iter().map(SessionEntry::from).collect();
    Ok(data(&Sessions { sessions }))
}

/// End one of the own sessions
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", tag = "sessions",
    params(("id" = i64, Path, description = "Number of the session")),
    responses(
        (status = 204, description = "Ended"),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 404, description = "No such session of the account", body = ProblemDocument),
    )
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let account = caller.own_account()?;
    let id = number(&id, "session")?;
    let own = app.engine.meta().sessions(account).await?;
    if !own.iter().any(|session| session.id == id) {
        return Err(Problem::not_found("session"));
    }
    app.engine.meta().revoke_session(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn info(
    app: &App,
    principal: &Principal,
    session: Option<SessionEntry>,
) -> Result<SessionInfo, Problem> {
    let names = app.tenant_names(&principal.tenants).await?;
    let tenants = principal
        .tenants
        .iter()
        .filter_map(|number| names.get(number).cloned())
        .collect();
    Ok(SessionInfo {
        account: (principal.account > 0).then_some(principal.account),
        name: principal.name.to_string(),
        role: principal.role.name(),
        tenants,
        own_user_ids: principal.own_user_ids.iter().cloned().collect(),
        scope: principal.scope.clone().into(),
        may_administer: principal.may_administer(),
        may_manage_own_account: principal.account > 0 && principal.scope == Scope::Full,
        session,
        change_header: REQUESTED_WITH,
    })
}
