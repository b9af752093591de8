//! Sessions as the trait shows them.
use taffrail_model::{access::Principal, time::Timestamp};

/// How long a session lasts without a request, in seconds (12 h): a working day.
pub const SESSION_IDLE_S: i64 = 12 * 3_600;
/// How long a session lasts at the most, in seconds (7 d).
pub const SESSION_ABSOLUTE_S: i64 = 7 * 86_400;

/// A login, without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Number, never reused.
    pub id: i64,
    /// Whose.
    pub account: i64,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used, to within a minute.
    pub last_seen: Timestamp,
    /// When it ends at the latest.
    pub expires: Timestamp,
    /// Address of the client that logged in.
    pub address: Option<String>,
}

/// A session just begun; the only time that its token is there.
#[derive(Clone)]
pub struct CreatedSession {
    /// The session.
    pub session: Session,
    /// Its token, for the cookie.
    pub token: String,
}

impl std::fmt::Debug for CreatedSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedSession")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Who a session token stands for.
#[derive(Clone, Debug)]
pub struct SessionPrincipal {
    /// The session.
    pub session: Session,
    /// Its account.
    pub principal: Principal,
}
