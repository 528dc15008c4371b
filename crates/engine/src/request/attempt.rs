//! The attempts of one request of any kind: the account or relay of each attempt, its credentials, and the step after a failed attempt.
//!
//! [`run`] is the loop. A kind of request implements [`Attempt`]: model calls in `run`, forwarded calls in `forward`. The rules of the
//! retry table are `pool::attempt`'s.

pub(crate) mod refusal;

use std::sync::Arc;

use pool::attempt::{History, NextAccount, Outcome, Step};
use pool::status::Signal;
use pool::{AccountId, Millis, Tokens};
use proto::Failure;
use tokio::time::{Instant, timeout_at};

use crate::dispatch::limiter::Permit;
use crate::registry::accounts::AccountEntry;
use crate::registry::relays::RelayEntry;
use crate::request::reply::{Head, Refusal};
use crate::request::services::Services;
use crate::request::usage::UsageRecorder;
use crate::tokens::{RefreshFailed, RefreshRequest};

/// A call without a usable answer.
#[derive(Debug)]
pub(crate) struct CallError {
    /// The outcome for the retry table.
    pub(crate) outcome: Outcome,
    /// The machine-readable code, used where the table has none.
    pub(crate) code: Option<&'static str>,
}

impl CallError {
    /// Sets the code of a `failure` that has none.
    pub(crate) fn name(&self, failure: Failure) -> Failure {
        match (self.code, &failure.code) {
            (Some(code), None) => failure.code(code),
            _ => failure,
        }
    }
}

impl From<Outcome> for CallError {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, code: None }
    }
}

/// Why an attempt failed.
pub(crate) enum AttemptError {
    /// The retry table decides the next step.
    Call(CallError),
    /// The request fails with this failure.
    Final(Failure),
}

impl From<CallError> for AttemptError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<RefreshFailed> for AttemptError {
    fn from(error: RefreshFailed) -> Self {
        Self::Call(Outcome::from(error).into())
    }
}

impl From<Failure> for AttemptError {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

/// The rules for the next attempt.
pub(crate) struct NextTry {
    /// The accounts or relays that may serve the attempt.
    pub(crate) to: NextAccount,
    /// Whether the account's tokens are replaced first.
    pub(crate) refresh: bool,
    /// Whether the last attempt got an answer, with a failure.
    pub(crate) answered: bool,
    /// The failure of the last attempt. It becomes the answer when no account or relay can serve the next attempt.
    pub(crate) otherwise: Option<Failure>,
}

/// The credentials of a call.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// An account's tokens.
    Login(Arc<Tokens>),
    /// A relay's key.
    Key(Arc<RelayEntry>),
}

impl Credentials {
    /// The secret that the call carries.
    pub(crate) fn secret(&self) -> &pool::Secret {
        match self {
            Self::Login(tokens) => &tokens.access,
            Self::Key(relay) => &relay.key,
        }
    }
}

/// Why there are no credentials.
pub(crate) enum NoCredentials {
    /// The refresh takes too long. It continues without the request, so the account is not to blame.
    Late,
    /// The refresh failed.
    Failed(RefreshFailed),
}

/// The part of a request's state that all kinds share.
pub(crate) struct AttemptState {
    pub(crate) services: Arc<Services>,
    pub(crate) history: History,
    /// When the last call began.
    pub(crate) begun: Millis,
    /// A hash of the caller; the health of a relay counts failures per caller.
    pub(crate) caller: u64,
    /// The credentials of the last call.
    pub(crate) sent: Option<Credentials>,
    /// Whether the retry budget has granted the next call.
    pub(crate) budgeted: bool,
    pub(crate) head: Head,
    pub(crate) usage: UsageRecorder,
}

impl AttemptState {
    /// The state before the first attempt; `keyed` is whether relays serve the request.
    pub(crate) fn new(services: Arc<Services>, keyed: bool, caller: u64, (head, usage): (Head, UsageRecorder)) -> Self {
        let history = History { rest: Some(services.runtime.settings.rest), keyed, ..History::default() };
        let begun = services.runtime.now();
        Self { services, history, begun, caller, sent: None, budgeted: false, head, usage }
    }

    /// Credentials for an attempt at `entry`, by `until`. With `refresh`, refused tokens are replaced first.
    pub(crate) async fn credentials(
        &mut self,
        entry: &AccountEntry,
        refresh: bool,
        until: Instant,
    ) -> Result<Credentials, NoCredentials> {
        let credentials = match &entry.relay {
            Some(relay) => Credentials::Key(Arc::clone(relay)),
            None => match timeout_at(until, self.tokens(entry, refresh)).await {
                Ok(tokens) => Credentials::Login(tokens.map_err(NoCredentials::Failed)?),
                Err(_) => return Err(NoCredentials::Late),
            },
        };
        self.sent = Some(credentials.clone());
        Ok(credentials)
    }

    async fn tokens(&mut self, entry: &AccountEntry, refresh: bool) -> Result<Arc<Tokens>, RefreshFailed> {
        let tokens = &self.services.tokens;
        let Some(Credentials::Login(refused)) = self.sent.as_ref().filter(|_| refresh) else {
            return tokens.usable_tokens(entry, RefreshRequest::waiting).await;
        };
        let other = tokens.replace_refused(&entry.account.id, refused, RefreshRequest::waiting).await?;
        if other.predates_refusal {
            self.history.allow_another_refresh();
        }
        Ok(other.tokens)
    }

