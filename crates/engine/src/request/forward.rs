//! Calls that no protocol of ours speaks: embeddings, audio, images, searches. They go to a relay that can do them, as they
//! came but for the model's name, or to an account whose backend can, and the answer comes back as it is.

mod account;
mod body;
mod choice;
mod usage;

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use pool::attempt::{History, Step, To as Toward};
use pool::catalog::{Resolved, To};
use pool::egress::Table;
use pool::pick::{self, Ask, NoAccount, Pick};
use pool::relay::Service;
use pool::status::Signal;
use pool::{AccountId, Millis, Tokens};
use proto::{Failure, Kind};
use tokio::time::{Instant, Sleep};
use upstream::relay::Forward;
use upstream::{Answer, Body};

use crate::dispatch::limiter::{Acquired, Candidates, Permit};
use crate::registry::accounts::{Entry, List};
use crate::registry::keys::KeyId;
use crate::registry::relays::RelayEntry;
use crate::request::reply::{Head, Refusal};
use crate::request::run::call::{CallError, relay_refusal};
use crate::request::services::Services;
use crate::request::usage::UsageRecorder;
pub use body::{BodyFate, Form, ForwardBody};
use usage::UsageFinder;

/// One call to hand on.
pub struct ForwardRequest {
    /// Which.
    pub service: Service,
    /// Who asks.
    pub key: KeyId,
    /// Our id of the request.
    pub request_id: String,
    /// The model that it names, if it does.
    pub model: Option<String>,
    /// The body's type, with the boundary of a form.
    pub content_type: Option<HeaderValue>,
    /// The body.
    pub load: ForwardBody,
    /// A Codex client's own headers about its turn, those that [`upstream::TURN`] names.
    pub turn: Vec<(&'static str, String)>,
}

/// An answer on its way to the client. Dropping it ends the exchange.
pub struct ForwardedReply {
    head: Head,
    status: u16,
    headers: HeaderMap,
    body: Option<Body>,
    silence: IdleTimer,
    usage: UsageRecorder,
    counts: UsageFinder,
    _slot: Permit,
}

/// The relay's answer broke off: the client must not take what it has for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the relay's answer broke off")]
pub struct Broken;

/// How long the relay has said nothing.
struct IdleTimer {
    limit: std::time::Duration,
    heard: Instant,
    sleep: Pin<Box<Sleep>>,
}

/// An errand under way.
struct ForwardAttempt {
    services: Arc<Services>,
    service: Service,
    content_type: Option<HeaderValue>,
    resolved: Resolved,
    load: ForwardBody,
    turn: Vec<(&'static str, String)>,
    history: History,
    /// When the last call began, and what tells its caller from others.
    call: (Millis, u64),
    /// The tokens that the last call was sent with, where it was an account's.
    sent: Option<Arc<Tokens>>,
    head: Head,
    usage: UsageRecorder,
}

/// Hands a call to a relay that can do it; resolves at the head of its answer.
pub(crate) async fn forward(services: Arc<Services>, errand: ForwardRequest) -> Result<ForwardedReply, Refusal> {
    let mut usage = UsageRecorder::open_forwarded(&services, &errand);
    services.dispatch.budget.lock().request(services.runtime.now());
    let resolved = match choice::resolve(&services, errand.service, errand.model.as_deref()) {
        Ok(resolved) => resolved,
        Err(failure) => {
            usage.refuse(&failure);
            return Err(Refusal { failure, head: Box::default() });
        }
    };
    usage.model(&resolved.model.slug);
    let head = Head { model: resolved.model.slug.clone(), ..Head::default() };
    let keyed = resolved.to != To::Accounts;
    let history = History { rest: Some(services.runtime.settings.rest), keyed, ..History::default() };
    let ForwardRequest { service, content_type, load, key, turn, .. } = errand;
    let call = (services.runtime.now(), caller_hash(&key));
    let run = ForwardAttempt {
        services,
        service,
        content_type,
        resolved,
        load,
        turn,
        history,
        call,
        sent: None,
        head,
        usage,
    };
    run.go().await
}

/// Whether there is a relay for such a call.
///
/// # Errors
/// As [`forward`], before anything is sent.
pub(crate) fn serves(services: &Services, service: Service, name: &str) -> Result<(), Failure> {
    choice::resolve(services, service, Some(name)).map(|_| ())
}

/// Whether accounts serve such a call and not relays: its body is then to be in the backend's form.
pub(crate) fn is_served_by_accounts(services: &Services, service: Service, name: Option<&str>) -> bool {
    choice::resolve(services, service, name).is_ok_and(|resolved| resolved.to == To::Accounts)
}

/// Tells callers apart.
fn caller_hash(key: &KeyId) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// The code of a failure that says that nobody here can do such a thing at all.
pub const NO_RELAY: &str = "unsupported_endpoint";

/// What the next try is.
#[derive(Default)]
struct Next {
    /// The place that it keeps.
    held: Option<Permit>,
    /// Whether the account's tokens are refreshed first.
    refresh: bool,
    /// The answer when nobody can take it.
    otherwise: Option<Failure>,
}

impl ForwardAttempt {
    async fn go(mut self) -> Result<ForwardedReply, Refusal> {
        let mut next = Next::default();
        loop {
            let slot = match next.held.take().map_or_else(|| self.place(next.otherwise.as_ref()), Ok) {
                Ok(slot) => slot,
                Err(failure) => return Err(self.refuse(failure)),
            };
            let Some(entry) = self.services.registry.accounts.get(slot.account()) else {
                return Err(self.refuse(Failure::new(Kind::NoAccount, "it was removed meanwhile")));
            };
            let called = match &entry.relay {
                Some(line) => self.call(line).await,
                None => self.errand(&entry, next.refresh).await,
            };
            let miss = match called {
                Ok(answer) => return Ok(self.deliver(answer, slot)),
                Err(miss) => miss,
            };
            if let Some(failure) = self.load.fault() {
                return Err(self.refuse(failure));
            }
            match self.settle(&entry, miss, slot) {
                Ok(again) => next = again,
                Err(failure) => return Err(self.refuse(failure)),
            }
        }
    }

