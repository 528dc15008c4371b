//! A request that nothing has been sent back for: it may be tried again, as `pool::attempt` says.

mod body;
mod fallback;
mod limits;
mod permit;
mod tools;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use pool::attempt::{History, Outcome, Step, To};
use pool::catalog::{self, Resolved};
use pool::hosted::Hosted;
use pool::pick::Kin;
use pool::transport::Talk;
use pool::{AccountId, Millis, Tokens};
use proto::canon::{ItemKind, Role};
use proto::dialect::Setting;
use proto::{Dialect, Failure, Item, Kind, Request, What};
use tokio::time::{Instant, timeout, timeout_at};
use upstream::oauth::RefreshReason;
use uuid::Uuid;

use self::body::{WrittenBody, lists_priority};
use self::fallback::FallbackChain;
pub(crate) use self::fallback::{instead, models};
use super::call::{CallError, Credentials, RequestPlan, UpstreamCall};
use super::opening::{CommitBarrier, Opening};
use super::replay;
use crate::dispatch::affinity::AffinityRecord;
use crate::dispatch::affinity::TurnRecord;
use crate::dispatch::head::{self, TURN_STATE};
use crate::dispatch::limiter::Permit;
use crate::registry::accounts::Entry;
use crate::request::call::Call;
use crate::request::conversation::Conversation;
use crate::request::estimate;
use crate::request::reply::{Fallback, Head, Refusal, Reply, ReplyBody, shown};
use crate::request::services::Services;
use crate::request::stored::PendingStore;
use crate::request::stream::{ReplyShape, ReplyStart, ReplyStream, ServedCall, Source, Transcoder};
use crate::request::usage::UsageRecorder;
use crate::tokens::{RefreshFailed, RefreshRequest};

/// A request before its commit. [`Self::commit`] consumes it; what comes out cannot be tried again.
pub(crate) struct Attempt {
    services: Arc<Services>,
    call: Call,
    /// About how many bytes the request is.
    size: usize,
    plan: Arc<RequestPlan>,
    /// Who served the conversation before.
    affinity: Option<AffinityRecord>,
    /// The turn, where the identity towards the backend says something of it.
    turn_record: Option<TurnRecord>,
    history: History,
    /// What may be asked instead.
    chain: FallbackChain,
    /// The hosted tools that it gets without having asked, where an account serves it.
    tools: Vec<Hosted>,
    /// When the last call began.
    begun: Millis,
    /// The body as written last.
    body: Option<Box<WrittenBody>>,
    /// What the last call was sent with.
    sent: Option<Credentials>,
    /// Whether the next call is one that the budget of second calls has been asked for.
    budgeted: bool,
    deadline: Instant,
    head: Head,
    ledger: UsageRecorder,
    /// What will be kept of the reply.
    keep: Option<Box<PendingStore>>,
}

/// What the next try is.
struct NextTry {
    to: To,
    refresh: bool,
    /// Whether the last one was answered, with a failure.
    answered: bool,
    /// The answer when no account can take it.
    otherwise: Option<Failure>,
}

/// Why a try did not come to an opening.
enum AttemptError {
    /// The table decides.
    Miss(CallError),
    /// There is nothing to decide.
    Over(Failure),
}

impl Attempt {
    pub(crate) fn new(services: Arc<Services>, mut call: Call, resolved: Resolved, ledger: UsageRecorder) -> Self {
        let chain = FallbackChain::of(&services, call.request.model.as_deref(), Some(&resolved.model.slug));
        let conversation = Conversation::of(&call, &resolved.model.slug);
        // A conversation that goes on after a compaction may have another beginning.
        let sealed = || replay::brought(&call.request).and_then(|seal| services.dispatch.affinity.get(seal));
        let bond = services.dispatch.affinity.get(conversation.id).or_else(sealed);
        let asked = turn::asked(&services, &call, &conversation, bond.as_ref());
        let head = Head::of(&resolved, std::mem::take(&mut call.notes));
        let tools = tools::given(&services, &call);
        let client = std::mem::take(&mut call.client);
        let socket = services.runtime.settings.transport.socket(conversation_facts(&call.request, client.codex));
        let tier = tier(&services, &call, &resolved);
        let deadline = ledger.started() + services.runtime.settings.commit;
        let draws = proto::dialect::responses::draws(&call.request);
        let (dialect, mute) = (call.dialect, call.request.reply.prewarm);
        let plan = Arc::new(RequestPlan { dialect, resolved, conversation, client, tier, socket, mute, draws });
        let keyed = plan.kin() == Kin::Relays;
        let history = History { rest: Some(services.runtime.settings.rest), keyed, ..History::default() };
        let (begun, size) = (services.runtime.now(), estimate::bytes(&call.request));
        Self {
            services,
            call,
            size,
            plan,
            affinity: bond,
            turn_record: asked,
            history,
            chain,
            tools,
            begun,
            body: None,
            sent: None,
            budgeted: false,
            deadline,
            head,
            ledger,
            keep: None,
        }
    }

