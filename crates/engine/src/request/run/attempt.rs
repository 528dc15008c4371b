//! A model call before its commit: it may be tried again, as `pool::attempt` says.

mod body;
mod fallback;
mod limits;
mod permit;
mod tools;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use pool::AccountId;
use pool::attempt::Outcome;
use pool::catalog::{self, Resolved};
use pool::hosted::Hosted;
use pool::pick::CandidateKind;
use pool::transport::ConversationFacts;
use proto::canon::{ItemKind, Role};
use proto::dialect::ReplySetting;
use proto::{Dialect, Failure, Item, Kind, Request, What};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use self::body::{WrittenBody, lists_priority};
use self::fallback::FallbackChain;
pub(crate) use self::fallback::{first_fallback, serving_models};
use super::call::{RequestPlan, UpstreamCall};
use super::opening::{CommitBarrier, Opening};
use super::replay;
use crate::dispatch::affinity::AffinityRecord;
use crate::dispatch::affinity::TurnRecord;
use crate::dispatch::head::{self, TURN_STATE};
use crate::dispatch::limiter::Permit;
use crate::registry::accounts::AccountEntry;
use crate::request::attempt::{self, Attempt, AttemptError, AttemptState, NextTry, NoCredentials};
use crate::request::call::Call;
use crate::request::conversation::Conversation;
use crate::request::estimate;
use crate::request::reply::{Fallback, Head, Refusal, Reply, ReplyBody, shortened};
use crate::request::services::Services;
use crate::request::stored::PendingStore;
use crate::request::stream::{ReplyShape, ReplyStart, ReplyStream, ServedCall, Source, Transcoder};
use crate::request::usage::UsageRecorder;

/// A model call before its commit. [`Self::commit`] consumes it; a committed reply cannot be tried again.
pub(crate) struct ModelAttempt {
    state: AttemptState,
    call: Call,
    /// The approximate bytes of the request.
    size: usize,
    plan: Arc<RequestPlan>,
    /// The account or relay that served the conversation before.
    affinity: Option<AffinityRecord>,
    /// The turn, if the identity towards the backend describes turns.
    turn_record: Option<TurnRecord>,
    /// The fallback models.
    chain: FallbackChain,
    /// The hosted tools that are added by default when an account serves the request.
    tools: Vec<Hosted>,
    /// The last written body.
    body: Option<Box<WrittenBody>>,
    deadline: Instant,
    /// The plan to store the reply.
    pending_store: Option<Box<PendingStore>>,
}

impl ModelAttempt {
    pub(crate) fn new(services: Arc<Services>, mut call: Call, resolved: Resolved, usage: UsageRecorder) -> Self {
        let chain = FallbackChain::of(&services, call.request.model.as_deref(), Some(&resolved.model.slug));
        let conversation = Conversation::of(&call, &resolved.model.slug);
        // After a compaction a conversation may begin differently.
        let sealed =
            || replay::last_sealed_conversation(&call.request).and_then(|seal| services.dispatch.affinity.get(seal));
        let affinity = services.dispatch.affinity.get(conversation.id).or_else(sealed);
        let turn_record = turn::turn_of_call(&services, &call, &conversation, affinity.as_ref());
        let head = Head::of(&resolved, std::mem::take(&mut call.notes));
        let tools = tools::default_tools(&services, &call);
        let client = std::mem::take(&mut call.client);
        let socket = services.runtime.settings.transport.uses_socket(conversation_facts(&call.request, client.codex));
        let tier = tier(&services, &call, &resolved);
        let deadline = usage.started() + services.runtime.settings.commit;
        let may_draw = proto::dialect::responses::draws(&call.request);
        let (dialect, prewarm) = (call.dialect, call.request.reply.prewarm);
        let plan = Arc::new(RequestPlan { dialect, resolved, conversation, client, tier, socket, prewarm, may_draw });
        let size = estimate::bytes(&call.request);
        let state = AttemptState::new(
            services,
            plan.candidate_kind() == CandidateKind::Relays,
            plan.conversation_hash(),
            (head, usage),
        );
        Self { state, call, size, plan, affinity, turn_record, chain, tools, body: None, deadline, pending_store: None }
    }

    /// Sets the plan to store the reply.
    pub(crate) fn with_pending_store(mut self, pending: Option<Box<PendingStore>>) -> Self {
        self.pending_store = pending;
        if let Some(pending) = &mut self.pending_store {
            pending.set_conversation(self.plan.conversation.id);
        }
        self
    }

