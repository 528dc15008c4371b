//! Quota windows, from response headers, stream events and usage polls.
//!
//! All of it comes from outside: figures are bounded, dates are clamped to [`limits::RESET_MAX`], strings are short and few.
//! Where a source gives both a span and an instant, the span counts, because a wrong clock does not change it.

pub mod credits;
pub mod forecast;
mod headers;
mod history;
mod json;
pub mod poll;
pub mod summary;
#[cfg(test)]
mod tests;

use proto::text::Json;

use crate::status::Signal;
use crate::{Millis, limits};
pub use history::{QuotaHistory, WindowHistory};

/// Most limits of single features or models that are kept.
const NAMED: usize = 16;
/// Longest text that is kept, bytes.
const TEXT: usize = 64;

/// Last known quota of an account.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
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
    /// What may be spent on top of the plan; only polls tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spend: Option<Spend>,
    /// Reset credits that can be consumed; only polls tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_credits: Option<u64>,
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
    /// What the windows were at before.
    #[serde(skip_serializing_if = "QuotaHistory::is_empty")]
    pub trail: QuotaHistory,
}

/// One window.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = QuotaWindow)]
pub struct Window {
    /// Share used, 0 to 100.
    pub used_percent: f64,
    /// Length.
    pub minutes: Option<u32>,
    /// When it resets.
    pub resets_at: Option<Millis>,
}

/// A limit of its own.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = NamedQuota)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Credits {
    /// Whether there are any.
    pub has: bool,
    /// Whether they never end.
    pub unlimited: bool,
    /// Decimal text, as it came.
    pub balance: Option<String>,
}

/// What an owner allows to be spent on top of a plan.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = SpendControl)]
pub struct Spend {
    /// Whether the limit is reached: credits do not serve then.
    pub reached: bool,
    /// Share of the limit that is used, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_percent: Option<f64>,
    /// The limit, decimal text as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// What is used of it, decimal text as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<String>,
    /// When it resets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Millis>,
}

