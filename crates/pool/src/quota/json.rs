//! Quota in JSON: the `codex.rate_limits` event and the body of `GET /wham/usage`. The two name the same things differently.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Credits, NAMED, Named, Parts, Quota, TEXT, Window};
use crate::Millis;
use crate::loose::{self, Number};
use crate::shown::short;

#[derive(Deserialize)]
struct Event {
    #[serde(default, deserialize_with = "loose::field")]
    plan_type: Option<String>,
    #[serde(default, deserialize_with = "loose::field")]
    rate_limits: Option<Limit>,
    #[serde(default, deserialize_with = "loose::field")]
    code_review_rate_limits: Option<Limit>,
    #[serde(default, deserialize_with = "loose::field")]
    additional_rate_limits: Option<BTreeMap<String, Limit>>,
    #[serde(default, deserialize_with = "loose::field")]
    credits: Option<Balance>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default, deserialize_with = "loose::field")]
    plan_type: Option<String>,
    #[serde(default, deserialize_with = "loose::field")]
    rate_limit: Option<Limit>,
    #[serde(default, deserialize_with = "loose::field")]
    code_review_rate_limit: Option<Limit>,
    #[serde(default, deserialize_with = "loose::field")]
    additional_rate_limits: Option<Vec<Additional>>,
    #[serde(default, deserialize_with = "loose::field")]
    credits: Option<Balance>,
    #[serde(default, deserialize_with = "loose::field")]
    rate_limit_reached_type: Option<Reached>,
}

#[derive(Deserialize)]
struct Limit {
    #[serde(default, deserialize_with = "loose::field")]
    allowed: Option<bool>,
    #[serde(default, alias = "primary_window", deserialize_with = "loose::field")]
    primary: Option<Slot>,
    #[serde(default, alias = "secondary_window", deserialize_with = "loose::field")]
    secondary: Option<Slot>,
}

#[derive(Deserialize)]
struct Slot {
    #[serde(default, deserialize_with = "loose::field")]
    used_percent: Option<Number>,
    #[serde(default, deserialize_with = "loose::field")]
    window_minutes: Option<Number>,
    #[serde(default, deserialize_with = "loose::field")]
    limit_window_seconds: Option<Number>,
    #[serde(default, deserialize_with = "loose::field")]
    reset_after_seconds: Option<Number>,
    #[serde(default, deserialize_with = "loose::field")]
    reset_at: Option<Number>,
}

#[derive(Deserialize)]
struct Additional {
    #[serde(default, deserialize_with = "loose::field")]
    limit_name: Option<String>,
    #[serde(default, deserialize_with = "loose::field")]
    metered_feature: Option<String>,
    #[serde(default, deserialize_with = "loose::field")]
    rate_limit: Option<Limit>,
}

#[derive(Deserialize)]
struct Balance {
    #[serde(default, deserialize_with = "loose::field")]
    has_credits: Option<bool>,
    #[serde(default, deserialize_with = "loose::field")]
    unlimited: Option<bool>,
    /// Decimal text, or a number.
    #[serde(default, rename = "balance")]
    amount: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Reached {
    #[serde(default, rename = "type", deserialize_with = "loose::field")]
    kind: Option<String>,
}

pub(super) fn event(event: &[u8], now: Millis) -> Option<Quota> {
    let event: Event = serde_json::from_slice(event).ok()?;
    let more = event.additional_rate_limits.unwrap_or_default().into_iter();
    let more = more.map(|(name, limit)| limit.named(&name, None, now));
    let quota = Quota {
        named: review(event.code_review_rate_limits, now).into_iter().chain(more).take(NAMED).collect(),
        ..base(event.rate_limits.as_ref(), event.credits, event.plan_type, now)
    };
    said(quota)
}

pub(super) fn usage(body: &[u8], now: Millis) -> Option<Quota> {
    let usage: Usage = serde_json::from_slice(body).ok()?;
    let more = usage.additional_rate_limits.unwrap_or_default().into_iter();
    let more = more.filter_map(|more| {
        let id = more.metered_feature.or_else(|| more.limit_name.clone())?;
        Some(more.rate_limit?.named(&id, more.limit_name, now))
    });
    let quota = Quota {
        named: review(usage.code_review_rate_limit, now).into_iter().chain(more).take(NAMED).collect(),
        reached: usage.rate_limit_reached_type.and_then(|reached| reached.kind).map(|kind| short(&kind, TEXT)),
        ..base(usage.rate_limit.as_ref(), usage.credits, usage.plan_type, now)
    };
    said(quota)
}

fn base(limit: Option<&Limit>, credits: Option<Balance>, plan: Option<String>, now: Millis) -> Quota {
    Quota {
        allowed: limit.and_then(|limit| limit.allowed),
        primary: limit.and_then(|limit| limit.primary.as_ref()?.window(now)),
        secondary: limit.and_then(|limit| limit.secondary.as_ref()?.window(now)),
        credits: credits.map(Balance::credits),
        plan: plan.map(|plan| short(&plan, TEXT)),
        updated: now,
        ..Quota::default()
    }
}

fn review(limit: Option<Limit>, now: Millis) -> Option<Named> {
    limit.map(|limit| limit.named("code_review", None, now))
}

/// `None` for figures that say nothing.
fn said(quota: Quota) -> Option<Quota> {
    (quota != Quota { updated: quota.updated, ..Quota::default() }).then_some(quota)
}

impl Limit {
    fn named(self, id: &str, name: Option<String>, now: Millis) -> Named {
        let window = |slot: Option<Slot>| slot.and_then(|slot| slot.window(now));
        let name = name.map(|name| short(&name, TEXT));
        Named { id: short(id, TEXT), name, primary: window(self.primary), secondary: window(self.secondary) }
    }
}

impl Slot {
    fn window(&self, now: Millis) -> Option<Window> {
        let whole = |number: Option<Number>| number.map(Number::whole);
        let parts = Parts {
            used: self.used_percent.map(|number| number.0),
            minutes: whole(self.window_minutes).or(whole(self.limit_window_seconds).map(|seconds| seconds / 60)),
            after: whole(self.reset_after_seconds),
            at: whole(self.reset_at),
        };
        parts.window(now)
    }
}

impl Balance {
    fn credits(self) -> Credits {
        let text = |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned());
        Credits {
            has: self.has_credits.unwrap_or(false),
            unlimited: self.unlimited.unwrap_or(false),
            balance: self.amount.map(|raw| short(&text(&raw), TEXT)),
        }
    }
}
