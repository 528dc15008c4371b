//! Calls that no account can serve and no protocol of ours speaks: embeddings, audio, images. They go to a relay that can do
//! them, as they came but for the model's name, and the answer comes back as it is.

mod load;
mod receipt;

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
use pool::pick::{self, Ask, Kin, NoAccount, Pick};
use pool::relay::Service;
use pool::status::Signal;
use pool::{AccountId, Millis};
use proto::{Failure, Kind};
use tokio::time::{Instant, Sleep};
use upstream::relay::Forward;
use upstream::{Answer, Body};

use crate::accounts::List;
use crate::core::Core;
use crate::engine::Engine;
use crate::keys::KeyId;
use crate::relays::Line;
use crate::reply::{Head, Refusal};
use crate::run::post::{Miss, denied};
use crate::slots::{Field, Slot, Taken};
pub use load::{Fate, Form, Load};
use receipt::Receipt;

/// One call to hand on.
pub struct Errand {
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
    pub load: Load,
}

/// A relay's answer on its way to the client. Dropping it ends the exchange.
pub struct Delivery {
    head: Head,
    status: u16,
    headers: HeaderMap,
    body: Option<Body>,
    silence: Silence,
    receipt: Receipt,
    _slot: Slot,
}

/// The relay's answer broke off: the client must not take what it has for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the relay's answer broke off")]
pub struct Broken;

/// How long the relay has said nothing.
struct Silence {
    limit: std::time::Duration,
    heard: Instant,
    sleep: Pin<Box<Sleep>>,
}

/// An errand under way.
struct Run {
    core: Arc<Core>,
    service: Service,
    content_type: Option<HeaderValue>,
    resolved: Resolved,
    load: Load,
    history: History,
    /// When the last call began, and what tells its caller from others.
    call: (Millis, u64),
    head: Head,
    receipt: Receipt,
}

impl Engine {
    /// Hands a call to a relay that can do it; resolves at the head of its answer.
    pub async fn forward(&self, errand: Errand) -> Result<Delivery, Refusal> {
        let core = Arc::clone(&self.0);
        let mut receipt = Receipt::open(&core, &errand);
        core.budget.lock().request(core.now());
        let resolved = match resolve(&core, errand.service, errand.model.as_deref()) {
            Ok(resolved) => resolved,
            Err(failure) => {
                receipt.refuse(&failure);
                return Err(Refusal { failure, head: Box::default() });
            }
        };
        receipt.model(&resolved.model.slug);
        let head = Head { model: resolved.model.slug.clone(), ..Head::default() };
        let history = History { rest: Some(core.settings.rest), keyed: true, ..History::default() };
        let Errand { service, content_type, load, key, .. } = errand;
        let call = (core.now(), by(&key));
        Run { core, service, content_type, resolved, load, history, call, head, receipt }.go().await
    }

    /// Whether there is a relay for such a call.
    ///
    /// # Errors
    /// As [`Self::forward`], before anything is sent.
    pub fn serves(&self, service: Service, name: &str) -> Result<(), Failure> {
        resolve(&self.0, service, Some(name)).map(|_| ())
    }
}

/// Tells callers apart.
fn by(key: &KeyId) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// The relays that can do it and that the model's name means. Where only one can do it, it is asked for models that it does
/// not list.
fn resolve(core: &Core, service: Service, name: Option<&str>) -> Result<Resolved, Failure> {
    let capability = service.capability();
    let catalog = core.accounts.side(capability);
    if catalog.relays() == 0 {
        let word = capability.word();
        let hint =
            format!("no relay here offers {word}; add one that does: `polygate relays add --capabilities {word}`");
        return Err(Failure::new(Kind::NotFound, hint).code(NO_RELAY));
    }
    let Some(name) = name else {
        return catalog
            .only("")
            .ok_or_else(|| Failure::new(Kind::Invalid, "Missing required field: model").at("model"));
    };
    let names = pool::catalog::Names { default: None, ..core.settings.names.clone() };
    catalog.resolve(Some(name), &names).or_else(|failure| catalog.only(name).ok_or(failure))
}

/// The code of a failure that says that nobody here can do such a thing at all.
pub const NO_RELAY: &str = "unsupported_endpoint";

impl Run {
    async fn go(mut self) -> Result<Delivery, Refusal> {
        let mut otherwise = None;
        loop {
            let slot = match self.place(otherwise.as_ref()) {
                Ok(slot) => slot,
                Err(failure) => return Err(self.refuse(failure)),
            };
            let Some(line) = self.line(slot.account()) else {
                return Err(self.refuse(Failure::new(Kind::NoAccount, "the relay was removed")));
            };
            let miss = match self.call(&line).await {
                Ok(answer) => return Ok(self.deliver(answer, slot)),
                Err(miss) => miss,
            };
            if let Some(failure) = self.load.fault() {
                return Err(self.refuse(failure));
            }
            match self.settle(&line, &miss) {
                Ok(failure) => otherwise = Some(failure),
                Err(failure) => return Err(self.refuse(failure)),
            }
        }
    }

