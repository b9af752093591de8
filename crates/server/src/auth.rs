//! Who asks: a credential becomes a principal, once for each request and again while a tail lives.
//!
//! Invariants
//! - The credential is looked up for every request: what was revoked is refused at once.
//! - An `Authorization` header that is not accepted is a refusal; the cookie is not tried then.
//! - A request that changes something under a cookie must come from a page of this server, or
//!   carry a header that no form and no other website can send.
use crate::{
    origin::{self, Origin},
    problem::{Kind, Problem},
    request_log::RequestContext,
    state::{App, State},
};
use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, Method, header, request::Parts},
};
use std::sync::Arc;
use taffrail_engine::meta::{Meta, secrets_equal};
use taffrail_model::access::{Principal, Role, Scope};

/// Name of the session cookie.
pub const SESSION_COOKIE: &str = "taffrail_session";
/// Header that allows a script without browser to change something under a cookie.
pub const REQUESTED_WITH: &str = "x-requested-with";
/// Header that chooses among the credential's tenants.
pub const TENANT_HEADER: &str = "x-scope-orgid";

/// A credential as it came. Never shown.
#[derive(Clone)]
pub(crate) enum Credential {
    /// `Authorization: Bearer`.
    Bearer(Arc<str>),
    /// The session cookie.
    Session(Arc<str>),
}

/// The principal of a request and how it was found.
#[derive(Clone)]
pub struct Caller {
    /// Who asks.
    pub principal: Principal,
    /// Number of the session, if the credential is one.
    pub(crate) session: Option<i64>,
    pub(crate) credential: Credential,
    pub(crate) tenant: Option<Arc<str>>,
}

impl Caller {
    /// The caller, if it may administer.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn admin(&self) -> Result<&Principal, Problem> {
        match self.principal.may_administer() {
            true => Ok(&self.principal),
            false => Err(Problem::new(Kind::Forbidden, "this needs an admin")),
        }
    }

    /// The account, if the credential acts for one without limits.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn own_account(&self) -> Result<i64, Problem> {
        match (self.principal.account, &self.principal.scope) {
            (id @ 1.., Scope::Full) => Ok(id),
            (1.., _) => Err(Problem::new(
                Kind::Forbidden,
                "an API key of a limited scope cannot manage its account",
            )),
            _ => Err(Problem::new(
                Kind::Forbidden,
                "this credential has no account",
            )),
        }
    }
}

impl<S> FromRequestParts<S> for Caller
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Caller, Problem> {
        let app = App::from_ref(state);
        let Some(credential) = credential(&parts.headers) else {
            return Err(Problem::new(
                Kind::Unauthorized,
                "log in, or send `Authorization: Bearer <API key>`",
            ));
        };
        let caller = find(&app, &credential, &parts.headers, &parts.method).await?;
        if let Some(context) = parts.extensions.get::<RequestContext>() {
            // Set once: a request has one caller.
            drop(context.actor.set(caller.principal.name.clone()));
        }
        Ok(caller)
    }
}

async fn find(
    app: &State,
    credential: &Credential,
    headers: &HeaderMap,
    method: &Method,
) -> Result<Caller, Problem> {
    check_origin(credential, headers, method)?;
    let tenant = match headers.get(TENANT_HEADER).map(|value| value.to_str()) {
        None => None,
        Some(Ok(name)) => Some(Arc::from(name.trim())),
        Some(Err(_)) => return Err(foreign_tenant()),
    };
    let (principal, session) = authenticate(app, credential, tenant.as_deref()).await?;
    Ok(Caller {
        principal,
        session,
        credential: credential.clone(),
        tenant,
    })
}

fn credential(headers: &HeaderMap) -> Option<Credential> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let text = value.to_str().unwrap_or_default();
        let (scheme, secret) = text.split_once(' ').unwrap_or((text, ""));
        let secret = match scheme.eq_ignore_ascii_case("bearer") {
            true => secret.trim(),
            // Refused like a wrong key, so that the cookie is not tried.
            false => "",
        };
        return Some(Credential::Bearer(secret.into()));
    }
    session_token(headers).map(|token| Credential::Session(token.into()))
}

/// The token in the session cookie.
pub(crate) fn session_token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == SESSION_COOKIE)
        .map(|(_, token)| token)
}

fn check_origin(
    credential: &Credential,
    headers: &HeaderMap,
    method: &Method,
) -> Result<(), Problem> {
    let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let is_socket = headers.contains_key(header::UPGRADE);
    let is_cookie = matches!(credential, Credential::Session(_));
    let refused = match origin::of(headers) {
        Origin::Same => false,
        // A page elsewhere cannot add a credential of its own but to a socket of a browser.
        Origin::Foreign => is_socket || is_cookie && changes,
        Origin::Unsaid => {
            is_cookie && changes && !headers.contains_key(REQUESTED_WITH) || is_cookie && is_socket
        }
    };
    match refused {
        false => Ok(()),
        true => Err(Problem::new(
            Kind::ForeignOrigin,
            "send it from a page of this server, with an API key, or with the header X-Requested-With",
        )),
    }
}

