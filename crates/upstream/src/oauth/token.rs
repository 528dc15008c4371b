//! The token endpoint.

use pool::Secret;
use url::Url;

use super::Pkce;
use crate::{Sent, Upstream};

/// What the token endpoint gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Bearer.
    pub access: Secret,
    /// The next refresh token; absent: the old one stays good.
    pub refresh: Option<Secret>,
    /// Identity token.
    pub id: Option<Secret>,
}

/// Why a refresh is made, as the backend wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshReason {
    /// The access token is about to expire.
    ProactiveExpiry,
    /// The backend answered 401.
    UnauthorizedRecovery,
}

/// A refresh that gave no access token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// The login is over: a person must sign in again.
    #[error("{message}")]
    Permanent {
        /// `refresh_token_reused` and its like.
        code: String,
        /// What the endpoint said.
        message: String,
    },
    /// May work later. With `sent` other than `No` the token may have been used up.
    #[error("{message}")]
    Transient {
        /// How much went out.
        sent: Sent,
        /// The status, when one came.
        status: Option<u16>,
        /// Seconds the endpoint asked to wait.
        retry_after: Option<u64>,
        /// A new refresh token that came without an access token: store it before anything else.
        rotated: Option<Secret>,
        /// One line for people.
        message: String,
    },
}

/// A login step that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The endpoint refused.
    #[error("sign-in refused: {message}")]
    Refused {
        /// The status.
        status: u16,
        /// `error.code` or `error`, may be empty.
        code: String,
        /// What it said.
        message: String,
    },
    /// It did not answer, or not with what the protocol says.
    #[error("sign-in failed: {message}; hint: try again")]
    Failed {
        /// How much went out.
        sent: Sent,
        /// One line for people.
        message: String,
    },
    /// Device login is switched off for the workspace.
    #[error("device login is not enabled for this workspace; hint: use the browser login or `login --import`")]
    DeviceDisabled,
}

impl Upstream {
    /// Where the browser goes.
    pub fn authorize_url(&self, _pkce: &Pkce, _state: &str, _redirect: &str) -> Url {
        unimplemented!()
    }

    /// Trades a refresh token, once. Not retried here; 30 s at most.
    pub async fn refresh(&self, _refresh: &Secret, _reason: RefreshReason) -> Result<Grant, RefreshError> {
        unimplemented!()
    }

    /// Trades a browser login's code.
    pub async fn exchange(&self, _code: &Secret, _verifier: &Secret, _redirect: &str) -> Result<Grant, LoginError> {
        unimplemented!()
    }

    /// Asks for an API key for the login's organisation; many logins have none to give.
    pub async fn api_key(&self, _id: &Secret) -> Result<Secret, LoginError> {
        unimplemented!()
    }

    /// Ends a login at the provider.
    pub async fn revoke(&self, _refresh: &Secret) -> Result<(), LoginError> {
        unimplemented!()
    }
}