    /// What will be kept of the reply.
    pub(crate) fn with_pending_store(mut self, keep: Option<Box<PendingStore>>) -> Self {
        self.keep = keep;
        if let Some(keep) = &mut self.keep {
            keep.set_conversation(self.plan.conversation.id);
        }
        self
    }

    /// A request for a name that means no model, with the first model of its chain.
    pub(crate) fn instead(
        services: Arc<Services>,
        call: Call,
        (model, failure): (Resolved, Failure),
        ledger: UsageRecorder,
    ) -> Self {
        let asked = call.request.model.clone().unwrap_or_default();
        let mut attempt = Self::new(services, call, model, ledger);
        let slug = attempt.head.model.clone();
        attempt.ledger.model(&slug);
        attempt.chain = FallbackChain::after(&attempt.services, &asked, failure);
        attempt.head.notes.add(format!("{} is not available", shown(&asked)));
        attempt.head.fallback = Some(Fallback { from: asked, to: slug, why: "not available".into() });
        attempt
    }

    /// Serves the request.
    pub(crate) async fn serve(self) -> Result<Reply, Refusal> {
        let (head, stream, shape) = self.commit().await?;
        if shape.stream {
            return Ok(Reply { head, body: ReplyBody::Stream(stream) });
        }
        stream.collect(head, shape).await
    }

    /// Opens the conversation's socket and lets the other end read the request, so that the turn proper finds both done. One try,
    /// with whoever served the conversation or is free at once; a failure says nothing that the turn proper will not say. Returns
    /// after `patience` at the latest.
    pub(crate) async fn prewarm(mut self, patience: Duration) {
        let told = self.plan.socket && self.plan.kin() == Kin::Accounts;
        if told && timeout(patience, self.announce()).await.is_err() {
            tracing::debug!(request = %self.plan.client.request_id, "a prewarm did not reach the backend in time");
        }
        self.note_body();
        self.ledger.notes(&self.head.notes);
        self.ledger.complete();
    }

    async fn announce(&mut self) {
        let Some(slot) = self.permit_now().await else { return };
        let id = slot.account();
        if self.affinity.as_ref().is_some_and(|bond| bond.account != *id) {
            return;
        }
        let Ok(opening) = self.try_once(id, false).await else { return };
        if matches!(opening.source, Source::Head(_)) {
            return;
        }
        // Its end is no word of a model, for which tokens would be estimated.
        opening
            .held
            .iter()
            .filter(|event| matches!(event.what, What::Usage(_)))
            .for_each(|event| self.ledger.on_event(event));
        if self.affinity.is_none() {
            let bond = AffinityRecord {
                account: id.clone(),
                turn: None,
                foreign: self.foreign_mark(id),
                away: false,
                asked: Vec::new(),
            };
            self.services.dispatch.affinity.set(self.plan.conversation.id, bond);
        }
    }

    /// Tries until a call is worth a commit, or the table says what to answer.
    async fn commit(mut self) -> Result<(Head, Box<ReplyStream>, ReplyShape), Refusal> {
        loop {
            let failure = match self.open().await {
                Ok((slot, opening)) => return Ok(self.into_stream(slot, opening)),
                Err(failure) => failure,
            };
            if let Err(failure) = self.next_model(failure) {
                return Err(self.refuse(failure));
            }
        }
    }

    async fn open(&mut self) -> Result<(Permit, Opening), Failure> {
        let mut next = NextTry { to: To::Other, refresh: false, answered: false, otherwise: None };
        let mut slot = None;
        loop {
            let place = self.permit(slot.take(), &next).await?;
            let miss = match self.try_once(place.account(), next.refresh).await {
                Ok(opening) => return Ok((place, opening)),
                Err(AttemptError::Over(failure)) => return Err(failure),
                Err(AttemptError::Miss(miss)) => miss,
            };
            self.learn(place.account(), &miss.outcome).await;
            next = self.decide(place.account(), miss)?;
            slot = Some(place);
        }
    }

