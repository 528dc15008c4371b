//! What HTTP says in headers, as a Codex client says it in `client_metadata` and hears it in events.

use engine::Client;
use http::HeaderMap;
use proto::dialect::responses;
use proto::{Json, Request};
use serde::Serialize;
use tokio_tungstenite::tungstenite::Message;

use super::frames::message;
use crate::client::{LONGEST, NAME};

/// The headers of a turn.
const TURN_STATE: &str = "x-codex-turn-state";

/// Lays over the facts of the connection what a message says of its turn.
pub(super) fn of_turn(client: &mut Client, request: &Request) {
    // The state of a turn belongs to it, and not to the connection: who opens a new one has none (client 0.169.0, measured).
    client.turn_state = None;
    let Some((_, given)) = request.rest.iter().find(|(name, _)| name == "client_metadata") else { return };
    for (key, value) in given.fields() {
        let (key, Some(value)) = (key.plain(), text(&value)) else { continue };
        match &*key {
            "session_id" if value.len() <= NAME => client.session = Some(value),
            "thread_id" if value.len() <= NAME => client.thread = Some(value),
            TURN_STATE if client.codex => client.turn_state = Some(value),
            name => header(client, name, value),
        }
    }
}

/// A header that is passed on.
fn header(client: &mut Client, name: &str, value: String) {
    let Some(name) = engine::PASSED.iter().find(|passed| **passed == name).filter(|_| client.codex) else { return };
    client.headers.retain(|(given, _)| given != name);
    client.headers.push((name, value));
}

/// A value that a header could hold.
fn text(value: &Json) -> Option<String> {
    let text = value.as_text()?.plain().into_owned();
    let visible = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    (!text.is_empty() && text.len() <= LONGEST && visible).then_some(text)
}

/// What a Codex client hears before its reply: the limits, the headers, and the state of the turn, which it sends back from that
/// one event alone (client 0.169.0, measured).
pub(super) fn of_reply(headers: &HeaderMap) -> Vec<Message> {
    let pairs = || headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let limits = Told::of(headers).map(|limits| message(Json::of(&limits).bytes().clone()));
    let told = message(responses::metadata("codex.response.metadata", pairs()));
    let state = headers.contains_key(TURN_STATE).then(|| {
        let own = pairs().filter(|(name, _)| matches!(*name, TURN_STATE | "openai-model"));
        message(responses::metadata("response.metadata", own))
    });
    limits.into_iter().chain([told]).chain(state).collect()
}

/// `codex.rate_limits`.
#[derive(Serialize)]
struct Told<'h> {
    r#type: &'static str,
    plan_type: Option<&'h str>,
    rate_limits: Windows,
    credits: Option<Purse<'h>>,
}

#[derive(Serialize)]
struct Windows {
    allowed: bool,
    limit_reached: bool,
    primary: Option<Share>,
    secondary: Option<Share>,
}

#[derive(Serialize)]
struct Share {
    used_percent: f64,
    window_minutes: Option<u64>,
    reset_after_seconds: Option<u64>,
    reset_at: Option<u64>,
}

#[derive(Serialize)]
struct Purse<'h> {
    has_credits: bool,
    unlimited: bool,
    balance: Option<&'h str>,
}

impl<'h> Told<'h> {
    /// The limits in an answer's headers; `None` where there are none. Whoever was answered is within them.
    fn of(headers: &'h HeaderMap) -> Option<Self> {
        let (primary, secondary) = (Share::of(headers, "primary"), Share::of(headers, "secondary"));
        primary.as_ref().or(secondary.as_ref())?;
        let said = |name: &str| one(headers, name).map(|value| value.eq_ignore_ascii_case("true"));
        let credits = said("x-codex-credits-has-credits").map(|has_credits| Purse {
            has_credits,
            unlimited: said("x-codex-credits-unlimited").unwrap_or(false),
            balance: one(headers, "x-codex-credits-balance"),
        });
        let rate_limits = Windows { allowed: true, limit_reached: false, primary, secondary };
        let plan_type = one(headers, "x-codex-plan-type");
        Some(Self { r#type: "codex.rate_limits", plan_type, rate_limits, credits })
    }
}

impl Share {
    fn of(headers: &HeaderMap, slot: &str) -> Option<Self> {
        let field = |name: &str| one(headers, &format!("x-codex-{slot}-{name}"));
        let number = |name: &str| field(name).and_then(|value| value.parse().ok());
        Some(Self {
            used_percent: field("used-percent")?.parse().ok().filter(|share: &f64| share.is_finite())?,
            window_minutes: number("window-minutes"),
            reset_after_seconds: number("reset-after-seconds"),
            reset_at: number("reset-at"),
        })
    }
}

fn one<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
