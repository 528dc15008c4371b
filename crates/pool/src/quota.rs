//! Quota windows: what headers, stream events and the usage poll say.
//!
//! Everything here comes from outside: figures are bounded, dates are clamped to [`limits::RESET_MAX`], strings are short.

#[cfg(test)]
mod tests;

use proto::text::Json;

use crate::status::Signal;
use crate::{Millis, limits};

/// Last known quota of an account.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Quota {
    /// First window; which length it has is the provider's choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<Window>,
    /// Second window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary: Option<Window>,
    /// Limits of single features or models, by id (`codex_bengalfox`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<Named>,
    /// Credits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credits: Option<Credits>,
    /// Plan as the provider names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Whether ordinary use is allowed; `None` when not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<bool>,
    /// Which limit was reached (`workspace_owner_credits_depleted`, ...).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached: Option<String>,
    /// When this was last learned; 0 for never.
    pub updated: Millis,
}

/// One window.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Window {
    /// Share used, 0 to 100.
    pub used_percent: f64,
    /// Length.
    pub minutes: Option<u32>,
    /// When it resets.
    pub resets_at: Option<Millis>,
}

/// A limit of its own.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Named {
    /// `codex_` and the header infix, or the metered feature's name.
    pub id: String,
    /// For people.
    pub name: Option<String>,
    /// First window.
    pub primary: Option<Window>,
    /// Second window.
    pub secondary: Option<Window>,
}

/// Credits.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Credits {
    /// Whether there are any.
    pub has: bool,
    /// Whether they never end.
    pub unlimited: bool,
    /// Decimal text, as it came.
    pub balance: Option<String>,
}

impl Quota {
    /// From response headers (names in any case). `None` when none of them is about quota.
    pub fn from_headers<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>, now: Millis) -> Option<Self> {
        unimplemented!("{}{}", headers.count(), now.0)
    }

    /// From a `codex.rate_limits` event. `None` when it says nothing that we know.
    pub fn from_event(event: &Json, now: Millis) -> Option<Self> {
        unimplemented!("{event:?}{}", now.0)
    }

    /// From the body of `GET /wham/usage`. `None` when it is not such a body.
    pub fn from_usage(body: &[u8], now: Millis) -> Option<Self> {
        unimplemented!("{body:?}{}", now.0)
    }

    /// Takes over what `newer` says and keeps the rest (headers name no credits of a usage poll, for example).
    pub fn merge(&mut self, newer: Self) {
        unimplemented!("{newer:?}")
    }

    /// The higher share of the two windows at `now`, 0 to 100; a window that has reset counts as 0.
    pub fn used(&self, now: Millis) -> f64 {
        unimplemented!("{}", now.0)
    }

    /// What these figures say about the account: `Exhaust`, `Ample`, or `None` when they say nothing.
    pub fn signal(&self, now: Millis) -> Signal {
        unimplemented!("{}{:?}", now.0, limits::RESET_MAX)
    }

    /// As response headers for clients, names in lower case.
    pub fn headers(&self, now: Millis) -> Vec<(String, String)> {
        unimplemented!("{}", now.0)
    }
}
