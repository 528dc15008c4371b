//! Whether an entry's tokens can be used, checked without any call.

use pool::{Millis, Secret};

use super::LoginEntry;
use super::entry::plausible;
use crate::authfile::Login;
use crate::jwt::Claims;

/// How an entry can be used.
#[derive(Clone, Debug)]
pub enum Readiness {
    /// It can be stored as it is.
    Ready(Login),
    /// Its refresh token must be used first, which is possible once.
    NeedsRefresh(Secret),
}

/// Why an entry's tokens cannot be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEntry {
    /// The entry has no token.
    #[error("it holds no token")]
    Empty,
    /// The access token does not decode, and there is no refresh token.
    #[error("its access token is no JWT and it has no refresh token")]
    Unreadable,
    /// The access token has expired, and there is no refresh token.
    #[error("its access token has ended and it has no refresh token; hint: sign in with `polygate login`")]
    Ended,
    /// The refresh token does not have the form of a token.
    #[error("its refresh token is damaged")]
    Damaged,
    /// Neither the file nor the tokens name the account.
    #[error("its tokens name no ChatGPT account; hint: sign in with `polygate login`")]
    NoAccount,
}

impl LoginEntry {
    /// How the entry can be used at `now`. Errors: [`InvalidEntry`] for one that must not be stored.
    pub fn readiness(&self, now: Millis) -> Result<Readiness, InvalidEntry> {
        if self.refresh.as_ref().is_some_and(|token| !plausible(token.expose())) {
            return Err(InvalidEntry::Damaged);
        }
        let readable = self.access.as_ref().filter(|token| Claims::read(token).is_some());
        match (readable, &self.refresh, &self.access) {
            (Some(access), refresh, _) => self.ready(access, refresh.as_ref(), now),
            (None, Some(refresh), _) => Ok(Readiness::NeedsRefresh(refresh.clone())),
            (None, None, Some(_)) => Err(InvalidEntry::Unreadable),
            (None, None, None) => Err(InvalidEntry::Empty),
        }
    }

    fn ready(&self, access: &Secret, refresh: Option<&Secret>, now: Millis) -> Result<Readiness, InvalidEntry> {
        let mut claims = Claims::from_tokens(access, self.id.as_ref());
        if refresh.is_none() && claims.expires.is_some_and(|end| end <= now) {
            return Err(InvalidEntry::Ended);
        }
        // The file's account id takes precedence: it names the workspace that was chosen.
        if let Some(account) = &self.account {
            claims.account_id.clone_from(account);
        }
        match (claims.account_id.is_empty(), refresh) {
            (false, refresh) => Ok(Readiness::Ready(Login {
                access: access.clone(),
                refresh: refresh.cloned(),
                id: self.id.clone(),
                claims,
                refreshed: self.refreshed,
            })),
            // New tokens may name the account.
            (true, Some(refresh)) => Ok(Readiness::NeedsRefresh(refresh.clone())),
            (true, None) => Err(InvalidEntry::NoAccount),
        }
    }
}