    /// A place at a relay that was not tried; relays have no queue.
    fn place(&self, otherwise: Option<&Failure>) -> Result<Slot, Failure> {
        let (list, ways, now) = (self.core.accounts.list(), self.core.egress.table(), self.core.now());
        let field = self.field((&list, &ways), &self.history.tried);
        match self.core.slots.take(field, &self.ask(), (None, now)) {
            Ok(Taken::Now(slot)) => Ok(slot),
            Ok(Taken::Later(_)) => Err(Failure::new(Kind::RateLimited, "every relay is busy").retry_after(1)),
            Err(none) => Err(none.failure(otherwise, now)),
        }
    }

    fn ask(&self) -> Ask<'_> {
        let (model, strategy) = (&self.resolved.model.slug, self.core.settings.strategy);
        Ask { model, max_concurrent: 0, strategy, kin: Kin::Relays, spent: false }
    }

    fn field<'a>(&'a self, (list, ways): (&'a List, &'a Table), tried: &'a [AccountId]) -> Field<'a> {
        Field { list, bundled: &self.core.bundled, to: &self.resolved.to, ways, prefer: None, tried }
    }

    fn line(&self, id: &AccountId) -> Option<Arc<Line>> {
        self.core.accounts.get(id)?.relay.clone()
    }

    async fn call(&mut self, line: &Line) -> Result<Answer, Miss> {
        let model = match &self.resolved.to {
            To::Relays(stops) => stops.iter().find(|stop| stop.relay == line.relay.id).map(|stop| stop.model.as_str()),
            To::Accounts => None,
        };
        let body = self.load.take(model.filter(|model| !model.is_empty()));
        self.call.0 = self.core.now();
        self.receipt.posted(&line.relay.id);
        self.head.account = Some(line.relay.id.clone());
        self.head.relay = Some(line.relay.name.clone());
        let content_type = self.content_type.clone();
        let forward = Forward { relay: &line.relay, key: &line.key, service: self.service, content_type, body };
        let answer = self.core.upstream.relays().forward(forward).await?;
        if !(200..300).contains(&answer.status) {
            return Err(denied(&self.core, answer).await);
        }
        self.core.report(line, &Signal::Served);
        self.core.works(&line.relay.id);
        Ok(answer)
    }

    /// Asks the table; `Ok` is another try, with the answer when there is none.
    fn settle(&mut self, line: &Line, miss: &Miss) -> Result<Failure, Failure> {
        let (id, now) = (&line.relay.id, self.core.now());
        let (signal, mut step) = self.history.settle(id, &miss.outcome, now);
        if miss.outcome.costs(&step) && !self.core.budget.lock().spend(now) {
            step = step.give();
        }
        self.core.judge(id, self.call, &miss.outcome);
        if signal == Signal::ModelMissing
            && let To::Relays(stops) = &self.resolved.to
            && let Some(stop) = stops.iter().find(|stop| stop.relay == *id)
        {
            self.core.lacks(id, &stop.model);
        }
        self.core.report(line, &signal);
        match step {
            Step::Again { to: Toward::Other | Toward::PreferOther, otherwise, .. } if self.may_go_on() => {
                Ok(miss.name(otherwise))
            }
            Step::Again { otherwise: failure, .. } | Step::Give(failure) => Err(self.concede(miss.name(failure))),
        }
    }

    /// Whether there is a body left to send and a relay that was not tried.
    fn may_go_on(&self) -> bool {
        self.load.again() && matches!(self.look(&self.history.tried), Ok(Pick::Ready(_)))
    }

    fn concede(&self, failure: Failure) -> Failure {
        pick::concede(failure, self.look(&[]), self.core.now())
    }

    fn look(&self, tried: &[AccountId]) -> Result<Pick, NoAccount> {
        let (list, ways) = (self.core.accounts.list(), self.core.egress.table());
        self.core.slots.look(self.field((&list, &ways), tried), &self.ask(), self.core.now())
    }

    fn deliver(self, answer: Answer, slot: Slot) -> Delivery {
        let Self { core, mut head, mut receipt, .. } = self;
        head.attempts = receipt.attempts();
        receipt.kind(&answer.headers);
        let silence = Silence::new(core.settings.idle);
        let Answer { status, headers, body } = answer;
        Delivery { head, status, headers, body: Some(body), silence, receipt, _slot: slot }
    }

    fn refuse(mut self, failure: Failure) -> Refusal {
        self.receipt.refuse(&failure);
        self.head.attempts = self.receipt.attempts();
        Refusal { failure, head: Box::new(self.head) }
    }
}

impl Delivery {
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
                self.receipt.fail();
                return Poll::Ready(Some(Err(Broken)));
            }
        };
        self.silence.heard = Instant::now();
        match read {
            Some(Ok(chunk)) => {
                self.receipt.see(&chunk);
                Poll::Ready(Some(Ok(chunk)))
            }
            Some(Err(_)) => {
                self.body = None;
                self.receipt.fail();
                Poll::Ready(Some(Err(Broken)))
            }
            None => {
                self.body = None;
                self.receipt.complete();
                Poll::Ready(None)
            }
        }
    }

    /// Ends it now, because the server stops.
    pub fn cut(&mut self) {
        if self.body.take().is_some() {
            self.receipt.fail();
        }
    }
}

impl Silence {
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
