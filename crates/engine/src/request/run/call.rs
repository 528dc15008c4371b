//! One model call, up to the head of its answer. The call owns its data, so that it can outlive its attempt.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use pool::attempt::{Outcome, Trouble};
use pool::catalog::{Resolved, ServedBy};
use pool::pick::CandidateKind;
use pool::status::Signal;
use pool::transport::TransportMode;
use pool::{AccountId, Tokens};
use proto::Dialect;
use upstream::{Answer, CallFacts, Fault, FaultKind, ModelCall, SocketOptions, TurnMetadata, Upstream, relay};

use crate::dispatch::head;
use crate::registry::accounts::AccountEntry;
use crate::registry::relays::RelayEntry;
use crate::request::attempt::refusal::{account_refusal, is_event_stream, is_reply, no_stream, relay_refusal};
use crate::request::attempt::{CallError, Credentials};
use crate::request::call::Client;
use crate::request::conversation::Conversation;
use crate::request::services::Services;

/// A running model call. Dropping the future cancels the call.
pub(crate) type PendingCall = Pin<Box<dyn Future<Output = Result<Answer, CallError>> + Send>>;

/// The data that all calls of one request share.
#[derive(Clone)]
pub(crate) struct RequestPlan {
    /// The client's protocol.
    pub(crate) dialect: Dialect,
    pub(crate) resolved: Resolved,
    pub(crate) conversation: Conversation,
    pub(crate) client: Client,
    /// The service tier in the body.
    pub(crate) tier: Option<&'static str>,
    /// Whether calls to accounts use the conversation's socket.
    pub(crate) socket: bool,
    /// Whether the model must not answer: the call only sends the request ahead over the socket.
    pub(crate) prewarm: bool,
    /// Whether the request may generate images, and so needs a plan that can.
    pub(crate) may_draw: bool,
}

/// One call, ready to send.
pub(crate) struct UpstreamCall {
    pub(crate) services: Arc<Services>,
    pub(crate) plan: Arc<RequestPlan>,
    pub(crate) entry: Arc<AccountEntry>,
    pub(crate) access: Credentials,
    pub(crate) body: Bytes,
    /// Whether the client's turn state comes from this account.
    pub(crate) sends_turn_state: bool,
    /// The turn metadata of the client profile.
    pub(crate) metadata: Option<Arc<TurnMetadata>>,
}

impl RequestPlan {
    /// Whether accounts or relays serve the request.
    pub(crate) fn candidate_kind(&self) -> CandidateKind {
        match self.resolved.to {
            ServedBy::Accounts => CandidateKind::Accounts,
            ServedBy::Relays(_) => CandidateKind::Relays,
        }
    }

    /// A hash of the conversation.
    pub(crate) fn conversation_hash(&self) -> u64 {
        self.conversation.id.as_u64_pair().1
    }

    /// The name of the model at this account or relay.
    pub(crate) fn model_for(&self, id: &AccountId) -> &str {
        let target = match &self.resolved.to {
            ServedBy::Relays(targets) => targets.iter().find(|target| target.relay == *id),
            ServedBy::Accounts => None,
        };
        target.map_or(&self.resolved.model.slug, |target| &target.model)
    }
}

impl From<Fault> for CallError {
    fn from(fault: Fault) -> Self {
        let (sent, kind, cause) = (fault.sent, fault.kind, Trouble::from(fault));
        let stale = kind == FaultKind::Stale;
        let outcome = if stale { Outcome::Stale { cause } } else { Outcome::trouble(sent, cause) };
        Self { outcome, code: Some(kind.code()) }
    }
}

impl UpstreamCall {
    /// Sends the call; resolves at the head of a stream.
    pub(crate) fn start(self) -> PendingCall {
        Box::pin(async move {
            match &self.access {
                Credentials::Login(tokens) => self.call_account(tokens).await,
                Credentials::Key(relay) => self.call_relay(relay).await,
            }
        })
    }

    async fn call_account(&self, tokens: &Tokens) -> Result<Answer, CallError> {
        let answer = self.send(tokens).await?;
        let id = &self.entry.account.id;
        if answer.status != 200 {
            return Err(account_refusal(&self.services, id, answer).await);
        }
        head::served(&self.services.dispatch, id, &answer.headers);
        if is_event_stream(&answer.headers) { Ok(answer) } else { Err(no_stream(&answer)) }
    }

    async fn call_relay(&self, relay: &RelayEntry) -> Result<Answer, CallError> {
        let answer = self.services.runtime.upstream.relays().call(self.relay_call(relay)).await?;
        if answer.status != 200 {
            return Err(relay_refusal(&self.services, answer).await);
        }
        self.services.dispatch.signal_relay(relay, &Signal::Served);
        if is_reply(&answer.headers) { Ok(answer) } else { Err(no_stream(&answer)) }
    }

    fn relay_call<'a>(&'a self, relay: &'a RelayEntry) -> relay::RelayCall<'a> {
        let same = self.plan.dialect.wire() == Some(relay.relay.wire);
        relay::RelayCall {
            relay: &relay.relay,
            key: &relay.key,
            model: self.plan.model_for(&relay.relay.id),
            body: self.body.clone(),
            client_headers: if same { &self.plan.client.relayed } else { &[] },
        }
    }

    async fn send(&self, tokens: &Tokens) -> Result<Answer, Fault> {
        let RequestPlan { resolved, conversation, client, tier, .. } = &*self.plan;
        let routing = self.services.dispatch.routes.of(&self.entry.account.id);
        let facts = CallFacts {
            model: &resolved.model.slug,
            tier: *tier,
            lite: resolved.model.lite,
            session: &conversation.session,
            thread: &conversation.thread,
            turn_state: client.turn_state.as_deref().filter(|_| self.sends_turn_state),
            routing: routing.as_deref(),
            client_headers: &client.headers,
            metadata: self.metadata.as_deref(),
        };
        let (account, access) = (&self.entry.account, &tokens.access);
        let socket = self.plan.socket.then(|| SocketOptions {
            conversation: conversation.socket_id(),
            generate: !self.plan.prewarm,
            required: self.services.runtime.settings.transport == TransportMode::WebSocket,
            now: self.services.runtime.now(),
        });
        let call = |upstream: Upstream| {
            let call = ModelCall { account, access, body: self.body.clone(), facts, socket };
            async move { upstream.responses(call).await }
        };
        self.services.dispatch.egress_attempts(&account.id).run(call).await
    }
}
