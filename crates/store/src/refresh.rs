//! The refresh of a single-use token, as rows: lease, intent, commit. See [`Store::begin_refresh`].

use pool::{AccountId, Millis, Status, Tokens};

use crate::{CommitError, Error, Store};

/// The right to refresh one account until the lease ends or somebody takes over.
#[derive(Debug)]
pub struct Ticket {
    /// Whose tokens.
    pub id: AccountId,
    /// Fences a late commit: every grant and every change of tokens has a number of its own.
    pub version: i64,
    /// The tokens as stored when the lease was granted.
    pub tokens: Tokens,
    /// Whether a holder died after it had announced to use this very refresh token: it may be used up.
    pub interrupted: bool,
}

/// The answer to [`Store::begin_refresh`].
#[derive(Debug)]
pub enum Begin {
    /// Go on; nobody else may for 60 s.
    Granted(Ticket),
    /// Somebody else refreshes; look again then.
    Held {
        /// When the lease ends at the latest.
        until: Millis,
    },
    /// There is no such account.
    Gone,
}

impl Store {
    /// Takes the account's refresh lease for 60 s and re-reads its tokens, in one atomic statement. `holder` names the
    /// process for people.
    pub async fn begin_refresh(&self, _id: &AccountId, _holder: &str, _now: Millis) -> Result<Begin, Error> {
        unimplemented!()
    }

    /// Announces durably that the refresh token is about to be used. Without `Ok` nothing may be sent.
    pub async fn intend(&self, _ticket: &Ticket, _now: Millis) -> Result<(), Error> {
        unimplemented!()
    }

    /// Stores what the token endpoint gave, durably, and ends lease and intent. A failed commit gives the ticket back.
    pub async fn commit_refresh(&self, _ticket: Ticket, _tokens: &Tokens) -> Result<(), CommitError> {
        unimplemented!()
    }

    /// Ends lease and intent without new tokens, and sets the status if one is given. Does nothing when fenced out.
    pub async fn end_refresh(&self, _ticket: Ticket, _status: Option<&Status>) -> Result<(), Error> {
        unimplemented!()
    }
}
