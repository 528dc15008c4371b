//! Whether a way answers, as its uses and checks tell.

use crate::Millis;

/// Failures within [`WINDOW`] that mark a way.
pub const FAILURES: usize = 3;
/// How long a failure counts, milliseconds.
pub const WINDOW: i64 = 60_000;
/// How long a marked way is left alone, milliseconds. Then one call may try it: a way heals by a good use also where nobody checks it.
pub const REST: i64 = 60_000;

/// What is known about one way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteHealth {
    /// The failures that still count, oldest first; fewer than [`FAILURES`].
    failures: Vec<Millis>,
    /// When a marked way may be tried again.
    down_until: Option<Millis>,
}

impl RouteHealth {
    /// When the way may be tried again; `None` when it is not marked.
    pub fn down(&self) -> Option<Millis> {
        self.down_until
    }

    /// Whether nothing speaks against it.
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty() && self.down_until.is_none()
    }

    /// A use failed: the third within a minute marks the way, and any failure of a marked one lets it rest again.
    pub fn record_failure(&mut self, now: Millis) {
        self.failures.retain(|at| *at <= now && now.0.saturating_sub(at.0) < WINDOW);
        self.failures.push(now);
        if self.down_until.is_some() || self.failures.len() >= FAILURES {
            self.mark_down(now);
        }
    }

    /// A check failed: that alone marks the way.
    pub fn mark_down(&mut self, now: Millis) {
        self.failures.clear();
        self.down_until = Some(now.plus(REST));
    }

    /// A use or check was good.
    pub fn record_success(&mut self) {
        *self = Self::default();
    }
}
