//! What a request may do after a try: the retry table, one pure function.
//!
//! Only tries before the first client byte come here. After that byte no retry is possible.
//!
//! | try | account | request |
//! |---|---|---|
//! | nothing sent | - | once more: another account, else the same |
//! | sent, no status | - | 502 (cut) or 504 (timeout) |
//! | sent over an idle socket that was dead or had lost its conversation | - | the same account, once more |
//! | 401 | - | refresh, the same account, outside the cap |
//! | 401 after a refresh, or the refresh fails for good | needs login | another account, outside the cap |
//! | 402, 403, empty 404, 429 | exhausted, cooling or blocked | another account |
//! | 429 for the limit of one model | that model rests there | another account |
//! | model not supported | its catalogue is stale | another account that lists it |
//! | 500, 502, 503, 504 | - | another account, else the same |
//! | `previous_response_not_found`, `invalid_encrypted_content` | - | the same account, once, without replay-only items |
//! | anything else | - | given to the client |
//!
//! A relay has a key instead of a login. A 401 ends the key at once, unless the key only lacks a scope. A missing scope or a 403 may
//! concern this request only, so the request goes to another relay. A 5xx with a `Retry-After` makes the relay rest that long.
//!
//! A request makes at most [`limits::MODEL_POSTS`] model POSTs, whichever rows apply. Every answered POST counts, refused ones
//! included, so a storm of 429 costs at most two POSTs per client request. Only a 401 for a login does not count: it is
//! certainly a refusal, and each account gets new tokens once.

mod error_body;
mod refusal;
mod relay_refusal;
mod retry;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use proto::failure::{Failure, Kind};

use self::refusal::{Class, Refusal};
pub use self::retry::Retry;
use crate::account::AccountId;
pub use crate::status::Signal;
use crate::{Millis, Secret, limits, sanitize};

/// How much of a request may have reached the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Nothing, or nothing that the upstream processed. A retry costs nothing.
    No,
    /// Perhaps all of it. A retry might spend quota twice.
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
    /// A pooled connection was closed before any byte of the request, or the upstream did not look at it.
    Closed,
    /// The connection broke.
    Cut,
    /// Nothing came in time.
    Timeout,
    /// The answer broke a rule of ours (redirect, too large, no HTTP).
    Protocol,
}

/// The result of a try that produced no stream.
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
    /// Sent over a socket that was idle since an earlier turn. The socket broke within seconds, or refused because it had lost the
    /// conversation. The request most likely had no effect.
    Stale {
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
    /// Like `Status`, with a body that the relay's protocol has read already.
    Refused {
        /// The status code.
        code: u16,
        /// What the body says.
        failure: Box<Failure>,
        /// What the headers say.
        retry: Retry,
    },
    /// 200, then a failure event before the first real one.
    EarlyFail(Failure),
    /// The refresh that [`Step::Again`] asked for gave no new tokens.
    NotRefreshed {
        /// Whether only a person can help (revoked, reused, no refresh token); else the token endpoint itself fails.
        lasting: bool,
        /// What it said.
        why: String,
    },
}

/// What this request has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a request, not a state")]
pub struct History {
    /// Model POSTs that count against [`crate::limits::MODEL_POSTS`], the current one included; refused logins do not.
    pub posts: u32,
    /// Tries that sent nothing, the current one included.
    pub unsent: u32,
    /// Whether the current account's tokens were refreshed for this request.
    pub refreshed: bool,
    /// Whether the current account's refused tokens were replaced by tokens that another task or node had refreshed before.
    pub adopted: bool,
    /// Whether replay-only items were taken out; stays so for all later tries.
    pub stripped: bool,
    /// Accounts in the order of their tries; the last is the current one.
    pub tried: Vec<AccountId>,
    /// Accounts that were tried for earlier models of a fallback chain.
    pub skipped_accounts: usize,
    /// How long an account rests after a rate limit without a time; `None` is [`limits::RATE_BACKOFF`].
    pub rest: Option<Duration>,
    /// Whether relays serve: their keys cannot be refreshed.
    pub keyed: bool,
    /// Whether a call was sent whose result is unknown: its answer may have been paid for.
    pub lost: bool,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Try again.
    Again {
        /// With which account.
        to: NextAccount,
        /// Refresh its tokens first.
        refresh: bool,
        /// Send the full input without replay-only items.
        strip_replay: bool,
        /// What to tell the client when no account can take the next try ([`crate::pick::NoAccount::failure`]).
        otherwise: Failure,
    },
    /// Answer the client. [`crate::pick::final_failure`] rewrites failures about limits.
    Fail(Failure),
}

impl Step {
    /// This step without another try.
    #[must_use]
    pub fn or_fail(self) -> Self {
        match self {
            Self::Again { otherwise, .. } | Self::Fail(otherwise) => Self::Fail(otherwise),
        }
    }
}

/// Which account takes the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextAccount {
    /// The same.
    Same,
    /// One that this request has not tried.
    Other,
    /// One that this request has not tried, else the same.
    PreferOther,
}