    /// One try: tokens or key, body, model call, commit barrier.
    async fn try_once(&mut self, id: &AccountId, refresh: bool) -> Result<Opening, AttemptError> {
        let Some(entry) = self.services.registry.accounts.get(id) else {
            return Err(AttemptError::from(RefreshFailed::lasting("the account was removed")));
        };
        let access = self.access(&entry, refresh).await?;
        let body = self.body(&entry).await?;
        self.fits(&entry, body.len()).await?;
        let turn = self.turn(id);
        self.budgeted = false;
        self.begun = self.services.runtime.now();
        self.ledger.call_started(id, estimate::input(&self.call.request, body.len()));
        self.head.account = Some(id.clone());
        self.head.relay = entry.relay.as_ref().map(|line| line.relay.name.clone());
        let wire = entry.wire();
        let shot = UpstreamCall {
            services: Arc::clone(&self.services),
            plan: Arc::clone(&self.plan),
            entry,
            access,
            body,
            turn: turn.is_some(),
            metadata: self.metadata(),
        };
        let barrier = CommitBarrier {
            client: self.plan.client.framing(),
            services: &self.services,
            account: id,
            history: &self.history,
            deadline: self.deadline,
            wire,
        };
        Ok(barrier.hold(shot.start()).await?)
    }

    /// What the call is sent with.
    async fn access(&mut self, entry: &Entry, refresh: bool) -> Result<Credentials, AttemptError> {
        let access = match &entry.relay {
            Some(line) => Credentials::Key(Arc::clone(line)),
            None => Credentials::Login(self.tokens(entry, refresh).await?),
        };
        self.sent = Some(access.clone());
        Ok(access)
    }

    async fn tokens(&mut self, entry: &Entry, refresh: bool) -> Result<Arc<Tokens>, AttemptError> {
        let refused = self.services.runtime.backend_now();
        let fresh = async {
            match &self.sent {
                Some(Credentials::Login(sent)) if refresh => {
                    let wish = RefreshRequest::waiting(sent, RefreshReason::UnauthorizedRecovery);
                    self.services.tokens.refresh(&entry.account.id, wish).await
                }
                _ => self.services.tokens.usable_tokens(entry, RefreshRequest::waiting).await,
            }
        };
        // The refresh goes on beside us: that we cannot wait for it says nothing about the account.
        match timeout_at(self.deadline, fresh).await {
            Ok(tokens) => {
                let tokens = tokens?;
                if refresh && tokens.refreshed < refused {
                    self.history.adopt();
                }
                Ok(tokens)
            }
            Err(_) => Err(AttemptError::Over(refresh_timeout())),
        }
    }

    /// The fingerprint of the client's turn state, when it is this account's.
    fn turn(&self, id: &AccountId) -> Option<Uuid> {
        let bond = self.affinity.as_ref().filter(|bond| bond.account == *id)?;
        let state = self.plan.client.turn_state.as_deref().filter(|_| self.plan.client.codex)?;
        bond.turn.filter(|turn| *turn == fingerprint(state))
    }

    /// Asks the table, once per try.
    fn decide(&mut self, id: &AccountId, mut miss: CallError) -> Result<NextTry, Failure> {
        if let Some(access) = &self.sent {
            miss.outcome.hide(access.secret());
        }
        let (signal, mut step) = self.history.settle(id, &miss.outcome, self.services.runtime.now());
        let answered = miss.outcome.costs(&step);
        self.budgeted = answered && self.services.dispatch.budget.lock().spend(self.services.runtime.now());
        if answered && !self.budgeted {
            step = step.give();
        }
        self.services.dispatch.record_outcome(id, (self.begun, self.plan.by()), &miss.outcome);
        let (who, request) = (self.services.registry.accounts.who(id), &self.plan.client.request_id);
        tracing::debug!(%request, account = who.account(), relay = who.relay(), outcome = ?miss.code, "a try failed");
        self.services.dispatch.note_model(id, self.plan.model_for(id), &signal);
        match &self.sent {
            Some(Credentials::Key(line)) if line.relay.id == *id => self.services.dispatch.signal_relay(line, &signal),
            _ => self.services.dispatch.signal(id, &signal),
        }
        match step {
            Step::Give(failure) => Err(self.plan.concede(&self.services, miss.name(failure))),
            Step::Again { to, refresh, otherwise, .. } => {
                Ok(NextTry { to, refresh, answered, otherwise: Some(miss.name(otherwise)) })
            }
        }
    }

