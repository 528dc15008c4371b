//! Forwarded calls: embeddings, audio, images and searches, which are not translated. A relay that offers the service gets the call with
//! the relay's name of the model; otherwise an account's backend gets the call if the backend has the service. The answer is passed on
//! unchanged.

mod account;
mod body;
mod choice;
mod usage;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use pool::AccountId;
use pool::attempt::{NextAccount, Outcome};
use pool::catalog::{Resolved, ServedBy};
use pool::pick::{self, NoAccount, Pick, Requirements};
use pool::relay::Service;
use pool::status::Signal;
use proto::{Failure, Kind};
use tokio::time::Instant;
use upstream::relay::Forward;
use upstream::{Answer, Body};

use crate::dispatch::limiter::{Acquired, Permit};
use crate::registry::accounts::AccountEntry;
use crate::registry::keys::KeyId;
use crate::registry::relays::RelayEntry;
use crate::request::attempt::refusal::relay_refusal;
use crate::request::attempt::{
    self, Attempt, AttemptError, AttemptState, CallError, Credentials, NextTry, NoCredentials,
};
use crate::request::reply::{Head, Refusal};
use crate::request::services::Services;
use crate::request::stream::Timers;
use crate::request::usage::{Requested, UsageRecorder};
use crate::tokens::RefreshFailed;
pub use body::{BodyFate, Form, ForwardBody};
use usage::UsageFinder;

/// A forwarded call of a client.
pub struct ForwardRequest {
    /// The service.
    pub service: Service,
    /// The client's key.
    pub key: KeyId,
    /// The gateway's id of the request.
    pub request_id: String,
    /// The model in the request, if it names one.
    pub model: Option<String>,
    /// The body's type, with the boundary of a form.
    pub content_type: Option<HeaderValue>,
    /// The body.
    pub load: ForwardBody,
    /// A Codex client's own headers about its turn, those that [`upstream::TURN_HEADERS`] names.
    pub turn: Vec<(&'static str, String)>,
}

impl ForwardRequest {
    fn requested(&self) -> Requested<'_> {
        Requested { request_id: &self.request_id, key: &self.key, model: self.model.as_deref() }
    }
}

/// The answer of a forwarded call. Dropping it cancels the upstream.
pub struct ForwardedReply {
    /// The facts for the gateway's own headers.
    pub head: Head,
    /// The upstream's status, 2xx.
    pub status: u16,
    /// The upstream's headers that a client may see.
    pub headers: HeaderMap,
    body: Option<Body>,
    timers: Timers,
    usage: UsageRecorder,
    counts: UsageFinder,
    _permit: Permit,
}

/// The upstream's answer broke off: the client must not treat the received part as complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the relay's answer broke off")]
pub struct BrokenReply;

/// A forwarded call before its answer.
struct ForwardAttempt {
    state: AttemptState,
    service: Service,
    content_type: Option<HeaderValue>,
    resolved: Resolved,
    load: ForwardBody,
    turn: Vec<(&'static str, String)>,
}

/// Sends the call to a relay or account; resolves at the head of the answer.
pub(crate) async fn forward(services: Arc<Services>, request: ForwardRequest) -> Result<ForwardedReply, Refusal> {
    let mut usage = UsageRecorder::open_forwarded(&services, request.service, &request.requested());
    services.dispatch.record_request(services.runtime.now());
    let resolved = match choice::resolve(&services, request.service, request.model.as_deref()) {
        Ok(resolved) => resolved,
        Err(failure) => {
            usage.refuse(&failure);
            return Err(Refusal { failure, head: Box::default() });
        }
    };
    usage.model(&resolved.model.slug);
    let head = Head { model: resolved.model.slug.clone(), ..Head::default() };
    let ForwardRequest { service, content_type, load, key, turn, .. } = request;
    let state = AttemptState::new(services, resolved.to != ServedBy::Accounts, caller_hash(&key), (head, usage));
    let mut call = ForwardAttempt { state, service, content_type, resolved, load, turn };
    match attempt::run(&mut call).await {
        Ok((permit, answer)) => Ok(call.deliver(answer, permit)),
        Err(failure) => Err(call.state.refuse(failure)),
    }
}

/// Whether a relay or account serves such a call. Errors: as [`forward`], before anything is sent.
pub(crate) fn serves(services: &Services, service: Service, name: &str) -> Result<(), Failure> {
    choice::resolve(services, service, Some(name)).map(|_| ())
}

/// Whether accounts and not relays serve such a call: the body must then have the backend's format.
pub(crate) fn is_served_by_accounts(services: &Services, service: Service, name: Option<&str>) -> bool {
    choice::resolve(services, service, name).is_ok_and(|resolved| resolved.to == ServedBy::Accounts)
}

/// A hash of the caller; the health of a relay counts failures per caller.
fn caller_hash(key: &KeyId) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// The error code for a service that no configured account or relay has.
pub const NO_RELAY: &str = "unsupported_endpoint";

impl Attempt for ForwardAttempt {
    type Answer = Answer;

    fn state(&mut self) -> &mut AttemptState {
        &mut self.state
    }

