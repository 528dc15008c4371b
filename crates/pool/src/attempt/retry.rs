//! Retry hints in the headers of a refusal.

use std::time::Duration;

use crate::quota::{self, Quota};
use crate::{Millis, date};

/// Retry hints in the headers of a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// `Retry-After` in seconds.
    pub after: Option<u64>,
    /// When the used-up window resets, Unix seconds.
    pub resets_at: Option<i64>,
    /// The used-up window: `primary` or `secondary`.
    pub window: Option<&'static str>,
    /// The reached limit, when it belongs to one model: `x-codex-active-limit`, as an id (`codex_bengalfox`).
    pub limit: Option<String>,
    /// `x-codex-rate-limit-reached-type`.
    pub reached: Option<String>,
    /// Whether `cf-mitigated` is present: Cloudflare answered, not the backend.
    pub challenged: bool,
    /// How long to rest after a rate limit without a time; `None` is [`crate::limits::RATE_BACKOFF`]. Taken from [`super::History`].
    pub rest: Option<Duration>,
}

impl Retry {
    /// From response headers (names in any case).
    pub fn from_headers<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>, now: Millis) -> Self {
        let headers: Vec<_> = headers.filter(|(_, value)| !value.trim().is_empty()).collect();
        let mut retry = Self::default();
        for &(name, value) in &headers {
            match name.to_ascii_lowercase().as_str() {
                "retry-after" => retry.after = date::wait(value, now),
                "x-codex-rate-limit-reached-type" => retry.reached = Some(crate::sanitize::short(value, 128)),
                "x-codex-active-limit" => retry.limit = quota::named(value),
                "cf-mitigated" => retry.challenged = true,
                _ => {}
            }
        }
        let quota = Quota::from_headers(headers.into_iter(), now).unwrap_or_default();
        let full = match &retry.limit {
            Some(limit) => quota.full_of(limit, now),
            None => quota.full(now),
        };
        if let Some((window, resets_at)) = full {
            retry.window = Some(window);
            retry.resets_at = resets_at.map(Millis::seconds);
        }
        retry
    }

    /// The window, credits or workspace limit that is used up by the headers.
    pub(super) fn exhausted(&self) -> Option<&'static str> {
        match self.reached.as_deref() {
            Some(reached) if reached.contains("credits") => Some("credits"),
            Some(reached) if reached.starts_with("workspace") => Some("workspace"),
            Some(_) => self.window.or(Some("usage")),
            None => self.window,
        }
    }
}
