//! One model call, up to the head of its answer. Holds all it needs, so that it can outlive the attempt that made it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use pool::attempt::{Outcome, Retry, Trouble, TroubleKind};
use pool::catalog::{Resolved, To};
use pool::pick::Kin;
use pool::status::Signal;
use pool::transport::Transport;
use pool::{AccountId, Tokens};
use proto::Dialect;
use tokio::time::{Instant, timeout_at};
use upstream::{Answer, Body, CallFacts, Fault, FaultKind, ModelCall, SocketOptions, TurnMetadata, relay};

use crate::dispatch::head;
use crate::registry::accounts::Entry;
use crate::registry::relays::RelayEntry;
use crate::request::attempt::{CallError, Credentials};
use crate::request::call::Client;
use crate::request::conversation::Conversation;
use crate::request::services::Services;

/// How much of a refusal's body is read, and for how long.
const REFUSAL: (usize, Duration) = (64 << 10, Duration::from_secs(10));

/// A model call under way. Dropping it cancels it.
pub(crate) type PendingCall = Pin<Box<dyn Future<Output = Result<Answer, CallError>> + Send>>;

/// What all calls of one request share.
pub(crate) struct RequestPlan {
    /// The client's protocol.
    pub(crate) dialect: Dialect,
    pub(crate) resolved: Resolved,
    pub(crate) conversation: Conversation,
    pub(crate) client: Client,
    /// Service tier as the body has it.
    pub(crate) tier: Option<&'static str>,
    /// Whether calls of accounts take the conversation's socket.
    pub(crate) socket: bool,
    /// Whether the model is to say nothing: the call only lets the other end of the socket read the request.
    pub(crate) mute: bool,
    /// Whether it may draw, and so wants a plan that can.
    pub(crate) draws: bool,
}

/// One call, ready to go.
pub(crate) struct UpstreamCall {
    pub(crate) services: Arc<Services>,
    pub(crate) plan: Arc<RequestPlan>,
    pub(crate) entry: Arc<Entry>,
    pub(crate) access: Credentials,
    pub(crate) body: Bytes,
    /// Whether the client's turn state comes from this account.
    pub(crate) turn: bool,
    /// What the profile says of the turn.
    pub(crate) metadata: Option<Arc<TurnMetadata>>,
}

impl RequestPlan {
    /// Whether accounts or relays serve the request.
    pub(crate) fn kin(&self) -> Kin {
        match self.resolved.to {
            To::Accounts => Kin::Accounts,
            To::Relays(_) => Kin::Relays,
        }
    }

    /// Tells conversations apart.
    pub(crate) fn by(&self) -> u64 {
        self.conversation.id.as_u64_pair().1
    }

