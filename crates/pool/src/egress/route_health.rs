//! Whether a route answers, as learned from its uses and checks.

use crate::Millis;

/// Failures within [`WINDOW`] that mark a route as down.
pub const FAILURES: usize = 3;
/// How long a failure counts, milliseconds.
pub const WINDOW: i64 = 60_000;
/// How long a route rests when it is down, milliseconds. Then one call may try it, so a route recovers without checks too.
pub const REST: i64 = 60_000;

/// The health of one route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteHealth {
    /// The failures that still count, oldest first; fewer than [`FAILURES`].
    failures: Vec<Millis>,
    /// When a route that is down may be tried again.
    down_until: Option<Millis>,
}

impl RouteHealth {
    /// When the route may be tried again; `None` when it is not down.
    pub fn resting_until(&self) -> Option<Millis> {
        self.down_until
    }

    /// Whether it has no failures and is not down.
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty() && self.down_until.is_none()
    }

    /// Records a failed use. The third within a minute marks the route as down; a failure while it is down starts a new rest.
    pub fn record_failure(&mut self, now: Millis) {
        self.failures.retain(|at| *at <= now && now.0.saturating_sub(at.0) < WINDOW);
        self.failures.push(now);
        if self.down_until.is_some() || self.failures.len() >= FAILURES {
            self.mark_down(now);
        }
    }

    /// Marks the route as down after a failed check.
    pub fn mark_down(&mut self, now: Millis) {
        self.failures.clear();
        self.down_until = Some(now.plus(REST));
    }

    /// Records a successful use or check.
    pub fn record_success(&mut self) {
        *self = Self::default();
    }
}
