//! The model call: over the socket of its conversation, or as `POST {base}/codex/responses` with the request compressed; the
//! answer is handed on at its headers, or at what stands for them.

mod compress;
pub(crate) mod headers;
pub(crate) mod socket;
pub(crate) mod turn;

use bytes::Bytes;
use http::Method;
use pool::routing::Routing;
use pool::{Account, Secret};
use url::Url;

use self::socket::Detour;
pub use self::socket::Talk;
use self::turn::TurnMetadata;
use crate::client::Ask;
use crate::fault::{Fault, FaultKind, Sent};
use crate::profile::Slot;
use crate::{Answer, Profile, Upstream};

/// Request headers of a Codex client that are passed on; any other is not sent.
pub const PASSED: [&str; 5] = [
    "x-codex-beta-features",
    "x-codex-window-id",
    "x-codex-turn-metadata",
    "x-codex-parent-thread-id",
    "x-openai-subagent",
];

/// One model call.
pub struct Leg<'a> {
    /// Whose call.
    pub account: &'a Account,
    /// Its bearer.
    pub access: &'a Secret,
    /// The JSON body, not yet compressed.
    pub body: Bytes,
    /// What the headers say of it.
    pub call: CallFacts<'a>,
    /// For a call over a socket; `None` for a POST.
    pub talk: Option<Talk>,
}

/// What the headers say of a call.
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
    /// What `accounts/check` said of the account, once it did.
    pub routing: Option<&'a Routing>,
    /// A Codex client's own headers; only those in [`PASSED`] are sent.
    pub passed: &'a [(&'static str, String)],
    /// What the profile says of the turn instead of a Codex client; the body's `client_metadata` has it too.
    pub metadata: Option<&'a TurnMetadata>,
}

impl Upstream {
    /// Makes the call; resolves at the answer's headers, over a socket at the first event of the reply. Dropping the future, or the
    /// answer's body, ends the exchange with the backend.
    pub async fn responses(&self, leg: Leg<'_>) -> Result<Answer, Fault> {
        let tried = |talk: &Talk| talk.only || self.talks(&leg.account.id, talk.now);
        let talk = match leg.talk {
            Some(talk) if tried(&talk) => talk,
            // Only a socket remembers what it was told.
            Some(Talk { generate: false, .. }) => {
                return Err(Fault::new(Sent::No, FaultKind::Upgrade, "sockets are left alone for now"));
            }
            _ => return self.post(leg).await,
        };
        // Opening a connection by hand takes a large future, which a POST must not carry along.
        match Box::pin(self.talk(&leg, talk)).await {
            Ok(answer) => Ok(answer),
            Err(Detour::Fault(fault)) => Err(fault),
            Err(Detour::Post(why)) if talk.only || !talk.generate => Err(Fault::new(Sent::No, FaultKind::Upgrade, why)),
            Err(Detour::Post(why)) => {
                tracing::info!(account = %leg.account.id, why, "a POST stands in for a socket");
                self.post(leg).await
            }
        }
    }

    async fn post(&self, leg: Leg<'_>) -> Result<Answer, Fault> {
        let profile = &*self.profile();
        let order = profile.orders.responses;
        let url = self.place(&leg);
        let cookie = self.jars().header(&leg.account.id, &url);
        let headers = headers::write(order, |slot| match slot {
            Slot::Accept => Some("text/event-stream".to_owned()),
            Slot::Cookie => cookie.as_ref().map(|cookie| cookie.expose().to_owned()),
            slot => value(slot, profile, &leg),
        })?;
        let body = compress::zstd(leg.body).await;
        let ask = Ask { method: Method::POST, url: url.clone(), headers, body };
        let mut answer = self.send(ask).await?;
        self.jars().absorb(&leg.account.id, &url, &mut answer.headers);
        if answer.status == 304 {
            let message = "the upstream answered 304 to a POST".to_owned();
            return Err(Fault { sent: Sent::Yes, kind: FaultKind::Redirect, message });
        }
        answer.decoded()
    }

    /// Where the account's model calls go.
    fn place(&self, leg: &Leg<'_>) -> Url {
        let usual = &self.places().responses;
        leg.call.routing.map_or_else(|| usual.clone(), |routing| routing.place(usual))
    }
}

fn value(slot: Slot, profile: &Profile, leg: &Leg<'_>) -> Option<String> {
    let call = &leg.call;
    let own = |text: &str| Some(text.to_owned());
    match slot {
        Slot::Version => own(&profile.version),
        Slot::Routing => call.routing.and_then(|routing| routing.region.clone()),
        Slot::Beta => passed(call, slot).or_else(|| profile.beta.and_then(own)),
        Slot::TurnState => call.turn_state.and_then(own),
        Slot::Window => passed(call, slot).or_else(|| Some(call.metadata?.window.clone())),
        Slot::TurnMetadata => passed(call, slot).or_else(|| Some(call.metadata?.turn.clone())),
        Slot::ParentThread | Slot::Subagent => passed(call, slot),
        Slot::Lite => call.lite.then(|| "true".to_owned()),
        Slot::Hint => Some(hint(call)),
        Slot::RequestId | Slot::Thread => own(call.thread),
        Slot::Session => own(call.session),
        Slot::Encoding => own("zstd"),
        Slot::Sockets => own("responses_websockets=2026-02-06"),
        Slot::ContentType => own("application/json"),
        slot => identity(slot, profile, leg.account, leg.access),
    }
}

/// The slots that say who calls, the same in every call.
pub(crate) fn identity(slot: Slot, profile: &Profile, account: &Account, access: &Secret) -> Option<String> {
    match slot {
        Slot::Authorization => Some(format!("Bearer {}", access.expose())),
        Slot::Account => Some(account.upstream_id.clone()),
        Slot::Fedramp => account.fedramp.then(|| "true".to_owned()),
        Slot::Originator => Some(profile.originator.clone()),
        Slot::UserAgent => Some(profile.user_agent.clone()),
        Slot::Version => Some(profile.version.clone()),
        _ => None,
    }
}

fn passed(call: &CallFacts<'_>, slot: Slot) -> Option<String> {
    let name = slot.name();
    let found = call.passed.iter().find(|(given, _)| name == *given && PASSED.contains(given));
    found.map(|(_, value)| value.clone())
}

fn hint(call: &CallFacts<'_>) -> String {
    match call.tier {
        Some(tier) => format!("model={};tier={tier}", call.model),
        None => format!("model={}", call.model),
    }
}