/// What the credential stands for now.
///
/// # Errors
/// 401 if it is not accepted, 403 if the tenant is not one of its own.
pub(crate) async fn authenticate(
    app: &State,
    credential: &Credential,
    tenant: Option<&str>,
) -> Result<(Principal, Option<i64>), Problem> {
    let meta = app.engine.meta();
    let (mut principal, session) = match credential {
        Credential::Session(token) => {
            let Some(found) = meta.find_session(token).await? else {
                return Err(Problem::new(
                    Kind::Unauthorized,
                    "the session has ended: log in again",
                ));
            };
            (found.principal, Some(found.session.id))
        }
        Credential::Bearer(secret) if is_bootstrap_key(app, secret) => {
            (bootstrap_principal(app).await?, None)
        }
        Credential::Bearer(secret) => {
            let Some(principal) = meta.find_key(secret).await? else {
                return Err(Problem::new(
                    Kind::Unauthorized,
                    "the API key is not accepted",
                ));
            };
            (principal, None)
        }
    };
    if let Some(name) = tenant {
        let names = app.tenant_names(&principal.tenants).await?;
        principal
            .tenants
            .retain(|number| names.get(number).is_some_and(|have| have == name));
        if principal.tenants.is_empty() {
            return Err(foreign_tenant());
        }
    }
    Ok((principal, session))
}

fn is_bootstrap_key(app: &State, secret: &str) -> bool {
    app.bootstrap_key
        .as_deref()
        .is_some_and(|key| secrets_equal(key, secret))
}

async fn bootstrap_principal(app: &State) -> Result<Principal, Problem> {
    let tenants = app.engine.meta().tenants().await?;
    Ok(Principal {
        account: 0,
        name: "bootstrap".into(),
        role: Role::Admin,
        tenants: tenants.into_iter().map(|tenant| tenant.number).collect(),
        own_user_ids: Arc::default(),
        scope: Scope::Full,
        credential: "bootstrap".into(),
    })
}

/// The same words whether the tenant exists or not.
fn foreign_tenant() -> Problem {
    Problem::new(
        Kind::Forbidden,
        "X-Scope-OrgID must name one tenant of the credential",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        for (pairs, expected) in [
            (
                &[("cookie", "a=b; taffrail_session=t1; c=d")][..],
                Some("t1"),
            ),
            (
                &[("cookie", "a=b"), ("cookie", "taffrail_session=t2")],
                Some("t2"),
            ),
            (&[("cookie", "xtaffrail_session=t")], None),
            (&[("cookie", "taffrail_session")], None),
            (&[], None),
        ] {
            assert_eq!(session_token(&headers(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn the_header_wins_over_the_cookie() {
        let both = headers(&[
            ("authorization", "bearer  key "),
            ("cookie", "taffrail_session=t"),
        ]);
        assert!(matches!(credential(&both), Some(Credential::Bearer(key)) if &*key == "key"));
        let other = headers(&[
            ("authorization", "Basic dTpw"),
            ("cookie", "taffrail_session=t"),
        ]);
        assert!(matches!(credential(&other), Some(Credential::Bearer(key)) if key.is_empty()));
    }

    #[test]
    fn what_may_come_from_where() {
        let key = Credential::Bearer("k".into());
        let cookie = Credential::Session("t".into());
        let same: &[_] = &[("sec-fetch-site", "same-origin")];
        let foreign: &[_] = &[("host", "h"), ("origin", "https://evil.example")];
        let socket: &[_] = &[("upgrade", "websocket")];
        let script: &[_] = &[("x-requested-with", "curl")];
        for (credential, method, parts, expected) in [
            (&key, Method::POST, &[][..], true),
            (&key, Method::POST, &[foreign][..], true),
            (&key, Method::GET, &[socket], true),
            (&key, Method::GET, &[socket, foreign], false),
            (&cookie, Method::GET, &[], true),
            (&cookie, Method::GET, &[foreign], true),
            (&cookie, Method::POST, &[], false),
            (&cookie, Method::POST, &[script], true),
            (&cookie, Method::POST, &[same], true),
            (&cookie, Method::DELETE, &[foreign], false),
            (&cookie, Method::POST, &[foreign, script], false),
            (&cookie, Method::GET, &[socket], false),
            (&cookie, Method::GET, &[socket, same], true),
            (&cookie, Method::GET, &[socket, foreign], false),
        ] {
            let outcome = check_origin(credential, &headers(&parts.concat()), &method);
            assert_eq!(outcome.is_ok(), expected, "{method} {parts:?}");
        }
    }
}