    /// The name by which this account or relay knows the model.
    pub(crate) fn model_for(&self, id: &AccountId) -> &str {
        let stop = match &self.resolved.to {
            To::Relays(stops) => stops.iter().find(|stop| stop.relay == *id),
            To::Accounts => None,
        };
        stop.map_or(&self.resolved.model.slug, |stop| &stop.model)
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
    /// Sends it; resolves at the head of a stream.
    pub(crate) fn start(self) -> PendingCall {
        Box::pin(async move {
            match &self.access {
                Credentials::Login(tokens) => self.login(tokens).await,
                Credentials::Key(line) => self.keyed(line).await,
            }
        })
    }

    async fn login(&self, tokens: &Tokens) -> Result<Answer, CallError> {
        let answer = self.send(tokens).await?;
        let id = &self.entry.account.id;
        if answer.status != 200 {
            return Err(account_refusal(&self.services, id, answer).await);
        }
        head::served(&self.services.dispatch, id, &answer.headers);
        if is_event_stream(&answer.headers) { Ok(answer) } else { Err(no_stream(&answer)) }
    }

    async fn keyed(&self, line: &RelayEntry) -> Result<Answer, CallError> {
        let answer = self.services.runtime.upstream.relays().call(self.order(line)).await?;
        if answer.status != 200 {
            return Err(relay_refusal(&self.services, answer).await);
        }
        self.services.dispatch.signal_relay(line, &Signal::Served);
        if is_reply(&answer.headers) { Ok(answer) } else { Err(no_stream(&answer)) }
    }

    fn order<'a>(&'a self, line: &'a RelayEntry) -> relay::Call<'a> {
        let same = self.plan.dialect.wire() == Some(line.relay.wire);
        relay::Call {
            relay: &line.relay,
            key: &line.key,
            model: self.plan.model_for(&line.relay.id),
            body: self.body.clone(),
            passed: if same { &self.plan.client.relayed } else { &[] },
        }
    }

    async fn send(&self, tokens: &Tokens) -> Result<Answer, Fault> {
        let RequestPlan { resolved, conversation, client, tier, .. } = &*self.plan;
        let routing = self.services.dispatch.routes.of(&self.entry.account.id);
        let call = CallFacts {
            model: &resolved.model.slug,
            tier: *tier,
            lite: resolved.model.lite,
            session: &conversation.session,
            thread: &conversation.thread,
            turn_state: client.turn_state.as_deref().filter(|_| self.turn),
            routing: routing.as_deref(),
            passed: &client.headers,
            metadata: self.metadata.as_deref(),
        };
        let (account, access) = (&self.entry.account, &tokens.access);
        let talk = self.plan.socket.then(|| SocketOptions {
            conversation: conversation.line(),
            generate: !self.plan.mute,
            required: self.services.runtime.settings.transport == Transport::WebSocket,
            now: self.services.runtime.now(),
        });
        let mut outing = self.services.dispatch.egress_attempts(&account.id);
        loop {
            let sent = outing
                .next()?
                .responses(ModelCall { account, access, body: self.body.clone(), facts: call, socket: talk })
                .await;
            match sent {
                Err(fault) if outing.may_try_another(fault.sent) => {
                    tracing::debug!(why = %fault, "another way is tried");
                }
                sent => return sent,
            }
        }
    }
}

/// A relay's status other than 200, with what its body says.
pub(crate) async fn relay_refusal(services: &Services, answer: Answer) -> CallError {
    if (200..300).contains(&answer.status) {
        return no_stream(&answer);
    }
    let retry = Retry::from_headers(head::pairs(&answer.headers), services.runtime.now());
    let code = answer.status;
    let body = read(answer.body).await;
    Outcome::Refused { code, failure: proto::dialect::read_error(code, &body).into(), retry }.into()
}

/// A status other than 200, with what its body says.
pub(crate) async fn account_refusal(services: &Services, id: &AccountId, answer: Answer) -> CallError {
    head::quota(&services.dispatch, id, &answer.headers);
    if (200..300).contains(&answer.status) {
        return no_stream(&answer);
    }
    let retry = Retry::from_headers(head::pairs(&answer.headers), services.runtime.now());
    let body = read(answer.body).await;
    Outcome::Status { code: answer.status, body, retry }.into()
}

/// The beginning of a refusal's body; what cannot be read, or not in time, is left out.
async fn read(mut body: Body) -> Bytes {
    let until = Instant::now() + REFUSAL.1;
    let mut all = BytesMut::new();
    while let Ok(Some(Ok(chunk))) = timeout_at(until, body.chunk()).await {
        let room = REFUSAL.0.saturating_sub(all.len());
        all.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if all.len() >= REFUSAL.0 {
            break;
        }
    }
    all.freeze()
}

/// An answer of another content type is not from the backend, or not an answer to this.
fn is_event_stream(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    value.to_str().is_ok_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

/// Some relays answer with one JSON body even when a stream was asked for; their readers take it for one.
fn is_reply(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return true };
    let media = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(media.as_str(), "text/event-stream" | "application/json" | "application/x-ndjson" | "text/plain" | "")
}

fn no_stream(answer: &Answer) -> CallError {
    let kind = head::text(&answer.headers, CONTENT_TYPE.as_str()).unwrap_or("no content type");
    let kind: String = kind.chars().filter(char::is_ascii_graphic).take(64).collect();
    let message = format!("the upstream answered {} with {kind} instead of an event stream", answer.status);
    let cause = Trouble { kind: TroubleKind::Protocol, message };
    CallError { outcome: Outcome::NoStatus { cause }, code: Some("upstream_protocol") }
}