    /// A request for an unknown model name, with the first model of the name's fallback chain.
    pub(crate) fn with_fallback(
        services: Arc<Services>,
        call: Call,
        (model, failure): (Resolved, Failure),
        usage: UsageRecorder,
    ) -> Self {
        let requested = call.request.model.clone().unwrap_or_default();
        let mut attempt = Self::new(services, call, model, usage);
        let slug = attempt.state.head.model.clone();
        attempt.state.usage.model(&slug);
        attempt.chain = FallbackChain::for_unknown_model(&attempt.state.services, &requested, failure);
        attempt.state.head.notes.add(format!("{} is not available", shortened(&requested)));
        attempt.state.head.fallback = Some(Fallback { from: requested, to: slug, why: "not available".into() });
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

    /// Opens the conversation's socket and sends the request ahead of the next turn. This is one attempt, at the account that served the
    /// conversation or at one that is free at once. Failures are ignored: the next turn will report them. Returns after `patience` at the
    /// latest.
    pub(crate) async fn prewarm(mut self, patience: Duration) {
        let uses_socket = self.plan.socket && self.plan.candidate_kind() == CandidateKind::Accounts;
        if uses_socket && timeout(patience, self.send_ahead()).await.is_err() {
            tracing::debug!(request = %self.plan.client.request_id, "a prewarm did not reach the backend in time");
        }
        self.note_body();
        self.state.usage.notes(&self.state.head.notes);
        self.state.usage.complete();
    }

    async fn send_ahead(&mut self) {
        let Some(permit) = self.permit_now().await else { return };
        let id = permit.account();
        if self.affinity.as_ref().is_some_and(|record| record.account != *id) {
            return;
        }
        let Ok(opening) = attempt::try_at(self, id, false).await else { return };
        if matches!(opening.source, Source::Head(_)) {
            return;
        }
        // The end of such a reply does not count as output; otherwise output tokens would be estimated.
        opening
            .held
            .iter()
            .filter(|event| matches!(event.what, What::Usage(_)))
            .for_each(|event| self.state.usage.on_event(event));
        if self.affinity.is_none() {
            let record = AffinityRecord {
                account: id.clone(),
                turn_state: None,
                foreign: self.foreign_mark(id),
                away: false,
                turns: Vec::new(),
            };
            self.state.services.dispatch.affinity.set(self.plan.conversation.id, record);
        }
    }

    /// Makes attempts until a call may be committed, or the retry table gives the answer.
    async fn commit(mut self) -> Result<(Head, Box<ReplyStream>, ReplyShape), Refusal> {
        loop {
            let failure = match attempt::run(&mut self).await {
                Ok((permit, opening)) => return Ok(self.into_stream(permit, opening)),
                Err(failure) => failure,
            };
            if let Err(failure) = self.next_model(failure) {
                return Err(self.refuse(failure));
            }
        }
    }

    /// The fingerprint of the client's turn state, if this account issued the turn state.
    fn turn_state(&self, id: &AccountId) -> Option<Uuid> {
        let record = self.affinity.as_ref().filter(|record| record.account == *id)?;
        let state = self.plan.client.turn_state.as_deref().filter(|_| self.plan.client.codex)?;
        record.turn_state.filter(|turn_state| *turn_state == fingerprint(state))
    }

    /// Turns the attempt into a stream. Nothing can be tried again after that.
    fn into_stream(mut self, permit: Permit, opening: Opening) -> (Head, Box<ReplyStream>, ReplyShape) {
        let id = permit.account();
        if !matches!(opening.source, Source::Head(_)) {
            self.state.services.dispatch.mark_answering(id);
        }
        self.bind_conversation(id, &opening.headers);
        if self.plan.candidate_kind() == CandidateKind::Accounts {
            self.state.head.headers = self.response_headers(id, &opening.headers);
        }
        self.state.head.attempts = self.state.usage.attempts();
        self.note_body();
        self.state.usage.notes(&self.state.head.notes);
        let shape = self.shape();
        let Opening { source, reader, held, last_read, .. } = opening;
        let AttemptState { services, begun, sent, head, usage, .. } = self.state;
        let start = ReplyStart {
            source,
            transcoder: Transcoder::new(&shape, reader, held, self.call.memory.fresh()),
            last_read,
            permit,
            usage,
            call: ServedCall { plan: self.plan, begun, credentials: sent },
            pending_store: self.pending_store,
        };
        (head, Box::new(ReplyStream::new(services, start, shape.stream)), shape)
    }

    /// Remembers the account or relay that serves the conversation.
    fn bind_conversation(&self, id: &AccountId, headers: &HeaderMap) {
        let turns = turn::recent_turns(self.turn_record, self.affinity.as_ref().map_or(&[], |record| &record.turns));
        let record = if let Some(owner) = self.held_affinity(id) {
            AffinityRecord { away: true, turns, ..owner.clone() }
        } else {
            let answered = || head::text(headers, TURN_STATE).map(fingerprint);
            let turn_state = if self.plan.candidate_kind() == CandidateKind::Accounts {
                self.turn_state(id).or_else(answered)
            } else {
                None
            };
            AffinityRecord { account: id.clone(), turn_state, foreign: self.foreign_mark(id), away: false, turns }
        };
        self.state.services.dispatch.affinity.set(self.plan.conversation.id, record);
    }

    /// The headers of an account's answer for the client.
    fn response_headers(&self, id: &AccountId, headers: &HeaderMap) -> HeaderMap {
        let mut passed = head::client_headers(headers, self.plan.client.codex);
        if self.call.request.model.as_deref() != Some(&self.state.head.model) {
            // The gateway resolved the name. Codex would take another name for a rerouted model and warn its user.
            passed.remove(head::MODEL);
        }
        self.set_codex_limits(&mut passed, &self.plan.resolved, Some(id));
        passed
    }

    /// Gives a Codex client the limits of the whole pool.
    fn set_codex_limits(&self, headers: &mut HeaderMap, resolved: &Resolved, served: Option<&AccountId>) {
        if self.plan.client.codex {
            let target = (resolved, self.plan.client.version.as_deref());
            self.state.services.for_codex(headers, target, served);
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
        let (limits, undo) = self.left_and_undo();
        let setting = ReplySetting {
            id: format!("{prefix}{}", Uuid::new_v4().simple()),
            model: self.plan.resolved.model.slug.clone(),
            created: u64::try_from(self.state.services.runtime.now().seconds()).unwrap_or(0),
            reply: request.reply.clone(),
            envelope: undo.envelope,
            codex: self.plan.client.codex,
            framing: self.plan.client.framing(),
            stored: self.pending_store.as_ref().map(|keep| keep.marks()).unwrap_or_default(),
            echo: self.echo(),
        };
        ReplyShape {
            dialect: self.call.dialect,
            setting,
            limits,
            tool_replies: undo.tools,
            input_tokens: self.state.usage.input(),
            stream: request.reply.stream,
        }
    }

    fn refuse(mut self, failure: Failure) -> Refusal {
        self.note_body();
        self.state.usage.notes(&self.state.head.notes);
        let mut headers = std::mem::take(&mut self.state.head.headers);
        if failure.kind == Kind::Exhausted && self.intended_model().to == catalog::ServedBy::Accounts {
            self.set_codex_limits(&mut headers, self.intended_model(), None);
        }
        self.state.head.headers = headers;
        self.state.refuse(failure)
    }
}

impl Attempt for ModelAttempt {
    type Answer = Opening;

    fn state(&mut self) -> &mut AttemptState {
        &mut self.state
    }

    async fn permit(&mut self, held: Option<Permit>, next: &NextTry) -> Result<Permit, Failure> {
        self.next_permit(held, next).await
    }

    /// Tokens or key, body, model call, commit barrier.
    async fn try_once(&mut self, entry: Arc<AccountEntry>, refresh: bool) -> Result<Opening, AttemptError> {
        let access = match self.state.credentials(&entry, refresh, self.deadline).await {
            Ok(access) => access,
            Err(NoCredentials::Late) => return Err(AttemptError::Final(refresh_timeout())),
            Err(NoCredentials::Failed(error)) => return Err(error.into()),
        };
        let body = self.body(&entry).await?;
        self.check_window(&entry, body.len()).await?;
        let id = entry.account.id.clone();
        let turn_state = self.turn_state(&id);
        self.state.call_started(&entry, estimate::input(&self.call.request, body.len()));
        let wire = entry.wire();
        let upstream_call = UpstreamCall {
            services: Arc::clone(&self.state.services),
            plan: Arc::clone(&self.plan),
            entry,
            access,
            body,
            sends_turn_state: turn_state.is_some(),
            metadata: self.metadata(),
        };
        let barrier = CommitBarrier {
            client: self.plan.client.framing(),
            services: &self.state.services,
            account: &id,
            history: &self.state.history,
            deadline: self.deadline,
            wire,
        };
        Ok(barrier.open(upstream_call.start()).await?)
    }

    async fn learn(&mut self, id: &AccountId, outcome: &Outcome) {
        self.learn_limits(id, outcome).await;
    }

    fn model_for(&self, id: &AccountId) -> Option<&str> {
        Some(self.plan.model_for(id))
    }

    fn may_try(&self, _next: &NextTry) -> bool {
        true
    }

    fn final_failure(&self, failure: Failure) -> Failure {
        self.plan.final_failure(&self.state.services, failure)
    }
}

fn refresh_timeout() -> Failure {
    Failure::new(Kind::Timeout, "the account's tokens were not refreshed in time; try again").code("upstream_timeout")
}

/// The service tier in the body, for the routing header.
fn tier(services: &Services, call: &Call, resolved: &Resolved) -> Option<&'static str> {
    let tier = call.request.tier.as_deref().or(resolved.tier.as_deref()).or(services
        .runtime
        .settings
        .fast
        .then_some("fast"))?;
    (matches!(tier, "priority" | "fast") && lists_priority(resolved)).then_some("priority")
}

/// The affinity record of the request's conversation.
fn conversation_facts(request: &Request, codex: bool) -> ConversationFacts {
    let is_assistant = |item: &Item| match &item.kind {
        ItemKind::Message { role, .. } => *role == Role::Assistant,
        ItemKind::Other { .. } => false,
        _ => true,
    };
    ConversationFacts { codex, history: request.items.iter().any(is_assistant), tools: !request.tools.is_empty() }
}

/// The fingerprint of a turn state.
pub(crate) fn fingerprint(state: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, state.as_bytes())
}