impl Quota {
    /// From response headers (names in any case). `None` when none of them is about quota.
    pub fn from_headers<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>, now: Millis) -> Option<Self> {
        headers::read(headers, now)
    }

    /// From a `codex.rate_limits` event. `None` when it has no known field.
    pub fn from_event(event: &Json, now: Millis) -> Option<Self> {
        json::event(event.bytes(), now)
    }

    /// From the body of `GET /wham/usage`. `None` when it has no known field.
    pub fn from_usage(body: &[u8], now: Millis) -> Option<Self> {
        json::usage(body, now)
    }

    /// As response headers for clients, names in lower case.
    pub fn headers(&self, now: Millis) -> Vec<(String, String)> {
        headers::write(self, now)
    }

    /// Takes over the fields of `newer` and keeps the others (headers have fewer than a usage poll, for example). An older answer
    /// that arrives late changes nothing and returns `false`.
    pub fn merge(&mut self, newer: Self) -> bool {
        if newer.updated < self.updated.believed(newer.updated) {
            return false;
        }
        // A window comes whole or not at all, so windows are replaced and never mixed.
        if newer.windowed() {
            (self.primary, self.secondary) = (newer.primary, newer.secondary);
            self.trail.note(self.primary, self.secondary, newer.updated);
        }
        // These hold only until the next answer, which repeats or clears them. Plans without windows have nothing else.
        (self.allowed, self.reached) = (newer.allowed, newer.reached);
        for limit in newer.named {
            self.name(limit);
        }
        self.credits = newer.credits.or(self.credits.take());
        self.spend = newer.spend.or(self.spend.take());
        self.reset_credits = newer.reset_credits.or(self.reset_credits);
        self.plan = newer.plan.or(self.plan.take());
        self.updated = newer.updated;
        true
    }

    fn name(&mut self, limit: Named) {
        // Events name a limit by what people call it, headers and polls by id.
        let same = |known: &&mut Named| known.id == limit.id || known.name.as_ref() == Some(&limit.id);
        if let Some(known) = self.named.iter_mut().find(same) {
            known.name = limit.name.or(known.name.take());
            (known.primary, known.secondary) = (limit.primary, limit.secondary);
        } else if self.named.len() < NAMED {
            self.named.push(limit);
        }
    }

    /// The higher used share of the two windows at `now`, 0 to 100; a window that has reset counts as 0.
    pub fn used(&self, now: Millis) -> f64 {
        let used = |window: Option<Window>| window.map_or(0.0, |window| window.used(now));
        used(self.primary).max(used(self.secondary))
    }

    /// The used-up window that resets last, and when; `None` when quota or credits are left.
    pub fn full(&self, now: Millis) -> Option<(&'static str, Option<Millis>)> {
        if self.has_usable_credits() {
            return None;
        }
        let windows = [("primary", self.primary), ("secondary", self.secondary)];
        let full = |window: Option<Window>| window.filter(|window| window.used(now) >= 100.0);
        let full = windows.into_iter().filter_map(|(name, window)| Some((name, full(window)?.resets_at)));
        full.max_by_key(|(_, resets_at)| *resets_at)
    }

    /// Like [`Self::full`], for the limit with this id.
    pub fn full_of(&self, id: &str, now: Millis) -> Option<(&'static str, Option<Millis>)> {
        let limit = self.named.iter().find(|limit| limit.id == id)?;
        let own = Self { primary: limit.primary, secondary: limit.secondary, ..Self::default() };
        own.full(now)
    }

    /// The ids of the limits of single models that are not used up.
    pub fn open(&self, now: Millis) -> Vec<String> {
        let open = self.named.iter().filter(|limit| self.full_of(&limit.id, now).is_none());
        open.map(|limit| limit.id.clone()).collect()
    }

    /// The signal of these figures: `Exhaust`, `Ample`, or `None` when they prove nothing.
    pub fn signal(&self, now: Millis) -> Signal {
        let backoff = |span: std::time::Duration| now.plus(i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
        if let Some((window, resets_at)) = self.full(now) {
            let until = resets_at.unwrap_or_else(|| backoff(limits::QUOTA_BACKOFF));
            return Signal::Exhaust { until, window: window.into() };
        }
        // With credits left, only ordinary use is over.
        if self.allowed == Some(false) && !self.has_usable_credits() {
            let credits = self.reached.as_deref().is_some_and(|reached| reached.contains("credits"));
            let window = if credits { "credits" } else { "plan" };
            return Signal::Exhaust { until: backoff(limits::QUOTA_BACKOFF), window: window.into() };
        }
        if self.windowed() || self.allowed == Some(true) { Signal::Ample } else { Signal::None }
    }

    /// Like [`Self::signal`], for an account that was refused at `refused` because its quota was used up. Older figures do not
    /// disprove the refusal; newer figures correct its end.
    pub fn verdict(&self, refused: Millis, now: Millis) -> Signal {
        let refused = refused.believed(now);
        match self.signal(now) {
            Signal::Ample if self.updated < refused => Signal::None,
            Signal::Exhaust { until, window } if self.updated > refused && self.has_reset_time(now) => {
                Signal::Measured { until, window }
            }
            signal => signal,
        }
    }

    /// Whether a window is used up and says when it resets.
    fn has_reset_time(&self, now: Millis) -> bool {
        self.full(now).is_some_and(|(_, resets_at)| resets_at.is_some())
    }

    fn windowed(&self) -> bool {
        self.primary.is_some() || self.secondary.is_some()
    }

    /// Whether credits are left. Credits serve when the windows are used up.
    fn has_usable_credits(&self) -> bool {
        let withheld = self.spend.as_ref().is_some_and(|spend| spend.reached);
        !withheld && self.credits.as_ref().is_some_and(|credits| credits.has || credits.unlimited)
    }
}

/// The id of one model's limit from a header (`codex_` and more); `None` for the limits of the whole account (`codex`,
/// `premium`).
pub fn named(limit: &str) -> Option<String> {
    let id = limit.trim().to_ascii_lowercase().replace('-', "_");
    let clean = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (clean && id.len() <= TEXT && id.starts_with("codex_")).then_some(id)
}

impl Window {
    /// The share used at `now`: 0 once the window has reset.
    pub fn used(&self, now: Millis) -> f64 {
        if self.resets_at.is_some_and(|at| at <= now) { 0.0 } else { self.used_percent }
    }
}

/// A window as it comes: spans and instants in seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    used: Option<f64>,
    minutes: Option<i64>,
    after: Option<i64>,
    at: Option<i64>,
}

impl Parts {
    /// The window, bounded; `None` without a share.
    fn window(self, now: Millis) -> Option<Window> {
        let most = i64::try_from(limits::RESET_MAX.as_secs()).unwrap_or(i64::MAX);
        let after = self.after.map(|after| now.plus(after.clamp(0, most) * 1000));
        let (first, last) = (now.plus(-most * 1000), now.plus(most * 1000));
        let at = self.at.map(|at| Millis(at.saturating_mul(1000)).clamp(first, last));
        Some(Window {
            used_percent: self.used.filter(|used| used.is_finite())?.clamp(0.0, 100.0),
            minutes: self.minutes.and_then(|minutes| u32::try_from(minutes).ok()).filter(|minutes| *minutes > 0),
            resets_at: after.or(at),
        })
    }
}
