//! Turns the limits in a reply's headers into the events that a Codex client reads over a WebSocket.
//!
//! One event has the format of the backend's event and contains every limit. The client 0.169.0 reads only the account's windows, plan and
//! credits in such an event, and the id of their limit (`metered_limit_name`). So each limit of a single feature or model gets one more
//! event, with the values that the client reads over HTTP in `x-<limit>-primary-used-percent` and similar headers.

use std::collections::{BTreeMap, BTreeSet};

use http::HeaderMap;
use proto::Json;
use serde::Serialize;
use tokio_tungstenite::tungstenite::Message;

use super::frames::message;

/// The name of the event.
const KIND: &str = "codex.rate_limits";
/// The account's own limit.
const BASE: &str = "codex";
/// The limit of reviews, which has its own field.
const REVIEW: &str = "code_review";
/// The most limits in the events.
const MOST: usize = 16;

/// The event about all limits.
#[derive(Serialize)]
struct AllLimits<'h> {
    r#type: &'static str,
    plan_type: Option<&'h str>,
    rate_limits: Windows,
    /// Limits by their display names.
    additional_rate_limits: BTreeMap<&'h str, Windows>,
    code_review_rate_limits: Option<Windows>,
    credits: Option<CreditsBody<'h>>,
    /// Always `None`: offers are for the holder of one account.
    promo: Option<&'h str>,
}

/// The event about the limit of a single feature or model.
#[derive(Serialize)]
struct OneLimit<'h> {
    r#type: &'static str,
    plan_type: Option<&'h str>,
    metered_limit_name: &'h str,
    limit_name: Option<&'h str>,
    rate_limits: Windows,
    credits: Option<CreditsBody<'h>>,
}

#[derive(Clone, Copy, Serialize)]
struct Windows {
    allowed: bool,
    limit_reached: bool,
    primary: Option<WindowUsage>,
    secondary: Option<WindowUsage>,
}

#[derive(Clone, Copy, Serialize)]
struct WindowUsage {
    used_percent: f64,
    window_minutes: Option<u64>,
    reset_after_seconds: Option<u64>,
    reset_at: Option<u64>,
}

#[derive(Clone, Copy, Serialize)]
struct CreditsBody<'h> {
    has_credits: bool,
    unlimited: bool,
    balance: Option<&'h str>,
}

/// The limit of a single feature or model.
struct MeteredLimit<'h> {
    id: String,
    name: Option<&'h str>,
    windows: Windows,
}

/// The events for a reply's headers; none if the headers hold no limits.
pub(super) fn rate_limit_events(headers: &HeaderMap) -> Vec<Message> {
    let own = Windows::of(headers, BASE);
    let metered: Vec<MeteredLimit> =
        metered_ids(headers).into_iter().filter_map(|id| MeteredLimit::of(headers, id)).collect();
    if own.is_none() && metered.is_empty() {
        return Vec::new();
    }
    let (plan_type, credits) = (header(headers, "x-codex-plan-type"), CreditsBody::from_headers(headers));
    let review = metered.iter().find(|limit| limit.id == REVIEW).map(|limit| limit.windows);
    let more = metered.iter().filter(|limit| limit.id != REVIEW);
    let all = AllLimits {
        r#type: KIND,
        plan_type,
        // A client that got a reply is within its limits.
        rate_limits: Windows { allowed: true, limit_reached: false, ..own.unwrap_or(Windows::NONE) },
        additional_rate_limits: more.map(|limit| (limit.name.unwrap_or(&limit.id), limit.windows)).collect(),
        code_review_rate_limits: review,
        credits,
        promo: None,
    };
    let ones = metered.iter().map(|MeteredLimit { id, name, windows }| OneLimit {
        r#type: KIND,
        plan_type,
        metered_limit_name: id,
        limit_name: *name,
        rate_limits: *windows,
        credits,
    });
    std::iter::once(event(&all)).chain(ones.map(|one| event(&one))).collect()
}

fn event(event: &impl Serialize) -> Message {
    message(Json::of(event).bytes().clone())
}

/// The ids of all limits except the account's own.
fn metered_ids(headers: &HeaderMap) -> BTreeSet<String> {
    let limit = |name: &str| {
        let slot = name.strip_suffix("-used-percent")?;
        let limit = slot.strip_suffix("-primary").or_else(|| slot.strip_suffix("-secondary"))?;
        limit.strip_prefix("x-").map(|limit| limit.replace('-', "_"))
    };
    headers.keys().filter_map(|name| limit(name.as_str())).filter(|id| id != BASE).take(MOST).collect()
}

impl<'h> MeteredLimit<'h> {
    fn of(headers: &'h HeaderMap, id: String) -> Option<Self> {
        let windows = Windows::of(headers, &id)?;
        let name = header(headers, &format!("x-{}-limit-name", id.replace('_', "-")));
        Some(Self { id, name, windows })
    }
}

impl Windows {
    const NONE: Self = Self { allowed: true, limit_reached: false, primary: None, secondary: None };

    /// The windows of a limit; `None` if the limit has none.
    fn of(headers: &HeaderMap, id: &str) -> Option<Self> {
        let limit = id.replace('_', "-");
        let (primary, secondary) =
            (WindowUsage::of(headers, &limit, "primary"), WindowUsage::of(headers, &limit, "secondary"));
        primary.or(secondary)?;
        let limit_reached = [primary, secondary].into_iter().flatten().any(|share| share.used_percent >= 100.0);
        Some(Self { allowed: !limit_reached, limit_reached, primary, secondary })
    }
}

impl WindowUsage {
    fn of(headers: &HeaderMap, limit: &str, slot: &str) -> Option<Self> {
        let field = |name: &str| header(headers, &format!("x-{limit}-{slot}-{name}"));
        let number = |name: &str| field(name).and_then(|value| value.parse().ok());
        Some(Self {
            used_percent: field("used-percent")?.parse().ok().filter(|share: &f64| share.is_finite())?,
            window_minutes: number("window-minutes"),
            reset_after_seconds: number("reset-after-seconds"),
            reset_at: number("reset-at"),
        })
    }
}

impl<'h> CreditsBody<'h> {
    fn from_headers(headers: &'h HeaderMap) -> Option<Self> {
        let flag = |name: &str| header(headers, name).map(|value| value.eq_ignore_ascii_case("true"));
        Some(Self {
            has_credits: flag("x-codex-credits-has-credits")?,
            unlimited: flag("x-codex-credits-unlimited").unwrap_or(false),
            balance: header(headers, "x-codex-credits-balance"),
        })
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests;