    /// A permit at an account or relay that was not tried. Forwarded calls do not queue.
    async fn permit(&mut self, held: Option<Permit>, next: &NextTry) -> Result<Permit, Failure> {
        if let (Some(permit), NextAccount::Same) = (held, next.to) {
            return Ok(permit);
        }
        let (dispatch, requirements) = (&self.state.services.dispatch, self.requirements());
        dispatch.with_candidates(&self.resolved, (None, &self.state.history.tried), |candidates, now| {
            match dispatch.limiter.acquire(candidates, &requirements, (None, now)) {
                Ok(Acquired::Now(permit)) => Ok(permit),
                Ok(Acquired::Later(_)) => {
                    let busy = format!("every {} is busy", requirements.kind.noun());
                    Err(Failure::new(Kind::RateLimited, busy).retry_after(1))
                }
                Err(none) => Err(none.failure(next.otherwise.as_ref(), now)),
            }
        })
    }

    async fn try_once(&mut self, entry: Arc<AccountEntry>, refresh: bool) -> Result<Answer, AttemptError> {
        let until = Instant::now() + self.state.services.runtime.settings.commit;
        let called = match self.state.credentials(&entry, refresh, until).await {
            Ok(Credentials::Key(relay)) => self.call_relay(&entry, &relay).await.map_err(AttemptError::from),
            Ok(Credentials::Login(tokens)) => self.call_account(&entry, &tokens).await.map_err(AttemptError::from),
            Err(NoCredentials::Late) => {
                Err(RefreshFailed::passing("the account's tokens were not refreshed in time").into())
            }
            Err(NoCredentials::Failed(error)) => Err(error.into()),
        };
        // A body that broke off, or was invalid, is the client's failure, whatever the upstream answered.
        called.map_err(|error| self.load.upload_failure().map_or(error, AttemptError::Final))
    }

    async fn learn(&mut self, _id: &AccountId, _outcome: &Outcome) {}

    fn model_for(&self, id: &AccountId) -> Option<&str> {
        let ServedBy::Relays(targets) = &self.resolved.to else { return None };
        targets.iter().find(|target| target.relay == *id).map(|target| target.model.as_str())
    }

    /// Whether the body can be sent again and an account or relay is left for it.
    fn may_try(&self, next: &NextTry) -> bool {
        let somebody = match next.to {
            NextAccount::Same => next.refresh,
            NextAccount::Other | NextAccount::PreferOther => {
                matches!(self.pick(&self.state.history.tried), Ok(Pick::Ready(_)))
            }
        };
        self.load.can_resend() && somebody
    }

    fn final_failure(&self, failure: Failure) -> Failure {
        pick::final_failure(failure, self.pick(&[]), self.state.services.runtime.now())
    }
}

impl ForwardAttempt {
    fn requirements(&self) -> Requirements<'_> {
        let requirements = self.state.services.dispatch.requirements(&self.resolved);
        match self.resolved.to {
            // No account lists its image model.
            ServedBy::Accounts => Requirements { model: "", draws: self.service.draws(), ..requirements },
            ServedBy::Relays(_) => requirements,
        }
    }

    async fn call_relay(&mut self, entry: &AccountEntry, relay: &RelayEntry) -> Result<Answer, CallError> {
        let model = self.model_for(&relay.relay.id).filter(|model| !model.is_empty()).map(str::to_owned);
        let body = self.load.take(model.as_deref());
        self.state.call_started(entry, 0);
        let (service, content_type) = (self.service, self.content_type.clone());
        let forward = Forward { relay: &relay.relay, key: &relay.key, service, content_type, body };
        let services = &self.state.services;
        let answer = services.runtime.upstream.relays().forward(forward).await?;
        if !(200..300).contains(&answer.status) {
            return Err(relay_refusal(services, answer).await);
        }
        services.dispatch.signal_relay(relay, &Signal::Served);
        services.dispatch.mark_answering(&relay.relay.id);
        Ok(answer)
    }

    fn pick(&self, tried: &[AccountId]) -> Result<Pick, NoAccount> {
        let (dispatch, requirements) = (&self.state.services.dispatch, self.requirements());
        dispatch.with_candidates(&self.resolved, (None, tried), |candidates, now| {
            dispatch.limiter.preview(candidates, &requirements, now)
        })
    }

    fn deliver(self, answer: Answer, permit: Permit) -> ForwardedReply {
        let AttemptState { services, mut head, mut usage, .. } = self.state;
        head.attempts = usage.attempts();
        let counts = UsageFinder::new(&answer.headers);
        usage.set_stream(counts.stream);
        let timers = Timers::new(Instant::now(), services.runtime.settings.idle, None);
        let Answer { status, headers, body } = answer;
        ForwardedReply { head, status, headers, body: Some(body), timers, usage, counts, _permit: permit }
    }
}

impl ForwardedReply {
    /// The next bytes, unchanged; `None` at the proper end.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenReply>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let read = match body.poll_chunk(cx) {
            Poll::Ready(read) => read,
            Poll::Pending => {
                std::task::ready!(self.timers.poll(cx));
                self.cut();
                return Poll::Ready(Some(Err(BrokenReply)));
            }
        };
        self.timers.last_read = Instant::now();
        match read {
            Some(Ok(chunk)) => {
                self.usage.note_first_token();
                self.counts.on_chunk(&chunk);
                Poll::Ready(Some(Ok(chunk)))
            }
            Some(Err(_)) => {
                self.cut();
                Poll::Ready(Some(Err(BrokenReply)))
            }
            None => {
                self.body = None;
                self.usage.set_usage(self.counts.usage());
                self.usage.complete();
                Poll::Ready(None)
            }
        }
    }

    /// Ends the answer before its proper end, because the server stops or the upstream broke off.
    pub fn cut(&mut self) {
        if self.body.take().is_some() {
            self.usage.mark_reply_failed();
        }
    }
}
