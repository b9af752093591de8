//! Accounts: for admins, and one's own password.
//!
//! An admin manages the accounts whose tenants are all its own; others do not exist for it.
use super::{
    Json,
    body::Asked,
    created, data,
    list::{List, PageByNumber, number},
    schema::{ChangeUser, CreateUser, Data, OwnPassword, ProblemDocument, User, Users},
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
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};
use taffrail_engine::{
    events::OwnEvent,
    meta::{Account, AccountChange, LoginError, Meta, NewAccount},
};
use taffrail_model::{
    access::{Principal, Role},
    level::Level,
    tenant::TenantNumber,
};

/// Accounts
///
/// For admins. `after` is the number of the last account of the page before.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "users",
    params(
        ("limit" = Option<u32>, Query, description = "At most 1,000 (100)"),
        ("after" = Option<i64>, Query, description = "Accounts with greater numbers (0)"),
    ),
    responses(
        (status = 200, description = "Accounts by number", body = inline(Data<Users>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "No admin", body = ProblemDocument),
    )
)]
pub(crate) async fn users(
    State(app): State<App>,
    caller: Caller,
    Asked(mut asked): Asked,
) -> Result<Json, Problem> {
    let admin = caller.admin()?;
    let page = PageByNumber::read(&mut asked);
    asked.finish()?;
    let users = page.fill(&AccountList { app: &app, admin }).await?;
    Ok(data(&Users { users }))
}

/// All accounts, as the admin sees them.
struct AccountList<'a> {
    app: &'a App,
    admin: &'a Principal,
}

impl List for AccountList<'_> {
    type Entry = Account;
    type Shown = User;

    async fn read(&self, after: i64, limit: usize) -> Result<Vec<Account>, Problem> {
        Ok(self.app.engine.meta().accounts(after, limit).await?)
    }

    fn number(account: &Account) -> i64 {
        account.id
    }

    async fn show(&self, account: Account) -> Result<Option<User>, Problem> {
        match is_managed_by(&account, self.admin) {
            true => entry(self.app, &account).await.map(Some),
            false => Ok(None),
        }
    }
}

/// Make an account
#[utoipa::path(
    post, path = "/api/v1/users", tag = "users", request_body = CreateUser,
    responses(
        (status = 201, description = "The account", body = inline(Data<User>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "No admin", body = ProblemDocument),
        (status = 409, description = "The name is taken", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
    )
)]
pub(crate) async fn create_user(
    State(app): State<App>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    Asked(mut asked): Asked,
) -> Result<Response, Problem> {
    let admin = caller.admin()?;
    let name = asked.text("name");
    let password = asked.text("password");
    for (field, value) in [("name", &name), ("password", &password)] {
        if value.is_none() {
            asked.fault(field, "is needed");
        }
    }
    let role = role(&mut asked).unwrap_or(Role::User);
    let own_user_ids = own_user_ids(&mut asked).unwrap_or_default();
    let tenants = tenants(&app, &mut asked, admin).await?;
    asked.finish()?;
    let account = app
        .engine
        .meta()
        .create_account(NewAccount {
            name: name.unwrap_or_default(),
            password: password.unwrap_or_default(),
            role,
            tenants: tenants.unwrap_or_else(|| admin.tenants.iter().take(1).copied().collect()),
            own_user_ids,
        })
        .await?;
    record(&app, &context, admin, &account, "account made");
    Ok(created(&entry(&app, &account).await?))
}

/// One account
#[utoipa::path(
    get, path = "/api/v1/users/{id}", tag = "users",
    params(("id" = i64, Path, description = "Number of the account")),
    responses(
        (status = 200, description = "The account", body = inline(Data<User>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "No admin", body = ProblemDocument),
        (status = 404, description = "No such account", body = ProblemDocument),
    )
)]
pub(crate) async fn user(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json, Problem> {
    let account = managed(&app, caller.admin()?, &id).await?;
    Ok(data(&entry(&app, &account).await?))
}

/// Change an account
///
/// What is not given stays. A new password or role, or disabling, ends its sessions at once. The
/// last enabled admin stays one.
#[utoipa::path(
    patch, path = "/api/v1/users/{id}", tag = "users", request_body = ChangeUser,
    params(("id" = i64, Path, description = "Number of the account")),
    responses(
        (status = 200, description = "The account as it is now", body = inline(Data<User>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "No admin", body = ProblemDocument),
        (status = 404, description = "No such account", body = ProblemDocument),
        (status = 409, description = "It is the last enabled admin", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
    )
)]
pub(crate) async fn change_user(
    State(app): State<App>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    Path(id): Path<String>,
    Asked(mut asked): Asked,
) -> Result<Json, Problem> {
    let admin = caller.admin()?;
    let account = managed(&app, admin, &id).await?;
    let change = AccountChange {
        password: asked.text("password"),
        role: role(&mut asked),
        is_disabled: asked.switch("is_disabled"),
        own_user_ids: own_user_ids(&mut asked),
        tenants: tenants(&app, &mut asked, admin).await?,
    };
    asked.finish()?;
    let account = app.engine.meta().change_account(account.id, change).await?;
    record(&app, &context, admin, &account, "account changed");
    Ok(data(&entry(&app, &account).await?))
}

/// Delete an account
///
/// Its API keys and sessions go with it.
#[utoipa::path(
    delete, path = "/api/v1/users/{id}", tag = "users",
    params(("id" = i64, Path, description = "Number of the account")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "No admin", body = ProblemDocument),
        (status = 404, description = "No such account", body = ProblemDocument),
        (status = 409, description = "It is the last enabled admin", body = ProblemDocument),
    )
)]
pub(crate) async fn delete_user(
    State(app): State<App>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let admin = caller.admin()?;
    let account = managed(&app, admin, &id).await?;
    app.engine.meta().delete_account(account.id).await?;
    record(&app, &context, admin, &account, "account deleted");
    Ok(StatusCode::NO_CONTENT)
}