    /// A place at somebody who was not tried; nobody queues for these.
    fn place(&self, otherwise: Option<&Failure>) -> Result<Permit, Failure> {
        let (list, ways, now) = (
            self.services.registry.accounts.list(),
            self.services.registry.egress.table(),
            self.services.runtime.now(),
        );
        let field = self.field((&list, &ways), &self.history.tried);
        let ask = self.ask();
        match self.services.dispatch.limiter.acquire(field, &ask, (None, now)) {
            Ok(Acquired::Now(slot)) => Ok(slot),
            Ok(Acquired::Later(_)) => {
                let busy = format!("every {} is busy", ask.kin.noun());
                Err(Failure::new(Kind::RateLimited, busy).retry_after(1))
            }
            Err(none) => Err(none.failure(otherwise, now)),
        }
    }

    fn ask(&self) -> Ask<'_> {
        let ask = self.services.dispatch.pick_query(&self.resolved);
        match self.resolved.to {
            // No account lists what it draws with.
            To::Accounts => Ask { model: "", draws: self.service.draws(), ..ask },
            To::Relays(_) => ask,
        }
    }

    fn field<'a>(&'a self, (list, ways): (&'a List, &'a Table), tried: &'a [AccountId]) -> Candidates<'a> {
        Candidates {
            list,
            bundled: &self.services.dispatch.bundled,
            custom: false,
            to: &self.resolved.to,
            ways,
            prefer: None,
            tried,
        }
    }

    async fn call(&mut self, line: &RelayEntry) -> Result<Answer, CallError> {
        let model = match &self.resolved.to {
            To::Relays(stops) => stops.iter().find(|stop| stop.relay == line.relay.id).map(|stop| stop.model.as_str()),
            To::Accounts => None,
        };
        let body = self.load.take(model.filter(|model| !model.is_empty()));
        self.call.0 = self.services.runtime.now();
        self.usage.call_started(&line.relay.id, 0);
        self.head.account = Some(line.relay.id.clone());
        self.head.relay = Some(line.relay.name.clone());
        let content_type = self.content_type.clone();
        let forward = Forward { relay: &line.relay, key: &line.key, service: self.service, content_type, body };
        let answer = self.services.runtime.upstream.relays().forward(forward).await?;
        if !(200..300).contains(&answer.status) {
            return Err(relay_refusal(&self.services, answer).await);
        }
        self.services.dispatch.signal_relay(line, &Signal::Served);
        self.services.dispatch.mark_answering(&line.relay.id);
        Ok(answer)
    }

