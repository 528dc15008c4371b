//! The model call: over the WebSocket of its conversation, or as `POST {base}/codex/responses`. The
//! answer is returned as soon as its headers have arrived; over a WebSocket, at its first event.

mod compress;
pub(crate) mod headers;
pub(crate) mod socket;
pub(crate) mod turn;

use bytes::Bytes;
use http::Method;
use pool::routing::Routing;
use pool::{Account, Secret};
use url::Url;

use self::socket::SocketError;
pub use self::socket::SocketOptions;
use self::turn::TurnMetadata;
use crate::client::OutboundRequest;
use crate::fault::{Fault, FaultKind, Sent};
use crate::profile::HeaderField;
use crate::{Answer, Profile, Upstream};

/// Request headers of a Codex client that are passed on; any other is not sent.
pub const PASSED_HEADERS: [&str; 5] = [
    "x-codex-beta-features", "x-codex-window-id", "x-codex-turn-metadata", "x-codex-parent-thread-id",
    "x-openai-subagent",
];

/// One model call.
pub struct ModelCall<'a> {
    /// The account.
    pub account: &'a Account,
    /// The account's access token.
    pub access: &'a Secret,
    /// The JSON body, not yet compressed.
    pub body: Bytes,
    /// The values of the call's headers.
    pub facts: CallFacts<'a>,
    /// Options for a WebSocket; `None` for a POST.
    pub socket: Option<SocketOptions>,
}

/// The values of a call's headers.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallFacts<'a> {
    /// Model slug.
    pub model: &'a str,
    /// Service tier as in the body (`priority`).
    pub tier: Option<&'a str>,
    /// Whether the body has the Responses Lite shape.
    pub lite: bool,
    /// Root session id; equal to `thread` except for subagents.
    pub session: &'a str,
    /// Thread id; also the `x-client-request-id`.
    pub thread: &'a str,
    /// Turn state of an earlier answer of the same turn and account.
    pub turn_state: Option<&'a str>,
    /// The account's routing from `accounts/check`, once that was called.
    pub routing: Option<&'a Routing>,
    /// A Codex client's own headers; only those in [`PASSED_HEADERS`] are sent.
    pub client_headers: &'a [(&'static str, String)],
    /// The profile's turn metadata, sent if no Codex client sent its own; the body's `client_metadata` repeats it.
    pub metadata: Option<&'a TurnMetadata>,
}

impl Upstream {
    /// Makes the call. The future resolves at the answer's headers; over a socket, at the first event of the reply. Dropping the future,
    /// or the answer's body, ends the exchange with the backend.
    pub async fn responses(&self, call: ModelCall<'_>) -> Result<Answer, Fault> {
        let tried = |options: &SocketOptions| options.required || self.may_use_socket(&call.account.id, options.now);
        let options = match call.socket {
            Some(options) if tried(&options) => options,
            // A prewarm has no effect over a POST.
            Some(SocketOptions { generate: false, .. }) => {
                return Err(Fault::new(Sent::No, FaultKind::Upgrade, "sockets are left alone for now"));
            }
            _ => return self.post(call).await,
        };
        // The future that opens a connection is large, so it is boxed and a POST does not carry it.
        match Box::pin(self.call_over_socket(&call, options)).await {
            Ok(answer) => Ok(answer),
            Err(SocketError::Fault(fault)) => Err(fault),
            Err(SocketError::Unavailable(why)) if options.required || !options.generate => {
                Err(Fault::new(Sent::No, FaultKind::Upgrade, why))
            }
            Err(SocketError::Unavailable(why)) => {
                tracing::info!(account = %call.account.id, why, "a POST stands in for a socket");
                self.post(call).await
            }
        }
    }

    async fn post(&self, call: ModelCall<'_>) -> Result<Answer, Fault> {
        let profile = &*self.profile();
        let order = profile.orders.responses;
        let url = self.model_url(&call);
        let cookie = self.jars().header(&call.account.id, &url);
        let compressed = call.body.len() >= profile.compress_from;
        let headers = headers::write(order, |field| match field {
            HeaderField::Accept => Some("text/event-stream".to_owned()),
            HeaderField::Encoding => compressed.then(|| "zstd".to_owned()),
            HeaderField::Cookie => cookie.as_ref().map(|cookie| cookie.expose().to_owned()),
            field => header_value(field, profile, &call),
        })?;
        let body = if compressed { compress::zstd(call.body).await } else { call.body };
        let outbound = OutboundRequest { method: Method::POST, url: url.clone(), headers, body };
        let mut answer = self.send(outbound).await?;
        self.jars().absorb(&call.account.id, &url, &mut answer.headers);
        if answer.status == 304 {
            let message = "the upstream answered 304 to a POST".to_owned();
            return Err(Fault { sent: Sent::Yes, kind: FaultKind::Redirect, message });
        }
        answer.decoded()
    }

    /// The URL of the account's model calls.
    fn model_url(&self, call: &ModelCall<'_>) -> Url {
        let usual = &self.endpoints().responses;
        call.facts.routing.map_or_else(|| usual.clone(), |routing| routing.rewrite_url(usual))
    }
}

fn header_value(field: HeaderField, profile: &Profile, call: &ModelCall<'_>) -> Option<String> {
    let facts = &call.facts;
    let own = |text: &str| Some(text.to_owned());
    match field {
        HeaderField::Version => own(&profile.version),
        HeaderField::Routing => facts.routing.and_then(|routing| routing.region.clone()),
        HeaderField::Beta => client_header(facts, field).or_else(|| profile.beta.and_then(own)),
        HeaderField::TurnState => facts.turn_state.and_then(own),
        HeaderField::Window => client_header(facts, field).or_else(|| Some(facts.metadata?.window.clone())),
        HeaderField::TurnMetadata => client_header(facts, field).or_else(|| Some(facts.metadata?.turn.clone())),
        HeaderField::ParentThread | HeaderField::Subagent => client_header(facts, field),
        HeaderField::Lite => facts.lite.then(|| "true".to_owned()),
        HeaderField::RoutingHint => Some(routing_hint(facts)),
        HeaderField::RequestId | HeaderField::Thread => own(facts.thread),
        HeaderField::Session => own(facts.session),
        HeaderField::OpenAiBeta => own("responses_websockets=2026-02-06"),
        HeaderField::ContentType => own("application/json"),
        field => identity(field, profile, call.account, call.access),
    }
}

/// The header fields that identify the caller, the same in every call.
pub(crate) fn identity(field: HeaderField, profile: &Profile, account: &Account, access: &Secret) -> Option<String> {
    match field {
        HeaderField::Authorization => Some(format!("Bearer {}", access.expose())),
        HeaderField::Account => Some(account.upstream_id.clone()),
        HeaderField::Fedramp => account.fedramp.then(|| "true".to_owned()),
        HeaderField::Originator => Some(profile.originator.clone()),
        HeaderField::UserAgent => Some(profile.user_agent.clone()),
        HeaderField::Version => Some(profile.version.clone()),
        _ => None,
    }
}

fn client_header(facts: &CallFacts<'_>, field: HeaderField) -> Option<String> {
    let name = field.name();
    let pair = facts.client_headers.iter().find(|(key, _)| name == *key && PASSED_HEADERS.contains(key));
    pair.map(|(_, value)| value.clone())
}

fn routing_hint(facts: &CallFacts<'_>) -> String {
    match facts.tier {
        Some(tier) => format!("model={};tier={tier}", facts.model),
        None => format!("model={}", facts.model),
    }
}
