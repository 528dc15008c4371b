//! Which account serves a request: a pure choice over candidates, or one reason per account.

#[cfg(test)]
mod tests;

use proto::failure::{Failure, Kind};

use crate::account::{Account, AccountId};
use crate::status::Reason;
use crate::{Millis, limits};

/// An account as the choice sees it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The account.
    pub account: &'a Account,
    /// Requests that it serves now.
    pub in_flight: u32,
    /// Requests that wait for it.
    pub waiting: u32,
    /// When it was last chosen; 0 for never.
    pub last_used: Millis,
    /// Whether its catalogue (live, else bundled) lists the model.
    pub lists_model: bool,
}

/// What a request asks of an account.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    /// Catalogue slug, for the message.
    pub model: &'a str,
    /// Accounts that this request has tried.
    pub tried: &'a [AccountId],
    /// The account that owns the conversation; taken when it has a free place.
    pub prefer: Option<&'a AccountId>,
    /// Requests per account at the same time; 0 is no limit.
    pub max_concurrent: u32,
    /// How to choose among the usable.
    pub strategy: Strategy,
}

/// How to choose among usable accounts with a free place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Fewest requests now, then least quota used (in steps of 10 %), then longest unused, then by id.
    #[default]
    LeastUsed,
}

/// A choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// This account has a free place.
    Ready(AccountId),
    /// Usable accounts exist but all are busy: wait for this one, at most [`limits::QUEUE_WAIT`].
    Queue(AccountId),
}

/// No account can serve, and why each cannot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoAccount {
    /// The model that was asked for.
    pub model: String,
    /// One reason per account, in the candidates' order.
    pub reasons: Vec<(AccountId, Reason)>,
}

/// Chooses an account. Linear in the candidates; copies nothing unless it fails.
pub fn pick(candidates: &[Candidate<'_>], ask: &Ask<'_>, now: Millis) -> Result<Pick, NoAccount> {
    unimplemented!("{}", candidates.len() + ask.tried.len() + limits::QUEUE as usize + now.0 as usize)
}

impl NoAccount {
    /// The answer for the client: 429 with the earliest reset when time heals it, `ModelNotFound` when no account lists the
    /// model, else 503 with what to do. `last` is the failure of the previous try, given when an account is merely used up
    /// by this request. Never 401.
    pub fn failure(&self, last: Option<&Failure>, now: Millis) -> Failure {
        unimplemented!("{:?}", (Kind::NoAccount, last, now))
    }
}
