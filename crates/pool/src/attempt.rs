//! What a request may do after a try: the retry table, one pure function.
//!
//! Only tries before the first client byte come here; after it there is nothing left to decide.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use proto::failure::Failure;

use crate::Millis;
use crate::account::AccountId;
pub use crate::status::Signal;

/// How much of a request may have reached the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Not one byte: trying again costs nothing.
    No,
    /// Perhaps all of it: trying again might spend quota twice.
    Maybe,
    /// All of it, and the upstream answered.
    Yes,
}

/// Why a connection gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The class.
    pub kind: TroubleKind,
    /// For people and logs; no URL with secrets.
    pub message: String,
}

/// Classes of [`Trouble`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleKind {
    /// Name resolution or TCP.
    Connect,
    /// TLS handshake.
    Tls,
    /// The proxy refused or failed.
    Proxy,
    /// A pooled connection was closed before any byte of the request.
    Closed,
    /// The connection broke.
    Cut,
    /// Nothing came in time.
    Timeout,
    /// The answer broke a rule of ours (redirect, too large, no HTTP).
    Protocol,
}

/// What one try came to, when it did not come to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was sent ([`Sent::No`]).
    NotSent {
        /// Why.
        cause: Trouble,
    },
    /// Sent, and no status line came ([`Sent::Maybe`]); also a 200 whose stream broke or stayed silent before any event.
    NoStatus {
        /// Why.
        cause: Trouble,
    },
    /// A status other than 2xx.
    Status {
        /// The status code.
        code: u16,
        /// The body, cut at some bound by the reader.
        body: Bytes,
        /// What the headers say.
        retry: Retry,
    },
    /// 200, then a failure event before the first real one.
    EarlyFail(Failure),
    /// The refresh that [`Step::Again`] asked for gave no new tokens.
    NotRefreshed {
        /// Whether only a person can help (revoked, reused, no refresh token); else the token endpoint is in trouble.
        lasting: bool,
        /// What it said.
        why: String,
    },
}

/// What the headers of a refusal say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// `Retry-After` in seconds.
    pub after: Option<u64>,
    /// When the used-up window resets, Unix seconds.
    pub resets_at: Option<i64>,
    /// The used-up window: `primary` or `secondary`.
    pub window: Option<&'static str>,
    /// `x-codex-rate-limit-reached-type`.
    pub reached: Option<String>,
    /// `cf-mitigated` is there: Cloudflare answered, not the backend.
    pub challenged: bool,
}

/// What this request has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Model POSTs that count against [`crate::limits::MODEL_POSTS`], the current one included.
    pub posts: u32,
    /// Tries that sent nothing, the current one included.
    pub unsent: u32,
    /// Those of `posts` that went to the current account.
    pub here: u32,
    /// Whether the current account's tokens were refreshed for this request.
    pub refreshed: bool,
    /// Whether replay-only items were taken out; stays so for all later tries.
    pub stripped: bool,
    /// Accounts in the order of their tries; the last is the current one.
    pub tried: Vec<AccountId>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Try again.
    Again {
        /// With which account.
        to: To,
        /// Refresh its tokens first.
        refresh: bool,
        /// Send the full input without replay-only items.
        strip_replay: bool,
        /// What to tell the client when no account can take the next try ([`crate::pick::NoAccount::failure`]).
        otherwise: Failure,
    },
    /// Answer the client.
    Give(Failure),
}

/// Which account takes the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The same.
    Same,
    /// One that this request has not tried.
    Other,
    /// One that this request has not tried, else the same.
    PreferOther,
}

impl Outcome {
    /// The outcome of a connection failure.
    pub fn trouble(sent: Sent, cause: Trouble) -> Self {
        match sent {
            Sent::No => Self::NotSent { cause },
            Sent::Maybe | Sent::Yes => Self::NoStatus { cause },
        }
    }
}

impl Retry {
    /// From response headers (names in any case).
    pub fn from_headers<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>, now: Millis) -> Self {
        unimplemented!("{}{}", headers.count(), now.0)
    }
}

impl History {
    /// Notes that `account` came to `outcome` and says what is next. The one call that the engine needs.
    pub fn settle(&mut self, account: &AccountId, outcome: &Outcome, now: Millis) -> (Signal, Step) {
        unimplemented!("{account}{outcome:?}{}", now.0)
    }
}

/// The table: what `outcome` says about the account, and what the request does next. `history` includes this try.
pub fn next(outcome: &Outcome, history: &History, now: Millis) -> (Signal, Step) {
    unimplemented!("{outcome:?}{history:?}{}", now.0)
}
