//! Authentication: one credential per request, checked by the engine for the class that the route declares.

use engine::{AdminId, AuthError, Engine, Guest, KeyId};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use pool::keys::Scope;
use proto::{Failure, Kind};

use crate::guard::Counters;
use crate::response::Rejection;

/// The callers that a route accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Anybody; the responses hold nothing secret.
    Public,
    /// Holders of a client key; anybody on a loopback Ollama listener.
    Data,
    /// Holders of a client key or of a Codex login that is linked here.
    Codex,
    /// Holders of an admin token with this scope.
    Admin(Scope),
}

/// The caller of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A caller of a public route, where no credential is needed or recognized.
    Anyone,
    /// The holder of a client key.
    Client(KeyId),
    /// The holder of a linked Codex login: the key id for usage, and the account's id.
    Login(KeyId, String),
    /// The holder of an admin token.
    Admin(AdminId),
}

impl Caller {
    /// The key id under which the caller's usage is recorded.
    pub(crate) fn usage_key(self) -> KeyId {
        match self {
            Self::Client(key) | Self::Login(key, _) => key,
            Self::Anyone | Self::Admin(_) => KeyId::default(),
        }
    }
}

/// The credential in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential<'a> {
    /// No credential.
    Missing,
    /// One credential, which may be repeated.
    One(&'a str),
    /// Two different credentials: where the first and the second were found.
    Conflict(&'static str, &'static str),
    /// A credential that is not ASCII text or not a bearer token: where it was found.
    Unreadable(&'static str),
}

/// Finds the credential in `Authorization: Bearer`, `x-api-key`, `x-goog-api-key` and, on routes that accept it there, the query.
pub(crate) fn credential<'a>(headers: &'a HeaderMap, query: &'a [String]) -> Credential<'a> {
    let bearers = headers.get_all(AUTHORIZATION).iter().map(|value| ("Authorization", bearer(value)));
    let values = |name| headers.get_all(name).iter().map(move |value| (name, text(value)));
    let query = query.iter().map(|key| ("the query", Some(key.trim())));
    let mut found = None;
    for (place, value) in bearers.chain(BARE.into_iter().flat_map(values)).chain(query) {
        found = match (found, value) {
            (_, None) => return Credential::Unreadable(place),
            (found, Some("")) => found,
            (None, Some(value)) => Some((place, value)),
            (Some((_, first)), Some(value)) if first == value => found,
            (Some((first, _)), Some(_)) => return Credential::Conflict(first, place),
        };
    }
    found.map_or(Credential::Missing, |(_, value)| Credential::One(value))
}

/// Headers that hold only a key.
const BARE: [&str; 2] = ["x-api-key", "x-goog-api-key"];

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok().map(str::trim)
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let value = text(value)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Checks credentials.
pub(crate) struct Authenticator<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) counters: &'a Counters,
    /// The key id of callers without a key on data routes; `None` where a key is required.
    pub(crate) keyless: Option<&'static str>,
}

impl Authenticator<'_> {
    /// Authenticates a request to a route of `class`. Errors: 401 without a valid credential, 403 with a valid one of the wrong kind or
    /// scope.
    pub(crate) async fn check(&self, presented: Credential<'_>, class: Class) -> Result<Caller, Rejection> {
        let caller = match class {
            Class::Public => Ok(Caller::Anyone),
            Class::Data => self.client(presented).await,
            Class::Codex => self.codex(presented).await,
            Class::Admin(scope) => self.admin(presented, scope).await,
        };
        caller.inspect_err(|rejection| match rejection.failure.kind {
            Kind::Forbidden => Counters::add(&self.counters.forbidden),
            _ => Counters::add(&self.counters.unauthorized),
        })
    }

    async fn client(&self, presented: Credential<'_>) -> Result<Caller, Rejection> {
        let checked = match presented {
            Credential::One(text) => self.engine.authenticate(text).await.map(Caller::Client),
            _ => Err(AuthError::Unknown),
        };
        self.or_keyless(presented, checked)
    }

    async fn codex(&self, presented: Credential<'_>) -> Result<Caller, Rejection> {
        let caller = |guest: Guest| match guest.login {
            Some(account) => Caller::Login(guest.key, account.0),
            None => Caller::Client(guest.key),
        };
        let checked = match presented {
            Credential::One(text) => self.engine.authenticate_native(text).await.map(caller),
            _ => Err(AuthError::Unknown),
        };
        self.or_keyless(presented, checked)
    }

    fn or_keyless(&self, presented: Credential<'_>, checked: Result<Caller, AuthError>) -> Result<Caller, Rejection> {
        match (checked, self.keyless) {
            (Ok(caller), _) => Ok(caller),
            // The data plane is open on loopback, where clients send any placeholder as a key.
            (Err(error), Some(name)) if error != AuthError::NotClient => Ok(Caller::Client(KeyId(name.to_owned()))),
            (Err(error), _) => Err(rejection(presented, error)),
        }
    }

    async fn admin(&self, presented: Credential<'_>, scope: Scope) -> Result<Caller, Rejection> {
        let Credential::One(text) = presented else { return Err(rejection(presented, AuthError::Unknown)) };
        let admin = match self.engine.authenticate_admin(text).await {
            Ok(admin) => admin,
            // The format of a fixed key does not tell client keys from admin tokens.
            Err(_) if self.engine.authenticate(text).await.is_ok() => {
                return Err(rejection(presented, AuthError::NotAdmin));
            }
            Err(error) => return Err(rejection(presented, error)),
        };
        if admin.scopes.has(scope) {
            return Ok(Caller::Admin(admin));
        }
        let lacks = format!("This admin token lacks the scope `{}`", scope.name());
        Err(Failure::new(Kind::Forbidden, lacks).code("insufficient_scope").into())
    }

    /// The caller on a public route that shows more to holders of a key or token.
    pub(crate) async fn identify(&self, headers: &HeaderMap) -> Caller {
        let Credential::One(text) = credential(headers, &[]) else { return Caller::Anyone };
        if let Ok(key) = self.engine.authenticate(text).await {
            return Caller::Client(key);
        }
        self.engine.authenticate_admin(text).await.map_or(Caller::Anyone, Caller::Admin)
    }
}

fn rejection(presented: Credential<'_>, error: AuthError) -> Rejection {
    let (kind, message) = match (presented, error) {
        (Credential::Missing, _) => (Kind::Unauthorized, "Missing API key".to_owned()),
        (Credential::Conflict(one, other), _) if one == other => {
            (Kind::Unauthorized, format!("Conflicting credentials: {one} holds two different keys; send one"))
        }
        (Credential::Conflict(one, other), _) => {
            (Kind::Unauthorized, format!("Conflicting credentials: {one} and {other} hold different keys; send one"))
        }
        (Credential::Unreadable("Authorization"), _) => {
            let message = "Unreadable credential in Authorization; it must read `Bearer <key>`";
            (Kind::Unauthorized, message.to_owned())
        }
        (Credential::Unreadable(place), _) => {
            (Kind::Unauthorized, format!("Unreadable credential in {place}; it must be the key in ASCII"))
        }
        (_, AuthError::NotClient | AuthError::NotAdmin) => (Kind::Forbidden, error.to_string()),
        _ => (Kind::Unauthorized, error.to_string()),
    };
    let code = if kind == Kind::Forbidden { "wrong_key_kind" } else { "invalid_api_key" };
    let mut rejection = Rejection::from(Failure::new(kind, message).code(code));
    if kind == Kind::Unauthorized {
        rejection.headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    rejection
}

#[cfg(test)]
mod tests;
