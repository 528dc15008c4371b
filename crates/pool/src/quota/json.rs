//! Quota in JSON: the `codex.rate_limits` event and the body of `GET /wham/usage`, which use different names for the same fields.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Credits, NAMED, Named, Parts, Quota, Spend, TEXT, Window};
use crate::Millis;
use crate::lenient::{self, Number};
use crate::sanitize::short;

#[derive(Deserialize)]
struct Event {
    #[serde(default, deserialize_with = "lenient::field")]
    plan_type: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    rate_limits: Option<Limit>,
    #[serde(default, deserialize_with = "lenient::field")]
    code_review_rate_limits: Option<Limit>,
    #[serde(default, deserialize_with = "lenient::field")]
    additional_rate_limits: Option<BTreeMap<String, Limit>>,
    #[serde(default, deserialize_with = "lenient::field")]
    credits: Option<Balance>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default, deserialize_with = "lenient::field")]
    plan_type: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    rate_limit: Option<Limit>,
    #[serde(default, deserialize_with = "lenient::field")]
    code_review_rate_limit: Option<Limit>,
    #[serde(default, deserialize_with = "lenient::field")]
    additional_rate_limits: Option<Vec<Additional>>,
    #[serde(default, deserialize_with = "lenient::field")]
    credits: Option<Balance>,
    #[serde(default, deserialize_with = "lenient::field")]
    spend_control: Option<Control>,
    #[serde(default, deserialize_with = "lenient::field")]
    rate_limit_reached_type: Option<Reached>,
    #[serde(default, deserialize_with = "lenient::field")]
    rate_limit_reset_credits: Option<Resets>,
}

#[derive(Deserialize)]
struct Limit {
    #[serde(default, deserialize_with = "lenient::field")]
    allowed: Option<bool>,
    #[serde(default, rename = "limit_reached", deserialize_with = "lenient::field")]
    reached: Option<bool>,
    #[serde(default, alias = "primary_window", deserialize_with = "lenient::field")]
    primary: Option<WindowFields>,
    #[serde(default, alias = "secondary_window", deserialize_with = "lenient::field")]
    secondary: Option<WindowFields>,
}

#[derive(Deserialize)]
struct WindowFields {
    #[serde(default, deserialize_with = "lenient::field")]
    used_percent: Option<Number>,
    #[serde(default, deserialize_with = "lenient::field")]
    window_minutes: Option<Number>,
    #[serde(default, deserialize_with = "lenient::field")]
    limit_window_seconds: Option<Number>,
    #[serde(default, deserialize_with = "lenient::field")]
    reset_after_seconds: Option<Number>,
    #[serde(default, deserialize_with = "lenient::field")]
    reset_at: Option<Number>,
}

#[derive(Deserialize)]
struct Additional {
    #[serde(default, deserialize_with = "lenient::field")]
    limit_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    metered_feature: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    rate_limit: Option<Limit>,
}

#[derive(Deserialize)]
struct Balance {
    #[serde(default, deserialize_with = "lenient::field")]
    has_credits: Option<bool>,
    #[serde(default, deserialize_with = "lenient::field")]
    unlimited: Option<bool>,
    #[serde(default, deserialize_with = "lenient::field")]
    overage_limit_reached: Option<bool>,
    /// Decimal text, or a number.
    #[serde(default, rename = "balance")]
    amount: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Reached {
    #[serde(default, rename = "type", deserialize_with = "lenient::field")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Control {
    #[serde(default, deserialize_with = "lenient::field")]
    reached: Option<bool>,
    #[serde(default, deserialize_with = "lenient::field")]
    individual_limit: Option<Individual>,
}

#[derive(Deserialize)]
struct Individual {
    /// Decimal text, or a number.
    #[serde(default)]
    limit: Option<Box<RawValue>>,
    #[serde(default)]
    used: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "lenient::field")]
    used_percent: Option<Number>,
    #[serde(default, deserialize_with = "lenient::field")]
    reset_after_seconds: Option<Number>,
    #[serde(default, deserialize_with = "lenient::field")]
    reset_at: Option<Number>,
}

#[derive(Deserialize)]
struct Resets {
    #[serde(default, deserialize_with = "lenient::field")]
    available_count: Option<Number>,
}

pub(super) fn event(event: &[u8], now: Millis) -> Option<Quota> {
    let event: Event = serde_json::from_slice(event).ok()?;
    let more = event.additional_rate_limits.unwrap_or_default().into_iter();
    let more = more.map(|(name, limit)| limit.named(&name, None, now));
    let quota = Quota {
        named: review(event.code_review_rate_limits, now).into_iter().chain(more).take(NAMED).collect(),
        ..base(event.rate_limits.as_ref(), event.credits, event.plan_type, now)
    };
    non_empty(quota)
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
        spend: usage.spend_control.map(|control| control.spend(now)),
        reset_credits: usage.rate_limit_reset_credits.and_then(|resets| resets.available_count?.count()),
        ..base(usage.rate_limit.as_ref(), usage.credits, usage.plan_type, now)
    };
    non_empty(quota)
}

fn base(limit: Option<&Limit>, credits: Option<Balance>, plan: Option<String>, now: Millis) -> Quota {
    Quota {
        allowed: limit.and_then(|limit| limit.allowed.or(limit.reached.map(|reached| !reached))),
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

/// `None` for figures without any field.
fn non_empty(quota: Quota) -> Option<Quota> {
    (quota != Quota { updated: quota.updated, ..Quota::default() }).then_some(quota)
}

impl Limit {
    fn named(self, id: &str, name: Option<String>, now: Millis) -> Named {
        let window = |fields: Option<WindowFields>| fields.and_then(|fields| fields.window(now));
        let name = name.map(|name| short(&name, TEXT));
        Named { id: short(id, TEXT), name, primary: window(self.primary), secondary: window(self.secondary) }
    }
}

impl WindowFields {
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
    /// Credits do not count once their limit is reached.
    fn credits(self) -> Credits {
        let usable = !self.overage_limit_reached.unwrap_or(false);
        Credits {
            has: usable && self.has_credits.unwrap_or(false),
            unlimited: usable && self.unlimited.unwrap_or(false),
            balance: self.amount.map(|raw| decimal(&raw)),
        }
    }
}

impl Control {
    fn spend(self, now: Millis) -> Spend {
        let window = self.individual_limit.as_ref().and_then(|limit| limit.window_fields().window(now));
        let (limit, used) = self.individual_limit.map(|limit| (limit.limit, limit.used)).unwrap_or_default();
        Spend {
            reached: self.reached.unwrap_or(false),
            used_percent: window.map(|window| window.used_percent),
            limit: limit.map(|raw| decimal(&raw)),
            used: used.map(|raw| decimal(&raw)),
            resets_at: window.and_then(|window| window.resets_at),
        }
    }
}

impl Individual {
    fn window_fields(&self) -> WindowFields {
        let (window_minutes, limit_window_seconds) = (None, None);
        let Self { used_percent, reset_after_seconds, reset_at, .. } = *self;
        WindowFields { used_percent, window_minutes, limit_window_seconds, reset_after_seconds, reset_at }
    }
}

/// A decimal as text, whether it came as one or as a number.
fn decimal(raw: &RawValue) -> String {
    short(&serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned()), TEXT)
}