    /// Notes that a call of about `input` tokens begins.
    pub(crate) fn call_started(&mut self, entry: &AccountEntry, input: u64) {
        self.budgeted = false;
        self.begun = self.services.runtime.now();
        self.usage.call_started(&entry.account.id, input);
        self.head.account = Some(entry.account.id.clone());
        self.head.relay = entry.relay.as_ref().map(|entry| entry.relay.name.clone());
    }

    /// Asks the retry table about a failed attempt at `id`, which knows the model as `model`, and reports the failure to the account's or
    /// relay's status. Returns the step, and whether the attempt was answered.
    fn next_step(&mut self, id: &AccountId, model: Option<&str>, error: &mut CallError) -> (Step, bool) {
        if let Some(sent) = &self.sent {
            error.outcome.hide(sent.secret());
        }
        let (services, now) = (&self.services, self.services.runtime.now());
        let (signal, mut step) = self.history.on_outcome(id, &error.outcome, now);
        let answered = error.outcome.spends_budget(&step);
        self.budgeted = answered && services.dispatch.try_spend_retry(now);
        if answered && !self.budgeted {
            step = step.or_fail();
        }
        services.dispatch.record_outcome(id, (self.begun, self.caller), &error.outcome);
        let (who, request) = (services.registry.accounts.log_subject(id), self.usage.request_id());
        tracing::debug!(request, account = who.account(), relay = who.relay(), outcome = ?error.code, "a try failed");
        self.report(id, model, &signal);
        (step, answered)
    }

    fn report(&self, id: &AccountId, model: Option<&str>, signal: &Signal) {
        let dispatch = &self.services.dispatch;
        if let Some(model) = model {
            dispatch.note_model(id, model, signal);
        }
        match &self.sent {
            Some(Credentials::Key(relay)) if relay.relay.id == *id => dispatch.signal_relay(relay, signal),
            _ => dispatch.signal(id, signal),
        }
    }

    /// The answer to a request that fails before its commit.
    pub(crate) fn refuse(mut self, failure: Failure) -> Refusal {
        self.usage.refuse(&failure);
        self.head.attempts = self.usage.attempts();
        Refusal { failure, head: Box::new(self.head) }
    }
}

/// A kind of request that is attempted at one account or relay after the other.
pub(crate) trait Attempt {
    /// The beginning of an answer that may be committed.
    type Answer;

    /// The state that all kinds share.
    fn state(&mut self) -> &mut AttemptState;

    /// A permit for the next attempt; `held` is the permit of the last attempt.
    async fn permit(&mut self, held: Option<Permit>, next: &NextTry) -> Result<Permit, Failure>;

    /// One attempt.
    async fn try_once(&mut self, entry: Arc<AccountEntry>, refresh: bool) -> Result<Self::Answer, AttemptError>;

    /// Learns from a failed attempt, as far as this kind of request can.
    async fn learn(&mut self, id: &AccountId, outcome: &Outcome);

    /// The name of the request's model at an account or relay; `None` where the request names no model of theirs.
    fn model_for(&self, id: &AccountId) -> Option<&str>;

    /// Whether the request can be attempted under these rules.
    fn may_try(&self, next: &NextTry) -> bool;

    /// The failure for the client when no attempt is left. It takes the state of other accounts into account.
    fn final_failure(&self, failure: Failure) -> Failure;
}

/// Makes attempts until an answer may be committed, or the retry table ends the request.
pub(crate) async fn run<A: Attempt>(attempt: &mut A) -> Result<(Permit, A::Answer), Failure> {
    let mut next = NextTry { to: NextAccount::Other, refresh: false, answered: false, otherwise: None };
    let mut held = None;
    loop {
        let permit = attempt.permit(held.take(), &next).await?;
        let error = match try_at(attempt, permit.account(), next.refresh).await {
            Ok(answer) => return Ok((permit, answer)),
            Err(AttemptError::Final(failure)) => return Err(failure),
            Err(AttemptError::Call(error)) => error,
        };
        next = next_try(attempt, permit.account(), error).await?;
        held = Some(permit);
    }
}

/// One attempt at an account or relay, which may have been removed meanwhile.
pub(crate) async fn try_at<A: Attempt>(
    attempt: &mut A,
    id: &AccountId,
    refresh: bool,
) -> Result<A::Answer, AttemptError> {
    let entry = attempt.state().services.registry.accounts.get(id);
    let entry = entry.ok_or_else(|| RefreshFailed::lasting("the account was removed"))?;
    attempt.try_once(entry, refresh).await
}

/// The step after a failed attempt.
async fn next_try<A: Attempt>(attempt: &mut A, id: &AccountId, mut error: CallError) -> Result<NextTry, Failure> {
    attempt.learn(id, &error.outcome).await;
    let model = attempt.model_for(id).map(str::to_owned);
    let (step, answered) = attempt.state().next_step(id, model.as_deref(), &mut error);
    let failure = match step {
        Step::Fail(failure) => failure,
        Step::Again { to, refresh, otherwise, .. } => {
            let next = NextTry { to, refresh, answered, otherwise: Some(error.name(otherwise.clone())) };
            if attempt.may_try(&next) {
                return Ok(next);
            }
            otherwise
        }
    };
    Err(attempt.final_failure(error.name(failure)))
}