/// Change the own password
///
/// Needs the old one. Ends every session of the account, this one too.
#[utoipa::path(
    put, path = "/api/v1/users/me/password", tag = "users", request_body = OwnPassword,
    responses(
        (status = 204, description = "Changed"),
        (status = 401, description = "No accepted credential, or the old password is wrong", body = ProblemDocument),
        (status = 403, description = "The credential has no account", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
        (status = 429, description = "Too many failures", body = ProblemDocument),
    )
)]
pub(crate) async fn change_own_password(
    State(app): State<App>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    Asked(mut asked): Asked,
) -> Result<StatusCode, Problem> {
    let id = caller.own_account()?;
    let old = asked.text("old_password");
    let new = asked.text("new_password");
    for (field, value) in [("old_password", &old), ("new_password", &new)] {
        if value.is_none() {
            asked.fault(field, "is needed");
        }
    }
    asked.finish()?;
    let address = context.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let meta = app.engine.meta();
    let account = meta
        .authenticate(&caller.principal.name, &old.unwrap_or_default(), address)
        .await?;
    if account.id != id {
        return Err(LoginError::Wrong.into());
    }
    let change = AccountChange {
        password: new,
        ..AccountChange::default()
    };
    meta.change_account(id, change).await?;
    record(
        &app,
        &context,
        &caller.principal,
        &account,
        "password changed",
    );
    Ok(StatusCode::NO_CONTENT)
}

/// An account that the admin manages.
async fn managed(app: &App, admin: &Principal, id: &str) -> Result<Account, Problem> {
    let account = app.engine.meta().account(number(id, "account")?).await?;
    match is_managed_by(&account, admin) {
        true => Ok(account),
        false => Err(Problem::not_found("account")),
    }
}

/// Whether all of the account's tenants are the admin's too.
pub(super) fn is_managed_by(account: &Account, admin: &Principal) -> bool {
    account
        .tenants
        .iter()
        .all(|tenant| admin.tenants.contains(tenant))
}

fn role(asked: &mut Parameters) -> Option<Role> {
    asked
        .word("role", &["admin", "user"])
        .and_then(Role::from_name)
}

fn own_user_ids(asked: &mut Parameters) -> Option<BTreeSet<String>> {
    // Ids may hold commas: they are taken as they are.
    let serde_json::Value::Array(values) = asked.value("own_user_ids")? else {
        asked.fault("own_user_ids", "must be a list of texts");
        return None;
    };
    let ids: Option<BTreeSet<String>> = values
        .into_iter()
        .map(|value| match value {
            serde_json::Value::String(id) => Some(id),
            _ => None,
        })
        .collect();
    if ids.is_none() {
        asked.fault("own_user_ids", "must be a list of texts");
    }
    ids
}

/// Tenants by name, of the admin's own.
async fn tenants(
    app: &App,
    asked: &mut Parameters,
    admin: &Principal,
) -> Result<Option<Vec<TenantNumber>>, Problem> {
    let Some(wanted) = asked.texts("tenants") else {
        return Ok(None);
    };
    let names = app.tenant_names(&admin.tenants).await?;
    let mut numbers = Vec::with_capacity(wanted.len());
    for name in &wanted {
        let number = admin
            .tenants
            .iter()
            .find(|number| names.get(number) == Some(name));
        match number {
            Some(number) => numbers.push(*number),
            None => asked.fault("tenants", "must be names of your own tenants"),
        }
    }
    Ok(Some(numbers))
}

async fn entry(app: &App, account: &Account) -> Result<User, Problem> {
    let names = app.tenant_names(&account.tenants).await?;
    Ok(User {
        id: account.id,
        name: account.name.to_string(),
        role: account.role.name(),
        is_disabled: account.is_disabled,
        own_user_ids: account.own_user_ids.iter().cloned().collect(),
        tenants: account
            .tenants
            .iter()
            .filter_map(|number| names.get(number).cloned())
            .collect(),
        created_at: account.created.to_rfc3339(),
    })
}

fn record(app: &App, context: &RequestContext, by: &Principal, account: &Account, what: &str) {
    let event = OwnEvent::new("system.audit", Level::Info, what)
        .with("actor", &*by.name)
        .with("account", &*account.name)
        .with_number("account_id", account.id)
        .with("role", account.role.name());
    app.engine.record_own_event(context.add_to(event));
}

/// 403 of a route of admins.
pub(super) fn no_admin() -> Problem {
    Problem::new(Kind::Forbidden, "this needs an admin")
}