impl Outcome {
    /// Removes the secret that the try was sent with. Services repeat it in their messages, and these messages go to clients, logs
    /// and the account's state.
    pub fn hide(&mut self, secret: &Secret) {
        match self {
            Self::NotSent { cause } | Self::NoStatus { cause } | Self::Stale { cause } => {
                sanitize::hide(&mut cause.message, secret);
            }
            Self::Status { body, .. } => {
                *body = sanitize::hidden(body, secret).into();
            }
            Self::Refused { failure, .. } => hide(failure, secret),
            Self::EarlyFail(failure) => hide(failure, secret),
            Self::NotRefreshed { why, .. } => sanitize::hide(why, secret),
        }
    }

    /// The outcome of a connection failure.
    pub fn trouble(sent: Sent, cause: Trouble) -> Self {
        match sent {
            Sent::No => Self::NotSent { cause },
            Sent::Maybe | Sent::Yes => Self::NoStatus { cause },
        }
    }
}

impl Outcome {
    /// Whether the account or relay works ([`crate::breaker`]). A refusal is an answer too. `None` when the try proves neither.
    pub fn proves_working(&self) -> Option<bool> {
        match self {
            Self::NotSent { cause } if cause.kind == TroubleKind::Proxy => None,
            Self::NotSent { .. } | Self::NoStatus { .. } => Some(false),
            Self::Status { code, .. } | Self::Refused { code, .. } => Some(*code < 500),
            Self::EarlyFail(failure) => {
                Some(!matches!(failure.kind, Kind::Internal | Kind::Upstream | Kind::Overloaded | Kind::Timeout))
            }
            Self::Stale { .. } | Self::NotRefreshed { .. } => None,
        }
    }

    /// Whether the next try spends the budget that all requests share ([`crate::budget`]): a try after an answer or a stale
    /// connection does. Tries that sent nothing, new tokens and stripped histories have bounds of their own.
    pub fn spends_budget(&self, step: &Step) -> bool {
        let sent = matches!(self, Self::Stale { .. } | Self::Status { .. } | Self::Refused { .. } | Self::EarlyFail(_));
        sent && matches!(step, Step::Again { refresh: false, strip_replay: false, .. })
    }
}

impl History {
    /// Records the `outcome` of a try with `account` and returns the next step. The only call that the engine needs.
    pub fn on_outcome(&mut self, account: &AccountId, outcome: &Outcome, now: Millis) -> (Signal, Step) {
        if self.tried.last() != Some(account) {
            self.tried.push(account.clone());
            self.refreshed = false;
            self.adopted = false;
        }
        self.lost |= matches!(outcome, Outcome::NoStatus { .. });
        let posted = !matches!(outcome, Outcome::NotSent { .. } | Outcome::NotRefreshed { .. });
        self.posts += u32::from(posted);
        self.unsent += u32::from(matches!(outcome, Outcome::NotSent { .. }));
        let (signal, step) = next(outcome, self, now);
        if let Step::Again { refresh, strip_replay, .. } = &step {
            self.refreshed |= refresh;
            self.stripped |= strip_replay;
        }
        let login = matches!(signal, Signal::NeedsLogin { .. }) || matches!(step, Step::Again { refresh: true, .. });
        self.posts -= u32::from(posted && login);
        (signal, step)
    }

    /// Records that the tokens which replaced refused ones are older than the refusal: another task or node had refreshed before.
    /// If these tokens are refused too, the login may still be good, so one more refresh is allowed.
    pub fn allow_another_refresh(&mut self) {
        if !self.adopted {
            (self.adopted, self.refreshed) = (true, false);
        }
    }

    /// Whether another model may be tried after `failure` (fallback chains). Another model must be able to help, no earlier answer may
    /// have been paid for, and a POST must be left. A faulty request stays faulty with another model.
    pub fn may_fall_back(&self, failure: &Failure) -> bool {
        let limits = matches!(failure.kind, Kind::RateLimited | Kind::Exhausted | Kind::Overloaded);
        let lacks = matches!(failure.kind, Kind::NoAccount | Kind::ModelNotFound);
        let breaks = matches!(failure.kind, Kind::Upstream | Kind::Timeout | Kind::Internal);
        (limits || lacks || breaks) && !self.lost && self.has_attempt_left()
    }

    /// The history for a try with another model. Sent calls still count; tried accounts do not.
    #[must_use]
    pub fn for_fallback(&self, keyed: bool) -> Self {
        let walked = self.walked();
        Self {
            posts: self.posts,
            unsent: self.unsent,
            skipped_accounts: walked,
            rest: self.rest,
            keyed,
            ..Self::default()
        }
    }

    /// Whether the request may skip one more account whose login is dead.
    pub fn may_skip_dead_login(&self) -> bool {
        self.walked() < limits::LOGIN_WALK
    }

    fn walked(&self) -> usize {
        self.skipped_accounts + self.tried.len()
    }