    /// Asks the table; `Ok` is another try.
    fn settle(&mut self, entry: &Entry, mut miss: CallError, slot: Permit) -> Result<Next, Failure> {
        // An account may have other tokens by now than those that were sent.
        let key = entry.relay.as_ref().map(|line| &line.key);
        if let Some(secret) = key.or_else(|| self.sent.as_ref().map(|tokens| &tokens.access)) {
            miss.outcome.hide(secret);
        }
        let (id, now) = (&entry.account.id, self.services.runtime.now());
        let (signal, mut step) = self.history.settle(id, &miss.outcome, now);
        if miss.outcome.costs(&step) && !self.services.dispatch.budget.lock().spend(now) {
            step = step.give();
        }
        self.services.dispatch.record_outcome(id, self.call, &miss.outcome);
        self.learn(entry, &signal);
        match step {
            Step::Again { to: Toward::Same, refresh: true, otherwise, .. } if self.load.can_resend() => {
                Ok(Next { held: Some(slot), refresh: true, otherwise: Some(miss.name(otherwise)) })
            }
            Step::Again { to: Toward::Other | Toward::PreferOther, otherwise, .. } if self.may_go_on() => {
                Ok(Next { otherwise: Some(miss.name(otherwise)), ..Next::default() })
            }
            Step::Again { otherwise: failure, .. } | Step::Give(failure) => Err(self.concede(miss.name(failure))),
        }
    }

    /// Takes over what a try said about whoever was asked.
    fn learn(&self, entry: &Entry, signal: &Signal) {
        let id = &entry.account.id;
        let Some(line) = &entry.relay else { return self.services.dispatch.signal(id, signal) };
        if *signal == Signal::ModelMissing
            && let To::Relays(stops) = &self.resolved.to
            && let Some(stop) = stops.iter().find(|stop| stop.relay == *id)
        {
            self.services.dispatch.note_missing_model(id, &stop.model);
        }
        self.services.dispatch.signal_relay(line, signal);
    }

    /// Whether there is a body left to send and somebody who was not tried.
    fn may_go_on(&self) -> bool {
        self.load.can_resend() && matches!(self.look(&self.history.tried), Ok(Pick::Ready(_)))
    }

    fn concede(&self, failure: Failure) -> Failure {
        pick::concede(failure, self.look(&[]), self.services.runtime.now())
    }

    fn look(&self, tried: &[AccountId]) -> Result<Pick, NoAccount> {
        let (list, ways) = (self.services.registry.accounts.list(), self.services.registry.egress.table());
        self.services.dispatch.limiter.preview(
            self.field((&list, &ways), tried),
            &self.ask(),
            self.services.runtime.now(),
        )
    }

    fn deliver(self, answer: Answer, slot: Permit) -> ForwardedReply {
        let Self { services, mut head, mut usage, .. } = self;
        head.attempts = usage.attempts();
        let counts = UsageFinder::new(&answer.headers);
        usage.set_stream(counts.stream);
        let silence = IdleTimer::new(services.runtime.settings.idle);
        let Answer { status, headers, body } = answer;
        ForwardedReply { head, status, headers, body: Some(body), silence, usage, counts, _slot: slot }
    }

    fn refuse(mut self, failure: Failure) -> Refusal {
        self.usage.refuse(&failure);
        self.head.attempts = self.usage.attempts();
        Refusal { failure, head: Box::new(self.head) }
    }
}

impl ForwardedReply {
    /// What our own headers say.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The relay's status, 2xx.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The relay's headers, those that a client may see.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The next bytes as they came; `None` at the proper end.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let read = match body.poll_chunk(cx) {
            Poll::Ready(read) => read,
            Poll::Pending => {
                std::task::ready!(self.silence.poll(cx));
                self.body = None;
                self.usage.fail();
                return Poll::Ready(Some(Err(Broken)));
            }
        };
        self.silence.heard = Instant::now();
        match read {
            Some(Ok(chunk)) => {
                self.usage.note_first_token();
                self.counts.on_chunk(&chunk);
                Poll::Ready(Some(Ok(chunk)))
            }
            Some(Err(_)) => {
                self.body = None;
                self.usage.fail();
                Poll::Ready(Some(Err(Broken)))
            }
            None => {
                self.body = None;
                self.usage.set_usage(self.counts.usage());
                self.usage.complete();
                Poll::Ready(None)
            }
        }
    }

    /// Ends it now, because the server stops.
    pub fn cut(&mut self) {
        if self.body.take().is_some() {
            self.usage.fail();
        }
    }
}

impl IdleTimer {
    fn new(limit: std::time::Duration) -> Self {
        let heard = Instant::now();
        Self { limit, heard, sleep: Box::pin(tokio::time::sleep_until(heard + limit)) }
    }

    /// Ready when the relay was silent for too long. The timer is looked at only when it fires.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            std::task::ready!(self.sleep.as_mut().poll(cx));
            let end = self.heard + self.limit;
            if end <= Instant::now() {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(end);
        }
    }
}
