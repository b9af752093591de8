//! Keys that write the records of one instance.
use super::{
    managed,
    schema::{CreateMcpKey, McpKeys},
};
use crate::{
    auth::Caller,
    http::{
        Json,
        body::Asked,
        data,
        keys::{NewKeyParts, answer_made},
        list::PageByNumber,
        schema::{CreatedKeyEntry, Data, Key, ProblemDocument},
    },
    problem::{FieldFault, Problem},
    request_log::RequestContext,
    state::App,
};
use axum::{
    extract::{Extension, Path, State},
    response::Response,
};
use taffrail_engine::{
    instances::NewInstanceKey,
    meta::{CreatedKey, Meta},
};

/// Keys of an instance
///
/// Never the secret.
#[utoipa::path(
    get, path = "/api/v1/mcps/{instanceId}/keys", tag = "mcps",
    params(
        ("instanceId" = String, Path, description = "Id of the instance"),
        ("limit" = Option<u32>, Query, description = "At most 1,000 (100)"),
        ("after" = Option<i64>, Query, description = "Keys with greater numbers (0)"),
    ),
    responses(
        (status = 200, description = "Keys by number", body = inline(Data<McpKeys>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "A key of a limited scope", body = ProblemDocument),
        (status = 404, description = "No such instance", body = ProblemDocument),
    )
)]
pub(crate) async fn instance_keys(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(mut asked): Asked,
) -> Result<Json, Problem> {
    let instance = managed(&app, &caller, &id)?;
    let page = PageByNumber::read(&mut asked);
    asked.finish()?;
    let keys = app
        .engine
        .instance_keys(&instance, page.after, page.limit)
        .await?;
    let keys = keys.into_iter().map(Key::from).collect();
    Ok(data(&McpKeys { keys }))
}

/// Make a key of an instance
///
/// For whoever runs it: the key writes the records of this instance and its supervisor's, and
/// nothing else; it reads nothing. It ends with the instance.
#[utoipa::path(
    post, path = "/api/v1/mcps/{instanceId}/keys", tag = "mcps", request_body = CreateMcpKey,
    params(("instanceId" = String, Path, description = "Id of the instance")),
    responses(
        (status = 201, description = "The key with its secret", body = inline(Data<CreatedKeyEntry>)),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "A key of a limited scope, for another account, or no account", body = ProblemDocument),
        (status = 404, description = "No such instance or account", body = ProblemDocument),
        (status = 409, description = "The instance is deleted", body = ProblemDocument),
        (status = 422, description = "Values that are not valid", body = ProblemDocument),
    )
)]
pub(crate) async fn create_instance_key(
    State(app): State<App>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    Path(id): Path<String>,
    Asked(mut asked): Asked,
) -> Result<Response, Problem> {
    managed(&app, &caller, &id)?;
    let parts = NewKeyParts::read(&mut asked, app.engine.now());
    asked.finish()?;
    let made = make_key(&app, &caller, &id, parts).await?;
    Ok(answer_made(&app, &context, &caller, made))
}

/// Makes a key of an instance that the caller manages.
pub(in crate::http) async fn make_key(
    app: &App,
    caller: &Caller,
    id: &str,
    parts: NewKeyParts,
) -> Result<CreatedKey, Problem> {
    let instance = managed(app, caller, id)?;
    let account = parts.account_for(app, caller).await?;
    if !app.engine.meta().account(account).await?.owns(&instance) {
        return Err(Problem::invalid(vec![FieldFault {
            field: "account".into(),
            detail: "must be one that owns the instance: its own user ids have to hold the owner"
                .into(),
        }]));
    }
    let new = NewInstanceKey {
        account,
        name: parts.name,
        expires: parts.expires,
    };
    Ok(app.engine.create_instance_key(&instance, new).await?)
}