    fn has_attempt_left(&self) -> bool {
        self.posts < limits::MODEL_POSTS
    }
}

/// The retry table: the signal for the account and the next step of the request. `history` includes this try.
pub fn next(outcome: &Outcome, history: &History, now: Millis) -> (Signal, Step) {
    match outcome {
        Outcome::NotSent { cause } => {
            let again = history.unsent < limits::UNSENT_TRIES;
            (Signal::None, step(again, NextAccount::PreferOther, connection_failure(cause)))
        }
        Outcome::NoStatus { cause } => (Signal::None, Step::Fail(connection_failure(cause))),
        Outcome::Stale { cause } => {
            (Signal::None, step(history.has_attempt_left(), NextAccount::Same, connection_failure(cause)))
        }
        Outcome::Status { code, body, retry } => {
            let retry = Retry { rest: history.rest, ..retry.clone() };
            refused(refusal::read_status(*code, body, &retry, now), history)
        }
        Outcome::Refused { code, failure, retry } => {
            let retry = Retry { rest: history.rest, ..retry.clone() };
            refused(relay_refusal::read(*code, failure, &retry, now), history)
        }
        Outcome::EarlyFail(failure) if history.keyed => {
            let retry = Retry { rest: history.rest, ..Retry::default() };
            refused(relay_refusal::read(0, failure, &retry, now), history)
        }
        Outcome::EarlyFail(failure) => refused(refusal::read_early_failure(failure, history.rest, now), history),
        Outcome::NotRefreshed { lasting, why } => (refresh_failed(*lasting, why, now), after_dead_login(history, why)),
    }
}

/// The rows of the table for refusals.
fn refused(refusal: Refusal, history: &History) -> (Signal, Step) {
    let Refusal { class, until, failure } = refusal;
    let why = failure.message.clone();
    let left = history.has_attempt_left();
    match class {
        Class::Login if history.refreshed || history.keyed => {
            let step = after_dead_login(history, &why);
            (Signal::NeedsLogin { why }, step)
        }
        Class::Login => (Signal::None, repeat(true, true, failure)),
        Class::Challenge | Class::Forbidden | Class::Limited | Class::RetryAfter => {
            (Signal::Cool { until, why }, step(left, NextAccount::Other, failure))
        }
        Class::Exhausted(window) => (Signal::Exhaust { until, window }, step(left, NextAccount::Other, failure)),
        Class::ModelLimit(limit) => (Signal::ModelExhausted { until, limit }, step(left, NextAccount::Other, failure)),
        Class::Banned => (Signal::Block { why }, step(left, NextAccount::Other, failure)),
        Class::NoModel => (Signal::ModelMissing, step(left, NextAccount::Other, failure)),
        Class::KeyScope => (Signal::None, step(left, NextAccount::Other, failure)),
        Class::Unsteady => (Signal::None, step(left, NextAccount::PreferOther, failure)),
        Class::Replay => (Signal::None, repeat(left && !history.stripped, false, failure)),
        Class::Final => (Signal::None, Step::Fail(failure)),
    }
}

/// Another try when `again`, else the failure.
fn step(again: bool, to: NextAccount, failure: Failure) -> Step {
    if again {
        Step::Again { to, refresh: false, strip_replay: false, otherwise: failure }
    } else {
        Step::Fail(failure)
    }
}

/// Another try with the same account when `again`: with new tokens, or without replay-only items.
fn repeat(again: bool, refresh: bool, failure: Failure) -> Step {
    if again {
        Step::Again { to: NextAccount::Same, refresh, strip_replay: !refresh, otherwise: failure }
    } else {
        Step::Fail(failure)
    }
}

/// The step after a dead login: the next account, outside the cap of POSTs, for a bounded number of accounts.
fn after_dead_login(history: &History, why: &str) -> Step {
    let failure = Failure::new(Kind::Upstream, why);
    step(history.may_skip_dead_login(), NextAccount::Other, failure)
}

fn refresh_failed(lasting: bool, why: &str, now: Millis) -> Signal {
    let rest = i64::try_from(limits::LOGIN_BACKOFF.as_millis()).unwrap_or(i64::MAX);
    if lasting {
        Signal::NeedsLogin { why: why.to_owned() }
    } else {
        Signal::Cool { until: now.plus(rest), why: format!("its tokens could not be refreshed: {why}") }
    }
}

/// The failure for a connection that brought no answer.
fn connection_failure(cause: &Trouble) -> Failure {
    let kind = if cause.kind == TroubleKind::Timeout { Kind::Timeout } else { Kind::Upstream };
    Failure::new(kind, error_body::clean(&cause.message))
}

/// Removes the secret that the request was sent with from a failure.
pub fn hide(failure: &mut Failure, secret: &Secret) {
    sanitize::hide(&mut failure.message, secret);
    for text in [&mut failure.code, &mut failure.param].into_iter().flatten() {
        sanitize::hide(text, secret);
    }
}
