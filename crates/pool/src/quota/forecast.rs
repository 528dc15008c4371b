//! Forecasts when a window will be used up at its recent pace.

#[cfg(test)]
mod tests;

use super::history::WindowHistory;
use super::{Quota, Window};
use crate::Millis;
use crate::status::Span;

/// Least time for computing a pace, milliseconds; for long windows a 60th of their length.
const LEAST: i64 = 5 * 60_000;
/// Age at which figures are stale, milliseconds; for long windows a tenth of their length.
const STALE: i64 = 30 * 60_000;

/// What becomes of a window at the pace of late.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Forecast {
    /// Cannot be told.
    Unknown {
        /// Why.
        why: NoForecast,
    },
    /// Used up already.
    Spent {
        /// When it resets; `None` when not said.
        resets_at: Option<Millis>,
    },
    /// Lasts until it resets.
    Lasts {
        /// When it resets; `None` when not said.
        resets_at: Option<Millis>,
    },
    /// Runs out before it resets.
    RunsOut {
        /// When.
        at: Millis,
        /// When it resets; `None` when not said.
        resets_at: Option<Millis>,
    },
}

/// Why a forecast cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ForecastLack)]
pub enum NoForecast {
    /// Too few figures, or over too short a time.
    Figures,
    /// The figures are too old.
    Stale,
}

/// The forecasts of both windows; `None` for one that the account does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct Forecasts {
    /// Of the first window.
    pub primary: Option<Forecast>,
    /// Of the second window.
    pub secondary: Option<Forecast>,
}

impl Quota {
    /// The forecasts at the recent pace.
    pub fn forecast(&self, now: Millis) -> Forecasts {
        let of = |window: Option<Window>, track: &WindowHistory| window.map(|window| track.forecast(&window, now));
        Forecasts {
            primary: of(self.primary, &self.trail.primary),
            secondary: of(self.secondary, &self.trail.secondary),
        }
    }
}

impl WindowHistory {
    fn forecast(&self, window: &Window, now: Millis) -> Forecast {
        let resets_at = window.resets_at.filter(|at| *at > now);
        if window.used(now) >= 100.0 {
            return Forecast::Spent { resets_at };
        }
        let unknown = |why| Forecast::Unknown { why };
        let (Some(first), Some(last)) = (self.figures.first(), self.figures.last()) else {
            return unknown(NoForecast::Figures);
        };
        let length = window.minutes.map_or(0, i64::from) * 60_000;
        let reset = window.resets_at.is_some_and(|at| at <= now);
        if reset || now.0.saturating_sub(last.0.0) > (length / 10).max(STALE) {
            return unknown(NoForecast::Stale);
        }
        if last.0.0.saturating_sub(first.0.0) < (length / 60).max(LEAST) {
            return unknown(NoForecast::Figures);
        }
        match run_out(*first, *last, now) {
            Some(at) if resets_at.is_none_or(|resets_at| at < resets_at) => Forecast::RunsOut { at, resets_at },
            _ => Forecast::Lasts { resets_at },
        }
    }
}

/// When a share that grew from `first` to `last` reaches 100; `None` when it does not grow, or not within [`crate::limits::RESET_MAX`].
/// The time since `last` counts too, so that a pause lowers the pace.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "spans are far below 2^53 ms")]
fn run_out(first: (Millis, f64), last: (Millis, f64), now: Millis) -> Option<Millis> {
    let pace = (last.1 - first.1) / (now.0.max(last.0.0) - first.0.0) as f64;
    let left = (100.0 - last.1) / pace;
    let most = crate::limits::RESET_MAX.as_millis() as f64;
    (pace > 0.0 && left < most).then(|| now.plus(left as i64))
}

impl Forecast {
    /// For people.
    pub fn describe(&self, now: Millis) -> String {
        match *self {
            Self::Unknown { why: NoForecast::Figures } => "pace not known yet".into(),
            Self::Unknown { why: NoForecast::Stale } => "pace not known, the figures are old".into(),
            Self::Spent { resets_at: Some(_) } => "used up until it resets".into(),
            Self::Spent { resets_at: None } => "used up".into(),
            Self::Lasts { resets_at: Some(_) } => "lasts until it resets at this pace".into(),
            Self::Lasts { resets_at: None } => "lasts at this pace".into(),
            Self::RunsOut { at, resets_at: Some(reset) } => {
                let (left, before) = (Span(now.until(at)), Span(at.until(reset)));
                format!("runs out in {left} at this pace, {before} before it resets")
            }
            Self::RunsOut { at, resets_at: None } => format!("runs out in {} at this pace", Span(now.until(at))),
        }
    }
}
