//! The used shares of an account's windows over time, bounded to what a forecast needs.

use super::{Quota, Window};
use crate::Millis;

/// Most figures of one window.
const MOST: usize = 32;
/// Figures of one window are at least this share of its length apart.
const STEPS: i64 = 48;
/// Least time between two figures, milliseconds.
const LEAST: i64 = 60_000;
/// Points by which a share falls only when its window was reset; less is rounding.
const FALL: f64 = 5.0;

/// The figures of both windows.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(default)]
#[schema(as = QuotaTrail)]
pub struct QuotaHistory {
    /// Of the first window.
    pub primary: WindowHistory,
    /// Of the second window.
    pub secondary: WindowHistory,
}

/// The figures of one window since it last reset, oldest first, at most 32.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(default)]
#[schema(as = QuotaTrack)]
pub struct WindowHistory {
    /// The window's length; figures of another length belong to another window.
    minutes: Option<u32>,
    /// When it resets, as said last.
    resets_at: Option<Millis>,
    /// When, and which share was used.
    pub(super) figures: Vec<(Millis, f64)>,
}

impl QuotaHistory {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.primary.figures.is_empty() && self.secondary.figures.is_empty()
    }

    /// Records the current figures.
    pub(super) fn note(&mut self, primary: Option<Window>, secondary: Option<Window>, at: Millis) {
        self.primary.note(primary, at);
        self.secondary.note(secondary, at);
    }
}

impl Quota {
    /// These figures without their history, for people.
    #[must_use]
    pub fn now_only(&self) -> Self {
        Self { trail: QuotaHistory::default(), ..self.clone() }
    }
}

impl WindowHistory {
    fn note(&mut self, window: Option<Window>, at: Millis) {
        let Some(window) = window else { return *self = Self::default() };
        if self.another(&window, at) {
            self.figures.clear();
        }
        (self.minutes, self.resets_at) = (window.minutes, window.resets_at);
        // The newest figure replaces those close to it, so that the last one is always kept.
        let before = self.figures.len().checked_sub(2).and_then(|at| self.figures.get(at));
        if before.is_some_and(|(then, _)| at.0.saturating_sub(then.0) < self.step()) {
            self.figures.pop();
        }
        self.figures.push((at, window.used_percent));
        if self.figures.len() > MOST {
            self.figures.remove(0);
        }
    }

    /// Whether `window` is not the window of the figures: it has another length, or was reset since.
    fn another(&self, window: &Window, at: Millis) -> bool {
        let over = self.resets_at.is_some_and(|resets_at| resets_at <= at);
        let fell = self.figures.last().is_some_and(|(_, used)| window.used_percent + FALL < *used);
        over || fell || self.minutes != window.minutes
    }

    /// Least time between two figures that are kept, milliseconds.
    fn step(&self) -> i64 {
        (self.minutes.map_or(0, i64::from) * 60_000 / STEPS).max(LEAST)
    }
}