    /// The point of no return.
    fn into_stream(mut self, slot: Permit, opening: Opening) -> (Head, Box<ReplyStream>, ReplyShape) {
        let id = slot.account();
        let foreign = self.foreign_mark(id);
        if !matches!(opening.source, Source::Head(_)) {
            self.services.dispatch.mark_answering(id);
        }
        let mut turn = None;
        if self.plan.kin() == Kin::Accounts {
            turn = self.turn(id).or_else(|| head::text(&opening.headers, TURN_STATE).map(fingerprint));
            self.head.headers = head::passed(&opening.headers, self.plan.client.codex);
            if self.call.request.model.as_deref() != Some(&self.head.model) {
                // The name was ours to read: Codex would take another one for a rerouted model and warn its user.
                self.head.headers.remove(head::MODEL);
            }
            let mut headers = std::mem::take(&mut self.head.headers);
            self.tell_codex(&mut headers, &self.plan.resolved, Some(id));
            self.head.headers = headers;
        }
        let asked = turn::turns(self.turn_record, self.affinity.as_ref().map_or(&[], |bond| &bond.asked));
        let bond = match self.kept_affinity(id) {
            Some(owner) => AffinityRecord { away: true, asked, ..owner.clone() },
            None => AffinityRecord { account: id.clone(), turn, foreign, away: false, asked },
        };
        self.services.dispatch.affinity.set(self.plan.conversation.id, bond);
        self.head.attempts = self.ledger.attempts();
        self.note_body();
        self.ledger.notes(&self.head.notes);
        let shape = self.shape();
        let Opening { source, reader, held, heard, .. } = opening;
        let call = ServedCall { plan: Arc::clone(&self.plan), begun: self.begun, credentials: self.sent };
        let (pipe, keep) = (Transcoder::new(&shape, reader, held, self.call.memory.fresh()), self.keep);
        let start = ReplyStart {
            source,
            transcoder: pipe,
            last_read: heard,
            permit: slot,
            usage: self.ledger,
            call,
            pending_store: keep,
        };
        (self.head, Box::new(ReplyStream::new(self.services, start, shape.stream)), shape)
    }

    /// A Codex client hears of the whole pool's limits.
    fn tell_codex(&self, headers: &mut HeaderMap, resolved: &Resolved, served: Option<&AccountId>) {
        if self.plan.client.codex {
            let told = (resolved, self.plan.client.version.as_deref());
            self.services.for_codex(headers, told, served);
        }
    }

    fn shape(&self) -> ReplyShape {
        let request = &self.call.request;
        let prefix = match self.call.dialect {
            Dialect::Chat if request.reply.generate => "cmpl-",
            Dialect::Chat => "chatcmpl-",
            Dialect::Responses => "resp_",
            Dialect::Messages => "msg_",
            Dialect::Gemini | Dialect::Ollama => "",
        };
        let setting = Setting {
            id: format!("{prefix}{}", Uuid::new_v4().simple()),
            model: self.plan.resolved.model.slug.clone(),
            created: u64::try_from(self.services.runtime.now().seconds()).unwrap_or(0),
            reply: request.reply.clone(),
            codex: self.plan.client.codex,
            framing: self.plan.client.framing(),
            stored: self.keep.as_ref().map(|keep| keep.marks()).unwrap_or_default(),
            echo: self.echo(),
        };
        ReplyShape {
            dialect: self.call.dialect,
            setting,
            limits: self.limits(),
            tool_replies: self.replies(),
            input_tokens: self.ledger.input(),
            stream: request.reply.stream,
        }
    }

    fn refuse(mut self, failure: Failure) -> Refusal {
        self.note_body();
        self.ledger.notes(&self.head.notes);
        self.ledger.refuse(&failure);
        self.head.attempts = self.ledger.attempts();
        let mut headers = std::mem::take(&mut self.head.headers);
        if failure.kind == Kind::Exhausted && self.meant().to == catalog::To::Accounts {
            self.tell_codex(&mut headers, self.meant(), None);
        }
        self.head.headers = headers;
        Refusal { failure, head: Box::new(self.head) }
    }
}

impl From<CallError> for AttemptError {
    fn from(miss: CallError) -> Self {
        Self::Miss(miss)
    }
}

impl From<RefreshFailed> for AttemptError {
    fn from(error: RefreshFailed) -> Self {
        Self::Miss(Outcome::from(error).into())
    }
}

impl From<Failure> for AttemptError {
    fn from(failure: Failure) -> Self {
        Self::Over(failure)
    }
}

fn refresh_timeout() -> Failure {
    Failure::new(Kind::Timeout, "the account's tokens were not refreshed in time; try again").code("upstream_timeout")
}

/// The tier that the body will carry, for the routing header.
fn tier(services: &Services, call: &Call, resolved: &Resolved) -> Option<&'static str> {
    let wish = call.request.tier.as_deref().or(resolved.tier.as_deref()).or(services
        .runtime
        .settings
        .fast
        .then_some("fast"))?;
    (matches!(wish, "priority" | "fast") && lists_priority(resolved)).then_some("priority")
}

/// What is known of the conversation that the request belongs to.
fn conversation_facts(request: &Request, codex: bool) -> Talk {
    let spoken = |item: &Item| match &item.kind {
        ItemKind::Message { role, .. } => *role == Role::Assistant,
        ItemKind::Other { .. } => false,
        _ => true,
    };
    Talk { codex, history: request.items.iter().any(spoken), tools: !request.tools.is_empty() }
}

/// What is remembered of a turn state.
pub(crate) fn fingerprint(state: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, state.as_bytes())
}
